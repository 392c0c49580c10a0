//! `kiln recipe`: what recipes there are, and what is wrong with one.
//!
//! Does not know how a recipe is written.

use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::json;

use super::args::{Format, RecipeAction};
use super::output::World;
use super::{Failure, Outcome, Pipeline, analysis};
use crate::report::{columns, safe};

pub(super) fn run(
    action: RecipeAction,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    match action {
        RecipeAction::List { format } => list(format, pipeline, world),
        RecipeAction::Show { name } => show(&name, pipeline, world),
        RecipeAction::Lint { files, format } => lint(&files, format, pipeline, world),
    }
}

fn list(format: Format, pipeline: &dyn Pipeline, world: &mut World<'_>) -> Result<Outcome, Failure> {
    let recipes = pipeline.builtin_recipes();
    let text = match format {
        Format::Json => {
            let list: Vec<_> = recipes.iter().map(|r| json!({ "name": r.name, "title": r.title })).collect();
            format!("{:#}\n", json!(list))
        }
        Format::Text => {
            let rows: Vec<_> = recipes.into_iter().map(|recipe| [recipe.name, recipe.title]).collect();
            columns(&rows, &[]).into_iter().map(|line| line + "\n").collect()
        }
    };
    world.say(&text)?;
    Ok(Outcome::Clean)
}

fn show(name: &str, pipeline: &dyn Pipeline, world: &mut World<'_>) -> Result<Outcome, Failure> {
    let recipes = pipeline.builtin_recipes();
    let Some(recipe) = recipes.iter().find(|recipe| recipe.name == name) else {
        return Err(Failure::usage(anyhow!("no recipe `{name}`")).hint("`kiln recipe list` names them"));
    };
    world.say(&recipe.text)?;
    Ok(Outcome::Clean)
}

fn lint(
    files: &[std::path::PathBuf],
    format: Format,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Clean;
    let mut lines = String::new();
    let mut list = Vec::new();
    for path in files {
        let text = analysis::read_recipe(path)?;
        let file = path.display().to_string();
        let problems = match pipeline.parse_recipe(&file, &text) {
            Ok(recipe) => {
                let _ = writeln!(lines, "{}: recipe `{}` is well-formed", safe(&file), safe(&recipe.name));
                Vec::new()
            }
            Err(problems) => problems,
        };
        if !problems.is_empty() {
            outcome = Outcome::Findings;
        }
        for problem in &problems {
            let _ = writeln!(lines, "{}: {}", safe(&file), safe(problem));
        }
        list.push(json!({ "file": file, "problems": problems }));
    }
    match format {
        Format::Text => world.say(&lines)?,
        Format::Json => world.say(&format!("{:#}\n", json!(list)))?,
    }
    Ok(outcome)
}
