/* reference.c: Markdown from the rows of the tables of functions, aggregates, settings, connectors, system
 * views and types. */
#include "server/reference.h"

#include "planner/catalog.h"
#include "planner/pass.h"
#include "planner/routines.h"
#include "protocol/connector/connector.h"
#include "protocol/connector/lookup.h"
#include "protocol/connector/partitioned.h"
#include "protocol/connector/sink.h"
#include "protocol/format/format.h"
#include "server/external.h"
#include "server/session_settings.h"
#include "server/settings.h"
#include "server/sinks.h"
#include "server/sources.h"
#include "server/system_views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct page {
    const char *name;
    const char *title;
    void (*print)(struct strbuf *out);
};

/* ---- Markdown ---- */

/* Text inside a table: a bar would end the cell. */
static void add_cell_text(struct strbuf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            strbuf_addc(out, '\\');
        strbuf_addc(out, *text);
    }
}

static void add_cell(struct strbuf *out, const char *text)
{
    strbuf_adds(out, "| ");
    add_cell_text(out, text != NULL ? text : "");
    strbuf_addc(out, ' ');
}

/* In two backquotes, so that the text may hold one. */
static void add_code_cell(struct strbuf *out, const char *text)
{
    const char *quote = strchr(text, '`') != NULL ? "``" : "`";
    strbuf_addf(out, "| %s%s", quote, quote[1] != '\0' ? " " : "");
    add_cell_text(out, text);
    strbuf_addf(out, "%s%s ", quote[1] != '\0' ? " " : "", quote);
}

static void add_row_end(struct strbuf *out)
{
    strbuf_adds(out, "|\n");
}

/* "a|b|c": the head of a table of three columns. */
static void add_table_head(struct strbuf *out, const char *columns)
{
    struct strbuf line = STRBUF_INIT;
    strbuf_adds(out, "\n| ");
    strbuf_addc(&line, '|');
    for (const char *c = columns; *c != '\0'; c++) {
        if (*c != '|') {
            strbuf_addc(out, *c);
            continue;
        }
        strbuf_adds(out, c[1] != '\0' ? " | " : " |");
        strbuf_adds(&line, "---|");
    }
    strbuf_addf(out, " |\n%s---|\n", strbuf_text(&line));
    strbuf_release(&line);
}

/* ---- functions ---- */

/* One line of a table of functions, in order of names and arguments. */
struct line {
    const char *name, *call, *result, *help, *note;
};

struct lines {
    struct arena arena;
    struct line *items;
    uint32_t count, cap;
};

static int compare_lines(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : strcmp(left->call, right->call);
}

static void lines_print(struct lines *lines, const char *head, struct strbuf *out)
{
    qsort(lines->items, lines->count, sizeof(*lines->items), compare_lines);
    add_table_head(out, head);
    for (uint32_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->items[i];
        add_code_cell(out, line->call);
        add_code_cell(out, line->result);
        add_cell(out, line->help);
        if (line->note != NULL)
            add_cell(out, line->note);
        add_row_end(out);
    }
    arena_release(&lines->arena);
}

static const char *lines_text(struct lines *lines, struct strbuf *text)
{
    const char *copy = arena_strndup(&lines->arena, strbuf_text(text), text->len);
    strbuf_release(text);
    return copy;
}

static void lines_add_routine(struct lines *lines, const struct routine *routine, const char *note)
{
    struct strbuf call = STRBUF_INIT, result = STRBUF_INIT;
    if (routine->kind == ROUTINE_OPERATOR) {
        bool is_prefix = routine->signature->args_count == 1;
        if (!is_prefix) {
            type_format(routine->signature->args[0], -1, &call);
            strbuf_addc(&call, ' ');
        }
        strbuf_addf(&call, "%s ", routine->name);
        type_format(routine->signature->args[!is_prefix], -1, &call);
    } else {
        strbuf_addf(&call, "%s(", routine->name);
        routine_arguments(routine, &call);
        strbuf_addc(&call, ')');
    }
    routine_result(routine, &result);
    struct line line = {.name = routine->name, .help = routine->help, .note = note};
    line.call = lines_text(lines, &call);
    line.result = lines_text(lines, &result);
    ARENA_PUSH(&lines->arena, lines->items, lines->count, lines->cap, line);
}

static const char *function_note(const struct function_row *function)
{
    if ((function->flags & FN_VOLATILE) != 0)
        return "volatile";
    if ((function->flags & FN_STABLE) != 0)
        return (function->flags & FN_VIEW_OK) != 0 ? "stable, kept by views" : "stable";
    return "";
}

static void print_functions_if(struct strbuf *out, enum routine_kind kind, bool is_set)
{
    struct lines lines = {0};
    arena_init(&lines.arena, NULL);
    const struct routine *routine;
    for (size_t i = 0; (routine = routine_at(i)) != NULL; i++) {
        if (routine->kind == kind && (routine->function->flags & FN_HIDDEN) == 0 &&
            routine_returns_set(routine) == is_set)
            lines_add_routine(&lines, routine, function_note(routine->function));
    }
    lines_print(&lines, kind == ROUTINE_OPERATOR ? "operator|result|meaning|" : "call|result|meaning|", out);
}

static void print_casts(struct strbuf *out)
{
    struct lines lines = {0};
    arena_init(&lines.arena, NULL);
    const struct function_row *function;
    for (size_t i = 0; (function = function_at(i)) != NULL; i++) {
        if ((function->flags & FN_CAST) == 0 || (function->flags & FN_HIDDEN) != 0)
            continue;
        const struct function_signature *signature = function_signature(function);
        struct strbuf source = STRBUF_INIT, target = STRBUF_INIT;
        type_format(signature->args[0], -1, &source);
        type_format(signature->result, -1, &target);
        struct line line = {.help = (function->flags & FN_CAST_IMPLICIT) != 0     ? "everywhere"
                                    : (function->flags & FN_CAST_ASSIGNMENT) != 0 ? "in assignments"
                                                                                  : "when written"};
        line.name = line.call = lines_text(&lines, &source);
        line.result = lines_text(&lines, &target);
        ARENA_PUSH(&lines.arena, lines.items, lines.count, lines.cap, line);
    }
    lines_print(&lines, "from|to|happens", out);
}

static void print_functions(struct strbuf *out)
{
    strbuf_adds(out,
                "The last column: a *volatile* function is computed for every row, a *stable* one "
                "depends on the session or the\ntransaction. Neither is allowed in a materialized view, "
                "except stable ones that are *kept by views*: these depend on\nthe time zone only, which "
                "a view keeps from its creation. See also [aggregates](aggregates.md).\n\n"
                "## Functions\n");
    print_functions_if(out, ROUTINE_FUNCTION, false);
    strbuf_adds(out, "\n## Functions that return rows\n");
    print_functions_if(out, ROUTINE_FUNCTION, true);
    strbuf_adds(out, "\n## Operators\n");
    print_functions_if(out, ROUTINE_OPERATOR, false);
    strbuf_adds(out, "\n## Casts\n\nEvery type can also be cast from and to text when written, as "
                     "`'5'::integer` or `CAST(a AS text)`.\n");
    print_casts(out);
}

static const char *aggregate_note(const struct aggregate_row *aggregate)
{
    if ((aggregate->flags & (AGG_ORDERED | AGG_ORDERED_SET)) != 0)
        return "the group's values, in order";
    if ((aggregate->flags & AGG_APPEND_ONLY_ADD) != 0)
        return "one value over append-only input, else the group's values, in order";
    return "a fixed number of bytes per group";
}

static void print_aggregates(struct strbuf *out)
{
    struct lines aggregates = {0}, windows = {0};
    arena_init(&aggregates.arena, NULL);
    arena_init(&windows.arena, NULL);
    const struct routine *routine;
    for (size_t i = 0; (routine = routine_at(i)) != NULL; i++) {
        if (routine->kind == ROUTINE_AGGREGATE)
            lines_add_routine(&aggregates, routine, aggregate_note(routine->aggregate));
        else if (routine->kind == ROUTINE_WINDOW)
            lines_add_routine(&windows, routine, NULL);
    }
    strbuf_adds(out,
                "All of them take FILTER; all but those WITHIN GROUP take DISTINCT and ORDER BY, or OVER.\n"
                "\n## Aggregates\n");
    lines_print(&aggregates, "call|result|meaning|what a view keeps", out);
    strbuf_adds(out, "\n## Window functions\n\nThese need OVER.\n");
    lines_print(&windows, "call|result|meaning", out);
}

/* ---- settings ---- */

static void print_process_settings(struct strbuf *out)
{
    add_table_head(out, "option|environment|default|least|most|meaning");
    size_t count;
    const struct setting_row *rows = settings_rows(&count);
    for (size_t i = 0; i < count; i++) {
        struct strbuf text = STRBUF_INIT;
        strbuf_addf(&text, "--%s", rows[i].name);
        add_code_cell(out, strbuf_text(&text));
        strbuf_reset(&text);
        settings_environment_name(&rows[i], &text);
        add_code_cell(out, strbuf_text(&text));
        add_code_cell(out, rows[i].default_text);
        strbuf_release(&text);
        if (rows[i].type == SETTING_INTEGER)
            strbuf_addf(out, "| %lld | %lld ", (long long)rows[i].min, (long long)rows[i].max);
        else
            strbuf_adds(out, "| | ");
        add_cell(out, rows[i].help);
        add_row_end(out);
    }
}

static void print_session_settings(struct strbuf *out)
{
    add_table_head(out, "setting|type|default|meaning");
    struct session_settings *settings = session_settings_create();
    struct session_setting_info info;
    for (uint32_t i = 0; session_settings_at(settings, i, &info); i++) {
        add_code_cell(out, info.name);
        strbuf_addf(out, "| %s%s%s%s ", info.type, info.unit != NULL ? ", " : "",
                    info.unit != NULL ? info.unit : "",
                    strcmp(info.context, "internal") == 0 ? ", read only" : "");
        if (info.boot[0] != '\0')
            add_code_cell(out, info.boot);
        else
            add_cell(out, "");
        add_cell(out, info.help);
        add_row_end(out);
    }
    session_settings_destroy(settings);
}

static void print_settings(struct strbuf *out)
{
    strbuf_adds(out, "## Of the server\n\nGiven on the command line or in the environment; the command line "
                     "wins. Sizes take kB, MB, GB, TB.\n");
    print_process_settings(out);
    strbuf_adds(out,
                "\n## Of a session\n\n`SET name = value`, `SET LOCAL`, `RESET`, `SHOW`; also in the "
                "start-up packet's `options`. Names with a dot that\nare not listed are settings of your "
                "own: any text.\n");
    print_session_settings(out);
    strbuf_adds(out,
                "\n## Optimizer passes\n\nEXPLAIN shows what they made. `passes_off` leaves some out: the "
                "sum of their numbers.\n");
    add_table_head(out, "number|pass|what it does");
    for (uint32_t i = 0; i < plan_passes_count; i++) {
        if (plan_passes[i].is_required)
            add_cell(out, "always on");
        else
            strbuf_addf(out, "| %lu ", 1ul << i);
        add_cell(out, plan_passes[i].name);
        add_cell(out, plan_passes[i].help);
        add_row_end(out);
    }
}

/* ---- connectors ---- */

static void print_options(const struct connector_option_row *rows, struct strbuf *out)
{
    add_table_head(out, "option|default|meaning");
    for (const struct connector_option_row *row = rows; row->name != NULL; row++) {
        add_code_cell(out, row->name);
        if (row->default_value == NULL)
            add_cell(out, "required");
        else if (row->default_value[0] != '\0')
            add_code_cell(out, row->default_value);
        else
            add_cell(out, "");
        add_cell(out, row->help);
        add_row_end(out);
    }
}

/* Sources over logs in partitions, and the formats of their records. */
static void print_logs(struct strbuf *out)
{
    const struct partitioned_class *class;
    const struct format_class *format;
    for (size_t i = 0; (class = partitioned_at(i)) != NULL; i++) {
        strbuf_addf(out, "\n## %s\n\n%s.\n", class->name, class->help);
        print_options(class->options, out);
        strbuf_adds(out, "\nOf every source whose records have offsets, see [Kafka](kafka.md):\n");
        print_options(source_log_options, out);
    }
    strbuf_adds(out,
                "\n## Formats\n\nThe option `format` says how a record becomes a row, and a row a record.\n");
    for (size_t i = 0; (format = format_at(i)) != NULL; i++) {
        strbuf_addf(out, "\n### %s\n\n%s.\n", format->name, format->help);
        if (format->options->name != NULL)
            print_options(format->options, out);
    }
}

static void print_connectors(struct strbuf *out)
{
    strbuf_adds(out,
                "`CREATE STREAM name (columns) WITH (connector = 'NAME', option = 'value', ...)` makes a "
                "stream that the server feeds\nitself.\n");
    const struct connector_class *class;
    for (size_t i = 0; (class = connector_at(i)) != NULL; i++) {
        strbuf_addf(out, "\n## %s\n\n%s.\n", class->name, class->help);
        print_options(class->options, out);
    }
    print_logs(out);
    strbuf_adds(out,
                "\n## External tables\n\n`CREATE EXTERNAL TABLE name (columns, PRIMARY KEY (...)) WITH "
                "(connector = 'NAME', option = 'value', ...)` names a table\nof another database, in which "
                "a materialized view looks rows up by their key. Options of all of them:\n");
    print_options(external_options, out);
    const struct lookup_class *lookup;
    for (size_t i = 0; (lookup = lookup_at(i)) != NULL; i++) {
        strbuf_addf(out, "\n### %s\n\n%s.\n", lookup->name, lookup->help);
        print_options(lookup->options, out);
    }
    strbuf_adds(
        out,
        "\n## Sinks\n\n`CREATE SINK name FROM relation | AS SELECT ... WITH (connector = 'NAME', option = "
        "'value', ...)` sends the changes of a\nrelation, or of a query, to somewhere else. Options of all "
        "of them, beside those of the format:\n");
    print_options(sink_options, out);
    const struct sink_class *sink;
    for (size_t i = 0; (sink = sink_at(i)) != NULL; i++) {
        strbuf_addf(out, "\n### %s\n\n%s.\n", sink->name, sink->help);
        print_options(sink->options, out);
    }
}

/* ---- system views ---- */

/* "oid oid = 0, name text" without what the columns hold by default. */
static void columns_text(const char *columns, struct strbuf *out)
{
    bool in_default = false, in_quotes = false;
    for (const char *c = columns; *c != '\0'; c++) {
        if (*c == '\'')
            in_quotes = !in_quotes;
        if (*c == ',' && !in_quotes)
            in_default = false;
        if (strncmp(c, " =", 2) == 0 && !in_quotes)
            in_default = true;
        if (!in_default)
            strbuf_addc(out, *c);
    }
}

static int compare_views(const void *a, const void *b)
{
    const struct system_view_row *left = *(const struct system_view_row *const *)a;
    const struct system_view_row *right = *(const struct system_view_row *const *)b;
    return strcmp(left->name, right->name);
}

static void print_schema(struct strbuf *out, const char *name, uint32_t schema_oid, const char *about)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const struct system_view_row **views = NULL, *view;
    uint32_t count = 0, cap = 0;
    for (size_t i = 0; (view = system_view_at(i)) != NULL; i++) {
        if (view->schema_oid == schema_oid)
            ARENA_PUSH(&arena, views, count, cap, view);
    }
    if (count > 0)
        qsort(views, count, sizeof(*views), compare_views);
    strbuf_addf(out, "\n## %s\n\n%s\n", name, about);
    add_table_head(out, "name|what it shows|columns");
    for (uint32_t i = 0; i < count; i++) {
        struct strbuf columns = STRBUF_INIT;
        columns_text(views[i]->columns, &columns);
        add_code_cell(out, views[i]->name);
        add_cell(out, views[i]->rows != NULL ? views[i]->help : "always empty: there is nothing of the kind");
        add_cell(out, strbuf_text(&columns));
        add_row_end(out);
        strbuf_release(&columns);
    }
    arena_release(&arena);
}

static void print_system_views(struct strbuf *out)
{
    strbuf_adds(out, "Their rows are made when they are read; they can be queried and joined like any "
                     "relation, but not by a materialized\nview.\n");
    print_schema(out, "millrace", SCHEMA_MILLRACE, "What PostgreSQL has no place for.");
    print_schema(out, "pg_catalog", SCHEMA_PG_CATALOG,
                 "As PostgreSQL 15's, for psql and drivers. Always searched first.");
    print_schema(out, "information_schema", SCHEMA_INFORMATION_SCHEMA, "As the standard describes it.");
}

/* ---- types ---- */

static void print_types_if(struct strbuf *out, bool is_pseudo)
{
    add_table_head(out, "type|pg name|OID|bytes|meaning");
    size_t count;
    const struct type_row *rows = type_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (type_is_array(rows[i].oid) && rows[i].category == 'A' && rows[i].name[0] == '_')
            continue;
        if (is_pseudo != (rows[i].category == 'P' || rows[i].category == 'X'))
            continue;
        add_code_cell(out, rows[i].sql_name);
        add_code_cell(out, rows[i].name);
        strbuf_addf(out, "| %lu ", (unsigned long)rows[i].oid);
        if (rows[i].typlen > 0)
            strbuf_addf(out, "| %d ", rows[i].typlen);
        else
            add_cell(out, "varies");
        add_cell(out, rows[i].help);
        add_row_end(out);
    }
}

static void print_types(struct strbuf *out)
{
    strbuf_adds(out,
                "Names, numbers and both forms on the wire, text and binary, are PostgreSQL's. Every type "
                "has an array type, written\n`integer[]`.\n");
    print_types_if(out, false);
    strbuf_adds(out, "\n## Pseudo-types\n\nOf arguments, results and unknown literals; no column has one.\n");
    print_types_if(out, true);
}

/* ---- pages ---- */

static const struct page pages[] = {
    {"functions", "Functions and operators", print_functions},
    {"aggregates", "Aggregates and window functions", print_aggregates},
    {"settings", "Settings", print_settings},
    {"connectors", "Connectors", print_connectors},
    {"system-views", "System views", print_system_views},
    {"types", "Types", print_types},
};

static bool page_write(const struct page *page, const char *dir, struct error *err)
{
    struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;
    strbuf_addf(&path, "%s/%s.md", dir, page->name);
    strbuf_addf(&text,
                "# %s\n\nGenerated from the server's own tables: run `./dev docs` after changing them.\n\n",
                page->title);
    page->print(&text);
    FILE *file = fopen(strbuf_text(&path), "w");
    bool ok = file != NULL && fwrite(text.data, 1, text.len, file) == text.len;
    if (file != NULL && fclose(file) != 0)
        ok = false;
    if (!ok)
        error_set(err, ERRCODE_IO_ERROR, "could not write \"%s\": %s", strbuf_text(&path), strerror(errno));
    strbuf_release(&path);
    strbuf_release(&text);
    return ok;
}

bool reference_write(const char *dir, struct error *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
        if (!page_write(&pages[i], dir, err))
            return false;
    }
    return true;
}
