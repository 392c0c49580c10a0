//! Falco's rules: every field of the documents, every field of the conditions, and the conditions themselves, evaluated with the
//! events that are written beside them.
//!
//! Operators are those of Falco's condition syntax that the rules use; what the parser does not know fails.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{WEB, Written, items, only_fields, text, written, written_for};

/// Fields that Falco has of system calls (its supported fields, class by class).
const FIELDS: [&str; 26] = [
    "container.id",
    "container.image.digest",
    "container.image.repository",
    "container.image.tag",
    "container.name",
    "evt.args",
    "evt.is_open_write",
    "evt.res",
    "evt.type",
    "fd.name",
    "fd.num",
    "fd.typechar",
    "fs.path.name",
    "fs.path.source",
    "fs.path.target",
    "k8s.ns.name",
    "k8s.pod.name",
    "proc.cmdline",
    "proc.exepath",
    "proc.is_exe_from_memfd",
    "proc.is_exe_upper_layer",
    "proc.name",
    "proc.pname",
    "proc.tty",
    "user.name",
    "user.uid",
];

/// System calls whose events Falco has by default.
const CALLS: [&str; 24] = [
    "chmod",
    "chown",
    "execve",
    "execveat",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "lchown",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "open",
    "openat",
    "openat2",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
];

const PRIORITIES: [&str; 8] =
    ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFORMATIONAL", "DEBUG"];

/// A rules file.
struct Rules {
    macros: BTreeMap<String, String>,
    lists: BTreeMap<String, Vec<String>>,
    by_name: BTreeMap<String, Value>,
}

impl Rules {
    /// Reads `document` and fails at whatever Falco does not know.
    fn of(document: &Value) -> Self {
        let mut all = Self { macros: BTreeMap::new(), lists: BTreeMap::new(), by_name: BTreeMap::new() };
        for (number, item) in document.as_array().unwrap().iter().enumerate() {
            if let Some(version) = item.get("required_engine_version") {
                only_fields(item, "a version", &["required_engine_version"]);
                assert_eq!((number, version.as_str().unwrap().split('.').count()), (0, 3));
            } else if let Some(name) = item.get("macro") {
                only_fields(item, "a macro", &["macro", "condition"]);
                all.macros.insert(name.as_str().unwrap().to_owned(), text(item, "/condition").to_owned());
            } else if let Some(name) = item.get("list") {
                only_fields(item, "a list", &["list", "items"]);
                let members = items(item, "/items")
                    .iter()
                    .map(|item| item.as_str().unwrap().trim_matches('"').to_owned());
                all.lists.insert(name.as_str().unwrap().to_owned(), members.collect());
            } else {
                only_fields(item, "a rule", &["rule", "desc", "condition", "output", "priority", "tags"]);
                assert!(PRIORITIES.contains(&text(item, "/priority")));
                assert!(!text(item, "/output").contains('\n'));
                for field in outputs(text(item, "/output")) {
                    assert!(FIELDS.contains(&field.as_str()), "%{field}");
                }
                all.by_name.insert(text(item, "/rule").to_owned(), item.clone());
            }
        }
        all
    }

    fn raises(&self, rule: &str, event: &Value) -> bool {
        let rule = self.by_name.get(rule).unwrap_or_else(|| panic!("no rule {rule}"));
        self.holds(text(rule, "/condition"), event)
    }

    fn holds(&self, condition: &str, event: &Value) -> bool {
        let mut reader = Reader { rules: self, event, tokens: tokens(condition), at: 0 };
        let value = reader.any();
        assert_eq!(
            reader.at,
            reader.tokens.len(),
            "left over of {condition}: {:?}",
            &reader.tokens[reader.at..]
        );
        value
    }
}

/// Names of the fields in an output.
fn outputs(output: &str) -> Vec<String> {
    let is_field = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
    let parts = output.split('%').skip(1);
    parts
        .map(|part| {
            part.chars().take_while(|&c| is_field(c)).collect::<String>().trim_end_matches('.').to_owned()
        })
        .collect()
}

fn tokens(condition: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut chars = condition.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' | ')' | ',' => all.push(c.to_string()),
            '\'' | '"' => all.push(chars.by_ref().take_while(|&next| next != c).collect()),
            c => {
                let mut word = c.to_string();
                while let Some(&next) = chars.peek() {
                    if next.is_whitespace() || "(),'".contains(next) {
                        break;
                    }
                    word.push(next);
                    chars.next();
                }
                all.push(word);
            }
        }
    }
    all
}

/// Reads a condition and says whether it holds for an event: `or` binds less than `and`, `and` less than `not`.
struct Reader<'r> {
    rules: &'r Rules,
    event: &'r Value,
    tokens: Vec<String>,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens
            .get(self.at - 1)
            .cloned()
            .unwrap_or_else(|| panic!("the condition ends: {:?}", self.tokens))
    }

    fn takes(&mut self, word: &str) -> bool {
        let is = self.peek() == word;
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> bool {
        let mut value = self.all();
        while self.takes("or") {
            value |= self.all();
        }
        value
    }

    fn all(&mut self) -> bool {
        let mut value = self.one();
        while self.takes("and") {
            value &= self.one();
        }
        value
    }

    fn one(&mut self) -> bool {
        if self.takes("not") {
            return !self.one();
        }
        if self.takes("(") {
            let value = self.any();
            assert!(self.takes(")"), "{:?}", self.tokens);
            return value;
        }
        let name = self.next();
        if let Some(inner) = self.rules.macros.get(&name) {
            return self.rules.holds(inner, self.event);
        }
        assert!(FIELDS.contains(&name.as_str()), "no field and no macro: {name}");
        let operator = self.next();
        let wanted = self.operand();
        if name == "evt.type" {
            assert!(wanted.iter().all(|call| CALLS.contains(&call.as_str())), "{wanted:?}");
        }
        let Some(found) = self.event.get(&name).map(plain) else { return false };
        compare(&found, &operator, &wanted)
    }

    /// A word, or a list in which names of lists stand for what is in them.
    fn operand(&mut self) -> Vec<String> {
        if !self.takes("(") {
            return vec![self.next()];
        }
        let mut members = Vec::new();
        while !self.takes(")") {
            let member = self.next();
            match self.rules.lists.get(&member) {
                Some(list) => members.extend(list.iter().cloned()),
                None => members.push(member),
            }
            self.takes(",");
        }
        members
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn compare(found: &str, operator: &str, wanted: &[String]) -> bool {
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("{text} is no number"));
    let one = || {
        assert_eq!(wanted.len(), 1, "{operator} {wanted:?}");
        wanted[0].as_str()
    };
    match operator {
        "=" => found == one(),
        "!=" => found != one(),
        ">=" => number(found) >= number(one()),
        "in" => wanted.iter().any(|word| word == found),
        "startswith" => found.starts_with(one()),
        // Component by component.
        "pmatch" => wanted.iter().any(|path| {
            found.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }),
        other => panic!("no operator: {other}"),
    }
}

/// Evaluates all events; gives how many there were. Every rule has some of both.
fn verify(files: &Written) -> usize {
    let mut count = 0;
    for (path, documents) in files.iter().filter(|(path, _)| !path.starts_with("tests/")) {
        let rules = Rules::of(&documents[0]);
        let events = &files[&format!("tests/{}-events.yaml", path.strip_suffix(".yaml").unwrap())][0];
        let mut tested: Vec<&str> = Vec::new();
        for pair in events.as_array().unwrap() {
            only_fields(pair, "a pair", &["rule", "raises", "silent"]);
            let rule = text(pair, "/rule");
            tested.push(rule);
            for (field, expected) in [("/raises", true), ("/silent", false)] {
                assert!(!items(pair, field).is_empty(), "{rule}: {field}");
                for event in items(pair, field) {
                    assert_eq!(rules.raises(rule, event), expected, "{rule}: {event:#}");
                    count += 1;
                }
            }
        }
        tested.sort_unstable();
        assert!(rules.by_name.keys().eq(tested.iter()), "{path}: {tested:?}");
    }
    count
}

#[test]
fn rules_raise_on_their_events_and_on_no_others() {
    assert!(verify(&written(&["falco"])) > 20);
    assert!(verify(&written(&["falco", "--namespace", "web", "--exempt", "registry.example/build/"])) > 20);
    assert!(verify(&written_for(&["falco"], &[WEB])) > 30);
    assert!(verify(&written_for(&["falco", "--namespace", "web"], &[WEB, "nginx:1", "host:5000/x"])) > 90);
}

#[test]
fn rule_of_the_guides_keeps_its_name_and_its_output_and_loses_its_gaps() {
    let files = written(&["falco"]);
    let rules = Rules::of(&files["kiln.yaml"][0]);
    let rule = &rules.by_name["Write below binary dir in container"];
    assert_eq!(rule["priority"], "CRITICAL");
    let output = text(rule, "/output");
    for part in [
        "Binary directory modified in container",
        "user=%user.name",
        "file=%fd.name",
        "process=%proc.name",
        "container=%container.name",
        "pod=%k8s.pod.name",
        "ns=%k8s.ns.name",
        "image=%container.image.repository",
    ] {
        assert!(output.contains(part), "{part}");
    }
}

#[test]
fn namespaces_and_exemptions_narrow_every_rule() {
    let files = written(&["falco", "--namespace", "web", "--exempt", "registry.example/build/"]);
    let rules = Rules::of(&files["kiln.yaml"][0]);
    for pair in files["tests/kiln-events.yaml"][0].as_array().unwrap() {
        for event in items(pair, "/raises") {
            let with = |field: &str, value: &str| {
                let mut event = event.clone();
                event[field] = value.into();
                rules.raises(text(pair, "/rule"), &event)
            };
            assert!(!with("k8s.ns.name", "other"));
            assert!(!with("container.image.repository", "registry.example/build/agent"));
        }
    }
}

#[test]
fn tools_that_stay_in_the_image_raise_nothing_and_names_are_as_the_kernel_cuts_them() {
    let files = written_for(&["falco"], &[WEB]);
    let rules = Rules::of(&files["kiln-team-web.yaml"][0]);
    let gone = &rules.lists["kiln_team_web_gone"];
    assert!(gone.iter().any(|name| name == "bash") && !gone.iter().any(|name| name == "dash"));
    assert!(gone.iter().any(|name| name == "dpkg-preconfigu") && gone.iter().all(|name| name.len() <= 15));
}

#[test]
fn what_hardened_images_do_when_they_start_raises_nothing() {
    let files = written_for(&["falco"], &[WEB]);
    let rules = Rules::of(&files["kiln-team-web.yaml"][0]);
    let outside = |path: &str| {
        let event = json!({
            "evt.type": "openat", "evt.res": "SUCCESS", "evt.is_open_write": true, "fd.typechar": "f", "fd.num": 5,
            "fd.name": path, "container.id": "3ad7b26ded6d",
            "container.image.repository": "registry.example/team/web",
        });
        rules.raises("Write outside the writable paths of team-web", &event)
    };
    // Links to the log streams, the streams themselves, and memory that PostgreSQL's processes share.
    for path in ["/var/log/nginx/access.log", "/dev/stdout", "/dev/stderr", "/dev/shm/PostgreSQL.1"] {
        assert!(!outside(path), "{path}");
    }
    assert!(outside("/var/log/other") && outside("/dev/sda"));
    let executed = json!({
        "evt.type": "execve", "evt.res": "SUCCESS", "proc.exepath": "/dev/shm/x", "proc.is_exe_upper_layer": false,
        "container.id": "3ad7b26ded6d", "container.image.repository": "registry.example/team/web",
    });
    assert!(rules.raises("Execution from a writable path of team-web", &executed));
}
