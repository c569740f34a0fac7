//! What the planner decides in situations that a person can check by hand. Units: MiB, thousandths of a core.

use placement::balancer::{Binding, Plan, PlannedMove, Unmet, UnmetReason, Why, plan};
use placement::checker::{check_plan, check_state};
use placement::cluster::{
    Cluster, Decision, Domain, Epoch, Event, Footprint, Generation, Level, Lifecycle, MoveKind, NodeId, NodeSpec, Phase, Refusal,
    RefusalReason, Report, Resources, SegmentSpec,
};
use placement::offers::{Offer, Offers};
use placement::policy::Policy;
use placement::{TableId, UnitId};

const MIB: u64 = 1 << 20;

/// A small cluster whose nodes offer all they have.
pub struct Small {
    pub cluster: Cluster,
    pub offers: Offers,
    pub policy: Policy,
    pub now_ms: u64,
    generation: u64,
}

impl Small {
    pub fn new(zones: &[u32]) -> Self {
        let policy = Policy { repair_delay_ms: 0, ..Policy::unbounded() };
        let mut small = Self { cluster: Cluster::default(), offers: Offers::default(), policy, now_ms: 0, generation: 0 };
        zones.iter().zip(1..).for_each(|(zone, id)| small.node(id, *zone));
        small
    }

    /// 1000 MiB of memory, 4000 MiB of disk, 4 cores; a rack of its own.
    pub fn node(&mut self, id: u64, zone: u32) {
        let capacity = Resources::new(1000 * MIB, 4000 * MIB, 4_000_000);
        let domain = Domain { zone, rack: 100 + id as u32 };
        self.decide(Decision::NodeRegistered(NodeSpec { id: NodeId(id), capacity, domain, epoch: Epoch(1) }));
        self.offer(id, 10_000, 10_000);
    }

    pub fn offer(&mut self, id: u64, resident_mib: u64, disk_mib: u64) {
        let (resident_bytes, disk_bytes) = (resident_mib * MIB, disk_mib * MIB);
        let (made_at_ms, until_ms) = (self.now_ms, u64::MAX);
        self.offers.take(Offer { node: NodeId(id), epoch: Epoch(1), resident_bytes, disk_bytes, loads_at_once: 100, made_at_ms, until_ms });
    }

    /// A segment served on `nodes`, with as many copies wanted.
    pub fn segment(&mut self, id: u64, resident_mib: u64, cpu_millis: u64, nodes: &[u64]) {
        self.wanted(id, resident_mib, cpu_millis, nodes.len() as u8);
        nodes.iter().for_each(|node| self.copy(id, *node, true));
    }

    pub fn wanted(&mut self, id: u64, resident_mib: u64, cpu_millis: u64, replicas_wanted: u8) {
        let footprint = footprint(resident_mib, cpu_millis);
        self.decide(Decision::SegmentAdded(SegmentSpec { id: UnitId(id), table: TableId(1), footprint, replicas_wanted }));
    }

    pub fn copy(&mut self, segment: u64, node: u64, serving: bool) {
        self.decide(Decision::CopyAdded { segment: UnitId(segment), node: NodeId(node), serving });
    }

    pub fn decide(&mut self, decision: Decision) {
        self.apply(Event::Decided(decision));
    }

    pub fn apply(&mut self, event: Event) {
        self.cluster.apply(&event, self.now_ms).unwrap_or_else(|error| panic!("{event:?}: {error}"));
    }

    pub fn level(&mut self, node: u64, level: Level) {
        self.apply(Event::Pressed { node: NodeId(node), level });
    }

    pub fn lifecycle(&mut self, node: u64, lifecycle: Lifecycle) {
        self.decide(Decision::NodeLifecycle { node: NodeId(node), lifecycle });
    }

    pub fn report(&mut self, node: u64, resident_mib: u64) {
        let carried = self.cluster.node(self.cluster.node_ix(NodeId(node)).unwrap()).adjusted;
        let load = Resources::new(resident_mib * MIB, carried.0[1], carried.0[2]);
        self.apply(Event::Reported { node: NodeId(node), report: Report { measured_at_ms: self.now_ms, load } });
    }

    /// A sound plan.
    pub fn plan(&self) -> Plan {
        let made = plan(&self.cluster, &self.offers, &self.policy, self.now_ms);
        assert_eq!(check_state(&self.cluster), []);
        assert_eq!(check_plan(&self.cluster, &self.offers, &self.policy, self.now_ms, &made), []);
        made
    }

    /// Carries a plan out, and answers its moves.
    pub fn round(&mut self) -> Vec<PlannedMove> {
        let made = self.plan();
        for decision in made.decisions(&self.cluster, Generation(self.generation), self.now_ms).collect::<Vec<_>>() {
            self.decide(decision);
        }
        for it in &made.moves {
            let serves: &[Phase] = if it.kind.serves() { &[Phase::Warm, Phase::Switched] } else { &[] };
            for phase in serves.iter().chain(&[Phase::Finished]) {
                self.decide(Decision::MoveAdvanced { generation: Generation(self.generation), phase: *phase });
            }
            self.generation += 1;
        }
        made.moves
    }

    pub fn served_by(&self, segment: u64) -> Vec<u64> {
        let at = self.cluster.segment_ix(UnitId(segment)).unwrap();
        let served = self.cluster.segment(at).replicas.iter().filter(|it| it.state.is_served());
        let mut nodes: Vec<_> = served.map(|it| self.cluster.node(it.node).spec.id.0).collect();
        nodes.sort();
        nodes
    }
}

/// A footprint with twice as much disk as memory.
pub fn footprint(resident_mib: u64, cpu_millis: u64) -> Footprint {
    Footprint {
        resident_bytes: resident_mib * MIB,
        disk_bytes: 2 * resident_mib * MIB,
        cpu_micros: cpu_millis * 1000,
        load_peak_bytes: MIB,
    }
}

type Short = (u64, MoveKind, Option<u64>, Option<u64>, Why);

fn short(moves: &[PlannedMove]) -> Vec<Short> {
    moves.iter().map(|it| (it.segment.0, it.kind, it.from.map(|id| id.0), it.to.map(|id| id.0), it.why)).collect()
}

/// The incident that the project began with: few rows, but wide ones. What counts is what they cost.
#[test]
fn a_node_with_few_wide_segments_gets_nothing_and_gives() {
    let mut small = Small::new(&[1, 1]);
    (1..=4).for_each(|id| small.segment(id, 200, 1, &[1]));
    (11..=50).for_each(|id| small.segment(id, 1, 1, &[2]));
    let moves = small.round();
    assert!(moves.iter().all(|it| it.why == Why::Balance && it.gain >= it.step), "{moves:?}");
    assert!(moves.iter().filter(|it| it.from == Some(NodeId(1))).map(|it| it.transfer_bytes).sum::<u64>() >= 800 * MIB);
    let memory = |node| small.cluster.node(small.cluster.node_ix(NodeId(node)).unwrap()).projected.0[0] / MIB;
    assert!(memory(1).abs_diff(memory(2)) <= 40, "{} {}", memory(1), memory(2));
    assert_eq!(small.round(), [], "what was balanced stays");
}

#[test]
fn a_missing_copy_goes_to_another_zone_even_if_a_node_nearby_is_emptier() {
    let mut small = Small::new(&[1, 1, 2]);
    small.wanted(1, 10, 1, 2);
    small.copy(1, 1, true);
    small.segment(2, 300, 1, &[3]);
    let made = small.plan();
    assert_eq!(short(&made.moves[..1]), [(1, MoveKind::Replicate, Some(1), Some(3), Why::Repair)]);
}

#[test]
fn the_segment_with_the_fewest_copies_left_is_repaired_first() {
    let mut small = Small::new(&[1, 2, 3, 4]);
    small.policy.moves_in_flight_max = 1;
    small.segment(1, 100, 1, &[1, 2, 4]);
    small.segment(2, 10, 1, &[3, 4]);
    small.lifecycle(4, Lifecycle::Down);
    assert_eq!(short(&small.round()), [(2, MoveKind::Replicate, Some(3), Some(1), Why::Repair)]);
    assert_eq!(short(&small.round()), [(1, MoveKind::Replicate, Some(2), Some(3), Why::Repair)]);
}

#[test]
fn a_node_that_is_down_is_waited_for_as_long_as_a_copy_is_left() {
    let mut small = Small::new(&[1, 2, 3]);
    small.policy.repair_delay_ms = 60_000;
    small.segment(1, 10, 1, &[1, 2]);
    small.lifecycle(2, Lifecycle::Down);
    small.now_ms = 59_999;
    let made = small.plan();
    assert_eq!(
        (made.moves.len(), &made.unmet[..]),
        (0, &[Unmet { segment: UnitId(1), why: Why::Repair, reason: UnmetReason::Delayed }][..])
    );
    small.now_ms = 60_000;
    assert_eq!(short(&small.round()), [(1, MoveKind::Replicate, Some(1), Some(3), Why::Repair)]);
    small.lifecycle(2, Lifecycle::Active);
    let back = small.round();
    assert_eq!((back.len(), back[0].kind, back[0].why), (1, MoveKind::Drop, Why::Surplus), "it returned with a copy too many");
    assert_eq!(small.served_by(1).len(), 2);
}

/// Its queries weigh on one other node meanwhile, and it is missing in the means: neither is a reason to move anything.
#[test]
fn a_restart_is_awaited_without_a_move() {
    let mut small = Small::new(&[1, 2, 3, 4]);
    small.policy.repair_delay_ms = 60_000;
    (1..=10).for_each(|id| small.segment(id, 20, 100, &[1, 2]));
    (11..=20).for_each(|id| small.segment(id, 20, 100, &[3, 4]));
    assert_eq!(small.plan().moves, []);
    small.lifecycle(1, Lifecycle::Down);
    small.now_ms = 59_999;
    assert_eq!(small.plan().moves, []);
    small.lifecycle(1, Lifecycle::Active);
    assert_eq!(small.plan().moves, []);
    small.lifecycle(1, Lifecycle::Down);
    small.now_ms += 60_000;
    assert!(small.plan().moves.iter().any(|it| it.why == Why::Repair));
}

#[test]
fn where_memory_is_short_a_copy_is_kept_on_disk_and_served_once_there_is_memory() {
    let mut small = Small::new(&[1, 2]);
    small.wanted(1, 200, 1, 2);
    small.copy(1, 1, true);
    small.offer(2, 100, 10_000);
    assert_eq!(short(&small.round()), [(1, MoveKind::ReplicateToDisk, Some(1), Some(2), Why::Repair)]);
    assert_eq!(small.round(), [], "nothing better can be done");
    small.now_ms += 1;
    small.offer(2, 900, 10_000);
    assert_eq!(short(&small.round()), [(1, MoveKind::Promote, None, Some(2), Why::Serve)]);
    assert_eq!(small.served_by(1), [1, 2]);
}

#[test]
fn a_strained_node_is_relieved_of_a_part_and_not_again_until_a_report_shows_it() {
    let mut small = Small::new(&[1, 1, 1]);
    for id in 1..=20 {
        small.segment(id, 20, 1, &[1]);
        small.segment(100 + id, 20, 1, &[2]);
        small.segment(200 + id, 20, 1, &[3]);
    }
    small.report(1, 400);
    small.now_ms = 1_000;
    small.level(1, Level::Strained);
    let moves = small.round();
    assert_eq!(moves.iter().filter(|it| it.why == Why::Relieve && it.from == Some(NodeId(1))).count(), 1, "{moves:?}");
    assert!(small.round().is_empty(), "the report is older than the move");
    small.now_ms = 40_000;
    small.report(1, 380);
    assert!(small.round().is_empty(), "its pressure has not had the time to fall");
    small.now_ms = 41_000;
    assert_eq!(small.round().len(), 1, "it is still strained");
    small.now_ms = 42_000;
    small.level(1, Level::Critical);
    small.report(1, 360);
    assert_eq!(small.round().iter().filter(|it| it.why == Why::Relieve).count(), 2, "a critical node twice as much, at once");
}

#[test]
fn a_node_that_drains_loses_everything_and_gets_nothing() {
    let mut small = Small::new(&[1, 1, 2]);
    (1..=10).for_each(|id| small.segment(id, 20, 1, &[1, 3]));
    small.lifecycle(1, Lifecycle::Draining);
    let moves = small.round();
    assert!(moves.iter().all(|it| it.why == Why::Drain && it.from == Some(NodeId(1)) && it.to == Some(NodeId(2))), "{moves:?}");
    assert!(small.cluster.node(small.cluster.node_ix(NodeId(1)).unwrap()).segments.is_empty());
    assert_eq!(small.round(), []);
}

/// A drain is an operator's decision: a restart does not undo it.
#[test]
fn a_node_that_drains_goes_on_when_it_is_back() {
    let mut small = Small::new(&[1, 1, 2]);
    (1..=10).for_each(|id| small.segment(id, 20, 1, &[1, 3]));
    let lifecycle = |cluster: &Cluster| cluster.node(cluster.node_ix(NodeId(1)).unwrap()).lifecycle;
    let back = |small: &mut Small| {
        let spec = small.cluster.node(small.cluster.node_ix(NodeId(1)).unwrap()).spec;
        small.decide(Decision::NodeRegistered(NodeSpec { epoch: Epoch(spec.epoch.0 + 1), ..spec }));
    };
    small.lifecycle(1, Lifecycle::Draining);
    small.lifecycle(1, Lifecycle::Down);
    small.cluster = Cluster::from_bytes(&small.cluster.to_bytes()).unwrap();
    back(&mut small);
    assert_eq!(lifecycle(&small.cluster), Lifecycle::Draining);
    let moves = small.plan().moves;
    assert!(moves.len() == 10 && moves.iter().all(|it| it.why == Why::Drain), "{moves:?}");
    small.lifecycle(1, Lifecycle::Active);
    small.lifecycle(1, Lifecycle::Down);
    small.lifecycle(1, Lifecycle::Draining);
    assert_eq!(lifecycle(&small.cluster), Lifecycle::Down, "what cannot be reached cannot be read from");
    back(&mut small);
    assert_eq!(lifecycle(&small.cluster), Lifecycle::Draining);
    small.lifecycle(1, Lifecycle::Active);
    small.lifecycle(1, Lifecycle::Down);
    back(&mut small);
    assert_eq!(lifecycle(&small.cluster), Lifecycle::Active);
}

#[test]
fn a_hot_segment_gets_copies_and_gives_them_back_when_it_has_cooled() {
    let mut small = Small::new(&[1, 2, 3, 4]);
    small.segment(1, 10, 250, &[1]);
    assert_eq!(short(&small.round())[0].4, Why::Heat);
    assert_eq!(short(&small.round())[0].4, Why::Heat);
    assert_eq!((small.served_by(1).len(), small.round().len()), (3, 0), "two more at most");
    small.apply(Event::FootprintMeasured { segment: UnitId(1), footprint: footprint(10, 200) });
    assert_eq!(small.round(), [], "not yet");
    small.apply(Event::FootprintMeasured { segment: UnitId(1), footprint: footprint(10, 30) });
    assert_eq!(short(&small.round())[0].4, Why::Surplus);
    assert_eq!(short(&small.round())[0].4, Why::Surplus);
    assert_eq!((small.served_by(1).len(), small.round().len()), (1, 0));
}

#[test]
fn copies_that_fail_together_are_moved_apart() {
    let mut small = Small::new(&[1, 1]);
    small.segment(1, 10, 1, &[1, 2]);
    assert_eq!(small.round(), [], "there is one zone only");
    small.node(3, 2);
    let moves = small.round();
    assert_eq!((moves.len(), moves[0].why, moves[0].to), (1, Why::Spread, Some(NodeId(3))), "{moves:?}");
}

/// elasticsearch #79445, #155304: a refusal that dies with the relocation is retried for ever.
#[test]
fn nothing_that_a_refusal_covers_is_proposed_until_it_expires_or_the_node_has_changed() {
    let mut small = Small::new(&[1, 2]);
    small.wanted(1, 100, 1, 2);
    small.copy(1, 1, true);
    let refused = Refusal {
        node: NodeId(2),
        epoch: Epoch(1),
        segment: UnitId(1),
        footprint: footprint(100, 1),
        reason: RefusalReason::NeverFits,
        retry_after_ms: u64::MAX,
    };
    let made = small.plan();
    assert_eq!(made.moves.len(), 1);
    for decision in made.decisions(&small.cluster, Generation(1), 0).collect::<Vec<_>>() {
        small.decide(decision);
    }
    small.decide(Decision::Refused { generation: Some(Generation(1)), refusal: refused });
    small.now_ms = 1 << 40;
    let made = small.plan();
    assert_eq!((made.moves.len(), made.unmet[0].reason), (0, UnmetReason::NoTarget(Binding::Refusal)));
    let mut spec = small.cluster.node(small.cluster.node_ix(NodeId(2)).unwrap()).spec;
    spec.epoch = Epoch(2);
    small.decide(Decision::NodeRegistered(spec));
    assert_eq!(small.plan().moves.len(), 0, "its offer is of an epoch that is past");
    let offer = *small.offers.of(NodeId(2)).unwrap();
    small.offers.take(Offer { epoch: Epoch(2), made_at_ms: small.now_ms, ..offer });
    assert_eq!(small.plan().moves.len(), 1);
}

#[test]
fn what_was_balanced_rests() {
    let mut small = Small::new(&[1, 1]);
    (1..=4).for_each(|id| small.segment(id, 100, 1, &[1]));
    let moved: Vec<_> = small.round().iter().map(|it| it.segment).collect();
    assert_eq!(moved.len(), 2);
    // The two that stayed are gone: balance would send one of the others back.
    for id in (1..=4).map(UnitId).filter(|id| !moved.contains(id)) {
        small.decide(Decision::SegmentRemoved(id));
    }
    assert_eq!(small.round(), []);
    small.now_ms = small.policy.segment_rest_ms;
    assert_eq!(small.round(), [], "they have rested, but the only other node is the one that they left");
    small.now_ms = small.policy.segment_return_ms;
    assert_eq!(small.round().len(), 1);
}

#[test]
fn a_report_that_is_beyond_belief_changes_nothing_and_one_that_is_plausible_does() {
    let mut small = Small::new(&[1, 1, 1]);
    for id in 1..=10 {
        small.segment(id, 30, 1, &[1]);
        small.segment(100 + id, 30, 1, &[2]);
        small.segment(200 + id, 30, 1, &[3]);
    }
    small.report(1, 1200);
    assert_eq!(small.plan().moves, [], "four times what it carries");
    small.report(1, 330);
    assert_eq!(small.plan().moves, [], "a tenth more is noise");
    small.report(1, 500);
    let made = small.plan();
    assert!(!made.moves.is_empty() && made.moves.iter().all(|it| it.from == Some(NodeId(1))), "{made:?}");
}

#[test]
fn a_plan_that_is_not_sound_is_found_out() {
    use placement::checker::Invariant;
    let mut small = Small::new(&[1, 1, 2]);
    small.segment(1, 10, 1, &[1, 3]);
    let planned = |kind, from: Option<u64>, to: Option<u64>, why| PlannedMove {
        segment: UnitId(1),
        kind,
        from: from.map(NodeId),
        to: to.map(NodeId),
        transfer_bytes: 0,
        why,
        gain: 1.0,
        step: 0.0,
        bound_by: None,
    };
    let found = |small: &Small, it: PlannedMove| {
        let made = Plan { moves: vec![it], ..Plan::default() };
        let violations = check_plan(&small.cluster, &small.offers, &small.policy, small.now_ms, &made);
        violations.into_iter().map(|it| it.invariant).collect::<Vec<_>>()
    };
    assert_eq!(found(&small, planned(MoveKind::Drop, Some(1), None, Why::Surplus)), [Invariant::ReplicasKept]);
    assert_eq!(found(&small, planned(MoveKind::Relocate, Some(2), Some(1), Why::Relieve)), [Invariant::CanBegin]);
    assert_eq!(found(&small, planned(MoveKind::Relocate, Some(3), Some(2), Why::Relieve)), [Invariant::DomainsKept]);
    assert_eq!(found(&small, planned(MoveKind::Relocate, Some(1), Some(2), Why::Balance)), [Invariant::GainsAStep]);
    small.offer(2, 1, 10_000);
    assert_eq!(found(&small, planned(MoveKind::Relocate, Some(1), Some(2), Why::Relieve)), [Invariant::WithinOffers]);
    small.offer(2, 10_000, 10_000);
    small.level(2, Level::Loaded);
    assert_eq!(found(&small, planned(MoveKind::Relocate, Some(1), Some(2), Why::Relieve)), [Invariant::TargetsAreCalm]);
    small.level(2, Level::Calm);
    small.segment(2, 895, 1, &[2]);
    assert_eq!(found(&small, planned(MoveKind::Relocate, Some(1), Some(2), Why::Relieve)), [Invariant::WithinLines]);
    small.policy.moves_in_per_node_max = 0;
    small.decide(Decision::SegmentRemoved(UnitId(2)));
    assert_eq!(found(&small, planned(MoveKind::Relocate, Some(1), Some(2), Why::Relieve)), [Invariant::WithinBounds]);
}
