/* settings.c: the table of the process's settings and how they are read. */
#include "server/settings.h"

#include "storage/base/arena.h"
#include "storage/base/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name) offsetof(struct settings, name)

static const struct setting_row setting_rows[] = {
    {"data-dir", SETTING_TEXT, FIELD(data_dir), "millrace-data", 0, 0,
     "directory of the log and the catalog"},
    {"listen", SETTING_TEXT, FIELD(listen), "127.0.0.1", 0, 0, "address to accept connections on"},
    {"port", SETTING_INTEGER, FIELD(port), "5477", 0, 65535,
     "port of the PostgreSQL protocol; 0 takes a free one"},
    {"http-port", SETTING_INTEGER, FIELD(http_port), "5478", 0, 65535,
     "port of /health and /metrics; 0 is none"},
    {"workers", SETTING_INTEGER, FIELD(workers), "0", 0, 64,
     "worker threads of the engine; 0 is cores - 1, at least 1"},
    {"tick-rows", SETTING_INTEGER, FIELD(tick_rows), "0", 0, 1 << 20,
     "rows one tick takes at most; 0 is the built-in limit"},
    {"max-connections", SETTING_INTEGER, FIELD(max_connections), "200", 1, 10000,
     "clients at one time; more are refused with 53300"},
    {"memory-limit", SETTING_BYTES, FIELD(memory_limit_bytes), "0", 0, INT64_MAX,
     "resident memory of the server, at least 64MB: state beyond goes to disk, statements that need more "
     "fail with "
     "53200; 0 is no limit"},
    {"spill-dir", SETTING_TEXT, FIELD(spill_dir), "", 0, 0,
     "directory of the files that state goes to under a memory limit; empty is the data directory"},
    {"query-memory-limit", SETTING_BYTES, FIELD(query_memory_limit_bytes), "1GB", 0, INT64_MAX,
     "memory of one statement, 53200 beyond, unless its session says otherwise; 0 is no limit"},
    {"checkpoint-interval", SETTING_INTEGER, FIELD(checkpoint_interval_s), "60", 0, 86400,
     "seconds between two checkpoints while something changes; 0 is none by time"},
    {"checkpoint-log-size", SETTING_BYTES, FIELD(checkpoint_log_bytes), "256MB", 0, INT64_MAX,
     "growth of the log after which there is a checkpoint; 0 is none by size"},
    {"backfill-limit", SETTING_BYTES, FIELD(backfill_limit_bytes), "256MB", 1 << 16, INT64_MAX,
     "changes that wait in memory for one materialized view that is being created; writers wait beyond"},
    {"safe-mode", SETTING_FLAG, FIELD(safe_mode), "0", 0, 1,
     "starts without materialized views, sources and checkpoints, so that a definition that cannot be "
     "restored can be dropped"},
    {"secret-key-file", SETTING_TEXT, FIELD(secret_key_file), "", 0, 0,
     "file with a key of 32 bytes, or 64 hexadecimal digits, with which values of secrets are encrypted on "
     "disk; empty is "
     "none"},
    {"log-level", SETTING_TEXT, FIELD(log_level), "info", 0, 0,
     "least level of messages on stderr: debug, info, warning, error"},
};

const struct setting_row *settings_rows(size_t *count)
{
    *count = ARRAY_COUNT(setting_rows);
    return setting_rows;
}

static bool settings_number(const struct setting_row *row, const char *text, int64_t *out, struct error *err)
{
    char *end;
    errno = 0;
    int64_t value = row->type == SETTING_BYTES ? 0 : strtoll(text, &end, 10);
    bool ok =
        row->type == SETTING_BYTES ? bytes_parse(text, &value) : end != text && *end == '\0' && errno == 0;
    if (!ok || value < row->min || value > row->max)
        return error_set(err, ERRCODE_CONFIG_FILE_ERROR, "invalid value for setting \"%s\": \"%s\"",
                         row->name, text);
    *out = value;
    return true;
}

static bool settings_store(struct settings *settings, const struct setting_row *row, const char *text,
                           struct error *err)
{
    char *field = (char *)settings + row->offset;
    if (row->type == SETTING_TEXT) {
        const char *copy = arena_strdup(settings->owned, text);
        memcpy(field, &copy, sizeof(copy));
        return true;
    }
    int64_t number = 0;
    if (!settings_number(row, text, &number, err))
        return false;
    memcpy(field, &number, sizeof(number));
    return true;
}

static const struct setting_row *settings_find(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_COUNT(setting_rows); i++) {
        const char *row_name = setting_rows[i].name;
        if (strlen(row_name) != len)
            continue;
        size_t c = 0;
        while (c < len && (row_name[c] == name[c] || (row_name[c] == '-' && name[c] == '_')))
            c++;
        if (c == len)
            return &setting_rows[i];
    }
    return NULL;
}

void settings_environment_name(const struct setting_row *row, struct strbuf *out)
{
    strbuf_adds(out, "MILLRACE_");
    for (const char *c = row->name; *c != '\0'; c++)
        strbuf_addc(out, *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
}

static bool settings_from_environment(struct settings *settings, struct error *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(setting_rows); i++) {
        struct strbuf name = STRBUF_INIT;
        settings_environment_name(&setting_rows[i], &name);
        const char *value = getenv(strbuf_text(&name));
        strbuf_release(&name);
        if (value != NULL && !settings_store(settings, &setting_rows[i], value, err))
            return false;
    }
    return true;
}

/* inspect DIR [--json] */
static bool load_inspect(int argc, char **argv, struct settings_request *request, struct error *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            request->json = true;
        else if (argv[i][0] == '-' || request->inspect_dir != NULL)
            return error_set(err, ERRCODE_CONFIG_FILE_ERROR, "unexpected argument \"%s\"", argv[i]);
        else
            request->inspect_dir = argv[i];
    }
    return request->inspect_dir != NULL ||
           error_set(err, ERRCODE_CONFIG_FILE_ERROR, "\"inspect\" needs a directory");
}

bool settings_load(struct settings *settings, int argc, char **argv, struct settings_request *request,
                   struct error *err)
{
    memset(settings, 0, sizeof(*settings));
    struct arena *arena = mem_zalloc(sizeof(*arena));
    arena_init(arena, NULL);
    settings->owned = arena;
    *request = (struct settings_request){0};
    for (size_t i = 0; i < ARRAY_COUNT(setting_rows); i++) {
        if (!settings_store(settings, &setting_rows[i], setting_rows[i].default_text, err))
            return false;
    }
    if (!settings_from_environment(settings, err))
        return false;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            request->help = true;
            return true;
        }
        if (strcmp(arg, "--version") == 0) {
            request->version = true;
            return true;
        }
        if (strcmp(arg, "--reference") == 0 && i + 1 < argc) {
            request->reference_dir = argv[i + 1];
            return true;
        }
        if (i == 1 && strcmp(arg, "inspect") == 0)
            return load_inspect(argc - i, argv + i, request, err);
        const char **word = strcmp(arg, "--restore") == 0            ? &request->restore_dir
                            : strcmp(arg, "--restore-snapshot") == 0 ? &request->restore_snapshot
                                                                     : NULL;
        if (word != NULL && i + 1 == argc)
            return error_set(err, ERRCODE_CONFIG_FILE_ERROR, "option \"%s\" needs a value", arg);
        if (word != NULL) {
            *word = argv[++i];
            continue;
        }
        if (strncmp(arg, "--", 2) != 0)
            return error_set(err, ERRCODE_CONFIG_FILE_ERROR, "unexpected argument \"%s\"", arg);
        size_t len = strcspn(arg + 2, "=");
        const struct setting_row *row = settings_find(arg + 2, len);
        if (row == NULL) {
            error_set(err, ERRCODE_CONFIG_FILE_ERROR, "unknown option \"%s\"", arg);
            return error_hint(err, "--help lists all options");
        }
        const char *value = arg[2 + len] == '='         ? arg + 3 + len
                            : row->type == SETTING_FLAG ? "1"
                            : i + 1 < argc              ? argv[++i]
                                                        : NULL;
        if (value == NULL)
            return error_set(err, ERRCODE_CONFIG_FILE_ERROR, "option \"--%s\" needs a value", row->name);
        if (!settings_store(settings, row, value, err))
            return false;
    }
    return true;
}

void settings_release(struct settings *settings)
{
    if (settings->owned != NULL) {
        arena_release(settings->owned);
        mem_free(settings->owned);
        settings->owned = NULL;
    }
}

void settings_help(struct strbuf *out)
{
    strbuf_adds(out, "millrace: a streaming SQL database\n\nusage: millrace [--name value]...\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(setting_rows); i++) {
        const struct setting_row *row = &setting_rows[i];
        strbuf_addf(out, "  --%-20s %s (default: %s)\n", row->name, row->help, row->default_text);
    }
    strbuf_adds(
        out, "  --help                 this list\n  --version              the version\n"
             "  --restore DIR          make a new data directory of a backup, and end\n"
             "  --restore-snapshot NAME  take the data directory back to a snapshot, and end\n"
             "  --reference DIR        write the reference pages into a directory\n"
             "  inspect DIR [--json]   what a data directory or backup holds, and whether it is damaged\n\n"
             "Each option can be given in the environment as well: MILLRACE_TICK_ROWS=1.\n");
}
