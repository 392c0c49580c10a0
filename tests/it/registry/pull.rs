//! Pulling: what is verified, what is tried again, what ends in an error.

use std::io::Read as _;
use std::time::{Duration, Instant};

use kiln::digest::BlobDigest;
use kiln::image::{MAX_DOCUMENT, media};
use kiln::reference::{Reference, Repository};
use kiln::registry::{Client, Environment, Registries, RegistryError, Right, Settings, Tag};
use kiln::source::{SourceError, open_source};
use serde_json::json;

use super::server::{Asked, Fault, Guard, Server, answer};
use super::{add_image, impatient, registries, round, settings};

/// Longer than what one read gives, so that it can be cut in the middle.
fn blob() -> Vec<u8> {
    (0..600_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn repository(server: &Server, path: &str) -> Repository {
    Repository { host: server.address.to_string(), path: path.into() }
}

fn client_of(registries: &Registries, server: &Server) -> Client {
    registries.client(&repository(server, "in/app"), Right::Pull)
}

fn read(client: &Client, digest: BlobDigest, size: u64) -> Result<Vec<u8>, RegistryErrorText> {
    let mut bytes = Vec::new();
    let download = client.get_blob(digest, size).unwrap();
    match download.open().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(RegistryError::find(&error).unwrap().to_string()),
    }
}

/// Errors of downloads are shared by their readers, so only their text is at hand.
type RegistryErrorText = String;

/// The blob, fetched from a server with `faults` for blobs.
fn fetched(
    settings: Settings,
    faults: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static,
) -> (Server, Result<Vec<u8>, String>) {
    let server =
        Server::start(Guard::Nobody, move |asked| faults(asked).filter(|_| asked.is("GET", "/blobs/")));
    server.add_blob("in/app", &blob());
    let registries = Registries::new(settings, Environment::default());
    let found = read(&client_of(&registries, &server), BlobDigest::of(&blob()), blob().len() as u64);
    (server, found)
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_was() {
    let (server, found) = fetched(settings(), |asked| (asked.before < 8).then_some(Fault::Cut(250_000)));
    assert_eq!(found, Ok(blob()));
    let state = server.state();
    let ranges: Vec<_> = state.log.iter().filter_map(|asked| asked.headers.get("range").cloned()).collect();
    assert_eq!(ranges.len(), 8);
    assert_eq!((ranges[0].as_str(), ranges[7].as_str()), ("bytes=250000-", "bytes=2000000-"));
}

#[test]
fn a_server_without_ranges_is_asked_for_all_of_it_again() {
    let (_server, found) = fetched(settings(), |asked| match asked.before {
        0 => Some(Fault::Cut(1000)),
        _ => Some(Fault::NoRange),
    });
    assert_eq!(found, Ok(blob()));
}

#[test]
fn wrong_bytes_are_asked_for_again_and_then_told() {
    let (_server, found) = fetched(settings(), |asked| (asked.before < 2).then_some(Fault::WrongByte));
    assert_eq!(found, Ok(blob()));
    let (server, found) = fetched(settings(), |_| Some(Fault::WrongByte));
    let error = found.unwrap_err();
    assert!(error.starts_with("registry sent a blob that is not what was asked for"), "{error}");
    assert_eq!(server.count("GET", "/blobs/"), 3);
}

#[test]
fn short_endless_and_missing_blobs_are_errors() {
    let (_server, found) = fetched(settings(), |_| Some(Fault::Short));
    let error = found.unwrap_err();
    // The second try asks for the rest, and gets half of it, and so on: it ends all the same.
    assert!(error.contains("wrong size") || error.contains("not what was asked for"), "{error}");
    let (_server, found) = fetched(settings(), |_| Some(Fault::Endless));
    let error = found.unwrap_err();
    assert!(error.ends_with("expected 2400000 bytes, found more than 2400000"), "{error}");
    let (_server, found) = fetched(settings(), |_| Some(answer(404)));
    let error = found.unwrap_err();
    assert!(error.contains("has no blob sha256:"), "{error}");
}

#[test]
fn busy_registries_are_asked_again_after_the_wait_they_name() {
    for (status, retry_after) in [(429, "3"), (503, "Sun, 06 Nov 1994 08:49:37 GMT"), (500, "x")] {
        let (_server, found) = fetched(settings(), move |asked| {
            (asked.before < 5).then(|| Fault::Answer(status, vec![("Retry-After", retry_after.into())]))
        });
        assert_eq!(found, Ok(blob()), "{status}");
    }
    let (server, found) = fetched(settings(), |_| Some(answer(503)));
    let error = found.unwrap_err();
    assert!(error.ends_with("with status 503 after 6 attempts"), "{error}");
    assert_eq!(server.count("GET", "/blobs/"), 6);
    let (server, found) =
        fetched(settings(), |_| Some(Fault::Answer(429, vec![("Retry-After", "9999".into())])));
    let error = found.unwrap_err();
    assert!(error.contains("status 429: asks to be tried again in 9999 seconds"), "{error}");
    assert_eq!(server.count("GET", "/blobs/"), 1, "a wait of hours is not waited for");
}

#[test]
fn a_registry_that_hangs_is_given_up() {
    let began = Instant::now();
    let (server, found) = fetched(impatient(), |asked| (asked.before < 1).then_some(Fault::Hang));
    assert_eq!(found, Ok(blob()));
    assert_eq!(server.count("GET", "/blobs/"), 2);
    let (_server, found) = fetched(impatient(), |_| Some(Fault::Hang));
    let error = found.unwrap_err();
    assert!(error.starts_with("cannot talk to `http://127.0.0.1:"), "{error}");
    assert!(began.elapsed() < Duration::from_mins(1));
}

#[test]
fn redirects_are_followed_without_credentials_and_not_for_ever() {
    let storage = Server::open();
    storage.add_blob("in/app", &blob());
    let target =
        format!("http://{}/v2/in/app/blobs/{}?signature=x", storage.address, BlobDigest::of(&blob()));
    let server = Server::start(Guard::Basic("me:secret".into()), move |asked| {
        let signed_in = asked.headers.contains_key("authorization") && asked.is("GET", "/blobs/");
        signed_in.then(|| Fault::Answer(307, vec![("Location", target.clone())]))
    });
    let entry = json!({"username": "me", "password": "secret"});
    let (_home, registries) = super::registries_with(&server, &entry);
    let found = read(&client_of(&registries, &server), BlobDigest::of(&blob()), blob().len() as u64);
    assert_eq!(found, Ok(blob()));
    assert!(storage.state().log.iter().all(|asked| !asked.headers.contains_key("authorization")));

    let (server, found) =
        fetched(settings(), |asked| Some(Fault::Answer(302, vec![("Location", asked.path.clone())])));
    let error = found.unwrap_err();
    assert!(error.ends_with("is redirected more than 5 times"), "{error}");
    assert_eq!(server.count("GET", "/blobs/"), 6);
}

#[test]
fn manifests_are_verified_bounded_and_asked_for_in_all_types() {
    let server = Server::start(Guard::Nobody, |asked| match asked.path.as_str() {
        "/v2/in/app/manifests/wrong" => Some(Fault::WrongByte),
        "/v2/in/app/manifests/endless" => Some(Fault::Endless),
        "/v2/in/app/manifests/cut" => (asked.before == 0).then_some(Fault::Cut(10)),
        _ => None,
    });
    for tag in ["right", "wrong", "endless", "cut"] {
        server.add_manifest("in/app", tag, media::OCI_MANIFEST, br#"{"schemaVersion": 2}"#);
    }
    let registries = registries();
    let client = client_of(&registries, &server);
    let get = |tag: &str| client.get_manifest(&Tag::Name(tag.into()));
    let right = get("right").unwrap();
    assert_eq!(right.media_type, media::OCI_MANIFEST);
    assert_eq!(get("cut").unwrap(), right);
    assert!(matches!(get("wrong"), Err(RegistryError::WrongDigest { what: "manifest", .. })));
    assert!(matches!(get("endless"), Err(RegistryError::TooLong { limit: MAX_DOCUMENT, .. })));
    assert!(matches!(get("none"), Err(RegistryError::NotFound { .. })));
    assert_eq!(client.head_manifest(&Tag::Name("right".into())).unwrap(), Some(right.digest));
    assert_eq!(client.head_manifest(&Tag::Name("none".into())).unwrap(), None);
    let accept = server.state().log.last().unwrap().headers["accept"].clone();
    for media_type in [media::OCI_INDEX, media::OCI_MANIFEST, media::DOCKER_LIST, media::DOCKER_MANIFEST] {
        assert!(accept.contains(media_type), "{accept}");
    }
}

#[test]
fn of_an_index_only_what_fits_is_asked_for() {
    let server = Server::open();
    add_image(&server, "in/app", "amd64");
    let digest = server.whole("in/app", "amd64").unwrap();
    let entry = |architecture: &str, digest: BlobDigest, size: usize| {
        json!({"mediaType": media::OCI_MANIFEST, "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": architecture}})
    };
    let size = client_of(&registries(), &server).get_manifest(&Tag::Digest(digest)).unwrap().bytes.len();
    let index = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [
        entry("s390x", BlobDigest::of(b"not there"), 9), entry("amd64", digest, size)]});
    server.add_manifest("in/app", "1", media::OCI_INDEX, index.to_string().as_bytes());
    let asked = server.count("GET", "/manifests/");
    let reference: Reference = server.name("in/app:1").parse().unwrap();
    let source = open_source(&reference, &registries()).unwrap();
    let image = source.image(Some(&"linux/amd64".parse().unwrap())).unwrap();
    assert_eq!(image.manifest_digest, Some(digest));
    assert_eq!(server.count("GET", "/manifests/"), asked + 2, "the index and one manifest");
    let error = source.image(Some(&"linux/riscv64".parse().unwrap())).unwrap_err();
    assert!(matches!(error, SourceError::NoSuchPlatform { .. }), "{error:?}");
}

#[test]
fn blobs_of_one_platform_are_let_go_before_those_of_the_next() {
    let server = Server::open();
    let mut entries = Vec::new();
    for (tag, variant) in [("one", "v7"), ("two", "v8")] {
        add_image(&server, "in/app", tag);
        let digest = server.whole("in/app", tag).unwrap();
        let size = client_of(&registries(), &server).get_manifest(&Tag::Digest(digest)).unwrap().bytes.len();
        let platform = json!({"os": "linux", "architecture": "arm", "variant": variant});
        entries.push(
            json!({"mediaType": media::OCI_MANIFEST, "digest": digest, "size": size, "platform": platform}),
        );
    }
    let index = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": entries});
    server.add_manifest("in/app", "1", media::OCI_INDEX, index.to_string().as_bytes());
    let source = open_source(&server.name("in/app:1").parse().unwrap(), &registries()).unwrap();
    let image = |platform: &str| source.image(Some(&platform.parse().unwrap())).unwrap();
    let config = |image: &kiln::source::SourceImage| format!("/blobs/{}", BlobDigest::from(image.image_id));
    let first = image("linux/arm/v7");
    assert_eq!(server.count("GET", &config(&first)), 1);
    // The same layers are kept, and what is no layer is not.
    let layer = format!("/blobs/{}", first.layers[0].digest);
    image("linux/arm/v8");
    assert_eq!((server.count("GET", &layer), server.count("GET", &config(&first))), (1, 2));
}

#[test]
fn both_passes_read_what_came_once() {
    let server = Server::open();
    add_image(&server, "in/app", "1");
    round(&server, &registries()).unwrap();
    let state = server.state();
    let blobs = state.log.iter().filter(|asked| asked.is("GET", "/in/app/blobs/"));
    assert!(
        blobs.clone().count() == 4 && blobs.clone().all(|asked| asked.before == 0),
        "three layers and a config"
    );
}
