//! TRUNCATE.

use super::rows::refuse;
use super::target;
use crate::access::acl;
use crate::catalog::{Relation, Restart, keys};
use crate::engine::locks::TableMode;
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::Target;
use crate::query::QueryContext;
use crate::session::Outcome;
use crate::session::transaction::Transaction;
use datafusion::sql::sqlparser::ast::{Truncate, TruncateIdentityOption};

/// Empties tables, once nobody else who changes or locks their rows is on the way. No other table refers to them (there are no foreign keys), so CASCADE adds nothing.
pub async fn execute(context: &QueryContext, transaction: &mut Transaction, truncate: &Truncate) -> Result<Outcome> {
    refuse(&[(truncate.partitions.is_some(), "TRUNCATE ... PARTITION"), (truncate.on_cluster.is_some(), "TRUNCATE ... ON CLUSTER")])?;
    let mut targets = Vec::new();
    for table in &truncate.table_names {
        match target::find(context, &table.name) {
            Ok(target) => {
                target::permit(context, &target, acl::TRUNCATE, &[])?;
                targets.push(target);
            }
            Err(error) if error.state == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => {
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a table", table.name)));
            }
            Err(error) if truncate.if_exists && error.state == SqlState::UNDEFINED_TABLE => {}
            Err(error) => return Err(error),
        }
    }
    for target in &targets {
        transaction.lock_table(target.oid(), TableMode::AccessExclusive, context.session.lock_timeout()).await?;
        transaction.will_change_rows(target.oid());
        transaction.depends_on(&target.schema, &target.name);
        transaction.truncate(target.oid());
        if truncate.identity == Some(TruncateIdentityOption::Restart) {
            restart_sequences(context, transaction, target)?;
        }
    }
    Ok(Outcome::Done("TRUNCATE TABLE".into()))
}

fn restart_sequences(context: &QueryContext, transaction: &mut Transaction, target: &Target) -> Result<()> {
    let catalog = context.view.catalog.clone();
    for (found, sequence) in catalog.sequences_of(target.oid(), None) {
        let counter = context.engine.placement.state().counters.get(&keys::sequence_counter(sequence.oid)).copied();
        let mut restarted = sequence.clone();
        restarted.restart = Some(Restart { at_count: counter.unwrap_or(0), value: sequence.start });
        transaction.put_relation(found.schema, found.name, Relation::Sequence(restarted));
    }
    Ok(())
}
