/* time_kernel.h: what kernels over dates and times share: the session's zone, zones named in arguments. */
#ifndef MILLRACE_EXECUTOR_FUNCTIONS_TIME_KERNEL_H
#define MILLRACE_EXECUTOR_FUNCTIONS_TIME_KERNEL_H

#include "executor/eval_env.h"
#include "executor/function.h"
#include "storage/data/datetime.h"
#include "storage/data/datetime_internal.h"

/* Never NULL: SET checks zone names; one that ICU no longer knows counts as UTC. */
static inline struct zone *session_zone(struct fn_call *call)
{
    const char *name = call->env->io.timezone;
    struct zone *zone = zone_find(name, strlen(name), ZONE_NAME_FIRST);
    if (zone == NULL)
        zone = zone_find("UTC", 3, ZONE_NAME_FIRST);
    return zone;
}

/* A zone or abbreviation given as a value; 22023 and NULL when it is unknown. */
static inline struct zone *zone_or_error(const char *name, size_t len, struct error *err)
{
    struct zone *zone = zone_find(name, len, ZONE_ABBREVIATION_FIRST);
    if (zone == NULL)
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "time zone \"%.*s\" not recognized", (int)len, name);
    return zone;
}

/* date_trunc of an instant in a zone (fn_datetime.c). */
MUST_CHECK
bool instant_trunc(struct zone *zone, enum time_unit unit, int64_t x, int64_t *out, struct error *err);
/* Year and week of ISO 8601 of a day (fn_extract.c). */
void iso_week_of(int32_t days, int32_t *iso_year, int32_t *week);

/* TRY_KERNEL1 and TRY_KERNEL2 with the session's zone as `zone`. */
#define ZONE_KERNEL2(name, type_a, type_b, type_out, attempt)                                                \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *out = result->data;                                                                        \
        struct zone *zone = session_zone(call);                                                              \
        struct error error, *err = &error;                                                                   \
        EACH_ROW2(type_a, type_b, {                                                                          \
            out[i] = (type_out){0};                                                                          \
            if (!column_is_null(result, i) && !(attempt))                                                    \
                fn_error_from(call, i, err);                                                                 \
        });                                                                                                  \
    }
#define ZONE_KERNEL1(name, type_a, type_out, attempt)                                                        \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *out = result->data;                                                                        \
        struct zone *zone = session_zone(call);                                                              \
        struct error error, *err = &error;                                                                   \
        EACH_ROW1(type_a, {                                                                                  \
            out[i] = (type_out){0};                                                                          \
            if (!column_is_null(result, i) && !(attempt))                                                    \
                fn_error_from(call, i, err);                                                                 \
        });                                                                                                  \
    }

#endif
