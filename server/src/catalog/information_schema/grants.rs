//! Who may do what, as the standard shows it: grants that the reader gave or has, and roles whose privileges it has.

use super::yes_or_no;
use crate::access::acl::{self, Grant, Kind};
use crate::access::rights::{Rights, access, kind_of};
use crate::access::role::{DATABASE_OWNER_OID, Membership, PUBLIC_OID, RoleDefinition};
use crate::catalog::built_table::Row;
use crate::catalog::lookup::Found;
use crate::catalog::pg_catalog::ownership::{owner, role_name};
use crate::catalog::{Catalog, Relation};
use crate::query::Scope;
use crate::row;

/// Columns and rows of a table of this file.
pub(super) fn table(scope: &Scope, name: &str) -> Option<(&'static str, Vec<Row>)> {
    let made = match name {
        "enabled_roles" => ("role_name name", enabled_roles(scope)),
        "applicable_roles" => (ROLES, applicable_roles(scope)),
        "administrable_role_authorizations" => (
            ROLES,
            applicable_roles(scope)
                .into_iter()
                .filter(|row| matches!(&row[2], crate::catalog::built_table::Cell::Text(admin) if admin == "YES"))
                .collect(),
        ),
        "table_privileges" => (TABLES, on_tables(scope, true)),
        "role_table_grants" => (TABLES, on_tables(scope, false)),
        "column_privileges" => (COLUMNS, on_columns(scope, true)),
        "role_column_grants" => (COLUMNS, on_columns(scope, false)),
        "usage_privileges" | "role_usage_grants" => (USAGE, on_sequences(scope)),
        _ => return None,
    };
    Some(made)
}

const ROLES: &str = "grantee name, role_name name, is_grantable varchar(3)";
const TABLES: &str = "grantor name, grantee name, table_catalog name, table_schema name, table_name name, privilege_type varchar, \
    is_grantable varchar(3), with_hierarchy varchar(3)";
const COLUMNS: &str = "grantor name, grantee name, table_catalog name, table_schema name, table_name name, column_name name, \
    privilege_type varchar, is_grantable varchar(3)";
const USAGE: &str = "grantor name, grantee name, object_catalog name, object_schema name, object_name name, object_type varchar, \
    privilege_type varchar, is_grantable varchar(3)";

/// The roles whose privileges the reader has.
fn held(scope: &Scope) -> impl Iterator<Item = (&String, &RoleDefinition)> {
    let rights = scope.rights();
    let all = scope.view.catalog.roles.iter().map(|(name, entry)| (name, &*entry.definition));
    all.filter(move |(_, role)| rights.has_role(role.oid))
}

fn enabled_roles(scope: &Scope) -> Vec<Row> {
    held(scope).map(|(name, _)| row![name]).collect()
}

fn applicable_roles(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let of_one = |(name, role): (&String, &RoleDefinition)| {
        let row = |of: &Membership| row![name, role_name(catalog, of.role), yes_or_no(of.admin)];
        let mut rows: Vec<Row> = role.member_of.iter().map(row).collect();
        if role.oid == owner(catalog, acl::DATABASE_OID) {
            rows.push(row![name, role_name(catalog, DATABASE_OWNER_OID), "NO"]);
        }
        rows
    };
    held(scope).flat_map(of_one).collect()
}

/// Whether the reader gave or has a grant; `public`: or everybody has it.
fn concerns(rights: &Rights<'_>, grant: &Grant, public: bool) -> bool {
    let everybody = grant.grantee == PUBLIC_OID;
    rights.has_role(grant.grantor) || (public && everybody) || (!everybody && rights.has_role(grant.grantee))
}

/// Each privilege of a grant: grantor, grantee, name, whether it may be given on.
fn exploded(catalog: &Catalog, relation: u32, grant: &Grant) -> Vec<(String, String, &'static str, &'static str)> {
    let grantee = if grant.grantee == PUBLIC_OID { "PUBLIC".to_string() } else { role_name(catalog, grant.grantee) };
    let owns = grant.grantee != PUBLIC_OID && Rights::of_oid(catalog, grant.grantee).has_role(owner(catalog, relation));
    let one = |(bit, name)| (role_name(catalog, grant.grantor), grantee.clone(), name, yes_or_no(owns || grant.grantable & bit != 0));
    acl::names(grant.privileges).map(one).collect()
}

/// Tables and views with what is granted on each.
fn granted(scope: &Scope, wanted: Kind) -> impl Iterator<Item = (Found<'_>, Vec<Grant>)> {
    let catalog = &scope.view.catalog;
    let all = catalog.all().filter(move |found| kind_of(found.relation()) == wanted);
    all.map(move |found| {
        let oid = found.relation().oid();
        (found, access(catalog, oid).effective(wanted, oid))
    })
}

fn on_tables(scope: &Scope, public: bool) -> Vec<Row> {
    let (catalog, rights) = (&scope.view.catalog, scope.rights());
    let mut rows = Vec::new();
    for (found, grants) in granted(scope, Kind::Table) {
        for grant in grants.iter().filter(|grant| concerns(&rights, grant, public)) {
            for (grantor, grantee, privilege, option) in exploded(catalog, found.relation().oid(), grant) {
                let hierarchy = yes_or_no(privilege == "SELECT");
                rows.push(row![grantor, grantee, &scope.database, found.schema, found.name, privilege, option, hierarchy]);
            }
        }
    }
    rows
}

fn on_columns(scope: &Scope, public: bool) -> Vec<Row> {
    let (catalog, rights) = (&scope.view.catalog, scope.rights());
    let mut rows = Vec::new();
    for (found, whole) in granted(scope, Kind::Table) {
        let oid = found.relation().oid();
        for (column, id) in columns(&found) {
            let mut all = Vec::new();
            let of_table = whole.iter().map(|grant| Grant {
                privileges: grant.privileges & Kind::Column.all(),
                grantable: grant.grantable & Kind::Column.all(),
                ..*grant
            });
            of_table
                .chain(access(catalog, oid).columns.get(&id).into_iter().flatten().copied())
                .for_each(|grant| acl::add(&mut all, grant));
            for grant in all.iter().filter(|grant| concerns(&rights, grant, public)) {
                for (grantor, grantee, privilege, option) in exploded(catalog, oid, grant) {
                    rows.push(row![grantor, grantee, &scope.database, found.schema, found.name, column, privilege, option]);
                }
            }
        }
    }
    rows
}

fn columns<'a>(found: &Found<'a>) -> Vec<(&'a str, u32)> {
    match &*found.entry.definition {
        Relation::Table(table) => table.columns.iter().map(|column| (column.name.as_str(), column.id.0)).collect(),
        Relation::View(view) => view.columns.iter().zip(1..).map(|((name, _), number)| (name.as_str(), number)).collect(),
        Relation::Sequence(_) => Vec::new(),
    }
}

fn on_sequences(scope: &Scope) -> Vec<Row> {
    let (catalog, rights) = (&scope.view.catalog, scope.rights());
    let mut rows = Vec::new();
    for (found, grants) in granted(scope, Kind::Sequence) {
        for grant in grants.iter().filter(|grant| concerns(&rights, grant, true)) {
            let usage = Grant { privileges: grant.privileges & acl::USAGE, ..*grant };
            for (grantor, grantee, privilege, option) in exploded(catalog, found.relation().oid(), &usage) {
                rows.push(row![grantor, grantee, &scope.database, found.schema, found.name, "SEQUENCE", privilege, option]);
            }
        }
    }
    rows
}
