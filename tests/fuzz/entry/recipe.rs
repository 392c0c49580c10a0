//! Recipes: valid, or refused with lines that are in the text.

use kiln::recipe::parse_recipe;

/// Checks one recipe.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = parse_recipe("fuzz.toml", text) {
        assert!(!error.problems.is_empty(), "refused for a reason");
        let lines = text.lines().count().max(1) + 1;
        for problem in &error.problems {
            assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem}");
            assert!(!problem.message.is_empty());
        }
    }
}
