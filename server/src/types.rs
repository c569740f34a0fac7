//! SQL types: PostgreSQL's names and OIDs, the Arrow form of each, and the text and binary forms of their values.
//!
//! Beside this file: `types/input.rs` (text and binary -> arrays: COPY, parameters, casts of literals) and `types/output.rs` (arrays -> text
//! and binary: results, COPY TO). The type that a column was declared with travels in its Arrow field's metadata under [`TYPE_KEY`], because
//! several SQL types share an Arrow form.

use crate::error::Result;
use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

pub mod input;
pub mod output;

/// The key in an Arrow field's metadata under which the SQL type's name stands, as [`SqlType::name`] writes it.
pub const TYPE_KEY: &str = "plimsoll.type";

/// A SQL type with its modifiers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SqlType {
    /// `boolean`: Boolean.
    Boolean,
    /// `smallint`: Int16.
    Int2,
    /// `integer`: Int32.
    Int4,
    /// `bigint`: Int64.
    Int8,
    /// `real`: Float32.
    Float4,
    /// `double precision`: Float64.
    Float8,
    /// `numeric(precision, scale)`: Decimal128. Without modifiers: Decimal128(38, 10), shown without trailing zeros.
    Numeric(Option<(u8, i8)>),
    /// `text`: Utf8View.
    Text,
    /// `character varying(n)`: Utf8View.
    Varchar(Option<u32>),
    /// `character(n)`: Utf8View, stored without its trailing blanks, padded when shown.
    Char(u32),
    /// `bytea`: BinaryView.
    Bytea,
    /// `date`: Date32.
    Date,
    /// `time without time zone`: Time64(Microsecond).
    Time,
    /// `timestamp without time zone`: Timestamp(Microsecond, None).
    Timestamp,
    /// `timestamp with time zone`: Timestamp(Microsecond, "UTC").
    Timestamptz,
    /// `interval`: Interval(MonthDayNano).
    Interval,
    /// `uuid`: Utf8View, canonical lower-case text.
    Uuid,
    /// `json`: Utf8View, as written.
    Json,
    /// `jsonb`: Utf8View, in PostgreSQL's normal form.
    Jsonb,
    /// `oid`: UInt32 (catalogs only).
    Oid,
    /// `name`: Utf8View (catalogs only).
    Name,
    /// An array of a scalar type: List.
    Array(Box<SqlType>),
}

impl SqlType {
    /// The Arrow form.
    pub fn arrow(&self) -> DataType {
        todo!()
    }
    /// PostgreSQL's name with modifiers, as `format_type` prints it, for instance `numeric(15,2)`.
    pub fn name(&self) -> String {
        todo!()
    }
    /// The OID in pg_type.
    pub fn oid(&self) -> u32 {
        todo!()
    }
    /// `pg_attribute.atttypmod`.
    pub fn type_modifier(&self) -> i32 {
        todo!()
    }
    /// `pg_type.typlen`: width in bytes, or -1.
    pub fn width_bytes(&self) -> i16 {
        todo!()
    }
    /// The type that a parsed type name means; 42704 for unknown names, 0A000 for known ones that are not supported.
    pub fn from_ast(_ast: &datafusion::sql::sqlparser::ast::DataType) -> Result<Self> {
        todo!()
    }
    /// The type of a parameter or a binary COPY column by its OID; `None` if unknown.
    pub fn from_oid(_oid: u32) -> Option<Self> {
        todo!()
    }
    /// The SQL type of a result column: its declared type if the field carries one that fits its Arrow type, else the natural one.
    pub fn of_field(_field: &Field) -> Self {
        todo!()
    }
    /// An Arrow field of this type, with the declared type in its metadata.
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        Field::new(name, self.arrow(), nullable).with_metadata([(TYPE_KEY.to_string(), self.name())].into())
    }
}
