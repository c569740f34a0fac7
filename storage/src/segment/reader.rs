//! Reads a segment in place.
//!
//! 1. Opening maps the file and checks its footer and its statistics (see [`super::format`]); no column is touched.
//! 2. The first touch of a column's chunk (or dictionary) checks its checksums and has Arrow validate every value.
//! 3. From then on the same chunk is handed out unchecked: the file cannot have changed.

use super::encoding::{Dictionary, Encoding, decode};
use super::format::{Chunk, Column, open_block};
use super::map::trusted_data;
use super::statistics::ColumnStatistics;
use crate::array_bytes::{Bytes, Malformed, fixed_width, read_array};
use crate::directory::{Directory, FileReader};
use crate::error::{Result, StorageError};
use crate::schema::{ColumnId, SegmentId};
use arrow::array::{Array, ArrayData, ArrayRef, AsArray, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, UInt8Type, UInt16Type};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// An open segment.
#[derive(Debug)]
pub struct Segment {
    id: SegmentId,
    name: String,
    file: Arc<dyn FileReader>,
    /// The row with which each granule starts, and at last the number of rows.
    starts: Vec<u64>,
    columns: Vec<OpenColumn>,
    sorted_by: Vec<ColumnId>,
    gaps_crc32c: u32,
    /// One bit per column and granule: whether the chunk has been checked.
    checked: Vec<AtomicU64>,
}

#[derive(Debug)]
struct OpenColumn {
    logical: DataType,
    /// The type of the stored arrays (of a dictionary: its keys).
    stored: DataType,
    encoding: Encoding,
    meta: Column,
    min: ArrayRef,
    max: ArrayRef,
    dictionary: OnceLock<Dictionary>,
}

impl OpenColumn {
    fn new(meta: Column, granules: usize) -> Result<Self, Malformed> {
        let (logical, encoding) = meta.types().map_err(Malformed)?;
        let stored = match &encoding {
            Encoding::Plain => logical.clone(),
            Encoding::Integer { stored, .. } | Encoding::Decimal { stored } | Encoding::Dictionary { keys: stored } => stored.clone(),
        };
        let bounds = |bytes: &[u8]| {
            let mut bytes = Bytes(bytes);
            let array = read_array(&mut bytes, &logical, granules)?;
            bytes.end().map(|()| array)
        };
        let (min, max) = (bounds(&meta.min)?, bounds(&meta.max)?);
        Ok(Self { logical, stored, encoding, meta, min, max, dictionary: OnceLock::new() })
    }
}

/// The file of a segment.
pub(crate) fn file_name(id: SegmentId) -> String {
    format!("{id}.arrow")
}

impl Segment {
    /// Opens a segment's file and checks its footer and statistics.
    pub fn open(directory: &dyn Directory, id: SegmentId) -> Result<Self> {
        let name = file_name(id);
        let file = directory.open(&name)?;
        let length = usize::try_from(file.len()).map_err(|_| StorageError::damaged(&name, None, "it is too long to be mapped"))?;
        let block = open_block(&name, &file.slice(0, length)?)?;
        if block.segment != id.0 {
            return Err(StorageError::damaged(&name, None, format!("it holds segment {}", SegmentId(block.segment))));
        }
        let starts: Vec<u64> = std::iter::once(0)
            .chain(block.granules.iter().scan(0u64, |sum, rows| {
                *sum += u64::from(*rows);
                Some(*sum)
            }))
            .collect();
        let granules = block.granules.len();
        let open = |column: Column| {
            let column_name = column.name.clone();
            OpenColumn::new(column, granules).map_err(|e| StorageError::damaged(&name, Some(&column_name), e.0))
        };
        let columns = block.columns.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        let checked = (0..(columns.len() * granules).div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let sorted_by = block.sorted_by.into_iter().map(ColumnId).collect();
        Ok(Self { id, name, file, starts, columns, sorted_by, gaps_crc32c: block.gaps_crc32c, checked })
    }

    /// Its id.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Its file's name.
    pub fn file_name(&self) -> &str {
        &self.name
    }

    /// Its file's size in bytes.
    pub fn disk_bytes(&self) -> u64 {
        self.file.len()
    }

    /// Rows, deleted ones included.
    pub fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or_default()
    }

    /// Granules.
    pub fn granules(&self) -> usize {
        self.starts.len() - 1
    }

    /// The rows of a granule.
    pub fn granule_rows(&self, granule: usize) -> Range<u64> {
        self.starts[granule]..self.starts[granule + 1]
    }

    /// Columns by which the rows are sorted (ascending, nulls last); may be empty.
    pub fn sorted_by(&self) -> &[ColumnId] {
        &self.sorted_by
    }

    /// The ids of its columns.
    pub fn columns(&self) -> impl Iterator<Item = ColumnId> + '_ {
        self.columns.iter().map(|c| ColumnId(c.meta.id))
    }

    /// Where a column stands in this segment, if it has it.
    pub(crate) fn column_index(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|c| c.meta.id == id.0)
    }

    /// The column's name at the time of writing.
    pub(crate) fn column_name(&self, column: usize) -> &str {
        &self.columns[column].meta.name
    }

    pub(crate) fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// Statistics of a column over one granule.
    pub fn granule_statistics(&self, column: ColumnId, granule: usize) -> Option<ColumnStatistics> {
        let column = &self.columns[self.column_index(column)?];
        let bound = |bounds: &ArrayRef| bounds.is_valid(granule).then(|| bounds.slice(granule, 1));
        Some(ColumnStatistics {
            column: ColumnId(column.meta.id),
            min: bound(&column.min),
            max: bound(&column.max),
            exact: column.meta.exact[granule],
            nulls: column.meta.nulls[granule].into(),
            distinct: column.meta.distinct[granule].into(),
            bytes: column.meta.chunks[granule].bytes(),
        })
    }

    /// Encoded bytes of a column in one granule.
    pub(crate) fn chunk_bytes(&self, column: usize, granule: usize) -> u64 {
        self.columns[column].meta.chunks[granule].bytes()
    }

    /// Asks the operating system for a column's part of a granule ahead of its use.
    pub fn prefetch(&self, column: ColumnId, granule: usize) {
        let Some(column) = self.column_index(column).map(|i| &self.columns[i]) else { return };
        let buffers = column.meta.chunks[granule].buffers();
        let start = buffers.iter().map(|(offset, _, _)| *offset).min().unwrap_or_default();
        let end = buffers.iter().map(|(offset, length, _)| offset + length).max().unwrap_or_default();
        self.file.prefetch(start, (end - start) as usize);
    }

    /// A column's part of a granule as it is stored (of a dictionary: the keys). Checked when touched for the first time.
    pub(crate) fn encoded(&self, column: usize, granule: usize) -> Result<ArrayRef> {
        let bit = column * self.granules() + granule;
        let (word, mask) = (&self.checked[bit / 64], 1u64 << (bit % 64));
        let trusted = word.load(Ordering::Acquire) & mask != 0;
        let array = self.read_chunk(column, granule, trusted)?;
        if !trusted {
            word.fetch_or(mask, Ordering::AcqRel);
        }
        Ok(array)
    }

    /// Reads and checks a chunk as if it were touched for the first time.
    pub(crate) fn check_chunk(&self, column: usize, granule: usize) -> Result<()> {
        self.read_chunk(column, granule, false).map(drop)
    }

    fn read_chunk(&self, column: usize, granule: usize, trusted: bool) -> Result<ArrayRef> {
        let open = &self.columns[column];
        let array = self.read(&open.meta.chunks[granule], &open.stored, trusted).map_err(|e| self.damaged(column, e))?;
        if let (false, Encoding::Dictionary { .. }) = (trusted, &open.encoding) {
            let entries = self.dictionary(column)?.map_or(0, |d| d.values.len());
            check_keys(&array, entries).map_err(|e| self.damaged(column, e.to_string()))?;
        }
        Ok(array)
    }

    fn damaged(&self, column: usize, reason: String) -> StorageError {
        StorageError::damaged(&self.name, Some(self.column_name(column)), reason)
    }

    /// The column's dictionary, if it has one. Checked when touched for the first time.
    pub(crate) fn dictionary(&self, column: usize) -> Result<Option<&Dictionary>> {
        let open = &self.columns[column];
        let Encoding::Dictionary { .. } = open.encoding else { return Ok(None) };
        if let Some(dictionary) = open.dictionary.get() {
            return Ok(Some(dictionary));
        }
        let dictionary = self.read_dictionary(open).map_err(|e| self.damaged(column, e))?;
        Ok(Some(open.dictionary.get_or_init(|| dictionary)))
    }

    /// Reads and checks a dictionary as if it were touched for the first time.
    pub(crate) fn check_dictionary(&self, column: usize) -> Result<()> {
        let open = &self.columns[column];
        match open.encoding {
            Encoding::Dictionary { .. } => self.read_dictionary(open).map(drop).map_err(|e| self.damaged(column, e)),
            _ => Ok(()),
        }
    }

    fn read_dictionary(&self, open: &OpenColumn) -> Result<Dictionary, String> {
        let chunk = open.meta.dictionary.as_ref().ok_or("its dictionary is missing")?;
        let values = self.read(chunk, &DataType::Utf8, false)?;
        Dictionary::new(values.as_string::<i32>()).map_err(|e| e.to_string())
    }

    /// Decodes what [`Segment::encoded`] gave (or rows taken from it) to the logical type.
    pub(crate) fn decode(&self, column: usize, encoded: &ArrayRef) -> Result<ArrayRef> {
        let open = &self.columns[column];
        Ok(decode(encoded, &open.encoding, &open.logical, self.dictionary(column)?))
    }

    fn read(&self, chunk: &Chunk, stored: &DataType, trusted: bool) -> Result<ArrayRef, String> {
        let mut parts = Parts { segment: self, chunk, node: 0, buffer: 0, variadic: 0, trusted };
        let data = parts.array(stored)?;
        Ok(make_array(data))
    }

    /// Compares the checksum of all bytes between the buffers, up to the block, with what was written.
    pub(crate) fn check_gaps(&self) -> Result<()> {
        let chunks = self.columns.iter().flat_map(|c| c.meta.chunks.iter().chain(&c.meta.dictionary));
        let mut buffers: Vec<(u64, u64)> = chunks.flat_map(Chunk::buffers).map(|(offset, length, _)| (*offset, *length)).collect();
        buffers.sort_unstable();
        let whole = self.file.slice(0, self.file.len() as usize)?;
        let end = super::format::block_start(&self.name, &whole)? as u64;
        let (mut crc, mut at) = (0, 0);
        for (offset, length) in buffers.into_iter().chain([(end, 0)]) {
            let gap =
                whole.get(at as usize..offset as usize).ok_or_else(|| StorageError::damaged(&self.name, None, "its buffers overlap"))?;
            crc = crc32c::crc32c_append(crc, gap);
            at = offset + length;
        }
        if crc == self.gaps_crc32c {
            Ok(())
        } else {
            Err(StorageError::damaged(&self.name, None, "the checksum between its buffers is wrong"))
        }
    }
}

/// Every key, also of a NULL, must point into the dictionary: decoding does not look again.
fn check_keys(keys: &ArrayRef, entries: usize) -> Result<(), &'static str> {
    fn within<K: ArrowNativeType>(keys: &[K], entries: usize) -> bool {
        keys.iter().all(|key| key.as_usize() < entries)
    }
    let sound = match keys.data_type() {
        DataType::UInt8 => within(keys.as_primitive::<UInt8Type>().values(), entries),
        _ => within(keys.as_primitive::<UInt16Type>().values(), entries),
    };
    if sound { Ok(()) } else { Err("a key lies beyond its dictionary") }
}

/// Walks through a chunk's nodes and buffers, building the array and its children.
struct Parts<'a> {
    segment: &'a Segment,
    chunk: &'a Chunk,
    node: usize,
    buffer: usize,
    variadic: usize,
    trusted: bool,
}

impl Parts<'_> {
    fn array(&mut self, stored: &DataType) -> Result<ArrayData, String> {
        let (length, null_count) = *self.chunk.nodes().get(self.node).ok_or("an array is missing")?;
        self.node += 1;
        let length = usize::try_from(length).ok().filter(|l| *l <= i32::MAX as usize).ok_or("an array is too long")?;
        let nulls = self.nulls(length, null_count)?;
        let mut builder = ArrayData::builder(stored.clone()).len(length).nulls(nulls);
        for i in 0..self.buffers_of(stored)? {
            let buffer = self.next_buffer()?;
            // Arrow takes whole elements for granted before it validates anything.
            if i == 0 && buffer.len() % element_bytes(stored) != 0 {
                return Err("a buffer ends within a value".to_string());
            }
            builder = builder.add_buffer(buffer);
        }
        if let DataType::List(field) = stored {
            builder = builder.add_child_data(self.array(field.data_type())?);
        }
        if self.trusted {
            return Ok(trusted_data(builder));
        }
        builder.build().map_err(|e| e.to_string())
    }

    fn nulls(&mut self, length: usize, null_count: u64) -> Result<Option<NullBuffer>, String> {
        let bits = self.next_buffer()?;
        if null_count == 0 {
            return Ok(None);
        }
        if bits.len() < length.div_ceil(8) {
            return Err("a validity bitmap is too short".to_string());
        }
        let nulls = NullBuffer::new(BooleanBuffer::new(bits, 0, length));
        if nulls.null_count() as u64 != null_count {
            return Err("it has another number of NULLs than its footer says".to_string());
        }
        Ok(Some(nulls))
    }

    /// Buffers after the validity bitmap.
    fn buffers_of(&mut self, stored: &DataType) -> Result<usize, String> {
        Ok(match stored {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 2,
            DataType::Utf8View | DataType::BinaryView => {
                let count = *self.chunk.variadic().get(self.variadic).ok_or("the number of its buffers is missing")?;
                self.variadic += 1;
                1 + count as usize
            }
            DataType::Boolean | DataType::List(_) => 1,
            other if fixed_width(other).is_some() => 1,
            _ => return Err("its type cannot be read".to_string()),
        })
    }

    fn next_buffer(&mut self) -> Result<Buffer, String> {
        let (offset, length, crc) = *self.chunk.buffers().get(self.buffer).ok_or("a buffer is missing")?;
        self.buffer += 1;
        let buffer = self.segment.file.slice(offset, length as usize).map_err(|e| e.to_string())?;
        if !self.trusted && crc32c::crc32c(&buffer) != crc {
            return Err(format!("the checksum of bytes {offset} to {} is wrong", offset + length));
        }
        Ok(buffer)
    }
}

/// Bytes per element of a type's first buffer after the validity: values, views or offsets.
fn element_bytes(stored: &DataType) -> usize {
    match stored {
        DataType::Utf8View | DataType::BinaryView => 16,
        DataType::Utf8 | DataType::Binary | DataType::List(_) => 4,
        DataType::LargeUtf8 | DataType::LargeBinary => 8,
        other => fixed_width(other).unwrap_or(1).max(1),
    }
}
