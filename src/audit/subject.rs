//! A pod as rules see it: containers of every kind, what they mount, and what images they run.
//!
//! Says what is there; what should be there is for the rules.

use serde_json::Value;

use super::image::Image;
use super::options::Options;
use super::resource::{Resource, Role};
pub(super) use crate::kube::field::{list, number, text, truth, value};
use crate::kube::pss::Violation;
use crate::kube::quantity;
use crate::path::ImagePath;

/// A pod, or the template of one.
pub(super) struct Subject<'a> {
    /// What describes it.
    pub(super) resource: &'a Resource,
    /// The whole of that.
    pub(super) whole: &'a Value,
    pub(super) options: &'a Options,
    /// `metadata` of the pod.
    pub(super) metadata: &'a Value,
    /// `spec` of the pod.
    pub(super) spec: &'a Value,
    pub(super) containers: Vec<Container<'a>>,
    pub(super) volumes: Vec<Volume<'a>>,
    /// What `restricted` forbids of it, and what `baseline` does by controls that `restricted` has not.
    pub(super) violations: Vec<Violation>,
}

/// A container of any kind.
pub(super) struct Container<'a> {
    pub(super) role: Role,
    pub(super) name: &'a str,
    /// `spec.containers[0]`.
    pub(super) at: String,
    pub(super) fields: &'a Value,
    /// As written; empty where it is not.
    pub(super) image: &'a str,
    /// What is known of that.
    pub(super) known: Option<&'a Image>,
    pub(super) mounts: Vec<Mount<'a>>,
}

/// A volume that is mounted.
pub(super) struct Mount<'a> {
    /// `spec.containers[0].volumeMounts[1]`.
    pub(super) at: String,
    /// As written.
    pub(super) path: &'a str,
    /// The same as the kubelet makes it.
    pub(super) place: String,
    pub(super) fields: &'a Value,
    /// The volume's number in the pod; none where it is a claim template's, or nobody's.
    pub(super) volume: Option<usize>,
    pub(super) name: &'a str,
    /// By itself, or for what its volume is.
    pub(super) is_read_only: bool,
}

/// A volume of the pod.
pub(super) struct Volume<'a> {
    /// `spec.volumes[0]`.
    pub(super) at: String,
    pub(super) name: &'a str,
    /// `emptyDir`, `configMap`, …; `emptyDir` where nothing is said, as the API server has it.
    pub(super) kind: &'a str,
    /// What stands there.
    pub(super) source: &'a Value,
}

impl<'a> Subject<'a> {
    pub(super) fn new(
        resource: &'a Resource,
        whole: &'a Value,
        options: &'a Options,
        metadata: &'a Value,
        spec: &'a Value,
    ) -> Self {
        let volumes = volumes(spec);
        let containers = [("initContainers", Role::Init), ("containers", Role::App)]
            .into_iter()
            .chain([("ephemeralContainers", Role::Ephemeral)])
            .flat_map(|(key, role)| list(spec, key).map(move |item| (key, role, item)))
            .map(|(key, role, (index, fields))| {
                let at = format!("spec.{key}[{index}]");
                container(at, role, fields, &volumes, options)
            })
            .collect();
        Self { resource, whole, options, metadata, spec, containers, volumes, violations: Vec::new() }
    }

    /// What the container says, else what the pod does.
    pub(super) fn effective(&self, container: &Container<'a>, field: &str) -> Option<&'a Value> {
        let of = |fields: &'a Value| value(fields, "securityContext").and_then(|own| value(own, field));
        of(container.fields).or_else(|| of(self.spec))
    }

    /// Those that run when the pod does: all but who debugs.
    pub(super) fn own_containers(&self) -> impl Iterator<Item = &Container<'a>> {
        self.containers.iter().filter(|container| container.role != Role::Ephemeral)
    }

    /// The volume of a mount, and its kind: a claim for a template's.
    pub(super) fn kind_of(&self, mount: &Mount<'_>) -> Option<&'a str> {
        match mount.volume {
            Some(index) => self.volumes.get(index).map(|volume| volume.kind),
            None => self.claim_templates().any(|name| name == mount.name).then_some("persistentVolumeClaim"),
        }
    }

    /// The mounts through which a container can write: of any volume of the pod that is not read-only.
    pub(super) fn writable<'s>(
        &'s self,
        container: &'s Container<'a>,
    ) -> impl Iterator<Item = &'s Mount<'a>> + use<'s, 'a> {
        container.mounts.iter().filter(|mount| !mount.is_read_only && self.kind_of(mount).is_some())
    }

    /// Names of `volumeClaimTemplates`.
    pub(super) fn claim_templates(&self) -> impl Iterator<Item = &'a str> {
        list(self.whole, "spec.volumeClaimTemplates").filter_map(|(_, claim)| text(claim, "metadata.name"))
    }

    /// Whether the pod runs on Windows, where most of what is asked here means nothing: it says so, or asks for such nodes.
    pub(super) fn is_windows(&self) -> bool {
        let nodes =
            value(self.spec, "nodeSelector").and_then(|labels| labels.get("kubernetes.io/os")?.as_str());
        text(self.spec, "os.name").or(nodes) == Some("windows")
    }
}

/// The amount at `path`, which may be a text or a number.
pub(super) fn amount(of: &Value, path: &str) -> Option<f64> {
    match value(of, path)? {
        Value::String(text) => quantity::parse(text),
        value => value.as_f64(),
    }
}

/// `path` as the kubelet makes it: absolute, no slash doubled or at the end.
pub(super) fn absolute(path: &str) -> String {
    let names: Vec<&str> = path.split('/').filter(|name| !["", "."].contains(name)).collect();
    format!("/{}", names.join("/"))
}

/// Whether `path` is `of` or lies below it, both as [`absolute`] has them.
pub(super) fn is_within(path: &str, of: &str) -> bool {
    of == "/" || path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What Kubernetes itself writes, and nobody in the container.
pub const FIXED_KINDS: [&str; 5] = ["configMap", "secret", "projected", "downwardAPI", "image"];

fn volumes(spec: &Value) -> Vec<Volume<'_>> {
    list(spec, "volumes")
        .map(|(index, fields)| {
            let source = fields.as_object().into_iter().flatten();
            let mut source = source.filter(|(key, value)| *key != "name" && !value.is_null());
            let (kind, source) =
                source.next().map_or(("emptyDir", &Value::Null), |(kind, source)| (kind.as_str(), source));
            let name = text(fields, "name").unwrap_or_default();
            Volume { at: format!("spec.volumes[{index}]"), name, kind, source }
        })
        .collect()
}

fn container<'a>(
    at: String,
    role: Role,
    fields: &'a Value,
    volumes: &[Volume<'a>],
    options: &'a Options,
) -> Container<'a> {
    let mounts = list(fields, "volumeMounts")
        .map(|(index, mount)| {
            let name = text(mount, "name").unwrap_or_default();
            let volume = volumes.iter().position(|volume| volume.name == name);
            // Claims, and most of what is mounted over the network, can be read-only whatever the mount says.
            let is_fixed = volume.and_then(|index| volumes.get(index)).is_some_and(|volume| {
                FIXED_KINDS.contains(&volume.kind) || truth(volume.source, "readOnly") == Some(true)
            });
            let path = text(mount, "mountPath").unwrap_or_default();
            Mount {
                at: format!("{at}.volumeMounts[{index}]"),
                path,
                place: absolute(path),
                fields: mount,
                volume,
                name,
                is_read_only: is_fixed || truth(mount, "readOnly") == Some(true),
            }
        })
        .collect();
    let stays = role == Role::Init && text(fields, "restartPolicy") == Some("Always");
    let image = text(fields, "image").unwrap_or_default();
    Container {
        role: if stays { Role::Sidecar } else { role },
        name: text(fields, "name").unwrap_or_default(),
        at,
        fields,
        image,
        known: options.image(image),
        mounts,
    }
}

impl Container<'_> {
    /// `container "app"`.
    pub(super) fn title(&self) -> String {
        format!("{} {:?}", self.role.noun(), self.name)
    }

    /// The field `field` of the container, from the pod's top.
    pub(super) fn field(&self, field: &str) -> String {
        format!("{}.{field}", self.at)
    }

    /// Words of a list at `path`.
    pub(super) fn words(&self, path: &str) -> Vec<&str> {
        list(self.fields, path).filter_map(|(_, word)| word.as_str()).collect()
    }

    /// Whether it starts what `image` does.
    pub(super) fn runs_own(&self, image: &Image) -> bool {
        image.is_started_by(&self.words("command"), &self.words("args"))
    }

    /// The directory that it starts in: its own, else the image's.
    pub(super) fn working_dir<'c>(&'c self, image: &'c Image) -> &'c str {
        text(self.fields, "workingDir").unwrap_or(&image.config.working_dir)
    }

    /// What it starts: its own words where it has any, else the image's, as Kubernetes puts them together.
    pub(super) fn argv<'c>(&'c self, image: &'c Image) -> Vec<&'c str> {
        let config = &image.config;
        let (mut argv, args) = (self.words("command"), self.words("args"));
        let is_images = argv.is_empty();
        if is_images {
            argv.extend(config.entrypoint.iter().map(String::as_str));
        }
        if is_images && args.is_empty() {
            argv.extend(config.cmd.iter().map(String::as_str));
        }
        argv.extend(args);
        argv
    }

    /// Where the program `name` of the image lies, as the container looks for it.
    pub(super) fn find(&self, image: &Image, name: &str) -> Option<ImagePath> {
        let own = list(self.fields, "env").filter(|(_, one)| text(one, "name") == Some("PATH")).last();
        let path = own.and_then(|(_, one)| text(one, "value")).unwrap_or_else(|| image.search_path());
        image.find(name, self.working_dir(image), path)
    }

    /// Whether a volume lies over the program `name`, so that the image does not say what is there.
    pub(super) fn is_mounted_over(&self, image: &Image, name: &str) -> bool {
        let directory = if name.starts_with('/') { "" } else { self.working_dir(image) };
        let path = absolute(&format!("{directory}/{name}"));
        name.contains('/') && self.mounts.iter().any(|mount| is_within(&path, &mount.place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_as_the_kubelet_does() {
        for (path, expect) in
            [("/a/b", "/a/b"), ("//a//b/", "/a/b"), ("a/./b", "/a/b"), ("/", "/"), ("", "/"), ("./", "/")]
        {
            assert_eq!(absolute(path), expect, "{path}");
        }
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", "/"));
        assert!(!is_within("/ab", "/a") && !is_within("/a", "/a/b"));
    }
}
