//! A library that answers without an image, and the command line run over it.
//!
//! Remembers what it was asked for.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::Path;

use super::super::*;
use crate::digest::BlobDigest;
use crate::documents::{Described, Named};
use crate::harden::{HardenError, Way};
use crate::manifest::{self, Manifest};
use crate::observe::{Complaint, Observation};
use crate::options::Options;
use crate::path::ImagePath;
use crate::plan::Plan;
use crate::profile::Preparing;
use crate::progress::Progress;
use crate::promise::{Promise, Proof, Shown};
use crate::recipe::Recipe;
use crate::registry;
use crate::report::{Context, Gained, ImageFacts, ImageName, IndexContext, Round, Trial, fixture};
use crate::run::{Ended, IdsEntry, RunReport};
use crate::sandbox::seccomp;
use crate::trial::Tried;

/// Answers every request with the same plan.
struct Fake {
    plan: Plan,
    asked: RefCell<Vec<HardenRequest>>,
}

impl Fake {
    fn ask(&self, request: &HardenRequest) -> Result<(), Failure> {
        self.asked.borrow_mut().push(request.clone());
        let refused = request.options.refused(&self.plan.findings);
        let error = HardenError::Refused(refused.clone());
        if refused.is_empty() { Ok(()) } else { Err(Failure::findings(error, refused).hint("x")) }
    }
}

impl Pipeline for Fake {
    fn harden(&self, request: &HardenRequest, progress: &dyn Progress) -> Result<Hardened, Failure> {
        progress.start("index", Some(1));
        progress.finish();
        self.ask(request)?;
        Ok(Hardened {
            plan: self.plan.clone(),
            context: Context {
                trial: request.tried.as_ref().map(|(_, trial)| trial.clone()),
                ..fixture::context()
            },
            manifest: "the manifest\n".into(),
            pod: "the pod\n".into(),
            ways: vec![Way::Untouched, Way::Edited, Way::Edited],
        })
    }

    fn prepare(
        &self,
        _: &HardenRequest,
        _: &TrialRequest,
        _: &dyn Progress,
    ) -> Result<Option<Preparing>, Failure> {
        Ok(None)
    }

    /// Holds with one directory more, unless it is called otherwise.
    fn settle(
        &self,
        request: &HardenRequest,
        trial: &TrialRequest,
        _: &dyn Progress,
    ) -> Result<Settled, Failure> {
        let holds = request.source != "oci:broken";
        let option = "--writable=/srv/data".to_owned();
        let gained = Gained { option, why: vec!["mkdir failed at /srv/data/x: EROFS".into()] };
        let broken = vec!["start: app: does not start".to_owned()];
        let mut start = Proof::new(Shown::Start);
        if holds {
            start.prove("it runs");
        } else {
            start.break_at("app", "does not start");
        }
        let rounds = vec![
            Round { gained: Vec::new(), without: None, broken: broken.clone() },
            Round { gained: vec![gained], without: None, broken: if holds { Vec::new() } else { broken } },
        ];
        let mut options = request.options.clone();
        options.writable.push(ImagePath::literal("/srv/data"));
        assert_eq!(trial.rounds.get(), 3);
        let last_words = if holds { Vec::new() } else { vec!["no \x1b[31mroom".to_owned()] };
        let trial = Trial::new(rounds, "a pod", &[start], &last_words);
        Ok(Settled { options, digest: BlobDigest::of(b"tried"), trial, holds })
    }

    fn harden_platforms(
        &self,
        request: &HardenRequest,
        _: &dyn Progress,
    ) -> Result<HardenedPlatforms, Failure> {
        self.ask(request)?;
        let context = fixture::context();
        Ok(HardenedPlatforms {
            platforms: vec![(self.plan.clone(), context.clone())],
            context: IndexContext {
                version: context.version,
                source: context.source,
                destinations: context.destinations,
                options: context.options,
            },
            findings: Vec::new(),
            manifest: "the manifests\n".into(),
            pod: "the pod of all\n".into(),
            ways: Vec::new(),
        })
    }

    fn inspect(
        &self,
        _: &str,
        _: &Options,
        _: &registry::Settings,
        _: &dyn Progress,
    ) -> Result<Inspected, Failure> {
        Ok(Inspected {
            plan: self.plan.clone(),
            rootfs: fixture::rootfs(),
            facts: ImageFacts::default(),
            context: fixture::context(),
        })
    }

    fn audited_image(
        &self,
        name: &str,
        _: Option<&str>,
        _: &registry::Settings,
    ) -> Result<crate::audit::Image, Failure> {
        Err(Failure::input(anyhow::anyhow!("no image `{name}`")))
    }

    fn writable_manifest(
        &self,
        image: &str,
        platform: Option<&str>,
        _: &registry::Settings,
    ) -> Result<String, Failure> {
        if image.starts_with("registry.example/hardened") {
            return Ok(Manifest::new(&manifest::tests::plan(), &manifest::tests::context()).render());
        }
        Ok(format!("manifest of {image} for {}\n", platform.unwrap_or("here")))
    }

    fn documents(&self, image: &str, _: &registry::Settings) -> Result<Vec<Named>, Failure> {
        Ok(["pod.yaml", "writable-manifest.json"]
            .map(|name| Named { name: name.into(), bytes: format!("{name} of {image}\n").into_bytes() })
            .to_vec())
    }

    /// The manifest of the tests; of what is called `all` for two platforms, which do not run as the same user and do not write to
    /// the same directories; none of what is called `plain`.
    fn describe(&self, image: &str, _: &registry::Settings) -> Result<Described, Failure> {
        if image.ends_with("plain") {
            return Err(Failure::input(anyhow::anyhow!("{image} has no writable manifest")));
        }
        let manifest = manifest::tests::manifest();
        let digest = BlobDigest::of(manifest.render().as_bytes());
        let mut manifests = vec![("linux/amd64".to_owned(), manifest.clone(), digest)];
        if image.ends_with("all") {
            let mut other = manifest;
            other.process.uid = 34;
            let mut path = other.paths[0].clone();
            path.path = "/var/lib/arm".to_owned();
            other.paths.push(path);
            manifests.push(("linux/arm64".to_owned(), other, digest));
        }
        let source = Some(BlobDigest::of(b"source"));
        Ok(Described {
            digest: Some(BlobDigest::of(b"image")),
            source,
            is_index: manifests.len() > 1,
            manifests,
        })
    }

    fn verify(&self, request: &VerifyRequest, _: &dyn Progress) -> Result<VerifiedImage, Failure> {
        let mut proof = Proof::new(Promise::Gone);
        match request.image.as_str() {
            "oci:broken" => proof.break_at("/bin/sh", "is there"),
            "oci:open" => proof.leave_open("needs --against"),
            _ => proof.prove("all"),
        }
        let image = |name: &String| ImageName { name: name.clone(), digest: None };
        Ok(VerifiedImage {
            image: image(&request.image),
            platform: "linux/amd64".into(),
            against: request.against.as_ref().map(image),
            proofs: vec![proof],
            tried: request.trial.as_ref().map(|asked| {
                let mut start = Proof::new(Shown::Start);
                match &asked.pod {
                    Some(pod) => start.prove(pod.name.clone()),
                    None => start.break_at("app", "does not start"),
                }
                Tried {
                    pod: "a pod".into(),
                    proofs: vec![start],
                    last_words: Vec::new(),
                    watched: None,
                    seccomp: asked
                        .narrow
                        .as_ref()
                        .filter(|_| asked.pod.is_some())
                        .map(|narrow| seccomp::Profile::narrowed(&narrow.seen, &[], narrow.unseen)),
                }
            }),
        })
    }

    fn run(&self, request: &RunRequest, _: &dyn Progress) -> Result<RunReport, Failure> {
        if request.image == "oci:none" {
            return Err(Failure::network(anyhow::anyhow!("no such image")));
        }
        let ended = match request.asked.args.first().map(String::as_str) {
            Some("die") => Ended::Signaled(15),
            Some("grow") => Ended::Limit("memory"),
            Some(number) => Ended::Exited(number.parse().unwrap()),
            None => Ended::Exited(0),
        };
        let why = request.asked.user.as_ref().map(|_| "no other".to_owned());
        Ok(RunReport {
            media_type: "x",
            kiln: "0",
            ids: IdsEntry { mode: "single", why },
            ended,
            stopped: request.asked.duration.is_some(),
            left_out: Vec::new(),
            changes: Vec::new(),
        })
    }

    fn trace(&self, request: &TraceRequest, _: &dyn Progress) -> Result<Traced, Failure> {
        let profile = crate::profile::tests::profile();
        let failed = request.asked.run.args.first().is_some_and(|word| word == "die");
        let complaints = if failed { vec![Complaint::Ended] } else { Vec::new() };
        let observation = Observation { profile, complaints, single_id: None };
        Ok(Traced { observation, last_words: b"one\n\ncannot \x1b[31mbind\n".to_vec() })
    }

    fn builtin_recipes(&self) -> Vec<BuiltinRecipe> {
        let recipe = |name: &str| BuiltinRecipe {
            name: name.into(),
            title: name.to_uppercase(),
            text: format!("name = \"{name}\"\n"),
        };
        vec![recipe("apache"), recipe("nginx")]
    }

    fn parse_recipe(&self, _: &str, text: &str) -> Result<Recipe, Vec<String>> {
        if text.starts_with("bad") {
            return Err(vec!["line 1: no `name`".into(), "line 2: no `why`".into()]);
        }
        Ok(Recipe { name: text.trim().into(), ..Recipe::default() })
    }

    fn manifest_schema(&self) -> String {
        "{}\n".into()
    }
}

/// What came of a command line.
pub(super) struct Ran {
    pub(super) status: u8,
    pub(super) out: String,
    pub(super) err: String,
    pub(super) asked: Vec<HardenRequest>,
}

pub(super) fn run_with(plan: Plan, arguments: &[&str]) -> Ran {
    let fake = Fake { plan, asked: RefCell::default() };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("kiln").chain(arguments.iter().copied()).map(OsString::from);
    let mut world = World {
        out: Box::new(&mut out),
        err: Box::new(&mut err),
        out_style: Style::Plain,
        err_style: Style::Plain,
        progress: false,
    };
    let status = run(arguments, &fake, &mut world).number();
    drop(world);
    Ran {
        status,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
        asked: fake.asked.into_inner(),
    }
}

pub(super) fn ran(arguments: &[&str]) -> Ran {
    run_with(fixture::plan(), arguments)
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
