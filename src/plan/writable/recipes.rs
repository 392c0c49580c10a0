//! What matched recipes say whatever the configuration says: written paths and redirecting environment.
//!
//! Directives are read in `directives`, ports united in `ports`.

use super::candidate::evidence;
use super::{Candidate, Inputs};
use crate::evidence::{Confidence, EvidenceKind};
use crate::finding::{Code, Finding};
use crate::path::ImagePath;
use crate::recipe::EnvRule;

/// Candidates of the recipes' `writable` rules whose layout the image has.
pub(super) fn candidates(inputs: &Inputs<'_>, unused: &mut Vec<String>) -> Vec<Candidate> {
    let mut out = Vec::new();
    for recipe in inputs.recipes {
        for rule in &recipe.writable {
            if let Some(needed) = rule.if_exists.as_ref().filter(|needed| !exists(inputs, needed)) {
                unused.push(format!("{}: writable `{}`: no `{needed}`", recipe.name, rule.path));
                continue;
            }
            let why = evidence(EvidenceKind::Recipe, format!("recipe {}", recipe.name), &rule.why);
            out.push(Candidate {
                size_mib: rule.size_mib,
                ..Candidate::directory(rule.path.clone(), Confidence::Likely, why).purpose(rule.purpose)
            });
        }
    }
    out
}

/// Whether the image has `needed`; a `*` in its last name stands for anything.
fn exists(inputs: &Inputs<'_>, needed: &ImagePath) -> bool {
    let star = needed.name().iter().position(|&byte| byte == b'*');
    let Some((begin, end)) =
        star.and_then(|at| Some((needed.name().get(..at)?, needed.name().get(at + 1..)?)))
    else {
        return inputs.rootfs.resolve(needed).is_some();
    };
    let directory = needed.parent().and_then(|parent| inputs.rootfs.resolve(&parent));
    directory.is_some_and(|directory| {
        inputs
            .rootfs
            .children(&directory.path)
            .any(|(path, _)| path.name().strip_prefix(begin).is_some_and(|rest| rest.ends_with(end)))
    })
}

/// Variables that the recipes set and the image does not, by name; of two recipes the first counts.
pub(super) fn environment(inputs: &Inputs<'_>, findings: &mut Vec<Finding>) -> Vec<EnvRule> {
    let mut out: Vec<EnvRule> = Vec::new();
    for rule in inputs.recipes.iter().flat_map(|recipe| &recipe.env) {
        let known = inputs.env.iter().any(|(name, _)| *name == rule.name)
            || out.iter().any(|other| other.name == rule.name);
        if known {
            continue;
        }
        findings.push(Finding::new(
            Code::EnvRedirect,
            &rule.name,
            format!("the pod sets it to `{}`: {}", rule.value, rule.why),
        ));
        out.push(rule.clone());
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out
}
