//! Rows a second over the wire, out and in, of several servers in turn: Plimsoll beside PostgreSQL, or beside an older Plimsoll.
//!
//! 1. Each server has a table `lineitem` already (`plimsoll tpch --scale 1 --url URL` loads it into any of them).
//! 2. Out: `SELECT * FROM lineitem` in text (simple protocol) and binary (extended protocol), and `COPY lineitem TO STDOUT`. The client counts
//!    messages and looks at nothing else, so that it is the server which is measured.
//! 3. In: what COPY gave, as CSV and as text, is sent to a table `lineitem_copy` of the same columns, which is emptied first.
//!
//! `PLIMSOLL_BENCH_SERVERS` names the servers: `name=host:port/user/database[@pid]`, separated by blanks. With a process id, the CPU time of the
//! server is shown too (children that have ended included, as PostgreSQL's backends are). `PLIMSOLL_BENCH_ROUNDS` (3) is how often they take turns,
//! `PLIMSOLL_BENCH_ROWS` how many rows are copied in (all).
//!
//!     PLIMSOLL_BENCH_SERVERS='plimsoll=127.0.0.1:5432/plimsoll/plimsoll postgres=127.0.0.1:5433/postgres/postgres' \
//!         cargo bench -p plimsoll-server --bench wire
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

const READ_BYTES: usize = 256 << 10;
/// Bytes of one CopyData message: what psql sends is a line, what other clients send is of this order.
const COPY_BYTES: usize = 64 << 10;

fn main() {
    let servers: Vec<Server> = std::env::var("PLIMSOLL_BENCH_SERVERS").unwrap_or_default().split_whitespace().map(Server::parse).collect();
    if servers.is_empty() {
        return println!("PLIMSOLL_BENCH_SERVERS names no server: nothing is measured");
    }
    let rounds: usize = std::env::var("PLIMSOLL_BENCH_ROUNDS").map_or(3, |text| text.parse().unwrap());
    let only = std::env::var("PLIMSOLL_BENCH_ONLY").unwrap_or_default();
    for (name, run) in [("select, text", select_text as fn(&Server) -> u64), ("select, binary", select_binary), ("copy out", copy_out)] {
        if name.contains(&only) {
            compare(name, &servers, rounds, run);
        }
    }
    for options in ["csv", "text"] {
        let name = format!("copy in, {options}");
        if name.contains(&only) {
            let data = copied(&servers[0], options);
            compare(&name, &servers, rounds, |server| copy_in(server, options, &data));
        }
    }
}

/// Each server's best of some rounds, taking turns; and the ratio of each to the last.
fn compare(name: &str, servers: &[Server], rounds: usize, run: impl Fn(&Server) -> u64) {
    let mut best = vec![(f64::MAX, f64::MAX); servers.len()];
    let mut rows = 0;
    for _ in 0..rounds {
        for (server, best) in servers.iter().zip(&mut best) {
            server.prepare();
            let (started, cpu) = (Instant::now(), server.cpu_seconds());
            rows = run(server);
            *best = (best.0.min(started.elapsed().as_secs_f64()), best.1.min(server.cpu_seconds() - cpu));
        }
    }
    let last = best[best.len() - 1];
    for (server, best) in servers.iter().zip(&best) {
        let rate = rows as f64 / best.0 / 1e6;
        let (faster, leaner) = (last.0 / best.0, last.1 / best.1);
        let cpu = best.1;
        println!("{name:16} {:12} {rate:6.2} M rows/s, {cpu:6.2} s of CPU; {faster:5.2} times as fast, {leaner:5.2} for CPU", server.name);
    }
}

struct Server {
    name: String,
    address: String,
    user: String,
    database: String,
    pid: Option<u32>,
}

impl Server {
    fn parse(text: &str) -> Self {
        let (name, rest) = text.split_once('=').unwrap();
        let (place, pid) = rest.split_once('@').map_or((rest, None), |(place, pid)| (place, Some(pid.parse().unwrap())));
        let parts: Vec<&str> = place.split('/').collect();
        let [address, user, database] = parts[..] else { panic!("{text} is not name=host:port/user/database") };
        Self { name: name.into(), address: address.into(), user: user.into(), database: database.into(), pid }
    }
    /// Seconds of CPU that the server and its ended children have used.
    fn cpu_seconds(&self) -> f64 {
        let stat = self.pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace().skip(11).take(4);
        fields.map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }
    fn connect(&self) -> Client {
        Client::connect(self)
    }
    /// An empty table to copy into.
    fn prepare(&self) {
        let mut client = self.connect();
        client.simple("DROP TABLE IF EXISTS lineitem_copy");
        client.simple("CREATE TABLE lineitem_copy AS SELECT * FROM lineitem LIMIT 0");
        client.close();
    }
}

fn select_text(server: &Server) -> u64 {
    let mut client = server.connect();
    let rows = client.simple("SELECT * FROM lineitem");
    client.close();
    rows
}

fn select_binary(server: &Server) -> u64 {
    let mut client = server.connect();
    client.send(b'P', b"\0SELECT * FROM lineitem\0\0\0");
    client.send(b'B', b"\0\0\0\0\0\0\0\x01\0\x01");
    client.send(b'E', b"\0\0\0\0\0");
    client.send(b'S', b"");
    let rows = client.until_ready(b'D', |_| {});
    client.close();
    rows
}

fn copy_out(server: &Server) -> u64 {
    let mut client = server.connect();
    client.query("COPY lineitem TO STDOUT");
    let rows = client.until_ready(b'd', |_| {});
    client.close();
    rows
}

/// What a server's COPY gives, up to a number of rows.
fn copied(server: &Server, format: &str) -> Vec<u8> {
    let rows_max = std::env::var("PLIMSOLL_BENCH_ROWS").map_or(String::new(), |rows| format!(" LIMIT {rows}"));
    let mut client = server.connect();
    let mut data = Vec::new();
    client.query(&format!("COPY (SELECT * FROM lineitem{rows_max}) TO STDOUT (FORMAT {format})"));
    client.until_ready(b'd', |row| data.extend_from_slice(row));
    client.close();
    data
}

fn copy_in(server: &Server, format: &str, data: &[u8]) -> u64 {
    let mut client = server.connect();
    client.query(&format!("COPY lineitem_copy FROM STDIN (FORMAT {format})"));
    for piece in data.chunks(COPY_BYTES) {
        client.send(b'd', piece);
    }
    client.send(b'c', b"");
    client.until_ready(b'D', |_| {});
    let rows = data.iter().filter(|byte| **byte == b'\n').count();
    client.close();
    rows as u64
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(&server.address).unwrap();
        let mut client = Self { stream, buffer: vec![0; READ_BYTES], start: 0, end: 0 };
        let options = format!("user\0{}\0database\0{}\0\0", server.user, server.database);
        let mut startup = ((options.len() + 8) as u32).to_be_bytes().to_vec();
        startup.extend_from_slice(&196_608u32.to_be_bytes());
        startup.extend_from_slice(options.as_bytes());
        client.stream.write_all(&startup).unwrap();
        client.until_ready(b'D', |_| {});
        client
    }
    fn send(&mut self, kind: u8, body: &[u8]) {
        let mut message = Vec::with_capacity(body.len() + 5);
        message.push(kind);
        message.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        message.extend_from_slice(body);
        self.stream.write_all(&message).unwrap();
    }
    fn query(&mut self, sql: &str) {
        self.send(b'Q', format!("{sql}\0").as_bytes());
    }
    fn simple(&mut self, sql: &str) -> u64 {
        self.query(sql);
        self.until_ready(b'D', |_| {})
    }
    fn close(mut self) {
        self.send(b'X', b"");
        // The server is done with the connection when it closes it: then its time counts.
        while self.stream.read(&mut self.buffer).is_ok_and(|read| read > 0) {}
    }
    /// Reads until ReadyForQuery; gives `take` the body of each message of one kind, and answers how many there were.
    fn until_ready(&mut self, kind: u8, mut take: impl FnMut(&[u8])) -> u64 {
        let mut count = 0;
        loop {
            let available = &self.buffer[self.start..self.end];
            let length = available.get(1..5).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()) as usize);
            if length == 0 || available.len() < length + 1 {
                self.read(length + 1);
                continue;
            }
            let (found, body) = (available[0], &available[5..length + 1]);
            match found {
                b'E' => panic!("{}", String::from_utf8_lossy(body)),
                b'Z' => {
                    self.start += length + 1;
                    return count;
                }
                found if found == kind => {
                    count += 1;
                    take(body);
                }
                _ => {}
            }
            self.start += length + 1;
        }
    }
    fn read(&mut self, needed: usize) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.end..]).unwrap();
        assert!(read > 0, "the server closed the connection");
        self.end += read;
    }
}
