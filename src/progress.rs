//! Progress of long work, told to whoever listens.
//!
//! Does not know of terminals; `cli::progress` draws it. Nothing that is told here reaches an output.

/// Listens to long work. Called from several threads at once.
pub trait Progress: Sync {
    /// A stage begins; with the number of bytes it will go through, where that is known.
    fn start(&self, stage: &str, total_bytes: Option<u64>);
    /// So many bytes more are done.
    fn advance(&self, bytes: u64);
    /// The stage is over.
    fn finish(&self);
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _stage: &str, _total_bytes: Option<u64>) {}
    fn advance(&self, _bytes: u64) {}
    fn finish(&self) {}
}
