//! Stored expressions as PostgreSQL prints them back: literals with their types, parentheses, its own operator names.
//!
//! What is not known here is printed as it was written.

use crate::catalog::TableDefinition;
use crate::catalog::names::{fold, literal, quote};
use crate::session::parse::parse_expression;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr, Ident, ObjectName, UnaryOperator, Value, visit_expressions_mut};
use std::ops::ControlFlow;

/// A DEFAULT of a column of this type.
pub fn default(text: &str, sql_type: &SqlType) -> String {
    match parse_expression(text) {
        Ok(expression) => default_literal(&expression, sql_type).unwrap_or_else(|| with_small_types(expression)),
        Err(_) => text.to_string(),
    }
}

/// An expression as it was written, the types of its casts as PostgreSQL writes them: in small letters.
fn with_small_types(expression: Expr) -> String {
    in_small_letters(expression).to_string()
}

/// An expression with the types of its casts as PostgreSQL writes them.
pub fn in_small_letters(mut expression: Expr) -> Expr {
    let _ = visit_expressions_mut(&mut expression, |expr| {
        if let Expr::Cast { data_type, .. } = expr
            && let Ok(sql_type) = SqlType::from_ast(data_type)
        {
            // Without a length it is of any length, which character(1) is not.
            let is_bpchar = data_type.to_string().eq_ignore_ascii_case("bpchar");
            let name = if is_bpchar { "bpchar".to_string() } else { sql_type.name() };
            *data_type = DataType::Custom(ObjectName::from(Ident::new(name)), Vec::new());
        }
        ControlFlow::<()>::Continue(())
    });
    expression
}

fn default_literal(expression: &Expr, sql_type: &SqlType) -> Option<String> {
    match expression {
        Expr::Nested(inner) => default_literal(inner, sql_type),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => Some(format!("'-{digits}'::{}", number_type(digits))),
                _ => None,
            },
            _ => None,
        },
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) if is_number(sql_type) => Some(text.trim().to_string()),
            Value::SingleQuotedString(text) if *sql_type == SqlType::Boolean => Some(truth(text)?.to_string()),
            Value::SingleQuotedString(text) => Some(format!("{}::{}", literal(text), constant_type(sql_type))),
            Value::Boolean(value) => Some(value.to_string()),
            Value::Null => Some(format!("NULL::{}", constant_type(sql_type))),
            _ => None,
        },
        _ => None,
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "t" | "true" | "on" | "yes" | "1" => Some(true),
        "f" | "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn is_number(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8)
}

/// The type that a numeric literal has of itself.
fn number_type(digits: &str) -> &'static str {
    match (digits.parse::<i32>(), digits.parse::<i64>()) {
        (Ok(_), _) => "integer",
        (_, Ok(_)) => "bigint",
        _ => "numeric",
    }
}

/// A type as it stands after a constant: without modifiers.
fn constant_type(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Numeric(_) => "numeric".into(),
        SqlType::Varchar(_) => "character varying".into(),
        SqlType::Char(_) => "bpchar".into(),
        SqlType::Array(element) => format!("{}[]", constant_type(element)),
        other => other.name(),
    }
}

/// A CHECK condition over a table's columns; `pretty` leaves out the parentheses that are not needed.
pub fn condition(table: &TableDefinition, text: &str, pretty: bool) -> String {
    let Ok(expression) = parse_expression(text) else { return text.to_string() };
    match (Printer { table, pretty }).print(&expression) {
        Some(printed) => printed,
        None => {
            let mut expression = &expression;
            while let (false, Expr::Nested(inner)) = (pretty, expression) {
                expression = inner;
            }
            let text = with_small_types(expression.clone());
            if pretty { text } else { format!("({text})") }
        }
    }
}

struct Printer<'a> {
    table: &'a TableDefinition,
    pretty: bool,
}

impl Printer<'_> {
    fn wrapped(&self, text: String) -> String {
        if self.pretty { text } else { format!("({text})") }
    }

    /// `None` for anything that this does not know.
    fn print(&self, expression: &Expr) -> Option<String> {
        match expression {
            Expr::Nested(inner) => self.print(inner),
            Expr::Identifier(name) => Some(quote(&fold(name))),
            Expr::Value(value) => match &value.value {
                Value::Boolean(value) => Some(value.to_string()),
                _ => None,
            },
            Expr::IsNull(inner) => Some(self.wrapped(format!("{} IS NULL", self.print(inner)?))),
            Expr::IsNotNull(inner) => Some(self.wrapped(format!("{} IS NOT NULL", self.print(inner)?))),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Some(self.wrapped(format!("NOT {}", self.print(expr)?))),
            Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
                let (left, right) = (self.branch(left, op)?, self.branch(right, op)?);
                Some(self.wrapped(format!("{left} {op} {right}")))
            }
            Expr::BinaryOp { left, op, right } => self.comparison(left, operator(op)?, right),
            Expr::Between { expr, negated: false, low, high } => {
                let (low, high) = (self.comparison(expr, ">=", low)?, self.comparison(expr, "<=", high)?);
                Some(self.wrapped(format!("{low} AND {high}")))
            }
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, "ANY", right),
            Expr::AllOp { left, compare_op, right } => self.quantified(left, compare_op, "ALL", right),
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                self.comparison(expr, if *negated { "!~~" } else { "~~" }, pattern)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                self.comparison(expr, if *negated { "!~~*" } else { "~~*" }, pattern)
            }
            _ => None,
        }
    }

    /// A side of AND or OR: an OR within an AND keeps its parentheses.
    fn branch(&self, side: &Expr, outer: &BinaryOperator) -> Option<String> {
        let mut bare = side;
        while let Expr::Nested(inner) = bare {
            bare = inner;
        }
        let loose = matches!(bare, Expr::BinaryOp { op: BinaryOperator::Or, .. }) && *outer == BinaryOperator::And;
        let text = self.print(bare)?;
        Some(if loose && self.pretty { format!("({text})") } else { text })
    }

    /// `a = ANY (ARRAY[...])`, as it was written.
    fn quantified(&self, left: &Expr, op: &BinaryOperator, quantifier: &str, right: &Expr) -> Option<String> {
        let literals = match right {
            Expr::Array(array) if array.elem.iter().all(|element| matches!(element, Expr::Value(_))) => self.array(left, &array.elem),
            _ => None,
        };
        let (left, right) = literals.unwrap_or_else(|| (self.as_written(left), self.as_written(right)));
        Some(self.wrapped(format!("{left} {} {quantifier} ({right})", operator(op)?)))
    }

    /// With the parentheses around what is cast that `pretty` leaves out.
    fn as_written(&self, expression: &Expr) -> String {
        let mut expression = expression.clone();
        while let (true, Expr::Cast { expr, .. }) = (self.pretty, &mut expression)
            && let Expr::Nested(inner) = &mut **expr
            && matches!(&**inner, Expr::Identifier(_) | Expr::Array(_) | Expr::Value(_) | Expr::Function(_) | Expr::Cast { .. })
        {
            **expr = inner.as_ref().clone();
        }
        with_small_types(expression)
    }

    fn comparison(&self, left: &Expr, op: &str, right: &Expr) -> Option<String> {
        if is_cast(left) || is_cast(right) {
            return Some(self.wrapped(format!("{} {op} {}", self.as_written(left), self.as_written(right))));
        }
        let (left_type, right_type) = (self.column_type(left), self.column_type(right));
        let compared = left_type.or(right_type)?;
        if left_type.is_some_and(|t| right_type.is_some_and(|other| t != other)) {
            return None;
        }
        Some(self.wrapped(format!("{} {op} {}", self.operand(left, compared)?, self.operand(right, compared)?)))
    }

    fn column_type(&self, expression: &Expr) -> Option<&SqlType> {
        match expression {
            Expr::Identifier(name) => self.table.column(&fold(name)).map(|column| &column.sql_type),
            Expr::Nested(inner) => self.column_type(inner),
            _ => None,
        }
    }

    /// A column or a constant beside something of a type.
    fn operand(&self, expression: &Expr, compared: &SqlType) -> Option<String> {
        let text = matches!(compared, SqlType::Varchar(_));
        match expression {
            Expr::Nested(inner) => self.operand(inner, compared),
            Expr::Identifier(name) if text => Some(self.cast(&quote(&fold(name)), "text")),
            Expr::Identifier(name) => Some(quote(&fold(name))),
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => self.number(digits, compared),
                Value::SingleQuotedString(value) if text => Some(format!("{}::text", literal(value))),
                Value::SingleQuotedString(value) => Some(format!("{}::{}", literal(value), constant_type(compared))),
                Value::Boolean(value) => Some(value.to_string()),
                _ => None,
            },
            _ => None,
        }
    }

    fn number(&self, digits: &str, compared: &SqlType) -> Option<String> {
        match (compared, number_type(digits)) {
            (SqlType::Int2 | SqlType::Int4 | SqlType::Int8, "integer" | "bigint") => Some(digits.to_string()),
            (SqlType::Numeric(_), "numeric") => Some(digits.to_string()),
            (SqlType::Numeric(_), _) => Some(self.cast(digits, "numeric")),
            (SqlType::Float8 | SqlType::Float4, _) => Some(self.cast(digits, "double precision")),
            _ => None,
        }
    }

    fn cast(&self, text: &str, to: &str) -> String {
        if self.pretty { format!("{text}::{to}") } else { format!("({text})::{to}") }
    }

    /// `a IN (1, 2)` is `a = ANY (ARRAY[1, 2])`.
    fn in_list(&self, expr: &Expr, list: &[Expr], negated: bool) -> Option<String> {
        let (op, quantifier) = if negated { ("<>", "ALL") } else { ("=", "ANY") };
        let (column, array) = self.array(expr, list)?;
        Some(self.wrapped(format!("{column} {op} {quantifier} ({array})")))
    }

    /// A column, and an array of what it is compared with.
    fn array(&self, expr: &Expr, list: &[Expr]) -> Option<(String, String)> {
        let compared = self.column_type(expr)?;
        let column = self.operand(expr, compared)?;
        let values = list.iter().map(|value| self.list_value(value, compared)).collect::<Option<Vec<_>>>()?;
        let array = format!("ARRAY[{}]", values.join(", "));
        let array = if matches!(compared, SqlType::Varchar(_)) { self.cast(&array, "text[]") } else { array };
        Some((column, array))
    }

    fn list_value(&self, expression: &Expr, compared: &SqlType) -> Option<String> {
        match expression {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => Some(format!("{}::{}", literal(text), constant_type(compared))),
                _ => self.operand(expression, compared),
            },
            _ => None,
        }
    }
}

fn is_cast(expression: &Expr) -> bool {
    matches!(expression, Expr::Cast { .. })
}

/// PostgreSQL's name of an operator.
fn operator(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::PGRegexMatch => "~",
        BinaryOperator::PGRegexIMatch => "~*",
        BinaryOperator::PGRegexNotMatch => "!~",
        BinaryOperator::PGRegexNotIMatch => "!~*",
        BinaryOperator::PGLikeMatch => "~~",
        BinaryOperator::PGILikeMatch => "~~*",
        BinaryOperator::PGNotLikeMatch => "!~~",
        BinaryOperator::PGNotILikeMatch => "!~~*",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::catalog::ColumnDefinition;
    use storage::ColumnId;

    fn table() -> TableDefinition {
        let types = [("a", SqlType::Int4), ("n", SqlType::Numeric(None)), ("v", SqlType::Varchar(Some(5))), ("t", SqlType::Text)];
        let column = |((name, sql_type), id): (&(&str, SqlType), u32)| ColumnDefinition {
            id: ColumnId(id),
            name: name.to_string(),
            sql_type: sql_type.clone(),
            not_null: false,
            default: None,
            identity: None,
            missing: None,
            digits: None,
        };
        let columns = types.iter().zip(1..).map(column).collect();
        TableDefinition {
            oid: 1,
            columns,
            next_column_id: 5,
            constraints: vec![],
            cluster_by: vec![],
            indexes: vec![],
            on_commit: Default::default(),
        }
    }

    #[test]
    fn conditions_print_as_postgresql_prints_them() {
        let table = table();
        for (written, pretty, full) in [
            ("a > 0", "a > 0", "(a > 0)"),
            ("n >= 0 AND a < 5", "n >= 0::numeric AND a < 5", "((n >= (0)::numeric) AND (a < 5))"),
            ("v <> ''", "v::text <> ''::text", "((v)::text <> ''::text)"),
            ("a IN (1, 2)", "a = ANY (ARRAY[1, 2])", "(a = ANY (ARRAY[1, 2]))"),
            ("a BETWEEN 1 AND 5", "a >= 1 AND a <= 5", "((a >= 1) AND (a <= 5))"),
            ("t IS NOT NULL", "t IS NOT NULL", "(t IS NOT NULL)"),
            (
                "v IN ('x')",
                "v::text = ANY (ARRAY['x'::character varying]::text[])",
                "((v)::text = ANY ((ARRAY['x'::character varying])::text[]))",
            ),
            ("length(t) > 1", "length(t) > 1", "(length(t) > 1)"),
        ] {
            assert_eq!(condition(&table, written, true), pretty);
            assert_eq!(condition(&table, written, false), full);
        }
    }

    #[test]
    fn defaults_print_with_their_types() {
        for (written, sql_type, printed) in [
            ("'x''y'", SqlType::Text, "'x''y'::text"),
            ("'x'", SqlType::Varchar(Some(3)), "'x'::character varying"),
            ("0", SqlType::Numeric(None), "0"),
            ("-1", SqlType::Int4, "'-1'::integer"),
            ("now()", SqlType::Timestamptz, "now()"),
            ("'2020-01-01'", SqlType::Date, "'2020-01-01'::date"),
            ("TRUE", SqlType::Boolean, "true"),
        ] {
            assert_eq!(default(written, &sql_type), printed);
        }
    }
}
