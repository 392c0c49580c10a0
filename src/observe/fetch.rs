//! What a client gets of a page: its status, and whether all of it came.
//!
//! Two kinds of clients, because servers send files to one by another way than to the other. Keeps no page.

use std::io::{self, Read as _, Write as _};

use super::probe::{MAX_BODY, PATIENCE, parse_status};
use crate::sandbox::Door;

/// What a client can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// Pages as they are.
    Plain,
    /// Also compressed ones.
    Gzip,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// `200`.
    pub status: u16,
    /// Whether anything came but the head.
    pub has_body: bool,
    /// Whether all came that the head announces.
    pub is_whole: bool,
    /// Whether it was compressed.
    pub is_compressed: bool,
}

/// Fetches a page of the container's loopback; an error where what answers speaks no HTTP.
pub fn fetch(door: &Door, port: u16, host: &str, path: &str, client: Client) -> io::Result<Answer> {
    let mut connection = door.connect(port).map_err(io::Error::other)?;
    connection.set_timeout(PATIENCE)?;
    let accepts = match client {
        Client::Plain => "",
        Client::Gzip => "Accept-Encoding: gzip\r\n",
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kiln/{}\r\nAccept: */*\r\n{accepts}Connection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    connection.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    // What was sent before a server fell silent was sent.
    match connection.take(MAX_BODY).read_to_end(&mut bytes) {
        Err(error) if bytes.is_empty() => return Err(error),
        _ => {}
    }
    read_answer(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn read_answer(bytes: &[u8]) -> Option<Answer> {
    let status = parse_status(bytes.get(..memchr::memchr(b'\n', bytes)?)?)?;
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let (head, body) = (bytes.get(..end)?, bytes.get(end + 4..)?);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let header = |wanted: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(name, _)| *name == wanted).map(|(_, value)| value.trim().to_owned()).next()
    };
    let is_whole = match header("content-length").map(|length| length.parse::<u64>()) {
        Some(Ok(length)) => body.len() as u64 >= length,
        Some(Err(_)) => false,
        None if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) => {
            body.ends_with(b"0\r\n\r\n")
        }
        // It ends where the connection does.
        None => true,
    };
    let is_compressed = header("content-encoding").is_some_and(|value| value.contains("gzip"));
    Some(Answer { status, has_body: !body.is_empty(), is_whole, is_compressed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_that_is_cut_off_is_not_whole() {
        let of = |text: &str| {
            read_answer(text.as_bytes()).map(|answer| (answer.status, answer.has_body, answer.is_whole))
        };
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Some((200, true, true)));
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), Some((200, false, false)));
        assert_eq!(of("HTTP/1.1 304 No\r\nServer: x\r\n\r\n"), Some((304, false, true)));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n";
        assert_eq!(of(chunked), Some((200, true, false)));
        assert_eq!(of(&format!("{chunked}0\r\n\r\n")), Some((200, true, true)));
        assert_eq!(of("-ERR unknown command\r\n\r\n"), None);
        assert_eq!(of("HTTP/1.1 200 OK\r\n"), None);
    }

    #[test]
    fn compressed_pages_are_told_from_plain_ones() {
        let of = |encoding: &str| {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\nx");
            read_answer(text.as_bytes()).unwrap().is_compressed
        };
        assert!(of("GZIP") && !of("identity"));
    }
}
