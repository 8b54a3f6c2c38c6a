/* tick_log.c: ticks into log.db, in groups, by one thread.
 *
 * tick_log_append turns the rows into bytes on the caller's thread and hands them over in pieces of about
 * PIECE_BYTES, so that the log thread compresses the first while the next is made; its buffers are used again. The
 * log thread writes everything that waits in one SQLite transaction and tells each tick's owner. A piece is one row:
 * (epoch, piece). The last one of a tick is marked; no transaction ends within a tick, so a tick is never there in
 * part. */
#include "storage/disk/tick_log.h"

#include "storage/base/clock.h"
#include "storage/disk/sqlite_door.h"

#include <pthread.h>
#include <stdatomic.h>
#include <xxhash.h>
#include <zstd.h>

#define PIECE_BYTES        ((size_t)1 << 20)
#define PIECE_BYTES_MAX    ((size_t)64 << 20)
#define SLICE_ROWS         4096u /* of one entry */
#define COMPRESS_BYTES_MIN ((size_t)1024)
#define COMPRESS_LEVEL     1
#define WAITING_BYTES_MAX  ((size_t)64 << 20) /* who appends waits beyond this */
#define SPARES_MAX         16u                /* buffers kept for the next pieces */

static const char schema[] =
    "CREATE TABLE tick(epoch INTEGER NOT NULL, piece INTEGER NOT NULL, is_last INTEGER NOT NULL,"
    " clock_us INTEGER NOT NULL, seed INTEGER NOT NULL, raw_bytes INTEGER NOT NULL, checksum INTEGER NOT "
    "NULL,"
    " body BLOB NOT NULL, PRIMARY KEY(epoch, piece)) WITHOUT ROWID;";

struct tick_head {
    uint64_t epoch;
    int64_t clock_us;
    uint64_t seed;
    void (*done)(void *ctx, uint64_t epoch, const struct error *err);
    void *ctx;
};

/* Of a tick, or all of it. */
struct piece {
    struct piece *next;
    struct tick_head tick;
    bool is_last;
    struct strbuf bytes;
};

struct pieces {
    struct piece *first, *last;
};

struct tick_log {
    sqlite3 *db;
    sqlite3_stmt *insert;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond, room;
    struct pieces waiting;
    size_t waiting_bytes;
    struct piece *spares;
    uint32_t spares_count;
    bool stopping;
    /* the log thread's */
    bool writing;   /* a transaction is open */
    int next_piece; /* of the tick that is being written */
    ZSTD_CCtx *zstd;
    struct strbuf compressed;
    struct error failure; /* code NONE: all is well */
    _Atomic uint64_t last_epoch, ticks, commits, bytes;
    _Atomic int64_t sync_ns;
};

static void pieces_add(struct pieces *pieces, struct piece *piece)
{
    piece->next = NULL;
    if (pieces->last != NULL)
        pieces->last->next = piece;
    else
        pieces->first = piece;
    pieces->last = piece;
}

/* ---- buffers ---- */

static void piece_free(struct piece *piece)
{
    strbuf_release(&piece->bytes);
    mem_free(piece);
}

static struct piece *piece_get(struct tick_log *log, const struct tick_head *tick)
{
    pthread_mutex_lock(&log->lock);
    struct piece *piece = log->spares;
    if (piece != NULL) {
        log->spares = piece->next;
        log->spares_count--;
    }
    pthread_mutex_unlock(&log->lock);
    if (piece == NULL)
        piece = mem_zalloc(sizeof(*piece));
    piece->tick = *tick;
    return piece;
}

static void piece_put(struct tick_log *log, struct piece *piece)
{
    strbuf_reset(&piece->bytes);
    bool keep = piece->bytes.cap <= 4 * PIECE_BYTES;
    pthread_mutex_lock(&log->lock);
    keep = keep && log->spares_count < SPARES_MAX;
    if (keep) {
        piece->next = log->spares;
        log->spares = piece;
        log->spares_count++;
    }
    pthread_mutex_unlock(&log->lock);
    if (!keep)
        piece_free(piece);
}

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

static void add_range(struct strbuf *out, const struct source_range *range)
{
    add_u64(out, RANGE_MARK);
    add_u64(out, range->first);
    add_u32(out, range->count);
    add_u64(out, (uint64_t)range->clock_us);
}

static void add_rows(struct strbuf *out, const struct batch *rows)
{
    size_t at = out->len;
    add_u64(out, 0);
    batch_serialize(rows, out);
    uint64_t len = out->len - at - sizeof(len);
    memcpy(out->data + at, &len, sizeof(len));
}

static uint32_t slices(const struct tick_log_entry *entry)
{
    return entry->range != NULL || entry->rows->rows == 0 ? 1
                                                          : (entry->rows->rows + SLICE_ROWS - 1) / SLICE_ROWS;
}

/* ---- the log thread ---- */

static bool insert_piece(struct tick_log *log, const struct piece *piece, bool is_last, const char *bytes,
                         size_t len)
{
    const void *stored = bytes;
    size_t stored_bytes = len;
    if (len >= COMPRESS_BYTES_MIN) {
        strbuf_reset(&log->compressed);
        strbuf_reserve(&log->compressed, ZSTD_compressBound(len));
        size_t smaller = ZSTD_compressCCtx(log->zstd, log->compressed.data, ZSTD_compressBound(len), bytes,
                                           len, COMPRESS_LEVEL);
        if (!ZSTD_isError(smaller) && smaller < len) {
            stored = log->compressed.data;
            stored_bytes = smaller;
        }
    }
    sqlite3_stmt *stmt = log->insert;
    sqlite3_reset(stmt);
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)piece->tick.epoch);
    sqlite3_bind_int(stmt, 2, log->next_piece++);
    sqlite3_bind_int(stmt, 3, is_last);
    sqlite3_bind_int64(stmt, 4, piece->tick.clock_us);
    sqlite3_bind_int64(stmt, 5, (sqlite3_int64)piece->tick.seed);
    sqlite3_bind_int64(stmt, 6, (sqlite3_int64)len);
    sqlite3_bind_int64(stmt, 7, (sqlite3_int64)XXH3_64bits(stored, stored_bytes));
    sqlite3_bind_blob64(stmt, 8, stored, stored_bytes, SQLITE_STATIC);
    bool ok = sqlite3_step(stmt) == SQLITE_DONE;
    sqlite3_clear_bindings(stmt);
    atomic_fetch_add(&log->bytes, stored_bytes);
    return ok;
}

static bool write_piece(struct tick_log *log, const struct piece *piece, struct error *err)
{
    if (!log->writing && !sqlite_door_exec(log->db, "log.db", "BEGIN IMMEDIATE", err))
        return false;
    log->writing = true;
    size_t at = 0;
    bool ok = true;
    do { /* one row, unless a slice is huge */
        size_t left = piece->bytes.len - at, len = left < PIECE_BYTES_MAX ? left : PIECE_BYTES_MAX;
        ok = insert_piece(log, piece, piece->is_last && len == left, piece->bytes.data + at, len);
        at += len;
    } while (ok && at < piece->bytes.len);
    if (!ok)
        sqlite_door_error(log->db, "log.db", "write", err);
    if (piece->is_last)
        log->next_piece = 0;
    return ok;
}

static bool commit(struct tick_log *log, struct error *err)
{
    sqlite3_reset(log->insert);
    int64_t start_ns = clock_monotonic_ns();
    bool ok = sqlite_door_exec(log->db, "log.db", "COMMIT", err);
    atomic_fetch_add(&log->sync_ns, clock_monotonic_ns() - start_ns);
    log->writing = !ok;
    if (ok)
        atomic_fetch_add(&log->commits, 1);
    return ok;
}

/* The first error stays: every later tick fails with it. */
static void fail(struct tick_log *log, const struct error *err)
{
    log->failure = *err;
    sqlite3_reset(log->insert);
    if (log->writing)
        sqlite3_exec(log->db, "ROLLBACK", NULL, NULL, NULL);
    log->writing = false;
}

/* What waits, up to the last end of a tick; when there is none, the pieces of the tick that is being made. Under
 * the lock. */
static struct pieces take_waiting(struct tick_log *log)
{
    struct pieces taken = log->waiting;
    struct piece *end = NULL;
    for (struct piece *piece = taken.first; piece != NULL; piece = piece->next)
        end = piece->is_last ? piece : end;
    log->waiting = (struct pieces){NULL, NULL};
    if (end != NULL && end != taken.last) {
        log->waiting = (struct pieces){end->next, taken.last};
        end->next = NULL;
        taken.last = end;
    }
    for (struct piece *piece = taken.first; piece != NULL; piece = piece->next)
        log->waiting_bytes -= piece->bytes.len;
    pthread_cond_broadcast(&log->room);
    return taken;
}

static void tell_owners(struct tick_log *log, struct pieces *ticks)
{
    bool ok = log->failure.code == ERRCODE_NONE;
    struct piece *next;
    for (struct piece *piece = ticks->first; piece != NULL; piece = next) {
        next = piece->next;
        if (ok) {
            atomic_store(&log->last_epoch, piece->tick.epoch);
            atomic_fetch_add(&log->ticks, 1);
        }
        piece->tick.done(piece->tick.ctx, piece->tick.epoch, ok ? NULL : &log->failure);
        piece_put(log, piece);
    }
    *ticks = (struct pieces){NULL, NULL};
}

static void write_taken(struct tick_log *log, struct pieces taken)
{
    struct pieces ticks = {NULL, NULL}; /* last pieces, whose owners wait */
    struct error error;
    error_init(&error);
    struct piece *next;
    for (struct piece *piece = taken.first; piece != NULL; piece = next) {
        next = piece->next;
        if (log->failure.code == ERRCODE_NONE && !write_piece(log, piece, &error))
            fail(log, &error);
        if (piece->is_last)
            pieces_add(&ticks, piece);
        else
            piece_put(log, piece);
    }
    if (ticks.first == NULL)
        return; /* the tick goes on */
    if (log->failure.code == ERRCODE_NONE && !commit(log, &error))
        fail(log, &error);
    tell_owners(log, &ticks);
}

static void *log_main(void *arg)
{
    struct tick_log *log = arg;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (log->waiting.first == NULL && !log->stopping)
            pthread_cond_wait(&log->cond, &log->lock);
        if (log->waiting.first == NULL)
            break;
        struct pieces taken = take_waiting(log);
        pthread_mutex_unlock(&log->lock);
        write_taken(log, taken);
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

static void release(struct tick_log *log)
{
    sqlite3_finalize(log->insert);
    sqlite3_close(log->db);
    while (log->spares != NULL) {
        struct piece *piece = log->spares;
        log->spares = piece->next;
        piece_free(piece);
    }
    strbuf_release(&log->compressed);
    ZSTD_freeCCtx(log->zstd);
    pthread_mutex_destroy(&log->lock);
    pthread_cond_destroy(&log->cond);
    pthread_cond_destroy(&log->room);
    mem_free(log);
}

bool tick_log_open(const char *dir, bool may_create, struct tick_log **out, struct error *err)
{
    struct tick_log *log = mem_zalloc(sizeof(*log));
    error_init(&log->failure);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->cond, NULL);
    pthread_cond_init(&log->room, NULL);
    log->zstd = ZSTD_createCCtx();
    CHECK(log->zstd != NULL);
    bool ok = sqlite_door_open(dir, "log.db", schema, may_create, &log->db, err) && read_last(log, err);
    if (ok && sqlite3_prepare_v2(log->db, "INSERT INTO tick VALUES (?, ?, ?, ?, ?, ?, ?, ?)", -1,
                                 &log->insert, NULL) != SQLITE_OK)
        ok = sqlite_door_error(log->db, "log.db", "open", err);
    if (!ok) {
        release(log);
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
    release(log);
}

uint64_t tick_log_last(struct tick_log *log)
{
    return atomic_load(&log->last_epoch);
}

/* Hands the piece to the log thread. */
static void piece_send(struct tick_log *log, struct piece *piece, bool is_last)
{
    piece->is_last = is_last;
    pthread_mutex_lock(&log->lock);
    while (log->waiting_bytes >= WAITING_BYTES_MAX)
        pthread_cond_wait(&log->room, &log->lock);
    pieces_add(&log->waiting, piece);
    log->waiting_bytes += piece->bytes.len;
    pthread_mutex_unlock(&log->lock);
    pthread_cond_signal(&log->cond); /* without the lock, which the log thread wants first thing */
}

void tick_log_append(struct tick_log *log, uint64_t epoch, int64_t clock_us, uint64_t seed,
                     const struct tick_log_entry *entries, uint32_t entries_count,
                     void (*done)(void *ctx, uint64_t epoch, const struct error *err), void *ctx)
{
    const struct tick_head tick = {epoch, clock_us, seed, done, ctx};
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t count = 0;
    for (uint32_t i = 0; i < entries_count; i++)
        count += slices(&entries[i]);
    struct piece *piece = piece_get(log, &tick);
    add_u32(&piece->bytes, count);
    for (uint32_t i = 0; i < entries_count; i++) {
        const struct batch *rows = entries[i].rows;
        uint32_t entry_slices = slices(&entries[i]);
        for (uint32_t slice = 0; slice < entry_slices; slice++) {
            if (piece->bytes.len >= PIECE_BYTES) {
                piece_send(log, piece, false);
                piece = piece_get(log, &tick);
            }
            add_u32(&piece->bytes, entries[i].relation_oid);
            if (entries[i].range != NULL) {
                add_range(&piece->bytes, entries[i].range);
            } else if (entry_slices == 1) {
                add_rows(&piece->bytes, rows);
            } else {
                uint32_t first = slice * SLICE_ROWS, left = rows->rows - first;
                add_rows(&piece->bytes,
                         batch_slice(&arena, rows, first, left < SLICE_ROWS ? left : SLICE_ROWS));
            }
        }
    }
    piece_send(log, piece, true);
    arena_release(&arena);
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
