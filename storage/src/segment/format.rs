//! The footer of a segment file: where everything is, and by which checksums it is known. Drawn to the byte in docs/segment-format.md.
//!
//! A segment is an Arrow IPC file. Between its last message and the IPC footer stands the *block*: our statistics, with the range and
//! CRC-32C of every buffer. The IPC footer's custom metadata says where the block is and what its checksum is, and holds a checksum
//! of the footer itself, taken with those eight digits set to zeros. The bytes between buffers (message headers, padding) have a
//! checksum in the block. So every byte of the file is covered by one checksum.

use super::encoding::{Encoding, integer_encoding_is_sound, logical_type};
use crate::array_bytes::{Bytes, put_type, read_type};
use crate::error::{Result, StorageError};
use arrow::datatypes::DataType;
use arrow::ipc::root_as_footer;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The format written, and the newest read.
pub(super) const VERSION: u32 = 1;
pub(super) const MAGIC: &[u8; 6] = b"ARROW1";
/// The length of the footer and the magic at the very end.
pub(super) const TRAILER_BYTES: usize = 10;
/// What buffers and messages are aligned to.
pub(super) const ALIGNMENT_BYTES: u64 = 64;

pub(super) const KEY_VERSION: &str = "plimsoll.format_version";
pub(super) const KEY_BLOCK: &str = "plimsoll.statistics";
pub(super) const KEY_FOOTER_CRC: &str = "plimsoll.footer_crc32c";
pub(super) const FOOTER_CRC_ZEROS: &str = "00000000";
/// Key of a field's metadata: the column's id.
pub(super) const KEY_COLUMN: &str = "plimsoll.column";
/// Key of a field's metadata: the logical type, where another is stored.
pub(super) const KEY_TYPE: &str = "plimsoll.type";
/// Key of a field's metadata: what a stored integer is multiplied by.
pub(super) const KEY_FACTOR: &str = "plimsoll.factor";

/// Our statistics of a whole segment.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Block {
    pub(super) segment: u64,
    pub(super) rows: u64,
    /// Rows of each granule.
    pub(super) granules: Vec<u32>,
    /// CRC-32C of all bytes before the block that are in no buffer, in order.
    pub(super) gaps_crc32c: u32,
    pub(super) columns: Vec<Column>,
    /// Ids of the columns by which the rows are sorted.
    pub(super) sorted_by: Vec<u32>,
}

/// One column.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Column {
    pub(super) id: u32,
    pub(super) name: String,
    /// The logical type, in `array_bytes`' form.
    #[serde(with = "serde_bytes")]
    pub(super) logical: Vec<u8>,
    /// The type of the stored values (of a dictionary: its keys), likewise.
    #[serde(with = "serde_bytes")]
    pub(super) stored: Vec<u8>,
    /// A logical value is this many times the stored one.
    pub(super) factor: i64,
    /// Whether the column by itself is sorted (ascending, nulls last).
    pub(super) sorted: bool,
    /// Where the dictionary's values are, if there is one.
    pub(super) dictionary: Option<Chunk>,
    /// The column's part of each granule.
    pub(super) chunks: Vec<Chunk>,
    /// Per granule: NULLs, distinct values (estimated).
    pub(super) nulls: Vec<u32>,
    pub(super) distinct: Vec<u32>,
    /// Per granule: whether the extremes are values that occur.
    pub(super) exact: Vec<bool>,
    /// One value per granule each, NULL where there is none, in `array_bytes`' form.
    #[serde(with = "serde_bytes")]
    pub(super) min: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(super) max: Vec<u8>,
}

/// Where the buffers of one array are. Serialized without names: there are thousands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Chunk(
    /// Length and NULLs of the array and of its children, depth first, as in the record batch message.
    pub(super) Vec<(u64, u64)>,
    /// File offset, length and CRC-32C of each buffer, in the order of the message.
    pub(super) Vec<(u64, u64, u32)>,
    /// Numbers of data buffers of the views among them.
    pub(super) Vec<u32>,
);

impl Chunk {
    pub(super) fn nodes(&self) -> &[(u64, u64)] {
        &self.0
    }
    pub(super) fn buffers(&self) -> &[(u64, u64, u32)] {
        &self.1
    }
    pub(super) fn variadic(&self) -> &[u32] {
        &self.2
    }
    pub(super) fn bytes(&self) -> u64 {
        self.1.iter().map(|(_, length, _)| length).sum()
    }
}

impl Column {
    pub(super) fn new(id: u32, name: &str, logical: &DataType, encoding: &Encoding) -> Self {
        let typed = |t: &DataType| {
            let mut out = Vec::new();
            put_type(&mut out, t);
            out
        };
        let (stored, factor) = match encoding {
            Encoding::Plain => (logical, 1),
            Encoding::Integer { stored, factor } => (stored, *factor),
            Encoding::Decimal { stored } => (stored, 1),
            Encoding::Dictionary { keys } => (keys, 1),
        };
        Self {
            id,
            name: name.to_string(),
            logical: typed(logical),
            stored: typed(stored),
            factor,
            sorted: false,
            dictionary: None,
            chunks: Vec::new(),
            nulls: Vec::new(),
            distinct: Vec::new(),
            exact: Vec::new(),
            min: Vec::new(),
            max: Vec::new(),
        }
    }

    /// The logical type and the encoding, if they are ones that fit together.
    pub(super) fn types(&self) -> std::result::Result<(DataType, Encoding), &'static str> {
        let typed = |bytes: &[u8]| read_type(&mut Bytes(bytes)).map_err(|e| e.0);
        let (logical, stored) = (typed(&self.logical)?, typed(&self.stored)?);
        let encoding = match (&logical, &stored) {
            _ if logical_type(&logical) != logical => return Err("its type is not a logical one"),
            (DataType::Utf8View, DataType::UInt8 | DataType::UInt16) => Encoding::Dictionary { keys: stored },
            (DataType::Decimal128(..), DataType::Decimal32(_, s) | DataType::Decimal64(_, s)) => match logical {
                DataType::Decimal128(_, scale) if scale == *s => Encoding::Decimal { stored },
                _ => return Err("its decimals have two scales"),
            },
            (logical, stored) if logical == stored => Encoding::Plain,
            (logical, stored) if integer_encoding_is_sound(logical, stored) => {
                Encoding::Integer { stored: stored.clone(), factor: self.factor }
            }
            _ => return Err("its encoding does not fit its type"),
        };
        match (&encoding, &self.dictionary) {
            (Encoding::Dictionary { .. }, None) => Err("its dictionary is missing"),
            _ => Ok((logical, encoding)),
        }
    }
}

/// The footer's checksum, with the digits of the checksum itself (at `hole`) taken as zeros.
pub(super) fn footer_crc32c(footer: &[u8], hole: Range<usize>) -> u32 {
    let crc = crc32c::crc32c(&footer[..hole.start]);
    let crc = crc32c::crc32c_append(crc, FOOTER_CRC_ZEROS.as_bytes());
    crc32c::crc32c_append(crc, &footer[hole.end..])
}

/// Finds the value of a key in the footer's custom metadata: as text, and as a range of the footer's bytes.
pub(super) fn metadata<'a>(footer: &'a [u8], key: &str) -> std::result::Result<(&'a str, Range<usize>), String> {
    let parsed = root_as_footer(footer).map_err(|e| format!("its footer cannot be read: {e}"))?;
    let mut pairs = parsed.custom_metadata().into_iter().flatten();
    let value = pairs.find(|p| p.key() == Some(key)).and_then(|p| p.value()).ok_or_else(|| format!("its footer has no {key}"))?;
    let start = value.as_ptr() as usize - footer.as_ptr() as usize;
    Ok((value, start..start + value.len()))
}

/// Reads and checks the end of a file: the version, the footer and the block. `file` is its name.
pub(super) fn open_block(file: &str, bytes: &[u8]) -> Result<Block> {
    let damaged = |reason: String| StorageError::damaged(file, None, reason);
    let footer_range = footer_range(bytes).map_err(|e| damaged(e.to_string()))?;
    let footer = &bytes[footer_range.clone()];
    let (version, _) = metadata(footer, KEY_VERSION).map_err(damaged)?;
    let version: u32 = version.parse().map_err(|_| damaged("its format version is not a number".into()))?;
    if version > VERSION {
        return Err(StorageError::NewerFormat { file: file.to_string(), found: version, supported: VERSION });
    }
    check_footer(footer).map_err(damaged)?;
    let (place, _) = metadata(footer, KEY_BLOCK).map_err(damaged)?;
    let (range, crc) = parse_place(place).ok_or_else(|| damaged("the place of its statistics cannot be read".into()))?;
    let block = bytes.get(range.clone()).filter(|_| range.end == footer_range.start);
    let block = block.ok_or_else(|| damaged("its statistics are not where its footer says".into()))?;
    if crc32c::crc32c(block) != crc {
        return Err(damaged("the checksum of its statistics is wrong".into()));
    }
    let block: Block = rmp_serde::from_slice(block).map_err(|e| damaged(format!("its statistics cannot be read: {e}")))?;
    check_block(&block, range.start as u64).map_err(|(column, reason)| StorageError::damaged(file, column.as_deref(), reason))?;
    Ok(block)
}

/// Where the block starts, in a file that [`open_block`] has read.
pub(super) fn block_start(file: &str, bytes: &[u8]) -> Result<usize> {
    let damaged = |reason: &str| StorageError::damaged(file, None, reason);
    let footer = &bytes[footer_range(bytes).map_err(damaged)?];
    let place = metadata(footer, KEY_BLOCK).map_err(|e| damaged(&e))?.0;
    parse_place(place).map(|(range, _)| range.start).ok_or_else(|| damaged("the place of its statistics cannot be read"))
}

/// Where the IPC footer is.
fn footer_range(bytes: &[u8]) -> std::result::Result<Range<usize>, &'static str> {
    let length_max = bytes.len().checked_sub(8 + TRAILER_BYTES).ok_or("it is too short to be a segment")?;
    if !bytes.starts_with(MAGIC) {
        return Err("it does not start as an Arrow file");
    }
    let trailer = &bytes[bytes.len() - TRAILER_BYTES..];
    if !trailer.ends_with(MAGIC) {
        return Err("it does not end as an Arrow file: it is cut short, or no segment");
    }
    let length = u32::from_le_bytes([trailer[0], trailer[1], trailer[2], trailer[3]]) as usize;
    if length > length_max {
        return Err("its footer is longer than the file");
    }
    let end = bytes.len() - TRAILER_BYTES;
    Ok(end - length..end)
}

fn check_footer(footer: &[u8]) -> std::result::Result<(), String> {
    let (digits, hole) = metadata(footer, KEY_FOOTER_CRC)?;
    if digits.len() != FOOTER_CRC_ZEROS.len() || u32::from_str_radix(digits, 16) != Ok(footer_crc32c(footer, hole)) {
        return Err("the checksum of its footer is wrong".to_string());
    }
    Ok(())
}

/// The text that says where the block is: offset, length, CRC-32C in hexadecimal digits.
pub(super) fn format_place(offset: u64, length: usize, crc: u32) -> String {
    format!("{offset} {length} {crc:08x}")
}

fn parse_place(text: &str) -> Option<(Range<usize>, u32)> {
    let mut words = text.split(' ');
    let offset: usize = words.next()?.parse().ok()?;
    let length: usize = words.next()?.parse().ok()?;
    let crc = u32::from_str_radix(words.next()?, 16).ok()?;
    Some((offset..offset.checked_add(length)?, crc))
}

type Complaint = (Option<String>, &'static str);

/// Everything that later reading takes for granted: counts agree, buffers lie in the file and are aligned.
fn check_block(block: &Block, end: u64) -> std::result::Result<(), Complaint> {
    let rows = block.granules.iter().map(|rows| u64::from(*rows)).sum::<u64>();
    if rows != block.rows || block.rows > u64::from(u32::MAX) {
        return Err((None, "the rows of its granules do not add up"));
    }
    for column in &block.columns {
        check_column(column, &block.granules, end).map_err(|reason| (Some(column.name.clone()), reason))?;
    }
    Ok(())
}

fn check_column(column: &Column, granules: &[u32], end: u64) -> std::result::Result<(), &'static str> {
    column.types()?;
    let counts = [column.chunks.len(), column.nulls.len(), column.distinct.len(), column.exact.len()];
    if counts.iter().any(|count| *count != granules.len()) {
        return Err("its granules are not as many as the segment's");
    }
    for (chunk, rows) in column.chunks.iter().zip(granules) {
        if chunk.nodes().first().map(|(length, _)| *length) != Some(u64::from(*rows)) {
            return Err("a granule has another number of rows than the segment's");
        }
    }
    for (offset, length, _) in column.chunks.iter().chain(&column.dictionary).flat_map(Chunk::buffers) {
        if offset % ALIGNMENT_BYTES != 0 || offset.checked_add(*length).is_none_or(|e| e > end) {
            return Err("a buffer is not where it can be");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_comes_back() {
        assert_eq!(parse_place(&format_place(64, 10, 0xab)), Some((64..74, 0xab)));
        for wrong in ["", "1", "1 2", "1 2 x", "-1 2 3", "18446744073709551615 1 0"] {
            assert_eq!(parse_place(wrong), None, "{wrong}");
        }
    }
}
