//! Accepts connections, up to a number; when the server stops, lets their statements finish for a while.

use super::backend::Backend;
use super::connection;
use crate::access::login::Doorkeeper;
use crate::access::tls::Tls;
use crate::engine::Engine;
use crate::engine::cancel::Cancels;
use crate::error::{Result, SqlError, SqlState};
use crate::session::{Identity, Session};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections over the limit that are told so at the same time; more are closed without a word.
const REFUSALS_MAX: usize = 64;
/// After its statement was ended, a connection has this long to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// How connections are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at once.
    pub connections_max: usize,
    /// When the server stops, running statements have this long.
    pub grace: Duration,
}

/// What a client passes on its way in.
pub struct Entrance {
    /// Who may come in.
    pub door: Arc<dyn Doorkeeper>,
    /// What connections are encrypted with; `None`: nothing.
    pub tls: Option<Arc<Tls>>,
}

/// Makes the session of a client that has started: who it is, and the settings it asked for.
pub type Open<B> = dyn Fn(Identity, Vec<(String, String)>) -> Result<B> + Send + Sync;

/// What all connections share.
pub(super) struct Shared<B> {
    pub(super) open: Box<Open<B>>,
    /// Who may come in.
    pub(super) door: Arc<dyn Doorkeeper>,
    /// What connections are encrypted with.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) cancels: Arc<Cancels>,
    /// The server stops: idle connections end.
    pub(super) draining: CancellationToken,
    /// The grace period is over: all end.
    pub(super) kill: CancellationToken,
}

/// Serves sessions of an engine until `shutdown` is ready and all connections have ended.
pub async fn serve_engine(
    engine: Arc<Engine>,
    listener: TcpListener,
    options: Options,
    entrance: Entrance,
    shutdown: impl Future<Output = ()>,
) {
    let cancels = engine.cancels.clone();
    let open = move |identity, settings| Session::new(engine.clone(), identity, settings);
    serve(listener, options, entrance, Box::new(open), cancels, shutdown).await;
}

/// Serves any sessions.
pub async fn serve<B: Backend>(
    listener: TcpListener,
    options: Options,
    entrance: Entrance,
    open: Box<Open<B>>,
    cancels: Arc<Cancels>,
    shutdown: impl Future<Output = ()>,
) {
    let Entrance { door, tls } = entrance;
    let shared = Arc::new(Shared { open, door, tls, cancels, draining: CancellationToken::new(), kill: CancellationToken::new() });
    let connections = TaskTracker::new();
    tokio::select! {
        () = accept(&listener, &options, &shared, &connections) => {}
        () = shutdown => {}
    }
    let drained = async {
        shared.draining.cancel();
        connections.close();
        if tokio::time::timeout(options.grace, connections.wait()).await.is_err() {
            shared.kill.cancel();
            let _ = tokio::time::timeout(GOODBYE * 2, connections.wait()).await;
        }
    };
    turn_away_until(&listener, "the database system is shutting down", drained).await;
}

/// Tells whoever connects to come again later (57P03), until a future is ready.
pub async fn turn_away_until<T>(listener: &TcpListener, reason: &'static str, until: impl Future<Output = T>) -> T {
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let refusing = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let Ok(permit) = refusals.clone().try_acquire_owned() else { continue };
                    let error = SqlError::new(SqlState::CANNOT_CONNECT_NOW, reason);
                    tokio::spawn(async move {
                        let _ = tokio::time::timeout(GOODBYE, connection::turn_away(stream, error)).await;
                        drop(permit);
                    });
                }
                Err(error) => pause_if_out_of_files(&error).await,
            }
        }
    };
    tokio::select! {
        value = until => value,
        never = refusing => never,
    }
}

async fn accept<B: Backend>(listener: &TcpListener, options: &Options, shared: &Arc<Shared<B>>, connections: &TaskTracker) {
    let permits = Arc::new(Semaphore::new(options.connections_max.min(Semaphore::MAX_PERMITS)));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    loop {
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                pause_if_out_of_files(&error).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        if let Ok(permit) = permits.clone().try_acquire_owned() {
            connections.spawn(async move {
                connection::serve(stream, client, shared, false).await;
                drop(permit);
            });
        } else if let Ok(permit) = refusals.clone().try_acquire_owned() {
            connections.spawn(async move {
                refuse(stream, client, shared).await;
                drop(permit);
            });
        }
    }
}

/// A request to cancel must get through even when there is no room.
async fn refuse<B: Backend>(stream: TcpStream, client: std::net::SocketAddr, shared: Arc<Shared<B>>) {
    let _ = tokio::time::timeout(GOODBYE, connection::serve(stream, client, shared, true)).await;
}

/// Out of file handles there is no event to wait for: whoever closes one tells nobody.
async fn pause_if_out_of_files(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted && error.kind() != io::ErrorKind::ConnectionReset {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests;
