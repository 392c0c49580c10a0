//! From a recipe's text to a valid recipe, or to everything that is wrong with it.
//!
//! Knows no image: whether a rule matches anything is seen when it is used.

mod lowering;

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::raw::{self, Problems, Table};
use super::{
    Caveat, Directive, EnvRule, KeepRule, Meaning, PortRule, Probe, Purpose, Recipe, ShellRule, Syntax,
    WritableRule,
};
use crate::path::ImagePath;
use crate::path::glob::check_glob;

/// Longest recipe accepted, in bytes: a hundred times the longest one that kiln carries.
pub const MAX_RECIPE: usize = 1 << 20;

/// A recipe that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("recipe `{name}` is not valid: {}", Listed(.problems))]
pub struct RecipeError {
    /// The recipe's name, or the file it was read from.
    pub name: String,
    /// All that is wrong, by line.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a recipe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line of the text, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Reads a recipe. `name_hint` names it in errors while its own name is not known: a file name, usually.
///
/// All problems are told at once.
pub fn parse_recipe(name_hint: &str, text: &str) -> Result<Recipe, RecipeError> {
    let refuse = |problems| Err(RecipeError { name: name_hint.to_owned(), problems });
    if text.len() > MAX_RECIPE {
        let message = format!("{} bytes are more than {MAX_RECIPE}", text.len());
        return refuse(vec![Problem { line: None, message }]);
    }
    let mut problems = Problems::new(text);
    let document = raw::document(text, &mut problems);
    // What a broken text seems to say is not worth complaining about.
    if problems.any() {
        return refuse(problems.into_sorted());
    }
    let table = Table::new(document.get_ref(), document.span(), "the recipe");
    let recipe = Checker { problems: &mut problems }.recipe(table);
    match problems.into_sorted() {
        problems if problems.is_empty() => Ok(recipe),
        problems => refuse(problems),
    }
}

struct Checker<'p, 't> {
    problems: &'p mut Problems<'t>,
}

impl Checker<'_, '_> {
    fn recipe(&mut self, mut table: Table<'_>) -> Recipe {
        let name = table.string("name", self.problems);
        if !name
            .get_ref()
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            let message = format!("name `{}` is not made of a-z, 0-9 and `-`", name.get_ref());
            self.problems.add(&name.span(), message);
        }
        let title = table.string("title", self.problems).into_inner();
        let programs = table.strings("programs", self.problems);
        let programs = self.globs(programs);
        let users = table.strings("users", self.problems);
        let recipe = Recipe {
            name: name.into_inner(),
            title,
            programs,
            keep: self.each(&mut table, "keep", "[[keep]]", |me, item| me.keep(item, "glob")),
            plugin_directories: self
                .each(&mut table, "plugins", "[[plugins]]", |me, item| me.keep(item, "directory")),
            writable: self.each(&mut table, "writable", "[[writable]]", Self::writable),
            directives: self.each(&mut table, "directives", "[[directives]]", Self::directive),
            ports: self.each(&mut table, "ports", "[[ports]]", Self::port),
            users: self.distinct("user", users),
            probe: self.probe(&mut table),
            env: self.each(&mut table, "env", "[[env]]", Self::env),
            lowerings: self.each(&mut table, "lowerings", "[[lowerings]]", Self::lowering),
            shells: self.each(&mut table, "shells", "[[shells]]", Self::shell),
            caveats: self.each(&mut table, "caveats", "[[caveats]]", Self::caveat),
        };
        self.twice(&table, "port", recipe.ports.iter().map(|rule| rule.port.to_string()));
        self.twice(&table, "port name", recipe.ports.iter().map(|rule| rule.name.clone()));
        self.twice(&table, "variable", recipe.env.iter().map(|rule| rule.name.clone()));
        self.twice(
            &table,
            "writable path",
            recipe.writable.iter().map(|rule| match &rule.if_exists {
                Some(other) => format!("{} if {other} exists", rule.path),
                None => rule.path.to_string(),
            }),
        );
        table.finish(self.problems);
        recipe
    }

    fn each<'a, T>(
        &mut self,
        table: &mut Table<'a>,
        key: &'static str,
        what: &'static str,
        mut read: impl FnMut(&mut Self, &mut Table<'a>) -> T,
    ) -> Vec<T> {
        let mut out = Vec::new();
        for mut item in table.tables(key, what, self.problems) {
            out.push(read(self, &mut item));
            item.finish(self.problems);
        }
        out
    }

    fn shell(&mut self, item: &mut Table<'_>) -> ShellRule {
        let scripts = item.some_strings("scripts", self.problems);
        ShellRule {
            scripts: self.globs(scripts),
            why: item.string("why", self.problems).into_inner(),
            remedy: item.string("remedy", self.problems).into_inner(),
        }
    }

    fn caveat(&mut self, item: &mut Table<'_>) -> Caveat {
        Caveat {
            subject: item.string("subject", self.problems).into_inner(),
            why: item.string("why", self.problems).into_inner(),
            remedy: item.string("remedy", self.problems).into_inner(),
        }
    }

    fn keep(&mut self, item: &mut Table<'_>, key: &'static str) -> KeepRule {
        let glob = item.string(key, self.problems);
        self.glob(&glob);
        KeepRule { glob: glob.into_inner(), why: item.string("why", self.problems).into_inner() }
    }

    fn writable(&mut self, item: &mut Table<'_>) -> WritableRule {
        let path = item.string("path", self.problems);
        let path = self.path(&path);
        let purpose = item.string("purpose", self.problems);
        let purpose = self.word(&purpose, Purpose::Tmp, "purpose", "tmp, run, cache, log, state, config");
        let if_exists = item.optional("if-exists", self.problems).map(|path| self.path(&path));
        let size = item.integer("size-mib", self.problems);
        let size_mib = size.and_then(|size| {
            let fits = u32::try_from(*size.get_ref()).ok().filter(|&mib| mib > 0);
            if fits.is_none() {
                let message = format!("size-mib `{}` is not from 1 to {}", size.get_ref(), u32::MAX);
                self.problems.add(&size.span(), message);
            }
            fits
        });
        WritableRule {
            path,
            purpose,
            if_exists,
            size_mib,
            why: item.string("why", self.problems).into_inner(),
        }
    }

    fn directive(&mut self, item: &mut Table<'_>) -> Directive {
        let files = item.some_strings("files", self.problems);
        let syntax = item.string("syntax", self.problems);
        let names = item.some_strings("names", self.problems);
        let meaning = item.string("meaning", self.problems);
        let meaning = self.word(&meaning, Meaning::Port, "meaning", "file, directory, port, root");
        let purpose = item.optional("purpose", self.problems);
        if purpose.is_none() && !matches!(meaning, Meaning::Port | Meaning::Root) {
            self.problems.add(item.span(), "`purpose` of [[directives]] is missing");
        }
        let purpose = purpose.map_or(Purpose::Run, |purpose| {
            self.word(&purpose, Purpose::Run, "purpose", "tmp, run, cache, log, state, config")
        });
        Directive {
            files: self.globs(files),
            syntax: self.word(
                &syntax,
                Syntax::Words,
                "syntax",
                "nginx, apache, words, ini, lines, yaml, caddy",
            ),
            names: self.distinct("directive name", names),
            meaning,
            purpose,
            default: item.optional("default", self.problems).map(Spanned::into_inner),
        }
    }

    fn port(&mut self, item: &mut Table<'_>) -> PortRule {
        let number = item.integer("port", self.problems);
        let port = number.as_ref().and_then(|number| u16::try_from(*number.get_ref()).ok()).unwrap_or(0);
        if port == 0 {
            let found =
                number.as_ref().map_or_else(|| "none".to_owned(), |number| number.get_ref().to_string());
            let span = number.map_or_else(|| item.span().clone(), |number| number.span());
            self.problems.add(&span, format!("port is {found}, not from 1 to 65535"));
        }
        let name = item.string("name", self.problems);
        if !is_port_name(name.get_ref()) {
            let message = format!(
                "`{}` is no Kubernetes port name (15 of a-z, 0-9 and `-`, a letter among them)",
                name.get_ref()
            );
            self.problems.add(&name.span(), message);
        }
        PortRule { port, name: name.into_inner(), why: item.string("why", self.problems).into_inner() }
    }

    fn probe(&mut self, table: &mut Table<'_>) -> Option<Probe> {
        let mut item = table.table("probe", "[probe]", self.problems)?;
        let http = item.optional("http", self.problems);
        let tcp = item.take("tcp");
        let span = item.span().clone();
        item.finish(self.problems);
        match (http, tcp.map(Spanned::get_ref)) {
            (Some(path), None) => {
                if !path.get_ref().starts_with('/') {
                    let message = format!("probe path `{}` does not begin with `/`", path.get_ref());
                    self.problems.add(&path.span(), message);
                }
                Some(Probe::Http { path: path.into_inner() })
            }
            (None, Some(DeValue::Boolean(true))) => Some(Probe::Tcp),
            _ => {
                self.problems.add(&span, "[probe] is either `http = \"/path\"` or `tcp = true`");
                None
            }
        }
    }

    fn env(&mut self, item: &mut Table<'_>) -> EnvRule {
        let name = item.string("name", self.problems);
        self.variable(&name);
        EnvRule {
            name: name.into_inner(),
            value: item.optional("value", self.problems).map(Spanned::into_inner).unwrap_or_default(),
            why: item.string("why", self.problems).into_inner(),
        }
    }

    fn glob(&mut self, glob: &Spanned<String>) {
        if glob.get_ref().is_empty() {
            return;
        }
        if let Err(error) = check_glob(glob.get_ref()) {
            self.problems.add(&glob.span(), error.to_string());
        }
    }

    fn globs(&mut self, globs: Vec<Spanned<String>>) -> Vec<String> {
        for glob in &globs {
            self.glob(glob);
        }
        self.distinct("glob", globs)
    }

    fn path(&mut self, path: &Spanned<String>) -> ImagePath {
        let text = path.get_ref();
        if !text.is_empty() && !text.starts_with('/') {
            self.problems.add(&path.span(), format!("path `{text}` is not absolute"));
        }
        ImagePath::parse(text.as_bytes()).unwrap_or_else(|error| {
            self.problems.add(&path.span(), error.to_string());
            ImagePath::root()
        })
    }

    fn variable(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        if text.contains(['=', '\0']) || text.trim() != text {
            self.problems.add(&name.span(), format!("`{text}` is no name of a variable"));
        }
    }

    fn word<T: for<'de> Deserialize<'de>>(
        &mut self,
        text: &Spanned<String>,
        fallback: T,
        key: &str,
        known: &str,
    ) -> T {
        if text.get_ref().is_empty() {
            return fallback;
        }
        let reader = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text.get_ref());
        T::deserialize(reader).unwrap_or_else(|_| {
            self.problems.add(&text.span(), format!("{key} `{}` is not one of {known}", text.get_ref()));
            fallback
        })
    }

    /// The texts, complaining about blank and repeated ones.
    fn distinct(&mut self, what: &str, texts: Vec<Spanned<String>>) -> Vec<String> {
        let mut seen = BTreeSet::new();
        for text in &texts {
            if text.get_ref().trim().is_empty() {
                self.problems.add(&text.span(), format!("a {what} is empty"));
            } else if !seen.insert(text.get_ref()) {
                self.problems.add(&text.span(), format!("{what} `{}` stands twice", text.get_ref()));
            }
        }
        texts.into_iter().map(Spanned::into_inner).collect()
    }

    fn twice(&mut self, table: &Table<'_>, what: &str, items: impl Iterator<Item = String>) {
        let mut seen = BTreeSet::new();
        for item in items.filter(|item| !item.is_empty() && item != "/" && item != "0") {
            if seen.contains(&item) {
                self.problems.add(table.span(), format!("{what} `{item}` stands twice"));
            }
            seen.insert(item);
        }
    }
}

/// `IANA_SVC_NAME` as Kubernetes checks it, without the rare rules on `-`.
fn is_port_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.bytes().any(|byte| byte.is_ascii_lowercase())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

#[cfg(test)]
mod tests;
