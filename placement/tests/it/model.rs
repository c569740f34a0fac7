//! `apply` against a simple model: the same outcomes and the same tables, nothing changed by a conflict, the same on every replica.

use placement::checker::check_state;
use placement::cluster::{
    Decision, Domain, Epoch, Footprint, Generation, Lifecycle, Move, MoveKind, NodeId, NodeSpec, Phase, Refusal as NodeRefusal,
    RefusalReason, Resources, SegmentSpec,
};
use placement::{
    Assertion, Command, Commit, Conflict, Decisions, Expect, InlineRows, KeyFingerprints, LogIndex, NewSegment, ObjectChange, ObjectKey,
    Outcome, Placing, RowsDeleted, State, TableChange, TableId, UnitId, UnitRemoval,
};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    next_id: u64,
    objects: BTreeMap<String, u64>,
    counters: BTreeMap<String, u64>,
    tables: BTreeMap<u64, ModelTable>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct ModelTable {
    version: u64,
    units: BTreeMap<u64, ModelUnit>,
    keys: Vec<(u64, Vec<u64>, bool)>,
}

#[derive(Clone, Debug, PartialEq)]
struct ModelUnit {
    rows: u32,
    deleted: BTreeSet<u32>,
    version: u64,
}

/// Why the model refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Refusal {
    Object,
    Rows,
    Keys,
    Invalid,
}

impl Model {
    fn commit(&self, index: u64, commit: &Commit) -> Result<Self, Refusal> {
        let mut next = self.clone();
        let version = |key: &ObjectKey| self.objects.get(&*key.0).copied();
        let asserted = commit.assertions.iter().all(|it| version(&it.key) == it.version.map(|at| at.0));
        let expected = commit.objects.iter().all(|it| match it.expect {
            Expect::Absent => version(&it.key).is_none(),
            Expect::Version(at) => version(&it.key) == Some(at.0),
        });
        if !asserted || !expected {
            return Err(Refusal::Object);
        }
        for change in &commit.tables {
            next.change(index, commit.read_index.0, change)?;
        }
        for change in &commit.objects {
            match change.value {
                Some(_) => next.objects.insert(change.key.0.to_string(), index),
                None => next.objects.remove(&*change.key.0),
            };
        }
        commit.drop_counters.iter().for_each(|key| _ = next.counters.remove(&*key.0));
        Ok(next)
    }

    fn change(&mut self, index: u64, read: u64, change: &TableChange) -> Result<(), Refusal> {
        if change.drop {
            self.tables.remove(&change.table.0);
            return Ok(());
        }
        let table = self.tables.entry(change.table.0).or_default();
        if change.truncate {
            if table.version > read {
                return Err(Refusal::Rows);
            }
            table.units.clear();
        }
        for removal in &change.remove_units {
            match table.units.remove(&removal.unit.0) {
                Some(unit) if unit.version == removal.version.0 => {}
                _ => return Err(Refusal::Rows),
            }
        }
        for delete in &change.delete_rows {
            table.delete(index, delete)?;
        }
        table.insert_keys(index, read, &change.keys)?;
        let segments = change.add_segments.iter().map(|it| (it.id.0, it.rows));
        for (id, rows) in segments.chain(change.add_inline.iter().map(|it| (it.id.0, it.rows))) {
            if table.units.insert(id, ModelUnit { rows: rows as u32, deleted: BTreeSet::new(), version: index }).is_some() {
                return Err(Refusal::Invalid);
            }
        }
        table.version = index;
        Ok(())
    }
}

impl ModelTable {
    fn delete(&mut self, index: u64, delete: &RowsDeleted) -> Result<(), Refusal> {
        let rows = RoaringBitmap::deserialize_from(&delete.rows[..]).map_err(|_| Refusal::Invalid)?;
        let unit = self.units.get_mut(&delete.unit.0).ok_or(Refusal::Rows)?;
        if rows.iter().any(|row| row >= unit.rows) {
            return Err(Refusal::Invalid);
        }
        for row in &rows {
            unit.version = index;
            if !unit.deleted.insert(row) {
                return Err(Refusal::Rows);
            }
        }
        if !rows.is_empty() && unit.deleted.len() == unit.rows as usize {
            self.units.remove(&delete.unit.0);
        }
        Ok(())
    }

    fn insert_keys(&mut self, index: u64, read: u64, keys: &KeyFingerprints) -> Result<(), Refusal> {
        if !keys.all && keys.inserted.is_empty() {
            return Ok(());
        }
        let clashes = |(at, inserted, all): &(u64, Vec<u64>, bool)| {
            *at > read && (*all || keys.all || inserted.iter().any(|key| keys.inserted.contains(key)))
        };
        if self.keys.iter().any(clashes) {
            return Err(Refusal::Keys);
        }
        self.keys.push((index, keys.inserted.clone(), keys.all));
        Ok(())
    }
}

/// Draws commands that are mostly right, and often wrong by a little.
struct Draw<'a> {
    rng: &'a mut StdRng,
    state: &'a State,
}

impl Draw<'_> {
    fn command(&mut self) -> Command {
        match self.rng.random_range(0..13) {
            10.. => Command::Decide(self.decisions()),
            0 => Command::LeaseIds { count: self.rng.random_range(0..5) },
            1 => Command::LeaseCounter { key: self.key(), count: self.rng.random_range(0..9) },
            _ => Command::Commit(self.commit()),
        }
    }

    fn decisions(&mut self) -> Decisions {
        // Without nodes there is little to decide.
        let count = if self.state.cluster.nodes().len() == 0 { 6 } else { self.rng.random_range(1..3) };
        Decisions { now_ms: self.state.index.0 * 1000, decisions: (0..count).map(|_| self.decision()).collect() }
    }

    fn node(&mut self) -> NodeId {
        NodeId(self.rng.random_range(1..5))
    }

    /// A segment that there is, mostly.
    fn segment(&mut self) -> UnitId {
        let all: Vec<_> = self.state.cluster.segments().map(|(_, it)| it.id).collect();
        let known = !all.is_empty() && self.chance(95);
        if known { all[self.rng.random_range(0..all.len())] } else { UnitId(7) }
    }

    fn decision(&mut self) -> Decision {
        let (node, segment) = (self.node(), self.segment());
        let registers = if self.state.cluster.nodes().len() == 0 { 20 } else { 4 };
        let (capacity, domain) = (Resources::new(1 << 30, 1 << 32, 4_000_000), Domain { zone: node.0 as u32 % 2, rack: node.0 as u32 });
        let footprint = Footprint { resident_bytes: 5, disk_bytes: 9, cpu_micros: 30_000, load_peak_bytes: 1 };
        match self.rng.random_range(0..20) {
            draw if draw < registers => Decision::NodeRegistered(NodeSpec { id: node, capacity, domain, epoch: Epoch(self.state.index.0) }),
            5 => Decision::NodeLifecycle { node, lifecycle: [Lifecycle::Draining, Lifecycle::Down][self.rng.random_range(0..2)] },
            6 if self.chance(20) => Decision::NodeRemoved(node),
            7..10 => Decision::CopyAdded { segment, node, serving: self.chance(80) },
            10 => Decision::CopyLost { segment, node },
            11 => Decision::ReplicasWanted { segment, replicas: self.rng.random_range(1..4) },
            12 => Decision::FootprintNoted { segment, footprint },
            13 => Decision::SegmentRemoved(segment),
            14 => Decision::SegmentAdded(SegmentSpec { id: UnitId(9), table: TableId(1), footprint, replicas_wanted: 1 }),
            15 => {
                let refusal =
                    NodeRefusal { node, epoch: Epoch(1), segment, footprint, reason: RefusalReason::Disk, retry_after_ms: 99_000 };
                Decision::Refused { generation: None, refusal }
            }
            16 | 17 => self.begin(segment, node),
            _ => self.advance(),
        }
    }

    fn begin(&mut self, segment: UnitId, to: NodeId) -> Decision {
        let cluster = &self.state.cluster;
        let copies = cluster.segment_ix(segment).map(|at| cluster.segment(at).replicas.to_vec()).unwrap_or_default();
        let from = copies.first().map(|it| cluster.node(it.node).spec.id);
        let (generation, kind) = (cluster.next_generation(), if self.chance(50) { MoveKind::Relocate } else { MoveKind::Replicate });
        let (to, begun_at_ms) = (Some(to), self.state.index.0);
        Decision::MoveBegun(Move { generation, segment, kind, from, to, to_epoch: Epoch(1), begun_at_ms, phase: Phase::Begun })
    }

    fn advance(&mut self) -> Decision {
        let generation = self.state.cluster.moves().last().map_or(Generation(0), |it| it.generation);
        let phases = [Phase::Copied, Phase::Warm, Phase::Switched, Phase::Finished, Phase::Aborted];
        Decision::MoveAdvanced { generation, phase: phases[self.rng.random_range(0..phases.len())] }
    }

    fn key(&mut self) -> ObjectKey {
        ObjectKey(["a", "b", "c"][self.rng.random_range(0..3)].into())
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn commit(&mut self) -> Commit {
        let back = if self.chance(70) { 0 } else { self.rng.random_range(0..6) };
        let read_index = LogIndex(self.state.index.0.saturating_sub(back));
        let first = self.rng.random_range(0..3);
        let tables = (first..3).filter(|_| self.chance(40)).collect::<Vec<_>>();
        let mut commit = Commit { read_index, ..Commit::default() };
        commit.tables = tables.into_iter().map(|table| self.change(table)).collect();
        if self.chance(30) {
            let key = self.key();
            let version = self.version_of(&key);
            let value = self.chance(70).then(|| vec![1, 2, 3]);
            commit.objects.push(ObjectChange { key, expect: version.map_or(Expect::Absent, Expect::Version), value });
        }
        if self.chance(15) {
            let key = self.key();
            let version = self.version_of(&key);
            commit.assertions.push(Assertion { key, version });
        }
        if self.chance(5) {
            commit.drop_counters.push(self.key());
        }
        commit
    }

    fn version_of(&mut self, key: &ObjectKey) -> Option<LogIndex> {
        let version = self.state.objects.get(key).map(|object| object.version);
        if self.chance(85) { version } else { Some(LogIndex(self.rng.random_range(0..5))) }
    }

    fn change(&mut self, table: u64) -> TableChange {
        let mut change = TableChange::new(TableId(table));
        let units: Vec<_> = self.state.tables.get(&change.table).map_or(Vec::new(), |table| table.units.values().cloned().collect());
        match self.rng.random_range(0..20) {
            0 => return TableChange { drop: true, ..change },
            1 => change.truncate = true,
            _ => {
                for unit in units {
                    let version = if self.chance(90) { unit.version } else { LogIndex(1) };
                    match self.rng.random_range(0..10) {
                        0 => change.remove_units.push(UnitRemoval { unit: unit.id, version }),
                        1 | 2 => change.delete_rows.push(RowsDeleted { unit: unit.id, rows: self.bitmap(unit.rows as u32) }),
                        _ => {}
                    }
                }
            }
        }
        for _ in 0..self.rng.random_range(0..3) {
            let id = UnitId(self.rng.random_range(State::FIRST_ID..=self.state.next_id + 1));
            let rows = self.rng.random_range(0..5);
            if self.chance(50) {
                let nodes = self.state.cluster.nodes_by_id().map(|(_, it)| it.spec.id).take(self.rng.random_range(0..3)).collect();
                let placing = Placing { nodes, footprint: None, replicas_wanted: self.rng.random_range(0..3) };
                change.add_segments.push(NewSegment { id, rows, disk_bytes: 9, summary: vec![4], placing });
            } else {
                change.add_inline.push(InlineRows { id, rows, payload: vec![5] });
            }
        }
        if self.chance(30) {
            change.keys.inserted = (0..self.rng.random_range(1..3)).map(|_| self.rng.random_range(0..12)).collect();
            change.keys.all = self.chance(8);
        }
        change
    }

    fn bitmap(&mut self, rows: u32) -> Vec<u8> {
        let bitmap: RoaringBitmap = (0..self.rng.random_range(0..3)).map(|_| self.rng.random_range(0..rows.max(1) + 1)).collect();
        let mut bytes = Vec::new();
        bitmap.serialize_into(&mut bytes).unwrap();
        if self.chance(5) {
            bytes.truncate(bytes.len() / 2);
        }
        bytes
    }
}

fn refusal(conflict: &Conflict) -> Refusal {
    match conflict {
        Conflict::Object(_) | Conflict::Prefix(_) => Refusal::Object,
        Conflict::Rows(_) | Conflict::Added(_) => Refusal::Rows,
        Conflict::Keys(_) => Refusal::Keys,
        Conflict::Invalid(_) | Conflict::Decision(..) => Refusal::Invalid,
    }
}

fn check_same(state: &State, model: &Model) {
    assert_eq!(state.next_id, model.next_id);
    let objects: BTreeMap<String, u64> = state.objects.iter().map(|(key, it)| (key.0.to_string(), it.version.0)).collect();
    assert_eq!(objects, model.objects);
    let counters: BTreeMap<String, u64> = state.counters.iter().map(|(key, value)| (key.0.to_string(), *value)).collect();
    assert_eq!(counters, model.counters);
    assert!(state.tables.keys().map(|id| id.0).eq(model.tables.keys().copied()));
    for (id, table) in &state.tables {
        let expected = &model.tables[&id.0];
        assert_eq!(table.version.0, expected.version);
        assert_eq!(table.live_rows, expected.units.values().map(|unit| u64::from(unit.rows) - unit.deleted.len() as u64).sum::<u64>());
        assert!(table.units.keys().map(|id| id.0).eq(expected.units.keys().copied()));
        for (id, unit) in &table.units {
            let expected = &expected.units[&id.0];
            let deleted =
                unit.deletes.as_ref().map_or(RoaringBitmap::new(), |(bytes, _)| RoaringBitmap::deserialize_from(&bytes[..]).unwrap());
            assert!(deleted.iter().eq(expected.deleted.iter().copied()));
            assert_eq!(unit.deletes.as_ref().map_or(0, |(_, count)| *count), deleted.len());
            assert_eq!((unit.rows, unit.version.0), (u64::from(expected.rows), expected.version));
        }
    }
}

/// The cluster has just the tables' segments, and what it keeps up to date is right.
fn check_cluster(state: &State) {
    let is_segment = |it: &&std::sync::Arc<placement::Unit>| matches!(it.source, placement::UnitSource::Segment { .. });
    let all = state.tables.iter().flat_map(|(id, table)| table.units.values().filter(is_segment).map(move |unit| (unit.id, *id)));
    let listed: BTreeMap<_, _> = state.cluster.segments().map(|(_, it)| (it.id, it.table)).collect();
    assert_eq!(all.collect::<BTreeMap<_, _>>(), listed);
    assert_eq!(check_state(&state.cluster), []);
}

fn without_index(state: &State) -> State {
    State { index: LogIndex(0), ..state.clone() }
}

/// The model's answer; `Invalid` it does not know by itself, for it does not check a command against itself.
fn step(model: &mut Model, index: u64, command: &Command, outcome: &Outcome) {
    match (command, outcome) {
        (Command::LeaseIds { count }, Outcome::Leased(first)) => {
            assert_eq!(*first, model.next_id);
            model.next_id += count;
        }
        (Command::LeaseCounter { key, count }, Outcome::Leased(before)) => {
            let counter = model.counters.entry(key.0.to_string()).or_default();
            assert_eq!(*before, *counter);
            *counter += count;
        }
        (Command::Commit(_), Outcome::Conflict(Conflict::Invalid(_))) => {}
        (Command::Decide(_), Outcome::Committed(_) | Outcome::Conflict(Conflict::Decision(..))) => {}
        (Command::Commit(commit), outcome) => match (model.commit(index, commit), outcome) {
            (Ok(next), Outcome::Committed(at)) => {
                assert_eq!(at.0, index);
                *model = next;
            }
            (Err(expected), Outcome::Conflict(conflict)) => assert_eq!(refusal(conflict), expected),
            (expected, outcome) => panic!("{outcome:?}, but the model says {expected:?} to {commit:?}"),
        },
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn apply_does_what_the_model_does(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut state, mut replica) = (State::default(), State::default());
        let mut model = Model { next_id: State::FIRST_ID, ..Model::default() };
        let (mut committed, mut decided) = (0, 0);
        for index in 1..=80 {
            let command = Draw { rng: &mut rng, state: &state }.command();
            let before = state.clone();
            let outcome = state.apply(LogIndex(index), &command);
            prop_assert_eq!(state.index, LogIndex(index));
            if matches!(outcome, Outcome::Conflict(_)) {
                prop_assert_eq!(without_index(&state), without_index(&before));
            }
            let done = u32::from(matches!(outcome, Outcome::Committed(_)));
            *(if matches!(command, Command::Decide(_)) { &mut decided } else { &mut committed }) += done;
            step(&mut model, index, &command, &outcome);
            check_same(&state, &model);
            check_cluster(&state);
            prop_assert_eq!(replica.apply_next(&command), outcome);
            if index % 20 == 0 {
                replica = State::from_bytes(&replica.to_bytes()).unwrap();
            }
            prop_assert_eq!(&replica, &state);
        }
        prop_assert!(committed > 5 && decided > 0, "only {} commits and {} decisions went through", committed, decided);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_a_state(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut state = State::default();
        for _ in 0..30 {
            let command = Draw { rng: &mut rng, state: &state }.command();
            state.apply_next(&command);
        }
        let mut bytes = state.to_bytes();
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
        let _ = State::from_bytes(&bytes);
        prop_assert!(State::from_bytes(&bytes[..at]).is_err());
    }
}
