//! Compaction: which units to merge (pure), and merging them (bounded in memory).
//!
//! Choosing always comes to rest. A run turns inlined units into segments, takes holes out of one, or turns several small segments
//! into at most one small one, because what a writer finishes for its size is not small. None of the three can be undone by another.
//! Small segments are merged with others of about their size (tiers of a factor of four), so that a row is rewritten a number of times
//! that grows with the logarithm of the table, not with the number of inserts.

use crate::error::Result;
use crate::scan::{Morsel, Scan, ScanMetrics, ScanRequest, Unit, UnitSource};
use crate::schema::{ColumnSpec, SegmentId};
use crate::segment::{SegmentSummary, SegmentWriter, SegmentWriterOptions, WrittenRows};
use crate::store::Store;
use arrow::datatypes::{Field, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What compaction strives for.
#[derive(Clone, Debug)]
pub struct CompactionPolicy {
    /// Segments whose decoded values take less than this many bytes are small (if they also have few rows). At most a quarter of
    /// the writer's `segment_bytes_max`.
    pub small_segment_bytes: u64,
    /// Segments of fewer rows than this are small (if they also take few bytes). At most a quarter of the writer's `segment_rows_max`.
    pub small_segment_rows: u64,
    /// Merge when at least this many small segments of about one size have come together.
    pub small_segments_min: usize,
    /// Fold inlined batches into a segment when there are this many of them ...
    pub inline_units_min: usize,
    /// ... or their rows take this many bytes.
    pub inline_bytes_min: u64,
    /// Rewrite a segment when at least this share of its rows is deleted (per cent).
    pub deleted_percent_min: u64,
    /// At most this many (decoded) bytes of input in one run; a single hole-ridden segment may be larger.
    pub run_bytes_max: u64,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            small_segment_bytes: 16 << 20,
            small_segment_rows: 512 << 10,
            small_segments_min: 8,
            inline_units_min: 256,
            inline_bytes_min: 1 << 20,
            deleted_percent_min: 30,
            run_bytes_max: 256 << 20,
        }
    }
}

impl CompactionPolicy {
    /// What is worth it when somebody asks for it and waits: nothing stays inlined, small segments are merged when there are two of a size, and a
    /// tenth of deleted rows is enough.
    pub fn on_request() -> Self {
        Self { small_segments_min: 2, inline_units_min: 1, inline_bytes_min: 0, deleted_percent_min: 10, ..Self::default() }
    }

    /// As on request, and no deleted row keeps its place.
    pub fn full() -> Self {
        Self { deleted_percent_min: 0, ..Self::on_request() }
    }
}

/// Chooses the units of one table to rewrite now, in their order; empty when nothing is worth it. Deterministic; a chosen set never
/// regresses to a state in which it would be chosen again.
pub fn choose(units: &[Unit], policy: &CompactionPolicy) -> Vec<SegmentId> {
    let dead: Vec<&Unit> = units.iter().filter(|u| u.live_rows() == 0).collect();
    let live: Vec<&Unit> = units.iter().filter(|u| u.live_rows() > 0).collect();
    let mut chosen = inlined(&live, policy);
    if chosen.is_empty() {
        chosen = hole_ridden(&live, policy);
    }
    if chosen.is_empty() {
        chosen = small(&live, policy);
    }
    // Dead units cost nothing to leave out: they go along with whatever is done.
    let chosen: Vec<SegmentId> = dead.into_iter().chain(chosen).map(|u| u.id).collect();
    units.iter().map(|u| u.id).filter(|id| chosen.contains(id)).collect()
}

fn bytes(unit: &Unit) -> u64 {
    match &unit.source {
        UnitSource::Segment(summary) => summary.decoded_bytes,
        UnitSource::Inline(bytes) => bytes.len() as u64,
        UnitSource::Batch { .. } => 0,
    }
}

/// As many of the first units as fit into a run, but at least `count_min`, or none.
fn within_run<'a>(units: Vec<&'a Unit>, count_min: usize, policy: &CompactionPolicy) -> Vec<&'a Unit> {
    let mut sum = 0u64;
    let fits = |unit: &&Unit| {
        sum = sum.saturating_add(bytes(unit));
        sum <= policy.run_bytes_max
    };
    let count = units.iter().copied().take_while(fits).count().max(1);
    if count < count_min { Vec::new() } else { units.into_iter().take(count).collect() }
}

fn inlined<'a>(units: &[&'a Unit], policy: &CompactionPolicy) -> Vec<&'a Unit> {
    let inlined: Vec<&Unit> = units.iter().copied().filter(|u| matches!(u.source, UnitSource::Inline(_))).collect();
    let enough =
        inlined.len() >= policy.inline_units_min.max(1) || inlined.iter().map(|u| bytes(u)).sum::<u64>() >= policy.inline_bytes_min;
    if enough && !inlined.is_empty() { within_run(inlined, 1, policy) } else { Vec::new() }
}

fn segments<'a>(units: &[&'a Unit]) -> impl Iterator<Item = (&'a Unit, &'a SegmentSummary)> {
    units.iter().filter_map(|unit| match &unit.source {
        UnitSource::Segment(summary) => Some((*unit, summary.as_ref())),
        _ => None,
    })
}

fn hole_ridden<'a>(units: &[&'a Unit], policy: &CompactionPolicy) -> Vec<&'a Unit> {
    let holes = |unit: &Unit| unit.rows - unit.live_rows();
    let ridden = |unit: &Unit| holes(unit) > 0 && holes(unit).saturating_mul(100) >= unit.rows.saturating_mul(policy.deleted_percent_min);
    let ridden: Vec<&Unit> = segments(units).map(|(unit, _)| unit).filter(|unit| ridden(unit)).collect();
    if ridden.is_empty() { ridden } else { within_run(ridden, 1, policy) }
}

fn small<'a>(units: &[&'a Unit], policy: &CompactionPolicy) -> Vec<&'a Unit> {
    let mut tiers = BTreeMap::<u32, Vec<&Unit>>::new();
    for (unit, summary) in segments(units) {
        if summary.decoded_bytes < policy.small_segment_bytes && summary.rows < policy.small_segment_rows {
            tiers.entry(tier(summary.decoded_bytes)).or_default().push(unit);
        }
    }
    let enough = policy.small_segments_min.max(2);
    tiers
        .into_values()
        .filter(|tier| tier.len() >= enough)
        .map(|tier| within_run(tier, 2, policy))
        .find(|run| !run.is_empty())
        .unwrap_or_default()
}

/// Sizes within a factor of four share a tier; everything below 64 KiB is one.
fn tier(bytes: u64) -> u32 {
    (bytes >> 16).checked_ilog2().map_or(0, |bits| bits / 2 + 1)
}

/// Rows of one batch on its way from the scan to the writer.
const BATCH_ROWS: usize = 8192;

/// Writes the live rows of `units`, in their order, as new segments (each sorted by `options.cluster_by`, if given), never inlined.
///
/// `go_on` is called after each batch with the bytes that the batch takes in memory: it may wait, to bound the rate, and ends the run by
/// returning false: then the result is `None`, and what was written is left to the sweep.
pub fn merge(
    store: &Arc<Store>,
    units: &[Unit],
    columns: &[ColumnSpec],
    options: SegmentWriterOptions,
    next_id: Box<dyn FnMut() -> SegmentId + Send>,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<WrittenRows>> {
    let fields: Vec<Field> = columns.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect();
    let request = Arc::new(ScanRequest {
        projection: columns.to_vec(),
        schema: Arc::new(Schema::new(fields)),
        predicates: Vec::new(),
        row_ids: false,
        batch_rows: BATCH_ROWS,
    });
    let mut writer = SegmentWriter::new(store.clone(), columns.to_vec(), options, next_id);
    for unit in units {
        let morsel = Morsel { granules: 0..unit.granules(), unit: unit.clone() };
        for batch in Scan::new(store.clone(), request.clone(), morsel, Arc::new(ScanMetrics::default())) {
            let before = writer.buffered_bytes();
            writer.push(batch?)?;
            if !go_on(writer.buffered_bytes().saturating_sub(before) as u64) {
                return Ok(None);
            }
        }
    }
    writer.finish(0).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deletes::Deletes;
    use proptest::prelude::*;

    fn segment(id: u64, rows: u64, decoded_bytes: u64, deleted: u64) -> Unit {
        let id = SegmentId(id);
        let (disk_bytes, columns) = (decoded_bytes / 3, Default::default());
        let summary = SegmentSummary { id, rows, disk_bytes, decoded_bytes, granules: 1, columns, sorted_by: vec![] };
        let deletes = (deleted > 0).then(|| Arc::new(Deletes((0..deleted as u32).collect())));
        Unit { id, rows, source: UnitSource::Segment(Arc::new(summary)), deletes }
    }

    fn inline(id: u64, rows: u64, deleted: u64) -> Unit {
        let deletes = (deleted > 0).then(|| Arc::new(Deletes((0..deleted as u32).collect())));
        Unit { id: SegmentId(id), rows, source: UnitSource::Inline(vec![0; 100 * rows as usize].into()), deletes }
    }

    fn policy() -> CompactionPolicy {
        CompactionPolicy {
            small_segment_bytes: 1 << 20,
            small_segment_rows: 10_000,
            small_segments_min: 4,
            inline_units_min: 5,
            inline_bytes_min: 10_000,
            deleted_percent_min: 30,
            run_bytes_max: 16 << 20,
        }
    }

    /// What a merge leaves, by the writer's rules: segments of 4 MiB or 40,000 rows, and a rest.
    fn merged(units: &[Unit], chosen: &[SegmentId], next_id: &mut u64) -> Vec<Unit> {
        let mut left: Vec<Unit> = units.iter().filter(|u| !chosen.contains(&u.id)).cloned().collect();
        let gone = units.iter().filter(|u| chosen.contains(&u.id));
        let (mut rows, mut size) = (0, 0);
        for unit in gone {
            rows += unit.live_rows();
            size += bytes(unit) * unit.live_rows() / unit.rows.max(1);
            if size >= 4 << 20 || rows >= 40_000 {
                *next_id += 1;
                left.push(segment(*next_id, rows, size.max(1), 0));
                (rows, size) = (0, 0);
            }
        }
        if rows > 0 {
            *next_id += 1;
            left.push(segment(*next_id, rows, size, 0));
        }
        left
    }

    #[test]
    fn nothing_is_done_for_a_few() {
        let units = [inline(1, 1, 0), segment(2, 100, 5_000, 0), segment(3, 100, 5_000, 29), segment(4, 1 << 20, 64 << 20, 0)];
        assert!(choose(&units, &policy()).is_empty());
    }

    #[test]
    fn dead_units_holes_inlined_and_small_ones_are_chosen() {
        let ids = |units: &[Unit]| choose(units, &policy()).iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(ids(&[segment(1, 5, 100, 5), inline(2, 3, 3), segment(3, 5, 100, 0)]), [1, 2]);
        assert_eq!(ids(&[segment(1, 10, 100 << 20, 3), segment(2, 10, 100, 0)]), [1]);
        let inlined: Vec<Unit> = (0..5).map(|i| inline(i, 1, 0)).chain([segment(9, 10, 10, 0)]).collect();
        assert_eq!(ids(&inlined), [0, 1, 2, 3, 4]);
        let small: Vec<Unit> = (0..4).map(|i| segment(i, 10, 1000, 0)).chain([segment(9, 9_000, 900_000, 0)]).collect();
        assert_eq!(ids(&small), [0, 1, 2, 3], "a larger one is not rewritten along");
    }

    #[test]
    fn a_row_is_rewritten_a_logarithmic_number_of_times() {
        let (mut units, mut next_id, mut written) = (Vec::new(), 1_000_000, 0u64);
        let inserts = 4_000u64;
        for i in 0..inserts {
            units.push(segment(i, 10, 1_000, 0));
            loop {
                let chosen = choose(&units, &policy());
                if chosen.is_empty() {
                    break;
                }
                written += units.iter().filter(|u| chosen.contains(&u.id)).map(|u| u.live_rows()).sum::<u64>();
                units = merged(&units, &chosen, &mut next_id);
            }
        }
        assert!(units.len() < 60, "{}", units.len());
        assert!(written < inserts * 10 * 30, "each row was written {} times", written / inserts / 10);
    }

    fn any_unit() -> impl Strategy<Value = (bool, u64, u64, u64)> {
        (any::<bool>(), 1..20_000u64, 1..3_000u64, 0..100u64)
    }

    proptest! {
        #[test]
        fn choosing_comes_to_rest(parts in prop::collection::vec(any_unit(), 0..80), asked in 0..3) {
            let small = policy();
            let full = CompactionPolicy { small_segment_bytes: small.small_segment_bytes, small_segment_rows: small.small_segment_rows, ..CompactionPolicy::full() };
            let policy = [small, CompactionPolicy { deleted_percent_min: 10, ..full.clone() }, full][asked as usize].clone();
            let mut units: Vec<Unit> = parts.iter().enumerate().map(|(i, (inlined, rows, row_bytes, percent))| {
                let deleted = if percent % 3 == 0 { rows * percent / 99 } else { 0 };
                let rows = if *inlined { rows % 50 + 1 } else { *rows };
                if *inlined { inline(i as u64, rows, deleted.min(rows)) } else { segment(i as u64, rows, rows * row_bytes, deleted.min(rows)) }
            }).collect();
            let live: u64 = units.iter().map(Unit::live_rows).sum();
            let mut next_id = 1_000;
            for round in 0.. {
                prop_assert!(round < 500, "no rest: {:?}", units.len());
                let chosen = choose(&units, &policy);
                prop_assert_eq!(&chosen, &choose(&units, &policy));
                if chosen.is_empty() { break; }
                units = merged(&units, &chosen, &mut next_id);
                prop_assert_eq!(live, units.iter().map(Unit::live_rows).sum::<u64>());
            }
            prop_assert!(units.iter().all(|u| u.live_rows() > 0));
            if asked > 0 {
                prop_assert!(units.iter().all(|u| matches!(u.source, UnitSource::Segment(_))));
            }
            if asked == 2 {
                prop_assert!(units.iter().all(|u| u.live_rows() == u.rows));
            }
        }
    }
}
