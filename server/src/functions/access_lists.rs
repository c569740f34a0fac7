//! Access lists as values: `acldefault`, `makeaclitem`, and what `aclexplode` takes apart.

use super::scalar::{Function, as_integer, as_text};
use crate::access::role::PUBLIC_OID;
use crate::catalog::names::quote;
use crate::error::{SqlError, SqlState};
use crate::query::Scope;
use crate::types::SqlType;
use crate::types::input::scalar_from_text;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use std::sync::Arc;

/// The function that makes an array of records of an access list: what `aclexplode` in a select list unnests.
pub const ENTRIES: &str = "plimsoll_acl_entries";

/// The letters of the privileges, and their names, in the order in which lists have them.
const PRIVILEGES: [(char, &str); 14] = [
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('T', "TEMPORARY"),
    ('c', "CONNECT"),
    ('s', "SET"),
    ('A', "ALTER SYSTEM"),
];

/// What PUBLIC and what the owner has of a kind of object before anything is granted.
fn letters(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "c" => ("", ""),
        "r" => ("", "arwdDxt"),
        "s" => ("", "rwU"),
        "d" => ("Tc", "CTc"),
        "f" => ("X", "X"),
        "l" | "T" => ("U", "U"),
        "L" => ("", "rw"),
        "n" => ("", "UC"),
        "p" => ("", "sA"),
        "t" => ("", "C"),
        "F" | "S" => ("", "U"),
        _ => return None,
    })
}

/// Those that know the roles.
pub fn of_session(scope: &Scope) -> Vec<ScalarUDF> {
    let scope = Arc::new(scope.clone());
    vec![default_list(&scope), item(&scope), grantors(&scope), grantees(&scope), entries(&scope)]
}

/// Those that know nothing of the roles.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        list_of("plimsoll_acl_privileges", DataType::Utf8View, |list| {
            all(list, |privilege| ScalarValue::Utf8View(Some(privilege.name.into())))
        }),
        list_of("plimsoll_acl_grantable", DataType::Boolean, |list| all(list, |privilege| ScalarValue::Boolean(Some(privilege.grantable)))),
        list_of("plimsoll_option_names", DataType::Utf8View, |options| options.iter().map(|option| text(Some(split(option).0))).collect()),
        list_of("plimsoll_option_values", DataType::Utf8View, |options| options.iter().map(|option| text(split(option).1)).collect()),
    ]
}

fn text(value: Option<&str>) -> ScalarValue {
    ScalarValue::Utf8View(value.map(String::from))
}

/// `name=value`
fn split(option: &str) -> (&str, Option<&str>) {
    option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)))
}

/// A function of an array of texts that gives an array; NULL of NULL.
fn list_of(name: &'static str, element: DataType, body: impl Fn(&[String]) -> Vec<ScalarValue> + Send + Sync + 'static) -> ScalarUDF {
    let returns = DataType::List(Arc::new(Field::new_list_field(element.clone(), true)));
    let null = returns.clone();
    Function::of_rows(name, Signature::any(1, Volatility::Stable), returns, move |args| match texts(&args[0])? {
        Some(texts) => Ok(ScalarValue::List(ScalarValue::new_list_nullable(&body(&texts), &element))),
        None => Ok(ScalarValue::try_from(&null)?),
    })
}

/// The elements of an array that are not NULL; a literal is read as an array.
fn texts(value: &ScalarValue) -> Result<Option<Vec<String>>> {
    let literal = match as_text(value) {
        Some(text) => Some(scalar_from_text(&SqlType::Array(Box::new(SqlType::Text)), text)?),
        None => None,
    };
    let ScalarValue::List(list) = literal.as_ref().unwrap_or(value) else { return Ok(None) };
    if list.is_null(0) {
        return Ok(None);
    }
    let elements = arrow::compute::cast(&list.value(0), &DataType::Utf8View)?;
    Ok(Some(elements.as_string_view().iter().flatten().map(String::from).collect()))
}

/// One privilege of one item.
struct Privilege<'a> {
    item: &'a Item,
    name: &'static str,
    grantable: bool,
}

/// `grantee=letters/grantor`, the names without their quotes.
struct Item {
    grantee: String,
    letters: String,
    grantor: String,
}

impl Item {
    fn read(text: &str) -> Option<Self> {
        let (grantee, rest) = name_before(text, '=')?;
        let (letters, grantor) = rest.split_once('/')?;
        let grantor = name_before(grantor, '\0').map_or_else(|| grantor.to_string(), |(name, _)| name);
        Some(Self { grantee, letters: letters.into(), grantor })
    }

    fn privileges(&self) -> impl Iterator<Item = Privilege<'_>> {
        let starred = |letter: char| self.letters.split(letter).nth(1).is_some_and(|rest| rest.starts_with('*'));
        let had = PRIVILEGES.iter().filter(|(letter, _)| self.letters.contains(*letter));
        had.map(move |(letter, name)| Privilege { item: self, name, grantable: starred(*letter) })
    }
}

/// A name, in quotes or not, up to a sign or the end, and what comes after the sign.
fn name_before(text: &str, sign: char) -> Option<(String, &str)> {
    let (mut name, mut quoted) = (String::new(), false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                name.push('"');
            }
            '"' => quoted = !quoted,
            c if c == sign && !quoted => return Some((name, &text[at + c.len_utf8()..])),
            c => name.push(c),
        }
    }
    (sign == '\0').then_some((name, ""))
}

fn all(list: &[String], value: impl Fn(Privilege<'_>) -> ScalarValue) -> Vec<ScalarValue> {
    let items: Vec<Item> = list.iter().filter_map(|text| Item::read(text)).collect();
    items.iter().flat_map(Item::privileges).map(value).collect()
}

/// The OID of a role; a role that is gone is shown as its OID.
fn role(scope: &Scope, name: &str) -> u32 {
    match name {
        "" => PUBLIC_OID,
        name => scope.view.catalog.roles.get(name).map_or_else(|| name.parse().unwrap_or(PUBLIC_OID), |entry| entry.definition.oid),
    }
}

/// The name of who has a privilege; nothing for PUBLIC.
fn shown(scope: &Scope, oid: u32) -> String {
    if oid == PUBLIC_OID { String::new() } else { known(scope, oid) }
}

/// The name of a role, in quotes where it needs them; of one that does not exist its OID.
fn known(scope: &Scope, oid: u32) -> String {
    scope.view.catalog.role_name(oid).map_or_else(|| oid.to_string(), quote)
}

fn grantors(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    list_of("plimsoll_acl_grantors", DataType::UInt32, move |list| {
        all(list, |privilege| ScalarValue::UInt32(Some(role(&scope, &privilege.item.grantor))))
    })
}

fn grantees(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    list_of("plimsoll_acl_grantees", DataType::UInt32, move |list| {
        all(list, |privilege| ScalarValue::UInt32(Some(role(&scope, &privilege.item.grantee))))
    })
}

/// The columns of `aclexplode`.
fn record() -> Fields {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Fields::from(vec![
        field("grantor", DataType::UInt32),
        field("grantee", DataType::UInt32),
        field("privilege_type", DataType::Utf8View),
        field("is_grantable", DataType::Boolean),
    ])
}

fn entries(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    list_of(ENTRIES, DataType::Struct(record()), move |list| {
        all(list, |privilege| {
            let values = [
                ScalarValue::UInt32(Some(role(&scope, &privilege.item.grantor))),
                ScalarValue::UInt32(Some(role(&scope, &privilege.item.grantee))),
                text(Some(privilege.name)),
                ScalarValue::Boolean(Some(privilege.grantable)),
            ];
            ScalarValue::from(record().iter().map(|field| field.name().as_str()).zip(values).collect::<Vec<_>>())
        })
    })
}

/// `acldefault(kind, owner)`
fn default_list(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    let returns = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)));
    Function::of_rows("acldefault", Signature::any(2, Volatility::Stable), returns.clone(), move |args| {
        let (Some(kind), Some(owner)) = (as_text(&args[0]), as_integer(&args[1])) else { return ScalarValue::try_from(&returns) };
        let unknown = || SqlError::new(SqlState::INTERNAL_ERROR, format!("unrecognized object type abbreviation: {kind}"));
        let (public, own) = letters(kind).ok_or_else(unknown)?;
        let owner = shown(&scope, u32::try_from(owner).unwrap_or(PUBLIC_OID));
        let items = [("", public), (owner.as_str(), own)].into_iter().filter(|(_, letters)| !letters.is_empty());
        let items: Vec<_> = items.map(|(grantee, letters)| text(Some(&format!("{grantee}={letters}/{owner}")))).collect();
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Utf8View)))
    })
}

/// `makeaclitem(grantee, grantor, privilege, is_grantable)`
fn item(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    let signature = Signature::one_of(vec![TypeSignature::Any(4)], Volatility::Stable);
    Function::of_rows("makeaclitem", signature, DataType::Utf8View, move |args| {
        let oid = |value: &ScalarValue| as_integer(value).and_then(|oid| u32::try_from(oid).ok());
        let (Some(grantee), Some(grantor), Some(wanted), ScalarValue::Boolean(Some(grantable))) =
            (oid(&args[0]), oid(&args[1]), as_text(&args[2]), &args[3])
        else {
            return Ok(ScalarValue::Utf8View(None));
        };
        let (letter, star) = (letter(wanted)?, if *grantable { "*" } else { "" });
        Ok(text(Some(&format!("{}={letter}{star}/{}", shown(&scope, grantee), known(&scope, grantor)))))
    })
}

fn letter(name: &str) -> Result<char, SqlError> {
    let name = if name.eq_ignore_ascii_case("temp") { "TEMPORARY" } else { name };
    let known = PRIVILEGES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(letter, _)| *letter);
    known.ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized privilege type: \"{name}\"")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn items_are_read() {
        let item = Item::read("\"a \"\"b=\"=ar*/\"c\"").unwrap();
        assert_eq!((item.grantee.as_str(), item.grantor.as_str()), ("a \"b=", "c"));
        let had: Vec<_> = item.privileges().map(|privilege| (privilege.name, privilege.grantable)).collect();
        assert_eq!(had, [("INSERT", false), ("SELECT", true)]);
        assert_eq!(Item::read("=U/me").unwrap().grantee, "");
        assert!(Item::read("nothing").is_none());
    }

    #[test]
    fn options_have_values_or_none() {
        assert_eq!((split("a=1=2"), split("b"), split("c=")), (("a", Some("1=2")), ("b", None), ("c", Some(""))));
    }
}
