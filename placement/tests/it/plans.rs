//! Properties of plans over random states: every state is reached by events, as a cluster would.

use placement::balancer::{Plan, Planner, Why, plan};
use placement::checker::{check_plan, check_state};
use placement::cluster::{
    Cluster, Decision, Domain, Epoch, Event, FOOTPRINT_MAX, Footprint, Generation, Level, Lifecycle, Move, MoveKind, NodeId, NodeSpec,
    Phase, Refusal, RefusalReason, Report, Resources, SegmentSpec,
};
use placement::explain::{self, Question};
use placement::offers::{Offer, Offers};
use placement::policy::Policy;
use placement::{TableId, UnitId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A random cluster, and how it came to be.
pub struct Scene {
    pub cluster: Cluster,
    pub offers: Offers,
    pub policy: Policy,
    pub now_ms: u64,
    rng: StdRng,
    generation: u64,
    nodes: u64,
    segments: u64,
    /// Everything is as it should never be.
    hostile: bool,
}

const MIB: u64 = 1 << 20;

impl Scene {
    /// Of seed `seed`: some nodes, some segments, some history.
    pub fn random(seed: u64) -> Self {
        Self::drawn(seed, false)
    }

    /// As it should never be: nodes without capacity or with all there could be, one zone or a zone each, absurd footprints, clocks at their ends,
    /// policies of zeros.
    fn hostile(seed: u64) -> Self {
        Self::drawn(seed, true)
    }

    fn drawn(seed: u64, hostile: bool) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let (cluster, offers, policy) = (Cluster::default(), Offers::default(), Policy::default());
        let mut scene = Self { cluster, offers, policy, now_ms: 1_000_000, rng, generation: 0, nodes: 0, segments: 0, hostile };
        if hostile {
            scene.now_ms = scene.one_of([0, 1_000_000, 1 << 44, u64::MAX - 900_000]);
        }
        scene.draw_policy();
        for _ in 0..scene.rng.random_range(1..8) {
            scene.add_node();
        }
        for _ in 0..scene.rng.random_range(0..30) {
            scene.add_segment();
        }
        for _ in 0..scene.rng.random_range(0..40) {
            scene.happen();
            scene.pass();
        }
        scene.offer();
        scene
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn one_of<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.rng.random_range(0..N)]
    }

    fn spoil_policy(&mut self) {
        let weight = self.one_of([0.0, 1.0, 1e9]);
        self.policy.weights[self.rng.random_range(0..3)] = weight;
        self.policy.balance_band = self.one_of([0.0, 0.015, 10.0]);
        self.policy.balance_floor_share = self.one_of([0.0, 0.001]);
        self.policy.fill_share_max[self.rng.random_range(0..3)] = self.one_of([0.0, 0.9, 2.0]);
        self.policy.segment_rest_ms = self.one_of([0, 3_600_000, u64::MAX]);
        self.policy.repair_delay_ms = self.one_of([0, 60_000, u64::MAX]);
        self.policy.hot_share = self.one_of([0.0, 0.02, 1e300]);
        self.policy.hot_replicas_max = self.one_of([0, 2, u8::MAX]);
        self.policy.report_age_max_ms = self.one_of([0, 90_000, u64::MAX]);
    }

    fn hostile_footprint(&mut self) -> Footprint {
        let drawn = [0, 1, 300 * MIB, FOOTPRINT_MAX - 1, FOOTPRINT_MAX];
        let [resident_bytes, disk_bytes, cpu_micros, load_peak_bytes] = [(); 4].map(|()| self.one_of(drawn));
        Footprint { resident_bytes, disk_bytes, cpu_micros, load_peak_bytes }
    }

    fn draw_policy(&mut self) {
        if self.chance(50) {
            self.policy = Policy::unbounded();
        }
        if self.chance(20) {
            self.policy.moves_in_flight_max = self.rng.random_range(0..6);
        }
        self.policy.disk_only_copies = self.chance(80);
        self.policy.repair_delay_ms = if self.chance(50) { 0 } else { 60_000 };
        if self.hostile && self.chance(60) {
            self.spoil_policy();
        }
    }

    fn add_node(&mut self) {
        self.nodes += 1;
        let scale = if self.chance(70) { 4 } else { self.rng.random_range(1..9) };
        let mut capacity = Resources::new(scale * 1000 * MIB, scale * 4000 * MIB, scale * 1_000_000);
        let mut zone = self.rng.random_range(0..3);
        if self.hostile {
            capacity = Resources([(); 3].map(|()| self.one_of([0, 1, 4000 * MIB, FOOTPRINT_MAX << 3, u64::MAX])));
            zone = self.one_of([0, 0, 1, u32::MAX / 20]);
        }
        let spec = NodeSpec {
            id: NodeId(self.nodes),
            capacity,
            domain: Domain { zone, rack: zone * 10 + self.rng.random_range(0..2) },
            epoch: Epoch(1),
        };
        self.decide(Decision::NodeRegistered(spec));
    }

    fn footprint(&mut self) -> Footprint {
        if self.hostile && self.chance(70) {
            return self.hostile_footprint();
        }
        let disk_bytes = self.rng.random_range(0..400) * MIB;
        let resident_bytes = disk_bytes * self.rng.random_range(0..100) / 100;
        let hot = if self.chance(15) { 50 } else { 1 };
        Footprint { resident_bytes, disk_bytes, cpu_micros: self.rng.random_range(0..20_000) * hot, load_peak_bytes: disk_bytes / 16 }
    }

    fn add_segment(&mut self) {
        self.segments += 1;
        let (id, footprint) = (UnitId(self.segments), self.footprint());
        let replicas_wanted = if self.hostile { self.one_of([1, 2, 5]) } else { self.rng.random_range(1..4) };
        self.decide(Decision::SegmentAdded(SegmentSpec { id, table: TableId(1), footprint, replicas_wanted }));
        for _ in 0..self.rng.random_range(0..=replicas_wanted + 1) {
            let (node, serving) = (self.any_node(), self.chance(85));
            // The node may have one.
            _ = self.cluster.decide(&Decision::CopyAdded { segment: id, node, serving }, self.now_ms);
        }
    }

    fn any_node(&mut self) -> NodeId {
        NodeId(self.rng.random_range(1..=self.nodes))
    }

    fn any_segment(&mut self) -> UnitId {
        UnitId(self.rng.random_range(1..=self.segments.max(1)))
    }

    /// What must go well.
    fn decide(&mut self, decision: Decision) {
        self.cluster.decide(&decision, self.now_ms).unwrap_or_else(|error| panic!("{decision:?}: {error}"));
    }

    /// Something happens, that may be impossible.
    fn happen(&mut self) {
        let (node, segment) = (self.any_node(), self.any_segment());
        let event = match self.rng.random_range(0..20) {
            0 => Event::Decided(Decision::NodeLifecycle { node, lifecycle: Lifecycle::Draining }),
            1 | 2 => Event::Decided(Decision::NodeLifecycle { node, lifecycle: Lifecycle::Down }),
            3 | 4 => Event::Decided(Decision::NodeLifecycle { node, lifecycle: Lifecycle::Active }),
            5 => {
                Event::Pressed { node, level: [Level::Calm, Level::Loaded, Level::Strained, Level::Critical][self.rng.random_range(0..4)] }
            }
            6 => Event::FootprintMeasured { segment, footprint: self.footprint() },
            7 => Event::Decided(Decision::SegmentRemoved(segment)),
            8 => return self.add_segment(),
            9 => Event::Decided(Decision::ReplicasWanted { segment, replicas: self.rng.random_range(0..7) }),
            10 => Event::Decided(Decision::CopyLost { segment, node }),
            11 => self.report(node),
            12 => self.refusal(node, segment),
            13 if self.chance(20) => Event::Decided(Decision::NodeRemoved(node)),
            14 => return self.begin_any(segment),
            _ => return self.advance_any(),
        };
        _ = self.cluster.apply(&event, self.now_ms);
    }

    fn report(&mut self, node: NodeId) -> Event {
        let carried = self.cluster.node_ix(node).map(|at| self.cluster.node(at).adjusted).unwrap_or_default();
        let percent = self.rng.random_range(20..300);
        let measured_at_ms = self.now_ms.saturating_sub(self.rng.random_range(0..30_000));
        Event::Reported { node, report: Report { measured_at_ms, load: Resources(carried.0.map(|it| (it / 100).saturating_mul(percent))) } }
    }

    fn refusal(&mut self, node: NodeId, segment: UnitId) -> Event {
        use RefusalReason::{Disk, Latency, NeverFits, Pressure, ReservationInFlight};
        let reason = [NeverFits, ReservationInFlight, Pressure, Latency, Disk][self.rng.random_range(0..5)];
        let retry_after_ms = if reason == NeverFits { u64::MAX } else { self.now_ms.saturating_add(self.rng.random_range(0..400_000)) };
        let refusal = Refusal { node, epoch: Epoch(1), segment, footprint: self.footprint(), reason, retry_after_ms };
        let open = self.cluster.moves().find(|it| it.to == Some(node) && it.phase < Phase::Switched).map(|it| it.generation);
        Event::Decided(Decision::Refused { generation: open, refusal })
    }

    fn begin_any(&mut self, segment: UnitId) {
        let ends = [self.any_node(), self.any_node()];
        let (kind, from, to) = match self.rng.random_range(0..7) {
            0 => (MoveKind::Relocate, Some(ends[0]), Some(ends[1])),
            1 => (MoveKind::Replicate, Some(ends[0]), Some(ends[1])),
            2 => (MoveKind::ReplicateToDisk, Some(ends[0]), Some(ends[1])),
            3 => (MoveKind::RelocateOnDisk, Some(ends[0]), Some(ends[1])),
            4 => (MoveKind::Promote, None, Some(ends[1])),
            5 => (MoveKind::Demote, Some(ends[0]), None),
            _ => (MoveKind::Drop, Some(ends[0]), None),
        };
        self.generation += 1;
        let generation = Generation(self.generation);
        let it = Move { generation, segment, kind, from, to, to_epoch: Epoch(1), begun_at_ms: self.now_ms, phase: Phase::Begun };
        _ = self.cluster.decide(&Decision::MoveBegun(it), self.now_ms);
    }

    fn advance_any(&mut self) {
        let moves: Vec<_> = self.cluster.moves().map(|it| it.generation).collect();
        if moves.is_empty() {
            return;
        }
        let generation = moves[self.rng.random_range(0..moves.len())];
        let all = [Phase::Copied, Phase::Warm, Phase::Switched, Phase::Finished, Phase::Finished, Phase::Aborted, Phase::Refused];
        let phase = all[self.rng.random_range(0..all.len())];
        _ = self.cluster.decide(&Decision::MoveAdvanced { generation, phase }, self.now_ms);
    }

    fn offer(&mut self) {
        for (_, node) in self.cluster.clone().nodes_by_id() {
            if self.chance(10) {
                continue;
            }
            let much = self.chance(60);
            let bytes = |rng: &mut StdRng| if much { u64::MAX } else { rng.random_range(0..2000) * MIB };
            let offer = Offer {
                node: node.spec.id,
                epoch: Epoch(u64::from(self.rng.random_range(0..20) > 0)),
                resident_bytes: bytes(&mut self.rng),
                disk_bytes: bytes(&mut self.rng),
                loads_at_once: self.rng.random_range(0..20),
                made_at_ms: self.now_ms.saturating_sub(self.rng.random_range(0..50_000)),
                until_ms: self.now_ms.saturating_add(10_000),
            };
            self.offers.take(offer);
        }
    }

    /// Time passes; seldom, the clock goes back.
    fn pass(&mut self) {
        self.now_ms = self.now_ms.saturating_add(self.rng.random_range(0..20_000));
        if self.chance(2) {
            self.now_ms = self.now_ms.saturating_sub(self.rng.random_range(0..200_000));
        }
    }

    pub fn plan(&self) -> Plan {
        plan(&self.cluster, &self.offers, &self.policy, self.now_ms)
    }

    /// Begins every move of a plan.
    pub fn begin(&mut self, made: &Plan) {
        let first = Generation(self.generation + 1);
        let decisions: Vec<_> = made.decisions(&self.cluster, first, self.now_ms).collect();
        for decision in decisions {
            self.decide(decision);
            self.generation += 1;
        }
    }
}

/// What was decided survives a change of leader.
fn assert_saved(scene: &Scene) {
    let bytes = scene.cluster.to_bytes();
    let restored = Cluster::from_bytes(&bytes).unwrap();
    assert_eq!(restored.to_bytes(), bytes);
    assert_eq!(restored.segment_count(), scene.cluster.segment_count());
    let loads = |cluster: &Cluster| cluster.nodes_by_id().map(|(_, node)| (node.spec, node.projected)).collect::<Vec<_>>();
    assert_eq!(loads(&restored), loads(&scene.cluster));
}

fn assert_sound(scene: &Scene) {
    let violations = check_state(&scene.cluster);
    assert!(violations.is_empty(), "{}", violations.iter().map(|it| format!("{it}\n")).collect::<String>());
}

/// Everything that is promised of one plan.
fn check(mut scene: Scene) -> Plan {
    assert_sound(&scene);
    let made = scene.plan();
    assert_eq!(made, scene.plan(), "a plan is a function of its arguments");
    let violations = check_plan(&scene.cluster, &scene.offers, &scene.policy, scene.now_ms, &made);
    assert!(violations.is_empty(), "{}", violations.iter().map(|it| format!("{it}\n")).collect::<String>());
    let balance: Vec<_> = made.moves.iter().filter(|it| it.why == Why::Balance).collect();
    assert!(balance.iter().all(|it| it.gain >= it.step && it.step > 0.0));
    scene.begin(&made);
    assert_sound(&scene);
    assert_saved(&scene);
    let again = scene.plan();
    assert_eq!(again.moves, [], "planning on the planned state yields nothing");
    let error = (again.potential_before - made.potential_after).abs();
    assert!(
        error <= 1e-12 * made.potential_after.abs().max(1.0),
        "the state with the moves begun is the state that the plan ended with: {error:e}"
    );
    made
}

fn cases(default: u64) -> u64 {
    std::env::var("PLIMSOLL_TEST_PLANS").ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

/// In CI 10,000 states; `PLIMSOLL_TEST_PLANS` says how many else.
#[test]
fn random_states() {
    let cases = cases(10_000);
    let mut reasons = std::collections::BTreeMap::new();
    let mut failed = Vec::new();
    for seed in 0..cases {
        match std::panic::catch_unwind(|| check(Scene::random(seed))) {
            Ok(made) => made.moves.iter().for_each(|it| *reasons.entry(it.why).or_insert(0) += 1),
            Err(_) => failed.push(seed),
        }
        assert!(failed.len() < 10, "seeds {failed:?}");
    }
    assert!(failed.is_empty(), "seeds {failed:?}");
    println!("{cases} states, moves by reason: {reasons:?}");
    let expected = [Why::Repair, Why::Relieve, Why::Drain, Why::Serve, Why::Spread, Why::Heat, Why::Surplus, Why::Balance];
    assert!(cases < 1_000 || expected.iter().all(|why| reasons.contains_key(why)), "every kind of reason is met: {reasons:?}");
}

/// The same is promised of states that should never be.
#[test]
fn hostile_states() {
    let (mut failed, mut moves) = (Vec::new(), 0);
    for seed in 0..cases(4_000) {
        let explained = |scene: Scene| {
            explain_all(&scene, seed);
            check(scene)
        };
        match std::panic::catch_unwind(|| explained(Scene::hostile(seed))) {
            Ok(made) => moves += made.moves.len(),
            Err(_) => failed.push(seed),
        }
        assert!(failed.len() < 10, "seeds {failed:?}");
    }
    assert!(failed.is_empty() && moves > 1_000, "{moves} moves, seeds {failed:?}");
}

/// There is an answer to every question, whatever the state.
fn explain_all(scene: &Scene, seed: u64) {
    if !seed.is_multiple_of(8) {
        return;
    }
    let question = Question { state: &scene.cluster, offers: &scene.offers, policy: &scene.policy, now_ms: scene.now_ms };
    assert!(explain::cluster(&question).to_string().starts_with("binding resource: "));
    assert_eq!(explain::nodes(&question).len(), scene.cluster.nodes_by_id().count());
    for (_, segment) in scene.cluster.segments().take(2) {
        let explained = explain::segment(&question, segment.id).unwrap();
        assert!(explained.to_string().starts_with("segment "));
    }
    assert!(explain::table(&question, TableId(1)).to_string().starts_with("table 1: "));
}

/// What cannot be counted exactly is not taken, and changes nothing.
#[test]
fn footprints_that_cannot_be_true_are_refused() {
    let mut scene = Scene::random(7);
    let (before, id) = (scene.cluster.to_bytes(), UnitId(1_000));
    for footprint in [
        Footprint { resident_bytes: FOOTPRINT_MAX + 1, ..Footprint::default() },
        Footprint { disk_bytes: u64::MAX, ..Footprint::default() },
        Footprint { cpu_micros: u64::MAX, ..Footprint::default() },
        Footprint { load_peak_bytes: FOOTPRINT_MAX + 1, ..Footprint::default() },
    ] {
        let spec = SegmentSpec { id, table: TableId(1), footprint, replicas_wanted: 1 };
        let known = scene.cluster.segments().next().map(|(_, it)| it.id).unwrap();
        for event in [
            Event::Decided(Decision::SegmentAdded(spec)),
            Event::Decided(Decision::FootprintNoted { segment: known, footprint }),
            Event::FootprintMeasured { segment: known, footprint },
        ] {
            let refused = scene.cluster.apply(&event, scene.now_ms).expect_err("it cannot be true");
            assert!(refused.to_string().starts_with("a footprint is at most 1 TiB"), "{refused}");
        }
    }
    assert_eq!(scene.cluster.to_bytes(), before);
}

/// A planner that goes along with a cluster's life plans what one would that knows nothing of what was before, to the bit; and looks at less.
#[test]
fn what_a_planner_remembers_decides_nothing() {
    let (mut plans, mut nodes, mut looked_at) = (0, 0, 0);
    for seed in 0..cases(2_000) {
        let mut scene = Scene::drawn(seed, seed % 4 == 3);
        let mut planner = Planner::default();
        for turn in 0..12 {
            let made = planner.plan(&scene.cluster, &scene.offers, &scene.policy, scene.now_ms);
            assert_eq!(made, scene.plan(), "seed {seed}, turn {turn}");
            if turn > 0 {
                (plans, nodes, looked_at) = (plans + 1, nodes + scene.cluster.nodes().len(), looked_at + planner.nodes_looked_at());
            }
            live_on(&mut scene, &made);
        }
    }
    assert!(looked_at * 3 < nodes * 2, "of {nodes} nodes in {plans} plans, {looked_at} were looked at");
}

/// What may come between two plans.
fn live_on(scene: &mut Scene, made: &Plan) {
    match scene.rng.random_range(0..10) {
        0..3 if scene.policy.moves_in_flight_max < u32::MAX => scene.begin(made),
        3 => scene.offer(),
        4 => scene.add_node(),
        5 => scene.pass(),
        6 => scene.draw_policy(),
        7 => (0..5).for_each(|_| scene.advance_any()),
        _ => scene.happen(),
    }
}

#[test]
fn damaged_bytes_are_an_error_or_a_sound_state() {
    for seed in 0..300 {
        let scene = Scene::random(seed);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = scene.cluster.to_bytes();
        let at = rng.random_range(0..bytes.len());
        assert!(Cluster::from_bytes(&bytes[..at]).is_err());
        bytes[at] ^= 1 << rng.random_range(0..8);
        if let Ok(cluster) = Cluster::from_bytes(&bytes) {
            assert_eq!(check_state(&cluster), []);
            _ = plan(&cluster, &scene.offers, &scene.policy, scene.now_ms);
        }
    }
}
