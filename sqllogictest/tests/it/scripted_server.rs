//! A server that speaks just enough of the wire: it answers each simple query as its script says, and remembers what it was asked.

use async_trait::async_trait;
use sqllogictest_runner::{BoxError, Server};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// The answer to one query.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// One text column; `None` is NULL.
    Rows(Vec<Option<&'static str>>),
    /// A command that affected so many rows.
    Done(u64),
    /// SQLSTATE and message.
    Error(&'static str, &'static str),
    /// The connection is closed without an answer.
    Close,
}

/// The server. What the script does not name is answered with `Done(0)`.
pub(crate) struct ScriptedServer {
    port: u16,
    script: HashMap<&'static str, Answer>,
    asked: Mutex<Vec<String>>,
    connections: AtomicUsize,
    kill: broadcast::Sender<()>,
}

impl ScriptedServer {
    pub(crate) async fn start(script: &[(&'static str, Answer)]) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (kill, _) = broadcast::channel(1);
        let (asked, connections) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let server = Arc::new(Self { port, script: script.iter().cloned().collect(), asked, connections, kill });
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        server
    }

    /// Everything asked so far, each query after the number of its connection, in the order of arrival.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let mut killed = self.kill.subscribe();
        tokio::select! {
            _ = self.converse(&mut stream, number) => {}
            _ = killed.recv() => {}
        }
    }

    async fn converse(&self, stream: &mut TcpStream, number: usize) -> std::io::Result<()> {
        let startup_bytes = stream.read_u32().await? as usize - 4;
        stream.read_exact(&mut vec![0; startup_bytes]).await?;
        stream.write_all(&[message(b'R', &[0; 4]), ready()].concat()).await?;
        while stream.read_u8().await? == b'Q' {
            let mut sql = vec![0; stream.read_u32().await? as usize - 4];
            stream.read_exact(&mut sql).await?;
            let sql = String::from_utf8_lossy(&sql).trim_end_matches('\0').to_string();
            self.asked.lock().unwrap().push(format!("{number}: {sql}"));
            match self.script.get(sql.as_str()).unwrap_or(&Answer::Done(0)) {
                Answer::Close => break,
                answer => stream.write_all(&[frames(answer), ready()].concat()).await?,
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Server for ScriptedServer {
    fn url(&self) -> String {
        format!("postgresql://test@127.0.0.1:{}/test", self.port)
    }

    async fn restart(&self) -> Result<(), BoxError> {
        self.asked.lock().unwrap().push("restart".into());
        // No receiver means that nothing was connected.
        let _ = self.kill.send(());
        Ok(())
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[tag], &length[..], body].concat()
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn frames(answer: &Answer) -> Vec<u8> {
    match answer {
        Answer::Rows(values) => [description(), values.iter().flat_map(|v| data_row(*v)).collect(), complete("SELECT 0".into())].concat(),
        Answer::Done(count) => complete(format!("UPDATE {count}")),
        Answer::Error(code, text) => message(b'E', format!("SERROR\0VERROR\0C{code}\0M{text}\0\0").as_bytes()),
        Answer::Close => Vec::new(),
    }
}

/// One column named `c`, of type text.
fn description() -> Vec<u8> {
    message(b'T', &[&1u16.to_be_bytes()[..], b"c\0", &[0; 6], &25u32.to_be_bytes(), &[0; 8]].concat())
}

fn data_row(value: Option<&str>) -> Vec<u8> {
    let bytes = value.unwrap_or_default().as_bytes();
    let length = value.map_or(-1, |_| bytes.len() as i32);
    message(b'D', &[&1u16.to_be_bytes()[..], &length.to_be_bytes(), bytes].concat())
}

fn complete(tag: String) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}
