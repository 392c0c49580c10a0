//! ELF files: the same facts however they stream by, in bounded numbers.

use kiln::elf::facts::{FactsReader, MAX_PATHS, Outcome, classify};

/// Checks one file.
pub fn check(data: &[u8]) {
    let whole = read(data, data.len().max(1), data.len() as u64);
    assert_eq!(
        read(data, 1 + data.len() % 97, data.len() as u64),
        whole,
        "the sizes of pieces do not matter"
    );
    if let Outcome::Elf(facts) = &whole {
        assert!(facts.paths.len() <= MAX_PATHS);
        // What a file says of itself is in it.
        let texts = facts.needed.iter().chain(&facts.interpreter).chain(&facts.soname).chain(&facts.runpath);
        for text in texts {
            let found = text.is_empty() || data.windows(text.len()).any(|window| window == &**text);
            assert!(found, "{text:?} is not in the file");
        }
    }
    // As a large file, of which parts are held only; more may be announced than comes.
    let _ = read(data, 4096, 3 << 20);
    let _ = read(data, 4096, u64::MAX);
    let _ = classify(data);
}

fn read(data: &[u8], step: usize, size: u64) -> Outcome {
    let mut reader = FactsReader::new(size);
    data.chunks(step).for_each(|piece| reader.push(piece));
    reader.finish()
}
