//! Variables that scripts read at each start, and nobody reads any more once they are lowered.
//!
//! Reads text by custom; runs nothing.

use std::collections::BTreeSet;

use super::words::OWN;
use crate::plan::entrypoint::Frozen;
use crate::plan::known::Known;
use crate::plan::{Role, Step};

/// The scripts of a chain, each with the variables that it reads.
pub fn frozen(known: &Known<'_>, chain: &[Step]) -> Vec<Frozen> {
    let scripts = chain.iter().filter(|step| step.role == Role::Script);
    scripts
        .map(|step| {
            let bytes = known.rootfs.bytes(&step.file).unwrap_or_default();
            let mut variables = variables(&String::from_utf8_lossy(&bytes));
            variables.retain(|name| !known.config.env.iter().any(|(own, _)| own == name));
            Frozen { script: step.path.clone(), variables }
        })
        .collect()
}

/// Variables that a script reads and does not set, by the custom of writing those of the environment in capitals.
fn variables(script: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let lines = || script.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    let mut out = BTreeSet::new();
    for line in lines() {
        for (at, _) in line.match_indices('$') {
            let rest = line.get(at + 1..).unwrap_or_default();
            let rest = rest.strip_prefix('{').unwrap_or(rest);
            let name: String = rest.chars().take_while(|&c| is_name(c)).collect();
            let is_variable = name.len() > 1 && name.starts_with(|c: char| c.is_ascii_uppercase());
            if is_variable && !OWN.contains(&name.as_str()) && !["PATH", "HOME"].contains(&name.as_str()) {
                out.insert(name);
            }
        }
    }
    // `A=x` sets it; `A=${A:-x}` still reads it.
    let is_set = |name: &String| {
        let value = |line: &str| {
            line.trim_start_matches("export ")
                .strip_prefix(name.as_str())?
                .strip_prefix('=')
                .map(str::to_owned)
        };
        lines()
            .filter_map(value)
            .any(|value| !value.contains(&format!("${name}")) && !value.contains(&format!("${{{name}")))
    };
    out.into_iter().filter(|name| !is_set(name)).collect()
}
