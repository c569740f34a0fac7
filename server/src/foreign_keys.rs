//! FOREIGN KEY as it is enforced: always for sets of keys, never row by row.
//!
//! 1. Rows that come ([`crate::ingest::Inserter`]) leave their distinct references ([`new_keys`]); rows that go, or change a key, leave the keys
//!    that they had ([`old_keys`]). A statement ends with the [`queue`] of what follows from both, in PostgreSQL's order.
//! 2. A reference is looked for among the keys of the referenced table, an old key among the references of the referring one ([`checking`]). A
//!    look-up ([`lookup`]) reads the columns of a key only, and no unit whose statistics exclude what is looked for.
//! 3. CASCADE, SET NULL and SET DEFAULT ([`actions`]) change the referring rows as UPDATE and DELETE do, and what follows from that is queued.
//! 4. What is deferred is kept with the transaction ([`pending`]) until COMMIT or SET CONSTRAINTS.
//! 5. ALTER TABLE looks at all rows ([`whole`]).
//!
//! Two sessions: before a reference is looked for its key is locked, shared; before what refers to an old key is looked for that key is
//! locked, exclusively; both until the transaction has ended. The look-up is made in the newest state: so of two that meet, the second sees what
//! the first has done. Somebody who makes or drops a foreign key changes the definitions of both tables, which all who write them rely on.
//!
//! Keys are compared by two independent 64-bit hashes of a form that both sides share ([`types`], [`side`]), one of them keyed at random.

pub mod actions;
pub mod checking;
pub mod key_set;
pub mod link;
pub mod lookup;
pub mod new_keys;
pub mod old_keys;
pub mod pending;
pub mod queue;
pub mod side;
pub mod types;
pub mod whole;
