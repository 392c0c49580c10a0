//! Brings up `lo` of the current network namespace: one message over netlink (rtnetlink(7)).
//!
//! Knows no other interface: a container has none.

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, sendto, socket};

/// The kernel gives `lo` number 1 in every namespace.
const LO: i32 = 1;
const RTM_NEWLINK: u16 = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const IFF_UP: u32 = 1;

/// Brings it up.
pub(super) fn up() -> io::Result<()> {
    // Protocol 0 is `NETLINK_ROUTE`.
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    sendto(&socket, &message(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0u8; 256];
    let (length, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
    parse_answer(answer.get(..length).unwrap_or_default())
}

/// `struct nlmsghdr` and `struct ifinfomsg`, in the machine's byte order.
fn message() -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0];
    body.extend(LO.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    let length = u32::try_from(16 + body.len()).unwrap_or_else(|_| unreachable!("a few bytes"));
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend([1, 0, 0, 0].map(u8::to_ne_bytes).concat());
    message.extend([0; 4]);
    message.extend(body);
    message
}

/// `struct nlmsgerr`: 0, or an error number with its sign turned.
fn parse_answer(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_as_long_as_it_says() {
        let message = message();
        assert_eq!(message.len(), 32);
        assert_eq!(message.first(), Some(&32u32.to_ne_bytes()[0]));
    }

    #[test]
    fn answer_is_an_error_number_or_nothing() {
        let answer = |code: i32| {
            let mut bytes = vec![0; 36];
            bytes[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
            bytes[16..20].copy_from_slice(&code.to_ne_bytes());
            parse_answer(&bytes)
        };
        assert!(answer(0).is_ok());
        assert_eq!(answer(-1).unwrap_err().raw_os_error(), Some(1));
        assert!(parse_answer(&[0; 3]).is_err());
    }
}
