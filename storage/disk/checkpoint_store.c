/* checkpoint_store.c: see checkpoint_store.h.
 *
 * A row of the table `piece` is a blob of chunks of one table: rows are collected in memory up to BLOB_BYTES each, some of
 * them are written per transaction, so that the file is never locked for long (the catalog is in it too).
 *
 * `dropped` is the checkpoint that replaced a piece: it belongs to all from `checkpoint` up to that one. Pieces that no
 * checkpoint which is kept has are deleted by the commit. */
#include "storage/disk/checkpoint_store.h"

#include "storage/base/clock.h"
#include "storage/disk/catalog_store.h"
#include "storage/disk/sqlite_door.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#define FILE_NAME         "state.db"
#define BLOB_BYTES        ((size_t)1 << 20)
#define TRANSACTION_BYTES ((size_t)8 << 20)
#define BLOB_BYTES_MAX    ((size_t)1 << 30) /* of a blob when read: more is damage */
#define COMPRESS_LEVEL    1

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS checkpoint(number INTEGER PRIMARY KEY, epoch INTEGER NOT NULL,"
    " clock_us INTEGER NOT NULL, shards INTEGER NOT NULL, started_us INTEGER NOT NULL, ended_us INTEGER NOT "
    "NULL,"
    " rows INTEGER NOT NULL, bytes INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS piece(id INTEGER PRIMARY KEY, checkpoint INTEGER NOT NULL, dropped INTEGER,"
    " owner TEXT NOT NULL, shard INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, first INTEGER NOT NULL, end INTEGER NOT NULL, raw_bytes INTEGER NOT NULL,"
    " checksum INTEGER NOT NULL, data BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS piece_of ON piece(owner, shard, name, id);"
    "CREATE INDEX IF NOT EXISTS piece_dropped ON piece(dropped) WHERE dropped IS NOT NULL;"
    "CREATE TABLE IF NOT EXISTS savepoint(name TEXT NOT NULL, is_backup INTEGER NOT NULL,"
    " checkpoint INTEGER NOT NULL, taken_us INTEGER NOT NULL, PRIMARY KEY(name, is_backup)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS savepoint_object(name TEXT NOT NULL, is_backup INTEGER NOT NULL,"
    " oid INTEGER NOT NULL, schema_oid INTEGER NOT NULL, object_name TEXT NOT NULL, kind TEXT NOT NULL,"
    " sql TEXT NOT NULL, settings TEXT, epoch INTEGER NOT NULL, PRIMARY KEY(name, is_backup, oid)) WITHOUT "
    "ROWID;"
    /* of a backup that was being made when the server ended */
    "DELETE FROM savepoint WHERE is_backup; DELETE FROM savepoint_object WHERE is_backup;";

/* A row of `piece` being filled, or waiting for its transaction. */
struct blob {
    struct blob *next;
    char *owner, *name;
    uint32_t shard, version;
    enum piece_kind kind;
    uint64_t first, end; /* row numbers; of slots: 0 and the greatest + 1 */
    struct strbuf bytes;
};

struct checkpoint_store {
    struct catalog_store *catalog;
    uint64_t number; /* of the one being written */
    int64_t started_us;
    uint64_t rows, bytes;
    struct blob *first, *last;
    size_t waiting_bytes;
    struct strbuf compressed;
    ZSTD_CCtx *zstd;
};

struct checkpoint_piece *checkpoint_piece_new(struct account *account)
{
    struct arena arena;
    arena_init(&arena, account);
    struct checkpoint_piece *piece = ARENA_NEW(&arena, struct checkpoint_piece);
    piece->arena = arena;
    return piece;
}

void checkpoint_piece_free(struct checkpoint_piece *piece)
{
    struct arena arena = piece->arena; /* the piece lies in it */
    arena_release(&arena);
}

/* ---- statements ---- */

static bool failed(sqlite3 *db, const char *doing, struct error *err)
{
    return sqlite_door_error(db, FILE_NAME, doing, err);
}

static bool prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct error *err)
{
    return sqlite3_prepare_v2(db, sql, -1, out, NULL) == SQLITE_OK || failed(db, "read", err);
}

static bool run(sqlite3 *db, sqlite3_stmt *stmt, struct error *err)
{
    bool ok = sqlite3_step(stmt) == SQLITE_DONE || failed(db, "write", err);
    sqlite3_finalize(stmt);
    return ok;
}

static bool run_with(sqlite3 *db, const char *sql, uint64_t number, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (!prepare(db, sql, &stmt, err))
        return false;
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)number);
    return run(db, stmt, err);
}

/* ---- life ---- */

static bool newest(sqlite3 *db, struct checkpoint_info *out, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    *out = (struct checkpoint_info){0};
    if (!prepare(db,
                 "SELECT number, epoch, clock_us, shards, started_us, ended_us, rows, bytes FROM checkpoint"
                 " ORDER BY number DESC LIMIT 1",
                 &stmt, err))
        return false;
    int step = sqlite3_step(stmt);
    if (step == SQLITE_ROW)
        *out = (struct checkpoint_info){.number = (uint64_t)sqlite3_column_int64(stmt, 0),
                                        .epoch = (uint64_t)sqlite3_column_int64(stmt, 1),
                                        .clock_us = sqlite3_column_int64(stmt, 2),
                                        .shards = (uint32_t)sqlite3_column_int64(stmt, 3),
                                        .started_us = sqlite3_column_int64(stmt, 4),
                                        .ended_us = sqlite3_column_int64(stmt, 5),
                                        .rows = (uint64_t)sqlite3_column_int64(stmt, 6),
                                        .bytes = (uint64_t)sqlite3_column_int64(stmt, 7)};
    bool ok = step == SQLITE_ROW || step == SQLITE_DONE || failed(db, "read", err);
    sqlite3_finalize(stmt);
    return ok;
}

bool checkpoint_store_newest(struct checkpoint_store *store, struct checkpoint_info *out, struct error *err)
{
    sqlite3 *db;
    if (!catalog_store_lock(store->catalog, &db, err))
        return false;
    bool ok = newest(db, out, err);
    catalog_store_unlock(store->catalog, ok);
    return ok;
}

/* What belongs to checkpoints that never became valid goes. */
static bool forget_unfinished(sqlite3 *db, uint64_t valid, struct error *err)
{
    bool ok = sqlite_door_exec(db, FILE_NAME, "BEGIN IMMEDIATE", err) &&
              run_with(db, "DELETE FROM piece WHERE checkpoint > ?", valid, err) &&
              run_with(db, "UPDATE piece SET dropped = NULL WHERE dropped > ?", valid, err) &&
              sqlite_door_exec(db, FILE_NAME, "COMMIT", err);
    if (!ok)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

bool checkpoint_store_open(struct catalog_store *catalog, struct checkpoint_store **out, struct error *err)
{
    sqlite3 *db;
    if (!catalog_store_lock(catalog, &db, err))
        return false;
    bool ok = sqlite_door_exec(db, FILE_NAME, schema, err);
    catalog_store_unlock(catalog, ok);
    if (!ok)
        return false;
    struct checkpoint_store *store = mem_zalloc(sizeof(*store));
    store->catalog = catalog;
    store->zstd = ZSTD_createCCtx();
    *out = store;
    return true;
}

static void forget_waiting(struct checkpoint_store *store)
{
    while (store->first != NULL) {
        struct blob *blob = store->first;
        store->first = blob->next;
        strbuf_release(&blob->bytes);
        mem_free(blob->owner);
        mem_free(blob->name);
        mem_free(blob);
    }
    store->last = NULL;
    store->waiting_bytes = 0;
}

void checkpoint_store_close(struct checkpoint_store *store)
{
    if (store == NULL)
        return;
    forget_waiting(store);
    strbuf_release(&store->compressed);
    ZSTD_freeCCtx(store->zstd);
    mem_free(store);
}

/* ---- writing ---- */

bool checkpoint_store_begin(struct checkpoint_store *store, struct error *err)
{
    struct checkpoint_info info;
    sqlite3 *db;
    if (!catalog_store_lock(store->catalog, &db, err))
        return false;
    bool ok = newest(db, &info, err) && forget_unfinished(db, info.number, err);
    catalog_store_unlock(store->catalog, ok);
    forget_waiting(store);
    store->number = info.number + 1;
    store->started_us = clock_now_us();
    store->rows = store->bytes = 0;
    return ok;
}

void checkpoint_store_abort(struct checkpoint_store *store)
{
    forget_waiting(store); /* the next begin clears the rest, and nobody reads it before */
}

static bool bind_table(sqlite3 *db, const char *sql, const struct blob *blob, uint64_t number, uint64_t end,
                       sqlite3_stmt **out, struct error *err)
{
    if (!prepare(db, sql, out, err))
        return false;
    sqlite3_bind_int64(*out, 1, (sqlite3_int64)number);
    sqlite3_bind_text(*out, 2, blob->owner, -1, SQLITE_STATIC);
    sqlite3_bind_int64(*out, 3, blob->shard);
    sqlite3_bind_text(*out, 4, blob->name, -1, SQLITE_STATIC);
    if (sqlite3_bind_parameter_count(*out) >= 5)
        sqlite3_bind_int64(*out, 5, (sqlite3_int64)end);
    return true;
}

/* What was saved before of this table, or (end > 0) of its rows before `end`, does not belong to this checkpoint. */
static bool void_table(sqlite3 *db, const struct blob *blob, uint64_t number, uint64_t end, struct error *err)
{
    sqlite3_stmt *stmt;
    const char *delete_sql =
        end == 0
            ? "DELETE FROM piece WHERE checkpoint = ? AND owner = ? AND shard = ? AND name = ?"
            : "DELETE FROM piece WHERE checkpoint = ? AND owner = ? AND shard = ? AND name = ? AND end <= ?";
    const char *update_sql =
        end == 0
            ? "UPDATE piece SET dropped = ? WHERE owner = ? AND shard = ? AND name = ? AND dropped IS NULL"
            : "UPDATE piece SET dropped = ? WHERE owner = ? AND shard = ? AND name = ? AND dropped IS NULL "
              "AND end <= ?";
    return bind_table(db, delete_sql, blob, number, end, &stmt, err) && run(db, stmt, err) &&
           bind_table(db, update_sql, blob, number, end, &stmt, err) && run(db, stmt, err);
}

static bool write_blob(struct checkpoint_store *store, sqlite3 *db, struct blob *blob, struct error *err)
{
    if ((blob->kind == PIECE_VOID || blob->kind == PIECE_REST) &&
        !void_table(db, blob, store->number, 0, err))
        return false;
    if (blob->kind == PIECE_FRONT && !void_table(db, blob, store->number, blob->end, err))
        return false;
    if (blob->kind == PIECE_VOID)
        return true;
    size_t bound = ZSTD_compressBound(blob->bytes.len);
    strbuf_reset(&store->compressed);
    strbuf_reserve(&store->compressed, bound);
    size_t bytes = ZSTD_compressCCtx(store->zstd, store->compressed.data, bound, blob->bytes.data,
                                     blob->bytes.len, COMPRESS_LEVEL);
    CHECK(!ZSTD_isError(bytes));
    sqlite3_stmt *stmt;
    if (!prepare(db,
                 "INSERT INTO piece(checkpoint, owner, shard, name, version, kind, first, end, raw_bytes, "
                 "checksum,"
                 " data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 &stmt, err))
        return false;
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)store->number);
    sqlite3_bind_text(stmt, 2, blob->owner, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 3, blob->shard);
    sqlite3_bind_text(stmt, 4, blob->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 5, blob->version);
    sqlite3_bind_int64(stmt, 6, blob->kind);
    sqlite3_bind_int64(stmt, 7, (sqlite3_int64)blob->first);
    sqlite3_bind_int64(stmt, 8, (sqlite3_int64)blob->end);
    sqlite3_bind_int64(stmt, 9, (sqlite3_int64)blob->bytes.len);
    sqlite3_bind_int64(stmt, 10, (sqlite3_int64)XXH3_64bits(store->compressed.data, bytes));
    sqlite3_bind_blob64(stmt, 11, store->compressed.data, bytes, SQLITE_STATIC);
    store->bytes += bytes;
    return run(db, stmt, err);
}

static bool write_waiting(struct checkpoint_store *store, sqlite3 *db, struct error *err)
{
    for (struct blob *blob = store->first; blob != NULL; blob = blob->next) {
        if (!write_blob(store, db, blob, err))
            return false;
    }
    forget_waiting(store);
    return true;
}

static bool flush(struct checkpoint_store *store, struct error *err)
{
    sqlite3 *db;
    if (!catalog_store_lock(store->catalog, &db, err))
        return false;
    bool ok = sqlite_door_exec(db, FILE_NAME, "BEGIN IMMEDIATE", err) && write_waiting(store, db, err) &&
              sqlite_door_exec(db, FILE_NAME, "COMMIT", err);
    catalog_store_unlock(store->catalog, ok);
    return ok;
}

static struct blob *blob_for(struct checkpoint_store *store, const struct checkpoint_piece *piece)
{
    struct blob *last = store->last;
    if (last != NULL && last->kind == piece->kind && last->bytes.len < BLOB_BYTES &&
        (piece->kind == PIECE_SLOTS || (piece->kind == PIECE_ROWS && piece->first == last->end)) &&
        last->shard == piece->shard && last->version == piece->version &&
        strcmp(last->name, piece->table) == 0 && strcmp(last->owner, piece->owner) == 0)
        return last;
    struct blob *blob = mem_zalloc(sizeof(*blob));
    blob->owner = mem_strdup(piece->owner);
    blob->name = mem_strdup(piece->table);
    blob->shard = piece->shard;
    blob->version = piece->version;
    blob->kind = piece->kind;
    blob->first = blob->end = piece->first;
    if (last != NULL)
        last->next = blob;
    else
        store->first = blob;
    store->last = blob;
    return blob;
}

static void add_u32(struct strbuf *out, uint32_t value)
{
    strbuf_add(out, &value, sizeof(value));
}

/* A chunk: its bytes (u32), rows (u32); SLOTS: freed slots (u32), slots, freed slots; then the columns. */
static void add_chunk(struct blob *blob, const struct checkpoint_piece *piece)
{
    struct strbuf *out = &blob->bytes;
    uint32_t rows = piece->rows != NULL ? piece->rows->rows : 0;
    size_t start = out->len;
    add_u32(out, 0);
    add_u32(out, rows);
    if (piece->kind == PIECE_SLOTS) {
        add_u32(out, piece->freed_count);
        strbuf_add(out, piece->slots, sizeof(uint32_t) * rows);
        strbuf_add(out, piece->freed, sizeof(uint32_t) * piece->freed_count);
        for (uint32_t i = 0; i < rows; i++)
            blob->end = piece->slots[i] >= blob->end ? (uint64_t)piece->slots[i] + 1 : blob->end;
        for (uint32_t i = 0; i < piece->freed_count; i++)
            blob->end = piece->freed[i] >= blob->end ? (uint64_t)piece->freed[i] + 1 : blob->end;
    } else {
        blob->end += rows;
    }
    if (rows > 0)
        batch_serialize(piece->rows, out);
    uint32_t bytes = (uint32_t)(out->len - start);
    memcpy(out->data + start, &bytes, sizeof(bytes));
}

bool checkpoint_store_put(struct checkpoint_store *store, struct checkpoint_piece *piece, struct error *err)
{
    struct blob *blob = blob_for(store, piece);
    size_t before = blob->bytes.len;
    if (piece->kind == PIECE_REST)
        strbuf_add(&blob->bytes, piece->rest, piece->rest_bytes);
    else if (piece->kind == PIECE_SLOTS || piece->kind == PIECE_ROWS)
        add_chunk(blob, piece);
    store->rows += piece->rows != NULL ? piece->rows->rows : 0;
    store->waiting_bytes += blob->bytes.len - before + sizeof(*blob);
    checkpoint_piece_free(piece);
    return store->waiting_bytes < TRANSACTION_BYTES || flush(store, err);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pieces of owners that are no more go with this checkpoint. */
static bool drop_strangers(struct checkpoint_store *store, sqlite3 *db, const char *const *owners,
                           uint32_t owners_count, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const char **sorted = arena_copy(&arena, owners, sizeof(*owners) * owners_count);
    if (owners_count > 0)
        qsort(sorted, owners_count, sizeof(*sorted), compare_texts);
    const char **gone = NULL;
    uint32_t gone_count = 0, cap = 0;
    sqlite3_stmt *stmt;
    bool ok = prepare(db, "SELECT DISTINCT owner FROM piece WHERE dropped IS NULL", &stmt, err);
    int step;
    while (ok && (step = sqlite3_step(stmt)) != SQLITE_DONE) {
        const char *owner = step == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
        if (owner == NULL) {
            ok = failed(db, "read", err);
            break;
        }
        if (owners_count == 0 ||
            bsearch(&owner, sorted, owners_count, sizeof(*sorted), compare_texts) == NULL)
            ARENA_PUSH(&arena, gone, gone_count, cap, arena_strdup(&arena, owner));
    }
    sqlite3_finalize(stmt);
    for (uint32_t i = 0; ok && i < gone_count; i++) {
        ok = prepare(db, "UPDATE piece SET dropped = ? WHERE owner = ? AND dropped IS NULL", &stmt, err);
        if (ok) {
            sqlite3_bind_int64(stmt, 1, (sqlite3_int64)store->number);
            sqlite3_bind_text(stmt, 2, gone[i], -1, SQLITE_STATIC);
            ok = run(db, stmt, err);
        }
    }
    arena_release(&arena);
    return ok;
}

/* Pieces of shards that are no more go as well. */
static bool drop_shards(sqlite3 *db, const struct checkpoint_info *info, struct error *err)
{
    struct checkpoint_info before;
    sqlite3_stmt *stmt;
    if (!newest(db, &before, err))
        return false;
    if (before.shards <= info->shards)
        return true;
    if (!prepare(db, "UPDATE piece SET dropped = ? WHERE shard >= ? AND dropped IS NULL", &stmt, err))
        return false;
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)info->number);
    sqlite3_bind_int64(stmt, 2, info->shards);
    return run(db, stmt, err);
}

static bool add_checkpoint(sqlite3 *db, const struct checkpoint_info *info, struct error *err)
{
    sqlite3_stmt *stmt;
    /* SQLite ends a transaction by itself after some errors: a checkpoint must not become valid without its pieces */
    if (sqlite3_get_autocommit(db))
        return error_set(err, ERRCODE_IO_ERROR,
                         "could not write \"" FILE_NAME "\": the transaction has ended");
    if (!prepare(db, "INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &stmt, err))
        return false;
    const int64_t values[] = {(int64_t)info->number, (int64_t)info->epoch, info->clock_us,
                              info->shards,          info->started_us,     info->ended_us,
                              (int64_t)info->rows,   (int64_t)info->bytes};
    for (int i = 0; i < (int)ARRAY_COUNT(values); i++)
        sqlite3_bind_int64(stmt, i + 1, values[i]);
    return run(db, stmt, err);
}

bool checkpoint_store_commit(struct checkpoint_store *store, const char *const *owners, uint32_t owners_count,
                             struct checkpoint_info *info, struct error *err)
{
    sqlite3 *db;
    if (!catalog_store_lock(store->catalog, &db, err))
        return false;
    bool ok = sqlite_door_exec(db, FILE_NAME, "BEGIN IMMEDIATE", err) && write_waiting(store, db, err) &&
              drop_strangers(store, db, owners, owners_count, err);
    info->number = store->number;
    info->started_us = store->started_us;
    info->ended_us = clock_now_us();
    info->rows = store->rows;
    info->bytes = store->bytes;
    ok = ok && drop_shards(db, info, err) && add_checkpoint(db, info, err) &&
         run_with(
             db,
             "DELETE FROM checkpoint WHERE number < ? AND number NOT IN (SELECT checkpoint FROM savepoint)",
             store->number, err) &&
         sqlite_door_exec(
             db, FILE_NAME,
             "DELETE FROM piece WHERE dropped IS NOT NULL AND NOT EXISTS (SELECT 1 FROM checkpoint"
             " WHERE number >= piece.checkpoint AND number < piece.dropped)",
             err) &&
         sqlite_door_exec(db, FILE_NAME, "COMMIT", err);
    catalog_store_unlock(store->catalog, ok);
    forget_waiting(store);
    return ok;
}

/* ---- reading ---- */

static bool damaged(const char *owner, const char *table, struct error *err)
{
    error_set(err, ERRCODE_DATA_CORRUPTED,
              "file \"" FILE_NAME "\" is damaged: a piece of a checkpoint is not what was "
              "written");
    return error_detail(err, "It belongs to \"%s\"%s%s.", owner, table[0] != '\0' ? ", table " : "", table);
}

static bool select_pieces(sqlite3 *db, const char *owner, uint32_t shard, const char *table, const char *what,
                          const char *order, sqlite3_stmt **out, struct error *err)
{
    char sql[512]; /* what an unfinished checkpoint has added, or taken away, does not count */
    sqlite3_snprintf(sizeof(sql), sql,
                     "SELECT %s FROM piece WHERE owner = ? AND shard = ? AND name = ?"
                     " AND checkpoint <= (SELECT max(number) FROM checkpoint)"
                     " AND (dropped IS NULL OR dropped > (SELECT max(number) FROM checkpoint)) %s",
                     what, order);
    if (!prepare(db, sql, out, err))
        return false;
    sqlite3_bind_text(*out, 1, owner, -1, SQLITE_STATIC);
    sqlite3_bind_int64(*out, 2, shard);
    sqlite3_bind_text(*out, 3, table, -1, SQLITE_STATIC);
    return true;
}

/* false: damaged. */
static bool unpack(const struct strbuf *packed, uint64_t raw_bytes, uint64_t checksum, struct strbuf *out)
{
    if (raw_bytes > BLOB_BYTES_MAX || packed->len == 0 || checksum != XXH3_64bits(packed->data, packed->len))
        return false;
    strbuf_reset(out);
    strbuf_reserve(out, raw_bytes + 1);
    size_t got = ZSTD_decompress(out->data, raw_bytes, packed->data, packed->len);
    out->len = raw_bytes;
    return !ZSTD_isError(got) && got == raw_bytes;
}

/* After the last row: whether there was no more, or an error. */
static bool ended(sqlite3 *db, int step, struct error *err)
{
    return step == SQLITE_DONE || failed(db, "read", err);
}

/* One table being read. */
struct reading {
    const char *owner, *table;
    const struct sql_type *types;
    uint32_t types_least, types_count;
    const struct checkpoint_visitor *visitor;
    uint64_t *seen; /* a bit per slot */
    uint64_t used;
    uint64_t front;     /* rows before it are gone */
    uint64_t at;        /* row number of the next chunk's first */
    uint64_t given;     /* rows below it were visited; 0: none yet */
    struct arena arena; /* of a chunk */
    struct strbuf packed, bytes;
};

struct chunk {
    const uint8_t *at;
    uint32_t bytes;
};

static uint32_t take_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static bool decode(struct reading *reading, const uint8_t *bytes, size_t len, uint32_t rows,
                   struct batch **out)
{
    struct error error;
    size_t used;
    uint32_t columns_count = batch_serialized_columns(bytes, len);
    if (columns_count < reading->types_least || columns_count > reading->types_count)
        return false;
    *out = batch_create(&reading->arena, reading->types, columns_count, rows);
    return batch_deserialize(*out, bytes, len, &used, &error) && used == len && (*out)->rows == rows;
}

/* Rows whose slot has not been seen in a newer piece. */
static bool visit_slots(struct reading *reading, struct chunk chunk, uint32_t version, bool *is_damaged,
                        struct error *err)
{
    const uint8_t *end = chunk.at + chunk.bytes, *at = chunk.at + 12;
    *is_damaged = true;
    if (chunk.bytes < 12)
        return false;
    uint32_t rows = take_u32(chunk.at + 4), freed = take_u32(chunk.at + 8);
    if (((uint64_t)rows + freed) * 4 > (uint64_t)(end - at))
        return false;
    uint32_t *slots = arena_copy(&reading->arena, at, sizeof(uint32_t) * ((size_t)rows + freed));
    at += sizeof(uint32_t) * ((size_t)rows + freed);
    for (uint32_t i = 0; i < rows + freed; i++) {
        if (slots[i] >= reading->used)
            return false;
    }
    struct batch *batch = NULL;
    if (rows > 0 && !decode(reading, at, (size_t)(end - at), rows, &batch))
        return false;
    uint32_t *kept = arena_alloc(&reading->arena, sizeof(*kept) * (rows + 1)), count = 0;
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t bit = UINT64_C(1) << (slots[i] & 63), *word = &reading->seen[slots[i] >> 6];
        if ((*word & bit) == 0)
            kept[count++] = i;
        *word |= bit;
    }
    for (uint32_t i = rows; i < rows + freed; i++)
        reading->seen[slots[i] >> 6] |= UINT64_C(1) << (slots[i] & 63);
    *is_damaged = false;
    if (count == 0)
        return true;
    const struct batch *visible = batch;
    if (count < rows) {
        struct batch *picked = batch_create(&reading->arena, reading->types, batch->columns_count, count);
        batch_append_rows(picked, batch, kept, count, 1);
        visible = picked;
        for (uint32_t i = 0; i < count; i++)
            slots[i] = slots[kept[i]];
    }
    return reading->visitor->visit(reading->visitor->ctx, slots, 0, visible, version, err);
}

static bool visit_rows(struct reading *reading, struct chunk chunk, uint32_t version, bool *is_damaged,
                       struct error *err)
{
    *is_damaged = true;
    if (chunk.bytes < 8)
        return false;
    uint32_t rows = take_u32(chunk.at + 4);
    struct batch *batch;
    if (rows == 0 || !decode(reading, chunk.at + 8, chunk.bytes - 8, rows, &batch))
        return false;
    *is_damaged = false;
    uint64_t first = reading->at, from = reading->front > reading->given ? reading->front : reading->given;
    reading->at += rows;
    if (reading->at <= from)
        return true;
    const struct batch *visible = batch;
    if (first < from) {
        uint32_t gone = (uint32_t)(from - first);
        visible = batch_slice(&reading->arena, batch, gone, rows - gone);
        first = from;
    }
    reading->given = reading->at;
    return reading->visitor->visit(reading->visitor->ctx, NULL, first, visible, version, err);
}

static bool find_chunks(const struct strbuf *bytes, struct arena *arena, struct chunk **out, uint32_t *count)
{
    uint32_t cap = 0;
    *out = NULL;
    *count = 0;
    for (size_t at = 0; at < bytes->len;) {
        uint32_t len = bytes->len - at >= 8 ? take_u32((const uint8_t *)bytes->data + at) : 0;
        if (len < 8 || len > bytes->len - at)
            return false;
        struct chunk chunk = {(const uint8_t *)bytes->data + at, len};
        ARENA_PUSH(arena, *out, *count, cap, chunk);
        at += len;
    }
    return true;
}

/* A row of the table `piece`. */
struct stored_piece {
    int64_t id;
    uint32_t version;
    enum piece_kind kind;
    uint64_t first, end;
};

/* The pieces of a table, oldest first. */
static bool list_pieces(struct checkpoint_store *store, const struct reading *reading, uint32_t shard,
                        struct arena *arena, struct stored_piece **out, uint32_t *count, struct error *err)
{
    uint32_t cap = 0;
    sqlite3 *db;
    sqlite3_stmt *stmt;
    *out = NULL;
    *count = 0;
    if (!catalog_store_lock(store->catalog, &db, err))
        return false;
    bool ok = select_pieces(db, reading->owner, shard, reading->table, "id, version, kind, first, end",
                            "ORDER BY id", &stmt, err);
    if (ok) {
        int step;
        while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
            struct stored_piece piece = {.id = sqlite3_column_int64(stmt, 0),
                                         .version = (uint32_t)sqlite3_column_int64(stmt, 1),
                                         .kind = (enum piece_kind)sqlite3_column_int64(stmt, 2),
                                         .first = (uint64_t)sqlite3_column_int64(stmt, 3),
                                         .end = (uint64_t)sqlite3_column_int64(stmt, 4)};
            ARENA_PUSH(arena, *out, *count, cap, piece);
        }
        ok = ended(db, step, err);
        sqlite3_finalize(stmt);
    }
    catalog_store_unlock(store->catalog, true);
    return ok;
}

/* The bytes of a piece as they lie in the file, with their size when unpacked and their checksum. */
static bool fetch(struct checkpoint_store *store, int64_t id, struct strbuf *packed, uint64_t *raw_bytes,
                  uint64_t *checksum, struct error *err)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    if (!catalog_store_lock(store->catalog, &db, err))
        return false;
    bool ok = prepare(db, "SELECT raw_bytes, checksum, data FROM piece WHERE id = ?", &stmt, err);
    if (ok) {
        sqlite3_bind_int64(stmt, 1, id);
        ok = sqlite3_step(stmt) == SQLITE_ROW || failed(db, "read", err);
        if (ok) {
            *raw_bytes = (uint64_t)sqlite3_column_int64(stmt, 0);
            *checksum = (uint64_t)sqlite3_column_int64(stmt, 1);
            const void *data = sqlite3_column_blob(stmt, 2);
            strbuf_reset(packed);
            strbuf_add(packed, data, data != NULL ? (size_t)sqlite3_column_bytes(stmt, 2) : 0);
        }
        sqlite3_finalize(stmt);
    }
    catalog_store_unlock(store->catalog, true);
    return ok;
}

static bool read_piece(struct checkpoint_store *store, struct reading *reading,
                       const struct stored_piece *piece, struct error *err)
{
    uint64_t raw_bytes, checksum;
    if (piece->kind == PIECE_FRONT)
        return true;
    if (!fetch(store, piece->id, &reading->packed, &raw_bytes, &checksum, err))
        return false;
    struct arena arena;
    arena_init(&arena, NULL);
    struct chunk *chunks;
    uint32_t count;
    bool ok = true, is_damaged = (piece->kind != PIECE_SLOTS && piece->kind != PIECE_ROWS) ||
                                 !unpack(&reading->packed, raw_bytes, checksum, &reading->bytes) ||
                                 !find_chunks(&reading->bytes, &arena, &chunks, &count);
    if (!is_damaged && piece->kind == PIECE_ROWS) {
        /* The rows of a checkpoint whose commit was reported as failed, and was there, are in the next one again. */
        is_damaged = reading->at != 0 && piece->first > reading->at && piece->first > reading->front;
        reading->at = piece->first;
    }
    for (uint32_t i = 0; ok && !is_damaged && i < count; i++) {
        /* slots: newest first */
        struct chunk chunk = chunks[piece->kind == PIECE_SLOTS ? count - 1 - i : i];
        ok = piece->kind == PIECE_SLOTS ? visit_slots(reading, chunk, piece->version, &is_damaged, err)
                                        : visit_rows(reading, chunk, piece->version, &is_damaged, err);
        arena_reset(&reading->arena);
    }
    arena_release(&arena);
    return is_damaged ? damaged(reading->owner, reading->table, err) : ok;
}

bool checkpoint_store_last_oid(struct checkpoint_store *store, uint32_t *oid, struct error *err)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    *oid = 0;
    if (!catalog_store_lock(store->catalog, &db, err))
        return false;
    /* behind a letter; what follows it is no digit */
    bool ok =
        prepare(db, "SELECT coalesce(max(CAST(substr(owner, 2) AS INTEGER)), 0) FROM piece", &stmt, err);
    if (ok) {
        ok = sqlite3_step(stmt) == SQLITE_ROW || failed(db, "read", err);
        *oid = ok ? (uint32_t)sqlite3_column_int64(stmt, 0) : 0;
        sqlite3_finalize(stmt);
    }
    catalog_store_unlock(store->catalog, true);
    return ok;
}

bool checkpoint_store_read_rest(struct checkpoint_store *store, const char *owner, uint32_t shard,
                                struct arena *arena, const void **rest, size_t *rest_bytes, struct error *err)
{
    const struct reading reading = {.owner = owner, .table = ""};
    struct strbuf packed = STRBUF_INIT, bytes = STRBUF_INIT;
    struct stored_piece *pieces;
    uint32_t count;
    uint64_t raw_bytes, checksum;
    *rest = NULL;
    *rest_bytes = 0;
    bool ok = list_pieces(store, &reading, shard, arena, &pieces, &count, err);
    if (ok && count > 0) {
        ok = fetch(store, pieces[count - 1].id, &packed, &raw_bytes, &checksum, err) &&
             (unpack(&packed, raw_bytes, checksum, &bytes) || damaged(owner, "", err));
        if (ok)
            *rest = arena_copy(arena, bytes.data, *rest_bytes = bytes.len);
    }
    strbuf_release(&packed);
    strbuf_release(&bytes);
    return ok;
}

bool checkpoint_store_read(struct checkpoint_store *store, const char *owner, uint32_t shard,
                           const char *table, const struct sql_type *types, uint32_t types_least,
                           uint32_t types_count, const struct checkpoint_visitor *visitor, struct error *err)
{
    struct reading reading = {.owner = owner,
                              .table = table,
                              .types = types,
                              .types_least = types_least,
                              .types_count = types_count,
                              .visitor = visitor};
    struct stored_piece *pieces;
    uint32_t count;
    struct arena arena;
    arena_init(&arena, NULL);
    arena_init(&reading.arena, NULL);
    bool is_slots = false, ok = list_pieces(store, &reading, shard, &arena, &pieces, &count, err);
    for (uint32_t i = 0; ok && i < count; i++) {
        if (pieces[i].kind == PIECE_SLOTS) {
            is_slots = true;
            reading.used = pieces[i].end > reading.used ? pieces[i].end : reading.used;
        } else if (pieces[i].kind == PIECE_FRONT) {
            reading.front = pieces[i].first > reading.front ? pieces[i].first : reading.front;
        }
    }
    if (ok && reading.used > UINT32_MAX / 2)
        ok = damaged(owner, table, err);
    if (ok && is_slots) {
        reading.seen = mem_zalloc(sizeof(uint64_t) * (reading.used / 64 + 1));
        visitor->begin(visitor->ctx, (uint32_t)reading.used);
    }
    for (uint32_t i = 0; ok && i < count; i++)
        ok = read_piece(store, &reading, &pieces[is_slots ? count - 1 - i : i], err);
    strbuf_release(&reading.packed);
    strbuf_release(&reading.bytes);
    mem_free(reading.seen);
    arena_release(&reading.arena);
    arena_release(&arena);
    return ok;
}
