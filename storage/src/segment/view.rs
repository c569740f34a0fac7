//! String and binary views without the bytes that nobody refers to any more.

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// The same values, with views that hold on to no bytes but their own. Of other types nothing is copied.
pub(crate) fn compact(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        DataType::List(field) if matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView | DataType::List(_)) => {
            let list = array.as_list::<i32>();
            let (first, last) = (list.offsets()[0] as usize, list.offsets()[list.len()] as usize);
            let values = compact(&list.values().slice(first, last - first));
            let offsets = arrow::buffer::OffsetBuffer::from_lengths(list.offsets().lengths());
            Arc::new(ListArray::new(field.clone(), offsets, values, list.nulls().cloned()))
        }
        _ => array.clone(),
    }
}
