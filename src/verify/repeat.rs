//! H6: the same source, options and kiln give the same image.
//!
//! Hardens the source again, into nothing, and compares digests. Adds to H2 and H10 what only the source tells.

use super::facts::Facts;
use super::needs::{Loss, Losses, Need};
use super::recorded::{NotGiven, Recorded, RecordedRecipe};
use super::seeds::BY_SOURCE;
use super::{Against, FoundSource};
use serde_json::json;

use crate::digest::{BlobDigest, ImageId};
use crate::elf::search::Search;
use crate::finding::Code;
use crate::harden::record::{self, OPTIONS_KEY, PLAN_KEY, SOURCE_KEY, VERSION_KEY};
use crate::harden::{HardenError, Hardened};
use crate::image::json::canonical_bytes;
use crate::options::Options;
use crate::path::{Escaped, ImagePath};
use crate::plan::Plan;
use crate::promise::{Promise, Proof};
use crate::rootfs::Rootfs;
use crate::seed::HELPER_PATH;
use crate::source::{PlatformImage, Source, SourceImage};

/// Why a hardening cannot be repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrepeatable {
    /// No label, or not of kiln's form.
    #[error("the image records no options that this kiln can read")]
    NoOptions,
    /// Another kiln may decide otherwise.
    #[error("the image was hardened by kiln {0}, and this is kiln {version}", version = env!("CARGO_PKG_VERSION"))]
    Version(Escaped),
    /// Recipes are recorded by digest only.
    #[error("the recipe `{name}` ({digest}) is needed: give it with --recipe FILE")]
    Recipe {
        /// Its short name.
        name: Escaped,
        /// Digest of its file.
        digest: BlobDigest,
    },
    /// The profile is recorded by digest only.
    #[error("the profile {0} is needed: give it with --profile FILE")]
    Profile(BlobDigest),
    /// It was made from another image.
    #[error("it was made from other layers than those of the image that --against names")]
    OtherSource,
    /// The recorded options are refused for that source.
    #[error("the source cannot be hardened with the recorded options: {0}")]
    Refused(String),
}

/// The options to repeat a hardening with.
pub fn options(facts: &Facts<'_>, against: &Against<'_>) -> Result<Options, Unrepeatable> {
    let label = |key: &str| facts.image.config.labels.get(key).map(String::as_str);
    let recorded = label(OPTIONS_KEY).and_then(|text| Recorded::parse(text).ok());
    let recorded = recorded.ok_or(Unrepeatable::NoOptions)?;
    let version = label(VERSION_KEY).unwrap_or_default();
    if version != env!("CARGO_PKG_VERSION") {
        return Err(Unrepeatable::Version(Escaped::new(version.as_bytes())));
    }
    recorded.complete(against.recipes, against.profile).map_err(|not_given| match not_given {
        NotGiven::Recipe(RecordedRecipe { name, digest }) => {
            Unrepeatable::Recipe { name: Escaped::new(name.as_bytes()), digest }
        }
        NotGiven::Profile(digest) => Unrepeatable::Profile(digest),
    })
}

/// The image of `source` that has the layers that the image says it was made from.
pub fn find_source(facts: &Facts<'_>, source: &dyn Source) -> Result<Option<FoundSource>, HardenError> {
    for PlatformImage { platform, .. } in source.platforms().map_err(HardenError::Source)?.linux {
        let image = source.image(Some(&platform)).map_err(HardenError::Source)?;
        let chain = record::chain_id(&image.config.diff_ids).to_string();
        if facts.document().is_some_and(|manifest| manifest.source_chain_id == chain) {
            return Ok(Some(FoundSource { platform, digest: record::source_digest(&image) }));
        }
    }
    Ok(None)
}

/// Checks H6: `again` is what the repetition made, `image_id` names its config.
pub fn check(facts: &Facts<'_>, again: &Hardened, image_id: ImageId) -> Proof {
    let mut proof = Proof::new(Promise::Reproducible);
    let image = facts.image;
    if !is_named(facts, &again.image) {
        // In another encoding the source has another name, which stands in the labels; all else is the same.
        let mut config = image.config.raw.clone();
        if let Some(label) =
            config.pointer_mut("/config/Labels").and_then(|labels| labels.get_mut(SOURCE_KEY))
        {
            *label = json!(record::source_digest(&again.image));
        }
        if ImageId::of(&canonical_bytes(&config)) == image_id {
            proof.prove("config and layers come out again but for the name of the source");
            return proof;
        }
    }
    if image.image_id != image_id {
        proof.break_at("config", format!("expected {}, found {}", image_id, image.image_id));
    }
    for (number, (now, then)) in image.layers.iter().zip(&again.layers).enumerate() {
        if now.diff_id != then.diff_id {
            proof.break_at(
                format!("layer {number}"),
                format!("expected {}, found {}", then.diff_id, now.diff_id),
            );
        }
    }
    if image.layers.len() != again.layers.len() {
        proof.break_at("layers", format!("expected {}, found {}", again.layers.len(), image.layers.len()));
    }
    match image.manifest_digest {
        _ if !proof.breaches.is_empty() => {}
        Some(digest) if digest == again.digest => proof.prove(format!("{digest} comes out again")),
        // Config and layers are the same: another tool stored them in its own way.
        Some(digest) => proof.prove(format!(
            "config {} comes out again; the manifest {digest} was written by another tool, kiln's is {}",
            image.image_id, again.digest
        )),
        None => {
            proof
                .prove(format!("config {} comes out again; there is no manifest to compare", image.image_id));
        }
    }
    proof
}

/// Whether the labels name `source` as it is stored now.
fn is_named(facts: &Facts<'_>, source: &SourceImage) -> bool {
    facts.image.config.labels.get(SOURCE_KEY) == Some(&record::source_digest(source).to_string())
}

/// Adds to H10 what the source tells.
pub fn provenance(facts: &Facts<'_>, source: &SourceImage, again: &Plan, proof: &mut Proof) {
    if is_named(facts, source) {
        proof.prove("the source is the one that the labels name");
    } else {
        proof.leave_open(format!(
            "the labels name another source than {}, which has the layers that the image was made from: it is stored in another way than then, or the label lies",
            record::source_digest(source)
        ));
    }
    let expected = again.digest().to_string();
    match facts.image.config.labels.get(PLAN_KEY) {
        Some(found) if *found == expected => proof.prove(format!("plan {expected}")),
        Some(found) => {
            proof.break_at(
                PLAN_KEY,
                format!("expected {expected}, found `{}`", Escaped::new(found.as_bytes())),
            );
        }
        None => {}
    }
}

/// Whether the command of the source that fills volumes is the one that this source leads to: settles what H9 left open.
pub fn seeding(facts: &Facts<'_>, again: &Plan, proof: &mut Proof) {
    let open = proof.open.len();
    proof.open.retain(|open| open != BY_SOURCE);
    if proof.open.len() == open {
        return;
    }
    let found = facts.document().and_then(|manifest| manifest.seeding.as_ref()).map(|seeding| &seeding.argv);
    if found == again.seeding.as_ref() {
        proof.prove("content is copied to volumes by the command of the source image that kiln makes for it");
    } else {
        proof.break_at(
            ImagePath::literal(HELPER_PATH),
            "the manifest names another command of the source image than the one that copies to volumes what it should",
        );
    }
}

/// Tells what was lost from what led nowhere in the source already: settles what H2 left open.
pub fn needs(facts: &Facts<'_>, losses: &Losses, source: &Rootfs, again: &Plan, proof: &mut Proof) {
    proof.open.clear();
    let before = Search::new(source, &facts.loader);
    let reported = |code: Code, subject: &ImagePath| {
        again.findings.iter().any(|finding| finding.code == code && finding.subject == subject.to_string())
    };
    let was = Facts::new(facts.image, source, facts.manifest);
    let scripts_reported = again.findings.iter().any(|finding| finding.code == Code::ScriptNotDirect);
    let (mut known, mut told) = (0u64, 0u64);
    for loss in &losses.other {
        let Loss { by, need } = loss;
        let found: Vec<ImagePath> = match need {
            Need::Target => source.resolve(by).map(|found| found.path).into_iter().collect(),
            Need::Library(name) => {
                let needs = before.needs_of(by).into_iter().filter(|need| need.name == *name);
                needs.flat_map(|need| need.found).map(|found| found.path).collect()
            }
            Need::Interpreter(word) => {
                let program = was.program(word).and_then(|path| source.resolve(&path));
                program.map(|found| found.path).into_iter().collect()
            }
        };
        // A directory that no layer has an entry for is there only while something is in it.
        let had_entry = |path: &&ImagePath| source.node(path).is_some_and(|node| node.name.is_some());
        match found.iter().find(had_entry) {
            None => known += 1,
            Some(path) if reported(Code::StripBreaks, path) || reported(Code::ScriptStripped, by) => {
                told += 1;
            }
            Some(_) if matches!(need, Need::Interpreter(_)) && scripts_reported => told += 1,
            Some(path) => proof.break_at(by, format!("{}: the source has {path}", loss.text())),
        }
    }
    proof.prove(format!("of what leads nowhere {known} did in the source, and {told} are in the report"));
}
