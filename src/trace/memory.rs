//! What stands in a watched program's memory, read while it is stopped: text, words, addresses of sockets.
//!
//! Every length is bounded: the program says where its text is, and it may lie.

use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// Where pages may end, and what behind them may not be mapped: reads stop there. Pages are never smaller.
const PAGE: usize = 4096;
/// Longest path, with its end: Linux' `PATH_MAX`.
const MAX_PATH: usize = 4096;
/// Longest single word: Linux' `MAX_ARG_STRLEN`.
const MAX_WORD: usize = 32 * PAGE;
/// Most bytes of words and environment together: what Linux lets an `execve` have with the usual stack of 8 MiB.
const MAX_WORDS_BYTES: usize = 2 << 20;
/// Most words: as many as fit, were each a byte and its pointer.
const MAX_WORDS: usize = MAX_WORDS_BYTES / 9;

/// The path at `address`; `None` where there is none that ends.
pub(super) fn path(pid: Pid, address: u64) -> Option<Vec<u8>> {
    text(pid, address, MAX_PATH)
}

/// The words that the pointers at `address` lead to, up to the null pointer, as far as the limits go.
///
/// Pointers stand side by side, and mostly the words do as well: what was read of a page is looked at for all of them.
pub(super) fn words(pid: Pid, address: u64) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut total: usize = 0;
    let mut at = address;
    let (mut pointers, mut texts) = (Window::default(), Window::default());
    while address != 0 && words.len() < MAX_WORDS && total < MAX_WORDS_BYTES {
        let Some(pointer) = pointers.word(pid, at) else { break };
        if pointer == 0 {
            break;
        }
        let near = texts.text(pid, pointer);
        let Some(text) = near.or_else(|| text(pid, pointer, MAX_WORD)) else { break };
        total = total.saturating_add(text.len()).saturating_add(1);
        words.push(text);
        at = at.wrapping_add(8);
    }
    words
}

/// What was read last: never more than to the end of a page.
#[derive(Default)]
struct Window {
    from: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// What is at `address`, to the end of what is known.
    fn at(&mut self, pid: Pid, address: u64) -> &[u8] {
        let known = |window: &Self| {
            let offset = usize::try_from(address.checked_sub(window.from)?).ok()?;
            (offset < window.bytes.len()).then_some(offset)
        };
        if known(self).is_none() {
            let (from, left) = (address, PAGE - usize::try_from(address % PAGE as u64).unwrap_or(0));
            *self = Self { from, bytes: bytes(pid, from, left) };
        }
        let offset = known(self).unwrap_or(0);
        self.bytes.get(offset..).unwrap_or_default()
    }

    fn word(&mut self, pid: Pid, address: u64) -> Option<u64> {
        let near = self.at(pid, address).first_chunk().copied().map(u64::from_ne_bytes);
        // It may stand across the end of a page.
        near.or_else(|| word(pid, address))
    }

    fn text(&mut self, pid: Pid, address: u64) -> Option<Vec<u8>> {
        let near = self.at(pid, address);
        let end = memchr::memchr(0, near)?;
        near.get(..end).map(<[u8]>::to_vec)
    }
}

/// The eight bytes at `address`, as a number.
pub(super) fn word(pid: Pid, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    (read(pid, address, &mut bytes) == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}

/// As much as can be read of `length` bytes of code at `address`.
pub(super) fn code(pid: Pid, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let got = read(pid, address, &mut bytes);
    bytes.truncate(got);
    bytes
}

/// At most `length` bytes at `address`.
pub(super) fn bytes(pid: Pid, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length.min(PAGE)];
    let got = read(pid, address, &mut bytes);
    bytes.truncate(got);
    bytes
}

fn text(pid: Pid, address: u64, limit: usize) -> Option<Vec<u8>> {
    if address == 0 {
        return None;
    }
    let mut out = Vec::new();
    let mut at = address;
    // Most paths are short: the first read is.
    let mut step = 256;
    while out.len() < limit {
        let offset = usize::try_from(at % PAGE as u64).unwrap_or(0);
        let mut buffer = vec![0; step.min(PAGE - offset).min(limit - out.len())];
        let got = read(pid, at, &mut buffer);
        let part = buffer.get(..got).unwrap_or_default();
        if let Some(end) = memchr::memchr(0, part) {
            out.extend_from_slice(part.get(..end).unwrap_or_default());
            return Some(out);
        }
        if got == 0 {
            return None;
        }
        out.extend_from_slice(part);
        at = at.wrapping_add(got as u64);
        step = PAGE;
    }
    None
}

/// How many bytes were read; none where nothing is mapped or the program is gone.
fn read(pid: Pid, address: u64, buffer: &mut [u8]) -> usize {
    let Ok(base) = usize::try_from(address) else { return 0 };
    let remote = [RemoteIoVec { base, len: buffer.len() }];
    process_vm_readv(pid, &mut [IoSliceMut::new(buffer)], &remote).unwrap_or(0)
}
