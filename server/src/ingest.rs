//! The life of a commit: rows -> constraints -> segments -> one command.
//!
//! 1. Columns come from a query, COPY data or literals ([`literals`], [`copy_in`], [`copy_file`]); [`assignment`] casts them to the columns'
//!    types, [`defaults`] fills in what is missing.
//! 2. An [`Inserter`] checks NOT NULL and CHECK row by row ([`constraints`]), and UNIQUE within the statement ([`unique`]).
//! 3. Its [`writer`] keeps few rows in memory, and writes many as segments on a thread of their own, which a bounded channel feeds.
//! 4. At the end of the statement the keys are locked and looked for ([`new_keys`]), and the rows become part of the transaction; what they
//!    refer to is looked for then ([`crate::foreign_keys`]).
//! 5. COMMIT makes one command of it: see [`crate::session::transaction`].

use crate::engine::Engine;
use crate::engine::locks::TableMode;
use crate::error::Result;
use crate::foreign_keys::new_keys::NewKeys;
use crate::foreign_keys::queue::{self, Event};
use crate::query::QueryContext;
use crate::session::context::SessionFacts;
use crate::session::transaction::Transaction;
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use datafusion::physical_expr::PhysicalExpr;
use std::sync::Arc;

pub mod assignment;
pub mod constraints;
pub mod copy_file;
pub mod copy_in;
pub mod copy_json;
pub mod defaults;
pub mod expression;
pub(crate) mod generated;
pub(crate) mod key_form;
pub mod literals;
mod new_keys;
pub mod row_text;
pub mod target;
pub mod unique;
pub(crate) mod unique_key;
pub mod writer;

pub use target::{Target, TargetCache};
pub use unique::KeyCache;

/// Takes complete rows of a table, checks them, and stages them.
pub struct Inserter {
    engine: Arc<Engine>,
    target: Target,
    checks: constraints::Checks,
    keys: unique::KeyChecks,
    references: NewKeys,
    writer: writer::TableWriter,
    /// Rows of which this is not true are left out.
    condition: Option<Arc<dyn PhysicalExpr>>,
    rows: u64,
    /// The rows were chosen by what was found of their keys: ON CONFLICT.
    chosen_by_keys: bool,
    session: Arc<SessionFacts>,
}

/// Which unique constraints an insertion may break.
#[derive(Clone, Copy, Debug)]
pub enum KeysChanged<'a> {
    /// All: the rows are new.
    All,
    /// Those on one of these columns (indices): the rows are new versions of old ones.
    Columns(&'a [usize]),
}

impl Inserter {
    /// Begins an insertion.
    pub fn new(context: &QueryContext, target: &Target, keys: KeysChanged<'_>) -> Result<Self> {
        let checks = constraints::Checks::compile(context, target)?;
        Self::with_checks(context, target, checks, keys)
    }

    /// Begins an insertion with constraints compiled already.
    pub fn with_checks(context: &QueryContext, target: &Target, checks: constraints::Checks, keys: KeysChanged<'_>) -> Result<Self> {
        let engine = &context.engine;
        Ok(Self {
            engine: context.engine.clone(),
            target: target.clone(),
            checks,
            keys: unique::KeyChecks::new(context, target, keys)?,
            references: NewKeys::of(engine, &context.view.catalog, target, keys)?,
            writer: writer::TableWriter::new(engine.clone(), &target.definition)?,
            condition: None,
            rows: 0,
            chosen_by_keys: false,
            session: context.session.clone(),
        })
    }

    /// Says that keys which have come meanwhile call for other rows.
    pub fn chosen_by_keys(mut self) -> Self {
        self.chosen_by_keys = true;
        self
    }

    /// Leaves out rows of which a condition over the target's columns is not true: `COPY FROM ... WHERE`.
    pub fn only_where(mut self, condition: Option<Arc<dyn PhysicalExpr>>) -> Self {
        self.condition = condition;
        self
    }

    /// Takes complete rows in the target's form; waits while the writer is behind.
    pub async fn push(&mut self, mut batch: RecordBatch) -> Result<()> {
        if let Some(condition) = &self.condition {
            let kept = condition.evaluate(&batch)?.into_array(batch.num_rows())?;
            batch = filter_record_batch(&batch, kept.as_boolean())?;
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.checks.check(&self.target, &batch)?;
        self.keys.add(&self.target, &batch)?;
        self.references.add(&batch)?;
        self.rows += batch.num_rows() as u64;
        self.writer.push(batch).await
    }

    /// Rows taken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Checks keys against what the transaction sees now (rows that the statement deleted are gone from it), adds the rows to the
    /// transaction, and checks what they refer to; answers how many.
    pub async fn finish(self, transaction: &mut Transaction) -> Result<u64> {
        let (rows, events) = self.finish_unchecked(transaction).await?;
        queue::check_all(transaction, events).await?;
        Ok(rows)
    }

    /// The same, with the references left to be checked.
    pub async fn finish_unchecked(self, transaction: &mut Transaction) -> Result<(u64, Vec<Event>)> {
        let Self { engine, target, mut keys, references, writer, rows, chosen_by_keys, session, .. } = self;
        let lock_timeout = session.lock_timeout();
        transaction.locks().act_for(session.process_id);
        transaction.depends_on(&target.schema, &target.name);
        transaction.lock_table(target.oid(), TableMode::RowExclusive, lock_timeout).await?;
        let later = keys.take_deferred(&target, |name, deferred| transaction.defers_key(target.oid(), name, deferred));
        if let Some(later) = later {
            for keys in later.locks {
                transaction.lock_keys(target.oid(), keys, lock_timeout).await?;
            }
            transaction.inserted_keys(target.oid(), later.fingerprints);
            transaction.defer_keys(later.owed);
        }
        if !keys.is_empty() {
            let claim = new_keys::Claim { engine: &engine, target: &target, keys: Arc::new(keys), lock_timeout };
            let fingerprints = claim.make(transaction, chosen_by_keys).await?;
            transaction.inserted_keys(target.oid(), fingerprints);
        }
        transaction.add_rows(target.oid(), writer.finish(writer::SMALL_BYTES_MAX).await?)?;
        transaction.settle().await?;
        Ok((rows, references.events()))
    }
}
