//! The placement service: which node carries which segment, and the log in which every commit is one command.
//!
//! Read in this order:
//!
//! 1. [`model`]: ids, tables, units, objects; units of measure in names.
//! 2. [`command`]: what can be asked of the log, and what it answers.
//! 3. [`state`]: `apply(command)`: deterministic, synchronous, total.
//!    The rules of a commit are in `apply.rs`, those of decisions about nodes and copies in `decide.rs`, the memory of inserted keys in
//!    [`recent_keys`], the serialized form in `codec.rs`.
//! 4. [`raft`]: the openraft adapter: log store on redb, state machine, transport, and [`raft::Node`], which the server holds.
//!
//! And for where segments are to be, in this order:
//!
//! 5. [`cluster`]: nodes, segments, copies, moves, refusals, and the events that change them.
//! 6. [`policy`]: every threshold. The node's side: [`pressure`], [`offers`], [`admission`], [`footprints`]. The leader's: [`leader`]. What is
//!    balanced: [`load`], [`potential`].
//! 7. [`balancer`]: `plan(state, offers, policy)`. [`checker`]: the invariants of states and plans. [`explain`]: why.
//! 8. [`simulate`]: scenarios, played with this planner and with the balancers of others. docs/incidents.md tells the stories.
//!
//! Architecture invariant: above `raft/` there is no file, socket, clock, thread or randomness; they are passed in.
//! Architecture invariant: this crate knows nothing of SQL. Catalog objects are opaque bytes with a version.

pub mod admission;
mod apply;
pub mod balancer;
pub mod checker;
pub mod cluster;
mod codec;
pub mod command;
mod decide;
pub mod explain;
pub mod footprints;
pub mod leader;
pub mod load;
pub mod model;
pub mod offers;
pub mod policy;
pub mod potential;
pub mod pressure;
pub mod raft;
pub mod recent_keys;
pub mod simulate;
pub mod state;

pub use command::{
    Assertion, Command, Commit, Conflict, Decisions, Expect, InlineRows, KeyFingerprints, NewSegment, ObjectChange, Outcome, Placing,
    RowsDeleted, TableChange, Unextended, UnitRemoval,
};
pub use model::{LogIndex, Object, ObjectKey, Table, TableId, Unit, UnitId, UnitSource};
pub use raft::{Node, NodeOptions, PlacementError};
pub use recent_keys::RecentKeys;
pub use state::State;
