//! COPY in a suite. `COPY t FROM STDIN` is a `statement` whose data follow on the lines after the one that ends with a semicolon;
//! `COPY t TO STDOUT` is a `query T` whose rows are the lines that came.

use crate::session::SessionError;
use bytes::Bytes;
use futures::{SinkExt, TryStreamExt, pin_mut};
use tokio_postgres::Client;

/// What a record's SQL asks for, as far as COPY is concerned.
#[derive(Debug, PartialEq, Eq)]
pub enum CopyRequest<'a> {
    /// Not a COPY over the wire.
    None,
    /// `COPY ... FROM STDIN;` and the data lines after it.
    In {
        /// The statement.
        statement: &'a str,
        /// Its data, each line ended.
        data: String,
    },
    /// `COPY ... TO STDOUT`.
    Out,
}

/// Reads a record's SQL.
pub fn parse(sql: &str) -> CopyRequest<'_> {
    let (statement, data) = split_after_statement(sql);
    let words = statement.to_ascii_lowercase();
    let words: Vec<&str> = words.split(|c: char| c.is_whitespace() || c == ';').filter(|w| !w.is_empty()).collect();
    let says = |a: &str, b: &str| words.windows(2).any(|pair| pair[0] == a && pair[1] == b);
    match words.first() {
        Some(&"copy") if says("from", "stdin") => CopyRequest::In { statement, data: ended_lines(data) },
        Some(&"copy") if says("to", "stdout") => CopyRequest::Out,
        _ => CopyRequest::None,
    }
}

fn split_after_statement(sql: &str) -> (&str, &str) {
    sql.split_once(";\n").unwrap_or((sql, ""))
}

/// The lines of `data`, each ended by a line feed, without psql's `\.` at the end.
fn ended_lines(data: &str) -> String {
    data.lines().take_while(|line| *line != "\\.").flat_map(|line| [line, "\n"]).collect()
}

/// Sends `data`; returns the number of rows that the server counted.
pub async fn copy_in(client: &Client, statement: &str, data: String) -> Result<u64, SessionError> {
    let sink = client.copy_in::<_, Bytes>(statement).await?;
    pin_mut!(sink);
    sink.send(Bytes::from(data)).await?;
    Ok(sink.finish().await?)
}

/// Receives the lines.
pub async fn copy_out(client: &Client, statement: &str) -> Result<Vec<String>, SessionError> {
    let chunks: Vec<Bytes> = client.copy_out(statement).await?.try_collect().await?;
    Ok(String::from_utf8_lossy(&chunks.concat()).lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_follow_the_statement() {
        let sql = "COPY t (a, b)\nFROM STDIN WITH (FORMAT csv);\n1,x;\n2,y\n\\.";
        let expected = CopyRequest::In { statement: "COPY t (a, b)\nFROM STDIN WITH (FORMAT csv)", data: "1,x;\n2,y\n".into() };
        assert_eq!(parse(sql), expected);
    }

    #[test]
    fn directions_are_told_apart_from_files_and_other_statements() {
        assert_eq!(parse("copy (select 1) to stdout;"), CopyRequest::Out);
        assert_eq!(parse("COPY t FROM STDIN"), CopyRequest::In { statement: "COPY t FROM STDIN", data: String::new() });
        assert_eq!(parse("COPY t FROM '/tmp/stdin.csv'"), CopyRequest::None);
        assert_eq!(parse("SELECT 'copy t from stdin'"), CopyRequest::None);
    }
}
