/* text_store.c: see text_store.h. */
#include "storage/data/text_store.h"

#include "storage/data/text_fast.h"

#include <strings.h>

enum text_kind text_kind_of(struct sql_type type)
{
    switch (type.oid) {
    case OID_INT2:
        return TEXT_INT2;
    case OID_INT4:
        return TEXT_INT4;
    case OID_INT8:
        return TEXT_INT8;
    case OID_TEXT:
        return TEXT_AS_IT_IS;
    case OID_VARCHAR:
        return type.typmod == -1 ? TEXT_AS_IT_IS : TEXT_OTHER;
    case OID_TIMESTAMP:
        return type.typmod == -1 || type.typmod == 6 ? TEXT_TIMESTAMP : TEXT_OTHER;
    case OID_TIMESTAMPTZ:
        return type.typmod == -1 || type.typmod == 6 ? TEXT_TIMESTAMPTZ : TEXT_OTHER;
    case OID_DATE:
        return TEXT_DATE;
    default:
        return TEXT_OTHER;
    }
}

bool text_zone_is_utc(const struct io_env *io)
{
    return strcasecmp(io->timezone, "UTC") == 0 || strcasecmp(io->timezone, "Etc/UTC") == 0;
}

bool text_store(struct batch *batch, uint32_t column, uint32_t row, enum text_kind kind, const char *text,
                size_t len, const struct io_env *io, bool zone_is_utc, struct error *err)
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
        if (text_fast_timestamp(text, len, len, &number, &used) && used == len) {
            ((int64_t *)target->data)[row] = number;
            return true;
        }
        break;
    case TEXT_TIMESTAMPTZ:
        if (text_fast_timestamptz(text, len, len, zone_is_utc, &number)) {
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
    struct datum value = {.is_null = false};
    if (!type_input(target->type.oid, target->type.typmod, text, len, io, batch->arena, &value, err))
        return false;
    column_set(target, row, &value, batch->capacity, batch->arena);
    return true;
}
