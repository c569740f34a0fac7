//! Functions that return rows: each is an `unnest` of a function that returns an array.
//!
//! 1. In the select list, `f(x)` becomes `unnest(list_of_f(x))`.
//! 2. In FROM, `f(x) AS a (c)` becomes `LATERAL (SELECT unnest(list_of_f(x)) AS c) AS a (c)`; [`crate::query::lateral`] plans what names
//!    columns of the tables before it without a join. WITH ORDINALITY is one more list, of the numbers from 1.
//! 3. `ROWS FROM (f(x), g(y))` is the columns of all these functions side by side.
//! 4. `generate_series` of whole numbers that stand there stays a table: its rows are made as they are read.

use super::{call, simple_name};
use crate::catalog::names::fold;
use crate::error::SqlError;
use crate::functions::arrays::{FLATTEN, ORDINALS};
use crate::functions::regular::functions::ALL_MATCHES;
use crate::functions::{access_lists, casts, expand_array, series};
use crate::query::planner::FUNCTION_KINDS;
use crate::session::parse::parse_query;
use crate::session::spellings::ROWS_FROM;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Select, SelectItem, SetExpr,
    SetOperator, SetQuantifier, TableAlias, TableAliasColumnDef, TableFactor, TableFunctionArgs, UnaryOperator, Value, Visit, VisitMut,
    Visitor, VisitorMut, visit_expressions_mut,
};
use std::ops::ControlFlow;

/// A column that a function makes: its own name (empty: it has none), the function that gives its values as an array, and the type to read
/// them as.
struct Column {
    name: &'static str,
    list: &'static str,
    read_as: Option<&'static str>,
}

const fn column(name: &'static str, list: &'static str, read_as: Option<&'static str>) -> Column {
    Column { name, list, read_as }
}

/// The functions that return rows.
const FUNCTIONS: [&str; 23] = [
    "generate_series",
    "unnest",
    "json_array_elements",
    "jsonb_array_elements",
    "json_array_elements_text",
    "jsonb_array_elements_text",
    "json_object_keys",
    "jsonb_object_keys",
    "jsonb_path_query",
    "jsonb_path_query_tz",
    "json_each",
    "jsonb_each",
    "json_each_text",
    "jsonb_each_text",
    "string_to_table",
    "regexp_split_to_table",
    "regexp_matches",
    "generate_subscripts",
    "aclexplode",
    "pg_options_to_table",
    "pg_partition_tree",
    "pg_partition_ancestors",
    "pg_identify_object",
];

/// Their columns; `unnest` has one for each argument.
fn columns(function: &str) -> Option<Vec<Column>> {
    Some(match function {
        "generate_series" => vec![column("", series::NAME, None)],
        "unnest" => vec![column("", FLATTEN, None)],
        "json_array_elements" => vec![column("value", "plimsoll_json_elements", Some("json"))],
        "jsonb_array_elements" => vec![column("value", "plimsoll_jsonb_elements", Some("jsonb"))],
        "json_array_elements_text" => vec![column("value", "plimsoll_json_elements_text", None)],
        "jsonb_array_elements_text" => vec![column("value", "plimsoll_jsonb_elements_text", None)],
        "json_object_keys" => vec![column("", "plimsoll_json_keys", None)],
        "jsonb_object_keys" => vec![column("", "plimsoll_jsonb_keys", None)],
        "jsonb_path_query" => vec![column("", "plimsoll_jsonb_path_query", Some("jsonb"))],
        "jsonb_path_query_tz" => vec![column("", "plimsoll_jsonb_path_query_tz", Some("jsonb"))],
        "json_each" => vec![column("key", "plimsoll_json_each_keys", None), column("value", "plimsoll_json_each_values", Some("json"))],
        "jsonb_each" => vec![column("key", "plimsoll_jsonb_each_keys", None), column("value", "plimsoll_jsonb_each_values", Some("jsonb"))],
        "json_each_text" => vec![column("key", "plimsoll_json_each_keys", None), column("value", "plimsoll_json_each_texts", None)],
        "jsonb_each_text" => vec![column("key", "plimsoll_jsonb_each_keys", None), column("value", "plimsoll_jsonb_each_texts", None)],
        "string_to_table" => vec![column("", "string_to_array", None)],
        "regexp_split_to_table" => vec![column("", "regexp_split_to_array", None)],
        "regexp_matches" => vec![column("", ALL_MATCHES, None)],
        "generate_subscripts" => vec![column("", "plimsoll_subscripts", None)],
        "aclexplode" => vec![
            column("grantor", "plimsoll_acl_grantors", Some("oid")),
            column("grantee", "plimsoll_acl_grantees", Some("oid")),
            column("privilege_type", "plimsoll_acl_privileges", None),
            column("is_grantable", "plimsoll_acl_grantable", None),
        ],
        "pg_options_to_table" => {
            vec![column("option_name", "plimsoll_option_names", None), column("option_value", "plimsoll_option_values", None)]
        }
        // There are no partitions.
        "pg_partition_tree" => vec![
            column("relid", "plimsoll_no_oids", Some("oid")),
            column("parentrelid", "plimsoll_no_oids", Some("oid")),
            column("isleaf", "plimsoll_no_booleans", None),
            column("level", "plimsoll_no_numbers", None),
        ],
        "pg_partition_ancestors" => vec![column("relid", "plimsoll_no_oids", Some("oid"))],
        "pg_identify_object" => vec![
            column("type", "plimsoll_object_kind", None),
            column("schema", "plimsoll_object_schema", None),
            column("name", "plimsoll_object_name", None),
            column("identity", "plimsoll_object_identity", None),
        ],
        _ => return None,
    })
}

/// Whether a function gives rows.
pub fn is_set_returning(name: &str) -> bool {
    FUNCTIONS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// One column of a call.
struct Made {
    list: Expr,
    name: String,
    read_as: Option<&'static str>,
}

impl Made {
    fn rows(&self) -> Expr {
        let rows = call("unnest", vec![self.list.clone()]);
        match self.read_as {
            Some(name) => call(casts::NAME, vec![rows, Expr::value(Value::SingleQuotedString(name.into()))]),
            None => rows,
        }
    }
}

fn made(name: &str, args: Vec<Expr>) -> Option<Vec<Made>> {
    if name == "unnest" {
        let flat = |array: Expr| Made {
            list: if is_flat(&array) { array } else { call(FLATTEN, vec![array]) },
            name: String::new(),
            read_as: None,
        };
        return Some(args.into_iter().map(flat).collect());
    }
    let of_column = |column: Column| Made { list: call(column.list, args.clone()), name: column.name.into(), read_as: column.read_as };
    Some(columns(name)?.into_iter().map(of_column).collect())
}

/// What is a list of rows already: calls that are put here.
fn is_flat(list: &Expr) -> bool {
    let Expr::Function(function) = list else { return false };
    let name = function.name.to_string().to_lowercase();
    let is_list = |function: &&str| columns(function).is_some_and(|columns| columns.iter().any(|column| column.list == name));
    name == expand_array::NAME || name == access_lists::ENTRIES || name == ORDINALS || FUNCTIONS.iter().any(is_list)
}

/// A function of one column as a value: `unnest(list(x))`.
pub fn as_value(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let Some(name) = simple_name(&function.name).map(fold) else { return };
    let Some(args) = plain_arguments(&function.args) else { return };
    if name == "unnest" && args.iter().any(is_flat) {
        return;
    }
    if let Some(columns) = made(&name, args)
        && let [column] = columns.as_slice()
    {
        *expr = column.rows();
    }
}

fn plain_arguments(args: &FunctionArguments) -> Option<Vec<Expr>> {
    match args {
        FunctionArguments::List(list) => list.args.iter().map(plain_argument).collect(),
        _ => None,
    }
}

fn plain_argument(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

/// A function in FROM.
struct Call<'a> {
    name: String,
    args: Vec<Expr>,
    with_ordinality: bool,
    alias: &'a Option<TableAlias>,
}

impl<'a> Call<'a> {
    fn of(factor: &'a TableFactor) -> Option<Self> {
        let arguments = |args: &[FunctionArg]| args.iter().map(plain_argument).collect::<Option<Vec<_>>>();
        let (name, args, with_ordinality, alias) = match factor {
            TableFactor::Table { name, args: Some(args), with_ordinality, alias, .. } => {
                (simple_name(name)?, arguments(&args.args)?, *with_ordinality, alias)
            }
            TableFactor::Function { name, args, with_ordinality, alias, .. } => {
                (simple_name(name)?, arguments(args)?, *with_ordinality, alias)
            }
            TableFactor::UNNEST { array_exprs, with_ordinality, alias, with_offset: false, .. } => {
                (&Ident::new("unnest"), array_exprs.clone(), *with_ordinality, alias)
            }
            _ => return None,
        };
        Some(Self { name: fold(name), args, with_ordinality, alias })
    }

    /// Whether the engine's own table does, which makes rows as they are read; and whether their type is integer.
    fn lazy_series(&self) -> Option<bool> {
        let lazy = self.name == "generate_series" && !self.with_ordinality && matches!(self.args.len(), 2 | 3);
        let widths = self.args.iter().map(width).collect::<Option<Vec<Width>>>().filter(|_| lazy)?;
        (!self.args.get(2).is_some_and(is_zero)).then(|| widths.iter().all(|width| *width == Width::Integer))
    }
}

/// How wide a whole number is that stands there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Integer,
    Bigint,
}

fn width(expr: &Expr) -> Option<Width> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.parse::<i32>().is_ok() => Some(Width::Integer),
            Value::Number(digits, _) => digits.parse::<i64>().ok().map(|_| Width::Bigint),
            Value::Null => Some(Width::Integer),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } | Expr::Nested(expr) => width(expr),
        Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply, right } => {
            Some(width(left)?.max(width(right)?))
        }
        Expr::Function(call) if simple_name(&call.name).is_some_and(|name| name.value == casts::NAME) => cast_width(call),
        _ => None,
    }
}

fn cast_width(call: &Function) -> Option<Width> {
    let args = plain_arguments(&call.args)?;
    let [value, Expr::Value(target)] = args.as_slice() else { return None };
    let width = width(value)?;
    match &target.value {
        Value::SingleQuotedString(name) if name == "integer" && width == Width::Integer => Some(Width::Integer),
        Value::SingleQuotedString(name) if name == "bigint" => Some(Width::Bigint),
        _ => None,
    }
}

/// Whether it is 0, or may be.
fn is_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_zero(inner),
        Expr::Value(value) => matches!(&value.value, Value::Number(digits, _) if digits.parse() == Ok(0)),
        _ => true,
    }
}

/// Makes a query of a function in FROM.
pub fn table(factor: &mut TableFactor) {
    if let TableFactor::Derived { lateral: true, subquery, .. } = factor {
        return values_are_selected(subquery);
    }
    let Some(call) = Call::of(factor) else { return };
    if let Some(integers) = call.lazy_series() {
        *factor = lazy_series(&call, integers);
        return;
    }
    let made = made(&call.name, call.args.clone()).filter(|columns| !columns.is_empty());
    let columns = match (made, value(factor, &call)) {
        (Some(columns), _) => columns,
        (None, Some(value)) => vec![value],
        (None, None) => return,
    };
    *factor = derived(&call, &columns);
}

/// A function that gives one value has one row.
fn value(factor: &TableFactor, called: &Call<'_>) -> Option<Made> {
    let (TableFactor::Table { name, args: Some(TableFunctionArgs { args, .. }), .. } | TableFactor::Function { name, args, .. }) = factor
    else {
        return None;
    };
    simple_name(name).filter(|_| is_scalar(&called.name))?;
    let args = args.iter().map(plain_argument).collect::<Option<Vec<_>>>()?;
    Some(one_row(&call(&called.name, args), ""))
}

/// Whether a function gives one value: all that are neither aggregates nor tables of the engine. Those of a session are known to it alone.
fn is_scalar(name: &str) -> bool {
    !FUNCTION_KINDS.aggregate.contains(name) && !["range", "generate_series", ROWS_FROM].contains(&name)
}

/// Makes a query of `ROWS FROM (...)`, before its functions are rewritten as values.
pub fn rows_from(factor: &mut TableFactor) {
    let Some(call) = Call::of(factor).filter(|call| call.name == ROWS_FROM) else { return };
    let columns: Vec<Made> = call.args.iter().flat_map(of_item).collect();
    if !columns.is_empty() {
        *factor = derived(&call, &columns);
    }
}

/// The columns of a function among others, which are called as it is; one that gives no rows has one value.
fn of_item(item: &Expr) -> Vec<Made> {
    let Expr::Function(function) = item else { return vec![one_row(item, "column")] };
    let name = simple_name(&function.name).map(fold).unwrap_or_default();
    let made = plain_arguments(&function.args).and_then(|args| made(&name, args));
    let Some(mut columns) = made else { return vec![one_row(item, &name)] };
    for column in columns.iter_mut().filter(|column| column.name.is_empty()) {
        column.name.clone_from(&name);
    }
    columns
}

fn one_row(value: &Expr, name: &str) -> Made {
    Made { list: call("make_array", vec![value.clone()]), name: name.into(), read_as: None }
}

fn derived(call: &Call<'_>, columns: &[Made]) -> TableFactor {
    let lateral = call.args.iter().any(names_something);
    let alias = alias(call, columns);
    let query = query(columns, &alias, call.with_ordinality);
    TableFactor::Derived { lateral, subquery: Box::new(query), alias: Some(alias), sample: None }
}

/// The table of the engine, whose numbers are bigint; LATERAL before it means nothing of its own.
fn lazy_series(call: &Call<'_>, integers: bool) -> TableFactor {
    let alias = alias(call, &[Made { list: Expr::value(Value::Null), name: String::new(), read_as: None }]);
    let args: Vec<String> = call.args.iter().map(|number| without_casts(number).to_string()).collect();
    let read = if integers { "CAST(n AS INT)" } else { "n" };
    let sql = format!("SELECT {read} AS n FROM generate_series({}) AS s (n)", args.join(", "));
    let query = parse_query(&sql).expect("a query");
    TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None }
}

/// A number without casts: their types are those that it has.
fn without_casts(number: &Expr) -> Expr {
    let mut number = number.clone();
    let _ = visit_expressions_mut(&mut number, |expr| {
        while let Expr::Function(call) = &*expr {
            let Some(value) = plain_arguments(&call.args).and_then(|args| args.into_iter().next()) else { break };
            *expr = Expr::Nested(Box::new(value));
        }
        ControlFlow::<()>::Continue(())
    });
    number
}

/// The planner looks for outer columns in SELECT, not in VALUES.
fn values_are_selected(query: &mut Query) {
    let SetExpr::Values(values) = query.body.as_ref() else { return };
    let select = |row: Vec<Expr>| {
        let mut one = parse_query("SELECT 1").expect("a query");
        if let SetExpr::Select(select) = one.body.as_mut() {
            let named = row.into_iter().enumerate();
            let named = named.map(|(at, expr)| SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("column{}", at + 1)) });
            select.projection = named.collect();
        }
        one.body
    };
    let rows = values.rows.iter().map(|row| select(row.content.clone()));
    let all = rows
        .reduce(|left, right| Box::new(SetExpr::SetOperation { op: SetOperator::Union, set_quantifier: SetQuantifier::All, left, right }));
    if let Some(all) = all {
        query.body = all;
    }
}

/// Whether an expression names a column or holds a query.
pub(in crate::query) fn names_something(expr: &Expr) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Find).is_break()
}

/// The names of the table and of all its columns: a single column without a name of its own is called as the table is.
fn alias(call: &Call<'_>, columns: &[Made]) -> TableAlias {
    let given = call.alias.clone();
    let name = given.as_ref().map_or_else(|| Ident::new(call.name.clone()), |alias| alias.name.clone());
    let mut names: Vec<Ident> = given.into_iter().flat_map(|alias| alias.columns).map(|column| column.name).collect();
    for (at, column) in columns.iter().enumerate().skip(names.len()) {
        let own = match column.name.as_str() {
            "" if columns.len() == 1 => name.clone(),
            "" => Ident::new(&call.name),
            own => Ident::new(own),
        };
        // Others may be called the same.
        let seen = names.iter().any(|name| fold(name) == fold(&own));
        names.push(if seen { Ident::with_quote('"', format!("{}\u{1}{at}", own.value)) } else { own });
    }
    if call.with_ordinality && names.len() == columns.len() {
        names.push(Ident::new("ordinality"));
    }
    let columns = names.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }).collect();
    TableAlias { explicit: true, name, columns, at: None }
}

fn query(columns: &[Made], alias: &TableAlias, with_ordinality: bool) -> Query {
    let mut query = parse_query("SELECT 1").expect("a query");
    let places = with_ordinality.then(|| {
        let lists = columns.iter().map(|column| column.list.clone()).collect();
        call("unnest", vec![call(ORDINALS, lists)])
    });
    let rows = columns.iter().map(Made::rows).chain(places);
    let names = alias.columns.iter().map(|column| column.name.clone()).chain(std::iter::repeat(Ident::new("more")));
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = rows.zip(names).map(|(expr, alias)| SelectItem::ExprWithAlias { expr, alias }).collect();
    }
    query
}

/// `FROM jsonb_array_elements(x) AS e` has a column `value`, but `e` means it, too.
pub struct Aliases;

impl VisitorMut for Aliases {
    type Break = SqlError;
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let SetExpr::Select(select) = query.body.as_ref() else { return ControlFlow::Continue(()) };
        let aliases = own_columns(select);
        match &mut query.order_by {
            Some(order) if !aliases.is_empty() => order.visit(&mut Qualify { aliases }),
            _ => ControlFlow::Continue(()),
        }
    }
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        let aliases = own_columns(select);
        if aliases.is_empty() {
            return ControlFlow::Continue(());
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Expr::Identifier(name) = &*expr
                && aliases.iter().any(|(alias, _)| fold(alias) == fold(name))
            {
                *item = SelectItem::ExprWithAlias { alias: name.clone(), expr: expr.clone() };
            }
        }
        VisitMut::visit(select, &mut Qualify { aliases })
    }
}

/// The aliases of functions whose one column has a name of its own, and these names.
fn own_columns(select: &Select) -> Vec<(Ident, Ident)> {
    let factors =
        select.from.iter().flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    factors.filter_map(own_column).collect()
}

fn own_column(factor: &TableFactor) -> Option<(Ident, Ident)> {
    let call = Call::of(factor)?;
    let alias = call.alias.as_ref().filter(|alias| alias.columns.is_empty())?;
    match columns(&call.name)?.as_slice() {
        [Column { name, .. }] if !name.is_empty() && fold(&alias.name) != *name => Some((alias.name.clone(), Ident::new(*name))),
        _ => None,
    }
}

struct Qualify {
    aliases: Vec<(Ident, Ident)>,
}

impl VisitorMut for Qualify {
    type Break = SqlError;
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if let Expr::Identifier(name) = expr
            && let Some((alias, column)) = self.aliases.iter().find(|(alias, _)| fold(alias) == fold(name))
        {
            *expr = Expr::CompoundIdentifier(vec![alias.clone(), column.clone()]);
        }
        ControlFlow::Continue(())
    }
}

/// `ARRAY[...]` in a subquery may hold columns of the query around it, which the planner only finds in the arguments of functions.
#[derive(Default)]
pub struct Arrays {
    queries: usize,
}

impl VisitorMut for Arrays {
    type Break = SqlError;
    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
        self.queries += 1;
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if let Expr::Array(array) = expr
            && self.queries > 1
            && array.elem.iter().any(names_something)
        {
            *expr = call("make_array", std::mem::take(&mut array.elem));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::session::parse::parse_query;
    use datafusion::sql::sqlparser::ast::Statement;

    fn rewritten(sql: &str) -> String {
        let mut statement = Statement::Query(Box::new(parse_query(sql).unwrap()));
        crate::query::casts::rewrite(&mut statement).unwrap();
        crate::query::desugar::statement(&mut statement).unwrap();
        statement.to_string()
    }

    #[test]
    fn functions_in_from_are_queries() {
        let made = "SELECT * FROM (SELECT unnest(plimsoll_series(0.5, 3)) AS g) AS g (g)";
        assert_eq!(rewritten("select * from generate_series(0.5, 3) g"), made);
        let lateral = "SELECT * FROM t, LATERAL (SELECT unnest(plimsoll_series(1, t.n)) AS x) AS g (x)";
        assert_eq!(rewritten("select * from t, generate_series(1, t.n) as g(x)"), lateral);
    }

    #[test]
    fn series_of_whole_numbers_stay_tables_and_have_their_width() {
        let of = |read: &str, args: &str| format!("SELECT * FROM (SELECT {read} AS n FROM generate_series({args}) AS s (n)) AS g (g)");
        assert_eq!(rewritten("select * from generate_series(1, 5) g"), of("CAST(n AS INT)", "1, 5"));
        assert_eq!(rewritten("select * from generate_series(1, 5000000000) g"), of("n", "1, 5000000000"));
        assert!(rewritten("select * from generate_series(1, 5::bigint) g").contains("SELECT n AS n"));
        assert!(rewritten("select * from generate_series(1, 5, 0)").contains("plimsoll_series"));
    }

    #[test]
    fn ordinality_counts_the_longest_list() {
        let made = "SELECT * FROM (SELECT unnest(plimsoll_flatten(a)) AS x, unnest(plimsoll_ordinals(plimsoll_flatten(a))) AS ordinality) AS u (x, ordinality)";
        assert_eq!(rewritten("select * from unnest(a) with ordinality as u(x)").replace("LATERAL ", ""), made);
    }

    #[test]
    fn rows_from_stand_side_by_side() {
        let made = rewritten("select * from rows from (unnest(a), json_each(j), now()) with ordinality as r(x)");
        let columns = "unnest(plimsoll_flatten(a)) AS x, unnest(plimsoll_json_each_keys(j)) AS key";
        assert!(made.contains(columns) && made.ends_with("AS r (x, key, value, now, ordinality)"), "{made}");
    }

    #[test]
    fn calls_in_a_select_list_are_taken_apart() {
        assert_eq!(rewritten("select unnest(a)"), "SELECT unnest(plimsoll_flatten(a))");
        assert_eq!(rewritten("select unnest(a[1:2])"), "SELECT unnest(plimsoll_flatten(plimsoll_slice(a, 1, 2)))");
        assert_eq!(rewritten("select jsonb_object_keys(j)"), "SELECT unnest(plimsoll_jsonb_keys(j))");
        assert!(rewritten("select json_array_elements(j)").contains("plimsoll_cast(unnest"));
    }

    #[test]
    fn an_alias_means_the_only_column() {
        let made = rewritten("select e from jsonb_array_elements(j) e order by e");
        assert!(made.starts_with("SELECT e.value AS e FROM") && made.ends_with("ORDER BY e.value"), "{made}");
    }
}
