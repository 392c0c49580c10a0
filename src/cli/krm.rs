//! `kiln krm`: a KRM function, which kustomize and kpt run: a `ResourceList` in, the same one mended out, with results.
//!
//! Reads what it is to do from the list's `functionConfig`, as any such function.

use std::path::Path;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::manifests::{self, Known};
use super::output::World;
use super::{Failure, Outcome, Pipeline};
use crate::audit::Options;
use crate::fix::{Fixed, Note, Reach, fix};
use crate::kube::document;
use crate::kube::edit::edit;
use crate::registry;

/// What `functionConfig` may say, in the `data` of a ConfigMap or in `spec`.
const FIELDS: [&str; 6] = ["images", "kubeVersion", "resolve", "rules", "skip", "unsafe"];

pub(super) fn run(pipeline: &dyn Pipeline, world: &mut World<'_>) -> Result<Outcome, Failure> {
    let text =
        manifests::read(Path::new("-")).map_err(|error| Failure::input(error).within("stdin".to_owned()))?;
    let documents =
        document::read(&text).map_err(|error| Failure::input(error).within("stdin".to_owned()))?;
    let [list] = documents.as_slice() else {
        return Err(Failure::input(anyhow!(
            "stdin: expected one ResourceList, found {} documents",
            documents.len()
        )));
    };
    let list = list.root.value();
    if list.get("kind").and_then(Value::as_str) != Some("ResourceList") {
        let error = anyhow!("stdin: expected a ResourceList of `config.kubernetes.io/v1`");
        return Err(
            Failure::input(error).hint("kustomize and kpt write one; `kiln fix -` takes plain manifests")
        );
    }
    let asked = Asked::of(&list)?;
    let mut options = asked.options;
    let known = Known { images: &asked.images, platform: None, registry: registry::Settings::default() };
    known.read(&mut options, pipeline)?;
    if asked.resolve {
        let names = crate::audit::image_names(&text, &options);
        known.resolve(names, &mut options, pipeline)?;
    }
    let within = |error: anyhow::Error| Failure::input(error).within("stdin".to_owned());
    let fixed = fix(&text, &options, asked.reach).map_err(|error| within(error.into()))?;
    let is_refused = !fixed.refused.is_empty();
    // What is refused stays as it came, and the results say so.
    let base = if is_refused { &text } else { &fixed.text };
    let told = with_results(base, &fixed).map_err(within)?;
    world.say(&told)?;
    if is_refused {
        return Err(Failure::refused(anyhow!("the read-only flag is refused: see the results")));
    }
    Ok(Outcome::Clean)
}

/// The list with what was done in its `results`.
fn with_results(text: &str, fixed: &Fixed) -> Result<String, anyhow::Error> {
    let documents = document::read(text)?;
    let mut value = documents.first().map(|document| document.root.value()).unwrap_or_default();
    let item = |severity: &'static str| {
        move |note: &Note| {
            json!({"message": format!("{}: {}", note.resource, note.message), "severity": severity,
                "tags": {"rule": note.rule}})
        }
    };
    let done = fixed.done.iter().map(item("info"));
    let left = fixed.left.iter().map(item("warning"));
    let refused = fixed.refused.iter().map(item("error"));
    let results: Vec<Value> =
        if fixed.refused.is_empty() { done.chain(left).collect() } else { left.chain(refused).collect() };
    if results.is_empty() {
        return Ok(text.to_owned());
    }
    if let Some(fields) = value.as_object_mut() {
        fields.insert("results".to_owned(), json!(results));
    }
    Ok(edit(text, &[Some(value)])?)
}

/// What `functionConfig` asks for.
struct Asked {
    options: Options,
    reach: Reach,
    images: Vec<(String, String)>,
    resolve: bool,
}

impl Asked {
    fn of(list: &Value) -> Result<Self, Failure> {
        let config = list.get("functionConfig");
        let data = config.and_then(|config| config.get("data").or_else(|| config.get("spec")));
        let fields = data.and_then(Value::as_object);
        if let Some(unknown) =
            fields.into_iter().flatten().map(|(name, _)| name).find(|name| !FIELDS.contains(&name.as_str()))
        {
            let error = anyhow!("functionConfig: no field `{unknown}`");
            return Err(Failure::usage(error).hint(format!("there are {}", FIELDS.join(", "))));
        }
        // A ConfigMap has texts only.
        let text = |name: &str| match data.and_then(|data| data.get(name)) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Null) | None => None,
            Some(other) => Some(other.to_string()),
        };
        let words = |name: &str| {
            let text = text(name).unwrap_or_default();
            let words = text.split([',', ' ', '\n']).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let truth = |name: &str| match text(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Failure::usage(anyhow!(
                "functionConfig: `{name}` is `{other}`: expected `true` or `false`"
            ))),
        };
        let version = match text("kubeVersion") {
            Some(text) => text.parse().map_err(|error| Failure::usage(anyhow!("functionConfig: {error}")))?,
            None => crate::kube::Version::default(),
        };
        let images = words("images")
            .into_iter()
            .map(|word| match word.split_once('=') {
                Some((name, source)) => Ok((name.to_owned(), source.to_owned())),
                None => Err(Failure::usage(anyhow!("functionConfig: image `{word}`: expected NAME=SOURCE"))),
            })
            .collect::<Result<_, _>>()?;
        let options = Options {
            version,
            only: words("rules").into_iter().collect(),
            skip: words("skip").into_iter().collect(),
            today: manifests::today(),
            ..Options::default()
        };
        let reach = if truth("unsafe")? { Reach::Unsafe } else { Reach::Safe };
        Ok(Self { options, reach, images, resolve: truth("resolve")? })
    }
}
