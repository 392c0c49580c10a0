//! A wrapper in the chain: taken off where nothing is lost, else kept in front of what it starts.
//!
//! Which programs are wrappers, and how they read their words, is the catalog's.

use super::{Next, Walk};
use crate::catalog::{Wrapped, Wrapper, WrapperKind};
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
        // Options change more than the user or a variable; a wrapper with some stays.
        let plain = |words: &[String]| words.iter().all(|word| word == "--" || word.starts_with("-S"));
        match (wrapper.kind, parsed.skipped.as_slice()) {
            (WrapperKind::UserSwitch, [user]) if wrapper.operands == 1 && !self.held => {
                let why = format!(
                    "`{}` only switches the user, and the container starts as that user",
                    path.name().escape_ascii()
                );
                self.start.switched_user = Some(user.clone());
                self.lower(argv, parsed.command.clone(), why);
            }
            (WrapperKind::Environment, skipped) if plain(skipped) && !self.held => {
                self.start.entrypoint.env.extend(parsed.assignments);
                self.lower(
                    argv,
                    parsed.command.clone(),
                    "`env` only sets the environment and starts this".into(),
                );
            }
            (kind, skipped) => {
                if let (WrapperKind::UserSwitch, [user]) = (kind, skipped)
                    && wrapper.operands == 1
                {
                    self.start.switched_user = Some(user.clone());
                }
                self.push(path, file, Role::Wrapper);
                let own = argv.len().saturating_sub(parsed.command.len());
                self.prefix.extend(argv.iter().take(own).cloned());
            }
        }
        Next::Words(parsed.command)
    }
}
