//! The environment variables that decide about registries, read once.
//!
//! Does not interpret them; `proxy` and `credentials` do.

use std::collections::BTreeMap;

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

/// Values of the variables that are set and not empty.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<&'static str, String>);

impl Environment {
    /// This process'.
    pub fn of_process() -> Self {
        let value = |name: &'static str| Some((name, std::env::var(name).ok()?));
        Self(VARIABLES.into_iter().filter_map(value).filter(|(_, value)| !value.is_empty()).collect())
    }

    /// With one variable more; those that kiln does not read are ignored.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Some(name) = VARIABLES.into_iter().find(|known| *known == name) {
            self.0.insert(name, value.to_owned());
        }
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
