//! Segments: immutable Arrow IPC files with statistics, read in place.

mod encoding;
mod format;
mod map;
mod reader;
mod statistics;
mod writer;

pub use reader::Segment;
pub use statistics::{ColumnStatistics, SegmentSummary};
pub use writer::{SegmentWriter, SegmentWriterOptions, StagedSegment, WrittenRows};
