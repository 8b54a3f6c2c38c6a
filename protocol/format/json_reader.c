/* json_reader.c: see json_reader.h.
 *
 * A value that its column cannot take does not end the walk: a later member of the same name may replace it, and what is wrong with the
 * grammar is said first. So its place is remembered, and read again for its error when the record has ended. */
#include "protocol/format/json_reader.h"

#include "protocol/format/json_path.h"
#include "protocol/format/json_value.h"
#include "storage/base/limits.h"
#include "storage/data/datetime_internal.h"
#include "storage/data/hash.h"
#include "storage/data/numeric.h"
#include "storage/data/text_check.h"

#define TOKEN_BYTES_MAX  64  /* longer names are looked up by hash; less than JSON_PADDING */
#define LEARNED_MAX      512 /* names no column has, and other spellings, of one object, */
#define NAME_LEARNED_MAX 256 /* of so many bytes at most */

#define KEPT_BYTES_MAX (1u << 20) /* memory of one large record is given back by the next one */

struct json_node;

/* A name in an object, as it is written there: "name": */
struct json_member {
    uint64_t words[2], masks[2]; /* of the first 16 bytes */
    const uint8_t *token;
    uint32_t token_len; /* 0: never compared */
    uint32_t follows;   /* the member that came behind it the last time */
    const char *name;
    uint32_t name_len;
    uint64_t hash;
    struct json_node *node; /* NULL: skipped */
};

struct json_item {
    uint32_t item;
    struct json_node *node;
};

struct json_column {
    struct json_target target;
    uint32_t column; /* of the batch */
    bool not_null;
    const char *name;
    struct json_node *node;
    const uint8_t *refused; /* the value that could not be taken, in this record */
    struct text_day day;    /* of its last time */
};

/* A place in records that columns ask for, or that leads to such. */
struct json_node {
    uint64_t stamp;             /* of the record it was seen in last */
    struct json_column *single; /* the only column, when nothing is below */
    struct json_column **columns;
    uint32_t columns_count, columns_cap;
    struct json_member *members;
    uint32_t members_count, members_cap, named_count; /* named: not learned */
    uint32_t *slots;                                  /* 1 + member by hash; 0: free */
    uint32_t slots_mask;
    uint32_t first; /* the member that came first the last time */
    struct json_item *items;
    uint32_t items_count, items_cap;
};

struct json_reader {
    struct arena arena;
    struct json_scratch scratch;
    struct strbuf name; /* a member's name without its escapes */
    bool reject_unknown, fold_case;
    uint32_t columns_count;
    struct json_column *columns;
    struct json_node root;
    /* of the record being read */
    struct batch *out;
    uint32_t row;
    uint64_t stamp;
    uint32_t filled;   /* columns that have got their value, or refused it */
    uint32_t refused;  /* columns that refused it */
    struct error *err; /* set when the walk ended for another reason than its grammar */
    bool failed;
    const uint8_t *failed_at;
};

/* ---- the tree ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same_name(const struct json_reader *reader, const struct json_member *member, const char *name,
                      size_t len, bool fold)
{
    if (member->name_len != len)
        return false;
    if (!fold)
        return len == 0 || memcmp(member->name, name, len) == 0;
    for (size_t i = 0; i < len; i++) {
        if (lower(member->name[i]) != lower(name[i]))
            return false;
    }
    return true;
}

static void add_slot(struct json_node *node, uint32_t member)
{
    uint64_t at = node->members[member].hash;
    while (node->slots[at & node->slots_mask] != 0)
        at++;
    node->slots[at & node->slots_mask] = member + 1;
}

/* The text as it stands in records that are written without white space; nothing for names that are escaped there. */
static void make_token(struct json_reader *reader, struct json_member *member)
{
    bool plain = member->name_len + 3 <= TOKEN_BYTES_MAX;
    for (uint32_t i = 0; i < member->name_len && plain; i++)
        plain = (uint8_t)member->name[i] >= 0x20 && member->name[i] != '"' && member->name[i] != '\\';
    if (!plain) { /* words that no two loads equal: a quote is not zero */
        member->masks[0] = 0xff;
        member->words[0] = 0;
        return;
    }
    uint8_t *token = arena_zalloc(&reader->arena, TOKEN_BYTES_MAX), masks[16] = {0};
    token[0] = '"';
    memcpy(token + 1, member->name, member->name_len);
    memcpy(token + 1 + member->name_len, "\":", 2);
    member->token = token;
    member->token_len = member->name_len + 3;
    memset(masks, 0xff, member->token_len < 16 ? member->token_len : 16);
    memcpy(member->words, token, 16);
    memcpy(member->masks, masks, 16);
}

static uint32_t add_member(struct json_reader *reader, struct json_node *parent, const char *name, size_t len,
                           struct json_node *node)
{
    struct json_member member = {.name = arena_strndup(&reader->arena, name, len),
                                 .name_len = (uint32_t)len,
                                 .hash = hash_bytes(name, len),
                                 .node = node};
    make_token(reader, &member);
    uint32_t index = parent->members_count;
    ARENA_PUSH(&reader->arena, parent->members, parent->members_count, parent->members_cap, member);
    parent->members[index].follows = index + 1; /* a guess; looked at before it is used */
    if (parent->slots == NULL || parent->members_count * 2 > parent->slots_mask) {
        uint32_t slots = parent->slots == NULL ? 16 : (parent->slots_mask + 1) * 4;
        parent->slots = ARENA_ARRAY(&reader->arena, uint32_t, slots);
        parent->slots_mask = slots - 1;
        for (uint32_t i = 0; i < index; i++)
            add_slot(parent, i);
    }
    add_slot(parent, index);
    return index;
}

static uint32_t find_member(const struct json_reader *reader, const struct json_node *node, const char *name,
                            size_t len)
{
    if (node->slots != NULL) {
        for (uint64_t at = hash_bytes(name, len); node->slots[at & node->slots_mask] != 0; at++) {
            uint32_t index = node->slots[at & node->slots_mask] - 1;
            if (same_name(reader, &node->members[index], name, len, false))
                return index;
        }
    }
    for (uint32_t i = 0; reader->fold_case && i < node->named_count; i++) {
        if (same_name(reader, &node->members[i], name, len, true))
            return i;
    }
    return UINT32_MAX;
}

static struct json_node *child_of(struct json_reader *reader, struct json_node *parent,
                                  const struct json_step *step)
{
    struct json_node *node = NULL;
    if (step->name == NULL) {
        for (uint32_t i = 0; i < parent->items_count; i++) {
            if (parent->items[i].item == step->item)
                return parent->items[i].node;
        }
        node = ARENA_NEW(&reader->arena, struct json_node);
        struct json_item item = {step->item, node};
        ARENA_PUSH(&reader->arena, parent->items, parent->items_count, parent->items_cap, item);
        return node;
    }
    uint32_t index = find_member(reader, parent, step->name, step->name_len);
    if (index != UINT32_MAX)
        return parent->members[index].node;
    node = ARENA_NEW(&reader->arena, struct json_node);
    add_member(reader, parent, step->name, step->name_len, node);
    parent->named_count++;
    return node;
}

static void finish_node(struct json_node *node)
{
    bool leaf = node->named_count == 0 && node->items_count == 0;
    node->single = leaf && node->columns_count == 1 ? node->columns[0] : NULL;
    for (uint32_t i = 0; i < node->named_count; i++)
        finish_node(node->members[i].node);
    for (uint32_t i = 0; i < node->items_count; i++)
        finish_node(node->items[i].node);
}

static bool add_column(struct json_reader *reader, const struct json_column_spec *spec,
                       struct json_column *column, struct error *err)
{
    struct json_step whole = {.name = spec->name, .name_len = strlen(spec->name)}, *steps = &whole;
    uint32_t steps_count = 1;
    if (spec->path != NULL &&
        !json_path_parse(&reader->arena, spec->path, spec->name, &steps, &steps_count, err))
        return false;
    if (steps_count > NESTING_MAX)
        return error_set(err, ERRCODE_STATEMENT_TOO_COMPLEX, "path of column \"%s\" is too long", spec->name);
    *column = (struct json_column){
        .column = spec->column, .not_null = spec->not_null, .name = arena_strdup(&reader->arena, spec->name)};
    json_target_init(&column->target, spec->type, spec->encoding);
    struct json_node *node = &reader->root;
    for (uint32_t i = 0; i < steps_count; i++)
        node = child_of(reader, node, &steps[i]);
    ARENA_PUSH(&reader->arena, node->columns, node->columns_count, node->columns_cap, column);
    column->node = node;
    return true;
}

bool json_reader_create(const struct json_reader_spec *spec, struct json_reader **out, struct error *err)
{
    struct json_reader *reader = mem_zalloc(sizeof(*reader));
    arena_init(&reader->arena, NULL);
    arena_init(&reader->scratch.arena, NULL);
    reader->reject_unknown = spec->reject_unknown;
    reader->fold_case = spec->fold_case;
    reader->columns_count = spec->columns_count;
    reader->columns = ARENA_ARRAY(&reader->arena, struct json_column, spec->columns_count);
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if (!add_column(reader, &spec->columns[i], &reader->columns[i], err)) {
            json_reader_destroy(reader);
            return false;
        }
    }
    finish_node(&reader->root);
    *out = reader;
    return true;
}

void json_reader_destroy(struct json_reader *reader)
{
    if (reader == NULL)
        return;
    strbuf_release(&reader->name);
    strbuf_release(&reader->scratch.string);
    arena_release(&reader->scratch.arena);
    arena_release(&reader->arena);
    mem_free(reader);
}

void json_reader_set_encoding(struct json_reader *reader, uint32_t i, struct json_encoding encoding)
{
    json_target_init(&reader->columns[i].target, reader->columns[i].target.type, encoding);
}

/* ---- values ---- */

static struct column *column_of(struct json_reader *reader, const struct json_column *column)
{
    return &reader->out->columns[column->column];
}

static void refuse(struct json_reader *reader, struct json_column *column, const uint8_t *at)
{
    column->refused = at;
    reader->refused++;
}

/* A member came again: what came before does not count. */
static __attribute__((noinline)) void forget(struct json_reader *reader, struct json_node *node)
{
    if (node->stamp != reader->stamp)
        return;
    node->stamp = 0;
    for (uint32_t i = 0; i < node->columns_count; i++) {
        struct json_column *column = node->columns[i];
        uint8_t *nulls = column_of(reader, column)->nulls;
        if (nulls != NULL)
            nulls[reader->row] = 0;
        reader->refused -= column->refused != NULL;
        column->refused = NULL;
        reader->filled--;
    }
    for (uint32_t i = 0; i < node->named_count; i++)
        forget(reader, node->members[i].node);
    for (uint32_t i = 0; i < node->items_count; i++)
        forget(reader, node->items[i].node);
}

static __attribute__((noinline)) const uint8_t *store_slow(struct json_reader *reader,
                                                           struct json_column *column, const uint8_t *at)
{
    struct json_token token;
    struct batch *out = reader->out;
    struct error err;
    const uint8_t *end = json_skip_value(at, &token);
    if (end == NULL) {
        reader->failed_at = at;
        return NULL;
    }
    if (token.kind == JSON_NULL) {
        if (column->not_null)
            refuse(reader, column, at);
        else
            column_set_null(column_of(reader, column), reader->row, out->capacity, out->arena);
        return end;
    }
    struct datum value;
    if (!json_convert(&column->target, &token, &reader->scratch, out->arena, &value, &err))
        refuse(reader, column, at);
    else
        column_set(column_of(reader, column), reader->row, &value, out->capacity, out->arena);
    return end;
}

/* Text that stands in the padded buffer. */
static inline struct varlen copy_text(struct arena *arena, const uint8_t *text, size_t len)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (len <= VARLEN_INLINE_MAX) {
        uint64_t words[2];
        memcpy(words, text, 16);
        if (len >= 8) {
            words[1] &= (UINT64_C(1) << 8 * (len - 8)) - 1;
        } else {
            words[0] &= (UINT64_C(1) << 8 * len) - 1;
            words[1] = 0;
        }
        struct varlen value = {.len = (uint32_t)len};
        memcpy(value.inlined, words, VARLEN_INLINE_MAX);
        return value;
    }
    if (len <= 64) {
        uint8_t *copy = arena_alloc(arena, len); /* which has room for whole lanes of 16 */
        for (size_t i = 0; i < len; i += 16)
            memcpy(copy + i, text + i, 16);
        return varlen_view(copy, (uint32_t)len);
    }
#endif
    return varlen_copy(arena, text, (uint32_t)len);
}

static bool store_time(struct json_reader *reader, struct json_column *column, const uint8_t *text,
                       size_t len)
{
    int64_t time;
    size_t used;
    const char *chars = (const char *)text;
    if (column->target.way == JSON_WAY_TIMESTAMPTZ) {
        if (!text_fast_timestamptz(chars, len, len + JSON_PADDING / 2, &column->day, true, &time))
            return false;
    } else if (!text_fast_timestamp(chars, len, len + JSON_PADDING / 2, &column->day, &time, &used) ||
               (used != len && !(used + 1 == len && text[used] == 'Z'))) {
        return false;
    }
    if (column->target.unit != 1 && time % column->target.unit != 0)
        return false;
    ((int64_t *)column_of(reader, column)->data)[reader->row] = time;
    return true;
}

/* A whole number of seconds, milliseconds or microseconds since 1970. */
static inline const uint8_t *store_time_number(struct json_reader *reader, const struct json_column *column,
                                               const uint8_t *at)
{
    static const int64_t units[] = {[JSON_TIME_SECONDS] = US_PER_SECOND,
                                    [JSON_TIME_MILLIS] = 1000,
                                    [JSON_TIME_MICROS] = 1,
                                    [JSON_TIME_NANOS] = 0};
    int64_t time;
    const uint8_t *end;
    if (units[column->target.encoding.time] == 0 || !json_fast_int(at, &time, &end) ||
        __builtin_mul_overflow(time, units[column->target.encoding.time], &time) ||
        __builtin_add_overflow(time, UNIX_EPOCH_US, &time) || !timestamp_valid(time) ||
        (column->target.unit != 1 && time % column->target.unit != 0))
        return NULL;
    ((int64_t *)column_of(reader, column)->data)[reader->row] = time;
    return end;
}

/* A number with a point, or one that is to have one. */
static inline const uint8_t *store_decimal(struct json_reader *reader, const struct json_column *column,
                                           const uint8_t *at)
{
    static const int64_t powers[] = {1,
                                     10,
                                     100,
                                     1000,
                                     10000,
                                     100000,
                                     1000000,
                                     10000000,
                                     100000000,
                                     1000000000,
                                     10000000000,
                                     100000000000,
                                     1000000000000,
                                     10000000000000,
                                     100000000000000,
                                     1000000000000000,
                                     10000000000000000,
                                     100000000000000000,
                                     1000000000000000000};
    bool negative;
    int64_t coefficient;
    int32_t scale;
    const uint8_t *end;
    void *data = column_of(reader, column)->data;
    if (!json_fast_decimal(at, &negative, &coefficient, &scale, &end))
        return NULL;
    if (column->target.way == JSON_WAY_FLOAT8) {
        /* both sides exact: one correctly rounded division */
        if (coefficient > INT64_C(1) << 53)
            return NULL;
        double value = (double)coefficient / (double)powers[scale];
        ((double *)data)[reader->row] = negative ? -value : value;
        return end;
    }
    if (column->target.precision > 0) {
        int32_t more = column->target.scale - scale;
        if (more < 0 || __builtin_mul_overflow(coefficient, powers[more], &coefficient) ||
            coefficient >= powers[column->target.precision])
            return NULL;
        scale = column->target.scale;
    }
    ((struct varlen *)data)[reader->row] = numeric_pack_i64(negative ? -coefficient : coefficient, scale);
    return end;
}

/* The value at `at` into its column, by the short way of its type when it is spelled plainly. */
static inline __attribute__((always_inline)) const uint8_t *
store(struct json_reader *reader, struct json_column *column, const uint8_t *at)
{
    void *data = column_of(reader, column)->data;
    uint32_t row = reader->row;
    const uint8_t *end;
    int64_t number;
    size_t len;
    bool above = false;
    reader->filled++;
    switch (column->target.way) {
    case JSON_WAY_INT2:
        if (json_fast_int(at, &number, &end) && number >= INT16_MIN && number <= INT16_MAX) {
            ((int16_t *)data)[row] = (int16_t)number;
            return end;
        }
        break;
    case JSON_WAY_INT4:
        if (json_fast_int(at, &number, &end) && number >= INT32_MIN && number <= INT32_MAX) {
            ((int32_t *)data)[row] = (int32_t)number;
            return end;
        }
        break;
    case JSON_WAY_INT8:
        if (json_fast_int(at, &number, &end)) {
            ((int64_t *)data)[row] = number;
            return end;
        }
        break;
    case JSON_WAY_TEXT:
        if (*at != '"')
            break;
        end = json_plain_end(at + 1, &above);
        len = (size_t)(end - at - 1);
        if (*end != '"' || len > column->target.bytes_max ||
            (UNLIKELY(above) && !text_check_utf8((const char *)at + 1, len, NULL)))
            break;
        ((struct varlen *)data)[row] = copy_text(reader->out->arena, at + 1, len);
        return end + 1;
    case JSON_WAY_BOOL:
        if (memcmp(at, "true", 4) == 0 && json_ends_word(at[4])) {
            ((uint8_t *)data)[row] = 1;
            return at + 4;
        }
        if (memcmp(at, "false", 5) == 0 && json_ends_word(at[5])) {
            ((uint8_t *)data)[row] = 0;
            return at + 5;
        }
        break;
    case JSON_WAY_FLOAT8:
    case JSON_WAY_NUMERIC:
        if ((end = store_decimal(reader, column, at)) != NULL)
            return end;
        break;
    case JSON_WAY_TIMESTAMP:
    case JSON_WAY_TIMESTAMPTZ:
        if (*at == '"') {
            end = json_plain_end(at + 1, &above);
            if (*end == '"' && store_time(reader, column, at + 1, (size_t)(end - at - 1)))
                return end + 1;
        } else if (column->target.encoding.time != JSON_TIME_TEXT &&
                   (end = store_time_number(reader, column, at)) != NULL) {
            return end;
        }
        break;
    case JSON_WAY_DATE:
        if (*at == '"' && at[11] == '"' && text_fast_date((const char *)at + 1, 10, &((int32_t *)data)[row]))
            return at + 12;
        break;
    case JSON_WAY_OTHER:
        break;
    }
    return store_slow(reader, column, at);
}

/* ---- the walk ---- */

static const uint8_t *read_object(struct json_reader *reader, struct json_node *node, const uint8_t *at);
static const uint8_t *read_array(struct json_reader *reader, struct json_node *node, const uint8_t *at);

/* The value at `at` of a place. */
static __attribute__((noinline)) const uint8_t *read_place(struct json_reader *reader, struct json_node *node,
                                                           const uint8_t *at)
{
    if (UNLIKELY(node->stamp == reader->stamp))
        forget(reader, node);
    node->stamp = reader->stamp;
    if (LIKELY(node->single != NULL))
        return store(reader, node->single, at);
    const uint8_t *end = NULL;
    for (uint32_t i = 0; i < node->columns_count; i++) {
        if ((end = store(reader, node->columns[i], at)) == NULL)
            return NULL;
    }
    if (*at == '{' && node->named_count > 0)
        return read_object(reader, node, at);
    if (*at == '[' && node->items_count > 0)
        return read_array(reader, node, at);
    if (end == NULL && (end = json_skip_value(at, NULL)) == NULL)
        reader->failed_at = at;
    return end;
}

static const uint8_t *give_up(struct json_reader *reader, const uint8_t *at)
{
    reader->failed_at = at;
    return NULL;
}

/* Behind a value that nobody wants. */
static const uint8_t *skip(struct json_reader *reader, const uint8_t *at)
{
    bool above = false;
    if (*at == '"') {
        const uint8_t *end = json_plain_end(at + 1, &above);
        if (LIKELY(*end == '"' && !above))
            return end + 1;
    }
    const uint8_t *end = json_skip_value(at, NULL);
    return end != NULL ? end : give_up(reader, at);
}

/* The member whose name stands at `at`, which is not the one that was expected; *value is where its value begins. UINT32_MAX: skip it. */
static __attribute__((noinline)) bool look_up(struct json_reader *reader, struct json_node *node,
                                              const uint8_t *at, uint32_t *member, const uint8_t **value)
{
    struct json_token token;
    const uint8_t *end;
    if (*at != '"' || (end = json_skip_string(at, &token)) == NULL)
        return give_up(reader, at) != NULL;
    const char *name = (const char *)at + 1;
    size_t len = (size_t)(end - at) - 2;
    if (token.has_escapes) {
        strbuf_reset(&reader->name);
        if (!json_unescape(at + 1, end - 1, &reader->name, reader->err)) {
            reader->failed = true;
            return false;
        }
        name = strbuf_text(&reader->name);
        len = reader->name.len;
    }
    end = json_skip_space(end);
    if (*end != ':')
        return give_up(reader, end) != NULL;
    *value = json_skip_space(end + 1);
    *member = find_member(reader, node, name, len);
    bool is_named = *member != UINT32_MAX && node->members[*member].node != NULL;
    if (!is_named && reader->reject_unknown) {
        reader->failed = true;
        error_set(reader->err, ERRCODE_BAD_COPY_FILE_FORMAT, "no column takes member \"%.*s\"",
                  (int)text_clip(name, len, 200), name);
        return false;
    }
    /* names that no column has are expected as well the next time, and so are other spellings */
    bool is_new = len <= NAME_LEARNED_MAX &&
                  (*member == UINT32_MAX || !same_name(reader, &node->members[*member], name, len, false));
    if (is_new && node->members_count - node->named_count < LEARNED_MAX)
        *member =
            add_member(reader, node, name, len, *member == UINT32_MAX ? NULL : node->members[*member].node);
    return true;
}

static inline bool stands_at(const struct json_member *member, const uint8_t *at)
{
    uint64_t words[2];
    memcpy(words, at, 16);
    if (((words[0] ^ member->words[0]) & member->masks[0]) != 0 ||
        ((words[1] ^ member->words[1]) & member->masks[1]) != 0)
        return false;
    return LIKELY(member->token_len <= 16) ||
           memcmp(at + 16, member->token + 16, member->token_len - 16) == 0;
}

static const uint8_t *read_object(struct json_reader *reader, struct json_node *node, const uint8_t *at)
{
    at = json_skip_space(at + 1);
    if (*at == '}')
        return at + 1;
    uint32_t before = UINT32_MAX, guess = node->first;
    for (;;) {
        if (LIKELY(guess < node->members_count && stands_at(&node->members[guess], at))) {
            at = json_skip_space(at + node->members[guess].token_len);
        } else {
            at = json_skip_space(at);
            if (!look_up(reader, node, at, &guess, &at))
                return NULL;
            if (guess != UINT32_MAX) {
                if (before == UINT32_MAX)
                    node->first = guess;
                else
                    node->members[before].follows = guess;
            }
        }
        struct json_node *place = guess != UINT32_MAX ? node->members[guess].node : NULL;
        if (LIKELY(place != NULL)) {
            if (LIKELY(place->single != NULL && place->stamp != reader->stamp)) {
                place->stamp = reader->stamp;
                at = store(reader, place->single, at);
            } else {
                at = read_place(reader, place, at);
            }
            if (UNLIKELY(at == NULL))
                return NULL;
        } else if ((at = skip(reader, at)) == NULL) {
            return NULL;
        }
        before = guess;
        guess = guess != UINT32_MAX ? node->members[guess].follows : UINT32_MAX;
        if (UNLIKELY(*at <= ' '))
            at = json_skip_space(at);
        if (UNLIKELY(*at != ','))
            return *at == '}' ? at + 1 : give_up(reader, at);
        at++;
        if (UNLIKELY(*at <= ' '))
            at = json_skip_space(at);
    }
}

static const uint8_t *read_array(struct json_reader *reader, struct json_node *node, const uint8_t *at)
{
    at = json_skip_space(at + 1);
    if (*at == ']')
        return at + 1;
    for (uint32_t item = 0;; item++) {
        struct json_node *place = NULL;
        for (uint32_t i = 0; i < node->items_count && place == NULL; i++)
            place = node->items[i].item == item ? node->items[i].node : NULL;
        const uint8_t *end = place != NULL ? read_place(reader, place, at) : json_skip_value(at, NULL);
        if (end == NULL)
            return place != NULL ? NULL : give_up(reader, at);
        at = json_skip_space(end);
        if (*at == ',')
            at = json_skip_space(at + 1);
        else
            return *at == ']' ? at + 1 : give_up(reader, at);
    }
}

/* ---- a record ---- */

/* Says what is wrong with the first column that refused its value. */
static bool refused_error(struct json_reader *reader, struct error *err)
{
    for (uint32_t i = 0; i < reader->columns_count; i++) {
        struct json_column *column = &reader->columns[i];
        if (column->refused == NULL)
            continue;
        struct json_token token;
        struct datum value;
        (void)json_skip_value(column->refused, &token);
        if (token.kind == JSON_NULL) {
            error_set(err, ERRCODE_NOT_NULL_VIOLATION,
                      "null value in column \"%s\" violates not-null constraint", column->name);
            memcpy(err->column_name, column->name, strnlen(column->name, sizeof(err->column_name) - 1));
            return false;
        }
        error_init(err);
        (void)!json_convert(&column->target, &token, &reader->scratch, &reader->scratch.arena, &value, err);
        return format_blame_column(err, column->name);
    }
    CHECK(false);
}

/* Columns whose member did not come. */
static bool fill_missing(struct json_reader *reader, struct error *err)
{
    struct batch *out = reader->out;
    for (uint32_t i = 0; i < reader->columns_count; i++) {
        struct json_column *column = &reader->columns[i];
        if (column->node->stamp == reader->stamp)
            continue;
        if (column->not_null) {
            error_set(
                err, ERRCODE_NOT_NULL_VIOLATION,
                "null value in column \"%s\" violates not-null constraint: the record has no such member",
                column->name);
            memcpy(err->column_name, column->name, strnlen(column->name, sizeof(err->column_name) - 1));
            return false;
        }
        column_set_null(column_of(reader, column), reader->row, out->capacity, out->arena);
    }
    return true;
}

static void begin(struct json_reader *reader, struct batch *out, struct error *err)
{
    reader->out = out;
    reader->row = out->rows;
    reader->stamp++;
    reader->filled = 0;
    reader->err = err;
    reader->failed = false;
    if (UNLIKELY(reader->refused > 0)) { /* by a record that was given up */
        for (uint32_t i = 0; i < reader->columns_count; i++)
            reader->columns[i].refused = NULL;
        reader->refused = 0;
    }
    if (UNLIKELY(reader->scratch.arena.total_bytes > KEPT_BYTES_MAX))
        arena_release(&reader->scratch.arena);
    else if (UNLIKELY(reader->scratch.arena.total_bytes > 0))
        arena_reset(&reader->scratch.arena);
}

/* The record's errors, in PostgreSQL's order: grammar, then values. */
static bool finish(struct json_reader *reader, const struct json_text *text, const uint8_t *at,
                   const uint8_t **end, struct error *err)
{
    if (UNLIKELY(at == NULL))
        return !reader->failed && json_syntax_error(text->bytes, text->len, reader->failed_at, err);
    at = json_skip_space(at);
    if (end != NULL)
        *end = at;
    else if (UNLIKELY(at != text->bytes + text->len))
        return json_syntax_error(text->bytes, text->len, at, err);
    if (UNLIKELY(reader->refused > 0))
        return refused_error(reader, err);
    return LIKELY(reader->filled == reader->columns_count) || fill_missing(reader, err);
}

bool json_reader_read(struct json_reader *reader, const struct json_text *text, const uint8_t *at,
                      const uint8_t **end, struct batch *out, struct error *err)
{
    begin(reader, out, err);
    at = json_skip_space(at);
    if (UNLIKELY(*at != '{' && reader->root.columns_count == 0 && reader->root.items_count == 0)) {
        const uint8_t *behind = json_skip_value(at, NULL);
        if (behind == NULL)
            return json_syntax_error(text->bytes, text->len, at, err);
        return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "the record is not a JSON object");
    }
    return finish(reader, text, read_place(reader, &reader->root, at), end, err);
}

bool json_reader_read_bare(struct json_reader *reader, const struct json_text *text, const uint8_t *at,
                           const uint8_t **end, struct batch *out, struct error *err)
{
    begin(reader, out, err);
    reader->columns[0].node->stamp = reader->stamp;
    return finish(reader, text, store(reader, &reader->columns[0], json_skip_space(at)), end, err);
}

/* ---- the buffer ---- */

void json_text_release(struct json_text *text)
{
    mem_free(text->bytes);
    *text = (struct json_text){0};
}

bool json_text_load(struct json_text *text, const uint8_t *bytes, size_t len, struct error *err)
{
    if (UNLIKELY(len > VALUE_BYTES_MAX))
        return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                         "record of %zu bytes is longer than the maximum of %u", len, VALUE_BYTES_MAX);
    if (UNLIKELY(text->cap > KEPT_BYTES_MAX && len + JSON_PADDING < KEPT_BYTES_MAX))
        json_text_release(text);
    if (UNLIKELY(len + JSON_PADDING > text->cap)) {
        text->cap = len + len / 2 + JSON_PADDING;
        text->bytes = mem_realloc(text->bytes, text->cap);
    }
    if (len > 0)
        memcpy(text->bytes, bytes, len);
    memset(text->bytes + len, 0, JSON_PADDING);
    text->len = len;
    return true;
}
