/* kafka_log.c: connector 'kafka': a topic read through one librdkafka handle, whose partitions we assign ourselves. */
#include "protocol/connector/kafka_log.h"

#include "storage/base/log.h"

#include <stdlib.h>
#include <string.h>

static const struct connector_option_row options[] = {
    {"topic", NULL, "the topic to read"},
    {"bootstrap.servers", "", "required: brokers to ask first, 'host:port' separated by commas"},
    {"bootstrap_servers", "", "the same, for those who do not like quotes around names"},
    {"start", "earliest",
     "where a new source begins: 'earliest', 'latest' (what is committed from now on), a timestamp "
     "('2026-01-01 00:00:00+00': the first record that is not older) or the offset of every partition "
     "('0:100,1:200')"},
    {"on_lost", "fail",
     "what to do when retention has deleted records before they were read: fail; earliest or latest: go on "
     "at the first record left, or behind the last"},
    {"topic_refresh", "30 seconds",
     "how often to ask for new partitions of the topic, or whether it is gone"},
    {"group.id", "",
     "consumer group under which offsets are committed for dashboards of others; nothing is read from it"},
    {NULL, NULL, NULL},
};

static const struct kafka_reserved reserved[] = {
    {"enable.auto.commit", "offsets are kept together with the rows, and committed after them"},
    {"auto.commit.enable", "offsets are kept together with the rows, and committed after them"},
    {"enable.auto.offset.store", "offsets are kept together with the rows"},
    {"offset.store.method", "offsets are kept together with the rows"},
    {"offset.store.path", "offsets are kept together with the rows"},
    {"auto.offset.reset",
     "options \"start\" and \"on_lost\" say where to begin and what to do about lost records"},
    {"enable.partition.eof", "the source needs it to know where it stands"},
    {"topic.metadata.refresh.interval.ms", "option \"topic_refresh\" says it"},
    {"group.instance.id", "partitions are not assigned by a consumer group"},
    {NULL, NULL},
};

/* Before what users set. Other properties keep librdkafka's defaults. */
static const struct connector_option defaults[] = {
    {"client.id", "millrace"},
    {"isolation.level", "read_committed"},
    {"check.crcs", "true"},
    {"fetch.wait.max.ms", "250"},            /* also how long the end of a topic may go unnoticed */
    {"queued.max.messages.kbytes", "32768"}, /* per reader: its partitions share a queue */
    {"fetch.max.bytes", "16777216"},         /* per broker on the way, beside the queues */
    {"reconnect.backoff.max.ms", "1000"},
};

static const struct connector_option fixed[] = {
    {"enable.auto.commit", "false"},  {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"}, {"allow.auto.create.topics", "false"}, {"log_level", "6"},
};

static bool accepts(const char *name, const char *value, struct error *err)
{
    return kafka_accepts(reserved, "kafka", name, value, err);
}

static const char *option(const struct source_spec *spec, const char *name)
{
    return partitioned_option(&partitioned_kafka, spec, name);
}

static bool invalid(const char *name, const char *value, const char *hint, struct error *err)
{
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"%s\": \"%s\"", name, value);
    return error_hint(err, "%s", hint);
}

static bool read_on_lost(const char *text, enum kafka_on_lost *out, struct error *err)
{
    static const char *const names[] = {"fail", "earliest", "latest"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (enum kafka_on_lost)i;
            return true;
        }
    }
    return invalid("on_lost", text, "Its values are 'fail', 'earliest' and 'latest'.", err);
}

static bool read_refresh(const char *text, int64_t *ns, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct datum value;
    bool ok = type_input(OID_INTERVAL, -1, text, strlen(text), &io_env_default, &arena, &value, err);
    arena_release(&arena);
    if (!ok)
        return false;
    if (value.interval.months != 0 || value.interval.days < 0 || value.interval.days > 365 ||
        value.interval.us < 0 || value.interval.us > INT64_C(86400000000) ||
        value.interval.us + value.interval.days == 0)
        return invalid("topic_refresh", text, "It is a time of up to a year, such as '30 seconds'.", err);
    *ns = (value.interval.us + value.interval.days * INT64_C(86400000000)) * 1000;
    return true;
}

static bool check_topic(const char *topic, struct error *err)
{
    size_t len = strlen(topic);
    bool ok = len > 0 && len <= 249 && strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0;
    for (size_t i = 0; ok && i < len; i++)
        ok = (topic[i] >= 'a' && topic[i] <= 'z') || (topic[i] >= 'A' && topic[i] <= 'Z') ||
             (topic[i] >= '0' && topic[i] <= '9') || strchr("._-", topic[i]) != NULL;
    return ok ||
           invalid("topic", topic, "A topic's name has letters, digits, dots, underscores and hyphens.", err);
}

/* Everything that options say but what goes to librdkafka. */
static bool read_options(struct kafka_log *log, const struct source_spec *spec, struct error *err)
{
    if (!partitioned_check_options(&partitioned_kafka, spec, err))
        return false;
    log->topic = mem_strdup(option(spec, "topic"));
    log->start = mem_strdup(option(spec, "start"));
    log->has_group = option(spec, "group.id")[0] != '\0';
    return check_topic(log->topic, err) && kafka_start_check(log->start, err) &&
           read_on_lost(option(spec, "on_lost"), &log->on_lost, err) &&
           read_refresh(option(spec, "topic_refresh"), &log->refresh_ns, err);
}

static bool set_properties(struct kafka_log *log, const struct source_spec *spec, rd_kafka_conf_t *conf,
                           struct error *err)
{
    const char *servers = option(spec, "bootstrap.servers"), *other = option(spec, "bootstrap_servers");
    if (servers[0] != '\0' && other[0] != '\0')
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "options \"bootstrap.servers\" and \"bootstrap_servers\" are the same: give one");
    servers = servers[0] != '\0' ? servers : other;
    if (servers[0] == '\0')
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "connector \"kafka\" needs option \"bootstrap.servers\"");
    struct kafka_client *client = &log->client;
    return kafka_set(conf, client, "bootstrap.servers", servers, err) &&
           kafka_set_all(conf, client, defaults, ARRAY_COUNT(defaults), NULL, err) &&
           (!log->has_group || kafka_set(conf, client, "group.id", option(spec, "group.id"), err)) &&
           kafka_set_all(conf, client, fixed, ARRAY_COUNT(fixed), NULL, err) &&
           kafka_set_all(conf, client, spec->options, spec->options_count, options, err);
}

/* When librdkafka stops to fetch, by what users may have set. */
static uint64_t number_property(const rd_kafka_conf_t *conf, const char *name)
{
    char text[32] = "";
    size_t size = sizeof(text);
    CHECK(rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK);
    return strtoull(text, NULL, 10);
}

static void hurry(struct partitioned_log *base)
{
    struct kafka_log *log = (struct kafka_log *)base;
    pthread_mutex_lock(&log->lock);
    log->hurries = true;
    pthread_mutex_unlock(&log->lock);
}

static void kafka_close(struct partitioned_log *base)
{
    struct kafka_log *log = (struct kafka_log *)base;
    CHECK(log->readers == NULL);
    kafka_watch_stop(log);
    if (log->events != NULL)
        rd_kafka_queue_destroy(log->events);
    if (log->rkt != NULL)
        rd_kafka_topic_destroy(log->rkt);
    if (log->rk != NULL)
        rd_kafka_destroy(log->rk);
    for (uint32_t i = 0; i < log->partitions_count; i++)
        mem_free(log->partitions[i]);
    mem_free(log->partitions);
    mem_free(log->cluster_id);
    mem_free(log->start);
    mem_free(log->topic);
    kafka_client_release(&log->client);
    pthread_mutex_destroy(&log->lock);
    pthread_cond_destroy(&log->cond);
    mem_free(log);
}

static bool connect_lazily(struct kafka_log *log, rd_kafka_conf_t *conf, struct error *err)
{
    log->queue_messages = number_property(conf, "queued.min.messages");
    log->queue_bytes = number_property(conf, "queued.max.messages.kbytes") * 1024;
    kafka_attach(conf, &log->client);
    if (!kafka_notice(conf, &log->client, "topic", kafka_watch_noticed, err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    rd_kafka_conf_set_error_cb(conf, kafka_watch_error);
    if (!kafka_open(RD_KAFKA_CONSUMER, conf, &log->client, &log->rk, err))
        return false;
    log->rkt = rd_kafka_topic_new(log->rk, log->topic, NULL);
    if (log->rkt == NULL)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "topic \"%s\": %s", log->topic,
                         rd_kafka_err2str(rd_kafka_last_error()));
    return kafka_watch_start(log, err);
}

static bool kafka_open_log(const struct source_spec *spec, struct partitioned_log **out, struct error *err)
{
    struct kafka_log *log = mem_zalloc(sizeof(*log));
    log->base.class = &partitioned_kafka;
    log->cluster_id = mem_strdup("");
    kafka_client_init(&log->client, spec->relation_name != NULL ? spec->relation_name : "", log);
    pthread_mutex_init(&log->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool ok = read_options(log, spec, err) && set_properties(log, spec, conf, err);
    if (ok && out != NULL)
        ok = connect_lazily(log, conf, err);
    else
        rd_kafka_conf_destroy(conf);
    if (ok && out != NULL)
        *out = &log->base;
    else
        kafka_close(&log->base);
    return ok;
}

struct kafka_partition *kafka_partition(struct kafka_log *log, int32_t id)
{
    pthread_mutex_lock(&log->lock);
    if ((uint32_t)id >= log->partitions_count) {
        log->partitions =
            mem_realloc(log->partitions, sizeof(log->partitions[0]) * ((size_t)(uint32_t)id + 1));
        while (log->partitions_count <= (uint32_t)id) {
            struct kafka_partition *partition = mem_zalloc(sizeof(*partition));
            partition->id = (int32_t)log->partitions_count;
            atomic_store(&partition->low, -1);
            atomic_store(&partition->high, -1);
            atomic_store(&partition->position, -1);
            partition->mark.offset = -1;
            atomic_store(&partition->mark_state, KAFKA_MARK_WANTED);
            log->partitions[log->partitions_count++] = partition;
        }
    }
    struct kafka_partition *partition = log->partitions[id];
    pthread_mutex_unlock(&log->lock);
    return partition;
}

static const char *incarnation(struct partitioned_log *base)
{
    struct kafka_log *log = (struct kafka_log *)base;
    pthread_mutex_lock(&log->lock);
    const char *id = log->cluster_id[0] != '\0' ? log->cluster_id : ""; /* never freed once it is known */
    pthread_mutex_unlock(&log->lock);
    return id;
}

static void discover(struct partitioned_log *base, const int32_t *known, uint32_t known_count,
                     struct arena *arena, struct partition_position **out, uint32_t *count)
{
    struct kafka_log *log = (struct kafka_log *)base;
    pthread_mutex_lock(&log->lock);
    *count = 0;
    *out = ARENA_ARRAY(arena, struct partition_position, log->partitions_count);
    bool *is_known = ARENA_ARRAY(arena, bool, log->partitions_count);
    for (uint32_t i = 0; i < known_count; i++) {
        if ((uint32_t)known[i] < log->partitions_count)
            is_known[known[i]] = true;
    }
    for (uint32_t i = 0; i < log->partitions_count; i++) {
        int64_t low = atomic_load(&log->partitions[i]->low);
        if (log->partitions[i]->exists && !is_known[i] && low >= 0)
            (*out)[(*count)++] =
                (struct partition_position){.partition = (int32_t)i, .offset = low, .seen_offset = -1};
    }
    pthread_mutex_unlock(&log->lock);
}

static void committed(struct partitioned_log *base, const struct partition_position *positions,
                      uint32_t count)
{
    struct kafka_log *log = (struct kafka_log *)base;
    if (!log->has_group || count == 0)
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (uint32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, log->topic, positions[i].partition)->offset =
            positions[i].offset;
    rd_kafka_commit(log->rk, list, 1); /* what fails here comes with the next call */
    rd_kafka_topic_partition_list_destroy(list);
}

static uint32_t stats(struct partitioned_log *base, struct arena *arena, struct partition_stats **out)
{
    struct kafka_log *log = (struct kafka_log *)base;
    pthread_mutex_lock(&log->lock);
    uint32_t count = log->partitions_count;
    *out = ARENA_ARRAY(arena, struct partition_stats, count);
    for (uint32_t i = 0; i < count; i++) {
        struct kafka_partition *partition = log->partitions[i];
        (*out)[i] = (struct partition_stats){.partition = (int32_t)i,
                                             .low = atomic_load(&partition->low),
                                             .high = atomic_load(&partition->high),
                                             .lost = atomic_load(&partition->lost)};
    }
    pthread_mutex_unlock(&log->lock);
    return count;
}

const struct partitioned_class partitioned_kafka = {
    .name = "kafka",
    .help = "records of a topic of Apache Kafka, each once: WITH (connector = 'kafka', topic = 'orders', "
            "\"bootstrap.servers\" = 'localhost:9092', format = 'json'). Properties of librdkafka are "
            "options too",
    .options = options,
    .accepts = accepts,
    .open = kafka_open_log,
    .hurry = hurry,
    .close = kafka_close,
    .start = kafka_start,
    .incarnation = incarnation,
    .discover = discover,
    .read = kafka_read,
    .end = kafka_end,
    .poll = kafka_poll,
    .seek = kafka_seek,
    .committed = committed,
    .stats = stats,
};
