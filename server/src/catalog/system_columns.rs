//! The system columns, which every table has and `*` does not show: `tableoid`, `ctid`, `xmin` and their like.
//!
//! 1. A statement that names one reads its tables under [`CATALOG`] (or [`ROWS_CATALOG`], where their rows are to be changed), in which they show
//!    these columns; see [`crate::query::system_columns`].
//! 2. A row's `ctid` is the id of its unit and its offset there: the same as long as nothing rewrites the unit, never that of another row.
//! 3. Its `xmin` stands for the commit that wrote its unit: a row that was updated has another one. That of a row of the system catalog is the
//!    last change of the catalog.

use crate::catalog::built_table::{Cell, Row};
use crate::error::{Result, SqlError};
use crate::functions::row_places;
use crate::query::table::{ROW_COLUMN, SEGMENT_COLUMN, SegmentTable};
use crate::row;
use crate::types::{CatalogType, SqlType};
use arrow::array::{ArrayRef, RecordBatch, StringViewArray, UInt32Array};
use arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::catalog::view::ViewTable;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use std::sync::Arc;

/// The catalog in which tables show their system columns.
pub const CATALOG: &str = "__system";

/// The same, and the ids of rows.
pub const ROWS_CATALOG: &str = "__system_rows";

/// Their names and types; `pg_attribute.attnum` counts down from -1.
pub const COLUMNS: [(&str, SqlType); 6] = [
    ("ctid", SqlType::Catalog(CatalogType::Tid)),
    ("xmin", SqlType::Catalog(CatalogType::Xid)),
    ("cmin", SqlType::Catalog(CatalogType::Cid)),
    ("xmax", SqlType::Catalog(CatalogType::Xid)),
    ("cmax", SqlType::Catalog(CatalogType::Cid)),
    ("tableoid", SqlType::Oid),
];

/// Whether a name is that of a system column.
pub fn is(name: &str) -> bool {
    COLUMNS.iter().any(|(known, _)| *known == name)
}

/// The rows of `pg_attribute` that a table has for them, in the order of [`super::pg_catalog::relations::ATTRIBUTE`].
pub fn attributes(relation: u32) -> impl Iterator<Item = Row> {
    COLUMNS.iter().zip(1i32..).map(move |((name, sql_type), number)| attribute(relation, name, sql_type, -number))
}

fn attribute(relation: u32, name: &str, sql_type: &SqlType, number: i32) -> Row {
    let is_place = name == "ctid";
    row![
        relation,
        name,
        sql_type.oid(),
        0,
        sql_type.width_bytes(),
        number,
        0,
        -1,
        -1,
        !is_place,
        if is_place { "s" } else { "i" },
        "p",
        "",
        true,
        false,
        false,
        "",
        "",
        false,
        true,
        0,
        0,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null
    ]
}

/// A table that shows them after its own columns; `with_rows`: and then the ids of its rows.
pub fn of_table(table: SegmentTable, with_rows: bool) -> Result<Arc<dyn TableProvider>> {
    let oid = table.definition().oid;
    let own: Vec<String> = table.definition().columns.iter().map(|column| column.name.clone()).collect();
    let table = table.with_row_ids();
    let plan = LogicalPlanBuilder::scan("t", provider_as_source(Arc::new(table)), None)?;
    let plain = |name: &str| Expr::Column(Column::new(Some("t"), name));
    let place = || vec![plain(SEGMENT_COLUMN), plain(ROW_COLUMN)];
    let mut shown: Vec<Expr> = own.iter().map(|name| plain(name)).collect();
    for (name, sql_type) in &COLUMNS {
        let value = match *name {
            "ctid" => call(row_places::PLACE, place())?,
            "xmin" => call(row_places::AGE, vec![plain(SEGMENT_COLUMN)])?,
            "tableoid" => lit(oid),
            _ => lit(0u32),
        };
        shown.push(value.alias_with_metadata(*name, Some(sql_type.field(name, false).metadata().clone().into())));
    }
    if with_rows {
        shown.extend(place());
    }
    Ok(Arc::new(ViewTable::new(plan.project(shown)?.build()?, None)))
}

fn call(name: &str, arguments: Vec<Expr>) -> Result<Expr> {
    let function = crate::functions::named(name).ok_or_else(|| SqlError::internal(format!("the function {name} is missing")))?;
    Ok(function.call(arguments))
}

/// What the rows of a built-in table show beside their own columns.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// The table's OID.
    pub relation: u32,
    /// The last change of the catalog: any row may be of it, and whoever asks what has changed since shall not miss one.
    pub changed: u32,
}

/// The rows of a built-in table with their system columns.
pub fn of_batches(shown: BuiltIn, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
    let mut before = 0;
    let widened = batches.iter().map(|batch| {
        let first = before;
        before += batch.num_rows();
        widened(shown, batch, first)
    });
    widened.collect()
}

fn widened(shown: BuiltIn, batch: &RecordBatch, first: usize) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let places: StringViewArray = (first..first + rows).map(|row| Some(row_places::place(0, row as u64))).collect();
    let same = |value: u32| Arc::new(UInt32Array::from_value(value, rows)) as ArrayRef;
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    for (name, sql_type) in &COLUMNS {
        fields.push(Arc::new(sql_type.field(name, true)));
        columns.push(match *name {
            "ctid" => Arc::new(places.clone()),
            "xmin" => same(shown.changed),
            "tableoid" => same(shown.relation),
            _ => same(0),
        });
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Field, UInt32Type};

    #[test]
    fn rows_of_several_batches_have_different_places() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::UInt32, true)]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(UInt32Array::from(vec![7, 8]))]).unwrap();
        let made = of_batches(BuiltIn { relation: 1259, changed: 5 }, &[batch.clone(), batch]).unwrap();
        assert_eq!(made[0].num_columns(), 1 + COLUMNS.len());
        let places: Vec<_> = made.iter().flat_map(|batch| batch.column(1).as_string_view().iter().flatten().collect::<Vec<_>>()).collect();
        assert_eq!(places.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(made[1].column(6).as_primitive::<UInt32Type>().values(), &[1259, 1259]);
    }

    #[test]
    fn attributes_are_numbered_down_from_minus_one() {
        let rows: Vec<Row> = attributes(16_384).collect();
        assert!(matches!(rows[0][5], Cell::Number(-1)) && matches!(rows[5][5], Cell::Number(-6)));
        assert!(is("tableoid") && !is("oid"));
    }
}
