//! Inlined rows: a small batch as bytes that ride inside a commit instead of a file.
//!
//! The form, made for batches of one row as much as for thousands: a version byte (1), the number of rows, the number of columns,
//! then for each column its id, its type, the length of its values in bytes, and the values (see `array_bytes`). A batch stays
//! readable when the table's columns change: columns are found by id, unknown ones are stepped over.

use crate::array_bytes::{Bytes, Malformed, put_array, put_type, put_varint, read_array, read_type};
use crate::error::{Result, StorageError};
use crate::schema::{ColumnId, ColumnSpec};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

const VERSION: u8 = 1;

/// Rows that may be inlined in one batch at most: a bound for what a few altered bytes can make a reader allocate.
pub const ROWS_MAX: usize = 1 << 20;

/// Encodes a batch whose columns are `columns`, in that order.
pub fn encode(columns: &[ColumnSpec], batch: &RecordBatch) -> Result<Vec<u8>> {
    if batch.num_rows() > ROWS_MAX {
        return Err(refused("too many rows for one inlined batch"));
    }
    let mut out = vec![VERSION];
    put_varint(&mut out, batch.num_rows() as u64);
    put_varint(&mut out, columns.len() as u64);
    let mut values = Vec::new();
    for (column, array) in columns.iter().zip(batch.columns()) {
        put_varint(&mut out, u64::from(column.id.0));
        if !put_type(&mut out, array.data_type()) {
            return Err(refused(&format!("values of type {} cannot be stored", array.data_type())));
        }
        values.clear();
        put_array(&mut values, array);
        put_varint(&mut out, values.len() as u64);
        out.extend_from_slice(&values);
    }
    Ok(out)
}

fn refused(reason: &str) -> StorageError {
    StorageError::damaged("inlined rows", None, reason)
}

/// The rows in [`encode`]'s bytes, without reading their values.
pub fn rows(bytes: &[u8]) -> Result<usize> {
    Encoded::read(bytes).map(|e| e.rows).map_err(|e| e.of("inlined rows"))
}

/// Decodes [`encode`]'s bytes into the columns asked for now: columns that it lacks are filled with their missing value.
pub fn decode(bytes: &[u8], columns: &[ColumnSpec]) -> Result<RecordBatch> {
    let encoded = Encoded::read(bytes).map_err(|e| e.of("inlined rows"))?;
    let arrays = columns.iter().map(|column| encoded.column(column)).collect::<Result<Vec<_>>>()?;
    let fields: Vec<Field> = columns.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(encoded.rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

struct Encoded<'a> {
    rows: usize,
    columns: Vec<(ColumnId, DataType, Bytes<'a>)>,
}

impl<'a> Encoded<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes(bytes);
        if bytes.byte()? != VERSION {
            return Err(Malformed("its version is not known"));
        }
        let rows = bytes.length()?;
        if rows > ROWS_MAX {
            return Err(Malformed("it has too many rows"));
        }
        let columns = (0..bytes.count()?).map(|_| read_column(&mut bytes)).collect::<Result<_, _>>()?;
        bytes.end()?;
        Ok(Self { rows, columns })
    }

    fn column(&self, column: &ColumnSpec) -> Result<ArrayRef> {
        let Some((_, data_type, values)) = self.columns.iter().find(|(id, _, _)| *id == column.id) else {
            return column.missing_values(self.rows);
        };
        let mut values = values.clone();
        let array = read_array(&mut values, data_type, self.rows).and_then(|a| values.end().map(|()| a));
        column.conform(array.map_err(|e| e.of("inlined rows"))?)
    }
}

fn read_column<'a>(bytes: &mut Bytes<'a>) -> Result<(ColumnId, DataType, Bytes<'a>), Malformed> {
    let id = u32::try_from(bytes.varint()?).map_err(|_| Malformed("a column id is too large"))?;
    let data_type = read_type(bytes)?;
    let length = bytes.length()?;
    Ok((ColumnId(id), data_type, Bytes(bytes.take(length)?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::array_bytes::tests::every_type;
    use arrow::array::{Array, Int32Array, Int64Array, StringViewArray};

    fn specs(arrays: &[ArrayRef]) -> Vec<ColumnSpec> {
        let spec = |(i, a): (usize, &ArrayRef)| ColumnSpec {
            id: ColumnId(i as u32),
            name: format!("c{i}"),
            data_type: a.data_type().clone(),
            missing: None,
        };
        arrays.iter().enumerate().map(spec).collect()
    }

    fn batch(columns: &[ColumnSpec], arrays: Vec<ArrayRef>) -> RecordBatch {
        let fields: Vec<Field> = columns.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    #[test]
    fn every_type_comes_back_and_a_row_is_small() {
        let arrays = every_type();
        let columns = specs(&arrays);
        let whole = batch(&columns, arrays);
        for rows in [whole.clone(), whole.slice(0, 0), whole.slice(1, 1), whole.slice(2, 1)] {
            let bytes = encode(&columns, &rows).unwrap();
            assert_eq!(decode(&bytes, &columns).unwrap(), rows);
            assert_eq!(super::rows(&bytes).unwrap(), rows.num_rows());
        }
        assert!(encode(&columns, &whole.slice(2, 1)).unwrap().len() < 400);
    }

    #[test]
    fn columns_are_found_by_id_and_missing_ones_filled() {
        let arrays: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(StringViewArray::from(vec!["a", "b"]))];
        let mut columns = specs(&arrays);
        let bytes = encode(&columns, &batch(&columns, arrays)).unwrap();
        columns.swap(0, 1);
        columns[1].data_type = DataType::Int64;
        columns.push(ColumnSpec {
            id: ColumnId(9),
            name: "new".into(),
            data_type: DataType::Int64,
            missing: Some(Arc::new(Int64Array::from(vec![7]))),
        });
        let rows = decode(&bytes, &columns).unwrap();
        assert_eq!(rows.column(0).as_ref(), &StringViewArray::from(vec!["a", "b"]) as &dyn Array);
        assert_eq!(rows.column(1).as_ref(), &Int64Array::from(vec![1, 2]) as &dyn Array);
        assert_eq!(rows.column(2).as_ref(), &Int64Array::from(vec![7, 7]) as &dyn Array);
        assert_eq!(decode(&bytes, &[]).unwrap().num_rows(), 2);
    }

    #[test]
    fn altered_bytes_never_crash() {
        let arrays: Vec<ArrayRef> = every_type().iter().map(|a| a.slice(1, 2)).collect();
        let columns = specs(&arrays);
        let bytes = encode(&columns, &batch(&columns, arrays)).unwrap();
        for place in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[place / 8] ^= 1 << (place % 8);
            let _ = decode(&altered, &columns);
            assert!(decode(&bytes[..place / 8], &columns).is_err());
        }
    }
}
