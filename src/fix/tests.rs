//! Manifests before and after.

mod left;
mod locked;

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::audit::tests::fixture;
use crate::kube::Version;

fn options() -> Options {
    Options { version: Version(35), ..Options::default() }
}

/// The image of the fixture, as pods name it.
const WEB: &str = "registry.example.com/web:1";

/// With `image` at hand.
fn knows(image: audit::Image) -> Options {
    Options { images: [(audit::options::full_name(WEB), image)].into(), ..options() }
}

/// The image of the fixture, not hardened.
fn planned() -> audit::Image {
    audit::Image { origin: audit::Origin::Planned, ..fixture::image("") }
}

/// A pod of this `spec`.
fn pod(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})
}

/// A pod with one container of the image, and `more` of it.
fn app(more: &Value) -> Value {
    let mut container = json!({"name": "app", "image": WEB});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    pod(&json!({"containers": [container]}))
}

/// `value` mended, which does it for good, and what is told.
fn mended(value: &Value, options: &Options, reach: Reach) -> (Value, Fixed) {
    let fixed = fix(&value.to_string(), options, reach).unwrap();
    let again = fix(&fixed.text, options, reach).unwrap();
    assert_eq!((again.text, again.done), (fixed.text.clone(), vec![]), "mended twice");
    (document::read(&fixed.text).unwrap()[0].root.value(), fixed)
}

/// Rules of notes, each once.
fn rules(notes: &[Note]) -> Vec<&'static str> {
    let mut rules: Vec<_> = notes.iter().map(|note| note.rule).collect();
    rules.dedup();
    rules
}

/// The text after, and the notes, a line each.
fn check(text: &str, options: &Options, reach: Reach, expect: &Expect) {
    let fixed = fix(text, options, reach).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut told = fixed.text.clone();
    for (what, notes) in [("did", &fixed.done), ("left", &fixed.left), ("refused", &fixed.refused)] {
        for note in notes {
            let _ = writeln!(told, "{what} {} {}", note.rule, note.message);
        }
    }
    expect.assert_eq(&told);
    let again = fix(&fixed.text, options, reach).unwrap();
    assert_eq!(again.text, fixed.text, "mended twice");
    assert_eq!(again.done, []);
}

#[test]
fn pod_of_an_unknown_image_is_mended_as_far_as_it_cannot_break() {
    check(
        "# my pod\napiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: app # the app\n    image: nginx\n    ports:\n    - containerPort: 80\n",
        &options(),
        Reach::Safe,
        &expect![[r#"
            # my pod
            apiVersion: v1
            kind: Pod
            metadata:
              name: web
            spec:
              containers:
              - name: app # the app
                image: nginx
                ports:
                - containerPort: 80
                resources:
                  requests:
                    cpu: 100m
                    memory: 128Mi
                terminationMessagePolicy: FallbackToLogsOnError
              automountServiceAccountToken: false
              securityContext:
                seccompProfile:
                  type: RuntimeDefault
            did PR007 `seccompProfile: {type: RuntimeDefault}`
            did RS001 container "app": `resources.requests.cpu: 100m`, which nobody measured
            did RS001 container "app": `resources.requests.memory: 128Mi`, which nobody measured
            did RS002 container "app": `terminationMessagePolicy: FallbackToLogsOnError`
            did SC006 `automountServiceAccountToken: false`
            left ID001 container "app": whether the image runs without root is not known: name it with `--image`
            left ID006 which groups the images give their users is not known: name them with `--image`
            left PR002 container "app": whether a program of the image becomes root is not known: name it with `--image`, or `--unsafe`
            left PR003 container "app": it may be root, which uses capabilities: settle who it runs as, or `--unsafe`
            left RS001 container "app": nobody measured what it uses: `--unsafe` sets `resources.limits.memory: 512Mi`
            left SC001 container "app": the digest is not known: name the image, or `--resolve`
            refused FS001 container "app": what "nginx" writes is not known: name it with `--image nginx=SOURCE`, or `--resolve`; `--unsafe` sets the flag all the same
        "#]],
    );
}

#[test]
fn pod_of_a_known_image_gets_its_user_its_volumes_and_the_flag() {
    let mut options = options();
    options.images = [(audit::options::full_name("registry.example.com/web:1"), fixture::image(""))].into();
    check(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  serviceAccountName: web\n  containers:\n  - name: app\n    image: registry.example.com/web:1\n    ports:\n    - containerPort: 80\n    startupProbe:\n      exec:\n        command: [rm, /bin/bash]\n    readinessProbe:\n      exec:\n        command: [\"sh\", \"-c\", \"curl -f http://localhost:80/ || exit 1\"]\n    lifecycle:\n      preStop:\n        exec: {command: [sleep, \"10\"]}\n    volumeMounts:\n    - name: logs\n      mountPath: /var/log/nginx\n    - {name: run, mountPath: /var/run}\n    - {name: run2, mountPath: /run}\n  volumes:\n  - name: logs\n    emptyDir: {}\n  - name: run\n    emptyDir: {}\n  - name: run2\n    emptyDir: {}\n",
        &options,
        Reach::Safe,
        &expect![[r#"
            apiVersion: v1
            kind: Pod
            metadata:
              name: web
            spec:
              serviceAccountName: web
              containers:
              - name: app
                image: registry.example.com/web:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
                ports:
                - containerPort: 80
                readinessProbe:
                  httpGet:
                    path: /
                    port: 80
                lifecycle:
                  preStop:
                    sleep:
                      seconds: 10
                volumeMounts:
                - {name: run, mountPath: /run}
                - mountPath: /data
                  name: w-data-bd47
                - mountPath: /var/cache/nginx
                  name: w-var-cache-nginx-447d
                env:
                - name: PYTHONDONTWRITEBYTECODE
                  value: "1"
                resources:
                  limits:
                    ephemeral-storage: 176Mi
                    memory: 512Mi
                  requests:
                    cpu: 100m
                    ephemeral-storage: 176Mi
                    memory: 128Mi
                securityContext:
                  allowPrivilegeEscalation: false
                  capabilities:
                    drop:
                    - ALL
                  readOnlyRootFilesystem: true
                  runAsGroup: 33
                  runAsNonRoot: true
                  runAsUser: 33
                terminationMessagePolicy: FallbackToLogsOnError
              volumes:
              - name: run
                emptyDir:
                  sizeLimit: 16Mi
              - emptyDir:
                  sizeLimit: 16Mi
                name: w-data-bd47
              - emptyDir:
                  sizeLimit: 16Mi
                name: w-var-cache-nginx-447d
              securityContext:
                seccompProfile:
                  type: RuntimeDefault
                supplementalGroups:
                - 4
                supplementalGroupsPolicy: Strict
                sysctls:
                - name: net.ipv4.ip_unprivileged_port_start
                  value: "80"
            did CF001 container "app": the readinessProbe asks by `httpGet` what `curl -f http://localhost:80/` asked
            did CF002 container "app": the lifecycle.preStop waits 10 s by `sleep`, without a program
            did FS001 container "app": `readOnlyRootFilesystem: true`
            did FS001 container "app": the variable PYTHONDONTWRITEBYTECODE, as generated pods have it
            did FS002 container "app": an `emptyDir` at /data, which the pod takes with it: its data needs a claim
            did FS002 container "app": an `emptyDir` at /var/cache/nginx
            did FS006 container "app": no mount at /var/log/nginx: the log goes to the streams again
            did FS007 the volume "run" takes 16Mi at the most
            did FS009 container "app": `resources.limits.ephemeral-storage: 176Mi` for its volumes and its log
            did FS011 container "app": one mount at /run
            did FS022 container "app": the startupProbe is taken out: the startupProbe runs `rm /bin/bash`
            did ID002 container "app": runs as 33:33, the image's own
            did ID006 `supplementalGroupsPolicy: Strict`, with the groups that the app has
            did PR002 container "app": `allowPrivilegeEscalation: false`
            did PR003 container "app": `capabilities.drop: [ALL]`
            did PR006 the sysctl `net.ipv4.ip_unprivileged_port_start` opens port 80
            did PR007 `seccompProfile: {type: RuntimeDefault}`
            did RS001 container "app": `resources.limits.memory: 512Mi`, which nobody measured
            did RS001 container "app": `resources.requests.cpu: 100m`, which nobody measured
            did RS001 container "app": `resources.requests.memory: 128Mi`, which nobody measured
            did RS002 container "app": `terminationMessagePolicy: FallbackToLogsOnError`
            did SC001 container "app": the image is pinned: registry.example.com/web:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
            left FS019 container "app": /data must outlive the pod, and /data is an `emptyDir`: a person has to decide
            left SC006 the pod has an account of its own and may speak to the API: `--unsafe` takes its token
        "#]],
    );
}

#[test]
fn fields_at_the_wrong_place_and_old_annotations_are_moved() {
    check(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  annotations:\n    container.apparmor.security.beta.kubernetes.io/app: localhost/mine\nspec:\n  securityContext:\n    runAsUser: 10001\n    readOnlyRootFilesystem: true\n    capabilities: {drop: [ALL]}\n  containers:\n  - name: app\n    image: a:1\n    securityContext:\n      capabilities: {add: [NET_BIND_SERVICE]}\n",
        &options(),
        Reach::Safe,
        &expect![[r#"
            apiVersion: v1
            kind: Pod
            metadata:
              name: web
            spec:
              securityContext:
                runAsUser: 10001
                seccompProfile:
                  type: RuntimeDefault
              containers:
              - name: app
                image: a:1
                securityContext:
                  capabilities: {add: [NET_BIND_SERVICE]}
                  appArmorProfile:
                    localhostProfile: mine
                    type: Localhost
                  runAsNonRoot: true
                resources:
                  requests:
                    cpu: 100m
                    memory: 128Mi
                terminationMessagePolicy: FallbackToLogsOnError
              automountServiceAccountToken: false
            did FS021 taken out of the pod, where it means nothing: capabilities, readOnlyRootFilesystem
            did ID001 container "app": `runAsNonRoot: true`
            did PR007 `seccompProfile: {type: RuntimeDefault}`
            did PR008 the annotation for "app" is the field `appArmorProfile` now
            did RS001 container "app": `resources.requests.cpu: 100m`, which nobody measured
            did RS001 container "app": `resources.requests.memory: 128Mi`, which nobody measured
            did RS002 container "app": `terminationMessagePolicy: FallbackToLogsOnError`
            did SC006 `automountServiceAccountToken: false`
            left ID006 which groups the images give their users is not known: name them with `--image`
            left PR002 container "app": whether a program of the image becomes root is not known: name it with `--image`, or `--unsafe`
            left PR003 container "app": whether a program of the image has capabilities is not known: name it with `--image`, or `--unsafe`
            left PR005 container "app": a program of the image may have capabilities, and not start without `NET_BIND_SERVICE`: `--unsafe` takes it out
            left RS001 container "app": nobody measured what it uses: `--unsafe` sets `resources.limits.memory: 512Mi`
            left SC001 container "app": the digest is not known: name the image, or `--resolve`
            refused FS001 container "app": what "a:1" writes is not known: name it with `--image a:1=SOURCE`, or `--resolve`; `--unsafe` sets the flag all the same
        "#]],
    );
}

#[test]
fn what_may_break_is_done_where_that_is_allowed() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  hostNetwork: true\n  containers:\n  - name: app\n    image: a:1\n    securityContext: {privileged: true}\n";
    let safe = fix(text, &options(), Reach::Safe).unwrap();
    assert!(
        safe.text.contains("hostNetwork: true") && safe.text.contains("privileged: true"),
        "{}",
        safe.text
    );
    assert_eq!(safe.refused.len(), 1);
    let bold = fix(text, &options(), Reach::Unsafe).unwrap();
    assert!(!bold.text.contains("hostNetwork") && !bold.text.contains("privileged"), "{}", bold.text);
    assert!(bold.text.contains("readOnlyRootFilesystem: true"));
    assert_eq!(bold.refused, []);
}

#[test]
fn what_is_ignored_stays() {
    let mut value = fixture::pod("x");
    value["metadata"]["annotations"] = json!({"kiln.dev/ignore": "FS001: it writes\nRS001: later"});
    let fixed = fix(&value.to_string(), &options(), Reach::Safe).unwrap();
    assert_eq!(fixed.refused, []);
    assert!(
        !fixed.text.contains("limits") && !fixed.text.contains("readOnlyRootFilesystem"),
        "{}",
        fixed.text
    );
    assert!(fixed.text.contains("seccompProfile"));
}

#[test]
fn what_is_good_stays_byte_for_byte() {
    let text = format!("{:#}\n", fixture::good());
    let fixed = fix(&text, &fixture::options(35), Reach::Safe).unwrap();
    assert_eq!((fixed.text, fixed.done), (text, vec![]));
}

#[test]
fn what_a_rule_says_of_mending_is_what_is_done() {
    use crate::audit::rule::Fix;
    // Filled by the volumes that are added.
    const WITH_OTHERS: [&str; 1] = ["FS005"];
    // Told as left, always.
    const LEFT: [&str; 2] = ["FS019", "ID003"];
    let mut wrong = Vec::new();
    for rule in audit::rules::RULES {
        let is_mended =
            MENDS.iter().chain(&AMOUNTS).any(|(id, _)| *id == rule.id) && !LEFT.contains(&rule.id);
        let is_mended = is_mended || WITH_OTHERS.contains(&rule.id);
        if (rule.fix != Fix::None) != is_mended {
            wrong.push((rule.id, rule.fix));
        }
    }
    assert_eq!(wrong, []);
}
