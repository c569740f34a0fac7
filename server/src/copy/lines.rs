//! Where rows of text and CSV end.

use crate::error::{Result, SqlError, SqlState};
use crate::session::{CopyFormat, CopyKind};
use memchr::{memchr, memchr2, memchr3};

/// Finds newlines that end rows, over bytes that come in pieces. What has been looked at is not looked at again.
pub(super) struct LineEnds {
    csv: bool,
    quote: u8,
    /// `None` where a doubled quote is the only escape.
    escape: Option<u8>,
    /// How far the row that has not ended has been looked at, from its start.
    scanned: usize,
    in_quotes: bool,
    escaped: bool,
    newlines: u64,
    newlines_of_row: u64,
    returns: Option<bool>,
}

impl LineEnds {
    pub(super) fn new(format: &CopyFormat) -> Self {
        Self {
            csv: format.kind == CopyKind::Csv,
            quote: format.quote,
            escape: (format.escape != format.quote).then_some(format.escape),
            scanned: 0,
            in_quotes: false,
            escaped: false,
            newlines: 0,
            newlines_of_row: 0,
            returns: None,
        }
    }
    pub(super) fn in_quotes(&self) -> bool {
        self.in_quotes
    }
    /// Newlines inside the row that was found last, or that is not complete.
    pub(super) fn newlines_inside(&self) -> u64 {
        self.newlines_of_row
    }
    /// The end of the row that starts at `start`, if it is there; the bytes from `start` on may only grow until it is.
    pub(super) fn next_end(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        let found = if self.csv { self.next_csv(bytes, start) } else { self.next_text(bytes, start) };
        self.newlines_of_row = self.newlines;
        match found {
            Some(_) => (self.scanned, self.newlines) = (0, 0),
            None => self.scanned = bytes.len() - start,
        }
        found
    }
    /// A newline behind an odd number of backslashes is data.
    fn next_text(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        let mut from = start + self.scanned;
        while let Some(found) = memchr(b'\n', &bytes[from..]) {
            let at = from + found;
            let backslashes = bytes[start..at].iter().rev().take_while(|byte| **byte == b'\\').count();
            if backslashes % 2 == 0 {
                return Some(at);
            }
            self.newlines += 1;
            from = at + 1;
        }
        None
    }
    /// A newline between quotes is data.
    fn next_csv(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        let mut from = start + self.scanned;
        if self.escaped && from < bytes.len() {
            self.escaped = false;
            from += usize::from(bytes[from] == self.quote || Some(bytes[from]) == self.escape);
        }
        loop {
            let rest = &bytes[from..];
            let at =
                from + self.escape.map_or_else(|| memchr2(self.quote, b'\n', rest), |escape| memchr3(self.quote, b'\n', escape, rest))?;
            from = at + 1;
            match bytes[at] {
                b'\n' if !self.in_quotes => return Some(at),
                b'\n' => self.newlines += 1,
                byte if byte == self.quote => self.in_quotes = !self.in_quotes,
                _ if !self.in_quotes => {}
                _ => match bytes.get(from) {
                    Some(next) => from += usize::from(*next == self.quote || Some(*next) == self.escape),
                    None => self.escaped = true,
                },
            }
        }
    }
    /// Takes the carriage return off a row's end where the first row had one; elsewhere one in text must be written `\r`.
    pub(super) fn strip_return<'a>(&mut self, line: &'a [u8], first: bool) -> Result<&'a [u8]> {
        let stripped =
            line.strip_suffix(b"\r").filter(|rest| self.csv || rest.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0);
        if first {
            self.returns = Some(stripped.is_some());
        }
        match (stripped, self.returns) {
            (Some(rest), Some(true)) => Ok(rest),
            (Some(_), _) if self.csv => Err(unquoted_return()),
            (Some(_), _) => Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "literal carriage return found in data")
                .with_hint("Use \"\\r\" to represent carriage return.")),
            (None, _) => Ok(line),
        }
    }
}

fn unquoted_return() -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "unquoted carriage return found in data")
        .with_hint("Use quoted CSV field to represent carriage return.")
}
