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

/// Units of quantities: a factor, and the places that the point goes to the left.
const UNITS: [(&str, u64, i32); 16] = [
    ("Ki", 1 << 10, 0),
    ("Mi", 1 << 20, 0),
    ("Gi", 1 << 30, 0),
    ("Ti", 1 << 40, 0),
    ("Pi", 1 << 50, 0),
    ("Ei", 1 << 60, 0),
    ("n", 1, 9),
    ("u", 1, 6),
    ("m", 1, 3),
    ("", 1, 0),
    ("k", 1, -3),
    ("M", 1, -6),
    ("G", 1, -9),
    ("T", 1, -12),
    ("P", 1, -15),
    ("E", 1, -18),
];

/// The bytes of a quantity: digits, perhaps a fraction, a unit or an exponent; a part of a byte is one.
pub(in crate::kube) fn quantity(text: &str) -> Option<u64> {
    let (whole, is_exact) = scaled(text, 0)?;
    if is_exact { Some(whole) } else { whole.checked_add(1) }
}

/// The thousandths of a quantity that has no smaller parts.
pub(in crate::kube) fn thousandths(text: &str) -> Option<u64> {
    scaled(text, 3).filter(|(_, is_exact)| *is_exact).map(|(whole, _)| whole)
}

/// The whole part of a quantity whose point goes `right` by so many places, and whether that is all of it.
fn scaled(text: &str, right: i32) -> Option<(u64, bool)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (factor, left) = match UNITS.iter().find(|(name, _, _)| *name == unit) {
        Some((_, factor, left)) => (*factor, *left),
        None => (1, unit.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?.checked_neg()?),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let product = digits.checked_mul(u128::from(factor))?;
    let left = i32::try_from(fraction.len()).ok()?.checked_add(left)?.checked_sub(right)?;
    let power = 10_u128.checked_pow(left.unsigned_abs())?;
    if left <= 0 {
        return Some((u64::try_from(product.checked_mul(power)?).ok()?, true));
    }
    Some((u64::try_from(product / power).ok()?, product.is_multiple_of(power)))
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
            ("1e3", 1000),
            ("1.5E+3", 1500),
            ("1E", 10_u64.pow(18)),
            ("1500m", 2),
            ("15e-1", 2),
        ] {
            assert_eq!(quantity(text), Some(bytes), "{text}");
        }
        for bad in [
            "",
            "Mi",
            "e3",
            "1e",
            "1e99",
            "-1",
            "1 Mi",
            "1.2.3",
            ".5",
            "99999999999999999999",
            "9999999999Pi",
        ] {
            assert_eq!(quantity(bad), None, "{bad}");
        }
    }

    #[test]
    fn thousandths_have_no_parts() {
        for (text, amount) in [("250m", 250), ("1.5", 1500), ("2", 2000), ("1k", 1_000_000), ("1e-3", 1)] {
            assert_eq!(thousandths(text), Some(amount), "{text}");
        }
        for bad in ["1.2345", "1u", "0.5m", "+1m", ""] {
            assert_eq!(thousandths(bad), None, "{bad}");
        }
    }
}
