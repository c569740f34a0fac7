//! What a role may do: decided from a catalog, purely.

use super::acl::{self, DATABASE_OID, Grant, Kind, ObjectAccess, Privileges};
use super::role::{DATABASE_OWNER_OID, PUBLIC_OID, READ_ALL_DATA_OID, READ_SERVER_FILES_OID, WRITE_ALL_DATA_OID, WRITE_SERVER_FILES_OID};
use crate::catalog::lookup::{Found, SYSTEM_SCHEMAS};
use crate::catalog::temporary::is_temporary;
use crate::catalog::{Catalog, Relation};
use crate::error::{Result, SqlError, SqlState};
use std::borrow::Cow;
use std::collections::BTreeSet;
use storage::ColumnId;

/// One role's rights in one catalog.
#[derive(Debug)]
pub struct Rights<'a> {
    catalog: &'a Catalog,
    /// The role; `None`: it does not exist (any more), and may do nothing.
    role: Option<u32>,
    superuser: bool,
    /// The roles whose privileges it has, itself among them.
    held: BTreeSet<u32>,
}

impl<'a> Rights<'a> {
    /// The rights of a role by name.
    pub fn of(catalog: &'a Catalog, name: &str) -> Self {
        Self::of_role(catalog, catalog.roles.get(name).map(|entry| entry.definition.oid))
    }

    /// The rights of a role by OID.
    pub fn of_oid(catalog: &'a Catalog, oid: u32) -> Self {
        Self::of_role(catalog, catalog.role_name(oid).map(|_| oid))
    }

    /// What everybody may do.
    pub fn of_public(catalog: &'a Catalog) -> Self {
        Self::of_role(catalog, Some(PUBLIC_OID))
    }

    fn of_role(catalog: &'a Catalog, role: Option<u32>) -> Self {
        let superuser = role.and_then(|oid| catalog.role(oid)).is_some_and(|(_, role)| role.superuser);
        let mut held = BTreeSet::new();
        if let Some(oid) = role.filter(|_| !superuser) {
            held = memberships(catalog, oid, true);
            if held.contains(&access(catalog, DATABASE_OID).owner) {
                held.insert(DATABASE_OWNER_OID);
            }
        }
        Self { catalog, role, superuser, held }
    }

    /// The role's OID; one that nobody has if it does not exist.
    pub fn role(&self) -> u32 {
        self.role.unwrap_or(u32::MAX)
    }
    /// Whether it may do everything.
    pub fn is_superuser(&self) -> bool {
        self.superuser
    }
    /// Whether it has the privileges of another role.
    pub fn has_role(&self, oid: u32) -> bool {
        self.superuser || self.held.contains(&oid)
    }
    /// Whether it is a member of another role, whose name it may take with SET ROLE.
    pub fn may_become(&self, oid: u32) -> bool {
        self.superuser || self.role.is_some_and(|role| memberships(self.catalog, role, false).contains(&oid))
    }
    /// Whether it may hand out membership of a role.
    pub fn may_admin(&self, oid: u32) -> bool {
        let admin = |held: &u32| self.catalog.role(*held).is_some_and(|(_, role)| role.member_of.iter().any(|m| m.role == oid && m.admin));
        self.superuser || self.held.iter().any(admin)
    }
    /// Whether it may make and change roles.
    pub fn may_create_roles(&self) -> bool {
        self.superuser || self.role.and_then(|oid| self.catalog.role(oid)).is_some_and(|(_, role)| role.create_role)
    }

    /// Which of `wanted` it has on an object, also which of them it may give on.
    pub fn privileges(&self, kind: Kind, oid: u32) -> (Privileges, Privileges) {
        let access = access(self.catalog, oid);
        if self.superuser || self.held.contains(&access.owner) {
            // An owner may always grant; what it has revoked from itself it does not have.
            let had = if self.superuser { kind.all() } else { self.granted(&access.effective(kind, oid)).0 };
            return (had, kind.all());
        }
        self.granted(&access.effective(kind, oid))
    }

    fn granted(&self, grants: &[Grant]) -> (Privileges, Privileges) {
        let mine = grants.iter().filter(|grant| self.role.is_some() && (grant.grantee == PUBLIC_OID || self.held.contains(&grant.grantee)));
        mine.fold((0, 0), |(had, grantable), grant| (had | grant.privileges, grantable | grant.grantable))
    }

    /// What built-in roles give on a relation.
    fn by_predefined(&self, kind: Kind) -> Privileges {
        let read = if self.held.contains(&READ_ALL_DATA_OID) { acl::SELECT | acl::USAGE } else { 0 };
        let write = if self.held.contains(&WRITE_ALL_DATA_OID) { acl::INSERT | acl::UPDATE | acl::DELETE | acl::USAGE } else { 0 };
        let given = (read | write) & kind.all();
        if kind == Kind::Sequence { given & !acl::USAGE } else { given }
    }

    /// Whether it has all of these on an object.
    pub fn has(&self, kind: Kind, oid: u32, wanted: Privileges) -> bool {
        self.superuser || wanted & !(self.privileges(kind, oid).0 | self.by_predefined(kind)) == 0
    }

    /// Whether it has one of these on an object.
    pub fn has_any(&self, kind: Kind, oid: u32, wanted: Privileges) -> bool {
        self.superuser || wanted & (self.privileges(kind, oid).0 | self.by_predefined(kind)) != 0
    }

    /// Whether it has these on one column, or on its whole relation.
    pub fn has_on_column(&self, relation: u32, column: ColumnId, wanted: Privileges) -> bool {
        self.has(Kind::Table, relation, wanted) || {
            let access = access(self.catalog, relation);
            let had = access.columns.get(&column.0).map_or(0, |grants| self.granted(grants).0);
            wanted & !(had | self.privileges(Kind::Table, relation).0 | self.by_predefined(Kind::Table)) == 0
        }
    }

    /// Whether it has one of these on any column.
    pub fn has_on_any_column(&self, relation: u32, wanted: Privileges) -> bool {
        self.has(Kind::Table, relation, wanted)
            || access(self.catalog, relation).columns.values().any(|grants| wanted & !self.granted(grants).0 == 0)
    }

    /// Whether it may give one of these on, on one column.
    pub fn may_grant_on_column(&self, relation: u32, column: ColumnId, wanted: Privileges) -> bool {
        let access = access(self.catalog, relation);
        let grantable = access.columns.get(&column.0).map_or(0, |grants| self.granted(grants).1);
        wanted & (grantable | self.privileges(Kind::Table, relation).1) != 0
    }

    /// Whether it may give one of these on, on any column.
    pub fn may_grant_on_any_column(&self, relation: u32, wanted: Privileges) -> bool {
        let access = access(self.catalog, relation);
        let grantable = access.columns.values().fold(self.privileges(Kind::Table, relation).1, |all, grants| all | self.granted(grants).1);
        wanted & grantable != 0
    }

    /// Whether it owns an object, or has its owner's rights.
    pub fn owns(&self, oid: u32) -> bool {
        self.has_role(access(self.catalog, oid).owner)
    }

    /// 42501 unless it has these on a relation.
    pub fn require_on(&self, found: &Found<'_>, wanted: Privileges) -> Result<()> {
        let kind = kind_of(found.relation());
        match self.has(kind, found.relation().oid(), wanted) {
            true => Ok(()),
            false => Err(denied(found.relation().kind(), found.name)),
        }
    }

    /// 42501 unless it has these on a schema; the system's can be used by everybody.
    pub fn require_on_schema(&self, schema: &str, wanted: Privileges) -> Result<()> {
        if SYSTEM_SCHEMAS.contains(&schema) || self.has_on_schema(schema, wanted) {
            return Ok(());
        }
        Err(denied("schema", schema))
    }

    /// Whether it has these on a schema; of one that does not exist others complain, and a session has its own for what is temporary.
    pub fn has_on_schema(&self, schema: &str, wanted: Privileges) -> bool {
        let oid = self.catalog.schemas.get(schema).filter(|_| !is_temporary(schema)).map(|entry| entry.definition.oid);
        oid.is_none_or(|oid| self.has(Kind::Schema, oid, wanted))
    }

    /// 42501 unless it has these on the database.
    pub fn require_on_database(&self, database: &str, wanted: Privileges) -> Result<()> {
        if self.has(Kind::Database, DATABASE_OID, wanted) { Ok(()) } else { Err(denied("database", database)) }
    }

    /// 42501 unless it owns a relation.
    pub fn require_owner(&self, found: &Found<'_>) -> Result<()> {
        let (oid, kind) = (found.relation().oid(), found.relation().kind());
        if self.owns(oid) { Ok(()) } else { Err(not_owner(kind, found.name)) }
    }

    /// 42501 unless it owns a schema.
    pub fn require_schema_owner(&self, schema: &str) -> Result<()> {
        let oid = self.catalog.schemas.get(schema).map(|entry| entry.definition.oid);
        if oid.is_none_or(|oid| self.owns(oid)) { Ok(()) } else { Err(not_owner("schema", schema)) }
    }

    /// 42501 unless it may read files of the server.
    pub fn require_reading_files(&self) -> Result<()> {
        self.require_files(READ_SERVER_FILES_OID, "pg_read_server_files", "COPY from a file")
    }

    /// 42501 unless it may write files of the server.
    pub fn require_writing_files(&self) -> Result<()> {
        self.require_files(WRITE_SERVER_FILES_OID, "pg_write_server_files", "COPY to a file")
    }

    fn require_files(&self, role: u32, name: &str, what: &str) -> Result<()> {
        if self.has_role(role) {
            return Ok(());
        }
        let message = format!("must be superuser or have privileges of the {name} role to {what}");
        Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
            .with_hint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone."))
    }
}

/// The owner and grants of an object.
pub fn access(catalog: &Catalog, oid: u32) -> Cow<'_, ObjectAccess> {
    match catalog.access.get(&oid) {
        Some(entry) => Cow::Borrowed(&*entry.definition),
        None => Cow::Owned(ObjectAccess::built_in(oid)),
    }
}

/// What kind of privileges a relation has.
pub fn kind_of(relation: &Relation) -> Kind {
    match relation {
        Relation::Sequence(_) => Kind::Sequence,
        _ => Kind::Table,
    }
}

/// The roles that a role is a member of, directly or not, itself among them; `inherited`: only those whose privileges it has.
pub fn memberships(catalog: &Catalog, role: u32, inherited: bool) -> BTreeSet<u32> {
    let mut seen = BTreeSet::from([role]);
    let mut next = vec![role];
    while let Some(oid) = next.pop() {
        let Some((_, definition)) = catalog.role(oid) else { continue };
        if inherited && !definition.inherit {
            continue;
        }
        next.extend(definition.member_of.iter().map(|membership| membership.role).filter(|role| seen.insert(*role)));
    }
    seen
}

/// 42501 for an object.
pub fn denied(kind: &str, name: &str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for {kind} {name}"))
}

/// 42501 for whoever is not the owner.
pub fn not_owner(kind: &str, name: &str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of {kind} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::role::{Membership, RoleDefinition, built_in};
    use crate::catalog::Entry;
    use std::sync::Arc;

    fn catalog() -> Catalog {
        let mut catalog = Catalog { roles: built_in(), ..Catalog::default() };
        let member = |role| Membership { role, grantor: 10, admin: false };
        for (name, oid, inherit, of) in [("a", 1, true, vec![2]), ("b", 2, false, vec![3]), ("c", 3, true, vec![])] {
            let definition = RoleDefinition { inherit, member_of: of.into_iter().map(member).collect(), ..RoleDefinition::new(oid) };
            catalog.roles.insert(name.into(), Entry { version: None, definition: Arc::new(definition) });
        }
        let grants = vec![Grant { grantee: 2, grantor: 3, privileges: acl::SELECT, grantable: 0 }];
        let access = ObjectAccess { grants: Some(grants), ..ObjectAccess::owned_by(3) };
        catalog.access.insert(100, Entry { version: None, definition: Arc::new(access) });
        catalog
    }

    #[test]
    fn privileges_are_inherited_as_far_as_roles_inherit() {
        let catalog = catalog();
        let (a, b, c) = (Rights::of(&catalog, "a"), Rights::of(&catalog, "b"), Rights::of(&catalog, "c"));
        assert!(a.has(Kind::Table, 100, acl::SELECT) && b.has(Kind::Table, 100, acl::SELECT));
        assert!(!a.has(Kind::Table, 100, acl::INSERT) && !a.owns(100) && c.owns(100));
        assert!(a.may_become(3) && !a.has_role(3) && !c.may_become(1));
        // The owner has taken everything from itself, and may still give it.
        assert_eq!(c.privileges(Kind::Table, 100), (0, Kind::Table.all()));
    }

    #[test]
    fn nobody_may_nothing_and_the_superuser_everything() {
        let catalog = catalog();
        let (nobody, superuser) = (Rights::of(&catalog, "ghost"), Rights::of(&catalog, "plimsoll"));
        assert!(!nobody.has(Kind::Database, DATABASE_OID, acl::CONNECT) && !nobody.owns(100));
        assert!(superuser.has(Kind::Table, 100, Kind::Table.all()) && superuser.owns(100) && superuser.may_become(3));
        assert!(nobody.require_reading_files().is_err() && superuser.require_writing_files().is_ok());
    }
}
