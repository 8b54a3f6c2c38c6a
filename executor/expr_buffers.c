/* expr_buffers.c: lets registers share arrays, so that a long expression stays in the processor's cache.
 *
 * A register's array is free again behind the last step that reads it. Some steps hand their argument's
 * arrays on instead of copying: then the argument lives as long as their result. Steps only jump forward, so
 * the order of the steps is an order of time. Arrays are shared between values of the same width; results are
 * never given up. */
#include "executor/expr_steps.h"

#define WIDTHS_COUNT 17

/* May the result use arrays of the arguments? */
static bool shares_arguments(enum step_kind kind)
{
    switch (kind) {
    case STEP_NARROW:
    case STEP_MERGE_END:
    case STEP_NOT:
    case STEP_COALESCE:
    case STEP_RELABEL:
    case STEP_CAST_INPUT:
    case STEP_CAST_OUTPUT:
        return true;
    default:
        return false;
    }
}

struct free_list {
    uint32_t *buffers;
    uint32_t count, cap;
};

static uint32_t *last_uses(struct arena *arena, const struct expr_program *program)
{
    uint32_t *last = ARENA_ARRAY(arena, uint32_t, program->regs_count);
    for (uint32_t i = 0; i < program->results_count; i++)
        last[program->results[i]] = UINT32_MAX;
    for (uint32_t i = program->steps_count; i-- > 0;) {
        const struct step *step = &program->steps[i];
        if (step->dst != REG_NONE && last[step->dst] < i)
            last[step->dst] = i;
        for (uint32_t arg = 0; arg < step->args_count; arg++) {
            if (step->args[arg] == REG_NONE)
                continue;
            uint32_t until = shares_arguments(step->kind) ? last[step->dst] : i;
            if (last[step->args[arg]] < until)
                last[step->args[arg]] = until;
        }
    }
    return last;
}

void expr_assign_buffers(struct arena *arena, struct expr_program *program)
{
    uint32_t *last = last_uses(arena, program);
    uint8_t *widths = ARENA_ARRAY(arena, uint8_t, program->regs_count);
    struct free_list free_lists[WIDTHS_COUNT] = {0};
    uint32_t *buffers = program->reg_buffers = ARENA_ARRAY(arena, uint32_t, program->regs_count);
    /* registers that end at a step: a list per step, linked through `next` */
    uint32_t *ending = ARENA_ARRAY(arena, uint32_t, program->steps_count);
    uint32_t *next = ARENA_ARRAY(arena, uint32_t, program->regs_count);
    for (uint32_t reg = 0; reg < program->regs_count; reg++)
        buffers[reg] = UINT32_MAX;
    for (uint32_t i = 0; i < program->steps_count; i++) {
        const struct step *step = &program->steps[i];
        uint32_t dst = step->dst;
        if (dst != REG_NONE && buffers[dst] == UINT32_MAX) {
            struct free_list *list = &free_lists[phys_bytes(step->phys)];
            widths[dst] = (uint8_t)phys_bytes(step->phys);
            buffers[dst] = list->count > 0 ? list->buffers[--list->count] : program->buffers_count++;
            if (last[dst] != UINT32_MAX) {
                next[dst] = ending[last[dst]];
                ending[last[dst]] = dst + 1;
            }
        }
        for (uint32_t reg = ending[i]; reg != 0; reg = next[reg - 1]) {
            struct free_list *list = &free_lists[widths[reg - 1]];
            ARENA_PUSH(arena, list->buffers, list->count, list->cap, buffers[reg - 1]);
        }
    }
}
