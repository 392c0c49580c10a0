//! The file that a word of a command line starts, inside the image.
//!
//! Knows nothing of what the file is.

use super::Walk;
use crate::path::ImagePath;
use crate::rootfs::Rootfs;

/// `PATH` where the config has none: what runc and Docker set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file that `word` starts: as found, then links followed. `execvpe(3)`: a word with a slash is a path
/// from the working directory, any other is looked up in `PATH`.
pub fn find_program(
    rootfs: &Rootfs,
    env: &[(String, String)],
    working_dir: &ImagePath,
    word: &str,
) -> Option<(ImagePath, ImagePath)> {
    let candidates: Vec<Vec<u8>> = if word.contains('/') {
        vec![word.as_bytes().to_vec()]
    } else {
        let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
        path.split(':').map(|dir| [dir.as_bytes(), b"/", word.as_bytes()].concat()).collect()
    };
    candidates.into_iter().find_map(|candidate| {
        let file = rootfs.resolve_from(working_dir, &candidate)?.path;
        let entry = rootfs.entry(&file)?;
        (entry.file().is_some() && entry.mode & 0o111 != 0).then(|| {
            let found = absolute(working_dir, &candidate).unwrap_or_else(|| file.clone());
            (found, file)
        })
    })
}

/// `written` as a path from the root, `..` taken literally; `None` where it climbs out.
pub(super) fn absolute(working_dir: &ImagePath, written: &[u8]) -> Option<ImagePath> {
    if written.first() == Some(&b'/') {
        return ImagePath::parse(written).ok();
    }
    ImagePath::parse(&[working_dir.as_bytes(), b"/", written].concat()).ok()
}

/// A path as a word of a command line. Names that are not UTF-8 never come from a config, which is JSON.
pub(super) fn text(path: &ImagePath) -> String {
    path.text()
}

impl Walk<'_, '_> {
    pub(super) fn find_file(&self, word: &str) -> Option<(ImagePath, ImagePath)> {
        let directory = self.start.working_dir(self.known);
        let file = self.known.rootfs.resolve_from(directory, word.as_bytes())?.path;
        let path = absolute(directory, word.as_bytes()).unwrap_or_else(|| file.clone());
        self.known.rootfs.entry(&file)?.file().map(|_| (path, file))
    }
}
