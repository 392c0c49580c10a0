//! Images as documents and streams: platforms, configs, manifests, layers on their way in.
//!
//! Does not know where an image is kept; `source` and `sink` do.

pub mod companion;
pub mod config;
pub mod decode;
pub mod derive;
pub mod finished;
pub mod json;
pub mod manifest;
pub mod media;
pub mod platform;
pub mod published;
pub mod verify;

pub use companion::{Companion, FoundCompanion, Subject, WantedCompanion};
pub use config::{Config, Healthcheck, History, Port, Protocol};
pub use decode::{LayerError, LayerReader, decode};
pub use derive::ConfigChange;
pub use finished::{FinishedImage, FinishedLayer};
pub use media::{Codec, LayerDescriptor};
pub use platform::Platform;
pub use published::{FinishedIndex, Published};
pub use verify::{VerifyError, VerifyingReader};

/// Largest index, manifest or config, in bytes.
///
/// Registries accept 4 MiB of manifest; real configs have some ten KiB. Twice the former leaves room, and bounds memory.
pub const MAX_DOCUMENT: u64 = 8 << 20;

/// Most layers of one image: overlayfs mounts at most 500, Docker stops at 127.
pub const MAX_LAYERS: usize = 512;
