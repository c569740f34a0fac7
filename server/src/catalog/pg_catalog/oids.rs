//! OIDs of what has none of its own: constraints, the indexes behind them (an index has its constraint's OID), defaults.
//!
//! They are made from the table's OID and a name, in a range above everything that the log hands out in practice, so that they are the same
//! on every node and after a restart. Where two would meet, the later one takes the next free number.

use crate::catalog::lookup::Found;
use crate::catalog::{Catalog, Constraint, TableDefinition};
use std::collections::BTreeSet;
use storage::ColumnId;

/// OIDs made here lie from this one to twice it: some clients read OIDs as signed.
const MADE: u32 = 1 << 30;

/// A constraint, where it is, and its OID.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<'a> {
    /// Its OID; also its index's, if it is unique.
    pub oid: u32,
    /// The table's place.
    pub found: Found<'a>,
    /// The table.
    pub table: &'a TableDefinition,
    /// The constraint.
    pub constraint: &'a Constraint,
}

fn made(table_oid: u32, name: &[u8]) -> u32 {
    let seed = 0x811c_9dc5_u32 ^ table_oid.wrapping_mul(0x9e37_79b1);
    let hash = name.iter().fold(seed, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    MADE | (hash % MADE)
}

/// All constraints, in the order of tables; what only enforces a unique index is none ([`TableDefinition::is_of_index`]).
pub fn constraints(catalog: &Catalog) -> Vec<Numbered<'_>> {
    let mut taken = BTreeSet::new();
    let tables = catalog.all().filter_map(|found| Some((found, found.relation().as_table()?)));
    let each = tables.flat_map(|(found, table)| table.constraints.iter().map(move |constraint| (found, table, constraint)));
    let each = each.filter(|(_, table, constraint)| !table.is_of_index(constraint.name()));
    let numbered = each.map(|(found, table, constraint)| {
        let mut oid = made(table.oid, constraint.name().as_bytes());
        while !taken.insert(oid) {
            oid = MADE | ((oid + 1) % MADE);
        }
        Numbered { oid, found, table, constraint }
    });
    numbered.collect()
}

/// The OIDs of indexes that no constraint stands for, given with their tables' OIDs and their names.
pub fn plain_indexes<'a>(catalog: &Catalog, indexes: impl Iterator<Item = (u32, &'a str)>) -> Vec<u32> {
    let mut taken: BTreeSet<u32> = constraints(catalog).iter().map(|numbered| numbered.oid).collect();
    let free = |(table, name): (u32, &str)| {
        let mut oid = made(table, format!("index {name}").as_bytes());
        while !taken.insert(oid) {
            oid = MADE | ((oid + 1) % MADE);
        }
        oid
    };
    indexes.map(free).collect()
}

/// The constraint of an OID.
pub fn constraint(catalog: &Catalog, oid: u32) -> Option<Numbered<'_>> {
    if oid < MADE {
        return None;
    }
    constraints(catalog).into_iter().find(|numbered| numbered.oid == oid)
}

/// Those that have an index.
pub fn indexes(catalog: &Catalog) -> Vec<Numbered<'_>> {
    let mut all = constraints(catalog);
    all.retain(|numbered| matches!(numbered.constraint, Constraint::Unique { .. }));
    all
}

/// The OID of a column's default in `pg_attrdef`.
pub fn default(table_oid: u32, column: ColumnId) -> u32 {
    made(table_oid, format!("default {}", column.0).as_bytes())
}

/// The OID of the rule of a view in `pg_rewrite`.
pub fn rule(view_oid: u32) -> u32 {
    made(view_oid, b"rule")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::catalog::{Entry, Relation};
    use std::sync::Arc;

    #[test]
    fn oids_are_distinct_and_the_same_each_time() {
        let mut catalog = Catalog::default();
        for number in 0..200u32 {
            let constraints = (0..20).map(|c| Constraint::Check { name: format!("t_check{c}"), expression: "true".into() }).collect();
            let table = TableDefinition {
                oid: 16_384 + number,
                columns: vec![],
                next_column_id: 1,
                constraints,
                cluster_by: vec![],
                indexes: vec![],
                on_commit: crate::catalog::OnCommit::default(),
            };
            let entry = Entry { version: None, definition: Arc::new(Relation::Table(table)) };
            catalog.relations.insert(("public".into(), format!("t{number}")), entry);
        }
        let first: Vec<u32> = constraints(&catalog).iter().map(|numbered| numbered.oid).collect();
        let again: Vec<u32> = constraints(&catalog).iter().map(|numbered| numbered.oid).collect();
        assert_eq!(first, again);
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 4_000);
        assert!(first.iter().all(|oid| i32::try_from(*oid).is_ok() && *oid >= MADE));
    }
}
