/* fn_json_edit.c: jsonb that differs from a given one: joined, cut, set by path, without nulls, laid out; and
 * containment (PostgreSQL manual 9.16, 8.14.3).
 *
 * These work on a tree, made for each row in memory that is reused for the next one. */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"
#include "storage/data/array.h"
#include "storage/data/json.h"

#include <errno.h>
#include <stdlib.h>

static bool is_scalar(const struct json_value *value)
{
    return value->kind < JSON_ARRAY;
}

static struct text_arg span(const struct varlen *value)
{
    return (struct text_arg){.bytes = (const char *)varlen_bytes(value), .len = value->len};
}

static bool text_equal(const struct varlen *a, struct text_arg b)
{
    return a->len == b.len && memcmp(varlen_bytes(a), b.bytes, b.len) == 0;
}

/* The tree of a row; NULL with an error when the value is NULL or does not parse. */
static struct json_value *tree_at(struct fn_call *call, const struct column *column, uint32_t row,
                                  struct arena *scratch)
{
    struct text_arg text = text_at(column, row);
    struct json_value *value;
    struct error err;
    if (column_is_null(column, row))
        return NULL;
    if (json_parse(scratch, text.bytes, text.len, &value, &err))
        return value;
    fn_error_from(call, row, &err);
    return NULL;
}

static void remove_at(struct json_value *container, uint32_t index)
{
    uint32_t behind = container->count - index - 1;
    memmove(container->items + index, container->items + index + 1, sizeof(*container->items) * behind);
    if (container->kind == JSON_OBJECT)
        memmove(container->keys + index, container->keys + index + 1, sizeof(*container->keys) * behind);
    container->count--;
}

/* Puts an item (of an object: with its key) before `index`; arrays move because their room is not known. */
static void insert_at(struct arena *arena, struct json_value *container, uint32_t index,
                      const struct varlen *key, struct json_value *item)
{
    uint32_t count = container->count, behind = count - index;
    struct json_value **items = ARENA_ARRAY(arena, struct json_value *, count + 1);
    if (count > 0) {
        memcpy(items, container->items, sizeof(*items) * index);
        memcpy(items + index + 1, container->items + index, sizeof(*items) * behind);
    }
    items[index] = item;
    container->items = items;
    if (container->kind == JSON_OBJECT) {
        struct varlen *keys = ARENA_ARRAY(arena, struct varlen, count + 1);
        if (count > 0) {
            memcpy(keys, container->keys, sizeof(*keys) * index);
            memcpy(keys + index + 1, container->keys + index, sizeof(*keys) * behind);
        }
        keys[index] = *key;
        container->keys = keys;
    }
    container->count++;
}

/* Keys of jsonb are sorted by length, then bytes. */
static uint32_t find_key(const struct json_value *object, struct text_arg key)
{
    uint32_t low = 0, high = object->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct text_arg at = span(&object->keys[middle]);
        int order = at.len != key.len ? (at.len < key.len ? -1 : 1) : memcmp(at.bytes, key.bytes, key.len);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return UINT32_MAX;
}

/* ---- results ---- */

static void give_tree(struct fn_call *call, struct column *result, uint32_t row, struct json_value *value,
                      struct arena *scratch)
{
    struct strbuf text = STRBUF_INIT;
    json_canonicalize(value, scratch);
    json_write(value, &text);
    if (text.len > VALUE_BYTES_MAX)
        fn_error(call, row, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
    else
        RESULT_VAR(result)[row] = text_from_strbuf(call->arena, &text);
    strbuf_release(&text);
}

/* Changes a tree in place; NULL and *err filled on an error. */
typedef struct json_value *(*tree_edit)(struct fn_call *call, const struct column *args, uint32_t row,
                                        struct json_value *value, struct arena *scratch, struct error *err);

static void edit_rows(struct fn_call *call, const struct column *args, struct column *result,
                      tree_edit change)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        arena_reset(&scratch);
        struct json_value *value = tree_at(call, &args[0], i, &scratch);
        if (value == NULL)
            continue;
        value = change(call, args, i, value, &scratch, &err);
        if (value != NULL)
            give_tree(call, result, i, value, &scratch);
        else
            fn_error_from(call, i, &err);
    }
    arena_release(&scratch);
}

#define EDIT_KERNEL(name, change)                                                                            \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        edit_rows(call, args, result, change);                                                               \
    }

/* ---- || ---- */

static struct json_value *as_array(struct json_value *value, struct arena *arena)
{
    if (value->kind == JSON_ARRAY)
        return value;
    struct json_value *array = ARENA_NEW(arena, struct json_value);
    array->kind = JSON_ARRAY;
    insert_at(arena, array, 0, NULL, value);
    return array;
}

static struct json_value *concat(struct fn_call *call, const struct column *args, uint32_t row,
                                 struct json_value *left, struct arena *scratch, struct error *err)
{
    struct text_arg text = text_at(&args[1], row);
    struct json_value *right;
    if (!json_parse(scratch, text.bytes, text.len, &right, err))
        return NULL;
    bool objects = left->kind == JSON_OBJECT && right->kind == JSON_OBJECT;
    if (!objects) {
        left = as_array(left, scratch);
        right = as_array(right, scratch);
    }
    struct json_value *both = ARENA_NEW(scratch, struct json_value);
    both->kind = left->kind;
    both->count = left->count + right->count;
    both->items = ARENA_ARRAY(scratch, struct json_value *, both->count);
    both->keys = objects ? ARENA_ARRAY(scratch, struct varlen, both->count) : NULL;
    for (uint32_t i = 0; i < both->count; i++) {
        const struct json_value *from = i < left->count ? left : right;
        uint32_t at = i < left->count ? i : i - left->count;
        both->items[i] = from->items[at];
        if (objects) /* canonicalizing keeps the last of equal keys */
            both->keys[i] = from->keys[at];
    }
    return both;
}
EDIT_KERNEL(fn_concat, concat)

/* ---- - ---- */

static struct json_value *failed(bool filled)
{
    (void)filled;
    return NULL;
}

static struct json_value *delete_scalar(struct error *err)
{
    return failed(error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "cannot delete from scalar"));
}

static void delete_named(struct json_value *value, struct text_arg name)
{
    if (value->kind == JSON_OBJECT) {
        uint32_t at = find_key(value, name);
        if (at != UINT32_MAX)
            remove_at(value, at);
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        struct json_value *item = value->items[i];
        if (item->kind != JSON_STRING || !text_equal(&item->text, name))
            value->items[kept++] = item;
    }
    value->count = kept;
}

static struct json_value *delete_key(struct fn_call *call, const struct column *args, uint32_t row,
                                     struct json_value *value, struct arena *scratch, struct error *err)
{
    if (is_scalar(value))
        return delete_scalar(err);
    delete_named(value, text_at(&args[1], row));
    return value;
}
EDIT_KERNEL(fn_delete_key, delete_key)

static struct json_value *delete_keys(struct fn_call *call, const struct column *args, uint32_t row,
                                      struct json_value *value, struct arena *scratch, struct error *err)
{
    struct array_view keys;
    struct datum key;
    array_open(&COLUMN_VAR(&args[1])[COLUMN_AT(&args[1], row)], &keys);
    if (keys.ndim > 1)
        return failed(error_set(err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    if (is_scalar(value))
        return delete_scalar(err);
    const uint8_t *cursor = keys.elements;
    while (keys.ndim > 0 && array_next(&keys, &cursor, &key)) {
        if (!key.is_null)
            delete_named(value, span(&key.var));
    }
    return value;
}
EDIT_KERNEL(fn_delete_keys, delete_keys)

static struct json_value *delete_element(struct fn_call *call, const struct column *args, uint32_t row,
                                         struct json_value *value, struct arena *scratch, struct error *err)
{
    if (is_scalar(value))
        return delete_scalar(err);
    if (value->kind == JSON_OBJECT)
        return failed(
            error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "cannot delete from object using integer index"));
    int64_t index = i32_at(&args[1], row);
    index += index < 0 ? value->count : 0;
    if (index >= 0 && index < value->count)
        remove_at(value, (uint32_t)index);
    return value;
}
EDIT_KERNEL(fn_delete_element, delete_element)

/* ---- by path ---- */

enum path_action { PATH_REPLACE, PATH_CREATE, PATH_INSERT_BEFORE, PATH_INSERT_AFTER, PATH_DELETE };

struct path_edit {
    enum path_action action;
    const struct datum *path;
    uint32_t path_len;
    struct json_value *item; /* NULL: delete */
    struct arena *arena;
    struct error *err;
};

static bool creates(const struct path_edit *edit)
{
    return edit->action == PATH_CREATE || edit->action == PATH_INSERT_BEFORE ||
           edit->action == PATH_INSERT_AFTER;
}

static bool edit_path(const struct path_edit *edit, struct json_value *value, uint32_t level);

static bool edit_object(const struct path_edit *edit, struct json_value *object, uint32_t level)
{
    const struct varlen *key = &edit->path[level].var;
    uint32_t at = find_key(object, span(key));
    if (level + 1 < edit->path_len)
        return at == UINT32_MAX || edit_path(edit, object->items[at], level + 1);
    if (at == UINT32_MAX) {
        if (creates(edit))
            insert_at(edit->arena, object, object->count, key, edit->item);
        return true;
    }
    if (edit->action == PATH_INSERT_BEFORE || edit->action == PATH_INSERT_AFTER) {
        error_set(edit->err, ERRCODE_INVALID_PARAMETER_VALUE, "cannot replace existing key");
        return error_hint(edit->err, "Try using the function jsonb_set to replace key value.");
    }
    if (edit->action == PATH_DELETE)
        remove_at(object, at);
    else
        object->items[at] = edit->item;
    return true;
}

/* The index that a path element means in an array of `count`: -1 before its start, count at or behind its
 * end. */
static bool path_index(const struct path_edit *edit, uint32_t level, uint32_t count, int64_t *index)
{
    struct text_arg step = span(&edit->path[level].var);
    char text[32], *end = text;
    long value = 0;
    errno = 0;
    if (step.len < sizeof(text)) {
        memcpy(text, step.bytes, step.len);
        text[step.len] = '\0';
        value = strtol(text, &end, 10);
    }
    if (end == text || *end != '\0' || errno != 0 || value < INT32_MIN || value > INT32_MAX)
        return error_set(edit->err, ERRCODE_INVALID_TEXT_REPRESENTATION,
                         "path element at position %u is not an integer: \"%.*s\"", level + 1,
                         (int)(step.len < 200 ? step.len : 200), step.bytes);
    *index = value < 0 ? value + (int64_t)count : value;
    *index = *index < 0 ? -1 : *index > count ? count : *index;
    return true;
}

static bool edit_array(const struct path_edit *edit, struct json_value *array, uint32_t level)
{
    int64_t index = 0;
    if (!path_index(edit, level, array->count, &index))
        return false;
    bool inside = index >= 0 && index < array->count;
    if (level + 1 < edit->path_len)
        return !inside || edit_path(edit, array->items[index], level + 1);
    if (!inside) {
        if (creates(edit))
            insert_at(edit->arena, array, index < 0 ? 0 : array->count, NULL, edit->item);
        return true;
    }
    if (edit->action == PATH_DELETE)
        remove_at(array, (uint32_t)index);
    else if (edit->action == PATH_INSERT_BEFORE || edit->action == PATH_INSERT_AFTER)
        insert_at(edit->arena, array, (uint32_t)index + (edit->action == PATH_INSERT_AFTER), NULL,
                  edit->item);
    else
        array->items[index] = edit->item;
    return true;
}

static bool edit_path(const struct path_edit *edit, struct json_value *value, uint32_t level)
{
    if (edit->path[level].is_null)
        return error_set(edit->err, ERRCODE_NULL_VALUE_NOT_ALLOWED, "path element at position %u is null",
                         level + 1);
    if (value->kind == JSON_OBJECT)
        return edit_object(edit, value, level);
    return value->kind != JSON_ARRAY || edit_array(edit, value, level);
}

/* Does the action at the path in args[1]; the new value is args[2] unless something is deleted. */
static struct json_value *at_path(const struct column *args, uint32_t row, struct json_value *value,
                                  struct json_value *item, enum path_action action, struct arena *scratch,
                                  struct error *err)
{
    struct array_view path;
    array_open(&COLUMN_VAR(&args[1])[COLUMN_AT(&args[1], row)], &path);
    if (path.ndim > 1)
        return failed(error_set(err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    if (is_scalar(value))
        return failed(error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "cannot %s path in scalar",
                                action == PATH_DELETE ? "delete" : "set"));
    bool nothing = value->count == 0 && (action == PATH_DELETE || action == PATH_REPLACE);
    if (nothing || path.count == 0)
        return value;
    struct path_edit edit = {.action = action,
                             .path = array_elements(&path, scratch),
                             .path_len = path.count,
                             .item = item,
                             .arena = scratch,
                             .err = err};
    return edit_path(&edit, value, 0) ? value : NULL;
}

static struct json_value *item_at(const struct column *column, uint32_t row, struct arena *scratch,
                                  struct error *err)
{
    struct text_arg text = text_at(column, row);
    struct json_value *item;
    return json_parse(scratch, text.bytes, text.len, &item, err) ? item : NULL;
}

static bool flag_at(const struct fn_call *call, const struct column *args, uint32_t arg, uint32_t row,
                    bool missing)
{
    return call->args_count > arg ? COLUMN_BOOL(&args[arg])[COLUMN_AT(&args[arg], row)] != 0 : missing;
}

static struct json_value *delete_path(struct fn_call *call, const struct column *args, uint32_t row,
                                      struct json_value *value, struct arena *scratch, struct error *err)
{
    return at_path(args, row, value, NULL, PATH_DELETE, scratch, err);
}
EDIT_KERNEL(fn_delete_path, delete_path)

static struct json_value *set(struct fn_call *call, const struct column *args, uint32_t row,
                              struct json_value *value, struct arena *scratch, struct error *err)
{
    struct json_value *item = item_at(&args[2], row, scratch, err);
    enum path_action action = flag_at(call, args, 3, row, true) ? PATH_CREATE : PATH_REPLACE;
    return item != NULL ? at_path(args, row, value, item, action, scratch, err) : NULL;
}
EDIT_KERNEL(fn_set, set)

static struct json_value *insert(struct fn_call *call, const struct column *args, uint32_t row,
                                 struct json_value *value, struct arena *scratch, struct error *err)
{
    struct json_value *item = item_at(&args[2], row, scratch, err);
    enum path_action action = flag_at(call, args, 3, row, false) ? PATH_INSERT_AFTER : PATH_INSERT_BEFORE;
    return item != NULL ? at_path(args, row, value, item, action, scratch, err) : NULL;
}
EDIT_KERNEL(fn_insert, insert)

static struct json_value *set_null(const struct column *args, uint32_t row, struct json_value *value,
                                   struct text_arg treatment, enum path_action action, struct arena *scratch,
                                   struct error *err)
{
    struct varlen wanted = text_view(treatment);
    if (text_equal(&wanted, (struct text_arg){"use_json_null", 13})) {
        struct json_value *null = ARENA_NEW(scratch, struct json_value); /* JSON_NULL */
        return at_path(args, row, value, null, action, scratch, err);
    }
    if (text_equal(&wanted, (struct text_arg){"delete_key", 10}))
        return at_path(args, row, value, NULL, PATH_DELETE, scratch, err);
    if (text_equal(&wanted, (struct text_arg){"return_target", 13}))
        return value;
    if (!text_equal(&wanted, (struct text_arg){"raise_exception", 15}))
        return failed(error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                "null_value_treatment must be \"delete_key\", \"return_target\", "
                                "\"use_json_null\", or \"raise_exception\""));
    error_set(err, ERRCODE_NULL_VALUE_NOT_ALLOWED, "JSON value must not be null");
    error_detail(err, "Exception was raised because null_value_treatment is \"raise_exception\".");
    error_hint(err, "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is "
                    "not passed.");
    return NULL;
}

/* jsonb_set that is told what a NULL as the new value means. */
static void fn_set_lax(struct fn_call *call, const struct column *args, struct column *result)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        arena_reset(&scratch);
        if (column_is_null(&args[0], i) || column_is_null(&args[1], i) ||
            (call->args_count > 3 && column_is_null(&args[3], i))) {
            fn_set_null(call, result, i);
            continue;
        }
        struct json_value *value = tree_at(call, &args[0], i, &scratch);
        if (value == NULL)
            continue;
        struct text_arg treatment = {.bytes = "use_json_null", .len = 13};
        if (call->args_count > 4)
            treatment = column_is_null(&args[4], i) ? (struct text_arg){.bytes = ""} : text_at(&args[4], i);
        enum path_action action = flag_at(call, args, 3, i, true) ? PATH_CREATE : PATH_REPLACE;
        if (column_is_null(&args[2], i))
            value = set_null(args, i, value, treatment, action, &scratch, &err);
        else
            value = set(call, args, i, value, &scratch, &err);
        if (value != NULL)
            give_tree(call, result, i, value, &scratch);
        else
            fn_error_from(call, i, &err);
    }
    arena_release(&scratch);
}

/* ---- without nulls ---- */

static void strip(struct json_value *value)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        struct json_value *item = value->items[i];
        if (value->kind == JSON_OBJECT && item->kind == JSON_NULL)
            continue;
        strip(item);
        value->items[kept] = item;
        if (value->kind == JSON_OBJECT)
            value->keys[kept] = value->keys[i];
        kept++;
    }
    value->count = kept;
}

/* As json_write without blanks: json keeps its order. */
static void write_compact(const struct json_value *value, struct strbuf *out)
{
    if (is_scalar(value)) {
        json_write(value, out);
        return;
    }
    bool is_object = value->kind == JSON_OBJECT;
    strbuf_addc(out, is_object ? '{' : '[');
    for (uint32_t i = 0; i < value->count; i++) {
        if (i > 0)
            strbuf_addc(out, ',');
        if (is_object) {
            json_write_string((const char *)varlen_bytes(&value->keys[i]), value->keys[i].len, out);
            strbuf_addc(out, ':');
        }
        write_compact(value->items[i], out);
    }
    strbuf_addc(out, is_object ? '}' : ']');
}

static void write_pretty(const struct json_value *value, uint32_t level, struct strbuf *out)
{
    if (is_scalar(value)) {
        json_write(value, out);
        return;
    }
    bool is_object = value->kind == JSON_OBJECT;
    strbuf_addc(out, is_object ? '{' : '[');
    for (uint32_t i = 0; i <= value->count; i++) {
        bool last = i == value->count;
        if (i > 0 && !last)
            strbuf_addc(out, ',');
        strbuf_addc(out, '\n');
        for (uint32_t depth = 0; depth < level + !last; depth++)
            strbuf_add(out, "    ", 4);
        if (last)
            break;
        if (is_object) {
            json_write_string((const char *)varlen_bytes(&value->keys[i]), value->keys[i].len, out);
            strbuf_add(out, ": ", 2);
        }
        write_pretty(value->items[i], level + 1, out);
    }
    strbuf_addc(out, is_object ? '}' : ']');
}

enum layout { LAYOUT_STRIPPED, LAYOUT_PRETTY };

static void layout_rows(struct fn_call *call, const struct column *args, struct column *result,
                        enum layout layout)
{
    struct arena scratch;
    struct strbuf text = STRBUF_INIT;
    arena_init(&scratch, NULL);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        arena_reset(&scratch);
        strbuf_reset(&text);
        struct json_value *value = column_is_null(result, i) ? NULL : tree_at(call, &args[0], i, &scratch);
        if (value == NULL)
            continue;
        if (layout == LAYOUT_PRETTY) {
            write_pretty(value, 0, &text);
        } else {
            strip(value);
            write_compact(value, &text);
        }
        if (text.len > VALUE_BYTES_MAX)
            fn_error(call, i, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
        else
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &text);
    }
    strbuf_release(&text);
    arena_release(&scratch);
}

static void fn_json_strip(struct fn_call *call, const struct column *args, struct column *result)
{
    layout_rows(call, args, result, LAYOUT_STRIPPED);
}
static void fn_pretty(struct fn_call *call, const struct column *args, struct column *result)
{
    layout_rows(call, args, result, LAYOUT_PRETTY);
}

static struct json_value *strip_nulls(struct fn_call *call, const struct column *args, uint32_t row,
                                      struct json_value *value, struct arena *scratch, struct error *err)
{
    strip(value);
    return value;
}
EDIT_KERNEL(fn_jsonb_strip, strip_nulls)

/* ---- containment ---- */

static bool contains(const struct json_value *whole, const struct json_value *part);

static bool item_matches(const struct json_value *item, const struct json_value *part)
{
    if (is_scalar(item) || is_scalar(part))
        return is_scalar(item) && is_scalar(part) && json_compare(item, part) == 0;
    return contains(item, part);
}

static bool has_item(const struct json_value *array, const struct json_value *part)
{
    for (uint32_t i = 0; i < array->count; i++) {
        if (item_matches(array->items[i], part))
            return true;
    }
    return false;
}

static bool contains(const struct json_value *whole, const struct json_value *part)
{
    if (whole->kind != part->kind || (whole->kind == JSON_OBJECT && whole->count < part->count))
        return false;
    for (uint32_t i = 0; i < part->count; i++) {
        if (whole->kind == JSON_ARRAY) {
            if (!has_item(whole, part->items[i]))
                return false;
            continue;
        }
        uint32_t at = find_key(whole, span(&part->keys[i]));
        if (at == UINT32_MAX || !item_matches(whole->items[at], part->items[i]))
            return false;
    }
    return true;
}

/* At the top an array may hold the scalar itself. */
static bool contains_top(const struct json_value *whole, const struct json_value *part)
{
    if (is_scalar(part))
        return whole->kind == JSON_ARRAY ? has_item(whole, part) : item_matches(whole, part);
    return !is_scalar(whole) && contains(whole, part);
}

static void contains_rows(struct fn_call *call, const struct column *whole, const struct column *part,
                          struct column *result)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_BOOL(result)[i] = 0;
        if (column_is_null(result, i))
            continue;
        arena_reset(&scratch);
        struct json_value *a = tree_at(call, whole, i, &scratch), *b = tree_at(call, part, i, &scratch);
        if (a != NULL && b != NULL)
            RESULT_BOOL(result)[i] = contains_top(a, b);
    }
    arena_release(&scratch);
}

static void fn_contains(struct fn_call *call, const struct column *args, struct column *result)
{
    contains_rows(call, &args[0], &args[1], result);
}
static void fn_contained(struct fn_call *call, const struct column *args, struct column *result)
{
    contains_rows(call, &args[1], &args[0], result);
}

/* ---- rows ---- */

const struct function_row fn_json_edit_rows[] = {
    {"||", "jsonb,jsonb", "jsonb", fn_concat, "'{\"a\": 1}'::jsonb || '{\"b\": 2}' joins both", FN_OPERATOR},
    {"-", "jsonb,text", "jsonb", fn_delete_key, "'{\"a\": 1}'::jsonb - 'a' gives {}", FN_OPERATOR},
    {"-", "jsonb,text[]", "jsonb", fn_delete_keys, "'{\"a\": 1}'::jsonb - '{a,b}'::text[] gives {}",
     FN_OPERATOR},
    {"-", "jsonb,int4", "jsonb", fn_delete_element, "'[1,2]'::jsonb - 0 gives [2]", FN_OPERATOR},
    {"#-", "jsonb,text[]", "jsonb", fn_delete_path, "'{\"a\": [1,2]}'::jsonb #- '{a,0}' gives {\"a\": [2]}",
     FN_OPERATOR},
    {"@>", "jsonb,jsonb", "bool", fn_contains, "'{\"a\": 1, \"b\": 2}'::jsonb @> '{\"a\": 1}' gives true",
     FN_OPERATOR, NULL, "<@"},
    {"<@", "jsonb,jsonb", "bool", fn_contained, "'{\"a\": 1}'::jsonb <@ '{\"a\": 1, \"b\": 2}' gives true",
     FN_OPERATOR, NULL, "@>"},
    {"jsonb_set", "jsonb,text[],jsonb", "jsonb", fn_set,
     "jsonb_set('{\"a\": 1}', '{a}', '2') gives {\"a\": 2}"},
    {"jsonb_set", "jsonb,text[],jsonb,bool", "jsonb", fn_set,
     "jsonb_set('{}', '{a}', '2', false) gives {}: no new keys"},
    {"jsonb_set_lax", "jsonb,text[],jsonb", "jsonb", fn_set_lax,
     "jsonb_set_lax('{\"a\": 1}', '{a}', NULL) gives {\"a\": null}", FN_NULLS},
    {"jsonb_set_lax", "jsonb,text[],jsonb,bool", "jsonb", fn_set_lax,
     "jsonb_set_lax('{}', '{a}', NULL, false) gives {}", FN_NULLS},
    {"jsonb_set_lax", "jsonb,text[],jsonb,bool,text", "jsonb", fn_set_lax,
     "jsonb_set_lax('{\"a\": 1}', '{a}', NULL, true, 'delete_key') gives {}", FN_NULLS},
    {"jsonb_insert", "jsonb,text[],jsonb", "jsonb", fn_insert,
     "jsonb_insert('[1,3]', '{1}', '2') gives [1, 2, 3]"},
    {"jsonb_insert", "jsonb,text[],jsonb,bool", "jsonb", fn_insert,
     "jsonb_insert('[1,2]', '{1}', '3', true) gives [1, 2, 3]"},
    {"json_strip_nulls", "json", "json", fn_json_strip, "json_strip_nulls('{\"a\": null}') gives {}"},
    {"jsonb_strip_nulls", "jsonb", "jsonb", fn_jsonb_strip, "jsonb_strip_nulls('{\"a\": null}') gives {}"},
    {"jsonb_pretty", "jsonb", "text", fn_pretty, "jsonb_pretty('{\"a\": 1}') breaks and indents lines"},
};
const size_t fn_json_edit_rows_count = sizeof(fn_json_edit_rows) / sizeof(fn_json_edit_rows[0]);
