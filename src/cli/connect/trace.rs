//! Watching an image: where its output goes, and what its errors mean.
//!
//! Does not know what is printed at the end.

use std::sync::Arc;

use super::Kiln;
use super::run::{give, place, run_failure};
use crate::cli::Failure;
use crate::cli::pipeline::{TraceRequest, Traced};
use crate::observe::{self, Heard, ObserveError, Subject};
use crate::profile::Probe;
use crate::progress::Progress;
use crate::trace::TraceError;

impl Kiln {
    /// Watches the image of `request`.
    pub(super) fn trace_image(
        &self,
        request: &TraceRequest,
        progress: &dyn Progress,
    ) -> Result<Traced, Failure> {
        let platform = request.platform.as_deref();
        let (source, image, rootfs) =
            self.read(&request.image, platform, request.limits, &request.registry, progress)?;
        let wanted = match &request.asked.probe {
            Some(Probe::Log(text)) => Some(text.as_str()),
            _ => None,
        };
        let listener = request.aloud.then(|| {
            let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let listener: observe::Listener = Box::new(move |_, said: &[u8]| {
                // Who does not listen any more has what they wanted; the app runs on.
                let _ = give(std::io::stderr().lock(), said, terminal);
            });
            listener
        });
        let heard = Arc::new(Heard::new(wanted, listener));
        let subject = Subject { source: &*source, image: &image, rootfs: &rootfs, limits: request.limits };
        let observation = observe::observe(&subject, &request.asked, request.runs, &place(), &heard)
            .map_err(observe_failure)?;
        Ok(Traced { observation, last_words: heard.tail() })
    }
}

pub(super) fn observe_failure(error: ObserveError) -> Failure {
    match error {
        ObserveError::Run(error) => run_failure(error),
        ObserveError::Trace(error @ TraceError::Attach { .. }) => Failure::input(error).hint(
            "ptrace must be allowed: by kernel.yama.ptrace_scope, and in a container by its runtime (SYS_PTRACE)",
        ),
        error => Failure::input(error),
    }
}
