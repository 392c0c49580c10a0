//! Directories of the system: where no volume that can be written belongs, whatever an app's log asks for.
//!
//! Goes by paths alone; no image is asked.

/// Programs and libraries, with what is below them.
const CODE: [&str; 14] = [
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/local/lib",
];

/// Directories that are the system's themselves, but for what is below them.
const ROOTS: [&str; 5] = ["/", "/etc", "/usr", "/usr/local", "/usr/share"];

/// Whether the absolute `path` is a directory of the system.
pub(super) fn is_system(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let path = format!("/{}", parts.join("/"));
    let below =
        |code: &str| path.strip_prefix(code).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ROOTS.contains(&path.as_str()) || CODE.iter().any(|code| below(code))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::{Options, of_value};

    #[test]
    fn no_writable_mount_is_wanted_where_the_system_is_and_one_may_be_elsewhere() {
        let others =
            ["/etc/nginx", "/usr/share/app", "/binary", "/tmp", "/var/lib/app", "/usr/local/apache2/logs"];
        let all = CODE.iter().chain(&ROOTS).copied().chain(others).chain(["/usr/lib/app"]);
        for path in all {
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {
                "containers": [{"name": "a", "image": "b:1", "volumeMounts": [{"name": "w", "mountPath": path}]}],
                "volumes": [{"name": "w", "emptyDir": {}}]}});
            let options = Options { only: ["FS004".to_owned()].into(), ..Options::default() };
            let found = of_value(&pod, &options).unwrap().findings;
            assert_eq!(is_system(path), !found.is_empty(), "{path}");
        }
        assert!(is_system("//usr/./bin/") && !is_system("/srv/usr/bin"));
    }
}
