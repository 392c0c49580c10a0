//! The read-only flag, and what goes with it.

use super::*;
use crate::manifest::SourceCommand;
use crate::plan::PathContent;

/// `/data` has content that is copied to its volume before the app starts.
fn seeded(mut image: audit::Image) -> audit::Image {
    let path = image.manifest.paths.iter_mut().find(|path| path.path == "/data").unwrap();
    path.seeded = true;
    path.content = PathContent::Seed { files: 1, bytes: 10 };
    image
}

fn flag(value: &Value, container: &str) -> Option<bool> {
    value.pointer(&format!("{container}/securityContext/readOnlyRootFilesystem")).map(|flag| flag == true)
}

/// Paths of mounts, each with its volume.
fn mounts(value: &Value, container: &str) -> Vec<(String, String)> {
    let text = |of: &Value, key: &str| of[key].as_str().unwrap().to_owned();
    let mounts = value.pointer(&format!("{container}/volumeMounts")).and_then(Value::as_array);
    mounts.into_iter().flatten().map(|one| (text(one, "mountPath"), text(one, "name"))).collect()
}

#[test]
fn flag_is_never_without_the_mounts_that_it_needs() {
    let own = json!({"command": ["/usr/sbin/nginx"], "args": ["-g", "daemon off;"]});
    let only = Options { only: ["FS001".to_owned()].into(), ..knows(fixture::image("")) };
    for (value, options) in [
        (app(&own), knows(fixture::image(""))),
        (app(&json!({})), only),
        (app(&json!({})), Options { skip: ["FS002".to_owned()].into(), ..knows(fixture::image("")) }),
        (app(&json!({})), knows(planned())),
    ] {
        let (after, fixed) = mended(&value, &options, Reach::Safe);
        assert_eq!(fixed.refused, []);
        assert_eq!(flag(&after, "/spec/containers/0"), Some(true));
        let paths: Vec<String> =
            mounts(&after, "/spec/containers/0").into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/data", "/run", "/var/cache/nginx"]);
        assert_eq!(after["spec"]["containers"][0]["env"][0]["name"], "PYTHONDONTWRITEBYTECODE");
    }
}

#[test]
fn flag_is_refused_where_it_is_not_known_what_is_written() {
    let mut preparing = fixture::image("");
    preparing.manifest.preparing = Some(SourceCommand { argv: vec!["/prepare".to_owned()] });
    let mounted = |mount: Value, volume: Value| {
        let mut value = app(&json!({"volumeMounts": [mount]}));
        value["spec"]["volumes"] = json!([volume]);
        value
    };
    let map = json!({"name": "v", "configMap": {"name": "c"}});
    let init = json!({"name": "first", "image": WEB});
    let mut with_init = app(&json!({}));
    with_init["spec"]["initContainers"] = json!([init]);
    for (value, image) in [
        (app(&json!({"command": ["/bin/migrate"]})), fixture::image("")),
        (with_init, fixture::image("")),
        (app(&json!({})), seeded(planned())),
        (app(&json!({})), preparing),
        (mounted(json!({"name": "v", "mountPath": "/data"}), map.clone()), fixture::image("")),
        (mounted(json!({"name": "v", "mountPath": "/var/cache"}), map), fixture::image("")),
        (
            mounted(
                json!({"name": "v", "mountPath": "/var/run/", "readOnly": true}),
                json!({"name": "v", "emptyDir": {}}),
            ),
            fixture::image(""),
        ),
    ] {
        let (_, fixed) = mended(&value, &knows(image), Reach::Safe);
        assert_eq!(rules(&fixed.refused), ["FS001"], "{value:#}\n{}", fixed.text);
    }
}

#[test]
fn flag_of_a_pod_is_moved_only_where_it_would_be_set() {
    let skipped = Options { skip: ["FS001".to_owned()].into(), ..knows(seeded(fixture::image(""))) };
    let value = pod(&json!({
        "securityContext": {"readOnlyRootFilesystem": true},
        "initContainers": [{"name": "first", "image": "busybox:1"}],
        "containers": [{"name": "app", "image": WEB}, {"name": "other", "image": "other:1"}],
    }));
    let (after, _) = mended(&value, &skipped, Reach::Safe);
    assert_eq!(after["spec"]["initContainers"][0]["name"], "kiln-seed");
    assert_eq!(flag(&after, "/spec/initContainers/1"), None);
    assert_eq!(flag(&after, "/spec/containers/0"), Some(true));
    assert_eq!(mounts(&after, "/spec/containers/0").len(), 3);
    assert_eq!(flag(&after, "/spec/containers/1"), None);
    assert_eq!(flag(&after, "/spec"), None);
}

#[test]
fn containers_of_one_image_have_volumes_and_seeders_of_their_own() {
    let value = pod(&json!({
        "initContainers": [
            {"name": "first", "image": "busybox:1"},
            {"name": "side", "image": WEB, "restartPolicy": "Always"},
        ],
        "containers": [
            {"name": "a", "image": WEB},
            {"name": "b", "image": WEB, "securityContext": {"runAsUser": 7}, "imagePullPolicy": "Never"},
        ],
    }));
    let options = Options { skip: ["FS001".to_owned()].into(), ..knows(seeded(fixture::image(""))) };
    let (after, fixed) = mended(&value, &options, Reach::Safe);
    let inits = after["spec"]["initContainers"].as_array().unwrap();
    let names: Vec<&str> = inits.iter().map(|one| one["name"].as_str().unwrap()).collect();
    let at = |name: &str| names.iter().position(|one| *one == name).unwrap();
    assert_eq!(names.len(), 5, "{}", fixed.text);
    // Each before the one whose volumes it fills.
    let mut seen = std::collections::BTreeSet::new();
    for (place, name) in [
        (format!("/spec/initContainers/{}", at("side")), "side"),
        ("/spec/containers/0".to_owned(), "a"),
        ("/spec/containers/1".to_owned(), "b"),
    ] {
        let own = mounts(&after, &place);
        assert_eq!(own.len(), 3, "{name}");
        let (_, volume) = own.iter().find(|(path, _)| path == "/data").unwrap().clone();
        let fills = |one: &Value| {
            one["volumeMounts"].as_array().is_some_and(|all| all.iter().any(|m| m["name"] == *volume))
        };
        let seeder = inits.iter().position(|one| fills(one) && one["name"] != "side").unwrap();
        assert!(name != "side" || seeder < at("side"));
        if name == "b" {
            assert_eq!(inits[seeder]["securityContext"]["runAsUser"], 7);
            assert_eq!(inits[seeder]["imagePullPolicy"], "Never");
        }
        assert!(own.into_iter().all(|(_, volume)| seen.insert(volume)), "{name} shares a volume");
    }
    assert_eq!(after["spec"]["volumes"].as_array().unwrap().len(), 9);
}

#[test]
fn what_must_persist_is_told_where_an_empty_dir_is_made_for_it() {
    let (_, fixed) = mended(&app(&json!({})), &knows(fixture::image("")), Reach::Safe);
    let told = |notes: &[Note], rule: &str, of: &str| {
        notes.iter().any(|note| note.rule == rule && note.message.contains(of))
    };
    assert!(told(&fixed.done, "FS002", "/data, which the pod takes with it"));
    assert!(told(&fixed.left, "FS019", "/data"));
}

#[test]
fn volume_of_the_image_is_mounted_where_it_has_nothing() {
    let image = |files: &str, user: &str| {
        let mut image = fixture::image(files);
        image.origin = audit::Origin::Planned;
        image.config.volumes = vec!["/srv/more".to_owned()];
        image.config.user = user.to_owned();
        image
    };
    let options = |image| Options { only: ["FS013".to_owned()].into(), ..knows(image) };
    for (files, user, is_made) in [
        ("", "33", true),
        ("/srv/more d", "33", true),
        ("/srv/more d 0700 33:33", "33", false),
        ("/srv/more d 0700 33:33", "", true),
        ("/srv/more/x f 10", "", false),
    ] {
        let (after, fixed) = mended(&app(&json!({})), &options(image(files, user)), Reach::Safe);
        let made = mounts(&after, "/spec/containers/0").iter().any(|(path, _)| path == "/srv/more");
        assert_eq!((made, fixed.left.is_empty()), (is_made, is_made), "{files:?} {user:?}");
    }
}
