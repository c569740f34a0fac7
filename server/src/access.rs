//! Who may come in, and what they may do.
//!
//! 1. [`rules`] say by which method a client of an address, a user and a database proves who it is; [`scram`] is the proof, [`peer`] what the
//!    kernel knows; [`login`] puts them together and answers as PostgreSQL does. [`tls`] holds the certificate, to which [`channel_binding`] ties the proof.
//! 2. [`role`] and [`acl`] are what the log keeps: roles, and the owner and the grants of each object that has other than the default ones.
//! 3. [`rights`] decides, purely: what a role may do with an object. Every check of a statement ends there.
//! 4. [`statements`] changes roles, `grants` and `owned` who may what, [`defaults`] who may what with what will be made; [`bootstrap`] makes
//!    the first superuser.
//!
//! Architecture invariant: a statement can name a relation only through [`crate::catalog::provider`] (reads), `dml::target` and COPY's target
//! (writes) and the changes of `ddl` (definitions); each asks [`rights`]. There is no other way to one.

pub mod acl;
pub mod bootstrap;
pub mod channel_binding;
pub mod defaults;
mod grants;
pub mod login;
pub(crate) mod owned;
pub mod peer;
pub mod rights;
pub mod role;
pub mod rules;
pub mod scram;
pub mod statements;
pub mod tls;
