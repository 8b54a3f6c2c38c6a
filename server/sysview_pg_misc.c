/* sysview_pg_misc.c: the server as a whole: databases, roles, settings, time zones, locks. */
#include "planner/reg_names.h"
#include "server/session.h"
#include "server/session_settings.h"
#include "server/sysview.h"
#include "server/table_locks.h"
#include "server/waits.h"
#include "storage/base/clock.h"
#include "storage/data/timezone.h"

#include <unicode/ucal.h>

/* There is one database; it goes by whatever name the client connected to. */
static bool rows_pg_database(struct sys_rows *rows, struct error *err)
{
    sys_int(rows, "oid", DATABASE_OID);
    sys_text(rows, "datname", rows->info->database);
    sys_end(rows);
    return true;
}

/* pg_roles and pg_authid; pg_user and pg_shadow. */
static bool rows_roles(struct sys_rows *rows, struct error *err)
{
    uint32_t count;
    const char **names = sys_roles(rows, &count);
    for (uint32_t i = 0; i < count; i++) {
        sys_int(rows, "oid", role_oid(names[i]));
        sys_text(rows, "rolname", names[i]);
        sys_end(rows);
    }
    return true;
}

static bool rows_users(struct sys_rows *rows, struct error *err)
{
    uint32_t count;
    const char **names = sys_roles(rows, &count);
    for (uint32_t i = 0; i < count; i++) {
        sys_text(rows, "usename", names[i]);
        sys_int(rows, "usesysid", role_oid(names[i]));
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_settings(struct sys_rows *rows, struct error *err)
{
    const struct session *session = rows->info->session;
    struct session_setting_info info;
    for (uint32_t i = 0; session != NULL && session_settings_at(session->settings, i, &info); i++) {
        bool is_default = info.boot != NULL && strcmp(info.value, info.boot) == 0;
        sys_text(rows, "name", info.name);
        sys_text(rows, "setting", info.value);
        sys_text(rows, "unit", info.unit);
        sys_text(rows, "short_desc", info.help);
        sys_text(rows, "context", info.context);
        sys_text(rows, "vartype", info.type);
        sys_text(rows, "source", is_default ? "default" : "session");
        sys_text(rows, "min_val", info.min);
        sys_text(rows, "max_val", info.max);
        sys_text(rows, "boot_val", info.boot);
        sys_text(rows, "reset_val", info.reset);
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_tablespace(struct sys_rows *rows, struct error *err)
{
    sys_int(rows, "oid", TABLESPACE_DEFAULT);
    sys_text(rows, "spcname", "pg_default");
    sys_end(rows);
    return true;
}

/* ---- time zones ---- */

static bool rows_pg_timezone_names(struct sys_rows *rows, struct error *err)
{
    UErrorCode status = U_ZERO_ERROR;
    UEnumeration *names = ucal_openTimeZoneIDEnumeration(UCAL_ZONE_TYPE_ANY, NULL, NULL, &status);
    if (U_FAILURE(status))
        return error_set(err, ERRCODE_INTERNAL_ERROR, "could not list time zones: %s", u_errorName(status));
    int64_t now = rows->env->statement_us;
    int64_t year_us = (int64_t)365 * 86400 * 1000000;
    struct strbuf abbreviation = STRBUF_INIT;
    int32_t len;
    const char *name;
    while ((name = uenum_next(names, &len, &status)) != NULL) {
        struct zone *zone = zone_find(name, (size_t)len, ZONE_NAME_ONLY);
        if (zone == NULL)
            continue;
        /* in summer time: ahead of the least offset of the year */
        int32_t offset = zone_offset_at(zone, now), least = offset;
        for (int month = 1; month < 12; month++) {
            int32_t other = zone_offset_at(zone, now - year_us / 12 * month);
            least = other < least ? other : least;
        }
        strbuf_reset(&abbreviation);
        zone_abbreviation_at(zone, now, &abbreviation);
        sys_text(rows, "name", arena_strndup(rows->arena, name, (size_t)len));
        sys_text(rows, "abbrev", strbuf_text(&abbreviation));
        sys_interval(rows, "utc_offset", (int64_t)offset * 1000000);
        sys_bool(rows, "is_dst", offset > least);
        sys_end(rows);
    }
    strbuf_release(&abbreviation);
    uenum_close(names);
    return true;
}

/* ---- locks ---- */

static void add_advisory(void *ctx, const struct advisory_holder *holder)
{
    struct sys_rows *rows = ctx;
    sys_text(rows, "locktype", "advisory");
    sys_int(rows, "classid", holder->key.high);
    sys_int(rows, "objid", holder->key.low);
    sys_int(rows, "objsubid", holder->key.is_pair ? 2 : 1);
    sys_int(rows, "pid", holder->pid);
    sys_text(rows, "mode", holder->is_shared ? "ShareLock" : "ExclusiveLock");
    sys_bool(rows, "granted", holder->is_granted);
    sys_end(rows);
}

static bool rows_pg_locks(struct sys_rows *rows, struct error *err)
{
    advisory_for_each(add_advisory, rows);
    return true;
}

#define CATALOG(name, columns, rows, help)                                                                   \
    {                                                                                                        \
        SCHEMA_PG_CATALOG, 'r', name, columns, rows, help                                                    \
    }
#define VIEW(name, columns, rows, help)                                                                      \
    {                                                                                                        \
        SCHEMA_PG_CATALOG, 'v', name, columns, rows, help                                                    \
    }
#define USER_COLUMNS                                                                                         \
    "usename name, usesysid oid, usecreatedb bool = t, usesuper bool = t, userepl bool = f, "                \
    "usebypassrls bool = t, passwd text = '********', valuntil timestamptz, useconfig text[]"

const struct system_view_row sysview_pg_misc_rows[] = {
    CATALOG("pg_database",
            "oid oid, datname name, datdba oid = 10, encoding int4 = 6, datlocprovider char = c, "
            "datistemplate bool = f, "
            "datallowconn bool = t, datconnlimit int4 = -1, datfrozenxid xid = 0, datminmxid xid = 0, "
            "dattablespace oid = 1663, datcollate text = C, datctype text = C, daticulocale text, "
            "datcollversion text, "
            "datacl text[]",
            rows_pg_database, "the database"),
    VIEW(
        "pg_roles",
        "rolname name, rolsuper bool = t, rolinherit bool = t, rolcreaterole bool = t, rolcreatedb bool = t, "
        "rolcanlogin bool = t, rolreplication bool = f, rolconnlimit int4 = -1, rolpassword text = "
        "'********', "
        "rolvaliduntil timestamptz, rolbypassrls bool = t, rolconfig text[], oid oid",
        rows_roles, "the owner of everything and the users who are connected"),
    CATALOG("pg_authid",
            "oid oid, rolname name, rolsuper bool = t, rolinherit bool = t, rolcreaterole bool = t, "
            "rolcreatedb bool = t, rolcanlogin bool = t, rolreplication bool = f, rolbypassrls bool = t, "
            "rolconnlimit int4 = -1, rolpassword text, rolvaliduntil timestamptz",
            rows_roles, "the owner of everything and the users who are connected"),
    VIEW("pg_user", USER_COLUMNS, rows_users, "the owner of everything and the users who are connected"),
    VIEW("pg_shadow", USER_COLUMNS, rows_users, "the owner of everything and the users who are connected"),
    VIEW("pg_settings",
         "name text, setting text, unit text, category text = 'Session', short_desc text, extra_desc text, "
         "context text, vartype text, source text, min_val text, max_val text, enumvals text[], boot_val "
         "text, "
         "reset_val text, sourcefile text, sourceline int4, pending_restart bool = f",
         rows_pg_settings, "settings of this session"),
    CATALOG("pg_tablespace", "oid oid, spcname name, spcowner oid = 10, spcacl text[], spcoptions text[]",
            rows_pg_tablespace, "the place of all data"),
    VIEW("pg_timezone_names", "name text, abbrev text, utc_offset interval, is_dst bool",
         rows_pg_timezone_names, "time zones as they are now"),
    VIEW("pg_locks",
         "locktype text, database oid = 5, relation oid, page int4, tuple int2, virtualxid text, "
         "transactionid xid, "
         "classid oid, objid oid, objsubid int2, virtualtransaction text, pid int4, mode text, granted bool, "
         "fastpath bool = f, waitstart timestamptz",
         rows_pg_locks, "advisory locks: rows are never locked"),
};
const size_t sysview_pg_misc_rows_count = ARRAY_COUNT(sysview_pg_misc_rows);
