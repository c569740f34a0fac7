//! Functions that print definitions and comments of what has an OID: `pg_get_function_*`, `pg_get_ruledef`, `obj_description` and its like.

use super::scalar::{Function, as_integer, as_text};
use crate::catalog::Relation;
use crate::catalog::names::quote_qualified;
use crate::catalog::pg_catalog::{descriptions, oids, procedures, view_definition};
use crate::query::Scope;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use std::sync::Arc;

/// The functions of one statement.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    let scope = Arc::new(scope.clone());
    let mut all = of_functions();
    all.push(rule(&scope));
    all.extend(comments(&scope));
    all
}

/// A function of some values that prints a text.
fn printing(name: &'static str, body: impl Fn(&[ScalarValue]) -> Option<String> + Send + Sync + 'static) -> ScalarUDF {
    let signature = Signature::one_of((1..=3).map(TypeSignature::Any).collect(), Volatility::Stable);
    Function::of_rows(name, signature, DataType::Utf8View, move |args| -> Result<ScalarValue> { Ok(ScalarValue::Utf8View(body(args))) })
}

fn oid_of(value: &ScalarValue) -> Option<u32> {
    as_integer(value).and_then(|oid| u32::try_from(oid).ok())
}

fn of_functions() -> Vec<ScalarUDF> {
    let procedure = |args: &[ScalarValue]| oid_of(&args[0]).and_then(procedures::get);
    vec![
        printing("pg_get_function_result", move |args| procedure(args)?.result()),
        printing("pg_get_function_arguments", move |args| Some(procedure(args)?.arguments_text(false))),
        printing("pg_get_function_identity_arguments", move |args| Some(procedure(args)?.arguments_text(true))),
        printing("pg_get_functiondef", move |args| Some(procedure(args)?.definition())),
        printing("pg_get_function_sqlbody", |_| None),
        printing("pg_get_function_arg_default", |_| None),
    ]
}

/// `pg_get_ruledef(oid)`: the rule of a view.
fn rule(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    printing("pg_get_ruledef", move |args| {
        let wanted = oid_of(&args[0])?;
        scope.view.catalog.all().find_map(|found| match found.relation() {
            Relation::View(view) if oids::rule(view.oid) == wanted => {
                let name = quote_qualified(found.schema, found.name);
                Some(format!(
                    "CREATE RULE \"_RETURN\" AS\n    ON SELECT TO {name} DO INSTEAD {}",
                    view_definition::text(&scope.view.catalog, view, &scope.search_path)
                ))
            }
            _ => None,
        })
    })
}

fn comments(scope: &Arc<Scope>) -> Vec<ScalarUDF> {
    let of_object = Arc::clone(scope);
    let of_column = Arc::clone(scope);
    let of_shared = Arc::clone(scope);
    vec![
        printing("obj_description", move |args| {
            let class = match args.get(1) {
                Some(name) => descriptions::class_of(as_text(name)?)?,
                None => descriptions::PG_CLASS,
            };
            descriptions::of(&of_object.view.catalog, oid_of(&args[0])?, class, 0)
        }),
        printing("col_description", move |args| {
            let column = u32::try_from(as_integer(args.get(1)?)?).ok().filter(|column| *column > 0)?;
            descriptions::of(&of_column.view.catalog, oid_of(&args[0])?, descriptions::PG_CLASS, column)
        }),
        printing("shobj_description", move |args| descriptions::of_shared(&of_shared.view.catalog, oid_of(&args[0])?)),
    ]
}
