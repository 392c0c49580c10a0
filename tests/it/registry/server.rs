//! A registry inside the test: the distribution-spec's API over plain HTTP, with faults as the test wants them.
//!
//! Own code from socket to answer, so that it shares no mistake with the client. It checks less than a real registry
//! does: what a client gets wrong must show in what is stored.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use kiln::digest::BlobDigest;
use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// How often the same method and path were asked for before.
    pub before: usize,
    /// How many requests of any kind came before.
    pub number: usize,
}

impl Asked {
    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }
}

/// What goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This status, these headers, nothing done.
    Answer(u16, Vec<(&'static str, String)>),
    /// The right answer, cut after so many bytes of its body.
    Cut(usize),
    /// The right answer with one byte of its body changed.
    WrongByte,
    /// The right head, a shorter body, and a length that agrees with it.
    Short,
    /// The right answer, and then bytes for as long as they are taken.
    Endless,
    /// No answer, and the connection kept open.
    Hang,
    /// The connection closed without a word.
    Reset,
    /// Done, but the connection closed in place of the answer.
    LostAnswer,
    /// The right answer with other headers.
    Headers(Vec<(&'static str, String)>),
    /// `Range` is not heeded.
    NoRange,
}

pub fn answer(status: u16) -> Fault {
    Fault::Answer(status, Vec::new())
}

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    Nobody,
    /// User and password.
    Basic(String),
    /// Tokens from `realm` (`/token` here where empty), for those with this user and password, each for so many
    /// requests; the refresh token `refresh` does too.
    Bearer {
        realm: String,
        user: String,
        uses: usize,
    },
}

type Faults = Box<dyn Fn(&Asked) -> Option<Fault> + Send + Sync>;

pub struct State {
    blobs: BTreeMap<(String, BlobDigest), Vec<u8>>,
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    sessions: BTreeMap<String, Vec<u8>>,
    tokens: BTreeMap<String, usize>,
    counts: BTreeMap<(String, String), usize>,
    /// Whether referrers are listed by the registry itself (distribution-spec 1.1).
    pub lists_referrers: bool,
    /// How many referrers a page of that list has; `None`: all.
    pub referrers_per_page: Option<usize>,
    /// All requests, in order.
    pub log: Vec<Asked>,
    /// Tags that were put on something of which a part was missing or wrong.
    pub incomplete: Vec<String>,
}

pub struct Server {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
}

/// What a connection works with.
struct Desk {
    state: Arc<Mutex<State>>,
    faults: Faults,
    guard: Guard,
    address: SocketAddr,
}

impl Server {
    pub fn start(guard: Guard, faults: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            blobs: BTreeMap::new(),
            manifests: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            counts: BTreeMap::new(),
            lists_referrers: false,
            referrers_per_page: None,
            log: Vec::new(),
            incomplete: Vec::new(),
        }));
        let desk = Arc::new(Desk { state: Arc::clone(&state), faults: Box::new(faults), guard, address });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let desk = Arc::clone(&desk);
                std::thread::spawn(move || desk.serve(&stream));
            }
        });
        Self { address, state }
    }

    pub fn open() -> Self {
        Self::start(Guard::Nobody, |_| None)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// `docker://` and the name of a repository and tag here.
    pub fn name(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address)
    }

    pub fn add_blob(&self, repository: &str, bytes: &[u8]) -> Value {
        let digest = BlobDigest::of(bytes);
        self.state().blobs.insert((repository.to_owned(), digest), bytes.to_vec());
        json!({"digest": digest, "size": bytes.len()})
    }

    pub fn add_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        let stored = (media_type.to_owned(), bytes.to_vec());
        let digest = BlobDigest::of(bytes).to_string();
        let mut state = self.state();
        for name in [tag.to_owned(), digest] {
            state.manifests.insert((repository.to_owned(), name), stored.clone());
        }
    }

    /// Requests of this method whose path holds `part`.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.state().log.iter().filter(|asked| asked.is(method, part)).count()
    }

    /// The digest that a tag is on, where it and all it names is there.
    pub fn whole(&self, repository: &str, tag: &str) -> Option<BlobDigest> {
        let state = self.state();
        let (_, bytes) = state.manifests.get(&(repository.to_owned(), tag.to_owned()))?;
        state.is_complete(repository, bytes).then(|| BlobDigest::of(bytes))
    }
}

impl State {
    fn is_complete(&self, repository: &str, manifest: &[u8]) -> bool {
        let manifest: Value = serde_json::from_slice(manifest).unwrap();
        if let Some(entries) = manifest["manifests"].as_array() {
            return entries.iter().all(|entry| {
                let name = entry["digest"].as_str().unwrap().to_owned();
                let found = self.manifests.get(&(repository.to_owned(), name));
                found.is_some_and(|(_, bytes)| self.is_complete(repository, bytes))
            });
        }
        let layers = manifest["layers"].as_array().unwrap().iter();
        layers.chain([&manifest["config"]]).all(|descriptor| {
            let digest: BlobDigest = descriptor["digest"].as_str().unwrap().parse().unwrap();
            let blob = self.blobs.get(&(repository.to_owned(), digest));
            blob.is_some_and(|bytes| BlobDigest::of(bytes) == digest && descriptor["size"] == bytes.len())
        })
    }
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn reply(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), body: Vec::new() }
}

impl Reply {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Desk {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(asked) = self.read(&mut reader) {
            let fault = (self.faults)(&asked);
            if self.respond(stream, &asked, fault.as_ref()).is_none() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    /// `None` at the end, and where it is no HTTP.
    fn read(&self, reader: &mut BufReader<TcpStream>) -> Option<Asked> {
        // TLS is tried: servers of plain HTTP say that they do not understand.
        if reader.fill_buf().ok()?.first() == Some(&0x16) {
            let mut stream = reader.get_ref();
            stream.write_all(b"HTTP/1.1 400 x\r\nConnection: close\r\n\r\n").ok()?;
            stream.shutdown(Shutdown::Write).ok()?;
            std::io::copy(reader, &mut std::io::sink()).ok()?;
            return None;
        }
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
                None => break,
            };
        }
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = query.map(|(name, value)| (name.to_owned(), unescaped(value))).collect();
        let mut state = self.state.lock().unwrap();
        let count = state.counts.entry((method.clone(), path.to_owned())).or_default();
        *count += 1;
        let before = *count - 1;
        let asked =
            Asked { method, path: path.to_owned(), query, headers, body, before, number: state.log.len() };
        state.log.push(asked.clone());
        Some(asked)
    }

    fn respond(&self, mut stream: &TcpStream, asked: &Asked, fault: Option<&Fault>) -> Option<()> {
        let mut asked = asked.clone();
        let reply = match fault {
            Some(Fault::Answer(status, headers)) => Reply { headers: headers.clone(), ..reply(*status) },
            Some(Fault::Hang) => {
                // Until the client goes.
                let _ = stream.read(&mut [0; 1]);
                return None;
            }
            Some(Fault::Reset) => return None,
            Some(Fault::NoRange) => {
                asked.headers.remove("range");
                self.answer(&asked)
            }
            _ => self.answer(&asked),
        };
        if fault == Some(&Fault::LostAnswer) {
            return None;
        }
        let Reply { status, mut headers, mut body } = reply;
        if let Some(Fault::Headers(others)) = fault {
            headers.retain(|(name, _)| others.iter().all(|(other, _)| other != name));
            headers.extend(others.clone());
        }
        match fault {
            Some(Fault::WrongByte) => _ = body.first_mut().map(|byte| *byte ^= 1),
            Some(Fault::Short) => body.truncate(body.len() / 2),
            _ => {}
        }
        let has_length = headers.iter().any(|(name, _)| *name == "Content-Length");
        if fault != Some(&Fault::Endless) && !has_length {
            headers.push(("Content-Length", body.len().to_string()));
        }
        let head: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} x\r\n{}", head.concat());
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        if asked.method == "HEAD" {
            return Some(());
        }
        if let Some(Fault::Cut(at)) = fault {
            stream.write_all(&body[..(*at).min(body.len())]).ok()?;
            return None;
        }
        stream.write_all(&body).ok()?;
        while fault == Some(&Fault::Endless) {
            stream.write_all(&[0; 1024]).ok()?;
        }
        Some(())
    }

    fn answer(&self, asked: &Asked) -> Reply {
        if asked.path == "/token" {
            return self.token(asked);
        }
        if let Some(refused) = self.refused(asked) {
            return refused;
        }
        let mut state = self.state.lock().unwrap();
        let Some((repository, rest)) =
            ["/manifests/", "/referrers/", "/blobs/uploads/", "/blobs/"].iter().find_map(|part| {
                let at = asked.path.find(part)?;
                Some((asked.path[4..at].to_owned(), (*part, asked.path[at + part.len()..].to_owned())))
            })
        else {
            return reply(200);
        };
        match rest {
            ("/manifests/", name) => manifest(&mut state, asked, repository, name),
            ("/referrers/", subject) => referrers(&state, asked, &repository, &subject),
            ("/blobs/uploads/", session) => upload(&mut state, asked, repository, &session),
            (_, digest) => blob(&state, asked, repository, &digest),
        }
    }

    fn refused(&self, asked: &Asked) -> Option<Reply> {
        let given = asked.headers.get("authorization").map_or("", String::as_str);
        let (let_in, challenge) = match &self.guard {
            Guard::Nobody => return None,
            Guard::Basic(user) => (given == basic(user), "Basic realm=\"test\"".to_owned()),
            Guard::Bearer { realm, uses, .. } => {
                let mut state = self.state.lock().unwrap();
                let used = state.tokens.get_mut(given.trim_start_matches("Bearer "));
                let realm =
                    if realm.is_empty() { format!("http://{}/token", self.address) } else { realm.clone() };
                let let_in = used.is_some_and(|used| {
                    *used += 1;
                    *used <= *uses
                });
                (let_in, format!("Bearer realm=\"{realm}\",service=\"test\""))
            }
        };
        (!let_in).then(|| reply(401).with("WWW-Authenticate", challenge))
    }

    fn token(&self, asked: &Asked) -> Reply {
        let Guard::Bearer { user, .. } = &self.guard else { return reply(404) };
        let body = String::from_utf8_lossy(&asked.body);
        let known = match asked.method.as_str() {
            "POST" => body.contains("grant_type=refresh_token") && body.contains("refresh_token=refresh"),
            _ => user.is_empty() || asked.headers.get("authorization") == Some(&basic(user)),
        };
        if !known {
            return Reply { body: br#"{"details":"who are you"}"#.to_vec(), ..reply(401) };
        }
        let mut state = self.state.lock().unwrap();
        let token = format!("token-{}", state.tokens.len());
        state.tokens.insert(token.clone(), 0);
        let body = json!({"token": token, "expires_in": 300}).to_string().into_bytes();
        Reply { body, ..reply(200) }
    }
}

fn referrers(state: &State, asked: &Asked, repository: &str, subject: &str) -> Reply {
    if !state.lists_referrers {
        return reply(404);
    }
    let mut found = BTreeMap::new();
    for ((other, _), (media_type, bytes)) in &state.manifests {
        let manifest: Value = serde_json::from_slice(bytes).unwrap();
        if other == repository && manifest["subject"]["digest"] == subject {
            let digest = BlobDigest::of(bytes).to_string();
            let entry = json!({"mediaType": media_type, "digest": digest, "size": bytes.len(),
                "artifactType": manifest["artifactType"]});
            found.insert(digest, entry);
        }
    }
    let all = found.len();
    let per_page = state.referrers_per_page.unwrap_or(usize::MAX);
    let from = asked.query.get("from").map_or(0, |from| from.parse().unwrap());
    let page: Vec<Value> = found.into_values().skip(from).take(per_page).collect();
    let to = from + page.len();
    let index = json!({"schemaVersion": 2, "manifests": page});
    let answer = Reply { body: index.to_string().into_bytes(), ..reply(200) };
    if to < all { answer.with("Link", format!("<{}?from={to}>; rel=\"next\"", asked.path)) } else { answer }
}

fn manifest(state: &mut State, asked: &Asked, repository: String, name: String) -> Reply {
    if asked.method == "PUT" {
        let digest = BlobDigest::of(&asked.body).to_string();
        if !state.is_complete(&repository, &asked.body) {
            state.incomplete.push(name.clone());
        }
        let stored = (asked.headers["content-type"].clone(), asked.body.clone());
        for name in [name, digest.clone()] {
            state.manifests.insert((repository.clone(), name), stored.clone());
        }
        let manifest: Value = serde_json::from_slice(&asked.body).unwrap();
        let stored = reply(201).with("Docker-Content-Digest", digest);
        return match manifest["subject"]["digest"].as_str() {
            Some(subject) if state.lists_referrers => stored.with("OCI-Subject", subject),
            _ => stored,
        };
    }
    match state.manifests.get(&(repository, name)) {
        Some((media_type, bytes)) => Reply { body: bytes.clone(), ..reply(200) }
            .with("Content-Type", media_type)
            .with("Docker-Content-Digest", BlobDigest::of(bytes).to_string()),
        None => Reply {
            body: br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"none"}]}"#.to_vec(),
            ..reply(404)
        },
    }
}

fn blob(state: &State, asked: &Asked, repository: String, digest: &str) -> Reply {
    let Some(bytes) = digest.parse().ok().and_then(|digest| state.blobs.get(&(repository, digest))) else {
        return reply(404);
    };
    let from = asked
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        Some(from) if from >= bytes.len() => reply(416),
        Some(from) => Reply { body: bytes[from..].to_vec(), ..reply(206) }
            .with("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
        None => Reply { body: bytes.clone(), ..reply(200) }.with("Docker-Content-Digest", digest),
    }
}

fn upload(state: &mut State, asked: &Asked, repository: String, session: &str) -> Reply {
    let location = |session: &str| format!("/v2/{repository}/blobs/uploads/{session}?state=x");
    if asked.method == "POST" {
        let mounted = asked.query.get("mount").zip(asked.query.get("from")).and_then(|(digest, from)| {
            let digest: BlobDigest = digest.parse().unwrap();
            Some((digest, state.blobs.get(&(from.clone(), digest))?.clone()))
        });
        if let Some((digest, bytes)) = mounted {
            state.blobs.insert((repository, digest), bytes);
            return reply(201).with("Docker-Content-Digest", digest.to_string());
        }
        let session = format!("s{}", asked.number);
        state.sessions.insert(session.clone(), Vec::new());
        return reply(202).with("Location", location(&session));
    }
    let Some(stored) = state.sessions.get_mut(session) else { return reply(404) };
    if asked.method == "GET" {
        let range = format!("0-{}", stored.len().saturating_sub(1));
        return reply(204).with("Location", location(session)).with("Range", range);
    }
    let range = asked.headers.get("content-range");
    if range.is_some_and(|range| range.split('-').next().unwrap().parse() != Ok(stored.len())) {
        return reply(416);
    }
    stored.extend_from_slice(&asked.body);
    if asked.method == "PATCH" {
        let range = format!("0-{}", stored.len().saturating_sub(1));
        return reply(202).with("Location", location(session)).with("Range", range);
    }
    let bytes = state.sessions.remove(session).unwrap();
    let digest: BlobDigest = asked.query["digest"].parse().unwrap();
    if BlobDigest::of(&bytes) != digest {
        return Reply {
            body: br#"{"errors":[{"code":"DIGEST_INVALID","message":"other bytes"}]}"#.to_vec(),
            ..reply(400)
        };
    }
    state.blobs.insert((repository, digest), bytes);
    reply(201).with("Docker-Content-Digest", digest.to_string())
}

/// `Authorization` of `user:password`.
pub fn basic(user: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user))
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}
