/* units.h: sizes as people write them: 64kB, 1 GB, 1.5GB. */
#ifndef MILLRACE_BASE_UNITS_H
#define MILLRACE_BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* A number, perhaps with a fraction, and a unit as PostgreSQL spells it (B, kB, MB, GB, TB; none: bytes), with space
 * around them. false when it is none, or beyond int64_t. */
bool bytes_parse(const char *text, int64_t *bytes);
/* In the largest unit that it is a multiple of: 64MB. out: at least 24 bytes. */
void bytes_format(int64_t bytes, char *out);

#endif
