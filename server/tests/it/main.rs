//! Integration tests: the real binary, as a real process, reached by real clients.
#![allow(clippy::unwrap_used, missing_docs)]

mod access;
mod any_bytes;
mod cancel;
mod clients;
mod dependencies;
mod disk_full;
mod error_fields;
mod kill;
mod lifecycle;
mod login;
mod many_segments;
mod many_sessions;
mod memory;
mod pg_dump;
mod placement;
mod psql;
mod raw_client;
mod row_locks;
mod server_process;
mod sessions;
mod slow_reader;
mod snapshots;
mod source_folder;
mod suites;
