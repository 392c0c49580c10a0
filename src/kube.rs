//! Kubernetes documents that fit a hardened image.
//!
//! Talks to no cluster and knows no registry: documents are rendered from the writable manifest and options.

pub mod pod;

pub use pod::{PodOptions, render_pod};
