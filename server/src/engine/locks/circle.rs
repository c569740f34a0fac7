//! Who waits for whom: a circle, and how it is told.

use crate::error::{SqlError, SqlState};
use std::collections::BTreeSet;

/// One session waits for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who waits.
    pub waiter: i32,
    /// For what, as PostgreSQL says it: `ShareLock on transaction 7`.
    pub what: String,
    /// Who holds it.
    pub by: i32,
    /// Nobody holds it: the other only came before, and may be overtaken.
    pub soft: bool,
}

/// The circle that leads from a session back to it, if there is one. `edges` answers whom a session waits for.
pub fn find(session: i32, edges: impl Fn(i32) -> Vec<Edge>) -> Option<Vec<Edge>> {
    let mut seen = BTreeSet::new();
    let mut path: Vec<Edge> = Vec::new();
    let mut open: Vec<Vec<Edge>> = vec![edges(session)];
    while let Some(next) = open.last_mut() {
        let Some(edge) = next.pop() else {
            open.pop();
            path.pop();
            continue;
        };
        let by = edge.by;
        if by == session {
            path.push(edge);
            return Some(path);
        }
        if seen.insert(by) {
            path.push(edge);
            open.push(edges(by));
        }
    }
    None
}

/// 40P01.
pub fn deadlock(circle: &[Edge]) -> SqlError {
    let told = |edge: &Edge| format!("Process {} waits for {}; blocked by process {}.", edge.waiter, edge.what, edge.by);
    SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
        .with_detail(circle.iter().map(told).collect::<Vec<_>>().join("\n"))
        .with_hint("See server log for query details.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(of: &'static [(i32, i32)]) -> impl Fn(i32) -> Vec<Edge> {
        move |waiter| {
            let own = of.iter().filter(|(from, _)| *from == waiter);
            own.map(|(_, by)| Edge { waiter, what: "ShareLock on transaction 1".into(), by: *by, soft: false }).collect()
        }
    }

    fn way(circle: Option<Vec<Edge>>) -> Vec<(i32, i32)> {
        circle.into_iter().flatten().map(|edge| (edge.waiter, edge.by)).collect()
    }

    #[test]
    fn circles_are_found_and_dead_ends_left() {
        let graph = edges(&[(1, 2), (1, 3), (2, 4), (3, 5), (5, 1), (4, 2)]);
        assert_eq!(way(find(1, &graph)), [(1, 3), (3, 5), (5, 1)]);
        assert_eq!(way(find(6, &graph)), []);
        // It waits for a circle, and is not in it.
        assert_eq!(way(find(7, edges(&[(7, 2), (2, 4), (4, 2)]))), []);
    }

    #[test]
    fn a_circle_is_told_step_by_step() {
        let error = deadlock(&find(1, edges(&[(1, 2), (2, 1)])).unwrap_or_default());
        let detail = "Process 1 waits for ShareLock on transaction 1; blocked by process 2.\nProcess 2 waits for ShareLock on transaction 1; \
                      blocked by process 1.";
        assert_eq!((error.state.0, error.detail.as_deref()), ("40P01", Some(detail)));
    }
}
