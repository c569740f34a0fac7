//! What a role may do: every kind of statement, against a real process.

use crate::server_process::{ServerProcess, connect};

fn state(error: &tokio_postgres::Error) -> String {
    error.code().map(|code| code.code().to_string()).unwrap_or_default()
}

/// Every kind of statement, and the code that it must fail with for a role that has no rights.
#[tokio::test]
async fn a_role_without_rights_is_refused_everything() {
    let server = ServerProcess::start();
    let owner = server.connect().await;
    owner
        .batch_execute(
            "CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 2); CREATE VIEW v AS SELECT a FROM t; CREATE SEQUENCE s; \
             CREATE SCHEMA hidden; CREATE TABLE hidden.h (a int); CREATE ROLE ann LOGIN",
        )
        .await
        .unwrap();
    let ann = connect(&server.url().replace("plimsoll@", "ann@")).await.unwrap();
    for statement in [
        "SELECT * FROM t",
        "SELECT count(*) FROM t",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM t)",
        "WITH x AS (SELECT * FROM t) SELECT * FROM x",
        "SELECT * FROM v",
        "SELECT * FROM \"__rows\".public.t",
        "SELECT * FROM hidden.h",
        "EXPLAIN SELECT * FROM t",
        "EXPLAIN ANALYZE SELECT * FROM t",
        "PREPARE p AS SELECT * FROM t",
        "COPY t TO STDOUT",
        "COPY (SELECT * FROM t) TO STDOUT",
        "COPY t FROM STDIN",
        "COPY t FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/plimsoll-must-not-be'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "INSERT INTO t VALUES (1, 2)",
        "INSERT INTO t SELECT * FROM t",
        "UPDATE t SET a = 1",
        "UPDATE t SET a = 1 WHERE b = 2",
        "DELETE FROM t",
        "DELETE FROM t WHERE a = 1",
        "TRUNCATE t",
        "DROP TABLE t",
        "DROP VIEW v",
        "DROP SEQUENCE s",
        "DROP SCHEMA hidden CASCADE",
        "ALTER TABLE t ADD COLUMN c int",
        "ALTER TABLE t RENAME TO u",
        "ALTER TABLE t OWNER TO ann",
        "ALTER SEQUENCE s RESTART",
        "CREATE TABLE u (a int)",
        "CREATE TABLE u AS SELECT 1 AS a",
        "CREATE VIEW w AS SELECT 1 AS a",
        "CREATE SEQUENCE s2",
        "CREATE SCHEMA mine",
        "SELECT nextval('s')",
        "SELECT setval('s', 5)",
        "GRANT SELECT ON t TO ann",
        "REVOKE SELECT ON t FROM plimsoll",
        "CREATE ROLE eve",
        "ALTER ROLE ann SUPERUSER",
        "DROP ROLE plimsoll",
        "GRANT plimsoll TO ann",
        "SET ROLE plimsoll",
        "SET SESSION AUTHORIZATION plimsoll",
        "SELECT rolpassword FROM pg_authid",
    ] {
        let refused = ann.simple_query(statement).await;
        assert_eq!(refused.as_ref().err().map(state).as_deref(), Some("42501"), "{statement}: {refused:?}");
    }
    assert_eq!(owner.query("SELECT * FROM t", &[]).await.unwrap().len(), 1);
    owner.batch_execute("GRANT SELECT (a) ON t TO ann; GRANT SELECT ON v TO ann; GRANT USAGE ON SEQUENCE s TO ann").await.unwrap();
    assert_eq!(ann.query("SELECT a FROM t", &[]).await.unwrap().len(), 1);
    assert_eq!(state(&ann.query("SELECT b FROM t", &[]).await.unwrap_err()), "42501");
    assert_eq!(ann.query("SELECT * FROM v", &[]).await.unwrap().len(), 1);
    assert_eq!(ann.query("SELECT nextval('s')", &[]).await.unwrap().len(), 1);
}
