//! Every type comes back exactly, in any number of rows, NULL or not, through files and inlined.

use crate::sample::*;
use arrow::array::*;
use arrow::compute::concat_batches;
use std::sync::Arc;
use storage::directory::DiskDirectory;
use storage::*;

fn comes_back(store: &Arc<Store>, specs: &[ColumnSpec], batches: &[RecordBatch], options: SegmentWriterOptions) {
    let expected = concat_batches(&schema(specs), batches).unwrap();
    let written = write(store, specs, batches, options).unwrap();
    assert_eq!(written.rows, expected.num_rows() as u64);
    let units = units(&written);
    for _ in 0..2 {
        // The second time nothing is validated any more.
        let found = scan(store, &units, request(specs)).unwrap();
        assert_eq!(found.num_rows(), expected.num_rows());
        for ((found, expected), spec) in found.columns().iter().zip(expected.columns()).zip(specs) {
            assert_eq!(found, expected, "{} {}", spec.name, spec.data_type);
            found.to_data().validate_full().unwrap();
        }
    }
    let manifest: Vec<(SegmentId, u64)> = units.iter().map(|u| (u.id, u.rows)).collect();
    assert_eq!(scrub::scrub(store.directory().as_ref(), &manifest, &mut |_| ()), []);
}

#[test]
fn of_every_number_of_rows() {
    for rows in [1, 2, 4, 99, 100, 101, 700] {
        let (specs, batch) = table(every_type(rows));
        comes_back(&memory_store(), &specs, &[batch], small());
    }
}

#[test]
fn on_disk_in_uneven_batches_and_many_segments() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Arc::new(DiskDirectory::open(folder.path()).unwrap()), 2).unwrap();
    let (specs, batch) = table(every_type(1000));
    let parts: Vec<RecordBatch> = [0..1, 1..8, 8..500, 500..500, 500..1000].map(|r| batch.slice(r.start, r.len())).into();
    comes_back(&store, &specs, &parts, SegmentWriterOptions { segment_rows_max: 130, ..small() });
    comes_back(&store, &specs, &parts, SegmentWriterOptions { segment_bytes_max: 100_000, ..small() });
}

#[test]
fn all_null_and_none_null() {
    let arrays = every_type(300);
    let nulls = arrays.iter().map(|a| new_null_array(a.data_type(), 250)).collect();
    let (specs, batch) = table(nulls);
    comes_back(&memory_store(), &specs, &[batch], small());
    let present = BooleanArray::from_iter((0..300).map(|i| Some(i % 7 != 3)));
    let (specs, batch) = table(arrays);
    let present = arrow::compute::filter_record_batch(&batch, &present).unwrap();
    assert!(present.columns().iter().all(|c| c.null_count() == 0));
    comes_back(&memory_store(), &specs, &[present], small());
}

#[test]
fn no_rows_leave_nothing() {
    let store = memory_store();
    let (specs, batch) = table(every_type(0));
    let written = write(&store, &specs, &[batch], small()).unwrap();
    assert!(written.segments.is_empty() && written.inline.is_none() && written.rows == 0);
    assert_eq!(store.disk_bytes().unwrap(), 0);
}

#[test]
fn rows_without_columns_are_counted() {
    let store = memory_store();
    let options = RecordBatchOptions::new().with_row_count(Some(250));
    let batch = RecordBatch::try_new_with_options(schema(&[]), vec![], &options).unwrap();
    let written = write(&store, &[], &[batch.clone(), batch], small()).unwrap();
    assert_eq!(scan(&store, &units(&written), request(&[])).unwrap().num_rows(), 500);
}

#[test]
fn few_rows_are_handed_back() {
    let store = memory_store();
    let (specs, batch) = table(every_type(5));
    let mut writer = SegmentWriter::new(store.clone(), specs.clone(), small(), ids());
    writer.push(batch.clone()).unwrap();
    let written = writer.finish(1 << 20).unwrap();
    let inline = written.inline.unwrap();
    assert_eq!(inline.columns(), batch.columns());
    let bytes = inline::encode(&specs, &inline).unwrap();
    let unit = Unit { id: SegmentId(1), rows: 5, source: UnitSource::Inline(bytes.into()), deletes: None };
    assert_eq!(scan(&store, &[unit], request(&specs)).unwrap(), batch);
    assert_eq!(store.disk_bytes().unwrap(), 0);
}

#[test]
fn megabytes_in_one_value() {
    let store = memory_store();
    let big = "0123456789".repeat(500_000);
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter((0..10).map(|i| (i != 4).then(|| format!("{i}{big}")))));
    let blobs: ArrayRef = Arc::new(BinaryViewArray::from_iter((0..10).map(|i| (i != 5).then(|| format!("{i}{big}").into_bytes()))));
    let (specs, batch) = table(vec![texts, blobs]);
    comes_back(&store, &specs, &[batch], SegmentWriterOptions { segment_bytes_max: 20 << 20, ..Default::default() });
}

#[test]
fn encodings_make_it_small() {
    let rows = 100_000i64;
    let store = memory_store();
    let dates: Date32Array = (0..rows).map(|i| Some(8_000 + i as i32 % 2_500)).collect();
    let prices: Decimal128Array = (0..rows).map(|i| Some(i128::from(i) * 37)).collect();
    let modes: StringViewArray = (0..rows).map(|i| Some(["AIR", "TRUCK", "MAIL", "SHIP"][i as usize % 4])).collect();
    let quantities: Int64Array = (0..rows).map(|i| Some(i % 50)).collect();
    let hours: TimestampMicrosecondArray =
        (0..rows).map(|i| Some(1_357_000_000_000_000 / 3_600_000_000 * 3_600_000_000 + i * 3_600_000_000)).collect();
    let prices = prices.with_precision_and_scale(15, 2).unwrap();
    let (specs, batch) = table(vec![Arc::new(dates), Arc::new(prices), Arc::new(modes), Arc::new(quantities), Arc::new(hours)]);
    let written = write(&store, &specs, &[batch], Default::default()).unwrap();
    let summary = &written.segments[0].summary;
    let bytes: Vec<u64> = summary.columns.iter().map(|c| c.bytes / rows as u64).collect();
    assert_eq!(bytes, [2, 4, 1, 1, 4], "bytes per value");
    assert!(summary.disk_bytes < 13 * rows as u64);
    let distinct: Vec<u64> = summary.columns.iter().map(|c| c.distinct).collect();
    assert!((2_400..2_600).contains(&distinct[0]) && (47..53).contains(&distinct[3]) && distinct[2] == 4, "{distinct:?}");
    assert_eq!(summary.sorted_by, [ColumnId(1)], "the first that is sorted");
}

#[test]
fn a_writer_holds_no_more_than_a_segment() {
    let store = memory_store();
    let (specs, batch) = table(every_type(2_000));
    // One batch is larger than a segment may be; and slices of it must not be charged, nor held, as the whole.
    let options = SegmentWriterOptions { segment_bytes_max: 200_000, ..small() };
    let mut writer = SegmentWriter::new(store.clone(), specs.clone(), options, ids());
    for start in (0..2_000).step_by(10) {
        writer.push(batch.slice(start, 10)).unwrap();
        assert!(writer.buffered_bytes() < 200_000);
    }
    writer.push(batch.clone()).unwrap();
    assert!(writer.buffered_bytes() < 200_000);
    let written = writer.finish(0).unwrap();
    assert!(written.segments.len() > 10);
    let largest = written.segments.iter().map(|s| s.summary.decoded_bytes).max().unwrap();
    assert!(largest < 200_000 + 10 * 2 * 71_000, "{largest}");
    assert_eq!(scan(&store, &units(&written), request(&specs)).unwrap(), concat_batches(&schema(&specs), [&batch, &batch]).unwrap());
}

#[test]
fn unsupported_types_are_refused() {
    let (specs, batch) = table(vec![Arc::new(NullArray::new(3))]);
    let refused = write(&memory_store(), &specs, &[batch], small()).unwrap_err();
    assert!(refused.to_string().contains("cannot be stored"), "{refused}");
}

#[test]
fn a_segment_is_an_arrow_file() {
    let store = memory_store();
    let (specs, batch) = table(every_type(250));
    let written = write(&store, &specs, std::slice::from_ref(&batch), small()).unwrap();
    let file = store.directory().open(&format!("{}.arrow", written.segments[0].summary.id)).unwrap();
    let bytes = file.slice(0, file.len() as usize).unwrap();
    let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes.as_slice()), None).unwrap();
    let batches: Vec<RecordBatch> = reader.map(|b| b.unwrap()).collect();
    assert_eq!(batches.len(), 3);
    let modes = arrow::compute::cast(batches[0].column(16), &arrow::datatypes::DataType::Utf8View).unwrap();
    assert_eq!(&modes, &batch.column(16).slice(0, 100));
}
