/* catalog_store.h: the catalog's rows on disk: DIR/state.db (SQLite, synchronous=FULL), with the format
 * versions.
 *
 * An object is kept as its SQL text plus ids and is bound again at start. Each call is one transaction: 53100, 58030
 * with the file's name when it is not there, 40003 when that cannot be found out for now; it counts as not done then.
 * Writing: any thread; the rest before that. */
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
/* The directory was empty, or its making was interrupted: log.db may be created as well. */
bool catalog_store_is_new(const struct catalog_store *store);
/* Everything is there now: from now on a missing file is damage. */
MUST_CHECK
bool catalog_store_complete(struct catalog_store *store, struct error *err);
void catalog_store_close(struct catalog_store *store);
/* Everything in OID order. */
MUST_CHECK
bool catalog_store_read(struct catalog_store *store,
                        bool (*visit)(void *ctx, const struct catalog_record *record, struct error *err),
                        void *ctx, struct error *err);
/* Adds (or replaces, by oid) `put` and removes `drop`, atomically, and records next_oid. */
MUST_CHECK
bool catalog_store_write(struct catalog_store *store, const struct catalog_record *put, size_t put_count,
                         const uint32_t *drop, size_t drop_count, uint32_t next_oid, struct error *err);
MUST_CHECK
bool catalog_store_next_oid(struct catalog_store *store, uint32_t *oid, struct error *err);
/* Server-wide settings (ALTER SYSTEM-like), key to value; NULL value removes. */
MUST_CHECK
bool catalog_store_set(struct catalog_store *store, const char *key, const char *value, struct error *err);
/* The file for others who keep something in it: held until unlock, which says whether all has gone well. When it has
 * not, the file is opened anew before anybody uses it again: a failed transaction is there then or not, which is to be
 * looked at. */
MUST_CHECK
bool catalog_store_lock(struct catalog_store *store, struct sqlite3 **db, struct error *err);
void catalog_store_unlock(struct catalog_store *store, bool ok);

#endif
