/* run_subscribe.c: SUBSCRIBE.
 *
 * Columns: epoch int8, diff int8 (the weight), then the relation's. First the rows of the snapshot, at its
 * epoch, then the net change of every later tick in order. With progress = true a row with NULL in diff and
 * all columns behind it says that everything up to and including its epoch has been given. */
#include "server/run_subscribe.h"

#include "executor/engine.h"
#include "planner/parse_tree.h"
#include "planner/statement.h"
#include "storage/base/clock.h"

#include <stdio.h>

#define PEER_CHECK_NS INT64_C(1000000000) /* a quiet stream looks this often whether its client is there */

struct subscribe_run {
    struct session *session;
    struct arena arena;       /* life of the run */
    struct arena batch_arena; /* the batch being given */
    struct catalog_object *object;
    struct relation *relation;
    struct subscription *subscription;
    bool progress;
    uint32_t columns_count;
    const char **names;
    struct sql_type *types;
    /* snapshot */
    uint64_t snapshot; /* 0: closed */
    struct relation_scan scan;
    bool scanning;
    /* rows not given yet: a part of what the engine or the scan lent */
    const struct batch *pending;
    uint32_t pending_at;
    uint64_t pending_epoch;
    uint64_t progress_given, epoch_given;
};

/* The relation of "TABLE v", which is what SUBSCRIBE v parses to; NULL for other queries. */
static const PgQuery__RangeVar *subscribed_relation(const struct statement *statement)
{
    const PgQuery__Node *node = statement->node;
    if (node != NULL && node->node_case == PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT)
        node = node->declare_cursor_stmt->query;
    else if (node != NULL && node->node_case == PG_QUERY__NODE__NODE_COPY_STMT)
        node = node->copy_stmt->query;
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return NULL;
    const PgQuery__SelectStmt *select = node->select_stmt;
    if (!statement->subscribe->is_relation || select->n_from_clause != 1 ||
        select->from_clause[0]->node_case != PG_QUERY__NODE__NODE_RANGE_VAR)
        return NULL;
    return select->from_clause[0]->range_var;
}

static bool find_relation(struct subscribe_run *run, const struct statement *statement, struct error *err)
{
    struct session *session = run->session;
    const PgQuery__RangeVar *name = subscribed_relation(statement);
    if (name == NULL) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "SUBSCRIBE to a query is not supported");
        return error_hint(err, "Create a materialized view of the query and subscribe to that.");
    }
    struct catalog *catalog = session->server->catalog;
    struct planner_context ctx;
    catalog_read_lock(catalog);
    planner_init(&ctx, &run->arena, catalog, &session->env);
    ctx.sql = statement->sql;
    struct catalog_object *object = NULL;
    bool ok = planner_relation(&ctx, name, &object, err);
    if (ok && (object->relation == NULL || object->kind == CATALOG_EXTERNAL_TABLE)) {
        ok = error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot subscribe to \"%s\"", object->name);
        error_hint(err, object->kind == CATALOG_VIEW
                            ? "Only tables, streams and materialized views can be followed; "
                              "make it a materialized view."
                            : "Only tables, streams and materialized views can be followed.");
    }
    if (ok) {
        catalog_object_retain(object);
        run->object = object;
        run->relation = object->relation;
    }
    catalog_unlock(catalog);
    return ok;
}

static void name_columns(struct subscribe_run *run)
{
    uint32_t count = run->object->columns_count;
    run->columns_count = count + 2;
    run->names = ARENA_ARRAY(&run->arena, const char *, count + 2);
    run->types = ARENA_ARRAY(&run->arena, struct sql_type, count + 2);
    run->names[0] = "epoch";
    run->names[1] = "diff";
    run->types[0] = run->types[1] = (struct sql_type){.oid = OID_INT8, .typmod = -1};
    for (uint32_t i = 0; i < count; i++) {
        run->names[i + 2] = run->object->columns[i].name;
        run->types[i + 2] = run->object->columns[i].type;
    }
}

bool subscribe_open(struct session *session, const struct statement *statement, struct subscribe_run **out,
                    struct error *err)
{
    if (statement->subscribe->has_as_of) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "SUBSCRIBE AS OF is not supported");
        return error_hint(err, "Without it the stream begins with the newest rows.");
    }
    struct subscribe_run *run = mem_zalloc(sizeof(*run));
    run->session = session;
    run->progress = statement->subscribe->progress;
    arena_init(&run->arena, &session->account);
    arena_init(&run->batch_arena, &session->account);
    if (!find_relation(run, statement, err) ||
        !engine_subscribe(session->server->engine, run->relation, run->object->columns_count,
                          &run->subscription, &run->snapshot, err)) {
        subscribe_close(run);
        return false;
    }
    name_columns(run);
    run->epoch_given = run->snapshot;
    if (statement->subscribe->snapshot) {
        relation_scan_start(&run->scan, run->relation, run->snapshot, &session->account);
        run->scanning = true;
    } else {
        snapshot_close(engine_snapshots(session->server->engine), run->snapshot);
        run->snapshot = 0;
    }
    *out = run;
    return true;
}

static void end_scan(struct subscribe_run *run)
{
    if (run->scanning)
        relation_scan_end(&run->scan);
    run->scanning = false;
    if (run->snapshot != 0)
        snapshot_close(engine_snapshots(run->session->server->engine), run->snapshot);
    run->snapshot = 0;
}

void subscribe_close(struct subscribe_run *run)
{
    if (run == NULL)
        return;
    end_scan(run);
    if (run->subscription != NULL)
        subscription_end(run->subscription);
    if (run->object != NULL)
        catalog_object_release(run->object);
    arena_release(&run->batch_arena);
    arena_release(&run->arena);
    mem_free(run);
}

void subscribe_columns(const struct subscribe_run *run, uint32_t *count, const char ***names,
                       struct sql_type **types)
{
    *count = run->columns_count;
    *names = run->names;
    *types = run->types;
}

/* The next part of what is pending, with epoch and diff before it. */
static const struct batch *give_pending(struct subscribe_run *run, uint32_t rows_max)
{
    uint32_t count = run->pending->rows - run->pending_at;
    if (count > rows_max)
        count = rows_max;
    if (count > BATCH_ROWS_MAX)
        count = BATCH_ROWS_MAX;
    arena_reset(&run->batch_arena);
    const struct batch *part = batch_slice(&run->batch_arena, run->pending, run->pending_at, count);
    struct batch *out = batch_header(&run->batch_arena, run->columns_count);
    out->rows = count;
    column_init(&out->columns[0], run->types[0], count, &run->batch_arena);
    column_init(&out->columns[1], run->types[1], count, &run->batch_arena);
    int64_t *epochs = out->columns[0].data, *diffs = out->columns[1].data;
    for (uint32_t i = 0; i < count; i++) {
        epochs[i] = (int64_t)run->pending_epoch;
        diffs[i] = batch_weight(part, i);
    }
    for (uint32_t c = 0; c + 2 < run->columns_count; c++)
        out->columns[c + 2] = part->columns[c];
    run->pending_at += count;
    if (run->pending_at == run->pending->rows)
        run->pending = NULL;
    return out;
}

static const struct batch *give_progress(struct subscribe_run *run, uint64_t epoch)
{
    arena_reset(&run->batch_arena);
    struct batch *out = batch_create(&run->batch_arena, run->types, run->columns_count, 1);
    struct datum *values = ARENA_ARRAY(&run->batch_arena, struct datum, run->columns_count);
    values[0] = datum_i64((int64_t)epoch);
    for (uint32_t i = 1; i < run->columns_count; i++)
        values[i] = datum_null();
    batch_append_datums(out, values, 1);
    run->progress_given = epoch;
    return out;
}

bool subscribe_next(struct subscribe_run *run, int64_t deadline_ns, uint32_t rows_max,
                    const struct batch **rows, struct error *err)
{
    *rows = NULL;
    for (;;) {
        if (run->pending != NULL) {
            *rows = give_pending(run, rows_max);
            return true;
        }
        if (atomic_load(&run->session->cancel))
            return error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
        if (run->scanning) {
            run->pending = relation_scan_next(&run->scan);
            run->pending_at = 0;
            run->pending_epoch = run->snapshot;
            if (run->pending == NULL)
                end_scan(run);
            else if (run->pending->rows == 0)
                run->pending = NULL;
            continue;
        }
        if (run->progress && run->progress_given < run->epoch_given) {
            *rows = give_progress(run, run->epoch_given);
            return true;
        }
        const struct batch *changes;
        uint64_t epoch;
        if (!subscription_next(run->subscription, deadline_ns, &run->session->cancel, &epoch, &changes, err))
            return false;
        run->epoch_given = epoch;
        if (changes != NULL && changes->rows > 0) {
            run->pending = changes;
            run->pending_at = 0;
            run->pending_epoch = epoch;
            continue;
        }
        if (run->progress && run->progress_given < epoch)
            continue;
        if (deadline_ns != 0 && clock_monotonic_ns() >= deadline_ns)
            return true;
    }
}

bool subscribe_stream(struct connection *connection, struct subscribe_run *run, struct result_sink *sink,
                      struct error *err)
{
    bool stop = false, idle = false;
    while (!stop) {
        const struct batch *rows;
        if (!subscribe_next(run, idle ? clock_monotonic_ns() + PEER_CHECK_NS : 1, UINT32_MAX, &rows, err))
            return false;
        if (rows != NULL) {
            idle = false;
            if (!sink->rows(sink, rows, &stop, err))
                return false;
            continue;
        }
        /* nothing more for now: what there is goes out */
        if (!wire_flush(&connection->wire) || wire_peer_gone(&connection->wire)) {
            connection->wire.broken = true;
            return error_set(err, ERRCODE_CONNECTION_FAILURE, "connection to client lost");
        }
        idle = true;
    }
    return true;
}

bool run_subscribe(struct connection *connection, struct prepared *prepared, struct result_sink *sink,
                   char *tag, struct error *err)
{
    struct subscribe_run *run;
    if (!subscribe_open(&connection->session, prepared->statement, &run, err))
        return false;
    bool ok = sink->describe(sink, run->columns_count, run->names, run->types, err) &&
              subscribe_stream(connection, run, sink, err);
    subscribe_close(run);
    snprintf(tag, 64, "SUBSCRIBE");
    return ok;
}
