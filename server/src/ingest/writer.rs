//! Rows -> segments, with bounded memory.
//!
//! Few rows stay in memory and ride inside the commit. When more come, a segment writer starts on a blocking thread, fed by a channel that
//! holds few batches; the next rows come together while it makes a segment of the last ones, and whoever pushes faster than that waits for the
//! disk. Its memory is reserved from the pool that queries share; under a low limit its segments are smaller.

use crate::catalog::{TableDefinition, columns};
use crate::engine::Engine;
use crate::error::{Result, SqlError, SqlState};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use std::sync::Arc;
use storage::compaction::merge;
use storage::{ColumnId, ColumnSpec, SegmentWriter, SegmentWriterOptions, Unit, WrittenRows};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Rows that take less memory than this, in bytes, need no writer.
pub const SMALL_BYTES_MAX: usize = 256 << 10;
/// Batches between whoever pushes and the writer.
const CHANNEL_BATCHES: usize = 2;
/// Segments smaller than this are not worth writing, whatever the memory limit.
const SEGMENT_BYTES_MIN: usize = 4 << 20;

/// Writes rows of one table.
pub struct TableWriter {
    engine: Arc<Engine>,
    columns: Vec<ColumnSpec>,
    cluster_by: Vec<ColumnId>,
    small: Vec<RecordBatch>,
    small_bytes: usize,
    rows: u64,
    large: Option<Running>,
}

struct Running {
    messages: mpsc::Sender<Message>,
    task: JoinHandle<Result<WrittenRows>>,
    _memory: MemoryReservation,
}

/// What the writing thread is told. When the channel closes before the end, the rows are given up.
enum Message {
    Rows(RecordBatch),
    End,
}

impl TableWriter {
    /// A writer of rows of this table, the columns in order.
    pub fn new(engine: Arc<Engine>, table: &TableDefinition) -> Result<Self> {
        let columns = columns::storage_columns(table)?;
        let cluster_by = table.cluster_by.clone();
        Ok(Self { engine, columns, cluster_by, small: Vec::new(), small_bytes: 0, rows: 0, large: None })
    }

    /// Takes rows; waits while the disk is behind.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        if self.large.is_some() {
            return self.send(batch).await;
        }
        self.small_bytes += batch.get_array_memory_size();
        self.small.push(batch);
        if self.small_bytes > SMALL_BYTES_MAX { self.start().await } else { Ok(()) }
    }

    /// Ends: rows of at most so many bytes are handed back, all others are durable in segments.
    pub async fn finish(mut self, small_bytes_max: usize) -> Result<WrittenRows> {
        if self.large.is_none() && self.small_bytes <= small_bytes_max {
            return self.in_memory();
        }
        if self.rows == 0 {
            return Ok(WrittenRows { segments: Vec::new(), inline: None, rows: 0 });
        }
        self.start().await?;
        self.join().await
    }

    fn in_memory(self) -> Result<WrittenRows> {
        let inline = match &self.small[..] {
            [] => None,
            [one] => Some(one.clone()),
            [first, ..] => Some(concat_batches(&first.schema(), &self.small)?),
        };
        Ok(WrittenRows { segments: Vec::new(), inline, rows: self.rows })
    }

    async fn start(&mut self) -> Result<()> {
        if self.large.is_none() {
            self.engine.ids_ready().await?;
            self.large = Some(self.spawn()?);
        }
        for batch in std::mem::take(&mut self.small) {
            self.send(batch).await?;
        }
        self.small_bytes = 0;
        Ok(())
    }

    fn spawn(&self) -> Result<Running> {
        let (memory, segment_bytes_max) = reserve(&self.engine)?;
        let (messages, mut received) = mpsc::channel(CHANNEL_BATCHES);
        let options = options(segment_bytes_max, &self.cluster_by);
        let mut writer = new_writer(&self.engine, self.columns.clone(), options);
        let engine = self.engine.clone();
        let write = move || {
            while let Some(message) = received.blocking_recv() {
                match message {
                    Message::Rows(batch) => writer.push(batch)?,
                    Message::End => return Ok(writer.finish(0)?),
                }
            }
            drop(writer);
            engine.changes.garbage_made();
            Err(SqlError::internal("the rows were given up"))
        };
        Ok(Running { messages, task: tokio::task::spawn_blocking(write), _memory: memory })
    }

    async fn send(&mut self, batch: RecordBatch) -> Result<()> {
        let Some(running) = &self.large else { return Err(SqlError::internal("no writer runs")) };
        if running.messages.send(Message::Rows(batch)).await.is_ok() {
            return Ok(());
        }
        // The writer ended early, and says why.
        self.join_running().await.and(Err(SqlError::internal("the segment writer ended early")))
    }

    async fn join(mut self) -> Result<WrittenRows> {
        self.join_running().await
    }

    async fn join_running(&mut self) -> Result<WrittenRows> {
        let Some(running) = self.large.take() else { return Err(SqlError::internal("no writer runs")) };
        // A writer that ended early takes no message, and says why below.
        let _ = running.messages.send(Message::End).await;
        running.task.await.map_err(|_| SqlError::internal("the segment writer was interrupted"))?
    }
}

/// Reserves memory for a writer: for segments of the configured size if there is room, else for smaller ones.
fn reserve(engine: &Engine) -> Result<(MemoryReservation, usize)> {
    let memory = MemoryConsumer::new("segment writer").register(&engine.runtime.memory_pool);
    let share = usize::try_from(engine.memory_limit_bytes / 16).unwrap_or(usize::MAX);
    let mut bytes = engine.config.segment_bytes_max.min(share).max(SEGMENT_BYTES_MIN);
    loop {
        match memory.try_grow(3 * bytes) {
            Ok(()) => return Ok((memory, bytes)),
            Err(_) if bytes > SEGMENT_BYTES_MIN => bytes = (bytes / 2).max(SEGMENT_BYTES_MIN),
            Err(error) => {
                return Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory for writing a segment").with_detail(error.to_string()));
            }
        }
    }
}

fn options(segment_bytes_max: usize, cluster_by: &[ColumnId]) -> SegmentWriterOptions {
    SegmentWriterOptions { segment_bytes_max, cluster_by: cluster_by.to_vec(), ..SegmentWriterOptions::default() }
}

fn new_writer(engine: &Arc<Engine>, columns: Vec<ColumnSpec>, options: SegmentWriterOptions) -> SegmentWriter {
    let ids = engine.clone();
    SegmentWriter::new(engine.store.clone(), columns, options, Box::new(move || ids.next_segment_id()))
}

/// What is called after each batch of a rewrite with its bytes: it may wait, and ends the rewrite by answering false.
pub type Pace = Box<dyn FnMut(u64) -> bool + Send>;

/// Writes the live rows of some units anew as segments; `None` if it was ended. The number of rows is checked: a rewrite that would lose
/// one fails.
pub async fn rewrite(engine: &Arc<Engine>, table: &TableDefinition, units: Vec<Unit>, mut pace: Pace) -> Result<Option<WrittenRows>> {
    engine.ids_ready().await?;
    let (memory, segment_bytes_max) = reserve(engine)?;
    let columns = columns::storage_columns(table)?;
    let options = options(segment_bytes_max, &table.cluster_by);
    let (store, ids) = (engine.store.clone(), engine.clone());
    let work = move || {
        let _memory = memory;
        let next_id = Box::new(move || ids.next_segment_id());
        let Some(written) = merge(&store, &units, &columns, options, next_id, &mut pace)? else { return Ok(None) };
        let live: u64 = units.iter().map(Unit::live_rows).sum();
        match written.rows == live {
            true => Ok(Some(written)),
            false => Err(SqlError::internal(format!("rewriting {live} rows gave {}", written.rows))),
        }
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| SqlError::internal("the rewriting of segments was interrupted"))?
}

/// The schema of a scan's batches.
pub(crate) fn scan_schema(columns: &[ColumnSpec], row_ids: bool) -> SchemaRef {
    use arrow::datatypes::DataType::{UInt32, UInt64};
    let mut fields: Vec<_> = columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true)).collect();
    if row_ids {
        fields.extend([Field::new("segment", UInt64, false), Field::new("row", UInt32, false)]);
    }
    Arc::new(Schema::new(fields))
}
