//! The order of joins: which intermediate results a tree of inner and semi joins makes, so that they are few and small.
//!
//! Pure: relations with estimated rows and predicates between them in, a tree out. Up to [`EXACT_RELATIONS_MAX`] relations all trees are
//! compared (by subsets); beyond that the cheapest next join is taken, one at a time.

use std::collections::HashMap;

/// Relations up to which every order is looked at: 3^10 splits.
pub const EXACT_RELATIONS_MAX: usize = 10;
/// Relations beyond which the order of the text is kept.
pub const RELATIONS_MAX: usize = 60;

/// What a row costs that goes into a hash table, one that is looked up in it being 1.
const BUILD_ROW_COST: f64 = 3.0;

/// A set of relations, by position.
pub type Set = u64;

/// One input of the joins.
#[derive(Clone, Debug)]
pub struct Relation {
    /// Rows that it has.
    pub rows: f64,
    /// A relation that only filters others (semi, anti): which ones it needs, and the share of their rows that it leaves.
    pub filters: Option<(Set, f64)>,
}

/// A condition between relations.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The relations that it names.
    pub relations: Set,
    /// The share of their product that it leaves.
    pub selectivity: f64,
}

/// A tree of joins. The rows of `build` go into the hash table.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A relation.
    Leaf(usize),
    /// An inner join.
    Inner {
        /// Whose rows are kept in memory.
        build: Box<Tree>,
        /// Whose rows stream past.
        probe: Box<Tree>,
    },
    /// A relation that filters.
    Filter {
        /// The rows that are filtered.
        kept: Box<Tree>,
        /// The relation that filters.
        by: usize,
        /// Whether the rows that are filtered are those kept in memory.
        build_kept: bool,
    },
}

#[derive(Clone, Debug)]
struct Plan {
    cost: f64,
    rows: f64,
    tree: Tree,
}

/// The cheapest tree over all relations; `None` when there is nothing to order, or too much.
pub fn cheapest(relations: &[Relation], edges: &[Edge]) -> Option<Tree> {
    let joined = relations.iter().filter(|relation| relation.filters.is_none()).count();
    if relations.len() < 2 || relations.len() > RELATIONS_MAX || joined == 0 {
        return None;
    }
    let problem = Problem { relations, edges };
    let exact = |cross| if relations.len() <= EXACT_RELATIONS_MAX { problem.exact(cross) } else { problem.greedy(cross) };
    exact(false).or_else(|| exact(true)).map(|plan| plan.tree)
}

struct Problem<'a> {
    relations: &'a [Relation],
    edges: &'a [Edge],
}

impl Problem<'_> {
    fn all(&self) -> Set {
        (1 << self.relations.len()) - 1
    }

    /// Rows of the join of a set: the same whatever the order.
    fn rows(&self, set: Set) -> f64 {
        let product: f64 = members(set).map(|i| self.relations[i].filters.map_or(self.relations[i].rows, |(_, share)| share)).product();
        let share: f64 = self.edges.iter().filter(|edge| edge.relations & !set == 0).map(|edge| edge.selectivity).product();
        (product * share).max(1.0)
    }

    fn connected(&self, left: Set, right: Set) -> bool {
        let both = left | right;
        self.edges.iter().any(|edge| edge.relations & !both == 0 && edge.relations & left != 0 && edge.relations & right != 0)
    }

    /// The filtering relation that a set consists of.
    fn filter(&self, set: Set) -> Option<usize> {
        let only = (set.count_ones() == 1).then(|| set.trailing_zeros() as usize)?;
        self.relations[only].filters.is_some().then_some(only)
    }

    fn leaf(&self, i: usize) -> Plan {
        Plan { cost: 0.0, rows: self.relations[i].rows.max(1.0), tree: Tree::Leaf(i) }
    }

    /// The join of two disjoint sets, if they may be joined.
    fn join(&self, (left_set, left): (Set, &Plan), (right_set, right): (Set, &Plan), rows: f64, cross: bool) -> Option<Plan> {
        match (self.filter(left_set), self.filter(right_set)) {
            (None, None) if cross || self.connected(left_set, right_set) => Some(inner(left, right, rows)),
            (None, Some(by)) => self.filtered(left_set, left, by, right, rows),
            (Some(by), None) => self.filtered(right_set, right, by, left, rows),
            _ => None,
        }
    }

    fn filtered(&self, kept_set: Set, kept: &Plan, by: usize, filter: &Plan, rows: f64) -> Option<Plan> {
        let (needed, _) = self.relations[by].filters?;
        if needed & !kept_set != 0 {
            return None;
        }
        let build_kept = kept.rows <= filter.rows;
        let tree = Tree::Filter { kept: Box::new(kept.tree.clone()), by, build_kept };
        Some(Plan { cost: kept.cost + step_cost(kept.rows, filter.rows, rows), rows, tree })
    }

    fn exact(&self, cross: bool) -> Option<Plan> {
        let all = self.all();
        let mut best: Vec<Option<Plan>> = vec![None; all as usize + 1];
        for i in 0..self.relations.len() {
            best[1 << i] = Some(self.leaf(i));
        }
        for set in 1..=all {
            if set.count_ones() > 1 {
                best[set as usize] = self.best_split(set, &best, cross);
            }
        }
        best.pop().flatten()
    }

    fn best_split(&self, set: Set, best: &[Option<Plan>], cross: bool) -> Option<Plan> {
        let rows = self.rows(set);
        let lowest = set & set.wrapping_neg();
        let mut cheapest: Option<Plan> = None;
        let mut left = (set - 1) & set;
        while left != 0 {
            // Each split once: the side with the lowest relation is the left.
            if left & lowest != 0
                && let (Some(l), Some(r)) = (&best[left as usize], &best[(set ^ left) as usize])
                && cheapest.as_ref().is_none_or(|plan| l.cost + r.cost < plan.cost)
                && let Some(plan) = self.join((left, l), (set ^ left, r), rows, cross)
                && cheapest.as_ref().is_none_or(|known| plan.cost < known.cost)
            {
                cheapest = Some(plan);
            }
            left = (left - 1) & set;
        }
        cheapest
    }

    fn greedy(&self, cross: bool) -> Option<Plan> {
        let mut parts: HashMap<Set, Plan> = (0..self.relations.len()).map(|i| (1 << i, self.leaf(i))).collect();
        while parts.len() > 1 {
            let (left, right, plan) = self.cheapest_pair(&parts, cross)?;
            parts.remove(&left);
            parts.remove(&right);
            parts.insert(left | right, plan);
        }
        parts.into_values().next()
    }

    fn cheapest_pair(&self, parts: &HashMap<Set, Plan>, cross: bool) -> Option<(Set, Set, Plan)> {
        let mut sets: Vec<Set> = parts.keys().copied().collect();
        sets.sort_unstable();
        let pairs = sets.iter().enumerate().flat_map(|(i, left)| sets[i + 1..].iter().map(move |right| (*left, *right)));
        let joins = pairs.filter_map(|(left, right)| {
            let plan = self.join((left, &parts[&left]), (right, &parts[&right]), self.rows(left | right), cross)?;
            Some((left, right, plan))
        });
        let added = |(left, right, plan): &(Set, Set, Plan)| plan.cost - parts[left].cost - parts[right].cost;
        joins.min_by(|a, b| added(a).total_cmp(&added(b)))
    }
}

fn inner(left: &Plan, right: &Plan, rows: f64) -> Plan {
    let (build, probe) = if left.rows <= right.rows { (left, right) } else { (right, left) };
    let tree = Tree::Inner { build: Box::new(build.tree.clone()), probe: Box::new(probe.tree.clone()) };
    Plan { cost: left.cost + right.cost + step_cost(build.rows, probe.rows, rows), rows, tree }
}

fn step_cost(one: f64, other: f64, out: f64) -> f64 {
    one.min(other) * BUILD_ROW_COST + one.max(other) + out
}

/// The positions in a set.
pub fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..Set::BITS as usize).filter(move |i| set >> i & 1 == 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plain(rows: f64) -> Relation {
        Relation { rows, filters: None }
    }

    fn edge(a: usize, b: usize, distinct: f64) -> Edge {
        Edge { relations: 1 << a | 1 << b, selectivity: 1.0 / distinct }
    }

    fn leaves(tree: &Tree) -> Set {
        match tree {
            Tree::Leaf(i) => 1 << i,
            Tree::Inner { build, probe } => leaves(build) | leaves(probe),
            Tree::Filter { kept, by, .. } => leaves(kept) | 1 << by,
        }
    }

    #[test]
    fn the_smaller_side_is_built() {
        let tree = cheapest(&[plain(1e6), plain(10.0)], &[edge(0, 1, 10.0)]).unwrap();
        assert_eq!(tree, Tree::Inner { build: Box::new(Tree::Leaf(1)), probe: Box::new(Tree::Leaf(0)) });
    }

    #[test]
    fn a_selective_relation_is_joined_first() {
        // A fact table, a dimension that keeps all of it, and one that keeps a thousandth.
        let relations = [plain(6e6), plain(1.5e6), plain(200.0)];
        let edges = [edge(0, 1, 1.5e6), edge(0, 2, 2e5)];
        let Tree::Inner { build, probe } = cheapest(&relations, &edges).unwrap() else { panic!() };
        assert_eq!(*probe, Tree::Leaf(1));
        assert_eq!(leaves(&build), 0b101);
    }

    #[test]
    fn a_filter_that_leaves_little_goes_down_to_its_relation() {
        let filter = Relation { rows: 57.0, filters: Some((1, 0.0001)) };
        let tree = cheapest(&[plain(1.5e6), plain(6e6), filter], &[edge(0, 1, 1.5e6)]).unwrap();
        let filtered = Tree::Filter { kept: Box::new(Tree::Leaf(0)), by: 2, build_kept: false };
        assert_eq!(tree, Tree::Inner { build: Box::new(filtered), probe: Box::new(Tree::Leaf(1)) });
    }

    #[test]
    fn a_filter_that_leaves_nearly_all_comes_last() {
        let filter = Relation { rows: 6e6, filters: Some((1, 0.99)) };
        let tree = cheapest(&[plain(6e6), plain(10.0), filter], &[edge(0, 1, 1e5)]).unwrap();
        let Tree::Filter { kept, build_kept, .. } = tree else { panic!() };
        assert!(build_kept);
        assert_eq!(leaves(&kept), 0b011);
    }

    #[test]
    fn a_filter_waits_for_all_that_it_needs() {
        let filter = Relation { rows: 1.0, filters: Some((0b11, 0.001)) };
        let tree = cheapest(&[plain(1e6), plain(1e6), filter], &[edge(0, 1, 1e6)]).unwrap();
        assert!(matches!(tree, Tree::Filter { kept, by: 2, .. } if leaves(&kept) == 0b11));
    }

    #[test]
    fn what_nothing_connects_is_joined_all_the_same() {
        let tree = cheapest(&[plain(5.0), plain(7.0), plain(9.0)], &[edge(0, 1, 5.0)]).unwrap();
        assert_eq!(leaves(&tree), 0b111);
    }

    #[test]
    fn many_relations_are_ordered_one_at_a_time() {
        let relations: Vec<_> = (0..30).map(|i| plain(10.0 + f64::from(i))).collect();
        let edges: Vec<_> = (1..30).map(|i| edge(i - 1, i, 10.0)).collect();
        assert_eq!(leaves(&cheapest(&relations, &edges).unwrap()), (1 << 30) - 1);
    }

    #[test]
    fn a_condition_on_three_relations_is_applied_once_all_are_there() {
        let edges = [Edge { relations: 0b111, selectivity: 0.01 }];
        let tree = cheapest(&[plain(10.0), plain(20.0), plain(30.0)], &edges).unwrap();
        assert_eq!(leaves(&tree), 0b111);
    }
}
