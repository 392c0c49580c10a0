//! What fuzzing calls: per target one function from bytes that a stranger may have made to what must hold of them.
//!
//! Knows neither libFuzzer nor where the bytes come from: `cargo test` replays the corpus through the same functions.

pub mod apk;
pub mod archive;
pub mod codec;
mod database;
pub mod deflate;
pub mod documents;
pub mod dpkg;
pub mod edit;
pub mod elf;
pub mod image;
pub mod recipe;
pub mod rpm;
pub mod tar;

/// A target's name, which is its corpus' directory too, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("apk", apk::check),
    ("archive", archive::check),
    ("codec", codec::check),
    ("deflate", deflate::check),
    ("documents", documents::check),
    ("dpkg", dpkg::check),
    ("edit", edit::check),
    ("elf", elf::check),
    ("image", image::check),
    ("recipe", recipe::check),
    ("rpm", rpm::check),
    ("tar", tar::check),
];
