/* text_store.c: see text_store.h. */
#include "storage/data/text_store.h"

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

bool text_store_slow(struct batch *batch, uint32_t column, uint32_t row, const char *text, size_t len,
                     const struct io_env *io, struct error *err)
{
    struct column *target = &batch->columns[column];
    struct datum value = {.is_null = false};
    if (!type_input(target->type.oid, target->type.typmod, text, len, io, batch->arena, &value, err))
        return false;
    column_set(target, row, &value, batch->capacity, batch->arena);
    return true;
}
