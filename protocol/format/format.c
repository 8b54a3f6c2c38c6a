/* format.c: the table of formats, their options, and the rows they append. */
#include "protocol/format/format.h"

#include <string.h>

static const struct format_class *const formats[] = {
    &format_json,     &format_csv,  &format_text,     &format_raw,
    &format_debezium, &format_avro, &format_protobuf, NULL}; /* ends with NULL */

const struct format_class *format_at(size_t index)
{
    return index < ARRAY_COUNT(formats) ? formats[index] : NULL;
}

const struct format_class *format_find(const char *name)
{
    for (size_t i = 0; formats[i] != NULL; i++) {
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    }
    return NULL;
}

bool format_has_option(const struct format_class *class, const char *name)
{
    return connector_option_row(class->options, name) != NULL;
}

const char *format_option(const struct format_class *class, const struct format_spec *spec, const char *name)
{
    for (uint32_t i = 0; i < spec->options_count; i++) {
        if (strcmp(spec->options[i].name, name) == 0)
            return spec->options[i].value;
    }
    const struct connector_option_row *row = connector_option_row(class->options, name);
    return row != NULL ? row->default_value : NULL;
}

bool format_option_word(const struct format_class *class, const struct format_spec *spec, const char *name,
                        const char *const *words, uint32_t *out, struct error *err)
{
    const char *value = format_option(class, spec, name);
    for (*out = 0; words[*out] != NULL; ++*out) {
        if (strcmp(words[*out], value) == 0)
            return true;
    }
    struct strbuf list = STRBUF_INIT;
    for (uint32_t i = 0; words[i] != NULL; i++)
        strbuf_addf(&list, "%s%s", i > 0 ? ", " : "", words[i]);
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"%s\" of format %s: \"%s\"",
              name, class->name, value);
    error_hint(err, "Valid values: %s.", strbuf_text(&list));
    strbuf_release(&list);
    return false;
}

bool format_option_bool(const struct format_class *class, const struct format_spec *spec, const char *name,
                        bool *out, struct error *err)
{
    static const char *const words[] = {"false", "true", NULL};
    uint32_t word;
    if (!format_option_word(class, spec, name, words, &word, err))
        return false;
    *out = word == 1;
    return true;
}

bool format_option_byte(const struct format_class *class, const struct format_spec *spec, const char *name,
                        char *out, struct error *err)
{
    const char *value = format_option(class, spec, name);
    if (strlen(value) != 1 || *value == '\n' || *value == '\r')
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "option \"%s\" of format %s must be a single one-byte character", name, class->name);
    *out = *value;
    return true;
}

bool format_check_options(const struct format_class *class, const struct format_spec *spec, struct error *err)
{
    for (uint32_t i = 0; i < spec->options_count; i++) {
        if (!format_has_option(class, spec->options[i].name))
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "format %s has no option \"%s\"",
                             class->name, spec->options[i].name);
    }
    return true;
}

bool format_check_no_paths(const struct format_class *class, const struct format_spec *spec,
                           struct error *err)
{
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if (spec->columns[i].path != NULL)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                             "column \"%s\" has a path, and records of format %s have none",
                             spec->columns[i].name, class->name);
    }
    return true;
}

bool format_blame_column(struct error *err, const char *column)
{
    struct error cause = *err;
    error_set(err, cause.code, "column \"%s\": %s", column, cause.message);
    if (cause.detail[0] != '\0')
        error_detail(err, "%s", cause.detail);
    if (cause.hint[0] != '\0')
        error_hint(err, "%s", cause.hint);
    memcpy(err->column_name, column, strnlen(column, sizeof(err->column_name) - 1));
    return false;
}

uint32_t format_row_begin(struct batch *out)
{
    batch_reserve(out, 1);
    uint32_t row = out->rows;
    for (uint32_t i = 0; i < out->columns_count; i++) {
        struct column *column = &out->columns[i];
        uint32_t bytes = phys_bytes(column->phys);
        memset((uint8_t *)column->data + (size_t)row * bytes, 0, bytes);
        column_need_nulls(column, out->capacity, out->arena)[row] = 1;
    }
    return row;
}

static void end_row(struct batch *out, int64_t weight)
{
    if (weight != 1 && out->weights == NULL)
        batch_need_weights(out);
    if (out->weights != NULL)
        out->weights[out->rows] = weight;
    out->rows++;
}

static void cancel_row(struct batch *out)
{
    for (uint32_t i = 0; i < out->columns_count; i++) {
        if (out->columns[i].nulls != NULL && out->rows < out->capacity)
            out->columns[i].nulls[out->rows] = 0;
    }
}

bool format_row_finish(struct batch *out, bool ok, int64_t weight)
{
    if (LIKELY(ok))
        end_row(out, weight);
    else
        cancel_row(out);
    return ok;
}
