//! `kiln generate` and `kiln debug-profile`, over a library that reads no image.

use super::fake::{ran, text};
use crate::digest::BlobDigest;

#[test]
fn kind_is_an_argument_that_may_be_left_out() {
    for (arguments, kind) in [
        (&["generate", "docker://registry.example/web:1"][..], "kind: Deployment\n"),
        (&["generate", "STATEFULSET", "registry.example/web:1"], "kind: StatefulSet\n"),
        (&["generate", "cronjob", "registry.example/web:1", "--schedule", "@daily"], "kind: CronJob\n"),
    ] {
        let ran = ran(arguments);
        assert_eq!(ran.status, 0, "{}", ran.err);
        assert!(ran.out.contains(kind), "{}", ran.out);
        let image = format!("image: registry.example/web:1@{}\n", BlobDigest::of(b"image"));
        assert!(ran.out.contains(&image) && ran.out.contains("  name: web\n"), "{}", ran.out);
        assert!(ran.err.lines().all(|line| line.starts_with("note: `--kube-version 1.3")), "{}", ran.err);
    }
    for (arguments, expected) in [
        (&["generate"][..], "expected a hardened image"),
        (
            &["generate", "deployment"],
            "expected a hardened image after `Deployment`\nhint: an image of that name",
        ),
        (
            &["generate", "replicaset", "oci:a"],
            "expected Pod, Deployment, StatefulSet, DaemonSet, Job or CronJob",
        ),
        (&["generate", "cronjob", "oci:a"], "a CronJob needs `--schedule`"),
        (&["generate", "oci:a", "--name", "Web"], "lower-case letters"),
        (&["generate", "oci:a", "--namespace", "a_b"], "inner hyphens, at most 63"),
        (&["generate", "oci:a", "--with", "ingress"], "expected `service`"),
        (&["generate", "oci:a", "--namespace", "a-"], "inner hyphens, at most 63"),
        (&["generate", "oci:a", "--image", "Foo Bar!"], "expected a name in a registry"),
        (&["generate", "oci:a", "--image", "web@sha256:12"], "expected a name in a registry"),
        (&["generate", "oci:a", "--source-image", "oci:base"], "expected a name in a registry"),
        (&["debug-profile", "oci:a", "--image", "Foo Bar!"], "expected a name in a registry"),
        (
            &["generate", "oci:a", "--set-config", "/etc/a=-", "--set-config", "/etc/b=-"],
            "stands there twice: stdin is read once",
        ),
        (
            &["generate", "--manifest", "-", "--image", "a", "--set-config", "/etc/a=-"],
            "stands there twice: stdin is read once",
        ),
        (&["generate", "oci:a", "--port", "0"], "a number from 1 to 65535"),
        (&["generate", "oci:a", "--env-from", "pod/x"], "expected `configmap/NAME`"),
        (&["generate", "oci:a", "--env", "1=x"], "no digit first"),
        (&["generate", "oci:a", "--resources", "cpu=1"], "expected `requests.`"),
        (&["generate", "oci:a", "--resources", "limits.memory=8Mi"], "limits.memory: 8Mi is less than 32Mi"),
        (&["generate", "oci:a", "--set-config", "etc/x=y"], "expected an absolute path"),
        (&["generate", "oci:a", "--kube-version", "35"], "expected a version of Kubernetes"),
        (&["generate", "oci:a", "--kube-version", "1.24"], "expected 1.25 or newer"),
        (&["generate", "oci:a", "--format", "kustomize"], "expected it as `-o DIR`"),
        (
            &[
                "generate",
                "oci:a",
                "--image",
                "x@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            ],
            "and the image is sha256:",
        ),
    ] {
        let ran = ran(arguments);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains(expected), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn image_without_a_name_in_a_cluster_is_told_and_quiet_tells_nothing() {
    let loud = ran(&["generate", "oci:some/web"]);
    assert!(
        loud.err.contains("it is called `registry.invalid/web`; `--image NAME` names it"),
        "{}",
        loud.err
    );
    let quiet = ran(&["generate", "oci:some/web", "-q", "--image", "registry.example/x"]);
    assert_eq!((quiet.status, quiet.err.as_str()), (0, ""));
    assert!(quiet.out.contains("image: registry.example/x@sha256:") && quiet.out.contains("  name: x\n"));
    let transport = ran(&["generate", "oci:some/web", "-q", "--image", "docker://registry.example/x:1"]);
    assert!(transport.out.contains("image: registry.example/x:1@sha256:"), "{}", transport.out);
    // What is a label stays one, however many hyphens it has.
    assert_eq!(ran(&["generate", "oci:some/web", "-q", "--namespace", "a--b"]).status, 0);
}

#[test]
fn image_of_several_platforms_runs_as_each_image_says() {
    let all = ran(&["generate", "oci:all"]);
    assert!(
        !all.out.contains("runAsUser") && all.out.contains("kiln.dev/writable-manifest.linux-arm64"),
        "{}",
        all.out
    );
    assert!(all.err.contains("note: user: linux/amd64 has 33:33, linux/arm64 has 34:33"), "{}", all.err);
}

#[test]
fn manifest_in_a_file_needs_no_image_but_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("manifest.json");
    let manifest = crate::manifest::tests::manifest();
    std::fs::write(&file, manifest.render()).unwrap();
    let image = format!("registry.example/web@{}", BlobDigest::of(b"other"));
    let from =
        |more: &[&str]| ran(&[&["generate", "--manifest", text(&file), "--image", &image], more].concat());
    let made = from(&["job"]);
    assert_eq!(made.status, 0, "{}", made.err);
    assert!(made.out.contains("kind: Job\n") && made.out.contains(&image), "{}", made.out);
    assert!(made.out.contains("made from the layers sha256:aaaa"), "{}", made.out);
    assert_eq!(from(&["job", "oci:a"]).status, 2);
    assert_eq!(ran(&["debug-profile", "--manifest", text(&file), "-q"]).status, 0);
    assert_eq!(ran(&["generate", "--manifest", text(&file), "--image", "registry.example/web"]).status, 2);
    assert_eq!(ran(&["generate", "--manifest", text(&file)]).status, 2);
    let index = crate::manifest::ManifestIndex::new(vec![crate::manifest::PlatformManifest {
        platform: "linux/amd64".into(),
        image: "sha256:x".into(),
        manifest,
    }]);
    std::fs::write(&file, index.render()).unwrap();
    assert!(from(&[]).out.contains("kiln.dev/writable-manifest.linux-amd64: sha256:"));
    std::fs::write(&file, "{}").unwrap();
    let wrong = from(&[]);
    assert_eq!(wrong.status, 3);
    assert!(wrong.err.starts_with("error: --manifest `"), "{}", wrong.err);
}

#[test]
fn documents_go_to_files_that_appear_whole() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("web.conf"), "port 80\n").unwrap();
    let set = format!("/etc/web.conf={}", text(&at("web.conf")));
    let base = ["generate", "docker://registry.example/web", "-q"];
    let with = |more: &[&str]| ran(&[&base[..], more].concat());
    let kustomize = with(&[
        "--format",
        "kustomize",
        "-o",
        text(&at("web")),
        "--set-config",
        &set,
        "--with",
        "service,pdb",
    ]);
    assert_eq!((kustomize.status, kustomize.out.as_str()), (0, ""), "{}", kustomize.err);
    let mut names: Vec<String> = std::fs::read_dir(at("web"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "configmap.yaml",
        "deployment.yaml",
        "kustomization.yaml",
        "poddisruptionbudget.yaml",
        "service.yaml",
        "serviceaccount.yaml",
    ];
    assert_eq!(names, expected);
    let list = std::fs::read_to_string(at("web/kustomization.yaml")).unwrap();
    for name in expected.iter().filter(|name| **name != "kustomization.yaml") {
        assert!(list.contains(&format!("- {name}\n")), "{list}");
    }
    // Its own directory it replaces, and no other.
    assert_eq!(with(&["--format", "kustomize", "-o", text(&at("web"))]).status, 0);
    for (name, content) in [
        ("kustomization.yaml", "resources:\n- ours.yaml\n"),
        ("kustomization.yml", "resources: []\n"),
        ("Kustomization", ""),
    ] {
        let directory = at("ours");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(name), content).unwrap();
        let spared = with(&["--format", "kustomize", "-o", text(&directory)]);
        assert_eq!(spared.status, 2, "{name}");
        assert!(spared.err.contains("is not kiln's: it would be replaced"), "{}", spared.err);
        assert_eq!(std::fs::read_to_string(directory.join(name)).unwrap(), content);
        std::fs::remove_dir_all(&directory).unwrap();
    }
    assert_eq!(with(&["-o", text(&at("web.yaml"))]).status, 0);
    assert_eq!(std::fs::read_to_string(at("web.yaml")).unwrap(), with(&[]).out);
    let json: serde_json::Value = serde_json::from_str(&with(&["--format", "json"]).out).unwrap();
    assert_eq!(json["items"][1]["kind"], "Deployment");
    assert!(
        with(&["--format", "helm-values"]).out.contains("repository: registry.example/web:latest@sha256\n")
    );
    let refused = with(&["--replicas", "x", "-o", text(&at("none.yaml"))]);
    assert_eq!((refused.status, at("none.yaml").exists()), (2, false));
    std::fs::write(at("large"), vec![b'x'; 2 << 20]).unwrap();
    let large = with(&["--set-config", &format!("/etc/x={}", text(&at("large")))]);
    assert_eq!(large.status, 3);
    assert!(large.err.contains("2097152 bytes, and a ConfigMap holds no more than 1048576"), "{}", large.err);
    let absent = with(&["--set-config", "/etc/x=/nonexistent"]);
    assert_eq!(absent.status, 3);
    assert!(absent.err.starts_with("error: --set-config: `/nonexistent`: "), "{}", absent.err);
}

#[test]
fn debug_profile_goes_with_the_command_that_uses_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("debug.yaml");
    let ran_to_file = ran(&["debug-profile", "docker://registry.example/web", "-o", text(&file)]);
    assert_eq!((ran_to_file.status, ran_to_file.out.as_str()), (0, ""));
    let command = format!(
        "kubectl debug -it POD --target=web --image=IMAGE --profile=restricted --custom={}\n",
        text(&file)
    );
    assert!(ran_to_file.err.starts_with(&command), "{}", ran_to_file.err);
    assert!(std::fs::read_to_string(&file).unwrap().contains("  runAsUser: 33\n"));
    let json = ran(&["debug-profile", "oci:web", "--format", "json", "-q"]);
    assert!(json.out.contains("\"readOnlyRootFilesystem\": true") && json.err.is_empty());
    assert_eq!(ran(&["debug-profile"]).status, 2);
}
