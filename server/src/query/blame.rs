//! After planning failed: what PostgreSQL would have said, found out with the syntax tree.
//!
//! DataFusion says which name it did not find, not where it stands nor what is near it. Nothing here can make a query fail that did not.

mod conditions;
mod matches;
mod operators;
mod suggestions;

use super::Scope;
use super::semantics::folded;
use crate::error::{Place, Result, SqlError, SqlState};
use crate::types::SqlType;
use conditions::Condition;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, JoinConstraint, ObjectName,
    Query, Select, SelectItem, SetExpr, Spanned, Statement, TableAlias, TableFactor, TableWithJoins, UnaryOperator, Value, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use matches::Group;
use operators::Operation;
use std::ops::ControlFlow;

/// The error that a client shall see.
pub async fn refine(scope: &Scope, statement: &Statement, error: SqlError) -> SqlError {
    let names = Names::of(statement);
    match error.state {
        SqlState::UNDEFINED_COLUMN => undefined_column(scope, &names, error).await,
        SqlState::UNDEFINED_FUNCTION if error.message.starts_with("operator") => operators::place(scope, &names, error).await,
        SqlState::UNDEFINED_FUNCTION => undefined_function(scope, &names, error).await,
        SqlState::UNDEFINED_TABLE => undefined_table(&names, error),
        SqlState::AMBIGUOUS_COLUMN | SqlState::GROUPING_ERROR => {
            let place = quoted(&error.message).and_then(|name| names.place_of_column(name));
            error.at_place(place)
        }
        SqlState::DATATYPE_MISMATCH if error.message.ends_with(" cannot be matched") => matches::place(scope, &names, error).await,
        SqlState::DATATYPE_MISMATCH => conditions::refine(scope, &names, error).await,
        SqlState::DUPLICATE_COLUMN => duplicate_column(&names, error),
        SqlState::UNDEFINED_OBJECT => undefined_type(&names, error),
        SqlState::INVALID_COLUMN_REFERENCE => column_list(&names, error),
        SqlState::SYNTAX_ERROR if error.message.starts_with("unary operator") => negation(scope, &names, error).await,
        _ => error,
    }
}

/// Every name in a statement that can be at fault.
#[derive(Default)]
struct Names {
    /// Tables: alias, and the name behind it.
    tables: Vec<(Option<Ident>, Option<ObjectName>)>,
    /// Columns, with what stands before them.
    columns: Vec<(Option<String>, String, Span)>,
    functions: Vec<(Function, Option<usize>)>,
    relations: Vec<(ObjectName, Span)>,
    selects: Vec<Select>,
    using: Vec<(String, Span)>,
    /// Types of casts.
    types: Vec<String>,
    operations: Vec<Operation>,
    conditions: Vec<Condition>,
    groups: Vec<Group>,
    /// What a minus stands before.
    negated: Vec<(Expr, Option<usize>)>,
    /// Names with a list of columns.
    lists: Vec<(&'static str, Ident, usize)>,
    depth: Vec<usize>,
}

impl Names {
    fn of(statement: &Statement) -> Self {
        let mut names = Self::default();
        let _ = statement.visit(&mut names);
        names
    }

    fn place_of_column(&self, name: &str) -> Option<Span> {
        let (qualifier, column) = match name.rsplit_once('.') {
            Some((qualifier, column)) => (Some(qualifier), column),
            None => (None, name),
        };
        let fits = |found: &&(Option<String>, String, Span)| {
            found.1 == column && (qualifier.is_none() || found.0.is_none() || found.0.as_deref() == qualifier)
        };
        self.columns.iter().find(fits).map(|found| found.2)
    }

    /// Whether a name is that of a table in some FROM, and the alias that hides it.
    fn table(&self, name: &str) -> (bool, Option<&Ident>) {
        let is_last = |table: &ObjectName| table.0.last().and_then(|part| part.as_ident()).is_some_and(|ident| folded(ident) == name);
        let visible = self.tables.iter().any(|(alias, table)| match alias {
            Some(alias) => folded(alias) == name,
            None => table.as_ref().is_some_and(is_last),
        });
        let hidden = self.tables.iter().find(|(alias, table)| alias.is_some() && table.as_ref().is_some_and(is_last));
        (visible, hidden.and_then(|(alias, _)| alias.as_ref()))
    }

    /// A call in the standard's own form.
    fn add_special(&mut self, name: &'static str, arguments: Vec<Expr>) {
        let name = ObjectName::from(vec![Ident::new("pg_catalog"), Ident::new(name)]);
        let arguments: Vec<_> = arguments.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
        self.functions.push((call(&name, &arguments), self.depth.last().copied()));
    }

    fn add_list(&mut self, kind: &'static str, alias: Option<&TableAlias>) {
        if let Some(alias) = alias.filter(|alias| !alias.columns.is_empty()) {
            self.lists.push((kind, alias.name.clone(), alias.columns.len()));
        }
    }

    fn add_column(&mut self, parts: &[Ident]) {
        let Some((column, before)) = parts.split_last() else { return };
        let place = before.first().map_or(column.span, |first| first.span);
        self.columns.push((before.last().map(folded), folded(column), place));
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.groups.extend(Group::of_query(query));
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.add_list("WITH query", Some(&cte.alias));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.depth.push(self.selects.len());
        self.conditions.extend(Condition::of(select, self.selects.len()));
        self.selects.push(select.clone());
        for join in select.from.iter().flat_map(|table| &table.joins) {
            if let Some(JoinConstraint::Using(columns)) = super::semantics::constraint(&join.join_operator) {
                let idents = columns.iter().filter_map(|name| name.0.last().and_then(|part| part.as_ident()));
                self.using.extend(idents.map(|ident| (folded(ident), ident.span)));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        self.depth.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.relations.push((relation.clone(), relation.span()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, alias, args, .. } => {
                self.tables.push((alias.as_ref().map(|alias| alias.name.clone()), Some(name.clone())));
                if let Some(args) = args {
                    self.functions.push((call(name, &args.args), None));
                }
            }
            TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. } => self.tables.push((Some(alias.name.clone()), None)),
            _ => {}
        }
        if let TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } = factor {
            self.add_list("table", alias.as_ref());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let select = self.depth.last().copied();
        self.operations.extend(Operation::of(expr, select));
        self.conditions.extend(Condition::within(expr, select));
        self.groups.extend(Group::of(expr, select));
        match expr {
            Expr::Identifier(name) => self.add_column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(parts) => self.add_column(parts),
            Expr::Function(function) => self.functions.push((function.clone(), self.depth.last().copied())),
            Expr::Substring { expr, substring_from, substring_for, shorthand, .. } => {
                let args = [Some(expr), substring_from.as_ref(), substring_for.as_ref()].into_iter().flatten();
                self.add_special(if *shorthand { "substr" } else { "substring" }, args.map(|arg| (**arg).clone()).collect());
            }
            Expr::Extract { field, expr, .. } => {
                self.add_special("extract", vec![Expr::value(Value::SingleQuotedString(field.to_string())), (**expr).clone()]);
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => self.negated.push(((**expr).clone(), self.depth.last().copied())),
            Expr::Cast { data_type, .. } => self.types.push(data_type.to_string().to_lowercase()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn call(name: &ObjectName, args: &[FunctionArg]) -> Function {
    let list = FunctionArgumentList { duplicate_treatment: None, args: args.to_vec(), clauses: Vec::new() };
    Function {
        name: name.clone(),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

/// What stands between the first two quotation marks.
fn quoted(message: &str) -> Option<&str> {
    message.split('"').nth(1)
}

async fn undefined_column(scope: &Scope, names: &Names, error: SqlError) -> SqlError {
    let bare = error.message.strip_prefix("column ").and_then(|rest| rest.strip_suffix(" does not exist"));
    let Some(name) = bare.map(|name| name.trim_matches('"').to_string()) else { return error };
    let place = names.place_of_column(&name);
    if let Some((qualifier, column)) = name.split_once('.')
        && !error.message.contains('"')
    {
        let error = qualified(scope, names, error, qualifier, column).await.at_place(place);
        return match error.state {
            SqlState::UNDEFINED_COLUMN => suggestions::add(scope, names, error, Some(qualifier), column).await,
            _ => error,
        };
    }
    if let Some((_, place)) = names.using.iter().find(|(column, _)| *column == name) {
        return using(scope, names, &name).await.at_place(Some(*place));
    }
    if names.columns.iter().any(|(qualifier, column, _)| qualifier.is_none() && *column == name) {
        return suggestions::add(scope, names, error.at_place(place), None, &name).await;
    }
    error
}

async fn qualified(scope: &Scope, names: &Names, error: SqlError, qualifier: &str, column: &str) -> SqlError {
    match names.table(qualifier) {
        (true, _) if is_ungrouped(scope, names, qualifier, column).await => {
            let message = format!("subquery uses ungrouped column \"{qualifier}.{column}\" from outer query");
            SqlError::new(SqlState::GROUPING_ERROR, message)
        }
        (true, _) => error,
        (false, hidden) => missing_entry(qualifier, hidden),
    }
}

fn missing_entry(name: &str, hidden: Option<&Ident>) -> SqlError {
    match hidden {
        Some(alias) => SqlError::new(SqlState::UNDEFINED_TABLE, format!("invalid reference to FROM-clause entry for table \"{name}\""))
            .with_hint(format!("Perhaps you meant to reference the table alias \"{}\".", folded(alias))),
        None => SqlError::new(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{name}\"")),
    }
}

/// Whether a column is there in a grouped query, and so it is grouping that hides it from a subquery.
async fn is_ungrouped(scope: &Scope, names: &Names, qualifier: &str, column: &str) -> bool {
    let expr = Expr::CompoundIdentifier(vec![Ident::with_quote('"', qualifier), Ident::with_quote('"', column)]);
    for select in &names.selects {
        let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
        if grouped && types_of(scope, &select.from, std::slice::from_ref(&expr)).await.is_ok() {
            return true;
        }
    }
    false
}

/// The column of a USING is missing on one of the sides: the first table of its FROM is the left one.
async fn using(scope: &Scope, names: &Names, column: &str) -> SqlError {
    let expr = Expr::Identifier(Ident::with_quote('"', column));
    let mut side = "left";
    for select in &names.selects {
        for table in select.from.iter().filter(|table| !table.joins.is_empty()) {
            let alone = [TableWithJoins { relation: table.relation.clone(), joins: Vec::new() }];
            if types_of(scope, &alone, std::slice::from_ref(&expr)).await.is_ok() {
                side = "right";
            }
        }
    }
    let message = format!("column \"{column}\" specified in USING clause does not exist in {side} table");
    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
}

async fn undefined_function(scope: &Scope, names: &Names, error: SqlError) -> SqlError {
    let Some(call) = error.message.strip_prefix("function ").and_then(|rest| rest.strip_suffix(" does not exist")) else { return error };
    let Some((name, _)) = call.split_once('(') else { return error };
    let Some((function, select)) = names.functions.iter().find(|(function, _)| same_function(&function.name, name)) else { return error };
    let place = Some(function.name.span());
    if let [schema, _] = function.name.0.as_slice()
        && let Some(schema) = schema.as_ident().map(folded)
        && let Err(missing) = known_schema(scope, &schema)
    {
        return missing.at_place(place);
    }
    let select = select.and_then(|index| names.selects.get(index));
    match argument_types(scope, select, function).await {
        Some(types) => SqlError::undefined_function(&format!("{}({})", shown_name(&function.name), types.join(", "))).at_place(place),
        None => error.at_place(place),
    }
}

fn known_schema(scope: &Scope, schema: &str) -> Result<()> {
    if matches!(schema, "pg_catalog" | "information_schema" | "plimsoll") {
        return Ok(());
    }
    scope.view.catalog.require_schema(schema)
}

fn shown_name(name: &ObjectName) -> String {
    name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect::<Vec<_>>().join(".")
}

/// Names under which DataFusion speaks of functions that were called by another.
const CALLED_OTHERWISE: [(&str, &str); 8] = [
    ("pg_catalog.substring", "substr"),
    ("pg_catalog.extract", "date_part"),
    ("length", "character_length"),
    ("char_length", "character_length"),
    ("substring", "substr"),
    ("position", "strpos"),
    ("trim", "btrim"),
    ("pow", "power"),
];

fn same_function(name: &ObjectName, other: &str) -> bool {
    let shown = shown_name(name);
    shown == other || CALLED_OTHERWISE.contains(&(shown.as_str(), other))
}

/// What a call is given, if all of it is expressions.
fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let expression = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(expression).collect()
}

/// PostgreSQL's names of the types of a call's arguments.
async fn argument_types(scope: &Scope, select: Option<&Select>, function: &Function) -> Option<Vec<String>> {
    let FunctionArguments::List(list) = &function.args else { return Some(Vec::new()) };
    let mut types = Vec::new();
    for argument in &list.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else { return None };
        types.push(match literal_type(expr) {
            Some(known) => known.to_string(),
            None => types_of(scope, select.map_or(&[], |select| select.from.as_slice()), std::slice::from_ref(expr)).await.ok()?.pop()?,
        });
    }
    Some(types)
}

fn literal_type(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Nested(inner) => literal_type(inner),
        Expr::UnaryOp { expr, .. } => literal_type(expr).filter(|known| *known != "unknown"),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) | Value::DollarQuotedString(_) | Value::Null => Some("unknown"),
            Value::Number(digits, _) if digits.parse::<i32>().is_ok() => Some("integer"),
            Value::Number(digits, _) if digits.parse::<i64>().is_ok() => Some("bigint"),
            Value::Number(..) => Some("numeric"),
            Value::Boolean(_) => Some("boolean"),
            _ => None,
        },
        _ => None,
    }
}

/// `SELECT` of the given, with nothing else.
fn bare_query() -> Result<Query> {
    crate::session::parse::parse_query("select 1")
}

/// The types of expressions over a query's FROM.
async fn types_of(scope: &Scope, from: &[TableWithJoins], expressions: &[Expr]) -> Result<Vec<String>> {
    let mut query = bare_query()?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = expressions.iter().cloned().map(SelectItem::UnnamedExpr).collect();
        select.from = from.to_vec();
    }
    let mut statement = Statement::Query(Box::new(query));
    super::rewrite::statement(&mut statement);
    let plan = Box::pin(scope.plan_rewritten(statement)).await?;
    Ok(plan.schema().fields().iter().map(|field| unmodified(&SqlType::of_field(field))).collect())
}

fn unmodified(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Numeric(_) => "numeric".into(),
        SqlType::Varchar(_) => "character varying".into(),
        SqlType::Char(_) => "character".into(),
        other => other.name(),
    }
}

fn undefined_table(names: &Names, error: SqlError) -> SqlError {
    let Some(name) = quoted(&error.message) else { return error };
    if error.message.starts_with("missing FROM-clause entry") {
        let (_, hidden) = names.table(name);
        return if hidden.is_some() { missing_entry(name, hidden) } else { error };
    }
    let place = names.relations.iter().find(|(relation, _)| shown_name(relation) == name).map(|(_, place)| *place);
    error.at_place(place)
}

/// `- text`: DataFusion says which operator, not of what.
async fn negation(scope: &Scope, names: &Names, error: SqlError) -> SqlError {
    for (operand, select) in &names.negated {
        let from = select.and_then(|index| names.selects.get(index)).map_or(&[][..], |select| select.from.as_slice());
        let types = types_of(scope, from, std::slice::from_ref(operand)).await.unwrap_or_default();
        let negatable = ["smallint", "integer", "bigint", "real", "double precision", "numeric", "interval"];
        if let Some(found) = types.first().filter(|found| !negatable.contains(&found.as_str())) {
            return SqlError::undefined_operator(&format!("- {found}")).placed(Place::before(operand.span(), "-"));
        }
    }
    error
}

/// The name that an error says could be that of several columns.
pub fn ambiguous_column(error: &SqlError) -> Option<&str> {
    matches!(error.state, SqlState::AMBIGUOUS_COLUMN | SqlState::DUPLICATE_COLUMN).then(|| quoted(&error.message)).flatten()
}

/// Two columns of one name: it is naming one of them that is wrong.
fn duplicate_column(names: &Names, error: SqlError) -> SqlError {
    let Some(name) = quoted(&error.message) else { return error };
    match names.place_of_column(name) {
        Some(place) => SqlError::new(SqlState::AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous")).at(place),
        None => error,
    }
}

fn undefined_type(names: &Names, error: SqlError) -> SqlError {
    let Some(name) = error.message.strip_prefix("type \"").and_then(|rest| rest.strip_suffix("\" does not exist")) else { return error };
    match names.types.iter().find(|written| written.trim_end_matches("[]") == name) {
        Some(written) => SqlError::new(error.state, format!("type \"{written}\" does not exist")),
        None => error,
    }
}

/// More names in a list than there are columns.
fn column_list(names: &Names, error: SqlError) -> SqlError {
    let Some(rest) = error.message.strip_prefix("table has ") else { return error };
    let fits = |list: &&(&str, Ident, usize)| rest.contains(&format!("but {} columns", list.2));
    match names.lists.iter().find(fits) {
        Some((kind, name, _)) => SqlError::new(error.state, format!("{kind} \"{}\" has {rest}", folded(name))),
        None => error,
    }
}

/// HAVING knows the columns of FROM, and not the names that the select list gives.
pub async fn aliases_in_having(scope: &Scope, statement: &Statement) -> Result<()> {
    // Every query comes here, and what is collected for errors is a copy of most of it.
    if !has_having(statement) {
        return Ok(());
    }
    let names = Names::of(statement);
    for select in names.selects.iter().filter(|select| select.having.is_some()) {
        for name in named_in_having(select) {
            let expr = Expr::Identifier(name.clone());
            if let Err(error) = types_of(scope, &select.from, std::slice::from_ref(&expr)).await
                && error.state == SqlState::UNDEFINED_COLUMN
            {
                return Err(error.at(name.span));
            }
        }
    }
    Ok(())
}

fn has_having(statement: &Statement) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if select.having.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    statement.visit(&mut Find).is_break()
}

/// The names of the select list that HAVING uses.
fn named_in_having(select: &Select) -> Vec<Ident> {
    let mut used = Names::default();
    let _ = select.having.visit(&mut used);
    let alias = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.clone()),
        _ => None,
    };
    let aliases = select.projection.iter().filter_map(alias);
    aliases.filter(|alias| used.columns.iter().any(|(before, name, _)| before.is_none() && *name == folded(alias))).collect()
}
