/* SELECT from text to rows and to plans, against golden files.
 *
 * select.golden: statements and what PostgreSQL 15 answers; they must give the same with every pass on, with
 * all switched off and with each single one off. plans.golden: plans as EXPLAIN shows them.
 * MILLRACE_UPDATE_GOLDEN=1 writes the files anew: look at the difference before committing it. */
#include "planner/pass.h"
#include "tests/planner/select_harness.h"
#include "tests/test.h"

static const char *golden_path(const char *name)
{
    static char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - __FILE__), __FILE__, name);
    return path;
}

/* Runs every "-- statement" of the file and gives statements with results. */
static void replay(const char *golden, uint32_t passes_off, bool for_view, struct strbuf *out)
{
    struct harness h;
    harness_open(&h);
    h.passes_off = passes_off;
    h.for_view = for_view;
    const char *cursor = golden;
    while (*cursor != '\0') {
        size_t len = strcspn(cursor, "\n");
        if (strncmp(cursor, "-- ", 3) == 0) {
            char *sql = arena_strndup(&h.arena, cursor + 3, len - 3);
            strbuf_addf(out, "-- %s\n", sql);
            harness_run(&h, sql, out);
        }
        cursor += len + (cursor[len] == '\n');
    }
    harness_close(&h);
}

static void read_file(const char *path, struct strbuf *out)
{
    FILE *file = fopen(path, "r");
    char buffer[4096];
    size_t n;
    CHECK(file != NULL);
    while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
        strbuf_add(out, buffer, n);
    fclose(file);
}

/* Reports the first statement whose result differs. */
static void compare(const char *got, const char *expected, uint32_t passes_off)
{
    size_t statement = 0;
    for (size_t i = 0; got[i] != '\0' || expected[i] != '\0'; i++) {
        if (i > 0 && got[i - 1] == '\n' && strncmp(got + i, "-- ", 3) == 0)
            statement = i;
        if (got[i] == expected[i])
            continue;
        fprintf(stderr, "passes_off %x: %.*s\n--- got\n%.600s\n--- expected\n%.600s\n", passes_off,
                (int)strcspn(got + statement, "\n"), got + statement, got + statement, expected + statement);
        EXPECT(!"result as in the golden file");
        return;
    }
}

static void check_golden(const char *name, bool every_pass, bool for_view)
{
    struct strbuf expected = STRBUF_INIT, got = STRBUF_INIT;
    read_file(golden_path(name), &expected);
    replay(strbuf_text(&expected), 0, for_view, &got);
    if (getenv("MILLRACE_UPDATE_GOLDEN") != NULL) {
        FILE *file = fopen(golden_path(name), "w");
        CHECK(file != NULL);
        fputs(strbuf_text(&got), file);
        fclose(file);
    } else {
        compare(strbuf_text(&got), strbuf_text(&expected), 0);
    }
    for (uint32_t i = 0; every_pass && i <= plan_passes_count; i++) {
        uint32_t off = i == plan_passes_count ? UINT32_MAX : 1u << i;
        if (off != UINT32_MAX && plan_passes[i].is_required)
            continue;
        strbuf_reset(&got);
        replay(strbuf_text(&expected), off, for_view, &got);
        compare(strbuf_text(&got), strbuf_text(&expected), off);
    }
    strbuf_release(&expected);
    strbuf_release(&got);
}

TEST(results_are_those_of_postgresql)
{
    check_golden("select.golden", true, false);
}

TEST(plans)
{
    check_golden("plans.golden", false, false);
}

TEST(plans_of_views)
{
    check_golden("views.golden", false, true);
}

static void explain_for_view(struct harness *h, const char *sql, const char *expected)
{
    struct strbuf out = STRBUF_INIT;
    h->for_view = true;
    harness_run(h, sql, &out);
    EXPECT_TEXT(strbuf_text(&out), expected);
    strbuf_release(&out);
}

TEST(views_refuse_what_changes_by_itself)
{
    struct harness h;
    struct strbuf out = STRBUF_INIT;
    harness_open(&h);
    harness_run(&h, "create table t(a int4, ts timestamptz)", &out);
    explain_for_view(&h, "explain select random() from t",
                     "ERROR 0A000: random() is not supported in a materialized view\n");
    explain_for_view(&h, "explain select * from t order by a", "Scan t [#0, #1]\n");
    explain_for_view(&h, "explain select * from t limit $1", "ERROR 42P02 at 31: there is no parameter $1\n");
    strbuf_release(&out);
    harness_close(&h);
}

TEST(deep_nesting_is_an_error)
{
    struct harness h;
    struct strbuf sql = STRBUF_INIT, out = STRBUF_INIT;
    harness_open(&h);
    strbuf_adds(&sql, "select 1");
    for (int i = 0; i < 2100; i++)
        strbuf_adds(&sql, "+1");
    harness_run(&h, strbuf_text(&sql), &out);
    EXPECT_TEXT(strbuf_text(&out), "ERROR 54001: stack depth limit exceeded\n");
    strbuf_reset(&sql);
    strbuf_reset(&out);
    strbuf_adds(&sql, "select 1 where 1 = 1");
    for (int i = 0; i < 10000; i++)
        strbuf_adds(&sql, " and 1 = 1");
    harness_run(&h, strbuf_text(&sql), &out);
    EXPECT_TEXT(strbuf_text(&out), "1\n");
    strbuf_release(&sql);
    strbuf_release(&out);
    harness_close(&h);
}

int main(void)
{
    RUN(results_are_those_of_postgresql);
    RUN(plans);
    RUN(plans_of_views);
    RUN(views_refuse_what_changes_by_itself);
    RUN(deep_nesting_is_an_error);
    return test_result();
}
