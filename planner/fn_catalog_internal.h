/* fn_catalog_internal.h: what the fn_*.c files over the catalog share. */
#ifndef MILLRACE_PLANNER_FN_CATALOG_INTERNAL_H
#define MILLRACE_PLANNER_FN_CATALOG_INTERNAL_H

#include "executor/functions/text_kernel.h"
#include "planner/catalog.h"
#include "planner/fn_catalog.h"
#include "planner/reg_names.h"

static inline uint32_t oid_at(const struct column *column, uint32_t row)
{
    return (uint32_t)COLUMN_I64(column)[COLUMN_AT(column, row)];
}

/* The catalog behind a call, or NULL (in a view: those functions are refused there). */
static inline struct catalog *call_catalog(const struct fn_call *call)
{
    return call->env->session != NULL ? call->env->session->catalog : NULL;
}

static inline void set_text(struct fn_call *call, struct column *result, uint32_t row, const char *text)
{
    if (text == NULL)
        fn_set_null(call, result, row);
    else
        RESULT_VAR(result)[row] = varlen_copy(call->arena, text, (uint32_t)strlen(text));
}

/* What one row's answer is made of; text is appended to out. false: NULL. Runs under the catalog's lock; the
 * rows whose strict arguments are NULL are left out. */
typedef bool (*catalog_text_fn)(struct fn_call *call, struct catalog *catalog, const struct column *args,
                                uint32_t row, struct strbuf *out);
void call_catalog_text(struct fn_call *call, const struct column *args, struct column *result,
                       catalog_text_fn fn);

#endif
