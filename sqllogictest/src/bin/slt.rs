//! `slt`: runs suite files against any server that speaks the PostgreSQL wire, or completes them with its answers.

use async_trait::async_trait;
use clap::Parser;
use sqllogictest_runner::{BoxError, Report, Server, complete_file, find_files, run_files};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Runs sqllogictest files against a server that speaks the PostgreSQL wire.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens.
    #[arg(long, default_value = "postgresql://plimsoll@127.0.0.1:5432/plimsoll")]
    url: String,
    /// Write the server's answers into the files instead of checking them.
    #[arg(long)]
    complete: bool,
    /// The name for `onlyif` and `skipif`. By default, what the server's version() says: plimsoll or postgresql.
    #[arg(long)]
    engine: Option<String>,
    /// A shell command that kills the server and starts it again, for files that say `restart`. Returns when connections are accepted.
    #[arg(long)]
    restart_command: Option<String>,
    /// Files, or folders of files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// A server that somebody else started.
struct Running {
    url: String,
    engine: String,
    restart_command: Option<String>,
}

#[async_trait]
impl Server for Running {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    async fn restart(&self) -> Result<(), BoxError> {
        let command = self.restart_command.as_deref().ok_or("give --restart-command for files that restart the server")?;
        let status = tokio::process::Command::new("sh").args(["-c", command]).stdout(std::process::Stdio::null()).status().await?;
        if status.success() { Ok(()) } else { Err(format!("{command}: {status}").into()) }
    }
}

async fn engine_of(url: &str) -> Result<String, BoxError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let messages = client.simple_query("SELECT version()").await?;
    drop(client);
    connection.await??;
    let version = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let is_plimsoll = version.is_none_or(|version| version.to_lowercase().contains("plimsoll"));
    Ok(if is_plimsoll { "plimsoll" } else { "postgresql" }.into())
}

async fn complete(files: &[PathBuf], server: Arc<dyn Server>) -> Result<bool, BoxError> {
    let mut problems = Vec::new();
    for file in files {
        problems.extend(complete_file(file, server.clone()).await?);
    }
    for problem in &problems {
        println!("{problem}\n");
    }
    println!("{} files completed, {} problems", files.len(), problems.len());
    Ok(problems.is_empty())
}

async fn run(files: Vec<PathBuf>, server: Arc<dyn Server>) -> bool {
    let report: Report = run_files(files, server).await;
    println!("{report}");
    report.passed()
}

fn all_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, BoxError> {
    let found: Result<Vec<_>, _> = paths.iter().map(|path| find_files(Path::new(path))).collect();
    let found = found?.concat();
    if found.is_empty() { Err("no .slt file found".into()) } else { Ok(found) }
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let Arguments { url, complete: completes, engine, restart_command, files } = Arguments::parse();
    let engine = match engine {
        Some(engine) => engine,
        None => engine_of(&url).await?,
    };
    let server = Arc::new(Running { url, engine, restart_command });
    let files = all_files(&files)?;
    let passed = if completes { complete(&files, server).await? } else { run(files, server).await };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
