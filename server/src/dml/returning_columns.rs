//! `tableoid` and `xmax` in RETURNING: rows that a statement writes are of its table, and nobody has deleted them. Of a row that ON CONFLICT updated,
//! `xmax` is not 0, by which upserts are told apart from inserts (`RETURNING (xmax = 0)`). And columns that are named with their table's schema.

use crate::catalog::names::fold;
use crate::ingest::Target;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, Value, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// What `xmax` is of rows that are updated.
const OF_UPDATED: u32 = 1;

/// The items for rows that are new.
pub(super) fn of_new(target: &Target, items: &[SelectItem]) -> Vec<SelectItem> {
    replaced(target, items, 0).0
}

/// The items for rows that ON CONFLICT updated; `None` if they are the same.
pub(super) fn of_updated(target: &Target, items: &[SelectItem]) -> Option<Vec<SelectItem>> {
    let (items, asked) = replaced(target, items, OF_UPDATED);
    asked.then_some(items)
}

/// The items with the values of system columns, and whether `xmax` is among them.
fn replaced(target: &Target, items: &[SelectItem], xmax: u32) -> (Vec<SelectItem>, bool) {
    let mut columns = Columns { target, xmax, asked: false };
    let items = items.iter().map(|item| {
        let mut item = item.clone();
        let name = match &item {
            SelectItem::UnnamedExpr(expr) => columns.system_column(expr),
            _ => None,
        };
        let _: ControlFlow<()> = VisitMut::visit(&mut item, &mut columns);
        match (name, item) {
            (Some(name), SelectItem::UnnamedExpr(expr)) => SelectItem::ExprWithAlias { expr, alias: Ident::new(name) },
            (_, item) => item,
        }
    });
    let items = items.collect();
    (items, columns.asked)
}

struct Columns<'a> {
    target: &'a Target,
    xmax: u32,
    asked: bool,
}

impl Columns<'_> {
    /// `schema.table.column` as `table.column`: in the query the table goes by its name alone.
    fn without_schema(&self, expr: &mut Expr) {
        if let Expr::CompoundIdentifier(parts) = expr
            && parts.len() == 3
            && (fold(&parts[0]), fold(&parts[1])) == (self.target.schema.to_string(), self.target.name.to_string())
        {
            parts.remove(0);
        }
    }

    /// The name, if it is one of these and no column of the table's own.
    fn system_column(&self, expr: &Expr) -> Option<&'static str> {
        let name = match expr {
            Expr::Identifier(name) => fold(name),
            Expr::CompoundIdentifier(parts) => fold(parts.last()?),
            _ => return None,
        };
        let known = ["xmax", "tableoid"].into_iter().find(|known| *known == name)?;
        self.target.definition.column(known).is_none().then_some(known)
    }
}

impl VisitorMut for Columns<'_> {
    type Break = ();
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.without_schema(expr);
        let value = match self.system_column(expr) {
            Some("xmax") => {
                self.asked = true;
                self.xmax
            }
            Some(_) => self.target.oid(),
            None => return ControlFlow::Continue(()),
        };
        *expr = Expr::value(Value::Number(value.to_string(), false));
        ControlFlow::Continue(())
    }
}
