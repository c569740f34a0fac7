//! The facade that the server holds: opens segments once, writes them, sweeps what nobody needs.
//!
//! The life of a segment's file: staged (a guard exists, then the temporary file, then the file under its final name) ->
//! committed and published -> the guard is dropped -> live as long as a snapshot names it -> swept.

use crate::directory::{Directory, FileWriter};
use crate::error::{Result, StorageError};
use crate::schema::SegmentId;
use crate::segment::{Segment, file_name};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Segments in a directory.
#[derive(Debug)]
pub struct Store {
    directory: Arc<dyn Directory>,
    open: Mutex<OpenSegments>,
    staged: Arc<Mutex<BTreeSet<SegmentId>>>,
}

/// Keeps a segment's files, finished or not, from the sweep.
#[derive(Debug)]
pub(crate) struct Staged {
    id: SegmentId,
    staged: Arc<Mutex<BTreeSet<SegmentId>>>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.staged.lock().remove(&self.id);
    }
}

const UNFINISHED: &str = ".tmp";

fn temporary_name(id: SegmentId) -> String {
    format!("{id}{UNFINISHED}")
}

/// The segment that a file belongs to, finished or not.
fn segment_of(name: &str) -> Option<SegmentId> {
    let id = name.strip_suffix(".arrow").or_else(|| name.strip_suffix(UNFINISHED)).filter(|id| id.len() == 16)?;
    u64::from_str_radix(id, 16).ok().map(SegmentId)
}

impl Store {
    /// A store over a directory; removes unfinished files that a crash left behind. At most `open_segments_max` stay mapped.
    pub fn open(directory: Arc<dyn Directory>, open_segments_max: usize) -> Result<Arc<Self>> {
        for name in directory.names()? {
            if name.ends_with(UNFINISHED) && segment_of(&name).is_some() {
                directory.remove(&name)?;
            }
        }
        let open = Mutex::new(OpenSegments { capacity: open_segments_max.max(1), clock: 0, segments: HashMap::new() });
        Ok(Arc::new(Self { directory, open, staged: Arc::default() }))
    }

    /// The directory.
    pub fn directory(&self) -> &Arc<dyn Directory> {
        &self.directory
    }

    /// The segment, opened and its footer checked when first asked for; shared after that.
    pub fn segment(&self, id: SegmentId) -> Result<Arc<Segment>> {
        if let Some(segment) = self.open.lock().get(id) {
            return Ok(segment);
        }
        // Opened without the lock: another thread may do the same, and the first one's is kept.
        let segment = Arc::new(Segment::open(self.directory.as_ref(), id)?);
        Ok(self.open.lock().insert(id, segment))
    }

    /// Removes every segment file that is neither live nor staged by a writer; returns (files, bytes) given back.
    ///
    /// `live` gives the segments of the published state and of every snapshot that a reader may still use. It is called *after* the
    /// files and then the staged segments were listed, which is what makes this safe beside concurrent commits. A segment that a
    /// commit adds is staged before its file exists and until the commit is published. So a file that was listed belongs to a segment that was
    /// either still staged when those were listed, and is spared; or had been published before, and is in `live`; or is garbage.
    pub fn sweep(&self, live: impl FnOnce() -> BTreeSet<SegmentId>) -> Result<(u64, u64)> {
        let files = self.directory.list()?;
        let staged = self.staged.lock().clone();
        let live = live();
        let (mut count, mut bytes) = (0, 0);
        for (name, length) in files {
            let Some(id) = segment_of(&name) else { continue };
            if staged.contains(&id) || (live.contains(&id) && !name.ends_with(UNFINISHED)) {
                continue;
            }
            self.open.lock().segments.remove(&id);
            match self.directory.remove(&name) {
                Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
                other => other?,
            }
            count += 1;
            bytes += length;
        }
        if count > 0 {
            self.directory.sync()?;
        }
        Ok((count, bytes))
    }

    /// Bytes of all files.
    pub fn disk_bytes(&self) -> Result<u64> {
        Ok(self.directory.list()?.iter().map(|(_, length)| length).sum())
    }

    /// Registers a segment that is about to be written.
    pub(crate) fn stage(&self, id: SegmentId) -> Staged {
        self.staged.lock().insert(id);
        Staged { id, staged: self.staged.clone() }
    }

    /// Writes a segment's file under its temporary name; when `write` has synced it, gives it its final name, durably. If anything
    /// fails, the space is given back at once.
    pub(crate) fn write_file(&self, id: SegmentId, write: impl FnOnce(Box<dyn FileWriter>) -> Result<u64>) -> Result<u64> {
        let (temporary, name) = (temporary_name(id), file_name(id));
        let written = self.directory.create(&temporary).and_then(write).and_then(|bytes| {
            self.directory.rename(&temporary, &name)?;
            self.directory.sync()?;
            Ok(bytes)
        });
        if written.is_err() {
            // The file may have either name, or none: the first failure is the one to report, and a sweep comes later.
            let _ = self.directory.remove(&temporary).or_else(|_| self.directory.remove(&name));
        }
        written
    }
}

/// The segments that are open, and when each was last asked for.
#[derive(Debug)]
struct OpenSegments {
    capacity: usize,
    clock: u64,
    segments: HashMap<SegmentId, (Arc<Segment>, u64)>,
}

impl OpenSegments {
    fn get(&mut self, id: SegmentId) -> Option<Arc<Segment>> {
        self.clock += 1;
        let (segment, used) = self.segments.get_mut(&id)?;
        *used = self.clock;
        Some(segment.clone())
    }

    fn insert(&mut self, id: SegmentId, segment: Arc<Segment>) -> Arc<Segment> {
        if let Some(present) = self.get(id) {
            return present;
        }
        if self.segments.len() >= self.capacity {
            self.evict();
        }
        self.segments.insert(id, (segment.clone(), self.clock));
        segment
    }

    /// Lets go of the eighth that was longest unused, so that finding it is not paid for at every opening.
    fn evict(&mut self) {
        let mut used: Vec<u64> = self.segments.values().map(|(_, used)| *used).collect();
        let place = (used.len() / 8).min(used.len() - 1);
        let (_, oldest, _) = used.select_nth_unstable(place);
        let oldest = *oldest;
        self.segments.retain(|_, (_, used)| *used > oldest);
    }
}
