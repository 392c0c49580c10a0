//! JSON as clusters give it, value by value with its place: what ten thousand pods come as.
//!
//! Reads strictly what RFC 8259 has, and says nothing of what is wrong: a text that is none is left to the reader of YAML, which
//! tells where. That one reads JSON too, ten times slower, and refuses pairs of surrogates, which JSON has.

use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Field, Form, Kind, Node, Origin};

/// Deepest value: as `serde_json` has it.
const MAX_DEPTH: usize = 128;

/// A text of JSON, while it is read.
pub(super) struct Json<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    /// A place in the line, and how many characters stand before it: a line may be the whole text.
    mark: (usize, usize),
}

impl<'t> Json<'t> {
    /// One whose first value begins with a brace; `None` of anything else.
    pub(super) fn new(text: &'t str) -> Option<Self> {
        let mut json = Self { text, at: 0, line: 1, mark: (0, 0) };
        json.blank();
        (json.peek() == Some(b'{')).then_some(json)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over blanks.
    pub(super) fn blank(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.mark = (self.at + 1, 0);
                }
                b' ' | b'\t' | b'\r' => {}
                _ => return,
            }
            self.at += 1;
        }
    }

    /// Whether nothing follows.
    pub(super) fn is_over(&mut self) -> bool {
        self.blank();
        self.at == self.text.len()
    }

    /// Passes over `byte`, if that comes next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Where the reader is.
    pub(super) fn place(&mut self) -> Node {
        let (from, count) = self.mark;
        let more = self.text.get(from..self.at).map_or(0, |text| text.chars().count());
        self.mark = (self.at, count + more);
        Node {
            bytes: self.at..self.at,
            line: self.line,
            column: count + more + 1,
            kind: Kind::Scalar(Value::Null),
            form: Form::Scalar,
        }
    }

    /// `node`, with all that was read since it was made.
    pub(super) fn finish(&self, node: &Node, kind: Kind, form: Form) -> Node {
        Node { bytes: node.bytes.start..self.at, line: node.line, column: node.column, kind, form }
    }

    /// The next value.
    pub(super) fn value(&mut self, depth: usize) -> Option<Node> {
        let depth = depth.checked_sub(1)?;
        self.blank();
        let node = self.place();
        match self.peek()? {
            b'{' => {
                self.at += 1;
                let fields = self.fields(depth, None)?;
                Some(self.finish(&node, Kind::Fields(fields), Form::Flow))
            }
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                while self.item(items.is_empty())? {
                    items.push(self.value(depth)?);
                }
                Some(self.finish(&node, Kind::List(items), Form::Flow))
            }
            b'"' => {
                let text = self.string()?;
                Some(self.finish(&node, Kind::Scalar(Value::String(text)), Form::Scalar))
            }
            _ => {
                let rest = self.text.as_bytes().get(self.at..)?;
                let end = rest.iter().position(|byte| b",]} \t\r\n".contains(byte)).unwrap_or(rest.len());
                let word = self.text.get(self.at..self.at + end)?;
                let value: Value = serde_json::from_str(word).ok()?;
                self.at += end;
                Some(self.finish(&node, Kind::Scalar(value), Form::Scalar))
            }
        }
    }

    /// The fields of a mapping, its brace passed over; not the one that is called `without`.
    fn fields(&mut self, depth: usize, without: Option<&str>) -> Option<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::new();
        let mut is_first = true;
        while let Some((name, at)) = self.name(is_first)? {
            is_first = false;
            if without == Some(name.as_str()) {
                self.pass()?;
                continue;
            }
            // Of two fields of one name the reader of YAML tells where.
            if fields.iter().any(|field| field.name == name) {
                return None;
            }
            let value = self.value(depth)?;
            let Node { line, column, bytes, .. } = at;
            fields.push(Field { name, line, column, bytes, value, origin: Origin::Here });
        }
        Some(fields)
    }

    /// The next value, a member of a list: what a cluster says of it, its `status`, is left out.
    pub(super) fn member(&mut self, depth: usize) -> Option<Node> {
        self.blank();
        let node = self.place();
        if !self.take(b'{') {
            return self.value(depth);
        }
        let fields = self.fields(depth.checked_sub(1)?, Some("status"))?;
        Some(self.finish(&node, Kind::Fields(fields), Form::Flow))
    }

    /// Passes over a value.
    fn pass(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let passed = rest.as_bytes().get(..values.byte_offset())?;
        if let Some(last) = memchr::memrchr(b'\n', passed) {
            self.line += memchr::memchr_iter(b'\n', passed).count();
            self.mark = (self.at + last + 1, 0);
        }
        self.at += passed.len();
        Some(())
    }

    /// The value from the beginning, as deep as may be.
    pub(super) fn whole(&mut self) -> Option<Node> {
        self.value(MAX_DEPTH)
    }

    /// The name of the next field of a mapping, and where it stands; none at its end.
    #[expect(clippy::option_option, reason = "no field, and no JSON, are two things")]
    pub(super) fn name(&mut self, is_first: bool) -> Option<Option<(String, Node)>> {
        self.blank();
        if self.take(b'}') {
            return Some(None);
        }
        if !is_first {
            if !self.take(b',') {
                return None;
            }
            self.blank();
        }
        let node = self.place();
        let name = self.string()?;
        let node = self.finish(&node, Kind::Scalar(Value::Null), Form::Scalar);
        self.blank();
        self.take(b':').then_some(Some((name, node)))
    }

    /// Whether a list has another member; false at its end.
    pub(super) fn item(&mut self, is_first: bool) -> Option<bool> {
        self.blank();
        if self.take(b']') {
            return Some(false);
        }
        if is_first {
            return Some(true);
        }
        self.take(b',').then_some(true)
    }

    fn string(&mut self) -> Option<String> {
        let rest = self.text.as_bytes().get(self.at..).filter(|rest| rest.first() == Some(&b'"'))?;
        let mut end = 1;
        let mut is_plain = true;
        loop {
            end += memchr::memchr2(b'"', b'\\', rest.get(end..)?)?;
            if rest.get(end) == Some(&b'"') {
                break;
            }
            is_plain = false;
            end += 2;
        }
        let range: Range<usize> = self.at..self.at + end + 1;
        let quoted = self.text.get(range.clone())?;
        let inner = quoted.get(1..quoted.len() - 1)?;
        let text = if is_plain && !inner.bytes().any(|byte| byte < b' ') {
            inner.to_owned()
        } else {
            serde_json::from_str(quoted).ok()?
        };
        self.at = range.end;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::document::{Document, read_yaml};

    fn json(text: &str) -> Option<Node> {
        let mut json = Json::new(text)?;
        let node = json.whole()?;
        json.is_over().then_some(node)
    }

    #[test]
    fn values_stand_where_the_reader_of_yaml_finds_them() {
        let text = "{\n  \"a\": [1, \"x\\\"y\", {\"ü\": null, \"b\" : -1.5e3}],\n\t\"c\":true,\"d\":{},\"e\":[]\n}\n";
        let Document { root } = read_yaml(text).unwrap().remove(0);
        assert_eq!(json(text), Some(root));
    }

    #[test]
    fn what_is_no_json_is_left_to_the_reader_of_yaml() {
        for text in [
            "",
            "a: 1",
            "[1]",
            "{a: 1}",
            "{\"a\": yes}",
            "{\"a\": 1,}",
            "{\"a\": 01}",
            "{\"a\" 1}",
            "{\"a\": 'x'}",
            "{\"a\": \"x\ny\"}",
            "{\"a\": 1} {}",
            "{\"a\": 1, \"a\": 2}",
            "{\"a\": 1",
            "{\"a\": \"\\q\"}",
            "{\"a\": .5}",
        ] {
            assert_eq!(json(text), None, "{text}");
        }
        assert_eq!(json(&format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200))), None);
        assert_eq!(json("{\"a\": \"\\ud83d\\ude00\"}").unwrap().value(), serde_json::json!({"a": "😀"}));
    }

    #[test]
    fn what_a_cluster_says_of_a_member_is_passed_over() {
        let text = "{\n\"status\": {\"a\": [\n1, \"}\\n\"],\n\"status\": 2}, \"spec\": {\"status\": 1}\n,\n \"z\": 3}";
        let member = Json::new(text).unwrap().member(MAX_DEPTH).unwrap();
        assert_eq!(member.value(), serde_json::json!({"spec": {"status": 1}, "z": 3}));
        // Lines are counted, and the column is that of the line.
        let whole = Json::new(text).unwrap().whole().unwrap();
        for path in ["spec.status", "z"] {
            assert_eq!(member.nearest(path), whole.nearest(path), "{path}");
        }
        assert_eq!(Json::new("{\"status\": {\"a\": tru}}").unwrap().member(MAX_DEPTH), None);
        assert_eq!(Json::new("{\"status\": {}").unwrap().member(MAX_DEPTH), None);
    }

    proptest::proptest! {
        #[test]
        fn it_reads_what_serde_json_reads_and_nothing_else(text in "\\{[\\[\\]{}\":, 0-9a-b\\\\un\\-.\n]{0,24}\\}") {
            let expect = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
            if let Some(node) = json(&text) {
                proptest::prop_assert_eq!(Some(node.value()), expect);
            }
        }
    }
}
