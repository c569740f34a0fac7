//! Explanations as a person reads them.

use super::{ClusterExplained, Finding, NodeCarries, NodeExplained, SegmentExplained, Shortage, TableExplained, Verdict};
use crate::balancer::Plan;
use crate::cluster::{Level, Lifecycle, Resource};
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};

/// A quantity with its unit: bytes in binary units, processor time in cores.
struct Quantity(Resource, u64);

impl Display for Quantity {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.0 == Resource::CpuMicros {
            return write!(f, "{:.3} cores", self.1 as f64 / 1e6);
        }
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
        let power = (self.1.max(1).ilog2() / 10).min(5);
        match power {
            0 => write!(f, "{} B", self.1),
            _ => write!(f, "{:.1} {}", self.1 as f64 / 1024f64.powi(power as i32), units[power as usize]),
        }
    }
}

impl Display for SegmentExplained {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let footprint = &self.footprint;
        let memory = |bytes: u64| Quantity(Resource::ResidentBytes, bytes);
        write!(f, "segment {} of table {}: memory {}", self.segment.0, self.table.0, memory(footprint.resident_bytes))?;
        write!(f, ", disk {}, cpu {}", memory(footprint.disk_bytes), Quantity(Resource::CpuMicros, footprint.cpu_micros))?;
        writeln!(f, ", peak {}; {} copies wanted", memory(footprint.load_peak_bytes), self.replicas_wanted)?;
        if self.moves > 0 {
            writeln!(f, "  in flight: {} moves", self.moves)?;
        }
        if !self.needs.is_empty() {
            writeln!(f, "  needs: {}", self.needs.join(", "))?;
        }
        self.nodes.iter().try_for_each(|it| writeln!(f, "  {it}"))
    }
}

impl Display for NodeExplained {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "node {:<6} ", self.node.0)?;
        match self.verdict {
            Verdict::Has { state, relief } => write!(f, "has a copy, {state:?}; without it the potential falls by {relief:.3e}"),
            Verdict::Excluded(binding) => write!(f, "excluded: {}", binding.name()),
            Verdict::Open { cost, gain, step, spread } => {
                let worth = if gain >= step { "worth a move" } else { "not worth a move" };
                write!(f, "open: one more costs {cost:.3e}; moved here gains {gain:.3e}, step {step:.3e}: {worth}")?;
                write!(f, "; zones {}, racks {}", spread.0, spread.1)
            }
        }
    }
}

impl Display for TableExplained {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "table {}: {} segments", self.table.0, self.segments)?;
        for (need, segments) in &self.needs {
            writeln!(f, "  needs {need}: {segments}")?;
        }
        for it in &self.nodes {
            write!(f, "  node {:<6} {} copies", it.node.0, it.copies)?;
            for resource in Resource::ALL {
                write!(f, ", {} {}", resource.name(), Quantity(resource, it.load.get(resource)))?;
            }
            write!(f, "; open to {}", it.open)?;
            it.excluded.iter().try_for_each(|(binding, segments)| write!(f, "; {} {segments}", binding.name()))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Display for NodeCarries {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let bytes = |bytes: u64| Quantity(Resource::DiskBytes, bytes);
        let state = match (self.lifecycle, self.level) {
            (Lifecycle::Active, Level::Calm) => "calm",
            (Lifecycle::Active, Level::Loaded) => "loaded",
            (Lifecycle::Active, Level::Strained) => "strained",
            (Lifecycle::Active, Level::Critical) => "critical",
            (Lifecycle::Draining, _) => "draining",
            (Lifecycle::Down, _) => "down",
        };
        write!(f, "node {}: {state}, {} copies", self.node.0, self.copies)?;
        for resource in Resource::ALL {
            let of = |it: &crate::cluster::Resources| Quantity(resource, it.get(resource));
            write!(f, "; {} {} of {}, line {}", resource.name(), of(&self.load), of(&self.capacity), of(&self.line))?;
        }
        match self.offered_bytes {
            Some((memory, disk)) => write!(f, "; offers memory {}, disk {}", bytes(memory), bytes(disk)),
            None => write!(f, "; offers nothing"),
        }
    }
}

impl Display for ClusterExplained {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "binding resource: {}", self.binding.name())?;
        for resource in Resource::ALL {
            let r = resource as usize;
            writeln!(f, "  {:<7} mean {:5.1} %, max/mean {:.3}", resource.name(), self.mean[r] * 100.0, self.max_to_mean[r])?;
        }
        writeln!(f, "potential: {:.6}, least possible {:.6}", self.potential, self.next.bound.potential)?;
        next_round(&self.next, f)?;
        for (node, finding) in &self.findings {
            writeln!(f, "node {}: {finding}", node.0)?;
        }
        self.shortages.iter().try_for_each(|it| writeln!(f, "no round can help: {it}"))
    }
}

fn next_round(next: &Plan, f: &mut Formatter<'_>) -> Result {
    let mut reasons = BTreeMap::new();
    next.moves.iter().for_each(|it| *reasons.entry(it.why).or_insert(0) += 1);
    let transfer = Quantity(Resource::DiskBytes, next.transfer_bytes());
    write!(f, "next round: {} moves, {transfer}", next.moves.len())?;
    reasons.iter().try_for_each(|(why, count)| write!(f, ", {} {count}", why.name()))?;
    if next.cut_short {
        write!(f, "; more is to be done than fits into one round")?;
    }
    writeln!(f)
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Implausible(resource, ratio) => {
                write!(f, "reports {ratio:.1} times the {} that it carries: set aside, it lies or is broken", resource.name())
            }
            Self::Silent => write!(f, "has not reported for too long"),
            Self::Pressed(level) => write!(f, "{level:?}"),
            Self::Draining(copies) => write!(f, "draining, {copies} copies left"),
            Self::Down(copies) => write!(f, "down, with {copies} copies"),
            Self::BeyondLine(resource, share) => write!(f, "{} at {:.1} % is beyond its line", resource.name(), share * 100.0),
            Self::Refuses(refusals) => write!(f, "{refusals} refusals hold"),
        }
    }
}

impl Display for Shortage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::NoWholeCopy { segments, first } => {
                write!(
                    f,
                    "{segments} segments have no whole copy that can be reached (the first is {}): bring back a node that has one",
                    first.0
                )
            }
            Self::Resource { resource, segments, add } => {
                let add = Quantity(*resource, *add);
                write!(f, "{segments} segments find no node with enough {}: add {add} at least", resource.name())
            }
            Self::Nodes { segments, add } => {
                write!(f, "{segments} segments want more copies than there are nodes for: add {add} node at least")
            }
            Self::Domains { segments } => {
                write!(f, "{segments} segments have copies that fail together: add nodes in another zone or rack")
            }
            Self::Unwilling { segments, binding } => write!(f, "{segments} segments find no willing node: {}", binding.name()),
            Self::Capacity { resource, add } => {
                write!(f, "all nodes together have too little {}: add {} at least", resource.name(), Quantity(*resource, *add))
            }
            Self::Indivisible { resource, max_to_mean } => {
                let name = resource.name();
                write!(f, "one copy is so large that max/mean of {name} is {max_to_mean:.2} at best: smaller segments, or larger nodes")
            }
        }
    }
}
