//! systemd units of the image that start the main program: what systemd would make and allow it to write.
//!
//! Follows systemd.service(5) and systemd.exec(5) as far as paths and `User=` go; runs and enables nothing.

use std::collections::BTreeMap;

use super::candidate::evidence;
use super::{Candidate, Inputs, place};
use crate::evidence::{Confidence, EvidenceKind};
use crate::path::ImagePath;
use crate::recipe::Purpose;
use crate::rootfs::Rootfs;

/// Unit directories, lowest precedence first: a unit of a later one replaces its namesake, systemd.unit(5).
const DIRECTORIES: &[&str] = &[
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/usr/local/lib/systemd/system",
    "/etc/systemd/system",
];

/// One assignment of a unit.
#[derive(Debug, Clone)]
struct Setting {
    section: String,
    name: String,
    value: String,
    file: ImagePath,
    line: usize,
}

/// A service unit with its drop-ins.
#[derive(Debug, Clone)]
struct Unit {
    name: String,
    settings: Vec<Setting>,
}

impl Unit {
    /// All values of `name` in `[Service]`; an empty assignment forgets those before it.
    fn values(&self, name: &str) -> Vec<&Setting> {
        let mut out = Vec::new();
        for setting in
            self.settings.iter().filter(|setting| setting.section == "Service" && setting.name == name)
        {
            if setting.value.is_empty() {
                out.clear();
            } else {
                out.push(setting);
            }
        }
        out
    }

    fn last(&self, name: &str) -> Option<&Setting> {
        self.values(name).pop()
    }

    /// Whether an `ExecStart=` runs one of `programs` (canonical).
    fn starts(&self, rootfs: &Rootfs, programs: &[&ImagePath]) -> bool {
        self.values("ExecStart").iter().any(|setting| {
            let word = setting.value.trim_start_matches(['-', '@', ':', '+', '!', '|']);
            let word = word.split_whitespace().next().unwrap_or_default().trim_matches(['"', '\'']);
            ImagePath::parse(word.as_bytes())
                .ok()
                .and_then(|path| rootfs.resolve(&path))
                .is_some_and(|resolved| programs.contains(&&resolved.path))
        })
    }
}

/// Candidates of every unit that starts the main program or a file of the chain.
pub(super) fn candidates(inputs: &Inputs<'_>) -> Vec<Candidate> {
    matching(inputs).iter().flat_map(unit_candidates).collect()
}

/// Names, without `.service`, of the units that start the software.
pub(super) fn matching_names(inputs: &Inputs<'_>) -> Vec<String> {
    matching(inputs).into_iter().map(|unit| stem(&unit.name).to_owned()).collect()
}

/// The account that a unit of the image runs `program` as (`User=`), and where that stands (`FILE:LINE`).
///
/// The first by name of the unit; none where the account is given as root.
pub fn unit_user(rootfs: &Rootfs, program: &ImagePath) -> Option<(String, String)> {
    let resolved = rootfs.resolve(program)?.path;
    let units = units(rootfs);
    let user = units.values().filter(|unit| unit.starts(rootfs, &[&resolved])).find_map(|unit| {
        unit.last("User").filter(|user| user.value != "root" && !user.value.contains('%'))
    })?;
    Some((user.value.clone(), format!("{}:{}", user.file, user.line)))
}

fn matching(inputs: &Inputs<'_>) -> Vec<Unit> {
    let mut programs: Vec<ImagePath> = inputs.chain.iter().map(|step| step.file.clone()).collect();
    programs
        .extend(inputs.program.and_then(|program| inputs.rootfs.resolve(program)).map(|found| found.path));
    let programs: Vec<&ImagePath> = programs.iter().filter(|path| !is_wrapper(inputs, path)).collect();
    units(inputs.rootfs).into_values().filter(|unit| unit.starts(inputs.rootfs, &programs)).collect()
}

/// A wrapper or interpreter of the chain: units that start it start other software.
fn is_wrapper(inputs: &Inputs<'_>, path: &ImagePath) -> bool {
    use crate::plan::Role;
    inputs.program != Some(path)
        && inputs
            .chain
            .iter()
            .any(|step| step.file == *path && matches!(step.role, Role::Wrapper | Role::Interpreter))
}

/// The service units of the image by name, drop-ins applied.
fn units(rootfs: &Rootfs) -> BTreeMap<String, Unit> {
    let mut out: BTreeMap<String, Unit> = BTreeMap::new();
    let children = |directory: &str| {
        let directory = rootfs.resolve(&ImagePath::literal(directory)).map(|resolved| resolved.path);
        directory.into_iter().flat_map(|directory| rootfs.children(&directory)).map(|(path, _)| path.clone())
    };
    let named = |path: &ImagePath| String::from_utf8_lossy(path.name()).into_owned();
    for path in DIRECTORIES.iter().flat_map(|directory| children(directory)) {
        let name = named(&path);
        // A link to a unit of another name is an alias of it, not a unit.
        let is_alias = || rootfs.resolve(&path).is_some_and(|found| found.path.name() != path.name());
        if name.ends_with(".service")
            && !is_alias()
            && let Some(text) = rootfs.bytes_following(&path)
        {
            out.insert(name.clone(), Unit { name, settings: parse(&path, &text) });
        }
    }
    for path in DIRECTORIES.iter().flat_map(|directory| children(directory)) {
        let name = named(&path);
        let Some(unit) = name.strip_suffix(".d").and_then(|name| out.get_mut(name)) else { continue };
        for (drop_in, _) in rootfs.children(&path) {
            if drop_in.name().ends_with(b".conf")
                && let Some(text) = rootfs.bytes_following(drop_in)
            {
                unit.settings.extend(parse(drop_in, &text));
            }
        }
    }
    out
}

fn parse(file: &ImagePath, text: &[u8]) -> Vec<Setting> {
    let mut out = Vec::new();
    let mut section = String::new();
    let mut joined = String::new();
    let mut first_line = 0;
    for (number, line) in String::from_utf8_lossy(text).lines().enumerate() {
        let line = line.trim();
        if line.starts_with(['#', ';']) || (line.is_empty() && joined.is_empty()) {
            continue;
        }
        if joined.is_empty() {
            first_line = number + 1;
        }
        if let Some(start) = line.strip_suffix('\\') {
            joined.push_str(start);
            joined.push(' ');
            continue;
        }
        joined.push_str(line);
        let line = std::mem::take(&mut joined);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((name, value)) = line.split_once('=') {
            out.push(Setting {
                section: section.clone(),
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
                file: file.clone(),
                line: first_line,
            });
        }
    }
    out
}

/// Settings that name directories below one of systemd's own, systemd.exec(5).
const MANAGED: &[(&str, &str, Purpose)] = &[
    ("RuntimeDirectory", "/run", Purpose::Run),
    ("StateDirectory", "/var/lib", Purpose::State),
    ("CacheDirectory", "/var/cache", Purpose::Cache),
    ("LogsDirectory", "/var/log", Purpose::Log),
];

fn unit_candidates(unit: &Unit) -> Vec<Candidate> {
    let mut out = Vec::new();
    let why = |setting: &Setting, value: &str| {
        evidence(
            EvidenceKind::Unit,
            format!("{}:{}", String::from_utf8_lossy(&setting.file.absolute()), setting.line),
            format!("{}={value}", setting.name),
        )
    };
    for (name, base, purpose) in MANAGED {
        let mode = unit
            .last(&format!("{name}Mode"))
            .and_then(|setting| u16::from_str_radix(&setting.value, 8).ok())
            .map(|mode| mode & 0o7777);
        for setting in unit.values(name) {
            for word in setting.value.split_whitespace() {
                // `name:link` also makes a symbolic link; the directory is what is written.
                let Some(path) = word
                    .split(':')
                    .next()
                    .and_then(|word| expand_specifiers(word, Some(&unit.name)))
                    .and_then(|word| place::absolute(&word, base))
                else {
                    continue;
                };
                let candidate = Candidate::directory(path, Confidence::Likely, why(setting, word));
                out.push(Candidate { mode, ..candidate.purpose(*purpose) });
            }
        }
    }
    for setting in unit.values("PIDFile") {
        if let Some(path) = expand_specifiers(&setting.value, Some(&unit.name))
            .and_then(|value| place::absolute(&value, "/run"))
        {
            let why = why(setting, &setting.value);
            out.push(Candidate::file(path, Confidence::Likely, why).purpose(Purpose::Run));
        }
    }
    for name in ["ReadWritePaths", "ReadWriteDirectories"] {
        for setting in unit.values(name) {
            for word in setting.value.split_whitespace() {
                let path = word.trim_start_matches(['-', '+']);
                if let Some(path) = expand_specifiers(path, Some(&unit.name))
                    .filter(|path| path.starts_with('/'))
                    .and_then(|path| place::absolute(&path, "/"))
                {
                    let candidate = Candidate::directory(path, Confidence::Likely, why(setting, word));
                    out.push(Candidate { optional: word.starts_with('-'), ..candidate });
                }
            }
        }
    }
    out
}

/// Replaces the specifiers that are the same on every system; `None` where one is not (`%i`, `%H`).
pub(super) fn expand_specifiers(text: &str, unit: Option<&str>) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        out.push_str(match chars.next()? {
            '%' => "%",
            't' => "/run",
            'S' => "/var/lib",
            'C' => "/var/cache",
            'L' => "/var/log",
            'T' => "/tmp",
            'V' => "/var/tmp",
            'n' => unit?,
            'N' => stem(unit?),
            'p' => stem(unit?).split('@').next().unwrap_or_default(),
            _ => return None,
        });
    }
    Some(out)
}

fn stem(unit: &str) -> &str {
    unit.strip_suffix(".service").unwrap_or(unit)
}
