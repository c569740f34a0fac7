//! Names of types by OID, as `format_type` prints them.

use crate::types::SqlType;

/// Types that the catalog names and no column can have.
const OTHERS: [(u32, &str); 32] = [
    (18, "\"char\""),
    (21, "smallint"),
    (22, "int2vector"),
    (24, "regproc"),
    (27, "tid"),
    (28, "xid"),
    (29, "cid"),
    (30, "oidvector"),
    (142, "xml"),
    (194, "pg_node_tree"),
    (705, "unknown"),
    (790, "money"),
    (869, "inet"),
    (1033, "aclitem"),
    (1266, "time with time zone"),
    (2206, "regtype"),
    (2249, "record"),
    (2276, "\"any\""),
    (2278, "void"),
    (2277, "anyarray"),
    (2279, "trigger"),
    (2281, "internal"),
    (2776, "anynonarray"),
    (3838, "event_trigger"),
    (2283, "anyelement"),
    (2202, "regprocedure"),
    (2205, "regclass"),
    (2275, "cstring"),
    (3220, "pg_lsn"),
    (4089, "regnamespace"),
    (4096, "regrole"),
    (5069, "xid8"),
];

/// A type's name; `modifier` is `atttypmod`, `None` where format_type got NULL. No type is `-`, an unknown one `???`.
pub fn format(oid: u32, modifier: Option<i64>) -> String {
    if oid == 0 {
        return "-".into();
    }
    if let Some((_, name)) = OTHERS.iter().find(|(known, _)| *known == oid) {
        return (*name).into();
    }
    match oid {
        1042 => bounded("character", modifier),
        1014 => format!("{}[]", bounded("character", modifier)),
        _ => match SqlType::from_oid(oid) {
            Some(sql_type) => modified(&sql_type, modifier),
            None => other_name(oid),
        },
    }
}

/// The OID of a type by a name that [`format`] prints, or by `pg_type.typname`.
pub fn named(name: &str) -> Option<u32> {
    let other = OTHERS.iter().find(|(_, known)| *known == name).map(|(oid, _)| *oid);
    other.or_else(|| super::type_oid(name))
}

/// A type that no column can have; its array is named with an underscore.
fn other_name(oid: u32) -> String {
    match super::type_name(oid) {
        Some(name) => name.strip_prefix('_').map_or_else(|| name.to_string(), |element| format!("{element}[]")),
        None => "???".into(),
    }
}

fn bounded(name: &str, modifier: Option<i64>) -> String {
    match modifier {
        Some(modifier) if modifier >= 4 => format!("{name}({})", modifier - 4),
        Some(_) => "bpchar".into(),
        None => name.into(),
    }
}

/// `timestamp(3) without time zone`
fn with_digits(sql_type: &SqlType, digits: i64) -> String {
    let name = sql_type.name();
    match name.split_once(' ') {
        Some((first, rest)) => format!("{first}({digits}) {rest}"),
        None => format!("{name}({digits})"),
    }
}

fn modified(sql_type: &SqlType, modifier: Option<i64>) -> String {
    match (sql_type, modifier) {
        (SqlType::Time | SqlType::Timestamp | SqlType::Timestamptz, Some(digits @ 0..=6)) => return with_digits(sql_type, digits),
        (SqlType::Interval, Some(packed)) if (0..=6).contains(&(packed & 0xffff)) => return with_digits(sql_type, packed & 0xffff),
        _ => {}
    }
    let modifier = modifier.filter(|modifier| *modifier >= 4);
    match (sql_type, modifier) {
        (SqlType::Array(element), _) => format!("{}[]", modified(element, modifier)),
        (SqlType::Numeric(_), Some(modifier)) => {
            let packed = modifier - 4;
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            format!("numeric({},{scale})", (packed >> 16) & 0xffff)
        }
        (SqlType::Varchar(_), Some(modifier)) => format!("character varying({})", modifier - 4),
        _ => sql_type.name(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_postgresqls() {
        for sql_type in ["numeric(10,2)", "numeric(3,1)", "character varying(5)", "character(3)", "integer[]", "text", "name", "numeric"] {
            let parsed = SqlType::parse(sql_type).unwrap();
            assert_eq!(format(parsed.oid(), Some(i64::from(parsed.type_modifier()))), sql_type);
        }
        assert_eq!(format(1114, Some(3)), "timestamp(3) without time zone");
        assert_eq!(format(1083, Some(0)), "time(0) without time zone");
        assert_eq!(format(1186, Some(0x7fff << 16 | 2)), "interval(2)");
        assert_eq!(format(1186, Some(-1)), "interval");
        assert_eq!((format(0, None), format(999_999, None), format(18, None)), ("-".into(), "???".into(), "\"char\"".into()));
    }
}
