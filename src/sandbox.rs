//! A sandbox of our own: an image's app runs in it, without Docker, and nothing outside changes.
//!
//! kiln starts itself again, several times, and each of these *stages* gives up a part of the machine; no stage is forked
//! by hand, so that the house stays without `unsafe`:
//!
//! ```text
//! kiln ─► guard ─► outer ─► server ─► keeper ─► init = the app
//!         stays    user     pid       mount, net, ipc, uts, cgroup, pid again
//!         outside  namespace
//! ```
//!
//! - **Ids.** There is always a user namespace, also for root: the container's root is an id that is nobody's
//!   ([`ids`]). With a user's own id alone, calls that change owners are answered with success ([`seccomp::pretending`]).
//! - **Files.** The image is unpacked below a private directory by the server, which is nobody outside, and is the lower side
//!   of an overlay. The upper side is in memory with a size: what a run writes is bounded by the kernel, gone with
//!   the namespace, and is the list of what was written. Linux 6.6 lets memory carry the attributes overlayfs needs.
//! - **Ends.** The app is the first process of its own namespace, as in Kubernetes. The server is the first of the one
//!   around it, and ends when kiln's end of the socket closes, which also happens when kiln is killed; then the kernel
//!   ends everything inside, whatever it did against that. The outer stage removes what was unpacked, the guard the
//!   directory. What a crash of the machine leaves, the next run finds by its lock and removes.
//! - **kiln's own program.** Stages run from a sealed copy in memory: no process of an image ever has a handle on the file.
//! - **Limits.** Memory and threads are looked at ten times a second by the keeper, and exceeding ends the run; a limit on
//!   each user's processes holds in between.
//!
//! Does not decide what is started or what it means: settings come in, an end and a list of writes go out. Does not use
//! control groups: hardly any user has one to give away, and what they would add is exactness.

pub mod attack;
pub mod capability;
mod cell;
mod door;
mod error;
pub mod ids;
mod left;
mod message;
mod private;
mod program;
mod refusal;
mod running;
pub mod seccomp;
pub mod settings;
mod signal;
pub mod stage;
mod unpack;
mod wire;

pub use attack::{Act, Attack, Attacked, Cut, Hole};
pub use cell::{Output, Place, Sandbox, Stream};
pub use door::{Connection, Door};
pub use error::SandboxError;
pub use ids::IdMode;
pub use left::{Left, Stamp};
pub use message::{Change, ChangeKind, End, Failed, LeftOut, LimitKind, NotExecuted, WhyLeftOut};
pub use private::Private;
pub use refusal::Refusal;
pub use running::{Held, Running};
pub use rustix::process::Signal;
pub use settings::{Limits, Medium, Mount, Process, Root, Seccomp, Settings};
pub use signal::parse_signal;
pub use unpack::{Image, UnpackError};
pub use wire::Bytes;
