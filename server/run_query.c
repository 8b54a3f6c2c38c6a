/* run_query.c: SELECT: the plan run over the transaction's snapshot and its own changes. */
#include "server/run.h"

#include <stdio.h>

struct query_output {
    struct result_sink *sink;
    uint64_t rows;
};

static bool take_rows(void *ctx, const struct batch *rows, bool *stop, struct error *err)
{
    struct query_output *output = ctx;
    if (rows->weights == NULL)
        output->rows += rows->rows;
    else
        for (uint32_t i = 0; i < rows->rows; i++)
            output->rows += (uint64_t)rows->weights[i];
    return output->sink == NULL || output->sink->rows(output->sink, rows, stop, err);
}

static void find_scan(void *ctx, struct plan *node)
{
    *(bool *)ctx |= node->kind == PLAN_SCAN;
}

static void hold_scan(void *ctx, struct plan *node)
{
    if (node->kind == PLAN_SCAN)
        relation_retain(node->scan.relation);
}

static void release_scan(void *ctx, struct plan *node)
{
    if (node->kind == PLAN_SCAN)
        relation_release(node->scan.relation);
}

void run_hold_relations(struct plan *plan)
{
    plan_walk(plan, hold_scan, NULL);
}

void run_release_relations(struct plan *plan)
{
    plan_walk(plan, release_scan, NULL);
}

bool run_scans_anything(const struct plan *plan)
{
    bool found = false;
    plan_walk((struct plan *)plan, find_scan, &found);
    return found;
}

struct note {
    struct session *session;
    const struct relation *but;
};

static void note_scan(void *ctx, struct plan *node)
{
    struct note *note = ctx;
    if (node->kind == PLAN_SCAN && node->scan.relation != note->but)
        transaction_read(note->session, node->scan.relation);
}

void run_note_reads(struct session *session, const struct plan *plan, const struct relation *but)
{
    struct note note = {session, but};
    if (!session->txn.is_implicit && !session->txn.read_only)
        plan_walk((struct plan *)plan, note_scan, &note);
}

bool run_plan(struct session *session, const struct plan *plan, const struct eval_env *env,
              struct result_sink *sink, uint64_t *rows, struct error *err)
{
    struct arena arena;
    arena_init(&arena, &session->account);
    struct query_options options = {.env = env, .account = &session->account};
    if (run_scans_anything(plan)) {
        options.snapshot = transaction_snapshot(session);
        options.overlay = transaction_overlay(session, &arena);
        run_note_reads(session, plan, NULL);
    }
    struct query_output output = {.sink = sink};
    bool ok = query_run(plan, &options, take_rows, &output, err);
    *rows = output.rows;
    arena_release(&arena);
    return ok;
}

bool run_query(struct session *session, struct prepared *prepared, const struct datum *params,
               struct result_sink *sink, char *tag, struct error *err)
{
    struct eval_env env = run_env(session, prepared, params);
    const struct plan *plan = prepared->plan;
    uint64_t rows;
    if (!sink->describe(sink, plan->columns_count, plan->names, plan->types, err) ||
        !run_plan(session, plan, &env, sink, &rows, err))
        return false;
    snprintf(tag, 64, "SELECT %llu", (unsigned long long)rows);
    return true;
}
