//! A plugin for Helm 4, whose post-renderers are plugins: `plugin.yaml`, and `kiln` runs from the user's path.
//!
//! Runs no Helm: `helm plugin install DIR` takes it from there (<https://helm.sh/docs/plugins/overview>).

use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::ValueEnum as _;
use serde_json::{Value, json};

use super::super::Failure;
use super::super::args::{AskedArgs, FixArgs};
use super::super::output::{Target, World};
use crate::kube;

/// Its name, for `--post-renderer`.
const NAME: &str = "kiln";

/// Writes the plugin into `directory`, with what was asked for here as its arguments.
pub(super) fn write(args: &FixArgs, directory: &Path, world: &mut World<'_>) -> Result<(), Failure> {
    let words = words(args)?;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the directory `{}`", directory.display()))
        .map_err(Failure::input)?;
    Target::prepare(&directory.join("plugin.yaml"))?.write(&kube::to_yaml(&plugin(&words)), world)
}

/// What Helm asks of such a plugin.
fn plugin(words: &[String]) -> Value {
    json!({
        "apiVersion": "v1",
        "type": "postrenderer/v1",
        "name": NAME,
        "version": env!("CARGO_PKG_VERSION"),
        "runtime": "subprocess",
        "runtimeConfig": {"platformCommand": [{"command": "kiln", "args": words}]},
    })
}

/// The arguments of `kiln` that ask the same of what Helm renders.
fn words(args: &FixArgs) -> Result<Vec<String>, Failure> {
    let FixArgs { unsafe_, asked, quiet, paths: _, write: _, diff: _, patch: _, helm_plugin: _ } = args;
    let AskedArgs {
        rules,
        skip,
        kube_version,
        platform,
        pod_spec_path,
        images,
        resolve,
        image_platform,
        registry,
    } = asked;
    let mut words = vec!["fix".to_owned()];
    let flags = [
        ("--unsafe", *unsafe_),
        ("--quiet", *quiet),
        ("--resolve", *resolve),
        ("--plain-http", registry.plain_http),
    ];
    words.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.to_owned()));
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    for rule in rules {
        option("--rule", rule);
    }
    for rule in skip {
        option("--skip", rule);
    }
    option("--kube-version", &kube_version.to_string());
    if let Some(platform) = platform.to_possible_value() {
        option("--platform", platform.get_name());
    }
    for path in pod_spec_path {
        option("--pod-spec-path", &path.to_string());
    }
    for (name, source) in images {
        option("--image", &format!("{name}={source}"));
    }
    if let Some(platform) = image_platform {
        option("--image-platform", platform);
    }
    if let Some(file) = &registry.ca_file {
        option("--ca-file", &file.to_string_lossy());
    }
    words.push("-".to_owned());
    // Helm puts variables in the place of such words, and knows no way to say that it should not.
    match words.iter().find(|word| word.contains('$')) {
        Some(word) => Err(Failure::usage(anyhow!("`{word}`: Helm takes what follows `$` for a variable"))),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::super::args::{Args, Command};
    use super::*;

    fn fix(line: &str) -> FixArgs {
        let words = ["kiln", "fix", "--helm-plugin", "x"].into_iter().chain(line.split_whitespace());
        let Command::Fix(args) = Args::try_parse_from(words).unwrap().command else { panic!("not fix") };
        *args
    }

    #[test]
    fn plugin_asks_what_was_asked_for() {
        let line = "--unsafe --quiet --resolve --plain-http --rule FS001 --rule PR --skip RS001 --kube-version 1.33 --platform openshift --pod-spec-path Fleet=spec.template.spec --image a:1=oci:b --image-platform linux/arm64 --ca-file ca.pem";
        let found = words(&fix(line)).unwrap();
        assert_eq!(found.join(" "), format!("fix {line} -"));
        assert_eq!(words(&fix("")).unwrap().last().map(String::as_str), Some("-"));
        assert!(words(&fix("--image a=oci:$HOME/b")).is_err());
    }
}
