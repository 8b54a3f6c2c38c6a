/* sqlite_door.h: how our files are opened in SQLite, and what its errors become. */
#ifndef MILLRACE_DISK_SQLITE_DOOR_H
#define MILLRACE_DISK_SQLITE_DOOR_H

#include "storage/base/error.h"

#include <sqlite3.h>

/* Of log.db and state.db; raised with every change of what they hold.
 *   1  the first
 *   2  log.db: rows of sources by position (1 is read as it is)
 *   3  pages have checksums; state.db: checkpoints and snapshots, and whether the directory is complete (2 is read as one
 *      without) */
#define DISK_FORMAT_VERSION 3

struct sqlite_door_file {
    const char *name;
    const char *schema;  /* SQL that makes it */
    const char *upgrade; /* SQL that makes it of the present version from any before */
};

/* Opens DIR/name in WAL mode with synchronous=FULL and exclusive locking, and checks its format version: a newer one is
 * refused (XX001). may_create: a file that is not there, or whose making was interrupted, is made; else both are errors.
 * What is read from it is durable. */
MUST_CHECK
bool sqlite_door_open(const char *dir, const struct sqlite_door_file *file, bool may_create, sqlite3 **out,
                      struct error *err);
/* Fills err from the connection's last error: 53100 disk full, 53200 no memory, XX001 damaged, 55006 in use, else 58030.
 * Returns false. */
bool sqlite_door_error(sqlite3 *db, const char *name, const char *doing, struct error *err);
MUST_CHECK
bool sqlite_door_exec(sqlite3 *db, const char *name, const char *sql, struct error *err);

#endif
