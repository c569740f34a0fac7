//! The sqllogictest suites, over the wire, against real server processes.

use crate::server_process::{ServerProcess, binary};
use crate::source_folder::crate_folder;
use parking_lot::Mutex;
use sqllogictest_runner::{BoxError, Report, Server, run_suite};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// A process that a suite may kill and start again.
struct Restartable(Mutex<ServerProcess>);

#[async_trait::async_trait]
impl Server for Restartable {
    fn url(&self) -> String {
        self.0.lock().url()
    }

    async fn restart(&self) -> Result<(), BoxError> {
        let mut process = self.0.lock();
        process.kill();
        process.start_again();
        Ok(())
    }
}

fn suites() -> PathBuf {
    crate_folder().join("../sqllogictest/suites")
}

async fn run(topic: &str) -> (Report, Arc<Restartable>) {
    let server = Arc::new(Restartable(Mutex::new(ServerProcess::start())));
    let filter = std::env::var("PLIMSOLL_TEST_SUITE").ok();
    let report = run_suite(&suites().join(topic), server.clone(), filter.as_deref()).await.unwrap();
    println!("{report}");
    (report, server)
}

macro_rules! suite {
    ($($name:ident: $topic:literal),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let (report, _server) = run($topic).await;
            assert!(report.passed(), "{} of {} records failed:\n{report}", report.failed(), report.records());
        })*

        /// A folder of suites that nobody runs guards nothing.
        #[test]
        fn every_topic_is_run() {
            let known = [$($topic),*, "tpch", "tpch-scale-1"];
            for entry in std::fs::read_dir(suites()).unwrap() {
                let topic = entry.unwrap().file_name();
                assert!(known.contains(&topic.to_str().unwrap()), "nobody runs {topic:?}");
            }
        }
    };
}

suite! {
    access: "access",
    aggregate: "aggregate",
    catalog: "catalog",
    copy: "copy",
    cte: "cte",
    ddl: "ddl",
    dml: "dml",
    errors: "errors",
    join: "join",
    restart: "restart",
    select: "select",
    session: "session",
    functions: "functions",
    dialect: "dialect",
    setops: "setops",
    subquery: "subquery",
    transactions: "transactions",
    types: "types",
    window: "window",
}

/// The 22 queries, their answers from independent engines. `PLIMSOLL_TEST_TPCH_SCALE_1` runs them at scale 1 too.
#[tokio::test(flavor = "multi_thread")]
async fn tpch() {
    tpch_at("0.01", "tpch").await;
    if std::env::var_os("PLIMSOLL_TEST_TPCH_SCALE_1").is_some() {
        tpch_at("1", "tpch-scale-1").await;
    }
}

async fn tpch_at(scale: &str, topic: &str) {
    let server = Arc::new(Restartable(Mutex::new(ServerProcess::start())));
    let loaded = Command::new(binary()).args(["tpch", "--scale", scale, "--url", &server.url()]).output().unwrap();
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    let report = run_suite(&suites().join(topic), server.clone(), None).await.unwrap();
    assert!(report.passed(), "{} of {} records failed:\n{report}", report.failed(), report.records());
}
