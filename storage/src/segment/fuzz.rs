//! Altered segments: a reader refuses them or reads something valid, and never panics.
//!
//! First with checksums as they are, where every altered byte must be found; then with the checksums made right again, where what
//! stands behind them (ranges, Arrow's validation, keys) has to hold.
#![allow(clippy::unwrap_used)]

use super::format::{
    self, Block, KEY_BLOCK, KEY_FOOTER_CRC, KEY_VERSION, TRAILER_BYTES, footer_crc32c, format_place, metadata, open_block,
};
use super::*;
use crate::array_bytes::tests::every_type;
use crate::directory::{Directory, MemoryDirectory};
use crate::schema::{ColumnId, ColumnSpec, SegmentId};
use crate::scrub::scrub;
use crate::store::Store;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{Field, Schema};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

const ID: SegmentId = SegmentId(1);

/// The bytes of a segment with every type and several granules.
fn segment() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        // Long values would drown everything else: alterations should hit structure.
        let arrays: Vec<ArrayRef> = every_type().iter().filter(|a| a.get_buffer_memory_size() < 60_000).cloned().collect();
        let arrays: Vec<ArrayRef> = arrays.iter().map(|a| concat(&[a.as_ref(), a, a, a, a]).unwrap()).collect();
        let spec = |(i, a): (usize, &ArrayRef)| ColumnSpec {
            id: ColumnId(i as u32),
            name: format!("c{i}"),
            data_type: a.data_type().clone(),
            missing: None,
        };
        let specs: Vec<ColumnSpec> = arrays.iter().enumerate().map(spec).collect();
        let fields: Vec<Field> = specs.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect();
        let directory = Arc::new(MemoryDirectory::default());
        let store = Store::open(directory.clone(), 1).unwrap();
        let options = SegmentWriterOptions { granule_rows: 8, ..Default::default() };
        let mut writer = SegmentWriter::new(store, specs, options, Box::new(|| ID));
        writer.push(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()).unwrap();
        let _staged = writer.finish(0).unwrap();
        let file = directory.open(&file_name(ID)).unwrap();
        file.slice(0, file.len() as usize).unwrap().to_vec()
    })
}

fn directory_of(bytes: &[u8]) -> MemoryDirectory {
    let directory = MemoryDirectory::default();
    directory.create(&file_name(ID)).unwrap().write_all(bytes).unwrap();
    directory
}

/// Reads everything twice: checked, then trusted. What comes out must be valid.
fn read_all(bytes: &[u8]) -> crate::Result<()> {
    let segment = Segment::open(&directory_of(bytes), ID)?;
    let mut failed = Ok(());
    for _ in 0..2 {
        for column in 0..segment.column_count() {
            for granule in 0..segment.granules() {
                let _ = segment.granule_statistics(ColumnId(column as u32), granule);
                match segment.encoded(column, granule).and_then(|encoded| segment.decode(column, &encoded)) {
                    Ok(array) => array.to_data().validate_full()?,
                    Err(error) => failed = Err(error),
                }
            }
        }
    }
    failed
}

fn survives(bytes: &[u8]) -> crate::Result<()> {
    catch_unwind(AssertUnwindSafe(|| read_all(bytes))).unwrap_or_else(|_| panic!("the reader panicked"))
}

/// The file with a changed block, every checksum right again; `None` if the block's length changed.
fn with_block(bytes: &[u8], change: impl FnOnce(&mut Block)) -> Option<Vec<u8>> {
    let mut block = open_block("x", bytes).ok()?;
    let start = format::block_start("x", bytes).ok()?;
    let footer_length = u32::from_le_bytes(bytes[bytes.len() - TRAILER_BYTES..][..4].try_into().unwrap()) as usize;
    let footer_start = bytes.len() - TRAILER_BYTES - footer_length;
    change(&mut block);
    for column in &mut block.columns {
        for chunk in column.chunks.iter_mut().chain(&mut column.dictionary) {
            for (offset, length, crc) in &mut chunk.1 {
                *crc = bytes.get(*offset as usize..offset.checked_add(*length)? as usize).map_or(0x8000_0000, crc32c::crc32c);
            }
        }
    }
    let block = rmp_serde::to_vec_named(&block).unwrap();
    if start + block.len() != footer_start {
        return None;
    }
    let mut out = bytes.to_vec();
    out[start..footer_start].copy_from_slice(&block);
    let footer = &mut out[footer_start..footer_start + footer_length];
    let place = metadata(footer, KEY_BLOCK).unwrap().1;
    footer[place].copy_from_slice(format_place(start as u64, block.len(), crc32c::crc32c(&block)).as_bytes());
    let hole = metadata(footer, KEY_FOOTER_CRC).unwrap().1;
    let crc = footer_crc32c(footer, hole.clone());
    footer[hole].copy_from_slice(format!("{crc:08x}").as_bytes());
    Some(out)
}

#[test]
fn the_unaltered_segment_is_fine() {
    let rows = open_block("x", segment()).unwrap().rows;
    assert_eq!(scrub(&directory_of(segment()), &[(ID, rows)], &mut |_| ()), []);
    read_all(segment()).unwrap();
    read_all(&with_block(segment(), |_| ()).unwrap()).unwrap();
    let wrong = scrub(&directory_of(segment()), &[(ID, rows + 1), (SegmentId(2), 1)], &mut |_| ());
    assert_eq!(wrong.len(), 2, "{wrong:?}");
}

#[test]
fn every_altered_byte_is_found_by_a_scrub() {
    let rows = open_block("x", segment()).unwrap().rows;
    for place in (0..segment().len()).step_by(segment().len() / 1_500 + 1).chain(segment().len() - 60..segment().len()) {
        let mut altered = segment().to_vec();
        altered[place] ^= 1 << (place % 8);
        let found = scrub(&directory_of(&altered), &[(ID, rows)], &mut |_| ());
        assert!(!found.is_empty(), "byte {place} of {}", altered.len());
        assert!(found.iter().all(|f| f.file == file_name(ID)));
        let _ = survives(&altered);
    }
}

#[test]
fn every_truncation_is_refused() {
    let length = segment().len();
    for end in (0..length).step_by(length / 800 + 1).chain(length - 300..length) {
        assert!(survives(&segment()[..end]).is_err(), "cut at {end}");
    }
    assert!(survives(&[segment(), b"x"].concat()).is_err());
}

#[test]
fn a_newer_format_is_named() {
    let mut newer = segment().to_vec();
    let end = newer.len() - TRAILER_BYTES;
    let footer = end - u32::from_le_bytes(newer[end..end + 4].try_into().unwrap()) as usize;
    let version = metadata(&newer[footer..end], KEY_VERSION).unwrap().1;
    newer[footer + version.start] = b'9';
    assert!(matches!(read_all(&newer), Err(crate::StorageError::NewerFormat { found: 9, supported: 1, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn altered_bytes_are_survived(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut altered = segment().to_vec();
        for (place, value) in places {
            let place = place.index(altered.len());
            altered[place] = value;
        }
        let _ = survives(&altered);
    }

    #[test]
    fn altered_bytes_with_right_checksums_are_survived(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut altered = segment().to_vec();
        let end = format::block_start("x", &altered).unwrap();
        for (place, value) in places {
            altered[place.index(end)] = value;
        }
        if let Some(altered) = with_block(&altered, |_| ()) {
            let _ = survives(&altered);
        }
    }

    #[test]
    fn altered_structure_with_right_checksums_is_survived(
        columns in any::<[prop::sample::Index; 3]>(), kinds in any::<[u8; 3]>(), values in any::<[u16; 3]>(),
    ) {
        let altered = with_block(segment(), |block| {
            let count = block.columns.len();
            for ((column, kind), value) in columns.iter().zip(kinds).zip(values) {
                alter(&mut block.columns[column.index(count)], kind, value.into());
            }
        });
        if let Some(altered) = altered {
            let _ = survives(&altered);
        }
    }

    #[test]
    fn garbage_is_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..600), dressed in any::<bool>(), footer in 0..700u32) {
        if dressed {
            bytes.splice(0..0, *b"ARROW1\0\0");
            bytes.extend(footer.to_le_bytes());
            bytes.extend(b"ARROW1");
        }
        prop_assert!(survives(&bytes).is_err());
    }
}

/// Changes one thing about a column, keeping it of about the same length when serialized.
fn alter(column: &mut format::Column, kind: u8, value: u64) {
    let place = value as usize % column.chunks.len();
    let chunk = if kind & 0x80 != 0 { column.dictionary.as_mut() } else { None }.unwrap_or(&mut column.chunks[place]);
    let buffer = value as usize % chunk.1.len();
    match kind % 9 {
        0 => chunk.1[buffer].0 ^= 64 << (value % 8),
        1 => chunk.1[buffer].1 ^= 1 << (value % 6),
        2 => chunk.0[0].1 ^= value % 16,
        3 => chunk.0.last_mut().unwrap().0 ^= value % 64,
        4 => chunk.2.iter_mut().for_each(|count| *count ^= value as u32 % 8),
        5 => column.logical[0] = value as u8 % 48,
        6 => column.stored[0] = value as u8 % 48,
        7 => {
            let length = column.min.len().max(1);
            if let Some(byte) = column.min.get_mut(value as usize % length) {
                *byte ^= value as u8;
            }
        }
        _ => chunk.1.swap(0, buffer),
    }
}
