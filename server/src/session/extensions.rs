//! CREATE EXTENSION: those whose functions are here are here already; there are no others.

use super::grammar::extension::CreateExtension;
use super::{Notice, Outcome, Session};
use crate::catalog::pg_catalog::extensions;
use crate::error::{Result, SqlError, SqlState};

/// Accepts an extension that is part of the server; a script that creates it, as it would in PostgreSQL, goes on.
pub(super) fn create(session: &mut Session, create: &CreateExtension) -> Result<Outcome> {
    let CreateExtension { name, if_not_exists } = create;
    let Some(from_the_start) = is_from_the_start(name) else {
        let message = format!("extension \"{name}\" is not available");
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
            .with_hint("The extension must first be installed on the system where PostgreSQL is running."));
    };
    if from_the_start && !if_not_exists {
        return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, format!("extension \"{name}\" already exists")));
    }
    if from_the_start || *if_not_exists {
        let error = SqlError::new(SqlState::DUPLICATE_OBJECT, format!("extension \"{name}\" already exists, skipping"));
        session.notify(Notice { severity: "NOTICE", error });
    }
    Ok(Outcome::Done("CREATE EXTENSION".into()))
}

/// Whether an extension that is here is here in every database from the start; dumps name the server's own too.
fn is_from_the_start(name: &str) -> Option<bool> {
    match extensions::find(name) {
        Some(known) => Some(known.from_the_start),
        None => (name == extensions::OWN_NAME).then_some(true),
    }
}
