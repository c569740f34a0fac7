//! What a connection needs of a session.

use crate::error::Result;
use crate::session::{CopyIn, Notice, Outcome, Prepared, Session, Statement, TransactionStatus};
use crate::types::SqlType;
use crate::types::output::OutputStyle;
use async_trait::async_trait;
use datafusion::common::ScalarValue;

/// A session as the wire sees it; each method means what the one of [`Session`] does.
#[allow(missing_docs)]
#[async_trait]
pub trait Backend: Send + 'static {
    fn parse(&self, sql: &str) -> Result<Vec<Statement>>;
    async fn prepare(&mut self, statement: Option<Statement>, declared: &[Option<SqlType>]) -> Result<Prepared>;
    async fn execute(&mut self, statement: &Statement, parameters: &[ScalarValue]) -> Result<Outcome>;
    fn begin_implicit_block(&mut self);
    async fn end_implicit_block(&mut self) -> Result<()>;
    fn fail(&mut self);
    fn transaction_status(&self) -> TransactionStatus;
    fn take_notices(&mut self) -> Vec<Notice>;
    fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)>;
    fn output_style(&self) -> OutputStyle;
    async fn finish_copy(&mut self, copy: Box<dyn CopyIn>) -> Result<u64>;
    async fn abort_copy(&mut self, copy: Box<dyn CopyIn>);
    async fn give_space_back(&mut self);
}

#[async_trait]
impl Backend for Session {
    fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        Session::parse(self, sql)
    }
    async fn prepare(&mut self, statement: Option<Statement>, declared: &[Option<SqlType>]) -> Result<Prepared> {
        Session::prepare(self, statement, declared).await
    }
    async fn execute(&mut self, statement: &Statement, parameters: &[ScalarValue]) -> Result<Outcome> {
        Session::execute(self, statement, parameters).await
    }
    fn begin_implicit_block(&mut self) {
        Session::begin_implicit_block(self);
    }
    async fn end_implicit_block(&mut self) -> Result<()> {
        Session::end_implicit_block(self).await
    }
    fn fail(&mut self) {
        Session::fail(self);
    }
    fn transaction_status(&self) -> TransactionStatus {
        Session::transaction_status(self)
    }
    fn take_notices(&mut self) -> Vec<Notice> {
        Session::take_notices(self)
    }
    fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        Session::take_parameter_changes(self)
    }
    fn output_style(&self) -> OutputStyle {
        Session::output_style(self)
    }
    async fn finish_copy(&mut self, copy: Box<dyn CopyIn>) -> Result<u64> {
        copy.finish(self).await
    }
    async fn abort_copy(&mut self, copy: Box<dyn CopyIn>) {
        copy.abort(self).await;
    }
    async fn give_space_back(&mut self) {
        self.engine.give_space_back().await;
    }
}
