//! The command line's interface, connected to the library.
//!
//! Maps values: what the library gives to what the command line shows.

mod audit;
mod companions;
mod failures;
mod platforms;
mod run;
mod settle;
mod trace;
mod trial;

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::anyhow;

use self::failures::{documents_failure, failure, sink_failure, source_failure};
use super::{
    BuiltinRecipe, Failure, HardenRequest, Hardened, HardenedPlatforms, Inspected, Pipeline, Referrers,
    RunRequest, Settled, TraceRequest, Traced, TrialRequest, VerifiedImage, VerifyRequest, naming,
};
use crate::cache::Cache;
use crate::cli::naming::pinned;
use crate::digest::BlobDigest;
use crate::documents::{self, Described, Named};
use crate::finding::{Code, Finding};
use crate::harden::{self, HardenError, record};
use crate::image::{FinishedLayer, Platform, Published};
use crate::kube::given::Container;
use crate::kube::pod::{PodOptions, RunAs, render_pod};
use crate::manifest::{self, Manifest};
use crate::observe::Subject;
use crate::options::Options;
use crate::profile::Preparing;
use crate::progress::Progress;
use crate::recipe::{self, Recipe};
use crate::reference::Reference;
use crate::registry::{self, Registries};
use crate::report::{Context, ImageFacts, ImageName, LayerBlob, LayerChange, Report};
use crate::run::RunReport;
use crate::sink::{Destinations, refuse_source};
use crate::source::{Source, SourceImage, open_source_within};
use crate::verify::{self, Against, VerifyError};

/// The library, with the source that was opened last: what a registry, a daemon or stdin gave is kept with it, and one command
/// may need it several times.
#[derive(Default)]
pub(super) struct Kiln {
    opened: RefCell<Option<(String, Rc<dyn Source>)>>,
    /// All that a command speaks to, by the settings: what is where, one client tells the other, and a blob is mounted.
    registries: RefCell<Option<(registry::Settings, Registries)>>,
}

impl Kiln {
    fn registries(&self, settings: &registry::Settings) -> Registries {
        let mut known = self.registries.borrow_mut();
        if let Some((_, registries)) = known.as_ref().filter(|(of, _)| of == settings) {
            return registries.clone();
        }
        let made = registries(settings);
        *known = Some((settings.clone(), made.clone()));
        made
    }

    /// Opens what is named, or gives it again.
    fn source(
        &self,
        name: &str,
        registry: &registry::Settings,
        options: &Options,
    ) -> Result<(Reference, Rc<dyn Source>), Failure> {
        let reference = parse(name)?;
        let key = format!("{name} {registry:?} {:?} {:?}", options.limits, options.cache);
        if let Some((_, source)) = self.opened.borrow().as_ref().filter(|(known, _)| *known == key) {
            return Ok((reference, Rc::clone(source)));
        }
        let source: Rc<dyn Source> = Rc::from(open(&reference, &self.registries(registry), options)?);
        *self.opened.borrow_mut() = Some((key, Rc::clone(&source)));
        Ok((reference, source))
    }
}

impl Pipeline for Kiln {
    fn harden(&self, request: &HardenRequest, progress: &dyn Progress) -> Result<Hardened, Failure> {
        let Opened { reference, source, references, destinations, beside } = self.open(request)?;
        let mut told = None;
        let mut documents = |hardened: &mut harden::Hardened, published: &Published| {
            if let Some((tried, _)) = request.tried.as_ref().filter(|(tried, _)| *tried != hardened.digest) {
                return Err(HardenError::Changed { tried: *tried, found: hardened.digest });
            }
            let (context, pod) = tell(request, &references, hardened);
            let mut beside_it = Vec::new();
            if beside {
                let report = Report::of(&hardened.plan, &context);
                let report = companions::bytes_of(|out| report.write_to(out));
                beside_it = companions::companions(published, [&hardened.manifest], &pod, report);
            }
            told = Some((context, pod));
            Ok(beside_it)
        };
        let hardened =
            harden::harden_with(&*source, &request.options, destinations, &mut documents, progress)
                .map_err(|error| failure(error, &reference))?;
        let (context, pod) = told.unwrap_or_else(|| unreachable!("what is hardened is told"));
        Ok(Hardened {
            plan: hardened.plan,
            context,
            manifest: hardened.manifest.render(),
            pod,
            ways: hardened.ways,
        })
    }

    fn prepare(
        &self,
        request: &HardenRequest,
        trial: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Option<Preparing>, Failure> {
        let (reference, source) = self.source(&request.source, &request.registry, &request.options)?;
        settle::prepare(reference, source, request, trial, progress)
    }

    fn settle(
        &self,
        request: &HardenRequest,
        trial: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Settled, Failure> {
        let (reference, source) = self.source(&request.source, &request.registry, &request.options)?;
        settle::settle(reference, source, request, trial, progress)
    }

    fn harden_platforms(
        &self,
        request: &HardenRequest,
        progress: &dyn Progress,
    ) -> Result<HardenedPlatforms, Failure> {
        platforms::harden(self.open(request)?, request, progress)
    }

    fn inspect(
        &self,
        name: &str,
        options: &Options,
        registry: &registry::Settings,
        progress: &dyn Progress,
    ) -> Result<Inspected, Failure> {
        let reference = parse(name)?;
        let source = open(&reference, &registries(registry), options)?;
        let analysed =
            harden::analyse(&*source, options, progress).map_err(|error| failure(error, &reference))?;
        let config = &analysed.image.config;
        let facts = ImageFacts {
            user: config.user.clone(),
            workdir: config.working_dir.clone(),
            exposed: config
                .exposed_ports
                .iter()
                .map(|port| format!("{}/{}", port.port, port.protocol.as_str()))
                .collect(),
            volumes: config.volumes.clone(),
        };
        let context = context(name, &analysed.image, options);
        Ok(Inspected { plan: analysed.plan, rootfs: analysed.rootfs, facts, context })
    }

    fn audited_image(
        &self,
        name: &str,
        platform: Option<&str>,
        registry: &registry::Settings,
    ) -> Result<crate::audit::Image, Failure> {
        audit::image(name, platform, registry)
    }

    fn writable_manifest(
        &self,
        image: &str,
        platform: Option<&str>,
        registry: &registry::Settings,
    ) -> Result<String, Failure> {
        let platform = platform.map(str::parse::<Platform>).transpose().map_err(Failure::usage)?;
        let reference = parse(image)?;
        let source = open(&reference, &registries(registry), &Options::default())?;
        documents::writable_manifest(&*source, platform.as_ref())
            .map_err(|error| documents_failure(error, &reference))
    }

    fn documents(&self, image: &str, registry: &registry::Settings) -> Result<Vec<Named>, Failure> {
        let reference = parse(image)?;
        let source = open(&reference, &registries(registry), &Options::default())?;
        documents::all(&*source).map_err(|error| documents_failure(error, &reference))
    }

    fn describe(&self, image: &str, registry: &registry::Settings) -> Result<Described, Failure> {
        let reference = parse(image)?;
        let source = open(&reference, &registries(registry), &Options::default())?;
        documents::describe(&*source).map_err(|error| documents_failure(error, &reference))
    }

    fn verify(&self, request: &VerifyRequest, progress: &dyn Progress) -> Result<VerifiedImage, Failure> {
        let (reference, registries) = (parse(&request.image)?, registries(&request.registry));
        let platform = request.platform.as_ref().map(|text| text.parse()).transpose();
        let platform = platform.map_err(|error| failure(HardenError::Platform(error), &reference))?;
        let compared = request.against.as_ref().map(|name| parse(name)).transpose()?;
        let how = Options { jobs: request.jobs, limits: request.limits, ..Options::default() };
        let source = open(&reference, &registries, &how)?;
        let against = compared.as_ref().map(|other| open(other, &registries, &how)).transpose()?;
        let against = against.as_deref().map(|source| Against {
            source,
            recipes: &request.recipes,
            profile: request.profile.as_ref(),
        });
        let found = verify::verify(&*source, platform.as_ref(), against.as_ref(), &how, progress).map_err(
            |error| match error {
                VerifyError::Image(error) => failure(error, &reference),
                VerifyError::Source(error) => {
                    failure(error, compared.as_ref().unwrap_or(&reference)).within("--against".to_owned())
                }
            },
        )?;
        let tried = request.trial.as_ref().map(|asked| {
            let subject =
                Subject { source: &*source, image: &found.image, rootfs: &found.rootfs, limits: how.limits };
            let manifest = verify::manifest_inside(&found.rootfs);
            let of_source: Vec<_> = manifest.iter().flat_map(Manifest::of_source).collect();
            // Containers of the source are run where it is known to be that.
            let comes_first =
                !of_source.is_empty() || asked.pod.as_ref().is_some_and(|pod| !pod.init.is_empty());
            let (Some(against), Some(origin), true) = (&against, &found.against, comes_first) else {
                let runs_it = |init: &Container| of_source.iter().any(|own| own.argv == init.command);
                let lacks = match &asked.pod {
                    Some(pod) => pod.init.iter().any(runs_it),
                    None => !of_source.is_empty(),
                };
                return if lacks { Err(lacks_source()) } else { trial::try_image(&subject, None, asked) };
            };
            let (image, rootfs) = harden::read(against.source, Some(&origin.platform), &how, progress)
                .map_err(|error| {
                    failure(error, compared.as_ref().unwrap_or(&reference)).within("--against".to_owned())
                })?;
            let from = Subject { source: against.source, image: &image, rootfs: &rootfs, limits: how.limits };
            trial::try_image(&subject, Some(&from), asked)
        });
        let tried = tried.transpose()?;
        Ok(VerifiedImage {
            image: ImageName {
                name: request.image.clone(),
                digest: Some(record::source_digest(&found.image)),
            },
            platform: found.image.config.platform.to_string(),
            against: request.against.as_ref().map(|name| ImageName {
                name: name.clone(),
                digest: found.against.map(|origin| origin.digest),
            }),
            proofs: found.proofs,
            tried,
        })
    }

    fn run(&self, request: &RunRequest, progress: &dyn Progress) -> Result<RunReport, Failure> {
        self.run_image(request, progress)
    }

    fn trace(&self, request: &TraceRequest, progress: &dyn Progress) -> Result<Traced, Failure> {
        self.trace_image(request, progress)
    }

    fn builtin_recipes(&self) -> Vec<BuiltinRecipe> {
        recipe::builtin()
            .iter()
            .map(|recipe| BuiltinRecipe {
                name: recipe.name.clone(),
                title: recipe.title.clone(),
                text: recipe::builtin_text(&recipe.name).unwrap_or_default().to_owned(),
            })
            .collect()
    }

    fn parse_recipe(&self, file: &str, text: &str) -> Result<Recipe, Vec<String>> {
        recipe::parse_recipe(file, text)
            .map_err(|error| error.problems.iter().map(ToString::to_string).collect())
    }

    fn manifest_schema(&self) -> String {
        manifest::schema()
    }
}

/// What hardening reads and writes, with the names that it was asked for by.
struct Opened {
    reference: Reference,
    source: Rc<dyn Source>,
    references: Vec<Reference>,
    destinations: Destinations,
    /// Whether documents go beside the image.
    beside: bool,
}

impl Kiln {
    fn open(&self, request: &HardenRequest) -> Result<Opened, Failure> {
        let references =
            request.destinations.iter().map(|name| parse(name)).collect::<Result<Vec<_>, _>>()?;
        let (reference, source) = self.source(&request.source, &request.registry, &request.options)?;
        let registries = self.registries(&request.registry);
        let destinations = destinations(&*source, &reference, &references, &registries)?;
        let beside = request.referrers == Referrers::Pushed && destinations.keeps_companions();
        Ok(Opened { reference, source, references, destinations, beside })
    }
}

fn lacks_source() -> Failure {
    Failure::usage(anyhow!(
        "an init container of the pod is of the source image: expected the one that the image was made from as `--against SOURCE`"
    ))
}

/// What the report says besides the plan, and the pod spec; an image without a name becomes a finding.
fn tell(
    request: &HardenRequest,
    references: &[Reference],
    hardened: &mut harden::Hardened,
) -> (Context, String) {
    let name = image_name(request, references, hardened.digest, &mut hardened.plan.findings);
    let digest = origin(hardened);
    let source_image = source_name(request, digest, hardened);
    let pod = render_pod(
        &hardened.manifest,
        &PodOptions {
            name: pod_name(request),
            image: name,
            source: digest.to_string(),
            source_image,
            namespace: None,
            run_as: RunAs::Manifest,
            united: Vec::new(),
        },
    );
    let mut context = context(&request.source, &hardened.image, &request.options);
    context.destinations = destination_names(references, hardened.digest);
    context.layers = layer_changes(&hardened.image, &hardened.layers);
    context.trial = request.tried.as_ref().map(|(_, trial)| trial.clone());
    (context, pod)
}

/// What the pod calls the image: as asked for, or as pushed; a placeholder and a finding where nothing says it.
fn image_name(
    request: &HardenRequest,
    destinations: &[Reference],
    digest: BlobDigest,
    findings: &mut Vec<Finding>,
) -> String {
    let pushed = destinations.iter().find_map(|reference| match reference {
        Reference::Registry(reference) => Some(reference.name()),
        _ => None,
    });
    if let Some(name) = request.pod_image.as_ref().or(pushed.as_ref()) {
        return pinned(name, digest);
    }
    let name = format!("registry.invalid/{}", pod_name(request));
    findings.push(Finding::new(
        Code::ImageNamePlaceholder,
        &name,
        "the pod spec names no registry yet: give `--pod-image REPOSITORY` the name that the image is pushed as",
    ));
    pinned(&name, digest)
}

/// What names the image that it was made from: of one that was hardened before, that image says it.
fn origin(hardened: &harden::Hardened) -> BlobDigest {
    let image = &hardened.image;
    let recorded = image.config.labels.get(record::SOURCE_KEY).filter(|_| hardened.is_passed_on());
    recorded.and_then(|digest| digest.parse().ok()).unwrap_or_else(|| record::source_digest(image))
}

/// What the pod calls the source image where it needs that: as it was read; a placeholder and a finding where that is no
/// registry's name.
fn source_name(request: &HardenRequest, digest: BlobDigest, hardened: &mut harden::Hardened) -> String {
    if !hardened.manifest.needs_source() {
        return String::new();
    }
    let read = match request.source.parse() {
        // What was hardened before is not its own source.
        Ok(Reference::Registry(reference)) if !hardened.is_passed_on() => Some(reference.name()),
        _ => None,
    };
    // An archive of Docker's has no manifest, and what names it there no registry knows.
    let has_digest = hardened.is_passed_on() || hardened.image.manifest_digest.is_some();
    if let Some(name) = request.pod_source_image.as_ref().filter(|name| !has_digest && name.contains('@')) {
        return name.clone();
    }
    if let Some(name) = request.pod_source_image.as_ref().or(read.as_ref()).filter(|_| has_digest) {
        return pinned(name, digest);
    }
    let name = format!("registry.invalid/{}-source", pod_name(request));
    hardened.plan.findings.push(Finding::new(
        Code::ImageNamePlaceholder,
        &name,
        "an init container of the pod spec is of the source image: give `--pod-source-image REPOSITORY` the name that the cluster has it by, with its digest where it was read from an archive of Docker's",
    ));
    pinned(&name, digest)
}

fn destination_names(references: &[Reference], digest: BlobDigest) -> Vec<ImageName> {
    let name = |reference: &Reference| ImageName { name: reference.to_string(), digest: Some(digest) };
    references.iter().map(name).collect()
}

fn parse(name: &str) -> Result<Reference, Failure> {
    name.parse().map_err(|error| {
        Failure::usage(error).hint(
            "images are named `docker://NAME`, `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`, `docker-archive:FILE[:REF]` or `docker-daemon:NAME`",
        )
    })
}

fn registries(settings: &registry::Settings) -> Registries {
    Registries::new(settings.clone(), registry::Environment::of_process())
}

/// Opens the destinations, none of which may be the source.
fn destinations(
    source: &dyn Source,
    named: &Reference,
    references: &[Reference],
    registries: &Registries,
) -> Result<Destinations, Failure> {
    // A list that cannot be read is told as that, later.
    let name = || source.name().ok().flatten();
    refuse_source(named, references, &name).map_err(sink_failure)?;
    Destinations::open(references, registries).map_err(sink_failure)
}

fn open(
    reference: &Reference,
    registries: &Registries,
    options: &Options,
) -> Result<Box<dyn Source>, Failure> {
    let cache = Cache::open(options.cache.as_ref());
    let cache = cache.map_err(|error| failure(HardenError::Cache(error), reference))?;
    open_source_within(reference, registries, &options.limits, &cache)
        .map_err(|error| source_failure(error, reference))
}

fn context(name: &str, image: &SourceImage, options: &Options) -> Context {
    Context {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: ImageName { name: name.to_owned(), digest: Some(record::source_digest(image)) },
        platform: image.config.platform.to_string(),
        destinations: Vec::new(),
        options: options.canonical(),
        layers: Vec::new(),
        trial: None,
    }
}

fn layer_changes(image: &SourceImage, layers: &[FinishedLayer]) -> Vec<LayerChange> {
    let before = image.layers.iter().map(|layer| Some(LayerBlob { digest: layer.digest, bytes: layer.size }));
    before
        .chain(std::iter::repeat(None))
        .zip(layers)
        .map(|(before, after)| LayerChange {
            before,
            after: LayerBlob { digest: after.digest, bytes: after.size },
        })
        .collect()
}

/// `--pod-name`, else the first destination's last name, as a DNS label.
fn pod_name(request: &HardenRequest) -> String {
    if let Some(name) = &request.pod_name {
        return name.clone();
    }
    naming::label_of(request.destinations.first().map_or("", String::as_str))
}
