//! Sequences of requests, by hand and at random, the latter against a model that knows each row and key by itself.
#![allow(clippy::unwrap_used)]

use super::keys::FINGERPRINTS_MAX;
use super::*;
use proptest::prelude::*;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use storage::SegmentId;

fn rows(strength: RowStrength, unit: u64, offsets: impl IntoIterator<Item = u32>) -> RowSet {
    let units = BTreeMap::from([(SegmentId(unit), offsets.into_iter().collect::<RoaringBitmap>())]);
    RowSet { table: 1, strength, units }
}

fn update(offsets: impl IntoIterator<Item = u32>) -> RowSet {
    rows(RowStrength::Update, 1, offsets)
}

fn keys(mode: KeyMode, fingerprints: impl IntoIterator<Item = u64>) -> KeySet {
    KeySet { space: 9, mode, fingerprints: Some(fingerprints.into_iter().collect()) }
}

fn is_granted(asked: &Asked) -> bool {
    matches!(asked, Asked::Granted)
}

fn receiver(asked: Asked) -> (Ticket, tokio::sync::oneshot::Receiver<Result<()>>) {
    match asked {
        Asked::Queued(ticket, receiver) => (ticket, receiver),
        Asked::Granted => panic!("it should wait"),
    }
}

/// PostgreSQL's table of row locks.
#[test]
fn strengths_conflict_as_documented() {
    use RowStrength::*;
    let all = [KeyShare, Share, NoKeyUpdate, Update, Gone];
    let row = |strength: RowStrength| all.iter().map(|other| if strength.conflicts(*other) { 'x' } else { ' ' }).collect::<String>();
    assert_eq!(all.map(row), ["   xx", "  xxx", " xxxx", "xxxxx", "xxxxx"]);
    assert!([KeyShare, Share, NoKeyUpdate, Update].into_iter().all(|other| !Stay.conflicts(other)) && Stay.conflicts(Gone));
}

#[test]
fn who_only_waits_for_rows_to_settle_holds_nothing() {
    use RowStrength::*;
    let mut table = LockTable::default();
    assert!(is_granted(&table.ask(1, 11, Wanted::Rows(rows(Update, 1, [5, 6])))));
    let stay = |offsets: &[u32]| rows(Stay, 1, offsets.iter().copied());
    assert!(is_granted(&table.ask(2, 12, Wanted::Settled(stay(&[5])))));
    assert!(is_granted(&table.ask(1, 11, Wanted::Rows(rows(Gone, 1, [5])))));
    assert!(table.any_held_by_others(2, 1, Stay) && !table.any_held_by_others(1, 1, Stay) && !table.any_held_by_others(2, 2, Stay));
    assert_eq!(table.held_by_others(2, &stay(&[4, 5, 6])), stay(&[5]));
    let (_, mut granted) = receiver(table.ask(2, 12, Wanted::Settled(stay(&[5, 6]))));
    assert_eq!(table.blocking(12).iter().map(|edge| edge.by).collect::<Vec<_>>(), [11]);
    table.end(1);
    assert!(granted.try_recv().is_ok());
    assert!(is_granted(&table.ask(3, 13, Wanted::Rows(rows(Gone, 1, [5])))));
    table.end(2);
    table.end(3);
    assert!(table.is_empty());
}

#[test]
fn a_row_goes_to_those_who_wait_in_their_order() {
    let mut table = LockTable::default();
    assert!(is_granted(&table.ask(1, 11, Wanted::Rows(update([5])))));
    let (_, mut second) = receiver(table.ask(2, 12, Wanted::Rows(update([5, 6]))));
    let (_, mut third) = receiver(table.ask(3, 13, Wanted::Rows(update([5]))));
    // What was free is held while the rest is waited for.
    assert!(!table.try_lock(4, 14, &Wanted::Rows(update([6]))));
    assert_eq!(table.blocking(13).iter().map(|edge| edge.by).collect::<Vec<_>>(), [11]);
    table.end(1);
    assert!(second.try_recv().is_ok() && third.try_recv().is_err());
    assert_eq!(table.blocking(13).iter().map(|edge| edge.by).collect::<Vec<_>>(), [12]);
    table.end(2);
    assert!(third.try_recv().is_ok());
    table.end(3);
    table.end(4);
    assert!(table.is_empty());
}

#[test]
fn who_leaves_the_queue_stands_in_nobodys_way() {
    let mut table = LockTable::default();
    assert!(is_granted(&table.ask(1, 11, Wanted::Rows(update([5])))));
    let (place, _gone) = receiver(table.ask(2, 12, Wanted::Rows(update([5]))));
    let (_, mut third) = receiver(table.ask(3, 13, Wanted::Rows(update([5]))));
    table.leave(place);
    table.end(1);
    assert!(third.try_recv().is_ok());
    table.end(3);
    table.end(2);
    assert!(table.is_empty());
}

#[test]
fn weaker_locks_are_shared_and_grow_stronger() {
    use RowStrength::*;
    let mut table = LockTable::default();
    let of = |strength| Wanted::Rows(rows(strength, 1, [7]));
    assert!(is_granted(&table.ask(1, 11, of(KeyShare))) && is_granted(&table.ask(2, 12, of(NoKeyUpdate))));
    assert!(!table.try_lock(3, 13, &of(Share)) && !table.try_lock(2, 12, &of(Update)));
    table.end(1);
    assert!(table.try_lock(2, 12, &of(Update)) && !table.try_lock(3, 13, &of(KeyShare)));
    table.end(2);
    assert!(table.try_lock(3, 13, &of(KeyShare)));
    table.end(3);
    assert!(table.is_empty());
}

#[test]
fn rows_that_others_hold_are_left_out() {
    let mut table = LockTable::default();
    assert!(is_granted(&table.ask(1, 11, Wanted::Rows(update(0..100)))));
    assert_eq!(table.lock_free(2, 12, &update([5, 99, 100, 101])), update([100, 101]));
    assert_eq!(table.lock_free(2, 12, &update([5, 101])), update([101]));
    assert!(table.lock_free(3, 13, &update([1])).is_empty());
    [1, 2, 3].into_iter().for_each(|owner| table.end(owner));
    assert!(table.is_empty());
}

#[test]
fn savepoints_and_statements_give_back_what_they_took() {
    let mut table = LockTable::default();
    assert!(is_granted(&table.ask(1, 11, Wanted::Rows(update([1])))));
    let mark = table.mark(1, 11);
    table.begin_statement(1, 11);
    assert!(is_granted(&table.ask(1, 11, Wanted::Rows(update([1, 2, 3])))));
    table.end_statement(1, &[RowSet { table: 2, ..update([3]) }]);
    assert!(table.try_lock(2, 12, &Wanted::Rows(update([2]))));
    assert!(!table.try_lock(2, 12, &Wanted::Rows(update([1]))));
    table.begin_statement(1, 11);
    assert!(is_granted(&table.ask(1, 11, Wanted::Rows(update([3, 4])))));
    table.end_statement(1, &[update([4])]);
    assert!(!table.try_lock(2, 12, &Wanted::Rows(update([3]))));
    assert!(is_granted(&table.ask(1, 11, Wanted::Keys(keys(KeyMode::Exclusive, [4])))));
    let inner = table.mark(1, 11);
    assert!(inner > mark && is_granted(&table.ask(1, 11, Wanted::Rows(update([8])))));
    table.forget_marks_after(1, Some(mark));
    table.release_after(1, mark);
    assert!(table.try_lock(2, 12, &Wanted::Rows(update([3, 8]))) && table.try_lock(2, 12, &Wanted::Keys(keys(KeyMode::Shared, [4]))));
    assert!(!table.try_lock(2, 12, &Wanted::Rows(update([1]))));
    table.end(1);
    table.end(2);
    assert!(table.is_empty());
}

#[test]
fn many_keys_are_the_whole_space() {
    let mut table = LockTable::default();
    let many = Wanted::Keys(keys(KeyMode::Shared, 0..FINGERPRINTS_MAX as u64));
    assert!(is_granted(&table.ask(1, 11, many)) && table.try_lock(2, 12, &Wanted::Keys(keys(KeyMode::Exclusive, [1 << 40]))));
    let (_, mut whole) = receiver(table.ask(1, 11, Wanted::Keys(keys(KeyMode::Shared, [1 << 41]))));
    assert!(table.try_lock(3, 13, &Wanted::Keys(keys(KeyMode::Shared, [5, 1 << 40 | 1]))));
    table.end(2);
    assert!(whole.try_recv().is_ok() && !table.try_lock(3, 13, &Wanted::Keys(keys(KeyMode::Exclusive, [1 << 42]))));
    assert!(table.try_lock(3, 13, &Wanted::Keys(keys(KeyMode::Shared, [1 << 42]))));
    table.end(1);
    assert!(table.try_lock(3, 13, &Wanted::Keys(keys(KeyMode::Exclusive, [1 << 42]))));
    table.end(3);
    assert!(table.is_empty());
}

#[test]
fn tables_are_locked_and_shown() {
    let mut table = LockTable::default();
    let of = |mode| Wanted::Table(TableLock { table: 7, mode });
    assert!(table.try_lock(1, 11, &of(TableMode::RowExclusive)) && table.try_lock(2, 12, &of(TableMode::RowExclusive)));
    assert!(table.try_lock(1, 11, &of(TableMode::RowExclusive)) && !table.try_lock(1, 11, &of(TableMode::Exclusive)));
    let (_, mut granted) = receiver(table.ask(1, 11, of(TableMode::Exclusive)));
    let waits = table.shown().into_iter().find(|shown| shown.waits_since.is_some()).unwrap();
    assert_eq!((waits.process_id, waits.lock), (11, ShownLock::Table(7, TableMode::Exclusive)));
    table.end(2);
    assert!(granted.try_recv().is_ok() && !table.is_waiting(11));
    table.end(1);
    assert!(table.is_empty());
}

/// Waits until somebody stands in the queue.
async fn until_waiting(locks: &Locks, process_id: i32) {
    while !locks.is_waiting(process_id) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_circle_is_told_to_who_closes_it() {
    let locks: Arc<Locks> = Arc::default();
    let (a, b) = (locks.owner(), locks.owner());
    a.act_for(101);
    b.act_for(102);
    assert!(!a.lock(Wanted::Rows(update([1])), None).await.unwrap());
    assert!(!b.lock(Wanted::Keys(keys(KeyMode::Exclusive, [1])), None).await.unwrap());
    let waiter = tokio::spawn(async move {
        let waited = a.lock(Wanted::Keys(keys(KeyMode::Shared, [1])), None).await;
        drop(a);
        waited
    });
    until_waiting(&locks, 101).await;
    assert_eq!(locks.blocking(101), [102]);
    let error = b.lock(Wanted::Rows(update([1])), None).await.unwrap_err();
    let detail = "Process 102 waits for ShareLock on transaction 1; blocked by process 101.\nProcess 101 waits for ShareLock on transaction 2; \
                  blocked by process 102.";
    assert_eq!((error.state.0, error.detail.as_deref()), ("40P01", Some(detail)));
    drop(b);
    assert!(waiter.await.unwrap().unwrap());
    assert!(locks.table.lock().is_empty());
}

#[tokio::test]
async fn waiting_has_a_limit_and_can_be_given_up() {
    let locks: Arc<Locks> = Arc::default();
    let (a, b) = (locks.owner(), locks.owner());
    assert!(!a.lock(Wanted::Rows(update([1])), None).await.unwrap());
    let error = b.lock(Wanted::Rows(update([1])), Some(Duration::from_millis(20))).await.unwrap_err();
    assert_eq!((error.state.0, &*error.message), ("55P03", "canceling statement due to lock timeout"));
    assert!(tokio::time::timeout(Duration::from_millis(20), b.lock(Wanted::Rows(update([1])), None)).await.is_err());
    assert!(locks.table.lock().shown().iter().all(|shown| shown.waits_since.is_none()));
    drop(a);
    assert!(!b.lock(Wanted::Rows(update([1])), None).await.unwrap());
    drop(b);
    assert!(locks.table.lock().is_empty());
}

const STRENGTHS: [RowStrength; 4] = [RowStrength::KeyShare, RowStrength::Share, RowStrength::NoKeyUpdate, RowStrength::Update];

#[derive(Clone, Debug)]
enum Step {
    Rows { owner: OwnerId, strength: usize, offsets: BTreeSet<u32>, free: bool },
    End { owner: OwnerId },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offsets = proptest::collection::btree_set(0..12u32, 1..5);
    let ask = (1..6u64, 0..4usize, offsets, any::<bool>());
    let ask = ask.prop_map(|(owner, strength, offsets, free)| Step::Rows { owner, strength, offsets, free });
    proptest::collection::vec(prop_oneof![4 => ask, 1 => (1..6u64).prop_map(|owner| Step::End { owner })], 1..60)
}

/// Who holds each row how, and who waits in which order for what: row by row.
#[derive(Default)]
struct Model {
    held: BTreeSet<(u32, OwnerId, usize)>,
    queue: Vec<(OwnerId, usize, BTreeSet<u32>)>,
}

impl Model {
    fn is_free(&self, row: u32, owner: OwnerId, strength: usize) -> bool {
        let conflicts = |held: usize| STRENGTHS[held].conflicts(STRENGTHS[strength]);
        !self.held.iter().any(|(at, holder, held)| *at == row && *holder != owner && conflicts(*held))
    }
    fn take(&mut self, owner: OwnerId, strength: usize, wanted: &mut BTreeSet<u32>) {
        for row in wanted.clone() {
            if self.is_free(row, owner, strength) {
                self.held.insert((row, owner, strength));
                wanted.remove(&row);
            }
        }
    }
    fn end(&mut self, owner: OwnerId) {
        self.held.retain(|(_, holder, _)| *holder != owner);
        self.queue.retain(|(waiter, _, _)| *waiter != owner);
        for (waiter, strength, mut wanted) in std::mem::take(&mut self.queue) {
            self.take(waiter, strength, &mut wanted);
            if !wanted.is_empty() {
                self.queue.push((waiter, strength, wanted));
            }
        }
    }
    fn waits(&self, owner: OwnerId) -> bool {
        self.queue.iter().any(|(waiter, _, _)| *waiter == owner)
    }
}

proptest! {
    #[test]
    fn sequences_agree_with_a_naive_model(steps in steps()) {
        let (mut table, mut model) = (LockTable::default(), Model::default());
        let mut places: BTreeMap<OwnerId, (Ticket, tokio::sync::oneshot::Receiver<Result<()>>)> = BTreeMap::new();
        for step in steps {
            match step {
                // Who waits does nothing else.
                Step::Rows { owner, .. } if model.waits(owner) => {}
                Step::Rows { owner, strength, mut offsets, free } => {
                    let wanted = rows(STRENGTHS[strength], 1, offsets.iter().copied());
                    let all = offsets.clone();
                    model.take(owner, strength, &mut offsets);
                    if free {
                        let got: BTreeSet<u32> = table.lock_free(owner, owner as i32, &wanted).units.into_values().flatten().collect();
                        prop_assert_eq!(got, all.difference(&offsets).copied().collect());
                    } else if let Asked::Queued(ticket, receiver) = table.ask(owner, owner as i32, Wanted::Rows(wanted)) {
                        prop_assert!(!offsets.is_empty());
                        places.insert(owner, (ticket, receiver));
                        model.queue.push((owner, strength, offsets));
                    } else {
                        prop_assert!(offsets.is_empty());
                    }
                }
                Step::End { owner } => {
                    if let Some((ticket, _)) = places.remove(&owner) {
                        table.leave(ticket);
                    }
                    table.end(owner);
                    model.end(owner);
                }
            }
            places.retain(|_, (_, receiver)| receiver.try_recv().is_err());
            for owner in 1..6 {
                prop_assert_eq!(places.contains_key(&owner), model.waits(owner), "owner {}", owner);
                prop_assert_eq!(table.is_waiting(owner as i32), model.waits(owner));
            }
        }
        for owner in 1..6 {
            places.remove(&owner).into_iter().for_each(|(ticket, _)| table.leave(ticket));
            table.end(owner);
        }
        prop_assert!(table.is_empty());
    }
}

fn owner(locks: &Arc<Locks>, process_id: i32) -> Owner {
    let owner = locks.owner();
    owner.act_for(process_id);
    owner
}

fn table_lock(mode: TableMode) -> Wanted {
    Wanted::Table(TableLock { table: 1, mode })
}

fn waits_for(table: &LockTable, process_id: i32) -> Vec<(i32, bool)> {
    table.blocking(process_id).into_iter().map(|edge| (edge.by, edge.soft)).collect()
}

#[test]
fn a_table_goes_to_those_who_wait_in_their_order() {
    use TableMode::*;
    let mut table = LockTable::default();
    assert!(is_granted(&table.ask(1, 11, table_lock(RowExclusive))));
    let (_, mut whole) = receiver(table.ask(2, 12, table_lock(AccessExclusive)));
    // Who comes now queues behind it, but not who only reads, nor who holds the table already.
    assert!(!table.try_lock(3, 13, &table_lock(RowExclusive)));
    let (_, mut third) = receiver(table.ask(3, 13, table_lock(RowExclusive)));
    assert_eq!((waits_for(&table, 12), waits_for(&table, 13)), (vec![(11, false)], vec![(12, true)]));
    assert!(is_granted(&table.ask(1, 11, table_lock(RowShare))));
    table.end(1);
    assert!(whole.try_recv().is_ok() && third.try_recv().is_err());
    assert_eq!(waits_for(&table, 13), [(12, false)]);
    table.end(2);
    assert!(third.try_recv().is_ok());
    table.end(3);
    assert!(table.is_empty());
}

#[test]
fn those_behind_go_on_when_the_first_leaves() {
    use TableMode::*;
    let mut table = LockTable::default();
    assert!(is_granted(&table.ask(1, 11, table_lock(RowExclusive))));
    let (place, _whole) = receiver(table.ask(2, 12, table_lock(Share)));
    let (_, mut third) = receiver(table.ask(3, 13, table_lock(RowExclusive)));
    assert!(is_granted(&table.ask(4, 14, table_lock(RowShare))), "it excludes neither");
    table.leave(place);
    assert!(third.try_recv().is_ok());
    (1..=4).for_each(|owner| table.end(owner));
    assert!(table.is_empty());
}

/// The second wants a table for which the third waits behind the first, who waits for a row of the second.
#[tokio::test]
async fn a_circle_through_the_line_is_opened_by_overtaking() {
    use TableMode::*;
    let locks = Locks::over(Arc::default());
    let (first, second, third) = (owner(&locks, 1), owner(&locks, 2), owner(&locks, 3));
    first.lock(table_lock(RowExclusive), None).await.unwrap();
    second.lock(Wanted::Rows(update([5])), None).await.unwrap();
    let in_line = std::pin::pin!(third.lock(table_lock(AccessExclusive), None));
    let row = std::pin::pin!(first.lock(Wanted::Rows(update([5])), None));
    let (mut in_line, mut row) = (in_line, row);
    assert!(futures::poll!(&mut in_line).is_pending() && futures::poll!(&mut row).is_pending());
    assert!(second.lock(table_lock(RowExclusive), None).await.is_ok());
    assert_eq!(locks.blocking(3), [1, 2]);
    assert!(futures::poll!(&mut in_line).is_pending() && futures::poll!(&mut row).is_pending());
}

/// The second has two rows to wait for. When it gets one, the third waits for it, and it for the third: nobody asked for anything then.
#[tokio::test]
async fn a_circle_that_closes_when_somebody_gives_back_is_found() {
    let locks = Locks::over(Arc::default());
    let (first, second, third) = (owner(&locks, 1), owner(&locks, 2), owner(&locks, 3));
    first.lock(Wanted::Rows(update([5])), None).await.unwrap();
    third.lock(Wanted::Rows(update([6])), None).await.unwrap();
    let mut both = Box::pin(second.lock(Wanted::Rows(update([5, 6])), None));
    assert!(futures::poll!(&mut both).is_pending());
    let mut one = Box::pin(third.lock(Wanted::Rows(update([5])), None));
    assert!(futures::poll!(&mut one).is_pending());
    drop(first);
    assert_eq!(both.await.unwrap_err().state.0, "40P01");
    assert!(futures::poll!(&mut one).is_pending());
    drop(second);
    assert!(one.await.unwrap());
}
