//! A folder in memory that can crash before any operation, and then forgets whatever was not synced.
//!
//! 1. Every operation takes a number, starting from 1. [`CrashingDirectory::crash_before`] chooses one; from it on everything fails.
//! 2. [`CrashingDirectory::recover`] gives what a disk may hold after the power came back. The seed decides what is left open by POSIX:
//!    of a file's unsynced bytes a prefix survives, or none, or all of them; of the folder's unsynced changes a prefix survives.
//! 3. [`CrashingDirectory::operations`] names what was done, so that a test can show where it crashed.

use super::disk::MappedReader;
use super::memory::heap;
use super::{Directory, FileReader, FileWriter, MemoryDirectory, not_found};
use crate::error::{Result, StorageError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// A directory that crashes on demand. Clones share the files and the crash.
#[derive(Clone, Debug, Default)]
pub struct CrashingDirectory {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The folder as the running process sees it.
    names: BTreeMap<String, Arc<Mutex<File>>>,
    /// The folder as of the last sync.
    synced_names: BTreeMap<String, Arc<Mutex<File>>>,
    /// Changes of the folder since then.
    unsynced: Vec<Change>,
    operations: Vec<String>,
    crash_before: Option<usize>,
    disk_full_at: Option<usize>,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    synced_bytes: usize,
}

#[derive(Clone, Debug)]
enum Change {
    Create(String, Arc<Mutex<File>>),
    Rename(String, String),
    Remove(String),
}

impl CrashingDirectory {
    /// Crashes before the operation of this number (counted from 1): it and all later ones fail and change nothing.
    pub fn crash_before(&self, operation: usize) {
        self.state.lock().crash_before = Some(operation);
    }

    /// From the operation of this number on, every write fails for want of space (and the process lives on).
    pub fn disk_full_at(&self, operation: usize) {
        self.state.lock().disk_full_at = Some(operation);
    }

    /// Everything done up to now: `create x`, `write x`, `sync x`, `rename x y`, `remove x`, `sync folder`.
    pub fn operations(&self) -> Vec<String> {
        self.state.lock().operations.clone()
    }

    /// What is found after the crash. The same seed gives the same outcome.
    pub fn recover(&self, seed: u64) -> MemoryDirectory {
        let state = self.state.lock();
        let mut random = seed;
        let mut names = state.synced_names.clone();
        let kept = pick(&mut random, state.unsynced.len() + 1);
        state.unsynced[..kept].iter().for_each(|change| change.apply(&mut names));
        let recovered = MemoryDirectory::default();
        for (name, file) in names {
            let file = file.lock();
            let survived = file.synced_bytes + pick(&mut random, file.bytes.len() - file.synced_bytes + 1);
            let mut writer = recovered.create(&name).expect("memory takes any file");
            writer.write_all(&file.bytes[..survived]).expect("memory takes any bytes");
        }
        recovered
    }
}

/// A number below `bound`: each extreme in one case of four, else anything between.
fn pick(random: &mut u64, bound: usize) -> usize {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    match (*random >> 60) & 3 {
        0 => 0,
        1 => bound - 1,
        _ => (*random >> 20) as usize % bound,
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Arc<Mutex<File>>>) {
        match self {
            Change::Create(name, file) => drop(names.insert(name.clone(), file.clone())),
            Change::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Change::Remove(name) => drop(names.remove(name)),
        }
    }
}

impl State {
    fn begin(&mut self, operation: &'static str, file: &str) -> Result<()> {
        let number = self.operations.len() + 1;
        if self.crash_before.is_some_and(|at| number >= at) {
            return Err(StorageError::io(operation, file, io::Error::other("crashed")));
        }
        self.operations.push(format!("{operation} {file}"));
        if operation == "write" && self.disk_full_at.is_some_and(|at| number >= at) {
            return Err(StorageError::DiskFull { file: file.to_string() });
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }

    fn file(&self, operation: &'static str, name: &str) -> Result<Arc<Mutex<File>>> {
        self.names.get(name).cloned().ok_or_else(|| not_found(operation, name))
    }
}

impl Directory for CrashingDirectory {
    fn create(&self, name: &str) -> Result<Box<dyn FileWriter>> {
        let mut state = self.state.lock();
        state.begin("create", name)?;
        let file = Arc::new(Mutex::new(File::default()));
        state.change(Change::Create(name.to_string(), file.clone()));
        Ok(Box::new(CrashingWriter { state: self.state.clone(), file, name: name.to_string() }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileReader>> {
        let mut state = self.state.lock();
        state.begin("open", name)?;
        let file = state.file("open", name)?;
        let contents = heap(&file.lock().bytes);
        Ok(Arc::new(MappedReader { contents, name: name.to_string() }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.state.lock();
        state.begin("rename", &format!("{from} {to}"))?;
        state.file("rename", from)?;
        state.change(Change::Rename(from.to_string(), to.to_string()));
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.state.lock();
        state.begin("remove", name)?;
        state.file("remove", name)?;
        state.change(Change::Remove(name.to_string()));
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.begin("sync", "folder")?;
        state.synced_names = state.names.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn list(&self) -> Result<Vec<(String, u64)>> {
        let mut state = self.state.lock();
        state.begin("list", "folder")?;
        Ok(state.names.iter().map(|(name, file)| (name.clone(), file.lock().bytes.len() as u64)).collect())
    }
}

struct CrashingWriter {
    state: Arc<Mutex<State>>,
    file: Arc<Mutex<File>>,
    name: String,
}

impl FileWriter for CrashingWriter {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.state.lock().begin("write", &self.name)?;
        self.file.lock().bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn position(&self) -> u64 {
        self.file.lock().bytes.len() as u64
    }

    fn sync(&mut self) -> Result<()> {
        self.state.lock().begin("sync", &self.name)?;
        let mut file = self.file.lock();
        file.synced_bytes = file.bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    fn write(directory: &CrashingDirectory, name: &str, sync: bool) -> Result<()> {
        let mut file = directory.create(name)?;
        file.write_all(b"0123456789")?;
        if sync {
            file.sync()?;
        }
        Ok(())
    }

    #[test]
    fn unsynced_bytes_may_be_lost_in_part_and_synced_ones_never() {
        let directory = CrashingDirectory::default();
        write(&directory, "kept", true).unwrap();
        write(&directory, "open", false).unwrap();
        directory.sync().unwrap();
        let mut lengths = BTreeSet::new();
        for seed in 0..200 {
            let found: BTreeMap<_, _> = directory.recover(seed).list().unwrap().into_iter().collect();
            assert_eq!(found["kept"], 10);
            lengths.insert(found["open"]);
        }
        assert!(lengths.contains(&0) && lengths.contains(&10) && lengths.len() > 4, "{lengths:?}");
    }

    #[test]
    fn a_rename_without_sync_of_the_folder_may_be_undone() {
        let directory = CrashingDirectory::default();
        write(&directory, "a", true).unwrap();
        directory.sync().unwrap();
        directory.rename("a", "b").unwrap();
        let found: BTreeSet<String> = (0..50).flat_map(|seed| directory.recover(seed).list().unwrap()).map(|(name, _)| name).collect();
        assert_eq!(found, ["a", "b"].map(String::from).into());
        directory.sync().unwrap();
        assert!((0..50).all(|seed| directory.recover(seed).list().unwrap()[0].0 == "b"));
    }

    #[test]
    fn everything_fails_from_the_crash_on() {
        let directory = CrashingDirectory::default();
        directory.crash_before(3);
        assert!(write(&directory, "a", true).is_err());
        assert!(directory.sync().is_err() && directory.list().is_err() && directory.open("a").is_err());
        assert_eq!(directory.operations(), ["create a", "write a"]);
    }
}
