/* argument_names.h: names and defaults of the arguments of functions that PostgreSQL lets call by name. */
#ifndef PLANNER_ARGUMENT_NAMES_H
#define PLANNER_ARGUMENT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#define ARGUMENT_NAMES_MAX 8

struct argument_names {
    const char *function;
    const char *names[ARGUMENT_NAMES_MAX];
    const char *defaults[ARGUMENT_NAMES_MAX]; /* as text; NULL: must be given */
};

/* NULL: the function's arguments have no names. */
const struct argument_names *argument_names_find(const char *function);
/* The place of the argument; -1 when there is none of this name. */
int argument_names_place(const struct argument_names *names, const char *name);

#endif
