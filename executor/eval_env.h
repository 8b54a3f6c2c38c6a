/* eval_env.h: what the value of an expression may depend on besides its row. Read-only while a statement or a
 * tick runs. A view gets one made from the settings recorded at its CREATE. */
#ifndef MILLRACE_EXECUTOR_EVAL_ENV_H
#define MILLRACE_EXECUTOR_EVAL_ENV_H

#include "storage/data/batch.h"

/* Answers of the layers above for functions about the session and the catalog. */
struct session_info {
    const char *user, *database, *application_name;
    const char *client_address; /* NULL: none */
    int32_t client_port;
    int32_t backend_pid;
    const char *const *search_path; /* existing schemas in order, NULL-terminated */
    void *catalog;                  /* planner/catalog.h; functions of the planner folder cast it back */
    void *session;                  /* server's session; only server's functions use it */
};

struct eval_env {
    struct io_env io;           /* zone, styles, names of reg* types; io.now_us = transaction start */
    int64_t statement_us;       /* start of the statement */
    uint64_t seed;              /* of random() in this statement or tick */
    const struct datum *params; /* $1.. */
    const struct sql_type *param_types;
    uint32_t params_count;
    const struct session_info *session; /* NULL in views */
    const _Atomic bool *cancel;         /* becomes true when the statement is to stop: 57014. May be NULL. */
};

/* Errors of single rows in one evaluation. In a SELECT the first one fails the statement; in a view each row
 * with one goes to the view's error relation instead of the result. */
struct row_errors {
    struct arena *arena;
    uint8_t *failed; /* per row of the present evaluation, or NULL while none failed */
    uint32_t rows;
    uint32_t count;
    uint32_t cap;
    struct row_error {
        uint32_t row;
        struct error *error;
    } * items; /* at most one per row: the first */
};

#endif
