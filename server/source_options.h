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
    int64_t rows_per_second;    /* records; 0: no limit */
    struct source_skips *skips; /* one reference; NULL: there are none */
    uint64_t errors_rows;       /* that NAME_errors keeps; 0: any number */
    int64_t errors_us;          /* for so long; 0: for ever */
};

/* Records that are skipped, in the order of partition and offset, each once; never changed. Any thread. */
struct source_skip {
    int32_t partition;
    int64_t offset;
};
struct source_skips {
    _Atomic uint32_t references;
    uint32_t count;
    struct source_skip items[];
};
struct source_skips *source_skips_retain(struct source_skips *skips); /* NULL: nothing */
void source_skips_release(struct source_skips *skips);
/* O(log n). */
bool source_skips_has(const struct source_skips *skips, int32_t partition, int64_t offset);

/* 22023 naming option and relation. The caller releases out->skips. */
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
