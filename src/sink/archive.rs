//! A tar archive that replaces a file at once, or goes to stdout in one go.
//!
//! Does not know what its members mean; writes nothing that differs from run to run.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tar_core::{EntryType, Header};
use tempfile::NamedTempFile;

use super::staging::{parent, sync_directory, temp_file_in};
use super::{Prepared, SinkError, write_error};
use crate::reference::STDIO;

/// Bytes of a tar block.
const BLOCK: u64 = 512;

/// A block of nothing: padding, the place of a header, and, twice, the end.
const ZEROS: [u8; 512] = [0; 512];

/// Where an archive goes.
pub(super) enum Target {
    /// A file, new or replaced.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

impl Target {
    pub(super) fn open(file: &Path) -> Result<Self, SinkError> {
        if file == Path::new(STDIO) {
            return if io::stdout().is_terminal() { Err(SinkError::Terminal) } else { Ok(Self::Stdout) };
        }
        match fs::symlink_metadata(file) {
            Ok(kind) if !kind.is_file() => {
                return Err(SinkError::WrongKind { path: file.to_owned(), expected: "regular file" });
            }
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(SinkError::Read { path: file.to_owned(), source });
            }
            _ => {}
        }
        temp_file_in(&parent(file))?;
        Ok(Self::File(file.to_owned()))
    }

    /// For messages.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Stdout => Path::new(STDIO),
        }
    }

    /// A new archive: beside the file it becomes, or in the temporary directory.
    pub(super) fn create(&self) -> Result<TarWriter, SinkError> {
        match self {
            Self::File(path) => TarWriter::new(parent(path), Some(path.clone())),
            Self::Stdout => TarWriter::scratch(),
        }
    }
}

/// Writes members one after the other.
pub(super) struct TarWriter {
    file: BufWriter<NamedTempFile>,
    path: Option<PathBuf>,
    directory: PathBuf,
}

impl TarWriter {
    fn new(directory: PathBuf, path: Option<PathBuf>) -> Result<Self, SinkError> {
        let file = temp_file_in(&directory)?;
        Ok(Self { file: BufWriter::with_capacity(128 << 10, file), path, directory })
    }

    /// An archive in the temporary directory that becomes no file.
    pub(super) fn scratch() -> Result<Self, SinkError> {
        Self::new(tempfile::env::temp_dir(), None)
    }

    fn shown(&self) -> PathBuf {
        self.path.clone().unwrap_or_else(|| self.directory.clone())
    }

    /// A directory.
    pub(super) fn add_directory(&mut self, name: &str) -> Result<(), SinkError> {
        let shown = self.shown();
        self.file.write_all(header(name, EntryType::Directory, 0).as_bytes()).map_err(write_error(&shown))
    }

    /// A file of bytes at hand.
    pub(super) fn add_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), SinkError> {
        self.add_stream(name, &mut &*bytes)
    }

    /// A file whose length shows when it is written.
    pub(super) fn add_stream(&mut self, name: &str, bytes: &mut dyn Read) -> Result<(), SinkError> {
        let shown = self.shown();
        let mut add = || {
            let start = self.file.stream_position()?;
            self.file.write_all(&ZEROS)?;
            let size = io::copy(bytes, &mut self.file)?;
            let padding = usize::try_from(size.next_multiple_of(BLOCK) - size).unwrap_or_default();
            self.file.write_all(ZEROS.get(..padding).unwrap_or_default())?;
            let end = self.file.stream_position()?;
            self.file.seek(SeekFrom::Start(start))?;
            self.file.write_all(header(name, EntryType::Regular, size).as_bytes())?;
            self.file.seek(SeekFrom::Start(end))?;
            Ok(())
        };
        add().map_err(write_error(&shown))
    }

    /// Ends the archive and writes it to disk under its temporary name.
    pub(super) fn finish(self) -> Result<Box<dyn Prepared>, SinkError> {
        let path = self.path.clone();
        let file = self.end()?;
        Ok(match path {
            Some(path) => Box::new(ReadyFile { file, path }),
            None => Box::new(ReadyStream(file)),
        })
    }

    /// Ends the archive and opens it at its start; it is gone when that is closed.
    pub(super) fn into_file(self) -> Result<File, SinkError> {
        let shown = self.shown();
        self.end()?.reopen().map_err(write_error(&shown))
    }

    fn end(mut self) -> Result<NamedTempFile, SinkError> {
        let shown = self.shown();
        let end = || {
            self.file.write_all(&ZEROS)?;
            self.file.write_all(&ZEROS)?;
            let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
            if self.path.is_some() {
                file.as_file().sync_all()?;
            }
            Ok(file)
        };
        end().map_err(write_error(&shown))
    }
}

struct ReadyFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl Prepared for ReadyFile {
    fn publish(self: Box<Self>) -> Result<(), SinkError> {
        let Self { file, path } = *self;
        file.persist(&path).map_err(|error| SinkError::Write { path: path.clone(), source: error.error })?;
        sync_directory(&parent(&path))
    }
}

struct ReadyStream(NamedTempFile);

impl Prepared for ReadyStream {
    fn publish(self: Box<Self>) -> Result<(), SinkError> {
        let copy = || {
            let mut file: File = self.0.reopen()?;
            let mut stdout = io::stdout().lock();
            io::copy(&mut file, &mut stdout)?;
            stdout.flush()
        };
        copy().map_err(SinkError::Stdout)
    }
}

/// Owner root, time 0: the same for the same content.
fn header(name: &str, kind: EntryType, size: u64) -> Header {
    // GNU, for members of more than 8 GiB.
    let mut header = Header::new_gnu();
    header.set_path(name.as_bytes()).unwrap_or_else(|error| unreachable!("a name of 77 bytes: {error}"));
    header.set_entry_type(kind);
    header.set_mode_small(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_size(size).unwrap_or_else(|error| unreachable!("GNU headers hold any size: {error}"));
    for set in [Header::set_uid, Header::set_gid, Header::set_mtime] {
        set(&mut header, 0).unwrap_or_else(|error| unreachable!("zero fits: {error}"));
    }
    header.set_checksum();
    header
}
