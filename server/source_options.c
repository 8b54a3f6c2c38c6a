/* source_options.c: see source_options.h. */
#include "server/source_options.h"

#include "planner/ddl.h"
#include "planner/ddl_time.h"
#include "server/sources.h"

#include <stdlib.h>
#include <string.h>

const struct connector_option_row source_log_options[] = {
    {"format", NULL, "how records are read: one of the formats below"},
    {"consumers", "1", "threads that read and decode, each partitions of its own"},
    {"on_error", "dead_letter",
     "what happens to a record that cannot become a row: dead_letter: it is kept in NAME_errors; skip: it is "
     "counted; fail: the source stops before it"},
    {"errors_rows", "0",
     "rows that NAME_errors keeps at most; the oldest go, by rejected_at, then partition and offset; 0: no "
     "limit"},
    {"errors_retention", "forever", "how long NAME_errors keeps a row: an interval, or forever"},
    {"skip_offset", "", "'PARTITION:OFFSET, PARTITION:OFFSET, ...' of records that are skipped unseen"},
    {"max_rows_per_second", "0", "records read per second, all consumers together; 0: no limit"},
    {"paused", "false", "true: nothing is read"},
    {NULL, NULL, NULL},
};

static const char *option(const struct catalog_object *object, const char *name)
{
    const char *value = ddl_option(object, name);
    for (const struct connector_option_row *row = source_log_options; value == NULL && row->name != NULL;
         row++)
        if (strcmp(row->name, name) == 0)
            value = row->default_value;
    return value;
}

static bool is_own(const char *name)
{
    for (const struct connector_option_row *row = source_log_options; row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            return true;
    return sources_option_is_ours(name);
}

static bool wrong(const struct catalog_object *object, const char *name, const char *hint, struct error *err)
{
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"%s\" of \"%s\" cannot be \"%s\"", name,
              object->name, option(object, name));
    return error_hint(err, "%s", hint);
}

static bool read_word(const struct catalog_object *object, const char *name, const char *const *words,
                      const char *hint, uint32_t *out, struct error *err)
{
    const char *text = option(object, name);
    for (*out = 0; words[*out] != NULL; (*out)++)
        if (strcmp(words[*out], text) == 0)
            return true;
    return wrong(object, name, hint, err);
}

/* The digits at *text, and what stands behind them. */
static bool read_number(const char **text, int64_t most, int64_t *out)
{
    const char *digit = *text;
    *out = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *digit - '0', out) ||
            *out > most)
            return false;
    bool any = digit != *text;
    *text = digit;
    return any;
}

static bool read_count(const struct catalog_object *object, const char *name, int64_t least, int64_t most,
                       int64_t *out, struct error *err)
{
    const char *text = option(object, name);
    if (read_number(&text, most, out) && *text == '\0' && *out >= least)
        return true;
    return wrong(object, name, least > 0 ? "It is a number, at least 1." : "It is a number, at least 0.",
                 err);
}

struct source_skips *source_skips_retain(struct source_skips *skips)
{
    if (skips != NULL)
        atomic_fetch_add(&skips->references, 1);
    return skips;
}

void source_skips_release(struct source_skips *skips)
{
    if (skips != NULL && atomic_fetch_sub(&skips->references, 1) == 1)
        mem_free(skips);
}

static int compare_skips(const void *a, const void *b)
{
    const struct source_skip *left = a, *right = b;
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

bool source_skips_has(const struct source_skips *skips, int32_t partition, int64_t offset)
{
    struct source_skip wanted = {partition, offset};
    return bsearch(&wanted, skips->items, skips->count, sizeof(wanted), compare_skips) != NULL;
}

static void pass_spaces(const char **text)
{
    while (**text == ' ')
        (*text)++;
}

/* 'P:O, P:O, ...': as many as there are in `room`. */
static bool read_skip_list(const char *text, struct source_skips *room)
{
    for (;;) {
        struct source_skip *skip = &room->items[room->count++];
        int64_t partition;
        pass_spaces(&text);
        if (!read_number(&text, INT32_MAX, &partition) || *text++ != ':' ||
            !read_number(&text, INT64_MAX, &skip->offset))
            return false;
        skip->partition = (int32_t)partition;
        pass_spaces(&text);
        if (*text == '\0')
            return true;
        if (*text++ != ',')
            return false;
    }
}

static bool read_skips(const struct catalog_object *object, struct source_skips **out, struct error *err)
{
    const char *text = option(object, "skip_offset");
    size_t count = 1;
    *out = NULL;
    if (text[0] == '\0')
        return true;
    for (const char *comma = text; (comma = strchr(comma, ',')) != NULL; comma++)
        count++;
    struct source_skips *skips = mem_zalloc(sizeof(*skips) + count * sizeof(skips->items[0]));
    atomic_init(&skips->references, 1);
    if (!read_skip_list(text, skips)) {
        source_skips_release(skips);
        return wrong(object, "skip_offset",
                     "It is a list of 'PARTITION:OFFSET', for example '3:1017' or '3:1017, 4:220'.", err);
    }
    qsort(skips->items, skips->count, sizeof(skips->items[0]), compare_skips);
    for (uint32_t i = 1; i < skips->count; i++)
        if (compare_skips(&skips->items[i - 1], &skips->items[i]) == 0) {
            wrong(object, "skip_offset", "", err);
            error_hint(err, "It names the record %d:%lld twice.", skips->items[i].partition,
                       (long long)skips->items[i].offset);
            source_skips_release(skips);
            return false;
        }
    *out = skips;
    return true;
}

bool source_options_read(const struct catalog_object *object, struct source_log_settings *out,
                         struct error *err)
{
    static const char *const on_error[] = {"dead_letter", "skip", "fail", NULL};
    static const char *const booleans[] = {"false", "true", NULL};
    uint32_t error_word, paused;
    int64_t consumers, errors_rows;
    bool is_forever = strcmp(option(object, "errors_retention"), "forever") == 0;
    *out = (struct source_log_settings){0};
    if (!read_count(object, "consumers", 1, 1024, &consumers, err) ||
        !read_count(object, "errors_rows", 0, INT64_MAX, &errors_rows, err) ||
        (!is_forever && !ddl_interval_option(object, "errors_retention", false, &out->errors_us, err)) ||
        !read_count(object, "max_rows_per_second", 0, INT64_MAX, &out->rows_per_second, err) ||
        !read_word(object, "on_error", on_error, "It is dead_letter, skip or fail.", &error_word, err) ||
        !read_word(object, "paused", booleans, "It is true or false.", &paused, err) ||
        !read_skips(object, &out->skips, err))
        return false;
    out->consumers = (uint32_t)consumers;
    out->errors_rows = (uint64_t)errors_rows;
    out->on_error = (enum source_on_error)error_word;
    out->is_paused = paused == 1;
    return true;
}

bool source_options_format(const struct catalog_object *object, struct arena *arena,
                           const struct format_class **format, const struct connector_option **options,
                           uint32_t *count, struct error *err)
{
    const char *name = ddl_option(object, "format");
    *format = name != NULL ? format_find(name) : NULL;
    if (*format == NULL) {
        struct strbuf names = STRBUF_INIT;
        const struct format_class *other;
        for (size_t i = 0; (other = format_at(i)) != NULL; i++)
            strbuf_addf(&names, "%s%s", i > 0 ? ", " : "", other->name);
        if (name == NULL)
            error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "\"%s\" needs option \"format\"", object->name);
        else
            error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                      "option \"format\" of \"%s\" names unknown format \"%s\"", object->name, name);
        error_hint(err, "The formats are %s.", strbuf_text(&names));
        strbuf_release(&names);
        return false;
    }
    struct connector_option *list = ARENA_ARRAY(arena, struct connector_option, object->options_count + 1);
    *count = 0;
    for (uint32_t i = 0; i < object->options_count; i++)
        if (!is_own(object->options[i].name) && format_has_option(*format, object->options[i].name))
            list[(*count)++] = (struct connector_option){object->options[i].name, object->options[i].value};
    *options = list;
    return true;
}

void source_options_connector(const struct catalog_object *object, const struct format_class *format,
                              struct arena *arena, struct source_spec *out)
{
    struct connector_option *list = ARENA_ARRAY(arena, struct connector_option, object->options_count + 1);
    *out = (struct source_spec){.relation_name = object->name, .options = list};
    for (uint32_t i = 0; i < object->options_count; i++)
        if (!is_own(object->options[i].name) && !format_has_option(format, object->options[i].name))
            list[out->options_count++] =
                (struct connector_option){object->options[i].name, object->options[i].value};
}
