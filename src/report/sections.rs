//! The sections of a summary.
//!
//! Long lists end in how many more there are. Everything that could come from an image passes [`safe`].

use std::borrow::Cow;
use std::fmt::Write as _;

use super::convert::class_word;
use super::document::{Entrypoint, Finding, Image, Port, Report, Sum, Sums, Totals, User, Writable};
use super::inspection::{Inspection, by_class};
use super::size::{count, human};
use super::style::{Style, safe};
use super::table::columns;
use crate::catalog::Class;
use crate::finding::Severity;
use crate::options::quote;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// What fits a screen.
    #[default]
    Short,
    /// Everything but the list of removed paths.
    Full,
}

impl Detail {
    /// At most `short` lines of a list, unless everything is asked for.
    fn limit(self, short: usize) -> usize {
        match self {
            Self::Short => short,
            Self::Full => usize::MAX,
        }
    }
}

/// Most lines of one list. Five lists of this and what is always said make about forty lines.
const LIST: usize = 8;

/// Most findings of one code: a hundred libraries that call `system` are one thing to know.
const PER_CODE: usize = 2;

/// `class` as a heading of several programs.
fn plural(class: Class) -> &'static str {
    match class {
        Class::Shell => "shells",
        Class::PackageManager => "package managers",
        Class::Utility => "utilities",
        Class::Editor => "editors",
        Class::Downloader => "downloaders",
        Class::Compiler => "compilers and debuggers",
        Class::NetworkTool => "network tools",
        Class::Escape => "escapes and privileges",
        Class::Interpreter => "interpreters",
        Class::Application => "applications",
    }
}

/// What goes only because something else went: many entries, few bytes, one line.
const LEFTOVER: &str = "links and leftovers";

/// Reasons other than the catalog, in the order they are told, and their headings; one line per heading.
pub(super) const REASONS: [(&str, &str); 10] = [
    ("unneeded-package", "packages nothing leads to"),
    ("script-of-stripped", "scripts of what went"),
    ("link-to-stripped", LEFTOVER),
    ("derived", LEFTOVER),
    ("empty-directory", LEFTOVER),
    ("whiteout-of-nothing", LEFTOVER),
    ("package-manager-state", "package manager state"),
    ("removed-at-start", "what the start-up script removes"),
    ("shadowed", "replaced by upper layers"),
    ("requested", "`--strip`"),
];

/// The summary as it grows.
pub(super) struct Text {
    out: String,
    style: Style,
    detail: Detail,
}

impl Text {
    pub(super) fn new(style: Style, detail: Detail) -> Self {
        Self { out: String::new(), style, detail }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn heading(&mut self, text: &str) {
        let line = self.style.heading(text);
        self.line(&line);
    }

    /// A list below a heading, at most `LIST` of it.
    fn list(&mut self, lines: &[String]) {
        self.list_up_to(lines, LIST);
    }

    fn list_up_to(&mut self, lines: &[String], short: usize) {
        let limit = self.detail.limit(short);
        // One line that says "and 1 more" could as well be that one.
        let shown = if lines.len() <= limit.saturating_add(1) { lines.len() } else { limit };
        for line in lines.iter().take(shown) {
            self.line(&format!("  {line}"));
        }
        if shown < lines.len() {
            let more = self.style.faint(&format!("  … and {} more", lines.len() - shown));
            self.line(&more);
        }
    }

    pub(super) fn head(&mut self, source: &Image, platform: &str, destinations: &[Image]) {
        let name = |image: &Image| {
            let digest = image.digest.as_deref().map(|digest| format!(" {digest}")).unwrap_or_default();
            format!("{}{digest}", safe(&image.name))
        };
        self.heading(&format!("{} ({})", name(source), safe(platform)));
        for destination in destinations {
            let line = self.style.good(&format!("→ {}", name(destination)));
            self.line(&line);
        }
    }

    pub(super) fn setting(&mut self, level: &str, recipes: &[String], options: &str) {
        let mut line = format!("level {level}");
        if !recipes.is_empty() {
            let _ = write!(line, "; recipes: {}", recipes.join(", "));
        }
        if !options.is_empty() {
            let _ = write!(line, "; options: {}", safe(options));
        }
        self.line(&line);
    }

    pub(super) fn totals(&mut self, before: &Totals, after: &Totals) {
        let row = |name: &str, a: String, b: String| [name.to_owned(), a, b];
        let number = |name: &str, a: u64, b: u64| row(name, a.to_string(), b.to_string());
        let rows = [
            row("", "before".into(), "after".into()),
            number("files", before.files, after.files),
            row("bytes", human(before.bytes), human(after.bytes)),
            number("executables", before.executables, after.executables),
            number("setuid or setgid", before.setuid, after.setuid),
            number("with a write bit", before.writable, after.writable),
            number("catalogued tools", before.catalogued, after.catalogued),
            number("packages", before.packages, after.packages),
        ];
        self.line("");
        for (index, line) in columns(&rows, &[1, 2]).iter().enumerate() {
            let line = if index == 0 { self.style.heading(line) } else { line.clone() };
            self.line(&format!("  {line}"));
        }
    }

    /// A line for each platform of an index.
    pub(super) fn platforms(&mut self, reports: &[Report]) {
        let names = ["", "files", "bytes", "tools", "setuid", "packages", "user", "writable"];
        let change = |before: u64, after: u64| format!("{before} → {after}");
        let row = |report: &Report| {
            let (before, after) = (&report.before, &report.after);
            [
                safe(&report.platform).into_owned(),
                change(before.files, after.files),
                format!("{} → {}", human(before.bytes), human(after.bytes)),
                change(before.catalogued, after.catalogued),
                change(before.setuid, after.setuid),
                change(before.packages, after.packages),
                format!("{}:{}", report.user.uid, report.user.gid),
                count(report.writable.len() as u64, "path", "paths"),
            ]
        };
        let rows: Vec<_> =
            std::iter::once(names.map(ToOwned::to_owned)).chain(reports.iter().map(row)).collect();
        self.line("");
        for (index, line) in columns(&rows, &[1, 2, 3, 4, 5, 6, 7]).iter().enumerate() {
            let line = if index == 0 { self.style.heading(line) } else { line.clone() };
            self.line(&format!("  {line}"));
        }
    }

    pub(super) fn gone(&mut self, heading: &str, sums: &Sums) {
        let row = |label: &str, sum: &Sum| [label.to_owned(), sum.entries.to_string(), human(sum.bytes)];
        let mut rows = Vec::new();
        for class in CLASSES {
            if let Some(sum) = sums.by_class.get(class_word(class)) {
                rows.push(row(plural(class), sum));
            }
        }
        for same in REASONS.chunk_by(|a, b| a.1 == b.1) {
            let known = || same.iter().filter_map(|(reason, _)| sums.by_reason.get(*reason));
            let sum = Sum {
                entries: known().map(|sum| sum.entries).sum(),
                bytes: known().map(|sum| sum.bytes).sum(),
            };
            if let Some((_, label)) = same.first()
                && sum.entries > 0
            {
                rows.push(row(label, &sum));
            }
        }
        self.line("");
        let all = count(sums.all.entries, "entry", "entries");
        self.heading(&format!("{heading}: {all}, {}", human(sums.all.bytes)));
        // Bounded by the classes and reasons there are: a sum that hides a part would not add up.
        for line in columns(&rows, &[1, 2]) {
            self.line(&format!("  {line}"));
        }
    }

    /// In place of what goes: nothing did.
    pub(super) fn already_hardened(&mut self, message: &str) {
        self.line("");
        self.heading("already hardened");
        self.line(&format!("  {}", safe(message)));
    }

    pub(super) fn stays(&mut self, heading: &str, programs: &[(&str, Class, &str, Option<&str>)]) {
        if programs.is_empty() {
            return;
        }
        self.line("");
        self.heading(heading);
        let rows: Vec<_> = programs
            .iter()
            .map(|(path, class, why, remedy)| {
                let way = remedy.map(|remedy| format!("; to lose it: {}", safe(remedy)));
                let class = class_word(*class).to_owned();
                [safe(path).into_owned(), class, format!("{}{}", safe(why), way.unwrap_or_default())]
            })
            .collect();
        self.list(&columns(&rows, &[]));
    }

    pub(super) fn start(&mut self, entrypoint: &Entrypoint, user: &User, ports: &[Port]) {
        self.line("");
        self.heading("starts");
        let argv = |words: &[String]| words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        let words = if entrypoint.argv.is_empty() { "nothing".to_owned() } else { argv(&entrypoint.argv) };
        self.line(&format!("  {}", safe(&words)));
        for lowering in &entrypoint.lowerings {
            self.line(&format!("  in place of {}: {}", safe(&argv(&lowering.from)), safe(&lowering.why)));
        }
        for (name, value) in &entrypoint.env {
            self.line(&format!("  with {}", safe(&format!("{name}={}", quote(value)))));
        }
        if let Some(working_dir) = &entrypoint.working_dir {
            self.line(&format!("  in {}", safe(working_dir)));
        }
        let chain: Vec<_> =
            entrypoint.chain.iter().map(|step| format!("{} ({})", safe(&step.path), step.role)).collect();
        // One program named by its path says it all in the line above.
        if chain.len() > 1 {
            self.line(&format!("  through {}", chain.join(", ")));
        }
        let name = user.name.as_deref().map(|name| format!(" ({})", safe(name))).unwrap_or_default();
        let groups = if user.groups.is_empty() {
            String::new()
        } else {
            let numbers: Vec<_> = user.groups.iter().map(ToString::to_string).collect();
            format!(", groups {}", numbers.join(", "))
        };
        self.line(&format!("  as {}:{}{name}{groups}: {}", user.uid, user.gid, safe(&user.origin)));
        if !ports.is_empty() {
            let ports: Vec<_> = ports.iter().map(|port| format!("{}/{}", port.port, port.protocol)).collect();
            self.line(&format!("  on {}", ports.join(", ")));
        }
    }

    pub(super) fn writable(&mut self, paths: &[Writable]) {
        self.line("");
        if paths.is_empty() {
            self.heading("writable: nothing");
            return;
        }
        self.heading("writable");
        let rows: Vec<_> = paths
            .iter()
            .map(|path| {
                let purpose = serde_word(&path.purpose);
                let size = human(path.size_limit);
                let filled = if path.seeded { ", filled" } else { "" };
                let volume = match path.content {
                    "log-links" => "no mount".to_owned(),
                    "seed" if !path.seeded => "no mount".to_owned(),
                    _ if path.memory => format!("{size} memory{filled}"),
                    _ => format!("{size}{filled}"),
                };
                let evidence =
                    path.evidence.first().map(|e| format!("{}: {}", safe(&e.source), safe(&e.detail)));
                let more = match path.evidence.len().saturating_sub(1) {
                    0 => String::new(),
                    more => format!(" (+{more})"),
                };
                let why = format!("{}{more}", evidence.unwrap_or_default());
                [safe(&path.path).into_owned(), purpose, volume, serde_word(&path.confidence), why]
            })
            .collect();
        self.list_up_to(&columns(&rows, &[]), LIST * 2);
    }

    pub(super) fn config(&mut self, inspection: &Inspection) {
        let config = &inspection.config;
        let or =
            |text: &str, empty: &str| if text.is_empty() { empty.into() } else { safe(text).into_owned() };
        let mut line = format!("config: user {}, in {}", or(&config.user, "root"), or(&config.workdir, "/"));
        if !config.exposed.is_empty() {
            let _ = write!(line, ", exposes {}", safe(&config.exposed.join(" ")));
        }
        if !config.volumes.is_empty() {
            let _ = write!(line, ", volumes {}", safe(&config.volumes.join(" ")));
        }
        self.line(&line);
        let argv: Vec<_> = inspection.entrypoint.source.iter().map(|word| quote(word)).collect();
        let argv = if argv.is_empty() { "nothing".to_owned() } else { argv.join(" ") };
        self.line(&format!("config: starts {}", safe(&argv)));
    }

    pub(super) fn programs(&mut self, inspection: &Inspection) {
        let classes = by_class(&inspection.programs);
        if classes.is_empty() {
            return;
        }
        self.line("");
        self.heading("catalogued programs");
        let rows: Vec<_> = classes
            .into_iter()
            .map(|(class, (goes, stays))| {
                let names: Vec<_> = inspection
                    .programs
                    .iter()
                    .filter(|program| program.class == class)
                    .map(|program| safe(program.path.rsplit('/').next().unwrap_or_default()))
                    .collect();
                [plural(class).to_owned(), (goes + stays).to_string(), self.some(&names)]
            })
            .collect();
        for line in columns(&rows, &[1]) {
            self.line(&format!("  {line}"));
        }
    }

    /// As many words as fit a line, and a mark if there are more.
    fn some(&self, words: &[Cow<'_, str>]) -> String {
        let limit = self.detail.limit(LIST);
        let more = if words.len() > limit { " …" } else { "" };
        format!("{}{more}", words.get(..limit).unwrap_or(words).join(" "))
    }

    pub(super) fn names(&mut self, heading: &str, paths: &[String]) {
        if paths.is_empty() {
            return;
        }
        let paths: Vec<_> = paths.iter().map(|path| safe(path)).collect();
        let line = format!("{}: {}, {}", self.style.heading(heading), paths.len(), self.some(&paths));
        self.line(&line);
    }

    pub(super) fn packages(&mut self, report: &Report) {
        for (heading, kept) in [("packages that stay", true), ("packages that went", false)] {
            let rows: Vec<_> = report
                .packages
                .iter()
                .filter(|package| package.kept == kept)
                .map(|p| [&p.name, &p.version, &p.why].map(|text| safe(text).into_owned()))
                .collect();
            if !rows.is_empty() {
                self.line("");
                self.heading(heading);
                self.list(&columns(&rows, &[]));
            }
        }
    }

    pub(super) fn findings(&mut self, findings: &[Finding]) {
        self.line("");
        let tally: Vec<_> = Severity::ALL
            .into_iter()
            .rev()
            .map(|severity| (severity, findings.iter().filter(|f| f.severity == severity).count()))
            .filter(|&(_, n)| n > 0)
            .map(|(severity, n)| format!("{n} {severity}"))
            .collect();
        let tally = if tally.is_empty() { "none".to_owned() } else { tally.join(", ") };
        self.heading(&format!("findings: {tally}"));
        let least = if self.detail == Detail::Full { Severity::Info } else { Severity::Low };
        let mut rest: &[Finding] = findings;
        while let Some(first) = rest.first() {
            let (same, others) =
                rest.split_at(rest.iter().take_while(|finding| finding.code == first.code).count());
            rest = others;
            if first.severity < least {
                continue;
            }
            let lines: Vec<_> = same
                .iter()
                .map(|f| {
                    let weight = self.style.severity(f.severity, &format!("{:<6}", f.severity.to_string()));
                    format!("{weight} {} {}: {}", f.code, safe(&f.subject), safe(&f.message))
                })
                .collect();
            self.list_up_to(&lines, PER_CODE);
        }
        if findings.iter().any(|finding| finding.severity >= least) {
            let line = self.style.faint("  `kiln explain CODE` tells more");
            self.line(&line);
        }
    }
}

/// Every class, in the order they are told.
pub(super) const CLASSES: [Class; 10] = [
    Class::Shell,
    Class::PackageManager,
    Class::Utility,
    Class::Editor,
    Class::Downloader,
    Class::Compiler,
    Class::NetworkTool,
    Class::Escape,
    Class::Interpreter,
    Class::Application,
];

/// A fieldless value as documents write it.
fn serde_word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("an enum without fields is a word: {other:?}"),
    }
}
