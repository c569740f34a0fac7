//! A disk in memory that loses power, fills up, and counts.

use parking_lot::Mutex;
use placement::raft::device::Device;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::{BackendError, StorageBackend};
use std::collections::HashMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTOR_BYTES: usize = 512;

/// An imagined disk. Whoever opens a file sees what was written; a loss of power leaves what was synced, and some of the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medium(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    names: HashMap<PathBuf, usize>,
    files: Vec<File>,
    /// Counts the losses of power; an older handle is dead.
    generation: u64,
    /// Changes until the power fails.
    power: Option<u64>,
    /// Changes until the disk is full.
    space: Option<u64>,
    /// What the disk says is free.
    free_bytes: Option<u64>,
    syncs: u64,
}

#[derive(Debug, Default)]
struct File {
    /// What a reader sees.
    current: Vec<u8>,
    /// What has survived.
    durable: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Medium {
    /// Cuts the power after `changes` more changes.
    pub(crate) fn cut_power_after(&self, changes: u64) {
        self.0.lock().power = Some(changes);
    }

    /// Lets the disk be full after `changes` more changes, or never.
    pub(crate) fn full_after(&self, changes: Option<u64>) {
        self.0.lock().space = changes;
    }

    pub(crate) fn say_free(&self, bytes: Option<u64>) {
        self.0.lock().free_bytes = bytes;
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Power is back: a random part of what was not synced has reached the disk, sector by sector.
    pub(crate) fn restore_power(&self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut inner = self.0.lock();
        let keep: f64 = [0.0, 0.5, 0.9, 1.0][rng.random_range(0..4)];
        for file in &mut inner.files {
            file.unsynced.drain(..).for_each(|change| survive(&mut file.durable, change, keep, &mut rng));
            file.current = file.durable.clone();
        }
        inner.generation += 1;
        inner.power = None;
    }
}

fn survive(durable: &mut Vec<u8>, change: Change, keep: f64, rng: &mut StdRng) {
    match change {
        Change::Length(_) if !rng.random_bool(keep) => {}
        Change::Length(_) => change.apply(durable),
        Change::Write(mut offset, bytes) => {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (sector, next) = rest.split_at(rest.len().min(SECTOR_BYTES - offset % SECTOR_BYTES));
                if rng.random_bool(keep) {
                    Change::Write(offset, sector.to_vec()).apply(durable);
                }
                offset += sector.len();
                rest = next;
            }
        }
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Length(length) => file.resize(*length, 0),
            Change::Write(offset, bytes) => {
                let end = offset + bytes.len();
                file.resize(file.len().max(end), 0);
                file[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Inner {
    fn change(&mut self, file: usize, change: Change) -> io::Result<()> {
        self.spend_power()?;
        match &mut self.space {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        change.apply(&mut self.files[file].current);
        self.files[file].unsynced.push(change);
        Ok(())
    }

    fn spend_power(&mut self) -> io::Result<()> {
        match &mut self.power {
            Some(0) => Err(io::Error::other("the power is cut")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Device for Medium {
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageBackend>> {
        let mut inner = self.0.lock();
        let next = inner.files.len();
        let file = *inner.names.entry(path.to_owned()).or_insert(next);
        if file == next {
            inner.files.push(File::default());
        }
        Ok(Box::new(Handle { medium: self.clone(), file, generation: inner.generation }))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.0.lock().names.contains_key(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.spend_power()?;
        let file = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn free_bytes(&self, _folder: &Path) -> io::Result<u64> {
        Ok(self.0.lock().free_bytes.unwrap_or(u64::MAX))
    }
}

#[derive(Debug)]
struct Handle {
    medium: Medium,
    file: usize,
    generation: u64,
}

impl Handle {
    fn with<T>(&self, run: impl FnOnce(&mut Inner) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.medium.0.lock();
        if inner.generation == self.generation { run(&mut inner) } else { Err(io::Error::other("the handle is of another life")) }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.with(|inner| Ok(inner.files[self.file].current.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|inner| {
            let bytes = inner.files[self.file].current.get(offset as usize..).and_then(|rest| rest.get(..out.len()));
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|inner| inner.change(self.file, Change::Length(len as usize)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|inner| {
            inner.spend_power()?;
            inner.syncs += 1;
            let File { durable, unsynced, .. } = &mut inner.files[self.file];
            unsynced.drain(..).for_each(|change| change.apply(durable));
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|inner| inner.change(self.file, Change::Write(offset as usize, data.to_vec())))
    }

    fn try_lock_range(&self, _start: Bound<u64>, _end: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _start: Bound<u64>, _end: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _start: Bound<u64>, _end: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}
