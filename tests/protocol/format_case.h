/* format_case.h: what tests of formats share: specs from text, records in, rows as text out. */
#ifndef MILLRACE_TESTS_FORMAT_CASE_H
#define MILLRACE_TESTS_FORMAT_CASE_H

#include "protocol/format/format.h"
#include "tests/test.h"

#define FORMAT_CASE_COLUMNS_MAX 64
#define FORMAT_CASE_OPTIONS_MAX 16

struct format_case {
    struct arena arena;
    struct format_spec spec;
    struct format_column columns[FORMAT_CASE_COLUMNS_MAX];
    struct connector_option options[FORMAT_CASE_OPTIONS_MAX];
    struct batch *rows;
    struct strbuf text;
};

static inline struct sql_type format_case_type(const char *text)
{
    struct error err;
    char name[64];
    int32_t args[2] = {0}, count = 0, typmod = -1;
    snprintf(name, sizeof(name), "%s", text);
    char *open = strchr(name, '('), *close = open != NULL ? strchr(open, ')') : NULL;
    if (open != NULL) {
        for (char *at = open; at < close; at = strpbrk(at + 1, ",)"))
            args[count++] = atoi(at + 1);
        memmove(open, close + 1, strlen(close + 1) + 1);
    }
    const struct type_row *row = type_find_name(name);
    if (row == NULL) {
        test_fail(__FILE__, __LINE__, text);
        return (struct sql_type){OID_TEXT, -1};
    }
    uint32_t base = row->element_oid != 0 ? row->element_oid : row->oid;
    if (count > 0 && !type_typmod(base, args, (uint32_t)count, &typmod, &err))
        test_fail(__FILE__, __LINE__, err.message);
    return (struct sql_type){row->oid, typmod};
}

/* columns: "id bigint key; name text not null; city text a.city". */
static inline void format_case_open(struct format_case *c, const char *columns, bool is_table)
{
    *c = (struct format_case){.spec = {.relation_name = "t", .topic = "topic", .is_table = is_table}};
    arena_init(&c->arena, NULL);
    c->spec.columns = c->columns;
    c->spec.options = c->options;
    for (const char *at = columns; *at != '\0';) {
        while (*at == ' ' || *at == ';')
            at++;
        size_t len = strcspn(at, ";");
        if (len == 0)
            break;
        char *line = arena_strndup(&c->arena, at, len), *name = line, *rest = strchr(line, ' ');
        struct format_column *column = &c->columns[c->spec.columns_count++];
        *rest++ = '\0';
        char *more = strpbrk(rest, " ");
        if (more != NULL)
            *more++ = '\0';
        *column = (struct format_column){.name = name, .type = format_case_type(rest)};
        if (more != NULL && strcmp(more, "key") == 0)
            column->is_key = true;
        else if (more != NULL && strcmp(more, "not null") == 0)
            column->not_null = true;
        else
            column->path = more;
        at += len;
    }
    struct sql_type types[FORMAT_CASE_COLUMNS_MAX];
    for (uint32_t i = 0; i < c->spec.columns_count; i++)
        types[i] = c->columns[i].type;
    c->rows = batch_create(&c->arena, types, c->spec.columns_count, 4);
}

static inline void format_case_option(struct format_case *c, const char *name, const char *value)
{
    c->options[c->spec.options_count++] =
        (struct connector_option){arena_strdup(&c->arena, name), arena_strdup(&c->arena, value)};
}

static inline void format_case_close(struct format_case *c)
{
    strbuf_release(&c->text);
    arena_release(&c->arena);
}

static inline const char *format_case_error(struct format_case *c, const struct error *err)
{
    strbuf_reset(&c->text);
    strbuf_addf(&c->text, "%s %s", error_sqlstate(err->code), err->message);
    return strbuf_text(&c->text);
}

/* The rows since the last call as text, or the error. */
static inline const char *format_case_decode(struct format_case *c, struct decoder *decoder, const void *key,
                                             size_t key_len, const void *value, size_t value_len)
{
    struct error err;
    struct record record = {
        .key = key, .key_len = key_len, .value = value, .value_len = value_len, .timestamp_us = 0};
    batch_clear(c->rows);
    error_init(&err);
    if (!decoder->class->decode(decoder, &record, c->rows, &err)) {
        EXPECT_INT(c->rows->rows, 0);
        EXPECT(err.code != ERRCODE_NONE && err.code != ERRCODE_INTERNAL_ERROR);
        return format_case_error(c, &err);
    }
    strbuf_reset(&c->text);
    batch_to_text(c->rows, &c->text);
    return strbuf_text(&c->text);
}

/* Bytes of hexadecimal text, in the arena. */
static inline uint8_t *format_case_hex(struct format_case *c, const char *hex, size_t *len)
{
    *len = strlen(hex) / 2;
    uint8_t *bytes = arena_alloc(&c->arena, *len);
    for (size_t i = 0; i < *len; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (uint8_t)byte;
    }
    return bytes;
}

static inline uint64_t format_case_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
