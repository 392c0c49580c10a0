//! The annotation `kiln.dev/ignore`: which findings a resource does not want to be told, why, and until when.
//!
//! Knows no rule by itself; a line of another shape is told as it stands.

/// The annotation's name.
pub(super) const KEY: &str = "kiln.dev/ignore";

/// A line of the annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ignore {
    /// The rule's id.
    pub(super) rule: String,
    /// Only of this container.
    pub(super) container: Option<String>,
    /// The last day, `YYYY-MM-DD`.
    pub(super) until: Option<String>,
    /// Why.
    pub(super) reason: String,
}

/// The lines of the annotation's `text`: what each says, or what is wrong with it.
pub(super) fn parse(text: &str) -> Vec<Result<Ignore, String>> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse_line).collect()
}

fn parse_line(line: &str) -> Result<Ignore, String> {
    let wrong = |why: &str| format!("`{line}`: {why}");
    let (head, reason) = line.split_once(':').ok_or_else(|| wrong("no reason: expected `RULE: REASON`"))?;
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(wrong("no reason behind the colon"));
    }
    let mut words = head.split_whitespace();
    let what = words.next().ok_or_else(|| wrong("no rule before the colon"))?;
    let (rule, container) = match what.split_once('/') {
        Some((rule, container)) => (rule, Some(container.to_owned())),
        None => (what, None),
    };
    let until = match (words.next(), words.next(), words.next()) {
        (None, ..) => None,
        (Some("until"), Some(day), None) if is_day(day) => Some(day.to_owned()),
        (Some("until"), Some(_), None) => return Err(wrong("expected a day behind `until`: YYYY-MM-DD")),
        _ => return Err(wrong("expected `RULE[/CONTAINER] [until YYYY-MM-DD]: REASON`")),
    };
    let known = super::rules::rule(rule).ok_or_else(|| wrong("no such rule"))?;
    Ok(Ignore { rule: known.id.to_owned(), container, until, reason: reason.to_owned() })
}

/// Whether the text is a day, `YYYY-MM-DD`, that a calendar may have.
pub fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())
    };
    let [year, month, day] = parts.as_slice() else { return false };
    let (year, month, day) = (number(year, 4), number(month, 2), number(day, 2));
    year.flatten().is_some()
        && month.flatten().is_some_and(|month| (1..=12).contains(&month))
        && day.flatten().is_some_and(|day| (1..=31).contains(&day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_which_whose_until_when_and_why() {
        let text = "FS007: bounded by the app\n\n  sc001/web until 2027-03-01: no digests: yet\n";
        let ignore = |rule: &str, container: Option<&str>, until: Option<&str>, reason: &str| Ignore {
            rule: rule.into(),
            container: container.map(Into::into),
            until: until.map(Into::into),
            reason: reason.into(),
        };
        assert_eq!(
            parse(text),
            [
                Ok(ignore("FS007", None, None, "bounded by the app")),
                Ok(ignore("SC001", Some("web"), Some("2027-03-01"), "no digests: yet")),
            ]
        );
    }

    #[test]
    fn lines_of_another_shape_say_what_is_wrong() {
        let cases = [
            ("FS007", "no reason: expected `RULE: REASON`"),
            ("FS007:  ", "no reason behind the colon"),
            (": why", "no rule before the colon"),
            ("FS999: why", "no such rule"),
            ("FS007 until 2027-13-01: why", "expected a day behind `until`: YYYY-MM-DD"),
            ("FS007 till 2027-01-01: why", "expected `RULE[/CONTAINER] [until YYYY-MM-DD]: REASON`"),
        ];
        for (line, why) in cases {
            assert_eq!(parse(line), [Err(format!("`{}`: {why}", line.trim()))], "{line}");
        }
    }
}
