//! A scenario: a cluster, its tables, what happens to them and when, and what is expected of whom.

use std::ops::RangeInclusive;

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Where it comes from and what it is about, line by line.
    pub source: Vec<String>,
    /// All chance comes from it.
    pub seed: u64,
    /// How long it lasts.
    pub duration_ms: u64,
    /// How often a node tells how it is.
    pub heartbeat_ms: u64,
    /// What nodes' reports are like.
    pub reports: Reports,
    /// The nodes of others take every load that they are told to, whatever it does to them; ours ask themselves first.
    pub baselines_take_everything: bool,
    /// The policies that are compared; none named: all.
    pub policies: Vec<String>,
    /// The nodes at the start.
    pub nodes: Vec<Nodes>,
    /// The tables at the start.
    pub tables: Vec<Table>,
    /// What happens, in the order of the file.
    pub happenings: Vec<Timed>,
    /// What must hold at the end.
    pub expectations: Vec<Expectation>,
}

/// Reports, as they reach the leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// How much later than they were measured.
    pub late_ms: u64,
    /// By how much each number in them is off, at most.
    pub noise_percent: u64,
}

/// Nodes of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// Their ids.
    pub ids: RangeInclusive<u64>,
    /// What they have.
    pub hardware: Hardware,
    /// Zones that they are spread over, in turn; a node's rack is of its own.
    pub zones: u32,
}

/// What a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// Memory that segments may use: the budget, reserves taken off.
    pub memory_bytes: u64,
    /// Disk.
    pub disk_bytes: u64,
    /// Processors, in microseconds a second.
    pub cpu_micros: u64,
    /// Network, each way, bytes a second.
    pub network_bytes_per_s: u64,
    /// Disk, reading or writing, bytes a second.
    pub disk_bytes_per_s: u64,
}

/// Segments of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Segments at the start.
    pub segments: u64,
    /// Rows of a segment, the median.
    pub rows: u64,
    /// Its size, the median.
    pub disk_bytes: u64,
    /// What queries keep in memory of it, the median.
    pub resident_bytes: u64,
    /// Memory that loading it needs besides.
    pub peak_bytes: u64,
    /// Processor time of its queries, microseconds a second, the median.
    pub cpu_micros: u64,
    /// How far these spread: the standard deviation of the logarithm to base 2, in percent.
    pub spread_percent: u64,
    /// Copies wanted.
    pub replicas: u8,
    /// Nodes that it is written on; none: all.
    pub on: Vec<RangeInclusive<u64>>,
}

/// Something that happens at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When.
    pub at_ms: u64,
    /// What.
    pub what: Happening,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Nodes join.
    Join(Nodes),
    /// Nodes are lost without a word.
    Lost(RangeInclusive<u64>),
    /// Nodes that were lost come back with their disks.
    Return(RangeInclusive<u64>),
    /// Nodes go down, and come back; `cold`: nothing of theirs is in memory then, and must be loaded before it is served.
    Restart {
        /// The nodes.
        ids: RangeInclusive<u64>,
        /// For how long they are down.
        down_ms: u64,
        /// See above.
        cold: bool,
    },
    /// Nodes are drained.
    Drain(RangeInclusive<u64>),
    /// Nodes work at so many percent of their speed.
    Slow(RangeInclusive<u64>, u64),
    /// What nodes say of themselves is so many percent of the truth.
    Lies(RangeInclusive<u64>, u64),
    /// Nodes say no to every load.
    Refuses {
        /// The nodes.
        ids: RangeInclusive<u64>,
        /// For how long.
        for_ms: u64,
    },
    /// Reports change.
    Reports(Reports),
    /// Another leader: what is decided survives, what was measured is gone.
    LeaderChanges,
    /// A table is read more, or less: memory and processor time change.
    Heat {
        /// The table.
        table: String,
        /// How much it is then, in percent of what it is.
        percent: u64,
        /// Over what time.
        over_ms: u64,
        /// What part of its segments, in percent.
        part_percent: u64,
    },
    /// Segments are written.
    Arrive {
        /// The table.
        table: String,
        /// How many at once.
        count: u64,
    },
    /// A part of a table's segments is dropped.
    Delete {
        /// The table.
        table: String,
        /// How much, in percent.
        percent: u64,
    },
}

/// Something that a policy is expected to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Line of the file.
    pub line: usize,
    /// The policy.
    pub policy: String,
    /// The measure; see [`super::measures`].
    pub measure: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub bound: u64,
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Not more.
    AtMost,
    /// Not less.
    AtLeast,
    /// The same.
    Equal,
}

impl Comparison {
    /// Does it hold?
    pub fn holds(self, value: u64, bound: u64) -> bool {
        match self {
            Self::AtMost => value <= bound,
            Self::AtLeast => value >= bound,
            Self::Equal => value == bound,
        }
    }

    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::AtMost => "<=",
            Self::AtLeast => ">=",
            Self::Equal => "=",
        }
    }
}
