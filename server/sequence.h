/* sequence.h: sequences: numbers handed out outside transactions, never twice.
 *
 * The state lies in an engine relation of one row (last_value, is_called), so that log and recovery know it
 * like any other. A row stands for a reserve: it says a value further on, and numbers up to it are handed out
 * from memory. After a crash the numbers of the reserve are skipped, as PostgreSQL does. Any thread. */
#ifndef MILLRACE_SERVER_SEQUENCE_H
#define MILLRACE_SERVER_SEQUENCE_H

#include "server/session.h"

struct sequence;

struct sequence_value {
    struct sequence_value *next;
    uint32_t oid;
    int64_t value;
};

/* Columns of the engine relation, and what SELECT * FROM sequence shows. */
void sequence_set_columns(struct catalog_object *object);
/* Reads the state from the object's relation and gives the object its sequence. */
void sequence_attach(struct server *server, struct catalog_object *object);
/* Writes exact values in place of reserves and frees all sequences: at shutdown. */
void sequences_close(struct server *server);
/* The next `count` values. 2200H at the end without CYCLE. */
MUST_CHECK
bool sequence_next(struct server *server, const struct catalog_object *object, uint32_t count,
                   int64_t *values, struct error *err);
MUST_CHECK
bool sequence_set(struct server *server, const struct catalog_object *object, int64_t value, bool is_called,
                  struct error *err);
/* The last value handed out; false when there was none yet. For pg_sequences. */
bool sequence_last_value(const struct catalog_object *object, int64_t *value);
/* TRUNCATE ... RESTART IDENTITY */
MUST_CHECK
bool sequence_restart_owned(struct server *server, uint32_t table_oid, struct error *err);
void sequence_forget_values(struct session *session);
/* nextval, currval, lastval, setval */
void sequence_register_functions(void);

#endif
