/* copy_options.c: the options of COPY and the rules between them, worded as PostgreSQL's. */
#include "server/copy_options.h"

#include "planner/parse_tree.h"

#include <strings.h>

/* A string, number or word as text; NULL for others. */
static const char *option_text(struct arena *arena, const PgQuery__DefElem *item)
{
    const PgQuery__Node *arg = item->arg;
    if (!node_exists(arg))
        return NULL;
    switch (arg->node_case) {
    case PG_QUERY__NODE__NODE_STRING:
        return arg->string->sval;
    case PG_QUERY__NODE__NODE_BOOLEAN:
        return arg->boolean->boolval ? "true" : "false";
    case PG_QUERY__NODE__NODE_INTEGER:
        return arena_printf(arena, "%d", arg->integer->ival);
    case PG_QUERY__NODE__NODE_FLOAT:
        return arg->float_->fval;
    case PG_QUERY__NODE__NODE_TYPE_NAME:
        return arg->type_name->n_names > 0 ? node_string(arg->type_name->names[arg->type_name->n_names - 1])
                                           : NULL;
    default:
        return NULL;
    }
}

static bool option_bool(struct arena *arena, const PgQuery__DefElem *item, bool *out, struct error *err)
{
    const char *text = option_text(arena, item);
    if (text == NULL || strcasecmp(text, "true") == 0 || strcasecmp(text, "on") == 0 ||
        strcmp(text, "1") == 0) {
        *out = true;
        return true;
    }
    *out = false;
    if (strcasecmp(text, "false") == 0 || strcasecmp(text, "off") == 0 || strcmp(text, "0") == 0)
        return true;
    return error_set(err, ERRCODE_SYNTAX_ERROR, "%s requires a Boolean value", item->defname);
}

static bool option_header(struct arena *arena, const PgQuery__DefElem *item, bool is_from,
                          enum copy_header *out, struct error *err)
{
    const char *text = option_text(arena, item);
    if (text != NULL && strcasecmp(text, "match") == 0) {
        if (!is_from)
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "cannot use \"match\" with HEADER in COPY TO");
        *out = COPY_HEADER_MATCH;
        return true;
    }
    bool on;
    if (!option_bool(arena, item, &on, err))
        return error_set(err, ERRCODE_SYNTAX_ERROR, "%s requires a Boolean value or \"match\"",
                         item->defname);
    *out = on ? COPY_HEADER_LINE : COPY_HEADER_NONE;
    return true;
}

static bool option_names(struct arena *arena, const PgQuery__DefElem *item, struct copy_name_list *out,
                         struct error *err)
{
    out->given = true;
    const PgQuery__Node *arg = item->arg;
    if (node_exists(arg) && arg->node_case == PG_QUERY__NODE__NODE_A_STAR) {
        out->all = true;
        return true;
    }
    if (!node_exists(arg) || arg->node_case != PG_QUERY__NODE__NODE_LIST)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "argument to option \"%s\" must be a list of column names", item->defname);
    out->count = (uint32_t)arg->list->n_items;
    out->names = ARENA_ARRAY(arena, const char *, out->count);
    for (uint32_t i = 0; i < out->count; i++)
        out->names[i] = node_string(arg->list->items[i]);
    return true;
}

struct parsed {
    const char *delimiter, *null_text, *quote, *escape;
    bool header_given;
};

static bool parse_option(struct arena *arena, const PgQuery__DefElem *item, bool is_from,
                         struct copy_settings *out, struct parsed *parsed, struct error *err)
{
    const char *name = item->defname;
    const char *text = option_text(arena, item);
    if (strcmp(name, "format") == 0) {
        if (text != NULL && strcmp(text, "text") == 0)
            out->options.format = COPY_TEXT;
        else if (text != NULL && strcmp(text, "csv") == 0)
            out->options.format = COPY_CSV;
        else if (text != NULL && strcmp(text, "binary") == 0)
            out->options.format = COPY_BINARY;
        else
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "COPY format \"%s\" not recognized",
                             text != NULL ? text : "");
        return true;
    }
    bool ignored;
    if (strcmp(name, "freeze") == 0)
        return option_bool(arena, item, &ignored, err);
    if (strcmp(name, "header") == 0) {
        parsed->header_given = true;
        return option_header(arena, item, is_from, &out->options.header, err);
    }
    if (strcmp(name, "force_quote") == 0)
        return option_names(arena, item, &out->force_quote, err);
    if (strcmp(name, "force_not_null") == 0)
        return option_names(arena, item, &out->force_not_null, err);
    if (strcmp(name, "force_null") == 0)
        return option_names(arena, item, &out->force_null, err);
    bool known = strcmp(name, "delimiter") == 0 || strcmp(name, "null") == 0 || strcmp(name, "quote") == 0 ||
                 strcmp(name, "escape") == 0 || strcmp(name, "encoding") == 0;
    if (!known)
        return error_set(err, ERRCODE_SYNTAX_ERROR, "option \"%s\" not recognized", name);
    if (text == NULL)
        return error_set(err, ERRCODE_SYNTAX_ERROR, "%s requires a parameter", name);
    if (strcmp(name, "delimiter") == 0) {
        parsed->delimiter = text;
    } else if (strcmp(name, "null") == 0) {
        parsed->null_text = text;
    } else if (strcmp(name, "quote") == 0) {
        parsed->quote = text;
    } else if (strcmp(name, "escape") == 0) {
        parsed->escape = text;
    } else if (strcasecmp(text, "utf8") != 0 && strcasecmp(text, "utf-8") != 0 &&
               strcasecmp(text, "unicode") != 0) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "argument to option \"encoding\" must be a valid encoding name");
        return error_detail(err, "Only UTF8 is supported.");
    }
    return true;
}

/* What PostgreSQL's ProcessCopyOptions checks between options. */
static bool check(const PgQuery__CopyStmt *stmt, struct copy_settings *out, const struct parsed *parsed,
                  struct error *err)
{
    struct copy_options *options = &out->options;
    bool csv = options->format == COPY_CSV;
    const char *null_text = options->null_text;
    if (options->format == COPY_BINARY) {
        if (parsed->delimiter != NULL)
            return error_set(err, ERRCODE_SYNTAX_ERROR, "cannot specify DELIMITER in BINARY mode");
        if (parsed->null_text != NULL)
            return error_set(err, ERRCODE_SYNTAX_ERROR, "cannot specify NULL in BINARY mode");
        if (options->header != COPY_HEADER_NONE)
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot specify HEADER in BINARY mode");
    }
    if (parsed->delimiter != NULL && strlen(parsed->delimiter) != 1)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "COPY delimiter must be a single one-byte character");
    if (options->delimiter == '\n' || options->delimiter == '\r')
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "COPY delimiter cannot be newline or carriage return");
    if (strpbrk(null_text, "\r\n") != NULL)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "COPY null representation cannot use newline or carriage return");
    if (!csv && options->delimiter != '\0' &&
        strchr("\\.abcdefghijklmnopqrstuvwxyz0123456789", options->delimiter) != NULL)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "COPY delimiter cannot be \"%c\"",
                         options->delimiter);
    if (!csv && parsed->quote != NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "COPY quote available only in CSV mode");
    if (parsed->quote != NULL && strlen(parsed->quote) != 1)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "COPY quote must be a single one-byte character");
    if (csv && options->delimiter == options->quote)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "COPY delimiter and quote must be different");
    if (!csv && parsed->escape != NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "COPY escape available only in CSV mode");
    if (parsed->escape != NULL && strlen(parsed->escape) != 1)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "COPY escape must be a single one-byte character");
    if (out->force_quote.given && !csv)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "COPY force quote available only in CSV mode");
    if (out->force_quote.given && stmt->is_from)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "COPY force quote only available using COPY TO");
    if (out->force_not_null.given && !csv)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "COPY force not null available only in CSV mode");
    if (out->force_not_null.given && !stmt->is_from)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "COPY force not null only available using COPY FROM");
    if (out->force_null.given && !csv)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "COPY force null available only in CSV mode");
    if (out->force_null.given && !stmt->is_from)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "COPY force null only available using COPY FROM");
    if (options->delimiter != '\0' && strchr(null_text, options->delimiter) != NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "COPY delimiter must not appear in the NULL specification");
    if (csv && strchr(null_text, options->quote) != NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "CSV quote character must not appear in the NULL specification");
    return true;
}

bool copy_settings_parse(struct arena *arena, const PgQuery__CopyStmt *stmt, struct copy_settings *out,
                         struct error *err)
{
    *out = (struct copy_settings){0};
    struct parsed parsed = {0};
    for (size_t i = 0; i < stmt->n_options; i++) {
        if (stmt->options[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM)
            continue;
        const PgQuery__DefElem *item = stmt->options[i]->def_elem;
        for (size_t before = 0; before < i; before++) {
            if (strcmp(stmt->options[before]->def_elem->defname, item->defname) == 0)
                return error_set(err, ERRCODE_SYNTAX_ERROR, "conflicting or redundant options");
        }
        if (!parse_option(arena, item, stmt->is_from, out, &parsed, err))
            return false;
    }
    bool csv = out->options.format == COPY_CSV;
    const char *null_text = parsed.null_text != NULL ? parsed.null_text : csv ? "" : "\\N";
    out->options.null_text = arena_strdup(arena, null_text);
    out->options.delimiter = parsed.delimiter != NULL ? parsed.delimiter[0] : csv ? ',' : '\t';
    if (csv) {
        out->options.quote = parsed.quote != NULL ? parsed.quote[0] : '"';
        out->options.escape = parsed.escape != NULL ? parsed.escape[0] : out->options.quote;
    }
    return check(stmt, out, &parsed, err);
}

static bool resolve(struct arena *arena, const struct copy_name_list *list, const char *option,
                    const char *const *names, uint32_t names_count, const bool **out, struct error *err)
{
    if (!list->given)
        return true;
    bool *flags = ARENA_ARRAY(arena, bool, names_count);
    for (uint32_t i = 0; i < names_count; i++)
        flags[i] = list->all;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t column = 0;
        while (column < names_count && strcmp(names[column], list->names[i]) != 0)
            column++;
        if (column == names_count)
            return error_set(err, ERRCODE_INVALID_COLUMN_REFERENCE, "%s column \"%s\" not referenced by COPY",
                             option, list->names[i]);
        flags[column] = true;
    }
    *out = flags;
    return true;
}

bool copy_settings_resolve(struct arena *arena, struct copy_settings *settings, const char *const *names,
                           uint32_t names_count, struct error *err)
{
    struct copy_options *options = &settings->options;
    return resolve(arena, &settings->force_quote, "FORCE_QUOTE", names, names_count, &options->force_quote,
                   err) &&
           resolve(arena, &settings->force_not_null, "FORCE_NOT_NULL", names, names_count,
                   &options->force_not_null, err) &&
           resolve(arena, &settings->force_null, "FORCE_NULL", names, names_count, &options->force_null, err);
}
