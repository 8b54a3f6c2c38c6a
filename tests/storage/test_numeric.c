/* test_numeric.c: numeric against values that PostgreSQL 15 gave, and the rules of the encoding. */
#include "storage/data/numeric.h"
#include "storage/data/numeric_io.h"
#include "tests/test.h"

#include <math.h>

struct vector {
    const char *op, *a, *b, *expected; /* errors: "ERR sqlstate message | detail" */
};

static const struct vector vectors[] = {
    {"+", "1", "2", "3"},
    {"+", "1.10", "2.2", "3.30"},
    {"+", "-0.5", "0.5", "0.0"},
    {"+", "170141183460469231731687303715884105727", "1", "170141183460469231731687303715884105728"},
    {"+", "99999999999999999999999999999999999999999", "0.001",
     "99999999999999999999999999999999999999999.001"},
    {"+", "NaN", "1", "NaN"},
    {"+", "Infinity", "-Infinity", "NaN"},
    {"+", "Infinity", "5", "Infinity"},
    {"+", "-3", "-Infinity", "-Infinity"},
    {"+", "0.00", "-0.000", "0.000"},
    {"-", "1", "2", "-1"},
    {"-", "1.10", "2.2", "-1.10"},
    {"-", "-170141183460469231731687303715884105727", "1", "-170141183460469231731687303715884105728"},
    {"-", "1e40", "1e-5", "9999999999999999999999999999999999999999.99999"},
    {"-", "Infinity", "Infinity", "NaN"},
    {"-", "0", "Infinity", "-Infinity"},
    {"-", "5.00", "5.0", "0.00"},
    {"*", "3.0", "0.25", "0.750"},
    {"*", "-7", "8.00", "-56.00"},
    {"*", "123456789012345678901234567890", "-987654321098765432109876543210",
     "-121932631137021795226185032733622923332237463801111263526900"},
    {"*", "0", "Infinity", "NaN"},
    {"*", "-2", "Infinity", "-Infinity"},
    {"*", "0.000", "-1", "0.000"},
    {"*", "NaN", "0", "NaN"},
    {"*", "9223372036854775807", "9223372036854775807", "85070591730234615847396907784232501249"},
    {"*", "1e131071", "10", "ERR 22003 value overflows numeric format"},
    {"/", "1", "3", "0.33333333333333333333"},
    {"/", "2", "3", "0.66666666666666666667"},
    {"/", "10", "4", "2.5000000000000000"},
    {"/", "-1", "7", "-0.14285714285714285714"},
    {"/", "1.000", "3", "0.33333333333333333333"},
    {"/", "0", "7", "0.00000000000000000000"},
    {"/", "0.00", "7.0", "0.00000000000000000000"},
    {"/", "12345678.9", "0.001", "12345678900.00000000"},
    {"/", "1", "10000", "0.000100000000000000000000"},
    {"/", "9999", "10000", "0.99990000000000000000"},
    {"/", "10000", "9999", "1.0001000100010001"},
    {"/", "1e-30", "7", "0.000000000000000000000000000000142857142857142857"},
    {"/", "1e30", "7", "142857142857142857142857142857"},
    {"/", "123456789012345678901234567890", "0.000000000000000000001234",
     "100046020269323888898893490996758508914100486223662.884927066450567260940032"},
    {"/", "1", "99999999999999999999999999999999999999999999",
     "0.000000000000000000000000000000000000000000010000000000000000"},
    {"/", "5", "0", "ERR 22012 division by zero"},
    {"/", "NaN", "0", "NaN"},
    {"/", "Infinity", "-2", "-Infinity"},
    {"/", "Infinity", "0", "ERR 22012 division by zero"},
    {"/", "Infinity", "Infinity", "NaN"},
    {"/", "1", "Infinity", "0"},
    {"/", "170141183460469231731687303715884105727", "170141183460469231731687303715884105726",
     "1.00000000000000000000"},
    {"/", "1.5", "2.50", "0.60000000000000000000"},
    {"div", "7.5", "2", "3"},
    {"div", "-7.5", "2", "-3"},
    {"div", "1e40", "3", "3333333333333333333333333333333333333333"},
    {"div", "5", "0", "ERR 22012 division by zero"},
    {"div", "Infinity", "3", "Infinity"},
    {"div", "0.1", "0.03", "3"},
    {"mod", "7.5", "2", "1.5"},
    {"mod", "-7.5", "2", "-1.5"},
    {"mod", "7", "-2.25", "0.25"},
    {"mod", "1e40", "7.1", "3.6"},
    {"mod", "5", "0.0", "ERR 22012 division by zero"},
    {"mod", "Infinity", "3", "NaN"},
    {"mod", "5", "Infinity", "5"},
    {"mod", "0.1", "0.03", "0.01"},
    {"sqrt", "2", NULL, "1.414213562373095"},
    {"sqrt", "0", NULL, "0.000000000000000"},
    {"sqrt", "0.00", NULL, "0.000000000000000"},
    {"sqrt", "4", NULL, "2.000000000000000"},
    {"sqrt", "1e10", NULL, "100000.00000000000"},
    {"sqrt", "1e-10", NULL, "0.000010000000000000000"},
    {"sqrt", "0.0002", NULL, "0.01414213562373095"},
    {"sqrt", "123456789.123456789", NULL, "11111.11106611111"},
    {"sqrt", "15241578753238836750190521", NULL, "3904046458898.618"},
    {"sqrt", "-1", NULL, "ERR 2201F cannot take square root of a negative number"},
    {"sqrt", "Infinity", NULL, "Infinity"},
    {"sqrt", "-Infinity", NULL, "ERR 2201F cannot take square root of a negative number"},
    {"sqrt", "NaN", NULL, "NaN"},
    {"sqrt", "99999999", NULL, "9999.9999499999999"},
    {"sqrt", "10000", NULL, "100.0000000000000"},
    {"sqrt", "9999", NULL, "99.994999874993750"},
    {"exp", "0", NULL, "1.0000000000000000"},
    {"exp", "1", NULL, "2.7182818284590452"},
    {"exp", "-1", NULL, "0.3678794411714423"},
    {"exp", "10.5", NULL, "36315.502674246638"},
    {"exp", "-10.5", NULL, "0.00002753644934974716"},
    {"exp", "0.0000001", NULL, "1.0000001000000050"},
    {"exp", "100", NULL, "26881171418161354484126255515800135873611119"},
    {"exp", "-100", NULL, "0.00000000000000000000000000000000000000000003720075976020836"},
    {"exp", "-Infinity", NULL, "0"},
    {"exp", "Infinity", NULL, "Infinity"},
    {"exp", "6000", NULL, "ERR 22003 value overflows numeric format"},
    {"exp", "1.00000000000000000000", NULL, "2.71828182845904523536"},
    {"ln", "1", NULL, "0.0000000000000000"},
    {"ln", "2", NULL, "0.6931471805599453"},
    {"ln", "10", NULL, "2.3025850929940457"},
    {"ln", "0.5", NULL, "-0.6931471805599453"},
    {"ln", "1.0000001", NULL, "0.00000009999999500000033"},
    {"ln", "0.9999", NULL, "-0.00010000500033335834"},
    {"ln", "1e100", NULL, "230.25850929940457"},
    {"ln", "1e-100", NULL,
     "-230."
     "2585092994045684017991454684364207601101488628772976033327900967572609677352480235997205089598298342"},
    {"ln", "0", NULL, "ERR 2201E cannot take logarithm of zero"},
    {"ln", "-1", NULL, "ERR 2201E cannot take logarithm of a negative number"},
    {"ln", "Infinity", NULL, "Infinity"},
    {"ln", "NaN", NULL, "NaN"},
    {"ln", "1.1", NULL, "0.09531017980432486"},
    {"ln", "0.9", NULL, "-0.10536051565782630"},
    {"ln", "2.71828182845904523536", NULL, "1.00000000000000000000"},
    {"log", "10", "1000", "3.0000000000000000"},
    {"log", "2", "1024", "10.0000000000000000"},
    {"log", "10", "2", "0.3010299956639812"},
    {"log", "2.5", "1e20", "50.258831894641201"},
    {"log", "1", "5", "ERR 22012 division by zero"},
    {"log", "0", "1", "ERR 2201E cannot take logarithm of zero"},
    {"log", "10", "0", "ERR 2201E cannot take logarithm of zero"},
    {"log", "-10", "5", "ERR 2201E cannot take logarithm of a negative number"},
    {"log", "Infinity", "3", "0"},
    {"log", "3", "Infinity", "Infinity"},
    {"log", "Infinity", "Infinity", "NaN"},
    {"log", "1.0001", "2", "6931.818373413795"},
    {"power", "2", "10", "1024.0000000000000000"},
    {"power", "2", "-10", "0.0009765625000000"},
    {"power", "2", "0.5", "1.4142135623730950"},
    {"power", "4", "0.5", "2.0000000000000000"},
    {"power", "0", "0", "1.0000000000000000"},
    {"power", "0", "-1", "ERR 2201F zero raised to a negative power is undefined"},
    {"power", "0", "1.5", "0.0000000000000000"},
    {"power", "-2", "3", "-8.0000000000000000"},
    {"power", "-2", "0.5",
     "ERR 2201F a negative number raised to a non-integer power yields a complex result"},
    {"power", "1.0000001", "123456789", "229964.0526159301784424"},
    {"power", "1.1", "1000", "246993291800582633412408838508522147770973.3385238396234869"},
    {"power", "10", "-20", "0.0000000000000000"},
    {"power", "0.1", "17", "0.0000000000000000"},
    {"power", "7.5", "20", "317121193893399322.4054574966430664"},
    {"power", "1.5", "2.5", "2.7556759606310754"},
    {"power", "100", "1.5", "1000.0000000000000"},
    {"power", "2", "131.75", "4578275560285861241389693780869092998625.84"},
    {"power", "10", "131072", "ERR 22003 value overflows numeric format"},
    {"power", "NaN", "0", "1"},
    {"power", "1", "NaN", "1"},
    {"power", "-1", "Infinity", "1"},
    {"power", "0.5", "-Infinity", "Infinity"},
    {"power", "-Infinity", "3", "-Infinity"},
    {"power", "-Infinity", "-3", "0"},
    {"power", "2.0000", "3", "8.0000000000000000"},
    {"power", "-1", "4294967297", "-1.0000000000000000"},
    {"power", "1.2", "1e9", "ERR 22003 value overflows numeric format"},
    {"round", "2.5", "0", "3"},
    {"trunc", "2.5", "0", "2"},
    {"round", "-2.5", "0", "-3"},
    {"trunc", "-2.5", "0", "-2"},
    {"round", "1.005", "2", "1.01"},
    {"trunc", "1.005", "2", "1.00"},
    {"round", "15", "-1", "20"},
    {"trunc", "15", "-1", "10"},
    {"round", "-15", "-1", "-20"},
    {"trunc", "-15", "-1", "-10"},
    {"round", "1234.5678", "6", "1234.567800"},
    {"trunc", "1234.5678", "6", "1234.567800"},
    {"round", "4", "-1", "0"},
    {"trunc", "4", "-1", "0"},
    {"round", "55", "-2", "100"},
    {"trunc", "55", "-2", "0"},
    {"round", "NaN", "3", "NaN"},
    {"trunc", "NaN", "3", "NaN"},
    {"round", "99999999999999999999999999999999999999.5", "0", "100000000000000000000000000000000000000"},
    {"trunc", "99999999999999999999999999999999999999.5", "0", "99999999999999999999999999999999999999"},
    {"round", "0.5", "-3", "0"},
    {"trunc", "0.5", "-3", "0"},
    {"round", "49", "-2", "0"},
    {"trunc", "49", "-2", "0"},
    {"round", "-0.4", "0", "0"},
    {"trunc", "-0.4", "0", "0"},
    {"ceil", "1.5", NULL, "2"},
    {"floor", "1.5", NULL, "1"},
    {"ceil", "-1.5", NULL, "-1"},
    {"floor", "-1.5", NULL, "-2"},
    {"ceil", "2", NULL, "2"},
    {"floor", "2", NULL, "2"},
    {"ceil", "2.000", NULL, "2"},
    {"floor", "2.000", NULL, "2"},
    {"ceil", "-0.5", NULL, "0"},
    {"floor", "-0.5", NULL, "-1"},
    {"ceil", "0.5", NULL, "1"},
    {"floor", "0.5", NULL, "0"},
    {"ceil", "1e40", NULL, "10000000000000000000000000000000000000000"},
    {"floor", "1e40", NULL, "10000000000000000000000000000000000000000"},
    {"ceil", "Infinity", NULL, "Infinity"},
    {"floor", "Infinity", NULL, "Infinity"},
    {"ceil", "99999999999999999999999999999999999999999.1", NULL,
     "100000000000000000000000000000000000000000"},
    {"floor", "99999999999999999999999999999999999999999.1", NULL,
     "99999999999999999999999999999999999999999"},
    {"trim_scale", "1.500", NULL, "1.5"},
    {"trim_scale", "100", NULL, "100"},
    {"trim_scale", "0.000", NULL, "0"},
    {"trim_scale", "1e20", NULL, "100000000000000000000"},
    {"trim_scale", "12345678901234567890123456789012345678900.000", NULL,
     "12345678901234567890123456789012345678900"},
    {"trim_scale", "Infinity", NULL, "Infinity"},
    {"abs", "-5.50", NULL, "5.50"},
    {"abs", "-Infinity", NULL, "Infinity"},
    {"neg", "-123456789012345678901234567890123456789.5", NULL, "123456789012345678901234567890123456789.5"},
    {"neg", "0.00", NULL, "0.00"},
    {"neg", "NaN", NULL, "NaN"},
    {"neg", "Infinity", NULL, "-Infinity"},
    {"cmp", "1.0", "1.00", "0"},
    {"cmp", "1", "2", "-1"},
    {"cmp", "-1", "0", "-1"},
    {"cmp", "NaN", "Infinity", "1"},
    {"cmp", "NaN", "NaN", "0"},
    {"cmp", "1e40", "1e39", "1"},
    {"cmp", "100000000000000000000000000000000000000000.0", "1e41", "0"},
    {"cmp", "0.00", "0", "0"},
    {"cmp", "-Infinity", "-1e100", "-1"},
    {"cmp", "1e-30", "1e30", "-1"},
    {"int8", "1.5", NULL, "2"},
    {"int8", "-1.5", NULL, "-2"},
    {"int8", "2.4999", NULL, "2"},
    {"int8", "9223372036854775807.4", NULL, "9223372036854775807"},
    {"int8", "9223372036854775807.5", NULL, "ERR 22003 bigint out of range"},
    {"int8", "-9223372036854775808.4", NULL, "-9223372036854775808"},
    {"int8", "-9223372036854775808.5", NULL, "ERR 22003 bigint out of range"},
    {"int8", "NaN", NULL, "ERR 0A000 cannot convert NaN to bigint"},
    {"int8", "Infinity", NULL, "ERR 0A000 cannot convert infinity to bigint"},
    {"int8", "1e-50", NULL, "0"},
    {"int8", "1e60", NULL, "ERR 22003 bigint out of range"},
    {"send", "0", NULL, "\\x0000000000000000"},
    {"send", "1", NULL, "\\x00010000000000000001"},
    {"send", "-1", NULL, "\\x00010000400000000001"},
    {"send", "0.0001", NULL, "\\x0001ffff000000040001"},
    {"send", "12345.678", NULL, "\\x0003000100000003000109291a7c"},
    {"send", "1e20", NULL, "\\x00010005000000000001"},
    {"send", "99999999999999999999999999999999.5", NULL,
     "\\x0009000700000001270f270f270f270f270f270f270f270f1388"},
    {"send", "NaN", NULL, "\\x00000000c0000000"},
    {"send", "Infinity", NULL, "\\x00000000d0000020"},
    {"send", "-Infinity", NULL, "\\x00000000f0000020"},
    {"f8in", "0.1", NULL, "0.1"},
    {"f8in", "1e20", NULL, "100000000000000000000"},
    {"f8in", "123456.789", NULL, "123456.789"},
    {"f8in", "1e-7", NULL, "0.0000001"},
    {"f8in", "3.14159265358979", NULL, "3.14159265358979"},
    {"f8in", "NaN", NULL, "NaN"},
    {"f8in", "-Infinity", NULL, "-Infinity"},
    {"f8in", "0.3333333333333333", NULL, "0.333333333333333"},
    {"f4in", "0.1", NULL, "0.1"},
    {"f4in", "1e20", NULL, "100000000000000000000"},
    {"f4in", "123456.789", NULL, "123457"},
    {"f4in", "3.14159265", NULL, "3.14159"},
    {"in", " 12 ", "-1", "12"},
    {"in", "1e", "-1", "ERR 22P02 invalid input syntax for type numeric: \"1e\""},
    {"in", "e5", "-1", "ERR 22P02 invalid input syntax for type numeric: \"e5\""},
    {"in", ".", "-1", "ERR 22P02 invalid input syntax for type numeric: \".\""},
    {"in", ".5", "-1", "0.5"},
    {"in", "5.", "-1", "5"},
    {"in", "-.5", "-1", "-0.5"},
    {"in", "+7", "-1", "7"},
    {"in", "1 2", "-1", "ERR 22P02 invalid input syntax for type numeric: \"1 2\""},
    {"in", "", "-1", "ERR 22P02 invalid input syntax for type numeric: \"\""},
    {"in", "--1", "-1", "ERR 22P02 invalid input syntax for type numeric: \"--1\""},
    {"in", "1e5", "-1", "100000"},
    {"in", "1.5e-5", "-1", "0.000015"},
    {"in", "-0", "-1", "0"},
    {"in", "-0.00", "-1", "0.00"},
    {"in", "NAN", "-1", "NaN"},
    {"in", "inf", "-1", "Infinity"},
    {"in", "-inf", "-1", "-Infinity"},
    {"in", "+Infinity", "-1", "Infinity"},
    {"in", "+nan", "-1", "ERR 22P02 invalid input syntax for type numeric: \"+nan\""},
    {"in", "infinit", "-1", "ERR 22P02 invalid input syntax for type numeric: \"infinit\""},
    {"in", "0e-16384", "-1", "ERR 22003 value overflows numeric format"},
    {"in", "1e-16384", "-1", "ERR 22003 value overflows numeric format"},
    {"in", "1e99999999999", "-1", "ERR 22003 value overflows numeric format"},
    {"in", "0x10", "-1", "ERR 22P02 invalid input syntax for type numeric: \"0x10\""},
    {"in", "1_000", "-1", "ERR 22P02 invalid input syntax for type numeric: \"1_000\""},
    {"in", "00012.3400", "-1", "12.3400"},
    {"in", "123.456", "327686", "123.46"},
    {"in", "999.995", "327686",
     "ERR 22003 numeric field overflow | A field with precision 5, scale 2 must round to an absolute value "
     "less than 10^3."},
    {"in", "999.994", "327686", "999.99"},
    {"in", "-999.995", "327686",
     "ERR 22003 numeric field overflow | A field with precision 5, scale 2 must round to an absolute value "
     "less than 10^3."},
    {"in", "0.05", "131080",
     "ERR 22003 numeric field overflow | A field with precision 2, scale 4 must round to an absolute value "
     "less than 10^-2."},
    {"in", "0.005", "131080", "0.0050"},
    {"in", "12345", "198658", "12300"},
    {"in", "99950", "198658",
     "ERR 22003 numeric field overflow | A field with precision 3, scale -2 must round to an absolute value "
     "less than 10^5."},
    {"in", "99949", "198658", "99900"},
    {"in", "NaN", "196613", "NaN"},
    {"in", "Infinity", "196613",
     "ERR 22003 numeric field overflow | A field with precision 3, scale 1 cannot hold an infinite value."},
    {"in", "1e50", "2490372",
     "ERR 22003 numeric field overflow | A field with precision 38, scale 0 must round to an absolute value "
     "less than 10^38."},
    {"in", "1", "2621449", "1.00000"},
    {"in", "1e60", "3932164",
     "ERR 22003 numeric field overflow | A field with precision 60, scale 0 must round to an absolute value "
     "less than 10^60."},
    {"in", "0", "65540", "0"},
    {"in", "123456789012345678901234567890.5", "2490374", "123456789012345678901234567890.50"},
    {"in", "10", "65541",
     "ERR 22003 numeric field overflow | A field with precision 1, scale 1 must round to an absolute value "
     "less than 1."},
    {"in", "0.95", "65541",
     "ERR 22003 numeric field overflow | A field with precision 1, scale 1 must round to an absolute value "
     "less than 1."},
};

typedef bool binary_fn(struct arena *, const struct varlen *, const struct varlen *, struct varlen *,
                       struct error *);
typedef bool unary_fn(struct arena *, const struct varlen *, struct varlen *, struct error *);
typedef struct varlen plain_fn(struct arena *, const struct varlen *);

static const struct {
    const char *op;
    binary_fn *binary;
    unary_fn *unary;
    plain_fn *plain;
} operations[] = {
    {"+", numeric_add, NULL, NULL},         {"-", numeric_sub, NULL, NULL},
    {"*", numeric_mul, NULL, NULL},         {"/", numeric_div, NULL, NULL},
    {"div", numeric_div_trunc, NULL, NULL}, {"mod", numeric_mod, NULL, NULL},
    {"log", numeric_log, NULL, NULL},       {"power", numeric_power, NULL, NULL},
    {"sqrt", NULL, numeric_sqrt, NULL},     {"exp", NULL, numeric_exp, NULL},
    {"ln", NULL, numeric_ln, NULL},         {"ceil", NULL, NULL, numeric_ceil},
    {"floor", NULL, NULL, numeric_floor},   {"trim_scale", NULL, NULL, numeric_trim_scale},
    {"abs", NULL, NULL, numeric_abs},       {"neg", NULL, NULL, numeric_neg},
};

static bool parse(struct arena *arena, const char *text, struct varlen *out, struct error *err)
{
    return numeric_parse(arena, text, strlen(text), -1, out, err);
}

/* Results that are no numerics are written to out directly; then *is_text is set. */
static bool run_vector(struct arena *arena, const struct vector *v, struct varlen *result, struct strbuf *out,
                       bool *is_text, struct error *err)
{
    struct varlen a, b;
    *is_text = false;
    if (strcmp(v->op, "in") == 0)
        return numeric_parse(arena, v->a, strlen(v->a), (int32_t)strtol(v->b, NULL, 10), result, err);
    if (strcmp(v->op, "f8in") == 0)
        return numeric_from_f64(arena, strtod(v->a, NULL), result, err);
    if (strcmp(v->op, "f4in") == 0)
        return numeric_from_f32(arena, strtof(v->a, NULL), result, err);
    if (!parse(arena, v->a, &a, err) || (v->b != NULL && !parse(arena, v->b, &b, err)))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        if (strcmp(operations[i].op, v->op) != 0)
            continue;
        if (operations[i].binary != NULL)
            return operations[i].binary(arena, &a, &b, result, err);
        if (operations[i].unary != NULL)
            return operations[i].unary(arena, &a, result, err);
        *result = operations[i].plain(arena, &a);
        return true;
    }
    if (strcmp(v->op, "round") == 0) {
        *result = numeric_round(arena, &a, (int32_t)strtol(v->b, NULL, 10));
        return true;
    }
    if (strcmp(v->op, "trunc") == 0) {
        *result = numeric_trunc(arena, &a, (int32_t)strtol(v->b, NULL, 10));
        return true;
    }
    *is_text = true;
    if (strcmp(v->op, "cmp") == 0) {
        strbuf_addf(out, "%d", numeric_compare(&a, &b));
        EXPECT((numeric_compare(&a, &b) == 0) == (numeric_hash(&a) == numeric_hash(&b)));
        EXPECT_INT(numeric_compare(&b, &a), -numeric_compare(&a, &b));
    } else if (strcmp(v->op, "int8") == 0) {
        int64_t value;
        if (!numeric_to_i64(&a, &value, err))
            return false;
        strbuf_addf(out, "%lld", (long long)value);
    } else if (strcmp(v->op, "send") == 0) {
        struct strbuf wire = STRBUF_INIT;
        struct varlen again;
        numeric_send(&a, &wire);
        strbuf_adds(out, "\\x");
        for (size_t i = 0; i < wire.len; i++)
            strbuf_addf(out, "%02x", (uint8_t)wire.data[i]);
        EXPECT(numeric_recv(arena, (const uint8_t *)wire.data, wire.len, -1, &again, err));
        EXPECT(varlen_identical(&a, &again));
        for (size_t cut = 0; cut < wire.len; cut++)
            EXPECT(!numeric_recv(arena, (const uint8_t *)wire.data, cut, -1, &again, err));
        strbuf_release(&wire);
    } else {
        strbuf_adds(out, "unknown operation");
    }
    return true;
}

TEST(agrees_with_postgresql)
{
    struct arena arena;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct strbuf out = STRBUF_INIT;
        struct varlen result;
        struct error err;
        bool is_text;
        error_init(&err);
        if (!run_vector(&arena, v, &result, &out, &is_text, &err)) {
            strbuf_reset(&out);
            strbuf_addf(&out, "ERR %s %s", error_sqlstate(err.code), err.message);
            if (err.detail[0] != '\0')
                strbuf_addf(&out, " | %s", err.detail);
        } else if (!is_text) {
            struct varlen again;
            numeric_format(&result, &out);
            /* what arithmetic builds is what reading the text builds: one encoding per value */
            EXPECT(parse(&arena, out.data, &again, &err) && varlen_identical(&again, &result));
        }
        if (strcmp(strbuf_text(&out), v->expected) != 0)
            fprintf(stderr, "%s %s %s\n", v->op, v->a, v->b != NULL ? v->b : "");
        EXPECT_TEXT(strbuf_text(&out), v->expected);
        strbuf_release(&out);
        arena_reset(&arena);
    }
    arena_release(&arena);
}

TEST(encoding_is_minimal)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct varlen zero = numeric_pack_small(&arena, 0, 2);
    EXPECT_INT(zero.len, 2);
    EXPECT_INT(numeric_scale(&zero), 2);
    EXPECT_INT(numeric_sign(&zero), 0);
    struct varlen byte = numeric_pack_small(&arena, -255, 0), word = numeric_pack_small(&arena, 256, 0);
    EXPECT_INT(byte.len, 3);
    EXPECT_INT(word.len, 4);
    EXPECT_INT(numeric_sign(&byte), -1);
    __int128 value = 1;
    for (int bits = 0; bits < 126; bits++, value *= 2) {
        struct varlen packed = numeric_pack_small(&arena, -value, 3),
                      above = numeric_pack_small(&arena, value, 3);
        struct numeric_small small;
        EXPECT_INT(packed.len, 2 + bits / 8 + 1);
        EXPECT(numeric_unpack_small(&packed, &small) && small.coefficient == -value && small.scale == 3);
        EXPECT(numeric_unpack_small(&above, &small) && small.coefficient == value);
        EXPECT_INT(numeric_compare(&packed, &above), -1);
    }
    struct error err;
    struct varlen large;
    struct numeric_small small;
    EXPECT(parse(&arena, "170141183460469231731687303715884105728", &large, &err)); /* 2^127 */
    EXPECT(!numeric_unpack_small(&large, &small));
    EXPECT(parse(&arena, "NaN", &large, &err) && numeric_is_nan(&large) && numeric_is_special(&large));
    arena_release(&arena);
}

TEST(hash_ignores_trailing_zeros)
{
    static const char *const equal[][2] = {
        {"12.5", "12.5000000000"},
        {"1e30", "1000000000000000000000000000000.00000000000000000000"},
        {"170141183460469231731687303715884105727", "170141183460469231731687303715884105727.0000"},
        {"300000000000000000000000000000000000000000000000",
         "300000000000000000000000000000000000000000000000.0"},
        {"0", "0.0000000000000000000000000000000000000000000000"},
        {"123456789012345678901234567890123456789012345678",
         "123456789012345678901234567890123456789012345678.0"},
    };
    struct arena arena;
    struct error err;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(equal); i++) {
        struct varlen a, b;
        EXPECT(parse(&arena, equal[i][0], &a, &err) && parse(&arena, equal[i][1], &b, &err));
        EXPECT_INT(numeric_compare(&a, &b), 0);
        EXPECT(!varlen_identical(&a, &b));
        EXPECT(numeric_hash(&a) == numeric_hash(&b));
        struct varlen minus = numeric_neg(&arena, &a);
        EXPECT(numeric_sign(&a) == 0 || numeric_hash(&minus) != numeric_hash(&a));
    }
    arena_release(&arena);
}

TEST(doubles_are_nearest)
{
    static const char *const texts[] = {
        "0.1",
        "123456789.123456789",
        "-1e300",
        "9007199254740993",
        "1e-320",
        "179769313486231570814527423731704356798070567525844996598917476803157260780028538"
        "760589558632766878171540458953514382464234321326889464182768467546703537516986049910576551282076"
        "245490090389328944075868508455133942304583236903222948165808559332123347974"};
    struct arena arena;
    struct error err;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct varlen value;
        EXPECT(parse(&arena, texts[i], &value, &err));
        EXPECT(numeric_to_f64(&value) == strtod(texts[i], NULL));
    }
    struct varlen nan, infinite;
    EXPECT(numeric_from_f64(&arena, (double)NAN, &nan, &err) && isnan(numeric_to_f64(&nan)));
    EXPECT(numeric_from_f64(&arena, (double)-INFINITY, &infinite, &err) &&
           numeric_to_f64(&infinite) < -1e308);
    arena_release(&arena);
}

/* (a / b) * b stays within half a unit of the quotient's last place of a; div and mod put a together again.
 */
TEST(division_laws)
{
    struct arena arena;
    arena_init(&arena, NULL);
    uint64_t seed = 12345;
    for (int round = 0; round < 2000; round++) {
        struct varlen a, b, quotient, rest, product, sum;
        struct error err;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        a = numeric_pack_small(&arena, (int64_t)seed >> (seed >> 59), (int32_t)(seed % 7));
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        b = numeric_pack_small(&arena, ((int64_t)seed >> (seed >> 59)) | 1, (int32_t)(seed % 5));
        EXPECT(numeric_div_trunc(&arena, &a, &b, &quotient, &err) &&
               numeric_mod(&arena, &a, &b, &rest, &err));
        EXPECT(numeric_mul(&arena, &quotient, &b, &product, &err) &&
               numeric_add(&arena, &product, &rest, &sum, &err));
        EXPECT_INT(numeric_compare(&sum, &a), 0);
        EXPECT(numeric_div(&arena, &a, &b, &quotient, &err) &&
               numeric_mul(&arena, &quotient, &b, &product, &err) &&
               numeric_sub(&arena, &product, &a, &sum, &err));
        struct varlen half = numeric_pack_small(&arena, 5, numeric_scale(&quotient) + 1), bound;
        EXPECT(numeric_mul(&arena, &half, &b, &bound, &err));
        struct varlen off = numeric_abs(&arena, &sum), limit = numeric_abs(&arena, &bound);
        EXPECT(numeric_compare(&off, &limit) <= 0);
        arena_reset(&arena);
    }
    arena_release(&arena);
}

TEST(damaged_messages_are_refused)
{
    static const uint8_t bad_digit[] = {0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10};
    static const uint8_t bad_sign[] = {0, 0, 0, 0, 0x80, 0, 0, 0};
    static const uint8_t bad_scale[] = {0, 0, 0, 0, 0, 0, 0x40, 0};
    static const uint8_t too_long[] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t huge[] = {0, 1, 0x7F, 0xFF, 0, 0, 0, 0, 0, 1};      /* 10000^32767 still fits */
    static const uint8_t cut[] = {0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x0D, 0x80}; /* 1.3456 shown with one digit */
    struct arena arena;
    struct varlen value;
    struct error err;
    struct strbuf text = STRBUF_INIT;
    arena_init(&arena, NULL);
    EXPECT(!numeric_recv(&arena, bad_digit, sizeof(bad_digit), -1, &value, &err));
    EXPECT_INT(err.code, ERRCODE_INVALID_BINARY_REPRESENTATION);
    EXPECT(!numeric_recv(&arena, bad_sign, sizeof(bad_sign), -1, &value, &err));
    EXPECT(!numeric_recv(&arena, bad_scale, sizeof(bad_scale), -1, &value, &err));
    EXPECT(!numeric_recv(&arena, too_long, sizeof(too_long), -1, &value, &err));
    EXPECT(numeric_recv(&arena, huge, sizeof(huge), -1, &value, &err));
    numeric_format(&value, &text);
    EXPECT_INT(text.len, 131069);
    strbuf_reset(&text);
    EXPECT(numeric_recv(&arena, cut, sizeof(cut), -1, &value, &err));
    numeric_format(&value, &text);
    EXPECT_TEXT(text.data, "1.3");
    strbuf_release(&text);
    arena_release(&arena);
}

int main(void)
{
    RUN(agrees_with_postgresql);
    RUN(encoding_is_minimal);
    RUN(hash_ignores_trailing_zeros);
    RUN(doubles_are_nearest);
    RUN(division_laws);
    RUN(damaged_messages_are_refused);
    return test_result();
}
