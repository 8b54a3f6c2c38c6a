/* bind_scope.c: names of columns and relations, from the innermost query outwards. */
#include "planner/bind.h"

int32_t planner_position(const struct planner_context *ctx, int32_t location)
{
    if (location < 0)
        return 0;
    if (ctx->sql == NULL)
        return ctx->position_base + location + 1;
    int32_t characters = 0;
    for (int32_t i = 0; i < location && ctx->sql[i] != '\0'; i++)
        characters += ((uint8_t)ctx->sql[i] & 0xc0) != 0x80;
    return ctx->position_base + characters + 1;
}

void scope_hide(struct scope *scope, int32_t by)
{
    for (struct scope *s = scope; s != NULL; s = s->parent) {
        s->hidden = (uint32_t)((int32_t)s->hidden + by);
        if (s->is_query)
            return;
    }
}

bool scope_add_entry(struct planner_context *ctx, struct scope *scope, struct range_entry *entry,
                     int32_t location, struct error *err)
{
    for (uint32_t i = 0; i < scope->entries_count && entry->alias != NULL && entry->relation_visible; i++) {
        const struct range_entry *other = scope->entries[i];
        if (!other->relation_visible || other->alias == NULL || strcmp(other->alias, entry->alias) != 0)
            continue;
        /* Two relations of one name in different schemas are told apart by the schema. */
        if (entry->object != NULL && other->object != NULL && entry->schema != NULL &&
            other->schema != NULL && entry->object->oid != other->object->oid)
            continue;
        return BIND_FAIL(ctx, err, location, ERRCODE_DUPLICATE_ALIAS,
                         "table name \"%s\" specified more than once", entry->alias);
    }
    ARENA_PUSH(ctx->arena, scope->entries, scope->entries_count, scope->entries_cap, entry);
    return true;
}

static const struct range_column *entry_column(const struct range_entry *entry, const char *name,
                                               bool *ambiguous)
{
    const struct range_column *found = NULL;
    *ambiguous = false;
    for (uint32_t i = 0; i < entry->columns_count; i++) {
        if (strcmp(entry->columns[i].name, name) != 0)
            continue;
        *ambiguous = found != NULL;
        found = &entry->columns[i];
        if (*ambiguous)
            break;
    }
    return found;
}

uint32_t scope_find_column(const struct scope *scope, const char *name, struct range_column *out)
{
    uint32_t matches = 0;
    for (uint32_t e = 0; e < scope->entries_count; e++) {
        const struct range_entry *entry = scope->entries[e];
        for (uint32_t i = 0; entry->columns_visible && i < entry->columns_count; i++) {
            if (strcmp(entry->columns[i].name, name) == 0 && matches++ == 0)
                *out = entry->columns[i];
        }
    }
    return matches;
}

struct range_entry *scope_find_entry(struct scope *scope, const char *schema, const char *alias,
                                     uint32_t *levels_up, bool *hidden)
{
    uint32_t level = 0;
    *hidden = false;
    for (struct scope *s = scope; s != NULL; s = s->parent, level++) {
        for (uint32_t e = 0; e < s->entries_count; e++) {
            struct range_entry *entry = s->entries[e];
            if (!entry->relation_visible || entry->alias == NULL || strcmp(entry->alias, alias) != 0)
                continue;
            if (schema != NULL && (entry->schema == NULL || strcmp(entry->schema, schema) != 0))
                continue;
            if (s->hidden > 0) {
                *hidden = true;
                continue;
            }
            *levels_up = level;
            return entry;
        }
    }
    return NULL;
}

struct expr *bind_scope_column(struct planner_context *ctx, const struct range_column *column,
                               uint32_t levels_up, int32_t location)
{
    struct expr *expr = expr_new(ctx->arena, levels_up == 0 ? EXPR_COLUMN : EXPR_OUTER, column->type);
    expr->index = column->column;
    expr->levels_up = levels_up;
    expr->position = location + 1;
    return expr;
}

struct expr *bind_whole_row(struct planner_context *ctx, const struct range_entry *entry, uint32_t levels_up)
{
    if (entry->is_scalar) /* the function's value, not a row of it */
        return bind_scope_column(ctx, &entry->columns[0], levels_up, -1);
    struct expr *row = expr_new(ctx->arena, EXPR_ROW, (struct sql_type){OID_RECORD, -1});
    row->planner = (void *)entry; /* the names of its columns, for to_json */
    row->args_count = entry->columns_count;
    row->args = ARENA_ARRAY(ctx->arena, struct expr *, entry->columns_count);
    struct expr **missing = ARENA_ARRAY(ctx->arena, struct expr *, entry->columns_count);
    for (uint32_t i = 0; i < entry->columns_count; i++) {
        row->args[i] = bind_scope_column(ctx, &entry->columns[i], levels_up, -1);
        missing[i] = bound_is_null(ctx->arena, row->args[i], false);
    }
    if (!entry->nullable || entry->columns_count == 0)
        return row;
    /* The row of an outer join that found no match is NULL as a whole. */
    struct expr *args[3] = {bound_and_list(ctx->arena, missing, entry->columns_count),
                            bound_null(ctx->arena, row->type), row};
    struct expr *nullable = bound_case(ctx->arena, row->type, args, 3);
    nullable->planner = (void *)entry;
    return nullable;
}

const char *scope_column_text(struct planner_context *ctx, const struct scope *scope, uint32_t column)
{
    const char *text = NULL;
    for (uint32_t e = 0; e < scope->entries_count; e++) {
        const struct range_entry *entry = scope->entries[e];
        for (uint32_t i = 0; i < entry->columns_count; i++) {
            if (entry->columns[i].column != column)
                continue;
            if (entry->alias != NULL)
                return arena_printf(ctx->arena, "%s.%s", entry->alias, entry->columns[i].name);
            if (text == NULL)
                text = entry->columns[i].name;
        }
    }
    return text != NULL ? text : "?column?";
}

/* ---- hints ---- */

static uint32_t edit_distance(const char *a, const char *b)
{
    uint32_t row[NAME_BYTES_MAX + 2];
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > NAME_BYTES_MAX || b_len > NAME_BYTES_MAX)
        return UINT32_MAX;
    for (uint32_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a_len; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b_len; j++) {
            uint32_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            uint32_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < best ? change : best;
        }
    }
    return row[b_len];
}

static bool column_missing(struct binder *b, const char *table, const char *name, int32_t location,
                           bool hidden, struct error *err)
{
    if (table != NULL)
        BIND_FAIL(b->ctx, err, location, ERRCODE_UNDEFINED_COLUMN, "column %s.%s does not exist", table,
                  name);
    else
        BIND_FAIL(b->ctx, err, location, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" does not exist", name);
    if (hidden)
        return error_hint(
            err,
            "There is a column named \"%s\" in another table of this FROM clause, but it cannot be "
            "referenced from this part of the query.",
            name);
    uint32_t best = 4; /* at most 3 changes */
    const struct range_entry *best_entry = NULL;
    const char *best_name = NULL;
    for (const struct scope *s = b->scope; s != NULL; s = s->parent) {
        for (uint32_t e = 0; e < s->entries_count && s->hidden == 0; e++) {
            const struct range_entry *entry = s->entries[e];
            if (entry->alias == NULL || (table != NULL && strcmp(entry->alias, table) != 0))
                continue;
            for (uint32_t i = 0; i < entry->columns_count; i++) {
                uint32_t distance = edit_distance(name, entry->columns[i].name);
                if (distance < best && distance <= strlen(name) / 2) {
                    best = distance;
                    best_entry = entry;
                    best_name = entry->columns[i].name;
                }
            }
        }
    }
    if (best_entry != NULL)
        error_hint(err, "Perhaps you meant to reference the column \"%s.%s\".", best_entry->alias, best_name);
    return false;
}

static bool table_missing(struct binder *b, const char *table, int32_t location, bool hidden,
                          struct error *err)
{
    if (hidden) {
        BIND_FAIL(b->ctx, err, location, ERRCODE_UNDEFINED_TABLE,
                  "invalid reference to FROM-clause entry for table \"%s\"", table);
        return error_hint(
            err,
            "There is an entry for table \"%s\", but it cannot be referenced from this part of the "
            "query.",
            table);
    }
    return BIND_FAIL(b->ctx, err, location, ERRCODE_UNDEFINED_TABLE,
                     "missing FROM-clause entry for table \"%s\"", table);
}

/* ---- references ---- */

static struct expr *system_column(struct planner_context *ctx, const struct range_entry *entry,
                                  const char *name)
{
    /* rows of system views come from no transaction; those of tables have no xmin, since programs that use it
     * to notice changes would not notice any */
    if (entry->object != NULL && entry->object->kind == CATALOG_SYSTEM_VIEW && strcmp(name, "xmin") == 0)
        return expr_constant(ctx->arena, (struct sql_type){OID_XID, -1}, datum_i64(2));
    if (entry->object == NULL || strcmp(name, "tableoid") != 0)
        return NULL;
    return expr_constant(ctx->arena, (struct sql_type){OID_OID, -1}, datum_i64(entry->object->oid));
}

static bool simple_reference(struct binder *b, const char *name, int32_t location, struct expr **out,
                             struct error *err)
{
    uint32_t level = 0;
    bool hidden = false;
    for (struct scope *s = b->scope; s != NULL; s = s->parent, level++) {
        struct range_column column;
        uint32_t matches = scope_find_column(s, name, &column);
        if (matches == 0)
            continue;
        if (s->hidden > 0) {
            hidden = true;
            continue;
        }
        if (matches > 1)
            return BIND_FAIL(b->ctx, err, location, ERRCODE_AMBIGUOUS_COLUMN,
                             "column reference \"%s\" is ambiguous", name);
        *out = bind_scope_column(b->ctx, &column, level, location);
        return true;
    }
    for (uint32_t e = 0; e < b->scope->entries_count; e++) {
        *out = system_column(b->ctx, b->scope->entries[e], name);
        if (*out != NULL)
            return true;
    }
    uint32_t levels_up;
    bool ignored;
    const struct range_entry *entry = scope_find_entry(b->scope, NULL, name, &levels_up, &ignored);
    if (entry == NULL)
        return column_missing(b, NULL, name, location, hidden, err);
    *out = bind_whole_row(b->ctx, entry, levels_up);
    return true;
}

bool bind_column_ref(struct binder *b, const PgQuery__ColumnRef *ref, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const PgQuery__Node *last = ref->fields[ref->n_fields - 1];
    bool whole = last->node_case == PG_QUERY__NODE__NODE_A_STAR;
    if (ref->n_fields == 1 && !whole)
        return simple_reference(b, node_string(last), ref->location, out, err);
    if (ref->n_fields == 1)
        return BIND_FAIL(ctx, err, ref->location, ERRCODE_SYNTAX_ERROR,
                         "row expansion via \"*\" is not supported here");
    if (ref->n_fields > 4)
        return BIND_FAIL(ctx, err, ref->location, ERRCODE_SYNTAX_ERROR,
                         "improper qualified name (too many dotted names): %s",
                         node_names_text(ctx->arena, ref->n_fields, ref->fields));
    const char *table = node_string(ref->fields[ref->n_fields - 2]);
    const char *schema = ref->n_fields >= 3 ? node_string(ref->fields[ref->n_fields - 3]) : NULL;
    uint32_t levels_up;
    bool hidden;
    const struct range_entry *entry = scope_find_entry(b->scope, schema, table, &levels_up, &hidden);
    if (entry == NULL)
        return table_missing(b, table, ref->location, hidden, err);
    if (whole) {
        *out = bind_whole_row(ctx, entry, levels_up);
        return true;
    }
    const char *name = node_string(last);
    bool ambiguous;
    const struct range_column *column = entry_column(entry, name, &ambiguous);
    if (ambiguous)
        return BIND_FAIL(ctx, err, ref->location, ERRCODE_AMBIGUOUS_COLUMN,
                         "column reference \"%s\" is ambiguous", name);
    if (column == NULL) {
        *out = system_column(ctx, entry, name);
        return *out != NULL || column_missing(b, table, name, ref->location, false, err);
    }
    *out = bind_scope_column(ctx, column, levels_up, ref->location);
    return true;
}

struct star_list {
    struct expr **exprs;
    const char **names;
    uint32_t count, exprs_cap, names_cap;
};

static void star_entry(struct planner_context *ctx, struct star_list *list, const struct range_entry *entry,
                       uint32_t levels_up, int32_t location)
{
    for (uint32_t i = 0; i < entry->columns_count; i++) {
        uint32_t names_count = list->count;
        ARENA_PUSH(ctx->arena, list->names, names_count, list->names_cap, entry->columns[i].name);
        ARENA_PUSH(ctx->arena, list->exprs, list->count, list->exprs_cap,
                   bind_scope_column(ctx, &entry->columns[i], levels_up, location));
    }
}

bool bind_star(struct binder *b, const PgQuery__ColumnRef *ref, struct expr ***exprs, const char ***names,
               uint32_t *count, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    struct star_list list = {0};
    if (ref->n_fields == 1) {
        for (uint32_t e = 0; e < b->scope->entries_count; e++) {
            if (b->scope->entries[e]->columns_visible)
                star_entry(ctx, &list, b->scope->entries[e], 0, ref->location);
        }
        if (b->scope->entries_count == 0)
            return BIND_FAIL(ctx, err, ref->location, ERRCODE_SYNTAX_ERROR,
                             "SELECT * with no tables specified is not valid");
    } else {
        const char *table = node_string(ref->fields[ref->n_fields - 2]);
        const char *schema = ref->n_fields >= 3 ? node_string(ref->fields[ref->n_fields - 3]) : NULL;
        uint32_t levels_up;
        bool hidden;
        const struct range_entry *entry = scope_find_entry(b->scope, schema, table, &levels_up, &hidden);
        if (entry == NULL)
            return table_missing(b, table, ref->location, hidden, err);
        star_entry(ctx, &list, entry, levels_up, ref->location);
    }
    *exprs = list.exprs;
    *names = list.names;
    *count = list.count;
    return true;
}
