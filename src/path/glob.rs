//! Globs over paths inside an image, compiled together and answering which of them matched.
//!
//! Knows no file tree and follows no link: it looks at the bytes of absolute paths only.

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use super::ImagePath;

/// Longest pattern accepted, in bytes: longer than any path would be of no use.
pub const MAX_GLOB: usize = 4096;

/// Why a text is no glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Paths inside an image are absolute.
    #[error("glob `{0}` does not begin with `/` or `**/`")]
    NotAbsolute(String),
    /// `..` names nothing in a normalised path.
    #[error("glob `{0}` contains `..`")]
    ParentComponent(String),
    /// Longer than [`MAX_GLOB`].
    #[error("glob of {0} bytes is longer than {MAX_GLOB}")]
    TooLong(usize),
    /// The pattern language has rules of its own.
    #[error("glob `{glob}` is not valid: {why}")]
    Syntax {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        why: String,
    },
    /// All together compile to more than the matcher allows.
    #[error("{count} globs are too large together: {why}")]
    TooLarge {
        /// How many.
        count: usize,
        /// What the matcher says.
        why: String,
    },
}

/// Globs compiled together.
///
/// `*` and `?` stay within a component, `**` crosses components, `{a,b}` are alternatives (an empty one is
/// allowed), `[a-z]` is a class, `\` escapes.
#[derive(Debug, Clone, Default)]
pub struct PathGlobs {
    set: GlobSet,
    len: usize,
}

impl PathGlobs {
    /// Compiles `globs`; their positions are what [`Self::matches`] answers.
    pub fn new<S: AsRef<str>>(globs: impl IntoIterator<Item = S>) -> Result<Self, GlobError> {
        let mut builder = GlobSetBuilder::new();
        let mut len = 0;
        for glob in globs {
            builder.add(compile(glob.as_ref())?);
            len += 1;
        }
        let set = builder
            .build()
            .map_err(|error| GlobError::TooLarge { count: len, why: error.kind().to_string() })?;
        Ok(Self { set, len })
    }

    /// Number of globs.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether any glob matches `absolute` (with its leading `/`).
    pub fn is_match(&self, absolute: &[u8]) -> bool {
        self.set.is_match_candidate(&Candidate::from_bytes(absolute))
    }

    /// Positions of the globs that match `absolute` (with its leading `/`), ascending.
    pub fn matches(&self, absolute: &[u8]) -> Vec<usize> {
        self.set.matches_candidate(&Candidate::from_bytes(absolute))
    }

    /// Position of the first glob that matches `absolute` (with its leading `/`).
    pub fn first_match(&self, absolute: &[u8]) -> Option<usize> {
        self.matches(absolute).into_iter().min()
    }
}

/// Whether `c` means something in a glob besides itself.
fn is_special(c: char) -> bool {
    "?*[]{}\\".contains(c)
}

/// The glob that matches the absolute path `text`, and nothing else.
pub fn literal(text: &str) -> String {
    text.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The deepest directory that `glob` itself names: what it matches is that, or lies below it.
pub fn directory(glob: &str) -> ImagePath {
    let end = glob.find(is_special).unwrap_or(glob.len());
    let plain = glob.get(..end).unwrap_or_default();
    let whole = plain.rfind('/').and_then(|at| plain.get(..at)).unwrap_or_default();
    ImagePath::parse(whole.as_bytes()).unwrap_or_else(|_| ImagePath::root())
}

/// Checks one glob without keeping it.
pub fn check_glob(glob: &str) -> Result<(), GlobError> {
    compile(glob).map(drop)
}

fn compile(glob: &str) -> Result<globset::Glob, GlobError> {
    if glob.len() > MAX_GLOB {
        return Err(GlobError::TooLong(glob.len()));
    }
    if !glob.starts_with('/') && !glob.starts_with("**/") {
        return Err(GlobError::NotAbsolute(glob.to_owned()));
    }
    if glob.split('/').any(|component| component == "..") {
        return Err(GlobError::ParentComponent(glob.to_owned()));
    }
    GlobBuilder::new(glob)
        .literal_separator(true)
        .empty_alternates(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| GlobError::Syntax { glob: glob.to_owned(), why: error.kind().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_component_and_double_stars_do_not() {
        let globs = PathGlobs::new(["/etc/*", "/etc/**", "**/redis-server", "/a{,/**}"]).unwrap();
        assert_eq!(globs.matches(b"/etc/passwd"), [0, 1]);
        assert_eq!(globs.matches(b"/etc/ssl/certs"), [1]);
        assert_eq!(globs.matches(b"/usr/bin/redis-server"), [2]);
        assert_eq!(globs.first_match(b"/a"), Some(3));
        assert_eq!(globs.first_match(b"/a/b/c"), Some(3));
        assert_eq!(globs.first_match(b"/ab"), None);
    }

    #[test]
    fn what_a_glob_matches_lies_in_its_directory() {
        for (glob, directory) in [
            ("/usr/lib/nginx/modules/*.so", "/usr/lib/nginx/modules"),
            ("/usr/lib/python3*/**", "/usr/lib"),
            ("/etc/nginx{,/**}", "/etc"),
            ("/etc/passwd", "/etc"),
            ("/a/\\*", "/a"),
            ("/*", "/"),
            ("**/redis-server", "/"),
        ] {
            assert_eq!(super::directory(glob).to_string(), directory, "{glob}");
        }
    }

    #[test]
    fn names_that_are_not_utf8_match() {
        let globs = PathGlobs::new(["/etc/*"]).unwrap();
        assert!(globs.is_match(b"/etc/\xff\xfe"));
    }

    #[test]
    fn a_literal_matches_itself_only() {
        let path = "/a[b]*{c,d}?\\e";
        let globs = PathGlobs::new([literal(path)]).unwrap();
        assert!(globs.is_match(path.as_bytes()));
        assert!(!globs.is_match(b"/abc"));
        assert_eq!(literal("/usr/bin/env"), "/usr/bin/env");
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        assert!(matches!(check_glob("etc/*"), Err(GlobError::NotAbsolute(_))));
        assert!(matches!(check_glob("/a/../b"), Err(GlobError::ParentComponent(_))));
        assert!(matches!(check_glob("/a[b"), Err(GlobError::Syntax { .. })));
        assert!(matches!(check_glob(&"/a".repeat(3000)), Err(GlobError::TooLong(6000))));
    }
}
