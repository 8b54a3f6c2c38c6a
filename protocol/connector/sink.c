/* sink.c: the table of sinks, and their options. */
#include "protocol/connector/sink.h"

#include <string.h>

static const struct sink_class *const sinks[] = {&sink_kafka};

const struct sink_class *sink_at(size_t index)
{
    return index < ARRAY_COUNT(sinks) ? sinks[index] : NULL;
}

const struct sink_class *sink_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(sinks); i++) {
        if (strcmp(sinks[i]->name, name) == 0)
            return sinks[i];
    }
    return NULL;
}

const char *sink_option(const struct sink_class *class, const struct sink_spec *spec, const char *name)
{
    for (uint32_t i = 0; i < spec->options_count; i++) {
        if (strcmp(spec->options[i].name, name) == 0)
            return spec->options[i].value;
    }
    const struct connector_option_row *row = connector_option_row(class->options, name);
    return row != NULL ? row->default_value : NULL;
}

bool sink_check_options(const struct sink_class *class, const struct sink_spec *spec, struct error *err)
{
    for (uint32_t i = 0; i < spec->options_count; i++) {
        const struct connector_option *option = &spec->options[i];
        if (connector_option_row(class->options, option->name) != NULL)
            continue;
        if (class->accepts == NULL)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                             "unrecognized option \"%s\" of connector \"%s\"", option->name, class->name);
        if (!class->accepts(option->name, option->value, err))
            return false;
    }
    for (const struct connector_option_row *row = class->options; row->name != NULL; row++) {
        if (row->default_value == NULL && sink_option(class, spec, row->name) == NULL)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "connector \"%s\" needs option \"%s\"",
                             class->name, row->name);
    }
    return true;
}
