//! VACUUM and ANALYZE.

use super::{Grammar, Ours, Read};
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::tokenizer::Token;

/// What VACUUM or ANALYZE says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vacuum {
    /// Rows are rewritten: VACUUM. Statistics are exact without ANALYZE.
    pub rewrites: bool,
    /// FULL: every hole is closed, not just what is worth it.
    pub full: bool,
    /// The tables, and the columns named of each; none: all tables that the user may maintain.
    pub tables: Vec<(ObjectName, Vec<String>)>,
}

/// Options of VACUUM that take effect, or ask for what is so anyway.
const VACUUM_OPTIONS: [&str; 11] = [
    "full",
    "freeze",
    "verbose",
    "analyze",
    "analyse",
    "disable_page_skipping",
    "skip_locked",
    "index_cleanup",
    "process_toast",
    "truncate",
    "parallel",
];
const ANALYZE_OPTIONS: [&str; 2] = ["verbose", "skip_locked"];

impl Grammar<'_> {
    pub(super) fn vacuum(&mut self) -> Read<Option<Ours>> {
        let rewrites = if self.accept("VACUUM") {
            true
        } else if self.accept("ANALYZE") || self.accept("ANALYSE") {
            false
        } else {
            return Ok(None);
        };
        let mut vacuum = Vacuum { rewrites, ..Vacuum::default() };
        if self.token(&Token::LParen) {
            self.vacuum_options(&mut vacuum)?;
        } else {
            vacuum.full = rewrites && self.accept("FULL");
            let _ = rewrites && self.accept("FREEZE");
            self.accept("VERBOSE");
            let _ = rewrites && (self.accept("ANALYZE") || self.accept("ANALYSE"));
        }
        if self.parser.peek_token_ref().token != Token::EOF {
            vacuum.tables = self.vacuum_tables()?;
        }
        Ok(Some(Ours::Vacuum(vacuum)))
    }

    fn vacuum_options(&mut self, vacuum: &mut Vacuum) -> Read<()> {
        let (known, command): (&[&str], _) = if vacuum.rewrites { (&VACUUM_OPTIONS, "VACUUM") } else { (&ANALYZE_OPTIONS, "ANALYZE") };
        loop {
            let name = self.name()?;
            if !known.contains(&name.as_str()) {
                let message = format!("unrecognized {command} option \"{name}\"");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).into());
            }
            let on = self.option_value(&name)?;
            vacuum.full |= name == "full" && on;
            if !self.token(&Token::Comma) {
                return self.close();
            }
        }
    }

    /// The value of an option; none is true.
    fn option_value(&mut self, name: &str) -> Read<bool> {
        let next = self.parser.peek_token_ref().token.clone();
        if matches!(next, Token::Comma | Token::RParen) {
            return Ok(true);
        }
        self.parser.next_token();
        match (next.to_string().trim_matches('\'').to_lowercase().as_str(), name) {
            ("true" | "on" | "1", _) => Ok(true),
            ("false" | "off" | "0", _) => Ok(false),
            ("auto", "index_cleanup") => Ok(true),
            (number, "parallel") if number.parse::<u16>().is_ok_and(|workers| workers <= 1024) => Ok(true),
            _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{name} requires a Boolean value")).into()),
        }
    }

    fn vacuum_tables(&mut self) -> Read<Vec<(ObjectName, Vec<String>)>> {
        let mut tables = Vec::new();
        loop {
            let table = self.object_name()?;
            let mut columns = Vec::new();
            if self.token(&Token::LParen) {
                columns.push(self.name()?);
                while self.token(&Token::Comma) {
                    columns.push(self.name()?);
                }
                self.close()?;
            }
            tables.push((table, columns));
            if !self.token(&Token::Comma) {
                return Ok(tables);
            }
        }
    }
}
