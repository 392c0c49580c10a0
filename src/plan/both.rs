//! Two questions answered at once, on two threads.
//!
//! Answers do not depend on it: neither question knows of the other.

use std::panic::resume_unwind;
use std::thread;

/// What `this` and `that` give; `that` runs on a thread of its own.
pub fn both<A, B: Send>(this: impl FnOnce() -> A, that: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let that = scope.spawn(that);
        let this = this();
        (this, that.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
