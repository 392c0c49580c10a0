//! Shell text, read only as far as its meaning is certain.
//!
//! Knows words and quotes; whatever a shell would expand, redirect or combine is "not simple", never guessed.

mod invocation;
mod list;

use std::collections::HashSet;

pub use invocation::{Invocation, invocation};
pub use list::{Command, Joined, commands};

/// Splits `text` into the words of one simple command; `None` where a shell would do more than split and
/// unquote it (POSIX shell, 2.2 "Quoting", 2.9.1 "Simple Commands").
pub fn simple_command(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '$' | '`' => return None,
                        '\\' => match chars.next()? {
                            c @ ('$' | '`' | '"' | '\\') => word.push(c),
                            '\n' => {}
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => match chars.next()? {
                '\n' => {}
                c => word.get_or_insert_default().push(c),
            },
            // Expansion, globs, operators, comments, grouping, home directories.
            '$' | '`' | '*' | '?' | '[' | '|' | '&' | ';' | '<' | '>' | '(' | ')' | '{' | '}' | '#' | '~'
            | '!' | '\n' => {
                return None;
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    // `exec` only says that the shell goes, which is what lowering does.
    if words.first().is_some_and(|first| first == "exec") && words.len() > 1 {
        words.remove(0);
    }
    let first = words.first()?;
    // An assignment sets the environment, a builtin or keyword runs nothing.
    if first.contains('=') || (!first.contains('/') && is_builtin(first)) {
        return None;
    }
    Some(words)
}

/// Words of a script that could name a program or a file, each once, in their order: comments and messages left out,
/// everything else split at whatever is no name. More than the script runs, never less, but for names it computes.
pub fn mentioned_words(text: &str) -> Vec<&str> {
    let is_read = output_may_be_read(text);
    let mut seen = HashSet::new();
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter(|line| !message(line).is_some_and(|stream| stream == Stream::Error || !is_read))
        .flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || "/._-+[".contains(c))))
        .filter(|word| !word.is_empty() && word.len() < 256 && !is_builtin(word) && seen.insert(*word))
        .collect()
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

/// Where a line that does nothing but print goes; `None` where it does anything else, or where its output goes to a
/// file or another program.
fn message(line: &str) -> Option<Stream> {
    let line = line.trim();
    if let Some(rest) = [">&2 ", "1>&2 "].iter().find_map(|start| line.strip_prefix(start)) {
        return message(rest).map(|_| Stream::Error);
    }
    let arguments = line.strip_prefix("echo ").or_else(|| line.strip_prefix("printf "))?.trim_end();
    let to_error = ["1>&2", ">&2", "> /dev/stderr", ">/dev/stderr"];
    let (arguments, stream) = match to_error.iter().find_map(|end| arguments.strip_suffix(end)) {
        // `x2>&2` is a word and a redirection of another descriptor.
        Some(rest) if rest.ends_with([' ', '\t', '"', '\'']) => (rest, Stream::Error),
        Some(_) => return None,
        None => (arguments, Stream::Output),
    };
    let mut quote = None;
    let mut chars = arguments.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            // The next character, which is none at the end: the command goes on in the next line.
            (_, '\\') => drop(chars.next()?),
            (_, '`') | (None, ';' | '|' | '&' | '<' | '>' | '(' | ')') => return None,
            (_, '$') if chars.as_str().starts_with('(') => return None,
            (None, '\'' | '"') => quote = Some(c),
            (_, _) => {}
        }
    }
    quote.is_none().then_some(stream)
}

/// Whether a script may read what its own commands print: in a function, a substitution over several lines, or a
/// block that is piped or redirected.
fn output_may_be_read(text: &str) -> bool {
    let opens = |line: &str| {
        // A `)` that closes nothing ends a pattern of `case`.
        let depth = line.chars().fold(0usize, |depth, c| match c {
            '(' => depth + 1,
            ')' => depth.saturating_sub(1),
            _ => depth,
        });
        depth > 0 || line.matches('`').count() % 2 == 1
    };
    let is_block_end = |line: &str| {
        let end = ["}", ")", "done", "fi", "esac"].iter().find_map(|end| line.trim_start().strip_prefix(end));
        end.is_some_and(|rest| rest.contains(['|', '>', '`', '"']))
    };
    text.contains("()")
        || text.lines().filter(|line| !line.trim_start().starts_with('#')).any(|line| {
            let line = line.trim();
            opens(line)
                || is_block_end(line)
                || line.starts_with("function ")
                || line.starts_with("coproc")
                || line.starts_with("exec >")
                || line.starts_with("exec 1>")
        })
}

/// The users that `commands` switch to by name: what `exec` ends the script with, or all where that is none.
pub fn switched_users(commands: &[Command]) -> Vec<String> {
    let user = |command: &&Command| -> Option<String> {
        let mut words = command.words.iter();
        if matches!(command.words.first().map(String::as_str), Some("echo" | "printf")) {
            return None;
        }
        let is_switch = |word: &&String| {
            matches!(word.rsplit('/').next(), Some("gosu" | "su-exec" | "setuidgid" | "s6-setuidgid"))
        };
        words.find(is_switch)?;
        let user = words.next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        (!user.is_empty() && !user.starts_with('-') && user.chars().all(plain)).then(|| user.clone())
    };
    let mut users: Vec<String> =
        commands.iter().filter(|command| command.exec).filter_map(|command| user(&command)).collect();
    if users.is_empty() {
        users = commands.iter().filter_map(|command| user(&command)).collect();
    }
    users.sort_unstable();
    users.dedup();
    users
}

/// Files that `commands` read into the running shell, as written.
pub fn sourced(commands: &[Command]) -> impl Iterator<Item = &str> {
    commands.iter().filter_map(|command| match command.words.as_slice() {
        [name, file, ..] if name == "." || name == "source" => Some(file.as_str()),
        _ => None,
    })
}

/// Programs that `commands` start: the first word of each, builtins and what the shell computes left out.
pub fn started(commands: &[Command]) -> impl Iterator<Item = &str> {
    commands
        .iter()
        .filter_map(|command| command.words.first())
        .map(String::as_str)
        .filter(|name| !name.contains(['$', '`', '*', '?']) && !is_builtin(name))
}

/// Programs that a health check starts: `CMD` with a program and its words, or with a shell; `CMD-SHELL` with a text.
pub fn of_healthcheck(test: &[String]) -> Vec<String> {
    let (shell, text) = match test {
        [kind, text, ..] if kind == "CMD-SHELL" => ("/bin/sh", Some(text.as_str())),
        [kind, program, rest @ ..] if kind == "CMD" => {
            let is_shell = matches!(program.rsplit('/').next(), Some("sh" | "bash" | "dash" | "ash"));
            let text = match invocation(rest) {
                Invocation::Text { text, .. } if is_shell => Some(text),
                _ => None,
            };
            (program.as_str(), text)
        }
        _ => return Vec::new(),
    };
    let commands = commands(text.unwrap_or_default());
    std::iter::once(shell).chain(started(&commands)).map(str::to_owned).collect()
}

/// Builtins and keywords of dash, and those of bash that have no program of the same use: a shell never
/// looks these up in `PATH`.
pub fn is_builtin(word: &str) -> bool {
    const BUILTINS: &[&str] = &[
        "!",
        ".",
        ":",
        "[",
        "alias",
        "bg",
        "break",
        "case",
        "cd",
        "command",
        "continue",
        "declare",
        "do",
        "done",
        "echo",
        "elif",
        "else",
        "esac",
        "eval",
        "exec",
        "exit",
        "export",
        "false",
        "fg",
        "fi",
        "for",
        "function",
        "getopts",
        "hash",
        "if",
        "in",
        "jobs",
        "kill",
        "let",
        "local",
        "mapfile",
        "printf",
        "pwd",
        "read",
        "readarray",
        "readonly",
        "return",
        "select",
        "set",
        "shift",
        "shopt",
        "source",
        "test",
        "then",
        "times",
        "trap",
        "true",
        "type",
        "typeset",
        "ulimit",
        "umask",
        "unalias",
        "unset",
        "until",
        "wait",
        "while",
    ];
    BUILTINS.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let words = simple_command(text);
        assert_eq!(
            words.as_deref(),
            (!expect.is_empty())
                .then_some(expect)
                .map(|w| w.iter().map(ToString::to_string).collect::<Vec<_>>())
                .as_deref(),
            "{text}"
        );
    }

    #[test]
    fn plain_and_quoted_words_are_split_as_a_shell_does() {
        check("nginx -g 'daemon off;'", &["nginx", "-g", "daemon off;"]);
        check(r#"exec python3 "a b"c\ d"#, &["python3", "a bc d"]);
        check(r#"app "" '$x'"#, &["app", "", "$x"]);
        check(r#"app "\$x\n""#, &["app", r"$x\n"]);
    }

    #[test]
    fn whatever_a_shell_would_do_more_is_not_simple() {
        for text in [
            "gunicorn -b :$PORT app",
            "a && b",
            "a; b",
            "a | b",
            "a > f",
            "a &",
            "`a`",
            "\"$(a)\"",
            "a *.conf",
            "X=1 a",
            "cd /app",
            "exec",
            "",
            "a 'open",
            "a # c",
            "~/a",
            "(a)",
            "a\nb",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn users_of_a_script_are_those_it_ends_as_or_else_all() {
        let of = |text: &str| switched_users(&commands(text)).join(" ");
        assert_eq!(of("# gosu root\nexec gosu memcache \"$0\" \"$@\""), "memcache");
        assert_eq!(of("exec /sbin/su-exec 'app:app' \"$@\""), "app:app");
        assert_eq!(of("gosu postgres backup\nexec gosu www-data x"), "www-data");
        assert_eq!(of("gosu a x; gosu b y; gosu a z"), "a b");
        assert_eq!(of("set -- gosu app \"$@\"\nexec \"$@\""), "app");
        assert_eq!(of("exec gosu \"$USER\" x"), "");
        assert_eq!(of("echo gosu x"), "");
    }

    #[test]
    fn sourced_files_and_started_programs_are_told_apart() {
        let list = commands(". /lib/x.sh\nset -e\n[ -f y ] && source \"$HERE/y\" z\n\"$P\" b\nA=1 c d");
        assert_eq!(sourced(&list).collect::<Vec<_>>(), ["/lib/x.sh", "$HERE/y"]);
        assert_eq!(started(&list).collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn health_checks_start_their_program_and_what_their_text_does() {
        let of = |test: &[&str]| {
            of_healthcheck(&test.iter().map(ToString::to_string).collect::<Vec<_>>()).join(" ")
        };
        assert_eq!(of(&["CMD", "curl", "-f", "x"]), "curl");
        assert_eq!(of(&["CMD-SHELL", "curl -f http://x/ || exit 1"]), "/bin/sh curl");
        assert_eq!(
            of(&["CMD-SHELL", "test -f /x && $CHECK && pg_isready | grep x"]),
            "/bin/sh pg_isready grep"
        );
        assert_eq!(of(&["CMD", "/bin/bash", "-ec", "wget x"]), "/bin/bash wget");
        assert_eq!(of(&["CMD", "check", "-c", "wget x"]), "check");
        assert_eq!(of(&["NONE"]), "");
        assert_eq!(of(&["CMD"]), "");
    }

    #[test]
    fn builtins_are_sorted_for_the_search() {
        assert!(is_builtin("while") && is_builtin("!") && !is_builtin("rm"));
    }

    #[test]
    fn mentioned_words_are_names_and_paths() {
        let text =
            "#!/bin/sh\nset -e\n# rm nothing\nif [ -d /data ]; then chown -R app:app /data; fi\nexec \"$@\"";
        assert_eq!(mentioned_words(text), ["-e", "-d", "/data", "chown", "-R", "app"]);
    }

    #[test]
    fn what_a_script_only_prints_names_nothing() {
        let names = |text: &str| mentioned_words(text).contains(&"wget");
        for message in [
            "echo wget",
            "  echo \"no wget; ($HOME) \\\" here\"",
            "printf 'wget > x | y\\n'",
            "echo \"wget\" >&2",
            "echo wget 1>&2",
            ">&2 echo wget",
        ] {
            assert!(!names(&format!("#!/bin/sh\nif true; then\n{message}\nfi\nexec app\n")), "{message}");
        }
        for run in [
            "echo x | wget",
            "echo wget | sh",
            "echo wget > /run.sh",
            "echo wget >&3",
            "echo x; wget",
            "echo x && wget",
            "echo $(wget)",
            "echo \"`wget`\"",
            "echo \"x\nwget\"",
            "echo x \\\n wget",
            "x=$(echo wget)",
            "x=$(\necho wget\n)",
            "case x in\nx) y=$(\necho wget\n) ;;\nesac",
            "x=`\necho wget\n`",
            "echo2 wget",
            "f() {\necho wget\n}\n$(f)",
            "function f {\necho wget\n}\n$(f)",
            "{\necho wget\n} | sh",
            "if x; then\necho wget\nfi > /run.sh",
            "exec > /run.sh\necho wget",
        ] {
            assert!(names(run), "{run}");
        }
        assert!(!names("f() {\n  echo 'no wget' >&2\n}\nf"), "no substitution reads that stream");
    }
}
