//! DataFusion's catalog traits over one [`crate::view::View`].
//!
//! A name without a schema is looked up in the hidden schema [`SEARCH_PATH_SCHEMA`], which walks `pg_catalog` and then the search path.

use super::lookup::Found;
use super::temporary::resolved;
use super::{Relation, TableDefinition, ViewDefinition, information_schema, pg_catalog, system_columns, system_views};
use crate::access::acl::{self, Kind as ObjectKind};
use crate::access::rights::{access, denied};
use crate::error::SqlError;
use crate::query::held::HELD_CATALOG;
use crate::query::table::SegmentTable;
use crate::query::{ChangedTable, ROWS_CATALOG, Scope, files};
use crate::session::parse::parse_query;
use async_trait::async_trait;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast;
use std::sync::Arc;

/// The schema that stands for the search path.
pub const SEARCH_PATH_SCHEMA: &str = "$search_path";

/// The schemas that are built in.
pub const SYSTEM_SCHEMAS: [&str; 3] = ["pg_catalog", "information_schema", "plimsoll"];

/// The only database, the one that shows row ids, the one of files, and the one of rows that a part of a statement has left.
#[derive(Debug)]
pub struct ViewCatalogs {
    scope: Arc<Scope>,
}

impl ViewCatalogs {
    /// Catalogs in which a statement's names are resolved.
    pub fn new(scope: Scope) -> Self {
        Self { scope: Arc::new(scope) }
    }
}

impl CatalogProviderList for ViewCatalogs {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }
    fn catalog_names(&self) -> Vec<String> {
        vec![self.scope.database.clone()]
    }
    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let kind = match name {
            ROWS_CATALOG => Kind::Rows,
            system_columns::CATALOG => Kind::System,
            system_columns::ROWS_CATALOG => Kind::SystemRows,
            files::FILES_CATALOG => Kind::Files,
            HELD_CATALOG => Kind::Held,
            name if name == self.scope.database => Kind::Plain,
            _ => return None,
        };
        Some(Arc::new(ViewCatalog { scope: Arc::clone(&self.scope), kind }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Rows,
    System,
    SystemRows,
    Files,
    Held,
}

#[derive(Debug)]
struct ViewCatalog {
    scope: Arc<Scope>,
    kind: Kind,
}

impl CatalogProvider for ViewCatalog {
    fn schema_names(&self) -> Vec<String> {
        let own = self.scope.view.catalog.schemas.keys().cloned();
        own.chain(SYSTEM_SCHEMAS.map(String::from)).collect()
    }
    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let name = match self.kind {
            Kind::Files | Kind::Held => name,
            _ => resolved(name, &self.scope.search_path)?,
        };
        let exists = matches!(self.kind, Kind::Files | Kind::Held)
            || name == SEARCH_PATH_SCHEMA
            || SYSTEM_SCHEMAS.contains(&name)
            || self.scope.view.catalog.schemas.contains_key(name);
        exists.then(|| Arc::new(ViewSchema { scope: Arc::clone(&self.scope), kind: self.kind, name: name.into() }) as _)
    }
}

#[derive(Debug)]
struct ViewSchema {
    scope: Arc<Scope>,
    kind: Kind,
    name: String,
}

#[async_trait]
impl SchemaProvider for ViewSchema {
    fn table_names(&self) -> Vec<String> {
        self.scope.view.catalog.in_schema(&self.name).map(|found| found.name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match (self.kind, self.name.as_str()) {
            (Kind::Held, _) => Ok(self.held(name)),
            (Kind::Files, kind) => files::provider(&self.scope, kind, name).await.map(Some).map_err(Into::into),
            (Kind::Rows | Kind::SystemRows, schema) => Ok(self.table_with_row_ids(schema, name)?),
            (_, SEARCH_PATH_SCHEMA) => self.search(name).await,
            (kind, schema) => {
                self.scope.rights().require_on_schema(schema, acl::USAGE)?;
                resolve(&self.scope, kind, schema, name).await
            }
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.scope.view.catalog.get(&self.name, name).is_some()
    }
}

impl ViewSchema {
    async fn search(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let implicit = (!self.scope.search_path.iter().any(|schema| schema == "pg_catalog")).then_some("pg_catalog");
        let rights = self.scope.rights();
        let usable = |schema: &&str| rights.has_on_schema(schema, acl::USAGE);
        for schema in implicit.into_iter().chain(self.scope.search_path.iter().map(String::as_str)).filter(usable) {
            if let Some(found) = resolve(&self.scope, self.kind, schema, name).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn held(&self, number: &str) -> Option<Arc<dyn TableProvider>> {
        let held = self.scope.held.get(number.parse::<usize>().ok()?)?;
        Some(Arc::clone(&held.table) as _)
    }

    fn table_with_row_ids(&self, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>, SqlError> {
        self.scope.rights().require_on_schema(schema, acl::USAGE)?;
        let Some(found) = self.scope.view.catalog.get(schema, name) else { return Ok(None) };
        if self.scope.changed != Some(ChangedTable::Checked(found.relation().oid())) {
            self.scope.rights().require_on(&found, acl::SELECT)?;
        }
        let Some(table) = self.scope.view.table(schema, name) else { return Ok(None) };
        let table = SegmentTable::new(table, Arc::clone(&self.scope.store))?;
        match self.kind {
            Kind::SystemRows => system_columns::of_table(table, true).map(Some),
            _ => Ok(Some(Arc::new(table.with_row_ids()))),
        }
    }
}

/// The relation of a schema and a name.
async fn resolve(scope: &Arc<Scope>, kind: Kind, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    match schema {
        "pg_catalog" if pg_catalog::system_relations::is_secret(name) && !scope.rights().is_superuser() => {
            let kind = if name == "pg_shadow" { "view" } else { "table" };
            return Err(denied(kind, name).into());
        }
        "pg_catalog" => return Ok(pg_catalog::table(scope, name, kind == Kind::System)?),
        "information_schema" => return Ok(information_schema::table(scope, name)?),
        "plimsoll" => return Ok(system_views::table(scope, name)?),
        _ => {}
    }
    let Some(found) = scope.view.catalog.get(schema, name) else { return Ok(None) };
    let readable = readable_columns(scope, &found)?;
    match found.relation() {
        Relation::Table(_) => match scope.view.table(schema, name) {
            Some(table) => {
                let table = SegmentTable::new(table, Arc::clone(&scope.store))?;
                let table = if scope.keys_visible { table.with_keys() } else { table };
                let table = match readable {
                    Some(readable) => table.readable(readable),
                    None => table,
                };
                match kind {
                    Kind::System => Ok(Some(system_columns::of_table(table, false)?)),
                    _ => Ok(Some(Arc::new(table))),
                }
            }
            None => Ok(None),
        },
        Relation::View(view) => Ok(Some(Box::pin(expand(scope, view)).await?)),
        Relation::Sequence(sequence) => Ok(Some(system_views::sequence(scope, sequence)?)),
    }
}

/// Which columns of a relation may be read; `None`: all. 42501 if none may.
fn readable_columns(scope: &Scope, found: &Found<'_>) -> Result<Option<Vec<bool>>, SqlError> {
    let rights = scope.rights();
    let readable = |table: &TableDefinition| {
        let columns = table.columns.iter().map(|column| rights.has_on_column(table.oid, column.id, acl::SELECT));
        Ok(Some(columns.collect()))
    };
    match found.relation() {
        Relation::Table(table) if scope.changed == Some(ChangedTable::Checked(table.oid)) => Ok(None),
        Relation::Table(table) if scope.changed == Some(ChangedTable::Asked(table.oid)) => readable(table),
        Relation::Table(table)
            if !rights.has(ObjectKind::Table, table.oid, acl::SELECT) && rights.has_on_any_column(table.oid, acl::SELECT) =>
        {
            readable(table)
        }
        _ => rights.require_on(found, acl::SELECT).map(|()| None),
    }
}

/// A view as the plan of its query, its columns named and typed as when it was made.
async fn expand(scope: &Scope, view: &ViewDefinition) -> Result<Arc<dyn TableProvider>, SqlError> {
    let query = parse_query(&view.query)?;
    let owner = access(&scope.view.catalog, view.oid).owner;
    let plan = scope
        .within_view(&view.search_path, (!view.is_of_invoker()).then_some(owner))?
        .plan(&ast::Statement::Query(Box::new(query)))
        .await?;
    let columns = plan.schema().columns();
    if columns.len() != view.columns.len() {
        return Err(SqlError::internal("a view's query has another number of columns than the view"));
    }
    let named = columns.into_iter().zip(&view.columns).map(|(column, (name, sql_type))| declared(&plan, column, name, sql_type));
    let named = named.collect::<Result<Vec<_>>>()?;
    let plan = LogicalPlanBuilder::from(plan).project(named)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, Some(view.query.clone()))))
}

fn declared(plan: &LogicalPlan, column: Column, name: &str, sql_type: &crate::types::SqlType) -> Result<Expr> {
    use datafusion::common::ExprSchema;
    use datafusion::logical_expr::ExprSchemable;
    let field = plan.schema().field_from_column(&column)?;
    let same = field.data_type() == &sql_type.arrow();
    let field = sql_type.field(name, true);
    let expr = Expr::Column(column);
    let expr = if same { expr } else { expr.cast_to(field.data_type(), plan.schema())? };
    Ok(expr.alias_with_metadata(name, Some(field.metadata().clone().into())))
}
