/* transaction.c: see transaction.h.
 *
 * Changes of one relation are one growing batch in statement order; a savepoint is its length. The overlay is
 * the consolidated form, made anew only when the batch has grown. Rows of a COPY stand beside the batch as they came
 * (pieces), and go into it only when something but the commit wants to see them. */
#include "server/transaction.h"

#include "server/sequence.h"
#include "server/table_locks.h"
#include "server/txn_keys.h"
#include "server/waits.h"
#include "storage/state/snapshot.h"

#include <string.h>

#define COMMIT_LOCK_WAIT_MS    2000 /* INSERTs behind a long ON CONFLICT then go ahead */
#define STATEMENT_LOCK_WAIT_MS 10000

struct txn_table {
    struct relation *relation;
    struct batch *changes;
    bool has_deletes;
    struct batch **pieces; /* after the rows of `changes` */
    uint32_t pieces_count, pieces_cap;
    const struct batch *net; /* changes[0..net_rows) consolidated; NULL: not made */
    uint32_t net_rows;
    struct arena net_arena;
    struct txn_keys keys;
};

struct txn_savepoint {
    struct txn_savepoint *outer;
    const char *name;
    uint32_t tables_count;
    uint32_t *rows; /* lengths of the change lists */
};

void transaction_init(struct session *session)
{
    memset(&session->txn, 0, sizeof(session->txn));
    session->txn.state = TXN_IDLE;
    arena_init(&session->txn.arena, &session->account);
}

static void give_locks(struct session *session, uint64_t epoch)
{
    struct transaction *txn = &session->txn;
    for (uint32_t i = 0; i < txn->locks_count; i++)
        table_lock_give(session->server->locks, txn->locks[i].oid, txn->locks[i].mode, epoch);
    txn->locks_count = 0;
}

/* Back to idle; what was not committed is gone. */
static void finish(struct session *session, uint64_t epoch)
{
    struct transaction *txn = &session->txn;
    give_locks(session, epoch);
    advisory_unlock_all(session, true);
    if (txn->snapshot != 0)
        snapshot_close(engine_snapshots(session->server->engine), txn->snapshot);
    for (uint32_t i = 0; i < txn->tables_count; i++) {
        arena_release(&txn->tables[i].net_arena);
        txn_keys_release(&txn->tables[i].keys);
        relation_release(txn->tables[i].relation);
    }
    for (uint32_t i = 0; i < txn->reads_count; i++)
        relation_release(txn->reads[i].relation);
    struct arena arena = txn->arena;
    arena_reset(&arena);
    *txn = (struct transaction){.state = TXN_IDLE, .arena = arena};
}

void transaction_release(struct session *session)
{
    finish(session, 0);
    arena_release(&session->txn.arena);
    sequence_forget_values(session);
}

static void open_transaction(struct session *session, bool is_implicit)
{
    struct transaction *txn = &session->txn;
    txn->state = TXN_OPEN;
    txn->is_implicit = is_implicit;
    txn->start_us = session->env.io.now_us;
}

bool transaction_begin_statement(struct session *session, bool is_end, struct error *err)
{
    struct transaction *txn = &session->txn;
    if (txn->state == TXN_FAILED && !is_end)
        return error_set(err, ERRCODE_IN_FAILED_SQL_TRANSACTION,
                         "current transaction is aborted, commands ignored until end of transaction block");
    if (txn->state == TXN_IDLE)
        open_transaction(session, true);
    return true;
}

/* ---- changes ---- */

static struct txn_table *find_table(const struct transaction *txn, const struct relation *relation)
{
    for (uint32_t i = 0; i < txn->tables_count; i++)
        if (txn->tables[i].relation == relation)
            return &txn->tables[i];
    return NULL;
}

/* The relation's changes, for `rows` more. */
static struct txn_table *need_table(struct session *session, struct relation *relation, uint32_t rows)
{
    struct transaction *txn = &session->txn;
    struct txn_table *table = find_table(txn, relation);
    if (table == NULL) {
        const struct sql_type *types;
        uint32_t columns = relation_columns(relation, &types);
        struct txn_table fresh = {.relation = relation,
                                  .changes = batch_create(&txn->arena, types, columns, rows)};
        relation_retain(relation);
        ARENA_PUSH(&txn->arena, txn->tables, txn->tables_count, txn->tables_cap, fresh);
        table = &txn->tables[txn->tables_count - 1];
        arena_init(&table->net_arena, &session->account);
    }
    return table;
}

/* Rows to be added to the table's changes: a column may have been added since the first of them were made, or since these
 * were. They get as many columns as the wider of the two. */
static const struct batch *with_changes(struct transaction *txn, struct txn_table *table,
                                        const struct batch *rows)
{
    struct batch *before = table->changes;
    if (rows->columns_count > before->columns_count) {
        const struct sql_type *types;
        (void)relation_columns(table->relation, &types);
        table->changes = batch_create(&txn->arena, types, rows->columns_count, before->rows + rows->rows);
        batch_append_range(table->changes,
                           relation_fit(table->relation, before, rows->columns_count, &txn->arena), 0,
                           before->rows, 1);
        if (before->weights != NULL)
            batch_need_weights(table->changes);
        table->net = NULL;
    }
    return relation_fit(table->relation, rows, table->changes->columns_count, &txn->arena);
}

static bool has_rows(const struct txn_table *table)
{
    return table->changes->rows > 0 || table->pieces_count > 0;
}

static void gather_pieces(struct transaction *txn, struct txn_table *table)
{
    for (uint32_t i = 0; i < table->pieces_count; i++) {
        const struct batch *piece = with_changes(txn, table, table->pieces[i]);
        batch_append_range(table->changes, piece, 0, piece->rows, 1);
    }
    table->pieces_count = 0;
}

void transaction_take(struct session *session, struct relation *relation, const struct batch *rows)
{
    struct transaction *txn = &session->txn;
    CHECK(rows->weights == NULL);
    if (rows->rows == 0)
        return;
    struct txn_table *table = need_table(session, relation, 0);
    struct batch *piece = batch_header(&txn->arena, rows->columns_count);
    piece->rows = rows->rows;
    memcpy(piece->columns, rows->columns, sizeof(*rows->columns) * rows->columns_count);
    ARENA_PUSH(&txn->arena, table->pieces, table->pieces_count, table->pieces_cap, piece);
}

void transaction_change(struct session *session, struct relation *relation, const struct batch *rows)
{
    if (rows->rows == 0)
        return;
    struct transaction *txn = &session->txn;
    struct txn_table *table = need_table(session, relation, rows->rows);
    gather_pieces(txn, table);
    for (uint32_t i = 0; rows->weights != NULL && i < rows->rows && !table->has_deletes; i++)
        table->has_deletes = rows->weights[i] < 0;
    rows = with_changes(txn, table, rows);
    batch_append_range(table->changes, rows, 0, rows->rows, 1);
}

void transaction_read(struct session *session, struct relation *relation)
{
    struct transaction *txn = &session->txn;
    for (uint32_t i = 0; i < txn->reads_count; i++)
        if (txn->reads[i].relation == relation)
            return;
    relation_retain(relation);
    struct txn_read read = {relation};
    ARENA_PUSH(&txn->arena, txn->reads, txn->reads_count, txn->reads_cap, read);
}

bool transaction_has_changes(const struct session *session)
{
    for (uint32_t i = 0; i < session->txn.tables_count; i++)
        if (has_rows(&session->txn.tables[i]))
            return true;
    return false;
}

bool transaction_check_keys(struct session *session, const struct dml_plan *plan, struct error *err)
{
    const struct transaction *txn = &session->txn;
    struct txn_table *table = find_table(txn, plan->target->relation);
    if (table == NULL || plan->keys_count == 0 ||
        (txn->is_implicit && txn->ends_now && plan->returning_count == 0))
        return true;
    gather_pieces(&session->txn, table);
    return txn_keys_check(&table->keys, session, plan, table->changes, err);
}

static void make_net(struct transaction *txn, struct txn_table *table)
{
    gather_pieces(txn, table);
    if (table->net != NULL && table->net_rows == table->changes->rows)
        return;
    arena_reset(&table->net_arena);
    table->net = batch_consolidate(table->changes, &table->net_arena);
    if (table->net == table->changes) /* a running query reads it while the statement appends */
        table->net = batch_slice(&table->net_arena, table->changes, 0, table->changes->rows);
    table->net_rows = table->changes->rows;
}

const struct overlay *transaction_overlay(struct session *session, struct arena *arena)
{
    struct transaction *txn = &session->txn;
    if (!transaction_has_changes(session))
        return NULL;
    struct overlay *overlay = ARENA_NEW(arena, struct overlay);
    struct overlay_relation *items = ARENA_ARRAY(arena, struct overlay_relation, txn->tables_count);
    for (uint32_t i = 0; i < txn->tables_count; i++) {
        struct txn_table *table = &txn->tables[i];
        if (!has_rows(table))
            continue;
        make_net(txn, table);
        items[overlay->count++] = (struct overlay_relation){table->relation, table->net};
    }
    overlay->items = items;
    return overlay;
}

static bool touches(struct session *session, uint32_t oid, uint32_t depth)
{
    const struct transaction *txn = &session->txn;
    for (uint32_t i = 0; i < txn->tables_count; i++)
        if (has_rows(&txn->tables[i]) && relation_oid(txn->tables[i].relation) == oid)
            return true;
    const struct catalog_object *object = catalog_find_oid(session->server->catalog, oid);
    for (uint32_t i = 0; object != NULL && depth < NESTING_MAX && i < object->depends_count; i++)
        if (touches(session, object->depends[i], depth + 1))
            return true;
    return false;
}

bool transaction_touches(struct session *session, const struct catalog_object *view)
{
    for (uint32_t i = 0; i < view->depends_count; i++)
        if (touches(session, view->depends[i], 1))
            return true;
    return false;
}

/* ---- snapshot and locks ---- */

uint64_t transaction_snapshot(struct session *session)
{
    struct transaction *txn = &session->txn;
    if (txn->snapshot == 0)
        txn->snapshot = snapshot_open(engine_snapshots(session->server->engine), session->last_epoch);
    return txn->snapshot;
}

void transaction_renew_snapshot(struct session *session)
{
    struct transaction *txn = &session->txn;
    if (txn->snapshot != 0)
        snapshot_close(engine_snapshots(session->server->engine), txn->snapshot);
    txn->snapshot = 0;
}

static bool holds_lock(const struct transaction *txn, uint32_t oid, enum table_lock_mode mode)
{
    for (uint32_t i = 0; i < txn->locks_count; i++)
        if (txn->locks[i].oid == oid && txn->locks[i].mode >= mode)
            return true;
    return false;
}

static void take_lock(struct session *session, uint32_t oid, enum table_lock_mode mode, int64_t wait_ms)
{
    struct transaction *txn = &session->txn;
    uint64_t epoch = 0;
    if (session->server->locks == NULL || holds_lock(txn, oid, mode))
        return;
    /* a second lock is not waited for: two sessions could wait for each other */
    if (txn->locks_count > 0)
        wait_ms = 0;
    if (!table_lock_take(session->server->locks, oid, mode, wait_ms, &session->cancel, &epoch))
        return;
    struct held_lock lock = {oid, mode};
    ARENA_PUSH(&txn->arena, txn->locks, txn->locks_count, txn->locks_cap, lock);
    if (epoch > session->last_epoch)
        session->last_epoch = epoch;
}

void transaction_lock(struct session *session, struct relation *relation, bool is_upsert)
{
    struct transaction *txn = &session->txn;
    if (!txn->is_implicit)
        return;
    uint32_t held = txn->locks_count;
    take_lock(session, relation_oid(relation), is_upsert ? TABLE_LOCK_UPSERT : TABLE_LOCK_MODIFY,
              STATEMENT_LOCK_WAIT_MS);
    if (txn->locks_count > held)
        transaction_renew_snapshot(session);
}

/* ---- the end ---- */

static bool commit_changes(struct session *session, uint64_t *epoch, struct error *err)
{
    struct transaction *txn = &session->txn;
    uint32_t changes_max = txn->tables_count;
    for (uint32_t i = 0; i < txn->tables_count; i++)
        changes_max += txn->tables[i].pieces_count;
    struct txn_change *changes = ARENA_ARRAY(&txn->arena, struct txn_change, changes_max);
    struct engine_txn request = {.snapshot = txn->snapshot, .changes = changes};
    for (uint32_t i = 0; i < txn->tables_count; i++) {
        struct txn_table *table = &txn->tables[i];
        if (!has_rows(table))
            continue;
        if (table->has_deletes)
            take_lock(session, relation_oid(table->relation), TABLE_LOCK_MODIFY, COMMIT_LOCK_WAIT_MS);
        else if (!relation_is_append_only(table->relation))
            take_lock(session, relation_oid(table->relation), TABLE_LOCK_INSERT, COMMIT_LOCK_WAIT_MS);
        if (table->changes->rows > 0)
            changes[request.changes_count++] = (struct txn_change){table->relation, table->changes, NULL};
        for (uint32_t piece = 0; piece < table->pieces_count; piece++)
            changes[request.changes_count++] =
                (struct txn_change){table->relation, table->pieces[piece], NULL};
    }
    *epoch = 0;
    if (request.changes_count == 0)
        return true;
    request.reads_count = txn->reads_count;
    request.reads = txn->reads;
    if (!engine_commit(session->server->engine, &request, &session->cancel, epoch, err))
        return false;
    session->last_epoch = *epoch;
    return true;
}

bool transaction_end_statement(struct session *session, bool failed, struct error *err)
{
    struct transaction *txn = &session->txn;
    if (txn->state == TXN_IDLE)
        return true;
    if (!txn->is_implicit) {
        if (failed)
            transaction_fail(session);
        return true;
    }
    uint64_t epoch = 0;
    bool ok = failed || commit_changes(session, &epoch, err);
    finish(session, epoch);
    return ok;
}

bool transaction_begin(struct session *session, bool read_only, struct error *err)
{
    struct transaction *txn = &session->txn;
    if (txn->state == TXN_FAILED)
        return transaction_begin_statement(session, false, err);
    if (txn->state == TXN_OPEN && !txn->is_implicit) {
        session_notice(session, "WARNING", "25001", NULL, "there is already a transaction in progress");
        return true;
    }
    if (txn->state == TXN_IDLE)
        open_transaction(session, false);
    txn->is_implicit = false;
    txn->read_only = read_only;
    return true;
}

bool transaction_commit(struct session *session, bool *rolled_back, struct error *err)
{
    struct transaction *txn = &session->txn;
    *rolled_back = txn->state == TXN_FAILED;
    if (txn->state == TXN_IDLE)
        return true;
    uint64_t epoch = 0;
    bool ok = *rolled_back || commit_changes(session, &epoch, err);
    finish(session, epoch);
    return ok;
}

void transaction_rollback(struct session *session)
{
    finish(session, 0);
}

void transaction_fail(struct session *session)
{
    if (session->txn.state == TXN_OPEN && !session->txn.is_implicit)
        session->txn.state = TXN_FAILED;
}

/* ---- savepoints ---- */

static bool need_block(const struct session *session, const char *what, struct error *err)
{
    if (session->txn.state != TXN_IDLE && !session->txn.is_implicit)
        return true;
    return error_set(err, ERRCODE_NO_ACTIVE_SQL_TRANSACTION, "%s can only be used in transaction blocks",
                     what);
}

bool transaction_savepoint(struct session *session, const char *name, struct error *err)
{
    struct transaction *txn = &session->txn;
    if (!need_block(session, "SAVEPOINT", err))
        return false;
    struct txn_savepoint *savepoint = ARENA_NEW(&txn->arena, struct txn_savepoint);
    savepoint->name = arena_strdup(&txn->arena, name);
    savepoint->tables_count = txn->tables_count;
    savepoint->rows = ARENA_ARRAY(&txn->arena, uint32_t, txn->tables_count);
    for (uint32_t i = 0; i < txn->tables_count; i++) {
        gather_pieces(txn, &txn->tables[i]);
        savepoint->rows[i] = txn->tables[i].changes->rows;
    }
    savepoint->outer = txn->savepoints;
    txn->savepoints = savepoint;
    return true;
}

static struct txn_savepoint *find_savepoint(struct session *session, const char *name, struct error *err)
{
    for (struct txn_savepoint *savepoint = session->txn.savepoints; savepoint != NULL;
         savepoint = savepoint->outer)
        if (strcmp(savepoint->name, name) == 0)
            return savepoint;
    error_set(err, ERRCODE_INVALID_SAVEPOINT_SPECIFICATION, "savepoint \"%s\" does not exist", name);
    return NULL;
}

bool transaction_release_savepoint(struct session *session, const char *name, struct error *err)
{
    if (!need_block(session, "RELEASE SAVEPOINT", err))
        return false;
    struct txn_savepoint *savepoint = find_savepoint(session, name, err);
    if (savepoint == NULL)
        return false;
    session->txn.savepoints = savepoint->outer;
    return true;
}

bool transaction_rollback_to(struct session *session, const char *name, struct error *err)
{
    struct transaction *txn = &session->txn;
    if (!need_block(session, "ROLLBACK TO SAVEPOINT", err))
        return false;
    struct txn_savepoint *savepoint = find_savepoint(session, name, err);
    if (savepoint == NULL)
        return false;
    for (uint32_t i = 0; i < txn->tables_count; i++) {
        struct txn_table *table = &txn->tables[i];
        uint32_t rows = i < savepoint->tables_count ? savepoint->rows[i] : 0;
        table->pieces_count = 0; /* younger than the savepoint, which has gathered those before */
        txn_keys_rollback(&table->keys, table->changes, rows);
        table->changes->rows = rows;
        table->net = NULL;
    }
    txn->savepoints = savepoint;
    txn->state = TXN_OPEN;
    return true;
}
