//! Logs as real programs print them: every path that a line tells, and none that it does not.
//!
//! The rows of `testdata/logs/expected.tsv` are what a person reads in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kiln::audit::logs::Lines;

#[test]
fn lines_tell_the_paths_that_a_person_reads_in_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/logs");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let mut expected: BTreeMap<(String, usize), BTreeSet<String>> = BTreeMap::new();
    for row in table.lines().filter(|row| !row.starts_with('#') && !row.starts_with("file\t")) {
        let [file, line, path] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        expected.entry((file.to_owned(), line.parse().unwrap())).or_default().insert(path.to_owned());
    }
    let mut found: BTreeMap<(String, usize), BTreeSet<String>> = BTreeMap::new();
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names.into_iter().filter(|path| path.extension().is_some_and(|end| end == "log")) {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        for told in Lines::new(&mut bytes.as_slice()) {
            let told = told.unwrap();
            let number = usize::try_from(told.line).unwrap();
            for denied in told.denied {
                let path = denied.path.unwrap_or_else(|| "-".to_owned());
                found.entry((file.clone(), number)).or_default().insert(path);
            }
        }
    }
    let mut wrong = Vec::new();
    for key in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        if expected.get(key) != found.get(key) {
            wrong.push(format!("{key:?}: expected {:?}, found {:?}", expected.get(key), found.get(key)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
