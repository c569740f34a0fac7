//! Values for columns that a statement leaves out: DEFAULT, identity, or NULL.

use super::Target;
use super::expression::{empty_rows, parse_expression};
use crate::access::acl::{self, Kind};
use crate::access::rights::denied;
use crate::catalog::names::{QualifiedName, quote_qualified};
use crate::catalog::{Catalog, ColumnDefinition};
use crate::error::{Result, SqlError};
use crate::query::{QueryContext, SequenceAccess};
use arrow::array::{ArrayRef, Int64Array, new_null_array};
use arrow::compute::cast_with_options;
use datafusion::common::ScalarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast;
use std::sync::Arc;

/// Where the values of one column come from.
#[derive(Clone, Debug)]
pub enum Default {
    /// The same value in each row.
    Constant(ScalarValue),
    /// The numbers of a sequence.
    Sequence {
        /// Its name as SQL text.
        name: String,
        /// Where numbers come from.
        sequences: Arc<dyn SequenceAccess>,
    },
    /// An expression, evaluated for each row.
    Expression(Arc<dyn PhysicalExpr>),
}

impl Default {
    /// The default of a column.
    pub fn of(context: &QueryContext, target: &Target, column: &ColumnDefinition) -> Result<Self> {
        if column.identity.is_some() {
            let name = identity_sequence(&context.view.catalog, target, column)?;
            return Ok(Self::Sequence { name, sequences: context.sequences.clone() });
        }
        match &column.default {
            None => Ok(Self::Constant(ScalarValue::try_from(column.sql_type.arrow())?)),
            Some(sql) => Self::of_expression(context, target, column, &parse_expression(sql)?),
        }
    }

    fn of_expression(context: &QueryContext, target: &Target, column: &ColumnDefinition, expression: &ast::Expr) -> Result<Self> {
        if let Some(name) = nextval_argument(expression) {
            permit_taking(context, &name)?;
            return Ok(Self::Sequence { name, sequences: context.sequences.clone() });
        }
        if is_constant(expression) {
            let compute = || context.constant(expression, &column.sql_type);
            return target.constant_default(column.id.0, compute).map(Self::Constant);
        }
        Ok(Self::Expression(context.plan_expression(expression, None, Some(&column.sql_type))?))
    }

    /// Values for so many rows. Taking numbers of a sequence waits for the log.
    pub async fn values(&self, column: &ColumnDefinition, rows: usize) -> Result<ArrayRef> {
        match self {
            Self::Constant(value) if value.is_null() => Ok(new_null_array(&column.sql_type.arrow(), rows)),
            Self::Constant(value) => Ok(value.to_array_of_size(rows)?),
            Self::Sequence { name, sequences } => next_values(name.clone(), sequences.clone(), column, rows).await,
            Self::Expression(expression) => {
                let values = expression.evaluate(&empty_rows(rows)?)?.into_array(rows)?;
                crate::types::input::coerce_assignment(&column.sql_type, values)
            }
        }
    }
}

async fn next_values(name: String, sequences: Arc<dyn SequenceAccess>, column: &ColumnDefinition, rows: usize) -> Result<ArrayRef> {
    let taken = tokio::task::spawn_blocking(move || sequences.next_values(&name, rows)).await;
    let numbers = taken.map_err(|_| SqlError::internal("taking numbers of a sequence was interrupted"))??;
    let numbers: ArrayRef = Arc::new(Int64Array::from(numbers));
    let strict = arrow::compute::CastOptions { safe: false, ..arrow::compute::CastOptions::default() };
    cast_with_options(&numbers, &column.sql_type.arrow(), &strict).map_err(|_| super::assignment::out_of_range(&column.sql_type))
}

fn identity_sequence(catalog: &Catalog, target: &Target, column: &ColumnDefinition) -> Result<String> {
    let mut sequences = catalog.sequences_of(target.oid(), Some(column.id));
    let found = sequences.next().map(|(found, _)| quote_qualified(found.schema, found.name));
    found.ok_or_else(|| SqlError::internal(format!("identity column \"{}\" has no sequence", column.name)))
}

/// 42501 unless the role may take numbers of a sequence; of one that does not exist others complain.
fn permit_taking(context: &QueryContext, name: &str) -> Result<()> {
    let rights = context.rights();
    let Some(found) = context.view.catalog.find(&QualifiedName::from_text(name)?, &context.search_path) else { return Ok(()) };
    match rights.has_any(Kind::Sequence, found.relation().oid(), acl::USAGE | acl::UPDATE) {
        true => Ok(()),
        false => Err(denied("sequence", found.name)),
    }
}

/// The sequence of `nextval('name')` or `nextval('name'::regclass)`.
fn nextval_argument(expression: &ast::Expr) -> Option<String> {
    let ast::Expr::Function(function) = expression else { return None };
    if !function.name.to_string().eq_ignore_ascii_case("nextval") {
        return None;
    }
    let ast::FunctionArguments::List(list) = &function.args else { return None };
    let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(argument))] = &list.args[..] else { return None };
    let argument = match argument {
        ast::Expr::Cast { expr, .. } => expr,
        other => other,
    };
    let ast::Expr::Value(value) = argument else { return None };
    value.value.clone().into_string()
}

/// Whether an expression is a literal, perhaps signed, or cast.
pub fn is_constant(expression: &ast::Expr) -> bool {
    match expression {
        ast::Expr::Value(value) => !matches!(value.value, ast::Value::Placeholder(_)),
        ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus | ast::UnaryOperator::Plus, expr } => is_constant(expr),
        ast::Expr::Cast { expr, .. } => is_constant(expr),
        ast::Expr::Nested(expr) => is_constant(expr),
        _ => false,
    }
}
