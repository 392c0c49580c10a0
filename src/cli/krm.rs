//! `kiln krm`: a KRM function, which kustomize and kpt run: a `ResourceList` in, the same one mended out, with results.
//!
//! Reads what it is to do from the list's `functionConfig`, as any such function.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::args::{known_image, rule};
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
    let Some(fields) = value.as_object_mut() else { return Ok(text.to_owned()) };
    // What functions before this one told stays, and what is told already is not told again.
    let mut all = match fields.get("results") {
        Some(Value::Array(told)) => told.clone(),
        _ => Vec::new(),
    };
    let told: BTreeSet<String> = all.iter().map(Value::to_string).collect();
    all.extend(results.into_iter().filter(|result| !told.contains(&result.to_string())));
    if all.is_empty() {
        return Ok(text.to_owned());
    }
    fields.insert("results".to_owned(), json!(all));
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
        // A ConfigMap has texts only, `spec` lists and truths too.
        let text = |name: &str| match data.and_then(|data| data.get(name)) {
            Some(Value::Array(list)) => Some(list.iter().map(plain).collect::<Vec<_>>().join(",")),
            Some(Value::Null) | None => None,
            Some(other) => Some(plain(other)),
        };
        let words = |name: &str| {
            let text = text(name).unwrap_or_default();
            let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let rules = |name: &str| {
            let rules = words(name).into_iter().map(|word| {
                rule(&word).map_err(|error| anyhow!("functionConfig: `{name}`: `{word}`: {error}"))
            });
            rules.collect::<Result<BTreeSet<_>, _>>().map_err(Failure::usage)
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
            .map(|word| {
                known_image(&word)
                    .map_err(|error| Failure::usage(anyhow!("functionConfig: `images`: `{word}`: {error}")))
            })
            .collect::<Result<_, _>>()?;
        let options = Options {
            version,
            only: rules("rules")?,
            skip: rules("skip")?,
            today: manifests::today(),
            ..Options::default()
        };
        let reach = if truth("unsafe")? { Reach::Unsafe } else { Reach::Safe };
        Ok(Self { options, reach, images, resolve: truth("resolve")? })
    }
}

/// A value as a word, a text without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(spec: &Value) -> Result<Asked, String> {
        let list = json!({"functionConfig": {"spec": spec}});
        Asked::of(&list).map_err(|failure| failure.render(crate::report::Style::Plain))
    }

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn config_says_the_same_by_texts_and_by_lists() {
        let texts = asked(
            &json!({"rules": "FS001, PR", "skip": "RS001\tRS002", "unsafe": "true", "images": "a=oci:b"}),
        );
        let lists = asked(
            &json!({"rules": ["FS001", "PR"], "skip": ["RS001", "RS002"], "unsafe": true, "images": ["a=oci:b"]}),
        );
        for asked in [texts.unwrap(), lists.unwrap()] {
            assert_eq!(asked.options.only, set(&["FS001", "PR"]));
            assert_eq!(asked.options.skip, set(&["RS001", "RS002"]));
            assert_eq!((asked.reach, asked.resolve), (Reach::Unsafe, false));
            assert_eq!(asked.images, [("a".to_owned(), "oci:b".to_owned())]);
        }
    }

    #[test]
    fn config_that_asks_for_what_is_not_there_is_an_error() {
        for (spec, says) in [
            (json!({"rules": "FS01, XY"}), "`rules`: `XY`: no such rule"),
            (json!({"skip": ["FS0011"]}), "`skip`: `FS0011`: no such rule"),
            (json!({"images": "a"}), "`images`: `a`: expected NAME=SOURCE"),
            (json!({"unsafe": ["yes"]}), "`unsafe` is `yes`"),
            (json!({"rule": "FS001"}), "no field `rule`"),
        ] {
            let error = asked(&spec).err().unwrap();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn results_come_behind_those_that_are_there_and_once() {
        let text = "kind: ResourceList\nitems: []\nresults:\n- message: mine # theirs\n";
        let note =
            |rule, message: &str| Note { resource: "Pod x".to_owned(), rule, message: message.to_owned() };
        let fixed = Fixed {
            text: text.to_owned(),
            done: vec![note("FS001", "done")],
            left: vec![note("ID001", "left")],
            refused: Vec::new(),
            changed: Vec::new(),
            unread: Vec::new(),
        };
        let once = with_results(text, &fixed).unwrap();
        assert!(once.starts_with(text) && once.ends_with("tags:\n    rule: ID001\n"), "{once}");
        assert_eq!(with_results(&once, &Fixed { done: Vec::new(), ..fixed }).unwrap(), once);
    }
}
