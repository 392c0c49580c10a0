//! Running an image: where its output goes, and what its errors mean.
//!
//! Does not know what is printed at the end.

use std::io::{IsTerminal as _, Write};
use std::rc::Rc;

use super::{Kiln, failure};
use crate::cli::Failure;
use crate::cli::pipeline::{RunRequest, Said};
use crate::harden;
use crate::limits::Limits;
use crate::options::Options;
use crate::path::Escaped;
use crate::progress::Progress;
use crate::registry;
use crate::rootfs::Rootfs;
use crate::run::{self, RunError, RunReport};
use crate::sandbox::{Output, Place, SandboxError, Stream};
use crate::source::{Source, SourceImage};

impl Kiln {
    /// Runs the image of `request`.
    pub(super) fn run_image(
        &self,
        request: &RunRequest,
        progress: &dyn Progress,
    ) -> Result<RunReport, Failure> {
        let platform = request.platform.as_deref();
        let (source, image, rootfs) =
            self.read(&request.image, platform, request.limits, &request.registry, progress)?;
        let output = output(request.said);
        run::run(&*source, &image, &rootfs, request.limits, &request.asked, &place(), output)
            .map_err(run_failure)
    }

    /// Reads the image that is named, to start it.
    pub(super) fn read(
        &self,
        image: &str,
        platform: Option<&str>,
        limits: Limits,
        registry: &registry::Settings,
        progress: &dyn Progress,
    ) -> Result<(Rc<dyn Source>, SourceImage, Rootfs), Failure> {
        let options = Options { limits, platform: platform.map(str::to_owned), ..Options::default() };
        let (reference, source) = self.source(image, registry, &options)?;
        let platform = platform.map(str::parse).transpose();
        let platform = platform.map_err(|error| failure(harden::HardenError::Platform(error), &reference))?;
        let (image, rootfs) = harden::read(&*source, platform.as_ref(), &options, progress)
            .map_err(|error| failure(error, &reference))?;
        Ok((source, image, rootfs))
    }
}

/// Where kiln is, and where it may unpack.
pub(super) fn place() -> Place {
    Place { program: "/proc/self/exe".into(), directory: std::env::temp_dir() }
}

pub(super) fn run_failure(error: RunError) -> Failure {
    let hint = match &error {
        RunError::Sandbox(SandboxError::Refused { refusal, .. }) => Some(refusal.hint()),
        RunError::Platform { .. } => Some("`--platform` chooses another image of an index".to_owned()),
        RunError::Nothing => Some("give a command after `--`".to_owned()),
        _ => None,
    };
    let failure = Failure::input(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The app's words go to this process's own streams as they come; a terminal gets nothing that it could act on.
fn output(said: Said) -> Output {
    let is_terminal = [std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
    Box::new(move |stream, bytes| {
        // Who does not listen any more has what they wanted; the app runs on.
        let _ = match (stream, said) {
            (Stream::Out, Said::ToBoth) => give(std::io::stdout().lock(), bytes, is_terminal[0]),
            _ => give(std::io::stderr().lock(), bytes, is_terminal[1]),
        };
    })
}

/// Gives on what an app says.
pub(super) fn give(mut out: impl Write, bytes: &[u8], is_terminal: bool) -> std::io::Result<()> {
    if is_terminal {
        out.write_all(harmless(bytes).as_bytes())?;
    } else {
        out.write_all(bytes)?;
    }
    out.flush()
}

/// Lines, tabs and backslashes as they are, all else that a terminal could act on escaped.
fn harmless(bytes: &[u8]) -> String {
    let is_plain = |byte: &u8| matches!(byte, b'\n' | b'\t' | b'\\');
    let mut text = String::new();
    for part in bytes.split_inclusive(is_plain) {
        let (words, end) = match part.split_last() {
            Some((end, words)) if is_plain(end) => (words, Some(char::from(*end))),
            _ => (part, None),
        };
        text.push_str(&Escaped::new(words).to_string());
        text.extend(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_stay_and_escapes_go() {
        assert_eq!(harmless(b"a\tb\\n\nc\x1b[31m\r\n"), "a\tb\\n\nc\\x1b[31m\\r\n");
        assert_eq!(harmless("grüße\n\n".as_bytes()), "grüße\n\n");
    }
}
