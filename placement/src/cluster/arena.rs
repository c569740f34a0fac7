//! An arena that shares what does not change: a clone costs its roots, a change of one element the page that it lies in.
//!
//! ```text
//! roots: one for each PAGE * BRANCH elements -> branch: BRANCH pages -> page: PAGE elements
//! ```
//!
//! Every state of the log is kept as long as somebody reads it, so a decision must not cost a copy of the cluster. While nobody else holds a
//! page, it is changed in place.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

type Page<T, const PAGE: usize> = Arc<[T; PAGE]>;
type Branch<T, const PAGE: usize, const BRANCH: usize> = Arc<[Option<Page<T, PAGE>>; BRANCH]>;

/// See the module. `PAGE` elements are copied at once, and `BRANCH` pointers to pages.
#[derive(Clone, Debug)]
pub struct Arena<T, const PAGE: usize, const BRANCH: usize> {
    roots: Vec<Branch<T, PAGE, BRANCH>>,
    len: usize,
}

impl<T, const PAGE: usize, const BRANCH: usize> Default for Arena<T, PAGE, BRANCH> {
    fn default() -> Self {
        Self { roots: Vec::new(), len: 0 }
    }
}

impl<T: Clone, const PAGE: usize, const BRANCH: usize> Arena<T, PAGE, BRANCH> {
    const ROOT: usize = PAGE * BRANCH;

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An element.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&T> {
        if at >= self.len {
            return None;
        }
        self.roots[at / Self::ROOT][at % Self::ROOT / PAGE].as_ref().map(|page| &page[at % PAGE])
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> + DoubleEndedIterator + Clone {
        (0..self.len).map(|at| &self[at])
    }

    /// Elements that may differ from those of `before`: they lie in other pages, or there are none there. Costs what has changed, and a look at the
    /// roots.
    pub(crate) fn changed_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let is_root_shared = |root: &usize| before.roots.get(*root).is_some_and(|it| Arc::ptr_eq(it, &self.roots[*root]));
        let roots = (0..self.roots.len()).filter(move |root| !is_root_shared(root));
        let pages = roots.flat_map(move |root| (0..BRANCH).map(move |page| (root, page)));
        let is_page_shared = |(root, page): &(usize, usize)| {
            let then = before.roots.get(*root).and_then(|it| it[*page].as_ref());
            then.zip(self.roots[*root][*page].as_ref()).is_some_and(|(then, now)| Arc::ptr_eq(then, now))
        };
        let other = pages.filter(move |at| !is_page_shared(at));
        let first = |(root, page): (usize, usize)| root * Self::ROOT + page * PAGE;
        other.flat_map(move |at| first(at)..(first(at) + PAGE).min(self.len).max(first(at)))
    }

    /// The last.
    pub fn last(&self) -> Option<&T> {
        self.get(self.len.checked_sub(1)?)
    }

    pub(crate) fn push(&mut self, value: T) {
        let at = self.len;
        if at == self.roots.len() * Self::ROOT {
            self.roots.push(Arc::new(std::array::from_fn(|_| None)));
        }
        let slot = &mut Arc::make_mut(&mut self.roots[at / Self::ROOT])[at % Self::ROOT / PAGE];
        match slot {
            Some(page) => Arc::make_mut(page)[at % PAGE] = value,
            // What has no value yet is never looked at.
            None => *slot = Some(Arc::new(std::array::from_fn(|_| value.clone()))),
        }
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.last()?.clone();
        self.len -= 1;
        let at = self.len;
        if at.is_multiple_of(Self::ROOT) {
            self.roots.pop();
        } else if at.is_multiple_of(PAGE) {
            Arc::make_mut(&mut self.roots[at / Self::ROOT])[at % Self::ROOT / PAGE] = None;
        }
        Some(last)
    }

    /// Takes an element out; the last takes its place.
    pub(crate) fn swap_remove(&mut self, at: usize) {
        let Some(last) = self.pop() else { return };
        if at < self.len {
            self[at] = last;
        }
    }
}

impl<T: Clone, const PAGE: usize, const BRANCH: usize> Index<usize> for Arena<T, PAGE, BRANCH> {
    type Output = T;
    #[inline]
    fn index(&self, at: usize) -> &T {
        self.get(at).expect("whoever keeps an index keeps it within the arena")
    }
}

impl<T: Clone, const PAGE: usize, const BRANCH: usize> IndexMut<usize> for Arena<T, PAGE, BRANCH> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        assert!(at < self.len, "whoever keeps an index keeps it within the arena");
        let page = Arc::make_mut(&mut self.roots[at / Self::ROOT])[at % Self::ROOT / PAGE].as_mut();
        &mut Arc::make_mut(page.expect("below its length an arena has pages"))[at % PAGE]
    }
}

impl<T: Clone, const PAGE: usize, const BRANCH: usize> FromIterator<T> for Arena<T, PAGE, BRANCH> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut arena = Self::default();
        items.into_iter().for_each(|item| arena.push(item));
        arena
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u32),
        Pop,
        Swap(prop::sample::Index),
        Set(prop::sample::Index, u32),
        Keep,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => any::<u32>().prop_map(Step::Push),
            2 => Just(Step::Pop),
            2 => any::<prop::sample::Index>().prop_map(Step::Swap),
            2 => (any::<prop::sample::Index>(), any::<u32>()).prop_map(|(at, value)| Step::Set(at, value)),
            1 => Just(Step::Keep),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn it_is_a_vector_and_what_was_cloned_stays_as_it_was(steps in steps()) {
            let (mut arena, mut vector) = (Arena::<u32, 3, 4>::default(), Vec::new());
            let mut kept = Vec::new();
            for step in steps {
                match step {
                    Step::Push(value) => {
                        arena.push(value);
                        vector.push(value);
                    }
                    Step::Pop => prop_assert_eq!(arena.pop(), vector.pop()),
                    Step::Swap(at) if !vector.is_empty() => {
                        arena.swap_remove(at.index(vector.len()));
                        vector.swap_remove(at.index(vector.len()));
                    }
                    Step::Set(at, value) if !vector.is_empty() => {
                        let at = at.index(vector.len());
                        (arena[at], vector[at]) = (value, value);
                    }
                    Step::Keep => kept.push((arena.clone(), vector.clone())),
                    _ => {}
                }
                prop_assert_eq!(arena.last(), vector.last());
                prop_assert_eq!(arena.get(vector.len()), None);
            }
            kept.push((arena, vector));
            for (before, _) in &kept {
                let (now, _) = kept.last().expect("one was pushed");
                let changed: std::collections::BTreeSet<_> = now.changed_since(before).collect();
                prop_assert!((0..now.len()).all(|at| changed.contains(&at) || before.get(at) == now.get(at)));
                prop_assert!(changed.iter().all(|at| *at < now.len()));
            }
            let (now, _) = kept.last().expect("one was pushed");
            prop_assert_eq!(now.changed_since(&now.clone()).count(), 0);
            for (arena, vector) in kept {
                prop_assert!(arena.iter().eq(vector.iter()) && arena.len() == vector.len());
            }
        }
    }
}
