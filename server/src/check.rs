//! `plimsoll check`: is everything in a data folder what was written?
//!
//! 1. The placement log: redb's own integrity check, then recovery to the last committed command.
//! 2. The catalog: every object can be read.
//! 3. The units: every segment that the log names is there, whole, and every checksum right; inlined rows and delete bitmaps decode.

use crate::catalog::columns::storage_columns;
use crate::catalog::{Catalog, Relation};
use crate::engine::{FolderLock, PLACEMENT_FOLDER, SEGMENTS_FOLDER};
use placement::{PlacementError, State, UnitSource};
use std::path::Path;
use std::process::ExitCode;
use storage::SegmentId;
use storage::directory::disk::DiskDirectory;
use storage::scrub::Finding;

/// Checks a data folder and prints what it finds. Exit status: 0 clean, 1 something is wrong, 2 the check could not be made.
pub fn run(data_dir: &Path) -> ExitCode {
    match check(data_dir) {
        Err(message) => {
            eprintln!("plimsoll: {message}");
            ExitCode::from(2)
        }
        Ok(report) if report.findings.is_empty() => {
            println!("clean: {} tables, {} segments, {} bytes verified", report.tables, report.segments, report.bytes);
            ExitCode::SUCCESS
        }
        Ok(report) => {
            for finding in &report.findings {
                println!("{}: {}", finding.file, finding.problem);
            }
            println!("{} problems in {} tables, {} segments", report.findings.len(), report.tables, report.segments);
            ExitCode::FAILURE
        }
    }
}

struct Report {
    tables: usize,
    segments: usize,
    bytes: u64,
    findings: Vec<Finding>,
}

fn check(data_dir: &Path) -> Result<Report, String> {
    if !data_dir.is_dir() {
        return Err(format!("\"{}\" is not a data folder", data_dir.display()));
    }
    let _lock = FolderLock::take(data_dir).map_err(|e| e.to_string())?;
    let state = match inspect(data_dir)? {
        Ok(state) => state,
        Err(error) => return Ok(Report { tables: 0, segments: 0, bytes: 0, findings: vec![finding("placement log", error)] }),
    };
    let mut findings = check_rows_in_the_log(&state);
    let manifest = manifest(&state);
    let directory = DiskDirectory::open(data_dir.join(SEGMENTS_FOLDER)).map_err(|e| e.to_string())?;
    let progress = crate::tpch::progress_bar(manifest.iter().map(|&(_, rows)| rows).sum(), "rows checked");
    let mut bytes = 0;
    findings.extend(storage::scrub::scrub(&directory, &manifest, &mut |done| {
        bytes += done;
        progress.set_message(format!("{} MiB", bytes >> 20));
    }));
    progress.finish_and_clear();
    Ok(Report { tables: state.tables.size(), segments: manifest.len(), bytes, findings })
}

/// Recovers the state from the log; the inner error is damage, the outer one is that nothing could be looked at.
fn inspect(data_dir: &Path) -> Result<Result<State, PlacementError>, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|e| format!("could not start threads: {e}"))?;
    Ok(runtime.block_on(placement::raft::inspect(&data_dir.join(PLACEMENT_FOLDER))))
}

fn manifest(state: &State) -> Vec<(SegmentId, u64)> {
    let units = state.tables.values().flat_map(|table| table.units.values());
    units.filter(|unit| matches!(unit.source, UnitSource::Segment { .. })).map(|unit| (SegmentId(unit.id.0), unit.rows)).collect()
}

/// The catalog, inlined rows and delete bitmaps: what the log holds itself.
fn check_rows_in_the_log(state: &State) -> Vec<Finding> {
    let catalog = match Catalog::from_state(state) {
        Ok(catalog) => catalog,
        Err(error) => return vec![finding("catalog", error)],
    };
    let mut findings = Vec::new();
    for ((schema, name), entry) in &catalog.relations {
        let Relation::Table(definition) = entry.definition.as_ref() else { continue };
        let Some(table) = state.tables.get(&placement::TableId(definition.oid.into())) else { continue };
        let columns = match storage_columns(definition) {
            Ok(columns) => columns,
            Err(error) => {
                findings.push(finding(&format!("table {schema}.{name}"), error));
                continue;
            }
        };
        for unit in table.units.values() {
            let place = format!("table {schema}.{name}, unit {:016x}", unit.id.0);
            if let Some((bytes, _)) = &unit.deletes
                && let Err(error) = storage::Deletes::from_bytes(bytes)
            {
                findings.push(finding(&place, error));
            }
            if let UnitSource::Inline(bytes) = &unit.source
                && let Err(error) = storage::inline::decode(bytes, &columns)
            {
                findings.push(finding(&place, error));
            }
        }
    }
    findings
}

fn finding(place: &str, problem: impl std::fmt::Display) -> Finding {
    Finding { file: place.to_string(), column: None, problem: problem.to_string() }
}
