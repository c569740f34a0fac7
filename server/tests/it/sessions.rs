//! What a session keeps: prepared statements, cursors, settings, as clients use them.

use crate::server_process::ServerProcess;
use std::process::Command;

fn code(error: &tokio_postgres::Error) -> String {
    error.code().map(|code| code.code().to_string()).unwrap_or_default()
}

/// Drivers prepare with the protocol, and forget with SQL.
#[tokio::test]
async fn statements_of_the_protocol_and_of_sql_have_one_space_of_names() {
    let server = ServerProcess::start();
    let client = server.connect().await;
    let statement = client.prepare("SELECT $1::int + 1").await.unwrap();
    let row =
        client.query_one("SELECT name, statement, from_sql FROM pg_prepared_statements WHERE statement LIKE '%+ 1'", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(1), row.get::<_, bool>(2)), ("SELECT $1::int + 1", false));
    let name: String = row.get(0);
    assert_eq!(client.query_one(&statement, &[&1i32]).await.unwrap().len(), 1);
    client.batch_execute(&format!("DEALLOCATE \"{name}\"")).await.unwrap();
    assert_eq!(code(&client.query(&statement, &[&1i32]).await.unwrap_err()), "26000");
    client.batch_execute("PREPARE s0 AS SELECT 1; DISCARD ALL").await.unwrap_err();
    client.batch_execute("DISCARD ALL").await.unwrap();
}

#[tokio::test]
async fn a_prepared_statement_does_not_change_its_columns_unsaid() {
    let server = ServerProcess::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.unwrap();
    let statement = client.prepare("SELECT * FROM t").await.unwrap();
    assert_eq!(client.query(&statement, &[]).await.unwrap().len(), 1);
    client.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(client.query(&statement, &[]).await.unwrap().len(), 2);
    client.batch_execute("ALTER TABLE t ADD COLUMN b text").await.unwrap();
    let error = client.query(&statement, &[]).await.unwrap_err();
    assert_eq!((code(&error).as_str(), error.as_db_error().unwrap().message()), ("0A000", "cached plan must not change result type"));
}

#[tokio::test]
async fn parameters_have_the_types_that_they_are_used_as() {
    let server = ServerProcess::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int, d date, n numeric(10,2), s text)").await.unwrap();
    let table = [
        ("SELECT a FROM t WHERE a = $1", "int4"),
        ("SELECT a FROM t LIMIT $1", "int8"),
        ("SELECT $1::date", "date"),
        ("INSERT INTO t (n) VALUES ($1)", "numeric"),
        ("UPDATE t SET d = $1", "date"),
        ("SELECT a FROM t WHERE a = ANY($1)", "_int4"),
        ("SELECT a FROM t WHERE s LIKE $1", "text"),
        ("SELECT a FROM t WHERE a IN ($1, 2)", "int4"),
        ("SELECT a FROM t WHERE d BETWEEN $1 AND '2020-01-01'", "date"),
        ("SELECT a + $1 FROM t", "int4"),
        ("SELECT $1", "text"),
    ];
    for (sql, expected) in table {
        let prepared = client.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(prepared.params()[0].name(), expected, "{sql}");
    }
    assert_eq!(code(&client.prepare("SELECT $2::int").await.unwrap_err()), "42P18");
}

/// psql fetches in portions with cursors of its own when it is told to.
#[test]
fn psql_fetches_in_portions() {
    let server = ServerProcess::start();
    let commands = ["\\set FETCH_COUNT 7", "SELECT i FROM generate_series(1, 100) g(i)"];
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "-At", "--dbname", &server.url()]);
    commands.iter().for_each(|command| {
        psql.args(["-c", command]);
    });
    let Ok(output) = psql.output() else {
        eprintln!("SKIPPED: psql does not run here");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// A result without end is fetched in portions, through a cursor and through a portal: nothing makes more of it than was asked for.
#[tokio::test]
async fn what_is_fetched_in_portions_is_not_made_whole() {
    let server = ServerProcess::start();
    let mut client = server.connect().await;
    let transaction = client.transaction().await.unwrap();
    let sql = "SELECT i FROM generate_series(1, 100000000000) g(i)";
    transaction.batch_execute(&format!("DECLARE c CURSOR FOR {sql}")).await.unwrap();
    let portal = transaction.bind(sql, &[]).await.unwrap();
    for portion in 0..3 {
        let fetched = transaction.query("FETCH 100 FROM c", &[]).await.unwrap();
        let executed = transaction.query_portal(&portal, 100).await.unwrap();
        for rows in [fetched, executed] {
            let numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            assert_eq!(numbers, (portion * 100 + 1..=portion * 100 + 100).collect::<Vec<_>>());
        }
    }
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn startup_options_are_settings() {
    let server = ServerProcess::start();
    let url = format!("{}?options=-c%20work_mem%3D2MB%20-cmy.x%3D1&application_name=tester", server.url());
    let client = crate::server_process::connect(&url).await.unwrap();
    for (name, expected) in [("work_mem", "2MB"), ("my.x", "1"), ("application_name", "tester")] {
        let row = client.query_one(&format!("SHOW {name}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), expected);
    }
    client.batch_execute("SET work_mem = '8MB'; RESET work_mem").await.unwrap();
    assert_eq!(client.query_one("SHOW work_mem", &[]).await.unwrap().get::<_, &str>(0), "2MB");
    let refused = crate::server_process::connect(&format!("{}?options=-c%20nosuch%3D1", server.url())).await.err().unwrap();
    assert_eq!(code(&refused), "42704");
}

/// Drivers read these fields: which row of which table was refused, and which column of which table a result's column can be written back to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_and_columns_say_what_they_are_about() {
    let server = ServerProcess::start();
    let client = server.connect().await;
    client
        .batch_execute("CREATE SCHEMA s; CREATE TABLE s.t (a int PRIMARY KEY, b text NOT NULL, CONSTRAINT c CHECK (a > 0))")
        .await
        .unwrap();
    for (row, column, constraint) in
        [("(1, 'x'), (1, 'y')", None, Some("t_pkey")), ("(1, NULL)", Some("b"), None), ("(-1, 'x')", None, Some("c"))]
    {
        let error = client.batch_execute(&format!("INSERT INTO s.t VALUES {row}")).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        let found = (error.schema(), error.table(), error.column(), error.constraint());
        assert_eq!(found, (Some("s"), Some("t"), column, constraint), "{row}");
    }
    let oid = client.query_one("SELECT oid FROM pg_class WHERE relname = 't'", &[]).await.unwrap().get::<_, u32>(0);
    let sql = "SELECT x.b AS c, x.a + 1, u.a FROM (SELECT * FROM s.t WHERE a > 0) x LEFT JOIN s.t u ON u.a = x.a ORDER BY 1";
    let statement = client.prepare(sql).await.unwrap();
    let origins: Vec<_> = statement.columns().iter().map(|column| (column.table_oid(), column.column_id())).collect();
    assert_eq!(origins, [(Some(oid), Some(2)), (None, None), (Some(oid), Some(1))]);
}

/// What is temporary ends with its session, however that ends, and with its server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_temporary_outlives_its_session_or_a_crash() {
    const LEFT: &str = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'";
    let mut server = ServerProcess::start();
    let (observer, client) = (server.connect().await, server.connect().await);
    client.batch_execute("CREATE TEMP TABLE t (a serial PRIMARY KEY); INSERT INTO t DEFAULT VALUES").await.unwrap();
    assert_eq!(observer.query_one(LEFT, &[]).await.unwrap().get::<_, i64>(0), 3, "the table, its sequence and its key");
    drop(client);
    while observer.query_one(LEFT, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::task::yield_now().await;
    }
    observer.batch_execute("CREATE TEMP TABLE t AS SELECT i FROM generate_series(1, 100000) g(i)").await.unwrap();
    server.kill();
    server.start_again();
    let client = server.connect().await;
    assert_eq!(client.query_one(LEFT, &[]).await.unwrap().get::<_, i64>(0), 0);
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pg_temp%'";
    assert_eq!(client.query_one(schemas, &[]).await.unwrap().get::<_, i64>(0), 0);
}
