/* statement.h: from a query string to single statements in PostgreSQL's grammar.
 *
 * statement_split cuts a string at its semicolons. statement_parse finds the spellings that are ours,
 * overwrites them with PostgreSQL's words of at most the same length and blanks (so that every position in
 * the tree is one in the user's text), keeps what it took out in side structs, and has libpg_query parse the
 * rest:
 *
 *   CREATE STREAM s (a int, WATERMARK FOR ts AS ts - INTERVAL '5 s')    CREATE TABLE  s (a int     )
 *   CREATE STREAM s (*, b int) WITH (...)                           CREATE TABLE  s (   b int) WITH (...)
 *   CREATE STREAM s WITH (...)                                      CREATE TABLE  s () WITH (...), the one that grows
 *   CREATE EXTERNAL TABLE t (a int PRIMARY KEY) WITH (...)              CREATE          TABLE t (a int PRIMARY KEY) WITH (...)
 *   CREATE MATERIALIZED VIEW v AS SELECT 1 EMIT FINAL                   CREATE MATERIALIZED VIEW v AS SELECT 1
 *   SELECT 1 FROM s JOIN t FOR SYSTEM_TIME AS OF now() ON s.k = t.k     SELECT 1 FROM s JOIN system_time(t) ON s.k = t.k
 *   SELECT 1 FROM s ASOF LEFT JOIN t ON s.k = t.k AND s.ts >= t.ts      SELECT 1 FROM s LEFT JOIN ONLY t ON ...
 *   SUBSCRIBE TO v AS OF 7 WITH (progress)                              TABLE        v
 *   COPY (SUBSCRIBE v) TO STDOUT                                        COPY (TABLE     v) TO STDOUT
 *
 *   CREATE SINK k FROM v WITH (connector = 'kafka', ...)                TABLE              v
 *   CREATE SINK k AS SELECT a FROM s WITH (...)                                          SELECT a FROM s
 *   DROP SINK k                                                         DROP VIEW k
 *
 *   BACKUP TO '/var/backup/monday'                                      CHECKPOINT
 *   CREATE SECRET pw AS 'value'                                         CHECKPOINT
 *   CREATE TABLE t (a int) WITH ("sasl.password" = SECRET pw)           CREATE TABLE t (a int) WITH (... = secr_.pw    )
 *   CREATE SNAPSHOT before_upgrade                                      CHECKPOINT
 *
 * What it does not know stays PostgreSQL's syntax error, which never quotes a string of CREATE or ALTER: it may be a password.
 * Everything lies in the arena given. */
#ifndef MILLRACE_PLANNER_STATEMENT_H
#define MILLRACE_PLANNER_STATEMENT_H

#include "storage/base/arena.h"
#include "storage/base/error.h"

#include <pg_query/pg_query.pb-c.h>

struct statement_piece {
    uint32_t start, len;   /* bytes; without the semicolon, leading blanks and comments included */
    int32_t position_base; /* characters before start: add it to the positions of errors */
};

/* The statements of a query string; those without any token are left out. 54000 beyond STATEMENT_BYTES_MAX,
 * 42601 for a string or comment without end. */
MUST_CHECK
bool statement_split(struct arena *arena, const char *sql, size_t len, struct statement_piece **out,
                     uint32_t *count, struct error *err);

/* The word in place of TABLE, or before it, in CREATE, DROP, ALTER, TRUNCATE and COMMENT. SINK stands in place of VIEW. */
enum statement_word {
    STATEMENT_WORD_NONE,
    STATEMENT_WORD_STREAM,
    STATEMENT_WORD_SOURCE,
    STATEMENT_WORD_EXTERNAL, /* EXTERNAL TABLE */
    STATEMENT_WORD_SINK,     /* DROP, ALTER, COMMENT */
};
enum statement_emit {
    STATEMENT_EMIT_NONE,
    STATEMENT_EMIT_CHANGES,
    STATEMENT_EMIT_FINAL, /* EMIT FINAL, EMIT ON WINDOW CLOSE */
    STATEMENT_EMIT_EVERY, /* EMIT EVERY [INTERVAL] '10 seconds' */
};

/* The function that stands for FOR SYSTEM_TIME AS OF now() in the tree. */
#define STATEMENT_SYSTEM_TIME "system_time"

struct watermark_clause {
    const char *column;
    const char *sql;  /* the expression */
    int32_t location; /* byte of the column's name */
};

/* CREATE TABLE, STREAM or SOURCE whose columns are to come from a schema: s WITH (...), s () WITH (...), s (*, more) WITH (...). The tree
 * has the columns named besides, if any. */
struct columns_clause {
    uint32_t at, len; /* bytes of sql that the columns are to stand in place of */
    bool has_no_list; /* they need parentheses */
    bool has_more;    /* elements of the list follow, and len takes the comma in */
};

/* SUBSCRIBE, SELECT ... EMIT CHANGES, and SUBSCRIBE inside DECLARE and COPY: the query itself stands in the
 * tree as a SelectStmt ("TABLE v" for a relation). */
struct subscribe_clause {
    bool is_relation; /* SUBSCRIBE v, not a query in parentheses */
    bool has_as_of;
    uint64_t as_of;
    bool snapshot; /* WITH (snapshot = false) leaves the first rows out; default true */
    bool progress;
    int32_t location;
};

/* CREATE SINK [IF NOT EXISTS] name FROM relation | AS query [WITH (...)]: the query stands in the tree as a SelectStmt, and
 * statement.query_sql is its text ("TABLE v" for a relation). */
struct sink_clause {
    PgQuery__RangeVar *name;
    bool if_not_exists;
    size_t options_count;
    PgQuery__Node **options; /* DefElem */
};

/* BACKUP TO 'dir', CREATE SNAPSHOT name, DROP SNAPSHOT [IF EXISTS] name: a CheckPointStmt stands in the tree. */
enum keep_kind { KEEP_BACKUP, KEEP_CREATE_SNAPSHOT, KEEP_DROP_SNAPSHOT };
struct keep_clause {
    enum keep_kind kind;
    const char *name; /* of the snapshot or the directory */
    bool missing_ok;
};

/* [CREATE | ALTER] SECRET name AS 'value', DROP SECRET [IF EXISTS] name: a CheckPointStmt stands in the tree. */
enum secret_kind { SECRET_CREATE, SECRET_ALTER, SECRET_DROP };
struct secret_clause {
    enum secret_kind kind;
    const char *name, *value; /* value: not of DROP */
    bool if_exists;           /* IF EXISTS, IF NOT EXISTS */
};
/* The schema of the type that stands for SECRET name as the value of an option. */
#define STATEMENT_SECRET "secr_"

struct statement {
    const char *sql;             /* as written */
    const char *text;            /* as parsed */
    PgQuery__ParseResult *parse; /* NULL when there is no token */
    const PgQuery__Node *node;   /* the statement, or NULL */
    enum statement_word word;
    bool or_replace;          /* CREATE OR REPLACE MATERIALIZED VIEW */
    enum statement_emit emit; /* of CREATE MATERIALIZED VIEW: before AS or behind the query */
    const char *emit_every;   /* STATEMENT_EMIT_EVERY: the interval's text */
    int32_t emit_location;    /* first byte of the clause */
    struct watermark_clause *watermark;
    struct columns_clause *columns; /* NULL: the statement lists its columns */
    struct subscribe_clause *subscribe;
    struct keep_clause *keep;
    struct sink_clause *sink;
    struct secret_clause *secret;
    bool explains_view;     /* EXPLAIN MATERIALIZED VIEW v: parsed as EXPLAIN TABLE v */
    const char *query_sql;  /* CREATE [MATERIALIZED] VIEW, SINK, TABLE AS: the query's text; else NULL */
    int32_t query_location; /* its first byte in sql */
};

/* Parses text that holds one statement (more are 42601). Positions in errors are 1-based characters in sql.
 */
MUST_CHECK
bool statement_parse(struct arena *arena, const char *sql, struct statement *out, struct error *err);
/* A tree of the stored query of a view, our spellings included. */
MUST_CHECK
bool statement_parse_query(struct arena *arena, const char *sql, PgQuery__ParseResult **out,
                           struct error *err);
/* A tree of any text in PostgreSQL's own grammar. 54001 when nested too
 * deeply. */
MUST_CHECK
bool statement_parse_plain(struct arena *arena, const char *text, PgQuery__ParseResult **out,
                           struct error *err);
/* The expression of "SELECT <sql>": defaults, checks, watermarks as stored. */
MUST_CHECK
bool statement_parse_expression(struct arena *arena, const char *sql, PgQuery__Node **out, struct error *err);
/* An expression's tree as text again, in the arena. */
MUST_CHECK
bool statement_expression_text(struct arena *arena, const PgQuery__Node *node, const char **out,
                               struct error *err);
/* Characters in the first `bytes` bytes of UTF-8 text. */
int32_t statement_characters(const char *text, size_t bytes);
/* Appends name, in double quotes when it needs them to be read back as itself. */
struct strbuf;
void statement_quote_name(const char *name, struct strbuf *out);
/* Appends 'text', quotes doubled. */
void statement_quote_text(const char *text, struct strbuf *out);

#endif
