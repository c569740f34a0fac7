//! The real psql: what a user's hands expect.

use crate::server_process::ServerProcess;
use std::process::Command;

/// Runs psql commands and answers everything printed; `None`, loudly, where there is no psql.
fn psql(server: &ServerProcess, commands: &[&str]) -> Option<String> {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--dbname", &server.url()]).env("PGCLIENTENCODING", "UTF8").env("LC_ALL", "C.UTF-8");
    for command in commands {
        psql.args(["-c", command]);
    }
    match psql.output() {
        Ok(output) => Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))),
        Err(error) => {
            eprintln!("SKIPPED: psql does not run here: {error}");
            None
        }
    }
}

#[test]
fn a_first_session() {
    let server = ServerProcess::start();
    let commands = [
        "CREATE TABLE ships (name text PRIMARY KEY, tons numeric(10,1) NOT NULL, launched date)",
        "INSERT INTO ships VALUES ('Cutty Sark', 963.0, '1869-11-22'), ('Great Eastern', 18915, '1858-01-31')",
        "SELECT * FROM ships ORDER BY tons",
        "SELECT count(*), sum(tons) FROM ships",
        "SELECT nonsense FROM ships",
        "INSERT INTO ships VALUES ('Cutty Sark', 1, NULL)",
    ];
    let Some(text) = psql(&server, &commands) else { return };
    let expected = "\
CREATE TABLE
INSERT 0 2
     name      |  tons   |  launched  
---------------+---------+------------
 Cutty Sark    |   963.0 | 1869-11-22
 Great Eastern | 18915.0 | 1858-01-31
(2 rows)

 count |   sum   
-------+---------
     2 | 19878.0
(1 row)

ERROR:  column \"nonsense\" does not exist
LINE 1: SELECT nonsense FROM ships
               ^
ERROR:  duplicate key value violates unique constraint \"ships_pkey\"
DETAIL:  Key (name)=(Cutty Sark) already exists.
";
    assert_eq!(text, expected);
}

/// What the commands print, and that none of them fails.
fn expect_lines(commands: &[&str], lines: &[&str]) {
    let server = ServerProcess::start();
    let Some(text) = psql(&server, commands) else { return };
    for line in lines {
        assert!(text.contains(line), "no line {line:?} in:\n{text}");
    }
    assert!(!text.contains("ERROR"), "{text}");
}

const SHIPS: &str = "CREATE TABLE ships (name varchar(20) PRIMARY KEY, tons numeric(10,1) NOT NULL DEFAULT 0, CHECK (tons >= 0))";

#[test]
fn backslash_commands() {
    let lines = [
        "Table \"public.ships\"",
        " name   | character varying(20) |           | not null | ",
        " tons   | numeric(10,1)         |           | not null | 0",
        "Indexes:\n    \"ships_pkey\" PRIMARY KEY, btree (name)\n",
        "Check constraints:\n    \"ships_tons_check\" CHECK (tons >= 0::numeric)\n",
        " public | ships | table | plimsoll",
        " public   | pg_database_owner",
        " plimsoll | plimsoll | UTF8     |",
        " plimsoll  | Superuser, Create role, Create DB, Replication, Bypass RLS | {}",
    ];
    expect_lines(&[SHIPS, "\\d ships", "\\dt", "\\dn", "\\l", "\\du"], &lines);
}

#[test]
fn foreign_keys_are_described_on_both_sides() {
    let commands = [
        SHIPS,
        "CREATE TABLE logs (id int PRIMARY KEY, ship varchar(20) REFERENCES ships ON DELETE CASCADE, \"Back\" int REFERENCES logs DEFERRABLE INITIALLY DEFERRED)",
        "ALTER TABLE logs ADD CONSTRAINT \"Late\" FOREIGN KEY (ship) REFERENCES ships (name) MATCH FULL NOT VALID",
        "\\d logs",
        "\\d ships",
        "\\d+ logs",
    ];
    let lines = [
        "Foreign-key constraints:\n    \"Late\" FOREIGN KEY (ship) REFERENCES ships(name) MATCH FULL NOT VALID\n    \"logs_Back_fkey\" FOREIGN KEY (\"Back\") REFERENCES logs(id) DEFERRABLE INITIALLY DEFERRED\n    \"logs_ship_fkey\" FOREIGN KEY (ship) REFERENCES ships(name) ON DELETE CASCADE\nReferenced by:\n    TABLE \"logs\" CONSTRAINT \"logs_Back_fkey\" FOREIGN KEY (\"Back\") REFERENCES logs(id) DEFERRABLE INITIALLY DEFERRED\n",
        "Check constraints:\n    \"ships_tons_check\" CHECK (tons >= 0::numeric)\nReferenced by:\n    TABLE \"logs\" CONSTRAINT \"Late\" FOREIGN KEY (ship) REFERENCES ships(name) MATCH FULL NOT VALID\n",
        "    TABLE \"logs\" CONSTRAINT \"logs_ship_fkey\" FOREIGN KEY (ship) REFERENCES ships(name) ON DELETE CASCADE\n",
    ];
    expect_lines(&commands, &lines);
}

#[test]
fn backslash_commands_with_more_detail() {
    let view = "CREATE VIEW big AS SELECT name FROM ships WHERE tons > 100";
    let commands =
        [SHIPS, view, "CREATE SEQUENCE tickets", "\\d+ ships", "\\d+ big", "\\dv", "\\ds", "\\di", "\\d ships_pkey", "\\d tickets"];
    let lines = [
        " name   | character varying(20) |           | not null |         | extended |             |              | ",
        " tons   | numeric(10,1)         |           | not null | 0       | main     |             |              | ",
        "Access method: heap",
        "View definition:\n SELECT name FROM ships WHERE tons > 100;",
        " public | big  | view | plimsoll",
        " public | tickets | sequence | plimsoll",
        " public | ships_pkey | index | plimsoll | ships",
        "primary key, btree, for table \"public.ships\"",
        " bigint |     1 |       1 | 9223372036854775807 |         1 | no      |     1",
    ];
    expect_lines(&commands, &lines);
}

/// Whatever else psql can list must at least list nothing without an error.
#[test]
fn the_other_lists_do_not_fail() {
    let lists = [
        "\\d+",
        "\\dt+",
        "\\dp",
        "\\df",
        "\\dT",
        "\\dx",
        "\\dn+",
        "\\l+",
        "\\db",
        "\\dm",
        "\\dP",
        "\\dX",
        "\\dRp",
        "\\dRs",
        "\\dD",
        "\\drds",
        "\\conninfo",
    ];
    let commands: Vec<&str> = [SHIPS].into_iter().chain(lists).collect();
    expect_lines(&commands, &["List of installed extensions"]);
}

/// Tools connect to a database `postgres` first: it is the one that there is, by another name, and they are told.
#[test]
fn the_database_that_tools_connect_to_first() {
    let server = ServerProcess::start();
    let url = server.url();
    let (address, _) = url.rsplit_once('/').expect("the database is the last part");
    let run = |database: &str, command: &str| {
        let url = format!("{address}/{database}");
        let output =
            Command::new("psql").args(["--no-psqlrc", "-At", "--set", "VERBOSITY=verbose", "--dbname", &url, "-c", command]).output();
        output.ok().map(|it| format!("{}{}", String::from_utf8_lossy(&it.stdout), String::from_utf8_lossy(&it.stderr)))
    };
    let Some(current) = run("postgres", "SELECT current_database(), string_agg(datname, ',') FROM pg_database") else {
        eprintln!("SKIPPED: psql does not run here");
        return;
    };
    assert!(current.contains("plimsoll|plimsoll") && current.contains("NOTICE"), "{current}");
    for (database, command, expected) in [
        ("postgres", "CREATE DATABASE plimsoll", "ERROR:  42P04: database \"plimsoll\" already exists"),
        ("postgres", "CREATE DATABASE other", "ERROR:  0A000: CREATE DATABASE is not supported"),
        ("postgres", "DROP DATABASE IF EXISTS other", "NOTICE:  00000: database \"other\" does not exist, skipping"),
        ("postgres", "DROP DATABASE other", "ERROR:  3D000: database \"other\" does not exist"),
        ("postgres", "DROP DATABASE plimsoll", "ERROR:  55006: cannot drop the currently open database"),
        ("template1", "SELECT 1", "FATAL:  database \"template1\" does not exist"),
    ] {
        let text = run(database, command).unwrap_or_default();
        assert!(text.contains(expected), "{command} on {database}: {text}");
    }
}
