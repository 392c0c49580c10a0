//! Blobs on their way in: each once, into a file without a name, resumed where it was cut, verified before it is read.
//!
//! Does not know what blobs mean.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::Method;

use super::client::Client;
use super::error::{RegistryError, Shared};
use super::exchange::{self, Call};
use super::pace::{MAX_ATTEMPTS, MAX_RESUMES, MIN_PROGRESS, is_passing};
use super::transport::{Answer, Patience, sleep};
use crate::digest::{BlobDigest, Hasher};

/// Downloads of one run at once: what Docker and containerd take too; more do not make a registry faster.
pub(super) const MAX_PARALLEL: usize = 4;

/// Bytes read from a connection at once.
const READ_SIZE: usize = 128 << 10;

/// Times that a blob is fetched from its start again because it was the wrong bytes.
const MAX_WRONG: u32 = 3;

/// A blob that is being fetched by a thread of its own, which ends when nobody waits any more.
pub struct Download {
    inner: Arc<Inner>,
}

struct Inner {
    file: File,
    size: u64,
    end: Mutex<Option<Result<(), Shared>>>,
    ended: Condvar,
}

impl Client {
    /// Begins to fetch a blob.
    pub fn get_blob(&self, digest: BlobDigest, size: u64) -> Result<Download, RegistryError> {
        let file = tempfile::tempfile().map_err(RegistryError::Temporary)?;
        let inner = Arc::new(Inner { file, size, end: Mutex::default(), ended: Condvar::new() });
        let (client, shared) = (self.clone(), Arc::clone(&inner));
        let work = move || {
            // Whoever waits is told, whatever happens here.
            let _told = Told(&shared);
            // Nobody but this thread holds it: whoever asked has gone.
            let given_up = || Arc::strong_count(&shared) == 1;
            let _permit = client.transport.permits.take();
            let end = Fetch::new(&client, digest, size, &shared.file).run(&given_up);
            if end.is_ok() {
                client.host.note_holder(digest, &client.repository.path);
            }
            shared.finish(end.map_err(|error| Shared(Arc::new(error))));
        };
        std::thread::Builder::new().spawn(work).map_err(RegistryError::Temporary)?;
        Ok(Download { inner })
    }
}

impl Download {
    /// The blob's bytes from the start. Reading waits until all are there and right.
    pub fn open(&self) -> impl Read + Send + use<> {
        Reader { inner: Arc::clone(&self.inner), offset: 0, waited: false }
    }
}

impl Inner {
    /// The first end counts.
    fn finish(&self, end: Result<(), Shared>) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
        self.ended.notify_all();
    }

    fn wait(&self) -> Result<(), Shared> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*end {
                Some(result) => return result.clone(),
                None => end = self.ended.wait(end).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Ends a download that its thread left without a word: a panic there must not keep readers waiting for ever.
struct Told<'a>(&'a Inner);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.finish(Err(Shared(Arc::new(RegistryError::Abandoned))));
    }
}

struct Reader {
    inner: Arc<Inner>,
    offset: u64,
    waited: bool,
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.waited {
            self.inner.wait()?;
            self.waited = true;
        }
        let left = usize::try_from(self.inner.size - self.offset).unwrap_or(usize::MAX);
        let n =
            self.inner.file.read_at(buf.get_mut(..left.min(buf.len())).unwrap_or_default(), self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

/// How one try ended that did not bring the rest.
enum Broken {
    /// Another try may go on where this one ended.
    Passing(RegistryError, Option<Duration>),
    /// What came is of no use: again from the start.
    Wrong(RegistryError),
    /// Trying again does not help.
    Final(RegistryError),
}

/// A blob being fetched.
struct Fetch<'a> {
    client: &'a Client,
    digest: BlobDigest,
    size: u64,
    file: &'a File,
    written: u64,
    hasher: Hasher,
}

impl<'a> Fetch<'a> {
    fn new(client: &'a Client, digest: BlobDigest, size: u64, file: &'a File) -> Self {
        Self { client, digest, size, file, written: 0, hasher: Hasher::default() }
    }

    fn run(&mut self, given_up: &dyn Fn() -> bool) -> Result<(), RegistryError> {
        let pace = self.client.transport.pace();
        let (mut fruitless, mut resumed, mut wrong) = (0, 0, 0);
        while !given_up() {
            let before = self.written;
            match self.attempt(given_up) {
                Ok(()) => return Ok(()),
                Err(Broken::Final(error)) => return Err(error),
                Err(Broken::Wrong(error)) => {
                    wrong += 1;
                    if wrong >= MAX_WRONG {
                        return Err(error);
                    }
                    self.restart();
                }
                Err(Broken::Passing(error, asked)) => {
                    fruitless = if self.written > before { 1 } else { fruitless + 1 };
                    resumed += 1;
                    let may = fruitless < MAX_ATTEMPTS && resumed < MAX_RESUMES;
                    match pace.before(fruitless + 1, asked).filter(|_| may) {
                        Some(wait) => sleep(wait),
                        None => return Err(error.tried(resumed)),
                    }
                }
            }
        }
        Err(RegistryError::Abandoned)
    }

    fn restart(&mut self) {
        self.written = 0;
        self.hasher = Hasher::default();
    }

    /// One request for what is missing, and the check where it came.
    fn attempt(&mut self, given_up: &dyn Fn() -> bool) -> Result<(), Broken> {
        if self.written < self.size || self.size == 0 {
            let answer = self.ask()?;
            self.receive(answer, given_up)?;
        }
        let found = self.hasher.clone().blob();
        if found == self.digest {
            return Ok(());
        }
        Err(Broken::Wrong(RegistryError::WrongDigest { what: "blob", expected: self.digest, found }))
    }

    fn ask(&mut self) -> Result<Answer, Broken> {
        let url = self.client.url(&format!("blobs/{}", self.digest)).map_err(Broken::Final)?;
        let mut call = Call::new(Method::GET, url).patience(Patience::Stream);
        if self.written > 0 {
            call = call.header("Range", format!("bytes={}-", self.written));
        }
        let answer = self.client.authenticated(&call, None).map_err(|error| match error {
            RegistryError::Unreachable { .. } => Broken::Passing(error, None),
            other => Broken::Final(other),
        })?;
        match answer.status {
            200 => {
                // All of it again, where a part was asked for.
                self.restart();
                Ok(answer)
            }
            206 if range_start(&answer) == Some(self.written) => Ok(answer),
            206 | 416 if self.written > 0 => Err(Broken::Wrong(exchange::refusal(&call.method, answer, 1))),
            404 => {
                let message = exchange::said(answer);
                Err(Broken::Final(RegistryError::NotFound {
                    repository: self.client.repository.to_string(),
                    what: format!("blob {}", self.digest),
                    message,
                }))
            }
            status if is_passing(status) => {
                let asked = exchange::retry_after(&answer);
                Err(Broken::Passing(exchange::refusal(&call.method, answer, 1), asked))
            }
            _ => Err(Broken::Final(exchange::refusal(&call.method, answer, 1))),
        }
    }

    fn receive(&mut self, mut answer: Answer, given_up: &dyn Fn() -> bool) -> Result<(), Broken> {
        let (url, stall) = (answer.url.to_string(), self.client.transport.pace().stall);
        let mut buffer = vec![0; READ_SIZE];
        let (mut since, mut moved) = (Instant::now(), 0_u64);
        loop {
            if given_up() {
                return Err(Broken::Final(RegistryError::Abandoned));
            }
            let read = answer.body.read(&mut buffer);
            let n = read.map_err(|source| Broken::Passing(exchange::broken(url.clone(), source), None))?;
            let bytes = buffer.get(..n).unwrap_or_default();
            let size = |found, more| RegistryError::WrongSize {
                digest: self.digest,
                expected: self.size,
                found,
                more,
            };
            if n == 0 {
                return match self.written {
                    written if written == self.size => Ok(()),
                    // Nothing says that it was cut: yet the rest may come when asked for.
                    written => Err(Broken::Passing(size(written, false), None)),
                };
            }
            if self.written + n as u64 > self.size {
                return Err(Broken::Wrong(size(self.size, true)));
            }
            self.file
                .write_all_at(bytes, self.written)
                .map_err(|source| Broken::Final(RegistryError::Temporary(source)))?;
            self.hasher.update(bytes);
            self.written += n as u64;
            moved += n as u64;
            if since.elapsed() > stall {
                if moved < MIN_PROGRESS && self.written < self.size {
                    return Err(Broken::Passing(RegistryError::Stalled { url, attempts: 1 }, None));
                }
                (since, moved) = (Instant::now(), 0);
            }
        }
    }
}

/// Where the bytes of a part begin: `Content-Range: bytes START-END/SIZE`.
fn range_start(answer: &Answer) -> Option<u64> {
    answer.header("content-range")?.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// Places for downloads at once.
pub(super) struct Permits {
    free: Mutex<usize>,
    returned: Condvar,
}

/// One place, given back on drop.
pub(super) struct Permit<'a>(&'a Permits);

impl Permits {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), returned: Condvar::new() }
    }

    fn take(&self) -> Permit<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}
