//! `pg_locks`: advisory locks, tables, and transactions whose end others wait for; held and waited for.
//!
//! Rows that are locked are not listed: who waits for one waits for the transaction that holds it.

use super::server::DATABASE_OID;
use crate::catalog::built_table::{Cell, Row};
use crate::engine::advisory;
use crate::engine::locks::{Shown, ShownLock};
use crate::query::Scope;
use crate::row;

/// Columns of the rows.
pub const LOCKS: &str = "locktype text, database oid, relation oid, page integer, tuple smallint, virtualxid text, transactionid xid, \
    classid oid, objid oid, objsubid smallint, virtualtransaction text, pid integer, mode text, granted boolean, fastpath boolean, \
    waitstart timestamptz";

/// All locks.
pub fn rows(scope: &Scope) -> Vec<Row> {
    let advisory = scope.activity.advisory_locks().shown().into_iter().map(of_advisory);
    advisory.chain(scope.activity.locks().shown().into_iter().map(of_transaction)).collect()
}

fn of_advisory(lock: advisory::Shown) -> Row {
    let (class, object, sub) = lock.key.parts();
    let mode = if lock.shared { "ShareLock" } else { "ExclusiveLock" };
    row![
        "advisory",
        DATABASE_OID,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        class,
        object,
        sub,
        format!("{}/0", lock.session),
        lock.session,
        mode,
        lock.granted,
        false,
        Cell::Null
    ]
}

fn of_transaction(lock: Shown) -> Row {
    let (kind, database, relation, transaction, mode) = match lock.lock {
        ShownLock::Table(oid, mode) => ("relation", Cell::from(DATABASE_OID), Cell::from(oid), Cell::Null, mode.name()),
        ShownLock::Transaction(id) => {
            let mode = if lock.waits_since.is_some() { "ShareLock" } else { "ExclusiveLock" };
            ("transactionid", Cell::Null, Cell::Null, Cell::from(id), mode)
        }
    };
    row![
        kind,
        database,
        relation,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        transaction,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        format!("{}/{}", lock.process_id, lock.owner),
        lock.process_id,
        mode,
        lock.waits_since.is_none(),
        false,
        Cell::from(lock.waits_since)
    ]
}

#[cfg(test)]
mod tests {
    use crate::engine::advisory::Key;

    #[test]
    fn keys_have_parts() {
        assert_eq!(Key::One(9_999_999_999).parts(), (2, 1_410_065_407, 1));
        assert_eq!(Key::One(-1).parts(), (u32::MAX, u32::MAX, 1));
        assert_eq!(Key::Two(5, 6).parts(), (5, 6, 2));
    }
}
