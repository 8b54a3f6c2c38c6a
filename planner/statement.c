/* statement.c: see statement.h.
 *
 * The rewriting works on a copy of the text of equal length: a word is overwritten by PostgreSQL's word and
 * blanks, a clause by blanks. libpg_query recurses on the C stack and knows no limit for left-deep chains
 * (1+1+1+...), so the depth is bounded on the tokens first, and anything but a flat statement is parsed on a
 * thread with a stack that is large enough for NESTING_MAX. */
#define _GNU_SOURCE /* strcasestr */
#include "planner/statement.h"

#include "planner/redact.h"
#include "planner/scan.h"
#include "storage/base/limits.h"
#include "storage/base/strbuf.h"

#include <errno.h>
#include <pg_query.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FLAT_DEPTH_MAX    40u         /* parsed on the caller's stack */
#define PARSE_STACK_BYTES (64u << 20) /* 2,000 levels need less than 8 MB */

int32_t statement_characters(const char *text, size_t bytes)
{
    int32_t characters = 0;
    for (size_t i = 0; i < bytes; i++)
        characters += ((unsigned char)text[i] & 0xC0) != 0x80;
    return characters;
}

/* ---- splitting ---- */

static bool unterminated_error(const char *text, const struct scan_token *token, struct error *err);

bool statement_split(struct arena *arena, const char *sql, size_t len, struct statement_piece **out,
                     uint32_t *count, struct error *err)
{
    *out = NULL;
    *count = 0;
    if (len > STATEMENT_BYTES_MAX)
        return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                         "statement is too long: %zu bytes, the limit is %u", len, STATEMENT_BYTES_MAX);
    struct scanner scanner;
    scan_start(&scanner, sql, len);
    uint32_t cap = 0, start = 0, depth = 0, tokens = 0, based_at = 0;
    int32_t base = 0;
    bool atomic = false, after_begin = false;
    uint32_t cases = 0;
    for (;;) {
        struct scan_token token = scan_next(&scanner);
        bool ends = token.kind == SCAN_END || token.kind == SCAN_UNTERMINATED;
        if (!ends && scan_is(sql, &token, ';') && depth == 0 && !atomic)
            ends = true;
        if (!ends) {
            tokens++;
            if (scan_is(sql, &token, '('))
                depth++;
            else if (scan_is(sql, &token, ')') && depth > 0)
                depth--;
            else if (after_begin && scan_is_word(sql, &token, "atomic"))
                atomic = true; /* the body of a function: its semicolons belong to it */
            else if (atomic && scan_is_word(sql, &token, "case"))
                cases++;
            else if (atomic && scan_is_word(sql, &token, "end") && cases-- == 0)
                atomic = false, cases = 0;
            after_begin = scan_is_word(sql, &token, "begin");
            continue;
        }
        uint32_t end = token.kind == SCAN_UNTERMINATED ? (uint32_t)len : token.start;
        if (tokens > 0 || token.kind == SCAN_UNTERMINATED) {
            base += statement_characters(sql + based_at, start - based_at);
            based_at = start;
            struct statement_piece piece = {.start = start, .len = end - start, .position_base = base};
            if (token.kind == SCAN_UNTERMINATED) {
                unterminated_error(sql, &token, err);
                return false;
            }
            ARENA_PUSH(arena, *out, *count, cap, piece);
        }
        if (token.kind != SCAN_PUNCTUATION)
            return true;
        start = token.start + 1;
        depth = tokens = 0;
        after_begin = false;
    }
}

/* ---- libpg_query ---- */

struct parse_job {
    struct arena *arena;
    const char *text;
    PgQuery__ParseResult *parse;
    struct error *err;
    bool ok;
};

static void *arena_allocator_alloc(void *ctx, size_t bytes)
{
    return arena_alloc(ctx, bytes);
}

static void arena_allocator_free(void *ctx, void *data) {}

/* "syntax error at or near "'text'"": the text may be a password. */
static bool quotes_string(const char *message)
{
    const char *near = strstr(message, "at or near \"");
    if (near == NULL)
        return false;
    near += strlen("at or near \"");
    return *near == '$' || strchr(near, '\'') != NULL || strchr(near, '\"') != near + strlen(near) - 1;
}

static bool parse_error(const char *text, const PgQueryError *error, struct error *err)
{
    const char *message = error->message != NULL ? error->message : "syntax error";
    if (redact_is_sensitive(text) && quotes_string(message)) {
        error_set(err, ERRCODE_SYNTAX_ERROR, "syntax error at or near a string");
        return error_at(err, error->cursorpos);
    }
    enum error_code code = ERRCODE_SYNTAX_ERROR;
    if (strncmp(message, "memory exhausted", 16) == 0 || strstr(message, "stack depth") != NULL) {
        error_set(err, ERRCODE_STATEMENT_TOO_COMPLEX, "statement is nested too deeply");
        return error_at(err, error->cursorpos);
    }
    if (strstr(message, "not implemented") != NULL || strstr(message, "not yet implemented") != NULL ||
        strstr(message, "not supported") != NULL)
        code = ERRCODE_FEATURE_NOT_SUPPORTED;
    else if (strstr(message, "nicode") != NULL && strstr(message, "at or near") == NULL)
        code = ERRCODE_INVALID_ESCAPE_SEQUENCE;
    error_set(err, code, "%s", message);
    return error_at(err, error->cursorpos);
}

static void *parse_run(void *ctx)
{
    struct parse_job *job = ctx;
    PgQueryProtobufParseResult result = pg_query_parse_protobuf(job->text);
    if (result.error != NULL) {
        job->ok = parse_error(job->text, result.error, job->err);
    } else {
        ProtobufCAllocator allocator = {arena_allocator_alloc, arena_allocator_free, job->arena};
        job->parse = pg_query__parse_result__unpack(&allocator, result.parse_tree.len,
                                                    (const uint8_t *)result.parse_tree.data);
        job->ok = job->parse != NULL ||
                  error_set(job->err, ERRCODE_INTERNAL_ERROR, "the parse tree could not be read");
    }
    pg_query_free_protobuf_parse_result(result);
    return NULL;
}

static bool unterminated_error(const char *text, const struct scan_token *token, struct error *err)
{
    const char *what = "quoted string", *at = text + token->start;
    if (*at == '/')
        what = "/* comment";
    else if (*at == '"' || (token->len > 2 && at[1] == '&' && at[2] == '"'))
        what = "quoted identifier";
    else if (*at == '$')
        what = "dollar-quoted string";
    else if (*at == 'b' || *at == 'B')
        what = "bit string literal";
    else if (*at == 'x' || *at == 'X')
        what = "hexadecimal string literal";
    if (redact_is_sensitive(text)) /* what has no end may be a password */
        error_set(err, ERRCODE_SYNTAX_ERROR, "unterminated %s", what);
    else
        error_set(err, ERRCODE_SYNTAX_ERROR, "unterminated %s at or near \"%.*s\"", what, (int)token->len,
                  at);
    return error_at(err, statement_characters(text, token->start) + 1);
}

static bool parse_text(struct arena *arena, const char *text, PgQuery__ParseResult **out, struct error *err)
{
    size_t len = strlen(text);
    if (len > STATEMENT_BYTES_MAX)
        return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                         "statement is too long: %zu bytes, the limit is %u", len, STATEMENT_BYTES_MAX);
    struct scan_token unterminated;
    uint32_t depth = scan_depth(text, len, NESTING_MAX, &unterminated);
    if (unterminated.kind == SCAN_UNTERMINATED)
        return unterminated_error(text, &unterminated, err);
    if (depth >= NESTING_MAX)
        return error_set(err, ERRCODE_STATEMENT_TOO_COMPLEX,
                         "statement is nested too deeply: the limit is %d levels", NESTING_MAX);
    if (strstr(text, "--") != NULL || strstr(text, "/*") != NULL) {
        /* libpg_query's scanner hands comments on as tokens, and an open one makes it crash */
        char *copy = arena_strndup(arena, text, len);
        scan_blank_comments(copy, len);
        text = copy;
    }
    struct parse_job job = {.arena = arena, .text = text, .err = err};
    if (depth <= FLAT_DEPTH_MAX) {
        parse_run(&job);
    } else {
        pthread_attr_t attr;
        pthread_t thread;
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, PARSE_STACK_BYTES);
        int failed = pthread_create(&thread, &attr, parse_run, &job);
        pthread_attr_destroy(&attr);
        if (failed != 0)
            return error_set(err, ERRCODE_INSUFFICIENT_RESOURCES,
                             "could not start a thread to parse the statement");
        pthread_join(thread, NULL);
    }
    *out = job.parse;
    return job.ok;
}

bool statement_parse_plain(struct arena *arena, const char *text, PgQuery__ParseResult **out,
                           struct error *err)
{
    return parse_text(arena, text, out, err);
}

bool statement_parse_query(struct arena *arena, const char *sql, PgQuery__ParseResult **out,
                           struct error *err)
{
    struct statement statement;
    if (!statement_parse(arena, sql, &statement, err))
        return false;
    *out = statement.parse;
    return true;
}

bool statement_parse_expression(struct arena *arena, const char *sql, PgQuery__Node **out, struct error *err)
{
    PgQuery__ParseResult *parse;
    if (!parse_text(arena, arena_printf(arena, "SELECT (%s\n)", sql), &parse, err))
        return false;
    if (parse->n_stmts == 1 && parse->stmts[0]->stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) {
        PgQuery__SelectStmt *select = parse->stmts[0]->stmt->select_stmt;
        if (select->n_target_list == 1 && select->n_from_clause == 0) {
            *out = select->target_list[0]->res_target->val;
            return true;
        }
    }
    return error_set(err, ERRCODE_SYNTAX_ERROR, "\"%s\" is not an expression", sql);
}

bool statement_expression_text(struct arena *arena, const PgQuery__Node *node, const char **out,
                               struct error *err)
{
    PgQuery__ResTarget target;
    PgQuery__SelectStmt select;
    PgQuery__RawStmt raw;
    PgQuery__ParseResult parse;
    PgQuery__Node target_node, select_node;
    pg_query__res_target__init(&target);
    pg_query__select_stmt__init(&select);
    pg_query__raw_stmt__init(&raw);
    pg_query__parse_result__init(&parse);
    pg_query__node__init(&target_node);
    pg_query__node__init(&select_node);
    target.name = "";
    target.val = (PgQuery__Node *)node;
    target_node.node_case = PG_QUERY__NODE__NODE_RES_TARGET;
    target_node.res_target = &target;
    PgQuery__Node *targets[] = {&target_node};
    select.n_target_list = 1;
    select.target_list = targets;
    select.limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
    select.op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    select_node.node_case = PG_QUERY__NODE__NODE_SELECT_STMT;
    select_node.select_stmt = &select;
    raw.stmt = &select_node;
    PgQuery__RawStmt *statements[] = {&raw};
    parse.version = PG_VERSION_NUM;
    parse.n_stmts = 1;
    parse.stmts = statements;

    size_t bytes = pg_query__parse_result__get_packed_size(&parse);
    uint8_t *packed = arena_alloc(arena, bytes);
    pg_query__parse_result__pack(&parse, packed);
    PgQueryDeparseResult result =
        pg_query_deparse_protobuf((PgQueryProtobuf){.len = bytes, .data = (char *)packed});
    bool ok = result.error == NULL && strncmp(result.query, "SELECT ", 7) == 0;
    if (ok)
        *out = arena_strdup(arena, result.query + 7);
    else
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "this expression cannot be stored: %s",
                  result.error != NULL ? result.error->message : "no text form");
    pg_query_free_deparse_result(result);
    return ok;
}

void statement_quote_name(const char *name, struct strbuf *out)
{
    bool plain = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';
    for (const char *c = name; *c != '\0' && plain; c++)
        plain = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_';
    if (plain) {
        PgQueryScanResult scan = pg_query_scan(name);
        PgQuery__ScanResult *tokens =
            scan.error != NULL
                ? NULL
                : pg_query__scan_result__unpack(NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
        plain = tokens != NULL && tokens->n_tokens == 1 &&
                (tokens->tokens[0]->keyword_kind == PG_QUERY__KEYWORD_KIND__NO_KEYWORD ||
                 tokens->tokens[0]->keyword_kind == PG_QUERY__KEYWORD_KIND__UNRESERVED_KEYWORD);
        if (tokens != NULL)
            pg_query__scan_result__free_unpacked(tokens, NULL);
        pg_query_free_scan_result(scan);
    }
    if (plain) {
        strbuf_adds(out, name);
        return;
    }
    strbuf_addc(out, '"');
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"')
            strbuf_addc(out, '"');
        strbuf_addc(out, *c);
    }
    strbuf_addc(out, '"');
}

void statement_quote_text(const char *text, struct strbuf *out)
{
    strbuf_addc(out, '\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            strbuf_addc(out, '\'');
        strbuf_addc(out, *c);
    }
    strbuf_addc(out, '\'');
}

/* ---- our spellings ---- */

struct rewrite {
    struct arena *arena;
    const char *sql;
    char *text;
    struct scan_token *tokens; /* SCAN_END behind the last */
    uint32_t count;
    struct statement *statement;
};

static bool is_word(const struct rewrite *r, uint32_t at, const char *word)
{
    return at < r->count && scan_is_word(r->sql, &r->tokens[at], word);
}

static bool is_char(const struct rewrite *r, uint32_t at, char c)
{
    return at < r->count && scan_is(r->sql, &r->tokens[at], c);
}

/* Overwrites tokens first..last with `word` (no longer than they are) and blanks. */
static void overwrite(struct rewrite *r, uint32_t first, uint32_t last, const char *word)
{
    uint32_t start = r->tokens[first].start, end = r->tokens[last].start + r->tokens[last].len;
    size_t word_len = strlen(word);
    CHECK(end - start >= word_len);
    for (uint32_t i = start; i < end; i++)
        if (r->text[i] != '\n')
            r->text[i] = ' ';
    memcpy(r->text + start, word, word_len);
}

static bool error_at_token(const struct rewrite *r, uint32_t at, struct error *err, enum error_code code,
                           const char *message)
{
    if (at < r->count && r->tokens[at].kind == SCAN_STRING && code == ERRCODE_SYNTAX_ERROR &&
        message == NULL && redact_is_sensitive(r->sql))
        error_set(err, code, "syntax error at or near a string");
    else if (at < r->count && code == ERRCODE_SYNTAX_ERROR && message == NULL)
        error_set(err, code, "syntax error at or near \"%.*s\"", (int)r->tokens[at].len,
                  r->sql + r->tokens[at].start);
    else
        error_set(err, code, "%s", message != NULL ? message : "syntax error at end of input");
    uint32_t byte = at < r->count ? r->tokens[at].start : (uint32_t)strlen(r->sql);
    return error_at(err, statement_characters(r->sql, byte) + 1);
}

/* Behind the bracket that closes the one at `at`; count when it is not closed. */
static uint32_t behind_bracket(const struct rewrite *r, uint32_t at)
{
    uint32_t depth = 0;
    for (; at < r->count; at++) {
        if (is_char(r, at, '('))
            depth++;
        else if (is_char(r, at, ')') && --depth == 0)
            return at + 1;
    }
    return r->count;
}

/* The name a word or quoted identifier stands for. */
static const char *token_name(const struct rewrite *r, uint32_t at)
{
    const struct scan_token *token = &r->tokens[at];
    char *name = arena_strndup(r->arena, r->sql + token->start, token->len);
    if (token->kind == SCAN_WORD) {
        for (char *c = name; *c != '\0'; c++)
            if (*c >= 'A' && *c <= 'Z')
                *c = (char)(*c - 'A' + 'a');
        return name;
    }
    char *to = name;
    for (uint32_t i = 1; i + 1 < token->len; i++) {
        *to++ = name[i];
        if (name[i] == '"' && name[i + 1] == '"')
            i++;
    }
    *to = '\0';
    return name;
}

static bool is_name(const struct rewrite *r, uint32_t at)
{
    return at < r->count && (r->tokens[at].kind == SCAN_WORD || r->tokens[at].kind == SCAN_QUOTED);
}

/* [= true | false | 'text' | on | off | 1 | 0] at *at; absent: true. */
static bool option_value(struct rewrite *r, uint32_t *at, bool *value, struct error *err)
{
    *value = true;
    if (!is_char(r, *at, '='))
        return true;
    ++*at;
    if (*at >= r->count)
        return error_at_token(r, *at, err, ERRCODE_SYNTAX_ERROR, NULL);
    const struct scan_token *token = &r->tokens[*at];
    const char *text = r->sql + token->start;
    uint32_t len = token->len;
    if (token->kind == SCAN_STRING && len >= 2 && text[0] == '\'') {
        text++;
        len -= 2;
    }
    static const struct {
        const char *text;
        bool value;
    } words[] = {{"true", true},   {"on", true},   {"yes", true}, {"1", true},
                 {"false", false}, {"off", false}, {"no", false}, {"0", false}};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strlen(words[i].text) == len && strncasecmp(text, words[i].text, len) == 0) {
            *value = words[i].value;
            ++*at;
            return true;
        }
    }
    return error_at_token(r, *at, err, ERRCODE_INVALID_PARAMETER_VALUE,
                          "this option requires a Boolean value");
}

/* SUBSCRIBE [TO] (name | (query)) [AS OF n] [WITH (...)], its first word at `at`, up to token `end`. */
static bool rewrite_subscribe(struct rewrite *r, uint32_t at, uint32_t end, struct error *err)
{
    struct subscribe_clause *clause = ARENA_NEW(r->arena, struct subscribe_clause);
    clause->snapshot = true;
    clause->location = (int32_t)r->tokens[at].start;
    uint32_t first = at, last = at;
    at++;
    if (is_word(r, at, "to"))
        last = at++;
    if (at < end && is_char(r, at, '(')) {
        overwrite(r, first, last, "");
        at = behind_bracket(r, at);
    } else {
        overwrite(r, first, last, "TABLE");
        clause->is_relation = true;
        if (at < end && is_name(r, at))
            at++;
        while (at + 1 < end && is_char(r, at, '.') && is_name(r, at + 1))
            at += 2;
    }
    uint32_t options = at;
    if (at < end && is_word(r, at, "as") && is_word(r, at + 1, "of")) {
        at += 2;
        if (is_word(r, at, "epoch"))
            at++;
        if (at >= end || r->tokens[at].kind != SCAN_NUMBER)
            return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR, NULL);
        char *number = arena_strndup(r->arena, r->sql + r->tokens[at].start, r->tokens[at].len), *stop;
        errno = 0;
        clause->as_of = strtoull(number, &stop, 10);
        if (errno != 0 || *stop != '\0')
            return error_at_token(r, at, err, ERRCODE_INVALID_PARAMETER_VALUE, "an epoch is a whole number");
        clause->has_as_of = true;
        at++;
    }
    if (at < end && is_word(r, at, "with") && is_char(r, at + 1, '(')) {
        bool seen_snapshot = false, seen_progress = false;
        at += 2;
        for (;;) {
            bool *seen, *value;
            if (is_word(r, at, "snapshot")) {
                seen = &seen_snapshot;
                value = &clause->snapshot;
            } else if (is_word(r, at, "progress")) {
                seen = &seen_progress;
                value = &clause->progress;
            } else if (is_name(r, at)) {
                error_at_token(r, at, err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized SUBSCRIBE option");
                return error_hint(err, "The options are snapshot and progress.");
            } else {
                return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR, NULL);
            }
            if (*seen)
                return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR, "conflicting or redundant options");
            *seen = true;
            at++;
            if (!option_value(r, &at, value, err))
                return false;
            if (is_char(r, at, ','))
                at++;
            else if (is_char(r, at, ')'))
                break;
            else
                return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR, NULL);
        }
        at++;
    }
    if (at > options)
        overwrite(r, options, at - 1, "");
    r->statement->subscribe = clause;
    return true;
}

struct emit_clause {
    enum statement_emit emit;
    const char *every;
    uint32_t tokens; /* 0: there is no such clause */
};

/* EMIT CHANGES | FINAL | ON WINDOW CLOSE | EVERY [INTERVAL] '10 seconds' | EVERY INTERVAL '10' SECOND at token `at`. */
static struct emit_clause read_emit(const struct rewrite *r, uint32_t at)
{
    static const char *const units[] = {"second", "minute", "hour", "day"};
    struct emit_clause none = {STATEMENT_EMIT_NONE, NULL, 0};
    if (!is_word(r, at, "emit"))
        return none;
    if (is_word(r, at + 1, "changes"))
        return (struct emit_clause){STATEMENT_EMIT_CHANGES, NULL, 2};
    if (is_word(r, at + 1, "final"))
        return (struct emit_clause){STATEMENT_EMIT_FINAL, NULL, 2};
    if (is_word(r, at + 1, "on") && is_word(r, at + 2, "window") && is_word(r, at + 3, "close"))
        return (struct emit_clause){STATEMENT_EMIT_FINAL, NULL, 4};
    if (!is_word(r, at + 1, "every"))
        return none;
    uint32_t text_at = at + 2 + is_word(r, at + 2, "interval");
    if (text_at >= r->count || r->tokens[text_at].kind != SCAN_STRING ||
        r->sql[r->tokens[text_at].start] != '\'')
        return none;
    const struct scan_token *token = &r->tokens[text_at];
    const char *every = arena_strndup(r->arena, r->sql + token->start + 1, token->len - 2);
    uint32_t tokens = text_at + 1 - at;
    for (size_t i = 0; i < ARRAY_COUNT(units) && text_at == at + 3; i++)
        if (is_word(r, text_at + 1, units[i]))
            return (struct emit_clause){STATEMENT_EMIT_EVERY,
                                        arena_printf(r->arena, "%s %s", every, units[i]), tokens + 1};
    return (struct emit_clause){STATEMENT_EMIT_EVERY, every, tokens};
}

/* EMIT CHANGES at the end of a query, which makes it a subscription. */
static bool rewrite_emit_changes(struct rewrite *r)
{
    if (r->count <= 2 || read_emit(r, r->count - 2).emit != STATEMENT_EMIT_CHANGES)
        return false;
    overwrite(r, r->count - 2, r->count - 1, "");
    r->count -= 2;
    return true;
}

static bool note_emit(struct rewrite *r, uint32_t at, const struct emit_clause *clause, struct error *err)
{
    if (r->statement->emit != STATEMENT_EMIT_NONE)
        return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR, "a view can have only one EMIT clause");
    r->statement->emit = clause->emit;
    r->statement->emit_every = clause->every;
    r->statement->emit_location = (int32_t)r->tokens[at].start;
    overwrite(r, at, at + clause->tokens - 1, "");
    return true;
}

/* EMIT of CREATE MATERIALIZED VIEW, whose word VIEW is token `at`: before the AS at depth 0, or at the end. */
static bool rewrite_emit(struct rewrite *r, uint32_t at, struct error *err)
{
    uint32_t depth = 0;
    for (at++; at < r->count && !(depth == 0 && is_word(r, at, "as")); at++) {
        if (is_char(r, at, '('))
            depth++;
        else if (is_char(r, at, ')') && depth > 0)
            depth--;
        struct emit_clause clause = {0};
        if (depth == 0)
            clause = read_emit(r, at);
        if (clause.tokens > 0 && is_word(r, at + clause.tokens, "as") && !note_emit(r, at, &clause, err))
            return false;
    }
    for (uint32_t from = r->count > 5 ? r->count - 5 : 1; from < r->count; from++) {
        struct emit_clause clause = read_emit(r, from);
        if (clause.tokens == 0 || from <= at || from + clause.tokens != r->count)
            continue;
        if (!note_emit(r, from, &clause, err))
            return false;
        r->count = from;
    }
    return true;
}

/* WATERMARK FOR column AS expression, an element of the column list that opens at token `at`. */
static bool rewrite_watermark(struct rewrite *r, uint32_t at, struct error *err)
{
    uint32_t end = behind_bracket(r, at), depth = 0;
    for (uint32_t i = at; i < end; i++) {
        if (is_char(r, i, '('))
            depth++;
        else if (is_char(r, i, ')'))
            depth--;
        bool starts = depth == 1 && (is_char(r, i, '(') || is_char(r, i, ','));
        if (!starts || !is_word(r, i + 1, "watermark") || !is_word(r, i + 2, "for") || !is_name(r, i + 3) ||
            !is_word(r, i + 4, "as"))
            continue;
        if (r->statement->watermark != NULL)
            return error_at_token(r, i + 1, err, ERRCODE_INVALID_TABLE_DEFINITION,
                                  "a relation can have only one watermark");
        uint32_t stop = i + 5, inner = 0;
        while (stop < end && !(inner == 0 && (is_char(r, stop, ',') || is_char(r, stop, ')')))) {
            if (is_char(r, stop, '('))
                inner++;
            else if (is_char(r, stop, ')'))
                inner--;
            stop++;
        }
        if (stop == i + 5 || stop >= end)
            return error_at_token(r, stop, err, ERRCODE_SYNTAX_ERROR, NULL);
        struct watermark_clause *clause = ARENA_NEW(r->arena, struct watermark_clause);
        uint32_t from = r->tokens[i + 5].start;
        uint32_t to = r->tokens[stop - 1].start + r->tokens[stop - 1].len;
        clause->column = token_name(r, i + 3);
        clause->location = (int32_t)r->tokens[i + 3].start;
        clause->sql = arena_strndup(r->arena, r->sql + from, to - from);
        r->statement->watermark = clause;
        /* with the comma before it, or, as the first element, the one behind it */
        if (is_char(r, i, ','))
            overwrite(r, i, stop - 1, "");
        else
            overwrite(r, i + 1, is_char(r, stop, ',') ? stop : stop - 1, "");
        i = stop - 1;
    }
    return true;
}

/* The query behind the AS at depth 0 of CREATE ... VIEW and CREATE TABLE ... AS. */
static void find_query(struct rewrite *r, uint32_t at)
{
    uint32_t depth = 0, end = r->count;
    for (; at < r->count; at++) {
        if (is_char(r, at, '('))
            depth++;
        else if (is_char(r, at, ')') && depth > 0)
            depth--;
        else if (depth == 0 && is_word(r, at, "as"))
            break;
    }
    if (at + 1 >= r->count)
        return;
    if (end >= 2 && is_word(r, end - 1, "data") && is_word(r, end - 2, "with"))
        end -= 2;
    else if (end >= 3 && is_word(r, end - 1, "data") && is_word(r, end - 2, "no") &&
             is_word(r, end - 3, "with"))
        end -= 3;
    else if (end >= 3 && is_word(r, end - 1, "option") && is_word(r, end - 2, "check"))
        end -= is_word(r, end - 3, "with") ? 3 : 4;
    if (end <= at + 1)
        return;
    uint32_t from = r->tokens[at + 1].start, to = r->tokens[end - 1].start + r->tokens[end - 1].len;
    r->statement->query_sql = arena_strndup(r->arena, r->sql + from, to - from);
    r->statement->query_location = (int32_t)from;
}

/* WITH (...) of CREATE SINK, tokens first to last: parsed as those of a view, with every byte in its place. */
static bool parse_sink_options(struct rewrite *r, uint32_t first, uint32_t last, struct sink_clause *clause,
                               struct error *err)
{
    static const char before[] = "CREATE VIEW x"; /* no longer than CREATE SINK k */
    uint32_t from = r->tokens[first].start, to = r->tokens[last].start + r->tokens[last].len;
    struct strbuf text = STRBUF_INIT;
    strbuf_adds(&text, before);
    while (text.len < from)
        strbuf_addc(&text, ' ');
    strbuf_addf(&text, "%.*s AS SELECT 1", (int)(to - from), r->text + from);
    PgQuery__ParseResult *parse;
    bool ok = parse_text(r->arena, strbuf_text(&text), &parse, err);
    strbuf_release(&text);
    if (!ok)
        return false;
    if (parse->n_stmts != 1 || parse->stmts[0]->stmt->node_case != PG_QUERY__NODE__NODE_VIEW_STMT)
        return error_at_token(r, first, err, ERRCODE_SYNTAX_ERROR, NULL);
    const PgQuery__ViewStmt *view = parse->stmts[0]->stmt->view_stmt;
    clause->options_count = view->n_options;
    clause->options = view->options;
    overwrite(r, first, last, "");
    return true;
}

/* CREATE SINK, whose word SINK is token `at`. */
static bool rewrite_sink(struct rewrite *r, uint32_t at, struct error *err)
{
    struct sink_clause *clause = ARENA_NEW(r->arena, struct sink_clause);
    if (is_word(r, ++at, "if") && is_word(r, at + 1, "not") && is_word(r, at + 2, "exists")) {
        clause->if_not_exists = true;
        at += 3;
    }
    if (!is_name(r, at))
        return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR, NULL);
    clause->name = ARENA_NEW(r->arena, PgQuery__RangeVar);
    pg_query__range_var__init(clause->name);
    clause->name->relname = arena_strdup(r->arena, token_name(r, at));
    clause->name->location = (int32_t)r->tokens[at++].start;
    if (is_char(r, at, '.') && is_name(r, at + 1)) {
        clause->name->schemaname = clause->name->relname;
        clause->name->relname = arena_strdup(r->arena, token_name(r, at + 1));
        at += 2;
    }
    if (is_word(r, at, "with") && is_char(r, at + 1, '(')) {
        uint32_t behind = behind_bracket(r, at + 1);
        if (!parse_sink_options(r, at, behind - 1, clause, err))
            return false;
        at = behind;
    } else if (r->count > at + 2 && is_char(r, r->count - 1, ')')) {
        uint32_t open = r->count - 1, depth = 1;
        while (open > at && depth > 0) {
            open--;
            depth += is_char(r, open, ')');
            depth -= is_char(r, open, '(');
        }
        if (depth == 0 && open > at + 1 && is_word(r, open - 1, "with")) {
            if (!parse_sink_options(r, open - 1, r->count - 1, clause, err))
                return false;
            r->count = open - 1;
        }
    }
    bool is_relation = is_word(r, at, "from");
    if ((!is_relation && !is_word(r, at, "as")) || at + 1 >= r->count)
        return error_at_token(r, at + (at + 1 >= r->count), err, ERRCODE_SYNTAX_ERROR, NULL);
    for (uint32_t from = r->count > at + 6 ? r->count - 5 : at + 2; from < r->count; from++) {
        struct emit_clause emit = read_emit(r, from);
        if (emit.tokens == 0 || from + emit.tokens != r->count)
            continue;
        if (!note_emit(r, from, &emit, err))
            return false;
        r->count = from;
    }
    uint32_t from = r->tokens[at + 1].start;
    uint32_t to = r->tokens[r->count - 1].start + r->tokens[r->count - 1].len;
    r->statement->query_sql =
        arena_printf(r->arena, "%s%.*s", is_relation ? "TABLE " : "", (int)(to - from), r->sql + from);
    r->statement->query_location = (int32_t)from;
    r->statement->sink = clause;
    overwrite(r, 0, at, is_relation ? "TABLE" : "");
    return true;
}

/* A relation whose columns a schema knows: no list, an empty one, or one that begins with a star. at: TABLE, STREAM or SOURCE. */
static void find_columns_clause(struct rewrite *r, uint32_t at)
{
    struct columns_clause clause = {0};
    at++;
    if (is_word(r, at, "if") && is_word(r, at + 1, "not") && is_word(r, at + 2, "exists"))
        at += 3;
    if (!is_name(r, at))
        return;
    for (at++; is_char(r, at, '.') && is_name(r, at + 1);)
        at += 2;
    if (is_char(r, at, '(') && is_char(r, at + 1, '*') &&
        (is_char(r, at + 2, ',') || is_char(r, at + 2, ')'))) {
        uint32_t last = is_char(r, at + 2, ',') ? at + 2 : at + 1;
        clause.at = r->tokens[at + 1].start;
        clause.len = r->tokens[last].start + r->tokens[last].len - clause.at;
        clause.has_more = last == at + 2;
        overwrite(r, at + 1, last, "");
    } else if (is_char(r, at, '(') && is_char(r, at + 1, ')') && is_word(r, at + 2, "with")) {
        clause.at = r->tokens[at + 1].start;
    } else if (is_word(r, at, "with") && is_char(r, at + 1, '(') && behind_bracket(r, at + 1) == r->count) {
        clause.at = r->tokens[at].start;
        clause.has_no_list = true;
    } else {
        return;
    }
    r->statement->columns = ARENA_NEW(r->arena, struct columns_clause);
    *r->statement->columns = clause;
}

static bool rewrite_create(struct rewrite *r, struct error *err)
{
    uint32_t at = 1;
    if (is_word(r, at, "or") && is_word(r, at + 1, "replace") && is_word(r, at + 2, "materialized")) {
        overwrite(r, at, at + 1, "");
        r->statement->or_replace = true;
        at += 2;
    } else if (is_word(r, at, "or") && is_word(r, at + 1, "replace")) {
        at += 2;
    }
    if (is_word(r, at, "temp") || is_word(r, at, "temporary") || is_word(r, at, "unlogged"))
        at++;
    if (is_word(r, at, "external") && is_word(r, at + 1, "table")) {
        r->statement->word = STATEMENT_WORD_EXTERNAL;
        overwrite(r, at, at, "");
        return true;
    }
    if (is_word(r, at, "stream") || is_word(r, at, "source")) {
        r->statement->word = is_word(r, at, "stream") ? STATEMENT_WORD_STREAM : STATEMENT_WORD_SOURCE;
        overwrite(r, at, at, "TABLE");
    } else if (!is_word(r, at, "table") && !is_word(r, at, "view") && !is_word(r, at, "materialized")) {
        return true;
    }
    bool is_view = is_word(r, at, "view") || is_word(r, at, "materialized");
    if (is_word(r, at, "materialized") && !rewrite_emit(r, at + 1, err))
        return false;
    if (!is_view)
        find_columns_clause(r, at);
    bool has_list = r->statement->columns == NULL || !r->statement->columns->has_no_list;
    if (!is_view && has_list)
        for (uint32_t i = at; i < r->count; i++)
            if (is_char(r, i, '(')) {
                if (!rewrite_watermark(r, i, err))
                    return false;
                break;
            }
    find_query(r, at);
    return true;
}

/* a ASOF LEFT JOIN b becomes a LEFT JOIN ONLY b, which the binder knows: there are no tables that inherit. ONLY as the
 * user writes it in FROM therefore goes. */
static bool rewrite_asof(struct rewrite *r, struct error *err)
{
    for (uint32_t i = 1; i < r->count; i++) {
        bool in_from = is_word(r, i - 1, "from") || is_word(r, i - 1, "join") || is_char(r, i - 1, ',') ||
                       is_char(r, i - 1, '(');
        if (is_word(r, i, "only") && in_from) {
            overwrite(r, i, i, "");
            if (is_char(r, i + 1, '(') && behind_bracket(r, i + 1) < r->count) {
                uint32_t close = behind_bracket(r, i + 1) - 1;
                overwrite(r, i + 1, i + 1, "");
                overwrite(r, close, close, "");
            }
        }
        if (!is_word(r, i, "asof") || is_word(r, i - 1, "as") || is_char(r, i - 1, '.'))
            continue;
        bool is_left = is_word(r, i + 1, "left");
        uint32_t join = i + 1 + (is_left || is_word(r, i + 1, "inner"));
        join += is_left && is_word(r, join, "outer");
        if (!is_word(r, join, "join")) {
            join += is_word(r, join, "outer");
            bool is_other =
                is_word(r, i + 1, "right") || is_word(r, i + 1, "full") || is_word(r, i + 1, "cross");
            if (!is_other || !(is_word(r, i + 2, "join") || is_word(r, i + 2, "outer")))
                continue;
            return error_at_token(r, i, err, ERRCODE_FEATURE_NOT_SUPPORTED,
                                  "an as-of join is inner or left: ASOF JOIN, ASOF LEFT JOIN");
        }
        bool is_call = is_name(r, join + 1) && is_char(r, join + 2, '(');
        if (!is_name(r, join + 1) || is_call || is_word(r, join + 1, "lateral")) {
            error_at_token(r, join + 1, err, ERRCODE_FEATURE_NOT_SUPPORTED,
                           "the right side of ASOF JOIN must be a relation by name");
            return error_hint(err, "Give the subquery a name in WITH.");
        }
        overwrite(r, i, join, is_left ? "LEFT JOIN ONLY" : "JOIN ONLY");
        i = join;
    }
    return true;
}

/* t FOR SYSTEM_TIME AS OF now(), or PROCTIME(), becomes system_time(t), and t FOR SYSTEM_TIME AS OF s.ts becomes
 * system_time(t, s.ts); the binder knows them. */
static bool rewrite_system_time(struct rewrite *r, struct error *err)
{
    for (uint32_t i = 1; i < r->count; i++) {
        if (!is_word(r, i, "for") || !is_word(r, i + 1, "system_time"))
            continue;
        uint32_t first = i - 1;
        if (!is_name(r, first) || !is_word(r, i + 2, "as") || !is_word(r, i + 3, "of"))
            return error_at_token(r, i, err, ERRCODE_SYNTAX_ERROR, NULL);
        while (first >= 2 && is_char(r, first - 1, '.') && is_name(r, first - 2))
            first -= 2;
        bool is_value = is_word(r, i + 4, "current_timestamp");
        bool is_clock = is_value || ((is_word(r, i + 4, "now") || is_word(r, i + 4, "proctime")) &&
                                     is_char(r, i + 5, '(') && is_char(r, i + 6, ')'));
        uint32_t end = is_clock && !is_value ? i + 6 : i + 4;
        while (!is_clock && is_name(r, end) && is_char(r, end + 1, '.') && is_name(r, end + 2))
            end += 2;
        if (!is_clock && (!is_name(r, i + 4) || !is_name(r, end + 1))) { /* a name: AS, ON, USING, an alias */
            error_at_token(r, i + 4, err, ERRCODE_FEATURE_NOT_SUPPORTED,
                           "FOR SYSTEM_TIME AS OF takes now(), PROCTIME() or a column of the left side");
            return error_hint(err, "Rows of a table are not kept as they were at earlier times.");
        }
        uint32_t from = r->tokens[first].start, to = r->tokens[i - 1].start + r->tokens[i - 1].len;
        const char *name = arena_strndup(r->arena, r->sql + from, to - from), *column = "";
        if (!is_clock)
            column = arena_printf(r->arena, ",%.*s",
                                  (int)(r->tokens[end].start + r->tokens[end].len - r->tokens[i + 4].start),
                                  r->sql + r->tokens[i + 4].start);
        overwrite(r, first, end, arena_printf(r->arena, STATEMENT_SYSTEM_TIME "(%s%s)", name, column));
        i = end;
    }
    return true;
}

/* SEMI JOIN and its like would pass as a table alias followed by an ordinary join. */
static bool refuse_silent_aliases(struct rewrite *r, struct error *err)
{
    static const char *const joins[] = {"semi", "anti"};
    static const char *const tails[] = {"emit", "final", "changes"};
    bool seen_from = false;
    for (uint32_t i = 1; i < r->count; i++) {
        seen_from |= is_word(r, i, "from");
        for (size_t j = 0; j < ARRAY_COUNT(joins); j++) {
            if (!is_word(r, i, joins[j]) || is_word(r, i - 1, "as") || is_char(r, i - 1, '.'))
                continue;
            uint32_t next = i + 1;
            if (is_word(r, next, "left") || is_word(r, next, "inner"))
                next++;
            if (is_word(r, next, "join")) {
                error_at_token(r, i, err, ERRCODE_FEATURE_NOT_SUPPORTED,
                               "SEMI JOIN and ANTI JOIN are not supported");
                return error_hint(err, "Use EXISTS or NOT EXISTS.");
            }
        }
    }
    uint32_t last = r->count - 1;
    for (size_t j = 0; j < ARRAY_COUNT(tails) && seen_from && last > 0; j++)
        if (is_word(r, last, tails[j]) && (is_name(r, last - 1) || is_char(r, last - 1, ')')) &&
            !is_word(r, last - 1, "as") && !is_word(r, last - 1, "from"))
            return error_at_token(r, last, err, ERRCODE_SYNTAX_ERROR, NULL);
    return true;
}

/* BACKUP TO 'dir', and CREATE | DROP SNAPSHOT, whose name is token `at`. */
static bool rewrite_keep(struct rewrite *r, enum keep_kind kind, uint32_t at, struct error *err)
{
    struct keep_clause *clause = ARENA_NEW(r->arena, struct keep_clause);
    clause->kind = kind;
    if (kind == KEEP_DROP_SNAPSHOT && is_word(r, at, "if") && is_word(r, at + 1, "exists")) {
        clause->missing_ok = true;
        at += 2;
    }
    bool is_text = at < r->count && r->tokens[at].kind == SCAN_STRING && r->sql[r->tokens[at].start] == '\'';
    if (at + 1 != r->count || !(kind == KEEP_BACKUP ? is_text : is_name(r, at)))
        return error_at_token(r, at + (at + 1 < r->count), err, ERRCODE_SYNTAX_ERROR, NULL);
    clause->name = token_name(r, at);
    if (is_text) {
        char *to = arena_strndup(r->arena, r->sql + r->tokens[at].start + 1, r->tokens[at].len - 2);
        clause->name = to;
        for (const char *from = to; *from != '\0'; from++) {
            *to++ = *from;
            from += from[0] == '\'' && from[1] == '\'';
        }
        *to = '\0';
    }
    r->statement->keep = clause;
    overwrite(r, 0, r->count - 1, "CHECKPOINT");
    return true;
}

/* The text of '...' and $tag$...$tag$; NULL for other strings. */
static const char *string_value(const struct rewrite *r, uint32_t at)
{
    if (at >= r->count || r->tokens[at].kind != SCAN_STRING)
        return NULL;
    const char *text = r->sql + r->tokens[at].start;
    uint32_t len = r->tokens[at].len;
    if (*text == '$') {
        uint32_t tag = (uint32_t)(strchr(text + 1, '$') - text) + 1;
        return arena_strndup(r->arena, text + tag, len - 2 * tag);
    }
    if (*text != '\'')
        return NULL;
    char *value = arena_strndup(r->arena, text + 1, len - 2), *to = value;
    for (const char *from = value; *from != '\0'; from++) {
        *to++ = *from;
        from += from[0] == '\'' && from[1] == '\'';
    }
    *to = '\0';
    return value;
}

/* CREATE, ALTER and DROP SECRET, whose name is token 2. No error quotes what stands behind AS. */
static bool rewrite_secret(struct rewrite *r, enum secret_kind kind, struct error *err)
{
    struct secret_clause *clause = ARENA_NEW(r->arena, struct secret_clause);
    uint32_t at = 2;
    clause->kind = kind;
    if (kind == SECRET_DROP && is_word(r, at, "if") && is_word(r, at + 1, "exists"))
        clause->if_exists = true, at += 2;
    else if (kind == SECRET_CREATE && is_word(r, at, "if") && is_word(r, at + 1, "not") &&
             is_word(r, at + 2, "exists"))
        clause->if_exists = true, at += 3;
    if (!is_name(r, at))
        return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR,
                              at < r->count ? "a secret needs a name" : NULL);
    clause->name = token_name(r, at++);
    if (kind != SECRET_DROP) {
        if (!is_word(r, at, "as"))
            return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR,
                                  at < r->count ? "AS and a value must follow the name of the secret" : NULL);
        clause->value = string_value(r, ++at);
        if (clause->value == NULL)
            return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR,
                                  "the value of a secret is a text in single quotes, or between $$ and $$");
        at++;
    }
    if (at != r->count)
        return error_at_token(r, at, err, ERRCODE_SYNTAX_ERROR, "nothing may follow the statement");
    if (strlen(clause->name) > NAME_BYTES_MAX)
        return error_at_token(r, at - 1, err, ERRCODE_NAME_TOO_LONG, "the name of the secret is too long");
    r->statement->secret = clause;
    overwrite(r, 0, r->count - 1, "CHECKPOINT");
    return true;
}

/* name = SECRET pw within WITH (...) and SET (...) becomes name = secr_.pw, a type's name. */
static void rewrite_secret_values(struct rewrite *r)
{
    for (uint32_t i = 1; i < r->count; i++) {
        if (!is_char(r, i, '(') || !(is_word(r, i - 1, "with") || is_word(r, i - 1, "set")))
            continue;
        uint32_t end = behind_bracket(r, i);
        for (uint32_t at = i + 2; at + 1 < end; at++) {
            if (r->tokens[at - 1].kind != SCAN_OPERATOR || r->sql[r->tokens[at - 1].start] != '=' ||
                !is_word(r, at, "secret") || !is_name(r, at + 1))
                continue;
            overwrite(r, at, at + 1,
                      arena_printf(r->arena, STATEMENT_SECRET ".%.*s", (int)r->tokens[at + 1].len,
                                   r->sql + r->tokens[at + 1].start));
        }
        i = end - 1;
    }
}

static bool rewrite(struct rewrite *r, struct error *err)
{
    struct statement *statement = r->statement;
    if (is_word(r, 1, "secret") && is_word(r, 0, "create"))
        return rewrite_secret(r, SECRET_CREATE, err);
    if (is_word(r, 1, "secret") && is_word(r, 0, "alter"))
        return rewrite_secret(r, SECRET_ALTER, err);
    if (is_word(r, 1, "secret") && is_word(r, 0, "drop"))
        return rewrite_secret(r, SECRET_DROP, err);
    if (is_word(r, 0, "create") || is_word(r, 0, "alter"))
        rewrite_secret_values(r);
    if (is_word(r, 0, "backup") && is_word(r, 1, "to"))
        return rewrite_keep(r, KEEP_BACKUP, 2, err);
    if (is_word(r, 0, "create") && is_word(r, 1, "snapshot"))
        return rewrite_keep(r, KEEP_CREATE_SNAPSHOT, 2, err);
    if (is_word(r, 0, "drop") && is_word(r, 1, "snapshot"))
        return rewrite_keep(r, KEEP_DROP_SNAPSHOT, 2, err);
    if (is_word(r, 0, "create") && is_word(r, 1, "sink"))
        return rewrite_sink(r, 1, err);
    if (is_word(r, 0, "create"))
        return rewrite_create(r, err);
    if (is_word(r, 0, "subscribe"))
        return rewrite_subscribe(r, 0, r->count, err);
    if (is_word(r, 0, "explain")) {
        uint32_t at = is_char(r, 1, '(') ? behind_bracket(r, 1) : 1;
        while (is_word(r, at, "analyze") || is_word(r, at, "verbose"))
            at++;
        if (is_word(r, at, "materialized") && is_word(r, at + 1, "view")) {
            overwrite(r, at, at + 1, "TABLE");
            statement->explains_view = true;
        }
        return true;
    }
    if (is_word(r, 0, "drop") || is_word(r, 0, "alter") || is_word(r, 0, "truncate")) {
        if ((is_word(r, 1, "stream") || is_word(r, 1, "source")) && is_name(r, 2)) {
            statement->word = is_word(r, 1, "stream") ? STATEMENT_WORD_STREAM : STATEMENT_WORD_SOURCE;
            overwrite(r, 1, 1, "TABLE");
        } else if (is_word(r, 1, "external") && is_word(r, 2, "table")) {
            statement->word = STATEMENT_WORD_EXTERNAL;
            overwrite(r, 1, 1, "");
        } else if (is_word(r, 1, "sink") && is_name(r, 2) && !is_word(r, 0, "truncate")) {
            statement->word = STATEMENT_WORD_SINK;
            overwrite(r, 1, 1, "VIEW");
        }
        return true;
    }
    if (is_word(r, 0, "comment") && is_word(r, 1, "on") && is_word(r, 2, "external") &&
        is_word(r, 3, "table")) {
        statement->word = STATEMENT_WORD_EXTERNAL;
        overwrite(r, 2, 2, "");
        return true;
    }
    if (is_word(r, 0, "comment") && is_word(r, 1, "on") && is_word(r, 2, "sink") && is_name(r, 3)) {
        statement->word = STATEMENT_WORD_SINK;
        overwrite(r, 2, 2, "VIEW");
        return true;
    }
    if (is_word(r, 0, "comment") && is_word(r, 1, "on") &&
        (is_word(r, 2, "stream") || is_word(r, 2, "source"))) {
        statement->word = is_word(r, 2, "stream") ? STATEMENT_WORD_STREAM : STATEMENT_WORD_SOURCE;
        overwrite(r, 2, 2, "TABLE");
        return true;
    }
    if (is_word(r, 0, "copy") && is_char(r, 1, '(') && is_word(r, 2, "subscribe"))
        return rewrite_subscribe(r, 2, behind_bracket(r, 1) - 1, err);
    if (is_word(r, 0, "declare")) {
        for (uint32_t i = 1; i + 1 < r->count; i++)
            if (is_word(r, i, "for") && is_word(r, i + 1, "subscribe"))
                return rewrite_subscribe(r, i + 1, r->count, err);
    }
    bool is_query = is_word(r, 0, "select") || is_word(r, 0, "with") || is_word(r, 0, "values") ||
                    is_word(r, 0, "table") || is_char(r, 0, '(');
    if (is_query || is_word(r, 0, "declare")) {
        uint32_t emit_at = r->count >= 2 ? r->tokens[r->count - 2].start : 0;
        if (rewrite_emit_changes(r)) {
            statement->subscribe = ARENA_NEW(r->arena, struct subscribe_clause);
            statement->subscribe->snapshot = true;
            statement->subscribe->location = (int32_t)emit_at;
        }
    }
    return true;
}

/* INSERT, which can be long, is looked at token by token only if it may hold a join that is ours. */
static bool has_time_join(const char *sql)
{
    return strcasestr(sql, "asof") != NULL || strcasestr(sql, "system_time") != NULL ||
           strcasestr(sql, "only") != NULL;
}

/* The list that PostgreSQL's grammar wants, empty: what stands behind it is moved by its length. */
static const char empty_list[] = "() ";

static bool parse_without_list(struct arena *arena, struct statement *statement, struct error *err)
{
    uint32_t at = statement->columns->at;
    const char *text =
        arena_printf(arena, "%.*s%s%s", (int)at, statement->text, empty_list, statement->text + at);
    if (parse_text(arena, text, &statement->parse, err))
        return true;
    if (err != NULL && err->position > statement_characters(statement->text, at) + 1)
        err->position -= (int32_t)strlen(empty_list);
    return false;
}

bool statement_parse(struct arena *arena, const char *sql, struct statement *out, struct error *err)
{
    size_t len = strlen(sql);
    *out = (struct statement){.sql = sql, .text = sql};
    if (len > STATEMENT_BYTES_MAX)
        return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                         "statement is too long: %zu bytes, the limit is %u", len, STATEMENT_BYTES_MAX);
    struct scanner scanner;
    scan_start(&scanner, sql, len);
    struct scan_token token = scan_next(&scanner);
    if (token.kind == SCAN_END)
        return true;
    if (!scan_is_word(sql, &token, "insert") || has_time_join(sql)) {
        struct rewrite r = {.arena = arena, .sql = sql, .statement = out};
        uint32_t cap = 0;
        while (token.kind != SCAN_END && !scan_is(sql, &token, ';')) {
            ARENA_PUSH(arena, r.tokens, r.count, cap, token);
            token = scan_next(&scanner);
        }
        if (r.count == 0)
            return true;
        r.text = arena_strndup(arena, sql, len);
        out->text = r.text;
        if (!rewrite(&r, err) || !refuse_silent_aliases(&r, err) || !rewrite_asof(&r, err) ||
            !rewrite_system_time(&r, err))
            return false;
    }
    bool has_list = out->columns == NULL || !out->columns->has_no_list;
    if (!(has_list ? parse_text(arena, out->text, &out->parse, err) : parse_without_list(arena, out, err)))
        return false;
    if (out->parse->n_stmts > 1) {
        error_set(err, ERRCODE_SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement");
        return false;
    }
    out->node = out->parse->n_stmts == 1 ? out->parse->stmts[0]->stmt : NULL;
    return true;
}
