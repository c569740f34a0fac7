//! A session's settings: PostgreSQL's names, their validation, and SET's behaviour in transactions.
//!
//! Names that PostgreSQL has and that would promise something this server does not do are refused by value, not silently accepted.

use crate::catalog::system_views;
use crate::error::{Result, SqlError, SqlState};
use std::collections::{BTreeMap, BTreeSet};

/// How the values of a setting are checked and brought to their normal form.
#[derive(Clone, Copy)]
enum Kind {
    /// Any text.
    Text,
    /// `on` or `off`.
    Bool,
    /// A whole number in a range.
    Integer(i64, i64),
    /// Milliseconds, with units; 0 is off.
    Duration,
    /// One of several words.
    Word(&'static [&'static str]),
    /// Exactly what it is already; the reason stands in the hint.
    Fixed(&'static str),
    /// A list of names.
    Names,
    /// A time zone.
    TimeZone,
    /// ISO, with an order of fields.
    DateStyle,
    /// UTF8.
    Encoding,
    /// Shown, never set.
    ReadOnly,
}

impl Kind {
    /// `pg_settings.vartype`
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Integer(..) | Self::Duration => "integer",
            Self::Word(_) => "enum",
            _ => "string",
        }
    }
    fn range(self) -> Option<(i64, i64)> {
        match self {
            Self::Integer(min, max) => Some((min, max)),
            Self::Duration => Some((0, i64::from(i32::MAX))),
            _ => None,
        }
    }
}

/// A setting with what is known of it.
#[derive(Clone, Debug)]
pub struct Described<'a> {
    /// Its name.
    pub name: &'static str,
    /// What SHOW prints.
    pub value: &'a str,
    /// The default of this program.
    pub built_in: &'static str,
    /// What RESET goes back to.
    pub reset: &'a str,
    /// `bool`, `integer`, `enum`, `string`.
    pub kind: &'static str,
    /// Its unit, if numbers have one.
    pub unit: Option<&'static str>,
    /// Smallest value.
    pub min: Option<i64>,
    /// Largest value.
    pub max: Option<i64>,
    /// The values that it can have, if they are words.
    pub words: Option<&'static [&'static str]>,
    /// Whether it cannot be set.
    pub read_only: bool,
}

struct Known {
    name: &'static str,
    kind: Kind,
    default: &'static str,
    /// Whether clients are told of changes.
    reported: bool,
}

const fn known(name: &'static str, kind: Kind, default: &'static str) -> Known {
    Known { name, kind, default, reported: false }
}

const fn reported(name: &'static str, kind: Kind, default: &'static str) -> Known {
    Known { name, kind, default, reported: true }
}

const ISOLATION_LEVELS: &[&str] = &["read uncommitted", "read committed", "repeatable read", "serializable"];
const MESSAGE_LEVELS: &[&str] = &["debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error", "info"];

/// All settings, by name. Names are as SHOW prints them; look-ups ignore case.
static KNOWN: &[Known] = &[
    reported("application_name", Kind::Text, ""),
    known("array_nulls", Kind::Bool, "on"),
    known("backslash_quote", Kind::Word(&["safe_encoding", "on", "off"]), "safe_encoding"),
    known("bytea_output", Kind::Fixed("Only hex is supported."), "hex"),
    known("check_function_bodies", Kind::Bool, "on"),
    reported("client_encoding", Kind::Encoding, "UTF8"),
    known("client_min_messages", Kind::Word(MESSAGE_LEVELS), "notice"),
    reported("DateStyle", Kind::DateStyle, "ISO, MDY"),
    known("default_table_access_method", Kind::Text, "heap"),
    known("default_tablespace", Kind::Text, ""),
    known("default_text_search_config", Kind::Text, "pg_catalog.simple"),
    known("default_transaction_deferrable", Kind::Bool, "off"),
    known("default_transaction_isolation", Kind::Word(ISOLATION_LEVELS), "read committed"),
    reported("default_transaction_read_only", Kind::Bool, "off"),
    known("escape_string_warning", Kind::Bool, "on"),
    known("extra_float_digits", Kind::Integer(-15, 3), "1"),
    known("idle_in_transaction_session_timeout", Kind::Duration, "0"),
    known("idle_session_timeout", Kind::Duration, "0"),
    reported("in_hot_standby", Kind::ReadOnly, "off"),
    reported("integer_datetimes", Kind::ReadOnly, "on"),
    reported("IntervalStyle", Kind::Fixed("Only postgres is supported."), "postgres"),
    reported("is_superuser", Kind::ReadOnly, "on"),
    known("lc_collate", Kind::ReadOnly, "C"),
    known("lc_ctype", Kind::ReadOnly, "C"),
    known("lc_messages", Kind::Text, "C"),
    known("lc_monetary", Kind::Text, "C"),
    known("lc_numeric", Kind::Text, "C"),
    known("lc_time", Kind::Text, "C"),
    known("lock_timeout", Kind::Duration, "0"),
    known("max_identifier_length", Kind::ReadOnly, "63"),
    known("row_security", Kind::Bool, "on"),
    reported("search_path", Kind::Names, "\"$user\", public"),
    reported("server_encoding", Kind::ReadOnly, "UTF8"),
    reported("server_version", Kind::ReadOnly, "15.0"),
    known("server_version_num", Kind::ReadOnly, "150000"),
    reported("session_authorization", Kind::ReadOnly, ""),
    known("session_replication_role", Kind::Fixed("There is no replication role."), "origin"),
    reported("standard_conforming_strings", Kind::Fixed("Backslashes are plain characters; use E'' strings."), "on"),
    known("statement_timeout", Kind::Duration, "0"),
    known("synchronous_commit", Kind::Fixed("Every commit is durable before it is acknowledged."), "on"),
    reported("TimeZone", Kind::TimeZone, "UTC"),
    known("transaction_deferrable", Kind::Bool, "off"),
    known("transaction_isolation", Kind::Word(ISOLATION_LEVELS), "read committed"),
    known("transaction_read_only", Kind::Bool, "off"),
    known("transform_null_equals", Kind::Fixed("NULL is never equal to anything."), "off"),
    known("vacuum_cost_delay", Kind::Integer(0, 100), "0"),
    known("work_mem", Kind::Text, "4MB"),
    known("xmloption", Kind::Word(&["content", "document"]), "content"),
];

/// The settings of one session.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What RESET goes back to, where it is not the built-in default.
    session_defaults: BTreeMap<&'static str, String>,
    /// What stands now, where it is not the default.
    values: BTreeMap<&'static str, String>,
    /// Before SET LOCAL in this block.
    before_local: BTreeMap<&'static str, Option<String>>,
    /// At the block's begin.
    at_begin: Option<BTreeMap<&'static str, String>>,
    /// Changed since clients were last told.
    changed: BTreeSet<&'static str>,
}

impl Settings {
    /// Settings of a new session of `user`, with what its startup message says.
    pub fn new(user: &str, options: &[(String, String)]) -> Result<Self> {
        let mut settings = Self {
            session_defaults: BTreeMap::new(),
            values: BTreeMap::new(),
            before_local: BTreeMap::new(),
            at_begin: None,
            changed: KNOWN.iter().filter(|k| k.reported).map(|k| k.name).collect(),
        };
        settings.session_defaults.insert("session_authorization", user.to_string());
        for (name, value) in options {
            settings.startup_option(name, value)?;
        }
        Ok(settings)
    }

    fn startup_option(&mut self, name: &str, value: &str) -> Result<()> {
        if matches!(name, "user" | "database" | "replication") || name.starts_with("_pq_.") {
            return Ok(());
        }
        if name == "options" {
            return split_options(value)?.into_iter().try_for_each(|(name, value)| self.startup_option(&name, &value));
        }
        let known = find(name)?;
        let value = normalize(known, &split_list(known, value))?;
        self.session_defaults.insert(known.name, value);
        Ok(())
    }

    /// What SHOW prints.
    pub fn show(&self, name: &str) -> Result<(&'static str, String)> {
        let known = find(name)?;
        Ok((known.name, self.get(known.name).to_string()))
    }
    /// All settings with their values, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KNOWN.iter().map(|known| (known.name, self.get(known.name)))
    }
    /// All settings as `pg_settings` has them.
    pub fn described(&self) -> impl Iterator<Item = Described<'_>> {
        KNOWN.iter().map(|known| Described {
            name: known.name,
            value: self.get(known.name),
            built_in: known.default,
            reset: self.session_defaults.get(known.name).map_or(known.default, String::as_str),
            kind: known.kind.name(),
            unit: matches!(known.kind, Kind::Duration).then_some("ms"),
            min: known.kind.range().map(|(min, _)| min),
            max: known.kind.range().map(|(_, max)| max),
            words: match known.kind {
                Kind::Word(words) => Some(words),
                _ => None,
            },
            read_only: matches!(known.kind, Kind::ReadOnly),
        })
    }
    /// The value of a setting that exists (the name as SHOW prints it).
    pub fn get(&self, name: &str) -> &str {
        if let Some(stored) = self.values.get(name).or_else(|| self.session_defaults.get(name)) {
            return stored;
        }
        match name {
            // What a transaction that said nothing else has.
            "transaction_isolation" => self.get("default_transaction_isolation"),
            "transaction_read_only" => self.get("default_transaction_read_only"),
            "transaction_deferrable" => self.get("default_transaction_deferrable"),
            _ => KNOWN.iter().find(|k| k.name == name).map_or("", |k| k.default),
        }
    }
    /// SET; `values` of `None` are DEFAULT.
    pub fn set(&mut self, name: &str, values: Option<&[String]>, local: bool) -> Result<()> {
        let known = find(name)?;
        let value = match values {
            Some(values) => Some(normalize(known, values)?),
            None => match known.kind {
                Kind::ReadOnly => return Err(cannot_change(known)),
                _ => None,
            },
        };
        if local {
            let before = self.values.get(known.name).cloned();
            self.before_local.entry(known.name).or_insert(before);
        } else {
            self.before_local.remove(known.name);
        }
        self.put(known.name, value);
        Ok(())
    }
    /// RESET ALL.
    pub fn reset_all(&mut self) {
        let set: Vec<&'static str> = self.values.keys().copied().filter(|name| !name.starts_with("transaction_")).collect();
        set.into_iter().for_each(|name| self.put(name, None));
    }
    /// A block begins: what it sets is undone if it rolls back.
    pub fn begin(&mut self) {
        self.at_begin = Some(self.values.clone());
    }
    /// ROLLBACK TO SAVEPOINT: the block goes on with the settings of then.
    pub fn roll_back_to(&mut self, then: &Self) {
        let names: BTreeSet<&'static str> = then.values.keys().chain(self.values.keys()).copied().collect();
        names.into_iter().for_each(|name| self.put(name, then.values.get(name).cloned()));
        self.before_local = then.before_local.clone();
    }
    /// A block ends.
    pub fn end(&mut self, committed: bool) {
        let target = match self.at_begin.take() {
            Some(before) if !committed => before,
            _ => {
                let mut values = self.values.clone();
                for (name, value) in std::mem::take(&mut self.before_local) {
                    match value {
                        Some(value) => drop(values.insert(name, value)),
                        None => drop(values.remove(name)),
                    }
                }
                values
            }
        };
        self.before_local.clear();
        let names: BTreeSet<&'static str> = target.keys().chain(self.values.keys()).copied().collect();
        for name in names {
            let value = if name.starts_with("transaction_") { None } else { target.get(name).cloned() };
            self.put(name, value);
        }
    }
    /// Settings whose change clients are told of, changed since the last call.
    pub fn take_changes(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.changed).into_iter().map(|name| (name, self.get(name).to_string())).collect()
    }
    /// `search_path` as names, `"$user"` replaced. The server's own schema is nobody's for having the same name: its views would hide tables.
    pub fn search_path(&self, user: &str) -> Vec<String> {
        let names = split_names(self.get("search_path")).unwrap_or_default().into_iter();
        let names = names.filter(|name| name != "$user" || user != system_views::SCHEMA);
        names.map(|name| if name == "$user" { user.to_string() } else { name }).collect()
    }
    /// A duration setting in milliseconds; `None` is off.
    pub fn milliseconds(&self, name: &str) -> Option<u64> {
        duration_ms(self.get(name)).and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0)
    }
    /// A switch.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == "on"
    }

    fn put(&mut self, name: &'static str, value: Option<String>) {
        let before = self.get(name).to_string();
        match value {
            Some(value) => drop(self.values.insert(name, value)),
            None => drop(self.values.remove(name)),
        }
        if self.get(name) != before && KNOWN.iter().any(|k| k.name == name && k.reported) {
            self.changed.insert(name);
        }
    }
}

fn find(name: &str) -> Result<&'static Known> {
    KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{}\"", name.to_lowercase()))
    })
}

fn cannot_change(known: &Known) -> SqlError {
    SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, format!("parameter \"{}\" cannot be changed", known.name))
}

fn invalid(known: &Known, value: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{}\": \"{value}\"", known.name))
}

/// Checks values, and brings them to the form that SHOW prints.
fn normalize(known: &Known, values: &[String]) -> Result<String> {
    if let Kind::Names = known.kind {
        return Ok(values.iter().map(|name| quote_path(name)).collect::<Vec<_>>().join(", "));
    }
    if let Kind::DateStyle = known.kind {
        return date_style(known, values);
    }
    let [value] = values else {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("SET {} takes only one argument", known.name)));
    };
    match known.kind {
        Kind::Text => Ok(value.clone()),
        Kind::Bool => boolean(value).map(str::to_string).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("parameter \"{}\" requires a Boolean value", known.name))
        }),
        Kind::Integer(min, max) => integer(known, value, min, max),
        Kind::Duration => match duration_ms(value) {
            Some(0..=2_147_483_647) => Ok(duration_text(duration_ms(value).unwrap_or_default())),
            _ => Err(invalid(known, value)),
        },
        Kind::Word(words) => {
            let word = value.to_lowercase();
            let list = || format!("Available values: {}.", words.join(", "));
            if words.contains(&word.as_str()) { Ok(word) } else { Err(invalid(known, value).with_hint(list())) }
        }
        Kind::Fixed(_) if same(value, known.default) => Ok(known.default.to_string()),
        Kind::Fixed(reason) => {
            let message = format!("value \"{value}\" of parameter \"{}\" is not supported", known.name);
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_hint(reason))
        }
        Kind::TimeZone => time_zone(value).ok_or_else(|| invalid(known, value)),
        Kind::Encoding => match value.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "").as_str() {
            "UTF8" | "UNICODE" | "AUTO" => Ok("UTF8".to_string()),
            _ => Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("client encoding \"{value}\" is not supported"))
                .with_hint("Only UTF8 is supported.")),
        },
        Kind::ReadOnly | Kind::Names | Kind::DateStyle => Err(cannot_change(known)),
    }
}

fn same(value: &str, fixed: &str) -> bool {
    value.eq_ignore_ascii_case(fixed) || (boolean(fixed).is_some() && boolean(value) == boolean(fixed))
}

fn boolean(value: &str) -> Option<&'static str> {
    match value.to_lowercase().as_str() {
        "on" | "true" | "t" | "yes" | "y" | "1" => Some("on"),
        "off" | "false" | "f" | "no" | "n" | "0" => Some("off"),
        _ => None,
    }
}

fn integer(known: &Known, value: &str, min: i64, max: i64) -> Result<String> {
    let number: i64 = value.trim().parse().map_err(|_| invalid(known, value))?;
    if (min..=max).contains(&number) {
        return Ok(number.to_string());
    }
    let message = format!("{number} is outside the valid range for parameter \"{}\" ({min} .. {max})", known.name);
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}

const DURATION_UNITS: [(&str, i64); 5] = [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A duration with its unit in milliseconds.
pub(crate) fn duration_ms(value: &str) -> Option<i64> {
    let value = value.trim();
    let digits = value.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(value.len());
    let number: i64 = value[..digits].parse().ok()?;
    let unit = value[digits..].trim();
    let factor = if unit.is_empty() { 1 } else { DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1 };
    number.checked_mul(factor)
}

fn duration_text(ms: i64) -> String {
    let unit = DURATION_UNITS.iter().rev().find(|(_, factor)| ms != 0 && ms % factor == 0);
    unit.map_or_else(|| ms.to_string(), |(name, factor)| format!("{}{name}", ms / factor))
}

/// A zone of the IANA database in its own spelling, or a fixed offset in hours as PostgreSQL's `SET TIME ZONE -7` has it.
fn time_zone(value: &str) -> Option<String> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("utc") || value.eq_ignore_ascii_case("z") || value.eq_ignore_ascii_case("default") {
        return Some("UTC".to_string());
    }
    if let Some(zone) = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(value)) {
        return Some(zone.name().to_string());
    }
    offset_zone(value)
}

fn offset_zone(value: &str) -> Option<String> {
    let (sign, digits) = match value.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', value.strip_prefix('+').unwrap_or(value)),
    };
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 15 && minutes < 60).then(|| format!("{sign}{hours:02}:{minutes:02}"))
}

fn date_style(known: &Known, values: &[String]) -> Result<String> {
    let mut order = "MDY";
    for word in values.iter().flat_map(|value| value.split([',', ' '])).map(str::trim).filter(|w| !w.is_empty()) {
        match word.to_uppercase().as_str() {
            "ISO" => {}
            "MDY" | "US" | "NONEURO" | "NONEUROPEAN" => order = "MDY",
            "DMY" | "EURO" | "EUROPEAN" => order = "DMY",
            "YMD" => order = "YMD",
            "SQL" | "POSTGRES" | "GERMAN" => {
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("DateStyle {word} is not supported"))
                    .with_hint("Dates are written in the ISO style."));
            }
            _ => return Err(invalid(known, &values.join(", "))),
        }
    }
    Ok(format!("ISO, {order}"))
}

fn split_list(known: &Known, value: &str) -> Vec<String> {
    match known.kind {
        Kind::Names => split_names(value).unwrap_or_else(|| vec![value.to_string()]),
        _ => vec![value.to_string()],
    }
}

fn quote_path(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn split_names(text: &str) -> Option<Vec<String>> {
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
fn split_options(text: &str) -> Result<Vec<(String, String)>> {
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
            (Some(long), _) => long.replace('-', "_"),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings() -> Settings {
        Settings::new("ada", &[]).unwrap()
    }
    fn set(settings: &mut Settings, name: &str, value: &str) -> Result<String> {
        settings.set(name, Some(&[value.to_string()]), false)?;
        settings.show(name).map(|(_, value)| value)
    }
    fn state_of(result: Result<String>) -> &'static str {
        result.unwrap_err().state.0
    }

    #[test]
    fn names_are_known_once_and_their_defaults_are_valid() {
        let names: BTreeSet<String> = KNOWN.iter().map(|k| k.name.to_lowercase()).collect();
        assert_eq!(names.len(), KNOWN.len());
        for known in KNOWN.iter().filter(|k| !matches!(k.kind, Kind::ReadOnly)) {
            assert_eq!(normalize(known, &split_list(known, known.default)).unwrap(), known.default, "{}", known.name);
        }
    }

    #[test]
    fn values_are_checked() {
        let mut s = settings();
        assert_eq!(set(&mut s, "timezone", "europe/berlin").unwrap(), "Europe/Berlin");
        assert_eq!(set(&mut s, "TimeZone", "-7").unwrap(), "-07:00");
        assert_eq!(state_of(set(&mut s, "timezone", "Mars/Olympus")), "22023");
        assert_eq!(set(&mut s, "datestyle", "iso, dmy").unwrap(), "ISO, DMY");
        assert_eq!(state_of(set(&mut s, "datestyle", "german")), "0A000");
        assert_eq!(set(&mut s, "client_encoding", "utf-8").unwrap(), "UTF8");
        assert_eq!(state_of(set(&mut s, "client_encoding", "LATIN1")), "0A000");
        assert_eq!(set(&mut s, "statement_timeout", "5000").unwrap(), "5s");
        assert_eq!(s.milliseconds("statement_timeout"), Some(5000));
        assert_eq!(state_of(set(&mut s, "statement_timeout", "soon")), "22023");
        assert_eq!(state_of(set(&mut s, "extra_float_digits", "4")), "22023");
        assert_eq!(state_of(set(&mut s, "bytea_output", "escape")), "0A000");
        assert_eq!(set(&mut s, "standard_conforming_strings", "true").unwrap(), "on");
        assert_eq!(state_of(set(&mut s, "server_version", "99")), "55P02");
        let error = s.set("no_such", Some(&["1".into()]), false).unwrap_err();
        assert_eq!((error.state.0, &*error.message), ("42704", "unrecognized configuration parameter \"no_such\""));
    }

    #[test]
    fn a_rolled_back_block_restores_and_set_local_ends_with_it() {
        let mut s = settings();
        set(&mut s, "application_name", "a").unwrap();
        s.begin();
        set(&mut s, "application_name", "b").unwrap();
        s.end(false);
        assert_eq!(s.get("application_name"), "a");
        s.begin();
        s.set("application_name", Some(&["local".into()]), true).unwrap();
        set(&mut s, "extra_float_digits", "0").unwrap();
        assert_eq!(s.get("application_name"), "local");
        s.end(true);
        assert_eq!((s.get("application_name"), s.get("extra_float_digits")), ("a", "0"));
    }

    #[test]
    fn clients_hear_of_changes_once() {
        let mut s = settings();
        assert!(s.take_changes().iter().any(|(name, value)| *name == "server_encoding" && value == "UTF8"));
        assert!(s.take_changes().is_empty());
        set(&mut s, "timezone", "UTC").unwrap();
        set(&mut s, "extra_float_digits", "0").unwrap();
        assert!(s.take_changes().is_empty());
        set(&mut s, "timezone", "Asia/Tokyo").unwrap();
        assert_eq!(s.take_changes(), [("TimeZone", "Asia/Tokyo".to_string())]);
    }

    #[test]
    fn search_path_and_startup_options() {
        let mut s = settings();
        assert_eq!(s.search_path("ada"), ["ada", "public"]);
        assert_eq!(s.search_path("plimsoll"), ["public"]);
        s.set("search_path", Some(&["My x".into(), "b".into()]), false).unwrap();
        assert_eq!(s.get("search_path"), "\"My x\", b");
        assert_eq!(s.search_path("ada"), ["My x", "b"]);
        let options = [("options".to_string(), "-c search_path=a,b --statement-timeout=10 -cDateStyle=ISO\\ DMY".to_string())];
        let mut s = Settings::new("ada", &options).unwrap();
        assert_eq!((s.get("search_path"), s.get("statement_timeout"), s.get("DateStyle")), ("a, b", "10ms", "ISO, DMY"));
        s.set("search_path", Some(&["x".into()]), false).unwrap();
        s.reset_all();
        assert_eq!(s.get("search_path"), "a, b");
    }
}
