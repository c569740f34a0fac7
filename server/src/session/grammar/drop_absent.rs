//! DROP of kinds of objects that this server has none of: with IF EXISTS it says so and goes on, as migrations expect; without, the object is missing.

use super::{Grammar, Read};
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::tokenizer::Token;

/// A DROP that can find nothing.
#[derive(Clone, Debug)]
pub struct DropAbsent {
    /// The tag.
    pub tag: &'static str,
    /// IF EXISTS.
    pub if_exists: bool,
    /// What is not there.
    pub names: Vec<Absent>,
}

/// One object that is not there.
#[derive(Clone, Debug)]
pub struct Absent {
    /// What a DROP without IF EXISTS says.
    pub error: SqlError,
    /// What one with it says.
    pub skipping: String,
    /// The table that a trigger, rule or policy is on; or whose name a materialized view has.
    pub relation: Option<ObjectName>,
}

/// How objects of a kind are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `name`
    Name,
    /// `name(arguments)`
    Call,
    /// `name ON table`
    OnTable,
    /// `name`, where relations have theirs.
    Relation,
}

/// The words behind DROP, the tag, what messages call it, and how it is named.
const KINDS: [(&str, &str, &str, Form); 19] = [
    ("AGGREGATE", "DROP AGGREGATE", "aggregate", Form::Call),
    ("COLLATION", "DROP COLLATION", "collation", Form::Name),
    ("CONVERSION", "DROP CONVERSION", "conversion", Form::Name),
    ("DOMAIN", "DROP DOMAIN", "type", Form::Name),
    ("EVENT TRIGGER", "DROP EVENT TRIGGER", "event trigger", Form::Name),
    ("EXTENSION", "DROP EXTENSION", "extension", Form::Name),
    ("FOREIGN TABLE", "DROP FOREIGN TABLE", "foreign table", Form::Relation),
    ("FUNCTION", "DROP FUNCTION", "function", Form::Call),
    ("LANGUAGE", "DROP LANGUAGE", "language", Form::Name),
    ("MATERIALIZED VIEW", "DROP MATERIALIZED VIEW", "materialized view", Form::Relation),
    ("POLICY", "DROP POLICY", "policy", Form::OnTable),
    ("PROCEDURE", "DROP PROCEDURE", "procedure", Form::Call),
    ("PUBLICATION", "DROP PUBLICATION", "publication", Form::Name),
    ("ROUTINE", "DROP ROUTINE", "routine", Form::Call),
    ("RULE", "DROP RULE", "rule", Form::OnTable),
    ("SERVER", "DROP SERVER", "server", Form::Name),
    ("STATISTICS", "DROP STATISTICS", "statistics object", Form::Name),
    ("TRIGGER", "DROP TRIGGER", "trigger", Form::OnTable),
    ("TYPE", "DROP TYPE", "type", Form::Name),
];

/// Reads such a DROP; `None`, and nothing consumed, if it is another statement.
pub(super) fn read(grammar: &mut Grammar<'_>) -> Read<Option<DropAbsent>> {
    let Some((words, tag, kind, form)) = KINDS.iter().find(|(words, ..)| grammar.peek(&format!("DROP {words}"))) else { return Ok(None) };
    grammar.expect(&format!("DROP {words}"))?;
    let if_exists = grammar.accept("IF EXISTS");
    let mut names = vec![absent(grammar, kind, *form)?];
    while *form != Form::OnTable && grammar.token(&Token::Comma) {
        names.push(absent(grammar, kind, *form)?);
    }
    let _ = grammar.accept("CASCADE") || grammar.accept("RESTRICT");
    Ok(Some(DropAbsent { tag, if_exists, names }))
}

fn absent(grammar: &mut Grammar<'_>, kind: &str, form: Form) -> Read<Absent> {
    let name = grammar.object_name()?;
    let shown = name.0.iter().filter_map(|part| part.as_ident()).map(crate::catalog::names::fold).collect::<Vec<_>>().join(".");
    match form {
        Form::Name => Ok(missing(SqlState::UNDEFINED_OBJECT, format!("{kind} \"{shown}\" does not exist"), None)),
        Form::Relation => Ok(missing(SqlState::UNDEFINED_TABLE, format!("{kind} \"{shown}\" does not exist"), Some(name))),
        Form::Call => called(grammar, kind, &shown),
        Form::OnTable => {
            grammar.expect("ON")?;
            let table = grammar.object_name()?;
            let on = table.0.last().and_then(|part| part.as_ident()).map(crate::catalog::names::fold).unwrap_or_default();
            Ok(Absent {
                error: SqlError::new(SqlState::UNDEFINED_OBJECT, format!("{kind} \"{shown}\" for table \"{on}\" does not exist")),
                skipping: format!("{kind} \"{shown}\" for relation \"{on}\" does not exist, skipping"),
                relation: Some(table),
            })
        }
    }
}

fn missing(state: SqlState, message: String, relation: Option<ObjectName>) -> Absent {
    Absent { skipping: format!("{message}, skipping"), error: SqlError::new(state, message), relation }
}

/// A function, by its name alone or with the types of its arguments.
fn called(grammar: &mut Grammar<'_>, kind: &str, name: &str) -> Read<Absent> {
    if !grammar.token(&Token::LParen) {
        let error = SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("could not find a {kind} named \"{name}\""));
        return Ok(Absent { error, skipping: format!("{kind} {name}() does not exist, skipping"), relation: None });
    }
    let mut types = Vec::new();
    if !grammar.token(&Token::RParen) {
        loop {
            types.push(argument_type(grammar)?);
            if !grammar.token(&Token::Comma) {
                break;
            }
        }
        grammar.close()?;
    }
    Ok(missing(SqlState::UNDEFINED_FUNCTION, format!("{kind} {name}({}) does not exist", types.join(", ")), None))
}

/// The type of an argument, with its mode and name before it, or the star of an aggregate of rows.
fn argument_type(grammar: &mut Grammar<'_>) -> Read<String> {
    if grammar.token(&Token::Mul) {
        return Ok("*".into());
    }
    let _ = grammar.accept("IN") || grammar.accept("OUT") || grammar.accept("INOUT") || grammar.accept("VARIADIC");
    let next = grammar.parser.peek_nth_token_ref(1).token.clone();
    if matches!(next, Token::Word(word) if word.keyword != datafusion::sql::sqlparser::keywords::Keyword::PRECISION) {
        grammar.name()?;
    }
    let written = grammar.parser.parse_data_type()?.to_string().to_lowercase();
    Ok(crate::types::SqlType::parse(&written).map_or(written, |known| known.name()))
}
