//! Reads a log that no server has open, and changes nothing: what redb writes to repair a file that was not closed stays in memory.

use super::PlacementError;
use super::device::Device;
use super::log_file::{FILE_NAME, LogFile};
use super::state_machine::StateMachine;
use crate::state::State;
use arc_swap::ArcSwap;
use openraft::storage::RaftStateMachine;
use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

/// Verifies every checksum of the log in `folder`, and returns the state that it comes to.
pub async fn inspect(folder: &Path) -> Result<State, PlacementError> {
    let file = Arc::new(LogFile::open(&View(&ReadOnlyDisk), folder)?);
    let published = Arc::new(ArcSwap::from_pointee(State::default()));
    let mut machine = StateMachine::recover(file.clone(), published.clone())?;
    let last_applied = machine.applied_state().await.map_err(|error| PlacementError::Storage(error.to_string()))?.0;
    let entries = file.entries(last_applied.map_or(0, |id| id.index + 1)..)?;
    machine.apply(entries).await.map_err(|error| PlacementError::Storage(error.to_string()))?;
    file.close();
    Ok(State::clone(&published.load()))
}

/// The file system, never written.
#[derive(Debug)]
struct ReadOnlyDisk;

impl Device for ReadOnlyDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageBackend>> {
        let file = File::open(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        if file.metadata()?.len() == 0 {
            return Err(io::Error::other(format!("{FILE_NAME} is empty")));
        }
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    /// A missing file is found out by opening it.
    fn exists(&self, _path: &Path) -> io::Result<bool> {
        Ok(true)
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn free_bytes(&self, _folder: &Path) -> io::Result<u64> {
        Ok(0)
    }
}

/// A device as it is now; what is written to it stays in memory.
#[derive(Debug)]
pub(crate) struct View<'a>(pub(crate) &'a dyn Device);

impl Device for View<'_> {
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageBackend>> {
        let file = self.0.open(path)?;
        let len = file.len()?;
        Ok(Box::new(Overlay { file, written: Mutex::new(Written { len, file_len: len, pages: BTreeMap::new() }) }))
    }

    fn exists(&self, _path: &Path) -> io::Result<bool> {
        Ok(true)
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn free_bytes(&self, _folder: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

const PAGE_BYTES: u64 = 4096;

/// A file, and in memory what was written over it.
#[derive(Debug)]
struct Overlay {
    file: Box<dyn StorageBackend>,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// Bytes of the file that still show.
    file_len: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn page(&self, written: &Written, page: u64) -> io::Result<Vec<u8>> {
        if let Some(bytes) = written.pages.get(&page) {
            return Ok(bytes.clone());
        }
        let mut bytes = vec![0; PAGE_BYTES as usize];
        let start = page * PAGE_BYTES;
        let shown = written.file_len.saturating_sub(start).min(PAGE_BYTES) as usize;
        self.file.read(start, &mut bytes[..shown])?;
        Ok(bytes)
    }

    /// Each page that `len` bytes from `offset` touch, the range in it, and the range in those bytes.
    fn spans(offset: u64, len: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
        let end = offset + len as u64;
        (offset / PAGE_BYTES..end.div_ceil(PAGE_BYTES)).map(move |page| {
            let (from, to) = (offset.max(page * PAGE_BYTES), end.min((page + 1) * PAGE_BYTES));
            let in_page = (from - page * PAGE_BYTES) as usize..(to - page * PAGE_BYTES) as usize;
            (page, in_page, (from - offset) as usize..(to - offset) as usize)
        })
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written.lock();
        if offset.saturating_add(out.len() as u64) > written.len {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "read beyond the end of the file"));
        }
        for (page, in_page, in_out) in Self::spans(offset, out.len()) {
            out[in_out].copy_from_slice(&self.page(&written, page)?[in_page]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written.lock();
        written.file_len = written.file_len.min(len);
        written.pages.retain(|page, _| page * PAGE_BYTES < len);
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock();
        for (page, in_page, in_data) in Self::spans(offset, data.len()) {
            let mut bytes = self.page(&written, page)?;
            bytes[in_page].copy_from_slice(&data[in_data]);
            written.pages.insert(page, bytes);
        }
        written.len = written.len.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    /// Whoever does not write needs no more than to keep writers out, which a file opened for reading can do.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}
