//! Hardened images as real bytes, edited one thing at a time: each broken promise is found, and nothing else is.
//!
//! The editor is the `tar` crate, not kiln's own writer.
#![expect(clippy::disallowed_methods, reason = "edge: fixtures on disk")]

mod again;
mod broken;
mod seeded;
mod whole;

use std::io::Read as _;

use kiln::digest::BlobDigest;
use kiln::harden::harden;
use kiln::image::{Codec, LayerReader};
use kiln::manifest::Manifest;
use kiln::options::{Options, UserRecipe};
use kiln::progress::Silent;
use kiln::promise::State;
use kiln::registry::Registries;
use kiln::sink::Destinations;
use kiln::source::{Source, open_source};
use kiln::verify::{Against, Verified, verify};
use serde_json::Value;

use crate::fixture::Fixture;
use crate::layout;

/// A server with libraries, packages, a shell to lose, and a secret that an upper layer deletes.
pub const SERVER: &str = r#"
    /usr/bin/dash f 0755 elf interp=/lib64/ld.so needed=libc.so.6
    /usr/bin/sh l dash
    /usr/bin/ls f 0755 elf interp=/lib64/ld.so needed=libc.so.6
    /usr/sbin/nginx f 0755 elf interp=/lib64/ld.so needed=libpcre.so,libc.so.6
    /usr/lib/nginx/module.so f 0644 elf needed=libgd.so
    /usr/lib/libgd.so f 0644 elf soname=libgd.so needed=libc.so.6
    /lib64/ld.so f 0755 elf soname=ld.so
    /usr/lib/libpcre.so f 0644 elf soname=libpcre.so needed=libc.so.6
    /usr/lib/libc.so.6 f 0644 elf soname=libc.so.6 needed=ld.so
    /usr/lib/libc.so l libc.so.6
    /usr/lib/gone.so l nowhere.so
    /etc/nginx/nginx.conf f "pid /run/nginx.pid;\nerror_log /var/log/nginx/error.log;\n"
    /etc/passwd f "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n"
    /etc/group f "root:x:0:\nwww-data:x:33:\n"
    /var/log d 0755
    /var/log/nginx d 0755 33:33
    /run d
    /srv/page f 0644 33:33 "hello"
    /secret f "password"
    package nginx needs=libpcre,libgd has=/usr/sbin/nginx,/etc/nginx/nginx.conf,/usr/lib/nginx/module.so
    package libpcre needs=libc has=/usr/lib/libpcre.so
    package libgd needs=libc has=/usr/lib/libgd.so
    package libc has=/usr/lib/libc.so.6,/usr/lib/libc.so,/lib64/ld.so
    package dash needs=libc has=/usr/bin/dash,/usr/bin/sh
    package coreutils needs=libc has=/usr/bin/ls
    --
    /secret w
    /srv/other f 0444 "as it is"
"#;

/// A source, and what became of it.
struct Lab {
    directory: tempfile::TempDir,
    options: Options,
}

impl Lab {
    /// The server, hardened with `options`.
    fn new(options: Options) -> Self {
        let fixture = Fixture::new(SERVER)
            .cmd(&["nginx", "-g", "daemon off;"])
            .env(&["PATH=/usr/sbin:/usr/bin", "MODE=production"])
            .volume("/var/lib/www")
            .working_dir("/srv")
            .healthcheck(&["CMD-SHELL", "true"]);
        Self::of(&fixture, options)
    }

    fn of(fixture: &Fixture, options: Options) -> Self {
        let lab = Self { directory: tempfile::tempdir().unwrap(), options };
        let tars: Vec<_> = fixture.layers.iter().map(|layer| (Codec::Gzip, layout::tar_of(layer))).collect();
        layout::write(&lab.directory.path().join("source"), &tars, &fixture.config);
        lab.harden("source", "out");
        lab
    }

    fn name(&self, name: &str) -> String {
        format!("oci:{}:latest", self.directory.path().join(name).display())
    }

    fn open(&self, name: &str) -> Box<dyn Source> {
        open_source(&self.name(name).parse().unwrap(), &Registries::default()).unwrap()
    }

    fn harden(&self, from: &str, to: &str) -> kiln::harden::Hardened {
        let destinations =
            Destinations::open(&[self.name(to).parse().unwrap()], &Registries::default()).unwrap();
        harden(&*self.open(from), &self.options, destinations, &Silent).unwrap()
    }

    /// Writes the hardened image anew as `edited`, with what `edit` makes of it.
    fn edit(&self, edit: impl FnOnce(&mut Edited)) {
        let source = self.open("out");
        let image = source.image(None).unwrap();
        let layers = image.layers.iter().map(|layer| {
            let mut reader = LayerReader::new(source.open_layer(layer).unwrap(), layer).unwrap();
            let mut tar = Vec::new();
            reader.read_to_end(&mut tar).unwrap();
            tar
        });
        let mut edited = Edited { layers: layers.collect(), config: image.config.raw.clone() };
        edit(&mut edited);
        let _ = std::fs::remove_dir_all(self.directory.path().join("edited"));
        let tars: Vec<_> = edited.layers.into_iter().map(|tar| (Codec::Gzip, tar)).collect();
        layout::write(&self.directory.path().join("edited"), &tars, &edited.config);
    }

    fn verify(&self, name: &str) -> Verified {
        verify(&*self.open(name), None, None, &Options::default(), &Silent).unwrap()
    }

    fn compare(&self, name: &str, recipes: &[UserRecipe]) -> Verified {
        let source = self.open("source");
        let against = Against { source: &*source, recipes, profile: None };
        verify(&*self.open(name), None, Some(&against), &Options::default(), &Silent).unwrap()
    }
}

/// An image while it is edited: layers are tar streams.
struct Edited {
    layers: Vec<Vec<u8>>,
    config: Value,
}

/// A tar member while it is edited.
struct Member {
    header: tar::Header,
    path: String,
    bytes: Vec<u8>,
}

impl Edited {
    /// Hands every member of layer `number` to `change`, which says whether it stays.
    fn members(&mut self, number: usize, mut change: impl FnMut(&mut Member) -> bool) {
        let mut out = tar::Builder::new(Vec::new());
        let tar = std::mem::take(&mut self.layers[number]);
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().trim_end_matches('/').to_owned();
            let link = entry.link_name().unwrap().map(std::borrow::Cow::into_owned);
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let mut member = Member { header: entry.header().clone(), path, bytes };
            if !change(&mut member) {
                continue;
            }
            let Member { mut header, path, bytes } = member;
            header.set_size(bytes.len() as u64);
            match link {
                Some(link) => out.append_link(&mut header, path, link).unwrap(),
                None => out.append_data(&mut header, path, bytes.as_slice()).unwrap(),
            }
        }
        self.layers[number] = out.into_inner().unwrap();
    }

    /// Changes the one member called `path` in layer `number`.
    fn member(&mut self, number: usize, path: &str, change: impl Fn(&mut Member)) {
        let mut found = false;
        self.members(number, |member| {
            if member.path == path {
                found = true;
                change(member);
            }
            true
        });
        assert!(found, "{path} is not in layer {number}");
    }

    fn remove(&mut self, number: usize, path: &str) {
        let mut found = false;
        self.members(number, |member| {
            found |= member.path == path;
            member.path != path
        });
        assert!(found, "{path} is not in layer {number}");
    }

    /// Puts the lines of `image` at the start of layer `number`, as [`Fixture`] reads them.
    fn add(&mut self, number: usize, image: &str) {
        let index = &Fixture::new(image).layers[0];
        // An archive ends in two blocks of zeros, which must not stand in the middle.
        let mut tar = layout::tar_of(index);
        tar.truncate(tar.len() - 1024);
        tar.extend(&self.layers[number]);
        self.layers[number] = tar;
    }
}

const MANIFEST: &str = ".kiln/manifest.json";

impl Edited {
    /// Changes the writable manifest, written as kiln writes it.
    fn manifest(&mut self, change: impl FnOnce(&mut Value)) {
        let mut change = Some(change);
        let top = self.layers.len() - 1;
        self.members(top, |member| {
            if member.path == MANIFEST {
                let mut document: Value = serde_json::from_slice(&member.bytes).unwrap();
                (change.take().unwrap())(&mut document);
                member.bytes = Manifest::parse(&document.to_string()).unwrap().render().into_bytes();
            }
            true
        });
        assert!(change.is_none(), "there is a manifest");
    }

    /// Makes the label say what the manifest is.
    fn relabel(&mut self) {
        let (mut digest, top) = (None, self.layers.len() - 1);
        self.members(top, |member| {
            if member.path == MANIFEST {
                digest = Some(BlobDigest::of(&member.bytes));
            }
            true
        });
        self.config["config"]["Labels"]["dev.kiln.manifest.digest"] = serde_json::json!(digest.unwrap());
    }
}

/// Ids of the promises in this state.
fn ids(verified: &Verified, state: State) -> String {
    let ids: Vec<_> = verified
        .proofs
        .iter()
        .filter(|proof| proof.state() == state)
        .map(|proof| proof.promise.to_string())
        .collect();
    ids.join(" ")
}

/// `text` with the digits of digests left out: they change with every word of a manifest.
fn masked(text: &str) -> String {
    let mut parts = text.split("sha256:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        let (digest, rest) = part.split_at(64);
        assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
        out + "sha256:…" + rest
    })
}

/// Every breach, a line each.
fn breaches(verified: &Verified) -> String {
    let lines = verified.proofs.iter().flat_map(|proof| {
        let text = |breach: &kiln::promise::Breach| {
            format!("{} {}: {}\n", proof.promise, breach.subject, masked(&breach.message))
        };
        proof.breaches.iter().map(text).collect::<Vec<_>>()
    });
    lines.collect()
}
