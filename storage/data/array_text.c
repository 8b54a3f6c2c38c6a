/* array_text.c: reading and writing array literals.
 *
 * Reading goes twice over the text, like PostgreSQL, because errors of structure come before errors of
 * elements: measure() checks braces, quotes and delimiters and finds the dimensions; then the elements are
 * cut out one by one. */
#include "storage/data/array_text.h"

#include "storage/data/array.h"
#include "storage/data/record.h"
#include "storage/data/type_text.h"

#define QUOTED_BYTES_MAX 400

struct literal {
    const char *text; /* whole, for messages */
    size_t len;
    const char *at;
    const char *end;
    int32_t ndim;
    int32_t lengths[ARRAY_DIMS_MAX];
    int32_t lower_bounds[ARRAY_DIMS_MAX];
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool malformed(const struct literal *literal, struct error *err, const char *detail)
{
    size_t shown = literal->len > QUOTED_BYTES_MAX ? QUOTED_BYTES_MAX : literal->len;
    error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "malformed array literal: \"%.*s\"", (int)shown,
              literal->text);
    return error_detail(err, "%s", detail);
}

static bool unexpected(const struct literal *literal, struct error *err, char c)
{
    char detail[] = "Unexpected \"?\" character.";
    detail[12] = c;
    return malformed(literal, err, detail);
}

static bool too_many_dims(int32_t ndim, struct error *err)
{
    return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                     "number of array dimensions (%d) exceeds the maximum allowed (%d)", ndim,
                     ARRAY_DIMS_MAX);
}

static void skip_spaces(struct literal *literal)
{
    while (literal->at < literal->end && is_space(*literal->at))
        literal->at++;
}

/* A signed number, saturating; false when there is none. */
static bool read_bound(struct literal *literal, int32_t *out)
{
    const char *start = literal->at;
    while (literal->at < literal->end &&
           ((*literal->at >= '0' && *literal->at <= '9') || *literal->at == '-' || *literal->at == '+'))
        literal->at++;
    int64_t value = 0;
    bool negative = false;
    for (const char *p = start; p < literal->at; p++) {
        if (*p == '-' || *p == '+') {
            if (p != start)
                break;
            negative = *p == '-';
        } else if (value < INT32_MAX) {
            value = value * 10 + (*p - '0');
        }
    }
    value = negative ? -value : value;
    *out = value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
    return literal->at > start;
}

/* "[1:2][0:1] =" in front of the braces; given tells how many there were. */
static bool read_dimensions(struct literal *literal, int32_t *given, int32_t *lengths, struct error *err)
{
    *given = 0;
    for (;;) {
        skip_spaces(literal);
        if (literal->at == literal->end || *literal->at != '[')
            break;
        literal->at++;
        if (*given >= ARRAY_DIMS_MAX)
            return too_many_dims(*given + 1, err);
        int32_t lower = 1, upper;
        if (!read_bound(literal, &upper))
            return malformed(literal, err, "\"[\" must introduce explicitly-specified array dimensions.");
        if (literal->at < literal->end && *literal->at == ':') {
            lower = upper;
            literal->at++;
            if (!read_bound(literal, &upper))
                return malformed(literal, err, "Missing array dimension value.");
        }
        if (literal->at == literal->end || *literal->at != ']')
            return malformed(literal, err, "Missing \"]\" after array dimensions.");
        literal->at++;
        if (upper < lower)
            return error_set(err, ERRCODE_ARRAY_SUBSCRIPT_ERROR,
                             "upper bound cannot be less than lower bound");
        if ((int64_t)upper - lower + 1 > INT32_MAX)
            return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                             "array size exceeds the maximum allowed (%d)", INT32_MAX / 8);
        literal->lower_bounds[*given] = lower;
        lengths[(*given)++] = (int32_t)((int64_t)upper - lower + 1);
    }
    if (*given == 0) {
        if (literal->at == literal->end || *literal->at != '{')
            return malformed(literal, err, "Array value must start with \"{\" or dimension information.");
        return true;
    }
    if (literal->at == literal->end || *literal->at != '=')
        return malformed(literal, err, "Missing \"=\" after array dimensions.");
    literal->at++;
    skip_spaces(literal);
    if (literal->at == literal->end || *literal->at != '{')
        return malformed(literal, err, "Array contents must start with \"{\".");
    return true;
}

enum literal_state {
    NO_LEVEL,
    LEVEL_STARTED,
    ELEMENT_STARTED,
    QUOTED_STARTED,
    QUOTED_COMPLETED,
    ELEMENT_DELIMITED,
    LEVEL_COMPLETED,
    LEVEL_DELIMITED
};

struct measure {
    enum literal_state state;
    int32_t depth, leaf_depth, ndim;
    int64_t counts[ARRAY_DIMS_MAX];  /* items so far in the open list of each depth */
    int64_t lengths[ARRAY_DIMS_MAX]; /* of the first closed list of each depth, -1 before */
};

static bool measure_open(const struct literal *literal, struct measure *m, struct error *err)
{
    if (m->state != NO_LEVEL && m->state != LEVEL_STARTED && m->state != LEVEL_DELIMITED)
        return unexpected(literal, err, '{');
    if (m->depth >= ARRAY_DIMS_MAX)
        return too_many_dims(m->depth + 1, err);
    m->state = LEVEL_STARTED;
    m->counts[m->depth++] = 0;
    if (m->ndim < m->depth)
        m->ndim = m->depth;
    return true;
}

static const char mismatch[] = "Multidimensional arrays must have sub-arrays with matching dimensions.";

static bool measure_close(const struct literal *literal, struct measure *m, struct error *err)
{
    bool empty = m->depth == 1 && m->state == LEVEL_STARTED;
    if (m->state != ELEMENT_STARTED && m->state != QUOTED_COMPLETED && m->state != LEVEL_COMPLETED && !empty)
        return unexpected(literal, err, '}');
    int32_t level = --m->depth;
    int64_t count = m->counts[level] + !empty; /* delimiters were counted */
    if (m->lengths[level] >= 0 && m->lengths[level] != count)
        return malformed(literal, err, mismatch);
    m->lengths[level] = count;
    m->state = LEVEL_COMPLETED;
    return true;
}

static bool measure_leaf(const struct literal *literal, struct measure *m, struct error *err)
{
    if (m->leaf_depth == 0)
        m->leaf_depth = m->depth;
    return m->leaf_depth == m->depth || malformed(literal, err, mismatch);
}

/* From the first brace to the end of the text; leaves literal->at alone. Its messages quote from the brace
 * on. */
static bool measure(struct literal *whole, struct error *err)
{
    struct literal from_brace = *whole, *literal = &from_brace;
    literal->text = whole->at;
    literal->len = (size_t)(whole->end - whole->at);
    struct measure m = {.state = NO_LEVEL};
    bool in_quotes = false;
    for (int i = 0; i < ARRAY_DIMS_MAX; i++)
        m.lengths[i] = -1;
    const char *p = literal->at;
    do {
        if (p == literal->end)
            return malformed(literal, err, "Unexpected end of input.");
        char c = *p;
        if (c == '\\') {
            if (m.state != LEVEL_STARTED && m.state != ELEMENT_STARTED && m.state != QUOTED_STARTED &&
                m.state != ELEMENT_DELIMITED)
                return unexpected(literal, err, '\\');
            if (m.state != QUOTED_STARTED)
                m.state = ELEMENT_STARTED;
            if (++p == literal->end)
                return malformed(literal, err, "Unexpected end of input.");
            if (!measure_leaf(literal, &m, err))
                return false;
        } else if (c == '"') {
            if (m.state != LEVEL_STARTED && m.state != QUOTED_STARTED && m.state != ELEMENT_DELIMITED)
                return malformed(literal, err, "Unexpected array element.");
            in_quotes = !in_quotes;
            m.state = in_quotes ? QUOTED_STARTED : QUOTED_COMPLETED;
            if (!measure_leaf(literal, &m, err))
                return false;
        } else if (in_quotes) {
            /* any character */
        } else if (c == '{') {
            if (!measure_open(literal, &m, err))
                return false;
        } else if (c == '}') {
            if (!measure_close(literal, &m, err))
                return false;
        } else if (c == ',') {
            if (m.state != ELEMENT_STARTED && m.state != QUOTED_COMPLETED && m.state != LEVEL_COMPLETED)
                return unexpected(literal, err, ',');
            m.state = m.state == LEVEL_COMPLETED ? LEVEL_DELIMITED : ELEMENT_DELIMITED;
            m.counts[m.depth - 1]++;
        } else if (!is_space(c)) {
            if (m.state != LEVEL_STARTED && m.state != ELEMENT_STARTED && m.state != ELEMENT_DELIMITED)
                return malformed(literal, err, "Unexpected array element.");
            m.state = ELEMENT_STARTED;
            if (!measure_leaf(literal, &m, err))
                return false;
        }
        p++;
    } while (m.depth > 0);
    for (; p < literal->end; p++) {
        if (!is_space(*p))
            return malformed(literal, err, "Junk after closing right brace.");
    }
    if (m.leaf_depth != 0 && m.leaf_depth != m.ndim)
        return malformed(literal, err, mismatch);
    whole->ndim = m.leaf_depth; /* 0: an empty array */
    for (int32_t i = 0; i < whole->ndim; i++)
        whole->lengths[i] = (int32_t)m.lengths[i];
    return true;
}

static bool is_null_word(const char *text, size_t len)
{
    return len == 4 && (text[0] | 32) == 'n' && (text[1] | 32) == 'u' && (text[2] | 32) == 'l' &&
           (text[3] | 32) == 'l';
}

/* Cuts out the next element, which measure() has seen; false when there is none left. */
static bool next_element(struct literal *literal, char *buffer, size_t *len, bool *is_null)
{
    while (literal->at < literal->end &&
           (*literal->at == '{' || *literal->at == '}' || *literal->at == ',' || is_space(*literal->at)))
        literal->at++;
    if (literal->at == literal->end)
        return false;
    size_t used = 0, kept = 0; /* kept: up to the last character that may not be trimmed */
    bool quoted = false, in_quotes = false, escaped = false;
    for (; literal->at < literal->end; literal->at++) {
        char c = *literal->at;
        if (c == '\\') {
            buffer[used++] = *++literal->at;
            kept = used;
            escaped = true;
        } else if (c == '"') {
            in_quotes = !in_quotes;
            quoted = true;
            kept = used;
        } else if (in_quotes) {
            buffer[used++] = c;
        } else if (c == ',' || c == '}') {
            break;
        } else {
            buffer[used++] = c;
            if (!is_space(c))
                kept = used;
        }
    }
    *len = kept;
    *is_null = !quoted && !escaped && is_null_word(buffer, kept);
    return true;
}

bool array_input(uint32_t array_oid, int32_t typmod, const char *text, size_t len, const struct io_env *env,
                 struct arena *arena, struct varlen *out, struct error *err)
{
    uint32_t element_oid = type_find(array_oid)->element_oid;
    struct literal literal = {.text = text, .len = len, .at = text, .end = text + len};
    int32_t given, given_lengths[ARRAY_DIMS_MAX] = {0};
    for (int i = 0; i < ARRAY_DIMS_MAX; i++)
        literal.lower_bounds[i] = 1;
    if (!read_dimensions(&literal, &given, given_lengths, err) || !measure(&literal, err))
        return false;
    if (given != 0 && literal.ndim != 0) {
        bool same = given == literal.ndim;
        for (int32_t i = 0; same && i < given; i++)
            same = given_lengths[i] == literal.lengths[i];
        if (!same)
            return malformed(&literal, err, "Specified array dimensions do not match array contents.");
    } else if (given != 0) {
        return malformed(&literal, err, "Specified array dimensions do not match array contents.");
    }
    uint64_t count = literal.ndim > 0;
    for (int32_t i = 0; i < literal.ndim; i++)
        count *= (uint32_t)literal.lengths[i];
    struct datum *items = ARENA_ARRAY(arena, struct datum, count);
    char *buffer = arena_alloc(arena, len + 1);
    for (uint64_t i = 0; i < count; i++) {
        size_t item_len;
        bool is_null;
        CHECK(next_element(&literal, buffer, &item_len, &is_null));
        if (is_null)
            items[i] = datum_null();
        else if (!type_input(element_oid, typmod, buffer, item_len, env, arena, &items[i], err))
            return false;
    }
    *out = array_make_dims(arena, element_oid, items, literal.ndim, literal.lengths, literal.lower_bounds);
    return true;
}

static bool needs_quotes(const char *text, size_t len)
{
    if (len == 0 || is_null_word(text, len))
        return true;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '"' || c == '\\' || c == '{' || c == '}' || c == ',' || is_space(c))
            return true;
    }
    return false;
}

static void write_dimension(const struct array_view *view, int32_t dim, const uint8_t **cursor,
                            const struct io_env *env, struct strbuf *item, struct strbuf *out)
{
    strbuf_addc(out, '{');
    for (int32_t i = 0; i < view->lengths[dim]; i++) {
        if (i > 0)
            strbuf_addc(out, ',');
        if (dim + 1 < view->ndim) {
            write_dimension(view, dim + 1, cursor, env, item, out);
            continue;
        }
        struct datum value;
        CHECK(array_next(view, cursor, &value));
        if (value.is_null) {
            strbuf_add(out, "NULL", 4);
            continue;
        }
        strbuf_reset(item);
        type_output(view->element_oid, &value, env, item);
        const char *text = strbuf_text(item);
        if (!needs_quotes(text, item->len)) {
            strbuf_add(out, text, item->len);
            continue;
        }
        strbuf_addc(out, '"');
        for (size_t k = 0; k < item->len; k++) {
            if (text[k] == '"' || text[k] == '\\')
                strbuf_addc(out, '\\');
            strbuf_addc(out, text[k]);
        }
        strbuf_addc(out, '"');
    }
    strbuf_addc(out, '}');
}

void array_output(const struct varlen *value, const struct io_env *env, struct strbuf *out)
{
    struct array_view view;
    array_open(value, &view);
    if (view.count == 0) {
        strbuf_add(out, "{}", 2);
        return;
    }
    bool bounds = false;
    for (int32_t i = 0; i < view.ndim; i++)
        bounds |= view.lower_bounds[i] != 1;
    if (bounds) {
        for (int32_t i = 0; i < view.ndim; i++)
            strbuf_addf(out, "[%d:%d]", view.lower_bounds[i],
                        (int32_t)((int64_t)view.lower_bounds[i] + view.lengths[i] - 1));
        strbuf_addc(out, '=');
    }
    const uint8_t *cursor = view.elements;
    struct strbuf item = STRBUF_INIT;
    write_dimension(&view, 0, &cursor, env, &item, out);
    strbuf_release(&item);
}

bool vector_input(uint32_t vector_oid, const char *text, size_t len, struct arena *arena, struct varlen *out,
                  struct error *err)
{
    bool is_oid = vector_oid == OID_OIDVECTOR;
    struct datum *items = NULL;
    uint32_t count = 0, cap = 0;
    size_t at = 0;
    for (;;) {
        while (at < len && is_space(text[at]))
            at++;
        if (at == len)
            break;
        size_t start = at;
        while (at < len && !is_space(text[at]))
            at++;
        int64_t value;
        if (is_oid ? !oid_input(text + start, at - start, &value, err)
                   : !integer_input(text + start, at - start, INT16_MIN, INT16_MAX, "smallint", &value, err))
            return false;
        struct datum item = {0};
        if (is_oid)
            item.i64 = value;
        else
            item.i16 = (int16_t)value;
        ARENA_PUSH(arena, items, count, cap, item);
    }
    int32_t length = (int32_t)count, lower_bound = 0;
    *out = array_make_dims(arena, is_oid ? OID_OID : OID_INT2, items, 1, &length, &lower_bound);
    return true;
}

void vector_output(const struct varlen *value, struct strbuf *out)
{
    struct array_view view;
    array_open(value, &view);
    const uint8_t *cursor = view.elements;
    struct datum item;
    for (bool first = true; array_next(&view, &cursor, &item); first = false) {
        if (!first)
            strbuf_addc(out, ' ');
        integer_output(view.element_oid == OID_OID ? item.i64 : item.i16, out);
    }
}

void record_output(const struct varlen *value, const struct io_env *env, struct strbuf *out)
{
    struct record_view view;
    record_open(value, &view);
    const uint8_t *cursor = view.fields;
    uint32_t type_oid;
    struct datum field;
    struct strbuf item = STRBUF_INIT;
    bool first = true;
    strbuf_addc(out, '(');
    while (record_next(&view, &cursor, &type_oid, &field)) {
        if (!first)
            strbuf_addc(out, ',');
        first = false;
        if (field.is_null)
            continue;
        strbuf_reset(&item);
        type_output(type_oid, &field, env, &item);
        const char *text = strbuf_text(&item);
        bool quotes = item.len == 0;
        for (size_t i = 0; i < item.len && !quotes; i++)
            quotes = text[i] == '"' || text[i] == '\\' || text[i] == '(' || text[i] == ')' ||
                     text[i] == ',' || is_space(text[i]);
        if (quotes)
            strbuf_addc(out, '"');
        for (size_t i = 0; i < item.len; i++) {
            if (text[i] == '"' || text[i] == '\\')
                strbuf_addc(out, text[i]); /* doubled */
            strbuf_addc(out, text[i]);
        }
        if (quotes)
            strbuf_addc(out, '"');
    }
    strbuf_addc(out, ')');
    strbuf_release(&item);
}
