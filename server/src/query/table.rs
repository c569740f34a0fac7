//! A table of segments as DataFusion sees it.
//!
//! Under the catalog [`super::ROWS_CATALOG`] the same table has two more columns, [`SEGMENT_COLUMN`] and [`ROW_COLUMN`], which name each
//! row: what UPDATE and DELETE need.

use super::pruning::{Conjunct, single_column};
use super::scan::{ScanSource, SegmentScanExec};
use super::statistics;
use crate::catalog::columns::{arrow_schema, storage_columns};
use crate::catalog::{Constraint as TableConstraint, TableDefinition};
use crate::view::TableView;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraint, Constraints, DFSchema, Result, Statistics};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::split_conjunction;
use datafusion::physical_plan::ExecutionPlan;
use std::sync::{Arc, OnceLock};
use storage::{ColumnSpec, Store, Unit};

/// The hidden column with the id of a row's unit.
pub const SEGMENT_COLUMN: &str = "__segment";
/// The hidden column with a row's offset in its unit.
pub const ROW_COLUMN: &str = "__row";

/// A table at one view.
#[derive(Debug)]
pub struct SegmentTable {
    table: TableView,
    store: Arc<Store>,
    columns: Arc<Vec<ColumnSpec>>,
    schema: SchemaRef,
    constraints: Constraints,
    row_ids: bool,
    /// Where not all columns may be read: which may.
    readable: Option<Vec<bool>>,
    /// Asked for more than once while a query is planned.
    statistics: OnceLock<Statistics>,
}

impl SegmentTable {
    /// The table, its rows read from `store`.
    pub fn new(table: TableView, store: Arc<Store>) -> crate::error::Result<Self> {
        let columns = Arc::new(storage_columns(&table.definition)?);
        let schema = arrow_schema(&table.definition);
        Ok(Self {
            table,
            store,
            columns,
            schema,
            constraints: Constraints::default(),
            row_ids: false,
            readable: None,
            statistics: OnceLock::new(),
        })
    }

    /// The same with its primary key visible to the planner.
    pub fn with_keys(mut self) -> Self {
        self.constraints = constraints(&self.table.definition);
        self
    }

    /// The same where the role may read only some columns: a plan that needs another one fails.
    pub fn readable(mut self, readable: Vec<bool>) -> Self {
        self.readable = Some(readable);
        self
    }

    /// The same with the rows of another view.
    pub fn with_units(&self, units: Arc<Vec<Unit>>) -> Self {
        Self {
            table: TableView { units, ..self.table.clone() },
            store: Arc::clone(&self.store),
            columns: Arc::clone(&self.columns),
            schema: Arc::clone(&self.schema),
            constraints: self.constraints.clone(),
            row_ids: self.row_ids,
            readable: self.readable.clone(),
            statistics: OnceLock::new(),
        }
    }

    /// 42501 where a plan needs a column that may not be read.
    fn check_readable(&self, projection: &[usize], filters: &[Expr]) -> crate::error::Result<()> {
        let Some(readable) = &self.readable else { return Ok(()) };
        let may = |at: usize| readable.get(at).copied().unwrap_or(self.row_ids);
        let named = |name: &str| self.schema.index_of(name).is_ok_and(may);
        let filtered = filters.iter().all(|filter| filter.column_refs().iter().all(|column| named(&column.name)));
        match filtered && projection.iter().all(|at| may(*at)) {
            true => Ok(()),
            false => Err(crate::access::rights::denied("table", &self.table.name)),
        }
    }

    /// What the catalog says of it.
    pub fn definition(&self) -> &TableDefinition {
        &self.table.definition
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.table.name
    }

    /// Its rows.
    pub fn units(&self) -> Arc<Vec<Unit>> {
        Arc::clone(&self.table.units)
    }

    /// The same with the columns that name rows, last.
    pub fn with_row_ids(mut self) -> Self {
        if self.row_ids {
            return self;
        }
        let mut fields: Vec<_> = self.schema.fields().iter().cloned().collect();
        fields.extend(row_id_fields().map(Arc::new));
        self.schema = Arc::new(Schema::new(fields));
        self.row_ids = true;
        self.statistics = OnceLock::new();
        self
    }

    fn source(&self) -> ScanSource {
        ScanSource {
            table: self.table.definition.oid,
            name: format!("{}.{}", self.table.schema, self.table.name),
            schema: Arc::clone(&self.schema),
            columns: Arc::clone(&self.columns),
            units: Arc::clone(&self.table.units),
            store: Arc::clone(&self.store),
        }
    }

    /// The pushed filters as conditions that the scan applies; `supports_filters_pushdown` has promised that it can.
    fn conjuncts(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<Conjunct>>> {
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let mut conjuncts = Vec::new();
        for filter in filters {
            let filter = state.create_physical_expr(filter.clone(), &schema)?;
            let parts = split_conjunction(&filter);
            // A part may read no column: `a <> 1 AND NULL`.
            let whole = parts.iter().any(|part| single_column(part).is_none());
            for part in if whole { vec![&filter] } else { parts } {
                conjuncts.push(Arc::new(self.conjunct(part)?));
            }
        }
        Ok(conjuncts)
    }

    /// A condition on the column that it reads; on any where planning found that no value matters: `a NOT IN (1, NULL)` is true of none.
    fn conjunct(&self, part: &Arc<dyn datafusion::physical_expr::PhysicalExpr>) -> Result<Conjunct> {
        let constant = datafusion::physical_expr::utils::collect_columns(part).is_empty();
        let column = single_column(part).map(|column| column.index()).or(constant.then_some(0));
        match column.filter(|column| *column < self.columns.len()) {
            Some(column) => Conjunct::new(self.columns[column].id, self.schema.field(column), part),
            None => datafusion::common::internal_err!("the filter {part} was pushed to a table that cannot apply it"),
        }
    }

    /// Whether a filter is one that the scan applies fully.
    fn applies(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        let stored = |name: &str| self.columns.iter().any(|column| column.name == name);
        columns.len() == 1 && columns.iter().all(|column| stored(&column.name)) && !filter.is_volatile() && !has_subquery(filter)
    }
}

fn has_subquery(filter: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    let is_subquery = |e: &Expr| matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_));
    filter.exists(|node| Ok(is_subquery(node) || matches!(node, Expr::OuterReferenceColumn(..) | Expr::Placeholder(_)))).unwrap_or(true)
}

fn row_id_fields() -> [Field; 2] {
    [Field::new(SEGMENT_COLUMN, DataType::UInt64, false), Field::new(ROW_COLUMN, DataType::UInt32, false)]
}

/// The primary key, as positions of columns. Other keys may hold several NULLs.
fn constraints(definition: &TableDefinition) -> Constraints {
    let position = |id| definition.columns.iter().position(|column| column.id == id);
    let keys = definition.constraints.iter().filter_map(|constraint| match constraint {
        TableConstraint::Unique { columns, primary: true, options, .. } if !options.deferrable => {
            columns.iter().map(|id| position(*id)).collect::<Option<Vec<_>>>().map(Constraint::PrimaryKey)
        }
        _ => None,
    });
    Constraints::new_unverified(keys.collect())
}

#[async_trait]
impl TableProvider for SegmentTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.applies(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        // Statistics tell the smallest and the largest value.
        if self.readable.is_some() {
            return None;
        }
        Some(self.statistics.get_or_init(|| statistics::of_units(&self.table.units, &self.columns, &self.schema, |_| true)).clone())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        self.check_readable(&projection, filters)?;
        let conjuncts = self.conjuncts(state, filters)?;
        let partitions = state.config().target_partitions();
        let batch_rows = state.config().batch_size();
        Ok(Arc::new(SegmentScanExec::new(self.source(), projection, conjuncts, limit, partitions, batch_rows)?))
    }
}
