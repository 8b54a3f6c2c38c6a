/* run_explain.c: EXPLAIN: the plan as text; with ANALYZE a query is run as well; of a materialized view the
 * running operators. */
#include "planner/bind_dml.h"
#include "planner/ddl_time.h"
#include "planner/statement.h"
#include "server/run.h"
#include "server/run_dml.h"
#include "storage/base/clock.h"

#include <stdio.h>
#include <string.h>

struct explain_options {
    bool analyze, summary, has_summary;
};

static bool option_value(const PgQuery__DefElem *def, bool *value, struct error *err)
{
    *value = true;
    if (def->arg == NULL)
        return true;
    const char *text = def->arg->node_case == PG_QUERY__NODE__NODE_STRING ? def->arg->string->sval : "";
    if (def->arg->node_case == PG_QUERY__NODE__NODE_INTEGER) {
        *value = def->arg->integer->ival != 0;
        return true;
    }
    if (strcmp(text, "true") == 0 || strcmp(text, "on") == 0)
        return true;
    *value = false;
    return strcmp(text, "false") == 0 || strcmp(text, "off") == 0 ||
           error_set(err, ERRCODE_SYNTAX_ERROR, "%s requires a Boolean value", def->defname);
}

static bool read_options(const PgQuery__ExplainStmt *stmt, struct explain_options *options, struct error *err)
{
    static const char *const accepted[] = {"verbose", "costs", "buffers", "timing", "settings", "wal"};
    for (size_t i = 0; i < stmt->n_options; i++) {
        const PgQuery__DefElem *def = stmt->options[i]->def_elem;
        bool value;
        if (strcmp(def->defname, "format") == 0) {
            const char *format = def->arg != NULL && def->arg->node_case == PG_QUERY__NODE__NODE_STRING
                                     ? def->arg->string->sval
                                     : "";
            if (strcmp(format, "text") != 0)
                return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "EXPLAIN format \"%s\" is not supported",
                                 format);
            continue;
        }
        if (!option_value(def, &value, err))
            return false;
        bool known = false;
        for (size_t j = 0; j < ARRAY_COUNT(accepted); j++)
            known |= strcmp(def->defname, accepted[j]) == 0;
        if (strcmp(def->defname, "analyze") == 0) {
            options->analyze = value;
        } else if (strcmp(def->defname, "summary") == 0) {
            options->summary = value;
            options->has_summary = true;
        } else if (!known) {
            return error_set(err, ERRCODE_SYNTAX_ERROR, "unrecognized EXPLAIN option \"%s\"", def->defname);
        }
    }
    return true;
}

/* Each line of the text is a row. */
static bool send_lines(struct result_sink *sink, const char *text, struct arena *arena, struct error *err)
{
    static const char *const names[] = {"QUERY PLAN"};
    static const struct sql_type types[] = {{.oid = OID_TEXT, .typmod = -1}};
    if (!sink->describe(sink, 1, names, types, err))
        return false;
    struct batch *rows = batch_create(arena, types, 1, 16);
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        struct datum line = datum_text(arena, text, len);
        batch_append_datums(rows, &line, 1);
        text += len + (text[len] != '\0');
    }
    bool stop = false;
    return rows->rows == 0 || sink->rows(sink, rows, &stop, err);
}

struct operator_text {
    struct strbuf *out;
};

static bool add_operator(void *ctx, const struct operator_stats *stats)
{
    struct strbuf *out = ctx;
    for (uint32_t i = 0; i < stats->depth; i++)
        strbuf_adds(out, "  ");
    strbuf_addf(out, "%s  (id=%u rows in=%llu out=%llu batches=%llu", stats->name, stats->id,
                (unsigned long long)stats->rows_in, (unsigned long long)stats->rows_out,
                (unsigned long long)stats->batches);
    if (stats->state_rows > 0 || stats->state_bytes > 0)
        strbuf_addf(out, " state rows=%llu bytes=%lld", (unsigned long long)stats->state_rows,
                    (long long)stats->state_bytes);
    strbuf_addf(out, " time=%.3f ms)\n", (double)stats->busy_ns / 1e6);
    return true;
}

/* EXPLAIN [ANALYZE] MATERIALIZED VIEW v: the tree then is SELECT * FROM v. */
static bool explain_view(struct session *session, struct planner_context *planner,
                         const PgQuery__SelectStmt *select, bool analyze, struct strbuf *out,
                         struct error *err)
{
    struct catalog *catalog = session->server->catalog;
    struct catalog_object *view;
    struct plan *plan = NULL;
    PgQuery__ParseResult *parse;
    catalog_read_lock(catalog);
    bool ok = planner_relation(planner, select->from_clause[0]->range_var, &view, err);
    if (ok && view->kind != CATALOG_MATERIALIZED_VIEW)
        ok = error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is not a materialized view", view->name);
    if (ok && !analyze) {
        planner->sql = view->query_sql;
        planner->for_view = true;
        planner->as_of_oid = catalog_defined_at(view);
        ok = ddl_view_time(view, &planner->view_time, err) &&
             statement_parse_query(planner->arena, view->query_sql, &parse, err) &&
             planner_select(planner, parse->stmts[0]->stmt->select_stmt, &plan, err);
    }
    if (ok)
        catalog_object_retain(view);
    catalog_unlock(catalog);
    if (!ok)
        return false;
    if (plan != NULL) {
        plan_print(plan, out);
    } else {
        struct relation_stats stats;
        relation_operators(view->relation, add_operator, out);
        relation_stats(view->relation, &stats);
        strbuf_addf(out, "Rows: %llu  Bytes: %lld  State Bytes: %lld  Errors: %llu\n",
                    (unsigned long long)stats.rows, (long long)stats.bytes, (long long)stats.state_bytes,
                    (unsigned long long)stats.errors);
        strbuf_addf(out, "Last Epoch: %llu  Time: %.3f ms\n", (unsigned long long)stats.last_epoch,
                    (double)stats.busy_ns / 1e6);
    }
    catalog_object_release(view);
    return true;
}

static bool explain_dml(struct session *session, const PgQuery__Node *query, struct planner_context *planner,
                        bool analyze, struct strbuf *out, struct error *err)
{
    static const char *const verbs[] = {"Insert on", "Update on", "Delete on", "Truncate"};
    if (analyze)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "EXPLAIN ANALYZE of statements that change rows is not supported");
    struct dml_plan *dml;
    catalog_read_lock(session->server->catalog);
    bool ok = bind_dml(planner, query, &dml, err);
    if (ok) {
        strbuf_addf(out, "%s %s\n", verbs[dml->kind], dml->target->name);
        struct strbuf source = STRBUF_INIT;
        if (dml->source != NULL)
            plan_print(dml->source, &source);
        else if (dml->values != NULL)
            strbuf_addf(&source, "values rows=%u\n", dml->values->rows_count);
        for (const char *line = strbuf_text(&source); *line != '\0';) {
            size_t len = strcspn(line, "\n");
            strbuf_addf(out, "  %.*s\n", (int)len, line);
            line += len + (line[len] != '\0');
        }
        strbuf_release(&source);
    }
    catalog_unlock(session->server->catalog);
    return ok;
}

static bool explain_select(struct session *session, struct prepared *prepared,
                           const PgQuery__SelectStmt *select, const struct datum *params,
                           struct planner_context *planner, const struct explain_options *options,
                           struct strbuf *out, struct error *err)
{
    struct plan *plan;
    int64_t start = clock_monotonic_ns();
    catalog_read_lock(session->server->catalog);
    bool ok = planner_select(planner, select, &plan, err);
    if (ok)
        run_hold_relations(plan);
    catalog_unlock(session->server->catalog);
    if (!ok)
        return false;
    int64_t planned = clock_monotonic_ns();
    plan_print(plan, out);
    if (options->analyze) {
        struct eval_env env = run_env(session, prepared, params);
        uint64_t rows;
        ok = run_plan(session, plan, &env, NULL, &rows, err);
        if (ok)
            strbuf_addf(out, "Rows: %llu\n", (unsigned long long)rows);
    }
    if (ok && (options->has_summary ? options->summary : options->analyze)) {
        strbuf_addf(out, "Planning Time: %.3f ms\n", (double)(planned - start) / 1e6);
        if (options->analyze)
            strbuf_addf(out, "Execution Time: %.3f ms\n", (double)(clock_monotonic_ns() - planned) / 1e6);
    }
    run_release_relations(plan);
    return ok;
}

bool run_explain(struct session *session, struct prepared *prepared, const struct datum *params,
                 struct result_sink *sink, char *tag, struct error *err)
{
    const PgQuery__ExplainStmt *stmt = prepared->node->explain_stmt;
    const PgQuery__Node *query = stmt->query;
    struct explain_options options = {0};
    struct arena arena;
    struct planner_context planner;
    struct strbuf text = STRBUF_INIT;
    snprintf(tag, 64, "EXPLAIN");
    arena_init(&arena, &session->account);
    run_planner(session, &planner, &arena, prepared->sql);
    planner.params_count = prepared->params_count;
    planner.params_cap = prepared->params_count;
    planner.params = arena_copy(&arena, prepared->params, prepared->params_count * sizeof(struct sql_type));
    bool ok = read_options(stmt, &options, err);
    if (ok && query->node_case == PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT)
        query = query->create_table_as_stmt->query;
    if (ok && query->node_case == PG_QUERY__NODE__NODE_SELECT_STMT && prepared->statement->explains_view)
        ok = explain_view(session, &planner, query->select_stmt, options.analyze, &text, err);
    else if (ok && query->node_case == PG_QUERY__NODE__NODE_SELECT_STMT)
        ok = explain_select(session, prepared, query->select_stmt, params, &planner, &options, &text, err);
    else if (ok && (query->node_case == PG_QUERY__NODE__NODE_INSERT_STMT ||
                    query->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT ||
                    query->node_case == PG_QUERY__NODE__NODE_DELETE_STMT))
        ok = explain_dml(session, query, &planner, options.analyze, &text, err);
    else if (ok)
        ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "EXPLAIN of this statement is not supported");
    ok = ok && send_lines(sink, strbuf_text(&text), &arena, err);
    strbuf_release(&text);
    arena_release(&arena);
    return ok;
}
