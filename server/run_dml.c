/* run_dml.c: INSERT, UPDATE, DELETE and TRUNCATE, a batch of columns at a time.
 *
 * A batch of the source becomes rows of the target (to_row, generated columns), these are checked and handed
 * to the transaction, which checks keys when the statement ends; the engine checks them again at commit. What
 * RETURNING makes is kept and sent at the end, so that a failing statement sends nothing. */
#include "server/run_dml.h"

#include "server/dml_conflict.h"
#include "server/dml_run.h"
#include "server/run.h"
#include "server/sequence.h"

#include <stdio.h>
#include <string.h>

/* ---- life ---- */

static struct expr_run *make_run(struct dml_run *run, const struct expr_program *program)
{
    return program != NULL ? expr_run_create(program, &run->session->account) : NULL;
}

struct dml_run *dml_run_create(struct session *session, const struct dml_plan *plan,
                               const struct eval_env *env)
{
    struct dml_run *run = mem_zalloc(sizeof(*run));
    run->session = session;
    run->plan = plan;
    run->env = env;
    run->relation = plan->target->relation;
    run->columns_count = plan->target->columns_count;
    arena_init(&run->arena, &session->account);
    arena_init(&run->batch_arena, &session->account);
    run->to_row = make_run(run, plan->to_row);
    run->generated = make_run(run, plan->generated);
    run->checks = make_run(run, plan->checks);
    run->returning = make_run(run, plan->returning);
    run->conflict_row = make_run(run, plan->conflict_row);
    run->conflict_where = make_run(run, plan->conflict_where);
    if (plan->returning_count > 0)
        run->returned = batch_create(&run->arena, plan->returning_types, plan->returning_count, 16);
    return run;
}

void dml_run_destroy(struct dml_run *run)
{
    struct expr_run *runs[] = {run->to_row,    run->generated,    run->checks,
                               run->returning, run->conflict_row, run->conflict_where};
    for (size_t i = 0; i < ARRAY_COUNT(runs); i++)
        if (runs[i] != NULL)
            expr_run_destroy(runs[i]);
    arena_release(&run->batch_arena);
    arena_release(&run->arena);
    mem_free(run);
}

const struct dml_plan *dml_run_plan(const struct dml_run *run)
{
    return run->plan;
}

uint64_t dml_run_count(const struct dml_run *run)
{
    return run->count;
}

/* ---- rows and their checks ---- */

#define FAILING_VALUE_BYTES 64 /* longer values are cut in the detail, as PostgreSQL does */

static void failing_row(struct dml_run *run, const struct batch *rows, uint32_t row, struct error *err)
{
    struct strbuf text = STRBUF_INIT, value_text = STRBUF_INIT;
    for (uint32_t i = 0; i < rows->columns_count; i++) {
        struct datum value = column_get(&rows->columns[i], row);
        strbuf_adds(&text, i > 0 ? ", " : "");
        if (value.is_null) {
            strbuf_adds(&text, "null");
            continue;
        }
        strbuf_reset(&value_text);
        type_output(rows->columns[i].type.oid, &value, &run->env->io, &value_text);
        size_t len = value_text.len;
        if (len > FAILING_VALUE_BYTES) {
            len = FAILING_VALUE_BYTES;
            while (len > 0 && ((unsigned char)value_text.data[len] & 0xC0) == 0x80)
                len--;
        }
        strbuf_add(&text, strbuf_text(&value_text), len);
        if (len < value_text.len)
            strbuf_adds(&text, "...");
    }
    error_detail(err, "Failing row contains (%s).", strbuf_text(&text));
    strbuf_release(&text);
    strbuf_release(&value_text);
    const struct catalog_object *target = run->plan->target;
    snprintf(err->table_name, sizeof(err->table_name), "%s", target->name);
    const struct catalog_schema *schema = NULL;
    catalog_read_lock(run->session->server->catalog);
    schema = catalog_find_schema_oid(run->session->server->catalog, target->schema_oid);
    snprintf(err->schema_name, sizeof(err->schema_name), "%s", schema != NULL ? schema->name : "");
    catalog_unlock(run->session->server->catalog);
}

/* NOT NULL and CHECK; the first row that fails is the one reported. */
static bool check_rows(struct dml_run *run, const struct batch *rows, struct error *err)
{
    const struct catalog_object *target = run->plan->target;
    uint32_t bad_row = UINT32_MAX, bad_column = 0, bad_check = UINT32_MAX;
    for (uint32_t i = 0; i < run->columns_count; i++) {
        const struct column *column = &rows->columns[i];
        if (!target->columns[i].not_null || column->nulls == NULL)
            continue;
        for (uint32_t row = 0; row < rows->rows && row < bad_row; row++) {
            if (column_is_null(column, row)) {
                bad_row = row;
                bad_column = i;
            }
        }
    }
    if (run->checks != NULL && rows->rows > 0) {
        uint32_t rows_to_check = bad_row < rows->rows ? bad_row : rows->rows;
        struct column *results = ARENA_ARRAY(&run->batch_arena, struct column, run->plan->checks_count);
        if (rows_to_check > 0 &&
            !expr_run_eval(run->checks, run->env, rows, NULL, rows_to_check, results, NULL, err))
            return false;
        for (uint32_t i = 0; i < run->plan->checks_count && rows_to_check > 0; i++) {
            for (uint32_t row = 0; row < rows_to_check && row < bad_row; row++) {
                if (!column_is_null(&results[i], row) && !((const uint8_t *)results[i].data)[row]) {
                    bad_row = row;
                    bad_check = i;
                }
            }
        }
    }
    if (bad_row == UINT32_MAX)
        return true;
    if (bad_check != UINT32_MAX) {
        const char *name = run->plan->check_names[bad_check];
        error_set(err, ERRCODE_CHECK_VIOLATION,
                  "new row for relation \"%s\" violates check constraint \"%s\"", target->name, name);
        failing_row(run, rows, bad_row, err);
        snprintf(err->constraint_name, sizeof(err->constraint_name), "%s", name);
        return false;
    }
    error_set(err, ERRCODE_NOT_NULL_VIOLATION,
              "null value in column \"%s\" of relation \"%s\" violates not-null constraint",
              target->columns[bad_column].name, target->name);
    failing_row(run, rows, bad_row, err);
    snprintf(err->column_name, sizeof(err->column_name), "%s", target->columns[bad_column].name);
    return false;
}

bool dml_make_rows(struct dml_run *run, struct expr_run *program, const struct batch *source,
                   const uint32_t *selection, uint32_t rows_count, struct batch **out, struct error *err)
{
    const struct dml_plan *plan = run->plan;
    struct batch *rows = batch_header(&run->batch_arena, run->columns_count);
    rows->rows = rows_count;
    if (program != NULL) {
        if (!expr_run_eval(program, run->env, source, selection, rows_count, rows->columns, NULL, err))
            return false;
    } else {
        CHECK(selection == NULL);
        memcpy(rows->columns, source->columns, run->columns_count * sizeof(struct column));
    }
    for (uint32_t i = 0; i < run->columns_count; i++)
        rows->columns[i].type = plan->target->columns[i].type;
    if (plan->generated_count > 0) {
        struct column *results = ARENA_ARRAY(&run->batch_arena, struct column, plan->generated_count);
        if (!expr_run_eval(run->generated, run->env, rows, NULL, rows_count, results, NULL, err))
            return false;
        for (uint32_t i = 0; i < plan->generated_count; i++)
            rows->columns[plan->generated_columns[i]] = results[i];
    }
    *out = rows;
    return check_rows(run, rows, err);
}

bool dml_return_rows(struct dml_run *run, const struct batch *rows, const struct batch *source,
                     const int64_t *weights, struct error *err)
{
    const struct dml_plan *plan = run->plan;
    if (run->returning == NULL || rows->rows == 0)
        return true;
    struct batch *input = batch_header(&run->batch_arena, run->columns_count + plan->extra_count);
    input->rows = rows->rows;
    memcpy(input->columns, rows->columns, run->columns_count * sizeof(struct column));
    for (uint32_t i = 0; i < plan->extra_count; i++)
        input->columns[run->columns_count + i] = source->columns[plan->extra_first + i];
    struct batch *results = batch_header(&run->batch_arena, plan->returning_count);
    results->rows = rows->rows;
    results->weights = (int64_t *)weights;
    if (!expr_run_eval(run->returning, run->env, input, NULL, rows->rows, results->columns, NULL, err))
        return false;
    batch_append_range(run->returned, results, 0, results->rows, 1);
    return true;
}

/* ---- INSERT ---- */

/* Rows with weights > 1 as that many rows. */
static const struct batch *expand(struct dml_run *run, const struct batch *rows)
{
    if (rows->weights == NULL)
        return rows;
    uint64_t total = 0;
    bool plain = true;
    for (uint32_t i = 0; i < rows->rows; i++) {
        total += (uint64_t)rows->weights[i];
        plain &= rows->weights[i] == 1;
    }
    struct batch *header = batch_header(&run->batch_arena, rows->columns_count);
    header->rows = rows->rows;
    memcpy(header->columns, rows->columns, rows->columns_count * sizeof(struct column));
    if (plain)
        return header;
    uint32_t *numbers = arena_alloc(&run->batch_arena, total * sizeof(uint32_t));
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->rows; i++)
        for (int64_t copy = 0; copy < rows->weights[i]; copy++)
            numbers[count++] = i;
    header->rows = count;
    for (uint32_t c = 0; c < rows->columns_count; c++)
        column_gather(&header->columns[c], &rows->columns[c], numbers, count, &run->batch_arena);
    return header;
}

static bool insert_piece(struct dml_run *run, const struct batch *source, struct error *err)
{
    struct batch *rows;
    if (!dml_make_rows(run, run->to_row, source, NULL, source->rows, &rows, err))
        return false;
    if (run->conflict != NULL)
        return dml_conflict_add(run->conflict, rows, err);
    if (run->takes_rows)
        transaction_take(run->session, run->relation, rows);
    else
        transaction_change(run->session, run->relation, rows);
    run->count += rows->rows;
    return dml_return_rows(run, rows, source, NULL, err);
}

bool dml_run_takes_rows(struct dml_run *run)
{
    const struct dml_plan *plan = run->plan;
    run->takes_rows = plan->to_row == NULL && plan->generated_count == 0 && plan->returning_count == 0 &&
                      plan->keys_count == 0 && run->conflict == NULL;
    return run->takes_rows;
}

bool dml_run_insert(struct dml_run *run, const struct batch *rows, struct error *err)
{
    arena_reset(&run->batch_arena);
    const struct batch *expanded = expand(run, rows);
    for (uint32_t first = 0; first < expanded->rows; first += BATCH_ROWS_MAX) {
        uint32_t left = expanded->rows - first;
        const struct batch *piece = left == expanded->rows && left <= BATCH_ROWS_MAX
                                        ? expanded
                                        : batch_slice(&run->batch_arena, expanded, first,
                                                      left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX);
        if (!insert_piece(run, piece, err) || !account_check(&run->session->account, err))
            return false;
    }
    return true;
}

static bool insert_sink(void *ctx, const struct batch *rows, bool *stop, struct error *err)
{
    return dml_run_insert(ctx, rows, err);
}

/* Rows [first, first + count) of VALUES as a batch. computed: results of the programs, by position in
 * values->computed. */
static struct batch *values_batch(struct dml_run *run, const struct dml_values *values,
                                  const struct datum *computed, uint32_t *next_computed, uint32_t first,
                                  uint32_t count, struct arena *arena)
{
    struct batch *batch = batch_header(arena, values->columns_count);
    batch->rows = count;
    for (uint32_t c = 0; c < values->columns_count; c++)
        column_init(&batch->columns[c], values->cells[c]->type, count, arena);
    for (uint32_t r = 0; r < count; r++) {
        for (uint32_t c = 0; c < values->columns_count; c++) {
            const struct expr *cell = values->cells[(size_t)(first + r) * values->columns_count + c];
            struct datum value = cell->kind == EXPR_CONSTANT ? cell->value
                                 : cell->kind == EXPR_PARAM  ? run->env->params[cell->index]
                                                             : computed[(*next_computed)++];
            column_set(&batch->columns[c], r, &value, count, arena);
        }
    }
    return batch;
}

static bool compute_cells(struct dml_run *run, const struct dml_values *values, struct datum *out,
                          struct error *err)
{
    struct batch one = {.rows = 1};
    for (uint32_t p = 0; p < values->programs_count; p++) {
        const struct dml_cells *piece = &values->programs[p];
        struct expr_run *program = expr_run_create(piece->program, &run->session->account);
        struct column *results = ARENA_ARRAY(&run->arena, struct column, piece->count);
        bool ok = expr_run_eval(program, run->env, &one, NULL, 1, results, NULL, err);
        for (uint32_t i = 0; i < piece->count && ok; i++) {
            struct datum value = column_get(&results[i], 0);
            out[piece->first + i] = datum_copy(&run->arena, results[i].phys, &value);
        }
        expr_run_destroy(program);
        if (!ok)
            return false;
    }
    return true;
}

static bool insert_values(struct dml_run *run, struct error *err)
{
    const struct dml_values *values = run->plan->values;
    struct datum *computed = ARENA_ARRAY(&run->arena, struct datum, values->computed_count);
    uint32_t next_computed = 0;
    if (!compute_cells(run, values, computed, err))
        return false;
    struct arena arena;
    arena_init(&arena, &run->session->account);
    bool ok = true;
    for (uint32_t first = 0; first < values->rows_count && ok; first += BATCH_ROWS_MAX) {
        uint32_t left = values->rows_count - first;
        arena_reset(&arena);
        const struct batch *batch = values_batch(run, values, computed, &next_computed, first,
                                                 left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX, &arena);
        ok = dml_run_insert(run, batch, err);
    }
    arena_release(&arena);
    return ok;
}

/* ---- UPDATE and DELETE ---- */

static struct batch *with_weights(struct arena *arena, const struct batch *rows, uint32_t columns_count,
                                  const int64_t *weights, int64_t sign)
{
    struct batch *header = batch_header(arena, columns_count);
    header->rows = rows->rows;
    memcpy(header->columns, rows->columns, columns_count * sizeof(struct column));
    header->weights = arena_alloc(arena, rows->rows * sizeof(int64_t));
    for (uint32_t i = 0; i < rows->rows; i++)
        header->weights[i] = sign * (weights != NULL ? weights[i] : 1);
    return header;
}

/* Takes `old` away, and for UPDATE puts `fresh` in its place. source: where extra columns for RETURNING
 * stand. */
static bool change_rows(struct dml_run *run, const struct batch *old, const struct batch *fresh,
                        const struct batch *source, const int64_t *weights, struct error *err)
{
    struct arena *arena = &run->batch_arena;
    transaction_change(run->session, run->relation,
                       with_weights(arena, old, run->columns_count, weights, -1));
    if (fresh != NULL)
        transaction_change(run->session, run->relation,
                           with_weights(arena, fresh, run->columns_count, weights, 1));
    for (uint32_t i = 0; i < old->rows; i++)
        run->count += weights != NULL ? (uint64_t)weights[i] : 1;
    return dml_return_rows(run, fresh != NULL ? fresh : old, source, weights, err);
}

/* Rows of `source` whose target row has not come before. */
static const struct batch *first_matches(struct dml_run *run, const struct batch *source)
{
    struct arena *arena = &run->batch_arena;
    uint64_t *hashes = arena_alloc(arena, source->rows * sizeof(uint64_t));
    uint32_t *kept = arena_alloc(arena, source->rows * sizeof(uint32_t)), kept_count = 0;
    key_map_hash(&run->seen, source, hashes);
    for (uint32_t i = 0; i < source->rows; i++) {
        if (key_map_find(&run->seen, source, i, hashes[i]) != NULL)
            continue;
        batch_append_range(run->seen_rows, batch_slice(arena, source, i, 1), 0, 1, 1);
        key_map_add(&run->seen, run->seen_rows, run->seen_rows->rows - 1, hashes[i], 0);
        kept[kept_count++] = i;
    }
    struct batch *result = batch_header(arena, source->columns_count);
    result->rows = kept_count;
    for (uint32_t c = 0; c < source->columns_count; c++)
        column_gather(&result->columns[c], &source->columns[c], kept, kept_count, arena);
    return result;
}

static bool change_piece(struct dml_run *run, const struct batch *source, struct error *err)
{
    struct batch *fresh = NULL;
    const int64_t *weights = source->weights;
    if (run->plan->is_joined) {
        source = first_matches(run, source);
        weights = NULL;
        if (run->plan->target_scan != NULL) /* how many copies there are is seen at the end */
            return true;
    }
    if (source->rows == 0)
        return true;
    if (run->plan->kind == DML_UPDATE &&
        !dml_make_rows(run, run->to_row, source, NULL, source->rows, &fresh, err))
        return false;
    return change_rows(run, source, fresh, source, weights, err);
}

static bool change_sink(void *ctx, const struct batch *rows, bool *stop, struct error *err)
{
    struct dml_run *run = ctx;
    arena_reset(&run->batch_arena);
    for (uint32_t first = 0; first < rows->rows; first += BATCH_ROWS_MAX) {
        uint32_t left = rows->rows - first;
        const struct batch *piece =
            left == rows->rows && left <= BATCH_ROWS_MAX
                ? rows
                : batch_slice(&run->batch_arena, rows, first, left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX);
        if (!change_piece(run, piece, err))
            return false;
    }
    return account_check(&run->session->account, err);
}

/* Tables without key: the rows that matched, each with as many copies as the table holds. */
static bool count_sink(void *ctx, const struct batch *rows, bool *stop, struct error *err)
{
    struct dml_run *run = ctx;
    arena_reset(&run->batch_arena);
    uint64_t *hashes = arena_alloc(&run->batch_arena, rows->rows * sizeof(uint64_t));
    key_map_hash(&run->seen, rows, hashes);
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct key_entry *entry = key_map_find(&run->seen, rows, i, hashes[i]);
        if (entry != NULL)
            run->seen_counts[entry->row] += batch_weight(rows, i);
    }
    return true;
}

static bool change_counted(struct dml_run *run, const struct query_options *options, struct error *err)
{
    const struct batch *seen = run->seen_rows;
    run->seen_counts = ARENA_ARRAY(&run->arena, int64_t, seen->rows);
    if (!query_run(run->plan->target_scan, options, count_sink, run, err))
        return false;
    for (uint32_t first = 0; first < seen->rows; first += BATCH_ROWS_MAX) {
        uint32_t left = seen->rows - first;
        arena_reset(&run->batch_arena);
        const struct batch *piece =
            batch_slice(&run->batch_arena, seen, first, left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX);
        struct batch *fresh = NULL;
        if (run->plan->kind == DML_UPDATE &&
            !dml_make_rows(run, run->to_row, piece, NULL, piece->rows, &fresh, err))
            return false;
        if (!change_rows(run, piece, fresh, piece, run->seen_counts + first, err))
            return false;
    }
    return true;
}

static bool run_change(struct dml_run *run, struct error *err)
{
    struct session *session = run->session;
    const struct dml_plan *plan = run->plan;
    transaction_lock(session, run->relation, false);
    struct query_options options = {.snapshot = transaction_snapshot(session),
                                    .env = run->env,
                                    .overlay = transaction_overlay(session, &run->arena),
                                    .account = &session->account};
    run_note_reads(session, plan->source, plan->reads_others ? NULL : run->relation);
    if (plan->is_joined) {
        const uint32_t *key;
        uint32_t key_count = relation_key(run->relation, &key);
        key_map_init(&run->seen, &run->arena, key, key_count, run->columns_count);
        run->seen_rows = batch_create(&run->arena, plan->source->types, plan->source->columns_count, 16);
    }
    return query_run(plan->source, &options, change_sink, run, err) &&
           (plan->target_scan == NULL || change_counted(run, &options, err));
}

/* ---- TRUNCATE ---- */

static bool run_truncate(struct session *session, const struct dml_plan *plan, const struct eval_env *env,
                         struct error *err)
{
    bool ok = true;
    for (uint32_t i = 0; i < plan->truncate_count && ok; i++) {
        struct dml_run *run = dml_run_create(session, plan->truncate[i], env);
        transaction_lock(session, run->relation, false);
        struct query_options options = {.snapshot = transaction_snapshot(session),
                                        .env = env,
                                        .overlay = transaction_overlay(session, &run->arena),
                                        .account = &session->account};
        run_note_reads(session, plan->truncate[i]->target_scan, NULL);
        ok = query_run(plan->truncate[i]->target_scan, &options, change_sink, run, err);
        dml_run_destroy(run);
    }
    for (uint32_t i = 0; i < plan->truncate_count && ok && plan->restart_identity; i++)
        ok = sequence_restart_owned(session->server, plan->truncate[i]->target->oid, err);
    return ok;
}

/* ---- the statement ---- */

static bool run_insert(struct dml_run *run, struct error *err)
{
    struct session *session = run->session;
    const struct dml_plan *plan = run->plan;
    if (plan->on_conflict) {
        transaction_lock(session, run->relation, true);
        run->conflict = dml_conflict_create(run);
    }
    bool ok;
    if (plan->values != NULL) {
        ok = insert_values(run, err);
    } else {
        struct query_options options = {.env = run->env, .account = &session->account};
        if (run_scans_anything(plan->source)) {
            options.snapshot = transaction_snapshot(session);
            options.overlay = transaction_overlay(session, &run->arena);
            run_note_reads(session, plan->source, NULL);
        }
        ok = query_run(plan->source, &options, insert_sink, run, err);
    }
    return ok && (run->conflict == NULL || dml_conflict_finish(run->conflict, err));
}

static bool send_returned(struct dml_run *run, struct result_sink *sink, struct error *err)
{
    const struct dml_plan *plan = run->plan;
    if (plan->returning_count == 0)
        return true;
    if (!sink->describe(sink, plan->returning_count, plan->returning_names, plan->returning_types, err))
        return false;
    bool stop = false;
    for (uint32_t first = 0; first < run->returned->rows && !stop; first += BATCH_ROWS_MAX) {
        uint32_t left = run->returned->rows - first;
        arena_reset(&run->batch_arena);
        const struct batch *piece = batch_slice(&run->batch_arena, run->returned, first,
                                                left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX);
        if (!sink->rows(sink, piece, &stop, err))
            return false;
    }
    return true;
}

bool run_dml(struct session *session, struct prepared *prepared, const struct datum *params,
             struct result_sink *sink, char *tag, struct error *err)
{
    const struct dml_plan *plan = prepared->dml;
    struct eval_env env = run_env(session, prepared, params);
    if (!run_needs_writing(session, prepared->tag, err))
        return false;
    if (plan->kind == DML_TRUNCATE) {
        snprintf(tag, 64, "%s", prepared->tag);
        return run_truncate(session, plan, &env, err);
    }
    struct dml_run *run = dml_run_create(session, plan, &env);
    bool ok = plan->kind == DML_INSERT ? run_insert(run, err) : run_change(run, err);
    ok = ok && transaction_check_keys(session, plan, err) && send_returned(run, sink, err);
    if (ok)
        snprintf(tag, 64, "%s%s %llu", prepared->tag, plan->kind == DML_INSERT ? " 0" : "",
                 (unsigned long long)run->count);
    dml_run_destroy(run);
    return ok;
}
