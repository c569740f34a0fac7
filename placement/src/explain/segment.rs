//! One segment, or all segments of a table: each node, and what excludes it or what it would cost.

use super::Question;
use crate::balancer::Binding;
use crate::balancer::workspace::Workspace;
use crate::cluster::attention::{CROWDED, SHORT, SURPLUS};
use crate::cluster::{Footprint, MoveKind, NodeId, NodeIx, ReplicaState, Resources, SegmentIx};
use crate::model::{TableId, UnitId};
use crate::potential::real;
use std::collections::BTreeMap;

/// A segment, explained.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentExplained {
    /// The segment.
    pub segment: UnitId,
    /// Its table.
    pub table: TableId,
    /// What it costs.
    pub footprint: Footprint,
    /// Copies wanted.
    pub replicas_wanted: u8,
    /// What it needs of the planner: names of reasons.
    pub needs: Vec<&'static str>,
    /// Moves of it in flight.
    pub moves: u8,
    /// Every node, by id.
    pub nodes: Vec<NodeExplained>,
}

/// A node, as a place for one segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeExplained {
    /// The node.
    pub node: NodeId,
    /// What is to be said of it.
    pub verdict: Verdict,
}

/// What is to be said of a node as a place for a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It has a copy. `relief`: by how much the potential would fall without it.
    Has {
        /// The copy's state.
        state: ReplicaState,
        /// See above.
        relief: f64,
    },
    /// It is ruled out by the first of its constraints.
    Excluded(Binding),
    /// It could have one more copy.
    Open {
        /// By how much the potential would rise.
        cost: f64,
        /// By how much it would fall, were the copy that gains most moved here.
        gain: f64,
        /// What such a move would have to gain.
        step: f64,
        /// Zones and racks that the copies would stand in.
        spread: (usize, usize),
    },
}

/// Explains a segment; `None` if there is none of that id.
pub fn segment(question: &Question<'_>, id: UnitId) -> Option<SegmentExplained> {
    let at = question.state.segment_ix(id)?;
    let workspace = Workspace::new(question.state, question.offers, question.policy, question.now_ms);
    let it = question.state.segment(at);
    let nodes = question.state.nodes_by_id();
    let nodes = nodes.map(|(ix, node)| NodeExplained { node: node.spec.id, verdict: verdict(&workspace, at, ix) }).collect();
    Some(SegmentExplained {
        segment: id,
        table: it.table,
        footprint: it.footprint,
        replicas_wanted: it.replicas_wanted,
        needs: needs(&workspace, at),
        moves: it.moves,
        nodes,
    })
}

fn needs(workspace: &Workspace<'_>, at: SegmentIx) -> Vec<&'static str> {
    let bits = workspace.state.need(workspace.segment(at)).bits;
    let names = [(SHORT, "repair"), (CROWDED, "spread"), (SURPLUS, "surplus")];
    let needs = names.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| name);
    let hot = workspace.wants_copy_for_heat(at, workspace.hot_line_micros());
    needs.chain(hot.then_some("heat")).collect()
}

fn verdict(workspace: &Workspace<'_>, at: SegmentIx, node: NodeIx) -> Verdict {
    let it = workspace.segment(at);
    if let Some(replica) = it.replicas.on(node) {
        let load = real(&load_of(workspace, at, replica.state));
        return Verdict::Has { state: replica.state, relief: workspace.node(node).slope.relief(&load) };
    }
    let wanted = workspace.wanted(at, MoveKind::Replicate, None);
    if let Some(binding) = workspace.excluded(&wanted, node) {
        return Verdict::Excluded(binding);
    }
    let moved = real(&workspace.wanted(at, MoveKind::Relocate, None).load);
    let slope = &workspace.node(node).slope;
    let served = it.replicas.iter().filter(|it| it.state == ReplicaState::Serving && workspace.node(it.node).active);
    let gains = served.map(|it| workspace.node(it.node).slope.gain(slope, &moved));
    Verdict::Open {
        cost: slope.cost(&real(&wanted.load)),
        gain: gains.max_by(f64::total_cmp).unwrap_or(0.0),
        step: workspace.base.potential.step(it.footprint.disk_bytes),
        spread: workspace.spread_with(at, None, Some(node)),
    }
}

fn load_of(workspace: &Workspace<'_>, at: SegmentIx, state: ReplicaState) -> Resources {
    let footprint = &workspace.segment(at).footprint;
    if state.will_serve() { footprint.serving(workspace.sharers_in_the_end(at)) } else { footprint.disk_only() }
}

/// A table, explained: its segments' verdicts, summed up.
#[derive(Clone, Debug, PartialEq)]
pub struct TableExplained {
    /// The table.
    pub table: TableId,
    /// Its segments.
    pub segments: u64,
    /// Segments by what they need of the planner.
    pub needs: BTreeMap<&'static str, u64>,
    /// Every node, by id.
    pub nodes: Vec<TableNode>,
}

/// A node, as the place of one table's segments.
#[derive(Clone, Debug, PartialEq)]
pub struct TableNode {
    /// The node.
    pub node: NodeId,
    /// Copies that it has.
    pub copies: u64,
    /// What they cost it.
    pub load: Resources,
    /// Segments that it could take.
    pub open: u64,
    /// Segments that it cannot, by what rules it out.
    pub excluded: BTreeMap<Binding, u64>,
}

/// Explains a table. Costs a look at every segment there is.
pub fn table(question: &Question<'_>, table: TableId) -> TableExplained {
    let workspace = Workspace::new(question.state, question.offers, question.policy, question.now_ms);
    let empty = |node: NodeId| TableNode { node, copies: 0, load: Resources::default(), open: 0, excluded: BTreeMap::new() };
    let mut nodes: Vec<_> = question.state.nodes_by_id().map(|(ix, node)| (ix, empty(node.spec.id))).collect();
    let (mut segments, mut counted) = (0, BTreeMap::new());
    for (at, _) in question.state.segments().filter(|(_, it)| it.table == table) {
        segments += 1;
        needs(&workspace, at).into_iter().for_each(|need| *counted.entry(need).or_default() += 1);
        nodes.iter_mut().for_each(|(ix, node)| count(&workspace, at, *ix, node));
    }
    TableExplained { table, segments, needs: counted, nodes: nodes.into_iter().map(|(_, node)| node).collect() }
}

fn count(workspace: &Workspace<'_>, at: SegmentIx, node: NodeIx, it: &mut TableNode) {
    match verdict(workspace, at, node) {
        Verdict::Has { state, .. } => {
            it.copies += 1;
            it.load.add(&load_of(workspace, at, state));
        }
        Verdict::Excluded(binding) => *it.excluded.entry(binding).or_default() += 1,
        Verdict::Open { .. } => it.open += 1,
    }
}
