//! Mapped files as Arrow buffers, and the few constructors that trust bytes which were checked before.
//!
//! This is the only file of the crate with `unsafe` code. What it relies on:
//!
//! 1. A segment file never changes once it has its final name, so mapped bytes never change under a buffer.
//! 2. A buffer owns (a share of) the mapping that it points into, so the mapping outlives it.
//! 3. The `trusted_*` functions are called only with what the same process has validated before (see `reader`), or just built.
#![allow(unsafe_code)] // Mapping a file and pointing an Arrow buffer into it cannot be said in safe Rust.

use arrow::array::{ArrayData, ArrayDataBuilder, StringViewArray};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

/// The bytes of one finished file.
#[derive(Debug)]
pub(crate) enum Contents {
    /// Mapped from disk, privately and read-only.
    Mapped(memmap2::Mmap),
    /// Held on the heap (and 64-byte aligned, as Arrow allocates).
    Heap(Buffer),
}

impl Contents {
    /// Maps a file; an empty one, which cannot be mapped, becomes an empty heap buffer.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::Heap(Buffer::from(&[] as &[u8])));
        }
        // SAFETY: files that are opened for reading have their final name and are never written or truncated again (1).
        Ok(Self::Mapped(unsafe { memmap2::Mmap::map(file)? }))
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Heap(buffer) => buffer,
        }
    }

    /// Asks for pages ahead of their use.
    pub(crate) fn will_need(&self, range: Range<usize>) {
        if let Self::Mapped(map) = self {
            // A hint: if it is refused, the pages come when they are touched.
            let _ = map.advise_range(memmap2::Advice::WillNeed, range.start, range.len());
        }
    }

    /// A buffer over a range, with just that capacity; `None` if the range lies beyond the end.
    pub(crate) fn window(self: &Arc<Self>, range: Range<usize>) -> Option<Buffer> {
        let bytes = self.bytes().get(range)?;
        if bytes.is_empty() {
            return Some(Buffer::from(&[] as &[u8]));
        }
        // SAFETY: pointer and length come from a live slice of `self`, whose bytes neither move nor change (1), and the buffer
        // holds an `Arc` of `self` (2).
        Some(unsafe { Buffer::from_custom_allocation(NonNull::from(bytes).cast(), bytes.len(), self.clone()) })
    }
}

/// Builds array data without looking at the values. The same bytes must have passed `ArrayDataBuilder::build` before, or the data must be
/// of a fixed-width type and just made with a buffer of the right length.
pub(crate) fn trusted_data(builder: ArrayDataBuilder) -> ArrayData {
    // SAFETY: see (3): validated before, from bytes that cannot have changed since (1).
    unsafe { builder.build_unchecked() }
}

/// A string array of views that were taken from a valid array over the same `buffers`.
pub(crate) fn trusted_views(views: ScalarBuffer<u128>, buffers: Vec<Buffer>, nulls: Option<NullBuffer>) -> StringViewArray {
    // SAFETY: see (3): each view is a copy of one in an array that arrow validated against these buffers.
    unsafe { StringViewArray::new_unchecked(views, buffers, nulls) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    #[test]
    fn a_window_keeps_its_mapping_and_counts_only_itself() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7u8; 10_000]).unwrap();
        let contents = Arc::new(Contents::map(&file).unwrap());
        let window = contents.window(4096..4196).unwrap();
        assert!(contents.window(9_990..10_001).is_none());
        drop(contents);
        assert_eq!((window.len(), window.capacity()), (100, 100));
        assert!(window.iter().all(|b| *b == 7));
    }

    #[test]
    fn an_empty_file_maps_to_nothing() {
        let contents = Arc::new(Contents::map(&tempfile::tempfile().unwrap()).unwrap());
        assert!(contents.bytes().is_empty());
        assert_eq!(contents.window(0..0).unwrap().len(), 0);
    }
}
