/* json_path.h: where a column's value stands in a record: "a.b[0].c", "\"a.b\".c", "$" for the record itself, "$.a" the same as "a". */
#ifndef MILLRACE_FORMAT_JSON_PATH_H
#define MILLRACE_FORMAT_JSON_PATH_H

#include "storage/base/arena.h"
#include "storage/base/error.h"

struct json_step {
    const char *name; /* NULL: an item */
    size_t name_len;
    uint32_t item; /* from 0 */
};

/* In the arena. 22023 naming the column when it is none. */
MUST_CHECK
bool json_path_parse(struct arena *arena, const char *path, const char *column, struct json_step **out,
                     uint32_t *count, struct error *err);

#endif
