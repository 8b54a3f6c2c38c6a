/* nexmark.h: the events of the Nexmark benchmark: persons, auctions and bids of an on-line auction house.
 *
 * Of 50 events one is a person, three are auctions, 46 are bids (Tucker et al., "NEXMark - A Benchmark for
 * Queries over Data Streams"; hot keys as in the Apache Beam and Flink suites). Event number n is a pure
 * function of (seed, n) in integer arithmetic, so that any part can be made again, in any language, without
 * what came before. */
#ifndef MILLRACE_CONNECTOR_NEXMARK_H
#define MILLRACE_CONNECTOR_NEXMARK_H

#include "storage/data/batch.h"

enum nexmark_kind { NEXMARK_PERSON, NEXMARK_AUCTION, NEXMARK_BID };

struct nexmark {
    uint64_t seed;
    int64_t start_us;           /* time of event 0 */
    uint64_t events_per_second; /* of event time */
};

/* Column names and types of a kind, in standard order; ends with a NULL name. */
struct nexmark_column {
    const char *name;
    uint32_t type_oid;
};
const struct nexmark_column *nexmark_columns(enum nexmark_kind kind);
/* Event number of the k-th row (0-based) of a kind, and how many rows of it the first `events` events hold.
 */
uint64_t nexmark_event_of_row(enum nexmark_kind kind, uint64_t row);
uint64_t nexmark_rows_in(enum nexmark_kind kind, uint64_t events);
/* Appends rows [first, first + count) of a kind. columns[i]: standard column that column i of `out` holds. */
void nexmark_append(const struct nexmark *nexmark, enum nexmark_kind kind, uint64_t first, uint32_t count,
                    const uint32_t *columns, struct batch *out);

#endif
