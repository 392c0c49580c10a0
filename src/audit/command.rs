//! What a command of a pod runs: its program, and those in the text that it gives to a shell.
//!
//! Reads words only; whether a program is there is the image's to say.

use crate::catalog::{Catalog, Class};
use crate::plan::command::{Invocation, Joined, commands, invocation};

/// How deep a shell in a shell is followed.
const MAX_DEPTH: usize = 4;

/// A simple command that a command of a pod runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Its words, the name first.
    pub(super) words: Vec<String>,
    /// What joins it to the step before.
    pub(super) joined: Joined,
    /// It runs as written, whatever else happens: the text around it is plain.
    pub(super) is_sure: bool,
}

/// The simple commands that `argv` runs, each with its words; `argv` itself first.
pub fn programs(argv: &[&str]) -> Vec<Vec<String>> {
    steps(argv).into_iter().map(|step| step.words).collect()
}

/// The same, with what is known of each.
pub(super) fn steps(argv: &[&str]) -> Vec<Step> {
    let words = argv.iter().map(ToString::to_string).collect();
    let mut out = Vec::new();
    add(Step { words, joined: Joined::End, is_sure: true }, MAX_DEPTH, &mut out);
    out
}

fn add(step: Step, depth: usize, out: &mut Vec<Step>) {
    let text = match step.words.split_first() {
        Some((name, rest)) if is_shell(name) => match invocation(rest) {
            Invocation::Text { text, .. } => Some(text.to_owned()),
            Invocation::Script(_) | Invocation::Input => None,
        },
        _ => None,
    };
    let is_sure = step.is_sure && text.as_ref().is_some_and(|text| is_plain(text));
    out.push(step);
    let Some((text, depth)) = text.zip(depth.checked_sub(1)) else { return };
    for command in commands(&text) {
        add(Step { words: command.words, joined: command.joined, is_sure }, depth, out);
    }
}

/// Whether all of a shell's text runs as it is written: no branches, no loops, nothing that is looked for first, no search
/// path of its own, no text for a program's input.
fn is_plain(text: &str) -> bool {
    /// What asks whether something is there, or begins what may run often or never.
    const ASKS: [&str; 9] = ["[", "[[", "test", "type", "which", "hash", "for", "select", "function"];
    let commands = commands(text);
    let asks = commands
        .iter()
        .any(|command| command.words.first().is_some_and(|name| ASKS.contains(&name.as_str())));
    let is_joined = |joined: Joined| matches!(joined, Joined::Or | Joined::Inside);
    !asks
        && !commands.iter().any(|command| is_joined(command.joined))
        && !["<<", "PATH=", "$(", "`"].iter().any(|mark| text.contains(mark))
}

/// The last part of a path.
pub(super) fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether a program of that name is a shell.
pub(super) fn is_shell(name: &str) -> bool {
    Catalog::builtin().program(base(name).as_bytes()) == Some(Class::Shell)
}

/// Programs that take away, move, open or give away what is there.
const CHANGE: [&str; 12] =
    ["rm", "rmdir", "unlink", "shred", "mv", "chmod", "chown", "chgrp", "chattr", "setfacl", "ln", "install"];

/// The program of a command and its words, that of `busybox` where it runs one.
fn applet(words: &[String]) -> Option<(&str, &[String])> {
    match words {
        [name, applet, rest @ ..] if base(name) == "busybox" => Some((applet.as_str(), rest)),
        [name, rest @ ..] => Some((base(name), rest)),
        [] => None,
    }
}

/// The files that a command changes, as written; `None` where it changes none, as far as names tell.
pub(super) fn changed_files(words: &[String]) -> Option<Vec<&str>> {
    /// Options with a word of their own that is no file, by program.
    const VALUED: [(&str, &str); 6] =
        [("install", "mog"), ("ln", "S"), ("mv", "S"), ("sed", "efl"), ("setfacl", "mxMX"), ("shred", "ns")];
    let (name, rest) = applet(words)?;
    let is_option = |word: &str| word.starts_with('-') && word.len() > 1;
    let is_in_place = || {
        rest.iter().any(|word| word.starts_with("--in-place") || is_option(word) && word.starts_with("-i"))
    };
    let changes = CHANGE.contains(&name) || name == "sed" && is_in_place();
    if !changes {
        return None;
    }
    let valued = VALUED.iter().find(|(known, _)| *known == name).map_or("", |(_, letters)| *letters);
    let mut files = Vec::new();
    let mut is_said = false;
    let mut rest = rest.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        if !is_option(word) {
            files.push(word);
            continue;
        }
        let takes = !word.starts_with("--") && word.ends_with(|letter: char| valued.contains(letter));
        if takes {
            rest.next();
        }
        // `chmod -w`, `chattr -i`.
        let is_mode = match name {
            "chmod" => word.chars().skip(1).all(|letter| "rwxXst".contains(letter)),
            name => name == "chattr",
        };
        let says = ["--reference", "--expression", "--file"];
        is_said |= takes || is_mode || says.iter().any(|option| word.starts_with(option));
    }
    // A mode, an owner, a script: the first word, where no option says it.
    let has_first = ["chmod", "chown", "chgrp", "chattr", "sed"].contains(&name) && !is_said;
    files.drain(..files.len().min(usize::from(has_first)));
    Some(files)
}

/// Whether a command installs software, as far as names tell.
pub(super) fn installs(words: &[String]) -> bool {
    let Some((name, rest)) = words.split_first() else { return false };
    let name = base(name);
    let has = |wanted: &[&str]| rest.iter().any(|word| wanted.contains(&word.as_str()));
    match name {
        // `npm run ci` runs what the package calls so.
        "npm" | "yarn" | "pnpm" => rest
            .iter()
            .find(|word| !word.starts_with('-'))
            .is_some_and(|verb| ["install", "i", "ci", "add"].contains(&verb.as_str())),
        "gem" | "go" | "cargo" => has(&["install"]),
        "python" | "python3" => has(&["pip"]) && has(&["install"]),
        name if name.starts_with("pip") => has(&["install"]),
        name => Catalog::builtin().program(name.as_bytes()) == Some(Class::PackageManager),
    }
}

/// Whether a command only waits, for whole seconds: what a hook can do by itself.
pub(super) fn only_waits(steps: &[Step]) -> bool {
    let words = match steps {
        [only] => &only.words,
        [shell, only] if shell.words.first().is_some_and(|name| is_shell(name)) => &only.words,
        _ => return false,
    };
    let is_time = |text: &str| {
        let number = text.strip_suffix(['s', 'm']).unwrap_or(text);
        number.parse::<u32>().is_ok_and(|number| number > 0)
    };
    matches!(words.as_slice(), [name, time] if base(name) == "sleep" && is_time(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(argv: &[&str]) -> Vec<String> {
        programs(argv).iter().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn text_for_a_shell_is_looked_into() {
        assert_eq!(lines(&["rm", "/bin/bash"]), ["rm /bin/bash"]);
        assert_eq!(
            lines(&["/bin/sh", "-ec", "sleep 5 && rm -f /bin/bash; exec nginx"]),
            ["/bin/sh -ec sleep 5 && rm -f /bin/bash; exec nginx", "sleep 5", "rm -f /bin/bash", "nginx"]
        );
        assert_eq!(
            lines(&["sh", "-c", "bash -c 'apt-get update'"]).last().map(String::as_str),
            Some("apt-get update")
        );
        assert_eq!(lines(&[]), [""]);
    }

    #[test]
    fn what_runs_whatever_happens_is_told_from_what_may_not() {
        let sure = |text: &str| steps(&["sh", "-c", text]).iter().skip(1).all(|step| step.is_sure);
        for text in ["a; b && c | d", "set -e\nexec a b", "a >/dev/null 2>&1 & wait", "sh -c 'a; b'"] {
            assert!(sure(text), "{text}");
        }
        for text in [
            "a || b",
            "if a; then b; fi",
            "for x in a; do b; done",
            "command -v a && a",
            "[ -x /bin/a ] && /bin/a",
            "which a && a",
            "f() { a; }; f",
            "(a)",
            "a $(b)",
            "PATH=/x:$PATH a",
            "cat <<EOF\nx\nEOF",
            "! a",
            "sh -c 'a || b'",
        ] {
            assert!(!sure(text), "{text}");
        }
        assert!(steps(&["a", "||", "b"]).iter().all(|step| step.is_sure));
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn files_that_a_command_changes_are_told_from_its_other_words() {
        let cases: [(&str, &[&str]); 16] = [
            ("rm /bin/touch", &["/bin/touch"]),
            ("rm -rf /a b", &["/a", "b"]),
            ("/bin/chmod -w /", &["/"]),
            ("chmod 644 /a/b", &["/a/b"]),
            ("chmod --reference=/x /a", &["/a"]),
            ("chown -R app:app /a", &["/a"]),
            ("chattr +i /a", &["/a"]),
            ("sed -i s/a/b/ /f", &["/f"]),
            ("sed -i -e s/a/b/ -e s/c/d/ /f", &["/f"]),
            ("sed -n -i.bak p /f", &["/f"]),
            ("setfacl -m u:1:r /f", &["/f"]),
            ("install -m 755 /a /b", &["/a", "/b"]),
            ("ln -sf /a /b", &["/a", "/b"]),
            ("mv -t /d /a", &["/d", "/a"]),
            ("busybox rm /x", &["/x"]),
            ("rm", &[]),
        ];
        for (text, expect) in cases {
            assert_eq!(changed_files(&words(text)).as_deref(), Some(expect), "{text}");
        }
        for text in ["sed s/a/b/", "cat /tmp/healthy", "busybox cat x", "nginx"] {
            assert_eq!(changed_files(&words(text)), None, "{text}");
        }
    }

    #[test]
    fn what_installs_is_told_by_name() {
        for text in [
            "apt-get install -y curl",
            "apk add curl",
            "pip3 install x",
            "python -m pip install x",
            "npm ci",
            "npm --silent install",
        ] {
            assert!(installs(&words(text)), "{text}");
        }
        for text in ["npm start", "npm run ci", "yarn run install", "python app.py", "go run ."] {
            assert!(!installs(&words(text)), "{text}");
        }
    }

    #[test]
    fn waiting_is_for_whole_seconds_and_nothing_else() {
        for argv in [&["sleep", "5"][..], &["/bin/sleep", "1m"], &["sh", "-c", "sleep 10s"]] {
            assert!(only_waits(&steps(argv)), "{argv:?}");
        }
        for argv in [&["sleep", "0.5"][..], &["sleep", "0"], &["sh", "-c", "sleep 5; nginx -s quit"], &["x"]]
        {
            assert!(!only_waits(&steps(argv)), "{argv:?}");
        }
    }
}
