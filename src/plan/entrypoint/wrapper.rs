//! A wrapper in the chain: taken off where nothing is lost, else kept in front of what it starts.
//!
//! Which programs are wrappers, and how they read their words, is the catalog's.

use super::{Next, Walk};
use crate::catalog::{Switch, Wrapped, Wrapper, WrapperKind};
use crate::path::ImagePath;
use crate::plan::Role;

impl Walk<'_, '_> {
    pub(super) fn wrapper(
        &mut self,
        path: &ImagePath,
        file: &ImagePath,
        argv: &[String],
        wrapper: &Wrapper,
        parsed: Wrapped,
    ) -> Next {
        self.start.assigned.extend(parsed.assignments.iter().cloned());
        // Options change more than a variable; a wrapper with some stays.
        let plain = |words: &[String]| words.iter().all(|word| word == "--" || word.starts_with("-S"));
        let switch = (wrapper.kind == WrapperKind::UserSwitch).then(|| wrapper.switch(&parsed.skipped));
        if let Some(user) = switch.as_ref().and_then(|switch| switch.user.as_ref()) {
            if !self.held {
                self.start.switched_user.get_or_insert_with(|| user.clone());
            } else if let Some(script) =
                self.start.entrypoint.chain.iter().rfind(|step| step.role == Role::Script)
                && self.start.script_users.is_empty()
            {
                self.start.script_users.insert(user.clone(), script.path.clone());
            }
        }
        match (wrapper.kind, switch) {
            (WrapperKind::UserSwitch, Some(Switch { user: Some(_), only: true })) if !self.held => {
                let why = format!(
                    "`{}` only switches the user, and the container starts as that user",
                    path.name().escape_ascii()
                );
                self.lower(argv, parsed.command.clone(), why);
            }
            (WrapperKind::Environment, _)
                if plain(&parsed.skipped) && !self.held && !self.is_changed_by(&parsed.assignments) =>
            {
                self.start.entrypoint.env.extend(parsed.assignments);
                self.lower(
                    argv,
                    parsed.command.clone(),
                    "`env` only sets the environment and starts this".into(),
                );
            }
            (_, switch) => {
                if let Some(Switch { user, .. }) = switch
                    && !self.held
                {
                    self.start.needs_root.push((path.clone(), user.unwrap_or_else(|| "another user".into())));
                }
                self.push(path, file, Role::Wrapper);
                let own = argv.len().saturating_sub(parsed.command.len());
                self.prefix.extend(argv.iter().take(own).cloned());
            }
        }
        Next::Words(parsed.command)
    }

    /// Whether the wrappers before would start differently with `assignments`: they are looked up, and load libraries.
    fn is_changed_by(&self, assignments: &[(String, String)]) -> bool {
        let is_telling = |name: &str| name == "PATH" || name.starts_with("LD_");
        !self.prefix.is_empty() && assignments.iter().any(|(name, _)| is_telling(name))
    }
}
