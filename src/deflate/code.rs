//! Huffman codes: canonical ones from their lengths, and lengths from how often symbols stand.

#![expect(
    clippy::indexing_slicing,
    reason = "numbers of symbols and nodes, which are made here and not read"
)]

/// Longest code of a literal, a length or a distance.
pub(super) const MAX_BITS: usize = 15;

/// A canonical code, ready to be written: the bits of each symbol in the order in which they stand in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    lengths: Box<[u8]>,
    bits: Box<[u16]>,
}

impl Code {
    /// The code with these lengths; nought is a symbol without one.
    pub(super) fn of(lengths: &[u8]) -> Self {
        let mut next = first_codes(lengths);
        let bits = lengths.iter().map(|&length| {
            let Some(code) = next.get_mut(usize::from(length)).filter(|_| length > 0) else { return 0 };
            let bits = code.reverse_bits() >> (16 - u32::from(length));
            *code = code.wrapping_add(1);
            bits
        });
        Self { bits: bits.collect(), lengths: lengths.into() }
    }

    /// How many bits `symbol` has; nought where it has no code.
    #[inline]
    pub(super) fn length(&self, symbol: usize) -> u8 {
        self.lengths.get(symbol).copied().unwrap_or(0)
    }

    /// The bits of `symbol`.
    #[inline]
    pub(super) fn bits(&self, symbol: usize) -> u16 {
        self.bits.get(symbol).copied().unwrap_or(0)
    }
}

/// The first code of each length (RFC 1951, 3.2.2).
pub(super) fn first_codes(lengths: &[u8]) -> [u16; MAX_BITS + 1] {
    let counts = counts(lengths);
    let mut first = [0u16; MAX_BITS + 1];
    let mut code = 0u16;
    for (length, slot) in first.iter_mut().enumerate().skip(1) {
        let before = counts.get(length - 1).copied().filter(|_| length > 1).unwrap_or(0);
        code = code.wrapping_add(before) << 1;
        *slot = code;
    }
    first
}

/// How many symbols have codes of each length.
pub(super) fn counts(lengths: &[u8]) -> [u16; MAX_BITS + 1] {
    let mut counts = [0u16; MAX_BITS + 1];
    for &length in lengths {
        if let Some(count) = counts.get_mut(usize::from(length)) {
            *count += 1;
        }
    }
    counts
}

/// Lengths of an optimal code for symbols that stand so often, none longer than `most`.
///
/// Two queues give Huffman's lengths; where some are too long, symbols move down the tree until the code is complete again
/// (what that costs is little, and that it happens is rare). A symbol that stands alone gets one bit.
pub(super) fn lengths(frequencies: &[u32], most: usize) -> Vec<u8> {
    let mut lengths = vec![0u8; frequencies.len()];
    let mut order: Vec<(u32, usize)> = frequencies
        .iter()
        .enumerate()
        .filter(|(_, frequency)| **frequency > 0)
        .map(|(symbol, &frequency)| (frequency, symbol))
        .collect();
    order.sort_unstable();
    if order.len() < 2 {
        for (_, symbol) in order {
            lengths[symbol] = 1;
        }
        return lengths;
    }
    let mut counts = limited(&depths(&order), most);
    // The rarest have the longest codes.
    for (_, symbol) in order {
        let length = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        counts[length] -= 1;
        lengths[symbol] = u8::try_from(length).unwrap_or(u8::MAX);
    }
    lengths
}

/// How many leaves of Huffman's tree lie how deep, for symbols in the order of how often they stand.
fn depths(order: &[(u32, usize)]) -> Vec<u32> {
    let leaves = order.len();
    // Nodes by number: leaves first, then what joins two, as they are made: each list is sorted by weight.
    let mut weights: Vec<u64> = order.iter().map(|&(frequency, _)| u64::from(frequency)).collect();
    let mut parents = vec![0usize; 2 * leaves - 1];
    let (mut leaf, mut inner) = (0, leaves);
    for new in leaves..2 * leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let takes_leaf = leaf < leaves && (inner >= new || weights[leaf] <= weights[inner]);
            let index = if takes_leaf { &mut leaf } else { &mut inner };
            weight += weights[*index];
            parents[*index] = new;
            *index += 1;
        }
        weights.push(weight);
    }
    let mut depth = vec![0u32; 2 * leaves - 1];
    let mut counts = vec![0u32; leaves];
    for node in (0..2 * leaves - 2).rev() {
        depth[node] = depth[parents[node]] + 1;
        if node < leaves {
            counts[depth[node] as usize] += 1;
        }
    }
    counts
}

/// The same with none deeper than `most`, and the code complete.
fn limited(counts: &[u32], most: usize) -> Vec<u32> {
    let mut out = vec![0u32; most + 1];
    for (depth, &count) in counts.iter().enumerate() {
        out[depth.min(most)] += count;
    }
    // In units of the longest code: what all take must be what there is.
    let room = 1u64 << most;
    let taken = |out: &[u32]| -> u64 {
        out.iter().enumerate().skip(1).map(|(depth, &count)| u64::from(count) << (most - depth)).sum()
    };
    let mut over = taken(&out).saturating_sub(room);
    while over > 0 {
        // A leaf goes one deeper and takes one from the longest beside it: together one unit less.
        let depth = (1..most).rev().find(|&depth| out[depth] > 0).unwrap_or(1);
        out[depth] -= 1;
        out[depth + 1] += 2;
        out[most] -= 1;
        over -= 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What codes of these lengths take of what there is.
    fn taken(lengths: &[u8]) -> f64 {
        lengths.iter().filter(|&&length| length > 0).map(|&length| 0.5f64.powi(length.into())).sum()
    }

    #[test]
    fn codes_are_those_of_the_standards_example() {
        let code = Code::of(&[3, 3, 3, 3, 3, 2, 4, 4]);
        let bits: Vec<String> = (0..8)
            .map(|symbol| {
                let length = usize::from(code.length(symbol));
                (0..length).map(|n| if code.bits(symbol) >> n & 1 == 1 { '1' } else { '0' }).collect()
            })
            .collect();
        assert_eq!(bits, ["010", "011", "100", "101", "110", "00", "1110", "1111"]);
    }

    #[test]
    fn lengths_are_huffmans_where_they_fit() {
        assert_eq!(lengths(&[45, 13, 12, 16, 9, 5], 15), [1, 3, 3, 3, 4, 4]);
        assert_eq!(lengths(&[0, 7, 0], 15), [0, 1, 0]);
        assert_eq!(lengths(&[0, 0], 15), [0, 0]);
        assert_eq!(lengths(&[1, 1000], 15), [1, 1]);
    }

    #[test]
    fn lengths_are_complete_and_never_too_long() {
        // Fibonacci's numbers make the deepest tree there is.
        let (mut a, mut b) = (1u32, 1u32);
        let mut fibonacci = Vec::new();
        for _ in 0..40 {
            fibonacci.push(a);
            (a, b) = (b, a + b);
        }
        for count in 2..=40 {
            for most in [7, 15] {
                if count > 1 << most {
                    continue;
                }
                let lengths = lengths(&fibonacci[..count], most);
                assert!(lengths.iter().all(|&length| (1..=most).contains(&usize::from(length))));
                assert!((taken(&lengths) - 1.0).abs() < 1e-12, "{count} {most} {lengths:?}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_frequencies_have_a_complete_code(frequencies in proptest::collection::vec(0u32..1 << 20, 2..288), most in 9usize..=15) {
            let lengths = lengths(&frequencies, most);
            let used = frequencies.iter().filter(|&&frequency| frequency > 0).count();
            proptest::prop_assert_eq!(lengths.iter().filter(|&&length| length > 0).count(), used);
            if used > 1 {
                proptest::prop_assert!((taken(&lengths) - 1.0).abs() < 1e-12);
            }
            proptest::prop_assert!(lengths.iter().all(|&length| usize::from(length) <= most));
        }
    }
}
