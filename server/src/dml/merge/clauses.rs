//! The WHEN clauses of a MERGE, and the query that finds what they apply to.

use crate::catalog::names::fold;
use crate::dml::insert::check_identity;
use crate::dml::query::{column, is_default, is_untyped, named, row_id_items, rows_table, select, typed_parameter};
use crate::dml::rows::refuse;
use crate::dml::{target, update};
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::Target;
use crate::query::table::SEGMENT_COLUMN;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, CaseWhen, Expr, Ident, Join, JoinConstraint, JoinOperator, Merge, MergeAction,
    MergeClause, MergeClauseKind, MergeInsertExpr, MergeInsertKind, ObjectName, Spanned, Statement, TableWithJoins, Value as Literal, With,
    visit_expressions,
};
use std::ops::ControlFlow;

/// What stands for DO NOTHING in a syntax tree: a column that is assigned to, or the only value that is inserted. No client can write it.
pub const NOTHING: &str = "\u{1}nothing";
/// What stands for DEFAULT VALUES: the only value that is inserted.
pub const DEFAULTS: &str = "\u{1}defaults";

/// All clauses, in their order.
pub(in crate::dml) struct Clauses {
    pub(super) all: Vec<Clause>,
}

/// One WHEN clause.
pub(super) struct Clause {
    matched: bool,
    condition: Option<Expr>,
    pub(super) then: Then,
    /// The column of the query at which its values begin.
    pub(super) first_value: usize,
}

/// What is done with a row; values by the positions of columns.
pub(super) enum Then {
    Nothing,
    Delete,
    Update(Vec<(usize, Value)>),
    Insert(Vec<(usize, Value)>),
}

/// The new value of a column.
pub(super) enum Value {
    Default,
    Expression(Box<Expr>),
}

impl Value {
    fn of(expression: Expr) -> Self {
        if is_default(&expression) { Self::Default } else { Self::Expression(Box::new(expression)) }
    }

    pub(super) fn is_untyped(&self) -> bool {
        matches!(self, Self::Expression(expression) if is_untyped(expression))
    }
}

/// Name and alias of the target.
pub(in crate::dml) fn of_merge(merge: &Merge) -> Result<(ObjectName, Option<Ident>)> {
    target::of_factor(&TableWithJoins { relation: merge.table.clone(), joins: Vec::new() })
}

impl Clauses {
    /// Reads the clauses of a statement.
    pub(in crate::dml) fn read(target: &Target, alias: &Ident, merge: &Merge) -> Result<Self> {
        refuse(&[(merge.output.is_some(), "OUTPUT")])?;
        let mut first_value = super::LEADING_COLUMNS + target.definition.columns.len();
        let mut all: Vec<Clause> = Vec::new();
        for clause in &merge.clauses {
            let mut clause = Clause::read(target, alias, clause)?;
            if all.iter().any(|before| before.matched == clause.matched && before.condition.is_none()) {
                let message = "unreachable WHEN clause specified after unconditional WHEN clause";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            clause.first_value = first_value;
            first_value += clause.values().len();
            all.push(clause);
        }
        Ok(Self { all })
    }

    /// Each expression that is assigned to a column, with the column's position.
    pub(in crate::dml) fn assigned(&self) -> impl Iterator<Item = (usize, &Expr)> {
        let values = self.all.iter().flat_map(|clause| clause.values());
        values.filter_map(|(position, value)| match value {
            Value::Expression(expression) => Some((*position, expression.as_ref())),
            Value::Default => None,
        })
    }

    /// The columns that some clause updates.
    pub(super) fn updated(&self) -> Vec<usize> {
        let updates = self.all.iter().filter(|clause| matches!(clause.then, Then::Update(_)));
        updates.flat_map(|clause| clause.values()).map(|(position, _)| *position).collect()
    }

    /// Whether a column may get its default.
    pub(super) fn wants_default(&self, position: usize) -> bool {
        self.all.iter().any(|clause| match &clause.then {
            Then::Insert(values) => !values.iter().any(|(at, value)| *at == position && !matches!(value, Value::Default)),
            Then::Update(values) => values.iter().any(|(at, value)| *at == position && matches!(value, Value::Default)),
            Then::Nothing | Then::Delete => false,
        })
    }

    /// The number of the clause that applies: the first whose condition holds.
    fn chosen(&self, alias: &Ident) -> Expr {
        let when = |(number, clause): (usize, &Clause)| CaseWhen { condition: clause.applies(alias), result: integer(number.to_string()) };
        case(self.all.iter().enumerate().map(when).collect(), Some(integer("-1".into())))
    }
}

impl Clause {
    fn read(target: &Target, alias: &Ident, clause: &MergeClause) -> Result<Self> {
        let matched = match clause.clause_kind {
            MergeClauseKind::Matched => true,
            MergeClauseKind::NotMatched => false,
            MergeClauseKind::NotMatchedByTarget | MergeClauseKind::NotMatchedBySource => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \"BY\""));
            }
        };
        let then = match &clause.action {
            MergeAction::Delete { .. } => Then::Delete,
            MergeAction::Update(update) => {
                refuse(&[(update.update_predicate.is_some() || update.delete_predicate.is_some(), "WHERE in a MERGE action")])?;
                match update.assignments.first() {
                    Some(assignment) if is_nothing(assignment) => Then::Nothing,
                    _ => Then::Update(values(update::assignments(target, Some(alias), &update.assignments)?)),
                }
            }
            MergeAction::Insert(insert) => inserted(target, insert)?,
        };
        let clause = Self { matched, condition: clause.predicate.clone(), then, first_value: 0 };
        clause.check_references(alias)?;
        Ok(clause)
    }

    fn values(&self) -> &[(usize, Value)] {
        match &self.then {
            Then::Nothing | Then::Delete => &[],
            Then::Update(values) | Then::Insert(values) => values,
        }
    }

    /// Where nothing is matched there is no row of the target to speak of.
    fn check_references(&self, alias: &Ident) -> Result<()> {
        if self.matched {
            return Ok(());
        }
        let values = self.values().iter().filter_map(|(_, value)| match value {
            Value::Expression(expression) => Some(expression.as_ref()),
            Value::Default => None,
        });
        self.condition.iter().chain(values).try_for_each(|expression| refuse_references(expression, alias))
    }

    fn applies(&self, alias: &Ident) -> Expr {
        let segment = Box::new(column(alias, SEGMENT_COLUMN));
        let row = if self.matched { Expr::IsNotNull(segment) } else { Expr::IsNull(segment) };
        match &self.condition {
            None => row,
            Some(condition) => {
                let condition = Box::new(Expr::Nested(Box::new(condition.clone())));
                Expr::BinaryOp { left: Box::new(row), op: BinaryOperator::And, right: condition }
            }
        }
    }
}

fn refuse_references(expression: &Expr, alias: &Ident) -> Result<()> {
    let name = fold(alias);
    let found = visit_expressions(expression, |expression| match expression {
        Expr::CompoundIdentifier(parts) if parts.len() == 2 && fold(&parts[0]) == name => ControlFlow::Break(expression.span()),
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(place) => {
            let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
            let hint = format!("There is an entry for table \"{name}\", but it cannot be referenced from this part of the query.");
            Err(SqlError::new(SqlState::UNDEFINED_TABLE, message).with_hint(hint).at(place))
        }
    }
}

fn values(assigned: impl IntoIterator<Item = (usize, Expr)>) -> Vec<(usize, Value)> {
    assigned.into_iter().map(|(position, expression)| (position, Value::of(expression))).collect()
}

/// Whether an assignment stands for DO NOTHING: by its column alone, for a value may be any text.
fn is_nothing(assignment: &Assignment) -> bool {
    let AssignmentTarget::ColumnName(column) = &assignment.target else { return false };
    matches!(&column.0[..], [part] if part.as_ident().is_some_and(|name| name.value == NOTHING))
}

fn inserted(target: &Target, insert: &MergeInsertExpr) -> Result<Then> {
    refuse(&[(insert.insert_predicate.is_some(), "WHERE in a MERGE action")])?;
    let MergeInsertKind::Values(rows) = &insert.kind else { return Err(SqlError::unsupported("INSERT ROW")) };
    let [row] = &rows.rows[..] else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \",\""));
    };
    if let [Expr::Identifier(only)] = &row.content[..] {
        match only.value.as_str() {
            NOTHING => return Ok(Then::Nothing),
            DEFAULTS => return Ok(Then::Insert(Vec::new())),
            _ => {}
        }
    }
    let positions = match insert.columns.is_empty() {
        true => (0..target.definition.columns.len()).collect(),
        false => insert.columns.iter().map(|name| target::position(target, name)).collect::<Result<Vec<_>>>()?,
    };
    if row.content.len() > positions.len() {
        let extra = row.content[positions.len()].span();
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more expressions than target columns").at(extra));
    }
    if row.content.len() < positions.len() && !insert.columns.is_empty() {
        let missing = insert.columns[row.content.len()].span();
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more target columns than expressions").at(missing));
    }
    let given = &positions[..row.content.len()];
    check_identity(target, given, false, |index| is_default(&row.content[index]))?;
    Ok(Then::Insert(values(given.iter().copied().zip(row.content.iter().cloned()))))
}

/// The query: ids, the clause that applies, the target's columns, and the values of each clause where it applies.
pub(in crate::dml) fn query(target: &Target, alias: &Ident, merge: &Merge, clauses: &Clauses, with: Option<&With>) -> Result<Statement> {
    let definitions = &target.definition.columns;
    let chosen = clauses.chosen(alias);
    let mut items = row_id_items(alias);
    items.push(named(chosen.clone(), "clause".into()));
    items.extend(definitions.iter().enumerate().map(|(i, definition)| named(column(alias, &definition.name), format!("c{i}"))));
    for (number, clause) in clauses.all.iter().enumerate() {
        for (at, (position, value)) in clause.values().iter().enumerate() {
            let value = match value {
                Value::Default => Expr::Value(Literal::Null.into()),
                Value::Expression(expression) if is_untyped(expression) => expression.as_ref().clone(),
                Value::Expression(expression) => where_chosen(&chosen, number, typed_parameter(expression, &definitions[*position])),
            };
            items.push(named(value, format!("v{number}_{at}")));
        }
    }
    select(with, items, vec![joined(target, alias, merge, clauses)], None)
}

/// A value that is computed only where its clause applies: elsewhere it might fail.
fn where_chosen(chosen: &Expr, number: usize, value: Expr) -> Expr {
    let right = Box::new(integer(number.to_string()));
    let condition = Expr::BinaryOp { left: Box::new(chosen.clone()), op: BinaryOperator::Eq, right };
    case(vec![CaseWhen { condition, result: value }], None)
}

fn joined(target: &Target, alias: &Ident, merge: &Merge, clauses: &Clauses) -> TableWithJoins {
    let on = JoinConstraint::On((*merge.on).clone());
    let all_sources = clauses.all.iter().any(|clause| !clause.matched);
    let join_operator = if all_sources { JoinOperator::LeftOuter(on) } else { JoinOperator::Inner(on) };
    let relation = rows_table(target, alias).relation;
    TableWithJoins { relation: merge.source.clone(), joins: vec![Join { relation, global: false, join_operator }] }
}

fn case(conditions: Vec<CaseWhen>, otherwise: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: otherwise.map(Box::new),
    }
}

fn integer(digits: String) -> Expr {
    Expr::Value(Literal::Number(digits, false).into())
}
