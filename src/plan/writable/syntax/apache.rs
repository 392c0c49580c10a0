//! Apache httpd's configuration grammar: `Name value`, `<Section …>`, includes, `Define` and `${VAR}`.
//!
//! Evaluates `IfModule` and `IfDefine` with what was loaded and defined before; other conditions count as true.

use std::collections::BTreeMap;

use super::super::Inputs;
use super::super::command_line::CommandLine;
use super::{Reader, Setting, directory_of, place_of, prefix_of, split_words};
use crate::path::ImagePath;

/// Modules that builds mostly have inside the program; `IfModule` finds them without `LoadModule`.
const COMPILED_IN: &[&str] = &["core", "http", "log_config", "logio", "so", "unixd", "version", "watchdog"];

/// Reads the main file `file`.
pub(super) fn read(reader: &mut Reader<'_>, inputs: &Inputs<'_>, file: &ImagePath, line: &CommandLine) {
    let mut state = State::new(inputs, line, prefix_of(file));
    let shell = ImagePath::parse(format!("{}/envvars", directory_of(file)).as_bytes()).ok();
    if let Some(text) = shell.and_then(|shell| reader.rootfs.bytes_following(&shell)) {
        state.shell_variables(&String::from_utf8_lossy(&text));
    }
    state.read_file(reader, file, 0);
}

/// Reads a directive given with `-C` or `-c`.
pub(super) fn read_text(reader: &mut Reader<'_>, inputs: &Inputs<'_>, text: &str, line: &CommandLine) {
    let mut state = State::new(inputs, line, "/".to_owned());
    state.read_text(reader, text, None, 0);
}

struct State {
    server_root: String,
    variables: BTreeMap<String, String>,
    defines: Vec<String>,
    modules: Vec<String>,
}

impl State {
    fn new(inputs: &Inputs<'_>, line: &CommandLine, server_root: String) -> Self {
        Self {
            server_root: line.values(&["-d"]).last().map_or(server_root, |&root| root.to_owned()),
            variables: inputs.env.iter().cloned().collect(),
            defines: line.values(&["-D"]).iter().map(|&name| name.to_owned()).collect(),
            modules: COMPILED_IN.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// Assignments of Debian's `envvars`, which `apachectl` sources; the container's environment wins.
    /// What stands in an `if` is for other instances than the default one.
    fn shell_variables(&mut self, text: &str) {
        let mut conditions = 0_usize;
        for line in text.lines() {
            let line = line.trim();
            match line.split_whitespace().next() {
                Some("if") => conditions += 1,
                Some("fi") => conditions = conditions.saturating_sub(1),
                _ => {}
            }
            if conditions > 0 {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((name, value)) = line.split_once('=') else { continue };
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_name) || value.contains('`') || value.contains("$(") {
                continue;
            }
            let value = shell_expand(value.trim_matches(['"', '\'']), &self.variables);
            self.variables.entry(name.to_owned()).or_insert(value);
        }
    }

    fn read_file(&mut self, reader: &mut Reader<'_>, file: &ImagePath, depth: usize) {
        if let Some(text) = reader.open(file, depth) {
            self.read_text(reader, &text, Some(file), depth);
        }
    }

    fn read_text(&mut self, reader: &mut Reader<'_>, text: &str, file: Option<&ImagePath>, depth: usize) {
        // Depth of open sections below one whose condition is false.
        let mut skipped = 0_usize;
        let mut joined = String::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(start) = line.strip_suffix('\\') {
                joined.push_str(start);
                continue;
            }
            joined.push_str(line);
            let line = std::mem::take(&mut joined);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(section) = line.strip_prefix('<') {
                if section.starts_with('/') {
                    skipped = skipped.saturating_sub(1);
                } else if skipped > 0 || !self.holds(section.trim_end_matches('>')) {
                    skipped += 1;
                }
                continue;
            }
            if skipped > 0 {
                continue;
            }
            let mut words = split_words(line).into_iter();
            let Some(name) = words.next() else { continue };
            let words: Vec<String> = words.map(|word| self.expand(&word)).collect();
            let source = file.map_or_else(|| "command line".to_owned(), |file| place_of(file, number + 1));
            self.take(reader, Setting { name, words, source, base: String::new() }, depth);
        }
    }

    fn take(&mut self, reader: &mut Reader<'_>, mut setting: Setting, depth: usize) {
        let first = setting.words.first().cloned().unwrap_or_default();
        match setting.name.to_ascii_lowercase().as_str() {
            "include" | "includeoptional" => {
                for included in reader.included(&first, &self.server_root) {
                    self.read_file(reader, &included, depth + 1);
                }
            }
            "serverroot" => self.server_root = first,
            "define" => {
                if let Some(value) = setting.words.get(1) {
                    self.variables.insert(first.clone(), value.clone());
                }
                self.defines.push(first);
            }
            "undefine" => self.defines.retain(|name| *name != first),
            "loadmodule" => {
                self.modules.push(module_name(&first).to_owned());
                if let Some(file) = setting.words.get(1).and_then(|path| path.rsplit('/').next()) {
                    self.modules.push(module_name(file).to_owned());
                }
            }
            _ => {
                setting.base.clone_from(&self.server_root);
                reader.push(setting);
            }
        }
    }

    /// Whether what stands in the section `IfModule NAME`, `IfDefine NAME` or any other counts.
    fn holds(&self, section: &str) -> bool {
        let (kind, condition) = section.split_once(char::is_whitespace).unwrap_or((section, ""));
        let condition = condition.trim().trim_matches('"');
        let (negated, name) = match condition.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, condition),
        };
        let holds = match kind.to_ascii_lowercase().as_str() {
            "ifmodule" => self.modules.iter().any(|module| module == module_name(name)),
            "ifdefine" => self.defines.iter().any(|define| define == name),
            _ => return true,
        };
        holds != negated
    }

    /// Replaces `${VAR}`; an unknown one stays, and shows that the value is not known.
    fn expand(&self, word: &str) -> String {
        let mut out = String::new();
        let mut rest = word;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                out.push_str("${");
                rest = after;
                continue;
            };
            if let Some(value) = self.variables.get(name) {
                out.push_str(value);
            } else {
                out.push_str("${");
                out.push_str(name);
                out.push('}');
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// The common part of `ssl_module`, `mod_ssl.c` and `mod_ssl.so`.
fn module_name(text: &str) -> &str {
    let text = text.strip_suffix(".c").or_else(|| text.strip_suffix(".so")).unwrap_or(text);
    let text = text.strip_prefix("mod_").unwrap_or(text);
    text.strip_suffix("_module").unwrap_or(text)
}

/// Replaces `$NAME` and `${NAME}`; what is not set is empty, as in a shell.
fn shell_expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, after) = braced.unwrap_or_else(|| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()))
        });
        out.push_str(variables.get(name).map_or("", String::as_str));
        rest = after;
    }
    out.push_str(rest);
    out
}
