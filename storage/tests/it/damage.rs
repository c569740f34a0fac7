//! What a user is told of a damaged segment: the file, and the column.

use crate::sample::*;
use std::sync::Arc;
use storage::directory::{Directory, MemoryDirectory};
use storage::scrub::scrub;
use storage::*;

#[test]
fn damage_in_one_column_names_it_and_leaves_the_others_readable() {
    let store = memory_store();
    let (specs, batch) = table(every_type(300));
    let written = write(&store, &specs, std::slice::from_ref(&batch), small()).unwrap();
    let unit = units(&written).remove(0);
    let name = format!("{}.arrow", unit.id);
    let file = store.directory().open(&name).unwrap();
    let mut bytes = file.slice(0, file.len() as usize).unwrap().to_vec();
    let place = bytes.windows(12).position(|w| w == b"twelve bytes").unwrap();
    bytes[place] = b'T';

    let directory = MemoryDirectory::default();
    directory.create(&name).unwrap().write_all(&bytes).unwrap();
    let found = scrub(&directory, &[(unit.id, unit.rows)], &mut |_| ());
    assert_eq!(found.len(), 1, "{found:?}");
    let column = found[0].column.clone().unwrap();
    assert_eq!(found[0].file, name);

    let store = Store::open(Arc::new(directory), 10).unwrap();
    for spec in &specs {
        for _ in 0..2 {
            let result = scan(&store, std::slice::from_ref(&unit), request(std::slice::from_ref(spec)));
            assert_eq!(result.is_err(), spec.name == column, "{}", spec.name);
            if let Err(error) = result {
                let text = error.to_string();
                assert!(text.contains(&name) && text.contains(&format!("column \"{column}\"")), "{text}");
            }
        }
    }
}

#[test]
fn a_missing_or_foreign_file_is_named() {
    let directory = Arc::new(MemoryDirectory::default());
    let store = Store::open(directory.clone(), 10).unwrap();
    assert!(store.segment(SegmentId(5)).unwrap_err().to_string().contains("0000000000000005.arrow"));
    directory.create("0000000000000006.arrow").unwrap().write_all(b"PAR1 or something else entirely").unwrap();
    assert!(matches!(store.segment(SegmentId(6)), Err(StorageError::Damaged { file, .. }) if file == "0000000000000006.arrow"));
    let (specs, batch) = table(every_type(10));
    let written = write(&store, &specs, &[batch], small()).unwrap();
    let name = format!("{}.arrow", written.segments[0].summary.id);
    directory.rename(&name, "0000000000000007.arrow").unwrap();
    assert!(store.segment(SegmentId(7)).unwrap_err().to_string().contains("it holds segment"));
}
