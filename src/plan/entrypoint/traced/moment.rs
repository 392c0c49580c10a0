//! What a script asks that answers alike in runs of one hour on one machine, and otherwise elsewhere.
//!
//! Two runs that differ tell what is another each time; they do not tell the day, nor the kernel. Knows programs and files
//! that do.

use std::collections::BTreeSet;

use crate::catalog::Class;
use crate::path::ImagePath;
use crate::plan::known::Known;
use crate::plan::traced::{OtherRead, Traced};
use crate::profile::Exec;

/// Programs that answer with what the machine of the watched runs has, or is called, and another may not.
const MACHINE: &[&[u8]] = &[
    b"nproc",
    b"free",
    b"lscpu",
    b"getconf",
    b"hostname",
    b"hostid",
    b"ip",
    b"ifconfig",
    b"prlimit",
    b"taskset",
    b"numactl",
    b"sysctl",
    b"uptime",
    b"df",
];

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

/// Of these, what the machine has of processors and memory: a program that was gone when the server was ready asked for
/// nobody but its script, in whatever language.
const HARDWARE: &[&str] = &["/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu/", "/sys/fs/cgroup/"];

/// Words of a shell after which a command follows.
const BEFORE_COMMANDS: &[&str] =
    &["if", "then", "elif", "else", "while", "until", "do", "command", "builtin", "eval", "exec"];

/// What of this those whose doings do not count asked, in words.
pub(super) fn asks_the_moment(known: &Known<'_>, server: Traced<'_>) -> Option<String> {
    let asked = |exec: &Exec, what: &str| Some(format!("{what} (`{}`)", exec.argv.join(" ")));
    let program = server.others_became().find_map(|exec| match name(exec).as_slice() {
        b"date" if !tells_seconds(&exec.argv) => asked(exec, "the day"),
        b"uname" if !is_of_platform(&exec.argv) => asked(exec, "the machine"),
        name if MACHINE.contains(&name) => asked(exec, "the machine"),
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
        let tells = |read: &OtherRead<'_>| {
            is_in(TREES, &read.path) && is_tool(read.by) || is_in(HARDWARE, &read.path) && read.is_gone
        };
        let found = read.find(tells);
        found.map(|read| format!("the machine ({})", read.path))
    })
}

/// Which limits a script asks for, in words: they are those of the runtime.
pub(super) fn asks_for_limits(known: &Known<'_>, server: Traced<'_>) -> Option<String> {
    let read: BTreeSet<ImagePath> = server.others_read().map(|read| read.path).collect();
    let texts = read
        .iter()
        .filter_map(|path| known.rootfs.bytes(path))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let words = known.config.entrypoint.iter().chain(&known.config.cmd).cloned();
    let asks = texts.chain(words).any(|text| asks_a_limit(&text));
    asks.then(|| "its limits (`ulimit`)".to_owned())
}

/// Whether a script's `text` calls `ulimit` and sets nothing by it, as `ulimit -n 8192` does.
fn asks_a_limit(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    lines.any(|line| {
        line.match_indices("ulimit").any(|(at, name)| {
            let (before, after) = (line.get(..at), line.get(at + name.len()..));
            before.is_some_and(is_before_a_command) && after.is_some_and(is_without_a_value)
        })
    })
}

/// Whether a command begins after `text`, and not a word of one, or of a message.
fn is_before_a_command(text: &str) -> bool {
    let words = text.trim_end();
    let last = words.rsplit([' ', '\t']).next().unwrap_or_default();
    let is_apart = words.len() < text.len();
    words.is_empty()
        || words.ends_with([';', '|', '&', '(', '`', '{', '!']) && !words.ends_with("${")
        || !is_apart && words.ends_with(['"', '\'', '=', '-'])
        || is_apart && BEFORE_COMMANDS.contains(&last)
}

/// Whether `text`, which follows the name of a command, has options only.
fn is_without_a_value(text: &str) -> bool {
    let mut rest = text;
    loop {
        let word = rest.trim_start();
        let is_apart = word.len() < rest.len();
        if let Some(option) = word.strip_prefix('-').filter(|_| is_apart) {
            rest = option.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            continue;
        }
        // `2>/dev/null` is no value, and a quote is the end of what it began before.
        let redirected = word.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(['>', '<']);
        return word.is_empty()
            || redirected && is_apart
            || word.starts_with([';', '|', '&', ')', '`', '}', '>', '<'])
            || is_apart && word.starts_with('#')
            || !is_apart && word.starts_with(['"', '\'']);
    }
}

/// What a program was called by: many are links to one, and `busybox nproc` is `nproc`.
fn name(exec: &Exec) -> Vec<u8> {
    let called = ImagePath::unescape(&exec.path).map(|path| path.name().to_vec()).unwrap_or_default();
    match exec.argv.get(1) {
        Some(applet) if called == b"busybox" => applet.clone().into_bytes(),
        _ => called,
    }
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

fn is_in(trees: &[&str], path: &ImagePath) -> bool {
    let text = path.to_string();
    trees.iter().any(|tree| match tree.strip_suffix('/') {
        Some(directory) => text.starts_with(tree) || text == directory,
        None => text == *tree,
    })
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
    fn script_that_only_sets_limits_asks_for_none() {
        for line in [
            "ulimit -n 8192",
            "MAX=${MAX:-ulimit -n 8192}",
            "  ulimit -H -c unlimited || :",
            "if ulimit -n $files; then",
            "# ulimit -n is low",
            "ulimit=3; echo $ulimit ${ulimit}",
            "set_ulimits",
            "ulimit -n \"$files\"",
            "  echo Setting ulimit failed. See README.Debian for more information. >&2",
            "echo \"ulimit is low\"; echo see ulimit",
        ] {
            assert!(!asks_a_limit(line), "{line}");
        }
        for line in [
            "echo \"limit = $(ulimit -n)\" >limits.conf",
            "ulimit",
            "max=`ulimit -H -n`",
            "ulimit -n 8192; ulimit -u >x",
            "ulimit -n | cat",
            "[ $(ulimit -n 2>/dev/null) -gt 1024 ]",
            "sh -c 'ulimit -u' >x",
            "if ulimit -Hn >x; then",
            "limit=\"`ulimit -n`\"",
        ] {
            assert!(asks_a_limit(line), "{line}");
        }
    }

    #[test]
    fn what_the_kernel_says_of_the_machine_is_told_apart() {
        for path in [
            "/proc/cpuinfo",
            "/sys/devices/system/cpu",
            "/sys/fs/cgroup/memory.max",
            "/proc/sys/kernel/random/boot_id",
        ] {
            assert!(is_in(TREES, &ImagePath::literal(path)), "{path}");
        }
        for path in [
            "/proc/filesystems",
            "/proc/sys/kernel/ngroups_max",
            "/etc/os-release",
            "/proc/cpuinfo2",
            "/sys/fs",
        ] {
            assert!(!is_in(TREES, &ImagePath::literal(path)), "{path}");
        }
        assert!(is_of_platform(&words("uname -m")) && !is_of_platform(&words("uname -r")));
        assert!(!is_of_platform(&words("uname -a")));
    }
}
