//! The store: open segments are bounded, and the sweep takes just what nobody needs.

use crate::sample::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::directory::{Directory, DiskDirectory, MemoryDirectory};
use storage::*;

#[test]
fn staged_and_live_segments_stay_and_others_go() {
    let directory = Arc::new(MemoryDirectory::default());
    directory.create("00000000000000ff.tmp").unwrap();
    directory.create("notes.txt").unwrap();
    let store = Store::open(directory.clone(), 10).unwrap();
    assert_eq!(directory.list().unwrap(), [("notes.txt".to_string(), 0)], "unfinished files go at the start, foreign ones stay");
    let (specs, batch) = table(every_type(10));
    let kept = write(&store, &specs, std::slice::from_ref(&batch), small()).unwrap();
    let dropped = write(&store, &specs, &[batch], small()).unwrap();
    let (live, size) = (kept.segments[0].summary.id, dropped.segments[0].summary.disk_bytes);
    assert_eq!(store.sweep(BTreeSet::new).unwrap(), (0, 0));
    let open = store.segment(dropped.segments[0].summary.id).unwrap();
    drop((kept, dropped));
    assert_eq!(store.sweep(|| [live].into()).unwrap(), (1, size));
    assert!(store.segment(open.id()).is_err(), "what was swept is not served from memory");
    assert!(store.segment(live).is_ok());
    assert_eq!(store.disk_bytes().unwrap(), store.segment(live).unwrap().disk_bytes());
    assert_eq!(store.sweep(BTreeSet::new).unwrap().0, 1);
}

#[test]
fn at_most_so_many_segments_stay_open() {
    let store = Store::open(Arc::new(MemoryDirectory::default()), 8).unwrap();
    let (specs, batch) = table(every_type(3));
    let written: Vec<_> = (0..20).map(|_| write(&store, &specs, std::slice::from_ref(&batch), small()).unwrap()).collect();
    let open: Vec<_> = written.iter().map(|w| Arc::downgrade(&store.segment(w.segments[0].summary.id).unwrap())).collect();
    let held = open.iter().filter(|s| s.strong_count() > 0).count();
    assert!((1..=8).contains(&held), "{held}");
    let last = written.last().unwrap().segments[0].summary.id;
    assert!(Arc::ptr_eq(&store.segment(last).unwrap(), &store.segment(last).unwrap()), "shared");
}

/// A committer stages, publishes, lets go; a sweeper runs beside it all the time. Nothing published may vanish.
#[test]
fn a_sweep_beside_commits_takes_nothing_published() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Arc::new(DiskDirectory::open(folder.path()).unwrap()), 100).unwrap();
    let published = parking_lot::Mutex::new(BTreeSet::new());
    let done = AtomicBool::new(false);
    let (specs, batch) = table(every_type(2).split_off(25));
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            let mut swept = 0;
            while !done.load(Ordering::Acquire) {
                swept += store.sweep(|| published.lock().clone()).unwrap().0;
            }
            swept
        });
        for i in 0..150 {
            let written = write(&store, &specs, std::slice::from_ref(&batch), small()).unwrap();
            if i % 3 > 0 {
                published.lock().insert(written.segments[0].summary.id);
            }
        }
        done.store(true, Ordering::Release);
        assert!(sweeper.join().unwrap() > 0, "what was never published is swept meanwhile");
    });
    let published = published.into_inner();
    assert_eq!(published.len(), 100);
    published.iter().for_each(|id| drop(store.segment(*id).unwrap()));
    store.sweep(|| published.clone()).unwrap();
    assert_eq!(store.directory().list().unwrap().len(), 100);
}
