//! Lines of a log one after the other: what several of them tell together.
//!
//! Puts together again what a container runtime has cut, and gives a line the reason that stands in the next one. Does not
//! know directories.

use std::io::{self, BufRead};

use super::line::{Denied, before_bare_reason, read_line, read_without_reason};

/// Longest line that is read whole, bytes; the rest of a longer one is passed over.
const MAX_LINE: u64 = 1 << 20;

/// Names of the streams in the files of a container runtime.
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// Reads a log, and yields what tells of a read-only file system.
pub struct Lines<'a> {
    input: &'a mut dyn BufRead,
    number: u64,
    /// The line before.
    before: (u64, String),
    /// What a runtime has cut, of its two streams.
    cut: [String; STREAMS.len()],
}

/// A line that tells of a read-only file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// From 1; of several that belong together, the one that has the path.
    pub line: u64,
    /// What it says.
    pub text: String,
    /// What was denied.
    pub denied: Vec<Denied>,
}

impl<'a> Lines<'a> {
    /// Of the log `input`.
    pub fn new(input: &'a mut dyn BufRead) -> Self {
        Self { input, number: 0, before: (0, String::new()), cut: Default::default() }
    }

    /// How many lines were read.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line, without its end.
    fn read(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        let mut within = io::Read::take(&mut *self.input, MAX_LINE);
        if within.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        if bytes.len() as u64 == MAX_LINE && !bytes.ends_with(b"\n") {
            self.input.skip_until(b'\n')?;
        }
        self.number += 1;
        Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
    }

    /// What the line `text` tells, with those before it.
    fn take(&mut self, text: String) -> Option<Told> {
        let text = self.join(text)?;
        let denied = read_line(&text);
        let (number, before) = std::mem::replace(&mut self.before, (self.number, text));
        let (_, text) = &self.before;
        if denied.is_empty() {
            return None;
        }
        // mosquitto: `1777882314: Error: Unable to open log file /x for writing.`, `1777882314: Error: Read-only file system.`
        // Lines of one time belong together.
        if denied.iter().all(|denied| denied.path.is_none())
            && let Some(time) = before_bare_reason(text).and_then(|head| head.rsplit(' ').next())
            && time.bytes().any(|byte| byte.is_ascii_digit())
            && before.split(' ').any(|word| word == time)
            && let Some(denied) = read_without_reason(&before)
        {
            return Some(Told { line: number, text: before, denied: vec![denied] });
        }
        Some(Told { line: self.number, text: text.clone(), denied })
    }

    /// A line as its program wrote it, once its last part is there: `2026-05-04T08:11:54.2Z stderr P …`, then `F`.
    fn join(&mut self, text: String) -> Option<String> {
        let mut parts = text.splitn(4, ' ');
        let (Some(time), Some(stream), Some(tag), rest) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Some(text);
        };
        let Some(index) = STREAMS.iter().position(|known| *known == stream) else { return Some(text) };
        let Some(cut) = self.cut.get_mut(index).filter(|_| time.contains('T')) else { return Some(text) };
        let room = usize::try_from(MAX_LINE).unwrap_or(usize::MAX).saturating_sub(cut.len());
        let rest = rest.unwrap_or_default();
        match tag {
            "P" if rest.len() <= room => {
                cut.push_str(rest);
                None
            }
            "P" => None,
            "F" => Some(std::mem::take(cut) + rest),
            _ => Some(text),
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = io::Result<Told>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read() {
                Ok(Some(text)) => {
                    if let Some(told) = self.take(text) {
                        return Some(Ok(told));
                    }
                }
                // A log may end within a line.
                Ok(None) => {
                    let rest = self.cut.iter_mut().find(|cut| !cut.is_empty()).map(std::mem::take)?;
                    if let Some(told) = self.take(rest) {
                        return Some(Ok(told));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &str) -> Vec<(u64, Option<String>)> {
        let mut input = log.as_bytes();
        Lines::new(&mut input)
            .map(Result::unwrap)
            .flat_map(|told| told.denied.into_iter().map(move |denied| (told.line, denied.path)))
            .collect()
    }

    #[test]
    fn lines_that_the_runtime_cut_are_put_together() {
        let log = "2026-05-04T08:11:54.3Z stderr P open /srv/\n\
            2026-05-04T08:11:54.3Z stdout F ready\n\
            2026-05-04T08:11:54.3Z stderr F x: read-only file system\n";
        assert_eq!(told(log), [(3, Some("/srv/x".to_owned()))]);
        let log = "2026-05-04T08:11:54.3Z stderr P open /srv/x: read-only file system and";
        assert_eq!(told(log), [(1, Some("/srv/x".to_owned()))]);
    }

    #[test]
    fn a_reason_alone_belongs_to_the_line_before_of_the_same_time_only() {
        let path = "1777882314: Error: Unable to open log file /srv/x for writing.\n";
        let reason = "1777882314: Error: Read-only file system.\n";
        assert_eq!(told(&format!("{path}{reason}")), [(1, Some("/srv/x".to_owned()))]);
        assert_eq!(told(&format!("{path}1777882319: Error: Read-only file system.\n")), [(2, None)]);
        assert_eq!(told(&format!("{path}\n{reason}")), [(3, None)]);
        assert_eq!(told(&format!("1777882314: Config loaded from /etc/x.\n{reason}")), [(2, None)]);
        assert_eq!(told("Failed to open /srv/x\nError: Read-only file system\n"), [(2, None)]);
    }
}
