//! The report for programs: every removed path with its reason, and sums that add up.
//!
//! Values of their own, so that the document stays the same when the plan's insides change.

use std::collections::BTreeMap;
use std::io::{self, Write};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::convert::class_word;
use super::{Context, Trial};
use crate::catalog::Class;
use crate::evidence::{Confidence, Evidence};
use crate::finding::Severity;
use crate::json;
use crate::manifest::BakedFile;
use crate::plan::{self, Plan};
use crate::recipe::Purpose;

/// What this document is; a later version that reads differently gets another number.
pub const MEDIA_TYPE: &str = "application/vnd.kiln.report.v1+json";

/// Everything kiln did to an image, or would do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `application/vnd.kiln.report.v1+json`.
    pub media_type: &'static str,
    /// Version of kiln.
    pub kiln: String,
    /// The image that was read.
    pub source: Image,
    /// Where the result went; empty where nothing was written.
    pub destinations: Vec<Image>,
    /// `OS/ARCH[/VARIANT]`.
    pub platform: String,
    /// How much goes.
    pub level: plan::Level,
    /// Options that decide the bytes, as words of a shell; empty for the defaults.
    pub options: String,
    /// Names of the recipes that apply, in order.
    pub recipes: Vec<String>,
    /// What starts.
    pub entrypoint: Entrypoint,
    /// Who it runs as.
    pub user: User,
    /// What it must be able to write, by path.
    pub writable: Vec<Writable>,
    /// Files that a script of the source wrote at each start, and that are in the image instead, by path.
    pub baked: Vec<BakedFile>,
    /// What it listens on, by port.
    pub ports: Vec<Port>,
    /// How to ask whether it serves.
    pub probe: Option<ProbeText>,
    /// Environment to set in the pod, by name.
    pub env: Vec<EnvText>,
    /// The merged file tree before and after.
    pub before: Totals,
    /// The merged file tree after.
    pub after: Totals,
    /// Layers, bottom first; empty where nothing was written.
    pub layers: Vec<Layer>,
    /// Sums over `removed`.
    pub totals: Sums,
    /// Every entry that goes, of every layer, by path, then layer.
    #[schemars(with = "Vec<Removed>")]
    pub removed: Gone,
    /// Catalogued programs that stay, by path.
    pub residual: Vec<Residual>,
    /// Packages, by name.
    pub packages: Vec<Package>,
    /// What a person should know, heaviest first.
    pub findings: Vec<Finding>,
    /// What trying the hardened image under its pod showed; none where it was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// An image by name and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Image {
    /// As the user named it.
    pub name: String,
    /// Digest of its manifest, where the place keeps one.
    pub digest: Option<String>,
}

/// What starts, from the config's words to the program that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Entrypoint {
    /// Entrypoint and command of the source, joined.
    pub source: Vec<String>,
    /// What the hardened image starts.
    pub argv: Vec<String>,
    /// Environment that a lowering adds, by name.
    pub env: BTreeMap<String, String>,
    /// Working directory that a lowering gives the image; none where it is the source's.
    pub working_dir: Option<String>,
    /// Files that the start passes through, in order.
    pub chain: Vec<Step>,
    /// Every lowering, in order.
    pub lowerings: Vec<Lowering>,
}

/// A file that the start passes through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// As started.
    pub path: String,
    /// Links followed.
    pub file: String,
    /// `wrapper`, `script`, `interpreter` or `program`.
    pub role: &'static str,
}

/// One replacement of what starts by what it ends up running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Lowering {
    /// The words before.
    pub from: Vec<String>,
    /// The words after.
    pub to: Vec<String>,
    /// Why that is the same.
    pub why: String,
}

/// Who the container runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct User {
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The account's name.
    pub name: Option<String>,
    /// Where the choice comes from, in words.
    pub origin: String,
}

/// A path that the app must be able to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Writable {
    /// Canonical.
    pub path: String,
    /// What for.
    pub purpose: Purpose,
    /// `absent`, `empty`, `seed` or `log-links`.
    pub content: &'static str,
    /// Bytes that the image has there.
    pub content_bytes: u64,
    /// Whether that is copied to the volume before the app starts.
    pub seeded: bool,
    /// Owner of the mount point; where it is seeded, of the directory in the volume.
    pub uid: u32,
    /// Group of the same.
    pub gid: u32,
    /// Mode of the same, octal.
    pub mode: String,
    /// Suggested size limit, bytes.
    pub size_limit: u64,
    /// In memory rather than on the node's disk.
    pub memory: bool,
    /// How sure kiln is.
    pub confidence: Confidence,
    /// Why; never empty.
    pub evidence: Vec<Evidence>,
}

/// A port that the app listens on.
#[expect(clippy::struct_field_names, reason = "`port` is what everybody calls it")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Port {
    /// 1–65535.
    pub port: u16,
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// As a Kubernetes port name.
    pub name: String,
    /// Why; never empty.
    pub evidence: Vec<Evidence>,
}

/// How to ask whether the app serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProbeText {
    /// `http` or `tcp`.
    pub kind: &'static str,
    /// What an HTTP probe gets.
    pub path: Option<String>,
}

/// An environment variable of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EnvText {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// Why it is set.
    pub why: String,
}

/// Counts of a merged file tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Totals {
    /// Regular files; names of one inode count once.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Regular files with an execute bit.
    pub executables: u64,
    /// Files with setuid or setgid.
    pub setuid: u64,
    /// Files and directories that someone may write.
    pub writable: u64,
    /// Programs that the catalog names.
    pub catalogued: u64,
    /// Packages that own files.
    pub packages: u64,
}

/// A layer, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Layer {
    /// The source's blob; null for kiln's own layer.
    pub before: Option<Blob>,
    /// The result's blob.
    pub after: Blob,
    /// Whether it is the source's blob, bit for bit.
    pub unchanged: bool,
}

/// A stored layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Blob {
    /// Of the bytes as stored.
    pub digest: String,
    /// How many they are.
    pub bytes: u64,
}

/// How many, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Sum {
    /// Entries.
    pub entries: u64,
    /// Bytes of their content.
    pub bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Sums over `removed`. Each map adds up to `all`, but `byClass`, which adds up to the reason `catalogued`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// All that goes.
    pub all: Sum,
    /// By reason.
    pub by_reason: BTreeMap<String, Sum>,
    /// What the catalog names, by class.
    pub by_class: BTreeMap<String, Sum>,
    /// By layer, from 0 at the bottom.
    pub by_layer: BTreeMap<u32, Sum>,
    /// By package; what none owned stands under the empty name.
    pub by_package: BTreeMap<String, Sum>,
}

/// What goes, row by row: an image can lose hundreds of thousands of entries, so that a row is made only when it is
/// written.
#[derive(Debug, Clone, PartialEq)]
pub struct Gone(Vec<plan::Removed>);

impl Gone {
    fn of(plan: &Plan) -> Self {
        let mut rows = plan.removed.clone();
        rows.sort_unstable_by(|a, b| {
            (&a.path, a.layer, &a.reason, a.bytes).cmp(&(&b.path, b.layer, &b.reason, b.bytes))
        });
        Self(rows)
    }

    /// The rows, by path, then layer.
    pub fn rows(&self) -> impl Iterator<Item = Removed> {
        self.0.iter().map(Removed::of)
    }
}

impl Serialize for Gone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows())
    }
}

/// An entry that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Removed {
    /// Where it was.
    pub path: String,
    /// Why it goes, as a word.
    pub reason: &'static str,
    /// As what the catalog names it, for the reason `catalogued`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The interpreter, link target or glob that the reason speaks of; of what goes as catalogued without being called
    /// so: what it really is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The package that owned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Layer, from 0 at the bottom.
    pub layer: u32,
    /// Bytes of content; hard links count once.
    pub bytes: u64,
}

/// A catalogued program that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Residual {
    /// Where.
    pub path: String,
    /// As what the catalog names it.
    pub class: Class,
    /// Why it stays.
    pub why: String,
    /// What would remove it, where kiln knows.
    pub remedy: Option<String>,
    /// What it is, if it is many programs in one file: `busybox`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_call: Option<String>,
    /// Names under which the source started it as another program: what it still does when told so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub applets: Vec<String>,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Whether it still owns files.
    pub kept: bool,
    /// What led to it, or why it went.
    pub why: String,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// `kiln explain CODE` tells more.
    pub code: String,
    /// The code as a word.
    pub slug: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about.
    pub subject: String,
    /// What was seen there.
    pub message: String,
}

impl Report {
    /// The report of `plan`.
    pub fn of(plan: &Plan, context: &Context) -> Self {
        let removed = Gone::of(plan);
        Self {
            media_type: MEDIA_TYPE,
            kiln: context.version.clone(),
            source: Image::of(&context.source),
            destinations: context.destinations.iter().map(Image::of).collect(),
            platform: context.platform.clone(),
            level: plan.level,
            options: context.options.clone(),
            recipes: plan.recipes.clone(),
            entrypoint: Entrypoint::of(&plan.entrypoint),
            user: User::of(&plan.user),
            writable: plan.writable.iter().map(Writable::of).collect(),
            baked: plan.baked.iter().map(Into::into).collect(),
            ports: plan.ports.iter().map(Port::of).collect(),
            probe: plan.probe.as_ref().map(ProbeText::of),
            env: plan
                .env
                .iter()
                .map(|rule| EnvText {
                    name: rule.name.clone(),
                    value: rule.value.clone(),
                    why: rule.why.clone(),
                })
                .collect(),
            before: Totals::of(plan.before),
            after: Totals::of(plan.after),
            layers: context.layers.iter().map(Layer::of).collect(),
            totals: Sums::over(&removed),
            removed,
            residual: plan.residual.iter().map(Residual::of).collect(),
            packages: plan.packages.iter().map(Package::of).collect(),
            findings: Finding::all(&plan.findings),
            trial: context.trial.clone(),
        }
    }

    /// Writes the document: two blanks of indentation, a newline at the end.
    pub fn write_to(&self, mut out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")
    }
}

/// The JSON Schema of the report.
pub fn schema() -> String {
    json::render_schema::<Report>()
}

impl Sums {
    /// Sums over `removed`.
    pub fn over(removed: &Gone) -> Self {
        let mut sums = Self::default();
        for entry in removed.rows() {
            sums.all.add(entry.bytes);
            sums.by_reason.entry(entry.reason.to_owned()).or_default().add(entry.bytes);
            if let Some(class) = entry.class {
                sums.by_class.entry(class_word(class).to_owned()).or_default().add(entry.bytes);
            }
            sums.by_layer.entry(entry.layer).or_default().add(entry.bytes);
            sums.by_package.entry(entry.package.unwrap_or_default()).or_default().add(entry.bytes);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn total<'a>(sums: impl IntoIterator<Item = &'a Sum>) -> Sum {
        sums.into_iter().fold(Sum::default(), |all, sum| Sum {
            entries: all.entries + sum.entries,
            bytes: all.bytes + sum.bytes,
        })
    }

    fn text(plan: &Plan) -> String {
        let mut out = Vec::new();
        Report::of(plan, &fixture::context()).write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sums_equal_the_listed_entries() {
        let report = Report::of(&fixture::plan(), &fixture::context());
        let listed = Sum {
            entries: report.removed.rows().count() as u64,
            bytes: report.removed.rows().map(|entry| entry.bytes).sum(),
        };
        assert!(listed.entries > 5 && listed.bytes > 0);
        let sums = &report.totals;
        assert_eq!(sums.all, listed);
        assert_eq!(total(sums.by_reason.values()), listed);
        assert_eq!(total(sums.by_layer.values()), listed);
        assert_eq!(total(sums.by_package.values()), listed);
        assert_eq!(total(sums.by_class.values()), sums.by_reason["catalogued"]);
    }

    #[test]
    fn order_of_the_plans_lists_does_not_reach_the_document() {
        let plan = fixture::plan();
        let mut shuffled = plan.clone();
        shuffled.removed.reverse();
        shuffled.findings.reverse();
        assert_eq!(text(&plan), text(&shuffled));
    }

    #[test]
    fn document_is_valid_under_its_own_schema() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let text = text(&fixture::plan());
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let problems: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert_eq!(problems, Vec::<String>::new());
        assert!(!validator.is_valid(&serde_json::json!({ "mediaType": MEDIA_TYPE })));
    }
}
