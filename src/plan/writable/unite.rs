//! All reasons for one path made one entry: canonical, placed, sized, owned.
//!
//! Weighs reasons; finds none of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{content, is_log_link};
use super::seeding::{Maker, Obstacle, maker};
use super::volumes::LOWERING;
use super::{Candidate, Inputs, place};
use crate::evidence::{Confidence, EvidenceKind};
use crate::finding::{Code, Finding};
use crate::path::ImagePath;
use crate::plan::access::{IMPLIED, Permissions};
use crate::plan::{PathContent, WritablePath};
use crate::recipe::Purpose;
use crate::seed;

/// A path that is declared.
struct Declared {
    content: PathContent,
    maker: Maker,
    group: Vec<Candidate>,
}

impl Declared {
    /// Whether a volume is mounted there.
    fn is_mounted(&self) -> bool {
        self.maker.is_filled() || self.content.hides_nothing()
    }
}

/// One entry per canonical path, by path; and the directories that lowered scripts made in those, which are copied to them.
/// The helper's table has `left` bytes for them.
pub(super) fn unite(
    inputs: &Inputs<'_>,
    candidates: Vec<Candidate>,
    mut left: usize,
    findings: &mut Vec<Finding>,
) -> (Vec<WritablePath>, Vec<ImagePath>) {
    let mut groups: BTreeMap<ImagePath, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates.into_iter().filter_map(|candidate| canonical(inputs, candidate)) {
        groups.entry(candidate.directory.clone()).or_default().push(candidate);
    }
    let mut declared: BTreeMap<ImagePath, Declared> = BTreeMap::new();
    for (path, group) in groups {
        if let Some(content) = admit(inputs, &path, &group, findings) {
            let maker = maker(inputs, &path, &content, &group);
            declared.insert(path, Declared { content, maker, group });
        }
    }
    let prepared = fold_prepared(inputs, &mut declared);
    fold_into_parents(&mut declared);
    hold_mount_points(inputs, &mut declared);
    let mut out = Vec::new();
    for (path, mut declared) in declared {
        declared.maker = declared.maker.within(&mut left, &declared.content);
        report(inputs, &path, &declared, findings);
        if !declared.maker.is_filled()
            && let Some(lost) = prepared.iter().find(|made| made.is_within(&path))
        {
            let message = format!(
                "the script that was lowered makes directories in it, {lost} among them, and they are more than kiln copies at a start"
            );
            findings.push(Finding::new(Code::WritableHidesDirectories, &path, message));
        }
        out.push(entry(inputs, path, declared));
    }
    (out, prepared)
}

/// The candidate with symbolic links of the image followed; `None` where nothing of the image is written.
pub(super) fn canonical(inputs: &Inputs<'_>, candidate: Candidate) -> Option<Candidate> {
    let rootfs = inputs.rootfs;
    let mut candidate = candidate;
    if candidate.file.is_none() {
        let directory = rootfs.canonicalize_missing(&candidate.directory)?;
        let is_other = rootfs.node(&directory).is_some() && !rootfs.is_directory(&directory);
        if is_other {
            candidate.file = Some(directory.clone());
            candidate.directory = directory.parent()?;
        } else {
            candidate.directory = directory;
        }
    } else if let Some(file) = &candidate.file {
        let directory = rootfs.canonicalize_missing(&candidate.directory)?;
        let mut file = directory.child(file.name());
        if rootfs.node(&file).is_some() && !is_log_link(inputs, &file) {
            file = rootfs.canonicalize_missing(&file)?;
        }
        candidate.directory = file.parent()?;
        candidate.file = Some(file);
    }
    if place::is_kernel(&candidate.directory) {
        return None;
    }
    // What the app makes itself needs only a place to be made in.
    if candidate.made_by_app
        && rootfs.node(&candidate.directory).is_none()
        && let Some(parent) = candidate.directory.parent()
        && rootfs.is_directory(&parent)
        && !place::is_shared(&parent)
        && place::refuse(inputs, &parent).is_none()
        && content(inputs, &parent).hides_nothing()
    {
        candidate.directory = parent;
    }
    Some(candidate)
}

/// What the image has at `path`, if it is to be declared; otherwise says why not where it matters.
fn admit(
    inputs: &Inputs<'_>,
    path: &ImagePath,
    group: &[Candidate],
    findings: &mut Vec<Finding>,
) -> Option<PathContent> {
    let refusal = place::refuse(inputs, path);
    let content = content(inputs, path);
    let has_content = matches!(content, PathContent::Seed { .. });
    // Reasons that count even where they cost something.
    let strong: Vec<&Candidate> =
        group.iter().filter(|candidate| !candidate.is_weak() && !candidate.optional).collect();
    if strong.is_empty() {
        let optional = group.iter().find(|candidate| candidate.optional);
        if refusal.is_none() && !has_content && (optional.is_none() || content != PathContent::Absent) {
            return Some(content);
        }
        if let Some(optional) = optional.filter(|_| content != PathContent::Absent) {
            findings.push(Finding::new(
                Code::WritableUndeclared,
                path,
                format!(
                    "{} lets the software write there ({}), but does not say that it must; `--writable {path}` declares it",
                    optional.evidence.source, optional.evidence.detail
                ),
            ));
        }
        return None;
    }
    let Some(refusal) = refusal else { return Some(content) };
    for candidate in strong {
        let because = format!("{} ({})", candidate.evidence.source, candidate.evidence.detail);
        match candidate.file.as_ref().filter(|file| !is_log_link(inputs, file)) {
            Some(file) => findings.push(Finding::new(
                Code::WritableFile,
                file,
                format!("{because} writes it, but its directory cannot be a volume: {refusal}; let it be written elsewhere"),
            )),
            None if candidate.file.is_some() => {}
            None => findings.push(Finding::new(
                Code::WritableRefused,
                path,
                format!("{because} needs it to be writable, but it cannot be a volume: {refusal}; let it be written elsewhere"),
            )),
        }
    }
    None
}

/// Drops directories that only a lowered script made, below another declared path: the helper makes them there, as the script
/// did. Gives them.
fn fold_prepared(inputs: &Inputs<'_>, declared: &mut BTreeMap<ImagePath, Declared>) -> Vec<ImagePath> {
    if inputs.traced.is_none() || inputs.filler.is_none() {
        return Vec::new();
    }
    let is_prepared = |own: &Declared| {
        own.content == PathContent::Absent
            && own.group.iter().all(|candidate| candidate.evidence.source == LOWERING)
    };
    let takes = |path: &ImagePath| {
        declared.get(path).is_some_and(|above| {
            above.is_mounted()
                && above.content != PathContent::LogLinks
                && !is_prepared(above)
                && !place::is_shared(path)
        })
    };
    let prepared = declared.iter().filter(|(_, own)| is_prepared(own)).map(|(path, _)| path);
    let folded: Vec<(ImagePath, ImagePath)> = prepared
        .filter_map(|path| Some((path.clone(), path.ancestors().find(|above| takes(above))?)))
        .collect();
    let mut out = Vec::new();
    for (path, above) in folded {
        // What the helper cannot make there stays a volume of its own.
        if let Some(above_it) = declared.get_mut(&above)
            && let Some(maker) = above_it.maker.with_directory(inputs, &above, &path)
        {
            above_it.maker = maker;
            declared.remove(&path);
            out.push(path);
        }
    }
    out
}

/// Drops paths that the app makes below another declared one, and those that are copied with it; their evidence goes to
/// that one.
fn fold_into_parents(declared: &mut BTreeMap<ImagePath, Declared>) {
    let foldable: Vec<(ImagePath, ImagePath, bool)> = declared
        .iter()
        .filter(|(_, own)| own.is_mounted())
        .filter_map(|(path, own)| {
            // What a run wrote in a directory that the image does not have, and no lowered script made, was made in it.
            let is_made_in_runs = |candidate: &Candidate| {
                own.content == PathContent::Absent
                    && candidate.evidence.kind == EvidenceKind::Trace
                    && candidate.evidence.source != LOWERING
            };
            let is_made = own
                .group
                .iter()
                .all(|candidate| candidate.made_by_app || candidate.is_weak() || is_made_in_runs(candidate));
            let parent =
                path.ancestors().find(|above| declared.get(above).is_some_and(Declared::is_mounted))?;
            // The helper makes one tree of both, of what is there to be copied.
            let is_there = own.content != PathContent::Absent;
            let is_copied = is_there && own.maker.is_filled() && declared.get(&parent)?.maker.is_filled();
            (is_made || is_copied).then(|| (path.clone(), parent, is_made))
        })
        .collect();
    // Deepest first, so that evidence climbs all the way.
    for (path, parent, is_made) in foldable.into_iter().rev() {
        if let Some(Declared { group, .. }) = declared.remove(&path)
            && let Some(above) = declared.get_mut(&parent)
        {
            // The mode is the child's. So is the purpose of what the app makes as it likes; what has a volume no more is kept
            // in the parent's, which must be as lasting and as large.
            above.group.extend(group.into_iter().map(|candidate| Candidate {
                purpose: candidate.purpose.filter(|_| !is_made),
                mode: None,
                ..candidate
            }));
        }
    }
}

/// Makes room for what is new in the image below a path that is copied, and is copied with it: mount points of other volumes,
/// and the working directory.
fn hold_mount_points(inputs: &Inputs<'_>, declared: &mut BTreeMap<ImagePath, Declared>) {
    let working_dir = ImagePath::parse(inputs.working_dir.as_bytes()).ok();
    let working_dir = working_dir.and_then(|path| inputs.rootfs.canonicalize_missing(&path));
    let standing: BTreeSet<ImagePath> = declared.keys().cloned().chain(working_dir).collect();
    for path in standing.iter().filter(|path| inputs.rootfs.node(path).is_none()) {
        for above in path.ancestors() {
            let around = declared.get_mut(&above).filter(|above| above.maker.is_filled());
            let Some(around) = around else { continue };
            around.maker = match around.maker.with_directory(inputs, &above, path) {
                Some(maker) => maker,
                None if around.content.hides_nothing() => Maker::Kubelet,
                None if !seed::takes(path) => Maker::Nobody(Obstacle::Odd(path.clone())),
                None => Maker::Nobody(Obstacle::Entries),
            };
        }
    }
}

/// Says what a person must know of a declared path.
fn report(
    inputs: &Inputs<'_>,
    path: &ImagePath,
    Declared { content, maker, group }: &Declared,
    findings: &mut Vec<Finding>,
) {
    match content {
        PathContent::Seed { files, bytes } => {
            if let Maker::Nobody(obstacle) = maker {
                findings.push(Finding::new(
                    Code::WritableHasContent,
                    path,
                    format!(
                        "it must be writable and has {files} files with {bytes} bytes in the image, which a volume would hide: {obstacle}; the pod spec mounts none; mount one yourself that holds the content, or let the app write elsewhere"
                    ),
                ));
            }
        }
        PathContent::LogLinks => {
            for candidate in group {
                if let Some(file) = candidate.file.as_ref().filter(|file| !is_log_link(inputs, file)) {
                    findings.push(Finding::new(
                        Code::WritableFile,
                        file,
                        format!(
                            "{} ({}) writes it, but its directory holds links to the log streams, which a volume would hide; link it to a stream too, or let it be written elsewhere",
                            candidate.evidence.source, candidate.evidence.detail
                        ),
                    ));
                }
            }
        }
        PathContent::Empty if !place::is_shared(path) && !maker.is_filled() => {
            let hidden: Vec<String> = inputs
                .rootfs
                .children(path)
                .filter(|(child, _)| inputs.rootfs.is_directory(child))
                .map(|(child, _)| String::from_utf8_lossy(child.name()).into_owned())
                .collect();
            if !hidden.is_empty() {
                findings.push(Finding::new(
                    Code::WritableHidesDirectories,
                    path,
                    format!(
                        "the volume hides empty directories of the image: {}; an app that does not make them itself needs `--writable` for each",
                        crate::path::Escaped::new(hidden.join(", ").as_bytes())
                    ),
                ));
            }
        }
        PathContent::Empty | PathContent::Absent => {}
    }
}

fn entry(inputs: &Inputs<'_>, path: ImagePath, declared: Declared) -> WritablePath {
    let Declared { content, maker, group } = declared;
    let purposes = || group.iter().filter_map(|candidate| candidate.purpose);
    let placed = place::purpose(&path);
    let purpose = purposes().max().unwrap_or(placed);
    let size_mib = group.iter().filter_map(|candidate| candidate.size_mib).max().unwrap_or_else(|| {
        purposes()
            .chain(place::is_shared(&path).then_some(placed))
            .map(default_size_mib)
            .max()
            .unwrap_or_else(|| default_size_mib(placed))
    });
    let size_mib = u64::from(size_mib.clamp(1, 1 << 20));
    // What is copied, and as much again for what the app makes of it.
    let size_mib = match maker {
        Maker::Filler { room, .. } => size_mib.max(room.div_ceil(1 << 20).saturating_mul(2)),
        Maker::Kubelet | Maker::Nobody(_) => size_mib,
    };
    let size_mib = size_mib.next_power_of_two();
    let memory = match purpose {
        Purpose::Run => size_mib <= MEMORY_MIB,
        // Scratch files of software that nobody described may be large, and memory counts to the pod's limit.
        Purpose::Tmp => !inputs.recipes.is_empty() && size_mib <= MEMORY_MIB,
        _ => false,
    };
    let (uid, gid, mode) = if inputs.rootfs.node(&path).is_some() {
        // A directory that no layer has an entry for is made by runtimes as root's.
        let found = inputs.rootfs.entry(&path).map_or(IMPLIED, Permissions::of);
        // Only a mount point is the user's: what stays in view keeps its owner.
        if maker.is_filled() {
            (inputs.user.uid, inputs.user.gid, found.mode | 0o700)
        } else if !content.hides_nothing() || inputs.user.bits(found) & 0o3 == 0o3 {
            (found.uid, found.gid, found.mode)
        } else {
            (inputs.user.uid, inputs.user.gid, found.mode & 0o1777 | 0o700)
        }
    } else {
        let wanted = group.iter().filter_map(|candidate| candidate.mode).max();
        let default = if placed == Purpose::Tmp { 0o1777 } else { 0o755 };
        (inputs.user.uid, inputs.user.gid, wanted.unwrap_or(default))
    };
    let mode = mode & MOUNT_POINT_BITS;
    let mut evidence: Vec<_> = group.iter().map(|candidate| candidate.evidence.clone()).collect();
    evidence.sort();
    evidence.dedup();
    WritablePath {
        path,
        purpose,
        content,
        seeded: maker.is_filled(),
        uid,
        gid,
        mode,
        size_limit: size_mib << 20,
        memory,
        confidence: group.iter().map(|candidate| candidate.confidence).max().unwrap_or(Confidence::Possible),
        evidence,
    }
}

/// What a mount point may have: units and tmpfiles.d ask for setgid directories, and nothing in the image is setuid or
/// setgid. The sticky bit stays, for it only takes rights away.
const MOUNT_POINT_BITS: u16 = 0o1777;

/// Largest directory of run-time or scratch files held in memory, MiB.
const MEMORY_MIB: u64 = 64;

/// Size limits where no recipe has a better one, MiB: a limit on disk evicts the pod that goes over it, so
/// they are generous where data grows and small where only names and pids are kept.
fn default_size_mib(purpose: Purpose) -> u32 {
    match purpose {
        Purpose::Run | Purpose::Config => 16,
        Purpose::Tmp => 64,
        Purpose::Cache | Purpose::Log => 256,
        Purpose::State => 1024,
    }
}
