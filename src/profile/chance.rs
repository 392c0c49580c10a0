//! Names that a program makes up, recognised by how they are made, and told by a template.
//!
//! `mkstemp`, `mkdtemp`, `mktemp` and what other languages have in their place make a file or directory that must be new
//! and that nobody else may use, and put characters of chance into its name. Such a name is another in each run, so
//! that it says nothing and makes two profiles differ: [`STAND_IN`] is written in place of the characters of chance. The
//! directory stays, which is what must be writable.
//!
//! Does not know the image: what is in it was not made.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Exec, How};
use crate::path::{Escaped, ImagePath};

/// What stands for characters of chance, however many: what `mktemp` has in its templates.
const STAND_IN: &[u8] = b"XXXXXX";
/// Fewest characters of chance: POSIX' `mkstemp` has six, and nobody fewer.
const FEWEST: usize = 6;
/// How many characters of chance there are where a word of a language would do as well: `mkstemp`, Python, Perl.
const USUAL: [usize; 3] = [6, 8, 10];
/// What Python puts before its characters where a program gives no word of its own, and how many there are.
const PYTHON: &[u8] = b"tmp";
const PYTHONS: usize = 8;
/// What GNU programs put before six characters where nothing stands between: `sed -i`, and `ln -f` of coreutils.
const GNU: [&[u8]; 2] = [b"sed", b"Cu"];
/// Digits in a row that no version and no port has: Go and Java make names of digits only.
const MANY_DIGITS: usize = 6;

/// Names of one run that were made by chance.
#[derive(Debug, Default)]
pub(super) struct Chance {
    /// What stands for the name of each such path.
    names: BTreeMap<ImagePath, Vec<u8>>,
    /// The same by name, as text.
    texts: BTreeMap<String, String>,
}

impl Chance {
    /// Of `private`, which were made new and for one user only, those whose names are chance; `ways` is what else was done. A
    /// link that gets another name was made as new.
    pub(super) fn find(private: &BTreeSet<ImagePath>, ways: &BTreeMap<ImagePath, BTreeSet<How>>) -> Self {
        let mut chance = Self::default();
        let is_renamed = |how: &BTreeSet<How>| how.contains(&How::Linked) && how.contains(&How::RenamedAway);
        let links = ways.iter().filter(|(_, how)| is_renamed(how)).map(|(path, _)| path);
        for path in private.iter().chain(links) {
            let was = |wanted: &[How]| {
                ways.get(path).is_some_and(|ways| wanted.iter().any(|how| ways.contains(how)))
            };
            let lives = match (was(&[How::Removed, How::RenamedAway]), was(&[How::Directory])) {
                (true, true) => Lives::ShortDirectory,
                (true, false) => Lives::Short,
                (false, _) => Lives::On,
            };
            if let Some(name) = template(path.name(), lives) {
                let text = |bytes: &[u8]| Escaped::new(bytes).to_string();
                chance.texts.insert(text(path.name()), text(&name));
                chance.names.insert(path.clone(), name);
            }
        }
        chance
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Their templates.
    pub(super) fn templates(&self) -> BTreeSet<ImagePath> {
        self.names.keys().map(|path| self.path(path)).collect()
    }

    /// `path`, or what stands for it.
    pub(super) fn path(&self, path: &ImagePath) -> ImagePath {
        let (mut real, mut told) = (ImagePath::root(), ImagePath::root());
        for name in path.components() {
            real = real.child(name);
            told = told.child(self.names.get(&real).map_or(name, Vec::as_slice));
        }
        told
    }

    /// A word or a path as text, with templates for such names where they stand between `/` and the like.
    pub(super) fn text(&self, text: &str) -> String {
        let ends = ['/', '=', ':', ',', ';', ' ', '"', '\''];
        let part = |part: &str| {
            let name = part.trim_end_matches(ends);
            let template = self.texts.get(name)?;
            Some(format!("{template}{}", part.get(name.len()..).unwrap_or_default()))
        };
        text.split_inclusive(ends).map(|text| part(text).unwrap_or_else(|| text.to_owned())).collect()
    }

    /// Writes templates for such names in all that `exec` was given.
    pub(super) fn put_into(&self, exec: &mut Exec) {
        let texts = [&mut exec.path, &mut exec.file, &mut exec.cwd].into_iter();
        let texts = texts.chain(&mut exec.interpreter).chain(&mut exec.argv);
        for text in texts.chain(exec.env.iter_mut().flat_map(|variable| &mut variable.values)) {
            *text = self.text(text);
        }
    }
}

/// How long something was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lives {
    /// It is gone, or has another name: nobody comes back to this one.
    Short,
    /// The same of a directory.
    ShortDirectory,
    /// It is there at the end.
    On,
}

/// Where in a name a part of it stands.
#[derive(Debug, Clone, Copy)]
struct Stands {
    from: usize,
    at_end: bool,
}

/// `name` with [`STAND_IN`] for the last part of it that is chance.
fn template(name: &[u8], lives: Lives) -> Option<Vec<u8>> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let mut end = name.len();
    while let Some(last) = name.get(..end)?.iter().rposition(is_part) {
        let from = name.get(..last)?.iter().rposition(|byte| !is_part(byte)).map_or(0, |at| at + 1);
        let part = name.get(from..=last)?;
        if is_chance(part, lives, Stands { from, at_end: last + 1 == name.len() }) {
            return Some([name.get(..from)?, STAND_IN, name.get(last + 1..)?].concat());
        }
        end = from;
    }
    None
}

fn is_chance(part: &[u8], lives: Lives, stands: Stands) -> bool {
    if part.len() < FEWEST {
        return false;
    }
    let python = part.strip_prefix(PYTHON).filter(|rest| rest.len() == PYTHONS);
    let gnu = GNU.iter().find_map(|word| part.strip_prefix(*word)).filter(|rest| rest.len() == FEWEST);
    // They are renamed at once, and then nobody looks for them.
    let own = python.or(gnu.filter(|_| lives == Lives::Short && stands.at_end)).unwrap_or(part);
    let usual = USUAL.contains(&own.len());
    if lives == Lives::On {
        return usual && is_mixed(own) && own.iter().any(u8::is_ascii_digit);
    }
    // Behind a name of its own a word will do, and of Python's there may be nothing before it.
    let begun = stands.from > 0 || own.len() < part.len() || own.len() == PYTHONS && lives == Lives::Short;
    is_mixed(own) || usual && begun && stands.at_end
}

/// Whether no language and no numbering has this word.
fn is_mixed(word: &[u8]) -> bool {
    let digits = |byte: &u8| byte.is_ascii_digit();
    if word.split(|byte| !digits(byte)).any(|run| run.len() >= MANY_DIGITS) {
        return true;
    }
    // `apache2` is a name, `a1vmRh` is not; `HelloWorld` may be one.
    let without_number =
        word.iter().rposition(|byte| !digits(byte)).and_then(|at| word.get(..=at)).unwrap_or_default();
    without_number.iter().any(digits)
        || without_number.windows(2).any(|pair| {
            matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase())
                && word.iter().any(digits)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, lives: Lives) -> Option<String> {
        template(name.as_bytes(), lives).map(|name| String::from_utf8(name).unwrap())
    }

    #[test]
    fn names_made_for_a_moment_are_told_by_their_template() {
        for (name, expect) in [
            ("apache2.pid.a1vmRh", "apache2.pid.XXXXXX"),
            ("apache2.pid.abcdef", "apache2.pid.XXXXXX"),
            ("socks.pxV4Do8k6A", "socks.XXXXXX"),
            (".ZendSem.lnNrXr", ".ZendSem.XXXXXX"),
            ("wgunicorn-c1dyfldd", "wgunicorn-XXXXXX"),
            ("wgunicorn-c_dyfl_d", "wgunicorn-XXXXXX"),
            ("tmpabcdefgh", "XXXXXX"),
            ("sedrcdHWt", "XXXXXX"),
            ("sedlowers", "XXXXXX"),
            ("CuAbcdef", "XXXXXX"),
            ("0uti5eg7", "XXXXXX"),
            ("abcdefgh", "XXXXXX"),
            ("upload1234567.part", "XXXXXX.part"),
        ] {
            assert_eq!(told(name, Lives::Short).as_deref(), Some(expect));
        }
    }

    #[test]
    fn names_that_somebody_looks_for_are_kept() {
        for name in [
            "postmaster.pid",
            ".s.PGSQL.5432.lock",
            "apache2.lock",
            "nginx.pid",
            "python3",
            "x",
            ".X11-unix",
            "lock",
        ] {
            assert_eq!(told(name, Lives::Short), None);
        }
        for name in ["mysqld", "sessions", "dovecot-1"] {
            assert_eq!(told(name, Lives::ShortDirectory), None);
        }
        for name in
            ["global", "sessions", "pg_logical", "pgsql15", "mysql8", "a1vmRhk", "version2", "Catalina"]
        {
            assert_eq!(told(name, Lives::On), None);
        }
        assert_eq!(told("tmp.a1vmRh", Lives::On).as_deref(), Some("tmp.XXXXXX"));
    }

    #[test]
    fn templates_stand_wherever_the_name_does() {
        let path = ImagePath::literal("/run/app/socks.a1vmRh");
        let ways = BTreeMap::from([(path.clone(), BTreeSet::from([How::RenamedAway]))]);
        let chance = Chance::find(&BTreeSet::from([path.clone()]), &ways);
        assert_eq!(chance.path(&path.child(b"in")).to_string(), "/run/app/socks.XXXXXX/in");
        let link = ImagePath::literal("/etc/CuAbcdef");
        let ways = BTreeMap::from([
            (link.clone(), BTreeSet::from([How::Linked, How::RenamedAway])),
            (ImagePath::literal("/etc/Custom01"), BTreeSet::from([How::Linked])),
        ]);
        let links = Chance::find(&BTreeSet::new(), &ways);
        assert_eq!(links.templates(), BTreeSet::from([ImagePath::literal("/etc/XXXXXX")]));
        let elsewhere = ImagePath::literal("/srv/socks.a1vmRh");
        assert_eq!(chance.path(&elsewhere), elsewhere, "a file of the image may have the same name");
        assert_eq!(chance.text("--at=/var/run/app/socks.a1vmRh/"), "--at=/var/run/app/socks.XXXXXX/");
        assert_eq!(chance.text("socks.a1vmRhk"), "socks.a1vmRhk");
    }
}
