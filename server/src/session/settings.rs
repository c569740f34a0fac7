//! A session's settings: PostgreSQL's names, their validation, and SET's behaviour in transactions.
//!
//! [`known`] lists them, [`values`] checks what they are set to. Names with a dot are anybody's.

use crate::catalog::system_views;
use crate::config::Config;
use crate::error::{Result, SqlError, SqlState};
use known::{KNOWN, Kind, Known};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use values::{cannot_change, is_custom, normalize, split_list, split_names, split_options, zone_text};

mod absent;
pub mod confidential;
pub mod facts;
mod known;
mod values;

/// Settings with names of their own that one session may have.
const CUSTOM_MAX: usize = 1000;

/// A setting with what is known of it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// What it is, a number without its unit.
    pub value: String,
    /// The default of this program.
    pub built_in: String,
    /// What RESET goes back to.
    pub reset: String,
    /// `bool`, `integer`, `real`, `enum`, `string`.
    pub kind: &'static str,
    /// What it has to do with.
    pub category: &'static str,
    /// One sentence about it.
    pub description: &'static str,
    /// Its unit, if numbers have one.
    pub unit: Option<&'static str>,
    /// Smallest value.
    pub min: Option<&'static str>,
    /// Largest value.
    pub max: Option<&'static str>,
    /// The values that it can have, if they are words.
    pub words: Option<Vec<&'static str>>,
    /// Who can change it: `internal`, `postmaster`, `sighup`, `user`.
    pub context: &'static str,
    /// Where the value is from: `default`, `override`, `session`.
    pub source: &'static str,
}

/// How long things may take; `None` is for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// `statement_timeout`
    pub statement: Option<Duration>,
    /// `idle_in_transaction_session_timeout`
    pub idle_in_transaction: Option<Duration>,
    /// `idle_session_timeout`
    pub idle_session: Option<Duration>,
}

/// Who the session is: RESET ALL leaves it.
const OWN: [&str; 3] = ["role", "session_authorization", "is_superuser"];

/// The settings of one session.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What RESET goes back to, where it is not the built-in default.
    session_defaults: BTreeMap<String, String>,
    /// What stands now, where it is not the default.
    values: BTreeMap<String, String>,
    /// Before SET LOCAL in this block.
    before_local: BTreeMap<String, Option<String>>,
    /// At the block's begin.
    at_begin: Option<BTreeMap<String, String>>,
    /// Changed since clients were last told.
    changed: BTreeSet<&'static str>,
}

impl Settings {
    /// Settings of a new session of `user`, with what its startup message says.
    pub fn new(user: &str, options: &[(String, String)]) -> Result<Self> {
        let changed = KNOWN.iter().filter(|k| k.reported).map(|k| k.name).collect();
        let mut settings = Self { changed, ..Self::default() };
        settings.session_defaults.insert("session_authorization".into(), user.to_string());
        for (name, value) in options {
            settings.startup_option(name, value)?;
        }
        Ok(settings)
    }

    /// Takes over what the server's own settings say.
    pub fn of_server(mut self, config: &Config) -> Self {
        let path = |path: &std::path::PathBuf| path.display().to_string();
        let own = [
            ("data_directory", config.data_dir.display().to_string()),
            ("listen_addresses", config.listen.ip().to_string()),
            ("port", config.listen.port().to_string()),
            ("max_connections", config.connections_max.to_string()),
            ("hba_file", config.access_rules_file.as_ref().map(path).unwrap_or_default()),
            ("ssl_cert_file", config.tls_cert_file.as_ref().map(path).unwrap_or_default()),
            ("ssl_key_file", config.tls_key_file.as_ref().map(path).unwrap_or_default()),
            ("ssl", if config.tls_cert_file.is_some() { "on" } else { "off" }.to_string()),
            ("segment_size", format!("{}kB", config.segment_bytes_max / 1024)),
        ];
        let given = own.into_iter().filter(|(_, value)| !value.is_empty());
        self.session_defaults.extend(given.map(|(name, value)| (name.to_string(), value)));
        self
    }

    fn startup_option(&mut self, name: &str, value: &str) -> Result<()> {
        if matches!(name, "user" | "database" | "replication") || name.starts_with("_pq_.") {
            return Ok(());
        }
        if name == "options" {
            return split_options(value)?.into_iter().try_for_each(|(name, value)| self.startup_option(&name, &value));
        }
        let (name, value) = self.checked(name, |known| split_list(known, value), value)?;
        self.session_defaults.insert(name, value);
        Ok(())
    }

    /// The setting's own name, and the value in its normal form.
    fn checked(&self, name: &str, values: impl FnOnce(&Known) -> Vec<String>, text: &str) -> Result<(String, String)> {
        if let Some(known) = find(name) {
            return Ok((known.name.to_string(), normalize(known, &values(known), self.get(known.name))?));
        }
        let name = self.custom_name(name)?;
        Ok((name, text.to_string()))
    }

    /// The name of a setting that is not PostgreSQL's, as it was first written.
    fn custom_name(&self, name: &str) -> Result<String> {
        if !is_custom(name)? {
            return Err(unrecognized(name));
        }
        let customs = || self.values.keys().chain(self.session_defaults.keys()).filter(|known| known.contains('.'));
        if let Some(known) = customs().find(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(known.clone());
        }
        match customs().count() < CUSTOM_MAX {
            true => Ok(name.to_string()),
            false => {
                Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("a session can have at most {CUSTOM_MAX} custom settings")))
            }
        }
    }

    /// What SHOW prints, with the setting's own name.
    pub fn show(&self, name: &str) -> Result<(String, String)> {
        if let Some(known) = find(name) {
            return Ok((known.name.to_string(), self.shown(known.name)));
        }
        let own = self.values.iter().chain(&self.session_defaults).find(|(known, _)| known.eq_ignore_ascii_case(name));
        own.map(|(name, value)| (name.clone(), value.clone())).ok_or_else(|| unrecognized(name))
    }
    fn shown(&self, name: &str) -> String {
        match name {
            "TimeZone" => zone_text(self.get(name)),
            _ => self.get(name).to_string(),
        }
    }
    /// All settings with their values, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, String)> {
        KNOWN.iter().map(|known| (known.name, self.shown(known.name)))
    }
    /// All settings as `pg_settings` has them.
    pub fn described(&self) -> impl Iterator<Item = Described> {
        let custom: BTreeSet<&String> = self.values.keys().chain(self.session_defaults.keys()).filter(|name| name.contains('.')).collect();
        let custom: Vec<Described> = custom.into_iter().map(|name| self.describe_custom(name)).collect();
        KNOWN.iter().map(|known| self.describe(known)).chain(custom)
    }
    fn describe(&self, known: &Known) -> Described {
        let reset = self.session_defaults.get(known.name).map_or(known.default, String::as_str);
        let facts = facts::of(known.name);
        let said = |text: &'static str| Some(text).filter(|text| !text.is_empty());
        Described {
            name: known.name.to_string(),
            value: facts::in_unit(&facts, &self.shown(known.name)),
            built_in: facts::in_unit(&facts, known.default),
            reset: facts::in_unit(&facts, reset),
            kind: facts.kind,
            category: facts.category,
            description: facts.description,
            unit: said(facts.unit),
            min: said(facts.min),
            max: said(facts.max),
            words: match known.kind {
                Kind::Word(words) => Some(words.to_vec()),
                _ => said(facts.words).map(|words| words.split(',').collect()),
            },
            context: match known.kind {
                Kind::ReadOnly => "internal",
                Kind::Server(false) => "postmaster",
                Kind::Server(true) => "sighup",
                _ => "user",
            },
            source: self.source(known.name),
        }
    }
    fn describe_custom(&self, name: &str) -> Described {
        Described {
            name: name.to_string(),
            value: self.get(name).to_string(),
            built_in: String::new(),
            reset: self.session_defaults.get(name).cloned().unwrap_or_default(),
            kind: "string",
            category: facts::of(name).category,
            description: "",
            unit: None,
            min: None,
            max: None,
            words: None,
            context: "user",
            source: self.source(name),
        }
    }
    fn source(&self, name: &str) -> &'static str {
        match (self.values.contains_key(name), self.session_defaults.contains_key(name)) {
            (true, _) => "session",
            (false, true) if find(name).is_some_and(|known| matches!(known.kind, Kind::Server(_))) => "command line",
            (false, true) => "client",
            (false, false) => "default",
        }
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
        let (name, value) = match values {
            Some(values) => {
                let (name, value) = self.checked(name, |_| values.to_vec(), &values.join(", "))?;
                (name, Some(value))
            }
            None => self.default_of(name)?,
        };
        self.put_in_block(&name, value, local);
        Ok(())
    }
    /// `set_config`: a list comes as one text, and NULL is the default.
    pub fn assign(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<()> {
        let Some(value) = value else { return self.set(name, None, local) };
        let (name, value) = self.checked(name, |known| split_list(known, value), value)?;
        self.put_in_block(&name, Some(value), local);
        Ok(())
    }
    fn default_of(&self, name: &str) -> Result<(String, Option<String>)> {
        let Some(known) = find(name) else {
            let name = self.custom_name(name)?;
            // A name of one's own goes on to exist.
            let value = if self.session_defaults.contains_key(&name) { None } else { Some(String::new()) };
            return Ok((name, value));
        };
        match known.kind {
            Kind::ReadOnly | Kind::Server(_) => Err(cannot_change(known)),
            _ => Ok((known.name.to_string(), None)),
        }
    }
    fn put_in_block(&mut self, name: &str, value: Option<String>, local: bool) {
        if local {
            let before = self.values.get(name).cloned();
            self.before_local.entry(name.to_string()).or_insert(before);
        } else {
            self.before_local.remove(name);
        }
        self.put(name, value);
    }
    /// Sets what only the server itself sets: who the session is. `None` goes back to who came in.
    pub(super) fn set_own(&mut self, name: &'static str, value: Option<String>, local: bool) {
        self.put_in_block(name, value, local);
    }
    /// What a role has as its default, unless the client asks for something else.
    pub(super) fn set_default(&mut self, name: &str, values: &[String]) -> Result<()> {
        let (name, value) = self.checked(name, |_| values.to_vec(), &values.join(", "))?;
        self.session_defaults.insert(name, value);
        Ok(())
    }
    /// RESET ALL.
    pub fn reset_all(&mut self) {
        let stays = |name: &str| name.starts_with("transaction_") || OWN.contains(&name);
        let set: Vec<String> = self.values.keys().filter(|name| !stays(name)).cloned().collect();
        for name in set {
            let custom = name.contains('.') && !self.session_defaults.contains_key(&name);
            self.put(&name, custom.then(String::new));
        }
    }
    /// A block begins: what it sets is undone if it rolls back.
    pub fn begin(&mut self) {
        self.at_begin = Some(self.values.clone());
    }
    /// ROLLBACK TO SAVEPOINT: the block goes on with the settings of then.
    pub fn roll_back_to(&mut self, then: &Self) {
        let names: BTreeSet<String> = then.values.keys().chain(self.values.keys()).cloned().collect();
        names.into_iter().for_each(|name| self.put(&name, then.values.get(&name).cloned()));
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
                        None => drop(values.remove(&name)),
                    }
                }
                values
            }
        };
        self.before_local.clear();
        let names: BTreeSet<String> = target.keys().chain(self.values.keys()).cloned().collect();
        for name in names {
            let value = if name.starts_with("transaction_") { None } else { target.get(&name).cloned() };
            self.put(&name, value);
        }
    }
    /// Settings whose change clients are told of, changed since the last call.
    pub fn take_changes(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.changed).into_iter().map(|name| (name, self.shown(name))).collect()
    }
    /// `search_path` as names, `"$user"` replaced. The server's own schema is nobody's for having the same name: its views would hide tables.
    pub fn search_path(&self, user: &str) -> Vec<String> {
        let names = split_names(self.get("search_path")).unwrap_or_default().into_iter();
        let names = names.filter(|name| !name.is_empty() && (name != "$user" || user != system_views::SCHEMA));
        names.map(|name| if name == "$user" { user.to_string() } else { name }).collect()
    }
    /// A duration setting in milliseconds; `None` is off.
    pub fn milliseconds(&self, name: &str) -> Option<u64> {
        let known = find(name)?;
        facts::in_unit(&facts::of(known.name), self.get(known.name)).parse().ok().filter(|ms| *ms > 0)
    }
    /// How long things may take.
    pub fn timeouts(&self) -> Timeouts {
        let limit = |name| self.milliseconds(name).map(Duration::from_millis);
        Timeouts {
            statement: limit("statement_timeout"),
            idle_in_transaction: limit("idle_in_transaction_session_timeout"),
            idle_session: limit("idle_session_timeout"),
        }
    }
    /// A switch.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == "on"
    }

    fn put(&mut self, name: &str, value: Option<String>) {
        let before = self.get(name).to_string();
        match value {
            Some(value) => drop(self.values.insert(name.to_string(), value)),
            None => drop(self.values.remove(name)),
        }
        if self.get(name) != before
            && let Some(known) = KNOWN.iter().find(|known| known.name == name && known.reported)
        {
            self.changed.insert(known.name);
        }
    }
}

/// `pg_settings`' type, unit and range of a kind.
/// A setting's name as SHOW ALL writes it; 42704 if there is none.
pub fn full_name(name: &str) -> Result<&'static str> {
    find(name).map(|known| known.name).ok_or_else(|| unrecognized(name))
}

fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().copied().find(|known| known.name.eq_ignore_ascii_case(name))
}

fn unrecognized(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
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
        for known in KNOWN.iter().filter(|k| !matches!(k.kind, Kind::ReadOnly | Kind::Server(_))) {
            assert_eq!(normalize(known, &split_list(known, known.default), "").unwrap(), known.default, "{}", known.name);
        }
    }

    #[test]
    fn values_are_checked() {
        let mut s = settings();
        assert_eq!(set(&mut s, "timezone", "europe/berlin").unwrap(), "Europe/Berlin");
        assert_eq!((set(&mut s, "TimeZone", "-7").unwrap().as_str(), s.get("TimeZone")), ("<-07>+07", "-07:00"));
        assert_eq!(set(&mut s, "TimeZone", "<-03:30>+03:30").unwrap(), "<-03:30>+03:30");
        assert_eq!(state_of(set(&mut s, "timezone", "Mars/Olympus")), "22023");
        assert_eq!(set(&mut s, "datestyle", "iso, dmy").unwrap(), "ISO, DMY");
        assert_eq!(set(&mut s, "datestyle", "german").unwrap(), "German, DMY");
        assert_eq!(set(&mut s, "datestyle", "postgres, ymd").unwrap(), "Postgres, YMD");
        assert_eq!(state_of(set(&mut s, "datestyle", "iso, german")), "22023");
        assert_eq!(set(&mut s, "client_encoding", "utf-8").unwrap(), "UTF8");
        assert_eq!(state_of(set(&mut s, "client_encoding", "LATIN1")), "22023");
        assert_eq!(set(&mut s, "client_encoding", "sql_ascii").unwrap(), "SQL_ASCII");
        assert_eq!(set(&mut s, "statement_timeout", "5000").unwrap(), "5s");
        assert_eq!(s.milliseconds("statement_timeout"), Some(5000));
        assert_eq!(state_of(set(&mut s, "statement_timeout", "soon")), "22023");
        assert_eq!(state_of(set(&mut s, "extra_float_digits", "4")), "22023");
        assert_eq!(state_of(set(&mut s, "standard_conforming_strings", "off")), "0A000");
        assert_eq!(set(&mut s, "work_mem", "1024").unwrap(), "1MB");
        assert_eq!(set(&mut s, "work_mem", "1.5GB").unwrap(), "1536MB");
        assert_eq!(set(&mut s, "effective_cache_size", "65536").unwrap(), "512MB");
        assert_eq!(set(&mut s, "seq_page_cost", "1.50").unwrap(), "1.5");
        assert_eq!(set(&mut s, "client_min_messages", "debug").unwrap(), "debug2");
        assert_eq!(set(&mut s, "synchronous_commit", "false").unwrap(), "off");
        assert_eq!(set(&mut s, "enable_seqscan", "tr").unwrap(), "on");
        assert_eq!(state_of(set(&mut s, "max_connections", "1")), "55P02");
        assert_eq!(set(&mut s, "standard_conforming_strings", "true").unwrap(), "on");
        assert_eq!(state_of(set(&mut s, "server_version", "99")), "55P02");
        let error = s.set("no_such", Some(&["1".into()]), false).unwrap_err();
        assert_eq!((error.state.0, &*error.message), ("42704", "unrecognized configuration parameter \"no_such\""));
    }

    #[test]
    fn values_out_of_range_are_told_as_postgres_does() {
        let table = [
            ("work_mem", "1", "1 kB is outside the valid range for parameter \"work_mem\" (64 .. 2147483647)", None),
            (
                "work_mem",
                "64XB",
                "invalid value for parameter \"work_mem\": \"64XB\"",
                Some("Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\"."),
            ),
            ("seq_page_cost", "-1", "-1 is outside the valid range for parameter \"seq_page_cost\" (0 .. 1.79769e+308)", None),
            (
                "statement_timeout",
                "3000000000",
                "invalid value for parameter \"statement_timeout\": \"3000000000\"",
                Some("Value exceeds integer range."),
            ),
            ("enable_seqscan", "maybe", "parameter \"enable_seqscan\" requires a Boolean value", None),
            ("bytea_output", "foo", "invalid value for parameter \"bytea_output\": \"foo\"", Some("Available values: escape, hex.")),
            ("port", "1", "parameter \"port\" cannot be changed without restarting the server", None),
            ("autovacuum", "off", "parameter \"autovacuum\" cannot be changed now", None),
        ];
        for (name, value, message, hint) in table {
            let error = set(&mut settings(), name, value).unwrap_err();
            assert_eq!((&*error.message, error.hint.as_deref()), (message, hint));
        }
    }

    #[test]
    fn names_of_ones_own_have_a_dot() {
        let mut s = settings();
        assert_eq!(set(&mut s, "my.tenant", "x").unwrap(), "x");
        s.set("My.Tenant", None, false).unwrap();
        assert_eq!(s.show("my.tenant").unwrap().1, "");
        assert_eq!(s.show("my.other").unwrap_err().state.0, "42704");
        assert_eq!(state_of(set(&mut s, "a.1", "x")), "42602");
        assert!(s.described().any(|setting| setting.name == "my.tenant"));
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
