//! Tests of `kube::generate`.

use expect_test::{ExpectFile, expect_file};
use proptest::prelude::*;

use super::*;
use crate::kube::{document, given, pss, workload};
use crate::manifest::tests::manifest;
use crate::manifest::{SourceCommand, Volume};

mod formats;

/// The manifest of the tests, with data that must outlive the pod and are copied to their volume.
fn with_data() -> Manifest {
    let mut manifest = manifest();
    let path = manifest.paths.iter_mut().find(|path| path.path == "/srv/data").unwrap();
    (path.seeded, path.volume) = (true, Volume::Disk { size_limit: 1 << 30 });
    manifest
}

fn options(kind: Kind) -> Options {
    Options {
        kind: Some(kind),
        name: "web".to_owned(),
        namespace: None,
        image: Image {
            name: format!("registry.example/web:1.2@sha256:{}", "b".repeat(64)),
            source: format!("sha256:{}", "a".repeat(64)),
            source_name: Some(format!("registry.example/base@sha256:{}", "a".repeat(64))),
            run_as: RunAs::Manifest,
            manifests: Manifests::One(BlobDigest::of(b"manifest")),
        },
        replicas: None,
        ports: Vec::new(),
        with: BTreeSet::new(),
        configs: Vec::new(),
        env: Vec::new(),
        env_from: Vec::new(),
        demands: Vec::new(),
        platform: ClusterPlatform::Kubernetes,
        version: Version::OLDEST_SUPPORTED,
        schedule: (kind == Kind::CronJob).then(|| "0 3 * * *".to_owned()),
        wishes: BTreeSet::new(),
    }
}

fn config(path: &str, bytes: &[u8]) -> ConfigFile {
    ConfigFile { path: ImagePath::literal(path), bytes: bytes.to_vec() }
}

/// What is made, each document read back as what it was written from.
fn made(manifest: &Manifest, options: &Options) -> Generated {
    let made = generate(manifest, options).unwrap_or_else(|error| panic!("{error}"));
    let text = made.yaml();
    let read = document::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let read: Vec<Value> = read.iter().map(|document| document.root.value()).collect();
    let written: Vec<Value> = made.objects.iter().map(|object| object.value.clone()).collect();
    assert_eq!(read, written, "{text}");
    let list: Value = serde_json::from_str(&made.json()).unwrap();
    assert_eq!(list["items"], Value::Array(written));
    made
}

/// The pod's template in the workload.
fn template(made: &Generated) -> &Value {
    let mut found = made.objects.iter().filter_map(|object| {
        let place = workload::of(object.kind)?.template;
        place.iter().try_fold(&object.value, |at, key| at.get(key))
    });
    found.next().unwrap()
}

fn object<'g>(made: &'g Generated, kind: &str) -> &'g Value {
    &made.objects.iter().find(|object| object.kind == kind).unwrap_or_else(|| panic!("no {kind}")).value
}

fn refused(manifest: &Manifest, options: &Options) -> String {
    generate(manifest, options).unwrap_err().to_string()
}

#[test]
fn each_kind_is_as_written_down() {
    let files: [(Kind, ExpectFile); 6] = [
        (Kind::Pod, expect_file!["../../../testdata/generate/pod.yaml"]),
        (Kind::Deployment, expect_file!["../../../testdata/generate/deployment.yaml"]),
        (Kind::StatefulSet, expect_file!["../../../testdata/generate/statefulset.yaml"]),
        (Kind::DaemonSet, expect_file!["../../../testdata/generate/daemonset.yaml"]),
        (Kind::Job, expect_file!["../../../testdata/generate/job.yaml"]),
        (Kind::CronJob, expect_file!["../../../testdata/generate/cronjob.yaml"]),
    ];
    for (kind, file) in files {
        let mut options = options(kind);
        let manifest = match kind {
            Kind::StatefulSet => with_data(),
            _ => manifest(),
        };
        if kind.has_replicas() {
            options.namespace = Some("shop".to_owned());
            options.with = [
                Extra::Service,
                Extra::ServiceAccount,
                Extra::NetworkPolicy,
                Extra::DisruptionBudget,
                Extra::Namespace,
            ]
            .into();
            options.configs = vec![config("/etc/web/web.conf", b"# read\nport 80\n")];
        }
        let text = made(&manifest, &options).yaml();
        file.assert_eq(&text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }
}

#[test]
fn data_that_must_outlive_the_pod_make_a_stateful_set_of_it() {
    let kind = |manifest: &Manifest| Options { kind: None, ..options(Kind::Pod) }.made_of(manifest);
    assert_eq!(kind(&manifest()), "Deployment");
    assert_eq!(kind(&with_data()), "StatefulSet");
    let lost = made(&with_data(), &options(Kind::Deployment));
    assert!(lost.notes[0].starts_with("/srv/data: data that must outlive the pod"), "{:?}", lost.notes);
    assert!(lost.yaml().contains("# These data must outlive the pod, and here they go with it.\n"));
    assert!(lost.notes[0].ends_with("`--claims` this kind"), "{:?}", lost.notes);
    // What a kind or a format cannot be asked for, it is not told to ask for.
    let everywhere = made(&with_data(), &options(Kind::DaemonSet));
    assert!(everywhere.notes[0].ends_with("a StatefulSet gives each pod a claim"), "{:?}", everywhere.notes);
    let (_, notes) = helm_values(&with_data(), &options(Kind::Deployment)).unwrap();
    assert!(notes[0].starts_with("/srv/data") && !notes.concat().contains("--claims"), "{notes:?}");
}

/// A manifest of a Ruby image with a volume at `/tmp`, which is sticky in the image.
fn with_ruby() -> Manifest {
    let mut manifest = manifest();
    let mut tmp = manifest.paths.iter().find(|path| path.path == "/run").unwrap().clone();
    (tmp.path, tmp.mode) = ("/tmp".to_owned(), "1777".to_owned());
    manifest.paths.push(tmp);
    manifest.recipes = vec!["ruby".to_owned()];
    manifest
}

#[test]
fn sticky_directories_stay_so_where_the_version_can_make_them() {
    let at = |minor, manifest: &Manifest| {
        made(manifest, &Options { version: Version(minor), ..options(Kind::Deployment) })
    };
    let modes = |made: &Generated| -> Vec<(String, Value)> {
        let volumes = template(made)["spec"]["volumes"].as_array().unwrap();
        let mode = |volume: &Value| Some(volume["emptyDir"].get("mode")?.clone());
        volumes
            .iter()
            .filter_map(|volume| Some((volume["name"].as_str()?.to_owned(), mode(volume)?)))
            .collect()
    };
    let new = at(37, &with_ruby());
    let [(name, mode)] = &modes(&new)[..] else { panic!("{}", new.yaml()) };
    // A decimal number: octal ones are not the same to every reader.
    assert!(name.starts_with("w-tmp-") && *mode == 1023, "{name} {mode}");
    assert!(new.yaml().contains("mode: 1023\n"));
    let old = at(36, &with_ruby());
    assert!(
        modes(&old).is_empty() && old.notes.concat().contains("`emptyDir.mode: 1023`"),
        "{:?}",
        old.notes
    );
    let mut plain = with_ruby();
    for path in &mut plain.paths {
        path.mode = "0755".to_owned();
    }
    assert!(modes(&at(37, &plain)).is_empty());
    assert!(!at(36, &plain).notes.concat().contains("emptyDir.mode"));
}

#[test]
fn ruby_gets_a_directory_for_temporary_files_that_it_takes() {
    let tmpdir = |manifest: &Manifest, options: &Options| {
        let made = made(manifest, options);
        let env = template(&made)["spec"]["containers"][0]["env"].as_array().unwrap().clone();
        let found = env.iter().find(|variable| variable["name"] == "TMPDIR").cloned();
        let is_told = made.notes.iter().any(|note| note.starts_with("Ruby takes no temporary directory"));
        (found.map(|variable| variable["value"].as_str().unwrap().to_owned()), is_told)
    };
    let plain = options(Kind::Deployment);
    for minor in [30, 37] {
        let options = Options { version: Version(minor), ..plain.clone() };
        assert_eq!(tmpdir(&with_ruby(), &options), (Some("/dev/shm".to_owned()), true), "{minor}");
    }
    // Somebody else's word goes before, and who has no Ruby has no need.
    let named = Options { env: vec![("TMPDIR".to_owned(), "/run".to_owned())], ..plain.clone() };
    assert_eq!(tmpdir(&with_ruby(), &named), (Some("/run".to_owned()), false));
    let mut of_image = with_ruby();
    of_image.paths[0].evidence[0].detail = "TMPDIR=/run".to_owned();
    assert_eq!(tmpdir(&of_image, &plain), (None, false));
    let other = Manifest { recipes: vec!["nginx".to_owned()], ..with_ruby() };
    assert_eq!(tmpdir(&other, &plain), (None, false));
}

impl Options {
    fn made_of(&self, manifest: &Manifest) -> &'static str {
        made(manifest, self).objects.iter().rev().find_map(|object| workload::of(object.kind)).unwrap().kind
    }
}

#[test]
fn claims_take_the_place_of_volumes_and_count_no_more_as_the_nodes() {
    for kind in [Kind::Pod, Kind::Deployment, Kind::Job, Kind::CronJob, Kind::StatefulSet] {
        let options = Options { wishes: [Wish::Claims].into(), ..options(kind) };
        let made = made(&with_data(), &options);
        let spec = &template(&made)["spec"];
        assert_eq!(spec["securityContext"]["fsGroup"], 33);
        assert_eq!(spec["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch");
        let disk = &spec["containers"][0]["resources"]["limits"]["ephemeral-storage"];
        assert_eq!(disk, "144Mi");
        let is_claimed = spec["volumes"].to_string().contains("web-w-srv-data");
        if kind == Kind::StatefulSet {
            let templates = &object(&made, "StatefulSet")["spec"]["volumeClaimTemplates"];
            assert_eq!(templates[0]["spec"]["resources"]["requests"]["storage"], "1Gi");
            assert!(!is_claimed && !spec["volumes"].to_string().contains("srv-data"));
        } else {
            let claim = object(&made, "PersistentVolumeClaim");
            assert!(is_claimed && claim["metadata"]["name"].as_str().unwrap().starts_with("web-w-srv-data-"));
        }
        assert!(made.notes.iter().all(|note| !note.contains("outlive")), "{:?}", made.notes);
    }
    let deployment =
        made(&with_data(), &Options { wishes: [Wish::Claims].into(), ..options(Kind::Deployment) });
    let spec = &object(&deployment, "Deployment")["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&1.into(), &"Recreate".into()));
    let two = Options { replicas: Some(2), wishes: [Wish::Claims].into(), ..options(Kind::Deployment) };
    assert!(refused(&with_data(), &two).contains("would share one claim"));
}

#[test]
fn ports_that_the_user_names_are_those_of_pod_probes_and_service() {
    let port = |number| Port { number, protocol: Protocol::Tcp };
    let with =
        |ports: Vec<Port>| Options { ports, with: [Extra::Service].into(), ..options(Kind::Deployment) };
    let one = made(&manifest(), &with(vec![port(8080)]));
    let app = &template(&one)["spec"]["containers"][0];
    assert_eq!((&app["ports"][0]["name"], &app["ports"][0]["containerPort"]), (&"http".into(), &8080.into()));
    assert_eq!(app["livenessProbe"]["httpGet"]["port"], "http");
    assert!(template(&one)["spec"]["securityContext"].get("sysctls").is_none());
    assert_eq!(object(&one, "Service")["spec"]["ports"][0]["port"], 8080);
    // The document is the image's all the same.
    let digest = BlobDigest::of(b"manifest").to_string();
    assert_eq!(template(&one)["metadata"]["annotations"]["kiln.dev/writable-manifest"], *digest);
    let low = made(&manifest(), &with(vec![port(443), Port { number: 53, protocol: Protocol::Udp }]));
    let spec = &template(&low)["spec"];
    let names: Vec<_> =
        spec["containers"][0]["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    assert_eq!(names, ["udp-53", "tcp-443"]);
    assert_eq!(spec["securityContext"]["sysctls"][0]["value"], "53");
    assert!(refused(&manifest(), &with(vec![port(1), port(1)])).contains("1/TCP stands there twice"));
    let mut announced = manifest();
    (announced.probe, announced.ports[0].evidence[0].kind) = (None, crate::evidence::EvidenceKind::Config);
    let app = |made: &Generated| template(made)["spec"]["containers"][0].clone();
    let silent = made(&announced, &options(Kind::Pod));
    let no_recipe = "no recipe knows how long the app may be silent";
    assert!(silent.notes[0].starts_with(no_recipe), "{:?}", silent.notes);
    announced.probe = manifest().probe;
    let unsure = made(&announced, &options(Kind::Pod));
    assert!(unsure.notes[0].starts_with("that the app listens is announced"), "{:?}", unsure.notes);
    announced.probe = None;
    assert!(app(&silent).get("livenessProbe").is_none());
    let vouched = app(&made(&announced, &with(vec![port(80)])));
    assert_eq!(vouched["livenessProbe"]["tcpSocket"]["port"], "http");
    let mut none = manifest();
    none.ports.clear();
    assert!(refused(&none, &with(Vec::new())).contains("names no port"));
    assert!(made(&none, &options(Kind::Pod)).notes[0].starts_with("the app has no TCP port"));
}

#[test]
fn files_are_mounted_where_the_app_reads_and_nowhere_else() {
    let with = |configs: Vec<ConfigFile>| Options { configs, ..options(Kind::Pod) };
    let two = made(
        &manifest(),
        &with(vec![config("/etc/web/a.conf", b"a: 1\n"), config("/etc/web/key", &[0, 255])]),
    );
    let maps: Vec<_> = two.objects.iter().filter(|object| object.kind == "ConfigMap").collect();
    assert_eq!(maps[0].value["data"]["a.conf"], "a: 1\n");
    assert_eq!(maps[1].value["binaryData"]["key"], "AP8=");
    assert!(maps.iter().all(|map| map.value["immutable"] == true));
    let spec = &template(&two)["spec"];
    let mount = spec["containers"][0]["volumeMounts"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&mount["mountPath"], &mount["subPath"], &mount["readOnly"]),
        (&"/etc/web/key".into(), &"key".into(), &true.into())
    );
    let volume = spec["volumes"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&volume["name"], &volume["configMap"]["name"]),
        (&mount["name"], &maps[1].name.as_str().into())
    );
    let other = made(&manifest(), &with(vec![config("/etc/web/a.conf", b"a: 2\n")]));
    assert_ne!(object(&other, "ConfigMap")["metadata"]["name"], maps[0].name);
    // Read back as they are, which `made` looks at, whatever form YAML has for them.
    for bytes in [
        "",
        "a",
        "a\n\n",
        " a\n  b\n",
        "a\r\n\tb \n",
        "\n",
        "# a\n---\n...\n",
        "%YAML 1.1\n- volumeMounts:\n",
    ] {
        let map = made(&manifest(), &with(vec![config("/etc/__", bytes.as_bytes())]));
        assert_eq!(object(&map, "ConfigMap")["data"]["__"], bytes);
    }
    for (paths, expected) in [
        (&["/run/web.conf"][..], "/run/web.conf: the app writes to /run, where a volume is"),
        (&["/var/lib"], "/var/lib: the app writes to /var/lib/nginx"),
        (&["/etc/a", "/etc/a"], "/etc/a: stands there twice"),
        (&["/etc/a", "/etc/a/b"], "/etc/a/b: one of it and /etc/a would lie in the other"),
        (&["/proc/x"], "no file can be mounted there"),
        (&["/etc/a:b"], "no path that a pod can name"),
    ] {
        let error = refused(&manifest(), &with(paths.iter().map(|path| config(path, b"x")).collect()));
        assert!(error.contains(expected), "{error}");
    }
    // What `kubectl apply` keeps in an annotation is more than the file.
    for (bytes, is_told) in [(200 << 10, false), (256 << 10, true)] {
        let map = made(&manifest(), &with(vec![config("/etc/a", &vec![b'x'; bytes])]));
        let is_note = |note: &String| note.contains("`kubectl apply --server-side`");
        assert_eq!(map.notes.iter().any(is_note), is_told, "{bytes}: {:?}", map.notes);
    }
    let large = refused(&manifest(), &with(vec![config("/etc/a", &vec![b'x'; MAX_CONFIG])]));
    assert_eq!(large, "`--set-config`: /etc/a: 1048576 bytes, and a ConfigMap holds no more than 1048576");
}

#[test]
fn environment_of_the_user_goes_before_the_manifests_and_is_not_expanded() {
    let env = vec![
        ("PYTHONDONTWRITEBYTECODE".to_owned(), "0".to_owned()),
        ("DB_PASSWORD".to_owned(), "$(X)".to_owned()),
    ];
    let env_from = vec![EnvSource::ConfigMap("a".to_owned()), EnvSource::Secret("b".to_owned())];
    let mut manifest = manifest();
    manifest.preparing = Some(SourceCommand { argv: vec!["/prepare".to_owned()] });
    let made = made(&manifest, &Options { env, env_from, ..options(Kind::Pod) });
    let spec = &template(&made)["spec"];
    let app = &spec["containers"][0];
    assert_eq!(app["env"][0]["value"], "0");
    assert_eq!(app["env"][1]["value"], "$$(X)");
    assert_eq!(app["envFrom"].to_string(), r#"[{"configMapRef":{"name":"a"}},{"secretRef":{"name":"b"}}]"#);
    let prepares = &spec["initContainers"][0];
    assert_eq!((&prepares["env"], &prepares["envFrom"]), (&app["env"], &app["envFrom"]));
    assert!(made.notes[0].starts_with("`--env DB_PASSWORD` by its name is a secret"), "{:?}", made.notes);
    let twice = vec![("A".to_owned(), String::new()); 2];
    assert!(
        refused(&manifest, &Options { env: twice, ..options(Kind::Pod) }).contains("`A` stands there twice")
    );
    let nameless = Image { source_name: None, ..options(Kind::Pod).image };
    let error = refused(&manifest, &Options { image: nameless, ..options(Kind::Pod) });
    assert!(error.contains("`--source-image REPOSITORY@DIGEST`"), "{error}");
}

#[test]
fn openshift_gives_ids_itself() {
    let wishes = [Wish::Explicit].into();
    let options = Options { platform: ClusterPlatform::OpenShift, wishes, ..options(Kind::StatefulSet) };
    let made = made(&with_data(), &options);
    let text = made.yaml();
    for field in ["runAsUser", "runAsGroup", "fsGroup:", "supplementalGroups:", "seLinuxOptions"] {
        assert!(!text.contains(field), "{field}: {text}");
    }
    assert!(text.contains("runAsNonRoot: true") && made.notes[0].contains("group 0"), "{:?}", made.notes);
    // The one who looks into it is nobody of the image's either.
    assert!(text.contains(" --platform openshift -o debug.yaml; kubectl debug "), "{text}");
    let app = &template(&made)["spec"]["containers"][0];
    assert_eq!(app["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
}

#[test]
fn what_a_version_lacks_is_left_out_and_told() {
    let at = |minor: u32, wishes: BTreeSet<Wish>| {
        let with = [Extra::DisruptionBudget].into();
        let options = Options { version: Version(minor), wishes, with, ..options(Kind::StatefulSet) };
        generate(&with_data(), &options)
    };
    let old = at(30, BTreeSet::new()).unwrap();
    for field in
        ["supplementalGroupsPolicy", "unhealthyPodEvictionPolicy", "persistentVolumeClaimRetentionPolicy"]
    {
        assert!(!old.yaml().contains(field), "{field}");
        assert!(
            old.notes.iter().any(|note| note.starts_with("`--kube-version 1.3") && note.contains(field)),
            "{:?}",
            old.notes
        );
        assert!(at(37, BTreeSet::new()).unwrap().yaml().contains(field), "{field}");
    }
    assert!(at(37, BTreeSet::new()).unwrap().notes.is_empty());
    let error = at(36, [Wish::NoExec].into()).unwrap_err().to_string();
    assert!(
        error.contains("`bindMountOptions` is written for Kubernetes 1.37 and newer, found 1.36"),
        "{error}"
    );
    assert!(at(35, [Wish::UserNamespace].into()).is_err() && at(24, BTreeSet::new()).is_err());
    let strict = at(37, [Wish::NoExec, Wish::UserNamespace].into()).unwrap();
    let spec = &template(&strict)["spec"];
    assert_eq!(spec["hostUsers"], false);
    for list in ["containers", "initContainers"] {
        for mount in spec[list][0]["volumeMounts"].as_array().unwrap() {
            assert_eq!(mount["bindMountOptions"].to_string(), r#"["nodev","noexec","nosuid"]"#);
        }
    }
    // A comment stands above a member of the list, whatever its first field is.
    assert!(
        strict.yaml().contains("pid /run/nginx.pid\n        - bindMountOptions:\n          - nodev\n"),
        "{}",
        strict.yaml()
    );
}

#[test]
fn kinds_are_asked_for_what_they_have() {
    for (kind, change, expected) in [
        (Kind::CronJob, Options { schedule: None, ..options(Kind::CronJob) }, "a CronJob needs `--schedule`"),
        (
            Kind::CronJob,
            Options { schedule: Some("daily".into()), ..options(Kind::CronJob) },
            "expected five fields",
        ),
        (
            Kind::CronJob,
            Options { schedule: Some("0 3 * * 7".into()), ..options(Kind::CronJob) },
            "expected five fields",
        ),
        (
            Kind::Job,
            Options { schedule: Some("@daily".into()), ..options(Kind::Job) },
            "a Job runs at no fixed times",
        ),
        (Kind::Pod, Options { replicas: Some(1), ..options(Kind::Pod) }, "a Pod has no number of pods"),
        (
            Kind::Job,
            Options { with: [Extra::Service].into(), ..options(Kind::Job) },
            "a Job ends, and serves nobody",
        ),
        (
            Kind::DaemonSet,
            Options { with: [Extra::DisruptionBudget].into(), ..options(Kind::DaemonSet) },
            "no pods to spare",
        ),
        (
            Kind::DaemonSet,
            Options { wishes: [Wish::Claims].into(), ..options(Kind::DaemonSet) },
            "a claim is mounted on one",
        ),
        (Kind::Pod, Options { with: [Extra::Namespace].into(), ..options(Kind::Pod) }, "`--namespace NAME`"),
        (Kind::Pod, Options { name: "0a".into(), ..options(Kind::Pod) }, "name `0a`: expected lower-case"),
    ] {
        let error = refused(&manifest(), &change);
        assert!(error.contains(expected), "{kind:?}: {error}");
    }
    assert_eq!("cronJOB".parse::<Kind>().unwrap(), Kind::CronJob);
    let error = "oci:x".parse::<Kind>().unwrap_err().to_string();
    assert_eq!(error, "expected Pod, Deployment, StatefulSet, DaemonSet, Job or CronJob, found `oci:x`");
    for (text, expected) in [("My Web_1", "my-web-1"), ("7zip", "app-7zip"), ("--", "app"), ("é", "app")] {
        assert_eq!(name_for(text), expected);
    }
    assert!(is_name(&name_for(&"9-".repeat(80))));
}
