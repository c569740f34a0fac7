//! Who may cancel and end whose sessions.

use crate::access::rights::Rights;
use crate::access::role::SIGNAL_BACKEND_OID;
use crate::catalog::Catalog;
use crate::error::{Result, SqlError, SqlState};
use crate::query::Scope;

/// What is done to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// What it runs is cancelled.
    Cancel,
    /// It ends.
    Terminate,
}

impl Signal {
    /// The function that does it.
    pub fn function(self) -> &'static str {
        match self {
            Self::Cancel => "pg_cancel_backend",
            Self::Terminate => "pg_terminate_backend",
        }
    }

    /// Does it, if the role may; false if there is no such session.
    pub fn send(self, scope: &Scope, process_id: i32) -> Result<bool> {
        let sessions = scope.activity.sessions();
        let Some(found) = sessions.into_iter().find(|session| session.identity.process_id == process_id) else { return Ok(false) };
        self.permit(&scope.view.catalog, &scope.user, &found.identity.user)?;
        Ok(match self {
            Self::Cancel => scope.activity.cancel(process_id),
            Self::Terminate => scope.activity.terminate(process_id),
        })
    }

    /// 42501 unless `user` may do it to a session of `owner`. A function acts for whoever calls it, in a view too.
    fn permit(self, catalog: &Catalog, user: &str, owner: &str) -> Result<()> {
        let rights = Rights::of(catalog, user);
        let owner = catalog.roles.get(owner).map(|entry| &*entry.definition);
        if owner.is_some_and(|owner| owner.superuser) && !rights.is_superuser() {
            return Err(refused(match self {
                Self::Cancel => "must be a superuser to cancel superuser query",
                Self::Terminate => "must be a superuser to terminate superuser process",
            }));
        }
        if owner.is_some_and(|owner| rights.has_role(owner.oid)) || rights.has_role(SIGNAL_BACKEND_OID) {
            return Ok(());
        }
        Err(refused(match self {
            Self::Cancel => "must be a member of the role whose query is being canceled or member of pg_signal_backend",
            Self::Terminate => "must be a member of the role whose process is being terminated or member of pg_signal_backend",
        }))
    }
}

fn refused(message: &'static str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::access::role::{Membership, RoleDefinition, SUPERUSER};
    use crate::catalog::Entry;
    use std::sync::Arc;

    fn put(catalog: &mut Catalog, name: &str, oid: u32, member_of: &[u32]) {
        let member_of = member_of.iter().map(|role| Membership { role: *role, grantor: 10, admin: false }).collect();
        let definition = Arc::new(RoleDefinition { member_of, ..RoleDefinition::new(oid) });
        catalog.roles.insert(name.into(), Entry { definition, ..catalog.roles[SUPERUSER].clone() });
    }

    #[test]
    fn a_session_is_ended_by_its_role_its_members_and_those_who_may_signal() {
        let mut catalog = Catalog { roles: crate::access::role::built_in(), ..Catalog::default() };
        put(&mut catalog, "ada", 20_001, &[]);
        put(&mut catalog, "bob", 20_002, &[20_001]);
        put(&mut catalog, "eve", 20_003, &[]);
        put(&mut catalog, "ops", 20_004, &[SIGNAL_BACKEND_OID]);
        let may = |user, owner| Signal::Terminate.permit(&catalog, user, owner).is_ok();
        assert!(may("ada", "ada") && may("bob", "ada") && may("ops", "ada") && may(SUPERUSER, "ada") && may(SUPERUSER, SUPERUSER));
        assert!(!may("ada", "bob") && !may("eve", "ada") && !may("ops", SUPERUSER) && !may("eve", SUPERUSER));
        // A role that is gone belongs to nobody.
        assert!(!may("eve", "gone") && may("ops", "gone"));
        let error = Signal::Cancel.permit(&catalog, "ops", SUPERUSER).unwrap_err();
        assert_eq!((error.state.0, &*error.message), ("42501", "must be a superuser to cancel superuser query"));
    }
}
