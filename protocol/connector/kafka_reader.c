/* kafka_reader.c: records of some partitions, borrowed from librdkafka's memory as they came from the broker.
 *
 * Partitions of a reader share one queue of librdkafka's, into which its threads put what they have fetched. The
 * queue calls back when it is no longer empty, so a reader that has emptied it may sleep. */
#include "protocol/connector/kafka_log.h"
#include "storage/base/log.h"
#include "storage/data/hash.h"

#include <string.h>

struct reading {
    struct kafka_partition *partition;
    struct partition_position *at; /* of the reader's passed */
    bool started;
    bool comparing;                   /* the record seen last has not come yet, nor a later one */
    bool asking;                      /* the broker has no record at its place: limits are asked for */
    uint64_t asked;                   /* asking: the number of the question */
    int64_t greatest_time_us;         /* of the records since the start; INT64_MIN: none had one */
    const rd_kafka_message_t *newest; /* of the last messages; NULL: none */
    int64_t hashed_offset;            /* of the record whose hash is known; -1: none */
    uint64_t hash;
};

struct kafka_reader {
    struct partitioned_reader base;
    struct kafka_log *log;
    struct kafka_reader *next;
    rd_kafka_queue_t *queue;
    bool headers;
    void (*wake)(void *ctx);
    void *wake_ctx;
    uint32_t count;
    struct reading *readings;
    struct partition_position *passed;
    uint32_t *by_partition; /* place in readings, UINT32_MAX: not ours */
    uint32_t by_partition_count;
    rd_kafka_message_t **messages; /* those of the last poll */
    uint32_t messages_count, messages_cap;
    struct record *records;
    struct record_header *header_list;
    size_t headers_count, headers_cap;
    uint32_t asking_count;
    uint64_t record_bytes; /* of keys and values, about, of late */
    bool was_full;         /* the queue was, and has been no emptier than half since */
    struct error trouble;  /* ends with the next record of its partition */
    int32_t trouble_partition;
    struct error broken; /* stays until a seek or the end */
    uint32_t changes_seen;
    uint64_t suspicions_seen;
};

/* ---- starting and stopping ---- */

static void queue_filled(rd_kafka_t *rk, void *opaque)
{
    struct kafka_reader *reader = opaque;
    if (reader->wake != NULL)
        reader->wake(reader->wake_ctx);
}

void kafka_readers_wake(struct kafka_log *log)
{
    for (struct kafka_reader *reader = log->readers; reader != NULL; reader = reader->next) {
        if (reader->wake != NULL)
            reader->wake(reader->wake_ctx);
    }
}

/* From the record seen last, to compare it, or from the one after it. */
static bool start_reading(struct kafka_reader *reader, struct reading *reading, bool compare,
                          struct error *err)
{
    const struct partition_position *at = reading->at;
    reading->comparing = compare && at->seen_offset >= 0 && at->seen_offset < at->offset;
    int64_t from = reading->comparing ? at->seen_offset : at->offset;
    if (reading->asking)
        reader->asking_count--;
    reading->asking = false;
    if (rd_kafka_consume_start_queue(reader->log->rkt, at->partition, from, reader->queue) != 0)
        return error_set(err, ERRCODE_INTERNAL_ERROR, "could not read partition %d of topic \"%s\": %s",
                         at->partition, reader->log->topic, rd_kafka_err2str(rd_kafka_last_error()));
    reading->started = true;
    atomic_store(&reading->partition->position, at->offset);
    return true;
}

static void stop_reading(struct kafka_reader *reader, struct reading *reading)
{
    if (reading->started)
        rd_kafka_consume_stop(reader->log->rkt, reading->partition->id);
    reading->started = false;
}

/* What was fetched before and not polled is left out by librdkafka from here on. */
static bool restart_reading(struct kafka_reader *reader, struct reading *reading, bool compare,
                            struct error *err)
{
    stop_reading(reader, reading);
    return start_reading(reader, reading, compare, err);
}

static void release_messages(struct kafka_reader *reader)
{
    for (uint32_t i = 0; i < reader->messages_count; i++)
        rd_kafka_message_destroy(reader->messages[i]);
    reader->messages_count = 0;
    reader->headers_count = 0;
}

void kafka_end(struct partitioned_reader *base)
{
    struct kafka_reader *reader = (struct kafka_reader *)base;
    struct kafka_log *log = reader->log;
    pthread_mutex_lock(&log->lock);
    struct kafka_reader **link = &log->readers;
    while (*link != NULL && *link != reader)
        link = &(*link)->next;
    if (*link != NULL)
        *link = reader->next;
    pthread_mutex_unlock(&log->lock);
    rd_kafka_queue_cb_event_enable(reader->queue, NULL, NULL);
    release_messages(reader);
    for (uint32_t i = 0; i < reader->count; i++) {
        stop_reading(reader, &reader->readings[i]);
        atomic_store(&reader->readings[i].partition->position, -1);
    }
    rd_kafka_queue_destroy(reader->queue);
    mem_free(reader->messages);
    mem_free(reader->records);
    mem_free(reader->header_list);
    mem_free(reader->by_partition);
    mem_free(reader->passed);
    mem_free(reader->readings);
    mem_free(reader);
}

static void map_partitions(struct kafka_reader *reader)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < reader->count; i++) {
        uint32_t id = (uint32_t)reader->passed[i].partition;
        most = id >= most ? id + 1 : most;
    }
    reader->by_partition = mem_alloc(sizeof(uint32_t) * most);
    reader->by_partition_count = most;
    memset(reader->by_partition, 0xff, sizeof(uint32_t) * most);
    for (uint32_t i = 0; i < reader->count; i++)
        reader->by_partition[reader->passed[i].partition] = i;
}

bool kafka_read(struct partitioned_log *base, const struct partitioned_read *spec,
                struct partitioned_reader **out, struct error *err)
{
    struct kafka_log *log = (struct kafka_log *)base;
    struct kafka_reader *reader = mem_zalloc(sizeof(*reader));
    reader->base.class = base->class;
    reader->log = log;
    reader->queue = rd_kafka_queue_new(log->rk);
    reader->headers = spec->headers;
    reader->wake = spec->wake;
    reader->wake_ctx = spec->wake_ctx;
    reader->count = spec->count;
    reader->readings = mem_zalloc(sizeof(struct reading) * spec->count);
    reader->passed = mem_alloc(sizeof(struct partition_position) * spec->count);
    memcpy(reader->passed, spec->positions, sizeof(struct partition_position) * spec->count);
    map_partitions(reader);
    rd_kafka_queue_cb_event_enable(reader->queue, queue_filled, reader);
    pthread_mutex_lock(&log->lock);
    reader->next = log->readers;
    log->readers = reader;
    pthread_mutex_unlock(&log->lock);
    reader->suspicions_seen = atomic_load(&log->suspicions);
    bool ok = true;
    for (uint32_t i = 0; i < spec->count; i++) {
        reader->readings[i].greatest_time_us = INT64_MIN;
        reader->readings[i].hashed_offset = -1;
        reader->readings[i].partition = kafka_partition(log, spec->positions[i].partition);
        reader->readings[i].at = &reader->passed[i];
        ok = ok && start_reading(reader, &reader->readings[i], true, err);
    }
    if (ok)
        *out = &reader->base;
    else
        kafka_end(&reader->base);
    return ok;
}

bool kafka_seek(struct partitioned_reader *base, struct partition_position to, struct error *err)
{
    struct kafka_reader *reader = (struct kafka_reader *)base;
    uint32_t place =
        (uint32_t)to.partition < reader->by_partition_count ? reader->by_partition[to.partition] : UINT32_MAX;
    if (place == UINT32_MAX)
        return error_set(err, ERRCODE_INTERNAL_ERROR, "partition %d is not the reader's", to.partition);
    release_messages(reader);
    reader->passed[place] = to;
    reader->readings[place].greatest_time_us = INT64_MIN; /* other records have been there perhaps */
    if (reader->broken.code == ERRCODE_NONE)
        return restart_reading(reader, &reader->readings[place], true, err);
    /* What came behind the message that broke it was dropped, of every partition. */
    reader->broken.code = ERRCODE_NONE;
    reader->trouble.code = ERRCODE_NONE;
    for (uint32_t i = 0; i < reader->count; i++) {
        if (!restart_reading(reader, &reader->readings[i], i == place, err))
            return false;
    }
    return true;
}

/* ---- places without records ---- */

static bool lost(struct kafka_reader *reader, const struct partition_position *at, int64_t low)
{
    error_set(&reader->broken, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
              "records of partition %d of topic \"%s\" are gone that were not read", at->partition,
              reader->log->topic);
    error_detail(&reader->broken, "Offsets %lld to %lld are lost; the first one left is %lld.",
                 (long long)at->offset, (long long)low - 1, (long long)low);
    return error_hint(&reader->broken, "Retention of the topic is shorter than the source was away. Option "
                                       "\"on_lost\" says where to go on.");
}

/* Goes on where on_lost says. */
static void skip_lost(struct kafka_reader *reader, struct reading *reading, int64_t low, int64_t high)
{
    int64_t to = reader->log->on_lost == KAFKA_LOST_EARLIEST ? low : high;
    log_write(LOG_WARNING,
              "kafka \"%s\": offsets %lld to %lld of partition %d of topic \"%s\" are lost; going on at %lld",
              reader->log->client.name, (long long)reading->at->offset, (long long)low - 1,
              reading->at->partition, reader->log->topic, (long long)to);
    atomic_fetch_add(&reading->partition->lost, (uint64_t)(to - reading->at->offset));
    reading->at->offset = to;
    reading->at->seen_offset = -1;
}

/* Limits have been asked for after the broker said that there is no such place. false: broken. */
static bool settle(struct kafka_reader *reader, struct reading *reading)
{
    struct partition_position *at = reading->at;
    int64_t low = atomic_load(&reading->partition->low), high = atomic_load(&reading->partition->high);
    if (at->offset > high) {
        error_set(&reader->broken, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "topic \"%s\" was made anew or cut: partition %d ends before records that were read",
                  reader->log->topic, at->partition);
        return error_detail(&reader->broken,
                            "The partition ends at offset %lld; the next one to read was %lld.",
                            (long long)high, (long long)at->offset);
    }
    if (at->offset < low && reader->log->on_lost == KAFKA_LOST_FAIL)
        return lost(reader, at, low);
    if (at->offset < low)
        skip_lost(reader, reading, low, high);
    /* else only the record seen last is gone, or it was so for a moment */
    return restart_reading(reader, reading, false, &reader->broken);
}

static void settle_all(struct kafka_reader *reader)
{
    pthread_mutex_lock(&reader->log->lock);
    uint64_t answered = reader->log->asks_seen;
    pthread_mutex_unlock(&reader->log->lock);
    for (uint32_t i = 0; i < reader->count && reader->broken.code == ERRCODE_NONE; i++) {
        struct reading *reading = &reader->readings[i];
        if (reading->asking && reading->asked <= answered && !settle(reader, reading))
            return;
    }
}

/* Every partition is read from its last record again when there is a reason to, to see that it is the same. true: so it is, and what was polled
 * before may be of another topic. */
static bool check_again(struct kafka_reader *reader)
{
    uint64_t suspicions = atomic_load(&reader->log->suspicions);
    if (suspicions == reader->suspicions_seen)
        return false;
    reader->suspicions_seen = suspicions;
    for (uint32_t i = 0; i < reader->count && reader->broken.code == ERRCODE_NONE; i++) {
        if (!restart_reading(reader, &reader->readings[i], true, &reader->broken))
            break;
    }
    return true;
}

/* ---- what comes out of the queue ---- */

static void ask_limits(struct kafka_reader *reader, struct reading *reading)
{
    if (!reading->asking)
        reader->asking_count++;
    reading->asking = true;
    reading->asked = kafka_watch_ask(reader->log);
}

static void take_error(struct kafka_reader *reader, struct reading *reading,
                       const rd_kafka_message_t *message)
{
    struct kafka_log *log = reader->log;
    enum error_code code = kafka_error_code(message->err);
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        ask_limits(reader, reading);
        return;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        kafka_watch_ask(log); /* who knows whether it is so for long */
        return;
    default:
        break;
    }
    char text[ERROR_TEXT_MAX];
    const char *said = rd_kafka_message_errstr(message);
    size_t len = strnlen(said, sizeof(text) - 1);
    memcpy(text, said, len);
    text[len] = '\0';
    kafka_hide(&log->client, text);
    bool passes = code == ERRCODE_CONNECTION_FAILURE || code == ERRCODE_INSUFFICIENT_PRIVILEGE ||
                  code == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
    struct error *to = passes ? &reader->trouble : &reader->broken;
    if (to == &reader->broken && to->code != ERRCODE_NONE)
        return;
    error_set(to, code, "partition %d of topic \"%s\" cannot be read at offset %lld", reading->at->partition,
              log->topic, (long long)reading->at->offset);
    error_detail(to, "%s", text);
    reader->trouble_partition = passes ? reading->at->partition : reader->trouble_partition;
}

static int64_t record_time(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    int64_t ms = rd_kafka_message_timestamp(message, &type);
    return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || ms < 0 ? INT64_MIN : (ms - KAFKA_EPOCH_2000_MS) * 1000;
}

static uint64_t record_hash(const rd_kafka_message_t *message)
{
    return hash_combine(hash_bytes(message->key, message->key_len),
                        hash_bytes(message->payload, message->len));
}

/* Records at or after the one seen last arrive first. false: broken. */
static bool compare(struct kafka_reader *reader, struct reading *reading, const rd_kafka_message_t *message)
{
    struct partition_position *at = reading->at;
    bool is_same = message->offset != at->seen_offset || record_time(message) == at->seen_time_us;
    bool same_bytes = message->offset != reading->hashed_offset || record_hash(message) == reading->hash;
    if (!is_same || !same_bytes) {
        error_set(&reader->broken, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "topic \"%s\" was made anew: partition %d has other records than those that were read",
                  reader->log->topic, at->partition);
        return error_detail(&reader->broken, "The record at offset %lld has %s than it had.",
                            (long long)message->offset,
                            is_same ? "another key or value" : "another timestamp");
    }
    reading->comparing = message->offset < at->seen_offset;
    if (message->offset == at->seen_offset) {
        reading->newest = message;
        reading->greatest_time_us =
            reading->greatest_time_us > at->seen_time_us ? reading->greatest_time_us : at->seen_time_us;
    }
    return true;
}

static void add_headers(struct kafka_reader *reader, const rd_kafka_message_t *message, struct record *record)
{
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; i++) {
        if (reader->headers_count == reader->headers_cap) {
            reader->headers_cap = reader->headers_cap == 0 ? 64 : reader->headers_cap * 2;
            reader->header_list =
                mem_realloc(reader->header_list, sizeof(struct record_header) * reader->headers_cap);
        }
        reader->header_list[reader->headers_count++] =
            (struct record_header){.name = name, .value = value, .value_len = value != NULL ? size : 0};
        record->headers_count++;
    }
}

static void fill_record(struct kafka_reader *reader, const rd_kafka_message_t *message, struct record *record)
{
    *record = (struct record){
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_us = record_time(message),
        .key = message->key,
        .key_len = message->key_len,
        .value = message->payload,
        .value_len = message->len,
    };
    if (reader->headers)
        add_headers(reader, message, record);
}

/* The list of headers has moved while it grew: records find theirs when all are there. */
static void link_headers(struct kafka_reader *reader, struct record *records, uint32_t count)
{
    size_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        records[i].headers = records[i].headers_count > 0 ? reader->header_list + first : NULL;
        first += records[i].headers_count;
    }
}

static void pass(struct reading *reading, int64_t offset)
{
    if (offset > reading->at->offset)
        reading->at->offset = offset;
}

/* How many records are in messages from..messages_count - 1; stops at what breaks the reader. */
static uint32_t take_messages(struct kafka_reader *reader, struct record *records)
{
    uint32_t count = 0;
    struct reading *reading = NULL;
    for (uint32_t i = 0; i < reader->messages_count && reader->broken.code == ERRCODE_NONE; i++) {
        const rd_kafka_message_t *message = reader->messages[i];
        if ((uint32_t)message->partition >= reader->by_partition_count ||
            reader->by_partition[message->partition] == UINT32_MAX)
            continue; /* of the topic as such: the watcher sees it too */
        reading = &reader->readings[reader->by_partition[message->partition]];
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            pass(reading, message->offset);
            reading->comparing = false;
        } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            take_error(reader, reading, message);
            continue;
        } else if (reading->comparing && !compare(reader, reading, message)) {
            break;
        } else if (message->offset >= reading->at->offset) {
            fill_record(reader, message, &records[count]);
            reading->newest = message;
            if (records[count].timestamp_us > reading->greatest_time_us)
                reading->greatest_time_us = records[count].timestamp_us;
            reading->at->offset = message->offset + 1;
            reading->at->seen_offset = message->offset;
            reading->at->seen_time_us = records[count++].timestamp_us;
        }
        if (reader->trouble.code != ERRCODE_NONE && reader->trouble_partition == message->partition)
            reader->trouble.code = ERRCODE_NONE;
    }
    return count;
}

/* What tells this topic from another one of its name, of the last record of some. */
static void remember_newest(struct reading *reading)
{
    struct kafka_partition *partition = reading->partition;
    reading->hashed_offset = reading->newest->offset;
    reading->hash = record_hash(reading->newest);
    if (atomic_load_explicit(&partition->mark_state, memory_order_acquire) != KAFKA_MARK_WANTED ||
        reading->greatest_time_us == INT64_MIN)
        return;
    partition->given =
        (struct kafka_mark){.offset = reading->newest->offset, .time_us = reading->greatest_time_us};
    atomic_store_explicit(&partition->mark_state, KAFKA_MARK_GIVEN, memory_order_release);
}

static void publish_positions(struct kafka_reader *reader)
{
    for (uint32_t i = 0; i < reader->count; i++) {
        struct kafka_partition *partition = reader->readings[i].partition;
        if (reader->readings[i].newest != NULL)
            remember_newest(&reader->readings[i]);
        reader->readings[i].newest = NULL;
        int64_t offset = reader->passed[i].offset;
        atomic_store_explicit(&partition->position, offset, memory_order_relaxed);
        if (atomic_load_explicit(&partition->high, memory_order_relaxed) < offset)
            atomic_store_explicit(&partition->high, offset, memory_order_relaxed);
    }
}

/* Sees to it that librdkafka fetches on before the queue is empty, when it has stopped because that was full. */
static void watch_queue(struct kafka_reader *reader, const struct record *records, uint32_t count)
{
    const struct kafka_log *log = reader->log;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += records[i].key_len + records[i].value_len;
    if (count > 0)
        reader->record_bytes = (3 * reader->record_bytes + bytes / count) / 4;
    uint64_t room = log->queue_bytes / (reader->record_bytes + 1);
    room = room < log->queue_messages ? room : log->queue_messages;
    uint64_t queued = rd_kafka_queue_length(reader->queue);
    if (queued + reader->messages_count >= room / 4 * 3)
        reader->was_full = true;
    if (reader->was_full && queued <= room / 2) {
        reader->was_full = false;
        kafka_watch_nudge(reader->log);
    }
}

/* Up to records_max records; 0: the queue is empty or the reader broken. */
static uint32_t take_records(struct kafka_reader *reader, uint32_t records_max)
{
    if (reader->messages_cap < records_max) {
        reader->messages = mem_realloc(reader->messages, sizeof(reader->messages[0]) * records_max);
        reader->records = mem_realloc(reader->records, sizeof(reader->records[0]) * records_max);
        reader->messages_cap = records_max;
    }
    for (;;) {
        ssize_t got = rd_kafka_consume_batch_queue(reader->queue, 0, reader->messages, records_max);
        reader->messages_count = got > 0 ? (uint32_t)got : 0;
        if (reader->messages_count > 0 && check_again(reader)) {
            release_messages(reader);
            continue;
        }
        uint32_t count = take_messages(reader, reader->records);
        if (reader->messages_count > 0) {
            publish_positions(reader);
            watch_queue(reader, reader->records, count);
        }
        if (count > 0 || reader->messages_count < records_max || reader->broken.code != ERRCODE_NONE)
            return count;
        release_messages(reader); /* only ends of partitions and the like: there may be more behind them */
    }
}

/* What the watcher has found out since the last look. */
static void see_changes(struct kafka_reader *reader)
{
    struct kafka_log *log = reader->log;
    uint32_t changes = atomic_load(&log->changes);
    if (changes == reader->changes_seen)
        return;
    reader->changes_seen = changes;
    pthread_mutex_lock(&log->lock);
    if (reader->broken.code == ERRCODE_NONE && log->failure.code != ERRCODE_NONE)
        reader->broken = log->failure; /* also when there is more to read */
    pthread_mutex_unlock(&log->lock);
    (void)check_again(reader);
    if (reader->asking_count > 0)
        settle_all(reader);
}

/* What there is to say when there are no records. */
static bool is_well(struct kafka_reader *reader, struct error *err)
{
    struct kafka_log *log = reader->log;
    if (reader->broken.code != ERRCODE_NONE) {
        *err = reader->broken;
        return false;
    }
    pthread_mutex_lock(&log->lock);
    bool well = log->failure.code == ERRCODE_NONE && log->status.code == ERRCODE_NONE;
    if (!well)
        *err = log->failure.code != ERRCODE_NONE ? log->failure : log->status;
    pthread_mutex_unlock(&log->lock);
    if (well && reader->trouble.code != ERRCODE_NONE) {
        *err = reader->trouble;
        return false;
    }
    return well;
}

bool kafka_poll(struct partitioned_reader *base, uint32_t records_max, const struct record **out,
                uint32_t *count, const struct partition_position **passed, uint32_t *passed_count,
                struct error *err)
{
    struct kafka_reader *reader = (struct kafka_reader *)base;
    CHECK(records_max > 0);
    release_messages(reader);
    see_changes(reader);
    *count = reader->broken.code == ERRCODE_NONE ? take_records(reader, records_max) : 0;
    if (reader->headers)
        link_headers(reader, reader->records, *count);
    *out = reader->records;
    *passed = reader->passed;
    *passed_count = reader->count;
    return *count > 0 || is_well(reader, err);
}
