//! Which members of a list become which members of another.
//!
//! Compares values only, and knows no text.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::kube::document::Node;

/// What a member of a list is known by, as JSON.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// By the fields that Kubernetes merges such lists by.
    Name(String),
    /// By all that it says.
    Whole(String),
}

impl Key {
    fn of(value: &Value) -> Self {
        match identity(value) {
            Some(name) => Self::Name(Value::from(name).to_string()),
            None => Self::Whole(value.to_string()),
        }
    }

    fn is_name(&self) -> bool {
        matches!(self, Self::Name(_))
    }
}

/// Which items become which values, in order: those of one name are the same, then those that say the same, then of what is left
/// between them, and has no name, one for one.
pub(super) fn pairs(items: &[Node], values: &[Value]) -> Vec<(usize, usize)> {
    let items: Vec<Value> = items.iter().map(Node::value).collect();
    let old_keys: Vec<Key> = items.iter().map(Key::of).collect();
    let new_keys: Vec<Key> = values.iter().map(Key::of).collect();
    // A list of resources has thousands: each is looked up, not searched for.
    let mut places: BTreeMap<&Key, VecDeque<usize>> = BTreeMap::new();
    for (old, key) in old_keys.iter().enumerate() {
        places.entry(key).or_default().push_back(old);
    }
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let mut from = 0;
    for (new, key) in new_keys.iter().enumerate() {
        let Some(olds) = places.get_mut(key) else { continue };
        while olds.front().is_some_and(|old| *old < from) {
            olds.pop_front();
        }
        if let Some(old) = olds.pop_front() {
            pairs.push((old, new));
            from = old + 1;
        }
    }
    let ends = pairs.clone().into_iter().chain([(items.len(), values.len())]);
    let (mut old, mut new) = (0, 0);
    for (next_old, next_new) in ends {
        // A mount of the same volume, at another place.
        let renamed = (new..next_new).filter_map(|new| {
            let wanted = values.get(new)?.get("name")?;
            let own = |old: &usize| items.get(*old).and_then(|item| item.get("name")) == Some(wanted);
            Some(((old..next_old).find(own)?, new))
        });
        let mut renamed: Vec<(usize, usize)> = renamed.collect();
        renamed.dedup_by_key(|(old, _)| *old);
        if renamed.is_sorted() {
            pairs.extend(renamed);
        }
        let is_nameless = |keys: &[Key], at: &usize| keys.get(*at).is_some_and(|key| !key.is_name());
        let olds = (old..next_old).filter(|old| is_nameless(&old_keys, old));
        let news = (new..next_new).filter(|new| is_nameless(&new_keys, new));
        pairs.extend(olds.zip(news));
        (old, new) = (next_old + 1, next_new + 1);
    }
    pairs.sort_unstable();
    pairs
}

/// What a member of a list is known by in Kubernetes: the first of the fields that lists are merged by; a resource by its name.
fn identity(value: &Value) -> Option<Vec<Value>> {
    let fields = value.as_object()?;
    let keys: &[&str] = if fields.contains_key("mountPath") {
        // Two mounts of one volume lie at different places.
        &["/mountPath", "/name"]
    } else if fields.contains_key("containerPort") {
        &["/containerPort", "/protocol"]
    } else if fields.contains_key("kind") {
        &["/metadata/name", "/metadata/namespace", "/kind", "/apiVersion"]
    } else {
        &["/name"]
    };
    value.pointer(keys.first()?)?;
    Some(keys.iter().map(|key| value.pointer(key).cloned().unwrap_or_default()).collect())
}
