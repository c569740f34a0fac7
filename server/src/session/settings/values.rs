//! The values of settings: text of any spelling -> the one that SHOW prints, or PostgreSQL's error.

use super::known::{Kind, Known};
use crate::error::{Result, SqlError, SqlState};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    None,
    Milliseconds,
    Seconds,
    Kilobytes,
    /// 8 kB.
    Blocks,
}

/// Names of units of memory, in bytes; those of time, in microseconds.
const MEMORY: [(&str, f64); 5] = [("TB", 1_099_511_627_776.0), ("GB", 1_073_741_824.0), ("MB", 1_048_576.0), ("kB", 1024.0), ("B", 1.0)];
const TIME: [(&str, f64); 6] =
    [("d", 86_400_000_000.0), ("h", 3_600_000_000.0), ("min", 60_000_000.0), ("s", 1_000_000.0), ("ms", 1000.0), ("us", 1.0)];

impl Unit {
    /// `pg_settings.unit`
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Milliseconds => Some("ms"),
            Self::Seconds => Some("s"),
            Self::Kilobytes => Some("kB"),
            Self::Blocks => Some("8kB"),
        }
    }
    /// The names that can be written, and how much one of this unit is in them.
    fn names(self) -> (&'static [(&'static str, f64)], f64) {
        match self {
            Self::None => (&[], 1.0),
            Self::Milliseconds => (&TIME, 1000.0),
            Self::Seconds => (&TIME, 1_000_000.0),
            Self::Kilobytes => (&MEMORY, 1024.0),
            Self::Blocks => (&MEMORY, 8192.0),
        }
    }
    fn hint(self) -> &'static str {
        match self {
            Self::Milliseconds | Self::Seconds => "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
            _ => "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".",
        }
    }
    /// A number of this unit as SHOW prints it: in the largest unit that divides it.
    fn text(self, number: f64) -> String {
        let (names, factor) = self.names();
        if number <= 0.0 || names.is_empty() {
            return number.to_string();
        }
        let small = number * factor;
        let found = names.iter().find(|(_, each)| small % each == 0.0 && small >= *each);
        found.map_or_else(|| number.to_string(), |(name, each)| format!("{}{name}", small / each))
    }
    /// A number as it is written, in this unit; the error says whether it is the unit that is wrong.
    fn parse(self, text: &str) -> Result<f64, Option<&'static str>> {
        let text = text.trim();
        let number_ends = |c: char| !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        let mut end = text.find(number_ends).unwrap_or(text.len());
        // An exponent belongs to the number.
        if text[end..].starts_with(['e', 'E']) && text[..end].parse::<f64>().is_ok() {
            let exponent = &text[end + 1..];
            let digits = exponent.find(number_ends).unwrap_or(exponent.len());
            end = if digits > 0 { end + 1 + digits } else { end };
        }
        let number: f64 = text[..end].parse().map_err(|_| None)?;
        let (names, factor) = self.names();
        match text[end..].trim() {
            "" => Ok(number),
            _ if names.is_empty() => Err(None),
            unit => {
                let found = names.iter().find(|(name, _)| *name == unit).ok_or(Some(self.hint()))?;
                Ok(number * found.1 / factor)
            }
        }
    }
}

pub(super) fn cannot_change(known: &Known) -> SqlError {
    let message = match known.kind {
        Kind::Server(false) => format!("parameter \"{}\" cannot be changed without restarting the server", known.name),
        Kind::Server(true) => format!("parameter \"{}\" cannot be changed now", known.name),
        _ => format!("parameter \"{}\" cannot be changed", known.name),
    };
    SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, message)
}

fn invalid(known: &Known, value: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{}\": \"{value}\"", known.name))
}

/// Checks values, and brings them to the form that SHOW prints. `present` is the value that the setting has.
pub(super) fn normalize(known: &Known, values: &[String], present: &str) -> Result<String> {
    match known.kind {
        Kind::Names => return Ok(values.iter().map(|name| quote_path(name)).collect::<Vec<_>>().join(", ")),
        Kind::DateStyle => return date_style(known, values, present),
        Kind::ReadOnly | Kind::Server(_) => return Err(cannot_change(known)),
        _ => {}
    }
    let [value] = values else {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("SET {} takes only one argument", known.name)));
    };
    match known.kind {
        Kind::Bool => boolean(value).map(str::to_string).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("parameter \"{}\" requires a Boolean value", known.name))
        }),
        Kind::Integer(min, max, unit) => integer(known, value, min, max, unit),
        Kind::Real(min, max, unit) => real(known, value, min, max, unit),
        Kind::Word(words) => word(known, value, words),
        Kind::Fixed(_) if same(value, known.default) => Ok(known.default.to_string()),
        Kind::Fixed(reason) => {
            let message = format!("value \"{value}\" of parameter \"{}\" is not supported", known.name);
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_hint(reason))
        }
        Kind::TimeZone => time_zone(value).ok_or_else(|| invalid(known, value)),
        Kind::Encoding => encoding(known, value),
        _ => Ok(value.clone()),
    }
}

fn same(value: &str, fixed: &str) -> bool {
    value.eq_ignore_ascii_case(fixed) || (boolean(fixed).is_some() && boolean(value) == boolean(fixed))
}

/// The words for true and false, and what they begin with.
fn boolean(value: &str) -> Option<&'static str> {
    let value = value.trim().to_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    if value == "1" || value == "on" || begins("true", 1) || begins("yes", 1) {
        Some("on")
    } else if value == "0" || begins("off", 2) || begins("false", 1) || begins("no", 1) {
        Some("off")
    } else {
        None
    }
}

fn integer(known: &Known, value: &str, min: i64, max: i64, unit: Unit) -> Result<String> {
    let number = unit.parse(value).map_err(|hint| with_hint(invalid(known, value), hint))?.round();
    if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
        return Err(invalid(known, value).with_hint("Value exceeds integer range."));
    }
    if number < min as f64 || number > max as f64 {
        return Err(out_of_range(known, &number.to_string(), unit, &min.to_string(), &max.to_string()));
    }
    Ok(unit.text(number))
}

fn real(known: &Known, value: &str, min: f64, max: f64, unit: Unit) -> Result<String> {
    let number = unit.parse(value).map_err(|hint| with_hint(invalid(known, value), hint))?;
    let text = |bound: f64| if bound == f64::MAX { "1.79769e+308".to_string() } else { bound.to_string() };
    match (min..=max).contains(&number) {
        true => Ok(unit.text(number)),
        false => Err(out_of_range(known, &number.to_string(), unit, &text(min), &text(max))),
    }
}

fn with_hint(error: SqlError, hint: Option<&'static str>) -> SqlError {
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn out_of_range(known: &Known, number: &str, unit: Unit, min: &str, max: &str) -> SqlError {
    let unit = unit.name().map(|unit| format!(" {unit}")).unwrap_or_default();
    let message = format!("{number}{unit} is outside the valid range for parameter \"{}\" ({min} .. {max})", known.name);
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn word(known: &Known, value: &str, words: &[&str]) -> Result<String> {
    let wanted = value.trim().to_lowercase();
    let wanted = match wanted.as_str() {
        // Not listed by PostgreSQL, and taken all the same.
        "debug" if words.contains(&"debug2") => "debug2",
        "info" if words.contains(&"notice") => return Ok("info".into()),
        other => other,
    };
    if words.contains(&wanted) {
        return Ok(wanted.to_string());
    }
    match boolean(wanted).filter(|on_or_off| words.contains(on_or_off)) {
        Some(on_or_off) => Ok(on_or_off.to_string()),
        None => Err(invalid(known, value).with_hint(format!("Available values: {}.", words.join(", ")))),
    }
}

/// Encodings of PostgreSQL's that this server cannot convert to, in capitals and without separators.
const OTHER_ENCODINGS: [&str; 12] =
    ["LATIN", "ISO8859", "WIN", "EUC", "KOI8", "BIG5", "GB18030", "GBK", "JOHAB", "SJIS", "UHC", "SHIFTJIS"];

fn encoding(known: &Known, value: &str) -> Result<String> {
    let name = value.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "");
    match name.as_str() {
        "UTF8" | "UNICODE" | "AUTO" => Ok("UTF8".to_string()),
        "SQLASCII" => Ok("SQL_ASCII".to_string()),
        other if OTHER_ENCODINGS.iter().any(|prefix| other.starts_with(prefix)) => {
            Err(invalid(known, value).with_detail(format!("Conversion between {other} and UTF8 is not supported.")))
        }
        _ => Err(invalid(known, value)),
    }
}

/// A zone of the IANA database in its own spelling, or a fixed offset in hours as PostgreSQL's `SET TIME ZONE -7` has it.
fn time_zone(value: &str) -> Option<String> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("utc") || value.eq_ignore_ascii_case("z") {
        return Some("UTC".to_string());
    }
    if let Some(zone) = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(value)) {
        return Some(zone.name().to_string());
    }
    // What is shown of an offset can be set again.
    match value.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((offset, _)) => offset_zone(offset),
        None => offset_zone(value),
    }
}

fn offset_zone(value: &str) -> Option<String> {
    let (sign, digits) = match value.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', value.strip_prefix('+').unwrap_or(value)),
    };
    let minutes = match (digits.split_once(':'), digits.parse::<f64>()) {
        (Some((hours, minutes)), _) => hours.parse::<u32>().ok()? * 60 + minutes.parse::<u32>().ok().filter(|minutes| *minutes < 60)?,
        (None, Ok(hours)) if (0.0..=16.0).contains(&hours) => (hours * 60.0).round() as u32,
        _ => return None,
    };
    (minutes < 16 * 60).then(|| format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

/// A zone as SHOW prints it: an offset in POSIX's way, whose signs are the other way round.
pub(super) fn zone_text(zone: &str) -> String {
    let (Some(sign), Some((hours, minutes))) = (zone.chars().next().filter(|c| matches!(c, '+' | '-')), zone.split_once(':')) else {
        return zone.to_string();
    };
    let offset = if minutes == "00" { hours.to_string() } else { zone.to_string() };
    let other = if sign == '-' { '+' } else { '-' };
    format!("<{offset}>{other}{}", &offset[1..])
}

/// What is not said stays as it is at present.
fn date_style(known: &Known, values: &[String], present: &str) -> Result<String> {
    let (mut style, mut order): (Option<&str>, Option<&str>) = (None, None);
    let all = || values.join(", ");
    let conflicting = || invalid(known, &all()).with_detail("Conflicting \"datestyle\" specifications.");
    for word in values.iter().flat_map(|value| value.split([',', ' '])).map(str::trim).filter(|w| !w.is_empty()) {
        let upper = word.to_uppercase();
        let (new_style, new_order) = match upper.as_str() {
            "ISO" => (Some("ISO"), None),
            "SQL" => (Some("SQL"), None),
            "GERMAN" => (Some("German"), if order.is_none() { Some("DMY") } else { None }),
            _ if upper.starts_with("POSTGRES") => (Some("Postgres"), None),
            "MDY" | "US" => (None, Some("MDY")),
            "DMY" => (None, Some("DMY")),
            "YMD" => (None, Some("YMD")),
            _ if upper.starts_with("EURO") => (None, Some("DMY")),
            _ if upper.starts_with("NONEURO") => (None, Some("MDY")),
            "DEFAULT" => (Some("ISO"), Some("MDY")),
            _ => return Err(invalid(known, &all()).with_detail(format!("Unrecognized key word: \"{}\".", word.to_lowercase()))),
        };
        if style.is_some() && new_style.is_some() && style != new_style {
            return Err(conflicting());
        }
        // German only suggests an order.
        if new_style.is_none() && order.is_some() && new_order != order && style != Some("German") {
            return Err(conflicting());
        }
        style = new_style.or(style);
        order = new_order.or(order);
    }
    let (present_style, present_order) = present.split_once(", ").unwrap_or(("ISO", "MDY"));
    Ok(format!("{}, {}", style.unwrap_or(present_style), order.unwrap_or(present_order)))
}

/// A value as one text, for settings that are lists.
pub(super) fn split_list(known: &Known, value: &str) -> Vec<String> {
    match known.kind {
        Kind::Names => split_names(value).unwrap_or_else(|| vec![value.to_string()]),
        _ => vec![value.to_string()],
    }
}

fn quote_path(name: &str) -> String {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let plain = begins && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$');
    if plain || name.parse::<u64>().is_ok() { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

pub(super) fn split_names(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_name(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_lowercase(), &rest[end..])
            }
        };
        names.push(name);
        rest = tail.trim_start();
        rest = if rest.is_empty() { rest } else { rest.strip_prefix(',')?.trim_start() };
    }
    Some(names)
}

fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find('"')?;
        if text[at + 1..].starts_with('"') {
            from = at + 2;
        } else {
            return Some((text[..at].replace("\"\"", "\""), &text[at + 1..]));
        }
    }
}

/// The startup message's `options`: `-c name=value`, `--name=value`; a backslash escapes.
pub(super) fn split_options(text: &str) -> Result<Vec<(String, String)>> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, words.last_mut()) {
            ('\\', Some(word)) => word.extend(chars.next()),
            (c, _) if c.is_whitespace() => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut options = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(long), _) => match long.split_once('=') {
                Some((name, value)) => format!("{}={value}", name.replace('-', "_")),
                None => String::new(),
            },
            (_, Some("")) => words.next().unwrap_or_default(),
            (_, Some(short)) => short.to_string(),
            _ => String::new(),
        };
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("invalid command-line argument for server process: {word}")));
        };
        options.push((name.to_string(), value.to_string()));
    }
    Ok(options)
}

/// Whether a name that is not PostgreSQL's may be made up: identifiers with dots between them.
pub(super) fn is_custom(name: &str) -> Result<bool> {
    if !name.contains('.') {
        return Ok(false);
    }
    let begins = |part: &str| part.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let identifier = |part: &str| begins(part) && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    if name.split('.').all(identifier) {
        return Ok(true);
    }
    Err(SqlError::new(SqlState("42602"), format!("invalid configuration parameter name \"{name}\""))
        .with_detail("Custom parameter names must be two or more simple identifiers separated by dots."))
}
