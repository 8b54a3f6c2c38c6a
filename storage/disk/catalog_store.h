/* catalog_store.h: the catalog's rows on disk: DIR/state.db (SQLite, synchronous=FULL), with the format
 * versions.
 *
 * An object is kept as its SQL text plus ids and is bound again at start. Each call is one transaction. */
#ifndef MILLRACE_DISK_CATALOG_STORE_H
#define MILLRACE_DISK_CATALOG_STORE_H

#include "storage/base/error.h"

#include <stddef.h>

struct catalog_store;
struct sqlite3;

struct catalog_record {
    uint32_t oid;
    uint32_t schema_oid; /* 0: the record is a schema */
    const char *name;
    const char *kind;     /* "schema" "table" "stream" "view" "materialized view" "index" ... */
    const char *sql;      /* CREATE statement */
    const char *settings; /* recorded settings as JSON object text; may be NULL */
    uint64_t epoch;       /* at which it was created */
};

/* Creates the directory and the file, or opens them: refuses (XX001) a directory that is incomplete, damaged,
 * or written by a newer version, naming the file; 55006 when another server runs on it (a lock on DIR/lock,
 * held until close). */
MUST_CHECK
bool catalog_store_open(const char *dir, struct catalog_store **out, struct error *err);
/* The directory was empty: log.db may be created as well. */
bool catalog_store_is_new(const struct catalog_store *store);
void catalog_store_close(struct catalog_store *store);
/* The file, for what else is kept in it (checkpoint_store.h): nobody else uses it until the unlock. Any thread. */
struct sqlite3 *catalog_store_lock(struct catalog_store *store);
void catalog_store_unlock(struct catalog_store *store);
/* Everything in OID order. */
MUST_CHECK
bool catalog_store_read(struct catalog_store *store,
                        bool (*visit)(void *ctx, const struct catalog_record *record, struct error *err),
                        void *ctx, struct error *err);
/* Adds (or replaces, by oid) `put` and removes `drop`, atomically, and records next_oid. */
MUST_CHECK
bool catalog_store_write(struct catalog_store *store, const struct catalog_record *put, size_t put_count,
                         const uint32_t *drop, size_t drop_count, uint32_t next_oid, struct error *err);
uint32_t catalog_store_next_oid(struct catalog_store *store);
/* Server-wide settings (ALTER SYSTEM-like), key to value; NULL value removes. */
MUST_CHECK
bool catalog_store_set(struct catalog_store *store, const char *key, const char *value, struct error *err);

#endif
