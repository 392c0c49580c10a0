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
            two: *x
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

#[test]
fn list_that_is_filled_anew_has_its_items_where_they_belong() {
    check(
        "c:\n- name: a\n  mounts:\n  # logs\n  - {name: p, at: /log} # why\n  # more\n  - name: q\n    at: /q\n  # end\n",
        |value| {
            value["c"][0]["mounts"] = json!([{"name": "t", "at": "/tmp"}]);
            value["c"][0]["tty"] = json!(true);
        },
        &expect![[r"
            c:
            - name: a
              mounts:
              # logs
              - at: /tmp
                name: t # why
              # more
              tty: true
              # end
        "]],
    );
    check(
        "c:\n- name: a\n  mounts:\n  - name: p\n    at: /log\nd: 1\n",
        |value| {
            value["c"][0]["mounts"] = json!([{"name": "t", "at": "/tmp"}, 7]);
            value["c"][0]["z"] = json!([1]);
            value["c"].as_array_mut().unwrap().push(json!({"name": "b"}));
        },
        &expect![[r"
            c:
            - name: a
              mounts:
              - at: /tmp
                name: t
              - 7
              z:
              - 1
            - name: b
            d: 1
        "]],
    );
}

#[test]
fn fields_beside_the_dash_go_together_and_comments_go_above_it() {
    check(
        "c:\n  -   stdin: true # in\n      # on a terminal\n      tty: true\n\n      # the app\n      name: a # its name\n      image: b\n",
        |value| {
            let item = value["c"][0].as_object_mut().unwrap();
            item.remove("stdin");
            item.remove("tty");
            item.insert("z".to_owned(), json!(1));
        },
        &expect![[r"
            c:
              # on a terminal
              # the app
              -   name: a # its name
                  image: b
                  z: 1
        "]],
    );
    check(
        "- - a: 1\n    b: 2\n    c: 3\n  - x\n",
        |value| {
            let item = value[0][0].as_object_mut().unwrap();
            item.remove("a");
            item.remove("b");
        },
        &expect![[r"
            - - c: 3
              - x
        "]],
    );
}

#[test]
fn comments_within_brackets_stay_with_what_they_are_about() {
    let text = "a: {\n  x: 1, # old\n  # ask bob\n  y: 5, # bob\n  # end\n}\nb: {\n  # the name\n  n: b, # one\n  # teletype\n  t: 2,\n  # image\n  i: y # tail\n}\nc: {x: 1, y: 2,\n  # why\n  z: 3 # z\n}\nl: [\n  1, # one\n  # two\n  2\n]\n";
    check(
        text,
        |value| {
            *value = json!({"a": {"y": 5, "w": {}}, "b": {"n": "b", "i": "y", "q": 1}, "c": {"x": 1, "z": 3, "k": 4}, "l": [1]});
        },
        &expect![[r#"
            a: {
              # ask bob
              y: 5,
              w: {}, # bob
              # end
            }
            b: {
              # the name
              n: b, # one
              # teletype
              # image
              i: "y", # tail
              q: 1
            }
            c: {x: 1,
              # why
              z: 3, # z
              k: 4
            }
            l: [
              1 # one
              # two
            ]
        "#]],
    );
    check(
        text,
        |value| {
            *value = json!({"a": {"x": 1}, "b": {"n": "b"}, "c": {"z": 3}, "l": [2, 3]});
        },
        &expect![[r"
            a: {
              x: 1, # old
              # ask bob
              # end
            }
            b: {
              # the name
              n: b # one
              # teletype
            }
            c: {
              # why
              z: 3 # z
            }
            l: [2, 3]
        "]],
    );
}

#[test]
fn what_is_merged_in_and_not_wanted_is_written_out_and_the_rest_stays() {
    let text = "x: &c\n  tty: true\n  image: q\n  env: {a: b}\nlist:\n- <<: *c # base\n  # the app\n  name: a\n- {<<: *c, name: b}\n- *c\nof: *c\nonly:\n  name: d\n  <<: *c\n";
    check(
        text,
        |value| {
            for at in ["/list/0", "/list/1", "/list/2", "/of"] {
                value.pointer_mut(at).unwrap().as_object_mut().unwrap().remove("tty");
                value.pointer_mut(at).unwrap()["image"] = json!("z:1");
            }
            value["only"] = json!({"name": "d", "new": 1});
        },
        &expect![[r"
            x: &c
              tty: true
              image: q
              env: {a: b}
            list:
            - image: z:1
              env:
                a: b # base
              # the app
              name: a
            - {image: z:1, env: {a: b}, name: b}
            - env:
                a: b
              image: z:1
            of:
              env:
                a: b
              image: z:1
            only:
              name: d
              new: 1
        "]],
    );
}

#[test]
fn alias_whose_anchor_changes_alike_stays() {
    check(
        "one:\n  image: &img nginx\n  res: &res # lots\n    limits: {memory: 1}\n  probe: &probe\n    # asks\n    exec: {command: [curl]}\n  live: *probe\ntwo: &two\n  image: *img\n  res: *res\n  live: *probe\nthree:\n  <<: *two\n  name: c\n",
        |value| {
            for of in ["one", "two", "three"] {
                value[of]["image"] = json!("nginx@sha256:0");
                value[of]["res"]["requests"] = json!(1);
                value[of]["live"] = json!({"get": {"port": 1}});
                value[of]["new"] = json!(true);
            }
            value["one"]["probe"] = json!({"get": {"port": 1}});
        },
        &expect![[r"
            one:
              image: &img nginx@sha256:0
              res: &res # lots
                limits: {memory: 1}
                requests: 1
              probe: &probe
                # asks
                get:
                  port: 1
              live: *probe
              new: true
            two: &two
              image: *img
              res: *res
              live: *probe
              new: true
            three:
              <<: *two
              name: c
        "]],
    );
}

#[test]
fn what_a_change_makes_unreadable_is_told_as_that() {
    let text = "a: 1\n---\ntty: &t true\nenv: *t\n";
    let error = edit(text, &[None, Some(json!({"env": true}))]).unwrap_err();
    assert!(matches!(error, EditError::Shape { number: 2 }), "{error}");
    assert!(matches!(edit("a: *b\n", &[None]), Err(EditError::Document(_))));
    assert!(matches!(edit("a: 1\n", &[]), Err(EditError::Shape { number: 1 })));
}

#[test]
fn dash_in_the_name_of_an_anchor_is_none() {
    check(
        "l:\n- &my-pod\n  a: 1\n- &other-one {b: 1}\nm:\n- *my-pod\n",
        |value| {
            value["l"] = json!([{"a": 1}, {"b": 1, "c": 2}, {"d": [3]}]);
            value["m"][0] = json!({"e": 1});
        },
        &expect![[r"
            l:
            - &my-pod
              a: 1
            - &other-one {b: 1, c: 2}
            - d:
              - 3
            m:
            - e: 1
        "]],
    );
}

#[test]
fn json_indented_with_tabs_stays_so() {
    check(
        "{\n\t\"a\": {\n\t\t\"x\": {}\n\t},\n\t\"l\": [\n\t\t1\n\t]\n}\n",
        |value| *value = json!({"a": {"x": {"y": [true]}, "z": 1}, "l": [1, {"b": 2}], "n": {"m": 1}}),
        &expect![[r#"
            {
            	"a": {
            		"x": {
            			"y": [
            				true
            			]
            		},
            		"z": 1
            	},
            	"l": [
            		1,
            		{
            			"b": 2
            		}
            	],
            	"n": {
            		"m": 1
            	}
            }
        "#]],
    );
    check(
        "{\n\t\"a\": 1,\n\t\"l\": [1]\n}",
        |value| *value = json!({"a": {"b": 1}, "l": [2, 3], "n": {"m": [1]}}),
        &expect![[r#"
            {
            	"a": {
            		"b": 1
            	},
            	"l": [2, 3],
            	"n": {
            		"m": [
            			1
            		]
            	}
            }"#]],
    );
}

#[test]
fn text_without_a_line_end_has_none_then() {
    assert_eq!(changed("a: 1\nb: 2", |value| *value = json!({"a": 1})), "a: 1");
    assert_eq!(changed("a:\r\n- 1\r\n- 2", |value| *value = json!({"a": [1]})), "a:\r\n- 1");
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
