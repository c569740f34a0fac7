//! Functions that evaluate SQL/JSON paths: `jsonb_path_query` and its kin, and the operators `@?` and `@@`.

use super::overloads::{Call, Overloaded, results};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{self, Boolean, Jsonb, Jsonpath};
use crate::types::jsonpath::evaluate::{Evaluation, Outcome, Patterns};
use crate::types::jsonpath::item::Item;
use crate::types::jsonpath::parser::parse;
use crate::types::jsonpath::path::Expression;
use crate::types::zone::Zone;
use arrow::array::{ArrayRef, StringViewBuilder};
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// `jsonb @? jsonpath`.
pub const EXISTS: &str = "plimsoll_jsonb_path_exists";
/// `jsonb @@ jsonpath`.
pub const MATCH: &str = "plimsoll_jsonb_path_match";

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let list = || SqlType::Array(Box::new(Jsonb));
    let operator = |name, body: fn(&Call) -> Result<ArrayRef>| Overloaded::named(name).of(&[Jsonb, Jsonpath], Boolean, body).build();
    vec![
        of("jsonb_path_exists", Boolean, |call| exists(call, false)),
        of("jsonb_path_exists_tz", Boolean, |call| exists(call, true)),
        of("jsonb_path_match", Boolean, |call| matches(call, false)),
        of("jsonb_path_match_tz", Boolean, |call| matches(call, true)),
        of("plimsoll_jsonb_path_query", list(), |call| query(call, false)),
        of("plimsoll_jsonb_path_query_tz", list(), |call| query(call, true)),
        of("jsonb_path_query_array", Jsonb, |call| array(call, false)),
        of("jsonb_path_query_array_tz", Jsonb, |call| array(call, true)),
        of("jsonb_path_query_first", Jsonb, |call| first(call, false)),
        of("jsonb_path_query_first_tz", Jsonb, |call| first(call, true)),
        operator(EXISTS, exists_quietly),
        operator(MATCH, matches_quietly),
    ]
}

fn of(name: &'static str, returns: SqlType, body: fn(&Call) -> Result<ArrayRef>) -> ScalarUDF {
    Overloaded::named(name)
        .of(&[Jsonb, Jsonpath], returns.clone(), body)
        .of(&[Jsonb, Jsonpath, Jsonb], returns.clone(), body)
        .of(&[Jsonb, Jsonpath, Jsonb, Boolean], returns, body)
        .build()
}

/// The paths of a batch: a path is parsed again only where it changes.
struct Paths<'c> {
    call: &'c Call,
    zone: Option<Zone>,
    patterns: Patterns,
    last: Option<(&'c str, Expression)>,
    /// An operator's: no errors are told.
    quiet: bool,
}

impl<'c> Paths<'c> {
    fn of(call: &'c Call, zoned: bool) -> Self {
        let zone = zoned.then(|| call.forms.zone());
        Self { call, zone, patterns: Patterns::default(), last: None, quiet: false }
    }

    /// Evaluates the path of a row; `None` where an argument is NULL.
    fn at<T>(&mut self, row: usize, answer: impl FnOnce(&Evaluation<'_>, bool) -> Result<Option<T>>) -> Result<Option<T>> {
        let call = self.call;
        if call.any_null(row) {
            return Ok(None);
        }
        let text = call.text(1, row);
        if self.last.as_ref().is_none_or(|(last, _)| *last != text) {
            self.last = Some((text, parse(text)?));
        }
        let Some((_, expression)) = &self.last else { return Ok(None) };
        let variables = if call.count() > 2 { call.text(2, row) } else { "{}" };
        let silent = self.quiet || (call.count() > 3 && call.boolean(3, row));
        let evaluation = Evaluation::new(expression, call.text(0, row), variables, silent, self.zone.as_ref(), &self.patterns)?;
        answer(&evaluation, silent)
    }
}

fn exists(call: &Call, zoned: bool) -> Result<ArrayRef> {
    let mut paths = Paths::of(call, zoned);
    results::booleans(call, |row| paths.at(row, |evaluation, _| evaluation.exists()))
}

fn matches(call: &Call, zoned: bool) -> Result<ArrayRef> {
    let mut paths = Paths::of(call, zoned);
    results::booleans(call, |row| paths.at(row, truth))
}

fn exists_quietly(call: &Call) -> Result<ArrayRef> {
    let mut paths = Paths { quiet: true, ..Paths::of(call, false) };
    results::booleans(call, |row| paths.at(row, |evaluation, _| evaluation.exists()))
}

fn matches_quietly(call: &Call) -> Result<ArrayRef> {
    let mut paths = Paths { quiet: true, ..Paths::of(call, false) };
    results::booleans(call, |row| paths.at(row, truth))
}

/// The only item found, if it is a boolean or null.
fn truth(evaluation: &Evaluation<'_>, silent: bool) -> Result<Option<bool>> {
    let (found, outcome) = evaluation.all()?;
    match found.as_slice() {
        _ if outcome == Outcome::Failed && silent => Ok(None),
        [Item::Json(json)] if matches!(&**json, "true" | "false") => Ok(Some(&**json == "true")),
        [Item::Json(json)] if &**json == "null" => Ok(None),
        _ if silent => Ok(None),
        _ => Err(SqlError::new(SqlState("22038"), "single boolean result is expected")),
    }
}

fn found(evaluation: &Evaluation<'_>) -> Result<Vec<String>> {
    Ok(evaluation.all()?.0.into_iter().map(Item::into_json).collect())
}

fn query(call: &Call, zoned: bool) -> Result<ArrayRef> {
    let mut paths = Paths::of(call, zoned);
    results::text_lists(call, |row| {
        paths.at(row, |evaluation, _| Ok(Some(found(evaluation)?.into_iter().map(Some).collect::<Vec<Option<String>>>())))
    })
}

fn array(call: &Call, zoned: bool) -> Result<ArrayRef> {
    texts(call, zoned, |evaluation| Ok(Some(format!("[{}]", found(evaluation)?.join(", ")))))
}

fn first(call: &Call, zoned: bool) -> Result<ArrayRef> {
    texts(call, zoned, |evaluation| Ok(evaluation.all()?.0.into_iter().next().map(Item::into_json)))
}

fn texts(call: &Call, zoned: bool, text: impl Fn(&Evaluation<'_>) -> Result<Option<String>>) -> Result<ArrayRef> {
    let mut paths = Paths::of(call, zoned);
    let mut builder = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        builder.append_option(paths.at(row, |evaluation, _| text(evaluation))?);
    }
    Ok(Arc::new(builder.finish()))
}
