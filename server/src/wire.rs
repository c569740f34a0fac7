//! The PostgreSQL protocol: bytes <-> messages. Knows sessions, not SQL.
//!
//! 1. [`listener`] accepts connections, up to a number, and drains them when the server stops.
//! 2. `security` encrypts where it is asked for; `startup` reads what comes first: a request to cancel, or to start a session; `authenticate`
//!    has the client prove who it is.
//! 3. `connection` reads messages until the client leaves: simple queries there, the extended protocol in `extended`, COPY in `copying`.
//! 4. `frame` reads what clients send, with bounds and without panics; `message` and `encode` write what they get: rows go column-wise into
//!    frames, many to a write.
//!
//! A statement ends early when it is cancelled, when its client is gone, when the server stops, or when it panics; the first and the last end
//! only the statement.

pub mod backend;
pub mod listener;

mod authenticate;
mod connection;
mod copying;
mod encode;
mod extended;
mod frame;
mod message;
mod security;
mod startup;
mod stop;
