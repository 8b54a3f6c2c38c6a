/* sysview_stat.c: the pg_stat views. What is not counted is NULL, never 0; millrace.* says more. */
#include "planner/reg_names.h"
#include "server/session.h"
#include "server/sysview.h"
#include "server/view_builds.h"
#include "storage/base/clock.h"

static bool rows_activity(struct sys_rows *rows, struct error *err)
{
    uint32_t count;
    const struct sys_session *sessions = sys_sessions(rows, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct sys_session *session = &sessions[i];
        bool in_txn = session->txn_state != 'I';
        sys_text(rows, "datname", session->database);
        sys_int(rows, "pid", session->pid);
        sys_int(rows, "usesysid", role_oid(session->user));
        sys_text(rows, "usename", session->user);
        sys_text(rows, "application_name", session->application_name);
        sys_text(rows, "client_addr", session->client_address);
        sys_int(rows, "client_port", session->client_port);
        sys_int(rows, "backend_start", session->backend_start_us);
        if (in_txn || session->is_running)
            sys_int(rows, "xact_start", in_txn ? session->txn_start_us : session->statement_start_us);
        if (session->statement_start_us != 0)
            sys_int(rows, "query_start", session->statement_start_us);
        sys_int(rows, "state_change", session->state_change_us);
        if (!session->is_running) {
            sys_text(rows, "wait_event_type", "Client");
            sys_text(rows, "wait_event", "ClientRead");
        }
        sys_text(rows, "state",
                 session->is_running                ? "active"
                 : session->txn_state == TXN_OPEN   ? "idle in transaction"
                 : session->txn_state == TXN_FAILED ? "idle in transaction (aborted)"
                                                    : "idle");
        sys_text(rows, "query", session->query);
        sys_end(rows);
    }
    return true;
}

static bool rows_ssl(struct sys_rows *rows, struct error *err)
{
    uint32_t count;
    const struct sys_session *sessions = sys_sessions(rows, &count);
    for (uint32_t i = 0; i < count; i++) {
        sys_int(rows, "pid", sessions[i].pid);
        sys_end(rows);
    }
    return true;
}

static bool rows_database(struct sys_rows *rows, struct error *err)
{
    struct engine_stats stats;
    engine_stats(rows->server->engine, &stats);
    uint32_t count;
    (void)sys_sessions(rows, &count);
    sys_text(rows, "datname", rows->info->database);
    sys_int(rows, "numbackends", count);
    sys_int(rows, "xact_commit", (int64_t)stats.transactions);
    sys_int(rows, "tup_inserted", (int64_t)stats.rows_in);
    sys_int(rows, "stats_reset", rows->server->start_us);
    sys_end(rows);
    return true;
}

static bool is_system_schema(uint32_t schema_oid)
{
    return schema_oid == SCHEMA_PG_CATALOG || schema_oid == SCHEMA_INFORMATION_SCHEMA ||
           schema_oid == SCHEMA_MILLRACE;
}

static void add_table(struct sys_rows *rows, const struct catalog_object *object)
{
    sys_int(rows, "relid", object->oid);
    sys_text(rows, "schemaname", sys_schema_name(rows, object->schema_oid));
    sys_text(rows, "relname", object->name);
}

/* Which of the relations each of the three views of a kind shows follows from its name. */
static bool is_wanted(const struct sys_rows *rows, const struct catalog_object *object, const char *view)
{
    bool is_system = is_system_schema(object->schema_oid);
    return strstr(view, "_all_") != NULL || is_system == (strstr(view, "_sys_") != NULL);
}

static bool tables(struct sys_rows *rows, const char *view, bool with_rows)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        char kind = sys_relkind(object);
        if ((kind != 'r' && kind != 'm') || !is_wanted(rows, object, view))
            continue;
        add_table(rows, object);
        if (with_rows && object->relation != NULL) {
            struct relation_stats stats;
            relation_stats(object->relation, &stats);
            sys_int(rows, "n_live_tup", (int64_t)stats.rows);
            sys_int(rows, "n_dead_tup", 0);
        }
        sys_end(rows);
    }
    return true;
}

static bool indexes(struct sys_rows *rows, const char *view)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *index = rows->objects[i];
        const struct catalog_object *table =
            index->kind == CATALOG_INDEX ? sys_object(rows, index->index_of) : NULL;
        if (table == NULL || !is_wanted(rows, table, view))
            continue;
        add_table(rows, table);
        sys_int(rows, "indexrelid", index->oid);
        sys_text(rows, "indexrelname", index->name);
        sys_end(rows);
    }
    return true;
}

static bool sequences(struct sys_rows *rows, const char *view)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        if (rows->objects[i]->kind != CATALOG_SEQUENCE || !is_wanted(rows, rows->objects[i], view))
            continue;
        add_table(rows, rows->objects[i]);
        sys_end(rows);
    }
    return true;
}

#define ROWS_OF(function, call)                                                                              \
    static bool function(struct sys_rows *rows, struct error *err)                                           \
    {                                                                                                        \
        return call;                                                                                         \
    }
ROWS_OF(rows_all_tables, tables(rows, "_all_", true))
ROWS_OF(rows_sys_tables, tables(rows, "_sys_", true))
ROWS_OF(rows_user_tables, tables(rows, "_user_", true))
ROWS_OF(rows_all_names, tables(rows, "_all_", false))
ROWS_OF(rows_sys_names, tables(rows, "_sys_", false))
ROWS_OF(rows_user_names, tables(rows, "_user_", false))
ROWS_OF(rows_all_indexes, indexes(rows, "_all_"))
ROWS_OF(rows_sys_indexes, indexes(rows, "_sys_"))
ROWS_OF(rows_user_indexes, indexes(rows, "_user_"))
ROWS_OF(rows_all_sequences, sequences(rows, "_all_"))
ROWS_OF(rows_sys_sequences, sequences(rows, "_sys_"))
ROWS_OF(rows_user_sequences, sequences(rows, "_user_"))

#define VIEW(name, columns, rows, help)                                                                      \
    {                                                                                                        \
        SCHEMA_PG_CATALOG, 'v', name, columns, rows, help                                                    \
    }
#define VIEWS(before, after, columns, kind, help)                                                            \
    VIEW(before "_all_" after, columns, rows_all_##kind, help),                                              \
        VIEW(before "_sys_" after, columns, rows_sys_##kind, help " of system schemas"),                     \
        VIEW(before "_user_" after, columns, rows_user_##kind, help " of users")

static void add_index_build(void *ctx, const struct view_build *build)
{
    struct sys_rows *rows = ctx;
    if (build->object->kind != CATALOG_INDEX)
        return;
    sys_int(rows, "pid", build->pid);
    sys_text(rows, "datname", rows->info->database);
    sys_int(rows, "relid", build->object->index_of);
    sys_int(rows, "index_relid", build->object->oid);
    /* the total is of live rows when it began; rows that came since, and those that readers may still see, are done as well */
    uint64_t total = atomic_load(&build->progress.rows_total), done = atomic_load(&build->progress.rows_done);
    sys_int(rows, "tuples_total", (int64_t)total);
    sys_int(rows, "tuples_done", (int64_t)(done < total ? done : total));
    sys_end(rows);
}

static bool rows_index_builds(struct sys_rows *rows, struct error *err)
{
    view_builds_for_each(rows->server, add_index_build, rows);
    return true;
}

#define TABLE_COLUMNS                                                                                        \
    "relid oid, schemaname name, relname name, seq_scan int8, seq_tup_read int8, idx_scan int8, "            \
    "idx_tup_fetch int8, n_tup_ins int8, n_tup_upd int8, n_tup_del int8, n_tup_hot_upd int8"
#define INDEX_COLUMNS "relid oid, indexrelid oid, schemaname name, relname name, indexrelname name"

const struct system_view_row sysview_stat_rows[] = {
    VIEW("pg_stat_activity",
         "datid oid = 5, datname name, pid int4, leader_pid int4, usesysid oid, usename name, "
         "application_name text, "
         "client_addr text, client_hostname text, client_port int4, backend_start timestamptz, "
         "xact_start timestamptz, query_start timestamptz, state_change timestamptz, wait_event_type text, "
         "wait_event text, state text, backend_xid xid, backend_xmin xid, query_id int8, query text, "
         "backend_type text = 'client backend'",
         rows_activity, "sessions and what they do"),
    VIEW("pg_stat_ssl",
         "pid int4, ssl bool = f, version text, cipher text, bits int4, client_dn text, client_serial "
         "numeric, "
         "issuer_dn text",
         rows_ssl, "encryption of connections"),
    VIEW("pg_stat_database",
         "datid oid = 5, datname name, numbackends int4, xact_commit int8, xact_rollback int8, blks_read "
         "int8, "
         "blks_hit int8, tup_returned int8, tup_fetched int8, tup_inserted int8, tup_updated int8, "
         "tup_deleted int8, "
         "conflicts int8, temp_files int8, temp_bytes int8, deadlocks int8, checksum_failures int8, "
         "checksum_last_failure timestamptz, blk_read_time float8, blk_write_time float8, session_time "
         "float8, "
         "active_time float8, idle_in_transaction_time float8, sessions int8, sessions_abandoned int8, "
         "sessions_fatal int8, sessions_killed int8, stats_reset timestamptz",
         rows_database, "transactions of the database"),
    VIEWS("pg_stat", "tables",
          TABLE_COLUMNS
          ", n_live_tup int8, n_dead_tup int8, n_mod_since_analyze int8, n_ins_since_vacuum int8, "
          "last_vacuum timestamptz, last_autovacuum timestamptz, last_analyze timestamptz, "
          "last_autoanalyze timestamptz, vacuum_count int8, autovacuum_count int8, analyze_count int8, "
          "autoanalyze_count int8",
          tables, "rows of the tables"),
    VIEWS("pg_stat_xact", "tables", TABLE_COLUMNS, names, "the tables"),
    VIEWS("pg_statio", "tables",
          "relid oid, schemaname name, relname name, heap_blks_read int8, heap_blks_hit int8, idx_blks_read "
          "int8, "
          "idx_blks_hit int8, toast_blks_read int8, toast_blks_hit int8, tidx_blks_read int8, tidx_blks_hit "
          "int8",
          names, "the tables"),
    VIEWS("pg_stat", "indexes", INDEX_COLUMNS ", idx_scan int8, idx_tup_read int8, idx_tup_fetch int8",
          indexes, "the indexes"),
    VIEWS("pg_statio", "indexes", INDEX_COLUMNS ", idx_blks_read int8, idx_blks_hit int8", indexes,
          "the indexes"),
    VIEW("pg_stat_progress_create_index",
         "pid int4, datid oid = 5, datname name, relid oid, index_relid oid, command text = 'CREATE INDEX', "
         "phase text = 'building index', "
         "lockers_total int8 = 0, lockers_done int8 = 0, current_locker_pid int8 = 0, blocks_total int8 = 0, "
         "blocks_done int8 = 0, tuples_total int8, tuples_done int8, partitions_total int8 = 0, "
         "partitions_done int8 = 0",
         rows_index_builds, "indexes that are being created"),
    VIEWS("pg_statio", "sequences", "relid oid, schemaname name, relname name, blks_read int8, blks_hit int8",
          sequences, "the sequences"),
};
const size_t sysview_stat_rows_count = ARRAY_COUNT(sysview_stat_rows);
