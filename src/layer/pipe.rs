//! Readers and writers on threads of their own: decoding and hashing run beside what needs or makes the bytes.
//!
//! Bytes and errors come out in order and unchanged; it does not know what they are.

use std::io::{self, Read, Write};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Bytes handed over at once. Large enough that hand-over costs nothing, small enough to stay in cache.
const BLOCK: usize = 128 * 1024;

/// Blocks that may wait: one thread is before the other by at most this.
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

/// Writes to `W` on another thread.
pub struct WriteBehind<W> {
    /// `None` once all was written.
    filled: Option<Sender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    block: Vec<u8>,
    thread: Option<JoinHandle<(W, io::Result<()>)>>,
}

impl<W: Write + Send + 'static> WriteBehind<W> {
    /// Begins to write.
    pub fn new(mut inner: W) -> Self {
        let (filled, receiver) = bounded::<Vec<u8>>(AHEAD);
        let (sender, empty) = bounded::<Vec<u8>>(AHEAD + 2);
        let thread = std::thread::spawn(move || {
            for mut block in receiver {
                if let Err(error) = inner.write_all(&block) {
                    return (inner, Err(error));
                }
                block.clear();
                let _ = sender.try_send(block);
            }
            (inner, Ok(()))
        });
        Self { filled: Some(filled), empty, block: Vec::with_capacity(BLOCK), thread: Some(thread) }
    }

    /// Writes the rest and gives back what was wrapped; the first error if there is one.
    pub fn finish(mut self) -> io::Result<W> {
        // Where the thread has ended before, it tells why.
        let _ = self.send();
        self.end()
    }
}

impl<W> WriteBehind<W> {
    /// Hands over what there is; `false` where nobody takes it.
    fn send(&mut self) -> bool {
        let mut fresh = self.empty.try_recv().unwrap_or_default();
        fresh.reserve(BLOCK);
        let block = std::mem::replace(&mut self.block, fresh);
        self.filled.as_ref().is_some_and(|filled| filled.send(block).is_ok())
    }

    fn end(&mut self) -> io::Result<W> {
        self.filled = None;
        let ended = self.thread.take().map(JoinHandle::join);
        match ended.ok_or_else(|| io::Error::other("the writing thread is gone"))? {
            Ok((inner, written)) => written.map(|()| inner),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl<W> Write for WriteBehind<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(buf.get(..n).unwrap_or_default());
        if self.block.len() == BLOCK && !self.send() {
            return Err(self.end().err().unwrap_or_else(|| io::Error::other("the writing thread is gone")));
        }
        Ok(n)
    }

    /// Does nothing: what is under way is written in any case.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W> Drop for WriteBehind<W> {
    /// Waits until what was wrapped is dropped: it may be a file that must not stay.
    fn drop(&mut self) {
        self.filled = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn bytes_come_through_in_order_whatever_the_sizes() {
        let bytes: Vec<u8> = (0..5 * BLOCK + 17).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for size in [1000, BLOCK - 1, BLOCK, BLOCK + 1, bytes.len()] {
            let mut behind = WriteBehind::new(Vec::new());
            for piece in bytes.chunks(size) {
                behind.write_all(piece).unwrap();
            }
            assert!(behind.finish().unwrap() == bytes, "{size}");
        }
        assert!(WriteBehind::new(Vec::new()).finish().unwrap().is_empty());
    }

    /// Full after some bytes; says when it is dropped.
    struct Disk(usize, Arc<AtomicBool>);

    impl Write for Disk {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(buf.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_a_full_disk_says_is_told_while_writing_or_at_the_end() {
        for room in [0, BLOCK, 3 * BLOCK] {
            let mut behind = WriteBehind::new(Disk(room, Arc::default()));
            let told = (0..100).find_map(|_| behind.write_all(&vec![0; BLOCK]).err());
            assert_eq!(told.unwrap().kind(), io::ErrorKind::StorageFull);
            let mut behind = WriteBehind::new(Disk(room, Arc::default()));
            behind.write_all(&[0; 10]).unwrap();
            let end = behind.finish().map(drop).map_err(|error| error.kind());
            assert_eq!(end, if room == 0 { Err(io::ErrorKind::StorageFull) } else { Ok(()) });
        }
    }

    #[test]
    fn what_was_wrapped_is_gone_when_the_writer_is() {
        let gone = Arc::new(AtomicBool::new(false));
        let mut behind = WriteBehind::new(Disk(1 << 30, Arc::clone(&gone)));
        behind.write_all(&vec![0; 3 * BLOCK]).unwrap();
        drop(behind);
        assert!(gone.load(Ordering::Relaxed));
    }
}
