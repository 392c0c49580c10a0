//! kiln
pub mod catalog;
pub mod digest;
pub mod elf;
pub mod evidence;
pub mod finding;
pub mod path;
pub mod plan;
pub mod recipe;
pub mod rootfs;
