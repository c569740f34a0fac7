//! The queries that clients send to the system catalog: rewritten, in the syntax tree, to what the planner can do.
//!
//! 1. `x::regclass` and its like become functions: in a result the name is shown, elsewhere the OID is used.
//! 2. A SELECT over a table that is always empty never evaluates its subqueries: they go.
//! 3. `ARRAY(SELECT ...)` becomes an aggregate; a scalar subquery, which finds at most one row of a catalog by its key, becomes one too,
//!    because the planner joins only aggregated ones.
//!
//! 4. Functions that return rows, and vectors whose subscripts begin at 0, are said as the planner knows them.
//!
//! The first holds for all statements, the others only for those that name a table of the system catalog.

use super::pg_catalog::{TABLE_FUNCTIONS, empty};
use crate::functions::{access_lists, expand_array};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, JoinOperator, ObjectName, ObjectNamePart, Query, Select,
    SelectItem, SetExpr, Statement, Subscript, TableAlias, TableFactor, TableFunctionArgs, TableWithJoins, Value, VisitMut, VisitorMut,
    visit_expressions,
};
use std::ops::ControlFlow;

/// Names of the functions that the rewritten tree calls.
pub const EMPTY_IF_NULL: &str = "pg_empty_if_null";
/// How many transactions ago one was.
pub const XID_AGE: &str = "plimsoll_xid_age";
/// An empty array of texts.
pub const EMPTY_ARRAY: &str = "pg_empty_array";

/// The pairs of functions that read and print the types that stand for OIDs.
const OID_TYPES: [(&str, &str, &str); 6] = [
    ("regclass", "pg_regclass_in", "pg_regclass_out"),
    ("regtype", "pg_regtype_in", "pg_regtype_out"),
    ("regnamespace", "pg_regnamespace_in", "pg_regnamespace_out"),
    ("regrole", "pg_regrole_in", "pg_regrole_out"),
    ("regproc", "pg_regproc_in", "pg_regproc_out"),
    ("regprocedure", "pg_regprocedure_in", "pg_regprocedure_out"),
];

/// Rewrites casts to the types that stand for OIDs, in any statement.
pub fn oid_types(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        show_names(&mut query.body);
    }
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut OidTypes);
}

/// Rewrites casts to the types that stand for OIDs, in an expression outside a query.
pub fn oid_types_of(expression: &mut Expr) {
    let _: ControlFlow<()> = VisitMut::visit(expression, &mut OidTypes);
}

/// Rewrites a statement that asks the system catalog.
pub fn catalog(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Subqueries);
}

/// The functions of the type of a cast.
fn oid_type(data_type: &DataType) -> Option<(&'static str, &'static str, &'static str)> {
    let name = match data_type {
        DataType::Regclass => "regclass".to_string(),
        DataType::Custom(name, modifiers) if modifiers.is_empty() => bare_name(name)?,
        _ => return None,
    };
    OID_TYPES.into_iter().find(|(known, ..)| *known == name)
}

/// What values of a type that only the system catalog has are here: texts, or numbers.
fn plain_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Custom(name, modifiers) if modifiers.is_empty() => match bare_name(name)?.as_str() {
            "aclitem" | "tid" => Some(DataType::Text),
            "xid" | "cid" => Some(DataType::Custom(ObjectName::from(Ident::new("oid")), Vec::new())),
            _ => None,
        },
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, size)) => {
            Some(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(plain_type(element)?), *size)))
        }
        _ => None,
    }
}

/// `age(xmin)`, `age(relfrozenxid)`, `age('5'::xid)`: of a transaction, not of a moment.
fn is_age_of_transaction(function: &Function) -> bool {
    let mut arguments = arguments(function);
    let (Some(argument), None) = (arguments.next(), arguments.next()) else { return false };
    let is_xid = match argument {
        Expr::Cast { data_type: DataType::Custom(name, _), .. } => bare_name(name).is_some_and(|name| name == "xid"),
        other => column_name(other).is_some_and(|name| ["xmin", "xmax", "xid"].iter().any(|end| name.value.to_lowercase().ends_with(end))),
    };
    is_xid && bare_name(&function.name).as_deref() == Some("age")
}

/// The last part of a name that has no schema, or that of the system catalog.
fn bare_name(name: &ObjectName) -> Option<String> {
    let parts: Vec<_> = name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.to_lowercase())).collect::<Option<_>>()?;
    match parts.as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == "pg_catalog" => Some(name.clone()),
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Text | DataType::Varchar(_) => true,
        DataType::Custom(name, _) => bare_name(name).is_some_and(|name| matches!(name.as_str(), "text" | "name" | "varchar")),
        _ => false,
    }
}

/// A call of a function.
fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The outermost select list shows names in the place of OIDs. In a UNION the first SELECT decides which of the two a column is.
fn show_names(body: &mut SetExpr) {
    let mut selects = Vec::new();
    selects_of(body, &mut selects);
    let Some((first, others)) = selects.split_first_mut() else { return };
    for (at, item) in first.projection.iter_mut().enumerate() {
        let Some((out, shown)) = shown_name(item) else { continue };
        *item = shown;
        others.iter_mut().filter_map(|select| select.projection.get_mut(at)).for_each(|item| show_as(item, out));
    }
}

/// An item of another SELECT, an OID of whatever type, is shown as the first one's is.
fn show_as(item: &mut SelectItem, out: &str) {
    if let Some((_, shown)) = shown_name(item) {
        *item = shown;
    } else if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
        *expr = call(out, vec![expr.clone()]);
    }
}

/// The SELECTs of a set operation.
fn selects_of<'a>(body: &'a mut SetExpr, found: &mut Vec<&'a mut Select>) {
    match body {
        SetExpr::Select(select) => found.push(select),
        SetExpr::SetOperation { left, right, .. } => {
            selects_of(left, found);
            selects_of(right, found);
        }
        _ => {}
    }
}

/// The item that shows the name of an OID in the place of an item that is one, and the function that makes the name.
fn shown_name(item: &SelectItem) -> Option<(&'static str, SelectItem)> {
    let (shown, alias) = match item {
        SelectItem::UnnamedExpr(expr) => (expr.clone(), None),
        SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), Some(alias.clone())),
        _ => return None,
    };
    if let Some((name, out)) = lenient(&shown) {
        let alias = alias.unwrap_or_else(|| Ident::new(name));
        return Some((out, SelectItem::ExprWithAlias { expr: call(out, vec![shown]), alias }));
    }
    let Expr::Cast { expr, data_type, .. } = shown else { return None };
    let (name, _, out) = oid_type(&data_type)?;
    let alias = alias.unwrap_or_else(|| column_name(&expr).unwrap_or_else(|| Ident::new(name)));
    Some((out, SelectItem::ExprWithAlias { expr: call(out, vec![*expr]), alias }))
}

/// `to_regclass(name)` and its like: an OID, shown as a name. The function's name, and that of the function that shows what it finds.
fn lenient(expr: &Expr) -> Option<(&'static str, &'static str)> {
    const FUNCTIONS: [(&str, &str); 6] = [
        ("to_regclass", "pg_regclass_out"),
        ("to_regtype", "pg_regtype_out"),
        ("to_regnamespace", "pg_regnamespace_out"),
        ("to_regrole", "pg_regrole_out"),
        ("to_regproc", "pg_regproc_out"),
        ("to_regprocedure", "pg_regprocedure_out"),
    ];
    let Expr::Function(function) = expr else { return None };
    let name = bare_name(&function.name)?;
    FUNCTIONS.into_iter().find(|(known, _)| *known == name)
}

/// The name that an expression gives to its column, if it is one.
fn column_name(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Identifier(name) => Some(name.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().cloned(),
        Expr::Cast { expr, .. } | Expr::Nested(expr) => column_name(expr),
        Expr::Function(function) => function.name.0.last().and_then(ObjectNamePart::as_ident).cloned(),
        _ => None,
    }
}

struct OidTypes;

impl VisitorMut for OidTypes {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { expr: inner, data_type, .. } if is_text(data_type) => {
                if let Some((oid, out)) = cast_to_oid_type(inner) {
                    *expr = call(out, vec![oid]);
                }
            }
            Expr::Cast { expr: inner, data_type, .. } => match (oid_type(data_type), plain_type(data_type)) {
                (Some((_, read, _)), _) => *expr = call(read, vec![(**inner).clone()]),
                (None, Some(plain)) => *data_type = plain,
                (None, None) => {}
            },
            Expr::Function(function) if is_age_of_transaction(function) => {
                function.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(XID_AGE))]);
            }
            Expr::Function(function) => sequence_argument(function),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn cast_to_oid_type(expr: &Expr) -> Option<(Expr, &'static str)> {
    match expr {
        Expr::Nested(inner) => cast_to_oid_type(inner),
        Expr::Function(_) => lenient(expr).map(|(_, out)| (expr.clone(), out)),
        Expr::Cast { expr, data_type, .. } => oid_type(data_type).map(|(_, _, out)| ((**expr).clone(), out)),
        _ => None,
    }
}

/// `nextval('s'::regclass)` names its sequence by text.
fn sequence_argument(function: &mut Function) {
    let named = bare_name(&function.name).is_some_and(|name| matches!(name.as_str(), "nextval" | "currval" | "setval"));
    let FunctionArguments::List(list) = &mut function.args else { return };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))) = list.args.first_mut().filter(|_| named) else { return };
    if let Some((inner, "pg_regclass_out")) = cast_to_oid_type(argument) {
        *argument = inner;
    }
}

struct Subqueries;

impl VisitorMut for Subqueries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        empty_branches(&mut query.body);
        if let SetExpr::Select(select) = &mut *query.body {
            let _: ControlFlow<()> = VisitMut::visit(&mut select.projection, &mut CountExisting);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: args @ Some(_), alias, .. } = factor
            && let Some(bare) = bare_name(name)
        {
            if TABLE_FUNCTIONS.contains(&bare.as_str()) {
                *args = None;
                alias.get_or_insert_with(|| TableAlias { explicit: true, name: Ident::new(&bare), columns: Vec::new(), at: None });
                *name = ObjectName(["pg_catalog", &bare].map(|part| ObjectNamePart::Identifier(Ident::new(part))).into());
            } else {
                *name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(bare))]);
            }
        }
        places_of_vector(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Subquery(query) if compares_collations(query) => *expr = null_text(),
            Expr::Subquery(query) if exists_alone(query).is_some() => {
                if let Some(exists) = exists_alone(query).cloned() {
                    *expr = Expr::Nested(Box::new(exists));
                }
            }
            Expr::Subquery(query) => {
                let outer = take_outer_conditions(query);
                aggregate_one(query);
                if let Some(condition) = outer {
                    *expr = when(condition, expr.clone());
                }
            }
            Expr::Function(function) => {
                if let Some(array) = array_subquery(function).and_then(|query| array_of(query.clone())) {
                    *expr = array;
                } else if let Some(rows) = row_function(function) {
                    *expr = rows;
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } if field_name(access_chain).is_some() => {
                if let Some(name) = field_name(access_chain) {
                    let name = Expr::Value(Value::SingleQuotedString(name).into());
                    *expr = call("get_field", vec![(**root).clone(), name]);
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } if letter(root, access_chain).is_some() => {
                if let Some(letter) = letter(root, access_chain) {
                    *expr = letter;
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut vector = is_vector(root);
                for access in access_chain.iter_mut() {
                    match access {
                        AccessExpr::Dot(field) => vector = is_vector(field),
                        AccessExpr::Subscript(_) if vector => from_one(access),
                        AccessExpr::Subscript(_) => {}
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `generate_subscripts(vector, 1)` in FROM: its subscripts begin at 0.
fn places_of_vector(factor: &mut TableFactor) {
    let (TableFactor::Table { name, args: Some(TableFunctionArgs { args, .. }), alias, .. }
    | TableFactor::Function { name, args, alias, .. }) = factor
    else {
        return;
    };
    let Some(array) = args.first().and_then(plain_argument).filter(|array| is_vector(array)) else { return };
    if bare_name(name).as_deref() != Some("generate_subscripts") {
        return;
    }
    let [first, last] = vector_bounds(array);
    *args = [first, last].map(|bound| FunctionArg::Unnamed(FunctionArgExpr::Expr(bound))).into();
    alias.get_or_insert_with(|| TableAlias { explicit: true, name: Ident::new("generate_subscripts"), columns: Vec::new(), at: None });
    *name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new("generate_series"))]);
}

/// The first and the last subscript of a vector.
fn vector_bounds(array: &Expr) -> [Expr; 2] {
    let number = |digits: &str| Expr::Value(Value::Number(digits.into(), false).into());
    let length = cast(call("cardinality", vec![array.clone()]), DataType::Int(None));
    [number("0"), Expr::BinaryOp { left: Box::new(length), op: BinaryOperator::Minus, right: Box::new(number("1")) }]
}

/// `(SELECT EXISTS (...))` is what EXISTS is.
fn exists_alone(query: &Query) -> Option<&Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let plain = select.from.is_empty() && select.selection.is_none() && query.limit_clause.is_none() && query.with.is_none();
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr @ Expr::Exists { .. }) | SelectItem::ExprWithAlias { expr: expr @ Expr::Exists { .. }, .. }]
            if plain =>
        {
            Some(expr)
        }
        _ => None,
    }
}

/// `.x` after a record.
fn field_name(access_chain: &[AccessExpr]) -> Option<String> {
    match access_chain {
        [AccessExpr::Dot(Expr::Identifier(name))] => Some(name.value.to_lowercase()),
        _ => None,
    }
}

/// `typname[0]`: a letter of a name.
fn letter(name: &Expr, access_chain: &[AccessExpr]) -> Option<Expr> {
    let (name, index) = match (name, access_chain) {
        (name @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)), [AccessExpr::Subscript(Subscript::Index { index })]) => {
            (name.clone(), index)
        }
        (Expr::Identifier(table), [AccessExpr::Dot(Expr::Identifier(name)), AccessExpr::Subscript(Subscript::Index { index })]) => {
            (Expr::CompoundIdentifier(vec![table.clone(), name.clone()]), index)
        }
        _ => return None,
    };
    if column_name(&name).is_none_or(|name| !matches!(name.value.to_lowercase().as_str(), "typname" | "relname" | "attname" | "nspname")) {
        return None;
    }
    let one = Expr::Value(Value::Number("1".into(), false).into());
    let place = Expr::BinaryOp { left: Box::new(index.clone()), op: BinaryOperator::Plus, right: Box::new(one.clone()) };
    Some(call("substr", vec![cast(name, DataType::Text), place, one]))
}

/// Whether an expression is a column of type int2vector or oidvector, by its name.
fn is_vector(expr: &Expr) -> bool {
    const VECTORS: [&str; 6] = ["indkey", "indoption", "i_indoption", "indclass", "indcollation", "proargtypes"];
    column_name(expr).is_some_and(|name| VECTORS.contains(&name.value.to_lowercase().as_str()))
}

/// Subscripts of a vector begin at 0.
fn from_one(access: &mut AccessExpr) {
    if let AccessExpr::Subscript(Subscript::Index { index }) = access {
        let one = Expr::Value(Value::Number("1".into(), false).into());
        *index = Expr::BinaryOp { left: Box::new(index.clone()), op: BinaryOperator::Plus, right: Box::new(one) };
    }
}

/// `_pg_expandarray(a)`, `aclexplode(a)` and `generate_subscripts(a, 1)` in a select list.
fn row_function(function: &Function) -> Option<Expr> {
    let name = function.name.0.last()?.as_ident()?.value.to_lowercase();
    let array = arguments(function).next()?.clone();
    match name.as_str() {
        "_pg_expandarray" => Some(call("unnest", vec![call(expand_array::NAME, vec![array])])),
        "aclexplode" => Some(call("unnest", vec![call(access_lists::ENTRIES, vec![array])])),
        "generate_subscripts" => {
            if is_vector(&array) {
                return Some(call("generate_series", vector_bounds(&array).into()));
            }
            let one = Expr::Value(Value::Number("1".into(), false).into());
            Some(call("generate_series", vec![one, cast(call("cardinality", vec![array]), DataType::Int(None))]))
        }
        _ => None,
    }
}

fn plain_argument(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// The planner knows EXISTS only in conditions; in a select list it counts.
struct CountExisting;

impl VisitorMut for CountExisting {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Exists { subquery, negated } = expr else { return ControlFlow::Continue(()) };
        let mut query = subquery.clone();
        let outer = take_outer_conditions(&mut query);
        if let Some(select) = plain_select(&mut query) {
            select.projection = vec![SelectItem::UnnamedExpr(call("count", vec![Expr::Value(Value::Number("1".into(), false).into())]))];
            let op = if *negated { BinaryOperator::Eq } else { BinaryOperator::Gt };
            let zero = Expr::Value(Value::Number("0".into(), false).into());
            let counted = Expr::BinaryOp { left: Box::new(Expr::Subquery(query)), op, right: Box::new(zero) };
            let outside = Expr::Value(Value::Boolean(*negated).into());
            *expr = Expr::Nested(Box::new(match outer {
                Some(condition) => case(condition, counted, Some(outside)),
                None => counted,
            }));
        }
        ControlFlow::Continue(())
    }
}

/// `CASE WHEN condition THEN value END`
fn when(condition: Expr, value: Expr) -> Expr {
    case(condition, value, None)
}

fn case(condition: Expr, result: Expr, otherwise: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: otherwise.map(Box::new),
    }
}

/// Takes the conditions out of a subquery that are about columns of an outer query alone, which the planner cannot join by.
fn take_outer_conditions(query: &mut Query) -> Option<Expr> {
    let select = plain_select(query)?;
    let tables: Vec<&TableFactor> =
        select.from.iter().flat_map(|item| std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation))).collect();
    let own: Vec<String> = tables.into_iter().filter_map(table_alias).collect();
    let (mut outer, mut kept) = (Vec::new(), Vec::new());
    for condition in conjuncts(select.selection.take()?) {
        if is_of_others(&condition, &own) { outer.push(condition) } else { kept.push(condition) }
    }
    select.selection = all_of(kept);
    all_of(outer)
}

/// Whether a condition names columns, each with its table, and none of these tables is one of its own query's.
fn is_of_others(condition: &Expr, own: &[String]) -> bool {
    let mut columns = 0;
    let found = visit_expressions(condition, |expr| {
        match expr {
            Expr::CompoundIdentifier(parts) => {
                columns += 1;
                let table = parts.len().checked_sub(2).and_then(|at| parts.get(at));
                if table.is_none_or(|table| own.contains(&table.value.to_lowercase())) {
                    return ControlFlow::Break(());
                }
            }
            Expr::Identifier(_) | Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => return ControlFlow::Break(()),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    columns > 0 && found.is_continue()
}

fn table_alias(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } => Some(alias.name.value.to_lowercase()),
        TableFactor::Table { name, .. } => bare_name(name),
        _ => None,
    }
}

fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut all = conjuncts(*left);
            all.extend(conjuncts(*right));
            all
        }
        other => vec![other],
    }
}

fn all_of(conditions: Vec<Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(|left, right| Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) })
}

fn empty_branches(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) if reads_nothing(select) => without_subqueries(select),
        SetExpr::SetOperation { left, right, .. } => {
            empty_branches(left);
            empty_branches(right);
        }
        _ => {}
    }
}

/// Whether a SELECT joins, other than by an outer join that would keep rows, a table that is always empty.
fn reads_nothing(select: &Select) -> bool {
    let inner = |operator: &JoinOperator| matches!(operator, JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_));
    let of_item = |item: &TableWithJoins| {
        let all_inner = item.joins.iter().all(|join| inner(&join.join_operator) || is_left(&join.join_operator));
        let joined = item.joins.iter().any(|join| inner(&join.join_operator) && is_empty(&join.relation));
        all_inner && (is_empty(&item.relation) || joined)
    };
    select.from.iter().any(of_item)
}

fn is_left(operator: &JoinOperator) -> bool {
    matches!(operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_))
}

fn is_empty(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { name, args: None, .. } => bare_name(name).is_some_and(|name| empty::is(&name)),
        _ => false,
    }
}

/// An aggregate has one row over nothing too, and its subqueries could matter; without GROUP BY they are left alone only if there are none.
fn without_subqueries(select: &mut Select) {
    struct Remove;
    impl VisitorMut for Remove {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let replaced = match expr {
                Expr::Subquery(_) => null_text(),
                Expr::Exists { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. } => Expr::Value(Value::Boolean(false).into()),
                Expr::Function(function) if array_subquery(function).is_some() => call(EMPTY_ARRAY, Vec::new()),
                Expr::Function(function) if bare_name(&function.name).as_deref() == Some("format") => null_text(),
                _ => return ControlFlow::Continue(()),
            };
            *expr = replaced;
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = VisitMut::visit(&mut select.projection, &mut Remove);
    let _: ControlFlow<()> = VisitMut::visit(&mut select.selection, &mut Remove);
}

fn null_text() -> Expr {
    cast(Expr::Value(Value::Null.into()), DataType::Text)
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::DoubleColon, expr: Box::new(expr), data_type, array: false, format: None }
}

/// The subquery of `ARRAY(SELECT ...)`.
fn array_subquery(function: &Function) -> Option<&Query> {
    let array = matches!(function.name.0.as_slice(), [ObjectNamePart::Identifier(name)] if name.value.eq_ignore_ascii_case("array"));
    match &function.args {
        FunctionArguments::Subquery(query) if array => Some(query),
        _ => None,
    }
}

/// The select of a plain query.
fn plain_select(query: &mut Query) -> Option<&mut Select> {
    match &mut *query.body {
        SetExpr::Select(select) if query.with.is_none() => Some(select),
        _ => None,
    }
}

/// `ARRAY(SELECT x ...)` as `(SELECT array_agg(x) ...)`, empty where that is NULL; `None` where that is not the same.
fn array_of(mut query: Query) -> Option<Expr> {
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return None;
    }
    let order_by = query.order_by.take();
    let ordering = match order_by.map(|order| order.kind) {
        Some(datafusion::sql::sqlparser::ast::OrderByKind::Expressions(expressions)) => expressions,
        _ => Vec::new(),
    };
    let select = plain_select(&mut query)?;
    if reads_nothing(select) {
        return Some(call(EMPTY_ARRAY, Vec::new()));
    }
    if reads_array(select) {
        return None;
    }
    let item = only_item(select).filter(|item| !is_aggregate(item))?;
    if select.distinct.is_some() || select.having.is_some() || is_grouped(select) {
        return None;
    }
    // ORDER BY 1 sorts by the item itself.
    let ordering: Vec<_> = ordering
        .into_iter()
        .map(|mut by| {
            if matches!(by.expr, Expr::Value(_)) {
                by.expr = item.clone();
            }
            by
        })
        .collect();
    let mut aggregate = call("array_agg", vec![item]);
    if let (Expr::Function(function), false) = (&mut aggregate, ordering.is_empty())
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(ordering));
    }
    select.projection = vec![SelectItem::UnnamedExpr(aggregate)];
    Some(call(EMPTY_IF_NULL, vec![Expr::Subquery(Box::new(query))]))
}

/// `ARRAY(SELECT ... FROM unnest(c.conkey))`: left to those who know functions in FROM.
fn reads_array(select: &Select) -> bool {
    let is_call = |factor: &TableFactor| {
        matches!(factor, TableFactor::Table { args: Some(_), .. } | TableFactor::UNNEST { .. } | TableFactor::Function { .. })
    };
    select.from.iter().any(|item| is_call(&item.relation) || item.joins.iter().any(|join| is_call(&join.relation)))
}

fn only_item(select: &Select) -> Option<Expr> {
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => Some(expr.clone()),
        _ => None,
    }
}

/// `... WHERE a.attcollation <> t.typcollation`: every column here has its type's collation.
fn compares_collations(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    let is_collation = |expr: &Expr| column_name(expr).is_some_and(|name| matches!(name.value.as_str(), "attcollation" | "typcollation"));
    let mut conditions: Vec<&Expr> = select.selection.iter().collect();
    while let Some(condition) = conditions.pop() {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => conditions.extend([&**left, &**right]),
            Expr::BinaryOp { left, op: BinaryOperator::NotEq, right } if is_collation(left) && is_collation(right) => return true,
            _ => {}
        }
    }
    false
}

/// Makes a scalar subquery over the catalog an aggregate of its one row.
fn aggregate_one(query: &mut Query) {
    let limited = query.limit_clause.is_some();
    let Some(select) = plain_select(query) else { return };
    if limited || select.having.is_some() || is_grouped(select) || select.distinct.is_some() || !select.from.iter().all(of_catalog) {
        return;
    }
    let Some(item) = only_item(select).filter(|item| !is_aggregate(item)) else { return };
    let alias = match &select.projection[0] {
        SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
        _ => column_name(&item).unwrap_or_else(|| Ident::new("?column?").clone()),
    };
    let alias = Ident::with_quote('"', alias.value);
    let least = call("min", vec![item.clone()]);
    // The aggregate gives a text.
    let one = match &item {
        Expr::Function(function) if bare_name(&function.name).is_some_and(|name| name.starts_with("json_build_")) => {
            cast(least, DataType::JSON)
        }
        _ => least,
    };
    select.projection = vec![SelectItem::ExprWithAlias { expr: one, alias }];
    query.order_by = None;
}

fn is_grouped(select: &Select) -> bool {
    !matches!(&select.group_by, datafusion::sql::sqlparser::ast::GroupByExpr::Expressions(by, _) if by.is_empty())
}

fn of_catalog(item: &TableWithJoins) -> bool {
    let of_catalog = |factor: &TableFactor| match factor {
        TableFactor::Table { name, .. } => bare_name(name).is_some_and(|name| name.starts_with("pg_")),
        _ => false,
    };
    of_catalog(&item.relation) && item.joins.iter().all(|join| of_catalog(&join.relation))
}

fn is_aggregate(expr: &Expr) -> bool {
    const AGGREGATES: [&str; 8] = ["count", "min", "max", "sum", "array_agg", "string_agg", "bool_or", "bool_and"];
    match expr {
        Expr::Function(function) => {
            let name = bare_name(&function.name).unwrap_or_default();
            AGGREGATES.contains(&name.as_str()) || arguments(function).any(is_aggregate)
        }
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_aggregate(expr),
        Expr::BinaryOp { left, right, .. } => is_aggregate(left) || is_aggregate(right),
        _ => false,
    }
}

fn arguments(function: &Function) -> impl Iterator<Item = &Expr> {
    let list = match &function.args {
        FunctionArguments::List(list) => list.args.as_slice(),
        _ => &[],
    };
    list.iter().filter_map(plain_argument)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rewritten(sql: &str) -> String {
        let mut statement = Statement::Query(Box::new(crate::session::parse::parse_query(sql).unwrap()));
        catalog(&mut statement);
        oid_types(&mut statement);
        statement.to_string()
    }

    #[test]
    fn names_are_shown_and_oids_used() {
        assert_eq!(rewritten("select 't'::regclass"), "SELECT pg_regclass_out('t') AS regclass");
        assert_eq!(rewritten("select 1 where 't'::pg_catalog.regclass = 7"), "SELECT 1 WHERE pg_regclass_in('t') = 7");
        assert_eq!(rewritten("select oid::regtype::text || '' from x"), "SELECT pg_regtype_out(oid) || '' FROM x");
        assert_eq!(rewritten("select nextval('s'::regclass)"), "SELECT nextval('s')");
        let sql = "select oid, 'u'::regclass from x union select 't'::regclass, oid from x";
        let expected = "SELECT oid, pg_regclass_out('u') AS regclass FROM x UNION SELECT pg_regclass_in('t'), pg_regclass_out(oid) FROM x";
        assert_eq!(rewritten(sql), expected);
    }

    #[test]
    fn subqueries_of_empty_tables_go_and_others_are_aggregated() {
        let sql = "select (select x from pg_class), array(select 1) from pg_policy p join pg_class c on true";
        assert_eq!(rewritten(sql), "SELECT NULL::TEXT, pg_empty_array() FROM pg_policy p JOIN pg_class c ON true");
        let sql =
            "select array(select relname from pg_class where oid = a order by 1), (select relname from pg_class where oid = a) from x";
        let expected = "SELECT pg_empty_if_null((SELECT array_agg(relname ORDER BY relname) FROM pg_class WHERE oid = a)), \
                        (SELECT min(relname) AS \"relname\" FROM pg_class WHERE oid = a) FROM x";
        assert_eq!(rewritten(sql), expected);
        let sql = "select (select min(x) from pg_attrdef d where d.a = a.a and a.h) from pg_attribute a";
        let expected = "SELECT CASE WHEN a.h THEN (SELECT min(x) FROM pg_attrdef d WHERE d.a = a.a) END FROM pg_attribute a";
        assert_eq!(rewritten(sql), expected);
        let sql = "select exists (select 1 from pg_index where a = i.a) from pg_class i";
        assert_eq!(rewritten(sql), "SELECT ((SELECT count(1) FROM pg_index WHERE a = i.a) > 0) FROM pg_class i");
        let kept = "SELECT (SELECT count(*) FROM pg_class), (SELECT a FROM t WHERE a = b) FROM pg_class LEFT JOIN pg_policy ON true";
        assert_eq!(rewritten(kept), kept);
    }
}
