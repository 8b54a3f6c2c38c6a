/* generator.c: connector 'generator': rows made by the server itself, at a rate or as fast as they are taken.
 */
#include "protocol/connector/connector.h"
#include "protocol/connector/nexmark.h"
#include "storage/base/clock.h"

struct generator {
    struct source base;
    struct nexmark nexmark;
    enum nexmark_kind kind;
    uint32_t *columns;
    uint64_t next_row, rows_max; /* of its kind */
    uint64_t rate;               /* events per second of wall time, all kinds; 0: no limit */
    int64_t start_ns;
    uint64_t start_event;
};

static const struct connector_option_row options[] = {
    {"kind", "nexmark", "what to make; nexmark is all there is"},
    {"relation", "", "person, auction or bid; by default the name of the stream"},
    {"events", "0",
     "how many Nexmark events there are in all, persons, auctions and bids together; 0: no end"},
    {"rate", "0", "events per second of wall time; 0: as fast as they are taken"},
    {"seed", "1", "the same seed makes the same rows"},
    {"start", "2026-01-01 00:00:00", "event time of the first event"},
    {"event_rate", "10000", "events per second of event time"},
    {NULL, NULL, NULL},
};

static bool choose_kind(const char *name, enum nexmark_kind *kind, struct error *err)
{
    static const char *const names[] = {"person", "auction", "bid"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            *kind = (enum nexmark_kind)i;
            return true;
        }
    }
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "the nexmark generator has no relation \"%s\"", name);
    return error_hint(err, "Set option relation to person, auction or bid.");
}

/* The kind that the options name, or the relation's own name. */
static bool kind_of(const struct source_spec *spec, enum nexmark_kind *kind, struct error *err)
{
    const char *relation = connector_option(&connector_generator, spec, "relation");
    return choose_kind(relation[0] != '\0' ? relation : spec->relation_name, kind, err);
}

static bool generator_makes(const struct source_spec *spec, const char *column)
{
    enum nexmark_kind kind;
    struct error ignored;
    if (!kind_of(spec, &kind, &ignored))
        return true; /* opening says what is wrong */
    const struct nexmark_column *known = nexmark_columns(kind);
    while (known->name != NULL && strcmp(known->name, column) != 0)
        known++;
    return known->name != NULL;
}

static bool map_columns(struct generator *generator, const struct source_spec *spec, struct error *err)
{
    const struct nexmark_column *known = nexmark_columns(generator->kind);
    generator->columns = mem_alloc(sizeof(uint32_t) * (spec->columns_count + 1));
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        uint32_t at = 0;
        while (known[at].name != NULL && strcmp(known[at].name, spec->column_names[i]) != 0)
            at++;
        if (known[at].name == NULL)
            return error_set(err, ERRCODE_UNDEFINED_COLUMN, "the nexmark generator makes no column \"%s\"",
                             spec->column_names[i]);
        bool fits = spec->types[i].oid == known[at].type_oid ||
                    (spec->types[i].oid == OID_VARCHAR && known[at].type_oid == OID_TEXT) ||
                    (spec->types[i].oid == OID_TIMESTAMPTZ && known[at].type_oid == OID_TIMESTAMP);
        if (!fits)
            return error_set(err, ERRCODE_DATATYPE_MISMATCH,
                             "column \"%s\" of the nexmark generator is of type %s", known[at].name,
                             type_find(known[at].type_oid)->sql_name);
        generator->columns[i] = at;
    }
    return true;
}

static void generator_close(struct source *source)
{
    struct generator *generator = (struct generator *)source;
    mem_free(generator->columns);
    mem_free(generator);
}

static bool generator_init(struct generator *generator, const struct source_spec *spec, struct error *err)
{
    const struct connector_class *class = &connector_generator;
    if (!connector_check_options(class, spec, err))
        return false;
    const char *kind = connector_option(class, spec, "kind");
    if (strcmp(kind, "nexmark") != 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized generator kind \"%s\"", kind);
    uint64_t events;
    if (!kind_of(spec, &generator->kind, err) || !connector_option_u64(class, spec, "events", &events, err) ||
        !connector_option_u64(class, spec, "rate", &generator->rate, err) ||
        !connector_option_u64(class, spec, "seed", &generator->nexmark.seed, err) ||
        !connector_option_u64(class, spec, "event_rate", &generator->nexmark.events_per_second, err))
        return false;
    if (generator->nexmark.events_per_second == 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"event_rate\" must be at least 1");
    const char *start = connector_option(class, spec, "start");
    struct arena arena;
    arena_init(&arena, NULL);
    struct datum value;
    bool ok = type_input(OID_TIMESTAMP, -1, start, strlen(start), &io_env_default, &arena, &value, err);
    arena_release(&arena);
    if (!ok)
        return false;
    generator->nexmark.start_us = value.i64;
    generator->rows_max = events == 0 ? UINT64_MAX : nexmark_rows_in(generator->kind, events);
    generator->next_row = spec->position;
    generator->start_ns = clock_monotonic_ns();
    generator->start_event = nexmark_event_of_row(generator->kind, spec->position);
    return map_columns(generator, spec, err);
}

static bool generator_open(const struct source_spec *spec, struct source **out, struct error *err)
{
    struct generator *generator = mem_zalloc(sizeof(*generator));
    generator->base.class = &connector_generator;
    bool ok = generator_init(generator, spec, err);
    if (ok && out != NULL)
        *out = &generator->base;
    else
        generator_close(&generator->base);
    return ok;
}

static bool generator_poll(struct source *source, uint32_t max_rows, struct batch *out,
                           int64_t *wait_until_ns, struct error *err)
{
    struct generator *self = (struct generator *)source;
    (void)err;
    uint64_t until = self->rows_max;
    *wait_until_ns = 0;
    if (self->rate > 0) {
        uint64_t elapsed_ns = (uint64_t)(clock_monotonic_ns() - self->start_ns);
        uint64_t due =
            self->start_event + (uint64_t)((unsigned __int128)elapsed_ns * self->rate / 1000000000u);
        uint64_t rows_due = nexmark_rows_in(self->kind, due);
        until = rows_due < until ? rows_due : until;
    }
    uint32_t count = 0;
    if (until > self->next_row)
        count = until - self->next_row < max_rows ? (uint32_t)(until - self->next_row) : max_rows;
    nexmark_append(&self->nexmark, self->kind, self->next_row, count, self->columns, out);
    self->next_row += count;
    if (self->next_row >= self->rows_max) {
        *wait_until_ns = INT64_MAX;
    } else if (self->rate > 0 && count < max_rows) {
        uint64_t events_ahead = nexmark_event_of_row(self->kind, self->next_row) - self->start_event + 1;
        int64_t due_ns =
            self->start_ns + (int64_t)((unsigned __int128)events_ahead * 1000000000u / self->rate);
        int64_t soon_ns = clock_monotonic_ns() + 5000000; /* at most 200 ticks a second */
        *wait_until_ns = due_ns > soon_ns ? due_ns : soon_ns;
    }
    return true;
}

static bool generator_read(struct source *source, uint64_t first, uint32_t count, struct batch *out,
                           struct error *err)
{
    struct generator *self = (struct generator *)source;
    (void)err;
    nexmark_append(&self->nexmark, self->kind, first, count, self->columns, out);
    return true;
}

const struct connector_class connector_generator = {
    .name = "generator",
    .help =
        "rows made by the server itself: WITH (connector = 'generator', kind = 'nexmark', relation = 'bid')",
    .options = options,
    .open = generator_open,
    .poll = generator_poll,
    .close = generator_close,
    .makes = generator_makes,
    .read = generator_read,
};
