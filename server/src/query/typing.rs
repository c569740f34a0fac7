//! Operators and functions on types for which PostgreSQL has none: checked on the plan before types are coerced.
//!
//! DataFusion finds a common type where PostgreSQL refuses (`text = integer`), and casts values while the query runs. A rule here speaks only
//! of types that it is sure of: an expression whose type is not one of the plain ones is left to DataFusion.

use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{AggregateFunction, Between, Case, InList, Like, ScalarFunction, WindowFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Union};

/// Types that compare with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Number,
    Text,
    Boolean,
    Moment,
    Span,
    Bytes,
}

/// An expression's type, where it is a plain one.
#[derive(Clone, Debug)]
struct Known {
    family: Family,
    name: String,
}

/// Functions whose first argument is text and nothing else.
const OF_TEXT: [(&str, &str); 14] = [
    ("upper", "upper"),
    ("lower", "lower"),
    ("character_length", "length"),
    ("initcap", "initcap"),
    ("left", "left"),
    ("right", "right"),
    ("lpad", "lpad"),
    ("rpad", "rpad"),
    ("replace", "replace"),
    ("repeat", "repeat"),
    ("reverse", "reverse"),
    ("split_part", "split_part"),
    ("starts_with", "starts_with"),
    ("ascii", "ascii"),
];

/// Refuses what PostgreSQL refuses. Plans that read the system catalog are not looked at: its types differ from PostgreSQL's.
pub fn check(plan: &LogicalPlan) -> Result<()> {
    if reads_catalog(plan)? {
        return Ok(());
    }
    plan.apply_with_subqueries(|node| {
        node_checked(node).map_err(DataFusionError::from)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The same for an expression outside a query.
pub fn check_expression(expr: &Expr, schema: &DFSchema) -> Result<()> {
    expr.apply(|expr| {
        expression(expr, schema).map_err(DataFusionError::from)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Whether a plan reads the system's catalog.
pub(super) fn reads_catalog(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let system = |schema: &str| matches!(schema, "pg_catalog" | "information_schema" | "plimsoll");
            found |= scan.table_name.table().starts_with("pg_") || scan.table_name.schema().is_some_and(system);
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn node_checked(node: &LogicalPlan) -> Result<()> {
    let schema = merge_schema(&node.inputs());
    match node {
        LogicalPlan::Join(join) => {
            for (left, right) in &join.on {
                compared(left, Operator::Eq, right, &schema)?;
            }
            if let Some(filter) = &join.filter {
                boolean(filter, "JOIN/ON", &schema)?;
            }
        }
        LogicalPlan::Union(union) => union_checked(union)?,
        LogicalPlan::Aggregate(aggregate) => distinguished(&aggregate.group_expr, &schema, false)?,
        LogicalPlan::Distinct(distinct) => {
            let columns: Vec<Expr> = distinct.input().schema().columns().into_iter().map(Expr::Column).collect();
            distinguished(&columns, &schema, false)?;
        }
        LogicalPlan::Sort(sort) => {
            let keys: Vec<Expr> = sort.expr.iter().map(|key| key.expr.clone()).collect();
            distinguished(&keys, &schema, true)?;
        }
        _ => {}
    }
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            expression(expr, &schema).map_err(DataFusionError::from)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

fn expression(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let clause = if *op == Operator::And { "AND" } else { "OR" };
            boolean(left, clause, schema).and_then(|()| boolean(right, clause, schema))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => compared(left, *op, right, schema),
        Expr::Not(inner) => boolean(inner, "NOT", schema),
        Expr::Between(Between { expr, low, high, .. }) => {
            compared(expr, Operator::GtEq, low, schema).and_then(|()| compared(expr, Operator::LtEq, high, schema))
        }
        Expr::InList(InList { expr, list, .. }) => list.iter().try_for_each(|item| compared(expr, Operator::Eq, item, schema)),
        Expr::InSubquery(inner) => {
            let field = inner.subquery.subquery.schema().fields().first().map(|field| plain(&SqlType::of_field(field), field.data_type()));
            comparable(known(&inner.expr, schema), "=", field.flatten())
        }
        Expr::Like(like) => liked(like, schema),
        Expr::Case(case) => case_checked(case, schema),
        Expr::ScalarFunction(call) => function(call, schema),
        Expr::AggregateFunction(call) => aggregate(call, schema),
        Expr::WindowFunction(call) => window_arguments(call),
        _ => Ok(()),
    }
}

/// The type of an expression; `None` where PostgreSQL's could be another, as for a literal in quotes.
fn known(expr: &Expr, schema: &DFSchema) -> Option<Known> {
    match expr {
        Expr::Alias(alias) => known(&alias.expr, schema),
        Expr::Literal(value, _) => literal(value),
        Expr::Placeholder(_) => None,
        // The difference of dates is a number in PostgreSQL, and something else in between here.
        Expr::BinaryExpr(BinaryExpr { op: Operator::Minus, .. }) => {
            typed(expr, schema).filter(|known| matches!(known.family, Family::Number | Family::Moment))
        }
        _ => typed(expr, schema),
    }
}

fn typed(expr: &Expr, schema: &DFSchema) -> Option<Known> {
    let (_, field) = expr.to_field(schema).ok()?;
    plain(&SqlType::of_field(&field), field.data_type())
}

fn literal(value: &ScalarValue) -> Option<Known> {
    match value {
        ScalarValue::Utf8(_) | ScalarValue::LargeUtf8(_) | ScalarValue::Utf8View(_) => None,
        value if value.is_null() => None,
        ScalarValue::Int64(Some(number)) if i32::try_from(*number).is_ok() => {
            Some(Known { family: Family::Number, name: "integer".into() })
        }
        value => plain(&SqlType::of_arrow(&value.data_type()), &value.data_type()),
    }
}

fn plain(sql_type: &SqlType, arrow: &DataType) -> Option<Known> {
    let family = match sql_type {
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(_) => Family::Number,
        SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) if is_string(arrow) => Family::Text,
        SqlType::Boolean => Family::Boolean,
        SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz => Family::Moment,
        SqlType::Interval | SqlType::Time if !matches!(arrow, DataType::Duration(_)) => Family::Span,
        SqlType::Bytea if !matches!(arrow, DataType::FixedSizeBinary(_)) => Family::Bytes,
        _ => return None,
    };
    let unmodified = match sql_type {
        SqlType::Numeric(_) => SqlType::Numeric(None),
        SqlType::Varchar(_) => SqlType::Varchar(None),
        SqlType::Char(_) => return Some(Known { family, name: "character".into() }),
        other => other.clone(),
    };
    Some(Known { family, name: unmodified.name() })
}

fn is_string(arrow: &DataType) -> bool {
    match arrow {
        DataType::Dictionary(_, values) => is_string(values),
        other => matches!(other, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

/// Comparisons as PostgreSQL writes them; arithmetic has rules of its own.
fn comparison(op: Operator) -> Option<&'static str> {
    Some(match op {
        Operator::Eq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => "=",
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        _ => return None,
    })
}

fn compared(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> Result<()> {
    match comparison(op) {
        Some(op) => comparable(known(left, schema), op, known(right, schema)),
        None => Ok(()),
    }
}

fn comparable(left: Option<Known>, op: &str, right: Option<Known>) -> Result<()> {
    match (left, right) {
        (Some(left), Some(right)) if left.family != right.family => {
            Err(SqlError::undefined_operator(&format!("{} {op} {}", left.name, right.name)))
        }
        _ => Ok(()),
    }
}

fn liked(like: &Like, schema: &DFSchema) -> Result<()> {
    let op = match (like.negated, like.case_insensitive) {
        (false, false) => "~~",
        (true, false) => "!~~",
        (false, true) => "~~*",
        (true, true) => "!~~*",
    };
    let (left, right) = (known(&like.expr, schema), known(&like.pattern, schema));
    if [&left, &right].into_iter().flatten().any(|known| known.family == Family::Bytes) {
        return Err(SqlError::unsupported("LIKE of bytea"));
    }
    let texts = |known: &Option<Known>| known.as_ref().is_none_or(|known| known.family == Family::Text);
    if texts(&left) && texts(&right) {
        return Ok(());
    }
    Err(SqlError::undefined_operator(&format!("{} {op} {}", shown(left), shown(right))))
}

fn shown(known: Option<Known>) -> String {
    known.map_or_else(|| "unknown".into(), |known| known.name)
}

fn boolean(expr: &Expr, clause: &str, schema: &DFSchema) -> Result<()> {
    match known(expr, schema) {
        Some(known) if known.family != Family::Boolean => Err(SqlError::not_boolean(clause, &known.name)),
        _ => Ok(()),
    }
}

fn case_checked(case: &Case, schema: &DFSchema) -> Result<()> {
    for (when, _) in &case.when_then_expr {
        match &case.expr {
            Some(base) => compared(base, Operator::Eq, when, schema)?,
            None => boolean(when, "CASE/WHEN", schema)?,
        }
    }
    let otherwise = case.else_expr.as_deref();
    common("CASE", otherwise.into_iter().chain(case.when_then_expr.iter().map(|(_, then)| then.as_ref())), schema)
}

/// Values of which one is the result must be of one family.
fn common<'a>(what: &str, values: impl Iterator<Item = &'a Expr>, schema: &DFSchema) -> Result<()> {
    let mut first: Option<Known> = None;
    for value in values.filter_map(|value| known(value, schema)) {
        match &first {
            Some(first) => matched(what, first, &value)?,
            None => first = Some(value),
        }
    }
    Ok(())
}

fn matched(what: &str, left: &Known, right: &Known) -> Result<()> {
    if left.family == right.family {
        return Ok(());
    }
    let message = format!("{what} types {} and {} cannot be matched", left.name, right.name);
    Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
}

fn function(call: &ScalarFunction, schema: &DFSchema) -> Result<()> {
    match (call.name(), call.args.as_slice()) {
        ("nullif", [left, right]) => compared(left, Operator::Eq, right, schema),
        ("coalesce", values) => common("COALESCE", values.iter(), schema),
        (name, [first, ..]) => {
            let Some((_, shown)) = OF_TEXT.iter().find(|(ours, _)| *ours == name) else { return Ok(()) };
            let bytes = matches!(*shown, "length" | "reverse");
            match known(first, schema) {
                Some(known) if known.family != Family::Text && !(bytes && known.family == Family::Bytes) => {
                    Err(no_function(shown, &call.args, schema))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn no_function(name: &str, arguments: &[Expr], schema: &DFSchema) -> SqlError {
    let types: Vec<String> = arguments.iter().map(|argument| shown(known(argument, schema))).collect();
    SqlError::undefined_function(&format!("{name}({})", types.join(", ")))
}

fn aggregate(call: &AggregateFunction, schema: &DFSchema) -> Result<()> {
    if let Some(filter) = &call.params.filter {
        boolean(filter, "FILTER", schema)?;
    }
    if let Some(first) = call.params.args.first()
        && let ("min" | "max", Some(without)) = (call.func.name(), without_order(first, schema))
    {
        return Err(SqlError::undefined_function(&format!("{}({without})", call.func.name())));
    }
    let bytes = call.params.args.first().and_then(|arg| known(arg, schema)).is_some_and(|known| known.family == Family::Bytes);
    if call.func.name() == "string_agg" && bytes {
        return Err(SqlError::unsupported("string_agg of bytea"));
    }
    if call.func.name() == "string_agg"
        && call.params.args.iter().filter_map(|arg| known(arg, schema)).any(|known| known.family != Family::Text)
    {
        return Err(no_function("string_agg", &call.params.args, schema));
    }
    if call.func.name() == "count" && call.params.args.len() > 1 && !call.params.distinct {
        return Err(no_function("count", &call.params.args, schema));
    }
    Ok(())
}

/// The type of a value, if it is one of those that have no greatest value.
fn without_order(expr: &Expr, schema: &DFSchema) -> Option<String> {
    let (_, field) = expr.to_field(schema).ok()?;
    let found = SqlType::of_field(&field);
    matches!(found, SqlType::Boolean | SqlType::Uuid | SqlType::Json | SqlType::Jsonb | SqlType::Bytea).then(|| found.name())
}

/// A json is a text as it was written: nobody can say whether two are equal, or which comes first.
fn distinguished(exprs: &[Expr], schema: &DFSchema, ordered: bool) -> Result<()> {
    let is_json = |expr: &&Expr| expr.to_field(schema).is_ok_and(|(_, field)| SqlType::of_field(&field) == SqlType::Json);
    if !exprs.iter().any(|expr| is_json(&expr)) {
        return Ok(());
    }
    let (operator, hint) = match ordered {
        true => ("ordering", Some("Use an explicit ordering operator or modify the query.")),
        false => ("equality", None),
    };
    let error = SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("could not identify an {operator} operator for type json"));
    Err(if let Some(hint) = hint { error.with_hint(hint) } else { error })
}

/// Numbers that must be positive.
fn window_arguments(call: &WindowFunction) -> Result<()> {
    let (argument, state) = match call.fun.name() {
        "ntile" => (call.params.args.first(), SqlState("22014")),
        "nth_value" => (call.params.args.get(1), SqlState("22016")),
        _ => return Ok(()),
    };
    let number = match argument.map(|argument| argument.clone().unalias()) {
        Some(Expr::Literal(value, _)) => value.cast_to(&DataType::Int64).ok(),
        _ => None,
    };
    match number {
        Some(ScalarValue::Int64(Some(number))) if number <= 0 => {
            Err(SqlError::new(state, format!("argument of {} must be greater than zero", call.fun.name())))
        }
        _ => Ok(()),
    }
}

fn union_checked(union: &Union) -> Result<()> {
    let Some(first) = union.inputs.first() else { return Ok(()) };
    for column in 0..first.schema().fields().len() {
        let mut types = union.inputs.iter().filter_map(|input| column_type(input, column));
        let Some(left) = types.next() else { continue };
        types.try_for_each(|right| matched("UNION", &left, &right))?;
    }
    Ok(())
}

/// The type of a column of a union's part; a literal in quotes has none of its own.
fn column_type(plan: &LogicalPlan, column: usize) -> Option<Known> {
    match plan {
        LogicalPlan::Projection(projection) => known(projection.expr.get(column)?, projection.input.schema()),
        LogicalPlan::Union(union) => union.inputs.iter().find_map(|input| column_type(input, column)),
        LogicalPlan::Distinct(distinct) => column_type(distinct.input(), column),
        other => {
            let field = other.schema().fields().get(column)?;
            plain(&SqlType::of_field(field), field.data_type())
        }
    }
}
