/* fn_server.c: functions about sessions and settings: current_setting(), set_config(), pg_cancel_backend(),
 * pg_sleep(), advisory locks (PostgreSQL manual 9.26.1, 9.27). They run on the thread of their session. */
#define _GNU_SOURCE
#include "executor/eval_env.h"
#include "executor/functions/text_kernel.h"
#include "server/session.h"
#include "server/session_settings.h"
#include "server/settings.h"
#include "server/sysview.h"
#include "server/test_clock.h"
#include "server/waits.h"
#include "storage/base/clock.h"

#include <math.h>
#include <stdio.h>

static struct session *call_session(struct fn_call *call)
{
    return call->env->session != NULL ? call->env->session->session : NULL;
}

static bool bool_arg(const struct column *column, uint32_t row)
{
    return COLUMN_BOOL(column)[COLUMN_AT(column, row)] != 0;
}

static void set_text(struct fn_call *call, struct column *result, uint32_t row, const char *text)
{
    RESULT_VAR(result)[row] = (struct varlen){0};
    if (text == NULL)
        fn_set_null(call, result, row);
    else
        RESULT_VAR(result)[row] = varlen_copy(call->arena, text, (uint32_t)strlen(text));
}

static void no_session(struct fn_call *call, uint32_t row)
{
    fn_error(call, row, ERRCODE_FEATURE_NOT_SUPPORTED, "%s() cannot be used here", call->function->name);
}

/* ---- settings ---- */

static void fn_current_setting(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        if (session == NULL) {
            no_session(call, i);
            continue;
        }
        struct text_arg text = text_at(&args[0], i);
        const char *name = arena_strndup(call->arena, text.bytes, text.len);
        const char *value;
        struct error err;
        if (session_settings_show(session->settings, name, &value, NULL, &err))
            set_text(call, result, i, value);
        else if (call->args_count > 1 && bool_arg(&args[1], i))
            fn_set_null(call, result, i);
        else
            fn_error_from(call, i, &err);
    }
}

/* set_config(name, value, is_local): NULL as value means the default. */
static void fn_set_config(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (session == NULL) {
            no_session(call, i);
            continue;
        }
        if (column_is_null(&args[0], i)) {
            fn_error(call, i, ERRCODE_NULL_VALUE_NOT_ALLOWED, "SET requires parameter name");
            continue;
        }
        struct text_arg text = text_at(&args[0], i);
        const char *name = arena_strndup(call->arena, text.bytes, text.len);
        const char *value = NULL;
        if (!column_is_null(&args[1], i)) {
            struct text_arg arg = text_at(&args[1], i);
            value = arena_strndup(call->arena, arg.bytes, arg.len);
        }
        bool is_local = !column_is_null(&args[2], i) && bool_arg(&args[2], i);
        struct error err;
        if (session_settings_set(session->settings, name, value, is_local, &err) &&
            session_settings_show(session->settings, name, &value, NULL, &err))
            set_text(call, result, i, value);
        else
            fn_error_from(call, i, &err);
    }
}

/* ---- sessions ---- */

static void fn_cancel_backend(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_BOOL(result)
        [i] = session != NULL && !column_is_null(result, i) &&
              session_cancel(session->server, i32_at(&args[0], i), NULL);
    }
}

static void fn_terminate_backend(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_BOOL(result)
        [i] = session != NULL && !column_is_null(result, i) &&
              session_terminate(session->server, i32_at(&args[0], i));
    }
}

static void fn_server_addr(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    bool known = session != NULL && session->client_address[0] != '\0';
    for (uint32_t i = 0; i < call->rows; i++)
        set_text(call, result, i, known ? session_settings_get(session->settings, "listen_addresses") : NULL);
}

static void fn_server_port(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        bool known = session != NULL && session->server->settings != NULL;
        RESULT_I32(result)[i] = known ? (int32_t)session->server->settings->port : 0;
        if (!known)
            fn_set_null(call, result, i);
    }
}

static void fn_start_time(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_I64(result)[i] = session != NULL ? session->server->start_us : call->env->statement_us;
}

/* ---- waiting ---- */

static void sleep_rows(struct fn_call *call, const struct column *args, struct column *result,
                       int64_t (*until)(struct fn_call *, const struct column *, uint32_t))
{
    for (uint32_t i = 0; i < call->rows; i++) {
        if (result->phys == PHYS_VAR)
            RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        if (!wait_until(until(call, args, i), call->env->cancel)) {
            fn_error(call, i, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
            return;
        }
    }
}

static int64_t after_us(double us)
{
    if (!(us > 0))
        return 0;
    int64_t now = clock_monotonic_ns();
    return us > (double)(INT64_MAX - 1 - now) / 1000 ? INT64_MAX - 1 : now + (int64_t)(us * 1000);
}

static int64_t until_seconds(struct fn_call *call, const struct column *args, uint32_t row)
{
    return after_us(COLUMN_F64(&args[0])[COLUMN_AT(&args[0], row)] * 1e6);
}

static int64_t until_interval(struct fn_call *call, const struct column *args, uint32_t row)
{
    struct interval span = COLUMN_INTERVAL(&args[0])[COLUMN_AT(&args[0], row)];
    return after_us((double)span.us + ((double)span.days + 30.0 * span.months) * 86400e6);
}

static int64_t until_instant(struct fn_call *call, const struct column *args, uint32_t row)
{
    return after_us((double)(COLUMN_I64(&args[0])[COLUMN_AT(&args[0], row)] - clock_now_us()));
}

static void fn_sleep(struct fn_call *call, const struct column *args, struct column *result)
{
    sleep_rows(call, args, result, until_seconds);
}
static void fn_sleep_for(struct fn_call *call, const struct column *args, struct column *result)
{
    sleep_rows(call, args, result, until_interval);
}
static void fn_sleep_until(struct fn_call *call, const struct column *args, struct column *result)
{
    sleep_rows(call, args, result, until_instant);
}

static void fn_advance_clock(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    struct error err;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_I64(result)[i] = 0;
        if (column_is_null(result, i))
            continue;
        struct interval by = COLUMN_INTERVAL(&args[0])[COLUMN_AT(&args[0], i)];
        if (session == NULL)
            no_session(call, i);
        else if (!test_clock_advance(session, &by, &RESULT_I64(result)[i], &err))
            fn_error_from(call, i, &err);
    }
}

/* ---- advisory locks ---- */

static struct advisory_key key_at(const struct column *args, uint32_t args_count, uint32_t row)
{
    if (args_count == 2)
        return (struct advisory_key){(uint32_t)i32_at(&args[0], row), (uint32_t)i32_at(&args[1], row), true};
    uint64_t key = (uint64_t)COLUMN_I64(&args[0])[COLUMN_AT(&args[0], row)];
    return (struct advisory_key){(uint32_t)(key >> 32), (uint32_t)key, false};
}

static void lock_rows(struct fn_call *call, const struct column *args, struct column *result, bool is_try)
{
    struct session *session = call_session(call);
    bool is_shared = strstr(call->function->name, "_shared") != NULL;
    bool in_transaction = strstr(call->function->name, "_xact_") != NULL;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (is_try)
            RESULT_BOOL(result)[i] = 0;
        else
            RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        if (session == NULL) {
            no_session(call, i);
            continue;
        }
        enum advisory_result taken = advisory_lock(session, key_at(args, call->args_count, i), is_shared,
                                                   in_transaction, is_try ? 0 : INT64_MAX);
        if (is_try)
            RESULT_BOOL(result)[i] = taken == ADVISORY_TAKEN;
        if (taken == ADVISORY_CANCELLED) {
            fn_error(call, i, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
            return;
        }
    }
}

static void fn_lock(struct fn_call *call, const struct column *args, struct column *result)
{
    lock_rows(call, args, result, false);
}

static void fn_try_lock(struct fn_call *call, const struct column *args, struct column *result)
{
    lock_rows(call, args, result, true);
}

static void fn_unlock(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    bool is_shared = strstr(call->function->name, "_shared") != NULL;
    for (uint32_t i = 0; i < call->rows; i++) {
        bool held = session != NULL && !column_is_null(result, i) &&
                    advisory_unlock(session, key_at(args, call->args_count, i), is_shared);
        RESULT_BOOL(result)[i] = held;
        if (!held && session != NULL && !column_is_null(result, i))
            session_notice(session, "WARNING", "01000", NULL, "you don't own a lock of type %s",
                           is_shared ? "ShareLock" : "ExclusiveLock");
    }
}

static void fn_unlock_all(struct fn_call *call, const struct column *args, struct column *result)
{
    struct session *session = call_session(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (session != NULL)
            advisory_unlock_all(session, false);
    }
}

static void set_none(struct fn_call *call, const struct column *args, struct srf_output *output) {}

#define LOCKS(name, result, kernel, help)                                                                    \
    {name, "int8", result, kernel, help, FN_VOLATILE},                                                       \
    {                                                                                                        \
        name, "int4,int4", result, kernel, help, FN_VOLATILE                                                 \
    }

const struct function_row fn_server_rows[] = {
    {"current_setting", "text", "text", fn_current_setting, "current_setting('timezone') gives 'UTC'",
     FN_STABLE},
    {"current_setting", "text,bool", "text", fn_current_setting,
     "current_setting('a.b', true) gives NULL when there is none", FN_STABLE},
    {"set_config", "text,text,bool", "text", fn_set_config, "set_config('search_path', 'a', false) sets it",
     FN_NULLS | FN_VOLATILE},
    {"pg_cancel_backend", "int4", "bool", fn_cancel_backend, "pg_cancel_backend(pid) stops its statement",
     FN_VOLATILE},
    {"pg_terminate_backend", "int4", "bool", fn_terminate_backend,
     "pg_terminate_backend(pid) ends the session", FN_VOLATILE},
    {"pg_terminate_backend", "int4,int8", "bool", fn_terminate_backend,
     "pg_terminate_backend(pid, 1000) ends the session", FN_VOLATILE},
    {"inet_server_addr", "", "text", fn_server_addr, "inet_server_addr() is the server's address", FN_STABLE},
    {"inet_server_port", "", "int4", fn_server_port, "inet_server_port() is the server's port", FN_STABLE},
    {"pg_postmaster_start_time", "", "timestamptz", fn_start_time,
     "pg_postmaster_start_time(): start of the server", FN_STABLE},
    {"pg_conf_load_time", "", "timestamptz", fn_start_time, "pg_conf_load_time(): start of the server",
     FN_STABLE},
    {"pg_sleep", "float8", "void", fn_sleep, "pg_sleep(0.5) waits half a second", FN_VOLATILE},
    {"pg_sleep_for", "interval", "void", fn_sleep_for, "pg_sleep_for('1 s') waits a second", FN_VOLATILE},
    {"pg_sleep_until", "timestamptz", "void", fn_sleep_until, "pg_sleep_until('tomorrow 03:00')",
     FN_VOLATILE},
    {"advance_clock", "interval", "timestamptz", fn_advance_clock,
     "advance_clock('1 minute') moves a clock that SET clock has stopped, and says where it stands",
     FN_VOLATILE},
    LOCKS("pg_advisory_lock", "void", fn_lock, "pg_advisory_lock(7) waits until 7 is ours"),
    LOCKS("pg_advisory_lock_shared", "void", fn_lock, "pg_advisory_lock_shared(7) shares 7"),
    LOCKS("pg_advisory_xact_lock", "void", fn_lock,
          "pg_advisory_xact_lock(7) holds 7 until the transaction ends"),
    LOCKS("pg_advisory_xact_lock_shared", "void", fn_lock,
          "pg_advisory_xact_lock_shared(7) shares 7 until the transaction ends"),
    LOCKS("pg_try_advisory_lock", "bool", fn_try_lock, "pg_try_advisory_lock(7) is false when another has 7"),
    LOCKS("pg_try_advisory_lock_shared", "bool", fn_try_lock,
          "pg_try_advisory_lock_shared(7) is false when another has 7 alone"),
    LOCKS("pg_try_advisory_xact_lock", "bool", fn_try_lock,
          "pg_try_advisory_xact_lock(7) is false when another has 7"),
    LOCKS("pg_try_advisory_xact_lock_shared", "bool", fn_try_lock,
          "pg_try_advisory_xact_lock_shared(7) is false when another has 7 alone"),
    LOCKS("pg_advisory_unlock", "bool", fn_unlock, "pg_advisory_unlock(7) is false when we do not have 7"),
    LOCKS("pg_advisory_unlock_shared", "bool", fn_unlock,
          "pg_advisory_unlock_shared(7) is false when we do not share 7"),
    {"pg_advisory_unlock_all", "", "void", fn_unlock_all, "pg_advisory_unlock_all() gives all back",
     FN_VOLATILE},
    {.name = "pg_listening_channels",
     .args = "",
     .result = "setof text",
     .help = "pg_listening_channels() gives no rows: there is no LISTEN",
     .flags = FN_SET | FN_STABLE,
     .set = set_none},
};
const size_t fn_server_rows_count = ARRAY_COUNT(fn_server_rows);
