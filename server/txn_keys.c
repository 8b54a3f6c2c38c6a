/* txn_keys.c: see txn_keys.h.
 *
 * A value's count in the transaction's view is what the transaction has added less what it has taken away,
 * plus one when the snapshot holds it. Statements are checked at their end, so an UPDATE may exchange
 * values. */
#include "server/txn_keys.h"

#include "server/transaction.h"
#include "storage/state/hashed_table.h"

#include <stdio.h>
#include <string.h>

struct txn_key {
    uint32_t oid;
    uint32_t columns_count;
    uint32_t *columns;
    uint32_t rows;               /* changes counted so far */
    struct hashed_table *counts; /* payload: struct value_state */
};

struct value_state {
    int64_t own;     /* added less taken away by this transaction */
    uint64_t asked;  /* statement that looked into the snapshot */
    uint64_t exists; /* statement that found the value there */
};

static void release_key(struct txn_key *key)
{
    hashed_table_destroy(key->counts);
    mem_free(key->columns);
}

void txn_keys_release(struct txn_keys *keys)
{
    for (uint32_t i = 0; i < keys->count; i++)
        release_key(&keys->keys[i]);
    mem_free(keys->keys);
    *keys = (struct txn_keys){0};
}

static struct txn_key *find_key(struct txn_keys *keys, struct session *session, const struct dml_plan *plan,
                                const struct dml_key *wanted)
{
    for (uint32_t i = 0; i < keys->count; i++)
        if (keys->keys[i].oid == wanted->oid)
            return &keys->keys[i];
    struct sql_type types[COLUMNS_MAX];
    for (uint32_t i = 0; i < wanted->columns_count; i++)
        types[i] = plan->target->columns[wanted->columns[i]].type;
    if (keys->count == keys->cap) {
        keys->cap = keys->cap ? keys->cap * 2 : 2;
        keys->keys = mem_realloc(keys->keys, sizeof(*keys->keys) * keys->cap);
    }
    struct txn_key *key = &keys->keys[keys->count++];
    *key = (struct txn_key){.oid = wanted->oid, .columns_count = wanted->columns_count};
    key->columns = mem_alloc(sizeof(uint32_t) * wanted->columns_count);
    memcpy(key->columns, wanted->columns, sizeof(uint32_t) * wanted->columns_count);
    key->counts =
        hashed_table_create(types, wanted->columns_count, sizeof(struct value_state), &session->account);
    return key;
}

static struct value_state *state_at(const struct txn_key *key, uint32_t slot)
{
    return hashed_table_payload(key->counts, slot);
}

/* Adds factor times changes [first, end) to the counts. slots: of each row, SLOT_NONE for those with a NULL,
 * which equal nothing; may be NULL. */
static void count_changes(struct txn_key *key, const struct batch *changes, uint32_t first, uint32_t end,
                          int64_t factor, uint32_t *slots)
{
    struct arena arena;
    arena_init(&arena, NULL);
    while (first < end) {
        uint32_t count = end - first < BATCH_ROWS_MAX ? end - first : BATCH_ROWS_MAX;
        arena_reset(&arena);
        const struct batch *piece = batch_slice(&arena, changes, first, count);
        uint64_t *hashes = arena_alloc(&arena, sizeof(*hashes) * count);
        uint32_t *found = arena_alloc(&arena, sizeof(*found) * count);
        uint8_t *inserted = arena_alloc(&arena, count);
        batch_hash(piece, key->columns, key->columns_count, hashes);
        hashed_table_upsert(key->counts, piece, key->columns, hashes, found, inserted);
        for (uint32_t row = 0; row < count; row++)
            state_at(key, found[row])->own += factor * batch_weight(piece, row);
        for (uint32_t c = 0; c < key->columns_count && slots != NULL; c++) {
            const struct column *column = &piece->columns[key->columns[c]];
            for (uint32_t row = 0; row < count && column->nulls != NULL; row++)
                if (column_is_null(column, row))
                    found[row] = SLOT_NONE;
        }
        if (slots != NULL) {
            memcpy(slots, found, sizeof(*found) * count);
            slots += count;
        }
        first += count;
    }
    arena_release(&arena);
}

void txn_keys_rollback(struct txn_keys *keys, const struct batch *changes, uint32_t rows)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        struct txn_key *key = &keys->keys[i];
        if (key->rows <= rows)
            continue;
        count_changes(key, changes, rows, key->rows, -1, NULL);
        key->rows = rows;
    }
}

/* Looks the values of these rows up in the snapshot and marks those that are there. */
static void mark_existing(struct txn_key *key, uint64_t statement, struct session *session,
                          struct relation *relation, int32_t index_number, const struct batch *changes,
                          const uint32_t *rows, uint32_t rows_count)
{
    const struct sql_type *types;
    uint32_t width = relation_columns(relation, &types);
    uint64_t snapshot = transaction_snapshot(session);
    struct arena arena;
    arena_init(&arena, NULL);
    for (uint32_t first = 0; first < rows_count; first += BATCH_ROWS_MAX) {
        uint32_t left = rows_count - first, count = left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX;
        arena_reset(&arena);
        struct batch *wanted = batch_header(&arena, key->columns_count);
        wanted->rows = count;
        for (uint32_t c = 0; c < key->columns_count; c++)
            column_gather(&wanted->columns[c], &changes->columns[key->columns[c]], rows + first, count,
                          &arena);
        struct batch *found = batch_create(&arena, types, width, 16);
        relation_lookup(relation, index_number, key->columns, snapshot, wanted, found);
        if (found->rows == 0)
            continue;
        uint64_t *hashes = arena_alloc(&arena, sizeof(*hashes) * found->rows);
        uint32_t *slots = arena_alloc(&arena, sizeof(*slots) * found->rows);
        batch_hash(found, key->columns, key->columns_count, hashes);
        hashed_table_find(key->counts, found, key->columns, hashes, slots);
        for (uint32_t row = 0; row < found->rows; row++)
            if (slots[row] != SLOT_NONE)
                state_at(key, slots[row])->exists = statement;
    }
    arena_release(&arena);
}

/* The first of the new rows that makes a value appear twice, when they are added in order; UINT32_MAX none.
 */
static uint32_t first_violation(struct txn_key *key, uint64_t statement, const struct batch *changes,
                                uint32_t first, const uint32_t *slots)
{
    bool any = false;
    for (uint32_t row = first; row < changes->rows && !any; row++) {
        if (slots[row - first] == SLOT_NONE || batch_weight(changes, row) < 0)
            continue;
        const struct value_state *state = state_at(key, slots[row - first]);
        any = state->own + (state->exists == statement) > 1;
    }
    if (!any)
        return UINT32_MAX;
    uint32_t violation = UINT32_MAX;
    for (int again = 0; again < 2; again++) {
        for (uint32_t row = first; row < changes->rows; row++) {
            int64_t weight = batch_weight(changes, row);
            if (slots[row - first] == SLOT_NONE || weight < 0)
                continue;
            struct value_state *state = state_at(key, slots[row - first]);
            state->own += again ? weight : -weight;
            if (again && violation == UINT32_MAX && state->own + (state->exists == statement) > 1)
                violation = row;
        }
    }
    return violation;
}

static uint32_t check_key(struct txn_key *key, uint64_t statement, struct session *session,
                          struct relation *relation, int32_t index_number, const struct batch *changes)
{
    uint32_t first = key->rows, count = changes->rows - first;
    if (count == 0)
        return UINT32_MAX;
    struct arena arena;
    arena_init(&arena, &session->account);
    uint32_t *slots = arena_alloc(&arena, sizeof(*slots) * count);
    uint32_t *added = arena_alloc(&arena, sizeof(*added) * count), added_count = 0;
    count_changes(key, changes, first, changes->rows, 1, slots);
    key->rows = changes->rows;
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] == SLOT_NONE || batch_weight(changes, first + i) < 0)
            continue;
        struct value_state *state = state_at(key, slots[i]);
        if (state->own < 1 || state->asked == statement)
            continue;
        state->asked = statement;
        added[added_count++] = first + i;
    }
    uint32_t violation = UINT32_MAX;
    if (added_count > 0) {
        mark_existing(key, statement, session, relation, index_number, changes, added, added_count);
        violation = first_violation(key, statement, changes, first, slots);
    }
    arena_release(&arena);
    return violation;
}

static bool key_error(struct session *session, const struct dml_plan *plan, const struct dml_key *key,
                      const struct batch *rows, uint32_t row, struct error *err)
{
    const struct catalog_object *target = plan->target;
    struct strbuf text = STRBUF_INIT;
    for (uint32_t i = 0; i < key->columns_count; i++)
        strbuf_addf(&text, "%s%s", i > 0 ? ", " : "", target->columns[key->columns[i]].name);
    strbuf_adds(&text, ")=(");
    for (uint32_t i = 0; i < key->columns_count; i++) {
        const struct column *column = &rows->columns[key->columns[i]];
        struct datum value = column_get(column, row);
        strbuf_adds(&text, i > 0 ? ", " : "");
        type_output(column->type.oid, &value, &session->env.io, &text);
    }
    error_set(err, ERRCODE_UNIQUE_VIOLATION, "duplicate key value violates unique constraint \"%s\"",
              key->name);
    error_detail(err, "Key (%s) already exists.", strbuf_text(&text));
    strbuf_release(&text);
    struct catalog *catalog = session->server->catalog;
    catalog_read_lock(catalog);
    const struct catalog_schema *schema = catalog_find_schema_oid(catalog, target->schema_oid);
    snprintf(err->schema_name, sizeof(err->schema_name), "%s", schema != NULL ? schema->name : "");
    catalog_unlock(catalog);
    snprintf(err->table_name, sizeof(err->table_name), "%s", target->name);
    snprintf(err->constraint_name, sizeof(err->constraint_name), "%s", key->name);
    return false;
}

bool txn_keys_check(struct txn_keys *keys, struct session *session, const struct dml_plan *plan,
                    const struct batch *changes, struct error *err)
{
    uint32_t violation = UINT32_MAX;
    const struct dml_key *violated = NULL;
    keys->statement++;
    for (uint32_t i = 0; i < plan->keys_count; i++) {
        const struct dml_key *wanted = &plan->keys[i];
        struct txn_key *key = find_key(keys, session, plan, wanted);
        uint32_t row =
            check_key(key, keys->statement, session, plan->target->relation, wanted->index_number, changes);
        if (row < violation) {
            violation = row;
            violated = wanted;
        }
    }
    return violated == NULL || key_error(session, plan, violated, changes, violation, err);
}
