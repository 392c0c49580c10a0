//! What is decided before anything runs.

use super::*;
use crate::image::Config;
use crate::kube::given::{self, Ask, GroupChange, Medium, Scheme};
use crate::promise::State;
use crate::rootfs::Rootfs;
use crate::rootfs::dump::parse_image;
use crate::sandbox::Medium as Storage;

/// A pod's spec, and what is said of it.
fn compared(spec: &str, manifest: Option<&Manifest>) -> Proof<Shown> {
    let given = given::parse(&format!("kind: Pod\nspec:\n{spec}")).unwrap();
    held_against(&given, manifest).0
}

/// What is said of the first container of a pod, and why the kubelet would refuse it.
fn held_against(given: &Given, manifest: Option<&Manifest>) -> (Proof<Shown>, Option<String>) {
    let config = Config::parse(br#"{"config": {"Entrypoint": ["/app"], "User": "33"}}"#).unwrap();
    let (container, volumes) = (&given.containers[0], settings::volumes(&given.containers));
    let settings = settings::settings(given, container, &config, &Accounts::default(), &volumes).unwrap();
    let mut proof = Proof::new(Shown::Pod);
    let rootfs = rootfs();
    compare::pod(given, container, &settings, &compare::From { manifest, rootfs: &rootfs }, &mut proof);
    (proof, compare::refused(container, &settings, &config))
}

fn rootfs() -> Rootfs {
    parse_image("/run d\n/var d\n/var/run l ../run")
}

/// The manifest of an app that runs as 33 and writes to `/run`, and to `/etc/app`, which a volume would hide.
fn manifest() -> Manifest {
    let path = |path: &str, volume: &str| {
        format!(
            r#"{{"path": "{path}", "purpose": "run", "kind": "directory", "uid": 0, "gid": 0, "mode": "0755", "content": {{"kind": "empty"}},
            "persistence": "ephemeral", "volume": {volume}, "confidence": "proven", "evidence": []}}"#
        )
    };
    let text = format!(
        r#"{{"media_type": "", "schema_version": 1, "kiln_version": "", "source_chain_id": "", "options": {{"level": "distroless"}}, "recipes": [],
        "process": {{"argv": ["/app"], "cwd": "/", "uid": 33, "gid": 33, "groups": [], "user_name": null,
        "entrypoint": {{"source": [], "steps": [], "lowerings": [], "env": []}}}},
        "env_added": [], "paths": [{}, {}], "ports": [], "probe": null, "stripped_volumes": [], "residual": []}}"#,
        path("/run", r#"{"kind": "disk", "size_limit": 1048576}"#),
        path("/etc/app", r#"{"kind": "none"}"#)
    );
    Manifest::parse(&text).unwrap()
}

const STRICT: &str = "  securityContext: {seccompProfile: {type: RuntimeDefault}, runAsUser: 33, runAsGroup: 33}
  volumes: [{name: run}, {name: x}]
  containers:
  - name: app
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: run, mountPath: /run/}]
";

#[test]
fn pod_as_strict_as_the_manifest_lets_it_be_holds() {
    let proof = compared(STRICT, Some(&manifest()));
    assert_eq!(proof.state(), State::Held, "{proof:?}");
    // A link of the image leads there.
    let proof = compared(&STRICT.replace("mountPath: /run/", "mountPath: /var/run"), Some(&manifest()));
    assert_eq!(proof.state(), State::Held, "{proof:?}");
    let proof = compared(STRICT, None);
    assert_eq!(proof.state(), State::Open, "{proof:?}");
}

#[test]
fn pod_that_kiln_makes_of_a_manifest_holds() {
    let manifest = manifest();
    let (proof, refused) = held_against(&own_pod(&manifest).unwrap(), Some(&manifest));
    assert_eq!(proof.state(), State::Held, "{proof:?}");
    assert_eq!(refused, None);
}

#[test]
fn what_kilns_helper_should_fill_and_somebody_else_does_is_left_open() {
    let mut manifest = manifest();
    manifest.paths[0].seeded = true;
    let own = own_pod(&manifest).unwrap();
    assert_eq!(held_against(&own, Some(&manifest)).0.state(), State::Held);
    let changes: [fn(&mut Given); 4] = [
        |given| given.init.clear(),
        |given| given.init[0].command = vec!["/bin/cp".into()],
        |given| given.init[0].mounts[0].path = "/.kiln/volumes/other".into(),
        |given| given.containers[0].mounts[0].sub_path = None,
    ];
    for change in changes {
        let mut given = own.clone();
        change(&mut given);
        let proof = held_against(&given, Some(&manifest)).0;
        assert_eq!(proof.state(), State::Open, "{proof:?}");
        assert!(proof.open[0].starts_with("/run: the pod does not have `/.kiln/seed` fill it"), "{proof:?}");
    }
}

#[test]
fn private_copy_on_a_claim_must_not_be_given_to_a_group_at_every_start() {
    let given = |policy: GroupChange, medium: Medium| {
        let mut manifest = manifest();
        manifest.paths[0].seeded = true;
        manifest.paths[0].mode = "0750".to_owned();
        let mut given = own_pod(&manifest).unwrap();
        given.containers[0].mounts[0].medium = medium;
        given.containers[0].security.fs_group = Some(33);
        given.containers[0].security.fs_group_change = policy;
        let proof = held_against(&given, Some(&manifest)).0;
        proof.breaches.iter().map(|breach| breach.subject.clone()).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(given(GroupChange::Always, Medium::Claim), "fsGroupChangePolicy");
    assert_eq!(given(GroupChange::OnRootMismatch, Medium::Claim), "");
    assert_eq!(given(GroupChange::Always, Medium::Disk), "");
}

#[test]
fn volumes_of_the_helper_are_not_mounted_for_the_app() {
    let mut manifest = manifest();
    manifest.paths[0].seeded = true;
    let mut given = own_pod(&manifest).unwrap();
    let more = given.init[0].mounts[0].clone();
    given.containers[0].mounts.push(more);
    let proof = held_against(&given, Some(&manifest)).0;
    assert_eq!(proof.state(), State::Broken, "{proof:?}");
    assert_eq!(proof.breaches[0].subject, "/.kiln/volumes/run");
}

#[test]
fn what_is_not_known_of_a_pod_is_left_open() {
    for (from, to) in [
        ("- name: app\n", "- name: app\n    image: registry.example/app:1\n"),
        ("- name: app\n", "- name: app\n    command: [/other]\n"),
        ("runAsUser: 33", "runAsUser: 44"),
    ] {
        let mut proof = compared(&STRICT.replacen(from, to, 1), Some(&manifest()));
        let text = format!("kind: Pod\nspec:\n{}", STRICT.replacen(from, to, 1));
        compare::image(&given::parse(&text).unwrap().containers[0], &[], &mut proof);
        assert_eq!(proof.state(), State::Open, "{to}: {proof:?}");
    }
}

#[test]
fn rights_of_init_containers_count_whatever_their_image() {
    let config = Config::parse(br#"{"config": {"Entrypoint": ["/app"], "User": "0"}}"#).unwrap();
    let of = |security: &str, is_own: bool| {
        let text = format!(
            "kind: Pod\nspec:\n  initContainers:\n  - {{name: first, securityContext: {security}}}\n{STRICT}"
        );
        let given = given::parse(&text.replacen(", runAsUser: 33", "", 1)).unwrap();
        let container = &given.init[0];
        let volumes = settings::volumes(&given.containers);
        let own = settings::settings(&given, container, &config, &Accounts::default(), &volumes).unwrap();
        let mut proof = Proof::new(Shown::Pod);
        compare::init(container, is_own.then_some(&own), &config, &mut proof);
        let breaches = proof.breaches.iter().map(|breach| breach.subject.clone()).collect::<Vec<_>>();
        (breaches.join(", "), proof.open.len())
    };
    let strict = "allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}";
    assert_eq!(of(&format!("{{{strict}, runAsUser: 33}}"), true), (String::new(), 0));
    assert_eq!(of(&format!("{{{strict}}}"), true).0, "init container first: runAsUser");
    let root = of(&format!("{{{strict}, runAsNonRoot: true}}"), true).0;
    assert_eq!(root, "init container first: runAsUser, init container first: runAsNonRoot");
    let foreign = of("{privileged: true, runAsUser: 0, capabilities: {add: [SYS_ADMIN]}}", false);
    assert_eq!(foreign.0.matches("init container first").count(), 3, "{foreign:?}");
    assert_eq!(of("{}", false).1, 1, "what was not compared is said");
}

#[test]
fn everything_that_is_looser_is_named() {
    for (from, to, subject) in [
        ("drop: [ALL]", "drop: [ALL], add: [NET_ADMIN]", "CAP_NET_ADMIN"),
        ("drop: [ALL]", "drop: [CHOWN]", "capabilities"),
        ("allowPrivilegeEscalation: false, ", "", "allowPrivilegeEscalation"),
        ("readOnlyRootFilesystem: true, ", "", "readOnlyRootFilesystem"),
        ("{allowPrivilegeEscalation", "{privileged: true, allowPrivilegeEscalation", "privileged"),
        ("RuntimeDefault", "Unconfined", "seccompProfile"),
        ("runAsUser: 33", "runAsUser: 0", "runAsUser"),
        ("runAsGroup: 33", "runAsGroup: 0", "group 0"),
        ("runAsGroup: 33", "runAsGroup: 33, supplementalGroups: [42]", "group 42"),
        ("runAsGroup: 33", "runAsGroup: 42", "group 42"),
        ("runAsGroup: 33", "runAsGroup: 33, fsGroup: 42", "group 42"),
        ("runAsGroup: 33", "runAsGroup: 33, fsGroup: 0", "group 0"),
        ("mountPath: /run/}", "mountPath: /run}, {name: x, mountPath: /srv}", "/srv"),
        ("mountPath: /run/}", "mountPath: /run}, {name: x, mountPath: /etc/app}", "/etc/app"),
        ("mountPath: /run/}", "mountPath: /run, readOnly: true}", "/run"),
        ("{name: run, mountPath: /run/}", "", "/run"),
    ] {
        let spec = STRICT.replacen(from, to, 1);
        assert_ne!(spec, STRICT, "{from}");
        let proof = compared(&spec, Some(&manifest()));
        let subjects: Vec<&str> = proof.breaches.iter().map(|breach| breach.subject.as_str()).collect();
        assert_eq!(subjects, [subject], "{to}");
    }
}

#[test]
fn root_that_the_pod_forbids_is_not_started() {
    let refused = |context: &str, user: &str| {
        let text = format!(
            "kind: Pod\nspec: {{securityContext: {{runAsNonRoot: true{context}}}, containers: [{{name: a}}]}}"
        );
        let given = given::parse(&text).unwrap();
        let config =
            Config::parse(format!(r#"{{"config": {{"Cmd": ["a"], "User": "{user}"}}}}"#).as_bytes()).unwrap();
        let accounts = Accounts::parse(b"app:x:33:33::/:\n", b"");
        let settings = settings::settings(
            &given,
            &given.containers[0],
            &config,
            &accounts,
            &settings::volumes(&given.containers),
        )
        .unwrap();
        compare::refused(&given.containers[0], &settings, &config).is_some()
    };
    assert!(refused("", "") && refused("", "0") && refused("", "app") && refused(", runAsUser: 0", "33"));
    assert!(!refused("", "33:33") && !refused(", runAsUser: 5", ""));
}

#[test]
fn container_is_found_by_its_image() {
    let given = |images: &[&str]| {
        let containers: Vec<String> = images
            .iter()
            .enumerate()
            .map(|(at, image)| format!("{{name: c{at}, image: \"{image}\"}}"))
            .collect();
        given::parse(&format!("kind: Pod\nspec: {{containers: [{}]}}", containers.join(", "))).unwrap()
    };
    let digests = ["sha256:1".to_owned(), "sha256:2".to_owned()];
    let found = |images: &[&str], name: &str| match choose(&given(images), &digests, name) {
        Ok(container) => Ok(container.name.clone()),
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(found(&["other"], "x"), Ok("c0".into()));
    assert_eq!(found(&["a@sha256:9", "b@sha256:2"], "a"), Ok("c1".into()));
    assert_eq!(found(&["a", "b"], "docker://b"), Ok("c1".into()));
    assert_eq!(found(&["a", "b"], "c"), Err("expected one container of the image, found 0 of c0, c1".into()));
    assert_eq!(
        found(&["a@sha256:1", "b@sha256:2"], "a"),
        Err("expected one container of the image, found 2 of c0, c1".into())
    );
    let mut proof = Proof::new(Shown::Pod);
    compare::image(&given(&["a@sha256:9"]).containers[0], &digests, &mut proof);
    assert_eq!(proof.state(), State::Broken);
}

#[test]
fn probe_of_the_pod_becomes_what_kiln_asks() {
    let page = |host: Option<&str>, scheme| Ask::Http {
        port: 80,
        path: "/a".into(),
        host: host.map(str::to_owned),
        scheme,
    };
    assert_eq!(as_probe(&Ask::Tcp(5)), Some(Probe::Tcp(5)));
    assert_eq!(as_probe(&page(None, Scheme::Http)), Some(Probe::Http { port: 80, path: "/a".into() }));
    assert_eq!(as_probe(&page(None, Scheme::Https)), Some(Probe::Tcp(80)));
    assert_eq!(as_probe(&page(Some("x"), Scheme::Http)), None);
    assert_eq!(as_probe(&Ask::Exec(vec!["a".into(), "b".into()])), Some(Probe::Exec("a b".into())));
    assert_eq!(as_probe(&Ask::Exec(vec!["a b".into()])), None);
}

#[test]
fn init_container_of_another_image_is_not_run_nor_what_comes_after_it() {
    let run = |images: &[&str]| {
        let inits: Vec<String> =
            images.iter().map(|image| format!("{{name: i, image: \"{image}\"}}")).collect();
        let text = format!(
            "kind: Pod\nspec: {{initContainers: [{}], containers: [{{name: a, image: app}}]}}",
            inits.join(", ")
        );
        let given = given::parse(&text).unwrap();
        inits_of(&given, &["sha256:1".to_owned()])
    };
    let (tried, source) = (Some(Of::Tried), Some(Of::Source));
    assert_eq!(run(&["app", "x@sha256:1", "oci:x"]), [tried, tried, tried]);
    assert_eq!(run(&["app", "other", "app"]), [tried, None, None]);
    assert_eq!(run(&["app@sha256:2"]), [None]);
    assert_eq!(run(&["app", "x@sha256:f", "y", "app"]), [tried, source, source, tried]);
}

fn inits_of(given: &Given, digests: &[String]) -> Vec<Option<Of>> {
    let source = ["sha256:f".to_owned()];
    let tried = Named { digests, name: "oci:x" };
    inits(given, &given.containers[0], tried, Some(Named { digests: &source, name: "docker://y" }))
        .iter()
        .map(|init| init.of)
        .collect()
}

/// What is said of a pod whose init containers are all of the source.
fn said_of_source(manifest: &Manifest) -> impl Fn(&Given) -> Proof<Shown> {
    move |given| {
        let config = Config::parse(br#"{"config": {"User": "33"}}"#).unwrap();
        let volumes = settings::volumes(&given.containers);
        let set = |init: &Container| {
            settings::settings(given, init, &config, &Accounts::default(), &volumes).unwrap()
        };
        let inits: Vec<(&Container, Settings)> = given.init.iter().map(|init| (init, set(init))).collect();
        let mut proof = Proof::new(Shown::Pod);
        let inits = inits.iter().map(|(init, settings)| (*init, settings));
        compare::preparing(inits, &given.containers[0], Some(manifest), &mut proof);
        proof
    }
}

#[test]
fn source_does_in_a_pod_what_the_manifest_says_and_nothing_else() {
    let mut manifest = manifest();
    manifest.preparing =
        Some(crate::manifest::SourceCommand { argv: vec!["/entry.sh".into(), "true".into()] });
    let own = own_pod(&manifest).unwrap();
    let said = said_of_source(&manifest);
    assert_eq!(own.init.len(), 1);
    let proof = said(&own);
    assert!(proof.breaches.is_empty() && proof.open.is_empty(), "{proof:?}");
    let without = Given { init: Vec::new(), ..own.clone() };
    assert!(said(&without).open[0].contains("`/entry.sh true`: who makes what the app needs"));
    let mut other = own.clone();
    other.init[0].command[1] = "sh".into();
    assert_eq!(said(&other).breaches[0].subject, "init container kiln-prepare");
    let mut more = own;
    let mut mount = more.init[0].mounts[0].clone();
    mount.path = "/usr".into();
    more.init[0].mounts.push(mount);
    assert!(said(&more).breaches[0].message.contains("at /usr, and the app does not"));
}

#[test]
fn source_that_fills_volumes_has_those_of_the_app_and_no_others() {
    let mut manifest = manifest();
    manifest.paths[0].seeded = true;
    manifest.seeding =
        Some(crate::manifest::SourceCommand { argv: vec!["sh".into(), "-c".into(), "cp".into()] });
    let own = own_pod(&manifest).unwrap();
    let (proof, refused) = held_against(&own, Some(&manifest));
    assert_eq!((proof.state(), refused), (State::Held, None), "{proof:?}");
    let said = said_of_source(&manifest);
    let proof = said(&own);
    assert!(proof.breaches.is_empty() && proof.open.is_empty(), "{proof:?}");
    for path in ["/usr", "/run"] {
        let mut other = own.clone();
        other.init[0].mounts[0].path = path.into();
        assert!(said(&other).breaches[0].message.contains(&format!("at {path}, and the app does not")));
    }
    let mut other = own.clone();
    other.init[0].command[2] = "rm".into();
    assert_eq!(said(&other).breaches[0].subject, "init container kiln-seed");
    let proof = held_against(&other, Some(&manifest)).0;
    assert!(proof.open[0].starts_with("/run: the pod does not have the source image fill it"), "{proof:?}");
}

#[test]
fn files_in_volumes_are_found_by_the_mount_around_them() {
    let mount = |path: &str, volume, sub_path: Option<&str>| Mount {
        path: path.to_owned(),
        medium: Storage::Disk,
        size: None,
        mode: 0o777,
        uid: 0,
        gid: 0,
        read_only: false,
        no_exec: false,
        files: Vec::new(),
        volume: Some(volume),
        sub_path: sub_path.map(str::to_owned),
    };
    let mounts = [mount("/data", 0, None), mount("/data/db/", 1, Some("tree"))];
    let at = |path: &str| {
        first::within(&mounts, &ImagePath::literal(path))
            .map(|(number, below)| (number, String::from_utf8(below).unwrap()))
    };
    assert_eq!(at("/data/a/b"), Some((0, "a/b".to_owned())));
    assert_eq!(at("/data/db/base/1"), Some((1, "tree/base/1".to_owned())));
    assert_eq!((at("/data"), at("/srv/x")), (Some((0, ".".to_owned())), None));
}
