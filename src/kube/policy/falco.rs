//! Falco: what a process does in a container that an immutable one does not do.
//!
//! Needs Falco 0.37 and none of its own rules: macros and lists have names of their own, so that no other file changes them.
//! Nothing here prevents anything.

mod events;

use serde_json::{Value, json};

use super::document::file;
use super::{File, Image, Request, Role};

/// The first version of the engine that is written so, Falco 0.37's; it knows all fields and operators here.
const ENGINE: &str = "0.31.0";

/// Longest name of a process: the kernel's `TASK_COMM_LEN` without the zero.
const MAX_COMM: usize = 15;

/// Where programs and what they load stand.
const PROGRAMS: [&str; 12] = [
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
];

/// Where containers can write whatever their root is.
const SCRATCH: [&str; 6] = ["/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm", "/dev/mqueue"];

/// What can be written to in a container with a read-only root besides its volumes, and what is no file.
const KERNEL: [&str; 12] = [
    "/dev/fd",
    "/dev/full",
    "/dev/null",
    "/dev/pts",
    "/dev/ptmx",
    // Memory that processes share: PostgreSQL makes files there at each start.
    "/dev/shm",
    "/dev/stderr",
    "/dev/stdout",
    "/dev/termination-log",
    "/dev/tty",
    "/dev/zero",
    "/proc",
];

/// What the rules have in common.
const MACROS: [(&str, &str); 6] = [
    ("kiln_container", "(container.id != host)"),
    (
        "kiln_open_write",
        "(evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.typechar = 'f' and fd.num >= 0)",
    ),
    (
        "kiln_change",
        "(evt.type in (mkdir, mkdirat, rmdir, unlink, unlinkat, chmod, fchmod, fchmodat, chown, lchown, fchown, fchownat)\n  and evt.res = SUCCESS)",
    ),
    ("kiln_rename", "(evt.type in (rename, renameat, renameat2) and evt.res = SUCCESS)"),
    ("kiln_link", "(evt.type in (link, linkat, symlink, symlinkat) and evt.res = SUCCESS)"),
    ("kiln_executed", "(evt.type in (execve, execveat) and evt.res = SUCCESS)"),
];

/// A refusal by a read-only file system.
const REFUSED: &str = "((evt.type in (open, openat, openat2) and evt.is_open_write = true)\n    or evt.type in (mkdir, mkdirat, rmdir, unlink, unlinkat, chmod, fchmodat, rename, renameat, renameat2,\n    link, linkat, symlink, symlinkat))\n  and evt.res = EROFS";

/// Which container it was.
const WHERE: &str = "container=%container.name container_id=%container.id pod=%k8s.pod.name\n  ns=%k8s.ns.name image=%container.image.repository tag=%container.image.tag digest=%container.image.digest";

/// Who did it.
const WHO: &str = "user=%user.name user_uid=%user.uid process=%proc.name exe=%proc.exepath command=%proc.cmdline parent=%proc.pname";

/// A rule, before it is limited to where it holds.
struct Rule {
    name: String,
    desc: String,
    condition: String,
    output: String,
    priority: &'static str,
    tags: &'static [&'static str],
}

pub(super) fn files(request: &Request) -> Vec<File> {
    if request.images.is_empty() {
        let comment = "What an immutable container does not do, in every container.\nLoad it beside Falco's own rules: falco -r kiln.yaml, or `customRules` of its chart.";
        let mut values = head();
        values.push(list("kiln_program_dirs", &PROGRAMS.map(str::to_owned)));
        values.push(list("kiln_scratch_dirs", &SCRATCH.map(str::to_owned)));
        values.extend(generic().iter().map(|rule| rule.value("kiln_container", request)));
        return vec![
            file("kiln.yaml", Role::Policy, comment, &[Value::Array(values)]),
            events::generic(request),
        ];
    }
    request.images.iter().flat_map(|image| of_image(image, request)).collect()
}

fn of_image(image: &Image, request: &Request) -> [File; 2] {
    let name = image.name();
    let word = name.replace('-', "_");
    let comment = format!(
        "What a process in a container of {} does not do, from its writable manifest.",
        image.references()
    );
    let mut writable = image.app_writable();
    let executes: Vec<String> = writable.iter().cloned().chain(["/dev/shm".to_owned()]).collect();
    // The helper fills volumes where the app does not see them.
    writable.extend(image.writable());
    // Falco has a file's name as it is opened, not what it leads to.
    writable.extend(image.log_links());
    writable.extend(KERNEL.map(str::to_owned));
    writable.sort();
    writable.dedup();
    let mut tools: Vec<String> = image.gone().iter().map(|name| comm(name)).collect();
    tools.sort();
    tools.dedup();
    let mut values = head();
    values.push(macro_of(
        &format!("kiln_{word}"),
        &format!(
            "(container.image.repository in ({}))",
            image.spellings().iter().map(|name| word_of(name)).collect::<Vec<_>>().join(", ")
        ),
    ));
    values.push(list(&format!("kiln_{word}_writable"), &writable));
    values.push(list(&format!("kiln_{word}_writable_volumes"), &executes));
    values.push(list(&format!("kiln_{word}_gone"), &tools));
    let rules = image_rules(name, &word);
    values.extend(rules.iter().map(|rule| rule.value(&format!("kiln_{word}"), request)));
    [
        file(format!("kiln-{name}.yaml"), Role::Policy, &comment, &[Value::Array(values)]),
        events::of_image(image, request),
    ]
}

/// What every file begins with.
fn head() -> Vec<Value> {
    let mut values = vec![json!({ "required_engine_version": ENGINE })];
    values.extend(MACROS.map(|(name, condition)| macro_of(name, condition)));
    values
}

fn macro_of(name: &str, condition: &str) -> Value {
    json!({ "macro": name, "condition": condition })
}

/// What is in a list is written into conditions as it stands there, so that what is no plain word is quoted; what cannot be, or
/// would be a pattern, is left out, and then rather told of than not.
fn list(name: &str, items: &[String]) -> Value {
    let items: Vec<String> = items.iter().filter_map(|item| quoted(item)).collect();
    json!({ "list": name, "items": items })
}

fn quoted(text: &str) -> Option<String> {
    if is_word(text) {
        return Some(text.to_owned());
    }
    let is_plain = !text.chars().any(|c| c.is_control() || "\"'\\*?[]{}".contains(c));
    is_plain.then(|| format!("\"{text}\""))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
}

/// As the kernel cuts it.
fn comm(name: &str) -> String {
    name.chars().take(MAX_COMM).collect()
}

/// A word that a condition's parser takes whole.
fn word_of(text: &str) -> String {
    if is_word(text) { text.to_owned() } else { format!("'{text}'") }
}

fn generic() -> Vec<Rule> {
    vec![
        Rule {
            // The name that guides for the CKS teach.
            name: "Write below binary dir in container".to_owned(),
            desc: "Programs or their libraries are written, renamed, linked, removed or made executable in a container."
                .to_owned(),
            condition: changes_at("pmatch (kiln_program_dirs)", ""),
            output: format!("Binary directory modified in container (user=%user.name file=%fd.name process=%proc.name\n  path=%fs.path.name source=%fs.path.source target=%fs.path.target evt_type=%evt.type exe=%proc.exepath command=%proc.cmdline\n  {WHERE})"),
            priority: "CRITICAL",
            tags: &["container", "filesystem", "mitre_persistence", "T1543"],
        },
        Rule {
            name: "Write refused by read-only file system in container".to_owned(),
            desc: "Somebody tried to change what cannot be changed: the app needs a volume, or it is not the app that tries.".to_owned(),
            condition: REFUSED.to_owned(),
            output: format!("Write refused by a read-only file system (file=%fd.name evt_type=%evt.type res=%evt.res args=%evt.args\n  {WHO}\n  {WHERE})"),
            priority: "NOTICE",
            tags: &["container", "filesystem", "mitre_persistence"],
        },
        Rule {
            name: "Execution from writable directory in container".to_owned(),
            desc: "A program was started from a directory that containers can write to, volumes included, which `proc.is_exe_upper_layer` does not see.".to_owned(),
            condition: "kiln_executed and (proc.exepath pmatch (kiln_scratch_dirs) or proc.is_exe_upper_layer = true)".to_owned(),
            output: format!("Program started from a writable directory (exe=%proc.exepath command=%proc.cmdline upper_layer=%proc.is_exe_upper_layer\n  user=%user.name user_uid=%user.uid process=%proc.name parent=%proc.pname\n  {WHERE})"),
            priority: "CRITICAL",
            tags: &["container", "process", "mitre_execution", "T1059"],
        },
        memory("Execution from memory in container".to_owned()),
    ]
}

fn image_rules(name: &str, word: &str) -> Vec<Rule> {
    vec![
        Rule {
            name: format!("Write outside the writable paths of {name}"),
            desc: "Something was changed where the image does not write: its root is not read-only, or a volume is where none belongs.".to_owned(),
            condition: changes_at(&format!("pmatch (kiln_{word}_writable)"), "not "),
            output: format!("Write outside the writable paths of its image (file=%fd.name path=%fs.path.name source=%fs.path.source\n  target=%fs.path.target evt_type=%evt.type\n  {WHO}\n  {WHERE})"),
            priority: "ERROR",
            tags: &["container", "filesystem", "mitre_persistence"],
        },
        Rule {
            name: format!("Execution from a writable path of {name}"),
            desc: "A program was started from where the app writes, or from a layer that did not come with the image.".to_owned(),
            condition: format!("kiln_executed and (proc.exepath pmatch (kiln_{word}_writable_volumes) or proc.is_exe_upper_layer = true)"),
            output: format!("Program started from a writable path (exe=%proc.exepath command=%proc.cmdline upper_layer=%proc.is_exe_upper_layer\n  user=%user.name user_uid=%user.uid process=%proc.name parent=%proc.pname\n  {WHERE})"),
            priority: "CRITICAL",
            tags: &["container", "process", "mitre_execution", "T1059"],
        },
        Rule {
            name: format!("Write refused in {name}"),
            desc: "Somebody tried to change what cannot be changed: the app needs a path that its manifest lacks, or it is not the app that tries.".to_owned(),
            condition: REFUSED.to_owned(),
            output: format!("Write refused by a read-only file system (file=%fd.name evt_type=%evt.type res=%evt.res args=%evt.args\n  {WHO}\n  {WHERE})"),
            priority: "WARNING",
            tags: &["container", "filesystem", "mitre_persistence"],
        },
        Rule {
            name: format!("Shell or package manager in {name}"),
            desc: "A program was started that is not in the image: somebody brought it.".to_owned(),
            condition: format!("kiln_executed and proc.name in (kiln_{word}_gone)"),
            output: format!("Shell or package manager where none is in the image (exe=%proc.exepath command=%proc.cmdline\n  user=%user.name user_uid=%user.uid process=%proc.name parent=%proc.pname terminal=%proc.tty\n  {WHERE})"),
            priority: "CRITICAL",
            tags: &["container", "process", "shell", "mitre_execution", "T1059"],
        },
        memory(format!("Execution from memory in {name}")),
    ]
}

/// A change at a path of which `matches` holds, or not: of links only where they are made, of renames both ends.
fn changes_at(matches: &str, not: &str) -> String {
    format!(
        "((kiln_open_write and {not}fd.name {matches})\n    or (kiln_change and {not}fs.path.name {matches})\n    or (kiln_rename and ({not}fs.path.source {matches} or {not}fs.path.target {matches}))\n    or (kiln_link and {not}fs.path.source {matches}))"
    )
}

fn memory(name: String) -> Rule {
    Rule {
        name,
        desc: "A program was started from memory, where no file system's rights hold.".to_owned(),
        condition: "kiln_executed and proc.is_exe_from_memfd = true".to_owned(),
        output: format!(
            "Program started from memory (exe=%proc.exepath command=%proc.cmdline\n  user=%user.name user_uid=%user.uid process=%proc.name parent=%proc.pname\n  {WHERE})"
        ),
        priority: "CRITICAL",
        tags: &["container", "process", "mitre_defense_evasion", "T1620"],
    }
}

impl Rule {
    /// Where `place` holds, and in the namespaces and for the images that are asked for.
    fn value(&self, place: &str, request: &Request) -> Value {
        let mut condition = format!("{place}\n  and {}", self.condition);
        let namespaces = request.sorted_namespaces();
        if !namespaces.is_empty() {
            condition.push_str("\n  and k8s.ns.name in (");
            condition.push_str(&namespaces.join(", "));
            condition.push(')');
        }
        for prefix in request.exempt_images() {
            let prefix = prefix.trim_end_matches('*');
            condition.push_str("\n  and not container.image.repository startswith ");
            condition.push_str(&word_of(prefix));
        }
        json!({
            "rule": self.name,
            "desc": self.desc,
            "condition": condition,
            // One alert is one line.
            "output": self.output.replace("\n  ", " "),
            "priority": self.priority,
            "tags": self.tags,
        })
    }
}
