//! Names of result columns as PostgreSQL gives them: `count`, `?column?`, not `count(*)` or `a + Int64(1)`.
//!
//! DataFusion wants the names of a projection to be distinct, PostgreSQL does not. An unnamed item of the outermost SELECT gets its name and
//! a mark that no SQL can write; [`output_schema`] takes the mark off again. In subqueries, where others may refer to a name, an item gets
//! its plain name if that can mean nothing else.

use crate::session::declared;
use crate::types::SqlType;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Ident, ObjectName, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, Visit, VisitMut, Visitor, VisitorMut,
};
use futures::StreamExt;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Begins what is appended to a name to make it distinct.
const MARK: char = '\u{1}';

/// What a column is called that has no name.
const NAMELESS: &str = "?column?";

/// Gives the items of a query's SELECT lists their names.
pub fn name_outputs(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        name_outermost(query);
    }
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Nested);
}

struct Nested;

impl VisitorMut for Nested {
    type Break = ();
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(select) = leftmost(&mut query.body) {
            name_nested(select);
        }
        tell_branches_apart(&mut query.body);
        ControlFlow::Continue(())
    }
}

/// Nobody sees the names of a set operation's later branches: they only have to differ.
fn tell_branches_apart(body: &mut SetExpr) {
    if let SetExpr::SetOperation { left, right, .. } = body {
        tell_branches_apart(left);
        tell_branches_apart(right);
        if let SetExpr::Select(select) = right.as_mut() {
            tell_apart(select);
        }
    }
}

/// Marks what the outermost SELECT calls `name` beside a `*` that has a column of that name; answers whether there is something. Nobody can
/// refer to it there.
pub fn tell_from_star(statement: &mut Statement, name: &str) -> bool {
    let Statement::Query(query) = statement else { return false };
    let Some(select) = leftmost(&mut query.body).filter(|select| has_star(select)) else { return false };
    let mut found = false;
    for (position, item) in select.projection.iter_mut().enumerate() {
        if let SelectItem::ExprWithAlias { alias, .. } = item
            && crate::catalog::names::fold(alias) == name
        {
            *alias = marked(name, position);
            found = true;
        }
    }
    found
}

fn has_star(select: &Select) -> bool {
    select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
}

/// Marks the items that share their name with another one.
fn tell_apart(select: &mut Select) {
    let names: Vec<Option<String>> = select.projection.iter().map(item_name).collect();
    for (position, (item, name)) in select.projection.iter_mut().zip(&names).enumerate() {
        let Some(name) = name.as_ref().filter(|name| names.iter().flatten().filter(|other| other == name).count() > 1) else { continue };
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: marked(name, position) };
        }
    }
}

/// The SELECT whose list names a query's columns.
fn leftmost(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => leftmost(&mut query.body),
        SetExpr::SetOperation { left, .. } => leftmost(left),
        _ => None,
    }
}

fn name_outermost(query: &mut Query) {
    let Some(select) = leftmost(&mut query.body) else { return };
    let marked = mark(select);
    let Some(order_by) = &mut query.order_by else { return };
    if let OrderByKind::Expressions(keys) = &mut order_by.kind {
        keys.iter_mut().for_each(|key| follow(&mut key.expr, &marked));
    }
}

/// Marks the unnamed items; answers which new name an ORDER BY means by a plain one (`None`: more than one item, or somebody else).
fn mark(select: &mut Select) -> HashMap<String, Option<String>> {
    let wildcard = has_star(select);
    let mut marked = HashMap::new();
    let mut seen: Vec<Expr> = Vec::new();
    for (position, item) in select.projection.iter_mut().enumerate() {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let plain = is_column(expr);
                let same = |other: &Expr| other == expr || (is_column(other) && name_of(other) == name_of(expr));
                let twice = wildcard || seen.iter().any(same);
                seen.push(expr.clone());
                if plain && !twice {
                    marked.insert(name_of(expr), None);
                    continue;
                }
                let name = name_of(expr);
                let distinct = format!("{name}{MARK}{position}");
                // A plain column is found under its own name in any case.
                let target = (!plain && !marked.contains_key(&name)).then(|| distinct.clone());
                marked.insert(name, target);
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', distinct) };
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                marked.insert(crate::catalog::names::fold(alias), None);
            }
            _ => {}
        }
    }
    distinct_aliases(select);
    marked
}

/// `SELECT 1 AS a, 2 AS a` is allowed.
fn distinct_aliases(select: &mut Select) {
    let mut seen = std::collections::HashSet::new();
    for (position, item) in select.projection.iter_mut().enumerate() {
        let name = match &*item {
            SelectItem::ExprWithAlias { alias, .. } => crate::catalog::names::fold(alias),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => crate::catalog::names::fold(name),
            _ => continue,
        };
        if !seen.insert(name.clone())
            && let SelectItem::ExprWithAlias { alias, .. } = item
        {
            *alias = Ident::with_quote('"', format!("{name}{MARK}{position}"));
        }
    }
}

fn follow(key: &mut Expr, marked: &HashMap<String, Option<String>>) {
    if let Expr::Identifier(name) = key
        && let Some(Some(distinct)) = marked.get(&crate::catalog::names::fold(name))
    {
        *name = Ident::with_quote('"', distinct.clone());
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

fn name_nested(select: &mut Select) {
    let names: Vec<Option<String>> = select.projection.iter().map(item_name).collect();
    let taken = identifiers(select);
    let tables = tables(select);
    // Of several with one name none can be named: whoever tries is told that it could be any.
    let is_unique = |name: &String| names.iter().flatten().filter(|other| *other == name).count() == 1;
    for (position, (item, name)) in select.projection.iter_mut().zip(&names).enumerate() {
        let Some(name) = name else { continue };
        if let SelectItem::ExprWithAlias { alias, .. } = item {
            if !is_unique(name) {
                *alias = marked(name, position);
            }
            continue;
        }
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let unique = is_unique(name);
        // A column that stands there once is called what it is called.
        if unique && is_column(expr) && !is_outer(expr, &tables) {
            continue;
        }
        // A cast column keeps its name: no other part of the SELECT than HAVING looks for aliases before columns.
        let free = !taken.contains(name) || (matches!(expr, Expr::Cast { .. }) && select.having.is_none() && select.qualify.is_none());
        // The engine's own name, which is the expression's text, is never shown.
        let alias = if unique && free { Ident::with_quote('"', name.clone()) } else { marked(name, position) };
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
    }
}

/// The names of the tables in FROM; `None` if some have none.
fn tables(select: &Select) -> Option<Vec<String>> {
    let factors =
        select.from.iter().flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    let name = |factor| super::whole_rows::frames::qualifier(factor).as_ref().map(crate::catalog::names::fold);
    factors.map(name).collect()
}

/// Whether a column is one of a query around: the engine calls it by another name.
fn is_outer(expr: &Expr, tables: &Option<Vec<String>>) -> bool {
    let Some(tables) = tables else { return false };
    match expr {
        Expr::CompoundIdentifier(parts) => {
            parts.iter().rev().nth(1).is_some_and(|table| !tables.contains(&crate::catalog::names::fold(table)))
        }
        Expr::Identifier(_) => tables.is_empty(),
        _ => false,
    }
}

fn item_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(name_of(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(crate::catalog::names::fold(alias)),
        _ => None,
    }
}

/// Every identifier in a SELECT: a name among them could come to mean the new alias.
fn identifiers(select: &Select) -> std::collections::HashSet<String> {
    struct Collect(std::collections::HashSet<String>);
    impl Visitor for Collect {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(name) => drop(self.0.insert(crate::catalog::names::fold(name))),
                Expr::CompoundIdentifier(parts) => self.0.extend(parts.last().map(crate::catalog::names::fold)),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut collect = Collect(Default::default());
    let _: ControlFlow<()> = select.visit(&mut collect);
    collect.0
}

/// PostgreSQL's FigureColname.
pub fn name_of(expr: &Expr) -> String {
    figure(expr).map_or_else(|| NAMELESS.to_string(), |(name, _)| name)
}

/// The same; `None` where a query's column would have no name.
pub fn good_name_of(expr: &Expr) -> Option<String> {
    figure(expr).map(|(name, _)| name)
}

/// A name, and whether it is a good one (a cast's operand gives its name to the cast, a constant does not).
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let good = |name: &str| Some((name.to_string(), true));
    match expr {
        Expr::Identifier(name) => good(&crate::catalog::names::fold(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|name| (crate::catalog::names::fold(name), true)),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(ast::AccessExpr::Dot(field)) => figure(field),
            _ => figure(root),
        },
        typed if declared::is_typed(typed) => None,
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(function) => last_part(&function.name),
        Expr::Cast { expr, data_type, .. } => match figure(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_name(data_type), false)),
        },
        Expr::TypedString(typed) => Some((type_name(&typed.data_type), false)),
        Expr::Interval(_) => Some(("interval".into(), false)),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".into(), false)),
        },
        Expr::Subquery(query) => subquery_name(query),
        Expr::Exists { negated: false, .. } => good("exists"),
        Expr::BinaryOp { op: ast::BinaryOperator::Overlaps, .. } => good("overlaps"),
        Expr::Array(_) => good("array"),
        Expr::Tuple(_) => good("row"),
        Expr::Extract { .. } => good("extract"),
        Expr::Ceil { .. } => good("ceil"),
        Expr::Floor { .. } => good("floor"),
        Expr::Position { .. } => good("position"),
        Expr::Substring { shorthand, .. } => good(if *shorthand { "substr" } else { "substring" }),
        Expr::Overlay { .. } => good("overlay"),
        Expr::AtTimeZone { .. } => good("timezone"),
        Expr::Trim { trim_where, .. } => good(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        _ => None,
    }
}

fn last_part(name: &ObjectName) -> Option<(String, bool)> {
    name.0.last().and_then(|part| part.as_ident()).map(|name| (crate::catalog::names::fold(name), true))
}

fn subquery_name(query: &Query) -> Option<(String, bool)> {
    fn first(body: &SetExpr) -> Option<&SelectItem> {
        match body {
            SetExpr::Select(select) => select.projection.first(),
            SetExpr::Query(query) => first(&query.body),
            SetExpr::SetOperation { left, .. } => first(left),
            _ => None,
        }
    }
    match first(&query.body)? {
        SelectItem::UnnamedExpr(expr) => figure(expr),
        SelectItem::ExprWithAlias { alias, .. } => Some((crate::catalog::names::fold(alias), true)),
        _ => None,
    }
}

/// A type's name in the system catalog, which is what a cast is called.
fn type_name(data_type: &ast::DataType) -> String {
    match SqlType::from_ast(data_type) {
        // An array is called as its elements are.
        Ok(sql_type) => internal_type_name(sql_type.scalar()),
        Err(_) => match super::casts::without_precision(data_type) {
            Some((plain, ..)) => type_name(&plain),
            None => data_type.to_string().to_lowercase(),
        },
    }
}

/// `pg_type.typname`.
pub fn internal_type_name(sql_type: &SqlType) -> String {
    let name = match sql_type {
        SqlType::Boolean => "bool",
        SqlType::Int2 => "int2",
        SqlType::Int4 => "int4",
        SqlType::Int8 => "int8",
        SqlType::Float4 => "float4",
        SqlType::Float8 => "float8",
        SqlType::Numeric(_) => "numeric",
        SqlType::Text => "text",
        SqlType::Varchar(_) => "varchar",
        SqlType::Char(_) => "bpchar",
        SqlType::Bytea => "bytea",
        SqlType::Date => "date",
        SqlType::Time => "time",
        SqlType::Timestamp => "timestamp",
        SqlType::Timestamptz => "timestamptz",
        SqlType::Interval => "interval",
        SqlType::Uuid => "uuid",
        SqlType::Json => "json",
        SqlType::Jsonb => "jsonb",
        SqlType::Jsonpath => "jsonpath",
        SqlType::Oid => "oid",
        SqlType::Name => "name",
        SqlType::Catalog(of_catalog) => of_catalog.row().0.trim_matches('"'),
        SqlType::Record => "record",
        SqlType::Array(element) => return format!("_{}", internal_type_name(element)),
    };
    name.into()
}

/// A name that is shown like others, and is distinct from them.
pub fn marked(name: &str, position: usize) -> Ident {
    Ident::with_quote('"', format!("{name}{MARK}{position}"))
}

/// A name without its mark.
pub fn shown(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(name, _)| name)
}

/// Text, for instance a plan's, without the marks of the names in it.
pub fn without_marks(text: &str) -> String {
    let mut parts = text.split(MARK);
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |shown, part| shown + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// The columns as clients see them.
pub fn output_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match shown(field.name()) {
        name if name == field.name() => Arc::clone(field),
        name => Arc::new(field.as_ref().clone().with_name(name)),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// The columns of rows that are read by name: of several that share a name, none can be named.
pub fn told_apart(schema: &SchemaRef) -> SchemaRef {
    let is_shared = |name: &String| schema.fields().iter().filter(|field| field.name() == name).count() > 1;
    let fields = schema.fields().iter().enumerate().map(|(position, field)| match is_shared(field.name()) {
        true => Arc::new(field.as_ref().clone().with_name(marked(field.name(), position).value)),
        false => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// A stream with the names that clients see.
pub fn renamed(stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    if !stream.schema().fields().iter().any(|field| field.name().contains(MARK)) {
        return stream;
    }
    let schema = output_schema(&stream.schema());
    let batches = {
        let schema = Arc::clone(&schema);
        stream.map(move |batch| rename(batch?, &schema))
    };
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

fn rename(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::{parse_expression, parse_query};

    #[test]
    fn expressions_are_named_as_postgresql_names_them() {
        let cases = [
            ("a", "a"),
            ("t.A", "a"),
            ("\"A\"", "A"),
            ("count(*)", "count"),
            ("1", "?column?"),
            ("a + 1", "?column?"),
            ("-a", "?column?"),
            ("a::text", "a"),
            ("1::int", "int4"),
            ("sum(x)::numeric(10,2)", "sum"),
            ("case when a then b else c end", "c"),
            ("case when a then b end", "case"),
            ("coalesce(a, b)", "coalesce"),
            ("extract(year from d)", "extract"),
            ("(select max(x) from t)", "max"),
            ("exists (select 1)", "exists"),
            ("true", "?column?"),
            ("date '2020-01-01'", "date"),
            ("trim(a)", "btrim"),
            ("array[1]", "array"),
            ("a is null", "?column?"),
            ("substring(a from 1)", "substring"),
            ("substr('abc', 1)", "substr"),
            ("'{1}'::int[]", "int4"),
        ];
        for (sql, name) in cases {
            assert_eq!(name_of(&parse_expression(sql).unwrap()), name, "{sql}");
        }
    }

    fn named(sql: &str) -> String {
        let mut statement = Statement::Query(Box::new(parse_query(sql).unwrap()));
        name_outputs(&mut statement);
        statement.to_string().replace(MARK, "#")
    }

    #[test]
    fn order_by_follows_a_name_that_was_marked() {
        assert_eq!(
            named("select k, count(*) from t group by k order by count desc"),
            "SELECT k, count(*) AS \"count#1\" FROM t GROUP BY k ORDER BY \"count#1\" DESC"
        );
        // The column of that name is in the list itself: it is what ORDER BY means.
        assert_eq!(named("select count(*), count from t order by count"), "SELECT count(*) AS \"count#0\", count FROM t ORDER BY count");
    }

    #[test]
    fn duplicates_are_kept_apart() {
        assert_eq!(named("select a, a, *, 1 as x, 2 as x from t").matches('#').count(), 3);
        assert_eq!(named("select a, a from t"), "SELECT a, a AS \"a#1\" FROM t");
        assert_eq!(without_marks("a\u{1}12, b\u{1}3]"), "a, b]");
    }

    #[test]
    fn names_in_subqueries_can_be_referred_to() {
        assert_eq!(named("select count from (select count(*) from t) s"), "SELECT count FROM (SELECT count(*) AS \"count\" FROM t) s");
        assert_eq!(named("select a from (select t.a::int from t) s"), "SELECT a FROM (SELECT t.a::INT AS \"a\" FROM t) s");
        // `sum` is a column here, which the alias would hide.
        assert_eq!(named("select 1 as a from (select sum(sum) from t) s"), "SELECT 1 AS a FROM (SELECT sum(sum) AS \"sum#0\" FROM t) s");
        assert_eq!(named("select * from (select 1) s"), "SELECT * FROM (SELECT 1 AS \"?column?\") s");
        assert_eq!(named("select * from (select 1, 2) s"), "SELECT * FROM (SELECT 1 AS \"?column?#0\", 2 AS \"?column?#1\") s");
    }
}
