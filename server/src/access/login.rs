//! Who may come in: the rules, the role, its password, and the limits, in the order and with the words of PostgreSQL.

use super::acl;
use super::rights::{Rights, memberships};
use super::role::{RoleDefinition, SUPERUSER};
use super::rules::{Candidate, Method, Rules};
use super::scram::Verifier;
use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::{Result, SqlError, SqlState};
use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The only database.
pub const DATABASE: &str = "plimsoll";

/// The database that tools connect to first, to see which others there are. It is another name for [`DATABASE`].
pub const MAINTENANCE_DATABASE: &str = "postgres";

/// What a client must show.
#[derive(Debug)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// Nothing, if it belongs to the server's own user on this machine; otherwise this.
    OwnUser(Box<Demand>),
    /// The password of this verifier; `may_pass` is false where even the right one lets nobody in.
    Password {
        /// What the proof is compared with.
        verifier: Verifier,
        /// Whether the role can come in by a password at all.
        may_pass: bool,
    },
}

/// Decides who may come in; the wire asks it.
pub trait Doorkeeper: Send + Sync + 'static {
    /// What this client must show; 28000 if nothing would do.
    fn demand(&self, candidate: &Candidate<'_>) -> Result<Demand>;
    /// After it has shown it: that the role and the database exist and let it in.
    fn admit(&self, candidate: &Candidate<'_>) -> Result<()>;
}

/// The doorkeeper of an engine.
pub struct Door {
    engine: Arc<Engine>,
    rules: ArcSwap<Rules>,
    /// What the salts of roles that do not exist are made with: the same after a restart.
    mock_secret: [u8; 32],
    /// The superuser's verifier at the start, if the password stands in the data folder: whoever can read it there need not type it.
    written_down: Option<String>,
}

impl Door {
    /// A door with these rules; `in_file`: the superuser's password stands in the data folder.
    pub fn new(engine: Arc<Engine>, rules: Rules, in_file: bool) -> Result<Arc<Self>> {
        let state = engine.placement.state();
        let catalog = engine.catalog(&state)?;
        let verifier = catalog.roles.get(SUPERUSER).and_then(|entry| entry.definition.verifier.clone());
        let written_down = verifier.clone().filter(|_| in_file);
        let seed = verifier.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let mock_secret = Sha256::new().chain_update(b"mock").chain_update(seed).finalize().into();
        Ok(Arc::new(Self { engine, rules: ArcSwap::from_pointee(rules), mock_secret, written_down }))
    }

    /// Replaces the rules; sessions that are in stay in.
    pub fn set_rules(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    fn password(&self, candidate: &Candidate<'_>, role: Option<&RoleDefinition>) -> Demand {
        let known = role.and_then(|role| role.verifier.as_deref()).and_then(Verifier::parse);
        let may_pass = known.is_some() && role.is_some_and(|role| !is_expired(role));
        let verifier = known.unwrap_or_else(|| Verifier::mock(&self.mock_secret, candidate.user));
        Demand::Password { verifier, may_pass }
    }

    fn catalog(&self) -> Result<Arc<Catalog>> {
        self.engine.catalog(&self.engine.placement.state())
    }
}

impl Doorkeeper for Door {
    fn demand(&self, candidate: &Candidate<'_>) -> Result<Demand> {
        let catalog = self.catalog()?;
        let role = catalog.roles.get(candidate.user).map(|entry| &*entry.definition);
        match self.rules.load().method(candidate, |name| is_member(&catalog, role, name)) {
            None => Err(refused("no pg_hba.conf entry for", candidate)),
            Some(Method::Reject) => Err(refused("pg_hba.conf rejects connection for", candidate)),
            Some(Method::Trust) => Ok(Demand::Nothing),
            Some(Method::Scram) => Ok(self.password(candidate, role)),
            Some(Method::Peer) if role.is_some_and(|role| role.verifier.is_some() && role.verifier == self.written_down) => {
                Ok(Demand::OwnUser(Box::new(self.password(candidate, role))))
            }
            Some(Method::Peer) => Ok(self.password(candidate, role)),
        }
    }

    fn admit(&self, candidate: &Candidate<'_>) -> Result<()> {
        let catalog = self.catalog()?;
        let (user, database) = (candidate.user, candidate.database);
        let invalid = |message: String| SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message);
        let role = catalog.roles.get(user).ok_or_else(|| invalid(format!("role \"{user}\" does not exist")))?;
        if !role.definition.login {
            return Err(invalid(format!("role \"{user}\" is not permitted to log in")));
        }
        if database != DATABASE {
            return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{database}\" does not exist")));
        }
        if !Rights::of(&catalog, user).has(acl::Kind::Database, acl::DATABASE_OID, acl::CONNECT) {
            let message = format!("permission denied for database \"{database}\"");
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message).with_detail("User does not have CONNECT privilege."));
        }
        let limit = usize::try_from(role.definition.connection_limit).ok().filter(|_| !role.definition.superuser);
        let present = || self.engine.activity.list().iter().filter(|session| session.identity.user == user).count();
        match limit {
            Some(limit) if present() >= limit => {
                Err(SqlError::new(SqlState::TOO_MANY_CONNECTIONS, format!("too many connections for role \"{user}\"")))
            }
            _ => Ok(()),
        }
    }
}

fn is_member(catalog: &Catalog, role: Option<&RoleDefinition>, name: &str) -> bool {
    let other = catalog.roles.get(name).map(|entry| entry.definition.oid);
    role.zip(other).is_some_and(|(role, other)| memberships(catalog, role.oid, false).contains(&other))
}

fn is_expired(role: &RoleDefinition) -> bool {
    role.valid_until_us.is_some_and(|until| until < chrono::Utc::now().timestamp_micros())
}

fn refused(what: &str, candidate: &Candidate<'_>) -> SqlError {
    let encryption = if candidate.encrypted { "SSL encryption" } else { "no encryption" };
    let host = candidate.client.ip().to_canonical();
    let message = format!("{what} host \"{host}\", user \"{}\", database \"{}\", {encryption}", candidate.user, candidate.database);
    SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
}

/// What a wrong password, and a user that does not exist, are told.
pub fn wrong_password(user: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
}
