//! One client's connection.
//!
//! 1. Startup, then messages are taken one by one, in order; what a client sends ahead waits.
//! 2. A failed statement is reported, and the session goes on: after a simple query at once, in the extended protocol after the next Sync.
//! 3. Output is gathered and written when a chunk is full, when the client asks, and when it must wait for its next message.

use super::authenticate::authenticate;
use super::backend::Backend;
use super::extended::Extended;
use super::frame::{Frontend, Input, Malformed};
use super::listener::Shared;
use super::message::Output;
use super::security;
use super::startup::{self, Request};
use super::stop::{Failure, Stop, idle_end, shutting_down, until, violation};
use crate::access::tls::Encryption;
use crate::engine::cancel::{Cancels, Slot};
use crate::error::{Result, SqlError, SqlState};
use crate::session::{Notice, Outcome, Statement, TransactionStatus};
use bytes::BufMut;
use futures::FutureExt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A client has this long to start a session.
const STARTUP: Duration = Duration::from_secs(60);
/// The last words of a connection must be taken within this time.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One client's connection.
pub(super) struct Connection<B> {
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) backend: B,
    pub(super) stop: Stop,
    pub(super) extended: Extended,
    slot: Arc<Slot>,
    draining: CancellationToken,
}

/// Serves a client until it leaves. `full`: there is no room for another session, but requests to cancel are carried out.
pub(super) async fn serve<B: Backend>(stream: TcpStream, client: SocketAddr, shared: Arc<Shared<B>>, full: bool) {
    let deadline = tokio::time::Instant::now() + STARTUP;
    let Ok(server) = stream.local_addr() else { return };
    let opened = tokio::select! {
        opened = tokio::time::timeout_at(deadline, security::open(stream, shared.tls.as_deref())) => opened,
        () = shared.draining.cancelled() => return,
    };
    let opened = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return tracing::debug!(%client, %error, "a connection was not opened"),
        Err(_) => return,
    };
    let (mut input, mut output) = (Input::new(opened.read, &opened.ahead), Output::new(opened.write));
    let started = tokio::select! {
        started = tokio::time::timeout_at(deadline, start(&mut input, &mut output, (client, server), &shared, opened.encryption.as_ref(), full)) => started,
        () = shared.draining.cancelled() => return,
    };
    let request = match started {
        Ok(Ok(Some(request))) => request,
        Ok(Err(Failure::Fatal(error) | Failure::Statement(error))) => return last_words(&mut output, &error).await,
        _ => return,
    };
    let slot = shared.cancels.register();
    let result = AssertUnwindSafe(session(input, output, (client, opened.encryption), &shared, slot.clone(), request)).catch_unwind().await;
    shared.cancels.forget(slot.process_id);
    if result.is_err() {
        tracing::error!(%client, "a connection ended in a panic");
    }
}

/// Tells a client that no session starts here now, and why.
pub(super) async fn turn_away(stream: TcpStream, error: SqlError) {
    let Ok(opened) = security::open(stream, None).await else { return };
    let (mut input, mut output) = (Input::new(opened.read, &opened.ahead), Output::new(opened.write));
    if let Ok(Some(_)) = startup::negotiate(&mut input, &mut output, &Cancels::default()).await {
        last_words(&mut output, &error).await;
    }
}

/// Reads what the client wants, and lets it in if it may; `None` if there is no more to do.
async fn start<B: Backend>(
    input: &mut Input,
    output: &mut Output,
    ends: (SocketAddr, SocketAddr),
    shared: &Shared<B>,
    encryption: Option<&Encryption>,
    full: bool,
) -> Result<Option<Request>, Failure> {
    let Some(request) = startup::negotiate(input, output, &shared.cancels).await? else { return Ok(None) };
    if full {
        return Err(Failure::Fatal(SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")));
    }
    let candidate = startup::candidate(&request, ends, encryption.is_some());
    let end_point = encryption.and_then(|encryption| encryption.end_point.as_deref());
    authenticate(&*shared.door, &candidate, end_point, input, output).await?;
    Ok(Some(request))
}

async fn last_words(output: &mut Output, error: &SqlError) {
    output.roll_back();
    output.error("FATAL", error);
    let _ = tokio::time::timeout(LAST_WORDS, output.flush()).await;
}

async fn session<B: Backend>(
    input: Input,
    mut output: Output,
    (client, encryption): (SocketAddr, Option<Encryption>),
    shared: &Shared<B>,
    slot: Arc<Slot>,
    request: Request,
) {
    let notice = request.notice();
    let identity = startup::identity(&request, slot.process_id, client, encryption);
    let backend = match (shared.open)(identity, request.settings) {
        Ok(backend) => backend,
        Err(error) => return last_words(&mut output, &error).await,
    };
    let stop = Stop { cancel: CancellationToken::new(), terminated: slot.terminated.clone(), deadline: None, kill: shared.kill.clone() };
    let draining = shared.draining.clone();
    let mut connection = Connection { input, output, backend, stop, extended: Extended::default(), slot, draining };
    match connection.run(notice).await {
        Ok(()) | Err(Failure::Gone) => {}
        Err(Failure::Fatal(error) | Failure::Statement(error)) => last_words(&mut connection.output, &error).await,
    }
    connection.backend.fail();
}

impl<B: Backend> Connection<B> {
    async fn run(&mut self, notice: Option<Notice>) -> Result<(), Failure> {
        self.report_parameters();
        notice.iter().for_each(|notice| self.output.notice(notice));
        let (process_id, secret) = (self.slot.process_id, self.slot.secret);
        self.output.message(b'K', |body| {
            body.put_i32(process_id);
            body.put_i32(secret);
        });
        self.ready();
        loop {
            match self.next_message().await? {
                None | Some(Frontend::Terminate) => return Ok(()),
                Some(message) => self.handle(message).await?,
            }
        }
    }
    /// Waits for a message; before that the client gets all that is ready, unless it has sent more already.
    async fn next_message(&mut self) -> Result<Option<Frontend>, Failure> {
        if self.draining.is_cancelled() {
            return Err(Failure::Fatal(shutting_down()));
        }
        if let Some(message) = self.input.next().now_or_never() {
            return message.map_err(Failure::Fatal);
        }
        tokio::select! {
            biased;
            flushed = self.output.flush() => flushed?,
            () = self.stop.end_of_session() => return Err(Failure::Fatal(shutting_down())),
        }
        let idle = idle_end(self.backend.transaction_status(), &self.backend.timeouts());
        tokio::select! {
            biased;
            message = self.input.next() => message.map_err(Failure::Fatal),
            () = self.draining.cancelled() => Err(Failure::Fatal(shutting_down())),
            () = self.stop.end_of_session() => Err(Failure::Fatal(shutting_down())),
            () = until(idle.as_ref().map(|(moment, _)| *moment)) => Err(Failure::Fatal(idle.map_or_else(shutting_down, |(_, error)| error))),
        }
    }
    /// Handles one message; only what ends the connection comes back.
    async fn handle(&mut self, message: Frontend) -> Result<(), Failure> {
        let simple = matches!(message, Frontend::Query(_) | Frontend::FunctionCall | Frontend::Malformed(Malformed { simple: true, .. }));
        if self.extended.skipping && message != Frontend::Sync {
            return Ok(());
        }
        self.stop.cancel = self.slot.begin();
        self.limit_time();
        let result = AssertUnwindSafe(self.dispatch(message)).catch_unwind().await;
        self.slot.end();
        let failure = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Failure::Statement(error))) => error,
            Ok(Err(other)) => {
                self.stop.cancel.cancel();
                return Err(other);
            }
            Err(panic) => panicked(panic.as_ref()),
        };
        // What waits on another thread for the statement waits no longer.
        self.stop.cancel.cancel();
        self.report(&failure).await;
        if simple {
            if let Err(error) = self.backend.end_implicit_block().await {
                tracing::debug!(%error, "rolling back after an error");
            }
            self.ready();
        } else {
            self.extended.skipping = true;
        }
        Ok(())
    }
    /// The time that a statement has begins now.
    fn limit_time(&mut self) {
        self.stop.deadline = self.backend.timeouts().statement.map(|limit| Instant::now() + limit);
    }
    async fn dispatch(&mut self, message: Frontend) -> Result<(), Failure> {
        match message {
            Frontend::Query(sql) => self.simple_query(&sql).await,
            Frontend::Parse { name, sql, oids } => self.parse(name, &sql, &oids).await,
            Frontend::Bind(bind) => Ok(self.bind(bind)?),
            Frontend::Describe(target) => Ok(self.describe(&target)?),
            Frontend::Execute { portal, rows_max } => {
                self.begin_pipeline();
                self.execute(&portal, rows_max).await
            }
            Frontend::Close(target) => {
                self.close(&target);
                self.output.empty(b'3');
                Ok(())
            }
            Frontend::Flush => {
                let (stop, input, output) = (&self.stop, &mut self.input, &mut self.output);
                Ok(stop.run(input, output.flush()).await??)
            }
            Frontend::Sync => self.sync().await,
            // What is left of a COPY that has failed.
            Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail(_) | Frontend::Terminate => Ok(()),
            Frontend::FunctionCall => Err(SqlError::unsupported("the function call protocol").with_hint("Use SELECT.").into()),
            Frontend::Malformed(malformed) => Err(malformed.error.into()),
            Frontend::Password(_) => Err(Failure::Fatal(violation("unexpected password message"))),
        }
    }
    /// Several Executes up to one Sync are one transaction. A single one, the common case, is none: the session may run it again after a
    /// conflict.
    fn begin_pipeline(&mut self) {
        let idle = self.backend.transaction_status() == TransactionStatus::Idle;
        if idle && !self.extended.in_pipeline && !self.input.next_is_sync() {
            self.backend.begin_implicit_block();
            self.extended.in_pipeline = true;
        }
    }
    /// A pipeline's transaction ends, an error is behind us, and the client may go on.
    async fn sync(&mut self) -> Result<(), Failure> {
        self.extended.skipping = false;
        if std::mem::take(&mut self.extended.in_pipeline) {
            let ended = self.stop.run(&mut self.input, self.backend.end_implicit_block()).await?;
            if let Err(error) = ended {
                self.report(&error).await;
            }
        }
        self.ready();
        self.extended.end_of_transaction(self.backend.transaction_status());
        Ok(())
    }
    /// Several statements are one transaction, unless they say otherwise; the first error ends them.
    async fn simple_query(&mut self, sql: &str) -> Result<(), Failure> {
        self.extended.close_unnamed();
        let statements = self.stop.run(&mut self.input, self.backend.parse(sql)).await?.map_err(|error| error.with_position_in(sql))?;
        let implicit = statements.len() > 1;
        if implicit {
            self.backend.begin_implicit_block();
        }
        for (index, statement) in statements.iter().enumerate() {
            self.limit_time();
            let last = index + 1 == statements.len();
            self.simple_statement(statement, sql, implicit && last).await?;
        }
        if statements.is_empty() {
            self.output.empty(b'I');
        }
        self.ready();
        Ok(())
    }
    async fn simple_statement(&mut self, statement: &Statement, sql: &str, ends_block: bool) -> Result<(), Failure> {
        let tag = match self.moved_portal(statement) {
            Some((name, rows_max)) => Some(format!("MOVE {}", self.skip(&name, rows_max).await?)),
            None => self.simple_outcome(statement, sql).await?,
        };
        if ends_block {
            self.stop.run(&mut self.input, self.backend.end_implicit_block()).await??;
        }
        self.complete(tag.as_deref());
        Ok(())
    }
    /// Runs a statement, and sends all but its tag.
    async fn simple_outcome(&mut self, statement: &Statement, sql: &str) -> Result<Option<String>, Failure> {
        let outcome = self.stop.run(&mut self.input, self.backend.execute(statement, &[])).await?;
        let outcome = outcome.map_err(|error| error.with_position_in(sql))?;
        let formats = self.backend.simple_formats(statement);
        if let Outcome::Rows { schema, .. } = &outcome {
            self.output.row_description(schema, formats);
        }
        self.drain(outcome, formats, false).await.map_err(|failure| failure.with_position_in(sql))
    }
    /// Notices, then the tag; `None` is an empty statement.
    pub(super) fn complete(&mut self, tag: Option<&str>) {
        self.report_notices();
        match tag {
            Some(tag) => self.output.command_complete(tag),
            None => self.output.empty(b'I'),
        }
    }
    async fn report(&mut self, error: &SqlError) {
        self.backend.fail();
        if error.state == SqlState::DISK_FULL {
            // What the statement had written is given back before its client hears of it, and tries again.
            self.backend.give_space_back().await;
        }
        self.output.roll_back();
        self.report_notices();
        self.output.error("ERROR", error);
    }
    fn report_notices(&mut self) {
        self.backend.take_notices().iter().for_each(|notice| self.output.notice(notice));
    }
    fn report_parameters(&mut self) {
        for (name, value) in self.backend.take_parameter_changes() {
            self.output.parameter_status(name, &value);
        }
    }
    fn ready(&mut self) {
        self.backend.wait();
        self.report_notices();
        self.report_parameters();
        self.output.ready(self.backend.transaction_status());
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> SqlError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_default();
    tracing::error!(panic = %text, "a statement panicked");
    SqlError::internal("the statement failed because of a defect in the server").with_detail(text)
}
