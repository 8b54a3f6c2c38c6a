/* type.h: the SQL types and what can be done with one value or one column of each.
 *
 * A type is named by its PostgreSQL OID everywhere (wire, catalog, plans, disk). Physical layouts are few,
 * see enum phys. PostgreSQL manual, chapter 8 for input and output; every text form equals PostgreSQL's byte
 * for byte. */
#ifndef MILLRACE_DATA_TYPE_H
#define MILLRACE_DATA_TYPE_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/strbuf.h"
#include "storage/data/datum.h"

#define OID_BOOL         16u
#define OID_BYTEA        17u
#define OID_CHAR         18u /* "char", one byte, kept as text */
#define OID_NAME         19u
#define OID_INT8         20u
#define OID_INT2         21u
#define OID_INT2VECTOR   22u
#define OID_INT4         23u
#define OID_REGPROC      24u
#define OID_TEXT         25u
#define OID_OID          26u
#define OID_XID          28u
#define OID_OIDVECTOR    30u
#define OID_JSON         114u
#define OID_FLOAT4       700u
#define OID_FLOAT8       701u
#define OID_UNKNOWN      705u
#define OID_BPCHAR       1042u
#define OID_VARCHAR      1043u
#define OID_DATE         1082u
#define OID_TIME         1083u
#define OID_TIMESTAMP    1114u
#define OID_TIMESTAMPTZ  1184u
#define OID_INTERVAL     1186u
#define OID_NUMERIC      1700u
#define OID_REGPROCEDURE 2202u
#define OID_REGOPER      2203u
#define OID_REGOPERATOR  2204u
#define OID_REGCLASS     2205u
#define OID_REGTYPE      2206u
#define OID_RECORD       2249u
#define OID_ANY          2276u
#define OID_ANYARRAY     2277u
#define OID_VOID         2278u
#define OID_ANYELEMENT   2283u
#define OID_UUID         2950u
#define OID_JSONB        3802u
#define OID_REGNAMESPACE 4089u
#define OID_REGROLE      4096u
#define OID_BOOL_ARRAY   1000u
#define OID_INT4_ARRAY   1007u
#define OID_TEXT_ARRAY   1009u
#define OID_INT8_ARRAY   1016u
#define OID_NAME_ARRAY   1003u
#define OID_OID_ARRAY    1028u

/* What text input and output of values depend on: the session's settings. Read-only while in use. */
struct io_env {
    const char *timezone;   /* IANA name, "UTC", or POSIX offset form; never NULL */
    int date_style;         /* 0 ISO; others are refused by SET */
    char date_order;        /* 'M' MDY (default), 'D' DMY, 'Y' YMD */
    int interval_style;     /* 0 postgres, 1 postgres_verbose, 2 sql_standard, 3 iso_8601 */
    int extra_float_digits; /* default 1: shortest form that reads back the same */
    bool bytea_escape;      /* bytea_output = escape; default hex */
    int64_t now_us;         /* transaction start, for 'now', 'today' */
    /* Names behind reg* types; NULL callbacks: the number is shown, only numbers are read. false on an
     * unknown name with err filled (42P01, 42704, 42883). out is appended to. */
    bool (*reg_output)(void *ctx, uint32_t type_oid, uint32_t value, struct strbuf *out);
    bool (*reg_input)(void *ctx, uint32_t type_oid, const char *text, size_t len, uint32_t *value,
                      struct error *err);
    void *reg_ctx;
};

extern const struct io_env io_env_default; /* UTC, ISO, MDY, postgres */

/* One row of the table of types (pg_type). */
struct type_row {
    uint32_t oid;
    const char *name;     /* pg_type.typname: "int4" */
    const char *sql_name; /* format_type: "integer" */
    enum phys phys;
    int16_t typlen;       /* as pg_type: bytes on the wire when fixed, -1 variable */
    char category;        /* pg_type.typcategory: N S D T B A U ... */
    bool preferred;       /* pg_type.typispreferred */
    uint32_t array_oid;   /* its array type, 0 none */
    uint32_t element_oid; /* element when this is an array (or int2vector, oidvector), else 0 */
    const char *help;
};

/* NULL when no such type. Array types of every base type are in the table as well. */
const struct type_row *type_find(uint32_t oid);
/* By pg name or by SQL name ("integer", "int", "timestamp with time zone"), case already folded; "name[]"
 * too. "char" is the one-byte type as in pg_type: the SQL grammar turns an unquoted char into bpchar before
 * anyone looks here. */
const struct type_row *type_find_name(const char *name);
const struct type_row *type_rows(size_t *count);
/* Physical layout; CHECKs that the type exists. */
enum phys type_phys(uint32_t oid);
static inline bool type_is_array(uint32_t oid)
{
    const struct type_row *row = type_find(oid);
    return row != NULL && row->element_oid != 0;
}
/* format_type(oid, typmod): "character varying(10)", "numeric(10,2)[]". typmod -1: none. Appends. */
void type_format(uint32_t oid, int32_t typmod, struct strbuf *out);
/* typmod from the numbers in parentheses: varchar(n), numeric(p,s), timestamp(p) ...; 22023 when out of
 * range. */
MUST_CHECK
bool type_typmod(uint32_t oid, const int32_t *args, uint32_t args_count, int32_t *typmod, struct error *err);

/* Reads text[0..len) as a value of the type, applying typmod (rounding, length check, padding: errors 22P02,
 * 22003, 22001, 22007, 22008 worded as PostgreSQL's). Bytes of variable values live in `arena`. */
MUST_CHECK
bool type_input(uint32_t oid, int32_t typmod, const char *text, size_t len, const struct io_env *env,
                struct arena *arena, struct datum *out, struct error *err);
/* Appends the text form of a value that is not NULL. */
void type_output(uint32_t oid, const struct datum *value, const struct io_env *env, struct strbuf *out);
/* Binary wire format (PostgreSQL's typsend/typreceive), without the length word. 22P03 on bad input, 0A000
 * when the type has none. */
MUST_CHECK
bool type_recv(uint32_t oid, int32_t typmod, const uint8_t *bytes, size_t len, struct arena *arena,
               struct datum *out, struct error *err);
void type_send(uint32_t oid, const struct datum *value, struct strbuf *out);
/* Coerces a value of the same type to a typmod: explicit casts cut text and round, implicit ones (assignment)
 * raise 22001 when non-blank characters would be lost. -1: nothing. */
MUST_CHECK
bool type_apply_typmod(uint32_t oid, int32_t typmod, bool is_explicit, const struct datum *value,
                       struct arena *arena, struct datum *out, struct error *err);

/* Order as PostgreSQL's default btree class under "C" collation: <0, 0, >0. Neither is NULL. */
int type_compare(uint32_t oid, const struct datum *a, const struct datum *b);
/* Are equal values the same bytes, so that one can stand for the other everywhere? Not numeric (1.0 and
 * 1.00), floats (0.0 and -0.0), char(n), intervals, json. */
bool type_equal_is_identical(uint32_t oid);
/* Hash that agrees with type_compare() == 0: 1.0 and 1.00, 0.0 and -0.0, every NaN, char(n) with blanks.
 * NULL hashes to a constant of its own. */
uint64_t type_hash(uint32_t oid, const struct datum *value);
/* Appends the order-preserving key encoding: memcmp order of encodings == type_compare order; no encoding is
 * a prefix of another. One marker byte first: NULLs sort last (ascending, or by nulls_first); `descending`
 * inverts. */
void type_encode_key(uint32_t oid, const struct datum *value, bool descending, bool nulls_first,
                     struct strbuf *out);
/* The same bytes for the same value always, and equal only when values are identical (1.0 and 1.00 differ):
 * row identity, disk. Decoding gives the value back; *used is how many bytes it took; XX001 when damaged. */
void type_encode_exact(uint32_t oid, const struct datum *value, struct strbuf *out);
MUST_CHECK
bool type_decode_exact(uint32_t oid, const uint8_t *bytes, size_t len, size_t *used, struct arena *arena,
                       struct datum *out, struct error *err);

#endif
