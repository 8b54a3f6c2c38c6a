/* bind_dml.h: INSERT, UPDATE, DELETE and TRUNCATE as something that can be run in batches.
 *
 * A source gives rows; programs turn each batch of them into rows of the target, fill generated columns,
 * check them and make what RETURNING gives. The source of UPDATE is SELECT old row, new values, columns of
 * FROM; of DELETE the same without new values. Everything lies in the planner context's arena. */
#ifndef MILLRACE_PLANNER_BIND_DML_H
#define MILLRACE_PLANNER_BIND_DML_H

#include "executor/expr_program.h"
#include "planner/planner.h"

enum dml_kind { DML_INSERT, DML_UPDATE, DML_DELETE, DML_TRUNCATE };

/* VALUES lists without subqueries need no plan: constants and parameters are stored, other cells computed. */
struct dml_values {
    uint32_t rows_count, columns_count;
    struct expr **cells; /* row after row */
    uint32_t programs_count;
    struct dml_cells { /* cells that need computing, a few hundred per program */
        struct expr_program *program;
        uint32_t first, count; /* in `computed` */
    } * programs;
    uint32_t computed_count;
    uint32_t *computed; /* cell numbers */
};

/* A key that ON CONFLICT looks at. */
struct dml_arbiter {
    uint32_t columns_count;
    const uint32_t *columns;
    int32_t index_number; /* for relation_lookup; -1: the primary key */
};

/* A primary key, UNIQUE constraint or unique index of the target. */
struct dml_key {
    uint32_t oid; /* of the index */
    const char *name;
    uint32_t columns_count;
    const uint32_t *columns;
    int32_t index_number; /* as in dml_arbiter */
};

struct dml_plan {
    enum dml_kind kind;
    struct catalog_object *target; /* the prepared statement holds a reference */
    struct dml_values *values;     /* INSERT: either this */
    struct plan *source;           /* or this */
    struct expr_program *to_row;   /* over the source's row: the target's columns (generated ones are NULL) */
    bool to_row_is_identity;       /* the source's columns are the row */

    uint32_t generated_count;
    uint32_t *generated_columns;
    struct expr_program *generated; /* over the target's row */
    uint32_t checks_count;
    const char **check_names;
    struct expr_program *checks; /* over the target's row, boolean each */
    uint32_t keys_count;         /* INSERT, UPDATE: the primary key comes first */
    struct dml_key *keys;

    /* UPDATE and DELETE with other relations: a row may come more than once; counts, for tables without key,
     * come from the target itself */
    bool is_joined;
    bool reads_others; /* subqueries or other relations: the result depends on more than the target's rows one
                          by one */
    struct plan *target_scan;          /* TRUNCATE, and for counts: all rows of the target */
    uint32_t extra_first, extra_count; /* columns of the source behind old row and new values */

    bool on_conflict, do_update;
    uint32_t arbiters_count;
    struct dml_arbiter *arbiters;
    struct expr_program *conflict_row;   /* over existing row, then proposed row: the new row */
    struct expr_program *conflict_where; /* the same; NULL none */

    uint32_t returning_count; /* 0: none */
    const char **returning_names;
    struct sql_type *returning_types;
    struct expr_program *returning; /* over the target's row, then the extra columns */

    uint32_t truncate_count;    /* TRUNCATE: all targets */
    struct dml_plan **truncate; /* kind DML_TRUNCATE, target and target_scan each */
    bool restart_identity;
};

/* node: InsertStmt, UpdateStmt, DeleteStmt, TruncateStmt. */
MUST_CHECK
bool bind_dml(struct planner_context *ctx, const PgQuery__Node *node, struct dml_plan **out,
              struct error *err);
/* What clients may do to relations that a source owns: 42809. */
MUST_CHECK
bool bind_target_role(const struct catalog_object *target, enum dml_kind kind, struct error *err);
/* What a column of the target gets when a row says nothing of it: its default, or NULL. */
MUST_CHECK
bool bind_column_default(struct planner_context *ctx, const struct catalog_object *target, uint32_t column,
                         struct expr **out, struct error *err);
/* INSERT whose source has these columns of the target (COPY FROM): to_row over a row of exactly them. types: those that the source has, from
 * which there must be assignments (42804 naming the column); NULL: the target's. */
MUST_CHECK
bool bind_dml_rows(struct planner_context *ctx, struct catalog_object *target, const uint32_t *columns,
                   const struct sql_type *types, uint32_t columns_count, struct dml_plan **out,
                   struct error *err);

#endif
