/* test_clock.h: SET clock, SHOW clock, advance_clock(): the server's wall clock stands still where a test wants it. It
 * is one for all sessions, and no transaction undoes it. Called by threads of sessions. */
#ifndef MILLRACE_SERVER_TEST_CLOCK_H
#define MILLRACE_SERVER_TEST_CLOCK_H

#include "server/session.h"

/* "clock" and "millrace.clock", in any case: no setting of a session. */
bool test_clock_is_name(const char *name);
/* value: a time in the session's zone; 'system' and NULL let the clock go. What is due by then has run when this
 * returns. 22007 and 22008 for what is no time, 22023 for infinite ones. */
MUST_CHECK
bool test_clock_set(struct session *session, const char *value, struct error *err);
/* Moves a clock that stands still; *now_us is where it stands then. 55000 when it goes by itself, 22023 backwards. */
MUST_CHECK
bool test_clock_advance(struct session *session, const struct interval *by, int64_t *now_us,
                        struct error *err);
/* "system", or the time in the session's zone; in the arena. */
const char *test_clock_text(struct session *session, struct arena *arena);

#endif
