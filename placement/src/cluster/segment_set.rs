//! A set of segments: one bit for each, in pages that are shared as long as they do not change. What is empty is skipped 4096 at a time.

use super::arena::Arena;
use super::segment::SegmentIx;

const WORDS: usize = 64;
const PAGE_BITS: usize = WORDS * 64;

/// The bits of 4096 segments.
#[derive(Clone, Debug)]
struct Page {
    count: u32,
    words: [u64; WORDS],
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentSet {
    pages: Arena<Page, 1, 64>,
    count: usize,
}

impl SegmentSet {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn contains(&self, at: SegmentIx) -> bool {
        let (page, word, bit) = place(at);
        self.pages.get(page).is_some_and(|page| page.words[word] & bit != 0)
    }

    /// Puts a segment in that is not in it.
    pub(crate) fn insert(&mut self, at: SegmentIx) {
        let (page, word, bit) = place(at);
        while self.pages.len() <= page {
            self.pages.push(Page { count: 0, words: [0; WORDS] });
        }
        let page = &mut self.pages[page];
        page.words[word] |= bit;
        page.count += 1;
        self.count += 1;
    }

    /// Takes a segment out that is in it.
    pub(crate) fn remove(&mut self, at: SegmentIx) {
        let (page, word, bit) = place(at);
        let page = &mut self.pages[page];
        page.words[word] &= !bit;
        page.count -= 1;
        self.count -= 1;
    }

    /// In the order of their indexes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SegmentIx> + '_ {
        let pages = if self.count == 0 { 0 } else { self.pages.len() };
        (0..pages).filter(|page| self.pages[*page].count > 0).flat_map(move |page| {
            let words = (0..WORDS).map(move |word| (word, self.pages[page].words[word]));
            words.flat_map(move |(word, bits)| ones(bits).map(move |bit| SegmentIx((page * PAGE_BITS + word * 64 + bit) as u32)))
        })
    }
}

fn place(at: SegmentIx) -> (usize, usize, u64) {
    let at = at.0 as usize;
    (at / PAGE_BITS, at % PAGE_BITS / 64, 1 << (at % 64))
}

fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(lowest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_is_a_set_in_the_order_of_indexes() {
        let (mut set, mut expected) = (SegmentSet::default(), BTreeSet::new());
        for step in 0..20_000u32 {
            let at = SegmentIx(step.wrapping_mul(2_654_435_761) % 30_000);
            match expected.insert(at) {
                true => set.insert(at),
                false => {
                    expected.remove(&at);
                    set.remove(at);
                }
            }
            assert_eq!((set.contains(at), set.len()), (expected.contains(&at), expected.len()));
        }
        assert!(set.iter().eq(expected.iter().copied()));
        expected.iter().for_each(|at| set.remove(*at));
        assert_eq!((set.len(), set.iter().next()), (0, None));
    }
}
