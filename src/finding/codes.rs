//! Every code a finding can have, with the text that `kiln explain` prints.
//!
//! Holds words only; who raises a code is in the modules that decide.

use super::Severity;

/// What `kiln explain CODE` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeDoc {
    /// Stable id, as printed: `KN001`.
    pub id: &'static str,
    /// Stable name, as a word: `shell-stays`.
    pub slug: &'static str,
    /// Severity of every finding of this code.
    pub severity: Severity,
    /// What it finds, in one line.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// A finding as it looks.
    pub example: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

macro_rules! codes {
    ($($variant:ident $id:literal $slug:literal $severity:ident: $title:literal, why $why:literal, example $example:literal, remedy $remedy:literal;)*) => {
        /// The code of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in order of id.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The words of this code.
            pub fn doc(self) -> &'static CodeDoc {
                match self {
                    $(Self::$variant => &CodeDoc {
                        id: $id,
                        slug: $slug,
                        severity: Severity::$severity,
                        title: $title,
                        why: $why,
                        example: $example,
                        remedy: $remedy,
                    },)*
                }
            }

            /// The code whose id or slug is `name`, letter case aside.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|code| code.doc().id.eq_ignore_ascii_case(name) || code.doc().slug.eq_ignore_ascii_case(name))
            }
        }
    };
}

codes! {
    ShellStays "KN001" "shell-stays" High: "the entrypoint needs a shell, and nothing lowers it",
        why "",
        example "",
        remedy "";
    EntrypointLowered "KN002" "entrypoint-lowered" Info: "the entrypoint was replaced by what it ends up running",
        why "",
        example "",
        remedy "";
    EntrypointNotFound "KN003" "entrypoint-not-found" High: "the entrypoint names a program that the image does not have",
        why "",
        example "",
        remedy "";
    EntrypointMissing "KN004" "entrypoint-missing" High: "the image has neither entrypoint nor command",
        why "",
        example "",
        remedy "";
    ToolStays "KN005" "tool-stays" Medium: "a catalogued program stays",
        why "",
        example "",
        remedy "";
    CallsShell "KN006" "calls-shell" Low: "a kept program imports `system` or `popen`, which need a shell",
        why "",
        example "",
        remedy "";
    ScriptStripped "KN007" "script-stripped" Low: "a script went with its interpreter",
        why "",
        example "",
        remedy "";
    LibraryMissing "KN008" "library-missing" Medium: "a kept program needs a library that the image never had",
        why "",
        example "",
        remedy "";
    ElfUnreadable "KN009" "elf-unreadable" Medium: "an ELF file's needs could not be read",
        why "",
        example "",
        remedy "";
    StripBreaks "KN010" "strip-breaks" High: "`--strip` removes what a kept file needs",
        why "",
        example "",
        remedy "";
    GlobUnused "KN011" "glob-unused" Medium: "a `--keep` or `--strip` glob matches nothing",
        why "",
        example "",
        remedy "";
    RecipeRuleUnused "KN012" "recipe-rule-unused" Low: "a rule of a matched recipe matches nothing in the image",
        why "",
        example "",
        remedy "";
    Unreadable "KN013" "unreadable" High: "the user cannot read what the entrypoint needs",
        why "",
        example "",
        remedy "";
    OwnerRemains "KN014" "owner-remains" Medium: "the user owns a file outside the writable paths",
        why "",
        example "",
        remedy "";
    UserChanged "KN015" "user-changed" Info: "the image ran as another user",
        why "",
        example "",
        remedy "";
    PrivilegeLost "KN016" "privilege-lost" Medium: "a kept program lost its setuid bit or file capabilities",
        why "",
        example "",
        remedy "";
    WritableHasContent "KN017" "writable-has-content" High: "a path that must be writable has content in the image",
        why "",
        example "",
        remedy "";
    WritableUndeclared "KN018" "writable-undeclared" Low: "a writable directory of the source is not declared writable",
        why "",
        example "",
        remedy "";
    VolumeMoved "KN019" "volume-moved" Info: "a `VOLUME` became a declared writable path",
        why "",
        example "",
        remedy "";
    HealthcheckDropped "KN020" "healthcheck-dropped" Low: "the image's health check cannot run any more",
        why "",
        example "",
        remedy "";
    SecretBaked "KN021" "secret-baked" Medium: "the image carries a secret made when a package was installed",
        why "",
        example "",
        remedy "";
    LowPort "KN022" "low-port" Info: "the app listens below 1024 and is not root",
        why "",
        example "",
        remedy "";
    ImageNamePlaceholder "KN023" "image-name-placeholder" Low: "the pod spec names no registry's image",
        why "",
        example "",
        remedy "";
    ShadowedKept "KN024" "shadowed-kept" Low: "content that upper layers replaced or deleted stays in lower ones",
        why "",
        example "",
        remedy "";
    EnvRedirect "KN025" "environment-redirect" Info: "an environment variable keeps the app from writing into its code",
        why "",
        example "",
        remedy "";
    WritableFile "KN026" "writable-file" Medium: "a single file must be writable in a read-only directory",
        why "",
        example "",
        remedy "";
    PackagesUnsupported "KN027" "packages-unsupported" Medium: "the image's package database is of a kind that kiln cannot filter yet",
        why "",
        example "",
        remedy "";
    ScriptNotDirect "KN028" "script-not-direct" Info: "scripts start through a program that went; their interpreter stays",
        why "",
        example "",
        remedy "";
    LinkCut "KN029" "link-cut" Info: "a symbolic link went with its target",
        why "",
        example "",
        remedy "";
    ExecutableUncertain "KN030" "facts-uncertain" Medium: "too much to remember: facts about a file were not kept",
        why "",
        example "",
        remedy "";
}
