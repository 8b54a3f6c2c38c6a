/* inspect.c: see inspect.h. Everything that is found becomes one tree, which is printed as JSON, or as text by a walk over
 * it. Damage does not end the reading: what can be read is told. */
#include "storage/disk/inspect.h"

#include "storage/base/arena.h"
#include "storage/disk/backup.h"
#include "storage/disk/disk.h"
#include "storage/disk/disk_wal.h"
#include "storage/disk/sqlite_door.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>
#include <zstd.h>

#define UNIX_SECONDS_2000 946684800           /* our clock counts from 2000 on */
#define RAW_BYTES_MAX     ((uint64_t)1 << 30) /* of a piece: more is damage */

/* ---- a disk that is only read ----
 *
 * SQLite wants to open a WAL for writing, and to make one where there is none: what is not there is an empty file. */

struct seen_file {
    struct disk_file file;
    struct disk_file *inner; /* NULL: it is empty */
};

static struct seen_file *seen(struct disk_file *file)
{
    return (struct seen_file *)file;
}

static int seen_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **out)
{
    struct disk_file *inner = NULL;
    int code = disk_posix()->open(disk_posix(), path, DISK_READ, &inner);
    if (code != 0 && !(code == ENOENT && (flags & DISK_CREATE)))
        return code;
    struct seen_file *file = mem_zalloc(sizeof(*file));
    *file = (struct seen_file){{disk}, inner};
    *out = &file->file;
    return 0;
}

static void seen_close(struct disk_file *file)
{
    disk_close(seen(file)->inner);
    mem_free(file);
}

static int seen_read(struct disk_file *file, void *data, size_t bytes, uint64_t offset, size_t *got)
{
    struct disk_file *inner = seen(file)->inner;
    *got = 0;
    return inner != NULL ? inner->disk->read(inner, data, bytes, offset, got) : 0;
}

/* To write what is there already changes nothing: so a WAL is settled. */
static int seen_write(struct disk_file *file, const void *data, size_t bytes, uint64_t offset)
{
    char *there = mem_alloc(bytes + 1);
    size_t got;
    int code = seen_read(file, there, bytes, offset, &got);
    if (code == 0 && (got != bytes || memcmp(there, data, bytes) != 0))
        code = EROFS;
    mem_free(there);
    return code;
}

static int seen_sync(struct disk_file *file)
{
    return 0;
}

static int seen_truncate(struct disk_file *file, uint64_t bytes)
{
    return EROFS;
}

static int seen_size(struct disk_file *file, uint64_t *bytes)
{
    struct disk_file *inner = seen(file)->inner;
    *bytes = 0;
    return inner != NULL ? inner->disk->size(inner, bytes) : 0;
}

/* The directory's lock is held by then. */
static int seen_lock(struct disk_file *file)
{
    return 0;
}

static int seen_make_dir(struct disk *disk, const char *path)
{
    return EROFS;
}

static int seen_sync_dir(struct disk *disk, const char *path)
{
    return 0;
}

static int seen_remove(struct disk *disk, const char *path)
{
    return EROFS;
}

static int seen_rename(struct disk *disk, const char *from, const char *to)
{
    return EROFS;
}

static int seen_info(struct disk *disk, const char *path, struct disk_info *out)
{
    return disk_posix()->info(disk_posix(), path, out);
}

static int seen_list(struct disk *disk, const char *path, bool (*visit)(void *ctx, const char *name),
                     void *ctx)
{
    return disk_posix()->list(disk_posix(), path, visit, ctx);
}

static struct disk seen_disk = {.open = seen_open,
                                .close = seen_close,
                                .read = seen_read,
                                .write = seen_write,
                                .sync = seen_sync,
                                .truncate = seen_truncate,
                                .size = seen_size,
                                .lock = seen_lock,
                                .make_dir = seen_make_dir,
                                .sync_dir = seen_sync_dir,
                                .remove = seen_remove,
                                .rename = seen_rename,
                                .info = seen_info,
                                .list = seen_list};

/* ---- the tree ---- */

struct inspection {
    const char *(*shown)(struct arena *arena, const char *sql);
    struct arena arena;
    const char *dir;
    cJSON *root, *damage;
    ZSTD_DCtx *zstd;
    struct strbuf raw;
};

static void PRINTF_LIKE(2, 3) add_damage(struct inspection *in, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cJSON_AddItemToArray(in->damage, cJSON_CreateString(text));
}

static void add_number(cJSON *to, const char *name, uint64_t value)
{
    cJSON_AddNumberToObject(to, name, (double)value);
}

static cJSON *add_row(cJSON *list)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddItemToArray(list, row);
    return row;
}

/* Compares with the checksum and decompresses; raw: what compression may not have made smaller is as it is. */
static bool is_whole(struct inspection *in, const void *data, size_t bytes, uint64_t checksum,
                     uint64_t raw_bytes, bool may_be_raw)
{
    if (data == NULL || checksum != XXH3_64bits(data, bytes) || raw_bytes > RAW_BYTES_MAX)
        return false;
    if (may_be_raw && raw_bytes == bytes)
        return true;
    strbuf_reset(&in->raw);
    strbuf_reserve(&in->raw, raw_bytes + 1);
    size_t got = ZSTD_decompressDCtx(in->zstd, in->raw.data, raw_bytes, data, bytes);
    return !ZSTD_isError(got) && got == raw_bytes;
}

/* ---- files ---- */

static bool add_file(void *ctx, const char *name)
{
    struct inspection *in = ctx;
    struct disk_info info;
    const char *path = arena_printf(&in->arena, "%s/%s", in->dir, name);
    if (disk_current()->info(disk_current(), path, &info) != 0 || info.is_dir)
        return true;
    cJSON *row = add_row(cJSON_GetObjectItem(in->root, "files"));
    cJSON_AddStringToObject(row, "name", name);
    add_number(row, "bytes", info.bytes);
    return true;
}

/* NULL: it is damaged, or, with *fatal, of a newer version. */
static sqlite3 *open_file(struct inspection *in, const char *name, int *format, bool *fatal,
                          struct error *err)
{
    const char *path = arena_printf(&in->arena, "%s/%s", in->dir, name);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    if (!disk_exists(path)) {
        add_damage(in, "file \"%s\" is missing", name);
        return NULL;
    }
    bool ok =
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, disk_vfs()) == SQLITE_OK &&
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL) == SQLITE_OK &&
        sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY; PRAGMA query_only=1;",
                     NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW;
    *format = ok ? sqlite3_column_int(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    if (ok && *format > DISK_FORMAT_VERSION) {
        *fatal = true;
        error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s\" was written by a newer version of Millrace",
                  path);
        error_detail(err, "Its format is %d, this program reads up to %d.", *format, DISK_FORMAT_VERSION);
    } else if (ok && *format > 0) {
        return db;
    } else {
        add_damage(in, "file \"%s\": %s", name, ok ? "it has no format version" : sqlite3_errmsg(db));
    }
    sqlite3_close(db);
    return NULL;
}

/* One step; errors become damage. */
static bool next_row(struct inspection *in, sqlite3 *db, sqlite3_stmt *stmt, const char *name)
{
    int step = stmt != NULL ? sqlite3_step(stmt) : SQLITE_ERROR;
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        add_damage(in, "file \"%s\": %s", name, sqlite3_errmsg(db));
    return step == SQLITE_ROW;
}

static sqlite3_stmt *query(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    return sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK ? stmt : NULL;
}

static void check_pages(struct inspection *in, sqlite3 *db, const char *name)
{
    sqlite3_stmt *stmt = query(db, "PRAGMA integrity_check(10)");
    while (next_row(in, db, stmt, name)) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        if (text != NULL && strcmp(text, "ok") != 0)
            add_damage(in, "file \"%s\": %s", name, text);
    }
    sqlite3_finalize(stmt);
}

static bool has_table(sqlite3 *db, const char *table)
{
    sqlite3_stmt *stmt = query(db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
    if (stmt != NULL)
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
    bool found = stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW;
    sqlite3_finalize(stmt);
    return found;
}

/* ---- state.db ---- */

/* The columns under their names. */
static void add_columns(struct inspection *in, sqlite3_stmt *stmt, cJSON *row)
{
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        const char *name = sqlite3_column_name(stmt, i);
        if (sqlite3_column_type(stmt, i) == SQLITE_INTEGER)
            cJSON_AddNumberToObject(row, name, (double)sqlite3_column_int64(stmt, i));
        else if (sqlite3_column_type(stmt, i) != SQLITE_NULL && strcmp(name, "sql") == 0)
            cJSON_AddStringToObject(row, name,
                                    in->shown(&in->arena, (const char *)sqlite3_column_text(stmt, i)));
        else if (sqlite3_column_type(stmt, i) != SQLITE_NULL)
            cJSON_AddStringToObject(row, name, (const char *)sqlite3_column_text(stmt, i));
    }
}

static void add_rows(struct inspection *in, sqlite3 *db, cJSON *to, const char *list, const char *sql)
{
    cJSON *rows = cJSON_AddArrayToObject(to, list);
    sqlite3_stmt *stmt = query(db, sql);
    while (next_row(in, db, stmt, "state.db"))
        add_columns(in, stmt, add_row(rows));
    sqlite3_finalize(stmt);
}

/* "r16385" and "v16390/3/aggregate" name a relation by its OID. */
static const char *name_of_owner(const cJSON *objects, const char *owner)
{
    double oid = owner[0] != '\0' ? (double)strtoul(owner + 1, NULL, 10) : 0;
    const cJSON *object;
    cJSON_ArrayForEach(object, objects)
    {
        const cJSON *item = cJSON_GetObjectItem(object, "oid");
        if (item != NULL && item->valuedouble == oid)
            return cJSON_GetStringValue(cJSON_GetObjectItem(object, "name"));
    }
    return "";
}

/* Every piece is read; those of one table come in a row. */
static void add_pieces(struct inspection *in, sqlite3 *db, cJSON *state)
{
    cJSON *tables = cJSON_AddArrayToObject(state, "tables"), *objects = cJSON_GetObjectItem(state, "objects");
    cJSON *row = NULL;
    uint64_t pieces = 0, dropped = 0, bytes = 0, raw_bytes = 0;
    sqlite3_stmt *stmt =
        query(db, "SELECT owner, name, dropped IS NOT NULL, raw_bytes, checksum, data, id FROM piece"
                  " ORDER BY owner, name, id");
    for (bool more = true; more;) {
        more = next_row(in, db, stmt, "state.db");
        const char *owner = more ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
        const char *name = more ? (const char *)sqlite3_column_text(stmt, 1) : NULL;
        bool same = row != NULL && owner != NULL && name != NULL &&
                    strcmp(owner, cJSON_GetStringValue(cJSON_GetObjectItem(row, "owner"))) == 0 &&
                    strcmp(name, cJSON_GetStringValue(cJSON_GetObjectItem(row, "table"))) == 0;
        if (row != NULL && !same) {
            add_number(row, "pieces", pieces);
            add_number(row, "dropped", dropped);
            add_number(row, "bytes", bytes);
            add_number(row, "raw_bytes", raw_bytes);
            row = NULL;
        }
        if (!more)
            break;
        if (owner == NULL || name == NULL) {
            add_damage(in, "file \"state.db\": a piece has no name");
            continue;
        }
        if (!same) {
            row = add_row(tables);
            cJSON_AddStringToObject(row, "owner", owner);
            cJSON_AddStringToObject(row, "object", name_of_owner(objects, owner));
            cJSON_AddStringToObject(row, "table", name);
            pieces = dropped = bytes = raw_bytes = 0;
        }
        const void *data = sqlite3_column_blob(stmt, 5);
        size_t size = (size_t)sqlite3_column_bytes(stmt, 5);
        pieces++;
        dropped += sqlite3_column_int(stmt, 2) != 0;
        bytes += size;
        raw_bytes += (uint64_t)sqlite3_column_int64(stmt, 3);
        /* an empty one has nothing to read */
        if (!is_whole(in, size > 0 ? data : "", size, (uint64_t)sqlite3_column_int64(stmt, 4),
                      (uint64_t)sqlite3_column_int64(stmt, 3), false))
            add_damage(in, "file \"state.db\": piece %lld of \"%s\"%s%s is not what was written",
                       (long long)sqlite3_column_int64(stmt, 6), owner, name[0] != '\0' ? ", table " : "",
                       name);
    }
    sqlite3_finalize(stmt);
}

static bool inspect_state(struct inspection *in, uint64_t *checkpoint_epoch, struct error *err)
{
    int format;
    bool fatal = false;
    sqlite3 *db = open_file(in, "state.db", &format, &fatal, err);
    *checkpoint_epoch = 0;
    if (db == NULL)
        return !fatal;
    cJSON *state = cJSON_AddObjectToObject(in->root, "state");
    cJSON_AddNumberToObject(state, "format", format);
    check_pages(in, db, "state.db");
    add_rows(in, db, state, "objects",
             "SELECT oid, CASE schema_oid WHEN 2200 THEN 'public' ELSE (SELECT name FROM object s WHERE "
             "s.oid = o.schema_oid) END AS schema,"
             " name, kind, epoch, sql"
             " FROM object o ORDER BY oid");
    if (has_table(db, "checkpoint")) {
        add_rows(
            in, db, state, "checkpoints",
            "SELECT number, epoch, clock_us, shards AS workers, started_us, ended_us, rows, bytes,"
            " number = (SELECT max(number) FROM checkpoint) AS is_newest FROM checkpoint ORDER BY number");
        add_rows(in, db, state, "snapshots",
                 "SELECT name, checkpoint, taken_us FROM savepoint WHERE NOT is_backup ORDER BY name");
        const cJSON *row, *number;
        cJSON_ArrayForEach(row, cJSON_GetObjectItem(
                                    state, "checkpoints")) if ((number = cJSON_GetObjectItem(row, "epoch")) !=
                                                               NULL) *checkpoint_epoch =
            (uint64_t)number->valuedouble;
        add_pieces(in, db, state);
    }
    sqlite3_close(db);
    return true;
}

/* ---- log.db ---- */

static bool inspect_log(struct inspection *in, uint64_t checkpoint_epoch, struct error *err)
{
    int format;
    bool fatal = false;
    sqlite3 *db = open_file(in, "log.db", &format, &fatal, err);
    if (db == NULL)
        return !fatal;
    cJSON *log = cJSON_AddObjectToObject(in->root, "log");
    cJSON_AddNumberToObject(log, "format", format);
    check_pages(in, db, "log.db");
    uint64_t first = 0, last = 0, ticks = 0, behind = 0, bytes = 0, raw_bytes = 0;
    int next_piece = 0;
    sqlite3_stmt *stmt =
        query(db, "SELECT epoch, piece, is_last, raw_bytes, checksum, body FROM tick ORDER BY epoch, piece");
    while (next_row(in, db, stmt, "log.db")) {
        uint64_t epoch = (uint64_t)sqlite3_column_int64(stmt, 0),
                 raw = (uint64_t)sqlite3_column_int64(stmt, 3);
        const void *data = sqlite3_column_blob(stmt, 5);
        size_t size = (size_t)sqlite3_column_bytes(stmt, 5);
        if (sqlite3_column_int(stmt, 1) != next_piece ||
            !is_whole(in, data, size, (uint64_t)sqlite3_column_int64(stmt, 4), raw, true))
            add_damage(in, "file \"log.db\": the tick of epoch %" PRIu64 " is not what was written", epoch);
        next_piece = sqlite3_column_int(stmt, 2) ? 0 : sqlite3_column_int(stmt, 1) + 1;
        bytes += size;
        raw_bytes += raw;
        if (!sqlite3_column_int(stmt, 2))
            continue;
        first = ticks == 0 ? epoch : first;
        last = epoch;
        ticks++;
        behind += epoch > checkpoint_epoch;
    }
    if (next_piece != 0)
        add_damage(in, "file \"log.db\": its last tick is incomplete");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    add_number(log, "first_epoch", first);
    add_number(log, "last_epoch", last);
    add_number(log, "ticks", ticks);
    add_number(log, "ticks_to_replay", behind);
    add_number(log, "bytes", bytes);
    add_number(log, "raw_bytes", raw_bytes);
    return true;
}

/* ---- text ---- */

static uint64_t number_of(const cJSON *row, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(row, name);
    return item != NULL ? (uint64_t)item->valuedouble : 0;
}

static const char *text_of(const cJSON *row, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(row, name));
    return text != NULL ? text : "";
}

static void print_time(struct strbuf *out, uint64_t us)
{
    char text[40];
    time_t seconds = (time_t)(us / 1000000) + UNIX_SECONDS_2000;
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
    strbuf_adds(out, text);
}

static void print_state(const cJSON *state, struct strbuf *out)
{
    const cJSON *row;
    strbuf_addf(out, "\nstate.db, format %" PRIu64 "\n\nobjects:\n", number_of(state, "format"));
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(state, "objects"))
    {
        const char *schema = text_of(row, "schema");
        strbuf_addf(out, "  %-18s %s%s%s  (OID %" PRIu64 ", epoch %" PRIu64 ")\n", text_of(row, "kind"),
                    schema, schema[0] != '\0' ? "." : "", text_of(row, "name"), number_of(row, "oid"),
                    number_of(row, "epoch"));
    }
    strbuf_adds(out, "\ncheckpoints:\n");
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(state, "checkpoints"))
    {
        strbuf_addf(out,
                    "  %" PRIu64 "%s: epoch %" PRIu64 ", %" PRIu64 " workers, wrote %" PRIu64
                    " rows, %" PRIu64 " bytes, ",
                    number_of(row, "number"), number_of(row, "is_newest") ? " (newest)" : "",
                    number_of(row, "epoch"), number_of(row, "workers"), number_of(row, "rows"),
                    number_of(row, "bytes"));
        print_time(out, number_of(row, "ended_us"));
        strbuf_addc(out, '\n');
    }
    strbuf_adds(out, "\nsnapshots:\n");
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(state, "snapshots"))
    {
        strbuf_addf(out, "  %s: checkpoint %" PRIu64 ", ", text_of(row, "name"),
                    number_of(row, "checkpoint"));
        print_time(out, number_of(row, "taken_us"));
        strbuf_addc(out, '\n');
    }
    strbuf_adds(out, "\npieces (of them dropped), bytes, bytes before compression, of what:\n");
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(state, "tables"))
    {
        const char *table = text_of(row, "table");
        strbuf_addf(out, "  %6" PRIu64 " (%" PRIu64 ") %12" PRIu64 " %12" PRIu64 "  %s  %s %s\n",
                    number_of(row, "pieces"), number_of(row, "dropped"), number_of(row, "bytes"),
                    number_of(row, "raw_bytes"), text_of(row, "object"), text_of(row, "owner"),
                    table[0] != '\0' ? table : "-");
    }
}

static void print(const struct inspection *in, struct strbuf *out)
{
    const cJSON *row, *state = cJSON_GetObjectItem(in->root, "state"),
                      *log = cJSON_GetObjectItem(in->root, "log");
    strbuf_addf(out, "%s \"%s\"\n\nfiles:\n", text_of(in->root, "kind"), in->dir);
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(in->root, "files"))
        strbuf_addf(out, "  %-16s %12" PRIu64 " bytes\n", text_of(row, "name"), number_of(row, "bytes"));
    if (state != NULL)
        print_state(state, out);
    if (log != NULL)
        strbuf_addf(out,
                    "\nlog.db, format %" PRIu64 "\n\n  epochs %" PRIu64 " to %" PRIu64 ", %" PRIu64
                    " ticks, %" PRIu64 " of them to be replayed; %" PRIu64 " bytes, %" PRIu64
                    " before compression\n",
                    number_of(log, "format"), number_of(log, "first_epoch"), number_of(log, "last_epoch"),
                    number_of(log, "ticks"), number_of(log, "ticks_to_replay"), number_of(log, "bytes"),
                    number_of(log, "raw_bytes"));
    strbuf_adds(out, cJSON_GetArraySize(in->damage) > 0 ? "\ndamage:\n" : "\nAll checksums are right.\n");
    cJSON_ArrayForEach(row, in->damage) strbuf_addf(out, "  %s\n", cJSON_GetStringValue(row));
}

/* ---- all of it ---- */

/* Keeps a server from starting on the directory meanwhile; where there is no lock, or it may not be written, none runs that
 * could change something. */
static bool take_lock(struct inspection *in, struct disk_file **out, struct error *err)
{
    struct disk *disk = disk_posix();
    *out = NULL;
    if (disk->open(disk, arena_printf(&in->arena, "%s/lock", in->dir), DISK_WRITE, out) != 0 ||
        disk->lock(*out) != EAGAIN)
        return true;
    error_set(err, ERRCODE_OBJECT_IN_USE, "data directory \"%s\" is in use by a server", in->dir);
    return error_hint(
        err, "Inspect a backup of it (BACKUP TO), or read millrace.checkpoints, millrace.snapshots and "
             "millrace.log.");
}

bool inspect_dir(const char *dir, bool as_json, const char *(*shown)(struct arena *arena, const char *sql),
                 struct strbuf *out, bool *is_damaged, struct error *err)
{
    struct inspection in = {
        .dir = dir, .shown = shown, .root = cJSON_CreateObject(), .zstd = ZSTD_createDCtx()};
    arena_init(&in.arena, NULL);
    disk_use(&seen_disk);
    struct disk_file *lock = NULL;
    uint64_t epoch = 0;
    bool is_backup = disk_exists(arena_printf(&in.arena, "%s/" BACKUP_MANIFEST, dir));
    cJSON_AddStringToObject(in.root, "directory", dir);
    cJSON_AddStringToObject(in.root, "kind", is_backup ? "backup" : "data directory");
    cJSON_AddArrayToObject(in.root, "files");
    in.damage = cJSON_CreateArray();
    bool ok = take_lock(&in, &lock, err) && disk_list(dir, add_file, &in, err) &&
              inspect_state(&in, &epoch, err) && inspect_log(&in, epoch, err);
    struct error why;
    if (ok && !backup_is_finished(dir, &why))
        add_damage(&in, "%s", why.message);
    if (ok && is_backup && !backup_verify(dir, &epoch, &why))
        add_damage(&in, "%s", why.message);
    cJSON_AddItemToObject(in.root, "damage", in.damage);
    if (ok && as_json) {
        char *text = cJSON_Print(in.root);
        CHECK(text != NULL);
        strbuf_addf(out, "%s\n", text);
        cJSON_free(text);
    } else if (ok) {
        print(&in, out);
    }
    *is_damaged = cJSON_GetArraySize(in.damage) > 0;
    disk_close(lock);
    disk_use(NULL);
    cJSON_Delete(in.root);
    ZSTD_freeDCtx(in.zstd);
    strbuf_release(&in.raw);
    arena_release(&in.arena);
    return ok;
}
