//! The table that a statement writes, and what is prepared once for all statements that write it.

use super::constraints::Checks;
use super::generated::Generated;
use super::unique_key::Computed;
use crate::access::acl::{self, Kind};
use crate::access::rights::Rights;
use crate::catalog::lookup::Found;
use crate::catalog::{Relation, TableDefinition, columns};
use crate::ddl::generated::depending_on;
use crate::error::{Result, SqlError};
use crate::types::convert::rounded_to;
use crate::types::forms::ValueForms;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, Weak};

/// Tables in the cache, before it is emptied.
const CACHED_MAX: usize = 1024;

/// A table that a statement writes.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub definition: Arc<TableDefinition>,
    /// Its columns as batches on their way into it have them: all nullable, NOT NULL is checked apart.
    pub arrow: SchemaRef,
    /// What was prepared for it.
    prepared: Arc<Prepared>,
    /// What errors show of its rows.
    told: Told,
}

/// What errors show of a table's rows: nothing that the role may neither read nor has given itself.
#[derive(Clone, Debug, Default)]
pub enum Told {
    /// All of them.
    #[default]
    Everything,
    /// Columns by position.
    Columns {
        /// Those that the role may read.
        readable: BTreeSet<usize>,
        /// Those that the statement gives values for.
        given: BTreeSet<usize>,
    },
}

/// Compiled once for a definition and the forms that its expressions read and write values in.
#[derive(Debug, Default)]
struct Prepared {
    checks: OnceLock<Checks>,
    defaults: Mutex<HashMap<u32, ScalarValue>>,
    keys: Mutex<HashMap<String, Arc<Computed>>>,
    generated: OnceLock<Generated>,
}

impl Target {
    /// A table of a catalog.
    pub fn new(schema: &str, name: &str, definition: TableDefinition) -> Self {
        let declared = columns::arrow_schema(&definition);
        let nullable = declared.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let arrow = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
        Self {
            schema: schema.to_string(),
            name: name.to_string(),
            definition: Arc::new(definition),
            arrow,
            prepared: Arc::default(),
            told: Told::Everything,
        }
    }

    /// The same table, of which errors tell no more than a role may know that gives values for some columns.
    pub fn told_to(self, rights: &Rights<'_>, given: &[usize]) -> Self {
        if rights.has(Kind::Table, self.oid(), acl::SELECT) {
            return self;
        }
        let columns = self.definition.columns.iter().enumerate();
        let readable = columns.filter(|(_, column)| rights.has_on_column(self.definition.oid, column.id, acl::SELECT));
        let (readable, given) = (readable.map(|(at, _)| at).collect(), given.iter().copied().collect());
        Self { told: Told::Columns { readable, given }, ..self }
    }

    /// What errors show of its rows.
    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// Complete rows of it: moments are rounded to the digits that their columns keep, generated columns computed.
    pub fn rows(&self, mut columns: Vec<ArrayRef>, count: usize) -> Result<RecordBatch> {
        for (column, values) in self.definition.columns.iter().zip(&mut columns) {
            if let Some(digits) = column.digits {
                *values = rounded_to(values, digits)?;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(self.arrow.clone(), columns, &options)?;
        if !self.is_computed() {
            return Ok(rows);
        }
        let generated = self.prepared.generated.get().ok_or_else(|| SqlError::internal("generated columns were not prepared"))?;
        generated.fill(self, &rows)
    }

    /// Whether it has generated columns.
    fn is_computed(&self) -> bool {
        self.definition.columns.iter().any(|column| column.generated.is_some())
    }

    /// Prepares the generated columns: whoever checks rows does so before there are any.
    pub(super) fn prepare_generated(&self, compile: impl FnOnce() -> Result<Generated>) -> Result<()> {
        if self.is_computed() && self.prepared.generated.get().is_none() {
            let compiled = compile()?;
            self.prepared.generated.get_or_init(|| compiled);
        }
        Ok(())
    }

    /// Positions of columns that change, with those that are computed of them.
    pub fn with_generated(&self, changed: &[usize]) -> Vec<usize> {
        let columns = &self.definition.columns;
        let depends = |at: &usize| {
            let depending = |name: &usize| depending_on(&self.definition, &columns[*name].name).any(|by| by.id == columns[*at].id);
            !changed.contains(at) && changed.iter().any(depending)
        };
        let computed = (0..columns.len()).filter(|at| columns[*at].generated.is_some()).filter(depends);
        changed.iter().copied().chain(computed).collect()
    }

    /// Its OID.
    pub fn oid(&self) -> u32 {
        self.definition.oid
    }

    /// Its CHECK constraints, compiled when first asked for.
    pub(super) fn checks(&self, compile: impl FnOnce() -> Result<Checks>) -> Result<Checks> {
        if let Some(checks) = self.prepared.checks.get() {
            return Ok(checks.clone());
        }
        let compiled = compile()?;
        Ok(self.prepared.checks.get_or_init(|| compiled).clone())
    }

    /// How the keys of a unique constraint are computed, compiled when first asked for.
    pub(super) fn computed_key(&self, constraint: &str, compile: impl FnOnce() -> Result<Computed>) -> Result<Arc<Computed>> {
        if let Some(known) = self.prepared.keys.lock().get(constraint) {
            return Ok(known.clone());
        }
        let compiled = Arc::new(compile()?);
        self.prepared.keys.lock().insert(constraint.to_string(), compiled.clone());
        Ok(compiled)
    }

    /// The constant default of a column, computed when first asked for.
    pub(super) fn constant_default(&self, column: u32, compute: impl FnOnce() -> Result<ScalarValue>) -> Result<ScalarValue> {
        if let Some(known) = self.prepared.defaults.lock().get(&column) {
            return Ok(known.clone());
        }
        let value = compute()?;
        self.prepared.defaults.lock().insert(column, value.clone());
        Ok(value)
    }
}

/// Targets by the identity of their definitions: a definition that changes is another object.
#[derive(Debug, Default)]
pub struct TargetCache {
    targets: Mutex<HashMap<CacheKey, (Weak<Relation>, Target)>>,
}

/// Address of a definition, and the forms that its expressions read and write values in.
type CacheKey = (usize, Arc<ValueForms>);

impl TargetCache {
    /// The target for a table that was found in a catalog.
    pub fn get(&self, found: &Found<'_>, table: &TableDefinition, forms: &Arc<ValueForms>) -> Target {
        let definition = &found.entry.definition;
        let key = (Arc::as_ptr(definition) as usize, Arc::clone(forms));
        let mut targets = self.targets.lock();
        // While the weak reference is here, the address belongs to no other definition; a renamed table shares its definition.
        if let Some((_, target)) = targets.get(&key)
            && (target.schema.as_str(), target.name.as_str()) == (found.schema, found.name)
        {
            return target.clone();
        }
        if targets.len() >= CACHED_MAX {
            targets.clear();
        }
        let target = Target::new(found.schema, found.name, table.clone());
        targets.insert(key, (Arc::downgrade(definition), target.clone()));
        target
    }
}
