//! Tetragon: changes outside, execution from where the app writes, and tools that the image does not have, seen in the kernel.
//!
//! Selects by names, not by images: the policy of an image is for the containers that kiln writes for it, in pods with the label
//! that it gives them. Paths are compared by how they begin, so that every one ends in `/`.

use serde_json::{Value, json};

use super::document::{file, put};
use super::{Enforce, File, Image, Request, Role};
use crate::kube::pod::INIT_NAMES;

/// What a program may read but nothing in a container should change.
const IMAGE_DIRS: [&str; 17] = [
    "/app/", "/bin/", "/boot/", "/etc/", "/home/", "/lib/", "/lib32/", "/lib64/", "/mnt/", "/opt/", "/root/",
    "/run/", "/sbin/", "/srv/", "/tmp/", "/usr/", "/var/",
];

/// Where programs and what they load stand.
const PROGRAMS: [&str; 11] = [
    "/bin/",
    "/sbin/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/local/bin/",
    "/usr/local/sbin/",
    "/lib/",
    "/lib64/",
    "/usr/lib/",
    "/usr/lib64/",
    "/usr/local/lib/",
];

/// Where containers can write whatever their root is.
const SCRATCH: [&str; 6] = ["/tmp/", "/var/tmp/", "/run/", "/var/run/", "/dev/shm/", "/dev/mqueue/"];

/// `MAY_WRITE`, linux/fs.h.
const MAY_WRITE: &str = "2";

/// Longest message of an event, characters.
const MAX_MESSAGE: usize = 256;

/// A hook that is given a directory in which something changes.
struct InDirectory {
    call: &'static str,
    /// Types of the arguments as far as they matter.
    arguments: &'static [&'static str],
    /// Which of them are directories, the one where something appears first.
    directories: &'static [u32],
}

/// Those of the kernel (`linux/security.h`).
const IN_DIRECTORY: [InDirectory; 6] = [
    InDirectory { call: "security_path_link", arguments: &["nop", "path"], directories: &[1] },
    InDirectory { call: "security_path_mkdir", arguments: &["path"], directories: &[0] },
    InDirectory { call: "security_path_rename", arguments: &["path", "nop", "path"], directories: &[2, 0] },
    InDirectory { call: "security_path_rmdir", arguments: &["path"], directories: &[0] },
    InDirectory { call: "security_path_symlink", arguments: &["path"], directories: &[0] },
    InDirectory { call: "security_path_unlink", arguments: &["path"], directories: &[0] },
];

/// A hook, an argument of which is a path.
struct Probe {
    call: &'static str,
    arguments: &'static [&'static str],
    message: String,
    /// The first that holds decides.
    selectors: Vec<Selector>,
}

/// What the path must be like, and the other arguments.
struct Selector {
    matches: Vec<Value>,
    /// Whether nothing is told of it.
    is_silent: bool,
}

pub(super) fn files(request: &Request) -> Vec<File> {
    if request.images.is_empty() {
        let comment = "Changes below the directories of programs, and programs from directories that containers can write to, in\nevery container.";
        let scratch = SCRATCH.map(str::to_owned);
        let inside = Paths { silent: Vec::new(), told: PROGRAMS.map(str::to_owned).to_vec() };
        let mut probes = changes(&inside, "below a directory of programs in a container");
        probes.push(executes(
            "Program started from a writable directory in a container",
            vec![matching(0, "Prefix", &scratch)],
        ));
        return vec![policy("kiln", comment, &json!({}), &probes, request), events("kiln", None)];
    }
    request.images.iter().flat_map(|image| of_image(image, request)).collect()
}

fn of_image(image: &Image, request: &Request) -> [File; 2] {
    let name = image.name();
    let writable: Vec<String> = image.writable().iter().map(|path| format!("{path}/")).collect();
    let mut executes_from: Vec<String> = image.app_writable().iter().map(|path| format!("{path}/")).collect();
    executes_from.push("/dev/shm/".to_owned());
    // Where it may write comes first: the rest of the image's directories is what lies around it.
    let mut told = IMAGE_DIRS.map(str::to_owned).to_vec();
    told.extend(image.tops());
    told.sort();
    told.dedup();
    let inside = Paths { silent: writable, told };
    let tools: Vec<String> = image.gone().iter().map(|name| format!("/{name}")).collect();
    let mut probes = changes(&inside, &format!("outside the writable paths of {name}"));
    probes.push(executes(
        &format!("Program started from a writable path of {name}, or a shell or package manager"),
        vec![matching(0, "Prefix", &executes_from), matching(0, "Postfix", &tools)],
    ));
    let app = request.app.clone().unwrap_or_else(|| image.app());
    let containers: Vec<&str> = std::iter::once(app.as_str()).chain(INIT_NAMES).collect();
    let comment = format!(
        "What a process in a container of {} does not do, from its writable manifest.\nHolds in pods labelled app.kubernetes.io/name: {app}, as `kiln generate` labels them, for the containers {},\nand for no other that is injected there or brought by `kubectl debug`.",
        image.references(),
        containers.join(", ")
    );
    let selectors = json!({
        "podSelector": { "matchLabels": { "app.kubernetes.io/name": app } },
        "containerSelector": {
            "matchExpressions": [{ "key": "name", "operator": "In", "values": containers }],
        },
    });
    [
        policy(&format!("kiln-{name}"), &comment, &selectors, &probes, request),
        events(&format!("kiln-{name}"), Some(image)),
    ]
}

/// The hooks of all changes at paths that are told of.
fn changes(paths: &Paths, place: &str) -> Vec<Probe> {
    let mut probes = vec![
        writes(&format!("Write {place}"), paths),
        of_path("security_path_truncate", &format!("Truncation {place}"), paths),
        of_path("security_path_chmod", &format!("Change of mode {place}"), paths),
    ];
    probes.extend(IN_DIRECTORY.iter().map(|hook| hook.probe(paths, place)));
    probes
}

fn matching(index: u32, operator: &str, values: &[String]) -> Value {
    json!({ "index": index, "operator": operator, "values": values })
}

/// Beginnings of paths: those of which nothing is told, and then those that are told of.
struct Paths {
    silent: Vec<String>,
    told: Vec<String>,
}

impl InDirectory {
    fn probe(&self, paths: &Paths, place: &str) -> Probe {
        let what = self.call.strip_prefix("security_path_").unwrap_or(self.call);
        // What is renamed stays on its mount: where volumes are silent, the one directory tells of the other.
        let count = if paths.silent.is_empty() { self.directories.len() } else { 1 };
        let selectors = self.directories.iter().take(count).flat_map(|index| paths.of_directory(*index));
        Probe {
            call: self.call,
            arguments: self.arguments,
            message: format!("Change of a directory ({what}) {place}"),
            selectors: selectors.collect(),
        }
    }
}

impl Paths {
    /// For an argument that is a directory, which has no `/` at its end, or below one.
    fn of_directory(&self, index: u32) -> Vec<Selector> {
        let both = |paths: &[String], is_silent: bool| {
            let itself = |path: &String| path.trim_end_matches('/').to_owned();
            let mut exact: Vec<String> = paths.iter().map(itself).collect();
            if !is_silent && !self.silent.is_empty() {
                // What the image has at its top.
                exact.insert(0, "/".to_owned());
            }
            [("Equal", exact), ("Prefix", paths.to_vec())].map(|(operator, values)| Selector {
                matches: vec![matching(index, operator, &values)],
                is_silent,
            })
        };
        let silent = (!self.silent.is_empty()).then(|| both(&self.silent, true));
        silent.into_iter().chain([both(&self.told, false)]).flatten().collect()
    }

    fn selectors(&self, also: &[Value]) -> Vec<Selector> {
        let selector = |paths: &[String], is_silent| {
            let mut matches = vec![matching(0, "Prefix", paths)];
            matches.extend_from_slice(also);
            Selector { matches, is_silent }
        };
        let silent = (!self.silent.is_empty()).then(|| selector(&self.silent, true));
        silent.into_iter().chain([selector(&self.told, false)]).collect()
    }
}

fn writes(message: &str, paths: &Paths) -> Probe {
    let selectors = paths.selectors(&[matching(1, "Equal", &[MAY_WRITE.to_owned()])]);
    Probe {
        call: "security_file_permission",
        arguments: &["file", "int"],
        message: message.to_owned(),
        selectors,
    }
}

fn of_path(call: &'static str, message: &str, paths: &Paths) -> Probe {
    Probe { call, arguments: &["path"], message: message.to_owned(), selectors: paths.selectors(&[]) }
}

/// A program whose path is as any of `paths` says.
fn executes(message: &str, paths: Vec<Value>) -> Probe {
    let selectors =
        paths.into_iter().map(|path| Selector { matches: vec![path], is_silent: false }).collect();
    Probe {
        call: "security_bprm_check",
        arguments: &["linux_binprm"],
        message: message.to_owned(),
        selectors,
    }
}

impl Probe {
    fn value(&self, enforce: Enforce) -> Value {
        let arguments: Vec<Value> = (0_u32..)
            .zip(self.arguments)
            .map(|(index, kind)| json!({ "index": index, "type": kind }))
            .collect();
        let action = match enforce {
            Enforce::Deny => json!({ "action": "Sigkill" }),
            Enforce::Warn | Enforce::Audit => json!({ "action": "Post", "rateLimit": "1m" }),
        };
        json!({
            "call": self.call,
            "syscall": false,
            "message": self.message.chars().take(MAX_MESSAGE).collect::<String>(),
            "args": arguments,
            "selectors": self.selectors.iter().map(|selector| json!({
                // Only containers: what is in no process namespace of its own is the host's.
                "matchNamespaces": [{ "namespace": "Pid", "operator": "NotIn", "values": ["host_ns"] }],
                "matchArgs": selector.matches,
                "matchActions": [if selector.is_silent { json!({ "action": "NoPost" }) } else { action.clone() }],
            })).collect::<Vec<_>>(),
            "tags": ["observability.filesystem"],
        })
    }
}

/// The policy of `probes`, for what the fields `selectors` select.
fn policy(name: &str, comment: &str, selectors: &Value, probes: &[Probe], request: &Request) -> File {
    let enforce = request.enforce.unwrap_or(Enforce::Audit);
    let mut spec = selectors.clone();
    put(&mut spec, "/kprobes", probes.iter().map(|probe| probe.value(enforce)).collect());
    let namespaces = request.sorted_namespaces();
    let one = |kind: &str, metadata: Value| json!({ "apiVersion": "cilium.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec });
    let values: Vec<Value> = if namespaces.is_empty() {
        vec![one("TracingPolicy", json!({ "name": name }))]
    } else {
        let of = |namespace| one("TracingPolicyNamespaced", json!({ "name": name, "namespace": namespace }));
        namespaces.iter().map(of).collect()
    };
    let mut comment = comment.to_owned();
    if enforce == Enforce::Deny {
        comment.push_str("\nThe process that does it is killed.");
    }
    file(format!("{name}.yaml"), Role::Policy, &comment, &values)
}

/// Calls of the hooks that the policy tells of, and such that it is silent about.
fn events(name: &str, image: Option<&Image>) -> File {
    let call = |call: &str, arguments: &[&str]| json!({ "call": call, "arguments": arguments });
    let write = |path: &str| call("security_file_permission", &[path, MAY_WRITE]);
    let read = |path: &str| call("security_file_permission", &[path, "4"]);
    let truncate = |path: &str| call("security_path_truncate", &[path]);
    let chmod = |path: &str| call("security_path_chmod", &[path]);
    let unlink = |directory: &str| call("security_path_unlink", &[directory]);
    let symlink = |directory: &str| call("security_path_symlink", &[directory]);
    let link = |directory: &str| call("security_path_link", &["", directory]);
    let rename = |from: &str, to: &str| call("security_path_rename", &[from, "", to]);
    let execute = |path: &str| call("security_bprm_check", &[path]);
    let (mut raises, mut silent) = (
        vec![
            write("/usr/bin/app"),
            write("/usr/local/lib/x.so"),
            truncate("/usr/sbin/x"),
            chmod("/usr/bin/app"),
            unlink("/usr/bin"),
            symlink("/usr/lib/x"),
            link("/usr/local/bin"),
            rename("/usr/bin", "/usr/bin"),
            execute("/dev/shm/x"),
        ],
        vec![
            read("/usr/bin/app"),
            write("pipe:[1]"),
            unlink("/dev/shm"),
            execute("/opt/app"),
            execute("/opt/shutdown"),
        ],
    );
    match image {
        None => {
            raises.extend([execute("/tmp/x"), rename("/tmp", "/usr/bin"), rename("/usr/bin", "/tmp")]);
            silent.extend([
                write("/tmp/x"),
                write("/binary"),
                unlink("/usr/binary"),
                rename("/tmp", "/tmp/x"),
            ]);
        }
        Some(image) => {
            raises.extend([write("/etc/passwd"), truncate("/var/x"), unlink("/"), rename("/etc", "/etc/x")]);
            let is_told =
                |top: &&String| !image.writable().iter().any(|path| top.starts_with(&format!("{path}/")));
            raises.extend(image.tops().iter().filter(is_told).map(|top| write(&format!("{top}x"))));
            raises.extend(image.app_writable().iter().map(|path| execute(&format!("{path}/x"))));
            raises.extend(image.gone().iter().take(2).map(|name| execute(&format!("/usr/bin/{name}"))));
            silent.extend(image.app_writable().iter().flat_map(|path| {
                let below = format!("{path}/x");
                [write(&below), chmod(&below), unlink(path), symlink(&below), rename(path, &below)]
            }));
        }
    }
    let comment =
        "Calls of the kernel's hooks: those that the policy tells of, and those that it is silent about.";
    file(
        format!("tests/{name}-events.yaml"),
        Role::Test,
        comment,
        &[json!({ "raises": raises, "silent": silent })],
    )
}
