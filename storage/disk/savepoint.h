/* savepoint.h: checkpoints that are kept under a name, with the catalog as of then: snapshots, until they are dropped, and
 * what a backup copies, until it is written.
 *
 * In the tables savepoint and savepoint_object of state.db, which checkpoint_store_open makes. Each call is one
 * transaction unless it says otherwise. Any thread. 58030, 53100, XX001 of state.db besides what is said. */
#ifndef MILLRACE_DISK_SAVEPOINT_H
#define MILLRACE_DISK_SAVEPOINT_H

#include "storage/disk/catalog_store.h"
#include "storage/disk/checkpoint_store.h"

enum savepoint_use { SAVEPOINT_SNAPSHOT, SAVEPOINT_BACKUP /* forgotten when the store is opened again */ };

struct savepoint_info {
    const char *name;
    uint64_t number, epoch; /* of its checkpoint */
    int64_t taken_us;
    uint32_t objects; /* in its catalog */
};

/* Keeps the newest valid checkpoint together with the catalog as it is: the caller sees to it that the catalog has not
 * changed since that checkpoint. 42710: there is one of that name; 55000: there is no checkpoint. */
MUST_CHECK
bool savepoint_keep(struct catalog_store *store, const char *name, enum savepoint_use use, struct error *err);
/* Forgets it, and the pieces that were kept for it alone. *found: it was there. */
MUST_CHECK
bool savepoint_release(struct catalog_store *store, const char *name, enum savepoint_use use, bool *found,
                       struct error *err);
/* The snapshots, by name; info is borrowed. */
MUST_CHECK
bool savepoint_snapshots(struct catalog_store *store,
                         bool (*visit)(void *ctx, const struct savepoint_info *info), void *ctx,
                         struct error *err);
/* Copies the kept checkpoint with its catalog into a new store, in which checkpoint_store_open has made the tables, in
 * several transactions; checks what it reads. Others use `store` in between. 57014 when *cancel became true. */
MUST_CHECK
bool savepoint_copy(struct catalog_store *store, const char *name, enum savepoint_use use,
                    struct catalog_store *to, const _Atomic bool *cancel, struct savepoint_info *out,
                    struct error *err);
/* Makes what the snapshot holds the newest valid checkpoint, and its catalog the present one. The new checkpoint's epoch is
 * `epoch`: behind all that is in the log, so that nothing of it is replayed. Before the first checkpoint of this process.
 * 42704: there is none of that name. */
MUST_CHECK
bool savepoint_go_back(struct catalog_store *store, const char *name, uint64_t epoch, struct error *err);

#endif
