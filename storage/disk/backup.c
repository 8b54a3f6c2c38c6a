/* backup.c: see backup.h. */
#include "storage/disk/backup.h"

#include "storage/disk/disk.h"
#include "storage/disk/sqlite_door.h"
#include "storage/disk/tick_log.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define COPY_BYTES         ((size_t)1 << 20)
#define MANIFEST_BYTES_MAX ((uint64_t)1 << 20)
#define UNFINISHED         "unfinished" /* a file that is there from the first to the last step */
#define MANIFEST_NEW       BACKUP_MANIFEST ".new"

/* log.db last: a directory without it is refused as a data directory. */
static const char *const files[] = {"state.db", "log.db"};

static const char *join(struct arena *arena, const char *dir, const char *name)
{
    return arena_printf(arena, "%s/%s", dir, name);
}

static bool see_name(void *ctx, const char *name)
{
    *(bool *)ctx = false;
    return false;
}

bool backup_make_dir(const char *dir, bool *made, struct error *err)
{
    bool empty = true;
    if (!disk_make_dir(dir, made, err) || !disk_list(dir, see_name, &empty, err))
        return false;
    if (!empty)
        return error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "directory \"%s\" is not empty", dir);
    struct arena arena;
    struct disk_file *file;
    arena_init(&arena, NULL);
    const char *mark = join(&arena, dir, UNFINISHED);
    bool ok = disk_open(mark, DISK_WRITE | DISK_CREATE, &file, err);
    if (ok) {
        ok = disk_sync(file, mark, err) && disk_sync_dir(dir, err);
        disk_close(file);
    }
    arena_release(&arena);
    if (!ok)
        backup_remove(dir, *made);
    return ok;
}

static bool finish(const char *dir, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = disk_remove(join(&arena, dir, UNFINISHED), err) && disk_sync_dir(dir, err);
    arena_release(&arena);
    return ok;
}

bool backup_is_finished(const char *dir, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = !disk_exists(join(&arena, dir, UNFINISHED));
    arena_release(&arena);
    if (ok)
        return true;
    error_set(err, ERRCODE_DATA_CORRUPTED, "directory \"%s\" is unfinished", dir);
    return error_hint(err,
                      "A backup to it, or a restore into it, did not end. Remove it, and make it again.");
}

void backup_remove(const char *dir, bool made)
{
    static const char *const names[] = {
        BACKUP_MANIFEST, MANIFEST_NEW,        "log.db", "log.db-wal", "log.db-wal-mark", "state.db",
        "state.db-wal",  "state.db-wal-mark", "lock",   UNFINISHED};
    struct arena arena;
    struct error ignored;
    arena_init(&arena, NULL);
    bool removed = true;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        removed &= disk_remove(join(&arena, dir, names[i]), &ignored);
    if (removed && made)
        removed = disk_remove(dir, &ignored);
    arena_release(&arena);
}

/* ---- one file ---- */

/* Reads the file; to: a file that gets the same (NULL: none). */
static bool read_through(const char *from, const char *to, uint64_t *bytes, uint64_t *checksum,
                         struct error *err)
{
    struct disk_file *in = NULL, *out = NULL;
    bool ok = disk_size(from, bytes, err) && disk_open(from, DISK_READ, &in, err) &&
              (to == NULL || disk_open(to, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &out, err));
    XXH3_state_t *state = XXH3_createState();
    CHECK(state != NULL);
    XXH3_64bits_reset(state);
    char *buffer = mem_alloc(COPY_BYTES);
    for (uint64_t at = 0; ok && at < *bytes;) {
        size_t part = *bytes - at < COPY_BYTES ? (size_t)(*bytes - at) : COPY_BYTES;
        ok = disk_read(in, from, buffer, part, at, err) &&
             (out == NULL || disk_write(out, to, buffer, part, at, err));
        if (ok)
            XXH3_64bits_update(state, buffer, part);
        at += part;
    }
    ok = ok && (out == NULL || disk_sync(out, to, err));
    *checksum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    mem_free(buffer);
    disk_close(in);
    disk_close(out);
    return ok;
}

/* ---- the manifest: a line of JSON, and a line with its checksum ---- */

static bool write_manifest(const char *dir, const struct savepoint_info *info, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "files");
    cJSON_AddNumberToObject(root, "format", DISK_FORMAT_VERSION);
    cJSON_AddNumberToObject(root, "epoch", (double)info->epoch);
    cJSON_AddNumberToObject(root, "taken_us", (double)info->taken_us);
    bool ok = true;
    for (size_t i = 0; i < ARRAY_COUNT(files) && ok; i++) {
        uint64_t bytes, checksum;
        ok = read_through(join(&arena, dir, files[i]), NULL, &bytes, &checksum, err);
        cJSON *file = cJSON_CreateObject();
        cJSON_AddStringToObject(file, "name", files[i]);
        cJSON_AddNumberToObject(file, "bytes", (double)bytes);
        cJSON_AddStringToObject(file, "xxh3", arena_printf(&arena, "%016" PRIx64, checksum));
        cJSON_AddItemToArray(list, file);
    }
    char *json = cJSON_PrintUnformatted(root);
    CHECK(json != NULL);
    const char *text =
        arena_printf(&arena, "%s\n%016" PRIx64 "\n", json, (uint64_t)XXH3_64bits(json, strlen(json)));
    cJSON_free(json);
    cJSON_Delete(root);
    const char *path = join(&arena, dir, MANIFEST_NEW);
    struct disk_file *file = NULL;
    ok = ok && disk_open(path, DISK_WRITE | DISK_CREATE, &file, err) &&
         disk_write(file, path, text, strlen(text), 0, err) && disk_sync(file, path, err);
    disk_close(file);
    ok = ok && disk_rename(path, join(&arena, dir, BACKUP_MANIFEST), err) && disk_sync_dir(dir, err);
    arena_release(&arena);
    return ok;
}

static bool damaged_manifest(const char *dir, struct error *err)
{
    return error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s/" BACKUP_MANIFEST "\" is damaged", dir);
}

/* *out: the caller deletes it. */
static bool read_manifest(const char *dir, cJSON **out, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const char *path = join(&arena, dir, BACKUP_MANIFEST);
    *out = NULL;
    if (!disk_exists(path)) {
        arena_release(&arena);
        error_set(err, ERRCODE_UNDEFINED_FILE, "\"%s\" is not a complete backup", dir);
        return error_detail(err, "It has no file \"" BACKUP_MANIFEST "\", which is written last.");
    }
    struct disk_file *file = NULL;
    uint64_t bytes;
    bool ok = disk_size(path, &bytes, err) && disk_open(path, DISK_READ, &file, err);
    if (ok && bytes > MANIFEST_BYTES_MAX)
        ok = damaged_manifest(dir, err);
    char *text = ok ? arena_zalloc(&arena, bytes + 1) : NULL;
    ok = ok && disk_read(file, path, text, bytes, 0, err);
    disk_close(file);
    char *line_end = ok ? strchr(text, '\n') : NULL;
    if (ok) {
        size_t len = line_end != NULL ? (size_t)(line_end - text) : 0;
        const char *sum = arena_printf(&arena, "\n%016" PRIx64 "\n", (uint64_t)XXH3_64bits(text, len));
        ok = line_end != NULL && strcmp(line_end, sum) == 0;
        *out = ok ? cJSON_Parse(text) : NULL;
        ok = *out != NULL || damaged_manifest(dir, err);
    }
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(*out, "format");
    if (ok && !(cJSON_IsNumber(format) && format->valuedouble <= DISK_FORMAT_VERSION)) {
        ok = error_set(err, ERRCODE_DATA_CORRUPTED,
                       "backup \"%s\" was written by a newer version of Millrace", dir);
        cJSON_Delete(*out);
        *out = NULL;
    }
    arena_release(&arena);
    return ok;
}

/* Each file of the manifest is what it was; to: a directory that gets a copy (NULL: none). */
static bool check_files(const char *dir, const cJSON *manifest, const char *to, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(manifest, "files");
    bool ok = cJSON_GetArraySize(list) == (int)ARRAY_COUNT(files) || damaged_manifest(dir, err);
    for (size_t i = 0; i < ARRAY_COUNT(files) && ok; i++) {
        const cJSON *file = cJSON_GetArrayItem(list, (int)i);
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(file, "name"),
                    *size = cJSON_GetObjectItemCaseSensitive(file, "bytes"),
                    *sum = cJSON_GetObjectItemCaseSensitive(file, "xxh3");
        uint64_t bytes, checksum;
        if (!cJSON_IsString(name) || strcmp(name->valuestring, files[i]) != 0 || !cJSON_IsNumber(size) ||
            !cJSON_IsString(sum)) {
            ok = damaged_manifest(dir, err);
            break;
        }
        const char *path = join(&arena, dir, files[i]);
        ok = read_through(path, to != NULL ? join(&arena, to, files[i]) : NULL, &bytes, &checksum, err);
        if (ok &&
            (bytes != (uint64_t)size->valuedouble || checksum != strtoull(sum->valuestring, NULL, 16))) {
            ok = error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s\" is not what was backed up", path);
            error_detail(err, "It is damaged, or was changed since.");
        }
    }
    arena_release(&arena);
    return ok;
}

/* ---- public ---- */

/* Both files, each in one piece. */
static bool write_files(struct catalog_store *store, const char *name, const char *dir,
                        const _Atomic bool *cancel, struct savepoint_info *out, struct error *err)
{
    struct catalog_store *catalog;
    struct checkpoint_store *checkpoints = NULL;
    struct tick_log *log = NULL;
    sqlite3 *db;
    if (!catalog_store_open(dir, &catalog, err))
        return false;
    bool ok = checkpoint_store_open(catalog, &checkpoints, err) &&
              savepoint_copy(store, name, SAVEPOINT_BACKUP, catalog, cancel, out, err) &&
              tick_log_open(dir, true, &log, err) && catalog_store_complete(catalog, err);
    if (log != NULL)
        tick_log_close(log);
    checkpoint_store_close(checkpoints);
    if (ok && catalog_store_lock(catalog, &db, err)) {
        ok = sqlite_door_exec(db, "state.db", "PRAGMA wal_checkpoint(TRUNCATE)", err);
        catalog_store_unlock(catalog, ok);
    }
    catalog_store_close(catalog);
    return ok;
}

bool backup_write(struct catalog_store *store, const char *name, const char *dir, const _Atomic bool *cancel,
                  struct savepoint_info *out, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = write_files(store, name, dir, cancel, out, err);
    for (size_t i = 0; i < ARRAY_COUNT(files) && ok; i++) {
        const char *wal = arena_printf(&arena, "%s/%s-wal", dir, files[i]);
        if (disk_exists(wal)) /* SQLite keeps it where what is in it could not be written to the file */
            ok = error_set(err, ERRCODE_IO_ERROR, "could not write \"%s\"", join(&arena, dir, files[i]));
    }
    for (size_t i = 0; i < ARRAY_COUNT(files) && ok; i++)
        ok = disk_remove(arena_printf(&arena, "%s/%s-wal-mark", dir, files[i]), err);
    ok = ok && disk_remove(join(&arena, dir, "lock"), err) && disk_sync_dir(dir, err) &&
         write_manifest(dir, out, err) && finish(dir, err);
    if (!ok)
        error_detail(err, "The backup was to be written to \"%s\".", dir);
    arena_release(&arena);
    return ok;
}

bool backup_verify(const char *dir, uint64_t *epoch, struct error *err)
{
    cJSON *manifest;
    if (!read_manifest(dir, &manifest, err))
        return false;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(manifest, "epoch");
    *epoch = cJSON_IsNumber(item) ? (uint64_t)item->valuedouble : 0;
    bool ok = check_files(dir, manifest, NULL, err);
    cJSON_Delete(manifest);
    return ok;
}

bool backup_restore(const char *from, const char *dir, struct error *err)
{
    cJSON *manifest;
    bool made = false;
    if (!read_manifest(from, &manifest, err))
        return false;
    bool ok = backup_make_dir(dir, &made, err);
    if (ok) {
        ok = check_files(from, manifest, dir, err) && disk_sync_dir(dir, err) && finish(dir, err);
        if (!ok)
            backup_remove(dir, made);
    }
    cJSON_Delete(manifest);
    return ok;
}
