//! Pushing: what is not sent, what is sent again, and that the tag comes last.

use std::io::{Seek as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use kiln::digest::BlobDigest;
use kiln::harden::harden_platforms;
use kiln::image::manifest::Blob;
use kiln::image::media;
use kiln::options::Options;
use kiln::progress::Silent;
use kiln::reference::Repository;
use kiln::registry::{Client, Content, RegistryError, Right, Sent, Tag};
use kiln::sink::{Destinations, SinkError};
use kiln::source::open_source;

use super::server::{Asked, Fault, Guard, Server, answer};
use super::{Failed, add_image, registries, round, run};

const REPOSITORY: &str = "out/app";

/// Three pieces.
fn large() -> Vec<u8> {
    (0..60_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn client_of(server: &Server) -> Client {
    let repository = Repository { host: server.address.to_string(), path: REPOSITORY.into() };
    registries().client(&repository, Right::Push)
}

fn put(server: &Server, bytes: &[u8]) -> Result<Sent, RegistryError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    client_of(server).put_blob(&BlobDigest::of(bytes), bytes.len() as u64, Content::File(&file))
}

fn has(server: &Server, bytes: &[u8]) -> bool {
    client_of(server).has_blob(Blob { digest: BlobDigest::of(bytes), size: bytes.len() as u64 }).unwrap()
}

fn faulty(faults: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) -> Server {
    Server::start(Guard::Nobody, faults)
}

#[test]
fn large_blobs_go_in_pieces_and_small_ones_whole() {
    let server = Server::open();
    assert_eq!(put(&server, b"small").unwrap(), Sent::Uploaded);
    assert_eq!(server.count("PATCH", ""), 0);
    assert_eq!(put(&server, &large()).unwrap(), Sent::Uploaded);
    assert_eq!((server.count("PATCH", ""), server.count("PUT", "")), (3, 2));
    assert!(has(&server, &large()) && has(&server, b"small"));
    assert_eq!(put(&server, &large()).unwrap(), Sent::Present);
    assert_eq!((server.count("PATCH", ""), server.count("PUT", "")), (3, 2));
}

#[test]
fn registries_that_take_no_pieces_get_it_whole() {
    for status in [400, 403, 404, 405, 413, 415, 416, 422, 501] {
        let server = faulty(move |asked| asked.is("PATCH", "").then(|| answer(status)));
        assert_eq!(put(&server, &large()).unwrap(), Sent::Uploaded, "{status}");
        assert!(has(&server, &large()), "{status}");
        assert_eq!(server.count("PATCH", ""), 1, "{status}");
    }
}

#[test]
fn pieces_are_as_long_as_the_registry_wants_them() {
    let server = faulty(|asked| {
        let least = || Fault::Headers(vec![("OCI-Chunk-Min-Length", "150000".into())]);
        (asked.method == "POST").then(least)
    });
    assert_eq!(put(&server, &large()).unwrap(), Sent::Uploaded);
    let state = server.state();
    let pieces = state.log.iter().filter(|asked| asked.method == "PATCH").map(|asked| asked.body.len());
    assert_eq!(pieces.collect::<Vec<_>>(), [150_000, 90_000]);
}

#[test]
fn an_upload_goes_on_after_a_lost_answer_and_begins_again_after_a_lost_session() {
    for fault in [Fault::LostAnswer, Fault::Reset, answer(503), answer(404)] {
        let (one, done) = (fault.clone(), AtomicBool::new(false));
        let server = faulty(move |asked| {
            let second = asked.method == "PATCH" && asked.before == 1 && !done.swap(true, Ordering::Relaxed);
            second.then(|| one.clone())
        });
        assert_eq!(put(&server, &large()).unwrap(), Sent::Uploaded, "{fault:?}");
        assert!(has(&server, &large()), "{fault:?}");
    }
    // The answer to the last request is lost: the blob is there.
    let server = faulty(|asked| (asked.method == "PUT").then_some(Fault::LostAnswer));
    assert_eq!(put(&server, b"small").unwrap(), Sent::Uploaded);
    assert_eq!(server.count("PUT", ""), 1);
}

/// Answers each piece of an upload as if it had been taken, and as if the registry had `range` of it.
fn taken(range: &'static str) -> Server {
    faulty(move |asked| {
        let headers = || vec![("Location", asked.path.clone()), ("Range", range.to_owned())];
        asked.is("PATCH", "").then(|| Fault::Answer(202, headers()))
    })
}

#[test]
fn an_upload_that_never_gets_on_is_given_up() {
    let server = taken("0-0");
    let error = put(&server, &large()).unwrap_err();
    assert!(matches!(error, RegistryError::Received { sent: 100_000, has: 0, .. }), "{error:?}");
    assert_eq!(server.count("PATCH", ""), 24, "six times in each of four sessions");
    // A byte at a time is no better.
    let server = faulty(move |asked| {
        let range = format!("0-{}", asked.number);
        let headers = || vec![("Location", asked.path.clone()), ("Range", range)];
        asked.is("PATCH", "").then(|| Fault::Answer(202, headers()))
    });
    let error = put(&server, &large()).unwrap_err();
    assert!(matches!(error, RegistryError::Received { .. }), "{error:?}");
    assert_eq!(server.count("PATCH", ""), 400);
}

#[test]
fn a_registry_that_has_more_than_was_sent_is_not_believed() {
    let server = taken("0-239999");
    let error = put(&server, &large()).unwrap_err();
    assert!(matches!(error, RegistryError::Received { sent: 100_000, has: 240_000, .. }), "{error:?}");
}

#[test]
fn a_part_of_a_blob_under_its_name_is_not_the_blob() {
    let length = |asked: &Asked| {
        asked.is("HEAD", "/blobs/").then(|| Fault::Headers(vec![("Content-Length", "4".into())]))
    };
    // It can be mended.
    let server = faulty(move |asked| length(asked).filter(|_| asked.before == 0));
    server.add_blob(REPOSITORY, b"small");
    assert_eq!(put(&server, b"small").unwrap(), Sent::Uploaded);
    assert_eq!(server.count("PUT", ""), 1);
    // It cannot.
    let server = faulty(length);
    server.add_blob(REPOSITORY, b"small");
    let error = put(&server, b"small").unwrap_err();
    assert!(matches!(error, RegistryError::HeldOther { expected: 5, found: 4, .. }), "{error:?}");
    assert_eq!(server.count("PUT", ""), 1);
}

#[test]
fn a_blob_is_mounted_where_a_neighbour_has_it() {
    let server = Server::open();
    add_image(&server, "in/app", "1");
    let hardened = round(&server, &registries()).unwrap();
    let unchanged = hardened.image.layers[2].digest;
    assert_eq!(hardened.layers[2].digest, unchanged);
    assert_eq!(server.whole(REPOSITORY, "1"), Some(hardened.digest));
    let state = server.state();
    let mounts: Vec<_> = state.log.iter().filter_map(|asked| asked.query.get("mount")).collect();
    assert_eq!(mounts, [&unchanged.to_string()]);
    let sent = state.log.iter().filter(|asked| asked.is("PUT", "/blobs/uploads/"));
    assert_eq!(sent.count(), 4, "three layers that changed or are new, and the config");
}

#[test]
fn a_mount_that_is_not_one_goes_on_as_an_upload() {
    let server = faulty(|asked| {
        // As registries answer that do not have it, or do not mount.
        let location = format!("{}s?state=y", asked.path);
        asked.query.contains_key("mount").then(|| Fault::Answer(202, vec![("Location", location)]))
    });
    add_image(&server, "in/app", "1");
    let hardened = round(&server, &registries()).unwrap();
    assert_eq!(server.whole(REPOSITORY, "1"), Some(hardened.digest));
    let server = faulty(|asked| asked.query.contains_key("mount").then(|| answer(403)));
    add_image(&server, "in/app", "1");
    let hardened = round(&server, &registries()).unwrap();
    assert_eq!(server.whole(REPOSITORY, "1"), Some(hardened.digest));
}

#[test]
fn nothing_is_sent_twice_and_the_tag_comes_last() {
    let server = Server::open();
    add_image(&server, "in/app", "1");
    let first = round(&server, &registries()).unwrap();
    let puts: Vec<_> = {
        let state = server.state();
        let puts = state.log.iter().filter(|asked| asked.method == "PUT");
        puts.map(|asked| asked.path.clone()).collect()
    };
    let manifests = [format!("/v2/out/app/manifests/{}", first.digest), "/v2/out/app/manifests/1".to_owned()];
    assert_eq!(puts[puts.len() - 2..], manifests);
    let sent = |server: &Server| ["POST", "PATCH", "PUT"].map(|method| server.count(method, ""));
    let before = sent(&server);
    let second = round(&server, &registries()).unwrap();
    assert_eq!((second.digest, sent(&server)), (first.digest, before));
}

#[test]
fn what_the_registry_says_it_stored_is_compared() {
    let other = BlobDigest::of(b"other").to_string();
    let server = faulty(move |asked| {
        asked.is("PUT", "/manifests/").then(|| Fault::Headers(vec![("Docker-Content-Digest", other.clone())]))
    });
    let error = client_of(&server).put_manifest(&Tag::Name("1".into()), b"{\"layers\":[],\"config\":{\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}}", media::OCI_MANIFEST);
    assert!(matches!(error, Err(RegistryError::StoredOther { .. })), "{error:?}");
    // A registry that has other bytes than were sent refuses them, again and again.
    let server = faulty(|asked| (asked.method == "PUT").then(|| answer(400)));
    let error = put(&server, b"small").unwrap_err();
    assert!(matches!(error, RegistryError::Status { status: 400, attempts: 4, .. }), "{error:?}");
}

#[test]
fn a_failed_push_leaves_the_tag_where_it_was() {
    let server = faulty(|asked| asked.is("PUT", "/out/app/blobs/").then(|| answer(403)));
    add_image(&server, "in/app", "1");
    add_image(&server, REPOSITORY, "1");
    let old = server.whole(REPOSITORY, "1");
    let error = round(&server, &registries()).map(drop).unwrap_err().registry();
    assert!(matches!(error, RegistryError::Status { status: 403, .. }), "{error:?}");
    assert_eq!(server.whole(REPOSITORY, "1"), old);
    assert_eq!(server.count("PUT", "/out/app/manifests/"), 0);
}

#[test]
fn destinations_are_looked_at_before_the_work() {
    let server = faulty(|asked| asked.is("HEAD", "/out/app/").then(|| answer(400)));
    add_image(&server, "in/app", "1");
    let failed = round(&server, &registries()).map(drop);
    assert!(matches!(failed, Err(Failed::Registry(RegistryError::Status { status: 400, .. }))), "{failed:?}");
    assert_eq!(server.count("GET", "/in/app/"), 0);
    let digested = format!("{}@{}", server.name("out/app"), BlobDigest::of(b"x"));
    let error = Destinations::open(&[digested.parse().unwrap()], &registries()).map(drop).unwrap_err();
    assert!(matches!(error, SinkError::Digested(_)), "{error:?}");
}

#[test]
fn an_image_goes_from_one_registry_to_another() {
    let (from, to) = (Server::open(), Server::open());
    add_image(&from, "in/app", "1");
    let hardened = run(&registries(), &from.name("in/app:1"), &to.name("out/app:2")).unwrap();
    assert_eq!(to.whole(REPOSITORY, "2"), Some(hardened.digest));
    assert_eq!(from.count("PUT", ""), 0);
    assert!(to.state().log.iter().all(|asked| !asked.query.contains_key("mount")));
}

#[test]
fn an_index_of_platforms_is_pushed_after_its_images() {
    let server = Server::open();
    add_image(&server, "in/app", "1");
    let registries = registries();
    let source = open_source(&server.name("in/app:1").parse().unwrap(), &registries).unwrap();
    let destinations = Destinations::open(&[server.name("out/app:1").parse().unwrap()], &registries).unwrap();
    let done = harden_platforms(&*source, &Options::default(), destinations, &mut |_, _| Vec::new(), &Silent)
        .map_err(|e| e.to_string());
    let done = done.unwrap();
    assert_eq!(server.whole(REPOSITORY, "1"), Some(done.digest));
    let state = server.state();
    assert!(state.incomplete.is_empty());
    let manifests = state.log.iter().filter(|asked| asked.is("PUT", "/manifests/"));
    let types: Vec<_> = manifests.map(|asked| asked.headers["content-type"].as_str()).collect();
    assert_eq!(types, [media::OCI_MANIFEST, media::OCI_INDEX, media::OCI_INDEX]);
    assert_eq!(state.log.iter().filter(|asked| asked.is("GET", "/manifests/")).count(), 1);
}
