//! Which segments need the planner, kept up to date with every event: a plan never looks through all segments.

use super::segment::{REPLICAS_MAX, SegmentIx};
use super::segment_set::SegmentSet;

/// It has fewer copies than wanted, or fewer served ones.
pub(crate) const SHORT: u8 = 1;
/// It has more copies than wanted.
pub(crate) const SURPLUS: u8 = 2;
/// Its copies could stand in more zones or racks.
pub(crate) const CROWDED: u8 = 4;
/// Each of its copies takes at least [`HOT_MICROS_MIN`].
pub(crate) const HOT: u8 = 8;

/// Processor time of one copy, in microseconds a second, below which a segment is never hot: a fiftieth of a core.
pub const HOT_MICROS_MIN: u64 = 20_000;

/// The sets, by need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attention {
    /// By whole copies left.
    short: [SegmentSet; REPLICAS_MAX + 1],
    pub(crate) surplus: SegmentSet,
    pub(crate) crowded: SegmentSet,
    pub(crate) hot: SegmentSet,
}

/// What one segment needs: the bits, and the whole copies that it has left (meant for [`SHORT`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) bits: u8,
    pub(crate) copies_left: u8,
}

impl Need {
    /// In one byte: the bits below, the copies above.
    pub(crate) fn packed(self) -> u8 {
        self.bits | (self.copies_left << 4)
    }

    pub(crate) fn unpacked(byte: u8) -> Self {
        Self { bits: byte & 15, copies_left: byte >> 4 }
    }
}

impl Attention {
    /// Segments that are short, and how many whole copies they have left: fewest first.
    pub(crate) fn short(&self) -> impl Iterator<Item = (u8, SegmentIx)> + '_ {
        self.short.iter().zip(0..).flat_map(|(set, left)| set.iter().map(move |at| (left, at)))
    }

    /// How many are short.
    pub(crate) fn short_count(&self) -> usize {
        self.short.iter().map(SegmentSet::len).sum()
    }

    /// Is it listed as short, with so many whole copies left?
    pub(crate) fn is_short(&self, left: u8, at: SegmentIx) -> bool {
        self.short[usize::from(left)].contains(at)
    }

    pub(crate) fn replace(&mut self, segment: SegmentIx, before: Need, after: Need) {
        if before == after {
            return;
        }
        if before.bits & SHORT != 0 {
            self.short[usize::from(before.copies_left)].remove(segment);
        }
        if after.bits & SHORT != 0 {
            self.short[usize::from(after.copies_left)].insert(segment);
        }
        let sets = [(SURPLUS, &mut self.surplus), (CROWDED, &mut self.crowded), (HOT, &mut self.hot)];
        for (bit, set) in sets {
            match (before.bits & bit != 0, after.bits & bit != 0) {
                (true, false) => set.remove(segment),
                (false, true) => set.insert(segment),
                _ => {}
            }
        }
    }
}
