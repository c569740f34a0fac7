//! The byte trait: named files that are written once, synced, renamed into place, read whole through a mapping.
//!
//! Three implementations pass one suite: [`disk`], [`memory`], and [`crashing`], which can stop between any two
//! operations and then forgets whatever was not synced.

pub mod crashing;
pub mod disk;
pub mod memory;

pub use crashing::CrashingDirectory;
pub use disk::DiskDirectory;
pub use memory::MemoryDirectory;

use crate::error::{Result, StorageError};
use arrow::buffer::Buffer;
use std::fmt::Debug;
use std::io;
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
    /// The names alone: a folder of a hundred thousand files is read in a tenth of the time.
    fn names(&self) -> Result<Vec<String>> {
        Ok(self.list()?.into_iter().map(|(name, _)| name).collect())
    }
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

fn not_found(operation: &'static str, name: &str) -> StorageError {
    StorageError::io(operation, name, io::ErrorKind::NotFound.into())
}

fn beyond_end(name: &str, offset: u64, length: usize, file_bytes: u64) -> StorageError {
    StorageError::damaged(name, None, format!("bytes {offset} to +{length} lie beyond its end at {file_bytes}"))
}

#[cfg(test)]
mod tests {
    //! The suite that every implementation passes.
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(directory: &dyn Directory) -> Vec<(String, u64)> {
        let mut files = directory.list().unwrap();
        files.sort();
        files
    }

    fn write(directory: &dyn Directory, name: &str, bytes: &[u8]) {
        let mut file = directory.create(name).unwrap();
        for part in bytes.chunks(3) {
            file.write_all(part).unwrap();
        }
        assert_eq!(file.position(), bytes.len() as u64);
        file.sync().unwrap();
    }

    fn suite(directory: &dyn Directory) {
        assert_eq!(names(directory), []);
        write(directory, "a.tmp", b"unfinished");
        write(directory, "a.tmp", b"hello world");
        directory.rename("a.tmp", "a").unwrap();
        directory.sync().unwrap();
        write(directory, "empty", b"");
        assert_eq!(names(directory), [("a".to_string(), 11), ("empty".to_string(), 0)]);
        let mut bare = directory.names().unwrap();
        bare.sort();
        assert_eq!(bare, ["a", "empty"]);

        let file = directory.open("a").unwrap();
        assert_eq!(file.len(), 11);
        let world = file.slice(6, 5).unwrap();
        assert_eq!((world.as_slice(), world.capacity()), (&b"world"[..], 5));
        assert_eq!(file.slice(11, 0).unwrap().len(), 0);
        for (offset, length) in [(6, 6), (12, 0), (u64::MAX, 1), (1, usize::MAX)] {
            assert!(matches!(file.slice(offset, length), Err(StorageError::Damaged { .. })));
        }
        file.prefetch(0, 11);
        file.prefetch(5, usize::MAX);
        assert!(directory.open("empty").unwrap().is_empty());

        directory.remove("a").unwrap();
        directory.sync().unwrap();
        assert_eq!(world.as_slice(), b"world", "a mapping outlives its name");
        assert_eq!(file.slice(0, 5).unwrap().as_slice(), b"hello");
        for missing in [directory.open("a").map(drop), directory.remove("a"), directory.rename("a", "b")] {
            assert!(matches!(missing, Err(StorageError::Io { file, .. }) if file.starts_with('a')));
        }
        write(directory, "b", b"1");
        write(directory, "c", b"22");
        directory.rename("b", "c").unwrap();
        assert_eq!(directory.open("c").unwrap().slice(0, 1).unwrap().as_slice(), b"1");
    }

    #[test]
    fn on_disk() {
        let folder = tempfile::tempdir().unwrap();
        suite(&DiskDirectory::open(folder.path().join("new/segments")).unwrap());
    }

    #[test]
    fn in_memory() {
        suite(&MemoryDirectory::default());
    }

    #[test]
    fn crashing() {
        suite(&CrashingDirectory::default());
    }

    #[test]
    fn a_full_disk_has_its_own_error() {
        let full = io::Error::from_raw_os_error(28);
        assert!(matches!(StorageError::io("write", "x", full), StorageError::DiskFull { file } if file == "x"));
        let quota = io::Error::from_raw_os_error(122);
        assert!(matches!(StorageError::io("sync", "x", quota), StorageError::DiskFull { .. }));
    }
}
