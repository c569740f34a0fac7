//! The facade that the server holds: opens segments once, writes them, sweeps what nobody needs.

use crate::directory::Directory;
use crate::error::Result;
use crate::schema::SegmentId;
use crate::segment::Segment;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Segments in a directory.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// A store over a directory; removes unfinished files that a crash left behind. At most `open_segments_max` stay mapped.
    pub fn open(_directory: Arc<dyn Directory>, _open_segments_max: usize) -> Result<Arc<Self>> {
        todo!()
    }
    /// The segment, opened and its footer checked when first asked for; shared after that.
    pub fn segment(&self, _id: SegmentId) -> Result<Arc<Segment>> {
        todo!()
    }
    /// Removes every segment file that is neither in `live` nor staged by a writer; returns (files, bytes) given back.
    ///
    /// `live` must hold the segments of every snapshot that a reader may still use, and must be computed after `barrier` was taken.
    pub fn sweep(&self, _live: &BTreeSet<SegmentId>) -> Result<(u64, u64)> {
        todo!()
    }
    /// Bytes of all files.
    pub fn disk_bytes(&self) -> Result<u64> {
        todo!()
    }
}
