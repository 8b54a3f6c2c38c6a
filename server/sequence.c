/* sequence.c: see sequence.h. A sequence's memory lives as long as the process: objects of any age may point
 * to it. */
#include "server/sequence.h"

#include "planner/ddl.h"
#include "storage/base/log.h"

#include <pthread.h>
#include <string.h>

#define RESERVE_MIN 32 /* values between two writes */

struct sequence {
    struct sequence *next; /* in server->sequences; made under the DDL lock */
    pthread_mutex_t lock;
    struct relation *relation;
    int64_t start, increment, min, max;
    bool cycle;
    int64_t last;
    bool called;
    /* the row on disk; has_row false: none yet */
    bool has_row;
    int64_t row_last;
    bool row_called;
};

void sequence_set_columns(struct catalog_object *object)
{
    static const struct {
        const char *name;
        uint32_t oid;
    } columns[] = {{"last_value", OID_INT8}, {"log_cnt", OID_INT8}, {"is_called", OID_BOOL}};
    object->columns_count = ARRAY_COUNT(columns);
    object->columns = ARENA_ARRAY(&object->arena, struct catalog_column, ARRAY_COUNT(columns));
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        object->columns[i].name = columns[i].name;
        object->columns[i].type = (struct sql_type){.oid = columns[i].oid, .typmod = -1};
        object->columns[i].not_null = true;
    }
}

void sequence_attach(struct server *server, struct catalog_object *object)
{
    struct sequence *sequence = mem_zalloc(sizeof(*sequence));
    pthread_mutex_init(&sequence->lock, NULL);
    sequence->relation = object->relation;
    relation_retain(sequence->relation);
    sequence->start = sequence->last = object->sequence_start;
    sequence->increment = object->sequence_increment;
    sequence->min = object->sequence_min;
    sequence->max = object->sequence_max;
    sequence->cycle = object->sequence_cycle;
    struct snapshots *snapshots = engine_snapshots(server->engine);
    uint64_t snapshot = snapshot_open(snapshots, 0);
    struct relation_scan scan;
    relation_scan_start(&scan, sequence->relation, snapshot, NULL);
    for (const struct batch *rows; (rows = relation_scan_next(&scan)) != NULL;) {
        if (rows->rows == 0)
            continue;
        sequence->has_row = true;
        sequence->last = sequence->row_last = column_get(&rows->columns[0], 0).i64;
        sequence->called = sequence->row_called = column_get(&rows->columns[2], 0).boolean;
    }
    relation_scan_end(&scan);
    snapshot_close(snapshots, snapshot);
    object->sequence = sequence;
    sequence->next = server->sequences;
    server->sequences = sequence;
}

/* The row on disk becomes this. */
static bool write_row(struct server *server, struct sequence *sequence, int64_t last, bool called,
                      struct error *err)
{
    if (sequence->has_row && sequence->row_last == last && sequence->row_called == called)
        return true;
    struct arena arena;
    arena_init(&arena, NULL);
    const struct sql_type *types;
    uint32_t columns = relation_columns(sequence->relation, &types);
    struct batch *rows = batch_create(&arena, types, columns, 2);
    if (sequence->has_row) {
        struct datum old[] = {datum_i64(sequence->row_last), datum_i64(0), datum_bool(sequence->row_called)};
        batch_append_datums(rows, old, -1);
    }
    struct datum fresh[] = {datum_i64(last), datum_i64(0), datum_bool(called)};
    batch_append_datums(rows, fresh, 1);
    struct txn_change change = {sequence->relation, rows, NULL};
    struct engine_txn txn = {.changes_count = 1, .changes = &change};
    uint64_t epoch;
    bool ok = engine_commit(server->engine, &txn, NULL, &epoch, err);
    if (ok) {
        sequence->has_row = true;
        sequence->row_last = last;
        sequence->row_called = called;
    }
    arena_release(&arena);
    return ok;
}

void sequences_close(struct server *server)
{
    struct error err;
    uint32_t cursor = FIRST_USER_OID;
    for (struct catalog_object *object; (object = catalog_next(server->catalog, &cursor)) != NULL;) {
        struct sequence *sequence = object->sequence;
        if (sequence != NULL && sequence->has_row &&
            !write_row(server, sequence, sequence->last, sequence->called, &err))
            log_write(LOG_WARNING, "sequence %s keeps a gap: %s", object->name, err.message);
    }
    while (server->sequences != NULL) {
        struct sequence *sequence = server->sequences;
        server->sequences = sequence->next;
        relation_release(sequence->relation);
        pthread_mutex_destroy(&sequence->lock);
        mem_free(sequence);
    }
}

static bool step(const struct catalog_object *object, struct sequence *sequence, int64_t *value,
                 struct error *err)
{
    if (!sequence->called) {
        sequence->called = true;
        *value = sequence->last;
        return true;
    }
    int64_t next;
    bool over = __builtin_add_overflow(sequence->last, sequence->increment, &next) || next > sequence->max ||
                next < sequence->min;
    if (over && !sequence->cycle)
        return error_set(err, ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
                         "nextval: reached %s value of sequence \"%s\" (%lld)",
                         sequence->increment > 0 ? "maximum" : "minimum", object->name,
                         (long long)(sequence->increment > 0 ? sequence->max : sequence->min));
    if (over)
        next = sequence->increment > 0 ? sequence->min : sequence->max;
    *value = sequence->last = next;
    return true;
}

/* Is `value` within what the row on disk has reserved? */
static bool reserved(const struct sequence *sequence, int64_t value)
{
    if (!sequence->has_row || !sequence->row_called)
        return false;
    return sequence->increment > 0 ? value <= sequence->row_last : value >= sequence->row_last;
}

bool sequence_next(struct server *server, const struct catalog_object *object, uint32_t count,
                   int64_t *values, struct error *err)
{
    struct sequence *sequence = object->sequence;
    pthread_mutex_lock(&sequence->lock);
    int64_t last_before = sequence->last;
    bool called_before = sequence->called, ok = true;
    for (uint32_t i = 0; i < count && ok; i++) {
        ok = step(object, sequence, &values[i], err);
        if (ok && sequence->cycle) {
            /* a reserve says nothing where values wrap around */
            if (i + 1 == count)
                ok = write_row(server, sequence, sequence->last, true, err);
        } else if (ok && !reserved(sequence, values[i])) {
            uint32_t more = count - i > RESERVE_MIN ? count - i : RESERVE_MIN;
            int64_t ahead, ceiling;
            if (__builtin_mul_overflow(sequence->increment, (int64_t)more, &ahead) ||
                __builtin_add_overflow(values[i], ahead, &ceiling) || ceiling > sequence->max ||
                ceiling < sequence->min)
                ceiling = values[i]; /* near the end: one by one */
            ok = write_row(server, sequence, ceiling, true, err);
        }
    }
    if (!ok) {
        sequence->last = last_before;
        sequence->called = called_before;
    }
    pthread_mutex_unlock(&sequence->lock);
    return ok;
}

bool sequence_set(struct server *server, const struct catalog_object *object, int64_t value, bool is_called,
                  struct error *err)
{
    struct sequence *sequence = object->sequence;
    if (value < sequence->min || value > sequence->max)
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                         "setval: value %lld is out of bounds for sequence \"%s\" (%lld..%lld)",
                         (long long)value, object->name, (long long)sequence->min, (long long)sequence->max);
    pthread_mutex_lock(&sequence->lock);
    bool ok = write_row(server, sequence, value, is_called, err);
    if (ok) {
        sequence->last = value;
        sequence->called = is_called;
    }
    pthread_mutex_unlock(&sequence->lock);
    return ok;
}

bool sequence_last_value(const struct catalog_object *object, int64_t *value)
{
    struct sequence *sequence = object->sequence;
    if (sequence == NULL)
        return false;
    pthread_mutex_lock(&sequence->lock);
    bool called = sequence->called;
    *value = sequence->last;
    pthread_mutex_unlock(&sequence->lock);
    return called;
}

bool sequence_restart_owned(struct server *server, uint32_t table_oid, struct error *err)
{
    bool ok = true;
    catalog_read_lock(server->catalog);
    uint32_t cursor = FIRST_USER_OID;
    for (struct catalog_object *object; ok && (object = catalog_next(server->catalog, &cursor)) != NULL;)
        if (object->kind == CATALOG_SEQUENCE && object->index_of == table_oid)
            ok = sequence_set(server, object, object->sequence_start, false, err);
    catalog_unlock(server->catalog);
    return ok;
}

void sequence_forget_values(struct session *session)
{
    while (session->sequence_values != NULL) {
        struct sequence_value *value = session->sequence_values;
        session->sequence_values = value->next;
        mem_free(value);
    }
}
