//! `information_schema._pg_expandarray`: an array's elements with their places. Here it makes an array of pairs, which `unnest` takes apart.

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The name under which the rewriting of statements calls it.
pub const NAME: &str = "pg_expandarray";

/// The function.
pub fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(ExpandArray { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExpandArray {
    signature: Signature,
}

/// The element `x` and its place `n`.
fn pair(element: &DataType) -> Fields {
    Fields::from(vec![Field::new("x", element.clone(), true), Field::new("n", DataType::Int32, true)])
}

impl ScalarUDFImpl for ExpandArray {
    fn name(&self) -> &str {
        NAME
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match &arguments[0] {
            DataType::List(element) => Ok(DataType::new_list(DataType::Struct(pair(element.data_type())), true)),
            other => exec_err!("function information_schema._pg_expandarray({other}) does not exist"),
        }
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = args.args[0].to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(numbered(lists.as_list())?))
    }
}

fn numbered(lists: &ListArray) -> Result<ArrayRef> {
    let offsets = lists.offsets();
    let places: Int32Array = (0..lists.values().len() as i32).map(|at| place(offsets, at)).collect();
    let fields = pair(&lists.value_type());
    let pairs = StructArray::try_new(fields.clone(), vec![Arc::clone(lists.values()), Arc::new(places)], None)?;
    let item = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
    Ok(Arc::new(ListArray::try_new(item, offsets.clone(), Arc::new(pairs), lists.nulls().cloned())?))
}

/// The place, from 1, that a value has within its list; none for a value between the lists.
fn place(offsets: &[i32], at: i32) -> Option<i32> {
    let list = offsets.partition_point(|start| *start <= at).checked_sub(1)?;
    (list + 1 < offsets.len()).then(|| at - offsets[list] + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::datatypes::{Int16Type, Int32Type};

    #[test]
    fn elements_are_numbered_within_their_lists() {
        let lists =
            ListArray::from_iter_primitive::<Int16Type, _, _>(vec![Some(vec![Some(7), Some(8)]), None, Some(vec![]), Some(vec![Some(9)])]);
        let numbered = numbered(&lists).unwrap();
        let pairs = numbered.as_list::<i32>().values().as_struct().clone();
        assert_eq!(pairs.column(1).as_primitive::<Int32Type>().values(), &[1, 2, 1]);
        assert!(numbered.is_null(1));
    }
}
