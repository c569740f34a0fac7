//! SQL types: PostgreSQL's names and OIDs, the Arrow form of each, and the text and binary forms of their values.
//!
//! Beside this file: `types/input.rs` (text and binary -> arrays: COPY, parameters, casts of literals) and `types/output.rs` (arrays -> text
//! and binary: results, COPY TO). The type that a column was declared with travels in its Arrow field's metadata under [`TYPE_KEY`], because
//! several SQL types share an Arrow form.

use crate::error::{Result, SqlError, SqlState};
use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};
pub use catalog_type::CatalogType;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub mod catalog_type;
pub mod convert;
pub mod forms;
pub mod input;
pub mod moment;
pub mod output;

mod abbreviations;
mod array_text;
mod datetime;
mod float_digits;
mod interval;
pub mod json_path;

mod json;
pub mod jsonpath;
mod numeric;
pub mod zone;

/// The key in an Arrow field's metadata under which the SQL type's name stands, as [`SqlType::name`] writes it.
pub const TYPE_KEY: &str = "plimsoll.type";
/// The key of field metadata that says of a computed numeric that it is a `variance` or a `deviation`: how many digits it is shown with.
pub const DIGITS_KEY: &str = "plimsoll.digits";

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
    /// A type that only the system catalog has.
    Catalog(CatalogType),
    /// An array of a scalar type: List.
    Array(Box<SqlType>),
    /// `record`: Struct. No column has it.
    Record,
    /// `jsonpath`: Utf8View, in PostgreSQL's normal form.
    Jsonpath,
}

/// Digits of a numeric that has no modifiers.
pub const UNCONSTRAINED: (u8, i8) = (38, 10);

/// PostgreSQL's name, OID and OID of the array type.
const fn catalog_row(sql_type: &SqlType) -> (&'static str, u32, u32) {
    match sql_type {
        SqlType::Boolean => ("boolean", 16, 1000),
        SqlType::Int2 => ("smallint", 21, 1005),
        SqlType::Int4 => ("integer", 23, 1007),
        SqlType::Int8 => ("bigint", 20, 1016),
        SqlType::Float4 => ("real", 700, 1021),
        SqlType::Float8 => ("double precision", 701, 1022),
        SqlType::Numeric(_) => ("numeric", 1700, 1231),
        SqlType::Text => ("text", 25, 1009),
        SqlType::Varchar(_) => ("character varying", 1043, 1015),
        SqlType::Char(_) => ("character", 1042, 1014),
        SqlType::Bytea => ("bytea", 17, 1001),
        SqlType::Date => ("date", 1082, 1182),
        SqlType::Time => ("time without time zone", 1083, 1183),
        SqlType::Timestamp => ("timestamp without time zone", 1114, 1115),
        SqlType::Timestamptz => ("timestamp with time zone", 1184, 1185),
        SqlType::Interval => ("interval", 1186, 1187),
        SqlType::Uuid => ("uuid", 2950, 2951),
        SqlType::Json => ("json", 114, 199),
        SqlType::Jsonb => ("jsonb", 3802, 3807),
        SqlType::Oid => ("oid", 26, 1028),
        SqlType::Name => ("name", 19, 1003),
        SqlType::Catalog(of_catalog) => of_catalog.row(),
        SqlType::Array(_) => ("array", 0, 0),
        SqlType::Record => ("record", 2249, 2287),
        SqlType::Jsonpath => ("jsonpath", 4072, 4073),
    }
}

/// Types that PostgreSQL has and this server does not.
const UNSUPPORTED: &[&str] = &[
    "money",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "tsvector",
    "tsquery",
    "bit",
    "bit varying",
    "varbit",
    "timetz",
    "time with time zone",
    "xml",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "hstore",
    "regclass",
    "regtype",
    "regproc",
    "regprocedure",
    "regnamespace",
    "regrole",
    "int2vector",
    "oidvector",
    "aclitem",
    "pg_node_tree",
    "pg_lsn",
    "xid",
    "cid",
    "tid",
    "citext",
];

impl SqlType {
    /// The Arrow form.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Numeric(modifiers) => match modifiers.unwrap_or(UNCONSTRAINED) {
                (precision, scale) if precision > 38 => DataType::Decimal256(precision, scale),
                (precision, scale) => DataType::Decimal128(precision, scale),
            },
            Self::Bytea => DataType::BinaryView,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Oid => DataType::UInt32,
            Self::Catalog(of_catalog) => of_catalog.arrow(),
            Self::Array(element) => DataType::List(Arc::new(Field::new_list_field(element.arrow(), true))),
            Self::Record => DataType::Struct(Fields::empty()),
            Self::Text | Self::Varchar(_) | Self::Char(_) | Self::Uuid | Self::Json | Self::Jsonb | Self::Name | Self::Jsonpath => {
                DataType::Utf8View
            }
        }
    }
    /// PostgreSQL's name with modifiers, as `format_type` prints it, for instance `numeric(15,2)`. An array says each of its dimensions.
    pub fn name(&self) -> String {
        let base = catalog_row(self).0;
        match self {
            Self::Numeric(Some((precision, scale))) => format!("{base}({precision},{scale})"),
            Self::Varchar(Some(length)) | Self::Char(length) => format!("{base}({length})"),
            Self::Array(element) => format!("{}[]", element.name()),
            _ => base.into(),
        }
    }
    /// The name without modifiers, as errors about values say it.
    pub fn base_name(&self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            _ => catalog_row(self).0,
        }
    }
    /// The OID in pg_type.
    pub fn oid(&self) -> u32 {
        match self {
            Self::Array(_) => catalog_row(self.scalar()).2,
            _ => catalog_row(self).1,
        }
    }
    /// The type of the innermost elements of an array; else the type itself.
    pub fn scalar(&self) -> &SqlType {
        match self {
            Self::Array(element) => element.scalar(),
            other => other,
        }
    }
    /// Digits after the point of a numeric without modifiers.
    pub fn numeric_scale_without_modifiers() -> i8 {
        UNCONSTRAINED.1
    }
    /// `pg_attribute.atttypmod`.
    pub fn type_modifier(&self) -> i32 {
        match self {
            Self::Numeric(Some((precision, scale))) => ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4,
            Self::Varchar(Some(length)) | Self::Char(length) => i32::try_from(*length).map_or(-1, |length| length.saturating_add(4)),
            Self::Array(_) => self.scalar().type_modifier(),
            _ => -1,
        }
    }
    /// `pg_type.typlen`: width in bytes, or -1.
    pub fn width_bytes(&self) -> i16 {
        match self {
            Self::Boolean => 1,
            Self::Int2 => 2,
            Self::Int4 | Self::Float4 | Self::Date | Self::Oid => 4,
            Self::Int8 | Self::Float8 | Self::Time | Self::Timestamp | Self::Timestamptz => 8,
            Self::Interval | Self::Uuid => 16,
            Self::Name => 64,
            Self::Catalog(of_catalog) => of_catalog.width_bytes(),
            _ => -1,
        }
    }
    /// The type that a parsed type name means; 42704 for unknown names, 0A000 for known ones that are not supported.
    pub fn from_ast(ast: &datafusion::sql::sqlparser::ast::DataType) -> Result<Self> {
        Self::parse(&ast.to_string())
    }
    /// The type that a name means, PostgreSQL's own spellings and aliases alike: `int4`, `varchar(10)`, `double precision`, `text[]`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Some(element) = array_element(text) {
            return Ok(Self::Array(Box::new(Self::parse(element)?)));
        }
        let (name, modifiers) = split_modifiers(text)?;
        match name.strip_prefix('_').map(|element| Self::from_name(element, &modifiers)) {
            // What PostgreSQL calls the type of an array.
            Some(Ok(element)) => Ok(Self::Array(Box::new(element))),
            _ => Self::from_name(&name, &modifiers),
        }
    }
    /// As [`SqlType::parse`], and the types that only the system catalog has.
    pub fn parse_any(text: &str) -> Result<Self> {
        let text = text.trim();
        match (array_element(text), CatalogType::parse(text)) {
            (Some(element), _) => Ok(Self::Array(Box::new(Self::parse_any(element)?))),
            (None, Some(of_catalog)) => Ok(Self::Catalog(of_catalog)),
            (None, None) => Self::parse(text),
        }
    }
    fn from_name(name: &str, modifiers: &[i64]) -> Result<Self> {
        if let Some(found) = Self::without_modifiers(name) {
            return if modifiers.is_empty() { Ok(found) } else { Err(no_modifiers_allowed(name)) };
        }
        match name {
            "numeric" | "decimal" | "dec" => numeric_from(modifiers),
            "varchar" | "character varying" | "char varying" => Ok(Self::Varchar(length_from("varchar", modifiers)?)),
            "char" | "character" | "bpchar" => Ok(Self::Char(length_from("char", modifiers)?.unwrap_or(1))),
            "float" => float_from(modifiers),
            "time" | "time without time zone" => microseconds_only(Self::Time, name, modifiers),
            "timestamp" | "timestamp without time zone" => microseconds_only(Self::Timestamp, name, modifiers),
            "timestamptz" | "timestamp with time zone" => microseconds_only(Self::Timestamptz, name, modifiers),
            "interval" => microseconds_only(Self::Interval, name, modifiers),
            _ if UNSUPPORTED.contains(&name) || name.starts_with("interval ") => Err(SqlError::unsupported(format!("type {name}"))),
            _ => Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))),
        }
    }
    fn without_modifiers(name: &str) -> Option<Self> {
        Some(match name {
            "boolean" | "bool" => Self::Boolean,
            "smallint" | "int2" => Self::Int2,
            "integer" | "int" | "int4" => Self::Int4,
            "bigint" | "int8" => Self::Int8,
            "real" | "float4" => Self::Float4,
            "double precision" | "float8" => Self::Float8,
            "text" => Self::Text,
            "bytea" => Self::Bytea,
            "date" => Self::Date,
            "uuid" => Self::Uuid,
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            "jsonpath" => Self::Jsonpath,
            "oid" => Self::Oid,
            "name" => Self::Name,
            _ => return None,
        })
    }
    /// The type of a parameter or a binary COPY column by its OID; `None` if unknown.
    pub fn from_oid(oid: u32) -> Option<Self> {
        let scalars = [
            Self::Boolean,
            Self::Int2,
            Self::Int4,
            Self::Int8,
            Self::Float4,
            Self::Float8,
            Self::Numeric(None),
            Self::Text,
            Self::Varchar(None),
            Self::Bytea,
            Self::Date,
            Self::Time,
            Self::Timestamp,
            Self::Timestamptz,
            Self::Interval,
            Self::Uuid,
            Self::Json,
            Self::Jsonb,
            Self::Jsonpath,
            Self::Oid,
            Self::Name,
        ];
        // A character without a length has none to check: it is read as text of any length.
        if oid == 1042 {
            return Some(Self::Varchar(None));
        }
        scalars.into_iter().find_map(|scalar| match catalog_row(&scalar) {
            (_, own, _) if own == oid => Some(scalar),
            (_, _, array) if array == oid => Some(Self::Array(Box::new(scalar))),
            _ => None,
        })
    }
    /// The SQL type of a result column: its declared type if the field carries one that fits its Arrow type, else the natural one.
    pub fn of_field(field: &Field) -> Self {
        let declared = field.metadata().get(TYPE_KEY).and_then(|name| Self::parse_any(name).ok());
        declared.filter(|declared| declared.fits(field.data_type())).unwrap_or_else(|| Self::of_arrow(field.data_type()))
    }
    /// Whether values of an Arrow type may be shown as this type.
    fn fits(&self, arrow: &DataType) -> bool {
        match (self, arrow) {
            (_, DataType::Dictionary(_, values)) => self.fits(values),
            (
                Self::Numeric(modifiers),
                DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) | DataType::Decimal256(p, s),
            ) => modifiers.unwrap_or(UNCONSTRAINED) == (*p, *s),
            (
                Self::Oid | Self::Catalog(CatalogType::Regproc | CatalogType::Xid | CatalogType::Cid),
                DataType::Int32 | DataType::Int64 | DataType::UInt32,
            ) => true,
            (Self::Array(element), DataType::List(field) | DataType::LargeList(field) | DataType::ListView(field)) => {
                element.fits(field.data_type())
            }
            (Self::Record, found) => matches!(found, DataType::Struct(_)),
            (Self::Timestamptz, DataType::Timestamp(_, zone)) => zone.is_some(),
            (Self::Timestamp, DataType::Timestamp(_, zone)) => zone.is_none(),
            _ if self.arrow() == DataType::Utf8View => matches!(arrow, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
            (Self::Bytea, DataType::Binary | DataType::LargeBinary | DataType::BinaryView) => true,
            _ => self.arrow() == *arrow,
        }
    }
    /// The natural SQL type of an Arrow type; what SQL has no word for is shown as text.
    pub fn of_arrow(arrow: &DataType) -> Self {
        match arrow {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::Int2,
            DataType::Int32 | DataType::UInt16 => Self::Int4,
            DataType::Int64 | DataType::UInt32 => Self::Int8,
            DataType::UInt64 => Self::Numeric(Some((20, 0))),
            DataType::Float16 | DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
                Self::Numeric(Some((*p, *s)).filter(|modifiers| *modifiers != UNCONSTRAINED))
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Self::Bytea,
            DataType::Date32 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, Some(_)) => Self::Timestamptz,
            DataType::Date64 | DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Duration(_) | DataType::Interval(_) => Self::Interval,
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::ListView(field)
            | DataType::LargeListView(field) => Self::Array(Box::new(Self::of_field(field))),
            DataType::Dictionary(_, values) => Self::of_arrow(values),
            DataType::RunEndEncoded(_, values) => Self::of_arrow(values.data_type()),
            DataType::Map(_, _) => Self::Json,
            DataType::Struct(_) => Self::Record,
            _ => Self::Text,
        }
    }
    /// An Arrow field of this type, with the declared type in its metadata.
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        Field::new(name, self.arrow(), nullable).with_metadata([(TYPE_KEY.to_string(), self.name())].into())
    }
}

/// `text[]`, `text ARRAY`, `ARRAY<text>` -> `text`. A declared size of an array means nothing, as in PostgreSQL.
fn array_element(text: &str) -> Option<&str> {
    if let Some(inner) = text.strip_suffix(']') {
        let open = inner.rfind('[')?;
        return inner[open + 1..].bytes().all(|byte| byte.is_ascii_digit()).then(|| inner[..open].trim());
    }
    let upper = text.to_ascii_uppercase();
    if upper.starts_with("ARRAY<") && text.ends_with('>') {
        return Some(&text["ARRAY<".len()..text.len() - 1]);
    }
    upper.ends_with(" ARRAY").then(|| text[..text.len() - " ARRAY".len()].trim())
}

/// `NUMERIC(15, 2)` -> (`numeric`, [15, 2]); `timestamp(3) with time zone` -> (`timestamp with time zone`, [3]).
fn split_modifiers(text: &str) -> Result<(String, Vec<i64>)> {
    let lower = text.to_lowercase();
    let lower = lower.strip_prefix("pg_catalog.").or_else(|| lower.strip_prefix("\"pg_catalog\".")).unwrap_or(&lower);
    let Some((before, rest)) = lower.split_once('(') else { return Ok((lower.trim_matches('"').to_string(), vec![])) };
    let syntax = || SqlError::new(SqlState::SYNTAX_ERROR, format!("invalid type name \"{text}\""));
    let (inside, after) = rest.split_once(')').ok_or_else(syntax)?;
    let modifiers =
        inside.split(',').map(|part| part.trim().trim_end_matches(" characters").parse().map_err(|_| syntax())).collect::<Result<_>>()?;
    Ok((format!("{}{}", before.trim(), if after.trim().is_empty() { String::new() } else { format!(" {}", after.trim()) }), modifiers))
}

fn no_modifiers_allowed(name: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("type modifier is not allowed for type \"{name}\""))
}

fn invalid_modifier(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn numeric_from(modifiers: &[i64]) -> Result<SqlType> {
    let (precision, scale) = match modifiers {
        [] => return Ok(SqlType::Numeric(None)),
        [precision] => (*precision, 0),
        [precision, scale] => (*precision, *scale),
        _ => return Err(invalid_modifier("invalid NUMERIC type modifier".into())),
    };
    if !(1..=1000).contains(&precision) {
        return Err(invalid_modifier(format!("NUMERIC precision {precision} must be between 1 and 1000")));
    }
    if !(-1000..=1000).contains(&scale) {
        return Err(invalid_modifier(format!("NUMERIC scale {scale} must be between -1000 and 1000")));
    }
    // Results of expressions may have up to 76 digits; the names of their types must be readable, so only what cannot be represented is refused.
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(p), Ok(s)) if p <= 76 && s >= 0 && i64::from(s) <= precision => Ok(SqlType::Numeric(Some((p, s)))),
        _ => Err(SqlError::unsupported(format!("type numeric({precision},{scale})"))
            .with_detail("The precision can be up to 38, and the scale from 0 to the precision.")),
    }
}

fn length_from(name: &str, modifiers: &[i64]) -> Result<Option<u32>> {
    match modifiers {
        [] => Ok(None),
        [length] if *length < 1 => Err(invalid_modifier(format!("length for type {name} must be at least 1"))),
        [length] if *length > 10_485_760 => Err(invalid_modifier(format!("length for type {name} cannot exceed 10485760"))),
        [length] => Ok(u32::try_from(*length).ok()),
        _ => Err(no_modifiers_allowed(name)),
    }
}

fn float_from(modifiers: &[i64]) -> Result<SqlType> {
    match modifiers {
        [] | [25..=53] => Ok(SqlType::Float8),
        [1..=24] => Ok(SqlType::Float4),
        [bits] if *bits < 1 => Err(invalid_modifier("precision for type float must be at least 1 bit".into())),
        _ => Err(invalid_modifier("precision for type float must be less than 54 bits".into())),
    }
}

fn microseconds_only(sql_type: SqlType, name: &str, modifiers: &[i64]) -> Result<SqlType> {
    match modifiers {
        [] | [6] => Ok(sql_type),
        [digits] => {
            Err(SqlError::unsupported(format!("{name} with a precision of {digits}"))
                .with_hint("Leave the precision out: it is microseconds."))
        }
        _ => Err(no_modifiers_allowed(name)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_read_back() {
        let names = [
            "boolean",
            "smallint",
            "integer",
            "bigint",
            "real",
            "double precision",
            "numeric",
            "numeric(15,2)",
            "text",
            "character varying",
            "character varying(3)",
            "character(10)",
            "bytea",
            "date",
            "time without time zone",
            "timestamp without time zone",
            "timestamp with time zone",
            "interval",
            "uuid",
            "json",
            "jsonb",
            "oid",
            "name",
            "integer[]",
            "numeric(5,1)[]",
            "text[][]",
        ];
        for name in names {
            assert_eq!(SqlType::parse(name).unwrap().name(), name);
        }
    }

    #[test]
    fn aliases_and_refusals() {
        assert_eq!(SqlType::parse("VARCHAR(7)").unwrap(), SqlType::Varchar(Some(7)));
        assert_eq!(SqlType::parse("DECIMAL(10)").unwrap(), SqlType::Numeric(Some((10, 0))));
        assert_eq!(SqlType::parse("float(10)").unwrap(), SqlType::Float4);
        assert_eq!(SqlType::parse("char").unwrap(), SqlType::Char(1));
        for (name, state) in [
            ("money", "0A000"),
            ("nosuch", "42704"),
            ("numeric(0)", "22023"),
            ("timestamp(3)", "0A000"),
            ("integer(3)", "42601"),
            ("varchar(0)", "22023"),
        ] {
            assert_eq!(SqlType::parse(name).unwrap_err().state.0, state, "{name}");
        }
    }

    #[test]
    fn a_syntax_tree_names_a_type() {
        use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};
        let table = [
            ("int", SqlType::Int4),
            ("timestamp with time zone", SqlType::Timestamptz),
            ("timestamptz", SqlType::Timestamptz),
            ("double precision", SqlType::Float8),
            ("character varying(3)", SqlType::Varchar(Some(3))),
            ("numeric(15, 2)", SqlType::Numeric(Some((15, 2)))),
            ("int[]", SqlType::Array(Box::new(SqlType::Int4))),
            ("text[][]", SqlType::Array(Box::new(SqlType::Array(Box::new(SqlType::Text))))),
            ("oid", SqlType::Oid),
        ];
        for (text, expected) in table {
            let ast = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).unwrap().parse_data_type().unwrap();
            assert_eq!(SqlType::from_ast(&ast).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_declared_type_holds_only_while_it_fits() {
        let field = SqlType::Varchar(Some(3)).field("a", true);
        assert_eq!(SqlType::of_field(&field), SqlType::Varchar(Some(3)));
        assert_eq!(SqlType::of_field(&field.clone().with_data_type(DataType::Int64)), SqlType::Int8);
        let money = SqlType::Numeric(Some((15, 2))).field("a", true);
        assert_eq!(SqlType::of_field(&money.clone().with_data_type(DataType::Decimal128(25, 2))), SqlType::Numeric(Some((25, 2))));
        assert_eq!(SqlType::of_field(&money), SqlType::Numeric(Some((15, 2))));
        assert_eq!(SqlType::Numeric(Some((15, 2))).type_modifier(), 983_046);
    }
}
