//! kiln hardens container images: no shell, no package manager, no write bits, and the pod spec that fits.
//!
//! Soft clay in, a hard vessel out. kiln takes an image that works and gives back one that cannot be changed
//! while it runs, together with a writable manifest, a Kubernetes pod spec and a report of what went and why.
//! Hardening is static: no code of the image is executed, nothing is unpacked onto the host, no daemon and no privilege
//! is needed. Only where it is asked for an app runs, in a sandbox of kiln's own; what that shows is a document, the
//! [`profile`], and one more thing that a plan is made from.
//!
//! # Bird's-eye view
//!
//! ```text
//! reference ─► source ─► index ─► rootfs ─┐
//!                         (tar, ELF)      ├─► plan ─► rewrite ─► hardened image ─► sink
//! catalog, recipe, profile, options ──────┘   (verdicts with reasons)   │
//!                                                                       └─► manifest, pod spec, report
//! ```
//!
//! Every layer is gone through twice, never once. Pass 1 *indexes* it as a stream: entries, links, ELF facts and
//! the few small files that decisions need. Then everything is data: layers merge to one tree, and a pure
//! *plan* decides what happens to every entry, with a reason. Pass 2 *rewrites* each layer as a stream, with
//! verdicts by the entry's position; where it is stored as gzip the stored stream is edited, and nothing is compressed
//! again that stays ([`deflate`]); nor is it decoded again, as long as what it unpacks to had room on the disk
//! ([`layer::spool`]). A layer without a change keeps its blob, bit for bit. What either pass made of a layer,
//! and the plan between them, is found again by the next run, by all that it follows from ([`mod@cache`]).
//!
//! # Code map
//!
//! A module imports from its own row and from lower ones. `tests/it/architecture.rs` reads the sources and holds
//! this table; whoever adds a module adds it there.
//!
//! | row | modules | what they are |
//! | --- | --- | --- |
//! | 0 | [`digest`], [`path`], [`finding`], [`promise`], [`mod@reference`], [`progress`], [`limits`], [`json`], [`deflate`] | values: three types of digest; a path that is never a host path; findings with codes; promises by number; how much is read; documents as text; compressed streams that are edited |
//! | 1 | [`image`], [`rootfs`], [`elf`], [`packages`], [`accounts`], [`evidence`], [`profile`] | what is in the image: its documents, its tree, its programs, who owns what; what a run of it showed |
//! | 2 | [`catalog`], [`recipe`], [`seed`] | what is known about software in general, as data; what fills volumes at start |
//! | 3 | [`options`], [`plan`] | what is asked for; what will happen, and why |
//! | 4 | [`layer`], [`manifest`], [`kube`], [`report`] | new bytes, new documents; [`kube::pod`] is the pod of an image, [`kube::generate`] the workloads round it |
//! | 5 | [`daemon`], [`registry`], [`sandbox`], [`source`], [`sink`], [`cache`], [`trace`] | edges: the daemon's socket, the registries' protocol, an app in isolation; one file per place where images are; what runs before made; processes, watched |
//! | 6 | [`audit`], [`harden`], [`documents`], [`verify`], [`run`], [`observe`], [`trial`], [`converge`] | a pipeline each: one function per stage, one that calls them; manifests, held against rules and images; what hardening left beside an image, read back; proof; one start; one that is watched; one under a pod's settings, attacked; hardening until that one holds |
//! | 7 | [`cli`], `main` | arguments, output, exit status |
//!
//! A module is *core* if it takes and returns values, or moves bytes from a [`Read`](std::io::Read) to a
//! [`Write`](std::io::Write) it was given. It is an *edge* if it touches the world; edges say so with one
//! `#[expect(clippy::disallowed_methods)]` at their `mod`.
//!
//! # What does not happen
//!
//! - Core modules open nothing, start no program, and read no clock, environment or random number.
//! - A path of the image is never followed on the host: [`path::ImagePath`] does not become a host path. The one place that
//!   makes files of an image, the [`sandbox`], makes each by its name in a directory that is opened from the top, through
//!   no link.
//! - Only the sandbox starts processes that are not kiln's; namespaces, mounts and filters are known to it alone.
//! - The plan reads no stream, and pass 2 decides nothing.
//! - No output depends on a name, a time, the number of threads or the order of a hash table: the same blobs,
//!   options and version give the same bytes. [`options::Options::canonical`] is what counts as an option.
//! - Nothing stays or goes in silence: a catalogued program that stays is a [`plan::Residual`] with its reason, and
//!   what goes is a [`plan::Removed`].
//! - The one program that kiln puts into an image, `/.kiln/seed`, takes no argument and reads no environment: it copies what a
//!   table in the image says, into volumes. Its source is no module of kiln, and its bytes are the same in every build. What runs
//!   in a pod besides is of the source image, by the digest that the hardened one names: a command that ends.
//! - Recipes are data, never code; the catalog does not know images, and recipes do not know layers.
//! - The report changes nothing: it is rendered from the plan after everything is decided.
//! - A password goes to the registry it is for and to that registry's own token endpoint, never elsewhere; it cannot
//!   be displayed. `ureq` is known to `registry` and `daemon` only.
//! - goblin is known to `elf::facts` only, rusqlite to `packages::rpm`, oci-spec to `image`, Kubernetes types to `kube`, `anyhow` and clap to
//!   `cli`; libraries can be replaced where they are wrapped.
//! - Library code prints nothing. Names from images reach a terminal escaped only.
//!
//! # Three channels
//!
//! A [`finding::Finding`] is about the image or the rules, and the run goes on. An *error* is a small enum of
//! the module that gives up; the run ends with an exit status that [`cli::Status`] decides. A *bug* is a panic with
//! the invariant in words; the command line turns it into one line and status 70.

pub mod accounts;
pub mod audit;
#[expect(clippy::disallowed_methods, reason = "edge: keeps what was made for the next run, in files")]
pub mod cache;
pub mod catalog;
#[expect(clippy::disallowed_methods, reason = "edge: files, environment and streams of the user")]
pub mod cli;
pub mod converge;
#[expect(
    clippy::disallowed_methods,
    reason = "edge: talks to a daemon's socket, which the environment names"
)]
pub mod daemon;
pub mod deflate;
pub mod digest;
pub mod documents;
pub mod elf;
pub mod evidence;
pub mod finding;
pub mod fix;
pub mod harden;
pub mod image;
pub mod json;
pub mod kube;
pub mod layer;
pub mod limits;
pub mod manifest;
#[expect(clippy::disallowed_methods, reason = "edge: drives an app through ports and programs of the user")]
pub mod observe;
pub mod options;
pub mod packages;
pub mod path;
pub mod plan;
pub mod profile;
pub mod progress;
pub mod promise;
pub mod recipe;
pub mod reference;
#[expect(clippy::disallowed_methods, reason = "edge: network, environment and credentials of the user")]
pub mod registry;
pub mod report;
pub mod rootfs;
pub mod run;
#[expect(
    clippy::disallowed_methods,
    reason = "edge: starts processes and makes files, of its own and of the image"
)]
pub mod sandbox;
pub mod seed;
#[expect(clippy::disallowed_methods, reason = "edge: writes images to disk and stdout")]
pub mod sink;
#[expect(clippy::disallowed_methods, reason = "edge: reads images from disk and stdin")]
pub mod source;
#[expect(clippy::disallowed_methods, reason = "edge: watches processes, reads `/proc` and the clock")]
pub mod trace;
pub mod trial;
pub mod verify;
