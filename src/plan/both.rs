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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_its_own_and_a_panic_is_told_on() {
        let list = [1, 2, 3];
        assert_eq!(both(|| list.len(), || list.iter().sum::<i32>()), (3, 6));
        let panic =
            std::panic::catch_unwind(|| both(|| 1, || std::panic::panic_any("that"))).map(|(_, ())| ());
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"that"));
        let panic =
            std::panic::catch_unwind(|| both(|| std::panic::panic_any("this"), || 1)).map(|((), _)| ());
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"this"));
    }
}
