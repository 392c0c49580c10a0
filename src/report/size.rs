//! Numbers for people.
//!
//! The only place that knows how a size or a count is written.

/// `bytes` with three significant digits and a binary unit: `0 B`, `512 B`, `1.50 KiB`, `20.1 MiB`. Cut, not
/// rounded: never more than there is.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // In thousandths of the unit: exact, where a float would round 1023.9995 KiB to 1024.
    let mut scale = 1024_u128;
    let mut unit = 0;
    while u128::from(bytes) >= scale * 1024 && unit + 1 < UNITS.len() {
        scale *= 1024;
        unit += 1;
    }
    let milli = u128::from(bytes) * 1000 / scale;
    let (whole, rest) = (milli / 1000, milli % 1000);
    let name = UNITS.get(unit).unwrap_or_else(|| unreachable!("bounded by the loop"));
    match whole {
        0..10 => format!("{whole}.{:02} {name}", rest / 10),
        10..100 => format!("{whole}.{} {name}", rest / 100),
        _ => format!("{whole} {name}"),
    }
}

/// `n thing`, or `n things` unless there is one: `1 entry` comes from `count(1, "entry", "entries")`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_and_a_binary_unit() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (1024 * 1024 - 1, "1023 KiB"),
            (1024 * 1024, "1.00 MiB"),
            (21_076_377, "20.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
    }
}
