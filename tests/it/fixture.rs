//! Whole images as text: files as `rootfs::dump` reads them, packages a line each, and what the config says.
//!
//! Does not read tar streams; `generated` does. Nothing is asserted here but that a fixture is one.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::Expect;
use kiln::accounts::Accounts;
use kiln::digest::BlobDigest;
use kiln::finding::Code;
use kiln::image::Config;
use kiln::layer::index::read_index;
use kiln::layer::writer::write_layer;
use kiln::options::{Options, UserProfile, UserRecipe};
use kiln::packages::Database;
use kiln::path::glob::PathGlobs;
use kiln::path::{Escaped, ImagePath};
use kiln::plan::decide::decide;
use kiln::plan::known::Known;
use kiln::plan::user::UserError;
use kiln::plan::{Level, Patch, Plan, Reason, Verdict};
use kiln::profile::{Act, Builder, Context, Event, Image, Phase, Profile, Program, Start};
use kiln::recipe::{self, Condition, Recipe};
use kiln::rootfs::{Content, Entry, File, Kept, Kind, LayerIndex, Rootfs, dump};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use crate::sound;

/// An image and what is asked of its hardening.
pub struct Fixture {
    pub layers: Vec<LayerIndex>,
    pub config: Value,
    pub options: Options,
    pub stand_ins: Vec<StandIn>,
}

/// A script that takes the place of one whose text a recipe knows by its digest only.
pub struct StandIn {
    recipe: &'static str,
    path: &'static str,
    digest: BlobDigest,
}

impl Fixture {
    /// Lines as [`dump::parse_layers`] reads them, and `package NAME [source=A] [needs=A,B] [has=/PATH,/PATH]` for an entry
    /// of dpkg's database, `apk NAME [needs=A,B] [is=A,B] [has=/PATH,/DIRECTORY/]` for one of apk's, in the layer
    /// where the first such line stands.
    pub fn new(image: &str) -> Self {
        let mut files = String::new();
        let (mut packages, mut place) = ([Vec::new(), Vec::new()], [0, 0]);
        let mut layer = 0;
        for line in image.lines().map(str::trim) {
            layer += usize::from(line == "--");
            let package = line.strip_prefix("package ").map(|package| (0, package));
            match package.or_else(|| Some((1, line.strip_prefix("apk ")?))) {
                Some((kind, package)) => {
                    if packages[kind].is_empty() {
                        place[kind] = layer;
                    }
                    packages[kind].push(package.to_owned());
                }
                None => _ = writeln!(files, "{line}"),
            }
        }
        let mut layers = dump::parse_layers(&files);
        if !packages[0].is_empty() {
            let database = database(&packages[0], &layers);
            layers[place[0]].entries.extend(database);
        }
        if !packages[1].is_empty() {
            layers[place[1]].entries.extend(apk_database(&packages[1]));
        }
        Self { layers, config: json!({"config": {}}), options: Options::default(), stand_ins: Vec::new() }
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.config["config"][key] = value;
        self
    }

    pub fn entrypoint(self, words: &[&str]) -> Self {
        self.set("Entrypoint", json!(words))
    }

    pub fn cmd(self, words: &[&str]) -> Self {
        self.set("Cmd", json!(words))
    }

    pub fn env(self, lines: &[&str]) -> Self {
        self.set("Env", json!(lines))
    }

    pub fn user(self, user: &str) -> Self {
        self.set("User", json!(user))
    }

    pub fn working_dir(self, path: &str) -> Self {
        self.set("WorkingDir", json!(path))
    }

    pub fn volume(self, path: &str) -> Self {
        self.set("Volumes", json!({path: {}}))
    }

    pub fn port(self, port: &str) -> Self {
        self.set("ExposedPorts", json!({port: {}}))
    }

    pub fn healthcheck(self, test: &[&str]) -> Self {
        self.set("Healthcheck", json!({"Test": test}))
    }

    pub fn strip_level(mut self) -> Self {
        self.options.level = Level::Strip;
        self
    }

    pub fn keep(mut self, glob: &str) -> Self {
        self.options.keep.push(glob.to_owned());
        self
    }

    pub fn strip(mut self, glob: &str) -> Self {
        self.options.strip.push(glob.to_owned());
        self
    }

    pub fn run_as(mut self, user: &str) -> Self {
        self.options.user = Some(user.to_owned());
        self
    }

    pub fn writable(mut self, path: &str) -> Self {
        self.options.writable.push(ImagePath::literal(path));
        self
    }

    /// Runs of it showed this.
    pub fn watched(mut self, profile: Profile) -> Self {
        self.options.profile = Some(Arc::new(UserProfile::new(profile)));
        self
    }

    /// Level `minimal`, and one run in which `program` started at once and opened `used`.
    pub fn minimal(mut self, program: &str, used: &[&str]) -> Self {
        let mut builder = Builder::default();
        let mut tell = |act| builder.take(Event { process: 0, phase: Phase::StartUp, act });
        let file = ImagePath::literal(program);
        tell(Act::Born { parent: None });
        tell(Act::Exec(Box::new(Program {
            path: file.clone(),
            file,
            interpreter: None,
            argv: vec![program.as_bytes().to_vec()],
            env: Vec::new(),
            cwd: ImagePath::root(),
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            umask: 0o22,
        })));
        for path in used {
            tell(Act::Opened(ImagePath::literal(path)));
        }
        let profile = builder.finish(Context {
            image: Image { chain_id: String::new(), config: String::new(), platform: String::new() },
            start: Start {
                argv: vec![program.to_owned()],
                cwd: "/".into(),
                user: String::new(),
                env: Vec::new(),
                mounts: Vec::new(),
                exercises: vec!["http://127.0.0.1:80/".into()],
            },
            observed: None,
        });
        self.options.level = Level::Minimal;
        self.watched(profile)
    }

    pub fn recipe(mut self, text: &str) -> Self {
        let recipe = recipe::parse_recipe("own.toml", text).unwrap();
        self.options.recipes.push(UserRecipe { recipe, digest: BlobDigest::of(text.as_bytes()) });
        self
    }

    /// Adds an entrypoint script at `path` that `recipe` takes for the one that it knows.
    pub fn stands_in(mut self, recipe: &'static str, path: &'static str) -> Self {
        let text = format!("#!/bin/sh\n# known to {recipe}\nexec \"$@\" # {path}\n");
        let digest = recipe::lines_digest(text.as_bytes());
        let mut script = text_file(path, text);
        script.mode = 0o755;
        if let Kind::File(file) = &mut script.kind {
            file.content = Content::Script(b"/bin/sh".as_slice().into());
        }
        self.layers.last_mut().unwrap().entries.push(script);
        self.stand_ins.push(StandIn { recipe, path, digest });
        self
    }

    /// kiln's own recipes, stand-ins known.
    fn builtin(&self) -> Vec<Recipe> {
        let mut recipes = recipe::builtin().to_vec();
        for stand_in in &self.stand_ins {
            let recipe = recipes.iter_mut().find(|recipe| recipe.name == stand_in.recipe).unwrap();
            let path = ImagePath::literal(stand_in.path).absolute();
            for condition in recipe.lowerings.iter_mut().flat_map(|lowering| &mut lowering.conditions) {
                if let Condition::Known { files, digests } = condition
                    && PathGlobs::new(files).unwrap().is_match(&path)
                {
                    digests.push(stand_in.digest);
                }
            }
        }
        recipes
    }

    pub fn rootfs(&self) -> Rootfs {
        Rootfs::merge(self.layers.clone()).unwrap()
    }

    /// The plan, after everything that holds for every plan was checked on it.
    pub fn try_plan(&self) -> Result<Plan, UserError> {
        let rootfs = self.rootfs();
        let config = Config::parse(self.config.to_string().as_bytes()).unwrap();
        let packages = Database::read(&rootfs);
        let accounts = Accounts::read(&rootfs);
        let own = self.options.recipes.iter().map(|own| own.recipe.clone());
        let recipes: Vec<Recipe> = own.chain(self.builtin()).collect();
        let known = Known::new(&rootfs, &config, packages.as_ref(), &accounts, &recipes, &self.options);
        let plan = decide(&known)?;
        sound::check(&rootfs, &config, &plan);
        Ok(plan)
    }

    pub fn plan(&self) -> Plan {
        self.try_plan().unwrap()
    }

    /// Compares what `parts` name of the plan: `start`, `user`, `gone`, `residual`, `codes`, `findings`, `after`,
    /// `packages`, `writable`, `serves` (recipes, ports, probe, environment), `shell`.
    pub fn shows(&self, parts: &str, expect: &Expect) {
        let plan = self.plan();
        let text: String = parts.split_whitespace().map(|part| render(&self.layers, &plan, part)).collect();
        expect.assert_eq(&text);
    }

    /// Content of the file at `path` in the finished image.
    pub fn text_after(&self, path: &str) -> String {
        let after = after(&self.layers, &self.plan());
        let bytes = after.bytes(&ImagePath::literal(path)).map(Cow::into_owned);
        String::from_utf8(bytes.unwrap_or_else(|| format!("no file {path}").into_bytes())).unwrap()
    }
}

/// dpkg's files for `packages`; sums are taken of what `layers` hold.
fn database(packages: &[String], layers: &[LayerIndex]) -> Vec<Entry> {
    let mut status = String::new();
    let mut out = Vec::new();
    for package in packages {
        let (name, rest) = package.split_once(' ').unwrap_or((package, ""));
        let field = |wanted: &str| {
            rest.split_whitespace().find_map(|word| word.strip_prefix(wanted)).unwrap_or_default()
        };
        let _ = write!(
            status,
            "Package: {name}\nStatus: install ok installed\nVersion: 1.0\nArchitecture: amd64\nDepends: {}\n",
            field("needs=").replace(',', ", ")
        );
        if !field("source=").is_empty() {
            let _ = writeln!(status, "Source: {}", field("source="));
        }
        let (mut list, mut sums, mut conffiles) = (String::from("/.\n"), String::new(), String::new());
        for path in field("has=").split(',').filter(|path| !path.is_empty()) {
            let canonical = ImagePath::literal(path);
            let mut above: Vec<ImagePath> = canonical.ancestors().filter(|dir| !dir.is_root()).collect();
            above.reverse();
            for line in above.iter().map(ToString::to_string).chain([path.to_owned()]) {
                if !list.lines().any(|other| other == line) {
                    let _ = writeln!(list, "{line}");
                }
            }
            let entries = layers.iter().flat_map(|layer| &layer.entries);
            let bytes = entries
                .filter(|entry| entry.path == canonical)
                .find_map(|entry| Some(entry.file()?.bytes.as_ref()?.bytes()));
            if let Some(bytes) = bytes {
                let sum: String =
                    Md5::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
                if path.starts_with("/etc/") {
                    let _ = writeln!(conffiles, " {path} {sum}");
                } else {
                    let _ = writeln!(sums, "{sum}  {}", path.trim_start_matches('/'));
                }
            }
        }
        if !conffiles.is_empty() {
            let _ = write!(status, "Conffiles:\n{conffiles}");
        }
        status.push('\n');
        out.push(text_file(&format!("/var/lib/dpkg/info/{name}.list"), list));
        out.push(text_file(&format!("/var/lib/dpkg/info/{name}.md5sums"), sums));
        out.push(text_file(&format!("/var/lib/dpkg/info/{name}.postinst"), "#!/bin/sh\n".into()));
    }
    out.push(text_file("/var/lib/dpkg/status", status));
    out
}

/// apk's files for `packages`; everything was asked for.
fn apk_database(packages: &[String]) -> Vec<Entry> {
    let (mut installed, mut world, mut triggers) = (String::new(), String::new(), String::new());
    for package in packages {
        let (name, rest) = package.split_once(' ').unwrap_or((package, ""));
        let field = |wanted: &str| {
            let value =
                rest.split_whitespace().find_map(|word| word.strip_prefix(wanted)).unwrap_or_default();
            value.replace(',', " ")
        };
        let _ = writeln!(installed, "C:Q1{name}=\nP:{name}\nV:1.0-r0\nA:x86_64");
        for (letter, value) in [("D", field("needs=")), ("p", field("is="))] {
            if !value.is_empty() {
                let _ = writeln!(installed, "{letter}:{value}");
            }
        }
        let has = field("has=");
        // What ends in `/` is a directory.
        let (directories, files): (Vec<&str>, Vec<&str>) =
            has.split_whitespace().partition(|path| path.ends_with('/'));
        for path in directories {
            let _ = writeln!(installed, "F:{}", path.trim_matches('/'));
        }
        let mut paths: Vec<ImagePath> = files.into_iter().map(ImagePath::literal).collect();
        paths.sort_by_key(|path| (path.parent(), path.clone()));
        let mut directory = None;
        for path in paths {
            let parent = path.parent().unwrap();
            if directory.as_ref() != Some(&parent) {
                let _ = writeln!(installed, "F:{}", String::from_utf8_lossy(parent.as_bytes()));
            }
            directory = Some(parent);
            let _ = writeln!(installed, "R:{}\nZ:Q1=", String::from_utf8_lossy(path.name()));
        }
        installed.push('\n');
        let _ = writeln!(world, "{name}");
        let _ = writeln!(triggers, "Q1{name}= /usr/share/{name}");
    }
    vec![
        text_file("/lib/apk/db/installed", installed),
        text_file("/lib/apk/db/triggers", triggers),
        text_file("/lib/apk/db/lock", String::new()),
        text_file("/etc/apk/world", world),
        text_file("/etc/apk/repositories", "https://example.org\n".into()),
    ]
}

pub fn text_file(path: &str, text: String) -> Entry {
    let file =
        File { size: text.len() as u64, bytes: Some(Kept::new(&text.into_bytes())), ..File::default() };
    Entry {
        path: ImagePath::literal(path),
        kind: Kind::File(file),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 0,
        xattrs: None,
    }
}

/// The layers that `plan` makes of `layers`, kiln's own on top: what the rewriter does, done to indexes.
pub fn rewritten(layers: &[LayerIndex], plan: &Plan) -> Vec<LayerIndex> {
    let mut out = Vec::new();
    for (layer, verdicts) in layers.iter().zip(&plan.verdicts) {
        assert_eq!(layer.entries.len(), verdicts.len(), "a verdict for each member");
        let kept = layer.entries.iter().zip(verdicts).filter_map(|(entry, verdict)| match verdict {
            Verdict::Keep(patch) => Some(patched(entry, patch)),
            Verdict::Drop(_) | Verdict::Merged => None,
        });
        out.push(LayerIndex { entries: kept.collect() });
    }
    let mut own = Vec::new();
    write_layer(&mut own, &plan.additions).unwrap();
    out.push(read_index(&own[..], &|_| Some(1 << 20)).unwrap());
    out
}

fn patched(entry: &Entry, patch: &Patch) -> Entry {
    let mut entry = entry.clone();
    entry.mode = patch.mode.unwrap_or(entry.mode);
    (entry.uid, entry.gid) = patch.owner.unwrap_or((entry.uid, entry.gid));
    entry.path = patch.path.clone().unwrap_or(entry.path);
    match &mut entry.kind {
        Kind::Hardlink(target) => *target = patch.link.clone().unwrap_or_else(|| target.clone()),
        Kind::File(file) => {
            if let Some(content) = &patch.content {
                *file =
                    File { size: content.len() as u64, bytes: Some(Kept::new(content)), ..File::default() };
            }
        }
        _ => assert!(patch.content.is_none(), "{}: only files have content", entry.path),
    }
    if patch.drop_capabilities {
        let left: Vec<_> = entry
            .xattrs
            .iter()
            .flat_map(|list| list.iter())
            .filter(|(name, _)| **name != *b"security.capability")
            .cloned()
            .collect();
        entry.xattrs = (!left.is_empty()).then(|| Box::new(left));
    }
    entry
}

/// The finished image's merged tree.
pub fn after(layers: &[LayerIndex], plan: &Plan) -> Rootfs {
    Rootfs::merge(rewritten(layers, plan)).unwrap()
}

fn render(layers: &[LayerIndex], plan: &Plan, part: &str) -> String {
    let mut out = String::new();
    match part {
        "start" => {
            let _ = writeln!(out, "start {:?}", plan.entrypoint.argv);
            for step in &plan.entrypoint.chain {
                let arrow = if step.path == step.file { String::new() } else { format!(" -> {}", step.file) };
                let _ = writeln!(out, "  {:?} {}{arrow}", step.role, step.path);
            }
            for (name, value) in &plan.entrypoint.env {
                let _ = writeln!(out, "  with {name}={value}");
            }
        }
        "user" => {
            let user = &plan.user;
            let _ = writeln!(
                out,
                "user {}:{} {:?} {} {:?}",
                user.uid,
                user.gid,
                user.groups,
                user.name.as_deref().unwrap_or("-"),
                user.origin
            );
        }
        "gone" => {
            for removed in &plan.removed {
                let path = removed.path.to_string();
                // The database's own files are looked at where they are what a test is about.
                if !path.starts_with("/var/lib/dpkg/") {
                    let _ = writeln!(out, "gone {path}: {}", reason(&removed.reason));
                }
            }
        }
        "residual" => {
            for residual in &plan.residual {
                let _ = writeln!(out, "stays {} {:?}: {}", residual.path, residual.class, residual.why);
            }
        }
        "codes" => {
            let codes: Vec<String> = plan.findings.iter().map(|finding| finding.code.to_string()).collect();
            let _ = writeln!(out, "{}", format!("codes {}", codes.join(" ")).trim_end());
        }
        "findings" => {
            for finding in &plan.findings {
                let _ = writeln!(out, "{finding}");
            }
        }
        "after" => {
            let tree = dump::render(&after(layers, plan));
            for line in tree.lines().filter(|line| !line.starts_with("/var/lib/dpkg/") && *line != "/ d") {
                let _ = writeln!(out, "{line}");
            }
        }
        "packages" => {
            for fate in &plan.packages {
                let verb = if fate.kept { "keeps" } else { "cuts" };
                let _ = writeln!(out, "{verb} {}: {}", fate.name, fate.why);
            }
        }
        "writable" => {
            for path in &plan.writable {
                let _ = writeln!(
                    out,
                    "writable {} {:?} {:04o} {}:{}",
                    path.path, path.content, path.mode, path.uid, path.gid
                );
            }
        }
        "serves" => {
            let _ = writeln!(out, "recipes {}", plan.recipes.join(" "));
            for port in &plan.ports {
                let _ = writeln!(out, "port {} {}", port.port, port.name);
            }
            let _ = writeln!(out, "probe {:?}", plan.probe);
            for rule in &plan.env {
                let _ = writeln!(out, "env {}={}", rule.name, rule.value);
            }
        }
        "shell" => {
            for finding in plan.findings.iter().filter(|finding| finding.code == Code::ShellStays) {
                let _ = writeln!(out, "{finding}");
            }
        }
        part => panic!("no part {part}"),
    }
    out
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Catalogued { class, alike: None } => format!("{class:?}"),
        Reason::Catalogued { class, alike: Some(alike) } => format!("{class:?}, {alike}"),
        Reason::ScriptOfStripped { interpreter } => format!("script of {interpreter}"),
        Reason::LinkToStripped { target } => format!("link to {target}"),
        Reason::Requested { glob } => format!("--strip {}", Escaped::new(glob.as_bytes())),
        other => format!("{other:?}"),
    }
}
