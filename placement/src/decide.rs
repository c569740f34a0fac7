//! The cluster's part of the state: decisions, and the segments that commits add and remove.
//!
//! 1. [`decided`]: a command of decisions, carried out on a clone that shares all that does not change. The first that cannot be taken ends it.
//! 2. [`add_segment`], [`remove_segment`]: what a commit does to tables, it does to the cluster. So the catalog and the cluster name the same
//!    segments, whatever is decided.

use crate::cluster::{Cluster, Decision, Footprint, SegmentSpec};
use crate::command::{Conflict, Decisions, NewSegment};
use crate::model::{Table, TableId, Unit, UnitId, UnitSource};
use std::sync::Arc;

/// The cluster after `decisions`, or why there is none.
pub(crate) fn decided(cluster: &Arc<Cluster>, decisions: &Decisions) -> Result<Arc<Cluster>, Conflict> {
    let mut next = Cluster::clone(cluster);
    for (at, decision) in decisions.decisions.iter().enumerate() {
        let refused = |reason: String| Conflict::Decision(at, reason);
        if matches!(decision, Decision::SegmentAdded(_) | Decision::SegmentRemoved(_)) {
            return Err(refused("segments come and go with commits".to_owned()));
        }
        next.decide(decision, decisions.now_ms).map_err(|error| refused(error.to_string()))?;
    }
    Ok(Arc::new(next))
}

/// A commit adds a segment to a table.
pub(crate) fn add_segment(cluster: &mut Arc<Cluster>, table: TableId, segment: &NewSegment) -> Result<(), Conflict> {
    let placing = &segment.placing;
    let footprint = placing.footprint.unwrap_or(Footprint::unmeasured(segment.disk_bytes));
    let spec = SegmentSpec { id: segment.id, table, footprint, replicas_wanted: placing.replicas_wanted.max(1) };
    let copies = placing.nodes.iter().map(|node| Decision::CopyAdded { segment: segment.id, node: *node, serving: true });
    let cluster = Arc::make_mut(cluster);
    let mut decisions = std::iter::once(Decision::SegmentAdded(spec)).chain(copies);
    let added = decisions.try_for_each(|decision| cluster.decide(&decision, 0));
    added.map_err(|error| Conflict::Invalid(format!("segment {} cannot be placed: {error}", segment.id.0)))
}

/// A commit removes a unit. Inlined rows have no place in the cluster.
pub(crate) fn remove_unit(cluster: &mut Arc<Cluster>, unit: &Unit) {
    if matches!(unit.source, UnitSource::Segment { .. }) {
        let removed = Arc::make_mut(cluster).decide(&Decision::SegmentRemoved(unit.id), 0);
        debug_assert_eq!(removed, Ok(()), "each segment of a table is in the cluster");
    }
}

/// A commit removes all units of a table.
pub(crate) fn remove_units(cluster: &mut Arc<Cluster>, table: &Table) {
    table.units.values().for_each(|unit| remove_unit(cluster, unit));
}

/// The cluster of a state that was written before there was one: the tables' segments, and no node yet.
pub(crate) fn adopted<'a>(tables: impl Iterator<Item = (&'a TableId, &'a Arc<Table>)>) -> Result<Cluster, String> {
    let mut cluster = Cluster::default();
    for (table, unit) in tables.flat_map(|(id, table)| table.units.values().map(move |unit| (*id, unit))) {
        let UnitSource::Segment { disk_bytes, .. } = unit.source else { continue };
        let spec = SegmentSpec { id: unit.id, table, footprint: Footprint::unmeasured(disk_bytes), replicas_wanted: 1 };
        cluster.decide(&Decision::SegmentAdded(spec), 0).map_err(|error| format!("segment {}: {error}", unit.id.0))?;
    }
    Ok(cluster)
}

/// Do the tables and the cluster name the same segments?
pub(crate) fn agrees<'a>(cluster: &Cluster, tables: impl Iterator<Item = (&'a TableId, &'a Arc<Table>)>) -> bool {
    let mut counted = 0;
    let is_there = |table: TableId, id: UnitId| cluster.segment_ix(id).is_some_and(|at| cluster.segment(at).table == table);
    let all = tables.flat_map(|(id, table)| table.units.values().map(move |unit| (*id, unit)));
    let segments = all.filter(|(_, unit)| matches!(unit.source, UnitSource::Segment { .. }));
    let named = segments.inspect(|_| counted += 1).all(|(table, unit)| is_there(table, unit.id));
    named && counted == cluster.segment_count()
}
