//! Amounts as Kubernetes writes them: `64Mi`, `0.5`, `100m`, `1e3`.
//!
//! Knows no resource: what an amount is of is the reader's.

use serde_json::Value;

/// What the text says, in units: bytes of memory, processors. `None` where it is no amount.
pub fn parse(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (number, suffix) = match text.find(['e', 'E']) {
        // `1e3`, but not `1E`, which is a suffix.
        Some(at) if text.get(at + 1..).is_some_and(is_exponent) => (text, ""),
        _ => (number, text.get(number.len()..)?),
    };
    let is_decimal = number.bytes().all(|byte| byte.is_ascii_digit() || b".+-eE".contains(&byte));
    if !is_decimal {
        return None;
    }
    let value: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        _ => return None,
    };
    Some(value * factor)
}

/// The same of a value: a text, or a number as it stands.
pub fn of(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => parse(text),
        value => value.as_f64(),
    }
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_what_kubernetes_takes_them_for() {
        let cases = [
            ("0", 0.0),
            ("64Mi", 67_108_864.0),
            ("1.5Gi", 1_610_612_736.0),
            ("100m", 0.1),
            ("1e3", 1000.0),
            ("1E3", 1000.0),
            ("2E", 2e18),
            ("5k", 5000.0),
            (".5", 0.5),
            ("+1", 1.0),
        ];
        for (text, expect) in cases {
            assert_eq!(parse(text), Some(expect), "{text}");
        }
        assert_eq!((of(&json!(67_108_864)), of(&json!("64Mi"))), (parse("64Mi"), parse("64Mi")));
        assert_eq!(of(&Value::Null), None);
        for wrong in ["", "Mi", "64mi", "1 Gi", "64MiB", "inf", "nan", "0x10", "e3", "--1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
