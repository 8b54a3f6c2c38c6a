/* check.c: the end of the process when an invariant of ours does not hold. */
#include "storage/base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *expression)
{
    fprintf(stderr, "millrace: internal check failed at %s:%d: %s\n", file, line, expression);
    abort();
}
