//! What errors say, field by field: SQLSTATE, message, position, detail, hint and context of statements that people get wrong.
//!
//! `error_fields.txt` holds PostgreSQL 15's own answers: a statement on a line, and its error on the next lines, indented, one field each; `ok` where there
//! is none. With `PLIMSOLL_TEST_ERRORS_URL` the statements go to that server instead, so that the file can be checked against a PostgreSQL.

use crate::server_process::ServerProcess;
use std::fmt::Write;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, NoTls};

const CASES: &str = include_str!("error_fields.txt");

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_postgresql_says() {
    let server = ServerProcess::start();
    let client = match std::env::var("PLIMSOLL_TEST_ERRORS_URL") {
        Ok(url) => {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        }
        Err(_) => server.connect().await,
    };
    let mut answered = String::new();
    for line in CASES.lines() {
        if line.starts_with('#') {
            writeln!(answered, "{line}").unwrap();
        } else if !line.starts_with(' ') && !line.is_empty() {
            writeln!(answered, "{line}").unwrap();
            answered.push_str(&answer(&client, line).await);
        }
    }
    let (expected, answered): (Vec<&str>, Vec<&str>) =
        (CASES.lines().filter(|line| !line.is_empty()).collect(), answered.lines().collect());
    if let Some(at) = (0..expected.len().max(answered.len())).find(|at| expected.get(*at) != answered.get(*at)) {
        let statement = expected[..=at.min(expected.len() - 1)].iter().rev().find(|line| !line.starts_with(' ')).unwrap();
        let shown = |lines: &[&str]| lines[at.min(lines.len())..].iter().take(6).map(|line| format!("  {line}\n")).collect::<String>();
        panic!("{statement}\nexpected\n{}answered\n{}", shown(&expected), shown(&answered));
    }
}

async fn answer(client: &Client, sql: &str) -> String {
    let Err(error) = client.simple_query(sql).await else { return "    ok\n".into() };
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
    let mut out = format!("    {} {}\n", error.code().code(), error.message());
    if let Some(ErrorPosition::Original(position)) = error.position() {
        writeln!(out, "    position {position}").unwrap();
    }
    for (name, value) in [("detail", error.detail()), ("hint", error.hint()), ("context", error.where_())] {
        if let Some(value) = value {
            writeln!(out, "    {name} {}", value.replace('\n', " / ")).unwrap();
        }
    }
    out
}
