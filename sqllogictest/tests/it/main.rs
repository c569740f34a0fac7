//! The runner against a server that answers what the test scripted.

#![allow(clippy::unwrap_used)]

mod runs;
mod scripted_server;
