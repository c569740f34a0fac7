//! INSERT.

use super::on_conflict::{self, Conflicts, insert_with_conflicts};
use super::query::{alias_of, assigned, is_default, is_untyped, named, select, typed_parameter};
use super::reads::Asked;
use super::returning::Returning;
use super::rows::refuse;
use super::{reads, target};
use crate::access::acl;
use crate::catalog::names::fold;
use crate::catalog::{ColumnDefinition, Identity};
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::assignment::assign;
use crate::ingest::defaults::Default as ColumnDefault;
use crate::ingest::expression::parse_expression;
use crate::ingest::{Inserter, KeysChanged, Target, literals};
use crate::query::QueryContext;
use crate::session::Outcome;
use crate::session::clauses::{Overriding, overriding};
use crate::session::faults;
use crate::session::transaction::Transaction;
use crate::types::forms::ValueForms;
use arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    Expr, Insert, OnInsert, Query, SetExpr, SetOperator, SetQuantifier, Spanned, Statement, Value, Values, With, visit_expressions,
};
use futures::TryStreamExt;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The columns that are given values: those listed, or as many as VALUES has; none: all.
pub(super) fn filled(target: &Target, insert: &Insert) -> Result<Vec<usize>> {
    if !insert.columns.is_empty() {
        return insert.columns.iter().map(|name| target::position(target, name)).collect();
    }
    let first = match insert.source.as_ref().map(|query| &*query.body) {
        Some(SetExpr::Values(Values { rows, .. })) => rows.first(),
        _ => None,
    };
    Ok(first.map_or_else(Vec::new, |row| (0..row.len()).collect()))
}

/// Inserts rows.
pub async fn execute(
    context: &QueryContext,
    transaction: &mut Transaction,
    insert: &Insert,
    with: Option<&With>,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    refuse_unsupported(insert)?;
    let (name, alias) = target::of_insert(insert)?;
    let target = target::find(context, &name)?;
    let given = filled(&target, insert)?;
    permit(context, &target, insert, &given)?;
    let target = target.told_to(&context.rights(), &given);
    let alias = alias_of(&target, alias);
    let clause = insert.returning.as_deref();
    let asked = Asked { returning: clause, ..on_conflict::asked(context, &target, insert)? };
    let permitted = reads::permitted(context, &target, &alias, asked, (with, parameters)).await?;
    let written = context;
    let context = permitted.as_ref().unwrap_or(context);
    let mut returning = Returning::compile(context, &target, &alias, &[], clause, (with, parameters)).await?;
    let mut source = Source::open(written, &target, insert, with, parameters).await?;
    if let Some(OnInsert::OnConflict(clause)) = &insert.on {
        let conflicts = Conflicts::compile(context, &target, &alias, clause, parameters).await?;
        let rows = insert_with_conflicts(context, transaction, &target, source, conflicts, &mut returning).await?;
        return Ok(returning.outcome("INSERT 0", rows));
    }
    let mut inserter = Inserter::new(context, &target, KeysChanged::All)?;
    while let Some(rows) = source.next().await? {
        returning.add(&rows)?;
        inserter.push(rows).await?;
    }
    let rows = inserter.finish(transaction).await?;
    context.engine.counters.inserted(target.oid(), rows);
    Ok(returning.outcome("INSERT 0", rows))
}

/// 42501 unless the role may insert values for these columns; where all are defaults, into any column.
fn permit(context: &QueryContext, target: &Target, insert: &Insert, given: &[usize]) -> Result<()> {
    let defaults = insert.source.is_none() && context.rights().has_on_any_column(target.oid(), acl::INSERT);
    if defaults { Ok(()) } else { target::permit(context, target, acl::INSERT, given) }
}

fn refuse_unsupported(insert: &Insert) -> Result<()> {
    refuse(&[
        (insert.or.is_some() || insert.replace_into || insert.ignore, "INSERT OR, REPLACE and INSERT IGNORE"),
        (insert.overwrite, "INSERT OVERWRITE"),
        (insert.partitioned.is_some() || !insert.after_columns.is_empty(), "INSERT ... PARTITION"),
        (!insert.assignments.is_empty(), "INSERT ... SET"),
        (insert.output.is_some(), "OUTPUT"),
        (matches!(insert.on, Some(OnInsert::DuplicateKeyUpdate(_))), "ON DUPLICATE KEY UPDATE"),
        (insert.multi_table_insert_type.is_some(), "INSERT into several tables"),
    ])
}

/// Complete rows of the target, batch by batch.
pub(super) struct Source {
    forms: Arc<ValueForms>,
    shape: Shape,
    input: Input,
}

/// How the target's columns come about.
struct Shape {
    target: Target,
    /// For each column: which column of the input it takes, or its default.
    columns: Vec<ColumnSource>,
}

enum ColumnSource {
    Given { index: usize, untyped: bool },
    Default(ColumnDefault),
}

enum Input {
    /// Columns that have their types already.
    Columns(Vec<ArrayRef>, usize),
    Query(SendableRecordBatchStream),
    Done,
}

impl Source {
    async fn open(
        context: &QueryContext,
        target: &Target,
        insert: &Insert,
        with: Option<&With>,
        parameters: &[ScalarValue],
    ) -> Result<Self> {
        let positions = positions(target, insert)?;
        let overriding = overriding(insert);
        let Some(query) = &insert.source else {
            return Self::new(context, target, &[], &[], Input::Columns(Vec::new(), 1));
        };
        if let (SetExpr::Values(values), None) = (&*query.body, with.or(query.with.as_ref()))
            && overriding != Some(Overriding::User)
            && let Some(source) = Self::of_literals(context, target, &positions, values, (parameters, overriding))?
        {
            return Ok(source);
        }
        let planned = plan(context, target, &positions, query, (with, overriding, !insert.columns.is_empty())).await?;
        let overridden = |position: usize| overriding == Some(Overriding::User) && target.definition.columns[position].identity.is_some();
        let ignored = |index: usize| planned.defaults.get(index) == Some(&true) || overridden(positions[index]);
        let given = (0..planned.columns).map(|index| if ignored(index) { NOWHERE } else { positions[index] });
        let given: &[usize] = &given.collect::<Vec<_>>();
        let stream = context.run(context.bind(planned.plan, parameters)?).await?;
        Self::new(context, target, given, &planned.untyped, Input::Query(stream))
    }

    /// The short way: no plan.
    fn of_literals(
        context: &QueryContext,
        target: &Target,
        positions: &[usize],
        values: &Values,
        (parameters, overriding): (&[ScalarValue], Option<Overriding>),
    ) -> Result<Option<Self>> {
        let all: Vec<&[Expr]> = values.rows.iter().map(|row| row.content.as_slice()).collect();
        let given = &positions[..count_expressions(&all, positions.len())?];
        // A column that is DEFAULT in each row is one that is not given.
        let is_given = |index: &usize| !all.iter().all(|row| is_default(&row[*index]));
        let kept: Vec<usize> = (0..given.len()).filter(is_given).collect();
        let shortened: Vec<Vec<Expr>> = match kept.len() == given.len() {
            true => Vec::new(),
            false => all.iter().map(|row| kept.iter().map(|index| row[*index].clone()).collect()).collect(),
        };
        let rows = if shortened.is_empty() { all } else { shortened.iter().map(Vec::as_slice).collect() };
        let given: Vec<usize> = kept.iter().map(|index| given[*index]).collect();
        let columns = literals::columns(target, &given, &rows, parameters, &context.forms)?;
        check_identity(target, &given, overriding.is_some(), |_| false)?;
        let Some(columns) = columns else { return Ok(None) };
        Self::new(context, target, &given, &[], Input::Columns(columns, rows.len())).map(Some)
    }

    fn new(context: &QueryContext, target: &Target, given: &[usize], untyped: &[bool], input: Input) -> Result<Self> {
        let column = |(position, definition): (usize, &ColumnDefinition)| match given.iter().position(|given| *given == position) {
            Some(index) => Ok(ColumnSource::Given { index, untyped: untyped.get(index).copied().unwrap_or(false) }),
            None => Ok(ColumnSource::Default(ColumnDefault::of(context, target, definition)?)),
        };
        let columns = target.definition.columns.iter().enumerate().map(column).collect::<Result<_>>()?;
        Ok(Self { forms: context.forms.clone(), shape: Shape { target: target.clone(), columns }, input })
    }

    /// The next rows.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        match std::mem::replace(&mut self.input, Input::Done) {
            Input::Done => Ok(None),
            Input::Columns(columns, rows) => self.shape.complete(rows, |index, _, _| Ok(columns[index].clone())).await.map(Some),
            Input::Query(mut stream) => {
                let Some(batch) = stream.try_next().await.map_err(SqlError::from)? else { return Ok(None) };
                self.input = Input::Query(stream);
                let schema = batch.schema();
                let zone = self.forms.clone();
                let given = |index: usize, definition: &ColumnDefinition, untyped: bool| {
                    assign(definition, batch.column(index), schema.field(index), untyped, &zone)
                };
                self.shape.complete(batch.num_rows(), given).await.map(Some)
            }
        }
    }
}

impl Shape {
    async fn complete(&self, rows: usize, given: impl Fn(usize, &ColumnDefinition, bool) -> Result<ArrayRef>) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (source, definition) in self.columns.iter().zip(&self.target.definition.columns) {
            columns.push(match source {
                ColumnSource::Given { index, untyped } => given(*index, definition, *untyped)?,
                ColumnSource::Default(default) => default.values(definition, rows).await?,
            });
        }
        self.target.rows(columns, rows)
    }
}

/// The place of a value that goes nowhere.
const NOWHERE: usize = usize::MAX;

/// A planned source.
pub(super) struct Planned {
    pub(super) plan: LogicalPlan,
    /// How many of the target columns it gives.
    columns: usize,
    /// Which of its columns are literals without a type.
    untyped: Vec<bool>,
    /// Which of its columns are DEFAULT in each row, and hold nothing; none if it is not VALUES.
    defaults: Vec<bool>,
}

/// Plans the source of an INSERT; its last flag is whether the columns are listed.
pub(super) async fn plan(
    context: &QueryContext,
    target: &Target,
    positions: &[usize],
    query: &Query,
    (with, overriding, listed): (Option<&With>, Option<Overriding>, bool),
) -> Result<Planned> {
    let mut query = query.clone();
    if let Some(with) = with {
        query.with = Some(with.clone());
    }
    let written = faults::outputs(&query.body).unwrap_or_default();
    let all_default = prepare_source(target, positions, &mut query)?;
    if let SetExpr::Values(values) = &*query.body
        && values.rows.iter().flat_map(|row| row.content.iter()).any(has_subquery)
    {
        query.body = Box::new(selects(values)?);
    }
    let plan = context.plan(&Statement::Query(Box::new(query))).await?;
    let columns = plan.schema().fields().len();
    check_count(columns, positions.len(), listed).map_err(|error| error.at_place(written.get(positions.len()).copied()))?;
    let is_default = |index| all_default.get(index).copied().unwrap_or(false);
    check_identity(target, &positions[..columns], overriding.is_some(), is_default)?;
    let untyped = (0..columns).map(|index| is_untyped_column(&plan, index)).collect();
    Ok(Planned { plan, columns, untyped, defaults: all_default })
}

/// Puts defaults where DEFAULT stands, and types to parameters; answers which columns are DEFAULT in each row.
fn prepare_source(target: &Target, positions: &[usize], query: &mut Query) -> Result<Vec<bool>> {
    let definitions: Vec<&ColumnDefinition> = positions.iter().map(|position| &target.definition.columns[*position]).collect();
    match &mut *query.body {
        SetExpr::Values(values) => prepare_values(target, &definitions, values),
        SetExpr::Select(select) => {
            use datafusion::sql::sqlparser::ast::SelectItem;
            for (item, definition) in select.projection.iter_mut().zip(definitions) {
                if let SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } = item {
                    *expression = typed_parameter(expression, definition);
                }
            }
            Ok(Vec::new())
        }
        _ => Ok(Vec::new()),
    }
}

fn prepare_values(target: &Target, definitions: &[&ColumnDefinition], values: &mut Values) -> Result<Vec<bool>> {
    let rows: Vec<&[Expr]> = values.rows.iter().map(|row| row.content.as_slice()).collect();
    let columns = count_expressions(&rows, definitions.len())?;
    let all = |test: fn(&Expr) -> bool| (0..columns).map(|index| rows.iter().all(|row| test(&row[index]))).collect::<Vec<_>>();
    let (defaults, literals) = (all(is_default), all(is_untyped));
    for row in &mut values.rows {
        for (index, expression) in row.content.iter_mut().enumerate() {
            let definition = definitions[index];
            if is_default(expression) {
                *expression = match defaults[index] {
                    true => Expr::Value(Value::Null.into()),
                    false => default_expression(target, definition)?,
                };
            }
            if !literals[index] && !defaults[index] {
                *expression = assigned(expression, definition);
            }
        }
    }
    Ok(defaults)
}

/// Whether a query stands in an expression: VALUES of the engine take none.
fn has_subquery(expression: &Expr) -> bool {
    let found = visit_expressions(expression, |expression| match expression {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// VALUES as a UNION ALL of selects; a tree as flat as can be.
fn selects(values: &Values) -> Result<SetExpr> {
    let select = |row: &datafusion::sql::sqlparser::ast::Parens<Vec<Expr>>| {
        let items = row.content.iter().enumerate().map(|(index, expression)| named(expression.clone(), format!("column{}", index + 1)));
        match select(None, items.collect(), Vec::new(), None)? {
            Statement::Query(query) => Ok(*query.body),
            _ => Err(SqlError::internal("a query was expected")),
        }
    };
    let mut level = values.rows.iter().map(select).collect::<Result<Vec<_>>>()?;
    while level.len() > 1 {
        let mut pairs = level.into_iter();
        level = Vec::new();
        while let Some(left) = pairs.next() {
            level.push(match pairs.next() {
                Some(right) => union_all(left, right),
                None => left,
            });
        }
    }
    level.pop().ok_or_else(|| SqlError::internal("VALUES without a row"))
}

fn union_all(left: SetExpr, right: SetExpr) -> SetExpr {
    let (left, right) = (Box::new(left), Box::new(right));
    SetExpr::SetOperation { op: SetOperator::Union, set_quantifier: SetQuantifier::All, left, right }
}

pub(super) fn default_expression(target: &Target, definition: &ColumnDefinition) -> Result<Expr> {
    if definition.identity.is_some() {
        return Err(SqlError::unsupported(format!("DEFAULT for identity column \"{}\" in some rows only", definition.name))
            .with_hint(format!("Leave the column out of the column list of \"{}\".", target.name)));
    }
    parse_expression(definition.default.as_deref().unwrap_or("NULL"))
}

/// Positions of the columns that values are given for: as listed, or all.
pub(super) fn positions(target: &Target, insert: &Insert) -> Result<Vec<usize>> {
    if insert.columns.is_empty() {
        return Ok((0..target.definition.columns.len()).collect());
    }
    let mut positions = Vec::with_capacity(insert.columns.len());
    for name in &insert.columns {
        let position = target::position(target, name)?;
        if positions.contains(&position) {
            let twice = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
            let message = format!("column \"{twice}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(name.span()));
        }
        positions.push(position);
    }
    if let Some(source) = &insert.source
        && let SetExpr::Values(values) = &*source.body
        && let Some(row) = values.rows.first()
    {
        check_count(row.content.len(), positions.len(), true)?;
    }
    Ok(positions)
}

fn count_expressions(rows: &[&[Expr]], columns: usize) -> Result<usize> {
    let expressions = rows.first().map_or(0, |row| row.len());
    if rows.iter().any(|row| row.len() != expressions) {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length"));
    }
    let extra = rows.first().and_then(|row| row.get(columns)).map(Spanned::span);
    check_count(expressions, columns, false).map_err(|error| error.at_place(extra))?;
    Ok(expressions)
}

/// With a list of columns there must be as many expressions; without, the last columns may be left out.
fn check_count(expressions: usize, columns: usize, listed: bool) -> Result<()> {
    if expressions > columns {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more expressions than target columns"));
    }
    if listed && expressions < columns {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more target columns than expressions"));
    }
    Ok(())
}

/// GENERATED ALWAYS takes no value but DEFAULT, an identity any that OVERRIDING speaks of.
pub(super) fn check_identity(target: &Target, given: &[usize], overridden: bool, is_default: impl Fn(usize) -> bool) -> Result<()> {
    for (index, position) in given.iter().enumerate() {
        let definition = &target.definition.columns[*position];
        let message = || format!("cannot insert a non-DEFAULT value into column \"{}\"", definition.name);
        if definition.generated.is_some() && !is_default(index) {
            return Err(SqlError::new(SqlState::GENERATED_ALWAYS, message())
                .with_detail(format!("Column \"{}\" is a generated column.", definition.name)));
        }
        if !overridden && definition.identity == Some(Identity::Always) && !is_default(index) {
            let message = message();
            return Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
                .with_detail(format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", definition.name))
                .with_hint("Use OVERRIDING SYSTEM VALUE to override."));
        }
    }
    Ok(())
}

/// Whether a column of a plan holds nothing but string literals (or NULL), which have no type until they are assigned.
fn is_untyped_column(plan: &LogicalPlan, index: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => match projection.expr.get(index).map(unaliased) {
            Some(PlanExpr::Column(column)) => {
                projection.input.schema().maybe_index_of_column(column).is_some_and(|index| is_untyped_column(&projection.input, index))
            }
            Some(expression) => is_text_literal(expression),
            None => false,
        },
        LogicalPlan::Values(values) => values.values.iter().all(|row| row.get(index).map(unaliased).is_some_and(is_text_literal)),
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) => {
            plan.inputs().into_iter().all(|input| is_untyped_column(input, index))
        }
        _ => false,
    }
}

fn unaliased(expression: &PlanExpr) -> &PlanExpr {
    match expression {
        PlanExpr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

fn is_text_literal(expression: &PlanExpr) -> bool {
    match expression {
        PlanExpr::Literal(ScalarValue::Utf8(_) | ScalarValue::Utf8View(_) | ScalarValue::LargeUtf8(_) | ScalarValue::Null, _) => true,
        PlanExpr::Cast(cast) => is_text_literal(&cast.expr) && cast.field.data_type().is_string(),
        _ => false,
    }
}
