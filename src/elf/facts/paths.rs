//! Absolute paths that stand in an executable's bytes and may be written, found while the bytes stream by.
//!
//! Does not know which of them exist; strings of Go and Rust run together, so a path may have a foreign tail.

use std::collections::BTreeSet;

use super::MAX_PATHS;

/// First components below which programs write; each without slashes at its ends.
const ROOTS: &[&[u8]] = &[b"var", b"run", b"srv", b"data", b"tmp", b"opt", b"usr/local"];

/// Below these nothing is written, but paths of source files and libraries abound.
const NOISE: &[&[u8]] = &[
    b"/usr/local/go/",
    b"/usr/local/lib/",
    b"/usr/local/lib64/",
    b"/usr/local/include/",
    b"/usr/local/share/",
    b"/usr/local/bin/",
    b"/usr/local/sbin/",
];

/// Stands in every Rust program: its panics name the library's source files so.
const RUST_MARK: &[u8] = b"rustc/";

/// Longest path looked at, bytes: what a person puts into a program is shorter.
const MAX_LENGTH: usize = 255;

/// Bytes that must follow a slash before it is looked at: the longest path and the byte that ends it.
const LOOK_AHEAD: usize = MAX_LENGTH + 1;

/// Most paths held while streaming; beyond it the deepest components are given up.
const MAX_HELD: usize = 4096;

/// Deepest path kept at first, in components.
const FIRST_DEPTH: usize = 8;

/// Finds paths in a stream.
#[derive(Debug)]
pub(super) struct PathScanner {
    /// The byte before, then bytes that have not been looked at as starts of a path.
    pending: Vec<u8>,
    /// Paths that begin where no path could run on.
    clean: Held,
    /// Paths directly after a byte of a path: real ones only where strings are not terminated.
    glued: Held,
    rust: bool,
}

#[derive(Debug)]
struct Held {
    paths: BTreeSet<Box<[u8]>>,
    depth: usize,
}

impl PathScanner {
    pub(super) fn new() -> Self {
        let held = || Held { paths: BTreeSet::new(), depth: FIRST_DEPTH };
        Self { pending: vec![0], clean: held(), glued: held(), rust: false }
    }

    /// Takes the next bytes of the file.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let join = chunk.len().min(LOOK_AHEAD);
        self.pending.extend_from_slice(chunk.get(..join).unwrap_or_default());
        let pending = std::mem::take(&mut self.pending);
        // Every start that has `LOOK_AHEAD` bytes from itself on.
        let done = pending.len().saturating_sub(LOOK_AHEAD).max(1);
        self.scan(&pending, done);
        if join == chunk.len() {
            self.pending = pending.get(done - 1..).unwrap_or_default().to_vec();
            return;
        }
        // `pending` ends with the chunk's first `LOOK_AHEAD` bytes: the chunk's start 0 is still to do.
        let before = pending.get(done - 1).copied().unwrap_or(0);
        if chunk.first() == Some(&b'/') {
            self.hit(before, chunk);
        }
        let done = chunk.len().saturating_sub(LOOK_AHEAD).max(1);
        self.scan(chunk, done);
        self.pending = chunk.get(done - 1..).unwrap_or_default().to_vec();
    }

    /// The paths, sorted; `unterminated`: the program is known to have strings that run together.
    pub(super) fn finish(mut self, unterminated: bool) -> Vec<Box<[u8]>> {
        let pending = std::mem::take(&mut self.pending);
        self.scan(&pending, pending.len());
        let mut held = self.clean;
        if unterminated || self.rust {
            for path in self.glued.paths {
                held.add(&path);
            }
        }
        while held.paths.len() > MAX_PATHS && held.depth > 1 {
            held.shorten();
        }
        held.paths.into_iter().take(MAX_PATHS).collect()
    }

    /// Looks at every slash in `bytes[1..end]`.
    fn scan(&mut self, bytes: &[u8], end: usize) {
        for at in memchr::memchr_iter(b'/', bytes.get(1..end).unwrap_or_default()) {
            // One byte before the slash is at `at`, as the search began at 1.
            if let Some((before, rest)) = bytes.get(at..).and_then(|rest| rest.split_first()) {
                self.hit(*before, rest);
            }
        }
    }

    /// `rest` begins with a slash that follows `before`.
    #[inline]
    fn hit(&mut self, before: u8, rest: &[u8]) {
        let Some(body) = rest.get(1..) else { return };
        let Some(first) = body.first() else { return };
        if *first == b'r' && body.starts_with(RUST_MARK) {
            self.rust = true;
        }
        let Some(root) = ROOTS.iter().find(|root| root.first() == Some(first) && body.starts_with(root))
        else {
            return;
        };
        if body.get(root.len()).copied().is_some_and(|next| next != b'/' && is_path_byte(next)) {
            return;
        }
        let length = rest.iter().take(MAX_LENGTH).take_while(|byte| is_path_byte(**byte)).count();
        let path = rest.get(..length).unwrap_or_default();
        if NOISE.iter().any(|noise| path.starts_with(noise)) {
            return;
        }
        if is_path_byte(before) { self.glued.add(path) } else { self.clean.add(path) }
    }
}

impl Held {
    fn add(&mut self, path: &[u8]) {
        let Some(path) = normal(path, self.depth) else { return };
        if !self.paths.contains(path.as_slice()) {
            self.paths.insert(path.into());
            while self.paths.len() > MAX_HELD && self.depth > 1 {
                self.shorten();
            }
            if self.paths.len() > MAX_HELD {
                self.paths.pop_last();
            }
        }
    }

    /// Gives up the deepest component of all paths: what is above it still tells where the program writes.
    fn shorten(&mut self) {
        self.depth -= 1;
        let depth = self.depth;
        self.paths = std::mem::take(&mut self.paths)
            .iter()
            .filter_map(|path| normal(path, depth).map(Vec::into_boxed_slice))
            .collect();
    }
}

/// `path` without empty and `.` components, at most `depth` deep; `None` if it climbs.
fn normal(path: &[u8], depth: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    let components =
        path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".").take(depth);
    for name in components {
        if name == b".." {
            return None;
        }
        out.push(b'/');
        out.extend_from_slice(name);
    }
    Some(out)
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+' | b'@' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(bytes: &[u8], unterminated: bool) -> Vec<String> {
        let mut scanner = PathScanner::new();
        scanner.push(bytes);
        let found = scanner.finish(unterminated);
        found.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    #[test]
    fn paths_of_c_strings_are_found_whole() {
        let bytes =
            b"\0/var/lib/nginx/body\0/etc/nginx\0/tmp\0/run/nginx.pid\0/var//log/./x/\0/variable\0/data/%s";
        assert_eq!(
            find(bytes, false),
            ["/data", "/run/nginx.pid", "/tmp", "/var/lib/nginx/body", "/var/log/x"]
        );
    }

    #[test]
    fn a_path_inside_a_longer_one_counts_only_where_strings_run_together() {
        let bytes = b"/usr/share/var/lib/x\0";
        assert_eq!(find(bytes, false), [""; 0]);
        assert_eq!(find(b"could not open/var/lib/registryopen", true), ["/var/lib/registryopen"]);
        assert_eq!(
            find(b"could not open/var/lib/registry\0/rustc/0123/library", false),
            ["/var/lib/registry"]
        );
    }

    #[test]
    fn source_files_of_the_toolchain_are_no_evidence() {
        assert_eq!(
            find(b"\0/usr/local/go/src/os/file.go\0/usr/local/app/state\0", true),
            ["/usr/local/app/state"]
        );
    }

    #[test]
    fn too_many_paths_lose_depth_and_not_places() {
        let mut bytes = Vec::new();
        for number in 0..10_000 {
            bytes.extend_from_slice(format!("\0/var/lib/app/{number}/x").as_bytes());
        }
        bytes.extend_from_slice(b"\0/srv/last\0");
        let found = find(&bytes, false);
        assert!(found.len() <= MAX_PATHS);
        assert!(found.contains(&"/var/lib/app".to_owned()), "{found:?}");
        assert!(found.contains(&"/srv/last".to_owned()), "{found:?}");
    }

    proptest::proptest! {
        #[test]
        fn chunking_does_not_matter(
            words in proptest::collection::vec("(/var/lib|/run|\0|/|a|/rustc/|/tmp|[ -~]{0,300})", 0..40),
            cuts in proptest::collection::vec(0usize..2000, 0..10),
        ) {
            let bytes = words.concat().into_bytes();
            let mut scanner = PathScanner::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                scanner.push(head);
                rest = tail;
            }
            scanner.push(rest);
            let mut one_by_one = PathScanner::new();
            for byte in &bytes {
                one_by_one.push(&[*byte]);
            }
            let mut whole = PathScanner::new();
            whole.push(&bytes);
            let whole = whole.finish(false);
            proptest::prop_assert_eq!(scanner.finish(false), whole.clone());
            proptest::prop_assert_eq!(one_by_one.finish(false), whole);
        }
    }
}
