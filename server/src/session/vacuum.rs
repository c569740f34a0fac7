//! VACUUM: what the background work does in its own time is done now, and waited for. ANALYZE: statistics are exact already.

use super::dispatch::read_context;
use super::grammar::vacuum::Vacuum;
use super::{Notice, Outcome, Session};
use crate::catalog::lookup::Found;
use crate::catalog::names::QualifiedName;
use crate::catalog::pg_catalog::shapes;
use crate::catalog::{Catalog, Relation};
use crate::error::{Result, SqlError, SqlState};
use crate::maintenance;
use crate::query::QueryContext;
use storage::compaction::CompactionPolicy;

/// Runs VACUUM or ANALYZE.
pub(super) async fn run(session: &mut Session, vacuum: &Vacuum) -> Result<Outcome> {
    if vacuum.rewrites && (session.block.is_some() || session.implicit) {
        let message = "VACUUM cannot run inside a transaction block";
        return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
    }
    let context = read_context(session)?;
    let (tables, notices) = chosen(&context, vacuum)?;
    notices.into_iter().for_each(|notice| session.notify(notice));
    if vacuum.rewrites {
        // The snapshot would keep the files of what is rewritten.
        drop(context);
        let policy = if vacuum.full { CompactionPolicy::full() } else { CompactionPolicy::on_request() };
        maintenance::vacuum::run(&session.engine, &tables, &policy).await?;
        tables.iter().for_each(|table| session.engine.counters.vacuumed(*table));
    } else {
        tables.iter().for_each(|table| session.engine.counters.analyzed(*table));
    }
    Ok(Outcome::Done(vacuum.tag().into()))
}

impl Vacuum {
    fn tag(&self) -> &'static str {
        if self.rewrites { "VACUUM" } else { "ANALYZE" }
    }
}

/// The tables named, or all that the user may maintain; what is left out of those named comes with a warning.
fn chosen(context: &QueryContext, vacuum: &Vacuum) -> Result<(Vec<u32>, Vec<Notice>)> {
    let catalog = &context.view.catalog;
    let (mut tables, mut notices) = (Vec::new(), Vec::new());
    for found in named(context, vacuum)? {
        let verb = if vacuum.rewrites { "vacuum" } else { "analyze" };
        let oid = found.relation().oid();
        if !matches!(found.relation(), Relation::Table(_)) {
            notices.push(warning(
                SqlState::WRONG_OBJECT_TYPE,
                format!("skipping \"{}\" --- cannot {verb} non-tables or special system tables", found.name),
            ));
        } else if !context.rights().owns(oid) {
            let message = format!("permission denied to {verb} \"{}\", skipping it", found.name);
            notices.push(warning(SqlState::INSUFFICIENT_PRIVILEGE, message));
        } else {
            tables.push(oid);
        }
    }
    if vacuum.tables.is_empty() {
        tables = owned(context, catalog);
        notices.clear();
    }
    Ok((tables, notices))
}

/// The relations named. Those of the system's catalog are made as they are read: there is nothing to do for them.
fn named<'a>(context: &'a QueryContext, vacuum: &Vacuum) -> Result<Vec<Found<'a>>> {
    let find = |(name, columns): &(_, Vec<String>)| {
        let name = QualifiedName::from_ast(name, &context.database)?;
        if shapes::find(name.schema.as_deref().unwrap_or("pg_catalog"), &name.name).is_some() {
            return Ok(None);
        }
        let found = context.view.catalog.require(&name, &context.search_path)?;
        if let Relation::Table(table) = found.relation() {
            columns.iter().try_for_each(|column| table.require_column(found.name, column).map(|_| ()))?;
        }
        Ok(Some(found))
    };
    vacuum.tables.iter().map(find).filter_map(Result::transpose).collect()
}

fn owned(context: &QueryContext, catalog: &Catalog) -> Vec<u32> {
    let tables = catalog.all().filter(|found| matches!(found.relation(), Relation::Table(_)));
    tables.map(|found| found.relation().oid()).filter(|oid| context.rights().owns(*oid)).collect()
}

fn warning(state: SqlState, message: String) -> Notice {
    Notice { severity: "WARNING", error: SqlError::new(state, message) }
}
