//! `plimsoll simulate`: plays a scenario of the placement simulator and prints what came of it.

use placement::simulate::{Arguments, run as play, stories};
use std::path::Path;

/// Prints the names of the built-in scenarios.
pub fn list() {
    println!("built-in scenarios (docs/incidents.md says where they come from):");
    stories::STORIES.iter().for_each(|(name, _)| println!("  {name}"));
    println!("play one with: plimsoll simulate NAME [--transcript] [--svg FILE]");
}

/// Plays a scenario: a file, or a built-in one by its name. An error says which expectations did not hold.
pub fn run(scenario: &str, seed: Option<u64>, policies: Vec<String>, transcript: bool, svg: Option<&Path>) -> Result<(), String> {
    let text = match stories::by_name(scenario) {
        Some(text) => text.to_string(),
        None => std::fs::read_to_string(scenario)
            .map_err(|error| format!("could not read {scenario}: {error}\nhint: `plimsoll simulate` lists the built-in scenarios"))?,
    };
    let output = play(&Arguments { text, seed, policies }).map_err(|error| format!("{scenario}: {error}"))?;
    print!("{}", output.text(transcript));
    if let Some(path) = svg {
        std::fs::write(path, &output.picture_svg).map_err(|error| format!("could not write {}: {error}", path.display()))?;
    }
    match output.broken.len() {
        0 => Ok(()),
        count => Err(format!("{count} of the scenario's expectations did not hold")),
    }
}
