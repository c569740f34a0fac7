//! The first messages of a connection: encryption within encryption is declined, a request to cancel is carried out, a session is announced.

use super::frame::{Input, Startup};
use super::message::Output;
use super::stop::Failure;
use crate::access::login::{DATABASE, MAINTENANCE_DATABASE};
use crate::access::rules::Candidate;
use crate::access::tls::Encryption;
use crate::engine::cancel::Cancels;
use crate::error::{Result, SqlError, SqlState};
use crate::session::{Identity, Notice};
use bytes::BufMut;
use std::net::SocketAddr;

/// Requests for encryption that are answered before a client must start; there are two kinds.
const ENCRYPTION_REQUESTS_MAX: usize = 4;

/// What a client asks to be.
pub(super) struct Request {
    pub(super) user: String,
    pub(super) database: String,
    /// It asked for the database that tools connect to first.
    pub(super) by_other_name: bool,
    /// The other options, which are settings.
    pub(super) settings: Vec<(String, String)>,
}

/// Reads up to the start of a session; `None` if the connection was for something else.
pub(super) async fn negotiate(input: &mut Input, output: &mut Output, cancels: &Cancels) -> Result<Option<Request>, Failure> {
    for _ in 0..ENCRYPTION_REQUESTS_MAX {
        match input.startup().await.map_err(Failure::Fatal)? {
            None => return Ok(None),
            Some(Startup::Encryption) => {
                output.byte(b'N');
                output.flush().await?;
            }
            Some(Startup::Cancel { process_id, secret }) => {
                cancels.cancel(process_id, secret);
                return Ok(None);
            }
            Some(Startup::Start { minor, options }) => return request(minor, options, output).map(Some).map_err(Failure::Fatal),
        }
    }
    Err(Failure::Fatal(super::stop::violation("too many requests for encryption")))
}

fn request(minor: u16, options: Vec<(String, String)>, output: &mut Output) -> Result<Request> {
    let (extensions, options): (Vec<_>, Vec<_>) = options.into_iter().partition(|(name, _)| name.starts_with("_pq_."));
    if minor > 0 || !extensions.is_empty() {
        output.message(b'v', |body| {
            body.put_i32(3 << 16);
            body.put_i32(extensions.len() as i32);
            for (name, _) in &extensions {
                body.put_slice(name.as_bytes());
                body.put_u8(0);
            }
        });
    }
    let value =
        |wanted: &str| options.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()).filter(|value| !value.is_empty());
    let user = value("user").ok_or_else(|| {
        SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "no PostgreSQL user name specified in startup packet")
    })?;
    let database = value("database").unwrap_or_else(|| user.clone());
    let by_other_name = database == MAINTENANCE_DATABASE;
    let database = if by_other_name { DATABASE.to_string() } else { database };
    if value("replication").is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0")) {
        return Err(SqlError::unsupported("replication"));
    }
    let settings = options.into_iter().filter(|(name, _)| !matches!(name.as_str(), "user" | "database" | "replication")).collect();
    Ok(Request { user, database, by_other_name, settings })
}

impl Request {
    /// What whoever asked for another name of the database is told.
    pub(super) fn notice(&self) -> Option<Notice> {
        let message = format!("there is one database, \"{DATABASE}\": \"{MAINTENANCE_DATABASE}\" is another name for it");
        self.by_other_name.then(|| Notice { severity: "NOTICE", error: SqlError::new(SqlState("00000"), message) })
    }
}

/// Who asks to come in.
pub(super) fn candidate(request: &Request, (client, server): (SocketAddr, SocketAddr), encrypted: bool) -> Candidate<'_> {
    Candidate { user: &request.user, database: &request.database, client, server, encrypted }
}

/// Who the session belongs to.
pub(super) fn identity(request: &Request, process_id: i32, client: SocketAddr, encryption: Option<Encryption>) -> Identity {
    Identity { user: request.user.clone(), database: request.database.clone(), process_id, client_address: Some(client), encryption }
}
