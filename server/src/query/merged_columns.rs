//! JOIN ... USING and NATURAL JOIN: the merged column.
//!
//! 1. Whoever is joined by name is planned alone, to learn its columns ([`learn`]).
//! 2. The join gets an ON; a merged column, where it is named plainly, becomes the left one, the right one (RIGHT), or the first that is not
//!    NULL (FULL); `*` becomes the merged columns, then what else the left and the right have.

use super::Scope;
use crate::catalog::names::fold;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr,
    Statement, TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut, With,
};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Columns of table factors, by their text.
type Known = HashMap<String, Vec<String>>;

/// Rewrites the joins by name of a statement.
pub async fn resolve(scope: &Scope, statement: &mut Statement) -> Result<()> {
    let mut wanted = Wanted::default();
    let _: ControlFlow<()> = Visit::visit(&*statement, &mut wanted);
    if wanted.queries.is_empty() {
        return Ok(());
    }
    let known = learn(scope, wanted.queries).await;
    match VisitMut::visit(statement, &mut Resolve { known }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The table factors beside a join by name, each as a query of its own with all that WITH defines around it.
#[derive(Default)]
struct Wanted {
    around: Vec<Option<With>>,
    queries: HashMap<String, Query>,
}

impl Visitor for Wanted {
    type Break = ();
    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.around.push(query.with.clone());
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.around.pop();
        ControlFlow::Continue(())
    }
    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.from.iter().any(joins_by_name) {
            select.from.iter().for_each(|table| self.want(table));
        }
        ControlFlow::Continue(())
    }
}

impl Wanted {
    fn want(&mut self, table: &TableWithJoins) {
        for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
            match factor {
                TableFactor::NestedJoin { table_with_joins, .. } => self.want(table_with_joins),
                factor => {
                    let query = self.all_of(factor);
                    self.queries.insert(factor.to_string(), query);
                }
            }
        }
    }

    fn all_of(&self, factor: &TableFactor) -> Query {
        let mut query = crate::session::parse::parse_query("SELECT * FROM t").expect("it is SQL");
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.from[0].relation = factor.clone();
        }
        let mut withs = self.around.iter().flatten().cloned();
        if let Some(mut with) = withs.next() {
            for inner in withs {
                with.recursive |= inner.recursive;
                with.cte_tables.extend(inner.cte_tables);
            }
            query.with = Some(with);
        }
        query
    }
}

/// What can be planned alone has columns; for what cannot (it may look sideways), there is no answer.
async fn learn(scope: &Scope, queries: HashMap<String, Query>) -> Known {
    let mut known = Known::new();
    for (text, query) in queries {
        if let Ok(plan) = scope.plan_as_it_is(Statement::Query(Box::new(query))).await {
            let names = plan.schema().fields().iter().map(|field| field.name().clone());
            known.insert(text, names.collect());
        }
    }
    known
}

fn joins_by_name(table: &TableWithJoins) -> bool {
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => joins_by_name(table_with_joins),
        _ => false,
    };
    let by_name = |join: &Join| matches!(constraint(&join.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural));
    nested(&table.relation) || table.joins.iter().any(|join| by_name(join) || nested(&join.relation))
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    match operator {
        Join(on) | Inner(on) | Left(on) | LeftOuter(on) | Right(on) | RightOuter(on) | FullOuter(on) => Some(on),
        _ => None,
    }
}

/// What a plain name means, and what `*` stands for.
#[derive(Clone)]
struct Column {
    name: String,
    value: Expr,
    merged: bool,
}

struct Resolve {
    known: Known,
}

impl VisitorMut for Resolve {
    type Break = SqlError;
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        match self.query(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Resolve {
    fn query(&self, query: &mut Query) -> Result<()> {
        let meanings = self.body(&mut query.body)?;
        if let (SetExpr::Select(select), Some(OrderByKind::Expressions(keys))) =
            (query.body.as_ref(), query.order_by.as_mut().map(|order| &mut order.kind))
        {
            let named = output_names(select);
            // A plain name is the output column of that name, if there is one.
            let keys = keys.iter_mut().filter(|key| !matches!(&key.expr, Expr::Identifier(name) if named.contains(&fold(name))));
            keys.for_each(|key| substitute(&mut key.expr, &meanings));
        }
        Ok(())
    }

    /// What plain names mean in the body, if it is a single SELECT.
    fn body(&self, body: &mut SetExpr) -> Result<HashMap<String, Expr>> {
        match body {
            SetExpr::Select(select) if select.from.iter().any(joins_by_name) => self.select(select),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left)?;
                self.body(right)?;
                Ok(HashMap::new())
            }
            _ => Ok(HashMap::new()),
        }
    }

    fn select(&self, select: &mut Select) -> Result<HashMap<String, Expr>> {
        let mut columns = Vec::new();
        let mut from = select.from.clone();
        for table in &mut from {
            match self.tables(table)? {
                Some(found) => columns.extend(found),
                None if loses_values(table) => return Err(unsupported()),
                None => return Ok(HashMap::new()),
            }
        }
        select.from = from;
        let meanings = plain_meanings(&columns);
        replace_in_select(select, &columns, &meanings);
        Ok(meanings)
    }

    /// The columns of joined tables, whose joins by name are rewritten; nothing if some columns are not known.
    fn tables(&self, table: &mut TableWithJoins) -> Result<Option<Vec<Column>>> {
        let Some(mut left) = self.factor(&mut table.relation)? else { return Ok(None) };
        for join in &mut table.joins {
            let Some(right) = self.factor(&mut join.relation)? else { return Ok(None) };
            left = joined(left, right, &mut join.join_operator)?;
        }
        Ok(Some(left))
    }

    fn factor(&self, factor: &mut TableFactor) -> Result<Option<Vec<Column>>> {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            return self.tables(table_with_joins);
        }
        let (Some(names), Some(qualifier)) = (self.known.get(&factor.to_string()), qualifier(factor)) else { return Ok(None) };
        let column = |name: &String| {
            let parts = [qualifier.clone(), Ident::with_quote('"', name.clone())];
            Column { name: name.clone(), value: Expr::CompoundIdentifier(parts.into()), merged: false }
        };
        Ok(Some(names.iter().map(column).collect()))
    }
}

fn unsupported() -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "RIGHT and FULL JOIN with USING or NATURAL are not supported between these tables")
}

/// Whether leaving the join to DataFusion would lose values: it takes the merged column from the left.
fn loses_values(table: &TableWithJoins) -> bool {
    use JoinOperator::{FullOuter, Right, RightOuter};
    table.joins.iter().any(|join| matches!(join.join_operator, FullOuter(_) | Right(_) | RightOuter(_)))
}

fn qualifier(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::UNNEST { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, alias: None, .. } => name.0.last().and_then(|part| part.as_ident()).cloned(),
        _ => None,
    }
}

fn joined(left: Vec<Column>, right: Vec<Column>, operator: &mut JoinOperator) -> Result<Vec<Column>> {
    use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    let outer = match operator {
        Join(_) | Inner(_) | Left(_) | LeftOuter(_) => (true, false),
        Right(_) | RightOuter(_) => (false, true),
        FullOuter(_) => (true, true),
        _ => return Ok([left, right].concat()),
    };
    let (Join(on) | Inner(on) | Left(on) | LeftOuter(on) | Right(on) | RightOuter(on) | FullOuter(on)) = operator else {
        return Ok([left, right].concat());
    };
    let names = match on {
        JoinConstraint::Using(names) => names.iter().filter_map(|name| name.0.last().and_then(|part| part.as_ident()).map(fold)).collect(),
        JoinConstraint::Natural => common(&left, &right),
        JoinConstraint::On(condition) => {
            substitute(condition, &plain_meanings(&left));
            return Ok([left, right].concat());
        }
        JoinConstraint::None => return Ok([left, right].concat()),
    };
    let mut merged = Vec::new();
    let mut conditions = Vec::new();
    for name in &names {
        let (l, r) = (the_column(&left, name, "left")?, the_column(&right, name, "right")?);
        conditions.push(equal(&l, &r));
        let value = match outer {
            (true, false) => l,
            (false, true) => r,
            _ => super::desugar::template("coalesce(__x, __x_right)", &[("__x", &l), ("__x_right", &r)], None),
        };
        merged.push(Column { name: name.clone(), value, merged: true });
    }
    *on = JoinConstraint::On(all(conditions));
    let rest = left.into_iter().chain(right).filter(|column| !names.contains(&column.name));
    Ok(merged.into_iter().chain(rest).collect())
}

fn equal(left: &Expr, right: &Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left.clone()), op: BinaryOperator::Eq, right: Box::new(right.clone()) }
}

fn all(conditions: Vec<Expr>) -> Expr {
    let and = |left, right| Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) };
    conditions.into_iter().reduce(and).unwrap_or_else(|| Expr::value(ast::Value::Boolean(true)))
}

fn common(left: &[Column], right: &[Column]) -> Vec<String> {
    left.iter().map(|column| column.name.clone()).filter(|name| right.iter().any(|column| column.name == *name)).collect()
}

fn the_column(columns: &[Column], name: &str, side: &str) -> Result<Expr> {
    let mut found = columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column.value.clone()),
        (None, _) => Err(SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        )),
        _ => {
            Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, format!("common column name \"{name}\" appears more than once in {side} table")))
        }
    }
}

/// What plain names of merged columns stand for, where nothing else has the name.
fn plain_meanings(columns: &[Column]) -> HashMap<String, Expr> {
    let alone = |column: &&Column| column.merged && columns.iter().filter(|other| other.name == column.name).count() == 1;
    columns.iter().filter(alone).map(|column| (column.name.clone(), column.value.clone())).collect()
}

fn output_names(select: &Select) -> Vec<String> {
    let name = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(fold(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(fold),
        _ => None,
    };
    select.projection.iter().filter_map(name).collect()
}

fn replace_in_select(select: &mut Select, columns: &[Column], meanings: &HashMap<String, Expr>) {
    set_apart(&mut select.projection, meanings);
    let items = std::mem::take(&mut select.projection);
    select.projection = items.into_iter().flat_map(|item| replaced_item(item, columns, meanings)).collect();
    for condition in select.selection.iter_mut().chain(&mut select.having) {
        substitute(condition, meanings);
    }
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        keys.iter_mut().for_each(|key| substitute(key, meanings));
    }
    if let Some(ast::Distinct::On(keys)) = &mut select.distinct {
        keys.iter_mut().for_each(|key| substitute(key, meanings));
    }
}

/// `SELECT id, a.id`: the second is another column of the same name.
fn set_apart(items: &mut [SelectItem], meanings: &HashMap<String, Expr>) {
    let merged = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(fold(name)).filter(|name| meanings.contains_key(name)),
        _ => None,
    };
    let taken: Vec<String> = items.iter().filter_map(merged).collect();
    for (position, item) in items.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) = item
            && let Some(name) = parts.last().map(fold).filter(|name| taken.contains(name))
        {
            let expr = Expr::CompoundIdentifier(parts.clone());
            *item = SelectItem::ExprWithAlias { expr, alias: super::naming::marked(&name, position) };
        }
    }
}

fn replaced_item(item: SelectItem, columns: &[Column], meanings: &HashMap<String, Expr>) -> Vec<SelectItem> {
    match item {
        SelectItem::Wildcard(options) if options == ast::WildcardAdditionalOptions::default() => columns.iter().map(shown).collect(),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => match meanings.get(&fold(&name)) {
            Some(value) => vec![SelectItem::ExprWithAlias { expr: value.clone(), alias: name }],
            None => vec![SelectItem::UnnamedExpr(Expr::Identifier(name))],
        },
        SelectItem::UnnamedExpr(mut expr) => {
            substitute(&mut expr, meanings);
            vec![SelectItem::UnnamedExpr(expr)]
        }
        SelectItem::ExprWithAlias { mut expr, alias } => {
            substitute(&mut expr, meanings);
            vec![SelectItem::ExprWithAlias { expr, alias }]
        }
        other => vec![other],
    }
}

fn shown(column: &Column) -> SelectItem {
    match column.merged {
        true => SelectItem::ExprWithAlias { expr: column.value.clone(), alias: Ident::with_quote('"', column.name.clone()) },
        false => SelectItem::UnnamedExpr(column.value.clone()),
    }
}

/// Puts meanings in the place of plain names; not within subqueries, where a name may mean something else.
fn substitute(expr: &mut Expr, meanings: &HashMap<String, Expr>) {
    let _: ControlFlow<()> = VisitMut::visit(expr, &mut Substitute { meanings, depth: 0 });
}

struct Substitute<'a> {
    meanings: &'a HashMap<String, Expr>,
    depth: usize,
}

impl VisitorMut for Substitute<'_> {
    type Break = ();
    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && self.depth == 0
            && let Some(value) = self.meanings.get(&fold(name))
        {
            *expr = value.clone();
        }
        ControlFlow::Continue(())
    }
}
