/* slt.c: runs sqllogictest scripts against any server that speaks the PostgreSQL protocol.
 *
 * Reads the original dialect (sqlite.org/sqllogictest: one value per line, hashes, skipif/onlyif,
 * hash-threshold) and that of sqllogictest-rs (one row per line, error patterns, include, control,
 * connection, let, retry, sleep). Results are compared row by row with blanks folded; when there are as many
 * expected lines as values, value by value. An error expectation of five capitals and digits is a SQLSTATE,
 * otherwise a POSIX extended regular expression on the message.
 *
 *   slt [--host H] [--port N] [--user U] [--database D] [--label NAME] [--stop] FILES */
#include <ctype.h>
#include <glob.h>
#include <libgen.h>
#include <libpq-fe.h>
#include <openssl/evp.h>
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct text {
    char *data;
    size_t len, cap;
};

struct list {
    char **items;
    size_t count, cap;
};

enum sort_mode { SORT_NONE, SORT_ROWS, SORT_VALUES };

struct connection {
    struct connection *next;
    char *name;
    PGconn *conn;
};

static struct {
    const char *host, *port, *user, *database, *label;
    bool stop;
    struct connection *connections, *current;
    enum sort_mode default_sort;
    long passed, failed, skipped;
    struct list variables; /* name, value pairs */
    bool substitution;
} run = {.host = "127.0.0.1", .port = "5477", .user = "slt", .database = "millrace", .label = "millrace"};

static void *must(void *data)
{
    if (data == NULL) {
        fprintf(stderr, "slt: out of memory\n");
        exit(2);
    }
    return data;
}

static void text_add(struct text *text, const char *data, size_t len)
{
    if (text->len + len + 1 > text->cap) {
        text->cap = (text->len + len + 1) * 2;
        text->data = must(realloc(text->data, text->cap));
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

static void list_add(struct list *list, char *item)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 16;
        list->items = must(realloc(list->items, list->cap * sizeof(char *)));
    }
    list->items[list->count++] = item;
}

static void list_clear(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    list->count = 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- connections ---- */

static struct connection *connect_as(const char *name)
{
    for (struct connection *c = run.connections; c != NULL; c = c->next) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    const char *keys[] = {"host", "port", "user", "dbname", "application_name", NULL};
    const char *values[] = {run.host, run.port, run.user, run.database, "slt", NULL};
    struct connection *c = must(calloc(1, sizeof(*c)));
    c->name = must(strdup(name));
    c->conn = PQconnectdbParams(keys, values, 0);
    if (PQstatus(c->conn) != CONNECTION_OK) {
        fprintf(stderr, "slt: cannot connect to %s:%s: %s", run.host, run.port, PQerrorMessage(c->conn));
        exit(2);
    }
    c->next = run.connections;
    run.connections = c;
    return c;
}

static void ignore_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

static void use_connection(const char *name)
{
    run.current = connect_as(name);
    PQsetNoticeProcessor(run.current->conn, ignore_notice, NULL);
}

static void close_connections(void)
{
    while (run.connections != NULL) {
        struct connection *c = run.connections;
        run.connections = c->next;
        PQfinish(c->conn);
        free(c->name);
        free(c);
    }
    run.current = NULL;
}

/* ---- a script ---- */

struct script {
    const char *path;
    struct list lines;
    size_t at;
};

static bool read_lines(const char *path, struct list *lines)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "slt: cannot open %s\n", path);
        return false;
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, file)) >= 0) {
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
            line[--len] = '\0';
        list_add(lines, must(strdup(line)));
    }
    free(line);
    fclose(file);
    return true;
}

static bool is_blank(const char *line)
{
    while (isspace((unsigned char)*line))
        line++;
    return *line == '\0';
}

static void fail(const struct script *script, size_t line, const char *what, const char *sql)
{
    run.failed++;
    printf("%s:%zu: %s\n", script->path, line + 1, what);
    if (sql != NULL)
        printf("    %s\n", sql);
    if (run.stop) {
        printf("%ld passed, %ld failed\n", run.passed, run.failed);
        exit(1);
    }
}

/* $name and ${name} from `let`, when substitution is on. */
static char *substitute(const char *sql)
{
    struct text out = {0};
    text_add(&out, "", 0);
    for (const char *p = sql; *p != '\0';) {
        if (*p != '$' || (!isalpha((unsigned char)p[1]) && p[1] != '{')) {
            text_add(&out, p++, 1);
            continue;
        }
        const char *name = p + (p[1] == '{' ? 2 : 1);
        size_t len = strcspn(name, "} \t\n,;()'\"");
        bool found = false;
        for (size_t i = 0; i + 1 < run.variables.count; i += 2) {
            if (strncmp(run.variables.items[i], name, len) == 0 && run.variables.items[i][len] == '\0') {
                text_add(&out, run.variables.items[i + 1], strlen(run.variables.items[i + 1]));
                found = true;
            }
        }
        if (!found) {
            text_add(&out, p++, 1);
            continue;
        }
        p = name + len + (p[1] == '{' && name[len] == '}' ? 1 : 0);
    }
    return out.data;
}

/* The statement's text: lines up to "----" or a blank line. */
static char *read_sql(struct script *script)
{
    struct text sql = {0};
    text_add(&sql, "", 0);
    while (script->at < script->lines.count) {
        const char *line = script->lines.items[script->at];
        if (is_blank(line) || strcmp(line, "----") == 0)
            break;
        if (sql.len > 0)
            text_add(&sql, "\n", 1);
        text_add(&sql, line, strlen(line));
        script->at++;
    }
    if (!run.substitution)
        return sql.data;
    char *replaced = substitute(sql.data);
    free(sql.data);
    return replaced;
}

/* Lines after "----" up to a blank line; an error text may hold single blank lines and ends with two. */
static void read_expected(struct script *script, struct list *expected, bool is_error)
{
    if (script->at >= script->lines.count || strcmp(script->lines.items[script->at], "----") != 0)
        return;
    script->at++;
    while (script->at < script->lines.count) {
        const char *line = script->lines.items[script->at];
        if (is_blank(line)) {
            bool more = is_error && script->at + 1 < script->lines.count &&
                        !is_blank(script->lines.items[script->at + 1]) && expected->count == 0;
            if (!more)
                break;
        }
        list_add(expected, must(strdup(line)));
        script->at++;
    }
}

/* ---- comparing ---- */

static bool is_sqlstate(const char *text)
{
    if (strlen(text) != 5)
        return false;
    for (int i = 0; i < 5; i++) {
        if (!isdigit((unsigned char)text[i]) && !isupper((unsigned char)text[i]))
            return false;
    }
    return true;
}

/* NULL when the error is as expected, else what is wrong (static buffer). */
static const char *check_error(const PGresult *result, const char *pattern)
{
    static char why[1024];
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    message = message != NULL ? message : PQresultErrorMessage(result);
    sqlstate = sqlstate != NULL ? sqlstate : "";
    bool ok = *pattern == '\0';
    if (is_sqlstate(pattern)) {
        ok = strcmp(pattern, sqlstate) == 0;
    } else if (!ok) {
        regex_t regex;
        if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) == 0) {
            ok = regexec(&regex, message, 0, NULL, 0) == 0;
            regfree(&regex);
        }
        ok = ok || strstr(message, pattern) != NULL;
    }
    if (ok)
        return NULL;
    snprintf(why, sizeof(why), "expected error %s, got %s: %s", pattern, sqlstate, message);
    return why;
}

static char *fold_blanks(const char *line)
{
    struct text out = {0};
    text_add(&out, "", 0);
    for (const char *p = line; *p != '\0';) {
        if (isspace((unsigned char)*p)) {
            while (isspace((unsigned char)*p))
                p++;
            if (*p != '\0' && out.len > 0)
                text_add(&out, " ", 1);
        } else {
            text_add(&out, p++, 1);
        }
    }
    return out.data;
}

/* One value as text. In value mode numbers are formatted as the original runner does. */
static char *value_text(const PGresult *result, int row, int column, char type, bool value_mode)
{
    char number[64];
    if (PQgetisnull(result, row, column))
        return must(strdup("NULL"));
    const char *value = PQgetvalue(result, row, column);
    if (*value == '\0')
        return must(strdup("(empty)"));
    if (value_mode && type == 'R') {
        snprintf(number, sizeof(number), "%.3f", strtod(value, NULL));
        return must(strdup(number));
    }
    if (value_mode && type == 'I' && strpbrk(value, ".eE") != NULL) {
        snprintf(number, sizeof(number), "%.0f",
                 strtod(value, NULL) >= 0 ? strtod(value, NULL) - 0.5 + 0.5 : strtod(value, NULL));
        return must(strdup(number));
    }
    char *copy = must(strdup(value));
    if (value_mode) {
        for (char *p = copy; *p != '\0'; p++) {
            if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
                *p = '@';
        }
    }
    return copy;
}

static void collect(const PGresult *result, const char *types, bool value_mode, enum sort_mode sort,
                    struct list *out)
{
    int rows = PQntuples(result), columns = PQnfields(result);
    struct list rows_text = {0};
    for (int r = 0; r < rows; r++) {
        struct text row = {0};
        text_add(&row, "", 0);
        for (int c = 0; c < columns; c++) {
            char *value = value_text(result, r, c, (size_t)c < strlen(types) ? types[c] : 'T', value_mode);
            if (sort == SORT_VALUES) {
                list_add(&rows_text, value);
                continue;
            }
            if (c > 0)
                text_add(&row, value_mode ? "\x01" : " ", 1);
            text_add(&row, value, strlen(value));
            free(value);
        }
        if (sort == SORT_VALUES)
            free(row.data);
        else
            list_add(&rows_text, row.data);
    }
    if (sort != SORT_NONE && rows_text.count > 1)
        qsort(rows_text.items, rows_text.count, sizeof(char *), compare_texts);
    for (size_t i = 0; i < rows_text.count; i++) {
        if (!value_mode) {
            list_add(out, fold_blanks(rows_text.items[i]));
            continue;
        }
        for (char *part = rows_text.items[i]; part != NULL;) {
            char *end = strchr(part, '\x01');
            if (end != NULL)
                *end = '\0';
            list_add(out, must(strdup(part)));
            part = end != NULL ? end + 1 : NULL;
        }
    }
    list_clear(&rows_text);
    free(rows_text.items);
}

static void md5_of(const struct list *values, char *hex)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_DigestInit_ex(ctx, EVP_md5(), NULL);
    for (size_t i = 0; i < values->count; i++) {
        EVP_DigestUpdate(ctx, values->items[i], strlen(values->items[i]));
        EVP_DigestUpdate(ctx, "\n", 1);
    }
    EVP_DigestFinal_ex(ctx, digest, &len);
    EVP_MD_CTX_free(ctx);
    for (unsigned int i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static bool same(const struct list *got, const struct list *expected, bool sort_expected)
{
    if (got->count != expected->count)
        return false;
    struct list folded = {0};
    for (size_t i = 0; i < expected->count; i++)
        list_add(&folded, fold_blanks(expected->items[i]));
    if (sort_expected)
        if (folded.count > 1)
            qsort(folded.items, folded.count, sizeof(char *), compare_texts);
    bool equal = true;
    for (size_t i = 0; i < got->count && equal; i++) {
        char *item = fold_blanks(got->items[i]);
        equal = strcmp(item, folded.items[i]) == 0;
        free(item);
    }
    list_clear(&folded);
    free(folded.items);
    return equal;
}

static bool compare_result(const PGresult *result, const char *types, enum sort_mode sort,
                           const struct list *expected, struct list *got)
{
    size_t values = (size_t)PQntuples(result) * (size_t)PQnfields(result);
    int hash_count;
    char hash[33], hex[2 * EVP_MAX_MD_SIZE + 1];
    if (expected->count == 1 &&
        sscanf(expected->items[0], "%d values hashing to %32s", &hash_count, hash) == 2) {
        collect(result, types, true, sort, got);
        md5_of(got, hex);
        return got->count == (size_t)hash_count && strcmp(hex, hash) == 0;
    }
    bool value_mode = PQnfields(result) > 1 && expected->count == values && values > 0;
    collect(result, types, value_mode, sort, got);
    if (same(got, expected, false))
        return true;
    if (PQnfields(result) == 1 && expected->count == values && strpbrk(types, "RI") != NULL) {
        /* one column: both dialects look alike; try the original's number formats */
        struct list again = {0};
        collect(result, types, true, sort, &again);
        bool equal = same(&again, expected, false);
        list_clear(&again);
        free(again.items);
        if (equal)
            return true;
    }
    return sort == SORT_ROWS && same(got, expected, true); /* expected rows in another order */
}

/* ---- records ---- */

struct record {
    char words[8][256];
    int words_count;
    const char *rest; /* of the line after its second word */
};

static void split_words(const char *line, struct record *record)
{
    record->words_count = 0;
    record->rest = "";
    const char *p = line;
    while (*p != '\0' && record->words_count < 8) {
        while (isspace((unsigned char)*p))
            p++;
        if (record->words_count == 2)
            record->rest = p;
        size_t len = 0;
        while (*p != '\0' && !isspace((unsigned char)*p)) {
            if (len + 1 < sizeof(record->words[0]))
                record->words[record->words_count][len++] = *p;
            p++;
        }
        if (len == 0)
            break;
        record->words[record->words_count++][len] = '\0';
    }
}

/* "retry 3 backoff 5s" anywhere behind: how often, and how long between. */
static int retries_of(const struct record *record, double *backoff)
{
    *backoff = 0.1;
    for (int i = 0; i + 1 < record->words_count; i++) {
        if (strcmp(record->words[i], "backoff") == 0)
            *backoff = strtod(record->words[i + 1], NULL) * (strstr(record->words[i + 1], "ms") ? 0.001 : 1);
    }
    for (int i = 0; i + 1 < record->words_count; i++) {
        if (strcmp(record->words[i], "retry") == 0)
            return (int)strtol(record->words[i + 1], NULL, 10);
    }
    return 0;
}

static void pause_for(double seconds)
{
    struct timespec wait = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&wait, NULL);
}

static const char *try_statement(const struct record *record, const char *sql, const struct list *expected)
{
    static char why[1200];
    PGresult *result = PQexec(run.current->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool failed = status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
    const char *wrong = NULL;
    if (strcmp(record->words[1], "error") == 0) {
        const char *pattern = *record->rest != '\0' ? record->rest
                              : expected->count > 0 ? expected->items[0]
                                                    : "";
        wrong = failed ? check_error(result, pattern) : "expected an error, the statement succeeded";
    } else if (failed) {
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        snprintf(why, sizeof(why), "%s: %s", sqlstate ? sqlstate : "", PQresultErrorMessage(result));
        wrong = why;
    } else if (strcmp(record->words[1], "count") == 0 && strcmp(PQcmdTuples(result), record->words[2]) != 0) {
        snprintf(why, sizeof(why), "expected %s rows, got %s", record->words[2], PQcmdTuples(result));
        wrong = why;
    }
    PQclear(result);
    return wrong;
}

static void run_statement(struct script *script, const struct record *record)
{
    size_t line = script->at++;
    char *sql = read_sql(script);
    struct list expected = {0};
    read_expected(script, &expected, true);
    double backoff;
    int retries = retries_of(record, &backoff);
    const char *wrong = try_statement(record, sql, &expected);
    while (wrong != NULL && retries-- > 0) {
        pause_for(backoff);
        wrong = try_statement(record, sql, &expected);
    }
    if (wrong != NULL)
        fail(script, line, wrong, sql);
    else
        run.passed++;
    list_clear(&expected);
    free(expected.items);
    free(sql);
}

static bool try_query(const struct script *script, size_t line, const char *types, enum sort_mode sort,
                      const char *sql, const struct list *expected, bool report)
{
    PGresult *result = PQexec(run.current->conn, sql);
    struct list got = {0};
    bool ok = false;
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        if (report)
            fail(script, line, PQresultErrorMessage(result), sql);
    } else {
        ok = compare_result(result, types, sort, expected, &got);
        if (!ok && report) {
            fail(script, line, "wrong result", sql);
            printf("  expected:\n");
            for (size_t i = 0; i < expected->count && i < 40; i++)
                printf("    %s\n", expected->items[i]);
            printf("  got:\n");
            for (size_t i = 0; i < got.count && i < 40; i++)
                printf("    %s\n", got.items[i]);
        }
    }
    list_clear(&got);
    free(got.items);
    PQclear(result);
    return ok;
}

static void run_query(struct script *script, const struct record *record)
{
    size_t line = script->at;
    if (strcmp(record->words[1], "error") == 0) {
        run_statement(script, record);
        return;
    }
    script->at++;
    char *sql = read_sql(script);
    struct list expected = {0};
    read_expected(script, &expected, false);
    enum sort_mode sort = run.default_sort;
    for (int i = 2; i < record->words_count; i++) {
        if (strcmp(record->words[i], "rowsort") == 0)
            sort = SORT_ROWS;
        else if (strcmp(record->words[i], "valuesort") == 0)
            sort = SORT_VALUES;
        else if (strcmp(record->words[i], "nosort") == 0)
            sort = SORT_NONE;
    }
    const char *types = record->words_count > 1 ? record->words[1] : "";
    double backoff;
    int retries = retries_of(record, &backoff);
    bool ok = try_query(script, line, types, sort, sql, &expected, retries == 0);
    while (!ok && retries-- > 0) {
        pause_for(backoff);
        ok = try_query(script, line, types, sort, sql, &expected, retries == 0);
    }
    run.passed += ok;
    list_clear(&expected);
    free(expected.items);
    free(sql);
}

static void skip_record(struct script *script)
{
    while (script->at < script->lines.count && !is_blank(script->lines.items[script->at]))
        script->at++;
    run.skipped++;
}

static bool run_file(const char *path, int depth);

static void run_include(const struct script *script, const char *pattern)
{
    char *copy = must(strdup(script->path));
    struct text full = {0};
    text_add(&full, "", 0);
    if (pattern[0] != '/') {
        char *dir = dirname(copy);
        text_add(&full, dir, strlen(dir));
        text_add(&full, "/", 1);
    }
    text_add(&full, pattern, strlen(pattern));
    glob_t found;
    if (glob(full.data, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            run_file(found.gl_pathv[i], 1);
        globfree(&found);
    } else {
        fail(script, script->at, "include matches no file", full.data);
    }
    free(full.data);
    free(copy);
}

/* let (a, b) + a query whose first row they take. */
static void run_let(struct script *script)
{
    size_t line = script->at;
    const char *names = strchr(script->lines.items[script->at++], '(');
    char *sql = read_sql(script);
    PGresult *result = PQexec(run.current->conn, sql);
    if (names == NULL || PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
        fail(script, line, "let needs a query of one row", sql);
    } else {
        int column = 0;
        for (const char *p = names + 1; *p != '\0' && *p != ')' && column < PQnfields(result);) {
            p += strspn(p, ", \t");
            size_t len = strcspn(p, ", \t)");
            list_add(&run.variables, must(strndup(p, len)));
            list_add(&run.variables, must(strdup(PQgetvalue(result, 0, column++))));
            p += len;
        }
        run.substitution = true;
    }
    PQclear(result);
    free(sql);
}

static void run_control(const struct record *record)
{
    if (strcmp(record->words[1], "sortmode") == 0)
        run.default_sort = strcmp(record->words[2], "rowsort") == 0     ? SORT_ROWS
                           : strcmp(record->words[2], "valuesort") == 0 ? SORT_VALUES
                                                                        : SORT_NONE;
    else if (strcmp(record->words[1], "substitution") == 0)
        run.substitution = strcmp(record->words[2], "on") == 0;
}

/* false: the script says halt. */
static bool run_record(struct script *script)
{
    const char *line = script->lines.items[script->at];
    struct record record;
    memset(&record, 0, sizeof(record));
    split_words(line, &record);
    const char *word = record.words[0];
    if (strcmp(word, "statement") == 0) {
        run_statement(script, &record);
    } else if (strcmp(word, "query") == 0) {
        run_query(script, &record);
    } else if (strcmp(word, "skipif") == 0 || strcmp(word, "onlyif") == 0) {
        bool matches =
            strcmp(record.words[1], run.label) == 0 || (strcmp(record.words[1], "postgresql") == 0);
        script->at++;
        if (matches == (strcmp(word, "skipif") == 0))
            skip_record(script);
    } else if (strcmp(word, "halt") == 0) {
        return false;
    } else if (strcmp(word, "include") == 0) {
        run_include(script, record.words[1]);
        script->at++;
    } else if (strcmp(word, "connection") == 0) {
        use_connection(record.words[1]);
        script->at++;
    } else if (strcmp(word, "let") == 0) {
        run_let(script);
    } else if (strcmp(word, "control") == 0) {
        run_control(&record);
        script->at++;
    } else if (strcmp(word, "sleep") == 0) {
        pause_for(strtod(record.words[1], NULL) * (strstr(record.words[1], "ms") ? 0.001 : 1));
        script->at++;
    } else if (strcmp(word, "hash-threshold") == 0 || strcmp(word, "subtest") == 0) {
        script->at++;
    } else {
        fail(script, script->at, "unknown record", line);
        skip_record(script);
    }
    return true;
}

static bool run_file(const char *path, int depth)
{
    struct script script = {.path = path};
    if (!read_lines(path, &script.lines)) {
        run.failed++;
        return false;
    }
    if (depth == 0) {
        close_connections();
        run.default_sort = SORT_NONE;
        run.substitution = false;
        list_clear(&run.variables);
        use_connection("default");
    }
    while (script.at < script.lines.count) {
        const char *line = script.lines.items[script.at];
        if (is_blank(line) || line[0] == '#')
            script.at++;
        else if (!run_record(&script))
            break;
    }
    list_clear(&script.lines);
    free(script.lines.items);
    return true;
}

int main(int argc, char **argv)
{
    struct list files = {0};
    for (int i = 1; i < argc; i++) {
        const char **option = strcmp(argv[i], "--host") == 0       ? &run.host
                              : strcmp(argv[i], "--port") == 0     ? &run.port
                              : strcmp(argv[i], "--user") == 0     ? &run.user
                              : strcmp(argv[i], "--database") == 0 ? &run.database
                              : strcmp(argv[i], "--label") == 0    ? &run.label
                                                                   : NULL;
        if (option != NULL && i + 1 < argc)
            *option = argv[++i];
        else if (strcmp(argv[i], "--stop") == 0)
            run.stop = true;
        else
            list_add(&files, argv[i]);
    }
    if (files.count == 0) {
        fprintf(stderr,
                "usage: slt [--host H] [--port N] [--user U] [--database D] [--label NAME] [--stop] FILES\n");
        return 2;
    }
    for (size_t i = 0; i < files.count; i++) {
        long failed = run.failed, passed = run.passed;
        run_file(files.items[i], 0);
        printf("%-50s %5ld passed %4ld failed\n", files.items[i], run.passed - passed, run.failed - failed);
    }
    close_connections();
    printf("%ld passed, %ld failed, %ld skipped\n", run.passed, run.failed, run.skipped);
    return run.failed == 0 ? 0 : 1;
}
