/* bind_type.c: type names, conversions between types, and the common type of several expressions (PostgreSQL
 * manual 10.4, 10.5).
 *
 * Conversions come from three places: cast functions of the registry, the table of pairs that share their
 * bytes below, and the text forms (every type can be written as text by assignment and read from text
 * explicitly). */
#include "planner/bind.h"

bool bind_enter(struct planner_context *ctx, struct error *err)
{
    if (++ctx->depth <= NESTING_MAX)
        return true;
    ctx->depth--;
    return error_set(err, ERRCODE_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
}

const char *type_text(struct planner_context *ctx, struct sql_type type)
{
    struct strbuf buf = STRBUF_INIT;
    type_format(type.oid, type.typmod, &buf);
    const char *text = arena_strdup(ctx->arena, strbuf_text(&buf));
    strbuf_release(&buf);
    return text;
}

char type_category(uint32_t oid)
{
    const struct type_row *row = type_find(oid);
    return row != NULL ? row->category : 'X';
}

bool type_is_preferred(uint32_t oid)
{
    const struct type_row *row = type_find(oid);
    return row != NULL && row->preferred;
}

/* Pairs whose values are the same bytes. */
static const struct relabel {
    uint32_t source, target;
    enum coercion coercion; /* the weakest context in which it may happen */
    bool binary;            /* PostgreSQL's "binary coercible": counts as the same type for functions */
} relabels[] = {
    {OID_VARCHAR, OID_TEXT, COERCION_IMPLICIT, true},
    {OID_TEXT, OID_VARCHAR, COERCION_IMPLICIT, true},
    {OID_TEXT, OID_BPCHAR, COERCION_IMPLICIT, true},
    {OID_VARCHAR, OID_BPCHAR, COERCION_IMPLICIT, true},
    {OID_BPCHAR, OID_TEXT, COERCION_IMPLICIT, false},
    {OID_BPCHAR, OID_VARCHAR, COERCION_IMPLICIT, false},
    {OID_NAME, OID_TEXT, COERCION_IMPLICIT, false},
    {OID_NAME, OID_VARCHAR, COERCION_ASSIGNMENT, false},
    {OID_NAME, OID_BPCHAR, COERCION_ASSIGNMENT, false},
    {OID_TEXT, OID_NAME, COERCION_IMPLICIT, false},
    {OID_VARCHAR, OID_NAME, COERCION_IMPLICIT, false},
    {OID_BPCHAR, OID_NAME, COERCION_IMPLICIT, false},
    {OID_CHAR, OID_TEXT, COERCION_IMPLICIT, false},
    {OID_CHAR, OID_VARCHAR, COERCION_ASSIGNMENT, false},
    {OID_CHAR, OID_BPCHAR, COERCION_ASSIGNMENT, false},
    {OID_OID, OID_REGCLASS, COERCION_IMPLICIT, true},
    {OID_REGCLASS, OID_OID, COERCION_IMPLICIT, true},
    {OID_OID, OID_REGTYPE, COERCION_IMPLICIT, true},
    {OID_REGTYPE, OID_OID, COERCION_IMPLICIT, true},
    {OID_OID, OID_REGPROC, COERCION_IMPLICIT, true},
    {OID_REGPROC, OID_OID, COERCION_IMPLICIT, true},
    {OID_OID, OID_REGNAMESPACE, COERCION_IMPLICIT, true},
    {OID_REGNAMESPACE, OID_OID, COERCION_IMPLICIT, true},
    {OID_INT8, OID_OID, COERCION_IMPLICIT, false},
    {OID_INT8, OID_REGCLASS, COERCION_IMPLICIT, false},
    {OID_INT8, OID_REGTYPE, COERCION_IMPLICIT, false},
    {OID_INT8, OID_REGPROC, COERCION_IMPLICIT, false},
    {OID_INT8, OID_REGNAMESPACE, COERCION_IMPLICIT, false},
    {OID_OID, OID_INT8, COERCION_ASSIGNMENT, false},
    {OID_REGCLASS, OID_INT8, COERCION_ASSIGNMENT, false},
    {OID_REGTYPE, OID_INT8, COERCION_ASSIGNMENT, false},
    {OID_REGPROC, OID_INT8, COERCION_ASSIGNMENT, false},
    {OID_REGNAMESPACE, OID_INT8, COERCION_ASSIGNMENT, false},
};

static const struct relabel *find_relabel(uint32_t source, uint32_t target)
{
    for (size_t i = 0; i < ARRAY_COUNT(relabels); i++) {
        if (relabels[i].source == source && relabels[i].target == target)
            return &relabels[i];
    }
    return NULL;
}

static bool is_oid_alias(uint32_t oid)
{
    return oid == OID_OID || oid == OID_REGCLASS || oid == OID_REGTYPE || oid == OID_REGPROC ||
           oid == OID_REGNAMESPACE;
}

static bool is_string(uint32_t oid)
{
    return oid == OID_TEXT || oid == OID_VARCHAR || oid == OID_BPCHAR || oid == OID_NAME || oid == OID_CHAR;
}

enum path_kind {
    PATH_NONE,
    PATH_SAME,
    PATH_RELABEL,
    PATH_FUNCTION,
    PATH_INPUT,
    PATH_OUTPUT,
    PATH_TEXT,
    PATH_ARRAY,
    PATH_INT8
};
struct path {
    enum path_kind kind;
    enum coercion coercion; /* weakest context allowed */
    const struct function_row *function;
};

static struct path find_path(uint32_t source, uint32_t target)
{
    if (source == target)
        return (struct path){PATH_SAME, COERCION_IMPLICIT, NULL};
    const struct function_row *function = function_find_cast(source, target);
    if (function != NULL) {
        enum coercion coercion = function->flags & FN_CAST_IMPLICIT     ? COERCION_IMPLICIT
                                 : function->flags & FN_CAST_ASSIGNMENT ? COERCION_ASSIGNMENT
                                                                        : COERCION_EXPLICIT;
        return (struct path){PATH_FUNCTION, coercion, function};
    }
    const struct relabel *relabel = find_relabel(source, target);
    if (relabel != NULL)
        return (struct path){PATH_RELABEL, relabel->coercion, NULL};
    /* Small integers and object numbers meet in int8. */
    if ((source == OID_INT4 || source == OID_INT2) && is_oid_alias(target))
        return (struct path){PATH_INT8, COERCION_IMPLICIT, NULL};
    if (is_oid_alias(source) && target == OID_INT4)
        return (struct path){PATH_INT8, COERCION_ASSIGNMENT, NULL};
    if ((source == OID_TEXT || source == OID_VARCHAR) && target == OID_REGCLASS)
        return (struct path){PATH_INPUT, COERCION_IMPLICIT, NULL};
    if ((source == OID_JSON && target == OID_JSONB) || (source == OID_JSONB && target == OID_JSON))
        return (struct path){PATH_TEXT, COERCION_ASSIGNMENT, NULL};
    const struct type_row *from = type_find(source), *to = type_find(target);
    if (from == NULL || to == NULL)
        return (struct path){PATH_NONE, COERCION_EXPLICIT, NULL};
    if ((source == OID_OIDVECTOR && target == OID_OID_ARRAY) || (source == OID_INT2VECTOR && target == 1005))
        return (struct path){PATH_RELABEL, COERCION_IMPLICIT, NULL};
    /* The vectors of the catalogs are no target, or they would compete with anyarray for every array. */
    if (from->element_oid != 0 && to->element_oid != 0 && from->element_oid != to->element_oid &&
        target != OID_OIDVECTOR && target != OID_INT2VECTOR) {
        struct path element = find_path(from->element_oid, to->element_oid);
        if (element.kind != PATH_NONE)
            return (struct path){PATH_ARRAY, element.coercion, element.function};
    }
    if (from->category == 'P' && source != OID_RECORD && source != 2275)
        return (struct path){PATH_NONE, COERCION_EXPLICIT, NULL};
    if (to->category == 'P')
        return (struct path){PATH_NONE, COERCION_EXPLICIT, NULL};
    if (is_string(target) && !is_string(source))
        return (struct path){PATH_OUTPUT, COERCION_ASSIGNMENT, NULL};
    if (is_string(source))
        return (struct path){PATH_INPUT, COERCION_EXPLICIT, NULL};
    return (struct path){PATH_NONE, COERCION_EXPLICIT, NULL};
}

bool type_is_binary_coercible(uint32_t source, uint32_t target)
{
    if (source == target || target == OID_ANY || target == OID_ANYELEMENT || target == OID_ANYCOMPATIBLE)
        return true;
    if (target == OID_ANYARRAY || target == OID_ANYCOMPATIBLEARRAY)
        return type_is_array(source);
    if (target == OID_ANYNONARRAY)
        return !type_is_array(source);
    const struct relabel *relabel = find_relabel(source, target);
    return relabel != NULL && relabel->binary && relabel->coercion == COERCION_IMPLICIT;
}

bool type_can_coerce(uint32_t source, uint32_t target, enum coercion coercion)
{
    if (source == target || source == OID_UNKNOWN || target == OID_ANY || target == OID_ANYELEMENT ||
        target == OID_ANYCOMPATIBLE)
        return true;
    if (target == OID_ANYARRAY || target == OID_ANYCOMPATIBLEARRAY)
        return type_is_array(source);
    if (target == OID_ANYNONARRAY)
        return !type_is_array(source);
    struct path path = find_path(source, target);
    return path.kind != PATH_NONE && path.coercion <= coercion;
}

struct expr *bind_text_constant(struct planner_context *ctx, const char *text, uint32_t oid, int32_t location)
{
    struct expr *expr =
        expr_constant(ctx->arena, (struct sql_type){oid, -1}, datum_text(ctx->arena, text, strlen(text)));
    expr->position = location + 1;
    return expr;
}

/* ---- conversion ---- */

static struct expr *cast_node(struct planner_context *ctx, struct expr *expr, uint32_t target,
                              enum cast_method method, enum coercion coercion)
{
    struct expr *cast = expr_new(ctx->arena, EXPR_CAST, (struct sql_type){target, -1});
    cast->args = arena_copy(ctx->arena, &expr, sizeof(expr));
    cast->args_count = 1;
    cast->cast = method;
    cast->cast_is_explicit = coercion == COERCION_EXPLICIT;
    cast->position = expr->position;
    return cast;
}

static bool make_cast(struct planner_context *ctx, struct expr *expr, uint32_t target, enum coercion coercion,
                      struct expr **out, struct error *err);

static bool make_array_cast(struct planner_context *ctx, struct expr *expr, uint32_t target,
                            enum coercion coercion, struct expr **out, struct error *err)
{
    uint32_t from = type_find(expr->type.oid)->element_oid, to = type_find(target)->element_oid;
    struct expr *element = expr_column(ctx->arena, 0, (struct sql_type){from, -1});
    struct expr *converted;
    if (!make_cast(ctx, element, to, coercion, &converted, err))
        return false;
    struct expr *cast = cast_node(ctx, expr, target, CAST_ARRAY, coercion);
    struct expr *args[2] = {expr, converted};
    cast->args = arena_copy(ctx->arena, args, sizeof(args));
    cast->args_count = 2;
    *out = cast;
    return true;
}

static bool make_cast(struct planner_context *ctx, struct expr *expr, uint32_t target, enum coercion coercion,
                      struct expr **out, struct error *err)
{
    struct path path = find_path(expr->type.oid, target);
    switch (path.kind) {
    case PATH_SAME:
        *out = expr;
        return true;
    case PATH_RELABEL:
        *out = cast_node(ctx, expr, target, CAST_RELABEL, coercion);
        return true;
    case PATH_FUNCTION:
        *out = cast_node(ctx, expr, target, CAST_FUNCTION, coercion);
        (*out)->function = path.function;
        return true;
    case PATH_INPUT:
        *out = cast_node(ctx, expr, target, CAST_INPUT, coercion);
        return true;
    case PATH_OUTPUT:
        *out = cast_node(ctx, expr, OID_TEXT, CAST_OUTPUT, coercion);
        if (target != OID_TEXT)
            *out = cast_node(ctx, *out, target, CAST_RELABEL, coercion);
        return true;
    case PATH_TEXT:
        *out = cast_node(ctx, cast_node(ctx, expr, OID_TEXT, CAST_OUTPUT, coercion), target, CAST_INPUT,
                         coercion);
        return true;
    case PATH_INT8: {
        struct expr *wide;
        if (!make_cast(ctx, expr, OID_INT8, coercion, &wide, err))
            return false;
        return make_cast(ctx, wide, target, coercion, out, err);
    }
    case PATH_ARRAY:
        return make_array_cast(ctx, expr, target, coercion, out, err);
    case PATH_NONE:
        break;
    }
    return error_set(err, ERRCODE_CANNOT_COERCE, "cannot cast type %s to %s", type_text(ctx, expr->type),
                     type_text(ctx, (struct sql_type){target, -1}));
}

/* Length or precision of the target. */
static struct expr *apply_typmod(struct planner_context *ctx, struct expr *expr, int32_t typmod,
                                 enum coercion coercion)
{
    if (typmod < 0 || expr->type.typmod == typmod)
        return expr;
    struct expr *result = expr_new(ctx->arena, EXPR_TYPMOD, (struct sql_type){expr->type.oid, typmod});
    result->args = arena_copy(ctx->arena, &expr, sizeof(expr));
    result->args_count = 1;
    result->flag = coercion == COERCION_EXPLICIT;
    result->position = expr->position;
    return result;
}

static bool convert_literal(struct planner_context *ctx, struct expr *expr, struct sql_type target,
                            enum coercion coercion, struct expr **out, struct error *err)
{
    struct expr *constant = expr_constant(ctx->arena, (struct sql_type){target.oid, -1}, expr->value);
    constant->position = expr->position;
    if (expr->value.is_null) {
        constant->type.typmod = target.typmod;
        *out = constant;
        return true;
    }
    int32_t typmod = target.oid == OID_INTERVAL ? target.typmod : -1;
    constant->type.typmod = typmod;
    const struct io_env *env = ctx->env != NULL ? &ctx->env->io : &io_env_default;
    if (!type_input(target.oid, typmod, (const char *)varlen_bytes(&expr->value.var), expr->value.var.len,
                    env, ctx->arena, &constant->value, err)) {
        if (err != NULL && err->position == 0 && expr->position > 0)
            error_at(err, planner_position(ctx, expr->position - 1));
        return false;
    }
    *out = apply_typmod(ctx, constant, target.typmod, coercion);
    return true;
}

static bool convert_param(struct planner_context *ctx, struct expr *expr, struct sql_type target,
                          int32_t location, struct expr **out, struct error *err)
{
    struct sql_type *known = &ctx->params[expr->index];
    if (known->oid == 0 || known->oid == OID_UNKNOWN)
        *known = (struct sql_type){target.oid, -1};
    struct expr *param = expr_new(ctx->arena, EXPR_PARAM, (struct sql_type){known->oid, -1});
    param->index = expr->index;
    param->position = expr->position;
    if (known->oid != target.oid) {
        BIND_FAIL(ctx, err, expr->position - 1, ERRCODE_AMBIGUOUS_PARAMETER,
                  "inconsistent types deduced for parameter $%u", expr->index + 1);
        return error_detail(err, "%s versus %s", type_text(ctx, *known), type_text(ctx, target));
    }
    (void)location;
    *out = param;
    return true;
}

bool bind_coerce(struct planner_context *ctx, struct expr *expr, struct sql_type target,
                 enum coercion coercion, int32_t location, struct expr **out, struct error *err)
{
    if (target.oid == OID_ANY || target.oid == OID_ANYELEMENT || target.oid == OID_ANYARRAY ||
        target.oid == OID_ANYNONARRAY) {
        *out = expr;
        return true;
    }
    struct expr *converted = expr;
    if (expr->type.oid == OID_UNKNOWN && target.oid != OID_UNKNOWN) {
        if (expr->kind == EXPR_CONSTANT)
            return convert_literal(ctx, expr, target, coercion, out, err);
        if (expr->kind == EXPR_PARAM) {
            if (!convert_param(ctx, expr, target, location, &converted, err))
                return false;
            *out = apply_typmod(ctx, converted, target.typmod, coercion);
            return true;
        }
        /* A column of literals, as of a branch of UNION: it holds text. */
        converted = cast_node(ctx, expr, OID_TEXT, CAST_RELABEL, coercion);
        if (!make_cast(ctx, converted, target.oid, COERCION_EXPLICIT, &converted, err))
            return false;
        *out = apply_typmod(ctx, converted, target.typmod, coercion);
        return true;
    }
    if (expr->type.oid != target.oid) {
        if (!type_can_coerce(expr->type.oid, target.oid, coercion)) {
            return BIND_FAIL(ctx, err, location, ERRCODE_CANNOT_COERCE, "cannot cast type %s to %s",
                             type_text(ctx, (struct sql_type){expr->type.oid, -1}),
                             type_text(ctx, (struct sql_type){target.oid, -1}));
        }
        /* ROW(...) of plain values cannot be given a type by itself; everything else has a path. */
        if (!make_cast(ctx, expr, target.oid, coercion, &converted, err))
            return false;
    }
    *out = apply_typmod(ctx, converted, target.typmod, coercion);
    return true;
}

bool bind_known(struct planner_context *ctx, struct expr *expr, struct expr **out, struct error *err)
{
    *out = expr;
    if (expr->type.oid != OID_UNKNOWN)
        return true;
    return bind_coerce(ctx, expr, (struct sql_type){OID_TEXT, -1}, COERCION_IMPLICIT, -1, out, err);
}

bool bind_to_boolean(struct planner_context *ctx, struct expr *expr, const char *what, int32_t location,
                     struct expr **out, struct error *err)
{
    if (!type_can_coerce(expr->type.oid, OID_BOOL, COERCION_ASSIGNMENT))
        return BIND_FAIL(ctx, err, location, ERRCODE_DATATYPE_MISMATCH,
                         "argument of %s must be type boolean, not type %s", what,
                         type_text(ctx, expr->type));
    return bind_coerce(ctx, expr, (struct sql_type){OID_BOOL, -1}, COERCION_ASSIGNMENT, location, out, err);
}

bool bind_common_type(struct planner_context *ctx, struct expr *const *exprs, const int32_t *locations,
                      uint32_t count, const char *what, struct sql_type *out, struct error *err)
{
    uint32_t type = OID_UNKNOWN;
    bool same_typmod = true;
    int32_t typmod = count > 0 ? exprs[0]->type.typmod : -1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t next = exprs[i]->type.oid;
        if (next == OID_UNKNOWN || next == type)
            continue;
        if (type == OID_UNKNOWN) {
            type = next;
        } else if (type_category(next) != type_category(type)) {
            return BIND_FAIL(ctx, err, locations != NULL ? locations[i] : -1, ERRCODE_DATATYPE_MISMATCH,
                             "%s types %s and %s cannot be matched", what,
                             type_text(ctx, (struct sql_type){type, -1}),
                             type_text(ctx, (struct sql_type){next, -1}));
        } else if (!type_is_preferred(type) && type_can_coerce(type, next, COERCION_IMPLICIT) &&
                   !type_can_coerce(next, type, COERCION_IMPLICIT)) {
            type = next;
        }
    }
    if (type == OID_UNKNOWN)
        type = OID_TEXT;
    for (uint32_t i = 0; i < count; i++)
        same_typmod = same_typmod && exprs[i]->type.oid == type && exprs[i]->type.typmod == typmod;
    *out = (struct sql_type){type, same_typmod ? typmod : -1};
    return true;
}

bool bind_coerce_all(struct planner_context *ctx, struct expr **exprs, const int32_t *locations,
                     uint32_t count, struct sql_type type, const char *what, struct error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        int32_t location = locations != NULL ? locations[i] : -1;
        if (!type_can_coerce(exprs[i]->type.oid, type.oid, COERCION_IMPLICIT))
            return BIND_FAIL(ctx, err, location, ERRCODE_CANNOT_COERCE, "%s could not convert type %s to %s",
                             what, type_text(ctx, exprs[i]->type), type_text(ctx, type));
        if (!bind_coerce(ctx, exprs[i], type, COERCION_IMPLICIT, location, &exprs[i], err))
            return false;
    }
    return true;
}

/* ---- type names ---- */

static bool type_modifiers(struct planner_context *ctx, const PgQuery__TypeName *name,
                           const struct type_row *row, struct sql_type *out, struct error *err)
{
    int32_t args[8];
    if (name->n_typmods > ARRAY_COUNT(args))
        return BIND_FAIL(ctx, err, name->location, ERRCODE_INVALID_PARAMETER_VALUE, "invalid type modifier");
    for (size_t i = 0; i < name->n_typmods; i++) {
        int64_t value;
        if (!node_integer(name->typmods[i], &value))
            return BIND_FAIL(ctx, err, name->location, ERRCODE_SYNTAX_ERROR,
                             "type modifiers must be simple constants or identifiers");
        args[i] = (int32_t)value;
    }
    if (!type_typmod(row->oid, args, (uint32_t)name->n_typmods, &out->typmod, err))
        return error_at(err, planner_position(ctx, name->location));
    return true;
}

bool bind_type_name(struct planner_context *ctx, const PgQuery__TypeName *name, struct sql_type *out,
                    struct error *err)
{
    const char *schema, *plain;
    const char *full = node_names_text(ctx->arena, name->n_names, name->names);
    if (name->setof)
        return BIND_FAIL(ctx, err, name->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "SETOF is not supported here");
    if (name->pct_type || !node_names_split(name->n_names, name->names, &schema, &plain))
        return BIND_FAIL(ctx, err, name->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "type reference %s%s is not supported", full, name->pct_type ? "%TYPE" : "");
    const struct type_row *row = NULL;
    if (schema == NULL || strcmp(schema, "pg_catalog") == 0)
        row = type_find_name(plain);
    else if (strcmp(schema, "information_schema") == 0)
        row = strcmp(plain, "cardinal_number") == 0  ? type_find(OID_INT4)
              : strcmp(plain, "sql_identifier") == 0 ? type_find(OID_NAME)
              : strcmp(plain, "character_data") == 0 || strcmp(plain, "yes_or_no") == 0
                  ? type_find(OID_VARCHAR)
                  : NULL;
    if (row == NULL || row->oid == OID_UNKNOWN)
        return BIND_FAIL(ctx, err, name->location, ERRCODE_UNDEFINED_OBJECT, "type \"%s\" does not exist",
                         full);
    *out = (struct sql_type){row->oid, -1};
    if (name->n_typmods > 0 && !type_modifiers(ctx, name, row, out, err))
        return false;
    if (name->n_array_bounds > 0) {
        if (row->array_oid == 0 && row->element_oid == 0)
            return BIND_FAIL(ctx, err, name->location, ERRCODE_UNDEFINED_OBJECT,
                             "type \"%s[]\" does not exist", full);
        if (row->array_oid != 0)
            out->oid = row->array_oid;
    }
    return true;
}

bool planner_type(struct planner_context *ctx, const PgQuery__TypeName *name, struct sql_type *out,
                  struct error *err)
{
    return bind_type_name(ctx, name, out, err);
}
