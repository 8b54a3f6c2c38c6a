/* text_store.h: a field of text into a row of a column, by the short way where there is one. */
#ifndef MILLRACE_DATA_TEXT_STORE_H
#define MILLRACE_DATA_TEXT_STORE_H

#include "storage/data/batch.h"
#include "storage/data/text_fast.h"

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
/* text_store without the short ways. */
MUST_CHECK
bool text_store_slow(struct batch *batch, uint32_t column, uint32_t row, const char *text, size_t len,
                     const struct io_env *io, struct error *err);

/* Stores text[0..len), which is valid UTF-8, at a row there is room for; its bytes are copied into the batch's arena. Errors of
 * type_input. A NULL that stood there stays marked. */
MUST_CHECK
static inline bool text_store(struct batch *batch, uint32_t column, uint32_t row, enum text_kind kind,
                              const char *text, size_t len, const struct io_env *io, bool zone_is_utc,
                              struct error *err)
{
    struct column *target = &batch->columns[column];
    int64_t number;
    int32_t days;
    size_t used;
    switch (kind) {
    case TEXT_INT2:
        if (text_fast_int(text, len, &number) && number >= INT16_MIN && number <= INT16_MAX) {
            ((int16_t *)target->data)[row] = (int16_t)number;
            return true;
        }
        break;
    case TEXT_INT4:
        if (text_fast_int(text, len, &number) && number >= INT32_MIN && number <= INT32_MAX) {
            ((int32_t *)target->data)[row] = (int32_t)number;
            return true;
        }
        break;
    case TEXT_INT8:
        if (text_fast_int(text, len, &number)) {
            ((int64_t *)target->data)[row] = number;
            return true;
        }
        break;
    case TEXT_AS_IT_IS:
        ((struct varlen *)target->data)[row] = varlen_copy(batch->arena, text, (uint32_t)len);
        return true;
    case TEXT_TIMESTAMP:
        if (text_fast_timestamp(text, len, len, NULL, &number, &used) && used == len) {
            ((int64_t *)target->data)[row] = number;
            return true;
        }
        break;
    case TEXT_TIMESTAMPTZ:
        if (text_fast_timestamptz(text, len, len, NULL, zone_is_utc, &number)) {
            ((int64_t *)target->data)[row] = number;
            return true;
        }
        break;
    case TEXT_DATE:
        if (len == 10 && text_fast_date(text, len, &days)) {
            ((int32_t *)target->data)[row] = days;
            return true;
        }
        break;
    case TEXT_OTHER:
        break;
    }
    return text_store_slow(batch, column, row, text, len, io, err);
}

#endif
