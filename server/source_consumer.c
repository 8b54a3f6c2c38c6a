/* source_consumer.c: a thread that reads partitions of a log: poll, decode, commit, with several transactions in flight.
 *
 * A transaction holds the rows, the records that were rejected, and for each partition the deletion of its row of progress and
 * the new one. The deletion must find the row as it is: so a transaction that follows one that failed fails as well, and
 * nothing is left out or taken twice. Then all of them land, and the partitions are read again from where they stand
 * durably. When the engine has refused rows (a UNIQUE constraint, say), the record is cornered with smaller and smaller
 * transactions and rejected alone; what was polled is kept for that, since asking the log again takes its time. */
#include "planner/redact.h"
#include "server/source_changes.h"
#include "server/source_log.h"
#include "server/source_parts.h"
#include "server/source_records.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define RECORDS_MAX     16384u
#define RETRY_NS        INT64_C(1000000000) /* while a disk or a registry cannot be had */
#define HOUSEKEEPING_NS INT64_C(1000000000) /* between two looks at what is not urgent */
#define TELL_AGAIN_NS   INT64_C(2000000000) /* no state goes to the log again sooner */
#define SMOOTHING       10                  /* pieces of a second, under a limit of rows per second */

struct partition_state {
    struct partition_progress staged;  /* with what is in flight; the thread's own */
    struct partition_progress durable; /* under the thread's lock */
    int64_t polled_from;               /* where it stood before the last poll */
    uint64_t lost;                     /* of the log's statistics, as far as they are counted */
};

struct consumer {
    struct source_thread thread; /* first */
    struct log_source *of;
    uint32_t number;
    struct arena arena; /* incarnations */
    struct source_records *records;
    struct partitioned_reader *reader;  /* NULL: not open */
    const char *incarnation;            /* the one that was compared last */
    struct partition_state *partitions; /* changed under the thread's lock */
    uint32_t count, cap;
    const struct record *pending; /* polled, to be decoded */
    uint32_t pending_count;
    const struct partition_position *passed; /* behind the last of them */
    uint32_t passed_count;
    const struct record *polled; /* all of the last poll */
    uint32_t polled_count, polled_passed_count;
    uint32_t
        records_max; /* less than RECORDS_MAX: what the engine refuses is being cornered, one transaction at a time */
    bool has_refused;
    int32_t refused_partition;
    int64_t refused_offset;
    enum error_code refused_code;
    char *refused_reason;
    int64_t housekeeping_ns;
    bool has_news;       /* offsets that the log has not been told */
    bool is_changing;    /* other columns have been asked for */
    uint64_t refusals;   /* of the source, when they were */
    struct error change; /* why */

    /* under the thread's lock */
    bool has_trouble; /* of the transaction that failed first */
    struct error trouble;
    uint32_t trouble_records;
    int32_t trouble_partition;
    int64_t trouble_offset;
    const char *state; /* what it waits for; NULL: nothing */
    const char
        *told; /* to the log, at last, and when: the first records come before brokers are known to be back */
    int64_t told_ns;
    struct error state_error;
    uint64_t rows;
    bool is_stuck; /* it has failed before a record, until the next ALTER */
    struct source_skip stuck_at;
};

/* What a transaction in flight does when it lands. */
struct sent {
    uint64_t rows;
    uint32_t records; /* and the first of them */
    int32_t partition;
    int64_t offset;
    uint32_t touched_count;
    struct {
        uint32_t number; /* in partitions */
        struct partition_progress after;
    } * touched;
};

static void landed(struct source_thread *thread, struct flight *flight, const struct error *err)
{
    struct consumer *c = (struct consumer *)thread;
    const struct sent *sent = flight->of;
    if (err == NULL) {
        c->rows += sent->rows;
        for (uint32_t i = 0; i < sent->touched_count; i++)
            c->partitions[sent->touched[i].number].durable = sent->touched[i].after;
        return;
    }
    if (!c->has_trouble ||
        (c->trouble.code == ERRCODE_SERIALIZATION_FAILURE && err->code != ERRCODE_SERIALIZATION_FAILURE)) {
        c->has_trouble = true;
        c->trouble = *err;
        c->trouble_records = sent->records;
        c->trouble_partition = sent->partition;
        c->trouble_offset = sent->offset;
    }
    thread->woken = true;
}

static void wake(void *ctx)
{
    source_thread_wake(ctx);
}

/* ---- states ---- */

static void set_state(struct consumer *c, const char *state, const struct error *err)
{
    int64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&c->thread.lock);
    bool is_news =
        state != NULL && c->state != state && (c->told != state || now_ns >= c->told_ns + TELL_AGAIN_NS);
    c->state = state;
    if (is_news) {
        c->told = state;
        c->told_ns = now_ns;
    }
    if (err != NULL) {
        c->state_error = *err;
        redact_error(c->of->source.object, &c->state_error);
    }
    pthread_mutex_unlock(&c->thread.lock);
    if (is_news)
        log_write(LOG_WARNING, "source of \"%s\" is %s: %s", relation_name(c->of->source.relation), state,
                  c->state_error.message);
}

static uint32_t partition_number(const struct consumer *c, int32_t partition)
{
    uint32_t number = 0;
    while (c->partitions[number].staged.partition != partition)
        number++;
    return number;
}

static void forget_pending(struct consumer *c)
{
    c->pending_count = 0;
    c->passed_count = 0;
    c->polled_count = 0;
}

static void close_reader(struct consumer *c)
{
    forget_pending(c);
    if (c->reader != NULL)
        c->of->class->end(c->reader);
    c->reader = NULL;
}

/* It waits for ALTER. */
static void fail(struct consumer *c, const struct error *err)
{
    struct error shown = *err;
    redact_error(c->of->source.object, &shown);
    source_thread_land(&c->thread);
    close_reader(c);
    log_write(LOG_ERROR, "source of \"%s\" failed: %s%s%s", relation_name(c->of->source.relation),
              shown.message, shown.detail[0] != '\0' ? ": " : "", shown.detail);
    if (shown.detail[0] != '\0') { /* millrace.sources has one column for both */
        size_t len = strlen(shown.message);
        snprintf(shown.message + len, sizeof(shown.message) - len, ": %s", shown.detail);
    }
    source_thread_fail(&c->thread, &shown);
    running_source_set_active(&c->of->source, false);
}

/* Everything in flight has landed: what did not become durable is to be read again. */
static void go_back(struct consumer *c)
{
    const struct partitioned_class *class = c->of->class;
    forget_pending(c);
    pthread_mutex_lock(&c->thread.lock);
    for (uint32_t i = 0; i < c->count; i++)
        c->partitions[i].staged = c->partitions[i].durable;
    pthread_mutex_unlock(&c->thread.lock);
    for (uint32_t i = 0; i < c->count && c->reader != NULL; i++) {
        struct error ignored;
        if (!class->seek(c->reader, progress_position(&c->partitions[i].staged), &ignored))
            close_reader(c); /* and open it there */
    }
}

static int64_t durable_offset(const struct consumer *c, int32_t partition)
{
    return c->partitions[partition_number(c, partition)].durable.next_offset;
}

/* Likewise, when all of that was in the last poll, whose records are still there. false: it was not. */
static bool rewind_pending(struct consumer *c)
{
    bool ok = c->polled_count > 0;
    for (uint32_t i = 0; i < c->count && ok; i++)
        ok = c->partitions[i].durable.next_offset >= c->partitions[i].polled_from;
    uint32_t first = c->polled_count;
    int64_t durable = 0;
    for (uint32_t i = 0; i < c->polled_count && ok; i++) {
        const struct record *record = &c->polled[i];
        if (i == 0 || record->partition != record[-1].partition)
            durable = durable_offset(c, record->partition);
        if (record->offset >= durable)
            first = i < first ? i : first;
        else
            ok = first == c->polled_count; /* else something behind it is durable */
    }
    if (!ok)
        return false;
    c->pending = c->polled + first;
    c->pending_count = c->polled_count - first;
    c->passed_count = c->polled_passed_count;
    pthread_mutex_lock(&c->thread.lock);
    for (uint32_t i = 0; i < c->count; i++) {
        struct partition_state *state = &c->partitions[i];
        state->lost -= (uint64_t)(state->staged.lost - state->durable.lost);
        state->staged = state->durable;
    }
    pthread_mutex_unlock(&c->thread.lock);
    return true;
}

static void set_refused(struct consumer *c, const struct error *err)
{
    c->has_refused = true;
    c->refused_partition = c->trouble_partition;
    c->refused_offset = c->trouble_offset;
    c->refused_code = err->code;
    mem_free(c->refused_reason);
    struct strbuf reason = STRBUF_INIT;
    strbuf_addf(&reason, "%s%s%s", err->message, err->detail[0] != '\0' ? ": " : "", err->detail);
    c->refused_reason = mem_strdup(strbuf_text(&reason));
    strbuf_release(&reason);
}

/* The rows of progress, in case somebody else has changed them. */
static void read_progress(struct consumer *c)
{
    struct partition_progress *rows;
    uint32_t count;
    struct arena arena;
    arena_init(&arena, NULL);
    progress_read(c->of->source.server, c->of->progress, &arena, &rows, &count);
    pthread_mutex_lock(&c->thread.lock);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t p = 0; p < c->count; p++)
            if (c->partitions[p].durable.partition == rows[i].partition) {
                c->partitions[p].durable = rows[i];
                c->partitions[p].durable.incarnation = arena_strdup(&c->arena, rows[i].incarnation);
            }
    pthread_mutex_unlock(&c->thread.lock);
    arena_release(&arena);
}

static bool is_violation(enum error_code code)
{
    const char *sqlstate = error_sqlstate(code);
    return strncmp(sqlstate, "23", 2) == 0 || strncmp(sqlstate, "22", 2) == 0;
}

/* A transaction has failed. */
static void recover(struct consumer *c)
{
    source_thread_land(&c->thread);
    pthread_mutex_lock(&c->thread.lock);
    struct error error = c->trouble;
    c->has_trouble = false;
    pthread_mutex_unlock(&c->thread.lock);
    bool waits = false;
    if (is_violation(error.code)) {
        c->records_max = c->trouble_records > 1 ? c->trouble_records / 2 : 1;
        if (c->trouble_records == 1)
            set_refused(c, &error);
    } else if (error.code == ERRCODE_DISK_FULL || error.code == ERRCODE_IO_ERROR ||
               error.code == ERRCODE_OUT_OF_MEMORY || error.code == ERRCODE_INSUFFICIENT_RESOURCES) {
        set_state(c, "waiting for space", &error);
        waits = true;
    } else if (error.code == ERRCODE_SERIALIZATION_FAILURE) {
        read_progress(c);
    } else {
        fail(c, &error);
    }
    if (!is_violation(error.code) || !rewind_pending(c))
        go_back(c);
    if (waits)
        source_thread_wait(&c->thread, clock_monotonic_ns() + RETRY_NS);
}

/* ---- partitions ---- */

static void add_partition(struct consumer *c, const struct partition_progress *progress)
{
    pthread_mutex_lock(&c->thread.lock);
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 8;
        c->partitions = mem_realloc(c->partitions, sizeof(*c->partitions) * c->cap);
    }
    struct partition_state *state = &c->partitions[c->count++];
    *state = (struct partition_state){.staged = *progress, .durable = *progress};
    state->staged.incarnation = state->durable.incarnation = arena_strdup(&c->arena, progress->incarnation);
    pthread_mutex_unlock(&c->thread.lock);
}

/* Partitions of the thread that are new begin with a row of progress; the reader is opened again with them. */
static void discover(struct consumer *c)
{
    struct log_source *s = c->of;
    struct arena arena;
    struct partition_position *found;
    uint32_t found_count, own_count = 0;
    arena_init(&arena, NULL);
    int32_t *known = ARENA_ARRAY(&arena, int32_t, c->count + 1);
    for (uint32_t i = 0; i < c->count; i++)
        known[i] = c->partitions[i].staged.partition;
    s->class->discover(s->log, known, c->count, &arena, &found, &found_count);
    struct batch *rows = progress_batch(&arena, found_count + 1);
    struct partition_progress *own = ARENA_ARRAY(&arena, struct partition_progress, found_count + 1);
    for (uint32_t i = 0; i < found_count; i++) {
        if ((uint32_t)found[i].partition % s->consumers_count != c->number)
            continue;
        own[own_count] = progress_at(&found[i], s->class->incarnation(s->log));
        progress_append(rows, &own[own_count++], 1);
    }
    if (own_count > 0) {
        struct txn_change *changes = ARENA_ARRAY(&arena, struct txn_change, own_count + 1);
        struct engine_txn txn = {.changes_count = 1, .changes = changes, .is_patient = true};
        changes[0] = (struct txn_change){.relation = s->progress, .rows = rows};
        if (s->splits)
            source_log_expect(s->log, s->source.relation, own, own_count, &arena, changes,
                              &txn.changes_count);
        uint64_t epoch;
        struct error error;
        source_thread_land(&c->thread);
        close_reader(c);
        if (engine_commit(s->source.server->engine, &txn, NULL, &epoch, &error)) {
            for (uint32_t i = 0; i < own_count; i++)
                add_partition(c, &own[i]);
            log_write(LOG_INFO, "source of \"%s\" has found %u more partitions",
                      relation_name(s->source.relation), own_count);
        }
        go_back(c);
    }
    arena_release(&arena);
}

/* Other offsets than before: those that are kept mean nothing. */
static bool check_incarnation(struct consumer *c, struct error *err)
{
    const char *now = c->of->class->incarnation(c->of->log);
    if (now[0] == '\0' || (c->incarnation != NULL && strcmp(now, c->incarnation) == 0))
        return true;
    for (uint32_t i = 0; i < c->count; i++) {
        const char *before = c->partitions[i].staged.incarnation;
        if (before[0] == '\0' || strcmp(before, now) == 0)
            continue;
        error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "the log of source \"%s\" is another one than before",
                  relation_name(c->of->source.relation));
        error_detail(err, "It was read from %s and is now %s.", before, now);
        return error_hint(err, "Drop the source and create it again.");
    }
    c->incarnation = arena_strdup(&c->arena, now);
    return true;
}

static bool open_reader(struct consumer *c, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct partition_position *positions = ARENA_ARRAY(&arena, struct partition_position, c->count);
    for (uint32_t i = 0; i < c->count; i++)
        positions[i] = progress_position(&c->partitions[i].staged);
    struct partitioned_read read = {.positions = positions,
                                    .count = c->count,
                                    .headers = source_records_want_headers(c->records),
                                    .wake = wake,
                                    .wake_ctx = c};
    bool ok = c->of->class->read(c->of->log, &read, &c->reader, err);
    arena_release(&arena);
    return ok;
}

static void housekeep(struct consumer *c, int64_t now_ns)
{
    struct log_source *s = c->of;
    c->housekeeping_ns = now_ns + HOUSEKEEPING_NS;
    discover(c);
    struct arena arena;
    arena_init(&arena, NULL);
    struct partition_position *positions = ARENA_ARRAY(&arena, struct partition_position, c->count + 1);
    pthread_mutex_lock(&c->thread.lock);
    c->has_news = false;
    for (uint32_t i = 0; i < c->count; i++) {
        positions[i] = progress_position(&c->partitions[i].durable);
        c->has_news |= positions[i].offset != c->partitions[i].staged.next_offset;
    }
    pthread_mutex_unlock(&c->thread.lock);
    if (c->count > 0)
        s->class->committed(s->log, positions, c->count);
    arena_release(&arena);
}

/* ---- other columns ---- */

/* The schema of records is another one. Asks for other columns when the policy wants them: then the source is stopped, and begins again with them. */
static void change_columns(struct consumer *c, const struct error *why)
{
    struct log_source *s = c->of;
    const struct format_change *wanted;
    uint32_t count = source_records_changes(c->records, &wanted);
    if (count == 0) {
        fail(c, why);
        return;
    }
    pthread_mutex_lock(&s->lock);
    c->refusals = s->refusals;
    pthread_mutex_unlock(&s->lock);
    c->is_changing = true;
    c->change = *why;
    set_state(c, "waiting for its columns to be changed", why);
    source_thread_land(&c->thread);
    source_changes_ask(sources_changes(s->source.server->running_sources), s->source.object, wanted, count);
}

/* Until the columns have been changed, by which it ends, or it is known that they cannot be. */
static void wait_for_change(struct consumer *c)
{
    struct log_source *s = c->of;
    struct error refusal;
    error_init(&refusal);
    pthread_mutex_lock(&s->lock);
    if (s->refusals != c->refusals)
        refusal = s->refusal;
    pthread_mutex_unlock(&s->lock);
    if (refusal.code == ERRCODE_NONE) {
        source_thread_wait(&c->thread, INT64_MAX);
        return;
    }
    struct error error;
    error_set(&error, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "%s", c->change.message);
    error_detail(&error, "The columns could not be changed: %s", refusal.message);
    c->is_changing = false;
    set_state(c, NULL, NULL);
    fail(c, &error);
    go_back(c);
}

/* ---- one transaction ---- */

/* Where the partitions stand behind some records, as far as they have moved. */
struct step {
    struct consumer *c;
    struct arena *arena;
    struct sent *sent;
    uint32_t *touched_at; /* per partition; UINT32_MAX: not touched */
    int64_t clock_us;
};

static struct partition_progress *touch(struct step *step, uint32_t number)
{
    struct consumer *c = step->c;
    struct sent *sent = step->sent;
    if (step->touched_at[number] == UINT32_MAX) {
        step->touched_at[number] = sent->touched_count;
        sent->touched[sent->touched_count].number = number;
        struct partition_progress *after = &sent->touched[sent->touched_count++].after;
        *after = c->partitions[number].staged;
        after->updated_us = step->clock_us;
        if (after->incarnation[0] == '\0' && c->incarnation != NULL)
            after->incarnation = c->incarnation;
    }
    return &sent->touched[step->touched_at[number]].after;
}

/* Offsets without a record: some of them the log no longer had. */
static void pass_gap(struct step *step, uint32_t number, struct partition_progress *after, int64_t to)
{
    struct log_source *s = step->c->of;
    struct partition_state *state = &step->c->partitions[number];
    int64_t gap = to - after->next_offset, lost = 0;
    struct partition_stats *stats;
    if (gap <= 0)
        return;
    uint32_t count = s->class->stats(s->log, step->arena, &stats);
    for (uint32_t i = 0; i < count; i++) {
        if (stats[i].partition != after->partition || stats[i].lost <= state->lost)
            continue;
        lost = (int64_t)(stats[i].lost - state->lost);
        lost = lost < gap ? lost : gap;
        state->lost += (uint64_t)lost;
    }
    after->lost += lost;
    after->absent += gap - lost;
    after->next_offset = to;
}

static void step_over(struct step *step, const struct record *records, const struct decoded_records *decoded,
                      bool counts_errors)
{
    uint32_t next_rejected = 0, number = 0;
    for (uint32_t i = 0; i < decoded->taken; i++) {
        const struct record *record = &records[i];
        if (i == 0 || record->partition != records[i - 1].partition)
            number = partition_number(step->c, record->partition);
        struct partition_progress *after = touch(step, number);
        pass_gap(step, number, after, record->offset);
        after->next_offset = record->offset + 1;
        after->last_offset = record->offset;
        after->last_time_us = record->timestamp_us;
        if (next_rejected < decoded->rejected_count && decoded->rejected[next_rejected].record == i) {
            bool skips = counts_errors || decoded->rejected[next_rejected++].code == ERRCODE_NONE;
            next_rejected += counts_errors;
            *(skips ? &after->skipped : &after->rejected) += 1;
        } else {
            after->accepted++;
        }
    }
}

/* Behind the last record polled: what there is that is no record. */
static void step_to_passed(struct step *step)
{
    struct consumer *c = step->c;
    for (uint32_t i = 0; i < c->passed_count; i++) {
        const struct partition_position *passed = &c->passed[i];
        uint32_t number = partition_number(c, passed->partition);
        int64_t stands_at = step->touched_at[number] == UINT32_MAX
                                ? c->partitions[number].staged.next_offset
                                : step->sent->touched[step->touched_at[number]].after.next_offset;
        if (passed->offset <= stands_at)
            continue;
        struct partition_progress *after = touch(step, number);
        pass_gap(step, number, after, passed->offset);
        after->last_offset = passed->seen_offset;
        after->last_time_us = passed->seen_time_us;
    }
}

static struct batch *errors_batch(struct step *step, const struct record *records,
                                  const struct decoded_records *decoded)
{
    const struct sql_type *types;
    uint32_t columns_count = relation_columns(step->c->of->errors, &types);
    struct batch *rows = batch_create(step->arena, types, columns_count, decoded->rejected_count);
    for (uint32_t i = 0; i < decoded->rejected_count; i++) {
        const struct rejected_record *rejected = &decoded->rejected[i];
        const struct record *record = &records[rejected->record];
        if (rejected->code == ERRCODE_NONE)
            continue;
        const char *sqlstate = error_sqlstate(rejected->code);
        struct datum values[ERRORS_COLUMNS] = {
            [ERRORS_PARTITION] = datum_i32(record->partition),
            [ERRORS_OFFSET] = datum_i64(record->offset),
            [ERRORS_TIMESTAMP] =
                record->timestamp_us != INT64_MIN ? datum_i64(record->timestamp_us) : datum_null(),
            [ERRORS_KEY] = record->key != NULL
                               ? datum_text(step->arena, (const char *)record->key, record->key_len)
                               : datum_null(),
            [ERRORS_VALUE] = record->value != NULL
                                 ? datum_text(step->arena, (const char *)record->value, record->value_len)
                                 : datum_null(),
            [ERRORS_SQLSTATE] = datum_text(step->arena, sqlstate, strlen(sqlstate)),
            [ERRORS_REASON] = datum_text(step->arena, rejected->reason, strlen(rejected->reason)),
            [ERRORS_REJECTED_AT] = datum_i64(step->clock_us),
        };
        batch_append_datums(rows, values, 1);
    }
    return rows;
}

static struct batch *gather_rows(struct arena *arena, const struct batch *rows, const uint32_t *numbers,
                                 uint32_t count)
{
    struct batch *piece = batch_header(arena, rows->columns_count);
    piece->rows = count;
    for (uint32_t c = 0; c < rows->columns_count; c++)
        column_gather(&piece->columns[c], &rows->columns[c], numbers, count, arena);
    if (rows->weights != NULL)
        piece->weights = arena_alloc(arena, sizeof(int64_t) * count);
    for (uint32_t i = 0; i < count && rows->weights != NULL; i++)
        piece->weights[i] = rows->weights[numbers[i]];
    return piece;
}

/* The rows of each partition, for a watermark that is one per partition. */
static uint32_t split_rows(struct step *step, const struct record *records,
                           const struct decoded_records *decoded, struct txn_change *changes)
{
    struct arena *arena = step->arena;
    struct batch *rows = decoded->rows;
    uint32_t touched = step->sent->touched_count, count = 0;
    uint32_t *ends = ARENA_ARRAY(arena, uint32_t, touched + 1);
    uint32_t *of = arena_alloc(arena, sizeof(*of) * (rows->rows + 1));
    uint32_t *numbers = arena_alloc(arena, sizeof(*numbers) * (rows->rows + 1));
    int32_t partition = -1;
    for (uint32_t row = 0, t = 0; row < rows->rows; row++) {
        int32_t now = records[decoded->record_of[row]].partition;
        if (now != partition)
            t = step->touched_at[partition_number(step->c, now)];
        partition = now;
        of[row] = t;
        ends[t + 1]++;
    }
    for (uint32_t t = 0; t < touched; t++)
        ends[t + 1] += ends[t];
    for (uint32_t row = 0; row < rows->rows; row++)
        numbers[ends[of[row]]++] = row; /* and then ends[t] is where t's end */
    for (uint32_t t = 0, first = 0; t < touched; first = ends[t++]) {
        uint32_t own = ends[t] - first;
        if (own > 0)
            changes[count++] = (struct txn_change){
                .rows = own == rows->rows ? rows : gather_rows(arena, rows, numbers + first, own),
                .has_partition = true,
                .partition = step->sent->touched[t].after.partition};
    }
    return count;
}

/* What was taken of the records, as one transaction. is_last: nothing of what was polled is left. */
static void send_records(struct consumer *c, struct flight *flight, const struct record *records,
                         const struct decoded_records *decoded, bool is_last, bool keeps_errors,
                         int64_t clock_us)
{
    struct log_source *s = c->of;
    struct arena *arena = &flight->arena;
    struct sent *sent = ARENA_NEW(arena, struct sent);
    struct step step = {.c = c, .arena = arena, .sent = sent, .clock_us = clock_us};
    sent->touched = arena_alloc(arena, sizeof(*sent->touched) * c->count);
    step.touched_at = arena_alloc(arena, sizeof(uint32_t) * c->count);
    memset(step.touched_at, 0xFF, sizeof(uint32_t) * c->count);
    sent->records = decoded->taken;
    if (decoded->taken > 0) {
        sent->partition = records[0].partition;
        sent->offset = records[0].offset;
    }
    step_over(&step, records, decoded, !keeps_errors);
    if (is_last)
        step_to_passed(&step);
    if (sent->touched_count == 0) {
        source_thread_give(&c->thread, flight);
        return;
    }
    struct txn_change *changes = ARENA_ARRAY(arena, struct txn_change, sent->touched_count + 2);
    uint32_t count = 0;
    if (decoded->rows != NULL && decoded->rows->rows > 0) {
        sent->rows = decoded->rows->rows;
        if (s->splits)
            count = split_rows(&step, records, decoded, changes);
        else
            changes[count++] = (struct txn_change){.rows = decoded->rows};
        for (uint32_t i = 0; i < count; i++) {
            changes[i].relation = s->source.relation;
            changes[i].replaces = source_records_replace(c->records);
        }
        running_source_note_times(&s->source, decoded->rows);
    }
    if (keeps_errors && decoded->rejected_count > 0) /* a record that is read a second time replaces itself */
        changes[count++] = (struct txn_change){
            .relation = s->errors, .rows = errors_batch(&step, records, decoded), .replaces = true};
    struct batch *progress = progress_batch(arena, 2 * sent->touched_count);
    for (uint32_t i = 0; i < sent->touched_count; i++) {
        struct partition_progress *staged = &c->partitions[sent->touched[i].number].staged;
        progress_append(progress, staged, -1);
        progress_append(progress, &sent->touched[i].after, 1);
        *staged = sent->touched[i].after;
    }
    changes[count++] = (struct txn_change){.relation = s->progress, .rows = progress};
    c->has_news = true;
    flight->of = sent;
    flight->txn = (struct engine_txn){.changes_count = count, .changes = changes, .is_patient = true};
    source_thread_send(&c->thread, s->source.server->engine, flight);
}

static void fail_at_record(struct consumer *c, const struct record *record, const struct error *why)
{
    struct error error;
    error_set(&error, why->code, "record at offset %lld of partition %d of \"%s\" is refused: %s",
              (long long)record->offset, record->partition, relation_name(c->of->source.relation),
              why->message);
    pthread_mutex_lock(&c->thread.lock);
    c->is_stuck = true;
    c->stuck_at = (struct source_skip){record->partition, record->offset};
    pthread_mutex_unlock(&c->thread.lock);
    fail(c, &error);
}

/* Decodes and sends the next of what was polled. */
static void work(struct consumer *c, struct flight *flight, const struct source_log_settings *settings)
{
    struct decode_rules rules = {.stops_at_error = settings->on_error == SOURCE_FAIL,
                                 .skips = settings->skips,
                                 .has_refused = c->has_refused,
                                 .refused_partition = c->refused_partition,
                                 .refused_offset = c->refused_offset,
                                 .refused_code = c->refused_code,
                                 .refused_reason = c->refused_reason};
    struct decoded_records decoded = {0};
    int64_t clock_us = clock_now_us(), cpu_ns = clock_thread_cpu_ns();
    const struct record *records = c->pending;
    uint32_t count = c->pending_count < c->records_max ? c->pending_count : c->records_max;
    if (count > 0)
        source_records_decode(c->records, records, count, &rules, clock_us, &flight->arena, &decoded);
    source_thread_add_cpu(&c->thread, clock_thread_cpu_ns() - cpu_ns);
    for (uint32_t i = 0; i < decoded.taken && c->has_refused; i++)
        if (records[i].partition == c->refused_partition && records[i].offset == c->refused_offset)
            c->has_refused = false;
    c->pending += decoded.taken;
    c->pending_count -= decoded.taken;
    struct error why = decoded.why;
    const struct record *stopped_at = records + decoded.taken;
    send_records(c, flight, records, &decoded, c->pending_count == 0,
                 settings->on_error == SOURCE_DEAD_LETTER, clock_us);
    if (c->pending_count == 0)
        c->passed_count = 0;
    if (count == 0)
        return;
    if (settings->rows_per_second > 0) {
        pthread_mutex_lock(&c->of->lock);
        int64_t now_ns = clock_monotonic_ns();
        c->of->next_read_ns = (c->of->next_read_ns > now_ns ? c->of->next_read_ns : now_ns) +
                              (int64_t)((double)decoded.taken * 1e9 / (double)settings->rows_per_second);
        pthread_mutex_unlock(&c->of->lock);
    }
    if (why.code == ERRCODE_CONNECTION_FAILURE) {
        set_state(c, "waiting for schema registry", &why);
        source_thread_wait(&c->thread, clock_monotonic_ns() + RETRY_NS);
    } else if (why.code == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE) {
        change_columns(c, &why);
        go_back(c);
    } else if (why.code != ERRCODE_NONE) {
        fail_at_record(c, stopped_at, &why);
        go_back(c);
    } else {
        set_state(c, NULL, NULL);
    }
    if (c->records_max < RECORDS_MAX) { /* one at a time, until it is known what the engine says */
        source_thread_land(&c->thread);
        pthread_mutex_lock(&c->thread.lock);
        if (!c->has_trouble)
            c->records_max = c->records_max < RECORDS_MAX / 2 ? c->records_max * 2 : RECORDS_MAX;
        pthread_mutex_unlock(&c->thread.lock);
    }
}

/* ---- the thread ---- */

/* Waits until the limit of rows per second lets it read, and says how many records at once. 0: look again. */
static uint32_t limit_records(struct consumer *c, const struct source_log_settings *settings)
{
    if (settings->rows_per_second == 0)
        return c->records_max;
    pthread_mutex_lock(&c->of->lock);
    int64_t next_ns = c->of->next_read_ns;
    pthread_mutex_unlock(&c->of->lock);
    if (next_ns > clock_monotonic_ns()) {
        source_thread_wait(&c->thread, next_ns);
        return 0;
    }
    int64_t most = settings->rows_per_second / SMOOTHING;
    most = most > 1 ? most : 1;
    return most < c->records_max ? (uint32_t)most : c->records_max;
}

/* Asks the reader for more. false: it waited, or has failed. */
static bool poll(struct consumer *c, uint32_t records_max)
{
    const struct partitioned_class *class = c->of->class;
    struct error error;
    error_init(&error);
    if (!check_incarnation(c, &error) || (c->reader == NULL && !open_reader(c, &error))) {
        fail(c, &error);
        return false;
    }
    int64_t cpu_ns = clock_thread_cpu_ns();
    bool ok = class->poll(c->reader, records_max, &c->pending, &c->pending_count, &c->passed,
                          &c->passed_count, &error);
    source_thread_add_cpu(&c->thread, clock_thread_cpu_ns() - cpu_ns);
    if (ok) {
        c->polled = c->pending;
        c->polled_count = c->pending_count;
        c->polled_passed_count = c->passed_count;
        for (uint32_t i = 0; i < c->count; i++)
            c->partitions[i].polled_from = c->partitions[i].staged.next_offset;
        return true;
    }
    forget_pending(c);
    if (error.code == ERRCODE_CONNECTION_FAILURE ||
        error.code == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION ||
        error.code == ERRCODE_INSUFFICIENT_PRIVILEGE) {
        set_state(c, "waiting for broker", &error);
        source_thread_wait(&c->thread, INT64_MAX);
    } else {
        fail(c, &error);
    }
    return false;
}

static bool has_passed_more(const struct consumer *c)
{
    for (uint32_t i = 0; i < c->passed_count; i++)
        if (c->passed[i].offset >
            c->partitions[partition_number(c, c->passed[i].partition)].staged.next_offset)
            return true;
    return false;
}

static void turn(struct consumer *c, const struct source_log_settings *settings)
{
    pthread_mutex_lock(&c->thread.lock);
    bool has_trouble = c->has_trouble;
    pthread_mutex_unlock(&c->thread.lock);
    if (has_trouble) {
        recover(c);
        return;
    }
    if (c->is_changing) {
        wait_for_change(c);
        return;
    }
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns >= c->housekeeping_ns)
        housekeep(c, now_ns);
    if (c->count == 0) { /* there is no partition yet */
        source_thread_wait(&c->thread, c->housekeeping_ns);
        return;
    }
    running_source_wait_turn(&c->of->source, &c->thread);
    uint32_t records_max = limit_records(c, settings);
    if (records_max == 0)
        return;
    if (c->pending_count == 0 && !poll(c, records_max))
        return;
    if (c->pending_count == 0 && !has_passed_more(c)) {
        set_state(c, NULL, NULL);
        discover(c);
        if (c->reader != NULL) /* else it has found partitions, and begins to read them */
            source_thread_wait(&c->thread, c->has_news ? c->housekeeping_ns : INT64_MAX);
        return;
    }
    struct flight *flight = source_thread_take(&c->thread);
    if (flight != NULL)
        work(c, flight, settings);
}

static struct source_log_settings take_settings(struct log_source *s)
{
    pthread_mutex_lock(&s->lock);
    struct source_log_settings settings = s->settings;
    source_skips_retain(settings.skips);
    pthread_mutex_unlock(&s->lock);
    return settings;
}

static void *run(void *arg)
{
    struct consumer *c = arg;
    while (!source_thread_is_stopping(&c->thread)) {
        if (!source_thread_is_interrupted(&c->thread)) {
            struct source_log_settings settings = take_settings(c->of);
            turn(c, &settings);
            source_skips_release(settings.skips);
        } else if (!source_thread_wait_going(&c->thread)) {
            break;
        }
    }
    source_thread_land(&c->thread);
    close_reader(c);
    return NULL;
}

bool consumer_start(struct log_source *of, uint32_t number, const struct partition_progress *partitions,
                    uint32_t count, struct consumer **out, struct error *err)
{
    struct consumer *c = mem_zalloc(sizeof(*c));
    if (!source_records_open(of->source.server, of->source.object, &c->records, err)) {
        mem_free(c);
        return false;
    }
    c->of = of;
    c->number = number;
    c->records_max = RECORDS_MAX;
    arena_init(&c->arena, NULL);
    source_thread_init(&c->thread, &of->source.server->account, landed);
    for (uint32_t i = 0; i < count; i++)
        add_partition(c, &partitions[i]);
    c->thread.paused = of->settings.is_paused;
    source_thread_start(&c->thread, run, c);
    *out = c;
    return true;
}

void consumer_stop(struct consumer *c)
{
    source_thread_stop(&c->thread);
}

void consumer_join(struct consumer *c)
{
    source_thread_join(&c->thread);
    source_records_close(c->records);
    mem_free(c->refused_reason);
    mem_free(c->partitions);
    arena_release(&c->arena);
    mem_free(c);
}

void consumer_wake(struct consumer *c)
{
    source_thread_wake(&c->thread);
}

void consumer_alter(struct consumer *c, bool is_paused)
{
    pthread_mutex_lock(&c->thread.lock);
    c->thread.is_failed = false;
    c->is_stuck = false;
    c->thread.paused = is_paused;
    c->thread.woken = true;
    pthread_cond_broadcast(&c->thread.cond);
    pthread_mutex_unlock(&c->thread.lock);
}

static const char *error_text(struct arena *arena, const struct error *error)
{
    return error->detail[0] != '\0' ? arena_printf(arena, "%s: %s", error->message, error->detail)
                                    : arena_strdup(arena, error->message);
}

void consumer_status(struct consumer *c, struct arena *arena, struct source_status *out)
{
    pthread_mutex_lock(&c->thread.lock);
    out->rows += c->rows;
    out->poll_cpu_us += c->thread.poll_cpu_ns / 1000;
    if (c->thread.is_failed) {
        const char *error = error_text(arena, &c->thread.error);
        if (strcmp(out->state, "failed") != 0)
            out->error = error;
        else if (strstr(out->error, error) == NULL) /* those of all threads, each once */
            out->error = arena_printf(arena, "%s; %s", out->error, error);
        out->state = "failed";
    } else if (c->thread.paused && strcmp(out->state, "paused") == 0 &&
               !source_thread_has_landed(&c->thread)) {
        out->state = "pausing";
    } else if (c->state != NULL && out->error == NULL) {
        if (!c->thread.paused)
            out->state = c->state;
        out->error = error_text(arena, &c->state_error);
    }
    pthread_mutex_unlock(&c->thread.lock);
}

bool consumer_is_stuck(struct consumer *c, struct source_skip *at)
{
    pthread_mutex_lock(&c->thread.lock);
    bool is_stuck = c->thread.is_failed && c->is_stuck;
    *at = c->stuck_at;
    pthread_mutex_unlock(&c->thread.lock);
    return is_stuck;
}

uint32_t consumer_partitions(struct consumer *c, struct arena *arena, struct partition_progress **out)
{
    pthread_mutex_lock(&c->thread.lock);
    uint32_t count = c->count;
    *out = ARENA_ARRAY(arena, struct partition_progress, count + 1);
    for (uint32_t i = 0; i < count; i++)
        (*out)[i] = c->partitions[i].durable;
    pthread_mutex_unlock(&c->thread.lock);
    return count;
}
