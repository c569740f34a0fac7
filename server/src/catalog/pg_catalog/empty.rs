//! Tables of `pg_catalog` for what this server does not have: always empty, with PostgreSQL's columns.
//!
//! Columns of types that only matter inside such a table (ACLs, expression trees, arrays of numbers) are text.

/// Name and columns.
const TABLES: &[(&str, &str)] = &[
    ("pg_auth_members", "roleid oid, member oid, grantor oid, admin_option boolean"),
    ("pg_available_extensions", "name name, default_version text, installed_version text, comment text"),
    ("pg_cursors", "name text, statement text, is_holdable boolean, is_binary boolean, is_scrollable boolean, creation_time timestamptz"),
    ("pg_db_role_setting", "setdatabase oid, setrole oid, setconfig text[]"),
    ("pg_default_acl", "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype text, defaclacl text[]"),
    ("pg_description", "objoid oid, classoid oid, objsubid integer, description text"),
    ("pg_enum", "oid oid, enumtypid oid, enumsortorder real, enumlabel name"),
    ("pg_event_trigger", "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled text, evttags text[]"),
    (
        "pg_extension",
        "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable boolean, extversion text, extconfig text, extcondition text[]",
    ),
    ("pg_foreign_data_wrapper", "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl text[], fdwoptions text[]"),
    (
        "pg_foreign_server",
        "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text, srvversion text, srvacl text[], srvoptions text[]",
    ),
    ("pg_foreign_table", "ftrelid oid, ftserver oid, ftoptions text[]"),
    ("pg_group", "groname name, grosysid oid, grolist text"),
    ("pg_inherits", "inhrelid oid, inhparent oid, inhseqno integer, inhdetachpending boolean"),
    ("pg_largeobject_metadata", "oid oid, lomowner oid, lomacl text[]"),
    (
        "pg_locks",
        "locktype text, database oid, relation oid, page integer, tuple smallint, virtualxid text, transactionid bigint, classid oid, objid oid, objsubid smallint, virtualtransaction text, pid integer, mode text, granted boolean, fastpath boolean, waitstart timestamptz",
    ),
    (
        "pg_matviews",
        "schemaname name, matviewname name, matviewowner name, tablespace name, hasindexes boolean, ispopulated boolean, definition text",
    ),
    ("pg_parameter_acl", "oid oid, parname text, paracl text[]"),
    (
        "pg_partitioned_table",
        "partrelid oid, partstrat text, partnatts smallint, partdefid oid, partattrs text, partclass text, partcollation text, partexprs text",
    ),
    ("pg_policies", "schemaname name, tablename name, policyname name, permissive text, roles text, cmd text, qual text, with_check text"),
    (
        "pg_policy",
        "oid oid, polname name, polrelid oid, polcmd text, polpermissive boolean, polroles text, polqual text, polwithcheck text",
    ),
    ("pg_prepared_xacts", "transaction bigint, gid text, prepared timestamptz, owner name, database name"),
    (
        "pg_publication",
        "oid oid, pubname name, pubowner oid, puballtables boolean, pubinsert boolean, pubupdate boolean, pubdelete boolean, pubtruncate boolean, pubviaroot boolean",
    ),
    ("pg_publication_namespace", "oid oid, pnpubid oid, pnnspid oid"),
    ("pg_publication_rel", "oid oid, prpubid oid, prrelid oid, prqual text, prattrs text"),
    ("pg_publication_tables", "pubname name, schemaname name, tablename name, attnames text, rowfilter text"),
    ("pg_rewrite", "oid oid, rulename name, ev_class oid, ev_type text, ev_enabled text, is_instead boolean, ev_qual text, ev_action text"),
    ("pg_rules", "schemaname name, tablename name, rulename name, definition text"),
    ("pg_seclabel", "objoid oid, classoid oid, objsubid integer, provider text, label text"),
    ("pg_shdepend", "dbid oid, classid oid, objid oid, objsubid integer, refclassid oid, refobjid oid, deptype text"),
    ("pg_shdescription", "objoid oid, classoid oid, description text"),
    ("pg_shseclabel", "objoid oid, classoid oid, provider text, label text"),
    (
        "pg_statistic_ext",
        "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, stxstattarget integer, stxkeys text, stxkind text, stxexprs text",
    ),
    ("pg_stat_replication", "pid integer, usesysid oid, usename name, application_name text, client_addr text, state text"),
    (
        "pg_subscription",
        "oid oid, subdbid oid, subskiplsn text, subname name, subowner oid, subenabled boolean, subbinary boolean, substream boolean, subtwophasestate text, subdisableonerr boolean, subconninfo text, subslotname name, subsynccommit text, subpublications text[]",
    ),
    ("pg_subscription_rel", "srsubid oid, srrelid oid, srsubstate text, srsublsn text"),
    ("pg_transform", "oid oid, trftype oid, trflang oid, trffromsql oid, trftosql oid"),
    (
        "pg_trigger",
        "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype smallint, tgenabled text, tgisinternal boolean, tgconstrrelid oid, tgconstrindid oid, tgconstraint oid, tgdeferrable boolean, tginitdeferred boolean, tgnargs smallint, tgattr text, tgargs bytea, tgqual text, tgoldtable name, tgnewtable name",
    ),
    ("pg_user_mapping", "oid oid, umuser oid, umserver oid, umoptions text[]"),
];

/// The columns of a table that is always empty.
pub fn columns(name: &str) -> Option<&'static str> {
    TABLES.iter().find(|(known, _)| *known == name).map(|(_, columns)| *columns)
}

/// Names of all of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::catalog::built_table::table;

    #[test]
    fn columns_have_types() {
        for name in names() {
            table(columns(name).unwrap(), Vec::new()).unwrap();
        }
    }
}
