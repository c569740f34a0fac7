//! A query's plan, changed so that the places of the rows to be locked come out beside its columns.
//!
//! From the top of the plan down to its tables: a table is read with the two columns that name its rows, under names that nothing else in the plan has,
//! and what lies above hands them on. What would make one row of several cannot: it is refused in PostgreSQL's words.

use super::clauses::{How, Item};
use crate::engine::locks::RowStrength;
use crate::error::{Result, SqlError, SqlState};
use crate::query::table::{ROW_COLUMN, SEGMENT_COLUMN, SegmentTable};
use crate::session::lock_clauses::name;
use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::common::{Column, JoinType, TableReference};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, Projection, TableScan};
use std::sync::Arc;

/// A table whose rows are locked.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// Its OID.
    pub table: u32,
    /// Its name.
    pub name: String,
    /// How.
    pub how: How,
}

/// The changed plan: the columns of the old one, and then for each table (unit, offset).
pub fn carry(plan: &LogicalPlan, items: &[Item]) -> Result<(LogicalPlan, Vec<Carried>)> {
    let mut carrier = Carrier { items, met: vec![false; items.len()], carried: Vec::new() };
    let (carried, mut ids) = carrier.top(plan)?;
    if let Some(at) = carrier.met.iter().position(|met| !met) {
        return Err(SqlError::unsupported(format!("{} of \"{}\" in this query", name(items[at].how.strength), items[at].name)));
    }
    ids.sort_unstable();
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let places = ids.iter().flat_map(|id| names(*id)).map(|column| column_named(&carried, &column)).collect::<Result<Vec<_>>>()?;
    let carried = LogicalPlan::Projection(Projection::try_new(columns.chain(places).collect(), Arc::new(carried))?);
    Ok((carried, carrier.carried))
}

/// The plan, and the tables whose rows it names.
type Changed = (LogicalPlan, Vec<usize>);

struct Carrier<'a> {
    items: &'a [Item],
    met: Vec<bool>,
    carried: Vec<Carried>,
}

fn names(id: usize) -> [String; 2] {
    [format!("__locked_unit_{id}"), format!("__locked_row_{id}")]
}

fn column_named(plan: &LogicalPlan, name: &str) -> Result<Expr> {
    let (qualifier, field) = plan.schema().qualified_field_with_unqualified_name(name)?;
    Ok(Expr::Column(Column::from((qualifier, field))))
}

fn refused(strength: RowStrength, what: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{} is not allowed with {what}", name(strength)))
}

impl Carrier<'_> {
    /// The query's own level: relations are found by their names.
    fn top(&mut self, plan: &LogicalPlan) -> Result<Changed> {
        let visible = match plan {
            LogicalPlan::TableScan(scan) => Some(scan.table_name.table()),
            LogicalPlan::SubqueryAlias(alias) => Some(alias.alias.table()),
            _ => None,
        };
        if let Some(visible) = visible {
            return match self.items.iter().position(|item| item.name == visible) {
                Some(at) => {
                    self.met[at] = true;
                    self.within(plan, self.items[at].how)
                }
                None => Ok((plan.clone(), Vec::new())),
            };
        }
        match plan {
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
                let input = self.top(plan.inputs()[0])?;
                above(plan, input)
            }
            LogicalPlan::Join(join) => {
                let sides = (self.top(&join.left)?, self.top(&join.right)?);
                self.join(join, sides)
            }
            _ => Ok((plan.clone(), Vec::new())),
        }
    }

    /// Within a relation: all of its tables are meant.
    fn within(&mut self, plan: &LogicalPlan, how: How) -> Result<Changed> {
        match plan {
            LogicalPlan::TableScan(scan) => self.table(plan, scan, how),
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_) => {
                let input = self.within(plan.inputs()[0], how)?;
                above(plan, input)
            }
            LogicalPlan::Join(join) => {
                let left = self.within(&join.left, how)?;
                let right = match join.join_type {
                    JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (LogicalPlan::clone(&join.right), Vec::new()),
                    _ => self.within(&join.right, how)?,
                };
                self.join(join, (left, right))
            }
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => Ok((plan.clone(), Vec::new())),
            LogicalPlan::Distinct(_) => Err(refused(how.strength, "DISTINCT clause")),
            LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.is_empty() => Err(refused(how.strength, "GROUP BY clause")),
            LogicalPlan::Aggregate(_) => Err(refused(how.strength, "aggregate functions")),
            LogicalPlan::Window(_) => Err(refused(how.strength, "window functions")),
            LogicalPlan::Union(_) => Err(refused(how.strength, "UNION/INTERSECT/EXCEPT")),
            LogicalPlan::Unnest(_) => Err(refused(how.strength, "set-returning functions in the target list")),
            _ => Err(SqlError::unsupported(format!("{} of this query", name(how.strength)))),
        }
    }

    fn join(&self, join: &Join, ((left, left_ids), (right, right_ids)): (Changed, Changed)) -> Result<Changed> {
        let (left_null, right_null) = match join.join_type {
            JoinType::Left => (false, true),
            JoinType::Right => (true, false),
            JoinType::Full => (true, true),
            _ => (false, false),
        };
        let nullable = if left_null { left_ids.first() } else { None }.or(if right_null { right_ids.first() } else { None });
        if let Some(id) = nullable {
            let message = format!("{} cannot be applied to the nullable side of an outer join", name(self.carried[*id].how.strength));
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let join = Join::try_new(
            Arc::new(left),
            Arc::new(right),
            join.on.clone(),
            join.filter.clone(),
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        Ok((LogicalPlan::Join(join), left_ids.into_iter().chain(right_ids).collect()))
    }

    /// A table with the places of its rows; a view as its query; what else is read has no rows to lock.
    fn table(&mut self, plan: &LogicalPlan, scan: &TableScan, how: How) -> Result<Changed> {
        if let Some(view) = scan.source.get_logical_plan() {
            let (inner, ids) = self.within(&view, how)?;
            return Ok((aliased(inner, &scan.table_name)?, ids));
        }
        let provider = source_as_provider(&scan.source)?;
        let Some(table) = provider.downcast_ref::<SegmentTable>() else {
            return Ok((plan.clone(), Vec::new()));
        };
        let id = self.carried.len();
        self.carried.push(Carried { table: table.definition().oid, name: table.name().to_string(), how });
        let source = provider_as_source(Arc::new(table.with_units(table.units()).with_row_ids()));
        let scanned = LogicalPlanBuilder::scan_with_filters(scan.table_name.clone(), source, None, scan.filters.clone())?.build()?;
        let of_table = |column: &str| Expr::Column(Column::new(Some(scan.table_name.clone()), column));
        let [unit, row] = names(id);
        let places = [
            of_table(SEGMENT_COLUMN).alias_qualified(Some(scan.table_name.clone()), unit),
            of_table(ROW_COLUMN).alias_qualified(Some(scan.table_name.clone()), row),
        ];
        let columns = plan.schema().columns().into_iter().map(Expr::Column).chain(places);
        Ok((LogicalPlan::Projection(Projection::try_new(columns.collect(), Arc::new(scanned))?), vec![id]))
    }
}

/// The same node over a changed input.
fn above(plan: &LogicalPlan, (input, ids): Changed) -> Result<Changed> {
    if ids.is_empty() {
        return Ok((plan.clone(), ids));
    }
    let changed = match plan {
        LogicalPlan::Projection(projection) => {
            let places = ids.iter().flat_map(|id| names(*id)).map(|column| column_named(&input, &column));
            let exprs = projection.expr.iter().cloned().map(Ok).chain(places).collect::<Result<_>>()?;
            LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?)
        }
        other => other.with_new_exprs(other.expressions(), vec![input])?,
    };
    Ok((changed, ids))
}

fn aliased(plan: LogicalPlan, name: &TableReference) -> Result<LogicalPlan> {
    Ok(LogicalPlanBuilder::from(plan).alias(name.clone())?.build()?)
}
