//! Reads a segment in place.

/// An open segment.
#[derive(Debug)]
pub struct Segment {}
