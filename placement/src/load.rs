//! What a node carries: what the model says, and what its report adds to that.
//!
//! The model (the sum of its segments' footprints) is what is balanced: it is exact, and changes only with decisions and with footprints.
//! A report may add a *background*: load that no segment explains, beyond the noise of reports. Of processor time, only what has lasted
//! counts for balance: it may be the queries of a node that is about to come back. A report that contradicts the model by
//! more than a factor is set aside, and the node is named: to believe it would flood or empty the node, and everyone else with it.

use crate::cluster::{Cluster, Node, NodeIx, RESOURCES, Replica, Resource, Resources};
use crate::policy::Policy;
use std::collections::BTreeMap;

/// What is made of a node's report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trust {
    /// There is none, or it is too old to say anything.
    Silent,
    /// It agrees with the model, or exceeds it plausibly.
    Believed,
    /// It says so many times what the model says, of this resource.
    Implausible(Resource, f64),
}

/// A node's load, as planned with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeLoad {
    /// Once all moves in flight are done; background included.
    pub projected: Resources,
    /// While they are charged at both ends; background and peaks of loads included.
    pub adjusted: Resources,
    /// What the report adds.
    pub background: Resources,
    /// What is made of the report.
    pub trust: Trust,
}

/// The load of `node` at `now_ms`.
pub fn of(node: &Node, policy: &Policy, now_ms: u64) -> NodeLoad {
    let (background, trust) = judge(node, policy, now_ms);
    let (mut projected, mut adjusted) = (node.projected, node.adjusted);
    adjusted.add(&Resources::new(node.load_peak_bytes, 0, 0));
    adjusted.add(&background);
    let believed = node.believed.0.0[2] as f64;
    let lasting = (believed * (node.lasting.least() - 1.0 - policy.report_noise)).max(0.0) as u64;
    let lasting = Resources([background.0[0], background.0[1], background.0[2].min(lasting)]);
    projected.add(&lasting);
    NodeLoad { projected, adjusted, background, trust }
}

fn judge(node: &Node, policy: &Policy, now_ms: u64) -> (Resources, Trust) {
    let nothing = Resources::default();
    let Some(report) = node.report.filter(|it| now_ms.saturating_sub(it.measured_at_ms) <= policy.report_age_max_ms) else {
        return (nothing, Trust::Silent);
    };
    let mut background = nothing;
    for resource in Resource::ALL {
        let (said, believed) = (report.load.get(resource) as f64, node.believed.0.get(resource) as f64);
        if let Some(ratio) = implausible(node, policy, resource, said, believed) {
            return (nothing, Trust::Implausible(resource, ratio));
        }
        background.0[resource as usize] = (said - believed * (1.0 + policy.report_noise)).max(0.0) as u64;
    }
    (background, Trust::Believed)
}

/// How many times what is believed a node says, if that is beyond belief. What is small beside its capacity is never.
fn implausible(node: &Node, policy: &Policy, resource: Resource, said: f64, believed: f64) -> Option<f64> {
    let small = node.spec.capacity.get(resource) as f64 / SMALL_PARTS;
    let least = node.believed.1.get(resource) as f64;
    let ratio = policy.report_implausible_ratio;
    let too_much = said > believed * ratio + small;
    let too_little = said * ratio + small < least;
    (too_much || too_little).then(|| said / believed.max(1.0))
}

/// Nodes that went down not long ago, and are awaited back ([`Policy::repair_delay_ms`]). The queries that others serve for them meanwhile go
/// back with them: a restart is no reason to balance. What others carry is less by that, in the end; not now.
#[derive(Clone, Debug, Default)]
pub struct Awaited {
    nodes: Vec<NodeIx>,
    relief_micros: BTreeMap<NodeIx, u64>,
}

impl Awaited {
    /// Costs a look at the nodes that are down, and at what the awaited ones have.
    pub fn new(state: &Cluster, policy: &Policy, now_ms: u64) -> Self {
        let is_awaited = |node: &Node| now_ms < node.lifecycle_since_ms.saturating_add(policy.repair_delay_ms);
        let nodes = state.nodes_down().filter(|(_, node)| is_awaited(node)).map(|(at, _)| at).collect();
        let mut awaited = Self { nodes, relief_micros: BTreeMap::new() };
        for node in awaited.nodes.clone() {
            state.node(node).segments.iter().for_each(|at| awaited.relieve(state, node, *at));
        }
        awaited
    }

    /// What a segment's sharers will have less to do; counted with the first awaited node that has it.
    fn relieve(&mut self, state: &Cluster, node: NodeIx, at: crate::cluster::SegmentIx) {
        let segment = state.segment(at);
        let returning = self.sharers(&segment.replicas);
        if returning == 0 || segment.replicas.iter().find(|it| self.is_awaited(it.node)).is_none_or(|first| first.node != node) {
            return;
        }
        let sharing = || segment.replicas.iter().filter(|it| it.state.will_serve() && state.node(it.node).is_up());
        let sharers = sharing().count() as u32;
        let cpu = |sharers: u32| segment.footprint.serving(sharers).get(Resource::CpuMicros);
        let awaited: Vec<_> = segment.replicas.iter().filter(|it| it.state.will_serve() && self.is_awaited(it.node)).collect();
        for replica in sharing().chain(awaited) {
            *self.relief_micros.entry(replica.node).or_default() += cpu(sharers) - cpu(sharers + u32::from(returning));
        }
    }

    /// Nodes that are awaited here and not there, or the other way round, and those to which more or less goes back.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = NodeIx> + 'a {
        let awaited = self.nodes.iter().chain(&other.nodes).filter(|at| self.is_awaited(**at) != other.is_awaited(**at));
        let relieved = self.relief_micros.keys().chain(other.relief_micros.keys());
        awaited.chain(relieved.filter(|at| self.relief_micros(**at) != other.relief_micros(**at))).copied()
    }

    /// Is the node awaited?
    pub fn is_awaited(&self, node: NodeIx) -> bool {
        self.nodes.contains(&node)
    }

    /// Of these copies, those among which queries will be shared again.
    pub fn sharers(&self, replicas: &[Replica]) -> u8 {
        if self.nodes.is_empty() {
            return 0;
        }
        replicas.iter().filter(|it| it.state.will_serve() && self.is_awaited(it.node)).count() as u8
    }

    /// Processor time of `node` that goes back.
    pub fn relief_micros(&self, node: NodeIx) -> u64 {
        self.relief_micros.get(&node).copied().unwrap_or(0)
    }
}

/// A load below this part of the capacity is too small for a ratio to say anything.
const SMALL_PARTS: f64 = 20.0;

const _: () = assert!(RESOURCES == Resource::ALL.len());
