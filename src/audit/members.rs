//! The resources in a text: its documents, and the members of lists, also of lists within lists.
//!
//! Knows how lists say what their members are; what a resource is stands elsewhere.

use serde_json::Value;

use crate::kube::document::{Kind, Node, Part};

/// Hands out resources while a text is read.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Members of which it is not said yet what they are: the list may say so behind them.
    held: Vec<Node>,
}

impl Members {
    /// Calls `act` with every resource in `part`: what it says, and where it stands.
    pub(super) fn of(&mut self, part: Part, act: &mut dyn FnMut(Value, Node)) {
        let Part { before, root, .. } = part;
        match before {
            Some(before) if before.get("kind").is_none() && root.field("kind").is_none() => {
                self.held.push(root);
            }
            Some(before) => each(root, &before, act),
            None => {
                let list = if is_list(&root) { root.value_without("items") } else { Value::Null };
                for held in self.held.drain(..) {
                    each(held, &list, act);
                }
                each(root, &Value::Null, act);
            }
        }
    }
}

/// Calls `act` with the resource that `node` is, or with its members if it is a list, in a list that says `list`.
fn each(mut node: Node, list: &Value, act: &mut dyn FnMut(Value, Node)) {
    if is_list(&node) {
        let own = node.value_without("items");
        return node.take_items("items").into_iter().for_each(|item| each(item, &own, act));
    }
    // No rule asks what a cluster says of it.
    let mut value = node.take_without("status");
    complete(&mut value, list);
    act(value, node);
}

/// Whether `node` is a list of resources, and none itself.
fn is_list(node: &Node) -> bool {
    let kind = node.field("kind").and_then(|kind| match &kind.value.kind {
        Kind::Scalar(Value::String(kind)) => Some(kind),
        _ => None,
    });
    let has_items = node
        .field("items")
        .is_some_and(|items| matches!(items.value.kind, Kind::List(_) | Kind::Scalar(Value::Null)));
    has_items && kind.is_some_and(|kind| kind.ends_with("List"))
}

/// Gives `value` the version and the kind that its list has in its place: the members of a `PodList` say neither.
fn complete(value: &mut Value, list: &Value) {
    let text = |name: &str| list.get(name).and_then(Value::as_str);
    let kind = text("kind").and_then(|kind| kind.strip_suffix("List")).filter(|kind| !kind.is_empty());
    let (Some(fields), Some(version), Some(kind)) = (value.as_object_mut(), text("apiVersion"), kind) else {
        return;
    };
    for (name, says) in [("apiVersion", version), ("kind", kind)] {
        fields.entry(name).or_insert_with(|| says.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kube::document::Stream;

    fn resources(text: &str) -> Vec<Value> {
        let (mut members, mut found) = (Members::default(), Vec::new());
        for part in Stream::new(text) {
            members.of(part.unwrap(), &mut |value, _| found.push(value));
        }
        found
    }

    #[test]
    fn members_have_the_kind_of_their_list_wherever_it_says_so() {
        let pod = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}});
        let raw = |name: &str| json!({"metadata": {"name": name}, "status": {"phase": "Running"}});
        let front = format!(
            "{{\"kind\": \"PodList\", \"apiVersion\": \"v1\", \"items\": [{}, {}]}}",
            raw("a"),
            raw("b")
        );
        assert_eq!(resources(&front), [pod("a"), pod("b")]);
        let behind = format!("items:\n- {}\n- {}\nkind: PodList\napiVersion: v1\n", raw("a"), pod("b"));
        assert_eq!(resources(&behind), [pod("b"), pod("a")]);
        let anchored = format!("kind: PodList\napiVersion: v1\nitems: &all\n- {}\n", raw("a"));
        assert_eq!(resources(&anchored), [pod("a")]);
        // A `List` says nothing of its members, nor does what is none.
        assert_eq!(
            resources("{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [{\"a\": 1}]}"),
            [json!({"a": 1})]
        );
        assert_eq!(
            resources("items: [{a: 1}]\nkind: Menu\n"),
            [json!({"a": 1}), json!({"items": [], "kind": "Menu"})]
        );
    }

    #[test]
    fn members_of_lists_within_lists_are_handed_out() {
        let inner = json!({"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}}]});
        let middle = json!({"apiVersion": "v1", "kind": "List", "items": [inner, {"kind": "X"}]});
        let outer = json!({"apiVersion": "v1", "kind": "List", "items": [middle]});
        assert_eq!(
            resources(&outer.to_string()),
            [json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}), json!({"kind": "X"})]
        );
        assert!(resources("kind: PodList\napiVersion: v1\nitems: null\n").is_empty());
    }
}
