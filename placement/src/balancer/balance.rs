//! Balance: moves that each lower the potential by at least their step, from the nodes above the mean and to the nodes below it.
//!
//! A node is worked on when its share of a resource leaves the band around the mean, until it is back in half of it. Candidates are drawn
//! from a sample; a node is given up only after all of its segments were weighed against the same targets. So what ends a plan is a
//! property of the state that it ends in, and planning on that state finds the same: nothing.

use super::plan::{Binding, Why};
use super::targets::Wanted;
use super::workspace::{Choice, Workspace};
use crate::cluster::ledger::spread;
use crate::cluster::{DEPARTURES_MAX, MoveKind, NodeIx, REPLICAS_MAX, RESOURCES, SegmentIx};
use crate::potential::real;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Targets weighed: of those with the least share of the resource that is out of balance, and of each other one.
const TARGETS: [usize; 2] = [8, 3];
/// Sources weighed, likewise.
const SOURCES: [usize; 2] = [4, 1];
/// Segments drawn in one sample.
const SAMPLE: usize = 24;
/// Segments remembered of a look at all.
const PROMISING_MAX: usize = 64;
/// A node that is below the mean by more bands than this may be overfilled with one resource for the sake of another.
const UNGUARDED_BANDS: f64 = 3.0;
/// Moves after which targets or sources are looked up anew.
const BATCH: usize = 16;
/// A node that is out of the band by less than this part of the worst waits for that one.
const WAITS_PART: f64 = 0.25;
/// Segments weighed in vain after which a round ends: some 10 ms. Nodes furthest from the mean are tried first.
const VAIN_MAX: u64 = 65_536;

/// A node out of the band.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Imbalance {
    pub(crate) node: NodeIx,
    pub(crate) resource: usize,
    pub(crate) above: bool,
    /// How far out, in bands.
    pub(crate) bands: f64,
    /// It may have one more move now.
    pub(crate) open: bool,
}

impl Imbalance {
    fn key(&self) -> (NodeIx, usize) {
        (self.node, self.resource)
    }
}

/// How far a sweep over the nodes has come.
#[derive(Clone, Debug, Default)]
struct Sweep {
    /// Segments drawn so far.
    draws: u64,
    /// Segments weighed for nodes that could not be helped.
    vain: u64,
    /// Nodes that could not be helped, and of which resource.
    failed: BTreeSet<(NodeIx, usize)>,
}

/// The best move found so far.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    segment: SegmentIx,
    kind: MoveKind,
    from: NodeIx,
    to: NodeIx,
    gain: f64,
    score: f64,
}

/// What was found: the best move, the best that something ruled out, and (if asked for) every segment that could gain a step, with its score.
#[derive(Clone, Debug, Default)]
struct Found {
    best: Option<Candidate>,
    excluded: Option<(Binding, f64)>,
    promising: Option<Vec<(f64, NodeIx, SegmentIx)>>,
}

impl Found {
    fn promise(&mut self, score: f64, source: NodeIx, segment: SegmentIx) {
        let Some(promising) = &mut self.promising else { return };
        match promising.last_mut().filter(|last| last.2 == segment && last.1 == source) {
            Some(last) => last.0 = last.0.max(score),
            None => promising.push((score, source, segment)),
        }
    }
}

/// What a correction chooses from.
#[derive(Clone, Debug, Default)]
struct Candidates {
    /// The nodes on the other side.
    ends: Vec<NodeIx>,
    /// What would overfill a node that is being filled is left out, as long as there is anything else.
    guarded: bool,
    /// Segments, and their nodes, that the last look at all of them found promising.
    promising: Vec<(NodeIx, SegmentIx)>,
}

impl Workspace<'_> {
    /// Until no node is out of the band, or none of those that are can be helped. Those furthest out come first; those that are far less so
    /// wait for them, in this plan and in those after it: what moves to and from the worst decides where the others will be.
    pub(crate) fn balance(&mut self) {
        let mut draws = 0;
        loop {
            let mut sweep = Sweep { draws, ..Sweep::default() };
            let moves = self.plan.moves.len();
            self.sweep(&mut sweep);
            draws = sweep.draws;
            if self.plan.moves.len() == moves || !self.has_room_for_moves() {
                return;
            }
        }
    }

    /// Tries every node out of the band, until each is back or was tried in vain once.
    fn sweep(&mut self, sweep: &mut Sweep) {
        while sweep.vain < VAIN_MAX && self.has_room_for_moves() {
            let imbalances = self.imbalances();
            let worst = imbalances.iter().filter(|it| !sweep.failed.contains(&it.key())).map(|it| it.bands).fold(0.0, f64::max);
            let least = (worst * WAITS_PART).max(1.0);
            let able = |it: &&Imbalance| it.open && it.bands >= least && !sweep.failed.contains(&it.key());
            let mut next: Vec<_> = imbalances.iter().filter(able).copied().collect();
            next.sort_by(|a, b| b.bands.total_cmp(&a.bands).then(a.node.cmp(&b.node)));
            if next.is_empty() {
                return;
            }
            self.correct_each(&next, sweep);
        }
    }

    fn correct_each(&mut self, imbalances: &[Imbalance], sweep: &mut Sweep) {
        for it in imbalances {
            if sweep.vain >= VAIN_MAX || !self.has_room_for_moves() {
                return;
            }
            let examined = self.plan.segments_examined;
            if !self.correct(it, &mut sweep.draws) {
                sweep.failed.insert(it.key());
                sweep.vain += self.plan.segments_examined - examined;
            }
        }
    }

    /// Active nodes out of the band that can be helped, now or once moves of theirs have ended; each with the resource that is furthest out.
    pub(crate) fn imbalances(&self) -> Vec<Imbalance> {
        let means: [f64; RESOURCES] = std::array::from_fn(|r| self.mean(r));
        let (allowances, shares) = (means.map(|mean| self.allowance(mean)), &self.base.shares);
        // Where there is nothing to carry there is no number, and no comparison holds.
        let is_out = |at: &usize| (0..RESOURCES).any(|r| (shares[*at][r] - means[r]).abs() > allowances[r]);
        (0..shares.len()).filter(is_out).filter_map(|at| self.imbalance(NodeIx(at as u32), &means)).collect()
    }

    fn imbalance(&self, node: NodeIx, means: &[f64; RESOURCES]) -> Option<Imbalance> {
        let at = self.node(node);
        let distances = (0..RESOURCES).filter(|r| at.capacity.0[*r] > 0).map(|r| (r, self.distance(node, r, means[r])));
        let out = distances.filter(|(_, distance)| distance.abs() > 1.0);
        let is_open = |distance: f64| if distance > 0.0 { at.reads_left > 0 } else { at.closed.is_none() };
        let is_busy = |distance: f64| if distance > 0.0 { at.reads_left == 0 } else { at.closed == Some(Binding::LoadsAtOnce) };
        let counts = out.filter(|(_, distance)| is_open(*distance) || is_busy(*distance));
        let (resource, distance) =
            counts.max_by(|a, b| (is_open(a.1), a.1.abs()).partial_cmp(&(is_open(b.1), b.1.abs())).unwrap_or(Ordering::Equal))?;
        Some(Imbalance { node, resource, above: distance > 0.0, bands: distance.abs(), open: is_open(distance) })
    }

    /// How many bands a node is above the mean, or (less than 0) below it.
    fn distance(&self, node: NodeIx, r: usize, mean: f64) -> f64 {
        (self.share(node, r) - mean) / self.allowance(mean)
    }

    /// The band, as a share of the capacity: of a resource of which nodes carry less than of memory, as wide as memory's. A share counts as
    /// much in the potential whatever it is of: what nobody is short of is not worth the bytes of balancing it more finely.
    fn allowance(&self, mean: f64) -> f64 {
        mean.max(self.mean(0)) * self.policy.balance_band + self.policy.balance_floor_share
    }

    fn is_corrected(&self, it: &Imbalance) -> bool {
        let distance = self.distance(it.node, it.resource, self.mean(it.resource));
        if it.above { distance <= 0.5 } else { distance >= -0.5 }
    }

    /// Moves until a node is back in half of the band; `false` if that cannot be reached.
    fn correct(&mut self, it: &Imbalance, draws: &mut u64) -> bool {
        let mut choice = Candidates { guarded: !it.above, ..Candidates::default() };
        while !self.is_corrected(it) {
            choice.ends = if it.above { self.nearby(it, TARGETS) } else { self.nearby(it, SOURCES) };
            if !self.batch(it, &mut choice, draws) {
                return self.is_corrected(it);
            }
        }
        true
    }

    /// The nodes that are furthest on the other side.
    fn nearby(&mut self, it: &Imbalance, counts: [usize; 2]) -> Vec<NodeIx> {
        if it.above {
            self.refresh_targets();
        } else {
            self.refresh_sources();
        }
        let mut ends = Vec::with_capacity(counts[0] + 2 * counts[1]);
        let resources = std::iter::once(it.resource).chain((0..RESOURCES).filter(|r| *r != it.resource));
        for (at, r) in resources.enumerate() {
            let count = counts[at.min(1)];
            if it.above {
                ends.extend(self.base.targets.by_share(r).filter(|node| *node != it.node).take(count));
            } else {
                ends.extend(self.base.sources.by_share(r).rev().filter(|node| *node != it.node).take(count));
            }
        }
        ends
    }

    /// Some moves between a node and the same other ends; `false` if there are no more.
    fn batch(&mut self, it: &Imbalance, choice: &mut Candidates, draws: &mut u64) -> bool {
        for count in 0..BATCH {
            if self.is_corrected(it) {
                return true;
            }
            let mut found = self.draw(it, choice, draws);
            if found.best.is_none() && count > 0 {
                return true;
            }
            while found.best.is_none() {
                found = self.weigh_all(it, choice);
                let far = self.distance(it.node, it.resource, self.mean(it.resource)) < -UNGUARDED_BANDS;
                if found.best.is_none() && !(far && std::mem::take(&mut choice.guarded)) {
                    return false;
                }
            }
            let Some(best) = found.best else { return false };
            let bound_by = found.excluded.filter(|(_, score)| *score > best.score).map(|(binding, _)| binding);
            let Candidate { segment, kind, from, to, gain, .. } = best;
            self.begin(segment, Choice { kind, from: Some(from), to: Some(to), why: Why::Balance, gain, bound_by });
            if !self.may_go_on(it) {
                return false;
            }
        }
        true
    }

    fn may_go_on(&mut self, it: &Imbalance) -> bool {
        let node = self.node(it.node);
        let open = if it.above { node.reads_left > 0 } else { node.closed.is_none() };
        self.plan.cut_short |= !open;
        open && self.has_room_for_moves()
    }

    /// The best move of those that the last look at all segments found promising, or else of a sample.
    fn draw(&mut self, it: &Imbalance, choice: &mut Candidates, draws: &mut u64) -> Found {
        let mut found = Found::default();
        let state = self.state;
        for (source, segment) in &choice.promising {
            self.weigh_segment(it, *source, *segment, choice, &mut found);
        }
        if found.best.is_some() {
            return found;
        }
        choice.promising.clear();
        let sources: &[NodeIx] = if it.above { std::slice::from_ref(&it.node) } else { &choice.ends };
        for source in sources {
            let list = &state.node(*source).segments;
            let count = if it.above { SAMPLE } else { SAMPLE / SOURCES[0] };
            let mut drawn = [SegmentIx(0); SAMPLE];
            let drawn = &mut drawn[..count.min(list.len())];
            for segment in drawn.iter_mut() {
                *draws += 1;
                *segment = list[scattered(*draws, list.len())];
            }
            self.fetch(drawn);
            drawn.iter().for_each(|segment| self.weigh_segment(it, *source, *segment, choice, &mut found));
        }
        found
    }

    /// Looks at segments that are about to be weighed. In no cache, they are waited for together here, and would be one after another there.
    pub(super) fn fetch(&self, segments: &[SegmentIx]) {
        let looks = segments.iter().map(|at| u32::from(self.segment(*at).moves));
        std::hint::black_box(looks.sum::<u32>());
    }

    /// The best move of all; what else is promising is kept.
    fn weigh_all(&mut self, it: &Imbalance, choice: &mut Candidates) -> Found {
        let mut found = Found { promising: Some(Vec::new()), ..Found::default() };
        let state = self.state;
        let sources: &[NodeIx] = if it.above { std::slice::from_ref(&it.node) } else { &choice.ends };
        for source in sources {
            for segment in state.node(*source).segments.iter() {
                self.weigh_segment(it, *source, *segment, choice, &mut found);
            }
        }
        let mut promising = found.promising.take().unwrap_or_default();
        promising.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        choice.promising = promising.into_iter().take(PROMISING_MAX).map(|(_, source, segment)| (source, segment)).collect();
        found
    }

    fn weigh_segment(&mut self, it: &Imbalance, source: NodeIx, segment: SegmentIx, choice: &Candidates, found: &mut Found) {
        self.plan.segments_examined += 1;
        // With as many copies as can be, one more would be in place of one on a node that is down.
        let has_room = self.segment(segment).replicas.len() < REPLICAS_MAX;
        if self.node(source).reads_left == 0 || self.is_moving(segment) || !has_room {
            return;
        }
        let Some(kind) = self.segment(segment).replicas.on(source).and_then(super::copies::relocation) else { return };
        if kind == MoveKind::RelocateOnDisk && self.sharers(segment) < u32::from(self.segment(segment).replicas_wanted) {
            return;
        }
        let wanted = Wanted { rest_ms: self.policy.segment_return_ms, ..self.wanted(segment, kind, Some(source)) };
        let targets: &[NodeIx] = if it.above { &choice.ends } else { std::slice::from_ref(&it.node) };
        let price = self.price(it, &wanted);
        if choice.guarded && self.would_overfill(it.node, &wanted) {
            return;
        }
        for target in targets {
            self.weigh_move(&wanted, source, *target, (price, !it.above), found);
        }
    }

    /// What the gain of a move is held against. A node that is too full is relieved with the fewest bytes. A node that is too empty is filled
    /// evenly: what brings much of one resource and little of the others would soon be one too many.
    fn price(&self, it: &Imbalance, wanted: &Wanted) -> f64 {
        let share = |r: usize| if self.capacity_sum[r] > 0.0 { wanted.load.0[r] as f64 / self.capacity_sum[r] } else { 0.0 };
        let price = if it.above { share(1) } else { (0..RESOURCES).map(|r| share(r) * self.policy.weights[r] * self.mean(r)).sum() };
        price.max(f64::MIN_POSITIVE)
    }

    /// Would a node that is to be filled be above the band of some resource?
    fn would_overfill(&self, node: NodeIx, wanted: &Wanted) -> bool {
        let it = self.node(node);
        (0..RESOURCES).filter(|r| it.capacity.0[*r] > 0 && wanted.load.0[*r] > 0).any(|r| {
            let (share, mean) = (it.projected.0[r].saturating_add(wanted.load.0[r]) as f64 / it.capacity.0[r] as f64, self.mean(r));
            share - mean > self.allowance(mean)
        })
    }

    fn weigh_move(&self, wanted: &Wanted, from: NodeIx, to: NodeIx, (price, evenly): (f64, bool), found: &mut Found) {
        let gain = self.node(from).slope.gain(&self.node(to).slope, &real(&wanted.load));
        let disk_bytes = wanted.load.0[1];
        if gain < self.base.potential.step(disk_bytes) {
            return;
        }
        let score = if evenly { gain / price } else { gain * gain / price };
        found.promise(score, from, wanted.segment);
        let key = |it: &Candidate| (it.score, std::cmp::Reverse((self.segment(it.segment).id, it.to)));
        let candidate = Candidate { segment: wanted.segment, kind: wanted.kind, from, to, gain, score };
        if found.best.as_ref().is_some_and(|best| key(best).partial_cmp(&key(&candidate)) != Some(Ordering::Less)) {
            return;
        }
        if self.is_resting(wanted.segment) {
            return;
        }
        match self.worse_spread(wanted, from, to).or_else(|| self.excluded(wanted, to)) {
            None => found.best = Some(candidate),
            Some(binding) if found.excluded.is_none_or(|(_, most)| most < score) => found.excluded = Some((binding, score)),
            Some(_) => {}
        }
    }

    fn worse_spread(&self, wanted: &Wanted, from: NodeIx, to: NodeIx) -> Option<Binding> {
        let replicas = self.replicas(wanted.segment);
        let zone = self.node(to).domain.zone;
        let alone = replicas.iter().all(|it| it.node == from || self.node(it.node).domain.zone != zone);
        let worse = || self.spread_with(wanted.segment, Some(from), Some(to)) < self.spread_with(wanted.segment, None, None);
        (!alone && (worse() || self.is_in_the_way(wanted.segment, from, to))).then_some(Binding::Domain)
    }

    /// Would the copies stand worse than now, once the nodes that are awaited are back?
    fn is_in_the_way(&self, segment: SegmentIx, from: NodeIx, to: NodeIx) -> bool {
        let replicas = self.replicas(segment);
        if !replicas.iter().any(|it| self.is_awaited(it.node)) {
            return false;
        }
        let stays = replicas.iter().filter(|it| it.state.stays() && (self.is_up(it.node) || self.is_awaited(it.node)));
        let nodes: Vec<_> = stays.map(|it| it.node).collect();
        let domains = |nodes: &[NodeIx]| spread(nodes.iter().map(|node| self.node(*node).domain));
        let after: Vec<_> = nodes.iter().copied().filter(|node| *node != from).chain([to]).collect();
        domains(&after) < domains(&nodes)
    }

    /// Was it moved not long ago?
    pub(crate) fn is_resting(&self, segment: SegmentIx) -> bool {
        self.segment(segment).departures.recent(self.now_ms, self.policy.segment_rest_ms).next().is_some()
    }

    /// Was it moved so often not long ago that nobody could tell all the nodes to which it must not return?
    pub(crate) fn is_restless(&self, segment: SegmentIx) -> bool {
        self.segment(segment).departures.recent(self.now_ms, self.policy.segment_rest_ms).count() == DEPARTURES_MAX
    }
}

/// The `draw`-th of a sequence of positions below `len` that looks random and never differs.
fn scattered(draw: u64, len: usize) -> usize {
    let mut mixed = draw.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^= mixed >> 31;
    ((u128::from(mixed) * len as u128) >> 64) as usize
}
