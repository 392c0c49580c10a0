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
use crate::promise::{Proof, State};

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
        let has = |state| promises.iter().any(|promise| promise.state == state);
        let outcome = match () {
            () if has(Standing::Broken) => Standing::Broken,
            () if has(Standing::Open) => Standing::Open,
            () => Standing::Held,
        };
        Self {
            media_type: FORMAT,
            kiln: env!("CARGO_PKG_VERSION").to_owned(),
            image: Image::of(image),
            platform: platform.to_owned(),
            against: against.map(Image::of),
            outcome,
            promises,
        }
    }

    /// The document: two blanks of indentation, a newline at the end.
    pub fn render(&self) -> String {
        json::render(self)
    }

    fn ids(&self, state: Standing) -> String {
        let ids: Vec<&str> =
            self.promises.iter().filter(|promise| promise.state == state).map(|promise| promise.id).collect();
        ids.join(", ")
    }
}

/// The JSON Schema of the document (`kiln schema verification`).
pub fn verification_schema() -> String {
    json::render_schema::<Verification>()
}

fn entry(proof: &Proof) -> PromiseEntry {
    let doc = proof.promise.doc();
    let breaches = proof.breaches.iter();
    let breaches = breaches
        .map(|breach| BreachEntry { subject: breach.subject.clone(), message: breach.message.clone() });
    PromiseEntry {
        id: doc.id,
        title: doc.title,
        state: proof.state().into(),
        proved: proof.proved.clone(),
        open: proof.open.clone(),
        breaches: breaches.collect(),
    }
}

/// The verification for people: broken promises in full, the others in a line each.
pub fn render_verified(verification: &Verification, style: Style, detail: Detail) -> String {
    let Verification { image, platform, against, outcome, promises, .. } = verification;
    let mut out = format!("{} ({})\n", named(image), safe(platform));
    if let Some(against) = against {
        let _ = writeln!(out, "against {}", named(against));
    }
    out.push('\n');
    for promise in promises {
        let state = match promise.state {
            Standing::Held => style.good("holds "),
            Standing::Open => style.severity(Severity::Medium, "open  "),
            Standing::Broken => style.severity(Severity::High, "BROKEN"),
        };
        let _ = writeln!(out, "  {:<4}{state}  {}", promise.id, promise.title);
        let mut line = |text: &str| _ = writeln!(out, "              {}", safe(text));
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
    out.push('\n');
    let open = verification.ids(Standing::Open);
    let verdict = match outcome {
        Standing::Held => style.good("all promises hold"),
        Standing::Open if against.is_some() => {
            style.severity(Severity::High, &format!("not proved: {open} could not be checked in full"))
        }
        Standing::Open => format!(
            "{}; not checked in full: {open}",
            style.good(&format!("{} hold", verification.ids(Standing::Held)))
        ),
        Standing::Broken => {
            let breaches = promises.iter().map(|promise| promise.breaches.len() as u64).sum();
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
