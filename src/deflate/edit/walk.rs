//! The tokens of a segment, one after the other, and what becomes of each where some of the content changed.
//!
//! Decides; writes nothing.

use std::io::Write;

use super::Editor;
use crate::deflate::decode::{Place, Segment};
use crate::deflate::emit::Op;
use crate::deflate::token::{Match, Token};
use crate::deflate::{MIN_MATCH, WINDOW};

/// Goes through the tokens of a segment.
pub(super) struct Walk<'e, 's, W, C> {
    editor: &'e Editor<'s, W, C>,
    segment: &'e Segment,
    places: &'e [Place],
    /// Number of the first match that is not behind.
    next: usize,
    /// Where the bits of what follows the match before begin.
    bit: u32,
    pub(super) ops: Vec<Op>,
    /// All bits of the segment.
    bits: u32,
}

impl<'e, 's, W: Write, C: Write> Walk<'e, 's, W, C> {
    /// Begins with the first token of `segment`, which has these matches and so many bits.
    pub(super) fn new(
        editor: &'e Editor<'s, W, C>,
        segment: &'e Segment,
        places: &'e [Place],
        bits: u32,
    ) -> Self {
        Self { editor, segment, places, next: 0, bit: 0, ops: Vec::new(), bits }
    }

    /// Goes through the old content from `from` to `to`, which stays.
    pub(super) fn old(&mut self, from: u64, to: u64, zone: u64) {
        let mut at = from;
        while at < to {
            let Some(place) = self.places.get(self.next).copied() else {
                let start = self.run_start();
                self.literals(at, to, start, self.segment.end, self.bits);
                return;
            };
            let begin = self.segment.start + u64::from(place.at);
            let end = begin + u64::from(place.is.length);
            if end <= at {
                self.pass(place);
                continue;
            }
            if at < begin {
                let start = self.run_start();
                let until = to.min(begin);
                self.literals(at, until, start, begin, place.bits_end - u32::from(place.bits));
                at = until;
                continue;
            }
            if at == begin && begin >= zone {
                at = self.whole(place, to, at);
                if at >= end {
                    continue;
                }
            }
            let until = to.min(end);
            self.copy(place, at, until, zone);
            at = until;
            if until == end {
                self.pass(place);
            }
        }
    }

    /// Takes over everything from the match `place`, which begins at `at`, to the last one that ends before `to`, as it is: where it
    /// ends then.
    fn whole(&mut self, place: Place, to: u64, at: u64) -> u64 {
        let ends = |place: &Place| self.segment.start + u64::from(place.at) + u64::from(place.is.length);
        let rest = self.places.get(self.next..).unwrap_or_default();
        let count = rest.partition_point(|place| ends(place) <= to);
        let Some(last) = count.checked_sub(1).and_then(|index| rest.get(index)).copied() else { return at };
        let end = ends(&last);
        self.bits(place.bits_end - u32::from(place.bits), last.bits_end);
        self.next += count;
        self.bit = last.bits_end;
        end
    }

    /// Goes past a match.
    fn pass(&mut self, place: Place) {
        self.bit = place.bits_end;
        self.next += 1;
    }

    /// Where the literals behind the last match begin.
    fn run_start(&self) -> u64 {
        let before = self.next.checked_sub(1).and_then(|index| self.places.get(index));
        before.map_or(self.segment.start, |place| {
            self.segment.start + u64::from(place.at) + u64::from(place.is.length)
        })
    }

    /// The literals from `from` to `to` of those from `start` to `end`, whose bits end at `bits_end`.
    fn literals(&mut self, from: u64, to: u64, start: u64, end: u64, bits_end: u32) {
        if (from, to) == (start, end) {
            return self.bits(self.bit, bits_end);
        }
        let bytes = self.editor.old.range(from, to).iter();
        self.ops.extend(bytes.map(|&byte| Op::Token(Token::Literal(byte))));
    }

    fn bits(&mut self, from: u32, to: u32) {
        if from == to {
            return;
        }
        match self.ops.last_mut() {
            Some(Op::Bits(_, end)) if *end == from => *end = to,
            _ => self.ops.push(Op::Bits(from, to)),
        }
    }

    /// The part from `from` to `to` of what a match copies.
    fn copy(&mut self, place: Place, from: u64, to: u64, zone: u64) {
        let begin = self.segment.start + u64::from(place.at);
        let is_whole = from == begin && to == begin + u64::from(place.is.length);
        let own = (place.bits_end - u32::from(place.bits), place.bits_end);
        let distance = u64::from(place.is.distance);
        // What it copies stands behind the last edit, or the edit is too far back.
        let edited = zone.saturating_sub(WINDOW as u64);
        if is_whole && (begin >= zone || begin.saturating_sub(distance) >= edited) {
            return self.bits(own.0, own.1);
        }
        let Some(new) = self.editor.moved(from) else { return };
        let length = (to - from) as usize;
        if is_whole && distance <= new && self.editor.new.is_same(new, new - distance, length) {
            return self.bits(own.0, own.1);
        }
        let mut done = 0;
        while done < length {
            let at = new + done as u64;
            let (held, token) = self.source((from + done as u64).saturating_sub(distance), at, length - done);
            if let Some(is) = token {
                self.ops.push(Op::Token(Token::Match(is)));
            } else {
                let bytes = self.editor.new.range(at, at + held as u64).iter();
                self.ops.extend(bytes.map(|&byte| Op::Token(Token::Literal(byte))));
            }
            done += held;
        }
    }

    /// How many of the `length` new bytes at `at`, which are copies of what stood at `old`, are one kind of thing, and the match that
    /// they are if they can be one.
    fn source(&self, old: u64, at: u64, length: usize) -> (usize, Option<Match>) {
        let kept = &self.editor.kept;
        let next = kept.partition_point(|kept| kept.old <= old);
        let own =
            next.checked_sub(1).and_then(|index| kept.get(index)).filter(|kept| old < kept.old + kept.length);
        let Some(own) = own else {
            // What was there is gone, up to what is there again.
            let gone = kept.get(next).map_or(u64::MAX, |kept| kept.old - old);
            return (length.min(usize::try_from(gone).unwrap_or(usize::MAX)), None);
        };
        let held = length.min(usize::try_from(own.old + own.length - old).unwrap_or(usize::MAX));
        let source = own.new + (old - own.old);
        let distance = at.saturating_sub(source);
        let is_match = held >= MIN_MATCH
            && (1..=WINDOW as u64).contains(&distance)
            && self.editor.new.is_same(at, source, held);
        (held, is_match.then_some(Match { length: held as u16, distance: distance as u16 }))
    }
}
