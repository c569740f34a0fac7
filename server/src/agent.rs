//! This node's side of placement: what it tells the log of itself, and what it says when it is asked.
//!
//! 1. At its start it registers: what it can carry, in an epoch one later than the last. Segments of which the log knows no copy here (the
//!    data folder is older than the log's knowledge of nodes) are taken stock of.
//! 2. A commit says where its segments' files are: here, and served ([`placing`]).
//! 3. [`Look`] is what a plan would see at this moment: the decided state, and beside it this node's pressure and offer, measured anew.
//!
//! This version has one node. What it decides about others is complete (docs/placement.md); what fetches files and joins nodes is not built.

mod measured;

use crate::error::{Result, SqlError};
use placement::admission::{AdmissionPolicy, Reservations, Standing};
use placement::cluster::{Cluster, Decision, Domain, Epoch, Event, NodeId, NodeSpec, Resources};
use placement::explain::Question;
use placement::offers::{Offers, Window, WindowPolicy};
use placement::policy::Policy;
use placement::{Command, Decisions, Node, Outcome, Placing, State};
use std::path::Path;
use std::time::SystemTime;

/// The one node that there is.
pub const HERE: NodeId = NodeId(1);

/// Decisions in one command, at most: some megabytes.
const DECISIONS_MAX: usize = 20_000;

/// Registers this node with the log, and takes stock of its segments.
pub async fn register(log: &Node, memory_limit_bytes: u64, data_dir: &Path) -> Result<()> {
    let (capacity, state) = (capacity(memory_limit_bytes, data_dir)?, log.state());
    let decisions = std::iter::once(Decision::NodeRegistered(spec(&state, capacity))).chain(stock(&state)).collect::<Vec<_>>();
    for part in decisions.chunks(DECISIONS_MAX) {
        let decided = log.propose(Command::Decide(Decisions { now_ms: now_ms(), decisions: part.to_vec() })).await?;
        if !matches!(decided, Outcome::Committed(_)) {
            return Err(SqlError::internal(format!("the node could not be registered: {decided:?}")));
        }
    }
    Ok(())
}

fn spec(state: &State, capacity: Resources) -> NodeSpec {
    let last = state.cluster.node_ix(HERE).map(|at| state.cluster.node(at).spec.epoch);
    let epoch = Epoch(last.map_or(1, |last| last.0 + 1));
    NodeSpec { id: HERE, capacity, domain: Domain { zone: 0, rack: 0 }, epoch }
}

/// A copy here of every segment of which the log knows none: its file is in this data folder, for there is no other.
fn stock(state: &State) -> impl Iterator<Item = Decision> + '_ {
    let unplaced = state.cluster.segments().filter(|(_, it)| it.replicas.is_empty());
    unplaced.map(|(_, it)| Decision::CopyAdded { segment: it.id, node: HERE, serving: true })
}

/// Memory: the limit that queries have. Disk: what the file system has. Processors: as many as this process may use.
fn capacity(memory_limit_bytes: u64, data_dir: &Path) -> Result<Resources> {
    let disk_bytes = measured::disk_bytes(data_dir)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Resources::new(memory_limit_bytes, disk_bytes, cores as u64 * 1_000_000))
}

/// What a commit says of its segments: their files are durable here.
pub fn placing() -> Placing {
    Placing { nodes: vec![HERE], ..Placing::default() }
}

/// The clock of decisions: milliseconds since 1970.
fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// What a plan would see now.
#[derive(Debug)]
pub struct Look {
    cluster: Cluster,
    offers: Offers,
    policy: Policy,
    now_ms: u64,
}

impl Look {
    /// The state's decisions, and this node as it is at the moment.
    pub fn at(state: &State) -> Self {
        let now_ms = now_ms();
        let mut look = Self { cluster: Cluster::clone(&state.cluster), offers: Offers::default(), policy: Policy::default(), now_ms };
        if let Some(standing) = look.standing() {
            let held = Reservations::default();
            let policy = WindowPolicy::default();
            let window = Window::default().step(&standing, &policy, now_ms);
            look.offers.take(window.offer(&standing, &held, &AdmissionPolicy::default(), &policy, now_ms));
            let pressed = look.cluster.apply(&Event::Pressed { node: HERE, level: standing.level }, now_ms);
            debug_assert_eq!(pressed, Ok(()), "the node is registered");
        }
        look
    }

    fn standing(&self) -> Option<Standing> {
        let node = self.cluster.node(self.cluster.node_ix(HERE)?);
        let level = measured::level(node.spec.capacity.0[0], self.now_ms);
        Some(Standing { node: HERE, epoch: node.spec.epoch, capacity: node.spec.capacity, used: node.adjusted, level, p99_to_target: 0.0 })
    }

    /// To be asked of [`placement::explain`].
    pub fn question(&self) -> Question<'_> {
        Question { state: &self.cluster, offers: &self.offers, policy: &self.policy, now_ms: self.now_ms }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use placement::explain;

    fn node(id: NodeId, capacity: Resources) -> Decision {
        Decision::NodeRegistered(NodeSpec { id, capacity, domain: Domain { zone: 0, rack: 0 }, epoch: Epoch(4) })
    }

    #[test]
    fn each_start_is_an_epoch_of_its_own() {
        let mut state = State::default();
        let capacity = Resources::new(1 << 30, 1 << 40, 2_000_000);
        assert_eq!(spec(&state, capacity).epoch, Epoch(1));
        state.apply_next(&Command::Decide(Decisions { now_ms: 1, decisions: vec![node(HERE, capacity)] }));
        assert_eq!(spec(&state, capacity).epoch, Epoch(5));
    }

    #[test]
    fn a_look_has_the_nodes_offer_and_leaves_the_state_as_it_is() {
        let mut state = State::default();
        let capacity = Resources::new(64 << 30, 1 << 40, 2_000_000);
        state.apply_next(&Command::Decide(Decisions { now_ms: 1, decisions: vec![node(HERE, capacity)] }));
        let before = state.clone();
        let look = Look::at(&state);
        let carries = explain::nodes(&look.question());
        assert_eq!((carries.len(), carries[0].node, carries[0].capacity), (1, HERE, capacity));
        assert!(carries[0].offered_bytes.is_some());
        assert_eq!(state, before);
    }

    #[tokio::test]
    async fn a_node_takes_stock_of_segments_that_nobody_has() {
        let folder = tempfile::tempdir().unwrap();
        let log = Node::open(placement::NodeOptions::new(folder.path())).await.unwrap();
        let Outcome::Leased(first) = log.propose(Command::LeaseIds { count: 3 }).await.unwrap() else { unreachable!() };
        let segment = |id| placement::NewSegment {
            id: placement::UnitId(id),
            rows: 1,
            disk_bytes: 10,
            summary: Vec::new(),
            placing: Placing::default(),
        };
        let mut change = placement::TableChange::new(placement::TableId(1));
        change.add_segments = (first..first + 3).map(segment).collect();
        let commit = placement::Commit { tables: vec![change], ..placement::Commit::default() };
        assert!(matches!(log.propose(Command::Commit(commit)).await.unwrap(), Outcome::Committed(_)));
        for _ in 0..2 {
            register(&log, 1 << 30, folder.path()).await.unwrap();
        }
        let cluster = &log.state().cluster;
        let here = cluster.node(cluster.node_ix(HERE).unwrap());
        assert_eq!((here.segments.len(), here.spec.epoch, here.projected.0[1]), (3, Epoch(2), 30));
        log.shutdown().await.unwrap();
    }
}
