/* test_kafka_log.c: connector 'kafka' against librdkafka's mock cluster, in this process: what a real broker cannot be made to
 * do at will (go away, forget a topic, answer with an error). */
#include "protocol/connector/kafka.h"
#include "protocol/connector/partitioned.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "tests/test.h"

#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <time.h>

#define GUARD_NS     INT64_C(30000000000) /* nothing here takes so long unless it hangs */
#define API_FETCH    1
#define API_METADATA 3

static const struct partitioned_class *kafka = &partitioned_kafka;

/* ---- a cluster and somebody who writes to it ---- */

struct cluster {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *mock;
};

static void say_nothing(rd_kafka_t *rk, int err, const char *reason, void *opaque) {}

static struct cluster cluster_new(void)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_t *owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    struct cluster cluster = {.mock = rd_kafka_mock_cluster_new(owner, 1)};
    conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_conf_set_error_cb(conf, say_nothing);
    EXPECT(rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster.mock), text,
                             sizeof(text)) == RD_KAFKA_CONF_OK);
    EXPECT(rd_kafka_conf_set(conf, "linger.ms", "1", text, sizeof(text)) == RD_KAFKA_CONF_OK);
    cluster.producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    return cluster;
}

static void cluster_free(struct cluster *cluster)
{
    rd_kafka_t *owner = rd_kafka_mock_cluster_handle(cluster->mock);
    rd_kafka_destroy(cluster->producer);
    rd_kafka_mock_cluster_destroy(cluster->mock);
    rd_kafka_destroy(owner);
}

static void topic_new(struct cluster *cluster, const char *topic, int partitions)
{
    EXPECT_INT(rd_kafka_mock_topic_create(cluster->mock, topic, partitions, 1), 0);
}

/* NULL value: a tombstone. */
static void produce(struct cluster *cluster, const char *topic, int32_t partition, const char *key,
                    const void *value, size_t len, int64_t time_ms)
{
    size_t key_len = key != NULL ? strlen(key) : 0;
    rd_kafka_resp_err_t err = rd_kafka_producev(
        cluster->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_len),
        RD_KAFKA_V_VALUE((void *)value, len), RD_KAFKA_V_TIMESTAMP(time_ms),
        RD_KAFKA_V_HEADER("trace", "abc", 3), RD_KAFKA_V_HEADER("none", NULL, 0), RD_KAFKA_V_END);
    EXPECT_INT(err, 0);
}

/* Numbers first to first + count - 1 as text, keyed likewise; timestamps are 1 s apart from 2026 on. */
#define TIME_MS INT64_C(1767225600000)
#define TIME_US ((TIME_MS - INT64_C(946684800000)) * 1000)

static void produce_numbers(struct cluster *cluster, const char *topic, int32_t partition, int first,
                            int count)
{
    for (int i = first; i < first + count; i++) {
        char text[32];
        snprintf(text, sizeof(text), "%d", i);
        produce(cluster, topic, partition, text, text, strlen(text), TIME_MS + i * 1000);
    }
    EXPECT_INT(rd_kafka_flush(cluster->producer, 20000), 0);
}

/* ---- a reader that sleeps until it is woken ---- */

struct sleeper {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
};

static void wake(void *ctx)
{
    struct sleeper *sleeper = ctx;
    pthread_mutex_lock(&sleeper->lock);
    sleeper->woken = true;
    pthread_cond_signal(&sleeper->cond);
    pthread_mutex_unlock(&sleeper->lock);
}

static void sleep_until_woken(struct sleeper *sleeper)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    pthread_mutex_lock(&sleeper->lock);
    int waited = 0;
    while (!sleeper->woken && waited == 0)
        waited = pthread_cond_timedwait(&sleeper->cond, &sleeper->lock, &until);
    EXPECT(waited == 0);
    sleeper->woken = false;
    pthread_mutex_unlock(&sleeper->lock);
}

struct tester {
    struct cluster *cluster;
    struct partitioned_log *log;
    struct partitioned_reader *reader;
    struct arena arena;
    struct partition_position *positions;
    uint32_t count;
    struct sleeper sleeper;
    struct error err;
};

static bool tester_options(struct tester *tester, struct cluster *cluster, const char *topic,
                           const struct connector_option *more, uint32_t more_count)
{
    *tester = (struct tester){.cluster = cluster,
                              .sleeper = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false}};
    arena_init(&tester->arena, NULL);
    struct connector_option options[8] = {
        {"topic", topic}, {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster->mock)}};
    for (uint32_t i = 0; i < more_count; i++)
        options[2 + i] = more[i];
    struct source_spec spec = {.relation_name = "s", .options = options, .options_count = 2 + more_count};
    return kafka->open(&spec, &tester->log, &tester->err);
}

static bool tester_start(struct tester *tester)
{
    return kafka->start(tester->log, GUARD_NS, &tester->arena, &tester->positions, &tester->count,
                        &tester->err);
}

static void tester_read(struct tester *tester, bool headers)
{
    struct partitioned_read read = {.positions = tester->positions,
                                    .count = tester->count,
                                    .headers = headers,
                                    .wake = wake,
                                    .wake_ctx = &tester->sleeper};
    EXPECT(kafka->read(tester->log, &read, &tester->reader, &tester->err));
}

static void tester_open(struct tester *tester, struct cluster *cluster, const char *topic, const char *option,
                        const char *value)
{
    struct connector_option more = {option, value};
    if (!tester_options(tester, cluster, topic, &more, option != NULL) || !tester_start(tester)) {
        fprintf(stderr, "%s: %s\n", tester->err.message, tester->err.detail);
        exit(1);
    }
}

static void tester_close(struct tester *tester)
{
    if (tester->reader != NULL)
        kafka->end(tester->reader);
    if (tester->log != NULL)
        kafka->close(tester->log);
    arena_release(&tester->arena);
}

struct polled {
    const struct record *records;
    uint32_t count;
    const struct partition_position *passed;
    uint32_t passed_count;
};

/* Sleeps until there are records; patient: also while the brokers are gone. */
static struct polled poll_records(struct tester *tester, uint32_t max, bool patient)
{
    struct polled polled = {0};
    int64_t until_ns = clock_monotonic_ns() + GUARD_NS;
    while (polled.count == 0 && clock_monotonic_ns() < until_ns) {
        if (!kafka->poll(tester->reader, max, &polled.records, &polled.count, &polled.passed,
                         &polled.passed_count, &tester->err) &&
            !(patient && tester->err.code == ERRCODE_CONNECTION_FAILURE))
            test_fail(__FILE__, __LINE__, tester->err.message);
        if (polled.count == 0)
            sleep_until_woken(&tester->sleeper);
    }
    return polled;
}

/* Sleeps until poll says an error of the code; records before it are left out. */
static void poll_error(struct tester *tester, const char *sqlstate)
{
    struct polled polled;
    int64_t until_ns = clock_monotonic_ns() + GUARD_NS;
    while (clock_monotonic_ns() < until_ns) {
        if (!kafka->poll(tester->reader, 100, &polled.records, &polled.count, &polled.passed,
                         &polled.passed_count, &tester->err) &&
            strcmp(error_sqlstate(tester->err.code), sqlstate) == 0)
            return;
        if (polled.count == 0)
            sleep_until_woken(&tester->sleeper);
    }
    test_fail(__FILE__, __LINE__, sqlstate);
}

/* Reads numbers first.. of a partition until there are count of them, and that they are those in order. */
static void expect_numbers_if(struct tester *tester, int first, int count, bool patient)
{
    int next = first;
    while (next < first + count && test_failures == 0) {
        struct polled polled = poll_records(tester, 7, patient);
        if (polled.count == 0)
            break;
        for (uint32_t i = 0; i < polled.count; i++, next++) {
            char text[32];
            snprintf(text, sizeof(text), "%d", next);
            EXPECT(polled.records[i].value_len == strlen(text) &&
                   memcmp(polled.records[i].value, text, strlen(text)) == 0);
            EXPECT_INT(polled.records[i].timestamp_us, TIME_US + next * INT64_C(1000000));
        }
        memcpy(tester->positions, polled.passed, sizeof(*polled.passed) * polled.passed_count);
    }
    EXPECT_INT(next, first + count);
}

static void expect_numbers(struct tester *tester, int first, int count)
{
    expect_numbers_if(tester, first, count, false);
}

/* ---- options ---- */

static void expect_refused(const char *name, const char *value, const char *message)
{
    /* of two values of one option the first counts */
    struct connector_option options[] = {{name, value}, {"topic", "t"}, {"bootstrap.servers", "127.0.0.1:1"}};
    struct source_spec spec = {.relation_name = "s", .options = options, .options_count = 3};
    struct error err;
    EXPECT(!kafka->open(&spec, NULL, &err));
    EXPECT_TEXT(error_sqlstate(err.code), "22023");
    EXPECT_TEXT(err.message, message);
}

TEST(options)
{
    struct error err;
    struct connector_option few[] = {{"topic", "t"}};
    struct source_spec spec = {.relation_name = "s", .options = few, .options_count = 1};
    EXPECT(!kafka->open(&spec, NULL, &err));
    EXPECT_TEXT(err.message, "connector \"kafka\" needs option \"bootstrap.servers\"");
    struct connector_option good[] = {{"topic", "t"},
                                      {"bootstrap_servers", "127.0.0.1:1"},
                                      {"start", "0:100, 1:200"},
                                      {"fetch.min.bytes", "100"},
                                      {"isolation.level", "read_uncommitted"},
                                      {"topic_refresh", "2 minutes"},
                                      {"sasl.password", "s3cret"}};
    spec = (struct source_spec){.relation_name = "s", .options = good, .options_count = ARRAY_COUNT(good)};
    EXPECT(kafka->open(&spec, NULL, &err));
    expect_refused("topci", "x", "unrecognized option \"topci\" of connector \"kafka\"");
    expect_refused("topic", "a b", "invalid value for option \"topic\": \"a b\"");
    expect_refused("start", "yesterdayish", "invalid value for option \"start\": \"yesterdayish\"");
    expect_refused("start", "0:1,1", "invalid value for option \"start\": \"0:1,1\"");
    expect_refused("start", "0:-1", "invalid value for option \"start\": \"0:-1\"");
    expect_refused("on_lost", "weep", "invalid value for option \"on_lost\": \"weep\"");
    expect_refused("topic_refresh", "1 month", "invalid value for option \"topic_refresh\": \"1 month\"");
    expect_refused("enable.auto.commit", "true",
                   "option \"enable.auto.commit\" of connector \"kafka\" cannot be set");
    expect_refused("plugin.library.paths", "/tmp/x.so",
                   "option \"plugin.library.paths\" of connector \"kafka\" cannot be set");
    expect_refused("fetch.min.bytes", "many", "invalid value for option \"fetch.min.bytes\"");
    expect_refused("bootstrap_servers", "127.0.0.1:2",
                   "options \"bootstrap.servers\" and \"bootstrap_servers\" are the same: give one");
}

/* Nothing that is said about an option whose value is secret says the value. */
TEST(secrets)
{
    static const struct connector_option secret[] = {
        {"ssl.key.pem", "c4nary"},
        {"ssl.keystore.location", "/nonexistent"},
        {"ssl.keystore.password", "c4nary"},
        {"sasl.oauthbearer.method", "c4nary"},
        {"enable.ssl.certificate.verification", "true"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(secret); i++) {
        struct connector_option options[] = {{"topic", "t"},
                                             {"bootstrap.servers", "127.0.0.1:1"},
                                             {"security.protocol", "sasl_ssl"},
                                             {"sasl.mechanism", "PLAIN"},
                                             {"sasl.username", "c4nary"},
                                             {"sasl.password", "c4nary"},
                                             secret[i]};
        struct source_spec spec = {
            .relation_name = "s", .options = options, .options_count = ARRAY_COUNT(options)};
        struct partitioned_log *log = NULL;
        struct error err;
        if (kafka->open(&spec, &log, &err)) {
            kafka->close(log);
            continue;
        }
        EXPECT(strstr(err.message, "c4nary") == NULL && strstr(err.detail, "c4nary") == NULL &&
               strstr(err.hint, "c4nary") == NULL);
    }
    struct kafka_client client;
    struct error err;
    char text[] = "password c4nary, c4nary";
    kafka_client_init(&client, "s", NULL);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    EXPECT(kafka_set(conf, &client, "sasl.password", "c4nary", &err));
    rd_kafka_conf_destroy(conf);
    kafka_hide(&client, text);
    EXPECT_TEXT(text, "password ***, ***");
    kafka_client_release(&client);
}

/* ---- where to begin ---- */

TEST(starts)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 2);
    produce_numbers(&cluster, "t", 0, 0, 10);
    produce_numbers(&cluster, "t", 1, 0, 4);
    static const struct {
        const char *start;
        int64_t first, second;
    } cases[] = {
        {"earliest", 0, 0},
        {"latest", 10, 4},
        {"0:3,1:4", 3, 4},
        {"1:0, 0:10", 10, 0},
        {"2027-01-01 00:00:00+00", 10, 4}, /* younger than every record */
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        tester_open(&tester, &cluster, "t", "start", cases[i].start);
        EXPECT_INT(tester.count, 2);
        EXPECT_INT(tester.positions[0].offset, cases[i].first);
        EXPECT_INT(tester.positions[1].offset, cases[i].second);
        EXPECT_INT(tester.positions[1].partition, 1);
        EXPECT_INT(tester.positions[1].seen_offset, -1);
        EXPECT(strlen(kafka->incarnation(tester.log)) > 0);
        tester_close(&tester);
    }
    static const struct {
        const char *start, *message;
    } wrong[] = {
        {"0:3", "option \"start\" leaves out partition 1 of topic \"t\""},
        {"0:3,1:0,2:0", "option \"start\" names partition 2, which topic \"t\" does not have"},
        {"0:3,1:0,0:4", "option \"start\" names partition 0 twice"},
        {"0:11,1:0", "option \"start\" names offset 11 of partition 0, which topic \"t\" does not have"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct connector_option more = {"start", wrong[i].start};
        EXPECT(tester_options(&tester, &cluster, "t", &more, 1) && !tester_start(&tester));
        EXPECT_TEXT(tester.err.message, wrong[i].message);
        EXPECT_TEXT(error_sqlstate(tester.err.code), "22023");
        tester_close(&tester);
    }
    cluster_free(&cluster);
}

TEST(start_without_topic_or_broker)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "other", 1);
    rd_kafka_mock_topic_set_error(cluster.mock, "t", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    EXPECT(tester_options(&tester, &cluster, "t", NULL, 0) && !tester_start(&tester));
    EXPECT_TEXT(error_sqlstate(tester.err.code), "42P01");
    EXPECT_TEXT(tester.err.message, "topic \"t\" does not exist");
    tester_close(&tester);
    rd_kafka_mock_broker_set_down(cluster.mock, -1);
    EXPECT(tester_options(&tester, &cluster, "t", NULL, 0));
    EXPECT(!kafka->start(tester.log, INT64_C(500000000), &tester.arena, &tester.positions, &tester.count,
                         &tester.err));
    EXPECT_TEXT(error_sqlstate(tester.err.code), "08001");
    tester_close(&tester);
    cluster_free(&cluster);
}

/* ---- records ---- */

TEST(records)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 1);
    produce(&cluster, "t", 0, "k", "value", 5, TIME_MS);
    produce(&cluster, "t", 0, "gone", NULL, 0, TIME_MS + 1);
    produce(&cluster, "t", 0, NULL, "", 0, TIME_MS + 2);
    EXPECT_INT(rd_kafka_flush(cluster.producer, 20000), 0);
    for (int headers = 0; headers < 2; headers++) {
        tester_open(&tester, &cluster, "t", NULL, NULL);
        tester_read(&tester, headers == 1);
        for (int64_t offset = 0; offset < 3;) {
            struct polled polled = poll_records(&tester, 100, false);
            for (uint32_t i = 0; i < polled.count; i++, offset++) {
                const struct record *record = &polled.records[i];
                EXPECT_INT(record->partition, 0);
                EXPECT_INT(record->offset, offset);
                EXPECT_INT(record->timestamp_us, TIME_US + offset * 1000);
                EXPECT_INT(record->key_len, offset == 0 ? 1 : offset == 1 ? 4 : 0);
                EXPECT((record->key == NULL) == (offset == 2));
                EXPECT((record->value == NULL) == (offset == 1));
                EXPECT_INT(record->value_len, offset == 0 ? 5 : 0);
                EXPECT_INT(record->headers_count, headers == 1 ? 2 : 0);
                if (headers == 1) {
                    EXPECT_TEXT(record->headers[0].name, "trace");
                    EXPECT(record->headers[0].value_len == 3 &&
                           memcmp(record->headers[0].value, "abc", 3) == 0);
                    EXPECT_TEXT(record->headers[1].name, "none");
                    EXPECT(record->headers[1].value == NULL);
                }
            }
            EXPECT_INT(polled.passed_count, 1);
            EXPECT_INT(polled.passed[0].offset, offset);
            EXPECT_INT(polled.passed[0].seen_offset, offset - 1);
            if (polled.count == 0)
                break;
        }
        tester_close(&tester);
    }
    cluster_free(&cluster);
}

/* Two readers of four partitions get every record once; a reader that is woken later goes on. */
TEST(readers)
{
    struct cluster cluster = cluster_new();
    struct tester testers[2];
    topic_new(&cluster, "t", 4);
    for (int partition = 0; partition < 4; partition++)
        produce_numbers(&cluster, "t", partition, 0, 500);
    tester_open(&testers[0], &cluster, "t", NULL, NULL);
    testers[1] = (struct tester){.sleeper = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false}};
    struct partition_position *all = testers[0].positions;
    testers[1].log = testers[0].log;
    testers[0].count = testers[1].count = 2;
    testers[1].positions = all + 2;
    tester_read(&testers[0], false);
    tester_read(&testers[1], false);
    int64_t next[4] = {0};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            int64_t end = (round + 1) * 500;
            while (next[2 * i] + next[2 * i + 1] < 2 * end && test_failures == 0) {
                struct polled polled = poll_records(&testers[i], 64, false);
                for (uint32_t j = 0; j < polled.count; j++) {
                    EXPECT_INT(polled.records[j].partition / 2, i);
                    EXPECT_INT(polled.records[j].offset, next[polled.records[j].partition]);
                    next[polled.records[j].partition]++;
                }
                EXPECT_INT(polled.passed[0].offset, next[2 * i]);
                EXPECT_INT(polled.passed[1].offset, next[2 * i + 1]);
            }
        }
        for (int partition = 0; round == 0 && partition < 4; partition++)
            produce_numbers(&cluster, "t", partition, 500, 500);
    }
    struct partition_stats *stats;
    EXPECT_INT(kafka->stats(testers[0].log, &testers[0].arena, &stats), 4);
    for (int i = 0; i < 4; i++) {
        EXPECT_INT(next[i], 1000);
        EXPECT_INT(stats[i].high, 1000);
    }
    kafka->end(testers[1].reader);
    tester_close(&testers[0]);
    cluster_free(&cluster);
}

TEST(seeks)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 1);
    produce_numbers(&cluster, "t", 0, 0, 100);
    tester_open(&tester, &cluster, "t", NULL, NULL);
    tester_read(&tester, false);
    expect_numbers(&tester, 0, 100);
    EXPECT(kafka->seek(tester.reader, (struct partition_position){0, 40, -1, 0}, &tester.err));
    expect_numbers(&tester, 40, 60);
    EXPECT(kafka->seek(tester.reader, (struct partition_position){0, 90, 89, TIME_US + 89 * INT64_C(1000000)},
                       &tester.err));
    expect_numbers(&tester, 90, 10);
    /* from what was kept, in a new reader */
    kafka->end(tester.reader);
    produce_numbers(&cluster, "t", 0, 100, 5);
    tester_read(&tester, false);
    expect_numbers(&tester, 100, 5);
    tester_close(&tester);
    cluster_free(&cluster);
}

/* ---- partitions ---- */

TEST(discovers)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 3);
    tester_open(&tester, &cluster, "t", NULL, NULL);
    static const int32_t known[] = {2, 0};
    struct partition_position *found;
    uint32_t count = 0;
    tester.count = 1;
    tester_read(&tester, false);
    while (count == 0 && test_failures == 0) { /* the watcher wakes readers when it knows them */
        kafka->discover(tester.log, known, 2, &tester.arena, &found, &count);
        if (count == 0)
            sleep_until_woken(&tester.sleeper);
    }
    EXPECT_INT(count, 1);
    EXPECT_INT(found[0].partition, 1);
    EXPECT_INT(found[0].offset, 0);
    EXPECT_INT(found[0].seen_offset, -1);
    tester_close(&tester);
    cluster_free(&cluster);
}

/* ---- hazards ---- */

TEST(broker_goes_and_comes)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 1);
    produce_numbers(&cluster, "t", 0, 0, 10);
    tester_open(&tester, &cluster, "t", NULL, NULL);
    tester_read(&tester, false);
    expect_numbers(&tester, 0, 10);
    for (int round = 0; round < 2; round++) {
        rd_kafka_mock_broker_set_down(cluster.mock, -1);
        poll_error(&tester, "08006");
        EXPECT_TEXT(tester.err.message, "the brokers of topic \"t\" do not answer");
        EXPECT(tester.err.detail[0] != '\0');
        rd_kafka_mock_broker_set_up(cluster.mock, -1);
        produce_numbers(&cluster, "t", 0, 10 + round * 10, 10);
        expect_numbers_if(&tester, 10 + round * 10, 10, true); /* says that they are gone until they answer */
    }
    tester_close(&tester);
    cluster_free(&cluster);
}

TEST(transient_errors)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 1);
    produce_numbers(&cluster, "t", 0, 0, 10);
    tester_open(&tester, &cluster, "t", NULL, NULL);
    rd_kafka_mock_push_request_errors(cluster.mock, API_FETCH, 4, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    tester_read(&tester, false);
    expect_numbers_if(&tester, 0, 10, true);
    tester_close(&tester);
    cluster_free(&cluster);
}

TEST(topic_goes)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 1);
    produce_numbers(&cluster, "t", 0, 0, 10);
    tester_open(&tester, &cluster, "t", "topic_refresh", "2 seconds");
    tester_read(&tester, false);
    expect_numbers(&tester, 0, 10);
    /* for a moment: the reader compares its last record and goes on */
    rd_kafka_mock_topic_set_error(cluster.mock, "t", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    poll_error(&tester, "08006");
    EXPECT_TEXT(tester.err.message, "the brokers do not know topic \"t\"");
    rd_kafka_mock_topic_set_error(cluster.mock, "t", RD_KAFKA_RESP_ERR_NO_ERROR);
    produce_numbers(&cluster, "t", 0, 10, 10);
    expect_numbers_if(&tester, 10, 10, true);
    /* for good */
    rd_kafka_mock_topic_set_error(cluster.mock, "t", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    poll_error(&tester, "55000");
    EXPECT_TEXT(tester.err.message, "topic \"t\" does not exist any more");
    tester_close(&tester);
    cluster_free(&cluster);
}

/* What was kept does not fit what is there. */
TEST(topic_made_anew)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 1);
    produce_numbers(&cluster, "t", 0, 0, 10);
    tester_open(&tester, &cluster, "t", NULL, NULL);
    tester.positions[0] = (struct partition_position){0, 15, -1, 0};
    tester_read(&tester, false);
    poll_error(&tester, "55000");
    EXPECT_TEXT(tester.err.message,
                "topic \"t\" was made anew or cut: partition 0 ends before records that were read");
    EXPECT_TEXT(tester.err.detail, "The partition ends at offset 10; the next one to read was 15.");
    /* stays: perhaps the watcher has found out as well, which holds for the log */
    struct polled polled;
    EXPECT(!kafka->poll(tester.reader, 10, &polled.records, &polled.count, &polled.passed,
                        &polled.passed_count, &tester.err));
    tester_close(&tester);
    tester_open(&tester, &cluster, "t", NULL, NULL);
    tester.positions[0] = (struct partition_position){0, 5, -1, 0};
    tester_read(&tester, false);
    expect_numbers(&tester, 5, 5);
    kafka->end(tester.reader);
    tester.positions[0] = (struct partition_position){0, 8, 6, TIME_US + 6 * INT64_C(1000000) + 1000};
    tester_read(&tester, false);
    poll_error(&tester, "55000");
    EXPECT_TEXT(tester.err.message,
                "topic \"t\" was made anew: partition 0 has other records than those that were read");
    /* what the reader alone has found out stays until a seek */
    EXPECT(!kafka->poll(tester.reader, 10, &polled.records, &polled.count, &polled.passed,
                        &polled.passed_count, &tester.err));
    EXPECT(kafka->seek(tester.reader, (struct partition_position){0, 5, -1, 0}, &tester.err));
    expect_numbers(&tester, 5, 5);
    kafka->end(tester.reader);
    tester.positions[0] = (struct partition_position){0, 8, 6, TIME_US + 6 * INT64_C(1000000)};
    tester_read(&tester, false);
    expect_numbers(&tester, 8, 2);
    tester_close(&tester);
    cluster_free(&cluster);
}

/* The mock keeps 5 MB per partition: what is older is gone. */
TEST(retention)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 1);
    static char big[100000];
    for (int i = 0; i < 100; i++) {
        produce(&cluster, "t", 0, "k", big, sizeof(big), TIME_MS + i);
        EXPECT_INT(rd_kafka_flush(cluster.producer, 20000), 0);
    }
    static const char *const policies[] = {"fail", "earliest", "latest"};
    for (size_t i = 0; i < ARRAY_COUNT(policies); i++) {
        tester_open(&tester, &cluster, "t", "on_lost", policies[i]);
        int64_t low = tester.positions[0].offset;
        EXPECT(low > 10 && low < 90);
        tester.positions[0] = (struct partition_position){0, 10, 9, TIME_US + 9000};
        tester_read(&tester, false);
        if (i == 0) {
            poll_error(&tester, "22003");
            char detail[100];
            snprintf(detail, sizeof(detail), "Offsets 10 to %lld are lost; the first one left is %lld.",
                     (long long)low - 1, (long long)low);
            EXPECT_TEXT(tester.err.message,
                        "records of partition 0 of topic \"t\" are gone that were not read");
            EXPECT_TEXT(tester.err.detail, detail);
        } else {
            if (i == 2) {
                struct polled polled = {0};
                while ((polled.passed == NULL || polled.passed[0].offset < 100) && test_failures == 0) {
                    EXPECT(kafka->poll(tester.reader, 10, &polled.records, &polled.count, &polled.passed,
                                       &polled.passed_count, &tester.err));
                    if (polled.passed[0].offset < 100)
                        sleep_until_woken(&tester.sleeper);
                }
            } else {
                EXPECT_INT(poll_records(&tester, 1, false).records[0].offset, low);
            }
            struct partition_stats *stats;
            EXPECT_INT(kafka->stats(tester.log, &tester.arena, &stats), 1);
            EXPECT_INT(stats[0].low, low);
            EXPECT_INT(stats[0].lost, (i == 1 ? low : 100) - 10);
        }
        kafka->end(tester.reader);
        /* the record seen last is gone, the next is not: nothing is lost */
        tester.positions[0] = (struct partition_position){0, low, low - 1, 0};
        tester_read(&tester, false);
        EXPECT_INT(poll_records(&tester, 1, false).records[0].offset, low);
        tester_close(&tester);
    }
    cluster_free(&cluster);
}

TEST(commits_for_others)
{
    struct cluster cluster = cluster_new();
    struct tester tester;
    topic_new(&cluster, "t", 2);
    tester_open(&tester, &cluster, "t", "group.id", "dashboard");
    struct partition_position positions[] = {{0, 7, 6, 0}, {1, 9, 8, 0}};
    kafka->committed(tester.log, positions, 2);
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster.mock), text,
                      sizeof(text));
    rd_kafka_conf_set(conf, "group.id", "dashboard", text, sizeof(text));
    rd_kafka_t *other = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(2);
    int64_t until_ns = clock_monotonic_ns() + GUARD_NS;
    rd_kafka_topic_partition_list_add(list, "t", 0);
    rd_kafka_topic_partition_list_add(list, "t", 1)->offset = -1;
    while (list->elems[1].offset != 9 && clock_monotonic_ns() < until_ns)
        EXPECT_INT(rd_kafka_committed(other, list, 20000), 0);
    EXPECT_INT(list->elems[0].offset, 7);
    EXPECT_INT(list->elems[1].offset, 9);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(other);
    tester_close(&tester);
    cluster_free(&cluster);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    RUN(options);
    RUN(secrets);
    RUN(starts);
    RUN(start_without_topic_or_broker);
    RUN(records);
    RUN(readers);
    RUN(seeks);
    RUN(discovers);
    RUN(broker_goes_and_comes);
    RUN(transient_errors);
    RUN(topic_goes);
    RUN(topic_made_anew);
    RUN(retention);
    RUN(commits_for_others);
    return test_result();
}
