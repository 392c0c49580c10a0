//! An image that kiln already hardened, hardened again.

use kiln::finding::Code;
use kiln::harden::{HardenError, harden};
use kiln::options::Options;
use kiln::plan::Level;
use kiln::progress::Silent;
use kiln::registry::Registries;
use kiln::rootfs::dump::parse_layers;
use kiln::sink::Destinations;
use serde_json::json;

use super::Lab;
use crate::fixture::Fixture;
use crate::layout;

fn codes(hardened: &kiln::harden::Hardened) -> Vec<Code> {
    hardened.plan.findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_hardened_image_is_passed_on_with_the_same_digest() {
    let strip = Options { level: Level::Strip, keep: vec!["/usr/bin/ls".into()], ..Options::default() };
    for (hardened_with, asked) in [
        (Options::default(), Options::default()),
        (strip.clone(), strip.clone()),
        (strip, Options::default()),
    ] {
        let mut lab = Lab::new(hardened_with);
        lab.options = asked;
        let again = lab.harden("out", "again");
        let before = lab.open("out").image(None).unwrap();
        assert_eq!(Some(again.digest), before.manifest_digest);
        assert_eq!(codes(&again), [Code::AlreadyHardened]);
        let after = lab.open("again").image(None).unwrap();
        assert_eq!((after.manifest_digest, after.image_id), (before.manifest_digest, before.image_id));
        // What the pod is made from is what is in the image.
        let (_, report) = (&again.manifest, &again.plan);
        assert_eq!(again.manifest.paths.len(), report.writable.len());
        assert!(
            report.writable.iter().any(|path| path.path.to_string() == "/var/lib/www"),
            "a volume of the source"
        );
        assert_eq!((report.before, report.removed.len()), (report.after, 0));
        assert!(lab.compare("again", &[]).is_proved());
    }
}

#[test]
fn other_options_than_those_it_was_hardened_with_are_refused() {
    let mut lab = Lab::new(Options { keep: vec!["/usr/bin/ls".into()], ..Options::default() });
    lab.options = Options { user: Some("7:7".into()), ..Options::default() };
    let destinations =
        Destinations::open(&[lab.name("again").parse().unwrap()], &Registries::default()).unwrap();
    let Err(error) = harden(&*lab.open("out"), &lab.options, destinations, &Silent) else {
        panic!("was hardened")
    };
    let HardenError::HardenedOtherwise { recorded, found, .. } = &error else { panic!("{error}") };
    assert_eq!((recorded.as_str(), found.as_str()), ("--keep=/usr/bin/ls", "--user=7:7"));
    assert!(!lab.directory.path().join("again").exists());
}

#[test]
fn a_claim_that_does_not_hold_is_said_and_the_image_hardened_as_any() {
    let lab = Lab::new(Options::default());
    lab.edit(|image| image.add(0, "/usr/bin/bash f 4755 elf static"));
    let again = lab.harden("edited", "again");
    assert!(
        codes(&again).contains(&Code::HardenedClaimFalse) && !codes(&again).contains(&Code::AlreadyHardened)
    );
    let finding =
        again.plan.findings.iter().find(|finding| finding.code == Code::HardenedClaimFalse).unwrap();
    assert!(finding.message.contains("H1, H3 do not hold (/usr/bin/bash: a shell"), "{finding}");
    assert!(again.plan.removed.iter().any(|removed| removed.path.to_string() == "/usr/bin/bash"));
    assert!(lab.verify("again").is_unbroken());
}

#[test]
fn labels_alone_make_no_hardened_image() {
    let mut fixture = Fixture::new("/app f 0755 elf static\n/bin/sh f 0755 elf static").cmd(&["/app"]);
    let lab = Lab::new(Options::default());
    let labels = lab.open("out").image(None).unwrap().config.labels;
    fixture.config["config"]["Labels"] = json!(labels);
    let liar = Lab::of(&fixture, Options::default());
    let plain = liar.open("out").image(None).unwrap();
    assert_ne!(plain.config.labels["dev.kiln.plan.digest"], labels["dev.kiln.plan.digest"]);
    assert!(liar.verify("out").is_unbroken());
}

#[test]
fn what_is_built_on_a_hardened_image_is_hardened() {
    let lab = Lab::new(Options::default());
    lab.edit(|image| image.layers.push(layout::tar_of(&parse_layers("/srv/new f 0666 \"x\"")[0])));
    let again = lab.harden("edited", "again");
    assert!(codes(&again).contains(&Code::HardenedClaimFalse));
    assert!(lab.verify("again").is_unbroken());
}
