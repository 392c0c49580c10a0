//! What an app says: looked through for a text, its end kept, and handed on.
//!
//! Keeps no more than it must: an app may talk for ever.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sandbox::{Output, Stream};

/// How much of the end is kept: a screenful or two, for who must know why it died.
const KEPT: usize = 8 << 10;

/// Where an app's words are handed on.
pub type Listener = Box<dyn FnMut(Stream, &[u8]) + Send>;

/// What an app says.
pub struct Heard {
    state: Mutex<State>,
}

struct State {
    wanted: Vec<u8>,
    found: bool,
    tail: Vec<u8>,
    listener: Option<Listener>,
}

impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heard").finish_non_exhaustive()
    }
}

impl Heard {
    /// Looks for `wanted`, if it is for anything, and hands all on to `listener`, if there is one.
    pub fn new(wanted: Option<&str>, listener: Option<Listener>) -> Self {
        let wanted = wanted.unwrap_or_default().as_bytes().to_vec();
        Self { state: Mutex::new(State { wanted, found: false, tail: Vec::new(), listener }) }
    }

    /// The last of what it said.
    pub fn tail(&self) -> Vec<u8> {
        let state = self.state();
        state.tail.get(state.tail.len().saturating_sub(KEPT)..).unwrap_or_default().to_vec()
    }

    /// Whether the wanted text was said.
    pub(super) fn found(&self) -> bool {
        self.state().found
    }

    /// Begins again.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.found = false;
        state.tail.clear();
    }

    /// Takes what an app says.
    pub fn listener(self: &Arc<Self>) -> Output {
        let heard = Arc::clone(self);
        Box::new(move |stream, said| heard.take(stream, said))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, stream: Stream, said: &[u8]) {
        let mut state = self.state();
        state.tail.extend_from_slice(said);
        if !state.found && !state.wanted.is_empty() {
            // It may have begun in the piece before.
            let from = state.tail.len().saturating_sub(said.len().saturating_add(state.wanted.len()));
            let text = state.tail.get(from..).unwrap_or_default();
            state.found = memchr::memmem::find(text, &state.wanted).is_some();
        }
        let keep = KEPT.max(state.wanted.len());
        if state.tail.len() > keep.saturating_mul(2) {
            let cut = state.tail.len() - keep;
            state.tail.drain(..cut);
        }
        if let Some(listener) = &mut state.listener {
            listener(stream, said);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_across_pieces_and_only_the_end_is_kept() {
        let heard = Heard::new(Some("ready to accept"), None);
        for _ in 0..10_000 {
            heard.take(Stream::Err, b"noise, and rea");
        }
        assert!(!heard.found());
        heard.take(Stream::Out, b"dy to acc");
        heard.take(Stream::Out, b"ept connections\n");
        assert!(heard.found());
        assert_eq!(heard.tail().len(), KEPT);
        heard.forget();
        assert!(!heard.found() && heard.tail().is_empty());
    }

    #[test]
    fn nothing_wanted_is_never_found() {
        let heard = Heard::new(None, None);
        heard.take(Stream::Out, b"anything");
        assert!(!heard.found());
    }
}
