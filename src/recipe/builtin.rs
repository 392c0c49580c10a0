//! The recipes that kiln carries.
//!
//! Knows their texts; what is wrong with one of them is a bug and found by a test.

use std::sync::LazyLock;

use super::{Recipe, parse_recipe};

macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        const TEXTS: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../recipes/", $name, ".toml")))),*];
    };
}

recipes![
    "caddy",
    "dotnet",
    "etcd",
    "grafana",
    "haproxy",
    "httpd",
    "java",
    "keycloak",
    "memcached",
    "minio",
    "mysql",
    "nats",
    "nginx",
    "node",
    "php-fpm",
    "postgresql",
    "prometheus",
    "python",
    "rabbitmq",
    "redis",
    "registry",
    "ruby",
    "static",
    "tomcat",
    "traefik",
    "vault",
];

static BUILTIN: LazyLock<Vec<Recipe>> = LazyLock::new(|| {
    TEXTS
        .iter()
        .map(|(name, text)| parse_recipe(name, text).unwrap_or_else(|error| unreachable!("{error}")))
        .collect()
});

/// The recipes that kiln carries, by name.
pub fn builtin() -> &'static [Recipe] {
    &BUILTIN
}

/// The text of the recipe `name`, as `kiln recipe show` prints it.
pub fn builtin_text(name: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
