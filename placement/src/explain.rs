//! `EXPLAIN PLACEMENT`: why a segment is where it is, why it is not elsewhere, and what the cluster is short of.
//!
//! [`segment`](fn@segment) and [`table`](fn@table) say of each node what rules it out or what it would cost; [`nodes`](fn@nodes) says what
//! each node carries; [`cluster`](fn@cluster) says which resource binds, how good the placement is beside what could be, what the next round would do, and what no round can;
//! [`inert_settings`] names what could be left out of the policy. All of it is computed as a plan is, and changes nothing.

mod cluster;
mod inert;
mod nodes;
mod segment;
mod text;

pub use cluster::{ClusterExplained, Finding, Shortage, cluster};
pub use inert::inert_settings;
pub use nodes::{NodeCarries, nodes};
pub use segment::{NodeExplained, SegmentExplained, TableExplained, TableNode, Verdict, segment, table};

use crate::cluster::Cluster;
use crate::offers::Offers;
use crate::policy::Policy;

/// What is explained: the arguments of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// See [`crate::balancer::plan`].
    pub state: &'a Cluster,
    /// See [`crate::balancer::plan`].
    pub offers: &'a Offers,
    /// See [`crate::balancer::plan`].
    pub policy: &'a Policy,
    /// See [`crate::balancer::plan`].
    pub now_ms: u64,
}
