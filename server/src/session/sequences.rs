//! Sequences: `nextval`, `currval`, `setval`, `lastval`.
//!
//! 1. A sequence's definition says how its n-th value comes about; the log's counter `sequence/<oid>` says how many were given.
//! 2. A process leases counts in blocks of [`BLOCK`] (PostgreSQL logs as many ahead), or of just what is asked for where that is more, and
//!    hands them out to all its sessions in order. What a crash leaves of a block is a gap, and so is what a change of
//!    its course (increment, bounds, restart) does.
//! 3. `setval` and RESTART move the definition, not the counter: a count is never given twice. Where the transaction has itself created or
//!    changed the sequence, `setval` moves that definition, and is committed or lost with it: the session puts it into the transaction.
//!
//! The functions are called from threads that run queries, which may be threads of an async runtime: they block. One thread of its own, with
//! a runtime of its own, talks to the log for them; it waits for nothing but the log, whose runtime is another one. So a caller that blocks,
//! even all of a runtime's threads at once, cannot keep the answer from coming.

use crate::catalog::names::QualifiedName;
use crate::catalog::{Catalog, Entry, Relation, Restart, SequenceDefinition, keys};
use crate::error::{Result, SqlError, SqlState};
use crate::query::{SequenceAccess, SequencePosition};
use parking_lot::Mutex;
use placement::{Command, Commit, Conflict, Expect, LogIndex, Node, ObjectChange, Outcome, State};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, mpsc};

/// Counts leased at once.
const BLOCK: u64 = 32;
/// Values that one call may ask for.
const VALUES_MAX: usize = 16 << 20;
/// Requests that wait for the thread that talks to the log; more wait for room.
const REQUESTS_MAX: usize = 256;
/// How often `setval` tries again when the definition changed meanwhile.
const SETVAL_TRIES_MAX: usize = 16;

/// The value that belongs to a count; `None` at the end of a sequence that does not cycle.
pub fn value_at(sequence: &SequenceDefinition, count: u64) -> Option<i64> {
    let Restart { at_count, value } = sequence.restart.unwrap_or(Restart { at_count: 0, value: sequence.start });
    let steps = i128::from(count.saturating_sub(at_count));
    let (increment, min, max) = (i128::from(sequence.increment), i128::from(sequence.min), i128::from(sequence.max));
    let (first, last) = if increment > 0 { (min, max) } else { (max, min) };
    let in_first_run = (last - i128::from(value)) / increment + 1;
    let value = if steps < in_first_run {
        i128::from(value) + steps * increment
    } else if sequence.cycle {
        let in_run = (last - first) / increment + 1;
        first + (steps - in_first_run) % in_run * increment
    } else {
        return None;
    };
    i64::try_from(value).ok()
}

type Reply = mpsc::SyncSender<Result<Outcome>>;

/// Counts leased by this process, and the way to the log for those who block.
pub struct SequenceCache {
    node: Arc<Node>,
    blocks: Mutex<HashMap<u32, Arc<Mutex<Block>>>>,
    requests: mpsc::SyncSender<(Command, Reply)>,
}

impl std::fmt::Debug for SequenceCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SequenceCache").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Block {
    /// What the counts were leased for; a count has the same value as long as this is the same.
    course: Option<Course>,
    counts: Range<u64>,
}

/// What decides which value belongs to a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Course {
    start: i64,
    increment: i64,
    bounds: (i64, i64),
    cycle: bool,
    restart: Option<Restart>,
}

impl Course {
    fn of(sequence: &SequenceDefinition) -> Self {
        let SequenceDefinition { start, increment, min, max, cycle, restart, .. } = *sequence;
        Self { start, increment, bounds: (min, max), cycle, restart }
    }
}

impl SequenceCache {
    /// Starts the thread that talks to the log; it ends when the cache is dropped.
    pub fn start(node: Arc<Node>) -> Result<Arc<Self>> {
        let failed = |error: std::io::Error| SqlError::internal(format!("could not start the thread of the sequences: {error}"));
        let (requests, queue) = mpsc::sync_channel::<(Command, Reply)>(REQUESTS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let log = node.clone();
        let serve = move || {
            while let Ok((command, reply)) = queue.recv() {
                let answer = runtime.block_on(log.propose(command)).map_err(SqlError::from);
                // A caller that is gone wants no answer.
                let _ = reply.send(answer);
            }
        };
        std::thread::Builder::new().name("sequences".into()).spawn(serve).map_err(failed)?;
        Ok(Arc::new(Self { node, blocks: Mutex::default(), requests }))
    }

    /// Proposes a command and waits for its outcome. Blocking.
    fn propose(&self, command: Command) -> Result<Outcome> {
        let stopped = || SqlError::internal("the thread of the sequences has stopped");
        let (reply, answer) = mpsc::sync_channel(1);
        let ask = || {
            self.requests.send((command, reply)).map_err(|_| stopped())?;
            answer.recv().map_err(|_| stopped())?
        };
        match tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor()) {
            // Lets the runtime's other tasks go on elsewhere.
            Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(ask),
            _ => ask(),
        }
    }

    /// Takes the next `count` counts of a sequence, none of before its restart.
    fn take(&self, sequence: &SequenceDefinition, count: u64) -> Result<Vec<Range<u64>>> {
        let (oid, course) = (sequence.oid, Some(Course::of(sequence)));
        let from = sequence.restart.map_or(0, |restart| restart.at_count);
        let block = self.blocks.lock().entry(oid).or_default().clone();
        let mut block = block.lock();
        if block.course != course {
            *block = Block { course, counts: 0..0 };
        }
        block.counts.start = block.counts.start.max(from).min(block.counts.end);
        let mut taken = Vec::new();
        let held = count.min(block.counts.end - block.counts.start);
        if held > 0 {
            taken.push(block.counts.start..block.counts.start + held);
            block.counts.start += held;
        }
        if count > held {
            let more = count - held;
            let leased = self.lease(oid, more.max(BLOCK))?;
            taken.push(leased.start..leased.start + more);
            block.counts = leased.start + more..leased.end;
        }
        Ok(taken)
    }

    fn lease(&self, oid: u32, count: u64) -> Result<Range<u64>> {
        match self.propose(Command::LeaseCounter { key: keys::sequence_counter(oid), count })? {
            Outcome::Leased(first) => Ok(first..first + count),
            other => Err(SqlError::internal(format!("the log answered a lease with {other:?}"))),
        }
    }

    /// The count that is given next, and how many are held from there on.
    fn next_count(&self, sequence: &SequenceDefinition) -> (u64, u64) {
        let from = sequence.restart.map_or(0, |restart| restart.at_count);
        let block = self.blocks.lock().get(&sequence.oid).cloned();
        let held = block.and_then(|block| {
            let block = block.lock();
            let start = block.counts.start.max(from);
            (block.course == Some(Course::of(sequence)) && start < block.counts.end).then(|| (start, block.counts.end - start))
        });
        held.unwrap_or_else(|| (self.count(sequence.oid).max(from), 0))
    }

    /// How many values of a sequence have been leased.
    pub fn count(&self, oid: u32) -> u64 {
        count_in(&self.node.state(), oid)
    }
}

fn count_in(state: &State, oid: u32) -> u64 {
    state.counters.get(&keys::sequence_counter(oid)).copied().unwrap_or(0)
}

/// What a session remembers, and what its present statement sees.
pub struct SessionSequences {
    cache: Arc<SequenceCache>,
    seen: Mutex<Seen>,
    values: Mutex<Values>,
    moved: Mutex<HashMap<u32, Moved>>,
}

/// A sequence that `setval` moved within its transaction.
pub struct Moved {
    /// Its schema and name.
    pub place: (String, String),
    /// As it is now.
    pub definition: SequenceDefinition,
}

#[derive(Default)]
struct Seen {
    catalog: Arc<Catalog>,
    search_path: Vec<String>,
}

#[derive(Debug, Default)]
struct Values {
    by_oid: HashMap<u32, i64>,
    last: Option<u32>,
}

impl std::fmt::Debug for SessionSequences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionSequences").field("values", &self.values).finish_non_exhaustive()
    }
}

impl SessionSequences {
    /// For a new session.
    pub fn new(cache: Arc<SequenceCache>) -> Arc<Self> {
        Arc::new(Self { cache, seen: Mutex::default(), values: Mutex::default(), moved: Mutex::default() })
    }
    /// A statement begins: its names mean this.
    pub fn see(&self, catalog: Arc<Catalog>, search_path: Vec<String>) {
        *self.seen.lock() = Seen { catalog, search_path };
    }
    /// DISCARD SEQUENCES.
    pub fn forget(&self) {
        *self.values.lock() = Values::default();
    }

    /// What `setval` has moved since the last call, for the transaction to take over.
    pub fn take_moved(&self) -> Vec<Moved> {
        self.moved.lock().drain().map(|(_, moved)| moved).collect()
    }

    /// The sequence of a name: as the log has it now, or (when it is not committed yet) as the transaction has it.
    fn find(&self, text: &str) -> Result<Sequence> {
        let name = QualifiedName::from_text(text)?;
        let seen = self.seen.lock();
        let found = match text.parse::<u32>() {
            Ok(oid) => seen.catalog.by_oid(oid).ok_or_else(|| missing(&name))?,
            Err(_) => seen.catalog.require(&name, &seen.search_path)?,
        };
        let Relation::Sequence(definition) = found.relation() else { return Err(found.wrong_kind("sequence")) };
        let place = (found.schema.to_string(), found.name.to_string());
        let state = self.cache.node.state();
        let newest = state.objects.get(&keys::relation(&place.0, &place.1)).and_then(|object| {
            let Ok(Relation::Sequence(newest)) = keys::decode::<Relation>(&object.value) else { return None };
            (newest.oid == definition.oid).then_some((object.version, newest))
        });
        if let Some(moved) = self.moved.lock().get(&definition.oid) {
            return Ok(Sequence { place, version: None, definition: moved.definition.clone() });
        }
        let Entry { version, .. } = found.entry;
        Ok(match newest {
            // The transaction has changed it: what moves is its own definition, or its commit would meet its own `setval`.
            Some((at, newest)) if *version == Some(at) && changed(definition, &newest) => {
                Sequence { place, version: None, definition: definition.clone() }
            }
            // The transaction's own change of it counts, though nobody else sees it yet.
            Some((at, newest)) if version.is_some() || definition.restart == newest.restart => {
                Sequence { place, version: Some(at), definition: newest }
            }
            _ => Sequence { place, version: None, definition: definition.clone() },
        })
    }

    fn remember(&self, oid: u32, value: i64) {
        let mut values = self.values.lock();
        values.by_oid.insert(oid, value);
        values.last = Some(oid);
    }

    fn try_set(&self, sequence: &Sequence, value: i64, is_called: bool) -> Result<bool> {
        let mut definition = sequence.definition.clone();
        let mut at_count = self.cache.count(definition.oid);
        if is_called && at_count == 0 {
            // A value that counts as given takes a count.
            self.cache.lease(definition.oid, 1)?;
            at_count = self.cache.count(definition.oid);
        }
        definition.restart = Some(restart_at(&definition, value, is_called, at_count)?);
        let Some(version) = sequence.version else {
            self.moved.lock().insert(definition.oid, Moved { place: sequence.place.clone(), definition });
            return Ok(true);
        };
        let key = keys::relation(&sequence.place.0, &sequence.place.1);
        let bytes = keys::encode(&Relation::Sequence(definition));
        let change = ObjectChange { key, expect: Expect::Version(version), value: Some(bytes) };
        let commit = Commit { read_index: self.cache.node.state().index, objects: vec![change], ..Commit::default() };
        match self.cache.propose(Command::Commit(commit))? {
            Outcome::Committed(_) => Ok(true),
            Outcome::Conflict(Conflict::Object(_)) => Ok(false),
            other => Err(SqlError::internal(format!("the log answered setval with {other:?}"))),
        }
    }
}

/// Where a sequence goes on after `setval`: at the value itself, or (when it counts as given) one step before, so that the next is one further.
fn restart_at(sequence: &SequenceDefinition, value: i64, is_called: bool, at_count: u64) -> Result<Restart> {
    if !is_called {
        return Ok(Restart { at_count, value });
    }
    match at_count.checked_sub(1) {
        Some(before) => Ok(Restart { at_count: before, value }),
        None => {
            let next = value_at(&SequenceDefinition { restart: Some(Restart { at_count: 0, value }), ..sequence.clone() }, 1);
            next.map(|value| Restart { at_count, value })
                .ok_or_else(|| SqlError::unsupported("setval to the last value of an unused sequence"))
        }
    }
}

fn changed(definition: &SequenceDefinition, newest: &SequenceDefinition) -> bool {
    Course::of(definition) != Course::of(newest) || (definition.owned_by, definition.cache) != (newest.owned_by, newest.cache)
}

struct Sequence {
    place: (String, String),
    version: Option<LogIndex>,
    definition: SequenceDefinition,
}

fn missing(name: &QualifiedName) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
}

impl SequenceAccess for SessionSequences {
    fn next_values(&self, name: &str, count: usize) -> Result<Vec<i64>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if count > VALUES_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many sequence values at once"));
        }
        let sequence = self.find(name)?;
        let ranges = self.cache.take(&sequence.definition, count as u64)?;
        let values = ranges.into_iter().flatten().map(|at| value_at(&sequence.definition, at));
        let values: Vec<i64> = values.collect::<Option<_>>().ok_or_else(|| exhausted(&sequence))?;
        if let Some(last) = values.last() {
            self.remember(sequence.definition.oid, *last);
        }
        Ok(values)
    }

    fn current_value(&self, name: &str) -> Result<i64> {
        let sequence = self.find(name)?;
        self.values.lock().by_oid.get(&sequence.definition.oid).copied().ok_or_else(|| {
            let message = format!("currval of sequence \"{}\" is not yet defined in this session", sequence.place.1);
            SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        })
    }

    fn set_value(&self, name: &str, value: i64, is_called: bool) -> Result<i64> {
        for _ in 0..SETVAL_TRIES_MAX {
            let sequence = self.find(name)?;
            let SequenceDefinition { min, max, oid, .. } = sequence.definition;
            if !(min..=max).contains(&value) {
                let message = format!("setval: value {value} is out of bounds for sequence \"{}\" ({min}..{max})", sequence.place.1);
                return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
            }
            if self.try_set(&sequence, value, is_called)? {
                if is_called {
                    self.values.lock().by_oid.insert(oid, value);
                }
                return Ok(value);
            }
        }
        Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, format!("sequence \"{name}\" is being changed by others")))
    }

    fn position(&self, sequence: &SequenceDefinition) -> SequencePosition {
        let moved = self.moved.lock().get(&sequence.oid).map(|moved| moved.definition.clone());
        let sequence = moved.as_ref().unwrap_or(sequence);
        let (next, leased) = self.cache.next_count(sequence);
        position_at(sequence, next, leased)
    }

    fn last_value(&self) -> Result<i64> {
        let values = self.values.lock();
        let value = values.last.and_then(|oid| values.by_oid.get(&oid).copied());
        value.ok_or_else(|| SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "lastval is not yet defined in this session"))
    }
}

/// The position of a sequence whose next count is this one.
fn position_at(sequence: &SequenceDefinition, next: u64, leased: u64) -> SequencePosition {
    let from = sequence.restart.map_or(0, |restart| restart.at_count);
    let is_called = next > from;
    let last_value = value_at(sequence, if is_called { next - 1 } else { from }).unwrap_or_else(|| end_of(sequence));
    SequencePosition { last_value, is_called, leased }
}

/// The last value of a sequence that does not cycle.
fn end_of(sequence: &SequenceDefinition) -> i64 {
    let first = i128::from(sequence.restart.map_or(sequence.start, |restart| restart.value));
    let (increment, last) = (i128::from(sequence.increment), if sequence.increment > 0 { sequence.max } else { sequence.min });
    i64::try_from(first + (i128::from(last) - first) / increment * increment).unwrap_or(last)
}

fn exhausted(sequence: &Sequence) -> SqlError {
    let SequenceDefinition { increment, min, max, .. } = sequence.definition;
    let (which, bound) = if increment > 0 { ("maximum", max) } else { ("minimum", min) };
    let message = format!("nextval: reached {which} value of sequence \"{}\" ({bound})", sequence.place.1);
    SqlError::new(SqlState("2200H"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_what_was_given() {
        let plain = sequence(5, 2, 1, 10, false);
        let at = |next| position_at(&plain, next, 0);
        assert_eq!((at(0).last_value, at(0).is_called), (5, false));
        assert_eq!((at(1).last_value, at(1).is_called), (5, true));
        assert_eq!((at(3).last_value, at(32).last_value), (9, 9));
        let moved = SequenceDefinition { restart: Some(Restart { at_count: 7, value: 6 }), ..plain };
        assert_eq!((position_at(&moved, 7, 0).is_called, position_at(&moved, 8, 0).last_value), (false, 6));
    }

    fn sequence(start: i64, increment: i64, min: i64, max: i64, cycle: bool) -> SequenceDefinition {
        SequenceDefinition { oid: 1, start, increment, min, max, cycle, cache: 1, owned_by: None, restart: None }
    }
    fn values(sequence: &SequenceDefinition, counts: Range<u64>) -> Vec<Option<i64>> {
        counts.map(|count| value_at(sequence, count)).collect()
    }

    #[test]
    fn counts_become_values() {
        assert_eq!(values(&sequence(1, 1, 1, 3, false), 0..4), [Some(1), Some(2), Some(3), None]);
        assert_eq!(values(&sequence(5, 5, 1, 12, true), 0..5), [Some(5), Some(10), Some(1), Some(6), Some(11)]);
        assert_eq!(values(&sequence(-1, -2, -4, -1, true), 0..4), [Some(-1), Some(-3), Some(-1), Some(-3)]);
        assert_eq!(values(&sequence(i64::MAX - 1, 1, 1, i64::MAX, false), 0..3), [Some(i64::MAX - 1), Some(i64::MAX), None]);
        assert_eq!(values(&sequence(0, i64::MAX, i64::MIN, i64::MAX, false), u64::MAX - 1..u64::MAX), [None]);
    }

    #[test]
    fn setval_moves_the_next_value() {
        let mut s = sequence(1, 1, 1, 100, false);
        for (called, at_count, next) in [(true, 7, 43), (false, 7, 42), (true, 0, 43), (false, 0, 42)] {
            s.restart = restart_at(&s, 42, called, at_count).ok();
            assert_eq!(value_at(&s, at_count), Some(next), "{called} {at_count}");
        }
        s.restart = restart_at(&s, 100, true, 3).ok();
        assert_eq!(value_at(&s, 3), None);
    }
}
