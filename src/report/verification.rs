//! What a verification found, for programs and for people.
//!
//! Renders proofs; checks nothing.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::ImageName;
use super::document::Image;
use super::sections::Detail;
use super::size::count;
use super::style::{Style, safe};
use crate::finding::Severity;
use crate::json;
use crate::promise::{Proof, Shown, State};

/// What this document is.
const FORMAT: &str = "application/vnd.kiln.verification.v1+json";

/// Most breaches of one promise that a summary names.
const BREACHES: usize = 8;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// `application/vnd.kiln.verification.v1+json`.
    pub media_type: &'static str,
    /// Version of kiln.
    pub kiln: String,
    /// The image that was verified.
    pub image: Image,
    /// `OS/ARCH[/VARIANT]`.
    pub platform: String,
    /// The source that it was compared with.
    pub against: Option<Image>,
    /// Of all promises together.
    pub outcome: Standing,
    /// H1 to H10, in order.
    pub promises: Vec<PromiseEntry>,
    /// What a run of it showed; none where it was not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunEntry>,
}

/// What a run of an image showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunEntry {
    /// Which pod it ran under.
    pub pod: String,
    /// What was shown, in order: `pod`, `start`, `ready`, `driven`, `stop`, `attack`, `attack-writable`.
    pub shown: Vec<PromiseEntry>,
    /// The end of what the app said, by line, where it did not do what it should.
    pub last_words: Vec<String>,
}

/// What is known of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// All of it was checked and holds.
    Held,
    /// Nothing speaks against it, but not all of it could be checked.
    Open,
    /// Something of it does not hold.
    Broken,
}

/// A promise and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PromiseEntry {
    /// `H1`
    pub id: &'static str,
    /// The promise.
    pub title: &'static str,
    /// What is known of it.
    pub state: Standing,
    /// What was looked at and holds.
    pub proved: Vec<String>,
    /// What could not be looked at.
    pub open: Vec<String>,
    /// What does not hold.
    pub breaches: Vec<BreachEntry>,
}

/// One way in which a promise is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BreachEntry {
    /// Where: a path, a label, a layer; escaped.
    pub subject: String,
    /// What is wrong there.
    pub message: String,
}

impl From<State> for Standing {
    fn from(state: State) -> Self {
        match state {
            State::Held => Self::Held,
            State::Open => Self::Open,
            State::Broken => Self::Broken,
        }
    }
}

impl Verification {
    /// The document of `proofs` of `image`.
    pub fn of(image: &ImageName, platform: &str, against: Option<&ImageName>, proofs: &[Proof]) -> Self {
        let promises: Vec<PromiseEntry> = proofs.iter().map(entry).collect();
        let outcome = of_all(&promises.iter());
        Self {
            media_type: FORMAT,
            kiln: env!("CARGO_PKG_VERSION").to_owned(),
            image: Image::of(image),
            platform: platform.to_owned(),
            against: against.map(Image::of),
            outcome,
            promises,
            run: None,
        }
    }

    /// The same, with what a run under `pod` showed.
    #[must_use]
    pub fn with_run(mut self, pod: &str, proofs: &[Proof<Shown>], last_words: &[String]) -> Self {
        let run = RunEntry::of(pod, proofs, last_words);
        self.outcome = of_all(&self.promises.iter().chain(&run.shown));
        self.run = Some(run);
        self
    }

    /// Promises, and what a run showed.
    fn all(&self) -> impl Iterator<Item = &PromiseEntry> {
        self.promises.iter().chain(self.run.iter().flat_map(|run| &run.shown))
    }

    /// The document: two blanks of indentation, a newline at the end.
    pub fn render(&self) -> String {
        json::render(self)
    }

    fn ids(&self, state: Standing) -> String {
        let ids: Vec<&str> =
            self.all().filter(|promise| promise.state == state).map(|promise| promise.id).collect();
        ids.join(", ")
    }
}

impl RunEntry {
    /// What a run under `pod` showed.
    pub(super) fn of(pod: &str, proofs: &[Proof<Shown>], last_words: &[String]) -> Self {
        let shown = proofs.iter().map(shown).collect();
        Self { pod: pod.to_owned(), shown, last_words: last_words.to_vec() }
    }
}

/// The JSON Schema of the document (`kiln schema verification`).
pub fn verification_schema() -> String {
    json::render_schema::<Verification>()
}

fn of_all<'a>(entries: &(impl Iterator<Item = &'a PromiseEntry> + Clone)) -> Standing {
    let has = |state| entries.clone().any(|entry| entry.state == state);
    match () {
        () if has(Standing::Broken) => Standing::Broken,
        () if has(Standing::Open) => Standing::Open,
        () => Standing::Held,
    }
}

fn entry(proof: &Proof) -> PromiseEntry {
    let doc = proof.promise.doc();
    entry_of(doc.id, doc.title, proof)
}

fn shown(proof: &Proof<Shown>) -> PromiseEntry {
    entry_of(proof.promise.id(), proof.promise.title(), proof)
}

fn entry_of<P>(id: &'static str, title: &'static str, proof: &Proof<P>) -> PromiseEntry {
    let breaches = proof.breaches.iter();
    let breaches = breaches
        .map(|breach| BreachEntry { subject: breach.subject.clone(), message: breach.message.clone() });
    PromiseEntry {
        id,
        title,
        state: proof.state().into(),
        proved: proof.proved.clone(),
        open: proof.open.clone(),
        breaches: breaches.collect(),
    }
}

/// The verification for people: broken promises in full, the others in a line each.
pub fn render_verified(verification: &Verification, style: Style, detail: Detail) -> String {
    let Verification { image, platform, against, outcome, promises, run, .. } = verification;
    let mut out = format!("{} ({})\n", named(image), safe(platform));
    if let Some(against) = against {
        let _ = writeln!(out, "against {}", named(against));
    }
    out.push('\n');
    for promise in promises {
        render_entry(&mut out, promise, 4, style, detail);
    }
    if let Some(run) = run {
        out.push('\n');
        render_run(&mut out, run, style, detail);
    }
    out.push('\n');
    let open = verification.ids(Standing::Open);
    let verdict = match outcome {
        Standing::Held => style.good("all promises hold"),
        Standing::Open if against.is_some() && of_all(&promises.iter()) == Standing::Open => {
            style.severity(Severity::High, &format!("not proved: {open} could not be checked in full"))
        }
        Standing::Open => format!(
            "{}; not checked in full: {open}",
            style.good(&format!("{} hold", verification.ids(Standing::Held)))
        ),
        Standing::Broken => {
            let breaches = verification.all().map(|promise| promise.breaches.len() as u64).sum();
            let text = format!(
                "broken: {} ({})",
                verification.ids(Standing::Broken),
                count(breaches, "breach", "breaches")
            );
            style.severity(Severity::High, &text)
        }
    };
    let _ = writeln!(out, "{verdict}");
    if *outcome != Standing::Held {
        let _ = writeln!(out, "`kiln explain H1` tells what a promise is good for");
    }
    out
}

/// What a run showed.
pub(super) fn render_run(out: &mut String, run: &RunEntry, style: Style, detail: Detail) {
    let _ = writeln!(out, "run under {}\n", safe(&run.pod));
    for shown in &run.shown {
        render_entry(out, shown, 17, style, detail);
    }
    if !run.last_words.is_empty() {
        out.push_str("\n  the app's last words:\n");
    }
    for line in &run.last_words {
        let _ = writeln!(out, "    {}", safe(line));
    }
}

/// One promise, or one thing that a run showed; `width` is that of the longest id.
fn render_entry(out: &mut String, promise: &PromiseEntry, width: usize, style: Style, detail: Detail) {
    let state = match promise.state {
        Standing::Held => style.good("holds "),
        Standing::Open => style.severity(Severity::Medium, "open  "),
        Standing::Broken => style.severity(Severity::High, "BROKEN"),
    };
    let _ = writeln!(out, "  {:<width$}{state}  {}", promise.id, promise.title);
    let indent = width + "  BROKEN  ".len();
    let mut line = |text: &str| _ = writeln!(out, "{:indent$}{}", "", safe(text));
    let limit = if detail == Detail::Full { usize::MAX } else { BREACHES };
    for breach in promise.breaches.iter().take(limit) {
        line(&format!("{}: {}", breach.subject, breach.message));
    }
    if promise.breaches.len() > limit {
        line(&format!("… and {} more", promise.breaches.len() - limit));
    }
    for open in &promise.open {
        line(&format!("not checked: {open}"));
    }
    if detail == Detail::Full {
        for proved in &promise.proved {
            line(&format!("checked: {proved}"));
        }
    }
}

fn named(image: &Image) -> String {
    let name = safe(&image.name);
    image.digest.as_ref().map_or_else(|| name.to_string(), |digest| format!("{name} {digest}"))
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::digest::BlobDigest;
    use crate::promise::Promise;

    fn proofs() -> [Proof; 3] {
        let [mut held, mut broken, mut open] =
            [Promise::NoTools, Promise::NotWritable, Promise::Gone].map(Proof::new);
        held.prove("3 programs");
        broken.prove("90 files");
        for at in 0..10 {
            broken.break_at(format!("/etc/{at}"), "has a write bit");
        }
        open.leave_open("needs --against");
        [held, broken, open]
    }

    fn check(proofs: &[Proof], detail: Detail, expect: &Expect) {
        let image = ImageName { name: "oci:a\n".into(), digest: Some(BlobDigest::of(b"x")) };
        let verification = Verification::of(&image, "linux/amd64", None, proofs);
        expect.assert_eq(&render_verified(&verification, Style::Plain, detail));
    }

    #[test]
    fn broken_promises_are_told_with_their_breaches() {
        check(
            &proofs(),
            Detail::Short,
            &expect![[r#"
            oci:a\n sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 (linux/amd64)

              H1  holds   no shell, package manager or catalogued tool is left under any name, but those that the manifest gives a reason for
              H3  BROKEN  no write bit, setuid, setgid or file capability outside the declared writable paths, and nothing there that the user owns
                          /etc/0: has a write bit
                          /etc/1: has a write bit
                          /etc/2: has a write bit
                          /etc/3: has a write bit
                          /etc/4: has a write bit
                          /etc/5: has a write bit
                          /etc/6: has a write bit
                          /etc/7: has a write bit
                          … and 2 more
              H4  open    what was removed is gone from every layer, not hidden, and the reported bytes add up
                          not checked: needs --against

            broken: H3 (10 breaches)
            `kiln explain H1` tells what a promise is good for
        "#]],
        );
    }

    #[test]
    fn everything_that_was_looked_at_is_told_when_asked_for() {
        let [held, _, open] = proofs();
        check(
            &[held, open],
            Detail::Full,
            &expect![[r#"
            oci:a\n sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 (linux/amd64)

              H1  holds   no shell, package manager or catalogued tool is left under any name, but those that the manifest gives a reason for
                          checked: 3 programs
              H4  open    what was removed is gone from every layer, not hidden, and the reported bytes add up
                          not checked: needs --against

            H1 hold; not checked in full: H4
            `kiln explain H1` tells what a promise is good for
        "#]],
        );
    }

    #[test]
    fn what_a_run_showed_is_told_below_the_promises() {
        let [held, ..] = proofs();
        let image = ImageName { name: "a".into(), digest: None };
        let [mut start, mut attack] = [Shown::Start, Shown::AttackWritable].map(Proof::new);
        start.break_at("app", "does not start");
        attack.leave_open("not attacked");
        let verification = Verification::of(&image, "linux/amd64", None, &[held]).with_run(
            "Pod `p\x1b`",
            &[start, attack],
            &["no\x1b such file".to_owned()],
        );
        let text = render_verified(&verification, Style::Plain, Detail::Short);
        expect![[r#"
            a (linux/amd64)

              H1  holds   no shell, package manager or catalogued tool is left under any name, but those that the manifest gives a reason for

            run under Pod `p\x1b`

              start            BROKEN  the app starts under the user, rights, root and mounts of the pod
                                       app: does not start
              attack-writable  open    the same on a writable root, where only modes and owners protect
                                       not checked: not attacked

              the app's last words:
                no\x1b such file

            broken: start (1 breach)
            `kiln explain H1` tells what a promise is good for
        "#]]
        .assert_eq(&text);
        let schema = serde_json::from_str(&verification_schema()).unwrap();
        let value = serde_json::from_str(&verification.render()).unwrap();
        assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&value));
    }

    #[test]
    fn what_was_not_checked_is_not_counted_as_held() {
        let [held, _, open] = proofs();
        let image = ImageName { name: "a".into(), digest: None };
        let of = |proofs: &[Proof], against| Verification::of(&image, "linux/amd64", against, proofs);
        assert_eq!(of(std::slice::from_ref(&held), None).outcome, Standing::Held);
        let open = of(&[held, open], Some(&image));
        assert_eq!(open.outcome, Standing::Open);
        let text = render_verified(&open, Style::Plain, Detail::Short);
        assert!(text.contains("not proved: H4 could not be checked in full"), "{text}");
    }

    #[test]
    fn the_document_is_of_its_own_schema() {
        let image = ImageName { name: "a".into(), digest: None };
        let document = Verification::of(&image, "linux/amd64", None, &proofs());
        let schema = serde_json::from_str(&verification_schema()).unwrap();
        let value = serde_json::from_str(&document.render()).unwrap();
        assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&value));
    }
}
