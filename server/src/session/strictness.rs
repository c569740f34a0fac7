//! What the SQL parser reads and PostgreSQL's grammar does not: reserved words as names, DEFAULT where no column takes it.

use crate::error::{Place, Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, Insert,
    LimitClause, MergeAction, MergeInsertExpr, MergeInsertKind, ObjectName, OnConflictAction, OnInsert, Query, Select, SelectItem, SetExpr,
    Spanned, Statement, TableFactor, TableObject, Visit, Visitor,
};
use std::ops::ControlFlow;

/// PostgreSQL's reserved words that the SQL parser takes for a name, without those that are values or functions.
const RESERVED: [&str; 64] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "not",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "union",
    "unique",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
    "default",
    "null",
    "true",
    "false",
];

/// Refuses a statement that PostgreSQL cannot read.
pub(super) fn check(statement: &Statement) -> Result<()> {
    if let Statement::Insert(insert) = statement
        && !insert.into
        && let TableObject::TableName(name) = &insert.table
    {
        return Err(near(&name.to_string()).at(name.span()));
    }
    if let Statement::Insert(insert) = statement
        && let Some(token) = of_other_dialects(insert)
    {
        return Err(token);
    }
    let mut strict = Strict { defaults: defaults(statement) };
    match statement.visit(&mut strict) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// `INSERT INTO t alias ...` without AS, and VALUE for VALUES.
fn of_other_dialects(insert: &Insert) -> Option<SqlError> {
    if let Some(alias) = insert.table_alias.as_ref().filter(|alias| !alias.explicit) {
        return Some(near(&alias.alias.to_string()).at(alias.alias.span));
    }
    match insert.source.as_ref()?.body.as_ref() {
        SetExpr::Values(values) if values.value_keyword => {
            let first = values.rows.first().and_then(|row| row.content.first()).map(Spanned::span);
            Some(near("value").placed(first.and_then(|first| Place::before(first, "value"))))
        }
        _ => None,
    }
}

fn near(token: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{token}\""))
}

/// The places in which DEFAULT stands for a column's default.
fn defaults(statement: &Statement) -> Vec<&Expr> {
    match statement {
        Statement::Insert(insert) => insert_values(insert),
        Statement::Update(update) => update.assignments.iter().flat_map(|assignment| assigned(&assignment.value)).collect(),
        Statement::Merge(merge) => merge.clauses.iter().flat_map(|clause| merged(&clause.action)).collect(),
        Statement::Query(query) => below_with(query),
        _ => Vec::new(),
    }
}

/// Those of the statements in WITH, and of the one below.
fn below_with(query: &Query) -> Vec<&Expr> {
    let in_with = query.with.iter().flat_map(|with| &with.cte_tables).flat_map(|cte| below_with(&cte.query));
    let below = match query.body.as_ref() {
        SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Merge(inner) => defaults(inner),
        _ => Vec::new(),
    };
    in_with.chain(below).collect()
}

fn merged(action: &MergeAction) -> Vec<&Expr> {
    match action {
        MergeAction::Update(update) => update.assignments.iter().flat_map(|assignment| assigned(&assignment.value)).collect(),
        MergeAction::Insert(MergeInsertExpr { kind: MergeInsertKind::Values(values), .. }) => {
            values.rows.iter().flat_map(|row| row.content.iter()).collect()
        }
        MergeAction::Insert(_) | MergeAction::Delete { .. } => Vec::new(),
    }
}

fn assigned(value: &Expr) -> Vec<&Expr> {
    match value {
        Expr::Tuple(values) => values.iter().collect(),
        Expr::Nested(inner) => vec![inner],
        value => vec![value],
    }
}

fn insert_values(insert: &Insert) -> Vec<&Expr> {
    let mut places = Vec::new();
    if let Some(source) = &insert.source
        && let SetExpr::Values(values) = source.body.as_ref()
    {
        places.extend(values.rows.iter().flat_map(|row| row.content.iter()));
    }
    if let Some(OnInsert::OnConflict(conflict)) = &insert.on
        && let OnConflictAction::DoUpdate(update) = &conflict.action
    {
        places.extend(update.assignments.iter().flat_map(|assignment| assigned(&assignment.value)));
    }
    places
}

struct Strict<'a> {
    defaults: Vec<&'a Expr>,
}

impl Strict<'_> {
    fn name(&self, ident: &Ident) -> ControlFlow<Box<SqlError>> {
        let reserved = ident.quote_style.is_none() && RESERVED.iter().any(|word| ident.value.eq_ignore_ascii_case(word));
        if reserved { ControlFlow::Break(Box::new(near(&ident.value).at(ident.span))) } else { ControlFlow::Continue(()) }
    }
}

/// `nosuch '1'` is a value of a type, `1 'x'` is nothing; the parser takes the string for a name.
fn string_alias(item: &SelectItem) -> Option<SqlError> {
    match item {
        SelectItem::ExprWithAlias { expr, alias } if alias.quote_style == Some('\'') => Some(match expr {
            Expr::Identifier(name) => {
                let message = format!("type \"{}\" does not exist", name.value.to_lowercase());
                SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(name.span)
            }
            _ => near(&alias.to_string()).at(alias.span),
        }),
        _ => None,
    }
}

fn limited_twice(query: &Query) -> Option<SqlError> {
    let limited = matches!(&query.limit_clause, Some(LimitClause::LimitOffset { limit: Some(_), .. }));
    (limited && query.fetch.is_some()).then(|| SqlError::new(SqlState::SYNTAX_ERROR, "multiple LIMIT clauses not allowed"))
}

/// Calls in a form that PostgreSQL does not read.
fn call(function: &Function) -> Option<SqlError> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let star = |arg: &FunctionArg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
    let nulls = |clause: &FunctionArgumentClause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_));
    if function.null_treatment.is_some() || list.clauses.iter().any(nulls) {
        let treatment = function.null_treatment.map_or_else(|| "ignore".into(), |treatment| treatment.to_string().to_lowercase());
        return Some(near(treatment.split(' ').next().unwrap_or("ignore")));
    }
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) && list.args.iter().any(star) {
        return Some(near("*"));
    }
    let is_count = function.name.to_string().eq_ignore_ascii_case("count");
    (is_count && list.args.is_empty()).then(|| {
        let message = "count(*) must be used to call a parameterless aggregate function";
        SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
    })
}

/// `1 IN (SELECT 1, 2)`, as far as the columns are written one by one.
fn of_another_width(expr: &Expr, subquery: &Query) -> Option<SqlError> {
    let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    let wanted = match expr {
        Expr::Tuple(fields) => fields.len(),
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("row") => return None,
        _ => 1,
    };
    let given = select.projection.iter().all(plain).then_some(select.projection.len())?;
    let what = match given.cmp(&wanted) {
        std::cmp::Ordering::Greater => "many",
        std::cmp::Ordering::Less => "few",
        std::cmp::Ordering::Equal => return None,
    };
    Some(SqlError::new(SqlState::SYNTAX_ERROR, format!("subquery has too {what} columns")).placed(Place::behind(expr.span(), "in")))
}

/// Values that are written without parentheses.
const WITHOUT_PARENTHESES: [&str; 6] = ["current_date", "current_user", "current_role", "session_user", "user", "current_catalog"];
/// Values whose parentheses hold the number of digits.
const WITH_DIGITS: [&str; 4] = ["current_time", "current_timestamp", "localtime", "localtimestamp"];

/// `current_date()`.
fn not_callable(function: &Function) -> Option<SqlError> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [part] = function.name.0.as_slice() else { return None };
    let name = part.as_ident().filter(|name| name.quote_style.is_none() && list.args.is_empty())?;
    let is = |known: &&str| name.value.eq_ignore_ascii_case(known);
    if WITHOUT_PARENTHESES.iter().any(is) {
        return Some(near("(").at(name.span));
    }
    WITH_DIGITS.iter().any(is).then(|| near(")").at(name.span))
}

impl Visitor for Strict<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if let Some(error) = limited_twice(query) {
            return ControlFlow::Break(Box::new(error));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Derived { subquery, alias: None, .. } = factor else { return ControlFlow::Continue(()) };
        let (what, example) = match &*subquery.body {
            SetExpr::Values(_) => ("VALUES", "VALUES ..."),
            _ => ("subquery", "SELECT ..."),
        };
        let error = SqlError::new(SqlState::SYNTAX_ERROR, format!("{what} in FROM must have an alias"));
        ControlFlow::Break(Box::new(error.with_hint(format!("For example, FROM ({example}) [AS] foo.")).at(subquery.span())))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(function) = expr
            && let Some(error) = call(function)
        {
            return ControlFlow::Break(Box::new(error.at(function.name.span())));
        }
        if let Expr::Function(function) = expr
            && let Some(error) = not_callable(function)
        {
            return ControlFlow::Break(Box::new(error));
        }
        if let Expr::InSubquery { expr, subquery, .. } = expr
            && let Some(error) = of_another_width(expr, subquery)
        {
            return ControlFlow::Break(Box::new(error));
        }
        let Expr::Identifier(ident) = expr else { return ControlFlow::Continue(()) };
        if ident.quote_style.is_some() || !ident.value.eq_ignore_ascii_case("default") {
            return self.name(ident);
        }
        if self.defaults.iter().any(|place| std::ptr::eq(*place, expr)) {
            return ControlFlow::Continue(());
        }
        let error = SqlError::new(SqlState::SYNTAX_ERROR, "DEFAULT is not allowed in this context");
        ControlFlow::Break(Box::new(error.at(ident.span)))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        select.projection.iter().find_map(string_alias).map_or(ControlFlow::Continue(()), |error| ControlFlow::Break(Box::new(error)))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Self::Break> {
        match relation.0.as_slice() {
            [part] => part.as_ident().map_or(ControlFlow::Continue(()), |ident| self.name(ident)),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::session::parse::parse;

    #[test]
    fn reserved_words_are_no_names() {
        let table = [
            ("select 1 where where", "syntax error at or near \"where\"", 16),
            ("select not", "syntax error at or near \"not\"", 8),
            ("insert t values (1)", "syntax error at or near \"t\"", 8),
            ("select a from t where a = default", "DEFAULT is not allowed in this context", 27),
            ("insert into t values (default + 1)", "DEFAULT is not allowed in this context", 23),
            ("select count(distinct *) from t", "syntax error at or near \"*\"", 8),
            ("select lag(a) ignore nulls over (order by a) from t", "syntax error at or near \"ignore\"", 8),
            ("select 1 as \"\"", "zero-length delimited identifier at or near \"\"\"\"", 13),
            ("select 1a", "trailing junk after numeric literal at or near \"1a\"", 8),
        ];
        for (sql, message, position) in table {
            let error = parse(sql).unwrap_err();
            assert_eq!((error.state.0, &*error.message, error.position), ("42601", message, Some(position)), "{sql}");
        }
    }

    #[test]
    fn what_postgresql_cannot_read() {
        for sql in [
            "select * from (select 1)",
            "select * from (values (1))",
            "select count(distinct *) from t",
            "select current_date()",
            "select current_timestamp()",
            "select 1.5e",
            "select 1 in (select 1, 2)",
            "select (1, 2, 3) in (select 1, 2)",
        ] {
            assert_eq!(parse(sql).unwrap_err().state.0, "42601", "{sql}");
        }
        for sql in [
            "select * from (select 1) s, lateral (select 2) l",
            "select (1, 2) in (select 1, 2), row(1, 2) in (select 1, 2), current_timestamp(3), count(*), 1 a, 1.5e3, 1 as a1",
        ] {
            assert!(parse(sql).is_ok(), "{sql}: {:?}", parse(sql).err());
        }
    }

    #[test]
    fn names_and_defaults_in_their_places() {
        for sql in [
            "insert into t values (1, default), (default, 2)",
            "update t set a = default, (b, c) = (default, 1)",
            "insert into t values (1) on conflict (a) do update set b = default",
            "select \"where\", \"default\" from \"select\"",
            "select user, current_user, localtime from information_schema.tables",
        ] {
            assert!(parse(sql).is_ok(), "{sql}: {:?}", parse(sql).err());
        }
    }
}
