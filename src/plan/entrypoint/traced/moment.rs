//! What a script asks that answers alike in runs of one hour on one machine, and otherwise elsewhere.
//!
//! Two runs that differ tell what is another each time; they do not tell the day, nor the kernel. Knows programs and files
//! that do.

use crate::catalog::Class;
use crate::path::ImagePath;
use crate::plan::known::Known;
use crate::plan::traced::Traced;
use crate::profile::Exec;

/// Conversions of `date` (and what stands for a format) whose answer is another every second: two runs would differ.
const SECONDS: &[&str] = &["%s", "%S", "%T", "%c", "%r", "%X", "%N", "%+"];
/// Options of `uname` whose answer an image's platform decides.
const OF_PLATFORM: &[&str] = &["-m", "-s", "-o", "-p", "-i", "-sm", "-ms"];
/// Files of the kernel that tell of the machine; a trailing `/` takes all below.
const TREES: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
    "/proc/net/",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/random/",
    "/proc/sys/kernel/version",
    "/proc/sys/net/",
    "/sys/class/",
    "/sys/devices/",
    "/sys/fs/cgroup/",
];

/// What of this those whose doings do not count asked, in words.
pub(super) fn asks_the_moment(known: &Known<'_>, server: Traced<'_>) -> Option<String> {
    let program = server.others_became().find_map(|exec| match name(exec).as_slice() {
        b"date" if !tells_seconds(&exec.argv) => Some(format!("the day (`{}`)", exec.argv.join(" "))),
        b"uname" if !is_of_platform(&exec.argv) => Some(format!("the machine (`{}`)", exec.argv.join(" "))),
        _ => None,
    });
    program.or_else(|| {
        // Runtimes of languages ask how many processors there are; tools and shells ask for their scripts.
        let is_tool = |by: &str| {
            let by = ImagePath::unescape(by);
            by.and_then(|by| known.class(&by))
                .is_some_and(|class| matches!(class, Class::Shell | Class::Utility))
        };
        let mut read = server.others_read();
        let found = read.find(|(path, by)| is_of_the_machine(path) && is_tool(by));
        found.map(|(path, _)| format!("the machine ({path})"))
    })
}

fn name(exec: &Exec) -> Vec<u8> {
    ImagePath::unescape(&exec.path).map(|path| path.name().to_vec()).unwrap_or_default()
}

/// Whether `date`, called with `words`, tells the seconds.
fn tells_seconds(words: &[String]) -> bool {
    let mut options = words.iter().skip(1).map(String::as_str);
    let is_short = |option: &str| {
        matches!(option, "-I" | "--iso-8601" | "--rfc-3339=date")
            || ["-Id", "-Ih", "-Im", "--iso-8601=d", "--iso-8601=h", "--iso-8601=m"]
                .iter()
                .any(|short| option.starts_with(short))
    };
    match options.clone().find(|option| option.starts_with('+')) {
        Some(format) => SECONDS.iter().any(|conversion| format.contains(conversion)),
        None => !options.any(is_short),
    }
}

fn is_of_platform(words: &[String]) -> bool {
    words.iter().skip(1).all(|word| OF_PLATFORM.contains(&word.as_str()))
}

fn is_of_the_machine(path: &ImagePath) -> bool {
    let text = path.to_string();
    TREES.iter().any(|tree| if tree.ends_with('/') { text.starts_with(tree) } else { text == *tree })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn date_that_tells_seconds_differs_between_runs_and_one_that_tells_the_day_does_not() {
        for line in [
            "date",
            "date +%s",
            "date -u +%Y-%m-%dT%H:%M:%SZ",
            "date -R",
            "date --rfc-3339=seconds",
            "date -Is",
        ] {
            assert!(tells_seconds(&words(line)), "{line}");
        }
        for line in ["date +%F", "date +%Y%m%d", "date -I", "date --iso-8601=hours", "date -u +%H:%M"] {
            assert!(!tells_seconds(&words(line)), "{line}");
        }
    }

    #[test]
    fn what_the_kernel_says_of_the_machine_is_told_apart() {
        for path in ["/proc/cpuinfo", "/sys/fs/cgroup/memory.max", "/proc/sys/kernel/random/boot_id"] {
            assert!(is_of_the_machine(&ImagePath::literal(path)), "{path}");
        }
        for path in ["/proc/filesystems", "/proc/sys/kernel/ngroups_max", "/etc/os-release", "/proc/cpuinfo2"]
        {
            assert!(!is_of_the_machine(&ImagePath::literal(path)), "{path}");
        }
        assert!(is_of_platform(&words("uname -m")) && !is_of_platform(&words("uname -r")));
        assert!(!is_of_platform(&words("uname -a")));
    }
}
