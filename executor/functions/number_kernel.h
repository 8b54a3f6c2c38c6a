/* number_kernel.h: loops that kernels over numbers and times share.
 *
 * The loops come once per case of constant arguments, so that gcc sees plain loads and can vectorise them.
 * Checks are gathered into one flag per batch; only when it is set does a second loop look for the rows that
 * failed. */
#ifndef MILLRACE_EXECUTOR_FUNCTIONS_NUMBER_KERNEL_H
#define MILLRACE_EXECUTOR_FUNCTIONS_NUMBER_KERNEL_H

#include "executor/eval_env.h"
#include "executor/function.h"

/* gcc's -O2 vectorises only loops whose count it knows; ours are known at run time. */
#if defined(__OPTIMIZE__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

/* Runs `body` for i in [0, call->rows) with x of args[0] and y of args[1]. */
#define EACH_ROW2(type_a, type_b, body)                                                                      \
    do {                                                                                                     \
        const type_a *a_ = args[0].data;                                                                     \
        const type_b *b_ = args[1].data;                                                                     \
        uint32_t rows_ = call->rows;                                                                         \
        if (args[1].is_constant) {                                                                           \
            const type_b y = b_[0];                                                                          \
            if (args[0].is_constant) {                                                                       \
                const type_a x = a_[0];                                                                      \
                for (uint32_t i = 0; i < rows_; i++) {                                                       \
                    body                                                                                     \
                }                                                                                            \
            } else {                                                                                         \
                for (uint32_t i = 0; i < rows_; i++) {                                                       \
                    const type_a x = a_[i];                                                                  \
                    body                                                                                     \
                }                                                                                            \
            }                                                                                                \
        } else if (args[0].is_constant) {                                                                    \
            const type_a x = a_[0];                                                                          \
            for (uint32_t i = 0; i < rows_; i++) {                                                           \
                const type_b y = b_[i];                                                                      \
                body                                                                                         \
            }                                                                                                \
        } else {                                                                                             \
            for (uint32_t i = 0; i < rows_; i++) {                                                           \
                const type_a x = a_[i];                                                                      \
                const type_b y = b_[i];                                                                      \
                body                                                                                         \
            }                                                                                                \
        }                                                                                                    \
    } while (0)

#define EACH_ROW1(type_a, body)                                                                              \
    do {                                                                                                     \
        const type_a *a_ = args[0].data;                                                                     \
        uint32_t rows_ = call->rows;                                                                         \
        if (args[0].is_constant) {                                                                           \
            const type_a x = a_[0];                                                                          \
            for (uint32_t i = 0; i < rows_; i++) {                                                           \
                body                                                                                         \
            }                                                                                                \
        } else {                                                                                             \
            for (uint32_t i = 0; i < rows_; i++) {                                                           \
                const type_a x = a_[i];                                                                      \
                body                                                                                         \
            }                                                                                                \
        }                                                                                                    \
    } while (0)

/* A kernel whose result for x and y is `expression`, which cannot fail. */
#define KERNEL2(name, type_a, type_b, type_out, expression)                                                  \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *restrict out = result->data;                                                               \
        EACH_ROW2(type_a, type_b, { out[i] = (expression); });                                               \
    }
#define KERNEL1(name, type_a, type_out, expression)                                                          \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *restrict out = result->data;                                                               \
        EACH_ROW1(type_a, { out[i] = (expression); });                                                       \
    }

/* A kernel whose every row is made by a function (x, y, &out[i], err) that may fail; arena is the call's.
 * Rows that are NULL are left out: they may be costly. */
#define TRY_KERNEL2(name, type_a, type_b, type_out, attempt)                                                 \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *out = result->data;                                                                        \
        struct arena *arena = call->arena;                                                                   \
        struct error error, *err = &error;                                                                   \
        (void)arena;                                                                                         \
        EACH_ROW2(type_a, type_b, {                                                                          \
            out[i] = (type_out){0};                                                                          \
            if (!column_is_null(result, i) && !(attempt))                                                    \
                fn_error_from(call, i, err);                                                                 \
        });                                                                                                  \
    }
#define TRY_KERNEL1(name, type_a, type_out, attempt)                                                         \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *out = result->data;                                                                        \
        struct arena *arena = call->arena;                                                                   \
        struct error error, *err = &error;                                                                   \
        (void)arena;                                                                                         \
        EACH_ROW1(type_a, {                                                                                  \
            out[i] = (type_out){0};                                                                          \
            if (!column_is_null(result, i) && !(attempt))                                                    \
                fn_error_from(call, i, err);                                                                 \
        });                                                                                                  \
    }

static inline bool number_out_of_range(const char *what, struct error *err)
{
    return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", what);
}

static inline bool number_division_by_zero(struct error *err)
{
    return error_set(err, ERRCODE_DIVISION_BY_ZERO, "division by zero");
}

static inline bool float_overflow(struct error *err)
{
    return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
}

static inline bool float_underflow(struct error *err)
{
    return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow");
}

#endif
