//! Storage from the outside: segments written, read, scanned, damaged, crashed, compacted.
#![allow(clippy::unwrap_used, missing_docs)]

mod compact;
mod crash;
mod damage;
mod sample;
mod scanning;
mod sweeping;
mod types;
