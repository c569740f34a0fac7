//! TRUNCATE.

use super::rows::refuse;
use super::target;
use crate::access::acl;
use crate::catalog::{Relation, Restart, keys};
use crate::engine::locks::TableMode;
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::Target;
use crate::query::QueryContext;
use crate::session::transaction::Transaction;
use crate::session::{Notice, Outcome};
use datafusion::sql::sqlparser::ast::{CascadeOption, Truncate, TruncateIdentityOption};

/// Empties tables, once nobody else who changes or locks their rows is on the way. Tables that refer to them are emptied too with CASCADE, and
/// otherwise have to be named.
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
    let cascades = truncate.cascade == Some(CascadeOption::Cascade);
    let notices = foreign_keys(context, &mut targets, cascades)?;
    context.session.effects.notify(notices);
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

/// Adds the tables that refer to those that are emptied, one after the other; without CASCADE 0A000 for the first of them.
fn foreign_keys(context: &QueryContext, targets: &mut Vec<Target>, cascades: bool) -> Result<Vec<Notice>> {
    let mut notices = Vec::new();
    let mut at = 0;
    while let Some(target) = targets.get(at).cloned() {
        at += 1;
        for referring in context.view.catalog.referring_to(target.oid()) {
            let name = referring.found.name;
            if targets.iter().any(|target| target.oid() == referring.table.oid) {
                continue;
            }
            if !cascades {
                let message = "cannot truncate a table referenced in a foreign key constraint";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                    .with_detail(format!("Table \"{name}\" references \"{}\".", target.name))
                    .with_hint(format!("Truncate table \"{name}\" at the same time, or use TRUNCATE ... CASCADE.")));
            }
            let error = SqlError::new(SqlState("00000"), format!("truncate cascades to table \"{name}\""));
            notices.push(Notice { severity: "NOTICE", error });
            let child = context.engine.targets.get(&referring.found, referring.table, &context.forms);
            target::permit(context, &child, acl::TRUNCATE, &[])?;
            targets.push(child);
        }
    }
    Ok(notices)
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
