//! The simple commands of a shell text, in order.
//!
//! Knows quotes, operators and keywords, not what is true when: a command that never runs is in the list, too.

/// A simple command as written: quotes taken off, nothing expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its words, the name first: never empty. What the shell would expand is still there, with its `$`.
    pub words: Vec<String>,
    /// It takes the shell's place: `exec` stood before it.
    pub exec: bool,
    /// What stands between it and the command before it.
    pub joined: Joined,
}

/// What joins a command to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Joined {
    /// Nothing but an end: `;`, `&`, a new line, or the beginning of the text.
    #[default]
    End,
    /// `&&`: it runs where that one succeeds.
    And,
    /// `||`: it runs where that one fails.
    Or,
    /// `|`: it reads what that one prints.
    Pipe,
    /// It stands in a branch, a loop, a function or parentheses, or behind `!` and the like.
    Inside,
}

/// Words before a command that are no part of it.
const KEYWORDS: &[&str] =
    &["!", "{", "}", "builtin", "command", "do", "elif", "else", "if", "then", "time", "until", "while"];

/// Lists the simple commands of `text`. Assignments and redirections before and behind a command are left out, and so
/// are patterns of `case` and names of functions.
pub fn commands(text: &str) -> Vec<Command> {
    let mut reader = Reader::default();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = reader.word.get_or_insert_default();
                word.extend(chars.by_ref().take_while(|&c| c != '\''));
            }
            '"' => {
                let word = reader.word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|&c| c != '"') {
                    match c {
                        '\\' => word.extend(chars.next()),
                        c => word.push(c),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(c) => reader.word.get_or_insert_default().push(c),
            },
            '#' if reader.word.is_none() => while chars.next_if(|&c| c != '\n').is_some() {},
            '<' | '>' => {
                // `2>&1`: a number before it is the descriptor's, and the word behind it is no argument.
                if reader.word.as_ref().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
                    reader.word = None;
                }
                reader.end_word();
                while chars.next_if(|c| matches!(c, '<' | '>' | '&' | '-' | '|' | ' ')).is_some() {}
                reader.is_target = true;
            }
            '$' if chars.next_if_eq(&'(').is_some() => reader.join(Joined::Inside),
            '(' => {
                // `name()`
                if chars.next_if_eq(&')').is_some() {
                    reader.word = None;
                    reader.words.clear();
                }
                reader.join(Joined::Inside);
            }
            ')' => reader.close(),
            ';' => {
                reader.join(Joined::End);
                reader.is_pattern |= chars.next_if_eq(&';').is_some();
            }
            // Behind an operator the line may end.
            '\n' => reader.end_command(),
            '`' => reader.join(Joined::Inside),
            '&' => {
                let is_and = chars.next_if_eq(&'&').is_some();
                reader.join(if is_and { Joined::And } else { Joined::End });
            }
            '|' => {
                // `|&` reads what goes to the error stream, too.
                let next = chars.next_if(|c| matches!(c, '|' | '&'));
                reader.join(if next == Some('|') { Joined::Or } else { Joined::Pipe });
            }
            c if c.is_whitespace() => reader.end_word(),
            c => reader.word.get_or_insert_default().push(c),
        }
    }
    reader.end_command();
    reader.list
}

#[derive(Default)]
struct Reader {
    list: Vec<Command>,
    words: Vec<String>,
    word: Option<String>,
    /// How the next command is joined to the last.
    joined: Joined,
    /// The next word is where a redirection leads.
    is_target: bool,
    /// A pattern of `case` is read, up to its `)`.
    is_pattern: bool,
}

impl Reader {
    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if std::mem::take(&mut self.is_target) {
            return;
        }
        if self.is_pattern && word == "esac" {
            self.is_pattern = false;
            return;
        }
        self.words.push(word);
        if matches!(self.words.as_slice(), [case, _, word] if case == "case" && word == "in") {
            self.words.clear();
            self.is_pattern = true;
        }
    }

    /// Ends a command at what joins the next one to it.
    fn join(&mut self, joined: Joined) {
        self.end_command();
        self.joined = joined;
    }

    fn end_command(&mut self) {
        self.end_word();
        self.is_target = false;
        let words = std::mem::take(&mut self.words);
        if self.is_pattern {
            return;
        }
        let mut words = words.into_iter().peekable();
        let mut exec = false;
        if words.peek().is_none() {
            return;
        }
        let mut joined = std::mem::take(&mut self.joined);
        loop {
            let is_before = |word: &String| {
                KEYWORDS.contains(&word.as_str()) || is_assignment(word) || (exec && word.starts_with('-'))
            };
            if let Some(word) = words.next_if(is_before) {
                if KEYWORDS.contains(&word.as_str()) {
                    joined = Joined::Inside;
                }
                // `exec -a NAME`
                if exec && word == "-a" {
                    words.next();
                }
            } else if words.next_if(|word| !exec && word == "exec").is_some() {
                exec = true;
            } else {
                break;
            }
        }
        let words: Vec<String> = words.collect();
        if !words.is_empty() {
            self.list.push(Command { words, exec, joined });
        }
    }

    fn close(&mut self) {
        if self.is_pattern {
            self.end_word();
            self.words.clear();
            self.is_pattern = false;
        } else {
            self.end_command();
        }
        self.joined = Joined::Inside;
    }
}

/// `NAME=VALUE` (POSIX shell, 2.9.1).
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let list: Vec<String> = commands(text)
            .iter()
            .map(|command| format!("{}{}", if command.exec { "exec " } else { "" }, command.words.join("|")))
            .collect();
        assert_eq!(list, expect, "{text}");
    }

    #[test]
    fn commands_stand_between_operators_and_after_keywords() {
        check("a b && c || d; e | f & g", &["a|b", "c", "d", "e", "f", "g"]);
        check("if a; then b; else c; fi", &["a", "b", "c", "fi"]);
        check("while ! a\ndo\n  b # c; d\ndone", &["a", "b", "done"]);
        check("( a; { b; } )", &["a", "b"]);
        check("x=$(a b) y=1 c", &["a|b", "c"]);
        check("a `b c`", &["a", "b|c"]);
    }

    #[test]
    fn it_is_told_what_joins_a_command_to_the_one_before() {
        use Joined::{And, End, Inside, Or, Pipe};
        let joined = |text: &str| -> Vec<Joined> { commands(text).iter().map(|one| one.joined).collect() };
        assert_eq!(joined("a && b || c; d | e & f\ng"), [End, And, Or, End, Pipe, End, End]);
        assert_eq!(joined("a &&\n b |\n\n c |& d"), [End, And, Pipe, Pipe]);
        assert_eq!(joined("a 2>&1 >x && b"), [End, And]);
        assert_eq!(joined("if a; then b; else c; fi"), [Inside, Inside, Inside, End]);
        assert_eq!(joined("! a; (b; c); d $(e)"), [Inside, Inside, End, End, Inside]);
        assert_eq!(joined("case x in y) a;; z) b;; esac"), [Inside, Inside]);
        assert_eq!(joined("f() { a; }"), [Inside]);
        assert_eq!(joined("command -v a && b"), [Inside, And]);
    }

    #[test]
    fn exec_is_told_and_what_stands_before_it_left_out() {
        check("set -e\nexec nginx -g 'daemon off;'", &["set|-e", "exec nginx|-g|daemon off;"]);
        check("A=1 exec -a x gosu \"$USER\" a", &["exec gosu|$USER|a"]);
        check("exec > /log 2>&1\nexec a >/dev/null", &["exec a"]);
        check("exec a \\\n  b", &["exec a|b"]);
    }

    #[test]
    fn redirections_patterns_and_functions_are_no_commands() {
        check("a > b 2>&1 <c d", &["a|d"]);
        check("case \"$1\" in\n  nginx|x) a ;;\n  -*) b; c ;;\nesac\nd", &["a", "b", "c", "d"]);
        check("nginx() {\n  a\n}\nb", &["a", "b"]);
        check("echo 'x; y' \"z; \\\" w\"", &["echo|x; y|z; \" w"]);
    }

    #[test]
    fn text_that_ends_early_is_read_as_far_as_it_goes() {
        check("a 'b", &["a|b"]);
        check("a \"b", &["a|b"]);
        check("a \\", &["a"]);
        check("case x in", &[]);
        check("))", &[]);
        check("", &[]);
    }
}
