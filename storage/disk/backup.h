/* backup.h: directories that hold one checkpoint with its catalog, to be restored elsewhere.
 *
 * A backup is a data directory (state.db, an empty log.db) with a manifest, written last: sizes and checksums of its files,
 * and one of itself. Without it, or with other files than it says, it is refused. */
#ifndef MILLRACE_DISK_BACKUP_H
#define MILLRACE_DISK_BACKUP_H

#include "storage/disk/savepoint.h"

#define BACKUP_MANIFEST "manifest.json"

/* Makes the directory, which must not exist or be empty (55000). *made: it did not exist. */
MUST_CHECK
bool backup_make_dir(const char *dir, bool *made, struct error *err);
/* Whether neither a backup nor a restore has been interrupted in the directory; else XX001. */
MUST_CHECK
bool backup_is_finished(const char *dir, struct error *err);
/* Removes what a backup or a restore has left in the directory, and with `made` the directory. */
void backup_remove(const char *dir, bool made);
/* Writes the savepoint `name` of the store into the directory made by backup_make_dir. After an error the rest is there
 * without a manifest: backup_remove. */
MUST_CHECK
bool backup_write(struct catalog_store *store, const char *name, const char *dir, const _Atomic bool *cancel,
                  struct savepoint_info *out, struct error *err);
/* Makes a data directory, which must not exist or be empty, of a backup. XX001: the backup is incomplete, damaged, or was
 * changed. Nothing is left after an error. */
MUST_CHECK
bool backup_restore(const char *from, const char *dir, struct error *err);
/* Compares the files with the manifest: XX001. *epoch: of the backup. 58P01: there is no manifest. */
MUST_CHECK
bool backup_verify(const char *dir, uint64_t *epoch, struct error *err);

#endif
