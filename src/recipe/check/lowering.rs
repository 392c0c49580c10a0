//! The part of a recipe that replaces a script by what it ends up running, and its conditions.
//!
//! Knows no script: whether the conditions hold is seen where an image is planned.

use toml::Spanned;
use toml::de::DeValue;

use super::Checker;
use crate::digest::BlobDigest;
use crate::recipe::raw::{self, Table};
use crate::recipe::{Arguments, Condition, Lowering};

impl Checker<'_, '_> {
    pub(super) fn lowering(&mut self, item: &mut Table<'_>) -> Lowering {
        let scripts = item.some_strings("scripts", self.problems);
        let scripts = scripts.iter().map(|path| self.path(path)).collect();
        let conditions = match item.table("when", "[lowerings.when]", self.problems) {
            Some(when) => self.conditions(when),
            None => Vec::new(),
        };
        if conditions.is_empty() {
            self.problems.add(item.span(), "a lowering without conditions in `when` is a guess");
        }
        let arguments = self.arguments(item);
        let exec = item.some_strings("exec", self.problems);
        if let Some(first) = exec.first()
            && !first.get_ref().starts_with('/')
            && !matches!(first.get_ref().as_str(), "$1" | "$@")
        {
            let message =
                format!("exec begins with `{}`, not with an absolute path, `$1` or `$@`", first.get_ref());
            self.problems.add(&first.span(), message);
        }
        let mut env = Vec::new();
        if let Some(pairs) = item.table("env", "[lowerings.env]", self.problems) {
            for (name, value) in pairs.pairs(self.problems) {
                self.variable(&name);
                env.push((name.into_inner(), value));
            }
        }
        let directories = item.strings("directories", self.problems);
        Lowering {
            scripts,
            conditions,
            arguments,
            exec: exec.into_iter().map(Spanned::into_inner).collect(),
            env,
            directories: directories.iter().map(|path| self.path(path)).collect(),
            why: item.string("why", self.problems).into_inner(),
        }
    }

    fn conditions(&mut self, mut when: Table<'_>) -> Vec<Condition> {
        let mut out = Vec::new();
        let unmodified = when.strings("unmodified", self.problems);
        if !unmodified.is_empty() {
            out.push(Condition::Unmodified(unmodified.iter().map(|path| self.path(path)).collect()));
        }
        let lines = when.strings("lines", self.problems);
        if !lines.is_empty() {
            out.push(Condition::Lines(lines.into_iter().map(Spanned::into_inner).collect()));
        }
        for mut known in when.tables("known", "[[lowerings.when.known]]", self.problems) {
            let files = known.some_strings("files", self.problems);
            let digests = known.some_strings("sha256", self.problems);
            let files = self.globs(files);
            let digests = digests.iter().filter_map(|text| self.digest(text)).collect();
            out.push(Condition::Known { files, digests });
            known.finish(self.problems);
        }
        let absent = when.strings("absent", self.problems);
        if !absent.is_empty() {
            out.push(Condition::Absent(self.globs(absent)));
        }
        let unset = when.strings("unset", self.problems);
        for name in &unset {
            self.variable(name);
        }
        if !unset.is_empty() {
            out.push(Condition::Unset(unset.into_iter().map(Spanned::into_inner).collect()));
        }
        when.finish(self.problems);
        out
    }

    fn arguments(&mut self, item: &mut Table<'_>) -> Arguments {
        let Some(value) = item.take("arguments") else {
            self.problems.add(item.span(), "`arguments` of [[lowerings]] is missing");
            return Arguments::Exactly(Vec::new());
        };
        let DeValue::Table(table) = value.get_ref() else {
            let words = raw::strings(value, "arguments", self.problems);
            return Arguments::Exactly(words.into_iter().map(Spanned::into_inner).collect());
        };
        let mut table = Table::new(table, value.span(), "`arguments`");
        let programs = table.strings("programs", self.problems);
        let arguments = Arguments::Any {
            option_prefix: table.optional("option-prefix", self.problems).map(Spanned::into_inner),
            suffix: table.optional("suffix", self.problems).map(Spanned::into_inner),
            programs: self.distinct("program", programs),
        };
        table.finish(self.problems);
        arguments
    }

    fn digest(&mut self, text: &Spanned<String>) -> Option<BlobDigest> {
        let digest = format!("sha256:{}", text.get_ref()).parse();
        if digest.is_err() {
            let message = format!("`{}` is not 64 lower-case hexadecimal digits", text.get_ref());
            self.problems.add(&text.span(), message);
        }
        digest.ok()
    }
}
