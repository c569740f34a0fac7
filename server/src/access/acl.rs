//! Privileges, and lists of who has which, with PostgreSQL's letters and defaults.

use super::role::{DATABASE_OWNER_OID, PUBLIC_OID, SUPERUSER_OID};
use crate::catalog::names::quote;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The OID of the only database.
pub const DATABASE_OID: u32 = 5;
/// The OID of schema `public`.
pub const PUBLIC_SCHEMA_OID: u32 = 2200;

/// A set of privileges.
pub type Privileges = u16;

/// INSERT
pub const INSERT: Privileges = 1;
/// SELECT
pub const SELECT: Privileges = 1 << 1;
/// UPDATE
pub const UPDATE: Privileges = 1 << 2;
/// DELETE
pub const DELETE: Privileges = 1 << 3;
/// TRUNCATE
pub const TRUNCATE: Privileges = 1 << 4;
/// REFERENCES
pub const REFERENCES: Privileges = 1 << 5;
/// TRIGGER
pub const TRIGGER: Privileges = 1 << 6;
/// USAGE
pub const USAGE: Privileges = 1 << 7;
/// CREATE
pub const CREATE: Privileges = 1 << 8;
/// TEMPORARY
pub const TEMPORARY: Privileges = 1 << 9;
/// CONNECT
pub const CONNECT: Privileges = 1 << 10;

/// Letters and names, in the order in which PostgreSQL prints them.
const KNOWN: [(Privileges, char, &str); 11] = [
    (INSERT, 'a', "INSERT"),
    (SELECT, 'r', "SELECT"),
    (UPDATE, 'w', "UPDATE"),
    (DELETE, 'd', "DELETE"),
    (TRUNCATE, 'D', "TRUNCATE"),
    (REFERENCES, 'x', "REFERENCES"),
    (TRIGGER, 't', "TRIGGER"),
    (USAGE, 'U', "USAGE"),
    (CREATE, 'C', "CREATE"),
    (TEMPORARY, 'T', "TEMPORARY"),
    (CONNECT, 'c', "CONNECT"),
];

/// The privilege of a name, in any case; `TEMP` is TEMPORARY.
pub fn named(name: &str) -> Option<Privileges> {
    let name = if name.eq_ignore_ascii_case("temp") { "TEMPORARY" } else { name };
    KNOWN.iter().find(|(_, _, known)| known.eq_ignore_ascii_case(name)).map(|(bit, ..)| *bit)
}

/// The names of a set.
pub fn names(set: Privileges) -> impl Iterator<Item = (Privileges, &'static str)> {
    KNOWN.iter().filter(move |(bit, ..)| set & bit != 0).map(|(bit, _, name)| (*bit, *name))
}

/// What privileges are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A table or a view.
    Table,
    /// A column.
    Column,
    /// A sequence.
    Sequence,
    /// A schema.
    Schema,
    /// The database.
    Database,
}

impl Kind {
    /// All privileges that there are on it.
    pub fn all(self) -> Privileges {
        match self {
            Self::Table => INSERT | SELECT | UPDATE | DELETE | TRUNCATE | REFERENCES | TRIGGER,
            Self::Column => INSERT | SELECT | UPDATE | REFERENCES,
            Self::Sequence => SELECT | UPDATE | USAGE,
            Self::Schema => USAGE | CREATE,
            Self::Database => CREATE | TEMPORARY | CONNECT,
        }
    }
    /// The word in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Column => "column",
            Self::Sequence => "sequence",
            Self::Schema => "schema",
            Self::Database => "database",
        }
    }
    /// What an object has before anything is granted.
    pub fn default_grants(self, oid: u32, owner: u32) -> Vec<Grant> {
        let grant = |grantee, privileges| Grant { grantee, grantor: owner, privileges, grantable: 0 };
        match self {
            Self::Column => Vec::new(),
            Self::Database => vec![grant(PUBLIC_OID, TEMPORARY | CONNECT), grant(owner, self.all())],
            Self::Schema if oid == PUBLIC_SCHEMA_OID => vec![grant(owner, self.all()), grant(PUBLIC_OID, USAGE)],
            _ => vec![grant(owner, self.all())],
        }
    }
}

/// What one role was granted by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who has it; 0 is PUBLIC.
    pub grantee: u32,
    /// Who gave it.
    pub grantor: u32,
    /// What.
    pub privileges: Privileges,
    /// What of it may be given on.
    pub grantable: Privileges,
}

/// The owner and the grants of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectAccess {
    /// Who owns it.
    pub owner: u32,
    /// Who has what; `None`: the default.
    pub grants: Option<Vec<Grant>>,
    /// Grants on single columns, by the id of the column.
    #[serde(default)]
    pub columns: BTreeMap<u32, Vec<Grant>>,
}

impl ObjectAccess {
    /// An object with the default grants.
    pub fn owned_by(owner: u32) -> Self {
        Self { owner, grants: None, columns: BTreeMap::new() }
    }
    /// What holds of an object of which nothing is kept.
    pub fn built_in(oid: u32) -> Self {
        Self::owned_by(if oid == PUBLIC_SCHEMA_OID { DATABASE_OWNER_OID } else { SUPERUSER_OID })
    }
    /// Who has what.
    pub fn effective(&self, kind: Kind, oid: u32) -> Vec<Grant> {
        self.grants.clone().unwrap_or_else(|| kind.default_grants(oid, self.owner))
    }
}

/// Adds to a list.
pub fn add(grants: &mut Vec<Grant>, new: Grant) {
    match grants.iter_mut().find(|grant| (grant.grantee, grant.grantor) == (new.grantee, new.grantor)) {
        Some(grant) => {
            grant.privileges |= new.privileges;
            grant.grantable |= new.grantable;
        }
        None => grants.push(new),
    }
}

/// Takes from a list what `grantor` gave; `only_option` leaves the privilege and takes the right to give it on.
pub fn remove(grants: &mut Vec<Grant>, grantee: u32, grantor: u32, privileges: Privileges, only_option: bool) {
    for grant in grants.iter_mut().filter(|grant| (grant.grantee, grant.grantor) == (grantee, grantor)) {
        grant.grantable &= !privileges;
        if !only_option {
            grant.privileges &= !privileges;
        }
    }
    grants.retain(|grant| grant.privileges != 0);
}

/// The list as PostgreSQL prints it: `grantee=letters/grantor`.
pub fn text(grants: &[Grant], name_of: impl Fn(u32) -> String) -> Vec<String> {
    let name = |oid: u32| if oid == PUBLIC_OID { String::new() } else { quote(&name_of(oid)) };
    let letters = |grant: &Grant| {
        let each = KNOWN.iter().filter(|(bit, ..)| grant.privileges & bit != 0);
        each.map(|(bit, letter, _)| if grant.grantable & bit != 0 { format!("{letter}*") } else { letter.to_string() }).collect::<String>()
    };
    grants.iter().map(|grant| format!("{}={}/{}", name(grant.grantee), letters(grant), name(grant.grantor))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_print_as_in_postgresql() {
        let mut grants = Kind::Table.default_grants(16_400, 10);
        add(&mut grants, Grant { grantee: 0, grantor: 10, privileges: SELECT, grantable: 0 });
        add(&mut grants, Grant { grantee: 7, grantor: 10, privileges: INSERT | UPDATE, grantable: INSERT });
        let names = |oid: u32| if oid == 10 { "me".to_string() } else { "a b".to_string() };
        assert_eq!(text(&grants, names), ["me=arwdDxt/me", "=r/me", "\"a b\"=a*w/me"]);
        remove(&mut grants, 7, 10, INSERT, true);
        assert_eq!(text(&grants, names)[2], "\"a b\"=aw/me");
        remove(&mut grants, 7, 10, INSERT | UPDATE, false);
        assert_eq!(grants.len(), 2);
    }

    #[test]
    fn names_are_read() {
        assert_eq!(named("temp"), Some(TEMPORARY));
        assert_eq!(named("Select"), Some(SELECT));
        assert_eq!(named("everything"), None);
    }
}
