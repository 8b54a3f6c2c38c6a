/* late_places.c: see late_places.h.
 *
 * One place: its rows as they are. Several (a join of windows): the columns of all of them by name and type, each place
 * leaving those NULL that it does not have. */
#include "planner/late_places.h"

struct places {
    struct arena *arena;
    struct plan **nodes;
    uint32_t count, cap;
    struct sql_type *types;
    const char **names;
    uint32_t columns_count, columns_cap, names_cap;
    bool keeps_rows;
};

static struct plan_lateness *lateness_of(struct plan *plan)
{
    switch (plan->kind) {
    case PLAN_WINDOW:
        return plan->window.lateness;
    case PLAN_SESSION:
        return plan->session.lateness;
    case PLAN_LATE:
        return plan->late.lateness;
    default:
        return NULL;
    }
}

static void find_places(void *ctx, struct plan *plan)
{
    struct places *places = ctx;
    struct plan_lateness *lateness = lateness_of(plan);
    if (lateness == NULL)
        return;
    for (uint32_t i = 0; i < places->count; i++) {
        if (places->nodes[i] == plan)
            return; /* a node with several parents */
        if (lateness_of(places->nodes[i]) == lateness)
            return;
    }
    lateness->number = places->count;
    places->keeps_rows |= lateness->keeps_rows;
    ARENA_PUSH(places->arena, places->nodes, places->count, places->cap, plan);
}

const char *plan_column_name(const struct plan *plan, uint32_t column)
{
    switch (plan->kind) {
    case PLAN_SCAN:
        return plan->scan.relation != NULL
                   ? relation_column_names(plan->scan.relation)[plan->scan.columns[column]]
                   : NULL;
    case PLAN_CALC:
        return plan->calc.outputs[column]->kind == EXPR_COLUMN
                   ? plan_column_name(plan->children[0], plan->calc.outputs[column]->index)
                   : NULL;
    case PLAN_AGGREGATE:
        return column < plan->aggregate.groups_count
                   ? plan_column_name(plan->children[0], plan->aggregate.groups[column])
                   : NULL;
    case PLAN_WINDOW:
    case PLAN_SESSION: {
        uint32_t width = plan->children[0]->columns_count;
        if (plan->kind == PLAN_SESSION && plan->session.is_aggregate)
            return NULL;
        if (column < width)
            return plan_column_name(plan->children[0], column);
        return column == width ? "window_start" : column == width + 1 ? "window_end" : NULL;
    }
    default: {
        uint32_t first = 0;
        for (uint32_t i = 0; i < plan->children_count; i++) {
            uint32_t width = plan->children[i]->columns_count;
            if (column - first < width)
                return plan_column_name(plan->children[i], column - first);
            first += width;
        }
        return NULL;
    }
    }
}

static uint32_t column_for(struct places *places, const char *name, struct sql_type type, const bool *taken)
{
    for (uint32_t c = 0; c < places->columns_count; c++) {
        if (!taken[c] && strcmp(places->names[c], name) == 0 && places->types[c].oid == type.oid)
            return c;
    }
    ARENA_PUSH(places->arena, places->types, places->columns_count, places->columns_cap, type);
    uint32_t count = places->columns_count - 1;
    ARENA_PUSH(places->arena, places->names, count, places->names_cap, name);
    return places->columns_count - 1;
}

const struct late_desc *late_places(struct arena *arena, struct plan *plan)
{
    struct places places = {.arena = arena};
    plan_walk(plan, find_places, &places);
    if (places.count == 0)
        return NULL;
    uint32_t widest = LATE_EXTRA_COLUMNS;
    for (uint32_t i = 0; i < places.count; i++)
        widest += places.nodes[i]->children[0]->columns_count;
    uint32_t **maps = ARENA_ARRAY(arena, uint32_t *, places.count);
    for (uint32_t i = 0; i < places.count; i++) {
        const struct plan *child = places.nodes[i]->children[0];
        maps[i] = ARENA_ARRAY(arena, uint32_t, widest);
        memset(maps[i], 0xff, sizeof(uint32_t) * widest);
        bool *taken = ARENA_ARRAY(arena, bool, widest);
        for (uint32_t c = 0; c < child->columns_count; c++) {
            const char *name = plan_column_name(child, c);
            if (name == NULL)
                name = arena_printf(arena, "column%u", c + 1);
            uint32_t at = column_for(&places, name, child->types[c], taken);
            taken[at] = true;
            maps[i][at] = c;
        }
    }
    static const struct {
        const char *name;
        uint32_t oid;
    } extra[LATE_EXTRA_COLUMNS] = {{"window_start", OID_TIMESTAMPTZ},
                                   {"window_end", OID_TIMESTAMPTZ},
                                   {"watermark", OID_TIMESTAMPTZ},
                                   {"source_position", OID_INT8}};
    bool is_local = true; /* every place's time is a timestamp without zone */
    for (uint32_t i = 0; i < places.count; i++) {
        const struct plan *node = places.nodes[i];
        uint32_t column = node->kind == PLAN_WINDOW    ? node->window.time_column
                          : node->kind == PLAN_SESSION ? node->session.time_column
                                                       : node->late.time_column;
        is_local = is_local && node->children[0]->types[column].oid != OID_TIMESTAMPTZ;
    }
    struct late_desc *desc = ARENA_NEW(arena, struct late_desc);
    desc->columns_count = places.columns_count + LATE_EXTRA_COLUMNS;
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, desc->columns_count);
    const char **names = ARENA_ARRAY(arena, const char *, desc->columns_count);
    memcpy(types, places.types, sizeof(*types) * places.columns_count);
    memcpy(names, places.names, sizeof(*names) * places.columns_count);
    for (uint32_t i = 0; i < LATE_EXTRA_COLUMNS; i++) {
        uint32_t oid = extra[i].oid == OID_TIMESTAMPTZ && is_local ? OID_TIMESTAMP : extra[i].oid;
        types[places.columns_count + i] = (struct sql_type){oid, -1};
        names[places.columns_count + i] = extra[i].name;
    }
    desc->types = types;
    desc->names = names;
    desc->places_count = places.count;
    desc->places = (const uint32_t *const *)maps;
    desc->keeps_rows = places.keeps_rows;
    return desc;
}
