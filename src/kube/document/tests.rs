//! Documents as people write them: values, places, and what is refused.

use std::fmt::Write as _;

use serde_json::json;

use super::*;

fn one(text: &str) -> Node {
    let mut documents = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).root
}

fn error(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn documents_of_a_stream_are_read_in_order_and_empty_ones_too() {
    let documents = read("---\na: 1\n---\n# nothing\n---\n- b\n...\n").unwrap();
    let values: Vec<Value> = documents.iter().map(|document| document.root.value()).collect();
    assert_eq!(values, [json!({"a": 1}), Value::Null, json!(["b"])]);
    assert_eq!(read("").unwrap(), []);
    assert_eq!(one("{\"a\": [1, \"no\", null]}\n").value(), json!({"a": [1, "no", null]}));
}

#[test]
fn every_value_knows_where_it_stands() {
    let text = "spec:\r\n  containers:\r\n  - name: a\r\n    image: 'ü@x'  # why\r\n";
    let root = one(text);
    assert_eq!(root.nearest("spec.containers[0].image"), (4, 5));
    let image = &root.field("spec").unwrap().value.field("containers").unwrap().value.items()[0]
        .field("image")
        .unwrap();
    assert_eq!((image.value.line, image.value.column), (4, 12));
    assert_eq!(&text[image.value.bytes.clone()], "'ü@x'");
    assert_eq!(&text[image.bytes.clone()], "image");
    // Of what is not there the nearest around it.
    assert_eq!(root.nearest("spec.containers[0].securityContext.privileged"), (3, 5));
    assert_eq!(root.nearest("spec.containers[7].image"), (2, 3));
    assert_eq!(root.nearest("metadata.name"), (1, 1));
    assert_eq!(root.nearest(""), (1, 1));
    let root = one("metadata: {annotations: {a.b/c: x}}");
    assert_eq!(root.nearest("metadata.annotations[\"a.b/c\"]"), (1, 26));
}

#[test]
fn field_that_stands_twice_is_an_error() {
    assert_eq!(
        error("a: 1\nb: 2\na: 3\n"),
        "3:1: the field `a` stands here a second time, the first time in line 1"
    );
    assert_eq!(
        error("{\"a\": 1, \"a\": 1}"),
        "1:10: the field `a` stands here a second time, the first time in line 1"
    );
    assert_eq!(error("? [a]\n: 1\n"), "1:3: the name of a field must be text");
}

#[test]
fn aliases_and_merges_are_followed() {
    let root = one("base: &base\n  a: 1\n  b: 2\nown:\n  <<: *base\n  b: 3\nlist: [*base]\n");
    assert_eq!(
        root.value(),
        json!({"base": {"a": 1, "b": 2}, "own": {"b": 3, "a": 1}, "list": [{"a": 1, "b": 2}]})
    );
    // What is merged stands where it was written; what an alias is, where the alias stands.
    assert_eq!(root.nearest("own.a"), (2, 3));
    assert_eq!(root.nearest("list[0]"), (7, 8));
    let several = one("x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y]}\n");
    assert_eq!(several.field("z").unwrap().value.value(), json!({"a": 1, "b": 2}));
    assert_eq!(error("a: &a 1\nb: {<<: *a}\n"), "2:9: what `<<` merges must be a mapping, or a list of them");
    assert_eq!(one("'<<': 1").value(), json!({"<<": 1}));
}

#[test]
fn text_that_is_no_yaml_says_where() {
    for text in ["a: [1, 2", "a: 'x", "a:\n\tb: 1", "a: *nobody", "a: b: c", "- a\nb: 1"] {
        let said = error(text);
        assert!(said.starts_with(|c: char| c.is_ascii_digit()), "{text}: {said}");
    }
}

#[test]
fn aliases_of_aliases_do_not_fill_the_memory() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = format!("*a{}, ", level - 1).repeat(10);
        let _ = writeln!(text, "a{level}: &a{level} [{inner}]");
    }
    assert!(error(&text).contains("its aliases stand for more than"), "{}", error(&text));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_and_what_json_is_stays_that(text in "[\\[\\]{}a:&*<,#'\" \n|>!0-]{0,40}") {
        let _ = read(&text);
        // `-0` is a fraction to JSON.
        let json = serde_json::from_str::<Value>(&text).ok().filter(|_| !text.contains("-0"));
        if let (Some(json), Ok(documents)) = (json, read(&text)) {
            proptest::prop_assert_eq!(documents[0].root.value(), json);
        }
    }
}

/// The parts of a text: number of the document and of the member, and what it says.
fn parts(text: &str) -> Vec<(usize, Option<usize>, Value)> {
    Stream::new(text)
        .map(|part| part.unwrap_or_else(|error| panic!("{text}: {error}")))
        .map(|part| (part.document, part.item, part.root.value()))
        .collect()
}

#[test]
fn members_of_a_list_come_one_by_one_and_the_document_last() {
    let expect = [
        (0, Some(0), json!({"a": 1})),
        (0, Some(1), json!({"b": [2]})),
        (0, None, json!({"items": [], "kind": "List"})),
    ];
    assert_eq!(parts("items:\n- a: 1\n- b: [2]\nkind: List\n"), expect);
    assert_eq!(parts("{\"items\": [{\"a\": 1}, {\"b\": [2]}], \"kind\": \"List\"}\n"), expect);
    // JSON up to where it is none: every part once all the same.
    assert_eq!(parts("{\"items\": [{\"a\": 1}, {b: [2]}], \"kind\": \"List\"}\n"), expect);
    assert_eq!(parts("{\"a\": 1}\n---\nb: 2\n"), [(0, None, json!({"a": 1})), (1, None, json!({"b": 2}))]);
    assert_eq!(parts("---\n---\n- x\n"), [(0, None, Value::Null), (1, None, json!(["x"]))]);
    let mut stream = Stream::new("{\"items\": [1, 2, ");
    assert!(stream.next().unwrap().is_ok() && stream.next().unwrap().is_ok());
    assert!(stream.next().unwrap().is_err() && stream.next().is_none());
}

#[test]
fn members_come_with_what_stands_before_their_list() {
    let list = "{\"kind\": \"List\", \"items\": [{\"a\": 1}], \"more\": 2}";
    for text in
        [list.to_owned(), "kind: List\nitems:\n- a: 1\nmore: 2\n".to_owned(), format!("{list}\n---\nb: 1\n")]
    {
        let before: Vec<Option<Value>> =
            Stream::new(&text).map(|part| part.unwrap().before.map(|before| (*before).clone())).collect();
        assert_eq!(before[..2], [Some(json!({"kind": "List"})), None], "{text}");
    }
}

#[test]
fn columns_of_a_text_of_one_line_are_counted_once() {
    let items = vec!["{\"ü\": [1, 2, 3], \"b\": \"c\"}"; 100_000].join(", ");
    let text = format!("{{\"list\": [{items}]}}");
    let root = one(&text);
    let last = root.field("list").unwrap().value.items().last().unwrap();
    assert_eq!((last.line, last.column), (1, text.chars().count() - 27));
}
