//! Scrub: reads every byte of every segment and says what is not as written.

use crate::directory::Directory;
use crate::error::{Result, StorageError};
use crate::schema::SegmentId;
use crate::segment::{Segment, file_name};

/// One thing found wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The column, where the damage is confined to one.
    pub column: Option<String>,
    /// What is wrong with it.
    pub problem: String,
}

impl Finding {
    fn of(error: StorageError, file: &str) -> Self {
        match error {
            StorageError::Damaged { file, column, reason } => Self { file, column, problem: reason },
            other => Self { file: file.to_string(), column: None, problem: other.to_string() },
        }
    }
}

/// Verifies the segments that the manifest names (with their rows): present, whole, every checksum right, every value valid, rows as
/// recorded. Files that the manifest does not name are no damage: they are what a sweep removes. `progress` is told the bytes of each
/// segment when it is done.
pub fn scrub(directory: &dyn Directory, manifest: &[(SegmentId, u64)], progress: &mut dyn FnMut(u64)) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, rows) in manifest {
        match Segment::open(directory, *id) {
            Ok(segment) => {
                check(&segment, *rows, &mut findings);
                progress(segment.disk_bytes());
            }
            Err(error) => findings.push(Finding::of(error, &file_name(*id))),
        }
    }
    findings
}

fn check(segment: &Segment, rows: u64, findings: &mut Vec<Finding>) {
    let file = segment.file_name();
    if segment.rows() != rows {
        let problem = format!("it has {} rows instead of {rows}", segment.rows());
        findings.push(Finding { file: file.to_string(), column: None, problem });
    }
    let mut note = |result: Result<()>| match result {
        Ok(()) => true,
        Err(error) => {
            findings.push(Finding::of(error, file));
            false
        }
    };
    note(segment.check_gaps());
    for column in 0..segment.column_count() {
        // Chunks cannot be judged by a dictionary that is damaged itself.
        if note(segment.check_dictionary(column)) {
            for granule in 0..segment.granules() {
                note(segment.check_chunk(column, granule));
            }
        }
    }
}
