/* op_union.c: UNION ALL: hands on what comes from any input. Stateless. */
#include "executor/operator.h"

static bool union_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    return operator_emit(op, change, err);
}

const struct operator_class op_union_class = {
    .name = "union_all",
    .bytes = sizeof(struct operator),
    .push = union_push,
};
