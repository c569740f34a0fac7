//! What a connection needs of a session.

use crate::error::Result;
use crate::session::settings::Timeouts;
use crate::session::{CopyIn, Notice, Outcome, Prepared, Session, Statement, TransactionStatus};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// A session as the wire sees it; each method means what the one of [`Session`] does.
#[allow(missing_docs)]
#[async_trait]
pub trait Backend: Send + 'static {
    async fn parse(&mut self, sql: &str) -> Result<Vec<Statement>>;
    async fn prepare(&mut self, statement: Option<Statement>, declared: &[Option<SqlType>]) -> Result<Prepared>;
    async fn execute(&mut self, statement: &Statement, parameters: &[ScalarValue]) -> Result<Outcome>;
    fn begin_implicit_block(&mut self);
    async fn end_implicit_block(&mut self) -> Result<()>;
    fn fail(&mut self);
    fn transaction_status(&self) -> TransactionStatus;
    fn take_notices(&mut self) -> Vec<Notice>;
    fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)>;
    fn value_forms(&self) -> ValueForms;
    fn timeouts(&self) -> Timeouts;
    fn wait(&mut self);
    fn check_new_name(&self, name: &str) -> Result<()>;
    fn keep_prepared(&mut self, name: &str, prepared: Prepared);
    fn find_prepared(&self, name: &str) -> Result<Arc<Prepared>>;
    fn forget_prepared(&mut self, name: &str);
    fn simple_formats(&self, statement: &Statement) -> &'static [i16];
    fn cursor_columns(&self, name: &str) -> Option<(SchemaRef, &'static [i16])>;
    async fn finish_copy(&mut self, copy: Box<dyn CopyIn>) -> Result<u64>;
    async fn abort_copy(&mut self, copy: Box<dyn CopyIn>);
    async fn give_space_back(&mut self);
}

#[async_trait]
impl Backend for Session {
    async fn parse(&mut self, sql: &str) -> Result<Vec<Statement>> {
        Session::parse_aside(self, sql).await
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
    fn value_forms(&self) -> ValueForms {
        Session::value_forms(self)
    }
    fn timeouts(&self) -> Timeouts {
        Session::timeouts(self)
    }
    fn wait(&mut self) {
        Session::wait(self);
    }
    fn check_new_name(&self, name: &str) -> Result<()> {
        Session::check_new_name(self, name)
    }
    fn keep_prepared(&mut self, name: &str, prepared: Prepared) {
        Session::keep_prepared(self, name, prepared);
    }
    fn find_prepared(&self, name: &str) -> Result<Arc<Prepared>> {
        Session::find_prepared(self, name)
    }
    fn forget_prepared(&mut self, name: &str) {
        Session::forget_prepared(self, name);
    }
    fn simple_formats(&self, statement: &Statement) -> &'static [i16] {
        Session::simple_formats(self, statement)
    }
    fn cursor_columns(&self, name: &str) -> Option<(SchemaRef, &'static [i16])> {
        Session::cursor_columns(self, name)
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
