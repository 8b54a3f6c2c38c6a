/* session_settings.c: the table of session settings, their checks, and their values with undo.
 *
 * A value lives in malloc'ed text. The undo list holds, for every change since the transaction began, what
 * the setting was before and whether the change was local; committing puts local ones back (latest first) and
 * forgets the rest. */
#include "server/session_settings.h"

#include "storage/base/arena.h"
#include "storage/data/datetime.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum value_kind { KIND_BOOL, KIND_INT, KIND_REAL, KIND_TEXT, KIND_ENUM };
enum value_unit { UNIT_NONE, UNIT_MS, UNIT_S, UNIT_MIN, UNIT_KB, UNIT_8KB };
enum value_flags {
    FLAG_REPORT = 1,    /* ParameterStatus */
    FLAG_READ_ONLY = 2, /* 55P02 */
    FLAG_NO_RESET_ALL = 4,
};

/* Canonical form of a text value, or NULL with err filled. */
typedef char *(*check_fn)(const char *name, const char *value, struct error *err);

struct setting {
    const char *name;
    enum value_kind kind;
    const char *default_text;
    const char *help;
    uint32_t flags;
    enum value_unit unit;
    int64_t min, max;
    const char *options; /* enumerations: "a,b,c" */
    check_fn check;
};

struct value {
    char *text;  /* canonical */
    char *reset; /* what RESET gives */
    int64_t number;
    char *reported;    /* last sent ParameterStatus */
    char *custom_name; /* custom settings only */
};

struct undo {
    uint32_t index;
    char *text;
    bool is_local;
};

struct session_settings {
    struct value *values; /* the table's rows, then custom ones */
    uint32_t count;
    uint32_t *by_name; /* their numbers in order of names */
    struct undo *undo;
    uint32_t undo_count, undo_cap;
};

static bool value_invalid(const char *name, const char *value, struct error *err)
{
    return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for parameter \"%s\": \"%s\"", name,
                     value);
}

/* ---- checks ---- */

static char *check_encoding(const char *name, const char *value, struct error *err)
{
    char plain[32];
    size_t len = 0;
    for (const char *c = value; *c != '\0' && len < sizeof(plain) - 1; c++) {
        if (isalnum((unsigned char)*c))
            plain[len++] = (char)tolower((unsigned char)*c);
    }
    plain[len] = '\0';
    if (strcmp(plain, "utf8") == 0 || strcmp(plain, "unicode") == 0)
        return mem_strdup("UTF8");
    if (strcmp(plain, "sqlascii") == 0)
        return mem_strdup("SQL_ASCII");
    value_invalid(name, value, err);
    error_detail(err, "Only UTF8 is supported.");
    return NULL;
}

static char *check_date_style(const char *name, const char *value, struct error *err)
{
    char order = 'M';
    const char *at = value;
    while (*at != '\0') {
        size_t skip = strspn(at, ", \t");
        at += skip;
        size_t len = strcspn(at, ", \t");
        if (len == 0)
            break;
        char word[16];
        snprintf(word, sizeof(word), "%.*s", (int)(len < 15 ? len : 15), at);
        at += len;
        if (strcasecmp(word, "iso") == 0) {
            continue;
        } else if (strcasecmp(word, "default") == 0) {
            order = 'M';
        } else if (strncasecmp(word, "ymd", 3) == 0) {
            order = 'Y';
        } else if (strcasecmp(word, "dmy") == 0 || strncasecmp(word, "euro", 4) == 0) {
            order = 'D';
        } else if (strcasecmp(word, "mdy") == 0 || strcasecmp(word, "us") == 0 ||
                   strncasecmp(word, "noneuro", 7) == 0) {
            order = 'M';
        } else if (strcasecmp(word, "sql") == 0 || strncasecmp(word, "postgres", 8) == 0 ||
                   strcasecmp(word, "german") == 0) {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "date style \"%s\" is not supported", word);
            error_hint(err, "Dates are shown in ISO style; only the order of input fields can be chosen.");
            return NULL;
        } else {
            value_invalid(name, value, err);
            error_detail(err, "Unrecognized key word: \"%s\".", word);
            return NULL;
        }
    }
    return mem_strdup(order == 'M' ? "ISO, MDY" : order == 'D' ? "ISO, DMY" : "ISO, YMD");
}

static char *check_timezone(const char *name, const char *value, struct error *err)
{
    if (strcasecmp(value, "default") == 0 || strcasecmp(value, "local") == 0)
        return mem_strdup("UTC");
    /* a bare number is hours east of Greenwich */
    char *end;
    double hours = strtod(value, &end);
    if (end != value && *end == '\0' && isfinite(hours) && fabs(hours) <= 168) {
        long minutes = lround(fabs(hours) * 60);
        char text[48];
        char sign = hours < 0 ? '-' : '+', back = hours < 0 ? '+' : '-';
        if (minutes % 60 == 0)
            snprintf(text, sizeof(text), "<%c%02ld>%c%02ld", sign, minutes / 60, back, minutes / 60);
        else
            snprintf(text, sizeof(text), "<%c%02ld:%02ld>%c%02ld:%02ld", sign, minutes / 60, minutes % 60,
                     back, minutes / 60, minutes % 60);
        if (timezone_exists(text))
            return mem_strdup(text);
        snprintf(text, sizeof(text), "%c%02ld:%02ld", sign, minutes / 60, minutes % 60);
        if (timezone_exists(text))
            return mem_strdup(text);
    }
    if (value[0] != '\0' && timezone_exists(value))
        return mem_strdup(value);
    value_invalid(name, value, err);
    return NULL;
}

static char *check_search_path(const char *name, const char *value, struct error *err)
{
    if (session_settings_split_names(value, NULL, NULL))
        return mem_strdup(value);
    value_invalid(name, value, err);
    error_detail(err, "List syntax is invalid.");
    return NULL;
}

static char *check_application_name(const char *name, const char *value, struct error *err)
{
    char *copy = mem_strdup(value);
    size_t len = 0;
    for (; copy[len] != '\0' && len < 63; len++) {
        if (copy[len] < 32 || copy[len] > 126)
            copy[len] = '?';
    }
    copy[len] = '\0';
    return copy;
}

static char *check_isolation(const char *name, const char *value, struct error *err)
{
    static const char *const levels[] = {"serializable", "repeatable read", "read committed",
                                         "read uncommitted"};
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++) {
        if (strcasecmp(value, levels[i]) == 0)
            return mem_strdup(levels[i]);
    }
    value_invalid(name, value, err);
    error_hint(err, "Available values: serializable, repeatable read, read committed, read uncommitted.");
    return NULL;
}

/* Every level is accepted; transactions are serializable whatever was asked for, and say so. */
static char *check_transaction_isolation(const char *name, const char *value, struct error *err)
{
    char *level = check_isolation(name, value, err);
    if (level == NULL)
        return NULL;
    mem_free(level);
    return mem_strdup("serializable");
}

static char *check_role(const char *name, const char *value, struct error *err)
{
    if (strcasecmp(value, "none") == 0)
        return mem_strdup("none");
    return mem_strdup(value);
}

static char *check_standard_strings(const char *name, const char *value, struct error *err)
{
    if (strcmp(value, "on") == 0)
        return mem_strdup(value);
    error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "parameter \"%s\" cannot be switched off", name);
    return NULL;
}

static char *check_xmloption(const char *name, const char *value, struct error *err)
{
    if (strcasecmp(value, "content") == 0 || strcasecmp(value, "document") == 0)
        return mem_strdup(strcasecmp(value, "content") == 0 ? "content" : "document");
    value_invalid(name, value, err);
    return NULL;
}

/* ---- the table ---- */

#define TIMEOUT_MAX 2147483647
#define BOOL_ROW(name_, default_, help_)                                                                     \
    {                                                                                                        \
        .name = name_, .kind = KIND_BOOL, .default_text = default_, .help = help_                            \
    }
#define TEXT_ROW(name_, default_, help_)                                                                     \
    {                                                                                                        \
        .name = name_, .kind = KIND_TEXT, .default_text = default_, .help = help_                            \
    }
#define FIXED_ROW(name_, default_, help_)                                                                    \
    {                                                                                                        \
        .name = name_, .kind = KIND_TEXT, .default_text = default_, .help = help_, .flags = FLAG_READ_ONLY   \
    }
#define INT_ROW(name_, default_, unit_, min_, max_, help_)                                                   \
    {                                                                                                        \
        .name = name_, .kind = KIND_INT, .default_text = default_, .help = help_, .unit = unit_,             \
        .min = min_, .max = max_                                                                             \
    }
#define REAL_ROW(name_, default_, help_)                                                                     \
    {                                                                                                        \
        .name = name_, .kind = KIND_REAL, .default_text = default_, .help = help_                            \
    }
#define ENUM_ROW(name_, default_, options_, help_)                                                           \
    {                                                                                                        \
        .name = name_, .kind = KIND_ENUM, .default_text = default_, .options = options_, .help = help_       \
    }
#define PLANNER_ROW(name_)                                                                                   \
    BOOL_ROW(name_, "on", "Accepted for PostgreSQL's clients; plans do not depend on it.")

static const struct setting setting_rows[] = {
    [SESSION_APPLICATION_NAME] = {.name = "application_name",
                                  .kind = KIND_TEXT,
                                  .default_text = "",
                                  .flags = FLAG_REPORT,
                                  .check = check_application_name,
                                  .help = "Name of the client shown in pg_stat_activity."},
    [SESSION_BYTEA_OUTPUT] = ENUM_ROW("bytea_output", "hex", "hex,escape", "Text form of bytea."),
    [SESSION_CLIENT_ENCODING] = {.name = "client_encoding",
                                 .kind = KIND_TEXT,
                                 .default_text = "UTF8",
                                 .flags = FLAG_REPORT,
                                 .check = check_encoding,
                                 .help = "Encoding of the client's text; UTF8."},
    [SESSION_CLIENT_MIN_MESSAGES] = ENUM_ROW(
        "client_min_messages", "notice", "debug5,debug4,debug3,debug2,debug1,debug,log,notice,warning,error",
        "Least level of messages sent to the client."),
    [SESSION_DATE_STYLE] = {.name = "DateStyle",
                            .kind = KIND_TEXT,
                            .default_text = "ISO, MDY",
                            .flags = FLAG_REPORT,
                            .check = check_date_style,
                            .help = "Order of fields in date input; output is ISO."},
    [SESSION_DEFAULT_TRANSACTION_READ_ONLY] = {.name = "default_transaction_read_only",
                                               .kind = KIND_BOOL,
                                               .default_text = "off",
                                               .flags = FLAG_REPORT,
                                               .help = "New transactions are read-only."},
    [SESSION_EXTRA_FLOAT_DIGITS] = INT_ROW("extra_float_digits", "1", UNIT_NONE, -15, 3,
                                           "Digits of floating-point output; above 0: shortest exact form."),
    [SESSION_FETCH_TIMEOUT] =
        INT_ROW("fetch_timeout", "1000", UNIT_MS, 0, TIMEOUT_MAX,
                "Longest time FETCH from a subscription waits for its first row; 0 waits for ever."),
    [SESSION_IDLE_IN_TRANSACTION_TIMEOUT] =
        INT_ROW("idle_in_transaction_session_timeout", "0", UNIT_MS, 0, TIMEOUT_MAX,
                "Longest idle time inside a transaction; the session ends beyond it."),
    [SESSION_IDLE_SESSION_TIMEOUT] =
        INT_ROW("idle_session_timeout", "0", UNIT_MS, 0, TIMEOUT_MAX,
                "Longest idle time outside a transaction; the session ends beyond it."),
    [SESSION_INTERVAL_STYLE] = {.name = "IntervalStyle",
                                .kind = KIND_ENUM,
                                .default_text = "postgres",
                                .options = "postgres,postgres_verbose,sql_standard,iso_8601",
                                .flags = FLAG_REPORT,
                                .help = "Text form of intervals."},
    [SESSION_PASSES_OFF] = INT_ROW("passes_off", "0", UNIT_NONE, 0, TIMEOUT_MAX,
                                   "Optimizer passes to leave out, one bit each (for tests)."),
    [SESSION_QUERY_MEMORY_LIMIT] =
        INT_ROW("query_memory_limit", "1048576", UNIT_KB, 0, TIMEOUT_MAX,
                "Memory of a statement, 53200 beyond it; 0 is no limit. Begins as the server's setting."),
    [SESSION_SEARCH_PATH] = {.name = "search_path",
                             .kind = KIND_TEXT,
                             .default_text = "\"$user\", public",
                             .check = check_search_path,
                             .help = "Schemas searched for unqualified names."},
    [SESSION_STATEMENT_TIMEOUT] = INT_ROW("statement_timeout", "0", UNIT_MS, 0, TIMEOUT_MAX,
                                          "Longest time of a statement, 57014 beyond it."),
    [SESSION_TIMEZONE] = {.name = "TimeZone",
                          .kind = KIND_TEXT,
                          .default_text = "UTC",
                          .flags = FLAG_REPORT,
                          .check = check_timezone,
                          .help = "Time zone of timestamptz input and output."},
    [SESSION_TRANSACTION_READ_ONLY] = {.name = "transaction_read_only",
                                       .kind = KIND_BOOL,
                                       .default_text = "off",
                                       .flags = FLAG_NO_RESET_ALL,
                                       .help = "This transaction is read-only."},

    {.name = "server_version",
     .kind = KIND_TEXT,
     .default_text = "15.8",
     .flags = FLAG_REPORT | FLAG_READ_ONLY,
     .help = "PostgreSQL version whose protocol and catalogue are served."},
    {.name = "server_version_num",
     .kind = KIND_INT,
     .default_text = "150008",
     .flags = FLAG_READ_ONLY,
     .min = 150008,
     .max = 150008,
     .help = "The same as a number."},
    {.name = "server_encoding",
     .kind = KIND_TEXT,
     .default_text = "UTF8",
     .flags = FLAG_REPORT | FLAG_READ_ONLY,
     .help = "Encoding of stored text."},
    {.name = "integer_datetimes",
     .kind = KIND_TEXT,
     .default_text = "on",
     .flags = FLAG_REPORT | FLAG_READ_ONLY,
     .help = "Binary timestamps are 64-bit integers."},
    {.name = "is_superuser",
     .kind = KIND_TEXT,
     .default_text = "on",
     .flags = FLAG_REPORT | FLAG_READ_ONLY,
     .help = "The user is a superuser."},
    {.name = "session_authorization",
     .kind = KIND_TEXT,
     .default_text = "",
     .flags = FLAG_REPORT | FLAG_NO_RESET_ALL,
     .help = "The session's user."},
    {.name = "standard_conforming_strings",
     .kind = KIND_BOOL,
     .default_text = "on",
     .flags = FLAG_REPORT,
     .check = check_standard_strings,
     .help = "Backslashes in '...' are plain characters."},
    {.name = "in_hot_standby",
     .kind = KIND_TEXT,
     .default_text = "off",
     .flags = FLAG_REPORT | FLAG_READ_ONLY,
     .help = "The server is a standby."},
    {.name = "role",
     .kind = KIND_TEXT,
     .default_text = "none",
     .check = check_role,
     .flags = FLAG_NO_RESET_ALL,
     .help = "The current role."},
    {.name = "transaction_isolation",
     .kind = KIND_TEXT,
     .default_text = "serializable",
     .check = check_transaction_isolation,
     .flags = FLAG_NO_RESET_ALL,
     .help = "Always serializable."},
    {.name = "default_transaction_isolation",
     .kind = KIND_TEXT,
     .default_text = "serializable",
     .check = check_isolation,
     .help = "Level asked for by default; transactions are always serializable."},
    {.name = "transaction_deferrable",
     .kind = KIND_BOOL,
     .default_text = "off",
     .flags = FLAG_NO_RESET_ALL,
     .help = "Accepted; reads never block."},
    BOOL_ROW("default_transaction_deferrable", "off", "Accepted; reads never block."),
    {.name = "xmloption",
     .kind = KIND_TEXT,
     .default_text = "content",
     .check = check_xmloption,
     .help = "Accepted for PostgreSQL's clients."},
    FIXED_ROW("block_size", "8192", "Size of a disk block."),
    FIXED_ROW("data_checksums", "on", "Stored ticks and segments carry checksums."),
    FIXED_ROW("debug_assertions", "off", "The build has debugging assertions."),
    FIXED_ROW("lc_collate", "C", "Order of text."),
    FIXED_ROW("lc_ctype", "C", "Classes of characters."),
    TEXT_ROW("lc_messages", "C", "Language of messages."),
    TEXT_ROW("lc_monetary", "C", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("lc_numeric", "C", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("lc_time", "C", "Accepted for PostgreSQL's clients."),
    FIXED_ROW("max_identifier_length", "63", "Longest identifier in bytes."),
    FIXED_ROW("max_index_keys", "32", "Most columns of an index."),
    FIXED_ROW("max_function_args", "100", "Most arguments of a function."),
    FIXED_ROW("max_prepared_transactions", "0", "Two-phase commit is not offered."),
    FIXED_ROW("wal_level", "replica", "Shown for PostgreSQL's clients."),
    FIXED_ROW("wal_segment_size", "16MB", "Shown for PostgreSQL's clients."),
    FIXED_ROW("server_name", "millrace", "Which server this is."),
    FIXED_ROW("ssl", "off", "Encrypted connections."),
    FIXED_ROW("password_encryption", "scram-sha-256", "Shown for PostgreSQL's clients."),
    FIXED_ROW("port", "5477", "Port of the server."),
    FIXED_ROW("listen_addresses", "127.0.0.1", "Address of the server."),
    FIXED_ROW("max_connections", "200", "Most clients at one time."),
    FIXED_ROW("memory_limit", "0", "Resident memory of the server; state beyond goes to disk."),
    FIXED_ROW("fsync", "on", "Acknowledged writes are durable."),
    FIXED_ROW("autovacuum", "on", "Shown for PostgreSQL's clients."),
    INT_ROW("lock_timeout", "0", UNIT_MS, 0, TIMEOUT_MAX, "Accepted; statements never wait for row locks."),
    INT_ROW("deadlock_timeout", "1000", UNIT_MS, 1, TIMEOUT_MAX, "Accepted; there are no row locks."),
    INT_ROW("tcp_keepalives_idle", "0", UNIT_S, 0, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("tcp_keepalives_interval", "0", UNIT_S, 0, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("tcp_keepalives_count", "0", UNIT_NONE, 0, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("tcp_user_timeout", "0", UNIT_MS, 0, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("client_connection_check_interval", "0", UNIT_MS, 0, TIMEOUT_MAX,
            "Accepted for PostgreSQL's clients."),
    BOOL_ROW("row_security", "on", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("jit", "off", "Accepted; there is no compiler of queries."),
    BOOL_ROW("escape_string_warning", "on", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("check_function_bodies", "on", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("default_with_oids", "off", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("synchronize_seqscans", "on", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("quote_all_identifiers", "off", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("array_nulls", "on", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("transform_null_equals", "off", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("lo_compat_privileges", "off", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("operator_precedence_warning", "off", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("parallel_leader_participation", "on", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("track_activities", "on", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("track_counts", "on", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("track_io_timing", "off", "Accepted for PostgreSQL's clients."),
    ENUM_ROW("track_functions", "none", "none,pl,all", "Accepted for PostgreSQL's clients."),
    ENUM_ROW("synchronous_commit", "on", "on,off,local,remote_write,remote_apply",
             "Accepted; a commit is always durable before it is acknowledged."),
    ENUM_ROW("backslash_quote", "safe_encoding", "safe_encoding,on,off",
             "Accepted for PostgreSQL's clients."),
    ENUM_ROW("constraint_exclusion", "partition", "partition,on,off", "Accepted for PostgreSQL's clients."),
    ENUM_ROW("plan_cache_mode", "auto", "auto,force_generic_plan,force_custom_plan",
             "Accepted for PostgreSQL's clients."),
    ENUM_ROW("log_min_messages", "warning",
             "debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic",
             "Accepted for PostgreSQL's clients."),
    ENUM_ROW("log_min_error_statement", "error",
             "debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic",
             "Accepted for PostgreSQL's clients."),
    ENUM_ROW("log_statement", "none", "none,ddl,mod,all", "Accepted for PostgreSQL's clients."),
    ENUM_ROW("log_error_verbosity", "default", "terse,default,verbose", "Accepted for PostgreSQL's clients."),
    INT_ROW("log_min_duration_statement", "-1", UNIT_MS, -1, TIMEOUT_MAX,
            "Accepted for PostgreSQL's clients."),
    BOOL_ROW("log_duration", "off", "Accepted for PostgreSQL's clients."),
    ENUM_ROW("session_replication_role", "origin", "origin,replica,local",
             "Accepted for PostgreSQL's clients."),
    ENUM_ROW("debug_parallel_query", "off", "off,on,regress", "Accepted for PostgreSQL's clients."),
    ENUM_ROW("force_parallel_mode", "off", "off,on,regress", "Accepted for PostgreSQL's clients."),
    ENUM_ROW("xmlbinary", "base64", "base64,hex", "Accepted for PostgreSQL's clients."),
    ENUM_ROW("default_toast_compression", "pglz", "pglz,lz4", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("default_tablespace", "", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("temp_tablespaces", "", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("default_table_access_method", "heap", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("default_text_search_config", "pg_catalog.english", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("session_preload_libraries", "", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("local_preload_libraries", "", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("log_timezone", "UTC", "Accepted for PostgreSQL's clients."),
    TEXT_ROW("timezone_abbreviations", "Default", "Accepted for PostgreSQL's clients."),
    INT_ROW("gin_fuzzy_search_limit", "0", UNIT_NONE, 0, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("work_mem", "4096", UNIT_KB, 64, TIMEOUT_MAX,
            "Accepted; the memory of a statement is query_memory_limit."),
    INT_ROW("maintenance_work_mem", "65536", UNIT_KB, 1024, TIMEOUT_MAX,
            "Accepted for PostgreSQL's clients."),
    INT_ROW("temp_buffers", "1024", UNIT_8KB, 100, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("effective_cache_size", "524288", UNIT_8KB, 1, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("default_statistics_target", "100", UNIT_NONE, 1, 10000, "Accepted for PostgreSQL's clients."),
    INT_ROW("from_collapse_limit", "8", UNIT_NONE, 1, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("join_collapse_limit", "8", UNIT_NONE, 1, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("geqo_threshold", "12", UNIT_NONE, 2, TIMEOUT_MAX, "Accepted for PostgreSQL's clients."),
    INT_ROW("max_parallel_workers_per_gather", "2", UNIT_NONE, 0, 1024, "Accepted for PostgreSQL's clients."),
    INT_ROW("max_parallel_workers", "8", UNIT_NONE, 0, 1024, "Accepted for PostgreSQL's clients."),
    INT_ROW("max_stack_depth", "2048", UNIT_KB, 100, TIMEOUT_MAX, "Accepted; nesting is limited by depth."),
    INT_ROW("commit_delay", "0", UNIT_NONE, 0, 100000, "Accepted for PostgreSQL's clients."),
    REAL_ROW("seq_page_cost", "1", "Accepted for PostgreSQL's clients."),
    REAL_ROW("random_page_cost", "4", "Accepted for PostgreSQL's clients."),
    REAL_ROW("cpu_tuple_cost", "0.01", "Accepted for PostgreSQL's clients."),
    REAL_ROW("cpu_index_tuple_cost", "0.005", "Accepted for PostgreSQL's clients."),
    REAL_ROW("cpu_operator_cost", "0.0025", "Accepted for PostgreSQL's clients."),
    REAL_ROW("cursor_tuple_fraction", "0.1", "Accepted for PostgreSQL's clients."),
    REAL_ROW("seed", "0", "Accepted for PostgreSQL's clients."),
    BOOL_ROW("geqo", "on", "Accepted for PostgreSQL's clients."),
    PLANNER_ROW("enable_async_append"),
    PLANNER_ROW("enable_bitmapscan"),
    PLANNER_ROW("enable_gathermerge"),
    PLANNER_ROW("enable_hashagg"),
    PLANNER_ROW("enable_hashjoin"),
    PLANNER_ROW("enable_incremental_sort"),
    PLANNER_ROW("enable_indexonlyscan"),
    PLANNER_ROW("enable_indexscan"),
    PLANNER_ROW("enable_material"),
    PLANNER_ROW("enable_memoize"),
    PLANNER_ROW("enable_mergejoin"),
    PLANNER_ROW("enable_nestloop"),
    PLANNER_ROW("enable_parallel_append"),
    PLANNER_ROW("enable_parallel_hash"),
    PLANNER_ROW("enable_partition_pruning"),
    PLANNER_ROW("enable_partitionwise_aggregate"),
    PLANNER_ROW("enable_partitionwise_join"),
    PLANNER_ROW("enable_seqscan"),
    PLANNER_ROW("enable_sort"),
    PLANNER_ROW("enable_tidscan"),
};

#define ROWS_COUNT ((uint32_t)ARRAY_COUNT(setting_rows))

/* ---- values ---- */

static const struct {
    const char *suffix;
    enum value_unit base; /* UNIT_MS for times, UNIT_KB for sizes */
    double factor;        /* in ms, in kB */
} unit_suffixes[] = {
    {"us", UNIT_MS, 0.001}, {"ms", UNIT_MS, 1},       {"s", UNIT_MS, 1000},        {"min", UNIT_MS, 60000},
    {"h", UNIT_MS, 3600e3}, {"d", UNIT_MS, 86400e3},  {"B", UNIT_KB, 1.0 / 1024},  {"kB", UNIT_KB, 1},
    {"MB", UNIT_KB, 1024},  {"GB", UNIT_KB, 1048576}, {"TB", UNIT_KB, 1073741824},
};

/* How much one of the setting's own units is, in ms or kB. */
static double unit_size(enum value_unit unit, enum value_unit *base)
{
    *base = unit == UNIT_KB || unit == UNIT_8KB ? UNIT_KB : UNIT_MS;
    return unit == UNIT_S ? 1000 : unit == UNIT_MIN ? 60000 : unit == UNIT_8KB ? 8 : 1;
}

static bool parse_int(const struct setting *row, const char *text, int64_t *out, struct error *err)
{
    char *end;
    double value = strtod(text, &end);
    if (strncasecmp(text + strspn(text, " +-"), "0x", 2) == 0)
        value = (double)strtoll(text, &end, 16);
    bool ok = end != text && isfinite(value);
    end += strspn(end, " ");
    if (ok && *end != '\0') {
        ok = false;
        enum value_unit base;
        double own = unit_size(row->unit, &base);
        size_t len = strlen(end);
        while (len > 0 && end[len - 1] == ' ')
            len--;
        for (size_t i = 0; i < ARRAY_COUNT(unit_suffixes) && row->unit != UNIT_NONE; i++) {
            if (unit_suffixes[i].base == base && strlen(unit_suffixes[i].suffix) == len &&
                strncmp(unit_suffixes[i].suffix, end, len) == 0) {
                value = value * unit_suffixes[i].factor / own;
                ok = true;
            }
        }
        if (!ok) {
            value_invalid(row->name, text, err);
            if (row->unit != UNIT_NONE)
                error_hint(
                    err,
                    base == UNIT_MS
                        ? "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and "
                          "\"d\"."
                        : "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".");
            return false;
        }
    }
    if (!ok)
        return value_invalid(row->name, text, err);
    value = rint(value);
    if (value < (double)row->min || value > (double)row->max)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "%.0f%s%s is outside the valid range for parameter \"%s\" (%lld .. %lld)", value,
                         row->unit == UNIT_NONE ? "" : " ",
                         row->unit == UNIT_NONE  ? ""
                         : row->unit == UNIT_MS  ? "ms"
                         : row->unit == UNIT_S   ? "s"
                         : row->unit == UNIT_MIN ? "min"
                         : row->unit == UNIT_KB  ? "kB"
                                                 : "8kB",
                         row->name, (long long)row->min, (long long)row->max);
    *out = (int64_t)value;
    return true;
}

/* "1min" for 60000 ms: the largest unit that divides it. */
static char *show_int(const struct setting *row, int64_t number)
{
    char text[48];
    static const struct {
        const char *suffix;
        int64_t factor;
    } times[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}},
      sizes[] = {{"TB", INT64_C(1) << 30}, {"GB", 1 << 20}, {"MB", 1 << 10}, {"kB", 1}};
    snprintf(text, sizeof(text), "%lld", (long long)number);
    if (row->unit != UNIT_NONE && number > 0) {
        enum value_unit base;
        int64_t scaled = number * (int64_t)unit_size(row->unit, &base);
        size_t count = base == UNIT_MS ? ARRAY_COUNT(times) : ARRAY_COUNT(sizes);
        for (size_t i = 0; i < count; i++) {
            int64_t factor = base == UNIT_MS ? times[i].factor : sizes[i].factor;
            if (scaled % factor == 0) {
                snprintf(text, sizeof(text), "%lld%s", (long long)(scaled / factor),
                         base == UNIT_MS ? times[i].suffix : sizes[i].suffix);
                break;
            }
        }
    }
    return mem_strdup(text);
}

static bool parse_bool(const char *text, bool *out)
{
    static const struct {
        const char *word;
        size_t least;
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                 {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    size_t len = strlen(text);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (len >= words[i].least && len <= strlen(words[i].word) &&
            strncasecmp(text, words[i].word, len) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

/* Canonical text and number; NULL with err filled. */
static char *canonical_value(const struct setting *row, const char *text, int64_t *number, struct error *err)
{
    *number = 0;
    switch (row->kind) {
    case KIND_BOOL: {
        bool value;
        if (!parse_bool(text, &value)) {
            error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "parameter \"%s\" requires a Boolean value",
                      row->name);
            return NULL;
        }
        *number = value;
        if (row->check != NULL)
            return row->check(row->name, value ? "on" : "off", err);
        return mem_strdup(value ? "on" : "off");
    }
    case KIND_INT:
        if (!parse_int(row, text, number, err))
            return NULL;
        return show_int(row, *number);
    case KIND_REAL: {
        char *end;
        double value = strtod(text, &end);
        if (end == text || *end != '\0' || !isfinite(value)) {
            value_invalid(row->name, text, err);
            return NULL;
        }
        char shown[40];
        snprintf(shown, sizeof(shown), "%g", value);
        return mem_strdup(shown);
    }
    case KIND_ENUM: {
        const char *at = row->options;
        for (int64_t i = 0; *at != '\0'; i++) {
            size_t len = strcspn(at, ",");
            if (strlen(text) == len && strncasecmp(at, text, len) == 0) {
                *number = i;
                char *copy = mem_zalloc(len + 1);
                memcpy(copy, at, len);
                return copy;
            }
            at += len + (at[len] == ',');
        }
        /* on and off in their other spellings */
        bool value;
        if (strstr(row->options, "off") != NULL && parse_bool(text, &value) &&
            strcasecmp(text, value ? "on" : "off") != 0)
            return canonical_value(row, value ? "on" : "off", number, err);
        value_invalid(row->name, text, err);
        struct strbuf list = STRBUF_INIT;
        for (const char *c = row->options; *c != '\0'; c++)
            strbuf_add(&list, *c == ',' ? ", " : c, *c == ',' ? 2 : 1);
        error_hint(err, "Available values: %s.", strbuf_text(&list));
        strbuf_release(&list);
        return NULL;
    }
    case KIND_TEXT:
        return row->check != NULL ? row->check(row->name, text, err) : mem_strdup(text);
    }
    return NULL;
}

static const char *setting_name(const struct session_settings *settings, uint32_t index)
{
    return index < ROWS_COUNT ? setting_rows[index].name : settings->values[index].custom_name;
}

/* Puts setting number `index` in its place among the `sorted` ones before it. */
static void sort_in(struct session_settings *settings, uint32_t index, uint32_t sorted)
{
    const char *name = setting_name(settings, index);
    uint32_t at = 0, end = sorted;
    while (at < end) {
        uint32_t middle = (at + end) / 2;
        if (strcasecmp(setting_name(settings, settings->by_name[middle]), name) < 0)
            at = middle + 1;
        else
            end = middle;
    }
    memmove(settings->by_name + at + 1, settings->by_name + at, sizeof(uint32_t) * (sorted - at));
    settings->by_name[at] = index;
}

struct session_settings *session_settings_create(void)
{
    struct session_settings *settings = mem_zalloc(sizeof(*settings));
    settings->count = ROWS_COUNT;
    settings->values = mem_zalloc(sizeof(*settings->values) * ROWS_COUNT);
    for (uint32_t i = 0; i < ROWS_COUNT; i++) {
        struct error err;
        struct value *value = &settings->values[i];
        value->text = canonical_value(&setting_rows[i], setting_rows[i].default_text, &value->number, &err);
        CHECK(value->text != NULL);
        value->reset = mem_strdup(value->text);
    }
    settings->by_name = mem_zalloc(sizeof(uint32_t) * ROWS_COUNT);
    for (uint32_t i = 0; i < ROWS_COUNT; i++)
        sort_in(settings, i, i);
    return settings;
}

void session_settings_destroy(struct session_settings *settings)
{
    if (settings == NULL)
        return;
    session_settings_commit(settings);
    for (uint32_t i = 0; i < settings->count; i++) {
        struct value *value = &settings->values[i];
        mem_free(value->text);
        mem_free(value->reset);
        mem_free(value->reported);
        mem_free(value->custom_name);
    }
    mem_free(settings->values);
    mem_free(settings->by_name);
    mem_free(settings->undo);
    mem_free(settings);
}

/* Index, or count when there is none. */
static uint32_t setting_find(const struct session_settings *settings, const char *name)
{
    if (strcasecmp(name, "TIME ZONE") == 0)
        name = "TimeZone";
    for (uint32_t i = 0; i < settings->count; i++) {
        if (strcasecmp(setting_name(settings, i), name) == 0)
            return i;
    }
    return settings->count;
}

int64_t session_settings_number(const struct session_settings *settings, enum session_setting which)
{
    return settings->values[which].number;
}

const char *session_settings_text(const struct session_settings *settings, enum session_setting which)
{
    return settings->values[which].text;
}

const char *session_settings_get(const struct session_settings *settings, const char *name)
{
    uint32_t index = setting_find(settings, name);
    return index < settings->count ? settings->values[index].text : NULL;
}

static bool setting_unknown(const char *name, struct error *err)
{
    return error_set(err, ERRCODE_UNDEFINED_OBJECT, "unrecognized configuration parameter \"%s\"", name);
}

bool session_settings_show(const struct session_settings *settings, const char *name, const char **value,
                           const char **canonical, struct error *err)
{
    uint32_t index = setting_find(settings, name);
    if (index >= settings->count || settings->values[index].text == NULL)
        return setting_unknown(name, err);
    *value = settings->values[index].text;
    if (canonical != NULL)
        *canonical = setting_name(settings, index);
    return true;
}

static bool custom_name_ok(const char *name)
{
    const char *dot = strchr(name, '.');
    if (dot == NULL || dot == name || dot[1] == '\0')
        return false;
    bool start = true;
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '.') {
            if (start)
                return false;
            start = true;
        } else if (isalpha((unsigned char)*c) || *c == '_' || (unsigned char)*c >= 0x80 ||
                   (!start && (isdigit((unsigned char)*c) || *c == '$'))) {
            start = false;
        } else {
            return false;
        }
    }
    return !start;
}

/* The setting's index; a custom one is made when the name allows. count with err filled when not. */
static uint32_t setting_find_or_add(struct session_settings *settings, const char *name, struct error *err)
{
    uint32_t index = setting_find(settings, name);
    if (index < settings->count)
        return index;
    if (strchr(name, '.') == NULL) {
        setting_unknown(name, err);
        return UINT32_MAX;
    }
    if (!custom_name_ok(name)) {
        error_set(err, ERRCODE_INVALID_NAME, "invalid configuration parameter name \"%s\"", name);
        error_detail(err, "Custom parameter names must be two or more simple identifiers separated by dots.");
        return UINT32_MAX;
    }
    if (settings->count >= ROWS_COUNT + 1000) {
        error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "too many custom configuration parameters");
        return UINT32_MAX;
    }
    settings->values = mem_realloc(settings->values, sizeof(*settings->values) * (settings->count + 1));
    settings->values[settings->count] =
        (struct value){.custom_name = mem_strdup(name), .reset = mem_strdup("")};
    settings->by_name = mem_realloc(settings->by_name, sizeof(uint32_t) * (settings->count + 1));
    sort_in(settings, settings->count, settings->count);
    return settings->count++;
}

static const struct setting *setting_row_of(uint32_t index)
{
    static const struct setting custom = {
        .name = "custom", .kind = KIND_TEXT, .help = "A client's own setting."};
    return index < ROWS_COUNT ? &setting_rows[index] : &custom;
}

static void value_replace(struct session_settings *settings, uint32_t index, char *text)
{
    struct value *value = &settings->values[index];
    if (value->text != text)
        mem_free(value->text);
    value->text = text;
    value->number = 0;
    if (text != NULL && index < ROWS_COUNT) {
        struct error err;
        char *again = canonical_value(&setting_rows[index], text, &value->number, &err);
        mem_free(again);
    }
}

static void remember(struct session_settings *settings, uint32_t index, bool is_local)
{
    if (settings->undo_count == settings->undo_cap) {
        settings->undo_cap = settings->undo_cap == 0 ? 8 : settings->undo_cap * 2;
        settings->undo = mem_realloc(settings->undo, sizeof(*settings->undo) * settings->undo_cap);
    }
    const char *text = settings->values[index].text;
    settings->undo[settings->undo_count++] =
        (struct undo){.index = index, .text = text != NULL ? mem_strdup(text) : NULL, .is_local = is_local};
}

bool session_settings_set(struct session_settings *settings, const char *name, const char *value,
                          bool is_local, struct error *err)
{
    uint32_t index = setting_find_or_add(settings, name, err);
    if (index == UINT32_MAX)
        return false;
    const struct setting *row = setting_row_of(index);
    if (row->flags & FLAG_READ_ONLY)
        return error_set(err, ERRCODE_CANT_CHANGE_RUNTIME_PARAM, "parameter \"%s\" cannot be changed",
                         row->name);
    char *text;
    if (value == NULL) {
        text = mem_strdup(settings->values[index].reset);
    } else {
        int64_t number;
        text = canonical_value(row, value, &number, err);
        if (text == NULL)
            return false;
    }
    remember(settings, index, is_local);
    value_replace(settings, index, text);
    return true;
}

bool session_settings_set_default(struct session_settings *settings, const char *name, const char *value,
                                  struct error *err)
{
    uint32_t index = setting_find_or_add(settings, name, err);
    if (index == UINT32_MAX)
        return false;
    const struct setting *row = setting_row_of(index);
    if (row->flags & FLAG_READ_ONLY)
        return error_set(err, ERRCODE_CANT_CHANGE_RUNTIME_PARAM, "parameter \"%s\" cannot be changed",
                         row->name);
    int64_t number;
    char *text = canonical_value(row, value, &number, err);
    if (text == NULL)
        return false;
    mem_free(settings->values[index].reset);
    settings->values[index].reset = mem_strdup(text);
    value_replace(settings, index, text);
    return true;
}

void session_settings_force(struct session_settings *settings, const char *name, const char *value)
{
    uint32_t index = setting_find(settings, name);
    CHECK(index < ROWS_COUNT);
    mem_free(settings->values[index].reset);
    settings->values[index].reset = mem_strdup(value);
    mem_free(settings->values[index].text);
    settings->values[index].text = mem_strdup(value);
}

void session_settings_reset_all(struct session_settings *settings)
{
    for (uint32_t i = 0; i < settings->count; i++) {
        struct value *value = &settings->values[i];
        if ((setting_row_of(i)->flags & (FLAG_READ_ONLY | FLAG_NO_RESET_ALL)) != 0 || value->text == NULL ||
            strcmp(value->text, value->reset) == 0)
            continue;
        remember(settings, i, false);
        value_replace(settings, i, mem_strdup(value->reset));
    }
}

uint32_t session_settings_mark(const struct session_settings *settings)
{
    return settings->undo_count;
}

void session_settings_undo(struct session_settings *settings, uint32_t mark)
{
    while (settings->undo_count > mark) {
        struct undo *undo = &settings->undo[--settings->undo_count];
        value_replace(settings, undo->index, undo->text);
    }
}

/* A local change is put back unless a later, not local, change of the same setting stands: then that value
 * stays. */
void session_settings_commit(struct session_settings *settings)
{
    for (uint32_t i = settings->undo_count; i-- > 0;) {
        struct undo *undo = &settings->undo[i];
        bool keep_later = false;
        for (uint32_t later = i + 1; later < settings->undo_count && !keep_later; later++)
            keep_later = settings->undo[later].index == undo->index && !settings->undo[later].is_local;
        if (undo->is_local && !keep_later) {
            value_replace(settings, undo->index, undo->text);
            undo->text = NULL;
        }
    }
    for (uint32_t i = 0; i < settings->undo_count; i++)
        mem_free(settings->undo[i].text);
    settings->undo_count = 0;
}

void session_settings_rollback(struct session_settings *settings)
{
    session_settings_undo(settings, 0);
}

bool session_settings_next_report(struct session_settings *settings, uint32_t *cursor, const char **name,
                                  const char **value)
{
    for (; *cursor < ROWS_COUNT; (*cursor)++) {
        struct value *item = &settings->values[*cursor];
        if ((setting_rows[*cursor].flags & FLAG_REPORT) == 0 ||
            (item->reported != NULL && strcmp(item->reported, item->text) == 0))
            continue;
        mem_free(item->reported);
        item->reported = mem_strdup(item->text);
        *name = setting_rows[*cursor].name;
        *value = item->text;
        (*cursor)++;
        return true;
    }
    return false;
}

bool session_settings_at(const struct session_settings *settings, uint32_t index,
                         struct session_setting_info *out)
{
    static const char *const types[] = {"bool", "integer", "real", "string", "enum"};
    static const char *const units[] = {NULL, "ms", "s", "min", "kB", "8kB"};
    if (index >= settings->count)
        return false;
    index = settings->by_name[index];
    const struct setting *row = setting_row_of(index);
    *out = (struct session_setting_info){
        .name = setting_name(settings, index),
        .value = settings->values[index].text != NULL ? settings->values[index].text : "",
        .unit = units[row->unit],
        .type = types[row->kind],
        .help = row->help,
        .boot = row->default_text != NULL ? row->default_text : "",
        .reset = settings->values[index].reset,
        .context = row->flags & FLAG_READ_ONLY ? "internal" : "user",
    };
    return true;
}

void session_settings_io(const struct session_settings *settings, struct io_env *io)
{
    io->timezone = settings->values[SESSION_TIMEZONE].text;
    io->date_style = 0;
    const char *order = strchr(settings->values[SESSION_DATE_STYLE].text, ' ');
    io->date_order = order != NULL ? order[1] : 'M';
    io->interval_style = (int)settings->values[SESSION_INTERVAL_STYLE].number;
    io->extra_float_digits = (int)settings->values[SESSION_EXTRA_FLOAT_DIGITS].number;
    io->bytea_escape = settings->values[SESSION_BYTEA_OUTPUT].number == 1;
}

bool session_settings_split_names(const char *list, void (*visit)(void *ctx, const char *name), void *ctx)
{
    const char *at = list + strspn(list, " \t\r\n");
    if (*at == '\0')
        return true;
    for (;;) {
        char name[64];
        size_t len = 0;
        if (*at == '"') {
            at++;
            for (;;) {
                if (*at == '\0')
                    return false;
                if (*at == '"' && *++at != '"')
                    break;
                if (len < sizeof(name) - 1)
                    name[len++] = *at;
                at++;
            }
        } else {
            size_t word = strcspn(at, ", \t\r\n");
            if (word == 0)
                return false;
            for (size_t i = 0; i < word; i++) {
                if (len < sizeof(name) - 1)
                    name[len++] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] - 'A' + 'a') : at[i];
            }
            at += word;
        }
        name[len] = '\0';
        if (visit != NULL)
            visit(ctx, name);
        at += strspn(at, " \t\r\n");
        if (*at == '\0')
            return true;
        if (*at != ',')
            return false;
        at++;
        at += strspn(at, " \t\r\n");
    }
}
