/* expr_compile.c: bound expressions to flat steps (expr_steps.h shows an example).
 *
 * Sharing: an expression that was computed in this scope or in one around it is not computed again. What is
 * computed inside a lazy part is forgotten when the part ends, because its steps may be jumped over. Volatile
 * expressions are never shared, except by address (the left side of an IN that becomes several comparisons).
 */
#include "executor/expr_internal.h"
#include "executor/expr_steps.h"
#include "executor/functions/regex.h"

#define BUCKETS_COUNT 256u

/* An expression whose value stands in a register. */
struct known_value {
    uint64_t hash;
    const struct expr *expr;
    uint32_t reg;
    uint32_t level;
    uint32_t older; /* next one in the bucket, index + 1 */
};

struct compiler {
    struct arena *arena;
    struct error *err;
    struct expr_program *program;
    uint32_t steps_cap, constants_cap, params_cap;
    uint32_t level;
    struct known_value *known; /* a stack: inner levels are popped */
    uint32_t known_count, known_cap;
    uint32_t buckets[BUCKETS_COUNT];
};

static uint32_t compile(struct compiler *c, const struct expr *expr);

/* ---- emitting ---- */

static uint32_t new_reg(struct compiler *c)
{
    return c->program->regs_count++;
}

/* The step is valid until the next one is emitted. */
static struct step *emit(struct compiler *c, enum step_kind kind, struct sql_type type, const uint32_t *args,
                         uint32_t args_count)
{
    struct step step = {
        .kind = kind, .level = c->level, .dst = REG_NONE, .type = type, .args_count = args_count};
    if (type.oid != 0)
        step.phys = type_phys(type.oid);
    if (args_count > 0)
        step.args = arena_copy(c->arena, args, sizeof(*args) * args_count);
    if (args_count > c->program->args_max)
        c->program->args_max = args_count;
    ARENA_PUSH(c->arena, c->program->steps, c->program->steps_count, c->steps_cap, step);
    return &c->program->steps[c->program->steps_count - 1];
}

static struct step *emit_value(struct compiler *c, enum step_kind kind, struct sql_type type,
                               const uint32_t *args, uint32_t args_count)
{
    struct step *step = emit(c, kind, type, args, args_count);
    step->dst = new_reg(c);
    return step;
}

static struct step *emit2(struct compiler *c, enum step_kind kind, struct sql_type type, uint32_t a,
                          uint32_t b)
{
    return emit_value(c, kind, type, (const uint32_t[]){a, b}, 2);
}

static uint32_t new_slot(struct compiler *c)
{
    return c->program->slots_count++;
}

/* ---- scopes ---- */

static uint32_t enter(struct compiler *c, uint32_t condition, enum select_mode mode)
{
    c->level++;
    if (c->level + 1 > c->program->levels_count)
        c->program->levels_count = c->level + 1;
    struct step *step = emit(c, STEP_ENTER, (struct sql_type){0}, &condition, 1);
    step->mode = mode;
    return c->program->steps_count - 1;
}

static void leave(struct compiler *c, uint32_t entered)
{
    emit(c, STEP_LEAVE, (struct sql_type){0}, NULL, 0);
    c->program->steps[entered].jump = c->program->steps_count;
    c->level--;
    while (c->known_count > 0 && c->known[c->known_count - 1].level > c->level) {
        const struct known_value *value = &c->known[--c->known_count];
        c->buckets[value->hash % BUCKETS_COUNT] = value->older;
    }
}

static void merge(struct compiler *c, uint32_t target, struct sql_type type, uint32_t value)
{
    emit(c, STEP_MERGE, type, &value, 1)->dst = target;
}

static uint32_t merge_begin(struct compiler *c, struct sql_type type)
{
    return emit_value(c, STEP_MERGE_BEGIN, type, NULL, 0)->dst;
}

static uint32_t merge_end(struct compiler *c, struct sql_type type, uint32_t target)
{
    return emit_value(c, STEP_MERGE_END, type, &target, 1)->dst;
}

/* ---- sharing ---- */

static void remember(struct compiler *c, const struct expr *expr, uint64_t hash, uint32_t reg)
{
    struct known_value value = {
        .hash = hash, .expr = expr, .reg = reg, .level = c->level, .older = c->buckets[hash % BUCKETS_COUNT]};
    ARENA_PUSH(c->arena, c->known, c->known_count, c->known_cap, value);
    c->buckets[hash % BUCKETS_COUNT] = c->known_count;
}

static uint32_t narrow(struct compiler *c, uint32_t reg, uint32_t level, struct sql_type type)
{
    while (level < c->level) {
        struct step *step = emit_value(c, STEP_NARROW, type, &reg, 1);
        step->level = ++level;
        reg = step->dst;
    }
    return reg;
}

static uint32_t find_known(struct compiler *c, const struct expr *expr, uint64_t hash, bool by_address)
{
    for (uint32_t at = c->buckets[hash % BUCKETS_COUNT]; at != 0; at = c->known[at - 1].older) {
        const struct known_value *value = &c->known[at - 1];
        if (value->hash != hash || (by_address ? value->expr != expr : !expr_equal(value->expr, expr)))
            continue;
        if (value->level == c->level)
            return value->reg;
        if (expr->kind == EXPR_COLUMN)
            return REG_NONE; /* taken from the input again: one gather instead of one per level */
        uint32_t reg = narrow(c, value->reg, value->level, expr->type);
        remember(c, expr, hash, reg);
        return reg;
    }
    return REG_NONE;
}

/* ---- leaves ---- */

/* Constants stand in their registers before the first step: any level may use them. */
static uint32_t add_constant(struct compiler *c, const struct expr *expr)
{
    uint64_t hash = expr_hash(expr);
    for (uint32_t at = c->buckets[hash % BUCKETS_COUNT]; at != 0; at = c->known[at - 1].older) {
        const struct known_value *known = &c->known[at - 1];
        if (known->hash == hash && expr_equal(known->expr, expr))
            return known->reg;
    }
    struct program_constant constant = {.reg = new_reg(c)};
    struct datum value = datum_copy(c->arena, type_phys(expr->type.oid), &expr->value);
    column_init_constant(&constant.column, expr->type, &value, c->arena);
    ARENA_PUSH(c->arena, c->program->constants, c->program->constants_count, c->constants_cap, constant);
    remember(c, expr, hash, constant.reg);
    return constant.reg;
}

static uint32_t add_param(struct compiler *c, const struct expr *expr)
{
    for (uint32_t i = 0; i < c->program->params_count; i++) {
        const struct program_param *param = &c->program->params[i];
        if (param->index == expr->index && param->type.oid == expr->type.oid &&
            param->type.typmod == expr->type.typmod)
            return param->reg;
    }
    struct program_param param = {.reg = new_reg(c), .index = expr->index, .type = expr->type};
    ARENA_PUSH(c->arena, c->program->params, c->program->params_count, c->params_cap, param);
    return param.reg;
}

/* ---- nodes ---- */

static bool compile_args(struct compiler *c, const struct expr *expr, uint32_t *regs)
{
    for (uint32_t i = 0; i < expr->args_count; i++) {
        regs[i] = expr->args[i] == NULL ? REG_NONE : compile(c, expr->args[i]);
        if (regs[i] == REG_NONE && expr->args[i] != NULL)
            return false;
    }
    return true;
}

static uint32_t compile_simple(struct compiler *c, const struct expr *expr, enum step_kind kind)
{
    uint32_t *regs = ARENA_ARRAY(c->arena, uint32_t, expr->args_count);
    if (!compile_args(c, expr, regs))
        return REG_NONE;
    struct step *step = emit_value(c, kind, expr->type, regs, expr->args_count);
    step->flag = expr->flag;
    step->function = expr->function;
    step->index = expr->test;
    return step->dst;
}

static uint32_t compile_call(struct compiler *c, const struct expr *expr)
{
    if (expr->function->kernel == NULL) {
        error_set(c->err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "set-returning functions are not allowed in this expression");
        error_at(c->err, expr->position);
        return REG_NONE;
    }
    uint32_t reg = compile_simple(c, expr, STEP_CALL);
    if (reg != REG_NONE)
        c->program->steps[c->program->steps_count - 1].slot = new_slot(c);
    return reg;
}

static bool is_comparison(const struct function_row *function)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">="};
    if ((function->flags & FN_OPERATOR) == 0 || (function->flags & (FN_STABLE | FN_VOLATILE)) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(function->name, names[i]) == 0)
            return true;
    }
    return false;
}

/* Cannot raise an error and costs less than choosing rows for it: then a lazy part is computed for all rows.
 */
static bool is_cheap_and_safe(const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_CONSTANT:
    case EXPR_COLUMN:
    case EXPR_PARAM:
        return true;
    case EXPR_CALL:
        if (!is_comparison(expr->function))
            return false;
        for (uint32_t i = 0; i < expr->args_count; i++) {
            if (type_is_array(expr->args[i]->type.oid) || expr->args[i]->type.oid == OID_RECORD ||
                expr->args[i]->type.oid == OID_JSONB)
                return false;
        }
        break;
    case EXPR_CAST:
        if (expr->cast != CAST_RELABEL || expr->type.typmod >= 0)
            return false;
        break;
    case EXPR_IN:
        for (uint32_t i = 1; i < expr->args_count; i++) {
            if (expr->args[i]->kind != EXPR_CONSTANT)
                return false;
        }
        return is_cheap_and_safe(expr->args[0]);
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
    case EXPR_IS_NULL:
    case EXPR_BOOLEAN_TEST:
        break;
    default:
        return false;
    }
    for (uint32_t i = 0; i < expr->args_count; i++) {
        if (!is_cheap_and_safe(expr->args[i]))
            return false;
    }
    return true;
}

/* Leaves the scopes entered[0..depth), innermost first. */
static void leave_all(struct compiler *c, const uint32_t *entered, uint32_t depth)
{
    while (depth > 0)
        leave(c, entered[--depth]);
}

/* AND, OR and COALESCE: an accumulator, and arguments that count only for rows which it leaves open. */
static uint32_t compile_chain(struct compiler *c, const struct expr *expr)
{
    enum step_kind combine = expr->kind == EXPR_AND  ? STEP_AND
                             : expr->kind == EXPR_OR ? STEP_OR
                                                     : STEP_COALESCE;
    enum select_mode open = expr->kind == EXPR_AND  ? SELECT_NOT_FALSE
                            : expr->kind == EXPR_OR ? SELECT_NOT_TRUE
                                                    : SELECT_NULL;
    uint32_t *entered = ARENA_ARRAY(c->arena, uint32_t, expr->args_count);
    uint32_t depth = 0, target = REG_NONE, result = compile(c, expr->args[0]);
    if (result == REG_NONE)
        return REG_NONE;
    for (uint32_t i = 1; i < expr->args_count; i++) {
        bool lazy = !is_cheap_and_safe(expr->args[i]);
        if (lazy) {
            if (target == REG_NONE)
                target = merge_begin(c, expr->type);
            merge(c, target, expr->type, result);
            entered[depth++] = enter(c, result, open);
            if (combine != STEP_COALESCE)
                result = narrow(c, result, c->level - 1, expr->type);
        }
        uint32_t value = compile(c, expr->args[i]);
        if (value == REG_NONE)
            return REG_NONE;
        if (lazy && combine == STEP_COALESCE)
            result = value;
        else
            result = emit2(c, combine, expr->type, result, value)->dst;
    }
    if (target == REG_NONE)
        return result;
    merge(c, target, expr->type, result);
    leave_all(c, entered, depth);
    return merge_end(c, expr->type, target);
}

static uint32_t compile_case(struct compiler *c, const struct expr *expr)
{
    uint32_t *entered = ARENA_ARRAY(c->arena, uint32_t, expr->args_count);
    uint32_t depth = 0, target = merge_begin(c, expr->type);
    for (uint32_t i = 0; i + 1 < expr->args_count; i += 2) {
        uint32_t condition = compile(c, expr->args[i]);
        if (condition == REG_NONE)
            return REG_NONE;
        uint32_t branch = enter(c, condition, SELECT_TRUE);
        uint32_t value = compile(c, expr->args[i + 1]);
        if (value == REG_NONE)
            return REG_NONE;
        merge(c, target, expr->type, value);
        leave(c, branch);
        entered[depth++] = enter(c, condition, SELECT_NOT_TRUE);
    }
    uint32_t otherwise = compile(c, expr->args[expr->args_count - 1]);
    if (otherwise == REG_NONE)
        return REG_NONE;
    merge(c, target, expr->type, otherwise);
    leave_all(c, entered, depth);
    return merge_end(c, expr->type, target);
}

static const struct sql_type bool_type = {.oid = OID_BOOL, .typmod = -1};

/* The "=" of two registers' expressions, sharing them. */
static uint32_t compile_equals(struct compiler *c, const struct expr *expr, uint32_t a, uint32_t b)
{
    struct step *step = emit2(c, STEP_CALL, bool_type, a, b);
    step->function = expr->function;
    step->slot = new_slot(c);
    return step->dst;
}

static uint32_t compile_distinct_or_nullif(struct compiler *c, const struct expr *expr)
{
    uint32_t a = compile(c, expr->args[0]);
    uint32_t b = a == REG_NONE ? REG_NONE : compile(c, expr->args[1]);
    if (b == REG_NONE)
        return REG_NONE;
    uint32_t equal = compile_equals(c, expr, a, b);
    if (expr->kind == EXPR_NULLIF)
        return emit2(c, STEP_NULLIF, expr->type, a, equal)->dst;
    struct step *step = emit_value(c, STEP_DISTINCT, expr->type, (const uint32_t[]){a, b, equal}, 3);
    step->flag = expr->flag;
    return step->dst;
}

static bool same_argument_types(const struct function_row *function)
{
    const struct function_signature *signature = function_signature(function);
    return signature->args_count == 2 && signature->args[0] == signature->args[1];
}

static uint32_t compile_in(struct compiler *c, const struct expr *expr)
{
    bool constant = expr->function == NULL || same_argument_types(expr->function);
    for (uint32_t i = 1; i < expr->args_count; i++)
        constant = constant && expr->args[i]->kind == EXPR_CONSTANT;
    uint32_t value = compile(c, expr->args[0]);
    if (value == REG_NONE)
        return REG_NONE;
    uint32_t count = expr->args_count - 1;
    if (constant) {
        struct datum *items = ARENA_ARRAY(c->arena, struct datum, count);
        enum phys phys = type_phys(expr->args[1]->type.oid);
        for (uint32_t i = 0; i < count; i++)
            items[i] = datum_copy(c->arena, phys, &expr->args[i + 1]->value);
        struct step *step = emit_value(c, STEP_IN, expr->type, &value, 1);
        step->flag = expr->flag;
        step->set = value_set_create(c->arena, expr->args[1]->type.oid, items, count);
        return step->dst;
    }
    /* x IN (a, b) as x = a OR x = b, with x computed once */
    remember(c, expr->args[0], expr_hash(expr->args[0]), value);
    struct expr *any = expr_new(c->arena, EXPR_OR, bool_type);
    any->args_count = count;
    any->args = ARENA_ARRAY(c->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++)
        any->args[i] = expr_call(c->arena, expr->function, bool_type,
                                 (struct expr *[]){expr->args[0], expr->args[i + 1]}, 2);
    uint32_t result = compile(c, count == 1 ? any->args[0] : any);
    if (result == REG_NONE || !expr->flag)
        return result;
    return emit_value(c, STEP_NOT, bool_type, &result, 1)->dst;
}

static uint32_t compile_typmod(struct compiler *c, struct sql_type type, uint32_t value, bool is_explicit)
{
    struct step *step = emit_value(c, STEP_TYPMOD, type, &value, 1);
    step->flag = is_explicit;
    return step->dst;
}

static uint32_t compile_cast(struct compiler *c, const struct expr *expr)
{
    uint32_t value = compile(c, expr->args[0]), result = REG_NONE;
    if (value == REG_NONE)
        return REG_NONE;
    bool typmod = expr->type.typmod >= 0 && expr->type.typmod != expr->args[0]->type.typmod;
    switch (expr->cast) {
    case CAST_RELABEL:
        result = emit_value(c, STEP_RELABEL, expr->type, &value, 1)->dst;
        break;
    case CAST_FUNCTION:
        if (expr->function->kernel == NULL) {
            result = emit_value(c, STEP_RELABEL, expr->type, &value, 1)->dst;
        } else {
            struct step *step = emit_value(c, STEP_CALL, expr->type, &value, 1);
            step->function = expr->function;
            step->slot = new_slot(c);
            result = step->dst;
        }
        break;
    case CAST_INPUT:
        result = emit_value(c, STEP_CAST_INPUT, expr->type, &value, 1)->dst;
        break;
    case CAST_OUTPUT: {
        struct step *step = emit_value(c, STEP_CAST_OUTPUT, expr->type, &value, 1);
        step->index = expr->args[0]->type.oid;
        result = step->dst;
        break;
    }
    case CAST_ARRAY: {
        struct expr_program *sub;
        const struct expr *element = expr->args[1];
        if (!expr_compile(c->arena, &element, 1, &sub, c->err))
            return REG_NONE;
        struct step *step = emit_value(c, STEP_CAST_ARRAY, expr->type, &value, 1);
        step->sub = sub;
        step->slot = new_slot(c);
        return step->dst;
    }
    }
    return typmod ? compile_typmod(c, expr->type, result, expr->cast_is_explicit) : result;
}

static uint32_t compile_array(struct compiler *c, const struct expr *expr)
{
    uint32_t reg = compile_simple(c, expr, STEP_ARRAY);
    if (reg != REG_NONE) {
        struct step *step = &c->program->steps[c->program->steps_count - 1];
        step->flag = expr->args_count > 0 && expr->args[0]->type.oid == expr->type.oid;
        step->index = type_find(expr->type.oid)->element_oid;
    }
    return reg;
}

static uint32_t compile_subscript(struct compiler *c, const struct expr *expr)
{
    if (!type_is_array(expr->args[0]->type.oid)) {
        struct strbuf name = STRBUF_INIT;
        type_format(expr->args[0]->type.oid, -1, &name);
        error_set(c->err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot subscript type %s", strbuf_text(&name));
        strbuf_release(&name);
        error_at(c->err, expr->position);
        return REG_NONE;
    }
    const struct expr *array = expr->args[0];
    const struct function_row *part = array->kind == EXPR_CALL && expr->args_count == 2 && !expr->flag
                                          ? regex_part_of_match(array->function, array->args_count)
                                          : NULL;
    if (part != NULL) {
        struct expr **args = ARENA_ARRAY(c->arena, struct expr *, array->args_count + 1);
        memcpy(args, array->args, sizeof(*args) * array->args_count);
        args[array->args_count] = expr->args[1];
        return compile(c, expr_call(c->arena, part, expr->type, args, array->args_count + 1));
    }
    return compile_simple(c, expr, STEP_SUBSCRIPT);
}

static uint32_t compile_any(struct compiler *c, const struct expr *expr)
{
    uint32_t reg = compile_simple(c, expr, STEP_ANY);
    if (reg != REG_NONE) {
        struct step *step = &c->program->steps[c->program->steps_count - 1];
        step->slot = new_slot(c);
        new_slot(c); /* the next one keeps the hash set of a constant array */
        step->index = type_find(expr->args[1]->type.oid)->element_oid;
    }
    return reg;
}

static uint32_t compile_node(struct compiler *c, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_COLUMN: {
        struct step *step = emit_value(c, STEP_COLUMN, expr->type, NULL, 0);
        step->index = expr->index;
        return step->dst;
    }
    case EXPR_CALL:
        return compile_call(c, expr);
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_COALESCE:
        return compile_chain(c, expr);
    case EXPR_NOT:
        return compile_simple(c, expr, STEP_NOT);
    case EXPR_IS_NULL:
        return compile_simple(c, expr, STEP_IS_NULL);
    case EXPR_BOOLEAN_TEST:
        return compile_simple(c, expr, STEP_BOOLEAN_TEST);
    case EXPR_IS_DISTINCT:
    case EXPR_NULLIF:
        return compile_distinct_or_nullif(c, expr);
    case EXPR_CASE:
        return compile_case(c, expr);
    case EXPR_GREATEST:
        return compile_simple(c, expr, STEP_GREATEST);
    case EXPR_LEAST:
        return compile_simple(c, expr, STEP_LEAST);
    case EXPR_ANY:
        return compile_any(c, expr);
    case EXPR_IN:
        return compile_in(c, expr);
    case EXPR_ARRAY:
        return compile_array(c, expr);
    case EXPR_SUBSCRIPT:
        return compile_subscript(c, expr);
    case EXPR_ROW:
        return compile_simple(c, expr, STEP_ROW);
    case EXPR_CAST:
        return compile_cast(c, expr);
    case EXPR_TYPMOD: {
        uint32_t value = compile(c, expr->args[0]);
        return value == REG_NONE ? REG_NONE : compile_typmod(c, expr->type, value, expr->flag);
    }
    default:
        error_set(c->err, ERRCODE_FEATURE_NOT_SUPPORTED, "this kind of expression is not supported here");
        error_at(c->err, expr->position);
        return REG_NONE;
    }
}

static uint32_t compile(struct compiler *c, const struct expr *expr)
{
    if (expr->kind == EXPR_CONSTANT)
        return add_constant(c, expr);
    if (expr->kind == EXPR_PARAM)
        return add_param(c, expr);
    uint64_t hash = expr_hash(expr);
    bool is_volatile = expr_is_volatile(expr);
    uint32_t reg = find_known(c, expr, hash, is_volatile);
    if (reg != REG_NONE)
        return reg;
    reg = compile_node(c, expr);
    if (reg != REG_NONE && !is_volatile)
        remember(c, expr, hash, reg);
    return reg;
}

static bool compile_all(struct arena *arena, const struct expr *const *exprs, uint32_t exprs_count, bool fold,
                        struct expr_program **out, struct error *err)
{
    struct expr_program *program = ARENA_NEW(arena, struct expr_program);
    struct compiler *c = ARENA_NEW(arena, struct compiler);
    c->arena = arena;
    c->err = err;
    c->program = program;
    program->levels_count = 1;
    program->results = ARENA_ARRAY(arena, uint32_t, exprs_count);
    program->result_types = ARENA_ARRAY(arena, struct sql_type, exprs_count);
    program->results_count = exprs_count;
    for (uint32_t i = 0; i < exprs_count; i++) {
        const struct expr *expr = fold ? expr_fold(arena, exprs[i]) : exprs[i];
        program->result_types[i] = exprs[i]->type;
        program->results[i] = compile(c, expr);
        if (program->results[i] == REG_NONE)
            return false;
    }
    expr_assign_buffers(arena, program);
    *out = program;
    return true;
}

bool expr_compile(struct arena *arena, const struct expr *const *exprs, uint32_t exprs_count,
                  struct expr_program **out, struct error *err)
{
    return compile_all(arena, exprs, exprs_count, true, out, err);
}

bool expr_compile_plain(struct arena *arena, const struct expr *const *exprs, uint32_t exprs_count,
                        struct expr_program **out, struct error *err)
{
    return compile_all(arena, exprs, exprs_count, false, out, err);
}

uint32_t expr_program_results(const struct expr_program *program)
{
    return program->results_count;
}
