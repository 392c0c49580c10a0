//! What the writable manifests of one image's platforms need together, and where they differ.
//!
//! Serves a pod spec, which is one for all platforms; each platform's own manifest stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::{EnvVar, Manifest, Path, PortEntry, Volume};
use crate::evidence::Evidence;

/// The union of some manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct United {
    /// Paths, ports and variables of all; everything else is the first one's.
    pub manifest: Manifest,
    /// Whether all run as the same user and group.
    pub same_user: bool,
    /// Where they differ in what a pod spec says.
    pub differences: Vec<Difference>,
}

/// Something that is not the same on every platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A path, a port, a variable, `user` or `probe`.
    pub subject: String,
    /// Who says what, and what the union makes of it.
    pub message: String,
}

impl United {
    /// That of one image, which is of no index.
    pub fn one(manifest: &Manifest) -> Self {
        Self { manifest: manifest.clone(), same_user: true, differences: Vec::new() }
    }

    /// The union of the `manifests` of an index, each with its platform's name; `None` of none.
    pub fn of(manifests: &[(String, &Manifest)]) -> Option<Self> {
        let (_, first) = manifests.first()?;
        let mut manifest = (*first).clone();
        let mut differences = Vec::new();

        let users =
            told(manifests, |manifest| Some(format!("{}:{}", manifest.process.uid, manifest.process.gid)));
        if let Some(users) = &users {
            differences.push(Difference {
                subject: "user".to_owned(),
                message: format!("{users}: the pod spec names no user, so that each image runs as its own"),
            });
        }
        // What one of them must not be, the pod cannot promise.
        if let Some((_, root)) = manifests.iter().find(|(_, manifest)| manifest.process.uid == 0) {
            manifest.process.uid = root.process.uid;
        }
        let groups: BTreeSet<u32> =
            manifests.iter().flat_map(|(_, manifest)| manifest.process.groups.iter().copied()).collect();
        if let Some(told) = told(manifests, |manifest| Some(format!("{:?}", manifest.process.groups))) {
            differences.push(Difference {
                subject: "groups".to_owned(),
                message: format!("{told}: the pod spec has all of them"),
            });
        }
        manifest.process.groups = groups.into_iter().collect();

        manifest.paths = paths(manifests, &mut differences);
        manifest.seeding = None;
        if let Some((platform, _)) = manifests.iter().find(|(_, manifest)| manifest.preparing.is_some()) {
            manifest.preparing = None;
            differences.push(Difference {
                subject: "source".to_owned(),
                message: format!(
                    "the source image makes what the app of {platform} needs, and is another for each platform: the pod spec has no init container that does it; make a pod for that platform alone"
                ),
            });
        }
        manifest.ports = ports(manifests, &mut differences);
        manifest.env_added = variables(manifests, &mut differences);
        if let Some(told) =
            told(manifests, |manifest| manifest.probe.as_ref().map(|probe| format!("{probe:?}")))
        {
            differences.push(Difference {
                subject: "probe".to_owned(),
                message: format!("{told}: the pod spec has the first one's"),
            });
            manifest.probe = manifests.iter().find_map(|(_, manifest)| manifest.probe.clone());
        }
        Some(Self { manifest, same_user: users.is_none(), differences })
    }
}

/// What each platform says, where they do not all say the same.
fn told(manifests: &[(String, &Manifest)], say: impl Fn(&Manifest) -> Option<String>) -> Option<String> {
    let said: Vec<_> = manifests.iter().map(|(platform, manifest)| (platform, say(manifest))).collect();
    let (_, first) = said.first()?;
    if said.iter().all(|(_, other)| other == first) {
        return None;
    }
    let text =
        said.iter().map(|(platform, text)| format!("{platform} has {}", text.as_deref().unwrap_or("none")));
    Some(text.collect::<Vec<_>>().join(", "))
}

/// Who has `key` and who has not, where not all have it.
fn missing(manifests: &[(String, &Manifest)], has: impl Fn(&Manifest) -> bool) -> Option<String> {
    let names = |wanted: bool| {
        let those = manifests.iter().filter(|(_, manifest)| has(manifest) == wanted);
        those.map(|(platform, _)| platform.as_str()).collect::<Vec<_>>().join(", ")
    };
    let without = names(false);
    (!without.is_empty()).then(|| format!("on {} and not on {without}", names(true)))
}

fn paths(manifests: &[(String, &Manifest)], differences: &mut Vec<Difference>) -> Vec<Path> {
    let mut united: BTreeMap<String, Path> = BTreeMap::new();
    // One pod has one init container, whose helper fills what its own image's table says, all of it. A source image has not
    // the same programs, modes and names for every platform.
    let seeded = |manifest: &Manifest| -> BTreeSet<(String, String)> {
        let paths = manifest.paths.iter().filter(|path| path.seeded);
        paths.map(|path| (path.path.clone(), path.mode.clone())).collect()
    };
    let mut seeds = manifests.iter().map(|(_, manifest)| seeded(manifest));
    let first = seeds.next().unwrap_or_default();
    let is_from_source = manifests.iter().any(|(_, manifest)| manifest.seeding.is_some());
    let is_same_seed = seeds.all(|other| other == first) && !is_from_source;
    let why = if is_from_source {
        "the source image copies it to its volume, and is another for each platform"
    } else {
        "the platforms do not copy the same paths to volumes"
    };
    for (_, manifest) in manifests {
        for path in &manifest.paths {
            match united.get_mut(&path.path) {
                Some(known) => {
                    known.volume = larger(&known.volume, &path.volume);
                    known.seeded |= path.seeded;
                    known.confidence = known.confidence.max(path.confidence);
                    merge(&mut known.evidence, &path.evidence);
                }
                None => _ = united.insert(path.path.clone(), path.clone()),
            }
        }
    }
    let hides = |name: &str| {
        let mut all = manifests.iter().flat_map(|(_, manifest)| &manifest.paths);
        all.any(|path| path.path == name && !path.content.hides_nothing())
    };
    for path in united.values_mut().filter(|path| path.seeded && !is_same_seed) {
        path.seeded = false;
        let effect = if hides(&path.path) {
            path.volume = Volume::None;
            "the pod spec has no volume there"
        } else {
            "the pod spec has an empty volume there, which is for everybody in the pod"
        };
        differences.push(Difference { subject: path.path.clone(), message: format!("{why}: {effect}") });
    }
    for (name, path) in &united {
        let one = |manifest: &Manifest| manifest.paths.iter().find(|path| path.path == *name).cloned();
        if let Some(whom) = missing(manifests, |manifest| one(manifest).is_some()) {
            let effect = match path.volume {
                Volume::None => "the pod spec has no volume there",
                _ => {
                    "the pod spec has a volume there for all, which hides what an image without the declaration has there"
                }
            };
            differences
                .push(Difference { subject: name.clone(), message: format!("writable {whom}: {effect}") });
        } else if let Some(told) =
            told(manifests, |manifest| one(manifest).map(|path| volume_text(&path.volume)))
        {
            differences.push(Difference {
                subject: name.clone(),
                message: format!("{told}: the pod spec has {}", volume_text(&path.volume)),
            });
        }
    }
    united.into_values().collect()
}

/// The volume that serves both; where one of the images has content in the way, none.
fn larger(one: &Volume, other: &Volume) -> Volume {
    let size = |volume: &Volume| match volume {
        Volume::None => 0,
        Volume::Memory { size_limit } | Volume::Disk { size_limit } => *size_limit,
    };
    let size_limit = size(one).max(size(other));
    match (one, other) {
        (Volume::None, _) | (_, Volume::None) => Volume::None,
        (Volume::Memory { .. }, Volume::Memory { .. }) => Volume::Memory { size_limit },
        _ => Volume::Disk { size_limit },
    }
}

fn volume_text(volume: &Volume) -> String {
    match volume {
        Volume::None => "no volume".to_owned(),
        Volume::Memory { size_limit } => format!("{size_limit} bytes in memory"),
        Volume::Disk { size_limit } => format!("{size_limit} bytes on disk"),
    }
}

fn ports(manifests: &[(String, &Manifest)], differences: &mut Vec<Difference>) -> Vec<PortEntry> {
    let mut united: BTreeMap<(u16, String), PortEntry> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for port in manifests.iter().flat_map(|(_, manifest)| &manifest.ports) {
        let key = (port.port, port.protocol.clone());
        if let Some(known) = united.get_mut(&key) {
            merge(&mut known.evidence, &port.evidence);
            continue;
        }
        let mut port = port.clone();
        // Two platforms may give one name to different ports; a pod cannot.
        if !names.insert(port.name.clone()) {
            port.name = format!("{}-{}", port.protocol.to_ascii_lowercase(), port.port);
            names.insert(port.name.clone());
        }
        united.insert(key, port);
    }
    for (number, protocol) in united.keys() {
        let has = |manifest: &Manifest| {
            manifest.ports.iter().any(|port| port.port == *number && port.protocol == *protocol)
        };
        if let Some(whom) = missing(manifests, has) {
            differences.push(Difference {
                subject: format!("{number}/{protocol}"),
                message: format!("listened on {whom}: the pod spec has it"),
            });
        }
    }
    united.into_values().collect()
}

fn variables(manifests: &[(String, &Manifest)], differences: &mut Vec<Difference>) -> Vec<EnvVar> {
    let mut united: BTreeMap<String, EnvVar> = BTreeMap::new();
    for variable in manifests.iter().flat_map(|(_, manifest)| &manifest.env_added) {
        united.entry(variable.name.clone()).or_insert_with(|| variable.clone());
    }
    for (name, variable) in &united {
        let value = |manifest: &Manifest| {
            let mut all = manifest.env_added.iter();
            all.find(|variable| variable.name == *name).map(|variable| format!("`{}`", variable.value))
        };
        if let Some(told) = told(manifests, value) {
            differences.push(Difference {
                subject: name.clone(),
                message: format!("{told}: the pod spec sets `{}` for all", variable.value),
            });
        }
    }
    united.into_values().collect()
}

fn merge(all: &mut Vec<Evidence>, more: &[Evidence]) {
    for evidence in more {
        if !all.contains(evidence) {
            all.push(evidence.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, plan};
    use super::*;
    use crate::plan::PathContent;

    fn united(change: impl FnOnce(&mut Manifest)) -> United {
        let one = Manifest::new(&plan(), &context());
        let mut other = one.clone();
        change(&mut other);
        United::of(&[("linux/amd64".to_owned(), &one), ("linux/arm64".to_owned(), &other)]).unwrap()
    }

    #[test]
    fn equal_manifests_unite_to_themselves() {
        let united = united(|_| {});
        assert_eq!(united.manifest, Manifest::new(&plan(), &context()));
        assert!(united.same_user && united.differences.is_empty());
    }

    #[test]
    fn a_path_of_one_platform_is_a_path_of_the_union_and_told() {
        let united = united(|other| {
            let mut more = other.paths[0].clone();
            more.path = "/var/cache/arm".to_owned();
            other.paths.push(more);
        });
        assert!(united.manifest.paths.iter().any(|path| path.path == "/var/cache/arm"));
        let [difference] = united.differences.as_slice() else { panic!("{:?}", united.differences) };
        assert_eq!(difference.subject, "/var/cache/arm");
        assert!(
            difference.message.starts_with("writable on linux/arm64 and not on linux/amd64: "),
            "{difference:?}"
        );
    }

    #[test]
    fn the_larger_volume_wins_and_content_in_the_way_of_one_leaves_none() {
        let larger = united(|other| other.paths[0].volume = Volume::Disk { size_limit: 1 << 30 });
        assert_eq!(larger.manifest.paths[0].volume, Volume::Disk { size_limit: 1 << 30 });
        assert_eq!(larger.differences.len(), 1);
        let none = united(|other| other.paths[0].volume = Volume::None);
        assert_eq!(none.manifest.paths[0].volume, Volume::None);
    }

    #[test]
    fn what_not_all_platforms_copy_none_does() {
        let same = |other: &mut Manifest| other.paths[0].evidence.clear();
        let mut one = Manifest::new(&plan(), &context());
        one.paths[0].seeded = true;
        one.paths[0].content = PathContent::Seed { files: 1, bytes: 5 };
        let mut other = one.clone();
        same(&mut other);
        let both = [("linux/amd64".to_owned(), &one), ("linux/arm64".to_owned(), &other)];
        let found = United::of(&both).unwrap();
        assert!(found.manifest.paths[0].seeded && found.differences.is_empty());

        for change in [|path: &mut Path| path.seeded = false, |path: &mut Path| path.mode = "0750".to_owned()]
        {
            let mut other = one.clone();
            change(&mut other.paths[0]);
            let both = [("linux/amd64".to_owned(), &one), ("linux/arm64".to_owned(), &other)];
            let found = United::of(&both).unwrap();
            let path = &found.manifest.paths[0];
            assert!(!path.seeded && path.volume == Volume::None, "{path:?}");
            assert_eq!(found.differences[0].subject, path.path);
        }
    }

    #[test]
    fn pod_of_an_index_has_no_container_of_a_source_that_is_another_for_each_platform() {
        let mut one = Manifest::new(&plan(), &context());
        one.paths[0].seeded = true;
        one.paths[0].content = PathContent::Seed { files: 1, bytes: 5 };
        one.seeding = Some(crate::manifest::SourceCommand { argv: vec!["sh".to_owned()] });
        one.preparing.clone_from(&one.seeding);
        assert_eq!(United::one(&one).manifest, one);
        let found = United::of(&[("linux/386".to_owned(), &one)]).unwrap();
        assert!(!found.manifest.needs_source() && !found.manifest.paths[0].seeded);
        assert_eq!(found.manifest.paths[0].volume, Volume::None);
        let messages: Vec<_> = found.differences.iter().map(|difference| &difference.message).collect();
        let [path, source] = messages.as_slice() else { panic!("{messages:?}") };
        assert!(
            path.starts_with("the source image copies it to its volume, and is another for each platform")
        );
        assert!(source.starts_with("the source image makes what the app of linux/386 needs"), "{source}");
    }

    #[test]
    fn where_no_platform_has_content_all_have_an_empty_volume() {
        let mut one = Manifest::new(&plan(), &context());
        one.paths[0].seeded = true;
        one.paths[0].content = PathContent::Empty;
        one.paths[0].volume = Volume::Disk { size_limit: 1 << 20 };
        let mut other = one.clone();
        other.paths[0].seeded = false;
        let united = |other: &Manifest| {
            let both = [("linux/amd64".to_owned(), &one), ("linux/arm64".to_owned(), other)];
            United::of(&both).unwrap()
        };
        let found = united(&other);
        let path = &found.manifest.paths[0];
        assert!(!path.seeded && path.volume == Volume::Disk { size_limit: 1 << 20 }, "{path:?}");
        assert!(found.differences[0].message.contains("an empty volume"), "{:?}", found.differences);
        other.paths[0].content = PathContent::Seed { files: 1, bytes: 5 };
        assert_eq!(united(&other).manifest.paths[0].volume, Volume::None);
    }

    #[test]
    fn different_users_are_no_user_of_the_pod() {
        let united = united(|other| other.process.uid = 0);
        assert!(!united.same_user);
        assert_eq!(united.manifest.process.uid, 0);
        assert_eq!(united.differences[0].subject, "user");
    }

    #[test]
    fn one_port_name_for_two_ports_becomes_two_names() {
        let united = united(|other| other.ports[0].port = 8080);
        let names: Vec<_> =
            united.manifest.ports.iter().map(|port| (port.port, port.name.as_str())).collect();
        assert_eq!(names, [(80, "http"), (8080, "tcp-8080")]);
        assert_eq!(united.differences.len(), 2);
    }
}
