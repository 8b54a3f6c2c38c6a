/* json_path.c: see json_path.h. */
#include "protocol/format/json_path.h"

#include <string.h>

static bool bad_path(const char *path, const char *column, const char *at, struct error *err)
{
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid path \"%s\" of column \"%s\" at character %zu",
              path, column, (size_t)(at - path) + 1);
    return error_hint(
        err, "Paths are names and items, such as a.b[0].c; a name with other signs stands in double quotes.");
}

/* A name in double quotes, in which a doubled quote is one. */
static const char *quoted_name(struct arena *arena, const char *at, struct json_step *step)
{
    char *name = arena_alloc(arena, strlen(at) + 1);
    size_t len = 0;
    for (at++; *at != '\0'; at++) {
        if (*at == '"') {
            if (at[1] != '"') {
                name[len] = '\0';
                *step = (struct json_step){.name = name, .name_len = len};
                return at + 1;
            }
            at++;
        }
        name[len++] = *at;
    }
    return NULL;
}

static const char *item_number(const char *at, struct json_step *step)
{
    uint64_t item = 0;
    const char *first = ++at;
    for (; *at >= '0' && *at <= '9' && item <= UINT32_MAX; at++)
        item = item * 10 + (uint64_t)(*at - '0');
    if (at == first || *at != ']' || item > UINT32_MAX)
        return NULL;
    *step = (struct json_step){.item = (uint32_t)item};
    return at + 1;
}

bool json_path_parse(struct arena *arena, const char *path, const char *column, struct json_step **out,
                     uint32_t *count, struct error *err)
{
    uint32_t steps_cap = 0;
    const char *at = path;
    bool wants_name = true; /* at the start and behind a dot */
    *out = NULL;
    *count = 0;
    if (at[0] == '$' && (at[1] == '\0' || at[1] == '.' || at[1] == '[')) {
        at++;
        wants_name = *at == '.';
        at += wants_name;
        if (*at == '\0' && !wants_name)
            return true;
    }
    for (;;) {
        struct json_step step;
        const char *next;
        if (*at == '[') {
            if (wants_name && *count > 0)
                return bad_path(path, column, at, err);
            next = item_number(at, &step);
        } else if (!wants_name) {
            return bad_path(path, column, at, err);
        } else if (*at == '"') {
            next = quoted_name(arena, at, &step);
        } else {
            size_t len = strcspn(at, ".[]\"");
            step = (struct json_step){.name = arena_strndup(arena, at, len), .name_len = len};
            next = len > 0 ? at + len : NULL;
        }
        if (next == NULL)
            return bad_path(path, column, at, err);
        ARENA_PUSH(arena, *out, *count, steps_cap, step);
        at = next;
        if (*at == '\0')
            return true;
        wants_name = *at == '.';
        at += wants_name;
    }
}
