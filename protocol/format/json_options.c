/* json_options.c: see json_options.h. */
#include "protocol/format/json_options.h"

bool json_options_read(const struct format_class *class, const struct format_spec *spec,
                       struct json_encoding *out, struct error *err)
{
    static const char *const times[] = {"iso", "seconds", "millis", "micros", "nanos", NULL};
    static const enum json_time units[] = {JSON_TIME_TEXT, JSON_TIME_SECONDS, JSON_TIME_MILLIS,
                                           JSON_TIME_MICROS, JSON_TIME_NANOS};
    static const char *const bytes[] = {"hex", "base64", NULL};
    uint32_t time, form;
    if (!format_option_word(class, spec, "timestamp_format", times, &time, err) ||
        !format_option_word(class, spec, "bytea_format", bytes, &form, err))
        return false;
    *out = (struct json_encoding){.time = units[time], .bytes_base64 = form == 1};
    return true;
}
