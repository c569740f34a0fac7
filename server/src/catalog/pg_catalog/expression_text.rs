//! Stored expressions as PostgreSQL prints them back: literals with their types, parentheses, its own operator names.
//!
//! What is not known here is printed as it was written.

use crate::catalog::TableDefinition;
use crate::catalog::names::{fold, literal, quote};
use crate::session::parse::parse_expression;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, UnaryOperator, Value,
    visit_expressions_mut,
};
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

/// A part of an index's key that is no column: in parentheses, unless it is a call of a function.
pub fn key_part(table: &TableDefinition, text: &str, pretty: bool) -> String {
    let Ok(mut expression) = parse_expression(text) else { return text.to_string() };
    while let Expr::Nested(inner) = expression {
        expression = *inner;
    }
    let is_call = matches!(expression, Expr::Function(_));
    let printed = (Printer { table, pretty }).print(&expression).unwrap_or_else(|| {
        let text = with_small_types(expression);
        if pretty || is_call { text } else { format!("({text})") }
    });
    if is_call { printed } else { format!("({printed})") }
}

/// An expression that stands alone: a generated column's, or that of an index in `pg_index`.
pub fn alone(table: &TableDefinition, text: &str, pretty: bool) -> String {
    let Ok(expression) = parse_expression(text) else { return text.to_string() };
    (Printer { table, pretty }).print(&expression).unwrap_or_else(|| {
        let mut bare = expression;
        while let Expr::Nested(inner) = bare {
            bare = *inner;
        }
        let is_call = matches!(bare, Expr::Function(_) | Expr::Identifier(_) | Expr::Value(_) | Expr::Case { .. });
        let text = with_small_types(bare);
        if pretty || is_call { text } else { format!("({text})") }
    })
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
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
                Some(self.wrapped(format!("{} || {}", self.text(left)?, self.text(right)?)))
            }
            Expr::BinaryOp { left, op, right } if arithmetic(op).is_some() => self.arithmetic(left, arithmetic(op)?, right),
            Expr::BinaryOp { left, op, right } => self.comparison(left, operator(op)?, right),
            Expr::Function(function) => self.call(function),
            Expr::Cast { expr, data_type, format: None, array: false, .. } => {
                let to = SqlType::from_ast(data_type).ok()?.name();
                Some(self.cast(&self.print(expr)?, &to))
            }
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

    /// A call of a function whose arguments are texts, or of one that takes what it is given.
    fn call(&self, function: &Function) -> Option<String> {
        let name = function.name.0.last().and_then(|part| part.as_ident()).map(fold)?;
        let FunctionArguments::List(list) = &function.args else { return None };
        let is_plain =
            function.over.is_none() && function.filter.is_none() && list.clauses.is_empty() && list.duplicate_treatment.is_none();
        let is_known = [&OF_TEXTS[..], &OF_ANY, &OF_GRAMMAR].concat().contains(&name.as_str());
        if !is_plain || !is_known {
            return None;
        }
        if OF_GRAMMAR.contains(&name.as_str()) {
            return self.call_of_grammar(&name, &list.args);
        }
        let argument = |argument: &FunctionArg| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if OF_TEXTS.contains(&name.as_str()) => self.text(value),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => self.print(value),
            _ => None,
        };
        let arguments = list.args.iter().map(argument).collect::<Option<Vec<_>>>()?;
        Some(format!("{name}({})", arguments.join(", ")))
    }

    /// `COALESCE` and the like: values of one type, which a column says.
    fn call_of_grammar(&self, name: &str, arguments: &[FunctionArg]) -> Option<String> {
        let values = arguments.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
            _ => None,
        });
        let values = values.collect::<Option<Vec<_>>>()?;
        let sql_type = values.iter().find_map(|value| self.column_type(value))?;
        let printed = values.iter().map(|value| match (self.column_type(value), value) {
            (Some(of), _) if of == sql_type => self.print(value),
            (None, Expr::Value(literal)) => match &literal.value {
                Value::Number(digits, _) => self.number(digits, sql_type),
                Value::SingleQuotedString(_) => self.list_value(value, sql_type),
                _ => None,
            },
            _ => None,
        });
        Some(format!("{}({})", name.to_uppercase(), printed.collect::<Option<Vec<_>>>()?.join(", ")))
    }

    /// An operand that is a text.
    fn text(&self, expression: &Expr) -> Option<String> {
        match expression {
            Expr::Nested(inner) => self.text(inner),
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => Some(format!("{}::text", literal(text))),
                _ => None,
            },
            other => match self.column_type(other) {
                Some(SqlType::Varchar(_) | SqlType::Char(_)) => Some(self.cast(&self.print(other)?, "text")),
                // What is no text is joined to one as it is.
                Some(_) => self.print(other),
                None => {
                    let printed = self.print(other)?;
                    let operates = self.pretty && matches!(other, Expr::BinaryOp { .. });
                    Some(if operates { format!("({printed})") } else { printed })
                }
            },
        }
    }

    /// Numbers of one type.
    fn arithmetic(&self, left: &Expr, op: &str, right: &Expr) -> Option<String> {
        let wanted = wider(self.number_of(left)?, self.number_of(right)?)?;
        let side = |side: &Expr| {
            let printed = self.print_number(side, &wanted)?;
            let operates = self.pretty && matches!(side, Expr::Nested(_) | Expr::BinaryOp { .. });
            Some(if operates { format!("({printed})") } else { printed })
        };
        Some(self.wrapped(format!("{} {op} {}", side(left)?, side(right)?)))
    }

    /// The type of a number: of a column, a literal, or what is computed of these.
    fn number_of(&self, expression: &Expr) -> Option<SqlType> {
        match expression {
            Expr::Nested(inner) => self.number_of(inner),
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => Some(match number_type(digits) {
                    "integer" => SqlType::Int4,
                    "bigint" => SqlType::Int8,
                    _ => SqlType::Numeric(None),
                }),
                _ => None,
            },
            Expr::BinaryOp { left, op, right } if arithmetic(op).is_some() => wider(self.number_of(left)?, self.number_of(right)?),
            other => match self.column_type(other)? {
                SqlType::Numeric(_) => Some(SqlType::Numeric(None)),
                of @ (SqlType::Int4 | SqlType::Int8 | SqlType::Float8) => Some(of.clone()),
                _ => None,
            },
        }
    }

    /// A number as an operand of a type.
    fn print_number(&self, expression: &Expr, wanted: &SqlType) -> Option<String> {
        let own = self.number_of(expression)?;
        let printed = match expression {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => digits.clone(),
                _ => return None,
            },
            other => self.print(other)?,
        };
        match (&own, wanted) {
            (own, wanted) if own == wanted => Some(printed),
            // PostgreSQL has operators for these pairs.
            (SqlType::Int4, SqlType::Int8) => Some(printed),
            (_, SqlType::Numeric(_)) => Some(self.cast(&printed, "numeric")),
            (_, SqlType::Float8) => Some(self.cast(&printed, "double precision")),
            _ => None,
        }
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
        if let (Expr::Function(_), Expr::Value(_)) = (left, right) {
            return Some(self.wrapped(format!("{} {op} {}", self.text(left)?, self.text(right)?)));
        }
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

/// Functions of texts, and of nothing else.
const OF_TEXTS: [&str; 9] = ["lower", "upper", "md5", "btrim", "ltrim", "rtrim", "initcap", "reverse", "length"];
/// Functions that are words of the grammar.
const OF_GRAMMAR: [&str; 4] = ["coalesce", "greatest", "least", "nullif"];
/// Functions that take a number as it is.
const OF_ANY: [&str; 1] = ["abs"];

fn arithmetic(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        _ => return None,
    })
}

/// The type in which two numbers meet.
fn wider(left: SqlType, right: SqlType) -> Option<SqlType> {
    let rank = |of: &SqlType| match of {
        SqlType::Int4 => Some(0),
        SqlType::Int8 => Some(1),
        SqlType::Numeric(_) => Some(2),
        SqlType::Float8 => Some(3),
        _ => None,
    };
    Some(if rank(&left)? >= rank(&right)? { left } else { right })
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
            generated: None,
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
