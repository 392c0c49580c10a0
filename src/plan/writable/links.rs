//! Single files that are written where no volume can stand: each becomes a link to a place of kiln's own that can be written.
//!
//! Only where the app was watched, and did nothing to the file that a link does not stand for: it was not renamed, removed
//! or made a socket. Without that it is a finding, as anywhere else.

use std::collections::{BTreeMap, BTreeSet};

use super::candidate::evidence;
use super::content::is_log_link;
use super::place::Refusal;
use super::seeding::{BLOCK, Maker, between, code_by_name, is_code, measure};
use super::unite::canonical;
use super::{Candidate, Inputs, place};
use crate::evidence::{Confidence, EvidenceKind};
use crate::finding::{Code, Finding};
use crate::path::ImagePath;
use crate::plan::filler::Filler;
use crate::plan::{Link, PathContent, WritablePath};
use crate::recipe::Purpose;
use crate::rootfs::{Content, Kind};
use crate::seed;

/// Most files that become links: an app that writes more of them among its code needs another place for them.
const MAX_LINKS: usize = 64;

/// Room for what the app adds to them, MiB: some of them are logs.
const ROOM_MIB: u64 = 256;

/// Trees of which nothing becomes a link: programs and libraries look there for what is not the app's.
const NEVER: &[&str] =
    &["/.kiln", "/bin", "/lib", "/lib32", "/lib64", "/sbin", "/usr/bin", "/usr/lib", "/usr/sbin", "/boot"];

/// What is taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// By path.
    pub(super) links: Vec<Link>,
    /// Where they lead; `None` where there are none.
    pub(super) declared: Option<WritablePath>,
    /// Bytes that it takes in the helper's table, at the most.
    pub(super) table: usize,
}

/// Takes the files out of `candidates` that become links, and says so.
pub(super) fn take(
    inputs: &Inputs<'_>,
    candidates: &mut Vec<Candidate>,
    findings: &mut Vec<Finding>,
) -> Taken {
    let Some(traced) = inputs.traced.filter(|_| inputs.filler == Some(Filler::Helper)) else {
        return Taken::default();
    };
    let plain: BTreeMap<ImagePath, bool> =
        traced.written().map(|write| (write.place.path, write.is_plain)).collect();
    // Every reason for a file must be one that a link serves.
    let mut files: BTreeMap<ImagePath, bool> = BTreeMap::new();
    let file_of = |candidate: &Candidate| canonical(inputs, candidate.clone())?.file;
    for candidate in candidates.iter() {
        let Some(file) = file_of(candidate) else { continue };
        let is_seen = candidate.evidence.kind == EvidenceKind::Trace && plain.get(&file) == Some(&true);
        *files.entry(file).or_insert(true) &= is_seen;
    }
    let mut links: BTreeMap<ImagePath, Link> = files
        .into_iter()
        .filter(|(file, is_seen)| *is_seen && can_be_link(inputs, file))
        .take(MAX_LINKS)
        .map(|(file, _)| {
            let moved = inputs.rootfs.node(&file).is_some();
            (file.clone(), Link { target: seed::link_target(&file), path: file, moved })
        })
        .collect();
    let bytes = bytes_of(inputs, &links);
    let table = table_of(inputs, &links).filter(|table| *table <= seed::table_room());
    if bytes > seed::MAX_BYTES || table.is_none() {
        links.clear();
    }
    let mut why = Vec::new();
    candidates.retain(|candidate| {
        let link = file_of(candidate).and_then(|file| links.get(&file));
        let Some(Link { path, target, .. }) = link else { return true };
        let Some(directory) = path.parent() else { return true };
        let Some(refusal) = refuse(inputs, &directory) else { return true };
        let detail = &candidate.evidence.detail;
        findings.push(Finding::new(
            Code::WritableLinked,
            path,
            format!(
                "{detail}, and its directory cannot be a volume ({refusal}): it is a link to {target} now"
            ),
        ));
        why.push(evidence(
            EvidenceKind::Trace,
            super::traced::TRACE,
            format!("{path} is a link there: {detail}"),
        ));
        false
    });
    if links.is_empty() {
        return Taken::default();
    }
    why.sort();
    why.dedup();
    let files = links.values().filter(|link| link.moved).count() as u64;
    let room = bytes + links.len() as u64 * 2 * BLOCK;
    let declared = WritablePath {
        path: ImagePath::literal(seed::FILES_PATH),
        purpose: Purpose::State,
        content: if bytes > 0 { PathContent::Seed { files, bytes } } else { PathContent::Absent },
        seeded: true,
        uid: inputs.user.uid,
        gid: inputs.user.gid,
        mode: 0o700,
        size_limit: (room.saturating_mul(2) + (ROOM_MIB << 20)).next_power_of_two(),
        memory: false,
        confidence: Confidence::Proven,
        evidence: why,
    };
    Taken { links: links.into_values().collect(), declared: Some(declared), table: table.unwrap_or_default() }
}

/// Bytes that what `links` lead to takes in the helper's table, at the most; `None` where the image has something there
/// that is not copied.
fn table_of(inputs: &Inputs<'_>, links: &BTreeMap<ImagePath, Link>) -> Option<usize> {
    let root = ImagePath::literal(seed::FILES_PATH);
    let Maker::Filler { table, .. } = measure(inputs, &root, 0, true).ok()? else { return None };
    let names: BTreeSet<ImagePath> = links
        .values()
        .flat_map(|link| between(&link.target, &root).chain([link.target.clone()]).collect::<Vec<_>>())
        .collect();
    Some(names.iter().map(|path| Filler::Helper.cost(path)).fold(table, usize::saturating_add))
}

fn bytes_of(inputs: &Inputs<'_>, links: &BTreeMap<ImagePath, Link>) -> u64 {
    let files = links.keys().filter_map(|path| inputs.rootfs.entry(path)?.file());
    files.fold(0, |sum, file| sum.saturating_add(file.size))
}

/// Why no volume may stand at `directory`, or none with what the image has there.
fn refuse(inputs: &Inputs<'_>, directory: &ImagePath) -> Option<Refusal> {
    place::refuse(inputs, directory).or_else(|| code_by_name(inputs, directory).map(Refusal::Code))
}

/// Whether a link in place of `file` is the file to everybody who reads and writes it.
fn can_be_link(inputs: &Inputs<'_>, file: &ImagePath) -> bool {
    let Some(directory) = file.parent() else { return false };
    let is_of_system = directory == ImagePath::literal("/etc")
        || NEVER.iter().any(|tree| file.is_within(&ImagePath::literal(tree)));
    let target = seed::link_target(file);
    if is_of_system || is_code(file) || is_log_link(inputs, file) || !seed::takes(&target) {
        return false;
    }
    if !inputs.rootfs.is_directory(&directory) || refuse(inputs, &directory).is_none() {
        return false;
    }
    let Some(node) = inputs.rootfs.node(file) else { return true };
    let is_alone = inputs.rootfs.nodes().filter(|(_, other)| other.inode == node.inode).count() == 1;
    let Some(entry) = inputs.rootfs.entry(file).filter(|_| is_alone && (inputs.kept)(file)) else {
        return false;
    };
    matches!(&entry.kind, Kind::File(file) if file.content == Content::Data) && entry.mode & 0o111 == 0
}
