/* settings.h: the process's settings: one table row each (settings.c), from the command line and from the
 * environment.
 *
 * --tick-rows 1 and MILLRACE_TICK_ROWS=1 say the same; the command line wins. Filled by main before any
 * thread starts, read-only afterwards. Sizes take kB, MB, GB; durations are milliseconds or take ms, s,
 * min. */
#ifndef MILLRACE_SERVER_SETTINGS_H
#define MILLRACE_SERVER_SETTINGS_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"

#include <stddef.h>

struct settings {
    const char *data_dir;
    const char *listen; /* address */
    int64_t port;
    int64_t http_port; /* 0: no HTTP */
    int64_t workers;   /* 0: cores - 1, at least 1 */
    int64_t tick_rows; /* 0: TICK_ROWS_MAX */
    int64_t max_connections;
    int64_t memory_limit_bytes;       /* 0: none */
    const char *spill_dir;            /* empty: data_dir */
    int64_t query_memory_limit_bytes; /* per statement; 0: none */
    int64_t checkpoint_interval_s;    /* 0: only by CHECKPOINT, by size and at the end */
    int64_t checkpoint_log_bytes;     /* the log's growth after which there is one; 0: none */
    int64_t backfill_limit_bytes;     /* per view that is being filled */
    int64_t safe_mode;                /* 1: materialized views and sources stay off */
    const char *secret_key_file;      /* empty: none */
    const char *log_level;
    void *owned; /* memory of the texts above */
};

enum setting_type { SETTING_TEXT, SETTING_INTEGER, SETTING_BYTES, SETTING_FLAG /* --name alone is 1 */ };

struct setting_row {
    const char *name; /* "tick-rows" */
    enum setting_type type;
    size_t offset; /* in struct settings */
    const char *default_text;
    int64_t min, max;
    const char *help;
};

const struct setting_row *settings_rows(size_t *count);
/* Appends MILLRACE_TICK_ROWS. */
void settings_environment_name(const struct setting_row *row, struct strbuf *out);
/* What the command line asks for instead of a server. */
struct settings_request {
    bool help, version, json;
    /* each NULL or the word behind it; borrowed from argv */
    const char *reference_dir;    /* where to write the reference pages */
    const char *inspect_dir;      /* the data directory or backup to describe */
    const char *restore_dir;      /* the backup from which to make the data directory */
    const char *restore_snapshot; /* the snapshot to which the data directory goes back */
};

/* Defaults, then the environment, then the command line. F0000 naming what is wrong. */
MUST_CHECK
bool settings_load(struct settings *settings, int argc, char **argv, struct settings_request *request,
                   struct error *err);
void settings_release(struct settings *settings);
void settings_help(struct strbuf *out);

#endif
