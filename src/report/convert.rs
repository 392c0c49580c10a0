//! The plan's values as the report writes them.
//!
//! One function per value; adds nothing that the plan does not say.

use super::document::{
    Blob, Entrypoint, Finding, Image, Layer, Lowering, Package, Port, ProbeText, Removed, Residual, Step,
    Totals, User, Writable,
};
use super::{ImageName, LayerBlob, LayerChange};
use crate::catalog::Class;
use crate::plan::{self, PathContent, Reason, Role, UserOrigin};
use crate::recipe::Probe;

/// `class` as documents write it.
pub(super) fn class_word(class: Class) -> &'static str {
    match class {
        Class::Shell => "shell",
        Class::PackageManager => "package-manager",
        Class::Utility => "utility",
        Class::Editor => "editor",
        Class::Downloader => "downloader",
        Class::Compiler => "compiler",
        Class::NetworkTool => "network-tool",
        Class::Escape => "escape",
        Class::Interpreter => "interpreter",
        Class::Application => "application",
    }
}

impl Image {
    pub(super) fn of(image: &ImageName) -> Self {
        Self { name: image.name.clone(), digest: image.digest.map(|digest| digest.to_string()) }
    }
}

impl Entrypoint {
    pub(super) fn of(entrypoint: &plan::Entrypoint) -> Self {
        let step = |step: &plan::Step| Step {
            path: step.path.to_string(),
            file: step.file.to_string(),
            role: match step.role {
                Role::Wrapper => "wrapper",
                Role::Script => "script",
                Role::Interpreter => "interpreter",
                Role::Program => "program",
            },
        };
        let lowering = |lowered: &plan::Lowered| Lowering {
            from: lowered.from.clone(),
            to: lowered.to.clone(),
            why: lowered.why.clone(),
        };
        Self {
            source: entrypoint.source.clone(),
            argv: entrypoint.argv.clone(),
            env: entrypoint.env.iter().cloned().collect(),
            working_dir: entrypoint.working_dir.as_ref().map(ToString::to_string),
            chain: entrypoint.chain.iter().map(step).collect(),
            lowerings: entrypoint.lowerings.iter().map(lowering).collect(),
        }
    }
}

impl User {
    pub(super) fn of(user: &plan::User) -> Self {
        Self {
            uid: user.uid,
            gid: user.gid,
            groups: user.groups.clone(),
            name: user.name.clone(),
            origin: match &user.origin {
                UserOrigin::Option => "`--user`".into(),
                UserOrigin::Image => "the image's config".into(),
                UserOrigin::Trace => "the server ran as it when it was watched".into(),
                UserOrigin::Script(path) => format!("script `{path}` of the entrypoint"),
                UserOrigin::Recipe(name) => format!("recipe `{name}`"),
                UserOrigin::Unit(name) => format!("unit `{name}`"),
                UserOrigin::Account(name) => format!("account `{name}` of the image"),
                UserOrigin::Added => "nothing better known: added".into(),
            },
        }
    }
}

impl Writable {
    pub(super) fn of(path: &plan::WritablePath) -> Self {
        let (content, content_bytes) = match path.content {
            PathContent::Absent => ("absent", 0),
            PathContent::Empty => ("empty", 0),
            PathContent::Seed { bytes, .. } => ("seed", bytes),
            PathContent::LogLinks => ("log-links", 0),
        };
        Self {
            path: path.path.to_string(),
            purpose: path.purpose,
            content,
            content_bytes,
            seeded: path.seeded,
            uid: path.uid,
            gid: path.gid,
            mode: format!("{:04o}", path.mode),
            size_limit: path.size_limit,
            memory: path.memory,
            confidence: path.confidence,
            evidence: path.evidence.clone(),
        }
    }
}

impl Port {
    pub(super) fn of(port: &plan::Port) -> Self {
        Self {
            port: port.port,
            protocol: port.protocol,
            name: port.name.clone(),
            evidence: port.evidence.clone(),
        }
    }
}

impl ProbeText {
    pub(super) fn of(probe: &Probe) -> Self {
        match probe {
            Probe::Http { path } => Self { kind: "http", path: Some(path.clone()) },
            Probe::Tcp => Self { kind: "tcp", path: None },
        }
    }
}

impl Totals {
    pub(super) fn of(totals: plan::Totals) -> Self {
        let plan::Totals { files, bytes, executables, setuid, writable, catalogued, packages } = totals;
        Self { files, bytes, executables, setuid, writable, catalogued, packages }
    }
}

impl Layer {
    pub(super) fn of(layer: &LayerChange) -> Self {
        let blob = |blob: LayerBlob| Blob { digest: blob.digest.to_string(), bytes: blob.bytes };
        Self {
            before: layer.before.map(blob),
            after: blob(layer.after),
            unchanged: layer.before.is_some_and(|before| before.digest == layer.after.digest),
        }
    }
}

impl Removed {
    pub(super) fn of(removed: &plan::Removed) -> Self {
        let (reason, class, of) = match &removed.reason {
            Reason::Catalogued { class, alike } => {
                ("catalogued", Some(*class), alike.as_ref().map(ToString::to_string))
            }
            Reason::UnneededPackage => ("unneeded-package", None, None),
            Reason::PackageManagerState => ("package-manager-state", None, None),
            Reason::Derived => ("derived", None, None),
            Reason::ScriptOfStripped { interpreter } => {
                ("script-of-stripped", None, Some(interpreter.to_string()))
            }
            Reason::LinkToStripped { target } => ("link-to-stripped", None, Some(target.to_string())),
            Reason::RemovedAtStart => ("removed-at-start", None, None),
            Reason::EmptyDirectory => ("empty-directory", None, None),
            Reason::Shadowed => ("shadowed", None, None),
            Reason::WhiteoutOfNothing => ("whiteout-of-nothing", None, None),
            Reason::Requested { glob } => ("requested", None, Some(glob.to_string())),
        };
        Self {
            path: removed.path.to_string(),
            reason,
            class,
            of,
            package: removed.package.as_deref().map(str::to_owned),
            layer: removed.layer,
            bytes: removed.bytes,
        }
    }
}

impl Residual {
    pub(super) fn of(residual: &plan::Residual) -> Self {
        Self {
            path: residual.path.to_string(),
            class: residual.class,
            why: residual.why.clone(),
            remedy: residual.remedy.clone(),
            multi_call: residual.multi_call.clone(),
            applets: residual.applets.clone(),
        }
    }
}

impl Package {
    pub(super) fn of(package: &plan::PackageFate) -> Self {
        Self {
            name: package.name.clone(),
            version: package.version.clone(),
            kept: package.kept,
            why: package.why.clone(),
        }
    }
}

impl Finding {
    /// All of them, heaviest first, then by code and subject.
    pub(super) fn all(findings: &[crate::finding::Finding]) -> Vec<Self> {
        let mut sorted: Vec<_> = findings.iter().collect();
        sorted.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| (a.code, &a.subject, &a.message).cmp(&(b.code, &b.subject, &b.message)))
        });
        let text = |finding: &crate::finding::Finding| Self {
            code: finding.code.to_string(),
            slug: finding.code.doc().slug.to_owned(),
            severity: finding.severity,
            subject: finding.subject.clone(),
            message: finding.message.clone(),
        };
        sorted.into_iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_words_are_those_of_the_catalog() {
        for class in super::super::sections::CLASSES {
            assert_eq!(serde_json::to_value(class).unwrap(), class_word(class));
        }
    }
}
