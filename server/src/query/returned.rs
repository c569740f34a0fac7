//! Rows that a change in WITH returned, as relations that the rest of its statement reads.
//!
//! They stand in the catalog [`RETURNED_CATALOG`] under the number of their place in the statement, for as long as the statement runs.

use super::QueryContext;
use crate::error::{Result, SqlError};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use std::sync::Arc;

/// The catalog of returned rows.
pub const RETURNED_CATALOG: &str = "__returned";

/// The rows that one change returned.
#[derive(Clone, Debug)]
pub struct Returned {
    /// Its columns; all can be NULL.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// What the rows take; `None` if there are none.
    pub memory: Option<Arc<MemoryReservation>>,
}

/// The name under which the rows of the change at `place` are read.
pub fn name_of(place: usize) -> ObjectName {
    let parts = [RETURNED_CATALOG.to_string(), RETURNED_CATALOG.to_string(), place.to_string()];
    ObjectName(parts.map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', part))).into())
}

/// The relation of a name; `None` if nothing of that name was returned.
pub fn provider(returned: &[Returned], name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(rows) = name.parse::<usize>().ok().and_then(|place| returned.get(place)) else { return Ok(None) };
    let table = MemTable::try_new(rows.schema.clone(), vec![rows.batches.clone()]).map_err(SqlError::from)?;
    Ok(Some(Arc::new(table)))
}

impl QueryContext {
    /// The same context, in which these rows can be read too.
    pub fn with_returned(&self, returned: &[Returned]) -> Self {
        Self {
            engine: self.engine.clone(),
            view: self.view.clone(),
            search_path: self.search_path.clone(),
            time_zone: self.time_zone.clone(),
            user: self.user.clone(),
            database: self.database.clone(),
            session: self.session.clone(),
            sequences: self.sequences.clone(),
            ran: self.ran.clone(),
            returned: returned.into(),
            held: self.held.clone(),
        }
    }
}
