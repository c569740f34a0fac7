//! Which crate may use which: docs/architecture.md, "The parts". A new edge is looked at here.

use crate::source_folder::crate_folder;

/// The names of a crate's dependencies, those for tests left out.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = crate_folder().join("..").join(folder).join("Cargo.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty()).map(str::to_string).collect()
}

fn assert_absent(crate_folder: &str, forbidden: &[&str]) {
    let found = dependencies(crate_folder);
    assert!(!found.is_empty());
    for name in forbidden {
        assert!(!found.iter().any(|f| f == name || f.starts_with(&format!("{name}-"))), "{crate_folder} must not depend on {name}");
    }
}

#[test]
fn storage_knows_arrow_and_files_only() {
    assert_absent("storage", &["placement", "server", "datafusion", "pgwire", "sqlparser", "tokio", "openraft", "chrono", "rand"]);
}

#[test]
fn placement_knows_neither_storage_nor_sql() {
    assert_absent("placement", &["storage", "server", "datafusion", "pgwire", "sqlparser", "arrow", "chrono", "rand"]);
}

#[test]
fn the_suites_speak_the_wire_only() {
    assert_absent("sqllogictest", &["storage", "placement", "server", "datafusion", "pgwire", "arrow"]);
}
