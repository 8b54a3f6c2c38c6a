/* test_damage.c: a small data directory with one byte changed, or one file missing: the server refuses to start and names
 * the file, or everything is there. After a clean stop, and as a kill leaves it. */
#include "storage/base/arena.h"
#include "tests/fault/fault_server.h"
#include "tests/fault/memory_disk.h"
#include "tests/test.h"

#define DIR "/disk/data"

static const char *const script[] = {
    "CREATE TABLE t (id int PRIMARY KEY, v int, s text)",
    "CREATE STREAM log (n int, v int)",
    "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')",
    "CREATE MATERIALIZED VIEW sums AS SELECT v, count(*) AS n, sum(n) AS total FROM log GROUP BY v",
    "INSERT INTO log SELECT i, i % 7 FROM generate_series(1, 40) i",
    "INSERT INTO t SELECT i, i, repeat(md5(i::text), 10) FROM generate_series(10, 40) i",
    "UPDATE t SET v = v + 1 WHERE id < 3",
    "DELETE FROM t WHERE id = 2",
    "CREATE INDEX t_v ON t (v)",
    "CREATE VIEW plain AS SELECT id FROM t",
    "DROP VIEW plain",
    "INSERT INTO log VALUES (1000, 0)",
};

static struct strbuf expected;
static uint64_t refused, harmless;

static struct memory_disk *make(bool killed)
{
    struct memory_disk *disk = memory_disk_create();
    disk_use(memory_disk_door(disk));
    struct fault_server *server;
    struct error err;
    error_init(&err);
    CHECK(disk_make_dir("/disk", NULL, &err) && fault_server_open(DIR, 1, &server, &err));
    struct fault_client *client = fault_client_open(server);
    for (size_t i = 0; i < ARRAY_COUNT(script); i++)
        EXPECT_TEXT(fault_query(client, script[i], 0, NULL, NULL)->sqlstate, "");
    strbuf_reset(&expected);
    fault_dump(client, &expected);
    if (killed) {
        memory_disk_count(disk, OP_ALL);
        memory_disk_cut(disk, 1);
    }
    fault_client_close(client);
    fault_server_close(server);
    memory_disk_power_on(disk, LOSS_NONE, 0);
    disk_use(NULL);
    return disk;
}

/* The damaged disk goes. */
static void look(struct memory_disk *disk, const char *what)
{
    char text[600];
    struct fault_server *server;
    struct error err;
    error_init(&err);
    disk_use(memory_disk_door(disk));
    if (!fault_server_open(DIR, 1, &server, &err)) {
        refused++;
        snprintf(text, sizeof(text), "%s: %s", what, err.message);
        if (strcmp(error_sqlstate(err.code), "XX001") != 0 || strstr(err.message, ".db") == NULL)
            test_fail(__FILE__, __LINE__, text);
    } else {
        harmless++;
        struct strbuf got = STRBUF_INIT;
        struct fault_client *client = fault_client_open(server);
        fault_dump(client, &got);
        snprintf(text, sizeof(text), "%s: a wrong answer", what);
        if (strcmp(strbuf_text(&got), strbuf_text(&expected)) != 0)
            test_fail(__FILE__, __LINE__, text);
        strbuf_release(&got);
        fault_client_close(client);
        fault_server_close(server);
    }
    disk_use(NULL);
    memory_disk_destroy(disk);
}

static void flip_bytes(bool killed, uint64_t stride)
{
    struct memory_disk *whole = make(killed);
    uint8_t *bytes;
    uint64_t len;
    const char *path;
    for (uint32_t i = 0; (path = memory_disk_file(whole, i, &bytes, &len)) != NULL; i++) {
        refused = harmless = 0;
        for (uint64_t at = i % stride; at < len; at += stride) {
            struct memory_disk *disk = memory_disk_copy(whole);
            uint8_t *copy;
            uint64_t copy_len;
            char what[200];
            CHECK(memory_disk_file(disk, i, &copy, &copy_len) != NULL && copy_len == len);
            copy[at] ^= (uint8_t)(1u << at % 8);
            snprintf(what, sizeof(what), "byte %llu of %s", (unsigned long long)at, path);
            look(disk, what);
        }
        printf("%s%s: %llu bytes, %llu refused, %llu harmless\n", path, killed ? " after a kill" : "",
               (unsigned long long)len, (unsigned long long)refused, (unsigned long long)harmless);
        fflush(stdout);
    }
    memory_disk_destroy(whole);
}

static void remove_files(bool killed)
{
    struct memory_disk *whole = make(killed);
    uint8_t *bytes;
    uint64_t len;
    const char *path;
    for (uint32_t i = 0; (path = memory_disk_file(whole, i, &bytes, &len)) != NULL; i++) {
        struct memory_disk *disk = memory_disk_copy(whole);
        char what[200];
        snprintf(what, sizeof(what), "without %s", path);
        memory_disk_delete(disk, path);
        refused = harmless = 0;
        look(disk, what);
        bool is_needed = strstr(path, "/lock") == NULL && strstr(path, "-mark") == NULL;
        if (refused != is_needed)
            test_fail(__FILE__, __LINE__, what);
    }
    memory_disk_destroy(whole);
}

/* test_damage [STRIDE] */
int main(int argc, char **argv)
{
    test_name = "damage";
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 97;
    for (int killed = 0; killed < 2; killed++) {
        remove_files(killed);
        flip_bytes(killed, stride);
    }
    strbuf_release(&expected);
    return test_result();
}
