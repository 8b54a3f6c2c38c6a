/* source_options.h: what WITH (...) of a relation over a log in partitions says, and to whom. */
#ifndef MILLRACE_SERVER_SOURCE_OPTIONS_H
#define MILLRACE_SERVER_SOURCE_OPTIONS_H

#include "planner/catalog.h"
#include "protocol/connector/partitioned.h"
#include "protocol/format/format.h"

enum source_on_error { SOURCE_DEAD_LETTER, SOURCE_SKIP, SOURCE_FAIL };

struct source_log_settings {
    uint32_t consumers; /* at least 1 */
    bool is_paused;
    enum source_on_error on_error;
    int64_t rows_per_second; /* records; 0: no limit */
    bool has_skip;           /* the record that is skipped */
    int32_t skip_partition;
    int64_t skip_offset;
};

/* 22023 naming option and relation. */
MUST_CHECK
bool source_options_read(const struct catalog_object *object, struct source_log_settings *out,
                         struct error *err);
/* The format and its options; in the arena, texts are the object's. 22023 when it names none that there is. */
MUST_CHECK
bool source_options_format(const struct catalog_object *object, struct arena *arena,
                           const struct format_class **format, const struct connector_option **options,
                           uint32_t *count, struct error *err);
/* What the connector is opened with: all that is neither the server's nor the format's. */
void source_options_connector(const struct catalog_object *object, const struct format_class *format,
                              struct arena *arena, struct source_spec *out);

#endif
