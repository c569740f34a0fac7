//! Arrow types that no table has, and queries produce.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::types::forms::ValueForms;
use arrow::array::*;
use arrow::datatypes::*;
use std::sync::Arc;

fn shown(array: ArrayRef) -> Vec<Option<String>> {
    let field = Field::new("a", array.data_type().clone(), true);
    let encoder = ColumnEncoder::new(&SqlType::of_field(&field), false, &ValueForms::in_zone("Europe/Berlin"));
    let column = encoder.bind(&array).unwrap();
    let text = |row: usize| (!column.is_null(row)).then(|| text_of(&column, row).unwrap());
    (0..array.len()).map(text).collect()
}

fn one(array: impl Array + 'static) -> String {
    shown(Arc::new(array)).remove(0).unwrap()
}

#[test]
fn every_arrow_type_has_a_text() {
    assert_eq!(shown(Arc::new(NullArray::new(2))), vec![None, None]);
    assert_eq!(one(UInt8Array::from(vec![200])), "200");
    assert_eq!(one(UInt16Array::from(vec![65_535])), "65535");
    assert_eq!(one(UInt32Array::from(vec![u32::MAX])), "4294967295");
    assert_eq!(one(UInt64Array::from(vec![u64::MAX])), "18446744073709551615");
    assert_eq!(one(Int8Array::from(vec![-5])), "-5");
    assert_eq!(one(StringArray::from(vec!["x"])), "x");
    assert_eq!(one(LargeStringArray::from(vec!["x"])), "x");
    assert_eq!(one(vec!["x", "y"].into_iter().collect::<DictionaryArray<Int8Type>>()), "x");
    assert_eq!(one(Decimal32Array::from(vec![-150]).with_precision_and_scale(5, 2).unwrap()), "-1.50");
    assert_eq!(one(Decimal64Array::from(vec![150]).with_precision_and_scale(15, 2).unwrap()), "1.50");
    assert_eq!(one(Decimal256Array::from(vec![i256::from_i128(-1_500)]).with_precision_and_scale(50, 3).unwrap()), "-1.500");
    assert_eq!(one(TimestampSecondArray::from(vec![0])), "1970-01-01 00:00:00");
    assert_eq!(one(TimestampNanosecondArray::from(vec![1_500]).with_timezone("UTC")), "1970-01-01 01:00:00.000001+01");
    assert_eq!(one(TimestampMillisecondArray::from(vec![0]).with_timezone("America/New_York")), "1970-01-01 01:00:00+01");
    assert_eq!(one(Date64Array::from(vec![86_400_000])), "1970-01-02 00:00:00");
    assert_eq!(one(Time32SecondArray::from(vec![61])), "00:01:01");
    assert_eq!(one(Time64NanosecondArray::from(vec![1_000_000])), "00:00:00.001");
    assert_eq!(one(DurationSecondArray::from(vec![3_600])), "01:00:00");
    assert_eq!(one(IntervalYearMonthArray::from(vec![14])), "1 year 2 mons");
    assert_eq!(one(IntervalDayTimeArray::from(vec![IntervalDayTime::new(2, 1_500)])), "2 days 00:00:01.5");
    assert_eq!(one(BinaryArray::from(vec![b"\x01\xff".as_slice()])), "\\x01ff");
    assert_eq!(one(FixedSizeBinaryArray::try_from_iter([b"ab"].into_iter()).unwrap()), "\\x6162");
    assert_eq!(one(BinaryViewArray::from(vec![b"a".as_slice()])), "\\x61");
}

#[test]
fn nested_types_have_texts() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])]);
    assert_eq!(one(list.clone()), "{1,NULL}");
    assert_eq!(
        one(arrow::compute::cast(&list, &DataType::LargeList(Arc::new(Field::new_list_field(DataType::Int32, true)))).unwrap()),
        "{1,NULL}"
    );
    let fields = vec![
        (Arc::new(Field::new("a", DataType::Int32, true)), Arc::new(Int32Array::from(vec![None])) as ArrayRef),
        (Arc::new(Field::new("b", DataType::Utf8, true)), Arc::new(StringArray::from(vec!["x, \"y\""])) as ArrayRef),
    ];
    assert_eq!(one(StructArray::from(fields)), "(,\"x, \"\"y\"\"\")");
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1);
    map.append(true).unwrap();
    assert_eq!(one(map.finish()), "{\"k\": 1}");
}

#[test]
fn a_slice_is_written_from_its_start() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), Some(vec![Some(2), Some(3)])]);
    assert_eq!(one(list.slice(1, 1)), "{2,3}");
}
