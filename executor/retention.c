/* retention.c: see retention.h. */
#include "executor/retention.h"

#include "storage/base/arena.h"

#define SPAN_MARKS 256 /* in what is kept, at least */

struct mark {
    int64_t begin_us, clock_us; /* of its first and its last tick */
    uint64_t begin_rows, rows;  /* seen before the first and after the last */
    uint64_t *ends;             /* by shard */
};

struct retention {
    int64_t age_us;
    uint64_t max_rows;
    uint32_t shards_count;
    int64_t clock_us; /* never goes back */
    uint64_t rows_seen;
    struct mark *marks; /* a ring of cap, a power of two */
    uint32_t first, count, cap;
};

static struct mark *mark_at(const struct retention *r, uint32_t at)
{
    return &r->marks[(r->first + at) & (r->cap - 1)];
}

struct retention *retention_create(int64_t age_us, uint64_t rows, uint32_t shards_count)
{
    struct retention *r = mem_zalloc(sizeof(*r));
    r->age_us = age_us;
    r->max_rows = rows;
    r->shards_count = shards_count;
    r->clock_us = INT64_MIN;
    return r;
}

void retention_destroy(struct retention *r)
{
    if (r == NULL)
        return;
    for (uint32_t i = 0; i < r->cap; i++)
        mem_free(r->marks[i].ends);
    mem_free(r->marks);
    mem_free(r);
}

static void grow(struct retention *r)
{
    uint32_t cap = r->cap > 0 ? r->cap * 2 : 8;
    struct mark *marks = mem_zalloc(sizeof(*marks) * cap);
    for (uint32_t i = 0; i < r->cap; i++)
        marks[i] =
            r->marks[(r->first + i) & (r->cap - 1)]; /* those that are not in use have room for ends too */
    for (uint32_t i = r->cap; i < cap; i++)
        marks[i].ends = mem_zalloc(sizeof(uint64_t) * r->shards_count);
    mem_free(r->marks);
    r->marks = marks;
    r->first = 0;
    r->cap = cap;
}

static struct mark *add_mark(struct retention *r)
{
    if (r->count == r->cap)
        grow(r);
    struct mark *mark = mark_at(r, r->count++);
    mark->begin_us = r->clock_us;
    mark->begin_rows = r->rows_seen;
    return mark;
}

static void pass_clock(struct retention *r, int64_t clock_us)
{
    if (clock_us > r->clock_us)
        r->clock_us = clock_us;
}

/* Whether the newest mark may stand for what comes now as well. */
static bool is_near(const struct retention *r, const struct mark *mark)
{
    return (r->age_us == 0 || r->clock_us - mark->begin_us < r->age_us / SPAN_MARKS) &&
           (r->max_rows == 0 || r->rows_seen - mark->begin_rows < r->max_rows / SPAN_MARKS);
}

void retention_note(struct retention *r, int64_t clock_us, uint64_t rows_seen, const uint64_t *ends)
{
    pass_clock(r, clock_us);
    if (rows_seen == r->rows_seen)
        return;
    struct mark *mark = r->count > 0 ? mark_at(r, r->count - 1) : NULL;
    if (mark == NULL || !is_near(r, mark))
        mark = add_mark(r);
    r->rows_seen = rows_seen;
    mark->clock_us = r->clock_us;
    mark->rows = rows_seen;
    memcpy(mark->ends, ends, sizeof(*ends) * r->shards_count);
}

bool retention_pass(struct retention *r, int64_t clock_us, uint64_t *firsts)
{
    pass_clock(r, clock_us);
    bool any = false;
    while (r->count > 0) {
        const struct mark *mark = mark_at(r, 0);
        bool is_old = r->age_us > 0 && r->clock_us - mark->clock_us >= r->age_us;
        if (!is_old && (r->max_rows == 0 || r->rows_seen - mark->rows < r->max_rows))
            break;
        memcpy(firsts, mark->ends, sizeof(*firsts) * r->shards_count);
        any = true;
        r->first = (r->first + 1) & (r->cap - 1);
        r->count--;
    }
    return any;
}

int64_t retention_due(const struct retention *r)
{
    int64_t due;
    if (r->age_us == 0 || r->count == 0 || __builtin_add_overflow(mark_at(r, 0)->clock_us, r->age_us, &due))
        return INT64_MAX;
    return due;
}

void retention_save_rest(const struct retention *r, struct strbuf *out)
{
    rest_add(out, (uint64_t)r->clock_us);
    rest_add(out, r->rows_seen);
    rest_add(out, r->count);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct mark *mark = mark_at(r, i);
        rest_add(out, (uint64_t)mark->begin_us);
        rest_add(out, (uint64_t)mark->clock_us);
        rest_add(out, mark->begin_rows);
        rest_add(out, mark->rows);
        for (uint32_t shard = 0; shard < r->shards_count; shard++)
            rest_add(out, mark->ends[shard]);
    }
}

void retention_restore_rest(struct retention *r, struct rest_reader *reader)
{
    r->first = r->count = 0;
    r->clock_us = (int64_t)rest_take(reader);
    r->rows_seen = rest_take(reader);
    for (uint64_t count = rest_take(reader); count > 0 && !reader->is_short; count--) {
        struct mark *mark = add_mark(r);
        mark->begin_us = (int64_t)rest_take(reader);
        mark->clock_us = (int64_t)rest_take(reader);
        mark->begin_rows = rest_take(reader);
        mark->rows = rest_take(reader);
        for (uint32_t shard = 0; shard < r->shards_count; shard++)
            mark->ends[shard] = rest_take(reader);
    }
}
