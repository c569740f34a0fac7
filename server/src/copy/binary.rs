//! The binary form: a signature and header, then tuples of values behind their lengths, then a trailer.

use crate::error::{Result, SqlError, SqlState};

/// What a binary file starts with.
pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// What comes next.
pub(super) enum Step {
    /// More bytes are needed.
    More,
    /// The header, so long in bytes.
    Header(usize),
    /// A tuple, so long in bytes with its count of fields.
    Tuple(usize),
    /// The trailer.
    End,
}

/// How far the file has been read.
#[derive(Default)]
pub(super) struct State {
    header_read: bool,
    /// Values and bytes of a tuple that is not complete: they are not walked again.
    walked: (usize, usize),
}

fn bad(message: impl Into<std::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

fn int(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at + 4).map(|bytes| i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

impl State {
    pub(super) fn next(&mut self, bytes: &[u8], columns: usize) -> Result<Step> {
        if !self.header_read {
            return self.header(bytes);
        }
        let Some(count) = bytes.get(..2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])) else { return Ok(Step::More) };
        if count == -1 {
            return Ok(Step::End);
        }
        if usize::try_from(count) != Ok(columns) {
            return Err(bad(format!("row field count is {count}, expected {columns}")));
        }
        let (mut values, mut at) = if self.walked.1 == 0 { (0, 2) } else { self.walked };
        while values < columns {
            let Some(end) = value_end(bytes, at)?.filter(|end| *end <= bytes.len()) else {
                self.walked = (values, at);
                return Ok(Step::More);
            };
            (values, at) = (values + 1, end);
        }
        self.walked = (0, 0);
        Ok(Step::Tuple(at))
    }
    fn header(&mut self, bytes: &[u8]) -> Result<Step> {
        let known = bytes.len().min(SIGNATURE.len());
        if bytes[..known] != SIGNATURE[..known] {
            return Err(bad("COPY file signature not recognized"));
        }
        let (Some(flags), Some(extension)) = (int(bytes, 11), int(bytes, 15)) else { return Ok(Step::More) };
        if flags as u32 >> 16 != 0 {
            return Err(bad("unrecognized critical flags in COPY file header"));
        }
        let extension = usize::try_from(extension).map_err(|_| bad("invalid COPY file header (missing length)"))?;
        if bytes.len() < 19 + extension {
            return Ok(Step::More);
        }
        self.header_read = true;
        Ok(Step::Header(19 + extension))
    }
    /// The file must end where a tuple could start; the trailer may be missing.
    pub(super) fn finish(&self, pending: bool) -> Result<()> {
        match (self.header_read, pending) {
            (false, _) => Err(bad("COPY file signature not recognized")),
            (true, true) => Err(bad("unexpected EOF in COPY data")),
            (true, false) => Ok(()),
        }
    }
}

fn value_end(bytes: &[u8], at: usize) -> Result<Option<usize>> {
    match int(bytes, at) {
        None => Ok(None),
        Some(-1) => Ok(Some(at + 4)),
        Some(length) => usize::try_from(length).map(|length| Some(at + 4 + length)).map_err(|_| bad("invalid field size")),
    }
}

/// The values of a whole tuple.
pub(super) fn values(tuple: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut at = 2;
    std::iter::from_fn(move || {
        let length = int(tuple, at)?;
        at += 4;
        let Ok(length) = usize::try_from(length) else { return Some(None) };
        at += length;
        Some(tuple.get(at - length..at))
    })
}
