//! musl's rules (`ldso/dynlink.c`).
//!
//! One file a name: musl knows neither a cache nor libraries for some processors only.

use super::{Located, MAX_DIRECTORIES, Probe, Requester, Search};
use crate::path::ImagePath;

impl Search<'_> {
    /// Musl looks in `LD_LIBRARY_PATH`, the paths of object and loaders (RUNPATH and RPATH are one to it), and its
    /// path file or three directories. It has its own libraries inside it.
    pub(super) fn find_musl(&self, name: &[u8], by: &Requester<'_>, arch: &[u8]) -> Option<Located> {
        let own = [&b"libc."[..], b"libpthread.", b"librt.", b"libm.", b"libdl.", b"libutil.", b"libxnet."];
        if own.iter().any(|own| name.starts_with(own)) {
            return self.open(&[b"/lib/ld-musl-", arch, b".so.1"].concat());
        }
        if name.contains(&b'/') {
            return self.open(name);
        }
        let file = [b"etc/ld-musl-", arch, b".path"].concat();
        let listed = ImagePath::parse(&file).ok().and_then(|file| self.rootfs.bytes_following(&file));
        let system = listed.as_deref().unwrap_or(b"/lib:/usr/local/lib:/usr/lib");
        let chain = [(by.facts, by.origin)];
        let own_paths = chain.iter().chain(by.inherited).filter_map(|(facts, origin)| {
            Some((&**facts.runpath.as_ref().or(facts.rpath.as_ref())?, *origin))
        });
        let environment = self.env.library_path.as_deref().map(|path| (path, by.origin));
        for (path, origin) in environment.into_iter().chain(own_paths).chain([(system, by.origin)]) {
            for directory in path.split(|byte| matches!(byte, b':' | b'\n')).take(MAX_DIRECTORIES) {
                let directory = self.expand(directory, by.facts, origin);
                if directory.is_empty() {
                    continue;
                }
                if let Probe::Fits(located) = self.probe(&[&*directory, b"/", name].concat(), by.facts) {
                    return Some(located);
                }
            }
        }
        None
    }
}
