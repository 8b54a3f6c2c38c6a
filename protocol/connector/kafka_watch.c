/* kafka_watch.c: the watcher of a topic: whether its brokers answer, which partitions it has, where they begin and end, and
 * whether it still is the same one.
 *
 * librdkafka 2.0 knows no topic ids. That a topic was made anew is told by what follows from it:
 * - It has fewer partitions, or one ends before the place where its reader stands.
 * - A leader refuses a partition while there is none of that name. librdkafka keeps that for itself, but for a line of its debugging log, and
 *   reads on when there is one again; we hear of it (kafka_watch_noticed), and the reader first reads the record seen last once more
 *   (kafka_reader.c). So it is when brokers were gone, and when a partition seems to have become shorter.
 * - Old offsets hold younger records. A mark is a record of which the brokers have said that none before it is younger. What is in a topic does
 *   not change, so when they name one at or before it later on, it is in another topic. This is asked every second, and sees what
 *   else nobody has. */
#include "protocol/connector/kafka_log.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"

#include <string.h>

#define SECOND_NS      INT64_C(1000000000)
#define FIRST_MS       500              /* how long to wait for an answer, */
#define SECOND_MS      1500             /* the second time that it is asked for, */
#define ANSWER_MS      4500             /* and at last */
#define ANSWER_GONE_MS 2000             /* while it is known that brokers are gone */
#define GONE_AFTER_NS  (10 * SECOND_NS) /* a broker that starts may not know its topics yet */
#define CONFIRMATIONS  3u               /* answers in a row before a reader is told that its place is gone */

struct watch {
    struct kafka_log *log;
    struct arena arena; /* of one look */
    int64_t next_topic_ns, next_offsets_ns;
    int64_t unknown_since_ns; /* 0: the topic is known */
    uint32_t fewer_count;     /* answers in a row with fewer partitions than are read */
    uint32_t silent_count;    /* questions in a row without an answer */
    bool soon;                /* something is wrong: look again in a second */
    struct error status, failure;
    uint32_t present;         /* partitions by the last metadata */
    bool *led;                /* of them */
    bool was_troubled;        /* the last look had a status */
    uint64_t suspicions_told; /* of the log's */
    int64_t next_marks_ns;
};

bool kafka_offsets_at(struct kafka_log *log, rd_kafka_topic_partition_list_t *list, int64_t at,
                      int timeout_ms, rd_kafka_resp_err_t *failed)
{
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = at;
    *failed = rd_kafka_offsets_for_times(log->rk, list, timeout_ms);
    return *failed == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- errors that librdkafka reports ---- */

void kafka_watch_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct kafka_client *client = opaque;
    struct kafka_log *log = client->owner;
    pthread_mutex_lock(&log->lock);
    kafka_note_error(client, err, reason, &log->broker);
    log->all_down = log->all_down || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    pthread_mutex_unlock(&log->lock);
}

void kafka_watch_noticed(void *owner, const char *facility)
{
    struct kafka_log *log = owner;
    if (strcmp(facility, "BROKERUA") == 0)
        atomic_fetch_add(&log->suspicions, 1);
}

static void something_reported(rd_kafka_t *rk, void *opaque)
{
    struct kafka_log *log = opaque;
    pthread_mutex_lock(&log->lock);
    log->asked = true;
    pthread_cond_broadcast(&log->cond);
    pthread_mutex_unlock(&log->lock);
}

void kafka_watch_nudge(struct kafka_log *log)
{
    pthread_mutex_lock(&log->lock);
    log->nudged = true;
    pthread_cond_broadcast(&log->cond);
    pthread_mutex_unlock(&log->lock);
}

uint64_t kafka_watch_ask(struct kafka_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t number = ++log->asks;
    log->asked = true;
    pthread_cond_broadcast(&log->cond);
    pthread_mutex_unlock(&log->lock);
    return number;
}

/* ---- the topic ---- */

static void set_unanswered(struct watch *watch, rd_kafka_resp_err_t failed)
{
    struct kafka_log *log = watch->log;
    pthread_mutex_lock(&log->lock);
    struct error last = log->broker;
    pthread_mutex_unlock(&log->lock);
    if (++watch->silent_count == 1 && last.code == ERRCODE_NONE)
        return; /* they are only slow, as far as anybody knows */
    enum error_code code = last.code != ERRCODE_NONE ? last.code : ERRCODE_CONNECTION_FAILURE;
    error_set(&watch->status, code, "the brokers of topic \"%s\" do not answer", log->topic);
    error_detail(&watch->status, "%s", last.code != ERRCODE_NONE ? last.message : rd_kafka_err2str(failed));
}

static void topic_is_unknown(struct watch *watch, int64_t now_ns)
{
    struct kafka_log *log = watch->log;
    int64_t patience = log->refresh_ns < GONE_AFTER_NS ? log->refresh_ns : GONE_AFTER_NS;
    watch->soon = true;
    watch->present = 0;
    if (watch->unknown_since_ns == 0)
        watch->unknown_since_ns = now_ns;
    error_set(&watch->status, ERRCODE_CONNECTION_FAILURE, "the brokers do not know topic \"%s\"", log->topic);
    if (now_ns - watch->unknown_since_ns >= patience)
        error_set(&watch->failure, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "topic \"%s\" does not exist any more", log->topic);
}

/* How many partitions readers read, by the highest. */
static uint32_t partitions_read(struct kafka_log *log)
{
    uint32_t count = 0;
    pthread_mutex_lock(&log->lock);
    for (uint32_t i = 0; i < log->partitions_count; i++) {
        if (atomic_load(&log->partitions[i]->position) >= 0)
            count = i + 1;
    }
    pthread_mutex_unlock(&log->lock);
    return count;
}

static void topic_is_known(struct watch *watch, const struct rd_kafka_metadata_topic *topic)
{
    struct kafka_log *log = watch->log;
    uint32_t count = (uint32_t)topic->partition_cnt, read = partitions_read(log);
    if (watch->unknown_since_ns != 0) { /* perhaps another topic of the same name */
        watch->unknown_since_ns = 0;
        atomic_fetch_add(&log->suspicions, 1);
    }
    watch->fewer_count = count < read ? watch->fewer_count + 1 : 0;
    watch->soon = watch->soon || count < read;
    if (watch->fewer_count >= CONFIRMATIONS)
        error_set(&watch->failure, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "topic \"%s\" has %u partitions, fewer than were read", log->topic, count);
    watch->present = count;
    watch->led = mem_realloc(watch->led, sizeof(bool) * ((size_t)count + 1));
    memset(watch->led, 0, sizeof(bool) * ((size_t)count + 1));
    if (count > 0)
        (void)kafka_partition(log, (int32_t)count - 1);
    for (int i = 0; i < topic->partition_cnt; i++) {
        const struct rd_kafka_metadata_partition *partition = &topic->partitions[i];
        bool led = partition->leader >= 0 && (uint32_t)partition->id < count;
        if (led)
            watch->led[partition->id] = true;
        else
            error_set(&watch->status, ERRCODE_CONNECTION_FAILURE,
                      "partition %d of topic \"%s\" has no leader", partition->id, log->topic);
        watch->soon = watch->soon || !led;
    }
}

bool kafka_note_cluster(struct kafka_log *log, struct error *err)
{
    char *id = rd_kafka_clusterid(log->rk, 0); /* of the last answer */
    if (id == NULL)
        return true;
    pthread_mutex_lock(&log->lock);
    if (log->cluster_id[0] == '\0' && id[0] != '\0') {
        mem_free(log->cluster_id);
        log->cluster_id = mem_strdup(id);
    }
    bool same = strcmp(log->cluster_id, id) == 0;
    pthread_mutex_unlock(&log->lock);
    if (!same) {
        error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "topic \"%s\" is in another Kafka cluster now", log->topic);
        error_detail(err, "The cluster was \"%s\" and is \"%s\".", log->cluster_id, id);
    }
    rd_kafka_mem_free(log->rk, id);
    return same;
}

static bool are_gone(struct kafka_log *log)
{
    pthread_mutex_lock(&log->lock);
    bool gone = log->broker.code != ERRCODE_NONE;
    pthread_mutex_unlock(&log->lock);
    return gone;
}

static bool hurries(struct kafka_log *log)
{
    pthread_mutex_lock(&log->lock);
    bool hurries = log->stopping || log->hurries;
    pthread_mutex_unlock(&log->lock);
    return hurries;
}

/* Asks again when an answer takes long, and in between hears what librdkafka reports: not while brokers are gone, and not at all when
 * the log is about to be closed. */
static rd_kafka_resp_err_t ask(struct watch *watch, int first_ms,
                               rd_kafka_resp_err_t (*once)(struct watch *watch, void *of, int wait_ms),
                               void *of)
{
    struct kafka_log *log = watch->log;
    const int waits_ms[] = {first_ms, SECOND_MS, ANSWER_MS};
    bool gone = are_gone(log);
    rd_kafka_resp_err_t failed = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (size_t i = 0; i < ARRAY_COUNT(waits_ms) && !hurries(log); i++) {
        failed = once(watch, of, waits_ms[i]);
        if (failed == RD_KAFKA_RESP_ERR_NO_ERROR || gone)
            break;
        rd_kafka_poll(log->rk, 0);
        gone = are_gone(log);
        if (gone)
            break;
    }
    return failed;
}

static rd_kafka_resp_err_t metadata_once(struct watch *watch, void *of, int wait_ms)
{
    const struct rd_kafka_metadata **out = of;
    return rd_kafka_metadata(watch->log->rk, 0, watch->log->rkt, out, wait_ms);
}

static rd_kafka_resp_err_t ask_metadata(struct watch *watch, const struct rd_kafka_metadata **out)
{
    bool is_known = watch->silent_count > 0 && are_gone(watch->log);
    return ask(watch, is_known ? ANSWER_GONE_MS : FIRST_MS, metadata_once, out);
}

static void look_at_topic(struct watch *watch)
{
    struct kafka_log *log = watch->log;
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t failed = ask_metadata(watch, &metadata);
    watch->present = 0;
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        watch->soon = true;
        set_unanswered(watch, failed);
        return;
    }
    watch->silent_count = 0;
    pthread_mutex_lock(&log->lock);
    log->broker.code = ERRCODE_NONE;
    log->all_down = false;
    pthread_mutex_unlock(&log->lock);
    const struct rd_kafka_metadata_topic *topic = metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
    rd_kafka_resp_err_t err = topic != NULL ? topic->err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
        topic_is_unknown(watch, clock_monotonic_ns());
    } else if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
        topic_is_known(watch, topic);
    } else {
        watch->soon = true;
        error_set(&watch->status, kafka_error_code(err), "topic \"%s\" cannot be read: %s", log->topic,
                  rd_kafka_err2str(err));
    }
    if (!kafka_note_cluster(log, &watch->failure))
        watch->soon = true;
    rd_kafka_metadata_destroy(metadata);
}

/* ---- where partitions begin and end ---- */

static rd_kafka_topic_partition_list_t *led_partitions(struct watch *watch)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)watch->present);
    for (uint32_t i = 0; i < watch->present; i++) {
        if (watch->led[i])
            rd_kafka_topic_partition_list_add(list, watch->log->topic, (int32_t)i);
    }
    return list;
}

static bool is_limit(const rd_kafka_topic_partition_t *answer)
{
    return answer->err == RD_KAFKA_RESP_ERR_NO_ERROR && answer->offset >= 0;
}

/* position: of the reader before the end was asked for. */
static void note_limits(struct watch *watch, struct kafka_partition *partition, int64_t position, int64_t low,
                        int64_t high)
{
    bool is_cut = position > high;
    partition->cut_count = is_cut ? partition->cut_count + 1 : 0;
    if (partition->cut_count >= CONFIRMATIONS && watch->failure.code == ERRCODE_NONE) {
        error_set(&watch->failure, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "topic \"%s\" was made anew or cut: partition %d ends before records that were read",
                  watch->log->topic, partition->id);
        error_detail(&watch->failure, "The partition ends at offset %lld; the next one to read was %lld.",
                     (long long)high, (long long)position);
    }
    if (low < atomic_load(&partition->low) || high < atomic_load(&partition->high))
        atomic_fetch_add(&watch->log->suspicions, 1);
    int64_t now = atomic_load(&partition->position);
    atomic_store(&partition->high, !is_cut && now > high ? now : high);
    atomic_store(&partition->low, low);
}

struct offsets {
    rd_kafka_topic_partition_list_t *list;
    int64_t at;
};

static rd_kafka_resp_err_t offsets_once(struct watch *watch, void *of, int wait_ms)
{
    const struct offsets *offsets = of;
    rd_kafka_resp_err_t failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    bool ok = kafka_offsets_at(watch->log, offsets->list, offsets->at, wait_ms, &failed);
    return ok ? RD_KAFKA_RESP_ERR_NO_ERROR : failed;
}

static bool ask_offsets(struct watch *watch, rd_kafka_topic_partition_list_t *list, int64_t at)
{
    struct offsets offsets = {list, at};
    return ask(watch, FIRST_MS, offsets_once, &offsets) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* false: some partition had no answer. */
static bool look_at_offsets(struct watch *watch)
{
    struct kafka_log *log = watch->log;
    rd_kafka_topic_partition_list_t *low = led_partitions(watch), *high = led_partitions(watch);
    int64_t *positions = ARENA_ARRAY(&watch->arena, int64_t, low->cnt);
    for (int i = 0; i < low->cnt; i++)
        positions[i] = atomic_load(&kafka_partition(log, low->elems[i].partition)->position);
    bool complete = low->cnt > 0 && ask_offsets(watch, low, RD_KAFKA_OFFSET_BEGINNING) &&
                    ask_offsets(watch, high, RD_KAFKA_OFFSET_END);
    bool answered = complete;
    for (int i = 0; answered && i < low->cnt; i++) {
        bool both = is_limit(&low->elems[i]) && is_limit(&high->elems[i]);
        complete = complete && both;
        if (both)
            note_limits(watch, kafka_partition(log, low->elems[i].partition), positions[i],
                        low->elems[i].offset, high->elems[i].offset);
    }
    rd_kafka_topic_partition_list_destroy(low);
    rd_kafka_topic_partition_list_destroy(high);
    return complete;
}

/* ---- marks ---- */

static bool has_candidate(const struct kafka_partition *partition)
{
    return atomic_load_explicit(&partition->mark_state, memory_order_acquire) == KAFKA_MARK_GIVEN;
}

static bool has_mark(const struct kafka_partition *partition)
{
    return partition->mark.offset >= 0;
}

static const struct kafka_mark *candidate_of(struct kafka_partition *partition)
{
    return &partition->given;
}

static const struct kafka_mark *mark_of(struct kafka_partition *partition)
{
    return &partition->mark;
}

/* The list keeps its times until there are answers to all of them. */
static rd_kafka_resp_err_t times_once(struct watch *watch, void *of, int wait_ms)
{
    rd_kafka_topic_partition_list_t *list = of, *answers = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t failed = rd_kafka_offsets_for_times(watch->log->rk, answers, wait_ms);
    for (int i = 0; failed == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        list->elems[i].offset = answers->elems[i].offset;
        list->elems[i].err = answers->elems[i].err;
    }
    rd_kafka_topic_partition_list_destroy(answers);
    return failed;
}

/* Asks for the first record of each partition that is younger than a mark of it. NULL: there are none, or no answer. */
static rd_kafka_topic_partition_list_t *
ask_younger(struct watch *watch, bool (*has)(const struct kafka_partition *partition),
            const struct kafka_mark *(*of)(struct kafka_partition *partition))
{
    struct kafka_log *log = watch->log;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)watch->present);
    for (uint32_t i = 0; i < watch->present; i++) {
        struct kafka_partition *partition = kafka_partition(log, (int32_t)i);
        if (watch->led[i] && has(partition))
            rd_kafka_topic_partition_list_add(list, log->topic, (int32_t)i)->offset =
                of(partition)->time_us / 1000 + KAFKA_EPOCH_2000_MS + 1;
    }
    if (list->cnt > 0 && ask(watch, FIRST_MS, times_once, list) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return list;
    rd_kafka_topic_partition_list_destroy(list);
    return NULL;
}

/* Is there a younger one, and not behind the mark? */
static bool contradicts(const rd_kafka_topic_partition_t *answer, const struct kafka_mark *mark)
{
    return is_limit(answer) && answer->offset <= mark->offset;
}

static void was_made_anew(struct watch *watch, const rd_kafka_topic_partition_t *answer)
{
    struct kafka_log *log = watch->log;
    const struct kafka_mark *mark = &kafka_partition(log, answer->partition)->mark;
    error_set(&watch->failure, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
              "topic \"%s\" was made anew: partition %d has other records than those that were read",
              log->topic, answer->partition);
    error_detail(&watch->failure,
                 "The record at offset %lld is younger than the one that was at offset %lld.",
                 (long long)answer->offset, (long long)mark->offset);
}

/* Asked twice before it is believed. */
static void check_marks(struct watch *watch)
{
    bool doubts = true;
    for (int time = 0; time < 2 && doubts && watch->failure.code == ERRCODE_NONE; time++) {
        rd_kafka_topic_partition_list_t *list = ask_younger(watch, has_mark, mark_of);
        doubts = false;
        for (int i = 0; list != NULL && i < list->cnt; i++) {
            const rd_kafka_topic_partition_t *answer = &list->elems[i];
            if (!contradicts(answer, &kafka_partition(watch->log, answer->partition)->mark))
                continue;
            if (time > 0 && watch->failure.code == ERRCODE_NONE)
                was_made_anew(watch, answer);
            doubts = true;
        }
        if (list != NULL)
            rd_kafka_topic_partition_list_destroy(list);
        if (time == 0 && doubts)
            atomic_fetch_add(&watch->log->suspicions, 1);
    }
}

/* What readers have given becomes a mark where there is nothing younger before it: an aborted record, or one from before the
 * source's start. Without one the mark of before is as good. */
static void take_marks(struct watch *watch)
{
    rd_kafka_topic_partition_list_t *list = ask_younger(watch, has_candidate, candidate_of);
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *answer = &list->elems[i];
        struct kafka_partition *partition = kafka_partition(watch->log, answer->partition);
        if (answer->err == RD_KAFKA_RESP_ERR_NO_ERROR && !contradicts(answer, &partition->given))
            partition->mark = partition->given;
        atomic_store_explicit(&partition->mark_state, KAFKA_MARK_IDLE, memory_order_release);
    }
    if (list != NULL)
        rd_kafka_topic_partition_list_destroy(list);
}

static void look_at_marks(struct watch *watch, int64_t now_ns)
{
    struct kafka_log *log = watch->log;
    check_marks(watch);
    if (watch->failure.code != ERRCODE_NONE)
        return;
    take_marks(watch);
    bool renews = now_ns >= watch->next_marks_ns;
    if (renews)
        watch->next_marks_ns = now_ns + log->refresh_ns;
    for (uint32_t i = 0; i < watch->present; i++) {
        struct kafka_partition *partition = kafka_partition(log, (int32_t)i);
        int idle = KAFKA_MARK_IDLE;
        if (renews || !has_mark(partition))
            atomic_compare_exchange_strong(&partition->mark_state, &idle, KAFKA_MARK_WANTED);
    }
}

/* ---- the thread ---- */

static void publish(struct watch *watch, uint64_t answered)
{
    struct kafka_log *log = watch->log;
    if (watch->status.code == ERRCODE_NONE && watch->was_troubled)
        atomic_fetch_add(&log->suspicions, 1);
    watch->was_troubled = watch->status.code != ERRCODE_NONE;
    uint64_t suspicions = atomic_load(&log->suspicions);
    bool is_news = watch->present > 0 && suspicions != watch->suspicions_told;
    if (is_news)
        watch->suspicions_told = suspicions;
    pthread_mutex_lock(&log->lock);
    bool changed = watch->status.code != log->status.code || is_news || answered > log->asks_seen ||
                   (watch->failure.code != ERRCODE_NONE && log->failure.code == ERRCODE_NONE);
    if (watch->status.code != ERRCODE_NONE && watch->status.code != log->status.code)
        log_write(LOG_WARNING, "kafka \"%s\": %s: %s", log->client.name, watch->status.message,
                  watch->status.detail);
    if (watch->status.code == ERRCODE_NONE && log->status.code != ERRCODE_NONE)
        log_write(LOG_INFO, "kafka \"%s\": topic \"%s\" can be read again", log->client.name, log->topic);
    log->status = watch->status;
    if (log->failure.code == ERRCODE_NONE)
        log->failure = watch->failure;
    if (answered > log->asks_seen)
        log->asks_seen = answered;
    for (uint32_t i = 0; i < log->partitions_count; i++) {
        struct kafka_partition *partition = log->partitions[i];
        bool exists =
            watch->present == 0 ? partition->exists : i < watch->present && atomic_load(&partition->low) >= 0;
        changed = changed || (exists && !partition->exists); /* it can be discovered from now on */
        partition->exists = exists;
    }
    if (changed) {
        atomic_fetch_add(&log->changes, 1);
        kafka_readers_wake(log);
    }
    pthread_mutex_unlock(&log->lock);
}

static void look(struct watch *watch, uint64_t asks, bool topic_too)
{
    int64_t now_ns = clock_monotonic_ns();
    arena_reset(&watch->arena);
    if (topic_too || watch->soon || now_ns >= watch->next_topic_ns) {
        watch->soon = false;
        error_init(&watch->status);
        look_at_topic(watch);
        watch->next_topic_ns = now_ns + watch->log->refresh_ns;
    }
    bool complete = watch->present > 0 && look_at_offsets(watch) && watch->status.code == ERRCODE_NONE;
    if (watch->present > 0)
        look_at_marks(watch, now_ns);
    watch->soon = watch->soon || !complete;
    if (!hurries(watch->log)) /* else nobody answered because nobody was asked */
        publish(watch, complete ? asks : 0);
    watch->next_offsets_ns = clock_monotonic_ns() + SECOND_NS;
}

static void *watch_thread(void *arg)
{
    struct watch watch = {.log = arg};
    struct kafka_log *log = arg;
    arena_init(&watch.arena, NULL);
    error_init(&watch.status);
    error_init(&watch.failure);
    pthread_mutex_lock(&log->lock);
    while (!log->stopping) {
        struct timespec until = {.tv_sec = watch.next_offsets_ns / SECOND_NS,
                                 .tv_nsec = watch.next_offsets_ns % SECOND_NS};
        int waited = 0;
        while (!log->stopping && !log->asked && !log->nudged && waited == 0)
            waited = pthread_cond_timedwait(&log->cond, &log->lock, &until);
        bool asked = log->asked;
        uint64_t asks = log->asks;
        log->asked = log->nudged = false;
        if (log->stopping)
            break;
        pthread_mutex_unlock(&log->lock);
        rd_kafka_poll(log->rk, 0);
        look(&watch, asks, asked);
        pthread_mutex_lock(&log->lock);
    }
    pthread_mutex_unlock(&log->lock);
    arena_release(&watch.arena);
    mem_free(watch.led);
    return NULL;
}

bool kafka_watch_start(struct kafka_log *log, struct error *err)
{
    log->events = rd_kafka_queue_get_main(log->rk);
    rd_kafka_queue_cb_event_enable(log->events, something_reported, log);
    int failed = pthread_create(&log->watcher, NULL, watch_thread, log);
    log->watching = failed == 0;
    return failed == 0 ||
           error_set(err, ERRCODE_INSUFFICIENT_RESOURCES, "could not start a thread for topic \"%s\": %s",
                     log->topic, strerror(failed));
}

void kafka_watch_stop(struct kafka_log *log)
{
    if (log->events != NULL)
        rd_kafka_queue_cb_event_enable(log->events, NULL, NULL);
    if (!log->watching)
        return;
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    pthread_cond_broadcast(&log->cond);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->watcher, NULL);
    log->watching = false;
}
