/* sysview_pg_proc.c: functions, aggregates and operators: pg_proc, pg_operator, pg_aggregate, pg_language. */
#include "planner/routines.h"
#include "server/sysview.h"

#define LANGUAGE_C   13u
#define LANGUAGE_SQL 14u

static bool is_strict(const struct routine *routine)
{
    return routine->function != NULL ? (routine->function->flags & FN_NULLS) == 0
                                     : routine->kind == ROUTINE_IO;
}

static char volatility(const struct routine *routine)
{
    if (routine->function == NULL)
        return 'i';
    return routine->function->flags & FN_VOLATILE ? 'v' : routine->function->flags & FN_STABLE ? 's' : 'i';
}

/* Sets with named columns: the columns are output arguments. */
static void output_arguments(struct sys_rows *rows, const struct function_signature *signature)
{
    uint32_t count = signature->args_count + signature->columns_count;
    int64_t *types = ARENA_ARRAY(rows->arena, int64_t, count);
    const char **modes = ARENA_ARRAY(rows->arena, const char *, count);
    const char **names = ARENA_ARRAY(rows->arena, const char *, count);
    for (uint32_t i = 0; i < count; i++) {
        bool is_input = i < signature->args_count;
        types[i] = is_input ? signature->args[i] : signature->column_types[i - signature->args_count];
        modes[i] = !is_input ? "t" : signature->is_variadic && i + 1 == signature->args_count ? "v" : "i";
        names[i] = is_input ? "" : signature->column_names[i - signature->args_count];
    }
    sys_int_array(rows, "proallargtypes", types, count);
    sys_text_array(rows, "proargmodes", modes, count);
    if (signature->columns_count > 0)
        sys_text_array(rows, "proargnames", names, count);
}

static bool rows_pg_proc(struct sys_rows *rows, struct error *err)
{
    static const char kinds[] = {
        [ROUTINE_FUNCTION] = 'f', [ROUTINE_AGGREGATE] = 'a', [ROUTINE_WINDOW] = 'w', [ROUTINE_IO] = 'f'};
    const struct routine *routine;
    for (size_t i = 0; (routine = routine_at(i)) != NULL; i++) {
        if (routine->kind == ROUTINE_OPERATOR)
            continue;
        const struct function_signature *signature = routine->signature;
        int64_t *types = ARENA_ARRAY(rows->arena, int64_t, signature->args_count + 1);
        for (uint32_t j = 0; j < signature->args_count; j++)
            types[j] = signature->args[j];
        bool is_set = routine_returns_set(routine);
        sys_int(rows, "oid", routine->oid);
        sys_text(rows, "proname", routine->name);
        sys_int(rows, "prorows", is_set ? 1000 : 0);
        sys_int(rows, "provariadic", signature->is_variadic ? signature->args[signature->args_count - 1] : 0);
        sys_char(rows, "prokind", kinds[routine->kind]);
        sys_bool(rows, "proisstrict", is_strict(routine));
        sys_bool(rows, "proretset", is_set);
        sys_char(rows, "provolatile", volatility(routine));
        sys_int(rows, "pronargs", signature->args_count);
        sys_int(rows, "prorettype", signature->result);
        sys_int_array(rows, "proargtypes", types, signature->args_count);
        if (signature->columns_count > 0 || signature->is_variadic)
            output_arguments(rows, signature);
        sys_text(rows, "prosrc", routine->kind == ROUTINE_AGGREGATE ? "aggregate_dummy" : routine->name);
        sys_end(rows);
    }
    return true;
}

/* OID of the operator by that name with the two types, 0 none. */
static uint32_t operator_oid(const char *name, uint32_t left, uint32_t right)
{
    uint32_t args[2] = {left, right};
    const struct function_row *const *found;
    if (name == NULL || function_find(name, true, &found) == 0)
        return 0;
    const struct function_row *row = function_find_exact(name, args, 2);
    return row != NULL && (row->flags & FN_OPERATOR) != 0 ? function_oid(row) : 0;
}

static bool rows_pg_operator(struct sys_rows *rows, struct error *err)
{
    const struct routine *routine;
    for (size_t i = 0; (routine = routine_at(i)) != NULL; i++) {
        if (routine->kind != ROUTINE_OPERATOR)
            continue;
        const struct function_signature *signature = routine->signature;
        bool is_prefix = signature->args_count == 1;
        uint32_t left = is_prefix ? 0 : signature->args[0];
        uint32_t right = signature->args[is_prefix ? 0 : 1];
        bool is_equal = strcmp(routine->name, "=") == 0;
        sys_int(rows, "oid", routine->oid);
        sys_text(rows, "oprname", routine->name);
        sys_char(rows, "oprkind", is_prefix ? 'l' : 'b');
        sys_bool(rows, "oprcanmerge", is_equal);
        sys_bool(rows, "oprcanhash", is_equal);
        sys_int(rows, "oprleft", left);
        sys_int(rows, "oprright", right);
        sys_int(rows, "oprresult", signature->result);
        sys_int(rows, "oprcom", operator_oid(routine->function->commutator, right, left));
        sys_int(rows, "oprnegate", operator_oid(routine->function->negator, left, right));
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_aggregate(struct sys_rows *rows, struct error *err)
{
    const struct routine *routine;
    for (size_t i = 0; (routine = routine_at(i)) != NULL; i++) {
        if (routine->kind != ROUTINE_AGGREGATE)
            continue;
        bool is_ordered_set = (routine->aggregate->flags & AGG_ORDERED_SET) != 0;
        sys_int(rows, "aggfnoid", routine->oid);
        sys_char(rows, "aggkind", is_ordered_set ? 'o' : 'n');
        sys_int(rows, "aggnumdirectargs", is_ordered_set ? 1 : 0);
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_language(struct sys_rows *rows, struct error *err)
{
    static const struct {
        uint32_t oid;
        const char *name;
        bool trusted;
    } languages[] = {
        {PG_LANGUAGE_INTERNAL, "internal", false}, {LANGUAGE_C, "c", false}, {LANGUAGE_SQL, "sql", true}};
    for (size_t i = 0; i < ARRAY_COUNT(languages); i++) {
        sys_int(rows, "oid", languages[i].oid);
        sys_text(rows, "lanname", languages[i].name);
        sys_bool(rows, "lanpltrusted", languages[i].trusted);
        sys_end(rows);
    }
    return true;
}

#define CATALOG(name, columns, rows, help)                                                                   \
    {                                                                                                        \
        SCHEMA_PG_CATALOG, 'r', name, columns, rows, help                                                    \
    }

const struct system_view_row sysview_pg_proc_rows[] = {
    CATALOG(
        "pg_proc",
        "oid oid, proname name, pronamespace oid = 11, proowner oid = 10, prolang oid = 12, procost float4 = "
        "1, "
        "prorows float4, provariadic oid, prosupport regproc = 0, prokind char, prosecdef bool = f, "
        "proleakproof bool = f, proisstrict bool, proretset bool, provolatile char, proparallel char = s, "
        "pronargs int2, pronargdefaults int2 = 0, prorettype oid, proargtypes oidvector, proallargtypes "
        "oid[], "
        "proargmodes char[], proargnames text[], proargdefaults text, protrftypes oid[], prosrc text, probin "
        "text, "
        "prosqlbody text, proconfig text[], proacl text[]",
        rows_pg_proc, "functions and aggregates"),
    CATALOG(
        "pg_operator",
        "oid oid, oprname name, oprnamespace oid = 11, oprowner oid = 10, oprkind char, oprcanmerge bool, "
        "oprcanhash bool, oprleft oid, oprright oid, oprresult oid, oprcom oid, oprnegate oid, "
        "oprcode regproc = 0, oprrest regproc = 0, oprjoin regproc = 0",
        rows_pg_operator, "operators"),
    CATALOG("pg_aggregate",
            "aggfnoid regproc, aggkind char, aggnumdirectargs int2, aggtransfn regproc = 0, aggfinalfn "
            "regproc = 0, "
            "aggcombinefn regproc = 0, aggserialfn regproc = 0, aggdeserialfn regproc = 0, aggmtransfn "
            "regproc = 0, "
            "aggminvtransfn regproc = 0, aggmfinalfn regproc = 0, aggfinalextra bool = f, aggmfinalextra "
            "bool = f, "
            "aggfinalmodify char = r, aggmfinalmodify char = r, aggsortop oid = 0, aggtranstype oid = 0, "
            "aggtransspace int4 = 0, aggmtranstype oid = 0, aggmtransspace int4 = 0, agginitval text, "
            "aggminitval text",
            rows_pg_aggregate, "aggregates"),
    CATALOG("pg_language",
            "oid oid, lanname name, lanowner oid = 10, lanispl bool = f, lanpltrusted bool, lanplcallfoid "
            "oid = 0, "
            "laninline oid = 0, lanvalidator oid = 0, lanacl text[]",
            rows_pg_language, "languages of functions"),
};
const size_t sysview_pg_proc_rows_count = ARRAY_COUNT(sysview_pg_proc_rows);
