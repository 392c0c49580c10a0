//! Values for a chart, the profile for debugging, and what holds for any options.

use super::*;

#[test]
fn values_have_the_shape_of_helm_create() {
    let (text, notes) = helm_values(&with_data(), &options(Kind::Deployment)).unwrap();
    expect_file!["../../../../testdata/generate/values.yaml"]
        .assert_eq(&text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    let unread = "enableServiceLinks, initContainers, os, env, startupProbe, terminationMessagePolicy";
    assert!(notes.iter().any(|note| note.contains(unread)), "{notes:?}");
    for wrong in [
        options(Kind::Job),
        Options { with: [Extra::NetworkPolicy].into(), ..options(Kind::Deployment) },
        Options { configs: vec![config("/etc/a", b"")], ..options(Kind::Deployment) },
        Options { wishes: [Wish::Claims].into(), ..options(Kind::Deployment) },
    ] {
        assert!(helm_values(&manifest(), &wrong).is_err());
    }
}

/// `over` merged into `values` as Helm does it: maps field by field, and what is nothing takes away.
fn helm_merged(values: &mut Value, over: &Value) {
    let (Value::Object(fields), Value::Object(others)) = (&mut *values, over) else {
        *values = over.clone();
        return;
    };
    for (name, other) in others {
        if other.is_null() {
            fields.remove(name);
        } else {
            helm_merged(fields.entry(name.clone()).or_insert(Value::Null), other);
        }
    }
}

#[test]
fn values_over_those_of_helm_create_ask_each_probe_in_one_way() {
    // What `helm create` writes of probes.
    let chart = serde_json::json!({
        "livenessProbe": { "httpGet": { "path": "/", "port": "http" } },
        "readinessProbe": { "httpGet": { "path": "/", "port": "http" } },
    });
    let mut asked_by_connection = with_data();
    asked_by_connection.probe = Some(crate::manifest::ProbeEntry::Tcp);
    let mut asked_once = with_data();
    (asked_once.probe, asked_once.ports[0].evidence[0].kind) = (None, crate::evidence::EvidenceKind::Config);
    let mut silent = with_data();
    (silent.probe, silent.ports) = (None, Vec::new());
    for (manifest, count) in [(with_data(), 2), (asked_by_connection, 2), (asked_once, 1), (silent, 0)] {
        let (text, _) = helm_values(&manifest, &options(Kind::Deployment)).unwrap();
        let mut values = chart.clone();
        helm_merged(&mut values, &document::read(&text).unwrap()[0].root.value());
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|name| values[name].clone());
        for probe in probes.iter().filter(|probe| !probe.is_null()) {
            let ways = ["httpGet", "tcpSocket"].iter().filter(|way| !probe[**way].is_null()).count();
            assert_eq!(ways, 1, "{probe}");
        }
        assert_eq!(probes[..2].iter().filter(|probe| !probe.is_null()).count(), count, "{text}");
    }
}

#[test]
fn debug_profile_is_what_the_pod_is_and_names_nothing_that_kubectl_gives() {
    let profile = debug_profile(&with_data(), RunAs::Manifest, ClusterPlatform::Kubernetes);
    expect_file!["../../../../testdata/generate/debug.yaml"]
        .assert_eq(&profile.yaml().replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    let value: Value = serde_json::from_str(&profile.json()).unwrap();
    let fields: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["env", "securityContext", "volumeMounts"]);
    assert!(!profile.yaml().contains("subPath"));
    let open = debug_profile(&manifest(), RunAs::Manifest, ClusterPlatform::OpenShift).json();
    assert!(!open.contains("runAsUser") && !open.contains("runAsGroup"), "{open}");
    // Beside the app of a pod that level restricted admits.
    let made = made(&with_data(), &options(Kind::Pod));
    let mut pod = template(&made).clone();
    let mut container = value;
    container["name"] = "debugger".into();
    pod["spec"]["ephemeralContainers"] = Value::Array(vec![container]);
    let broken = pss::evaluate(pss::Level::Restricted, Version::NEWEST, &pod["metadata"], &pod["spec"]);
    assert_eq!(broken, []);
    let names =
        |list: &Value| list.as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&pod["spec"]["ephemeralContainers"][0]["volumeMounts"]), names(&pod["spec"]["volumes"]));
}

/// Any workload that can be asked for.
fn any_options() -> impl Strategy<Value = (bool, Options)> {
    let wishes = proptest::collection::btree_set(
        prop_oneof![Just(Wish::Claims), Just(Wish::UserNamespace), Just(Wish::NoExec), Just(Wish::Explicit)],
        0..4,
    );
    let extras = proptest::collection::btree_set(
        prop_oneof![
            Just(Extra::Service),
            Just(Extra::NetworkPolicy),
            Just(Extra::DisruptionBudget),
            Just(Extra::Namespace)
        ],
        0..4,
    );
    (0..Kind::ALL.len(), 30_u32..=37, any::<[bool; 4]>(), wishes, extras, any::<Option<u16>>(), "\\PC{0,12}")
        .prop_map(|(kind, minor, [data, config_file, openshift, several], mut wishes, with, port, text)| {
            let kind = Kind::ALL[kind];
            let mut options = Options { version: Version(minor), with, ..options(kind) };
            options.namespace = Some("shop".to_owned());
            if kind.ends() {
                options.with.remove(&Extra::Service);
            }
            if !kind.has_replicas() {
                options.with.remove(&Extra::DisruptionBudget);
            }
            if kind == Kind::DaemonSet {
                wishes.remove(&Wish::Claims);
            }
            wishes.retain(|wish| match wish {
                Wish::NoExec => minor >= 37,
                Wish::UserNamespace => minor >= 36,
                _ => true,
            });
            options.wishes = wishes;
            options.env = vec![("TEXT".to_owned(), text.clone())];
            if config_file {
                options.configs = vec![config("/etc/x", text.as_bytes())];
            }
            if openshift {
                options.platform = ClusterPlatform::OpenShift;
            }
            if several {
                let digest = BlobDigest::of(b"manifest");
                options.image.manifests = Manifests::Several(vec![("linux/amd64".to_owned(), digest)]);
                options.image.run_as = RunAs::Image;
            }
            let numbers = port.filter(|&number| number > 0);
            options.ports =
                numbers.map(|number| Port { number, protocol: Protocol::Tcp }).into_iter().collect();
            (data, options)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_asked_for_is_restricted_pinned_and_read_back((data, options) in any_options()) {
        let manifest = if data { with_data() } else { manifest() };
        let made = made(&manifest, &options);
        let pod = template(&made);
        let broken = pss::evaluate(pss::Level::Restricted, options.version, &pod["metadata"], &pod["spec"]);
        prop_assert_eq!(broken, []);
        let spec = &pod["spec"];
        let volumes: BTreeSet<String> = ["volumes"].iter().flat_map(|key| spec[key].as_array().into_iter().flatten())
            .map(|volume| volume["name"].to_string())
            .chain(made.objects.iter().flat_map(|object| {
                let templates = object.value["spec"]["volumeClaimTemplates"].as_array().cloned().unwrap_or_default();
                templates.into_iter().map(|claim| claim["metadata"]["name"].to_string())
            }))
            .collect();
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array().into_iter().flatten() {
                prop_assert!(container["image"].as_str().unwrap().contains("@sha256:"));
                prop_assert_eq!(&container["securityContext"]["readOnlyRootFilesystem"], &Value::Bool(true));
                prop_assert_eq!(&container["securityContext"]["privileged"], &Value::Bool(false));
                let resources = &container["resources"];
                prop_assert_eq!(&resources["limits"]["ephemeral-storage"], &resources["requests"]["ephemeral-storage"]);
                for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                    prop_assert!(volumes.contains(&mount["name"].to_string()), "{}", mount);
                }
            }
        }
        prop_assert_eq!(&spec["serviceAccountName"], "web");
        prop_assert_eq!(&spec["automountServiceAccountToken"], &Value::Bool(false));
        let is_account = |object: &Object| object.kind == "ServiceAccount" && object.name == "web";
        prop_assert!(made.objects.iter().any(is_account));
        for object in &made.objects {
            let namespace = &object.value["metadata"]["namespace"];
            prop_assert_eq!(namespace.as_str(), (object.kind != "Namespace").then_some("shop"));
        }
        // As kiln itself takes it.
        for text in [made.yaml(), made.json()] {
            let read = given::parse(&text);
            prop_assert!(read.is_ok(), "{:?}", read);
        }
    }
}
