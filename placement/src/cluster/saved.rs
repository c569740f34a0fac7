//! The serialized form of what was decided: a magic number, a version, and msgpack without names of fields, since there may be millions of
//! segments: some 60 bytes for one with two copies.
//!
//! What was measured (pressure, reports) is not in it: whoever reads it measures again. What is derived is computed, but for the order of
//! the nodes' lists, which is kept: the same plan is made before and after.

use super::attention::Heat;
use super::ledger::Sharers;
use super::resources::FOOTPRINT_TOO_LARGE;
use super::segment::{DEPARTURES_MAX, REPLICAS_MAX};
use super::{
    Cluster, Departures, Generation, Lifecycle, Move, NODE_COPIES_MAX, Node, NodeId, NodeIx, NodeSpec, Refusal, Replica, ReplicaState,
    Replicas, Segment, SegmentIx, SegmentSpec,
};
use crate::checker::check_state;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The first bytes.
const MAGIC: &[u8; 8] = b"PLIMPLAC";
/// The version that is written. The one before it did not know that nodes that are down may be to be drained.
const VERSION: u32 = 3;
/// The oldest that is read.
const VERSION_MIN: u32 = 2;

#[derive(PartialEq, Serialize, Deserialize)]
struct SavedCluster {
    nodes: Vec<SavedNode>,
    segments: Vec<SavedSegment>,
    moves: Vec<Move>,
    last_generation: Option<Generation>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct SavedNode {
    spec: NodeSpec,
    lifecycle: Lifecycle,
    lifecycle_since_ms: u64,
    last_departure_ms: Option<u64>,
    refusals: Vec<Refusal>,
    #[serde(default)]
    drains: bool,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct SavedSegment {
    spec: SegmentSpec,
    /// Node, state, position in the node's list.
    copies: Vec<(NodeId, ReplicaState, u32)>,
    /// Node and second, latest first.
    departures: Vec<(NodeId, u32)>,
}

/// The same decisions were taken: what was measured does not count, nor in which slots of the arenas things lie. Costs a look at everything.
impl PartialEq for Cluster {
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

impl Cluster {
    /// Serializes what was decided.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        rmp_serde::encode::write(&mut bytes, &self.saved()).expect("writing plain data to a vector does not fail");
        bytes
    }

    /// Reads [`Cluster::to_bytes`] back. What contradicts itself is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let body = bytes.strip_prefix(MAGIC).ok_or("it is not a serialized cluster")?;
        let (version, body) = body.split_first_chunk::<4>().ok_or("a serialized cluster ends in its head")?;
        let version = u32::from_le_bytes(*version);
        if !(VERSION_MIN..=VERSION).contains(&version) {
            return Err(format!("a serialized cluster of version {version}; this program reads versions {VERSION_MIN} to {VERSION}"));
        }
        let saved: SavedCluster = rmp_serde::from_slice(body).map_err(|error| format!("a serialized cluster is damaged: {error}"))?;
        let restored = restore(saved)?;
        match check_state(&restored).first() {
            Some(violation) => Err(format!("a serialized cluster contradicts itself: {violation}")),
            None => Ok(restored),
        }
    }

    fn sorted(&self) -> SavedCluster {
        let mut saved = self.saved();
        saved.nodes.sort_by_key(|it| it.spec.id);
        saved.segments.sort_by_key(|it| it.spec.id);
        saved
    }

    fn saved(&self) -> SavedCluster {
        let listed = || self.nodes.iter().filter(|node| self.node_by_id.contains_key(&node.spec.id) && self.is_current(node));
        let nodes = listed().map(|node| SavedNode {
            spec: node.spec,
            lifecycle: node.lifecycle,
            lifecycle_since_ms: node.lifecycle_since_ms,
            last_departure_ms: node.last_departure_ms,
            refusals: node.refusals.clone(),
            drains: node.drains,
        });
        let segments = self.segments().map(|(_, segment)| self.saved_segment(segment)).collect();
        let moves = self.moves.values().copied().collect();
        SavedCluster { nodes: nodes.collect(), segments, moves, last_generation: self.last_generation }
    }

    /// Is it the node of its id, and not one that was removed before that came?
    fn is_current(&self, node: &Node) -> bool {
        self.node_ix(node.spec.id).is_some_and(|at| std::ptr::eq(self.node(at), node))
    }

    fn saved_segment(&self, segment: &Segment) -> SavedSegment {
        let id = |at: NodeIx| self.node(at).spec.id;
        let spec =
            SegmentSpec { id: segment.id, table: segment.table, footprint: segment.footprint, replicas_wanted: segment.replicas_wanted };
        let there = segment.departures.iter().filter(|it| self.is_current(self.node(it.node)));
        SavedSegment {
            spec,
            copies: segment.replicas.iter().map(|it| (id(it.node), it.state, it.position())).collect(),
            departures: there.map(|it| (id(it.node), it.at_s)).collect(),
        }
    }
}

fn restore(saved: SavedCluster) -> Result<Cluster, String> {
    let mut cluster = Cluster { last_generation: saved.last_generation, ..Cluster::default() };
    for saved in saved.nodes {
        let at = NodeIx(u32::try_from(cluster.nodes.len()).map_err(|_| "too many nodes")?);
        if Arc::make_mut(&mut cluster.node_by_id).insert(saved.spec.id, at).is_some() {
            return Err(format!("node {} twice", saved.spec.id.0));
        }
        let SavedNode { spec, lifecycle, lifecycle_since_ms, last_departure_ms, refusals, drains } = saved;
        let drains = drains || lifecycle == Lifecycle::Draining;
        cluster.nodes.push(Node { lifecycle, drains, lifecycle_since_ms, last_departure_ms, refusals, ..Node::new(spec) });
    }
    let mut lists: Vec<Vec<(u32, SegmentIx)>> = vec![Vec::new(); cluster.nodes.len()];
    for saved in &saved.segments {
        restore_segment(&mut cluster, &mut lists, saved)?;
    }
    for (node, mut list) in lists.into_iter().enumerate() {
        list.sort_unstable();
        cluster.nodes[node].segments = list.into_iter().map(|(_, at)| at).collect();
    }
    for it in saved.moves {
        restore_move(&mut cluster, it)?;
    }
    cluster.members = cluster.members_counted();
    (0..cluster.segments.len()).for_each(|at| cluster.charge_copies(SegmentIx(at as u32)));
    Ok(cluster)
}

fn restore_segment(cluster: &mut Cluster, lists: &mut [Vec<(u32, SegmentIx)>], saved: &SavedSegment) -> Result<(), String> {
    let SegmentSpec { id, table, footprint, replicas_wanted } = saved.spec;
    if !footprint.is_sane() {
        return Err(format!("segment {}: {FOOTPRINT_TOO_LARGE}", id.0));
    }
    let at = SegmentIx(u32::try_from(cluster.segments.len()).map_err(|_| "too many segments")?);
    if cluster.segment_by_id.get(id).is_some() || saved.copies.len() > REPLICAS_MAX || saved.departures.len() > DEPARTURES_MAX {
        return Err(format!("segment {} twice, or with more copies than can be", id.0));
    }
    cluster.segment_by_id.insert(id, at);
    let node = |id: NodeId| cluster.node_ix(id).ok_or(format!("there is no node {}", id.0));
    let mut replicas = Replicas::default();
    for (on, state, position) in &saved.copies {
        let node = node(*on)?;
        if *position as usize >= NODE_COPIES_MAX {
            return Err(format!("segment {} stands where no list of a node ends", id.0));
        }
        lists[node.0 as usize].push((*position, at));
        replicas.push(Replica::new(node, *state, *position));
    }
    let mut departures = Departures::default();
    for (left, at_s) in saved.departures.iter().rev() {
        departures.push(node(*left)?, u64::from(*at_s) * 1000);
    }
    let sharers = Sharers::default();
    let segment = Segment {
        id,
        table,
        footprint,
        replicas,
        departures,
        replicas_wanted,
        sharers,
        moves: 0,
        attention: 0,
        live: true,
        heat: Heat::default(),
    };
    cluster.segments.push(segment);
    Ok(())
}

fn restore_move(cluster: &mut Cluster, it: Move) -> Result<(), String> {
    let at = cluster.segment_ix(it.segment).ok_or(format!("there is no segment {}", it.segment.0))?;
    cluster.count_move(&it, at, true);
    if cluster.last_generation.is_none_or(|last| last < it.generation) {
        return Err(format!("move {} is later than the last", it.generation.0));
    }
    cluster.moves.insert_mut(it.generation, it);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Domain, Epoch, Resources};

    #[test]
    fn a_cluster_of_the_version_before_is_read_and_a_later_one_is_not() {
        let spec = NodeSpec { id: NodeId(7), capacity: Resources::new(1, 2, 3), domain: Domain::default(), epoch: Epoch(4) };
        let node = (spec, Lifecycle::Draining, 5u64, None::<u64>, Vec::<Refusal>::new());
        let body = (vec![node], Vec::<SavedSegment>::new(), Vec::<Move>::new(), None::<Generation>);
        let of = |version: u32| [&MAGIC[..], &version.to_le_bytes(), &rmp_serde::to_vec(&body).expect("it is plain data")].concat();
        let read = Cluster::from_bytes(&of(2)).expect("it is read");
        let (_, node) = read.nodes_by_id().next().expect("it has one node");
        assert_eq!((node.spec, node.lifecycle, node.drains), (spec, Lifecycle::Draining, true));
        assert_eq!(Cluster::from_bytes(&read.to_bytes()), Ok(read));
        assert_eq!(Cluster::from_bytes(&of(4)), Err("a serialized cluster of version 4; this program reads versions 2 to 3".into()));
    }
}
