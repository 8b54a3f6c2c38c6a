/* lookup_postgres.c: external tables in PostgreSQL, and in what speaks its protocol, by libpq.
 *
 * One statement for all keys of a call: WHERE key = ANY ($1), values as text in both directions. The columns are cast to
 * the types they were declared with, the key's column in the condition is left as it is, so that its index serves. */
#include "protocol/connector/lookup.h"

#include <libpq-fe.h>
#include <poll.h>

struct postgres {
    struct lookup base;
    struct arena arena; /* everything below but the connection */
    char *sql;
    const char **keywords, **values; /* of the connection; NULL at the end */
    const char *password;            /* NULL: none */
    uint32_t columns_count, keys_count;
    struct sql_type *types;
    PGconn *connection;
};

static const struct connector_option_row options[] = {
    {"connection", NULL,
     "connection string as libpq takes it: host=... dbname=... user=... passfile=..., or postgresql://...; "
     "it "
     "is shown nowhere"},
    {"table", "", "the table as SQL names it, with its schema; by default the name of the external table"},
    {NULL, NULL, NULL},
};

static const char session_setup[] =
    "SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; "
    "SET extra_float_digits = 1; SET bytea_output = 'hex'; SET default_transaction_read_only = on";

/* ---- opening ---- */

static bool read_connection(struct postgres *self, const char *text, struct error *err)
{
    char *why = NULL;
    PQconninfoOption *parsed = PQconninfoParse(text, &why);
    if (parsed == NULL) { /* libpq's message quotes the text */
        PQfreemem(why);
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"connection\" is not a connection string");
        return error_hint(err, "For example: connection = 'host=db.example.com dbname=shop user=reader'.");
    }
    uint32_t count = 0;
    while (parsed[count].keyword != NULL)
        count++;
    self->keywords = ARENA_ARRAY(&self->arena, const char *, count + 3);
    self->values = ARENA_ARRAY(&self->arena, const char *, count + 3);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (parsed[i].val == NULL || strcmp(parsed[i].keyword, "client_encoding") == 0)
            continue;
        self->keywords[kept] = arena_strdup(&self->arena, parsed[i].keyword);
        self->values[kept] = arena_strdup(&self->arena, parsed[i].val);
        if (strcmp(parsed[i].keyword, "password") == 0)
            self->password = self->values[kept];
        kept++;
    }
    PQconninfoFree(parsed);
    self->keywords[kept] = "client_encoding";
    self->values[kept++] = "UTF8";
    self->keywords[kept] = "fallback_application_name";
    self->values[kept++] = "millrace";
    return true;
}

static void quote_name(const char *name, struct strbuf *out)
{
    strbuf_addc(out, '"');
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"')
            strbuf_addc(out, '"');
        strbuf_addc(out, *c);
    }
    strbuf_addc(out, '"');
}

static void make_sql(struct postgres *self, const struct lookup_spec *spec)
{
    const char *table = lookup_option(&lookup_postgres, spec, "table");
    struct strbuf sql = STRBUF_INIT;
    strbuf_adds(&sql, "SELECT ");
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        strbuf_adds(&sql, i > 0 ? ", " : "");
        quote_name(spec->column_names[i], &sql);
        strbuf_adds(&sql, "::");
        type_format(spec->types[i].oid, -1, &sql); /* what does not fit must not be cut */
    }
    strbuf_adds(&sql, " FROM ");
    if (table[0] != '\0')
        strbuf_adds(&sql, table);
    else
        quote_name(spec->table_name, &sql);
    strbuf_adds(&sql, spec->keys_count == 1 ? " WHERE " : " WHERE (");
    for (uint32_t k = 0; k < spec->keys_count; k++) {
        strbuf_adds(&sql, k > 0 ? ", " : "");
        quote_name(spec->column_names[spec->keys[k]], &sql);
    }
    strbuf_adds(&sql, spec->keys_count == 1 ? " = ANY (" : ") IN (SELECT * FROM unnest(");
    for (uint32_t k = 0; k < spec->keys_count; k++) {
        strbuf_addf(&sql, "%s$%u::", k > 0 ? ", " : "", k + 1);
        type_format(spec->types[spec->keys[k]].oid, -1, &sql);
        strbuf_adds(&sql, "[]");
    }
    strbuf_adds(&sql, spec->keys_count == 1 ? ")" : "))");
    self->sql = arena_strndup(&self->arena, sql.data, sql.len);
    strbuf_release(&sql);
}

static void postgres_close(struct lookup *lookup)
{
    struct postgres *self = (struct postgres *)lookup;
    if (self->connection != NULL)
        PQfinish(self->connection);
    arena_release(&self->arena);
    mem_free(self);
}

static bool postgres_open(const struct lookup_spec *spec, struct lookup **out, struct error *err)
{
    if (!lookup_check_options(&lookup_postgres, spec, err))
        return false;
    struct postgres *self = mem_zalloc(sizeof(*self));
    self->base.class = &lookup_postgres;
    arena_init(&self->arena, NULL);
    bool ok = read_connection(self, lookup_option(&lookup_postgres, spec, "connection"), err);
    for (uint32_t k = 0; k < spec->keys_count && ok; k++)
        if (type_is_array(spec->types[spec->keys[k]].oid))
            ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                           "column \"%s\" cannot be a key of an external table: it is an array",
                           spec->column_names[spec->keys[k]]);
    if (!ok || out == NULL) {
        postgres_close(&self->base);
        return ok;
    }
    self->columns_count = spec->columns_count;
    self->keys_count = spec->keys_count;
    self->types = arena_copy(&self->arena, spec->types, sizeof(*spec->types) * spec->columns_count);
    make_sql(self, spec);
    *out = &self->base;
    return true;
}

/* ---- talking ---- */

/* A message of libpq's or the server's on one line, without the password. */
static bool failed(struct postgres *self, enum error_code code, const char *message, struct error *err)
{
    char line[ERROR_TEXT_MAX];
    size_t len = 0, hidden = self->password != NULL ? strlen(self->password) : 0;
    for (const char *c = message != NULL ? message : ""; *c != '\0' && len + 4 < sizeof(line);) {
        if (hidden > 0 && strncmp(c, self->password, hidden) == 0) {
            memcpy(line + len, "***", 3);
            len += 3;
            c += hidden;
            continue;
        }
        line[len++] = *c == '\n' || *c == '\t' ? ' ' : *c;
        c++;
    }
    while (len > 0 && line[len - 1] == ' ')
        len--;
    line[len] = '\0';
    return error_set(err, code, "%s", len > 0 ? line : "the connection was lost");
}

static void disconnect(struct postgres *self)
{
    PQfinish(self->connection);
    self->connection = NULL;
}

/* Sends what is queued, and waits for the whole of the next result; *result NULL: there is none any more. */
static bool next_result(struct postgres *self, const struct lookup_wait *wait, PGresult **result,
                        struct error *err)
{
    PGconn *connection = self->connection;
    for (;;) {
        int unsent = PQflush(connection);
        if (unsent < 0 || !PQconsumeInput(connection))
            return failed(self, ERRCODE_CONNECTION_FAILURE, PQerrorMessage(connection), err);
        if (!PQisBusy(connection) && unsent == 0) {
            *result = PQgetResult(connection);
            return true;
        }
        if (!lookup_wait_for(PQsocket(connection), unsent > 0 ? POLLIN | POLLOUT : POLLIN, wait, err))
            return false;
    }
}

/* Results until there is no more; the last one with rows is the caller's. */
static bool all_results(struct postgres *self, const struct lookup_wait *wait, PGresult **rows,
                        struct error *err)
{
    bool ok = true;
    *rows = NULL;
    for (;;) {
        PGresult *result = NULL;
        struct error why;
        error_init(&why);
        if (!next_result(self, wait, &result, &why)) {
            if (ok)
                *err = why;
            ok = false;
            disconnect(self); /* it may still be at work */
            break;
        }
        if (result == NULL)
            break;
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK && ok) {
            PQclear(*rows);
            *rows = result;
            continue;
        }
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && ok) {
            const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
            const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
            ok = failed(self, sqlstate != NULL ? error_code_of(sqlstate) : ERRCODE_CONNECTION_FAILURE,
                        message != NULL ? message : PQresultErrorMessage(result), err);
        }
        PQclear(result);
    }
    if (!ok) {
        PQclear(*rows);
        *rows = NULL;
        if (self->connection != NULL && PQstatus(self->connection) == CONNECTION_BAD)
            disconnect(self);
    }
    return ok;
}

static bool connect_now(struct postgres *self, const struct lookup_wait *wait, struct error *err)
{
    self->connection = PQconnectStartParams(self->keywords, self->values, 0);
    if (self->connection == NULL)
        return error_set(err, ERRCODE_OUT_OF_MEMORY, "out of memory");
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    bool ok = PQstatus(self->connection) != CONNECTION_BAD;
    while (ok && status != PGRES_POLLING_OK) {
        if (!lookup_wait_for(PQsocket(self->connection), status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                             wait, err)) {
            disconnect(self);
            return false;
        }
        status = PQconnectPoll(self->connection);
        ok = status != PGRES_POLLING_FAILED;
    }
    if (!ok) {
        failed(self, ERRCODE_CONNECTION_FAILURE, PQerrorMessage(self->connection), err);
        disconnect(self);
        return false;
    }
    PGresult *rows;
    PQsetnonblocking(self->connection, 1);
    if (!PQsendQuery(self->connection, session_setup)) {
        failed(self, ERRCODE_CONNECTION_FAILURE, PQerrorMessage(self->connection), err);
        disconnect(self);
        return false;
    }
    if (all_results(self, wait, &rows, err)) {
        PQclear(rows);
        return true;
    }
    if (self->connection != NULL)
        disconnect(self);
    return false;
}

/* {"1","2"} */
static void write_array(const struct column *values, uint32_t count, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_addc(out, '{');
    for (uint32_t i = 0; i < count; i++) {
        struct datum value = column_get(values, i);
        strbuf_reset(&text);
        type_output(values->type.oid, &value, &io_env_default, &text);
        strbuf_adds(out, i > 0 ? ",\"" : "\"");
        for (size_t c = 0; c < text.len; c++) {
            if (text.data[c] == '"' || text.data[c] == '\\')
                strbuf_addc(out, '\\');
            strbuf_addc(out, text.data[c]);
        }
        strbuf_addc(out, '"');
    }
    strbuf_addc(out, '}');
    strbuf_release(&text);
}

static bool send_keys(struct postgres *self, const struct batch *keys, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct strbuf *arrays = ARENA_ARRAY(&arena, struct strbuf, self->keys_count);
    const char **params = ARENA_ARRAY(&arena, const char *, self->keys_count);
    for (uint32_t k = 0; k < self->keys_count; k++) {
        write_array(&keys->columns[k], keys->rows, &arrays[k]);
        params[k] = strbuf_text(&arrays[k]);
    }
    bool ok = PQsendQueryParams(self->connection, self->sql, (int)self->keys_count, NULL, params, NULL, NULL,
                                0) == 1 ||
              failed(self, ERRCODE_CONNECTION_FAILURE, PQerrorMessage(self->connection), err);
    for (uint32_t k = 0; k < self->keys_count; k++)
        strbuf_release(&arrays[k]);
    arena_release(&arena);
    return ok;
}

static bool read_rows(struct postgres *self, const PGresult *rows, struct batch *out, struct error *err)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    struct datum *values = ARENA_ARRAY(&scratch, struct datum, self->columns_count);
    bool ok = PQnfields(rows) == (int)self->columns_count ||
              error_set(err, ERRCODE_INTERNAL_ERROR, "the answer has %d columns", PQnfields(rows));
    for (int row = 0; row < PQntuples(rows) && ok; row++) {
        for (uint32_t c = 0; c < self->columns_count && ok; c++) {
            values[c] = (struct datum){.is_null = PQgetisnull(rows, row, (int)c)};
            if (!values[c].is_null)
                ok = type_input(self->types[c].oid, self->types[c].typmod, PQgetvalue(rows, row, (int)c),
                                (size_t)PQgetlength(rows, row, (int)c), &io_env_default, out->arena,
                                &values[c], err);
        }
        if (ok)
            batch_append_datums(out, values, 1);
    }
    arena_release(&scratch);
    return ok;
}

static bool postgres_fetch(struct lookup *lookup, const struct batch *keys, const struct lookup_wait *wait,
                           struct batch *out, struct error *err)
{
    struct postgres *self = (struct postgres *)lookup;
    PGresult *rows;
    if (self->connection == NULL && !connect_now(self, wait, err))
        return false;
    if (!send_keys(self, keys, err)) {
        disconnect(self);
        return false;
    }
    if (!all_results(self, wait, &rows, err))
        return false;
    bool ok = rows != NULL ? read_rows(self, rows, out, err)
                           : error_set(err, ERRCODE_INTERNAL_ERROR, "there was no answer");
    PQclear(rows);
    return ok;
}

const struct lookup_class lookup_postgres = {
    .name = "postgres",
    .help =
        "a table of PostgreSQL, or of what speaks its protocol: WITH (connector = 'postgres', connection = "
        "'host=... dbname=... user=...')",
    .options = options,
    .open = postgres_open,
    .fetch = postgres_fetch,
    .close = postgres_close,
};
