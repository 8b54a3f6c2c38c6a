/* lookup.h: external tables: databases that are asked for rows by their key; one class per kind of database, one table row
 * for users.
 *
 * A lookup belongs to the thread that asks (server/external.c). It connects when it is first asked, and again after the
 * connection was lost. Error messages hold no password. */
#ifndef MILLRACE_CONNECTOR_LOOKUP_H
#define MILLRACE_CONNECTOR_LOOKUP_H

#include "protocol/connector/connector.h"

struct lookup; /* begins every class's own struct */

/* What CREATE EXTERNAL TABLE says. Borrowed during open. */
struct lookup_spec {
    const char *table_name;
    uint32_t columns_count;
    const char *const *column_names;
    const struct sql_type *types;
    uint32_t keys_count;
    const uint32_t *keys;                   /* columns of the primary key, in order */
    const struct connector_option *options; /* without "connector" and those that all external tables have */
    uint32_t options_count;
};

/* How long a call may wait for the network. */
struct lookup_wait {
    int64_t deadline_ns; /* clock_monotonic_ns */
    int stop_fd;         /* readable: it is to end at once (57P01) */
};

struct lookup_class {
    const char *name;
    const char *help;
    const struct connector_option_row *options; /* ends with a NULL name */
    /* Checks options and columns (22023, 0A000 naming them); connects to nothing. out NULL: checks only. */
    bool (*open)(const struct lookup_spec *spec, struct lookup **out, struct error *err);
    /* Appends to out (all columns) the rows whose keys are among the rows of `keys` (the key columns in order, without
     * NULLs, each once); which keys have none follows. 08006 and the like: it may be tried again with the same keys; of the
     * classes 21, 22 and 23: it is about one of the keys. */
    bool (*fetch)(struct lookup *lookup, const struct batch *keys, const struct lookup_wait *wait,
                  struct batch *out, struct error *err);
    void (*close)(struct lookup *lookup);
};

struct lookup {
    const struct lookup_class *class;
};

extern const struct lookup_class lookup_postgres, lookup_redis;

/* NULL when there is none of that name. */
const struct lookup_class *lookup_find(const char *name);
const struct lookup_class *lookup_at(size_t index);
/* The option's value, its default, or NULL. */
const char *lookup_option(const struct lookup_class *class, const struct lookup_spec *spec, const char *name);
/* Every option must be one of the class's, required ones must be there: 22023. */
MUST_CHECK
bool lookup_check_options(const struct lookup_class *class, const struct lookup_spec *spec,
                          struct error *err);
/* Waits until the socket can be read (POLLIN) or written (POLLOUT), or either. 08006 at the deadline, 57P01. */
MUST_CHECK
bool lookup_wait_for(int fd, short events, const struct lookup_wait *wait, struct error *err);

#endif
