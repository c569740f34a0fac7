//! `to_char(time, pattern)` and `to_date(text, pattern)` with PostgreSQL's patterns.

use super::scalar::{Function, as_text, text};
use crate::error::{SqlError, SqlState};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Signature, Volatility};

/// The functions.
pub fn functions() -> Vec<ScalarUDF> {
    // A library function of the same name would come back under its alias.
    vec![to_char().with_aliases(["date_format"]), to_date()]
}

fn to_char() -> ScalarUDF {
    Function::of_columns("to_char", Signature::any(2, Volatility::Stable), DataType::Utf8View, |args| {
        let zone = args.config_options.execution.time_zone.clone();
        let one = |row: usize| {
            let value = |at: usize| match &args.args[at] {
                ColumnarValue::Scalar(value) => Ok(value.clone()),
                ColumnarValue::Array(values) => ScalarValue::try_from_array(values, row),
            };
            let (value, pattern) = (value(0)?, value(1)?);
            Ok(match (local_time(&value, zone.as_deref())?, as_text(&pattern)) {
                (Some(time), Some(pattern)) => text(formatted(time, pattern)),
                _ => ScalarValue::Utf8View(None),
            })
        };
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            return Ok(ColumnarValue::Scalar(one(0)?));
        }
        let values = (0..args.number_rows).map(one).collect::<Result<Vec<_>>>()?;
        match values.is_empty() {
            true => Ok(ColumnarValue::Array(arrow::array::new_empty_array(&DataType::Utf8View))),
            false => Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?)),
        }
    })
}

/// The time on the session's clock.
fn local_time(value: &ScalarValue, zone: Option<&str>) -> Result<Option<NaiveDateTime>> {
    let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
    let value = match value.data_type() {
        DataType::Timestamp(_, Some(_)) => value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into)))?,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Null => value.clone(),
        other => {
            let message = format!("to_char is supported for dates and timestamps, not for {other}");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).into());
        }
    };
    match value.cast_to(&naive)? {
        ScalarValue::TimestampMicrosecond(Some(micros), _) => Ok(DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())),
        _ => Ok(None),
    }
}

/// The patterns; of two that begin alike, the longer one first.
const PATTERNS: [&str; 30] = [
    "HH24", "HH12", "HH", "MI", "SS", "MS", "US", "AM", "PM", "A.M.", "P.M.", "YYYY", "YYY", "YY", "Y", "IYYY", "MONTH", "MON", "MM",
    "DAY", "DY", "DDD", "DD", "ID", "IW", "WW", "Q", "CC", "W", "D",
];

fn formatted(time: NaiveDateTime, pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    let mut trim = false;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = strip(rest, "FM") {
            (rest, trim) = (after, true);
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (literal, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            out.push_str(literal);
            rest = after;
        } else if let Some((name, after)) = PATTERNS.iter().find_map(|name| strip(rest, name).map(|after| (name, after))) {
            out.push_str(&field(time, name, &rest[..name.len()], trim));
            (rest, trim) = (after, false);
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// What follows a prefix that may be written in capitals or not.
fn strip<'a>(rest: &'a str, prefix: &str) -> Option<&'a str> {
    let head = rest.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &rest[prefix.len()..])
}

fn field(time: NaiveDateTime, name: &str, written: &str, trim: bool) -> String {
    let number = |value: i64, width: usize| if trim { value.to_string() } else { format!("{value:0width$}") };
    let hour12 = i64::from(time.hour12().1);
    let year = i64::from(time.year());
    let word = |long: String, width: usize| cased(if trim { long } else { format!("{long:width$}") }, written);
    match name {
        "HH24" => number(time.hour().into(), 2),
        "HH12" | "HH" => number(hour12, 2),
        "MI" => number(time.minute().into(), 2),
        "SS" => number(time.second().into(), 2),
        "MS" => number((time.nanosecond() / 1_000_000).into(), 3),
        "US" => number((time.nanosecond() / 1000).into(), 6),
        "AM" | "PM" => cased(time.format("%p").to_string(), written),
        "A.M." | "P.M." => cased(if time.hour() < 12 { "A.M." } else { "P.M." }.into(), written),
        "YYYY" => number(year, 4),
        "YYY" => number(year % 1000, 3),
        "YY" => number(year % 100, 2),
        "Y" => number(year % 10, 1),
        "IYYY" => number(time.iso_week().year().into(), 4),
        "MONTH" => word(time.format("%B").to_string(), 9),
        "MON" => word(time.format("%b").to_string(), 3),
        "MM" => number(time.month().into(), 2),
        "DAY" => word(time.format("%A").to_string(), 9),
        "DY" => word(time.format("%a").to_string(), 3),
        "DDD" => number(time.ordinal().into(), 3),
        "DD" => number(time.day().into(), 2),
        "ID" => number(time.weekday().number_from_monday().into(), 1),
        "D" => number(time.weekday().number_from_sunday().into(), 1),
        "IW" => number(time.iso_week().week().into(), 2),
        "WW" => number(((time.ordinal() - 1) / 7 + 1).into(), 2),
        "W" => number(((time.day() - 1) / 7 + 1).into(), 1),
        "Q" => number(((time.month() - 1) / 3 + 1).into(), 1),
        "CC" => number((year + 99) / 100, 2),
        _ => written.to_string(),
    }
}

/// A word in the case in which its pattern is written: MONTH, Month, month.
fn cased(word: String, written: &str) -> String {
    let mut letters = written.chars();
    match (letters.next().is_some_and(char::is_uppercase), letters.next().is_some_and(char::is_uppercase)) {
        (true, true) => word.to_uppercase(),
        (true, false) if !written.contains('.') => word,
        (true, false) => word.to_uppercase(),
        _ => word.to_lowercase(),
    }
}

fn to_date() -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8View, DataType::Utf8View], Volatility::Stable);
    Function::of_rows("to_date", signature, DataType::Date32, |args| {
        let (Some(value), Some(pattern)) = (as_text(&args[0]), as_text(&args[1])) else { return Ok(ScalarValue::Date32(None)) };
        let date = parsed(value, pattern)?;
        let epoch = NaiveDate::default();
        Ok(ScalarValue::Date32(i32::try_from(date.signed_duration_since(epoch).num_days()).ok()))
    })
}

const MONTHS: [&str; 12] =
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];

fn parsed(value: &str, pattern: &str) -> crate::error::Result<NaiveDate> {
    let (mut year, mut month, mut day) = (1, 1, 1);
    let (mut value, mut rest) = (value.trim_start(), pattern);
    while let Some(first) = rest.chars().next() {
        let found = PATTERNS.iter().find_map(|name| strip(rest, name).map(|after| (*name, after)));
        match found {
            Some((name @ ("MONTH" | "MON"), after)) => {
                (month, value) = month_name(value, name == "MON")?;
                rest = after;
            }
            Some((name @ ("YYYY" | "MM" | "DD"), after)) => {
                let (number, left) = digits(value, if name == "YYYY" { 4 } else { 2 })?;
                match name {
                    "YYYY" => year = number,
                    "MM" => month = number,
                    _ => day = number,
                }
                (value, rest) = (left, after);
            }
            Some((name, _)) => {
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("pattern \"{name}\" is not supported by to_date")));
            }
            None => {
                value = value.get(value.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    let date = u32::try_from(month).ok().zip(u32::try_from(day).ok()).and_then(|(month, day)| NaiveDate::from_ymd_opt(year, month, day));
    date.ok_or_else(|| SqlError::new(SqlState("22008"), "date/time field value out of range"))
}

fn digits(value: &str, width: usize) -> crate::error::Result<(i32, &str)> {
    let end = value.bytes().take(width).take_while(u8::is_ascii_digit).count();
    let number = value[..end].parse().map_err(|_| SqlError::new(SqlState("22007"), format!("invalid value \"{value}\" for a date")))?;
    Ok((number, &value[end..]))
}

fn month_name(value: &str, short: bool) -> crate::error::Result<(i32, &str)> {
    let length = |month: &str| if short { 3 } else { month.len() };
    let found = (1..).zip(MONTHS).find_map(|(number, month)| strip(value, &month[..length(month)]).map(|rest| (number, rest)));
    found.ok_or_else(|| SqlError::new(SqlState("22007"), format!("invalid value \"{value}\" for a month")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_written_as_the_pattern_says() {
        let time = NaiveDate::from_ymd_opt(2024, 3, 5).unwrap().and_hms_milli_opt(19, 8, 9, 42).unwrap();
        let cases = [
            ("YYYY-MM-DD HH24:MI:SS", "2024-03-05 19:08:09"),
            ("FMDD Mon YYYY", "5 Mar 2024"),
            ("HH12:MI am", "07:08 pm"),
            ("MS US Q D ID", "042 042000 1 3 2"),
            ("FMMonth|DAY|dy", "March|TUESDAY  |tue"),
            ("\"Q\"Q", "Q1"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(formatted(time, pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn dates_are_read_as_the_pattern_says() {
        let date = NaiveDate::from_ymd_opt(2024, 3, 5).unwrap();
        assert_eq!(parsed("2024-03-05", "YYYY-MM-DD").unwrap(), date);
        assert_eq!(parsed("05 Mar 2024", "DD Mon YYYY").unwrap(), date);
        assert_eq!(parsed("20240305", "YYYYMMDD").unwrap(), date);
        assert_eq!(parsed("2024-02-31", "YYYY-MM-DD").unwrap_err().state.0, "22008");
    }
}
