//! Which relations a query's locking clauses mean, and what they may not stand with.

use crate::access::acl::{self, Kind};
use crate::access::rights::denied;
use crate::catalog::lookup::SYSTEM_SCHEMAS;
use crate::catalog::names::{QualifiedName, fold};
use crate::catalog::{Relation, pg_catalog};
use crate::engine::locks::RowStrength;
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use crate::query::desugar::set_returning::is_set_returning;
use crate::query::planner::FUNCTION_KINDS;
use crate::query::semantics::FunctionKind;
use crate::session::lock_clauses::{Held, Locking, name};
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, ObjectName, Query, Select, SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, Visit,
    Visitor,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// How the rows of a relation are locked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct How {
    /// The strength.
    pub strength: RowStrength,
    /// What is done about rows that others hold.
    pub held: Held,
}

/// A relation of FROM whose rows are locked, by the name that it has there.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The name, folded.
    pub name: String,
    /// How.
    pub how: How,
}

/// Refuses what PostgreSQL refuses in any query of a statement; the strength of the first clause.
pub fn check(statement: &Statement) -> Result<Option<RowStrength>> {
    struct Check(Option<RowStrength>);
    impl Visitor for Check {
        type Break = Box<SqlError>;
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
            match check_query(query) {
                Ok(strength) => self.0 = self.0.or(strength),
                Err(error) => return ControlFlow::Break(Box::new(error)),
            }
            ControlFlow::Continue(())
        }
    }
    let mut check = Check(None);
    match statement.visit(&mut check) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(check.0),
    }
}

fn check_query(query: &Query) -> Result<Option<RowStrength>> {
    if let SetExpr::SetOperation { left, right, .. } = &*query.body {
        for side in [left, right] {
            if let Some(clause) = locks_of(side).first() {
                return Err(not_allowed(Locking::of(clause)?.strength, "UNION/INTERSECT/EXCEPT"));
            }
        }
    }
    let clauses = query.locks.iter().map(Locking::of).collect::<Result<Vec<_>>>()?;
    for clause in &clauses {
        lockable(query, clause.strength)?;
        items_of(query, clause)?;
    }
    Ok(clauses.first().map(|clause| clause.strength))
}

fn locks_of(side: &SetExpr) -> &[datafusion::sql::sqlparser::ast::LockClause] {
    match side {
        SetExpr::Query(query) => &query.locks,
        _ => &[],
    }
}

fn not_allowed(strength: RowStrength, with: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{} is not allowed with {with}", name(strength)))
}

fn not_applicable(strength: RowStrength, to: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{} cannot be applied to {to}", name(strength)))
}

/// That each row of a query is one of each of its relations.
fn lockable(query: &Query, strength: RowStrength) -> Result<()> {
    let select = match &*query.body {
        SetExpr::Select(select) => select,
        SetExpr::Query(inner) => return lockable(inner, strength),
        SetExpr::SetOperation { .. } => return Err(not_allowed(strength, "UNION/INTERSECT/EXCEPT")),
        SetExpr::Values(_) => return Err(not_applicable(strength, "VALUES")),
        _ => return Ok(()),
    };
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, sets) => !expressions.is_empty() || !sets.is_empty(),
    };
    let mut calls = Calls::default();
    let _ = Visit::visit(&select.projection, &mut calls);
    let returns_sets = calls.sets;
    let _ = Visit::visit(&query.order_by, &mut calls);
    let unfit = [
        (matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_))), "DISTINCT clause"),
        (grouped, "GROUP BY clause"),
        (select.having.is_some(), "HAVING clause"),
        (calls.aggregates, "aggregate functions"),
        (calls.windows, "window functions"),
        (returns_sets, "set-returning functions in the target list"),
    ];
    match unfit.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(not_allowed(strength, what)),
        None => derived(select).try_for_each(|inner| lockable_within(inner, strength)),
    }
}

/// VALUES in FROM have no rows to lock, and are left alone.
fn lockable_within(query: &Query, strength: RowStrength) -> Result<()> {
    if matches!(&*query.body, SetExpr::Values(_)) { Ok(()) } else { lockable(query, strength) }
}

fn derived(select: &Select) -> impl Iterator<Item = &Query> {
    factors(&select.from).into_iter().filter_map(|factor| match factor {
        TableFactor::Derived { subquery, .. } => Some(&**subquery),
        _ => None,
    })
}

/// The relations of a FROM list, those of joins too.
fn factors(from: &[TableWithJoins]) -> Vec<&TableFactor> {
    let mut all = Vec::new();
    for table in from {
        for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
            match factor {
                TableFactor::NestedJoin { table_with_joins, alias: None } => all.extend(factors(std::slice::from_ref(table_with_joins))),
                other => all.push(other),
            }
        }
    }
    all
}

/// The kinds of functions that are called, subqueries left out.
#[derive(Default)]
struct Calls {
    depth: usize,
    aggregates: bool,
    windows: bool,
    sets: bool,
}

impl Visitor for Calls {
    type Break = ();
    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let (0, Expr::Function(function)) = (self.depth, expr) {
            let name = function.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
            self.windows |= function.over.is_some();
            self.aggregates |= function.over.is_none() && FUNCTION_KINDS.kind(&name) == Some(FunctionKind::Aggregate);
            self.sets |= is_set_returning(&name);
        }
        ControlFlow::Continue(())
    }
}

/// What a relation of FROM is, as far as its syntax tells.
enum Sort<'a> {
    Table(&'a ObjectName),
    Subquery,
    /// Something without rows that can be locked; how it is called where somebody asks for them.
    Other(&'static str),
}

fn sorts(query: &Query) -> Vec<(String, Sort<'_>)> {
    let SetExpr::Select(select) = &*query.body else { return Vec::new() };
    let with: BTreeSet<String> = query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| fold(&cte.alias.name)).collect();
    factors(&select.from).into_iter().filter_map(|factor| sort(factor, &with)).collect()
}

/// The name that something in FROM has there, and what it is; `None` if it has none.
fn sort<'a>(factor: &'a TableFactor, with: &BTreeSet<String>) -> Option<(String, Sort<'a>)> {
    let last = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let visible = |name: &ObjectName, alias: &Option<TableAlias>| alias.as_ref().map_or_else(|| last(name), |alias| fold(&alias.name));
    Some(match factor {
        TableFactor::Table { name, alias, args: None, .. } if name.0.len() == 1 && with.contains(&last(name)) => {
            (visible(name, alias), Sort::Other("a WITH query"))
        }
        TableFactor::Table { name, alias, args: None, .. } => (visible(name, alias), Sort::Table(name)),
        TableFactor::Derived { alias: Some(alias), .. } => (fold(&alias.name), Sort::Subquery),
        TableFactor::NestedJoin { alias: Some(alias), .. } => (fold(&alias.name), Sort::Other("a join")),
        TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
            (visible(name, alias), Sort::Other("a function"))
        }
        TableFactor::TableFunction { alias: Some(alias), .. } | TableFactor::UNNEST { alias: Some(alias), .. } => {
            (fold(&alias.name), Sort::Other("a function"))
        }
        _ => return None,
    })
}

/// The names of the relations that a clause means, with the tables' own.
fn items_of<'a>(query: &'a Query, clause: &Locking) -> Result<Vec<(String, Option<&'a ObjectName>)>> {
    let all = sorts(query);
    let lockable = |sort: &Sort<'a>| match sort {
        Sort::Table(name) => Some(Some(*name)),
        Sort::Subquery => Some(None),
        Sort::Other(_) => None,
    };
    if clause.of.is_empty() {
        return Ok(all.iter().filter_map(|(visible, sort)| Some((visible.clone(), lockable(sort)?))).collect());
    }
    let find = |wanted: &Ident| {
        let folded = fold(wanted);
        let missing = || {
            let message = format!("relation \"{folded}\" in {} clause not found in FROM clause", name(clause.strength));
            SqlError::new(SqlState::UNDEFINED_TABLE, message).at(wanted.span)
        };
        let (visible, sort) = all.iter().find(|(visible, _)| *visible == folded).ok_or_else(missing)?;
        match sort {
            Sort::Other(what) => Err(not_applicable(clause.strength, what).at(wanted.span)),
            sort => Ok((visible.clone(), lockable(sort).flatten())),
        }
    };
    clause.of.iter().map(find).collect()
}

/// The relations that a query locks, each once, in the strongest of the ways that are said; 42501 where the role may not.
pub fn items(context: &QueryContext, query: &Query) -> Result<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    for clause in &query.locks {
        let clause = Locking::of(clause)?;
        for (visible, table) in items_of(query, &clause)? {
            if let Some(table) = table
                && !permit(context, table)?
            {
                continue;
            }
            match items.iter_mut().find(|item| item.name == visible) {
                Some(item) => item.how = How { strength: item.how.strength.max(clause.strength), held: item.how.held.max(clause.held) },
                None => items.push(Item { name: visible, how: How { strength: clause.strength, held: clause.held } }),
            }
        }
    }
    Ok(items)
}

/// Whether a relation has rows that can be locked: the system's own stay as they are. 42501 where the role may not, 42809 of a sequence.
fn permit(context: &QueryContext, name: &ObjectName) -> Result<bool> {
    let name = QualifiedName::from_ast(name, &context.database)?;
    let built_in = name.schema.as_deref().unwrap_or("pg_catalog");
    if SYSTEM_SCHEMAS.contains(&built_in) && (name.schema.is_some() || pg_catalog::shapes::find(built_in, &name.name).is_some()) {
        return Ok(false);
    }
    let Some(found) = context.view.catalog.find(&name, &context.search_path) else { return Ok(false) };
    let (rights, oid) = (context.rights(), found.relation().oid());
    match found.relation() {
        Relation::Sequence(_) => {
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot lock rows in sequence \"{}\"", found.name)))
        }
        Relation::Table(_) if !rights.has(Kind::Table, oid, acl::UPDATE) && !rights.has_on_any_column(oid, acl::UPDATE) => {
            Err(denied("table", found.name))
        }
        Relation::View(_) if !rights.has(Kind::Table, oid, acl::UPDATE) => Err(denied("view", found.name)),
        _ => Ok(true),
    }
}
