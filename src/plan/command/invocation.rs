//! A shell's own command line: options, and what it is to run.
//!
//! Reads words only; which shell it is and what stands in the text is for others.

/// What the words after a shell's name ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invocation<'a> {
    /// `-c TEXT`, whatever options stand before it and whatever operands behind it.
    Text {
        /// The command line.
        text: &'a str,
        /// No option does more than say how errors end it: the shell is left out without loss where it would run one
        /// simple command.
        plain: bool,
    },
    /// A script, at this position of the words.
    Script(usize),
    /// Commands from its standard input, or a terminal.
    Input,
}

/// Options by letter that change nothing of one simple command (POSIX shell, `set`; bash(1), "set").
const PLAIN_LETTERS: &str = "cefhuvxBEHTo";

/// As [`PLAIN_LETTERS`], by the name behind `-o`.
const PLAIN_NAMES: &[&str] = &[
    "errexit",
    "errtrace",
    "functrace",
    "hashall",
    "noglob",
    "nounset",
    "pipefail",
    "posix",
    "verbose",
    "xtrace",
];

/// Long options of bash that change nothing of one simple command.
const PLAIN_LONG: &[&str] = &["--noprofile", "--norc", "--posix", "--noediting", "--verbose"];

/// Reads `words`, those after the shell's name (POSIX shell, "sh"; bash(1), "OPTIONS"): options may be bundled, `o` and
/// `O` take a word each, and the text is the first word that is no option.
pub fn invocation(words: &[String]) -> Invocation<'_> {
    let (mut is_text, mut is_input, mut plain) = (false, false, true);
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        if matches!(word.as_str(), "--" | "-") {
            break;
        }
        if word.starts_with("--") {
            plain &= PLAIN_LONG.contains(&word.as_str());
            at += usize::from(matches!(word.as_str(), "--rcfile" | "--init-file"));
            continue;
        }
        let Some(letters) = word.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty()) else {
            at -= 1;
            break;
        };
        for letter in letters.chars() {
            plain &= PLAIN_LETTERS.contains(letter);
            is_text |= letter == 'c' && word.starts_with('-');
            is_input |= letter == 's';
            if matches!(letter, 'o' | 'O') {
                plain &=
                    letter == 'o' && words.get(at).is_some_and(|name| PLAIN_NAMES.contains(&name.as_str()));
                at += 1;
            }
        }
    }
    match words.get(at) {
        Some(text) if is_text => Invocation::Text { text, plain: plain && !is_input },
        Some(_) if !is_input => Invocation::Script(at),
        _ => Invocation::Input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expect: Invocation<'_>) {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        assert_eq!(invocation(&words), expect, "{words:?}");
    }

    #[test]
    fn text_is_found_behind_any_options_and_before_operands() {
        let plain = Invocation::Text { text: "x y", plain: true };
        check(&["-c", "x y"], plain);
        check(&["-ec", "x y"], plain);
        check(&["-e", "-u", "-c", "x y"], plain);
        check(&["-o", "pipefail", "-c", "x y"], plain);
        check(&["-euxo", "pipefail", "-c", "x y"], plain);
        check(&["-c", "-e", "x y"], plain);
        check(&["-c", "--", "x y", "name", "operand"], plain);
        check(&["+e", "-c", "x y"], plain);
        check(&["--norc", "-c", "x y"], plain);
        let other = Invocation::Text { text: "x y", plain: false };
        check(&["-lc", "x y"], other);
        check(&["--login", "-c", "x y"], other);
        check(&["-ic", "x y"], other);
        check(&["-nc", "x y"], other);
        check(&["-O", "extglob", "-c", "x y"], other);
        check(&["-o", "allexport", "-c", "x y"], other);
        check(&["--rcfile", "f", "-c", "x y"], other);
    }

    #[test]
    fn scripts_and_terminals_are_told_from_text() {
        check(&["run.sh", "-c", "x"], Invocation::Script(0));
        check(&["-e", "run.sh"], Invocation::Script(1));
        check(&["-eo", "pipefail", "run.sh"], Invocation::Script(2));
        check(&["--", "-run"], Invocation::Script(1));
        check(&[], Invocation::Input);
        check(&["-l"], Invocation::Input);
        check(&["-s", "a", "b"], Invocation::Input);
        check(&["-c"], Invocation::Input);
        check(&["-o"], Invocation::Input);
    }
}
