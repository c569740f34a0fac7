//! The tables that a SELECT has in FROM, under the names that its expressions call them by.

use super::learned::Learned;
use super::text;
use crate::catalog::names::fold;
use crate::functions::records;
use crate::query::{desugar, naming};
use datafusion::sql::sqlparser::ast::{Expr, Ident, Join, JoinOperator, Select, TableFactor, TableWithJoins};

/// The tables of one FROM.
#[derive(Default)]
pub struct Frame {
    /// In their order.
    pub tables: Vec<Table>,
}

/// A table, a view, a query, or a function in FROM.
pub struct Table {
    /// What it is called.
    pub name: String,
    /// The same as it is written.
    pub qualifier: Ident,
    /// Its columns; `None` if they could not be found out.
    pub columns: Option<Vec<String>>,
    /// Whether an outer join may have no row of it.
    pub outer: bool,
    /// Whether it is a function: the name of one with one column is that of the column.
    pub is_function: bool,
}

impl Frame {
    /// The tables of a SELECT.
    pub fn of(select: &Select, learned: &Learned) -> Self {
        let mut frame = Self::default();
        select.from.iter().for_each(|table| frame.add_joined(table, false, learned));
        frame
    }

    fn add_joined(&mut self, table: &TableWithJoins, outer: bool, learned: &Learned) {
        let from = self.tables.len();
        self.add(&table.relation, outer, learned);
        for join in &table.joins {
            let (left, right) = missing(join);
            if left {
                self.tables[from..].iter_mut().for_each(|table| table.outer = true);
            }
            self.add(&join.relation, outer || right, learned);
        }
    }

    fn add(&mut self, factor: &TableFactor, outer: bool, learned: &Learned) {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            return self.add_joined(table_with_joins, outer, learned);
        }
        let Some(qualifier) = qualifier(factor) else { return };
        let columns = learned.columns(factor);
        self.tables.push(Table { name: fold(&qualifier), qualifier, columns, outer, is_function: is_function(factor) });
    }
}

impl Table {
    /// Whether its name can stand for its row.
    pub fn is_rows(&self) -> bool {
        self.columns.as_ref().is_some_and(|columns| !self.is_function || columns.len() > 1)
    }

    /// Its columns, each by its full name.
    pub fn values(&self) -> Vec<Expr> {
        let column = |name: &String| Expr::CompoundIdentifier(vec![self.qualifier.clone(), Ident::with_quote('"', name.clone())]);
        self.columns.iter().flatten().map(column).collect()
    }

    /// Its row as a value.
    pub fn record(&self) -> Expr {
        let names = self.columns.iter().flatten().map(|name| text(naming::shown(name)));
        let pairs = names.zip(self.values()).flat_map(|(name, value)| [name, value]).collect();
        desugar::call(if self.outer { records::OUTER_RECORD } else { records::RECORD }, pairs)
    }
}

/// Whether a join may have no row of its left side, and of its right.
fn missing(join: &Join) -> (bool, bool) {
    use JoinOperator::{FullOuter, Left, LeftOuter, OuterApply, Right, RightOuter};
    match join.join_operator {
        Left(_) | LeftOuter(_) | OuterApply => (false, true),
        Right(_) | RightOuter(_) => (true, false),
        FullOuter(_) => (true, true),
        _ => (false, false),
    }
}

/// What a factor's columns are qualified with.
pub fn qualifier(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => name.0.last().and_then(|part| part.as_ident()).cloned(),
        TableFactor::UNNEST { .. } => Some(Ident::new("unnest")),
        _ => None,
    }
}

fn is_function(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. })
}
