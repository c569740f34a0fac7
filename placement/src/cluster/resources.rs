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

/// The largest that a footprint may be, of each resource: 1 TiB, and a million processors. With [`super::NODE_COPIES_MAX`] copies on a node, all
/// sums are exact: nothing ever saturates, so what is added can be taken off again.
pub const FOOTPRINT_MAX: u64 = 1 << 40;

pub(crate) const FOOTPRINT_TOO_LARGE: &str = "a footprint is at most 1 TiB of memory and disk, and a million processors";

impl Footprint {
    /// Is it small enough to be counted exactly? See [`FOOTPRINT_MAX`].
    pub fn is_sane(&self) -> bool {
        [self.resident_bytes, self.disk_bytes, self.cpu_micros, self.load_peak_bytes].into_iter().all(|it| it <= FOOTPRINT_MAX)
    }

    /// What each of `sharers` serving replicas costs its node: the queries are shared among them, the memory is not.
    pub fn serving(&self, sharers: u32) -> Resources {
        Resources([self.resident_bytes, self.disk_bytes, self.cpu_micros.div_ceil(u64::from(sharers.max(1)))])
    }

    /// What is expected of a segment of which nothing is known but its size: that queries read all of it.
    pub fn unmeasured(disk_bytes: u64) -> Self {
        Self { resident_bytes: disk_bytes, disk_bytes, cpu_micros: 0, load_peak_bytes: 0 }
    }

    /// What the log keeps of a measured footprint: the size of the file as it is, the rest rounded up to four significant bits (an eighth at
    /// most), so that what drifts does not fill the log.
    pub fn rounded(&self) -> Self {
        let [resident_bytes, cpu_micros, load_peak_bytes] = [self.resident_bytes, self.cpu_micros, self.load_peak_bytes].map(rounded_up);
        Self { resident_bytes, cpu_micros, load_peak_bytes, ..*self }
    }

    /// Should the log learn of what was measured? Only if it differs by more than rounding does: the log does not change to and fro.
    pub fn is_news(&self, measured: &Self) -> bool {
        let rounded = |it: &Self| [it.resident_bytes, it.cpu_micros, it.load_peak_bytes];
        let differs = |(kept, now): (u64, u64)| kept.abs_diff(now) > kept.max(now) / 4;
        self.disk_bytes != measured.disk_bytes || rounded(self).into_iter().zip(rounded(measured)).any(differs)
    }

    /// What a copy that is kept, but not served, costs its node.
    pub fn disk_only(&self) -> Resources {
        Resources([0, self.disk_bytes, 0])
    }
}

/// Up to four significant bits.
fn rounded_up(value: u64) -> u64 {
    let unit = 1u64 << value.checked_ilog2().unwrap_or(0).saturating_sub(3);
    value.checked_next_multiple_of(unit).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_keeps_of_a_footprint_is_at_most_an_eighth_too_much_and_does_not_change_to_and_fro() {
        for value in (0..200).chain([1_000_003, u64::MAX - 1, u64::MAX]) {
            let rounded = rounded_up(value);
            assert!(rounded >= value && rounded - value <= value / 8, "{value} {rounded}");
            assert_eq!(rounded_up(rounded), rounded);
        }
        let of = |resident_bytes| Footprint { resident_bytes, disk_bytes: 9, cpu_micros: 0, load_peak_bytes: 0 };
        let kept = of(1000).rounded();
        assert_eq!(kept.resident_bytes, 1024);
        assert!(!kept.is_news(&of(1000)) && !kept.is_news(&of(800)) && !kept.is_news(&of(1300)));
        assert!(kept.is_news(&of(700)) && kept.is_news(&of(1400)) && kept.is_news(&of(0)) && of(0).is_news(&of(1)));
        assert!(kept.is_news(&Footprint { disk_bytes: 10, ..of(1000) }));
    }
}
