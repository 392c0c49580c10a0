//! The manifests that kiln grew from: the audit finds in them what their README says, no more and no less.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use kiln::audit::{Auditor, Options};

/// File, container (none for the pod), and codes.
type Row = (String, Option<String>, BTreeSet<String>);

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/seeds")
}

/// The codes in a cell of the table, what stands in brackets left out.
fn codes(cell: &str) -> BTreeSet<String> {
    let words = cell.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| kiln::audit::rules::rule(word).is_some()).map(str::to_owned).collect()
}

/// The rows of the README's table.
fn told() -> BTreeMap<(String, Option<String>), BTreeSet<String>> {
    let text = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let (_, rest) = text.split_once("## What an audit must find").unwrap();
    let (table, _) = rest.split_once("How the rules were read").unwrap();
    let mut rows = BTreeMap::new();
    let mut last = String::new();
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let cells: Vec<&str> = line.split('|').skip(1).map(str::trim).collect();
        let name = |cell: &str| cell.trim_matches('`').to_owned();
        if !name(cells[0]).is_empty() {
            last = name(cells[0]);
        }
        let pod = codes(cells[1]);
        if !pod.is_empty() || cells.get(2).is_none_or(|cell| name(cell).is_empty()) {
            rows.insert((last.clone(), None), pod);
        }
        if let Some(container) = cells.get(2).map(|cell| name(cell)).filter(|name| !name.is_empty()) {
            rows.insert((last.clone(), Some(container)), codes(cells[3]));
        }
    }
    rows
}

fn found(file: &str) -> Vec<Row> {
    let options = Options::default();
    let mut auditor = Auditor::new(&options);
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    auditor.text(file, &text).unwrap();
    let audit = auditor.finish();
    let mut rows: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
    for finding in audit.open() {
        let container = finding.container.map(|at| audit.resource(finding).containers[at].1.clone());
        rows.entry(container).or_default().insert(finding.rule.id.to_owned());
    }
    rows.into_iter().map(|(container, codes)| (file.to_owned(), container, codes)).collect()
}

#[test]
fn audit_finds_what_the_readme_says() {
    let mut told = told();
    let mut wrong = String::new();
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    for file in files.iter().filter(|file| Path::new(file).extension().is_some_and(|end| end == "yaml")) {
        assert!(told.keys().any(|(known, _)| known == file), "{file} is not in the README's table");
        for (file, container, codes) in found(file) {
            let expect = told.remove(&(file.clone(), container.clone())).unwrap_or_default();
            if expect != codes {
                let _ = writeln!(wrong, "{file} {container:?}: told {expect:?}\n  found {codes:?}");
            }
        }
    }
    told.retain(|_, codes| !codes.is_empty());
    assert!(wrong.is_empty() && told.is_empty(), "{wrong}left: {told:?}");
}

/// What the README shows between two marks.
fn shown(name: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once(&format!("<!-- {name} -->\n")).unwrap();
    let (block, _) = rest.split_once(&format!("<!-- end of {name} -->")).unwrap();
    block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line).to_owned() + "\n").collect()
}

#[test]
fn readme_shows_what_is_printed() {
    let cases: [(&str, &[&str]); 2] = [
        ("audit", &["audit", "testdata/seeds/p9-fully-immutable.yaml"]),
        ("fix", &["fix", "--diff", "--skip", "FS001", "testdata/seeds/p1-apache-bash.yaml"]),
    ];
    for (name, arguments) in cases {
        let output = std::process::Command::new(assert_cmd::cargo::cargo_bin!("kiln"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(arguments)
            .output()
            .unwrap();
        // Blanks at the end of a line are not shown.
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: String = text.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        assert_eq!(lines, shown(name), "{name}");
    }
}
