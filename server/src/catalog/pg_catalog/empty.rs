//! Tables of `pg_catalog` for what this server does not have: always empty. A query that joins one has no rows, so what else it asks for need not
//! be planned; see [`crate::catalog::client_queries`].

const TABLES: [&str; 28] = [
    "pg_enum",
    "pg_event_trigger",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_inherits",
    "pg_largeobject_metadata",
    "pg_matviews",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_prepared_xacts",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_rules",
    "pg_seclabel",
    "pg_shdepend",
    "pg_shseclabel",
    "pg_statistic_ext",
    "pg_stat_replication",
    "pg_subscription",
    "pg_subscription_rel",
    "pg_transform",
    "pg_trigger",
    "pg_user_mapping",
];

/// Whether a table is always empty.
pub fn is(name: &str) -> bool {
    TABLES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::pg_catalog::shapes;

    #[test]
    fn they_are_tables_of_the_catalog() {
        for name in TABLES {
            assert!(shapes::find("pg_catalog", name).is_some(), "{name}");
        }
    }
}
