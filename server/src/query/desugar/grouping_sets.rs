//! ROLLUP, CUBE and GROUPING SETS as PostgreSQL has them: of rows, of positions in the list, and within one another.
//!
//! DataFusion knows them of single expressions only. What it does not know is written out as the sets that it means; each set names an
//! expression once.

use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Select, SelectItem, Statement, Value, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Elements of one CUBE, at most.
const CUBE_MAX: usize = 12;

/// Sets in one GROUP BY item, at most.
const SETS_MAX: usize = 4096;

/// Writes the grouping sets of a statement's queries out. Runs before items of lists get names.
pub fn statement(statement: &mut Statement) -> Result<()> {
    match VisitMut::visit(statement, &mut Sets) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Sets;

impl VisitorMut for Sets {
    type Break = SqlError;
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        match in_select(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn in_select(select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return Ok(()) };
    let mut count = 1usize;
    for key in keys {
        resolve_positions(key, &select.projection);
        if !is_known(key) {
            let sets: Vec<Vec<Expr>> = sets_of(key)?.into_iter().map(distinct).collect();
            *key = Expr::GroupingSets(sets);
        }
        // Each set of one key goes with each of the others.
        count = count.saturating_mul(sets_in(key));
    }
    check_count(count)
}

/// How many sets a key stands for.
fn sets_in(key: &Expr) -> usize {
    match key {
        Expr::Rollup(elements) => elements.len() + 1,
        Expr::Cube(elements) => 1usize << elements.len().min(CUBE_MAX),
        Expr::GroupingSets(sets) => sets.len(),
        _ => 1,
    }
}

fn check_count(sets: usize) -> Result<()> {
    match sets {
        0..=SETS_MAX => Ok(()),
        _ => Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, format!("too many grouping sets present (maximum {SETS_MAX})"))),
    }
}

fn elements(key: &mut Expr) -> Option<&mut Vec<Vec<Expr>>> {
    match key {
        Expr::Rollup(elements) | Expr::Cube(elements) | Expr::GroupingSets(elements) => Some(elements),
        _ => None,
    }
}

/// A number is the position of an item in the list, where no wildcard comes before it.
fn resolve_positions(key: &mut Expr, list: &[SelectItem]) {
    for element in elements(key).into_iter().flatten().flatten() {
        if let Some(expr) = position(element).and_then(|position| item(list, position)) {
            *element = expr;
        }
        resolve_positions(element, list);
    }
}

fn position(key: &Expr) -> Option<usize> {
    match key {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn item(list: &[SelectItem], position: usize) -> Option<Expr> {
    let until = list.get(..position)?;
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    match until.last()? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } if until.iter().all(plain) => Some(expr.clone()),
        _ => None,
    }
}

/// What DataFusion understands as it is: keys that are none of these, ROLLUP and CUBE of single expressions that differ, sets of expressions.
fn is_known(key: &Expr) -> bool {
    match key {
        Expr::Cube(elements) if elements.len() > CUBE_MAX => false,
        Expr::Rollup(elements) | Expr::Cube(elements) => {
            let single = elements.iter().all(|element| matches!(element.as_slice(), [key] if !is_sets(key)));
            single && distinct(elements.clone()).len() == elements.len()
        }
        Expr::GroupingSets(sets) => !sets.iter().flatten().any(is_sets),
        _ => true,
    }
}

fn is_sets(key: &Expr) -> bool {
    matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_))
}

/// The sets that a key stands for.
fn sets_of(key: &Expr) -> Result<Vec<Vec<Expr>>> {
    let sets = match key {
        Expr::Rollup(elements) => (0..=elements.len()).rev().map(|count| elements[..count].concat()).collect(),
        Expr::Cube(elements) if elements.len() > CUBE_MAX => {
            return Err(SqlError::new(SqlState("54011"), format!("CUBE is limited to {CUBE_MAX} elements")));
        }
        Expr::Cube(elements) => (0..1usize << elements.len()).rev().map(|chosen| subset(elements, chosen)).collect(),
        Expr::GroupingSets(sets) => {
            let mut all = Vec::with_capacity(sets.len());
            for set in sets {
                match set.as_slice() {
                    [nested] if is_sets(nested) => all.extend(sets_of(nested)?),
                    _ => all.push(set.clone()),
                }
            }
            all
        }
        other => vec![vec![other.clone()]],
    };
    check_count(sets.len()).map(|()| sets)
}

/// The first element belongs to the highest bit: PostgreSQL's order.
fn subset(elements: &[Vec<Expr>], chosen: usize) -> Vec<Expr> {
    let last = elements.len() - 1;
    elements.iter().enumerate().filter(|(at, _)| chosen >> (last - at) & 1 == 1).flat_map(|(_, element)| element.clone()).collect()
}

fn distinct<T: PartialEq>(keys: Vec<T>) -> Vec<T> {
    let mut seen = Vec::with_capacity(keys.len());
    for key in keys {
        if !seen.contains(&key) {
            seen.push(key);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse_query;

    fn written_out(group_by: &str) -> String {
        let sql = format!("select x, y + 1 as z, count(*) from t group by {group_by}");
        let mut parsed = Statement::Query(Box::new(parse_query(&sql).unwrap()));
        statement(&mut parsed).unwrap();
        parsed.to_string().split_once("GROUP BY ").unwrap().1.to_string()
    }

    #[test]
    fn what_the_engine_knows_stays() {
        for known in ["ROLLUP (x, y)", "CUBE (x, (y))", "GROUPING SETS ((x, y), (x), ())", "x, ROLLUP (y)", "1, 2"] {
            let stays = written_out(known);
            assert_eq!(stays.replace(['(', ')', ' '], ""), known.replace(['(', ')', ' '], ""), "{stays}");
        }
    }

    #[test]
    fn rows_are_elements() {
        assert_eq!(written_out("rollup((x, y), z)"), "GROUPING SETS ((x, y, z), (x, y), ())");
        assert_eq!(written_out("cube((x, y), z)"), "GROUPING SETS ((x, y, z), (x, y), (z), ())");
        assert_eq!(written_out("grouping sets (rollup(x, y), cube(z), ())"), "GROUPING SETS ((x, y), (x), (), (z), (), ())");
    }

    #[test]
    fn positions_are_items_of_the_list() {
        assert_eq!(written_out("rollup(1, (2, x))"), "GROUPING SETS ((x, y + 1), (x), ())");
        assert_eq!(written_out("grouping sets ((1), (2))"), "GROUPING SETS ((x), (y + 1))");
    }

    #[test]
    fn a_set_names_an_expression_once() {
        assert_eq!(written_out("rollup(x, x)"), "GROUPING SETS ((x), (x), ())");
    }

    #[test]
    fn cubes_are_bounded() {
        let refused = |group_by: &str| {
            let query = parse_query(&format!("select count(*) from t group by {group_by}")).unwrap();
            statement(&mut Statement::Query(Box::new(query))).unwrap_err().state
        };
        let list = |count: i32, element: &dyn Fn(i32) -> String| (0..count).map(element).collect::<Vec<_>>().join(", ");
        assert_eq!(refused(&format!("cube({})", list(13, &|at| format!("(x, {at} + y)")))), SqlState("54011"));
        // The engine knew this one, and wrote out a thousand million sets.
        assert_eq!(refused(&format!("cube({})", list(30, &|at| format!("x + {at}")))), SqlState("54011"));
        let ten = list(10, &|at| format!("x + {at}"));
        assert_eq!(refused(&format!("cube({ten}), cube({ten})")), SqlState::STATEMENT_TOO_COMPLEX);
    }
}
