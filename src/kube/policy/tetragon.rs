//! Tetragon: writes outside, execution from where the app writes, and tools that the image does not have, seen in the kernel.
//!
//! Tetragon knows pods by their labels and not by their image: the policy of an image selects the pods that kiln writes for it.
//! Paths are compared by how they begin, so that every one ends in `/`.

use serde_json::{Value, json};

use super::document::{file, put};
use super::{Enforce, File, Image, Request, Role};

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
        let probes = [
            writes("Write below a directory of programs in a container", &inside),
            truncates("Truncation below a directory of programs in a container", &inside),
            executes(
                "Program started from a writable directory in a container",
                vec![matching(0, "Prefix", &scratch)],
            ),
        ];
        return vec![policy("kiln", comment, None, &probes, request), events("kiln", None)];
    }
    request.images.iter().flat_map(|image| of_image(image, request)).collect()
}

fn of_image(image: &Image, request: &Request) -> [File; 2] {
    let name = image.name();
    let writable: Vec<String> = image.writable().iter().map(|path| format!("{path}/")).collect();
    let mut executes_from: Vec<String> = image.app_writable().iter().map(|path| format!("{path}/")).collect();
    executes_from.push("/dev/shm/".to_owned());
    // Where it may write comes first: the rest of the image's directories is what lies around it.
    let inside = Paths { silent: writable, told: IMAGE_DIRS.map(str::to_owned).to_vec() };
    let tools: Vec<String> = image.gone().iter().map(|name| format!("/{name}")).collect();
    let probes = [
        writes(&format!("Write outside the writable paths of {name}"), &inside),
        truncates(&format!("Truncation outside the writable paths of {name}"), &inside),
        executes(
            &format!("Program started from a writable path of {name}, or a shell or package manager"),
            vec![matching(0, "Prefix", &executes_from), matching(0, "Postfix", &tools)],
        ),
    ];
    let comment = format!(
        "What a process in a container of {} does not do, from its writable manifest.\nHolds for pods with the label that kiln gives them: Tetragon does not know images.",
        image.references()
    );
    let selector = json!({ "matchLabels": { "app.kubernetes.io/name": image.app() } });
    [
        policy(&format!("kiln-{name}"), &comment, Some(selector), &probes, request),
        events(&format!("kiln-{name}"), Some(image)),
    ]
}

fn matching(index: u32, operator: &str, values: &[String]) -> Value {
    json!({ "index": index, "operator": operator, "values": values })
}

/// Beginnings of paths: those of which nothing is told, and then those that are told of.
struct Paths {
    silent: Vec<String>,
    told: Vec<String>,
}

impl Paths {
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

fn truncates(message: &str, paths: &Paths) -> Probe {
    let selectors = paths.selectors(&[]);
    Probe { call: "security_path_truncate", arguments: &["path"], message: message.to_owned(), selectors }
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

fn policy(name: &str, comment: &str, selector: Option<Value>, probes: &[Probe], request: &Request) -> File {
    let enforce = request.enforce.unwrap_or(Enforce::Audit);
    let mut spec = json!({ "kprobes": probes.iter().map(|probe| probe.value(enforce)).collect::<Vec<_>>() });
    if let Some(selector) = selector {
        put(&mut spec, "/podSelector", selector);
    }
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
    let call = |call: &str, path: &str, access: Option<&str>| json!({ "call": call, "path": path, "access": access });
    let write = |path: &str| call("security_file_permission", path, Some(MAY_WRITE));
    let read = |path: &str| call("security_file_permission", path, Some("4"));
    let truncate = |path: &str| call("security_path_truncate", path, None);
    let execute = |path: &str| call("security_bprm_check", path, None);
    let (mut raises, mut silent) = (
        vec![
            write("/usr/bin/app"),
            write("/usr/local/lib/x.so"),
            truncate("/usr/sbin/x"),
            execute("/dev/shm/x"),
        ],
        vec![read("/usr/bin/app"), write("pipe:[1]"), execute("/opt/app"), execute("/opt/shutdown")],
    );
    match image {
        None => {
            raises.extend([execute("/tmp/x")]);
            silent.extend([write("/tmp/x"), write("/binary")]);
        }
        Some(image) => {
            raises.extend([write("/etc/passwd"), truncate("/var/x")]);
            raises.extend(image.app_writable().iter().map(|path| execute(&format!("{path}/x"))));
            raises.extend(image.gone().iter().take(2).map(|name| execute(&format!("/usr/bin/{name}"))));
            silent.extend(image.app_writable().iter().map(|path| write(&format!("{path}/x"))));
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
