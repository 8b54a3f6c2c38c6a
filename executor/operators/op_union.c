/* op_union.c: UNION ALL: hands on what comes from any input. Stateless. Rows of several inputs are judged by the lowest
 * watermark of all of them: they lose their own. */
#include "executor/operator.h"

static bool union_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    if (change->watermarks == NULL || op->inputs_count < 2)
        return operator_emit(op, change, err);
    struct batch judged_later = *change;
    judged_later.watermarks = judged_later.positions = NULL;
    return operator_emit(op, &judged_later, err);
}

const struct operator_class op_union_class = {
    .name = "union_all",
    .bytes = sizeof(struct operator),
    .push = union_push,
};
