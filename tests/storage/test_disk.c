/* test_disk.c: the tick log and the catalog store: what was written comes back, damage and newer files are
 * refused. */
#include "storage/disk/catalog_store.h"
#include "storage/disk/disk.h"
#include "storage/disk/sqlite_door.h"
#include "storage/disk/tick_log.h"
#include "tests/test.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct sql_type types[2] = {{OID_INT8, -1}, {OID_TEXT, -1}};

struct written {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    uint64_t last;
    int failures;
};

static void on_done(void *ctx, uint64_t epoch, const struct error *err)
{
    struct written *written = ctx;
    pthread_mutex_lock(&written->lock);
    if (err != NULL || epoch <= written->last)
        written->failures++;
    written->last = epoch;
    pthread_cond_signal(&written->cond);
    pthread_mutex_unlock(&written->lock);
}

static void append(struct tick_log *log, struct written *written, uint64_t epoch, const char *text)
{
    struct arena arena;
    struct error err;
    arena_init(&arena, NULL);
    struct batch *batch = batch_create(&arena, types, 2, 4);
    EXPECT(batch_from_text(batch, text, &err));
    struct tick_log_entry entry = {16384, batch, NULL};
    tick_log_append(log, epoch, (int64_t)epoch * 10, epoch * 100, &entry, 1, on_done, written);
    arena_release(&arena);
}

struct collected {
    struct strbuf text;
};

static bool collect(void *ctx, uint64_t epoch, int64_t clock_us, uint64_t seed,
                    const struct tick_log_raw *entries, uint32_t count, struct error *err)
{
    struct collected *collected = ctx;
    EXPECT_INT(clock_us, epoch * 10);
    EXPECT_INT(seed, epoch * 100);
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = true;
    for (uint32_t i = 0; ok && i < count; i++) {
        struct batch *batch = batch_create(&arena, types, 2, 4);
        ok = tick_log_decode(&entries[i], batch, err);
        strbuf_addf(&collected->text, "%d:\n", (int)epoch);
        if (ok)
            batch_to_text(batch, &collected->text);
    }
    arena_release(&arena);
    return ok;
}

static char *make_dir(char *pattern)
{
    EXPECT(mkdtemp(pattern) != NULL);
    return pattern;
}

static void write_log(const char *dir, int ticks)
{
    struct error err;
    struct tick_log *log;
    struct written written = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    EXPECT(tick_log_open(dir, true, &log, &err));
    for (int i = 1; i <= ticks; i++)
        append(log, &written, (uint64_t)i, i % 2 ? "+ 1 one\n+3 2 \\N\n" : "- 1 one\n");
    tick_log_close(log);
    EXPECT_INT(written.failures, 0);
    EXPECT_INT(written.last, ticks);
}

TEST(log_comes_back)
{
    char dir[] = "/tmp/test-disk.XXXXXX";
    struct error err;
    struct tick_log *log;
    write_log(make_dir(dir), 3);
    EXPECT(tick_log_open(dir, false, &log, &err));
    EXPECT_INT(tick_log_last(log), 3);
    struct collected collected = {STRBUF_INIT};
    EXPECT(tick_log_read(log, 1, collect, &collected, &err));
    EXPECT_TEXT(strbuf_text(&collected.text), "2:\n- 1 one\n3:\n+ 1 one\n+3 2 \\N\n");
    strbuf_release(&collected.text);
    tick_log_close(log);
}

static bool describe(void *ctx, uint64_t epoch, int64_t clock_us, uint64_t seed,
                     const struct tick_log_raw *entries, uint32_t count, struct error *err)
{
    struct strbuf *text = ctx;
    struct arena arena;
    (void)epoch;
    (void)clock_us;
    (void)seed;
    arena_init(&arena, NULL);
    bool ok = true;
    for (uint32_t i = 0; ok && i < count; i++) {
        struct batch *batch = batch_create(&arena, types, 2, 4);
        ok = tick_log_decode(&entries[i], batch, err);
        strbuf_addf(text, "%u%s%s rows", batch->rows, entries[i].replaces ? " replacing" : "",
                    entries[i].continues ? " more" : "");
        if (entries[i].has_partition)
            strbuf_addf(text, " of %d", entries[i].partition);
        strbuf_addc(text, '\n');
    }
    arena_release(&arena);
    return ok;
}

TEST(changes_that_replace_and_partitions)
{
    char dir[] = "/tmp/test-disk.XXXXXX";
    struct error err;
    struct tick_log *log;
    struct written written = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *many = batch_create(&arena, types, 2, 5000), *none = batch_create(&arena, types, 2, 1);
    for (int32_t i = 0; i < 5000; i++) {
        struct datum values[] = {datum_i32(i), datum_null()};
        batch_append_datums(many, values, 1);
    }
    const struct tick_log_entry entries[] = {
        {.relation_oid = 16384, .rows = many},
        {.relation_oid = 16384, .rows = many, .replaces = true},
        {.relation_oid = 16384, .rows = many, .has_partition = true, .partition = -7},
        {.relation_oid = 16384, .rows = none, .has_partition = true, .partition = 3},
        {.relation_oid = 16384, .rows = none, .replaces = true, .has_partition = true, .partition = 4}};
    EXPECT(tick_log_open(make_dir(dir), true, &log, &err));
    tick_log_append(log, 1, 10, 100, entries, ARRAY_COUNT(entries), on_done, &written);
    tick_log_close(log);
    EXPECT_INT(written.last, 1);
    EXPECT(tick_log_open(dir, false, &log, &err));
    struct strbuf text = STRBUF_INIT;
    EXPECT(tick_log_read(log, 0, describe, &text, &err));
    EXPECT_TEXT(strbuf_text(&text),
                "4096 rows\n904 rows\n4096 replacing rows\n904 replacing more rows\n"
                "4096 rows of -7\n904 more rows of -7\n0 rows of 3\n0 replacing rows of 4\n");
    strbuf_release(&text);
    tick_log_close(log);
    arena_release(&arena);
}

TEST(newer_and_incomplete_are_refused)
{
    char dir[] = "/tmp/test-disk.XXXXXX";
    struct error err;
    make_dir(dir);
    struct tick_log *log;
    EXPECT(!tick_log_open(dir, false, &log, &err));
    EXPECT_TEXT(error_sqlstate(err.code), "XX001");
    EXPECT(strstr(err.message, "log.db") != NULL);
    write_log(dir, 1);
    sqlite3 *db;
    char path[64];
    snprintf(path, sizeof(path), "%s/log.db", dir);
    EXPECT(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, disk_vfs()) == SQLITE_OK);
    EXPECT(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA user_version=999", NULL, NULL, NULL) ==
           SQLITE_OK);
    sqlite3_close(db);
    EXPECT(!tick_log_open(dir, true, &log, &err));
    EXPECT(strstr(err.message, "newer version") != NULL);
}

struct seen {
    struct strbuf text;
};

static bool see(void *ctx, const struct catalog_record *record, struct error *err)
{
    (void)err;
    strbuf_addf(&((struct seen *)ctx)->text, "%u %s %s;", record->oid, record->kind, record->sql);
    return true;
}

TEST(catalog_comes_back)
{
    char dir[] = "/tmp/test-disk.XXXXXX";
    struct error err;
    make_dir(dir);
    struct catalog_store *store, *second;
    EXPECT(catalog_store_open(dir, &store, &err));
    EXPECT(catalog_store_is_new(store));
    EXPECT(!catalog_store_open(dir, &second, &err));
    EXPECT_TEXT(error_sqlstate(err.code), "55006");
    struct catalog_record records[2] = {{20000, 2200, "t", "table", "CREATE TABLE t", NULL, 1},
                                        {20001, 2200, "v", "view", "CREATE VIEW v", "{}", 2}};
    uint32_t drop = 20000;
    EXPECT(catalog_store_write(store, records, 2, NULL, 0, 20002, &err));
    EXPECT(catalog_store_write(store, NULL, 0, &drop, 1, 20003, &err));
    catalog_store_close(store);
    struct tick_log *log;
    EXPECT(catalog_store_open(dir, &store, &err));
    EXPECT(catalog_store_is_new(store)); /* its making was interrupted */
    EXPECT(tick_log_open(dir, true, &log, &err));
    EXPECT(catalog_store_complete(store, &err));
    tick_log_close(log);
    catalog_store_close(store);
    EXPECT(catalog_store_open(dir, &store, &err));
    EXPECT(!catalog_store_is_new(store));
    uint32_t next_oid;
    EXPECT(catalog_store_next_oid(store, &next_oid, &err));
    EXPECT_INT(next_oid, 20003);
    struct seen seen = {STRBUF_INIT};
    EXPECT(catalog_store_read(store, see, &seen, &err));
    EXPECT_TEXT(strbuf_text(&seen.text), "20001 view CREATE VIEW v;");
    strbuf_release(&seen.text);
    catalog_store_close(store);
    /* the log alone is half a directory */
    char path[64];
    snprintf(path, sizeof(path), "%s/state.db", dir);
    EXPECT(unlink(path) == 0);
    EXPECT(!catalog_store_open(dir, &store, &err));
    EXPECT(strstr(err.message, "incomplete") != NULL);
}

int main(void)
{
    RUN(log_comes_back);
    RUN(changes_that_replace_and_partitions);
    RUN(newer_and_incomplete_are_refused);
    RUN(catalog_comes_back);
    return test_result();
}
