//! Layers as streams: read into an index, written again by verdicts.
//!
//! Does not decide what goes; verdicts come in by member position.

pub mod codec;
pub mod edited;
pub mod gzip;
pub mod header;
pub mod index;
pub mod pipe;
pub mod rewrite;
pub mod spool;
pub mod stream;
pub mod writer;
