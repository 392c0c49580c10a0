//! gzip on several cores: the same bytes for any number of them.
//!
//! The stream is cut into blocks of one size; each is deflated alone with the 32 KiB before it as dictionary
//! (as pigz does), and the pieces are one gzip member. Does not know what it compresses.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use flate2::Crc;

use crate::deflate::compress;

/// Uncompressed bytes per block. The loss by cutting is small at this size (pigz takes 128 KiB); memory is a few
/// blocks per core and layer.
const BLOCK: usize = 256 * 1024;

/// Deflate's window: what a block may refer back to.
const WINDOW: usize = 32 * 1024;

/// Threads that deflate blocks, shared by all layers of a run.
#[derive(Clone)]
pub struct Pool {
    jobs: Sender<Job>,
    workers: usize,
}

struct Job {
    block: Vec<u8>,
    /// The end of the block before.
    dictionary: Arc<[u8]>,
    level: u32,
    done: Sender<Piece>,
}

struct Piece {
    deflated: Vec<u8>,
    crc: Crc,
    /// The block's buffer, to be filled again.
    block: Vec<u8>,
}

impl Pool {
    /// Starts `workers` threads; they end when the last clone is dropped.
    pub fn new(workers: usize) -> Self {
        let workers = workers.max(1);
        let (jobs, receiver) = bounded::<Job>(workers);
        for _ in 0..workers {
            let receiver = receiver.clone();
            std::thread::spawn(move || work(&receiver));
        }
        Self { jobs, workers }
    }

    /// Number of threads.
    pub fn workers(&self) -> usize {
        self.workers
    }
}

fn work(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        let deflated = compress(&job.block, &job.dictionary, job.level);
        let mut crc = Crc::new();
        crc.update(&job.block);
        // A writer that gave up is no error here.
        let _ = job.done.send(Piece { deflated, crc, block: job.block });
    }
}

/// Writes one gzip member.
pub struct GzipWriter<W> {
    inner: W,
    pool: Pool,
    level: u32,
    block: Vec<u8>,
    dictionary: Arc<[u8]>,
    pending: VecDeque<Receiver<Piece>>,
    spare: Vec<Vec<u8>>,
    crc: Crc,
}

impl<W: Write> GzipWriter<W> {
    /// Writes the gzip header: no name, no time. What is written is deflated at `level`, 1 to 9.
    pub fn new(mut inner: W, pool: Pool, level: u32) -> io::Result<Self> {
        // Magic, deflate, no flags, no time, no hint, operating system unknown.
        inner.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        Ok(Self {
            inner,
            pool,
            level,
            block: Vec::with_capacity(BLOCK),
            dictionary: Arc::from([]),
            pending: VecDeque::new(),
            spare: Vec::new(),
            crc: Crc::new(),
        })
    }

    /// Writes what is left and the trailer.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() {
            self.submit()?;
        }
        while !self.pending.is_empty() {
            self.collect()?;
        }
        // An empty final block with fixed codes, CRC-32 and size modulo 2^32 (RFC 1951, RFC 1952).
        self.inner.write_all(&[3, 0])?;
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        self.inner.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.inner)
    }

    fn submit(&mut self) -> io::Result<()> {
        while self.pending.len() > self.pool.workers {
            self.collect()?;
        }
        let mut fresh = self.spare.pop().unwrap_or_default();
        fresh.clear();
        let block = std::mem::replace(&mut self.block, fresh);
        let tail = Arc::from(block.get(block.len().saturating_sub(WINDOW)..).unwrap_or_default());
        let dictionary = std::mem::replace(&mut self.dictionary, tail);
        let (done, receiver) = bounded(1);
        self.pool
            .jobs
            .send(Job { block, dictionary, level: self.level, done })
            .map_err(|_| io::Error::other("the compressing threads are gone"))?;
        self.pending.push_back(receiver);
        Ok(())
    }

    fn collect(&mut self) -> io::Result<()> {
        let Some(receiver) = self.pending.pop_front() else { return Ok(()) };
        let piece = receiver.recv().map_err(|_| io::Error::other("a compressing thread died"))?;
        self.inner.write_all(&piece.deflated)?;
        self.crc.combine(&piece.crc);
        self.spare.push(piece.block);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(buf.get(..n).unwrap_or_default());
        if self.block.len() == BLOCK {
            self.submit()?;
        }
        Ok(n)
    }

    /// Does nothing: a flush would cut blocks where the caller happened to call it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::deflate::LEVEL;

    fn gzip(data: &[u8], workers: usize, write_size: usize) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new(), Pool::new(workers), LEVEL).unwrap();
        for piece in data.chunks(write_size) {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut x = 1u32;
        (0..len)
            .map(|i| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if i % 3 == 0 { b'a' } else { x.to_be_bytes()[0] }
            })
            .collect()
    }

    #[test]
    fn any_number_of_threads_and_write_sizes_give_the_same_readable_bytes() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17] {
            let data = noise(len);
            let one = gzip(&data, 1, 1 << 20);
            assert_eq!(one, gzip(&data, 8, 4097), "{len}");
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(one.as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == data, "{len}");
        }
    }

    /// Words in a changing order: matches of all lengths and distances.
    fn prose(len: usize) -> Vec<u8> {
        const WORDS: [&str; 8] =
            ["layer ", "entry ", "rootfs ", "a ", "verdict\n", "manifest.json ", "0755 ", "\0\0\0\0"];
        let mut x = 5u64;
        let mut out = Vec::with_capacity(len + 16);
        while out.len() < len {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            out.extend_from_slice(WORDS[(x >> 20) as usize % WORDS.len()].as_bytes());
            if x.is_multiple_of(7) {
                out.extend_from_slice(&x.to_le_bytes()[..3]);
            }
        }
        out
    }

    #[test]
    fn which_thread_had_a_block_before_does_not_show() {
        let data = prose(24 * BLOCK);
        let one = gzip(&data, 1, 1 << 20);
        for workers in [2, 3, 8] {
            assert!(gzip(&data, workers, 1 << 16) == one, "{workers}");
        }
    }

    #[test]
    fn incompressible_data_does_not_grow_noticeably() {
        let mut x = 7u64;
        let data: Vec<u8> = (0..2 * BLOCK)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                x.to_le_bytes()[0]
            })
            .collect();
        let out = gzip(&data, 2, 1 << 16);
        assert!(out.len() < data.len() + data.len() / 500, "{} of {}", out.len(), data.len());
    }
}
