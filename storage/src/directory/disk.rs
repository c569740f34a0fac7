//! A folder on disk, read through private read-only mappings.

use super::{Directory, FileReader, FileWriter, beyond_end};
use crate::error::{Result, StorageError};
use crate::segment::map::Contents;
use arrow::buffer::Buffer;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files in one folder.
#[derive(Debug)]
pub struct DiskDirectory {
    root: PathBuf,
}

impl DiskDirectory {
    /// The folder `root`, created (durably) if it does not exist.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let directory = Self { root: root.into() };
        let name = directory.root.display().to_string();
        if !directory.root.is_dir() {
            fs::create_dir_all(&directory.root).map_err(|e| StorageError::io("open", &name, e))?;
            if let Some(parent) = directory.root.parent().filter(|p| !p.as_os_str().is_empty()) {
                sync_folder(parent, &name)?;
            }
        }
        Ok(directory)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Directory for DiskDirectory {
    fn create(&self, name: &str) -> Result<Box<dyn FileWriter>> {
        let file = File::create(self.root.join(name)).map_err(|e| StorageError::io("open", name, e))?;
        Ok(Box::new(DiskWriter { file, name: name.to_string(), position: 0 }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileReader>> {
        let file = File::open(self.root.join(name)).map_err(|e| StorageError::io("open", name, e))?;
        let contents = Contents::map(&file).map_err(|e| StorageError::io("map", name, e))?;
        Ok(Arc::new(MappedReader { contents: Arc::new(contents), name: name.to_string() }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fs::rename(self.root.join(from), self.root.join(to)).map_err(|e| StorageError::io("rename", from, e))
    }

    fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.root.join(name)).map_err(|e| StorageError::io("remove", name, e))
    }

    fn sync(&self) -> Result<()> {
        sync_folder(&self.root, &self.root.display().to_string())
    }

    fn list(&self) -> Result<Vec<(String, u64)>> {
        let failed = |e| StorageError::io("list", &self.root.display().to_string(), e);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A file that is removed or renamed while we list is no failure of listing.
            let Ok(metadata) = entry.metadata() else { continue };
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn names(&self) -> Result<Vec<String>> {
        let failed = |e| StorageError::io("list", &self.root.display().to_string(), e);
        let entries = fs::read_dir(&self.root).map_err(failed)?;
        let names = entries.map(|entry| Ok(entry.map_err(failed)?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }
}

fn sync_folder(path: &Path, name: &str) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| StorageError::io("sync", name, e))
}

struct DiskWriter {
    file: File,
    name: String,
    position: u64,
}

impl FileWriter for DiskWriter {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| StorageError::io("write", &self.name, e))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn sync(&mut self) -> Result<()> {
        self.file.sync_all().map_err(|e| StorageError::io("sync", &self.name, e))
    }
}

/// A finished file, mapped or held on the heap.
#[derive(Debug)]
pub(super) struct MappedReader {
    pub(super) contents: Arc<Contents>,
    pub(super) name: String,
}

impl FileReader for MappedReader {
    fn len(&self) -> u64 {
        self.contents.bytes().len() as u64
    }

    fn slice(&self, offset: u64, length: usize) -> Result<Buffer> {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(length)?));
        range.and_then(|range| self.contents.window(range)).ok_or_else(|| beyond_end(&self.name, offset, length, self.len()))
    }

    fn prefetch(&self, offset: u64, length: usize) {
        let end = offset.saturating_add(length as u64).min(self.len());
        if offset < end {
            self.contents.will_need(offset as usize..end as usize);
        }
    }
}
