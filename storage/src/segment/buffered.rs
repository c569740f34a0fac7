//! Rows that wait in memory until there are enough for a segment.

use super::encoding::logical_type;
use super::view::compact;
use crate::error::Result;
use crate::schema::ColumnSpec;
use arrow::array::{Array, ArrayRef, AsArray, MutableArrayData, RecordBatch, make_array, new_empty_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;

/// Column by column, the arrays that were pushed.
pub(super) struct Buffered {
    types: Vec<DataType>,
    columns: Vec<Vec<ArrayRef>>,
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Buffered {
    pub(super) fn new(columns: &[ColumnSpec]) -> Self {
        let types: Vec<DataType> = columns.iter().map(|c| logical_type(&c.data_type)).collect();
        Self { columns: vec![Vec::new(); types.len()], types, rows: 0, bytes: 0 }
    }

    /// Takes a batch; values that hold on to much more memory than their own are copied.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        for ((waiting, data_type), array) in self.columns.iter_mut().zip(&self.types).zip(batch.columns()) {
            let array = if array.data_type() == data_type { array.clone() } else { cast(array, data_type)? };
            let (array, bytes) = own(array)?;
            self.bytes += bytes;
            waiting.push(array);
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// The types of its columns.
    pub(super) fn types(&self) -> &[DataType] {
        &self.types
    }

    /// One whole column, copied together; what waits stays.
    pub(super) fn peek(&self, column: usize) -> Result<ArrayRef> {
        join(&self.columns[column], &self.types[column])
    }

    /// One whole column, copied together; what waited is given back.
    pub(super) fn take(&mut self, column: usize) -> Result<ArrayRef> {
        let waiting = std::mem::take(&mut self.columns[column]);
        join(&waiting, &self.types[column])
    }
}

fn join(arrays: &[ArrayRef], data_type: &DataType) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = arrays.iter().map(|a| a.as_ref()).collect();
    if arrays.is_empty() { Ok(new_empty_array(data_type)) } else { Ok(concat(&arrays)?) }
}

/// Slack that is not worth a copy, in bytes.
const SLACK_BYTES: usize = 64 << 10;

/// The array, copied if it holds on to more than twice its own bytes; and its bytes.
fn own(array: ArrayRef) -> Result<(ArrayRef, usize)> {
    let bytes = value_bytes(array.as_ref());
    if array.get_buffer_memory_size() <= 2 * bytes + SLACK_BYTES {
        return Ok((array, bytes));
    }
    match array.data_type() {
        DataType::Utf8View | DataType::BinaryView => Ok((compact(&array), bytes)),
        _ => {
            let data = array.to_data();
            let mut copy = MutableArrayData::new(vec![&data], false, data.len());
            copy.try_extend(0, 0, data.len())?;
            Ok((make_array(copy.freeze()), bytes))
        }
    }
}

/// Bytes that the values themselves take in memory.
pub(super) fn value_bytes(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.len() * 16 + array.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => array.len() * 16 + array.as_binary_view().total_buffer_bytes_used(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, last) = (list.offsets()[0] as usize, list.offsets()[list.len()] as usize);
            list.len() * 4 + value_bytes(&list.values().slice(first, last - first))
        }
        _ => array.to_data().get_slice_memory_size().unwrap_or_default(),
    }
}
