//! Types that only the system catalog has columns of: no table of a user's can.

use super::SqlType;
use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A type of the system catalog's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CatalogType {
    /// `"char"`: one letter, as Utf8View.
    Char,
    /// `int2vector`: List of Int16, written with blanks between.
    Int2Vector,
    /// `oidvector`: List of UInt32, written with blanks between.
    OidVector,
    /// `regproc`: the OID of a function, written as its name.
    Regproc,
    /// `regtype`: a type by its name, as Utf8View.
    Regtype,
    /// `xid`: UInt32.
    Xid,
    /// `cid`: UInt32.
    Cid,
    /// `tid`: `(unit,row)`, as Utf8View.
    Tid,
    /// `aclitem`: Utf8View.
    AclItem,
    /// `pg_node_tree`: SQL text here, as Utf8View.
    NodeTree,
    /// `anyarray`: the text of an array, as Utf8View.
    AnyArray,
    /// `pg_lsn`: Utf8View.
    Lsn,
    /// `inet`: Utf8View.
    Inet,
}

use CatalogType::{AclItem, AnyArray, Char, Cid, Inet, Int2Vector, Lsn, NodeTree, OidVector, Regproc, Regtype, Tid, Xid};

impl CatalogType {
    /// All of them.
    pub const ALL: [Self; 13] = [Char, Int2Vector, OidVector, Regproc, Regtype, Xid, Cid, Tid, AclItem, NodeTree, AnyArray, Lsn, Inet];

    /// PostgreSQL's name, OID, and OID of the array type.
    pub const fn row(self) -> (&'static str, u32, u32) {
        match self {
            Char => ("\"char\"", 18, 1002),
            Int2Vector => ("int2vector", 22, 1006),
            OidVector => ("oidvector", 30, 1013),
            Regproc => ("regproc", 24, 1008),
            Regtype => ("regtype", 2206, 2211),
            Xid => ("xid", 28, 1011),
            Cid => ("cid", 29, 1012),
            Tid => ("tid", 27, 1010),
            AclItem => ("aclitem", 1033, 1034),
            NodeTree => ("pg_node_tree", 194, 0),
            AnyArray => ("anyarray", 2277, 0),
            Lsn => ("pg_lsn", 3220, 3221),
            Inet => ("inet", 869, 1041),
        }
    }
    /// The type of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.row().0 == name)
    }
    /// The Arrow form.
    pub fn arrow(self) -> DataType {
        let list = |element| DataType::List(Arc::new(Field::new_list_field(element, true)));
        match self {
            Int2Vector => list(DataType::Int16),
            OidVector => list(DataType::UInt32),
            Regproc | Xid | Cid => DataType::UInt32,
            _ => DataType::Utf8View,
        }
    }
    /// The type of a vector's elements.
    pub fn element(self) -> Option<SqlType> {
        match self {
            Int2Vector => Some(SqlType::Int2),
            OidVector => Some(SqlType::Oid),
            _ => None,
        }
    }
    /// `pg_type.typlen`
    pub fn width_bytes(self) -> i16 {
        match self {
            Char => 1,
            Regproc | Regtype | Xid | Cid => 4,
            Tid => 6,
            Lsn => 8,
            AclItem => 12,
            _ => -1,
        }
    }
}
