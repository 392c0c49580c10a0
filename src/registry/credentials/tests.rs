//! Auth files and helpers, as Docker and podman write and call them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::reference::RegistryReference;

fn home(files: &[(&str, &str)]) -> (TempDir, Environment) {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let environment = Environment::default().with("HOME", home.path().to_str().unwrap());
    (home, environment)
}

/// What a second is: long enough for every helper that answers.
const MINUTE: Duration = Duration::from_mins(1);

fn repository(name: &str) -> Repository {
    RegistryReference::parse(name).unwrap().repository
}

fn user_for(name: &str, environment: &Environment) -> Option<String> {
    match find(&repository(name), environment, MINUTE).unwrap().credential {
        Some(Credential::Password { user, password }) => Some(format!("{user}:{}", password.expose())),
        Some(other) => Some(format!("{other:?}")),
        None => None,
    }
}

fn auth(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn longest_key_counts_and_docker_hub_has_many_names() {
    let text = format!(
        r#"{{"auths": {{"h.example": {{"auth": "{}"}}, "h.example/team": {{"auth": "{}"}},
            "https://index.docker.io/v1/": {{"auth": "{}"}}, "http://other.example:5000/v2/": {{"username": "u", "password": "p"}}}}}}"#,
        auth("host:1"),
        auth("team:a:b"),
        auth("hub:3")
    );
    let (_home, environment) = home(&[(".docker/config.json", &text)]);
    assert_eq!(user_for("h.example/app", &environment).as_deref(), Some("host:1"));
    assert_eq!(user_for("h.example/team/app", &environment).as_deref(), Some("team:a:b"));
    assert_eq!(user_for("h.example/teams/app", &environment).as_deref(), Some("host:1"));
    assert_eq!(user_for("nginx", &environment).as_deref(), Some("hub:3"));
    assert_eq!(user_for("other.example:5000/x", &environment).as_deref(), Some("u:p"));
    assert_eq!(user_for("else.example/x", &environment), None);
}

#[test]
fn files_are_looked_at_in_order_and_all_named() {
    let entry = |user: &str| format!(r#"{{"auths": {{"h.example": {{"auth": "{}"}}}}}}"#, auth(user));
    let (home, environment) = home(&[
        ("run/containers/auth.json", "{}"),
        (".config/containers/auth.json", &entry("podman:1")),
        ("docker/config.json", &entry("docker:1")),
        ("mine.json", &entry("mine:1")),
    ]);
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let environment =
        environment.with("XDG_RUNTIME_DIR", &path("run")).with("DOCKER_CONFIG", &path("docker"));
    assert_eq!(user_for("h.example/x", &environment).as_deref(), Some("podman:1"));
    let looked_at = find(&repository("none.example/x"), &environment, MINUTE).unwrap().looked_at;
    let expected = ["run/containers/auth.json", ".config/containers/auth.json", "docker/config.json"];
    assert_eq!(looked_at, expected.map(|name| home.path().join(name)));
    let environment = environment.with("REGISTRY_AUTH_FILE", &path("mine.json"));
    assert_eq!(user_for("h.example/x", &environment).as_deref(), Some("mine:1"));
}

#[test]
fn tokens_are_told_from_passwords() {
    let text = r#"{"auths": {"i.example": {"auth": "", "identitytoken": "t"}, "r.example": {"registrytoken": "t"}, "e.example": {}}}"#;
    let (_home, environment) = home(&[(".docker/config.json", text)]);
    assert_eq!(user_for("i.example/x", &environment).as_deref(), Some("Identity(Secret(…))"));
    assert_eq!(user_for("r.example/x", &environment).as_deref(), Some("Access(Secret(…))"));
    assert_eq!(user_for("e.example/x", &environment), None);
}

#[test]
fn broken_file_is_an_error_that_repeats_no_secret() {
    for text in [
        "{\"auths\": {\"h.example\": {\"auth\": \"hunter2",
        r#"{"auths": {"h.example": {"auth": ["hunter2"]}}}"#,
        r#"{"auths": {"h.example": {"auth": "hunter2!"}}}"#,
    ] {
        let (_home, environment) = home(&[(".docker/config.json", text)]);
        let error = find(&repository("h.example/x"), &environment, MINUTE).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(matches!(error, RegistryError::AuthFile { .. }) && !shown.contains("hunter2"), "{shown}");
    }
}

fn helper(home: &Path, name: &str, script: &str) {
    let path = home.join(format!("bin/docker-credential-{name}"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn helper_is_asked_on_stdin_for_the_server() {
    let config = r#"{"credsStore": "store", "credHelpers": {"h.example": "own"}, "auths": {"h.example": {}, "none.example": {}}}"#;
    let (home, environment) = home(&[(".docker/config.json", config)]);
    helper(
        home.path(),
        "own",
        r#"read -r server; echo "{\"ServerURL\": \"x\", \"Username\": \"$1\", \"Secret\": \"$server\"}""#,
    );
    helper(
        home.path(),
        "store",
        r#"read -r server; case $server in none.example) echo "credentials not found in native keychain"; exit 1;;
        bad.example) echo broken; exit 1;; odd.example) echo broken;; *) echo "{\"Username\": \"<token>\", \"Secret\": \"$server\"}";; esac"#,
    );
    // The scripts need `sh` only; the rest of PATH stays away.
    let environment = environment.with("PATH", home.path().join("bin").to_str().unwrap());
    assert_eq!(user_for("h.example/x", &environment).as_deref(), Some("get:h.example"));
    assert_eq!(user_for("none.example/x", &environment), None);
    let hub = find(&repository("nginx"), &environment, MINUTE).unwrap().credential;
    assert_eq!(hub, Some(Credential::Identity(Secret::new(HUB_SERVER))));
    let failed = |name: &str, environment: &Environment, second: Duration| {
        let found = find(&repository(name), environment, second).unwrap();
        assert_eq!(found.credential, None);
        found.failed.unwrap()
    };
    for (name, problem) in [("bad.example/x", "failed"), ("odd.example/x", "answered something else")] {
        assert_eq!(failed(name, &environment, MINUTE), ("docker-credential-store".to_owned(), problem));
    }
    let nowhere = environment.clone().with("PATH", "/nonexistent");
    assert_eq!(failed("h.example/x", &nowhere, MINUTE).1, "is not in PATH");
    // One that never answers, and one that answers and never ends.
    for script in ["exec sleep 1000", r#"echo '{"Username": "u", "Secret": "s"}'; exec sleep 1000 >&-"#] {
        helper(home.path(), "own", &script.replace("sleep", &sleep()));
        assert_eq!(failed("h.example/x", &environment, Duration::from_millis(2)).1, "does not answer");
    }
}

/// `sleep` where PATH does not lead.
fn sleep() -> String {
    let found = ["/bin/sleep", "/usr/bin/sleep"].into_iter().find(|path| Path::new(path).exists());
    found.unwrap().to_owned()
}
