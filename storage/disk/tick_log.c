/* tick_log.c: ticks into log.db, in groups, by one thread.
 *
 * tick_log_append turns the rows into bytes on the caller's thread and hands them over in pieces of about
 * PIECE_BYTES, so that the log thread compresses the first while the next is made; its buffers are used again. The
 * log thread writes everything that waits in one SQLite transaction and tells each tick's owner. A piece is one row:
 * (epoch, piece). The last one of a tick is marked; no transaction ends within a tick, so a tick is never there in
 * part.
 *
 * What was handed over has its place in the order and its effects in memory, so an error does not end it: the pieces of
 * the transaction are kept until it is committed. After an error the file is closed and opened anew, since after a
 * failed sync nobody knows what the disk holds; what is found there (and made durable by opening, sqlite_door.h) is
 * done, the rest is written again, until it succeeds. Before disk space runs out the owner is told, and keeps new
 * transactions away. */
#include "storage/disk/tick_log.h"

#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/disk/disk.h"
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
#define RETRY_MIN_MS       10                 /* after an error; doubled up to */
#define RETRY_MAX_MS       1000
#define SPACE_CHECK_MS     200 /* while there is too little */
#define TRUNCATE_ROWS      16  /* removed in one transaction, between those of ticks */

static const struct sqlite_door_file log_file = {
    "log.db",
    "CREATE TABLE tick(epoch INTEGER NOT NULL, piece INTEGER NOT NULL, is_last INTEGER NOT NULL,"
    " clock_us INTEGER NOT NULL, seed INTEGER NOT NULL, raw_bytes INTEGER NOT NULL, checksum INTEGER NOT "
    "NULL,"
    " body BLOB NOT NULL, PRIMARY KEY(epoch, piece)) WITHOUT ROWID;",
    ""};

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
    size_t raw_bytes; /* 0: `bytes` are not compressed */
    struct strbuf bytes;
};

struct pieces {
    struct piece *first, *last;
};

struct tick_log {
    char *dir, *path; /* of log.db */
    sqlite3 *db;
    sqlite3_stmt *insert;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond, room;
    pthread_cond_t idle; /* the log thread waits for work, and somebody for that */
    bool takes_turns, is_working;
    struct pieces waiting;
    size_t waiting_bytes;
    struct piece *spares;
    uint32_t spares_count;
    uint64_t truncate; /* ticks up to it may go */
    bool stopping, gives_up;
    pthread_mutex_t trouble_lock; /* held while on_trouble runs */
    void (*on_trouble)(void *ctx, const struct error *err);
    void *on_trouble_ctx;
    void (*on_growth)(void *ctx); /* under trouble_lock as well */
    void *on_growth_ctx;
    uint64_t growth_bytes, growth_from;
    struct error trouble; /* told; code NONE: none; written by the log thread */
    /* the log thread's */
    struct pieces taken; /* in the open transaction, or to be written in it */
    bool writing;        /* a transaction is open */
    int next_piece;      /* of the tick that is being written */
    uint64_t truncated;
    ZSTD_CCtx *zstd;
    struct strbuf compressed;
    struct error failure; /* given up: every tick fails with it; code NONE: all is well */
    _Atomic uint64_t last_epoch, ticks, commits, bytes, errors, removed_before;
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
    piece->raw_bytes = 0;
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
 * first, count, clock. The first byte of other lengths is flags: ENTRY_PARTITION says that a partition stands before the
 * bytes, which the length does not count. */
#define RANGE_MARK      UINT64_MAX
#define RANGE_BYTES     20u
#define ENTRY_FLAGS_BIT 56
enum { ENTRY_REPLACES = 1, ENTRY_PARTITION = 2, ENTRY_CONTINUES = 4 };

static void add_range(struct strbuf *out, const struct source_range *range)
{
    add_u64(out, RANGE_MARK);
    add_u64(out, range->first);
    add_u32(out, range->count);
    add_u64(out, (uint64_t)range->clock_us);
}

static void add_rows(struct strbuf *out, const struct tick_log_entry *entry, const struct batch *rows,
                     bool continues)
{
    uint64_t flags = (entry->replaces ? ENTRY_REPLACES : 0) | (entry->has_partition ? ENTRY_PARTITION : 0),
             len;
    if (continues && flags != 0)
        flags |= ENTRY_CONTINUES;
    size_t at = out->len;
    add_u64(out, 0);
    if (entry->has_partition)
        add_u32(out, (uint32_t)entry->partition);
    size_t from = out->len;
    batch_serialize(rows, out);
    len = (out->len - from) | flags << ENTRY_FLAGS_BIT;
    memcpy(out->data + at, &len, sizeof(len));
}

static uint32_t slices(const struct tick_log_entry *entry)
{
    return entry->range != NULL || entry->rows->rows == 0 ? 1
                                                          : (entry->rows->rows + SLICE_ROWS - 1) / SLICE_ROWS;
}

/* ---- the open transaction ---- */

static bool insert_row(struct tick_log *log, const struct piece *piece, bool is_last, const void *stored,
                       size_t stored_bytes, size_t raw_bytes)
{
    sqlite3_stmt *stmt = log->insert;
    sqlite3_reset(stmt);
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)piece->tick.epoch);
    sqlite3_bind_int(stmt, 2, log->next_piece++);
    sqlite3_bind_int(stmt, 3, is_last);
    sqlite3_bind_int64(stmt, 4, piece->tick.clock_us);
    sqlite3_bind_int64(stmt, 5, (sqlite3_int64)piece->tick.seed);
    sqlite3_bind_int64(stmt, 6, (sqlite3_int64)raw_bytes);
    sqlite3_bind_int64(stmt, 7, (sqlite3_int64)XXH3_64bits(stored, stored_bytes));
    sqlite3_bind_blob64(stmt, 8, stored, stored_bytes, SQLITE_STATIC);
    bool ok = sqlite3_step(stmt) == SQLITE_DONE;
    sqlite3_clear_bindings(stmt);
    atomic_fetch_add(&log->bytes, stored_bytes);
    return ok;
}

/* Compressed into log->compressed; false: that does not pay. */
static bool compress(struct tick_log *log, const char *bytes, size_t len)
{
    if (len < COMPRESS_BYTES_MIN)
        return false;
    strbuf_reset(&log->compressed);
    strbuf_reserve(&log->compressed, ZSTD_compressBound(len));
    size_t smaller = ZSTD_compressCCtx(log->zstd, log->compressed.data, ZSTD_compressBound(len), bytes, len,
                                       COMPRESS_LEVEL);
    if (ZSTD_isError(smaller) || smaller >= len)
        return false;
    log->compressed.len = smaller;
    return true;
}

static bool write_piece(struct tick_log *log, const struct piece *piece, struct error *err)
{
    if (!log->writing && !sqlite_door_exec(log->db, log->path, "BEGIN IMMEDIATE", err))
        return false;
    log->writing = true;
    size_t at = 0;
    bool ok = true;
    if (piece->raw_bytes != 0) {
        ok = insert_row(log, piece, piece->is_last, piece->bytes.data, piece->bytes.len, piece->raw_bytes);
    } else {
        do { /* one row, unless a slice is huge */
            const char *bytes = piece->bytes.data + at;
            size_t left = piece->bytes.len - at, len = left < PIECE_BYTES_MAX ? left : PIECE_BYTES_MAX;
            bool smaller = compress(log, bytes, len);
            ok = insert_row(log, piece, piece->is_last && len == left, smaller ? log->compressed.data : bytes,
                            smaller ? log->compressed.len : len, len);
            at += len;
        } while (ok && at < piece->bytes.len);
    }
    if (!ok)
        sqlite_door_error(log->db, log->path, "write", err);
    if (piece->is_last)
        log->next_piece = 0;
    return ok;
}

static bool commit(struct tick_log *log, struct error *err)
{
    sqlite3_reset(log->insert);
    int64_t start_ns = clock_monotonic_ns();
    bool ok = sqlite_door_exec(log->db, log->path, "COMMIT", err);
    atomic_fetch_add(&log->sync_ns, clock_monotonic_ns() - start_ns);
    log->writing = log->writing && !ok;
    if (ok)
        atomic_fetch_add(&log->commits, 1);
    return ok;
}

/* ---- opening ---- */

static bool read_last(struct tick_log *log, uint64_t *epoch, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_prepare_v2(log->db, "SELECT coalesce(max(epoch), 0) FROM tick", -1, &stmt, NULL) ==
                  SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_ROW;
    if (ok)
        *epoch = (uint64_t)sqlite3_column_int64(stmt, 0);
    else
        sqlite_door_error(log->db, log->path, "read", err);
    sqlite3_finalize(stmt);
    return ok;
}

static void close_file(struct tick_log *log)
{
    sqlite3_finalize(log->insert);
    sqlite3_close(log->db);
    log->insert = NULL;
    log->db = NULL;
    log->writing = false;
    log->next_piece = 0;
}

static bool open_file(struct tick_log *log, bool may_create, uint64_t *last, struct error *err)
{
    bool ok = sqlite_door_open(log->dir, &log_file, may_create, &log->db, err) && read_last(log, last, err);
    if (ok && sqlite3_prepare_v2(log->db, "INSERT INTO tick VALUES (?, ?, ?, ?, ?, ?, ?, ?)", -1,
                                 &log->insert, NULL) != SQLITE_OK)
        ok = sqlite_door_error(log->db, log->path, "open", err);
    if (!ok)
        close_file(log);
    return ok;
}

/* ---- trouble ---- */

/* err NULL: it is over. */
static void tell_trouble(struct tick_log *log, const struct error *err)
{
    if (err == NULL ? log->trouble.code == ERRCODE_NONE
                    : log->trouble.code == err->code && strcmp(log->trouble.message, err->message) == 0)
        return;
    if (err != NULL)
        log_write(LOG_ERROR, "nothing can be written for now: %s", err->message);
    else
        log_write(LOG_INFO, "file \"%s\" can be written again", log->path);
    pthread_mutex_lock(&log->trouble_lock);
    if (err != NULL)
        log->trouble = *err;
    else
        error_init(&log->trouble);
    if (log->on_trouble != NULL)
        log->on_trouble(log->on_trouble_ctx, err);
    pthread_mutex_unlock(&log->trouble_lock);
}

/* What was accepted must fit, and a checkpoint, which makes room. */
static void check_space(struct tick_log *log)
{
    struct error err;
    if (disk_has_space(log->dir, &err))
        tell_trouble(log, NULL);
    else
        tell_trouble(log, &err);
}

/* Waits, under the lock, until there is something to do or the time has passed. */
static void wait_ms(struct tick_log *log, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&log->cond, &log->lock, &until);
}

/* false: no more tries. */
static bool wait_to_retry(struct tick_log *log, int64_t ms)
{
    int64_t until_ns = clock_monotonic_ns() + ms * 1000000;
    pthread_mutex_lock(&log->lock);
    while (!log->gives_up && clock_monotonic_ns() < until_ns)
        wait_ms(log, (until_ns - clock_monotonic_ns()) / 1000000 + 1);
    bool again = !log->gives_up;
    pthread_mutex_unlock(&log->lock);
    return again;
}

/* Every piece of the transaction; a commit when it ends with a tick. */
static bool write_all(struct tick_log *log, struct error *err)
{
    for (struct piece *piece = log->taken.first; piece != NULL; piece = piece->next)
        if (!write_piece(log, piece, err))
            return false;
    return log->taken.last == NULL || !log->taken.last->is_last || commit(log, err);
}

/* The ticks that are on disk are done. */
static void drop_written(struct tick_log *log, uint64_t last, struct pieces *done)
{
    while (log->taken.first != NULL && log->taken.first->tick.epoch <= last) {
        struct piece *piece = log->taken.first;
        log->taken.first = piece->next;
        if (log->taken.first == NULL)
            log->taken.last = NULL;
        if (piece->is_last)
            pieces_add(done, piece);
        else
            piece_put(log, piece);
    }
}

/* Nothing is known of the file: opens it again and writes what is not there, until that has succeeded. `done`: ticks
 * that were there. false: given up. */
static bool recover(struct tick_log *log, const struct error *first, struct pieces *done)
{
    struct error err = *first;
    int64_t wait = 0;
    for (;;) {
        atomic_fetch_add(&log->errors, 1);
        close_file(log);
        if (wait > 0) {
            tell_trouble(log, &err); /* trying again at once has not helped */
            if (!wait_to_retry(log, wait))
                break;
        }
        wait = wait == 0 ? RETRY_MIN_MS : wait * 2 < RETRY_MAX_MS ? wait * 2 : RETRY_MAX_MS;
        uint64_t last = 0;
        if (!open_file(log, false, &last, &err))
            continue;
        drop_written(log, last, done);
        if (write_all(log, &err))
            return true;
    }
    log->failure = err;
    error_set(&log->failure, ERRCODE_STATEMENT_COMPLETION_UNKNOWN,
              "it is not known whether the transaction was committed: %s", err.message);
    return false;
}

/* ---- the log thread ---- */

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

static void tell_owners(struct tick_log *log, struct pieces *ticks, bool ok)
{
    struct piece *next;
    for (struct piece *piece = ticks->first; piece != NULL; piece = next) {
        next = piece->next;
        if (piece->is_last) {
            if (ok) {
                atomic_store(&log->last_epoch, piece->tick.epoch);
                atomic_fetch_add(&log->ticks, 1);
            }
            piece->tick.done(piece->tick.ctx, piece->tick.epoch, ok ? NULL : &log->failure);
        }
        piece_put(log, piece);
    }
    *ticks = (struct pieces){NULL, NULL};
}

/* Of a piece that waits for the end of its tick only the compressed bytes are kept; its buffer serves the next ones. */
static struct piece *shrink(struct tick_log *log, struct piece *piece)
{
    if (piece->is_last || piece->bytes.len > PIECE_BYTES_MAX ||
        !compress(log, piece->bytes.data, piece->bytes.len))
        return piece;
    struct piece *small = mem_zalloc(sizeof(*small));
    small->tick = piece->tick;
    small->raw_bytes = piece->bytes.len;
    strbuf_reserve(&small->bytes, log->compressed.len);
    strbuf_add(&small->bytes, log->compressed.data, log->compressed.len);
    piece_put(log, piece);
    return small;
}

static void write_taken(struct tick_log *log, struct pieces taken)
{
    struct pieces done = {NULL, NULL}; /* found on disk after an error */
    struct error error;
    error_init(&error);
    struct piece *next;
    bool ok = log->failure.code == ERRCODE_NONE;
    for (struct piece *piece = taken.first; piece != NULL; piece = next) {
        next = piece->next;
        if (ok)
            piece = shrink(log, piece);
        pieces_add(&log->taken, piece);
        if (ok && !write_piece(log, piece, &error))
            ok = recover(log, &error, &done);
    }
    /* `recover` has committed what ends with a tick */
    if (ok && log->taken.last != NULL && log->taken.last->is_last && log->writing && !commit(log, &error))
        ok = recover(log, &error, &done);
    tell_owners(log, &done, true);
    if (ok && log->taken.last != NULL && !log->taken.last->is_last)
        return; /* the tick goes on */
    tell_owners(log, &log->taken, ok);
    if (ok)
        check_space(log);
}

/* Removes some ticks that a checkpoint holds. Never the newest: it says where the log ended. */
static void truncate_some(struct tick_log *log, uint64_t wanted)
{
    struct error err;
    char sql[192];
    uint64_t last = atomic_load(&log->last_epoch), before = wanted < last ? wanted : last;
    sqlite3_snprintf(sizeof(sql), sql,
                     "DELETE FROM tick WHERE (epoch, piece) IN"
                     " (SELECT epoch, piece FROM tick WHERE epoch < %llu ORDER BY epoch, piece LIMIT %d)",
                     (unsigned long long)before, TRUNCATE_ROWS);
    if (!sqlite_door_exec(log->db, log->path, sql, &err)) {
        struct pieces done = {NULL, NULL};
        if (recover(log, &err, &done))
            check_space(log);    /* which says that the trouble is over */
        log->truncated = wanted; /* until the next checkpoint: ticks are more urgent */
        log_write(LOG_WARNING, "old ticks could not be removed: %s", err.message);
    } else if (sqlite3_changes(log->db) == 0) {
        log->truncated = wanted;
        atomic_store(&log->removed_before, before);
    }
}

static void tell_growth(struct tick_log *log)
{
    pthread_mutex_lock(&log->trouble_lock);
    uint64_t bytes = atomic_load(&log->bytes);
    if (log->on_growth != NULL && bytes - log->growth_from >= log->growth_bytes) {
        log->growth_from = bytes;
        log->on_growth(log->on_growth_ctx);
    }
    pthread_mutex_unlock(&log->trouble_lock);
}

/* Whether ticks may and should be removed. Under the lock, while the log thread does not work. */
static bool is_to_truncate(const struct tick_log *log)
{
    return log->truncate > log->truncated && log->taken.first == NULL && log->failure.code == ERRCODE_NONE &&
           !log->stopping;
}

/* Under the lock. */
static void wait_for_turn(struct tick_log *log)
{
    while (log->takes_turns && (log->is_working || log->waiting.first != NULL || is_to_truncate(log)))
        pthread_cond_wait(&log->idle, &log->lock);
}

static void *log_main(void *arg)
{
    struct tick_log *log = arg;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        bool truncates = is_to_truncate(log);
        if (log->waiting.first == NULL && log->stopping)
            break;
        if (log->waiting.first == NULL && !truncates) {
            if (log->trouble.code == ERRCODE_NONE || log->failure.code != ERRCODE_NONE) {
                pthread_cond_wait(&log->cond, &log->lock);
            } else {
                wait_ms(log, SPACE_CHECK_MS);
                pthread_mutex_unlock(&log->lock);
                check_space(log);
                pthread_mutex_lock(&log->lock);
            }
            continue;
        }
        struct pieces taken = take_waiting(log);
        uint64_t truncate = log->truncate;
        log->is_working = true;
        pthread_mutex_unlock(&log->lock);
        if (taken.first != NULL) {
            write_taken(log, taken);
            tell_growth(log);
        } else {
            truncate_some(log, truncate);
        }
        pthread_mutex_lock(&log->lock);
        log->is_working = false;
        if (log->takes_turns)
            pthread_cond_broadcast(&log->idle);
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

/* ---- public ---- */

static void release(struct tick_log *log)
{
    close_file(log);
    while (log->spares != NULL) {
        struct piece *piece = log->spares;
        log->spares = piece->next;
        piece_free(piece);
    }
    strbuf_release(&log->compressed);
    ZSTD_freeCCtx(log->zstd);
    pthread_mutex_destroy(&log->lock);
    pthread_mutex_destroy(&log->trouble_lock);
    pthread_cond_destroy(&log->cond);
    pthread_cond_destroy(&log->room);
    pthread_cond_destroy(&log->idle);
    mem_free(log->dir);
    mem_free(log->path);
    mem_free(log);
}

bool tick_log_open(const char *dir, bool may_create, struct tick_log **out, struct error *err)
{
    struct tick_log *log = mem_zalloc(sizeof(*log));
    struct strbuf path = STRBUF_INIT;
    strbuf_addf(&path, "%s/log.db", dir);
    log->dir = mem_strdup(dir);
    log->path = mem_strdup(strbuf_text(&path));
    strbuf_release(&path);
    error_init(&log->failure);
    error_init(&log->trouble);
    pthread_mutex_init(&log->lock, NULL);
    pthread_mutex_init(&log->trouble_lock, NULL);
    pthread_cond_init(&log->cond, NULL);
    pthread_cond_init(&log->room, NULL);
    pthread_cond_init(&log->idle, NULL);
    log->zstd = ZSTD_createCCtx();
    CHECK(log->zstd != NULL);
    uint64_t last;
    if (!open_file(log, may_create, &last, err)) {
        release(log);
        return false;
    }
    atomic_store(&log->last_epoch, last);
    check_space(log);
    CHECK(pthread_create(&log->thread, NULL, log_main, log) == 0);
    *out = log;
    return true;
}

void tick_log_on_trouble(struct tick_log *log, void (*on_trouble)(void *ctx, const struct error *err),
                         void *ctx)
{
    pthread_mutex_lock(&log->trouble_lock);
    log->on_trouble = on_trouble;
    log->on_trouble_ctx = ctx;
    if (on_trouble != NULL && log->trouble.code != ERRCODE_NONE)
        on_trouble(ctx, &log->trouble);
    pthread_mutex_unlock(&log->trouble_lock);
}

void tick_log_give_up(struct tick_log *log)
{
    pthread_mutex_lock(&log->lock);
    log->gives_up = true;
    pthread_cond_signal(&log->cond);
    pthread_mutex_unlock(&log->lock);
}

void tick_log_truncate(struct tick_log *log, uint64_t before)
{
    pthread_mutex_lock(&log->lock);
    if (before > log->truncate)
        log->truncate = before;
    pthread_cond_signal(&log->cond);
    wait_for_turn(log);
    pthread_mutex_unlock(&log->lock);
}

void tick_log_take_turns(struct tick_log *log)
{
    pthread_mutex_lock(&log->lock);
    log->takes_turns = true;
    wait_for_turn(log);
    pthread_mutex_unlock(&log->lock);
}

void tick_log_close(struct tick_log *log)
{
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    log->gives_up = true;
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
    if (!log->takes_turns || !is_last)
        return;
    pthread_mutex_lock(&log->lock);
    wait_for_turn(log);
    pthread_mutex_unlock(&log->lock);
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
                add_rows(&piece->bytes, &entries[i], rows, false);
            } else {
                uint32_t first = slice * SLICE_ROWS, left = rows->rows - first;
                add_rows(&piece->bytes, &entries[i],
                         batch_slice(&arena, rows, first, left < SLICE_ROWS ? left : SLICE_ROWS), slice > 0);
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
    struct tick_log_raw *entries = mem_zalloc(sizeof(*entries) * (count + 1));
    bool ok = true;
    for (uint32_t i = 0; ok && i < count; i++) {
        uint64_t len = 0;
        ok = body->len - at >= sizeof(uint32_t) + sizeof(len);
        if (ok) {
            memcpy(&entries[i].relation_oid, body->data + at, sizeof(uint32_t));
            memcpy(&len, body->data + at + sizeof(uint32_t), sizeof(len));
            at += sizeof(uint32_t) + sizeof(len);
            if (len == RANGE_MARK) {
                ok = body->len - at >= RANGE_BYTES;
                if (ok)
                    read_range((const uint8_t *)body->data + at, &entries[i].range);
                entries[i].bytes = NULL;
                at += ok ? RANGE_BYTES : 0;
                continue;
            }
            uint64_t flags = len >> ENTRY_FLAGS_BIT;
            len &= (UINT64_C(1) << ENTRY_FLAGS_BIT) - 1;
            entries[i].replaces = (flags & ENTRY_REPLACES) != 0;
            entries[i].continues = (flags & ENTRY_CONTINUES) != 0;
            entries[i].has_partition = (flags & ENTRY_PARTITION) != 0;
            size_t before = entries[i].has_partition ? sizeof(int32_t) : 0;
            ok = flags <= (ENTRY_REPLACES | ENTRY_PARTITION | ENTRY_CONTINUES) && body->len - at >= before &&
                 body->len - at - before >= len;
            if (!ok)
                break;
            memcpy(&entries[i].partition, body->data + at, before);
            at += before;
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
        return sqlite_door_error(log->db, log->path, "read", err);
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)after);
    struct strbuf body = STRBUF_INIT;
    bool ok = true;
    int step, next_piece = 0;
    while (ok && (step = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (step != SQLITE_ROW) {
            ok = sqlite_door_error(log->db, log->path, "read", err);
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

void tick_log_on_growth(struct tick_log *log, uint64_t bytes, void (*on_growth)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&log->trouble_lock);
    log->growth_bytes = bytes;
    log->growth_from = atomic_load(&log->bytes);
    log->on_growth = on_growth;
    log->on_growth_ctx = ctx;
    pthread_mutex_unlock(&log->trouble_lock);
}

void tick_log_stats(struct tick_log *log, struct tick_log_stats *out)
{
    *out = (struct tick_log_stats){.ticks = atomic_load(&log->ticks),
                                   .commits = atomic_load(&log->commits),
                                   .bytes = atomic_load(&log->bytes),
                                   .errors = atomic_load(&log->errors),
                                   .removed_before = atomic_load(&log->removed_before),
                                   .sync_ns = atomic_load(&log->sync_ns)};
}
