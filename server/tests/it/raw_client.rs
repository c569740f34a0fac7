//! A client that only counts messages, and reads no more than it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

pub struct RawClient {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl RawClient {
    pub fn connect(address: SocketAddr) -> Self {
        let mut client = Self { stream: TcpStream::connect(address).unwrap(), buffer: Vec::new() };
        let options = b"user\0plimsoll\0database\0plimsoll\0\0";
        let mut startup = ((options.len() + 8) as u32).to_be_bytes().to_vec();
        startup.extend_from_slice(&196_608u32.to_be_bytes());
        startup.extend_from_slice(options);
        client.stream.write_all(&startup).unwrap();
        client.count(b'R', u64::MAX);
        client
    }

    pub fn query(&mut self, sql: &str) {
        let mut message = vec![b'Q'];
        message.extend_from_slice(&(sql.len() as u32 + 5).to_be_bytes());
        message.extend_from_slice(sql.as_bytes());
        message.push(0);
        self.stream.write_all(&message).unwrap();
    }

    /// Reads until ReadyForQuery, or until `count_max` messages of a kind have come; answers how many.
    pub fn count(&mut self, kind: u8, count_max: u64) -> u64 {
        let mut count = 0;
        let mut start = 0;
        while count < count_max {
            let rest = &self.buffer[start..];
            let length = rest.get(1..5).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()) as usize);
            let Some(length) = length.filter(|length| rest.len() > *length) else {
                self.buffer.drain(..std::mem::take(&mut start));
                let mut piece = [0; 64 << 10];
                let read = self.stream.read(&mut piece).unwrap();
                assert!(read > 0, "the server closed the connection");
                self.buffer.extend_from_slice(&piece[..read]);
                continue;
            };
            let found = rest[0];
            assert!(found != b'E', "{}", String::from_utf8_lossy(&rest[5..=length]));
            start += length + 1;
            count += u64::from(found == kind);
            if found == b'Z' {
                break;
            }
        }
        self.buffer.drain(..start);
        count
    }
}
