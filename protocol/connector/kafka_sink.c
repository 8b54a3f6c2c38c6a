/* kafka_sink.c: records to a Kafka topic.
 *
 * Exactly once: one Kafka transaction per group, under a transactional.id of the sink's own, with one record more: the sink's
 * progress, under the sink's identity as its key, in a compacted topic. A group is done when readers of committed records see it
 * in every partition (kafka_fate.h says why the broker's word for it is not enough), and its rows are kept until then.
 *
 * After a restart, and after every failure within a transaction, a new producer shuts out its predecessor, whose open transaction
 * is aborted by that. Where records are open all the same, it writes another one behind them and aborts it (`sweep`): they end
 * with it, before a transaction that is committed could take them along. Then it finds the note of the last group that any
 * producer of the sink has tried to commit, by reading the progress topic backwards from a record that it has just written there
 * itself. The note says where the group's records are, and what readers see of those decides (`settle`): all of them, and the sink
 * goes on behind the group; none, and it is written again; those of some partitions only, and it is written again without them.
 * For that a row's partition must follow from the row: keys as the partitioner has it, rows without a key by their contents.
 *
 * At least once: an idempotent producer; the progress is written when all records of the group have arrived. */
#include "protocol/connector/kafka.h"
#include "protocol/connector/kafka_fate.h"
#include "protocol/connector/kafka_note.h"
#include "protocol/connector/sink.h"

#include "storage/base/clock.h"
#include "storage/base/log.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define SLICE_MS          500 /* a call that can be interrupted looks after each */
#define CONNECT_NS        INT64_C(30000000000)
#define TOPIC_NS          INT64_C(3000000000) /* a broker that makes topics by itself has made it by then */
#define READ_BACK_FIRST   INT64_C(1000)       /* records of the progress topic that are read at first */
#define READ_BACK_TIMES   INT64_C(16)         /* and so many times as many when it was not among them */
#define SERVE_RECORDS     256u                /* delivery reports are taken after so many */
#define ABORT_ON_CLOSE_NS INT64_C(2000000000)
#define VISIBLE_NS        INT64_C(10000000000) /* a commit that readers do not see by then is in doubt */
#define ASK_AGAIN_MAX_MS  100
#define COUNT_AGAIN_NS    INT64_C(60000000000) /* partitions that were added get records after so long */
#define UNIX_TO_2000_US   INT64_C(946684800000000)

static const struct connector_option_row options[] = {
    {"topic", NULL, "where records go"},
    {"bootstrap.servers", NULL, "brokers to ask first: 'host:port,host:port'"},
    {"progress_topic", "millrace_progress",
     "a compacted topic in which the sink notes how far it is; made when it is missing"},
    {"topic_partitions", "", "makes the topic with so many partitions when it is missing"},
    {"topic_replication", "", "and so many copies; by default what the broker's default is"},
    {NULL, NULL, NULL},
};

/* What a user does not say and librdkafka would do otherwise. */
static const struct connector_option defaults[] = {
    {"client.id", "millrace"},
    {"partitioner", "murmur2_random"}, /* as producers in Java: equal keys share a partition with theirs */
    {"queue.buffering.max.kbytes", "65536"},
    {"reconnect.backoff.max.ms", "1000"},
};

static const struct connector_option of_reader[] = {
    {"enable.auto.commit", "false"},
    {"enable.partition.eof", "true"},
    {"isolation.level", "read_committed"},
    {"auto.offset.reset", "earliest"},
    /* it reads what is there; brokers answer one connection's requests in turn, behind one that waits for what is not */
    {"fetch.wait.max.ms", "5"},
};

static const struct kafka_reserved reserved[] = {
    {"enable.idempotence", "records could be lost or be there twice without it"},
    {"isolation.level", "progress is read as it was committed"},
    {"enable.auto.commit", "progress is in a topic of its own"},
    {"enable.partition.eof", "it tells where a topic ends"},
    {"auto.offset.reset", "progress is in a topic of its own"},
    {"group.id", "it is set to the sink's identity"},
    {NULL, NULL},
};

/* What a sink keeps for its life: where its records are, and what says which of them are there. */
static const struct kafka_reserved fixed[] = {
    {"topic", "what has been written is there, and nowhere else"},
    {"progress_topic", "what has been written is noted there"},
    {"transactional.id", "who writes under the old one could not be shut out any more"},
    {"partitioner", "keys would go to other partitions than those in which their older records are"},
    {NULL, NULL},
};

/* Equal keys go to equal partitions; which ones, other producers know as well. */
typedef int32_t partitioner_fn(const rd_kafka_topic_t *topic, const void *key, size_t key_len,
                               int32_t partitions, void *topic_opaque, void *record_opaque);

static const struct partitioner_row {
    const char *name;
    partitioner_fn *of_key; /* NULL: all rows go by their contents */
    bool spreads_null, spreads_empty;
} partitioners[] = {
    {"random", NULL, true, true},
    {"consistent", rd_kafka_msg_partitioner_consistent, false, false},
    {"consistent_random", rd_kafka_msg_partitioner_consistent, true, true},
    {"murmur2", rd_kafka_msg_partitioner_murmur2, false, false},
    {"murmur2_random", rd_kafka_msg_partitioner_murmur2, true, false},
    {"fnv1a", rd_kafka_msg_partitioner_fnv1a, false, false},
    {"fnv1a_random", rd_kafka_msg_partitioner_fnv1a, true, false},
};

/* A group that has arrived in some partitions only: rows up to `to` go to the others. */
struct unfinished {
    struct sink_progress to; /* rows: 0: there is none */
    int32_t partitions;      /* of the topic, when it was written first */
    bool *is_done;           /* by partition */
};

struct kafka_sink {
    struct sink base;
    struct kafka_client client;
    char *identity, *topic, *progress_topic;
    int32_t topic_partitions, topic_replication; /* -1: not said */
    bool exactly_once;
    rd_kafka_conf_t *reader_conf; /* of consumers that look for the progress, and at what was written */
    rd_kafka_t *committed;        /* reads what is committed; NULL before recover */
    const struct partitioner_row *partitioner;
    int32_t partitions; /* of the topic */
    int64_t counted_ns;
    struct kafka_last *last; /* by partition, of this group; offset -1: it has none there */
    int32_t last_count;      /* partitions there is room for */
    bool offset_unknown;     /* of a record of this group that has arrived */
    bool has_at;
    struct sink_progress at; /* what was committed last */
    struct unfinished unfinished;
    rd_kafka_t *producer;
    rd_kafka_topic_t *to;
    int32_t progress_partition;
    bool in_transaction;
    bool commit_in_doubt; /* a commit was begun, and has not been answered */
    int64_t transaction_began_ns, transaction_timeout_ns;
    uint32_t unserved;
    /* The delivery that failed first since the group began; callbacks run in calls of the sink's thread. */
    rd_kafka_resp_err_t delivery_error;
    int64_t marker_offset; /* where the record of a recover went; -1: it is on its way */
    int64_t ignored;       /* where records went of which nobody wants to know */
    struct error newest;   /* as librdkafka said it last, outside of any call; code NONE: it has not */
    bool all_down;         /* it has said that no broker can be reached */
    rd_kafka_queue_t *queue;
    _Atomic bool interrupted;
};

/* ---- options ---- */

static bool accepts(const char *name, const char *value, struct error *err)
{
    return kafka_accepts(reserved, "kafka", name, value, err);
}

static const char *why_fixed(const char *name)
{
    return kafka_why_reserved(fixed, name);
}

static bool read_count(const struct sink_spec *spec, const char *name, int32_t *out, struct error *err)
{
    const char *value = sink_option(&sink_kafka, spec, name);
    *out = -1;
    if (value[0] == '\0')
        return true;
    int64_t count = 0;
    for (const char *at = value; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || count > 100000)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"%s\": \"%s\"",
                             name, value);
        count = count * 10 + (*at - '0');
    }
    *out = (int32_t)count;
    return count > 0 ||
           error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"%s\" must be greater than zero", name);
}

/* ---- callbacks: in calls of the sink's thread ---- */

static void make_room(struct kafka_sink *self, int32_t partitions)
{
    self->last = mem_realloc(self->last, sizeof(*self->last) * (size_t)partitions);
    for (; self->last_count < partitions; self->last_count++)
        self->last[self->last_count] = (struct kafka_last){self->last_count, -1};
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_sink *self = ((struct kafka_client *)opaque)->owner;
    (void)producer;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (self->delivery_error == RD_KAFKA_RESP_ERR_NO_ERROR)
            self->delivery_error = message->err;
    } else if (message->_private != NULL) {
        *(int64_t *)message->_private = message->offset;
    } else if (message->offset < 0) {
        self->offset_unknown = true;
    } else {
        if (message->partition >= self->last_count)
            make_room(self, message->partition + 1);
        self->last[message->partition].offset = message->offset;
    }
}

static void on_error(rd_kafka_t *producer, int code, const char *reason, void *opaque)
{
    struct kafka_client *client = opaque;
    struct kafka_sink *self = client->owner;
    (void)producer;
    self->all_down = self->all_down || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    kafka_note_error(client, code, reason, &self->newest);
}

/* ---- errors ---- */

static enum error_code code_of(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
        return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
    return kafka_error_code(code);
}

static bool fail(struct kafka_sink *self, enum sink_remedy remedy, rd_kafka_resp_err_t code, const char *what,
                 const char *why, struct error *err)
{
    self->base.remedy = remedy;
    enum error_code is = code_of(code);
    if (is == ERRCODE_CONNECTION_FAILURE && self->newest.code != ERRCODE_NONE)
        is = self->newest.code; /* nobody has answered: a password that is wrong, say */
    error_set(err, is, "%s: %s", what, why);
    if (self->newest.code != ERRCODE_NONE && strcmp(self->newest.message, why) != 0)
        error_detail(err, "%s", self->newest.message);
    return false;
}

static bool fail_interrupted(struct kafka_sink *self, struct error *err)
{
    self->base.remedy = SINK_REOPEN;
    return error_set(err, ERRCODE_QUERY_CANCELED, "the sink is stopped");
}

static bool is_fenced(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* Another producer has taken over, unless the broker has only given up a transaction that took too long. */
static bool fail_fenced(struct kafka_sink *self, rd_kafka_resp_err_t code, const char *what,
                        struct error *err)
{
    bool took_long = self->in_transaction &&
                     clock_monotonic_ns() - self->transaction_began_ns >= self->transaction_timeout_ns / 2;
    if (took_long)
        return fail(self, SINK_REOPEN, code, what,
                    "the broker has given up the transaction, which took too long", err);
    self->base.remedy = SINK_STOP;
    error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
              "another producer has taken over transactional.id \"%s\"", self->identity);
    error_detail(err, "Two servers run on copies of one data directory, or two sinks have one identity.");
    return error_hint(err, "Stop the other one, then ALTER SINK ... SET (paused = false).");
}

/* Takes the error over. */
static bool fail_with(struct kafka_sink *self, rd_kafka_error_t *error, const char *what, struct error *err)
{
    char text[256];
    rd_kafka_resp_err_t code = rd_kafka_error_code(error), fatal = RD_KAFKA_RESP_ERR_NO_ERROR;
    bool aborts = rd_kafka_error_txn_requires_abort(error), is_fatal = rd_kafka_error_is_fatal(error);
    snprintf(text, sizeof(text), "%s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    if (is_fatal || code == RD_KAFKA_RESP_ERR__FATAL)
        fatal = rd_kafka_fatal_error(self->producer, text, sizeof(text));
    if (is_fenced(code) || is_fenced(fatal))
        return fail_fenced(self, is_fenced(fatal) ? fatal : code, what, err);
    bool is_settled = aborts && fatal == RD_KAFKA_RESP_ERR_NO_ERROR && !self->commit_in_doubt;
    return fail(self, is_settled ? SINK_RETRY : SINK_REOPEN,
                fatal != RD_KAFKA_RESP_ERR_NO_ERROR ? fatal : code, what, text, err);
}

static bool is_interrupted(struct kafka_sink *self)
{
    return atomic_load(&self->interrupted);
}

/* Calls call(producer, SLICE_MS) until it is done, fails for good, or the deadline (clock_monotonic_ns; 0: none). */
static bool in_slices(struct kafka_sink *self,
                      rd_kafka_error_t *(*call)(rd_kafka_t *producer, int timeout_ms), int64_t deadline_ns,
                      const char *what, struct error *err)
{
    for (;;) {
        int64_t began_ns = clock_monotonic_ns();
        rd_kafka_error_t *error = call(self->producer, SLICE_MS);
        if (error == NULL)
            return true;
        bool again = rd_kafka_error_is_retriable(error) && !rd_kafka_error_txn_requires_abort(error) &&
                     !rd_kafka_error_is_fatal(error);
        if (!again)
            return fail_with(self, error, what, err);
        if (is_interrupted(self) || (deadline_ns != 0 && clock_monotonic_ns() >= deadline_ns)) {
            rd_kafka_resp_err_t code = rd_kafka_error_code(error);
            char text[256];
            snprintf(text, sizeof(text), "%s", rd_kafka_error_string(error));
            rd_kafka_error_destroy(error);
            return is_interrupted(self) ? fail_interrupted(self, err)
                                        : fail(self, SINK_REOPEN, code, what, text, err);
        }
        rd_kafka_error_destroy(error);
        /* an error that comes at once is not asked for again at once */
        int64_t left_ms = SLICE_MS - (clock_monotonic_ns() - began_ns) / 1000000;
        if (left_ms > 0)
            (void)rd_kafka_poll(self->producer, (int)(left_ms < 100 ? left_ms : 100));
    }
}

/* ---- opening ---- */

static void free_sink(struct kafka_sink *self)
{
    if (self->to != NULL)
        rd_kafka_topic_destroy(self->to);
    if (self->queue != NULL)
        rd_kafka_queue_destroy(self->queue);
    if (self->producer != NULL)
        rd_kafka_destroy(self->producer);
    if (self->committed != NULL) {
        (void)rd_kafka_consumer_close(self->committed);
        rd_kafka_destroy(self->committed);
    }
    if (self->reader_conf != NULL)
        rd_kafka_conf_destroy(self->reader_conf);
    mem_free(self->last);
    mem_free(self->unfinished.is_done);
    kafka_client_release(&self->client);
    mem_free(self->identity);
    mem_free(self->topic);
    mem_free(self->progress_topic);
    mem_free(self);
}

static bool has_option(const struct sink_spec *spec, const char *name)
{
    for (uint32_t i = 0; i < spec->options_count; i++) {
        if (strcmp(spec->options[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool configure(const struct sink_spec *spec, bool is_reader, struct kafka_sink *self,
                      rd_kafka_conf_t *conf, struct error *err)
{
    struct kafka_client *client = &self->client;
    const char *servers = sink_option(&sink_kafka, spec, "bootstrap.servers");
    kafka_attach(conf, client);
    if (!kafka_set_all(conf, client, defaults, ARRAY_COUNT(defaults), NULL, err) ||
        (servers != NULL && !kafka_set(conf, client, "bootstrap.servers", servers, err)) ||
        !kafka_set_all(conf, client, spec->options, spec->options_count, options, err))
        return false;
    if (is_reader)
        return kafka_set(conf, client, "group.id", spec->identity, err) &&
               kafka_set_all(conf, client, of_reader, ARRAY_COUNT(of_reader), NULL, err);
    return kafka_set(conf, client, "enable.idempotence", "true", err) &&
           (!spec->exactly_once || has_option(spec, "transactional.id") ||
            kafka_set(conf, client, "transactional.id", spec->identity, err));
}

static int64_t timeout_of(const rd_kafka_conf_t *conf)
{
    char text[32];
    size_t bytes = sizeof(text);
    if (rd_kafka_conf_get(conf, "transaction.timeout.ms", text, &bytes) != RD_KAFKA_CONF_OK)
        return INT64_C(60000000000);
    int64_t ms = 0;
    for (const char *at = text; *at >= '0' && *at <= '9'; at++)
        ms = ms * 10 + (*at - '0');
    return ms * 1000000;
}

static const struct partitioner_row *partitioner_of(const rd_kafka_conf_t *conf)
{
    char text[64];
    size_t bytes = sizeof(text);
    if (rd_kafka_conf_get(conf, "partitioner", text, &bytes) == RD_KAFKA_CONF_OK) {
        for (size_t i = 0; i < ARRAY_COUNT(partitioners); i++) {
            if (strcmp(partitioners[i].name, text) == 0)
                return &partitioners[i];
        }
    }
    return &partitioners[0];
}

static bool make_producer(const struct sink_spec *spec, struct kafka_sink *self, struct error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!configure(spec, false, self, conf, err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    self->transaction_timeout_ns = timeout_of(conf);
    self->partitioner = partitioner_of(conf);
    return kafka_open(RD_KAFKA_PRODUCER, conf, &self->client, &self->producer, err);
}

/* Options alone: a producer without brokers connects to nothing. */
static bool check_options(const struct sink_spec *spec, struct error *err)
{
    struct kafka_sink *self = mem_zalloc(sizeof(*self));
    kafka_client_init(&self->client, spec->sink_name, self);
    self->client.is_quiet = true;
    error_init(&self->newest);
    bool ok = sink_check_options(&sink_kafka, spec, err) &&
              read_count(spec, "topic_partitions", &self->topic_partitions, err) &&
              read_count(spec, "topic_replication", &self->topic_replication, err);
    if (ok && !spec->exactly_once && has_option(spec, "transactional.id"))
        ok = error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                       "option \"transactional.id\" is for delivery = 'exactly_once'");
    if (ok && sink_option(&sink_kafka, spec, "topic")[0] == '\0')
        ok = error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"topic\" cannot be empty");
    if (ok) {
        struct arena arena;
        arena_init(&arena, NULL);
        struct sink_spec without = *spec;
        struct connector_option *kept = ARENA_ARRAY(&arena, struct connector_option, spec->options_count);
        without.options = kept;
        without.options_count = 0;
        for (uint32_t i = 0; i < spec->options_count; i++) {
            if (strcmp(spec->options[i].name, "bootstrap.servers") != 0)
                kept[without.options_count++] = spec->options[i];
        }
        ok = make_producer(&without, self, err);
        arena_release(&arena);
    }
    free_sink(self);
    return ok;
}

static bool open_sink(const struct sink_spec *spec, struct sink **out, struct error *err)
{
    if (out == NULL)
        return check_options(spec, err);
    struct kafka_sink *self = mem_zalloc(sizeof(*self));
    self->base.class = &sink_kafka;
    kafka_client_init(&self->client, spec->sink_name, self);
    self->client.is_quiet = true;
    error_init(&self->newest);
    self->exactly_once = spec->exactly_once;
    self->identity = mem_strdup(spec->identity);
    self->topic = mem_strdup(sink_option(&sink_kafka, spec, "topic"));
    self->progress_topic = mem_strdup(sink_option(&sink_kafka, spec, "progress_topic"));
    self->reader_conf = rd_kafka_conf_new();
    bool ok = read_count(spec, "topic_partitions", &self->topic_partitions, err) &&
              read_count(spec, "topic_replication", &self->topic_replication, err) &&
              configure(spec, true, self, self->reader_conf, err) && make_producer(spec, self, err);
    if (ok) {
        self->queue = rd_kafka_queue_get_main(self->producer);
        self->to = rd_kafka_topic_new(self->producer, self->topic, NULL);
        ok = self->to != NULL ||
             error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "\"%s\" is no name of a topic", self->topic);
    }
    if (!ok) {
        free_sink(self);
        return false;
    }
    *out = &self->base;
    return true;
}

static void kafka_interrupt(struct sink *sink)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    atomic_store(&self->interrupted, true);
    rd_kafka_queue_yield(self->queue);
}

static void kafka_close(struct sink *sink)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    if (self->in_transaction && !self->commit_in_doubt) { /* or readers would wait for its timeout */
        int64_t deadline_ns = clock_monotonic_ns() + ABORT_ON_CLOSE_NS;
        rd_kafka_error_t *error;
        while ((error = rd_kafka_abort_transaction(self->producer, SLICE_MS)) != NULL) {
            bool again = rd_kafka_error_is_retriable(error) && clock_monotonic_ns() < deadline_ns;
            rd_kafka_error_destroy(error);
            if (!again)
                break;
        }
    }
    (void)rd_kafka_purge(self->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    free_sink(self);
}

/* ---- topics ---- */

/* What CREATE TOPIC says of the one topic; NO_ERROR when it is there. */
static rd_kafka_resp_err_t create_topic(struct kafka_sink *self, const char *name, int32_t partitions,
                                        int32_t replication, bool is_compacted, char *text, size_t text_bytes)
{
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, replication, text, text_bytes);
    if (topic == NULL)
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    if (is_compacted)
        (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact");
    rd_kafka_AdminOptions_t *admin =
        rd_kafka_AdminOptions_new(self->producer, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(self->producer);
    (void)rd_kafka_AdminOptions_set_request_timeout(admin, 10000, NULL, 0);
    (void)rd_kafka_AdminOptions_set_operation_timeout(admin, 5000, NULL, 0);
    rd_kafka_CreateTopics(self->producer, &topic, 1, admin, queue);
    rd_kafka_event_t *event = NULL;
    while (event == NULL && !is_interrupted(self))
        event = rd_kafka_queue_poll(queue, SLICE_MS);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (event != NULL) {
        code = rd_kafka_event_error(event);
        snprintf(text, text_bytes, "%s", rd_kafka_event_error_string(event));
        size_t count = 0;
        const rd_kafka_topic_result_t **results =
            code == RD_KAFKA_RESP_ERR_NO_ERROR
                ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
                : NULL;
        if (count == 1) {
            code = rd_kafka_topic_result_error(results[0]);
            const char *said = rd_kafka_topic_result_error_string(results[0]);
            snprintf(text, text_bytes, "%s", said != NULL ? said : rd_kafka_err2str(code));
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_NewTopic_destroy(topic);
    return code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ? RD_KAFKA_RESP_ERR_NO_ERROR : code;
}

/* Partitions of a topic that must be there, by patience_ns from the broker's first answer. */
static bool count_partitions(struct kafka_sink *self, const char *name, int64_t patience_ns, int32_t *count,
                             struct error *err)
{
    int64_t deadline_ns = clock_monotonic_ns() + CONNECT_NS, answered_ns = 0;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(self->producer, name, NULL);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__INVALID_ARG;
    *count = 0;
    while (topic != NULL) {
        const struct rd_kafka_metadata *metadata;
        code = rd_kafka_metadata(self->producer, 0, topic, &metadata, SLICE_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            code =
                metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
            *count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
            for (int32_t i = 0; i < *count && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
                /* an end of a transaction would be lost on it (kafka_fate.h) */
                if (metadata->topics[0].partitions[i].leader < 0)
                    code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
            }
            rd_kafka_metadata_destroy(metadata);
        }
        if ((code == RD_KAFKA_RESP_ERR_NO_ERROR && *count > 0) || is_interrupted(self) ||
            clock_monotonic_ns() >= deadline_ns)
            break;
        bool is_answer = code != RD_KAFKA_RESP_ERR__TIMED_OUT && code != RD_KAFKA_RESP_ERR__TRANSPORT;
        answered_ns = is_answer && answered_ns == 0 ? clock_monotonic_ns() : answered_ns;
        if (answered_ns != 0 && clock_monotonic_ns() - answered_ns >= patience_ns)
            break;
        if (code != RD_KAFKA_RESP_ERR__TIMED_OUT && code != RD_KAFKA_RESP_ERR__TRANSPORT &&
            code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE && code != RD_KAFKA_RESP_ERR_NO_ERROR &&
            code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            break;
        (void)rd_kafka_poll(self->producer, 100);
    }
    if (topic != NULL)
        rd_kafka_topic_destroy(topic);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && *count > 0)
        return true;
    if (is_interrupted(self))
        return fail_interrupted(self, err);
    char what[300];
    snprintf(what, sizeof(what), "topic \"%s\" cannot be used", name);
    return fail(self, SINK_REOPEN, code, what, rd_kafka_err2str(code), err);
}

/* Whether the topic is there, asked so that no broker makes it for that. false: nobody has answered, of the brokers or of those that
 * are left to try. */
static bool look_for_topic(struct kafka_sink *self, const char *name, bool *found, struct error *err)
{
    int64_t deadline_ns = clock_monotonic_ns() + CONNECT_NS;
    const struct rd_kafka_metadata *metadata = NULL;
    self->all_down = false;
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_metadata(self->producer, 1, NULL, &metadata, SLICE_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        (void)rd_kafka_poll(self->producer, 100);
        if (is_interrupted(self))
            return fail_interrupted(self, err);
        if (self->all_down || clock_monotonic_ns() >= deadline_ns)
            return fail(self, SINK_REOPEN, code, "the brokers do not answer", rd_kafka_err2str(code), err);
    }
    *found = false;
    for (int i = 0; i < metadata->topic_cnt; i++)
        *found = *found || strcmp(metadata->topics[i].topic, name) == 0;
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* A broker that makes topics by itself would make the progress topic with one policy for all, and forget it. So it is made here, and
 * where that is not allowed it must be there already. */
static bool need_topics(struct kafka_sink *self, struct error *err)
{
    char text[256] = "";
    int32_t partitions;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    bool is_there = false;
    self->counted_ns = clock_monotonic_ns();
    if (!look_for_topic(self, self->progress_topic, &is_there, err))
        return false;
    if (!is_there)
        code = create_topic(self, self->progress_topic, 1, -1, true, text, sizeof(text));
    bool may_be_there = code == RD_KAFKA_RESP_ERR_NO_ERROR ||
                        code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE ||
                        code_of(code) == ERRCODE_INSUFFICIENT_PRIVILEGE;
    if (is_interrupted(self))
        return fail_interrupted(self, err);
    if (!may_be_there) {
        char what[300];
        snprintf(what, sizeof(what), "topic \"%s\" cannot be made", self->progress_topic);
        return fail(self, SINK_REOPEN, code, what, text, err);
    }
    if (!count_partitions(self, self->progress_topic, CONNECT_NS, &partitions, err))
        return false;
    self->progress_partition =
        (int32_t)(XXH3_64bits(self->identity, strlen(self->identity)) % (uint64_t)partitions);
    if (self->topic_partitions < 0)
        return count_partitions(self, self->topic, TOPIC_NS, &self->partitions, err);
    code = create_topic(self, self->topic, self->topic_partitions, self->topic_replication, false, text,
                        sizeof(text));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return count_partitions(self, self->topic, CONNECT_NS, &self->partitions, err);
    if (is_interrupted(self))
        return fail_interrupted(self, err);
    char what[300];
    snprintf(what, sizeof(what), "topic \"%s\" cannot be made", self->topic);
    return fail(self, SINK_REOPEN, code, what, text, err);
}

/* ---- groups ---- */

/* Partitions that were added; who does not answer is asked another time. */
static void count_again(struct kafka_sink *self)
{
    const struct rd_kafka_metadata *metadata;
    self->counted_ns = clock_monotonic_ns();
    if (rd_kafka_metadata(self->producer, 0, self->to, &metadata, SLICE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    if (metadata->topic_cnt == 1 && metadata->topics[0].partition_cnt > self->partitions)
        self->partitions = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
}

static bool kafka_begin(struct sink *sink, struct error *err)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    if (is_interrupted(self))
        return fail_interrupted(self, err);
    if (clock_monotonic_ns() - self->counted_ns >= COUNT_AGAIN_NS)
        count_again(self);
    self->delivery_error = RD_KAFKA_RESP_ERR_NO_ERROR;
    error_init(&self->newest);
    self->offset_unknown = false;
    for (int32_t i = 0; i < self->last_count; i++)
        self->last[i].offset = -1;
    if (!self->exactly_once)
        return true;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(self->producer);
    if (error != NULL)
        return fail_with(self, error, "a transaction could not be begun", err);
    self->in_transaction = true;
    self->transaction_began_ns = clock_monotonic_ns();
    return true;
}

static bool fail_to_write(struct kafka_sink *self, rd_kafka_resp_err_t code, const char *topic,
                          struct error *err)
{
    char text[256], what[300];
    snprintf(what, sizeof(what), "a record could not be written to topic \"%s\"", topic);
    snprintf(text, sizeof(text), "%s", rd_kafka_err2str(code));
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(self->producer, text, sizeof(text));
    if (is_fenced(code) || is_fenced(fatal))
        return fail_fenced(self, is_fenced(fatal) ? fatal : code, what, err);
    if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fail(self, SINK_REOPEN, fatal, what, text, err);
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        (void)fail(self, SINK_STOP, code, what, text, err);
        return error_hint(err,
                          "Raise \"message.max.bytes\" of the sink and \"max.message.bytes\" of the topic.");
    }
    return fail(self, self->exactly_once ? SINK_RETRY : SINK_REOPEN, code, what, text, err);
}

/* offset: where to note the record's; NULL: it is one of the group's. */
static bool produce(struct kafka_sink *self, rd_kafka_topic_t *topic, int32_t partition,
                    const struct record *record, int64_t *offset, struct error *err)
{
    rd_kafka_vu_t units[8];
    size_t count = 0;
    units[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic};
    units[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition};
    units[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY};
    units[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = offset};
    units[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_VALUE,
                                     .u.mem = {(void *)(uintptr_t)record->value, record->value_len}};
    if (record->key != NULL)
        units[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_KEY,
                                         .u.mem = {(void *)(uintptr_t)record->key, record->key_len}};
    if (record->timestamp_us != INT64_MIN)
        units[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TIMESTAMP,
                                         .u.i64 = (record->timestamp_us + UNIX_TO_2000_US) / 1000};
    for (;;) {
        rd_kafka_headers_t *headers = NULL;
        size_t with_headers = count;
        if (record->headers_count > 0) {
            headers = rd_kafka_headers_new(record->headers_count);
            for (uint32_t i = 0; i < record->headers_count; i++)
                (void)rd_kafka_header_add(headers, record->headers[i].name, -1, record->headers[i].value,
                                          (ssize_t)record->headers[i].value_len);
            units[with_headers++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers};
        }
        rd_kafka_error_t *error = rd_kafka_produceva(self->producer, units, with_headers);
        if (error == NULL)
            break;
        rd_kafka_resp_err_t code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        if (headers != NULL)
            rd_kafka_headers_destroy(headers);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return fail_to_write(self, code, rd_kafka_topic_name(topic), err);
        (void)rd_kafka_poll(self->producer, SLICE_MS); /* until something has arrived */
        if (is_interrupted(self))
            return fail_interrupted(self, err);
        if (self->delivery_error != RD_KAFKA_RESP_ERR_NO_ERROR)
            return fail_to_write(self, self->delivery_error, rd_kafka_topic_name(topic), err);
    }
    if (++self->unserved == SERVE_RECORDS) {
        self->unserved = 0;
        (void)rd_kafka_poll(self->producer, 0);
    }
    return true;
}

static int32_t partition_of(const struct kafka_sink *self, const struct record *record, int32_t partitions)
{
    const struct partitioner_row *row = self->partitioner;
    bool spreads = record->key == NULL ? row->spreads_null : record->key_len == 0 && row->spreads_empty;
    if (row->of_key != NULL && !spreads)
        return row->of_key(self->to, record->key, record->key_len, partitions, NULL, NULL);
    uint64_t hash = XXH3_64bits(record->value, record->value != NULL ? record->value_len : 0);
    if (record->key != NULL)
        hash ^= XXH3_64bits_withSeed(record->key, record->key_len, 1);
    return (int32_t)(hash % (uint64_t)partitions);
}

static bool kafka_write(struct sink *sink, const struct record *record, struct error *err)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    if (is_interrupted(self))
        return fail_interrupted(self, err);
    const struct unfinished *unfinished = &self->unfinished;
    bool is_again = sink->row < unfinished->to.rows;
    int32_t partition = partition_of(self, record, is_again ? unfinished->partitions : self->partitions);
    return (is_again && unfinished->is_done[partition]) ||
           produce(self, self->to, partition, record, NULL, err);
}

/* Waits until all records have arrived. */
static bool flush(struct kafka_sink *self, struct error *err)
{
    while (rd_kafka_outq_len(self->producer) > 0) {
        (void)rd_kafka_flush(self->producer, SLICE_MS);
        if (is_interrupted(self))
            return fail_interrupted(self, err);
        if (self->delivery_error != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
    }
    return self->delivery_error == RD_KAFKA_RESP_ERR_NO_ERROR ||
           fail_to_write(self, self->delivery_error, self->topic, err);
}

static bool end_transaction(struct kafka_sink *self, struct error *err)
{
    self->commit_in_doubt = true;
    /* beyond its timeout the broker gives the transaction up, and a new producer finds out what became of it */
    int64_t deadline_ns = clock_monotonic_ns() + 2 * self->transaction_timeout_ns;
    rd_kafka_error_t *error = rd_kafka_commit_transaction(self->producer, SLICE_MS);
    if (error != NULL && !rd_kafka_error_is_retriable(error)) {
        /* answered at the first try: what has to be aborted was not committed */
        self->commit_in_doubt = !rd_kafka_error_txn_requires_abort(error);
        return fail_with(self, error, "a transaction could not be committed", err);
    }
    if (error != NULL) {
        rd_kafka_error_destroy(error);
        if (!in_slices(self, rd_kafka_commit_transaction, deadline_ns, "a transaction could not be committed",
                       err))
            return false;
    }
    self->commit_in_doubt = self->in_transaction = false;
    return true;
}

static bool write_note(struct kafka_sink *self, const char *key, const char *value, int64_t *offset,
                       struct error *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(self->producer, self->progress_topic, NULL);
    if (topic == NULL)
        return fail(self, SINK_STOP, RD_KAFKA_RESP_ERR__INVALID_ARG, "the progress topic cannot be used",
                    self->progress_topic, err);
    const struct record record = {.timestamp_us = INT64_MIN,
                                  .key = (const uint8_t *)key,
                                  .key_len = strlen(key),
                                  .value = (const uint8_t *)value,
                                  .value_len = strlen(value)};
    bool ok = produce(self, topic, self->progress_partition, &record, offset, err);
    rd_kafka_topic_destroy(topic);
    return ok;
}

/* Waits until readers of committed records see what is below the offsets of `last`; *seen: they do. */
static bool wait_until_visible(struct kafka_sink *self, const struct kafka_last *last, uint32_t count,
                               bool *seen, struct error *err)
{
    int64_t deadline_ns = clock_monotonic_ns() + VISIBLE_NS;
    int64_t *ends = mem_alloc(sizeof(*ends) * count);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    *seen = false;
    for (int wait_ms = 1; !*seen && !is_interrupted(self);
         wait_ms = wait_ms < ASK_AGAIN_MAX_MS / 2 ? 2 * wait_ms : ASK_AGAIN_MAX_MS) {
        code = kafka_ends(self->committed, self->topic, last, count, ends, SLICE_MS, NULL);
        *seen = code == RD_KAFKA_RESP_ERR_NO_ERROR;
        for (uint32_t i = 0; i < count && *seen; i++)
            *seen = ends[i] > last[i].offset;
        if (clock_monotonic_ns() >= deadline_ns)
            break;
        if (!*seen) /* no broker tells by itself when a transaction has ended */
            (void)rd_kafka_poll(self->producer, wait_ms);
    }
    mem_free(ends);
    if (is_interrupted(self))
        return fail_interrupted(self, err);
    return *seen || code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           fail(self, SINK_REOPEN, code, "what was written could not be looked at", rd_kafka_err2str(code),
                err);
}

static bool fail_open(struct kafka_sink *self, struct error *err)
{
    self->base.remedy = SINK_REOPEN;
    error_set(err, ERRCODE_OBJECT_IN_USE, "a transaction in topic \"%s\" does not end", self->topic);
    return error_detail(err, "Readers of committed records would not see what the sink writes behind it.");
}

static bool kafka_commit(struct sink *sink, const struct sink_progress *progress, struct error *err)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    /* with everything there, it is not the commit that fails for what one of the records has met */
    if (!flush(self, err))
        return false;
    if (self->offset_unknown && self->exactly_once)
        return fail(self, SINK_REOPEN, RD_KAFKA_RESP_ERR__PARTIAL, "a transaction could not be committed",
                    "the broker has not told where its records are", err);
    uint32_t count = 0;
    struct kafka_last *last = mem_alloc(sizeof(*last) * (size_t)(self->last_count + 1));
    for (int32_t i = 0; i < self->last_count; i++) {
        if (self->last[i].offset >= 0)
            last[count++] = self->last[i];
    }
    bool is_again = self->unfinished.to.rows > 0;
    const struct kafka_note note = {.to = *progress,
                                    .tells_where = self->exactly_once,
                                    .has_from = self->has_at,
                                    .from = self->at,
                                    .partitions = is_again ? self->unfinished.partitions : self->partitions,
                                    .last_count = count,
                                    .last = last,
                                    .is_done = is_again ? self->unfinished.is_done : NULL};
    struct strbuf text = STRBUF_INIT;
    kafka_note_write(&note, &text);
    bool seen = true;
    bool ok = write_note(self, self->identity, strbuf_text(&text), &self->ignored, err) && flush(self, err);
    if (self->exactly_once)
        ok = ok && end_transaction(self, err) && wait_until_visible(self, last, count, &seen, err) &&
             (seen || fail_open(self, err));
    strbuf_release(&text);
    mem_free(last);
    if (!ok)
        return false;
    self->has_at = true;
    self->at = *progress;
    self->unfinished.to = (struct sink_progress){0};
    return true;
}

/* A producer whose transaction has failed is not used again: what it has sent may still be on its way, and a broker could take it for a
 * part of the next transaction. A new one has another epoch. */
static bool kafka_abort(struct sink *sink, struct error *err)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    if (!self->exactly_once || !self->in_transaction)
        return true;
    return fail(self, SINK_REOPEN, RD_KAFKA_RESP_ERR__STATE, "a transaction is given up", self->topic, err);
}

/* ---- progress ---- */

/* The last note that a reader sees. */
struct found_note {
    bool found;
    int64_t offset;
    struct kafka_note note;
};

/* A consumer that is given partitions of a topic it knows nothing of looks for their leaders once a second. */
static void learn_leaders(rd_kafka_t *reader, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(reader, name, NULL);
    if (topic == NULL)
        return;
    if (rd_kafka_metadata(reader, 0, topic, &metadata, SLICE_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

/* Reads the partition from an offset up to the marker, which is committed: so has ended what was written before it. */
static bool read_from(struct kafka_sink *self, rd_kafka_t *reader, int64_t from, struct found_note *last,
                      struct error *err)
{
    int64_t deadline_ns = clock_monotonic_ns() + 2 * self->transaction_timeout_ns + CONNECT_NS;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, self->progress_topic, self->progress_partition)->offset = from;
    learn_leaders(reader, self->progress_topic);
    rd_kafka_resp_err_t code = rd_kafka_assign(reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    bool done = false, ok = true;
    while (ok && !done && code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, SLICE_MS);
        if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            done = message->offset >= self->marker_offset;
            if (!done && message->key_len == strlen(self->identity) &&
                memcmp(message->key, self->identity, message->key_len) == 0) {
                kafka_note_release(&last->note);
                ok = kafka_note_read(message->payload, message->len, &last->note);
                last->found = true;
                last->offset = message->offset;
            }
        }
        if (message != NULL)
            rd_kafka_message_destroy(message);
        if (is_interrupted(self))
            return fail_interrupted(self, err);
        if (!done && clock_monotonic_ns() >= deadline_ns)
            code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    (void)rd_kafka_assign(reader, NULL);
    if (!ok) {
        self->base.remedy = SINK_STOP;
        error_set(err, ERRCODE_DATA_CORRUPTED, "the progress of sink \"%s\" in topic \"%s\" cannot be read",
                  self->identity, self->progress_topic);
        return error_detail(err, "Its record is not one of Millrace's.");
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           fail(self, SINK_REOPEN, code, "the progress of the sink could not be read", rd_kafka_err2str(code),
                err);
}

static bool read_back(struct kafka_sink *self, rd_kafka_t *reader, struct found_note *last, struct error *err)
{
    bool ok = true;
    for (int64_t back = READ_BACK_FIRST; ok && !last->found; back *= READ_BACK_TIMES) {
        int64_t from = self->marker_offset > back ? self->marker_offset - back : 0;
        ok = read_from(self, reader, from, last, err);
        if (from == 0)
            break;
    }
    return ok;
}

static bool write_marker(struct kafka_sink *self, struct error *err)
{
    struct strbuf key = STRBUF_INIT;
    strbuf_addf(&key, "%s:started", self->identity);
    self->marker_offset = -1;
    bool ok = kafka_begin(&self->base, err) &&
              write_note(self, strbuf_text(&key), "{}", &self->marker_offset, err) &&
              (self->exactly_once ? end_transaction(self, err) : flush(self, err));
    strbuf_release(&key);
    if (ok && self->marker_offset < 0) { /* delivered, and the report is still in the queue */
        (void)rd_kafka_poll(self->producer, SLICE_MS);
        ok = self->marker_offset >= 0 || fail(self, SINK_REOPEN, RD_KAFKA_RESP_ERR__TIMED_OUT,
                                              "the progress of the sink could not be read",
                                              "the broker has not told where a record is", err);
    }
    return ok;
}

/* ---- what is in doubt ---- */

static bool open_reader(struct kafka_sink *self, bool is_committed, rd_kafka_t **out, struct error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(self->reader_conf);
    self->base.remedy = SINK_STOP;
    if (!is_committed && !kafka_set(conf, &self->client, "isolation.level", "read_uncommitted", err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    if (!kafka_open(RD_KAFKA_CONSUMER, conf, &self->client, out, err))
        return false;
    (void)rd_kafka_poll_set_consumer(*out);
    return true;
}

/* A record in each of the partitions, in a transaction that is aborted: nobody sees it. Its key is for topics that are compacted. */
static bool abort_in(struct kafka_sink *self, const struct kafka_last *open, uint32_t count,
                     struct error *err)
{
    static const char key[] = "millrace";
    const struct record record = {
        .timestamp_us = INT64_MIN, .key = (const uint8_t *)key, .key_len = sizeof(key) - 1};
    bool ok = kafka_begin(&self->base, err);
    for (uint32_t i = 0; i < count && ok; i++)
        ok = produce(self, self->to, open[i].partition, &record, &self->ignored, err);
    int64_t deadline_ns = clock_monotonic_ns() + 2 * self->transaction_timeout_ns;
    ok = ok && flush(self, err) &&
         in_slices(self, rd_kafka_abort_transaction, deadline_ns, "a transaction could not be aborted", err);
    self->in_transaction = self->in_transaction && !ok;
    return ok;
}

static bool has_looked(struct kafka_sink *self, rd_kafka_resp_err_t code, const char *failed,
                       struct error *err)
{
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    return is_interrupted(self) ? fail_interrupted(self, err)
                                : fail(self, SINK_REOPEN, code, failed, rd_kafka_err2str(code), err);
}

/* Ends what is open in the topic: predecessors' records that no end was written for. What is open for others is waited for. */
static bool sweep(struct kafka_sink *self, rd_kafka_t *all, struct error *err)
{
    uint32_t count = (uint32_t)self->partitions, open_count = 0;
    struct kafka_last *open = mem_alloc(sizeof(*open) * count);
    int64_t *numbers = mem_alloc(sizeof(*numbers) * 2 * count), *stable = numbers, *ends = stable + count;
    for (uint32_t i = 0; i < count; i++)
        open[i] = (struct kafka_last){(int32_t)i, 0};
    rd_kafka_resp_err_t code = kafka_ends(self->committed, self->topic, open, count, stable,
                                          CONNECT_NS / 1000000, &self->interrupted);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = kafka_ends(all, self->topic, open, count, ends, CONNECT_NS / 1000000, &self->interrupted);
    bool ok = has_looked(self, code, "the topic could not be looked at", err);
    for (uint32_t i = 0; i < count && ok; i++) {
        if (stable[i] < ends[i])
            open[open_count++] = (struct kafka_last){(int32_t)i, ends[i] - 1};
    }
    bool seen = true;
    if (ok && open_count > 0)
        ok = abort_in(self, open, open_count, err) &&
             wait_until_visible(self, open, open_count, &seen, err) && (seen || fail_open(self, err));
    mem_free(numbers);
    mem_free(open);
    return ok;
}

/* What readers see of the last group decides what there is to do. is_visible: they see its note. */
static bool settle(struct kafka_sink *self, rd_kafka_t *all, struct kafka_note *note, bool is_visible,
                   struct sink_recovery *found, struct error *err)
{
    uint32_t arrived = 0, count = note->last_count;
    enum kafka_fate *fates = mem_alloc(sizeof(*fates) * (count + 1));
    while (count > 0 && note->last[count - 1].partition >= self->partitions)
        fates[--count] = KAFKA_GONE; /* the topic was made anew */
    rd_kafka_resp_err_t code = kafka_fates(self->committed, all, self->topic, note->last, count, fates,
                                           CONNECT_NS / 1000000, &self->interrupted);
    bool ok = has_looked(self, code, "what was written could not be looked at", err);
    for (uint32_t i = 0; i < note->last_count && ok; i++) {
        if (fates[i] == KAFKA_OPEN)
            ok = fail_open(self, err);
        if (fates[i] != KAFKA_VISIBLE && (fates[i] != KAFKA_GONE || !is_visible))
            continue;
        arrived++;
        fates[i] = KAFKA_VISIBLE;
    }
    bool is_whole = note->last_count > 0 ? arrived == note->last_count : is_visible;
    found->found = is_whole || note->has_from;
    found->progress = is_whole ? note->to : note->from;
    if (ok && !is_whole && (arrived > 0 || note->is_done != NULL)) {
        log_write(LOG_WARNING,
                  "sink \"%s\": of the last transaction, %u of %u partitions were committed; the others are "
                  "written again",
                  self->client.name, arrived, note->last_count);
        bool *is_done = note->is_done != NULL ? note->is_done : mem_zalloc((size_t)note->partitions);
        note->is_done = NULL;
        for (uint32_t i = 0; i < note->last_count; i++)
            is_done[note->last[i].partition] |= fates[i] == KAFKA_VISIBLE;
        found->unfinished = note->to;
        self->unfinished = (struct unfinished){note->to, note->partitions, is_done};
    }
    mem_free(fates);
    return ok;
}

static bool find_progress(struct kafka_sink *self, rd_kafka_t *all, struct sink_recovery *found,
                          struct error *err)
{
    struct found_note committed = {.found = false}, last = {.found = false};
    bool ok = read_back(self, self->committed, &committed, err) &&
              (!self->exactly_once || read_back(self, all, &last, err));
    if (ok && last.found && last.note.tells_where) {
        ok = settle(self, all, &last.note, committed.found && committed.offset == last.offset, found, err);
    } else if (ok) {
        found->found = committed.found;
        found->progress = committed.note.to;
    }
    kafka_note_release(&committed.note);
    kafka_note_release(&last.note);
    self->has_at = found->found;
    self->at = found->progress;
    return ok;
}

static bool kafka_recover(struct sink *sink, struct sink_recovery *found, struct error *err)
{
    struct kafka_sink *self = (struct kafka_sink *)sink;
    int64_t deadline_ns = clock_monotonic_ns() + CONNECT_NS + self->transaction_timeout_ns;
    rd_kafka_t *all = NULL;
    *found = (struct sink_recovery){.found = false};
    bool ok = need_topics(self, err) && open_reader(self, true, &self->committed, err);
    if (!self->exactly_once)
        return ok && write_marker(self, err) && find_progress(self, NULL, found, err);
    ok = ok && in_slices(self, rd_kafka_init_transactions, deadline_ns, "transactions cannot be used", err) &&
         open_reader(self, false, &all, err) && sweep(self, all, err) && write_marker(self, err) &&
         find_progress(self, all, found, err);
    if (all != NULL) {
        (void)rd_kafka_consumer_close(all);
        rd_kafka_destroy(all);
    }
    return ok;
}

const struct sink_class sink_kafka = {
    .name = "kafka",
    .help = "records to a topic, exactly once; any property of librdkafka is an option as well",
    .options = options,
    .accepts = accepts,
    .why_fixed = why_fixed,
    .open = open_sink,
    .close = kafka_close,
    .recover = kafka_recover,
    .begin = kafka_begin,
    .write = kafka_write,
    .commit = kafka_commit,
    .abort = kafka_abort,
    .interrupt = kafka_interrupt,
};
