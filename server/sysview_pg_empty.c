/* sysview_pg_empty.c: catalogs of PostgreSQL for what Millrace has none of: clients ask them and find
 * nothing. */
#include "server/sysview.h"

const struct system_view_row sysview_pg_empty_rows[] = {
    {SCHEMA_PG_CATALOG, 'r', "pg_amproc",
     "oid oid, amprocfamily oid, amproclefttype oid, amprocrighttype oid, amprocnum int2, "
     "amproc regproc",
     NULL, "support functions of orders: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_auth_members", "roleid oid, member oid, grantor oid, admin_option bool",
     NULL, "roles in roles: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_available_extension_versions",
     "name name, version text, installed bool, superuser bool, trusted bool, relocatable bool, "
     "schema name, requires name[], comment text",
     NULL, "extensions that could be installed: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_available_extensions",
     "name name, default_version text, installed_version text, comment text", NULL,
     "extensions that could be installed: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_config", "name text, setting text", NULL, "build settings: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_conversion",
     "oid oid, conname name, connamespace oid, conowner oid, conforencoding int4, contoencoding int4, "
     "conproc regproc, condefault bool",
     NULL, "conversions of encodings: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_cursors",
     "name text, statement text, is_holdable bool, is_binary bool, is_scrollable bool, "
     "creation_time timestamptz",
     NULL, "cursors: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_db_role_setting", "setdatabase oid, setrole oid, setconfig text[]", NULL,
     "settings of roles and databases: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_default_acl",
     "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, defaclacl text[]", NULL,
     "default privileges: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_enum", "oid oid, enumtypid oid, enumsortorder float4, enumlabel name", NULL,
     "labels of enumerated types: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_event_trigger",
     "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled char, "
     "evttags text[]",
     NULL, "event triggers: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_extension",
     "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, extversion text, "
     "extconfig oid[], extcondition text[]",
     NULL, "extensions: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_file_settings",
     "sourcefile text, sourceline int4, seqno int4, name text, setting text, applied bool, "
     "error text",
     NULL, "settings in files: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_foreign_data_wrapper",
     "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl text[], "
     "fdwoptions text[]",
     NULL, "foreign data wrappers: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_foreign_server",
     "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text, srvversion text, srvacl text[], "
     "srvoptions text[]",
     NULL, "foreign servers: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_foreign_table", "ftrelid oid, ftserver oid, ftoptions text[]", NULL,
     "foreign tables: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_group", "groname name, grosysid oid, grolist oid[]", NULL, "groups: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_hba_file_rules",
     "line_number int4, type text, database text[], user_name text[], address text, netmask text, "
     "auth_method text, options text[], error text",
     NULL, "authentication rules: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_inherits",
     "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool", NULL, "inheritance: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_init_privs",
     "objoid oid, classoid oid, objsubid int4, privtype char, initprivs text[]", NULL,
     "first privileges: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_largeobject", "loid oid, pageno int4, data bytea", NULL,
     "large objects: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_largeobject_metadata", "oid oid, lomowner oid, lomacl text[]", NULL,
     "large objects: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_parameter_acl", "oid oid, parname text, paracl text[]", NULL,
     "privileges on settings: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_partitioned_table",
     "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2vector, "
     "partclass oidvector, partcollation oidvector, partexprs text",
     NULL, "partitioned tables: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_policies",
     "schemaname name, tablename name, policyname name, permissive text, roles name[], cmd text, "
     "qual text, with_check text",
     NULL, "row security policies: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_policy",
     "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, polroles oid[], "
     "polqual text, polwithcheck text",
     NULL, "row security policies: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_prepared_statements",
     "name text, statement text, prepare_time timestamptz, parameter_types regtype[], from_sql bool, "
     "generic_plans int8, custom_plans int8",
     NULL, "prepared statements: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_prepared_xacts",
     "transaction xid, gid text, prepared timestamptz, owner name, database name", NULL,
     "prepared transactions: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_publication",
     "oid oid, pubname name, pubowner oid, puballtables bool, pubinsert bool, pubupdate bool, "
     "pubdelete bool, pubtruncate bool, pubviaroot bool",
     NULL, "publications: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_publication_namespace", "oid oid, pnpubid oid, pnnspid oid", NULL,
     "publications of schemas: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_publication_rel",
     "oid oid, prpubid oid, prrelid oid, prqual text, prattrs int2vector", NULL,
     "publications of tables: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_publication_tables",
     "pubname name, schemaname name, tablename name, attnames name[], rowfilter text", NULL,
     "tables of publications: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_range",
     "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc oid, "
     "rngcanonical regproc, rngsubdiff regproc",
     NULL, "range types: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_replication_origin", "roident oid, roname text", NULL, "replication: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_replication_origin_status",
     "local_id oid, external_id text, remote_lsn text, local_lsn text", NULL, "replication: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_replication_slots",
     "slot_name name, plugin name, slot_type text, datoid oid, database name, temporary bool, "
     "active bool, active_pid int4, xmin xid, catalog_xmin xid, restart_lsn text, "
     "confirmed_flush_lsn text, wal_status text, safe_wal_size int8, two_phase bool",
     NULL, "replication: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_seclabel",
     "objoid oid, classoid oid, objsubid int4, provider text, label text", NULL, "security labels: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_seclabels",
     "objoid oid, classoid oid, objsubid int4, objtype text, objnamespace oid, objname text, "
     "provider text, label text",
     NULL, "security labels: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_shdepend",
     "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, deptype char", NULL,
     "dependencies on roles: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_shseclabel", "objoid oid, classoid oid, provider text, label text", NULL,
     "security labels: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_database_conflicts",
     "datid oid, datname name, confl_tablespace int8, confl_lock int8, confl_snapshot int8, "
     "confl_bufferpin int8, confl_deadlock int8",
     NULL, "conflicts with recovery: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_gssapi",
     "pid int4, gss_authenticated bool, principal text, encrypted bool", NULL, "GSSAPI: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_progress_analyze",
     "pid int4, datid oid, datname name, relid oid, phase text, sample_blks_total int8, "
     "sample_blks_scanned int8, ext_stats_total int8, ext_stats_computed int8, "
     "child_tables_total int8, child_tables_done int8, current_child_table_relid oid",
     NULL, "analyze: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_progress_basebackup",
     "pid int4, phase text, backup_total int8, backup_streamed int8, tablespaces_total int8, "
     "tablespaces_streamed int8",
     NULL, "base backups: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_progress_cluster",
     "pid int4, datid oid, datname name, relid oid, command text, phase text, "
     "cluster_index_relid oid, heap_tuples_scanned int8, heap_tuples_written int8, "
     "heap_blks_total int8, heap_blks_scanned int8, index_rebuild_count int8",
     NULL, "cluster: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_progress_copy",
     "pid int4, datid oid, datname name, relid oid, command text, type text, bytes_processed int8, "
     "bytes_total int8, tuples_processed int8, tuples_excluded int8",
     NULL, "running COPY: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_progress_vacuum",
     "pid int4, datid oid, datname name, relid oid, phase text, heap_blks_total int8, "
     "heap_blks_scanned int8, heap_blks_vacuumed int8, index_vacuum_count int8, max_dead_tuples int8, "
     "num_dead_tuples int8",
     NULL, "vacuum: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_replication",
     "pid int4, usesysid oid, usename name, application_name text, client_addr text, "
     "client_hostname text, client_port int4, backend_start timestamptz, backend_xmin xid, "
     "state text, sent_lsn text, write_lsn text, flush_lsn text, replay_lsn text, write_lag interval, "
     "flush_lag interval, replay_lag interval, sync_priority int4, sync_state text, "
     "reply_time timestamptz",
     NULL, "replication: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_replication_slots",
     "slot_name text, spill_txns int8, spill_count int8, spill_bytes int8, stream_txns int8, "
     "stream_count int8, stream_bytes int8, total_txns int8, total_bytes int8, "
     "stats_reset timestamptz",
     NULL, "replication: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_subscription",
     "subid oid, subname name, pid int4, relid oid, received_lsn text, "
     "last_msg_send_time timestamptz, last_msg_receipt_time timestamptz, latest_end_lsn text, "
     "latest_end_time timestamptz",
     NULL, "replication: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_subscription_stats",
     "subid oid, subname name, apply_error_count int8, sync_error_count int8, "
     "stats_reset timestamptz",
     NULL, "replication: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_user_functions",
     "funcid oid, schemaname name, funcname name, calls int8, total_time float8, self_time float8", NULL,
     "user-defined functions: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_wal_receiver",
     "pid int4, status text, receive_start_lsn text, receive_start_tli int4, written_lsn text, "
     "flushed_lsn text, received_tli int4, last_msg_send_time timestamptz, "
     "last_msg_receipt_time timestamptz, latest_end_lsn text, latest_end_time timestamptz, "
     "slot_name text, sender_host text, sender_port int4, conninfo text",
     NULL, "replication: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stat_xact_user_functions",
     "funcid oid, schemaname name, funcname name, calls int8, total_time float8, self_time float8", NULL,
     "user-defined functions: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_statistic",
     "starelid oid, staattnum int2, stainherit bool, stanullfrac float4, stawidth int4, "
     "stadistinct float4, stakind1 int2, stakind2 int2, stakind3 int2, stakind4 int2, stakind5 int2, "
     "staop1 oid, staop2 oid, staop3 oid, staop4 oid, staop5 oid, stacoll1 oid, stacoll2 oid, "
     "stacoll3 oid, stacoll4 oid, stacoll5 oid, stanumbers1 float4[], stanumbers2 float4[], "
     "stanumbers3 float4[], stanumbers4 float4[], stanumbers5 float4[], stavalues1 text[], "
     "stavalues2 text[], stavalues3 text[], stavalues4 text[], stavalues5 text[]",
     NULL, "statistics of columns: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_statistic_ext",
     "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, stxstattarget int4, "
     "stxkeys int2vector, stxkind char[], stxexprs text",
     NULL, "extended statistics: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_statistic_ext_data",
     "stxoid oid, stxdinherit bool, stxdndistinct text, stxddependencies text, stxdmcv text, "
     "stxdexpr text[]",
     NULL, "extended statistics: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stats",
     "schemaname name, tablename name, attname name, inherited bool, null_frac float4, "
     "avg_width int4, n_distinct float4, most_common_vals text[], most_common_freqs float4[], "
     "histogram_bounds text[], correlation float4, most_common_elems text[], "
     "most_common_elem_freqs float4[], elem_count_histogram float4[]",
     NULL, "statistics of columns: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stats_ext",
     "schemaname name, tablename name, statistics_schemaname name, statistics_name name, "
     "statistics_owner name, attnames name[], exprs text[], kinds char[], inherited bool, "
     "n_distinct text, dependencies text, most_common_vals text[], most_common_val_nulls bool[], "
     "most_common_freqs float8[], most_common_base_freqs float8[]",
     NULL, "extended statistics: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_stats_ext_exprs",
     "schemaname name, tablename name, statistics_schemaname name, statistics_name name, "
     "statistics_owner name, expr text, inherited bool, null_frac float4, avg_width int4, "
     "n_distinct float4, most_common_vals text[], most_common_freqs float4[], "
     "histogram_bounds text[], correlation float4, most_common_elems text[], "
     "most_common_elem_freqs float4[], elem_count_histogram float4[]",
     NULL, "extended statistics: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_subscription",
     "oid oid, subdbid oid, subskiplsn text, subname name, subowner oid, subenabled bool, "
     "subbinary bool, substream bool, subtwophasestate char, subdisableonerr bool, subconninfo text, "
     "subslotname name, subsynccommit text, subpublications text[]",
     NULL, "subscriptions of other servers: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_subscription_rel",
     "srsubid oid, srrelid oid, srsubstate char, srsublsn text", NULL,
     "subscriptions of other servers: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_transform",
     "oid oid, trftype oid, trflang oid, trffromsql regproc, trftosql regproc", NULL, "transforms: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_trigger",
     "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, tgenabled char, "
     "tgisinternal bool, tgconstrrelid oid, tgconstrindid oid, tgconstraint oid, tgdeferrable bool, "
     "tginitdeferred bool, tgnargs int2, tgattr int2vector, tgargs bytea, tgqual text, "
     "tgoldtable name, tgnewtable name",
     NULL, "triggers: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_ts_config",
     "oid oid, cfgname name, cfgnamespace oid, cfgowner oid, cfgparser oid", NULL,
     "text search configurations: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_ts_config_map", "mapcfg oid, maptokentype int4, mapseqno int4, mapdict oid",
     NULL, "text search configurations: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_ts_dict",
     "oid oid, dictname name, dictnamespace oid, dictowner oid, dicttemplate oid, "
     "dictinitoption text",
     NULL, "text search dictionaries: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_ts_parser",
     "oid oid, prsname name, prsnamespace oid, prsstart regproc, prstoken regproc, prsend regproc, "
     "prsheadline regproc, prslextype regproc",
     NULL, "text search parsers: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_ts_template",
     "oid oid, tmplname name, tmplnamespace oid, tmplinit regproc, tmpllexize regproc", NULL,
     "text search templates: none"},
    {SCHEMA_PG_CATALOG, 'r', "pg_user_mapping", "oid oid, umuser oid, umserver oid, umoptions text[]", NULL,
     "users on foreign servers: none"},
    {SCHEMA_PG_CATALOG, 'v', "pg_user_mappings",
     "umid oid, srvid oid, srvname name, umuser oid, usename name, umoptions text[]", NULL,
     "users on foreign servers: none"},
};
const size_t sysview_pg_empty_rows_count = ARRAY_COUNT(sysview_pg_empty_rows);
