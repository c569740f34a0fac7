//! The settings that there are, with PostgreSQL's names, kinds and defaults.
//!
//! What PostgreSQL's planner, memory and vacuum are tuned by is accepted and shown, and has no effect here. A setting that promises
//! something which this server does not do has one value only ([`Kind::Fixed`]).

use super::values::Unit;
use std::sync::LazyLock;

/// How the values of a setting are checked and brought to their normal form.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// `on` or `off`.
    Bool,
    /// A whole number in a range, in a unit.
    Integer(i64, i64, Unit),
    /// A number in a range, in a unit.
    Real(f64, f64, Unit),
    /// One of several words.
    Word(&'static [&'static str]),
    /// Exactly what it is already; the reason stands in the hint.
    Fixed(&'static str),
    /// A list of names.
    Names,
    /// A time zone.
    TimeZone,
    /// A style, and an order of fields.
    DateStyle,
    /// UTF8 or SQL_ASCII.
    Encoding,
    /// Shown, never set.
    ReadOnly,
    /// Set for the whole server, when it starts; `true`: PostgreSQL's can be changed while it runs.
    Server(bool),
}

/// A setting.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    /// Whether clients are told of changes.
    pub(super) reported: bool,
}

pub(super) const fn known(name: &'static str, kind: Kind, default: &'static str) -> Known {
    Known { name, kind, default, reported: false }
}

const fn reported(name: &'static str, kind: Kind, default: &'static str) -> Known {
    Known { name, kind, default, reported: true }
}

const ISOLATION_LEVELS: &[&str] = &["serializable", "repeatable read", "read committed", "read uncommitted"];

/// All settings, by name. Names are as SHOW prints them; look-ups ignore case.
pub(super) static KNOWN: LazyLock<Vec<&'static Known>> = LazyLock::new(|| {
    let mut all: Vec<_> = OWN.iter().chain(super::absent::SETTINGS).collect();
    all.sort_by_key(|known| known.name.to_lowercase());
    all
});

/// Those that do something here, or that clients set.
static OWN: &[Known] = &[
    reported("application_name", Kind::Text, ""),
    known("array_nulls", Kind::Fixed("NULL in an array is always NULL."), "on"),
    known("authentication_timeout", Kind::Server(true), "1min"),
    known("autovacuum", Kind::Server(true), "on"),
    known("backend_flush_after", Kind::Integer(0, 256, Unit::Blocks), "0"),
    known("backslash_quote", Kind::Word(&["safe_encoding", "on", "off"]), "safe_encoding"),
    known("block_size", Kind::ReadOnly, "8192"),
    known("bytea_output", Kind::Word(&["escape", "hex"]), "hex"),
    known("check_function_bodies", Kind::Bool, "on"),
    known("client_connection_check_interval", Kind::Integer(0, 2_147_483_647, Unit::Milliseconds), "0"),
    reported("client_encoding", Kind::Encoding, "UTF8"),
    known(
        "client_min_messages",
        Kind::Word(&["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"]),
        "notice",
    ),
    known("cluster_name", Kind::Server(false), ""),
    known("commit_delay", Kind::Integer(0, 100_000, Unit::None), "0"),
    known("commit_siblings", Kind::Integer(0, 1000, Unit::None), "5"),
    known("compute_query_id", Kind::Word(&["auto", "regress", "on", "off"]), "auto"),
    known("constraint_exclusion", Kind::Word(&["partition", "on", "off"]), "partition"),
    known("cpu_index_tuple_cost", Kind::Real(0.0, f64::MAX, Unit::None), "0.005"),
    known("cpu_operator_cost", Kind::Real(0.0, f64::MAX, Unit::None), "0.0025"),
    known("cpu_tuple_cost", Kind::Real(0.0, f64::MAX, Unit::None), "0.01"),
    known("cursor_tuple_fraction", Kind::Real(0.0, 1.0, Unit::None), "0.1"),
    known("data_checksums", Kind::ReadOnly, "on"),
    known("data_directory", Kind::Server(false), ""),
    reported("DateStyle", Kind::DateStyle, "ISO, MDY"),
    known("deadlock_timeout", Kind::Integer(1, 2_147_483_647, Unit::Milliseconds), "1s"),
    known("debug_assertions", Kind::ReadOnly, "off"),
    known("default_statistics_target", Kind::Integer(1, 10000, Unit::None), "100"),
    known("default_table_access_method", Kind::Fixed("There is one access method."), "heap"),
    known("default_tablespace", Kind::Fixed("There are no tablespaces."), ""),
    known("default_text_search_config", Kind::Text, "pg_catalog.simple"),
    known("default_toast_compression", Kind::Word(&["pglz", "lz4"]), "pglz"),
    known("default_transaction_deferrable", Kind::Bool, "off"),
    known("default_transaction_isolation", Kind::Word(ISOLATION_LEVELS), "read committed"),
    reported("default_transaction_read_only", Kind::Bool, "off"),
    known("effective_cache_size", Kind::Integer(1, 2_147_483_647, Unit::Blocks), "4GB"),
    known("effective_io_concurrency", Kind::Integer(0, 1000, Unit::None), "1"),
    known("enable_async_append", Kind::Bool, "on"),
    known("enable_bitmapscan", Kind::Bool, "on"),
    known("enable_gathermerge", Kind::Bool, "on"),
    known("enable_hashagg", Kind::Bool, "on"),
    known("enable_hashjoin", Kind::Bool, "on"),
    known("enable_incremental_sort", Kind::Bool, "on"),
    known("enable_indexonlyscan", Kind::Bool, "on"),
    known("enable_indexscan", Kind::Bool, "on"),
    known("enable_material", Kind::Bool, "on"),
    known("enable_memoize", Kind::Bool, "on"),
    known("enable_mergejoin", Kind::Bool, "on"),
    known("enable_nestloop", Kind::Bool, "on"),
    known("enable_parallel_append", Kind::Bool, "on"),
    known("enable_parallel_hash", Kind::Bool, "on"),
    known("enable_partition_pruning", Kind::Bool, "on"),
    known("enable_partitionwise_aggregate", Kind::Bool, "off"),
    known("enable_partitionwise_join", Kind::Bool, "off"),
    known("enable_seqscan", Kind::Bool, "on"),
    known("enable_sort", Kind::Bool, "on"),
    known("enable_tidscan", Kind::Bool, "on"),
    known("escape_string_warning", Kind::Bool, "on"),
    known("extra_float_digits", Kind::Integer(-15, 3, Unit::None), "1"),
    known("force_parallel_mode", Kind::Word(&["off", "on", "regress"]), "off"),
    known("from_collapse_limit", Kind::Integer(1, 2_147_483_647, Unit::None), "8"),
    known("fsync", Kind::Server(true), "on"),
    known("full_page_writes", Kind::Server(true), "on"),
    known("geqo", Kind::Bool, "on"),
    known("geqo_effort", Kind::Integer(1, 10, Unit::None), "5"),
    known("geqo_generations", Kind::Integer(0, 2_147_483_647, Unit::None), "0"),
    known("geqo_pool_size", Kind::Integer(0, 2_147_483_647, Unit::None), "0"),
    known("geqo_seed", Kind::Real(0.0, 1.0, Unit::None), "0"),
    known("geqo_selection_bias", Kind::Real(1.5, 2.0, Unit::None), "2"),
    known("geqo_threshold", Kind::Integer(2, 2_147_483_647, Unit::None), "12"),
    known("gin_fuzzy_search_limit", Kind::Integer(0, 2_147_483_647, Unit::None), "0"),
    known("gin_pending_list_limit", Kind::Integer(64, 2_147_483_647, Unit::Kilobytes), "4MB"),
    known("hash_mem_multiplier", Kind::Real(1.0, 1000.0, Unit::None), "2"),
    known("hot_standby", Kind::Server(false), "off"),
    known("idle_in_transaction_session_timeout", Kind::Integer(0, 2_147_483_647, Unit::Milliseconds), "0"),
    known("idle_session_timeout", Kind::Integer(0, 2_147_483_647, Unit::Milliseconds), "0"),
    known("ignore_checksum_failure", Kind::Fixed("Damaged data is never read."), "off"),
    reported("in_hot_standby", Kind::ReadOnly, "off"),
    reported("integer_datetimes", Kind::ReadOnly, "on"),
    reported("IntervalStyle", Kind::Word(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]), "postgres"),
    reported("is_superuser", Kind::ReadOnly, "on"),
    known("jit", Kind::Bool, "on"),
    known("jit_above_cost", Kind::Real(-1.0, f64::MAX, Unit::None), "100000"),
    known("jit_expressions", Kind::Bool, "on"),
    known("jit_inline_above_cost", Kind::Real(-1.0, f64::MAX, Unit::None), "500000"),
    known("jit_optimize_above_cost", Kind::Real(-1.0, f64::MAX, Unit::None), "500000"),
    known("jit_tuple_deforming", Kind::Bool, "on"),
    known("join_collapse_limit", Kind::Integer(1, 2_147_483_647, Unit::None), "8"),
    known("lc_collate", Kind::ReadOnly, "C"),
    known("lc_ctype", Kind::ReadOnly, "C"),
    known("lc_messages", Kind::Text, "C"),
    known("lc_monetary", Kind::Text, "C"),
    known("lc_numeric", Kind::Text, "C"),
    known("lc_time", Kind::Text, "C"),
    known("listen_addresses", Kind::Server(false), ""),
    known("lock_timeout", Kind::Integer(0, 2_147_483_647, Unit::Milliseconds), "0"),
    known("log_duration", Kind::Fixed("See PLIMSOLL_LOG for what is logged."), "off"),
    known("log_min_duration_statement", Kind::Fixed("See PLIMSOLL_LOG for what is logged."), "-1"),
    known("log_min_messages", Kind::Fixed("See PLIMSOLL_LOG for what is logged."), "warning"),
    known("log_statement", Kind::Fixed("See PLIMSOLL_LOG for what is logged."), "none"),
    known("log_timezone", Kind::Server(true), "UTC"),
    known("logging_collector", Kind::Server(false), "off"),
    known("logical_decoding_work_mem", Kind::Integer(64, 2_147_483_647, Unit::Kilobytes), "64MB"),
    known("maintenance_io_concurrency", Kind::Integer(0, 1000, Unit::None), "10"),
    known("maintenance_work_mem", Kind::Integer(1024, 2_147_483_647, Unit::Kilobytes), "64MB"),
    known("max_connections", Kind::Server(false), "512"),
    known("max_function_args", Kind::ReadOnly, "100"),
    known("max_identifier_length", Kind::ReadOnly, "63"),
    known("max_index_keys", Kind::ReadOnly, "32"),
    known("max_locks_per_transaction", Kind::Server(false), "64"),
    known("max_parallel_maintenance_workers", Kind::Integer(0, 1024, Unit::None), "2"),
    known("max_parallel_workers", Kind::Integer(0, 1024, Unit::None), "8"),
    known("max_parallel_workers_per_gather", Kind::Integer(0, 1024, Unit::None), "2"),
    known("max_prepared_transactions", Kind::Server(false), "0"),
    known("max_replication_slots", Kind::Server(false), "0"),
    known("max_stack_depth", Kind::Integer(100, 2_147_483_647, Unit::Kilobytes), "100kB"),
    known("max_wal_senders", Kind::Server(false), "0"),
    known("max_worker_processes", Kind::Server(false), "8"),
    known("min_parallel_index_scan_size", Kind::Integer(0, 715_827_882, Unit::Blocks), "512kB"),
    known("min_parallel_table_scan_size", Kind::Integer(0, 715_827_882, Unit::Blocks), "8MB"),
    known("parallel_leader_participation", Kind::Bool, "on"),
    known("parallel_setup_cost", Kind::Real(0.0, f64::MAX, Unit::None), "1000"),
    known("parallel_tuple_cost", Kind::Real(0.0, f64::MAX, Unit::None), "0.1"),
    known("password_encryption", Kind::Fixed("Only SCRAM-SHA-256 is supported."), "scram-sha-256"),
    known("plan_cache_mode", Kind::Word(&["auto", "force_generic_plan", "force_custom_plan"]), "auto"),
    known("port", Kind::Server(false), "5432"),
    known("quote_all_identifiers", Kind::Fixed("Names are quoted where they must be."), "off"),
    known("random_page_cost", Kind::Real(0.0, f64::MAX, Unit::None), "4"),
    known("recursive_worktable_factor", Kind::Real(0.001, 1e6, Unit::None), "10"),
    known("role", Kind::ReadOnly, "none"),
    known("row_security", Kind::Bool, "on"),
    known("search_path", Kind::Names, "\"$user\", public"),
    known("seq_page_cost", Kind::Real(0.0, f64::MAX, Unit::None), "1"),
    reported("server_encoding", Kind::ReadOnly, "UTF8"),
    reported("server_version", Kind::ReadOnly, "15.0"),
    known("server_version_num", Kind::ReadOnly, "150000"),
    reported("session_authorization", Kind::ReadOnly, ""),
    known("session_replication_role", Kind::Fixed("There is no replication role."), "origin"),
    known("shared_buffers", Kind::Server(false), "128MB"),
    known("shared_preload_libraries", Kind::Server(false), ""),
    known("ssl", Kind::Server(true), "off"),
    reported("standard_conforming_strings", Kind::Fixed("Backslashes are plain characters; use E'' strings."), "on"),
    known("statement_timeout", Kind::Integer(0, 2_147_483_647, Unit::Milliseconds), "0"),
    known("stats_fetch_consistency", Kind::Word(&["none", "cache", "snapshot"]), "cache"),
    known("superuser_reserved_connections", Kind::Server(false), "0"),
    known("synchronize_seqscans", Kind::Bool, "on"),
    known("synchronous_commit", Kind::Word(&["local", "remote_write", "remote_apply", "on", "off"]), "on"),
    known("tcp_keepalives_count", Kind::Integer(0, 2_147_483_647, Unit::None), "0"),
    known("tcp_keepalives_idle", Kind::Integer(0, 2_147_483_647, Unit::Seconds), "0"),
    known("tcp_keepalives_interval", Kind::Integer(0, 2_147_483_647, Unit::Seconds), "0"),
    known("tcp_user_timeout", Kind::Integer(0, 2_147_483_647, Unit::Milliseconds), "0"),
    known("temp_buffers", Kind::Integer(100, 1_073_741_823, Unit::Blocks), "8MB"),
    known("temp_file_limit", Kind::Fixed("The size of the folder for temporary files is not limited."), "-1"),
    known("temp_tablespaces", Kind::Fixed("There are no tablespaces."), ""),
    reported("TimeZone", Kind::TimeZone, "UTC"),
    known("track_activities", Kind::Bool, "on"),
    known("track_activity_query_size", Kind::Server(false), "1kB"),
    known("track_commit_timestamp", Kind::Server(false), "off"),
    known("track_counts", Kind::Bool, "on"),
    known("track_functions", Kind::Word(&["none", "pl", "all"]), "none"),
    known("track_io_timing", Kind::Bool, "off"),
    known("track_wal_io_timing", Kind::Bool, "off"),
    known("transaction_deferrable", Kind::Bool, "off"),
    known("transaction_isolation", Kind::Word(ISOLATION_LEVELS), "read committed"),
    known("transaction_read_only", Kind::Bool, "off"),
    known("transform_null_equals", Kind::Fixed("NULL is never equal to anything."), "off"),
    known("unix_socket_directories", Kind::Server(false), ""),
    known("update_process_title", Kind::Bool, "on"),
    known("vacuum_cost_delay", Kind::Real(0.0, 100.0, Unit::Milliseconds), "0"),
    known("vacuum_cost_limit", Kind::Integer(1, 10000, Unit::None), "200"),
    known("vacuum_cost_page_dirty", Kind::Integer(0, 10000, Unit::None), "20"),
    known("vacuum_cost_page_hit", Kind::Integer(0, 10000, Unit::None), "1"),
    known("vacuum_cost_page_miss", Kind::Integer(0, 10000, Unit::None), "2"),
    known("vacuum_failsafe_age", Kind::Integer(0, 2_100_000_000, Unit::None), "1600000000"),
    known("vacuum_freeze_min_age", Kind::Integer(0, 1_000_000_000, Unit::None), "50000000"),
    known("vacuum_freeze_table_age", Kind::Integer(0, 2_000_000_000, Unit::None), "150000000"),
    known("vacuum_multixact_failsafe_age", Kind::Integer(0, 2_100_000_000, Unit::None), "1600000000"),
    known("vacuum_multixact_freeze_min_age", Kind::Integer(0, 1_000_000_000, Unit::None), "5000000"),
    known("vacuum_multixact_freeze_table_age", Kind::Integer(0, 2_000_000_000, Unit::None), "150000000"),
    known("wal_compression", Kind::Word(&["pglz", "lz4", "zstd", "on", "off"]), "off"),
    known("wal_init_zero", Kind::Bool, "on"),
    known("wal_level", Kind::Server(false), "replica"),
    known("wal_recycle", Kind::Bool, "on"),
    known("wal_sender_timeout", Kind::Integer(0, 2_147_483_647, Unit::Milliseconds), "1min"),
    known("wal_skip_threshold", Kind::Integer(0, 2_147_483_647, Unit::Kilobytes), "2MB"),
    known("work_mem", Kind::Integer(64, 2_147_483_647, Unit::Kilobytes), "4MB"),
    known("xmlbinary", Kind::Word(&["base64", "hex"]), "base64"),
    known("xmloption", Kind::Word(&["content", "document"]), "content"),
    known("zero_damaged_pages", Kind::Fixed("Damaged data is never read."), "off"),
];
