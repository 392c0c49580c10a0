//! Whole runs over generated layouts on disk: the same image whatever the codec, the threads or the run.
//!
//! Uses the library as the command does; few cases, for each writes files.

use std::num::NonZeroUsize;
use std::path::Path;

use kiln::harden::{Hardened, Way, harden};
use kiln::image::Codec;
use kiln::options::{CacheSettings, Options};
use kiln::progress::Silent;
use kiln::registry::Registries;
use kiln::sink::Destinations;
use kiln::source::open_source;
use proptest::prelude::*;

use super::{cases, image};
use crate::layout::{tar_of, write};

fn run(lab: &Path, from: &str, to: &str, options: &Options, jobs: usize) -> Hardened {
    let name = |name: &str| format!("oci:{}:latest", lab.join(name).display()).parse().unwrap();
    let source = open_source(&name(from), &Registries::default()).unwrap();
    let destinations = Destinations::open(&[name(to)], &Registries::default()).unwrap();
    let options = Options { jobs: NonZeroUsize::new(jobs).unwrap(), ..options.clone() };
    harden(source.as_ref(), &options, destinations, &Silent).unwrap()
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn runs_threads_and_encodings_give_the_same_image(
        image in image::any(),
        codecs in prop::collection::vec(prop::sample::select(&[Codec::Gzip, Codec::Zstd, Codec::Plain][..]), 5),
        compression in prop::sample::select(&["gzip", "gzip:1", "zstd", "zstd:5"][..]),
    ) {
        let lab = tempfile::tempdir().unwrap();
        let fixture = image.fixture();
        let tars: Vec<Vec<u8>> = fixture.layers.iter().map(tar_of).collect();
        let with = |codecs: &[Codec]| codecs.iter().copied().zip(tars.iter().cloned()).collect::<Vec<_>>();
        write(&lab.path().join("mixed"), &with(&codecs), &fixture.config);
        write(&lab.path().join("plain"), &with(&[Codec::Plain; 5]), &fixture.config);
        let first = run(lab.path(), "mixed", "one", &fixture.options, 1);
        let second = run(lab.path(), "mixed", "two", &fixture.options, 5);
        // From the cause to the consequence, so that a failure says where it began.
        prop_assert_eq!(first.plan.digest(), second.plan.digest());
        let blobs = |hardened: &Hardened| hardened.layers.iter().map(|layer| (layer.diff_id, layer.digest)).collect::<Vec<_>>();
        prop_assert_eq!(blobs(&first), blobs(&second));
        prop_assert_eq!(first.digest, second.digest);
        let plain = run(lab.path(), "plain", "three", &fixture.options, 2);
        let diff_ids = |hardened: &Hardened| hardened.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>();
        prop_assert_eq!(diff_ids(&first), diff_ids(&plain));
        // What a run before kept changes nothing.
        let cache = CacheSettings { directory: Some(lab.path().join("cache")), ..CacheSettings::default() };
        let cached = Options { cache: Some(cache), ..fixture.options.clone() };
        for (name, way) in [("cold", None), ("warm", Some(Way::Cached))] {
            let with = run(lab.path(), "mixed", name, &cached, 2);
            prop_assert_eq!(first.digest, with.digest);
            let is_right = |found: &Way| way.is_none_or(|way| [way, Way::Untouched].contains(found));
            prop_assert!(with.ways.iter().all(is_right), "{:?}", with.ways);
        }
        // However layers are stored, they are the same.
        let other = Options { compression: compression.parse().unwrap(), ..fixture.options.clone() };
        let other = run(lab.path(), "mixed", "other", &other, 2);
        prop_assert_eq!(&diff_ids(&first)[..tars.len()], &diff_ids(&other)[..tars.len()]);
        // Without a level, what is stored so is edited as it is by default.
        if compression == "gzip" {
            let of_gzip = |hardened: &Hardened| {
                let layers = codecs.iter().zip(&hardened.layers).zip(&tars);
                layers.filter(|((codec, _), _)| **codec == Codec::Gzip).map(|((_, layer), _)| layer.digest).collect::<Vec<_>>()
            };
            prop_assert_eq!(of_gzip(&first), of_gzip(&other));
        }
        // Layers map one to one, and kiln's own is on top; one without a change keeps its blob.
        prop_assert_eq!(first.layers.len(), tars.len() + 1);
        for ((before, after), verdicts) in first.image.layers.iter().zip(&first.layers).zip(&first.plan.verdicts) {
            let same = kiln::layer::rewrite::is_unchanged(verdicts);
            prop_assert_eq!(same, before.digest == after.digest);
        }
        // What was written is a source again, and its layers are what they say they are.
        let again = run(lab.path(), "one", "four", &fixture.options, 3);
        // kiln's own layer aside: the manifest of the first hardening leaves it.
        for (before, after) in again.image.layers.iter().zip(&again.layers).take(tars.len()) {
            prop_assert_eq!(before.digest, after.digest);
        }
    }
}
