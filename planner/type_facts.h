/* type_facts.h: what pg_type and pg_proc say about types besides the table of types: alignment, storage, and
 * the names and OIDs of their input and output functions, which clients compare. */
#ifndef MILLRACE_PLANNER_TYPE_FACTS_H
#define MILLRACE_PLANNER_TYPE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum type_io {
    TYPE_IO_IN,
    TYPE_IO_OUT,
    TYPE_IO_RECV,
    TYPE_IO_SEND,
    TYPE_IO_MODIN,
    TYPE_IO_MODOUT,
    TYPE_IO_COUNT
};

#define TYPE_IO_NAME_MAX 32

struct type_facts {
    uint32_t oid;
    char align, storage;
    bool by_value;
    uint32_t collation;         /* pg_collation: 100 default, 950 C, 0 none */
    const char *prefix;         /* of the functions' names: "date_" of date_in */
    uint32_t io[TYPE_IO_COUNT]; /* OIDs; 0 none */
};

/* Also for arrays, whose functions are array_in and so on. false when there is no such type. */
bool type_facts_find(uint32_t type_oid, struct type_facts *out);
/* The table, arrays standing in it once: function number index, its name in out. 0 when there is none of that
 * kind; *end at the end of the table. */
uint32_t type_facts_function(size_t index, enum type_io io, char out[TYPE_IO_NAME_MAX], uint32_t *type_oid,
                             bool *end);

#define COLLATION_DEFAULT 100u
#define COLLATION_C       950u
#define COLLATION_POSIX   951u

#endif
