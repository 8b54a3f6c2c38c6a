/* sysview.h: the tables of system views, one per file. */
#ifndef MILLRACE_SERVER_SYSVIEW_H
#define MILLRACE_SERVER_SYSVIEW_H

#include "executor/function.h"
#include "server/system_views.h"

#define SYSVIEW_TABLES(TABLE)                                                                                \
    TABLE(sysview_pg_class_rows)                                                                             \
    TABLE(sysview_pg_attribute_rows)                                                                         \
    TABLE(sysview_pg_type_rows)                                                                              \
    TABLE(sysview_pg_proc_rows)                                                                              \
    TABLE(sysview_pg_misc_rows)                                                                              \
    TABLE(sysview_pg_empty_rows)                                                                             \
    TABLE(sysview_stat_rows)                                                                                 \
    TABLE(sysview_information_schema_rows)                                                                   \
    TABLE(sysview_information_rare_rows)                                                                     \
    TABLE(sysview_millrace_rows)

#define SYSVIEW_DECLARE(name)                                                                                \
    extern const struct system_view_row name[];                                                              \
    extern const size_t name##_count;
SYSVIEW_TABLES(SYSVIEW_DECLARE)
#undef SYSVIEW_DECLARE

/* Functions that need the server: fn_server.c, fn_source.c. */
extern const struct function_row fn_server_rows[], fn_source_rows[];
extern const size_t fn_server_rows_count, fn_source_rows_count;

/* pg_class for clients to compare classid with. */
#define CLASS_PG_TYPE       1247u
#define CLASS_PG_PROC       1255u
#define CLASS_PG_CLASS      1259u
#define CLASS_PG_ATTRDEF    2604u
#define CLASS_PG_CONSTRAINT 2606u
#define CLASS_PG_OPERATOR   2617u
#define CLASS_PG_REWRITE    2618u
#define CLASS_PG_NAMESPACE  2615u
#define AM_HEAP             2u
#define AM_BTREE            403u
#define TABLESPACE_DEFAULT  1663u

/* Number of the pg_attrdef entry of a column: follows from the two, which are unique. */
static inline uint32_t attrdef_oid(uint32_t relation_oid, uint32_t attnum)
{
    return relation_oid * 1601u + attnum;
}
/* The operator class (and family) of a type's order. */
static inline uint32_t opclass_oid(uint32_t type_oid)
{
    return 10000000u + type_oid;
}

#endif
