//! Scrub: reads every byte of every segment and says what is not as written.

use crate::directory::Directory;
use crate::schema::SegmentId;

/// One thing found wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Verifies the segments that the manifest names: present, whole, every checksum right, rows as recorded.
/// Files that the manifest does not name are no damage: they are what a sweep removes.
pub fn scrub(_directory: &dyn Directory, _manifest: &[(SegmentId, u64)], _progress: &mut dyn FnMut(u64)) -> Vec<Finding> {
    todo!()
}
