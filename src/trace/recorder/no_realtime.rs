//! Real-time signals on architectures where nothing is watched: there is nothing to hand on.
//!
//! Has the shape of `realtime`, so that the rest need not know.

use super::Recorder;

/// Nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gadgets;

/// Nobody is sent on one.
#[derive(Debug)]
pub(super) enum Detour {
    /// Never.
    Sending {},
}

/// What becomes of a thread that sent itself a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetGo {
    /// Never.
    NotYet,
    /// Never.
    Gone,
}

impl Recorder {
    /// Cannot be done.
    pub(super) fn hand_on_realtime(&mut self, _: i32, _: i32) -> bool {
        false
    }

    /// Nobody did.
    pub(super) fn sent_to_itself(&mut self, _: i32) -> Option<LetGo> {
        None
    }

    /// Nobody is away.
    pub(super) fn come_back(&mut self, _: i32) {}

    /// Nobody is away.
    pub(super) fn look_for_away(&mut self) {}
}
