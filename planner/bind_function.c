/* bind_function.c: which function, aggregate or operator a name and its arguments mean (PostgreSQL
 * manual 10.2, 10.3).
 *
 * Steps: an exact match of all types wins; else, of the candidates that the arguments can be converted to
 * implicitly, those with most exact matches, then with most preferred types, then unknown literals are taken
 * as strings where some candidate allows it, else as the one category all agree on; last, unknown arguments
 * take the type that all known ones share. */
#include "planner/bind.h"

struct candidate {
    const struct function_row *function;
    const struct aggregate_row *aggregate;
    const struct function_signature *signature;
    const uint32_t *args; /* one per argument of the call */
};

struct candidates {
    uint32_t count, cap;
    struct candidate *items;
};

static bool is_polymorphic(uint32_t oid)
{
    return oid == OID_ANYELEMENT || oid == OID_ANYARRAY || oid == OID_ANYNONARRAY ||
           oid == OID_ANYCOMPATIBLE || oid == OID_ANYCOMPATIBLEARRAY;
}

/* Spreads a variadic signature over the call's arguments; false when the counts do not fit. */
static bool expand_args(struct arena *arena, const struct function_signature *signature, uint32_t count,
                        const uint32_t **out)
{
    *out = signature->args;
    if (!signature->is_variadic)
        return signature->args_count == count;
    if (count < signature->args_count)
        return false;
    uint32_t *args = ARENA_ARRAY(arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++)
        args[i] = signature->args[i < signature->args_count ? i : signature->args_count - 1];
    *out = args;
    return true;
}

static void add_candidate(struct arena *arena, struct candidates *list, struct candidate item,
                          uint32_t args_count)
{
    if (expand_args(arena, item.signature, args_count, &item.args))
        ARENA_PUSH(arena, list->items, list->count, list->cap, item);
}

static void collect(struct planner_context *ctx, const char *name, bool is_operator, uint32_t args_count,
                    struct candidates *list)
{
    const struct function_row *const *functions;
    size_t count = function_find(name, is_operator, &functions);
    for (size_t i = 0; i < count; i++) {
        if (functions[i]->flags & FN_CAST)
            continue;
        struct candidate item = {.function = functions[i], .signature = function_signature(functions[i])};
        add_candidate(ctx->arena, list, item, args_count);
    }
    if (is_operator)
        return;
    const struct aggregate_row *const *aggregates;
    count = aggregate_find(name, &aggregates);
    for (size_t i = 0; i < count; i++) {
        struct candidate item = {.aggregate = aggregates[i], .signature = aggregate_signature(aggregates[i])};
        add_candidate(ctx->arena, list, item, args_count);
    }
}

/* Polymorphic arguments of a call must agree; gives the element type behind them (0: only unknowns). */
static bool polymorphic_type(const uint32_t *declared, const uint32_t *actual, uint32_t count,
                             uint32_t *element)
{
    uint32_t type = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_polymorphic(declared[i]) || actual[i] == OID_UNKNOWN)
            continue;
        bool wants_array = declared[i] == OID_ANYARRAY || declared[i] == OID_ANYCOMPATIBLEARRAY;
        const struct type_row *row = type_find(actual[i]);
        if (wants_array && (row == NULL || row->element_oid == 0))
            return false;
        if (declared[i] == OID_ANYNONARRAY && row != NULL && row->element_oid != 0)
            return false;
        uint32_t next = wants_array ? row->element_oid : actual[i];
        if (type == 0 || type == next) {
            type = next;
            continue;
        }
        bool compatible = declared[i] == OID_ANYCOMPATIBLE || declared[i] == OID_ANYCOMPATIBLEARRAY;
        if (!compatible)
            return false;
        if (type_can_coerce(type, next, COERCION_IMPLICIT))
            type = next;
        else if (!type_can_coerce(next, type, COERCION_IMPLICIT))
            return false;
    }
    *element = type;
    return true;
}

static bool can_call(const struct candidate *item, const uint32_t *types, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!type_can_coerce(types[i], item->args[i], COERCION_IMPLICIT))
            return false;
    }
    uint32_t element;
    return polymorphic_type(item->args, types, count, &element);
}

/* Keeps the items with the highest score. */
static void keep_best(struct candidates *list, uint32_t (*score)(const struct candidate *, const void *),
                      const void *ctx)
{
    uint32_t best = 0, kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t points = score(&list->items[i], ctx);
        best = points > best ? points : best;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (score(&list->items[i], ctx) == best)
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

struct actual {
    const uint32_t *types;
    uint32_t count;
};

static uint32_t score_exact(const struct candidate *item, const void *ctx)
{
    const struct actual *actual = ctx;
    uint32_t points = 0;
    for (uint32_t i = 0; i < actual->count; i++)
        points += actual->types[i] != OID_UNKNOWN && item->args[i] == actual->types[i];
    return points;
}

static uint32_t score_preferred(const struct candidate *item, const void *ctx)
{
    const struct actual *actual = ctx;
    uint32_t points = 0;
    for (uint32_t i = 0; i < actual->count; i++) {
        if (actual->types[i] == OID_UNKNOWN)
            continue;
        bool preferred = type_is_preferred(item->args[i]) &&
                         type_category(item->args[i]) == type_category(actual->types[i]);
        points += item->args[i] == actual->types[i] || preferred;
    }
    return points;
}

/* Decides categories for the unknown arguments and keeps the candidates that take them. */
static bool settle_unknowns(struct candidates *list, const uint32_t *types, uint32_t count)
{
    char categories[CALL_ARGS_MAX];
    bool preferred[CALL_ARGS_MAX];
    for (uint32_t a = 0; a < count; a++) {
        categories[a] = '\0';
        preferred[a] = false;
        if (types[a] != OID_UNKNOWN)
            continue;
        bool conflict = false;
        for (uint32_t i = 0; i < list->count; i++) {
            uint32_t declared = list->items[i].args[a];
            char category = is_polymorphic(declared) || declared == OID_ANY ? 'P' : type_category(declared);
            if (categories[a] == '\0' || (category == 'S' && categories[a] != 'S')) {
                categories[a] = category;
                preferred[a] = type_is_preferred(declared);
                conflict = category == 'S' ? false : conflict;
            } else if (category == categories[a]) {
                preferred[a] = preferred[a] || type_is_preferred(declared);
            } else if (categories[a] != 'S') {
                conflict = true;
            }
        }
        if (conflict)
            return false;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        bool keep = true;
        for (uint32_t a = 0; a < count && keep; a++) {
            if (types[a] != OID_UNKNOWN)
                continue;
            uint32_t declared = list->items[i].args[a];
            char category = is_polymorphic(declared) || declared == OID_ANY ? 'P' : type_category(declared);
            keep = category == categories[a] && (!preferred[a] || type_is_preferred(declared));
        }
        if (keep)
            list->items[kept++] = list->items[i];
    }
    if (kept > 0)
        list->count = kept;
    return list->count == 1;
}

/* The candidate to call, or NULL; *ambiguous tells which error to raise. */
static const struct candidate *choose(struct arena *arena, struct candidates *all, const uint32_t *types,
                                      uint32_t count, bool *ambiguous)
{
    *ambiguous = false;
    for (uint32_t i = 0; i < all->count; i++) {
        bool exact = true;
        for (uint32_t a = 0; a < count && exact; a++)
            exact = all->items[i].args[a] == types[a];
        if (exact)
            return &all->items[i];
    }
    struct candidates fitting = {0};
    for (uint32_t i = 0; i < all->count; i++) {
        if (can_call(&all->items[i], types, count))
            ARENA_PUSH(arena, fitting.items, fitting.count, fitting.cap, all->items[i]);
    }
    if (fitting.count <= 1)
        return fitting.count == 1 ? &fitting.items[0] : NULL;
    struct actual actual = {types, count};
    keep_best(&fitting, score_exact, &actual);
    if (fitting.count > 1)
        keep_best(&fitting, score_preferred, &actual);
    if (fitting.count == 1)
        return &fitting.items[0];
    uint32_t known = OID_UNKNOWN;
    bool has_unknown = false, one_known = true;
    for (uint32_t i = 0; i < count; i++) {
        if (types[i] == OID_UNKNOWN)
            has_unknown = true;
        else if (known == OID_UNKNOWN)
            known = types[i];
        else
            one_known = one_known && known == types[i];
    }
    *ambiguous = true;
    if (!has_unknown)
        return NULL;
    if (settle_unknowns(&fitting, types, count))
        return &fitting.items[0];
    if (known == OID_UNKNOWN || !one_known)
        return NULL;
    uint32_t assumed[CALL_ARGS_MAX];
    for (uint32_t i = 0; i < count; i++)
        assumed[i] = known;
    const struct candidate *last = NULL;
    for (uint32_t i = 0; i < fitting.count; i++) {
        bool fits = can_call(&fitting.items[i], assumed, count);
        if (fits && last != NULL)
            return NULL;
        last = fits ? &fitting.items[i] : last;
    }
    return last;
}

static bool convert_args(struct planner_context *ctx, const struct candidate *item, struct expr **args,
                         uint32_t count, int32_t location, struct resolved *out, struct error *err)
{
    uint32_t types[CALL_ARGS_MAX];
    for (uint32_t i = 0; i < count; i++)
        types[i] = args[i]->type.oid;
    uint32_t element = 0;
    if (count > 0 && !polymorphic_type(item->args, types, count, &element))
        element = 0;
    if (element == 0)
        element = OID_TEXT; /* only unknown literals: text */
    const struct type_row *element_row = type_find(element);
    out->args_count = count;
    out->args = ARENA_ARRAY(ctx->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        struct sql_type target = {item->args[i], -1};
        if (target.oid == OID_ANYELEMENT || target.oid == OID_ANYNONARRAY ||
            target.oid == OID_ANYCOMPATIBLE) {
            target.oid = element;
        } else if (target.oid == OID_ANYARRAY || target.oid == OID_ANYCOMPATIBLEARRAY) {
            if (type_is_array(types[i]) && target.oid == OID_ANYARRAY)
                target.oid = types[i]; /* int2vector stays what it is */
            else if (element_row != NULL && element_row->array_oid != 0)
                target.oid = element_row->array_oid;
            else
                return BIND_FAIL(ctx, err, location, ERRCODE_UNDEFINED_OBJECT,
                                 "could not find array type for data type %s",
                                 type_text(ctx, (struct sql_type){element, -1}));
        } else if (target.oid == OID_ANY) {
            bool stays = item->function != NULL && (item->function->flags & FN_UNKNOWN) != 0;
            target.oid = types[i] == OID_UNKNOWN && !stays ? OID_TEXT : types[i];
        }
        if (types[i] == target.oid) {
            out->args[i] = args[i];
            continue;
        }
        if (!bind_coerce(ctx, args[i], target, COERCION_IMPLICIT, location, &out->args[i], err))
            return false;
    }
    uint32_t result = item->signature->result;
    if (result == OID_ANYELEMENT || result == OID_ANYNONARRAY || result == OID_ANYCOMPATIBLE)
        result = element;
    else if (result == OID_ANYARRAY || result == OID_ANYCOMPATIBLEARRAY) {
        result = 0;
        /* A function over an array gives the same array type when there is one. */
        for (uint32_t i = 0; i < count && result == 0; i++) {
            if (item->args[i] == OID_ANYARRAY && type_is_array(out->args[i]->type.oid) &&
                out->args[i]->type.oid != OID_INT2VECTOR && out->args[i]->type.oid != OID_OIDVECTOR)
                result = out->args[i]->type.oid;
        }
        if (result == 0 && element_row != NULL)
            result = element_row->element_oid != 0 ? element : element_row->array_oid;
        if (result == 0)
            return BIND_FAIL(ctx, err, location, ERRCODE_UNDEFINED_OBJECT,
                             "could not find array type for data type %s",
                             type_text(ctx, (struct sql_type){element, -1}));
    }
    out->result = (struct sql_type){result, -1};
    out->function = item->function;
    out->aggregate = item->aggregate;
    return true;
}

static const char *call_text(struct planner_context *ctx, const char *name, struct expr *const *args,
                             uint32_t count)
{
    struct strbuf buf = STRBUF_INIT;
    strbuf_addf(&buf, "%s(", name);
    for (uint32_t i = 0; i < count; i++) {
        strbuf_adds(&buf, i > 0 ? ", " : "");
        type_format(args[i]->type.oid, -1, &buf);
    }
    strbuf_adds(&buf, ")");
    const char *text = arena_strdup(ctx->arena, strbuf_text(&buf));
    strbuf_release(&buf);
    return text;
}

/* int4(x), text(x), "timestamp"(x): a type's name used as a function is a cast. */
static bool cast_as_function(struct planner_context *ctx, const char *name, struct expr *arg,
                             struct resolved *out)
{
    const struct type_row *type = type_find_name(name);
    if (type == NULL || strcmp(type->name, name) != 0 || type->category == 'P')
        return false;
    uint32_t source = arg->type.oid;
    if (source != OID_UNKNOWN && !type_can_coerce(source, type->oid, COERCION_EXPLICIT))
        return false;
    struct error ignored;
    error_init(&ignored);
    struct expr *cast;
    if (!bind_coerce(ctx, arg, (struct sql_type){type->oid, -1}, COERCION_EXPLICIT, -1, &cast, &ignored))
        return false;
    *out = (struct resolved){.result = cast->type, .args_count = 1};
    out->args = arena_copy(ctx->arena, &cast, sizeof(cast));
    return true;
}

bool bind_function(struct planner_context *ctx, const char *name, struct expr **args, uint32_t args_count,
                   bool is_variadic, int32_t location, struct resolved *out, struct error *err)
{
    if (args_count >= CALL_ARGS_MAX)
        return BIND_FAIL(ctx, err, location, ERRCODE_TOO_MANY_ARGUMENTS,
                         "cannot pass more than %d arguments to a function", CALL_ARGS_MAX);
    if (is_variadic)
        return BIND_FAIL(ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "VARIADIC arguments are not supported");
    struct candidates all = {0};
    collect(ctx, name, false, args_count, &all);
    uint32_t types[CALL_ARGS_MAX];
    for (uint32_t i = 0; i < args_count; i++)
        types[i] = args[i]->type.oid;
    bool ambiguous;
    const struct candidate *chosen = choose(ctx->arena, &all, types, args_count, &ambiguous);
    if (chosen != NULL)
        return convert_args(ctx, chosen, args, args_count, location, out, err);
    if (args_count == 1 && !ambiguous && cast_as_function(ctx, name, args[0], out))
        return true;
    const char *text = call_text(ctx, name, args, args_count);
    if (ambiguous) {
        BIND_FAIL(ctx, err, location, ERRCODE_AMBIGUOUS_FUNCTION, "function %s is not unique", text);
        return error_hint(
            err, "Could not choose a best candidate function. You might need to add explicit type casts.");
    }
    BIND_FAIL(ctx, err, location, ERRCODE_UNDEFINED_FUNCTION, "function %s does not exist", text);
    return error_hint(
        err, "No function matches the given name and argument types. You might need to add explicit type "
             "casts.");
}

/* ---- operators ---- */

static bool operator_missing(struct planner_context *ctx, const char *name, const struct expr *left,
                             const struct expr *right, bool ambiguous, int32_t location, struct error *err)
{
    const char *text =
        left != NULL
            ? arena_printf(ctx->arena, "%s %s %s", type_text(ctx, (struct sql_type){left->type.oid, -1}),
                           name, type_text(ctx, (struct sql_type){right->type.oid, -1}))
            : arena_printf(ctx->arena, "%s %s", name, type_text(ctx, (struct sql_type){right->type.oid, -1}));
    if (ambiguous) {
        BIND_FAIL(ctx, err, location, ERRCODE_AMBIGUOUS_FUNCTION, "operator is not unique: %s", text);
        return error_hint(
            err, "Could not choose a best candidate operator. You might need to add explicit type casts.");
    }
    BIND_FAIL(ctx, err, location, ERRCODE_UNDEFINED_FUNCTION, "operator does not exist: %s", text);
    return error_hint(
        err, "No operator matches the given name and argument type%s. You might need to add %s.",
        left != NULL ? "s" : "", left != NULL ? "explicit type casts" : "an explicit type cast");
}

bool bind_operator(struct planner_context *ctx, const char *name, struct expr *left, struct expr *right,
                   int32_t location, struct expr **out, struct error *err)
{
    if (strcmp(name, "!=") == 0)
        name = "<>";
    struct expr *args[2] = {left != NULL ? left : right, right};
    uint32_t count = left != NULL ? 2 : 1;
    uint32_t types[2] = {args[0]->type.oid, right->type.oid};
    struct candidates all = {0};
    collect(ctx, name, true, count, &all);
    bool ambiguous = false;
    const struct candidate *chosen = NULL;
    if (count == 2 && (types[0] == OID_UNKNOWN) != (types[1] == OID_UNKNOWN)) {
        /* A literal beside a known type is first taken as that type. */
        uint32_t known = types[0] == OID_UNKNOWN ? types[1] : types[0];
        for (uint32_t i = 0; i < all.count && chosen == NULL; i++) {
            if (all.items[i].args[0] == known && all.items[i].args[1] == known)
                chosen = &all.items[i];
        }
    }
    if (chosen == NULL)
        chosen = choose(ctx->arena, &all, types, count, &ambiguous);
    if (chosen == NULL)
        return operator_missing(ctx, name, left, right, ambiguous, location, err);
    struct resolved resolved;
    if (!convert_args(ctx, chosen, args, count, location, &resolved, err))
        return false;
    *out = expr_call(ctx->arena, resolved.function, resolved.result, resolved.args, count);
    (*out)->position = location + 1;
    return true;
}

const struct function_row *type_operator(uint32_t oid, const char *name)
{
    uint32_t types[2] = {oid, oid};
    const struct function_row *row = function_find_exact(name, types, 2);
    if (row != NULL)
        return row;
    uint32_t general =
        oid == OID_VARCHAR || oid == OID_NAME || oid == OID_CHAR ? OID_TEXT
        : oid == OID_REGCLASS || oid == OID_REGTYPE || oid == OID_REGPROC || oid == OID_REGNAMESPACE ? OID_OID
        : type_is_array(oid) ? OID_ANYARRAY
                             : 0;
    if (general == 0)
        return NULL;
    types[0] = types[1] = general;
    return function_find_exact(name, types, 2);
}

bool type_has_equality(uint32_t oid)
{
    return oid == OID_UNKNOWN || oid == OID_RECORD || type_operator(oid, "=") != NULL;
}

bool type_has_order(uint32_t oid)
{
    return oid == OID_UNKNOWN || oid == OID_RECORD || type_operator(oid, "<") != NULL;
}
