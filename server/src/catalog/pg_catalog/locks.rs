//! `pg_locks`: advisory locks, held and waited for. There are no others.

use super::server::DATABASE_OID;
use crate::catalog::built_table::{Cell, Row};
use crate::engine::advisory::Key;
use crate::query::Scope;
use crate::row;

/// Columns of the rows.
pub const LOCKS: &str = "locktype text, database oid, relation oid, page integer, tuple smallint, virtualxid text, transactionid xid, \
    classid oid, objid oid, objsubid smallint, virtualtransaction text, pid integer, mode text, granted boolean, fastpath boolean, \
    waitstart timestamptz";

/// All locks.
pub fn rows(scope: &Scope) -> Vec<Row> {
    let row = |lock: crate::engine::advisory::Shown| {
        let (class, object, sub) = parts(lock.key);
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
    };
    scope.activity.advisory_locks().shown().into_iter().map(row).collect()
}

/// `classid`, `objid` and `objsubid`: the halves of one number, or two numbers.
fn parts(key: Key) -> (u32, u32, i32) {
    match key {
        Key::One(number) => ((number as u64 >> 32) as u32, number as u32, 1),
        Key::Two(first, second) => (first as u32, second as u32, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_parts() {
        assert_eq!(parts(Key::One(9_999_999_999)), (2, 1_410_065_407, 1));
        assert_eq!(parts(Key::One(-1)), (u32::MAX, u32::MAX, 1));
        assert_eq!(parts(Key::Two(5, 6)), (5, 6, 2));
    }
}
