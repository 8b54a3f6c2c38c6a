/* format_test.h: what tests of formats share: columns written as text, records in, rows and errors out. */
#ifndef MILLRACE_TESTS_PROTOCOL_FORMAT_TEST_H
#define MILLRACE_TESTS_PROTOCOL_FORMAT_TEST_H

#include "protocol/format/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_TEST_MAX 64

struct format_test {
    const struct format_class *class;
    struct format_column columns[FORMAT_TEST_MAX];
    struct connector_option options[FORMAT_TEST_MAX];
    struct format_spec spec;
    struct arena arena;
    struct arena rows_arena;
    struct batch *rows;
    struct decoder *decoder;
    struct encoder *encoder;
    struct error err;
};

/* One column: "name|type|path|flags"; path may be empty, flags are k (key) and n (not null). */
static inline void format_test_column(struct format_test *test, const char *text)
{
    struct format_column *column = &test->columns[test->spec.columns_count++];
    char *copy = arena_strdup(&test->arena, text), *parts[4] = {copy, "text", "", ""};
    for (int i = 1; i < 4 && copy != NULL; i++) {
        copy = strchr(copy, '|');
        if (copy != NULL) {
            *copy++ = '\0';
            parts[i] = copy;
        }
    }
    *column = (struct format_column){.name = parts[0], .type = {0, -1}};
    char *open = strchr(parts[1], '('), name[80];
    int32_t args[2];
    uint32_t args_count = 0;
    if (open != NULL) {
        args_count = (uint32_t)sscanf(open, "(%d,%d)", &args[0], &args[1]);
        char *close = strchr(open, ')');
        snprintf(name, sizeof(name), "%.*s%s", (int)(open - parts[1]), parts[1], close + 1);
    } else {
        snprintf(name, sizeof(name), "%s", parts[1]);
    }
    const struct type_row *row = type_find_name(name);
    if (row == NULL) {
        fprintf(stderr, "no type %s\n", name);
        exit(2);
    }
    column->type.oid = row->oid;
    if (args_count > 0) {
        uint32_t base = row->element_oid != 0 ? row->element_oid : row->oid;
        if (!type_typmod(base, args, args_count, &column->type.typmod, &test->err))
            exit(2);
    }
    column->path = parts[2][0] != '\0' ? parts[2] : NULL;
    column->is_key = strchr(parts[3], 'k') != NULL;
    column->not_null = strchr(parts[3], 'n') != NULL;
    test->spec.is_table |= column->is_key;
}

/* "name=value" */
static inline void format_test_option(struct format_test *test, const char *text)
{
    char *copy = arena_strdup(&test->arena, text), *equals = strchr(copy, '=');
    *equals = '\0';
    test->options[test->spec.options_count++] = (struct connector_option){copy, equals + 1};
}

/* columns and options end with NULL. */
static inline bool format_test_open(struct format_test *test, const char *format, const char *const *columns,
                                    const char *const *options)
{
    memset(test, 0, sizeof(*test));
    arena_init(&test->arena, NULL);
    arena_init(&test->rows_arena, NULL);
    error_init(&test->err);
    test->class = format_find(format);
    test->spec.relation_name = "t";
    test->spec.columns = test->columns;
    test->spec.options = test->options;
    for (; *columns != NULL; columns++)
        format_test_column(test, *columns);
    for (; options != NULL && *options != NULL; options++)
        format_test_option(test, *options);
    struct sql_type types[FORMAT_TEST_MAX];
    for (uint32_t i = 0; i < test->spec.columns_count; i++)
        types[i] = test->columns[i].type;
    test->rows = batch_create(&test->rows_arena, types, test->spec.columns_count, 2);
    return test->class->open_decoder(&test->spec, &test->decoder, &test->err);
}

static inline void format_test_close(struct format_test *test)
{
    if (test->decoder != NULL)
        test->class->close_decoder(test->decoder);
    if (test->encoder != NULL)
        test->class->close_encoder(test->encoder);
    arena_release(&test->rows_arena);
    arena_release(&test->arena);
}

/* The record stands in memory of its own, so that a sanitizer sees reads behind it. NULL: none. */
static inline bool format_test_decode(struct format_test *test, const char *key, size_t key_len,
                                      const char *value, size_t value_len)
{
    uint8_t *key_copy = key != NULL ? malloc(key_len + 1) : NULL;
    uint8_t *value_copy = value != NULL ? malloc(value_len + 1) : NULL;
    /* at the end of its block */
    struct record record = {.key = key_copy != NULL ? key_copy + 1 : NULL,
                            .key_len = key_len,
                            .value = value_copy != NULL ? value_copy + 1 : NULL,
                            .value_len = value_len};
    if (key_copy != NULL)
        memcpy(key_copy + 1, key, key_len);
    if (value_copy != NULL)
        memcpy(value_copy + 1, value, value_len);
    error_init(&test->err);
    bool ok = test->class->decode(test->decoder, &record, test->rows, &test->err);
    free(key_copy);
    free(value_copy);
    return ok;
}

static inline void format_test_value(const struct column *column, uint32_t row, struct strbuf *out)
{
    struct datum value = column_get(column, row);
    if (value.is_null)
        strbuf_adds(out, "\\N");
    else
        type_output(column->type.oid, &value, &io_env_default, out);
}

/* Values between bars, "-" first for a deletion. */
static inline void format_test_row(const struct format_test *test, uint32_t row, struct strbuf *out)
{
    if (batch_weight(test->rows, row) < 0)
        strbuf_addc(out, '-');
    for (uint32_t i = 0; i < test->rows->columns_count; i++) {
        if (i > 0)
            strbuf_addc(out, '|');
        format_test_value(&test->rows->columns[i], row, out);
    }
}

/* What a record makes: rows, one per line; or "SQLSTATE message (detail)". */
static inline void format_test_record(struct format_test *test, const char *key, const char *value,
                                      struct strbuf *out)
{
    uint32_t before = test->rows->rows;
    strbuf_reset(out);
    if (!format_test_decode(test, key, key != NULL ? strlen(key) : 0, value,
                            value != NULL ? strlen(value) : 0)) {
        strbuf_addf(out, "%s %s", error_sqlstate(test->err.code), test->err.message);
        if (test->err.detail[0] != '\0')
            strbuf_addf(out, " (%s)", test->err.detail);
        if (test->rows->rows != before)
            strbuf_adds(out, " BUT THERE ARE ROWS");
        return;
    }
    for (uint32_t row = before; row < test->rows->rows; row++) {
        if (row > before)
            strbuf_addc(out, '\n');
        format_test_row(test, row, out);
    }
}

#endif
