/* connector.h: where rows of a fed stream come from: one class per connector, one table row for users.
 *
 * A source belongs to the thread that polls it (server/sources.c). It decodes straight into the columns of a
 * batch. Its position is a row number: a source opened again at position p goes on with the row after the
 * first p. */
#ifndef MILLRACE_CONNECTOR_CONNECTOR_H
#define MILLRACE_CONNECTOR_CONNECTOR_H

#include "storage/data/batch.h"

struct source; /* begins every connector's own struct */

struct connector_option {
    const char *name, *value;
};

/* What CREATE STREAM says. Borrowed during open. */
struct source_spec {
    const char *relation_name;
    uint32_t columns_count;
    const char *const *column_names;
    const struct sql_type *types;
    const struct connector_option *options; /* without "connector" itself */
    uint32_t options_count;
    uint64_t position; /* rows delivered before */
};

struct connector_option_row {
    const char *name;
    const char *default_value; /* NULL: required */
    const char *help;
};

struct connector_class {
    const char *name;
    const char *help;
    const struct connector_option_row *options; /* ends with a NULL name */
    /* Checks options and columns (22023, 42703, 42804 naming them). Used at CREATE with a NULL out to check
     * only. */
    bool (*open)(const struct source_spec *spec, struct source **out, struct error *err);
    /* Appends up to max_rows rows. *wait_until_ns: when more may come (clock_monotonic_ns; 0: now, INT64_MAX:
     * never: the source has ended). */
    bool (*poll)(struct source *source, uint32_t max_rows, struct batch *out, int64_t *wait_until_ns,
                 struct error *err);
    void (*close)(struct source *source);
    /* Whether rows have a column of that name; spec without columns. Others get their default. */
    bool (*makes)(const struct source_spec *spec, const char *column);
    /* Appends the rows at positions first to first + count - 1 again, byte for byte as poll gave them. NULL:
     * it cannot, and rows are logged instead of positions. */
    bool (*read)(struct source *source, uint64_t first, uint32_t count, struct batch *out, struct error *err);
};

struct source {
    const struct connector_class *class;
};

extern const struct connector_class connector_generator;

/* The row of an option, or NULL: for everything that has such a table. */
const struct connector_option_row *connector_option_row(const struct connector_option_row *rows,
                                                        const char *name);
/* NULL when there is none of that name. */
const struct connector_class *connector_find(const char *name);
const struct connector_class *connector_at(size_t index);
/* The option's value, its default, or NULL. */
const char *connector_option(const struct connector_class *class, const struct source_spec *spec,
                             const char *name);
/* Every option must be one of the class's: 22023 with the nearest name as hint. Required ones must be there.
 */
MUST_CHECK
bool connector_check_options(const struct connector_class *class, const struct source_spec *spec,
                             struct error *err);
MUST_CHECK
bool connector_option_u64(const struct connector_class *class, const struct source_spec *spec,
                          const char *name, uint64_t *out, struct error *err);

#endif
