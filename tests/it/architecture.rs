//! The house rules, held on the sources: rows, edges, and what must not stand in a file.
//!
//! Knows the rules as data; how sources are read is in `sources`.

use crate::sources::{Source, below, crate_paths, is_word};

/// A module's row: it imports from its own row and from lower ones. The longest name counts.
const ROWS: &[(u32, &str)] = &[
    // Values.
    (0, "deflate"),
    (0, "digest"),
    (0, "finding"),
    (0, "json"),
    (0, "limits"),
    (0, "path"),
    (0, "progress"),
    (0, "promise"),
    (0, "reference"),
    // What is in the image.
    (1, "accounts"),
    (1, "elf"),
    (1, "evidence"),
    (1, "image"),
    (1, "packages"),
    (1, "profile"),
    (1, "rootfs"),
    // What is known about software in general.
    (2, "catalog"),
    (2, "recipe"),
    (2, "seed"),
    // What will happen, and why.
    (3, "options"),
    (3, "plan"),
    // New bytes, new documents.
    (4, "kube"),
    (4, "layer"),
    (4, "manifest"),
    (4, "report"),
    // Edges, one file per place.
    (5, "cache"),
    (5, "daemon"),
    (5, "registry"),
    (5, "sandbox"),
    (5, "sink"),
    (5, "source"),
    (5, "trace"),
    // A pipeline each.
    (6, "audit"),
    (6, "fix"),
    (6, "converge"),
    (6, "documents"),
    (6, "harden"),
    (6, "observe"),
    (6, "run"),
    (6, "trial"),
    (6, "verify"),
    // Arguments, output, exit status.
    (7, "cli"),
    (7, "main"),
];

/// Modules that touch the world.
const EDGES: &[&str] =
    &["cache", "daemon", "registry", "sandbox", "source", "sink", "trace", "observe", "cli", "main"];

/// What touches the world.
const WORLD: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "env::args",
    "env::current_dir",
    "env::temp_dir",
    "env::var",
    "fs::read",
    "fs::write",
    "File::open",
    "File::create",
    "Command::new",
    "SystemTime",
    "Instant",
    "tempfile",
];

/// Crates that only these modules know.
const CONFINED: &[(&str, &[&str])] = &[
    ("aho_corasick", &["catalog/content"]),
    ("anyhow", &["cli", "main"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("comfy_table", &["report/table"]),
    ("foldhash", &["path"]),
    ("goblin", &["elf/facts"]),
    ("indexmap", &["path"]),
    ("indicatif", &["cli/progress"]),
    ("k8s_openapi", &["kube"]),
    ("md5", &["packages"]),
    ("mimalloc", &["main"]),
    ("nix", &["sandbox", "trace"]),
    ("oci_spec", &["image"]),
    ("postcard", &["cache"]),
    ("quick_xml", &["audit/render/junit"]),
    ("rusqlite", &["packages/rpm"]),
    ("rustix", &["sandbox", "sink", "trace"]),
    ("rustls", &["registry"]),
    ("seccompiler", &["sandbox", "trace/table"]),
    ("granit_parser", &["kube/document"]),
    ("serde_saphyr", &["kube", "plan/writable/syntax"]),
    // `trace` has a module of that name.
    ("similar", &["cli/fix"]),
    ("signal_hook", &["sandbox/signal"]),
    ("syscalls", &["sandbox", "trace"]),
    ("tar_core", &["layer", "source", "sink"]),
    ("ureq", &["daemon", "registry"]),
    ("xxhash_rust", &["rootfs/identity"]),
];

/// What no file holds, tests included.
const NOWHERE: &[(&str, &str)] = &[
    ("todo!", "unfinished"),
    ("unimplemented!", "unfinished"),
    ("dbg!", "left from debugging"),
    ("#[ignore", "a test that does not run"),
    ("#[should_panic", "which panic?"),
    ("print!", "text goes through a `Write` that was given; a closed pipe must not panic"),
    ("println!", "as `print!`"),
    ("eprint!", "as `print!`"),
    ("eprintln!", "as `print!`"),
];

/// Longest file, test module apart.
const MAX_LINES: usize = 600;

fn row(module: &str) -> Option<u32> {
    ROWS.iter()
        .filter(|(_, name)| is_within(module, name))
        .max_by_key(|(_, name)| name.len())
        .map(|&(row, _)| row)
}

fn is_within(module: &str, name: &str) -> bool {
    module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Lines of `code` where `wanted` stands as a word of its own.
fn lines_with(code: &str, wanted: &str) -> Vec<usize> {
    let stands = |line: &str| {
        line.match_indices(wanted).any(|(at, _)| {
            let (before, after) = (line[..at].chars().next_back(), line[at + wanted.len()..].chars().next());
            let open = wanted.starts_with(|c: char| !is_word(c));
            let close = wanted.ends_with(|c: char| !is_word(c)) || ["fs::read", "env::var"].contains(&wanted);
            (open || !before.is_some_and(is_word)) && (close || !after.is_some_and(is_word))
        })
    };
    code.lines().enumerate().filter(|(_, line)| stands(line)).map(|(index, _)| index + 1).collect()
}

/// Fails with every breach at once.
fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// Code that is shipped, `lib.rs` apart: it only lists modules.
fn shipped() -> Vec<Source> {
    below("src").into_iter().filter(|source| !source.is_test() && source.path != "src/lib.rs").collect()
}

#[test]
fn modules_import_from_their_row_and_lower_ones_only() {
    let mut breaches = Vec::new();
    for source in shipped() {
        let module = source.module();
        let Some(own) = row(&module.join("/")) else {
            breaches.push(format!("{}: no row in this test's table", source.path));
            continue;
        };
        for (name, line) in crate_paths(&module, &source.code) {
            match row(&name) {
                Some(other) if other <= own => {}
                Some(other) => breaches
                    .push(format!("{}:{line}: row {own} imports `{name}` of row {other}", source.path)),
                None => breaches.push(format!("{}:{line}: `{name}` has no row", source.path)),
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn rows_tell_of_modules_that_could_exist() {
    let mut names: Vec<_> = ROWS.iter().map(|(_, name)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), ROWS.len(), "a module has one row");
    assert!(EDGES.iter().all(|edge| row(edge) >= Some(5)), "edges are above the core");
}

#[test]
fn core_modules_touch_nothing_of_the_world() {
    let mut breaches = Vec::new();
    for source in shipped() {
        let module = source.module().join("/");
        if EDGES.iter().any(|edge| is_within(&module, edge)) {
            continue;
        }
        for wanted in WORLD {
            for line in lines_with(&source.code, wanted) {
                breaches.push(format!("{}:{line}: `{wanted}` in a core module", source.path));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn crates_stay_where_they_are_wrapped() {
    let mut breaches = Vec::new();
    for source in shipped() {
        let module = source.module().join("/");
        for (name, homes) in CONFINED {
            if homes.iter().any(|home| is_within(&module, home)) {
                continue;
            }
            for line in lines_with(&source.code, &format!("{name}::")) {
                breaches.push(format!("{}:{line}: `{name}` belongs to {homes:?}", source.path));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn nothing_unfinished_unrun_or_printed_behind_the_back() {
    let mut breaches = Vec::new();
    for source in below("src").into_iter().chain(below("tests")) {
        for (wanted, why) in NOWHERE {
            for line in lines_with(&source.code_and_tests, wanted) {
                breaches.push(format!("{}:{line}: `{wanted}`: {why}", source.path));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn every_file_says_what_it_is_in_its_first_line() {
    let mut breaches = Vec::new();
    for source in below("src").into_iter().chain(below("tests/it")) {
        let first = source.text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") {
            breaches.push(format!("{}:1: expected `//! ` and a sentence, found `{first}`", source.path));
        }
    }
    assert_none(&breaches);
}

#[test]
fn no_file_is_longer_than_one_can_read() {
    let mut breaches = Vec::new();
    for source in shipped() {
        let lines = source.code.lines().count();
        if lines > MAX_LINES {
            breaches.push(format!("{}: {lines} lines without tests, more than {MAX_LINES}", source.path));
        }
    }
    assert_none(&breaches);
}

/// The order of a hash table differs from run to run: what is gone through must be ordered.
///
/// Sees a loop over a name that the same file declares as a hash table; a best effort.
#[test]
fn no_loop_goes_over_a_hash_table() {
    let mut breaches = Vec::new();
    for source in shipped() {
        for name in hash_tables(&source.code) {
            for way in [
                "",
                ".iter()",
                ".keys()",
                ".values()",
                ".into_iter()",
                ".into_keys()",
                ".into_values()",
                ".drain()",
            ] {
                let walks = [
                    format!("in {name}{way} {{"),
                    format!("in &{name}{way} {{"),
                    format!("in self.{name}{way} {{"),
                    format!("in &self.{name}{way} {{"),
                ];
                for (index, line) in source.code.lines().enumerate() {
                    if walks.iter().any(|walk| line.contains(walk.as_str())) {
                        breaches.push(format!("{}:{}: `{name}` is a hash table", source.path, index + 1));
                    }
                }
            }
        }
    }
    assert_none(&breaches);
}

/// Names declared as `name: HashMap<…>` or `name = HashMap::…`, paths and references aside.
fn hash_tables(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in code.lines() {
        let Some(at) = line.find("HashMap").or_else(|| line.find("HashSet")) else { continue };
        let before = line[..at].trim_end_matches(|c: char| is_word(c) || ":&'".contains(c)).trim_end();
        let before = before.trim_end_matches("mut").trim_end();
        let before = before.trim_end_matches([':', '=', '&']).trim_end();
        let name: String = before.chars().rev().take_while(|&c| is_word(c)).collect();
        if !name.is_empty() {
            names.push(name.chars().rev().collect());
        }
    }
    names
}

#[test]
fn breaches_would_be_seen() {
    assert_eq!(lines_with("a\nuse std::fs;\n", "std::fs"), [2]);
    assert!(lines_with("myprint!(x); InstantNoodles", "print!").is_empty());
    assert_eq!(lines_with("Instant::now()", "Instant"), [1]);
    assert_eq!(lines_with("#[ignore = x]", "#[ignore"), [1]);
    assert_eq!(hash_tables("let mut seen = std::collections::HashMap::new();\n"), ["seen"]);
    assert_eq!(row("elf/facts"), Some(1));
    assert_eq!(row("pathology"), None);
}
