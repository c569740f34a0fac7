//! Catalog objects in the placement log: their keys, and their bytes.

use placement::ObjectKey;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Write;

/// What a key names.
#[derive(Debug, PartialEq, Eq)]
pub enum ObjectName {
    /// A schema.
    Schema(String),
    /// A relation: (schema, name).
    Relation(String, String),
    /// A role.
    Role(String),
    /// The owner and grants of the object of an OID.
    Access(u32),
    /// The comments on the object with this OID.
    Comments(u32),
    /// The mark of a view under a relation that it reads.
    Dependent,
    /// An extension that was created.
    Extension(String),
}

/// The key of a schema.
pub fn schema(name: &str) -> ObjectKey {
    ObjectKey(format!("schema/{}", escape(name)).into())
}

/// The key of a relation.
pub fn relation(schema: &str, name: &str) -> ObjectKey {
    ObjectKey(format!("relation/{}/{}", escape(schema), escape(name)).into())
}

/// The key of a role.
pub fn role(name: &str) -> ObjectKey {
    ObjectKey(format!("role/{}", escape(name)).into())
}

/// The key of the owner and grants of an object.
pub fn access(oid: u32) -> ObjectKey {
    ObjectKey(format!("access/{oid}").into())
}

/// What the keys of a schema's relations begin with.
pub fn relations_of(schema: &str) -> ObjectKey {
    ObjectKey(format!("relation/{}/", escape(schema)).into())
}

/// The key of the mark that a view leaves under a relation that it reads.
pub fn dependent(relation: u32, view: u32) -> ObjectKey {
    ObjectKey(format!("dependent/{relation}/{view}").into())
}

/// What the keys of the marks under a relation begin with.
pub fn dependents_of(relation: u32) -> ObjectKey {
    ObjectKey(format!("dependent/{relation}/").into())
}

/// The key of the comments on an object.
pub fn comments(oid: u32) -> ObjectKey {
    ObjectKey(format!("comment/{oid}").into())
}

/// The key of an extension.
pub fn extension(name: &str) -> ObjectKey {
    ObjectKey(format!("extension/{}", escape(name)).into())
}

/// The key of a sequence's counter.
pub fn sequence_counter(oid: u32) -> ObjectKey {
    ObjectKey(format!("sequence/{oid}").into())
}

/// The key of the counter that OIDs come from. It is not the lease of segment ids: those run through 32 bits within weeks of small inserts.
pub fn oid_counter() -> ObjectKey {
    ObjectKey("oid".into())
}

/// What a key names; `None` for a key that none of these functions makes.
pub fn parse(key: &ObjectKey) -> Option<ObjectName> {
    let mut parts = key.0.split('/');
    let name = match parts.next()? {
        "schema" => ObjectName::Schema(unescape(parts.next()?)?),
        "dependent" => {
            let _: (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            ObjectName::Dependent
        }
        "comment" => ObjectName::Comments(parts.next()?.parse().ok()?),
        "relation" => ObjectName::Relation(unescape(parts.next()?)?, unescape(parts.next()?)?),
        "role" => ObjectName::Role(unescape(parts.next()?)?),
        "extension" => ObjectName::Extension(unescape(parts.next()?)?),
        "access" => ObjectName::Access(parts.next()?.parse().ok()?),
        _ => return None,
    };
    parts.next().is_none().then_some(name)
}

/// The bytes of an object.
pub fn encode(definition: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(definition).expect("definitions are plain data with text keys")
}

/// Reads [`encode`]'s bytes back; the error says what is wrong with them.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Percent-encodes everything but ASCII letters, digits, `_` and `-`.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => escaped.push(char::from(byte)),
            _ => write!(escaped, "%{byte:02X}").expect("writing to a string never fails"),
        }
    }
    escaped
}

fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_unique_and_read_back(schema_name in "\\PC{1,12}", name in "\\PC{1,12}") {
            prop_assert_eq!(parse(&relation(&schema_name, &name)), Some(ObjectName::Relation(schema_name.clone(), name)));
            prop_assert_eq!(parse(&schema(&schema_name)), Some(ObjectName::Schema(schema_name)));
        }
        #[test]
        fn foreign_keys_do_not_panic(key in "\\PC{0,20}") {
            let _ = parse(&ObjectKey(format!("schema/{key}").into()));
            let _ = parse(&ObjectKey(key.into()));
        }
    }

    #[test]
    fn a_slash_stays_inside_its_name() {
        assert_eq!(&*relation("a/b", "c").0, "relation/a%2Fb/c");
        assert_eq!(parse(&ObjectKey("relation/a/b/c".into())), None);
    }
}
