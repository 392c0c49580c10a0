//! Images, software and expectations for the tests of `plan::writable`.

mod evidence;
mod silence;
mod software;

use std::fmt::Write as _;

use expect_test::Expect;

use super::*;
use crate::plan::{PathContent, Role, UserOrigin};
use crate::recipe::{Directive, Meaning, PortRule, Purpose, Syntax};
use crate::rootfs::dump::parse_image;

/// Everything a case may say; the rest is empty.
pub(super) struct Case<'a> {
    pub image: &'a str,
    pub argv: &'a [&'a str],
    pub program: &'a str,
    pub recipes: Vec<Recipe>,
    pub user: User,
    pub env: &'a [(&'a str, &'a str)],
    pub working_dir: &'a str,
    pub volumes: &'a [&'a str],
    pub exposed: &'a [u16],
    pub extra: &'a [&'a str],
    pub lowering: &'a [&'a str],
}

pub(super) fn user(name: &str, uid: u32, gid: u32) -> User {
    User {
        uid,
        gid,
        groups: Vec::new(),
        name: Some(name.to_owned()),
        home: None,
        origin: UserOrigin::Account(name.to_owned()),
    }
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            image: "",
            argv: &[],
            program: "/usr/sbin/app",
            recipes: Vec::new(),
            user: user("app", 100, 101),
            env: &[],
            working_dir: "",
            volumes: &[],
            exposed: &[],
            extra: &[],
            lowering: &[],
        }
    }
}

impl Case<'_> {
    pub(super) fn find(&self, rootfs: &Rootfs) -> Found {
        self.with_inputs(rootfs, find)
    }

    pub(super) fn with_inputs<T>(&self, rootfs: &Rootfs, run: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let paths = |list: &[&str]| list.iter().map(|path| ImagePath::literal(path)).collect::<Vec<_>>();
        let program = ImagePath::literal(self.program);
        let resolved = rootfs.resolve(&program).map_or_else(|| program.clone(), |found| found.path);
        let chain = [Step { path: program, file: resolved.clone(), role: Role::Program }];
        let env: Vec<(String, String)> =
            self.env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let exposed: Vec<(u16, String)> = self.exposed.iter().map(|&port| (port, "tcp".to_owned())).collect();
        run(&Inputs {
            rootfs,
            program: Some(&resolved),
            chain: &chain,
            argv: &strings(self.argv),
            recipes: &self.recipes.iter().collect::<Vec<_>>(),
            user: &self.user,
            env: &env,
            working_dir: self.working_dir,
            volumes: &strings(self.volumes),
            exposed_ports: &exposed,
            kept: &|_| true,
            filler: Some(Filler::Helper),
            extra: &paths(self.extra),
            lowering_directories: &paths(self.lowering),
            baked: &[],
            traced: None,
        })
    }
}

pub(super) fn render(found: &Found) -> String {
    let mut out = String::new();
    for path in &found.paths {
        let content = match &path.content {
            PathContent::Absent => "absent".to_owned(),
            PathContent::Empty => "empty".to_owned(),
            PathContent::Seed { files, bytes } => format!("seed {files} {bytes}"),
            PathContent::LogLinks => "log-links".to_owned(),
        };
        let content = if path.seeded { format!("{content} copied") } else { content };
        let medium = if path.memory { "memory" } else { "disk" };
        let _ = writeln!(
            out,
            "{} {:?} {:?} {content} {:04o} {}:{} {medium} {}Mi",
            path.path,
            path.purpose,
            path.confidence,
            path.mode,
            path.uid,
            path.gid,
            path.size_limit >> 20
        );
        for evidence in &path.evidence {
            let _ = writeln!(out, "  {:?} {}: {}", evidence.kind, evidence.source, evidence.detail);
        }
    }
    for port in &found.ports {
        let _ = writeln!(out, "port {}/{} {}", port.port, port.protocol, port.name);
        for evidence in &port.evidence {
            let _ = writeln!(out, "  {:?} {}: {}", evidence.kind, evidence.source, evidence.detail);
        }
    }
    for finding in &found.findings {
        let _ = writeln!(out, "{finding}");
    }
    out
}

fn check(case: &Case<'_>, expect: &Expect) {
    expect.assert_eq(&render(&case.find(&parse_image(case.image))));
}

pub(super) fn recipe(name: &str) -> Recipe {
    Recipe { name: name.to_owned(), title: name.to_owned(), ..Recipe::default() }
}

pub(super) fn directive(
    syntax: Syntax,
    file: &str,
    name: &str,
    meaning: Meaning,
    purpose: Purpose,
    default: Option<&str>,
) -> Directive {
    Directive {
        files: vec![file.to_owned()],
        syntax,
        names: vec![name.to_owned()],
        meaning,
        purpose,
        default: default.map(str::to_owned),
    }
}

pub(super) fn nginx() -> Recipe {
    let file = "/etc/nginx/nginx.conf";
    let of =
        |name, meaning, purpose, default| directive(Syntax::Nginx, file, name, meaning, purpose, default);
    Recipe {
        directives: vec![
            of("pid", Meaning::File, Purpose::Run, Some("/run/nginx.pid")),
            of("error_log", Meaning::File, Purpose::Log, Some("/var/log/nginx/error.log")),
            of("access_log", Meaning::File, Purpose::Log, Some("/var/log/nginx/access.log")),
            of("client_body_temp_path", Meaning::Directory, Purpose::Cache, Some("/var/lib/nginx/body")),
            of("proxy_cache_path", Meaning::Directory, Purpose::Cache, None),
            of("listen", Meaning::Port, Purpose::Run, Some("8000")),
        ],
        ports: vec![PortRule { port: 80, name: "http".into(), why: "its default".into() }],
        ..recipe("nginx")
    }
}

pub(super) fn redis() -> Recipe {
    let of = |name, meaning, purpose, default| {
        directive(Syntax::Words, "/etc/redis/redis.conf", name, meaning, purpose, default)
    };
    Recipe {
        directives: vec![
            of("dir", Meaning::Directory, Purpose::State, Some("./")),
            of("logfile", Meaning::File, Purpose::Log, None),
            of("pidfile", Meaning::File, Purpose::Run, None),
            of("port", Meaning::Port, Purpose::Run, Some("6379")),
        ],
        ports: vec![PortRule { port: 6379, name: "redis".into(), why: "its default".into() }],
        ..recipe("redis")
    }
}

pub(super) fn apache() -> Recipe {
    let of = |name, meaning, purpose, default| {
        directive(Syntax::Apache, "/etc/apache2/apache2.conf", name, meaning, purpose, default)
    };
    Recipe {
        directives: vec![
            of("PidFile", Meaning::File, Purpose::Run, Some("/run/apache2/apache2.pid")),
            of("DefaultRuntimeDir", Meaning::Directory, Purpose::Run, None),
            of("ErrorLog", Meaning::File, Purpose::Log, Some("/var/log/apache2/error.log")),
            of("CustomLog", Meaning::File, Purpose::Log, None),
            of("Listen", Meaning::Port, Purpose::Run, None),
        ],
        ports: vec![PortRule { port: 80, name: "http".into(), why: "its default".into() }],
        ..recipe("apache")
    }
}

pub(super) fn registry() -> Recipe {
    let of = |name, meaning, purpose| {
        directive(Syntax::Yaml, "/etc/docker/registry/config.yml", name, meaning, purpose, None)
    };
    Recipe {
        directives: vec![
            of("storage.filesystem.rootdirectory", Meaning::Directory, Purpose::State),
            of("http.addr", Meaning::Port, Purpose::Run),
        ],
        ..recipe("docker-registry")
    }
}
