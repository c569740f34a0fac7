//! CREATE TABLE: columns, constraints, owned sequences.

use super::decision::{Change, Check, Decision, Ids, Scope, notice, relation_exists};
use super::{column_types, constraints, expressions, foreign_keys, generated, indexes, like, sequences, storage_parameters};
use crate::catalog::names::fold;
use crate::catalog::{ColumnDefinition, Constraint, Identity, OnCommit, Relation, TableDefinition, system_columns, temporary};
use crate::error::{Result, SqlError, SqlState};
use crate::query::table::{ROW_COLUMN, SEGMENT_COLUMN};
use crate::session::clauses;
use crate::session::grammar::SequenceOption;
use crate::types::{SqlType, UNCONSTRAINED};
use datafusion::sql::sqlparser::ast::{
    self, ColumnDef, ColumnOption, CreateTable, CreateTableOptions, DataType, Expr, GeneratedAs, TableConstraint, WrappedCollection,
};
use storage::ColumnId;

/// A table's columns at most, as in PostgreSQL.
pub const COLUMNS_MAX: usize = 1600;

/// Names that this server keeps for columns of its own, as PostgreSQL keeps those of its system columns.
const HIDDEN_COLUMNS: [&str; 2] = [SEGMENT_COLUMN, ROW_COLUMN];

/// A column read from its definition, with what belongs to it.
pub struct NewColumn {
    /// The column.
    pub column: ColumnDefinition,
    /// Its constraints, in the order written.
    pub constraints: Vec<TableConstraint>,
    /// Options of the sequence that it owns.
    pub sequence: Option<Vec<SequenceOption>>,
    /// Unique indexes that come with it: those of the table that LIKE names.
    pub indexes: Vec<ast::CreateIndex>,
}

/// CREATE TABLE with a list of columns.
pub fn create(scope: Scope<'_>, ids: &mut Ids, create: &CreateTable) -> Result<Decision> {
    let Some((schema, name)) = target(scope, create)? else {
        let text = format!("relation \"{}\" already exists, skipping", scope.name(&create.name)?.name);
        return Ok(Decision::skip(notice(SqlState::DUPLICATE_TABLE, text)));
    };
    refuse_unsupported(create)?;
    let mut columns = Vec::new();
    for definition in &create.columns {
        let id = columns.len() as u32 + 1;
        match clauses::like(definition) {
            Some(like) => columns.extend(like::columns(scope, &like, id)?),
            None => columns.push(read_column(definition, ColumnId(id))?),
        }
    }
    build(scope, ids, schema, name, columns, create)
}

/// Where a new table goes; `None` if it is there and IF NOT EXISTS says that this is fine.
pub fn target(scope: Scope<'_>, create: &CreateTable) -> Result<Option<(String, String)>> {
    let name = scope.name(&create.name)?;
    let schema = scope.creation_schema(&name, create.temporary)?;
    match scope.catalog.get(&schema, &name.name) {
        Some(_) if create.if_not_exists => Ok(None),
        Some(_) => Err(relation_exists(&name.name)),
        None => Ok(Some((schema, name.name))),
    }
}

/// A table of these columns, with the constraints and the order that the statement says.
pub fn build(
    scope: Scope<'_>,
    ids: &mut Ids,
    schema: String,
    name: String,
    columns: Vec<NewColumn>,
    create: &CreateTable,
) -> Result<Decision> {
    check_columns(&columns)?;
    if create.on_commit.is_some() && !temporary::is_temporary(&schema) {
        return Err(temporary::refused("ON COMMIT can only be used on temporary tables"));
    }
    columns.iter().try_for_each(|new| generated::check_clauses(new, &name))?;
    let mut table = TableDefinition {
        oid: ids.take()?,
        next_column_id: columns.len() as u32 + 1,
        columns: columns.iter().map(|new| new.column.clone()).collect(),
        constraints: Vec::new(),
        cluster_by: Vec::new(),
        indexes: Vec::new(),
        on_commit: on_commit(create),
    };
    // A foreign key may refer to the table's own keys.
    let keys_first = |constraint: &&TableConstraint| match constraint {
        TableConstraint::PrimaryKey(_) => 0,
        TableConstraint::ForeignKey(_) => 2,
        _ => 1,
    };
    let mut all: Vec<&TableConstraint> = columns.iter().flat_map(|new| &new.constraints).chain(&create.constraints).collect();
    all.sort_by_key(keys_first);
    for constraint in all {
        constraints::add(scope, &schema, &name, &mut table, constraint)?;
    }
    for index in columns.iter().flat_map(|new| &new.indexes) {
        indexes::add_unique(scope, (&schema, &name), &mut table, index)?;
    }
    table.cluster_by = cluster_by(&table, create.cluster_by.as_ref())?;
    let mut decision = Decision::default();
    let mut owned = Vec::new();
    for new in &columns {
        if let Some(options) = &new.sequence {
            owned.push(own_sequence(scope, ids, (&schema, &name), &mut table, new.column.id, options, &owned)?);
        }
    }
    foreign_keys::touch_parents(scope, &table, 0, &mut decision);
    decision.after = definition_checks(&schema, &name, &table);
    decision.after.extend(table.columns.iter().filter_map(|column| generated::check_of((&schema, &name), column)));
    decision.changes.extend(owned.into_iter().map(|(name, sequence)| Change::PutRelation(schema.clone(), name, sequence)));
    decision.changes.push(Change::PutRelation(schema, name, Relation::Table(table)));
    Ok(decision)
}

fn on_commit(create: &CreateTable) -> OnCommit {
    match create.on_commit {
        None | Some(ast::OnCommit::PreserveRows) => OnCommit::PreserveRows,
        Some(ast::OnCommit::DeleteRows) => OnCommit::DeleteRows,
        Some(ast::OnCommit::Drop) => OnCommit::Drop,
    }
}

/// That every default and condition of a new table can be planned.
fn definition_checks(schema: &str, name: &str, table: &TableDefinition) -> Vec<Check> {
    let defaults = table.columns.iter().filter_map(default_check);
    let conditions = table.constraints.iter().filter_map(|constraint| match constraint {
        Constraint::Check { expression, .. } => {
            Some(Check::Condition { table: (schema.to_string(), name.to_string()), constraint: None, expression: expression.clone() })
        }
        Constraint::Unique { .. } | Constraint::Foreign(_) => None,
    });
    defaults.chain(conditions).collect()
}

/// The check of a column's default, unless it is a sequence's.
pub fn default_check(column: &ColumnDefinition) -> Option<Check> {
    let expression = column.default.clone().filter(|default| expressions::nextval_argument(default).is_none())?;
    Some(Check::Default { column: column.name.clone(), sql_type: column.sql_type.clone(), expression })
}

fn check_columns(columns: &[NewColumn]) -> Result<()> {
    if columns.is_empty() {
        return Err(SqlError::unsupported("a table without columns"));
    }
    if columns.len() > COLUMNS_MAX {
        return Err(SqlError::new(SqlState("54011"), format!("tables can have at most {COLUMNS_MAX} columns")));
    }
    let mut seen = std::collections::HashSet::new();
    match columns.iter().find(|new| !seen.insert(&new.column.name)) {
        Some(twice) => Err(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{}\" specified more than once", twice.column.name))),
        None => Ok(()),
    }
}

/// The columns of CLUSTER BY.
fn cluster_by(table: &TableDefinition, exprs: Option<&WrappedCollection<Vec<Expr>>>) -> Result<Vec<ColumnId>> {
    let Some(WrappedCollection::NoWrapping(exprs) | WrappedCollection::Parentheses(exprs)) = exprs else { return Ok(Vec::new()) };
    cluster_columns(table, exprs)
}

/// The columns that CLUSTER BY names.
pub fn cluster_columns(table: &TableDefinition, exprs: &[Expr]) -> Result<Vec<ColumnId>> {
    let mut ids = Vec::new();
    for expr in exprs {
        let Expr::Identifier(ident) = expr else {
            return Err(SqlError::unsupported("CLUSTER BY of anything but columns"));
        };
        let name = fold(ident);
        let column = table
            .column(&name)
            .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" named in CLUSTER BY does not exist")))?;
        if ids.contains(&column.id) {
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" appears twice in CLUSTER BY")));
        }
        ids.push(column.id);
    }
    Ok(ids)
}

/// Makes a column's own sequence: its name and it; a serial column gets it for a default.
pub fn own_sequence(
    scope: Scope<'_>,
    ids: &mut Ids,
    (schema, table_name): (&str, &str),
    table: &mut TableDefinition,
    id: ColumnId,
    options: &[SequenceOption],
    others: &[(String, Relation)],
) -> Result<(String, Relation)> {
    let oid = table.oid;
    let column = table.columns.iter_mut().find(|column| column.id == id).ok_or_else(|| SqlError::internal("a new column is missing"))?;
    let taken =
        |name: &str| scope.catalog.get(schema, name).is_some() || others.iter().any(|(other, _)| other == name) || name == table_name;
    let name = constraints::free_name(table_name, Some(column.name.clone()), "seq", taken);
    let mut sequence = sequences::new(ids.take()?, &column.sql_type, options)?;
    sequence.owned_by = Some((oid, id));
    if column.identity.is_none() {
        column.default = Some(expressions::nextval(schema, &name));
    }
    Ok((name, Relation::Sequence(sequence)))
}

fn refuse_unsupported(create: &CreateTable) -> Result<()> {
    let options = match &create.table_options {
        CreateTableOptions::None => false,
        CreateTableOptions::With(options) => {
            storage_parameters::check(options)?;
            false
        }
        CreateTableOptions::Plain(options) => !options.is_empty(),
        CreateTableOptions::Options(_) | CreateTableOptions::TableProperties(_) => true,
    };
    for (given, what) in [
        (create.partition_by.is_some() || create.partition_of.is_some(), "PARTITION BY"),
        (create.inherits.is_some(), "INHERITS"),
        (create.like.is_some(), "CREATE TABLE ... LIKE"),
        (create.or_replace, "CREATE OR REPLACE TABLE"),
        (create.external || create.location.is_some(), "an external table"),
        (options, "a storage parameter of CREATE TABLE"),
    ] {
        if given {
            return Err(SqlError::unsupported(what));
        }
    }
    Ok(())
}

/// That columns can have a type: expressions can have more digits than a table keeps.
pub fn require_storable(sql_type: &SqlType) -> Result<()> {
    match sql_type {
        SqlType::Array(element) => require_storable(element),
        SqlType::Numeric(Some((precision, _))) if *precision > 38 => {
            Err(SqlError::unsupported(format!("a column of type {}", sql_type.name()))
                .with_hint("A column of type numeric has a precision of up to 38: declare it, or cast to it, with fewer digits."))
        }
        _ => Ok(()),
    }
}

/// 42701 for a name that a system column has.
pub fn check_column_name(name: &str) -> Result<()> {
    if !system_columns::is(name) && !HIDDEN_COLUMNS.contains(&name) {
        return Ok(());
    }
    Err(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column name \"{name}\" conflicts with a system column name")))
}

/// Reads one column.
pub fn read_column(definition: &ColumnDef, id: ColumnId) -> Result<NewColumn> {
    let name = fold(&definition.name);
    check_column_name(&name)?;
    let serial = serial_type(&definition.data_type);
    let (sql_type, digits) = match &serial {
        Some(sql_type) => (sql_type.clone(), None),
        None => column_types::read(&definition.data_type)?,
    };
    require_storable(&sql_type)?;
    if matches!(sql_type, SqlType::Oid | SqlType::Name | SqlType::Catalog(_)) {
        return Err(SqlError::unsupported(format!("a column of type {}", sql_type.name())));
    }
    let column = ColumnDefinition {
        id,
        name,
        sql_type,
        not_null: serial.is_some(),
        default: None,
        identity: None,
        missing: None,
        digits,
        generated: None,
    };
    let mut new = NewColumn { column, constraints: Vec::new(), sequence: serial.map(|_| Vec::new()), indexes: Vec::new() };
    let mut explicit_null = false;
    for option in &definition.options {
        explicit_null |= matches!(option.option, ColumnOption::Null);
        apply_option(&mut new, option.name.as_ref(), &option.option)?;
    }
    let primary = new.constraints.iter().any(|c| matches!(c, TableConstraint::PrimaryKey(_)));
    if explicit_null && (new.column.not_null || primary) {
        let message = format!("conflicting NULL/NOT NULL declarations for column \"{}\"", new.column.name);
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    Ok(new)
}

fn serial_type(data_type: &DataType) -> Option<SqlType> {
    match data_type.to_string().to_lowercase().as_str() {
        "smallserial" | "serial2" => Some(SqlType::Int2),
        "serial" | "serial4" => Some(SqlType::Int4),
        "bigserial" | "serial8" => Some(SqlType::Int8),
        _ => None,
    }
}

fn apply_option(new: &mut NewColumn, name: Option<&datafusion::sql::sqlparser::ast::Ident>, option: &ColumnOption) -> Result<()> {
    let column = &mut new.column;
    match option {
        ColumnOption::Null => {}
        ColumnOption::NotNull => column.not_null = true,
        ColumnOption::Default(_) if column.default.is_some() || new.sequence.is_some() => {
            let message = format!("multiple default values specified for column \"{}\"", column.name);
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        ColumnOption::Default(expression) => {
            expressions::check_default(expression)?;
            column.default = default_text(expression);
        }
        ColumnOption::PrimaryKey(key) => {
            let mut key = key.clone();
            key.name = key.name.or_else(|| name.cloned());
            key.columns = vec![own_name(column)];
            new.constraints.push(TableConstraint::PrimaryKey(key));
        }
        ColumnOption::Unique(unique) => {
            let mut unique = unique.clone();
            unique.name = unique.name.or_else(|| name.cloned());
            unique.columns = vec![own_name(column)];
            new.constraints.push(TableConstraint::Unique(unique));
        }
        ColumnOption::Check(check) => {
            let mut check = check.clone();
            check.name = check.name.or_else(|| name.cloned());
            new.constraints.push(TableConstraint::Check(check));
        }
        ColumnOption::ForeignKey(key) => {
            let mut key = key.clone();
            key.name = key.name.or_else(|| name.cloned());
            key.columns = vec![ast::Ident::with_quote('"', &column.name)];
            new.constraints.push(TableConstraint::ForeignKey(key));
        }
        ColumnOption::Generated { generated_as, sequence_options, generation_expr, .. } => {
            if let Some(expression) = generation_expr {
                return generated::apply(new, generated_as, expression);
            }
            apply_identity(new, generated_as, sequence_options.as_deref().unwrap_or_default())?;
        }
        // Texts are compared byte by byte: these say the same.
        ColumnOption::Collation(name)
            if name
                .0
                .last()
                .and_then(|part| part.as_ident())
                .is_some_and(|name| ["C", "POSIX", "default"].contains(&name.value.as_str())) => {}
        ColumnOption::Collation(_) => return Err(SqlError::unsupported("COLLATE").with_hint("Text is compared by its bytes.")),
        other => return Err(SqlError::unsupported(format!("column option {other}"))),
    }
    Ok(())
}

/// DEFAULT's text; NULL is no default.
pub fn default_text(expression: &Expr) -> Option<String> {
    let text = expression.to_string();
    (!text.eq_ignore_ascii_case("null")).then_some(text)
}

fn own_name(column: &ColumnDefinition) -> datafusion::sql::sqlparser::ast::IndexColumn {
    datafusion::sql::sqlparser::ast::Ident::with_quote('"', &column.name).into()
}

fn apply_identity(
    new: &mut NewColumn,
    generated: &GeneratedAs,
    options: &[datafusion::sql::sqlparser::ast::SequenceOptions],
) -> Result<()> {
    let column = &mut new.column;
    if !matches!(column.sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8) {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "identity column type must be smallint, integer, or bigint"));
    }
    if new.sequence.is_some() || column.default.is_some() {
        let message = format!("both default and identity specified for column \"{}\"", column.name);
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    column.not_null = true;
    column.identity = Some(if matches!(generated, GeneratedAs::Always) { Identity::Always } else { Identity::ByDefault });
    new.sequence = Some(sequences::options_of(options)?);
    Ok(())
}

/// Digits behind the point of a numeric without precision.
const UNCONSTRAINED_SCALE: i8 = UNCONSTRAINED.1;

/// What was computed has the digits that its values need, which says nothing of the rows that come later: as wide as a numeric without precision,
/// or wider behind the point where the values are.
fn computed((precision, scale): (u8, i8)) -> SqlType {
    SqlType::Numeric(match scale {
        _ if precision > UNCONSTRAINED.0 => Some((precision, scale)),
        ..=UNCONSTRAINED_SCALE => None,
        scale => Some((UNCONSTRAINED.0, scale)),
    })
}

/// The columns that CREATE TABLE AS makes of a query's result.
pub fn columns_of_query(
    create: &CreateTable,
    output: &arrow::datatypes::Schema,
    declared: impl Fn(usize) -> bool,
) -> Result<Vec<NewColumn>> {
    refuse_unsupported(create)?;
    if create.columns.len() > output.fields().len() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "too many column names were specified"));
    }
    let mut columns = Vec::new();
    for (at, field) in output.fields().iter().enumerate() {
        let name = create.columns.get(at).map_or_else(|| field.name().clone(), |written| fold(&written.name));
        let sql_type = match SqlType::of_field(field) {
            SqlType::Name => SqlType::Text,
            SqlType::Oid => SqlType::Int8,
            SqlType::Catalog(of_catalog) if of_catalog.arrow() == arrow::datatypes::DataType::Utf8View => SqlType::Text,
            SqlType::Catalog(of_catalog) => match of_catalog.element() {
                Some(_) => SqlType::Array(Box::new(SqlType::Int8)),
                None => SqlType::Int8,
            },
            SqlType::Numeric(Some(digits)) if !declared(at) => computed(digits),
            other => other,
        };
        if *sql_type.scalar() == SqlType::Record {
            let message = format!("column \"{name}\" has pseudo-type {}", sql_type.name());
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        require_storable(&sql_type)?;
        check_column_name(&name)?;
        let id = ColumnId(at as u32 + 1);
        let column = ColumnDefinition {
            id,
            name,
            sql_type,
            not_null: false,
            default: None,
            identity: None,
            missing: None,
            digits: None,
            generated: None,
        };
        columns.push(NewColumn { column, constraints: Vec::new(), sequence: None, indexes: Vec::new() });
    }
    Ok(columns)
}
