/* segments.c: see segments.h.
 *
 * Segment k holds 64 << k rows, each column in one piece; large pieces are address space backed on first
 * touch, so that nothing is copied as the stream grows. What a reader may see is decided by the stamps: for
 * each epoch, where its rows end. They stand under a mutex that a reader takes once per piece; the rows below
 * that end never change. */
#include "storage/state/segments.h"

#include "storage/state/slot_pages.h"

#include <pthread.h>

#define FIRST_ROWS_LOG2 6u
#define SEGMENTS_MAX    40u
#define TEXT_CHUNK_MIN  ((size_t)1 << 10)
#define TEXT_CHUNK_MAX  ((size_t)8 << 20)

struct segment_column {
    void *data;
    _Atomic(uint8_t *) nulls; /* NULL: no NULL in this segment yet */
};

struct stamp {
    uint64_t epoch;
    uint64_t end; /* rows there are at the end of the epoch */
};

struct text_chunk {
    struct text_chunk *older;
    size_t bytes;
    uint8_t data[];
};

/* Where the text stood before the rows from `rows` on were appended; only those of the newest epoch are kept.
 */
struct text_mark {
    uint64_t rows;
    struct text_chunk *chunk;
    uint8_t *next;
};

struct segments {
    uint32_t columns_count;
    struct sql_type *types;
    uint8_t *phys;
    uint32_t row_bytes;
    struct segment_column *segments[SEGMENTS_MAX];
    _Atomic uint64_t rows;
    _Atomic int64_t bytes;
    struct account *account;

    pthread_mutex_t mutex; /* of the stamps */
    struct stamp *stamps;
    uint32_t stamps_count, stamps_capacity;

    struct text_chunk *chunk; /* newest first */
    uint8_t *text_next, *text_end;
    size_t chunk_bytes;
    struct text_mark *marks;
    uint32_t marks_count, marks_capacity;
};

static void charge(struct segments *s, int64_t bytes)
{
    atomic_fetch_add_explicit(&s->bytes, bytes, memory_order_relaxed);
    account_charge(s->account, bytes);
}

/* ---- shape ---- */

static inline uint32_t segment_of(uint64_t row)
{
    return 63 - (uint32_t)__builtin_clzll(row + (1u << FIRST_ROWS_LOG2)) - FIRST_ROWS_LOG2;
}

static inline uint64_t segment_rows(uint32_t segment)
{
    return UINT64_C(1) << (FIRST_ROWS_LOG2 + segment);
}

static inline uint64_t segment_start(uint32_t segment)
{
    return segment_rows(segment) - (1u << FIRST_ROWS_LOG2);
}

/* Columns backed on first touch are paid for by the row. */
static int64_t lazy_row_cost(const struct segments *s, uint32_t segment)
{
    int64_t cost = 0;
    for (uint32_t c = 0; c < s->columns_count; c++) {
        if (memory_is_lazy(segment_rows(segment) * phys_bytes(s->phys[c])))
            cost += phys_bytes(s->phys[c]);
    }
    return cost;
}

struct segments *segments_create(const struct sql_type *types, uint32_t columns_count,
                                 struct account *account)
{
    struct segments *s = mem_zalloc(sizeof(*s));
    s->columns_count = columns_count;
    s->account = account;
    s->types = mem_alloc(sizeof(*types) * columns_count);
    s->phys = mem_alloc(columns_count);
    for (uint32_t c = 0; c < columns_count; c++) {
        s->types[c] = types[c];
        s->phys[c] = (uint8_t)type_phys(types[c].oid);
        s->row_bytes += phys_bytes(s->phys[c]);
    }
    s->chunk_bytes = TEXT_CHUNK_MIN;
    pthread_mutex_init(&s->mutex, NULL);
    charge(s, (int64_t)sizeof(*s));
    return s;
}

static void free_text(struct segments *s, struct text_chunk *down_to)
{
    while (s->chunk != down_to) {
        struct text_chunk *older = s->chunk->older;
        charge(s, -(int64_t)(sizeof(*s->chunk) + s->chunk->bytes));
        memory_unmap(s->chunk, sizeof(*s->chunk) + s->chunk->bytes);
        s->chunk = older;
    }
}

void segments_destroy(struct segments *s)
{
    if (s == NULL)
        return;
    for (uint32_t k = 0; k < SEGMENTS_MAX && s->segments[k] != NULL; k++) {
        for (uint32_t c = 0; c < s->columns_count; c++) {
            memory_unmap(s->segments[k][c].data, segment_rows(k) * phys_bytes(s->phys[c]));
            memory_unmap(atomic_load(&s->segments[k][c].nulls), segment_rows(k));
        }
        mem_free(s->segments[k]);
    }
    free_text(s, NULL);
    account_charge(s->account, -atomic_load(&s->bytes));
    pthread_mutex_destroy(&s->mutex);
    mem_free(s->stamps);
    mem_free(s->marks);
    mem_free(s->types);
    mem_free(s->phys);
    mem_free(s);
}

/* ---- appending ---- */

static struct varlen store_text(struct segments *s, const struct varlen *value)
{
    if (value->len <= VARLEN_INLINE_MAX)
        return *value;
    if ((size_t)(s->text_end - s->text_next) < value->len) {
        size_t bytes = s->chunk_bytes > value->len ? s->chunk_bytes : value->len;
        struct text_chunk *chunk = memory_map(sizeof(*chunk) + bytes, true);
        chunk->older = s->chunk;
        chunk->bytes = bytes;
        s->chunk = chunk;
        s->text_next = chunk->data;
        s->text_end = chunk->data + bytes;
        charge(s, (int64_t)(sizeof(*chunk) + bytes));
        if (s->chunk_bytes < TEXT_CHUNK_MAX)
            s->chunk_bytes *= 2;
    }
    uint8_t *copy = s->text_next;
    memcpy(copy, varlen_bytes(value), value->len);
    s->text_next += value->len;
    return varlen_view(copy, value->len);
}

static void need_segment(struct segments *s, uint32_t k)
{
    CHECK(k < SEGMENTS_MAX);
    if (s->segments[k] != NULL)
        return;
    struct segment_column *columns = mem_zalloc(sizeof(*columns) * (s->columns_count + 1));
    charge(s, (int64_t)(sizeof(*columns) * (s->columns_count + 1)));
    for (uint32_t c = 0; c < s->columns_count; c++) {
        size_t bytes = segment_rows(k) * phys_bytes(s->phys[c]);
        columns[c].data = memory_map(bytes, true);
        if (!memory_is_lazy(bytes))
            charge(s, (int64_t)bytes);
    }
    s->segments[k] = columns;
}

static void append_column(struct segments *s, uint32_t k, uint32_t c, uint64_t at, const struct column *from,
                          uint32_t first, uint32_t count)
{
    struct segment_column *to = &s->segments[k][c];
    uint32_t bytes = phys_bytes(s->phys[c]);
    uint8_t *data = (uint8_t *)to->data + at * bytes;
    const uint8_t *values = (const uint8_t *)from->data + (from->is_constant ? 0 : (size_t)first * bytes);
    if (s->phys[c] == PHYS_VAR) {
        struct varlen *out = (struct varlen *)(void *)data;
        const struct varlen *in = (const struct varlen *)(const void *)values;
        for (uint32_t i = 0; i < count; i++)
            out[i] = store_text(s, &in[from->is_constant ? 0 : i]);
    } else if (from->is_constant) {
        for (uint32_t i = 0; i < count; i++)
            memcpy(data + (size_t)i * bytes, values, bytes);
    } else {
        memcpy(data, values, (size_t)count * bytes);
    }
    uint8_t *nulls = atomic_load_explicit(&to->nulls, memory_order_relaxed);
    if (from->nulls == NULL) {
        if (nulls != NULL)
            memset(nulls + at, 0, count);
        return;
    }
    if (nulls == NULL) {
        if (memchr(from->nulls + (from->is_constant ? 0 : first), 1, from->is_constant ? 1 : count) == NULL)
            return;
        nulls = memory_map(segment_rows(k), false);
        charge(s, (int64_t)segment_rows(k));
        atomic_store_explicit(&to->nulls, nulls, memory_order_release);
    }
    for (uint32_t i = 0; i < count; i++)
        nulls[at + i] = column_is_null(from, first + i);
}

static void remember_text(struct segments *s, uint64_t rows)
{
    if (s->marks_count == s->marks_capacity) {
        s->marks_capacity = s->marks_capacity ? s->marks_capacity * 2 : 8;
        s->marks = mem_realloc(s->marks, sizeof(*s->marks) * s->marks_capacity);
    }
    s->marks[s->marks_count++] = (struct text_mark){.rows = rows, .chunk = s->chunk, .next = s->text_next};
}

static void set_stamp(struct segments *s, uint64_t epoch, uint64_t end)
{
    pthread_mutex_lock(&s->mutex);
    struct stamp *last = s->stamps_count > 0 ? &s->stamps[s->stamps_count - 1] : NULL;
    CHECK(last == NULL || last->epoch <= epoch);
    if (last != NULL && last->epoch == epoch) {
        last->end = end;
    } else {
        if (s->stamps_count == s->stamps_capacity) {
            uint32_t capacity = s->stamps_capacity ? s->stamps_capacity * 2 : 8;
            charge(s, (int64_t)sizeof(*s->stamps) * (capacity - s->stamps_capacity));
            s->stamps = mem_realloc(s->stamps, sizeof(*s->stamps) * capacity);
            s->stamps_capacity = capacity;
        }
        s->stamps[s->stamps_count++] = (struct stamp){.epoch = epoch, .end = end};
    }
    pthread_mutex_unlock(&s->mutex);
}

void segments_append(struct segments *s, const struct batch *rows, uint64_t epoch)
{
    if (rows->rows == 0)
        return;
    CHECK(rows->columns_count == s->columns_count);
    for (uint32_t i = 0; rows->weights != NULL && i < rows->rows; i++)
        CHECK(rows->weights[i] == 1);
    uint64_t at = segments_rows(s);
    /* only the writer changes the stamps, so it may look without the mutex */
    if (s->stamps_count == 0 || s->stamps[s->stamps_count - 1].epoch != epoch)
        s->marks_count = 0;
    remember_text(s, at);
    for (uint32_t first = 0; first < rows->rows;) {
        uint32_t k = segment_of(at);
        need_segment(s, k);
        uint64_t offset = at - segment_start(k), room = segment_rows(k) - offset;
        uint32_t count = rows->rows - first < room ? rows->rows - first : (uint32_t)room;
        for (uint32_t c = 0; c < s->columns_count; c++)
            append_column(s, k, c, offset, &rows->columns[c], first, count);
        int64_t cost = lazy_row_cost(s, k);
        if (cost > 0)
            charge(s, cost * count);
        at += count;
        first += count;
    }
    atomic_store_explicit(&s->rows, at, memory_order_release);
    set_stamp(s, epoch, at);
}

void segments_truncate(struct segments *s, uint64_t mark)
{
    uint64_t rows = segments_rows(s);
    CHECK(mark <= rows);
    if (mark == rows)
        return;
    for (uint64_t end = rows; end > mark;) {
        uint32_t k = segment_of(end - 1);
        uint64_t start = segment_start(k) > mark ? segment_start(k) : mark;
        charge(s, -lazy_row_cost(s, k) * (int64_t)(end - start));
        end = start;
    }
    pthread_mutex_lock(&s->mutex);
    while (s->stamps_count > 0 &&
           (s->stamps_count > 1 ? s->stamps[s->stamps_count - 2].end >= mark : mark == 0))
        s->stamps_count--;
    if (s->stamps_count > 0 && s->stamps[s->stamps_count - 1].end > mark)
        s->stamps[s->stamps_count - 1].end = mark;
    pthread_mutex_unlock(&s->mutex);
    atomic_store_explicit(&s->rows, mark, memory_order_release);
    for (uint32_t i = s->marks_count; i-- > 0 && s->marks[i].rows >= mark;) {
        s->marks_count = i;
        if (s->marks[i].rows > mark && i > 0 && s->marks[i - 1].rows >= mark)
            continue;
        free_text(s, s->marks[i].chunk);
        s->text_next = s->marks[i].next;
        s->text_end = s->chunk != NULL ? s->chunk->data + s->chunk->bytes : NULL;
    }
}

void segments_trim(struct segments *s, uint64_t oldest)
{
    pthread_mutex_lock(&s->mutex);
    uint32_t drop = 0;
    while (drop + 1 < s->stamps_count && s->stamps[drop + 1].epoch <= oldest)
        drop++;
    /* moving the rest costs less than what was appended since: only when half may go */
    if (drop > s->stamps_count / 2) {
        s->stamps_count -= drop;
        memmove(s->stamps, s->stamps + drop, sizeof(*s->stamps) * s->stamps_count);
    }
    pthread_mutex_unlock(&s->mutex);
}

/* ---- reading ---- */

/* How many rows a snapshot sees. */
static uint64_t rows_at(struct segments *s, uint64_t snapshot)
{
    pthread_mutex_lock(&s->mutex);
    uint32_t low = 0, high = s->stamps_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->stamps[middle].epoch <= snapshot)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t end = low > 0 ? s->stamps[low - 1].end : 0;
    pthread_mutex_unlock(&s->mutex);
    return end;
}

bool segments_scan(struct segments *s, uint64_t snapshot, uint64_t *cursor, struct column *columns,
                   struct batch *out)
{
    uint64_t end = rows_at(s, snapshot);
    if (*cursor >= end)
        return false;
    uint32_t k = segment_of(*cursor);
    uint64_t offset = *cursor - segment_start(k), count = segment_rows(k) - offset;
    if (count > end - *cursor)
        count = end - *cursor;
    if (count > BATCH_ROWS_MAX)
        count = BATCH_ROWS_MAX;
    for (uint32_t c = 0; c < s->columns_count; c++) {
        struct segment_column *from = &s->segments[k][c];
        uint8_t *nulls = atomic_load_explicit(&from->nulls, memory_order_acquire);
        columns[c] = (struct column){.type = s->types[c],
                                     .phys = s->phys[c],
                                     .data = (uint8_t *)from->data + offset * phys_bytes(s->phys[c]),
                                     .nulls = nulls != NULL ? nulls + offset : NULL};
    }
    *out = (struct batch){.rows = (uint32_t)count, .columns_count = s->columns_count, .columns = columns};
    *cursor += count;
    return true;
}

uint64_t segments_rows(const struct segments *s)
{
    return atomic_load_explicit(&s->rows, memory_order_acquire);
}

int64_t segments_bytes(const struct segments *s)
{
    return atomic_load_explicit(&s->bytes, memory_order_relaxed);
}
