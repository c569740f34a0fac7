//! Writes one segment file: encoded columns in, an Arrow IPC file with our block and checksums out.
//!
//! 1. Arrow's own `FileWriter` makes the messages, into memory, one granule at a time.
//! 2. The message's header says where its buffers are; they are checksummed and written on.
//! 3. Then the block, the footer (with its own checksum patched in), fsync.

use super::encoding::{EncodedColumn, Encoding};
use super::format::{
    Block, Chunk, Column, FOOTER_CRC_ZEROS, KEY_BLOCK, KEY_COLUMN, KEY_FACTOR, KEY_FOOTER_CRC, KEY_TYPE, KEY_VERSION, TRAILER_BYTES,
    VERSION, footer_crc32c, format_place, metadata,
};
use super::view::compact;
use crate::directory::FileWriter;
use crate::error::{Result, StorageError};
use crate::schema::ColumnSpec;
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter as IpcWriter, IpcWriteOptions};
use arrow::ipc::{MessageHeader, MetadataVersion, root_as_message};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Takes what Arrow writes; keeps it until it is passed on.
#[derive(Default)]
struct Captured(Vec<u8>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A segment file being written.
pub(super) struct SegmentFile {
    file: Box<dyn FileWriter>,
    ipc: IpcWriter<Captured>,
    schema: SchemaRef,
    gaps_crc32c: u32,
    /// What each column stores, for walking through the messages.
    stored: Vec<DataType>,
}

/// The field of a column in the file: readable by anyone, and our own terms as metadata.
fn field(spec: &ColumnSpec, logical: &DataType, encoded: &EncodedColumn) -> Field {
    let mut metadata = vec![(KEY_COLUMN.to_string(), spec.id.0.to_string())];
    if encoded.array.data_type() != logical {
        metadata.push((KEY_TYPE.to_string(), logical.to_string()));
    }
    if let Encoding::Integer { factor, .. } = encoded.encoding {
        metadata.push((KEY_FACTOR.to_string(), factor.to_string()));
    }
    Field::new(&spec.name, encoded.array.data_type().clone(), true).with_metadata(metadata.into_iter().collect())
}

impl SegmentFile {
    /// Starts the file: magic and schema.
    pub(super) fn new(file: Box<dyn FileWriter>, columns: &[(ColumnSpec, DataType, EncodedColumn)]) -> Result<Self> {
        let fields: Vec<Field> = columns.iter().map(|(spec, logical, encoded)| field(spec, logical, encoded)).collect();
        let schema = Arc::new(Schema::new(fields));
        let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?;
        let ipc = IpcWriter::try_new_with_options(Captured::default(), &schema, options)?;
        let stored = schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let mut this = Self { file, ipc, schema, gaps_crc32c: 0, stored };
        let head = std::mem::take(&mut this.ipc.get_mut().0);
        this.pass_on(&head, &[])?;
        Ok(this)
    }

    /// Writes one granule; adds its chunks (and the first time, the dictionaries) to the block's columns.
    pub(super) fn write_granule(&mut self, rows: usize, arrays: Vec<ArrayRef>, columns: &mut [Column]) -> Result<()> {
        let arrays = arrays.into_iter().map(|a| compact(&a)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        self.ipc.write(&RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)?;
        let bytes = std::mem::take(&mut self.ipc.get_mut().0);
        let start = self.file.position();
        let messages = Messages { bytes: &bytes, start, stored: &self.stored };
        let buffers = messages.read(columns)?;
        self.pass_on(&bytes, &buffers)
    }

    /// Writes bytes to the file; those outside of `buffers` (ranges of the file) are added to the checksum of the gaps.
    fn pass_on(&mut self, bytes: &[u8], buffers: &[Range<u64>]) -> Result<()> {
        let start = self.file.position();
        let mut at = 0;
        for buffer in buffers {
            let (from, to) = ((buffer.start - start) as usize, (buffer.end - start) as usize);
            self.gaps_crc32c = crc32c::crc32c_append(self.gaps_crc32c, &bytes[at..from]);
            at = to;
        }
        self.gaps_crc32c = crc32c::crc32c_append(self.gaps_crc32c, &bytes[at..]);
        self.file.write_all(bytes)
    }

    /// Writes the block and the footer, and makes the file durable; returns its size in bytes.
    pub(super) fn finish(mut self, mut block: Block) -> Result<u64> {
        // The end-of-stream mark (8 bytes) stands right after the last message, and the block after it.
        let offset = self.file.position() + 8;
        block.gaps_crc32c = crc32c::crc32c_append(self.gaps_crc32c, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let block = rmp_serde::to_vec_named(&block).map_err(|e| ArrowError::IpcError(e.to_string()))?;
        self.ipc.write_metadata(KEY_VERSION, VERSION.to_string());
        self.ipc.write_metadata(KEY_BLOCK, format_place(offset, block.len(), crc32c::crc32c(&block)));
        self.ipc.write_metadata(KEY_FOOTER_CRC, FOOTER_CRC_ZEROS);
        self.ipc.finish()?;
        let mut end = std::mem::take(&mut self.ipc.get_mut().0);
        let (end_of_stream, footer) = end.split_at_mut(8);
        patch_footer(footer)?;
        self.file.write_all(end_of_stream)?;
        self.file.write_all(&block)?;
        self.file.write_all(footer)?;
        self.file.sync()?;
        Ok(self.file.position())
    }
}

/// Puts the footer's checksum into the place that was left for it.
fn patch_footer(footer_and_trailer: &mut [u8]) -> Result<()> {
    let length = footer_and_trailer.len() - TRAILER_BYTES;
    let footer = &mut footer_and_trailer[..length];
    let (_, hole) = metadata(footer, KEY_FOOTER_CRC).map_err(ArrowError::IpcError)?;
    let crc = footer_crc32c(footer, hole.clone());
    footer[hole].copy_from_slice(format!("{crc:08x}").as_bytes());
    Ok(())
}

/// The messages of one granule, as Arrow made them.
struct Messages<'a> {
    bytes: &'a [u8],
    start: u64,
    stored: &'a [DataType],
}

impl Messages<'_> {
    /// Notes where the buffers are in `columns`; returns their ranges in the file, in order.
    fn read(&self, columns: &mut [Column]) -> Result<Vec<Range<u64>>> {
        let unexpected = |what: &str| StorageError::Arrow(ArrowError::IpcError(format!("unexpected message while writing: {what}")));
        let mut ranges = Vec::new();
        let mut at = 0;
        let mut dictionaries = self.stored.iter().enumerate().filter(|(_, t)| matches!(t, DataType::Dictionary(..))).map(|(i, _)| i);
        while at < self.bytes.len() {
            let word = |i: usize| u32::from_le_bytes([self.bytes[i], self.bytes[i + 1], self.bytes[i + 2], self.bytes[i + 3]]);
            let body_at = at + 8 + word(at + 4) as usize;
            let message = root_as_message(&self.bytes[at + 8..body_at]).map_err(|e| unexpected(&e.to_string()))?;
            let body_start = self.start + body_at as u64;
            match message.header_type() {
                MessageHeader::DictionaryBatch => {
                    let column = dictionaries.next().ok_or_else(|| unexpected("one dictionary too many"))?;
                    let batch = message.header_as_dictionary_batch().and_then(|d| d.data()).ok_or_else(|| unexpected("no dictionary"))?;
                    let mut walk = Walk::new(&batch, body_start, self.bytes, self.start);
                    columns[column].dictionary = Some(walk.chunk(&DataType::Utf8).ok_or_else(|| unexpected("a short dictionary"))?);
                    ranges.append(&mut walk.ranges);
                }
                MessageHeader::RecordBatch => {
                    let batch = message.header_as_record_batch().ok_or_else(|| unexpected("no batch"))?;
                    let mut walk = Walk::new(&batch, body_start, self.bytes, self.start);
                    for (column, stored) in columns.iter_mut().zip(self.stored) {
                        column.chunks.push(walk.chunk(stored).ok_or_else(|| unexpected("a short batch"))?);
                    }
                    ranges.append(&mut walk.ranges);
                }
                _ => return Err(unexpected("neither dictionary nor batch")),
            }
            at = body_at + message.bodyLength() as usize;
        }
        Ok(ranges)
    }
}

/// Walks through the nodes and buffers of one message, column by column.
struct Walk<'a> {
    nodes: Vec<(u64, u64)>,
    buffers: Vec<Range<u64>>,
    variadic: Vec<u32>,
    next_node: usize,
    next_buffer: usize,
    next_variadic: usize,
    ranges: Vec<Range<u64>>,
    bytes: &'a [u8],
    start: u64,
}

impl<'a> Walk<'a> {
    fn new(batch: &arrow::ipc::RecordBatch<'_>, body_start: u64, bytes: &'a [u8], start: u64) -> Self {
        let range = |b: &arrow::ipc::Buffer| body_start + b.offset() as u64..body_start + (b.offset() + b.length()) as u64;
        Self {
            nodes: batch.nodes().into_iter().flatten().map(|n| (n.length() as u64, n.null_count() as u64)).collect(),
            buffers: batch.buffers().into_iter().flatten().map(range).collect(),
            variadic: batch.variadicBufferCounts().into_iter().flatten().map(|count| count as u32).collect(),
            next_node: 0,
            next_buffer: 0,
            next_variadic: 0,
            ranges: Vec::new(),
            bytes,
            start,
        }
    }

    fn chunk(&mut self, stored: &DataType) -> Option<Chunk> {
        let mut chunk = Chunk::default();
        self.add(stored, &mut chunk)?;
        Some(chunk)
    }

    fn add(&mut self, stored: &DataType, chunk: &mut Chunk) -> Option<()> {
        chunk.0.push(*self.nodes.get(self.next_node)?);
        self.next_node += 1;
        let mut buffers = match stored {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 3,
            _ => 2,
        };
        if matches!(stored, DataType::Utf8View | DataType::BinaryView) {
            let variadic = *self.variadic.get(self.next_variadic)?;
            self.next_variadic += 1;
            chunk.2.push(variadic);
            buffers += variadic;
        }
        for _ in 0..buffers {
            let range = self.buffers.get(self.next_buffer)?.clone();
            self.next_buffer += 1;
            let bytes = self.bytes.get((range.start - self.start) as usize..(range.end - self.start) as usize)?;
            chunk.1.push((range.start, bytes.len() as u64, crc32c::crc32c(bytes)));
            self.ranges.push(range);
        }
        match stored {
            DataType::List(field) => self.add(field.data_type(), chunk),
            _ => Some(()),
        }
    }
}
