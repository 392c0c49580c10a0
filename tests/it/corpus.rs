//! The fuzzers' corpus, through the functions that they call: what was found once stays found.
//!
//! Does not fuzz; `tests/fuzz/run` does.

use std::fs;
use std::path::Path;

#[path = "../fuzz/entry/mod.rs"]
mod entry;

#[test]
fn every_input_of_the_corpus_keeps_what_the_fuzzers_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz");
    for (name, check) in entry::TARGETS {
        let mut inputs: Vec<_> =
            fs::read_dir(corpus.join(name)).unwrap().map(|input| input.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "no input for {name}");
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            assert!(std::panic::catch_unwind(|| check(&bytes)).is_ok(), "{}", input.display());
        }
    }
    let directories = fs::read_dir(&corpus).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(directories.count(), entry::TARGETS.len(), "each directory of the corpus has its target");
}

#[test]
fn recipes_that_kiln_brings_keep_what_the_fuzzers_hold() {
    for recipe in kiln::recipe::builtin() {
        entry::recipe::check(kiln::recipe::builtin_text(&recipe.name).unwrap().as_bytes());
    }
}
