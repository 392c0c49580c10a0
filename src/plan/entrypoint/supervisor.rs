//! A program that starts what its own files name: what they name is mentioned, and the rest is doubt.
//!
//! Reads the unowned scripts of the image and the lines of its configuration that hold commands; knows no syntax of one
//! supervisor.

use super::Walk;
use crate::catalog::Supervisor;
use crate::packages;
use crate::path::ImagePath;
use crate::plan::command;
use crate::rootfs::Content;

/// Words in the key of a configuration line whose value is a command: `command=` (supervisord), `start program =`
/// (monit), `cmd =` (circus), `ExecStart=`, `up =`.
const KEYS: &[&str] = &["command", "program", "cmd", "exec", "run", "start", "up"];

/// Fields of a line before its command in a table of cron (crontab(5)).
const CRON_FIELDS: usize = 5;

/// What would make the shell of a supervisor needless.
const START_ALONE: &str = "run each program that it starts in a container of its own";

impl Walk<'_, '_> {
    pub(super) fn supervisor(&mut self, path: &ImagePath, supervisor: &Supervisor) {
        if supervisor.at_start && self.known.traced.is_some() {
            // What runs showed is kept for that.
            if supervisor.starts.iter().any(|word| word == "sh") {
                self.needs_shell_for(path.to_string(), supervisor.why.clone(), START_ALONE);
            }
            return;
        }
        self.doubt(
            path.to_string(),
            &format!("{}, and no word of the command line says what", supervisor.why),
        );
        for word in &supervisor.starts {
            let Some((found, _)) = self.find(word) else { continue };
            if word == "sh" {
                self.needs_shell(path.to_string(), START_ALONE);
            }
            self.mention(found, path);
        }
        let known = self.known;
        for (file, _) in known.rootfs.nodes() {
            let Some(entry) = known.rootfs.entry(file).and_then(|entry| entry.file()) else { continue };
            let unowned = known.owners(file).is_empty();
            if entry.bytes.is_none() || packages::is_database(file) {
                continue;
            }
            let is_script = matches!(entry.content, Content::Script(_));
            if is_script && unowned {
                self.scan(file, 0);
            } else if !is_script && (unowned || file.is_within(&ImagePath::literal("etc"))) {
                self.command_lines(file, path);
            }
        }
    }

    fn command_lines(&mut self, file: &ImagePath, by: &ImagePath) {
        let Some(bytes) = self.known.rootfs.bytes(file) else { return };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_table = file.components().any(|name| name.starts_with(b"cron"));
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            let value = line.split_once(['=', ':']).filter(|(key, _)| {
                key.to_ascii_lowercase()
                    .split(|c: char| !c.is_ascii_alphanumeric())
                    .any(|word| KEYS.iter().any(|known| word == *known || word.starts_with("exec")))
            });
            if let Some((_, value)) = value {
                let value = value.trim().trim_matches(['"', '\'']);
                self.mention_words(value, by);
                let programs = self.programs_of(command::commands(value));
                self.started.extend(programs);
            } else if is_table && line.split_whitespace().nth(CRON_FIELDS).is_some() {
                self.mention_words(line, by);
            }
        }
    }
}
