/* segments.c: see segments.h.
 *
 * Segment k holds 64 << k rows, up to a million, each column in one piece; large pieces are address space backed on first
 * touch, so that nothing is copied as the stream grows. The directory is cut like that too, without an end. What a reader
 * may see is decided by the stamps: for each epoch, where its rows begin and end. They stand under a mutex that a reader
 * takes once per piece; the rows between those ends never change.
 *
 * Columns that were added later (segments_widen) have directories of their own, in which there is nothing before the row from
 * which on they are stored; a reader finds them behind an atomic link, and asks for as many columns as it knows.
 *
 * Dropped rows cost a stamp. When the last snapshot that sees them has gone, whole segments go, of the large ones also
 * pieces from the front, and the chunks of text that only they point into. */
#include "storage/state/segments.h"

#include "storage/state/slot_pages.h"

#include <pthread.h>

#define FIRST_ROWS_LOG2 6u
#define LARGE_ROWS_LOG2 20u /* segments do not grow beyond */
#define DIRECTORY_MAX   40u
#define DISCARD_ROWS                                                                                         \
    (UINT64_C(1) << 16) /* what goes at once of a large segment's front: whole pages of any column */
#define TEXT_CHUNK_MIN ((size_t)1 << 10)
#define TEXT_CHUNK_MAX ((size_t)8 << 20)

struct segment_column {
    void *data;
    _Atomic(uint8_t *) nulls; /* NULL: no NULL in this segment yet */
};

struct stamp {
    uint64_t epoch;
    uint64_t end;   /* rows there have been up to the end of the epoch */
    uint64_t first; /* those below are dropped */
};

struct text_chunk {
    struct text_chunk *older, *newer;
    uint64_t end; /* of all but the newest: no row from this number on points into it */
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

/* Columns that came together, side by side. */
struct column_group {
    _Atomic(struct column_group *) next;
    uint32_t first, count;  /* of the columns */
    uint64_t from;          /* rows below it hold nothing here: they have the missing values */
    struct column *missing; /* BATCH_ROWS_MAX times that value; NULL: from is 0 */
    struct arena arena;     /* of those */
    struct sql_type *types;
    uint8_t *phys;
    struct segment_column **directory[DIRECTORY_MAX]; /* piece j: 1 << j segments */
};

struct segments {
    uint32_t columns_count; /* of all groups; the writer's */
    struct column_group base;
    struct column_group *last;
    _Atomic uint64_t rows, first; /* newest */
    uint64_t kept;                /* rows below have no memory any more */
    struct saved_rows saved;
    _Atomic int64_t bytes;
    struct account *account;

    pthread_mutex_t mutex; /* of the stamps */
    struct stamp *stamps;
    uint32_t stamps_count, stamps_capacity;

    struct text_chunk *chunk, *oldest_chunk; /* newest first */
    uint64_t append_end;                     /* rows there are when the running append is over */
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
    uint64_t at = row + (1u << FIRST_ROWS_LOG2);
    if (at >> LARGE_ROWS_LOG2 != 0)
        return LARGE_ROWS_LOG2 - FIRST_ROWS_LOG2 - 1 + (uint32_t)(at >> LARGE_ROWS_LOG2);
    return 63 - (uint32_t)__builtin_clzll(at) - FIRST_ROWS_LOG2;
}

static inline uint64_t segment_rows(uint32_t segment)
{
    return UINT64_C(1) << (segment + FIRST_ROWS_LOG2 < LARGE_ROWS_LOG2 ? segment + FIRST_ROWS_LOG2
                                                                       : LARGE_ROWS_LOG2);
}

static inline uint64_t segment_start(uint32_t segment)
{
    uint32_t first_large = LARGE_ROWS_LOG2 - FIRST_ROWS_LOG2;
    uint64_t start = segment < first_large ? segment_rows(segment)
                                           : (uint64_t)(segment - first_large + 1) << LARGE_ROWS_LOG2;
    return start - (1u << FIRST_ROWS_LOG2);
}

/* Its place in the directory. */
static inline uint32_t piece_of(uint32_t segment, uint32_t *at)
{
    uint32_t piece = 31 - (uint32_t)__builtin_clz(segment + 1);
    *at = segment + 1 - (1u << piece);
    return piece;
}

/* NULL: it holds none of the group's rows. */
static inline struct segment_column *segment_at(const struct column_group *group, uint32_t segment)
{
    uint32_t at, piece = piece_of(segment, &at);
    return group->directory[piece] != NULL ? group->directory[piece][at] : NULL;
}

static inline struct column_group *group_after(const struct column_group *group)
{
    return atomic_load_explicit(&group->next, memory_order_acquire);
}

/* What the rows [first, end) of a segment cost where columns are backed on first touch: those are paid for by the row. */
static int64_t lazy_cost(const struct segments *s, uint32_t segment, uint64_t first, uint64_t end)
{
    int64_t cost = 0;
    for (const struct column_group *group = &s->base; group != NULL; group = group_after(group)) {
        int64_t row_cost = 0;
        uint64_t from = first > group->from ? first : group->from;
        for (uint32_t c = 0; from < end && c < group->count; c++) {
            if (memory_is_lazy(segment_rows(segment) * phys_bytes(group->phys[c])))
                row_cost += phys_bytes(group->phys[c]);
        }
        cost += from < end ? row_cost * (int64_t)(end - from) : 0;
    }
    return cost;
}

static void group_init(struct column_group *group, uint32_t first, const struct sql_type *types,
                       uint32_t count)
{
    *group = (struct column_group){.first = first, .count = count};
    arena_init(&group->arena, NULL);
    group->types = arena_copy(&group->arena, types, sizeof(*types) * count);
    group->phys = arena_alloc(&group->arena, count);
    for (uint32_t c = 0; c < count; c++)
        group->phys[c] = (uint8_t)type_phys(types[c].oid);
}

struct segments *segments_create(const struct sql_type *types, uint32_t columns_count,
                                 struct account *account)
{
    struct segments *s = mem_zalloc(sizeof(*s));
    s->columns_count = columns_count;
    s->account = account;
    group_init(&s->base, 0, types, columns_count);
    s->last = &s->base;
    s->chunk_bytes = TEXT_CHUNK_MIN;
    pthread_mutex_init(&s->mutex, NULL);
    charge(s, (int64_t)sizeof(*s));
    return s;
}

void segments_widen(struct segments *s, const struct sql_type *types, uint32_t count,
                    const struct datum *missing)
{
    struct column_group *group = mem_alloc(sizeof(*group));
    group_init(group, s->columns_count, types, count);
    group->from = segments_rows(s);
    group->missing = ARENA_ARRAY(&group->arena, struct column, count);
    for (uint32_t c = 0; c < count; c++) {
        struct datum value = missing[c];
        if (!value.is_null && group->phys[c] == PHYS_VAR)
            value.var = varlen_copy(&group->arena, varlen_bytes(&missing[c].var), missing[c].var.len);
        column_init_constant(&group->missing[c], types[c], &value, &group->arena);
        column_expand(&group->missing[c], BATCH_ROWS_MAX, &group->arena);
    }
    charge(s, (int64_t)(sizeof(*group) + group->arena.total_bytes));
    s->columns_count += count;
    atomic_store_explicit(&s->last->next, group, memory_order_release);
    s->last = group;
}

static void free_chunk(struct segments *s, struct text_chunk *chunk)
{
    charge(s, -(int64_t)(sizeof(*chunk) + chunk->bytes));
    memory_unmap(chunk, sizeof(*chunk) + chunk->bytes);
}

static void free_text(struct segments *s, struct text_chunk *down_to)
{
    while (s->chunk != down_to) {
        struct text_chunk *older = s->chunk->older;
        free_chunk(s, s->chunk);
        s->chunk = older;
    }
    if (s->chunk != NULL)
        s->chunk->newer = NULL;
    else
        s->oldest_chunk = NULL;
}

static void free_columns(struct segments *s, struct column_group *group, uint32_t k)
{
    uint32_t at, piece = piece_of(k, &at);
    struct segment_column *columns = segment_at(group, k);
    for (uint32_t c = 0; columns != NULL && c < group->count; c++) {
        size_t bytes = segment_rows(k) * phys_bytes(group->phys[c]);
        memory_unmap(columns[c].data, bytes);
        if (!memory_is_lazy(bytes))
            charge(s, -(int64_t)bytes);
        uint8_t *nulls = atomic_load_explicit(&columns[c].nulls, memory_order_relaxed);
        if (nulls != NULL)
            charge(s, -(int64_t)segment_rows(k));
        memory_unmap(nulls, segment_rows(k));
    }
    if (columns != NULL) {
        mem_free(columns);
        charge(s, -(int64_t)(sizeof(*columns) * (group->count + 1)));
        group->directory[piece][at] = NULL;
    }
    if (at + 1 == 1u << piece &&
        group->directory[piece] != NULL) { /* it was the last one that could be there */
        mem_free(group->directory[piece]);
        group->directory[piece] = NULL;
        charge(s, -(int64_t)(sizeof(columns) << piece));
    }
}

static void free_segment(struct segments *s, uint32_t k)
{
    for (struct column_group *group = &s->base; group != NULL; group = group_after(group))
        free_columns(s, group, k);
}

static void free_group(struct segments *s, struct column_group *group)
{
    for (uint32_t piece = 0; piece < DIRECTORY_MAX; piece++) {
        for (uint32_t at = 0; group->directory[piece] != NULL && at < 1u << piece; at++) {
            if (group->directory[piece][at] != NULL)
                free_columns(s, group, at + (1u << piece) - 1);
        }
        mem_free(group->directory[piece]);
    }
    arena_release(&group->arena);
}

void segments_destroy(struct segments *s)
{
    if (s == NULL)
        return;
    for (struct column_group *group = group_after(&s->base), *next; group != NULL; group = next) {
        next = group_after(group);
        free_group(s, group);
        mem_free(group);
    }
    free_group(s, &s->base);
    free_text(s, NULL);
    account_charge(s->account, -atomic_load(&s->bytes));
    pthread_mutex_destroy(&s->mutex);
    mem_free(s->stamps);
    mem_free(s->marks);
    mem_free(s);
}

/* ---- appending ---- */

static struct varlen store_text(struct segments *s, const struct varlen *value)
{
    if (value->len <= VARLEN_INLINE_MAX)
        return *value;
    if ((size_t)(s->text_end - s->text_next) < value->len) {
        size_t bytes = s->chunk_bytes > value->len ? s->chunk_bytes : value->len;
        struct text_chunk *chunk = memory_map(sizeof(*chunk) + bytes, MEMORY_HUGE | MEMORY_SCANNED);
        chunk->older = s->chunk;
        chunk->newer = NULL;
        chunk->bytes = bytes;
        if (s->chunk != NULL) {
            s->chunk->newer = chunk;
            s->chunk->end = s->append_end;
        } else {
            s->oldest_chunk = chunk;
        }
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

static void need_columns(struct segments *s, struct column_group *group, uint32_t k)
{
    uint32_t at, piece = piece_of(k, &at);
    CHECK(piece < 31);
    if (group->directory[piece] == NULL) {
        group->directory[piece] = mem_zalloc(sizeof(*group->directory[piece]) << piece);
        charge(s, (int64_t)(sizeof(*group->directory[piece]) << piece));
    }
    if (group->directory[piece][at] != NULL)
        return;
    struct segment_column *columns = mem_zalloc(sizeof(*columns) * (group->count + 1));
    charge(s, (int64_t)(sizeof(*columns) * (group->count + 1)));
    for (uint32_t c = 0; c < group->count; c++) {
        size_t bytes = segment_rows(k) * phys_bytes(group->phys[c]);
        columns[c].data = memory_map(bytes, MEMORY_HUGE | MEMORY_GROWS | MEMORY_SCANNED);
        if (!memory_is_lazy(bytes))
            charge(s, (int64_t)bytes);
    }
    group->directory[piece][at] = columns;
}

static void append_column(struct segments *s, const struct column_group *group, uint32_t k, uint32_t c,
                          uint64_t at, const struct column *from, uint32_t first, uint32_t count)
{
    struct segment_column *to = &segment_at(group, k)[c];
    uint32_t bytes = phys_bytes(group->phys[c]);
    uint8_t *data = (uint8_t *)to->data + at * bytes;
    if (memory_is_lazy(segment_rows(k) * bytes))
        memory_grow(to->data, segment_rows(k) * bytes, (at + count) * bytes);
    const uint8_t *values = (const uint8_t *)from->data + (from->is_constant ? 0 : (size_t)first * bytes);
    if (group->phys[c] == PHYS_VAR) {
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
        nulls = memory_map(segment_rows(k), MEMORY_SCANNED);
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

/* How things stand at the end of the epoch. */
static void set_stamp(struct segments *s, uint64_t epoch, uint64_t first, uint64_t end)
{
    pthread_mutex_lock(&s->mutex);
    struct stamp *last = s->stamps_count > 0 ? &s->stamps[s->stamps_count - 1] : NULL;
    CHECK(last == NULL || last->epoch <= epoch);
    if (last != NULL && last->epoch == epoch) {
        last->end = end;
        last->first = first;
    } else {
        if (s->stamps_count == s->stamps_capacity) {
            uint32_t capacity = s->stamps_capacity ? s->stamps_capacity * 2 : 8;
            charge(s, (int64_t)sizeof(*s->stamps) * (capacity - s->stamps_capacity));
            s->stamps = mem_realloc(s->stamps, sizeof(*s->stamps) * capacity);
            s->stamps_capacity = capacity;
        }
        s->stamps[s->stamps_count++] = (struct stamp){.epoch = epoch, .end = end, .first = first};
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
    s->append_end = at + rows->rows;
    for (uint32_t first = 0; first < rows->rows;) {
        uint32_t k = segment_of(at);
        uint64_t offset = at - segment_start(k), room = segment_rows(k) - offset;
        uint32_t count = rows->rows - first < room ? rows->rows - first : (uint32_t)room;
        for (struct column_group *group = &s->base; group != NULL; group = group_after(group)) {
            need_columns(s, group, k);
            for (uint32_t c = 0; c < group->count; c++)
                append_column(s, group, k, c, offset, &rows->columns[group->first + c], first, count);
        }
        int64_t cost = lazy_cost(s, k, at, at + count);
        if (cost > 0)
            charge(s, cost);
        at += count;
        first += count;
    }
    atomic_store_explicit(&s->rows, at, memory_order_release);
    set_stamp(s, epoch, segments_first(s), at);
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
        charge(s, -lazy_cost(s, k, start, end));
        end = start;
    }
    pthread_mutex_lock(&s->mutex);
    while (s->stamps_count > 0 && s->stamps[s->stamps_count - 1].end > mark) {
        struct stamp *last = &s->stamps[s->stamps_count - 1], *before = s->stamps_count > 1 ? last - 1 : NULL;
        if (before != NULL ? before->end < mark || before->first != last->first : mark > 0) {
            last->end = mark;
            break;
        }
        s->stamps_count--;
    }
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

/* ---- dropping ---- */

void segments_begin(struct segments *s, uint64_t first)
{
    CHECK(segments_rows(s) == 0 && s->stamps_count == 0);
    if (first == 0)
        return;
    s->kept = first;
    atomic_store_explicit(&s->first, first, memory_order_release);
    atomic_store_explicit(&s->rows, first, memory_order_release);
    set_stamp(s, 0, first, first);
}

void segments_drop(struct segments *s, uint64_t first, uint64_t epoch)
{
    uint64_t rows = segments_rows(s);
    CHECK(first <= rows);
    if (first <= segments_first(s))
        return;
    s->marks_count = 0; /* what is dropped is not taken back */
    atomic_store_explicit(&s->first, first, memory_order_release);
    set_stamp(s, epoch, first, rows);
}

/* Those from `kept` to `to` of segment k, which goes on behind them. */
static void discard_front(struct column_group *group, uint32_t k, uint64_t kept, uint64_t to)
{
    struct segment_column *columns = segment_at(group, k);
    uint64_t start = segment_start(k), from = (kept - start) & ~(DISCARD_ROWS - 1);
    for (uint32_t c = 0; columns != NULL && c < group->count; c++) {
        uint32_t bytes = phys_bytes(group->phys[c]);
        if (memory_is_lazy(segment_rows(k) * bytes))
            memory_discard((uint8_t *)columns[c].data + from * bytes, (to - start - from) * bytes);
    }
}

/* Memory of rows below `first`, which nobody sees any more. */
static void give_back(struct segments *s, uint64_t first)
{
    while (s->kept < first) {
        uint32_t k = segment_of(s->kept);
        uint64_t start = segment_start(k), end = start + segment_rows(k), to = end;
        if (first < end) {
            to = start + ((first - start) & ~(DISCARD_ROWS - 1));
            if (to <= s->kept)
                break;
        }
        charge(s, -lazy_cost(s, k, s->kept, to));
        if (to == end)
            free_segment(s, k);
        for (struct column_group *group = &s->base; to < end && group != NULL; group = group_after(group))
            discard_front(group, k, s->kept, to);
        s->kept = to;
    }
    while (s->oldest_chunk != s->chunk && s->oldest_chunk->end <= first) {
        struct text_chunk *newer = s->oldest_chunk->newer;
        free_chunk(s, s->oldest_chunk);
        s->oldest_chunk = newer;
        newer->older = NULL;
    }
}

void segments_trim(struct segments *s, uint64_t oldest)
{
    pthread_mutex_lock(&s->mutex);
    uint32_t drop = 0;
    while (drop + 1 < s->stamps_count && s->stamps[drop + 1].epoch <= oldest)
        drop++;
    uint64_t first = s->stamps_count > 0 ? s->stamps[drop].first : 0;
    /* moving the rest costs less than what was appended since: only when half may go */
    if (drop > s->stamps_count / 2) {
        s->stamps_count -= drop;
        memmove(s->stamps, s->stamps + drop, sizeof(*s->stamps) * s->stamps_count);
    }
    pthread_mutex_unlock(&s->mutex);
    if (first > s->kept)
        give_back(s, first);
}

/* ---- reading ---- */

/* Up to which row a snapshot sees them, and from which on. */
static uint64_t rows_at(struct segments *s, uint64_t snapshot, uint64_t *first)
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
    *first = low > 0 ? s->stamps[low - 1].first : 0;
    pthread_mutex_unlock(&s->mutex);
    return end;
}

uint64_t segments_end(struct segments *s, uint64_t snapshot)
{
    uint64_t first;
    return rows_at(s, snapshot, &first);
}

/* How many of the rows from `at` on, at most `count` of one segment, have or lack the same columns. */
static uint64_t same_groups(const struct segments *s, uint64_t at, uint64_t count, uint32_t columns_count)
{
    const struct column_group *group = &s->base;
    for (; group != NULL && group->first < columns_count; group = group_after(group)) {
        if (at < group->from && group->from - at < count)
            count = group->from - at;
    }
    return count;
}

bool segments_scan(struct segments *s, uint64_t snapshot, uint64_t *cursor, struct column *columns,
                   uint32_t columns_count, struct batch *out)
{
    uint64_t first, end = rows_at(s, snapshot, &first);
    if (*cursor < first)
        *cursor = first;
    if (*cursor >= end)
        return false;
    uint32_t k = segment_of(*cursor);
    uint64_t offset = *cursor - segment_start(k), count = segment_rows(k) - offset;
    if (count > end - *cursor)
        count = end - *cursor;
    if (count > BATCH_ROWS_MAX)
        count = BATCH_ROWS_MAX;
    count = same_groups(s, *cursor, count, columns_count);
    uint32_t filled = 0;
    const struct column_group *group = &s->base;
    for (; group != NULL && filled < columns_count; group = group_after(group)) {
        for (uint32_t c = 0; c < group->count && filled < columns_count; c++, filled++) {
            if (*cursor < group->from) {
                columns[filled] = group->missing[c];
                continue;
            }
            struct segment_column *from = &segment_at(group, k)[c];
            uint8_t *nulls = atomic_load_explicit(&from->nulls, memory_order_acquire);
            columns[filled] =
                (struct column){.type = group->types[c],
                                .phys = group->phys[c],
                                .data = (uint8_t *)from->data + offset * phys_bytes(group->phys[c]),
                                .nulls = nulls != NULL ? nulls + offset : NULL};
        }
    }
    CHECK(filled == columns_count);
    *out = (struct batch){.rows = (uint32_t)count, .columns_count = columns_count, .columns = columns};
    *cursor += count;
    return true;
}

uint64_t segments_rows(const struct segments *s)
{
    return atomic_load_explicit(&s->rows, memory_order_acquire);
}

uint64_t segments_first(const struct segments *s)
{
    return atomic_load_explicit(&s->first, memory_order_acquire);
}

int64_t segments_bytes(const struct segments *s)
{
    return atomic_load_explicit(&s->bytes, memory_order_relaxed);
}

/* ---- checkpoints ---- */

uint64_t segments_saved_rows(const struct segments *s)
{
    return s->saved.saved;
}

#define SAVED_VERSION 1u

static void bounds(const void *of, uint64_t *first, uint64_t *end)
{
    *first = segments_first(of);
    *end = segments_rows(of);
}

static void copy_out(const struct column_group *group, uint32_t c, uint64_t at, uint32_t count,
                     struct column *out, struct arena *arena)
{
    uint32_t k = segment_of(at), bytes = phys_bytes(group->phys[c]);
    uint64_t offset = at - segment_start(k);
    const uint8_t *data, *nulls;
    if (at < group->from) {
        data = group->missing[c].data;
        nulls = group->missing[c].nulls;
    } else {
        const struct segment_column *from = &segment_at(group, k)[c];
        data = (const uint8_t *)from->data + offset * bytes;
        nulls = atomic_load_explicit(&from->nulls, memory_order_relaxed);
        nulls = nulls != NULL ? nulls + offset : NULL;
    }
    *out = (struct column){.type = group->types[c],
                           .phys = group->phys[c],
                           .data = arena_copy(arena, data, (size_t)bytes * count),
                           .nulls = nulls != NULL ? arena_copy(arena, nulls, count) : NULL};
    struct varlen *texts = group->phys[c] == PHYS_VAR ? out->data : NULL;
    for (uint32_t i = 0; texts != NULL && i < count; i++) {
        if (texts[i].len > VARLEN_INLINE_MAX)
            texts[i] = varlen_view(arena_copy(arena, varlen_bytes(&texts[i]), texts[i].len), texts[i].len);
    }
}

static void gather_range(void *of, uint64_t first, uint32_t *count, struct column *out, struct arena *arena)
{
    struct segments *s = of;
    uint32_t k = segment_of(first);
    uint64_t room = segment_rows(k) - (first - segment_start(k));
    *count = (uint32_t)same_groups(s, first, *count < room ? *count : room, s->columns_count);
    for (const struct column_group *group = &s->base; group != NULL; group = group_after(group)) {
        for (uint32_t c = 0; c < group->count; c++)
            copy_out(group, c, first, *count, &out[group->first + c], arena);
    }
}

static const struct batch *add_missing(const struct segments *s, const struct batch *rows,
                                       struct arena *arena)
{
    struct batch *wide = batch_header(arena, s->columns_count);
    wide->rows = rows->rows;
    wide->weights = rows->weights;
    memcpy(wide->columns, rows->columns, sizeof(*wide->columns) * rows->columns_count);
    for (const struct column_group *group = &s->base; group != NULL; group = group_after(group)) {
        for (uint32_t c = 0; c < group->count; c++) {
            struct column *column = &wide->columns[group->first + c];
            if (group->first + c < rows->columns_count)
                continue;
            *column = group->missing[c]; /* one of them serves for all */
            column->is_constant = true;
        }
    }
    return wide;
}

static bool append_saved(void *of, uint64_t first, const struct batch *rows, uint32_t version,
                         struct error *err)
{
    struct segments *s = of;
    if (version != SAVED_VERSION || rows->columns_count < s->base.count ||
        rows->columns_count > s->columns_count)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "saved rows are not of this form");
    if (s->stamps_count == 0)
        segments_begin(s, first);
    if (first != segments_rows(s))
        return error_set(err, ERRCODE_DATA_CORRUPTED, "saved rows from number %llu on are missing",
                         (unsigned long long)segments_rows(s));
    struct arena arena;
    arena_init(&arena, NULL);
    if (rows->columns_count < s->columns_count)
        rows = add_missing(s, rows, &arena);
    segments_append(s, rows, 0);
    arena_release(&arena);
    return true;
}

void segments_saved(struct segments *s, const char *name, struct saved_tables *out)
{
    struct sql_type *types = arena_alloc(out->arena, sizeof(*types) * s->columns_count);
    for (const struct column_group *group = &s->base; group != NULL; group = group_after(group))
        memcpy(types + group->first, group->types, sizeof(*types) * group->count);
    saved_tables_add(out, (struct saved_table){.name = name,
                                               .version = SAVED_VERSION,
                                               .columns_count = s->columns_count,
                                               .columns_least = s->base.count,
                                               .types = types,
                                               .of = s,
                                               .rows = &s->saved,
                                               .bounds = bounds,
                                               .gather_range = gather_range,
                                               .append = append_saved});
}
