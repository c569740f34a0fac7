//! What a change of rows reads: whoever may not read the whole table needs SELECT on the columns that the statement names, and on no other.
//!
//! 1. A query is made of all that the statement says of the table: values, condition, what it returns. It is planned where a scan refuses
//!    columns that the role may not read (42501), and thrown away.
//! 2. The statement itself, which takes whole rows, then runs in a context that lets it read this table. Every name that a user wrote was in
//!    the query before.

use super::query::{named, plain_table, select};
use crate::access::acl::{self, Kind};
use crate::access::rights::denied;
use crate::error::Result;
use crate::ingest::Target;
use crate::query::{ChangedTable, QueryContext};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, Statement, TableWithJoins, With};

/// What a statement says of the table that it changes.
#[derive(Default)]
pub(super) struct Asked<'a> {
    /// Values and further conditions.
    pub(super) values: Vec<Expr>,
    /// RETURNING.
    pub(super) returning: Option<&'a [SelectItem]>,
    /// Other tables.
    pub(super) from: &'a [TableWithJoins],
    /// WHERE.
    pub(super) selection: Option<&'a Expr>,
    /// Whether `excluded` may be named: it needs the same rights.
    pub(super) excluded: bool,
}

/// The context in which the statement runs; `None`: as it is, because the role may read the whole table.
pub(super) async fn permitted(
    context: &QueryContext,
    target: &Target,
    alias: &Ident,
    asked: Asked<'_>,
    (with, parameters): (Option<&With>, &[ScalarValue]),
) -> Result<Option<QueryContext>> {
    let Some(running) = running(context, target) else { return Ok(None) };
    let asking = QueryContext { changed: Some(ChangedTable::Asked(target.oid())), ..context.clone() };
    let values: Vec<SelectItem> = asked.values.into_iter().enumerate().map(|(at, value)| named(value, format!("v{at}"))).collect();
    let returned = super::returning_columns::of_new(target, asked.returning.unwrap_or_default());
    let mut tables = vec![plain_table(target, alias)];
    tables.extend_from_slice(asked.from);
    let asks = !values.is_empty() || asked.selection.is_some() || !asked.from.is_empty();
    if !returned.is_empty() {
        look(&asking, select(with, returned, tables.clone(), None)?, parameters).await?;
    }
    if asked.excluded {
        tables.push(plain_table(target, &Ident::new("excluded")));
    }
    if asks {
        let nothing = named(Expr::value(datafusion::sql::sqlparser::ast::Value::Null), "nothing".into());
        let items = values.into_iter().chain([nothing]).collect();
        look(&asking, select(with, items, tables, asked.selection.cloned())?, parameters).await?;
    }
    Ok(Some(running))
}

/// Plans a query as far as its scans are asked for their columns.
async fn look(asking: &QueryContext, query: Statement, parameters: &[ScalarValue]) -> Result<()> {
    let plan = asking.plan(&query).await?;
    asking.check_runs(asking.bind(plan, parameters)?).await
}

/// The context in which a statement whose reads are not looked at is planned: what is described, and not run.
pub(super) fn running(context: &QueryContext, target: &Target) -> Option<QueryContext> {
    let may_read_all = context.rights().has(Kind::Table, target.oid(), acl::SELECT);
    (!may_read_all).then(|| QueryContext { changed: Some(ChangedTable::Checked(target.oid())), ..context.clone() })
}

/// 42501 unless the role may read these columns of the target, by position.
pub(super) fn permit_columns(context: &QueryContext, target: &Target, columns: impl Iterator<Item = usize>) -> Result<()> {
    let rights = context.rights();
    let mut columns = columns.filter_map(|at| target.definition.columns.get(at));
    match columns.all(|column| rights.has_on_column(target.oid(), column.id, acl::SELECT)) {
        true => Ok(()),
        false => Err(denied("table", &target.name)),
    }
}
