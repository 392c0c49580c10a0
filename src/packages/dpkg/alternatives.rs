//! Groups of alternatives, as `update-alternatives` records them.
//!
//! Does not know which program of a group is in use: the links in the tree say that.

use crate::path::ImagePath;

/// Directory of the records.
pub const RECORDS: &str = "var/lib/dpkg/alternatives";

/// Directory of the second links.
pub const LINKS: &str = "etc/alternatives";

/// One group: a name that is used, and the programs that can stand behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// Name of the group: `awk`.
    pub name: String,
    /// The record that says so.
    pub record: ImagePath,
    /// Links that the group makes outside `/etc/alternatives`, the master's first, as written.
    pub links: Vec<Link>,
    /// What can stand behind the links.
    pub choices: Vec<Choice>,
}

/// One link of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Name in `/etc/alternatives`.
    pub name: Vec<u8>,
    /// The name that is used: `/usr/bin/awk`.
    pub path: ImagePath,
}

/// One choice of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// A target per link, in the order of [`Alternative::links`]; `None` where this choice has none.
    pub targets: Vec<Option<ImagePath>>,
}

/// A record cut into lines, by what they are.
pub(super) struct Layout<'a> {
    /// State, master link, pairs of slave name and link, and the blank line that ends them.
    pub(super) head: Vec<&'a [u8]>,
    /// Master target, priority, one target per slave: the lines of each choice.
    pub(super) choices: Vec<Vec<&'a [u8]>>,
    /// What follows.
    pub(super) tail: Vec<&'a [u8]>,
}

/// Cuts a record; `None` where it is none. Lines keep their line end.
pub(super) fn layout(bytes: &[u8]) -> Option<Layout<'_>> {
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let mut head = vec![lines.next()?, lines.next()?];
    let mut slaves = 0;
    loop {
        let line = lines.next()?;
        head.push(line);
        if text(line).is_empty() {
            break;
        }
        head.push(lines.next()?);
        slaves += 1;
    }
    let mut choices = Vec::new();
    let mut tail = Vec::new();
    while let Some(line) = lines.next() {
        if text(line).is_empty() {
            tail.push(line);
            break;
        }
        let mut choice = vec![line, lines.next()?];
        for _ in 0..slaves {
            choice.push(lines.next()?);
        }
        choices.push(choice);
    }
    tail.extend(lines);
    Some(Layout { head, choices, tail })
}

/// Reads the record at `record`; `None` where it is none.
pub(super) fn parse(record: &ImagePath, bytes: &[u8]) -> Option<Alternative> {
    let layout = layout(bytes)?;
    let mut head = layout.head.into_iter().map(text);
    let _state = head.next()?;
    let mut links = vec![Link { name: record.name().to_vec(), path: ImagePath::parse(head.next()?).ok()? }];
    while let (Some(name), Some(path)) = (head.next(), head.next()) {
        links.push(Link { name: name.to_vec(), path: ImagePath::parse(path).ok()? });
    }
    let choices = layout
        .choices
        .into_iter()
        .map(|lines| {
            // The second line is the priority.
            let targets =
                lines.into_iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, line)| target(line));
            Choice { targets: targets.collect() }
        })
        .collect();
    let name = String::from_utf8_lossy(record.name()).into_owned();
    Some(Alternative { name, record: record.clone(), links, choices })
}

/// The path in a line; `None` for a blank one.
pub(super) fn target(line: &[u8]) -> Option<ImagePath> {
    ImagePath::parse(text(line)).ok().filter(|path| !path.is_root())
}

fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_links_and_a_target_for_each() {
        let bytes = b"auto\n/usr/bin/awk\nawk.1.gz\n/usr/share/man/man1/awk.1.gz\n\n/usr/bin/mawk\n5\n/usr/share/man/man1/mawk.1.gz\n/usr/bin/gawk\n10\n\n\n";
        let awk = parse(&ImagePath::literal("var/lib/dpkg/alternatives/awk"), bytes).unwrap();
        assert_eq!(awk.name, "awk");
        let links: Vec<String> = awk.links.iter().map(|link| link.path.to_string()).collect();
        assert_eq!(links, ["/usr/bin/awk", "/usr/share/man/man1/awk.1.gz"]);
        assert_eq!(awk.choices.len(), 2);
        assert_eq!(awk.choices[1].targets, [Some(ImagePath::literal("usr/bin/gawk")), None]);
    }

    #[test]
    fn a_cut_record_is_none() {
        let record = ImagePath::literal("var/lib/dpkg/alternatives/awk");
        for bytes in [&b""[..], b"auto\n", b"auto\n/a\n", b"auto\n/a\nb\n", b"auto\n/a\n\n/b\n"] {
            assert_eq!(parse(&record, bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
