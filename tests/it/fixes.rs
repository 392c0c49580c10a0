//! Manifests as people have them, mended: what was not to be changed is there still, and what is mended twice is mended once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kiln::audit::{Options, of_value};
use kiln::fix::{Reach, fix};
use kiln::kube::document;
use kiln::kube::edit::edit;
use proptest::prelude::*;
use serde_json::{Value, json};

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let folders = ["manifests", "seeds"].map(|name| std::fs::read_dir(root.join(name)).unwrap());
    let mut files: Vec<PathBuf> = folders.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml" || end == "json"));
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Comments: lines of nothing else, and what stands behind a value.
fn comments(text: &str) -> Vec<String> {
    let found = text.lines().filter_map(|line| {
        let trimmed = line.trim();
        if trimmed.starts_with('#') {
            return Some(trimmed.to_owned());
        }
        let at = line.find(" #")?;
        // Within quotes it is no comment.
        let quotes = |quote: char| line[..at].matches(quote).count();
        (quotes('"') % 2 == 0 && quotes('\'') % 2 == 0).then(|| line[at..].trim().to_owned())
    });
    found.collect()
}

#[test]
fn manifests_are_mended_once_and_what_is_not_mended_stays() {
    let mut seen = 0;
    for path in files() {
        let bytes = std::fs::read(&path).unwrap();
        let name = name(&path);
        if name.starts_with("invalid-") {
            let error = match String::from_utf8(bytes) {
                Ok(text) => fix(&text, &Options::default(), Reach::Unsafe).unwrap_err().to_string(),
                Err(_) => continue,
            };
            assert!(error.starts_with(|c: char| c.is_ascii_digit()), "{name}: {error}");
            continue;
        }
        seen += 1;
        let text = String::from_utf8(bytes).unwrap();
        for reach in [Reach::Safe, Reach::Unsafe] {
            let once =
                fix(&text, &Options::default(), reach).unwrap_or_else(|error| panic!("{name}: {error}"));
            let twice = fix(&once.text, &Options::default(), reach).unwrap();
            assert_eq!(twice.text, once.text, "{name}");
            assert_eq!(twice.done, [], "{name}");
            // The same, as other readers of YAML would see it: no document more or less.
            let count = |text: &str| document::read(text).unwrap().len();
            assert_eq!(count(&once.text), count(&text), "{name}");
            let line_ends =
                |text: &str| (text.contains("\r\n"), text.starts_with('\u{feff}'), text.ends_with('\n'));
            assert_eq!(line_ends(&once.text), line_ends(&text), "{name}");
            let anchors = |text: &str| {
                let ends = text.split(" &").skip(1);
                ends.filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic())).count()
            };
            assert!(anchors(&once.text) >= anchors(&text), "{name}: an anchor is gone");
        }
        let safe = fix(&text, &Options::default(), Reach::Safe).unwrap();
        let takes_out = safe
            .done
            .iter()
            .any(|note| ["FS022", "FS011", "PR005", "PR008", "PR015", "PR018"].contains(&note.rule));
        let after = comments(&safe.text);
        for comment in comments(&text) {
            assert!(takes_out || after.contains(&comment), "{name}: {comment:?} is gone\n{}", safe.text);
        }
    }
    assert!(seen >= 60, "{seen} manifests");
}

/// Rules that a program mends whatever the image is, where nobody says otherwise on purpose.
const MENDED: [&str; 14] = [
    "FS007", "FS008", "FS009", "FS011", "FS015", "FS021", "FS022", "PR005", "PR006", "PR009", "PR015",
    "PR018", "RS001", "RS002",
];

fn container() -> impl Strategy<Value = Value> {
    let user = prop_oneof![Just(json!({})), Just(json!({"runAsUser": 1000})), Just(json!({"runAsUser": 0}))];
    let more = prop_oneof![
        Just(json!({})),
        Just(json!({"readOnlyRootFilesystem": false, "capabilities": {"add": ["NET_BIND_SERVICE"]}})),
        Just(json!({"privileged": true, "procMount": "Unmasked"})),
        Just(json!({"seccompProfile": {"type": "Unconfined"}, "allowPrivilegeEscalation": true})),
    ];
    let probe = prop_oneof![
        Just(Value::Null),
        Just(json!({"exec": {"command": ["rm", "/bin/sh"]}})),
        Just(json!({"exec": {"command": ["curl", "localhost:80/"]}, "periodSeconds": 3})),
        Just(json!({"httpGet": {"port": 80, "host": "x"}})),
    ];
    let mounts = proptest::collection::vec(
        ("[ab]", prop_oneof![Just("/run"), Just("/var/run"), Just("/tmp"), Just("/etc/app")]),
        0..4,
    );
    let resources = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!({"limits": {"memory": "64Mi"}})),
        Just(json!({"requests": {"cpu": 1, "ephemeral-storage": "1Mi"}})),
    ];
    ("[a-c]{1,3}", user, more, probe, mounts, resources, any::<bool>()).prop_map(
        |(name, user, more, probe, mounts, resources, tty)| {
            let mut context = user;
            context.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let mounts: Vec<Value> =
                mounts.into_iter().map(|(name, path)| json!({"name": name, "mountPath": path})).collect();
            let mut value = json!({"name": name, "image": "x:1", "securityContext": context, "tty": tty,
                "startupProbe": probe, "resources": resources, "volumeMounts": mounts, "ports": [{"containerPort": 80}]});
            value.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            value
        },
    )
}

fn pod() -> impl Strategy<Value = Value> {
    let volumes = prop_oneof![
        Just(json!([{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {"medium": "Memory"}}])),
        Just(
            json!([{"name": "a", "configMap": {"name": "c"}}, {"name": "b", "emptyDir": {"sizeLimit": "3Gi"}}])
        ),
        Just(json!([{"name": "b", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "a"}])),
    ];
    let context = prop_oneof![
        Just(Value::Null),
        Just(json!({"runAsUser": 1000, "readOnlyRootFilesystem": true})),
        Just(json!({"runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}})),
    ];
    (
        proptest::collection::vec(container(), 1..3),
        proptest::collection::vec(container(), 0..2),
        volumes,
        context,
    )
        .prop_map(|(containers, init, volumes, context)| {
            let mut spec = json!({"containers": containers, "volumes": volumes, "securityContext": context});
            if !init.is_empty() {
                spec["initContainers"] = json!(init);
            }
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
        })
}

fn found(value: &Value) -> BTreeSet<&'static str> {
    let findings = of_value(value, &Options::default()).unwrap().findings;
    findings.into_iter().map(|finding| finding.rule).collect()
}

proptest! {
    // Each is audited some twenty times.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn generated_pods_are_mended_once_and_are_no_worse(value in pod(), form in 0..3) {
        let text = match form {
            0 => format!("{value:#}\n"),
            1 => value.to_string(),
            _ => serde_saphyr::to_string(&value).unwrap(),
        };
        let once = fix(&text, &Options::default(), Reach::Safe).unwrap();
        let twice = fix(&once.text, &Options::default(), Reach::Safe).unwrap();
        prop_assert_eq!(&twice.text, &once.text);
        let after = document::read(&once.text).unwrap()[0].root.value();
        let (before, after) = (found(&value), found(&after));
        // Mending one thing asks for another, which is mended too.
        prop_assert!(after.is_subset(&before), "{:?} is new\n{}", after.difference(&before), once.text);
        let left: Vec<_> = once.left.iter().map(|note| note.rule).collect();
        for rule in MENDED {
            prop_assert!(!after.contains(rule) || left.contains(&rule), "{} is left\n{}", rule, once.text);
        }
    }
}

/// Resources as a text.
type Render<'a> = &'a dyn Fn(&[Value]) -> String;

/// How long it takes to change each of `count` resources, the texts of which `render` makes.
fn time_of(count: usize, render: Render<'_>) -> Duration {
    let resource = |index| json!({"kind": "Pod", "metadata": {"name": format!("p{index}")}, "gone": {"x": 1}, "list": [1]});
    let change = |value: &mut Value| {
        if let Some(resource) = value.as_object_mut() {
            resource.remove("gone");
            resource.extend([("list".to_owned(), json!([2, 3])), ("new".to_owned(), json!({"y": 1}))]);
        }
    };
    let text = render(&(0..count).map(resource).collect::<Vec<_>>());
    let documents = document::read(&text).unwrap();
    let wanted = documents.iter().map(|document| {
        let mut value = document.root.value();
        match value.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => items.iter_mut().for_each(change),
            None => change(&mut value),
        }
        Some(value)
    });
    let wanted: Vec<Option<Value>> = wanted.collect();
    let start = Instant::now();
    edit(&text, &wanted).unwrap();
    start.elapsed()
}

#[test]
fn thousands_of_resources_are_changed_in_a_time_that_grows_with_their_number() {
    let list = |resources: &[Value]| json!({"apiVersion": "v1", "kind": "List", "items": resources});
    let yaml = |value: &Value| serde_saphyr::to_string(value).unwrap();
    let renders: [(&str, Render<'_>); 4] = [
        ("documents", &|resources| resources.iter().map(|one| yaml(one) + "---\n").collect()),
        ("a list", &|resources| yaml(&list(resources))),
        ("a line of JSON", &|resources| list(resources).to_string()),
        ("lines of JSON", &|resources| format!("{:#}\n", list(resources))),
    ];
    for (what, render) in renders {
        let few = (0..3).map(|_| time_of(200, render)).min().unwrap();
        let many = time_of(3000, render);
        // Fifteen times as many: what each costs may be three times as much on a busy machine, but not fifteen times.
        assert!(many < few * 45, "{what}: {few:?} and {many:?}");
    }
}
