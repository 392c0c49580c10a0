//! Kubernetes documents: those that fit a hardened image, and those that users bring.
//!
//! Talks to no cluster and knows no registry: documents are rendered from the writable manifest and options, or read from text
//! and held against the standards that admission has.

pub mod document;
pub mod edit;
pub mod field;
pub mod generate;
pub mod given;
pub mod pod;
pub mod policy;
pub mod pss;
pub mod quantity;
pub mod version;
pub mod workload;

pub use pod::{PodOptions, render_pod};
pub use version::Version;

/// A value as YAML, in the order of its fields' names.
pub fn to_yaml(value: &serde_json::Value) -> String {
    serde_saphyr::to_string(value)
        .unwrap_or_else(|error| unreachable!("a value is maps, lists and scalars only: {error}"))
}
