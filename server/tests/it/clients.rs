//! The clients that people use, each doing its round trip against a real server: the scripts are in `tests/clients/`.
//!
//! A script prints what failed and ends with a status; where a client is missing the test says SKIPPED, and why. `.ci/run` installs what it can:
//! Python's packages in the environment that `PLIMSOLL_TEST_PYTHON` names, node's in the folder that `PLIMSOLL_TEST_NODE_MODULES` names.

use crate::server_process::ServerProcess;
use crate::source_folder::crate_folder;
use std::path::PathBuf;
use std::process::Command;

fn script(path: &str) -> PathBuf {
    crate_folder().join("tests/clients").join(path)
}

fn skipped(client: &str, why: &str) {
    println!("SKIPPED: {client}: {why}");
    eprintln!("SKIPPED: {client}: {why}");
}

/// Whether a command says that what it needs is here.
fn works(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it fails").to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Steps that fail for now, one a line: client, step, and why. The list is to become empty.
const PENDING: &str = include_str!("../clients/pending.txt");

/// Whether a client's step is one that is known to fail, and why.
fn pending(client: &str, step: &str) -> Option<&'static str> {
    PENDING.lines().find_map(|line| {
        let mut fields = line.split('|').map(str::trim);
        (fields.next() == Some(client) && fields.next() == Some(step)).then(|| fields.next().unwrap_or_default())
    })
}

/// Runs a script to its end. What fails must be pending; a script that breaks off fails as a whole.
fn passes(client: &str, command: &mut Command) {
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{client}: {text}");
    assert!(text.contains("steps passed"), "{client} broke off: {text}");
    let failed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("FAILED ")).collect();
    for step in &failed {
        let why = pending(client, step).unwrap_or_else(|| panic!("{client}: {step} failed:\n{text}"));
        println!("PENDING: {client}: {step}: {why}");
        eprintln!("PENDING: {client}: {step}: {why}");
    }
    assert!(output.status.success() || !failed.is_empty(), "{client}: {text}");
}

fn python() -> String {
    std::env::var("PLIMSOLL_TEST_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// A client in Python, which needs these modules.
fn run_python(client: &str, modules: &str) {
    if let Err(why) = works(Command::new(python()).args(["-c", &format!("import {modules}")])) {
        return skipped(client, &why);
    }
    let server = ServerProcess::start();
    let mut command = Command::new(python());
    passes(client, command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script(&format!("{client}/run.py"))).arg(server.url()));
}

#[test]
fn psycopg3() {
    run_python("psycopg3", "psycopg");
}

#[test]
fn asyncpg() {
    run_python("asyncpg", "asyncpg");
}

#[test]
fn sqlalchemy2() {
    run_python("sqlalchemy2", "sqlalchemy, psycopg, asyncpg, greenlet");
}

#[test]
fn pandas() {
    run_python("pandas", "pandas, sqlalchemy, psycopg");
}

#[test]
fn odbc() {
    let installed = Command::new("odbcinst").args(["-q", "-d"]).output();
    match installed {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("PostgreSQL Unicode") => run_python("odbc", "pyodbc"),
        Ok(_) => skipped("odbc", "no driver \"PostgreSQL Unicode\" is registered"),
        Err(error) => skipped("odbc", &error.to_string()),
    }
}

#[test]
fn node() {
    let modules = std::env::var("PLIMSOLL_TEST_NODE_MODULES").unwrap_or_default();
    let load = |name: &str| if modules.is_empty() { name.to_string() } else { format!("{modules}/{name}") };
    let needs = ["pg", "pg-cursor", "pg-copy-streams"].map(|name| format!("require({:?})", load(name))).join(";");
    if let Err(why) = works(Command::new("node").args(["-e", &needs])) {
        return skipped("node", &why);
    }
    let server = ServerProcess::start();
    passes("node", Command::new("node").arg(script("node/run.js")).arg(server.url()));
}

/// Where Debian puts the driver.
const JDBC: &str = "/usr/share/java/postgresql.jar";

#[test]
fn jdbc() {
    if !std::path::Path::new(JDBC).exists() {
        return skipped("jdbc", &format!("no {JDBC}"));
    }
    if let Err(why) = works(Command::new("javac").arg("-version")) {
        return skipped("jdbc", &why);
    }
    let server = ServerProcess::start();
    passes("jdbc", Command::new("java").args(["-cp", JDBC]).arg(script("jdbc/Run.java")).arg(server.url()));
}

/// The Rust client, in this process: prepared statements with binary parameters and results, transactions, COPY, what errors say.
#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres() {
    let server = ServerProcess::start();
    let mut client = server.connect().await;
    client.batch_execute("CREATE TABLE rust_every (a int PRIMARY KEY, b text, c float8, d bytea, e bool, f bigint[])").await.unwrap();
    let statement = client.prepare("INSERT INTO rust_every VALUES ($1, $2, $3, $4, $5, $6)").await.unwrap();
    let (text, bytes, array) = (Some("naïve"), vec![0u8, 255], vec![Some(1i64), None]);
    assert_eq!(client.execute(&statement, &[&1i32, &text, &1.5f64, &bytes, &true, &array]).await.unwrap(), 1);
    assert_eq!(client.execute("INSERT INTO rust_every (a) VALUES ($1)", &[&2i32]).await.unwrap(), 1);
    let rows = client.query("SELECT * FROM rust_every ORDER BY a", &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, Option<&str>>("b"), text);
    assert_eq!((rows[0].get::<_, f64>("c"), rows[0].get::<_, Vec<u8>>("d"), rows[0].get::<_, bool>("e")), (1.5, bytes, true));
    assert_eq!(rows[0].get::<_, Vec<Option<i64>>>("f"), array);
    assert_eq!(rows[1].get::<_, Option<f64>>("c"), None);
    let failed = client.execute("INSERT INTO rust_every (a) VALUES (1)", &[]).await.unwrap_err();
    assert_eq!(failed.code().unwrap().code(), "23505");
    let transaction = client.transaction().await.unwrap();
    transaction.execute("DELETE FROM rust_every", &[]).await.unwrap();
    transaction.rollback().await.unwrap();
    let count: i64 = client.query_one("SELECT count(*) FROM rust_every", &[]).await.unwrap().get(0);
    assert_eq!(count, 2);
    let named = client.query_one("SELECT oid, typname::text FROM pg_catalog.pg_type WHERE typname = $1", &[&"int4"]).await.unwrap();
    assert_eq!((named.get::<_, u32>(0), named.get::<_, &str>(1)), (23, "int4"));
}
