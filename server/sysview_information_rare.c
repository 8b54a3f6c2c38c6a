/* sysview_information_rare.c: views of the SQL standard about what Millrace has none of. */
#include "server/sysview.h"

const struct system_view_row sysview_information_rare_rows[] = {
    {SCHEMA_INFORMATION_SCHEMA, 'v', "administrable_role_authorizations",
     "grantee name, role_name name, is_grantable varchar", NULL, "administrable role authorizations: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "applicable_roles", "grantee name, role_name name, is_grantable varchar",
     NULL, "applicable roles: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "attributes",
     "udt_catalog name, udt_schema name, udt_name name, attribute_name name, ordinal_position int4, "
     "attribute_default varchar, is_nullable varchar, data_type varchar, "
     "character_maximum_length int4, character_octet_length int4, character_set_catalog name, "
     "character_set_schema name, character_set_name name, collation_catalog name, "
     "collation_schema name, collation_name name, numeric_precision int4, "
     "numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
     "interval_type varchar, interval_precision int4, attribute_udt_catalog name, "
     "attribute_udt_schema name, attribute_udt_name name, scope_catalog name, scope_schema name, "
     "scope_name name, maximum_cardinality int4, dtd_identifier name, "
     "is_derived_reference_attribute varchar",
     NULL, "attributes: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "check_constraint_routine_usage",
     "constraint_catalog name, constraint_schema name, constraint_name name, specific_catalog name, "
     "specific_schema name, specific_name name",
     NULL, "check constraint routine usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "collation_character_set_applicability",
     "collation_catalog name, collation_schema name, collation_name name, character_set_catalog name, "
     "character_set_schema name, character_set_name name",
     NULL, "collation character set applicability: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "column_column_usage",
     "table_catalog name, table_schema name, table_name name, column_name name, "
     "dependent_column name",
     NULL, "column column usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "column_domain_usage",
     "domain_catalog name, domain_schema name, domain_name name, table_catalog name, "
     "table_schema name, table_name name, column_name name",
     NULL, "column domain usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "column_options",
     "table_catalog name, table_schema name, table_name name, column_name name, option_name name, "
     "option_value varchar",
     NULL, "column options: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "column_udt_usage",
     "udt_catalog name, udt_schema name, udt_name name, table_catalog name, table_schema name, "
     "table_name name, column_name name",
     NULL, "column udt usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "data_type_privileges",
     "object_catalog name, object_schema name, object_name name, object_type varchar, "
     "dtd_identifier name",
     NULL, "data type privileges: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "domain_constraints",
     "constraint_catalog name, constraint_schema name, constraint_name name, domain_catalog name, "
     "domain_schema name, domain_name name, is_deferrable varchar, initially_deferred varchar",
     NULL, "domain constraints: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "domain_udt_usage",
     "udt_catalog name, udt_schema name, udt_name name, domain_catalog name, domain_schema name, "
     "domain_name name",
     NULL, "domain udt usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "domains",
     "domain_catalog name, domain_schema name, domain_name name, data_type varchar, "
     "character_maximum_length int4, character_octet_length int4, character_set_catalog name, "
     "character_set_schema name, character_set_name name, collation_catalog name, "
     "collation_schema name, collation_name name, numeric_precision int4, "
     "numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
     "interval_type varchar, interval_precision int4, domain_default varchar, udt_catalog name, "
     "udt_schema name, udt_name name, scope_catalog name, scope_schema name, scope_name name, "
     "maximum_cardinality int4, dtd_identifier name",
     NULL, "domains: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "foreign_data_wrapper_options",
     "foreign_data_wrapper_catalog name, foreign_data_wrapper_name name, option_name name, "
     "option_value varchar",
     NULL, "foreign data wrapper options: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "foreign_data_wrappers",
     "foreign_data_wrapper_catalog name, foreign_data_wrapper_name name, "
     "authorization_identifier name, library_name varchar, foreign_data_wrapper_language varchar",
     NULL, "foreign data wrappers: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "foreign_server_options",
     "foreign_server_catalog name, foreign_server_name name, option_name name, option_value varchar", NULL,
     "foreign server options: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "foreign_servers",
     "foreign_server_catalog name, foreign_server_name name, foreign_data_wrapper_catalog name, "
     "foreign_data_wrapper_name name, foreign_server_type varchar, foreign_server_version varchar, "
     "authorization_identifier name",
     NULL, "foreign servers: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "foreign_table_options",
     "foreign_table_catalog name, foreign_table_schema name, foreign_table_name name, "
     "option_name name, option_value varchar",
     NULL, "foreign table options: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "foreign_tables",
     "foreign_table_catalog name, foreign_table_schema name, foreign_table_name name, "
     "foreign_server_catalog name, foreign_server_name name",
     NULL, "foreign tables: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "referential_constraints",
     "constraint_catalog name, constraint_schema name, constraint_name name, "
     "unique_constraint_catalog name, unique_constraint_schema name, unique_constraint_name name, "
     "match_option varchar, update_rule varchar, delete_rule varchar",
     NULL, "referential constraints: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "role_column_grants",
     "grantor name, grantee name, table_catalog name, table_schema name, table_name name, "
     "column_name name, privilege_type varchar, is_grantable varchar",
     NULL, "role column grants: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "role_routine_grants",
     "grantor name, grantee name, specific_catalog name, specific_schema name, specific_name name, "
     "routine_catalog name, routine_schema name, routine_name name, privilege_type varchar, "
     "is_grantable varchar",
     NULL, "role routine grants: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "role_udt_grants",
     "grantor name, grantee name, udt_catalog name, udt_schema name, udt_name name, "
     "privilege_type varchar, is_grantable varchar",
     NULL, "role udt grants: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "role_usage_grants",
     "grantor name, grantee name, object_catalog name, object_schema name, object_name name, "
     "object_type varchar, privilege_type varchar, is_grantable varchar",
     NULL, "role usage grants: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "routine_column_usage",
     "specific_catalog name, specific_schema name, specific_name name, routine_catalog name, "
     "routine_schema name, routine_name name, table_catalog name, table_schema name, table_name name, "
     "column_name name",
     NULL, "routine column usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "routine_privileges",
     "grantor name, grantee name, specific_catalog name, specific_schema name, specific_name name, "
     "routine_catalog name, routine_schema name, routine_name name, privilege_type varchar, "
     "is_grantable varchar",
     NULL, "routine privileges: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "routine_routine_usage",
     "specific_catalog name, specific_schema name, specific_name name, routine_catalog name, "
     "routine_schema name, routine_name name",
     NULL, "routine routine usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "routine_sequence_usage",
     "specific_catalog name, specific_schema name, specific_name name, routine_catalog name, "
     "routine_schema name, routine_name name, sequence_catalog name, sequence_schema name, "
     "sequence_name name",
     NULL, "routine sequence usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "routine_table_usage",
     "specific_catalog name, specific_schema name, specific_name name, routine_catalog name, "
     "routine_schema name, routine_name name, table_catalog name, table_schema name, table_name name",
     NULL, "routine table usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'r', "sql_features",
     "feature_id varchar, feature_name varchar, sub_feature_id varchar, sub_feature_name varchar, "
     "is_supported varchar, is_verified_by varchar, comments varchar",
     NULL, "sql features: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'r', "sql_implementation_info",
     "implementation_info_id varchar, implementation_info_name varchar, integer_value int4, "
     "character_value varchar, comments varchar",
     NULL, "sql implementation info: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'r', "sql_parts",
     "feature_id varchar, feature_name varchar, is_supported varchar, is_verified_by varchar, "
     "comments varchar",
     NULL, "sql parts: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'r', "sql_sizing",
     "sizing_id int4, sizing_name varchar, supported_value int4, comments varchar", NULL, "sql sizing: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "triggered_update_columns",
     "trigger_catalog name, trigger_schema name, trigger_name name, event_object_catalog name, "
     "event_object_schema name, event_object_table name, event_object_column name",
     NULL, "triggered update columns: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "triggers",
     "trigger_catalog name, trigger_schema name, trigger_name name, event_manipulation varchar, "
     "event_object_catalog name, event_object_schema name, event_object_table name, "
     "action_order int4, action_condition varchar, action_statement varchar, "
     "action_orientation varchar, action_timing varchar, action_reference_old_table name, "
     "action_reference_new_table name, action_reference_old_row name, action_reference_new_row name, "
     "created timestamptz",
     NULL, "triggers: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "udt_privileges",
     "grantor name, grantee name, udt_catalog name, udt_schema name, udt_name name, "
     "privilege_type varchar, is_grantable varchar",
     NULL, "udt privileges: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "usage_privileges",
     "grantor name, grantee name, object_catalog name, object_schema name, object_name name, "
     "object_type varchar, privilege_type varchar, is_grantable varchar",
     NULL, "usage privileges: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "user_defined_types",
     "user_defined_type_catalog name, user_defined_type_schema name, user_defined_type_name name, "
     "user_defined_type_category varchar, is_instantiable varchar, is_final varchar, "
     "ordering_form varchar, ordering_category varchar, ordering_routine_catalog name, "
     "ordering_routine_schema name, ordering_routine_name name, reference_type varchar, "
     "data_type varchar, character_maximum_length int4, character_octet_length int4, "
     "character_set_catalog name, character_set_schema name, character_set_name name, "
     "collation_catalog name, collation_schema name, collation_name name, numeric_precision int4, "
     "numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
     "interval_type varchar, interval_precision int4, source_dtd_identifier name, "
     "ref_dtd_identifier name",
     NULL, "user defined types: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "user_mapping_options",
     "authorization_identifier name, foreign_server_catalog name, foreign_server_name name, "
     "option_name name, option_value varchar",
     NULL, "user mapping options: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "user_mappings",
     "authorization_identifier name, foreign_server_catalog name, foreign_server_name name", NULL,
     "user mappings: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "view_column_usage",
     "view_catalog name, view_schema name, view_name name, table_catalog name, table_schema name, "
     "table_name name, column_name name",
     NULL, "view column usage: none"},
    {SCHEMA_INFORMATION_SCHEMA, 'v', "view_routine_usage",
     "table_catalog name, table_schema name, table_name name, specific_catalog name, "
     "specific_schema name, specific_name name",
     NULL, "view routine usage: none"},
};
const size_t sysview_information_rare_rows_count = ARRAY_COUNT(sysview_information_rare_rows);
