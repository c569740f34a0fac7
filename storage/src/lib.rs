//! Immutable Arrow segments in mapped files.
//!
//! Read in this order:
//!
//! 1. [`schema`]: what a column is to storage: a stable id and an Arrow type.
//! 2. [`directory`]: the byte trait, with disk, memory and crashing implementations.
//! 3. [`segment`]: writer, format, reader, encodings, statistics, mapping.
//! 4. [`deletes`]: which rows of a segment are gone.
//! 5. [`scan`]: units + projection + predicates -> batches.
//! 6. [`compaction`]: many units -> few segments. [`scrub`]: is every byte what was written?
//! 7. [`store`]: the facade that the server holds: open segments, write them, sweep what nobody needs.
//!
//! Architecture invariant: this crate knows no SQL, no DataFusion, no network, and reads no clock.
//! Architecture invariant: a segment file never changes once it has its final name.

mod array_bytes;
pub mod compaction;
pub mod deletes;
pub mod directory;
pub mod error;
pub mod inline;
pub mod scan;
pub mod schema;
pub mod scrub;
pub mod segment;
pub mod store;

pub use deletes::Deletes;
pub use directory::Directory;
pub use error::{Result, StorageError};
pub use scan::{ColumnPredicate, Scan, ScanRequest, Unit, UnitSource};
pub use schema::{ColumnId, ColumnSpec, SegmentId};
pub use segment::{
    ColumnStatistics, Segment, SegmentSummary, SegmentWriter, SegmentWriterOptions, StagedSegment, SummaryColumns, WrittenRows,
};
pub use store::Store;
