//! The redb file of the log: entries, vote, what is committed and purged, and the raft snapshot.
//!
//! Every change is one redb transaction with one sync; the file is whole after a crash at any moment.
//! Each value ends with its CRC-32C, and every page is verified when the file is opened, before anything is written. A file that was closed
//! and is damaged is refused. One that was not closed may end in a transaction that was never durable, which redb takes back: there, and
//! only in pages of the very last transaction, damage cannot be told from a write that was cut off.
//!
//! Tables:
//!
//! - `log`: index -> entry.
//! - `meta`: `vote`, `committed`, `purged`, `snapshot` (its head), `format`, `opened`.
//! - `snapshot`: (generation, chunk) -> at most [`CHUNK_BYTES`] of the raft snapshot. A generation counts once its head is in `meta`.

use super::PlacementError;
use super::device::{Device, Failure, FirstFailure, Observed, is_full};
use super::entry::TypeConfig;
use openraft::{BasicNode, LogId, RaftLogId, SnapshotMeta, Vote};
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, Table, TableDefinition, TableError, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub(crate) type Entry = openraft::Entry<TypeConfig>;

/// The name of the file in the log's folder.
pub(crate) const FILE_NAME: &str = "placement.redb";

/// Its name while it is being made.
const UNFINISHED_NAME: &str = "placement.redb.new";

const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const SNAPSHOT: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("snapshot");

/// Bytes of the raft snapshot that one transaction writes: what an append may have to wait for.
const CHUNK_BYTES: usize = 1 << 20;
/// The format of the file.
const FORMAT: u32 = 1;
/// Entries kept in memory for whoever applies them.
const RECENT_ENTRIES_MAX: usize = 4;
/// Size of a file in bytes below which it is not worth while to give space back.
const COMPACT_BYTES_MIN: u64 = 32 << 20;
/// redb's cache, in bytes: the log is written far more than it is read.
const CACHE_BYTES: usize = 16 << 20;

/// A raft snapshot: what it is of, and the serialized state.
pub(crate) type StoredSnapshot = (SnapshotMeta<u64, BasicNode>, Vec<u8>);

/// The head of a stored raft snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SnapshotHead {
    meta: SnapshotMeta<u64, BasicNode>,
    generation: u64,
    chunks: u32,
}

/// The open file. After a failure it is of no more use, and is opened anew.
#[derive(Debug)]
pub(crate) struct LogFile {
    /// `None` once closed.
    database: RwLock<Option<Database>>,
    first_failure: FirstFailure,
    /// What openraft last called committed: written along with the next append, for it can be found again without.
    committed: Mutex<Option<LogId<u64>>>,
    /// The last entries appended.
    recent: Mutex<VecDeque<Entry>>,
}

impl LogFile {
    /// Opens or makes the file in `folder`, and proves that it can be written. A damaged file is an error, also where redb panics at it.
    pub(crate) fn open(device: &dyn Device, folder: &Path) -> Result<Self, PlacementError> {
        catch_unwind(AssertUnwindSafe(|| Self::open_unguarded(device, folder))).unwrap_or_else(|_| Err(damaged()))
    }

    fn open_unguarded(device: &dyn Device, folder: &Path) -> Result<Self, PlacementError> {
        let path = folder.join(FILE_NAME);
        if !device.exists(&path).map_err(|error| io_failure(&error))? {
            Self::create(device, folder)?;
        }
        let backend = device.open(&path).map_err(|error| io_failure(&error))?;
        Self::open_backend(backend)
    }

    /// Makes the file under another name first: a crash leaves no file, or a whole one.
    fn create(device: &dyn Device, folder: &Path) -> Result<(), PlacementError> {
        let unfinished = folder.join(UNFINISHED_NAME);
        let backend = device.open(&unfinished).map_err(|error| io_failure(&error))?;
        empty(&*backend)?;
        let file = Self::open_backend(backend)?;
        file.close();
        device.rename(&unfinished, &folder.join(FILE_NAME)).map_err(|error| io_failure(&error))
    }

    fn open_backend(backend: Box<dyn StorageBackend>) -> Result<Self, PlacementError> {
        let (backend, first_failure) = Observed::new(backend);
        let file_bytes = backend.len().map_err(|error| io_failure(&error))?;
        let opened = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend);
        let database = opened.map_err(|error| failure(&first_failure, error.into()))?;
        let file = Self { database: RwLock::new(Some(database)), first_failure, committed: Mutex::default(), recent: Mutex::default() };
        file.verify()?;
        file.prepare()?;
        file.give_back(file_bytes)?;
        *file.committed.lock() = file.read_meta("committed")?;
        Ok(file)
    }

    /// Verifies every checksum in the file, before anything is written: redb does not look at them when it reads, and a page that it
    /// changes gets a new one, damaged or not.
    fn verify(&self) -> Result<(), PlacementError> {
        let mut guard = self.database.write();
        let database = guard.as_mut().ok_or_else(closed)?;
        match catch_unwind(AssertUnwindSafe(|| database.check_integrity())) {
            Ok(Ok(true)) => Ok(()),
            Ok(Err(error)) => Err(failure(&self.first_failure, error.into())),
            Ok(Ok(false)) | Err(_) => Err(damaged()),
        }
    }

    /// Makes the tables, and syncs: whatever an earlier process had written but not synced is durable or gone from here on.
    fn prepare(&self) -> Result<(), PlacementError> {
        match self.read_meta::<u32>("format")? {
            None | Some(FORMAT) => {}
            Some(other) => return Err(PlacementError::Storage(format!("its format is {other}, this program knows {FORMAT}"))),
        }
        let opened: u64 = self.read_meta("opened")?.unwrap_or(0);
        self.write(|transaction| {
            transaction.open_table(LOG)?;
            transaction.open_table(SNAPSHOT)?;
            let mut meta = transaction.open_table(META)?;
            put(&mut meta, "format", &FORMAT)?;
            put(&mut meta, "opened", &(opened + 1))
        })
    }

    /// Gives space back to the file system, if most of the file is free. The time it takes grows with what is not.
    fn give_back(&self, file_bytes: u64) -> Result<(), PlacementError> {
        if file_bytes < COMPACT_BYTES_MIN {
            return Ok(());
        }
        // What the last transaction freed counts as allocated until the next one ends.
        self.write(|_| Ok(()))?;
        let mut guard = self.database.write();
        let database = guard.as_mut().ok_or_else(closed)?;
        self.guard(|| {
            let transaction = database.begin_write()?;
            let stats = transaction.stats()?;
            transaction.abort()?;
            if stats.allocated_pages().saturating_mul(stats.page_size() as u64) < file_bytes / 4 {
                database.compact()?;
            }
            Ok(())
        })
    }

    /// Closes the file, whoever still holds this. redb panics when it closes a file at which it has panicked before: what is on disk stays as
    /// a kill would leave it.
    pub(crate) fn close(&self) {
        let database = self.database.write().take();
        if catch_unwind(AssertUnwindSafe(|| drop(database))).is_err() {
            tracing::warn!("{FILE_NAME} was not closed in order: its structure does not hold");
        }
    }

    pub(crate) fn vote(&self) -> Result<Option<Vote<u64>>, PlacementError> {
        self.read_meta("vote")
    }

    pub(crate) fn save_vote(&self, vote: &Vote<u64>) -> Result<(), PlacementError> {
        self.write(|transaction| put(&mut transaction.open_table(META)?, "vote", vote))
    }

    pub(crate) fn committed(&self) -> Option<LogId<u64>> {
        *self.committed.lock()
    }

    /// Remembers it; the next append writes it. Every durable entry is committed on a single voter, and with more of them the leader says it again.
    pub(crate) fn set_committed(&self, committed: Option<LogId<u64>>) {
        *self.committed.lock() = committed;
    }

    pub(crate) fn purged(&self) -> Result<Option<LogId<u64>>, PlacementError> {
        self.read_meta("purged")
    }

    /// The last entry's id, or the last purged.
    pub(crate) fn last_log_id(&self) -> Result<Option<LogId<u64>>, PlacementError> {
        let last = self.read_table(LOG, None, |table| table.last()?.map(|(_, value)| decode::<Entry>(value.value())).transpose())?;
        match last {
            Some(entry) => Ok(Some(entry.log_id)),
            None => self.purged(),
        }
    }

    /// Appends entries: one transaction, one sync.
    pub(crate) fn append(&self, entries: &[Entry]) -> Result<(), PlacementError> {
        let committed = self.committed();
        self.write(|transaction| {
            let mut log = transaction.open_table(LOG)?;
            for entry in entries {
                log.insert(entry.log_id.index, encode(entry).as_slice())?;
            }
            match committed {
                Some(committed) => put(&mut transaction.open_table(META)?, "committed", &committed),
                None => Ok(()),
            }
        })?;
        let mut recent = self.recent.lock();
        recent.extend(entries.iter().cloned());
        let excess = recent.len().saturating_sub(RECENT_ENTRIES_MAX);
        recent.drain(..excess);
        Ok(())
    }

    /// The entries in `range`, in order.
    pub(crate) fn entries(&self, range: impl RangeBounds<u64> + Clone) -> Result<Vec<Entry>, PlacementError> {
        match self.recent_entries(&range) {
            Some(entries) => Ok(entries),
            None => self.read_table(LOG, Vec::new(), |table| table.range(range)?.map(|row| decode(row?.1.value())).collect()),
        }
    }

    /// The entries in `range`, if all of them are in memory.
    fn recent_entries(&self, range: &impl RangeBounds<u64>) -> Option<Vec<Entry>> {
        let recent = self.recent.lock();
        let (first, last) = (recent.front()?.log_id.index, recent.back()?.log_id.index);
        let starts = matches!(range.start_bound(), Bound::Included(start) if *start >= first);
        let ends = matches!(range.end_bound(), Bound::Excluded(end) if *end <= last + 1);
        (starts && ends).then(|| recent.iter().filter(|entry| range.contains(&entry.log_id.index)).cloned().collect())
    }

    /// Removes the entries from `index` on.
    pub(crate) fn truncate(&self, index: u64) -> Result<(), PlacementError> {
        self.recent.lock().clear();
        self.write(|transaction| Ok(transaction.open_table(LOG)?.retain_in(index.., |_, _| false)?))
    }

    /// Removes the entries up to and with `upto`.
    pub(crate) fn purge(&self, upto: &LogId<u64>) -> Result<(), PlacementError> {
        self.recent.lock().retain(|entry| entry.get_log_id().index > upto.index);
        self.write(|transaction| {
            transaction.open_table(LOG)?.retain_in(..=upto.index, |_, _| false)?;
            put(&mut transaction.open_table(META)?, "purged", upto)
        })
    }

    /// Bytes of entries in the log.
    pub(crate) fn log_bytes(&self) -> Result<u64, PlacementError> {
        self.read_table(LOG, 0, |table| table.iter()?.try_fold(0, |sum, row| Ok(sum + row?.1.value().len() as u64)))
    }

    /// Stores a raft snapshot in place of the last one: some short transactions, so that appends go on between them.
    pub(crate) fn save_snapshot(&self, meta: &SnapshotMeta<u64, BasicNode>, bytes: &[u8]) -> Result<(), PlacementError> {
        let generation = self.read_meta::<SnapshotHead>("snapshot")?.map_or(1, |head| head.generation + 1);
        let mut chunks = 0;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            self.write(|transaction| {
                transaction.open_table(SNAPSHOT)?.insert((generation, chunks), seal(chunk.to_vec()).as_slice())?;
                Ok(())
            })?;
            chunks += 1;
        }
        let head = SnapshotHead { meta: meta.clone(), generation, chunks };
        self.write(|transaction| {
            transaction.open_table(SNAPSHOT)?.retain_in(..(generation, 0), |_, _| false)?;
            put(&mut transaction.open_table(META)?, "snapshot", &head)
        })
    }

    /// The raft snapshot that was stored last.
    pub(crate) fn snapshot(&self) -> Result<Option<StoredSnapshot>, PlacementError> {
        let Some(head) = self.read_meta::<SnapshotHead>("snapshot")? else { return Ok(None) };
        let bytes = self.read_table(SNAPSHOT, Vec::new(), |table| {
            let mut bytes = Vec::new();
            for row in table.range((head.generation, 0)..(head.generation, head.chunks))? {
                bytes.extend_from_slice(unseal(row?.1.value())?);
            }
            Ok(bytes)
        })?;
        Ok(Some((head.meta, bytes)))
    }

    /// Why the file is of no more use, if it is.
    pub(crate) fn first_failure(&self) -> Option<Failure> {
        self.first_failure.lock().clone()
    }

    fn write(&self, change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) -> Result<(), PlacementError> {
        let guard = self.database.read();
        let database = guard.as_ref().ok_or_else(closed)?;
        self.guard(|| {
            let transaction = database.begin_write()?;
            change(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    /// Makes a panic of redb, which a damaged file can cause, the failure that it is.
    fn guard<T>(&self, attempt: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, PlacementError> {
        let result = catch_unwind(AssertUnwindSafe(attempt));
        let result = result.unwrap_or_else(|_| Err(redb::Error::Corrupted("its structure does not hold".to_owned())));
        result.map_err(|error| failure(&self.first_failure, error))
    }

    fn read_table<K: redb::Key + 'static, T>(
        &self,
        definition: TableDefinition<K, &'static [u8]>,
        absent: T,
        read: impl FnOnce(redb::ReadOnlyTable<K, &'static [u8]>) -> Result<T, redb::Error>,
    ) -> Result<T, PlacementError> {
        let guard = self.database.read();
        let database = guard.as_ref().ok_or_else(closed)?;
        self.guard(|| match database.begin_read()?.open_table(definition) {
            Ok(table) => read(table),
            Err(TableError::TableDoesNotExist(_)) => Ok(absent),
            Err(error) => Err(error.into()),
        })
    }

    fn read_meta<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, PlacementError> {
        self.read_table(META, None, |table| table.get(key)?.map(|value| decode(value.value())).transpose())
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        self.close();
    }
}

fn put<T: Serialize>(meta: &mut Table<'_, &'static str, &'static [u8]>, key: &str, value: &T) -> Result<(), redb::Error> {
    meta.insert(key, encode(value).as_slice())?;
    Ok(())
}

/// Encodes a record, and seals it.
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    seal(rmp_serde::to_vec_named(value).expect("writing plain data to a vector does not fail"))
}

fn decode<T: DeserializeOwned>(sealed: &[u8]) -> Result<T, redb::Error> {
    rmp_serde::from_slice(unseal(sealed)?).map_err(|error| redb::Error::Corrupted(format!("a record cannot be read: {error}")))
}

/// Appends a CRC-32C: redb verifies its own checksums only when it repairs a file, or is asked to.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn unseal(sealed: &[u8]) -> Result<&[u8], redb::Error> {
    match sealed.split_last_chunk::<4>() {
        Some((bytes, checksum)) if crc32c::crc32c(bytes) == u32::from_le_bytes(*checksum) => Ok(bytes),
        _ => Err(redb::Error::Corrupted("the checksum of a record does not hold".to_owned())),
    }
}

/// Removes what a crash left of a file that was being made; whoever is making it now has it locked.
fn empty(backend: &dyn StorageBackend) -> Result<(), PlacementError> {
    let whole = (Bound::Unbounded, Bound::Unbounded);
    match backend.try_lock_range(whole.0, whole.1) {
        Ok(true) => {}
        Ok(false) => return Err(PlacementError::InUse),
        Err(error) => return Err(io_failure(&error.into())),
    }
    let emptied = backend.set_len(0);
    let unlocked = backend.unlock_range(whole.0, whole.1).map_err(std::io::Error::from);
    emptied.and(unlocked).map_err(|error| io_failure(&error))
}

fn damaged() -> PlacementError {
    PlacementError::Storage(format!("{FILE_NAME} is damaged: its checksums or its structure do not hold"))
}

fn closed() -> PlacementError {
    PlacementError::Unavailable("the log is closed".to_owned())
}

/// What a failed call means, in the light of what failed first.
fn failure(first: &FirstFailure, error: redb::Error) -> PlacementError {
    if matches!(error, redb::Error::DatabaseAlreadyOpen) {
        return PlacementError::InUse;
    }
    (&*first.lock().get_or_insert_with(|| Failure::Other(error.to_string()))).into()
}

fn io_failure(error: &std::io::Error) -> PlacementError {
    if is_full(error) { PlacementError::DiskFull } else { PlacementError::Storage(error.to_string()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::raft::device::Disk;
    use crate::raft::entry::{Batch, TypeConfig};
    use crate::raft::log_file::{Entry, FILE_NAME, LogFile};
    use crate::raft::log_store::LogStore;
    use crate::raft::state_machine::StateMachine;
    use openraft::testing::{StoreBuilder, Suite, log_id};
    use openraft::{EntryPayload, StorageError};
    use std::sync::Arc;
    use tempfile::TempDir;

    struct InNewFolder;

    impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for InNewFolder {
        async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<u64>> {
            let folder = tempfile::tempdir().unwrap();
            let file = Arc::new(LogFile::open(&Disk, folder.path()).unwrap());
            let machine = StateMachine::recover(file.clone(), Arc::default()).unwrap();
            Ok((folder, LogStore::new(file), machine))
        }
    }

    /// A process that is killed has not given back what its purged log took, which redb does when a file is closed.
    #[test]
    fn a_file_that_was_not_closed_gives_back_what_was_purged() {
        let folder = tempfile::tempdir().unwrap();
        let file = LogFile::open(&Disk, folder.path()).unwrap();
        let batch = Batch { commands: [].into(), bytes: vec![1; 4 << 20].into() };
        for index in 1..=10 {
            let log_id = log_id(1, 1, index);
            file.append(&[Entry { log_id, payload: EntryPayload::Normal(batch.clone()) }]).unwrap();
        }
        file.purge(&log_id(1, 1, 9)).unwrap();
        let killed = tempfile::tempdir().unwrap();
        let copy = killed.path().join(FILE_NAME);
        let before = std::fs::copy(folder.path().join(FILE_NAME), &copy).unwrap();
        let reopened = LogFile::open(&Disk, killed.path()).unwrap();
        let after = std::fs::metadata(&copy).unwrap().len();
        assert!(before > 40 << 20 && after < 20 << 20, "{before} bytes became {after}");
        assert_eq!(reopened.purged().unwrap(), Some(log_id(1, 1, 9)));
    }

    #[test]
    fn openraft_finds_its_storage_contract_kept() {
        Suite::test_all(InNewFolder).unwrap();
    }
}
