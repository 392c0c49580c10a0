//! What a command of a pod runs: its program, and those in the text that it gives to a shell.
//!
//! Reads words only; whether a program is there is the image's to say.

use crate::catalog::{Catalog, Class};
use crate::plan::command::{Invocation, commands, invocation};

/// How deep a shell in a shell is followed.
const MAX_DEPTH: usize = 4;

/// The simple commands that `argv` runs, each with its words; `argv` itself first.
pub fn programs(argv: &[&str]) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    add(argv.iter().map(ToString::to_string).collect(), MAX_DEPTH, &mut out);
    out
}

fn add(words: Vec<String>, depth: usize, out: &mut Vec<Vec<String>>) {
    let text = match words.split_first() {
        Some((name, rest)) if is_shell(name) => match invocation(rest) {
            Invocation::Text { text, .. } => Some(text.to_owned()),
            Invocation::Script(_) | Invocation::Input => None,
        },
        _ => None,
    };
    out.push(words);
    let Some((text, depth)) = text.zip(depth.checked_sub(1)) else { return };
    for command in commands(&text) {
        add(command.words, depth, out);
    }
}

/// The last part of a path.
pub(super) fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether a program of that name is a shell.
pub(super) fn is_shell(name: &str) -> bool {
    Catalog::builtin().program(base(name).as_bytes()) == Some(Class::Shell)
}

/// Why a command changes files that were in the image; `None` where it does not, as far as names tell.
pub(super) fn changes_files(words: &[String]) -> Option<String> {
    /// Take away, move, open or give away what is there.
    const CHANGE: [&str; 12] = [
        "rm", "rmdir", "unlink", "shred", "mv", "chmod", "chown", "chgrp", "chattr", "setfacl", "ln",
        "install",
    ];
    let (name, rest) = words.split_first()?;
    let name = base(name);
    let is_in_place =
        name == "sed" && rest.iter().any(|word| word.starts_with("-i") || word.starts_with("--in-place"));
    let is_applet = name == "busybox" && rest.first().is_some_and(|applet| CHANGE.contains(&applet.as_str()));
    (CHANGE.contains(&name) || is_in_place || is_applet).then(|| words.join(" "))
}

/// Why a command installs software; `None` where it does not, as far as names tell.
pub(super) fn installs(words: &[String]) -> Option<String> {
    let (name, rest) = words.split_first()?;
    let name = base(name);
    let has = |wanted: &[&str]| rest.iter().any(|word| wanted.contains(&word.as_str()));
    let installs = match name {
        "npm" | "yarn" | "pnpm" => has(&["install", "i", "ci", "add"]),
        "gem" | "go" | "cargo" => has(&["install"]),
        "python" | "python3" => has(&["pip"]) && has(&["install"]),
        name if name.starts_with("pip") => has(&["install"]),
        name => Catalog::builtin().program(name.as_bytes()) == Some(Class::PackageManager),
    };
    installs.then(|| words.join(" "))
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
    fn what_changes_files_and_what_installs_is_told_by_name() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for text in ["rm /bin/touch", "/bin/chmod -w /", "sed -i s/a/b/ /f", "busybox rm /x", "mv a b"] {
            assert!(changes_files(&words(text)).is_some(), "{text}");
        }
        for text in ["sed s/a/b/", "cat /tmp/healthy", "busybox cat x", "nginx"] {
            assert!(changes_files(&words(text)).is_none(), "{text}");
        }
        for text in
            ["apt-get install -y curl", "apk add curl", "pip3 install x", "python -m pip install x", "npm ci"]
        {
            assert!(installs(&words(text)).is_some(), "{text}");
        }
        for text in ["npm start", "python app.py", "go run ."] {
            assert!(installs(&words(text)).is_none(), "{text}");
        }
    }
}
