//! `$(NAME)` in a container's words, and quantities: the two small languages of pods.
//!
//! As the kubelet reads them (`k8s.io/kubernetes/third_party/forked/golang/expansion`).

/// `text` with `$(NAME)` replaced where `value` knows the name; `$$` is a plain `$`.
pub(in crate::kube) fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            after
        } else if let Some((name, behind)) = after.strip_prefix('(').and_then(|after| after.split_once(')')) {
            match value(name) {
                Some(value) => out.push_str(&value),
                None => out.extend(["$(", name, ")"]),
            }
            behind
        } else {
            out.push('$');
            after
        };
    }
    out + rest
}

/// Units of whole quantities.
const UNITS: [(&str, u64); 11] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("k", 1000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("", 1),
];

/// The bytes of a quantity: digits, perhaps a fraction, a unit.
pub(in crate::kube) fn quantity(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let mut bytes = u128::from(whole) * u128::from(factor);
    if !fraction.is_empty() {
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part = u128::from(fraction.parse::<u64>().ok()?).checked_mul(u128::from(factor))?;
        bytes = bytes.checked_add(part.div_ceil(scale))?;
    }
    u64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_where_they_are_known() {
        let value = |name: &str| (name == "A").then(|| "1".to_owned());
        for (text, expected) in [
            ("$(A)-$(B)", "1-$(B)"),
            ("$$(A) $$$(A)", "$(A) $1"),
            ("$A $(A", "$A $(A"),
            ("a$", "a$"),
            ("", ""),
        ] {
            assert_eq!(expand(text, value), expected, "{text}");
        }
    }

    #[test]
    fn quantities_are_bytes() {
        for (text, bytes) in [
            ("7", 7),
            ("64Mi", 64 << 20),
            ("1.5Gi", 3 << 29),
            ("2k", 2000),
            ("0.5", 1),
            ("1P", 10_u64.pow(15)),
        ] {
            assert_eq!(quantity(text), Some(bytes), "{text}");
        }
        for bad in ["", "Mi", "1e3", "-1", "1 Mi", "1.2.3", "99999999999999999999", "9999999999Pi"] {
            assert_eq!(quantity(bad), None, "{bad}");
        }
    }
}
