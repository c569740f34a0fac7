//! The byte trait: named files that are written once, synced, renamed into place, read whole through a mapping.
//!
//! Three implementations pass one suite: [`disk`], [`memory`], and [`crashing`], which can stop between any two
//! operations and then forgets whatever was not synced.

pub mod crashing;
pub mod disk;
pub mod memory;

use crate::error::Result;
use arrow::buffer::Buffer;
use std::fmt::Debug;
use std::sync::Arc;

/// A flat folder of immutable files.
pub trait Directory: Debug + Send + Sync {
    /// Creates `name` for writing, replacing an unfinished file of that name.
    fn create(&self, name: &str) -> Result<Box<dyn FileWriter>>;
    /// Opens `name` for reading.
    fn open(&self, name: &str) -> Result<Arc<dyn FileReader>>;
    /// Gives a synced file its final name. Durable only after [`Directory::sync`].
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a file; a mapping that is still held stays readable.
    fn remove(&self, name: &str) -> Result<()>;
    /// Makes renames and removals durable (fsync of the folder).
    fn sync(&self) -> Result<()>;
    /// All files, with their sizes in bytes, in no particular order.
    fn list(&self) -> Result<Vec<(String, u64)>>;
}

/// A file being written, front to back.
pub trait FileWriter: Send {
    /// Appends bytes.
    fn write_all(&mut self, bytes: &[u8]) -> Result<()>;
    /// Bytes written up to now.
    fn position(&self) -> u64;
    /// Makes everything written durable (fsync of the file).
    fn sync(&mut self) -> Result<()>;
}

/// A finished file.
pub trait FileReader: Debug + Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> u64;
    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A zero-copy view of a byte range, with a capacity of just that range; an error if it lies beyond the end.
    fn slice(&self, offset: u64, length: usize) -> Result<Buffer>;
    /// Asks the operating system to read a range ahead; returns at once. A hint: failures are ignored.
    fn prefetch(&self, _offset: u64, _length: usize) {}
}
