//! What input functions take and refuse.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::types::forms::ValueForms;
use crate::types::output::ColumnEncoder;
use bytes::BytesMut;
use proptest::prelude::*;
use std::sync::Arc;

fn shown(sql_type: &SqlType, array: &ArrayRef, binary: bool) -> Vec<u8> {
    let mut out = BytesMut::new();
    ColumnEncoder::new(sql_type, binary, &ValueForms::default()).write(array, 0, &mut out).unwrap();
    out.to_vec()
}

fn read(type_name: &str, text: &str) -> Result<String> {
    let sql_type = SqlType::parse(type_name).unwrap();
    let mut builder = ColumnBuilder::new(&sql_type, 1);
    builder.append_text(text)?;
    let array = builder.finish();
    assert_eq!(*array.data_type(), sql_type.arrow());
    let text = String::from_utf8(shown(&sql_type, &array, false)).unwrap();
    let mut again = ColumnBuilder::new(&sql_type, 1);
    again.append_binary(&shown(&sql_type, &array, true)).unwrap();
    assert_eq!(&again.finish(), &array, "binary form of {text}");
    Ok(text)
}

#[test]
fn values_read_and_shown() {
    let table = [
        ("boolean", "yes", "t"),
        ("boolean", " OFF ", "f"),
        ("smallint", "-32768", "-32768"),
        ("integer", " 42 ", "42"),
        ("bigint", "9223372036854775807", "9223372036854775807"),
        ("bigint", "-9223372036854775808", "-9223372036854775808"),
        ("oid", "4294967295", "4294967295"),
        ("real", "1e-5", "1e-05"),
        ("double precision", "-inf", "-Infinity"),
        ("double precision", "0.1", "0.1"),
        ("numeric", "1.50", "1.5"),
        ("numeric(10,2)", "1.5", "1.50"),
        ("numeric(4,0)", "999.5", "1000"),
        ("text", "héllo", "héllo"),
        ("character varying(3)", "abc  ", "abc"),
        ("character(5)", "ab", "ab   "),
        ("bytea", "\\xDEADbeef", "\\xdeadbeef"),
        ("bytea", "a\\\\b\\001", "\\x615c6201"),
        ("date", "2024-02-29", "2024-02-29"),
        ("time", "4:05 PM", "16:05:00"),
        ("timestamp", "2024-01-01 10:00:00.25", "2024-01-01 10:00:00.25"),
        ("timestamptz", "2024-01-01 10:00+01", "2024-01-01 09:00:00+00"),
        ("interval", "1 day 02:03:04", "1 day 02:03:04"),
        ("uuid", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("json", "{ \"a\":1}", "{ \"a\":1}"),
        ("jsonb", "{\"b\":1,\"a\":[1,2]}", "{\"a\": [1, 2], \"b\": 1}"),
        ("integer[]", "{1, NULL ,3}", "{1,NULL,3}"),
        ("text[]", "{}", "{}"),
        ("text[]", r#"{a,"b c","NULL","q\"",""}"#, r#"{a,"b c","NULL","q\"",""}"#),
        ("integer[][]", "{{1,2},{3,4}}", "{{1,2},{3,4}}"),
    ];
    for (type_name, text, expected) in table {
        assert_eq!(read(type_name, text).unwrap(), expected, "{type_name} {text}");
    }
}

#[test]
fn refusals_in_the_words_of_postgres() {
    let table = [
        ("integer", "abc", "22P02", "invalid input syntax for type integer: \"abc\""),
        ("integer", "", "22P02", "invalid input syntax for type integer: \"\""),
        ("integer", "99999999999", "22003", "value \"99999999999\" is out of range for type integer"),
        ("bigint", "99999999999999999999999", "22003", "value \"99999999999999999999999\" is out of range for type bigint"),
        ("oid", "-1", "22003", "value \"-1\" is out of range for type oid"),
        ("boolean", "o", "22P02", "invalid input syntax for type boolean: \"o\""),
        ("double precision", "x", "22P02", "invalid input syntax for type double precision: \"x\""),
        ("double precision", "1e400", "22003", "\"1e400\" is out of range for type double precision"),
        ("real", "1e-60", "22003", "\"1e-60\" is out of range for type real"),
        ("numeric(4,0)", "9999.5", "22003", "numeric field overflow"),
        ("numeric", "1e40", "22003", "value overflows numeric format"),
        ("character varying(3)", "abcd", "22001", "value too long for type character varying(3)"),
        ("character(2)", "abc", "22001", "value too long for type character(2)"),
        ("bytea", "\\xz", "22023", "invalid hexadecimal digit: \"z\""),
        ("bytea", "\\x123", "22023", "invalid hexadecimal data: odd number of digits"),
        ("bytea", "\\9", "22P02", "invalid input syntax for type bytea"),
        ("date", "2024-02-30", "22008", "date/time field value out of range: \"2024-02-30\""),
        ("uuid", "a0eebc99", "22P02", "invalid input syntax for type uuid: \"a0eebc99\""),
        ("json", "{", "22P02", "invalid input syntax for type json"),
        ("integer[]", "1", "22P02", "malformed array literal: \"1\""),
        ("integer[]", "{a}", "22P02", "invalid input syntax for type integer: \"a\""),
    ];
    for (type_name, text, state, message) in table {
        let error = read(type_name, text).unwrap_err();
        assert_eq!((error.state.0, error.message.as_ref()), (state, message));
    }
}

#[test]
fn assignment_checks_lengths_and_normalizes() {
    let texts = |values: &[Option<&str>]| Arc::new(StringViewArray::from(values.to_vec())) as ArrayRef;
    let values = texts(&[Some("abc"), None, Some("ab   ")]);
    assert_eq!(&coerce_assignment(&SqlType::Varchar(Some(3)), values.clone()).unwrap(), &texts(&[Some("abc"), None, Some("ab ")]));
    assert_eq!(&coerce_assignment(&SqlType::Char(3), values.clone()).unwrap(), &texts(&[Some("abc"), None, Some("ab")]));
    assert_eq!(coerce_assignment(&SqlType::Varchar(Some(2)), values).unwrap_err().state.0, "22001");
    assert_eq!(&coerce_assignment(&SqlType::Jsonb, texts(&[Some("[1,2]")])).unwrap(), &texts(&[Some("[1, 2]")]));
    assert!(coerce_assignment(&SqlType::Json, texts(&[Some("[")])).is_err());
}

#[test]
fn a_session_zone_is_used() {
    let scalar = scalar_from_text_in(&SqlType::Timestamptz, "1970-01-01 01:00", &ValueForms::in_zone("Europe/Berlin")).unwrap();
    assert_eq!(scalar, ScalarValue::TimestampMicrosecond(Some(0), Some("UTC".into())));
}

#[test]
fn binary_forms_agree_with_another_implementation() {
    use tokio_postgres::types::{ToSql, Type};
    fn encoded(value: &dyn ToSql, sql_type: &Type) -> Vec<u8> {
        let mut out = tokio_postgres::types::private::BytesMut::new();
        let _ = value.to_sql_checked(sql_type, &mut out).unwrap();
        out.to_vec()
    }
    let table: Vec<(&str, &str, Vec<u8>)> = vec![
        ("integer", "-7", encoded(&-7i32, &Type::INT4)),
        ("double precision", "1.25", encoded(&1.25f64, &Type::FLOAT8)),
        ("text", "héllo", encoded(&"héllo", &Type::TEXT)),
        ("boolean", "t", encoded(&true, &Type::BOOL)),
        ("integer[]", "{1,NULL,3}", encoded(&vec![Some(1i32), None, Some(3)], &Type::INT4_ARRAY)),
        ("text[]", "{a,b}", encoded(&vec!["a", "b"], &Type::TEXT_ARRAY)),
        ("bytea", "\\x0102", encoded(&vec![1u8, 2], &Type::BYTEA)),
    ];
    for (type_name, text, bytes) in table {
        let sql_type = SqlType::parse(type_name).unwrap();
        let mut builder = ColumnBuilder::new(&sql_type, 1);
        builder.append_binary(&bytes).unwrap();
        let array = builder.finish();
        assert_eq!(String::from_utf8(shown(&sql_type, &array, false)).unwrap(), text);
        let ours = shown(&sql_type, &array, true);
        // The flag that says whether an array has NULLs may be set without any.
        assert_eq!((ours.len(), &ours[ours.len().min(8)..]), (bytes.len(), &bytes[bytes.len().min(8)..]), "{type_name}");
    }
}

proptest! {
    #[test]
    fn texts_in_arrays_read_back(values in proptest::collection::vec(proptest::option::of("\\PC{0,8}"), 0..6)) {
        let sql_type = SqlType::parse("text[]").unwrap();
        let mut builder = ColumnBuilder::new(&sql_type, 1);
        let items = values.iter().map(|value| value.clone().map_or(Item::Null, Item::Value)).collect();
        let Values::Array(elements) = &mut builder.values else { unreachable!() };
        elements.append_items(items).unwrap();
        let array = builder.finish();
        let text = String::from_utf8(shown(&sql_type, &array, false)).unwrap();
        builder.append_text(&text).unwrap();
        prop_assert_eq!(&builder.finish(), &array);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        for name in ["boolean", "integer", "numeric", "text", "date", "timestamptz", "interval", "uuid", "jsonb", "integer[]", "text[][]"] {
            let _ = ColumnBuilder::new(&SqlType::parse(name).unwrap(), 1).append_binary(&bytes);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,20}") {
        for name in ["boolean", "integer", "real", "numeric", "bytea", "uuid", "jsonb", "integer[]", "text[][]"] {
            let _ = ColumnBuilder::new(&SqlType::parse(name).unwrap(), 1).append_text(&text);
        }
    }
}
