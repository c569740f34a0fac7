//! DECLARE, FETCH, MOVE and CLOSE.

use super::{Grammar, Ours, Read};
use crate::error::{SqlError, SqlState};
use crate::session::Statement;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

/// What DECLARE says.
#[derive(Clone, Debug)]
pub struct Declare {
    /// The cursor's name.
    pub name: String,
    /// Rows are sent in binary form where the client cannot choose.
    pub binary: bool,
    /// SCROLL, NO SCROLL; `None` where neither is said.
    pub scroll: Option<bool>,
    /// WITH HOLD.
    pub hold: bool,
    /// The query.
    pub query: Statement,
}

/// Where FETCH and MOVE go; `None` is ALL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the next rows; of 0, to the current one.
    Forward(Option<u64>),
    /// To rows before.
    Backward(Option<u64>),
    /// To one row, counted from the first, or with a negative number from the last.
    Absolute(i64),
    /// To one row, counted from the current.
    Relative(i64),
}

fn signed(count: i64) -> Direction {
    match count < 0 {
        true => Direction::Backward(Some(count.unsigned_abs())),
        false => Direction::Forward(Some(count.unsigned_abs())),
    }
}

fn reversed(direction: Direction) -> Direction {
    match direction {
        Direction::Forward(count) => Direction::Backward(count),
        Direction::Backward(count) => Direction::Forward(count),
        other => other,
    }
}

impl Grammar<'_> {
    pub(super) fn cursor(&mut self) -> Read<Option<Ours>> {
        let ours = if self.accept("DECLARE") {
            Ours::Declare(Box::new(self.declare()?))
        } else if self.accept("FETCH") {
            self.fetch(false)?
        } else if self.accept("MOVE") {
            self.fetch(true)?
        } else if self.accept("CLOSE") {
            let all = self.accept("ALL");
            Ours::Close(if all { None } else { Some(self.name()?) })
        } else {
            return Ok(None);
        };
        Ok(Some(ours))
    }

    fn declare(&mut self) -> Read<Declare> {
        let name = self.name()?;
        let (mut binary, mut scroll) = (false, None);
        loop {
            let wanted = self.accept("SCROLL");
            if wanted || self.accept("NO SCROLL") {
                if scroll.is_some_and(|said| said != wanted) {
                    let message = "cannot specify both SCROLL and NO SCROLL";
                    return Err(SqlError::new(SqlState("42P11"), message).into());
                }
                scroll = Some(wanted);
            } else if self.accept("BINARY") {
                binary = true;
            } else if !(self.accept("ASENSITIVE") || self.accept("INSENSITIVE")) {
                break;
            }
        }
        self.expect("CURSOR")?;
        let hold = self.accept("WITH HOLD");
        if !hold {
            self.accept("WITHOUT HOLD");
        }
        self.expect("FOR")?;
        let query = self.rest_as_statement()?;
        if !matches!(&*query.ast, ast::Statement::Query(_)) {
            return self.unexpected("a query");
        }
        Ok(Declare { name, binary, scroll, hold, query })
    }

    fn fetch(&mut self, moves: bool) -> Read<Ours> {
        let direction = self.direction()?;
        let _ = self.accept("FROM") || self.accept("IN");
        Ok(Ours::Fetch { direction, name: self.name()?, moves })
    }

    fn direction(&mut self) -> Read<Direction> {
        for (word, direction) in [
            ("NEXT", Direction::Forward(Some(1))),
            ("PRIOR", Direction::Backward(Some(1))),
            ("FIRST", Direction::Absolute(1)),
            ("LAST", Direction::Absolute(-1)),
        ] {
            if self.accept(word) {
                return Ok(direction);
            }
        }
        if self.accept("ABSOLUTE") {
            return Ok(Direction::Absolute(self.integer()?));
        }
        if self.accept("RELATIVE") {
            return Ok(Direction::Relative(self.integer()?));
        }
        if self.accept("BACKWARD") {
            return Ok(reversed(self.count()?));
        }
        self.accept("FORWARD");
        self.count()
    }

    /// A number of rows, ALL, or one where nothing is said.
    fn count(&mut self) -> Read<Direction> {
        if self.accept("ALL") {
            return Ok(Direction::Forward(None));
        }
        match self.parser.peek_token_ref().token {
            Token::Number(..) | Token::Minus | Token::Plus => Ok(signed(self.integer()?)),
            _ => Ok(Direction::Forward(Some(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse;

    fn fetched(sql: &str) -> (Direction, String) {
        match parse(sql).unwrap()[0].ours.as_deref() {
            Some(Ours::Fetch { direction, name, .. }) => (*direction, name.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn directions() {
        let table = [
            ("fetch c", Direction::Forward(Some(1))),
            ("fetch from c", Direction::Forward(Some(1))),
            ("fetch 5 in c", Direction::Forward(Some(5))),
            ("fetch -5 c", Direction::Backward(Some(5))),
            ("fetch all c", Direction::Forward(None)),
            ("move forward all in c", Direction::Forward(None)),
            ("fetch backward c", Direction::Backward(Some(1))),
            ("fetch backward -2 from c", Direction::Forward(Some(2))),
            ("fetch backward all from c", Direction::Backward(None)),
            ("fetch absolute -3 c", Direction::Absolute(-3)),
            ("fetch relative 0 from c", Direction::Relative(0)),
            ("fetch last c", Direction::Absolute(-1)),
        ];
        for (sql, direction) in table {
            assert_eq!(fetched(sql), (direction, "c".to_string()), "{sql}");
        }
        assert_eq!(fetched("fetch forward 10 from \"My C\"").1, "My C");
    }

    #[test]
    fn declarations() {
        let of = |sql: &str| match parse(sql).unwrap()[0].ours.as_deref() {
            Some(Ours::Declare(declare)) => (declare.binary, declare.scroll, declare.hold, declare.query.text.to_string()),
            other => panic!("{other:?}"),
        };
        assert_eq!(of("declare c cursor for select 1"), (false, None, false, "SELECT 1".into()));
        assert_eq!(of("declare c binary no scroll cursor with hold for values (1)"), (true, Some(false), true, "VALUES (1)".into()));
        assert_eq!(of("declare c insensitive scroll cursor without hold for select 2").1, Some(true));
        assert_eq!(parse("declare c scroll no scroll cursor for select 1").unwrap_err().state.0, "42P11");
        assert_eq!(parse("declare c cursor for delete from t").unwrap_err().state.0, "42601");
    }
}
