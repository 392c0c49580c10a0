//! Hostile and broken images, as a user meets them: one clear error, its exit status, and nothing touched.
//!
//! Runs the binary; what a registry does wrong is tested where registries are.

mod blobs;
mod documents;
mod elf;
mod lab;
mod names;
mod outputs;
mod packages;
mod streams;
mod tar;
