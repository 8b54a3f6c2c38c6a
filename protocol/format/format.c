/* format.c: the table of formats, their options, and the rows they append. */
#include "protocol/format/format.h"

#include <string.h>

static const struct format_class *const formats[] = {NULL}; /* ends with NULL */

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

static const struct connector_option_row *find_row(const struct format_class *class, const char *name)
{
    for (const struct connector_option_row *row = class->options; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

bool format_has_option(const struct format_class *class, const char *name)
{
    return find_row(class, name) != NULL;
}

const char *format_option(const struct format_class *class, const struct format_spec *spec, const char *name)
{
    for (uint32_t i = 0; i < spec->options_count; i++) {
        if (strcmp(spec->options[i].name, name) == 0)
            return spec->options[i].value;
    }
    const struct connector_option_row *row = find_row(class, name);
    return row != NULL ? row->default_value : NULL;
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

void format_row_end(struct batch *out, int64_t weight)
{
    if (weight != 1 && out->weights == NULL)
        batch_need_weights(out);
    if (out->weights != NULL)
        out->weights[out->rows] = weight;
    out->rows++;
}

void format_row_cancel(struct batch *out)
{
    for (uint32_t i = 0; i < out->columns_count; i++) {
        if (out->columns[i].nulls != NULL && out->rows < out->capacity)
            out->columns[i].nulls[out->rows] = 0;
    }
}
