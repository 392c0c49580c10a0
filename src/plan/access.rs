//! Owners and modes: who may read, who may write, in the finished image.
//!
//! Computes new owner and bits of one inode; which inodes stay is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::User;
use crate::path::ImagePath;
use crate::rootfs::Entry;

/// Bits that nothing keeps outside the writable paths: write, setuid, setgid.
const LOST_BITS: u16 = 0o6222;

/// Who the app is and what it may write.
pub struct Access<'a> {
    /// The user of the finished image.
    pub user: &'a User,
    /// Declared writable paths, and what their mount points get.
    pub writable: BTreeMap<ImagePath, Permissions>,
    /// Names in a writable path of files that have another name outside: one inode, so not writable.
    pub shared: BTreeSet<ImagePath>,
    /// Files, and directories on the way to them, that the user must be able to read.
    pub readable: BTreeSet<ImagePath>,
    /// Files that a lowered script would have given other bits or another owner, and which.
    pub set: BTreeMap<ImagePath, Permissions>,
}

/// Owner and permission bits of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What a directory is that no layer has an entry for, as runtimes make it.
pub const IMPLIED: Permissions = Permissions { mode: 0o755, uid: 0, gid: 0 };

impl Permissions {
    /// Those of `entry`.
    pub fn of(entry: &Entry) -> Self {
        Self { mode: entry.mode, uid: entry.uid, gid: entry.gid }
    }
}

impl Access<'_> {
    /// Whether `path` is a declared writable path or lies in one.
    pub fn is_writable(&self, path: &ImagePath) -> bool {
        path.is_within_any(|ancestor| self.writable.contains_key(ancestor)) && !self.shared.contains(path)
    }

    /// What `entry`, at `path`, gets.
    pub fn permissions(&self, path: &ImagePath, entry: &Entry) -> Permissions {
        let set = self.set.get(path).filter(|_| !entry.is_directory());
        let before = set.copied().unwrap_or_else(|| Permissions::of(entry));
        self.changed(path, before, entry.is_directory())
    }

    /// What becomes of the owner and bits `now` of what stands at `path`.
    ///
    /// Write, setuid and setgid bits go. What the user owns becomes root's, for an owner can give himself the
    /// bit back; his group, or everybody where the group is another's, keeps the right to read. What the user
    /// must read and cannot is opened to his group.
    pub fn changed(&self, path: &ImagePath, mut now: Permissions, is_directory: bool) -> Permissions {
        if let Some(declared) = self.writable.get(path).filter(|_| is_directory) {
            return Permissions { mode: declared.mode & !0o6000, ..*declared };
        }
        if self.is_writable(path) {
            // Never outside, never inside: these are about becoming somebody else.
            now.mode &= !0o6000;
            return now;
        }
        // The sticky bit says who may delete in a writable directory.
        let sticky = if now.mode & 0o222 == 0 { 0 } else { 0o1000 };
        now.mode &= !(LOST_BITS | sticky);
        if now.uid == self.user.uid && self.user.uid != 0 {
            let owner_bits = now.mode >> 6 & 0o5;
            now.uid = 0;
            if !self.user.in_group(now.gid) {
                now.gid = self.user.gid;
            }
            now.mode = now.mode & !0o070 | owner_bits << 3;
        }
        if self.readable.contains(path) {
            let wanted = if is_directory { 0o1 } else { 0o4 | u16::from(now.mode & 0o111 != 0) };
            if self.bits(now) & wanted != wanted {
                now.gid = self.user.gid;
                now.mode |= wanted << 3;
            }
        }
        now
    }

    /// Whether the user can do what `wanted` (4 read, 1 search or execute) says.
    pub fn can(&self, permissions: Permissions, wanted: u16) -> bool {
        self.bits(permissions) & wanted == wanted
    }

    /// Whether the user could do so in the source.
    pub fn could(&self, entry: &Entry, wanted: u16) -> bool {
        self.can(Permissions::of(entry), wanted)
    }

    fn bits(&self, permissions: Permissions) -> u16 {
        self.user.bits(permissions)
    }
}

impl User {
    /// What it may do where owner and bits are `permissions`: 4 read, 2 write, 1 search or execute.
    pub fn bits(&self, permissions: Permissions) -> u16 {
        let shift = if permissions.uid == self.uid {
            6
        } else if self.in_group(permissions.gid) {
            3
        } else {
            0
        };
        permissions.mode >> shift & 0o7
    }

    fn in_group(&self, gid: u32) -> bool {
        gid == self.gid || self.groups.contains(&gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::UserOrigin;
    use crate::rootfs::dump::parse_layers;

    fn check(line: &str, expect: &str) {
        let user =
            User { uid: 33, gid: 33, groups: vec![44], name: None, home: None, origin: UserOrigin::Option };
        let layers = parse_layers(line);
        let entry = &layers[0].entries[0];
        let access = Access {
            user: &user,
            writable: [(ImagePath::literal("run"), Permissions { mode: 0o755, uid: 33, gid: 33 })].into(),
            shared: [ImagePath::literal("run/shared")].into(),
            readable: [ImagePath::literal("app"), ImagePath::literal("app/main")].into(),
            set: [(ImagePath::literal("etc/set"), Permissions { mode: 0o600, uid: 33, gid: 0 })].into(),
        };
        let now = access.permissions(&entry.path, entry);
        assert_eq!(format!("{:04o} {}:{}", now.mode, now.uid, now.gid), expect, "{line}");
    }

    #[test]
    fn write_setuid_and_sticky_bits_go() {
        check("/usr/bin/su f 4755 0:0", "0555 0:0");
        check("/tmp d 1777 0:0", "0555 0:0");
        check("/usr/bin/x f 0555 0:0", "0555 0:0");
    }

    #[test]
    fn declared_paths_keep_their_bits() {
        check("/run/x d 1777 33:33", "1777 33:33");
        check("/run d 2755 0:0", "0755 33:33");
        check("/run/shared f 0666 0:0", "0444 0:0");
    }

    #[test]
    fn what_the_user_owned_is_still_readable_and_not_his() {
        check("/etc/x f 0600 33:33", "0440 0:33");
        check("/etc/x f 0640 33:44", "0440 0:44");
        check("/etc/x f 0640 33:0", "0440 0:33");
        check("/etc/x d 0700 33:0", "0550 0:33");
    }

    #[test]
    fn what_a_script_would_have_set_counts_as_the_files_own() {
        check("/etc/set f 0644 0:0", "0440 0:33");
    }

    #[test]
    fn what_must_be_read_is_opened_to_the_group_only() {
        check("/app d 0700 0:0", "0510 0:33");
        check("/app/main f 0700 0:0", "0550 0:33");
        check("/app/main f 0644 0:0", "0444 0:0");
    }
}
