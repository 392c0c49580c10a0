//! The decision: everything known goes in, the plan comes out.
//!
//! Calls the steps in their order and hands results on; each step decides one thing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::{Access, Permissions};
use super::both::both;
use super::dense::dense;
use super::entrypoint::{self, Refusal, Start};
use super::fate::{self, Fate};
use super::filler::Filler;
use super::keep::{self, Kept};
use super::known::Known;
use super::readable::{self, Wanted};
use super::seed::{self, Seeds};
use super::user::{self, UserError};
use super::writable::{self, Found};
use super::{Addition, Level, Link, Made, PackageFate, PathContent, Plan, User, UserOrigin, WritablePath};
use super::{baked, database, notes, residual, totals, verdict};
use crate::accounts;
use crate::catalog::{Catalog, Class};
use crate::packages::Kind;
use crate::path::ImagePath;
use crate::recipe::{self, Recipe};
use crate::rootfs::Content;

/// Bits of a directory that kiln makes above a mount point: everybody passes, nobody writes.
const DIRECTORY_MODE: u16 = 0o555;

/// Everything decided, before it becomes the plan; what findings are made from.
pub struct Decision<'a> {
    /// What was known.
    pub known: &'a Known<'a>,
    /// The start.
    pub start: &'a Start,
    /// The level in effect.
    pub level: Level,
    /// Recipes that apply.
    pub recipes: &'a [&'a Recipe],
    /// The user.
    pub user: &'a User,
    /// What stays and why.
    pub kept: &'a Kept,
    /// Writable paths and ports.
    pub found: &'a Found,
    /// What goes and why.
    pub fate: &'a Fate,
    /// Owners and modes.
    pub access: &'a Access<'a>,
    /// What is copied to volumes.
    pub seeds: &'a Seeds,
    /// Bytes of shadowed content left in lower layers.
    pub shadowed: u64,
    /// A package database that could not be filtered.
    pub unfiltered: Option<Kind>,
}

/// Makes the plan.
pub fn decide(known: &Known<'_>) -> Result<Plan, UserError> {
    let mut begun = begin(known, None)?;
    if let Some(refusal) = begun.hidden(known) {
        begun = begin(known, Some(&refusal))?;
    }
    let Begun { start, recipes, level, user, kept, found } = begun;
    let mount_points: BTreeSet<ImagePath> =
        found.paths.iter().map(|declared| declared.path.clone()).collect();
    let working_dir = known.rootfs.canonicalize_missing(start.working_dir(known));
    // Of what is copied nothing is missing: neither its empty directories nor what only root could read.
    let copied = seed::names(known, &found.paths);
    let directories = copied.iter().copied().filter(|path| known.rootfs.is_directory(path));
    let standing: BTreeSet<ImagePath> =
        mount_points.iter().chain(&working_dir).chain(directories).cloned().collect();
    let mut staying = standing.clone();
    if let Some(traced) = known.traced.filter(|_| level == Level::Minimal) {
        // An empty directory that is looked into is there for that.
        let traced = traced.of(start.whose);
        let looked_into = traced.read().map(|used| used.path);
        staying.extend(looked_into.filter(|path| known.rootfs.is_directory(path)));
    }
    let mut fate = fate::settle(known, &kept, level, &staying, &start.removed);
    let moved = found.links.iter().filter(|link| link.moved);
    fate.moved = moved.map(|link| (link.path.clone(), link.target.clone())).collect();
    let set = start.baked.iter().map(|baked| (baked.path.clone(), baked.permissions)).collect();
    let writable = written(&found);
    let shared = shared_with_outside(known, &mount_points);
    let mut access = Access { user: &user, writable, shared, readable: BTreeSet::new(), set };
    let mounted: BTreeSet<ImagePath> = mount_points.iter().chain(&working_dir).cloned().collect();
    let wanted = Wanted {
        start: &start,
        kept: &kept,
        fate: &fate,
        standing: &standing,
        mounted: &mounted,
        copied: &copied,
    };
    access.readable = readable::readable(known, &wanted, &access);
    let database::Filtered { contents: mut edits, failed: unfiltered } = database::filter(known, &fate);
    let mut new = baked::carry(known, &start.baked, &fate, &access, &mut edits);
    let prepared = found.prepared.iter().cloned();
    new.extend(prepared.map(|path| Addition {
        path,
        made: Made::Directory,
        mode: DIRECTORY_MODE,
        uid: 0,
        gid: 0,
    }));
    let mut additions = mount_point_additions(known, &fate, &found.paths, working_dir.as_ref(), new);
    let seeds = seed::seeds(known, &fate, &access, &found, &additions);
    additions.extend(seeds.additions.iter().cloned());
    additions.extend(found.links.iter().map(link));
    add_account(known, &user, &mut edits, &mut additions);
    // Each looks at every name, and neither at what the other finds.
    let (judged, (before, after)) = both(
        || verdict::judge(known, &fate, &access, level, &edits),
        || totals::count(known, &fate, &access, &edits, &additions),
    );
    let residual = residual::list(known, &start, &kept, &fate);
    let decision = Decision {
        known,
        start: &start,
        level,
        recipes: &recipes,
        user: &user,
        kept: &kept,
        found: &found,
        fate: &fate,
        access: &access,
        seeds: &seeds,
        shadowed: judged.shadowed,
        unfiltered,
    };
    let findings = notes::findings(&decision, &residual);
    let packages = package_fates(known, &kept, &fate);
    Ok(Plan {
        level,
        entrypoint: start.entrypoint.clone(),
        writable: found.paths.clone(),
        ports: found.ports.clone(),
        probe: recipes.iter().find_map(|recipe| recipe.probe.clone()),
        env: found.env.clone(),
        healthcheck_dropped: notes::dropped_healthcheck(&decision),
        recipes: recipes.iter().map(|recipe| recipe.name.clone()).collect(),
        dense: dense(known.rootfs.layers(), &judged.members),
        verdicts: judged.members,
        additions,
        baked: start.baked.iter().filter(|baked| fate.stays(&baked.path)).cloned().collect(),
        removed: judged.removed,
        seeding: seeds.command,
        preparing: start.preparing.clone(),
        wants: start.wants.clone(),
        residual,
        packages,
        before,
        after,
        findings,
        user,
    })
}

/// What runs, as whom, what that needs and where it writes.
struct Begun<'k> {
    start: Start,
    recipes: Vec<&'k Recipe>,
    level: Level,
    user: User,
    kept: Kept,
    found: Found,
}

/// Follows the start; what runs showed of it does not count where it is `refused`.
fn begin<'k>(known: &'k Known<'_>, refused: Option<&Refusal>) -> Result<Begun<'k>, UserError> {
    let mut start = entrypoint::resolve(known, refused);
    let paths: Vec<ImagePath> =
        start.entrypoint.chain.iter().flat_map(|step| [step.path.clone(), step.file.clone()]).collect();
    let mut recipes = recipe::matching(known.recipes, &paths);
    if recipes.is_empty() && is_static(known, &start) {
        recipes.extend(recipe::static_binary(known.recipes));
    }
    entrypoint::explain(&mut start, &recipes);
    let level = effective_level(known, &start, &recipes);
    let user = user::choose(known, &start, &recipes)?;
    let kept = keep::close_over(known, &start, &recipes, level);
    let found = writable_paths(known, &start, &recipes, &user, &kept);
    Ok(Begun { start, recipes, level, user, kept, found })
}

impl Begun<'_> {
    /// Why the start is not lowered after all: a volume would hide what the script writes.
    fn hidden(&self, known: &Known<'_>) -> Option<Refusal> {
        let volume = |path: &ImagePath| {
            let mut mounted =
                self.found.paths.iter().filter(|declared| declared.is_mounted() && !declared.seeded);
            mounted.find(|declared| path.is_within(&declared.path)).map(|declared| &declared.path)
        };
        let mut files = self.start.baked.iter().map(|baked| &baked.path);
        let (file, volume) = files.find_map(|file| Some((file, volume(file)?)))?;
        Some(entrypoint::hidden(known, file, volume))
    }
}

/// Whether the main program needs neither loader nor library.
fn is_static(known: &Known<'_>, start: &Start) -> bool {
    let file = start.program.as_ref().and_then(|program| known.rootfs.entry(program)?.file());
    match file.map(|file| &file.content) {
        Some(Content::Elf(facts)) => facts.interpreter.is_none() && facts.needed.is_empty(),
        _ => false,
    }
}

/// Where kiln cannot tell what the image is for, or what belongs to which package, it keeps.
fn effective_level(known: &Known<'_>, start: &Start, recipes: &[&Recipe]) -> Level {
    let limited = database::limit(known).is_some();
    let unwatched = known.options.level == Level::Minimal && known.traced.is_none();
    let unknown = unwatched
        || start.program.is_none()
        || !start.doubts.is_empty()
        || unknown_interpreter(known, start, recipes).is_some();
    if unknown || limited { Level::Strip } else { known.options.level }
}

/// The program, if it is an interpreter that no recipe knows: which modules of the distribution its scripts load
/// is in no file that kiln reads. Where it was watched it is enough that the catalog knows where its library stands.
pub fn unknown_interpreter<'s>(
    known: &Known<'_>,
    start: &'s Start,
    recipes: &[&Recipe],
) -> Option<&'s ImagePath> {
    let program = start.program.as_ref().filter(|_| recipes.is_empty())?;
    // A JVM loads what its class path names, and its own libraries.
    let loads_modules = known.class(program) == Some(Class::Interpreter) && program.name() != b"java";
    let mut libraries = Catalog::builtin().libraries().iter();
    let is_seen = known.options.level == Level::Minimal
        && known.traced.is_some()
        && libraries.any(|rule| rule.called_by_path(&program.absolute()));
    (loads_modules && !is_seen).then_some(program)
}

fn writable_paths(known: &Known<'_>, start: &Start, recipes: &[&Recipe], user: &User, kept: &Kept) -> Found {
    let stays = |path: &ImagePath| kept.files.contains_key(path);
    let exposed: Vec<(u16, String)> = known
        .config
        .exposed_ports
        .iter()
        .map(|port| (port.port, port.protocol.as_str().to_owned()))
        .collect();
    let mut env = known.config.env.clone();
    env.extend(start.entrypoint.env.iter().cloned());
    let working_dir = start.entrypoint.working_dir.as_ref().map(ImagePath::text);
    writable::find(&writable::Inputs {
        rootfs: known.rootfs,
        program: start.program.as_ref(),
        chain: &start.entrypoint.chain,
        argv: &start.entrypoint.argv,
        recipes,
        user,
        env: &env,
        working_dir: working_dir.as_deref().unwrap_or(&known.config.working_dir),
        volumes: &known.config.volumes,
        exposed_ports: &exposed,
        kept: &stays,
        filler: Filler::of(known, user),
        extra: &known.options.writable,
        lowering_directories: &start.directories,
        baked: &start.baked,
        traced: known.traced.map(|traced| traced.of(start.whose)),
    })
}

/// Where the app writes in the image itself, and with which bits.
fn written(found: &Found) -> BTreeMap<ImagePath, Permissions> {
    let permissions = |declared: &WritablePath| {
        let WritablePath { path, mode, uid, gid, .. } = declared;
        (path.clone(), Permissions { mode: *mode, uid: *uid, gid: *gid })
    };
    // Where the logs are links nothing is written, and what is copied is written in the copy: no right to write is needed
    // there.
    let is_written = |declared: &&WritablePath| !declared.seeded && declared.content != PathContent::LogLinks;
    found.paths.iter().filter(is_written).map(permissions).collect()
}

/// Names within `writable` of files that have a name outside, too.
fn shared_with_outside(known: &Known<'_>, writable: &BTreeSet<ImagePath>) -> BTreeSet<ImagePath> {
    let is_within = |path: &ImagePath| path.is_within_any(|ancestor| writable.contains(ancestor));
    known
        .rootfs
        .nodes()
        .map(|(path, _)| path)
        .filter(|path| known.names_of(path).iter().any(|name| !is_within(name)) && is_within(path))
        .cloned()
        .collect()
}

/// Password hashes: unowned files that no app is meant to read.
pub fn is_account_secret(path: &ImagePath) -> bool {
    matches!(path.as_bytes(), b"etc/shadow" | b"etc/shadow-" | b"etc/gshadow" | b"etc/gshadow-")
        || path.is_within(&ImagePath::literal("etc/ssl/private"))
}

/// What is not there yet: mount points, the working directory, which not every runtime makes on a read-only root, and
/// `files`, all with the directories above.
fn mount_point_additions(
    known: &Known<'_>,
    fate: &Fate,
    declared: &[WritablePath],
    working_dir: Option<&ImagePath>,
    files: Vec<Addition>,
) -> Vec<Addition> {
    let mut out: BTreeMap<ImagePath, Addition> = BTreeMap::new();
    // A directory without an entry of its own is only there while something in it is.
    let has_entry =
        |path: &ImagePath| path.is_root() || known.rootfs.node(path).is_some_and(|node| node.name.is_some());
    let directory = |path: &ImagePath, mode, uid, gid| Addition {
        path: path.clone(),
        made: Made::Directory,
        mode,
        uid,
        gid,
    };
    let working_dir = working_dir
        .filter(|path| declared.iter().all(|other| other.path != **path))
        .map(|path| directory(path, DIRECTORY_MODE, 0, 0));
    let mount_points = declared.iter().map(|path| {
        // Of what is seeded, owner and mode are the copy's.
        let (mode, uid, gid) =
            if path.seeded { (DIRECTORY_MODE, 0, 0) } else { (path.mode, path.uid, path.gid) };
        directory(&path.path, mode, uid, gid)
    });
    for wanted in mount_points.chain(working_dir).chain(files) {
        if has_entry(&wanted.path) {
            continue;
        }
        for parent in wanted.path.ancestors() {
            let is_there = has_entry(&parent) && fate.stays(&parent);
            let is_declared = declared.iter().any(|other| other.path == parent);
            if !is_there && !is_declared {
                let made = directory(&parent, DIRECTORY_MODE, 0, 0);
                out.entry(parent).or_insert(made);
            }
        }
        out.insert(wanted.path.clone(), wanted);
    }
    out.into_values().collect()
}

/// What stands in place of a file that the app writes.
fn link(Link { path, target, .. }: &Link) -> Addition {
    let made = Made::Link(Arc::from(target.absolute()));
    Addition { path: path.clone(), made, mode: 0o777, uid: 0, gid: 0 }
}

/// passwd and group with the user added, edited where they are, or made.
fn add_account(
    known: &Known<'_>,
    user: &User,
    edits: &mut BTreeMap<ImagePath, Arc<[u8]>>,
    additions: &mut Vec<Addition>,
) {
    if user.origin != UserOrigin::Added || known.accounts.of_uid(user.uid).is_some() {
        return;
    }
    let Some(name) = &user.name else { return };
    let files = [ImagePath::literal("etc/passwd"), ImagePath::literal("etc/group")];
    let [passwd, group] = files.each_ref().map(|path| known.rootfs.bytes_following(path).unwrap_or_default());
    let (passwd, group) = accounts::with_account(&passwd, &group, user.uid, user.gid, name);
    for (path, bytes) in files.into_iter().zip([passwd, group]) {
        match known.rootfs.resolve(&path) {
            Some(resolved) => {
                // What is no file, or too large to be one of accounts, is left as it is.
                let file = known.rootfs.entry(&resolved.path).and_then(|entry| entry.file());
                if file.is_some_and(|file| file.bytes.is_some() || file.size == 0) {
                    edits.insert(resolved.path, Arc::from(bytes));
                }
            }
            // A mount point of that name was asked for.
            None if additions.iter().any(|addition| addition.path == path) => {}
            None => additions.push(Addition {
                path,
                made: Made::File(Arc::from(bytes)),
                mode: 0o444,
                uid: 0,
                gid: 0,
            }),
        }
    }
    let etc = ImagePath::literal("etc");
    if known.rootfs.node(&etc).is_none() && !additions.iter().any(|addition| addition.path == etc) {
        additions.push(Addition { path: etc, made: Made::Directory, mode: DIRECTORY_MODE, uid: 0, gid: 0 });
    }
    additions.sort_by(|a, b| a.path.cmp(&b.path));
}

fn package_fates(known: &Known<'_>, kept: &Kept, fate: &Fate) -> Vec<PackageFate> {
    let Some(packages) = known.packages else { return Vec::new() };
    let mut out: Vec<PackageFate> = packages
        .installed()
        .map(|(id, package)| {
            let stays = fate.packages.contains(&id);
            let why = match kept.packages.get(&id) {
                Some(why) if stays => why.clone(),
                _ if stays => "some of its files stay".into(),
                Some(_) if !package.files.iter().any(|path| known.has_file(package, path)) => {
                    "it owns no file of the image".into()
                }
                Some(_) => "its files were catalogued tools".into(),
                None => "nothing kept leads to it".into(),
            };
            PackageFate { name: package.name.clone(), version: package.version.clone(), kept: stays, why }
        })
        .collect();
    out.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    out
}
