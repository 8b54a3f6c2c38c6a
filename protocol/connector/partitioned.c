/* partitioned.c: the table of partitioned logs, and their options. */
#include "protocol/connector/partitioned.h"

#include <string.h>

static const struct partitioned_class *const classes[] = {&partitioned_kafka};

const struct partitioned_class *partitioned_at(size_t index)
{
    return index < ARRAY_COUNT(classes) ? classes[index] : NULL;
}

const struct partitioned_class *partitioned_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++) {
        if (strcmp(classes[i]->name, name) == 0)
            return classes[i];
    }
    return NULL;
}

/* Rows of options are those of connectors, here of one that can do nothing else. */
static struct connector_class options_of(const struct partitioned_class *class)
{
    return (struct connector_class){.name = class->name, .options = class->options};
}

const char *partitioned_option(const struct partitioned_class *class, const struct source_spec *spec,
                               const char *name)
{
    struct connector_class rows = options_of(class);
    return connector_option(&rows, spec, name);
}

bool partitioned_check_options(const struct partitioned_class *class, const struct source_spec *spec,
                               struct error *err)
{
    struct connector_class rows = options_of(class);
    if (class->accepts == NULL)
        return connector_check_options(&rows, spec, err);
    struct arena arena;
    arena_init(&arena, NULL);
    struct connector_option *ours = ARENA_ARRAY(&arena, struct connector_option, spec->options_count);
    struct source_spec own = *spec;
    own.options = ours;
    own.options_count = 0;
    bool ok = true;
    for (uint32_t i = 0; ok && i < spec->options_count; i++) {
        if (connector_option_row(class->options, spec->options[i].name) != NULL)
            ours[own.options_count++] = spec->options[i];
        else
            ok = class->accepts(spec->options[i].name, spec->options[i].value, err);
    }
    ok = ok && connector_check_options(&rows, &own, err);
    arena_release(&arena);
    return ok;
}
