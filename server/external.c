/* external.c: see external.h.
 *
 * A key is known from when it is first asked for until its answer is handed to the engine; what asks for it meanwhile gets that
 * answer, for the tick that brings it comes later. Keys wait in a queue by the time at which they may be asked for. When
 * the database cannot be had, all of them wait; an error about one key (a value that does not fit, say) is cornered by
 * asking for halves, and only that key waits, longer each time. */
#include "server/external.h"

#include "executor/lookup_source.h"
#include "executor/operators/row_queue.h"
#include "planner/ddl.h"
#include "planner/ddl_time.h"
#include "planner/redact.h"
#include "protocol/connector/lookup.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/state/hashed_table.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define IN_FLIGHT 4u

const struct connector_option_row external_options[] = {
    {"cache_ttl", "1 minute", "how long an answer is used; 0: for the rows that waited for it"},
    {"missing_ttl", "", "the same when there was no such row; by default as cache_ttl"},
    {"timeout", "5 seconds", "a question without an answer by then has failed"},
    {"retry_min", "100 milliseconds",
     "how long to wait after the first failure; doubled with each further one"},
    {"retry_max", "30 seconds", "and no longer than this"},
    {NULL, NULL, NULL},
};

/* Answers on their way through the engine. */
struct flight {
    struct external *external;
    struct arena arena;
    const struct batch *keys;
    struct txn_change change;
    struct engine_txn txn;
    bool busy;
};

struct known_key {
    uint32_t failures; /* of this key alone */
};

struct external {
    struct external *next;
    struct server *server;
    struct relation *relation;
    struct catalog_object *object;
    struct lookup_source *source;
    struct lookup *lookup; /* the thread's own */
    int64_t cache_ttl_us, missing_ttl_us, timeout_us, retry_min_us, retry_max_us;
    uint32_t columns_count; /* the table's own */
    uint32_t keys_count;
    const uint32_t *keys;  /* of the relation */
    uint32_t *key_numbers; /* 0, 1, 2 ... */
    int stop_fd;
    pthread_t thread;
    struct flight flights[IN_FLIGHT];

    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct hashed_table *known; /* keys without an answer; payload: struct known_key */
    struct row_queue wanted;    /* those that nobody asks for now, by clock_monotonic_ns */
    uint32_t failures;          /* of the database, in a row */
    int64_t not_before_ns;      /* it is left alone until then */
    bool stopping, asking;
    uint64_t questions, found, not_found, failed, retries;
    struct error last_error;
    int64_t last_error_us; /* 0: there was none */
};

struct externals {
    pthread_mutex_t lock;
    struct external *first;
};

/* ---- options ---- */

bool external_option_is_ours(const char *name)
{
    for (const struct connector_option_row *row = external_options; row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            return true;
    return strcmp(name, "connector") == 0;
}

static bool read_interval(const struct catalog_object *object, const char *name, bool zero_allowed,
                          int64_t *us, struct error *err)
{
    struct catalog_option option = {name, NULL};
    for (const struct connector_option_row *row = external_options; row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            option.value = row->default_value;
    if (ddl_option(object, name) != NULL)
        option.value = ddl_option(object, name);
    struct catalog_object named = {
        .kind = object->kind, .name = object->name, .options = &option, .options_count = 1};
    return option.value[0] == '\0' || ddl_interval_option(&named, name, zero_allowed, us, err);
}

static bool read_options(struct external *external, const struct catalog_object *object, struct error *err)
{
    if (!read_interval(object, "cache_ttl", true, &external->cache_ttl_us, err))
        return false;
    external->missing_ttl_us = external->cache_ttl_us;
    if (!read_interval(object, "missing_ttl", true, &external->missing_ttl_us, err) ||
        !read_interval(object, "timeout", false, &external->timeout_us, err) ||
        !read_interval(object, "retry_min", false, &external->retry_min_us, err) ||
        !read_interval(object, "retry_max", false, &external->retry_max_us, err))
        return false;
    return external->retry_min_us <= external->retry_max_us ||
           error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                     "option \"retry_min\" of external table \"%s\" is longer than \"retry_max\"",
                     object->name);
}

/* lookup NULL: only checks. */
static bool open_lookup(const struct catalog_object *object, struct lookup **lookup, struct error *err)
{
    const char *connector = ddl_option(object, "connector");
    const struct lookup_class *class = connector != NULL ? lookup_find(connector) : NULL;
    if (class == NULL) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "connector \"%s\" is not supported for external tables",
                  connector != NULL ? connector : "");
        return error_hint(err, "Supported connectors: postgres, redis.");
    }
    struct arena arena;
    arena_init(&arena, NULL);
    struct connector_option *options = ARENA_ARRAY(&arena, struct connector_option, object->options_count);
    const char **names = ARENA_ARRAY(&arena, const char *, object->columns_count);
    struct sql_type *types = ARENA_ARRAY(&arena, struct sql_type, object->columns_count);
    struct lookup_spec spec = {.table_name = object->name,
                               .columns_count = object->columns_count,
                               .column_names = names,
                               .types = types,
                               .options = options};
    for (uint32_t i = 0; i < object->columns_count; i++) {
        names[i] = object->columns[i].name;
        types[i] = object->columns[i].type;
    }
    for (uint32_t i = 0; i < object->constraints_count; i++) {
        if (object->constraints[i].kind != CONSTRAINT_PRIMARY_KEY)
            continue;
        spec.keys = object->constraints[i].columns;
        spec.keys_count = object->constraints[i].columns_count;
    }
    for (uint32_t i = 0; i < object->options_count; i++)
        if (!external_option_is_ours(object->options[i].name))
            options[spec.options_count++] =
                (struct connector_option){object->options[i].name, object->options[i].value};
    bool ok = class->open(&spec, lookup, err);
    arena_release(&arena);
    return ok;
}

bool external_check(const struct catalog_object *object, struct error *err)
{
    struct external unused = {0};
    return read_options(&unused, object, err) && open_lookup(object, NULL, err);
}

/* ---- keys ---- */

/* Called with the lock held: keys that are not known yet are wanted from `from_ns` on. */
static void want(struct external *external, const struct batch *keys, int64_t from_ns)
{
    struct arena arena;
    arena_init(&arena, NULL);
    uint64_t *hashes = arena_alloc(&arena, sizeof(*hashes) * keys->rows);
    uint32_t *slots = arena_alloc(&arena, sizeof(*slots) * keys->rows);
    uint8_t *inserted = arena_alloc(&arena, keys->rows);
    batch_hash(keys, external->key_numbers, external->keys_count, hashes);
    hashed_table_upsert(external->known, keys, external->key_numbers, hashes, slots, inserted);
    for (uint32_t row = 0; row < keys->rows; row++)
        if (inserted[row])
            row_queue_add(&external->wanted, from_ns, keys, row, 1, false);
    pthread_cond_broadcast(&external->cond);
    arena_release(&arena);
}

static void ask(void *ctx, const struct batch *keys)
{
    struct external *external = ctx;
    pthread_mutex_lock(&external->lock);
    want(external, keys, 0);
    pthread_mutex_unlock(&external->lock);
}

/* Called with the lock held: their answers are on the way. */
static void forget(struct external *external, const struct batch *keys)
{
    struct arena arena;
    arena_init(&arena, NULL);
    uint64_t *hashes = arena_alloc(&arena, sizeof(*hashes) * keys->rows);
    uint32_t *slots = arena_alloc(&arena, sizeof(*slots) * keys->rows);
    batch_hash(keys, external->key_numbers, external->keys_count, hashes);
    hashed_table_find(external->known, keys, external->key_numbers, hashes, slots);
    for (uint32_t row = 0; row < keys->rows; row++)
        if (slots[row] != SLOT_NONE)
            hashed_table_remove(external->known, slots[row]);
    arena_release(&arena);
}

static int64_t backoff_ns(const struct external *external, uint32_t failures)
{
    int64_t us = external->retry_min_us;
    for (uint32_t i = 1; i < failures && us < external->retry_max_us; i++)
        us *= 2;
    return (us < external->retry_max_us ? us : external->retry_max_us) * 1000;
}

static void note_failure(struct external *external, const struct error *error)
{
    external->failed++;
    external->last_error = *error;
    redact_error(external->object, &external->last_error);
    external->last_error_us = clock_now_us();
}

/* The database could not be asked: it is left alone for a while, and then these keys are asked for again. */
static void put_back(struct external *external, const struct batch *keys, const struct error *error)
{
    pthread_mutex_lock(&external->lock);
    note_failure(external, error);
    if (external->failures++ == 0 && !external->stopping)
        log_write(LOG_WARNING, "external table \"%s\": %s; retrying", external->object->name,
                  external->last_error.message);
    external->not_before_ns = clock_monotonic_ns() + backoff_ns(external, external->failures);
    external->retries += keys->rows;
    for (uint32_t row = 0; row < keys->rows; row++)
        row_queue_add(&external->wanted, 0, keys, row, 1, false);
    pthread_mutex_unlock(&external->lock);
}

/* The answer for one key cannot be used. */
static void put_back_key(struct external *external, const struct batch *keys, const struct error *error)
{
    uint64_t hash;
    uint32_t slot;
    uint8_t inserted;
    pthread_mutex_lock(&external->lock);
    note_failure(external, error);
    external->retries++;
    batch_hash(keys, external->key_numbers, external->keys_count, &hash);
    hashed_table_upsert(external->known, keys, external->key_numbers, &hash, &slot, &inserted);
    struct known_key *key = hashed_table_payload(external->known, slot);
    if (key->failures < UINT32_MAX)
        key->failures++;
    row_queue_add(&external->wanted, clock_monotonic_ns() + backoff_ns(external, key->failures), keys, 0, 1,
                  false);
    pthread_mutex_unlock(&external->lock);
}

/* ---- answers ---- */

static void flight_done(void *ctx, uint64_t epoch, const struct error *err)
{
    struct flight *flight = ctx;
    struct external *external = flight->external;
    (void)epoch;
    pthread_mutex_lock(&external->lock);
    if (err != NULL) { /* the log cannot be written: nobody has got the answers */
        note_failure(external, err);
        want(external, flight->keys, clock_monotonic_ns() + external->retry_max_us * 1000);
    }
    flight->busy = false;
    pthread_cond_broadcast(&external->cond);
    pthread_mutex_unlock(&external->lock);
}

static struct flight *take_flight(struct external *external)
{
    struct flight *free_one = NULL;
    pthread_mutex_lock(&external->lock);
    while (free_one == NULL) {
        for (uint32_t i = 0; i < IN_FLIGHT && free_one == NULL; i++)
            if (!external->flights[i].busy)
                free_one = &external->flights[i];
        if (free_one == NULL)
            pthread_cond_wait(&external->cond, &external->lock);
    }
    free_one->busy = true;
    pthread_mutex_unlock(&external->lock);
    return free_one;
}

static void describe_key(const struct external *external, const struct batch *keys, uint32_t row,
                         struct error *err)
{
    struct strbuf text = STRBUF_INIT;
    for (uint32_t k = 0; k < external->keys_count; k++) {
        struct datum value = column_get(&keys->columns[k], row);
        strbuf_adds(&text, k > 0 ? ", " : "");
        type_output(keys->columns[k].type.oid, &value, &io_env_default, &text);
    }
    error_detail(err, "Key (%s).", strbuf_text(&text));
    strbuf_release(&text);
}

/* For each key the row that was found, SLOT_NONE when there is none. Rows that nobody asked for are left out. */
static bool match_rows(struct external *external, const struct batch *keys, const struct batch *rows,
                       uint32_t *found, struct arena *arena, struct error *err)
{
    uint32_t buckets_count = 16;
    while (buckets_count < keys->rows * 2)
        buckets_count *= 2;
    uint32_t *buckets = ARENA_ARRAY(arena, uint32_t, buckets_count); /* key + 1 */
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * (keys->rows + rows->rows));
    batch_hash(keys, external->key_numbers, external->keys_count, hashes);
    for (uint32_t row = 0; row < keys->rows; row++) {
        uint32_t at = (uint32_t)hashes[row] & (buckets_count - 1);
        while (buckets[at] != 0)
            at = (at + 1) & (buckets_count - 1);
        buckets[at] = row + 1;
        found[row] = SLOT_NONE;
    }
    uint64_t *row_hashes = hashes + keys->rows;
    batch_hash(rows, external->keys, external->keys_count, row_hashes);
    for (uint32_t row = 0; row < rows->rows; row++) {
        uint32_t at = (uint32_t)row_hashes[row] & (buckets_count - 1);
        while (buckets[at] != 0 && (hashes[buckets[at] - 1] != row_hashes[row] ||
                                    !batch_rows_equal(rows, row, external->keys, keys, buckets[at] - 1,
                                                      external->key_numbers, external->keys_count)))
            at = (at + 1) & (buckets_count - 1);
        if (buckets[at] == 0)
            continue;
        uint32_t key = buckets[at] - 1;
        if (found[key] != SLOT_NONE) {
            error_set(err, ERRCODE_CARDINALITY_VIOLATION, "there is more than one row with the same key");
            describe_key(external, keys, key, err);
            return false;
        }
        found[key] = row;
    }
    return true;
}

static bool check_not_null(const struct external *external, const struct batch *rows, struct error *err)
{
    for (uint32_t c = 0; c < external->columns_count; c++) {
        const struct catalog_column *column = &external->object->columns[c];
        for (uint32_t row = 0; row < rows->rows && column->not_null; row++)
            if (column_is_null(&rows->columns[c], row))
                return error_set(err, ERRCODE_NOT_NULL_VIOLATION, "null value in column \"%s\"",
                                 column->name);
    }
    return true;
}

/* The rows of the cache that say what the database has said at the time now_us. */
static bool make_answers(struct external *external, const struct batch *keys, const struct batch *rows,
                         int64_t now_us, struct arena *arena, struct batch **out, uint64_t *found_count,
                         struct error *err)
{
    uint32_t *found = arena_alloc(arena, sizeof(*found) * keys->rows);
    const struct sql_type *types;
    uint32_t columns_count = relation_columns(external->relation, &types);
    if (!check_not_null(external, rows, err) || !match_rows(external, keys, rows, found, arena, err))
        return false;
    struct datum *values = ARENA_ARRAY(arena, struct datum, columns_count);
    *out = batch_create(arena, types, columns_count, keys->rows);
    *found_count = 0;
    for (uint32_t row = 0; row < keys->rows; row++) {
        bool is_found = found[row] != SLOT_NONE;
        for (uint32_t c = 0; c < external->columns_count; c++)
            values[c] = is_found ? column_get(&rows->columns[c], found[row]) : datum_null();
        for (uint32_t k = 0; k < external->keys_count; k++)
            values[external->keys[k]] = column_get(&keys->columns[k], row);
        values[external->columns_count] = datum_bool(is_found);
        values[external->columns_count + 1] =
            datum_i64(now_us + (is_found ? external->cache_ttl_us : external->missing_ttl_us));
        batch_append_datums(*out, values, 1);
        *found_count += is_found;
    }
    return true;
}

/* Errors of these classes are about one of the keys and not about the database. */
static bool is_about_key(const struct error *error)
{
    const char *sqlstate = error_sqlstate(error->code);
    return sqlstate[0] == '2' && sqlstate[1] >= '1' && sqlstate[1] <= '3';
}

static bool question(struct external *external, const struct batch *keys, struct flight *flight,
                     struct batch **answers, uint64_t *found, struct error *err)
{
    int64_t now_us = clock_now_us();
    const struct sql_type *types;
    (void)relation_columns(external->relation, &types);
    struct lookup_wait wait = {clock_monotonic_ns() + external->timeout_us * 1000, external->stop_fd};
    struct batch *rows = batch_create(&flight->arena, types, external->columns_count, keys->rows);
    return external->lookup->class->fetch(external->lookup, keys, &wait, rows, err) &&
           make_answers(external, keys, rows, now_us, &flight->arena, answers, found, err);
}

/* Asks for the keys, by halves where one of them is trouble. */
static void ask_for(struct external *external, const struct batch *keys)
{
    struct flight *flight = take_flight(external);
    struct batch *answers;
    struct error error;
    uint64_t found;
    error_init(&error);
    arena_reset(&flight->arena);
    bool ok = question(external, keys, flight, &answers, &found, &error);
    pthread_mutex_lock(&external->lock);
    bool stopping = external->stopping;
    external->questions++;
    if (ok) {
        if (external->failures > 0)
            log_write(LOG_INFO, "external table \"%s\" answers again", external->object->name);
        external->failures = 0;
        external->found += found;
        external->not_found += keys->rows - found;
        forget(external, keys);
    } else {
        flight->busy = false;
    }
    pthread_mutex_unlock(&external->lock);
    if (ok) {
        struct batch *kept = batch_header(&flight->arena, external->keys_count);
        kept->rows = answers->rows;
        for (uint32_t k = 0; k < external->keys_count; k++)
            kept->columns[k] = answers->columns[external->keys[k]];
        flight->keys = kept;
        flight->change = (struct txn_change){external->relation, answers, NULL};
        flight->txn = (struct engine_txn){.changes_count = 1, .changes = &flight->change};
        engine_commit_async(external->server->engine, &flight->txn, flight_done, flight);
        return;
    }
    if (stopping || !is_about_key(&error)) {
        put_back(external, keys, &error);
        return;
    }
    if (keys->rows == 1) {
        put_back_key(external, keys, &error);
        return;
    }
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t half = keys->rows / 2;
    ask_for(external, batch_slice(&arena, keys, 0, half));
    ask_for(external, batch_slice(&arena, keys, half, keys->rows - half));
    arena_release(&arena);
}

/* ---- the thread ---- */

static void wait_until(struct external *external, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    if (until_ns == TIME_NEVER)
        pthread_cond_wait(&external->cond, &external->lock);
    else
        pthread_cond_timedwait(&external->cond, &external->lock, &until);
}

/* The next keys to ask for, in the arena; NULL: it is to stop. */
static struct batch *next_keys(struct external *external, struct arena *arena)
{
    struct batch *keys = NULL;
    pthread_mutex_lock(&external->lock);
    external->asking = false;
    while (!external->stopping && keys == NULL) {
        int64_t first_ns = row_queue_first(&external->wanted), now_ns = clock_monotonic_ns();
        if (first_ns != TIME_NEVER && first_ns < external->not_before_ns)
            first_ns = external->not_before_ns;
        if (first_ns > now_ns)
            wait_until(external, first_ns);
        else
            keys = row_queue_take(&external->wanted, now_ns, NULL, arena);
    }
    external->asking = keys != NULL;
    pthread_mutex_unlock(&external->lock);
    return keys;
}

static void *external_main(void *arg)
{
    struct external *external = arg;
    struct arena arena;
    struct batch *keys;
    arena_init(&arena, &external->server->account);
    while ((keys = next_keys(external, &arena)) != NULL) {
        ask_for(external, keys);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return NULL;
}

/* ---- its life ---- */

static void make_state(struct external *external)
{
    const struct sql_type *types;
    uint32_t columns_count = relation_columns(external->relation, &types);
    external->columns_count = columns_count - CACHE_COLUMNS;
    external->keys_count = relation_key(external->relation, &external->keys);
    external->key_numbers = mem_alloc(sizeof(uint32_t) * external->keys_count);
    struct sql_type *key_types = mem_alloc(sizeof(*key_types) * external->keys_count);
    for (uint32_t k = 0; k < external->keys_count; k++) {
        external->key_numbers[k] = k;
        key_types[k] = types[external->keys[k]];
    }
    external->known = hashed_table_create(key_types, external->keys_count, sizeof(struct known_key),
                                          &external->server->account);
    row_queue_open(&external->wanted, key_types, external->keys_count, true, &external->server->account);
    mem_free(key_types);
    pthread_mutex_init(&external->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&external->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        external->flights[i].external = external;
        arena_init(&external->flights[i].arena, &external->server->account);
    }
}

bool external_start(struct server *server, struct catalog_object *object, struct error *err)
{
    struct external *external = mem_zalloc(sizeof(*external));
    external->server = server;
    external->relation = object->relation;
    external->object = object;
    external->source = relation_lookup_source(object->relation);
    external->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (external->stop_fd < 0) {
        error_set(err, ERRCODE_INSUFFICIENT_RESOURCES, "could not start external table \"%s\": %s",
                  object->name, strerror(errno));
        mem_free(external);
        return false;
    }
    if (!read_options(external, object, err) || !open_lookup(object, &external->lookup, err)) {
        close(external->stop_fd);
        mem_free(external);
        return false;
    }
    relation_retain(external->relation);
    catalog_object_retain(object);
    make_state(external);
    CHECK(pthread_create(&external->thread, NULL, external_main, external) == 0);
    lookup_source_listen(external->source, ask, external);
    engine_ask_again(server->engine, external->relation);
    pthread_mutex_lock(&server->externals->lock);
    external->next = server->externals->first;
    server->externals->first = external;
    pthread_mutex_unlock(&server->externals->lock);
    return true;
}

static void stop(struct external *external)
{
    lookup_source_listen(external->source, NULL, NULL);
    pthread_mutex_lock(&external->lock);
    external->stopping = true;
    pthread_cond_broadcast(&external->cond);
    pthread_mutex_unlock(&external->lock);
    uint64_t one = 1;
    CHECK(write(external->stop_fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
    pthread_join(external->thread, NULL);
    pthread_mutex_lock(&external->lock);
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        while (external->flights[i].busy)
            pthread_cond_wait(&external->cond, &external->lock);
    pthread_mutex_unlock(&external->lock);
    external->lookup->class->close(external->lookup);
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        arena_release(&external->flights[i].arena);
    hashed_table_destroy(external->known);
    row_queue_close(&external->wanted);
    mem_free(external->key_numbers);
    close(external->stop_fd);
    relation_release(external->relation);
    catalog_object_release(external->object);
    pthread_mutex_destroy(&external->lock);
    pthread_cond_destroy(&external->cond);
    mem_free(external);
}

void external_stop(struct server *server, const struct catalog_object *object)
{
    pthread_mutex_lock(&server->externals->lock);
    struct external **link = &server->externals->first;
    while (*link != NULL && (*link)->object->oid != object->oid)
        link = &(*link)->next;
    struct external *external = *link;
    if (external != NULL)
        *link = external->next;
    pthread_mutex_unlock(&server->externals->lock);
    if (external != NULL)
        stop(external);
}

struct externals *externals_create(void)
{
    struct externals *externals = mem_zalloc(sizeof(*externals));
    pthread_mutex_init(&externals->lock, NULL);
    return externals;
}

void externals_destroy(struct externals *externals)
{
    while (externals->first != NULL) {
        struct external *external = externals->first;
        externals->first = external->next;
        stop(external);
    }
    pthread_mutex_destroy(&externals->lock);
    mem_free(externals);
}

void externals_for_each(struct externals *externals,
                        bool (*visit)(void *ctx, const struct external_status *status), void *ctx)
{
    bool more = true;
    pthread_mutex_lock(&externals->lock);
    for (struct external *external = externals->first; external != NULL && more; external = external->next) {
        struct lookup_counts counts;
        lookup_source_counts(external->source, &counts);
        pthread_mutex_lock(&external->lock);
        struct external_status status = {
            .relation_oid = external->object->oid,
            .connector = external->lookup->class->name,
            .state = external->failures > 0 ? "retrying"
                     : external->asking     ? "asking"
                                            : "idle",
            .hits = counts.hits,
            .misses = counts.misses,
            .waiting_rows = counts.waiting,
            .waiting_keys = hashed_table_rows(external->known),
            .questions = external->questions,
            .found = external->found,
            .not_found = external->not_found,
            .failures = external->failed,
            .retries = external->retries,
            .last_error = external->last_error_us != 0 ? external->last_error.message : NULL,
            .last_error_us = external->last_error_us};
        more = visit(ctx, &status);
        pthread_mutex_unlock(&external->lock);
    }
    pthread_mutex_unlock(&externals->lock);
}
