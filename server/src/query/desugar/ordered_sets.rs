//! Aggregates with WITHIN GROUP.
//!
//! An ordered set is collected by `array_agg`, in its order and without NULLs, and the functions of `functions/percentiles.rs` take from it what
//! is asked for. Hypothetical sets are counted.

use super::template;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, OrderByExpr,
};

/// The function that stands for an aggregate over an ordered set.
pub fn rewrite(expr: &mut Expr) -> Result<()> {
    let Expr::Function(function) = &*expr else { return Ok(()) };
    if function.within_group.is_empty() {
        return Ok(());
    }
    let name = function.name.to_string().to_lowercase();
    let rewritten = match name.as_str() {
        "percentile_cont" | "percentile_disc" | "mode" => of_ordered_set(&name, function)?,
        "rank" | "dense_rank" | "percent_rank" | "cume_dist" => hypothetical(&name, function)?,
        _ => return Ok(()),
    };
    *expr = rewritten;
    Ok(())
}

fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let value = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().filter_map(value).collect()
}

fn of_ordered_set(name: &str, function: &Function) -> Result<Expr> {
    let arguments = arguments(function);
    if function.over.is_some() {
        return Err(SqlError::unsupported(format!("OVER with ordered-set aggregate {name}")));
    }
    let wanted = usize::from(name != "mode");
    let [key] = function.within_group.as_slice() else { return Err(no_aggregate(name)) };
    if arguments.len() != wanted {
        return Err(no_aggregate(name));
    }
    let collected = collected(function, key);
    let called = format!("plimsoll_{name}");
    Ok(match arguments.first() {
        Some(fraction) => template(&format!("{called}(__x, __x_fraction)"), &[("__x", &collected), ("__x_fraction", fraction)], None),
        None => template(&format!("{called}(__x)"), &[("__x", &collected)], None),
    })
}

fn no_aggregate(name: &str) -> SqlError {
    SqlError::undefined_function(&format!("{name}()"))
}

/// `array_agg(key ORDER BY key) FILTER (WHERE key IS NOT NULL AND ...)`
fn collected(function: &Function, key: &OrderByExpr) -> Expr {
    let present = Expr::IsNotNull(Box::new(Expr::Nested(Box::new(key.expr.clone()))));
    let filter = both(present, function.filter.as_deref());
    let argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(key.expr.clone()));
    let clauses = vec![FunctionArgumentClause::OrderBy(vec![key.clone()])];
    aggregate("array_agg", vec![argument], clauses, filter, function)
}

fn both(condition: Expr, filter: Option<&Expr>) -> Expr {
    match filter {
        Some(filter) => template("(__x AND __x_filter)", &[("__x", &condition), ("__x_filter", filter)], None),
        None => condition,
    }
}

fn aggregate(name: &str, args: Vec<FunctionArg>, clauses: Vec<FunctionArgumentClause>, filter: Expr, like: &Function) -> Expr {
    let mut made = like.clone();
    made.name = datafusion::sql::sqlparser::ast::ObjectName::from(vec![datafusion::sql::sqlparser::ast::Ident::new(name)]);
    made.args = FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses });
    made.filter = Some(Box::new(filter));
    made.within_group = Vec::new();
    Expr::Function(made)
}

/// The place that a row would have among the others.
fn hypothetical(name: &str, function: &Function) -> Result<Expr> {
    let arguments = arguments(function);
    let ([value], [key]) = (arguments.as_slice(), function.within_group.as_slice()) else {
        return Err(SqlError::unsupported(format!("{name} of a hypothetical row of several columns")));
    };
    if function.filter.is_some() || function.over.is_some() {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("FILTER and OVER with hypothetical-set aggregate {name}")));
    }
    let descending = key.options.asc == Some(false);
    let nulls_first = key.options.nulls_first.unwrap_or(descending);
    let op = if descending { ">" } else { "<" };
    // Rows that stand before, and those that are equal.
    let before = match nulls_first {
        true => format!("(__x_key {op} __x OR __x_key IS NULL)"),
        false => format!("__x_key {op} __x"),
    };
    let sql = match name {
        "rank" => format!("(count(*) FILTER (WHERE {before}) + 1)"),
        "dense_rank" if nulls_first => {
            format!("(count(DISTINCT __x_key) FILTER (WHERE {before}) + 1 + max(CASE WHEN __x_key IS NULL THEN 1 ELSE 0 END))")
        }
        "dense_rank" => format!("(count(DISTINCT __x_key) FILTER (WHERE {before}) + 1)"),
        "percent_rank" => {
            format!("(CASE WHEN count(*) = 0 THEN 0 ELSE CAST(count(*) FILTER (WHERE {before}) AS DOUBLE PRECISION) / count(*) END)")
        }
        _ => format!("(CAST(count(*) FILTER (WHERE {before} OR __x_key = __x) + 1 AS DOUBLE PRECISION) / (count(*) + 1))"),
    };
    Ok(template(&sql, &[("__x_key", &key.expr), ("__x", value)], None))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse_expression;

    fn rewritten(sql: &str) -> String {
        let mut expr = parse_expression(sql).unwrap();
        rewrite(&mut expr).unwrap();
        expr.to_string()
    }

    #[test]
    fn ordered_sets_are_collected() {
        assert_eq!(
            rewritten("percentile_disc(0.5) within group (order by a desc)"),
            "plimsoll_percentile_disc((array_agg(a ORDER BY a DESC) FILTER (WHERE (a) IS NOT NULL)), (0.5))"
        );
        assert_eq!(rewritten("rank(5) within group (order by a)"), "(count(*) FILTER (WHERE (a) < (5)) + 1)");
    }
}
