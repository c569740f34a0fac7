//! Whatever a client sends, in whatever order, whole, cut off or with lengths that lie: the server answers in whole messages, fails nowhere that
//! it should not, lets go when the client does, takes no memory for what has not come, and serves the next one.

use crate::server_process::ServerProcess;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRng, TestRunner};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Conversations in a run; `PLIMSOLL_TEST_CONVERSATIONS` makes it another number, and each run another one.
const CONVERSATIONS: u32 = 120;
/// How long the server may take for one: all that is asked for is quick.
const ANSWER: Duration = Duration::from_secs(20);
/// What one conversation may add to the server's memory at its peak, for all that it announces.
const MEMORY_MIB_MAX: u64 = 256;

const TEXTS: [&str; 30] = [
    "",
    ";",
    "SELECT 1",
    "SELECT $1::int + 1",
    "SELECT $1, $2",
    "SELECT $65535",
    "SELECT i, repeat('x', 100) FROM generate_series(1, 2000) g(i)",
    "SELECT 1; SELECT 2; SELECT 1 / 0; SELECT 3",
    "SELECT 1 / 0",
    "SELEC",
    "SELECT 'unterminated",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "INSERT INTO sent VALUES ($1, $2)",
    "INSERT INTO sent VALUES (1, 'x') RETURNING *",
    "COPY sent FROM STDIN",
    "COPY sent FROM STDIN (FORMAT binary)",
    "COPY sent TO STDOUT",
    "COPY sent FROM STDIN; SELECT 1; COPY sent TO STDOUT (FORMAT csv)",
    "DECLARE c SCROLL CURSOR FOR SELECT * FROM generate_series(1, 10)",
    "FETCH 3 FROM c",
    "MOVE 3 IN p",
    "CLOSE ALL",
    "PREPARE s AS SELECT $1::text",
    "EXECUTE s('x')",
    "DISCARD ALL",
    "SET statement_timeout = '1s'",
];

/// What a client writes at once.
#[derive(Clone, Debug)]
enum Sent {
    Message(u8, Vec<u8>),
    /// A message that says another length than it has.
    Lying(u8, i32, Vec<u8>),
    Bytes(Vec<u8>),
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        let frame = |kind: u8, length: i32, body: &[u8]| [&[kind][..], &length.to_be_bytes(), body].concat();
        match self {
            Self::Message(kind, body) => frame(*kind, body.len() as i32 + 4, body),
            Self::Lying(kind, length, body) => frame(*kind, *length, body),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(""), Just("s"), Just("p"), Just("c")].prop_map(terminated)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(TEXTS.as_slice()).prop_map(terminated)
}

/// A number of things, which mostly is the number that follows.
fn counted(things: Vec<Vec<u8>>, lie: Option<u16>) -> Vec<u8> {
    let count = lie.unwrap_or(things.len() as u16);
    [&count.to_be_bytes()[..], &things.concat()].concat()
}

fn lie() -> impl Strategy<Value = Option<u16>> {
    prop_oneof![9 => Just(None), 1 => any::<u16>().prop_map(Some)]
}

fn formats() -> impl Strategy<Value = Vec<u8>> {
    let format = prop_oneof![8 => 0..=1i16, 1 => any::<i16>()].prop_map(|format| format.to_be_bytes().to_vec());
    (vec(format, 0..3), lie()).prop_map(|(formats, lie)| counted(formats, lie))
}

fn parameter() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![Just(b"7".to_vec()), Just(vec![0, 0, 0, 7]), Just(b"text".to_vec()), vec(any::<u8>(), 0..20)];
    let length = prop_oneof![9 => Just(None), 1 => any::<i32>().prop_map(Some)];
    prop_oneof![
        1 => Just((-1i32).to_be_bytes().to_vec()),
        4 => (value, length).prop_map(|(value, lie)| [&lie.unwrap_or(value.len() as i32).to_be_bytes()[..], &value].concat()),
    ]
}

fn bind() -> impl Strategy<Value = Vec<u8>> {
    let parameters = (vec(parameter(), 0..4), lie()).prop_map(|(parameters, lie)| counted(parameters, lie));
    (name(), name(), formats(), parameters, formats()).prop_map(|(portal, statement, f, p, r)| [portal, statement, f, p, r].concat())
}

fn parse() -> impl Strategy<Value = Vec<u8>> {
    let oid = prop_oneof![Just(0u32), Just(23), Just(25), any::<u32>()].prop_map(|oid| oid.to_be_bytes().to_vec());
    (name(), text(), vec(oid, 0..3), lie()).prop_map(|(name, text, oids, lie)| [name, text, counted(oids, lie)].concat())
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    (prop_oneof![Just(b'S'), Just(b'P'), any::<u8>()], name()).prop_map(|(kind, name)| [vec![kind], name].concat())
}

fn execute() -> impl Strategy<Value = Vec<u8>> {
    let rows = prop_oneof![Just(0i32), Just(1), Just(700), any::<i32>()];
    (name(), rows).prop_map(|(name, rows)| [&name[..], &rows.to_be_bytes()].concat())
}

fn message() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let of = |kind: u8, body: BoxedStrategy<Vec<u8>>| body.prop_map(move |body| (kind, body)).boxed();
    let nothing = || Just(Vec::new()).boxed();
    let data = prop_oneof![Just(b"1\tx\n".to_vec()), Just(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff".to_vec()), vec(any::<u8>(), 0..50)];
    prop_oneof![
        4 => of(b'Q', text().boxed()),
        6 => of(b'P', parse().boxed()),
        6 => of(b'B', bind().boxed()),
        3 => of(b'D', target().boxed()),
        6 => of(b'E', execute().boxed()),
        2 => of(b'C', target().boxed()),
        4 => of(b'S', nothing()),
        1 => of(b'H', nothing()),
        3 => of(b'd', data.boxed()),
        2 => of(b'c', nothing()),
        1 => of(b'f', Just(b"no more\0".to_vec()).boxed()),
        1 => of(b'F', vec(any::<u8>(), 0..12).boxed()),
        1 => of(b'p', vec(any::<u8>(), 0..12).boxed()),
        1 => any::<u8>().prop_flat_map(move |kind| vec(any::<u8>(), 0..12).prop_map(move |body| (kind, body))).boxed(),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let cut = (message(), any::<prop::sample::Index>()).prop_map(|((kind, mut body), at)| {
        body.truncate(at.index(body.len() + 1));
        Sent::Message(kind, body)
    });
    let flipped = (message(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|((kind, mut body), at, byte)| {
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
        }
        Sent::Message(kind, body)
    });
    let length = prop_oneof![Just(0), Just(-1), Just(3), Just(i32::MAX), Just(i32::MIN), Just(1 << 20), -10..200i32];
    let lying = (message(), length).prop_map(|((kind, body), length)| Sent::Lying(kind, length, body));
    prop_oneof![
        20 => message().prop_map(|(kind, body)| Sent::Message(kind, body)),
        2 => cut,
        2 => flipped,
        1 => lying,
        1 => vec(any::<u8>(), 0..40).prop_map(Sent::Bytes),
    ]
}

/// What comes first: mostly what should.
fn first() -> impl Strategy<Value = Vec<u8>> {
    let packet = |body: &[u8]| [&(body.len() as i32 + 4).to_be_bytes()[..], body].concat();
    let startup = packet(b"\0\x03\0\0user\0plimsoll\0database\0plimsoll\0\0");
    let encryption = [packet(&80_877_103u32.to_be_bytes()), startup.clone()].concat();
    let option = packet(b"\0\x03\0\x07user\0plimsoll\0_pq_.none\0x\0options\0-c statement_timeout=900\0\0");
    let nonsense = packet(b"\0\x03\0\0user\0\xff\0\0");
    let cancel = (any::<u32>(), any::<u32>())
        .prop_map(move |(id, secret)| packet(&[80_877_102u32.to_be_bytes(), id.to_be_bytes(), secret.to_be_bytes()].concat()));
    let announced = any::<i32>().prop_map(|length| length.to_be_bytes().to_vec());
    prop_oneof![
        24 => Just(startup),
        2 => Just(encryption),
        2 => Just(option),
        1 => Just(nonsense),
        1 => cancel,
        1 => announced,
        1 => vec(any::<u8>(), 0..60),
    ]
}

/// Sends all, and answers what comes back until the server closes; `Err` if it does not.
fn converse(server: &ServerProcess, first: &[u8], sent: &[Sent]) -> Result<(Vec<u8>, bool), String> {
    let mut stream = TcpStream::connect(server.address()).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(ANSWER)).map_err(|error| error.to_string())?;
    let all: Vec<u8> = first.iter().copied().chain(sent.iter().flat_map(Sent::bytes)).collect();
    // The server may have had enough before the end: what it says counts.
    let _ = stream.write_all(&all);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => Ok((answer, true)),
        // Some of what was sent was not read any more.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok((answer, false)),
        Err(error) => Err(format!("no end after {ANSWER:?}: {error}")),
    }
}

/// The answer is messages of the protocol, whole ones if the connection ended in peace, and no error is one of the server's own.
fn check(mut answer: &[u8], whole: bool) -> Result<(), String> {
    if let Some(rest) = answer.strip_prefix(b"N").filter(|rest| rest.is_empty() || matches!(rest[0], b'R' | b'E')) {
        answer = rest;
    }
    while !answer.is_empty() {
        let Some(length) = answer.get(1..5).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize) else {
            break;
        };
        if !b"RKSZEN123nstTDCIGHdcvA".contains(&answer[0]) || length < 4 {
            return Err(format!("no message: {:?}", &answer[..answer.len().min(40)]));
        }
        let Some(body) = answer.get(5..length + 1) else { break };
        if answer[0] == b'E' && body.windows(7).any(|field| field == b"CXX000\0") {
            return Err(format!("an error of the server's own: {}", String::from_utf8_lossy(body)));
        }
        answer = &answer[length + 1..];
    }
    if whole && !answer.is_empty() { Err(format!("cut off: {answer:?}")) } else { Ok(()) }
}

fn peak_mib(server: &ServerProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_bytes_are_answered_or_refused() {
    let server = ServerProcess::start();
    server.connect().await.batch_execute("CREATE TABLE sent (a int, b text)").await.unwrap();
    let asked = std::env::var("PLIMSOLL_TEST_CONVERSATIONS").ok().map(|number| number.parse().unwrap());
    let config = Config { cases: asked.unwrap_or(CONVERSATIONS), failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = if asked.is_some() { TestRunner::new(config) } else { TestRunner::new_with_rng(config, rng) };
    let before = peak_mib(&server);
    let result = tokio::task::block_in_place(|| {
        runner.run(&(first(), vec(sent(), 0..16)), |(first, sent)| {
            let (answer, whole) = converse(&server, &first, &sent).map_err(TestCaseError::fail)?;
            check(&answer, whole).map_err(TestCaseError::fail)
        })
    });
    if let Err(TestError::Fail(reason, (first, sent))) = result {
        panic!("{reason}\nafter {first:?}\n{sent:#?}");
    }
    let (after, client) = (peak_mib(&server), server.connect().await);
    assert!(after < before + MEMORY_MIB_MAX, "{before} MiB before, {after} MiB after");
    assert_eq!(client.query_one("SELECT 1::int", &[]).await.unwrap().get::<_, i32>(0), 1);
    while client.query_one("SELECT count(*) FROM pg_stat_activity", &[]).await.unwrap().get::<_, i64>(0) > 1 {
        tokio::task::yield_now().await;
    }
}
