//! Every recipe on an image laid out as the official one of its software: recognised, what starts, as whom, what it
//! writes and serves.
//!
//! The layouts hold as little as the recipe looks at. Official scripts stand in: a recipe knows them by digest.

mod data;
mod gateways;
mod monitoring;
mod runtimes;
mod servers;

use std::collections::BTreeSet;

use kiln::recipe;

use crate::fixture::Fixture;

/// A name and the image for it.
type Layout = (&'static str, Fixture);

/// The official layout for each recipe, by the recipe's name.
fn layouts() -> Vec<Layout> {
    [data::layouts(), gateways::layouts(), monitoring::layouts(), runtimes::layouts(), servers::layouts()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn every_recipe_is_recognised_on_its_official_layout() {
    let layouts = layouts();
    for (name, fixture) in &layouts {
        let plan = fixture.plan();
        assert!(plan.recipes.iter().any(|recipe| recipe == name), "{name} not among {:?}", plan.recipes);
    }
    let tried: BTreeSet<&str> = layouts.iter().map(|(name, _)| *name).collect();
    let missing: Vec<&str> = recipe::builtin()
        .iter()
        .map(|recipe| recipe.name.as_str())
        .filter(|name| !tried.contains(name))
        .collect();
    assert!(missing.is_empty(), "no layout for {}", missing.join(", "));
}

/// Every text that a lowering is said to know is one that no other recipe takes for something else.
#[test]
fn no_script_is_known_to_two_recipes() {
    let mut known = std::collections::BTreeMap::new();
    for recipe in recipe::builtin() {
        for condition in recipe.lowerings.iter().flat_map(|lowering| &lowering.conditions) {
            if let recipe::Condition::Known { digests, .. } = condition {
                for digest in digests {
                    let other = known.insert(digest.to_string(), &recipe.name);
                    assert!(other.is_none_or(|other| *other == recipe.name), "{}: {digest}", recipe.name);
                }
            }
        }
    }
    assert!(!known.is_empty());
}
