/* test_sinks.c: sinks (server/sinks.h) to a connector in memory, each of whose calls may fail, in a server that loses power. What a
 * group that has failed held is never passed by: each commit goes on where the one before it ended, so that a reader sees
 * every row once, in order, and the fold of the other sink is its table. */
#include "protocol/connector/sink.h"
#include "storage/base/clock.h"
#include "tests/fault/fault_server.h"
#include "tests/fault/memory_disk.h"
#include "tests/test.h"

#include <pthread.h>
#include <time.h>

#define DIR "/disk/data"

enum { KEYS = 40, ROUNDS = 5, STEPS = 20 };

/* What a reader of committed records has seen. */
struct topic {
    const char *name;
    bool has_progress;
    struct sink_progress progress;
    uint64_t commits;
    int64_t next_id;      /* "events": of ids 0, 1, 2 ... */
    int64_t values[KEYS]; /* "kv": by key; -1: there is none */
};

struct change {
    int64_t key, value;
};

struct memory_sink {
    struct sink base;
    struct topic *topic;
    struct change *changes; /* of the group */
    uint32_t count, cap;
    bool is_recovered, in_group, is_interrupted;
    bool has_failed; /* and must be given up or closed */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static struct topic topics[2] = {{.name = "events"}, {.name = "kv"}};
static uint64_t random_state;
static uint32_t fail_percent; /* of calls */
static bool stops;            /* commits fail for good */
static uint32_t failures, commits, answers_lost;
static char last_color[32]; /* of the sink that was opened last */

static uint32_t draw(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % below;
}

/* ---- the connector ---- */

static bool fail(struct memory_sink *self, enum sink_remedy remedy, struct error *err)
{
    self->base.remedy = remedy;
    self->has_failed = true;
    failures++;
    return error_set(err, ERRCODE_CONNECTION_FAILURE, "made to fail");
}

/* Under the lock, which it gives back when it fails. Remedies are what Kafka's sink would say of a call. */
static bool may_fail(struct memory_sink *self, bool can_retry, struct error *err)
{
    bool ok = true;
    if (self->is_interrupted) {
        self->base.remedy = SINK_REOPEN;
        self->has_failed = true;
        ok = error_set(err, ERRCODE_QUERY_CANCELED, "the sink is stopped");
    } else if (draw(100) < fail_percent) {
        ok = fail(self, can_retry && draw(2) == 0 ? SINK_RETRY : SINK_REOPEN, err);
    }
    if (!ok)
        pthread_mutex_unlock(&lock);
    return ok;
}

static const struct sink_class memory_class;

static bool memory_open(const struct sink_spec *spec, struct sink **out, struct error *err)
{
    if (!sink_check_options(&memory_class, spec, err))
        return false;
    if (out == NULL)
        return true;
    struct memory_sink *self = mem_zalloc(sizeof(*self));
    self->base.class = &memory_class;
    const char *name = sink_option(&memory_class, spec, "topic");
    pthread_mutex_lock(&lock);
    snprintf(last_color, sizeof(last_color), "%s", sink_option(&memory_class, spec, "color"));
    pthread_mutex_unlock(&lock);
    self->topic = strcmp(name, topics[0].name) == 0 ? &topics[0] : &topics[1];
    *out = &self->base;
    return true;
}

static void memory_close(struct sink *sink)
{
    struct memory_sink *self = (struct memory_sink *)sink;
    mem_free(self->changes);
    mem_free(self);
}

static bool memory_recover(struct sink *sink, struct sink_recovery *found, struct error *err)
{
    struct memory_sink *self = (struct memory_sink *)sink;
    pthread_mutex_lock(&lock);
    EXPECT(!self->has_failed && !self->is_recovered);
    if (!may_fail(self, false, err))
        return false;
    self->is_recovered = true;
    *found = (struct sink_recovery){.found = self->topic->has_progress, .progress = self->topic->progress};
    pthread_mutex_unlock(&lock);
    return true;
}

static bool memory_begin(struct sink *sink, struct error *err)
{
    struct memory_sink *self = (struct memory_sink *)sink;
    pthread_mutex_lock(&lock);
    EXPECT(self->is_recovered && !self->in_group && !self->has_failed);
    if (!may_fail(self, true, err))
        return false;
    self->in_group = true;
    self->count = 0;
    pthread_mutex_unlock(&lock);
    return true;
}

static int64_t number_behind(const uint8_t *text, size_t len, const char *name)
{
    char copy[128];
    snprintf(copy, sizeof(copy), "%.*s", (int)len, (const char *)text);
    const char *at = strstr(copy, name);
    return at != NULL ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static bool memory_write(struct sink *sink, const struct record *record, struct error *err)
{
    struct memory_sink *self = (struct memory_sink *)sink;
    pthread_mutex_lock(&lock);
    EXPECT(self->in_group && !self->has_failed);
    if (draw(200) == 0 && !may_fail(self, true, err))
        return false;
    struct change change = {.value = -1};
    if (self->topic == &topics[0])
        change.value = number_behind(record->value, record->value_len, "\"id\":");
    else if (record->value != NULL)
        change.value = number_behind(record->value, record->value_len, "\"v\":");
    if (self->topic == &topics[1])
        change.key = number_behind(record->key, record->key_len, "\"k\":");
    EXPECT(change.key >= 0 && change.key < KEYS);
    if (self->count == self->cap) {
        self->cap = self->cap > 0 ? self->cap * 2 : 64;
        self->changes = mem_realloc(self->changes, sizeof(*self->changes) * self->cap);
    }
    self->changes[self->count++] = change;
    pthread_mutex_unlock(&lock);
    return true;
}

/* Readers see the group. */
static void apply(struct memory_sink *self, const struct sink_progress *progress)
{
    struct topic *topic = self->topic;
    for (uint32_t i = 0; i < self->count; i++) {
        const struct change *change = &self->changes[i];
        if (topic == &topics[0]) { /* nothing twice, and nothing before what has failed */
            EXPECT_INT(change->value, topic->next_id);
            topic->next_id++;
            continue;
        }
        EXPECT(change->value >= 0 || topic->values[change->key] >= 0);
        topic->values[change->key] = change->value;
    }
    EXPECT(progress->rows > topic->progress.rows && progress->epoch >= topic->progress.epoch);
    topic->has_progress = true;
    topic->progress = *progress;
    topic->commits++;
}

static bool memory_commit(struct sink *sink, const struct sink_progress *progress, struct error *err)
{
    struct memory_sink *self = (struct memory_sink *)sink;
    pthread_mutex_lock(&lock);
    EXPECT(self->in_group && !self->has_failed);
    if (stops) {
        (void)fail(self, SINK_STOP, err);
        pthread_mutex_unlock(&lock);
        return false;
    }
    if (!may_fail(self, true, err))
        return false;
    apply(self, progress);
    self->in_group = false;
    bool is_heard = fail_percent == 0 || ++commits % 8 != 0;
    if (!is_heard) { /* done, and nobody knows */
        answers_lost++;
        (void)fail(self, SINK_REOPEN, err);
    }
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&lock);
    return is_heard;
}

static bool memory_abort(struct sink *sink, struct error *err)
{
    struct memory_sink *self = (struct memory_sink *)sink;
    pthread_mutex_lock(&lock);
    EXPECT(self->has_failed);
    if (!may_fail(self, false, err))
        return false;
    self->has_failed = self->in_group = false;
    pthread_mutex_unlock(&lock);
    return true;
}

static void memory_interrupt(struct sink *sink)
{
    struct memory_sink *self = (struct memory_sink *)sink;
    pthread_mutex_lock(&lock);
    self->is_interrupted = true;
    pthread_mutex_unlock(&lock);
}

static const struct connector_option_row options[] = {
    {"topic", NULL, "events or kv"}, {"color", "", "may change"}, {NULL, NULL, NULL}};

static const char *why_fixed(const char *name)
{
    return strcmp(name, "topic") == 0 ? "it is the topic" : NULL;
}

static const struct sink_class memory_class = {
    .name = "memory",
    .help = "",
    .options = options,
    .why_fixed = why_fixed,
    .open = memory_open,
    .close = memory_close,
    .recover = memory_recover,
    .begin = memory_begin,
    .write = memory_write,
    .commit = memory_commit,
    .abort = memory_abort,
    .interrupt = memory_interrupt,
};

/* The linker puts it in the place of sink_find (tests.cmake). */
const struct sink_class *__wrap_sink_find(const char *name);
const struct sink_class *__wrap_sink_find(const char *name)
{
    return strcmp(name, memory_class.name) == 0 ? &memory_class : NULL;
}

/* ---- the server ---- */

static struct memory_disk *disk;
static struct fault_server *server;
static struct fault_client *client;
static int64_t next_id;
static char events_out[32]; /* its sink's name */

static void start(int workers)
{
    struct error err;
    error_init(&err);
    if (!fault_server_open(DIR, workers, &server, &err)) {
        test_fail(__FILE__, __LINE__, err.message);
        exit(test_result());
    }
    client = fault_client_open(server);
}

static void stop(void)
{
    fault_client_close(client);
    fault_server_close(server);
}

static void impatient(void *ctx, int times)
{
    (void)ctx, (void)times;
    if (memory_disk_is_cut(disk))
        fault_server_give_up(server);
}

static const struct fault_result *query(const char *sql)
{
    return fault_query(client, sql, 10, impatient, NULL);
}

static bool run(const char *sql)
{
    const struct fault_result *result = query(sql);
    if (result->sqlstate[0] != '\0' && !memory_disk_is_cut(disk))
        test_fail(__FILE__, __LINE__, result->message);
    return result->sqlstate[0] == '\0';
}

static void until(const char *sql, const char *expected)
{
    for (uint32_t tries = 0; strcmp(strbuf_text(&query(sql)->rows), expected) != 0; tries++) {
        if (tries == 3000) {
            test_fail(__FILE__, __LINE__, sql);
            fprintf(stderr, "%s\n", strbuf_text(&query("SELECT * FROM millrace.sinks")->rows));
            exit(test_result());
        }
        struct timespec soon;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += 20000000;
        soon.tv_sec += soon.tv_nsec / 1000000000;
        soon.tv_nsec %= 1000000000;
        pthread_mutex_lock(&lock);
        (void)pthread_cond_timedwait(&cond, &lock, &soon);
        pthread_mutex_unlock(&lock);
    }
}

/* The ids that are there, whether or not the statement before a power cut has come through. */
static void read_next_id(void)
{
    next_id = strtoll(strbuf_text(&query("SELECT coalesce(max(id) + 1, 0) FROM seen")->rows), NULL, 10);
}

/* What the sink is called; a rename that the power cut has ended may be there or not. */
static void read_name(void)
{
    const struct fault_result *result = query("SELECT name FROM millrace.sinks WHERE name <> 'kv_out'");
    if (result->sqlstate[0] == '\0')
        snprintf(events_out, sizeof(events_out), "%.*s", (int)strcspn(strbuf_text(&result->rows), "\n"),
                 strbuf_text(&result->rows));
}

static void step(void)
{
    char sql[256];
    int64_t count = 1 + draw(50), key = draw(KEYS);
    pthread_mutex_lock(&lock);
    uint32_t what = draw(8);
    pthread_mutex_unlock(&lock);
    switch (what) {
    case 0:
        snprintf(sql, sizeof(sql), "DELETE FROM kv WHERE k %% 5 = %lld", (long long)(key % 5));
        (void)run(sql);
        break;
    case 1:
        snprintf(sql, sizeof(sql), "UPDATE kv SET v = v + 1 WHERE k < %lld", (long long)key);
        (void)run(sql);
        break;
    case 2:
        snprintf(sql, sizeof(sql),
                 "INSERT INTO kv SELECT i, i * 3 FROM generate_series(%lld, %d) i ON CONFLICT (k) DO UPDATE "
                 "SET v = kv.v + 7",
                 (long long)key, KEYS - 1);
        (void)run(sql);
        break;
    case 3:
        (void)run("CHECKPOINT");
        break;
    case 4: /* also while it writes, and before the last one has come through */
        snprintf(sql, sizeof(sql), "ALTER SINK %s SET (color = 'c%lld')", events_out, (long long)key);
        (void)run(sql);
        break;
    case 5: {
        const char *other = strcmp(events_out, "events_out") == 0 ? "renamed" : "events_out";
        snprintf(sql, sizeof(sql), "ALTER SINK %s RENAME TO %s", events_out, other);
        (void)run(sql);
        read_name();
        break;
    }
    default:
        snprintf(sql, sizeof(sql), "INSERT INTO events SELECT i FROM generate_series(%lld, %lld) i",
                 (long long)next_id, (long long)(next_id + count - 1));
        next_id += run(sql) ? count : 0;
        break;
    }
}

static void check_contents(void)
{
    struct strbuf expected = STRBUF_INIT;
    until("SELECT sum(rows_behind) FROM millrace.sinks", "0\n");
    pthread_mutex_lock(&lock);
    EXPECT_INT(topics[0].next_id, next_id);
    for (int k = 0; k < KEYS; k++)
        if (topics[1].values[k] >= 0)
            strbuf_addf(&expected, "%d|%lld\n", k, (long long)topics[1].values[k]);
    pthread_mutex_unlock(&lock);
    EXPECT_TEXT(strbuf_text(&query("SELECT k, v FROM kv ORDER BY k")->rows), strbuf_text(&expected));
    strbuf_release(&expected);
}

static void begin(int workers)
{
    struct error err;
    error_init(&err);
    disk = memory_disk_create();
    disk_use(memory_disk_door(disk));
    CHECK(disk_make_dir("/disk", NULL, &err) && disk_sync_dir("", &err));
    for (size_t i = 0; i < ARRAY_COUNT(topics); i++) {
        topics[i] = (struct topic){.name = topics[i].name};
        memset(topics[i].values, 0xFF, sizeof(topics[i].values));
    }
    next_id = 0;
    snprintf(events_out, sizeof(events_out), "events_out");
    start(workers);
    (void)run("CREATE STREAM events (id bigint)");
    (void)run("CREATE MATERIALIZED VIEW seen AS SELECT id FROM events");
    (void)run("CREATE TABLE kv (k int PRIMARY KEY, v int)");
    (void)run("CREATE SINK events_out FROM events WITH (connector = 'memory', topic = 'events')");
    (void)run("CREATE SINK kv_out FROM kv WITH (connector = 'memory', topic = 'kv')");
}

static void end(void)
{
    stop();
    disk_use(NULL);
    memory_disk_destroy(disk);
}

/* Calls fail, and the power goes while rows wait. */
TEST(calls_fail)
{
    for (random_state = 1; random_state < 3; random_state++) {
        begin(1);
        fail_percent = 15;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            if (round % 2 == 1) {
                memory_disk_count(disk, OP_CHANGES | OP_OPEN);
                memory_disk_cut(disk, 60 + draw(100));
            }
            for (uint32_t i = 0; i < STEPS && !memory_disk_is_cut(disk); i++) {
                step();
                if (round % 2 == 0 && i % 2 == 0) /* else several ticks become one group */
                    check_contents();
            }
            stop();
            memory_disk_power_on(disk, round % 4 == 1 ? LOSS_ALL : LOSS_NONE, random_state);
            start(1);
            read_next_id();
            read_name();
        }
        fail_percent = 0;
        check_contents();
        end();
    }
    EXPECT(failures > 10 && answers_lost > 0);
    printf("%u calls failed, %u commits without an answer\n", failures, answers_lost);
}

/* A group that fails for good: nothing behind it is written until somebody says so. */
TEST(one_fails_for_good)
{
    begin(1);
    (void)run("INSERT INTO events SELECT i FROM generate_series(0, 9) i");
    until("SELECT rows_behind FROM millrace.sinks WHERE name = 'events_out'", "0\n");
    pthread_mutex_lock(&lock);
    stops = true;
    pthread_mutex_unlock(&lock);
    (void)run("INSERT INTO events VALUES (10)");
    until("SELECT state FROM millrace.sinks WHERE name = 'events_out'", "failed\n");
    (void)run("INSERT INTO events VALUES (11), (12)");
    pthread_mutex_lock(&lock);
    stops = false;
    EXPECT_INT(topics[0].next_id, 10);
    uint64_t before = topics[0].commits;
    pthread_mutex_unlock(&lock);
    (void)run("INSERT INTO events VALUES (13)");
    until("SELECT state FROM millrace.sinks WHERE name = 'events_out'", "failed\n");
    pthread_mutex_lock(&lock);
    EXPECT_INT(topics[0].commits, before);
    pthread_mutex_unlock(&lock);
    (void)run("ALTER SINK events_out SET (paused = false)");
    next_id = 14;
    check_contents();
    end();
}

static bool refused(const char *sql, const char *sqlstate)
{
    return strcmp(query(sql)->sqlstate, sqlstate) == 0;
}

/* What may change is what the sink is opened with next; a sink that has failed stays so under another name. */
TEST(is_altered)
{
    begin(1);
    (void)run("INSERT INTO events VALUES (0)");
    next_id = 1;
    check_contents();
    EXPECT(refused("ALTER SINK events_out SET (topic = 'kv')", "0A000"));
    EXPECT(refused("ALTER SINK events_out RESET (topic)", "0A000"));
    EXPECT(refused("ALTER SINK events_out SET (color = 'a', color = 'b')", "42601"));
    EXPECT(refused("ALTER SINK events_out SET (colour = 'red')", "22023"));
    EXPECT(refused("ALTER TABLE events_out RENAME TO x", "42809"));
    EXPECT(refused("ALTER SINK kv RENAME TO x", "42809"));
    EXPECT(refused("ALTER SINK events_out RENAME TO kv_out", "42P07"));
    pthread_mutex_lock(&lock);
    EXPECT_TEXT(last_color, "");
    pthread_mutex_unlock(&lock);
    (void)run("ALTER SINK events_out SET (color = 'red')");
    (void)run("ALTER SINK events_out RENAME TO renamed");
    (void)run("INSERT INTO events VALUES (1)");
    next_id = 2;
    check_contents();
    pthread_mutex_lock(&lock);
    EXPECT_TEXT(last_color, "red");
    stops = true;
    pthread_mutex_unlock(&lock);
    EXPECT_TEXT(strbuf_text(&query("SELECT name FROM millrace.sinks ORDER BY 1")->rows), "kv_out\nrenamed\n");
    (void)run("INSERT INTO events VALUES (2)");
    until("SELECT state FROM millrace.sinks WHERE name = 'renamed'", "failed\n");
    pthread_mutex_lock(&lock);
    stops = false;
    pthread_mutex_unlock(&lock);
    (void)run("ALTER SINK renamed RENAME TO again");
    until("SELECT state FROM millrace.sinks WHERE name = 'again'", "failed\n");
    stop();
    memory_disk_power_on(disk, LOSS_ALL, 1);
    start(1);
    next_id = 3;
    check_contents();
    (void)run("ALTER SINK again RESET (color)");
    (void)run("INSERT INTO events VALUES (3)");
    next_id = 4;
    check_contents();
    pthread_mutex_lock(&lock);
    EXPECT_TEXT(last_color, "");
    pthread_mutex_unlock(&lock);
    end();
}

int main(void)
{
    RUN(is_altered);
    RUN(calls_fail);
    RUN(one_fails_for_good);
    return test_result();
}
