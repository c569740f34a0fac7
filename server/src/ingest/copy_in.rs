//! COPY FROM: bytes in text, CSV or binary form -> rows of a table.

use super::defaults::Default as ColumnDefault;
use super::{Inserter, KeysChanged, Target};
use crate::catalog::ColumnDefinition;
use crate::copy::CopyDecoder;
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use crate::session::CopyFormat;
use crate::session::transaction::Transaction;
use arrow::array::{ArrayRef, RecordBatch};
use datafusion::physical_expr::PhysicalExpr;
use std::sync::Arc;

/// Rows are handed on when so many bytes have been decoded.
const BATCH_BYTES: usize = 1 << 20;
/// ... or so many rows.
const BATCH_ROWS: usize = 8192;
/// Bytes that are decoded at a time: a row of the data may end anywhere.
const PIECE_BYTES: usize = 256 << 10;

/// Takes COPY data. The session drives it: [`CopyInto::push`] for each message, then [`CopyInto::finish`] with the transaction; dropping it
/// leaves nothing of the rows.
pub struct CopyInto {
    target: Target,
    positions: Vec<usize>,
    defaults: Vec<Option<ColumnDefault>>,
    decoder: CopyDecoder,
    inserter: Inserter,
}

impl CopyInto {
    /// Begins. `columns` are the names of the columns in the data, in its order; none: all of the table's.
    pub fn new(context: &QueryContext, target: &Target, columns: Option<&[String]>, format: &CopyFormat) -> Result<Self> {
        let positions = positions(target, columns)?;
        let described = positions.iter().map(|position| &target.definition.columns[*position]);
        let described = described.map(|column| (column.name.clone(), column.sql_type.clone())).collect();
        let default = |position: usize| match positions.contains(&position) {
            true => Ok(None),
            false => ColumnDefault::of(context, target, &target.definition.columns[position]).map(Some),
        };
        let defaults = (0..target.definition.columns.len()).map(default).collect::<Result<_>>()?;
        if format.default.is_some() {
            return Err(SqlError::unsupported("the COPY option DEFAULT"));
        }
        Ok(Self {
            decoder: CopyDecoder::new(format, &target.name, described).with_forms(&context.forms),
            inserter: Inserter::new(context, target, KeysChanged::All)?,
            target: target.clone(),
            positions,
            defaults,
        })
    }

    /// Leaves out rows of which a condition is not true.
    pub fn only_where(mut self, condition: Option<Arc<dyn PhysicalExpr>>) -> Self {
        self.inserter = self.inserter.only_where(condition);
        self
    }

    /// The table.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Number of columns in the data.
    pub fn columns(&self) -> usize {
        self.positions.len()
    }

    /// Takes bytes that need not be aligned to rows; waits while the writer is behind.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.decoder.push(piece)?;
            if self.decoder.rows() >= BATCH_ROWS || self.decoder.bytes() >= BATCH_BYTES {
                self.hand_on().await?;
            }
        }
        Ok(())
    }

    /// The data is complete: adds the rows to the transaction, and answers their number.
    pub async fn finish(mut self, transaction: &mut Transaction) -> Result<u64> {
        self.decoder.finish()?;
        self.hand_on().await?;
        self.inserter.finish(transaction).await
    }

    async fn hand_on(&mut self) -> Result<()> {
        let rows = self.decoder.rows();
        if rows == 0 {
            return Ok(());
        }
        let given = self.decoder.take();
        let batch = self.complete(given, rows).await?;
        self.inserter.push(batch).await
    }

    async fn complete(&self, given: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.defaults.len());
        for (position, definition) in self.target.definition.columns.iter().enumerate() {
            let index = self.positions.iter().position(|given| *given == position);
            columns.push(match (index, &self.defaults[position]) {
                (Some(index), _) => given[index].clone(),
                (None, Some(default)) => default.values(definition, rows).await?,
                (None, None) => return Err(SqlError::internal("a column has neither data nor default")),
            });
        }
        self.target.rows(columns, rows)
    }
}

/// 42P10 for a generated column in COPY's list.
pub fn refuse_generated(column: &ColumnDefinition) -> Result<()> {
    if column.generated.is_none() {
        return Ok(());
    }
    let message = format!("column \"{}\" is a generated column", column.name);
    Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).with_detail("Generated columns cannot be used in COPY."))
}

/// Positions of named columns; without names all but the generated ones.
pub(super) fn positions(target: &Target, columns: Option<&[String]>) -> Result<Vec<usize>> {
    let all = &target.definition.columns;
    let Some(names) = columns else { return Ok((0..all.len()).filter(|at| all[*at].generated.is_none()).collect()) };
    let mut positions = Vec::with_capacity(names.len());
    for name in names {
        target.definition.require_column(&target.name, name)?;
        let position = target.definition.columns.iter().position(|column| column.name == *name).unwrap_or_default();
        refuse_generated(&all[position])?;
        if positions.contains(&position) {
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
        }
        positions.push(position);
    }
    Ok(positions)
}
