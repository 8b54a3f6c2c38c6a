/* units.c: see units.h. */
#include "storage/base/units.h"

#include "storage/base/check.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t shift;
} units[] = {{"B", 0}, {"kB", 10}, {"MB", 20}, {"GB", 30}, {"TB", 40}};

static const char *skip_space(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

bool bytes_parse(const char *text, int64_t *bytes)
{
    text = skip_space(text);
    const char *digits = text + (*text == '-' || *text == '+');
    char *end;
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    if (!isdigit((unsigned char)*digits) || errno != 0)
        return false;
    double fraction = 0;
    if (*end == '.') {
        const char *point = end;
        fraction = strtod(point, &end);
        if (end == point + 1)
            return false;
    }
    const char *unit = skip_space(end);
    uint32_t shift = 0;
    if (*unit != '\0') {
        size_t len = strcspn(unit, " \t\n\r\f\v"), i = 0;
        while (i < ARRAY_COUNT(units) &&
               (strlen(units[i].name) != len || strncmp(units[i].name, unit, len) != 0))
            i++;
        if (i == ARRAY_COUNT(units) || *skip_space(unit + len) != '\0')
            return false;
        shift = units[i].shift;
    }
    int64_t scaled, rest = (int64_t)round(fraction * (double)(INT64_C(1) << shift));
    if (__builtin_mul_overflow((int64_t)whole, INT64_C(1) << shift, &scaled) ||
        __builtin_add_overflow(scaled, *text == '-' ? -rest : rest, &scaled))
        return false;
    *bytes = scaled;
    return true;
}

void bytes_format(int64_t bytes, char *out)
{
    size_t unit = 0;
    while (bytes != 0 && unit + 1 < ARRAY_COUNT(units) && bytes % (INT64_C(1) << units[unit + 1].shift) == 0)
        unit++;
    snprintf(out, 24, "%lld%s", (long long)(bytes >> units[unit].shift), bytes == 0 ? "" : units[unit].name);
}
