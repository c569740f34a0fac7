//! What a plan costs, and how good it is: 1,000 nodes, 1,000,000 segments, 2 copies each, 3 resources, 20 failure domains; and ten times that.
//! Run with `cargo bench -p plimsoll-placement --bench plans [-- large]`. Times are of processor time of this thread as well as of the clock.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use placement::balancer::{Plan, Planner, Why, plan};
use placement::cluster::{
    Cluster, Decision, Domain, Epoch, Event, Footprint, Generation, Lifecycle, Move, MoveKind, NodeId, NodeSpec, Phase, Refusal,
    RefusalReason, ReplicaState, Resource, Resources, SegmentSpec,
};
use placement::offers::{Offer, Offers};
use placement::policy::Policy;
use placement::{Command, Commit, Decisions, InlineRows, NewSegment, Outcome, Placing, State, TableChange, TableId, UnitId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Instant;

const DOMAINS: u32 = 20;
const NOW_MS: u64 = 10_000_000;

fn main() {
    let large = std::env::args().any(|it| it == "large");
    if large {
        return run(10_000, 10_000_000, &[2]);
    }
    run(1_000, 1_000_000, &[2]);
    println!("the same with nodes of three sizes, 1 : 2 : 4");
    run(1_000, 1_000_000, &[1, 2, 4]);
}

struct Scene {
    /// Sizes of nodes, by turns.
    sizes: &'static [u64],
    cluster: Cluster,
    offers: Offers,
    generation: u64,
    /// Goes along, as a leader's does.
    planner: Planner,
}

fn run(nodes: u32, segments: u32, sizes: &'static [u64]) {
    println!("{nodes} nodes x {segments} segments x 2 copies x 3 resources x {DOMAINS} failure domains");
    let mut scene = timed("state built, event by event", || scene(nodes, segments, sizes));
    let share = |r: Resource| {
        let capacity: u64 = scene.cluster.nodes().map(|node| node.spec.capacity.get(r)).sum();
        100.0 * total(&scene.cluster, r) as f64 / capacity as f64
    };
    let [memory, disk, cpu] = Resource::ALL.map(share);
    println!("  mean shares: memory {memory:.1} %, disk {disk:.1} %, cpu {cpu:.1} %");
    let policy = Policy::unbounded();
    let full = timed("full plan from a random placement", || plan(&scene.cluster, &scene.offers, &policy, NOW_MS));
    report(&full);
    promised("max/mean of memory", full.max_to_mean_after[0], 1.02_f64.max(1.01 * full.bound.max_to_mean[0]));
    timed("plan begun and finished, event by event", || carry_out(&mut scene, &full));
    let again = timed("plan on the planned state", || plan(&scene.cluster, &scene.offers, &policy, NOW_MS + 1));
    report(&again);
    events(&mut scene, nodes);
    println!("  memory of the process at most: {} MiB", peak_mib());
    if nodes <= 1_000 {
        promised("memory of the process, in GiB", peak_mib() as f64 / 1024.0, 1.0);
    }
    through_the_log(&scene);
    println!();
}

/// What commands of the log cost while a reader holds the state before each, as the state machine publishes one after each entry.
fn through_the_log(scene: &Scene) {
    let mut state = State { cluster: Arc::new(scene.cluster.clone()), ..State::default() };
    state.apply_next(&Command::LeaseIds { count: 1 << 40 });
    let now_ms = NOW_MS + 2;
    let decide = |decisions| Command::Decide(Decisions { now_ms, decisions });
    each(&mut state, "a decision of the log: a refusal", |turn, _| {
        let (node, segment) = (NodeId(turn * 7 % 1000), UnitId(turn * 7919 % 1_000_000));
        let (footprint, reason) = (mean_footprint(), RefusalReason::ReservationInFlight);
        let refusal = Refusal { node, epoch: Epoch(1), segment, footprint, reason, retry_after_ms: now_ms + 1 };
        decide(vec![Decision::Refused { generation: None, refusal }])
    });
    each(&mut state, "a decision of the log: a footprint", |turn, _| {
        decide(vec![Decision::FootprintNoted { segment: UnitId(turn * 7919 % 1_000_000), footprint: mean_footprint() }])
    });
    each(&mut state, "a decision of the log: a move begins", |turn, state| decide(vec![begun(state, turn * 7919 % 1_000_000)]));
    let first = state.cluster.next_generation().0 - TURNS;
    each(&mut state, "a decision of the log: a move goes on", |turn, _| {
        decide(vec![Decision::MoveAdvanced { generation: Generation(first + turn), phase: Phase::Copied }])
    });
    each(&mut state, "a commit of the log: one segment on one node", |turn, _| {
        let placing = Placing { nodes: vec![NodeId(turn % 1000)], footprint: None, replicas_wanted: 1 };
        let id = UnitId((1 << 32) + turn);
        let segment = NewSegment { id, rows: 1, disk_bytes: 1 << 20, summary: Vec::new(), placing };
        commit(TableChange { add_segments: vec![segment], ..TableChange::new(TableId(1)) })
    });
    each(&mut state, "a commit of the log: one row, no segment", |turn, _| {
        let rows = InlineRows { id: UnitId((1 << 33) + turn), rows: 1, payload: vec![7; 100] };
        commit(TableChange { add_inline: vec![rows], ..TableChange::new(TableId(1)) })
    });
    let bytes = timed("the cluster serialized", || state.cluster.to_bytes());
    println!("    {:.1} bytes a segment", bytes.len() as f64 / state.cluster.segment_count() as f64);
    if state.cluster.segment_count() < 2_000_000 {
        timed("the cluster read back, and checked", || Cluster::from_bytes(&bytes).map(|_| ()).unwrap());
    }
}

const TURNS: u64 = 2_000;

fn each(state: &mut State, what: &str, command: impl Fn(u64, &State) -> Command) {
    let commands = (0..TURNS).map(|turn| command(turn, state));
    let mut commands: Vec<_> = commands.collect();
    let mut nanos: Vec<u128> = Vec::new();
    let cpu = cpu_ms();
    for (turn, command) in commands.iter_mut().enumerate() {
        if let Command::Decide(it) = command
            && let [Decision::MoveBegun(it)] = &mut it.decisions[..]
        {
            it.generation.0 += turn as u64;
        }
        let published = Arc::new(state.clone());
        let started = Instant::now();
        let outcome = state.apply_next(command);
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
        drop(published);
        nanos.push(started.elapsed().as_nanos());
    }
    nanos.sort_unstable();
    let micros = |at: usize| nanos[at] as f64 / 1e3;
    let mean = (cpu_ms() - cpu) * 1e3 / TURNS as f64;
    println!(
        "  {what}: median {:.1} us, 99 of 100 below {:.1} us; {mean:.1} us of processor time",
        micros(TURNS as usize / 2),
        micros(TURNS as usize * 99 / 100)
    );
}

fn commit(change: TableChange) -> Command {
    Command::Commit(Commit { tables: vec![change], ..Commit::default() })
}

/// A move of some segment to some node that has no copy of it.
fn begun(state: &State, segment: u64) -> Decision {
    let cluster = &state.cluster;
    let copies = &cluster.segment(cluster.segment_ix(UnitId(segment)).unwrap()).replicas;
    let from = copies.iter().find(|it| it.state == ReplicaState::Serving && cluster.node(it.node).is_active()).unwrap().node;
    let mut others = cluster.nodes_by_id().filter(|(at, node)| node.is_active() && copies.on(*at).is_none());
    let to = others.nth(segment as usize % 500).unwrap().1.spec.id;
    Decision::MoveBegun(Move {
        generation: cluster.next_generation(),
        segment: UnitId(segment),
        kind: MoveKind::Relocate,
        from: Some(cluster.node(from).spec.id),
        to: Some(to),
        to_epoch: Epoch(1),
        begun_at_ms: NOW_MS,
        phase: Phase::Begun,
    })
}

/// One event, one plan, one line.
fn events(scene: &mut Scene, nodes: u32) {
    let bounded = Policy { repair_delay_ms: 0, ..Policy::default() };
    let unbounded = Policy { repair_delay_ms: 0, ..Policy::unbounded() };
    event(scene, "a segment is written", &unbounded, |scene| {
        add_segment(scene, 90_000_000, mean_footprint(), &[5]);
    });
    event(scene, "a segment's footprint grows tenfold", &unbounded, |scene| {
        let footprint = scene.cluster.segment(scene.cluster.segment_ix(UnitId(77)).unwrap()).footprint;
        let footprint = Footprint { resident_bytes: footprint.resident_bytes * 10, cpu_micros: footprint.cpu_micros * 10, ..footprint };
        scene.cluster.apply(&Event::FootprintMeasured { segment: UnitId(77), footprint }, NOW_MS).unwrap();
    });
    event(scene, "a node is lost, moves bounded", &bounded, |scene| lifecycle(scene, 7, Lifecycle::Down));
    let lost = scene.cluster.node(scene.cluster.node_ix(NodeId(7)).unwrap()).projected.get(Resource::DiskBytes);
    let plan_lost = event(scene, "the same, moves unbounded", &unbounded, |_| {});
    let repaired: u64 = plan_lost.moves.iter().filter(|it| it.why == Why::Repair).map(|it| it.transfer_bytes).sum();
    let of = |why: Why| -> u64 { plan_lost.moves.iter().filter(|it| it.why == why).map(|it| it.transfer_bytes).sum() };
    println!(
        "    bytes moved / least: {:.4} to repair; besides, for balance {:.4}, for the rest {:.4}",
        ratio(repaired, lost),
        ratio(of(Why::Balance), lost),
        ratio(plan_lost.transfer_bytes() - repaired - of(Why::Balance), lost)
    );
    promised("bytes moved to repair / least", ratio(repaired, lost), 1.05);
    event(scene, "a node joins, moves bounded", &bounded, |scene| join(scene, u64::from(nodes) + 1));
    let plan_joined = event(scene, "the same, moves unbounded", &unbounded, |_| {});
    let capacity = |id: u64| scene.cluster.node(scene.cluster.node_ix(NodeId(id)).unwrap()).spec.capacity.get(Resource::DiskBytes);
    let all: u64 = scene.cluster.nodes().filter(|node| node.is_active()).map(|node| node.spec.capacity.get(Resource::DiskBytes)).sum();
    let part = capacity(u64::from(nodes) + 1) as f64 / all as f64;
    let mean = (total(&scene.cluster, Resource::DiskBytes) as f64 * part) as u64;
    println!("    bytes moved / an even part of all disks: {:.4}", ratio(plan_joined.transfer_bytes(), mean));
    promised("bytes moved to a new node / an even part", ratio(plan_joined.transfer_bytes(), mean), 1.05);
}

/// What does not depend on the machine must hold.
#[track_caller]
fn promised(what: &str, value: f64, most: f64) {
    assert!(value <= most, "{what}: {value}, promised {most}");
}

fn event(scene: &mut Scene, what: &str, policy: &Policy, change: impl FnOnce(&mut Scene)) -> Plan {
    let due = scene.planner.plan(&scene.cluster, &scene.offers, policy, NOW_MS + 1);
    timed(&format!("{what}: the event"), || change(scene));
    let before = scene.planner.clone();
    let Scene { planner, cluster, offers, .. } = scene;
    let made = timed(&format!("{what}: the plan"), || planner.plan(cluster, offers, policy, NOW_MS + 1));
    println!("    {} nodes looked at; {} moves were due before the event", planner.nodes_looked_at(), due.moves.len());
    again(scene, &before, policy);
    report(&made);
    if policy.moves_in_flight_max == u32::MAX || made.moves.len() < 100 {
        carry_out(scene, &made);
    }
    made
}

/// The same plan some times more: by the planner that goes along, and by one that begins from nothing.
fn again(scene: &Scene, before: &Planner, policy: &Policy) {
    let made = |mut planner: Planner| {
        let (started, cpu) = (Instant::now(), cpu_ms());
        std::hint::black_box(planner.plan(&scene.cluster, &scene.offers, policy, NOW_MS + 1));
        (started.elapsed().as_secs_f64() * 1e3, cpu_ms() - cpu)
    };
    for (how, planner) in [("from the last plan", before.clone()), ("from nothing", Planner::default())] {
        const TIMES: u32 = 20;
        let times: Vec<_> = (0..TIMES).map(|_| made(planner.clone())).collect();
        let fastest = times.iter().map(|it| it.0).fold(f64::MAX, f64::min);
        let cpu = times.iter().map(|it| it.1).sum::<f64>() / f64::from(TIMES);
        println!("    {how}, {TIMES} times more: fastest {fastest:.2} ms, {cpu:.2} ms of processor time each");
    }
}

fn scene(nodes: u32, segments: u32, sizes: &'static [u64]) -> Scene {
    let mut scene = Scene { sizes, cluster: Cluster::default(), offers: Offers::default(), generation: 0, planner: Planner::default() };
    for node in 0..nodes {
        join(&mut scene, u64::from(node));
    }
    let mut rng = StdRng::seed_from_u64(7);
    let tables: Vec<Mix> = (0..10).map(|_| Mix::draw(&mut rng)).collect();
    for segment in 0..segments {
        let table = rng.random_range(0..tables.len());
        let footprint = tables[table].footprint(&mut rng);
        let first = drawn(&mut rng, nodes, sizes);
        let second = loop {
            let second = drawn(&mut rng, nodes, sizes);
            if second % DOMAINS != first % DOMAINS {
                break second;
            }
        };
        add_segment(&mut scene, segment, footprint, &[first, second]);
    }
    scene
}

/// A random node, by size.
fn drawn(rng: &mut StdRng, nodes: u32, sizes: &[u64]) -> u32 {
    loop {
        let node = rng.random_range(0..nodes);
        if rng.random_range(0..4) < sizes[node as usize % sizes.len()] {
            return node;
        }
    }
}

fn add_segment(scene: &mut Scene, id: u32, footprint: Footprint, nodes: &[u32]) {
    let spec = SegmentSpec { id: UnitId(u64::from(id)), table: TableId(u64::from(id % 10)), footprint, replicas_wanted: 2 };
    scene.cluster.decide(&Decision::SegmentAdded(spec), NOW_MS).unwrap();
    for node in nodes {
        let copy = Decision::CopyAdded { segment: spec.id, node: NodeId(u64::from(*node)), serving: true };
        scene.cluster.decide(&copy, NOW_MS).unwrap();
    }
}

fn mean_footprint() -> Footprint {
    Footprint { resident_bytes: 40 << 20, disk_bytes: 128 << 20, cpu_micros: 2_000, load_peak_bytes: 8 << 20 }
}

/// One table's kind of segments: size, width that is read, heat.
struct Mix {
    disk_bytes: f64,
    disk_sigma: f64,
    read_share: f64,
    read_sigma: f64,
    cpu_micros: f64,
    cpu_sigma: f64,
}

impl Mix {
    fn draw(rng: &mut StdRng) -> Self {
        Self {
            disk_bytes: 30e6 * 4f64.powf(rng.random()),
            disk_sigma: 0.3 + rng.random::<f64>() * 0.5,
            read_share: 0.05 + rng.random::<f64>() * 0.7,
            read_sigma: 0.2 + rng.random::<f64>() * 0.6,
            cpu_micros: 300.0 * 10f64.powf(rng.random()),
            cpu_sigma: 0.5 + rng.random::<f64>() * 0.8,
        }
    }

    fn footprint(&self, rng: &mut StdRng) -> Footprint {
        let disk_bytes = self.disk_bytes * (self.disk_sigma * normal(rng)).exp();
        let resident_bytes = (disk_bytes * self.read_share * (self.read_sigma * normal(rng)).exp()).min(disk_bytes);
        let cpu_micros = self.cpu_micros * (self.cpu_sigma * normal(rng)).exp();
        Footprint {
            resident_bytes: resident_bytes as u64,
            disk_bytes: disk_bytes as u64,
            cpu_micros: cpu_micros as u64,
            load_peak_bytes: (disk_bytes / 16.0) as u64,
        }
    }
}

fn normal(rng: &mut StdRng) -> f64 {
    let (u, v): (f64, f64) = (rng.random::<f64>().max(1e-12), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn join(scene: &mut Scene, id: u64) {
    let size = scene.sizes[id as usize % scene.sizes.len()];
    let capacity = Resources::new(size * (40 << 30), size * (128 << 30), size * 1_250_000);
    let zone = id as u32 % DOMAINS;
    let spec = NodeSpec { id: NodeId(id), capacity, domain: Domain { zone, rack: zone }, epoch: Epoch(1) };
    scene.cluster.decide(&Decision::NodeRegistered(spec), NOW_MS).unwrap();
    let offer = Offer {
        node: NodeId(id),
        epoch: Epoch(1),
        resident_bytes: u64::MAX,
        disk_bytes: u64::MAX,
        loads_at_once: u32::MAX,
        made_at_ms: NOW_MS,
        until_ms: u64::MAX,
    };
    scene.offers.take(offer);
}

fn lifecycle(scene: &mut Scene, id: u64, lifecycle: Lifecycle) {
    scene.cluster.decide(&Decision::NodeLifecycle { node: NodeId(id), lifecycle }, NOW_MS).unwrap();
}

fn carry_out(scene: &mut Scene, made: &Plan) {
    let first = Generation(scene.generation);
    let decisions: Vec<_> = made.decisions(&scene.cluster, first, NOW_MS).collect();
    for decision in decisions {
        scene.cluster.decide(&decision, NOW_MS).unwrap();
        let generation = Generation(scene.generation);
        scene.generation += 1;
        let phases: &[Phase] = match made.moves[(generation.0 - first.0) as usize].kind.serves() {
            true => &[Phase::Copied, Phase::Warm, Phase::Switched, Phase::Finished],
            false => &[Phase::Finished],
        };
        for phase in phases {
            scene.cluster.decide(&Decision::MoveAdvanced { generation, phase: *phase }, NOW_MS).unwrap();
        }
    }
}

fn total(cluster: &Cluster, resource: Resource) -> u64 {
    cluster.nodes().map(|node| node.projected.get(resource)).sum()
}

fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}

fn report(made: &Plan) {
    println!(
        "    {} moves, {:.1} GiB, {} looked at; potential {:.6} -> {:.6} (least {:.6}); max/mean memory {:.4} disk {:.4} cpu {:.4} (bound {:.4} {:.4} {:.4}); unmet {}, cut short {}",
        {
            let count = |why: Why| made.moves.iter().filter(|it| it.why == why).count();
            format!("{} ({} repairs, {} for balance)", made.moves.len(), count(Why::Repair), count(Why::Balance))
        },
        made.transfer_bytes() as f64 / (1u64 << 30) as f64,
        made.segments_examined,
        made.potential_before,
        made.potential_after,
        made.bound.potential,
        made.max_to_mean_after[0],
        made.max_to_mean_after[1],
        made.max_to_mean_after[2],
        made.bound.max_to_mean[0],
        made.bound.max_to_mean[1],
        made.bound.max_to_mean[2],
        made.unmet_total,
        made.cut_short,
    );
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (started, cpu) = (Instant::now(), cpu_ms());
    let result = work();
    println!("  {what}: {:.2} ms ({:.2} ms of processor time)", started.elapsed().as_secs_f64() * 1e3, cpu_ms() - cpu);
    result
}

/// Milliseconds of processor time that this process has used; it has one thread.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0) / 1024
}
