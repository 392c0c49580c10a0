//! A script in the chain: lowered by a recipe, or kept with its interpreter.
//!
//! Does not know what a script means: a recipe says that, or its interpreter stays.

use super::lookup::text;
use super::started::Started;
use super::{Frozen, Next, Problem, Walk};
use crate::catalog::{Catalog, Class};
use crate::path::ImagePath;
use crate::plan::{Role, lowering};
use crate::recipe::Recipe;

impl Walk<'_, '_> {
    pub(super) fn script(
        &mut self,
        path: &ImagePath,
        file: &ImagePath,
        argv: &[String],
        line: &[u8],
    ) -> Next {
        if !self.held
            && let Some(lowered) = self.recipe_lowering(path, file, argv)
        {
            self.lower(argv, lowered.argv.clone(), lowered.why);
            for pair in lowered.env {
                self.start.entrypoint.env.push(pair);
            }
            self.start.directories.extend(lowered.directories);
            self.start.frozen.push(Frozen { script: path.clone(), variables: lowered.frozen });
            return Next::Words(lowered.argv);
        }
        let line = String::from_utf8_lossy(line).into_owned();
        let (interpreter, argument) = match line.split_once(char::is_whitespace) {
            Some((interpreter, argument)) => (interpreter.to_owned(), Some(argument.trim().to_owned())),
            None => (line.clone(), None),
        };
        let Some((interpreter_path, interpreter_file)) =
            self.find(&interpreter).filter(|_| interpreter.contains('/'))
        else {
            self.push(path, file, Role::Script);
            self.start.problem = Some(Problem::NotFound(interpreter));
            return Next::Done;
        };
        if interpreter_path.name() == b"env" {
            let env = (interpreter_path, interpreter_file);
            if self.held {
                self.push(&env.0, &env.1, Role::Wrapper);
            }
            return self.env_script(path, argv, argument.as_deref(), &env);
        }
        // `#!/usr/bin/dumb-init /bin/sh`: the kernel hands the wrapper its one argument, then the script.
        if Catalog::builtin().wrapper(interpreter_path.name()).is_some() {
            let mut words = vec![text(&interpreter_path)];
            words.extend(argument);
            words.push(text(path));
            words.extend(argv.iter().skip(1).cloned());
            return Next::Words(words);
        }
        let class = Catalog::builtin().program(interpreter_file.name());
        self.push(path, file, Role::Script);
        self.push(&interpreter_path, &interpreter_file, Role::Interpreter);
        if class == Some(Class::Shell) {
            self.needs_shell(
                path.to_string(),
                "start the program that the script ends in, or give kiln a recipe that lowers it",
            );
            self.held = true;
            let started = self.scan(file, 0);
            return self.arguments_program(argv, &started, file);
        }
        if let Some(supervisor) = Catalog::builtin().supervisor(interpreter_path.name()) {
            self.supervisor(path, supervisor);
        }
        self.start.program = Some(interpreter_file);
        if Catalog::builtin().program(path.name()) == Some(Class::PackageManager)
            || Catalog::builtin().program(file.name()) == Some(Class::PackageManager)
        {
            self.package_manager(path);
        }
        Next::Done
    }

    /// `#!/usr/bin/env X`: the kernel starts `env X SCRIPT…`, and env starts `X SCRIPT…`.
    fn env_script(
        &mut self,
        path: &ImagePath,
        argv: &[String],
        argument: Option<&str>,
        env: &(ImagePath, ImagePath),
    ) -> Next {
        let mut words: Vec<String> = match argument {
            Some(text) => match text.strip_prefix("-S") {
                Some(split) => split.split_whitespace().map(str::to_owned).collect(),
                None => vec![text.to_owned()],
            },
            None => Vec::new(),
        };
        let Some((found, _)) = words.first().and_then(|word| self.find(word)) else {
            self.start.problem =
                Some(Problem::NotFound(words.first().cloned().unwrap_or_else(|| "env".into())));
            return Next::Done;
        };
        if let Some(first) = words.first_mut() {
            *first = text(&found);
        }
        words.push(text(path));
        words.extend(argv.iter().skip(1).cloned());
        self.lower(
            argv,
            words.clone(),
            "the script's first line has `env` look its interpreter up in `PATH`".into(),
        );
        // The interpreter is now a program with the script as argument: record both.
        if let (Some((interpreter_path, interpreter_file)), Some((script_path, script_file))) =
            (self.find(&text(&found)), self.find_file(&text(path)))
        {
            let class = Catalog::builtin().program(interpreter_file.name());
            if class == Some(Class::Shell) {
                // Scripts start themselves again as another user: `exec gosu postgres "$BASH_SOURCE" "$@"`.
                self.push(&env.0, &env.1, Role::Wrapper);
                return Next::Words(words);
            }
            self.push(&script_path, &script_file, Role::Script);
            self.push(&interpreter_path, &interpreter_file, Role::Interpreter);
            self.start.program = Some(interpreter_file);
            if [&script_path, &script_file]
                .iter()
                .any(|file| Catalog::builtin().program(file.name()) == Some(Class::PackageManager))
            {
                self.package_manager(path);
            }
        }
        Next::Done
    }

    /// `npm start` runs a line of `package.json` in a shell.
    pub(super) fn package_manager(&mut self, path: &ImagePath) {
        self.needs_shell(path.to_string(), "start the program itself instead of through its package manager");
        // Its own scripts are often `#!/usr/bin/env`.
        self.mention_words("sh env", path);
    }

    fn recipe_lowering(
        &self,
        path: &ImagePath,
        file: &ImagePath,
        argv: &[String],
    ) -> Option<lowering::FromRecipe> {
        let arguments = argv.get(1..).unwrap_or_default();
        self.known
            .recipes
            .iter()
            .flat_map(|recipe: &Recipe| recipe.lowerings.iter().map(move |rule| (recipe, rule)))
            .filter(|(_, rule)| rule.scripts.contains(path) || rule.scripts.contains(file))
            .find_map(|(recipe, rule)| lowering::by_recipe(self.known, &recipe.name, rule, file, arguments))
    }

    /// After the script `argv[0]` that stays: its arguments may be a program that it ends in (`exec "$@"`).
    pub(super) fn arguments_program(
        &mut self,
        argv: &[String],
        started: &[Started],
        script: &ImagePath,
    ) -> Next {
        let rest: Vec<String> =
            argv.iter().skip(1).skip_while(|word| word.starts_with('-')).cloned().collect();
        if rest.first().and_then(|word| self.find(word)).is_some() {
            return Next::Words(rest);
        }
        self.guess(started, script, &script.to_string())
    }
}
