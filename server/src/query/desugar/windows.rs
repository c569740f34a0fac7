//! WINDOW: every use of a named window gets its whole definition.

use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Interval, NamedWindowDefinition, NamedWindowExpr, Query, Select,
    VisitMut, VisitorMut, WindowFrameBound, WindowSpec, WindowType,
};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Resolves the windows of one SELECT.
pub fn resolve(select: &mut Select) -> Result<()> {
    let mut defined = HashMap::new();
    for NamedWindowDefinition(name, definition) in std::mem::take(&mut select.named_window) {
        let spec = match definition {
            NamedWindowExpr::NamedWindow(base) => copied(&base, &defined)?,
            NamedWindowExpr::WindowSpec(spec) => whole(spec, &defined)?,
        };
        let name = crate::catalog::names::fold(&name);
        if defined.insert(name.clone(), spec).is_some() {
            return Err(SqlError::new(SqlState("42P20"), format!("window \"{name}\" is already defined")));
        }
    }
    // ORDER BY, which is outside the SELECT, can name them too.
    let window = |(name, spec): (&String, &WindowSpec)| {
        NamedWindowDefinition(Ident::with_quote('"', name.clone()), NamedWindowExpr::WindowSpec(spec.clone()))
    };
    select.named_window = defined.iter().map(window).collect();
    match VisitMut::visit(&mut select.projection, &mut Uses { defined: &defined, depth: 0 }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn copied(name: &Ident, defined: &HashMap<String, WindowSpec>) -> Result<WindowSpec> {
    let name = crate::catalog::names::fold(name);
    let undefined = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist"));
    defined.get(&name).cloned().ok_or_else(undefined)
}

/// A definition with what it takes from its base.
fn whole(mut spec: WindowSpec, defined: &HashMap<String, WindowSpec>) -> Result<WindowSpec> {
    let Some(name) = spec.window_name.take() else { return Ok(spec) };
    let base = copied(&name, defined)?;
    let refused = |what: &str| Err(SqlError::new(SqlState("42P20"), format!("cannot {what} of window \"{}\"", name.value)));
    if !spec.partition_by.is_empty() {
        return refused("override PARTITION BY clause");
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        return refused("override ORDER BY clause");
    }
    if base.window_frame.is_some() {
        return refused("copy the frame clause");
    }
    spec.partition_by = base.partition_by;
    if spec.order_by.is_empty() {
        spec.order_by = base.order_by;
    }
    Ok(spec)
}

/// An interval that bounds a frame is read by the planner itself, from its text.
fn distances_are_texts(spec: &mut WindowSpec) {
    let Some(frame) = &mut spec.window_frame else { return };
    for bound in std::iter::once(&mut frame.start_bound).chain(frame.end_bound.as_mut()) {
        let (WindowFrameBound::Preceding(Some(distance)) | WindowFrameBound::Following(Some(distance))) = bound else { continue };
        let Expr::Function(function) = distance.as_ref() else { continue };
        let FunctionArguments::List(list) = &function.args else { continue };
        if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(text)), ..] = list.args.as_slice()
            && function.name.to_string() == crate::functions::casts::NAME
            && matches!(text, Expr::Value(_))
        {
            let value = Box::new(text.clone());
            **distance = Expr::Interval(Interval {
                value,
                leading_field: None,
                leading_precision: None,
                last_field: None,
                fractional_seconds_precision: None,
            });
        }
    }
}

struct Uses<'a> {
    defined: &'a HashMap<String, WindowSpec>,
    /// Queries within have windows of their own.
    depth: usize,
}

impl Uses<'_> {
    fn resolved(&self, over: WindowType) -> Result<WindowSpec> {
        match over {
            WindowType::NamedWindow(name) => copied(&name, self.defined),
            WindowType::WindowSpec(spec) => whole(spec, self.defined),
        }
    }
}

impl VisitorMut for Uses<'_> {
    type Break = SqlError;
    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.depth += 1;
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let Some(over) = function.over.take() else { return ControlFlow::Continue(()) };
        match self.resolved(over) {
            Ok(mut spec) => {
                distances_are_texts(&mut spec);
                function.over = Some(WindowType::WindowSpec(spec));
            }
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}
