//! Expressions in definitions: which columns they name, what they may not contain, and renaming columns in them.

use crate::catalog::names::{fold, literal, quote};
use crate::error::{Result, SqlError, SqlState};
use crate::query::planner::FUNCTION_KINDS;
use crate::query::semantics::{self, Clause};
use crate::session::parse::parse_expression;
use datafusion::sql::sqlparser::ast::{Expr, Ident, visit_expressions, visit_expressions_mut};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, Tokenizer};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// The columns that an expression names.
pub fn columns(expression: &Expr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let _ = visit_expressions(expression, |expr| {
        match expr {
            Expr::Identifier(ident) => drop(names.insert(fold(ident))),
            Expr::CompoundIdentifier(parts) => names.extend(parts.last().map(fold)),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

/// As [`columns`], of stored text.
pub fn columns_of_text(expression: &str) -> Result<BTreeSet<String>> {
    Ok(columns(&parse_expression(expression)?))
}

/// An expression with a column renamed in it.
pub fn rename_column(expression: &str, from: &str, to: &str) -> Result<String> {
    let mut parsed = parse_expression(expression)?;
    let rename = |ident: &mut Ident| {
        if fold(ident) == from {
            *ident = if quote(to) == to { Ident::new(to) } else { Ident::with_quote('"', to) };
        }
    };
    let _ = visit_expressions_mut(&mut parsed, |expr| {
        match expr {
            Expr::Identifier(ident) => rename(ident),
            Expr::CompoundIdentifier(parts) => parts.last_mut().into_iter().for_each(rename),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(parsed.to_string())
}

/// An expression whose columns are named without their table, which may get another name.
pub fn unqualified(mut expression: Expr) -> Expr {
    let _ = visit_expressions_mut(&mut expression, |expr| {
        if let Expr::CompoundIdentifier(parts) = expr
            && let Some(column) = parts.pop()
        {
            *expr = Expr::Identifier(column);
        }
        ControlFlow::<()>::Continue(())
    });
    expression
}

/// A text with each word that is one name replaced by another.
pub fn rename_words(text: &str, from: &str, to: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize() else { return text.to_string() };
    let renamed = |token: Token| match &token {
        Token::Word(word) if fold(&word.clone().into_ident(Span::empty())) == from => quote(to),
        Token::SingleQuotedString(text) => literal(text),
        _ => token.to_string(),
    };
    tokens.into_iter().map(renamed).collect()
}

/// Checks what a DEFAULT may not contain.
pub fn check_default(expression: &Expr) -> Result<()> {
    semantics::check_clause(expression, Clause::DEFAULT, &FUNCTION_KINDS)?;
    if let Some(name) = columns(expression).into_iter().next() {
        let message = "cannot use column reference in DEFAULT expression";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_detail(format!("It names \"{name}\".")));
    }
    Ok(())
}

/// Checks what a CHECK may not contain.
pub fn check_condition(expression: &Expr) -> Result<()> {
    semantics::check_clause(expression, Clause::CHECK, &FUNCTION_KINDS)
}

/// Checks what USING of ALTER COLUMN TYPE may not contain.
pub fn check_transform(expression: &Expr) -> Result<()> {
    semantics::check_clause(expression, Clause::TRANSFORM, &FUNCTION_KINDS)
}

/// Functions whose value differs from row to row: an added column cannot take one value of them for all rows.
const VOLATILE: [&str; 9] =
    ["nextval", "random", "gen_random_uuid", "gen_random_bytes", "uuid", "uuid_generate_v4", "clock_timestamp", "setval", "timeofday"];

/// Whether every row would get a value of its own.
pub fn is_volatile(expression: &Expr) -> bool {
    let mut found = false;
    let _ = visit_expressions(expression, |expr| {
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_lowercase();
            found |= VOLATILE.iter().any(|v| name == *v || name.ends_with(&format!(".{v}")));
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

/// The text of `nextval('...')`, as serial columns have it for a default.
pub fn nextval(schema: &str, name: &str) -> String {
    let qualified = crate::catalog::names::quote_qualified(schema, name);
    format!("nextval({})", crate::catalog::names::literal(&qualified))
}

/// The argument of the `nextval` in a default, if it is one.
pub fn nextval_argument(default: &str) -> Option<String> {
    let lower = default.to_lowercase();
    let start = lower.find("nextval('")? + "nextval('".len();
    let end = start + default[start..].find('\'')?;
    Some(default[start..end].to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn columns_are_found_and_renamed() {
        let text = "a > 0 AND \"B c\" < t.d OR lower(a) = 'a'";
        let expected: BTreeSet<String> = ["a", "B c", "d"].map(String::from).into();
        assert_eq!(columns_of_text(text).unwrap(), expected);
        assert_eq!(rename_column(text, "a", "X").unwrap(), "\"X\" > 0 AND \"B c\" < t.d OR lower(\"X\") = 'a'");
        assert_eq!(rename_column("A > 1", "a", "b").unwrap(), "b > 1");
    }

    #[test]
    fn defaults_refuse_columns_and_subqueries() {
        let check = |text: &str| check_default(&parse_expression(text).unwrap()).map_err(|e| e.message.to_string());
        assert_eq!(check("1 + 2"), Ok(()));
        assert_eq!(check("now()"), Ok(()));
        assert_eq!(check("current_date"), Ok(()));
        assert_eq!(check("a + 1"), Err("cannot use column reference in DEFAULT expression".into()));
        assert_eq!(check("(select 1)"), Err("cannot use subquery in DEFAULT expression".into()));
    }

    #[test]
    fn volatile_defaults() {
        assert!(is_volatile(&parse_expression("1 + random()").unwrap()));
        assert!(!is_volatile(&parse_expression("now()").unwrap()));
        assert_eq!(nextval_argument(&nextval("public", "t_a_seq")).as_deref(), Some("public.t_a_seq"));
    }
}
