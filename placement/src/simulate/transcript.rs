//! What happened, line by line, for a reader.

use super::quantity::show_time;
use std::fmt::Write;

/// Lines kept of one run, at most; beyond, they are counted.
const LINES_MAX: usize = 20_000;

/// The transcript of one run.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    text: String,
    lines: usize,
    left_out: usize,
}

impl Transcript {
    /// Something happened.
    pub fn note(&mut self, now_ms: u64, what: std::fmt::Arguments<'_>) {
        if self.lines >= LINES_MAX {
            self.left_out += 1;
            return;
        }
        self.lines += 1;
        writeln!(self.text, "{}  {what}", show_time(now_ms)).expect("a string takes all");
    }

    /// The text.
    pub fn finish(mut self) -> String {
        if self.left_out > 0 {
            writeln!(self.text, "... and {} lines more", self.left_out).expect("a string takes all");
        }
        self.text
    }
}
