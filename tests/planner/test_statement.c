/* Splitting, our own spellings and positions, and what happens to hostile text. */
#include "planner/redact.h"
#include "planner/scan.h"
#include "planner/statement.h"
#include "storage/base/limits.h"
#include "storage/base/strbuf.h"
#include "tests/test.h"

static struct arena arena;

static const char *split(const char *sql)
{
    static struct strbuf out;
    struct statement_piece *pieces;
    uint32_t count;
    struct error err;
    strbuf_reset(&out);
    if (!statement_split(&arena, sql, strlen(sql), &pieces, &count, &err)) {
        strbuf_addf(&out, "%s %s @%d", error_sqlstate(err.code), err.message, err.position);
        return out.data;
    }
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(&out, "[%d:%.*s]", pieces[i].position_base, (int)pieces[i].len, sql + pieces[i].start);
    return strbuf_text(&out);
}

TEST(splits)
{
    EXPECT_TEXT(split("select 1; select 2"), "[0:select 1][9: select 2]");
    EXPECT_TEXT(split("SUBSCRIBE v; select 1;;  ; -- end"), "[0:SUBSCRIBE v][12: select 1]");
    EXPECT_TEXT(split("select ';' || $$;$$ || $a$ ; $$ $a$ /* ; /* ; */ */ ; x"),
                "[0:select ';' || $$;$$ || $a$ ; $$ $a$ /* ; /* ; */ */ ][53: x]");
    EXPECT_TEXT(split("select E'\\';' ; select \"a;\"\"b\""), "[0:select E'\\';' ][15: select \"a;\"\"b\"]");
    EXPECT_TEXT(split("create rule r as on x do (a; b); y"), "[0:create rule r as on x do (a; b)][32: y]");
    EXPECT_TEXT(split("select 'äö'; x"), "[0:select 'äö'][12: x]");
    EXPECT_TEXT(split(""), "");
    EXPECT_TEXT(split("  -- only\n"), "");
    EXPECT_TEXT(split("select 'ä'; select 'abc"), "42601 unterminated quoted string at or near \"'abc\" @20");
    EXPECT_TEXT(split("select 1 /* x"), "42601 unterminated /* comment at or near \"/* x\" @10");
    EXPECT_TEXT(split("select 1--;\n;b"), "[0:select 1--;\n][13:b]");
    EXPECT_TEXT(split("select 1+-2;b"), "[0:select 1+-2][12:b]");
    EXPECT_TEXT(split("select a$1;b"), "[0:select a$1][11:b]");
    EXPECT_TEXT(split("create function f() returns int begin atomic select case when true then 1 end; select "
                      "2; end; x"),
                "[0:create function f() returns int begin atomic select case when true then 1 end; select 2; "
                "end][93: x]");
}

static const char *rewritten(const char *sql, struct statement *statement)
{
    static char text[600];
    struct error err;
    if (!statement_parse(&arena, sql, statement, &err)) {
        snprintf(text, sizeof(text), "%s %s @%d", error_sqlstate(err.code), err.message, err.position);
        return text;
    }
    return statement->text;
}

/* Relations whose columns a schema has. */
TEST(columns_of_schemas)
{
    struct statement s;
    EXPECT_TEXT(rewritten("CREATE STREAM s (*) WITH (connector = 'k')", &s),
                "CREATE TABLE  s ( ) WITH (connector = 'k')");
    EXPECT(s.columns != NULL && s.columns->at == 17 && s.columns->len == 1 && !s.columns->has_more);
    EXPECT_TEXT(rewritten("CREATE TABLE a.t (*, PRIMARY KEY (id)) WITH (connector = 'k')", &s),
                "CREATE TABLE a.t (   PRIMARY KEY (id)) WITH (connector = 'k')");
    EXPECT(s.columns != NULL && s.columns->len == 2 && s.columns->has_more);
    EXPECT_TEXT(
        rewritten("create source if not exists s(*,watermark for ts as ts) with (connector = 'k')", &s),
        "create TABLE  if not exists s(                        ) with (connector = 'k')");
    EXPECT(s.columns != NULL && s.watermark != NULL);
    EXPECT_TEXT(rewritten("CREATE TABLE t () WITH (connector = 'k')", &s),
                "CREATE TABLE t () WITH (connector = 'k')");
    EXPECT(s.columns != NULL && s.columns->len == 0 && !s.columns->has_no_list);
    EXPECT_TEXT(rewritten("CREATE TABLE t WITH (connector = 'k')", &s),
                "CREATE TABLE t WITH (connector = 'k')");
    EXPECT(s.columns != NULL && s.columns->has_no_list && s.columns->at == 15);
    EXPECT_INT(s.node->create_stmt->n_options, 1);
    /* an error behind the list that is not there is where the user sees it */
    EXPECT_TEXT(rewritten("CREATE TABLE t WITH (a ~ 'k')", &s), "42601 syntax error at or near \"~\" @24");
    EXPECT_TEXT(rewritten("CREATE TABLE t WITH (fillfactor = 10) AS SELECT 1", &s),
                "CREATE TABLE t WITH (fillfactor = 10) AS SELECT 1");
    EXPECT(s.columns == NULL);
    EXPECT_TEXT(rewritten("CREATE TABLE t (a int) WITH (fillfactor = 10)", &s),
                "CREATE TABLE t (a int) WITH (fillfactor = 10)");
    EXPECT(s.columns == NULL);
}

TEST(streams)
{
    struct statement s;
    EXPECT_TEXT(rewritten("CREATE STREAM s (a int)", &s), "CREATE TABLE  s (a int)");
    EXPECT_TEXT(rewritten("CREATE EXTERNAL TABLE t (a int PRIMARY KEY) WITH (connector = 'redis')", &s),
                "CREATE          TABLE t (a int PRIMARY KEY) WITH (connector = 'redis')");
    EXPECT_INT(s.word, STATEMENT_WORD_EXTERNAL);
    EXPECT_TEXT(rewritten("DROP EXTERNAL TABLE t", &s), "DROP          TABLE t");
    EXPECT_INT(s.word, STATEMENT_WORD_EXTERNAL);
    EXPECT_TEXT(rewritten("COMMENT ON EXTERNAL TABLE t IS 'x'", &s), "COMMENT ON          TABLE t IS 'x'");
    EXPECT_TEXT(rewritten("CREATE STREAM s (a int)", &s), "CREATE TABLE  s (a int)");
    EXPECT_INT(s.word, STATEMENT_WORD_STREAM);
    EXPECT_INT(s.node->node_case, PG_QUERY__NODE__NODE_CREATE_STMT);
    EXPECT_TEXT(rewritten("create source IF NOT EXISTS \"s\" (a int) with (connector = 'generator')", &s),
                "create TABLE  IF NOT EXISTS \"s\" (a int) with (connector = 'generator')");
    EXPECT_INT(s.word, STATEMENT_WORD_SOURCE);
    EXPECT_TEXT(
        rewritten("create stream s (ts timestamptz, watermark for \"T\"\"s\" as ts - interval '5 s' * (1,2), "
                  "b int)",
                  &s),
        "create TABLE  s (ts timestamptz                                                     , b int)");
    EXPECT_TEXT(s.watermark->column, "T\"s");
    EXPECT_TEXT(s.watermark->sql, "ts - interval '5 s' * (1,2)");
    EXPECT_INT(s.watermark->location, 47);
    rewritten("create stream s (watermark for ts as ts, ts timestamptz)", &s);
    EXPECT_INT(s.node->create_stmt->n_table_elts, 1);
    EXPECT_TEXT(rewritten("create stream s (a int, watermark for a as a, watermark for b as b)", &s),
                "42P16 a relation can have only one watermark @47");
    EXPECT_TEXT(rewritten("create table watermark (watermark int, \"for\" int)", &s),
                "create table watermark (watermark int, \"for\" int)");
    EXPECT(s.watermark == NULL);
    EXPECT_TEXT(rewritten("drop stream if exists s cascade", &s), "drop TABLE  if exists s cascade");
    EXPECT_TEXT(rewritten("truncate stream s", &s), "truncate TABLE  s");
    EXPECT_TEXT(rewritten("truncate stream", &s), "truncate stream");
    EXPECT_INT(s.word, STATEMENT_WORD_NONE);
    EXPECT_TEXT(rewritten("comment on stream s is 'x'", &s), "comment on TABLE  s is 'x'");
}

TEST(subscribe)
{
    struct statement s;
    EXPECT_TEXT(rewritten("SUBSCRIBE v", &s), "TABLE     v");
    EXPECT(s.subscribe->is_relation && s.subscribe->snapshot && !s.subscribe->progress);
    EXPECT_INT(s.node->node_case, PG_QUERY__NODE__NODE_SELECT_STMT);
    EXPECT_TEXT(rewritten("subscribe to a.\"B\" as of 17 with (snapshot = false, progress)", &s),
                "TABLE        a.\"B\"                                           ");
    EXPECT(!s.subscribe->snapshot && s.subscribe->progress && s.subscribe->has_as_of);
    EXPECT_INT(s.subscribe->as_of, 17);
    EXPECT_TEXT(rewritten("subscribe (select 1 as a) with (progress = 'on')", &s),
                "          (select 1 as a)                       ");
    EXPECT(!s.subscribe->is_relation && s.subscribe->progress);
    EXPECT_TEXT(rewritten("declare c cursor for subscribe v as of 3", &s),
                "declare c cursor for TABLE     v        ");
    EXPECT_INT(s.node->node_case, PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT);
    EXPECT_TEXT(rewritten("copy (subscribe v with (progress)) to stdout", &s),
                "copy (TABLE     v                ) to stdout");
    EXPECT(s.subscribe != NULL && s.subscribe->progress);
    EXPECT_TEXT(rewritten("select a from b where c emit changes", &s),
                "select a from b where c             ");
    EXPECT(s.subscribe != NULL && !s.subscribe->is_relation);
    EXPECT_TEXT(rewritten("select a as emit, b changes from b", &s), "select a as emit, b changes from b");
    EXPECT(s.subscribe == NULL);
    EXPECT_TEXT(rewritten("subscribe v with (speed = 1)", &s), "22023 unrecognized SUBSCRIBE option @19");
    EXPECT_TEXT(rewritten("subscribe v with (progress, progress)", &s),
                "42601 conflicting or redundant options @29");
    EXPECT_TEXT(rewritten("subscribe", &s), "42601 syntax error at end of input @10");
    EXPECT_TEXT(rewritten("subscribe v frm x", &s), "42601 syntax error at or near \"frm\" @13");
}

TEST(views)
{
    struct statement s;
    rewritten("create materialized view v with (emit = final) as\n select 1 as a with no data", &s);
    EXPECT_TEXT(s.query_sql, "select 1 as a");
    EXPECT_INT(s.query_location, 51);
    rewritten("create or replace materialized view v as select 1 emit on window close", &s);
    EXPECT(s.or_replace);
    EXPECT_INT(s.emit, STATEMENT_EMIT_FINAL);
    EXPECT_TEXT(s.query_sql, "select 1");
    EXPECT_TEXT(rewritten("create materialized view v emit every interval '10' minute as select 1", &s),
                "create materialized view v                                 as select 1");
    EXPECT_INT(s.emit, STATEMENT_EMIT_EVERY);
    EXPECT_TEXT(s.emit_every, "10 minute");
    EXPECT_INT(s.emit_location, 27);
    rewritten("create materialized view emit as select a emit every from t emit every '2 s'", &s);
    EXPECT_TEXT(s.emit_every, "2 s");
    EXPECT_TEXT(s.query_sql, "select a emit every from t");
    rewritten("create materialized view v with (emit = final) as select emit from t emit final", &s);
    EXPECT_INT(s.emit, STATEMENT_EMIT_FINAL);
    EXPECT_TEXT(s.query_sql, "select emit from t");
    EXPECT_TEXT(rewritten("create materialized view v emit final as select 1 emit changes", &s),
                "42601 a view can have only one EMIT clause @51");
    rewritten("create or replace view v (a) as (select 1) with check option", &s);
    EXPECT(!s.or_replace && s.node->view_stmt->replace);
    EXPECT_TEXT(s.query_sql, "(select 1)");
    rewritten("create table t as table u with data", &s);
    EXPECT_TEXT(s.query_sql, "table u");
    rewritten("create table t (a int generated always as (1) stored)", &s);
    EXPECT(s.query_sql == NULL);
}

TEST(errors)
{
    struct statement s;
    EXPECT_TEXT(rewritten("select 'äöü', 'ä' frm frm frm", &s), "42601 syntax error at or near \"frm\" @23");
    EXPECT_TEXT(rewritten("select * from a asof full join b on true", &s),
                "0A000 an as-of join is inner or left: ASOF JOIN, ASOF LEFT JOIN @17");
    EXPECT_TEXT(rewritten("select * from a asof join (select 1) b on true", &s),
                "0A000 the right side of ASOF JOIN must be a relation by name @27");
    EXPECT_TEXT(rewritten("select * from s final", &s), "42601 syntax error at or near \"final\" @17");
    EXPECT_TEXT(rewritten("select 1; select 2", &s),
                "42601 cannot insert multiple commands into a prepared statement @0");
    EXPECT_TEXT(rewritten(" -- nothing", &s), " -- nothing");
    EXPECT(s.node == NULL);
}

static const char *repeated(const char *head, const char *part, uint32_t times, const char *tail)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_adds(&text, head);
    for (uint32_t i = 0; i < times; i++)
        strbuf_adds(&text, part);
    strbuf_adds(&text, tail);
    struct statement s;
    struct error err;
    const char *result = statement_parse(&arena, text.data, &s, &err) ? "ok" : error_sqlstate(err.code);
    strbuf_release(&text);
    return result;
}

TEST(deep_nesting)
{
    EXPECT_TEXT(repeated("select ", "(", 1000000, ""), "54001");
    EXPECT_TEXT(repeated("select 1", "+1", 1000000, ""), "54001");
    EXPECT_TEXT(repeated("select ", "not ", 100000, "true"), "54001");
    EXPECT_TEXT(repeated("select 1", "::int", 100000, ""), "54001");
    EXPECT_TEXT(repeated("select 1", " union select 1", 100000, ""), "54001");
    EXPECT_TEXT(repeated("select * from a", " cross join a", 100000, ""), "54001");
    EXPECT_TEXT(repeated("select ", "case when true then ", 100000, "1"), "54001");
    EXPECT_TEXT(repeated("select ", "array[", 100000, "1"), "54001");
    EXPECT_TEXT(repeated("select 1", "::int", 1900, ""), "ok");
    EXPECT_TEXT(repeated("select 1", "+1", 1900, ""), "ok");
    EXPECT_TEXT(repeated("select a", " and a", 20000, ""), "ok");
    EXPECT_TEXT(repeated("insert into t values (1)", ", (1 + 2, 'a')", 20000, ""), "ok");
}

TEST(stored_expressions)
{
    PgQuery__Node *node;
    const char *text;
    struct error err;
    EXPECT(statement_parse_expression(&arena, "a + 1 -- x", &node, &err));
    EXPECT(statement_expression_text(&arena, node, &text, &err));
    EXPECT_TEXT(text, "a + 1");
    EXPECT(!statement_parse_expression(&arena, "1) from (select 1", &node, &err));
    struct strbuf out = STRBUF_INIT;
    const char *names[] = {"abc", "Abc", "select", "a\"b", "name", "9a", "ä", ""};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        statement_quote_name(names[i], &out);
        strbuf_addc(&out, ' ');
    }
    EXPECT_TEXT(out.data, "abc \"Abc\" \"select\" \"a\"\"b\" name \"9a\" \"ä\" \"\" ");
    strbuf_release(&out);
}

/* ---- secrets ---- */

static const char *shown(const char *sql)
{
    return redact_in(&arena, sql);
}

TEST(redaction)
{
    EXPECT_TEXT(shown("CREATE SECRET a AS 'x''y'"), "CREATE SECRET a AS '***'");
    EXPECT_TEXT(shown("alter /* */ secret \"A b\" as $t$x$t$; select 'y'"),
                "alter /* */ secret \"A b\" as '***'; select 'y'");
    EXPECT_TEXT(shown("select 1; create secret a as 'cut"), "select 1; create secret a as '***'");
    EXPECT_TEXT(shown("create secret a as \"x\""), "create secret a as '***'");
    EXPECT_TEXT(shown("create secret a 'x'"), "create secret a '***'");
    EXPECT_TEXT(
        shown("create table t (a int) with (\"sasl.password\" = 'x', topic = 'y', url='http://u:z@h', n = "
              "SECRET pw)"),
        "create table t (a int) with (\"sasl.password\" = '***', topic = 'y', url='***', n = SECRET pw)");
    EXPECT_TEXT(shown("alter stream s set (password = $$x"), "alter stream s set (password = '***'");
    EXPECT_TEXT(shown("select * from users where password = 'x'"),
                "select * from users where password = 'x'");
    EXPECT_TEXT(split("create secret a as 'x"), "42601 unterminated quoted string @20");
}

static const char *secret(const char *sql)
{
    struct statement statement;
    struct error err;
    error_init(&err);
    if (!statement_parse(&arena, sql, &statement, &err))
        return arena_printf(&arena, "%s %s @%d", error_sqlstate(err.code), err.message, err.position);
    if (statement.secret == NULL)
        return arena_printf(&arena, "%s", statement.text);
    return arena_printf(&arena, "%d%s %s %s", statement.secret->kind,
                        statement.secret->if_exists ? " exists" : "", statement.secret->name,
                        statement.secret->value != NULL ? statement.secret->value : "-");
}

TEST(secrets)
{
    EXPECT_TEXT(secret("Create Secret Pw As 'it''s'"), "0 pw it's");
    EXPECT_TEXT(secret("create secret if not exists \"P w\" as $a$x'y$a$"), "0 exists P w x'y");
    EXPECT_TEXT(secret("alter secret pw as ''"), "1 pw ");
    EXPECT_TEXT(secret("drop secret if exists pw"), "2 exists pw -");
    EXPECT_TEXT(secret("create secret as as 'x'"), "0 as x");
    EXPECT_TEXT(secret("create secret pw as x"),
                "42601 the value of a secret is a text in single quotes, or between $$ and $$ @21");
    EXPECT_TEXT(secret("create secret pw as 'a' 'b'"), "42601 nothing may follow the statement @25");
    EXPECT_TEXT(secret("create secret"), "42601 syntax error at end of input @14");
    EXPECT_TEXT(secret("create table t (a int) with (a = SECRET  pw, b =secret \"P w\", c = secret)"),
                "create table t (a int) with (a = secr_.pw  , b =secr_.\"P w\" , c = secret)");
    EXPECT_TEXT(secret("create table t (a int) with (a = secret\"p\")"),
                "create table t (a int) with (a = secr_.\"p\")");
    EXPECT_TEXT(secret("create table t (a int) with (a = 'x' 'y')"),
                "42601 syntax error at or near a string @38");
    EXPECT_TEXT(secret("select a = secret pw from t"), "select a = secret pw from t");
}

int main(void)
{
    arena_init(&arena, NULL);
    RUN(redaction);
    RUN(secrets);
    RUN(splits);
    RUN(columns_of_schemas);
    RUN(streams);
    RUN(subscribe);
    RUN(views);
    RUN(errors);
    RUN(deep_nesting);
    RUN(stored_expressions);
    arena_release(&arena);
    return test_result();
}
