//! The placement service from outside: one test binary.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod commands;
mod crash;
mod decided;
mod decisions;
mod explanations;
mod full_disk;
mod guards;
mod inspect;
mod medium;
mod model;
mod node;
mod plans;
mod quiet;
