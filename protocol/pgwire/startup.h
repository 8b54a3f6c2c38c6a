/* startup.h: the first packets of a connection: encryption requests, cancel requests, start-up parameters. */
#ifndef MILLRACE_PGWIRE_STARTUP_H
#define MILLRACE_PGWIRE_STARTUP_H

#include "protocol/pgwire/message.h"
#include "storage/base/arena.h"

#define STARTUP_SECONDS 60

struct startup_setting {
    const char *name, *value;
};

struct startup {
    bool is_cancel;
    int32_t cancel_pid;
    uint32_t cancel_secret;
    const char *user, *database; /* database defaults to the user's name */
    bool is_replication;
    uint32_t settings_count, settings_cap;
    struct startup_setting *settings; /* in order; -c and -- settings of `options` included */
    uint32_t minor;                   /* minor protocol version asked for */
    uint32_t unknown_count, unknown_cap;
    const char **unknown; /* _pq_.* options, for NegotiateProtocolVersion */
};

/* Reads up to and including StartupMessage or CancelRequest, answering SSLRequest and GSSENCRequest with 'N'.
 * Text lies in the arena. WIRE_VIOLATION with 08P01, 0A000 (old protocol) or 28000 (no user). */
enum wire_result startup_read(struct wire *wire, int64_t deadline_ns, struct arena *arena,
                              struct startup *out, struct error *err);
/* NegotiateProtocolVersion when the client asked for more than 3.0. */
void startup_negotiate(struct wire *wire, const struct startup *startup);
/* Splits text such as "-c a=b --c=d" into settings; blanks are escaped by backslashes. 42601 for anything
 * else. */
MUST_CHECK
bool startup_options(struct arena *arena, const char *text, struct startup *out, struct error *err);

#endif
