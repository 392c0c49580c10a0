//! What fills volumes where kiln has no helper for an image's processor: a script for the shell of the source image.
//!
//! Does what the helper does, with the source's own programs: a tree is there whole or not at all, what is there is left as it
//! is, and a volume that holds something else is refused. Writes it from what was decided, and reads no image. For another pod
//! that fills the same claim it waits only where the source has `flock`; else the second of them may fail, and finds the volume
//! filled when it is started again.

use std::fmt::Write as _;

use super::{TREE, VOLUMES_PATH};
use crate::path::ImagePath;

/// What it needs in the source, besides [`SHELL`]: also what most shells have built in.
pub const PROGRAMS: [&str; 9] = ["chgrp", "chmod", "cp", "mkdir", "mv", "printf", "rm", "rmdir", "sync"];

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
    3 * 4 * path.as_bytes().len() + 192
}

/// What all trees have in common. `fill` leaves `$new` empty where there is nothing to do.
const HEAD: &str = r#"set -eu
umask 0
say() { printf 'kiln-seed: %s\n' "$1" >&2; }
refuse() {
    say "$1"
    exit 1
}
empty() {
    for file in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -e "$file" ] || [ -L "$file" ]; then return 1; fi
    done
}
listed() { [ -r "$1" ] && [ -x "$1" ]; }
read -r host </proc/sys/kernel/hostname || host=pod
lock=
if command -v flock >/dev/null 2>&1; then lock=1; fi
fill() {
    volume=VOLUMES$1 new=
    tree=$volume/TREE
    if ! listed "$volume"; then refuse "$1: its volume cannot be listed"; fi
    if [ -n "$lock" ]; then
        exec 9<"$volume"
        if ! flock -n 9; then
            say "$1: waits for another pod that fills its volume"
            flock 9
        fi
    fi
    if [ -L "$tree" ] || { [ -e "$tree" ] && [ ! -d "$tree" ]; }; then
        refuse "$1: \`TREE\` of its volume is no directory"
    fi
    if [ -d "$tree" ]; then
        # Of one that may not be listed somebody has made something.
        if [ "$2" = 0 ] || ! listed "$tree" || ! empty "$tree"; then
            say "$1: its volume was filled before"
            return
        fi
    fi
    for file in "$volume"/* "$volume"/.[!.]* "$volume"/..?*; do
        case ${file##*/} in TREE | .kiln-new* | .kiln-part | lost+found) continue ;; esac
        if [ -e "$file" ] || [ -L "$file" ]; then
            refuse "$1: its volume has no \`TREE\` yet, and holds what that would hide"
        fi
    done
    if [ -d "$tree" ]; then rmdir "$tree"; fi
    new=$volume/.kiln-new-$host
    # Without a lock those of other pods may be in use.
    for file in "$new" "$volume"/.kiln-part "$volume"/.kiln-new*; do
        if [ -z "$lock" ] && [ "$file" != "$new" ]; then continue; fi
        if [ -d "$file" ] && [ ! -L "$file" ]; then chmod -R u+rwx "$file" 2>/dev/null || :; fi
        rm -rf "$file"
    done
    mkdir -m 700 "$new"
    chmod g-s "$new"
}
filled() {
    sync
    if [ -e "$tree" ]; then refuse "$1: another pod filled its volume meanwhile"; fi
    mv "$new" "$tree"
    say "$1: copied to its volume"
}
"#;

/// The arguments of a container that fills volumes with `trees`, as this user and group; `None` where they would be too long,
/// or a name is no text.
pub fn command(trees: &[Tree], uid: u32, gid: u32) -> Option<Vec<String>> {
    let mut out = HEAD.replace("VOLUMES", &format!("/{VOLUMES_PATH}")).replace("TREE", TREE);
    // Only root is expected to keep owners, and a container's root without capabilities cannot.
    let copy = if uid == 0 { "cp -RP" } else { "cp -RPp" };
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
            let _ = if uid == 0 { Ok(()) } else { writeln!(out, "    chgrp -hR {gid} \"$new\"") };
        }
        for Change { path, mode, is_made } in &tree.changes {
            let path = inside(path)?;
            let _ = if *is_made { writeln!(out, "    mkdir {path}") } else { Ok(()) };
            // With five digits setgid is taken away as well.
            let _ = writeln!(out, "    chmod {mode:05o} {path}");
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
        let [shell, option, script] = &*command(&trees, 33, 44).unwrap() else { panic!() };
        assert_eq!((shell.as_str(), option.as_str()), ("sh", "-c"));
        let (_, own) = script.split_once("filled() {").unwrap().1.split_once("\n}\n").unwrap();
        assert_eq!(
            own,
            r#"fill '/srv/it'\''s' 1
if [ -n "$new" ]; then
    cp -RPp '/srv/it'\''s'/. "$new"
    chgrp -hR 44 "$new"
    chmod 00700 "$new"
    mkdir "$new"/'$(a) b'
    chmod 00755 "$new"/'$(a) b'
    filled '/srv/it'\''s'
fi
"#
        );
        let own = &command(&trees, 0, 0).unwrap()[2];
        assert!(own.contains("    cp -RP '/srv/") && !own.contains("chgrp"));
    }

    #[test]
    fn a_longer_one_than_a_program_takes_is_none_and_what_costs_less_fits() {
        let long = format!("/a/{}", "'".repeat(200));
        let change = (long.as_str(), 0o644, false);
        let fits = ROOM / cost(&ImagePath::literal(&long)) - 1;
        assert!(command(&[tree("/a", &vec![change; fits])], 1, 1).is_some());
        assert!(command(&[tree("/a", &vec![change; MAX_SCRIPT / long.len()])], 1, 1).is_none());
    }
}
