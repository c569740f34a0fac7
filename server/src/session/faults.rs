//! Where in a statement an error is that does not know it: what a failed conversion, a count or a number speaks of is looked for in the syntax tree.
//!
//! Only errors of analysis come here. A value from a row can fail in the same words, while the rows are read: then it has no place, as in PostgreSQL.

use crate::catalog::names::fold;
use crate::error::{Place, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, CastKind, DataType, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, ObjectName, Query, Select, SelectItem, SetExpr, Spanned, Statement, Value, ValueWithSpan, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use std::ops::ControlFlow;

/// The error with its place, if the statement shows it.
pub fn located(statement: &Statement, error: SqlError) -> SqlError {
    let of_copy = error.context.as_ref().is_some_and(|context| context.contains("COPY "));
    if error.place.is_some() || error.position.is_some() || of_copy {
        return error;
    }
    let place = place_of(statement, &error);
    error.placed(place)
}

fn place_of(statement: &Statement, error: &SqlError) -> Option<Place> {
    let message = error.message.as_ref();
    match error.state {
        SqlState::INVALID_TEXT_REPRESENTATION
        | SqlState::INVALID_DATETIME_FORMAT
        | SqlState::DATETIME_FIELD_OVERFLOW
        | SqlState::NUMERIC_VALUE_OUT_OF_RANGE
        | SqlState::INTERVAL_FIELD_OVERFLOW
        | SqlState::INVALID_PARAMETER_VALUE => Parts::of(statement).literal(message, error.detail.as_deref()),
        SqlState::UNDEFINED_TABLE => {
            let (parts, name) = (Parts::of(statement), quoted(message)?);
            let of_rows = matches!(
                statement,
                Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_)
            );
            parts.relation(name).filter(|_| of_rows).or_else(|| parts.literal_of(name))
        }
        SqlState::DATATYPE_MISMATCH => assigned(statement, message),
        SqlState::CANNOT_COERCE => Parts::of(statement).cast(message),
        SqlState::UNDEFINED_PARAMETER => Parts::of(statement).parameter(message.strip_prefix("there is no parameter ")?),
        SqlState::UNDEFINED_OBJECT => Parts::of(statement).type_named(quoted(message)?),
        SqlState::INVALID_COLUMN_REFERENCE => Parts::of(statement).position(message),
        SqlState::SYNTAX_ERROR => uneven_insert(statement, message).or_else(|| Parts::of(statement).count(message)),
        _ => None,
    }
}

/// The same for an error that comes while rows are read: values of rows fail in the same words, so only a literal that is cast is meant.
pub fn located_in_rows(statement: &Statement, error: SqlError) -> SqlError {
    let of_literal = error.state.0.starts_with("22") || error.state == SqlState::UNDEFINED_TABLE;
    if !of_literal || error.place.is_some() || error.position.is_some() {
        return error;
    }
    let mut parts = Parts::of(statement);
    parts.literals = std::mem::take(&mut parts.cast_literals);
    let message = error.message.as_ref();
    let place = match error.state {
        SqlState::UNDEFINED_TABLE => quoted(message).and_then(|name| parts.literal_of(name)),
        _ => parts.literal(message, error.detail.as_deref()),
    };
    error.placed(place)
}

/// What stands between the first and the last quotation mark.
fn quoted(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once('"')?;
    rest.rsplit_once('"').map(|(inner, _)| inner)
}

/// What in a statement an error can be about.
#[derive(Default)]
struct Parts {
    literals: Vec<(String, Span)>,
    /// Those of them that are cast, or given to a function.
    cast_literals: Vec<(String, Span)>,
    relations: Vec<(String, Span)>,
    parameters: Vec<(String, Span)>,
    /// Casts to a type, with the place of the operator.
    casts: Vec<(String, Option<Place>)>,
    types: Vec<(String, Span)>,
    order_by: Vec<Expr>,
    group_by: Vec<Expr>,
    /// DISTINCT ON, with the ORDER BY beside it.
    distinct_on: Vec<(Vec<Expr>, Vec<Expr>)>,
    /// What SELECT DISTINCT selects, with the ORDER BY beside it.
    distinct: Vec<(Vec<Expr>, Vec<Expr>)>,
    /// Names of too many parts.
    long_names: Vec<Span>,
    /// The right sides of set operations that have another number of columns than the left.
    uneven: Vec<Span>,
    /// Subqueries that stand for one value and have several columns.
    wide_subqueries: Vec<Span>,
    /// What IN compares with a subquery.
    compared: Vec<Span>,
    /// The second and later rows of VALUES that are not as long as the first.
    uneven_rows: Vec<Span>,
}

impl Parts {
    fn of(statement: &Statement) -> Self {
        let mut parts = Self::default();
        let _ = statement.visit(&mut parts);
        if let Statement::CreateTable(create) = statement {
            create.columns.iter().for_each(|column| parts.add_type(&column.data_type));
        }
        parts
    }

    /// The literal that an input function refused.
    fn literal(&self, message: &str, detail: Option<&str>) -> Option<Place> {
        if message.starts_with("invalid input syntax for type json") {
            let token = detail.and_then(|detail| detail.rsplit('"').nth(1));
            let fits =
                |text: &str| token.map_or_else(|| serde_json::from_str::<serde_json::Value>(text).is_err(), |token| text.contains(token));
            return self.first_literal(fits);
        }
        if message.starts_with("invalid hexadecimal d") {
            return self.first_literal(|text| text.starts_with("\\x"));
        }
        let of_input =
            ["invalid input syntax for type ", "malformed array literal", "date/time field value out of range: ", "invalid input value"];
        let out_of_range = message.contains(" out of range for type ") || message.contains(" is out of range: ");
        if !out_of_range && !of_input.iter().any(|start| message.starts_with(start)) {
            return None;
        }
        self.literal_of(quoted(message)?)
    }

    /// A literal of this text, or an array's that contains it.
    fn literal_of(&self, text: &str) -> Option<Place> {
        self.first_literal(|literal| literal == text)
            .or_else(|| self.first_literal(|literal| literal.starts_with('{') && literal.contains(text)))
    }

    fn first_literal(&self, fits: impl Fn(&str) -> bool) -> Option<Place> {
        self.literals.iter().find(|(text, _)| fits(text)).and_then(|(_, span)| Place::of(*span))
    }

    /// A relation, as the message names it: with its schema or without.
    fn relation(&self, name: &str) -> Option<Place> {
        let fits = |(written, _): &&(String, Span)| written == name || written.rsplit('.').next() == Some(name);
        self.relations.iter().find(fits).and_then(|(_, span)| Place::of(*span))
    }

    fn parameter(&self, name: &str) -> Option<Place> {
        self.parameters.iter().find(|(written, _)| written == name).and_then(|(_, span)| Place::of(*span))
    }

    /// `cannot cast type integer to date`: the only cast, or the only one to that type.
    fn cast(&self, message: &str) -> Option<Place> {
        let target = message.strip_prefix("cannot cast type ")?.split_once(" to ")?.1;
        if let [(_, place)] = &self.casts[..] {
            return place.clone();
        }
        let mut fitting = self.casts.iter().filter(|(written, _)| target.starts_with(written.as_str()) || written.starts_with(target));
        fitting.next().filter(|_| fitting.next().is_none()).and_then(|(_, place)| place.clone())
    }

    fn add_cast(&mut self, kind: &CastKind, operand: &Expr, data_type: &DataType) {
        let place = match kind {
            CastKind::DoubleColon => Place::behind(operand.span(), "::"),
            _ => Place::before(operand.span(), "cast"),
        };
        self.casts.push((data_type.to_string().to_lowercase(), place));
        self.add_type(data_type);
        self.add_cast_literal(operand);
    }

    fn add_cast_literal(&mut self, operand: &Expr) {
        match operand {
            Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text), span }) => {
                self.cast_literals.push((text.clone(), *span));
            }
            Expr::Nested(inner) => self.add_cast_literal(inner),
            _ => {}
        }
    }

    fn type_named(&self, name: &str) -> Option<Place> {
        let fits = |(written, _): &&(String, Span)| written.trim_end_matches("[]") == name.trim_end_matches("[]");
        self.types.iter().find(fits).and_then(|(_, span)| Place::of(*span))
    }

    /// `ORDER BY position 3 is not in select list`, and the like.
    fn position(&self, message: &str) -> Option<Place> {
        if message.starts_with("for SELECT DISTINCT, ORDER BY expressions must appear") {
            let (outputs, keys) = self.distinct.first()?;
            return Place::of(keys.iter().find(|key| !outputs.contains(key))?.span());
        }
        if message.starts_with("SELECT DISTINCT ON expressions must match") {
            let (keys, order) = self.distinct_on.first()?;
            let unmatched = keys.iter().find(|key| !order.contains(key));
            return Place::of(unmatched.or(keys.first())?.span());
        }
        let (clause, rest) = message.split_once(" position ")?;
        let number = rest.strip_suffix(" is not in select list")?;
        let keys = if clause == "ORDER BY" { &self.order_by } else { &self.group_by };
        let fits = |key: &&Expr| matches!(key, Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) if digits == number);
        Place::of(keys.iter().find(fits)?.span())
    }

    fn count(&self, message: &str) -> Option<Place> {
        if message.starts_with("each ") && message.ends_with("query must have the same number of columns") {
            return Place::of(*self.uneven.first()?);
        }
        if message.starts_with("improper qualified name") {
            return Place::of(*self.long_names.first()?);
        }
        match message {
            "VALUES lists must all be the same length" => Place::of(*self.uneven_rows.first()?),
            "subquery must return only one column" => Place::before(*self.wide_subqueries.first()?, "("),
            "subquery has too many columns" | "subquery has too few columns" => Place::behind(*self.compared.first()?, "in"),
            _ => None,
        }
    }

    fn add_type(&mut self, data_type: &DataType) {
        match data_type {
            DataType::Custom(ObjectName(name), _) => {
                let written: Vec<_> = name.iter().map(|part| part.to_string().to_lowercase()).collect();
                self.types.push((written.join("."), ObjectName(name.clone()).span()));
            }
            DataType::Array(element) => {
                use datafusion::sql::sqlparser::ast::ArrayElemTypeDef;
                if let ArrayElemTypeDef::AngleBracket(inner)
                | ArrayElemTypeDef::SquareBracket(inner, _)
                | ArrayElemTypeDef::Parenthesis(inner) = element
                {
                    self.add_type(inner);
                }
            }
            _ => {}
        }
    }

    fn add_set_operation(&mut self, body: &SetExpr) {
        let SetExpr::SetOperation { left, right, .. } = body else { return };
        self.add_set_operation(left);
        self.add_set_operation(right);
        if let (Some(columns), Some(others)) = (outputs(left), outputs(right))
            && columns.len() != others.len()
        {
            self.uneven.extend(others.first());
        }
    }

    fn add_values(&mut self, body: &SetExpr) {
        let SetExpr::Values(values) = body else { return };
        let length = values.rows.first().map_or(0, |row| row.content.len());
        let uneven = values.rows.iter().filter(|row| row.content.len() != length);
        self.uneven_rows.extend(uneven.filter_map(|row| row.content.first()).map(Spanned::span));
    }
}

impl Visitor for Parts {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts: Vec<_> = relation.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
        self.relations.push((parts.join("."), relation.span()));
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let keys: Vec<Expr> = match query.order_by.as_ref().map(|order| &order.kind) {
            Some(datafusion::sql::sqlparser::ast::OrderByKind::Expressions(keys)) => keys.iter().map(|key| key.expr.clone()).collect(),
            _ => Vec::new(),
        };
        if let SetExpr::Select(select) = &*query.body
            && let Some(Distinct::On(on)) = &select.distinct
        {
            self.distinct_on.push((on.clone(), keys.clone()));
        }
        if let SetExpr::Select(select) = &*query.body
            && let Some(Distinct::Distinct) = &select.distinct
        {
            let expr = |item: &SelectItem| match item {
                SelectItem::UnnamedExpr(expr) => vec![expr.clone()],
                SelectItem::ExprWithAlias { expr, alias } => vec![expr.clone(), Expr::Identifier(alias.clone())],
                _ => Vec::new(),
            };
            self.distinct.push((select.projection.iter().flat_map(expr).collect(), keys.clone()));
        }
        self.order_by.extend(keys);
        self.add_set_operation(&query.body);
        self.add_values(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            self.group_by.extend(keys.iter().cloned());
        }
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.add_cast_literal(expr);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { kind, expr, data_type, .. } => self.add_cast(kind, expr, data_type),
            Expr::TypedString(typed) => {
                self.add_type(&typed.data_type);
                self.add_cast_literal(&Expr::Value(typed.value.clone()));
            }
            Expr::Interval(interval) => self.add_cast_literal(&interval.value),
            Expr::Function(Function { args: FunctionArguments::List(list), .. }) => {
                for argument in &list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument {
                        self.add_cast_literal(argument);
                    }
                }
            }
            Expr::Subquery(query) if outputs(&query.body).is_none_or(|columns| columns.len() > 1) => {
                self.wide_subqueries.push(query.span())
            }
            Expr::CompoundIdentifier(parts) if parts.len() > 4 => self.long_names.extend(parts.first().map(|part| part.span)),
            Expr::InSubquery { expr, .. } => self.compared.push(expr.span()),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => self.literals.push((text.clone(), value.span)),
            Value::Placeholder(name) => self.parameters.push((name.clone(), value.span)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `column "c" is of type date but expression is of type integer`: the expression that UPDATE, or an INSERT with a list of columns, gives it.
fn assigned(statement: &Statement, message: &str) -> Option<Place> {
    let column = message.strip_prefix("column \"")?.split_once("\" is of type ")?.0;
    let is_it = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).map(fold).as_deref() == Some(column);
    match statement {
        Statement::Insert(insert) => {
            let at = insert.columns.iter().position(is_it)?;
            Place::of(*outputs(&insert.source.as_ref()?.body)?.get(at)?)
        }
        Statement::Update(update) => {
            let fits = |assignment: &&Assignment| matches!(&assignment.target, AssignmentTarget::ColumnName(name) if is_it(name));
            Place::of(update.assignments.iter().find(fits)?.value.span())
        }
        _ => None,
    }
}

/// Of an INSERT with a list of columns: the expression, or the column, that is too many.
fn uneven_insert(statement: &Statement, message: &str) -> Option<Place> {
    let Statement::Insert(insert) = statement else { return None };
    let given = outputs(&insert.source.as_ref()?.body)?;
    match message {
        "INSERT has more target columns than expressions" => Place::of(insert.columns.get(given.len())?.span()),
        "INSERT has more expressions than target columns" if !insert.columns.is_empty() => Place::of(*given.get(insert.columns.len())?),
        _ => None,
    }
}

/// Where the columns of a query's result stand; `None` if a `*` hides how many there are.
pub fn outputs(body: &SetExpr) -> Option<Vec<Span>> {
    match body {
        SetExpr::Select(select) => select.projection.iter().map(output).collect(),
        SetExpr::Query(query) => outputs(&query.body),
        SetExpr::SetOperation { left, .. } => outputs(left),
        SetExpr::Values(values) => values.rows.first().map(|row| row.content.iter().map(Spanned::span).collect()),
        _ => None,
    }
}

fn output(item: &SelectItem) -> Option<Span> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.span()),
        _ => None,
    }
}
