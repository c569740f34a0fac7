//! The Plimsoll server: the composition of wire, sessions, SQL, storage and placement. DataFusion lives only here.
//!
//! Read in this order:
//!
//! 1. [`cli`] parses, [`config`] resolves, [`node`] opens, recovers, serves and drains.
//! 2. [`wire`]: bytes <-> messages: connections, result encoding, COPY framing.
//! 3. [`session`]: one per connection: settings, prepared statements, the transaction, dispatch of statements.
//! 4. [`query`]: the life of a query: parse, plan, scan, batches.
//! 5. [`ddl`], [`dml`], [`ingest`]: the life of a commit: rows -> segments -> one command of the placement log.
//! 6. [`catalog`]: what exists, read from a placement snapshot; pg_catalog; system views.
//! 7. [`maintenance`]: compaction, folding of inlined rows, and giving space back.
//! 8. [`access`]: roles, passwords, TLS, privileges: who may come in and what they may do.
//! 9. [`engine`]: what all sessions share. [`locking`]: SELECT ... FOR UPDATE. [`copy`]: COPY data <-> columns. [`types`]: SQL types, their Arrow forms and their text. [`error`]: kinds -> SQLSTATE.
//!    [`agent`]: this node, as placement sees it. [`check`], [`tpch`], [`simulate`]: the binary's other commands.

pub mod access;
pub mod agent;
pub mod catalog;
pub mod check;
pub mod cli;
pub mod config;
pub mod copy;
pub mod ddl;
pub mod dml;
pub mod engine;
pub mod error;
pub mod foreign_keys;
pub mod functions;
pub mod ingest;
pub mod locking;
pub mod maintenance;
pub mod node;
pub mod query;
pub mod session;
pub mod simulate;
pub mod tpch;
pub mod types;
pub mod view;
pub mod wire;
