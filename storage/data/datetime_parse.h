/* datetime_parse.h: reading the text forms of dates and times: the tokens, and what they say together.
 *
 * Used by datetime_io.c (dates, times, timestamps) and interval_io.c. */
#ifndef MILLRACE_DATA_DATETIME_PARSE_H
#define MILLRACE_DATA_DATETIME_PARSE_H

#include "storage/data/datetime_internal.h"
#include "storage/data/type.h"

/* What is wrong with an input; each has its SQLSTATE and wording. */
enum datetime_fault {
    FAULT_NONE,
    FAULT_FORMAT,            /* 22007 invalid input syntax for type ... */
    FAULT_FIELD,             /* 22008 date/time field value out of range */
    FAULT_FIELD_ORDER,       /* the same, with the hint about datestyle */
    FAULT_INTERVAL_FIELD,    /* 22015 interval field value out of range */
    FAULT_ZONE_DISPLACEMENT, /* 22009 time zone displacement out of range */
    FAULT_ZONE_NAME,         /* 22023 time zone ... not recognized */
};

#define TOKENS_MAX      25
#define TOKEN_BYTES_MAX 256

enum token_kind {
    TOKEN_NUMBER,  /* 12, 12.5, .5 */
    TOKEN_WORD,    /* letters */
    TOKEN_DATE,    /* 2001-02-03, 1/2/2003, 1999-jan-08, america/new_york */
    TOKEN_TIME,    /* 12:34, 12:34:56.7 */
    TOKEN_SIGNED,  /* + or - and a number: a zone or a signed number */
    TOKEN_SPECIAL, /* + or - and letters: -infinity */
};

struct token {
    enum token_kind kind;
    char *text; /* lower case */
};

struct tokens {
    struct token items[TOKENS_MAX];
    uint32_t count;
    char bytes[TOKEN_BYTES_MAX];
};

enum datetime_fault tokens_split(const char *text, size_t len, size_t bytes_max, struct tokens *out);

enum datetime_kind { DATETIME_MOMENT, DATETIME_EPOCH, DATETIME_INFINITY, DATETIME_MINUS_INFINITY };

struct datetime_value {
    enum datetime_kind kind;
    struct civil_time civil; /* of a moment; second may be 60, hour 24 */
    bool has_zone;
    int32_t zone_seconds; /* east of UTC, when has_zone */
    char zone_name[64];   /* of FAULT_ZONE_NAME */
};

/* time_only: for type time, where the date may be missing. */
enum datetime_fault datetime_decode(struct tokens *tokens, const struct io_env *env, bool time_only,
                                    struct datetime_value *out);
/* Sets the error for a fault, returns false. */
bool datetime_fault_error(enum datetime_fault fault, const char *text, size_t len, const char *type_name,
                          const char *zone_name, struct error *err);

/* A whole number at *at, sign allowed; advances. false when there is none or it does not fit 32 bits
 * (*overflow tells). */
bool datetime_read_int(const char **at, int32_t *out, bool *overflow);
/* ".5" and so on to microseconds, rounded; the text must end there. */
enum datetime_fault datetime_read_fraction(const char *at, int32_t *us);

#endif
