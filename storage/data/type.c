/* type.c: the table of types, their names, and type modifiers (typmod).
 *
 * The table is written once in type_table.def; the index by oid is built by the compiler, so type_find is one
 * load. */
#include "storage/data/type.h"

#include "storage/data/datetime_io.h"

#define VARCHAR_CHARS_MAX   10485760
#define NUMERIC_DIGITS_MAX  1000
#define FRACTION_DIGITS_MAX 6
#define TYPE_OIDS_END       5100

const struct io_env io_env_default = {
    .timezone = "UTC", .date_style = 0, .date_order = 'M', .interval_style = 0, .extra_float_digits = 1};

enum type_position {
    TYPE_POSITION_NONE,
#define BASE_TYPE(oid, array, ...)   TYPE_POSITION_##oid, TYPE_POSITION_##array,
#define VECTOR_TYPE(oid, array, ...) TYPE_POSITION_##oid, TYPE_POSITION_##array,
#define PSEUDO_TYPE(oid, ...)        TYPE_POSITION_##oid,
#include "storage/data/type_table.def"
#undef BASE_TYPE
#undef VECTOR_TYPE
#undef PSEUDO_TYPE
    TYPE_POSITION_END
};

static const uint8_t type_positions[TYPE_OIDS_END] = {
#define BASE_TYPE(oid, array, ...)   [oid] = TYPE_POSITION_##oid, [array] = TYPE_POSITION_##array,
#define VECTOR_TYPE(oid, array, ...) [oid] = TYPE_POSITION_##oid, [array] = TYPE_POSITION_##array,
#define PSEUDO_TYPE(oid, ...)        [oid] = TYPE_POSITION_##oid,
#include "storage/data/type_table.def"
#undef BASE_TYPE
#undef VECTOR_TYPE
#undef PSEUDO_TYPE
};

/* Row 0 is unused so that position 0 can mean "no such type". */
static const struct type_row type_table[TYPE_POSITION_END] = {
#define BASE_TYPE(oid_, array_, name_, sql_, phys_, typlen_, category_, preferred_, help_)                   \
    [TYPE_POSITION_##oid_] = {oid_, name_, sql_, phys_, typlen_, category_, preferred_, array_, 0, help_},   \
    [TYPE_POSITION_##                                                                                        \
        array_] = {array_, "_" name_, sql_ "[]", PHYS_VAR, -1, 'A', false, 0, oid_, "array of " sql_},
#define VECTOR_TYPE(oid_, array_, name_, element_, help_)                                                    \
    [TYPE_POSITION_##oid_] = {oid_, name_, name_, PHYS_VAR, -1, 'A', false, array_, element_, help_},        \
    [TYPE_POSITION_##                                                                                        \
        array_] = {array_, "_" name_, name_ "[]", PHYS_VAR, -1, 'A', false, 0, oid_, "array of " name_},
#define PSEUDO_TYPE(oid_, name_, sql_, typlen_, category_, help_)                                            \
    [TYPE_POSITION_##oid_] = {oid_, name_, sql_, PHYS_VAR, typlen_, category_, false, 0, 0, help_},
#include "storage/data/type_table.def"
#undef BASE_TYPE
#undef VECTOR_TYPE
#undef PSEUDO_TYPE
};

/* Names that are neither typname nor what format_type prints. */
static const struct type_alias {
    const char *name;
    uint32_t oid;
} type_aliases[] = {
    {"int", OID_INT4},
    {"float", OID_FLOAT8},
    {"decimal", OID_NUMERIC},
    {"dec", OID_NUMERIC},
    {"string", OID_TEXT},
    {"character", OID_BPCHAR},
    {"char varying", OID_VARCHAR},
    {"national character varying", OID_VARCHAR},
    {"national character", OID_BPCHAR},
    {"nchar", OID_BPCHAR},
};

const struct type_row *type_find(uint32_t oid)
{
    if (oid >= TYPE_OIDS_END || type_positions[oid] == TYPE_POSITION_NONE)
        return NULL;
    return &type_table[type_positions[oid]];
}

const struct type_row *type_rows(size_t *count)
{
    *count = TYPE_POSITION_END - 1;
    return &type_table[1];
}

enum phys type_phys(uint32_t oid)
{
    const struct type_row *row = type_find(oid);
    CHECK(row != NULL);
    return row->phys;
}

static bool name_is(const char *name, size_t len, const char *other)
{
    return strlen(other) == len && memcmp(name, other, len) == 0;
}

static const struct type_row *find_name(const char *name, size_t len)
{
    for (size_t i = 1; i < TYPE_POSITION_END; i++) {
        if (name_is(name, len, type_table[i].name))
            return &type_table[i];
    }
    for (size_t i = 1; i < TYPE_POSITION_END; i++) {
        if (name_is(name, len, type_table[i].sql_name))
            return &type_table[i];
    }
    for (size_t i = 0; i < ARRAY_COUNT(type_aliases); i++) {
        if (name_is(name, len, type_aliases[i].name))
            return type_find(type_aliases[i].oid);
    }
    return NULL;
}

const struct type_row *type_find_name(const char *name)
{
    size_t len = strlen(name);
    bool array = false;
    while (len > 2 && name[len - 2] == '[' && name[len - 1] == ']') {
        len -= 2; /* int[][] is the same type as int[] */
        array = true;
        while (len > 0 && name[len - 1] == ' ')
            len--;
    }
    const struct type_row *row = find_name(name, len);
    if (row != NULL && array)
        return row->array_oid != 0 ? type_find(row->array_oid) : NULL;
    return row;
}

static void format_interval_fields(int32_t fields, struct strbuf *out)
{
    static const struct {
        int32_t field;
        const char *name;
    } names[] = {{INTERVAL_FIELD_YEAR, "year"},     {INTERVAL_FIELD_MONTH, "month"},
                 {INTERVAL_FIELD_DAY, "day"},       {INTERVAL_FIELD_HOUR, "hour"},
                 {INTERVAL_FIELD_MINUTE, "minute"}, {INTERVAL_FIELD_SECOND, "second"}};
    if (fields == INTERVAL_FIELDS_ALL)
        return;
    const char *first = NULL, *last = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (fields & names[i].field) {
            first = first == NULL ? names[i].name : first;
            last = names[i].name;
        }
    }
    if (first != NULL)
        strbuf_addf(out, " %s", first);
    if (first != last)
        strbuf_addf(out, " to %s", last);
}

static void format_with_typmod(const struct type_row *row, int32_t typmod, struct strbuf *out)
{
    switch (row->oid) {
    case OID_VARCHAR:
    case OID_BPCHAR:
        strbuf_addf(out, "%s(%d)", row->sql_name, typmod - 4);
        break;
    case OID_NUMERIC: {
        uint32_t packed = (uint32_t)(typmod - 4);
        int32_t scale = (int32_t)((packed & 0x7ff) ^ 1024) - 1024; /* 11 bits, two's complement */
        strbuf_addf(out, "numeric(%u,%d)", packed >> 16, scale);
        break;
    }
    case OID_TIME:
        strbuf_addf(out, "time(%d) without time zone", typmod);
        break;
    case OID_TIMESTAMP:
        strbuf_addf(out, "timestamp(%d) without time zone", typmod);
        break;
    case OID_TIMESTAMPTZ:
        strbuf_addf(out, "timestamp(%d) with time zone", typmod);
        break;
    case OID_INTERVAL:
        strbuf_adds(out, "interval");
        format_interval_fields((typmod >> 16) & INTERVAL_FIELDS_ALL, out);
        if ((typmod & 0xffff) != INTERVAL_DIGITS_ALL)
            strbuf_addf(out, "(%d)", typmod & 0xffff);
        break;
    default:
        strbuf_adds(out, row->sql_name);
        break;
    }
}

void type_format(uint32_t oid, int32_t typmod, struct strbuf *out)
{
    if (oid == 0) {
        strbuf_addc(out, '-');
        return;
    }
    const struct type_row *row = type_find(oid);
    if (row == NULL) {
        strbuf_adds(out, "???");
        return;
    }
    if (typmod < 0) {
        strbuf_adds(out, row->sql_name);
        return;
    }
    bool array = row->element_oid != 0 && row->name[0] == '_';
    format_with_typmod(array ? type_find(row->element_oid) : row, typmod, out);
    if (array)
        strbuf_adds(out, "[]");
}

static bool typmod_length(const char *name, const int32_t *args, uint32_t count, int32_t *typmod,
                          struct error *err)
{
    if (count != 1)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid type modifier");
    if (args[0] < 1)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "length for type %s must be at least 1", name);
    if (args[0] > VARCHAR_CHARS_MAX)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "length for type %s cannot exceed %d", name,
                         VARCHAR_CHARS_MAX);
    *typmod = args[0] + 4;
    return true;
}

static bool typmod_numeric(const int32_t *args, uint32_t count, int32_t *typmod, struct error *err)
{
    if (count != 1 && count != 2)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid NUMERIC type modifier");
    int32_t scale = count == 2 ? args[1] : 0;
    if (args[0] < 1 || args[0] > NUMERIC_DIGITS_MAX)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "NUMERIC precision %d must be between 1 and %d", args[0], NUMERIC_DIGITS_MAX);
    if (scale < -NUMERIC_DIGITS_MAX || scale > NUMERIC_DIGITS_MAX)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "NUMERIC scale %d must be between %d and %d",
                         scale, -NUMERIC_DIGITS_MAX, NUMERIC_DIGITS_MAX);
    *typmod = (int32_t)(((uint32_t)args[0] << 16) | ((uint32_t)scale & 0x7ff)) + 4;
    return true;
}

/* Digits of a fraction of a second; more than 6 are reduced to 6, as PostgreSQL does with a warning. */
static bool typmod_fraction(const char *name, const char *suffix, int32_t digits, int32_t *typmod,
                            struct error *err)
{
    if (digits < 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "%s(%d)%s precision must not be negative",
                         name, digits, suffix);
    *typmod = digits > FRACTION_DIGITS_MAX ? FRACTION_DIGITS_MAX : digits;
    return true;
}

static bool typmod_interval(const int32_t *args, uint32_t count, int32_t *typmod, struct error *err)
{
    int32_t digits = INTERVAL_DIGITS_ALL;
    if (count != 1 && count != 2)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid INTERVAL type modifier");
    if (args[0] <= 0 || args[0] > INTERVAL_FIELDS_ALL)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid INTERVAL type modifier");
    if (count == 2 && !typmod_fraction("INTERVAL", "", args[1], &digits, err))
        return false;
    if (count == 1 && args[0] == INTERVAL_FIELDS_ALL) {
        *typmod = -1;
        return true;
    }
    *typmod = (int32_t)(((uint32_t)args[0] << 16) | ((uint32_t)digits & 0xffff));
    return true;
}

bool type_typmod(uint32_t oid, const int32_t *args, uint32_t args_count, int32_t *typmod, struct error *err)
{
    *typmod = -1;
    if (args_count == 0)
        return true;
    const struct type_row *row = type_find(oid);
    CHECK(row != NULL);
    if (row->element_oid != 0 && row->name[0] == '_')
        return type_typmod(row->element_oid, args, args_count, typmod, err);
    switch (oid) {
    case OID_VARCHAR:
        return typmod_length("varchar", args, args_count, typmod, err);
    case OID_BPCHAR:
        return typmod_length("char", args, args_count, typmod, err);
    case OID_NUMERIC:
        return typmod_numeric(args, args_count, typmod, err);
    case OID_INTERVAL:
        return typmod_interval(args, args_count, typmod, err);
    case OID_TIME:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        if (args_count != 1)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid type modifier");
        return typmod_fraction(oid == OID_TIME ? "TIME" : "TIMESTAMP",
                               oid == OID_TIMESTAMPTZ ? " WITH TIME ZONE" : "", args[0], typmod, err);
    default:
        return error_set(err, ERRCODE_SYNTAX_ERROR, "type modifier is not allowed for type \"%s\"",
                         row->name);
    }
}
