//! The library's errors as failures of the command line, each with the hint that helps.
//!
//! The one place that decides which error is usage, input or network.

use std::error::Error;
use std::path::PathBuf;

use crate::cli::Failure;
use crate::daemon::DaemonError;
use crate::documents::DocumentsError;
use crate::harden::HardenError;
use crate::layer::rewrite::RewriteError;
use crate::limits::LimitError;
use crate::reference::Reference;
use crate::registry::RegistryError;
use crate::sink::SinkError;
use crate::source::SourceError;

/// `source` is where the image came from: bytes of a registry's that are wrong are the registry's fault.
pub(super) fn failure(error: HardenError, source: &Reference) -> Failure {
    match error {
        HardenError::Platform(_) | HardenError::Glob(_) | HardenError::User(_) => Failure::usage(error),
        HardenError::Unwatched => Failure::usage(error)
            .hint("`--trace` watches the app first; `--profile` takes what `kiln trace` saw"),
        HardenError::HardenedOtherwise { ref source_digest, .. } => {
            let hint = format!(
                "harden its source, `{source_digest}`, with these options; what is gone from an image does not come back"
            );
            Failure::usage(error).hint(hint)
        }
        HardenError::Refused(ref findings) => {
            let findings = findings.clone();
            Failure::findings(error, findings).hint(
                "`kiln explain CODE` tells what to do; `kiln inspect` shows the whole plan; without `--strict` it is carried out",
            )
        }
        HardenError::Profile { .. } | HardenError::ProfilePlatform { .. } => {
            Failure::input(error).hint("`kiln trace IMAGE -o FILE` makes a profile of this image")
        }
        HardenError::Source(error) => source_failure(error, source),
        HardenError::Sink(SinkError::CopyLayer { .. }) => bad_bytes(error, source),
        HardenError::Sink(error) => sink_failure(error),
        HardenError::Of { platform, source: of } => {
            failure(*of, source).within(format!("platform {platform}"))
        }
        HardenError::Cache(_)
        | HardenError::Encode { .. }
        | HardenError::Rewrite { source: RewriteError::Write(_), .. } => Failure::input(error),
        _ => bad_bytes(error, source),
    }
}

pub(super) fn source_failure(error: SourceError, source: &Reference) -> Failure {
    let error = match error {
        SourceError::Daemon(error) => return daemon_failure(error),
        other => other,
    };
    match &error {
        SourceError::NoSuchTag { .. } | SourceError::SeveralImages { .. } => {
            Failure::input(error).hint("name one of them after the path: `oci:DIR:REF`")
        }
        SourceError::NoSuchPlatform { .. } => {
            Failure::input(error).hint("choose one of them with `--platform`")
        }
        _ => bad_bytes(error, source),
    }
}

pub(super) fn sink_failure(error: SinkError) -> Failure {
    match error {
        SinkError::Twice(_) | SinkError::NoIndex(_) | SinkError::ChosenId(_) | SinkError::Digested(_) => {
            Failure::usage(error)
        }
        SinkError::IsSource(_) => Failure::input(error)
            .hint("write to another place; in a layout another name is enough: `oci:DIR:REF`"),
        SinkError::Daemon(error) => daemon_failure(error),
        SinkError::Registry(_) => registry_failure(error),
        SinkError::Companions(_) => registry_failure(error).hint("`--no-referrers` pushes the image alone"),
        _ => Failure::input(error),
    }
}

fn daemon_failure(error: DaemonError) -> Failure {
    match error {
        DaemonError::Host(_) => Failure::usage(error),
        DaemonError::NoImage { .. } => {
            Failure::input(error).hint("`docker image ls` or `podman image ls` names the images that are there")
        }
        DaemonError::NotThere(_) => Failure::network(error).hint(
            "start the daemon (`systemctl start docker`, `podman system service`), or name its socket: DOCKER_HOST=unix://PATH",
        ),
        DaemonError::Talk { .. } | DaemonError::Refused { .. } => Failure::network(error),
    }
}

/// A limit that is passed is no fault of a registry's: the same image passes it again.
fn limited(error: impl Error + Send + Sync + 'static, limit: LimitError) -> Failure {
    let flag = match limit {
        LimitError::Entries { .. } | LimitError::Held { .. } => "--max-entries",
        LimitError::Size { .. } | LimitError::Ratio { .. } => "--max-size",
    };
    Failure::input(error).hint(format!("if you trust the image, `{flag}` allows more"))
}

fn bad_bytes(error: impl Error + Send + Sync + 'static, source: &Reference) -> Failure {
    if let Some(&limit) = LimitError::find(&error) {
        return limited(error, limit);
    }
    match source {
        Reference::Registry(_) => registry_failure(error),
        _ => Failure::input(error),
    }
}

/// What a registry did; or this machine, where the registry's error says so.
fn registry_failure(error: impl Error + Send + Sync + 'static) -> Failure {
    let found = RegistryError::find(&error);
    let hint = found.and_then(registry_hint);
    let failure = if found.is_some_and(RegistryError::is_local) {
        Failure::input(error)
    } else {
        Failure::network(error)
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn registry_hint(error: &RegistryError) -> Option<String> {
    match error {
        RegistryError::Unauthorized { host, looked_at, .. } => Some(login_hint(host, looked_at)),
        RegistryError::TokenStatus { host, status: 401 | 403, looked_at, .. } => {
            Some(login_hint(host, looked_at))
        }
        RegistryError::Certificate { .. } => {
            Some("`--ca-file FILE` trusts the certificates in a file of yours too".to_owned())
        }
        RegistryError::Helper { name, .. } => Some(format!(
            "an auth file names `{name}` in `credsStore` or `credHelpers`; registries that want no password are not asked with it"
        )),
        RegistryError::ProxyRefused { .. } => {
            Some("`NO_PROXY` names hosts that are reached without the proxy".to_owned())
        }
        RegistryError::NotTls { .. } => Some("`--plain-http` speaks plain HTTP to it".to_owned()),
        _ => None,
    }
}

fn login_hint(host: &str, looked_at: &[PathBuf]) -> String {
    let files: Vec<_> = looked_at.iter().map(|path| format!("`{}`", path.display())).collect();
    let files = if files.is_empty() { "no file, for HOME is not set".to_owned() } else { files.join(", ") };
    format!(
        "credentials were looked for in {files}; `docker login {host}` or `podman login {host}` stores them"
    )
}

pub(super) fn documents_failure(error: DocumentsError, source: &Reference) -> Failure {
    match error {
        DocumentsError::Source(error) => source_failure(error, source),
        error @ DocumentsError::NoManifest(_) => {
            Failure::input(error).hint("`kiln harden` makes hardened images; this one it did not make")
        }
        error => bad_bytes(error, source),
    }
}
