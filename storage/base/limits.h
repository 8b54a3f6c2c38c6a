/* limits.h: every fixed maximum, in one place, with what happens at it. */
#ifndef MILLRACE_BASE_LIMITS_H
#define MILLRACE_BASE_LIMITS_H

#define BATCH_ROWS_MAX          2048   /* rows an operator is handed at once; larger batches are cut, nothing fails */
#define NAME_BYTES_MAX          63     /* identifiers are cut to it, as in PostgreSQL */
#define COLUMNS_MAX             1600   /* columns of a relation or a result: 54011 */
#define CALL_ARGS_MAX           100    /* arguments of a function: 54023 */
#define PARAMS_MAX              65535  /* $n of a statement: 54023 */
#define NESTING_MAX             2000   /* depth of the parse tree and of every recursion over it: 54001 */
#define STATEMENT_BYTES_MAX     (64u << 20)  /* one Query or Parse message: 54000, the connection is kept */
#define MESSAGE_BYTES_MAX       (1u << 30)   /* any other message after authentication: 08P01, connection closed */
#define STARTUP_BYTES_MAX       10000        /* start-up packet, as PostgreSQL: connection closed */
#define VALUE_BYTES_MAX         (1u << 30)   /* one text, bytea, jsonb or array value: 54000 */
#define STAGED_BYTES_MAX        (256u << 20) /* input waiting for a tick; writers block behind it */
#define TICK_ROWS_MAX           (1u << 20)   /* rows of one tick (a larger transaction still makes one tick) */
#define SUBSCRIBE_BYTES_MAX     (64u << 20)  /* changes waiting for one reader; it is closed with 53400 beyond */
#define SHARDS_MAX              64

#endif
