//! The write path crashes before every operation, and fills the disk at every write: what was handed over as durable is whole.

use crate::sample::*;
use arrow::array::RecordBatch;
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::directory::CrashingDirectory;
use storage::scrub::scrub;
use storage::*;

fn rows() -> (Vec<ColumnSpec>, RecordBatch) {
    table(every_type(120).split_off(15))
}

/// Writes two segments; gives those that were reported durable.
fn write_two(directory: &CrashingDirectory) -> (Vec<Unit>, storage::Result<()>) {
    let (specs, batch) = rows();
    let mut durable = Vec::new();
    let result = Store::open(Arc::new(directory.clone()), 10).and_then(|store| {
        for _ in 0..2 {
            durable.extend(units(&write(&store, &specs, std::slice::from_ref(&batch), small())?));
        }
        Ok(())
    });
    (durable, result)
}

#[test]
fn a_crash_before_any_operation_loses_nothing_durable() {
    let whole = CrashingDirectory::default();
    assert!(write_two(&whole).1.is_ok());
    let operations = whole.operations();
    for point in ["create", "write", "sync", "rename", "sync folder"] {
        assert!(operations.iter().any(|o| o.starts_with(point)), "{point} is not on the path: {operations:?}");
    }
    for crash in 1..=operations.len() {
        let directory = CrashingDirectory::default();
        directory.crash_before(crash);
        let (durable, result) = write_two(&directory);
        assert!(result.is_err(), "before {}", operations[crash - 1]);
        for seed in 0..20 {
            let recovered = directory.recover(seed);
            let manifest: Vec<(SegmentId, u64)> = durable.iter().map(|u| (u.id, u.rows)).collect();
            assert_eq!(scrub(&recovered, &manifest, &mut |_| ()), [], "before {}", operations[crash - 1]);
            let store = Store::open(Arc::new(recovered), 10).unwrap();
            let live: BTreeSet<SegmentId> = manifest.iter().map(|(id, _)| *id).collect();
            store.sweep(|| live.clone()).unwrap();
            assert_eq!(store.directory().list().unwrap().len(), live.len(), "orphans are gone");
        }
    }
}

#[test]
fn a_full_disk_is_named_and_its_space_given_back() {
    let whole = CrashingDirectory::default();
    write_two(&whole).1.unwrap();
    let writes: Vec<usize> = (0..whole.operations().len()).filter(|i| whole.operations()[*i].starts_with("write")).collect();
    for write in writes {
        let directory = CrashingDirectory::default();
        directory.disk_full_at(write + 1);
        let (durable, result) = write_two(&directory);
        assert!(matches!(result, Err(StorageError::DiskFull { .. })), "{result:?}");
        let files = directory.list().unwrap();
        assert_eq!(files.len(), durable.len(), "{files:?}");
    }
}
