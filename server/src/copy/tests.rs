//! What COPY data means, in any pieces.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::types::forms::ValueForms;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::BytesMut;
use proptest::prelude::*;
use std::sync::Arc;

fn format(kind: CopyKind) -> CopyFormat {
    let text = kind == CopyKind::Text;
    CopyFormat {
        kind,
        delimiter: if text { b'\t' } else { b',' },
        null: if text { "\\N".into() } else { String::new() },
        default: None,
        header: CopyHeader::Off,
        quote: b'"',
        escape: b'"',
        force_quote: vec![],
        force_not_null: vec![],
        force_null: vec![],
    }
}

fn columns() -> Vec<(String, SqlType)> {
    vec![("a".into(), SqlType::Int4), ("b".into(), SqlType::Text)]
}

fn batch(columns: &[(String, SqlType)], arrays: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|(name, sql_type)| sql_type.field(name, true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn decode(format: &CopyFormat, bytes: &[u8], piece: usize) -> Result<RecordBatch> {
    let mut decoder = CopyDecoder::new(format, "t", columns());
    for piece in bytes.chunks(piece) {
        decoder.push(piece)?;
    }
    decoder.finish()?;
    Ok(batch(&columns(), decoder.take()))
}

/// Rows as `a|b`, with `NULL`.
fn rows(format: &CopyFormat, bytes: &[u8]) -> Result<Vec<String>> {
    let whole = decode(format, bytes, bytes.len().max(1));
    for piece in [1, 2, 3, 7] {
        let parts = decode(format, bytes, piece);
        match (&whole, parts) {
            (Ok(whole), Ok(parts)) => assert_eq!(whole, &parts),
            (whole, parts) => assert_eq!(format!("{:?}", whole.as_ref().err()), format!("{:?}", parts.err())),
        }
    }
    let whole = whole?;
    let texts = |column: usize| -> Vec<String> {
        let encoder = crate::types::output::ColumnEncoder::new(&columns()[column].1, false, &ValueForms::default());
        let bound = encoder.bind(whole.column(column)).unwrap();
        let text = |row| {
            let mut out = BytesMut::new();
            bound.write(row, &mut out).unwrap();
            String::from_utf8(out.to_vec()).unwrap()
        };
        (0..whole.num_rows()).map(|row| if bound.is_null(row) { "NULL".into() } else { text(row) }).collect()
    };
    Ok(texts(0).iter().zip(texts(1)).map(|(a, b)| format!("{a}|{b}")).collect())
}

#[test]
fn text() {
    let text = format(CopyKind::Text);
    assert_eq!(rows(&text, b"1\tx\n\\N\t\\N\n3\t\n").unwrap(), ["1|x", "NULL|NULL", "3|"]);
    assert_eq!(rows(&text, b"1\ta\\tb\\\\c\\x41\\101\\n\n").unwrap(), ["1|a\tb\\cAA\n"]);
    assert_eq!(rows(&text, b"1\ta\\\nb\n2\ty").unwrap(), ["1|a\nb", "2|y"]);
    assert_eq!(rows(&text, b"1\ta\\\tb\n").unwrap(), ["1|a\tb"]);
    assert_eq!(rows(&text, b"1\tx\r\n2\ty\r\n").unwrap(), ["1|x", "2|y"]);
    assert_eq!(rows(&text, b"1\tx\n\\.\nrubbish\n").unwrap(), ["1|x"]);
    assert_eq!(rows(&text, "1\thé\n".as_bytes()).unwrap(), ["1|hé"]);
}

#[test]
fn csv() {
    let csv = format(CopyKind::Csv);
    assert_eq!(rows(&csv, b"1,x\n,\n3,\"\"\n").unwrap(), ["1|x", "NULL|NULL", "3|"]);
    assert_eq!(rows(&csv, b"1,\"a,\"\"b\"\"\nc\"\n2,d\"e f\"g\n").unwrap(), ["1|a,\"b\"\nc", "2|de fg"]);
    assert_eq!(rows(&csv, b"1,x\r\n2,\"y\r\nz\"\r\n").unwrap(), ["1|x", "2|y\r\nz"]);
    let escaped = CopyFormat { escape: b'\\', ..csv.clone() };
    assert_eq!(rows(&escaped, b"1,\"a\\\"b\\\\\"\n2,c\\d\n").unwrap(), ["1|a\"b\\", "2|c\\d"]);
    let forced = CopyFormat { force_null: vec![1], ..csv.clone() };
    assert_eq!(rows(&forced, b"1,\"\"\n").unwrap(), ["1|NULL"]);
    let not_null = CopyFormat { force_not_null: vec![1], ..csv.clone() };
    assert_eq!(rows(&not_null, b"1,\n").unwrap(), ["1|"]);
    let header = CopyFormat { header: CopyHeader::Match, ..csv };
    assert_eq!(rows(&header, b"a,b\n1,x\n").unwrap(), ["1|x"]);
    let error = rows(&header, b"a,c\n1,x\n").unwrap_err();
    assert_eq!(error.message, "column name mismatch in header line field 2: got \"c\", expected \"b\"");
}

#[test]
fn refusals_say_where() {
    let text = format(CopyKind::Text);
    let csv = format(CopyKind::Csv);
    let table: [(&CopyFormat, &[u8], &str, &str, &str); 8] = [
        (&text, b"1\tx\n2\ty\tz\n", "22P04", "extra data after last expected column", "COPY t, line 2: \"2\ty\tz\""),
        (&text, b"1\n", "22P04", "missing data for column \"b\"", "COPY t, line 1: \"1\""),
        (&text, b"1\tx\nq\ty\n", "22P02", "invalid input syntax for type integer: \"q\"", "COPY t, line 2, column a: \"q\""),
        (&text, b"1\t\xff\n", "22021", "invalid byte sequence for encoding \"UTF8\": 0xff", "COPY t, line 1, column b: \"\u{fffd}\""),
        (&text, b"1\tx\n2\ty\r\n", "22P04", "literal carriage return found in data", "COPY t, line 2: \"2\ty\r\""),
        (&csv, b"1,\"abc", "22P04", "unterminated CSV quoted field", "COPY t, line 1: \"1,\"abc\""),
        (&csv, b"1,\"a\nb\"\nx,y\n", "22P02", "invalid input syntax for type integer: \"x\"", "COPY t, line 3, column a: \"x\""),
        (
            &csv,
            b"99999999999,x\n",
            "22003",
            "value \"99999999999\" is out of range for type integer",
            "COPY t, line 1, column a: \"99999999999\"",
        ),
    ];
    for (format, bytes, state, message, context) in table {
        let error = rows(format, bytes).unwrap_err();
        assert_eq!((error.state.0, error.message.as_ref(), error.context.as_deref()), (state, message, Some(context)));
    }
}

#[test]
fn binary_files_must_be_whole() {
    let binary = format(CopyKind::Binary);
    assert_eq!(rows(&binary, b"hello world!").unwrap_err().message, "COPY file signature not recognized");
    let mut bytes = SIGNATURE_AND_HEADER.to_vec();
    bytes.extend_from_slice(&[0, 3]);
    assert_eq!(rows(&binary, &bytes).unwrap_err().message, "row field count is 3, expected 2");
    let mut bytes = SIGNATURE_AND_HEADER.to_vec();
    bytes.extend_from_slice(&[0, 2, 0, 0, 0, 4, 0]);
    assert_eq!(rows(&binary, &bytes).unwrap_err().message, "unexpected EOF in COPY data");
}

const SIGNATURE_AND_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

fn any_format() -> impl Strategy<Value = CopyFormat> {
    prop_oneof![
        Just(format(CopyKind::Text)),
        Just(format(CopyKind::Csv)),
        Just(format(CopyKind::Binary)),
        Just(CopyFormat { delimiter: b'|', header: CopyHeader::Match, ..format(CopyKind::Text) }),
        Just(CopyFormat { escape: b'\\', null: "NULL".into(), force_quote: vec![1], ..format(CopyKind::Csv) }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        format in any_format(),
        values in proptest::collection::vec((proptest::option::of(any::<i32>()), proptest::option::of("[a-cN\\\\\"',|.\t\r\né]{0,6}")), 0..6),
        piece in 1usize..20,
    ) {
        let mut builders: Vec<_> = columns().iter().map(|(_, sql_type)| ColumnBuilder::new(sql_type, 0)).collect();
        for (a, b) in &values {
            match a { Some(a) => builders[0].append_text(&a.to_string()).unwrap(), None => builders[0].append_null() }
            match b { Some(b) => builders[1].append_text(b).unwrap(), None => builders[1].append_null() }
        }
        let original = batch(&columns(), builders.iter_mut().map(ColumnBuilder::finish).collect());
        let encoder = CopyEncoder::new(&format, columns(), &ValueForms::default());
        let mut bytes = BytesMut::new();
        encoder.start(&mut bytes);
        let mut bound = encoder.bind(&original).unwrap();
        let mut messages = BytesMut::new();
        while !encoder.fill(&mut bound, messages.len() + 1, &mut messages).unwrap() {}
        while !messages.is_empty() {
            let length = u32::from_be_bytes(messages[1..5].try_into().unwrap()) as usize;
            prop_assert_eq!(messages[0], b'd');
            bytes.extend_from_slice(&messages.split_to(length + 1)[5..]);
        }
        encoder.end(&mut bytes);
        prop_assert_eq!(decode(&format, &bytes, piece).unwrap(), original);
    }

    #[test]
    fn no_bytes_panic(format in any_format(), bytes in proptest::collection::vec(any::<u8>(), 0..60), piece in 1usize..9) {
        let _ = decode(&format, &bytes, piece);
    }
}
