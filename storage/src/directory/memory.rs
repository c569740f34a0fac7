//! A folder in memory: for tests, and for tables that need not survive.

use super::disk::MappedReader;
use super::{Directory, FileReader, FileWriter, not_found};
use crate::error::Result;
use crate::segment::map::Contents;
use arrow::buffer::Buffer;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

type Files = Arc<Mutex<BTreeMap<String, Arc<Mutex<Vec<u8>>>>>>;

/// Files on the heap. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryDirectory {
    files: Files,
}

impl Directory for MemoryDirectory {
    fn create(&self, name: &str) -> Result<Box<dyn FileWriter>> {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        self.files.lock().insert(name.to_string(), bytes.clone());
        Ok(Box::new(MemoryWriter { bytes }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileReader>> {
        let file = self.files.lock().get(name).cloned().ok_or_else(|| not_found("open", name))?;
        let contents = heap(&file.lock());
        Ok(Arc::new(MappedReader { contents, name: name.to_string() }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut files = self.files.lock();
        let file = files.remove(from).ok_or_else(|| not_found("rename", from))?;
        files.insert(to.to_string(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.files.lock().remove(name).map(drop).ok_or_else(|| not_found("remove", name))
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn list(&self) -> Result<Vec<(String, u64)>> {
        Ok(self.files.lock().iter().map(|(name, bytes)| (name.clone(), bytes.lock().len() as u64)).collect())
    }
}

/// A copy of the bytes, aligned as a mapping would be.
pub(super) fn heap(bytes: &[u8]) -> Arc<Contents> {
    Arc::new(Contents::Heap(Buffer::from_slice_ref(bytes)))
}

struct MemoryWriter {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl FileWriter for MemoryWriter {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.lock().extend_from_slice(bytes);
        Ok(())
    }

    fn position(&self) -> u64 {
        self.bytes.lock().len() as u64
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}
