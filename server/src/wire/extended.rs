//! The extended protocol: prepared statements and portals.
//!
//! A portal that is suspended keeps its stream, and the batch of which it has sent a part: nothing is run ahead or kept twice.

use super::backend::Backend;
use super::connection::Connection;
use super::encode::{BoundBatch, RowEncoder};
use super::frame::{Bind, Target};
use super::stop::{Failure, violation};
use crate::error::{Result, SqlError, SqlState};
use crate::session::grammar::Ours;
use crate::session::grammar::cursors::Direction;
use crate::session::prepared::check_columns;
use crate::session::{Outcome, Prepared, Statement, TransactionStatus, outputs};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::input::{scalar_from_binary, scalar_from_text_in, utf8};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::EmptyRecordBatchStream;
use futures::StreamExt;
use std::collections::HashMap;
use std::sync::Arc;

/// Portals that one session may have.
const NAMES_MAX: usize = 10_000;

/// What a session has prepared and bound.
#[derive(Default)]
pub(super) struct Extended {
    unnamed: Option<Arc<Prepared>>,
    portals: HashMap<String, Portal>,
    /// After an error, until the next Sync.
    pub(super) skipping: bool,
    /// What was run since the last Sync is one transaction.
    pub(super) in_pipeline: bool,
}

struct Portal {
    prepared: Arc<Prepared>,
    parameters: Vec<ScalarValue>,
    formats: Vec<i16>,
    progress: Progress,
}

/// What the execution of a portal comes to.
enum Opened {
    Rows(Rows),
    /// All is done; the tag, if it is not an empty statement.
    Complete(Option<String>),
}

enum Progress {
    New,
    Suspended(Rows),
    /// All rows were sent: another Execute has none left, and this tag.
    Sent(String),
    Done,
}

/// A result that is being sent.
pub(super) struct Rows {
    stream: SendableRecordBatchStream,
    encoder: RowEncoder,
    batch: Option<BoundBatch>,
    tag: &'static str,
    tag_rows: bool,
    sent: u64,
}

impl Rows {
    /// A SELECT's tag counts the rows of one Execute, any other's all that its statement did.
    fn begin_execute(&mut self) {
        if self.tag == "SELECT" {
            self.sent = 0;
        }
    }
    fn tag(&self) -> String {
        if self.tag_rows { format!("{} {}", self.tag, self.sent) } else { self.tag.into() }
    }
}

impl Extended {
    /// A simple query destroys the unnamed ones.
    pub(super) fn close_unnamed(&mut self) {
        self.unnamed = None;
        self.portals.remove("");
    }
    /// Portals live no longer than their transaction.
    pub(super) fn end_of_transaction(&mut self, status: TransactionStatus) {
        if status == TransactionStatus::Idle {
            self.portals.clear();
        }
    }
    fn portal(&mut self, name: &str) -> Result<&mut Portal> {
        let missing = || SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"));
        self.portals.get_mut(name).ok_or_else(missing)
    }
}

fn check_room(names: usize) -> Result<()> {
    match names < NAMES_MAX {
        true => Ok(()),
        false => Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("a session can have {NAMES_MAX} portals"))),
    }
}

/// One parameter's value, read by the type it was described with.
fn parameter(sql_type: &SqlType, format: i16, value: Option<&[u8]>, forms: &ValueForms) -> Result<ScalarValue> {
    match (value, format) {
        (None, _) => Ok(ScalarValue::try_from(sql_type.arrow())?),
        (Some(value), 0) => scalar_from_text_in(sql_type, utf8(value)?, forms),
        (Some(value), 1) => scalar_from_binary(sql_type, value),
        (_, other) => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unsupported format code: {other}"))),
    }
}

fn parameters(prepared: &Prepared, bind: &Bind, forms: &ValueForms) -> Result<Vec<ScalarValue>> {
    let (given, expected) = (bind.parameters.len(), prepared.parameters.len());
    if given != expected {
        let message =
            format!("bind message supplies {given} parameters, but prepared statement \"{}\" requires {expected}", bind.statement);
        return Err(violation(message));
    }
    if bind.formats.len() > 1 && bind.formats.len() != given {
        return Err(violation(format!("bind message has {} parameter formats but {given} parameters", bind.formats.len())));
    }
    let values = prepared.parameters.iter().zip(&bind.parameters).enumerate();
    let format = |index| super::message::format_of(&bind.formats, index);
    values
        .map(|(index, (sql_type, value))| {
            let place = |error: SqlError| match error.context {
                None => error.with_context(format!("unnamed portal parameter ${}", index + 1)),
                Some(_) => error,
            };
            parameter(sql_type, format(index), value.as_deref(), forms).map_err(place)
        })
        .collect()
}

fn check_result_formats(prepared: &Prepared, formats: &[i16]) -> Result<()> {
    let columns = prepared.columns.as_ref().map_or(0, |columns| columns.fields().len());
    if formats.len() > 1 && formats.len() != columns {
        return Err(violation(format!("bind message has {} result formats but query has {columns} columns", formats.len())));
    }
    match formats.iter().find(|format| !matches!(format, 0 | 1)) {
        Some(format) => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unsupported format code: {format}"))),
        None => Ok(()),
    }
}

impl<B: Backend> Connection<B> {
    fn statement(&self, name: &str) -> Result<Arc<Prepared>> {
        if !name.is_empty() {
            return self.backend.find_prepared(name);
        }
        let missing = || SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, "unnamed prepared statement does not exist");
        self.extended.unnamed.clone().ok_or_else(missing)
    }
    pub(super) fn close(&mut self, target: &Target) {
        match target {
            Target::Statement(name) if name.is_empty() => self.extended.unnamed = None,
            Target::Statement(name) => self.backend.forget_prepared(name),
            Target::Portal(name) => drop(self.extended.portals.remove(name)),
        }
    }
    pub(super) async fn parse(&mut self, name: String, sql: &str, oids: &[u32]) -> Result<(), Failure> {
        if name.is_empty() {
            self.extended.unnamed = None;
        } else {
            self.backend.check_new_name(&name)?;
        }
        let located = |error: SqlError| error.with_position_in(sql);
        let mut statements = self.stop.run(&mut self.input, self.backend.parse(sql)).await?.map_err(located)?;
        if statements.len() > 1 {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement").into());
        }
        // 0 leaves a type open, and so does 705, `unknown`.
        let declared = oids.iter().map(|oid| match oid {
            0 | 705 => Ok(None),
            &outputs::VOID_OID => Ok(Some(SqlType::Text)),
            oid => {
                SqlType::from_oid(*oid).map(Some).ok_or_else(|| SqlError::unsupported(format!("a parameter of the type with OID {oid}")))
            }
        });
        let declared = declared.collect::<Result<Vec<_>>>()?;
        let outputs: Vec<usize> = oids.iter().zip(1..).filter(|(oid, _)| **oid == outputs::VOID_OID).map(|(_, number)| number).collect();
        let statement = statements.pop().map(|statement| outputs::without(statement, &outputs));
        let prepared = self.stop.run(&mut self.input, self.backend.prepare(statement, &declared)).await?.map_err(located)?;
        match name.as_str() {
            "" => self.extended.unnamed = Some(Arc::new(prepared)),
            name => self.backend.keep_prepared(name, prepared),
        }
        self.output.empty(b'1');
        Ok(())
    }
    pub(super) fn bind(&mut self, bind: Bind) -> Result<()> {
        let prepared = self.statement(&bind.statement)?;
        if !bind.portal.is_empty() && self.extended.portals.contains_key(&bind.portal) {
            return Err(SqlError::new(SqlState("42P03"), format!("cursor \"{}\" already exists", bind.portal)));
        }
        check_room(self.extended.portals.len())?;
        let parameters = parameters(&prepared, &bind, &self.backend.value_forms())?;
        check_result_formats(&prepared, &bind.result_formats)?;
        let portal = Portal { prepared, parameters, formats: bind.result_formats, progress: Progress::New };
        self.extended.portals.insert(bind.portal, portal);
        self.output.empty(b'2');
        Ok(())
    }
    pub(super) fn describe(&mut self, target: &Target) -> Result<()> {
        let (prepared, formats) = match target {
            Target::Statement(name) => {
                let prepared = self.statement(name)?;
                self.output.parameter_description(&prepared.parameters);
                (prepared, vec![])
            }
            Target::Portal(name)
                if !self.extended.portals.contains_key(name)
                    && let Some((columns, formats)) = self.backend.cursor_columns(name) =>
            {
                self.output.row_description(&columns, formats);
                return Ok(());
            }
            Target::Portal(name) => {
                let portal = self.extended.portal(name)?;
                (portal.prepared.clone(), portal.formats.clone())
            }
        };
        match &prepared.columns {
            Some(columns) => self.output.row_description(columns, &formats),
            None => self.output.empty(b'n'),
        }
        Ok(())
    }
    /// Runs a portal, or goes on with it. `rows_max` of 0 is no limit.
    pub(super) async fn execute(&mut self, name: &str, rows_max: u32) -> Result<(), Failure> {
        let rows_max = if rows_max == 0 { u64::MAX } else { u64::from(rows_max) };
        let mut rows = match self.open(name).await? {
            Opened::Complete(tag) => {
                self.complete(tag.as_deref());
                return Ok(());
            }
            Opened::Rows(rows) => rows,
        };
        rows.begin_execute();
        let sent = self.send(&mut rows, rows_max).await;
        let portal = self.extended.portal(name)?;
        let text = portal.prepared.statement.as_ref().map_or("", |statement| &statement.text);
        if sent.map_err(|failure| failure.with_position_in(text))? {
            let tag = rows.tag();
            rows.begin_execute();
            portal.progress = Progress::Sent(rows.tag());
            self.complete(Some(&tag));
        } else {
            portal.progress = Progress::Suspended(rows);
            self.output.empty(b's');
        }
        Ok(())
    }
    /// The rows of a portal, or all that its statement does.
    async fn open(&mut self, name: &str) -> Result<Opened, Failure> {
        let portal = self.extended.portal(name)?;
        match std::mem::replace(&mut portal.progress, Progress::Done) {
            Progress::Suspended(rows) => return Ok(Opened::Rows(rows)),
            Progress::Sent(tag) => {
                portal.progress = Progress::Sent(tag.clone());
                return Ok(Opened::Complete(Some(tag)));
            }
            Progress::Done => {
                let error = SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("portal \"{name}\" cannot be run anymore"));
                return Err(error.into());
            }
            Progress::New => {}
        }
        let prepared = portal.prepared.clone();
        let Some(statement) = prepared.statement.clone() else { return Ok(Opened::Complete(None)) };
        let (parameters, formats) = (std::mem::take(&mut portal.parameters), portal.formats.clone());
        let outcome = self.stop.run(&mut self.input, self.backend.execute(&statement, &parameters)).await?;
        let outcome = outcome.map_err(|error| error.with_position_in(&statement.text))?;
        check_columns(&prepared, &outcome)?;
        match self.start(outcome, &formats) {
            Ok(rows) => Ok(Opened::Rows(rows)),
            Err(other) => Ok(Opened::Complete(self.drain(other, &formats, true).await?)),
        }
    }
    /// The portal, and the number of rows, that a MOVE FORWARD in SQL is about: portals are cursors to SQL. Those of SQL's own go first.
    pub(super) fn moved_portal(&self, statement: &Statement) -> Option<(String, u64)> {
        let Some(Ours::Fetch { direction: Direction::Forward(count), name, moves: true }) = statement.ours.as_deref() else { return None };
        let ours = self.extended.portals.contains_key(name) && self.backend.cursor_columns(name).is_none();
        (ours && self.backend.transaction_status() == TransactionStatus::InBlock).then(|| (name.clone(), count.unwrap_or(u64::MAX)))
    }
    /// Leaves out up to some rows of a portal; answers how many.
    pub(super) async fn skip(&mut self, name: &str, rows_max: u64) -> Result<u64, Failure> {
        let Opened::Rows(mut rows) = self.open(name).await? else { return Ok(0) };
        let mut skipped = 0;
        while skipped < rows_max {
            match rows.batch.as_mut().filter(|batch| !batch.is_done()) {
                Some(batch) => skipped += batch.skip(rows_max - skipped),
                None => match self.stop.run(&mut self.input, rows.stream.next()).await? {
                    Some(batch) => rows.batch = Some(rows.encoder.bind(&batch?)?),
                    None => {
                        rows.stream = Box::pin(EmptyRecordBatchStream::new(rows.stream.schema()));
                        break;
                    }
                },
            }
        }
        self.extended.portal(name)?.progress = Progress::Suspended(rows);
        Ok(skipped)
    }
    /// Takes an outcome with rows; gives back any other.
    #[allow(clippy::result_large_err, reason = "the other outcome is moved on at once")]
    fn start(&self, outcome: Outcome, formats: &[i16]) -> Result<Rows, Outcome> {
        match outcome {
            Outcome::Rows { schema, batches, tag, tag_rows } => {
                let encoder = RowEncoder::new(&schema, formats, &self.backend.value_forms());
                Ok(Rows { stream: batches, encoder, batch: None, tag, tag_rows, sent: 0 })
            }
            other => Err(other),
        }
    }
    /// Sends rows up to a number; answers whether the result is at its end.
    async fn send(&mut self, rows: &mut Rows, rows_max: u64) -> Result<bool, Failure> {
        let mut left = rows_max;
        loop {
            let Some(batch) = rows.batch.as_mut().filter(|batch| !batch.is_done()) else {
                // Also with none left to send: a result that ends just here is complete, and then its transaction is.
                match self.stop.run(&mut self.input, rows.stream.next()).await? {
                    Some(batch) => rows.batch = Some(rows.encoder.bind(&batch?)?),
                    None => return Ok(true),
                }
                continue;
            };
            if left == 0 {
                return Ok(false);
            }
            let written = batch.fill(left, &mut self.output.buffer)?;
            self.output.commit();
            left -= written;
            rows.sent += written;
            if self.output.is_full() {
                self.stop.run(&mut self.input, self.output.flush()).await??;
            }
        }
    }
    /// Sends all of an outcome but its tag, which is the answer; `None` for an empty statement.
    pub(super) async fn drain(&mut self, outcome: Outcome, formats: &[i16], extended: bool) -> Result<Option<String>, Failure> {
        match self.start(outcome, formats) {
            Ok(mut rows) => {
                self.send(&mut rows, u64::MAX).await?;
                Ok(Some(rows.tag()))
            }
            Err(Outcome::Done(tag)) => Ok(Some(tag)),
            Err(Outcome::CopyIn(copy)) => self.copy_in(copy, extended).await.map(Some),
            Err(Outcome::CopyOut { schema, batches, format }) => self.copy_out(&schema, batches, &format).await.map(Some),
            Err(Outcome::Empty | Outcome::Rows { .. }) => Ok(None),
        }
    }
}
