/* tick_log.c: ticks into log.db, in groups, by one thread.
 *
 * tick_log_append turns the rows into bytes on the caller's thread; the log thread compresses them, writes
 * everything that waits in one SQLite transaction, and tells each tick's owner. A tick's body is cut into
 * pieces of at most PIECE_BYTES_MAX, one row each: (epoch, piece). The last one of a tick is marked; since a
 * transaction is all or nothing, a tick is never there in part. */
#include "storage/disk/tick_log.h"

#include "storage/base/clock.h"
#include "storage/disk/sqlite_door.h"

#include <pthread.h>
#include <stdatomic.h>
#include <xxhash.h>
#include <zstd.h>

#define PIECE_BYTES_MAX    ((size_t)64 << 20)
#define COMPRESS_BYTES_MIN ((size_t)1024)
#define GROUP_BYTES_MAX                                                                                      \
    ((size_t)128 << 20) /* one commit takes no more than this unless a tick alone is larger */

static const char schema[] =
    "CREATE TABLE tick(epoch INTEGER NOT NULL, piece INTEGER NOT NULL, is_last INTEGER NOT NULL,"
    " clock_us INTEGER NOT NULL, seed INTEGER NOT NULL, raw_bytes INTEGER NOT NULL, checksum INTEGER NOT "
    "NULL,"
    " body BLOB NOT NULL, PRIMARY KEY(epoch, piece)) WITHOUT ROWID;";

struct waiting_tick {
    struct waiting_tick *next;
    uint64_t epoch;
    int64_t clock_us;
    uint64_t seed;
    struct strbuf body;
    void (*done)(void *ctx, uint64_t epoch, const struct error *err);
    void *ctx;
};

struct tick_log {
    sqlite3 *db;
    sqlite3_stmt *insert;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct waiting_tick *first, *last;
    bool stopping;
    struct error failure; /* log thread; code NONE: all is well */
    _Atomic uint64_t last_epoch, ticks, commits, bytes;
    _Atomic int64_t sync_ns;
};

/* ---- bytes of a tick ---- */

static void add_u32(struct strbuf *out, uint32_t value)
{
    strbuf_add(out, &value, sizeof(value));
}

static void add_u64(struct strbuf *out, uint64_t value)
{
    strbuf_add(out, &value, sizeof(value));
}

/* entries_count, then per entry: oid, length, batch_serialize's bytes; for a range the length RANGE_MARK, then
 * first, count, clock. */
#define RANGE_MARK  UINT64_MAX
#define RANGE_BYTES 20u

static void serialize(struct strbuf *out, const struct tick_log_entry *entries, uint32_t entries_count)
{
    add_u32(out, entries_count);
    for (uint32_t i = 0; i < entries_count; i++) {
        add_u32(out, entries[i].relation_oid);
        const struct source_range *range = entries[i].range;
        if (range != NULL) {
            add_u64(out, RANGE_MARK);
            add_u64(out, range->first);
            add_u32(out, range->count);
            add_u64(out, (uint64_t)range->clock_us);
            continue;
        }
        size_t at = out->len;
        add_u64(out, 0);
        batch_serialize(entries[i].rows, out);
        uint64_t len = out->len - at - sizeof(len);
        memcpy(out->data + at, &len, sizeof(len));
    }
}

static bool insert_piece(struct tick_log *log, const struct waiting_tick *tick, int piece, bool is_last,
                         const char *bytes, size_t len)
{
    const void *stored = bytes;
    size_t stored_bytes = len;
    void *compressed = NULL;
    if (len >= COMPRESS_BYTES_MIN) {
        size_t bound = ZSTD_compressBound(len);
        compressed = mem_alloc(bound);
        size_t smaller = ZSTD_compress(compressed, bound, bytes, len, 1);
        if (!ZSTD_isError(smaller) && smaller < len) {
            stored = compressed;
            stored_bytes = smaller;
        }
    }
    sqlite3_stmt *stmt = log->insert;
    sqlite3_reset(stmt);
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)tick->epoch);
    sqlite3_bind_int(stmt, 2, piece);
    sqlite3_bind_int(stmt, 3, is_last);
    sqlite3_bind_int64(stmt, 4, tick->clock_us);
    sqlite3_bind_int64(stmt, 5, (sqlite3_int64)tick->seed);
    sqlite3_bind_int64(stmt, 6, (sqlite3_int64)len);
    sqlite3_bind_int64(stmt, 7, (sqlite3_int64)XXH3_64bits(stored, stored_bytes));
    sqlite3_bind_blob64(stmt, 8, stored, stored_bytes, SQLITE_STATIC);
    bool ok = sqlite3_step(stmt) == SQLITE_DONE;
    sqlite3_clear_bindings(stmt);
    atomic_fetch_add(&log->bytes, stored_bytes);
    mem_free(compressed);
    return ok;
}

static bool write_group(struct tick_log *log, const struct waiting_tick *first, struct error *err)
{
    if (!sqlite_door_exec(log->db, "log.db", "BEGIN IMMEDIATE", err))
        return false;
    bool ok = true;
    for (const struct waiting_tick *tick = first; ok && tick != NULL; tick = tick->next) {
        size_t at = 0;
        int piece = 0;
        do {
            size_t len = tick->body.len - at < PIECE_BYTES_MAX ? tick->body.len - at : PIECE_BYTES_MAX;
            ok = insert_piece(log, tick, piece++, at + len == tick->body.len, tick->body.data + at, len);
            at += len;
        } while (ok && at < tick->body.len);
    }
    if (!ok)
        sqlite_door_error(log->db, "log.db", "write", err);
    sqlite3_reset(log->insert);
    int64_t start_ns = clock_monotonic_ns();
    if (ok)
        ok = sqlite_door_exec(log->db, "log.db", "COMMIT", err);
    atomic_fetch_add(&log->sync_ns, clock_monotonic_ns() - start_ns);
    if (!ok)
        sqlite3_exec(log->db, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

/* Takes what waits, up to GROUP_BYTES_MAX; under the lock. */
static struct waiting_tick *take_group(struct tick_log *log)
{
    struct waiting_tick *first = log->first, *last = first;
    size_t bytes = first->body.len;
    while (last->next != NULL && bytes + last->next->body.len <= GROUP_BYTES_MAX) {
        last = last->next;
        bytes += last->body.len;
    }
    log->first = last->next;
    if (log->first == NULL)
        log->last = NULL;
    last->next = NULL;
    return first;
}

static void *log_main(void *arg)
{
    struct tick_log *log = arg;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (log->first == NULL && !log->stopping)
            pthread_cond_wait(&log->cond, &log->lock);
        if (log->first == NULL)
            break;
        struct waiting_tick *group = take_group(log);
        pthread_mutex_unlock(&log->lock);
        if (log->failure.code == ERRCODE_NONE) {
            struct error error;
            error_init(&error);
            if (!write_group(log, group, &error))
                log->failure = error;
            else
                atomic_fetch_add(&log->commits, 1);
        }
        bool ok = log->failure.code == ERRCODE_NONE;
        while (group != NULL) {
            struct waiting_tick *next = group->next;
            if (ok) {
                atomic_store(&log->last_epoch, group->epoch);
                atomic_fetch_add(&log->ticks, 1);
            }
            group->done(group->ctx, group->epoch, ok ? NULL : &log->failure);
            strbuf_release(&group->body);
            mem_free(group);
            group = next;
        }
        pthread_mutex_lock(&log->lock);
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

/* ---- public ---- */

static bool read_last(struct tick_log *log, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_prepare_v2(log->db, "SELECT coalesce(max(epoch), 0) FROM tick", -1, &stmt, NULL) ==
                  SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_ROW;
    if (ok)
        atomic_store(&log->last_epoch, (uint64_t)sqlite3_column_int64(stmt, 0));
    else
        sqlite_door_error(log->db, "log.db", "read", err);
    sqlite3_finalize(stmt);
    return ok;
}

bool tick_log_open(const char *dir, bool may_create, struct tick_log **out, struct error *err)
{
    struct tick_log *log = mem_zalloc(sizeof(*log));
    error_init(&log->failure);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->cond, NULL);
    bool ok = sqlite_door_open(dir, "log.db", schema, may_create, &log->db, err) && read_last(log, err);
    if (ok && sqlite3_prepare_v2(log->db, "INSERT INTO tick VALUES (?, ?, ?, ?, ?, ?, ?, ?)", -1,
                                 &log->insert, NULL) != SQLITE_OK)
        ok = sqlite_door_error(log->db, "log.db", "open", err);
    if (!ok) {
        sqlite3_close(log->db);
        mem_free(log);
        return false;
    }
    CHECK(pthread_create(&log->thread, NULL, log_main, log) == 0);
    *out = log;
    return true;
}

void tick_log_close(struct tick_log *log)
{
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    pthread_cond_signal(&log->cond);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->thread, NULL);
    sqlite3_finalize(log->insert);
    sqlite3_close(log->db);
    pthread_mutex_destroy(&log->lock);
    pthread_cond_destroy(&log->cond);
    mem_free(log);
}

uint64_t tick_log_last(struct tick_log *log)
{
    return atomic_load(&log->last_epoch);
}

void tick_log_append(struct tick_log *log, uint64_t epoch, int64_t clock_us, uint64_t seed,
                     const struct tick_log_entry *entries, uint32_t entries_count,
                     void (*done)(void *ctx, uint64_t epoch, const struct error *err), void *ctx)
{
    struct waiting_tick *tick = mem_zalloc(sizeof(*tick));
    tick->epoch = epoch;
    tick->clock_us = clock_us;
    tick->seed = seed;
    tick->done = done;
    tick->ctx = ctx;
    serialize(&tick->body, entries, entries_count);
    pthread_mutex_lock(&log->lock);
    if (log->last != NULL)
        log->last->next = tick;
    else
        log->first = tick;
    log->last = tick;
    pthread_cond_signal(&log->cond);
    pthread_mutex_unlock(&log->lock);
}

/* ---- reading ---- */

static bool damaged(uint64_t epoch, struct error *err)
{
    return error_set(err, ERRCODE_DATA_CORRUPTED, "file \"log.db\" is damaged at epoch %llu",
                     (unsigned long long)epoch);
}

/* Appends one row's piece of the body. */
static bool read_piece(sqlite3_stmt *stmt, uint64_t epoch, struct strbuf *body, struct error *err)
{
    const void *stored = sqlite3_column_blob(stmt, 7);
    size_t stored_bytes = (size_t)sqlite3_column_bytes(stmt, 7);
    size_t raw_bytes = (size_t)sqlite3_column_int64(stmt, 5);
    if (stored == NULL || raw_bytes > PIECE_BYTES_MAX ||
        (uint64_t)sqlite3_column_int64(stmt, 6) != XXH3_64bits(stored, stored_bytes))
        return damaged(epoch, err);
    if (stored_bytes == raw_bytes) {
        strbuf_add(body, stored, stored_bytes);
        return true;
    }
    strbuf_reserve(body, raw_bytes);
    size_t got = ZSTD_decompress(body->data + body->len, raw_bytes, stored, stored_bytes);
    if (ZSTD_isError(got) || got != raw_bytes)
        return damaged(epoch, err);
    body->len += got;
    body->data[body->len] = '\0';
    return true;
}

typedef bool (*visit_fn)(void *ctx, uint64_t epoch, int64_t clock_us, uint64_t seed,
                         const struct tick_log_raw *entries, uint32_t count, struct error *err);

static void read_range(const uint8_t *bytes, struct source_range *out)
{
    memcpy(&out->first, bytes, 8);
    memcpy(&out->count, bytes + 8, 4);
    memcpy(&out->clock_us, bytes + 12, 8);
}

static bool visit_body(const struct strbuf *body, uint64_t epoch, int64_t clock_us, uint64_t seed,
                       visit_fn visit, void *ctx, struct error *err)
{
    uint32_t count;
    size_t at = sizeof(count);
    if (body->len < at)
        return damaged(epoch, err);
    memcpy(&count, body->data, sizeof(count));
    if (count > body->len / (sizeof(uint32_t) + sizeof(uint64_t)))
        return damaged(epoch, err);
    struct tick_log_raw *entries = mem_alloc(sizeof(*entries) * (count + 1));
    bool ok = true;
    for (uint32_t i = 0; ok && i < count; i++) {
        uint64_t len = 0;
        ok = body->len - at >= sizeof(uint32_t) + sizeof(len);
        if (ok) {
            memcpy(&entries[i].relation_oid, body->data + at, sizeof(uint32_t));
            memcpy(&len, body->data + at + sizeof(uint32_t), sizeof(len));
            at += sizeof(uint32_t) + sizeof(len);
            bool is_range = len == RANGE_MARK;
            if (is_range)
                len = RANGE_BYTES;
            ok = body->len - at >= len;
            if (is_range) {
                if (ok)
                    read_range((const uint8_t *)body->data + at, &entries[i].range);
                entries[i].bytes = NULL;
                at += ok ? RANGE_BYTES : 0;
                continue;
            }
            entries[i].bytes = (const uint8_t *)body->data + at;
            entries[i].len = (size_t)len;
            at += (size_t)len;
        }
    }
    ok = ok ? visit(ctx, epoch, clock_us, seed, entries, count, err) : damaged(epoch, err);
    mem_free(entries);
    return ok;
}

bool tick_log_read(struct tick_log *log, uint64_t after, visit_fn visit, void *ctx, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(log->db,
                           "SELECT epoch, piece, is_last, clock_us, seed, raw_bytes, checksum, body FROM tick"
                           " WHERE epoch > ? ORDER BY epoch, piece",
                           -1, &stmt, NULL) != SQLITE_OK)
        return sqlite_door_error(log->db, "log.db", "read", err);
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)after);
    struct strbuf body = STRBUF_INIT;
    bool ok = true;
    int step, next_piece = 0;
    while (ok && (step = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (step != SQLITE_ROW) {
            ok = sqlite_door_error(log->db, "log.db", "read", err);
            break;
        }
        uint64_t epoch = (uint64_t)sqlite3_column_int64(stmt, 0);
        ok = sqlite3_column_int(stmt, 1) == next_piece ? read_piece(stmt, epoch, &body, err)
                                                       : damaged(epoch, err);
        next_piece++;
        if (ok && sqlite3_column_int(stmt, 2)) {
            ok = visit_body(&body, epoch, sqlite3_column_int64(stmt, 3),
                            (uint64_t)sqlite3_column_int64(stmt, 4), visit, ctx, err);
            strbuf_reset(&body);
            next_piece = 0;
        }
    }
    strbuf_release(&body);
    sqlite3_finalize(stmt);
    return ok;
}

bool tick_log_decode(const struct tick_log_raw *entry, struct batch *batch, struct error *err)
{
    size_t used;
    if (!batch_deserialize(batch, entry->bytes, entry->len, &used, err))
        return false;
    if (used != entry->len)
        return error_set(err, ERRCODE_DATA_CORRUPTED,
                         "file \"log.db\" holds rows that do not fit relation %u", entry->relation_oid);
    return true;
}

void tick_log_stats(struct tick_log *log, struct tick_log_stats *out)
{
    *out = (struct tick_log_stats){.ticks = atomic_load(&log->ticks),
                                   .commits = atomic_load(&log->commits),
                                   .bytes = atomic_load(&log->bytes),
                                   .sync_ns = atomic_load(&log->sync_ns)};
}
