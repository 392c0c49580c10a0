//! When a CronJob runs, as the controller reads it (`github.com/robfig/cron/v3`, `ParseStandard`).
//!
//! Knows no clock: whether there is ever such a day it does not say.

/// A field: its numbers, and words that stand for them from the first on.
struct Field {
    least: u32,
    most: u32,
    words: &'static [&'static str],
}

/// Minute, hour, day of the month, month, day of the week.
const FIELDS: [Field; 5] = [
    Field { least: 0, most: 59, words: &[] },
    Field { least: 0, most: 23, words: &[] },
    Field { least: 1, most: 31, words: &[] },
    Field {
        least: 1,
        most: 12,
        words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field { least: 0, most: 6, words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

/// Words for whole schedules.
const WORDS: [&str; 7] = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"];

/// Units of Go's durations; longer ones first where one begins like another.
const UNITS: [&str; 8] = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];

/// Whether `text` is five fields, one of the words, or `@every` and a duration.
pub(super) fn is_schedule(text: &str) -> bool {
    if let Some(word) = text.strip_prefix('@') {
        return match word.strip_prefix("every ") {
            Some(duration) => is_duration(duration),
            None => WORDS.contains(&word),
        };
    }
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    fields.len() == FIELDS.len() && fields.iter().zip(&FIELDS).all(|(text, field)| field.takes(text))
}

impl Field {
    /// `*`, `1`, `1-5`, `*/2`, `mon,wed-fri`.
    fn takes(&self, text: &str) -> bool {
        text.split(',').all(|part| self.takes_part(part))
    }

    fn takes_part(&self, text: &str) -> bool {
        let (range, step) = text.split_once('/').map_or((text, None), |(range, step)| (range, Some(step)));
        if step.is_some_and(|step| number(step).is_none_or(|step| step == 0)) {
            return false;
        }
        if matches!(range, "*" | "?") {
            return true;
        }
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        matches!((self.value(from), self.value(to)), (Some(from), Some(to)) if from <= to)
    }

    fn value(&self, text: &str) -> Option<u32> {
        let word = || self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let value = number(text).or_else(|| Some(self.least + u32::try_from(word()?).ok()?))?;
        (self.least..=self.most).contains(&value).then_some(value)
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `1h30m`, `1.5h`: more than nothing.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    let mut is_any = false;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (amount, behind) = rest.split_at(end);
        let Some(unit) = UNITS.iter().find(|unit| behind.starts_with(**unit)) else { return false };
        let Ok(amount) = amount.parse::<f64>() else { return false };
        is_any |= amount > 0.0;
        rest = behind.get(unit.len()..).unwrap_or_default();
    }
    is_any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_what_the_controller_reads() {
        for good in [
            "0 3 * * *",
            "*/5 0-6/2 1,15 JAN-mar mon-fri",
            "0 0 ? * sun",
            "5/10 * * * 6",
            "@daily",
            "@every 1h",
            "@every 1h30m",
            "@every 1.5h",
            "@every 500ms",
        ] {
            assert!(is_schedule(good), "{good}");
        }
        for bad in [
            "99 77 * * foo",
            "0 3 * * 7",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * mon-sun",
            "5-1 * * * *",
            "*/0 * * * *",
            "*/x * * * *",
            "1,, * * * *",
            "- * * * *",
            "* * * *",
            "* * * * * *",
            "TZ=UTC 0 3 * * *",
            "daily",
            "@never",
            "@every",
            "@every 0s",
            "@every -1h",
            "@every 1",
            "@every h",
            "@every 1d",
            "@every .h",
        ] {
            assert!(!is_schedule(bad), "{bad}");
        }
    }
}
