/* avro_schema.h: Avro schemas as trees that say all a decoder must know (Avro specification 1.11).
 *
 * libavro parses and checks the schema and resolves its names; it forgets logical types, which are read from the JSON beside it. A type
 * that refers to itself makes the tree a graph. */
#ifndef MILLRACE_FORMAT_AVRO_SCHEMA_H
#define MILLRACE_FORMAT_AVRO_SCHEMA_H

#include "protocol/format/registry.h"
#include "storage/base/arena.h"
#include "storage/data/type.h"

enum avro_kind {
    AVRO_KIND_NULL,
    AVRO_KIND_BOOLEAN,
    AVRO_KIND_INT,
    AVRO_KIND_LONG,
    AVRO_KIND_FLOAT,
    AVRO_KIND_DOUBLE,
    AVRO_KIND_BYTES,
    AVRO_KIND_STRING,
    AVRO_KIND_FIXED,
    AVRO_KIND_ENUM,
    AVRO_KIND_RECORD,
    AVRO_KIND_ARRAY,
    AVRO_KIND_MAP,
    AVRO_KIND_UNION,
};

enum avro_logical {
    AVRO_PLAIN,
    AVRO_DECIMAL,
    AVRO_DATE,
    AVRO_TIME, /* of day */
    AVRO_TIMESTAMP,
    AVRO_LOCAL_TIMESTAMP,
    AVRO_UUID,
    AVRO_DURATION,
};

struct avro_node {
    enum avro_kind kind;
    enum avro_logical logical;
    int32_t unit;             /* times: as a power of ten of a second: -3, -6 or -9 */
    int32_t precision, scale; /* decimals */
    uint32_t fixed_bytes;
    uint32_t least_bytes;     /* no value takes fewer */
    uint32_t count;           /* fields, branches or symbols; arrays and maps: 1 */
    const char **names;       /* of fields or symbols */
    struct avro_node **nodes; /* of fields, branches, items or values */
    const char *name;         /* full name of records, enums and fixed, else the kind's word */
    /* What a column of it would be: unions with null as their other branch; oid 0 for null alone; jsonb for records, maps and
     * unions of several. */
    struct sql_type natural;
    int32_t null_branch; /* unions: which branch is null, -1: none */
};

/* In the arena, text included; of any thread. 22023 saying what is wrong with it. */
MUST_CHECK
bool avro_schema_parse(struct arena *arena, const struct registry_schema *schema, struct avro_node **out,
                       struct error *err);
/* A schema without references. */
MUST_CHECK
bool avro_schema_parse_text(struct arena *arena, const char *text, struct avro_node **out, struct error *err);
/* The other branch of a union of two with null, else the node itself. */
struct avro_node *avro_schema_other(struct avro_node *node);
/* Is its value a single one of SQL, not rendered as JSON? */
bool avro_schema_is_scalar(const struct avro_node *node);
/* The fingerprint by which single objects name their schema: CRC-64-AVRO of its canonical form. */
uint64_t avro_schema_fingerprint(const struct avro_node *node);

#endif
