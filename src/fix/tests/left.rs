//! What may keep an app from running, and is left and told.

use super::*;
use crate::audit::Platform;
use crate::rootfs::Rootfs;
use crate::rootfs::dump::parse_layers;

/// The image of the fixture, its program with capabilities.
fn capable() -> audit::Image {
    let mut image = fixture::image("");
    let mut layers = parse_layers(fixture::FILES);
    let program =
        layers[0].entries.iter_mut().find(|entry| entry.path.to_string() == "/usr/sbin/nginx").unwrap();
    program.xattrs = Some(Box::new(vec![(Box::from(*b"security.capability"), Box::from(*b"x"))]));
    image.rootfs = Rootfs::merge(layers).unwrap();
    image
}

/// Rules that are left, of `asked` ones.
fn left(value: &Value, options: &Options, asked: &[&str]) -> Vec<&'static str> {
    let (_, fixed) = mended(value, options, Reach::Safe);
    let mut left = rules(&fixed.left);
    left.retain(|rule| asked.contains(rule));
    left
}

#[test]
fn nobody_becomes_another_for_a_neighbour_or_a_plan() {
    let two = pod(&json!({"containers": [{"name": "a", "image": WEB}, {"name": "b", "image": "other:1"}]}));
    let (after, fixed) = mended(&two, &knows(fixture::image("")), Reach::Safe);
    assert_eq!(after["spec"]["containers"][0]["securityContext"]["runAsNonRoot"], true);
    for place in ["/spec", "/spec/containers/1"] {
        for name in ["runAsNonRoot", "runAsUser", "runAsGroup"] {
            assert_eq!(after.pointer(&format!("{place}/securityContext/{name}")), None, "{}", fixed.text);
        }
    }
    // Root's, until it is hardened; and the one that the image names.
    for (user, uid) in [("", None), ("0", None), ("www-data", Some(33)), ("7", None)] {
        let mut image = planned();
        image.config.user = user.to_owned();
        let (after, fixed) = mended(&app(&json!({})), &knows(image), Reach::Safe);
        let own = after.pointer("/spec/containers/0/securityContext/runAsUser");
        assert_eq!(own, uid.map(|uid| json!(uid)).as_ref(), "{user:?}");
        assert_eq!(rules(&fixed.left).contains(&"ID002"), uid.is_none(), "{user:?}: {}", fixed.text);
    }
    let mut image = planned();
    image.config.user = String::new();
    let (after, _) = mended(&app(&json!({})), &knows(image), Reach::Unsafe);
    assert_eq!(after["spec"]["containers"][0]["securityContext"]["runAsUser"], 33);
}

#[test]
fn capabilities_stay_where_a_program_may_have_them() {
    let value =
        app(&json!({"securityContext": {"runAsUser": 33, "capabilities": {"add": ["NET_BIND_SERVICE"]}}}));
    let asked = ["PR002", "PR003", "PR005"];
    assert_eq!(left(&value, &knows(fixture::image("")), &asked), Vec::<&str>::new());
    assert_eq!(left(&value, &knows(capable()), &asked), asked);
    assert_eq!(left(&value, &options(), &asked), asked);
    let (after, _) = mended(&value, &options(), Reach::Unsafe);
    assert_eq!(after["spec"]["containers"][0]["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
}

#[test]
fn escalation_is_not_forbidden_where_the_api_server_refuses_it() {
    let value =
        app(&json!({"securityContext": {"runAsUser": 0, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}}));
    for reach in [Reach::Safe, Reach::Unsafe] {
        let (after, fixed) = mended(&value, &options(), reach);
        assert!(rules(&fixed.left).contains(&"PR002"));
        assert_eq!(after.pointer("/spec/containers/0/securityContext/allowPrivilegeEscalation"), None);
    }
}

#[test]
fn pod_gives_its_containers_no_rights() {
    let mut value = app(&json!({}));
    value["spec"]["securityContext"] = json!({"privileged": true, "procMount": "Unmasked",
        "allowPrivilegeEscalation": true, "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}});
    let only = |image| Options { only: ["FS021".to_owned()].into(), ..knows(image) };
    let (after, _) = mended(&value, &only(fixture::image("")), Reach::Safe);
    // It may be root.
    assert_eq!(after, app(&json!({})));
    value["spec"]["securityContext"]["allowPrivilegeEscalation"] = json!(false);
    value["spec"]["securityContext"]["runAsUser"] = json!(33);
    let (after, _) = mended(&value, &only(fixture::image("")), Reach::Safe);
    let own = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    assert_eq!(after["spec"]["containers"][0]["securityContext"], own);
    assert_eq!(after["spec"]["securityContext"], json!({"runAsUser": 33}));
}

#[test]
fn what_is_said_on_purpose_stays() {
    let mut value = app(&json!({"stdin": true, "tty": true, "command": ["bash"], "image": "x:1"}));
    value["spec"]["automountServiceAccountToken"] = json!(true);
    value["spec"]["securityContext"] =
        json!({"seccompProfile": {"type": "Unconfined"}, "supplementalGroupsPolicy": "Merge"});
    let asked = ["ID006", "PR007", "PR018", "SC006"];
    assert_eq!(left(&value, &options(), &asked), asked);
    let (after, _) = mended(&value, &options(), Reach::Safe);
    for place in ["automountServiceAccountToken", "securityContext"] {
        assert_eq!(after["spec"][place], value["spec"][place]);
    }
    assert_eq!(after["spec"]["containers"][0]["tty"], true);
    let (after, _) = mended(&value, &options(), Reach::Unsafe);
    assert_eq!(after["spec"]["automountServiceAccountToken"], false);
    assert_eq!(after["spec"]["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(after["spec"]["containers"][0].get("tty"), None);
}

#[test]
fn nobody_is_limited_by_what_nobody_measured() {
    let mut value = app(&json!({"image": "x:1", "volumeMounts": [
        {"name": "disk", "mountPath": "/a"}, {"name": "memory", "mountPath": "/b"}]}));
    value["spec"]["volumes"] =
        json!([{"name": "disk", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}}]);
    let (after, fixed) = mended(&value, &options(), Reach::Safe);
    assert_eq!(after["spec"]["volumes"], value["spec"]["volumes"]);
    let resources = &after["spec"]["containers"][0]["resources"];
    assert_eq!(*resources, json!({"requests": {"cpu": "100m", "memory": "128Mi"}}));
    for rule in ["FS007", "FS008", "FS009", "RS001"] {
        assert!(rules(&fixed.left).contains(&rule), "{rule}");
    }
    let (after, _) = mended(&value, &options(), Reach::Unsafe);
    assert_eq!(after["spec"]["volumes"][1]["emptyDir"]["sizeLimit"], "64Mi");
    assert_eq!(after["spec"]["containers"][0]["resources"]["limits"]["memory"], "512Mi");
}

#[test]
fn requests_are_their_limits_and_limits_are_not_lowered() {
    // A limit alone is the request as well.
    let cases = [
        (json!({"limits": {"cpu": "50m", "memory": "64Mi"}}), Value::Null),
        (json!({"limits": {"cpu": "2", "memory": 67_108_864}}), Value::Null),
        (json!({"limits": {"cpu": "50m"}}), json!({"memory": "128Mi"})),
        (json!({"requests": {"memory": "1Gi"}}), json!({"cpu": "100m", "memory": "1Gi"})),
    ];
    for (resources, requests) in cases {
        let value = app(&json!({"resources": resources, "image": "x:1"}));
        let (after, _) = mended(&value, &options(), Reach::Safe);
        let own = &after["spec"]["containers"][0]["resources"];
        assert_eq!(own["requests"], requests);
        assert_eq!(own.get("limits"), resources.get("limits"));
    }
    // Of a known image too: the larger one counts, and what is there is raised only for volumes.
    for (resources, limits) in [
        (json!({"requests": {"memory": "1Gi"}}), json!({"memory": "1Gi", "ephemeral-storage": "160Mi"})),
        (
            json!({"limits": {"memory": "4Gi", "ephemeral-storage": 4_294_967_296_u64}}),
            json!({"memory": "4Gi", "ephemeral-storage": 4_294_967_296_u64}),
        ),
        (
            json!({"limits": {"memory": "16Mi"}, "requests": {"memory": "16Mi"}}),
            json!({"memory": "32Mi", "ephemeral-storage": "160Mi"}),
        ),
    ] {
        let (after, fixed) =
            mended(&app(&json!({"resources": resources})), &knows(fixture::image("")), Reach::Safe);
        let own = &after["spec"]["containers"][0]["resources"];
        assert_eq!(own["limits"], limits, "{}", fixed.text);
        // What has no request has its limit for one.
        for what in ["ephemeral-storage", "memory"] {
            let request = &own["requests"][what];
            let is_limit_alone = request.is_null() && !resources["limits"][what].is_null();
            assert!(is_limit_alone || *request == limits[what], "{what}: {request}");
        }
    }
}

#[test]
fn hooks_wait_no_longer_than_the_pod_has_to_end() {
    let hook =
        |seconds: &str| app(&json!({"lifecycle": {"preStop": {"exec": {"command": ["sleep", seconds]}}}}));
    let mut longer = hook("60");
    longer["spec"]["terminationGracePeriodSeconds"] = json!(60);
    let known = || knows(fixture::image(""));
    assert_eq!(left(&hook("30"), &known(), &["CF002"]), Vec::<&str>::new());
    assert_eq!(left(&hook("31"), &known(), &["CF002"]), ["CF002"]);
    assert_eq!(left(&longer, &known(), &["CF002"]), Vec::<&str>::new());
}

#[test]
fn hooks_that_set_things_up_stay() {
    let hook = |name: &str, text: &str| {
        app(&json!({"lifecycle": {name: {"exec": {"command": ["sh", "-c", text]}}}}))
    };
    for (name, text, is_left) in [
        ("postStart", "rm /bin/bash", false),
        ("postStart", "ln -sf /config/app.conf /data/app.conf", true),
        // What is done when the pod goes is no finding.
        ("preStop", "rm -f /shared/ready; sleep 15; nginx -s quit", false),
    ] {
        assert_eq!(!left(&hook(name, text), &options(), &["FS022"]).is_empty(), is_left, "{name} {text}");
    }
}

#[test]
fn probes_of_the_node_ask_where_they_asked() {
    let with = |host: &str, network: bool| {
        let mut value = app(&json!({"livenessProbe": {"httpGet": {"port": 80, "host": host}}}));
        value["spec"]["hostNetwork"] = json!(network);
        value
    };
    let known = || knows(fixture::image(""));
    assert_eq!(left(&with("127.0.0.1", false), &known(), &["PR015"]), Vec::<&str>::new());
    assert_eq!(left(&with("127.0.0.1", true), &known(), &["PR015"]), ["PR015"]);
    assert_eq!(left(&with("db", false), &known(), &["PR015"]), ["PR015"]);
    let (after, _) = mended(&with("127.0.0.1", true), &known(), Reach::Unsafe);
    assert!(after["spec"]["containers"][0]["livenessProbe"]["httpGet"].get("host").is_none());
}

#[test]
fn log_that_another_container_reads_stays_in_its_volume() {
    let mount = json!([{"name": "log", "mountPath": "/var/log/nginx"}]);
    let mut value = pod(&json!({
        "containers": [
            {"name": "app", "image": WEB, "volumeMounts": mount},
            {"name": "ship", "image": "ship:1", "volumeMounts": mount},
        ],
        "volumes": [{"name": "log", "emptyDir": {}}],
    }));
    assert_eq!(left(&value, &knows(fixture::image("")), &["FS006"]), ["FS006"]);
    value["spec"]["containers"][1]["volumeMounts"] = json!([]);
    assert_eq!(left(&value, &knows(fixture::image("")), &["FS006"]), Vec::<&str>::new());
    value["spec"]["volumes"] = json!([{"name": "log", "persistentVolumeClaim": {"claimName": "c"}}]);
    assert_eq!(left(&value, &knows(fixture::image("")), &["FS006"]), ["FS006"]);
}

#[test]
fn mounts_that_a_hardened_image_need_not_write_are_sealed_where_that_is_allowed() {
    let mut value = app(&json!({"volumeMounts": [
        {"name": "a", "mountPath": "/opt/more"}, {"name": "b", "mountPath": "/var/cache"}]}));
    value["spec"]["volumes"] =
        json!([{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "b", "emptyDir": {}}]);
    let is_sealed = |value: &Value, at: usize| {
        value["spec"]["containers"][0]["volumeMounts"][at].get("readOnly").is_some()
    };
    let (after, fixed) = mended(&value, &knows(fixture::image("")), Reach::Safe);
    assert!(!is_sealed(&after, 0) && rules(&fixed.left).contains(&"FS003"));
    let (after, _) = mended(&value, &knows(planned()), Reach::Unsafe);
    assert!(!is_sealed(&after, 0));
    let (after, _) = mended(&value, &knows(fixture::image("")), Reach::Unsafe);
    // Below the other is what the app writes.
    assert!(is_sealed(&after, 0) && !is_sealed(&after, 1));
}

#[test]
fn notes_are_of_what_comes_out() {
    // The group is set beside the user.
    let (_, fixed) = mended(&app(&json!({})), &knows(fixture::image("")), Reach::Safe);
    assert!(!rules(&fixed.left).contains(&"ID004"));
    let openshift = Options { platform: Platform::Openshift, ..knows(fixture::image("")) };
    let (after, fixed) = mended(&app(&json!({})), &openshift, Reach::Safe);
    let own = &after["spec"]["containers"][0]["securityContext"];
    assert_eq!((own.get("runAsUser"), &own["runAsNonRoot"]), (None, &json!(true)));
    assert!(!rules(&fixed.done).contains(&"ID008"), "{:?}", fixed.done);
    let fleet = json!({"apiVersion": "x/v1", "kind": "Fleet", "metadata": {"name": "f"},
        "spec": {"pods": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}});
    let fixed = fix(&fleet.to_string(), &options(), Reach::Safe).unwrap();
    assert_eq!(fixed.unread, [("Fleet f".to_owned(), "spec.pods.spec".to_owned())]);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "f"}});
    assert_eq!(fix(&map.to_string(), &options(), Reach::Safe).unwrap().unread, []);
}

#[test]
fn pod_on_windows_gets_nothing_of_linux() {
    let mut value = app(&json!({"image": "iis:1"}));
    value["spec"]["nodeSelector"] = json!({"kubernetes.io/os": "windows"});
    let (after, fixed) = mended(&value, &options(), Reach::Unsafe);
    assert_eq!(fixed.refused, []);
    assert_eq!(after["spec"].get("securityContext"), None);
    assert_eq!(after["spec"]["containers"][0].get("securityContext"), None);
}
