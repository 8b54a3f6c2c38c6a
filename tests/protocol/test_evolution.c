/* test_evolution.c: what a schema of records that is not the columns' leads to: nothing, a stop, columns that come or get wider types. */
#include "protocol/format/evolution.h"
#include "tests/test.h"

#define NUMERIC(precision, scale)                                                                            \
    {                                                                                                        \
        OID_NUMERIC, ((precision) << 16 | (scale)) + 4                                                       \
    }
#define WRITERS 17u /* the schema's id */
#define FIELDS  4u

static struct arena arena;

/* A schema as two columns see it, and the fields that are no column. */
struct seen {
    struct format_column columns[2];
    struct evolution_column fares[2];
    const char *unread[FIELDS];
    struct sql_type unread_types[FIELDS];
    struct evolution_view view;
};

static void see(struct seen *seen, struct sql_type a, enum convert_fit fit, struct sql_type natural)
{
    *seen = (struct seen){.columns = {{.name = "a", .type = a}, {.name = "b", .type = {OID_TEXT, -1}}}};
    seen->fares[0] = (struct evolution_column){&seen->columns[0], true, fit, "field", natural};
    seen->fares[1] =
        (struct evolution_column){&seen->columns[1], true, CONVERT_EXACT, "field", {OID_TEXT, -1}};
    seen->view =
        (struct evolution_view){2, seen->fares, 0, (const char *const *)seen->unread, seen->unread_types};
}

static void see_field(struct seen *seen, const char *name, uint32_t oid)
{
    seen->unread[seen->view.unread_count] = name;
    seen->unread_types[seen->view.unread_count++] = (struct sql_type){oid, -1};
}

/* "" or the problem, then what would be done: "a int8", "+ c int4". */
static const char *check(enum evolution_policy policy, const struct seen *known, uint32_t id,
                         const struct seen *seen)
{
    const struct evolution evolution = {policy, known != NULL ? 3 : REGISTRY_NO_ID,
                                        known != NULL ? &known->view : NULL};
    struct evolution_changes changes;
    struct error problem;
    error_init(&problem);
    evolution_check(&evolution, id, &seen->view, &arena, &problem, &changes);
    struct strbuf text = STRBUF_INIT;
    if (problem.code != ERRCODE_NONE) {
        static const char head[] = "the schema of records has changed: ";
        EXPECT_INT(problem.code, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
        EXPECT(strncmp(problem.message, head, strlen(head)) == 0);
        EXPECT_TEXT(problem.detail,
                    arena_printf(&arena, "Schema %u is not the one the columns were made for.", id));
        EXPECT(strstr(problem.hint, arena_printf(&arena, "schema_id to %u", id)) != NULL);
        strbuf_adds(&text, problem.message + strlen(head));
    }
    for (uint32_t i = 0; i < changes.count; i++) {
        const struct format_column *column = &changes.items[i].column;
        strbuf_addf(&text, "%s%s%s ", i > 0 ? ", " : "; ", changes.items[i].is_new ? "+ " : "", column->name);
        type_format(column->type.oid, column->type.typmod, &text);
    }
    const char *copy = arena_strdup(&arena, strbuf_text(&text));
    strbuf_release(&text);
    return copy;
}

static const struct sql_type int4 = {OID_INT4, -1}, int8 = {OID_INT8, -1}, text = {OID_TEXT, -1},
                             jsonb = {OID_JSONB, -1};

#define NO_COLUMN "there is no column for field \"c\""
#define NOT_ALL   "column \"a\" does not hold all values of its field"
#define NO_FIELD  "it has no field for column \"a\""

TEST(what_the_columns_were_made_from)
{
    struct seen seen;
    see(&seen, int4, CONVERT_EXACT, int4);
    EXPECT(evolution_wants_known(&(struct evolution){EVOLUTION_STOP, 3, NULL}));
    EXPECT(evolution_wants_known(&(struct evolution){EVOLUTION_WIDEN, 3, NULL}));
    EXPECT(!evolution_wants_known(&(struct evolution){EVOLUTION_STOP, 3, &seen.view}));
    EXPECT(!evolution_wants_known(&(struct evolution){EVOLUTION_STOP, REGISTRY_NO_ID, NULL}));
    EXPECT(!evolution_wants_known(&(struct evolution){EVOLUTION_IGNORE, 3, NULL})); /* nobody is asked */
}

TEST(nothing_happens)
{
    struct seen same, other;
    see(&same, int4, CONVERT_EXACT, int4);
    see(&other, int4, CONVERT_NEVER, text);
    see_field(&other, "c", OID_INT4);
    for (enum evolution_policy policy = EVOLUTION_IGNORE; policy <= EVOLUTION_WIDEN; policy++) {
        EXPECT_TEXT(check(policy, NULL, WRITERS, &same), "");
        EXPECT_TEXT(check(policy, NULL, REGISTRY_NO_ID, &other), ""); /* of no registry */
        EXPECT_TEXT(check(policy, &same, REGISTRY_NO_ID, &other), "");
        EXPECT_TEXT(check(policy, &same, 3, &other), ""); /* the columns' own */
    }
    EXPECT_TEXT(check(EVOLUTION_IGNORE, NULL, WRITERS, &other), "");
}

TEST(fields_come)
{
    struct seen more, known;
    see(&more, int4, CONVERT_EXACT, int4);
    see_field(&more, "c", OID_INT4);
    see_field(&more, "d", OID_TEXT);
    EXPECT_TEXT(check(EVOLUTION_STOP, NULL, WRITERS, &more), NO_COLUMN);
    EXPECT_TEXT(check(EVOLUTION_ADD, NULL, WRITERS, &more), NO_COLUMN "; + c integer, + d text");
    EXPECT_TEXT(check(EVOLUTION_WIDEN, NULL, WRITERS, &more), NO_COLUMN "; + c integer, + d text");
    /* those without a column in the schema that the columns were made from stay so */
    see(&known, int4, CONVERT_EXACT, int4);
    see_field(&known, "d", OID_TEXT);
    EXPECT_TEXT(check(EVOLUTION_ADD, &known, WRITERS, &more), NO_COLUMN "; + c integer");
    see_field(&known, "c", OID_INT4);
    EXPECT_TEXT(check(EVOLUTION_ADD, &known, WRITERS, &more), "");
    EXPECT_TEXT(check(EVOLUTION_STOP, &known, WRITERS, &more), "");
}

TEST(fields_go)
{
    struct seen fewer, known;
    see(&fewer, int4, CONVERT_EXACT, int4);
    fewer.fares[0].is_found = false;
    EXPECT_TEXT(check(EVOLUTION_STOP, NULL, WRITERS, &fewer), NO_FIELD);
    EXPECT_TEXT(check(EVOLUTION_ADD, NULL, WRITERS, &fewer), ""); /* the column is NULL for them */
    EXPECT_TEXT(check(EVOLUTION_WIDEN, NULL, WRITERS, &fewer), "");
    see(&known, int4, CONVERT_EXACT, int4);
    EXPECT_TEXT(check(EVOLUTION_STOP, &known, WRITERS, &fewer), NO_FIELD);
    known.fares[0].is_found = false;
    EXPECT_TEXT(check(EVOLUTION_STOP, &known, WRITERS, &fewer), "");
}

TEST(fields_get_other_types)
{
    struct seen wide, partly, never, known;
    see(&wide, int4, CONVERT_SOME, int8);
    EXPECT_TEXT(check(EVOLUTION_STOP, NULL, WRITERS, &wide), NOT_ALL);
    EXPECT_TEXT(check(EVOLUTION_ADD, NULL, WRITERS, &wide), NOT_ALL);
    EXPECT_TEXT(check(EVOLUTION_WIDEN, NULL, WRITERS, &wide), NOT_ALL "; a bigint");
    see(&never, int4, CONVERT_NEVER, text);
    EXPECT_TEXT(check(EVOLUTION_WIDEN, NULL, WRITERS, &never), NOT_ALL);
    /* a column that never held all values of its field: only what is worse is news */
    see(&partly, int4, CONVERT_SOME, int8);
    see(&known, int4, CONVERT_SOME, int8);
    EXPECT_TEXT(check(EVOLUTION_STOP, &known, WRITERS, &partly), "");
    EXPECT_TEXT(check(EVOLUTION_WIDEN, &known, WRITERS, &partly), "");
    EXPECT_TEXT(check(EVOLUTION_STOP, &known, WRITERS, &never), NOT_ALL);
    known.fares[0].fit = CONVERT_NEVER;
    EXPECT_TEXT(check(EVOLUTION_STOP, &known, WRITERS, &never), NOT_ALL);
    /* one without a field gets one */
    known.fares[0] =
        (struct evolution_column){.column = &known.columns[0], .is_found = false, .fit = CONVERT_EXACT};
    EXPECT_TEXT(check(EVOLUTION_STOP, &known, WRITERS, &partly), "");
    EXPECT_TEXT(check(EVOLUTION_STOP, &known, WRITERS, &never), NOT_ALL);
}

/* All of it or nothing: a source that goes on with half of the columns would lose the rest. */
TEST(several_at_once)
{
    struct seen both;
    see(&both, int4, CONVERT_SOME, int8);
    see_field(&both, "c", OID_TEXT);
    EXPECT_TEXT(check(EVOLUTION_WIDEN, NULL, WRITERS, &both), NOT_ALL "; a bigint, + c text");
    EXPECT_TEXT(check(EVOLUTION_ADD, NULL, WRITERS, &both), NOT_ALL);
    both.fares[1] = (struct evolution_column){&both.columns[1], true, CONVERT_NEVER, "field", jsonb};
    EXPECT_TEXT(check(EVOLUTION_WIDEN, NULL, WRITERS, &both), NOT_ALL);
    both.fares[0].fit = CONVERT_EXACT;
    EXPECT_TEXT(check(EVOLUTION_WIDEN, NULL, WRITERS, &both),
                "column \"b\" does not hold all values of its field");
    EXPECT_TEXT(check(EVOLUTION_ADD, NULL, WRITERS, &both),
                "column \"b\" does not hold all values of its field");
}

/* ---- which types hold all values of which others, each as itself ---- */

static const struct sql_type types[] = {
    {OID_INT2, -1}, {OID_INT4, -1},    {OID_INT8, -1},   NUMERIC(4, 0),      NUMERIC(5, 0),
    NUMERIC(9, 0),  NUMERIC(10, 0),    NUMERIC(12, 2),   NUMERIC(18, 0),     NUMERIC(19, 0),
    NUMERIC(20, 4), {OID_NUMERIC, -1}, {OID_FLOAT4, -1}, {OID_FLOAT8, -1},   {OID_VARCHAR, 14},
    {OID_TEXT, -1}, {OID_JSONB, -1},   {OID_BOOL, -1},   {OID_TIMESTAMP, -1}};

TEST(wider)
{
    static const char *const wider[] = {
        "smallint: integer, bigint, numeric(5,0), numeric(9,0), numeric(10,0), numeric(12,2), numeric(18,0), "
        "numeric(19,0), numeric(20,4), numeric, real, double precision",
        "integer: bigint, numeric(10,0), numeric(12,2), numeric(18,0), numeric(19,0), numeric(20,4), "
        "numeric, "
        "double precision",
        "bigint: numeric(19,0), numeric",
        "numeric(4,0): numeric(5,0), numeric(9,0), numeric(10,0), numeric(12,2), numeric(18,0), "
        "numeric(19,0), numeric(20,4), numeric",
        "numeric(5,0): numeric(9,0), numeric(10,0), numeric(12,2), numeric(18,0), numeric(19,0), "
        "numeric(20,4), numeric",
        "numeric(9,0): numeric(10,0), numeric(12,2), numeric(18,0), numeric(19,0), numeric(20,4), numeric",
        "numeric(10,0): numeric(12,2), numeric(18,0), numeric(19,0), numeric(20,4), numeric",
        "numeric(12,2): numeric(20,4), numeric",
        "numeric(18,0): numeric(19,0), numeric",
        "numeric(19,0): numeric",
        "numeric(20,4): numeric",
        "numeric: ",
        "real: double precision",
        "double precision: ",
        "character varying(10): text",
        "text: ",
        "jsonb: ",
        "boolean: ",
        "timestamp without time zone: "};
    for (size_t from = 0; from < sizeof(types) / sizeof(*types); from++) {
        struct strbuf line = STRBUF_INIT;
        bool is_first = true;
        type_format(types[from].oid, types[from].typmod, &line);
        strbuf_adds(&line, ": ");
        for (size_t to = 0; to < sizeof(types) / sizeof(*types); to++) {
            struct seen seen;
            see(&seen, types[from], CONVERT_SOME, types[to]);
            if (strcmp(check(EVOLUTION_WIDEN, NULL, WRITERS, &seen), NOT_ALL) == 0)
                continue;
            strbuf_adds(&line, is_first ? "" : ", ");
            type_format(types[to].oid, types[to].typmod, &line);
            is_first = false;
        }
        EXPECT_TEXT(strbuf_text(&line), wider[from]);
        strbuf_release(&line);
    }
}

int main(void)
{
    arena_init(&arena, NULL);
    RUN(what_the_columns_were_made_from);
    RUN(nothing_happens);
    RUN(fields_come);
    RUN(fields_go);
    RUN(fields_get_other_types);
    RUN(several_at_once);
    RUN(wider);
    arena_release(&arena);
    return test_result();
}
