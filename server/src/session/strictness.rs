//! What the SQL parser reads and PostgreSQL's grammar does not: reserved words as names, DEFAULT where no column takes it.

use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Insert, ObjectName, OnConflictAction, OnInsert, Query, Select, SelectItem, SetExpr, Spanned, Statement, TableObject,
    Visit, Visitor,
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
    let mut strict = Strict { defaults: defaults(statement) };
    match statement.visit(&mut strict) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
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
        _ => Vec::new(),
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

impl Visitor for Strict<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let Some(lock) = query.locks.first() else { return ControlFlow::Continue(()) };
        let hint = "There are no row locks: of two transactions that write the same rows, the second gets a serialization failure (40001).";
        ControlFlow::Break(Box::new(SqlError::unsupported(format!("SELECT FOR {}", lock.lock_type)).with_hint(hint)))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
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
        ];
        for (sql, message, position) in table {
            let error = parse(sql).unwrap_err();
            assert_eq!((error.state.0, &*error.message, error.position), ("42601", message, Some(position)), "{sql}");
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
