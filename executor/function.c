/* function.c: the helpers of kernels (errors, NULLs, rows of sets) and the reader of signatures. */
#include "executor/function.h"

#include "executor/eval_env.h"
#include "executor/function_signature.h"

#include <stdio.h>

/* ---- errors and results of kernels ---- */

static struct error *error_slot(struct fn_call *call, uint32_t row)
{
    if (call->result != NULL && column_is_null(call->result, row))
        return NULL;
    struct row_errors *errors = call->errors;
    if (errors->failed == NULL)
        errors->failed = arena_zalloc(errors->arena, errors->rows > 0 ? errors->rows : 1);
    if (errors->failed[row])
        return NULL;
    errors->failed[row] = 1;
    struct row_error item = {.row = row, .error = arena_alloc(errors->arena, sizeof(struct error))};
    ARENA_PUSH(errors->arena, errors->items, errors->count, errors->cap, item);
    return item.error;
}

void fn_error(struct fn_call *call, uint32_t row, enum error_code code, const char *format, ...)
{
    struct error *slot = error_slot(call, row);
    if (slot == NULL)
        return;
    char message[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    error_set(slot, code, "%s", message);
}

void fn_error_from(struct fn_call *call, uint32_t row, const struct error *err)
{
    struct error *slot = error_slot(call, row);
    if (slot != NULL)
        *slot = *err;
}

void fn_set_null(struct fn_call *call, struct column *result, uint32_t row)
{
    column_set_null(result, row, call->rows, call->arena);
}

void srf_append(struct srf_output *output, uint32_t input_row, const struct datum *values)
{
    ARENA_PUSH(output->arena, output->out_rows, output->count, output->cap, input_row);
    batch_append_datums(output->out, values, 1);
    if (output->count % BATCH_ROWS_MAX == 0 && output->full != NULL)
        output->full(output);
}

/* ---- signatures ---- */

static const char *skip_blanks(const char *text)
{
    while (*text == ' ')
        text++;
    return text;
}

/* The type named by text[0..len), blanks around it ignored. */
static uint32_t parse_type(const char *text, size_t len)
{
    while (len > 0 && *text == ' ') {
        text++;
        len--;
    }
    while (len > 0 && text[len - 1] == ' ')
        len--;
    char name[NAME_BYTES_MAX + 1];
    CHECK(len > 0 && len < sizeof(name));
    memcpy(name, text, len);
    name[len] = '\0';
    const struct type_row *row = type_find_name(name);
    CHECK(row != NULL);
    return row->oid;
}

static uint32_t count_items(const char *text, size_t len)
{
    uint32_t count = len > 0;
    for (size_t i = 0; i < len; i++)
        count += text[i] == ',';
    return count;
}

static void parse_args(struct arena *arena, const char *args, struct function_signature *out)
{
    size_t len = strlen(args);
    out->args_count = count_items(args, len);
    uint32_t *types = ARENA_ARRAY(arena, uint32_t, out->args_count);
    const char *cursor = args;
    for (uint32_t i = 0; i < out->args_count; i++) {
        cursor = skip_blanks(cursor);
        if (strncmp(cursor, "variadic ", 9) == 0) {
            out->is_variadic = true;
            cursor += 9;
        }
        size_t item = strcspn(cursor, ",");
        types[i] = parse_type(cursor, item);
        cursor += item + (cursor[item] == ',');
    }
    out->args = types;
}

static void parse_columns(struct arena *arena, const char *text, size_t len, struct function_signature *out)
{
    out->columns_count = count_items(text, len);
    const char **names = ARENA_ARRAY(arena, const char *, out->columns_count);
    uint32_t *types = ARENA_ARRAY(arena, uint32_t, out->columns_count);
    const char *cursor = text;
    for (uint32_t i = 0; i < out->columns_count; i++) {
        cursor = skip_blanks(cursor);
        size_t item = strcspn(cursor, ",)"), name = strcspn(cursor, " ,)");
        CHECK(name < item);
        names[i] = arena_strndup(arena, cursor, name);
        types[i] = parse_type(cursor + name, item - name);
        cursor += item + 1;
    }
    out->column_names = names;
    out->column_types = types;
}

void function_signature_parse(struct arena *arena, const char *args, const char *result,
                              struct function_signature *out)
{
    *out = (struct function_signature){0};
    parse_args(arena, args, out);
    const char *type = result;
    if (strncmp(type, "setof ", 6) == 0)
        type = skip_blanks(type + 6);
    size_t len = strcspn(type, "(");
    out->result = parse_type(type, len);
    if (type[len] == '(' && out->result != OID_RECORD)
        out->value_name = arena_strndup(arena, type + len + 1, strcspn(type + len + 1, ")"));
    else if (type[len] == '(')
        parse_columns(arena, type + len + 1, strcspn(type + len + 1, ")"), out);
}
