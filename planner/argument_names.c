/* argument_names.c: see argument_names.h. */
#include "planner/argument_names.h"

#include <stddef.h>
#include <string.h>

static const struct argument_names all_names[] = {
    {"make_date", {"year", "month", "day"}, {NULL}},
    {"make_time", {"hour", "min", "sec"}, {NULL}},
    {"make_timestamp", {"year", "month", "mday", "hour", "min", "sec"}, {NULL}},
    {"make_timestamptz", {"year", "month", "mday", "hour", "min", "sec", "timezone"}, {NULL}},
    {"make_interval",
     {"years", "months", "weeks", "days", "hours", "mins", "secs"},
     {"0", "0", "0", "0", "0", "0", "0"}},
    {"tumble", {"ts", "size", "offset", "timezone"}, {NULL, NULL, "0", NULL}},
    {"wait_for", {"source", "partition", "offset", "timeout"}, {NULL}},
    {"jsonb_set", {"jsonb_in", "path", "replacement", "create_if_missing"}, {NULL, NULL, NULL, "true"}},
    {"jsonb_insert", {"jsonb_in", "path", "replacement", "insert_after"}, {NULL, NULL, NULL, "false"}},
};

const struct argument_names *argument_names_find(const char *function)
{
    for (size_t i = 0; i < sizeof(all_names) / sizeof(all_names[0]); i++)
        if (strcmp(all_names[i].function, function) == 0)
            return &all_names[i];
    return NULL;
}

int argument_names_place(const struct argument_names *names, const char *name)
{
    for (int i = 0; i < ARGUMENT_NAMES_MAX && names->names[i] != NULL; i++)
        if (strcmp(names->names[i], name) == 0)
            return i;
    return -1;
}
