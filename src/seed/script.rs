//! What fills volumes where kiln has no helper for an image's processor: a script for the shell of the source image.
//!
//! Does what the helper does, with the source's own programs: a tree is there whole or not at all, what is there is left as it
//! is, and a volume that holds something else is refused. Writes it from what was decided, and reads no image. It does not wait
//! for another pod that fills the same claim.

use std::fmt::Write as _;

use super::{TREE, VOLUMES_PATH};
use crate::path::ImagePath;

/// What it needs in the source, besides [`SHELL`].
pub const PROGRAMS: [&str; 6] = ["chmod", "cp", "mkdir", "mv", "rm", "rmdir"];

/// Who reads it.
pub const SHELL: &str = "sh";

/// Longest script, bytes: half of what the kernel takes as one argument.
const MAX_SCRIPT: usize = 64 << 10;

/// A tree that is copied.
pub struct Tree {
    /// Where it is.
    pub path: ImagePath,
    /// Whether the source has it; else it is made.
    pub is_there: bool,
    /// Whether there is anything in the copy.
    pub has_entries: bool,
    /// What is not as a plain copy leaves it, parents first; the tree itself is among them.
    pub changes: Vec<Change>,
}

/// Something in a tree that is not as the source has it.
pub struct Change {
    /// Where it is in the image.
    pub path: ImagePath,
    /// Its mode.
    pub mode: u16,
    /// Whether it is a directory that the source does not have.
    pub is_made: bool,
}

/// How many bytes of changes fit into a script.
pub const ROOM: usize = MAX_SCRIPT - 2 * HEAD.len();

/// How many bytes a tree at `path` takes in a script, at the most; or something in one that is changed.
pub fn cost(path: &ImagePath) -> usize {
    // A quote becomes four bytes; a tree is named three times.
    3 * 4 * path.as_bytes().len() + 128
}

/// What all trees have in common. `fill` leaves `$new` empty where there is nothing to do.
const HEAD: &str = r#"set -eu
umask 0
empty() {
    for file in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -e "$file" ] || [ -L "$file" ]; then return 1; fi
    done
}
say() { printf 'kiln-seed: %s\n' "$1" >&2; }
refuse() {
    say "$1"
    exit 1
}
fill() {
    volume=VOLUMES$1 new=
    if [ -L "$volume/TREE" ] || { [ -e "$volume/TREE" ] && [ ! -d "$volume/TREE" ]; }; then
        refuse "$1: \`TREE\` of its volume is no directory"
    fi
    if [ -d "$volume/TREE" ]; then
        if [ "$2" = 0 ] || ! empty "$volume/TREE"; then
            say "$1: its volume was filled before"
            return
        fi
    fi
    for file in "$volume"/* "$volume"/.[!.]* "$volume"/..?*; do
        case ${file##*/} in TREE | .kiln-new | lost+found) continue ;; esac
        if [ -e "$file" ] || [ -L "$file" ]; then
            refuse "$1: its volume has no \`TREE\` yet, and holds what that would hide"
        fi
    done
    if [ -d "$volume/TREE" ]; then rmdir "$volume/TREE"; fi
    new=$volume/.kiln-new
    if [ -d "$new" ] && [ ! -L "$new" ]; then chmod -R u+rwx "$new"; fi
    rm -rf "$new"
    mkdir "$new"
}
filled() {
    mv "$new" "$volume/TREE"
    say "$1: copied to its volume"
}
"#;

/// The arguments of a container that fills volumes with `trees`, as a user who is root or not; `None` where they would be too
/// long, or a name is no text.
pub fn command(trees: &[Tree], is_root: bool) -> Option<Vec<String>> {
    let mut out = HEAD.replace("VOLUMES", &format!("/{VOLUMES_PATH}")).replace("TREE", TREE);
    // Only root is expected to keep owners, and a container's root without capabilities cannot.
    let copy = if is_root { "cp -RP" } else { "cp -RPp" };
    for tree in trees {
        let path = quoted(&tree.path)?;
        let inside = |entry: &ImagePath| {
            let names: Vec<&[u8]> = entry.components().skip(tree.path.components().count()).collect();
            let mut whole = String::from("\"$new\"");
            if !names.is_empty() {
                let _ = write!(whole, "/{}", quote(std::str::from_utf8(&names.join(&b'/')).ok()?));
            }
            Some(whole)
        };
        let _ = writeln!(out, "fill {path} {}\nif [ -n \"$new\" ]; then", u8::from(tree.has_entries));
        if tree.is_there {
            let _ = writeln!(out, "    {copy} {path}/. \"$new\"");
        }
        for Change { path, mode, is_made } in &tree.changes {
            let path = inside(path)?;
            let _ = if *is_made { writeln!(out, "    mkdir {path}") } else { Ok(()) };
            let _ = writeln!(out, "    chmod {mode:04o} {path}");
        }
        let _ = writeln!(out, "    filled {path}\nfi");
    }
    (out.len() <= MAX_SCRIPT).then(|| vec![SHELL.to_owned(), "-c".to_owned(), out])
}

fn quoted(path: &ImagePath) -> Option<String> {
    Some(quote(&String::from_utf8(path.absolute()).ok()?))
}

/// `text` as one word of a shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(path: &str, changes: &[(&str, u16, bool)]) -> Tree {
        let change = |&(path, mode, is_made): &(&str, u16, bool)| Change {
            path: ImagePath::literal(path),
            mode,
            is_made,
        };
        Tree {
            path: ImagePath::literal(path),
            is_there: true,
            has_entries: true,
            changes: changes.iter().map(change).collect(),
        }
    }

    #[test]
    fn names_are_words_and_root_keeps_no_owners() {
        let trees = [tree("/srv/it's", &[("/srv/it's", 0o700, false), ("/srv/it's/$(a) b", 0o755, true)])];
        let [shell, option, script] = &*command(&trees, false).unwrap() else { panic!() };
        assert_eq!((shell.as_str(), option.as_str()), ("sh", "-c"));
        let (_, own) = script.split_once("filled() {").unwrap().1.split_once("\n}\n").unwrap();
        assert_eq!(
            own,
            r#"fill '/srv/it'\''s' 1
if [ -n "$new" ]; then
    cp -RPp '/srv/it'\''s'/. "$new"
    chmod 0700 "$new"
    mkdir "$new"/'$(a) b'
    chmod 0755 "$new"/'$(a) b'
    filled '/srv/it'\''s'
fi
"#
        );
        assert!(command(&trees, true).unwrap()[2].contains("    cp -RP '/srv/"));
    }

    #[test]
    fn a_longer_one_than_a_program_takes_is_none_and_what_costs_less_fits() {
        let long = format!("/a/{}", "'".repeat(200));
        let change = (long.as_str(), 0o644, false);
        let fits = ROOM / cost(&ImagePath::literal(&long)) - 1;
        assert!(command(&[tree("/a", &vec![change; fits])], false).is_some());
        assert!(command(&[tree("/a", &vec![change; MAX_SCRIPT / long.len()])], false).is_none());
    }
}
