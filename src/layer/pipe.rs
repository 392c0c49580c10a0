//! A reader on a thread of its own: decoding runs beside what consumes it.
//!
//! Bytes and errors come out in order and unchanged; it does not know what they are.

use std::io::{self, Read};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Bytes handed over at once. Large enough that hand-over costs nothing, small enough to stay in cache.
const BLOCK: usize = 128 * 1024;

/// Blocks that may wait: the decoder runs ahead by at most this.
const AHEAD: usize = 4;

/// Reads `R` on another thread.
pub struct ReadAhead<R> {
    filled: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    block: Vec<u8>,
    position: usize,
    thread: Option<JoinHandle<R>>,
}

impl<R: Read + Send + 'static> ReadAhead<R> {
    /// Starts reading.
    pub fn new(mut inner: R) -> Self {
        let (filled_sender, filled) = bounded::<io::Result<Vec<u8>>>(AHEAD);
        let (empty, empty_receiver) = bounded::<Vec<u8>>(AHEAD + 2);
        let thread = std::thread::spawn(move || {
            loop {
                let mut block = empty_receiver.try_recv().unwrap_or_default();
                block.resize(BLOCK, 0);
                match read_full(&mut inner, &mut block) {
                    Ok(0) => break,
                    Ok(n) => {
                        block.truncate(n);
                        if filled_sender.send(Ok(block)).is_err() {
                            break;
                        }
                    }
                    Err(error) => {
                        let _ = filled_sender.send(Err(error));
                        break;
                    }
                }
            }
            inner
        });
        Self { filled, empty, block: Vec::new(), position: 0, thread: Some(thread) }
    }

    /// Reads to the end and gives back what was wrapped; the first error if there is one.
    pub fn finish(mut self) -> io::Result<R> {
        while let Ok(block) = self.filled.recv() {
            let _ = self.empty.try_send(block?);
        }
        self.join().ok_or_else(|| io::Error::other("the reading thread is gone"))
    }

    fn join(&mut self) -> Option<R> {
        self.thread.take().map(|thread| match thread.join() {
            Ok(inner) => inner,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

fn read_full(reader: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = block.get_mut(filled..).filter(|free| !free.is_empty()) {
        match reader.read(free) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What was read before the error is lost: the stream is broken either way.
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl<R> Read for ReadAhead<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.position == self.block.len() {
            let Ok(next) = self.filled.recv() else { return Ok(0) };
            let done = std::mem::replace(&mut self.block, next?);
            let _ = self.empty.try_send(done);
            self.position = 0;
        }
        let rest = self.block.get(self.position..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.position += n;
        Ok(n)
    }
}
