//! One start of an image in the sandbox: what its first process is, and what came of it.
//!
//! Starts it as its author wrote it, but for what is asked; does not watch what it does, and does not know whether it works.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::accounts::{Accounts, UserError};
use crate::image::{Config, Platform};
use crate::json;
use crate::path::{Escaped, ImagePath};
use crate::rootfs::Rootfs;
use crate::sandbox::{
    Change, ChangeKind, End, Image, LeftOut, Limits, Medium, Mount, NotExecuted, Output, Place, Process,
    Root, Sandbox, SandboxError, Settings, Signal, WhyLeftOut, parse_signal,
};
use crate::source::{Source, SourceImage};

/// What this document is.
const FORMAT: &str = "application/vnd.kiln.run.v1+json";

/// Where programs are looked for when an image does not say: what Docker sets.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the container is called.
pub const HOSTNAME: &str = "kiln";

/// How long an app may take to end after its stop signal: Docker waits so long.
const GRACE: Duration = Duration::from_secs(10);

/// What differs from how the author wrote it, and how long it may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Another user: `USER[:GROUP]`.
    pub user: Option<String>,
    /// Instead of the image's `Cmd`, where there are any.
    pub args: Vec<String>,
    /// More environment, or other values.
    pub env: Vec<(String, String)>,
    /// Empty writable directories, each with a size of its own or none.
    pub mounts: Vec<(ImagePath, Option<u64>)>,
    /// Whether the image's files can be changed.
    pub root: Root,
    /// How much it may use.
    pub limits: Limits,
    /// After so long it is sent its stop signal; `None`: it runs until it ends.
    pub duration: Option<Duration>,
}

/// Why an image cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It is for another machine.
    #[error("the image is for {found}, and this machine runs {host}")]
    Platform {
        /// What it is for.
        found: String,
        /// What there is.
        host: String,
    },
    /// It names nothing to start.
    #[error("the image has neither entrypoint nor command, and no arguments are given")]
    Nothing,
    /// Its user, or the one asked for, is nobody.
    #[error("user `{spec}`")]
    User {
        /// As it is written.
        spec: String,
        /// What is wrong with it.
        #[source]
        source: UserError,
    },
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(SandboxError),
    /// Its program cannot be started.
    #[error("cannot start `{program}`: {}", why(*reason))]
    NotExecuted {
        /// The program.
        program: String,
        /// Why.
        reason: NotExecuted,
    },
}

fn why(reason: NotExecuted) -> String {
    match reason {
        NotExecuted::NotFound => "no such program in the image".to_owned(),
        NotExecuted::Refused(number) => std::io::Error::from_raw_os_error(number).to_string(),
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// `application/vnd.kiln.run.v1+json`.
    pub media_type: &'static str,
    /// Version of kiln.
    pub kiln: &'static str,
    /// Which ids the container had.
    pub ids: IdsEntry,
    /// How it ended.
    pub ended: Ended,
    /// Whether kiln ended it, because its time was over.
    pub stopped: bool,
    /// What of the image was not in the container, sorted.
    pub left_out: Vec<LeftOutEntry>,
    /// What it wrote over the image and was still there at the end, sorted; mounts apart.
    pub changes: Vec<ChangeEntry>,
}

/// Which ids a container had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IdsEntry {
    /// `shifted`: a range that is nobody's; `subordinate`: the user's; `single`: the user's own, so that all files are the app's.
    pub mode: &'static str,
    /// Why it is a single one.
    pub why: Option<String>,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Ended {
    /// By itself, with this status.
    Exited(u8),
    /// By a signal of this number.
    Signaled(i32),
    /// It used too much of `memory`, `processes`, `disk` or `time`.
    Limit(&'static str),
}

/// Something of the image that is not in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeftOutEntry {
    /// Escaped.
    pub path: String,
    /// `device`; `owner`: the file is there and root's; `attribute`: the file is there without an extended attribute.
    pub why: &'static str,
}

/// A path that a run wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangeEntry {
    /// Escaped.
    pub path: String,
    /// `created`, `changed` or `deleted`.
    pub change: &'static str,
}

/// Runs `image`, whose tree is `rootfs`, and waits for its end.
pub fn run(
    source: &dyn Source,
    image: &SourceImage,
    rootfs: &Rootfs,
    limits: crate::limits::Limits,
    asked: &Asked,
    place: &Place,
    output: Output,
) -> Result<RunReport, RunError> {
    check_platform(&image.config)?;
    let settings = settings(&image.config, rootfs, asked)?;
    let (uid, gid) = (settings.process.uid, settings.process.gid);
    let mut sandbox = Sandbox::new(place, uid, gid, output).map_err(RunError::Sandbox)?;
    let unpacked = Image { source, layers: &image.layers, rootfs, limits };
    let left_out = sandbox.unpack(&unpacked).map_err(RunError::Sandbox)?;
    let ids = sandbox.ids();
    let ids = IdsEntry { mode: ids.mode.name(), why: ids.why_single.map(|why| why.to_string()) };
    let signal = stop_signal(&image.config);
    let (ended, stopped, changes) = start(&mut sandbox, &settings, asked.duration, signal)?;
    sandbox.close();
    Ok(RunReport {
        media_type: FORMAT,
        kiln: env!("CARGO_PKG_VERSION"),
        ids,
        ended: ended.into(),
        stopped,
        left_out: left_out.iter().map(LeftOutEntry::from).collect(),
        changes: changes.iter().map(ChangeEntry::from).collect(),
    })
}

/// Whether this machine runs what `config` is for.
pub fn check_platform(config: &Config) -> Result<(), RunError> {
    let host = Platform::host();
    let found = &config.platform;
    if (found.os(), found.architecture()) == (host.os(), host.architecture()) {
        return Ok(());
    }
    Err(RunError::Platform { found: found.to_string(), host: host.to_string() })
}

/// What asks the app of `config` to stop.
pub fn stop_signal(config: &Config) -> Signal {
    config.stop_signal.as_deref().and_then(parse_signal).unwrap_or(Signal::TERM)
}

/// The longest that is waited for at once; a wait without an end is many of these.
const PATIENCE: Duration = Duration::from_hours(1);

fn start(
    sandbox: &mut Sandbox,
    settings: &Settings,
    duration: Option<Duration>,
    stop: Signal,
) -> Result<(End, bool, Vec<Change>), RunError> {
    let held = sandbox.hold(settings).map_err(RunError::Sandbox)?;
    let mut running = held.release().map_err(RunError::Sandbox)?.map_err(|reason| RunError::NotExecuted {
        program: settings.process.argv.first().cloned().unwrap_or_default(),
        reason,
    })?;
    let mut stopped = false;
    let ended = loop {
        if let Some(end) = running.wait(duration.unwrap_or(PATIENCE)).map_err(RunError::Sandbox)? {
            break end;
        }
        if duration.is_none() {
            continue;
        }
        stopped = true;
        running.signal(stop);
        if let Some(end) = running.wait(GRACE).map_err(RunError::Sandbox)? {
            break end;
        }
        running.signal(Signal::KILL);
    };
    let changes = running.changes().map_err(RunError::Sandbox)?;
    Ok((ended, stopped, changes))
}

/// What the sandbox starts the image of `config`, whose tree is `rootfs`, with.
pub fn settings(config: &Config, rootfs: &Rootfs, asked: &Asked) -> Result<Settings, RunError> {
    let process = process(config, &Accounts::read(rootfs), asked)?;
    let mounts = asked.mounts.iter().map(|(path, size)| Mount {
        path: String::from_utf8_lossy(&path.absolute()).into_owned(),
        medium: Medium::Disk,
        size: *size,
        mode: 0o777,
        uid: 0,
        gid: 0,
        read_only: false,
        no_exec: false,
        files: Vec::new(),
        volume: None,
        sub_path: None,
    });
    Ok(Settings {
        mounts: mounts.collect(),
        root: asked.root,
        limits: asked.limits,
        hostname: HOSTNAME.to_owned(),
        ..Settings::new(process)
    })
}

/// The first process, as Docker and containerd put it together.
pub fn process(config: &Config, accounts: &Accounts, asked: &Asked) -> Result<Process, RunError> {
    let rest = if asked.args.is_empty() { &config.cmd } else { &asked.args };
    let argv: Vec<String> = config.entrypoint.iter().chain(rest).cloned().collect();
    if argv.is_empty() {
        return Err(RunError::Nothing);
    }
    let spec = asked.user.as_ref().unwrap_or(&config.user);
    let identity = accounts.resolve(spec).map_err(|source| RunError::User { spec: spec.clone(), source })?;
    let home = identity.account.map(|account| account.home);
    Ok(Process {
        argv,
        env: environment(config, home, HOSTNAME, &asked.env),
        cwd: config.working_dir.clone(),
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups,
    })
}

/// The environment of a container: what runtimes set, what the image says, and `more`.
pub fn environment(
    config: &Config,
    home: Option<String>,
    hostname: &str,
    more: &[(String, String)],
) -> Vec<(String, String)> {
    let home = home.filter(|home| !home.is_empty());
    let mut env = vec![
        ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
        ("HOSTNAME".to_owned(), hostname.to_owned()),
        ("HOME".to_owned(), home.unwrap_or_else(|| "/".to_owned())),
    ];
    for (name, value) in config.env.iter().chain(more) {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    env
}

impl RunReport {
    /// As JSON.
    pub fn render(&self) -> String {
        json::render(self)
    }
}

/// The JSON Schema of a [`RunReport`].
pub fn schema() -> String {
    json::render_schema::<RunReport>()
}

impl From<End> for Ended {
    fn from(end: End) -> Self {
        match end {
            End::Exited(status) => Self::Exited(status),
            End::Signaled(number) => Self::Signaled(number),
            End::Limit(kind) => Self::Limit(kind.name()),
        }
    }
}

impl From<&LeftOut> for LeftOutEntry {
    fn from(left_out: &LeftOut) -> Self {
        let why = match left_out.why {
            WhyLeftOut::Device => "device",
            WhyLeftOut::Owner => "owner",
            WhyLeftOut::Attribute => "attribute",
        };
        Self { path: format!("/{}", Escaped::new(&left_out.path.0)), why }
    }
}

impl From<&Change> for ChangeEntry {
    fn from(change: &Change) -> Self {
        let kind = match change.kind {
            ChangeKind::Created => "created",
            ChangeKind::Changed => "changed",
            ChangeKind::Deleted => "deleted",
        };
        Self { path: format!("/{}", Escaped::new(&change.path.0)), change: kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            user: None,
            args: Vec::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            root: Root::Writable,
            limits: Limits::default(),
            duration: None,
        }
    }

    fn config(text: &str) -> Config {
        Config::parse(format!("{{\"config\": {text}}}").as_bytes()).unwrap()
    }

    #[test]
    fn process_is_the_images_with_what_is_asked() {
        let accounts =
            Accounts::parse(b"root:x:0:0::/root:\napp:x:7:8::/srv:\n", b"app:x:8:\nmore:x:9:app\n");
        let image = config(r#"{"Entrypoint": ["a"], "Cmd": ["b"], "Env": ["X=1", "Y=2"], "User": "app"}"#);
        let own = process(&image, &accounts, &asked()).unwrap();
        assert_eq!((own.argv.join(" "), own.uid, own.gid, own.groups), ("a b".into(), 7, 8, vec![9]));
        let env: Vec<_> = own.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env.join(" "), format!("PATH={DEFAULT_PATH} HOSTNAME=kiln HOME=/srv X=1 Y=2"));
        let other = Asked {
            user: Some("0".into()),
            args: vec!["c".into()],
            env: vec![("X".into(), "3".into()), ("HOME".into(), "/x".into())],
            ..asked()
        };
        let own = process(&image, &accounts, &other).unwrap();
        assert_eq!((own.argv.join(" "), own.uid), ("a c".into(), 0));
        assert!(
            own.env.contains(&("X".into(), "3".into())) && own.env.contains(&("HOME".into(), "/x".into()))
        );
        assert_eq!(own.env.len(), 5);
    }

    #[test]
    fn image_without_a_command_needs_arguments() {
        let nothing = process(&config("{}"), &Accounts::default(), &asked());
        assert!(matches!(nothing, Err(RunError::Nothing)));
        let some = Asked { args: vec!["/app".into()], ..asked() };
        assert_eq!(process(&config("{}"), &Accounts::default(), &some).unwrap().argv, ["/app"]);
        let nobody = Asked { user: Some("nobody-here".into()), ..some };
        assert!(matches!(process(&config("{}"), &Accounts::default(), &nobody), Err(RunError::User { .. })));
    }
}
