//! What holds for every plan of every image, checked against the trees before and after.
//!
//! Believes no count and no list of the plan: it looks at what the plan's verdicts make of the layers.

use std::collections::{BTreeMap, BTreeSet};

use kiln::cache::{Cache, PlanKey};
use kiln::digest::ImageId;
use kiln::elf::search::{LoaderEnv, Search};
use kiln::image::Config;
use kiln::options::{CacheSettings, Options};
use kiln::path::ImagePath;
use kiln::plan::{Level, Plan, Reason, Totals, Verdict};
use kiln::rootfs::{Content, Entry, EntryId, Kind, Rootfs};
use kiln::source::SourceImage;

use crate::fixture;

/// Checks all of it.
pub fn check(before: &Rootfs, config: &Config, plan: &Plan) {
    let layers = fixture::rewritten(before.layers(), plan);
    let after = Rootfs::merge(layers.clone()).unwrap();
    let gone = gone(plan);
    names(before, &after, plan, &gone);
    if plan.level != Level::Strip {
        for layer in &layers {
            for entry in &layer.entries {
                let is_whiteout = matches!(entry.kind, Kind::Whiteout | Kind::Opaque);
                assert!(!is_whiteout, "whiteout left: {}", entry.path);
                assert!(!gone.contains(&entry.path), "still in a layer: {}", entry.path);
            }
        }
    }
    permissions(&after, plan);
    closed(before, &after, config, plan);
    totals(before, &after, plan);
    mount_points(&after, plan);
    assert!(plan.findings.is_sorted_by(|a, b| a.severity >= b.severity), "findings by weight");
    kept(config, plan);
}

/// A plan that was kept is the same when it is found.
fn kept(config: &Config, plan: &Plan) {
    let directory = tempfile::tempdir().unwrap();
    let settings = CacheSettings { directory: Some(directory.path().to_owned()), ..CacheSettings::default() };
    let cache = Cache::open(Some(&settings)).unwrap();
    let image = SourceImage {
        manifest_digest: None,
        index_digest: None,
        config: config.clone(),
        config_bytes: Vec::new(),
        image_id: ImageId::of(b""),
        layers: Vec::new(),
        annotations: BTreeMap::new(),
        name: None,
    };
    let key = PlanKey::new(&image, &Options::default());
    cache.keep_plan(&key, plan);
    assert!(cache.plan(&key, &image.layers).as_ref() == Some(plan), "another plan was kept");
}

/// Names that the plan says go from the merged tree.
fn gone(plan: &Plan) -> BTreeSet<ImagePath> {
    let is_visible = |reason: &Reason| !matches!(reason, Reason::Shadowed | Reason::WhiteoutOfNothing);
    plan.removed.iter().filter(|one| is_visible(&one.reason)).map(|one| one.path.clone()).collect()
}

/// What is listed as removed is not there, everything else is, with the same content and the same hard links.
fn names(before: &Rootfs, after: &Rootfs, plan: &Plan, gone: &BTreeSet<ImagePath>) {
    let mut inodes: BTreeMap<EntryId, EntryId> = BTreeMap::new();
    for (path, node) in before.nodes() {
        if gone.contains(path) {
            assert!(after.node(path).is_none(), "listed as removed and still there: {path}");
            continue;
        }
        let Some(now) = after.node(path) else {
            // A directory without an entry of its own is where something in it is.
            assert!(node.name.is_none(), "not listed as removed and not there: {path}");
            continue;
        };
        let (Some(then), Some(now)) = (node.inode, now.inode) else { continue };
        let (was, is) = (before.member(then).unwrap(), after.member(now).unwrap());
        let verdict = plan.verdicts[then.layer() as usize].get(then.member() as usize);
        let edited = matches!(verdict, Some(Verdict::Keep(patch)) if patch.content.is_some());
        if edited || plan.additions.iter().any(|addition| addition.path == *path) {
            continue;
        }
        assert_eq!(was.kind, is.kind, "{path} is another thing");
        if !was.is_directory() {
            let other = *inodes.entry(then).or_insert(now);
            assert_eq!(other, now, "{path} is no hard link any more");
        }
    }
    let new = after.nodes().filter(|(path, _)| before.node(path).is_none());
    for (path, _) in new {
        let is_added =
            plan.additions.iter().any(|addition| addition.path == *path || addition.path.is_within(path));
        let is_moved = path.is_within(&ImagePath::literal("/.kiln/files"));
        assert!(is_added || is_moved, "appeared from nowhere: {path}");
    }
}

fn is_writable(plan: &Plan, path: &ImagePath) -> bool {
    plan.writable.iter().any(|declared| path.is_within(&declared.path))
}

/// H3: nothing to write, nothing to become somebody else with, outside of the declared paths.
fn permissions(after: &Rootfs, plan: &Plan) {
    for (path, _) in after.nodes() {
        let Some(entry) = after.entry(path).filter(|entry| !matches!(entry.kind, Kind::Symlink(_))) else {
            continue;
        };
        assert_eq!(entry.mode & 0o6000, 0, "setuid or setgid: {path}");
        let capability = entry
            .xattrs
            .iter()
            .flat_map(|list| list.iter())
            .any(|(name, _)| **name == *b"security.capability");
        assert!(!capability, "file capabilities: {path}");
        if !is_writable(plan, path) {
            assert_eq!(entry.mode & 0o222, 0, "writable {:04o}: {path}", entry.mode);
            assert_ne!(entry.uid, plan.user.uid, "the user's own: {path}");
        }
    }
}

/// H2: nothing that stays has lost what it needs, unless the user asked for that or the report says so.
fn closed(before: &Rootfs, after: &Rootfs, config: &Config, plan: &Plan) {
    let lines: Vec<String> = config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let directory = ImagePath::parse(config.working_dir.as_bytes()).unwrap();
    let env = LoaderEnv::new(lines.iter().map(String::as_str), directory);
    let (then, now) = (Search::new(before, &env), Search::new(after, &env));
    let asked_for = |path: &ImagePath| {
        plan.findings
            .iter()
            .any(|finding| finding.code.doc().id == "KN010" && finding.subject == path.to_string())
    };
    for (path, _) in after.nodes().filter(|(path, _)| before.node(path).is_some()) {
        let Some(entry) = after.entry(path) else { continue };
        match &entry.kind {
            Kind::Symlink(_) => {
                let target = before.resolve(path);
                // A directory without an entry of its own is only there while something in it is.
                let has_entry = |path: &ImagePath| before.node(path).is_some_and(|node| node.name.is_some());
                if let Some(target) = target.filter(|target| has_entry(&target.path)) {
                    assert!(
                        after.resolve(path).is_some() || asked_for(&target.path),
                        "{path} lost {}",
                        target.path
                    );
                }
            }
            Kind::File(file) => match &file.content {
                Content::Elf(facts) => {
                    if let Some(interpreter) = &facts.interpreter {
                        still_there(before, after, path, interpreter, &asked_for);
                    }
                    let found_now = now.needs_of(path);
                    for (was, is) in then.needs_of(path).iter().zip(&found_now) {
                        let is_file =
                            |path: &ImagePath| before.entry(path).is_some_and(|entry| entry.file().is_some());
                        let had =
                            was.found.iter().any(|found| is_file(&found.path) && !asked_for(&found.path));
                        let lost = is.found.is_empty() && had;
                        assert!(!lost, "{path} lost {:?}", was.name);
                    }
                }
                Content::Script(line) if entry.mode & 0o111 != 0 => {
                    let first = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
                    let says_so = plan
                        .findings
                        .iter()
                        .any(|finding| matches!(finding.code.doc().id, "KN007" | "KN028"));
                    if !says_so {
                        still_there(before, after, path, first, &asked_for);
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
}

fn still_there(
    before: &Rootfs,
    after: &Rootfs,
    by: &ImagePath,
    target: &[u8],
    asked_for: &dyn Fn(&ImagePath) -> bool,
) {
    let Some(was) = before.resolve_from(&ImagePath::root(), target) else { return };
    // What could not be started before is not lost.
    if before.entry(&was.path).is_none_or(|entry| entry.file().is_none() || entry.mode & 0o111 == 0) {
        return;
    }
    let is = after.resolve_from(&ImagePath::root(), target);
    assert!(is.is_some() || asked_for(&was.path), "{by} lost {}", was.path);
}

/// H4: what the plan reports adds up to the difference of the trees.
fn totals(before: &Rootfs, after: &Rootfs, plan: &Plan) {
    compare(&plan.before, &count(before), "before");
    compare(&plan.after, &count(after), "after");
    if plan.level != Level::Strip {
        let gone = gone(plan);
        let left: BTreeSet<EntryId> = before
            .nodes()
            .filter(|(path, _)| !gone.contains(path))
            .filter_map(|(_, node)| node.inode)
            .collect();
        let lost: BTreeSet<EntryId> = before.nodes().filter_map(|(_, node)| node.inode).collect();
        let size = |id: &EntryId| before.member(*id).and_then(Entry::file).map_or(0, |file| file.size);
        let expect: u64 = lost.difference(&left).map(size).sum();
        let said: u64 = plan
            .removed
            .iter()
            .filter(|one| !matches!(one.reason, Reason::Shadowed | Reason::WhiteoutOfNothing))
            .map(|one| one.bytes)
            .sum();
        assert_eq!(said, expect, "bytes of what was removed from sight");
    }
}

fn compare(said: &Totals, counted: &Totals, when: &str) {
    let numbers =
        |totals: &Totals| [totals.files, totals.bytes, totals.executables, totals.setuid, totals.writable];
    assert_eq!(numbers(said), numbers(counted), "files, bytes, executables, setuid, writable {when}");
}

fn count(rootfs: &Rootfs) -> Totals {
    let inodes: BTreeSet<EntryId> = rootfs.nodes().filter_map(|(_, node)| node.inode).collect();
    let mut totals = Totals::default();
    for entry in inodes.into_iter().filter_map(|id| rootfs.member(id)) {
        let Entry { kind, mode, .. } = entry;
        if !matches!(kind, Kind::Symlink(_)) {
            totals.writable += u64::from(mode & 0o222 != 0);
        }
        if let Kind::File(file) = kind {
            totals.files += 1;
            totals.bytes += file.size;
            totals.executables += u64::from(mode & 0o111 != 0);
            totals.setuid += u64::from(mode & 0o6000 != 0);
        }
    }
    totals
}

/// H9: every path that a volume is mounted on is a directory, and the user gets there.
fn mount_points(after: &Rootfs, plan: &Plan) {
    for declared in plan.writable.iter().filter(|declared| declared.is_mounted()) {
        assert!(after.is_directory(&declared.path), "no mount point: {}", declared.path);
    }
}
