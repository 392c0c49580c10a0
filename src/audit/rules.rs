//! Every rule, in the order of its id.
//!
//! A list only; each rule stands in the file of its concept.

mod compatibility;
mod filesystem;
mod identity;
mod ignores;
mod mounts;
pub(super) mod operations;
mod privilege;
mod resources;
mod secrets;
mod shadow;
mod supply;
mod who;

pub use filesystem::CONTAINER_ONLY;
pub(super) use ignores::{IG001, IG002, IG003};
pub use mounts::usual;

use super::rule::{Found, Rule};
use super::subject::Subject;
pub use crate::kube::pss::APP_ARMOR_ANNOTATION as APP_ARMOR;

/// Every rule.
pub const RULES: [&Rule; 78] = [
    &filesystem::FS001,
    &mounts::FS002,
    &mounts::FS003,
    &shadow::FS004,
    &shadow::FS005,
    &shadow::FS006,
    &filesystem::FS007,
    &resources::FS008,
    &resources::FS009,
    &filesystem::FS010,
    &mounts::FS011,
    &mounts::FS012,
    &shadow::FS013,
    &filesystem::FS014,
    &filesystem::FS015,
    &mounts::FS016,
    &filesystem::FS017,
    &filesystem::FS018,
    &mounts::FS019,
    &mounts::FS020,
    &filesystem::FS021,
    &compatibility::FS022,
    &compatibility::FS023,
    &compatibility::FS024,
    &mounts::FS025,
    &identity::ID001,
    &identity::ID002,
    &identity::ID003,
    &identity::ID004,
    &identity::ID005,
    &identity::ID006,
    &identity::ID007,
    &identity::ID008,
    &identity::ID009,
    &privilege::PR001,
    &privilege::PR002,
    &privilege::PR003,
    &privilege::PR004,
    &privilege::PR005,
    &privilege::PR006,
    &privilege::PR007,
    &privilege::PR008,
    &privilege::PR009,
    &privilege::PR010,
    &privilege::PR011,
    &privilege::PR012,
    &privilege::PR013,
    &privilege::PR014,
    &privilege::PR015,
    &privilege::PR016,
    &privilege::PR017,
    &privilege::PR018,
    &supply::SC001,
    &supply::SC002,
    &supply::SC003,
    &secrets::SC004,
    &secrets::SC005,
    &supply::SC006,
    &supply::SC007,
    &supply::SC008,
    &supply::SC009,
    &supply::SC010,
    &compatibility::CF001,
    &compatibility::CF002,
    &compatibility::CF003,
    &compatibility::CF004,
    &compatibility::CF005,
    &compatibility::CF006,
    &resources::RS001,
    &resources::RS002,
    &operations::OP001,
    &operations::OP002,
    &operations::OP003,
    &operations::OP004,
    &operations::OP005,
    &IG001,
    &IG002,
    &IG003,
];

/// The rule of that id, letter case aside.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.into_iter().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

/// A finding for every field that breaks one of `controls` of the Pod Security Standards.
fn violated(subject: &Subject<'_>, found: &mut Found, controls: &[&str], message: &str) {
    for violation in subject.violations.iter().filter(|violation| controls.contains(&violation.control)) {
        for field in &violation.fields {
            let within = |container: &&super::subject::Container<'_>| {
                field.strip_prefix(&container.at).is_some_and(|rest| rest.starts_with('.'))
            };
            match subject.containers.iter().find(within) {
                Some(container) => found.container(subject, container, field.clone(), message),
                None => found.pod(field.clone(), message),
            }
        }
    }
}
