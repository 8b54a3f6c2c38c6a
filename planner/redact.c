/* redact.c: see redact.h. */
#define _GNU_SOURCE /* strcasestr */
#include "planner/redact.h"

#include "planner/scan.h"

#include <string.h>

#define HIDDEN "'***'"

static bool has_private_name(const char *option)
{
    static const char *const words[] = {"password",   "passphrase", "secret",    "token",
                                        "credential", "jaas",       "user.info", "key.pem",
                                        "ssl.key",    "connection", "conninfo"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcasestr(option, words[i]) != NULL)
            return true;
    return false;
}

/* https://user:password@host */
static bool is_url_with_user(const char *value, size_t len)
{
    const char *at = memmem(value, len, "://", 3);
    return at != NULL && memchr(at, '@', len - (size_t)(at - value)) != NULL;
}

bool redact_is_private(const char *option, const char *value)
{
    return has_private_name(option) || is_url_with_user(value, strlen(value));
}

/* ---- statements ---- */

/* Where a walk over the tokens of a text stands. */
struct reader {
    const char *sql;
    struct scan_token word[2]; /* the first of the statement */
    uint32_t words;
    bool after_as;
    struct scan_token previous, before; /* the last two tokens */
};

static bool is_first(const struct reader *r, uint32_t at, const char *word)
{
    return at < r->words && scan_is_word(r->sql, &r->word[at], word);
}

static bool makes_secret(const struct reader *r)
{
    return (is_first(r, 0, "create") || is_first(r, 0, "alter")) && is_first(r, 1, "secret");
}

static bool is_private_name(const char *sql, const struct scan_token *token)
{
    char name[128];
    size_t len = token->len < sizeof(name) ? token->len : sizeof(name) - 1;
    if (token->kind != SCAN_WORD && token->kind != SCAN_QUOTED)
        return false;
    memcpy(name, sql + token->start, len);
    name[len] = '\0';
    return has_private_name(name);
}

static bool is_private_value(const struct reader *r, const struct scan_token *token)
{
    if (makes_secret(r))
        return r->after_as || (token->kind != SCAN_WORD && token->kind != SCAN_QUOTED);
    if (!is_first(r, 0, "create") && !is_first(r, 0, "alter"))
        return false;
    bool is_value = token->kind == SCAN_STRING || token->kind == SCAN_QUOTED || token->kind == SCAN_NUMBER ||
                    token->kind == SCAN_UNTERMINATED;
    return is_value && r->previous.kind == SCAN_OPERATOR && r->previous.len == 1 &&
           r->sql[r->previous.start] == '=' &&
           (is_private_name(r->sql, &r->before) || is_url_with_user(r->sql + token->start, token->len));
}

void redact_statement(const char *sql, size_t len, struct strbuf *out)
{
    struct reader r = {.sql = sql};
    struct scanner scanner;
    size_t copied = 0;
    scan_start(&scanner, sql, len);
    for (struct scan_token token; (token = scan_next(&scanner)).kind != SCAN_END;) {
        if (scan_is(sql, &token, ';')) {
            r = (struct reader){.sql = sql};
            continue;
        }
        if (is_private_value(&r, &token)) {
            strbuf_add(out, sql + copied, token.start - copied);
            strbuf_adds(out, HIDDEN);
            copied = token.start + token.len;
        }
        r.after_as |= scan_is_word(sql, &token, "as");
        if (r.words < ARRAY_COUNT(r.word))
            r.word[r.words++] = token;
        r.before = r.previous;
        r.previous = token;
        if (token.kind == SCAN_UNTERMINATED)
            break;
    }
    strbuf_add(out, sql + copied, len - copied);
}

const char *redact_in(struct arena *arena, const char *sql)
{
    struct strbuf text = STRBUF_INIT;
    redact_statement(sql, strlen(sql), &text);
    const char *copy = arena_strndup(arena, text.data, text.len);
    strbuf_release(&text);
    return copy;
}

bool redact_is_sensitive(const char *sql)
{
    if (strcasestr(sql, "create") == NULL && strcasestr(sql, "alter") == NULL)
        return false;
    struct scanner scanner;
    bool is_first_word = true;
    scan_start(&scanner, sql, strlen(sql));
    for (struct scan_token token; (token = scan_next(&scanner)).kind != SCAN_END;) {
        if (is_first_word && (scan_is_word(sql, &token, "create") || scan_is_word(sql, &token, "alter")))
            return true;
        if (token.kind == SCAN_UNTERMINATED)
            break;
        is_first_word = scan_is(sql, &token, ';');
    }
    return false;
}

/* ---- errors ---- */

static void replace_all(char *text, size_t cap, const char *value)
{
    static const char stars[] = "***";
    size_t len = strlen(value);
    if (len == 0)
        return;
    for (char *at = text; (at = strstr(at, value)) != NULL;) {
        size_t tail = strlen(at + len), room = cap - (size_t)(at - text) - 1;
        size_t put = sizeof(stars) - 1 < room ? sizeof(stars) - 1 : room;
        if (put + tail > room)
            tail = room - put;
        memmove(at + put, at + len, tail);
        memcpy(at, stars, put);
        at += put;
        at[tail] = '\0';
    }
}

bool redact_error(const struct catalog_object *object, struct error *err)
{
    if (err == NULL)
        return false;
    for (uint32_t i = 0; i < object->options_count; i++) {
        const struct catalog_option *option = &object->options[i];
        if (option->secret == NULL && !redact_is_private(option->name, option->value))
            continue;
        replace_all(err->message, sizeof(err->message), option->value);
        replace_all(err->detail, sizeof(err->detail), option->value);
        replace_all(err->hint, sizeof(err->hint), option->value);
        replace_all(err->context, sizeof(err->context), option->value);
    }
    return false;
}
