//! Segments: immutable Arrow IPC files with statistics, read in place.

mod buffered;
mod build;
mod encoding;
mod file;
mod format;
#[cfg(test)]
mod fuzz;
pub(crate) mod map;
mod order;
mod reader;
mod sketch;
mod statistics;
mod view;
mod writer;

pub use build::StagedSegment;
pub use reader::Segment;
pub(crate) use reader::file_name;
pub use statistics::{ColumnStatistics, SegmentSummary, SummaryColumns};
pub(crate) use view::compact;
pub use writer::{SegmentWriter, SegmentWriterOptions, WrittenRows};
