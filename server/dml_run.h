/* dml_run.h: what the files that run INSERT, UPDATE and DELETE share. */
#ifndef MILLRACE_SERVER_DML_RUN_H
#define MILLRACE_SERVER_DML_RUN_H

#include "executor/query.h"
#include "server/key_map.h"
#include "server/run_dml.h"
#include "server/transaction.h"

struct dml_conflict;

struct dml_run {
    struct session *session;
    const struct dml_plan *plan;
    const struct eval_env *env;
    struct relation *relation;
    uint32_t columns_count;   /* of the target */
    struct arena arena;       /* the statement */
    struct arena batch_arena; /* the present batch of the source */
    struct expr_run *to_row, *generated, *checks, *returning, *conflict_row, *conflict_where;
    struct dml_conflict *conflict;
    struct batch *returned;
    uint64_t count;
    bool takes_rows; /* the source's rows live as long as the transaction */
    /* joined UPDATE and DELETE: target rows that have matched */
    struct key_map seen;
    struct batch *seen_rows; /* their source rows */
    int64_t *seen_counts;
};

/* Rows of the target from rows of the source (program NULL: its first columns are the row), generated and
 * checked; in the batch's arena, shared with the source and the program's results. rows_count <=
 * BATCH_ROWS_MAX. */
MUST_CHECK
bool dml_make_rows(struct dml_run *run, struct expr_run *program, const struct batch *source,
                   const uint32_t *selection, uint32_t rows_count, struct batch **out, struct error *err);
/* Evaluates RETURNING. source: where extra columns stand. weights NULL: all 1. */
MUST_CHECK
bool dml_return_rows(struct dml_run *run, const struct batch *rows, const struct batch *source,
                     const int64_t *weights, struct error *err);

#endif
