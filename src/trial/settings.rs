//! What the sandbox starts a container of a pod with.
//!
//! As the kubelet and a runtime put image and pod together; does not judge it.

use crate::accounts::{Accounts, UserError};
use crate::image::Config;
use crate::kube::given::{self, Container, Given, ImageGroups};
use crate::run;
use crate::sandbox::capability::{self, Capability, UnknownCapability};
use crate::sandbox::{Bytes, Limits, Medium, Mount, Process, Root, Seccomp, Settings};

/// Why a container of a pod cannot be started as the pod says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Neither pod nor image names anything to start.
    #[error("neither the pod nor the image says what to start")]
    Nothing,
    /// The image's user is nobody.
    #[error("user of the image")]
    User(#[source] UserError),
    /// No capability.
    #[error("securityContext.capabilities")]
    Capability(#[source] UnknownCapability),
}

/// The settings of `container`, of the image of `config` with these accounts; its volumes are among `volumes`.
pub fn settings(
    given: &Given,
    container: &Container,
    config: &Config,
    accounts: &Accounts,
    volumes: &Volumes,
) -> Result<Settings, SettingsError> {
    let security = &container.security;
    let limits = Limits::default();
    Ok(Settings {
        capabilities: capabilities(&security.add, &security.drop)?,
        seccomp: match security.seccomp {
            given::Seccomp::RuntimeDefault => Seccomp::Default,
            given::Seccomp::Unconfined => Seccomp::Unconfined,
        },
        sysctls: security.sysctls.clone(),
        root: if security.read_only { Root::ReadOnly } else { Root::Writable },
        mounts: mounts(container, volumes),
        hostname: given.hostname.clone(),
        limits: Limits { memory: container.memory.unwrap_or(limits.memory).min(limits.memory), ..limits },
        ..Settings::new(process(given, container, config, accounts)?)
    })
}

fn process(
    given: &Given,
    container: &Container,
    config: &Config,
    accounts: &Accounts,
) -> Result<Process, SettingsError> {
    let security = &container.security;
    let spec = security.user.map_or_else(|| config.user.clone(), |user| user.to_string());
    let identity = accounts.resolve(&spec).map_err(SettingsError::User)?;
    let gid = security.group.unwrap_or(identity.gid);
    let account = identity.account;
    let own = match (security.image_groups, &account) {
        (ImageGroups::Merged, Some(account)) => accounts.groups_of(&account.name),
        _ => Vec::new(),
    };
    let mut groups: Vec<u32> =
        own.into_iter().chain(security.groups.clone()).chain(security.fs_group).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|group| *group != gid);
    // The image's own words follow only where the pod does not say what starts.
    let (first, rest) = match (container.command.as_slice(), &container.args) {
        ([], Some(args)) => (&config.entrypoint, args.as_slice()),
        ([], None) => (&config.entrypoint, config.cmd.as_slice()),
        (_, args) => (&container.command, args.as_deref().unwrap_or_default()),
    };
    let argv: Vec<String> = first.iter().chain(rest).cloned().collect();
    if argv.is_empty() {
        return Err(SettingsError::Nothing);
    }
    let home = account.map(|account| account.home);
    Ok(Process {
        argv,
        env: run::environment(config, home, &given.hostname, &container.env),
        cwd: container.working_dir.clone().unwrap_or_else(|| config.working_dir.clone()),
        uid: identity.uid,
        gid,
        groups,
    })
}

/// A runtime's default, without what is dropped, with what is added.
fn capabilities(add: &[String], drop: &[String]) -> Result<Vec<Capability>, SettingsError> {
    let parse = |names: &[String]| {
        let mut all = Vec::new();
        for name in names {
            if name.eq_ignore_ascii_case("ALL") {
                all.extend(Capability::all());
            } else {
                let name = name.to_ascii_uppercase();
                all.push(name.parse().map_err(SettingsError::Capability)?);
            }
        }
        Ok(all)
    };
    let (added, dropped) = (parse(add)?, parse(drop)?);
    let mut kept: Vec<Capability> =
        capability::DEFAULT.into_iter().filter(|capability| !dropped.contains(capability)).collect();
    kept.extend(added);
    kept.sort_unstable();
    kept.dedup();
    Ok(kept)
}

/// The volumes of a pod that its containers mount, numbered.
#[derive(Debug, Clone, PartialEq)]
pub struct Volumes {
    names: Vec<String>,
    /// What each is, in order.
    pub made: Vec<Mount>,
}

/// The volumes that any of `containers` mounts, as the kubelet makes them: an `emptyDir` is for everybody, a new disk for
/// root and the pod's `fsGroup`.
pub fn volumes<'a>(containers: impl IntoIterator<Item = &'a Container>) -> Volumes {
    let mut volumes = Volumes { names: Vec::new(), made: Vec::new() };
    for container in containers {
        let group = container.security.fs_group;
        for mount in &container.mounts {
            if volumes.names.contains(&mount.volume) {
                continue;
            }
            let open = mount.mode.unwrap_or(0o777);
            let (medium, mode) = match (mount.medium, group) {
                (given::Medium::Memory, None) => (Medium::Memory, open),
                (given::Medium::Memory, Some(_)) => (Medium::Memory, open | 0o2070),
                (given::Medium::Disk, None) => (Medium::Disk, open),
                (given::Medium::Disk, Some(_)) => (Medium::Disk, open | 0o2070),
                (given::Medium::Claim, None) | (given::Medium::Config, _) => (Medium::Disk, 0o755),
                (given::Medium::Claim, Some(_)) => (Medium::Disk, 0o2775),
            };
            volumes.names.push(mount.volume.clone());
            volumes.made.push(Mount {
                path: mount.path.clone(),
                medium,
                size: mount.size,
                mode,
                uid: 0,
                gid: group.unwrap_or(0),
                read_only: false,
                no_exec: false,
                files: mount.files.iter().map(|(name, bytes)| (name.clone(), Bytes(bytes.clone()))).collect(),
                volume: None,
                sub_path: None,
            });
        }
    }
    volumes
}

/// What `container` mounts of `volumes`.
fn mounts(container: &Container, volumes: &Volumes) -> Vec<Mount> {
    let number = |name: &String| volumes.names.iter().position(|known| known == name);
    container
        .mounts
        .iter()
        .filter_map(|mount| {
            let number = number(&mount.volume)?;
            let made = volumes.made.get(number)?;
            let (path, read_only, no_exec) = (mount.path.clone(), mount.read_only, mount.no_exec);
            let sub_path = mount.sub_path.clone();
            Some(Mount { path, read_only, no_exec, volume: Some(number), sub_path, ..made.clone() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0::/root:\napp:x:33:34::/srv:\n";
    const GROUP: &[u8] = b"app:x:34:\nkeys:x:9:app\n";

    fn of(pod: &str, config: &str) -> Result<Settings, SettingsError> {
        let text = format!("kind: Pod\nmetadata: {{name: web}}\nspec:\n{pod}");
        let given = given::parse(&text).unwrap();
        let config = Config::parse(format!("{{\"config\": {config}}}").as_bytes()).unwrap();
        let volumes = volumes(&given.containers);
        settings(&given, &given.containers[0], &config, &Accounts::parse(PASSWD, GROUP), &volumes)
    }

    #[test]
    fn pod_without_words_starts_the_image_as_it_is() {
        let image =
            r#"{"Entrypoint": ["a"], "Cmd": ["b"], "User": "33", "WorkingDir": "/w", "Env": ["X=1"]}"#;
        let found = of("  containers: [{name: c}]", image).unwrap();
        let process = &found.process;
        assert_eq!((process.argv.join(" "), process.cwd.as_str()), ("a b".into(), "/w"));
        assert_eq!((process.uid, process.gid, process.groups.as_slice()), (33, 34, &[9][..]));
        assert!(process.env.contains(&("HOSTNAME".into(), "web".into())));
        assert!(process.env.contains(&("HOME".into(), "/srv".into())));
        assert_eq!((found.root, found.capabilities.len()), (Root::Writable, capability::DEFAULT.len()));
        assert_eq!(found.seccomp, Seccomp::Unconfined);
    }

    #[test]
    fn words_of_the_pod_replace_those_of_the_image() {
        let image = r#"{"Entrypoint": ["a"], "Cmd": ["b"]}"#;
        let argv =
            |words: &str| of(&format!("  containers: [{{name: c, {words}}}]"), image).unwrap().process.argv;
        assert_eq!(argv("args: [x]"), ["a", "x"]);
        assert_eq!(argv("command: [x]"), ["x"]);
        assert_eq!(argv("command: [x], args: [z]"), ["x", "z"]);
        assert_eq!(of("  containers: [{name: c}]", "{}"), Err(SettingsError::Nothing));
    }

    #[test]
    fn security_is_what_the_pod_says() {
        let pod = "  securityContext: {runAsUser: 33, runAsGroup: 5, supplementalGroups: [7], fsGroup: 8, supplementalGroupsPolicy: Strict}\n  \
            volumes: [{name: a, emptyDir: {}}, {name: b, persistentVolumeClaim: {claimName: b}}]\n  \
            containers: [{name: c, command: [x], securityContext: {readOnlyRootFilesystem: true, capabilities: {drop: [ALL], add: [CHOWN]}}, \
            volumeMounts: [{name: a, mountPath: /a}, {name: b, mountPath: /b, readOnly: true}]}]";
        let found = of(pod, "{}").unwrap();
        assert_eq!((found.process.gid, found.process.groups.as_slice()), (5, &[7, 8][..]));
        assert_eq!(found.capabilities, ["CHOWN".parse().unwrap()]);
        assert_eq!(found.root, Root::ReadOnly);
        let mounts: Vec<_> =
            found.mounts.iter().map(|mount| (mount.mode, mount.gid, mount.read_only)).collect();
        assert_eq!(mounts, [(0o2777, 8, false), (0o2775, 8, true)]);
        let bad = "  containers: [{name: c, command: [x], securityContext: {capabilities: {add: [FLY]}}}]";
        assert!(matches!(of(bad, "{}"), Err(SettingsError::Capability(_))));
    }

    #[test]
    fn volume_at_two_paths_is_one() {
        let pod = "  volumes: [{name: a, emptyDir: {sizeLimit: 1Mi}}, {name: b}]\n  containers: [{name: c, command: [x], \
            volumeMounts: [{name: b, mountPath: /b}, {name: a, mountPath: /a}, {name: a, mountPath: /c, readOnly: true}]}]";
        let mounts = of(pod, "{}").unwrap().mounts;
        let found: Vec<_> =
            mounts.iter().map(|mount| (&*mount.path, mount.volume, mount.size, mount.read_only)).collect();
        let size = Some(1 << 20);
        assert_eq!(
            found,
            [("/b", Some(0), None, false), ("/a", Some(1), size, false), ("/c", Some(1), size, true)]
        );
    }
}
