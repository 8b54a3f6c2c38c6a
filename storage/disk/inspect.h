/* inspect.h: what a data directory or a backup holds, and whether it is damaged, without changing anything.
 *
 * For a process that does nothing else: the disk in use is replaced by one that refuses to write. */
#ifndef MILLRACE_DISK_INSPECT_H
#define MILLRACE_DISK_INSPECT_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/strbuf.h"

/* Appends a description, as text or as JSON. shown(arena, sql): a definition as it may be shown. *is_damaged: something in it is not what was written, and the text says what.
 * 55006: a server runs on it; 58030, 58P01: it cannot be read; XX001: its format is newer. */
MUST_CHECK
bool inspect_dir(const char *dir, bool as_json, const char *(*shown)(struct arena *arena, const char *sql),
                 struct strbuf *out, bool *is_damaged, struct error *err);

#endif
