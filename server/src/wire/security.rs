//! What comes before the first message: requests for encryption are answered, and the connection becomes an encrypted one.
//!
//! Each request is read from the socket by itself, byte for byte: nothing that was sent in the clear can be taken for something that came
//! encrypted (CVE-2021-23222).

use crate::access::tls::{Encryption, Tls};
use bytes::BytesMut;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{ProtocolVersion, ServerConnection};

/// A request for encryption is so long; so long is the start of any other first message at least.
const REQUEST_BYTES: usize = 8;
const SSL_REQUEST: [u8; REQUEST_BYTES] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSS_REQUEST: [u8; REQUEST_BYTES] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
/// There are two kinds of requests, and each is made once.
const REQUESTS_MAX: usize = 4;

/// A connection, encrypted or not.
pub(super) struct Opened {
    pub(super) read: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) write: Box<dyn AsyncWrite + Send + Unpin>,
    /// What was read already.
    pub(super) ahead: BytesMut,
    pub(super) encryption: Option<Encryption>,
}

/// Answers requests for encryption.
pub(super) async fn open(mut stream: TcpStream, tls: Option<&Tls>) -> io::Result<Opened> {
    for _ in 0..REQUESTS_MAX {
        let mut first = [0u8; REQUEST_BYTES];
        let read = read_first(&mut stream, &mut first).await?;
        match (first, tls) {
            (SSL_REQUEST, Some(tls)) => {
                stream.write_all(b"S").await?;
                return encrypted(stream, tls).await;
            }
            (SSL_REQUEST, None) | (GSS_REQUEST, _) => stream.write_all(b"N").await?,
            _ => {
                let (half, write) = stream.into_split();
                let ahead = BytesMut::from(&first[..read]);
                return Ok(Opened { read: Box::new(half), write: Box::new(write), ahead, encryption: None });
            }
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Reads so many bytes, or fewer where the client sends no more or its first length is none: that is complained of later.
async fn read_first(stream: &mut TcpStream, first: &mut [u8; REQUEST_BYTES]) -> io::Result<usize> {
    let mut read = 0;
    while read < REQUEST_BYTES {
        match stream.read(&mut first[read..]).await? {
            0 => return Ok(read),
            more => read += more,
        }
        if read >= 4 && u32::from_be_bytes([first[0], first[1], first[2], first[3]]) < REQUEST_BYTES as u32 {
            return Ok(read);
        }
    }
    Ok(read)
}

async fn encrypted(stream: TcpStream, tls: &Tls) -> io::Result<Opened> {
    let (acceptor, end_point) = tls.acceptor();
    let stream = acceptor.accept(stream).await?;
    let encryption = Some(describe(stream.get_ref().1, end_point));
    let (read, write) = tokio::io::split(stream);
    Ok(Opened { read: Box::new(read), write: Box::new(write), ahead: BytesMut::new(), encryption })
}

fn describe(connection: &ServerConnection, end_point: Option<Vec<u8>>) -> Encryption {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
    let bits = if suite.contains("128") { 128 } else { 256 };
    Encryption { version: version.into(), cipher: suite.replace("TLS13_", "TLS_"), bits, end_point }
}
