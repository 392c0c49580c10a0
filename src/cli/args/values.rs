//! Values of arguments, checked by their form.
//!
//! Whether an image has what they name is for the plan to say.

use std::path::PathBuf;

use super::Platforms;
use crate::kube::generate::{EnvSource, Extra, MAX_NAME, Port, Protocol, is_name};
use crate::kube::pod::is_dns_label;
use crate::observe::{Exercise, parse_url};
use crate::path::ImagePath;
use crate::plan::Level;
use crate::reference::{Reference, RegistryReference};
use crate::sandbox::stage::Stage;

pub(super) fn level(text: &str) -> Result<Level, String> {
    Level::ALL
        .into_iter()
        .find(|level| level.name() == text)
        .ok_or_else(|| "expected `strip`, `distroless` or `minimal`".into())
}

pub(super) fn platforms(text: &str) -> Result<Platforms, String> {
    if text == "all" { Ok(Platforms::All) } else { platform(text).map(Platforms::One) }
}

/// `10`, `10K`, `10G`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let unit = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(*unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    let number: Option<u64> = number.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "expected a number of bytes, such as `200G`".into())
}

pub(super) fn platform(text: &str) -> Result<String, String> {
    let word = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
    };
    let parts = text.split('/').count();
    if (2..=3).contains(&parts) && text.split('/').all(word) {
        return Ok(text.to_owned());
    }
    Err("expected `OS/ARCH[/VARIANT]`, as in `linux/arm64/v8`, or `all`".into())
}

/// Only its form: whether it matches anything is for the plan to say.
pub(super) fn glob(text: &str) -> Result<String, String> {
    if !text.starts_with('/') && !text.starts_with("**/") {
        return Err("expected a glob of absolute paths, beginning with `/` or `**/`".into());
    }
    match globset::Glob::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.kind().to_string()),
    }
}

pub(super) fn user(text: &str) -> Result<String, String> {
    let word = |part: &str| {
        !part.is_empty() && !part.contains([':', '/', '\0']) && !part.contains(char::is_whitespace)
    };
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    if word(user) && group.is_none_or(word) {
        return Ok(text.to_owned());
    }
    Err("expected `USER[:GROUP]`".into())
}

pub(super) fn stage(text: &str) -> Result<Stage, String> {
    let stage = Stage::ALL.into_iter().find(|stage| stage.name() == text);
    stage.ok_or_else(|| "no such stage".into())
}

pub(super) fn exercise(text: &str) -> Result<Exercise, String> {
    parse_url(text).unwrap_or_else(|| Ok(Exercise::Program(PathBuf::from(text))))
}

/// `NAME=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected `NAME=VALUE`".into()),
    }
}

/// `NAME=VALUE`, the name one that Kubernetes takes.
pub(super) fn env_variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = variable(text)?;
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.chars().all(is_fine) || name.starts_with(|c: char| c.is_ascii_digit()) || name.starts_with("..")
    {
        return Err("expected a name of letters, digits, `_`, `-` and `.`, no digit first".into());
    }
    Ok((name, value))
}

/// A name that every object of a cluster can have.
pub(super) fn object_name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "expected lower-case letters, digits and inner hyphens, a letter first, at most {MAX_NAME} characters"
    ))
}

/// A label of DNS: a namespace's or a container's name.
pub(super) fn label(text: &str) -> Result<String, String> {
    if is_dns_label(text) {
        return Ok(text.to_owned());
    }
    Err("expected lower-case letters, digits and inner hyphens, at most 63 characters".into())
}

/// An image's name in a registry; only its form.
pub(super) fn image_name(text: &str) -> Result<RegistryReference, String> {
    match text.parse() {
        Ok(Reference::Registry(reference)) => Ok(reference),
        _ => Err("expected a name in a registry, `HOST/REPO[:TAG][@sha256:DIGEST]`".into()),
    }
}

/// The same as pods have it: as it is written, without a transport.
pub(super) fn pod_image(text: &str) -> Result<String, String> {
    image_name(text)?;
    Ok(text.strip_prefix("docker://").unwrap_or(text).to_owned())
}

pub(super) fn extra(text: &str) -> Result<Extra, String> {
    match text {
        "service" => Ok(Extra::Service),
        "serviceaccount" => Ok(Extra::ServiceAccount),
        "networkpolicy" => Ok(Extra::NetworkPolicy),
        "pdb" => Ok(Extra::DisruptionBudget),
        "namespace" => Ok(Extra::Namespace),
        _ => Err("expected `service`, `serviceaccount`, `networkpolicy`, `pdb` or `namespace`".into()),
    }
}

/// `80`, `53/udp`.
pub(super) fn port(text: &str) -> Result<Port, String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return Err("expected `tcp` or `udp` behind the `/`".into()),
    };
    let number: Option<u16> = number.parse().ok().filter(|&number| number > 0);
    let number = number.ok_or("expected a number from 1 to 65535")?;
    Ok(Port { number, protocol })
}

/// `PATH=FILE`.
pub(super) fn set_config(text: &str) -> Result<(ImagePath, PathBuf), String> {
    match text.split_once('=') {
        Some((path, file)) if !file.is_empty() => Ok((image_path(path)?, PathBuf::from(file))),
        _ => Err("expected `PATH=FILE`".into()),
    }
}

/// `configmap/NAME`, `secret/NAME`.
pub(super) fn env_from(text: &str) -> Result<EnvSource, String> {
    let is_label = |label: &str| {
        let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        is_edge(label.chars().next())
            && is_edge(label.chars().next_back())
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let (kind, name) = text.split_once('/').unwrap_or_default();
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("expected `configmap/NAME` or `secret/NAME`, the name that of an object".into());
    }
    match kind {
        "configmap" => Ok(EnvSource::ConfigMap(name.to_owned())),
        "secret" => Ok(EnvSource::Secret(name.to_owned())),
        _ => Err("expected `configmap/NAME` or `secret/NAME`".into()),
    }
}

/// `PATH[:SIZE]`.
pub(super) fn mount(text: &str) -> Result<(ImagePath, Option<u64>), String> {
    let (path, size) = text.rsplit_once(':').map_or((text, None), |(path, size)| (path, Some(size)));
    Ok((image_path(path)?, size.map(bytes).transpose()?))
}

pub(super) fn image_path(text: &str) -> Result<ImagePath, String> {
    if !text.starts_with('/') {
        return Err("expected an absolute path of the image".into());
    }
    let path = ImagePath::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    if path.is_root() {
        return Err("expected a directory below `/`: a writable root is what kiln takes away".into());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_by_form() {
        assert!(platform("linux/arm64/v8").is_ok());
        assert_eq!(platforms("all"), Ok(Platforms::All));
        for bad in ["linux", "ALL", "linux/", "a/b/c/d", "Linux/amd64", ""] {
            assert!(platform(bad).is_err(), "{bad}");
        }
        assert!(user("www-data:33").is_ok());
        for bad in ["", ":33", "a:", "a:b:c", "a b"] {
            assert!(user(bad).is_err(), "{bad}");
        }
        assert!(glob("/usr/lib/**/*.so").is_ok() && glob("**/perl").is_ok());
        for bad in ["usr/bin/perl", "/[", ""] {
            assert!(glob(bad).is_err(), "{bad}");
        }
        assert!(image_path("/var/lib/x/").is_ok());
        for bad in ["/", "var", "/a/../b"] {
            assert!(image_path(bad).is_err(), "{bad}");
        }
    }
}
