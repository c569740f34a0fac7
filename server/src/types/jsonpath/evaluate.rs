//! A path over a JSON text.
//!
//! The rules are PostgreSQL's: in lax mode arrays are unwrapped and values wrapped as steps need it, and what is missing is nothing; in strict
//! mode it is an error. Within conditions errors make *unknown*. Where only existence is asked for, the first value found ends the search.

use super::item::Item;
use super::moments::Moment;
use super::number::Number;
use super::parser::compiled;
use super::path::{Comparison, Expression, Method, Operator, Path, Step};
use crate::error::{Result, SqlError, SqlState};
use crate::functions::regular::Pattern;
use crate::types::json_path::{kind, member, quoted};
use crate::types::zone::Zone;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;

/// Items that one evaluation may find, at most.
const ITEMS_MAX: usize = 10_000_000;

/// What a path is evaluated with.
pub struct Evaluation<'a> {
    expression: &'a Expression,
    root: Item<'a>,
    variables: &'a str,
    /// Errors of the data are told.
    throws: bool,
    /// What moments without a zone are in, for the functions that may use it.
    zone: Option<&'a Zone>,
    patterns: &'a Patterns,
}

/// Regular expressions, compiled once for all rows.
#[derive(Default)]
pub struct Patterns(RefCell<HashMap<(String, String), std::rc::Rc<Pattern>>>);

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something was found.
    Found,
    /// Nothing was.
    Nothing,
    /// An error that is not told.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    fn of(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

type Found<'f, 'a> = Option<&'f mut Vec<Item<'a>>>;

/// What a step is evaluated in.
#[derive(Clone)]
struct Scope<'a> {
    /// `@`
    current: Item<'a>,
    /// Elements of the innermost array that is subscripted.
    size: Option<usize>,
    /// What is missing is nothing, also in strict mode.
    ignores: bool,
    throws: bool,
}

impl<'a> Evaluation<'a> {
    /// Evaluates a path over a document. `variables` is an object.
    pub fn new(
        expression: &'a Expression,
        document: &'a str,
        variables: &'a str,
        silent: bool,
        zone: Option<&'a Zone>,
        patterns: &'a Patterns,
    ) -> Result<Self> {
        if kind(variables) != "object" {
            let error = SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "\"vars\" argument is not an object");
            return Err(error.with_detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."));
        }
        let root = Item::Json(std::borrow::Cow::Borrowed(document));
        Ok(Self { expression, root, variables, throws: !silent, zone, patterns })
    }

    fn scope(&self) -> Scope<'a> {
        Scope { current: self.root.clone(), size: None, ignores: self.expression.lax, throws: self.throws }
    }

    /// All that is found, up to an error that is not told.
    pub fn all(&self) -> Result<(Vec<Item<'a>>, Outcome)> {
        let mut found = Vec::new();
        let outcome = self.items(&self.expression.path, self.root.clone(), &self.scope(), Some(&mut found))?;
        Ok((found, outcome))
    }

    /// Whether anything is found; `None` after an error that is not told.
    pub fn exists(&self) -> Result<Option<bool>> {
        if !self.expression.lax {
            let (found, outcome) = self.all()?;
            return Ok((outcome != Outcome::Failed).then_some(!found.is_empty()));
        }
        match self.items(&self.expression.path, self.root.clone(), &self.scope(), None)? {
            Outcome::Found => Ok(Some(true)),
            Outcome::Nothing => Ok(Some(false)),
            Outcome::Failed => Ok(None),
        }
    }

    fn fail(&self, scope: &Scope<'a>, state: &'static str, message: impl FnOnce() -> String) -> Result<Outcome> {
        if scope.throws { Err(SqlError::new(SqlState(state), message())) } else { Ok(Outcome::Failed) }
    }

    fn items(&self, path: &[Step], item: Item<'a>, scope: &Scope<'a>, found: Found<'_, 'a>) -> Result<Outcome> {
        self.target(path, item, scope, found, self.expression.lax)
    }

    fn next(&self, path: &[Step], item: Item<'a>, scope: &Scope<'a>, found: Found<'_, 'a>) -> Result<Outcome> {
        match (path.get(1..).filter(|rest| !rest.is_empty()), found) {
            (Some(rest), found) => self.items(rest, item, scope, found),
            (None, Some(found)) if found.len() >= ITEMS_MAX => {
                Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("a jsonpath found more than {ITEMS_MAX} items")))
            }
            (None, Some(found)) => {
                found.push(item);
                Ok(Outcome::Found)
            }
            (None, None) => Ok(Outcome::Found),
        }
    }

    /// The first step of a path at an item; `unwrap`: an array is taken element by element where the step is not for arrays.
    fn target(&self, path: &[Step], item: Item<'a>, scope: &Scope<'a>, found: Found<'_, 'a>, unwrap: bool) -> Result<Outcome> {
        let step = &path[0];
        let unwraps = unwrap && item.is_array();
        match step {
            step if step.is_predicate() => {
                let truth = match self.truth(step, &item, scope)? {
                    Truth::True => "true",
                    Truth::False => "false",
                    Truth::Unknown => "null",
                };
                self.next(path, Item::of(truth), scope, found)
            }
            Step::Root => self.next(path, self.root.clone(), scope, found),
            Step::Current => self.next(path, scope.current.clone(), scope, found),
            Step::Literal(json) => self.next(path, Item::of(json.clone()), scope, found),
            Step::Variable(name) => self.next(path, self.variable(name)?, scope, found),
            Step::Last => match scope.size {
                Some(size) => self.next(path, Item::number(Number::whole(size as i64 - 1)), scope, found),
                None => Err(SqlError::internal("evaluating jsonpath LAST outside of array subscript")),
            },
            Step::Key(name) => self.member(path, name, item, scope, found, unwraps),
            Step::AnyKey if item.kind() == "object" => self.each(path, &item, scope, found, (1, 1, 1), false, self.expression.lax),
            Step::AnyKey if unwraps => self.elements(path, &item, scope, found),
            Step::AnyKey if scope.ignores => Ok(Outcome::Nothing),
            Step::AnyKey => self.fail(scope, "2203C", || "jsonpath wildcard member accessor can only be applied to an object".into()),
            Step::AnyElement if item.is_array() => self.each(path, &item, scope, found, (1, 1, 1), false, self.expression.lax),
            Step::AnyElement if self.expression.lax => self.next(path, item, scope, found),
            Step::AnyElement if scope.ignores => Ok(Outcome::Nothing),
            Step::AnyElement => self.fail(scope, "22039", || "jsonpath wildcard array accessor can only be applied to an array".into()),
            Step::Elements(ranges) => self.subscripted(path, ranges, item, scope, found),
            Step::Descendants(first, last) => self.descendants(path, (*first, *last), item, scope, found),
            Step::Filter(_) | Step::Datetime(_) if unwraps => self.elements(path, &item, scope, found),
            Step::Filter(condition) => {
                let inner = Scope { current: item.clone(), ..scope.clone() };
                match self.truth(&condition[0], &item, &inner)? {
                    Truth::True => self.next(path, item, scope, found),
                    _ => Ok(Outcome::Nothing),
                }
            }
            Step::Datetime(template) => self.datetime(path, template.as_deref(), &item, scope, found),
            Step::Method(method) if unwraps && !matches!(method, Method::Type | Method::Size) => self.elements(path, &item, scope, found),
            Step::Method(method) => self.method(path, *method, item, scope, found),
            Step::Arithmetic(operator, left, right) => self.arithmetic(path, (*operator, left, right), &item, scope, found),
            Step::Signed(operator, inner) => self.signed(path, *operator, inner, &item, scope, found),
            _ => Err(SqlError::internal("a step of a jsonpath is unknown")),
        }
    }

    fn variable(&self, name: &str) -> Result<Item<'a>> {
        let variables: &'a str = self.variables;
        match member(variables, name) {
            Some(value) => Ok(Item::of(value)),
            None => Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("could not find jsonpath variable \"{name}\""))),
        }
    }

    fn member(&self, path: &[Step], name: &str, item: Item<'a>, scope: &Scope<'a>, found: Found<'_, 'a>, unwraps: bool) -> Result<Outcome> {
        if item.kind() == "object" {
            return match item.member(name) {
                Some(value) => self.next(path, value, scope, found),
                None if scope.ignores => Ok(Outcome::Nothing),
                None => self.fail(scope, "2203A", || format!("JSON object does not contain key \"{name}\"")),
            };
        }
        if unwraps {
            return self.elements(path, &item, scope, found);
        }
        if scope.ignores {
            return Ok(Outcome::Nothing);
        }
        self.fail(scope, "2203A", || "jsonpath member accessor can only be applied to an object".into())
    }

    /// The same step at each element of an array.
    fn elements(&self, path: &[Step], item: &Item<'a>, scope: &Scope<'a>, mut found: Found<'_, 'a>) -> Result<Outcome> {
        let mut outcome = Outcome::Nothing;
        for element in item.elements() {
            outcome = self.target(path, element, scope, found.as_deref_mut(), false)?;
            if outcome == Outcome::Failed || (outcome == Outcome::Found && found.is_none()) {
                break;
            }
        }
        Ok(outcome)
    }

    /// The steps after this one at each value within an item, from one level to another.
    #[allow(clippy::too_many_arguments)]
    fn each(
        &self,
        path: &[Step],
        item: &Item<'a>,
        scope: &Scope<'a>,
        mut found: Found<'_, 'a>,
        (level, first, last): (u32, u32, u32),
        ignores: bool,
        unwrap: bool,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::Nothing;
        if level > last {
            return Ok(outcome);
        }
        let inner = Scope { ignores: ignores || scope.ignores, ..scope.clone() };
        for value in item.values() {
            let leaf = first == u32::MAX && last == u32::MAX && !value.is_container();
            if level >= first || leaf {
                outcome = match path.get(1..).filter(|rest| !rest.is_empty()) {
                    Some(rest) => self.target(rest, value.clone(), &inner, found.as_deref_mut(), unwrap)?,
                    None => self.next(path, value.clone(), scope, found.as_deref_mut())?,
                };
                if outcome == Outcome::Failed || (outcome == Outcome::Found && found.is_none()) {
                    break;
                }
            }
            if level < last && value.is_container() {
                outcome = self.each(path, &value, scope, found.as_deref_mut(), (level + 1, first, last), ignores, unwrap)?;
                if outcome == Outcome::Failed || (outcome == Outcome::Found && found.is_none()) {
                    break;
                }
            }
        }
        Ok(outcome)
    }

    fn descendants(
        &self,
        path: &[Step],
        (first, last): (Option<u32>, Option<u32>),
        item: Item<'a>,
        scope: &Scope<'a>,
        mut found: Found<'_, 'a>,
    ) -> Result<Outcome> {
        let (first, last) = (first.unwrap_or(u32::MAX), last.unwrap_or(u32::MAX));
        let mut outcome = Outcome::Nothing;
        if first == 0 {
            let inner = Scope { ignores: true, ..scope.clone() };
            outcome = self.next(path, item.clone(), &inner, found.as_deref_mut())?;
            if outcome == Outcome::Failed || (outcome == Outcome::Found && found.is_none()) {
                return Ok(outcome);
            }
        }
        if item.is_container() {
            outcome = self.each(path, &item, scope, found, (1, first, last), true, self.expression.lax)?;
        }
        Ok(outcome)
    }

    fn subscripted(
        &self,
        path: &[Step],
        ranges: &[(Path, Option<Path>)],
        item: Item<'a>,
        scope: &Scope<'a>,
        mut found: Found<'_, 'a>,
    ) -> Result<Outcome> {
        if !item.is_array() && !self.expression.lax {
            return match scope.ignores {
                true => Ok(Outcome::Nothing),
                false => self.fail(scope, "22039", || "jsonpath array accessor can only be applied to an array".into()),
            };
        }
        let elements = if item.is_array() { item.elements() } else { vec![item.clone()] };
        let inner = Scope { size: Some(elements.len()), ..scope.clone() };
        let mut outcome = Outcome::Nothing;
        for (from, to) in ranges {
            let Some(from) = self.position(from, &item, &inner)? else { return Ok(Outcome::Failed) };
            let to = match to {
                None => from,
                Some(to) => match self.position(to, &item, &inner)? {
                    Some(to) => to,
                    None => return Ok(Outcome::Failed),
                },
            };
            let size = i64::try_from(elements.len()).unwrap_or(i64::MAX);
            let (from, to) = (i64::from(from), i64::from(to));
            if !scope.ignores && (from < 0 || from > to || to >= size) {
                return self.fail(scope, "22033", || "jsonpath array subscript is out of bounds".into());
            }
            for at in from.max(0)..=to.min(size - 1) {
                let element = elements[usize::try_from(at).unwrap_or(0)].clone();
                outcome = self.next(path, element, &inner, found.as_deref_mut())?;
                if outcome == Outcome::Failed || (outcome == Outcome::Found && found.is_none()) {
                    return Ok(outcome);
                }
            }
        }
        Ok(outcome)
    }

    /// A subscript; `None` after an error that is not told.
    fn position(&self, path: &Path, item: &Item<'a>, scope: &Scope<'a>) -> Result<Option<i32>> {
        let mut found = Vec::new();
        if self.items(path, item.clone(), scope, Some(&mut found))? == Outcome::Failed {
            return Ok(None);
        }
        let number = if let [item] = found.as_slice() { item.as_number() } else { None };
        let Some(number) = number else {
            self.fail(scope, "22033", || "jsonpath array subscript is not a single numeric value".into())?;
            return Ok(None);
        };
        match number.truncated() {
            Some(position) => Ok(Some(position)),
            None => {
                self.fail(scope, "22033", || "jsonpath array subscript is out of integer range".into())?;
                Ok(None)
            }
        }
    }

    fn method(&self, path: &[Step], method: Method, item: Item<'a>, scope: &Scope<'a>, found: Found<'_, 'a>) -> Result<Outcome> {
        let name = method.name();
        let made = match method {
            Method::Type => Item::of(quoted(item.kind())),
            Method::Size if item.is_array() => Item::number(Number::whole(item.elements().len() as i64)),
            Method::Size if self.expression.lax => Item::of("1"),
            Method::Size if scope.ignores => return Ok(Outcome::Nothing),
            Method::Size => {
                return self.fail(scope, "22039", || format!("jsonpath item method .{name}() can only be applied to an array"));
            }
            Method::Keyvalue => return self.keyvalue(path, &item, scope, found),
            Method::Double => match self.double(&item, scope)? {
                Some(item) => item,
                None => return Ok(Outcome::Failed),
            },
            Method::Abs | Method::Floor | Method::Ceiling => {
                let Some(number) = item.as_number() else {
                    return self.fail(scope, "22036", || format!("jsonpath item method .{name}() can only be applied to a numeric value"));
                };
                Item::number(match method {
                    Method::Abs => number.absolute(),
                    _ => number.to_whole(method == Method::Ceiling),
                })
            }
        };
        self.next(path, made, scope, found)
    }

    /// A number, or a text that is one; `None` after an error that is not told.
    fn double(&self, item: &Item<'a>, scope: &Scope<'a>) -> Result<Option<Item<'a>>> {
        let failed = |message: &str| self.fail(scope, "22036", || message.to_string()).map(|_| None);
        if item.as_number().is_some() {
            return Ok(Some(item.clone()));
        }
        let Some(text) = item.as_string() else {
            return failed("jsonpath item method .double() can only be applied to a string or numeric value");
        };
        match crate::types::input::scalar_from_text(&crate::types::SqlType::Float8, &text) {
            Ok(datafusion::common::ScalarValue::Float64(Some(value))) if value.is_finite() => {
                Ok(Some(Item::number(Number::of_double(value)?)))
            }
            Ok(_) => failed("NaN or Infinity is not allowed for jsonpath item method .double()"),
            Err(_) => {
                failed("string argument of jsonpath item method .double() is not a valid representation of a double precision number")
            }
        }
    }

    fn keyvalue(&self, path: &[Step], item: &Item<'a>, scope: &Scope<'a>, mut found: Found<'_, 'a>) -> Result<Outcome> {
        if item.kind() != "object" {
            return self.fail(scope, "2203C", || "jsonpath item method .keyvalue() can only be applied to an object".into());
        }
        let mut outcome = Outcome::Nothing;
        let id = self.place(item);
        for (key, value) in item.members() {
            let pair = Item::of(format!("{{\"id\": {id}, \"key\": {}, \"value\": {value}}}", quoted(&key)));
            outcome = self.next(path, pair, scope, found.as_deref_mut())?;
            if outcome == Outcome::Failed || (outcome == Outcome::Found && found.is_none()) {
                break;
            }
        }
        Ok(outcome)
    }

    /// Where an object stands in the document; others are numbered far behind.
    fn place(&self, item: &Item<'a>) -> u64 {
        use std::borrow::Cow::Borrowed;
        match (&self.root, item) {
            (Item::Json(Borrowed(root)), Item::Json(Borrowed(object))) => (object.as_ptr() as usize - root.as_ptr() as usize) as u64,
            _ => 10_000_000_000,
        }
    }

    fn datetime(&self, path: &[Step], template: Option<&str>, item: &Item<'a>, scope: &Scope<'a>, found: Found<'_, 'a>) -> Result<Outcome> {
        let Some(text) = item.as_string() else {
            return self.fail(scope, "22031", || "jsonpath item method .datetime() can only be applied to a string".into());
        };
        if template.is_some() {
            return Err(SqlError::unsupported("a template for the jsonpath item method .datetime()"));
        }
        match Moment::parse(&text) {
            Some(moment) => self.next(path, Item::Moment(moment), scope, found),
            None if scope.throws => {
                let error = SqlError::new(SqlState("22031"), format!("datetime format is not recognized: \"{text}\""));
                Err(error.with_hint("Use a datetime template argument to specify the input data format."))
            }
            None => Ok(Outcome::Failed),
        }
    }

    /// What an operand is, its arrays taken apart in lax mode; `None` after an error that is not told.
    fn operand(&self, path: &Path, item: &Item<'a>, scope: &Scope<'a>, unwrap: bool) -> Result<Option<Vec<Item<'a>>>> {
        let mut found = Vec::new();
        if self.items(path, item.clone(), scope, Some(&mut found))? == Outcome::Failed {
            return Ok(None);
        }
        if !unwrap || !self.expression.lax {
            return Ok(Some(found));
        }
        Ok(Some(found.into_iter().flat_map(|item| if item.is_array() { item.elements() } else { vec![item] }).collect()))
    }

    fn arithmetic(
        &self,
        path: &[Step],
        (operator, left, right): (Operator, &Path, &Path),
        item: &Item<'a>,
        scope: &Scope<'a>,
        found: Found<'_, 'a>,
    ) -> Result<Outcome> {
        let Some(left) = self.operand(left, item, scope, true)? else { return Ok(Outcome::Failed) };
        let Some(right) = self.operand(right, item, scope, true)? else { return Ok(Outcome::Failed) };
        let single = |items: &[Item<'a>]| if let [item] = items { item.as_number() } else { None };
        let refused = |side: &str| {
            self.fail(scope, "22038", || format!("{side} operand of jsonpath operator {} is not a single numeric value", operator.symbol()))
        };
        let Some(left) = single(&left) else { return refused("left") };
        let Some(right) = single(&right) else { return refused("right") };
        let computed = match operator {
            Operator::Add => left.plus(right),
            Operator::Subtract => left.minus(right),
            Operator::Multiply => left.times(right),
            Operator::Divide => left.over(right),
            Operator::Modulo => left.modulo(right),
        };
        match computed {
            Ok(number) => self.next(path, Item::number(number), scope, found),
            Err(error) if scope.throws => Err(error),
            Err(_) => Ok(Outcome::Failed),
        }
    }

    fn signed(
        &self,
        path: &[Step],
        operator: Operator,
        inner: &Path,
        item: &Item<'a>,
        scope: &Scope<'a>,
        mut found: Found<'_, 'a>,
    ) -> Result<Outcome> {
        let Some(operands) = self.operand(inner, item, scope, true)? else { return Ok(Outcome::Failed) };
        let mut outcome = Outcome::Nothing;
        for operand in operands {
            let Some(number) = operand.as_number() else {
                if found.is_none() && path.len() == 1 {
                    continue;
                }
                let symbol = operator.symbol();
                return self.fail(scope, "2203B", || format!("operand of unary jsonpath operator {symbol} is not a numeric value"));
            };
            let number = if operator == Operator::Subtract { number.negative() } else { number };
            match self.next(path, Item::number(number), scope, found.as_deref_mut())? {
                Outcome::Failed => return Ok(Outcome::Failed),
                Outcome::Found if found.is_none() => return Ok(Outcome::Found),
                Outcome::Found => outcome = Outcome::Found,
                Outcome::Nothing => {}
            }
        }
        Ok(outcome)
    }

    fn truth(&self, step: &Step, item: &Item<'a>, scope: &Scope<'a>) -> Result<Truth> {
        let of = |path: &Path| self.truth(&path[0], item, scope);
        Ok(match step {
            Step::And(left, right) => match of(left)? {
                Truth::False => Truth::False,
                left => match of(right)? {
                    Truth::True => left,
                    right => right,
                },
            },
            Step::Or(left, right) => match of(left)? {
                Truth::True => Truth::True,
                left => match of(right)? {
                    Truth::False => left,
                    right => right,
                },
            },
            Step::Not(inner) => match of(inner)? {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Unknown => Truth::Unknown,
            },
            Step::IsUnknown(inner) => Truth::of(of(inner)? == Truth::Unknown),
            Step::Exists(inner) => self.any(inner, item, scope)?,
            Step::Compare(comparison, left, right) => {
                let compare = |left: &Item<'a>, right: Option<&Item<'a>>| match right {
                    Some(right) => self.compared(*comparison, left, right),
                    None => Ok(Truth::Unknown),
                };
                self.predicate(left, Some((right, true)), item, scope, &compare)?
            }
            Step::StartsWith(whole, initial) => {
                let starts = |whole: &Item<'a>, initial: Option<&Item<'a>>| {
                    Ok(match (whole.as_string(), initial.and_then(Item::as_string)) {
                        (Some(whole), Some(initial)) => Truth::of(whole.starts_with(&initial)),
                        _ => Truth::Unknown,
                    })
                };
                self.predicate(whole, Some((initial, false)), item, scope, &starts)?
            }
            Step::LikeRegex(text, pattern, flags) => {
                let pattern = self.patterns.of(pattern, flags)?;
                let matches = |text: &Item<'a>, _: Option<&Item<'a>>| {
                    Ok(text.as_string().map_or(Truth::Unknown, |text| Truth::of(pattern.is_match(&text))))
                };
                self.predicate(text, None, item, scope, &matches)?
            }
            _ => return Err(SqlError::internal("a condition of a jsonpath is none")),
        })
    }

    fn any(&self, path: &Path, item: &Item<'a>, scope: &Scope<'a>) -> Result<Truth> {
        let quiet = Scope { throws: false, ..scope.clone() };
        if self.expression.lax {
            return Ok(match self.items(path, item.clone(), &quiet, None)? {
                Outcome::Found => Truth::True,
                Outcome::Nothing => Truth::False,
                Outcome::Failed => Truth::Unknown,
            });
        }
        let found = self.operand(path, item, &quiet, false)?;
        Ok(found.map_or(Truth::Unknown, |found| Truth::of(!found.is_empty())))
    }

    /// A test of each value of the left side with each of the right: true if one is, in strict mode only if none is unknown.
    fn predicate(
        &self,
        left: &Path,
        right: Option<(&Path, bool)>,
        item: &Item<'a>,
        scope: &Scope<'a>,
        test: &dyn Fn(&Item<'a>, Option<&Item<'a>>) -> Result<Truth>,
    ) -> Result<Truth> {
        let quiet = Scope { throws: false, ..scope.clone() };
        let Some(left) = self.operand(left, item, &quiet, true)? else { return Ok(Truth::Unknown) };
        let right = match right {
            None => vec![None],
            Some((right, unwrap)) => match self.operand(right, item, &quiet, unwrap)? {
                Some(right) => right.into_iter().map(Some).collect(),
                None => return Ok(Truth::Unknown),
            },
        };
        let (mut found, mut failed) = (false, false);
        for left in &left {
            for right in &right {
                match test(left, right.as_ref())? {
                    Truth::Unknown if !self.expression.lax => return Ok(Truth::Unknown),
                    Truth::Unknown => failed = true,
                    Truth::True if self.expression.lax => return Ok(Truth::True),
                    Truth::True => found = true,
                    Truth::False => {}
                }
            }
        }
        Ok(match (found, failed) {
            (true, _) => Truth::True,
            (_, true) => Truth::Unknown,
            _ => Truth::False,
        })
    }

    fn compared(&self, comparison: Comparison, left: &Item<'a>, right: &Item<'a>) -> Result<Truth> {
        let order = match (left, right) {
            (Item::Moment(left), Item::Moment(right)) => match left.order(right, self.zone)? {
                Some(order) => order,
                None => return Ok(Truth::Unknown),
            },
            _ if left.kind() != right.kind() => {
                let null = left.kind() == "null" || right.kind() == "null";
                return Ok(if null { Truth::of(comparison == Comparison::NotEqual) } else { Truth::Unknown });
            }
            (Item::Json(left_json), Item::Json(right_json)) => match left.kind() {
                "null" => Ordering::Equal,
                "boolean" => (**left_json == *"true").cmp(&(**right_json == *"true")),
                "number" => match (left.as_number(), right.as_number()) {
                    (Some(left), Some(right)) => left.order(right),
                    _ => return Ok(Truth::Unknown),
                },
                "string" => left.as_string().cmp(&right.as_string()),
                _ => return Ok(Truth::Unknown),
            },
            _ => return Ok(Truth::Unknown),
        };
        Ok(Truth::of(match comparison {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }))
    }
}

impl Patterns {
    fn of(&self, pattern: &str, flags: &str) -> Result<std::rc::Rc<Pattern>> {
        let key = (pattern.to_string(), flags.to_string());
        if let Some(found) = self.0.borrow().get(&key) {
            return Ok(std::rc::Rc::clone(found));
        }
        let made = std::rc::Rc::new(compiled(pattern, flags)?);
        self.0.borrow_mut().insert(key, std::rc::Rc::clone(&made));
        Ok(made)
    }
}
