//! The SQL suites (`suites/`), and the runner that sends them to a real server over the wire.
//!
//! # The life of a suite
//!
//! 1. [`suite`] finds the `.slt` files and gives each a schema of its own, named after the file, so that files never disturb each other.
//! 2. Each `connection NAME` of a file is a [`session`]: one wire connection whose `search_path` is that schema.
//! 3. A record's SQL goes out by the simple query protocol, so each value comes back as the text that psql would show; [`value`] makes
//!    that text fit on a line, [`mod@column`] says what a column's type letter accepts, and [`copy`] carries COPY's data both ways.
//! 4. A record that says `restart` goes to the [`server`] instead: whoever runs the suite kills the process and starts it again.
//! 5. All outcomes end in a [`report`]. [`complete`] writes a server's answers into a file instead of checking them.
//!
//! Architecture invariant: this crate knows no crate of the workspace. It speaks the wire only, so the same file runs on any server that
//! speaks it. That is how the expected results were obtained: from another one.

pub mod column;
pub mod complete;
pub mod copy;
pub mod report;
pub mod server;
pub mod session;
pub mod suite;
pub mod value;

pub use complete::complete_file;
pub use report::{FileReport, Report};
pub use server::{BoxError, Server};
pub use suite::{SuiteError, find_files, run_files, run_suite};
