/* avro_read.h: from Avro's bytes straight into columns.
 *
 * A program is made once per schema of writers and set of columns: a list of steps in the order of the bytes, each of which skips
 * a value or puts it into its column. */
#ifndef MILLRACE_FORMAT_AVRO_READ_H
#define MILLRACE_FORMAT_AVRO_READ_H

#include "protocol/format/avro_schema.h"
#include "protocol/format/convert.h"
#include "protocol/format/json_path.h"

struct avro_program;

/* A column to be filled. */
struct avro_target {
    const struct format_column *column;
    uint32_t index; /* in the batch */
    uint32_t parts_count;
    const struct json_step *parts; /* none: the whole value */
    /* set by avro_program_make: */
    bool is_found; /* the schema has its place */
    enum convert_fit fit;
    const struct avro_node *node; /* what is there, when it never fits */
    struct sql_type natural;      /* of what fits worst */
};

/* What programs work with; of one thread. Release with avro_scratch_release. */
struct avro_scratch {
    struct strbuf text;
    struct datum *elements;
    size_t elements_cap;
};
void avro_scratch_release(struct avro_scratch *scratch);

/* In the arena; borrows the tree and the targets' columns. Cannot fail: what never fits is refused value by value, NULL but fits. */
struct avro_program *avro_program_make(struct arena *arena, struct avro_node *root,
                                       struct avro_target *targets, uint32_t targets_count);
/* The fields of the root that no target reads, in order; *count of them. */
const char *const *avro_program_unread(const struct avro_program *program, uint32_t *count);
/* Fills the targets' columns of a row of format_row_begin from one value, which takes all the bytes; other columns stay as they are. 22P03
 * for bytes that do not fit the schema, 42804, 22003 and so on naming the column. */
MUST_CHECK
bool avro_program_run(const struct avro_program *program, struct avro_scratch *scratch, const uint8_t *bytes,
                      size_t len, struct batch *out, uint32_t row, struct error *err);

#endif
