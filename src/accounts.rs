//! Accounts of an image: its passwd and group files, and who a config's `User` is.
//!
//! Knows files only: no NSS, no LDAP. Decides nothing; the plan chooses the user.

use crate::path::ImagePath;
use crate::rootfs::Rootfs;

const PASSWD: &str = "etc/passwd";
const GROUP: &str = "etc/group";

/// Largest passwd or group file: 8 MiB are 100,000 accounts.
const MAX_FILE: u64 = 8 << 20;

/// How many bytes of the file at `path` pass 1 must keep for [`Accounts::read`]; `None`: none.
pub fn wanted(path: &ImagePath) -> Option<u64> {
    matches!(path.as_bytes(), b"etc/passwd" | b"etc/group" | b"etc/nsswitch.conf").then_some(MAX_FILE)
}

/// An entry of passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name.
    pub name: String,
    /// Numeric user.
    pub uid: u32,
    /// Numeric primary group.
    pub gid: u32,
    /// Home directory; may be empty.
    pub home: String,
    /// Shell; may be empty.
    pub shell: String,
}

/// An entry of group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Numeric group.
    pub gid: u32,
    /// Names of accounts that have it as a supplementary group.
    pub members: Vec<String>,
}

/// All accounts of an image, in the order of the files: where something is there twice, the first counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accounts {
    /// passwd
    pub accounts: Vec<Account>,
    /// group
    pub groups: Vec<Group>,
}

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Numeric user.
    pub uid: u32,
    /// Numeric primary group.
    pub gid: u32,
    /// Supplementary groups, sorted, without `gid`.
    pub groups: Vec<u32>,
    /// The account in passwd, if there is one.
    pub account: Option<Account>,
}

/// Why a config's `User` is nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// No such account.
    #[error("user `{0}` is not in the image's passwd")]
    UnknownUser(String),
    /// No such group.
    #[error("group `{0}` is not in the image's group file")]
    UnknownGroup(String),
    /// Beyond what Linux has.
    #[error("user or group `{0}` is not between 0 and {MAX_ID}")]
    OutOfRange(String),
}

/// Largest user or group that container runtimes take: they keep them as signed 32-bit numbers.
pub const MAX_ID: u32 = i32::MAX as u32;

impl Accounts {
    /// Reads the accounts of `rootfs`; files that are missing or were not kept hold none.
    pub fn read(rootfs: &Rootfs) -> Self {
        let bytes = |path| rootfs.bytes_following(&ImagePath::literal(path)).unwrap_or_default();
        Self::parse(&bytes(PASSWD), &bytes(GROUP))
    }

    /// Reads passwd and group files; lines that are none are passed over, as the C library does.
    pub fn parse(passwd: &[u8], group: &[u8]) -> Self {
        Self {
            accounts: lines(passwd).filter_map(|line| parse_account(&line)).collect(),
            groups: lines(group).filter_map(|line| parse_group(&line)).collect(),
        }
    }

    /// The account of this name.
    pub fn named(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// The account of this number.
    pub fn of_uid(&self, uid: u32) -> Option<&Account> {
        self.accounts.iter().find(|account| account.uid == uid)
    }

    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Groups that list the account `name` as a member, sorted.
    pub fn groups_of(&self, name: &str) -> Vec<u32> {
        let listing = self.groups.iter().filter(|group| group.members.iter().any(|member| member == name));
        let mut gids: Vec<u32> = listing.map(|group| group.gid).collect();
        gids.sort_unstable();
        gids.dedup();
        gids
    }

    /// Who the config's `User` (`USER[:GROUP]`, each a name or a number, or empty) is.
    ///
    /// As Docker and containerd resolve it (`moby/sys/user`, `GetExecUser`): digits are always a number, never a
    /// name; a number without an entry has group 0; a user's own group and supplementary groups count only
    /// where no group is given. Empty is root.
    pub fn resolve(&self, spec: &str) -> Result<Identity, UserError> {
        let (user, group) = match spec.split_once(':') {
            Some((user, group)) => (user, group),
            None => (spec, ""),
        };
        let account = if user.is_empty() {
            self.of_uid(0)
        } else {
            match number(user) {
                Some(uid) => self.of_uid(uid),
                None => self.named(user),
            }
        };
        let (uid, own_gid) = match account {
            Some(account) => (account.uid, account.gid),
            None if user.is_empty() => (0, 0),
            None => (in_range(user, UserError::UnknownUser)?, 0),
        };
        let (gid, mut groups) = if group.is_empty() {
            (own_gid, account.map(|account| self.groups_of(&account.name)).unwrap_or_default())
        } else {
            let found = match number(group) {
                Some(gid) => self.groups.iter().find(|known| known.gid == gid),
                None => self.group(group),
            };
            let gid = match found {
                Some(group) => group.gid,
                None => in_range(group, UserError::UnknownGroup)?,
            };
            (gid, Vec::new())
        };
        groups.retain(|other| *other != gid);
        Ok(Identity { uid, gid, groups, account: account.cloned() })
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number <= MAX_ID)
}

fn in_range(text: &str, unknown: fn(String) -> UserError) -> Result<u32, UserError> {
    match number(text) {
        Some(number) => Ok(number),
        None if text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(UserError::OutOfRange(text.to_owned()))
        }
        None => Err(unknown(text.to_owned())),
    }
}

/// passwd and group with an account `name` of this user and group added; what they have already is not added
/// again, and a name that is taken by another number gets the number as a suffix.
///
/// The account has no password, no home and no shell.
pub fn with_account(passwd: &[u8], group: &[u8], uid: u32, gid: u32, name: &str) -> (Vec<u8>, Vec<u8>) {
    let known = Accounts::parse(passwd, group);
    let mut new_group = group.to_vec();
    if !known.groups.iter().any(|group| group.gid == gid) {
        let name = free_name(name, gid, |name| known.group(name).is_some());
        append(&mut new_group, &format!("{name}:x:{gid}:"));
    }
    let mut new_passwd = passwd.to_vec();
    if known.of_uid(uid).is_none() {
        let name = free_name(name, uid, |name| known.named(name).is_some());
        append(&mut new_passwd, &format!("{name}:x:{uid}:{gid}:{name}:/nonexistent:/sbin/nologin"));
    }
    (new_passwd, new_group)
}

fn free_name(name: &str, id: u32, is_taken: impl Fn(&str) -> bool) -> String {
    let mut free = name.to_owned();
    while is_taken(&free) {
        free = format!("{free}-{id}");
    }
    free
}

fn append(file: &mut Vec<u8>, line: &str) {
    if file.last().is_some_and(|last| *last != b'\n') {
        file.push(b'\n');
    }
    file.extend(line.bytes().chain([b'\n']));
}

fn parse_account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| is_name(name))?;
    let _password = fields.next()?;
    let (uid, gid) = (fields.next()?.trim().parse().ok()?, fields.next()?.trim().parse().ok()?);
    let _comment = fields.next();
    let mut text = || fields.next().unwrap_or_default().to_owned();
    Some(Account { name: name.to_owned(), uid, gid, home: text(), shell: text() })
}

fn parse_group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| is_name(name))?;
    let _password = fields.next()?;
    let gid = fields.next()?.trim().parse().ok()?;
    let members = fields.next().unwrap_or_default().split(',').map(str::trim);
    let members = members.filter(|member| !member.is_empty()).map(str::to_owned).collect();
    Some(Group { name: name.to_owned(), gid, members })
}

/// `+` and `-` begin entries of NIS, `#` comments.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['+', '-', '#'])
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes
        .split(|&byte| byte == b'\n')
        .map(|line| String::from_utf8_lossy(line).trim().to_owned())
        .filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\r\n# comment:x:1:1\n+nis\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\npostgres:x:101:103:,,,:/var/lib/postgresql:/bin/bash\n1000:x:5:5::/:\nshort:x:7\nodd:x:a:b\nminimal:x:8:9";
    const GROUP: &[u8] = b"root:x:0:\nwww-data:x:33:\nssl-cert:x:102:postgres,other\npostgres:x:103: postgres\nbad:x:-1:\nadm:x:4:postgres";

    fn check(spec: &str, expect: Result<(u32, u32, &[u32]), &str>) {
        let accounts = Accounts::parse(PASSWD, GROUP);
        let found = accounts.resolve(spec);
        let found = found.as_ref().map(|who| (who.uid, who.gid, &*who.groups)).map_err(ToString::to_string);
        assert_eq!(found, expect.map_err(str::to_owned), "{spec}");
    }

    #[test]
    fn users_are_resolved_as_runtimes_do() {
        check("", Ok((0, 0, &[])));
        check("root", Ok((0, 0, &[])));
        check("postgres", Ok((101, 103, &[4, 102])));
        check("101", Ok((101, 103, &[4, 102])));
        check("101:0", Ok((101, 0, &[])));
        check("postgres:ssl-cert", Ok((101, 102, &[])));
        check("4711", Ok((4711, 0, &[])));
        check("4711:4712", Ok((4711, 4712, &[])));
        check("4711:adm", Ok((4711, 4, &[])));
        check("minimal", Ok((8, 9, &[])));
        check(":33", Ok((0, 33, &[])));
    }

    #[test]
    fn digits_are_a_number_even_where_a_name_is_the_same() {
        check("1000", Ok((1000, 0, &[])));
    }

    #[test]
    fn nobody_is_an_error() {
        check("nginx", Err("user `nginx` is not in the image's passwd"));
        check("33:nginx", Err("group `nginx` is not in the image's group file"));
        check("4294967295", Err("user or group `4294967295` is not between 0 and 2147483647"));
        check("-5", Err("user or group `-5` is not between 0 and 2147483647"));
        check("short", Err("user `short` is not in the image's passwd"));
    }

    #[test]
    fn an_image_without_files_has_numbers_only() {
        let accounts = Accounts::default();
        assert_eq!(accounts.resolve("65532").unwrap().gid, 0);
        assert_eq!(accounts.resolve("").unwrap().uid, 0);
        assert!(accounts.resolve("app").is_err());
    }

    #[test]
    fn an_added_account_is_found_again() {
        let (passwd, group) = with_account(b"root:x:0:0:root:/root:/bin/sh", b"", 65532, 65532, "nonroot");
        assert_eq!(
            String::from_utf8(passwd.clone()).unwrap(),
            "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin\n"
        );
        assert_eq!(group, b"nonroot:x:65532:\n");
        let who = Accounts::parse(&passwd, &group).resolve("nonroot").unwrap();
        assert_eq!((who.uid, who.gid), (65532, 65532));
        assert_eq!(with_account(&passwd, &group, 65532, 65532, "nonroot"), (passwd, group));
    }

    #[test]
    fn a_taken_name_is_not_given_twice() {
        let (passwd, group) = with_account(b"nonroot:x:1:1:::\n", b"nonroot:x:1:\n", 65532, 65532, "nonroot");
        assert!(
            passwd.ends_with(b"\nnonroot-65532:x:65532:65532:nonroot-65532:/nonexistent:/sbin/nologin\n")
        );
        assert!(group.ends_with(b"\nnonroot-65532:x:65532:\n"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), spec in ".{0,20}") {
            let accounts = Accounts::parse(&bytes, &bytes);
            let _ = accounts.resolve(&spec);
            let (passwd, group) = with_account(&bytes, &bytes, 65532, 65532, "nonroot");
            let grown = Accounts::parse(&passwd, &group);
            proptest::prop_assert!(grown.of_uid(65532).is_some());
            proptest::prop_assert!(passwd.starts_with(&bytes) && group.starts_with(&bytes));
        }
    }
}
