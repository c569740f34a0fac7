//! SELECT ... FOR UPDATE and its family.
//!
//! 1. [`clauses`] refuses what PostgreSQL refuses, and finds out which relations of FROM are locked how.
//! 2. [`within`] runs the subqueries that lock rows first, innermost first, and puts their rows in their place: the statement around them reads
//!    what is locked.
//! 3. [`carry`] changes the query's plan so that the places of the rows to be locked come out beside its columns.
//! 4. [`select`] runs it, collects the rows, locks them, and only then hands them on. If somebody has changed one of them meanwhile, the
//!    statement is lost and run again (`session::transaction::locking`).
//!
//! Rows are collected in memory that is reserved from the pool (53200 when there is not enough). With LIMIT, the rows that are returned are locked,
//! and with SKIP LOCKED as many are looked at as that takes.

use datafusion::sql::sqlparser::ast::{Query, Statement, Visit, VisitMut, Visitor, VisitorMut};
use std::ops::ControlFlow;

pub mod carry;
pub mod clauses;
pub mod select;
pub mod within;

/// Whether any query in a statement locks rows.
pub fn locks_rows(statement: &Statement) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if query.locks.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
    }
    statement.visit(&mut Find).is_break()
}

/// The same statement, which locks nothing.
pub fn without_locks(statement: &Statement) -> Statement {
    struct Strip;
    impl VisitorMut for Strip {
        type Break = ();
        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            query.locks.clear();
            ControlFlow::Continue(())
        }
    }
    let mut statement = statement.clone();
    let _ = VisitMut::visit(&mut statement, &mut Strip);
    statement
}
