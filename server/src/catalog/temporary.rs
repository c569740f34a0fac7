//! Schemas of temporary relations: each session has one, `pg_temp_<number>`, which is made with the first relation in it.
//!
//! A session's search path always has its own, unless the setting says otherwise before all others; no name means what is in another session's.

use crate::error::{Result, SqlError, SqlState};

/// How statements call the session's own.
pub const ALIAS: &str = "pg_temp";

const PREFIX: &str = "pg_temp_";

/// The name of a session's schema, by a number that no other session has.
pub fn schema(number: u64) -> String {
    format!("{PREFIX}{number}")
}

/// The number in such a name.
pub fn number(schema: &str) -> Option<u64> {
    schema.strip_prefix(PREFIX)?.parse().ok()
}

/// Whether a schema is one of these.
pub fn is_temporary(schema: &str) -> bool {
    schema.starts_with(PREFIX)
}

/// The session's own.
pub fn own(search_path: &[String]) -> Option<&str> {
    search_path.iter().map(String::as_str).find(|schema| is_temporary(schema))
}

/// The schema that is meant: the alias means the session's own; `None` for another session's.
pub fn resolved<'a>(schema: &'a str, search_path: &'a [String]) -> Option<&'a str> {
    match schema {
        ALIAS => own(search_path),
        schema if is_temporary(schema) => own(search_path).filter(|own| *own == schema),
        schema => Some(schema),
    }
}

/// The schemas in which names are looked up, and those of which the first takes new relations: a session's own comes first in the one, and
/// is in the other only if the setting names it.
pub fn paths(setting: Vec<String>, own: &str) -> (Vec<String>, Vec<String>) {
    let named = setting.into_iter().map(|schema| if schema == ALIAS { own.to_string() } else { schema });
    let creation: Vec<String> = named.filter(|schema| !is_temporary(schema) || schema == own).collect();
    let mut search = creation.clone();
    if !search.iter().any(|schema| schema == own) {
        search.insert(0, own.to_string());
    }
    (search, creation)
}

/// 42P16 where a relation that is to be temporary is to be elsewhere, or in another session's schema.
pub fn refused(message: &'static str) -> SqlError {
    SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message)
}

/// 0A000 if one of these is temporary: what is temporary stays where it is.
pub fn refuse_moving(schemas: [&str; 2]) -> Result<()> {
    match schemas.iter().any(|schema| is_temporary(schema) || *schema == ALIAS) {
        true => Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot move objects into or out of temporary schemas")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn the_own_schema_comes_first_and_others_never() {
        let (search, creation) = paths(strings(&["a", "public"]), "pg_temp_3");
        assert_eq!((search, creation), (strings(&["pg_temp_3", "a", "public"]), strings(&["a", "public"])));
        let (search, creation) = paths(strings(&["public", "pg_temp", "pg_temp_4"]), "pg_temp_3");
        assert_eq!((&search, &creation), (&strings(&["public", "pg_temp_3"]), &strings(&["public", "pg_temp_3"])));
        assert_eq!(resolved("pg_temp", &search), Some("pg_temp_3"));
        assert_eq!(resolved("pg_temp_3", &search), Some("pg_temp_3"));
        assert_eq!(resolved("pg_temp_4", &search), None);
        assert_eq!(resolved("b", &search), Some("b"));
        assert_eq!((number(&schema(7)), number("pg_temp"), number("public")), (Some(7), None, None));
    }
}
