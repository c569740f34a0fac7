//! Tables to test with.

use arrow::array::*;
use arrow::datatypes::{Field, IntervalMonthDayNano, Schema, SchemaRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::directory::MemoryDirectory;
use storage::scan::{ColumnPredicate, Morsel, ScanMetrics, morsels};
use storage::segment::WrittenRows;
use storage::*;

pub(crate) fn spec(id: u32, array: &ArrayRef) -> ColumnSpec {
    ColumnSpec { id: ColumnId(id), name: format!("c{id}"), data_type: array.data_type().clone(), missing: None }
}

pub(crate) fn schema(specs: &[ColumnSpec]) -> SchemaRef {
    Arc::new(Schema::new(specs.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect::<Vec<_>>()))
}

/// A batch and what its columns are.
pub(crate) fn table(arrays: Vec<ArrayRef>) -> (Vec<ColumnSpec>, RecordBatch) {
    let specs: Vec<ColumnSpec> = arrays.iter().enumerate().map(|(i, a)| spec(i as u32, a)).collect();
    let batch = RecordBatch::try_new(schema(&specs), arrays).unwrap();
    (specs, batch)
}

pub(crate) fn memory_store() -> Arc<Store> {
    Store::open(Arc::new(MemoryDirectory::default()), 100).unwrap()
}

pub(crate) fn ids() -> Box<dyn FnMut() -> SegmentId + Send> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Box::new(|| SegmentId(NEXT.fetch_add(1, Ordering::Relaxed)))
}

pub(crate) fn small() -> SegmentWriterOptions {
    SegmentWriterOptions { granule_rows: 100, ..Default::default() }
}

pub(crate) fn write(
    store: &Arc<Store>,
    specs: &[ColumnSpec],
    batches: &[RecordBatch],
    options: SegmentWriterOptions,
) -> storage::Result<WrittenRows> {
    let mut writer = SegmentWriter::new(store.clone(), specs.to_vec(), options, ids());
    for batch in batches {
        writer.push(batch.clone())?;
    }
    writer.finish(0)
}

pub(crate) fn units(written: &WrittenRows) -> Vec<Unit> {
    let unit = |summary: &SegmentSummary| Unit {
        id: summary.id,
        rows: summary.rows,
        source: UnitSource::Segment(Arc::new(SegmentSummary::from_bytes(summary.to_bytes()).unwrap())),
        deletes: None,
    };
    written.segments.iter().map(|s| unit(&s.summary)).collect()
}

pub(crate) fn request(specs: &[ColumnSpec]) -> ScanRequest {
    ScanRequest { projection: specs.to_vec(), schema: schema(specs), predicates: vec![], row_ids: false, batch_rows: 64 }
}

pub(crate) fn scan_with(
    store: &Arc<Store>,
    units: &[Unit],
    request: ScanRequest,
    metrics: &Arc<ScanMetrics>,
) -> storage::Result<Vec<RecordBatch>> {
    let morsels: Vec<Morsel> = morsels(units, &request, 3, metrics);
    let request = Arc::new(request);
    morsels.into_iter().flat_map(|m| Scan::new(store.clone(), request.clone(), m, metrics.clone())).collect()
}

/// Scans; all batches as one.
pub(crate) fn scan(store: &Arc<Store>, units: &[Unit], request: ScanRequest) -> storage::Result<RecordBatch> {
    let schema = request.schema.clone();
    let batches = scan_with(store, units, request, &Arc::default())?;
    if schema.fields().is_empty() {
        let rows = batches.iter().map(|b| b.num_rows()).sum();
        return Ok(RecordBatch::try_new_with_options(schema, vec![], &RecordBatchOptions::new().with_row_count(Some(rows))).unwrap());
    }
    Ok(arrow::compute::concat_batches(&schema, &batches).unwrap())
}

/// A predicate from a closure on single values of a column.
pub(crate) struct Where<T> {
    pub(crate) id: u32,
    pub(crate) accepts: Box<dyn Fn(Option<T>) -> bool + Send + Sync>,
}

impl<T> std::fmt::Debug for Where<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Where({})", self.id)
    }
}

impl ColumnPredicate for Where<i64> {
    fn column(&self) -> ColumnId {
        ColumnId(self.id)
    }
    fn may_match(&self, _: &ColumnStatistics, _: u64) -> bool {
        true
    }
    fn evaluate(&self, values: &ArrayRef) -> storage::Result<BooleanArray> {
        Ok(values.as_primitive::<arrow::datatypes::Int64Type>().iter().map(|v| Some((self.accepts)(v))).collect())
    }
}

impl ColumnPredicate for Where<String> {
    fn column(&self) -> ColumnId {
        ColumnId(self.id)
    }
    fn may_match(&self, _: &ColumnStatistics, _: u64) -> bool {
        true
    }
    fn evaluate(&self, values: &ArrayRef) -> storage::Result<BooleanArray> {
        // NULL as a result must count as false.
        let accepts = |v: Option<&str>| (self.accepts)(v.map(String::from)).then_some(true);
        Ok(values.as_string_view().iter().map(accepts).collect())
    }
}

/// `rows` rows of every type that storage supports; every seventh is NULL.
pub(crate) fn every_type(rows: usize) -> Vec<ArrayRef> {
    let valid = |i: usize| i % 7 != 3;
    fn of<A: FromIterator<Option<V>> + Array + 'static, V>(
        rows: usize,
        valid: impl Fn(usize) -> bool,
        value: impl Fn(i64) -> V,
    ) -> ArrayRef {
        Arc::new((0..rows).map(|i| valid(i).then(|| value(i as i64))).collect::<A>())
    }
    let long = "long ".repeat(14_000);
    let text = |i: i64| match i % 5 {
        0 => String::new(),
        1 => format!("{i}"),
        2 => format!("a string beyond twelve bytes {i}"),
        3 if i < 100 => format!("{long}{i}"),
        _ => format!("ünï{i}"),
    };
    let decimal = |p: u8, s: i8, value: fn(i64) -> i128| -> ArrayRef {
        let values: Decimal128Array = (0..rows).map(|i| valid(i).then(|| value(i as i64))).collect();
        Arc::new(values.with_precision_and_scale(p, s).unwrap())
    };
    let mut lists = ListBuilder::new(StringViewBuilder::new());
    let mut numbers = ListBuilder::new(Int64Builder::new());
    for i in 0..rows {
        let length = i % 4;
        (0..length).for_each(|j| lists.values().append_option((j != 1).then(|| format!("element {i} {j} of a list"))));
        (0..length).for_each(|j| numbers.values().append_option((j != 2).then_some(i as i64)));
        lists.append(valid(i));
        numbers.append(valid(i));
    }
    let fixed = (0..rows).map(|i| valid(i).then(|| (i as u128 * 0x1_0000_0001).to_le_bytes()));
    vec![
        of::<BooleanArray, _>(rows, valid, |i| i % 3 == 0),
        of::<Int8Array, _>(rows, valid, |i| i as i8),
        of::<Int16Array, _>(rows, valid, |i| (i % 100) as i16),
        of::<Int32Array, _>(rows, valid, |i| i as i32 - 20),
        of::<Int32Array, _>(rows, valid, |i| (i as i32).wrapping_mul(0x0123_4567)),
        of::<Int64Array, _>(rows, valid, |i| i % 10),
        of::<Int64Array, _>(rows, valid, |i| i * 1000),
        of::<Int64Array, _>(rows, valid, |i| i.wrapping_mul(0x0123_4567_89ab_cdef)),
        of::<UInt64Array, _>(rows, valid, |i| u64::MAX - i as u64),
        of::<UInt64Array, _>(rows, valid, |i| i as u64 % 300),
        of::<UInt32Array, _>(rows, valid, |i| i as u32 % 200),
        of::<Float32Array, _>(rows, valid, |i| if i % 11 == 0 { f32::NAN } else { i as f32 / 3.0 }),
        of::<Float64Array, _>(rows, valid, |i| if i % 11 == 0 { -0.0 } else { 1.0 / i as f64 }),
        decimal(15, 2, |i| i128::from(i) * 100 - 5),
        decimal(15, 2, |i| i128::from(i) * 10_000_000_000),
        decimal(38, 10, |i| i128::from(i) * 10i128.pow(30)),
        of::<StringViewArray, _>(rows, valid, |i| ["AIR", "TRUCK", "", "a mode of transport that is long"][i as usize % 4]),
        of::<StringViewArray, _>(rows, valid, |i| format!("{:03}", i % 300)),
        of::<StringViewArray, _>(rows, valid, text),
        of::<BinaryViewArray, _>(rows, valid, |i| text(i).into_bytes()),
        of::<StringArray, _>(rows, valid, text),
        of::<LargeStringArray, _>(rows, valid, |i| format!("{}", i % 2)),
        of::<BinaryArray, _>(rows, valid, |i| vec![i as u8; i as usize % 40]),
        of::<Date32Array, _>(rows, valid, |i| 8_000 + i as i32),
        of::<Date32Array, _>(rows, valid, |i| i as i32 * 10_000 - 700_000),
        of::<Time64MicrosecondArray, _>(rows, valid, |i| i * 60_000_000),
        of::<TimestampMicrosecondArray, _>(rows, valid, |i| 1_700_000_000_000_000 + i * 3_600_000_000),
        of::<TimestampMicrosecondArray, _>(rows, valid, |i| 1_700_000_000_000_001 + i),
        Arc::new(
            (0..rows).map(|i| valid(i).then_some(i as i64 * 86_400_000_000)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"),
        ),
        of::<IntervalMonthDayNanoArray, _>(rows, valid, |i| IntervalMonthDayNano::new(i as i32, -1, i)),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 16).unwrap()),
        Arc::new(lists.finish()),
        Arc::new(numbers.finish()),
    ]
}
