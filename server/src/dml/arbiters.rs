//! Which unique keys the target of ON CONFLICT means.
//!
//! `ON CONFLICT (a, lower(b)) WHERE condition` means each key that is made of just these parts, in any order; of keys of some rows only those
//! whose condition follows from the one given. Both sides are planned over the table before they are compared, so that it does not matter how they
//! are written.

use crate::catalog::Constraint;
use crate::catalog::names::fold;
use crate::catalog::unique_key::{KeyOptions, KeyPart};
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::Target;
use crate::query::QueryContext;
use crate::session::clauses::inferred;
use crate::session::parse::parse_expression;
use crate::types::SqlType;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr};
use datafusion::sql::sqlparser::ast::{ConflictTarget, Expr, ObjectName, Spanned};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::ColumnId;

/// The places of the keys among the table's constraints: of all, without a target.
pub(super) fn arbiters(context: &QueryContext, target: &Target, wanted: Option<&ConflictTarget>) -> Result<Vec<usize>> {
    let constraints = target.definition.constraints.iter().enumerate();
    let unique: Vec<(usize, &Constraint)> = constraints.filter(|(_, constraint)| constraint.key_options().is_some()).collect();
    let usable = |found: &[(usize, &Constraint)]| match found.iter().any(|(_, constraint)| is_deferrable(constraint)) {
        true => Err(deferrable()),
        false => Ok(found.iter().map(|(place, _)| *place).collect()),
    };
    match wanted {
        None => usable(&unique),
        Some(ConflictTarget::OnConstraint(name)) => usable(&[of_name(target, &unique, name)?]),
        Some(ConflictTarget::Columns(names)) => {
            let wanted = Wanted::of(context, target, names)?;
            let mut found = Vec::new();
            for (place, constraint) in unique {
                if wanted.is_met_by(context, target, constraint)? {
                    found.push((place, constraint));
                }
            }
            if found.is_empty() { Err(no_arbiter()) } else { usable(&found) }
        }
    }
}

fn is_deferrable(constraint: &Constraint) -> bool {
    constraint.key_options().is_some_and(|options| options.deferrable)
}

fn deferrable() -> SqlError {
    let message = "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters";
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}

fn no_arbiter() -> SqlError {
    let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
}

fn of_name<'a>(target: &Target, unique: &[(usize, &'a Constraint)], name: &ObjectName) -> Result<(usize, &'a Constraint)> {
    let name = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let is_it = |constraint: &Constraint| constraint.name() == name && !target.definition.is_of_index(&name);
    unique.iter().find(|(_, constraint)| is_it(constraint)).copied().ok_or_else(|| {
        let message = format!("constraint \"{name}\" for table \"{}\" does not exist", target.name);
        SqlError::new(SqlState::UNDEFINED_OBJECT, message)
    })
}

/// A planned expression.
type Planned = Arc<dyn PhysicalExpr>;

/// What a target asks for.
struct Wanted {
    columns: BTreeSet<ColumnId>,
    expressions: Vec<Planned>,
    /// What holds of all rows that are meant: conditions joined by AND.
    given: Vec<Planned>,
}

impl Wanted {
    fn of(context: &QueryContext, target: &Target, names: &[datafusion::sql::sqlparser::ast::Ident]) -> Result<Self> {
        let inferred = inferred(names)?;
        let mut wanted = Self { columns: BTreeSet::new(), expressions: Vec::new(), given: Vec::new() };
        for part in &inferred.parts {
            match plain_column(part) {
                Some(name) => {
                    let missing = || SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")).at(part.span());
                    wanted.columns.insert(target.definition.column(&name).ok_or_else(missing)?.id);
                }
                None => wanted.expressions.push(plan(context, target, part, None)?),
            }
        }
        if let Some(condition) = &inferred.condition {
            conjuncts(&plan(context, target, condition, Some(&SqlType::Boolean))?, &mut wanted.given);
        }
        Ok(wanted)
    }

    fn is_met_by(&self, context: &QueryContext, target: &Target, constraint: &Constraint) -> Result<bool> {
        let Constraint::Unique { columns, options, .. } = constraint else { return Ok(false) };
        if columns.iter().copied().collect::<BTreeSet<_>>() != self.columns {
            return Ok(false);
        }
        let own = own_expressions(context, target, options)?;
        let same = self.expressions.iter().all(|wanted| own.contains(wanted)) && own.iter().all(|own| self.expressions.contains(own));
        let Some(condition) = options.condition.as_ref().filter(|_| same) else { return Ok(same) };
        let condition = plan(context, target, &parse_expression(condition)?, Some(&SqlType::Boolean))?;
        Ok(follows(&condition, &self.given))
    }
}

fn own_expressions(context: &QueryContext, target: &Target, options: &KeyOptions) -> Result<Vec<Planned>> {
    let texts = options.parts.iter().filter_map(|part| match part {
        KeyPart::Column(_) => None,
        KeyPart::Expression(text) => Some(text),
    });
    texts.map(|text| plan(context, target, &parse_expression(text)?, None)).collect()
}

fn plain_column(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(ident) => Some(fold(ident)),
        Expr::Nested(inner) => plain_column(inner),
        _ => None,
    }
}

fn plan(context: &QueryContext, target: &Target, expression: &Expr, sql_type: Option<&SqlType>) -> Result<Planned> {
    context.plan_expression(expression, Some((&target.name, target.arrow.clone())), sql_type)
}

fn sides<'a>(expression: &'a Planned, joined_by: &[Operator]) -> Option<(&'a Planned, &'a Planned)> {
    let binary = expression.downcast_ref::<BinaryExpr>()?;
    joined_by.contains(binary.op()).then(|| (binary.left(), binary.right()))
}

/// Takes apart what AND joins.
fn conjuncts(expression: &Planned, all: &mut Vec<Planned>) {
    match sides(expression, &[Operator::And]) {
        Some((left, right)) => {
            conjuncts(left, all);
            conjuncts(right, all);
        }
        None => all.push(expression.clone()),
    }
}

/// Whether a condition is true wherever all that is given is.
fn follows(condition: &Planned, given: &[Planned]) -> bool {
    if let Some((left, right)) = sides(condition, &[Operator::And]) {
        return follows(left, given) && follows(right, given);
    }
    if given.contains(condition) {
        return true;
    }
    if let Some((left, right)) = sides(condition, &[Operator::Or]) {
        return follows(left, given) || follows(right, given);
    }
    let not_null = condition.downcast_ref::<IsNotNullExpr>().map(IsNotNullExpr::arg);
    not_null.is_some_and(|operand| given.iter().any(|given| is_false_for_null(given, operand)))
}

/// Whether a condition cannot be true where its operand is NULL.
fn is_false_for_null(condition: &Planned, operand: &Planned) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    if condition == operand && operand.downcast_ref::<Column>().is_some() {
        return true;
    }
    sides(condition, &[Eq, NotEq, Lt, LtEq, Gt, GtEq]).is_some_and(|(left, right)| left == operand || right == operand)
}
