//! Who may come in: passwords, certificates, rules, what a client can send before it is known. Real psql, real processes.

use crate::server_process::{ServerProcess, binary, connect};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn state(error: &tokio_postgres::Error) -> String {
    error.code().map(|code| code.code().to_string()).unwrap_or_default()
}

fn url(server: &ServerProcess, user: &str, password: &str, database: &str) -> String {
    format!("postgresql://{user}:{password}@{}/{database}", server.address())
}

/// Runs psql with a connection string and a password; answers what it printed. `None`, loudly, where there is no psql.
fn psql(connection: &str, password: &str, commands: &[&str]) -> Option<String> {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--no-password", "--dbname", connection]).env_remove("PGPASSFILE");
    psql.env("LC_ALL", "C.UTF-8").env("HOME", "/nonexistent");
    if password.is_empty() {
        psql.env_remove("PGPASSWORD")
    } else {
        psql.env("PGPASSWORD", password)
    };
    for command in commands {
        psql.args(["-c", command]);
    }
    match psql.output() {
        Ok(output) => Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))),
        Err(error) => {
            eprintln!("SKIPPED: psql does not run here: {error}");
            None
        }
    }
}

#[tokio::test]
async fn passwords_let_in_and_wrong_ones_do_not() {
    let server = ServerProcess::start_with(&[("PLIMSOLL_AUTH", "scram"), ("PLIMSOLL_PASSWORD", "s3cret")]);
    let client = connect(&url(&server, "plimsoll", "s3cret", "plimsoll")).await.unwrap();
    client.batch_execute("CREATE ROLE ann LOGIN PASSWORD 'a'; CREATE ROLE bob PASSWORD 'b'; CREATE ROLE bare LOGIN").await.unwrap();
    client.batch_execute("CREATE ROLE old LOGIN PASSWORD 'o' VALID UNTIL '2001-01-01'").await.unwrap();
    client.batch_execute("CREATE ROLE few LOGIN PASSWORD 'f' CONNECTION LIMIT 1").await.unwrap();
    assert!(connect(&url(&server, "ann", "a", "plimsoll")).await.is_ok());
    for (user, password, database, expected) in [
        ("plimsoll", "wrong", "plimsoll", "28P01"),
        ("ghost", "s3cret", "plimsoll", "28P01"),
        ("old", "o", "plimsoll", "28P01"),
        ("bare", "", "plimsoll", "28P01"),
        ("bare", "x", "plimsoll", "28P01"),
        ("bob", "b", "plimsoll", "28000"),
        ("ann", "a", "elsewhere", "3D000"),
    ] {
        let refused = connect(&url(&server, user, password, database)).await.unwrap_err();
        assert_eq!(state(&refused), expected, "{user} {database}: {refused}");
    }
    let _first = connect(&url(&server, "few", "f", "plimsoll")).await.unwrap();
    assert_eq!(state(&connect(&url(&server, "few", "f", "plimsoll")).await.unwrap_err()), "53300");
    // A password that was changed, or a role that was dropped, is so at once.
    client.batch_execute("ALTER ROLE ann PASSWORD 'b'").await.unwrap();
    assert_eq!(state(&connect(&url(&server, "ann", "a", "plimsoll")).await.unwrap_err()), "28P01");
    assert!(connect(&url(&server, "ann", "b", "plimsoll")).await.is_ok());
    client.batch_execute("REVOKE CONNECT ON DATABASE plimsoll FROM PUBLIC").await.unwrap();
    assert_eq!(state(&connect(&url(&server, "ann", "b", "plimsoll")).await.unwrap_err()), "42501");
}

#[test]
fn psql_says_what_postgresql_says() {
    let server = ServerProcess::start_with(&[("PLIMSOLL_AUTH", "scram"), ("PLIMSOLL_PASSWORD", "s3cret")]);
    let to = |user: &str| format!("postgresql://{user}@{}/plimsoll", server.address());
    let Some(in_) = psql(&to("plimsoll"), "s3cret", &["SELECT current_user"]) else { return };
    assert_eq!(in_, "plimsoll\n");
    for user in ["plimsoll", "ghost"] {
        let refused = psql(&to(user), "wrong", &["SELECT 1"]).unwrap();
        let expected = format!("FATAL:  password authentication failed for user \"{user}\"\n");
        assert!(refused.ends_with(&expected), "{refused}");
    }
    let none = psql(&to("plimsoll"), "", &["SELECT 1"]).unwrap();
    assert!(none.ends_with("fe_sendauth: no password supplied\n"), "{none}");
    let plain = psql(&format!("{}?sslmode=require", to("plimsoll")), "s3cret", &["SELECT 1"]).unwrap();
    assert!(plain.contains("server does not support SSL"), "{plain}");
}

/// As a new user meets it: nothing is set, and psql comes in with the line of the README; others need a password.
#[tokio::test]
async fn the_servers_own_user_needs_no_password_until_there_is_one() {
    let server = ServerProcess::start_with(&[("PLIMSOLL_AUTH", "peer")]);
    let own = connect(&server.url()).await.unwrap();
    own.batch_execute("CREATE ROLE ann LOGIN PASSWORD 'a'").await.unwrap();
    assert!(connect(&url(&server, "ann", "a", "plimsoll")).await.is_ok());
    assert_eq!(state(&connect(&url(&server, "ann", "wrong", "plimsoll")).await.unwrap_err()), "28P01");
    let file = std::fs::read_to_string(server.folder().join("superuser.pgpass")).unwrap();
    let password = file.trim_end().rsplit(':').next().unwrap();
    assert_eq!(password.len(), 24);
    own.batch_execute("ALTER ROLE plimsoll PASSWORD 'mine'").await.unwrap();
    assert_eq!(state(&connect(&url(&server, "plimsoll", "wrong", "plimsoll")).await.unwrap_err()), "28P01");
    assert_eq!(state(&connect(&url(&server, "plimsoll", password, "plimsoll")).await.unwrap_err()), "28P01");
    assert!(connect(&url(&server, "plimsoll", "mine", "plimsoll")).await.is_ok());
    let mut server = server;
    server.terminate();
    server.start_again();
    assert_eq!(state(&connect(&url(&server, "plimsoll", password, "plimsoll")).await.unwrap_err()), "28P01");
}

#[tokio::test]
async fn the_generated_password_works_where_passwords_are_asked_for() {
    let mut server = ServerProcess::start_with(&[("PLIMSOLL_AUTH", "scram")]);
    let file = server.folder().join("superuser.pgpass");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    let password = text.trim_end().rsplit(':').next().unwrap().to_string();
    assert!(connect(&url(&server, "plimsoll", &password, "plimsoll")).await.is_ok());
    assert!(connect(&server.url()).await.is_err());
    // psql finds the password in the file.
    let psql = Command::new("psql").args(["-XAtc", "SELECT 7", &server.url()]).env("PGPASSFILE", &file).output();
    if let Ok(output) = psql {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "7\n");
    }
    server.kill();
    server.start_again();
    assert!(connect(&url(&server, "plimsoll", &password, "plimsoll")).await.is_ok());
}

/// The start of a server that is to be refused: what it says.
fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(["serve", "--data-dir", folder.path().to_str().unwrap()])
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{arguments:?} {environment:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn trust_is_for_loopback_only() {
    let text = refused(&["--listen", "0.0.0.0:0", "--auth", "trust"], &[]);
    assert!(text.contains("loopback"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    for line in ["host all all all trust", "host all all 0.0.0.0/0 trust", "hostssl all all 10.1.2.3/32 trust", "host all all ::/0 trust"] {
        std::fs::write(&rules, format!("# who may come in\n{line}\n")).unwrap();
        let text = refused(&["--listen", "127.0.0.1:0"], &[("PLIMSOLL_ACCESS_RULES_FILE", rules.to_str().unwrap())]);
        assert!(text.contains("line 2: ") && text.contains("loopback"), "{line}: {text}");
    }
    let text = refused(&["--listen", "127.0.0.1:0"], &[("PLIMSOLL_TLS_CERT_FILE", "/nonexistent")]);
    assert!(text.contains("tls_key_file"), "{text}");
}

/// A certificate for 127.0.0.1 that signs itself, and its key, in files as a server wants them.
struct Certificate {
    cert: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn write(folder: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_string(), "localhost".to_string()]).unwrap();
        let it = Self { cert: folder.join("server.crt"), key: folder.join("server.key") };
        std::fs::write(&it.cert, made.cert.pem()).unwrap();
        std::fs::write(&it.key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&it.key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        it
    }
}

/// SIGHUP, until `done`.
fn reload(server: &ServerProcess, mut done: impl FnMut() -> bool) {
    server.signal("HUP");
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "nothing changed after SIGHUP");
        std::thread::yield_now();
    }
}

#[test]
fn connections_are_encrypted_and_certificates_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let made = Certificate::write(folder.path());
    let rules = folder.path().join("rules");
    std::fs::write(&rules, "hostssl all all all scram-sha-256\nhostnossl all all all reject\n").unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_string();
    let (cert, key, rules_path) = (path(&made.cert), path(&made.key), path(&rules));
    let server = ServerProcess::start_with(&[
        ("PLIMSOLL_PASSWORD", "s3cret"),
        ("PLIMSOLL_TLS_CERT_FILE", &cert),
        ("PLIMSOLL_TLS_KEY_FILE", &key),
        ("PLIMSOLL_ACCESS_RULES_FILE", &rules_path),
    ]);
    let old_root = folder.path().join("root.crt");
    std::fs::copy(&made.cert, &old_root).unwrap();
    let to = |options: &str| format!("postgresql://plimsoll@{}/plimsoll?{options}", server.address());
    let verified = |root: &Path| to(&format!("sslmode=verify-full&channel_binding=require&sslrootcert={}", root.display()));
    let ask = ["SELECT ssl, version, bits, cipher <> '' FROM pg_stat_ssl WHERE pid = pg_backend_pid()"];
    let Some(text) = psql(&verified(&old_root), "s3cret", &ask) else { return };
    assert_eq!(text, "t|TLSv1.3|256|t\n");
    assert_eq!(psql(&to("sslmode=require"), "s3cret", &["SELECT 1"]).unwrap(), "1\n");
    assert_eq!(psql(&to("sslmode=require&channel_binding=disable"), "s3cret", &["SELECT 1"]).unwrap(), "1\n");
    assert_eq!(psql(&to("sslmode=require&ssl_max_protocol_version=TLSv1.2"), "s3cret", &["SELECT 1"]).unwrap(), "1\n");
    let text = psql(&to("sslmode=require"), "wrong", &["SELECT 1"]).unwrap();
    assert!(text.ends_with("FATAL:  password authentication failed for user \"plimsoll\"\n"), "{text}");
    let text = psql(&to("sslmode=disable"), "s3cret", &["SELECT 1"]).unwrap();
    assert!(
        text.contains("pg_hba.conf rejects connection for host \"127.0.0.1\", user \"plimsoll\", database \"plimsoll\", no encryption"),
        "{text}"
    );
    // A file that is no certificate changes nothing.
    std::fs::write(&made.cert, "nonsense").unwrap();
    server.signal("HUP");
    assert_eq!(psql(&verified(&old_root), "s3cret", &["SELECT 1"]).unwrap(), "1\n");
    // A new one is served to whoever comes next.
    let made = Certificate::write(folder.path());
    reload(&server, || psql(&verified(&made.cert), "s3cret", &["SELECT 1"]).unwrap() == "1\n");
    let text = psql(&verified(&old_root), "s3cret", &["SELECT 1"]).unwrap();
    assert!(text.contains("certificate verify failed"), "{text}");
    // So are rules.
    std::fs::write(&rules, "host all all 127.0.0.1/32 trust\n").unwrap();
    reload(&server, || psql(&to("sslmode=disable"), "", &["SELECT 1"]).unwrap() == "1\n");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let made = Certificate::write(folder.path());
    std::fs::set_permissions(&made.key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let files = [("PLIMSOLL_TLS_CERT_FILE", made.cert.to_str().unwrap()), ("PLIMSOLL_TLS_KEY_FILE", made.key.to_str().unwrap())];
    let text = refused(&["--listen", "127.0.0.1:0"], &files);
    assert!(text.contains("has group or world access"), "{text}");
}

/// A start packet of protocol 3.0.
fn start_packet(user: &str) -> Vec<u8> {
    let body = format!("user\0{user}\0database\0plimsoll\0\0");
    let mut packet = ((body.len() + 8) as u32).to_be_bytes().to_vec();
    packet.extend(196_608u32.to_be_bytes());
    packet.extend(body.as_bytes());
    packet
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(((body.len() + 4) as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn read_message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).ok()?;
    let mut body = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4];
    stream.read_exact(&mut body).ok()?;
    Some((head[0], body))
}

/// Everything up to the end of the connection.
fn rest(stream: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    std::iter::from_fn(|| read_message(stream)).collect()
}

fn open(server: &ServerProcess, user: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&start_packet(user)).unwrap();
    let (kind, body) = read_message(&mut stream).unwrap();
    assert_eq!((kind, &body[..4]), (b'R', [0, 0, 0, 10].as_slice()));
    assert_eq!(&body[4..], b"SCRAM-SHA-256\0\0");
    stream
}

#[tokio::test]
async fn nothing_is_done_for_whoever_is_not_known() {
    let server = ServerProcess::start_with(&[("PLIMSOLL_AUTH", "scram"), ("PLIMSOLL_PASSWORD", "s3cret")]);
    let owner = connect(&url(&server, "plimsoll", "s3cret", "plimsoll")).await.unwrap();
    owner.batch_execute("CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)").await.unwrap();
    let statement = b"DELETE FROM kept\0";
    let mut parse = b"\0".to_vec();
    parse.extend(statement);
    parse.extend([0, 0]);
    let attacks: Vec<(&str, Vec<u8>)> = vec![
        ("Query", message(b'Q', statement)),
        (
            "Parse, Bind, Execute, Sync",
            [message(b'P', &parse), message(b'B', b"\0\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat(),
        ),
        ("CopyData", message(b'd', b"1\n")),
        ("CopyDone", message(b'c', b"")),
        ("Sync", message(b'S', b"")),
        ("FunctionCall", message(b'F', b"\0\0\0\0")),
        ("a message that is none", message(b'?', b"")),
        ("an endless password", [vec![b'p'], 0x7fff_ffffu32.to_be_bytes().to_vec()].concat()),
        ("another mechanism", message(b'p', b"PLAIN\0\0\0\0\x04abcd")),
        ("another mechanism, tied", message(b'p', b"SCRAM-SHA-256-PLUS\0\0\0\0\x10p=tls-unique,,n=,r=a")),
        ("a plain password", message(b'p', b"s3cret\0")),
        ("an empty password", message(b'p', b"")),
        ("a first message without an end", message(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff")),
        ("only a last message", message(b'p', b"SCRAM-SHA-256\0\0\0\0\x12c=biws,r=a,p=AAAA=")),
        ("a second start packet", start_packet("plimsoll")),
    ];
    for user in ["plimsoll", "ghost"] {
        for (name, attack) in &attacks {
            let mut stream = open(&server, user);
            // The server may have hung up before all is written.
            let _ = stream.write_all(attack).and_then(|()| stream.write_all(&message(b'Q', statement)));
            let answers = rest(&mut stream);
            assert!(answers.iter().all(|(kind, _)| *kind == b'E'), "{user}, {name}: {answers:?}");
        }
    }
    // A cancel request with invented numbers does nothing; neither do a few bytes.
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(&[0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 1]).unwrap();
    assert!(rest(&mut stream).is_empty());
    assert_eq!(owner.query("SELECT a FROM kept", &[]).await.unwrap().len(), 1);
}

/// What a client can see of a role before it has proven anything: the salt.
fn challenge(server: &ServerProcess, user: &str) -> String {
    let mut stream = open(server, user);
    let first = b"n,,n=,r=abcdef";
    let mut body = b"SCRAM-SHA-256\0".to_vec();
    body.extend((first.len() as u32).to_be_bytes());
    body.extend(first);
    stream.write_all(&message(b'p', &body)).unwrap();
    let (kind, answer) = read_message(&mut stream).unwrap();
    assert_eq!((kind, &answer[..4]), (b'R', [0, 0, 0, 11].as_slice()));
    let text = String::from_utf8(answer[4..].to_vec()).unwrap();
    let (nonce, rest) = text.split_once(',').unwrap();
    assert!(nonce.starts_with("r=abcdef") && nonce.len() == "r=abcdef".len() + 24);
    rest.to_string()
}

#[test]
fn a_role_that_does_not_exist_looks_like_any_other() {
    let mut server = ServerProcess::start_with(&[("PLIMSOLL_AUTH", "scram"), ("PLIMSOLL_PASSWORD", "s3cret")]);
    let (known, ghost) = (challenge(&server, "plimsoll"), challenge(&server, "ghost"));
    assert_eq!(known.len(), ghost.len());
    assert!(known.ends_with(",i=4096") && ghost.ends_with(",i=4096"));
    assert_ne!(ghost, challenge(&server, "spirit"));
    server.kill();
    server.start_again();
    assert_eq!((known, ghost), (challenge(&server, "plimsoll"), challenge(&server, "ghost")));
}

/// Passwords in statements, right and wrong ones, come neither into the log nor into what others see.
#[tokio::test]
async fn no_password_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let redirect = format!("exec \"$0\" \"$@\" 2>{}", log.display());
    let environment = [("PLIMSOLL_PASSWORD", "hunter2-first"), ("PLIMSOLL_AUTH", "scram"), ("PLIMSOLL_LOG", "trace")];
    let mut server = ServerProcess::start_in(folder.path().join("data"), &environment, &["sh", "-c", &redirect]);
    let client = connect(&url(&server, "plimsoll", "hunter2-first", "plimsoll")).await.unwrap();
    for statement in [
        "CREATE ROLE ann LOGIN PASSWORD 'hunter2-ann'",
        "CREATE ROLE ann LOGIN PASSWORD 'hunter2-again'",
        "ALTER ROLE ann WITH ENCRYPTED PASSWORD 'hunter2-new' NOSUCHOPTION",
        "ALTER USER ann PASSWORD 'hunter2-newer'",
        "ALTER ROLE nobody PASSWORD 'hunter2-nobody'",
    ] {
        let _ = client.batch_execute(statement).await;
        let shown: String = client.query_one("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()", &[]).await.unwrap().get(0);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let _ = connect(&url(&server, "ann", "hunter2-wrong", "plimsoll")).await.unwrap_err();
    let verifier: String = client.query_one("SELECT rolpassword FROM pg_authid WHERE rolname = 'ann'", &[]).await.unwrap().get(0);
    assert!(verifier.starts_with("SCRAM-SHA-256$4096:"), "{verifier}");
    server.terminate();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.len() > 1000, "the log says nothing: {text}");
    assert!(!text.contains("hunter2") && !text.contains("SCRAM-SHA-256$"), "a secret is in the log");
}
