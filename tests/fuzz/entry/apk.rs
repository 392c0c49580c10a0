//! apk's files: read whatever they hold, filtered to themselves where nothing goes.

use kiln::packages::apk::filter::{
    Remaining, filter_installed, filter_scripts, filter_triggers, filter_world,
};

use super::database::{check_read, image};

/// What the files of an input are, in order; bytes 0xff, which no such file holds, stand between them.
const FILES: [&str; 3] = ["lib/apk/db/installed", "etc/apk/world", "lib/apk/db/triggers"];

/// Checks one database.
pub fn check(data: &[u8]) {
    let parts: Vec<&[u8]> = data.split(|&byte| byte == 0xff).collect();
    let files: Vec<(&str, &[u8])> = FILES.into_iter().zip(parts.iter().copied()).collect();
    check_read(&image(&[("bin", "usr/bin")], &files, &["usr/bin/a", "etc/b"]));
    for part in &parts {
        assert_eq!(filter_installed(part, &|_| true, &|_| true), *part, "all packages and files stay");
        let keep = |name: &str| name.len().is_multiple_of(2);
        let once = filter_installed(part, &keep, &|path| path.name().len().is_multiple_of(2));
        let twice = filter_installed(&once, &keep, &|path| path.name().len().is_multiple_of(2));
        assert_eq!(once, twice, "filtered twice is filtered once");
        let mut remaining = Remaining::default();
        remaining.add(parts.first().unwrap_or(&&b""[..]), &keep);
        for filter in [filter_world, filter_triggers, filter_scripts] {
            let once = filter(part, &remaining);
            assert!(once.len() <= part.len());
            assert_eq!(filter(&once, &remaining), once, "filtered twice is filtered once");
        }
    }
}
