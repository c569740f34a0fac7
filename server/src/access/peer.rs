//! Whose process a client on this machine is: the kernel knows which user opened each of its sockets.
//!
//! This is `peer` authentication, on loopback: whoever may read the file with the superuser's generated password, which are the user that the
//! server runs as and root, comes in without typing it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Whether the client's end of a connection belongs to the server's own user, or to root. `false` where that cannot be found out.
pub fn is_own(client: SocketAddr, server: SocketAddr) -> bool {
    let (client, server) = (canonical(client), canonical(server));
    if !client.ip().is_loopback() || !server.ip().is_loopback() {
        return false;
    }
    let own = rustix::process::geteuid().as_raw();
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().any(|table| {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        text.lines()
            .skip(1)
            .filter_map(socket)
            .any(|(local, remote, user)| (canonical(local), canonical(remote)) == (client, server) && (user == own || user == 0))
    })
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A line of the kernel's table, where the connection is established: its ends, and the user who opened it.
fn socket(line: &str) -> Option<(SocketAddr, SocketAddr, u32)> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, remote, state) = (address(fields.next()?)?, address(fields.next()?)?, fields.next()?);
    // Queues, timer, retransmissions.
    let user = fields.nth(3)?.parse().ok()?;
    (state == "01").then_some((local, remote, user))
}

/// `0100007F:1538`: words in the machine's order of bytes, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            bytes.into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn our_own_connections_are_ours_and_invented_ones_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, address) = listener.accept().unwrap();
        let server = stream.local_addr().unwrap();
        assert!(is_own(address, server));
        assert!(!is_own(SocketAddr::new(address.ip(), address.port() ^ 1), server));
        assert!(!is_own("10.0.0.1:5".parse().unwrap(), server));
        // Through a listener of both families the same client looks like an IPv6 one.
        let mapped = |at: SocketAddr| SocketAddr::new(format!("::ffff:{}", at.ip()).parse().unwrap(), at.port());
        assert!(is_own(mapped(address), mapped(server)));
        drop(client);
    }

    #[test]
    fn lines_of_the_kernel_are_read() {
        if cfg!(target_endian = "little") {
            let line = "   1: 0100007F:1538 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 20 4 30 10 -1";
            let expected = ("127.0.0.1:5432".parse().unwrap(), "127.0.0.1:50000".parse().unwrap(), 1000);
            assert_eq!(socket(line), Some(expected));
            assert_eq!(socket(&line.replace(" 01 ", " 0A ")), None);
            assert_eq!(address("00000000000000000000000001000000:1538"), Some("[::1]:5432".parse().unwrap()));
        }
        assert_eq!(socket("nonsense"), None);
    }
}
