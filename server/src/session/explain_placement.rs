//! `EXPLAIN [VERBOSE] PLACEMENT [FOR [TABLE] name | FOR SEGMENT 'id']`: why segments are where they are, and what comes next.
//!
//! Rows of text, as EXPLAIN gives: what each node carries, which resource binds, what the next round would do, and what no round can. Of a
//! table or segment: each node, and what rules it out or what it would cost. VERBOSE names the settings that decide nothing at present.
//! docs/placement.md says how to read it.

use super::dispatch::read_context;
use super::grammar::{Grammar, Read};
use super::{Outcome, Session};
use crate::access::acl;
use crate::agent::Look;
use crate::catalog::lookup::Found;
use crate::catalog::names::QualifiedName;
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::ObjectName;
use placement::explain;
use placement::{TableId, UnitId};
use std::fmt::Write;
use std::sync::Arc;

/// The statement.
#[derive(Clone, Debug)]
pub struct ExplainPlacement {
    about: About,
    verbose: bool,
}

#[derive(Clone, Debug)]
enum About {
    Cluster,
    Table(ObjectName),
    Segment(String),
}

/// Reads the statement; `None`, and nothing consumed, if it is another.
pub(super) fn read(grammar: &mut Grammar<'_>) -> Read<Option<ExplainPlacement>> {
    let verbose = grammar.accept("EXPLAIN VERBOSE PLACEMENT");
    if !verbose && !grammar.accept("EXPLAIN PLACEMENT") {
        return Ok(None);
    }
    let about = if grammar.accept("FOR SEGMENT") {
        About::Segment(grammar.parser.parse_literal_string()?)
    } else if grammar.accept("FOR") {
        grammar.accept("TABLE");
        About::Table(grammar.object_name()?)
    } else {
        About::Cluster
    };
    Ok(Some(ExplainPlacement { about, verbose }))
}

/// The one column.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8View, false)]))
}

/// Explains, on the snapshot of the statement.
pub(super) fn run(session: &mut Session, explained: &ExplainPlacement) -> Result<Outcome> {
    let context = read_context(session)?;
    let look = Look::at(&context.view.snapshot.state);
    let mut text = match &explained.about {
        About::Cluster => cluster(&look),
        About::Table(name) => table(&context, &look, name)?,
        About::Segment(id) => segment(&context, &look, id)?,
    };
    if explained.verbose {
        let inert = explain::inert_settings(&look.question());
        let _ = writeln!(text, "settings that decide nothing at present: {}", inert.join(", "));
    }
    let lines: ArrayRef = Arc::new(StringViewArray::from_iter_values(text.lines()));
    let batch = RecordBatch::try_new(schema(), vec![lines])?;
    let batches = Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter([Ok(batch)])));
    Ok(Outcome::Rows { schema: schema(), batches, tag: "EXPLAIN", tag_rows: false })
}

fn cluster(look: &Look) -> String {
    let mut text = explain::cluster(&look.question()).to_string();
    for node in explain::nodes(&look.question()) {
        let _ = writeln!(text, "{node}");
    }
    text
}

fn table(context: &QueryContext, look: &Look, name: &ObjectName) -> Result<String> {
    let name = QualifiedName::from_ast(name, &context.database)?;
    let found = context.view.catalog.require(&name, &context.search_path)?;
    let oid = found.table()?.oid;
    require_select(context, &found)?;
    let explained = explain::table(&look.question(), TableId(u64::from(oid))).to_string();
    Ok(named(&explained, &format!("table {oid}"), &found))
}

fn segment(context: &QueryContext, look: &Look, id: &str) -> Result<String> {
    let unknown = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("segment \"{id}\" does not exist"));
    let unit = Some(id).filter(|id| id.len() == 16).and_then(|id| u64::from_str_radix(id, 16).ok()).ok_or_else(|| {
        let error = SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid segment id: \"{id}\""));
        error.with_hint("plimsoll.segments lists the ids of segments.")
    })?;
    let explained = explain::segment(&look.question(), UnitId(unit)).ok_or_else(unknown)?;
    let oid = u32::try_from(explained.table.0).map_err(|_| unknown())?;
    let found = context.view.catalog.by_oid(oid).ok_or_else(unknown)?;
    require_select(context, &found)?;
    let text = explained.to_string().replacen(&format!("segment {unit}"), &format!("segment {id}"), 1);
    Ok(named(&text, &format!("table {oid}"), &found))
}

/// The table's name, for its number.
fn named(text: &str, number: &str, found: &Found<'_>) -> String {
    text.replacen(number, &format!("table {}", found.quoted()), 1)
}

fn require_select(context: &QueryContext, found: &Found<'_>) -> Result<()> {
    context.rights().require_on_schema(found.schema, acl::USAGE)?;
    context.rights().require_on(found, acl::SELECT)
}
