//! The table that a statement writes, and what is prepared once for all statements that write it.

use super::constraints::Checks;
use crate::catalog::lookup::Found;
use crate::catalog::{Relation, TableDefinition, columns};
use crate::error::Result;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use parking_lot::Mutex;
use std::collections::HashMap;
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
}

/// Compiled once for a definition and a time zone.
#[derive(Debug, Default)]
struct Prepared {
    checks: OnceLock<Checks>,
    defaults: Mutex<HashMap<u32, ScalarValue>>,
}

impl Target {
    /// A table of a catalog.
    pub fn new(schema: &str, name: &str, definition: TableDefinition) -> Self {
        let declared = columns::arrow_schema(&definition);
        let nullable = declared.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let arrow = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
        Self { schema: schema.to_string(), name: name.to_string(), definition: Arc::new(definition), arrow, prepared: Arc::default() }
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

/// Address of a definition, and a time zone.
type CacheKey = (usize, String);

impl TargetCache {
    /// The target for a table that was found in a catalog.
    pub fn get(&self, found: &Found<'_>, table: &TableDefinition, time_zone: &str) -> Target {
        let definition = &found.entry.definition;
        let key = (Arc::as_ptr(definition) as usize, time_zone.to_string());
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
