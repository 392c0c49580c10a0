//! Where a socket is bound: from the address that a call gave, and from the kernel's tables.
//!
//! The tables are those of the process's own network namespace, not the reader's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::unistd::Pid;

use super::proc;
use crate::path::Escaped;
use crate::profile::{Bind, Protocol};

/// `AF_UNIX`, `AF_INET`, `AF_INET6`: the same on every architecture.
const UNIX: u16 = 1;
const INET: u16 = 2;
const INET6: u16 = 10;

/// Longest address: `sockaddr_storage`.
pub(super) const MAX_ADDRESS: usize = 128;

/// An address as a call gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// Of the network.
    Net(IpAddr, u16),
    /// A path.
    Path(Vec<u8>),
    /// A name outside the file system.
    Abstract(Vec<u8>),
}

impl Address {
    /// Reads a `sockaddr`; `None` for other families.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first_chunk::<2>()?;
        match u16::from_ne_bytes(*family) {
            UNIX => match rest {
                [] => None,
                [0, name @ ..] => Some(Self::Abstract(name.to_vec())),
                path => {
                    let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
                    Some(Self::Path(path.get(..end).unwrap_or_default().to_vec()))
                }
            },
            INET => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let address: [u8; 4] = *rest.first_chunk()?;
                Some(Self::Net(Ipv4Addr::from(address).into(), u16::from_be_bytes(*port)))
            }
            INET6 => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let address: [u8; 16] = *rest.get(4..)?.first_chunk()?;
                Some(Self::Net(Ipv6Addr::from(address).into(), u16::from_be_bytes(*port)))
            }
            _ => None,
        }
    }

    /// As it is told of a call that failed.
    pub(super) fn told(&self) -> Vec<u8> {
        match self {
            Self::Net(IpAddr::V6(address), port) => format!("[{address}]:{port}").into_bytes(),
            Self::Net(address, port) => format!("{address}:{port}").into_bytes(),
            Self::Path(path) => path.clone(),
            Self::Abstract(name) => [b"@".as_slice(), name].concat(),
        }
    }
}

/// The number of the socket behind `descriptor` of `pid`.
pub(super) fn inode(pid: Pid, descriptor: i32) -> Option<String> {
    let link = proc::descriptor(pid, descriptor)?;
    let inode = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    String::from_utf8(inode.to_vec()).ok()
}

/// Where the socket of this number receives, by the kernel's tables; `None` for one that does not.
pub(super) fn bound(pid: Pid, inode: &str) -> Option<Bind> {
    let tables = [
        ("net/tcp", Protocol::Tcp),
        ("net/tcp6", Protocol::Tcp),
        ("net/udp", Protocol::Udp),
        ("net/udp6", Protocol::Udp),
    ];
    for (table, protocol) in tables {
        let Some(text) = proc::text(pid, table) else { continue };
        if let Some((address, port)) = find(&text, inode) {
            return Some(Bind { protocol, address: address.to_string(), port });
        }
    }
    let table = proc::text(pid, "net/unix")?;
    let path = find_unix(&table, inode)?;
    Some(Bind { protocol: Protocol::Unix, address: Escaped::new(path.as_bytes()).to_string(), port: 0 })
}

/// The local address in the line of `inode`.
fn find(table: &str, inode: &str) -> Option<(IpAddr, u16)> {
    let fields = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = fields.into_iter().find(|fields| fields.get(9) == Some(&inode))?;
    let (address, port) = line.get(1)?.split_once(':')?;
    Some((parse_hex(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// An address as the tables write it: words of four bytes, each as a number of this machine.
fn parse_hex(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for word in text.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    if let Ok(address) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(address).into());
    }
    <[u8; 16]>::try_from(bytes.as_slice()).ok().map(|address| Ipv6Addr::from(address).into())
}

fn find_unix<'a>(table: &'a str, inode: &str) -> Option<&'a str> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.nth(6)? == inode).then(|| fields.next().unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_calls_are_read() {
        let mut net = INET.to_ne_bytes().to_vec();
        net.extend([0, 80, 127, 0, 0, 1, 0, 0]);
        assert_eq!(Address::parse(&net).unwrap().told(), b"127.0.0.1:80");
        let mut net = INET6.to_ne_bytes().to_vec();
        net.extend([31, 144, 0, 0, 0, 0]);
        net.extend(Ipv6Addr::LOCALHOST.octets());
        assert_eq!(Address::parse(&net).unwrap().told(), b"[::1]:8080");
        let mut path = UNIX.to_ne_bytes().to_vec();
        path.extend(b"/run/x.sock\0junk");
        assert_eq!(Address::parse(&path), Some(Address::Path(b"/run/x.sock".to_vec())));
        for short in [&b""[..], b"\x02", b"\x02\0\0P\x7f", b"\x11\0"] {
            assert_eq!(Address::parse(short), None);
        }
    }

    #[test]
    fn tables_of_the_kernel_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n";
        if cfg!(target_endian = "little") {
            assert_eq!(find(table, "4711"), Some((Ipv4Addr::LOCALHOST.into(), 8080)));
        }
        assert_eq!(find(table, "7"), None);
        let unix = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 815 /run/x.sock\n";
        assert_eq!(find_unix(unix, "815"), Some("/run/x.sock"));
    }
}
