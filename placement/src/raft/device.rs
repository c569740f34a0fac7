//! The bytes under the log: a redb backend that remembers how it failed, and the disk it lies on.
//!
//! redb answers every call after a failed one with "previous I/O error"; what went wrong first is what decides how to go on.

use super::PlacementError;
use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

/// Where the log's bytes are kept. Tests pass devices that fail, or lose power.
pub trait Device: Debug + Send + Sync {
    /// Opens the file at `path`, or makes an empty one.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageBackend>>;
    /// Is there a file at `path`?
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Gives the file at `from` the name `to`, durably.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Bytes that can still be written to `folder`.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// The file system.
#[derive(Debug)]
pub struct Disk;

impl Device for Disk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageBackend>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// The first failure of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No space was left; nothing that was written before is in doubt.
    Full,
    /// A sync failed: the kernel may have dropped what it could not write, so that nothing in its cache can be trusted.
    Sync(String),
    /// Anything else.
    Other(String),
}

impl From<&Failure> for PlacementError {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Full => Self::DiskFull,
            Failure::Sync(text) => Self::Storage(format!("a sync failed: {text}")),
            Failure::Other(text) => Self::Storage(text.clone()),
        }
    }
}

/// What went wrong first, if anything did.
pub(crate) type FirstFailure = Arc<Mutex<Option<Failure>>>;

/// Is this the error of a full disk, or of a used-up quota?
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A backend that notes its first failure.
#[derive(Debug)]
pub(crate) struct Observed {
    inner: Box<dyn StorageBackend>,
    first: FirstFailure,
}

impl Observed {
    pub(crate) fn new(inner: Box<dyn StorageBackend>) -> (Self, FirstFailure) {
        let first = FirstFailure::default();
        (Self { inner, first: first.clone() }, first)
    }

    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            let failure = if is_full(error) { Failure::Full } else { Failure::Other(error.to_string()) };
            self.first.lock().get_or_insert(failure);
        }
        result
    }
}

impl StorageBackend for Observed {
    fn len(&self) -> io::Result<u64> {
        self.note(self.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.note(self.inner.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(self.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let result = self.inner.sync_data();
        if let Err(error) = &result {
            self.first.lock().get_or_insert(Failure::Sync(error.to_string()));
        }
        result
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
