/* fn_source.c: wait_for(): a reader waits until a record of a source can be seen.
 *
 * What a source has read is in its relation of progress, together with the rows: following that relation is all there is to
 * it. Runs on the thread of its session. */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"
#include "server/session.h"
#include "server/source_parts.h"
#include "server/source_progress.h"
#include "server/sysview.h"
#include "storage/base/clock.h"

/* The source's relation of progress, held; NULL: it has none. */
static struct relation *find_progress(struct session *session, uint32_t oid, struct error *err)
{
    struct catalog *catalog = session->server->catalog;
    catalog_read_lock(catalog);
    const struct catalog_object *source = catalog_find_oid(catalog, oid),
                                *progress = source_part_find(catalog, oid, CATALOG_ROLE_PROGRESS);
    struct relation *relation = progress != NULL ? progress->relation : NULL;
    if (relation != NULL)
        relation_retain(relation);
    else
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is not read from a log with offsets",
                  source != NULL ? source->name : "");
    catalog_unlock(catalog);
    return relation;
}

static bool has_passed(const struct batch *rows, int32_t partition, int64_t offset)
{
    for (uint32_t row = 0; rows != NULL && row < rows->rows; row++)
        if (batch_weight(rows, row) > 0 && COLUMN_I32(&rows->columns[PROGRESS_PARTITION])[row] == partition &&
            COLUMN_I64(&rows->columns[PROGRESS_NEXT_OFFSET])[row] > offset)
            return true;
    return false;
}

static bool follow(struct session *session, struct relation *progress, int32_t partition, int64_t offset,
                   int64_t deadline_ns, bool *passed, struct error *err)
{
    struct engine *engine = session->server->engine;
    struct subscription *subscription;
    struct relation_scan scan;
    const struct batch *rows;
    uint64_t epoch;
    if (!engine_subscribe(engine, progress, relation_columns(progress, NULL), &subscription, &epoch, err))
        return false;
    relation_scan_start(&scan, progress, epoch, &session->account);
    while ((rows = relation_scan_next(&scan)) != NULL)
        *passed |= has_passed(rows, partition, offset);
    relation_scan_end(&scan);
    snapshot_close(engine_snapshots(engine), epoch);
    bool ok = true;
    while (ok && !*passed && clock_monotonic_ns() < deadline_ns) {
        ok = subscription_next(subscription, deadline_ns, &session->cancel, &epoch, &rows, err);
        *passed = ok && has_passed(rows, partition, offset);
    }
    subscription_end(subscription);
    return ok;
}

/* NULL: a minute. */
static int64_t deadline(const struct interval *timeout)
{
    static const struct interval minute = {.us = 60000000};
    timeout = timeout != NULL ? timeout : &minute;
    double ns = ((double)timeout->us + ((double)timeout->days + 30.0 * timeout->months) * 86400e6) * 1000;
    int64_t now = clock_monotonic_ns();
    return ns >= (double)(INT64_MAX - 1 - now) ? INT64_MAX - 1 : ns <= 0 ? now : now + (int64_t)ns;
}

static void fn_wait_for(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call->env->session != NULL ? call->env->session->session : NULL;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error error;
        bool passed = false;
        RESULT_BOOL(result)[i] = 0;
        if (column_is_null(result, i))
            continue;
        if (session == NULL) {
            fn_error(call, i, ERRCODE_FEATURE_NOT_SUPPORTED, "wait_for() cannot be used here");
            continue;
        }
        uint32_t oid = (uint32_t)COLUMN_I32(&args[0])[COLUMN_AT(&args[0], i)];
        struct relation *progress = find_progress(session, oid, &error);
        bool ok =
            progress != NULL &&
            follow(session, progress, COLUMN_I32(&args[1])[COLUMN_AT(&args[1], i)],
                   COLUMN_I64(&args[2])[COLUMN_AT(&args[2], i)],
                   deadline(call->args_count > 3 ? &COLUMN_INTERVAL(&args[3])[COLUMN_AT(&args[3], i)] : NULL),
                   &passed, &error);
        if (progress != NULL)
            relation_release(progress);
        if (!ok)
            fn_error_from(call, i, &error);
        RESULT_BOOL(result)[i] = passed;
    }
}

const struct function_row fn_source_rows[] = {
    {"wait_for", "regclass,int4,int8", "bool", fn_wait_for,
     "wait_for('orders', 3, 1017): the same for a minute at most", FN_VOLATILE},
    {"wait_for", "regclass,int4,int8,interval", "bool", fn_wait_for,
     "wait_for('orders', 3, 1017, timeout => '5 s'): true when statements from now on see the record of "
     "partition 3 "
     "at offset 1017",
     FN_VOLATILE},
};
const size_t fn_source_rows_count = ARRAY_COUNT(fn_source_rows);
