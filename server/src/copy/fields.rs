//! A row of text or CSV -> its values.

use crate::error::{Result, SqlError, SqlState};
use crate::session::{CopyFormat, CopyKind};
use memchr::{memchr, memchr_iter, memchr2};
use std::ops::Range;

/// The values of one row: in place in the line, or with escapes undone in a buffer of their own. Reused from row to row.
#[derive(Default)]
pub(super) struct Fields {
    spans: Vec<Span>,
    unescaped: Vec<u8>,
}

struct Span {
    /// As it stands in the line; of a value in quotes, what is between them where that is all.
    raw: Range<usize>,
    /// Where in the buffer the value is, if not in place.
    value: Option<Range<usize>>,
    quoted: bool,
}

/// One value.
pub(super) struct Field<'a> {
    /// As it stands in the line, or between its quotes there.
    pub(super) raw: &'a [u8],
    /// Where that is, if it is the value too.
    pub(super) in_place: Option<Range<usize>>,
    /// Without escapes and quotes.
    pub(super) value: &'a [u8],
    /// CSV: whether there were quotes.
    pub(super) quoted: bool,
}

impl Fields {
    /// Splits a line that has no newline at its end.
    pub(super) fn split(&mut self, format: &CopyFormat, line: &[u8]) -> Result<()> {
        self.spans.clear();
        self.unescaped.clear();
        let special = if format.kind == CopyKind::Text { b'\\' } else { format.quote };
        if memchr(special, line).is_none() {
            self.split_plain(format.delimiter, line);
            return Ok(());
        }
        match format.kind {
            CopyKind::Text => self.split_text(format.delimiter, line),
            _ => self.split_csv(format, line)?,
        }
        Ok(())
    }
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }
    pub(super) fn get<'a>(&'a self, index: usize, line: &'a [u8]) -> Option<Field<'a>> {
        let span = self.spans.get(index)?;
        let raw = &line[span.raw.clone()];
        let value = span.value.as_ref().map_or(raw, |range| &self.unescaped[range.clone()]);
        let in_place = span.value.is_none().then(|| span.raw.clone());
        Some(Field { raw, in_place, value, quoted: span.quoted })
    }
    fn push_plain(&mut self, raw: Range<usize>) {
        self.spans.push(Span { raw, value: None, quoted: false });
    }
    fn split_plain(&mut self, delimiter: u8, line: &[u8]) {
        let mut start = 0;
        for at in memchr_iter(delimiter, line) {
            self.push_plain(start..at);
            start = at + 1;
        }
        self.push_plain(start..line.len());
    }
    fn split_text(&mut self, delimiter: u8, line: &[u8]) {
        let mut start = 0;
        loop {
            let mut end = start;
            let mut escapes = false;
            while let Some(found) = line.get(end..).and_then(|rest| memchr2(delimiter, b'\\', rest)) {
                end += found;
                if line[end] == delimiter {
                    break;
                }
                escapes = true;
                end += 2;
            }
            let more = end < line.len() && line[end] == delimiter && !ends_in_escape(line, start, end);
            let end = if more { end } else { line.len() };
            if escapes {
                self.push_unescaped(line, start..end);
            } else {
                self.push_plain(start..end);
            }
            if !more {
                return;
            }
            start = end + 1;
        }
    }
    fn push_unescaped(&mut self, line: &[u8], raw: Range<usize>) {
        let from = self.unescaped.len();
        unescape(&line[raw.clone()], &mut self.unescaped);
        self.spans.push(Span { raw, value: Some(from..self.unescaped.len()), quoted: false });
    }
    fn split_csv(&mut self, format: &CopyFormat, line: &[u8]) -> Result<()> {
        let (quote, escape, delimiter) = (format.quote, format.escape, format.delimiter);
        let mut at = 0;
        loop {
            let start = at;
            if let Some((span, end)) = simple(format, line, start) {
                self.spans.push(span);
                if end == line.len() {
                    return Ok(());
                }
                at = end + 1;
                continue;
            }
            let from = self.unescaped.len();
            let mut quoted = false;
            loop {
                match line.get(at) {
                    Some(byte) if *byte == quote => {
                        quoted = true;
                        at = self.take_quoted(line, at + 1, quote, escape)?;
                    }
                    Some(byte) if *byte == delimiter => break,
                    Some(_) => {
                        let end = memchr2(quote, delimiter, &line[at..]).map_or(line.len(), |found| at + found);
                        self.unescaped.extend_from_slice(&line[at..end]);
                        at = end;
                    }
                    None => break,
                }
            }
            self.spans.push(Span { raw: start..at, value: Some(from..self.unescaped.len()), quoted });
            if at >= line.len() {
                return Ok(());
            }
            at += 1;
        }
    }
    /// Takes what stands between quotes; answers where the text after the closing quote begins.
    fn take_quoted(&mut self, line: &[u8], mut at: usize, quote: u8, escape: u8) -> Result<usize> {
        loop {
            let Some(found) = line.get(at..).and_then(|rest| memchr2(quote, escape, rest)) else {
                return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field"));
            };
            self.unescaped.extend_from_slice(&line[at..at + found]);
            at += found;
            match line.get(at + 1) {
                Some(next) if line[at] == escape && (*next == quote || *next == escape) => {
                    self.unescaped.push(*next);
                    at += 2;
                }
                _ if line[at] == quote => return Ok(at + 1),
                _ => {
                    self.unescaped.push(line[at]);
                    at += 1;
                }
            }
        }
    }
}

/// The CSV value at `start` and where it ends, if it has no quotes, or just one around all of it.
fn simple(format: &CopyFormat, line: &[u8], start: usize) -> Option<(Span, usize)> {
    let rest = &line[start..];
    if rest.first() != Some(&format.quote) {
        let end = start + memchr2(format.quote, format.delimiter, rest).unwrap_or(rest.len());
        let ends = end == line.len() || line[end] == format.delimiter;
        return ends.then_some((Span { raw: start..end, value: None, quoted: false }, end));
    }
    let close = start + 1 + memchr2(format.quote, format.escape, &rest[1..])?;
    let ends = close + 1 == line.len() || line[close + 1] == format.delimiter;
    let closed = line[close] == format.quote && ends;
    closed.then_some((Span { raw: start + 1..close, value: None, quoted: true }, close + 1))
}

/// Whether the delimiter at `end` is the second half of an escape.
fn ends_in_escape(line: &[u8], start: usize, end: usize) -> bool {
    line[start..end].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Undoes the escapes of the text format.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(escaped) = rest.get(at + 1) else {
            out.push(b'\\');
            return;
        };
        let after = &rest[at + 2..];
        let (byte, used) = match escaped {
            b'b' => (8, 0),
            b'f' => (12, 0),
            b'n' => (b'\n', 0),
            b'r' => (b'\r', 0),
            b't' => (b'\t', 0),
            b'v' => (11, 0),
            b'0'..=b'7' => octal(escaped - b'0', after),
            b'x' => hexadecimal(after).unwrap_or((b'x', 0)),
            other => (*other, 0),
        };
        out.push(byte);
        rest = &after[used..];
    }
    out.extend_from_slice(rest);
}

fn octal(first: u8, after: &[u8]) -> (u8, usize) {
    let more = after.iter().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let value = after[..more].iter().fold(u32::from(first), |value, digit| value * 8 + u32::from(digit - b'0'));
    ((value & 0xff) as u8, more)
}

fn hexadecimal(after: &[u8]) -> Option<(u8, usize)> {
    let digits = after.iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let text = std::str::from_utf8(&after[..digits]).ok()?;
    Some((u8::from_str_radix(text, 16).ok()?, digits))
}
