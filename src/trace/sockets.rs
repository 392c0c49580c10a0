//! Where a socket is bound: from the address that a call gave, and from the socket itself.
//!
//! Whose it is is not asked here: a socket belongs to whoever has a descriptor of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{SocketAddrUnix, SocketType, getsockname, ipproto, sockopt};

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

/// The number of a socket: no two that are open at once have the same.
pub(super) fn inode(socket: &OwnedFd) -> Option<u64> {
    rustix::fs::fstat(socket).ok().map(|status| status.st_ino)
}

/// Where a socket receives, as it says itself: the tables in `/proc/PID/net` say so too, but to write them the kernel walks
/// through all that it could have, for milliseconds; `None` for one of another kind.
pub(super) fn bound(socket: &OwnedFd) -> Option<Bind> {
    let address = getsockname(socket).ok()?;
    if let Ok(unix) = SocketAddrUnix::try_from(address.clone()) {
        let address = match (unix.path_bytes(), unix.abstract_name()) {
            (Some(path), _) => Address::Path(path.to_vec()),
            (_, Some(name)) => Address::Abstract(name.to_vec()),
            // It has no name: nobody finds it.
            _ => Address::Path(Vec::new()),
        };
        let address = Escaped::new(&address.told()).to_string();
        return Some(Bind { protocol: Protocol::Unix, address, port: 0 });
    }
    let protocol = match (sockopt::socket_type(socket).ok()?, sockopt::socket_protocol(socket).ok()?) {
        (SocketType::STREAM, Some(ipproto::TCP | ipproto::MPTCP)) => Protocol::Tcp,
        (SocketType::DGRAM, Some(ipproto::UDP | ipproto::UDPLITE)) => Protocol::Udp,
        _ => return None,
    };
    let address = SocketAddr::try_from(address).ok()?;
    Some(Bind { protocol, address: address.ip().to_string(), port: address.port() })
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
    fn sockets_say_themselves_where_they_receive() {
        let tcp = OwnedFd::from(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let udp = OwnedFd::from(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let of = |socket| bound(socket).map(|bind| (bind.protocol, bind.address, bind.port != 0));
        assert_eq!(of(&tcp), Some((Protocol::Tcp, "127.0.0.1".to_owned(), true)));
        assert_eq!(of(&udp), Some((Protocol::Udp, "127.0.0.1".to_owned(), true)));
        assert_ne!(inode(&tcp), inode(&udp));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let unix = OwnedFd::from(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(of(&unix), Some((Protocol::Unix, path.to_str().unwrap().to_owned(), false)));
        assert_eq!(bound(&OwnedFd::from(std::fs::File::open(directory.path()).unwrap())), None);
    }
}
