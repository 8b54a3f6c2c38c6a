/* copy_options.h: COPY's options from the parse tree, old and new syntax alike. */
#ifndef MILLRACE_SERVER_COPY_OPTIONS_H
#define MILLRACE_SERVER_COPY_OPTIONS_H

#include "protocol/pgwire/copy.h"

#include <pg_query/pg_query.pb-c.h>

struct copy_name_list {
    bool given, all; /* all: FORCE_QUOTE * */
    uint32_t count;
    const char **names;
};

struct copy_settings {
    struct copy_options options;
    struct copy_name_list force_quote, force_not_null, force_null;
};

/* 42601, 22023, 0A000. Everything in the arena. */
MUST_CHECK
bool copy_settings_parse(struct arena *arena, const PgQuery__CopyStmt *stmt, struct copy_settings *out,
                         struct error *err);
/* Turns the lists of names into flags per column; 42P10 for a name that is not copied. */
MUST_CHECK
bool copy_settings_resolve(struct arena *arena, struct copy_settings *settings, const char *const *names,
                           uint32_t names_count, struct error *err);

#endif
