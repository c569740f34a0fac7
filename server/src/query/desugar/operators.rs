//! Operators and literals that DataFusion lacks: `~x`, `@x`, `|/x`, `||/x`, `x ^@ y`, `x OPERATOR(pg_catalog.+) y`, `LIKE ANY (ARRAY[...])`,
//! `N'...'`, `U&'...'`, `COLLATE "C"`; and the minus sign before a power, which binds tighter.

use super::template;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, UnaryOperator, Value,
};

/// Rewrites one expression, whose parts are done.
pub fn rewrite(expr: &mut Expr) -> Result<()> {
    let rewritten = match &*expr {
        Expr::UnaryOp { op, expr: operand } => unary(op, operand),
        Expr::BinaryOp { left, op: BinaryOperator::PGStartsWith, right } => {
            Some(template("starts_with(__x, __x_start)", &[("__x", left), ("__x_start", right)], None))
        }
        Expr::BinaryOp { left, op: BinaryOperator::PGCustomBinaryOperator(name), right } => named(name).map(|op| {
            let nested = |side: &Expr| Box::new(Expr::Nested(Box::new(side.clone())));
            Expr::Nested(Box::new(Expr::BinaryOp { left: nested(left), op, right: nested(right) }))
        }),
        Expr::Like { any: true, pattern, .. } | Expr::ILike { any: true, pattern, .. } => {
            items(pattern).and_then(|items| each(expr, items, BinaryOperator::Or))
        }
        Expr::Like { any: false, pattern, .. } | Expr::ILike { any: false, pattern, .. } => {
            all_of(pattern).and_then(|items| each(expr, items, BinaryOperator::And))
        }
        Expr::Collate { expr: inner, collation } => Some(collated(inner, collation)?),
        Expr::Value(value) => literal(&value.value)?,
        _ => None,
    };
    if let Some(rewritten) = rewritten {
        *expr = rewritten;
    }
    Ok(())
}

fn unary(op: &UnaryOperator, operand: &Expr) -> Option<Expr> {
    let sql = match op {
        UnaryOperator::BitwiseNot => "(__x # -1)",
        UnaryOperator::PGAbs => "abs(__x)",
        UnaryOperator::PGSquareRoot => "sqrt(__x)",
        UnaryOperator::PGCubeRoot => "cbrt(__x)",
        UnaryOperator::Minus => return tighter_minus(operand),
        _ => return None,
    };
    Some(template(sql, &[("__x", operand)], None))
}

/// `-2 ^ 2` is `(-2) ^ 2`.
fn tighter_minus(operand: &Expr) -> Option<Expr> {
    let mut power = operand.clone();
    if !is_power(&power) {
        return None;
    }
    let mut base = &mut power;
    while is_power(base) {
        let Expr::BinaryOp { left, .. } = base else { return None };
        base = left.as_mut();
    }
    *base = Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(base.clone()) }));
    Some(power)
}

fn is_power(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::PGExp | BinaryOperator::BitwiseXor, .. })
}

/// An operator by its name, perhaps with the system's schema.
fn named(name: &[String]) -> Option<BinaryOperator> {
    Some(match name.last()?.as_str() {
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "||" => BinaryOperator::StringConcat,
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        _ => return None,
    })
}

/// The elements of an array that is written out.
fn items(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Nested(inner) => items(inner),
        Expr::Array(array) if !array.elem.is_empty() => Some(array.elem.clone()),
        _ => None,
    }
}

/// `ALL (ARRAY[...])`, which the parser takes for a call.
fn all_of(pattern: &Expr) -> Option<Vec<Expr>> {
    let Expr::Function(function) = pattern else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] if function.name.to_string().eq_ignore_ascii_case("all") => items(array),
        _ => None,
    }
}

fn each(like: &Expr, patterns: Vec<Expr>, op: BinaryOperator) -> Option<Expr> {
    let with = |one: Expr| {
        let mut like = like.clone();
        if let Expr::Like { any, pattern, .. } | Expr::ILike { any, pattern, .. } = &mut like {
            *any = false;
            **pattern = one;
        }
        like
    };
    let tests = patterns.into_iter().map(with);
    let joined = tests.reduce(|left, right| Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) })?;
    Some(Expr::Nested(Box::new(joined)))
}

/// Texts are compared byte by byte, which is what the collation "C" says.
fn collated(inner: &Expr, collation: &ObjectName) -> Result<Expr> {
    let name = collation.0.last().and_then(|part| part.as_ident()).map(|name| name.value.clone()).unwrap_or_default();
    if ["C", "POSIX", "default", "ucs_basic"].contains(&name.as_str()) {
        return Ok(Expr::Nested(Box::new(inner.clone())));
    }
    let message = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
}

fn literal(value: &Value) -> Result<Option<Expr>> {
    match value {
        Value::NationalStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
            Ok(Some(Expr::value(Value::SingleQuotedString(text.clone()))))
        }
        Value::HexStringLiteral(_) | Value::SingleQuotedByteStringLiteral(_) => Err(SqlError::unsupported("type bit")),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::session::parse::parse_expression;

    fn plain(sql: &str) -> String {
        let mut expr = parse_expression(sql).unwrap();
        crate::query::desugar::expression(&mut expr).unwrap();
        expr.to_string()
    }

    #[test]
    fn operators_in_other_words() {
        let table = [
            ("-2 ^ 2", "(-2) ^ 2"),
            ("@ x", "abs((x))"),
            ("a ^@ b", "starts_with((a), (b))"),
            ("a collate \"C\" < b", "(a) < b"),
            ("a like any (array['x', 'y'])", "(a LIKE 'x' OR a LIKE 'y')"),
            ("N'abc'", "'abc'"),
        ];
        for (sql, expected) in table {
            assert_eq!(plain(sql), expected, "{sql}");
        }
    }
}
