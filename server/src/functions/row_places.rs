//! Where a row is, and what stands for the commit that wrote it: the values of `ctid` and `xmin`.

use super::scalar::Function;
use arrow::array::{ArrayRef, AsArray, StringViewArray, UInt32Array};
use arrow::datatypes::{DataType, UInt32Type, UInt64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, Signature, Volatility};
use std::sync::Arc;

/// The function from the ids of a unit and a row to a `ctid`.
pub const PLACE: &str = "plimsoll_row_place";
/// The function from the id of a unit to an `xmin`.
pub const AGE: &str = "plimsoll_row_age";

/// `(unit,row)`, with as many digits as make the order of texts that of rows.
pub fn place(unit: u64, row: u64) -> String {
    format!("({unit:010},{row:010})")
}

/// The functions.
pub fn functions() -> Vec<ScalarUDF> {
    let of_two = Signature::exact(vec![DataType::UInt64, DataType::UInt32], Volatility::Immutable);
    let of_one = Signature::exact(vec![DataType::UInt64], Volatility::Immutable);
    vec![
        Function::of_columns(PLACE, of_two, DataType::Utf8View, |args| Ok(ColumnarValue::Array(places(args)?))),
        Function::of_columns(AGE, of_one, DataType::UInt32, |args| Ok(ColumnarValue::Array(ages(args)?))),
    ]
}

fn places(args: &ScalarFunctionArgs) -> Result<ArrayRef> {
    let columns = ColumnarValue::values_to_arrays(&args.args)?;
    let (units, rows) = (columns[0].as_primitive::<UInt64Type>(), columns[1].as_primitive::<UInt32Type>());
    let both = units.iter().zip(rows.iter());
    let places: StringViewArray = both.map(|(unit, row)| Some(place(unit?, u64::from(row?)))).collect();
    Ok(Arc::new(places))
}

/// Ids of units only grow; `xid` has half their digits.
fn ages(args: &ScalarFunctionArgs) -> Result<ArrayRef> {
    let units = ColumnarValue::values_to_arrays(&args.args)?.remove(0);
    let folded = |unit: u64| (unit ^ (unit >> 32)) as u32;
    Ok(Arc::new(UInt32Array::from_iter(units.as_primitive::<UInt64Type>().iter().map(|unit| unit.map(folded)))))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn texts_are_ordered_as_rows_are() {
        assert!(place(9, 10) > place(9, 9) && place(10, 0) > place(9, 9));
        assert_eq!(place(16_384, 2), "(0000016384,0000000002)");
    }
}
