//! Texts, what they should say, and what they are then.

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

/// The text after `change` of its first document.
fn changed(text: &str, change: impl Fn(&mut Value)) -> String {
    let documents = document::read(text).unwrap();
    let mut wanted: Vec<Option<Value>> = documents.iter().map(|_| None).collect();
    let mut value = documents[0].root.value();
    change(&mut value);
    wanted[0] = Some(value);
    edit(text, &wanted).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn check(text: &str, change: impl Fn(&mut Value), expect: &Expect) {
    expect.assert_eq(&changed(text, change));
}

#[test]
fn fields_come_behind_those_that_are_there_and_comments_stay() {
    check(
        "# head\nspec:  # the spec\n  a: 1   # one\n  # below\n\n# end\nother: x\n",
        |value| {
            value["spec"]["b"] = json!({"c": [1, {"d": "yes", "e": {}}], "f": "a: b"});
            value["spec"]["a"] = json!(2);
        },
        &expect![[r#"
            # head
            spec:  # the spec
              a: 2   # one
              b:
                c:
                - 1
                - d: "yes"
                  e: {}
                f: "a: b"
              # below

            # end
            other: x
        "#]],
    );
}

#[test]
fn lists_keep_the_items_that_stay_and_their_order() {
    check(
        "list:\n  - name: a # first\n    x: 1\n\n  - name: b\n  # c is old\n  - name: c\nnext: 1\n",
        |value| {
            value["list"] = json!([{"name": "new"}, {"name": "a", "x": 2}, {"name": "mid", "w": [1]}, {"name": "c"}, {"name": "z"}]);
        },
        &expect![[r"
            list:
              - name: new
              - name: a # first
                x: 2
              - name: mid
                w:
                  - 1

              # c is old
              - name: c
              - name: z
            next: 1
        "]],
    );
}

#[test]
fn fields_go_with_their_lines_and_the_dash_stays() {
    check(
        "a:\n- x: 1 # gone\n  y: 2\n  z: |\n    text\n    more\n  # kept\n  w: 3\n",
        |value| {
            let item = value["a"][0].as_object_mut().unwrap();
            item.remove("x");
            item.remove("z");
        },
        &expect![[r"
            a:
            - y: 2
              # kept
              w: 3
        "]],
    );
}

#[test]
fn empty_values_are_filled_where_they_stand() {
    check(
        "a: {}  # why\nb:\nc: # null\nd: []\ne: ''\n",
        |value| {
            *value = json!({"a": {"x": 1}, "b": {"w": [1]}, "c": {"z": 1}, "d": ["q"], "e": "t"});
        },
        &expect![[r"
            a:  # why
              x: 1
            b:
              w:
              - 1
            c: # null
              z: 1
            d:
            - q
            e: t
        "]],
    );
}

#[test]
fn brackets_and_json_keep_their_style() {
    check(
        "a: {x: 1, y: [1, 2], z: {}}\n",
        |value| *value = json!({"a": {"y": [2, 3], "z": {"q": "on"}, "k": {"m": [1]}}}),
        &expect![[r#"
            a: {y: [2, 3], z: {q: "on"}, k: {m: [1]}}
        "#]],
    );
    check(
        "{\n    \"a\": {\n        \"x\": true\n    },\n    \"l\": [\n        {\n            \"name\": \"a\"\n        }\n    ]\n}\n",
        |value| {
            value["a"]["y"] = json!({"z": ["w"]});
            value["l"] = json!([{"name": "0"}, {"name": "a", "b": {}}, {"name": "c"}]);
            value["n"] = json!(1);
        },
        &expect![[r#"
            {
                "a": {
                    "x": true,
                    "y": {
                        "z": [
                            "w"
                        ]
                    }
                },
                "l": [
                    {
                        "name": "0"
                    },
                    {
                        "name": "a",
                        "b": {}
                    },
                    {
                        "name": "c"
                    }
                ],
                "n": 1
            }
        "#]],
    );
    check(
        "{\"a\":{\"x\":1},\"b\":[]}",
        |value| *value = json!({"a": {"x": 1, "y": "s"}, "b": [1]}),
        &expect![[r#"{"a":{"x":1,"y":"s"},"b":[1]}"#]],
    );
}

#[test]
fn aliases_and_merges_are_extended_and_their_anchors_stay() {
    check(
        "base: &base\n  a: 1\none: *base\ntwo:\n  <<: *base\nlist:\n- *base\nflow: {x: *base}\n",
        |value| {
            for of in ["one", "two"] {
                value[of]["b"] = json!(2);
            }
            value["list"][0]["c"] = json!({"d": 1});
            value["flow"]["x"]["a"] = json!(7);
        },
        &expect![[r"
            base: &base
              a: 1
            one:
              <<: *base
              b: 2
            two:
              <<: *base
              b: 2
            list:
            - <<: *base
              c:
                d: 1
            flow: {x: {<<: *base, a: 7}}
        "]],
    );
    // Its other user says what it said.
    check(
        "one: &x\n  a: 1\ntwo: *x\n",
        |value| value["one"]["a"] = json!(2),
        &expect![[r"
            one: &x
              a: 2
            two:
              <<: *x
              a: 1
        "]],
    );
    // Both change alike: the alias is enough.
    check(
        "one: &x\n  a: 1\ntwo: *x\n",
        |value| {
            value["one"]["a"] = json!(2);
            value["two"]["a"] = json!(2);
        },
        &expect![[r"
            one: &x
              a: 2
            two:
              <<: *x
              a: 2
        "]],
    );
}

#[test]
fn line_ends_stay_what_they_are() {
    let text = "a:\r\n  b: 1\r\n# x\r\nc: |\r\n  text\r\n";
    assert_eq!(
        changed(text, |value| value["a"]["d"] = json!([1])),
        "a:\r\n  b: 1\r\n  d:\r\n  - 1\r\n# x\r\nc: |\r\n  text\r\n"
    );
    assert_eq!(changed("a:\n  b: 1", |value| value["a"]["c"] = json!(2)), "a:\n  b: 1\n  c: 2");
    assert_eq!(changed("a: |+\n  x\n\n\nb: 1\n", |value| value["b"] = json!(2)), "a: |+\n  x\n\n\nb: 2\n");
    assert_eq!(
        changed("s:\n  a: |+\n    x\n\n\nb: 1\n", |value| value["s"]["c"] = json!(2)),
        "s:\n  a: |+\n    x\n\n\n  c: 2\nb: 1\n"
    );
    assert_eq!(
        changed("s:\n  a: >-\n    x\n    y\n\n\nb: 1\n", |value| value["s"]["c"] = json!(2)),
        "s:\n  a: >-\n    x\n    y\n  c: 2\n\n\nb: 1\n"
    );
}

#[test]
fn other_documents_are_not_touched() {
    let text = "---\n# one\na: 1\n---\n---\n{b: 1}\n...\n";
    let wanted = [None, None, Some(json!({"b": 2}))];
    assert_eq!(edit(text, &wanted).unwrap(), "---\n# one\na: 1\n---\n---\n{b: 2}\n...\n");
}

fn values() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-5_i64..5).prop_map(Value::from),
        "[a-c:#'\" -]{0,4}".prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]|name", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest::proptest! {
    #[test]
    fn text_says_what_was_wanted_whatever_it_said(before in values(), after in values(), is_json: bool) {
        let before = json!({"root": before});
        let after = json!({"root": after});
        let text = if is_json {
            format!("{before:#}\n")
        } else {
            serde_saphyr::to_string(&before).unwrap()
        };
        let text = edit(&text, &[Some(after.clone())]).unwrap_or_else(|error| panic!("{error}\n{text}\n{after}"));
        proptest::prop_assert_eq!(document::read(&text).unwrap()[0].root.value(), after);
    }
}

#[test]
fn mount_that_moves_keeps_its_text() {
    check(
        "m:\n- {name: a, mountPath: /x} # one\n- name: b\n  mountPath: /var/run # two\n- {name: c, mountPath: /y}\n",
        |value| value["m"] = json!([{"name": "a", "mountPath": "/x"}, {"name": "b", "mountPath": "/run"}]),
        &expect![[r"
            m:
            - {name: a, mountPath: /x} # one
            - name: b
              mountPath: /run # two
        "]],
    );
}
