//! New content compressed: what no stream has yet.

use flate2::{Compress, Compression, FlushCompress, Status};

/// gzip's default, and what container tools write.
pub const LEVEL: u32 = 6;

/// Compresses `block` at `level` (1 to 9) to a byte border, without an end mark; `dictionary` stands before it.
pub fn compress(block: &[u8], dictionary: &[u8], level: u32) -> Vec<u8> {
    // A fresh state each time: after `reset` the bytes depend on what was compressed before, and so on which
    // thread had which block (zlib-rs of flate2 1.1.11).
    let mut state = Compress::new(Compression::new(level), false);
    if !dictionary.is_empty() {
        state
            .set_dictionary(dictionary)
            .unwrap_or_else(|error| unreachable!("a fresh raw deflate stream takes a dictionary: {error}"));
    }
    let mut out = Vec::with_capacity(block.len() / 2 + 1024);
    let mut taken = 0;
    loop {
        let before = state.total_in();
        let status = state
            .compress_vec(block.get(taken..).unwrap_or_default(), &mut out, FlushCompress::Sync)
            .unwrap_or_else(|error| unreachable!("deflate refuses no input: {error}"));
        taken += usize::try_from(state.total_in() - before).unwrap_or(usize::MAX);
        // Room left in the output means that the flush is complete.
        if taken >= block.len() && out.len() < out.capacity() {
            debug_assert!(matches!(status, Status::Ok | Status::BufError));
            return out;
        }
        out.reserve(block.len() / 4 + 1024);
    }
}
