//! The styles of output that are not the default: DateStyle, IntervalStyle and bytea_output.

use crate::types::datetime::{self, DAY_MICROSECONDS, civil_from_days, write_time};
use crate::types::forms::{DateForm, DateOrder, IntervalForm, Styles};
use crate::types::interval::Interval;
use crate::types::zone::Zone;
use bytes::{BufMut, BytesMut};

fn put(out: &mut BytesMut, text: &str) {
    out.put_slice(text.as_bytes());
}

fn year_text(year: i64) -> String {
    format!("{:04}", if year > 0 { year } else { 1 - year })
}

/// Appends a date in a style other than ISO.
pub(super) fn write_date(days: i32, styles: Styles, out: &mut BytesMut) {
    if matches!(days, i32::MIN | i32::MAX) {
        return datetime::write_date(days, out);
    }
    let (year, month, day) = civil_from_days(i64::from(days));
    put(out, &numeric_date(year, month, day, styles));
    if year <= 0 {
        put(out, " BC");
    }
}

fn numeric_date(year: i64, month: u32, day: u32, styles: Styles) -> String {
    let year = year_text(year);
    match (styles.date, styles.order == DateOrder::Dmy) {
        (DateForm::German, _) => format!("{day:02}.{month:02}.{year}"),
        (DateForm::Sql, true) => format!("{day:02}/{month:02}/{year}"),
        (DateForm::Sql, false) => format!("{month:02}/{day:02}/{year}"),
        (_, true) => format!("{day:02}-{month:02}-{year}"),
        (_, false) => format!("{month:02}-{day:02}-{year}"),
    }
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends a timestamp in a style other than ISO.
pub(super) fn write_timestamp(microseconds: i64, zone: Option<&Zone>, styles: Styles, out: &mut BytesMut) {
    if matches!(microseconds, i64::MIN | i64::MAX) {
        return datetime::write_timestamp(microseconds, None, out);
    }
    let seconds = microseconds.div_euclid(1_000_000);
    let local = i128::from(microseconds) + i128::from(zone.map_or(0, |zone| zone.offset_at(seconds))) * 1_000_000;
    let days = local.div_euclid(i128::from(DAY_MICROSECONDS)) as i64;
    let time = local.rem_euclid(i128::from(DAY_MICROSECONDS)) as i64;
    let (year, month, day) = civil_from_days(days);
    if styles.date == DateForm::Postgres {
        let name = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
        let date = if styles.order == DateOrder::Dmy { format!("{day:02} {name}") } else { format!("{name} {day:02}") };
        put(out, &format!("{} {date} ", DAYS[days.rem_euclid(7) as usize]));
        write_time(time, out);
        put(out, &format!(" {}", year_text(year)));
    } else {
        put(out, &format!("{} ", numeric_date(year, month, day, styles)));
        write_time(time, out);
    }
    if let Some(zone) = zone {
        put(out, &format!(" {}", abbreviation(zone, seconds)));
    }
    if year <= 0 {
        put(out, " BC");
    }
}

fn abbreviation(zone: &Zone, seconds: i64) -> String {
    match zone {
        Zone::Utc => "UTC".into(),
        Zone::Named(name) => chrono::DateTime::from_timestamp(seconds, 0)
            .map(|moment| moment.with_timezone(name).format("%Z").to_string())
            .unwrap_or_default(),
        Zone::Fixed(offset) => {
            let (sign, offset) = (if *offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
            let minutes = offset / 60 % 60;
            if minutes == 0 { format!("{sign}{:02}", offset / 3600) } else { format!("{sign}{:02}:{minutes:02}", offset / 3600) }
        }
    }
}

/// The parts of an interval: years, months, days, hours, minutes, and microseconds of a minute; each with its sign.
fn parts(interval: Interval) -> ([i64; 5], i64) {
    let time = interval.microseconds;
    let numbers = [
        i64::from(interval.months / 12),
        i64::from(interval.months % 12),
        i64::from(interval.days),
        time / 3_600_000_000,
        time / 60_000_000 % 60,
    ];
    (numbers, time % 60_000_000)
}

/// Seconds with their fraction, without a sign.
fn seconds_text(microseconds: i64) -> String {
    let (whole, fraction) = (microseconds.unsigned_abs() / 1_000_000, microseconds.unsigned_abs() % 1_000_000);
    match fraction {
        0 => whole.to_string(),
        _ => format!("{whole}.{fraction:06}").trim_end_matches('0').to_string(),
    }
}

/// Appends an interval in a style other than `postgres`.
pub(super) fn write_interval(interval: Interval, form: IntervalForm, out: &mut BytesMut) {
    let text = match form {
        IntervalForm::Verbose => verbose(interval),
        IntervalForm::SqlStandard => sql_standard(interval),
        _ => iso_8601(interval),
    };
    put(out, &text);
}

fn iso_8601(interval: Interval) -> String {
    let ([years, months, days, hours, minutes], seconds) = parts(interval);
    let part = |number: i64, letter: &str| if number == 0 { String::new() } else { format!("{number}{letter}") };
    let date = [part(years, "Y"), part(months, "M"), part(days, "D")].concat();
    let mut time = [part(hours, "H"), part(minutes, "M")].concat();
    if seconds != 0 {
        time.push_str(&format!("{}{}S", if seconds < 0 { "-" } else { "" }, seconds_text(seconds)));
    }
    match (date.is_empty(), time.is_empty()) {
        (true, true) => "PT0S".into(),
        (_, true) => format!("P{date}"),
        _ => format!("P{date}T{time}"),
    }
}

/// The first part's sign is said at the end for all.
fn verbose(interval: Interval) -> String {
    let (numbers, seconds) = parts(interval);
    let negative = numbers.iter().chain([&seconds]).find(|number| **number != 0).is_some_and(|number| *number < 0);
    let flip = if negative { -1 } else { 1 };
    let mut text = "@".to_string();
    for (number, unit) in numbers.into_iter().zip(["year", "mon", "day", "hour", "min"]) {
        if number != 0 {
            let number = number * flip;
            text.push_str(&format!(" {number} {unit}{}", if number == 1 { "" } else { "s" }));
        }
    }
    if seconds != 0 {
        let sign = if seconds * flip < 0 { "-" } else { "" };
        let shown = seconds_text(seconds);
        let plural = if shown == "1" && sign.is_empty() { "" } else { "s" };
        text.push_str(&format!(" {sign}{shown} sec{plural}"));
    }
    if text == "@" {
        text.push_str(" 0");
    }
    if negative {
        text.push_str(" ago");
    }
    text
}

fn sql_standard(interval: Interval) -> String {
    let (numbers, seconds) = parts(interval);
    let [years, months, days, hours, minutes] = numbers.map(i64::abs);
    let all = [i64::from(interval.months), i64::from(interval.days), interval.microseconds];
    let (has_months, has_days, has_time) = (all[0] != 0, all[1] != 0, all[2] != 0);
    let clock = format!("{hours}:{minutes:02}:{}", padded_seconds(seconds));
    let sign = |number: i64| if number < 0 { '-' } else { '+' };
    let mixed = all.iter().any(|number| *number < 0) && all.iter().any(|number| *number > 0);
    if (has_months && (has_days || has_time)) || mixed {
        return format!("{}{years}-{months} {}{days} {}{clock}", sign(all[0]), sign(all[1]), sign(all[2]));
    }
    let minus = if all.iter().any(|number| *number < 0) { "-" } else { "" };
    match (has_months, has_days, has_time) {
        (true, ..) => format!("{minus}{years}-{months}"),
        (_, true, _) => format!("{minus}{days} {clock}"),
        (_, _, true) => format!("{minus}{clock}"),
        _ => "0".into(),
    }
}

fn padded_seconds(microseconds: i64) -> String {
    let text = seconds_text(microseconds);
    let whole = text.find('.').unwrap_or(text.len());
    if whole < 2 { format!("0{text}") } else { text }
}

/// Appends bytes as text where they are, and escaped where they are not.
pub(super) fn write_escaped(bytes: &[u8], out: &mut BytesMut) {
    for byte in bytes {
        match byte {
            b'\\' => put(out, "\\\\"),
            0x20..=0x7e => out.put_u8(*byte),
            _ => put(out, &format!("\\{byte:03o}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(write: impl Fn(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn dates_in_each_style() {
        let moment = 981_173_106_780_000;
        let berlin = Zone::parse("Europe/Berlin");
        let table = [
            ("SQL, DMY", "03/02/2001", "03/02/2001 04:05:06.78", "03/02/2001 05:05:06.78 CET"),
            ("SQL, MDY", "02/03/2001", "02/03/2001 04:05:06.78", "02/03/2001 05:05:06.78 CET"),
            ("German, DMY", "03.02.2001", "03.02.2001 04:05:06.78", "03.02.2001 05:05:06.78 CET"),
            ("Postgres, DMY", "03-02-2001", "Sat 03 Feb 04:05:06.78 2001", "Sat 03 Feb 05:05:06.78 2001 CET"),
            ("Postgres, MDY", "02-03-2001", "Sat Feb 03 04:05:06.78 2001", "Sat Feb 03 05:05:06.78 2001 CET"),
        ];
        for (style, date, timestamp, with_zone) in table {
            let styles = Styles::of_settings(style, "postgres", "hex");
            assert_eq!(shown(|out| write_date(11_356, styles, out)), date);
            assert_eq!(shown(|out| write_timestamp(moment, None, styles, out)), timestamp);
            assert_eq!(shown(|out| write_timestamp(moment, berlin.as_ref(), styles, out)), with_zone);
        }
    }

    #[test]
    fn intervals_in_each_style() {
        let hours = 3_600_000_000;
        let table = [
            ((14, 3, 14_706_700_000), "@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs", "+1-2 +3 +4:05:06.7", "P1Y2M3DT4H5M6.7S"),
            ((-12, 2, 0), "@ 1 year -2 days ago", "-1-0 +2 +0:00:00", "P-1Y2D"),
            ((10, 0, 0), "@ 10 mons", "0-10", "P10M"),
            ((0, 0, 0), "@ 0", "0", "PT0S"),
            ((0, 3, 0), "@ 3 days", "3 0:00:00", "P3D"),
            ((0, 0, -14_706_000_000), "@ 4 hours 5 mins 6 secs ago", "-4:05:06", "PT-4H-5M-6S"),
            ((0, 1, -hours), "@ 1 day -1 hours", "+0-0 +1 -1:00:00", "P1DT-1H"),
            ((0, 0, 1_000_000), "@ 1 sec", "0:00:01", "PT1S"),
        ];
        for ((months, days, microseconds), verbose, standard, iso) in table {
            let interval = Interval { months, days, microseconds };
            let of = |form| shown(|out| write_interval(interval, form, out));
            let all = [IntervalForm::Verbose, IntervalForm::SqlStandard, IntervalForm::Iso8601].map(of);
            assert_eq!(all, [verbose, standard, iso]);
        }
    }

    #[test]
    fn bytes_are_escaped() {
        assert_eq!(shown(|out| write_escaped(b"\x00AB\\\xff'", out)), "\\000AB\\\\\\377'");
    }
}
