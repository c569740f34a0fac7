//! Which segments need the planner, kept up to date with every event: a plan never looks through all segments.
//!
//! Segments that lack something are sets. Heat is a matter of degree, and where its line is the policy says: segments are ordered by it, and a
//! plan looks at those beyond the line only.

use super::resources::FOOTPRINT_MAX;
use super::segment::{REPLICAS_MAX, SegmentIx};
use super::segment_set::SegmentSet;
use rpds::RedBlackTreeSetSync;

/// It has fewer copies than wanted, or fewer served ones.
pub(crate) const SHORT: u8 = 1;
/// It has more copies than wanted.
pub(crate) const SURPLUS: u8 = 2;
/// Its copies could stand in more zones or racks.
pub(crate) const CROWDED: u8 = 4;

/// Processor time of one copy, in microseconds a second, below which a segment is never hot: a fiftieth of a core.
pub const HOT_MICROS_MIN: u64 = 20_000;
/// Processor time of each copy, were there one fewer, below which heat is never a reason to keep a copy that is not wanted.
pub(crate) const WARM_MICROS_MIN: u64 = HOT_MICROS_MIN / 8;

/// The sets, by need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attention {
    /// By whole copies left.
    short: [SegmentSet; REPLICAS_MAX + 1],
    /// More copies than wanted, and no heat that would explain them.
    surplus: SegmentSet,
    pub(crate) crowded: SegmentSet,
    hot: RedBlackTreeSetSync<(u64, SegmentIx)>,
    warm: RedBlackTreeSetSync<(u64, SegmentIx)>,
}

/// Where a segment stands in the orders by heat: copies beyond those wanted in the highest byte, processor time below. 0: in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heat {
    /// It might get one more copy for heat: by what each copy takes.
    hot: u64,
    /// It has copies more than wanted, all of them served: by what each would take, were there one fewer.
    warm: u64,
}

const EXTRA_SHIFT: u32 = 56;

fn key(extra: usize, micros: u64) -> u64 {
    ((extra as u64) << EXTRA_SHIFT) | micros
}

impl Heat {
    /// Of a segment with so many copies beyond those wanted, each of which takes `micros`.
    pub(crate) fn with_hot(self, extra: usize, micros: u64) -> Self {
        Self { hot: if micros >= HOT_MICROS_MIN { key(extra, micros) } else { 0 }, ..self }
    }

    /// Of a segment with so many served copies beyond those wanted, each of which would take `micros`, were there one fewer.
    pub(crate) fn with_warm(self, extra: usize, micros: u64) -> Self {
        Self { warm: if micros >= WARM_MICROS_MIN { key(extra, micros) } else { 0 }, ..self }
    }
}

/// What one segment needs: the bits, the whole copies that it has left (meant for [`SHORT`]), and its heat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) bits: u8,
    pub(crate) copies_left: u8,
    pub(crate) heat: Heat,
}

impl Need {
    /// In one byte, without heat: the bits below, the copies above.
    pub(crate) fn packed(self) -> u8 {
        self.bits | (self.copies_left << 4)
    }

    pub(crate) fn unpacked(byte: u8, heat: Heat) -> Self {
        Self { bits: byte & 15, copies_left: byte >> 4, heat }
    }

    fn is_plain_surplus(self) -> bool {
        self.bits & SURPLUS != 0 && self.heat.warm == 0
    }

    /// In how many sets it is.
    pub(crate) fn listed(self) -> usize {
        let bits = (self.bits & (SHORT | CROWDED)).count_ones() as usize;
        bits + usize::from(self.is_plain_surplus()) + usize::from(self.heat.hot > 0) + usize::from(self.heat.warm > 0)
    }
}

impl Attention {
    /// Segments that are short, and how many whole copies they have left: fewest first.
    pub(crate) fn short(&self) -> impl Iterator<Item = (u8, SegmentIx)> + '_ {
        self.short.iter().zip(0..).flat_map(|(set, left)| set.iter().map(move |at| (left, at)))
    }

    /// Segments with fewer than `extra_max` copies more than wanted, each of whose copies takes more than `line`: those with the fewest first,
    /// of those the hottest.
    pub(crate) fn hot(&self, line: u64, extra_max: u8) -> impl Iterator<Item = SegmentIx> + '_ {
        let (none, line) = (SegmentIx(0), line.min(FOOTPRINT_MAX));
        let of = move |extra: usize| self.hot.range((key(extra, line + 1), none)..(key(extra + 1, 0), none)).rev();
        (0..usize::from(extra_max)).flat_map(of).map(|(_, at)| *at)
    }

    /// Segments with more copies than wanted, but for those that heat keeps: with at most `extra_max` served ones more than wanted, each of which
    /// would take more than `line`, were there one fewer.
    pub(crate) fn surplus(&self, line: u64, extra_max: u8) -> impl Iterator<Item = SegmentIx> + '_ {
        let (none, most, line) = (SegmentIx(0), usize::from(extra_max), line.min(FOOTPRINT_MAX));
        let cooled = (0..=most).flat_map(move |extra| self.warm.range((key(extra, 0), none)..(key(extra, line + 1), none)));
        let beyond = self.warm.range((key(most + 1, 0), none)..);
        self.surplus.iter().chain(cooled.chain(beyond).map(|(_, at)| *at))
    }

    /// How many entries all sets have.
    pub(crate) fn count(&self) -> usize {
        let short: usize = self.short.iter().map(SegmentSet::len).sum();
        short + self.surplus.len() + self.crowded.len() + self.hot.size() + self.warm.size()
    }

    /// Is it listed for just that?
    pub(crate) fn lists(&self, at: SegmentIx, need: Need) -> bool {
        let is_short = |left: usize| self.short[left].contains(at);
        let left = usize::from(need.copies_left);
        (0..=REPLICAS_MAX).all(|it| is_short(it) == (it == left && need.bits & SHORT != 0))
            && self.surplus.contains(at) == need.is_plain_surplus()
            && self.crowded.contains(at) == (need.bits & CROWDED != 0)
            && (need.heat.hot == 0 || self.hot.contains(&(need.heat.hot, at)))
            && (need.heat.warm == 0 || self.warm.contains(&(need.heat.warm, at)))
    }

    pub(crate) fn replace(&mut self, segment: SegmentIx, before: Need, after: Need) {
        if before == after {
            return;
        }
        let (was_short, is_short) = (before.bits & SHORT != 0, after.bits & SHORT != 0);
        if was_short {
            self.short[usize::from(before.copies_left)].remove(segment);
        }
        if is_short {
            self.short[usize::from(after.copies_left)].insert(segment);
        }
        change(&mut self.surplus, segment, before.is_plain_surplus(), after.is_plain_surplus());
        change(&mut self.crowded, segment, before.bits & CROWDED != 0, after.bits & CROWDED != 0);
        change_order(&mut self.hot, segment, before.heat.hot, after.heat.hot);
        change_order(&mut self.warm, segment, before.heat.warm, after.heat.warm);
    }
}

fn change(set: &mut SegmentSet, segment: SegmentIx, before: bool, after: bool) {
    match (before, after) {
        (true, false) => set.remove(segment),
        (false, true) => set.insert(segment),
        _ => {}
    }
}

fn change_order(order: &mut RedBlackTreeSetSync<(u64, SegmentIx)>, segment: SegmentIx, before: u64, after: u64) {
    if before == after {
        return;
    }
    if before > 0 {
        order.remove_mut(&(before, segment));
    }
    if after > 0 {
        order.insert_mut((after, segment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(heat: Heat) -> Need {
        Need { bits: if heat.warm > 0 { SURPLUS } else { 0 }, copies_left: 1, heat }
    }

    fn hot(extra: usize, micros: u64) -> Need {
        need(Heat::default().with_hot(extra, micros))
    }

    #[test]
    fn the_hottest_come_first_and_what_is_at_the_line_or_below_is_never_looked_at() {
        let mut attention = Attention::default();
        let needs = [hot(0, 30_000), hot(0, 50_000), hot(1, 90_000), hot(2, 90_000), hot(0, 29_999), hot(0, 19_999)];
        needs.iter().zip(0..).for_each(|(it, at)| attention.replace(SegmentIx(at), Need::default(), *it));
        assert_eq!(attention.hot(29_999, 2).map(|at| at.0).collect::<Vec<_>>(), [1, 0, 2]);
        assert_eq!(attention.hot(0, 1).map(|at| at.0).collect::<Vec<_>>(), [1, 0, 4], "below the least nothing is listed");
        attention.replace(SegmentIx(1), needs[1], Need::default());
        assert_eq!((attention.hot(0, 9).count(), attention.count()), (4, 4));
    }

    #[test]
    fn copies_that_heat_keeps_are_not_looked_at_until_it_has_cooled() {
        let mut attention = Attention::default();
        let warm = |extra, micros| need(Heat::default().with_warm(extra, micros));
        let plain = Need { bits: SURPLUS, copies_left: 2, ..Need::default() };
        let needs = [warm(1, 10_000), warm(1, 10_001), warm(2, 5_000), warm(3, 90_000), plain];
        needs.iter().zip(0..).for_each(|(it, at)| attention.replace(SegmentIx(at), Need::default(), *it));
        assert_eq!(attention.surplus(10_000, 2).map(|at| at.0).collect::<Vec<_>>(), [4, 0, 2, 3]);
        assert!(needs.iter().zip(0..).all(|(it, at)| attention.lists(SegmentIx(at), *it)));
        assert!(!attention.lists(SegmentIx(0), plain) && !attention.lists(SegmentIx(4), needs[0]));
    }
}
