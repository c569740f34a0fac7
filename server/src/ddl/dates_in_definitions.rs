//! Dates and intervals in what a definition keeps: defaults, conditions, views.
//!
//! Definitions are kept as they are written, and read again by whoever uses them. What their literals mean must not hang on the settings of
//! the session that wrote them: one that another session would read otherwise is refused.

use crate::error::{Result, SqlError};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::input::{scalar_from_text, scalar_from_text_in};
use datafusion::sql::sqlparser::ast::{CreateTable, Statement, Value, ValueWithSpan, Visit, Visitor};
use std::ops::ControlFlow;

/// Refuses a definition with a literal that only this session's DateStyle or IntervalStyle gives its meaning (0A000).
pub fn check(statement: &Statement, forms: &ValueForms) -> Result<()> {
    let keeps_expressions = match statement {
        Statement::CreateTable(CreateTable { query, .. }) => query.is_none(),
        Statement::CreateView(_) | Statement::AlterTable(_) | Statement::CreateIndex(_) => true,
        _ => false,
    };
    let plain = ValueForms::default().styles;
    if !keeps_expressions || (forms.styles.order, forms.styles.interval) == (plain.order, plain.interval) {
        return Ok(());
    }
    match statement.visit(&mut Literals { forms }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(text) => Err(SqlError::unsupported(format!("\"{text}\" in a definition with this DateStyle or IntervalStyle"))
            .with_detail("A definition is read again with the settings of the session that uses it.")
            .with_hint("Write dates as ISO does, year-month-day, and intervals with a sign for each field.")),
    }
}

struct Literals<'a> {
    forms: &'a ValueForms,
}

impl Visitor for Literals<'_> {
    type Break = String;

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<String> {
        match &value.value {
            Value::SingleQuotedString(text) if self.changes_meaning(text) => ControlFlow::Break(text.clone()),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Literals<'_> {
    fn changes_meaning(&self, text: &str) -> bool {
        [SqlType::Date, SqlType::Interval].iter().any(|sql_type| {
            let (here, elsewhere) = (scalar_from_text_in(sql_type, text, self.forms), scalar_from_text(sql_type, text));
            here.is_ok() && here.ok() != elsewhere.ok()
        })
    }
}
