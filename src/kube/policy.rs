//! Policies that hold a cluster to what hardened images promise: a root that cannot be written to, and writes only where the
//! image's manifest has them.
//!
//! Talks to no cluster and reads no image: what an image may write to comes in as its writable manifest, and every engine's
//! documents are rendered from that and from the same rules.

mod cel;
mod document;
mod falco;
mod gatekeeper;
mod image;
mod kyverno;
mod map;
mod pairs;
pub(super) mod psa;
mod tetragon;
mod vap;

pub use image::Image;

use super::Version;

/// Who enforces or watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// OPA Gatekeeper.
    Gatekeeper,
    /// Kyverno.
    Kyverno,
    /// The API server's own `ValidatingAdmissionPolicy`.
    Vap,
    /// The API server's own `MutatingAdmissionPolicy`.
    Map,
    /// Pod Security admission.
    Psa,
    /// Falco.
    Falco,
    /// Tetragon.
    Tetragon,
}

impl Engine {
    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gatekeeper => "gatekeeper",
            Self::Kyverno => "kyverno",
            Self::Vap => "vap",
            Self::Map => "map",
            Self::Psa => "psa",
            Self::Falco => "falco",
            Self::Tetragon => "tetragon",
        }
    }
}

/// What happens to a pod that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforce {
    /// It is refused; a process that does is killed.
    Deny,
    /// Whoever makes it is told.
    Warn,
    /// It is recorded.
    Audit,
}

/// Which of an engine's forms is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// The one that people mean.
    #[default]
    Usual,
    /// Pod Security admission of whichever version the cluster has.
    Latest,
    /// Kyverno's policy that mends pods instead of refusing them.
    Mutating,
    /// Kyverno's `ClusterPolicy`, for those who have no `ValidatingPolicy` yet.
    Legacy,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// For whom.
    pub engine: Engine,
    /// In which form.
    pub form: Form,
    /// Images whose own rules are wanted; with none the rules are for every image.
    pub images: Vec<Image>,
    /// The cluster's.
    pub version: Version,
    /// Where the rules hold; with none where the engine's rules hold by default.
    pub namespaces: Vec<String>,
    /// How; `None` is the engine's default.
    pub enforce: Option<Enforce>,
    /// Beginnings of images' names that are let through.
    pub exempt: Vec<String>,
    /// What the workload of the image is called, where it is not what `kiln generate` calls it.
    pub app: Option<String>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it goes below a directory of the user's.
    pub path: String,
    /// What it says.
    pub text: String,
    /// What it is for.
    pub role: Role,
}

/// What a document is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To be applied, before those that need it.
    Definition,
    /// To be applied.
    Policy,
    /// Shows what the policy accepts and what it rejects.
    Test,
}

/// What makes no sense for an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// An option that an engine has no use for.
    #[error("`{option}` means nothing to `{engine}`: {why}")]
    Option {
        /// As it is typed.
        option: &'static str,
        /// As it is typed.
        engine: &'static str,
        /// Why, and what to do.
        why: &'static str,
    },
    /// What mends pods must know the images.
    #[error(
        "`{0}` adds what an image needs, and no image is named: give `--image`, or `--manifest` and `--image-name`"
    )]
    NoImage(&'static str),
    /// A cluster that has no such policies.
    #[error(
        "Kubernetes {0} has no `MutatingAdmissionPolicy`, which is there from 1.34 on: use `kiln policy kyverno --mutate`"
    )]
    TooOld(Version),
    /// A cluster that has no such policies.
    #[error(
        "Kubernetes {0} has no stable `ValidatingAdmissionPolicy`, which is there from 1.30 on: use `kiln policy kyverno` or `gatekeeper`"
    )]
    NoVap(Version),
    /// Manifests of one image that ask for different volumes.
    #[error(
        "the manifests of `{0}` ask for different volumes, and a pod does not say which it needs: give one of them"
    )]
    Ambiguous(String),
    /// An image whose pod has an init container of the source image, which the policy does not know.
    #[error(
        "`{0}` needs an init container of its source image, which only its pod spec names: apply that instead"
    )]
    NeedsSource(String),
}

/// The namespaces of the generic rules, unless others are named.
const NAMESPACES: [&str; 2] = ["production", "staging"];

/// The documents of `request`, those to be applied first in front.
pub fn render(request: &Request) -> Result<Vec<File>, PolicyError> {
    let request = &Request { images: image::united(&request.images), ..request.clone() };
    check(request)?;
    let mut files = match request.engine {
        Engine::Gatekeeper => gatekeeper::files(request),
        Engine::Kyverno if request.form == Form::Mutating => map::kyverno(request),
        Engine::Kyverno => kyverno::files(request),
        Engine::Vap => vap::files(request),
        Engine::Map => map::files(request),
        Engine::Psa => psa::files(request),
        Engine::Falco => falco::files(request),
        Engine::Tetragon => tetragon::files(request),
    };
    files.sort_by(|a, b| (a.role, &a.path).cmp(&(b.role, &b.path)));
    Ok(files)
}

/// One clear word on what makes no sense.
fn check(request: &Request) -> Result<(), PolicyError> {
    let engine = request.engine;
    let wrong = |option, why| Err(PolicyError::Option { option, engine: engine.name(), why });
    match request.form {
        Form::Usual => {}
        Form::Latest if engine == Engine::Psa => {}
        Form::Mutating | Form::Legacy if engine == Engine::Kyverno => {}
        Form::Latest => {
            return wrong("--latest", "it is the version of Pod Security admission, `kiln policy psa`");
        }
        Form::Mutating => {
            return wrong("--mutate", "it is Kyverno's; the API server's own is `kiln policy map`");
        }
        Form::Legacy => return wrong("--legacy", "it is Kyverno's `ClusterPolicy`, `kiln policy kyverno`"),
    }
    let mends = engine == Engine::Map || request.form == Form::Mutating;
    if engine == Engine::Psa && !request.images.is_empty() {
        return wrong(
            "--image",
            "Pod Security admission knows namespaces only; `vap`, `gatekeeper` and `kyverno` know images",
        );
    }
    if !request.exempt.is_empty() && matches!(engine, Engine::Psa | Engine::Tetragon) {
        return wrong("--exempt", "it does not see images; select namespaces or pods instead");
    }
    if !request.exempt.is_empty() && mends {
        return wrong("--exempt", "it touches pods of the named images only");
    }
    if !request.exempt.is_empty() && !request.images.is_empty() && engine != Engine::Falco {
        return wrong("--exempt", "the rules of an image hold for its containers only, and for all of them");
    }
    if request.app.is_some() && engine != Engine::Tetragon {
        return wrong("--app", "it knows images, whatever runs them");
    }
    if request.app.is_some() && request.images.len() != 1 {
        return wrong("--app", "it is what the workload of one image is called: expected that image alone");
    }
    match (engine, request.enforce) {
        (_, Some(_)) if mends => return wrong("--enforce", "it mends pods and refuses none"),
        (Engine::Falco, Some(Enforce::Deny | Enforce::Warn)) => {
            return wrong("--enforce", "Falco only tells; `tetragon --enforce deny` kills");
        }
        (Engine::Tetragon, Some(Enforce::Warn)) => {
            return wrong("--enforce warn", "give `audit` or `deny`, which kills");
        }
        _ => {}
    }
    if mends && request.images.is_empty() {
        return Err(PolicyError::NoImage(if engine == Engine::Map { "map" } else { "kyverno --mutate" }));
    }
    if engine == Engine::Map && request.version < Version(34) {
        return Err(PolicyError::TooOld(request.version));
    }
    if engine == Engine::Vap && request.version < Version(30) {
        return Err(PolicyError::NoVap(request.version));
    }
    for image in request.images.iter().filter(|_| mends) {
        if image.needs_source() {
            return Err(PolicyError::NeedsSource(image.repository()));
        }
        if image.is_ambiguous() {
            return Err(PolicyError::Ambiguous(image.repository()));
        }
    }
    Ok(())
}

impl Request {
    /// Where the rules for every image hold.
    fn generic_namespaces(&self) -> Vec<String> {
        if self.namespaces.is_empty() {
            NAMESPACES.map(str::to_owned).to_vec()
        } else {
            self.sorted_namespaces()
        }
    }

    fn sorted_namespaces(&self) -> Vec<String> {
        let mut namespaces = self.namespaces.clone();
        namespaces.sort();
        namespaces.dedup();
        namespaces
    }

    /// Where a set of rules holds; none is everywhere.
    fn places(&self, is_generic: bool) -> Vec<String> {
        if is_generic { self.generic_namespaces() } else { self.sorted_namespaces() }
    }

    fn enforce(&self) -> Enforce {
        self.enforce.unwrap_or(Enforce::Deny)
    }

    /// As Gatekeeper's library writes them: what ends in `*` is a beginning.
    fn exempt_images(&self) -> Vec<String> {
        let mut images: Vec<String> =
            self.exempt.iter().map(|prefix| format!("{}*", prefix.trim_end_matches('*'))).collect();
        images.sort();
        images.dedup();
        images
    }
}

#[cfg(test)]
mod tests;
