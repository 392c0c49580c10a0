//! What ELF files need, and where a dynamic loader would find it inside the image.
//!
//! Reads no host file: resolving happens over the merged file tree.

pub mod cache;
pub mod closure;
pub mod facts;
#[doc(hidden)]
pub mod fixture;
pub mod search;
