/* limits.h: every fixed maximum, in one place, with what happens at it. */
#ifndef MILLRACE_BASE_LIMITS_H
#define MILLRACE_BASE_LIMITS_H

/* Rows an operator is handed at once; larger batches are cut, nothing fails. */
#define BATCH_ROWS_MAX 2048
/* Identifiers are cut to it, as in PostgreSQL. */
#define NAME_BYTES_MAX 63
/* Columns of a relation or a result: 54011. */
#define COLUMNS_MAX 1600
/* Arguments of a function: 54023. */
#define CALL_ARGS_MAX 100
/* $n of a statement: 54023. */
#define PARAMS_MAX 65535
/* Depth of the parse tree and of every recursion over it: 54001. */
#define NESTING_MAX 2000
/* One Query or Parse message: 54000, the connection is kept. */
#define STATEMENT_BYTES_MAX (64u << 20)
/* Any other message after authentication: 08P01, connection closed. */
#define MESSAGE_BYTES_MAX (1u << 30)
/* Start-up packet, as in PostgreSQL: connection closed. */
#define STARTUP_BYTES_MAX 10000
/* One text, bytea, jsonb or array value: 54000. */
#define VALUE_BYTES_MAX (1u << 30)
/* Input waiting for a tick; writers block behind it. */
#define STAGED_BYTES_MAX (256u << 20)
/* Rows of one tick (a larger transaction still makes one tick). */
#define TICK_ROWS_MAX (1u << 20)
/* --backfill-limit: recorded ticks that wait for one view that is being filled; writers wait beyond. */
#define BACKFILL_BYTES_MAX (256ll << 20)
/* Changes waiting for one reader; it is closed with 53400 beyond. */
#define SUBSCRIBE_BYTES_MAX (64u << 20)
/* --workers. */
#define SHARDS_MAX 64

#endif
