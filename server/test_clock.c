/* test_clock.c: see test_clock.h. */
#include "server/test_clock.h"

#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/data/datetime.h"
#include "storage/data/datetime_io.h"

#include <string.h>
#include <strings.h>

/* One change at a time: to look at the clock and to set it is one step. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

bool test_clock_is_name(const char *name)
{
    return strcasecmp(name, "clock") == 0 || strcasecmp(name, "millrace.clock") == 0;
}

bool test_clock_set(struct session *session, const char *value, struct error *err)
{
    bool stop = value != NULL && strcasecmp(value, "system") != 0;
    int64_t now_us = 0;
    if (stop && !timestamptz_input(value, strlen(value), -1, &session->env.io, &now_us, err))
        return error_hint(err, "SET clock takes a time, or 'system' for the machine's clock.");
    if (stop && (now_us == TIMESTAMP_PLUS_INFINITY || now_us == TIMESTAMP_MINUS_INFINITY))
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "the clock cannot stand at \"%s\"", value);
    pthread_mutex_lock(&changing);
    bool was_set = clock_is_set();
    if (stop)
        clock_set(now_us);
    else
        clock_release();
    engine_run_due(session->server->engine);
    pthread_mutex_unlock(&changing);
    if (stop && !was_set) {
        session_notice(session, "WARNING", "01000", "SET clock = 'system' lets it go again.",
                       "the server's clock stands still, for all sessions");
        log_write(LOG_WARNING, "the clock stands still: SET clock");
    } else if (!stop && was_set) {
        log_write(LOG_INFO, "the clock is the machine's again");
    }
    return true;
}

bool test_clock_advance(struct session *session, const struct interval *by, int64_t *now_us,
                        struct error *err)
{
    pthread_mutex_lock(&changing);
    bool ok = true;
    int64_t from_us = clock_now_us();
    if (!clock_is_set()) {
        error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the clock goes by itself");
        ok = error_hint(err, "Stop it first: SET clock = '2026-01-01 12:00:00+00'.");
    } else if (!timestamptz_plus_interval(session->env.io.timezone, from_us, by, now_us, err)) {
        ok = false;
    } else if (*now_us < from_us) {
        ok = error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "advance_clock() does not go back");
    }
    if (ok) {
        clock_set(*now_us);
        engine_run_due(session->server->engine);
    }
    pthread_mutex_unlock(&changing);
    return ok;
}

const char *test_clock_text(struct session *session, struct arena *arena)
{
    if (!clock_is_set())
        return "system";
    struct strbuf text = STRBUF_INIT;
    timestamptz_output(clock_now_us(), &session->env.io, &text);
    const char *copy = arena_strdup(arena, strbuf_text(&text));
    strbuf_release(&text);
    return copy;
}
