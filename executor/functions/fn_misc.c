/* fn_misc.c: small functions that fit nowhere else: identifiers, types of values, counting NULLs. */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"
#include "storage/data/hash.h"

#include <openssl/rand.h>

static void fn_gen_random_uuid(struct fn_call *call, const struct column *args, struct column *result)
{
    uint8_t *out = result->data;
    if (call->rows == 0)
        return;
    if (RAND_bytes(out, (int)call->rows * 16) != 1) {
        for (uint32_t i = 0; i < call->rows; i++)
            fn_error(call, i, ERRCODE_INTERNAL_ERROR, "could not generate random values");
        return;
    }
    for (uint32_t i = 0; i < call->rows; i++) {
        out[i * 16 + 6] = (uint8_t)((out[i * 16 + 6] & 0x0f) | 0x40); /* version 4 */
        out[i * 16 + 8] = (uint8_t)((out[i * 16 + 8] & 0x3f) | 0x80); /* variant */
    }
}

static void fn_pg_typeof(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_I64(result)[i] = args[0].type.oid;
}

static void count_nulls(struct fn_call *call, const struct column *args, struct column *result, bool nulls)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t count = 0;
        for (uint32_t arg = 0; arg < call->args_count; arg++)
            count += column_is_null(&args[arg], i) == nulls;
        RESULT_I32(result)[i] = count;
    }
}

static void fn_num_nulls(struct fn_call *call, const struct column *args, struct column *result)
{
    count_nulls(call, args, result, true);
}
static void fn_num_nonnulls(struct fn_call *call, const struct column *args, struct column *result)
{
    count_nulls(call, args, result, false);
}

static void fn_version(struct fn_call *call, const struct column *args, struct column *result)
{
    static const char text[] = "PostgreSQL 15.8 (Millrace), compiled by gcc " __VERSION__;
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_VAR(result)[i] = varlen_copy(call->arena, text, sizeof(text) - 1);
}

/* Not PostgreSQL's numbers: ours are the same on every machine and in every release. */
static void fn_hashtext(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        RESULT_I32(result)[i] = (int32_t)(uint32_t)hash_bytes(text.bytes, text.len);
    }
}

const struct function_row fn_misc_rows[] = {
    {"gen_random_uuid", "", "uuid", fn_gen_random_uuid, "gen_random_uuid() gives a random uuid (version 4)",
     FN_VOLATILE},
    {"pg_typeof", "any", "regtype", fn_pg_typeof, "pg_typeof(1) gives 'integer'",
     FN_NULLS | FN_STABLE | FN_VIEW_OK | FN_UNKNOWN},
    {"num_nulls", "variadic any", "int4", fn_num_nulls, "num_nulls(1, NULL) gives 1", FN_NULLS},
    {"num_nonnulls", "variadic any", "int4", fn_num_nonnulls, "num_nonnulls(1, NULL) gives 1", FN_NULLS},
    {"version", "", "text", fn_version, "version() names the server", FN_STABLE | FN_VIEW_OK},
    {"hashtext", "text", "int4", fn_hashtext, "hashtext('a') gives a number that stays the same"},
};
const size_t fn_misc_rows_count = sizeof(fn_misc_rows) / sizeof(fn_misc_rows[0]);
