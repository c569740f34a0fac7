//! Which relations the built-in schemas have, with their OIDs and columns: PostgreSQL 15's own, from `data/relations.tsv`, and `plimsoll`'s.
//!
//! A relation that nothing fills is empty, and has PostgreSQL's columns all the same.

use crate::types::SqlType;
use std::sync::LazyLock;

/// A built-in relation.
#[derive(Debug)]
pub struct Shape {
    /// Its schema.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its OID: PostgreSQL's.
    pub oid: u32,
    /// `pg_class.relkind`: `r` or `v`.
    pub kind: &'static str,
    /// Its columns, in order.
    pub columns: Vec<(&'static str, SqlType)>,
}

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| include_str!("data/relations.tsv").lines().filter_map(shape).collect());

/// schema, name, OID, kind, `name type, name type, ...`
fn shape(line: &'static str) -> Option<Shape> {
    let mut fields = line.split('\t');
    let (schema, name, oid, kind) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
    let columns = fields.next()?.split(", ").filter_map(column).collect();
    Some(Shape { schema, name, oid, kind, columns })
}

fn column(text: &'static str) -> Option<(&'static str, SqlType)> {
    let (name, sql_type) = text.split_once(' ')?;
    Some((name, SqlType::parse_any(sql_type).ok()?))
}

/// All built-in relations.
pub fn all() -> &'static [Shape] {
    &SHAPES
}

/// The relation of a schema and a name.
pub fn find(schema: &str, name: &str) -> Option<&'static Shape> {
    all().iter().find(|shape| shape.name == name && shape.schema == schema)
}

/// The relation of an OID.
pub fn by_oid(oid: u32) -> Option<&'static Shape> {
    all().iter().find(|shape| shape.oid == oid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_line_and_column_is_read() {
        let text = include_str!("data/relations.tsv");
        assert_eq!(all().len(), text.lines().count());
        for (shape, line) in all().iter().zip(text.lines()) {
            assert_eq!(shape.columns.len(), line.split('\t').nth(4).unwrap().split(", ").count(), "{}", shape.name);
        }
        assert_eq!(all().iter().map(|shape| shape.oid).collect::<BTreeSet<_>>().len(), all().len());
    }
}
