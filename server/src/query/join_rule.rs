//! The optimizer's rule that puts joins in order: DataFusion leaves them as the text has them.
//!
//! 1. A region of inner, semi and anti joins is taken apart into relations and conditions. Outer joins, aggregates and whatever else is in
//!    between are its borders; they are ordered within by themselves.
//! 2. [`cardinality`] estimates each relation and condition, [`join_order`] finds the cheapest tree.
//! 3. The tree is made of the same relations and the same conditions, each where all its columns are first there.
//!
//! An outer join keeps its place; only its sides change, the smaller one going into memory. Conditions that are not the same each time
//! they are asked (volatile ones) keep the whole region as it is.

use super::cardinality::{Estimate, Key, anti_share, estimate, selectivity};
use super::join_order::{Edge, RELATIONS_MAX, Relation, Set, Tree, cheapest, members};
use super::single_distinct;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, JoinConstraint, JoinType, NullEquality, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Projection};
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The rule after which joins are ordered: filters are where they belong, columns not yet projected away.
const AFTER: &str = "push_down_filter";

/// DataFusion's rules, and this one in its place among them.
pub fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    let place = rules.iter().position(|rule| rule.name() == AFTER).map_or(rules.len(), |found| found + 1);
    rules.insert(place, Arc::new(OrderJoins));
    single_distinct::bounded(rules)
}

/// The rule.
#[derive(Debug)]
struct OrderJoins;

impl OptimizerRule for OrderJoins {
    fn name(&self) -> &str {
        "order_joins"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        order(plan)
    }
}

fn order(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Join(join) = &plan
        && in_region(join)
        && let Some(ordered) = order_region(&plan)?
    {
        return Ok(if ordered == plan { Transformed::no(plan) } else { Transformed::yes(ordered) });
    }
    let below = plan.map_children(order)?.transform_data(|plan| plan.map_subqueries(order))?;
    below.transform_data(order_sides)
}

/// Whether a join is one whose place may change.
fn in_region(join: &Join) -> bool {
    let fixed = || join.on.iter().all(|(l, r)| !l.is_volatile() && !r.is_volatile()) && join.filter.iter().all(|f| !f.is_volatile());
    let kind = match join.join_type {
        JoinType::Inner => true,
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi | JoinType::RightAnti => !join.on.is_empty() && !join.null_aware,
        _ => false,
    };
    kind && join.null_equality == NullEquality::NullEqualsNothing && fixed()
}

/// A condition of an inner join.
#[derive(Clone, Debug)]
enum Condition {
    Equal(Expr, Expr),
    Other(Expr),
}

/// A relation that filters: `on` pairs name the filtered relations first.
#[derive(Clone, Debug)]
struct Filtering {
    anti: bool,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
}

#[derive(Default)]
struct Region {
    relations: Vec<Arc<LogicalPlan>>,
    filtering: HashMap<usize, Filtering>,
    conditions: Vec<Condition>,
}

impl Region {
    fn add(&mut self, plan: &Arc<LogicalPlan>) {
        match plan.as_ref() {
            LogicalPlan::Join(join) if in_region(join) => self.add_join(join),
            LogicalPlan::Projection(projection) if only_columns(projection) && leads_to_join(&projection.input) => {
                self.add(&projection.input)
            }
            _ => self.relations.push(Arc::clone(plan)),
        }
    }

    fn add_join(&mut self, join: &Join) {
        match join.join_type {
            JoinType::Inner => {
                self.add(&join.left);
                self.add(&join.right);
                self.conditions.extend(join.on.iter().cloned().map(|(l, r)| Condition::Equal(l, r)));
                self.conditions.extend(join.filter.iter().cloned().flat_map(split_conjunction_owned).map(Condition::Other));
            }
            JoinType::LeftSemi | JoinType::LeftAnti => self.add_filtering(&join.left, &join.right, join, join.on.clone()),
            _ => {
                let on = join.on.iter().cloned().map(|(l, r)| (r, l)).collect();
                self.add_filtering(&join.right, &join.left, join, on)
            }
        }
    }

    fn add_filtering(&mut self, kept: &Arc<LogicalPlan>, by: &Arc<LogicalPlan>, join: &Join, on: Vec<(Expr, Expr)>) {
        self.add(kept);
        let anti = matches!(join.join_type, JoinType::LeftAnti | JoinType::RightAnti);
        self.filtering.insert(self.relations.len(), Filtering { anti, on, filter: join.filter.clone() });
        self.relations.push(Arc::clone(by));
    }

    /// The relations that own the columns; `None` if one is nobody's, or if there are outer references.
    fn owners<'a>(&self, expressions: impl IntoIterator<Item = &'a Expr>, besides: Option<usize>) -> Option<Set> {
        let mut owners = 0;
        for expression in expressions {
            for column in expression.column_refs() {
                owners |= 1 << self.owner(column, besides)?;
            }
        }
        Some(owners)
    }

    /// Filtering relations own nothing but in their own conditions.
    fn owner(&self, column: &Column, besides: Option<usize>) -> Option<usize> {
        let visible = |i: &usize| besides == Some(*i) || !self.filtering.contains_key(i);
        let mut owners = (0..self.relations.len()).filter(visible).filter(|i| self.relations[*i].schema().has_column(column));
        owners.next().filter(|_| owners.next().is_none())
    }

    /// Whether each column of the inner relations has a name of its own.
    fn unambiguous(&self) -> bool {
        let mut seen = HashSet::new();
        let inner = self.relations.iter().enumerate().filter(|(i, _)| !self.filtering.contains_key(i));
        inner.flat_map(|(_, plan)| plan.schema().columns()).all(|column| seen.insert(column))
    }
}

fn only_columns(projection: &Projection) -> bool {
    projection.expr.iter().all(|e| matches!(e, Expr::Column(_)))
}

fn leads_to_join(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => in_region(join),
        LogicalPlan::Projection(projection) => only_columns(projection) && leads_to_join(&projection.input),
        _ => false,
    }
}

/// The region whose topmost join `plan` is, in order; `None` if it has to stay as it is.
fn order_region(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let mut region = Region::default();
    region.add(&Arc::new(plan.clone()));
    if region.relations.len() > RELATIONS_MAX || !region.unambiguous() {
        return Ok(None);
    }
    let Some(problem) = Problem::new(&region) else { return Ok(None) };
    let Some(tree) = cheapest(&problem.relations, &problem.edges) else { return Ok(None) };
    let ordered = Builder { region: &region, problem: &problem }.build(&tree)?.0;
    same_columns(ordered, plan.schema()).map(Some)
}

/// The plan with the columns of `schema`, in that order.
fn same_columns(plan: LogicalPlan, schema: &DFSchema) -> Result<LogicalPlan> {
    if plan.schema().columns() == schema.columns() {
        return Ok(plan);
    }
    let columns = schema.columns().into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

/// The region in numbers.
struct Problem {
    relations: Vec<Relation>,
    edges: Vec<Edge>,
    /// The relations of each condition.
    owners: Vec<Set>,
}

impl Problem {
    fn new(region: &Region) -> Option<Self> {
        let estimates: Vec<_> = region.relations.iter().map(|plan| estimate(plan)).collect();
        let relations = (0..estimates.len()).map(|i| relation(region, &estimates, i)).collect::<Option<_>>()?;
        let owners: Vec<Set> = region.conditions.iter().map(|condition| condition.owners(region)).collect::<Option<_>>()?;
        // One on a single relation belongs to that relation, where it has not been pushed for some reason.
        if owners.iter().any(|owners| owners.count_ones() < 2) {
            return None;
        }
        let edges = edges(region, &estimates, &owners);
        Some(Self { relations, edges, owners })
    }
}

impl Condition {
    fn owners(&self, region: &Region) -> Option<Set> {
        match self {
            Self::Equal(left, right) => region.owners([left, right], None),
            Self::Other(expression) => region.owners([expression], None),
        }
    }
}

fn relation(region: &Region, estimates: &[Estimate], i: usize) -> Option<Relation> {
    let rows = estimates[i].rows;
    let Some(filtering) = region.filtering.get(&i) else { return Some(Relation { rows, filters: None }) };
    let own = 1 << i;
    let needed = region.owners(filtering.on.iter().flat_map(|(l, r)| [l, r]).chain(&filtering.filter), Some(i))? & !own;
    let keys = region.owners(filtering.on.iter().map(|(l, _)| l), Some(i))?;
    if keys == 0 || keys & own != 0 {
        return None;
    }
    Some(Relation { rows, filters: Some((needed, filtering_share(region, estimates, filtering, keys, i))) })
}

fn filtering_share(region: &Region, estimates: &[Estimate], filtering: &Filtering, keys: Set, by: usize) -> f64 {
    let first = keys.trailing_zeros() as usize;
    let schema = |i: usize| region.relations[i].schema().as_ref();
    let key = Key::new(&filtering.on, (schema(first), &estimates[first]), (schema(by), &estimates[by]));
    let semi = key.left_kept(&estimates[by]) * if filtering.filter.is_some() { 0.75 } else { 1.0 };
    if filtering.anti { anti_share(semi) } else { semi }
}

/// Equalities between the same two relations are one key; any other condition stands for itself.
fn edges(region: &Region, estimates: &[Estimate], owners: &[Set]) -> Vec<Edge> {
    let mut keys: HashMap<Set, Vec<(Expr, Expr)>> = HashMap::new();
    let mut edges = Vec::new();
    for (condition, owners) in region.conditions.iter().zip(owners) {
        match condition {
            Condition::Equal(left, right) if owners.count_ones() == 2 => {
                let ordered = region.owners([left], None) == Some(owners & owners.wrapping_neg());
                let pair = if ordered { (left.clone(), right.clone()) } else { (right.clone(), left.clone()) };
                keys.entry(*owners).or_default().push(pair);
            }
            Condition::Equal(..) => edges.push(Edge { relations: *owners, selectivity: 0.01 }),
            Condition::Other(e) => edges.push(Edge { relations: *owners, selectivity: selectivity_alone(e) }),
        }
    }
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_by_key(|(owners, _)| *owners);
    edges.extend(keys.into_iter().map(|(owners, on)| key_edge(region, estimates, owners, &on)));
    edges
}

fn key_edge(region: &Region, estimates: &[Estimate], owners: Set, on: &[(Expr, Expr)]) -> Edge {
    let mut pair = members(owners);
    let (left, right) = (pair.next().unwrap_or_default(), pair.next().unwrap_or_default());
    let schema = |i: usize| region.relations[i].schema().as_ref();
    let key = Key::new(on, (schema(left), &estimates[left]), (schema(right), &estimates[right]));
    Edge { relations: owners, selectivity: key.join_share() }
}

/// A condition on several relations, of whose columns nothing is known.
fn selectivity_alone(condition: &Expr) -> f64 {
    let nothing =
        LogicalPlan::EmptyRelation(datafusion::logical_expr::EmptyRelation { produce_one_row: true, schema: Arc::new(DFSchema::empty()) });
    selectivity(condition, nothing.schema(), &estimate(&nothing))
}

/// Makes the plan of a tree.
struct Builder<'a> {
    region: &'a Region,
    problem: &'a Problem,
}

impl Builder<'_> {
    fn build(&self, tree: &Tree) -> Result<(LogicalPlan, Set)> {
        match tree {
            Tree::Leaf(i) => Ok((self.relation(*i)?, 1 << i)),
            Tree::Inner { build, probe } => self.inner(self.build(build)?, self.build(probe)?),
            Tree::Filter { kept, by, build_kept } => self.filter(self.build(kept)?, *by, *build_kept),
        }
    }

    /// A relation, the joins within it in order.
    fn relation(&self, i: usize) -> Result<LogicalPlan> {
        Ok(order(self.region.relations[i].as_ref().clone())?.data)
    }

    fn inner(&self, (left, left_set): (LogicalPlan, Set), (right, right_set): (LogicalPlan, Set)) -> Result<(LogicalPlan, Set)> {
        let set = left_set | right_set;
        let (mut on, mut filters) = (Vec::new(), Vec::new());
        for (condition, owners) in self.region.conditions.iter().zip(&self.problem.owners) {
            if owners & !set != 0 || owners & !left_set == 0 || owners & !right_set == 0 {
                continue;
            }
            match self.oriented(condition, left_set, right_set) {
                Condition::Equal(l, r) => on.push((l, r)),
                Condition::Other(filter) => filters.push(filter),
            }
        }
        let plan = join(left, right, on, conjunction(filters), JoinType::Inner)?;
        Ok((plan, set))
    }

    /// An equality with its sides where the inputs are, or as a plain condition if a side needs both.
    fn oriented(&self, condition: &Condition, left_set: Set, right_set: Set) -> Condition {
        let Condition::Equal(a, b) = condition else { return condition.clone() };
        let within = |e: &Expr, set: Set| self.region.owners([e], None).is_some_and(|owners| owners != 0 && owners & !set == 0);
        if within(a, left_set) && within(b, right_set) {
            Condition::Equal(a.clone(), b.clone())
        } else if within(b, left_set) && within(a, right_set) {
            Condition::Equal(b.clone(), a.clone())
        } else {
            Condition::Other(a.clone().eq(b.clone()))
        }
    }

    fn filter(&self, (kept, kept_set): (LogicalPlan, Set), by: usize, build_kept: bool) -> Result<(LogicalPlan, Set)> {
        let filtering = &self.region.filtering[&by];
        let other = self.relation(by)?;
        let (on, filter) = (filtering.on.clone(), filtering.filter.clone());
        let plan = match (build_kept, filtering.anti) {
            (true, false) => join(kept, other, on, filter, JoinType::LeftSemi),
            (true, true) => join(kept, other, on, filter, JoinType::LeftAnti),
            (false, false) => join(other, kept, swapped(on), filter, JoinType::RightSemi),
            (false, true) => join(other, kept, swapped(on), filter, JoinType::RightAnti),
        }?;
        Ok((plan, kept_set | 1 << by))
    }
}

fn swapped(on: Vec<(Expr, Expr)>) -> Vec<(Expr, Expr)> {
    on.into_iter().map(|(l, r)| (r, l)).collect()
}

fn join(left: LogicalPlan, right: LogicalPlan, on: Vec<(Expr, Expr)>, filter: Option<Expr>, kind: JoinType) -> Result<LogicalPlan> {
    let (left, right) = (Arc::new(left), Arc::new(right));
    let join = Join::try_new(left, right, on, filter, kind, JoinConstraint::On, NullEquality::NullEqualsNothing, false)?;
    Ok(LogicalPlan::Join(join))
}

/// Puts the smaller side of an outer join, or of one that has to stay where it is, on the left: those rows are kept in memory.
fn order_sides(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Join(join) = &plan else { return Ok(Transformed::no(plan)) };
    let swaps = matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full) && !join.null_aware;
    if !swaps || estimate(&join.left).rows <= estimate(&join.right).rows {
        return Ok(Transformed::no(plan));
    }
    let turned = Join::try_new(
        Arc::clone(&join.right),
        Arc::clone(&join.left),
        swapped(join.on.clone()),
        join.filter.clone(),
        join.join_type.swap(),
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    same_columns(LogicalPlan::Join(turned), &join.schema).map(Transformed::yes)
}
