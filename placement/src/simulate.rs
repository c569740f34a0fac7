//! The simulator: a scenario, played with our planner and with the balancers of others, in virtual time.
//!
//! 1. [`scenario_file`]: text to [`scenario::Scenario`]. The language is described there; docs/incidents.md tells the stories.
//! 2. [`world`]: time, in ticks of 2 s: the true cluster ([`node`], [`transfers`], `happen.rs`), the nodes' own part (`agent.rs`: the real
//!    pressure, offers and admission), the leader's ([`leader`]: the real state and `plan`).
//! 3. [`balancers`]: whose decisions are played.
//! 4. [`measures`], [`transcript`], [`picture`]: what is told of a run. [`run`] puts it together.
//!
//! The same scenario with the same seed gives the same transcript, to the byte, on every machine: chance is SplitMix64, and the world is
//! computed in integers.
//!
//! Architecture invariant: nothing else in this crate knows of the simulator; it plays the planner as the server does.

mod agent;
pub mod balancers;
mod chance;
mod happen;
#[cfg(test)]
mod incidents;
pub mod leader;
pub mod measures;
mod messages;
pub mod node;
pub mod picture;
mod proposals;
pub mod quantity;
pub mod random;
pub mod scenario;
pub mod scenario_file;
pub mod stories;
pub mod transcript;
pub mod transfers;
pub mod world;

use measures::{MEASURES, Measures};
use scenario::Scenario;
pub use scenario_file::ScenarioError;
use std::fmt::Write;
use world::World;

/// What is to be simulated.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// The text of the scenario.
    pub text: String,
    /// Another seed than its own.
    pub seed: Option<u64>,
    /// Other policies than those that it names; names as in [`balancers::NAMES`].
    pub policies: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// A table: measures down, policies across.
    pub summary: String,
    /// What happened, by policy, in the order of the table.
    pub transcripts: Vec<(String, String)>,
    /// Node loads over time, as SVG.
    pub picture_svg: String,
    /// Every measure of every policy.
    pub measures: Vec<(String, Vec<(&'static str, u64)>)>,
    /// Expectations of the scenario that did not hold. None: it is as expected.
    pub broken: Vec<String>,
}

impl Output {
    /// What a terminal shows: the table, and what did not hold; with transcripts, those first.
    pub fn text(&self, with_transcripts: bool) -> String {
        let mut text = String::new();
        for (policy, transcript) in self.transcripts.iter().filter(|_| with_transcripts) {
            text += &format!("{policy}\n\n{transcript}\n");
        }
        text += &self.summary;
        text += if self.broken.is_empty() { "" } else { "\nnot as the scenario expects:\n" };
        self.broken.iter().for_each(|it| text += &format!("  {it}\n"));
        text
    }

    /// One measure of one policy; 0 if it was not played.
    pub fn measured(&self, policy: &str, measure: &str) -> u64 {
        let of = self.measures.iter().filter(|(name, _)| name == policy).flat_map(|(_, values)| values);
        of.filter(|(name, _)| *name == measure).map(|(_, value)| *value).sum()
    }
}

/// Why there is nothing to tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// The scenario cannot be read.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// There is no such policy.
    #[error("there is no policy '{0}': {known}", known = balancers::NAMES.join(", "))]
    UnknownPolicy(String),
}

/// Plays a scenario with each policy.
pub fn run(arguments: &Arguments) -> Result<Output, SimulationError> {
    let mut scenario = scenario_file::parse(&arguments.text)?;
    scenario.seed = arguments.seed.unwrap_or(scenario.seed);
    let policies = match (&arguments.policies[..], &scenario.policies[..]) {
        ([], []) => balancers::NAMES.map(String::from).to_vec(),
        ([], named) => named.to_vec(),
        (asked, _) => asked.to_vec(),
    };
    let mut runs = Vec::new();
    for policy in policies {
        let balancer = balancers::by_name(&policy).ok_or(SimulationError::UnknownPolicy(policy.clone()))?;
        let mut world = World::new(&scenario, balancer);
        world.run();
        runs.push((policy, world.measures, world.transcript.finish(), world.samples));
    }
    let measured: Vec<_> = runs.iter().map(|(policy, measures, ..)| (policy.as_str(), measures)).collect();
    let samples: Vec<_> = runs.iter().map(|(policy, _, _, samples)| (policy.as_str(), samples)).collect();
    let (summary, broken) = (summarize(&scenario, &measured), broken(&scenario, &measured));
    let picture_svg = picture::draw(&scenario.name, &samples);
    let values = |measures: &Measures| MEASURES.map(|(name, _)| (name, measures.get(name))).to_vec();
    let measures = measured.iter().map(|(policy, measures)| (policy.to_string(), values(measures))).collect();
    Ok(Output {
        summary,
        picture_svg,
        measures,
        broken,
        transcripts: runs.into_iter().map(|(policy, _, text, _)| (policy, text)).collect(),
    })
}

/// Measures down, policies across; what is 0 for everybody is left out.
fn summarize(scenario: &Scenario, runs: &[(&str, &Measures)]) -> String {
    let mut table = format!("{}\n\n", scenario.name);
    let first = MEASURES.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut row = |name: &str, values: Vec<String>| {
        write!(table, "{name:first$}").expect("a string takes all");
        for (value, (policy, _)) in values.iter().zip(runs) {
            write!(table, "  {value:>width$}", width = policy.len().max(8)).expect("a string takes all");
        }
        table.push('\n');
    };
    row("", runs.iter().map(|(policy, _)| policy.to_string()).collect());
    for (name, _) in MEASURES {
        if runs.iter().any(|(_, measures)| measures.get(name) > 0) {
            row(name, runs.iter().map(|(_, measures)| measures.get(name).to_string()).collect());
        }
    }
    table
}

fn broken(scenario: &Scenario, runs: &[(&str, &Measures)]) -> Vec<String> {
    let mut broken = Vec::new();
    for it in &scenario.expectations {
        let Some((_, measures)) = runs.iter().find(|(policy, _)| *policy == it.policy) else { continue };
        let value = measures.get(&it.measure);
        if !it.comparison.holds(value, it.bound) {
            let (policy, measure, symbol, bound) = (&it.policy, &it.measure, it.comparison.symbol(), it.bound);
            broken.push(format!("line {}: {policy} {measure} {symbol} {bound} does not hold: it is {value}", it.line));
        }
    }
    broken
}
