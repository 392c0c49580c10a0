//! What the hardened image says of itself: config, labels, annotations, the manifest inside.
//!
//! Puts into words what was decided; decides nothing. Digests, never names: the same image has one record.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::{BlobDigest, DiffId};
use crate::image::{ConfigChange, FinishedImage, FinishedLayer, History};
use crate::manifest::{self, Manifest, ManifestContext};
use crate::options::Options;
use crate::path::ImagePath;
use crate::plan::{Addition, Made, Plan};
use crate::source::SourceImage;

/// Where an image carries its writable manifest.
pub const MANIFEST_PATH: &str = ".kiln/manifest.json";

/// Label and annotation: the kiln that made the image.
pub const VERSION_KEY: &str = "dev.kiln.version";
/// Label and annotation: digest of the source's manifest, or of its config where it has none.
pub const SOURCE_KEY: &str = "dev.kiln.source.digest";
/// Label and annotation: options in effect, as words of a shell.
pub const OPTIONS_KEY: &str = "dev.kiln.options";
/// Label and annotation: digest of the plan.
pub const PLAN_KEY: &str = "dev.kiln.plan.digest";

/// Label and annotation: digest of the writable manifest inside, as it lies at [`MANIFEST_PATH`].
pub const MANIFEST_KEY: &str = "dev.kiln.manifest.digest";
/// All that kiln says of an image in labels and annotations.
pub const ANNOTATED: [&str; 5] = [VERSION_KEY, SOURCE_KEY, OPTIONS_KEY, PLAN_KEY, MANIFEST_KEY];

/// Largest writable manifest read back: a hundred times the largest that was written.
const MAX_MANIFEST: u64 = 4 << 20;

/// How many bytes of the file at `path` pass 1 must keep to read what an image says of itself.
pub fn wanted(path: &ImagePath) -> Option<u64> {
    (path.as_bytes() == MANIFEST_PATH.as_bytes()).then_some(MAX_MANIFEST)
}

/// Begins annotations that name the image's base (OCI image spec, annotations.md).
const BASE_PREFIX: &str = "org.opencontainers.image.base.";
/// Digest of the base's manifest.
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The writable manifest of the image that `plan` makes.
pub fn manifest(image: &SourceImage, plan: &Plan, options: &Options) -> Manifest {
    let context = ManifestContext {
        // The layers' own name: equal for every encoding of the same layers, so that what is in the image is too.
        source_chain_id: chain_id(&image.config.diff_ids).to_string(),
        options: manifest::Options {
            level: plan.level,
            keep: options.keep.clone(),
            strip: options.strip.clone(),
            writable: options.writable.iter().map(ToString::to_string).collect(),
            user: options.user.clone(),
            recipes: options.recipes.iter().map(|user| user.digest.to_string()).collect(),
            profile: options.profile.as_ref().map(|own| own.digest.to_string()),
        },
        working_dir: plan
            .entrypoint
            .working_dir
            .as_ref()
            .map_or_else(|| image.config.working_dir.clone(), ImagePath::text),
        volumes: image.config.volumes.clone(),
    };
    Manifest::new(plan, &context)
}

/// Puts the manifest into kiln's own layer.
pub fn embed(plan: &mut Plan, manifest: &Manifest) {
    let path = ImagePath::literal(MANIFEST_PATH);
    let directory = path.parent().unwrap_or_else(ImagePath::root);
    if !plan.additions.iter().any(|addition| addition.path == directory) {
        plan.additions.push(Addition { path: directory, made: Made::Directory, mode: 0o555, uid: 0, gid: 0 });
    }
    let text: Arc<[u8]> = Arc::from(manifest.render().into_bytes());
    plan.additions.push(Addition { path, made: Made::File(text), mode: 0o444, uid: 0, gid: 0 });
    plan.additions.sort_by(|a, b| a.path.cmp(&b.path));
}

/// Config and manifest of the new image. `unchanged` says that the source's layers are its first, bit for bit.
pub fn image(
    source: &SourceImage,
    plan: &Plan,
    options: &Options,
    layers: Vec<FinishedLayer>,
    unchanged: bool,
) -> FinishedImage {
    let config = &source.config;
    let record = provenance(source, plan, options);
    let lowered = !plan.entrypoint.lowerings.is_empty();
    let mut env = config.env.clone();
    for (name, value) in &plan.entrypoint.env {
        env.retain(|(other, _)| other != name);
        env.push((name.clone(), value.clone()));
    }
    let change = ConfigChange {
        user: format!("{}:{}", plan.user.uid, plan.user.gid),
        // One list: what a pod's `args` would replace is gone with the script that took them.
        entrypoint: if lowered { plan.entrypoint.argv.clone() } else { config.entrypoint.clone() },
        cmd: if lowered { Vec::new() } else { config.cmd.clone() },
        env,
        working_dir: plan.entrypoint.working_dir.as_ref().map(ImagePath::text),
        volumes_removed: !config.volumes.is_empty(),
        healthcheck_removed: plan.healthcheck_dropped.is_some(),
        labels_removed: Some(BASE_PREFIX.into()),
        labels: record.clone(),
        diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
        history_added: Some(History {
            created: config.created.clone(),
            created_by: Some("kiln harden".into()),
            comment: Some("mount points, accounts and the writable manifest".into()),
            author: None,
            empty_layer: false,
        }),
    };
    let mut annotations: BTreeMap<String, String> = source
        .annotations
        .iter()
        // What the source says of its own base is not true of layers that were written again, and where they were
        // not, the source itself is the base.
        .filter(|(key, _)| !key.starts_with(BASE_PREFIX))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    annotations.extend(record);
    if let (true, Some(digest)) = (unchanged, source.manifest_digest) {
        annotations.insert(BASE_DIGEST.into(), digest.to_string());
    }
    FinishedImage::new(config.platform.clone(), config.derive(&change), layers, &annotations)
}

fn provenance(source: &SourceImage, plan: &Plan, options: &Options) -> BTreeMap<String, String> {
    let path = ImagePath::literal(MANIFEST_PATH);
    let inside = plan.additions.iter().find(|addition| addition.path == path);
    let Some(manifest) = inside.and_then(Addition::content) else {
        unreachable!("the manifest is put into the plan before the image is recorded");
    };
    [
        (VERSION_KEY, env!("CARGO_PKG_VERSION").to_owned()),
        (SOURCE_KEY, source_digest(source).to_string()),
        (OPTIONS_KEY, options.canonical()),
        (PLAN_KEY, plan.digest().to_string()),
        (MANIFEST_KEY, BlobDigest::of(manifest).to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// What names a source: its manifest, or its config where it has none.
pub fn source_digest(source: &SourceImage) -> BlobDigest {
    source.manifest_digest.unwrap_or_else(|| BlobDigest::from(source.image_id))
}

/// What the index of several platforms says of itself: the source's own annotations but for its base, and the record.
/// Plans are the images'.
pub fn index_annotations(
    annotations: &BTreeMap<String, String>,
    source: BlobDigest,
    options: &Options,
) -> BTreeMap<String, String> {
    let kept = annotations.iter().filter(|(key, _)| !key.starts_with(BASE_PREFIX));
    let mut all: BTreeMap<_, _> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in [
        (VERSION_KEY, env!("CARGO_PKG_VERSION").to_owned()),
        (SOURCE_KEY, source.to_string()),
        (OPTIONS_KEY, options.canonical()),
    ] {
        all.insert(key.to_owned(), value);
    }
    all
}

/// The name of a stack of layers: OCI image spec, config.md, "Layer `ChainID`".
pub fn chain_id(diff_ids: &[DiffId]) -> DiffId {
    diff_ids
        .iter()
        .copied()
        .reduce(|chain, next| DiffId::of(format!("{chain} {next}").as_bytes()))
        .unwrap_or_else(|| DiffId::of(b""))
}
