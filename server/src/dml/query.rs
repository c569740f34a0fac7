//! Syntax trees of the queries that statements stand for.

use crate::catalog::ColumnDefinition;
use crate::error::{Result, SqlError};
use crate::ingest::Target;
use crate::query::table::{ROW_COLUMN, SEGMENT_COLUMN};
use crate::query::{casts, relation, rows_of};
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TableAlias, TableFactor, TableWithJoins, Value, WildcardAdditionalOptions, With,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// `WITH ... SELECT items FROM from WHERE selection`.
pub(super) fn select(with: Option<&With>, items: Vec<SelectItem>, from: Vec<TableWithJoins>, selection: Option<Expr>) -> Result<Statement> {
    let mut query = template()?;
    let SetExpr::Select(select) = &mut *query.body else { return Err(SqlError::internal("a select was expected")) };
    let select: &mut Select = select;
    select.projection = items;
    select.from = from;
    select.selection = selection;
    query.with = with.cloned();
    Ok(Statement::Query(query))
}

/// `SELECT * FROM factor`.
pub(crate) fn select_all(relation: TableFactor) -> Result<Query> {
    let items = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    match select(None, items, vec![TableWithJoins { relation, joins: Vec::new() }], None)? {
        Statement::Query(query) => Ok(*query),
        _ => Err(SqlError::internal("a query was expected")),
    }
}

fn template() -> Result<Box<Query>> {
    match Parser::parse_sql(&PostgreSqlDialect {}, "SELECT 1")?.pop() {
        Some(Statement::Query(query)) => Ok(query),
        _ => Err(SqlError::internal("a query was expected")),
    }
}

/// The target with its hidden columns, under the name that the statement's expressions use.
pub(super) fn rows_table(target: &Target, alias: &Ident) -> TableWithJoins {
    table(rows_of(&target.schema, &target.name), alias)
}

/// The target as it is.
pub(super) fn plain_table(target: &Target, alias: &Ident) -> TableWithJoins {
    let parts = [&target.schema, &target.name].map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', part.as_str())));
    table(ObjectName(parts.into()), alias)
}

fn table(name: ObjectName, alias: &Ident) -> TableWithJoins {
    let alias = TableAlias { explicit: true, name: alias.clone(), columns: Vec::new(), at: None };
    TableWithJoins { relation: relation(name, Some(alias)), joins: Vec::new() }
}

/// The name under which expressions refer to the target.
pub(super) fn alias_of(target: &Target, alias: Option<Ident>) -> Ident {
    alias.unwrap_or_else(|| Ident::with_quote('"', target.name.as_str()))
}

/// The items that name a row.
pub(super) fn row_id_items(alias: &Ident) -> Vec<SelectItem> {
    [SEGMENT_COLUMN, ROW_COLUMN].map(|name| named(column(alias, name), name.to_string())).into()
}

/// The old values of columns that foreign keys refer to.
pub(super) fn old_key_items(target: &Target, alias: &Ident, positions: &[usize]) -> Vec<SelectItem> {
    let item = |position: &usize| named(column(alias, &target.definition.columns[*position].name), format!("k{position}"));
    positions.iter().map(item).collect()
}

/// A column of the target.
pub(super) fn column(alias: &Ident, name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![alias.clone(), Ident::with_quote('"', name)])
}

/// `expression AS "name"`.
pub(super) fn named(expr: Expr, name: String) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
}

/// `*` of each table in a FROM list, so that RETURNING can refer to them.
pub(super) fn wildcards(from: &[TableWithJoins]) -> Result<Vec<SelectItem>> {
    let factors = from.iter().flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    factors.map(wildcard).collect()
}

fn wildcard(factor: &TableFactor) -> Result<SelectItem> {
    let name = match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            ObjectName::from(alias.name.clone())
        }
        TableFactor::Table { name, alias: None, .. } => name.clone(),
        _ => return Err(SqlError::unsupported("RETURNING with this kind of FROM item")),
    };
    Ok(SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), WildcardAdditionalOptions::default()))
}

/// Whether an expression is a literal without a type of its own.
pub(super) fn is_untyped(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::Null | Value::DollarQuotedString(_)
        | Value::EscapedStringLiteral(_) | Value::UnicodeStringLiteral(_)))
}

/// The keyword DEFAULT where an expression stands.
pub(super) fn is_default(expression: &Expr) -> bool {
    matches!(expression, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

/// A parameter gets the column's type, as nothing else says what it is.
pub(super) fn typed_parameter(expression: &Expr, column: &ColumnDefinition) -> Expr {
    match (expression, cast_type(&column.sql_type)) {
        (Expr::Value(value), Some(data_type)) if matches!(value.value, Value::Placeholder(_)) => cast(expression.clone(), data_type),
        _ => expression.clone(),
    }
}

/// A value among others of its column, each cast as an assignment casts, so that all have one type.
pub(super) fn assigned(expression: &Expr, column: &ColumnDefinition) -> Expr {
    casts::assigned(typed_parameter(expression, column), &column.sql_type, &column.name)
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expression), data_type, array: false, format: None }
}

/// The type to cast to; lengths of strings are left to the assignment, which checks them rather than cut.
fn cast_type(sql_type: &SqlType) -> Option<DataType> {
    let name = match sql_type {
        SqlType::Varchar(_) | SqlType::Char(_) => "text".to_string(),
        SqlType::Array(_) | SqlType::Oid | SqlType::Name | SqlType::Catalog(_) => return None,
        other => other.name(),
    };
    Parser::new(&PostgreSqlDialect {}).try_with_sql(&name).ok()?.parse_data_type().ok()
}
