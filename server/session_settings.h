/* session_settings.h: what SET, SHOW and RESET know: one table row per setting (session_settings.c), one
 * value per session.
 *
 * Values are kept in canonical text, as SHOW gives it. Changes are undone with the transaction that made
 * them: SET LOCAL at its end, SET when it rolls back. Names with a dot that no row has are custom settings:
 * any text. One session's thread uses its settings. */
#ifndef MILLRACE_SERVER_SESSION_SETTINGS_H
#define MILLRACE_SERVER_SESSION_SETTINGS_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"
#include "storage/data/type.h"

struct session_settings;

/* Settings that code looks at, in the order of the table's first rows. */
enum session_setting {
    SESSION_APPLICATION_NAME,
    SESSION_BYTEA_OUTPUT,
    SESSION_CLIENT_ENCODING,
    SESSION_CLIENT_MIN_MESSAGES,
    SESSION_DATE_STYLE,
    SESSION_DEFAULT_TRANSACTION_READ_ONLY,
    SESSION_EXTRA_FLOAT_DIGITS,
    SESSION_FETCH_TIMEOUT,
    SESSION_IDLE_IN_TRANSACTION_TIMEOUT,
    SESSION_IDLE_SESSION_TIMEOUT,
    SESSION_INTERVAL_STYLE,
    SESSION_PASSES_OFF,
    SESSION_QUERY_MEMORY_LIMIT, /* kB; 0: none */
    SESSION_SEARCH_PATH,
    SESSION_STATEMENT_TIMEOUT,
    SESSION_TIMEZONE,
    SESSION_TRANSACTION_READ_ONLY,
    SESSION_NAMED_COUNT,
};

struct session_settings *session_settings_create(void);
void session_settings_destroy(struct session_settings *settings);

/* Number of integer and boolean settings (booleans 0 or 1; times in ms), index of enumerations. */
int64_t session_settings_number(const struct session_settings *settings, enum session_setting which);
/* Canonical text; valid until the setting changes. */
const char *session_settings_text(const struct session_settings *settings, enum session_setting which);

/* current_setting(): NULL when there is no such setting. Case does not matter. Valid until the setting
 * changes. */
const char *session_settings_get(const struct session_settings *settings, const char *name);
/* SHOW: 42704 'unrecognized configuration parameter "x"'. *canonical (may be NULL) is the name as written in
 * the table. */
MUST_CHECK
bool session_settings_show(const struct session_settings *settings, const char *name, const char **value,
                           const char **canonical, struct error *err);
/* SET and set_config(): value NULL means DEFAULT. 42704, 22023, 55P02. */
MUST_CHECK
bool session_settings_set(struct session_settings *settings, const char *name, const char *value,
                          bool is_local, struct error *err);
/* The value RESET goes back to: for start-up packets. Not undone by a rollback. */
MUST_CHECK
bool session_settings_set_default(struct session_settings *settings, const char *name, const char *value,
                                  struct error *err);
/* A value that SET refuses: is_superuser, session_authorization ... */
void session_settings_force(struct session_settings *settings, const char *name, const char *value);
void session_settings_reset_all(struct session_settings *settings);

/* Undo: a mark is taken at BEGIN and at each SAVEPOINT. */
uint32_t session_settings_mark(const struct session_settings *settings);
void session_settings_undo(struct session_settings *settings, uint32_t mark);
void session_settings_commit(struct session_settings *settings);
void session_settings_rollback(struct session_settings *settings);

/* Reported settings (ParameterStatus) whose value differs from the one last reported; *cursor starts at 0.
 * Marks each as reported. */
bool session_settings_next_report(struct session_settings *settings, uint32_t *cursor, const char **name,
                                  const char **value);

/* SHOW ALL and pg_settings: in order of names; false behind the last. */
struct session_setting_info {
    const char *name, *value, *unit, *type, *help, *min, *max, *boot, *reset, *context;
};
bool session_settings_at(const struct session_settings *settings, uint32_t index,
                         struct session_setting_info *out);

/* Text input and output of values as the settings say; reg* callbacks are left alone. */
void session_settings_io(const struct session_settings *settings, struct io_env *io);

/* Splits a list of identifiers as search_path holds it: lower case unless quoted. Calls visit for each; false
 * when malformed. */
bool session_settings_split_names(const char *list, void (*visit)(void *ctx, const char *name), void *ctx);

#endif
