//! Streams of real encoders, edited at random, read back by another decoder.

use std::io::{Read, Write};

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

/// Content as layers have it: headers with numbers, words, what repeats, and what does not.
fn content(seed: u64, length: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = [
        "layer ",
        "usr/share/doc/",
        "rootfs ",
        "0000644",
        "verdict\n",
        "\0\0\0\0\0\0\0\0",
        "ustar  \0root",
        "a",
    ];
    let mut x = seed | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let mut out = Vec::with_capacity(length + 1024);
    while out.len() < length {
        match next() % 16 {
            0 => out.extend((0..next() % 300).map(|n| (n as u8).wrapping_mul(next() as u8))),
            1 => out.resize(out.len() + (next() % 700) as usize, 0),
            2 if out.len() > 600 => {
                let from = (next() % (out.len() as u64 - 512)) as usize;
                out.extend_from_within(from..from + 512);
            }
            _ => out.extend_from_slice(WORDS[(next() % 8) as usize].as_bytes()),
        }
    }
    out.truncate(length);
    out
}

/// gzip of `content` at `level`, flushed every `cut` bytes.
fn gzip(content: &[u8], level: u32, cut: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    for piece in content.chunks(cut.max(1)) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

/// What another decoder makes of it.
fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

/// `content` with the edits made.
fn edited(content: &[u8], edits: &[Edit]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    for Edit { start, end, new } in edits {
        out.extend_from_slice(&content[at..*start as usize]);
        out.extend_from_slice(new);
        at = *end as usize;
    }
    out.extend_from_slice(&content[at..]);
    out
}

/// Gives bytes a few at a time.
struct Trickle<'b>(&'b [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.len().min(buf.len()).min(self.1.max(1));
        let (now, later) = self.0.split_at(n);
        buf[..n].copy_from_slice(now);
        self.0 = later;
        Ok(n)
    }
}

/// The edited stream and the new content. Edits are told when `ahead` bytes before them were read; as many are read at once.
fn edit(stream: &[u8], edits: &[Edit], ahead: usize) -> Result<(Vec<u8>, Vec<u8>), EditError> {
    let editor = Editor::new(Trickle(stream, ahead), Format::Gzip, Vec::new(), Vec::new());
    tell(editor, edits, ahead, Reading::All, None)
}

/// What readers of old content do with what goes.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    All,
    /// They pass over it once nothing else changes before its end.
    Settled,
    /// They pass over it at once.
    AtOnce,
}

fn tell(
    mut editor: Editor<'_, Vec<u8>, Vec<u8>>,
    edits: &[Edit],
    ahead: usize,
    reading: Reading,
    old: Option<&[u8]>,
) -> Result<(Vec<u8>, Vec<u8>), EditError> {
    let mut buf = vec![0; ahead.max(1)];
    let mut at = 0u64;
    for edit in edits {
        while at + ahead as u64 <= edit.start {
            let n = editor.read(&mut buf).unwrap() as u64;
            if n == 0 {
                assert!(old.is_none_or(|old| at == old.len() as u64));
                break;
            }
            assert!(old.is_none_or(|old| old[at as usize..].starts_with(&buf[..n as usize])));
            at += n;
        }
        if reading != Reading::AtOnce {
            editor.settle(edit.start)?;
        }
        editor.edit(edit.clone())?;
        if reading != Reading::All && edit.end > at {
            if reading == Reading::Settled {
                editor.settle(edit.end)?;
            }
            assert!(editor.skip(edit.end - at)?);
            at = edit.end;
        }
    }
    editor.finish()
}

/// The same of a stream that was read before.
fn edit_again(stream: &[u8], edits: &[Edit], ahead: usize, reading: Reading) -> (Vec<u8>, Vec<u8>) {
    let mut reader = Reader::new(Trickle(stream, ahead), Format::Gzip);
    let mut old = Vec::new();
    reader.read_to_end(&mut old).unwrap();
    let (_, trail) = reader.into_parts();
    let trail = trail.unwrap();
    let before = (&trail, std::io::Cursor::new(&old));
    let editor = Editor::replay(Trickle(stream, ahead), before, Format::Gzip, Vec::new(), Vec::new());
    tell(editor, edits, ahead, reading, Some(&old)).unwrap()
}

/// Edits of content of this length.
fn edits(length: usize) -> impl Strategy<Value = Vec<Edit>> {
    let one = (
        0..=length,
        prop_oneof![4 => 0usize..40, 2 => 0usize..3000, 1 => 0usize..80_000],
        prop_oneof![
            3 => Just(Vec::new()),
            3 => proptest::collection::vec(b'0'..=b'7', 0..12),
            2 => proptest::collection::vec(any::<u8>(), 0..40),
            1 => (any::<u64>(), 0usize..5000).prop_map(|(seed, length)| content(seed, length)),
        ],
    );
    proptest::collection::vec(one, 0..12).prop_map(move |mut all| {
        all.sort_by_key(|(start, ..)| *start);
        let mut last = 0;
        all.into_iter()
            .map(|(start, size, new)| {
                let start = start.max(last);
                let end = (start + size).min(length);
                last = end;
                Edit { start: start as u64, end: end as u64, new }
            })
            .collect()
    })
}

/// One content as encoders of six families compressed it; where they are from is in `testdata/deflate/make`.
const ENCODED: [&[u8]; 9] = [
    include_bytes!("../../testdata/deflate/gzip-1.gz"),
    include_bytes!("../../testdata/deflate/gzip-9.gz"),
    include_bytes!("../../testdata/deflate/pigz-6.gz"),
    include_bytes!("../../testdata/deflate/igzip-0.gz"),
    include_bytes!("../../testdata/deflate/igzip-2.gz"),
    include_bytes!("../../testdata/deflate/libdeflate-1.gz"),
    include_bytes!("../../testdata/deflate/libdeflate-12.gz"),
    include_bytes!("../../testdata/deflate/zopfli.gz"),
    include_bytes!("../../testdata/deflate/go-6.gz"),
];

/// Edits as a layer gets them: a few digits in each header, and here and there a member that goes.
fn of_headers(length: usize) -> impl Strategy<Value = Vec<Edit>> {
    (200usize..9000, 1usize..12, any::<u64>()).prop_map(move |(step, digits, mut x)| {
        let headers = (100..length.saturating_sub(digits)).step_by(step);
        headers
            .map(|at| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let goes = (x >> 60 == 0).then_some(step.min(length - at) - 1);
                let new = (0..digits).map(|n| b'0' + (x >> (n * 3) & 7) as u8).collect();
                let end = at + goes.unwrap_or(digits).max(1);
                Edit { start: at as u64, end: end as u64, new: if goes.is_some() { Vec::new() } else { new } }
            })
            .collect()
    })
}

fn check(old: &[u8], stream: &[u8], edits: &[Edit], ahead: usize) -> Vec<u8> {
    let expect = edited(old, edits);
    let edited = edit(stream, edits, ahead).unwrap();
    for reading in [Reading::All, Reading::Settled, Reading::AtOnce] {
        let again = edit_again(stream, edits, ahead, reading);
        assert!(again == edited, "it depends on whether it is decoded again");
    }
    let (stream, new) = edited;
    assert!(new == expect, "the new content is another");
    assert!(inflated(&stream) == expect, "the stream stands for something else");
    stream
}

/// As many cases as `PROPTEST_CASES` says, or `usual`: programs that are not optimised take long for one.
#[expect(clippy::disallowed_methods, reason = "of tests, who runs them asks by the environment")]
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig { cases: if asked { default.cases } else { usual }, ..default }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn edited_streams_stand_for_the_edited_content(
        (seed, length, edits) in (any::<u64>(), 0usize..200_000).prop_flat_map(|(seed, length)| (Just(seed), Just(length), edits(length))),
        level in 0u32..=9,
        cut in prop_oneof![Just(1 << 20), 1000usize..60_000],
        ahead in prop_oneof![Just(1usize << 16), 1usize..5000],
    ) {
        let old = content(seed, length);
        let stream = gzip(&old, level, cut);
        let out = check(&old, &stream, &edits, ahead);
        // However it is read, and whenever the edits are told.
        prop_assert!(check(&old, &stream, &edits, 1 << 20) == out);
    }

    #[test]
    fn broken_streams_are_refused_or_read_as_another_decoder_does(
        seed in any::<u64>(),
        length in 0usize..3000,
        level in 0u32..=9,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut stream = gzip(&content(seed, length), level, 1 << 20);
        for (at, bits) in &flips {
            let at = at.index(stream.len());
            stream[at] ^= bits;
        }
        let whole = stream.len();
        stream.truncate(whole - cut.index(whole.min(4)));
        let mut expect = Vec::new();
        let is_read = flate2::read::MultiGzDecoder::new(stream.as_slice()).read_to_end(&mut expect).is_ok();
        let mut read = Vec::new();
        let is_read_alike = Reader::new(stream.as_slice(), Format::Gzip).read_to_end(&mut read).is_ok();
        prop_assert!(is_read_alike == is_read && (!is_read || read == expect));
        match edit(&stream, &[], 1 << 16) {
            Ok((out, new)) => prop_assert!(is_read && new == expect && inflated(&out) == expect),
            Err(_) => prop_assert!(!is_read, "{expect:?}"),
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn streams_of_all_encoders_are_edited_alike(
        stream in prop::sample::select(&ENCODED[..]),
        edits in prop_oneof![edits(300_000), of_headers(300_000)],
        ahead in prop_oneof![Just(1usize << 16), 1usize..5000],
    ) {
        let old = inflated(stream);
        prop_assert_eq!(old.len(), 300_000);
        check(&old, stream, &edits, ahead);
    }
}

/// gzip of `literals` times `x` and of a match of three bytes, in one block of the fixed codes (RFC 1951, 3.2.6).
fn one_match(literals: u32, distance: u32) -> Vec<u8> {
    let (mut block, mut count) = (0u64, 0);
    let mut push = |code: u32, bits: u32| {
        block |= u64::from(code.reverse_bits() >> (32 - bits)) << count;
        count += bits;
    };
    // The last block, of type 1; letters of eight bits from 48 on; length 3; distances without more bits; the end.
    push(0b110, 3);
    (0..literals).for_each(|_| push(48 + u32::from(b'x'), 8));
    push(1, 7);
    push(distance - 1, 5);
    push(0, 7);
    let content = vec![b'x'; literals as usize + 3];
    let mut checksum = flate2::Crc::new();
    checksum.update(&content);
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let block = &block.to_le_bytes()[..count.div_ceil(8) as usize];
    [&header, block, &checksum.sum().to_le_bytes(), &checksum.amount().to_le_bytes()].concat()
}

#[test]
fn a_match_reaches_back_to_the_beginning_of_its_member_and_not_before() {
    for (literals, distance) in (1..=3).flat_map(|literals| (1..=4).map(move |distance| (literals, distance)))
    {
        let one = one_match(literals, distance);
        for stream in [one.clone(), [gzip(b"before", 6, 9), one].concat()] {
            let mut read = Vec::new();
            let error = Reader::new(stream.as_slice(), Format::Gzip).read_to_end(&mut read).err();
            let inner = error.as_ref().and_then(|error| error.get_ref());
            let error = inner.and_then(|error| error.downcast_ref::<DecodeError>());
            assert!(matches!(error, Some(DecodeError::Distance)) == (distance > literals), "{error:?}");
            let mut other = Vec::new();
            let is_read =
                flate2::read::MultiGzDecoder::new(stream.as_slice()).read_to_end(&mut other).is_ok();
            assert_eq!((is_read, edit(&stream, &[], 16).is_ok()), (error.is_none(), error.is_none()));
            assert!(!is_read || read == other);
        }
    }
}

#[test]
fn an_edit_is_seen_by_the_furthest_match_that_copies_its_last_byte() {
    let stream = include_bytes!("../../testdata/deflate/far.gz");
    let old = inflated(stream);
    assert!(old.len() == 2 * WINDOW && old[..WINDOW] == old[WINDOW..]);
    assert!(stream.len() < WINDOW + 2000, "the second half is copied");
    // As many as the longest match has: one of them begins at the byte.
    for at in 0..258 {
        for (end, new) in [(at + 1, vec![!old[at]]), (at + 1, Vec::new()), (at, vec![7])] {
            check(&old, stream, &[Edit { start: at as u64, end: end as u64, new }], 1 << 16);
        }
    }
}

#[test]
fn what_is_stored_is_stored_in_blocks_of_what_their_length_can_say() {
    // Digests of counted bytes: nothing makes them shorter.
    let noise: Vec<u8> = (0..7000u32).flat_map(|n| Sha256::digest(n.to_le_bytes())).collect();
    let stream = gzip(&noise, 0, 1 << 20);
    for at in [100, 65_535, 65_536, 150_000] {
        check(&noise, &stream, &[Edit { start: at, end: at, new: noise.clone() }], 1 << 16);
    }
}

#[test]
fn nothing_to_edit_costs_nothing() {
    let old = content(7, 3_000_000);
    for level in [1, 6, 9] {
        let stream = gzip(&old, level, 1 << 30);
        let out = check(&old, &stream, &[], 1 << 16);
        assert!(out.len() <= stream.len() + 8, "{} {}", out.len(), stream.len());
    }
}

#[test]
fn several_members_are_one_content() {
    let (one, two) = (content(1, 70_000), content(2, 90_000));
    let stream = [gzip(&one, 6, 1 << 20), gzip(&two, 9, 1 << 20)].concat();
    let old = [one, two].concat();
    let edits = [
        Edit { start: 60_000, end: 80_000, new: b"x".to_vec() },
        Edit { start: 160_000, end: 160_000, new: b"end".to_vec() },
    ];
    check(&old, &stream, &edits, 4096);
}

#[test]
fn edits_out_of_order_or_beyond_the_end_are_refused() {
    let stream = gzip(&content(1, 1000), 6, 1 << 20);
    let gone = |start, end| Edit { start, end, new: Vec::new() };
    let tell = |edits: &[Edit]| edit(&stream, edits, 16);
    assert!(matches!(
        tell(&[gone(5, 9), gone(8, 10)]),
        Err(EditError::Order { start: 8, end: 10, settled: 9 })
    ));
    assert!(matches!(tell(&[gone(9, 5)]), Err(EditError::Order { .. })));
    assert!(matches!(tell(&[gone(5, 1001)]), Err(EditError::Beyond { end: 1001, content: 1000 })));
    assert!(tell(&[gone(1001, 1001)]).is_ok(), "of nothing nothing is said");
}

#[test]
fn of_very_many_small_blocks_there_is_no_trail() {
    // An empty stored block for each byte.
    let trail = |cut: usize| {
        let stream = gzip(&content(1, 300_000), 6, cut);
        let mut reader = Reader::new(stream.as_slice(), Format::Gzip);
        assert_eq!(std::io::copy(&mut reader, &mut std::io::sink()).unwrap(), 300_000);
        reader.into_parts().1
    };
    assert!(trail(20).is_none());
    assert!(trail(100).is_some());
}

#[test]
fn a_stream_that_is_another_than_was_read_is_no_panic() {
    let old = content(1, 200_000);
    let streams = [gzip(&old, 6, 1 << 20), gzip(&old, 1, 1 << 20), gzip(&old, 6, 3000), Vec::new()];
    for (one, other) in streams.iter().flat_map(|one| streams.iter().map(move |other| (one, other))) {
        let mut reader = Reader::new(one.as_slice(), Format::Gzip);
        if std::io::copy(&mut reader, &mut std::io::sink()).is_err() {
            continue;
        }
        let trail = reader.into_parts().1.unwrap();
        let old = std::io::Cursor::new(&old);
        let editor = Editor::replay(other.as_slice(), (&trail, old), Format::Gzip, Vec::new(), Vec::new());
        let edits = [Edit { start: 1000, end: 1100, new: b"x".to_vec() }];
        let edited = tell(editor, &edits, 1 << 16, Reading::All, None);
        assert!(one != other || edited.is_ok());
    }
}
