//! The environment variables and the user that decide about registries, read once.
//!
//! Does not interpret them; `proxy` and `credentials` do.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

/// Variables that kiln reads for registries.
const VARIABLES: [&str; 14] = [
    "ALL_PROXY",
    "DOCKER_CONFIG",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PATH",
    "REGISTRY_AUTH_FILE",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Values of the variables that are set and not empty, and whom the process runs as.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<&'static str, String>,
    uid: Option<u32>,
}

impl Environment {
    /// This process'.
    pub fn of_process() -> Self {
        let value = |name: &'static str| Some((name, std::env::var(name).ok()?));
        let variables =
            VARIABLES.into_iter().filter_map(value).filter(|(_, value)| !value.is_empty()).collect();
        // Nothing but the kernel knows it in a container without names.
        let uid = std::fs::metadata("/proc/self").ok().map(|own| own.uid());
        Self { variables, uid }
    }

    /// With one variable more; those that kiln does not read are ignored.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Some(name) = VARIABLES.into_iter().find(|known| *known == name) {
            self.variables.insert(name, value.to_owned());
        }
        self
    }

    /// Whom the process runs as; `None` where there is no process to ask.
    pub(super) fn uid(&self) -> Option<u32> {
        self.uid
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}
