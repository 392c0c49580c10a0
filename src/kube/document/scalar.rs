//! What a scalar means to Kubernetes' own reader: YAML 1.1 where that and 1.2 differ.
//!
//! Source: `resolve.go` of go-yaml 2, which `sigs.k8s.io/yaml` is built on.

use serde_json::{Number, Value};

/// What `text` means: plain, or quoted and so text; `tag` is the core schema's name of an explicit tag.
pub(super) fn resolve(text: &str, is_plain: bool, tag: Option<&str>) -> Value {
    let as_text = || Value::String(text.to_owned());
    match tag {
        Some("str") => return as_text(),
        Some(_) => return plain(text).unwrap_or_else(as_text),
        None if !is_plain => return as_text(),
        None => {}
    }
    plain(text).unwrap_or_else(as_text)
}

fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| float(&digits))
}

/// Decimal, `0x`, `0b`, `0o`, and octal with a leading zero.
fn integer(text: &str) -> Option<Value> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (digits.get(2..)?, 16),
        [b'0', b'b' | b'B', ..] => (digits.get(2..)?, 2),
        [b'0', b'o' | b'O', ..] => (digits.get(2..)?, 8),
        [b'0', _, ..] => (digits.get(1..)?, 8),
        _ => (digits, 10),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let number = sign * i128::from_str_radix(digits, radix).ok()?;
    let number = i64::try_from(number).map(Number::from).or_else(|_| u64::try_from(number).map(Number::from));
    number.ok().map(Value::Number)
}

fn float(text: &str) -> Option<Value> {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if !text.chars().all(is_number) || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Number::from_f64(text.parse().ok()?).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_words_mean_what_kubectl_takes_them_for() {
        for (text, expected) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("~", Value::Null),
            ("", Value::Null),
            ("0644", json!(420)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1_000", json!(1000)),
            ("-7", json!(-7)),
            ("0", json!(0)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
            ("18446744073709551615", json!(u64::MAX)),
            ("yEs", json!("yEs")),
            ("0899", json!(899.0)),
            ("1.2.3", json!("1.2.3")),
            ("10Mi", json!("10Mi")),
            ("-", json!("-")),
            (".", json!(".")),
            ("+", json!("+")),
            ("0x", json!("0x")),
            ("--5", json!("--5")),
            ("nginx", json!("nginx")),
        ] {
            assert_eq!(resolve(text, true, None), expected, "{text}");
            assert_eq!(resolve(text, false, None), json!(text), "{text}");
            assert_eq!(resolve(text, true, Some("str")), json!(text), "{text}");
        }
    }
}
