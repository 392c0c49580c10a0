//! An image's config document: what a container starts with.
//!
//! Does not know what the programs it names are; keeps what it does not understand.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::json;
use super::platform::Platform;
use crate::digest::{DiffId, ParseDigestError};
use crate::path::Escaped;

/// Why bytes are no config that kiln can work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or nested beyond reason.
    #[error("config is not JSON")]
    Parse(#[source] serde_json::Error),
    /// A field of another type than the image spec gives it.
    #[error("config field `{field}` is not {expected}")]
    Field {
        /// Dotted path of the field.
        field: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Two spellings of one field, which programs resolve differently.
    #[error("config field `{0}` stands twice, in different case")]
    Twice(&'static str),
    /// A layer digest of unknown form.
    #[error("config field `rootfs.diff_ids` holds no SHA-256 digest")]
    DiffId(#[source] ParseDigestError),
}

/// `rootfs`, `config` and their neighbours as the image spec writes them.
const TOP_KEYS: [&str; 9] =
    ["architecture", "author", "config", "created", "history", "os", "os.version", "rootfs", "variant"];
const CONFIG_KEYS: [&str; 14] = [
    "ArgsEscaped",
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "StopTimeout",
    "User",
    "Volumes",
    "WorkingDir",
];
const HISTORY_KEYS: [&str; 5] = ["author", "comment", "created", "created_by", "empty_layer"];

/// A parsed view of a config, and the whole of it.
#[derive(Debug, Clone)]
pub struct Config {
    /// What machine it is for.
    pub platform: Platform,
    /// First words of what starts.
    pub entrypoint: Vec<String>,
    /// Words after the entrypoint, unless the user gives others.
    pub cmd: Vec<String>,
    /// Environment in the document's order; an entry without `=` has an empty value.
    pub env: Vec<(String, String)>,
    /// `USER[:GROUP]`, names or numbers; empty is root.
    pub user: String,
    /// Directory to start in; empty is `/`.
    pub working_dir: String,
    /// Ports it says it listens on, sorted.
    pub exposed_ports: Vec<Port>,
    /// Keys of `ExposedPorts` that are no port, as they stand.
    pub unreadable_ports: Vec<String>,
    /// Paths that runtimes mount something writable on, sorted.
    pub volumes: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Signal that asks it to stop; `SIGTERM` where there is none.
    pub stop_signal: Option<String>,
    /// Docker's health check.
    pub healthcheck: Option<Healthcheck>,
    /// When it was made, as the document has it.
    pub created: Option<String>,
    /// Digest of every layer's tar stream, base first.
    pub diff_ids: Vec<DiffId>,
    /// How it was made.
    pub history: Vec<History>,
    /// The document, keys in the spec's case.
    pub raw: Value,
}

/// A port that an image exposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Port {
    /// 1–65535.
    pub port: u16,
    /// Over what.
    pub protocol: Protocol,
}

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, also where none is said.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Docker's health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// `["CMD", …]`, `["CMD-SHELL", text]` or `["NONE"]`.
    pub test: Vec<String>,
    /// With intervals and all else.
    pub raw: Value,
}

/// One step of how an image was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// When, RFC 3339.
    pub created: Option<String>,
    /// The command.
    pub created_by: Option<String>,
    /// Said about it.
    pub comment: Option<String>,
    /// Who.
    pub author: Option<String>,
    /// It made no layer.
    pub empty_layer: bool,
}

impl Config {
    /// Reads a config document, OCI or Docker.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let mut raw: Value = serde_json::from_slice(bytes).map_err(ConfigError::Parse)?;
        let Some(top) = raw.as_object_mut() else {
            return Err(field("", "an object"));
        };
        json::fold_keys(top, &TOP_KEYS).map_err(ConfigError::Twice)?;
        if let Some(run) = top.get_mut("config").and_then(Value::as_object_mut) {
            json::fold_keys(run, &CONFIG_KEYS).map_err(ConfigError::Twice)?;
            if let Some(check) = run.get_mut("Healthcheck").and_then(Value::as_object_mut) {
                json::fold_keys(check, &["Test"]).map_err(ConfigError::Twice)?;
            }
        }
        if let Some(rootfs) = top.get_mut("rootfs").and_then(Value::as_object_mut) {
            json::fold_keys(rootfs, &["diff_ids", "type"]).map_err(ConfigError::Twice)?;
        }
        for step in top.get_mut("history").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(step) = step.as_object_mut() {
                json::fold_keys(step, &HISTORY_KEYS).map_err(ConfigError::Twice)?;
            }
        }
        Self::from_raw(raw)
    }

    fn from_raw(raw: Value) -> Result<Self, ConfigError> {
        let empty = Map::new();
        let top = Fields { map: raw.as_object().unwrap_or(&empty), path: "" };
        let run = Fields { map: top.object("config")?.unwrap_or(&empty), path: "config." };
        let rootfs = Fields { map: top.object("rootfs")?.unwrap_or(&empty), path: "rootfs." };

        let os = top.text("os")?.unwrap_or("linux");
        let architecture = top.text("architecture")?.unwrap_or("amd64");
        let platform = Platform::new(os, architecture, top.text("variant")?);
        let (exposed_ports, unreadable_ports) = parse_ports(run.keys("ExposedPorts")?);
        let diff_ids = rootfs
            .texts("diff_ids")?
            .iter()
            .map(|text| text.parse().map_err(ConfigError::DiffId))
            .collect::<Result<_, _>>()?;
        let healthcheck = match run.object("Healthcheck")? {
            None => None,
            Some(map) => Some(Healthcheck {
                test: Fields { map, path: "config.Healthcheck." }.texts("Test")?,
                raw: Value::Object(map.clone()),
            }),
        };
        Ok(Self {
            platform,
            entrypoint: run.texts("Entrypoint")?,
            cmd: run.texts("Cmd")?,
            env: run.texts("Env")?.iter().map(|entry| split_env(entry)).collect(),
            user: run.text("User")?.unwrap_or_default().to_owned(),
            working_dir: run.text("WorkingDir")?.unwrap_or_default().to_owned(),
            exposed_ports,
            unreadable_ports,
            volumes: run.keys("Volumes")?,
            labels: parse_labels(&run)?,
            stop_signal: run.text("StopSignal")?.filter(|text| !text.is_empty()).map(str::to_owned),
            healthcheck,
            created: top.text("created")?.map(str::to_owned),
            diff_ids,
            history: parse_history(&top)?,
            raw,
        })
    }

    /// Whether every layer has its history step, so that steps can be told to layers.
    pub fn history_is_in_step(&self) -> bool {
        !self.history.is_empty()
            && self.history.iter().filter(|step| !step.empty_layer).count() == self.diff_ids.len()
    }
}

/// `NAME=VALUE`; without `=` the value is empty.
fn split_env(entry: &str) -> (String, String) {
    let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
    (name.to_owned(), value.to_owned())
}

fn parse_ports(keys: Vec<String>) -> (Vec<Port>, Vec<String>) {
    let (mut ports, mut unreadable) = (Vec::new(), Vec::new());
    for key in keys {
        match parse_port(&key) {
            Some(port) => ports.push(port),
            None => unreadable.push(key),
        }
    }
    ports.sort_unstable();
    ports.dedup();
    (ports, unreadable)
}

fn parse_port(key: &str) -> Option<Port> {
    let (number, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    let port = number.parse().ok().filter(|&port| port != 0)?;
    Some(Port { port, protocol })
}

fn parse_labels(run: &Fields<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let labels = run.object("Labels")?.into_iter().flatten();
    labels
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            Value::Null => Ok((key.clone(), String::new())),
            _ => Err(field(&format!("config.Labels.{}", Escaped::new(key.as_bytes())), "a string")),
        })
        .collect()
}

fn parse_history(top: &Fields<'_>) -> Result<Vec<History>, ConfigError> {
    let steps = match top.map.get("history") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(steps)) => steps,
        Some(_) => return Err(field("history", "a list")),
    };
    let step = |step: &Value| {
        let map = step.as_object().ok_or_else(|| field("history", "a list of objects"))?;
        let step = Fields { map, path: "history." };
        let text = |key| step.text(key).map(|text| text.map(str::to_owned));
        Ok(History {
            created: text("created")?,
            created_by: text("created_by")?,
            comment: text("comment")?,
            author: text("author")?,
            empty_layer: match map.get("empty_layer") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(empty)) => *empty,
                Some(_) => return Err(field("history.empty_layer", "true or false")),
            },
        })
    };
    steps.iter().map(step).collect()
}

fn field(field: &str, expected: &'static str) -> ConfigError {
    ConfigError::Field { field: field.to_owned(), expected }
}

/// Typed access to an object; what is absent and what is `null` is the same, as Go reads it.
struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'static str,
}

impl<'a> Fields<'a> {
    fn wrong(&self, key: &str, expected: &'static str) -> ConfigError {
        field(&format!("{}{key}", self.path), expected)
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "a string")),
        }
    }

    fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, ConfigError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(self.wrong(key, "an object")),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let wrong = || self.wrong(key, "a list of strings");
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    /// Keys of an object, sorted.
    fn keys(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let mut keys: Vec<String> =
            self.object(key)?.into_iter().flatten().map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        Ok(keys)
    }
}

impl Protocol {
    /// `tcp`, `udp` or `sctp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(value: &Value) -> Result<Config, ConfigError> {
        Config::parse(value.to_string().as_bytes())
    }

    #[test]
    fn a_docker_config_is_read() {
        let config = parse(&json!({
            "architecture": "arm64", "os": "linux", "variant": "v8", "created": "2024-01-01T00:00:00Z",
            "config": {
                "Entrypoint": ["/e"], "Cmd": null, "Env": ["PATH=/bin", "A=b=c", "BARE"], "User": "www:82",
                "ExposedPorts": {"443": {}, "80/tcp": {}, "53/UDP": {}, "x/tcp": {}}, "Volumes": {"/v": {}, "/a": {}},
                "Labels": {"k": "v"}, "StopSignal": "SIGQUIT", "Healthcheck": {"Test": ["CMD-SHELL", "x"], "Interval": 5},
            },
            "rootfs": {"type": "layers", "diff_ids": [DiffId::of(b"").to_string()]},
            "history": [{"created_by": "ENV", "empty_layer": true}, {"created_by": "COPY"}],
        }))
        .unwrap();
        assert_eq!(config.platform.to_string(), "linux/arm64");
        assert_eq!(config.entrypoint, ["/e"]);
        assert!(config.cmd.is_empty());
        assert_eq!(config.env[1], ("A".into(), "b=c".into()));
        assert_eq!(config.env[2], ("BARE".into(), String::new()));
        let ports: Vec<_> =
            config.exposed_ports.iter().map(|port| (port.port, port.protocol.as_str())).collect();
        assert_eq!(ports, [(53, "udp"), (80, "tcp"), (443, "tcp")]);
        assert_eq!(config.unreadable_ports, ["x/tcp"]);
        assert_eq!(config.volumes, ["/a", "/v"]);
        assert_eq!(config.healthcheck.as_ref().unwrap().raw["Interval"], 5);
        assert!(config.history_is_in_step());
    }

    #[test]
    fn an_empty_config_is_one() {
        let config = parse(&json!({})).unwrap();
        assert!(config.diff_ids.is_empty() && !config.history_is_in_step());
    }

    #[test]
    fn fields_of_the_wrong_type_are_named() {
        let error = parse(&json!({"config": {"Cmd": "sh"}})).unwrap_err();
        assert_eq!(error.to_string(), "config field `config.Cmd` is not a list of strings");
        assert!(matches!(parse(&json!({"rootfs": {"diff_ids": ["md5:00"]}})), Err(ConfigError::DiffId(_))));
        assert!(matches!(parse(&json!([])), Err(ConfigError::Field { .. })));
    }

    #[test]
    fn a_field_in_another_case_is_the_field() {
        assert_eq!(parse(&json!({"config": {"user": "7"}})).unwrap().user, "7");
        let error = parse(&json!({"config": {"user": "0", "User": "7"}})).unwrap_err();
        assert!(matches!(error, ConfigError::Twice("User")));
    }

    #[test]
    fn nesting_beyond_reason_is_an_error() {
        let deep = "[".repeat(100_000);
        assert!(matches!(Config::parse(deep.as_bytes()), Err(ConfigError::Parse(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Config::parse(&bytes);
        }
    }
}
