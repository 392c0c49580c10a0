//! The read-only root file system, with the volumes, variables and init containers that an app needs under it.
//!
//! Where it is not known what a container writes the flag is refused, for the app would die of it.

use serde_json::{Value, json};

use super::mend::{Mender, list, role, sub, title};
use crate::audit::resource::Role;
use crate::audit::{FIXED_KINDS, Image, Origin, ValueFinding};
use crate::digest::BlobDigest;
use crate::kube::field;
use crate::kube::pod::{MAX_LABEL, PodOptions, RunAs, dns_label, pod};
use crate::manifest::{Path, Persistence, Volume};
use crate::path::ImagePath;
use crate::plan::PathContent;

/// What a container needs with a read-only root file system, and does not have.
#[derive(Debug, Default)]
struct Needs {
    /// Volumes, and where each is mounted.
    mounts: Vec<(Value, Value)>,
    /// What fills them before.
    init: Vec<Value>,
    /// Variables.
    env: Vec<Value>,
    /// What cannot be given, and why.
    obstacles: Vec<String>,
}

/// Sets the flag where it is known what is written, or where that does not matter.
pub(super) fn read_only(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let Some(at) = finding.container.as_deref() else { return };
    match lockable(mender, at) {
        Ok(needs) => lock(mender, at, needs, "FS001"),
        Err(why) => {
            let message = format!("{}{why}", mender.name(finding));
            mender.refuses("FS001", message);
        }
    }
}

/// Moves the flag from the pod to the next container that may have it; whether there was one.
pub(super) fn lock_next(mender: &mut Mender<'_>) -> bool {
    let says_nothing = |one: &Value| field::value(one, "securityContext.readOnlyRootFilesystem").is_none();
    let places: Vec<String> =
        mender.containers().filter(|(_, one)| says_nothing(one)).map(|(at, _)| at).collect();
    let next = places.into_iter().find_map(|at| Some((lockable(mender, &at).ok()?, at)));
    let Some((needs, at)) = next else { return false };
    lock(mender, &at, needs, "FS021");
    true
}

/// What the container at `at` needs so that it can have the flag, or why it may not.
fn lockable(mender: &Mender<'_>, at: &str) -> Result<Needs, String> {
    let container = mender.at(at);
    let image = mender.image(container);
    let needs = image.map(|image| needs(mender, at, image)).unwrap_or_default();
    if mender.is_unsafe() {
        return Ok(needs);
    }
    let Some(image) = image else {
        let of = field::text(container, "image").unwrap_or_default();
        return Err(format!(
            "what {of:?} writes is not known: name it with `--image {of}=SOURCE`, or `--resolve`; `--unsafe` sets the flag all the same"
        ));
    };
    if !matches!(role(at, container), Role::App | Role::Sidecar) {
        return Err(
            "what it writes is not known, for it is no app: `--unsafe` sets the flag all the same".to_owned()
        );
    }
    if !runs_own(image, container) {
        return Err(
            "it starts another program than its image does, and what that writes is not known: `--unsafe` sets the flag all the same"
                .to_owned(),
        );
    }
    if needs.obstacles.is_empty() { Ok(needs) } else { Err(needs.obstacles.join("; ")) }
}

/// What is known of the image of an app whose own program the container at `at` starts.
pub(super) fn app_image<'a>(mender: &Mender<'a>, at: &str) -> Option<&'a Image> {
    let container = mender.at(at);
    let is_app = matches!(role(at, container), Role::App | Role::Sidecar);
    mender.image(container).filter(|image| is_app && runs_own(image, container))
}

/// Whether a container starts what its image does.
pub(super) fn runs_own(image: &Image, container: &Value) -> bool {
    let words = |of: &str| -> Vec<&str> {
        field::list(container, of).filter_map(|(_, word)| word.as_str()).collect()
    };
    image.is_started_by(&words("command"), &words("args"))
}

/// What the container at `at` needs by its image's manifest and does not have.
fn needs(mender: &Mender<'_>, at: &str, image: &Image) -> Needs {
    let mut needs = Needs::default();
    let own = mender.at(at);
    if image.manifest.needs_source() {
        let why =
            "containers of its source image prepare it, and the source is not named here: `kiln generate`";
        needs.obstacles.push(why.to_owned());
        return needs;
    }
    let hidden: Vec<String> = open_paths(mender, own, image)
        .filter(|(_, path)| matches!(path.volume, Volume::None))
        .map(|(_, path)| path.path.clone())
        .collect();
    if !hidden.is_empty() {
        needs.obstacles.push(format!(
            "it writes {}, where a volume would hide files of the image: harden it (`kiln harden`), and take that image",
            hidden.join(", ")
        ));
    }
    let Some(generated) = generated(image, own) else { return needs };
    let open: Vec<ImagePath> = open_paths(mender, own, image).map(|(at, _)| at).collect();
    let volumes = || field::list(&generated, "spec.volumes").map(|(_, volume)| volume);
    let app = generated.pointer("/spec/containers/0").unwrap_or(&Value::Null);
    for (_, mount) in field::list(app, "volumeMounts") {
        let (Some(name), Some(path)) = (mount.get("name"), field::text(mount, "mountPath")) else { continue };
        let Some(place) = image.canonical(path).filter(|place| open.contains(place)) else { continue };
        if let Some(other) = around(mender, own, image, &place) {
            needs.obstacles.push(format!("{path} must be writable, and what is mounted at {other} is not"));
        } else if mount.get("subPath").is_some() && image.origin == Origin::Planned {
            needs
                .obstacles
                .push(format!("only a hardened image can fill the volume at {path}: `kiln harden`"));
        } else if let Some(volume) = volumes().find(|volume| volume.get("name") == Some(name)) {
            needs.mounts.push((volume.clone(), mount.clone()));
        }
    }
    if needs.mounts.iter().any(|(_, mount)| mount.get("subPath").is_some()) {
        needs.init = field::list(&generated, "spec.initContainers").map(|(_, one)| one.clone()).collect();
    }
    let has = |name: Option<&Value>| field::list(own, "env").any(|(_, one)| one.get("name") == name);
    let env = field::list(app, "env").map(|(_, one)| one);
    needs.env = env.filter(|one| !has(one.get("name"))).cloned().collect();
    needs
}

/// Paths that the image's manifest says must be writable, and that are not with a read-only root file system.
fn open_paths<'i>(
    mender: &Mender<'_>,
    container: &Value,
    image: &'i Image,
) -> impl Iterator<Item = (ImagePath, &'i Path)> + use<'i> {
    let writable: Vec<ImagePath> = field::list(container, "volumeMounts")
        .filter(|(_, mount)| is_writable(mender, mount))
        .filter_map(|(_, mount)| image.canonical(field::text(mount, "mountPath")?))
        .collect();
    let needed = image.manifest.paths.iter().filter(|path| {
        !matches!(path.volume, Volume::None) || matches!(path.content, PathContent::Seed { .. })
    });
    needed
        .filter_map(|path| Some((path.image_path()?, path)))
        .filter(move |(at, _)| !writable.iter().any(|mount| at.is_within(mount)))
}

/// Whether a container can write through a mount: what it mounts is a volume of its own, or of the node.
pub(super) fn is_writable(mender: &Mender<'_>, mount: &Value) -> bool {
    if field::truth(mount, "readOnly") == Some(true) {
        return false;
    }
    let name = mount.get("name");
    match field::list(mender.spec(), "volumes").find(|(_, volume)| volume.get("name") == name) {
        // What says nothing is an `emptyDir`.
        Some((_, volume)) => volume
            .as_object()
            .and_then(|fields| fields.iter().find(|(key, value)| *key != "name" && !value.is_null()))
            .is_none_or(|(kind, _)| !FIXED_KINDS.contains(&kind.as_str())),
        None => field::list(mender.value, "spec.volumeClaimTemplates")
            .any(|(_, claim)| claim.pointer("/metadata/name") == name),
    }
}

/// The mount at `place` or around it, the image's links followed: it would be mounted twice, or could not be.
pub(super) fn around<'m>(
    mender: &'m Mender<'_>,
    container: &'m Value,
    image: &Image,
    place: &ImagePath,
) -> Option<&'m str> {
    let mounts = field::list(container, "volumeMounts").map(|(_, mount)| mount);
    mounts.filter_map(|mount| Some((mount, field::text(mount, "mountPath")?))).find_map(|(mount, path)| {
        let at = image.canonical(path)?;
        let bars = at == *place || (place.is_within(&at) && !is_writable(mender, mount));
        bars.then_some(path)
    })
}

/// The pod that kiln generates for the image, for its volumes.
fn generated(image: &Image, container: &Value) -> Option<Value> {
    let options = PodOptions {
        name: field::text(container, "name")?.to_owned(),
        image: field::text(container, "image")?.to_owned(),
        source: String::new(),
        source_image: String::new(),
        namespace: None,
        run_as: RunAs::Manifest,
        united: Vec::new(),
    };
    serde_json::to_value(pod(&image.manifest, &options)).ok()
}

/// Sets the flag, and gives what is needed with it.
fn lock(mender: &mut Mender<'_>, at: &str, needs: Needs, rule: &'static str) {
    let name = title(mender.at(at));
    let Some(container) = mender.at_mut(at) else { return };
    sub(container, "securityContext").insert("readOnlyRootFilesystem".to_owned(), json!(true));
    for variable in &needs.env {
        list(container, "env").push(variable.clone());
    }
    mender.locked.extend(field::text(mender.at(at), "name").map(str::to_owned));
    mender.did(rule, format!("{name}`readOnlyRootFilesystem: true`"));
    for variable in &needs.env {
        let variable = field::text(variable, "name").unwrap_or_default();
        mender.did(rule, format!("{name}the variable {variable}, as generated pods have it"));
    }
    give(mender, at, needs);
}

/// Adds the volumes and mounts that the image's manifest says it needs, and what fills them.
pub(super) fn missing(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let Some(at) = finding.container.as_deref() else { return };
    let Some(image) = mender.image(mender.at(at)) else { return };
    let needs = needs(mender, at, image);
    for why in &needs.obstacles {
        mender.leaves("FS002", format!("{}{why}", mender.name(finding)));
    }
    give(mender, at, needs);
}

/// Adds volumes, their mounts, and the init containers that fill them.
fn give(mender: &mut Mender<'_>, at: &str, mut needs: Needs) {
    let own = mender.at(at).clone();
    let container = field::text(&own, "name").unwrap_or_default();
    for (volume, mount) in needs.mounts {
        let path = field::text(&mount, "mountPath").unwrap_or_default().to_owned();
        let told = if must_persist(mender, &own, &path) {
            ", which the pod takes with it: its data needs a claim"
        } else {
            ""
        };
        let name = add_volume(mender, container, volume.clone());
        let init = needs.init.iter_mut().filter_map(|one| one.get_mut("volumeMounts")?.as_array_mut());
        for mount in init.flatten().filter(|mount| mount.get("name") == volume.get("name")) {
            rename(mount, &name);
        }
        add_mount(mender, at, mount, &name);
        mender.did("FS002", format!("{}an `emptyDir` at {path}{told}", title(&own)));
    }
    for one in &mut needs.init {
        as_app(one, &own);
    }
    // Before the app, and before whatever starts with it.
    let index = at.strip_prefix("/initContainers/").and_then(|index| index.parse().ok()).unwrap_or(0);
    let Some(spec) = mender.spec_mut().filter(|_| !needs.init.is_empty()) else { return };
    let all = list(spec, "initContainers");
    for mut one in needs.init.into_iter().rev() {
        let taken: Vec<&str> = all.iter().filter_map(|one| field::text(one, "name")).collect();
        let name = free(field::text(&one, "name").unwrap_or_default(), container, &taken);
        rename(&mut one, &name);
        all.insert(usize::min(index, all.len()), one);
    }
    mender.did("FS005", format!("{}an init container fills its volumes", title(&own)));
}

/// Whether what `container` writes at `path` must outlive the pod.
fn must_persist(mender: &Mender<'_>, container: &Value, path: &str) -> bool {
    let Some(image) = mender.image(container) else { return false };
    let place = image.canonical(path);
    let mut paths = image.manifest.paths.iter();
    paths.any(|known| known.persistence == Persistence::Persistent && known.image_path() == place)
}

/// Gives an init container the user of the app, and its way to the image.
fn as_app(init: &mut Value, app: &Value) {
    let Some(init) = init.as_object_mut() else { return };
    if let Some(policy) = field::value(app, "imagePullPolicy") {
        init.insert("imagePullPolicy".to_owned(), policy.clone());
    }
    for name in ["runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile"] {
        if let Some(own) = field::value(app, &format!("securityContext.{name}")) {
            sub(init, "securityContext").insert(name.to_owned(), own.clone());
        }
    }
}

/// Adds a volume for `container`, under a name that no other has; which that is.
pub(super) fn add_volume(mender: &mut Mender<'_>, container: &str, mut volume: Value) -> String {
    let taken: Vec<&str> =
        field::list(mender.spec(), "volumes").filter_map(|(_, one)| field::text(one, "name")).collect();
    let name = free(field::text(&volume, "name").unwrap_or_default(), container, &taken);
    rename(&mut volume, &name);
    if let Some(spec) = mender.spec_mut() {
        list(spec, "volumes").push(volume);
    }
    name
}

/// Mounts the volume `name` in the container at `at`.
pub(super) fn add_mount(mender: &mut Mender<'_>, at: &str, mut mount: Value, name: &str) {
    rename(&mut mount, name);
    if let Some(container) = mender.at_mut(at) {
        list(container, "volumeMounts").push(mount);
    }
}

fn rename(one: &mut Value, name: &str) {
    if let Some(fields) = one.as_object_mut() {
        fields.insert("name".to_owned(), json!(name));
    }
}

/// `name`, or one with the container's name in it where that is taken: a DNS label.
fn free(name: &str, container: &str, taken: &[&str]) -> String {
    let own = format!("{name}-{container}");
    let hash = BlobDigest::of(own.as_bytes()).hex();
    let short = format!("w-{}", hash.get(..16).unwrap_or(&hash));
    let own = if own.len() <= MAX_LABEL { dns_label(&own) } else { short.clone() };
    [name.to_owned(), own].into_iter().find(|name| !taken.contains(&name.as_str())).unwrap_or(short)
}

/// Refuses the flag where what was mended later took away what it needs.
pub(super) fn recheck(mender: &mut Mender<'_>) {
    if mender.is_unsafe() {
        return;
    }
    let locked = std::mem::take(&mut mender.locked);
    let mut open = Vec::new();
    for (_, container) in mender.containers() {
        let is_locked =
            field::text(container, "name").is_some_and(|name| locked.iter().any(|one| one == name));
        let Some(image) = mender.image(container).filter(|_| is_locked) else { continue };
        open.extend(
            open_paths(mender, container, image)
                .map(|(_, path)| format!("{}{} must be writable, and is not", title(container), path.path)),
        );
    }
    for message in open {
        mender.refuses("FS001", message);
    }
}
