//! Every setting: its name, default and unit; and how they are resolved: defaults, then the file, the environment, the flags.

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Deserializer, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// As `scram`; but as long as the superuser's password is the generated one, the user that the server runs as needs none on loopback.
    Peer,
    /// SCRAM-SHA-256 passwords.
    Scram,
    /// Whoever reaches the server is let in; loopback addresses only.
    Trust,
}

/// Settings of a server. Each stands in docs/settings.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the data is.
    pub data_dir: PathBuf,
    /// Where PostgreSQL clients connect.
    pub listen: SocketAddr,
    /// How clients prove who they are, where `access_rules_file` does not say.
    pub auth: Auth,
    /// Rules of access in the form of `pg_hba.conf`; `None`: `auth` for everybody.
    pub access_rules_file: Option<PathBuf>,
    /// The server's certificate, with those that sign it (PEM); `None`: no encryption.
    pub tls_cert_file: Option<PathBuf>,
    /// The certificate's private key (PEM).
    pub tls_key_file: Option<PathBuf>,
    /// Memory for queries, ingest and buffers, in bytes (written `auto`, `8GiB`, or a number of bytes); `None`: four fifths of what the
    /// machine or its cgroup has.
    #[serde(rename = "memory_limit", deserialize_with = "memory_limit")]
    pub memory_limit_bytes: Option<u64>,
    /// Where queries spill; `None`: `tmp` in the data folder.
    pub temp_dir: Option<PathBuf>,
    /// Connections at once.
    pub connections_max: usize,
    /// Threads that run queries; 0: one per core.
    pub query_threads: usize,
    /// Rows of a segment are written when they take this much memory, in bytes.
    pub segment_bytes_max: usize,
    /// Plans of prepared statements kept at once, of all sessions together; 0: none.
    pub plan_cache_entries_max: usize,
    /// Segments kept mapped at once.
    pub open_segments_max: usize,
    /// Whether compaction runs in the background.
    pub compaction: bool,
    /// How fast compaction reads, at most, in bytes a second; 0: no bound.
    pub compaction_bytes_per_second_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "plimsoll-data".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 5432)),
            auth: Auth::Peer,
            access_rules_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            memory_limit_bytes: None,
            temp_dir: None,
            connections_max: 512,
            query_threads: 0,
            segment_bytes_max: 64 << 20,
            plan_cache_entries_max: 256,
            open_segments_max: 16_384,
            compaction: true,
            compaction_bytes_per_second_max: 64 << 20,
        }
    }
}

/// What the command line says; `None` where it is silent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overrides {
    /// See [`Config::data_dir`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// See [`Config::listen`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// See [`Config::auth`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// See [`Config::memory_limit_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<String>,
    /// See [`Config::temp_dir`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_dir: Option<PathBuf>,
}

impl Config {
    /// Resolves the settings; the error says which setting, from where, is wrong.
    pub fn resolve(file: Option<&Path>, overrides: Overrides) -> Result<Self, String> {
        let mut sources = Figment::from(Serialized::defaults(Config::default()));
        if let Some(file) = file {
            std::fs::metadata(file).map_err(|e| format!("could not read configuration file \"{}\": {e}", file.display()))?;
            sources = sources.merge(Toml::file_exact(file));
        }
        let config: Config = sources
            .merge(Env::prefixed("PLIMSOLL_").filter(|name| !is_elsewhere(name.as_str())))
            .merge(Serialized::defaults(overrides))
            .extract()
            .map_err(|e| format!("invalid configuration: {e}"))?;
        config.validated()
    }

    fn validated(self) -> Result<Self, String> {
        if self.auth == Auth::Trust && !self.listen.ip().is_loopback() {
            return Err(format!(
                "refusing to listen on {} with --auth trust: it lets everybody in, so only loopback addresses (127.0.0.1, [::1]) are \
                 allowed\nhint: leave --auth trust away, and connect with a password",
                self.listen
            ));
        }
        if self.tls_cert_file.is_some() != self.tls_key_file.is_some() {
            return Err("tls_cert_file and tls_key_file must be set together".to_string());
        }
        if self.segment_bytes_max < 1 << 20 {
            return Err(format!("segment_bytes_max is {}, less than the smallest useful value of 1048576 (1 MiB)", self.segment_bytes_max));
        }
        if self.memory_limit_bytes.is_some_and(|bytes| bytes < 64 << 20) {
            return Err("memory_limit is less than 64MiB, the least that a server works with".to_string());
        }
        if self.connections_max == 0 || self.open_segments_max == 0 {
            return Err("connections_max and open_segments_max must be at least 1".to_string());
        }
        Ok(self)
    }
}

/// Parses `8GiB`, `512MiB`, `64KiB`, `1024B`, or a plain number of bytes. Units are powers of 1024; `GB` and the like mean the same.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(format!("\"{text}\" is not a size: write a number and B, KiB, MiB, GiB or TiB")),
    };
    let number: f64 = number.parse().map_err(|_| format!("\"{text}\" is not a size: write for instance 8GiB"))?;
    Ok((number * (1u64 << shift) as f64) as u64)
}

/// A memory limit as configured: a number of bytes, a size with a unit, or `auto`.
#[derive(Deserialize)]
#[serde(untagged)]
enum MemoryLimit {
    Bytes(u64),
    Text(String),
}

fn memory_limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Option::<MemoryLimit>::deserialize(deserializer)? {
        None => Ok(None),
        Some(MemoryLimit::Bytes(bytes)) => Ok(Some(bytes)),
        Some(MemoryLimit::Text(text)) if text.eq_ignore_ascii_case("auto") => Ok(None),
        Some(MemoryLimit::Text(text)) => parse_size(&text).map(Some).map_err(serde::de::Error::custom),
    }
}

/// Whether a variable, its prefix taken off, is somebody else's: the password's, the log's, the build's, or a longer test run's.
fn is_elsewhere(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "target_dir", "log"].contains(&name.as_str()) || name.starts_with("test_")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// CI names the clients' folders in the environment; the server took those names for settings, and refused to start.
    #[test]
    fn variables_of_the_build_and_of_tests_are_no_settings() {
        assert!(["TEST_PYTHON", "test_kills", "TARGET_DIR", "PASSWORD"].iter().all(|name| is_elsewhere(name)));
        assert!(!is_elsewhere("data_dir"));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("8GiB"), Ok(8 << 30));
        assert_eq!(parse_size("1.5 mb"), Ok(3 << 19));
        assert_eq!(parse_size("4096"), Ok(4096));
        assert!(parse_size("lots").is_err());
        assert!(parse_size("8 parsecs").is_err());
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plimsoll.toml");
        std::fs::write(&file, "memory_limit = \"2GiB\"\nconnections_max = 7\n").unwrap();
        let flags = Overrides { memory_limit: Some("1GiB".into()), ..Overrides::default() };
        let config = Config::resolve(Some(&file), flags).unwrap();
        assert_eq!(config.memory_limit_bytes, Some(1 << 30));
        assert_eq!(config.connections_max, 7);
        assert_eq!(config.listen, Config::default().listen);
    }

    #[test]
    fn a_misspelt_setting_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plimsoll.toml");
        std::fs::write(&file, "conections_max = 7\n").unwrap();
        let error = Config::resolve(Some(&file), Overrides::default()).unwrap_err();
        assert!(error.contains("conections_max"), "{error}");
    }

    #[test]
    fn only_loopback_is_trusted() {
        let flags = Overrides { listen: Some("0.0.0.0:5432".parse().unwrap()), auth: Some(Auth::Trust), ..Overrides::default() };
        assert!(Config::resolve(None, flags.clone()).unwrap_err().contains("loopback"));
        assert_eq!(Config::resolve(None, Overrides { auth: None, ..flags }).unwrap().auth, Auth::Peer);
    }
}
