/* connector.c: the table of connectors, and the reading of their options. */
#include "protocol/connector/connector.h"

#include <errno.h>
#include <stdlib.h>

static const struct connector_class *const connectors[] = {&connector_generator};

const struct connector_class *connector_at(size_t index)
{
    return index < ARRAY_COUNT(connectors) ? connectors[index] : NULL;
}

const struct connector_class *connector_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(connectors); i++) {
        if (strcmp(connectors[i]->name, name) == 0)
            return connectors[i];
    }
    return NULL;
}

static const char *given(const struct source_spec *spec, const char *name)
{
    for (uint32_t i = 0; i < spec->options_count; i++) {
        if (strcmp(spec->options[i].name, name) == 0)
            return spec->options[i].value;
    }
    return NULL;
}

const struct connector_option_row *connector_option_row(const struct connector_option_row *rows,
                                                        const char *name)
{
    while (rows->name != NULL && strcmp(rows->name, name) != 0)
        rows++;
    return rows->name != NULL ? rows : NULL;
}

const char *connector_option(const struct connector_class *class, const struct source_spec *spec,
                             const char *name)
{
    const char *value = given(spec, name);
    const struct connector_option_row *row = connector_option_row(class->options, name);
    return value == NULL && row != NULL ? row->default_value : value;
}

static size_t edit_distance(const char *a, const char *b)
{
    size_t len_a = strlen(a), len_b = strlen(b);
    size_t row[64];
    if (len_a >= ARRAY_COUNT(row) || len_b >= ARRAY_COUNT(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= len_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= len_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len_b; j++) {
            size_t above = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[len_b];
}

static bool unknown_option(const struct connector_class *class, const char *name, struct error *err)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (const struct connector_option_row *row = class->options; row->name != NULL; row++) {
        size_t distance = edit_distance(name, row->name);
        if (distance < least) {
            least = distance;
            nearest = row->name;
        }
    }
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized option \"%s\" of connector \"%s\"", name,
              class->name);
    if (nearest != NULL)
        error_hint(err, "Perhaps you meant \"%s\".", nearest);
    return false;
}

bool connector_check_options(const struct connector_class *class, const struct source_spec *spec,
                             struct error *err)
{
    for (uint32_t i = 0; i < spec->options_count; i++) {
        if (connector_option_row(class->options, spec->options[i].name) == NULL)
            return unknown_option(class, spec->options[i].name, err);
    }
    for (const struct connector_option_row *row = class->options; row->name != NULL; row++) {
        if (row->default_value == NULL && given(spec, row->name) == NULL)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "connector \"%s\" needs option \"%s\"",
                             class->name, row->name);
    }
    return true;
}

bool connector_option_u64(const struct connector_class *class, const struct source_spec *spec,
                          const char *name, uint64_t *out, struct error *err)
{
    const char *text = connector_option(class, spec, name);
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-')
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"%s\": \"%s\"",
                         name, text);
    return true;
}
