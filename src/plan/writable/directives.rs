//! What the configuration files of matched recipes say about written paths and ports.
//!
//! Knows what directives mean from the recipes alone; grammars are `syntax`'s.

use std::collections::BTreeMap;

use super::candidate::evidence;
use super::command_line::{Bare, CommandLine, ConfigFiles};
use super::ports::{Listen, PortCandidate};
use super::silence::Logs;
use super::syntax::{self, Setting};
use super::{Candidate, Found, Inputs, place};
use crate::evidence::{Confidence, Evidence, EvidenceKind};
use crate::finding::{Code, Finding};
use crate::path::{Escaped, ImagePath};
use crate::recipe::{Directive, Meaning, Purpose, Recipe, Syntax};

/// What directives say.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Written paths.
    pub candidates: Vec<Candidate>,
    /// Ports.
    pub ports: Vec<PortCandidate>,
    /// Whether logs are written at all.
    pub logs: Logs,
}

/// Reads every configuration file of the recipes that apply.
pub(super) fn read(inputs: &Inputs<'_>, found: &mut Found) -> Settings {
    let line = CommandLine::of(inputs);
    let mut out = Settings::default();
    for recipe in inputs.recipes {
        let mut reading =
            Reading { inputs, line: &line, recipe, matching: BTreeMap::new(), files: BTreeMap::new() };
        let any_file =
            recipe.directives.iter().any(|directive| !reading.files_of(directive).paths.is_empty());
        for directive in &recipe.directives {
            reading.apply(directive, any_file, &mut out, found);
        }
    }
    out
}

/// Where a directive is looked for.
#[derive(Debug, Clone, Default)]
struct Files {
    paths: Vec<ImagePath>,
    /// The command line names them, or the software reads them unasked.
    certain: bool,
}

/// What a value's meaning depends on beside the directive.
#[derive(Clone, Copy)]
struct Context<'a> {
    /// Directory of relative paths.
    base: &'a str,
    /// The address of a port without one, where it is a loopback address.
    bound: Option<&'a str>,
    confidence: Confidence,
    why: &'a Evidence,
}

struct Reading<'a> {
    inputs: &'a Inputs<'a>,
    line: &'a CommandLine,
    recipe: &'a Recipe,
    /// Files by the globs that match them: the whole tree is walked once for each list.
    matching: BTreeMap<Vec<String>, Vec<ImagePath>>,
    /// Settings by file and syntax, read once.
    files: BTreeMap<(u8, ImagePath), Vec<Setting>>,
}

impl Reading<'_> {
    fn named(&self, syntax: Syntax) -> ConfigFiles {
        let bare = match syntax {
            Syntax::Nginx | Syntax::Apache | Syntax::Caddy => Bare::NotTaken,
            Syntax::Words | Syntax::Ini | Syntax::Lines | Syntax::Yaml => Bare::Taken,
        };
        self.line.config_files(self.inputs, bare)
    }

    fn files_of(&mut self, directive: &Directive) -> Files {
        let named = self.named(directive.syntax);
        if !named.present.is_empty() || !named.missing.is_empty() {
            return Files { paths: named.present, certain: true };
        }
        let rootfs = self.inputs.rootfs;
        let paths = self.matching.entry(directive.files.clone()).or_insert_with(|| {
            let matches = syntax::glob_matches(&directive.files);
            let is_file =
                |path: &ImagePath| rootfs.entry_following(path).is_some_and(|entry| entry.file().is_some());
            let paths = rootfs.nodes().map(|(path, _)| path);
            paths.filter(|path| matches(path) && is_file(path)).cloned().collect()
        });
        // Servers of the `name value` kind (redis) read no file unless told to.
        Files { paths: paths.clone(), certain: directive.syntax != Syntax::Words }
    }

    fn apply(&mut self, directive: &Directive, any_file: bool, out: &mut Settings, found: &mut Found) {
        let files = self.files_of(directive);
        for missing in self.named(directive.syntax).missing {
            found.findings.push(Finding::new(
                Code::ConfigUnknown,
                &missing,
                "the command line names it as a configuration file, but the image has none there: what it makes the app write is not known",
            ));
        }
        let mut settings: Vec<Setting> = Vec::new();
        for path in &files.paths {
            settings.extend(self.settings(directive.syntax, path, found).iter().cloned());
        }
        let is_named = |setting: &Setting| {
            directive.names.iter().any(|name| same_name(directive.syntax, name, &setting.name))
        };
        let overriding = syntax::read_command_line(self.inputs, directive.syntax, self.line);
        let overridden = matches!(directive.syntax, Syntax::Words | Syntax::Ini);
        if overridden {
            settings.retain(|setting| {
                !overriding.iter().any(|other| same_name(directive.syntax, &other.name, &setting.name))
            });
        }
        settings.extend(overriding);
        let base = working_base(directive.syntax, &settings, self.inputs);
        let bound = bound_to_loopback(directive.syntax, &settings);
        // Set in a file that the software may never be told to read: its default may hold as well.
        let (mut is_set, mut is_certain) = (false, false);
        for setting in settings.iter().filter(|setting| is_named(setting)) {
            is_set = true;
            let from_line = setting.source.starts_with("command line");
            is_certain |= files.certain || from_line;
            let confidence = if files.certain || from_line { Confidence::Proven } else { Confidence::Likely };
            let why = evidence(EvidenceKind::Directive, &setting.source, setting.text());
            let is_base =
                working_base_name(directive.syntax) == Some(setting.name.to_ascii_lowercase().as_str());
            let base = base.as_deref().filter(|_| !is_base).unwrap_or(&setting.base);
            let context = Context { base, bound: bound.as_deref(), confidence, why: &why };
            self.value(directive, &setting.words, &context, out, found);
        }
        if let Some(default) = directive.default.as_ref().filter(|_| !is_certain) {
            // One of several layouts: its defaults hold where its files are, or where no layout has any.
            let applies = !files.paths.is_empty() || directive.files.is_empty() || !any_file;
            if applies {
                let name = directive.names.first().map_or("", String::as_str);
                let why = evidence(
                    EvidenceKind::Recipe,
                    format!("recipe {}", self.recipe.name),
                    format!("`{name}` is not set; compiled in: {default}"),
                );
                let words = [default.clone()];
                // What the software itself would take: the same as of a setting beside it.
                let beside = settings.first().map(|setting| setting.base.clone());
                let working_dir = self.inputs.working_dir.to_owned();
                let base = base.or(beside).filter(|_| files.certain).unwrap_or(working_dir);
                let context = Context {
                    base: &base,
                    bound: bound.as_deref(),
                    confidence: Confidence::Likely,
                    why: &why,
                };
                self.value(directive, &words, &context, out, found);
            }
        }
        if files.paths.is_empty() && directive.default.is_none() && !is_set {
            found.unused.push(format!(
                "{}: directive `{}`: no file {}",
                self.recipe.name,
                directive.names.join("`, `"),
                directive.files.join(", ")
            ));
        }
    }

    fn settings(&mut self, syntax: Syntax, path: &ImagePath, found: &mut Found) -> &[Setting] {
        let key = (syntax as u8, path.clone());
        let (inputs, line) = (self.inputs, self.line);
        self.files.entry(key).or_insert_with(|| {
            if inputs.rootfs.bytes_following(path).is_none() {
                found.findings.push(Finding::new(
                    Code::ConfigUnknown,
                    path,
                    "a configuration file that was not read, for its size or its place: what it makes the app write is not known",
                ));
            }
            syntax::read(inputs, syntax, path, line)
        })
    }

    fn value(
        &self,
        directive: &Directive,
        words: &[String],
        context: &Context<'_>,
        out: &mut Settings,
        found: &mut Found,
    ) {
        let Context { base, bound, confidence, why } = *context;
        if directive.meaning == Meaning::Root {
            found.findings.push(Finding::new(
                Code::NeedsRoot,
                &why.source,
                format!("`{}` needs root, and the app does not start as root: take it out, the container confines the app already", why.detail),
            ));
            return;
        }
        if directive.meaning == Meaning::Port {
            for word in port_words(directive.syntax, words) {
                match super::ports::parse_listen(word) {
                    Some(Listen::Socket(path)) => {
                        if let Some(path) = place::absolute(&path, base) {
                            let candidate = Candidate::file(path, confidence, why.clone());
                            out.candidates.push(candidate.purpose(Purpose::Run));
                        }
                    }
                    Some(Listen::Port { port, host }) => {
                        let host = host.or_else(|| bound.map(str::to_owned));
                        out.ports.push(PortCandidate::directive(port, host, self.recipe, words, why.clone()));
                    }
                    Some(Listen::Nothing) => {}
                    None => unclear(directive, word, why, found),
                }
            }
            return;
        }
        for value in path_values(directive, words) {
            let named = named_path(directive.syntax, &value, base);
            if directive.purpose == Purpose::Log {
                if is_off(directive.syntax, &named, &value) && confidence == Confidence::Proven {
                    out.logs.no_file(why);
                } else {
                    out.logs.maybe_file();
                }
            }
            match named {
                Named::Nothing => {}
                Named::Unclear => unclear(directive, &value, why, found),
                Named::Inside(directory) => {
                    let candidate = Candidate::directory(directory, confidence, why.clone());
                    out.candidates.push(candidate.purpose(directive.purpose));
                }
                Named::Path(path) => {
                    let candidate = match directive.meaning {
                        Meaning::Directory => Candidate {
                            // nginx makes the directories of its `*_temp_path` and cache directives.
                            made_by_app: directive.syntax == Syntax::Nginx,
                            ..Candidate::directory(path, confidence, why.clone())
                        },
                        _ => Candidate::file(path, confidence, why.clone()),
                    };
                    out.candidates.push(candidate.purpose(directive.purpose));
                }
            }
        }
    }
}

/// Whether a value switches a log off for the whole process: in nested blocks it does so for its own, and what is
/// compiled in holds for the others; `default` names no file, but may be one.
fn is_off(syntax: Syntax, named: &Named, value: &str) -> bool {
    let is_flat = !matches!(syntax, Syntax::Nginx | Syntax::Apache | Syntax::Caddy);
    is_flat && *named == Named::Nothing && !value.eq_ignore_ascii_case("default")
}

fn unclear(directive: &Directive, value: &str, why: &Evidence, found: &mut Found) {
    found.findings.push(Finding::new(
        Code::ConfigUnknown,
        &why.source,
        format!(
            "`{}` has the value `{}`, which depends on what is not known before the start",
            directive.names.first().map_or("", String::as_str),
            Escaped::new(value.as_bytes())
        ),
    ));
}

fn same_name(syntax: Syntax, a: &str, b: &str) -> bool {
    match syntax {
        Syntax::Apache | Syntax::Words => a.eq_ignore_ascii_case(b),
        Syntax::Nginx | Syntax::Ini | Syntax::Lines | Syntax::Yaml | Syntax::Caddy => a == b,
    }
}

/// The directory that relative values of the whole configuration are taken from, where a setting says so:
/// redis changes into `dir`, postgres into its data directory.
fn working_base(syntax: Syntax, settings: &[Setting], inputs: &Inputs<'_>) -> Option<String> {
    let name = working_base_name(syntax)?;
    let setting = settings.iter().rev().find(|setting| setting.name.eq_ignore_ascii_case(name))?;
    let path = place::absolute(setting.words.first()?, inputs.working_dir)?;
    Some(path.to_string())
}

fn working_base_name(syntax: Syntax) -> Option<&'static str> {
    match syntax {
        Syntax::Words => Some("dir"),
        Syntax::Ini => Some("data_directory"),
        Syntax::Nginx | Syntax::Apache | Syntax::Lines | Syntax::Yaml | Syntax::Caddy => None,
    }
}

/// The first address that ports without one are bound to, where all of them are loopback addresses: redis and
/// postgres, mysql and nats name ports and addresses in two settings.
fn bound_to_loopback(syntax: Syntax, settings: &[Setting]) -> Option<String> {
    let names: &[&str] = match syntax {
        Syntax::Words => &["bind"],
        Syntax::Ini => &["listen_addresses", "bind-address", "bind_address"],
        Syntax::Lines => &["host", "net"],
        _ => return None,
    };
    let is_named = |setting: &&Setting| names.iter().any(|name| setting.name.eq_ignore_ascii_case(name));
    let setting = settings.iter().rev().find(is_named)?;
    let addresses: Vec<&str> = setting
        .words
        .iter()
        .flat_map(|word| word.split([',', ' ']))
        .map(|word| word.trim_start_matches('-'))
        .filter(|word| !word.is_empty())
        .collect();
    let is_loopback = |address: &&str| super::ports::is_loopback(address);
    addresses.iter().all(is_loopback).then(|| addresses.first().map(|&address| address.to_owned())).flatten()
}

/// The words of a port directive that may hold a port.
fn port_words(syntax: Syntax, words: &[String]) -> impl Iterator<Item = &str> {
    let all = matches!(syntax, Syntax::Ini | Syntax::Lines);
    words.iter().take(1).flat_map(move |word| word.split(move |c: char| all && c == ',')).map(str::trim)
}

/// The words of a path directive that are paths.
fn path_values(directive: &Directive, words: &[String]) -> Vec<String> {
    let Some(first) = words.first() else { return Vec::new() };
    if directive.syntax == Syntax::Ini && directive.meaning == Meaning::Directory {
        return first.split(',').map(|part| part.trim().trim_matches(['"', '\'']).to_owned()).collect();
    }
    vec![first.clone()]
}

/// What a value says about a written path.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// This path.
    Path(ImagePath),
    /// Something below this directory, told at run time.
    Inside(ImagePath),
    /// No file: switched off, a stream, a daemon, a pipe.
    Nothing,
    /// It cannot be told.
    Unclear,
}

fn named_path(syntax: Syntax, value: &str, base: &str) -> Named {
    let value = match value.split_once(':') {
        // `Mutex file:/path`, `listen unix:/path`.
        Some(("file" | "flock" | "fcntl" | "unix", path)) => path,
        Some(("syslog" | "memory" | "pipe" | "fd" | "stderr" | "stdout", _)) => return Named::Nothing,
        _ => value,
    };
    let is_stream = value.starts_with("/dev/") || value.starts_with("/proc/");
    let is_word = matches!(
        value.to_ascii_lowercase().as_str(),
        "" | "off"
            | "none"
            | "no"
            | "false"
            | "null"
            | "stderr"
            | "stdout"
            | "syslog"
            | "eventlog"
            | "default"
            | "-"
    );
    if is_stream || is_word || value.starts_with('|') || value.starts_with('@') {
        return Named::Nothing;
    }
    let variable = match syntax {
        Syntax::Nginx => value.find('$'),
        Syntax::Apache => value.find("${").or_else(|| value.find('%')),
        _ => value.find("${"),
    };
    if let Some(at) = variable {
        let known =
            value.get(..at).and_then(|before| before.rsplit_once('/')).map(|(directory, _)| directory);
        return match known
            .filter(|directory| !directory.is_empty())
            .and_then(|text| place::absolute(text, base))
        {
            Some(directory) => Named::Inside(directory),
            None => Named::Unclear,
        };
    }
    place::absolute(value, base).map_or(Named::Unclear, Named::Path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switched_off_streams_daemons_and_pipes_are_no_files() {
        for value in
            ["off", "", "stderr", "/dev/stdout", "/proc/self/fd/2", "syslog:server=x", "|/bin/rotatelogs x"]
        {
            assert_eq!(named_path(Syntax::Nginx, value, "/"), Named::Nothing, "{value}");
        }
    }

    #[test]
    fn variables_leave_the_directory_before_them() {
        assert_eq!(
            named_path(Syntax::Nginx, "/var/log/nginx/$host.log", "/"),
            Named::Inside(ImagePath::literal("/var/log/nginx"))
        );
        assert_eq!(named_path(Syntax::Apache, "${UNKNOWN}/error.log", "/"), Named::Unclear);
        assert_eq!(
            named_path(Syntax::Apache, "file:/run/lock/x", "/"),
            Named::Path(ImagePath::literal("/run/lock/x"))
        );
    }
}
