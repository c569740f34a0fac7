//! CREATE TABLE (LIKE source ...): columns, and what INCLUDING says, of another table.

use super::create_table::NewColumn;
use super::decision::Scope;
use crate::access::acl;
use crate::catalog::lookup::Found;
use crate::catalog::names::quote;
use crate::catalog::pg_catalog::describe;
use crate::catalog::{ColumnDefinition, Constraint, Relation, SequenceDefinition, TableDefinition};
use crate::error::{Result, SqlError, SqlState};
use crate::session::clauses::Like;
use crate::session::grammar::SequenceOption;
use datafusion::sql::sqlparser::ast::{AlterTableOperation, CreateIndex, Statement, TableConstraint};
use storage::ColumnId;

/// What INCLUDING can name.
const KINDS: [&str; 9] =
    ["comments", "compression", "constraints", "defaults", "generated", "identity", "indexes", "statistics", "storage"];

/// The columns of LIKE, the first of them with this id.
pub fn columns(scope: Scope<'_>, like: &Like, first_id: u32) -> Result<Vec<NewColumn>> {
    let found = scope.require(&like.source)?;
    if !matches!(found.relation(), Relation::Sequence(_)) {
        scope.rights().require_on(&found, acl::SELECT)?;
    }
    let including = Including::of(like)?;
    let mut columns: Vec<NewColumn> = match found.relation() {
        Relation::Table(table) => table.columns.iter().map(|column| of_column(scope, table, column, &including)).collect(),
        Relation::View(view) => view.columns.iter().map(|(name, sql_type)| of_view(name, sql_type)).collect(),
        Relation::Sequence(_) => return Err(not_a_model(&found)),
    };
    number(&mut columns, first_id);
    if let (Relation::Table(table), Some(last)) = (found.relation(), columns.last_mut()) {
        last.constraints = constraints(table, &including)?;
        last.indexes = if including.has("indexes") { unique_indexes(table)? } else { Vec::new() };
    }
    Ok(columns)
}

/// How many sequences LIKE may need.
pub fn sequences_max(scope: Scope<'_>, like: &Like) -> usize {
    let found = scope.find(&like.source, true).ok().flatten();
    found.and_then(|found| found.relation().as_table()).map_or(0, |table| table.columns.len())
}

/// What INCLUDING and EXCLUDING come to.
struct Including(Vec<&'static str>);

impl Including {
    fn of(like: &Like) -> Result<Self> {
        let mut included = Vec::new();
        for (including, what) in &like.options {
            let kinds: Vec<&'static str> = KINDS.into_iter().filter(|kind| what == "all" || kind == what).collect();
            if kinds.is_empty() {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{what}\"")));
            }
            included.retain(|kind| !kinds.contains(kind));
            included.extend(kinds.into_iter().filter(|_| *including));
        }
        Ok(Self(included))
    }
    fn has(&self, kind: &str) -> bool {
        self.0.contains(&kind)
    }
}

fn not_a_model(found: &Found<'_>) -> SqlError {
    let message = format!("relation \"{}\" is invalid in LIKE clause", found.name);
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail("This operation is not supported for sequences.")
}

fn of_column(scope: Scope<'_>, table: &TableDefinition, column: &ColumnDefinition, including: &Including) -> NewColumn {
    let mut copy = ColumnDefinition { missing: None, ..column.clone() };
    if !including.has("defaults") {
        copy.default = None;
    }
    if !including.has("generated") {
        copy.generated = None;
    }
    let mut sequence = None;
    if copy.identity.is_some() {
        let own = scope.catalog.sequences_of(table.oid, Some(column.id)).next().map(|(_, own)| options(own));
        sequence = own.filter(|_| including.has("identity"));
        copy.identity = copy.identity.filter(|_| sequence.is_some());
    }
    NewColumn { column: copy, constraints: Vec::new(), sequence, indexes: Vec::new() }
}

fn of_view(name: &str, sql_type: &crate::types::SqlType) -> NewColumn {
    let (name, sql_type) = (name.to_string(), sql_type.clone());
    let column = ColumnDefinition {
        id: ColumnId(0),
        name,
        sql_type,
        not_null: false,
        default: None,
        identity: None,
        missing: None,
        digits: None,
        generated: None,
    };
    NewColumn { column, constraints: Vec::new(), sequence: None, indexes: Vec::new() }
}

fn number(columns: &mut [NewColumn], first_id: u32) {
    for (id, new) in (first_id..).zip(columns) {
        new.column.id = ColumnId(id);
    }
}

fn options(sequence: &SequenceDefinition) -> Vec<SequenceOption> {
    vec![
        SequenceOption::Increment(sequence.increment),
        SequenceOption::Min(Some(sequence.min)),
        SequenceOption::Max(Some(sequence.max)),
        SequenceOption::Start(sequence.start),
        SequenceOption::Cycle(sequence.cycle),
    ]
}

fn constraints(table: &TableDefinition, including: &Including) -> Result<Vec<TableConstraint>> {
    let text = |constraint: &Constraint| match constraint {
        Constraint::Check { name, expression } if including.has("constraints") => {
            Some(format!("CONSTRAINT {} CHECK ({expression})", quote(name)))
        }
        Constraint::Unique { name, .. } if including.has("indexes") && !table.is_of_index(name) => {
            Some(describe::constraint_text(table, constraint, false))
        }
        Constraint::Check { .. } | Constraint::Unique { .. } | Constraint::Foreign(_) => None,
    };
    table.constraints.iter().filter_map(text).map(|text| parse(&text)).collect()
}

/// A constraint as a statement that adds it has it.
fn parse(text: &str) -> Result<TableConstraint> {
    match &*crate::session::parse::parse(&format!("ALTER TABLE t ADD {text}"))?[0].ast {
        Statement::AlterTable(alter) => match &alter.operations[..] {
            [AlterTableOperation::AddConstraint { constraint, .. }] => Ok(constraint.clone()),
            _ => Err(SqlError::internal("a stored constraint cannot be read")),
        },
        _ => Err(SqlError::internal("a stored constraint cannot be read")),
    }
}

/// The unique indexes of a table that no constraint stands for.
fn unique_indexes(table: &TableDefinition) -> Result<Vec<CreateIndex>> {
    let indexes = table.indexes.iter().filter(|index| index.unique);
    let read = |text: String| match &*crate::session::parse::parse(&text)?[0].ast {
        Statement::CreateIndex(create) => Ok(create.clone()),
        _ => Err(SqlError::internal("a stored index cannot be read")),
    };
    indexes.map(|index| read(format!("CREATE UNIQUE INDEX ON t {}", index.definition))).collect()
}
