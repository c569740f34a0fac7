//! The rules of a commit.
//!
//! 1. The command is checked against itself: double ids, bounds, contradictions.
//! 2. Assertions and objects are compared with the versions that were read, and so are the tables that must not have grown.
//! 3. Each table's change is carried out on a copy that shares all that does not change; the first conflict ends it.
//!    What it does to segments, the cluster takes over (`decide.rs`).
//! 4. The copy becomes the state. Before that, nothing has changed.

use crate::command::{
    Commit, Conflict, Expect, INLINE_BYTES_MAX, InlineRows, NewSegment, ObjectChange, RowsDeleted, TableChange, Unextended, UnitRemoval,
};
use crate::decide;
use crate::model::{LogIndex, Object, ObjectKey, Table, TableId, Unit, UnitId, UnitSource};
use crate::state::State;
use roaring::RoaringBitmap;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Rows of one unit, at most: a bitmap of deleted rows has 32-bit offsets.
pub(crate) const UNIT_ROWS_MAX: u64 = 1 << 32;

/// The state after `commit`, or why there is none.
pub(crate) fn commit(state: &State, index: LogIndex, commit: &Commit) -> Result<State, Conflict> {
    check_shape(state, commit)?;
    check_objects(state, commit)?;
    check_unextended(state, commit)?;
    check_unchanged(state, commit)?;
    let mut next = state.clone();
    for change in &commit.tables {
        change_table(&mut next, index, commit.read_index, change)?;
    }
    for change in &commit.objects {
        change_object(&mut next, index, change);
    }
    check_emptied(&next, commit)?;
    for key in &commit.drop_counters {
        next.counters.remove_mut(key);
    }
    Ok(next)
}

fn check_shape(state: &State, commit: &Commit) -> Result<(), Conflict> {
    if commit.read_index > state.index {
        return invalid(format!("it read at index {}, which is yet to come", commit.read_index.0));
    }
    check_distinct("object", commit.objects.iter().map(|change| &change.key))?;
    check_distinct("table", commit.tables.iter().map(|change| change.table))?;
    check_distinct("new unit", commit.tables.iter().flat_map(new_ids))?;
    let inline_bytes: usize = commit.tables.iter().flat_map(|change| &change.add_inline).map(|rows| rows.payload.len()).sum();
    if inline_bytes > INLINE_BYTES_MAX {
        return invalid(format!("{inline_bytes} bytes of inlined rows, at most {INLINE_BYTES_MAX} are allowed"));
    }
    commit.tables.iter().try_for_each(|change| check_change(state, change))
}

fn check_change(state: &State, change: &TableChange) -> Result<(), Conflict> {
    let touches = !change.remove_units.is_empty() || !change.delete_rows.is_empty();
    let adds = new_ids(change).next().is_some() || change.keys.all || !change.keys.inserted.is_empty();
    if change.drop && (change.truncate || touches || adds) {
        return invalid(format!("table {} is dropped and changed at once", change.table.0));
    }
    if change.truncate && touches {
        return invalid(format!("table {} is truncated, and units of it are changed", change.table.0));
    }
    let removed = change.remove_units.iter().map(|removal| removal.unit);
    check_distinct("changed unit", removed.chain(change.delete_rows.iter().map(|rows| rows.unit)))?;
    if let Some(id) = new_ids(change).find(|id| id.0 >= state.next_id) {
        return invalid(format!("the id {} was never leased", id.0));
    }
    let rows = change.add_segments.iter().map(|segment| segment.rows).chain(change.add_inline.iter().map(|inline| inline.rows));
    match rows.max() {
        Some(rows) if rows > UNIT_ROWS_MAX => invalid(format!("a unit of {rows} rows, at most {UNIT_ROWS_MAX} are allowed")),
        _ => Ok(()),
    }
}

fn new_ids(change: &TableChange) -> impl Iterator<Item = UnitId> + '_ {
    change.add_segments.iter().map(|segment| segment.id).chain(change.add_inline.iter().map(|inline| inline.id))
}

fn check_distinct<T: Eq + Hash>(what: &str, mut items: impl Iterator<Item = T>) -> Result<(), Conflict> {
    let mut seen = HashSet::new();
    match items.all(|item| seen.insert(item)) {
        true => Ok(()),
        false => invalid(format!("it names a {what} twice")),
    }
}

fn check_objects(state: &State, commit: &Commit) -> Result<(), Conflict> {
    let asserted = commit.assertions.iter().map(|assertion| (&assertion.key, assertion.version));
    let changed = commit.objects.iter().map(|change| (&change.key, expected_version(change.expect)));
    asserted.chain(changed).try_for_each(|(key, version)| check_object(state, key, version))
}

fn expected_version(expect: Expect) -> Option<LogIndex> {
    match expect {
        Expect::Absent => None,
        Expect::Version(version) => Some(version),
    }
}

fn check_object(state: &State, key: &ObjectKey, version: Option<LogIndex>) -> Result<(), Conflict> {
    match state.objects.get(key).map(|object| object.version) == version {
        true => Ok(()),
        false => Err(Conflict::Object(key.clone())),
    }
}

/// Nobody has added rows where the transaction relied on having seen all.
fn check_unextended(state: &State, commit: &Commit) -> Result<(), Conflict> {
    let grown = |it: &&Unextended| state.tables.get(&it.table).is_some_and(|table| table.rows_added > it.since);
    commit.unextended.iter().find(grown).map_or(Ok(()), |it| Err(Conflict::Added(it.table)))
}

/// Nobody has changed rows where the transaction relied on their staying as they were.
fn check_unchanged(state: &State, commit: &Commit) -> Result<(), Conflict> {
    let changed = |it: &&Unextended| state.tables.get(&it.table).is_some_and(|table| table.version > it.since);
    commit.unchanged.iter().find(changed).map_or(Ok(()), |it| Err(Conflict::Rows(it.table)))
}

/// Nothing is left of what was to be removed as a whole.
fn check_emptied(next: &State, commit: &Commit) -> Result<(), Conflict> {
    let left = |prefix: &&ObjectKey| {
        let first = next.objects.range::<ObjectKey, _>((*prefix).clone()..).next();
        first.is_some_and(|(key, _)| key.0.starts_with(&*prefix.0))
    };
    commit.emptied.iter().find(left).map_or(Ok(()), |prefix| Err(Conflict::Prefix(prefix.clone())))
}

fn change_object(next: &mut State, index: LogIndex, change: &ObjectChange) {
    next.objects_version = index;
    match &change.value {
        Some(value) => next.objects.insert_mut(change.key.clone(), Object { version: index, value: value.as_slice().into() }),
        None => _ = next.objects.remove_mut(&change.key),
    }
}

fn change_table(next: &mut State, index: LogIndex, read_index: LogIndex, change: &TableChange) -> Result<(), Conflict> {
    let cluster = &mut next.cluster;
    if change.drop {
        next.tables.get(&change.table).into_iter().for_each(|table| decide::remove_units(cluster, table));
        next.tables.remove_mut(&change.table);
        return Ok(());
    }
    let mut table = next.tables.get(&change.table).map(|table| Table::clone(table)).unwrap_or_default();
    if change.truncate {
        decide::remove_units(cluster, &table);
        truncate(&mut table, change.table, read_index)?;
    }
    for removal in &change.remove_units {
        let unit = remove_unit(&mut table, change.table, removal)?;
        decide::remove_unit(cluster, &unit);
    }
    for rows in &change.delete_rows {
        let emptied = delete_rows(&mut table, change.table, index, rows)?;
        emptied.into_iter().for_each(|unit| decide::remove_unit(cluster, &unit));
    }
    if table.recent_keys.conflicts(&change.keys, read_index) {
        return Err(Conflict::Keys(change.table));
    }
    table.recent_keys.record(&change.keys, index);
    if change.remove_units.is_empty() && new_ids(change).next().is_some() {
        table.rows_added = index;
    }
    for unit in
        change.add_segments.iter().map(|it| segment_unit(it, index)).chain(change.add_inline.iter().map(|it| inline_unit(it, index)))
    {
        add_unit(&mut table, unit)?;
    }
    change.add_segments.iter().try_for_each(|it| decide::add_segment(cluster, change.table, it))?;
    table.version = index;
    next.tables.insert_mut(change.table, Arc::new(table));
    Ok(())
}

/// What a snapshot did not see must not be removed with what it saw.
fn truncate(table: &mut Table, id: TableId, read_index: LogIndex) -> Result<(), Conflict> {
    if table.version > read_index {
        return Err(Conflict::Rows(id));
    }
    table.units = Default::default();
    table.live_rows = 0;
    Ok(())
}

fn remove_unit(table: &mut Table, id: TableId, removal: &UnitRemoval) -> Result<Arc<Unit>, Conflict> {
    let unit = table.units.get(&removal.unit).filter(|unit| unit.version == removal.version).cloned();
    let unit = unit.ok_or(Conflict::Rows(id))?;
    table.live_rows = table.live_rows.saturating_sub(live_rows(&unit));
    table.units.remove_mut(&removal.unit);
    Ok(unit)
}

/// The unit, if no row of it is left.
fn delete_rows(table: &mut Table, id: TableId, index: LogIndex, delete: &RowsDeleted) -> Result<Option<Arc<Unit>>, Conflict> {
    let rows = parse_bitmap(&delete.rows)?;
    let unit = table.units.get(&delete.unit).cloned().ok_or(Conflict::Rows(id))?;
    let Some(last) = rows.max() else { return Ok(None) };
    if u64::from(last) >= unit.rows {
        return invalid(format!("row {last} of unit {}, which has {}", delete.unit.0, unit.rows));
    }
    let before = match &unit.deletes {
        Some((bytes, _)) => parse_bitmap(bytes)?,
        None => RoaringBitmap::new(),
    };
    if !before.is_disjoint(&rows) {
        return Err(Conflict::Rows(id));
    }
    table.live_rows = table.live_rows.saturating_sub(rows.len());
    let after = before | rows;
    if after.len() == unit.rows {
        table.units.remove_mut(&delete.unit);
        return Ok(Some(unit));
    }
    let deletes = Some((bitmap_bytes(&after).into(), after.len()));
    table.units.insert_mut(delete.unit, Arc::new(Unit { deletes, version: index, ..Unit::clone(&unit) }));
    Ok(None)
}

/// A bitmap that says what it is, with nothing after it.
fn parse_bitmap(mut bytes: &[u8]) -> Result<RoaringBitmap, Conflict> {
    match RoaringBitmap::deserialize_from(&mut bytes) {
        Ok(bitmap) if bytes.is_empty() => Ok(bitmap),
        Ok(_) => invalid("a bitmap of deleted rows has bytes after its end".to_owned()),
        Err(error) => invalid(format!("a bitmap of deleted rows cannot be read: {error}")),
    }
}

fn bitmap_bytes(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).expect("writing to a vector does not fail");
    bytes
}

fn live_rows(unit: &Unit) -> u64 {
    unit.rows.saturating_sub(unit.deletes.as_ref().map_or(0, |(_, count)| *count))
}

fn segment_unit(segment: &NewSegment, version: LogIndex) -> Unit {
    let source = UnitSource::Segment { disk_bytes: segment.disk_bytes, summary: segment.summary.as_slice().into() };
    Unit { id: segment.id, rows: segment.rows, source, deletes: None, version }
}

fn inline_unit(inline: &InlineRows, version: LogIndex) -> Unit {
    let source = UnitSource::Inline(inline.payload.as_slice().into());
    Unit { id: inline.id, rows: inline.rows, source, deletes: None, version }
}

fn add_unit(table: &mut Table, unit: Unit) -> Result<(), Conflict> {
    if table.units.contains_key(&unit.id) {
        return invalid(format!("the table has a unit {} already", unit.id.0));
    }
    table.live_rows = table.live_rows.saturating_add(unit.rows);
    table.units.insert_mut(unit.id, Arc::new(unit));
    Ok(())
}

fn invalid<T>(reason: String) -> Result<T, Conflict> {
    Err(Conflict::Invalid(reason))
}
