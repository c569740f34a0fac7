//! `CREATE VIEW ... WITH (security_invoker, ...)`.

use crate::catalog::names::fold;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{CreateTableOptions, Expr, SqlOption, Value};

/// Words that a switch is set by; PostgreSQL takes their beginnings too.
const WORDS: [(&str, bool); 4] = [("true", true), ("false", false), ("yes", true), ("no", false)];

/// A view's options: (name, value as written). 22023 if one is unknown or means nothing, 0A000 if it promises what is not done.
pub fn of(written: &CreateTableOptions) -> Result<Vec<(String, String)>> {
    let CreateTableOptions::With(written) = written else { return Ok(Vec::new()) };
    let mut options: Vec<(String, String)> = Vec::new();
    for option in written {
        let (name, value) = name_and_value(option)?;
        if options.iter().any(|(known, _)| *known == name) {
            return Err(invalid(format!("parameter \"{name}\" specified more than once")));
        }
        check(&name, &value)?;
        options.push((name, value));
    }
    Ok(options)
}

/// Whether a valid switch is on.
pub fn is_on(value: &str) -> bool {
    switch(value) == Some(true)
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn name_and_value(option: &SqlOption) -> Result<(String, String)> {
    match option {
        SqlOption::KeyValue { key, value } => Ok((fold(key), text(value)?)),
        SqlOption::Ident(key) => Ok((fold(key), "true".into())),
        _ => Err(SqlError::unsupported("this option of CREATE VIEW")),
    }
}

fn text(value: &Expr) -> Result<String> {
    match value {
        Expr::Identifier(word) => Ok(fold(word)),
        Expr::Value(value) => match &value.value {
            Value::Boolean(on) => Ok(on.to_string()),
            Value::Number(digits, _) => Ok(digits.clone()),
            Value::SingleQuotedString(text) => Ok(text.clone()),
            _ => Err(SqlError::unsupported("this value of an option")),
        },
        _ => Err(SqlError::unsupported("this value of an option")),
    }
}

fn check(name: &str, value: &str) -> Result<()> {
    match name {
        "security_invoker" | "security_barrier" => match switch(value) {
            None => Err(invalid(format!("invalid value for boolean option \"{name}\": {value}"))),
            // A filter is moved into a view, and may be run before the view's own.
            Some(true) if name == "security_barrier" => Err(SqlError::unsupported("security_barrier")),
            Some(_) => Ok(()),
        },
        "check_option" => Err(SqlError::unsupported("WITH CHECK OPTION").with_detail("Views are not automatically updatable.")),
        _ => Err(invalid(format!("unrecognized parameter \"{name}\""))),
    }
}

fn switch(value: &str) -> Option<bool> {
    let value = value.to_lowercase();
    match value.as_str() {
        "on" | "1" => Some(true),
        "off" | "of" | "0" => Some(false),
        "" => None,
        _ => WORDS.iter().find(|(word, _)| word.starts_with(&value)).map(|(_, on)| *on),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse;
    use datafusion::sql::sqlparser::ast::Statement;

    fn options(with: &str) -> Result<Vec<(String, String)>> {
        let statement = parse(&format!("create view v {with} as select 1 as a"))?.remove(0);
        match &*statement.ast {
            Statement::CreateView(create) => of(&create.options),
            other => unreachable!("{other}"),
        }
    }

    #[test]
    fn options_are_known_and_their_values_are_switches() {
        let one = |name: &str, value: &str| vec![(name.to_string(), value.to_string())];
        assert_eq!(options("").unwrap(), []);
        assert_eq!(options("with (security_invoker=true)").unwrap(), one("security_invoker", "true"));
        assert_eq!(options("with (security_invoker)").unwrap(), one("security_invoker", "true"));
        assert_eq!(options("with (SECURITY_BARRIER = 'off')").unwrap(), one("security_barrier", "off"));
        assert_eq!(options("with (security_invoker, security_barrier = 0)").unwrap().len(), 2);
        assert!(is_on("on") && is_on("tr") && is_on("1") && !is_on("no") && !is_on("banana"));
    }

    #[test]
    fn what_is_not_done_is_refused() {
        let state = |with: &str| options(with).unwrap_err().state.0;
        assert_eq!(state("with (security_barrier)"), "0A000");
        assert_eq!(state("with (check_option = local)"), "0A000");
        assert_eq!(state("with (foo = bar)"), "22023");
        assert_eq!(state("with (security_invoker = banana)"), "22023");
        assert_eq!(state("with (security_invoker, security_invoker)"), "22023");
    }
}
