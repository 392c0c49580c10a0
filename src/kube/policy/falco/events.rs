//! Events that a rule tells of, and such that it is silent about, by the fields that Falco has of them.
//!
//! Falco has no tool that reads them: they are for people who tune a rule, and for whatever evaluates conditions.

use serde_json::{Value, json};

use super::super::document::{file, put};
use super::super::{File, Image, Request, Role};

/// A repository that no rule names.
const OTHER: &str = "registry.example/other";

/// Events of one image.
struct Events {
    repository: String,
    namespace: String,
}

impl Events {
    fn of(repository: String, request: &Request) -> Self {
        let namespace = request.sorted_namespaces().into_iter().next();
        Self { repository, namespace: namespace.unwrap_or_else(|| "production".to_owned()) }
    }

    fn event(&self, kind: &str, result: &str, fields: &[(&str, Value)]) -> Value {
        let mut event = json!({
            "evt.type": kind,
            "evt.res": result,
            "container.id": "3ad7b26ded6d",
            "container.image.repository": self.repository,
            "k8s.ns.name": self.namespace,
            "proc.name": "app",
            "proc.exepath": "/usr/bin/app",
        });
        for (field, value) in fields {
            put(&mut event, &format!("/{field}"), value.clone());
        }
        event
    }

    fn open(&self, path: &str) -> Value {
        let fields = [
            ("evt.is_open_write", json!(true)),
            ("fd.typechar", json!("f")),
            ("fd.num", json!(5)),
            ("fd.name", json!(path)),
            ("fs.path.name", json!(path)),
        ];
        self.event("openat", "SUCCESS", &fields)
    }

    fn refused(&self, path: &str) -> Value {
        let fields = [
            ("evt.is_open_write", json!(true)),
            ("fd.typechar", json!("f")),
            ("fd.num", json!(-1)),
            ("fd.name", json!(path)),
        ];
        self.event("openat", "EROFS", &fields)
    }

    fn rename(&self, from: &str, to: &str) -> Value {
        self.event("renameat2", "SUCCESS", &[("fs.path.source", json!(from)), ("fs.path.target", json!(to))])
    }

    fn change(&self, kind: &str, path: &str) -> Value {
        self.event(kind, "SUCCESS", &[("fs.path.name", json!(path))])
    }

    fn execute(&self, path: &str, more: &[(&str, Value)]) -> Value {
        let name: String =
            path.rsplit('/').next().unwrap_or_default().chars().take(super::MAX_COMM).collect();
        let mut fields = vec![
            ("proc.exepath", json!(path)),
            ("proc.name", json!(name)),
            ("proc.is_exe_upper_layer", json!(false)),
            ("proc.is_exe_from_memfd", json!(false)),
        ];
        fields.extend_from_slice(more);
        self.event("execve", "SUCCESS", &fields)
    }
}

fn pair(rule: impl Into<String>, raises: &[Value], silent: &[Value]) -> Value {
    json!({ "rule": rule.into(), "raises": raises, "silent": silent })
}

fn document(name: &str, pairs: Vec<Value>) -> File {
    let comment = "Events by the fields that Falco has of them: those that a rule tells of, and those that it is silent about.";
    file(format!("tests/{name}-events.yaml"), Role::Test, comment, &[Value::Array(pairs)])
}

/// Of the rules for every image.
pub(super) fn generic(request: &Request) -> File {
    let app = Events::of(OTHER.to_owned(), request);
    let host = |mut event: Value| {
        put(&mut event, "/container.id", json!("host"));
        event
    };
    let memory = [("proc.is_exe_from_memfd", json!(true))];
    document(
        "kiln",
        vec![
            pair(
                "Write below binary dir in container",
                &[
                    app.open("/bin/sh"),
                    app.open("/usr/local/bin/tool"),
                    app.open("/usr/lib/x86_64-linux-gnu/libc.so.6"),
                    app.rename("/tmp/new", "/usr/sbin/nginx"),
                    app.rename("/usr/bin/env", "/tmp/old"),
                    app.change("unlinkat", "/sbin/init"),
                    app.change("fchmodat", "/usr/bin/app"),
                    app.event(
                        "symlinkat",
                        "SUCCESS",
                        &[("fs.path.source", json!("/bin/sh")), ("fs.path.target", json!("/tmp/sh"))],
                    ),
                ],
                &[
                    app.open("/binary"),
                    app.open("/tmp/x"),
                    app.refused("/bin/sh"),
                    app.event(
                        "symlinkat",
                        "SUCCESS",
                        &[("fs.path.source", json!("/tmp/sh")), ("fs.path.target", json!("/bin/sh"))],
                    ),
                    host(app.open("/bin/sh")),
                ],
            ),
            pair(
                "Write refused by read-only file system in container",
                &[app.refused("/etc/passwd"), app.event("mkdirat", "EROFS", &[])],
                &[
                    app.open("/tmp/x"),
                    app.event("openat", "ENOENT", &[("evt.is_open_write", json!(true))]),
                    host(app.refused("/etc/passwd")),
                ],
            ),
            pair(
                "Execution from writable directory in container",
                &[
                    app.execute("/tmp/payload", &[]),
                    app.execute("/dev/shm/payload", &[]),
                    app.execute("/usr/bin/new", &[("proc.is_exe_upper_layer", json!(true))]),
                ],
                &[
                    app.execute("/usr/bin/app", &[]),
                    app.execute("/tmpfiles/app", &[]),
                    host(app.execute("/tmp/payload", &[])),
                ],
            ),
            pair(
                "Execution from memory in container",
                &[app.execute("/memfd:x", &memory)],
                &[app.execute("/usr/bin/app", &[]), host(app.execute("/memfd:x", &memory))],
            ),
        ],
    )
}

/// Of the rules for `image`.
pub(super) fn of_image(image: &Image, request: &Request) -> File {
    let name = image.name();
    let own = Events::of(image.repository(), request);
    let other = Events::of(OTHER.to_owned(), request);
    let memory = [("proc.is_exe_from_memfd", json!(true))];
    let writable = image.app_writable();
    let below = |top: &String| format!("{top}/x");
    let declared = || writable.iter().map(below);
    let mut silent_writes: Vec<Value> = declared().map(|path| own.open(&path)).collect();
    silent_writes
        .extend(["/dev/null", "/dev/stdout", "/dev/stderr", "/dev/shm/x"].map(|path| own.open(path)));
    silent_writes.extend(image.log_links().iter().map(|top| own.open(&format!("{top}/access.log"))));
    silent_writes.extend([other.open("/usr/local/x"), own.refused("/etc/passwd")]);
    silent_writes.extend(declared().map(|path| own.rename(&path, &format!("{path}.new"))));
    let mut outside =
        vec![own.open("/usr/local/x"), own.open("/dev/sda"), own.change("unlinkat", "/etc/passwd")];
    outside.extend(declared().map(|path| own.rename(&path, "/usr/local/x")));
    outside.extend(writable.first().map(|top| own.open(&format!("{top}-x"))));
    let mut executed: Vec<Value> = declared().map(|path| own.execute(&path, &[])).collect();
    executed.extend([
        own.execute("/dev/shm/x", &[]),
        own.execute("/usr/bin/x", &[("proc.is_exe_upper_layer", json!(true))]),
    ]);
    let gone = image.gone();
    let tools = gone.iter().take(2).chain(gone.iter().find(|name| name.len() > super::MAX_COMM));
    let document_name = format!("kiln-{name}");
    document(
        &document_name,
        vec![
            pair(format!("Write outside the writable paths of {name}"), &outside, &silent_writes),
            pair(
                format!("Execution from a writable path of {name}"),
                &executed,
                &[own.execute("/opt/app", &[]), other.execute("/dev/shm/x", &[])],
            ),
            pair(
                format!("Write refused in {name}"),
                &[own.refused("/etc/passwd"), own.event("unlinkat", "EROFS", &[])],
                &[own.open("/dev/null"), other.refused("/etc/passwd")],
            ),
            pair(
                format!("Shell or package manager in {name}"),
                &tools.map(|name| own.execute(&format!("/usr/bin/{name}"), &[])).collect::<Vec<_>>(),
                &[own.execute("/opt/app", &[]), other.execute("/bin/sh", &[])],
            ),
            pair(
                format!("Execution from memory in {name}"),
                &[own.execute("/memfd:x", &memory)],
                &[own.execute("/opt/app", &[]), other.execute("/memfd:x", &memory)],
            ),
        ],
    )
}
