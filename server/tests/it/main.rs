//! Integration tests: the real binary, as a real process, reached by real clients.
#![allow(clippy::unwrap_used, missing_docs)]

mod clients;
mod dependencies;
mod disk_full;
mod kill;
mod lifecycle;
mod memory;
mod psql;
mod server_process;
mod snapshots;
mod suites;
