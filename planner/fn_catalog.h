/* fn_catalog.h: the tables of functions about names, definitions and the session. server_open's process adds
 * them at start with fn_catalog_register. */
#ifndef MILLRACE_PLANNER_FN_CATALOG_H
#define MILLRACE_PLANNER_FN_CATALOG_H

#include "executor/function.h"

extern const struct function_row fn_catalog_rows[];
extern const size_t fn_catalog_rows_count;
extern const struct function_row fn_definition_rows[];
extern const size_t fn_definition_rows_count;
extern const struct function_row fn_privilege_rows[];
extern const size_t fn_privilege_rows_count;
extern const struct function_row fn_keywords_rows[];
extern const size_t fn_keywords_rows_count;

/* Adds those of the tables that nobody registered before; once per process, before any thread runs. */
void fn_catalog_register(void);

#endif
