//! Cursors: queries whose rows are fetched in portions.
//!
//! A cursor keeps its query's stream, and of the rows what it needs: SCROLL all that were fetched, charged to the memory of queries; others only
//! the batch that the current row is in. WITH HOLD the rows that are left are taken from the stream when the transaction commits.
//!
//! Positions are PostgreSQL's: 0 is before the first row, n on row n, and one more than there are rows is after the last.

use super::dispatch::{self, open_implicit};
use super::grammar::cursors::{Declare, Direction};
use super::{Outcome, Session, Statement, lock_clauses};
use crate::error::{Result, SqlError, SqlState};
use crate::locking;
use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Cursors of one session, at most.
const CURSORS_MAX: usize = 1024;

/// What `pg_cursors` tells of a cursor.
#[derive(Clone, Debug)]
pub struct CursorFacts {
    /// Its name.
    pub name: String,
    /// The statement that declared it.
    pub statement: Arc<str>,
    /// WITH HOLD.
    pub holdable: bool,
    /// BINARY.
    pub binary: bool,
    /// SCROLL.
    pub scrollable: bool,
    /// When it was declared.
    pub created: DateTime<Utc>,
}

/// The cursors of a session.
#[derive(Default)]
pub(super) struct Cursors {
    open: BTreeMap<String, Cursor>,
    /// How many have been declared since the session began.
    declared: u64,
}

struct Cursor {
    facts: CursorFacts,
    /// Which one it is of those that the session has declared, counted from 1.
    number: u64,
    schema: SchemaRef,
    /// It has outlived the transaction that declared it.
    held: bool,
    rows: Arc<Mutex<Rows>>,
}

impl Cursors {
    /// What `pg_cursors` shows.
    pub(super) fn facts(&self) -> Arc<[CursorFacts]> {
        self.open.values().map(|cursor| cursor.facts.clone()).collect()
    }
    /// The columns of a cursor, if it exists.
    pub(super) fn schema(&self, name: &str) -> Option<SchemaRef> {
        self.open.get(name).map(|cursor| cursor.schema.clone())
    }
    pub(super) fn is_binary(&self, name: &str) -> bool {
        self.open.get(name).is_some_and(|cursor| cursor.facts.binary)
    }
    /// A transaction is about to commit: what is held takes its rows.
    pub(super) async fn hold(&mut self) -> Result<()> {
        for cursor in self.open.values_mut().filter(|cursor| cursor.facts.holdable && !cursor.held) {
            cursor.rows.lock().await.hold().await?;
        }
        Ok(())
    }
    /// A transaction has ended: only what is held stays, and of that declared in it only if it was committed.
    pub(super) fn end_of_transaction(&mut self, committed: bool) {
        self.open.retain(|_, cursor| cursor.held || (committed && cursor.facts.holdable));
        self.open.values_mut().for_each(|cursor| cursor.held = true);
    }
    /// How many have been declared since the session began.
    pub(super) fn declared(&self) -> u64 {
        self.declared
    }
    /// ROLLBACK TO SAVEPOINT: those that were declared after it are closed.
    pub(super) fn close_after(&mut self, declared: u64) {
        self.open.retain(|_, cursor| cursor.number <= declared);
    }
    fn add(&mut self, facts: CursorFacts, schema: SchemaRef, held: bool, rows: Rows) {
        self.declared += 1;
        let cursor = Cursor { number: self.declared, facts, schema, held, rows: Arc::new(Mutex::new(rows)) };
        self.open.insert(cursor.facts.name.clone(), cursor);
    }
    /// CLOSE; `None` is ALL.
    pub(super) fn close(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            None => self.open.clear(),
            Some(name) => drop(self.open.remove(name).ok_or_else(|| missing(name))?),
        }
        Ok(())
    }
    fn get(&self, name: &str) -> Result<&Cursor> {
        self.open.get(name).ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

fn forward_only() -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
        .with_hint("Declare it with SCROLL option to enable backward scan.")
}

/// DECLARE.
pub(super) async fn declare(
    session: &mut Session,
    statement: &Statement,
    declare: &Declare,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    open_implicit(session);
    if session.block.is_none() && !declare.hold {
        let message = "DECLARE CURSOR can only be used in transaction blocks";
        return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
    }
    if session.cursors.open.contains_key(&declare.name) {
        return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{}\" already exists", declare.name)));
    }
    if session.cursors.open.len() >= CURSORS_MAX {
        let message = format!("a session can have at most {CURSORS_MAX} cursors");
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).with_hint("Use CLOSE."));
    }
    if declare.query.locks_rows {
        check_read_only(declare)?;
    }
    let (schema, batches) = dispatch::open_query(session, &declare.query, parameters).await?;
    let mut rows = Rows::new(batches, declare.scroll, &session.engine.runtime.memory_pool);
    let held = session.block.is_none();
    if held {
        rows.hold().await?;
    }
    let facts = CursorFacts {
        name: declare.name.clone(),
        statement: statement.text.clone(),
        holdable: declare.hold,
        binary: declare.binary,
        scrollable: declare.scroll == Some(true),
        created: Utc::now(),
    };
    session.cursors.add(facts, schema, held, rows);
    Ok(Outcome::Done("DECLARE CURSOR".into()))
}

/// A query that locks rows can be read once, by the transaction that locks them.
fn check_read_only(declare: &Declare) -> Result<()> {
    let Some(strength) = locking::clauses::check(&declare.query.ast)? else { return Ok(()) };
    let (cursor, adjective) = match (declare.hold, declare.scroll) {
        (true, _) => ("CURSOR WITH HOLD", "Holdable"),
        (false, Some(true)) => ("SCROLL CURSOR", "Scrollable"),
        _ => return Ok(()),
    };
    let message = format!("DECLARE {cursor} ... {} is not supported", lock_clauses::name(strength));
    let detail = format!("{adjective} cursors must be READ ONLY.");
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_detail(detail))
}

/// FETCH.
pub(super) async fn fetch(session: &mut Session, direction: Direction, name: &str) -> Result<Outcome> {
    let cursor = session.cursors.get(name)?;
    let (schema, rows) = (cursor.schema.clone(), cursor.rows.clone());
    let walk = rows.lock().await.walk(direction).await?;
    let batches = futures::stream::try_unfold((rows, walk), |(rows, mut walk)| async move {
        let batch = rows.lock().await.step(&mut walk).await?;
        Ok(batch.map(|batch| (batch, (rows, walk))))
    });
    let batches = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), batches));
    Ok(Outcome::Rows { schema, batches, tag: "FETCH", tag_rows: true })
}

/// MOVE.
pub(super) async fn move_to(session: &mut Session, direction: Direction, name: &str) -> Result<Outcome> {
    let rows = session.cursors.get(name)?.rows.clone();
    let mut rows = rows.lock().await;
    let mut moved = 0;
    if direction.is_here() {
        moved = usize::from(rows.is_on_row());
    } else {
        let mut walk = rows.walk(direction).await?;
        while let Some(batch) = rows.step(&mut walk).await? {
            moved += batch.num_rows();
        }
    }
    Ok(Outcome::Done(format!("MOVE {moved}")))
}

impl Direction {
    /// Whether the current row is meant.
    fn is_here(self) -> bool {
        matches!(self, Self::Forward(Some(0)) | Self::Backward(Some(0)) | Self::Relative(0))
    }
}

/// What is left of a FETCH.
struct Walk {
    backward: bool,
    left: u64,
}

/// A query's rows, and where the cursor stands.
struct Rows {
    /// `None` when all rows have been taken.
    source: Option<SendableRecordBatchStream>,
    /// Batches with the number of their first row, counted from 0.
    kept: VecDeque<(u64, RecordBatch)>,
    /// Rows taken from the source.
    taken: u64,
    position: u64,
    scroll: Option<bool>,
    /// All rows taken stay, and are charged.
    keeps_all: bool,
    /// The query failed, or a FETCH was broken off.
    failed: bool,
    memory: MemoryReservation,
}

impl Rows {
    fn new(source: SendableRecordBatchStream, scroll: Option<bool>, pool: &Arc<dyn MemoryPool>) -> Self {
        let memory = MemoryConsumer::new("cursor").register(pool);
        let keeps_all = scroll == Some(true);
        Self { source: Some(source), kept: VecDeque::new(), taken: 0, position: 0, scroll, keeps_all, failed: false, memory }
    }

    fn is_on_row(&self) -> bool {
        self.position > 0 && self.position <= self.taken
    }

    /// Takes all rows that are left, so that the query is done with.
    async fn hold(&mut self) -> Result<()> {
        if !self.keeps_all {
            for (_, batch) in &self.kept {
                self.memory.try_grow(bytes_of(batch))?;
            }
            self.keeps_all = true;
        }
        while self.take_batch().await? {}
        Ok(())
    }

    /// Takes a batch with rows from the source; false at its end.
    async fn take_batch(&mut self) -> Result<bool> {
        loop {
            let Some(source) = &mut self.source else { return Ok(false) };
            // Who stops waiting here leaves a cursor that has lost its place.
            self.failed = true;
            let next = source.next().await.transpose()?;
            self.failed = false;
            let Some(batch) = next else {
                self.source = None;
                return Ok(false);
            };
            if batch.num_rows() > 0 {
                if self.keeps_all {
                    self.memory.try_grow(bytes_of(&batch))?;
                }
                let rows = batch.num_rows() as u64;
                self.kept.push_back((self.taken, batch));
                self.taken += rows;
                return Ok(true);
            }
        }
    }

    /// Goes to where rows are then taken from, and says how many.
    async fn walk(&mut self, direction: Direction) -> Result<Walk> {
        if self.failed {
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "the cursor cannot be run anymore"));
        }
        if direction.is_here() {
            return self.here();
        }
        match direction {
            Direction::Forward(count) => Ok(Walk { backward: false, left: count.unwrap_or(u64::MAX) }),
            Direction::Backward(count) => self.back(count.unwrap_or(u64::MAX), 0),
            Direction::Relative(by) if by > 0 => self.skip_to(self.position.saturating_add(by.unsigned_abs() - 1)).await,
            Direction::Relative(by) => self.back(1, by.unsigned_abs() - 1),
            Direction::Absolute(row) if row >= 0 => self.go_to_row(row.unsigned_abs()).await,
            Direction::Absolute(from_end) => self.count_from_end(from_end.unsigned_abs()).await,
        }
    }

    /// The current row again.
    fn here(&mut self) -> Result<Walk> {
        if !self.is_on_row() {
            return Ok(Walk { backward: false, left: 0 });
        }
        if self.scroll == Some(false) {
            return Err(forward_only());
        }
        self.position -= 1;
        Ok(Walk { backward: false, left: 1 })
    }

    fn back(&mut self, left: u64, skipped: u64) -> Result<Walk> {
        if self.scroll != Some(true) {
            return Err(forward_only());
        }
        self.position = self.position.saturating_sub(skipped);
        Ok(Walk { backward: true, left })
    }

    /// One row, by its number; 0 is before the first.
    async fn go_to_row(&mut self, row: u64) -> Result<Walk> {
        let before = row.saturating_sub(1);
        let again = row == self.position && row > 0;
        if again && self.scroll != Some(true) {
            return self.here();
        }
        if before < self.position && !(row == 0 && self.position == 0) {
            if self.scroll != Some(true) {
                return Err(forward_only());
            }
            self.position = before;
        }
        match row {
            0 => Ok(Walk { backward: false, left: 0 }),
            _ => self.skip_to(before).await,
        }
    }

    async fn count_from_end(&mut self, from_end: u64) -> Result<Walk> {
        if self.scroll != Some(true) {
            return Err(forward_only());
        }
        while self.take_batch().await? {}
        match (self.taken + 1).checked_sub(from_end) {
            Some(row) if row > 0 => {
                self.position = row - 1;
                Ok(Walk { backward: false, left: 1 })
            }
            _ => {
                self.position = 0;
                Ok(Walk { backward: false, left: 0 })
            }
        }
    }

    /// Forward to a position, from which the next row is taken.
    async fn skip_to(&mut self, position: u64) -> Result<Walk> {
        let mut walk = Walk { backward: false, left: position.saturating_sub(self.position) };
        while self.step(&mut walk).await?.is_some() {}
        Ok(Walk { backward: false, left: u64::from(self.position <= self.taken) })
    }

    /// The next portion of a walk; `None` when it has come to its end.
    async fn step(&mut self, walk: &mut Walk) -> Result<Option<RecordBatch>> {
        if walk.left == 0 {
            return Ok(None);
        }
        let portion = if walk.backward { self.step_back(walk.left)? } else { self.step_on(walk.left).await? };
        match &portion {
            Some(batch) => walk.left -= batch.num_rows() as u64,
            None => walk.left = 0,
        }
        Ok(portion)
    }

    async fn step_on(&mut self, rows_max: u64) -> Result<Option<RecordBatch>> {
        while self.position >= self.taken {
            if !self.take_batch().await? {
                self.position = self.taken + 1;
                return Ok(None);
            }
        }
        if !self.keeps_all {
            let position = self.position;
            self.kept.retain(|(start, batch)| start + batch.num_rows() as u64 > position);
        }
        let (start, batch) = self.batch_of(self.position)?;
        let offset = self.position - start;
        let rows = rows_max.min(batch.num_rows() as u64 - offset);
        let portion = batch.slice(offset as usize, rows as usize);
        self.position += rows;
        Ok(Some(portion))
    }

    fn step_back(&mut self, rows_max: u64) -> Result<Option<RecordBatch>> {
        let Some(last) = self.position.checked_sub(2) else {
            self.position = 0;
            return Ok(None);
        };
        let (start, batch) = self.batch_of(last)?;
        let offset = last - start;
        let rows = rows_max.min(offset + 1);
        let indices = UInt64Array::from_iter_values((offset + 1 - rows..=offset).rev());
        let portion = take_record_batch(batch, &indices)?;
        self.position -= rows;
        Ok(Some(portion))
    }

    /// The batch that a row is in, counted from 0.
    fn batch_of(&self, row: u64) -> Result<(u64, &RecordBatch)> {
        let at = self.kept.partition_point(|(start, _)| *start <= row);
        let found = at.checked_sub(1).and_then(|at| self.kept.get(at));
        found.map(|(start, batch)| (*start, batch)).ok_or_else(|| SqlError::internal("a cursor lost a row"))
    }
}

/// What a batch takes, however large the buffers are that it is a part of.
fn bytes_of(batch: &RecordBatch) -> usize {
    let column = |array: &arrow::array::ArrayRef| array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size());
    batch.columns().iter().map(column).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{AsArray, Int32Array};
    use arrow::datatypes::Int32Type;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};

    fn rows(count: i32, scroll: Option<bool>, pool: Arc<dyn MemoryPool>) -> Rows {
        let batch = |start: i32| {
            let numbers = Int32Array::from_iter_values(start..(start + 3).min(count + 1));
            RecordBatch::try_from_iter([("n", Arc::new(numbers) as arrow::array::ArrayRef)]).unwrap()
        };
        let batches: Vec<_> = (1..=count).step_by(3).map(|start| Ok(batch(start))).collect();
        let schema = batch(1).schema();
        Rows::new(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches))), scroll, &pool)
    }

    async fn fetched(rows: &mut Rows, direction: Direction) -> Result<Vec<i32>> {
        let mut walk = rows.walk(direction).await?;
        let mut numbers = Vec::new();
        while let Some(batch) = rows.step(&mut walk).await? {
            numbers.extend(batch.column(0).as_primitive::<Int32Type>().values().iter().copied());
        }
        Ok(numbers)
    }

    #[tokio::test]
    async fn a_scrolling_cursor_goes_everywhere() {
        let mut rows = rows(7, Some(true), Arc::new(UnboundedMemoryPool::default()));
        let table: [(Direction, &[i32], u64); 16] = [
            (Direction::Forward(Some(4)), &[1, 2, 3, 4], 4),
            (Direction::Relative(0), &[4], 4),
            (Direction::Backward(Some(2)), &[3, 2], 2),
            (Direction::Relative(2), &[4], 4),
            (Direction::Relative(-3), &[1], 1),
            (Direction::Backward(None), &[], 0),
            (Direction::Forward(None), &[1, 2, 3, 4, 5, 6, 7], 8),
            (Direction::Forward(Some(0)), &[], 8),
            (Direction::Backward(Some(1)), &[7], 7),
            (Direction::Absolute(2), &[2], 2),
            (Direction::Absolute(-2), &[6], 6),
            (Direction::Absolute(-9), &[], 0),
            (Direction::Absolute(9), &[], 8),
            (Direction::Backward(None), &[7, 6, 5, 4, 3, 2, 1], 0),
            (Direction::Absolute(1), &[1], 1),
            (Direction::Absolute(0), &[], 0),
        ];
        for (direction, expected, position) in table {
            assert_eq!((fetched(&mut rows, direction).await.unwrap(), rows.position), (expected.to_vec(), position), "{direction:?}");
        }
    }

    #[tokio::test]
    async fn a_forward_cursor_keeps_one_batch_and_says_what_it_cannot() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1));
        let mut rows = rows(9, None, pool);
        assert_eq!(fetched(&mut rows, Direction::Absolute(5)).await.unwrap(), [5]);
        assert_eq!(fetched(&mut rows, Direction::Forward(Some(0))).await.unwrap(), [5]);
        assert_eq!(fetched(&mut rows, Direction::Absolute(5)).await.unwrap(), [5]);
        assert_eq!(rows.kept.len(), 1);
        for direction in [Direction::Backward(Some(1)), Direction::Absolute(4), Direction::Absolute(-1), Direction::Relative(-1)] {
            assert_eq!(&*fetched(&mut rows, direction).await.unwrap_err().message, "cursor can only scan forward");
        }
        assert_eq!(fetched(&mut rows, Direction::Forward(None)).await.unwrap(), [6, 7, 8, 9]);
    }

    #[tokio::test]
    async fn what_is_kept_is_charged() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(30));
        let mut scrolling = rows(9, Some(true), pool.clone());
        assert_eq!(fetched(&mut scrolling, Direction::Forward(None)).await.unwrap_err().state, SqlState::OUT_OF_MEMORY);
        drop(scrolling);
        let mut held = rows(6, None, pool);
        assert_eq!(fetched(&mut held, Direction::Forward(Some(1))).await.unwrap(), [1]);
        held.hold().await.unwrap();
        assert_eq!(fetched(&mut held, Direction::Forward(None)).await.unwrap(), [2, 3, 4, 5, 6]);
    }
}
