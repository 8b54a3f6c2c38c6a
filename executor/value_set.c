/* value_set.c: three layouts: integers, byte strings, and everything else by type_hash and type_compare.
 * Open addressing at most half full. */
#include "executor/value_set.h"

#include "storage/data/hash.h"

enum set_kind { SET_INTEGER, SET_BYTES, SET_OTHER };

struct value_set {
    enum set_kind kind;
    uint32_t type_oid;
    uint32_t count;
    uint32_t mask;
    bool has_null;
    uint8_t *used;
    int64_t *integers;
    struct varlen *bytes;
    struct datum *values;
};

static enum set_kind kind_of(uint32_t type_oid)
{
    switch (type_oid) {
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_NAME:
    case OID_BYTEA:
    case OID_CHAR:
        return SET_BYTES;
    default:
        break;
    }
    enum phys phys = type_phys(type_oid);
    return phys == PHYS_BOOL || phys == PHYS_I16 || phys == PHYS_I32 || phys == PHYS_I64 ? SET_INTEGER
                                                                                         : SET_OTHER;
}

static int64_t integer_of(enum phys phys, const struct datum *value)
{
    switch (phys) {
    case PHYS_BOOL:
        return value->boolean;
    case PHYS_I16:
        return value->i16;
    case PHYS_I32:
        return value->i32;
    default:
        return value->i64;
    }
}

static uint64_t bytes_hash(const struct varlen *value)
{
    return hash_bytes(varlen_bytes(value), value->len);
}

static bool find_integer(const struct value_set *set, int64_t value, uint32_t *slot)
{
    uint32_t at = (uint32_t)hash_u64((uint64_t)value) & set->mask;
    while (set->used[at] && set->integers[at] != value)
        at = (at + 1) & set->mask;
    *slot = at;
    return set->used[at];
}

static bool find_bytes(const struct value_set *set, const struct varlen *value, uint32_t *slot)
{
    uint32_t at = (uint32_t)bytes_hash(value) & set->mask;
    while (set->used[at] && !varlen_identical(&set->bytes[at], value))
        at = (at + 1) & set->mask;
    *slot = at;
    return set->used[at];
}

static bool find_other(const struct value_set *set, const struct datum *value, uint32_t *slot)
{
    uint32_t at = (uint32_t)type_hash(set->type_oid, value) & set->mask;
    while (set->used[at] && type_compare(set->type_oid, &set->values[at], value) != 0)
        at = (at + 1) & set->mask;
    *slot = at;
    return set->used[at];
}

struct value_set *value_set_create(struct arena *arena, uint32_t type_oid, const struct datum *values,
                                   uint32_t count)
{
    struct value_set *set = ARENA_NEW(arena, struct value_set);
    set->kind = kind_of(type_oid);
    set->type_oid = type_oid;
    uint32_t cap = 8;
    while (cap < count * 2)
        cap *= 2;
    set->mask = cap - 1;
    set->used = ARENA_ARRAY(arena, uint8_t, cap);
    if (set->kind == SET_INTEGER)
        set->integers = ARENA_ARRAY(arena, int64_t, cap);
    else if (set->kind == SET_BYTES)
        set->bytes = ARENA_ARRAY(arena, struct varlen, cap);
    else
        set->values = ARENA_ARRAY(arena, struct datum, cap);
    enum phys phys = type_phys(type_oid);
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].is_null) {
            set->has_null = true;
            continue;
        }
        uint32_t slot;
        if (set->kind == SET_INTEGER) {
            int64_t value = integer_of(phys, &values[i]);
            if (!find_integer(set, value, &slot))
                set->integers[slot] = value;
        } else if (set->kind == SET_BYTES) {
            if (!find_bytes(set, &values[i].var, &slot))
                set->bytes[slot] = values[i].var;
        } else if (!find_other(set, &values[i], &slot)) {
            set->values[slot] = values[i];
        }
        set->count += !set->used[slot];
        set->used[slot] = 1;
    }
    return set;
}

static void contains_integers(const struct value_set *set, const struct column *values, uint32_t rows,
                              uint8_t *found)
{
    uint32_t slot;
    switch (values->phys) {
    case PHYS_BOOL:
        for (uint32_t i = 0; i < rows; i++)
            found[i] = find_integer(set, ((const uint8_t *)values->data)[i], &slot);
        break;
    case PHYS_I16:
        for (uint32_t i = 0; i < rows; i++)
            found[i] = find_integer(set, ((const int16_t *)values->data)[i], &slot);
        break;
    case PHYS_I32:
        for (uint32_t i = 0; i < rows; i++)
            found[i] = find_integer(set, ((const int32_t *)values->data)[i], &slot);
        break;
    default:
        for (uint32_t i = 0; i < rows; i++)
            found[i] = find_integer(set, ((const int64_t *)values->data)[i], &slot);
        break;
    }
}

bool value_set_contains(const struct value_set *set, const struct column *values, uint32_t rows,
                        uint8_t *found, uint8_t *nulls)
{
    uint32_t slot;
    if (set->kind == SET_INTEGER) {
        contains_integers(set, values, rows, found);
    } else if (set->kind == SET_BYTES) {
        const struct varlen *data = values->data;
        for (uint32_t i = 0; i < rows; i++)
            found[i] = find_bytes(set, &data[i], &slot);
    } else {
        for (uint32_t i = 0; i < rows; i++) {
            struct datum value = column_get(values, i);
            found[i] = !value.is_null && find_other(set, &value, &slot);
        }
    }
    uint8_t any = 0;
    for (uint32_t i = 0; i < rows; i++) {
        uint8_t is_null = values->nulls != NULL ? values->nulls[i] : 0;
        found[i] &= (uint8_t)!is_null;
        /* NULL IN () is false, not unknown; an empty list comes only from an empty array */
        nulls[i] =
            is_null ? (uint8_t)(set->count > 0 || set->has_null) : (uint8_t)(set->has_null & !found[i]);
        any |= nulls[i];
    }
    return any != 0;
}
