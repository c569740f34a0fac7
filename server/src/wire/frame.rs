//! What clients send: bytes -> messages. Every length is checked before it is believed.

use super::stop::violation;
use crate::error::{Result, SqlError};
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message with data or text, in bytes.
const LARGE_BYTES_MAX: usize = 256 << 20;
/// The longest of the others.
const SMALL_BYTES_MAX: usize = 30_000;
/// The longest first message.
const STARTUP_BYTES_MAX: usize = 10_000;
/// While a statement runs, this much of what its client sends ahead is read; the rest waits in the socket.
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// A message.
#[derive(Debug, PartialEq)]
pub(super) enum Frontend {
    Query(String),
    Parse {
        name: String,
        sql: String,
        oids: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    Execute {
        portal: String,
        rows_max: u32,
    },
    Close(Target),
    Flush,
    Sync,
    Terminate,
    CopyData(Bytes),
    CopyDone,
    CopyFail(String),
    /// A call of a function by its OID, which is long out of use.
    FunctionCall,
    Password(Bytes),
    /// A message whose length is right, and whose content is not: the client hears of it, and goes on.
    Malformed(Malformed),
}

/// A message that says nothing.
#[derive(Debug)]
pub(super) struct Malformed {
    /// Of the simple protocol: the next message is wanted at once, rather than Sync.
    pub(super) simple: bool,
    pub(super) error: SqlError,
}

impl PartialEq for Malformed {
    fn eq(&self, other: &Self) -> bool {
        self.simple == other.simple && self.error.state == other.error.state && self.error.message == other.error.message
    }
}

/// Parameters for a statement.
#[derive(Debug, PartialEq)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    pub(super) formats: Vec<i16>,
    pub(super) parameters: Vec<Option<Bytes>>,
    pub(super) result_formats: Vec<i16>,
}

/// What is described or closed.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    Statement(String),
    Portal(String),
}

/// What comes first on a connection.
#[derive(Debug, PartialEq)]
pub(super) enum Startup {
    /// TLS or GSS encryption is asked for.
    Encryption,
    Cancel {
        process_id: i32,
        secret: i32,
    },
    Start {
        minor: u16,
        options: Vec<(String, String)>,
    },
}

/// The reading half of a connection.
pub(super) struct Input {
    half: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
}

impl Input {
    /// `ahead` is what was read already.
    pub(super) fn new(half: Box<dyn AsyncRead + Send + Unpin>, ahead: &[u8]) -> Self {
        let mut buffer = BytesMut::with_capacity(16 << 10);
        buffer.extend_from_slice(ahead);
        Self { half, buffer }
    }
    /// The next message while the client is not known yet: only a short one is read, whatever its length says.
    pub(super) async fn next_password(&mut self) -> Result<Option<Frontend>> {
        loop {
            if self.buffer.first().is_some_and(|kind| *kind != b'p') {
                return Err(violation(format!("expected SASL response, got message type {}", self.buffer[0])));
            }
            if let Some(message) = decode(&mut self.buffer)? {
                return Ok(Some(message));
            }
            if !self.read().await {
                return Ok(None);
            }
        }
    }
    /// The next message; `None` when the client has left. Nothing is lost if this is dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Option<Frontend>> {
        loop {
            if let Some(message) = decode(&mut self.buffer)? {
                return Ok(Some(message));
            }
            if !self.read().await {
                return Ok(None);
            }
        }
    }
    pub(super) async fn startup(&mut self) -> Result<Option<Startup>> {
        loop {
            if let Some(message) = decode_startup(&mut self.buffer)? {
                return Ok(Some(message));
            }
            if !self.read().await {
                return Ok(None);
            }
        }
    }
    async fn read(&mut self) -> bool {
        let read: io::Result<usize> = self.half.read_buf(&mut self.buffer).await;
        matches!(read, Ok(read) if read > 0)
    }
    /// Whether Sync is the next message, as far as it has arrived.
    pub(super) fn next_is_sync(&self) -> bool {
        self.buffer.first() == Some(&b'S')
    }
    /// Returns when the client has left. Meanwhile what it sends is read ahead, up to a bound.
    pub(super) async fn closed(&mut self) {
        while self.buffer.len() < AHEAD_BYTES_MAX {
            if !self.read().await {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

fn length_at(buffer: &[u8], at: usize) -> Option<u32> {
    buffer.get(at..at + 4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Takes the message at the buffer's start, if it is whole.
pub(super) fn decode(buffer: &mut BytesMut) -> Result<Option<Frontend>> {
    let Some(kind) = buffer.first().copied() else { return Ok(None) };
    let bytes_max = match kind {
        b'Q' | b'P' | b'B' | b'd' => LARGE_BYTES_MAX,
        b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' | b'p' | b'F' => SMALL_BYTES_MAX,
        _ => return Err(violation(format!("invalid frontend message type {kind}"))),
    };
    let Some(length) = length_at(buffer, 1) else { return Ok(None) };
    let length = length as usize;
    if length < 4 || length > bytes_max {
        return Err(violation("invalid message length").with_detail(format!("The length {length} is not between 4 and {bytes_max}.")));
    }
    if buffer.len() < length + 1 {
        buffer.reserve((length + 1 - buffer.len()).min(1 << 20));
        return Ok(None);
    }
    let mut frame = buffer.split_to(length + 1).freeze();
    frame.advance(5);
    let mut body = Body { bytes: frame };
    let message = body.message(kind).and_then(|message| match body.bytes.is_empty() {
        true => Ok(message),
        false => Err(violation("invalid message format")),
    });
    match message {
        Err(error) if matches!(kind, b'Q' | b'P' | b'B' | b'D' | b'C' | b'E') => {
            Ok(Some(Frontend::Malformed(Malformed { simple: kind == b'Q', error })))
        }
        message => message.map(Some),
    }
}

struct Body {
    bytes: Bytes,
}

impl Body {
    fn message(&mut self, kind: u8) -> Result<Frontend> {
        Ok(match kind {
            b'Q' => Frontend::Query(self.text()?),
            b'P' => Frontend::Parse { name: self.text()?, sql: self.text()?, oids: self.oids()? },
            b'B' => Frontend::Bind(self.bind()?),
            b'D' => Frontend::Describe(self.target()?),
            b'C' => Frontend::Close(self.target()?),
            b'E' => Frontend::Execute { portal: self.text()?, rows_max: u32::try_from(self.int()?).unwrap_or(0) },
            b'H' => Frontend::Flush,
            b'S' => Frontend::Sync,
            b'X' => Frontend::Terminate,
            b'd' => Frontend::CopyData(std::mem::take(&mut self.bytes)),
            b'c' => Frontend::CopyDone,
            b'f' => Frontend::CopyFail(self.text()?),
            b'F' => {
                self.bytes.clear();
                Frontend::FunctionCall
            }
            _ => Frontend::Password(std::mem::take(&mut self.bytes)),
        })
    }
    fn take(&mut self, length: usize) -> Result<Bytes> {
        match length <= self.bytes.len() {
            true => Ok(self.bytes.split_to(length)),
            false => Err(violation("insufficient data left in message")),
        }
    }
    /// A text that ends in a zero byte.
    fn text(&mut self) -> Result<String> {
        let end = memchr::memchr(0, &self.bytes).ok_or_else(|| violation("invalid string in message"))?;
        let text = crate::types::input::utf8(&self.bytes[..end])?.to_string();
        self.bytes.advance(end + 1);
        Ok(text)
    }
    fn int(&mut self) -> Result<i32> {
        Ok(self.take(4)?.get_i32())
    }
    fn count(&mut self) -> Result<usize> {
        Ok(usize::from(self.take(2)?.get_u16()))
    }
    fn oids(&mut self) -> Result<Vec<u32>> {
        (0..self.count()?).map(|_| Ok(self.take(4)?.get_u32())).collect()
    }
    fn formats(&mut self) -> Result<Vec<i16>> {
        (0..self.count()?).map(|_| Ok(self.take(2)?.get_i16())).collect()
    }
    fn target(&mut self) -> Result<Target> {
        match self.take(1)?[0] {
            b'S' => self.text().map(Target::Statement),
            b'P' => self.text().map(Target::Portal),
            other => Err(violation(format!("invalid message subtype {other}"))),
        }
    }
    fn bind(&mut self) -> Result<Bind> {
        let (portal, statement, formats) = (self.text()?, self.text()?, self.formats()?);
        let parameters = (0..self.count()?).map(|_| self.parameter()).collect::<Result<_>>()?;
        Ok(Bind { portal, statement, formats, parameters, result_formats: self.formats()? })
    }
    fn parameter(&mut self) -> Result<Option<Bytes>> {
        match self.int()? {
            -1 => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| violation("invalid parameter length"))?).map(Some),
        }
    }
}

fn decode_startup(buffer: &mut BytesMut) -> Result<Option<Startup>> {
    let Some(length) = length_at(buffer, 0) else { return Ok(None) };
    let length = length as usize;
    if !(8..=STARTUP_BYTES_MAX).contains(&length) {
        return Err(violation("invalid length of startup packet"));
    }
    if buffer.len() < length {
        return Ok(None);
    }
    let mut frame = buffer.split_to(length).freeze();
    frame.advance(4);
    let mut body = Body { bytes: frame };
    let code = body.int()?;
    match (code >> 16, code & 0xffff) {
        (1234, 5679 | 5680) => Ok(Some(Startup::Encryption)),
        (1234, 5678) => Ok(Some(Startup::Cancel { process_id: body.int()?, secret: body.int()? })),
        (3, minor) => Ok(Some(Startup::Start { minor: minor as u16, options: body.options()? })),
        (major, minor) => {
            Err(crate::error::SqlError::unsupported(format!("frontend protocol {major}.{minor}")).with_detail("The server supports 3.0."))
        }
    }
}

impl Body {
    fn options(&mut self) -> Result<Vec<(String, String)>> {
        let mut options = Vec::new();
        loop {
            match self.text()? {
                name if name.is_empty() => return Ok(options),
                name => options.push((name, self.text()?)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn framed(kind: u8, body: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::from([&[kind], (body.len() as u32 + 4).to_be_bytes().as_slice(), body].concat().as_slice());
        bytes.reserve(1);
        bytes
    }

    #[test]
    fn whole_messages_are_taken_and_parts_wait() {
        let mut buffer = framed(b'Q', b"select 1\0");
        let rest = buffer.split_off(7);
        assert_eq!(decode(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(&rest);
        buffer.extend_from_slice(&framed(b'S', b""));
        assert_eq!(decode(&mut buffer).unwrap(), Some(Frontend::Query("select 1".into())));
        assert_eq!(decode(&mut buffer).unwrap(), Some(Frontend::Sync));
        assert_eq!(decode(&mut buffer).unwrap(), None);
    }

    #[test]
    fn bind_is_read() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x01\0\0";
        let bind = Bind {
            portal: "p".into(),
            statement: "s".into(),
            formats: vec![1],
            parameters: vec![Some(Bytes::from_static(b"ab")), None],
            result_formats: vec![0],
        };
        assert_eq!(decode(&mut framed(b'B', body)).unwrap(), Some(Frontend::Bind(bind)));
    }

    #[test]
    fn lies_are_refused() {
        let table: [(&str, BytesMut); 4] = [
            ("too long", BytesMut::from(b"Q\x7f\xff\xff\xff".as_slice())),
            ("too short", BytesMut::from(b"S\0\0\0\x03".as_slice())),
            ("unknown", framed(b'?', b"")),
            ("more than it says", framed(b'S', b"x")),
        ];
        for (name, mut bytes) in table {
            assert_eq!(decode(&mut bytes).unwrap_err().state.0, "08P01", "{name}");
        }
        assert!(decode_startup(&mut BytesMut::from(b"\0\0\xff\xff".as_slice())).is_err());
    }

    #[test]
    fn a_message_that_says_nothing_is_taken_whole() {
        let table: [(&str, &str, BytesMut); 6] = [
            ("no end of text", "08P01", framed(b'Q', b"select")),
            ("no text", "22021", framed(b'Q', b"select '\xff'\0")),
            ("counts beyond the end", "08P01", framed(b'P', b"\0\0\xff\xff")),
            ("a parameter beyond the end", "08P01", framed(b'B', b"\0\0\0\0\0\x01\0\0\0\x09a")),
            ("neither statement nor portal", "08P01", framed(b'D', b"Xa\0")),
            ("more than it says", "08P01", framed(b'E', b"\0\0\0\0\0more")),
        ];
        for (name, state, mut bytes) in table {
            let simple = bytes[0] == b'Q';
            bytes.extend_from_slice(&framed(b'S', b""));
            match decode(&mut bytes).unwrap() {
                Some(Frontend::Malformed(found)) => assert_eq!((found.error.state.0, found.simple), (state, simple), "{name}"),
                other => unreachable!("{name}: {other:?}"),
            }
            assert_eq!(decode(&mut bytes).unwrap(), Some(Frontend::Sync), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&mut framed(kind, &body));
            let _ = decode_startup(&mut BytesMut::from(body.as_slice()));
        }
    }
}
