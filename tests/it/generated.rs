//! Properties of images that nobody would write: what holds for every image, on indexes and on real bytes.
//!
//! Shrinks to a small image when it fails; `generated::image` prints one in the fixtures' language.

mod bytes;
mod image;
mod oracle;
mod whole;

use kiln::plan::{Level, Reason, Verdict};
use kiln::rootfs::{Rootfs, dump};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;

use crate::fixture::{Fixture, rewritten};

fn cases(usual: u32) -> ProptestConfig {
    // A fixed seed: the same images everywhere. `PROPTEST_CASES` looks at more, another seed here at others.
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => usual,
    };
    let rng_seed = RngSeed::Fixed(20_261_122);
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(400))]

    /// `Fixture::plan` checks names, content, hard links, modes, needs and sums of every plan (`sound`).
    #[test]
    fn plans_are_sound(image in image::any()) {
        image.fixture().plan();
    }

    #[test]
    fn hardening_what_is_hardened_changes_nothing(image in image::any()) {
        let first = image.fixture();
        let plan = first.plan();
        // Owners and modes of what is seeded stand in its table only. An image that kiln hardened is passed on.
        prop_assume!(!plan.writable.iter().any(|declared| declared.seeded));
        let second = hardened(&first, &plan);
        let again = second.plan();
        let seen = dump::render(&Rootfs::merge(second.layers.clone()).unwrap());
        // Catalogued programs that a recipe or script named may be named no more; nothing else may change.
        prop_assert!(again.removed.is_empty(), "{:?} of\n{seen}", again.removed);
        for (layer, verdicts) in second.layers.iter().zip(&again.verdicts) {
            for (entry, verdict) in layer.entries.iter().zip(verdicts) {
                prop_assert_eq!(verdict, &Verdict::unchanged(), "{} of\n{}", &entry.path, &seen);
            }
        }
        prop_assert!(again.additions.is_empty(), "{:?}", again.additions);
    }

    #[test]
    fn level_strip_takes_nothing_but_tools_and_what_leads_to_them(image in image::any()) {
        let mut fixture = image.fixture();
        fixture.options.level = Level::Strip;
        for removed in fixture.plan().removed {
            let expected = matches!(
                removed.reason,
                Reason::Catalogued { .. }
                    | Reason::Requested { .. }
                    | Reason::LinkToStripped { .. }
                    | Reason::ScriptOfStripped { .. }
                    // Hidden links: what they name may go.
                    | Reason::Shadowed
            );
            prop_assert!(expected, "{removed:?}");
        }
    }

    #[test]
    fn order_of_options_does_not_matter(image in image::any()) {
        let one = image.fixture();
        let mut other = image.fixture();
        other.options.keep.reverse();
        other.options.strip.reverse();
        prop_assert_eq!(one.plan().digest(), other.plan().digest());
    }
}

/// The finished image as a source, with the config that it gets.
fn hardened(first: &Fixture, plan: &kiln::plan::Plan) -> Fixture {
    let mut config = first.config.clone();
    config["config"]["User"] = json!(format!("{}:{}", plan.user.uid, plan.user.gid));
    config["config"]["Entrypoint"] = json!(plan.entrypoint.argv);
    config["config"]["Cmd"] = json!([]);
    let mut layers = rewritten(&first.layers, plan);
    // What stays writable is empty in both.
    layers.retain(|layer| !layer.entries.is_empty());
    Fixture { layers, config, options: first.options.clone(), stand_ins: Vec::new() }
}
