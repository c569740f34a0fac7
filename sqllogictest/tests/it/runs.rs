//! What a run sends, counts, reports and survives.

use crate::scripted_server::{Answer, ScriptedServer};
use sqllogictest_runner::{complete_file, run_suite};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn suite(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("topic")).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join("topic").join(name), text).unwrap();
    }
    folder
}

fn file(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join("topic").join(name)
}

fn position(asked: &[String], what: &str) -> usize {
    asked.iter().position(|line| line.ends_with(what)).unwrap_or_else(|| panic!("{what} was never asked: {asked:#?}"))
}

#[tokio::test]
async fn a_file_lives_in_a_schema_of_its_own() {
    let server = ScriptedServer::start(&[]).await;
    let folder = suite(&[("a.slt", "statement ok\nfirst\n\nconnection other\nstatement ok\nsecond\n")]);
    let report = run_suite(folder.path(), server.clone(), None).await.unwrap();
    assert!(report.passed(), "{report}");
    let expected = [
        "0: DROP SCHEMA IF EXISTS slt_topic_a CASCADE",
        "0: CREATE SCHEMA slt_topic_a",
        "1: SET search_path TO slt_topic_a",
        "1: first",
        "2: SET search_path TO slt_topic_a",
        "2: second",
        "3: DROP SCHEMA slt_topic_a CASCADE",
    ];
    assert_eq!(server.asked(), expected);
}

#[tokio::test]
async fn each_failure_is_told_with_its_place_and_the_file_goes_on() {
    let script = [
        ("three", Answer::Rows(vec![Some("1"), None, Some("")])),
        ("fails", Answer::Error("42P01", "no such table")),
        ("updates", Answer::Done(2)),
    ];
    let server = ScriptedServer::start(&script).await;
    let text = "query I\nthree\n----\n1\nNULL\n(empty)\n\nquery T\nthree\n----\n1\nNULL\n(empty)\n\nquery T\nthree\n----\n1\n\n\
                statement error (42P01)\nfails\n\nstatement error no such table \\(SQLSTATE 42P01\\)\nfails\n\nstatement error (42703)\nfails\n\n\
                statement ok\nfails\n\nstatement error\nupdates\n\nstatement count 2\nupdates\n\nstatement count 3\nupdates\n\n\
                skipif plimsoll\nstatement ok\nfails\n";
    let folder = suite(&[("a.slt", text)]);
    let report = run_suite(folder.path(), server, None).await.unwrap();
    assert_eq!((report.records(), report.skipped(), report.failed()), (10, 1, 6), "{report}");
    let places: Vec<&str> = report.files[0].failures.iter().map(|f| f.trim_end().rsplit(':').next().unwrap()).collect();
    assert_eq!(places, ["1", "15", "26", "29", "32", "38"]);
    assert!(!report.passed());
}

#[tokio::test]
async fn a_restart_goes_to_the_server_and_all_connections_are_opened_again() {
    let server = ScriptedServer::start(&[]).await;
    let text = "statement ok\nbefore\n\nconnection other\nstatement ok\nbefore other\n\nstatement ok\nrestart\n\n\
                statement ok\nafter\n\nconnection other\nstatement ok\nafter other\n";
    let folder = suite(&[("z.slt", text), ("a.slt", "statement ok\nalone\n")]);
    let report = run_suite(folder.path(), server.clone(), None).await.unwrap();
    assert!(report.passed(), "{report}");
    let asked = server.asked();
    let restart = position(&asked, "restart");
    assert!(position(&asked, "DROP SCHEMA slt_topic_a CASCADE") < position(&asked, "CREATE SCHEMA slt_topic_z"), "{asked:#?}");
    let after: Vec<&str> = asked[restart + 1..].iter().map(|line| line.split_once(": ").unwrap().1).collect();
    let path = "SET search_path TO slt_topic_z";
    assert_eq!(after, [path, "after", path, "after other", "DROP SCHEMA slt_topic_z CASCADE"]);
}

#[tokio::test]
async fn a_lost_connection_fails_the_record_that_lost_it_and_no_other() {
    let server = ScriptedServer::start(&[("crash", Answer::Close)]).await;
    let folder = suite(&[("a.slt", "statement ok\nbefore\n\nstatement ok\ncrash\n\nstatement ok\nafter\n")]);
    let report = run_suite(folder.path(), server.clone(), None).await.unwrap();
    assert_eq!((report.records(), report.failed()), (3, 1), "{report}");
    assert!(report.files[0].failures[0].contains("connection: "), "{report}");
    position(&server.asked(), ": after");
}

#[tokio::test]
async fn a_filter_chooses_files_and_a_bad_file_is_a_failure() {
    let server = ScriptedServer::start(&[]).await;
    let folder = suite(&[("good.slt", "statement ok\nx\n"), ("bad.slt", "stetement ok\nx\n"), ("not-a-suite.txt", "?")]);
    let good = run_suite(folder.path(), server.clone(), Some("good")).await.unwrap();
    assert!(good.passed() && good.files.len() == 1, "{good}");
    let all = run_suite(folder.path(), server.clone(), None).await.unwrap();
    assert_eq!((all.files.len(), all.failed()), (2, 1), "{all}");
    let none = run_suite(folder.path(), server.clone(), Some("no such name")).await.unwrap();
    assert!(none.passed() && none.files.is_empty(), "{none}");
    assert!(run_suite(suite(&[]).path(), server.clone(), None).await.is_err());
    assert!(run_suite(Path::new("/nowhere/at/all"), server, None).await.is_err());
}

#[tokio::test]
async fn completion_writes_answers_and_leaves_surprises_alone() {
    let script = [("rows", Answer::Rows(vec![Some("7"), Some(" x ")])), ("fails", Answer::Error("22012", "division by zero"))];
    let server = ScriptedServer::start(&script).await;
    let before = "# kept\nquery\nrows\n----\nold\n\nstatement error\nfails\n\nstatement ok\nfails\n\nquery error (42P01)\nrows\n";
    let folder = suite(&[("a.slt", before)]);
    let problems = complete_file(&file(&folder, "a.slt"), server).await.unwrap();
    let after =
        "# kept\nquery T\nrows\n----\n7\n·x·\n\nstatement error (22012)\nfails\n\nstatement ok\nfails\n\nquery error (42P01)\nrows\n";
    assert_eq!(std::fs::read_to_string(file(&folder, "a.slt")).unwrap(), after);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("division by zero") && problems[1].contains("should fail, and succeeds"), "{problems:?}");
}
