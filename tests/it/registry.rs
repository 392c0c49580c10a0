//! Registries that do as they should and such that do not: pulls, pushes, passwords, faults.
//!
//! The registry is inside the test; real ones are met in the end-to-end suite.

mod access;
mod command;
mod pull;
mod push;
mod referrers;
mod seeded;
mod server;

use std::time::Duration;

use kiln::harden::{HardenError, Hardened, harden};
use kiln::image::media;
use kiln::options::Options;
use kiln::progress::Silent;
use kiln::registry::{Environment, Pace, Registries, RegistryError, Settings};
use kiln::rootfs::dump::parse_layers;
use kiln::sink::{Destinations, SinkError};
use kiln::source::{SourceError, open_source};
use serde_json::{Value, json};

use crate::layout::tar_of;
use server::Server;

/// Waits of a second take a millisecond; a connection that stands still is given up sooner than a user would.
fn settings() -> Settings {
    let pace = Pace {
        second: Duration::from_millis(1),
        stall: Duration::from_secs(20),
        connect: Duration::from_secs(20),
    };
    Settings { pace, chunk: 100_000, ..Settings::default() }
}

fn impatient() -> Settings {
    let settings = settings();
    Settings { pace: Pace { stall: Duration::from_millis(200), ..settings.pace }, ..settings }
}

fn registries() -> Registries {
    Registries::new(settings(), Environment::default())
}

/// With `user:password` for the server, in an auth file.
fn registries_with(server: &Server, entry: &Value) -> (tempfile::TempDir, Registries) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("auth.json");
    std::fs::write(&file, json!({"auths": {server.address.to_string(): entry}}).to_string()).unwrap();
    let environment = Environment::default().with("REGISTRY_AUTH_FILE", file.to_str().unwrap());
    (home, Registries::new(settings(), environment))
}

/// A small image in `repository`: two layers that change and one that does not.
fn add_image(server: &Server, repository: &str, tag: &str) {
    let text = "/app f 0755 elf static\n--\n/etc/a f 0644 200000\n--\n/data f 0444 300000";
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    for layer in parse_layers(text) {
        let tar = tar_of(&layer);
        diff_ids.push(kiln::digest::DiffId::of(&tar).to_string());
        let mut descriptor = server.add_blob(repository, &tar);
        descriptor["mediaType"] = "application/vnd.oci.image.layer.v1.tar".into();
        layers.push(descriptor);
    }
    let config = json!({"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/app"], "User": "7:7"},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let mut config = server.add_blob(repository, config.to_string().as_bytes());
    config["mediaType"] = media::OCI_CONFIG.into();
    let manifest =
        json!({"schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "config": config, "layers": layers});
    server.add_manifest(repository, tag, media::OCI_MANIFEST, manifest.to_string().as_bytes());
}

/// Why a run failed, as far as the tests tell it apart.
#[derive(Debug)]
enum Failed {
    Registry(RegistryError),
    Other(String),
}

impl Failed {
    fn registry(self) -> RegistryError {
        match self {
            Self::Registry(error) => error,
            Self::Other(text) => panic!("no error of a registry: {text}"),
        }
    }
}

fn run(registries: &Registries, from: &str, to: &str) -> Result<Hardened, Failed> {
    let source = open_source(&from.parse().unwrap(), registries).unwrap();
    let destinations = match Destinations::open(&[to.parse().unwrap()], registries) {
        Ok(destinations) => destinations,
        Err(SinkError::Registry(error)) => return Err(Failed::Registry(error)),
        Err(error) => return Err(Failed::Other(format!("{error:?}"))),
    };
    harden(&*source, &Options::default(), destinations, &Silent).map_err(|error| match error {
        HardenError::Source(SourceError::Registry(error)) | HardenError::Sink(SinkError::Registry(error)) => {
            Failed::Registry(error)
        }
        // Errors of layers and documents hold the registry's somewhere below.
        error => match RegistryError::find(&error) {
            Some(found) => Failed::Other(format!("registry: {found}")),
            None => Failed::Other(format!("{error:?}")),
        },
    })
}

/// Hardens an image of the server's into another repository of it.
fn round(server: &Server, registries: &Registries) -> Result<Hardened, Failed> {
    run(registries, &server.name("in/app:1"), &server.name("out/app:1"))
}
