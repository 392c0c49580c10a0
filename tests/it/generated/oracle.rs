//! A second opinion on what layers make together: tar streams applied by the simplest code that does it.
//!
//! Shares nothing with kiln: another tar reader, another tree, another way through symbolic links.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::rc::Rc;

/// A file tree: absolute names without the leading slash.
#[derive(Default)]
pub struct Tree(BTreeMap<Vec<u8>, Rc<Inode>>);

/// What a name leads to. Hard links share one.
#[derive(Debug, PartialEq, Eq)]
pub struct Inode {
    pub kind: u8,
    pub mode: u32,
    pub owner: (u64, u64),
    pub content: Vec<u8>,
}

impl Tree {
    /// Applies layers, bottom first.
    pub fn of(layers: &[Vec<u8>]) -> Self {
        let mut tree = Self::default();
        for layer in layers {
            tree.whiteouts(layer);
            tree.entries(layer);
        }
        tree
    }

    /// One line a name: all that runtimes would make of it.
    pub fn lines(&self) -> BTreeMap<String, String> {
        let mut first: BTreeMap<*const Inode, String> = BTreeMap::new();
        let mut out = BTreeMap::new();
        for (name, inode) in &self.0 {
            let name = name.escape_ascii().to_string();
            let Inode { kind, mode, owner, content } = &**inode;
            let first = first.entry(Rc::as_ptr(inode)).or_insert_with(|| name.clone());
            let line = format!(
                "{} {mode:04o} {}:{} {} {}",
                char::from(*kind),
                owner.0,
                owner.1,
                if *kind == b'5' { "" } else { first.as_str() },
                content.escape_ascii()
            );
            out.insert(name, line);
        }
        out
    }

    fn whiteouts(&mut self, layer: &[u8]) {
        for entry in tar::Archive::new(layer).entries().unwrap() {
            let name = clean(&entry.unwrap().path_bytes());
            let (parent, last) = split(&name);
            let Some(hidden) = last.strip_prefix(b".wh.") else { continue };
            let parent = self.walk(parent, 0);
            let victim = if hidden == b".wh..opq" { parent } else { join(&parent, hidden) };
            self.0.retain(|path, _| {
                let below = victim.is_empty() || path.starts_with(&join(&victim, b""));
                !below && (hidden == b".wh..opq" || *path != victim)
            });
        }
    }

    fn entries(&mut self, layer: &[u8]) {
        for entry in tar::Archive::new(layer).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = clean(&entry.path_bytes());
            let (parent, last) = split(&name);
            if last.starts_with(b".wh.") {
                continue;
            }
            let parent = self.walk(parent, 0);
            self.make_directories(&parent);
            let path = join(&parent, last);
            let header = entry.header().clone();
            let kind = header.entry_type().as_byte();
            let link = entry.link_name_bytes().map(|link| link.to_vec()).unwrap_or_default();
            let inode = if kind == b'1' {
                let link = clean(&link);
                let (parent, last) = split(&link);
                Rc::clone(&self.0[&join(&self.walk(parent, 0), last)])
            } else {
                let mut content = link;
                if kind == b'0' {
                    content.clear();
                    entry.read_to_end(&mut content).unwrap();
                }
                let owner = (header.uid().unwrap(), header.gid().unwrap());
                Rc::new(Inode { kind, mode: header.mode().unwrap(), owner, content })
            };
            if kind != b'5' {
                let below = join(&path, b"");
                self.0.retain(|other, _| !other.starts_with(&below));
            }
            self.0.insert(path, inode);
        }
    }

    fn make_directories(&mut self, path: &[u8]) {
        for end in (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]) {
            if end > 0 && self.0.get(&path[..end]).is_none_or(|inode| inode.kind != b'5') {
                let made = Inode { kind: b'5', mode: 0o755, owner: (0, 0), content: Vec::new() };
                self.0.insert(path[..end].to_vec(), Rc::new(made));
            }
        }
    }

    /// Where `path` ends with every link in it followed.
    fn walk(&self, path: &[u8], depth: usize) -> Vec<u8> {
        assert!(depth < 100, "a loop: {}", path.escape_ascii());
        let mut at = Vec::new();
        for (number, name) in path.split(|&byte| byte == b'/').enumerate() {
            match name {
                b"" | b"." => {}
                b".." => at = split(&at).0.to_vec(),
                name => {
                    let next = join(&at, name);
                    match self.0.get(&next).filter(|inode| inode.kind == b'2') {
                        None => at = next,
                        Some(link) => {
                            let from = if link.content.starts_with(b"/") { Vec::new() } else { at.clone() };
                            let rest: Vec<&[u8]> =
                                path.split(|&byte| byte == b'/').skip(number + 1).collect();
                            let whole = [&from[..], &link.content[..], &rest.join(&b'/')[..]].join(&b'/');
                            return self.walk(&whole, depth + 1);
                        }
                    }
                }
            }
        }
        at
    }
}

fn clean(path: &[u8]) -> Vec<u8> {
    let names: Vec<&[u8]> =
        path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".").collect();
    names.join(&b'/')
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}
