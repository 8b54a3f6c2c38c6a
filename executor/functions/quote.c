/* quote.c: quoting of identifiers and literals as PostgreSQL's quote_ident and quote_literal do it. */
#include "executor/functions/quote.h"

#include <stdbool.h>

/* Every key word that is not "unreserved" (PostgreSQL manual, appendix C), in order. */
static const char *const keywords[] = {"all",
                                       "analyse",
                                       "analyze",
                                       "and",
                                       "any",
                                       "array",
                                       "as",
                                       "asc",
                                       "asymmetric",
                                       "authorization",
                                       "between",
                                       "bigint",
                                       "binary",
                                       "bit",
                                       "boolean",
                                       "both",
                                       "case",
                                       "cast",
                                       "char",
                                       "character",
                                       "check",
                                       "coalesce",
                                       "collate",
                                       "collation",
                                       "column",
                                       "concurrently",
                                       "constraint",
                                       "create",
                                       "cross",
                                       "current_catalog",
                                       "current_date",
                                       "current_role",
                                       "current_schema",
                                       "current_time",
                                       "current_timestamp",
                                       "current_user",
                                       "dec",
                                       "decimal",
                                       "default",
                                       "deferrable",
                                       "desc",
                                       "distinct",
                                       "do",
                                       "else",
                                       "end",
                                       "except",
                                       "exists",
                                       "extract",
                                       "false",
                                       "fetch",
                                       "float",
                                       "for",
                                       "foreign",
                                       "freeze",
                                       "from",
                                       "full",
                                       "grant",
                                       "greatest",
                                       "group",
                                       "grouping",
                                       "having",
                                       "ilike",
                                       "in",
                                       "initially",
                                       "inner",
                                       "inout",
                                       "int",
                                       "integer",
                                       "intersect",
                                       "interval",
                                       "into",
                                       "is",
                                       "isnull",
                                       "join",
                                       "lateral",
                                       "leading",
                                       "least",
                                       "left",
                                       "like",
                                       "limit",
                                       "localtime",
                                       "localtimestamp",
                                       "national",
                                       "natural",
                                       "nchar",
                                       "none",
                                       "normalize",
                                       "not",
                                       "notnull",
                                       "null",
                                       "nullif",
                                       "numeric",
                                       "offset",
                                       "on",
                                       "only",
                                       "or",
                                       "order",
                                       "out",
                                       "outer",
                                       "overlaps",
                                       "overlay",
                                       "placing",
                                       "position",
                                       "precision",
                                       "primary",
                                       "real",
                                       "references",
                                       "returning",
                                       "right",
                                       "row",
                                       "select",
                                       "session_user",
                                       "setof",
                                       "similar",
                                       "smallint",
                                       "some",
                                       "substring",
                                       "symmetric",
                                       "table",
                                       "tablesample",
                                       "then",
                                       "time",
                                       "timestamp",
                                       "to",
                                       "trailing",
                                       "treat",
                                       "trim",
                                       "true",
                                       "union",
                                       "unique",
                                       "user",
                                       "using",
                                       "values",
                                       "varchar",
                                       "variadic",
                                       "verbose",
                                       "when",
                                       "where",
                                       "window",
                                       "with",
                                       "xmlattributes",
                                       "xmlconcat",
                                       "xmlelement",
                                       "xmlexists",
                                       "xmlforest",
                                       "xmlnamespaces",
                                       "xmlparse",
                                       "xmlpi",
                                       "xmlroot",
                                       "xmlserialize",
                                       "xmltable"};

static bool is_keyword(const char *text, size_t len)
{
    size_t low = 0, high = ARRAY_COUNT(keywords);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strncmp(text, keywords[middle], len);
        if (order == 0)
            order = keywords[middle][len] == '\0' ? 0 : -1;
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static bool is_plain_identifier(const char *text, size_t len)
{
    if (len == 0 || !((text[0] >= 'a' && text[0] <= 'z') || text[0] == '_'))
        return false;
    for (size_t i = 1; i < len; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return !is_keyword(text, len);
}

static void add_doubled(const char *text, size_t len, char quote, struct strbuf *out)
{
    strbuf_addc(out, quote);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == quote || (quote == '\'' && text[i] == '\\'))
            strbuf_addc(out, text[i]);
        strbuf_addc(out, text[i]);
    }
    strbuf_addc(out, quote);
}

void quote_identifier(const char *text, size_t len, struct strbuf *out)
{
    if (is_plain_identifier(text, len))
        strbuf_add(out, text, len);
    else
        add_doubled(text, len, '"', out);
}

void quote_literal(const char *text, size_t len, struct strbuf *out)
{
    if (len > 0 && memchr(text, '\\', len) != NULL)
        strbuf_addc(out, 'E');
    add_doubled(text, len, '\'', out);
}
