//! What a commit may rely on beyond the objects that it names: tables that have not grown, prefixes that are left empty.

use crate::commands::{create, insert, key};
use placement::{
    Command, Commit, Conflict, Expect, LogIndex, ObjectChange, Outcome, State, TableChange, TableId, Unextended, UnitId, UnitRemoval,
};

fn state() -> State {
    let mut state = State::default();
    state.apply_next(&Command::LeaseIds { count: 100 });
    state
}

fn put(name: &str, version: LogIndex, unextended: Vec<Unextended>) -> Command {
    let change = ObjectChange { key: key(name), expect: Expect::Version(version), value: Some(vec![2]) };
    Command::Commit(Commit { objects: vec![change], unextended, ..Commit::default() })
}

fn applied(state: &mut State, command: &Command) -> LogIndex {
    match state.apply_next(command) {
        Outcome::Committed(index) => index,
        other => panic!("{other:?}"),
    }
}

/// A constraint was checked against all rows; a row that breaks it was committed before the constraint was.
#[test]
fn rows_added_since_they_were_checked_are_a_conflict() {
    let mut state = state();
    let created = applied(&mut state, &create("t", b"1"));
    let checked = applied(&mut state, &insert(7, State::FIRST_ID, b"a"));
    let unextended = |since| vec![Unextended { table: TableId(7), since }];
    applied(&mut state, &insert(7, State::FIRST_ID + 1, b"b"));
    let before = state.clone();
    let outcome = state.apply_next(&put("t", created, unextended(checked)));
    assert_eq!(outcome, Outcome::Conflict(Conflict::Added(TableId(7))));
    assert_eq!(State { index: before.index, ..state.clone() }, before);
    let now = state.index;
    applied(&mut state, &put("t", created, unextended(now)));
    // A table that nobody has written has not grown.
    let version = state.objects.get(&key("t")).unwrap().version;
    applied(&mut state, &put("t", version, vec![Unextended { table: TableId(8), since: LogIndex(0) }]));
}

/// A foreign key was checked against the keys of another table; one of them was deleted before the foreign key was there.
#[test]
fn any_change_of_a_table_that_has_to_stay_as_it_was_is_a_conflict() {
    let mut state = state();
    let created = applied(&mut state, &create("t", b"1"));
    let seen = applied(&mut state, &insert(7, State::FIRST_ID, b"ab"));
    let unchanged = |since, table| {
        let change = ObjectChange { key: key("t"), expect: Expect::Version(created), value: Some(vec![2]) };
        Command::Commit(Commit { objects: vec![change], unchanged: vec![Unextended { table: TableId(table), since }], ..Commit::default() })
    };
    applied(&mut state, &insert(8, State::FIRST_ID + 1, b"other"));
    let mut gone = TableChange::new(TableId(7));
    gone.remove_units = vec![UnitRemoval { unit: UnitId(State::FIRST_ID), version: seen }];
    let read_index = state.index;
    applied(&mut state, &Command::Commit(Commit { read_index, tables: vec![gone], ..Commit::default() }));
    assert_eq!(state.apply_next(&unchanged(seen, 7)), Outcome::Conflict(Conflict::Rows(TableId(7))));
    let now = state.index;
    applied(&mut state, &unchanged(now, 7));
}

/// Compaction moves rows: whoever has seen them all has still seen them all.
#[test]
fn rows_moved_since_they_were_checked_are_no_conflict() {
    let mut state = state();
    let created = applied(&mut state, &create("t", b"1"));
    let checked = applied(&mut state, &insert(7, State::FIRST_ID, b"a"));
    let mut change = TableChange::new(TableId(7));
    change.remove_units = vec![UnitRemoval { unit: UnitId(State::FIRST_ID), version: checked }];
    change.add_inline = vec![placement::InlineRows { id: UnitId(State::FIRST_ID + 1), rows: 1, payload: vec![1] }];
    applied(&mut state, &Command::Commit(Commit { read_index: checked, tables: vec![change], ..Commit::default() }));
    applied(&mut state, &put("t", created, vec![Unextended { table: TableId(7), since: checked }]));
    assert_eq!(State::from_bytes(&state.to_bytes()).unwrap(), state);
}

/// A schema was dropped with all that was in it; a table was created in it meanwhile.
#[test]
fn what_comes_into_being_under_a_prefix_that_is_removed_is_a_conflict() {
    let mut state = state();
    let schema = applied(&mut state, &create("schema/s", b"1"));
    let drop = || {
        let change = ObjectChange { key: key("schema/s"), expect: Expect::Version(schema), value: None };
        Command::Commit(Commit { objects: vec![change], emptied: vec![key("relation/s/")], ..Commit::default() })
    };
    let table = applied(&mut state, &create("relation/s/t", b"1"));
    applied(&mut state, &create("relation/s2/t", b"1"));
    assert_eq!(state.apply_next(&drop()), Outcome::Conflict(Conflict::Prefix(key("relation/s/"))));
    let Command::Commit(mut both) = drop() else { unreachable!() };
    both.objects.push(ObjectChange { key: key("relation/s/t"), expect: Expect::Version(table), value: None });
    applied(&mut state, &Command::Commit(both));
    assert!(state.objects.contains_key(&key("relation/s2/t")));
}
