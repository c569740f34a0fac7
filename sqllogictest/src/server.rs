//! What the runner needs of whoever started the server under test.

use async_trait::async_trait;

/// Any error of the code that starts and stops the server.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A running server that speaks the PostgreSQL wire.
#[async_trait]
pub trait Server: Send + Sync {
    /// Where it listens now, as `postgresql://user@host:port/database`. Asked at each connect: a restart may change it.
    fn url(&self) -> String;

    /// What `onlyif NAME` and `skipif NAME` compare with.
    fn engine(&self) -> &str {
        "plimsoll"
    }

    /// Kills the process as `kill -9` does, and starts it again on the same data. Returns when it accepts connections.
    async fn restart(&self) -> Result<(), BoxError>;
}
