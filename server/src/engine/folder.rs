//! The data folder: one server at a time, and an empty spill folder at start.

use super::io_error;
use crate::error::{Result, SqlError, SqlState};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::path::Path;

/// Held while a server uses the folder; the operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Creates the folder if there is none, and locks it; 55006 if another server has it.
    pub fn take(folder: &Path) -> Result<Self> {
        create(folder)?;
        let path = folder.join("LOCK");
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(|e| io_error("open", &path, &e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(in_use(folder)),
            Err(error) => Err(io_error("lock", &path, &error.into())),
        }
    }
}

fn in_use(folder: &Path) -> SqlError {
    SqlError::new(SqlState::OBJECT_IN_USE, format!("data folder \"{}\" is in use by another server", folder.display()))
        .with_hint("Stop the other server, or choose another folder with --data-dir.")
}

/// Creates a folder and those above it.
pub fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| io_error("create folder", folder, &e))
}

/// Makes a spill folder, and empties it of what a crash left: only entries that spilling makes are removed, so that a folder chosen by mistake
/// loses nothing.
pub fn empty(folder: &Path) -> Result<()> {
    create(folder)?;
    let entries = fs::read_dir(folder).map_err(|e| io_error("list folder", folder, &e))?;
    for entry in entries.flatten().filter(|entry| is_spill(&entry.file_name().to_string_lossy())) {
        let path = entry.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|e| io_error("remove", &path, &e))?;
    }
    Ok(())
}

/// Spill folders are named by DataFusion's `datafusion-` prefix or tempfile's `.tmp`, and ours.
fn is_spill(name: &str) -> bool {
    name.starts_with("datafusion-") || name.starts_with(".tmp") || name.starts_with("plimsoll-")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_has_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let refused = FolderLock::take(folder.path()).unwrap_err();
        assert_eq!(refused.state, SqlState::OBJECT_IN_USE);
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }

    #[test]
    fn emptying_spares_what_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "x").unwrap();
        fs::create_dir(folder.path().join("datafusion-ab12")).unwrap();
        empty(folder.path()).unwrap();
        assert!(folder.path().join("thesis.txt").exists());
        assert!(!folder.path().join("datafusion-ab12").exists());
    }
}
