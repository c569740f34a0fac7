//! Compaction: the live rows of the chosen units, in fewer and larger segments.

use crate::sample::*;
use arrow::compute::{concat_batches, filter_record_batch};
use std::sync::Arc;
use storage::compaction::{CompactionPolicy, choose, merge};
use storage::*;

fn mixed(store: &Arc<Store>, specs: &[ColumnSpec], batch: &arrow::array::RecordBatch) -> Vec<Unit> {
    let mut all = Vec::new();
    for i in 0..10 {
        let part = batch.slice(i * 20, 20);
        let mut unit = units(&write(store, specs, std::slice::from_ref(&part), small()).unwrap()).remove(0);
        if i % 2 == 0 {
            unit.source = UnitSource::Inline(inline::encode(specs, &part).unwrap().into());
        }
        unit.deletes = (i % 3 == 0).then(|| Arc::new(Deletes((0..5).collect())));
        all.push(unit);
    }
    all
}

#[test]
fn merging_keeps_the_live_rows_in_their_order() {
    let store = memory_store();
    let (specs, batch) = table(every_type(200));
    let units_before = mixed(&store, &specs, &batch);
    let keep = (0..200).map(|i| Some(!((i / 20) % 3 == 0 && i % 20 < 5))).collect();
    let expected = filter_record_batch(&batch, &keep).unwrap();
    assert_eq!(concat_batches(&schema(&specs), &[scan(&store, &units_before, request(&specs)).unwrap()]).unwrap(), expected);
    let mut bytes = 0;
    let written = merge(&store, &units_before, &specs, small(), ids(), &mut |b| {
        bytes += b;
        true
    });
    let written = written.unwrap().unwrap();
    assert!(bytes > 0 && written.inline.is_none());
    assert_eq!(scan(&store, &units(&written), request(&specs)).unwrap(), expected);
    let policy = CompactionPolicy { small_segments_min: 2, inline_units_min: 1, ..Default::default() };
    assert!(!choose(&units_before, &policy).is_empty());
    assert!(choose(&units(&written), &policy).is_empty());
}

#[test]
fn a_cancelled_merge_leaves_only_what_a_sweep_takes() {
    let store = memory_store();
    let (specs, batch) = table(every_type(200));
    let units_before = mixed(&store, &specs, &batch);
    let options = SegmentWriterOptions { segment_rows_max: 30, ..small() };
    let mut calls = 0;
    let cancelled = merge(&store, &units_before, &specs, options, ids(), &mut |_| {
        calls += 1;
        calls < 5
    });
    assert!(cancelled.unwrap().is_none());
    let live = units_before.iter().map(|u| u.id).collect();
    assert!(store.sweep(move || live).unwrap().0 > 0);
    assert_eq!(scan(&store, &units_before, request(&specs)).unwrap().num_rows(), 180);
}

#[test]
fn everything_deleted_leaves_no_segment() {
    let store = memory_store();
    let (specs, batch) = table(every_type(50));
    let mut unit = units(&write(&store, &specs, &[batch], small()).unwrap()).remove(0);
    unit.deletes = Some(Arc::new(Deletes((0..50).collect())));
    assert_eq!(choose(std::slice::from_ref(&unit), &CompactionPolicy::default()), [unit.id]);
    let written = merge(&store, &[unit], &specs, small(), ids(), &mut |_| true).unwrap().unwrap();
    assert!(written.segments.is_empty() && written.rows == 0);
}
