//! Blocks written: bits as they came, tokens with codes that are there, and blocks with codes of their own.

use std::borrow::Cow;
use std::sync::Arc;

use super::DecodeError;
use super::bits::BitWriter;
use super::block::{Codes, Written};
use super::compress::{LEVEL, compress};
use super::decode::Coded;
use super::token::{DISTANCES, END, LITERALS, Match, Symbol, Token, distance_symbol, length_symbol};

/// Most bytes of a stored block.
const MAX_STORED: usize = 65_535;

/// Where a block of its own may be shorter: so many times the bits of a block's description are not worth describing it.
const FEW: u64 = 8;

/// Codes, and the bits of the block that is written with them.
type Fitting = (Cow<'static, Written>, u64);

/// In more parts than these a segment is not worth being divided.
const MOST_PARTS: usize = 16;

/// What becomes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Bits of the segment, from one number to another.
    Bits(u32, u32),
    /// A token that it does not have so.
    Token(Token),
    /// New bytes, from one place in the new content to another.
    New(u64, u64),
}

/// Writes blocks.
#[derive(Debug, Default)]
pub(super) struct Emitter {
    pub(super) out: BitWriter,
    /// The codes of the block that is open.
    open: Option<Arc<Codes>>,
}

impl Emitter {
    /// Copies all of a segment.
    pub(super) fn copy(&mut self, coded: &Coded) {
        if coded.bits > 0 {
            self.begin(&coded.codes);
            self.out.copy(coded.range(0, coded.bits));
        }
        self.end(coded.is_end);
    }

    /// Writes bytes as they are.
    pub(super) fn stored(&mut self, bytes: &[u8]) {
        self.close();
        for chunk in bytes.chunks(MAX_STORED) {
            let length = chunk.len() as u64;
            self.out.write(0, 3);
            self.out.align();
            self.out.write(length | (!length & 0xffff) << 16, 32);
            self.out.bytes(chunk);
        }
    }

    /// Writes what became of a segment. `bytes` gives new content.
    pub(super) fn changed<'n>(
        &mut self,
        coded: &Coded,
        ops: &[Op],
        bytes: impl Fn(u64, u64) -> &'n [u8],
    ) -> Result<(), DecodeError> {
        for part in ops.chunk_by(|a, b| !matches!(a, Op::New(..)) && !matches!(b, Op::New(..))) {
            match part {
                [Op::New(from, to)] => self.compressed(bytes(*from, *to)),
                part => self.tokens(coded, part)?,
            }
        }
        self.end(coded.is_end);
        Ok(())
    }

    /// Ends the stream.
    pub(super) fn finish(&mut self) {
        self.close();
        // An empty last block with the fixed codes.
        self.out.write(3, 3);
        self.out.write(0, 7);
        self.out.align();
    }

    /// Ends a segment, with which its block may end.
    pub(super) fn end(&mut self, is_end: bool) {
        if is_end {
            self.close();
        }
    }

    fn begin(&mut self, codes: &Arc<Codes>) {
        if self.open.as_ref().is_some_and(|open| Arc::ptr_eq(open, codes)) {
            return;
        }
        self.close();
        codes.written.begin(&mut self.out);
        self.open = Some(Arc::clone(codes));
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.written.end(&mut self.out);
        }
    }

    /// Writes tokens with the segment's codes, or in a block of their own if that is shorter or they have none there.
    fn tokens(&mut self, coded: &Coded, ops: &[Op]) -> Result<(), DecodeError> {
        let codes = &coded.codes.written;
        let bits = |op: &Op| match *op {
            Op::Bits(from, to) => Some(u64::from(to - from)),
            Op::Token(token) => cost(codes, token),
            Op::New(..) => None,
        };
        let is_open = self.open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &coded.codes));
        let begins = if is_open { 0 } else { codes.cost() };
        let kept: u64 = ops.iter().filter_map(bits).sum();
        let changed: u64 = ops.iter().filter(|op| matches!(op, Op::Token(_))).filter_map(bits).sum();
        let is_whole = ops.iter().all(|op| bits(op).is_some());
        if is_whole && changed < kept / 2 && kept > begins * FEW {
            self.with_codes(coded, ops);
            return Ok(());
        }
        let tokens = spelled(coded, ops)?;
        let (own, own_bits) = fitting(&tokens);
        let runs: Vec<&[Op]> = ops.chunk_by(|a, b| bits(a).is_some() == bits(b).is_some()).collect();
        if runs.len() > MOST_PARTS {
            self.own(&own, &tokens);
            return Ok(());
        }
        // Where codes are missing the rest can go out as it came, round blocks for what has none.
        let end = u64::from(codes.literals().length(END));
        let mut around = kept + begins;
        let mut parts = Vec::new();
        for run in runs {
            let is_coded = run.iter().all(|op| bits(op).is_some());
            let tokens = if is_coded { Vec::new() } else { spelled(coded, run)? };
            let own = (!is_coded).then(|| fitting(&tokens));
            around += own.as_ref().map_or(0, |(_, bits)| bits + codes.cost() + end);
            parts.push((run, tokens, own));
        }
        if own_bits + if is_open { end } else { 0 } <= around {
            self.own(&own, &tokens);
            return Ok(());
        }
        for (run, tokens, own) in parts {
            match own {
                Some((own, _)) => self.own(&own, &tokens),
                None => self.with_codes(coded, run),
            }
        }
        Ok(())
    }

    fn with_codes(&mut self, coded: &Coded, ops: &[Op]) {
        self.begin(&coded.codes);
        for op in ops {
            match *op {
                Op::Bits(from, to) => self.out.copy(coded.range(from, to)),
                Op::Token(token) => write(&coded.codes.written, token, &mut self.out),
                Op::New(..) => {}
            }
        }
    }

    /// Writes a block of its own.
    fn own(&mut self, codes: &Written, tokens: &[Token]) {
        self.close();
        codes.begin(&mut self.out);
        for &token in tokens {
            write(codes, token, &mut self.out);
        }
        codes.end(&mut self.out);
    }

    /// Compresses bytes that no segment has.
    pub(super) fn compressed(&mut self, bytes: &[u8]) {
        self.close();
        // What is compressed for itself begins at the beginning of a byte.
        self.out.write(0, 3);
        self.out.align();
        self.out.write(0xffff_0000, 32);
        self.out.bytes(&compress(bytes, &[], LEVEL));
    }
}

/// Bits of a token; `None` where the codes have none for it.
fn cost(codes: &Written, token: Token) -> Option<u64> {
    let coded = |length: u8, extra: u8| (length > 0).then(|| u64::from(length) + u64::from(extra));
    match token {
        Token::Literal(byte) => coded(codes.literals().length(byte.into()), 0),
        Token::Match(Match { length, distance }) => {
            let (length, distance) = (length_symbol(length), distance_symbol(distance));
            let of_length = coded(codes.literals().length(length.number), length.bits)?;
            Some(of_length + coded(codes.distances().length(distance.number), distance.bits)?)
        }
    }
}

fn write(codes: &Written, token: Token, out: &mut BitWriter) {
    match token {
        Token::Literal(byte) => {
            let code = codes.literals();
            out.write(code.bits(byte.into()).into(), code.length(byte.into()).into());
        }
        Token::Match(Match { length, distance }) => {
            for (code, symbol) in
                [(codes.literals(), length_symbol(length)), (codes.distances(), distance_symbol(distance))]
            {
                let Symbol { number, extra, bits } = symbol;
                out.write(code.bits(number).into(), code.length(number).into());
                out.write(extra.into(), bits.into());
            }
        }
    }
}

/// All tokens that `ops` are.
fn spelled(coded: &Coded, ops: &[Op]) -> Result<Vec<Token>, DecodeError> {
    let mut out = Vec::new();
    for op in ops {
        match *op {
            Op::Bits(from, to) => out.extend(coded.tokens(from, to)?),
            Op::Token(token) => out.push(token),
            Op::New(..) => {}
        }
    }
    Ok(out)
}

/// The codes for a block of `tokens` alone, and its bits.
fn fitting(tokens: &[Token]) -> Fitting {
    let (mut literals, mut distances) = ([0u32; LITERALS], [0u32; DISTANCES]);
    let add = |list: &mut [u32], symbol: usize| {
        if let Some(frequency) = list.get_mut(symbol) {
            *frequency += 1;
        }
    };
    for token in tokens {
        match *token {
            Token::Literal(byte) => add(&mut literals, byte.into()),
            Token::Match(Match { length, distance }) => {
                add(&mut literals, length_symbol(length).number);
                add(&mut distances, distance_symbol(distance).number);
            }
        }
    }
    add(&mut literals, END);
    let bits = |codes: &Written| {
        let tokens: u64 = tokens.iter().filter_map(|&token| cost(codes, token)).sum();
        tokens + codes.cost() + u64::from(codes.literals().length(END))
    };
    let (own, fixed) = (Written::fitting(&literals, &distances), Written::fixed());
    let (of_own, of_fixed) = (bits(&own), bits(fixed));
    if of_own < of_fixed { (Cow::Owned(own), of_own) } else { (Cow::Borrowed(fixed), of_fixed) }
}
