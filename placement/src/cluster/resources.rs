//! What is carried: vectors of exact integers, one number for each resource.

use serde::{Deserialize, Serialize};

/// How many resources are balanced.
pub const RESOURCES: usize = 3;

/// A resource that nodes have and segments need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Resource {
    /// Memory that queries are expected to keep resident.
    ResidentBytes,
    /// Space on the node's disks.
    DiskBytes,
    /// Processor time: microseconds in each second.
    CpuMicros,
}

impl Resource {
    /// All of them, in the order of [`Resources`].
    pub const ALL: [Self; RESOURCES] = [Self::ResidentBytes, Self::DiskBytes, Self::CpuMicros];

    /// Its name, as users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResidentBytes => "memory",
            Self::DiskBytes => "disk",
            Self::CpuMicros => "cpu",
        }
    }
}

/// One number for each of [`Resource::ALL`]: a load, a capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resources(pub [u64; RESOURCES]);

impl Resources {
    /// A vector.
    pub fn new(resident_bytes: u64, disk_bytes: u64, cpu_micros: u64) -> Self {
        Self([resident_bytes, disk_bytes, cpu_micros])
    }

    /// The number of one resource.
    pub fn get(&self, resource: Resource) -> u64 {
        self.0[resource as usize]
    }

    /// Adds, up to the largest number.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(it, more)| *it = it.saturating_add(more));
    }

    /// Subtracts, down to zero.
    pub fn subtract(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(it, less)| *it = it.saturating_sub(less));
    }
}

/// What a segment is expected to cost a node that carries it: a vector, never a scalar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Footprint {
    /// Bytes that queries are expected to keep in memory, on each node that serves the segment.
    pub resident_bytes: u64,
    /// Size of the file: what a copy occupies, and what moving it transfers.
    pub disk_bytes: u64,
    /// Processor time that its queries take, in microseconds a second, all replicas together.
    pub cpu_micros: u64,
    /// Memory that loading it needs beyond `resident_bytes`, while it loads.
    pub load_peak_bytes: u64,
}

impl Footprint {
    /// What each of `sharers` serving replicas costs its node: the queries are shared among them, the memory is not.
    pub fn serving(&self, sharers: u32) -> Resources {
        Resources([self.resident_bytes, self.disk_bytes, self.cpu_micros.div_ceil(u64::from(sharers.max(1)))])
    }

    /// What a copy that is kept, but not served, costs its node.
    pub fn disk_only(&self) -> Resources {
        Resources([0, self.disk_bytes, 0])
    }
}
