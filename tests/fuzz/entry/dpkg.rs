//! dpkg's files: read whatever they hold, filtered to themselves where nothing goes.

use kiln::packages::dpkg::filter::{
    filter_alternative, filter_diversions, filter_list, filter_md5sums, filter_status,
};

use super::database::{check_read, image};

/// What the files of an input are, in order; bytes 0xff, which no such file holds, stand between them.
const FILES: [&str; 6] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/info/a.list",
    "var/lib/dpkg/info/a.md5sums",
    "var/lib/dpkg/diversions",
    "var/lib/dpkg/alternatives/x",
    "var/lib/dpkg/status.d/b",
];

/// Checks one database.
pub fn check(data: &[u8]) {
    let parts: Vec<&[u8]> = data.split(|&byte| byte == 0xff).collect();
    let links =
        [("bin", "usr/bin"), ("etc/alternatives/x", "/usr/bin/y"), ("usr/bin/x", "/etc/alternatives/x")];
    let files: Vec<(&str, &[u8])> = FILES.into_iter().zip(parts.iter().copied()).collect();
    check_read(&image(&links, &files, &["usr/bin/y", "a", "etc/b"]));
    for part in parts {
        assert_eq!(filter_status(part, &|_, _| true), part, "all packages stay");
        assert_eq!(filter_list(part, &|_| true), part, "all files stay");
        assert_eq!(filter_md5sums(part, &|_| true), part, "all sums stay");
        assert_eq!(filter_diversions(part, &|_, _, _| true), part, "all diversions stay");
        let _ = filter_alternative(part, &|_| true);
        let one = |name: &str, _: &str| name.len().is_multiple_of(2);
        let once = filter_status(part, &one);
        assert_eq!(filter_status(&once, &one), once, "filtered twice is filtered once");
    }
}
