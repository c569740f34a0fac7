//! Calls of functions and definitions of windows.

use super::placement::function_name;
use super::{FunctionKind, FunctionKinds};
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, NamedWindowExpr, OrderByKind, Query,
    Select, SetExpr, Visit, Visitor, WindowFrame, WindowFrameBound, WindowSpec, WindowType,
};
use std::ops::ControlFlow;

/// Aggregates that take WITHIN GROUP.
const ORDERED_SET: [&str; 6] =
    ["percentile_cont", "percentile_disc", "mode", "approx_percentile_cont", "approx_percentile_cont_with_weight", "quantile_cont"];

/// Window functions that are aggregates with WITHIN GROUP.
const HYPOTHETICAL: [&str; 4] = ["rank", "dense_rank", "percent_rank", "cume_dist"];

/// Window functions that take at least one argument.
const OF_VALUES: [&str; 6] = ["ntile", "lag", "lead", "first_value", "last_value", "nth_value"];

fn is_bare(function: &Function) -> bool {
    match &function.args {
        FunctionArguments::None => true,
        FunctionArguments::List(list) => list.args.is_empty(),
        FunctionArguments::Subquery(_) => false,
    }
}

/// One expression, without those in it.
pub(super) fn expression(expr: &Expr, kinds: &FunctionKinds) -> Result<()> {
    let Expr::Function(function) = expr else { return Ok(()) };
    let Some(name) = function_name(function) else { return Ok(()) };
    let shown = name.value.to_lowercase();
    let refused = |state, message: String| Err(SqlError::new(state, message).at(name.span));
    match kinds.kind(&shown) {
        Some(FunctionKind::Scalar) => scalar(function, &shown).map_or(Ok(()), |message| refused(SqlState::WRONG_OBJECT_TYPE, message)),
        Some(FunctionKind::Window) if HYPOTHETICAL.contains(&shown.as_str()) && !function.within_group.is_empty() => Ok(()),
        Some(FunctionKind::Window) if function.over.is_none() => {
            refused(SqlState::WRONG_OBJECT_TYPE, format!("window function {shown} requires an OVER clause"))
        }
        Some(_) if function.over.is_some() && is_distinct(function) => {
            refused(SqlState::FEATURE_NOT_SUPPORTED, "DISTINCT is not implemented for window functions".into())
        }
        Some(FunctionKind::Aggregate) => aggregate(function, name, &shown),
        Some(FunctionKind::Window) if OF_VALUES.contains(&shown.as_str()) && is_bare(function) => {
            Err(SqlError::undefined_function(&format!("{shown}()")).at(name.span))
        }
        _ => Ok(()),
    }?;
    match &function.over {
        Some(WindowType::WindowSpec(spec)) => frame(spec.window_frame.as_ref(), name),
        _ => Ok(()),
    }
}

fn scalar(function: &Function, name: &str) -> Option<String> {
    if function.over.is_some() {
        return Some(format!("OVER specified, but {name} is not a window function nor an aggregate function"));
    }
    let what = if is_distinct(function) {
        "DISTINCT"
    } else if function.filter.is_some() {
        "FILTER"
    } else if !function.within_group.is_empty() {
        "WITHIN GROUP"
    } else {
        return None;
    };
    Some(format!("{what} specified, but {name} is not an aggregate function"))
}

fn aggregate(function: &Function, name: &Ident, shown: &str) -> Result<()> {
    if !function.within_group.is_empty() && !ORDERED_SET.contains(&shown) {
        let message = format!("{shown} is not an ordered-set aggregate, so it cannot have WITHIN GROUP");
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.span));
    }
    let FunctionArguments::List(list) = &function.args else { return Ok(()) };
    let star = matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
    if star && shown != "count" {
        return Err(SqlError::undefined_function(&format!("{shown}()")).at(name.span));
    }
    Ok(())
}

fn is_distinct(function: &Function) -> bool {
    match &function.args {
        FunctionArguments::List(list) => list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
        _ => false,
    }
}

fn frame(frame: Option<&WindowFrame>, name: &Ident) -> Result<()> {
    use WindowFrameBound::{CurrentRow, Following, Preceding};
    let Some(frame) = frame else { return Ok(()) };
    let end = frame.end_bound.as_ref().unwrap_or(&CurrentRow);
    let message = match (&frame.start_bound, end) {
        (Following(None), _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (_, Preceding(None)) => "frame end cannot be UNBOUNDED PRECEDING",
        (CurrentRow, Preceding(_)) => "frame starting from current row cannot have preceding rows",
        (Following(_), Preceding(_)) => "frame starting from following row cannot have preceding rows",
        (Following(_), CurrentRow) => "frame starting from following row cannot end with current row",
        _ => return Ok(()),
    };
    Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(name.span))
}

/// The windows that a query's calls refer to.
pub(super) fn windows(query: &Query) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(()) };
    let mut walk = Names { select, queries: 0 };
    let mut flow = select.projection.visit(&mut walk);
    if let Some(order_by) = &query.order_by
        && let OrderByKind::Expressions(keys) = &order_by.kind
        && flow.is_continue()
    {
        flow = keys.visit(&mut walk);
    }
    match flow {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Names<'a> {
    select: &'a Select,
    queries: usize,
}

impl Names<'_> {
    fn named(&self, name: &Ident) -> Result<Option<&WindowSpec>> {
        let found = self.select.named_window.iter().find(|window| same_name(&window.0, name));
        match found {
            Some(window) => Ok(match &window.1 {
                NamedWindowExpr::WindowSpec(spec) => Some(spec),
                NamedWindowExpr::NamedWindow(_) => None,
            }),
            None => {
                let message = format!("window \"{}\" does not exist", name.value);
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(name.span))
            }
        }
    }

    fn check(&self, over: &WindowType) -> Result<()> {
        match over {
            WindowType::NamedWindow(name) => self.named(name).map(|_| ()),
            WindowType::WindowSpec(spec) => match &spec.window_name {
                Some(name) => copied(spec, self.named(name)?, name),
                None => Ok(()),
            },
        }
    }
}

/// What a window that starts from another may not say again.
fn copied(spec: &WindowSpec, from: Option<&WindowSpec>, name: &Ident) -> Result<()> {
    let overrides = from.is_some_and(|from| !from.order_by.is_empty()) && !spec.order_by.is_empty();
    let clause = if !spec.partition_by.is_empty() {
        "PARTITION BY"
    } else if overrides {
        "ORDER BY"
    } else if from.is_some_and(|from| from.window_frame.is_some()) {
        let message = format!("cannot copy window \"{}\" because it has a frame clause", name.value);
        return Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(name.span));
    } else {
        return Ok(());
    };
    let message = format!("cannot override {clause} clause of window \"{}\"", name.value);
    Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(name.span))
}

/// Whether two identifiers name the same.
pub(super) fn same_name(a: &Ident, b: &Ident) -> bool {
    super::relations::folded(a) == super::relations::folded(b)
}

impl Visitor for Names<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::Function(Function { over: Some(over), .. }) if self.queries == 0 => super::flow(self.check(over)),
            _ => ControlFlow::Continue(()),
        }
    }
}
