//! Who decides: ours, and the balancers of others as they are published. All see the same cluster, and all move within the same simulator.
//!
//! The baselines' nodes say no to what does not fit, as ours do. What differs is what the balancer weighs, and whether it listens.

mod assigned;
mod druid;
mod ours;
mod scored;

use crate::UnitId;
use crate::cluster::{Cluster, MoveKind, NodeId, NodeIx, ReplicaState, Segment, SegmentIx};
use crate::offers::Offers;
use crate::policy::Policy;

/// The policies that can be compared, ours first.
pub const NAMES: [&str; 7] = ["plimsoll", "row-count", "disk-bytes", "round-robin", "bounded-hashing", "druid-cost", "milvus-score"];

/// What a balancer sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The state that is planned on.
    pub cluster: &'a Cluster,
    /// What nodes offer.
    pub offers: &'a Offers,
    /// Our thresholds.
    pub policy: &'a Policy,
    /// What only some balancers look at, by segment id.
    pub facts: &'a [Facts],
    /// The leader's clock.
    pub now_ms: u64,
}

/// What some balancers weigh a segment by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Its rows.
    pub rows: u64,
    /// The hour that its rows are of, as Druid partitions by time.
    pub hour: u64,
}

/// A move that a balancer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The segment.
    pub segment: UnitId,
    /// What happens to it.
    pub kind: MoveKind,
    /// From where.
    pub from: Option<NodeId>,
    /// To where.
    pub to: Option<NodeId>,
    /// Why.
    pub why: &'static str,
    /// What ruled out a better target.
    pub bound_by: Option<&'static str>,
}

/// A policy under test.
pub trait Balancer {
    /// Its name, one of [`NAMES`].
    fn name(&self) -> &'static str;
    /// What to begin now.
    fn plan(&mut self, view: &View<'_>) -> Vec<Proposal>;
}

/// A policy by its name.
pub fn by_name(name: &str) -> Option<Box<dyn Balancer>> {
    Some(match name {
        "plimsoll" => Box::new(ours::Plimsoll::default()),
        "row-count" => Box::new(scored::Scored::by_rows()),
        "disk-bytes" => Box::new(scored::Scored::by_disk_bytes()),
        "milvus-score" => Box::new(scored::Scored::milvus()),
        "round-robin" => Box::new(assigned::RoundRobin::default()),
        "bounded-hashing" => Box::new(assigned::BoundedHashing),
        "druid-cost" => Box::new(druid::DruidCost::default()),
        _ => return None,
    })
}

/// Copies made and segments drained in one round by a baseline, at most: Druid's `replicationThrottleLimit` is 500, its rounds a minute long.
const REPAIRS_MAX: usize = 100;

impl View<'_> {
    fn facts_of(&self, segment: &Segment) -> Facts {
        self.facts.get(segment.id.0 as usize).copied().unwrap_or_default()
    }

    fn active(&self) -> Vec<NodeIx> {
        let nodes = self.cluster.nodes_by_id();
        nodes.filter(|(_, node)| node.is_active()).map(|(at, _)| at).collect()
    }

    fn id(&self, node: NodeIx) -> NodeId {
        self.cluster.node(node).spec.id
    }

    /// Copies that stay, on nodes that are up.
    fn held(&self, segment: &Segment) -> usize {
        segment.replicas.iter().filter(|it| it.state.stays() && self.cluster.node(it.node).is_up()).count()
    }

    fn relocation(&self, segment: &Segment, from: NodeIx, to: NodeIx, why: &'static str) -> Option<Proposal> {
        let kind = match segment.replicas.on(from)?.state {
            ReplicaState::Serving => MoveKind::Relocate,
            ReplicaState::DiskOnly => MoveKind::RelocateOnDisk,
            _ => return None,
        };
        let free = segment.moves == 0 && segment.replicas.on(to).is_none();
        free.then(|| Proposal { segment: segment.id, kind, from: Some(self.id(from)), to: Some(self.id(to)), why, bound_by: None })
    }
}

/// What every baseline does alike: copies on disk are served, missing ones made, surplus ones dropped, draining nodes emptied. Where to,
/// `choose` says; from where too many go, `choose` of their nodes last.
fn keep_up(view: &View<'_>, mut choose: impl FnMut(&Segment, &[NodeIx]) -> Option<NodeIx>) -> Vec<Proposal> {
    let active = view.active();
    let mut proposals = Vec::new();
    for (_, segment) in view.cluster.segments() {
        if proposals.len() >= REPAIRS_MAX {
            break;
        }
        if segment.moves == 0 {
            proposals.extend(keep_up_segment(view, segment, &active, &mut choose));
        }
    }
    proposals
}

fn keep_up_segment(
    view: &View<'_>,
    segment: &Segment,
    active: &[NodeIx],
    choose: &mut impl FnMut(&Segment, &[NodeIx]) -> Option<NodeIx>,
) -> Option<Proposal> {
    let (held, wanted) = (view.held(segment), usize::from(segment.replicas_wanted));
    let up = |node: NodeIx| view.cluster.node(node).is_up();
    let on_disk = segment.replicas.iter().find(|it| it.state == ReplicaState::DiskOnly && up(it.node));
    if let Some(replica) = on_disk.filter(|_| held <= wanted) {
        let to = Some(view.id(replica.node));
        return Some(Proposal { segment: segment.id, kind: MoveKind::Promote, from: None, to, why: "serve", bound_by: None });
    }
    let drained = segment.replicas.iter().find(|it| up(it.node) && !view.cluster.node(it.node).is_active());
    if held >= wanted && drained.is_none() {
        return (held > wanted).then(|| surplus(view, segment, choose))?;
    }
    let free: Vec<_> = active.iter().copied().filter(|node| segment.replicas.on(*node).is_none()).collect();
    let to = choose(segment, &free)?;
    if held < wanted {
        let source = segment.replicas.iter().find(|it| it.state.is_whole() && it.state.stays() && up(it.node))?;
        let (from, to) = (Some(view.id(source.node)), Some(view.id(to)));
        return Some(Proposal { segment: segment.id, kind: MoveKind::Replicate, from, to, why: "repair", bound_by: None });
    }
    view.relocation(segment, drained?.node, to, "drain")
}

fn surplus(view: &View<'_>, segment: &Segment, choose: &mut impl FnMut(&Segment, &[NodeIx]) -> Option<NodeIx>) -> Option<Proposal> {
    let mut holders: Vec<_> = segment.replicas.iter().filter(|it| it.state == ReplicaState::Serving).map(|it| it.node).collect();
    holders.retain(|node| view.cluster.node(*node).is_up());
    while holders.len() > 1 {
        let kept = choose(segment, &holders)?;
        holders.retain(|node| *node != kept);
    }
    let from = Some(view.id(*holders.first()?));
    Some(Proposal { segment: segment.id, kind: MoveKind::Drop, from, to: None, why: "surplus", bound_by: None })
}

/// Segments that a node serves and that are free to move.
fn movable<'a>(view: &View<'a>, node: NodeIx) -> impl Iterator<Item = (SegmentIx, &'a Segment)> {
    let cluster = view.cluster;
    let segments = cluster.node(node).segments.iter().map(|at| (*at, cluster.segment(*at)));
    segments.filter(move |(_, it)| it.moves == 0 && it.replicas.on(node).is_some_and(|copy| copy.state == ReplicaState::Serving))
}
