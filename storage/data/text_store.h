/* text_store.h: a field of text into a row of a column, by the short way where there is one. */
#ifndef MILLRACE_DATA_TEXT_STORE_H
#define MILLRACE_DATA_TEXT_STORE_H

#include "storage/data/batch.h"

/* How a field becomes a value: the frequent types have ways of their own. */
enum text_kind {
    TEXT_INT2,
    TEXT_INT4,
    TEXT_INT8,
    TEXT_AS_IT_IS,
    TEXT_TIMESTAMP,
    TEXT_TIMESTAMPTZ,
    TEXT_DATE,
    TEXT_OTHER
};

enum text_kind text_kind_of(struct sql_type type);
/* Is the zone one that never differs from UTC? */
bool text_zone_is_utc(const struct io_env *io);
/* Stores text[0..len), which is valid UTF-8, at a row there is room for; its bytes are copied into the batch's arena. Errors of type_input.
 * A NULL that stood there stays marked. */
MUST_CHECK
bool text_store(struct batch *batch, uint32_t column, uint32_t row, enum text_kind kind, const char *text,
                size_t len, const struct io_env *io, bool zone_is_utc, struct error *err);

#endif
