//! The scan against a naive one: predicates, deletes, missing columns, row ids, projections, every kind of unit.

use crate::sample::*;
use arrow::array::*;
use arrow::compute::{concat, filter_record_batch, take};
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use storage::scan::ScanMetrics;
use storage::*;

type Where64 = Where<i64>;

fn numbers() -> (Vec<ColumnSpec>, RecordBatch) {
    let number: Int64Array = (0..1000).map(|i| (i % 13 != 5).then_some(i)).collect();
    let word: StringViewArray = (0..1000).map(|i| (i % 11 != 2).then(|| format!("word{}", i % 20))).collect();
    let text: StringViewArray = (0..1000).map(|i| Some(format!("a text that is longer than a view {i}"))).collect();
    table(vec![Arc::new(number), Arc::new(word), Arc::new(text)])
}

fn number_is(accepts: impl Fn(Option<i64>) -> bool + Send + Sync + 'static) -> Arc<dyn ColumnPredicate> {
    Arc::new(Where64 { id: 0, accepts: Box::new(accepts) })
}

fn text_is(id: u32, accepts: impl Fn(Option<String>) -> bool + Send + Sync + 'static) -> Arc<dyn ColumnPredicate> {
    Arc::new(Where::<String> { id, accepts: Box::new(accepts) })
}

/// The three kinds of unit over the same rows.
fn kinds(store: &Arc<Store>, specs: &[ColumnSpec], batch: &RecordBatch) -> Vec<Unit> {
    let written = write(store, specs, std::slice::from_ref(batch), small()).unwrap();
    let segment = units(&written).remove(0);
    let inline = UnitSource::Inline(inline::encode(specs, batch).unwrap().into());
    let memory = UnitSource::Batch { columns: specs.iter().map(|s| s.id).collect(), batch: batch.clone() };
    vec![segment.clone(), Unit { source: inline, ..segment.clone() }, Unit { source: memory, ..segment }]
}

#[test]
fn predicates_and_deletes_leave_what_they_should() {
    let store = memory_store();
    let (specs, batch) = numbers();
    type Predicates = Vec<(usize, Arc<dyn ColumnPredicate>)>;
    type Accepts = Box<dyn Fn(usize) -> bool>;
    let cases: Vec<(Predicates, Accepts)> = vec![
        (vec![], Box::new(|_| true)),
        (vec![(0, number_is(|v| v.is_some_and(|v| v < 500)))], Box::new(|i| i < 500 && i % 13 != 5)),
        (vec![(0, number_is(|v| v.is_none()))], Box::new(|i| i % 13 == 5)),
        (vec![(1, text_is(1, |v| v.is_none()))], Box::new(|i| i % 11 == 2)),
        (vec![(1, text_is(1, |v| v.as_deref() == Some("word7")))], Box::new(|i| i % 20 == 7 && i % 11 != 2)),
        (vec![(1, text_is(1, |v| v.as_deref() == Some("none")))], Box::new(|_| false)),
        (
            vec![
                (1, text_is(1, |v| v.as_deref() == Some("word7"))),
                (2, text_is(2, |v| v.unwrap().ends_with('7'))),
                (0, number_is(|v| v.is_some())),
            ],
            Box::new(|i| i % 20 == 7 && i % 11 != 2 && i % 13 != 5),
        ),
    ];
    let gone: Vec<Option<Arc<Deletes>>> = vec![
        None,
        Some(Arc::new(Deletes((0..1000).filter(|i| i % 3 == 0).collect()))),
        Some(Arc::new(Deletes((100..200).chain([999]).collect()))),
    ];
    for (predicates, accepts) in &cases {
        for deletes in &gone {
            let keep = |i: usize| accepts(i) && deletes.as_ref().is_none_or(|d| !d.0.contains(i as u32));
            let mask: BooleanArray = (0..1000).map(|i| Some(keep(i))).collect();
            let expected = filter_record_batch(&batch, &mask).unwrap();
            for mut unit in kinds(&store, &specs, &batch) {
                unit.deletes = deletes.clone();
                let mut request = request(&specs);
                request.predicates = predicates.iter().map(|(i, p)| (specs[*i].clone(), p.clone())).collect();
                assert_eq!(scan(&store, std::slice::from_ref(&unit), request.clone()).unwrap(), expected);
                request.projection.clear();
                request.schema = schema(&[]);
                assert_eq!(scan(&store, &[unit], request).unwrap().num_rows(), expected.num_rows());
            }
        }
    }
}

#[test]
fn row_ids_name_the_rows() {
    let store = memory_store();
    let (specs, batch) = numbers();
    for unit in kinds(&store, &specs, &batch) {
        let fields = vec![
            Field::new("c2", DataType::Utf8View, true),
            Field::new("segment", DataType::UInt64, false),
            Field::new("row", DataType::UInt32, false),
        ];
        let request = ScanRequest {
            projection: vec![specs[2].clone()],
            schema: Arc::new(Schema::new(fields)),
            predicates: vec![(specs[0].clone(), number_is(|v| v.is_some_and(|v| v % 9 == 0)))],
            row_ids: true,
            batch_rows: 50,
        };
        let unit = Unit { deletes: Some(Arc::new(Deletes([9, 900].into_iter().collect()))), ..unit };
        let found = scan(&store, std::slice::from_ref(&unit), request).unwrap();
        assert!(found.column(1).as_primitive::<arrow::datatypes::UInt64Type>().iter().all(|s| s == Some(unit.id.0)));
        let rows = found.column(2).as_primitive::<arrow::datatypes::UInt32Type>();
        assert!(rows.iter().flatten().all(|row| row % 9 == 0 && row != 9 && row != 900) && rows.len() > 90);
        assert_eq!(found.column(0), &take(batch.column(2), rows, None).unwrap());
    }
}

#[test]
fn a_column_added_later_has_its_missing_value() {
    let store = memory_store();
    let (specs, batch) = numbers();
    let added =
        ColumnSpec { id: ColumnId(7), name: "new".into(), data_type: DataType::Int64, missing: Some(Arc::new(Int64Array::from(vec![42]))) };
    let null = ColumnSpec { id: ColumnId(8), name: "null".into(), data_type: DataType::Utf8View, missing: None };
    for unit in kinds(&store, &specs, &batch) {
        let found = scan(&store, std::slice::from_ref(&unit), request(&[added.clone(), null.clone(), specs[0].clone()])).unwrap();
        assert_eq!(found.column(0).as_primitive::<arrow::datatypes::Int64Type>(), &Int64Array::from(vec![42; 1000]));
        assert_eq!(found.column(1).null_count(), 1000);
        assert_eq!(found.column(2), batch.column(0));
        for (wanted, rows) in [(42, 1000), (43, 0)] {
            let mut request = request(&specs[..1]);
            request.predicates = vec![(added.clone(), Arc::new(Where64 { id: 7, accepts: Box::new(move |v| v == Some(wanted)) }))];
            assert_eq!(scan(&store, std::slice::from_ref(&unit), request).unwrap().num_rows(), rows);
        }
    }
}

/// `column < limit`, told by statistics.
#[derive(Debug)]
struct Below(i64);

impl ColumnPredicate for Below {
    fn column(&self) -> ColumnId {
        ColumnId(0)
    }
    fn may_match(&self, statistics: &ColumnStatistics, rows: u64) -> bool {
        let min = statistics.min.as_ref().map(|m| m.as_primitive::<arrow::datatypes::Int64Type>().value(0));
        min.map_or(statistics.nulls < rows, |min| min < self.0)
    }
    fn evaluate(&self, values: &ArrayRef) -> storage::Result<BooleanArray> {
        Ok(values.as_primitive::<arrow::datatypes::Int64Type>().iter().map(|v| v.map(|v| v < self.0)).collect())
    }
}

#[test]
fn statistics_skip_granules_and_units() {
    let store = memory_store();
    let (specs, batch) = numbers();
    let written = write(&store, &specs, &[batch], small()).unwrap();
    let below = |limit: i64| {
        let mut request = request(&specs[1..2]);
        request.predicates = vec![(specs[0].clone(), Arc::new(Below(limit)))];
        let metrics = Arc::new(ScanMetrics::default());
        let rows: usize = scan_with(&store, &units(&written), request, &metrics).unwrap().iter().map(|b| b.num_rows()).sum();
        let touched = metrics.bytes_touched.load(Relaxed);
        (rows, metrics.granules_scanned.load(Relaxed), metrics.granules_pruned.load(Relaxed), metrics.units_pruned.load(Relaxed), touched)
    };
    let (rows, scanned, pruned, units_pruned, touched) = below(150);
    assert_eq!((rows, scanned, pruned, units_pruned), (138, 2, 8, 0));
    assert!(touched > 0 && touched < 1000, "{touched}");
    assert_eq!(below(0), (0, 0, 10, 1, 0));
}

#[test]
fn batches_are_bounded_and_plain_ones_are_not_copied() {
    let store = memory_store();
    let plain: Int64Array = (0..1000).map(|i: i64| Some(i.wrapping_mul(0x0123_4567_89ab_cdef))).collect();
    let (specs, batch) = table(vec![Arc::new(plain)]);
    let written = write(&store, &specs, &[batch], small()).unwrap();
    let read = || scan_with(&store, &units(&written), request(&specs), &Arc::default()).unwrap();
    let (first, second) = (read(), read());
    assert!(first.iter().all(|b| b.num_rows() <= 64));
    let address = |b: &RecordBatch| b.column(0).to_data().buffers()[0].as_ptr();
    assert!(first.iter().zip(&second).all(|(a, b)| a.num_rows() > 64 || a.num_columns() == b.num_columns()));
    let within_chunk = first[0].column(0).to_data().buffers()[0].as_ptr();
    assert_eq!(first[1].column(0).to_data().buffers()[0].as_ptr() as usize - within_chunk as usize, 64 * 8);
    assert!(first.iter().all(|b| b.column(0).get_buffer_memory_size() <= 100 * 8), "charged with its chunk at most");
    assert!(!address(&second[0]).is_null());
}

#[test]
fn clustered_segments_are_sorted_nulls_last() {
    let store = memory_store();
    let (specs, batch) = numbers();
    let options = SegmentWriterOptions { cluster_by: vec![ColumnId(1), ColumnId(0)], ..small() };
    let written = write(&store, &specs, &[batch.slice(500, 500), batch.slice(0, 500)], options).unwrap();
    assert_eq!(written.segments[0].summary.sorted_by, [ColumnId(1), ColumnId(0)]);
    let found = scan(&store, &units(&written), request(&specs)).unwrap();
    let key = |i: usize| {
        let (word, number) = (found.column(1).as_string_view(), found.column(0).as_primitive::<arrow::datatypes::Int64Type>());
        let word = word.is_valid(i).then(|| word.value(i));
        let number = number.is_valid(i).then(|| number.value(i));
        (word.is_none(), word, number.is_none(), number)
    };
    assert!((1..1000).all(|i| key(i - 1) <= key(i)));
    assert_eq!(found.num_rows(), 1000);
    let texts = |b: &RecordBatch| {
        let mut texts: Vec<String> = b.column(2).as_string_view().iter().flatten().map(String::from).collect();
        texts.sort();
        texts
    };
    assert_eq!(texts(&found), texts(&batch), "rows stay whole in number");
    let all = concat(&[found.column(0), batch.column(0)]).unwrap();
    assert_eq!(all.null_count(), 2 * batch.column(0).null_count());
}

#[test]
fn a_failing_predicate_ends_the_scan_with_its_error() {
    #[derive(Debug)]
    struct Fails;
    impl ColumnPredicate for Fails {
        fn column(&self) -> ColumnId {
            ColumnId(0)
        }
        fn may_match(&self, _: &ColumnStatistics, _: u64) -> bool {
            true
        }
        fn evaluate(&self, _: &ArrayRef) -> storage::Result<BooleanArray> {
            Err(arrow::error::ArrowError::DivideByZero.into())
        }
    }
    let store = memory_store();
    let (specs, batch) = numbers();
    let written = write(&store, &specs, &[batch], small()).unwrap();
    let mut request = request(&specs);
    request.predicates = vec![(specs[0].clone(), Arc::new(Fails))];
    let metrics = Arc::new(ScanMetrics::default());
    let morsel = storage::scan::morsels(&units(&written), &request, 100, &metrics).remove(0);
    let mut scan = Scan::new(store, Arc::new(request), morsel, metrics);
    assert!(scan.next().unwrap().is_err());
    assert!(scan.next().is_none());
}
