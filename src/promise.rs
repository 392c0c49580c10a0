//! What is true of every hardened image, H1 to H10, what a run of it shows, and what the check of one of these found.
//!
//! Words and values only: what is looked at to prove a promise is `verify`'s, how an image is run is `trial`'s.

use std::fmt;

/// A promise that every hardened image keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// H1
    NoTools,
    /// H2
    NothingMissing,
    /// H3
    NotWritable,
    /// H4
    Gone,
    /// H5
    LayersMapped,
    /// H6
    Reproducible,
    /// H7
    ConfigSurvives,
    /// H8
    PackagesMatch,
    /// H9
    MountPoints,
    /// H10
    Provenance,
}

/// What is told of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromiseDoc {
    /// `H1`
    pub id: &'static str,
    /// The promise, in one line.
    pub title: &'static str,
    /// What it is good for.
    pub why: &'static str,
    /// What to do about an image that breaks it.
    pub remedy: &'static str,
}

impl Promise {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::NoTools,
        Self::NothingMissing,
        Self::NotWritable,
        Self::Gone,
        Self::LayersMapped,
        Self::Reproducible,
        Self::ConfigSurvives,
        Self::PackagesMatch,
        Self::MountPoints,
        Self::Provenance,
    ];

    /// Its words.
    pub fn doc(self) -> &'static PromiseDoc {
        match self {
            Self::NoTools => &PromiseDoc {
                id: "H1",
                title: "no shell, package manager or catalogued tool is left under any name, but those that the manifest gives a reason for",
                why: "A shell or a downloader is what an intruder looks for first. A tool that has to stay is named in the image's manifest, so that nobody has to search for it; one that is not named was put there after the hardening.",
                remedy: "Find the build step that adds the program after `kiln harden`, or harden again. A tool that the app needs is kept by `--keep`, which names it in the manifest.",
            },
            Self::NothingMissing => &PromiseDoc {
                id: "H2",
                title: "nothing that stays has lost what it needs: libraries, loaders, interpreters, targets of links",
                why: "A program without one of its libraries does not start, and a plugin without one fails when it is first used, which may be weeks later.",
                remedy: "Harden the source again; if it is kiln that took the file, `--keep` holds it and the report is worth a bug report.",
            },
            Self::NotWritable => &PromiseDoc {
                id: "H3",
                title: "no write bit, setuid, setgid or file capability outside the declared writable paths, and nothing there that the user owns",
                why: "With a read-only root these bits do nothing; without one, and in every runtime that is configured otherwise, they decide what an intruder can change. An owner can give himself the right back, so what the app must not change is not its own.",
                remedy: "Do not change modes or owners after the hardening. A directory that the app writes is declared with `--writable`.",
            },
            Self::Gone => &PromiseDoc {
                id: "H4",
                title: "what was removed is gone from every layer, not hidden, and the reported bytes add up",
                why: "A whiteout only hides: whoever pulls the image has the lower layer's bytes, the shell and the secret among them.",
                remedy: "Do not build on a hardened image to remove more: name it with `--strip` and harden the source again.",
            },
            Self::LayersMapped => &PromiseDoc {
                id: "H5",
                title: "layers are the source's, one by one, and one of kiln's own; a layer without a change keeps its blob",
                why: "Registries and nodes share layers by digest. Squashed or needlessly rewritten layers are stored and pulled again for every image.",
                remedy: "Harden again from the source, and copy the result with tools that leave blobs alone.",
            },
            Self::Reproducible => &PromiseDoc {
                id: "H6",
                title: "the same source, options and kiln give the same image",
                why: "Whoever can make the image again need not trust the machine that made it.",
                remedy: "Compare the two images layer by layer. What differs was changed after the hardening, or made by another kiln.",
            },
            Self::ConfigSurvives => &PromiseDoc {
                id: "H7",
                title: "the config is the source's, but for what is changed on purpose: user, lowered entrypoint, volumes, dropped health check",
                why: "An app reads its environment, starts in its directory and stops at its signal; a value that is lost on the way shows in production only.",
                remedy: "Change the config in the source and harden again, not the other way round.",
            },
            Self::PackagesMatch => &PromiseDoc {
                id: "H8",
                title: "the package database lists exactly the packages that still own files",
                why: "Scanners believe the database: a package too many is noise in every report, one too few is a vulnerability that nobody is told of.",
                remedy: "Install and remove packages in the source, and harden again.",
            },
            Self::MountPoints => &PromiseDoc {
                id: "H9",
                title: "the mount point of every writable path is there with its owner and mode, and the user can read what the start needs",
                why: "A runtime cannot make a mount point on a read-only root, and a program that its user cannot read does not start.",
                remedy: "Harden the source again; `--user` chooses another user, `--writable` another directory.",
            },
            Self::Provenance => &PromiseDoc {
                id: "H10",
                title: "the image says where it came from, and labels, config and the manifest inside agree",
                why: "Labels are what people and policies look at. A label that does not fit what is in the image was copied or edited.",
                remedy: "Take the image from where it was hardened, or harden the source again.",
            },
        }
    }

    /// The promise of this id, letter case aside.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|promise| promise.doc().id.eq_ignore_ascii_case(id))
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.doc().id)
    }
}

/// One way in which a promise is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Where: a path, a label, a layer. Names from images are escaped.
    pub subject: String,
    /// What is wrong there.
    pub message: String,
}

/// What a run of a hardened image shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shown {
    /// The pod is no looser than kiln's own.
    Pod,
    /// It starts.
    Start,
    /// It serves.
    Ready,
    /// What drove it went well.
    Driven,
    /// It ends when it is asked to.
    Stop,
    /// Nothing can be changed or misused where the root is as in the pod.
    Attack,
    /// The same on a writable root.
    AttackWritable,
    /// It serves with no more system calls than it was seen to make.
    Seccomp,
}

impl Shown {
    /// Whether it is about an app that comes up and does what it is for.
    pub fn is_of_start(self) -> bool {
        matches!(self, Self::Start | Self::Ready | Self::Driven)
    }

    /// Its word.
    pub fn id(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Start => "start",
            Self::Ready => "ready",
            Self::Driven => "driven",
            Self::Stop => "stop",
            Self::Attack => "attack",
            Self::AttackWritable => "attack-writable",
            Self::Seccomp => "seccomp",
        }
    }

    /// What is shown, in one line.
    pub fn title(self) -> &'static str {
        match self {
            Self::Pod => {
                "the pod allows no more than the image's manifest asks for, and mounts what it asks for"
            }
            Self::Start => "the app starts under the user, rights, root and mounts of the pod",
            Self::Ready => "it serves, before the attack and after it",
            Self::Driven => "what drove it went well",
            Self::Stop => "it ends by its stop signal within the pod's grace",
            Self::Attack => {
                "as the app, in its container, nothing of the image can be changed and no tool started"
            }
            Self::AttackWritable => "the same on a writable root, where only modes and owners protect",
            Self::Seccomp => {
                "with no more system calls than it was seen to make it starts twice, serves as before, and ends"
            }
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// What the check of one promise, or of one thing that a run shows, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof<P = Promise> {
    /// Which.
    pub promise: P,
    /// What was looked at and holds.
    pub proved: Vec<String>,
    /// What could not be looked at, and what it would take.
    pub open: Vec<String>,
    /// What does not hold.
    pub breaches: Vec<Breach>,
}

/// What is known of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All of it was checked and holds.
    Held,
    /// Nothing speaks against it, but not all of it could be checked.
    Open,
    /// Something of it does not hold.
    Broken,
}

impl<P> Proof<P> {
    /// A check that has found nothing yet.
    pub fn new(promise: P) -> Self {
        Self { promise, proved: Vec::new(), open: Vec::new(), breaches: Vec::new() }
    }

    /// Notes what holds.
    pub fn prove(&mut self, what: impl Into<String>) {
        self.proved.push(what.into());
    }

    /// Notes what could not be checked.
    pub fn leave_open(&mut self, what: impl Into<String>) {
        self.open.push(what.into());
    }

    /// Notes what does not hold.
    pub fn break_at(&mut self, subject: impl fmt::Display, message: impl Into<String>) {
        self.breaches.push(Breach { subject: subject.to_string(), message: message.into() });
    }

    /// What is known of the promise. A check that looked at nothing has proved nothing.
    pub fn state(&self) -> State {
        if !self.breaches.is_empty() {
            State::Broken
        } else if !self.open.is_empty() || self.proved.is_empty() {
            State::Open
        } else {
            State::Held
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_found_by_id_and_have_words() {
        for (number, promise) in Promise::ALL.into_iter().enumerate() {
            let doc = promise.doc();
            assert_eq!(doc.id, format!("H{}", number + 1));
            assert_eq!(Promise::parse(&doc.id.to_lowercase()), Some(promise));
            assert!(
                !doc.title.ends_with('.') && doc.why.ends_with('.') && doc.remedy.ends_with('.'),
                "{}",
                doc.id
            );
        }
        assert_eq!(Promise::parse("H11"), None);
    }

    #[test]
    fn nothing_looked_at_is_nothing_proved() {
        let mut proof = Proof::new(Promise::NoTools);
        assert_eq!(proof.state(), State::Open);
        proof.prove("all");
        assert_eq!(proof.state(), State::Held);
        proof.leave_open("some");
        assert_eq!(proof.state(), State::Open);
        proof.break_at("/bin/sh", "is there");
        assert_eq!(proof.state(), State::Broken);
    }
}
