//! Balancing is quiet: it settles on a static load within the bound of docs/placement.md, and nothing goes there and back.

use crate::decisions::Small;
use placement::balancer::{Plan, Why, plan};
use placement::checker::{check_plan, check_state};
use placement::cluster::{
    Cluster, Decision, Domain, Epoch, Event, Footprint, Generation, Level, Lifecycle, NodeId, NodeSpec, Phase, Resources, SegmentSpec,
};
use placement::offers::{Offer, Offers};
use placement::policy::Policy;
use placement::{TableId, UnitId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;
const HOUR_MS: u64 = 3_600_000;

/// A cluster that lives: events happen, plans are made and carried out a round at a time.
struct Living {
    cluster: Cluster,
    policy: Policy,
    now_ms: u64,
    rng: StdRng,
    next: u64,
    generation: u64,
    /// When each segment last left each node.
    left_ms: BTreeMap<(UnitId, NodeId), u64>,
    returns: Vec<(UnitId, NodeId, Why)>,
}

impl Living {
    fn new(seed: u64, nodes: u64, segments: u64, replicas_wanted: u8) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let policy = Policy { repair_delay_ms: 0, moves_in_per_node_max: 8, moves_out_per_node_max: 8, ..Policy::default() };
        let (left_ms, returns) = (BTreeMap::new(), Vec::new());
        let mut it = Self { cluster: Cluster::default(), policy, now_ms: 0, rng, next: 0, generation: 0, left_ms, returns };
        (1..=nodes).for_each(|id| it.join(id));
        (0..segments).for_each(|_| it.write(replicas_wanted));
        it
    }

    fn decide(&mut self, decision: Decision) {
        self.cluster.decide(&decision, self.now_ms).unwrap_or_else(|error| panic!("{decision:?}: {error}"));
    }

    fn join(&mut self, id: u64) {
        let capacity = Resources::new(20_000 * MIB, 80_000 * MIB, 16_000_000);
        let spec = NodeSpec { id: NodeId(id), capacity, domain: Domain { zone: (id % 4) as u32, rack: id as u32 }, epoch: Epoch(1) };
        self.decide(Decision::NodeRegistered(spec));
    }

    fn footprint(&mut self) -> Footprint {
        let disk_bytes = self.rng.random_range(20..200) * MIB;
        let resident_bytes = disk_bytes / 100 * self.rng.random_range(1..100);
        Footprint { resident_bytes, disk_bytes, cpu_micros: self.rng.random_range(100..30_000), load_peak_bytes: disk_bytes / 16 }
    }

    /// A segment is written on some node.
    fn write(&mut self, replicas_wanted: u8) {
        self.next += 1;
        let (id, footprint) = (UnitId(self.next), self.footprint());
        self.decide(Decision::SegmentAdded(SegmentSpec { id, table: TableId(1), footprint, replicas_wanted }));
        let active: Vec<_> = self.cluster.nodes_by_id().filter(|(_, node)| node.is_active()).map(|(_, node)| node.spec.id).collect();
        let node = active[self.rng.random_range(0..active.len())];
        self.decide(Decision::CopyAdded { segment: id, node, serving: true });
    }

    fn any_node(&mut self) -> NodeId {
        let nodes: Vec<_> = self.cluster.nodes_by_id().map(|(_, node)| node.spec.id).collect();
        nodes[self.rng.random_range(0..nodes.len())]
    }

    fn any_segment(&mut self) -> UnitId {
        UnitId(self.rng.random_range(1..=self.next))
    }

    /// One random event.
    fn happen(&mut self) {
        let (node, segment) = (self.any_node(), self.any_segment());
        let up = self.cluster.nodes_by_id().filter(|(_, node)| node.is_active()).count();
        let least_up = self.cluster.nodes().len() * 3 / 4;
        let event = match self.rng.random_range(0..12) {
            0 if up > least_up => Event::Decided(Decision::NodeLifecycle { node, lifecycle: Lifecycle::Down }),
            1 if up > least_up => Event::Decided(Decision::NodeLifecycle { node, lifecycle: Lifecycle::Draining }),
            2 | 3 => Event::Decided(Decision::NodeLifecycle { node, lifecycle: Lifecycle::Active }),
            4 => Event::Pressed { node, level: Level::Strained },
            5 | 6 => Event::Pressed { node, level: Level::Calm },
            7 => Event::Decided(Decision::SegmentRemoved(segment)),
            8 | 9 => Event::FootprintMeasured { segment, footprint: self.footprint() },
            _ => return self.write(2),
        };
        // The segment may be gone.
        _ = self.cluster.apply(&event, self.now_ms);
    }

    fn offers(&self) -> Offers {
        let mut offers = Offers::default();
        for (_, node) in self.cluster.nodes_by_id() {
            let (made_at_ms, until_ms) = (self.now_ms, self.now_ms + 10_000);
            let (node, epoch) = (node.spec.id, node.spec.epoch);
            offers.take(Offer { node, epoch, resident_bytes: u64::MAX, disk_bytes: u64::MAX, loads_at_once: 8, made_at_ms, until_ms });
        }
        offers
    }

    /// Plans, carries the plan out, and writes down who leaves and who returns.
    fn round(&mut self) -> Plan {
        let offers = self.offers();
        let made = plan(&self.cluster, &offers, &self.policy, self.now_ms);
        assert_eq!(check_plan(&self.cluster, &offers, &self.policy, self.now_ms, &made), []);
        let first = Generation(self.generation);
        for decision in made.decisions(&self.cluster, first, self.now_ms).collect::<Vec<_>>() {
            self.decide(decision);
        }
        for it in &made.moves {
            let phases: &[Phase] = if it.kind.serves() { &[Phase::Warm, Phase::Switched, Phase::Finished] } else { &[Phase::Finished] };
            for phase in phases {
                self.decide(Decision::MoveAdvanced { generation: Generation(self.generation), phase: *phase });
            }
            self.generation += 1;
            if let Some(to) = it.to.filter(|_| it.kind.transfers())
                && self.left_ms.get(&(it.segment, to)).is_some_and(|left| self.now_ms < left + HOUR_MS)
            {
                self.returns.push((it.segment, to, it.why));
            }
            if let Some(from) = it.from.filter(|_| it.kind.removes()) {
                self.left_ms.insert((it.segment, from), self.now_ms);
            }
        }
        made
    }
}

#[test]
fn of_a_thousand_events_no_segment_returns_to_a_node_that_it_left_within_an_hour() {
    for seed in 0..2 {
        let mut living = Living::new(seed, 24, 300, 2);
        for _ in 0..1_000 {
            living.now_ms += living.rng.random_range(0..60_000);
            living.happen();
            living.round();
        }
        assert_eq!(check_state(&living.cluster), []);
        assert_eq!(living.returns, [], "seed {seed}");
        assert!(living.generation > 1_000, "there were {} moves", living.generation);
    }
}

/// The bound of docs/placement.md: what is gained in all is at most what the potential was above its least.
#[test]
fn on_a_static_load_moves_stop_within_the_bound_and_never_begin_again() {
    for seed in 10..14 {
        let mut living = Living::new(seed, 12, 600, 1);
        let mut rounds = 0;
        let mut balancing: Option<(f64, f64)> = None;
        loop {
            living.now_ms += 10_000;
            let made = living.round();
            if made.moves.is_empty() {
                break;
            }
            if made.moves.iter().all(|it| it.why == Why::Balance) {
                let (above, gained) = balancing.get_or_insert((made.potential_before - made.bound.potential, 0.0));
                *gained += made.moves.iter().map(|it| it.gain).sum::<f64>();
                assert!(*gained <= *above, "{gained} was gained of {above}");
                assert!(made.potential_after < made.potential_before);
            }
            rounds += 1;
            assert!(rounds < 200, "it settles in a few rounds");
        }
        assert!(balancing.is_some(), "seed {seed}: there was something to balance");
        for _ in 0..50 {
            living.now_ms += HOUR_MS / 10;
            assert_eq!(living.round().moves, [], "on a static load moves never begin again, not even when all have rested");
        }
    }
}

/// milvus #51244: 80 to 89 % of moves net to zero.
#[test]
fn no_plan_moves_a_segment_twice() {
    let mut small = Small::new(&[1, 1, 2, 2, 3, 3]);
    (1..=60).for_each(|id| small.segment(id, id % 17 * 3, id % 5, &[1, 3]));
    let made = small.plan();
    let mut moved: Vec<_> = made.moves.iter().map(|it| it.segment).collect();
    moved.sort();
    moved.dedup();
    assert_eq!(moved.len(), made.moves.len());
    assert!(made.moves.len() > 10);
}
