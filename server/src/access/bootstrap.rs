//! The first start: the superuser gets a password, and whoever started the server is told it, once.

use super::role::{RoleDefinition, SUPERUSER};
use super::scram;
use crate::catalog::keys;
use crate::engine::Engine;
use crate::engine::io_error;
use crate::error::{Result, SqlError};
use placement::{Command, Commit, Expect, ObjectChange, Outcome};
use rand::Rng;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The password of the superuser, in the form of a `.pgpass` file; only the owner of the data folder can read it.
pub const PASSWORD_FILE: &str = "superuser.pgpass";
/// Letters of a generated password: none that a URL or a shell reads otherwise.
const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// So many of them hold over 128 bits.
const LETTERS_COUNT: usize = 24;

/// How to connect as the superuser.
#[derive(Debug, PartialEq, Eq)]
pub enum Credentials {
    /// First start: with this password, which was generated just now.
    Generated(String),
    /// First start: with the password that the environment gave.
    Given,
    /// A later start: the password that was generated then stands in this file.
    InFile(PathBuf),
    /// A later start: whoever set the password knows it.
    Known,
}

/// Gives the superuser a password if it has never had one.
pub async fn superuser(engine: &Engine, given: Option<String>) -> Result<Credentials> {
    let file = engine.config.data_dir.join(PASSWORD_FILE);
    let exists = engine.placement.state().objects.get(&keys::role(SUPERUSER)).is_some();
    if exists {
        return Ok(if is_current(engine, &file)? { Credentials::InFile(file) } else { Credentials::Known });
    }
    let given = given.filter(|password| !password.is_empty());
    let password = given.clone().unwrap_or_else(generated);
    if given.is_none() {
        write_secret(&file, &format!("*:*:*:{SUPERUSER}:{password}\n"))?;
    }
    let role = RoleDefinition { verifier: Some(scram::verifier_of(&password)), ..RoleDefinition::first_superuser() };
    let object = ObjectChange { key: keys::role(SUPERUSER), expect: Expect::Absent, value: Some(keys::encode(&role)) };
    let read_index = engine.placement.state().index;
    let commit = Commit { read_index, objects: vec![object], ..Commit::default() };
    match engine.placement.propose(Command::Commit(commit)).await? {
        Outcome::Committed(_) if given.is_some() => Ok(Credentials::Given),
        Outcome::Committed(_) => Ok(Credentials::Generated(password)),
        other => Err(SqlError::internal(format!("the superuser could not be made: {other:?}"))),
    }
}

impl Credentials {
    /// Whether the superuser's password stands in the file.
    pub fn are_in_file(&self) -> bool {
        matches!(self, Self::Generated(_) | Self::InFile(_))
    }
}

/// Whether the password in the file is still the superuser's.
fn is_current(engine: &Engine, file: &Path) -> Result<bool> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(false) };
    let password = text.trim_end().rsplit(':').next().unwrap_or_default();
    let catalog = engine.catalog(&engine.placement.state())?;
    let verifier = catalog.roles.get(SUPERUSER).and_then(|entry| entry.definition.verifier.as_deref()).and_then(scram::Verifier::parse);
    Ok(verifier.is_some_and(|verifier| verifier.fits(password)))
}

fn generated() -> String {
    let mut random = rand::rng();
    (0..LETTERS_COUNT).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

/// Written before the role is: a crash between leaves a file that the next first start replaces.
fn write_secret(file: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| io_error("write", file, &error);
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all()).map_err(failed)
}
