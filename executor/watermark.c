/* watermark.c: see watermark.h.
 *
 * Partitions are leaves of a tournament tree of minima: a row that moves its partition costs O(log partitions),
 * and the stream's watermark is the root. Leaves without a row yet, and silent ones, hold INT64_MAX. */
#include "executor/watermark.h"

#include "executor/expr_program.h"
#include "storage/data/datetime.h"
#include "storage/state/hashed_table.h"

#define NO_LIMIT INT64_MAX

struct partition {
    int64_t watermark; /* WATERMARK_NONE: no value so far */
    int64_t last_us;   /* clock of its last row */
    bool is_seen;
    bool is_idle;
    uint64_t judged; /* number of the last batch that has changed it */
    uint32_t slot;   /* in `numbers` */
};

struct watermark {
    struct watermark_desc desc;
    struct arena arena; /* the declaration */
    struct account *account;
    struct eval_env env;
    struct expr_program *program;
    struct expr_run *run;
    int64_t value;
    int64_t value_of_rows; /* without what passing time has added since the last row */
    int64_t greatest;
    int64_t last_us; /* clock of the last row */
    bool is_seen;
    uint64_t rejected;
    uint64_t batches;             /* judged so far */
    struct sql_type key_type;     /* of numbers */
    struct hashed_table *numbers; /* partition's value -> uint32_t number; NULL: one partition, number 0 */
    struct partition *partitions;
    uint32_t count, cap; /* cap: a power of two */
    int64_t *tree;       /* 2 * cap: the root at 1, leaves from cap on */
};

struct undo_step {
    uint32_t number;
    struct partition before;
};

struct watermark_undo {
    int64_t value, value_of_rows, greatest, last_us;
    bool is_seen;
    struct undo_step *steps;
    uint32_t count, cap;
};

static int64_t add_clamped(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN + 1;
    return sum;
}

/* ---- partitions ---- */

static void set_leaf(struct watermark *w, uint32_t number)
{
    const struct partition *partition = &w->partitions[number];
    uint32_t at = w->cap + number;
    w->tree[at] = partition->is_seen && !partition->is_idle ? partition->watermark : NO_LIMIT;
    for (at /= 2; at >= 1; at /= 2)
        w->tree[at] = w->tree[2 * at] < w->tree[2 * at + 1] ? w->tree[2 * at] : w->tree[2 * at + 1];
}

static void grow(struct watermark *w)
{
    uint32_t cap = w->cap ? w->cap * 2 : 2;
    w->partitions = mem_realloc(w->partitions, sizeof(*w->partitions) * cap);
    w->tree = mem_realloc(w->tree, sizeof(*w->tree) * 2 * cap);
    account_charge(w->account, (int64_t)((sizeof(*w->partitions) + 2 * sizeof(*w->tree)) * (cap - w->cap)));
    w->cap = cap;
    for (uint32_t i = 0; i < 2 * cap; i++)
        w->tree[i] = NO_LIMIT;
    for (uint32_t i = 0; i < w->count; i++)
        set_leaf(w, i);
}

static uint32_t add_partition(struct watermark *w, uint32_t slot)
{
    if (w->count == w->cap)
        grow(w);
    w->partitions[w->count] = (struct partition){.watermark = WATERMARK_NONE, .slot = slot};
    return w->count++;
}

/* What of it is saved changes. */
static void touch(struct watermark *w, uint32_t number)
{
    if (w->numbers != NULL)
        hashed_table_touch(w->numbers, w->partitions[number].slot);
}

/* What the live partitions say: WATERMARK_NONE when one of them has no value yet, or all are silent. */
static int64_t lowest(const struct watermark *w)
{
    return w->tree[1] == NO_LIMIT ? WATERMARK_NONE : w->tree[1];
}

bool watermark_create(const struct watermark_desc *desc, const struct sql_type *types, uint32_t columns_count,
                      struct account *account, struct watermark **out, struct error *err)
{
    struct watermark *w = mem_zalloc(sizeof(*w));
    w->desc = *desc;
    w->account = account;
    w->value = w->value_of_rows = w->greatest = WATERMARK_NONE;
    arena_init(&w->arena, account);
    w->desc.text = arena_strdup(&w->arena, desc->text != NULL ? desc->text : "");
    w->desc.expression = expr_remap(&w->arena, (struct expr *)desc->expression, NULL);
    w->env.io = io_env_default;
    w->env.io.timezone = arena_strdup(&w->arena, desc->timezone != NULL ? desc->timezone : "UTC");
    const struct expr *expression = w->desc.expression;
    if (!expr_compile(&w->arena, &expression, 1, &w->program, err)) {
        arena_release(&w->arena);
        mem_free(w);
        return false;
    }
    w->run = expr_run_create(w->program, account);
    if (desc->partition_column >= 0 && (uint32_t)desc->partition_column < columns_count) {
        w->key_type = types[desc->partition_column];
        w->numbers = hashed_table_create(&types[desc->partition_column], 1, sizeof(uint32_t), account);
    } else if (desc->partition_column == WATERMARK_BY_SOURCE) {
        w->key_type = (struct sql_type){OID_INT4, -1};
        w->numbers = hashed_table_create(&w->key_type, 1, sizeof(uint32_t), account);
        grow(w); /* rows may come before the first partition does */
    } else {
        (void)add_partition(w, SLOT_NONE);
    }
    *out = w;
    return true;
}

void watermark_destroy(struct watermark *w)
{
    if (w == NULL)
        return;
    if (w->numbers != NULL)
        hashed_table_destroy(w->numbers);
    account_charge(w->account, -(int64_t)((sizeof(*w->partitions) + 2 * sizeof(*w->tree)) * w->cap));
    mem_free(w->partitions);
    mem_free(w->tree);
    expr_run_destroy(w->run);
    arena_release(&w->arena);
    mem_free(w);
}

int64_t watermark_value(const struct watermark *w)
{
    return w->value;
}

/* ---- time ---- */

/* All of them silent: the watermark goes on from where the last row left it. */
static int64_t value_after_silence(const struct watermark *w, int64_t clock_us)
{
    return add_clamped(w->value_of_rows, clock_us - w->last_us);
}

bool watermark_pass_time(struct watermark *w, int64_t clock_us)
{
    int64_t before = w->value;
    if (w->desc.idle_timeout_us <= 0 || !w->is_seen)
        return false;
    for (uint32_t i = 0; i < w->count; i++) {
        struct partition *partition = &w->partitions[i];
        if (partition->is_seen && !partition->is_idle &&
            clock_us - partition->last_us >= w->desc.idle_timeout_us) {
            partition->is_idle = true;
            touch(w, i);
            set_leaf(w, i);
        }
    }
    int64_t value = lowest(w);
    if (value > w->value)
        w->value = w->value_of_rows = value;
    if (w->desc.advances_when_idle && w->value_of_rows != WATERMARK_NONE &&
        clock_us - w->last_us >= w->desc.idle_timeout_us) {
        value = value_after_silence(w, clock_us);
        if (value > w->value)
            w->value = value;
    }
    return w->value != before;
}

int64_t watermark_reaches(const struct watermark *w, int64_t target)
{
    if (w->desc.idle_timeout_us <= 0 || !w->is_seen || w->value >= target)
        return INT64_MAX;
    /* the partitions that hold it back fall silent, and another one is further on */
    int64_t when = INT64_MIN;
    bool others = false;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct partition *partition = &w->partitions[i];
        if (!partition->is_seen || partition->is_idle)
            continue;
        int64_t silent = add_clamped(partition->last_us, w->desc.idle_timeout_us);
        if (partition->watermark >= target)
            others = true;
        else if (silent > when)
            when = silent;
    }
    if (others)
        return when == INT64_MIN ? INT64_MAX : when;
    if (!w->desc.advances_when_idle || w->value_of_rows == WATERMARK_NONE)
        return INT64_MAX;
    int64_t silent = add_clamped(w->last_us, w->desc.idle_timeout_us), distance;
    if (__builtin_sub_overflow(target, w->value_of_rows, &distance))
        return INT64_MAX;
    int64_t reached = add_clamped(w->last_us, distance);
    return reached > silent ? reached : silent;
}

/* ---- rows ---- */

#define NO_PARTITION UINT32_MAX

/* All rows are of one partition of the source, or of none. */
static uint32_t *source_numbers(struct watermark *w, uint32_t rows, const int32_t *partition,
                                struct arena *arena)
{
    uint32_t *numbers = arena_alloc(arena, sizeof(*numbers) * (rows + 1)), number = NO_PARTITION;
    if (partition != NULL) {
        static const uint32_t column = 0;
        uint64_t hash;
        uint32_t slot;
        uint8_t inserted;
        struct batch *key = batch_create(arena, &w->key_type, 1, 1);
        struct datum value = datum_i32(*partition);
        batch_append_datums(key, &value, 1);
        batch_hash(key, &column, 1, &hash);
        hashed_table_upsert(w->numbers, key, &column, &hash, &slot, &inserted);
        uint32_t *payload = hashed_table_payload(w->numbers, slot);
        if (inserted)
            *payload = add_partition(w, slot);
        number = *payload;
    }
    for (uint32_t i = 0; i < rows; i++)
        numbers[i] = number;
    return numbers;
}

static uint32_t *partition_numbers(struct watermark *w, const struct batch *rows, const int32_t *partition,
                                   struct arena *arena)
{
    if (w->desc.partition_column == WATERMARK_BY_SOURCE)
        return source_numbers(w, rows->rows, partition, arena);
    uint32_t *numbers = ARENA_ARRAY(arena, uint32_t, rows->rows);
    if (w->numbers == NULL)
        return numbers;
    uint32_t column = (uint32_t)w->desc.partition_column;
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * rows->rows);
    uint8_t *inserted = arena_alloc(arena, rows->rows);
    batch_hash(rows, &column, 1, hashes);
    hashed_table_upsert(w->numbers, rows, &column, hashes, numbers, inserted);
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint32_t *number = hashed_table_payload(w->numbers, numbers[i]);
        if (inserted[i])
            *number = add_partition(w, numbers[i]);
        numbers[i] = *number;
    }
    return numbers;
}

static bool is_time(int64_t us)
{
    return us != TIMESTAMP_MINUS_INFINITY && us != TIMESTAMP_PLUS_INFINITY;
}

/* One row of a partition: true when the stream's watermark may have moved. */
static bool note_row(struct watermark *w, uint32_t number, bool has_value, int64_t value, int64_t clock_us,
                     struct arena *arena, struct watermark_undo *undo)
{
    struct partition *partition = &w->partitions[number];
    bool moves = has_value && value > partition->watermark;
    if (!moves && partition->is_seen && !partition->is_idle && partition->last_us == clock_us)
        return false;
    if (partition->judged != w->batches) {
        struct undo_step step = {number, *partition};
        ARENA_PUSH(arena, undo->steps, undo->count, undo->cap, step);
        partition->judged = w->batches;
    }
    bool changes = moves || !partition->is_seen || partition->is_idle;
    partition->is_seen = true;
    partition->is_idle = false;
    partition->last_us = clock_us;
    if (moves)
        partition->watermark = value;
    if (changes)
        set_leaf(w, number); /* of few partitions: a few steps */
    return changes;
}

static void judge_piece(struct watermark *w, const struct batch *rows, const uint32_t *numbers,
                        int64_t clock_us, int64_t *watermarks, struct arena *arena,
                        struct watermark_undo *undo)
{
    struct column value;
    struct row_errors errors = {.arena = arena};
    struct error ignored;
    const int64_t *values = NULL;
    if (expr_run_eval(w->run, &w->env, rows, NULL, rows->rows, &value, &errors, &ignored))
        values = value.data;
    const struct column *times = &rows->columns[w->desc.column];
    for (uint32_t i = 0; i < rows->rows; i++) {
        watermarks[i] = w->value;
        if (numbers[i] == NO_PARTITION)
            continue;
        bool has_value = values != NULL && (value.nulls == NULL || !value.nulls[i]) &&
                         (errors.count == 0 || !errors.failed[i]) && is_time(values[i]);
        int64_t time = column_is_null(times, i) ? WATERMARK_NONE
                                                : ((const int64_t *)times->data)[times->is_constant ? 0 : i];
        if (time > w->greatest && is_time(time))
            w->greatest = time;
        if (!note_row(w, numbers[i], has_value, has_value ? values[i] : 0, clock_us, arena, undo))
            continue;
        int64_t all = lowest(w);
        if (all > w->value)
            w->value = all;
    }
}

static struct watermark_undo *remember(const struct watermark *w, struct arena *arena)
{
    struct watermark_undo *undo = ARENA_NEW(arena, struct watermark_undo);
    undo->value = w->value;
    undo->value_of_rows = w->value_of_rows;
    undo->greatest = w->greatest;
    undo->last_us = w->last_us;
    undo->is_seen = w->is_seen;
    return undo;
}

void watermark_end(struct watermark *w, struct arena *arena, struct watermark_undo **undo)
{
    *undo = remember(w, arena);
    w->value = w->value_of_rows = WATERMARK_END;
}

void watermark_judge(struct watermark *w, const struct batch *rows, const int32_t *partition,
                     int64_t clock_us, int64_t *watermarks, struct arena *arena, struct watermark_undo **out)
{
    struct watermark_undo *undo = remember(w, arena);
    w->batches++;
    const uint32_t *numbers = partition_numbers(w, rows, partition, arena);
    w->env.io.now_us = w->env.statement_us = clock_us;
    for (uint32_t first = 0; first < rows->rows; first += BATCH_ROWS_MAX) {
        uint32_t count = rows->rows - first < BATCH_ROWS_MAX ? rows->rows - first : BATCH_ROWS_MAX;
        judge_piece(w, batch_slice(arena, rows, first, count), numbers + first, clock_us, watermarks + first,
                    arena, undo);
    }
    if (rows->rows > 0 && numbers[0] != NO_PARTITION) {
        w->value_of_rows = w->value;
        w->last_us = clock_us;
        w->is_seen = true;
    }
    *out = undo;
}

void watermark_expect(struct watermark *w, int32_t partition, int64_t clock_us, struct arena *arena,
                      struct watermark_undo **undo)
{
    *undo = remember(w, arena);
    w->batches++;
    if (w->desc.partition_column == WATERMARK_BY_SOURCE)
        (void)note_row(w, *source_numbers(w, 1, &partition, arena), false, 0, clock_us, arena, *undo);
}

void watermark_take_back(struct watermark *w, const struct watermark_undo *undo)
{
    for (uint32_t i = undo->count; i-- > 0;) {
        w->partitions[undo->steps[i].number] = undo->steps[i].before;
        touch(w, undo->steps[i].number);
        set_leaf(w, undo->steps[i].number);
    }
    w->value = undo->value;
    w->value_of_rows = undo->value_of_rows;
    w->greatest = undo->greatest;
    w->last_us = undo->last_us;
    w->is_seen = undo->is_seen;
}

uint32_t watermark_reject(struct watermark *w, const struct batch *rows, int64_t clock_us, uint32_t *rejected)
{
    if (w->desc.max_future_us <= 0)
        return 0;
    const struct column *times = &rows->columns[w->desc.column];
    int64_t limit = add_clamped(clock_us, w->desc.max_future_us);
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->rows; i++) {
        rejected[count] = i;
        count +=
            !column_is_null(times, i) && ((const int64_t *)times->data)[times->is_constant ? 0 : i] > limit;
    }
    return count;
}

void watermark_count_rejected(struct watermark *w, uint32_t rows)
{
    w->rejected += rows;
}

void watermark_fill_stats(const struct watermark *w, struct watermark_stats *out)
{
    *out = (struct watermark_stats){.column = w->desc.column,
                                    .text = w->desc.text,
                                    .watermark = w->value,
                                    .greatest = w->greatest,
                                    .last_row_us = w->last_us,
                                    .rejected = w->rejected};
    for (uint32_t i = 0; i < w->count; i++) {
        out->partitions += w->partitions[i].is_seen;
        out->idle_partitions += w->partitions[i].is_seen && w->partitions[i].is_idle;
    }
}

/* ---- checkpoints ---- */

#define SAVED_VERSION 1u
enum { SAVED_KEY, SAVED_WATERMARK, SAVED_LAST_US, SAVED_FLAGS, SAVED_COLUMNS };
enum { FLAG_SEEN = 1, FLAG_IDLE = 2 };

static uint64_t partition_flags(const struct partition *partition)
{
    return (partition->is_seen ? FLAG_SEEN : 0) | (partition->is_idle ? FLAG_IDLE : 0);
}

static void set_flags(struct partition *partition, uint64_t flags)
{
    partition->is_seen = (flags & FLAG_SEEN) != 0;
    partition->is_idle = (flags & FLAG_IDLE) != 0;
}

static void gather(void *of, const uint32_t *slots, uint32_t count, struct column *out, struct arena *arena)
{
    struct watermark *w = of;
    hashed_table_gather_keys(w->numbers, slots, count, out, arena);
    for (uint32_t c = SAVED_WATERMARK; c < SAVED_COLUMNS; c++)
        column_init(&out[c], (struct sql_type){OID_INT8, -1}, count, arena);
    for (uint32_t i = 0; i < count; i++) {
        const struct partition *partition =
            &w->partitions[*(uint32_t *)hashed_table_payload(w->numbers, slots[i])];
        ((int64_t *)out[SAVED_WATERMARK].data)[i] = partition->watermark;
        ((int64_t *)out[SAVED_LAST_US].data)[i] = partition->last_us;
        ((int64_t *)out[SAVED_FLAGS].data)[i] = (int64_t)partition_flags(partition);
    }
}

static bool restore(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                    struct error *err)
{
    struct watermark *w = of;
    static const uint32_t key = SAVED_KEY;
    if (version != SAVED_VERSION || rows->columns_count != SAVED_COLUMNS)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "saved partitions of a watermark are not of this form");
    uint64_t *hashes = mem_alloc(sizeof(*hashes) * rows->rows);
    batch_hash(rows, &key, 1, hashes);
    bool ok = true;
    for (uint32_t i = 0; i < rows->rows; i++) {
        if (slots[i] >= hashed_table_slots(w->numbers)->used) {
            ok = error_set(err, ERRCODE_DATA_CORRUPTED, "a saved partition has the number %u", slots[i]);
            break;
        }
        hashed_table_restore(w->numbers, slots[i], rows, i, &key, hashes);
        uint32_t number = add_partition(w, slots[i]);
        *(uint32_t *)hashed_table_payload(w->numbers, slots[i]) = number;
        struct partition *partition = &w->partitions[number];
        partition->watermark = ((const int64_t *)rows->columns[SAVED_WATERMARK].data)[i];
        partition->last_us = ((const int64_t *)rows->columns[SAVED_LAST_US].data)[i];
        set_flags(partition, (uint64_t)((const int64_t *)rows->columns[SAVED_FLAGS].data)[i]);
        set_leaf(w, number);
    }
    mem_free(hashes);
    return ok;
}

void watermark_saved(struct watermark *w, const char *name, struct saved_tables *out)
{
    if (w->numbers == NULL)
        return;
    struct sql_type *types = ARENA_ARRAY(out->arena, struct sql_type, SAVED_COLUMNS);
    types[SAVED_KEY] = w->key_type;
    for (uint32_t c = SAVED_WATERMARK; c < SAVED_COLUMNS; c++)
        types[c] = (struct sql_type){OID_INT8, -1};
    saved_tables_add(out, (struct saved_table){.name = name,
                                               .version = SAVED_VERSION,
                                               .columns_count = SAVED_COLUMNS,
                                               .types = types,
                                               .of = w,
                                               .slots = hashed_table_slots(w->numbers),
                                               .gather = gather,
                                               .restore = restore});
}

void watermark_save_rest(const struct watermark *w, struct strbuf *out)
{
    rest_add(out, (uint64_t)w->value);
    rest_add(out, (uint64_t)w->value_of_rows);
    rest_add(out, (uint64_t)w->greatest);
    rest_add(out, (uint64_t)w->last_us);
    rest_add(out, w->is_seen);
    rest_add(out, w->rejected);
    if (w->numbers != NULL)
        return;
    rest_add(out, (uint64_t)w->partitions[0].watermark);
    rest_add(out, (uint64_t)w->partitions[0].last_us);
    rest_add(out, partition_flags(&w->partitions[0]));
}

void watermark_restore_rest(struct watermark *w, struct rest_reader *reader)
{
    w->value = (int64_t)rest_take(reader);
    w->value_of_rows = (int64_t)rest_take(reader);
    w->greatest = (int64_t)rest_take(reader);
    w->last_us = (int64_t)rest_take(reader);
    w->is_seen = rest_take(reader) != 0;
    w->rejected = rest_take(reader);
    if (w->numbers != NULL)
        return;
    w->partitions[0].watermark = (int64_t)rest_take(reader);
    w->partitions[0].last_us = (int64_t)rest_take(reader);
    set_flags(&w->partitions[0], rest_take(reader));
    set_leaf(w, 0);
}
