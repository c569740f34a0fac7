//! COPY FROM a JSON file: members of objects go into the columns of their names; what an object lacks gets the column's default.

use super::copy_file::not_readable;
use super::copy_in::positions;
use super::defaults::Default as ColumnDefault;
use super::{Inserter, KeysChanged, Target};
use crate::copy::json_lines::{Decoded, JsonDecoder};
use crate::engine::io_error;
use crate::error::Result;
use crate::query::QueryContext;
use crate::session::transaction::Transaction;
use arrow::array::ArrayRef;
use arrow::compute::interleave;
use datafusion::physical_expr::PhysicalExpr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// Bytes read and decoded at a time.
const READ_BYTES: usize = 256 << 10;
/// Rows are handed on when so many bytes have been decoded ...
const BATCH_BYTES: usize = 1 << 20;
/// ... or so many rows.
const BATCH_ROWS: usize = 8192;

/// Copies a file of JSON objects into a table; the number of rows.
pub async fn copy_json(
    context: &QueryContext,
    transaction: &mut Transaction,
    target: &Target,
    columns: Option<&[String]>,
    condition: Option<Arc<dyn PhysicalExpr>>,
    path: &Path,
) -> Result<u64> {
    let mut copy = JsonInto::new(context, target, columns, condition)?;
    let mut file = tokio::fs::File::open(path).await.map_err(|error| not_readable(path, &error))?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).await.map_err(|error| io_error("read file", path, &error))?;
        if read == 0 {
            copy.decoder.finish()?;
            copy.hand_on().await?;
            return copy.inserter.finish(transaction).await;
        }
        copy.decoder.push(&buffer[..read])?;
        if copy.decoder.rows() >= BATCH_ROWS || copy.decoder.bytes() >= BATCH_BYTES {
            copy.hand_on().await?;
        }
    }
}

struct JsonInto {
    target: Target,
    positions: Vec<usize>,
    defaults: Vec<ColumnDefault>,
    decoder: JsonDecoder,
    inserter: Inserter,
}

impl JsonInto {
    fn new(context: &QueryContext, target: &Target, columns: Option<&[String]>, condition: Option<Arc<dyn PhysicalExpr>>) -> Result<Self> {
        let positions = positions(target, columns)?;
        let all = &target.definition.columns;
        let described = positions.iter().map(|position| (all[*position].name.clone(), all[*position].sql_type.clone())).collect();
        let others = all.iter().enumerate().filter(|(position, _)| !positions.contains(position));
        let others = others.map(|(_, column)| column.name.clone()).collect();
        Ok(Self {
            decoder: JsonDecoder::new(&target.name, described, others, &context.forms),
            inserter: Inserter::new(context, target, KeysChanged::All)?.only_where(condition),
            defaults: all.iter().map(|column| ColumnDefault::of(context, target, column)).collect::<Result<_>>()?,
            target: target.clone(),
            positions,
        })
    }
    async fn hand_on(&mut self) -> Result<()> {
        let rows = self.decoder.rows();
        if rows == 0 {
            return Ok(());
        }
        let given = self.decoder.take();
        let mut columns = Vec::with_capacity(self.defaults.len());
        for (position, (definition, default)) in self.target.definition.columns.iter().zip(&self.defaults).enumerate() {
            columns.push(match self.positions.iter().position(|given| *given == position) {
                None => default.values(definition, rows).await?,
                Some(index) if given[index].missing.is_empty() => given[index].values.clone(),
                Some(index) => {
                    let defaults = default.values(definition, given[index].missing.len()).await?;
                    filled(&given[index], &defaults)?
                }
            });
        }
        self.inserter.push(self.target.rows(columns, rows)?).await
    }
}

/// The values, with defaults where there were none.
fn filled(given: &Decoded, defaults: &ArrayRef) -> Result<ArrayRef> {
    let mut places: Vec<(usize, usize)> = (0..given.values.len()).map(|row| (0, row)).collect();
    given.missing.iter().enumerate().for_each(|(at, row)| places[*row] = (1, at));
    Ok(interleave(&[given.values.as_ref(), defaults.as_ref()], &places)?)
}
