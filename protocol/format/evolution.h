/* evolution.h: what happens when the schema of a source's records changes (option schema_change).
 *
 * A schema of writers is compared with the columns once, when its first record comes. What is compared with: the schema that the columns
 * were made from (option schema_id), or, without one, the columns alone. */
#ifndef MILLRACE_FORMAT_EVOLUTION_H
#define MILLRACE_FORMAT_EVOLUTION_H

#include "protocol/format/convert.h"
#include "protocol/format/registry.h"

#define EVOLUTION_OPTION_ROWS                                                                                \
    {"schema_change", "ignore",                                                                              \
     "when a schema of records brings new fields, lacks some, or has them with other types: ignore: "        \
     "columns take what fits, new fields "                                                                   \
     "are left out, records whose values do not fit are refused; stop: the source stops before the first "   \
     "such record; add: new fields become columns; widen: so they do, and columns get types that hold all "  \
     "values of their fields; what cannot be done so stops the source"},                                     \
    {                                                                                                        \
        "schema_id", "",                                                                                     \
            "number of the schema that the columns were made from: its fields without a column are no "      \
            "change"                                                                                         \
    }

enum evolution_policy { EVOLUTION_IGNORE, EVOLUTION_STOP, EVOLUTION_ADD, EVOLUTION_WIDEN };

/* How a column fares with a schema. */
struct evolution_column {
    const struct format_column *column;
    bool is_found;
    enum convert_fit fit;
    const char *type;        /* the field's, when it never fits */
    struct sql_type natural; /* the field's, when it does not fit exactly */
};
/* A schema seen from the columns. */
struct evolution_view {
    uint32_t count;
    struct evolution_column *columns;
    uint32_t unread_count;
    const char *const *unread;           /* its fields without a column */
    const struct sql_type *unread_types; /* columns made of them have these */
};

struct evolution {
    enum evolution_policy policy;
    uint32_t known_id;                  /* option schema_id; REGISTRY_NO_ID: none */
    const struct evolution_view *known; /* of that schema; NULL: compare with the columns alone */
};

/* 22023 naming the option. */
MUST_CHECK
bool evolution_open(const struct format_class *class, const struct format_spec *spec, struct evolution *out,
                    struct error *err);
/* The schema that the columns of a relation are made from: that of option schema_id (of values), else the newest of the subject. message: of Protobuf, or NULL.
 * Borrowed from the registry. */
MUST_CHECK
bool evolution_schema(const struct format_class *class, const struct format_spec *spec,
                      struct registry *registry, bool is_key, const char *message, struct arena *arena,
                      const struct registry_schema **out, struct error *err);
/* Does it wait for the schema known_id to be looked at (evolution.known)? */
bool evolution_wants_known(const struct evolution *evolution);
/* What has to be done to the columns before records of a schema are taken. */
struct evolution_changes {
    uint32_t count;
    struct format_change *items;
};

/* problem: 55000 when records of this schema must stop the source, else left alone; changes, in the arena: what would let it go on, count 0 when
 * nothing would. id: for the message. */
void evolution_check(const struct evolution *evolution, uint32_t id, const struct evolution_view *view,
                     struct arena *arena, struct error *problem, struct evolution_changes *changes);

#endif
