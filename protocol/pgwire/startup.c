/* startup.c: start-up packets (PostgreSQL manual 55.2.1). */
#include "protocol/pgwire/startup.h"

#include "storage/data/text_check.h"

#include <ctype.h>

#define CODE_CANCEL 80877102u
#define CODE_SSL    80877103u
#define CODE_GSSENC 80877104u

static void add_setting(struct arena *arena, struct startup *out, const char *name, const char *value)
{
    struct startup_setting setting = {.name = name, .value = value};
    ARENA_PUSH(arena, out->settings, out->settings_count, out->settings_cap, setting);
}

/* "name=value", dashes in names standing for underscores. */
static bool add_option(struct arena *arena, const char *word, struct startup *out, struct error *err)
{
    const char *equal = strchr(word, '=');
    if (equal == NULL || equal == word)
        return error_set(err, ERRCODE_SYNTAX_ERROR, "-c %.200s requires a value", word);
    char *name = arena_strndup(arena, word, (size_t)(equal - word));
    for (char *c = name; *c != '\0'; c++) {
        if (*c == '-')
            *c = '_';
    }
    add_setting(arena, out, name, equal + 1);
    return true;
}

/* The next word with its escapes taken out; NULL at the end. */
static const char *next_word(struct arena *arena, const char **at)
{
    const char *c = *at;
    while (isspace((unsigned char)*c))
        c++;
    if (*c == '\0')
        return NULL;
    char *word = arena_alloc(arena, strlen(c) + 1);
    size_t len = 0;
    for (; *c != '\0' && !isspace((unsigned char)*c); c++) {
        if (*c == '\\' && c[1] != '\0')
            c++;
        word[len++] = *c;
    }
    word[len] = '\0';
    *at = c;
    return word;
}

bool startup_options(struct arena *arena, const char *text, struct startup *out, struct error *err)
{
    const char *at = text;
    const char *word;
    while ((word = next_word(arena, &at)) != NULL) {
        if (strcmp(word, "-c") == 0) {
            word = next_word(arena, &at);
            if (word == NULL)
                return error_set(err, ERRCODE_SYNTAX_ERROR, "-c requires a value");
        } else if (strncmp(word, "-c", 2) == 0 || strncmp(word, "--", 2) == 0) {
            word += 2;
        } else {
            return error_set(err, ERRCODE_SYNTAX_ERROR,
                             "invalid command-line argument for server process: %.200s", word);
        }
        if (!add_option(arena, word, out, err))
            return false;
    }
    return true;
}

static bool startup_parse(struct arena *arena, const uint8_t *body, size_t len, struct startup *out,
                          struct error *err)
{
    /* the packet's buffer is used again: everything is copied first */
    const uint8_t *copy = arena_copy(arena, body, len);
    struct wire_cursor cursor = {.at = copy, .end = copy + len};
    const char *options = NULL;
    for (;;) {
        if (cursor.at == cursor.end)
            return error_set(err, ERRCODE_PROTOCOL_VIOLATION,
                             "invalid startup packet layout: expected terminator as last byte");
        const char *name = wire_get_text(&cursor);
        if (cursor.bad)
            break;
        if (name[0] == '\0')
            break;
        const char *value = wire_get_text(&cursor);
        if (cursor.bad)
            break;
        if (!text_check_utf8(name, strlen(name), err) || !text_check_utf8(value, strlen(value), err))
            return false;
        if (strcmp(name, "user") == 0)
            out->user = value;
        else if (strcmp(name, "database") == 0)
            out->database = value;
        else if (strcmp(name, "options") == 0)
            options = value;
        else if (strcmp(name, "replication") == 0)
            out->is_replication =
                strcmp(value, "false") != 0 && strcmp(value, "off") != 0 && strcmp(value, "0") != 0;
        else if (strncmp(name, "_pq_.", 5) == 0)
            ARENA_PUSH(arena, out->unknown, out->unknown_count, out->unknown_cap, name);
        else
            add_setting(arena, out, name, value);
    }
    if (cursor.bad || cursor.at != cursor.end)
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION,
                         "invalid startup packet layout: expected terminator as last byte");
    if (options != NULL) {
        /* settings of their own come later and win */
        struct startup from_options = {0};
        if (!startup_options(arena, options, &from_options, err))
            return false;
        uint32_t own_count = out->settings_count;
        struct startup_setting *own = out->settings;
        out->settings = from_options.settings;
        out->settings_count = from_options.settings_count;
        out->settings_cap = from_options.settings_cap;
        for (uint32_t i = 0; i < own_count; i++)
            add_setting(arena, out, own[i].name, own[i].value);
    }
    if (out->user == NULL || out->user[0] == '\0')
        return error_set(err, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                         "no PostgreSQL user name specified in startup packet");
    if (out->database == NULL || out->database[0] == '\0')
        out->database = out->user;
    return true;
}

enum wire_result startup_read(struct wire *wire, int64_t deadline_ns, struct arena *arena,
                              struct startup *out, struct error *err)
{
    *out = (struct startup){0};
    bool ssl_asked = false, gss_asked = false;
    for (;;) {
        const uint8_t *body;
        size_t len;
        enum wire_result result = wire_read_startup(wire, deadline_ns, &body, &len, err);
        if (result != WIRE_OK)
            return result;
        struct wire_cursor cursor = {.at = body, .end = body + len};
        uint32_t code = wire_get_u32(&cursor);
        if (code == CODE_SSL || code == CODE_GSSENC) {
            bool *asked = code == CODE_SSL ? &ssl_asked : &gss_asked;
            /* bytes behind the request were sent before the answer: a plain-text injection */
            if (len != 4 || *asked || wire_has_input(wire)) {
                error_set(err, ERRCODE_PROTOCOL_VIOLATION, "received unencrypted data after SSL request");
                return WIRE_VIOLATION;
            }
            *asked = true;
            if (!wire_send_raw(wire, "N", 1))
                return WIRE_CLOSED;
            continue;
        }
        if (code == CODE_CANCEL) {
            if (len != 12) {
                error_set(err, ERRCODE_PROTOCOL_VIOLATION, "invalid length of cancel request packet");
                return WIRE_VIOLATION;
            }
            out->is_cancel = true;
            out->cancel_pid = (int32_t)wire_get_u32(&cursor);
            out->cancel_secret = wire_get_u32(&cursor);
            return WIRE_OK;
        }
        if (code >> 16 != 3) {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                      "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0", code >> 16,
                      code & 0xffff);
            return WIRE_VIOLATION;
        }
        out->minor = code & 0xffff;
        return startup_parse(arena, cursor.at, (size_t)(cursor.end - cursor.at), out, err) ? WIRE_OK
                                                                                           : WIRE_VIOLATION;
    }
}

void startup_negotiate(struct wire *wire, const struct startup *startup)
{
    if (startup->minor == 0 && startup->unknown_count == 0)
        return;
    wire_begin(wire, 'v');
    wire_put_u32(wire, 3u << 16); /* the newest version offered, as PostgreSQL puts it */
    wire_put_u32(wire, startup->unknown_count);
    for (uint32_t i = 0; i < startup->unknown_count; i++)
        wire_put_text(wire, startup->unknown[i]);
    wire_end(wire);
}
