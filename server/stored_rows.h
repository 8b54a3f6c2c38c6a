/* stored_rows.h: a result kept in memory as batches, any row of which can be reached: cursors and suspended
 * portals. */
#ifndef MILLRACE_SERVER_STORED_ROWS_H
#define MILLRACE_SERVER_STORED_ROWS_H

#include "server/session.h"

struct stored_rows {
    struct result_sink sink; /* first member: give it to what runs the statement */
    struct arena arena;
    struct account *account;
    bool described;
    uint32_t columns_count;
    const char **names;
    struct sql_type *types;
    uint32_t batches_count, batches_cap;
    struct batch **batches; /* all full but the last; weights all +1 */
    uint64_t rows;
};

struct stored_rows *stored_rows_create(struct account *account);
void stored_rows_destroy(struct stored_rows *stored);
/* Hands rows [first, first + count) to the sink, in that order, or from the last to the first. */
MUST_CHECK
bool stored_rows_send(const struct stored_rows *stored, uint64_t first, uint64_t count, bool backward,
                      struct result_sink *sink, struct error *err);

#endif
