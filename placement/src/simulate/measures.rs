//! What a run is measured by. Whole numbers, so that they compare and print the same everywhere.

use super::node::TICK_MS;
use crate::UnitId;
use crate::cluster::NodeId;
use std::collections::BTreeMap;

/// A segment that comes back to a node within this time has returned.
pub const RETURN_MS: u64 = 3_600_000;

/// The measures: name, and what it counts.
pub const MEASURES: [(&str, &str); 27] = [
    ("deaths", "nodes that died of memory"),
    ("overload-minutes", "minutes of nodes that were dead of memory, short of it, or asked for more processor time than they have"),
    ("overload-seconds", "the same, in seconds"),
    ("others-overload-minutes", "the same, of nodes that never lied"),
    ("short-minutes", "minutes of segments with fewer served copies than wanted"),
    ("unavailable-minutes", "minutes of segments that nobody served"),
    ("moves", "moves begun"),
    ("balance-moves", "moves begun for balance alone"),
    ("moved-gib", "GiB that went over the network for them"),
    ("moved-of-even-part-percent", "bytes that went over the network for them, of what nodes that joined should carry at the end"),
    ("returns", "copies that came back to a node that they had left within an hour"),
    ("net-zero", "copies that came back to a node that they had left, however long ago"),
    ("refused", "loads that a node refused"),
    ("reoffers", "loads proposed to a node while a refusal of theirs still held"),
    ("memory-max-percent", "the most memory that a node was asked for, of its budget"),
    ("new-memory-max-percent", "the same, of nodes that joined or came back cold"),
    ("memory-skew-percent", "memory asked for, fullest less emptiest node, at the end"),
    ("disk-max-percent", "the fullest disk at the end"),
    ("disk-skew-percent", "fullest less emptiest disk at the end"),
    ("cpu-max-percent", "the most processor time asked of a node, at the end"),
    ("memory-max-to-mean-percent", "memory at the end, fullest node over mean"),
    ("last-move-minute", "when the last move began"),
    ("most-moves-minute", "when nineteen of twenty moves had begun"),
    ("late-moves", "moves begun in the last quarter of the run"),
    ("restore-percent", "time until all was served again after a cold start, of the least that reading it from disk takes"),
    ("explained-nodes", "nodes that EXPLAIN PLACEMENT pointed at for that"),
    ("disbelieved-nodes", "nodes whose reports were set aside as beyond belief"),
];

/// Counts, while the run goes on.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    values: BTreeMap<&'static str, u64>,
    overload_ticks: u64,
    others_overload_ticks: u64,
    short_ticks: u64,
    unavailable_ticks: u64,
    moved_bytes: u64,
    began_ms: Vec<u64>,
    left_ms: BTreeMap<(UnitId, NodeId), u64>,
}

impl Measures {
    /// Counts one.
    pub fn count(&mut self, name: &'static str) {
        *self.values.entry(name).or_default() += 1;
    }

    /// Notes a value that replaces the last.
    pub fn set(&mut self, name: &'static str, value: u64) {
        self.values.insert(name, value);
    }

    /// Notes a value if it is the largest.
    pub fn raise(&mut self, name: &'static str, value: u64) {
        let most = self.values.entry(name).or_default();
        *most = value.max(*most);
    }

    /// Nodes that are overloaded in this tick, and segments that are short or not served at all.
    pub fn tick(&mut self, overloaded: u64, others_overloaded: u64, short: u64, unavailable: u64) {
        self.overload_ticks += overloaded;
        self.others_overload_ticks += others_overloaded;
        self.short_ticks += short;
        self.unavailable_ticks += unavailable;
    }

    /// A move begins.
    pub fn began(&mut self, now_ms: u64) {
        self.count("moves");
        self.began_ms.push(now_ms);
    }

    /// Bytes go over the network.
    pub fn moved(&mut self, bytes: u64) {
        self.moved_bytes += bytes;
    }

    /// Bytes that have gone over the network.
    pub fn moved_bytes(&self) -> u64 {
        self.moved_bytes
    }

    /// A copy has come to a node.
    pub fn came(&mut self, segment: UnitId, node: NodeId, now_ms: u64) {
        let Some(left_ms) = self.left_ms.get(&(segment, node)) else { return };
        if now_ms < left_ms + RETURN_MS {
            self.count("returns");
        }
        self.count("net-zero");
    }

    /// A copy has left a node.
    pub fn left(&mut self, segment: UnitId, node: NodeId, now_ms: u64) {
        self.left_ms.insert((segment, node), now_ms);
    }

    /// Closes the books.
    pub fn finish(&mut self) {
        let minutes = |ticks: u64| ticks * TICK_MS / 60_000;
        self.set("overload-minutes", minutes(self.overload_ticks));
        self.set("overload-seconds", self.overload_ticks * TICK_MS / 1000);
        self.set("others-overload-minutes", minutes(self.others_overload_ticks));
        self.set("short-minutes", minutes(self.short_ticks));
        self.set("unavailable-minutes", minutes(self.unavailable_ticks));
        let minute = |at: usize| self.began_ms.get(at).map_or(0, |began_ms| began_ms / 60_000);
        let (most, last) = (minute(self.began_ms.len() * 19 / 20), minute(self.began_ms.len().saturating_sub(1)));
        self.set("most-moves-minute", most);
        self.set("last-move-minute", last);
        self.set("moved-gib", self.moved_bytes >> 30);
    }

    /// The value of a measure.
    pub fn get(&self, name: &str) -> u64 {
        self.values.get(name).copied().unwrap_or(0)
    }
}
