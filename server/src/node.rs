//! The composition root: open, recover, serve, drain.
//!
//! 1. Listen first, so that a port in use is told before anything is created.
//! 2. Open the data folder: the lock, the placement log (recovered to its last committed command), the segments.
//! 3. Start the background work, say how to connect, serve.
//! 4. On SIGTERM or SIGINT: stop accepting, let statements finish for a while, stop the background work, close the log.

use crate::access::bootstrap;
use crate::access::login::Door;
use crate::config::Config;
use crate::engine::Engine;
use crate::engine::threads::STACK_BYTES;
use crate::maintenance::Maintenance;
use crate::session::temporary::drop_leftovers;
use crate::wire::listener::{Entrance, Options, serve_engine, turn_away_until};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

mod entrance;

/// How long running statements get to finish once the server is told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a server until it is told to stop.
pub fn run(config: Config) -> Result<(), String> {
    start_logging();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads(&config))
        .thread_name("plimsoll")
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|e| format!("could not start threads: {e}"))?;
    runtime.block_on(serve(config))
}

/// One thread per core for queries, and one more so that a busy machine still answers new clients.
fn worker_threads(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    1 + if config.query_threads == 0 { cores } else { config.query_threads }
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PLIMSOLL_LOG").unwrap_or_else(|_| "warn,plimsoll=info,server=info".into());
    // A second logger in one process (tests) is no reason to fail.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}

async fn serve(config: Config) -> Result<(), String> {
    let listener = TcpListener::bind(config.listen).await.map_err(|e| {
        format!("could not listen on {}: {e}\nhint: is another server running there? choose another port with --listen", config.listen)
    })?;
    std::sync::LazyLock::force(&crate::functions::server_facts::STARTED);
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let data_dir = config.data_dir.clone();
    // Wrong files are told before anything is created.
    let rules = entrance::rules(&config)?;
    let tls = entrance::tls(&config)?;
    let opening = turn_away_until(&listener, "the database system is starting up", Engine::open(config));
    let engine = opening.await.map_err(|e| describe(&e))?;
    let given = std::env::var("PLIMSOLL_PASSWORD").ok();
    let credentials = bootstrap::superuser(&engine, given).await.map_err(|e| describe(&e))?;
    drop_leftovers(&engine).await.map_err(|e| describe(&e))?;
    let door = Door::new(engine.clone(), rules, credentials.are_in_file()).map_err(|e| describe(&e))?;
    let shutdown = CancellationToken::new();
    let background = Maintenance::start(&engine);
    stop_on_signal(shutdown.clone())?;
    println!("plimsoll {} is ready, with its data in {}", env!("CARGO_PKG_VERSION"), data_dir.display());
    entrance::reload_on_signal(&engine, door.clone(), tls.clone())?;
    println!("connect with: {}", entrance::how_to_connect(&engine.config, &credentials, address));
    let options = Options { connections_max: engine.config.connections_max, grace: DRAIN_TIMEOUT };
    serve_engine(engine.clone(), listener, options, Entrance { door, tls }, shutdown.cancelled_owned()).await;
    background.stop().await;
    close(engine).await
}

async fn close(engine: Arc<Engine>) -> Result<(), String> {
    engine.shutdown().await.map_err(|e| e.to_string())?;
    println!("plimsoll is down; everything acknowledged is on disk");
    Ok(())
}

fn stop_on_signal(shutdown: CancellationToken) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| format!("could not watch for SIGTERM: {e}"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| format!("could not watch for SIGINT: {e}"))?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        shutdown.cancel();
    });
    Ok(())
}

fn describe(error: &crate::error::SqlError) -> String {
    let mut text = error.message.to_string();
    for (label, more) in [("detail", &error.detail), ("hint", &error.hint)] {
        if let Some(more) = more {
            text.push_str(&format!("\n{label}: {more}"));
        }
    }
    text
}
