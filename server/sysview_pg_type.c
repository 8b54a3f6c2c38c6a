/* sysview_pg_type.c: types, and how they are ordered and converted: pg_type, pg_cast, pg_opclass,
 * pg_opfamily, pg_amop, pg_am, pg_range, pg_enum, pg_collation. */
#include "planner/routines.h"
#include "planner/type_facts.h"
#include "server/sysview.h"

static bool rows_pg_type(struct sys_rows *rows, struct error *err)
{
    size_t count;
    const struct type_row *types = type_rows(&count);
    for (size_t i = 0; i < count; i++) {
        const struct type_row *type = &types[i];
        struct type_facts facts;
        if (type->oid == 0 || !type_facts_find(type->oid, &facts))
            continue;
        bool is_vector = type->oid == OID_INT2VECTOR || type->oid == OID_OIDVECTOR;
        bool is_array = type->element_oid != 0 && !is_vector;
        bool is_pseudo = type->category == 'P' || type->category == 'X';
        sys_int(rows, "oid", type->oid);
        sys_text(rows, "typname", type->name);
        sys_int(rows, "typlen", type->typlen);
        sys_bool(rows, "typbyval", facts.by_value);
        sys_char(rows, "typtype", is_pseudo && !is_array ? 'p' : 'b');
        sys_char(rows, "typcategory", type->category);
        sys_bool(rows, "typispreferred", type->preferred);
        sys_int(rows, "typsubscript", is_array || is_vector ? 6179 : type->oid == OID_JSONB ? 6098 : 0);
        sys_int(rows, "typelem", type->element_oid);
        sys_int(rows, "typarray", type->array_oid);
        sys_int(rows, "typinput", facts.io[TYPE_IO_IN]);
        sys_int(rows, "typoutput", facts.io[TYPE_IO_OUT]);
        sys_int(rows, "typreceive", facts.io[TYPE_IO_RECV]);
        sys_int(rows, "typsend", facts.io[TYPE_IO_SEND]);
        sys_int(rows, "typmodin", facts.io[TYPE_IO_MODIN]);
        sys_int(rows, "typmodout", facts.io[TYPE_IO_MODOUT]);
        sys_char(rows, "typalign", facts.align);
        sys_char(rows, "typstorage", facts.storage);
        sys_int(rows, "typcollation", facts.collation);
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_cast(struct sys_rows *rows, struct error *err)
{
    const struct function_row *function;
    for (size_t i = 0; (function = function_at(i)) != NULL; i++) {
        if ((function->flags & FN_CAST) == 0)
            continue;
        const struct function_signature *signature = function_signature(function);
        sys_int(rows, "oid", function_oid(function));
        sys_int(rows, "castsource", signature->args[0]);
        sys_int(rows, "casttarget", signature->result);
        sys_int(rows, "castfunc", 0); /* conversions have no function that SQL could call */
        sys_char(rows, "castcontext",
                 function->flags & FN_CAST_IMPLICIT     ? 'i'
                 : function->flags & FN_CAST_ASSIGNMENT ? 'a'
                                                        : 'e');
        sys_char(rows, "castmethod", function->kernel != NULL ? 'i' : 'b');
        sys_end(rows);
    }
    return true;
}

/* Types with an order of their own have a default operator class; char(n), varchar and the like use text's.
 */
static const struct function_row *type_operator(uint32_t type_oid, const char *name)
{
    uint32_t args[2] = {type_oid, type_oid};
    return function_find_exact(name, args, 2);
}

static bool type_is_ordered(const struct type_row *type)
{
    return type->oid != 0 && type->category != 'A' && type->category != 'P' && type->category != 'X' &&
           type->oid != OID_JSON && type->oid != OID_INT2VECTOR && type->oid != OID_OIDVECTOR;
}

static bool rows_pg_opclass(struct sys_rows *rows, struct error *err)
{
    size_t count;
    const struct type_row *types = type_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (!type_is_ordered(&types[i]))
            continue;
        sys_int(rows, "oid", opclass_oid(types[i].oid));
        sys_textf(rows, "opcname", "%s_ops", types[i].name);
        sys_int(rows, "opcfamily", opclass_oid(types[i].oid));
        sys_int(rows, "opcintype", types[i].oid);
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_opfamily(struct sys_rows *rows, struct error *err)
{
    size_t count;
    const struct type_row *types = type_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (!type_is_ordered(&types[i]))
            continue;
        sys_int(rows, "oid", opclass_oid(types[i].oid));
        sys_textf(rows, "opfname", "%s_ops", types[i].name);
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_amop(struct sys_rows *rows, struct error *err)
{
    static const char *const strategies[] = {"<", "<=", "=", ">=", ">"};
    size_t count;
    const struct type_row *types = type_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (!type_is_ordered(&types[i]))
            continue;
        for (uint32_t strategy = 0; strategy < ARRAY_COUNT(strategies); strategy++) {
            const struct function_row *op = type_operator(types[i].oid, strategies[strategy]);
            if (op == NULL)
                continue;
            sys_int(rows, "oid", opclass_oid(types[i].oid) * 8 + strategy);
            sys_int(rows, "amopfamily", opclass_oid(types[i].oid));
            sys_int(rows, "amoplefttype", types[i].oid);
            sys_int(rows, "amoprighttype", types[i].oid);
            sys_int(rows, "amopstrategy", strategy + 1);
            sys_int(rows, "amopopr", function_oid(op));
            sys_end(rows);
        }
    }
    return true;
}

static bool rows_pg_am(struct sys_rows *rows, struct error *err)
{
    static const struct {
        uint32_t oid;
        const char *name;
        char type;
    } methods[] = {{AM_HEAP, "heap", 't'}, {AM_BTREE, "btree", 'i'}, {405, "hash", 'i'}};
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        sys_int(rows, "oid", methods[i].oid);
        sys_text(rows, "amname", methods[i].name);
        sys_char(rows, "amtype", methods[i].type);
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_collation(struct sys_rows *rows, struct error *err)
{
    static const struct {
        uint32_t oid;
        const char *name, *locale;
        char provider;
    } collations[] = {{COLLATION_DEFAULT, "default", NULL, 'd'},
                      {COLLATION_C, "C", "C", 'c'},
                      {COLLATION_POSIX, "POSIX", "POSIX", 'c'}};
    for (size_t i = 0; i < ARRAY_COUNT(collations); i++) {
        sys_int(rows, "oid", collations[i].oid);
        sys_text(rows, "collname", collations[i].name);
        sys_char(rows, "collprovider", collations[i].provider);
        sys_text(rows, "collcollate", collations[i].locale);
        sys_text(rows, "collctype", collations[i].locale);
        sys_end(rows);
    }
    return true;
}

#define CATALOG(name, columns, rows, help)                                                                   \
    {                                                                                                        \
        SCHEMA_PG_CATALOG, 'r', name, columns, rows, help                                                    \
    }

const struct system_view_row sysview_pg_type_rows[] = {
    CATALOG(
        "pg_type",
        "oid oid, typname name, typnamespace oid = 11, typowner oid = 10, typlen int2, typbyval bool, "
        "typtype char, "
        "typcategory char, typispreferred bool, typisdefined bool = t, typdelim char = ',', typrelid oid = "
        "0, "
        "typsubscript regproc, typelem oid, typarray oid, typinput regproc, typoutput regproc, "
        "typreceive regproc, typsend regproc, typmodin regproc, typmodout regproc, typanalyze regproc = 0, "
        "typalign char, typstorage char, typnotnull bool = f, typbasetype oid = 0, typtypmod int4 = -1, "
        "typndims int4 = 0, typcollation oid, typdefaultbin text, typdefault text, typacl text[]",
        rows_pg_type, "types"),
    CATALOG("pg_cast",
            "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, castmethod char",
            rows_pg_cast, "conversions between types"),
    CATALOG("pg_opclass",
            "oid oid, opcmethod oid = 403, opcname name, opcnamespace oid = 11, opcowner oid = 10, opcfamily "
            "oid, "
            "opcintype oid, opcdefault bool = t, opckeytype oid = 0",
            rows_pg_opclass, "orders of types"),
    CATALOG("pg_opfamily",
            "oid oid, opfmethod oid = 403, opfname name, opfnamespace oid = 11, opfowner oid = 10",
            rows_pg_opfamily, "families of orders: one for each"),
    CATALOG("pg_amop",
            "oid oid, amopfamily oid, amoplefttype oid, amoprighttype oid, amopstrategy int2, amoppurpose "
            "char = s, "
            "amopopr oid, amopmethod oid = 403, amopsortfamily oid = 0",
            rows_pg_amop, "operators of the orders"),
    CATALOG("pg_am", "oid oid, amname name, amhandler regproc = 0, amtype char", rows_pg_am,
            "access methods"),
    CATALOG("pg_collation",
            "oid oid, collname name, collnamespace oid = 11, collowner oid = 10, collprovider char, "
            "collisdeterministic bool = t, collencoding int4 = -1, collcollate text, collctype text, "
            "colliculocale text, collversion text",
            rows_pg_collation, "orders of text"),
};
const size_t sysview_pg_type_rows_count = ARRAY_COUNT(sysview_pg_type_rows);
