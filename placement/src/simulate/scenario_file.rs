//! Scenario files: one statement a line, `#` begins a comment. docs/incidents.md has the whole language; `scenarios/` has examples.
//!
//! ```text
//! name a wide table becomes hot
//! source where the story is from
//! seed 7
//! duration 2h
//! heartbeat 10s
//! reports late 30s noise 10%
//! baselines take everything
//! policies plimsoll row-count
//! nodes 1..4 memory 16GiB disk 200GiB cpu 8 network 1.25GB disk-speed 500MB zones 2
//! table wide segments 40 rows 20k disk 256MiB resident 200MiB peak 32MiB cpu 5ms spread 30% replicas 2 on 1..2,4
//! at 10m table wide heat x8 over 10m part 50%
//! at 20m table wide arrives 4 every 1m for 30m
//! at 30m table wide drops 50%
//! at 40m nodes 3 lost
//! at 41m nodes 3 returns
//! at 42m nodes 3 drains
//! at 43m nodes 3 restarts 60s
//! at 44m nodes 1..3 restarts 7m cold
//! at 45m nodes 3 slow 25%
//! at 46m nodes 3 lies x4
//! at 47m nodes 3 refuses 30m
//! at 48m nodes 5..6 joins memory 16GiB disk 200GiB cpu 8
//! at 50m nodes 1..4 roll 60s every 5m
//! at 60m leader changes
//! at 70m reports late 10s noise 5%
//! at 80m random 100 events over 20m
//! expect plimsoll deaths = 0
//! ```

use super::chance;
use super::measures::MEASURES;
use super::quantity::{bytes, count, factor_percent, percent, range, span_ms};
use super::random::Random;
use super::scenario::{Comparison, Expectation, Happening, Hardware, Nodes, Reports, Scenario, Table, Timed};
use crate::cluster::FOOTPRINT_MAX;
use std::ops::RangeInclusive;

/// Why a scenario cannot be read: the line of the file, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScenarioError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

type Read<T> = Result<T, String>;

/// Happenings of one scenario, at most.
const HAPPENINGS_MAX: usize = 100_000;
/// Segments of one scenario, at most.
const SEGMENTS_MAX: u64 = 1_000_000;
/// Nodes of one scenario, at most.
const NODES_MAX: u64 = 10_000;
/// The largest size of anything.
const BYTES_MAX: u64 = 1 << 50;
/// The longest scenario: thirty days.
const DURATION_MS_MAX: u64 = 30 * 86_400_000;

/// Reads a scenario.
pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    let (mut scenario, mut totals) = (empty(), Totals::default());
    for (at, line) in text.lines().enumerate() {
        let line_number = at + 1;
        let mut words = Words::new(line.split('#').next().unwrap_or(""));
        let read = statement(&mut scenario, &mut words, line_number).and_then(|()| words.end()).and_then(|()| totals.add(&scenario));
        read.map_err(|message| ScenarioError { line: line_number, message })?;
    }
    if scenario.nodes.is_empty() {
        return Err(ScenarioError { line: text.lines().count().max(1), message: "the scenario has no nodes".into() });
    }
    scenario.happenings.sort_by_key(|it| it.at_ms);
    Ok(scenario)
}

fn empty() -> Scenario {
    Scenario {
        name: "unnamed".into(),
        source: Vec::new(),
        seed: 1,
        duration_ms: 3_600_000,
        heartbeat_ms: 4_000,
        reports: Reports::default(),
        baselines_take_everything: false,
        policies: Vec::new(),
        nodes: Vec::new(),
        tables: Vec::new(),
        happenings: Vec::new(),
        expectations: Vec::new(),
    }
}

/// How much there is so far, so that the line that is too much is the one that is named.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    nodes: u64,
    segments: u64,
    /// Statements that are counted in.
    counted: [usize; 3],
}

impl Totals {
    /// Counts what the last statement has added.
    fn add(&mut self, scenario: &Scenario) -> Read<()> {
        let count = |it: &Nodes| it.ids.end() - it.ids.start() + 1;
        let happening = |it: &Timed| match &it.what {
            Happening::Join(nodes) => (count(nodes), 0),
            Happening::Arrive { count, .. } => (0, *count),
            _ => (0, 0),
        };
        let [nodes, tables, happenings] = self.counted;
        let there = scenario.nodes[nodes..].iter().map(|it| (count(it), 0));
        let there = there.chain(scenario.tables[tables..].iter().map(|it| (0, it.segments)));
        let all = there.chain(scenario.happenings[happenings..].iter().map(happening));
        let sum = |sum: (u64, u64), it: (u64, u64)| (sum.0.saturating_add(it.0), sum.1.saturating_add(it.1));
        (self.nodes, self.segments) = all.fold((self.nodes, self.segments), sum);
        self.counted = [scenario.nodes.len(), scenario.tables.len(), scenario.happenings.len()];
        match () {
            () if self.nodes > NODES_MAX => Err(format!("{} nodes are more than {NODES_MAX}", self.nodes)),
            () if self.segments > SEGMENTS_MAX => Err(format!("{} segments are more than {SEGMENTS_MAX}", self.segments)),
            () if scenario.happenings.len() > HAPPENINGS_MAX => Err(format!("more than {HAPPENINGS_MAX} things happen")),
            () => Ok(()),
        }
    }
}

fn statement(scenario: &mut Scenario, words: &mut Words<'_>, line: usize) -> Read<()> {
    let Some(word) = words.maybe() else { return Ok(()) };
    match word {
        "name" => scenario.name = words.rest("a name")?,
        "source" => scenario.source.push(words.rest("a text")?),
        "seed" => scenario.seed = count(words.next("a number")?)?,
        "duration" => scenario.duration_ms = between(span(words)?, 1_000, DURATION_MS_MAX, "the duration")?,
        "heartbeat" => scenario.heartbeat_ms = between(span(words)?, 2_000, 600_000, "the heartbeat")?,
        "reports" => scenario.reports = reports(words)?,
        "baselines" => {
            words.expect("take")?;
            words.expect("everything")?;
            scenario.baselines_take_everything = true;
        }
        "policies" => scenario.policies = policies(words)?,
        "nodes" => {
            let nodes = nodes(words)?;
            new_ids(scenario, &nodes.ids)?;
            scenario.nodes.push(nodes);
        }
        "table" => scenario.tables.push(table(scenario, words)?),
        "at" => at(scenario, words)?,
        "expect" => scenario.expectations.push(expectation(words, line)?),
        other => {
            return Err(format!(
                "'{other}' begins no statement: name, source, seed, duration, heartbeat, reports, baselines, policies, nodes, table, at, expect"
            ));
        }
    }
    Ok(())
}

/// A span of time, at most the longest scenario.
fn span(words: &mut Words<'_>) -> Read<u64> {
    between(span_ms(words.next("a span of time")?)?, 0, DURATION_MS_MAX, "a span of time")
}

/// A size, at most a pebibyte: sums of them stay numbers.
fn size(words: &mut Words<'_>) -> Read<u64> {
    let size = bytes(words.next("a size")?)?;
    if size <= BYTES_MAX { Ok(size) } else { Err("a size is at most 1024TiB".into()) }
}

fn at_most(value: u64, most: u64, what: &str) -> Read<u64> {
    if value <= most { Ok(value) } else { Err(format!("{what} is at most {most}")) }
}

/// A part of a whole, in percent.
fn part(words: &mut Words<'_>, what: &str) -> Read<u64> {
    let part = percent(words.next(what)?)?;
    if part <= 100 { Ok(part) } else { Err("a part is at most 100%".into()) }
}

/// The size of a segment, which is at most what a footprint can tell.
fn segment_size(words: &mut Words<'_>) -> Read<u64> {
    let size = bytes(words.next("a size")?)?;
    if size <= FOOTPRINT_MAX { Ok(size) } else { Err("a size of a segment is at most 1TiB".into()) }
}

fn between(value: u64, least: u64, most: u64, what: &str) -> Read<u64> {
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(format!("{what} must be between {} s and {} s", least / 1000, most / 1000)),
    }
}

fn reports(words: &mut Words<'_>) -> Read<Reports> {
    let mut reports = Reports::default();
    while let Some(word) = words.maybe() {
        match word {
            "late" => reports.late_ms = between(span(words)?, 0, 600_000, "the delay")?,
            "noise" => reports.noise_percent = percent(words.next("a part")?)?,
            other => return Err(format!("'{other}' is nothing that reports have: late, noise")),
        }
    }
    match reports.noise_percent {
        0..=100 => Ok(reports),
        _ => Err("noise is at most 100%".into()),
    }
}

fn policies(words: &mut Words<'_>) -> Read<Vec<String>> {
    let mut named = Vec::new();
    while let Some(word) = words.maybe() {
        known_policy(word)?;
        named.push(word.to_string());
    }
    if named.is_empty() { Err("a policy is missing".into()) } else { Ok(named) }
}

fn known_policy(name: &str) -> Read<()> {
    let known = super::balancers::NAMES;
    if known.contains(&name) { Ok(()) } else { Err(format!("there is no policy '{name}': {}", known.join(", "))) }
}

fn new_ids(scenario: &Scenario, ids: &RangeInclusive<u64>) -> Read<()> {
    let joined = scenario.happenings.iter().filter_map(|it| match &it.what {
        Happening::Join(nodes) => Some(nodes),
        _ => None,
    });
    let mut known = scenario.nodes.iter().chain(joined);
    match known.find(|it| it.ids.start() <= ids.end() && ids.start() <= it.ids.end()) {
        Some(it) => Err(format!("nodes {}..{} are there already", it.ids.start(), it.ids.end())),
        None => Ok(()),
    }
}

fn nodes(words: &mut Words<'_>) -> Read<Nodes> {
    let ids = range(words.next("node ids, such as 1..4")?)?;
    kind_of_nodes(ids, words)
}

fn kind_of_nodes(ids: RangeInclusive<u64>, words: &mut Words<'_>) -> Read<Nodes> {
    let mut hardware = Hardware {
        memory_bytes: 0,
        disk_bytes: 0,
        cpu_micros: 8_000_000,
        network_bytes_per_s: 1_250_000_000,
        disk_bytes_per_s: 500_000_000,
    };
    let mut zones = 1;
    while let Some(word) = words.maybe() {
        match word {
            "memory" => hardware.memory_bytes = size(words)?,
            "disk" => hardware.disk_bytes = size(words)?,
            "cpu" => {
                hardware.cpu_micros =
                    at_most(count(words.next("a number of processors")?)?, 1_000_000, "the number of processors")? * 1_000_000
            }
            "network" => hardware.network_bytes_per_s = size(words)?,
            "disk-speed" => hardware.disk_bytes_per_s = size(words)?,
            "zones" => zones = u32::try_from(count(words.next("a number")?)?).unwrap_or(0),
            other => return Err(format!("'{other}' is nothing that nodes have: memory, disk, cpu, network, disk-speed, zones")),
        }
    }
    let parts = [hardware.memory_bytes, hardware.disk_bytes, hardware.cpu_micros, hardware.network_bytes_per_s, hardware.disk_bytes_per_s];
    if parts.contains(&0) || zones == 0 {
        return Err("nodes need memory and disk, and nothing of theirs may be 0".into());
    }
    Ok(Nodes { ids, hardware, zones })
}

fn table(scenario: &Scenario, words: &mut Words<'_>) -> Read<Table> {
    let name = words.next("a name")?.to_string();
    if scenario.tables.iter().any(|it| it.name == name) {
        return Err(format!("there is a table '{name}' already"));
    }
    let mut table = Table {
        name,
        segments: 0,
        rows: 1_000_000,
        disk_bytes: 128 << 20,
        resident_bytes: 32 << 20,
        peak_bytes: 0,
        cpu_micros: 0,
        spread_percent: 0,
        replicas: 1,
        on: Vec::new(),
    };
    while let Some(word) = words.maybe() {
        match word {
            "segments" => table.segments = count(words.next("a number")?)?,
            "rows" => table.rows = count(words.next("a number")?)?,
            "disk" => table.disk_bytes = segment_size(words)?,
            "resident" => table.resident_bytes = segment_size(words)?,
            "peak" => table.peak_bytes = segment_size(words)?,
            "cpu" => table.cpu_micros = between(span(words)?, 0, 3_600_000, "processor time a second")? * 1000,
            "spread" => table.spread_percent = at_most(percent(words.next("a part")?)?, 500, "the spread, in percent,")?,
            "replicas" => table.replicas = replicas(words.next("a number")?)?,
            "on" => table.on = words.next("node ids")?.split(',').map(range).collect::<Read<_>>()?,
            other => {
                return Err(format!(
                    "'{other}' is nothing that tables have: segments, rows, disk, resident, peak, cpu, spread, replicas, on"
                ));
            }
        }
    }
    Ok(table)
}

fn replicas(word: &str) -> Read<u8> {
    let replicas = count(word)?;
    u8::try_from(replicas).ok().filter(|it| (1..=5).contains(it)).ok_or_else(|| format!("{word} copies: between 1 and 5 may be wanted"))
}

fn at(scenario: &mut Scenario, words: &mut Words<'_>) -> Read<()> {
    let at_ms = between(span(words)?, 0, DURATION_MS_MAX, "the time")?;
    let mut push = |at_ms, what| scenario.happenings.push(Timed { at_ms, what });
    match words.next("what happens: nodes, table, leader, reports, random")? {
        "nodes" => return nodes_at(scenario, at_ms, words),
        "table" => return table_at(scenario, at_ms, words),
        "reports" => push(at_ms, Happening::Reports(reports(words)?)),
        "leader" => {
            words.expect("changes")?;
            push(at_ms, Happening::LeaderChanges);
        }
        "random" => {
            let events = at_most(count(words.next("a number")?)?, HAPPENINGS_MAX as u64, "the number of events")?;
            words.expect("events")?;
            words.expect("over")?;
            let over_ms = span(words)?;
            let random = Random::new(scenario.seed).fork(at_ms ^ 0xE7E7);
            let drawn = chance::draw(scenario, random, at_ms, events, over_ms)?;
            scenario.happenings.extend(drawn);
        }
        other => return Err(format!("'{other}' does not happen: nodes, table, leader, reports, random")),
    }
    Ok(())
}

fn nodes_at(scenario: &mut Scenario, at_ms: u64, words: &mut Words<'_>) -> Read<()> {
    let ids = range(words.next("node ids")?)?;
    let what = words.next("what happens to them")?;
    if what != "joins" && new_ids(scenario, &ids).is_ok() {
        return Err(format!("there are no nodes {}..{}", ids.start(), ids.end()));
    }
    let what = match what {
        "joins" => {
            new_ids(scenario, &ids)?;
            Happening::Join(kind_of_nodes(ids, words)?)
        }
        "lost" => Happening::Lost(ids),
        "returns" => Happening::Return(ids),
        "drains" => Happening::Drain(ids),
        "slow" => Happening::Slow(ids, part(words, "a part of its speed")?.max(1)),
        "lies" => Happening::Lies(ids, factor_percent(words.next("a factor")?)?),
        "refuses" => Happening::Refuses { ids, for_ms: span(words)? },
        "restarts" => {
            let down_ms = span(words)?;
            let cold = words.maybe().map(|word| if word == "cold" { Ok(true) } else { Err(format!("'{word}' instead of cold")) });
            Happening::Restart { ids, down_ms, cold: cold.transpose()?.unwrap_or(false) }
        }
        "roll" => return roll(scenario, at_ms, ids, words),
        other => {
            return Err(format!("'{other}' does not happen to nodes: joins, lost, returns, drains, restarts, roll, slow, lies, refuses"));
        }
    };
    scenario.happenings.push(Timed { at_ms, what });
    Ok(())
}

fn roll(scenario: &mut Scenario, at_ms: u64, ids: RangeInclusive<u64>, words: &mut Words<'_>) -> Read<()> {
    let down_ms = span(words)?;
    words.expect("every")?;
    let every_ms = span(words)?;
    let restart = |id: u64| Happening::Restart { ids: id..=id, down_ms, cold: false };
    let times = (0u64..).map(|turn| at_ms.saturating_add(turn.saturating_mul(every_ms)));
    scenario.happenings.extend(ids.zip(times).map(|(id, at_ms)| Timed { at_ms, what: restart(id) }));
    Ok(())
}

fn table_at(scenario: &mut Scenario, at_ms: u64, words: &mut Words<'_>) -> Read<()> {
    let table = words.next("a table")?.to_string();
    if !scenario.tables.iter().any(|it| it.name == table) {
        return Err(format!("there is no table '{table}'"));
    }
    let what = match words.next("what happens to it: heat, arrives, drops")? {
        "heat" => heat(table, words)?,
        "drops" => Happening::Delete { table, percent: part(words, "a part")? },
        "arrives" => return arrives(scenario, at_ms, table, words),
        other => return Err(format!("'{other}' does not happen to tables: heat, arrives, drops")),
    };
    scenario.happenings.push(Timed { at_ms, what });
    Ok(())
}

fn heat(table: String, words: &mut Words<'_>) -> Read<Happening> {
    let percent_then = factor_percent(words.next("a factor, such as x4")?)?;
    let (mut over_ms, mut part_percent) = (0, 100);
    while let Some(word) = words.maybe() {
        match word {
            "over" => over_ms = span(words)?,
            "part" => part_percent = part(words, "a part")?,
            other => return Err(format!("'{other}' instead of over or part")),
        }
    }
    Ok(Happening::Heat { table, percent: percent_then, over_ms, part_percent })
}

fn arrives(scenario: &mut Scenario, at_ms: u64, table: String, words: &mut Words<'_>) -> Read<()> {
    let segments = at_most(count(words.next("a number")?)?, SEGMENTS_MAX, "the number of segments")?;
    let mut times = 1;
    let mut every_ms = 0;
    if words.maybe_expect("every")? {
        every_ms = span(words)?.max(1000);
        words.expect("for")?;
        times = at_most(span(words)? / every_ms, HAPPENINGS_MAX as u64, "the number of times")?;
    }
    for turn in 0..times {
        let what = Happening::Arrive { table: table.clone(), count: segments };
        scenario.happenings.push(Timed { at_ms: at_ms.saturating_add(turn * every_ms), what });
    }
    Ok(())
}

fn expectation(words: &mut Words<'_>, line: usize) -> Read<Expectation> {
    let policy = words.next("a policy")?.to_string();
    known_policy(&policy)?;
    let measure = words.next("a measure")?.to_string();
    if !MEASURES.iter().any(|(name, _)| *name == measure) {
        return Err(format!("there is no measure '{measure}': {}", MEASURES.map(|(name, _)| name).join(", ")));
    }
    let comparison = match words.next("<=, >= or =")? {
        "<=" => Comparison::AtMost,
        ">=" => Comparison::AtLeast,
        "=" => Comparison::Equal,
        other => return Err(format!("'{other}' compares nothing: <=, >=, =")),
    };
    Ok(Expectation { line, policy, measure, comparison, bound: count(words.next("a number")?)? })
}

/// The words of a line, one after another.
struct Words<'a> {
    words: std::str::SplitWhitespace<'a>,
}

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Self {
        Self { words: line.split_whitespace() }
    }

    fn maybe(&mut self) -> Option<&'a str> {
        self.words.next()
    }

    fn next(&mut self, what: &str) -> Read<&'a str> {
        self.maybe().ok_or_else(|| format!("the line ends where {what} should be"))
    }

    fn expect(&mut self, word: &str) -> Read<()> {
        match self.next(word)? {
            found if found == word => Ok(()),
            found => Err(format!("'{found}' instead of {word}")),
        }
    }

    fn maybe_expect(&mut self, word: &str) -> Read<bool> {
        match self.maybe() {
            None => Ok(false),
            Some(found) if found == word => Ok(true),
            Some(found) => Err(format!("'{found}' instead of {word}")),
        }
    }

    fn rest(&mut self, what: &str) -> Read<String> {
        let rest: Vec<_> = self.words.by_ref().collect();
        if rest.is_empty() { Err(format!("the line ends where {what} should be")) } else { Ok(rest.join(" ")) }
    }

    fn end(&mut self) -> Read<()> {
        self.maybe().map_or(Ok(()), |word| Err(format!("'{word}' is more than the statement has")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "nodes 1..4 memory 16GiB disk 200GiB\n";

    fn error(line: &str) -> String {
        parse(&format!("{NODES}table t segments 1\n{line}")).err().unwrap_or_else(|| panic!("{line} is read")).to_string()
    }

    #[test]
    fn every_statement_of_the_header_is_read() {
        let header = include_str!("scenario_file.rs").lines().skip_while(|line| !line.contains("```text")).skip(1);
        let lines = header.take_while(|line| !line.contains("```")).map(|line| line.trim_start_matches("//! "));
        let scenario = parse(&lines.collect::<Vec<_>>().join("\n")).expect("the header is a scenario");
        assert_eq!(scenario.tables[0].on, [1..=2, 4..=4]);
        assert_eq!(scenario.reports, Reports { late_ms: 30_000, noise_percent: 10 });
        assert_eq!(scenario.happenings.len(), 1 + 30 + 1 + 8 + 1 + 4 + 1 + 1 + 100);
        assert!(scenario.happenings.is_sorted_by_key(|it| it.at_ms));
    }

    #[test]
    fn errors_name_the_line_and_what_would_be_right() {
        assert_eq!(
            error("tabel x"),
            "line 3: 'tabel' begins no statement: name, source, seed, duration, heartbeat, reports, baselines, policies, nodes, table, at, expect"
        );
        assert_eq!(error("table u segments 1 disk 2TiB"), "line 3: a size of a segment is at most 1TiB");
        assert_eq!(error("nodes 5 memory 2000TiB disk 1GiB"), "line 3: a size is at most 1024TiB");
        assert_eq!(error("at 5m table t arrives 1M every 1s for 1h\n# more\n"), "line 3: 3600000001 segments are more than 1000000");
        assert_eq!(error("nodes 5..20000 memory 1GiB disk 1GiB\nseed 1\n"), "line 3: 20000 nodes are more than 10000");
        assert_eq!(error("at 5m table t arrives 1 every 1s for 27d\n"), "line 3: the number of times is at most 100000");
        let often = "at 5m table t arrives 1 every 1s for 20h\n";
        assert_eq!(error(&format!("{often}{often}seed 1")), "line 4: more than 100000 things happen");
        assert_eq!(error("at 5m table t drops 101%"), "line 3: a part is at most 100%");
        assert_eq!(error("at 5m nodes 1 slow 0.5"), "line 3: '0.5' is not a part, such as 10%");
        assert_eq!(error("at 5m table t arrives 5M"), "line 3: the number of segments is at most 1000000");
        assert_eq!(error("duration 5"), "line 3: '5' is not a span of time, such as 90s, 10m or 2h");
        assert_eq!(error("at 5m nodes 9 lost"), "line 3: there are no nodes 9..9");
        assert_eq!(error("at 5m nodes 1"), "line 3: the line ends where what happens to them should be");
        assert_eq!(error("nodes 4..5 memory 1GiB disk 1GiB"), "line 3: nodes 1..4 are there already");
        assert_eq!(error("at 5m table u heat x2"), "line 3: there is no table 'u'");
        assert_eq!(error("seed 1 2"), "line 3: '2' is more than the statement has");
        assert!(error("expect plimsoll joy = 1").starts_with("line 3: there is no measure 'joy': deaths, "));
        assert!(error("expect nobody deaths = 1").starts_with("line 3: there is no policy 'nobody': plimsoll, "));
        assert_eq!(parse("").expect_err("no nodes").to_string(), "line 1: the scenario has no nodes");
    }
}
