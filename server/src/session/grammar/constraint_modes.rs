//! When foreign keys are checked: SET CONSTRAINTS, and ALTER TABLE ... ALTER CONSTRAINT.

use super::{Grammar, Ours, Read};
use datafusion::sql::sqlparser::tokenizer::Token;

/// Reads one of the statements; `None`, and nothing consumed, if it is another.
pub(super) fn read(grammar: &mut Grammar<'_>) -> Read<Option<Ours>> {
    if grammar.accept("SET CONSTRAINTS") {
        return set_constraints(grammar).map(Some);
    }
    if grammar.peek("ALTER TABLE") && is_alter_constraint(grammar) {
        return alter_constraint(grammar).map(Some);
    }
    Ok(None)
}

fn set_constraints(grammar: &mut Grammar<'_>) -> Read<Ours> {
    let mut names = Vec::new();
    if !grammar.accept("ALL") {
        names.push(grammar.object_name()?);
        while grammar.token(&Token::Comma) {
            names.push(grammar.object_name()?);
        }
    }
    let deferred = grammar.accept("DEFERRED");
    if !deferred && !grammar.accept("IMMEDIATE") {
        return grammar.unexpected("DEFERRED or IMMEDIATE");
    }
    Ok(Ours::SetConstraints { names, deferred })
}

/// Whether ALTER CONSTRAINT comes behind the name of a table.
fn is_alter_constraint(grammar: &Grammar<'_>) -> bool {
    let is_word = |at: usize, word: &str| matches!(&grammar.parser.peek_nth_token_ref(at).token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word));
    let mut at = 2;
    if is_word(at, "IF") && is_word(at + 1, "EXISTS") {
        at += 2;
    }
    if is_word(at, "ONLY") {
        at += 1;
    }
    at += 1;
    while grammar.parser.peek_nth_token_ref(at).token == Token::Period {
        at += 2;
    }
    is_word(at, "ALTER") && is_word(at + 1, "CONSTRAINT")
}

fn alter_constraint(grammar: &mut Grammar<'_>) -> Read<Ours> {
    grammar.accept("ALTER TABLE");
    let if_exists = grammar.accept("IF EXISTS");
    grammar.accept("ONLY");
    let table = grammar.object_name()?;
    grammar.accept("ALTER CONSTRAINT");
    let constraint = grammar.name()?;
    let (mut deferrable, mut deferred) = (None, false);
    loop {
        match () {
            () if grammar.accept("NOT DEFERRABLE") => deferrable = Some(false),
            () if grammar.accept("DEFERRABLE") => deferrable = Some(true),
            () if grammar.accept("INITIALLY DEFERRED") => deferred = true,
            () if grammar.accept("INITIALLY IMMEDIATE") => deferred = false,
            () => return Ok(Ours::AlterConstraint { if_exists, table, constraint, deferrable, deferred }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::session::grammar::Ours;
    use crate::session::parse::parse;

    fn read(sql: &str) -> Option<String> {
        match parse(sql).unwrap().first()?.ours.as_deref()? {
            Ours::SetConstraints { names, deferred } => Some(format!("{} {deferred}", names.len())),
            Ours::AlterConstraint { if_exists, table, constraint, deferrable, deferred } => {
                Some(format!("{if_exists} {table} {constraint} {deferrable:?} {deferred}"))
            }
            _ => None,
        }
    }

    #[test]
    fn modes_of_constraints_are_read() {
        assert_eq!(read("set constraints all deferred").as_deref(), Some("0 true"));
        assert_eq!(read("SET CONSTRAINTS a, s.\"B\" IMMEDIATE").as_deref(), Some("2 false"));
        assert!(parse("set constraints a").is_err() && parse("set constraints a deferred x").is_err());
        let alter = "alter table if exists only s.t alter constraint c not deferrable initially immediate";
        assert_eq!(read(alter).as_deref(), Some("true s.t c Some(false) false"));
        assert_eq!(read("alter table t alter constraint c initially deferred").as_deref(), Some("false t c None true"));
        assert_eq!(read("alter table t alter c set not null"), None);
    }
}
