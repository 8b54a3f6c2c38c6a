/* type_exact.c: byte-exact encoding of single values, for row identity and disk.
 *
 * One byte (0 NULL, 1 value), then fixed types as in memory (little-endian) and variable ones as u32 length
 * and bytes. Bytes come from disk when decoding: arrays and records are checked to the last level before they
 * may be opened. */
#include "storage/data/array_internal.h"
#include "storage/data/record.h"
#include "storage/data/type.h"
#include "storage/data/type_check.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are stored little-endian, as in memory");

bool var_bytes_valid(uint32_t oid, const uint8_t *bytes, size_t len)
{
    const struct type_row *row = type_find(oid);
    if (row->element_oid != 0)
        return array_is_valid(bytes, len, oid, 0);
    switch (oid) {
    case OID_RECORD:
        return record_is_valid(bytes, len, 0);
    case OID_NUMERIC:
        return len >= 2;
    case OID_CHAR:
        return len <= 1;
    default:
        return true;
    }
}

void type_encode_exact(uint32_t oid, const struct datum *value, struct strbuf *out)
{
    if (value->is_null) {
        strbuf_addc(out, 0);
        return;
    }
    strbuf_addc(out, 1);
    enum phys phys = type_phys(oid);
    if (phys == PHYS_VAR) {
        strbuf_add(out, &value->var.len, 4);
        strbuf_add(out, varlen_bytes(&value->var), value->var.len);
    } else {
        strbuf_add(out, &value->i64, phys_bytes(phys));
    }
}

bool type_decode_exact(uint32_t oid, const uint8_t *bytes, size_t len, size_t *used, struct arena *arena,
                       struct datum *out, struct error *err)
{
    enum phys phys = type_phys(oid);
    memset(out, 0, sizeof(*out));
    if (len < 1 || bytes[0] > 1)
        goto damaged;
    if (bytes[0] == 0) {
        out->is_null = true;
        *used = 1;
        return true;
    }
    if (phys != PHYS_VAR) {
        if (len < 1 + phys_bytes(phys) || (phys == PHYS_BOOL && bytes[1] > 1))
            goto damaged;
        memcpy(&out->i64, bytes + 1, phys_bytes(phys));
        *used = 1 + phys_bytes(phys);
        return true;
    }
    uint32_t var_len;
    if (len < 5)
        goto damaged;
    memcpy(&var_len, bytes + 1, 4);
    if (len - 5 < var_len || !var_bytes_valid(oid, bytes + 5, var_len))
        goto damaged;
    out->var = varlen_copy(arena, bytes + 5, var_len);
    *used = 5 + (size_t)var_len;
    return true;
damaged:
    return error_set(err, ERRCODE_DATA_CORRUPTED, "stored value of type %s is damaged",
                     type_find(oid)->sql_name);
}
