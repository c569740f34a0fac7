//! `Perhaps you meant to reference the column "t.name".`: the columns of a select's tables that are nearest to a name that is none.

use super::{Names, bare_query};
use crate::error::SqlError;
use crate::query::Scope;
use datafusion::sql::sqlparser::ast::{SelectItem, SetExpr, Statement, WildcardAdditionalOptions};

/// Adds the hint that PostgreSQL would give, if there is one.
pub(super) async fn add(scope: &Scope, names: &Names, error: SqlError, qualifier: Option<&str>, name: &str) -> SqlError {
    let mut candidates = Vec::new();
    for select in &names.selects {
        if !select.from.is_empty() {
            candidates = columns(scope, &select.from).await.unwrap_or_default();
            break;
        }
    }
    match hint(&candidates, qualifier, name) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

type Column = (String, String);

/// The columns of a FROM, each with its table's name or alias.
async fn columns(scope: &Scope, from: &[datafusion::sql::sqlparser::ast::TableWithJoins]) -> Option<Vec<Column>> {
    let mut query = bare_query().ok()?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        select.from = from.to_vec();
    }
    let mut statement = Statement::Query(Box::new(query));
    crate::query::rewrite::statement(&mut statement);
    let plan = Box::pin(scope.plan_rewritten(statement)).await.ok()?;
    let column = |(qualifier, field): (Option<&datafusion::common::TableReference>, &std::sync::Arc<arrow::datatypes::Field>)| {
        Some((qualifier?.table().to_string(), field.name().clone()))
    };
    Some(plan.schema().iter().filter_map(column).collect())
}

/// PostgreSQL's rule (parse_relation.c): the least edit distance wins, at most half of the candidate's length; of equal ones the first two
/// are named, and more than two are none. A table of another name than the qualifier costs its own distance.
fn hint(columns: &[Column], qualifier: Option<&str>, name: &str) -> Option<String> {
    let mut best: Vec<&Column> = Vec::new();
    let mut least = usize::MAX;
    for column in columns {
        let penalty = qualifier.map_or(0, |qualifier| distance(qualifier, &column.0));
        let own = distance(name, &column.1);
        if own > column.1.chars().count() / 2 {
            continue;
        }
        if own + penalty < least {
            (least, best) = (own + penalty, vec![column]);
        } else if own + penalty == least {
            best.push(column);
        }
    }
    let shown = |column: &Column| format!("the column \"{}.{}\"", column.0, column.1);
    match best[..] {
        [one] => Some(format!("Perhaps you meant to reference {}.", shown(one))),
        [first, second] => Some(format!("Perhaps you meant to reference {} or {}.", shown(first), shown(second))),
        _ => None,
    }
}

/// Levenshtein's, in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, l) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (column, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_columns_are_suggested() {
        let columns: Vec<Column> = [("emp", "id"), ("emp", "name"), ("d", "nane"), ("d", "x")].map(|(t, c)| (t.into(), c.into())).into();
        let hint = |qualifier, name| hint(&columns, qualifier, name);
        let one = "Perhaps you meant to reference the column \"emp.name\".";
        assert_eq!(hint(Some("emp"), "nme").as_deref(), Some(one));
        let two = "Perhaps you meant to reference the column \"emp.name\" or the column \"d.nane\".";
        assert_eq!(hint(None, "nabe").as_deref(), Some(two));
        assert_eq!(hint(None, "salary"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
