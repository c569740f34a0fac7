//! A server process of the test's own: a free port, a temporary folder, killed and removed when dropped.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// How long a server may take until it says that it is ready. Generous: the machine may be busy with other tests.
const START_TIMEOUT: Duration = Duration::from_secs(60);

pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
    // Removed last: after the process.
    _temporary: Option<TempDir>,
}

impl ServerProcess {
    /// A server with fresh data in a temporary folder.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with settings from the environment, for instance `("PLIMSOLL_MEMORY_LIMIT", "1GiB")`.
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("data");
        let mut server = Self::start_in(folder, environment, &[]);
        server._temporary = Some(temporary);
        server
    }

    /// A server on a given folder, its command line preceded by `wrapper` (for instance `cgexec`).
    pub fn start_in(folder: PathBuf, environment: &[(&str, &str)], wrapper: &[&str]) -> Self {
        let environment: Vec<_> = environment.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let wrapper: Vec<_> = wrapper.iter().map(|w| w.to_string()).collect();
        let (child, address) = spawn(&folder, "127.0.0.1:0", &environment, &wrapper).unwrap();
        Self { child, address, folder, environment, wrapper, _temporary: None }
    }

    pub fn url(&self) -> String {
        format!("postgresql://plimsoll@{}/plimsoll", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Memory of the process that no file stands behind, in bytes.
    pub fn anonymous_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
    }

    pub async fn connect(&self) -> Client {
        connect(&self.url()).await.unwrap()
    }

    /// kill -9, and nothing of the process remains when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGTERM; answers the exit status.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }

    /// Starts again on the same folder and port.
    pub fn start_again(&mut self) {
        let (child, address) = spawn(&self.folder, &self.address.to_string(), &self.environment, &self.wrapper).unwrap();
        self.child = child;
        self.address = address;
    }

    /// `plimsoll check` of the folder (the server must be down): its exit status and output.
    pub fn check(&self) -> (Option<i32>, String) {
        check(&self.folder)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail only if the process is gone already, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_plimsoll")
}

pub fn check(folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(binary()).arg("check").arg("--data-dir").arg(folder).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

pub async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Starts a server and waits for its line about how to connect; an error holds what it printed instead.
pub fn spawn(folder: &Path, listen: &str, environment: &[(String, String)], wrapper: &[String]) -> Result<(Child, SocketAddr), String> {
    let mut words: Vec<String> = wrapper.to_vec();
    let trusted = !environment.iter().any(|(name, _)| matches!(name.as_str(), "PLIMSOLL_AUTH" | "PLIMSOLL_ACCESS_RULES_FILE"));
    words.extend([binary().into(), "serve".into(), "--listen".into(), listen.into(), "--data-dir".into(), folder.display().to_string()]);
    if trusted {
        words.extend(["--auth".into(), "trust".into()]);
    }
    let mut command = Command::new(&words[0]);
    // Settings of the tests are none of the server's, which would refuse to start.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PLIMSOLL_TEST_")) {
        command.env_remove(name);
    }
    let mut child = command
        .args(&words[1..])
        .envs(environment.iter().map(|(k, v)| (k, v)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let lines = lines_of(child.stdout.take().unwrap());
    let complaints = lines_of(child.stderr.take().unwrap());
    loop {
        match lines.recv_timeout(START_TIMEOUT) {
            Ok(line) if line.starts_with("connect with: ") => return Ok((child, address_in(&line))),
            Ok(_) => {}
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{error}: {}", complaints.iter().collect::<Vec<_>>().join("\n")));
            }
        }
    }
}

/// Reads lines for as long as the process lives, so that it never blocks on a full pipe.
fn lines_of(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if std::env::var_os("PLIMSOLL_TEST_OUTPUT").is_some() {
                eprintln!("server: {line}");
            }
            // The receiver may be gone: the server is up, and what it says later is not waited for.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn address_in(line: &str) -> SocketAddr {
    line.rsplit_once('@').and_then(|(_, rest)| rest.strip_suffix("/plimsoll")).unwrap().parse().unwrap()
}
