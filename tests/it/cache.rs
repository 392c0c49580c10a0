//! The cache: the same bytes with it and without it, whatever is in it; and what it may keep.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kiln::cache::{Cache, Usage};
use kiln::harden::{HardenError, Hardened, Way, harden};
use kiln::image::Codec;
use kiln::limits::{Limits, Size};
use kiln::options::{CacheSettings, Options, Refusal};
use kiln::path::ImagePath;
use kiln::plan::Level;
use kiln::progress::Silent;
use kiln::registry::Registries;
use kiln::sink::Destinations;
use kiln::source::open_source;

use crate::fixture::Fixture;
use crate::layout;
use crate::verify::SERVER;

/// A source with three layers, and a cache.
struct Lab {
    directory: tempfile::TempDir,
    options: Options,
}

impl Lab {
    fn new() -> Self {
        Self::starting(&["nginx", "-g", "daemon off;"])
    }

    fn starting(words: &[&str]) -> Self {
        let lab = Self { directory: tempfile::tempdir().unwrap(), options: Options::default() };
        let fixture = Fixture::new(&format!("{SERVER}\n--\n/srv/third f 0666 \"third\"\n")).cmd(words);
        let tars: Vec<_> = fixture.layers.iter().map(|layer| (Codec::Gzip, layout::tar_of(layer))).collect();
        layout::write(&lab.path("source"), &tars, &fixture.config);
        let cache = CacheSettings { directory: Some(lab.path("cache")), ..CacheSettings::default() };
        let options = Options { cache: Some(cache), ..Options::default() };
        Self { options, ..lab }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn try_harden(&self, from: &str, to: &str, options: &Options) -> Result<Hardened, HardenError> {
        let name = |name: &str| format!("oci:{}:latest", self.path(name).display()).parse().unwrap();
        let source = open_source(&name(from), &Registries::default()).unwrap();
        let destinations = Destinations::open(&[name(to)], &Registries::default()).unwrap();
        harden(source.as_ref(), options, destinations, &Silent)
    }

    fn harden(&self, to: &str) -> Hardened {
        self.try_harden("source", to, &self.options).unwrap()
    }

    fn without(&self, to: &str) -> Hardened {
        self.try_harden("source", to, &Options { cache: None, ..self.options.clone() }).unwrap()
    }

    fn usage(&self) -> Usage {
        Cache::usage(self.options.cache.as_ref().unwrap()).unwrap()
    }

    /// The files of the cache whose names begin so.
    fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_below(&self.path("cache"), &mut found);
        found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
        found.sort();
        found
    }
}

fn files_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// All bytes of an image's layout, by name, with modes; no file of it is one of another directory's too.
fn layout_of(directory: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut found = Vec::new();
    files_below(directory, &mut found);
    let name = |path: &Path| path.strip_prefix(directory).unwrap().display().to_string();
    let file = |path: &PathBuf| {
        let metadata = path.metadata().unwrap();
        assert_eq!(metadata.nlink(), 1, "{}", path.display());
        (name(path), metadata.mode(), fs::read(path).unwrap())
    };
    let mut files: Vec<_> = found.iter().map(file).collect();
    files.sort();
    files
}

fn all(hardened: &Hardened, way: Way) -> bool {
    // A layer in which nothing changes is never made.
    hardened.ways.iter().all(|found| [way, Way::Untouched].contains(found)) && hardened.ways.contains(&way)
}

#[test]
fn images_are_the_same_without_a_cache_with_an_empty_and_with_a_full_one() {
    let lab = Lab::new();
    let (none, cold, warm) = (lab.without("none"), lab.harden("cold"), lab.harden("warm"));
    assert!(all(&none, Way::Edited) && all(&cold, Way::Edited) && all(&warm, Way::Cached));
    assert!(none.plan == cold.plan && none.plan == warm.plan);
    let bytes = layout_of(&lab.path("none"));
    assert!(bytes == layout_of(&lab.path("cold")) && bytes == layout_of(&lab.path("warm")));
    let rewritten = none.ways.iter().filter(|way| **way == Way::Edited).count() as u64;
    let usage = lab.usage();
    assert_eq!((usage.indexes, usage.plans, usage.layers), (none.ways.len() as u64, 1, rewritten));
    let sizes = lab.files("").iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    let tag = lab.path("cache/CACHEDIR.TAG").metadata().unwrap().len();
    assert_eq!(usage.bytes, sizes - tag);
}

#[test]
fn what_was_decided_otherwise_is_made_anew() {
    let lab = Lab::new();
    lab.harden("cold");
    let options = Options { writable: vec![ImagePath::literal("/var/lib/www")], ..lab.options.clone() };
    let other = lab.try_harden("source", "other", &options).unwrap();
    let none = lab.try_harden("source", "none", &Options { cache: None, ..options }).unwrap();
    assert_eq!(other.digest, none.digest);
    for text in ["gzip:1", "gzip:9", "zstd", "zstd:9"] {
        let options = Options { compression: text.parse().unwrap(), ..lab.options.clone() };
        let other = lab.try_harden("source", &format!("as-{text}"), &options).unwrap();
        assert!(all(&other, Way::Compressed), "{text}");
        let none = Options { cache: None, ..options };
        let none = lab.try_harden("source", &format!("none-{text}"), &none).unwrap();
        assert_eq!(other.digest, none.digest, "{text}");
    }
}

#[test]
fn entries_that_are_not_what_they_say_are_made_anew() {
    for prefix in ["index-", "plan-", "layer-", ""] {
        let lab = Lab::new();
        let cold = lab.harden("cold");
        let mut broken = lab.files(prefix);
        broken.retain(|path| !prefix.is_empty() || path.parent().unwrap().ends_with("blobs"));
        assert!(!broken.is_empty());
        for (number, path) in broken.iter().enumerate() {
            let mut bytes = fs::read(path).unwrap();
            match number % 3 {
                0 => *bytes.last_mut().unwrap() ^= 1,
                1 => bytes.truncate(bytes.len() / 2),
                _ => bytes.clear(),
            }
            fs::write(path, bytes).unwrap();
        }
        let warm = lab.harden("warm");
        assert_eq!(warm.digest, cold.digest);
        assert!(layout_of(&lab.path("cold")) == layout_of(&lab.path("warm")), "{prefix}");
        let stays = ["index-", "plan-"].contains(&prefix);
        assert!(all(&warm, if stays { Way::Cached } else { Way::Edited }), "{prefix}");
        // And mended by that.
        assert!(all(&lab.harden("again"), Way::Cached), "{prefix}");
    }
}

#[test]
fn a_cache_whose_files_are_all_broken_is_mended_by_one_run() {
    let lab = Lab::new();
    let cold = lab.harden("cold");
    for path in lab.files("") {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(lab.harden("warm").digest, cold.digest);
    assert!(all(&lab.harden("again"), Way::Cached));
}

#[test]
fn a_stream_that_is_not_what_the_config_says_is_found_with_a_full_cache_too() {
    let lab = Lab::new();
    let cold = lab.harden("cold");
    // The same blobs under a config that names other streams.
    let index = fs::read_to_string(lab.path("source/index.json")).unwrap();
    let digest = |text: &str| text.split("sha256:").nth(1).unwrap()[..64].to_owned();
    let blob = |digest: &str| lab.path("source/blobs/sha256").join(digest);
    let manifest = fs::read_to_string(blob(&digest(&index))).unwrap();
    let config = fs::read_to_string(blob(&digest(&manifest))).unwrap();
    let diff_id = cold.image.layers[0].diff_id.to_string();
    let lie = config.replace(&diff_id, &format!("sha256:{}", "0".repeat(64)));
    assert_ne!(lie, config);
    let store = |text: &str| {
        let digest = kiln::digest::BlobDigest::of(text.as_bytes()).hex();
        fs::write(blob(&digest), text).unwrap();
        digest
    };
    let manifest = manifest.replace(&digest(&manifest), &store(&lie));
    fs::write(lab.path("source/index.json"), index.replace(&digest(&index), &store(&manifest))).unwrap();
    let refused = lab.try_harden("source", "lie", &lab.options).map(|hardened| hardened.digest);
    assert!(matches!(refused, Err(HardenError::Layer(_))), "{refused:?}");
}

#[test]
fn what_was_not_used_for_the_longest_time_goes_first() {
    let lab = Lab::new();
    lab.harden("cold");
    let usage = lab.usage();
    let layers = lab.files("layer-");
    // All of them are old, and one is used.
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(24);
    for path in lab.files("") {
        fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let used = &layers[0];
    fs::File::open(used).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    let settings = |limit| CacheSettings { limit, ..lab.options.cache.clone().unwrap() };
    assert_eq!(Cache::prune(&settings(usage.bytes)).unwrap(), usage);
    let left = Cache::prune(&settings(usage.bytes - 1)).unwrap();
    let entries = |usage: &Usage| usage.indexes + usage.plans + usage.layers;
    assert!(left.bytes < usage.bytes && entries(&left) == entries(&usage) - 1);
    // So long as there is one, it is the one that was used.
    let last = (0..usage.bytes).rev().step_by(7).map(|limit| Cache::prune(&settings(limit)).unwrap());
    let last = last.take_while(|left| left.layers > 0).last().unwrap();
    assert_eq!((last.indexes, last.plans, last.layers), (0, 0, 1));
    assert_eq!(lab.usage(), Usage::default());
    assert_eq!(lab.harden("again").digest, lab.without("none").digest);
    // Everything, and not a file of somebody else's.
    fs::write(lab.path("cache/v1/mine"), "mine").unwrap();
    assert_eq!(Cache::prune(&settings(0)).unwrap(), Usage::default());
    let mut left = lab.files("");
    left.retain(|path| !path.ends_with("CACHEDIR.TAG"));
    assert_eq!(left, [lab.path("cache/v1/mine")]);
}

#[test]
fn a_small_cache_stays_small() {
    let lab = Lab::new();
    let settings = CacheSettings { limit: 600, ..lab.options.cache.clone().unwrap() };
    let options = Options { cache: Some(settings), ..lab.options.clone() };
    let made = lab.try_harden("source", "out", &options).unwrap();
    assert_eq!(made.digest, lab.without("none").digest);
    assert!(lab.usage().bytes <= 600);
}

#[test]
fn many_at_once_share_one() {
    let lab = Lab::new();
    let expected = lab.without("none").digest;
    std::thread::scope(|scope| {
        for number in 0..8 {
            let lab = &lab;
            scope.spawn(move || {
                for round in 0..4 {
                    let jobs = NonZeroUsize::new(1 + number % 3).unwrap();
                    let options = Options { jobs, ..lab.options.clone() };
                    let name = format!("out-{number}-{round}");
                    let made = lab.try_harden("source", &name, &options).unwrap();
                    assert_eq!(made.digest, expected);
                    if number == 0 {
                        let settings = CacheSettings { limit: 0, ..lab.options.cache.clone().unwrap() };
                        Cache::prune(&settings).unwrap();
                    }
                }
            });
        }
    });
}

#[test]
fn a_directory_that_cannot_be_one_is_an_error_where_it_was_named() {
    let lab = Lab::new();
    fs::write(lab.path("cache"), "a file").unwrap();
    let refused = lab.try_harden("source", "out", &lab.options).map(|hardened| hardened.digest);
    let Err(HardenError::Cache(error)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().starts_with("cannot use the cache directory `"), "{error}");
    assert!(!lab.path("out").exists());
}

#[test]
fn a_size_that_the_manifest_lies_about_is_found_with_a_full_cache_too() {
    let lab = Lab::new();
    let layer = lab.harden("cold").image.layers.remove(0);
    let cache = Cache::open(lab.options.cache.as_ref()).unwrap();
    assert!(cache.index(&layer).is_some());
    assert!(cache.index(&kiln::image::LayerDescriptor { size: layer.size + 1, ..layer }).is_none());
}

#[test]
fn what_a_run_that_was_killed_left_is_cleared_up() {
    let lab = Lab::new();
    lab.harden("cold");
    let left = lab.path("cache/v1/blobs/.kiln-tmp-abc123");
    fs::write(&left, "half a layer").unwrap();
    Cache::prune(lab.options.cache.as_ref().unwrap()).unwrap();
    assert!(!left.exists());
}

#[test]
fn a_source_that_is_gone_but_for_its_documents_is_not_missed() {
    let lab = Lab::new();
    let cold = lab.harden("cold");
    let changed = cold.image.layers.iter().zip(&cold.ways).filter(|(_, way)| **way != Way::Untouched);
    for (layer, _) in changed {
        // Its first bytes tell how it is stored.
        let path = lab.path("source/blobs/sha256").join(layer.digest.hex());
        let bytes = fs::read(&path).unwrap();
        let mut other = bytes[..16].to_vec();
        other.resize(bytes.len(), 0);
        fs::write(&path, other).unwrap();
    }
    assert_eq!(lab.harden("warm").digest, cold.digest);
    assert!(lab.try_harden("source", "none", &Options { cache: None, ..lab.options.clone() }).is_err());
}

#[test]
fn a_plan_that_was_kept_needs_no_index() {
    let lab = Lab::new();
    let cold = lab.harden("cold");
    for path in lab.files("index-") {
        fs::remove_file(path).unwrap();
    }
    let warm = lab.harden("warm");
    assert!(all(&warm, Way::Cached) && warm.plan == cold.plan && warm.digest == cold.digest);
    assert_eq!(lab.usage().indexes, 0, "nothing was read");
    for path in lab.files("plan-") {
        fs::remove_file(path).unwrap();
    }
    assert!(lab.harden("again").plan == cold.plan);
    assert_eq!(lab.usage().indexes, 3);
}

#[test]
fn indexes_under_a_plan_that_is_used_are_used() {
    let lab = Lab::new();
    lab.harden("cold");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(24);
    for path in lab.files("") {
        fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    lab.harden("warm");
    let of_now =
        |prefix| lab.files(prefix).iter().all(|path| path.metadata().unwrap().modified().unwrap() > long_ago);
    assert!(of_now("index-") && of_now("plan-") && of_now("layer-"));
}

#[test]
fn options_that_are_others_are_asked_anew() {
    let lab = Lab::new();
    lab.harden("cold");
    let own = &lab.options;
    let others = [
        Options { level: Level::Strip, ..own.clone() },
        Options { keep: vec!["/usr/bin/ls".into()], ..own.clone() },
        Options { strip: vec!["/srv/*".into()], ..own.clone() },
        Options { user: Some("1000".into()), ..own.clone() },
        Options { writable: vec![ImagePath::literal("/srv")], ..own.clone() },
    ];
    for (number, options) in others.into_iter().enumerate() {
        let warm = lab.try_harden("source", &format!("warm-{number}"), &options).unwrap();
        let none = Options { cache: None, ..options };
        let none = lab.try_harden("source", &format!("none-{number}"), &none).unwrap();
        assert!(warm.plan == none.plan && warm.digest == none.digest, "{number}");
        assert_eq!(lab.usage().plans, number as u64 + 2);
    }
}

#[test]
fn what_is_refused_is_refused_with_a_plan_too() {
    let lab = Lab::starting(&["/srv/nothing"]);
    lab.harden("cold");
    let small = |limits| Options { limits, ..lab.options.clone() };
    let limits = [
        Limits { entries: 3, ..Limits::default() },
        Limits { size: Size::AtMost(600), ..Limits::default() },
        Limits { size: Size::AtMost(6000), ..Limits::default() },
    ];
    for limits in limits {
        let refused = lab.try_harden("source", "out", &small(limits)).map(|hardened| hardened.digest);
        let Err(HardenError::Limit(_) | HardenError::Index { .. }) = refused else { panic!("{refused:?}") };
    }
    let strict = Options { refusal: Refusal::High, ..lab.options.clone() };
    let refused = lab.try_harden("source", "out", &strict).map(|hardened| hardened.digest);
    assert!(matches!(refused, Err(HardenError::Refused(_))), "{refused:?}");
    assert!(!lab.path("out").exists());
    assert_eq!(lab.usage().plans, 1);
}

#[test]
fn what_an_image_says_of_its_own_hardening_is_asked_of_its_files() {
    let lab = Lab::new();
    let cold = lab.harden("cold");
    for round in ["once", "twice"] {
        let again = lab.try_harden("cold", round, &lab.options).unwrap();
        assert!(again.is_passed_on() && again.digest == cold.digest);
    }
    assert_eq!(lab.usage().plans, 1);
}

#[test]
fn a_user_sees_how_large_it_is_and_empties_it() {
    let lab = Lab::new();
    let kiln = |arguments: &[&str]| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
        let output = command.args(arguments).env("XDG_CACHE_HOME", lab.path("xdg")).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let empty = "0 B: 0 indexes of layers, 0 plans, 0 layers written again\n".to_owned();
    assert_eq!(kiln(&["cache", "size"]), (0, empty.clone(), String::new()));
    let source = format!("oci:{}", lab.path("source").display());
    let harden = |to: &str, more: &[&str]| {
        let to = format!("oci:{}:1", lab.path(to).display());
        let (status, _, told) = kiln(&[&["harden", &source, "-o", &to, "--verbose"], more].concat());
        assert_eq!(status, 0, "{told}");
        told.lines().find_map(|line| line.strip_prefix("note: layers: ")).unwrap().to_owned()
    };
    let none = harden("none", &["--no-cache"]);
    assert!(none.contains(" 0 from the cache, "), "{none}");
    assert_eq!(kiln(&["cache", "size"]).1, empty);
    assert!(harden("cold", &[]).contains(" 0 from the cache, "));
    let warm = harden("warm", &[]);
    assert!(warm.contains(" 0 edited as compressed, 0 compressed anew; SHA-256 "), "{warm}");
    let size = kiln(&["cache", "size"]).1;
    assert!(size.contains(": 3 indexes of layers, 1 plan, "), "{size}");
    // One that is named is used, and the user's own is not.
    let own = lab.path("own").display().to_string();
    assert!(harden("named", &["--cache-dir", &own]).contains(" 0 from the cache, "));
    assert_eq!(kiln(&["cache", "size", "--cache-dir", &own]).1, size);
    assert_eq!(kiln(&["cache", "prune", "--keep", "1G"]).1, size);
    assert_eq!(kiln(&["cache", "prune"]), (0, empty, String::new()));
    assert_eq!(kiln(&["cache", "size", "--cache-dir", &own]).1, size);
    let (status, _, told) =
        kiln(&["harden", &source, "-o", "oci:/nowhere", "--no-cache", "--cache-dir", &own]);
    assert!(status == 2 && told.contains("cannot be used with"), "{told}");
    let file = lab.path("xdg/kiln/CACHEDIR.TAG").display().to_string();
    let out = format!("oci:{}:1", lab.path("refused").display());
    let (status, _, told) = kiln(&["harden", &source, "-o", &out, "--cache-dir", &file]);
    assert!(status == 3 && told.starts_with("error: cannot use the cache directory `"), "{told}");
}
