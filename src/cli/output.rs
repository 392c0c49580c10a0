//! Where text goes: stdout, stderr, and files that appear whole or not at all.
//!
//! Does not know what the text says.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::Failure;
use crate::report::Style;
use crate::sink::claim_file;

/// The streams of a run.
pub(super) struct World<'a> {
    /// Data.
    pub(super) out: Box<dyn Write + 'a>,
    /// For people.
    pub(super) err: Box<dyn Write + 'a>,
    /// How `out` may look.
    pub(super) out_style: Style,
    /// How `err` may look.
    pub(super) err_style: Style,
    /// Whether progress may be drawn: stderr is a terminal.
    pub(super) progress: bool,
}

impl World<'_> {
    /// Writes data to stdout. A reader that has gone away has what it wanted.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.say_bytes(text.as_bytes())
    }

    /// As [`Self::say`].
    pub(super) fn say_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.say_with(|out| out.write_all(bytes))
    }

    /// As [`Self::say`], for what is too long to be held as one text.
    pub(super) fn say_with(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = BufWriter::new(&mut self.out);
        match write(&mut out).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::input(anyhow::Error::new(error).context("stdout")))
            }
            _ => Ok(()),
        }
    }

    /// Tells a person something. Nobody listening is no reason to stop.
    pub(super) fn tell(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }
}

/// Where a document that was asked for goes.
#[derive(Debug)]
pub(super) enum Target {
    /// `-`
    Stdout,
    /// A file, not there yet.
    New(Pending),
    /// Something that is no regular file and cannot be replaced: `/dev/null`, `/dev/fd/3`, a named pipe.
    Stream(PathBuf, File),
}

/// A file under a temporary name in its directory.
#[derive(Debug)]
pub(super) struct Pending {
    path: PathBuf,
    file: NamedTempFile,
}

impl Target {
    /// Makes sure that `path` can be written, before the long work; the file itself does not change yet.
    pub(super) fn prepare(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        Self::open(path).with_context(|| format!("cannot write `{}`", path.display())).map_err(Failure::input)
    }

    /// As [`Self::prepare`], for what only its owner may read.
    pub(super) fn prepare_private(path: &Path) -> Result<Self, Failure> {
        let target = Self::prepare(path)?;
        if let Self::New(Pending { file, .. }) = &target {
            let private = Permissions::from_mode(0o600);
            let result = file.as_file().set_permissions(private);
            let result = result.with_context(|| format!("cannot write `{}`", path.display()));
            result.map_err(Failure::input)?;
        }
        Ok(target)
    }

    /// As [`Self::prepare`], for a file that is changed: it keeps its owner and its mode, and one that may not be written is
    /// an error.
    pub(super) fn prepare_change(path: &Path) -> Result<Self, Failure> {
        let result = Self::open_change(path);
        result.with_context(|| format!("cannot write `{}`", path.display())).map_err(Failure::input)
    }

    fn open_change(path: &Path) -> io::Result<Self> {
        let old = std::fs::metadata(path)?;
        if old.is_file() {
            // Root may write what nobody may: it is asked for all the same.
            if old.permissions().readonly() {
                return Err(io::Error::new(ErrorKind::PermissionDenied, "it is read-only"));
            }
            OpenOptions::new().write(true).open(path)?;
        }
        let target = Self::open(path)?;
        if let Self::New(Pending { file, .. }) = &target {
            let own = file.as_file().metadata()?;
            if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
            }
            file.as_file().set_permissions(old.permissions())?;
        }
        Ok(target)
    }

    fn open(path: &Path) -> io::Result<Self> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(metadata) if !metadata.is_file() => {
                Ok(Self::Stream(path.to_owned(), OpenOptions::new().write(true).open(path)?))
            }
            // Behind a symbolic link the file is replaced, not the link.
            Ok(_) => Self::pending(std::fs::canonicalize(path)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::pending(path.to_owned()),
            Err(error) => Err(error),
        }
    }

    fn pending(path: PathBuf) -> io::Result<Self> {
        let directory = directory_of(&path);
        let file = claim_file(directory)?;
        Ok(Self::New(Pending { path, file }))
    }

    /// Writes `text` there: whole, or not at all.
    pub(super) fn write(self, text: &str, world: &mut World<'_>) -> Result<(), Failure> {
        self.write_with(world, |out| out.write_all(text.as_bytes()))
    }

    /// As [`Self::write`], for what is too long to be held as one text.
    pub(super) fn write_with(
        self,
        world: &mut World<'_>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let (path, result) = match self {
            Self::Stdout => return world.say_with(write),
            Self::Stream(path, file) => (path, buffered(&file, write)),
            Self::New(pending) => (pending.path.clone(), pending.commit(write)),
        };
        result.with_context(|| format!("cannot write `{}`", path.display())).map_err(Failure::input)
    }
}

impl Pending {
    fn commit(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        buffered(self.file.as_file(), write)?;
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path).map_err(|error| error.error)?;
        // The name is on disk only when the directory is.
        File::open(directory_of(&self.path))?.sync_all()
    }
}

fn buffered(file: &File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    out.flush()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World<'static> {
        World {
            out: Box::new(io::sink()),
            err: Box::new(io::sink()),
            out_style: Style::Plain,
            err_style: Style::Plain,
            progress: false,
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn file_appears_when_written_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        let target = Target::prepare(&path).unwrap();
        assert!(!path.exists());
        target.write("text", &mut world()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(names(directory.path()), ["report.json"]);
    }

    #[test]
    fn private_file_is_its_owners_also_in_place_of_one_that_was_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profile.json");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        Target::prepare_private(&path).unwrap().write("text", &mut world()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn changed_file_keeps_its_mode_and_its_owner_and_a_read_only_one_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pod.yaml");
        std::fs::write(&path, "old").unwrap();
        for mode in [0o600, 0o664, 0o4755] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            // Root alone can give a file away.
            let is_given = std::os::unix::fs::chown(&path, Some(12), Some(34)).is_ok();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Target::prepare_change(&path).unwrap().write("new", &mut world()).unwrap();
            let metadata = std::fs::metadata(&path).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, mode);
            assert!(!is_given || (metadata.uid(), metadata.gid()) == (12, 34));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        let failure = Target::prepare_change(&path).unwrap_err().render(Style::Plain);
        assert!(failure.contains("pod.yaml`: it is read-only"), "{failure}");
        assert_eq!(names(directory.path()), ["pod.yaml"]);
    }

    #[test]
    fn dropped_target_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(&path, "old").unwrap();
        drop(Target::prepare(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(directory.path()), ["report.json"]);
    }

    #[test]
    fn link_is_written_through_and_a_device_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Target::prepare(&link).unwrap().write("new", &mut world()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert!(link.is_symlink());
        assert!(matches!(Target::prepare(Path::new("/dev/null")).unwrap(), Target::Stream(..)));
    }

    #[test]
    fn missing_directory_is_an_error_before_the_work() {
        let failure = Target::prepare(Path::new("/nonexistent/a/report.json")).unwrap_err();
        let text = failure.render(Style::Plain);
        assert!(text.starts_with("error: cannot write `/nonexistent/a/report.json`: "), "{text}");
    }

    #[test]
    fn broken_pipe_on_stdout_is_success_and_a_full_disk_is_not() {
        struct Failing(ErrorKind);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let say = |kind| World { out: Box::new(Failing(kind)), ..world() }.say("text");
        assert!(say(ErrorKind::BrokenPipe).is_ok());
        assert!(say(ErrorKind::StorageFull).is_err());
    }
}
