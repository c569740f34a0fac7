//! The cluster: what binds, how good the placement is, what comes next, and what no round can do.

use super::Question;
use crate::balancer::workspace::Workspace;
use crate::balancer::{Binding, Plan, UnmetReason, Why, plan};
use crate::cluster::{Level, Lifecycle, MoveKind, Node, NodeId, RESOURCES, Resource, SegmentIx};
use crate::load::{self, Trust};
use crate::model::UnitId;
use crate::offers::{Offer, Offers};
use crate::policy::Policy;

/// The cluster, explained.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterExplained {
    /// The resource whose mean share is closest to the line up to which nodes are filled.
    pub binding: Resource,
    /// Mean share of each resource, of the active nodes.
    pub mean: [f64; RESOURCES],
    /// Largest share of each resource divided by the mean.
    pub max_to_mean: [f64; RESOURCES],
    /// The potential now.
    pub potential: f64,
    /// What the next round would do.
    pub next: Plan,
    /// What is to be said of single nodes.
    pub findings: Vec<(NodeId, Finding)>,
    /// What no round can do, though offers and bounds were as wide as can be, and what to add.
    pub shortages: Vec<Shortage>,
}

/// Something to be said of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding {
    /// Its reports say so many times what it carries, of this resource: they are set aside. It lies, or it is broken.
    Implausible(Resource, f64),
    /// It has not reported for too long.
    Silent,
    /// Its pressure.
    Pressed(Level),
    /// It is to be emptied, and has so many copies left.
    Draining(usize),
    /// It cannot be reached, and has so many copies.
    Down(usize),
    /// It carries more of this resource than the line allows: a share.
    BeyondLine(Resource, f64),
    /// Refusals of it that hold.
    Refuses(usize),
}

/// What no round can do, and what would help.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shortage {
    /// So many segments have no whole copy that can be reached; one of them. Nodes that are down may have it.
    NoWholeCopy {
        /// How many of those that were looked at.
        segments: u64,
        /// The first.
        first: UnitId,
    },
    /// So many copies cannot be placed, for want of this resource: at least so much more is needed.
    Resource {
        /// The resource.
        resource: Resource,
        /// Segments, of those that were looked at.
        segments: u64,
        /// How much to add.
        add: u64,
    },
    /// There are fewer nodes, or nodes that can take more, than copies are wanted: add at least so many.
    Nodes {
        /// Segments, of those that were looked at.
        segments: u64,
        /// How many nodes to add.
        add: u64,
    },
    /// Copies share zones or racks, and no node elsewhere can take them: add nodes in another zone or rack.
    Domains {
        /// Segments, of those that were looked at.
        segments: u64,
    },
    /// Nodes that could take copies refuse, are pressed or are silent.
    Unwilling {
        /// Segments, of those that were looked at.
        segments: u64,
        /// One of them is ruled out by this.
        binding: Binding,
    },
    /// The mean is beyond the line: however it is spread, so much is missing.
    Capacity {
        /// The resource.
        resource: Resource,
        /// How much to add.
        add: u64,
    },
    /// The largest copy alone makes the fullest node exceed the mean so many times: smaller segments, or larger nodes.
    Indivisible {
        /// The resource.
        resource: Resource,
        /// Max/mean, at least.
        max_to_mean: f64,
    },
}

/// Explains the cluster.
pub fn cluster(question: &Question<'_>) -> ClusterExplained {
    let Question { state, offers, policy, now_ms } = *question;
    let workspace = Workspace::new(state, offers, policy, now_ms);
    let mean: [f64; RESOURCES] = std::array::from_fn(|r| workspace.mean(r));
    let fullness = |resource: &Resource| mean[*resource as usize] / policy.fill_share_max[*resource as usize].max(f64::MIN_POSITIVE);
    // Of equals the first: where nothing is carried, memory.
    let binding = Resource::ALL.into_iter().rev().max_by(|a, b| fullness(a).total_cmp(&fullness(b))).unwrap_or(Resource::ResidentBytes);
    let max_to_mean = workspace.fullest().map(|it| it.0);
    ClusterExplained {
        binding,
        mean,
        max_to_mean,
        potential: workspace.base.potential_now(),
        next: plan(state, offers, policy, now_ms),
        findings: state.nodes_by_id().flat_map(|(_, node)| findings(node, policy, now_ms)).collect(),
        shortages: shortages(question, &workspace),
    }
}

fn findings(node: &Node, policy: &Policy, now_ms: u64) -> Vec<(NodeId, Finding)> {
    let load = load::of(node, policy, now_ms);
    let mut found = Vec::new();
    match load.trust {
        Trust::Implausible(resource, ratio) => found.push(Finding::Implausible(resource, ratio)),
        Trust::Silent if node.is_up() && node.report.is_some() => found.push(Finding::Silent),
        _ => {}
    }
    match node.lifecycle {
        Lifecycle::Draining => found.push(Finding::Draining(node.segments.len())),
        Lifecycle::Down => found.push(Finding::Down(node.segments.len())),
        Lifecycle::Active if node.level > Level::Calm => found.push(Finding::Pressed(node.level)),
        Lifecycle::Active => {}
    }
    for resource in Resource::ALL {
        let (carried, capacity) = (load.projected.get(resource), node.spec.capacity.get(resource));
        if carried > policy.line(resource, capacity) {
            found.push(Finding::BeyondLine(resource, carried as f64 / capacity.max(1) as f64));
        }
    }
    let refusals = node.refusals.iter().filter(|it| it.holds(node.spec.epoch, now_ms)).count();
    if refusals > 0 {
        found.push(Finding::Refuses(refusals));
    }
    found.into_iter().map(|finding| (node.spec.id, finding)).collect()
}

/// What is left undone when every calm node offers all it has, and no bound holds.
fn shortages(question: &Question<'_>, workspace: &Workspace<'_>) -> Vec<Shortage> {
    let Question { state, policy, now_ms, .. } = *question;
    let unbounded = Policy::unbounded();
    let wide = Policy {
        moves_in_per_node_max: unbounded.moves_in_per_node_max,
        moves_out_per_node_max: unbounded.moves_out_per_node_max,
        moves_in_flight_max: unbounded.moves_in_flight_max,
        repair_delay_ms: 0,
        segment_rest_ms: 0,
        ..*policy
    };
    let mut open = Offers::default();
    state.nodes_by_id().for_each(|(_, node)| open.take(widest(node, now_ms)));
    let best = plan(state, &open, &wide, now_ms);
    let mut shortages = capacities(workspace, policy);
    shortages.extend(unmet(&Workspace::new(state, &open, &wide, now_ms), &best));
    for resource in Resource::ALL {
        let max_to_mean = best.bound.max_to_mean[resource as usize];
        if (max_to_mean - 1.0) * workspace.mean(resource as usize) > EXCESS_SHARE_MIN {
            shortages.push(Shortage::Indivisible { resource, max_to_mean });
        }
    }
    shortages
}

/// Share of the capacity by which one copy may exceed the mean without a word.
const EXCESS_SHARE_MIN: f64 = 0.05;

fn widest(node: &Node, now_ms: u64) -> Offer {
    Offer {
        node: node.spec.id,
        epoch: node.spec.epoch,
        resident_bytes: u64::MAX,
        disk_bytes: u64::MAX,
        loads_at_once: u32::MAX,
        made_at_ms: now_ms,
        until_ms: u64::MAX,
    }
}

fn capacities(workspace: &Workspace<'_>, policy: &Policy) -> Vec<Shortage> {
    let missing = |resource: &Resource| {
        let r = *resource as usize;
        let needed = workspace.base.load_sum[r] as f64 / policy.fill_share_max[r].max(f64::MIN_POSITIVE);
        (needed - workspace.capacity_sum[r]).max(0.0) as u64
    };
    let short = Resource::ALL.into_iter().map(|resource| (resource, missing(&resource)));
    short.filter(|(_, add)| *add > 0).map(|(resource, add)| Shortage::Capacity { resource, add }).collect()
}

/// What is unmet in the best of plans, by what would help.
fn unmet(wide: &Workspace<'_>, best: &Plan) -> Vec<Shortage> {
    let mut sums: Vec<Shortage> = Vec::new();
    for it in &best.unmet {
        let Some(at) = wide.state.segment_ix(it.segment) else { continue };
        let shortage = match it.reason {
            UnmetReason::Delayed | UnmetReason::SourcesBusy => continue,
            UnmetReason::NoSource => Shortage::NoWholeCopy { segments: 1, first: it.segment },
            UnmetReason::NoTarget(_) if it.why == Why::Spread => Shortage::Domains { segments: 1 },
            UnmetReason::NoTarget(_) => no_target(wide, at),
        };
        if !sums.iter_mut().any(|sum| sum.join(&shortage)) {
            sums.push(shortage);
        }
    }
    sums
}

/// What would help a segment for which there is no target: room on a node that is willing, a willing node, or one more node.
fn no_target(wide: &Workspace<'_>, at: SegmentIx) -> Shortage {
    let wanted = wide.wanted(at, MoveKind::Replicate, None);
    let bindings: Vec<_> = wide.state.nodes_by_id().filter_map(|(node, _)| wide.excluded(&wanted, node)).collect();
    if let Some(resource) = bindings.iter().find_map(|binding| lacking(*binding)) {
        let footprint = wide.segment(at).footprint;
        let peak = if resource == Resource::ResidentBytes { footprint.load_peak_bytes } else { 0 };
        return Shortage::Resource { resource, segments: 1, add: footprint.serving(1).get(resource).saturating_add(peak) };
    }
    let unwilling = bindings.into_iter().find(|binding| !matches!(binding, Binding::HasCopy | Binding::Lifecycle));
    unwilling.map_or(Shortage::Nodes { segments: 1, add: 1 }, |binding| Shortage::Unwilling { segments: 1, binding })
}

fn lacking(binding: Binding) -> Option<Resource> {
    match binding {
        Binding::LineMemory | Binding::OfferMemory => Some(Resource::ResidentBytes),
        Binding::LineDisk | Binding::OfferDisk => Some(Resource::DiskBytes),
        Binding::LineCpu => Some(Resource::CpuMicros),
        _ => None,
    }
}

impl Shortage {
    /// Adds another of the same kind; `false` if it is not.
    fn join(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::NoWholeCopy { segments, .. }, Self::NoWholeCopy { .. }) => *segments += 1,
            (Self::Nodes { segments, .. }, Self::Nodes { .. }) => *segments += 1,
            (Self::Domains { segments }, Self::Domains { .. }) => *segments += 1,
            (Self::Unwilling { segments, binding }, Self::Unwilling { binding: same, .. }) if binding == same => *segments += 1,
            (Self::Resource { resource, segments, add }, Self::Resource { resource: same, add: more, .. }) if resource == same => {
                *segments += 1;
                *add = add.saturating_add(*more);
            }
            _ => return false,
        }
        true
    }
}
