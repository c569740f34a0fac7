//! Who a session is: the role that came in, SET SESSION AUTHORIZATION, SET ROLE.
//!
//! Both are settings, as in PostgreSQL: a rollback undoes them, SET LOCAL ends with the block.

use super::settings::Settings;
use super::{Identity, Outcome, Session};
use crate::access::rights::Rights;
use crate::engine::Engine;
use crate::error::{Result, SqlError, SqlState};

/// The setting of SET ROLE.
const ROLE: &str = "role";
/// The setting of SET SESSION AUTHORIZATION.
const AUTHORIZATION: &str = "session_authorization";

/// `current_user`.
pub(super) fn current(settings: &Settings) -> &str {
    match settings.get(ROLE) {
        "" | "none" => settings.get(AUTHORIZATION),
        role => role,
    }
}

/// A role comes in: its own settings hold, where the client asks for nothing else.
pub(super) fn enter(engine: &Engine, identity: &Identity, settings: &mut Settings, asked: &[(String, String)]) -> Result<()> {
    let catalog = engine.catalog(&engine.placement.state())?;
    let role = catalog.roles.get(&identity.user).map(|entry| &*entry.definition);
    for (name, values) in role.iter().flat_map(|role| &role.settings) {
        if !asked.iter().any(|(asked, _)| asked.eq_ignore_ascii_case(name))
            && let Err(error) = settings.set_default(name, values)
        {
            tracing::warn!(setting = %name, %error, "a setting of a role is not valid any more");
        }
    }
    settings.set_own("is_superuser", Some(on_or_off(role.is_some_and(|role| role.superuser))), false);
    Ok(())
}

fn on_or_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_string()
}

/// SET ROLE.
pub(super) fn set_role(session: &mut Session, local: bool, role: Option<&str>) -> Result<Outcome> {
    if let Some(name) = role.filter(|name| !name.eq_ignore_ascii_case("none")) {
        let catalog = super::dispatch::read_context(session)?.view.catalog;
        let oid = catalog.roles.get(name).map(|entry| entry.definition.oid).ok_or_else(|| missing(name))?;
        if !Rights::of(&catalog, session.settings.get(AUTHORIZATION)).may_become(oid) {
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to set role \"{name}\"")));
        }
        session.settings.set_own(ROLE, Some(name.to_string()), local);
    } else {
        session.settings.set_own(ROLE, None, local);
    }
    superuser_changed(session, local)?;
    Ok(Outcome::Done(if role.is_some() { "SET" } else { "RESET" }.into()))
}

/// SET SESSION AUTHORIZATION.
pub(super) fn set_authorization(session: &mut Session, local: bool, role: Option<&str>) -> Result<Outcome> {
    if let Some(name) = role {
        let catalog = super::dispatch::read_context(session)?.view.catalog;
        let role = catalog.roles.get(name).ok_or_else(|| missing(name))?;
        let own = &session.identity.user;
        let same = catalog.roles.get(own).is_some_and(|own| own.definition.oid == role.definition.oid);
        if !same && !Rights::of(&catalog, own).is_superuser() {
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to set session authorization"));
        }
    }
    session.settings.set_own(AUTHORIZATION, role.map(String::from), local);
    session.settings.set_own(ROLE, None, local);
    superuser_changed(session, local)?;
    Ok(Outcome::Done(if role.is_some() { "SET" } else { "RESET" }.into()))
}

fn missing(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("role \"{name}\" does not exist"))
}

fn superuser_changed(session: &mut Session, local: bool) -> Result<()> {
    let catalog = super::dispatch::read_context(session)?.view.catalog;
    let superuser = Rights::of(&catalog, current(&session.settings)).is_superuser();
    session.settings.set_own("is_superuser", Some(on_or_off(superuser)), local);
    Ok(())
}
