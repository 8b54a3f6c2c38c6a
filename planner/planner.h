/* planner.h: from a statement's text to something that can run.
 *
 * text -> statements (statement.h splits it and rewrites our own spellings into PostgreSQL's grammar) ->
 * libpg_query tree -> bound tree -> relational plan -> passes -> executor plan. Everything a planning call
 * makes lies in ctx->arena. The catalog's read lock is held by the caller while planning. */
#ifndef MILLRACE_PLANNER_PLANNER_H
#define MILLRACE_PLANNER_PLANNER_H

#include "executor/eval_env.h"
#include "executor/plan.h"
#include "planner/catalog.h"

#include <pg_query/pg_query.pb-c.h>

enum view_emit { VIEW_EMIT_CHANGES, VIEW_EMIT_FINAL, VIEW_EMIT_EVERY };
enum view_late { VIEW_LATE_SIDE, VIEW_LATE_DROP, VIEW_LATE_CORRECT };
/* WITH (...) and EMIT of CREATE MATERIALIZED VIEW; microseconds. */
struct view_time {
    enum view_emit emit;
    int64_t every_us; /* VIEW_EMIT_EVERY */
    int64_t grace_us;
    enum view_late late;
    int64_t state_ttl_us; /* 0: rows stay for ever */
};

struct planner_context {
    struct arena *arena;
    struct catalog *catalog;
    const struct eval_env *env; /* session or recorded settings; env->session->search_path resolves names */
    bool for_view;              /* CREATE MATERIALIZED VIEW: refuses what cannot be maintained (0A000, with
                                   hint) */
    struct view_time view_time; /* for_view */
    uint32_t as_of_oid;  /* catalog_visible_columns: of whose stored text this is; 0: of a statement's */
    bool in_lookup_join; /* the next relation is the right side of a join with FOR SYSTEM_TIME AS OF now() */
    /* Parameters: types known so far (OID 0: infer). Grown while binding; at most PARAMS_MAX. */
    uint32_t params_count;
    uint32_t params_cap;
    struct sql_type *params;
    bool params_fixed;   /* true: $n beyond params_count is 42P02 */
    uint32_t passes_off; /* bit per pass of pass.h's table: tests plan with and without each */
    /* A materialized view whose inputs this transaction has changed is planned as its query (own writes
     * visible). NULL: no. */
    bool (*expand_view)(void *ctx, const struct catalog_object *view);
    void *expand_ctx;
    struct watermark_desc
        view_watermark; /* filled by planning a view: what views over it may know of its rows */
    const struct late_desc *view_late; /* and its late rows; NULL: none can be late */
    /* Filled by planning: relations and views the result depends on, directly. */
    uint32_t depends_count, depends_cap;
    uint32_t *depends;
    /* for_view: what the user should know about the view and is no error (state that nothing bounds); CREATE sends
     * each as a NOTICE. See planner_notice. */
    uint32_t notices_count, notices_cap;
    const char **notices;
    int32_t position_base; /* added to positions: where this statement's text begins */
    const char *sql;       /* text the tree's byte locations refer to, for character positions */
    bool sees_disabled;    /* recovery in safe mode: what is disabled has its columns all the same */
    uint32_t depth;        /* guarded recursion: 54001 beyond NESTING_MAX */
};

void planner_init(struct planner_context *ctx, struct arena *arena, struct catalog *catalog,
                  const struct eval_env *env);

/* Adds to ctx->notices; the text is copied. */
void planner_notice(struct planner_context *ctx, const char *format, ...) PRINTF_LIKE(2, 3);

/* SELECT, VALUES, TABLE, with everything below. The plan is finished (plan_finish) and passed; names are set
 * on the topmost node. After it, parameters of unknown type are text. */
MUST_CHECK
bool planner_select(struct planner_context *ctx, const PgQuery__SelectStmt *select, struct plan **out,
                    struct error *err);
/* One expression over a row of the relation's columns (defaults, CHECK, generated columns, RETURNING and the
 * like). relation NULL: row-less. Two relations: EXCLUDED or the old row come second, their columns behind
 * the first's. No aggregates, subqueries allowed only where allow_subqueries says. target: coerce to this
 * type by assignment rules (oid 0: leave as it is). */
struct scope_relation {
    const char *alias;
    const struct catalog_object *object;
};
MUST_CHECK
bool planner_expression(struct planner_context *ctx, const PgQuery__Node *node,
                        const struct scope_relation *relations, uint32_t relations_count,
                        struct sql_type target, const char *what, struct expr **out, struct error *err);
/* A target list (RETURNING) over the same scope: `*` is expanded. names in the arena. */
MUST_CHECK
bool planner_target_list(struct planner_context *ctx, size_t nodes_count, PgQuery__Node **nodes,
                         const struct scope_relation *relations, uint32_t relations_count,
                         struct expr ***exprs, const char ***names, uint32_t *count, struct error *err);
/* Coerces an expression for storing into a column (assignment context), 42804 naming the column. */
MUST_CHECK
bool planner_assign(struct planner_context *ctx, struct expr *expr, struct sql_type target,
                    const char *column_name, struct expr **out, struct error *err);
/* A type name of the grammar: "numeric(10,2)[]". 42704 when unknown. */
MUST_CHECK
bool planner_type(struct planner_context *ctx, const PgQuery__TypeName *name, struct sql_type *out,
                  struct error *err);
/* Finds the relation a RangeVar names; 42P01 with position; 55000 when it is disabled. */
MUST_CHECK
bool planner_relation(struct planner_context *ctx, const PgQuery__RangeVar *name, struct catalog_object **out,
                      struct error *err);
/* 1-based character position of a byte location (-1: 0). */
int32_t planner_position(const struct planner_context *ctx, int32_t location);

#endif
