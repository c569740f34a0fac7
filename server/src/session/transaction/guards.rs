//! What a commit asserts beyond the versions of the objects that it names: that nothing came to depend meanwhile on what it removes, and
//! that no rows were added to tables whose rows it checked.
//!
//! Each view leaves a mark under every relation that it reads (`dependent/<relation>/<view>`). Whoever drops or renames a relation demands that
//! no mark is left under it, whoever drops a schema that no relation is left in it: the log sees what a snapshot cannot.

use super::Transaction;
use crate::catalog::{Catalog, Entry, Relation, keys};
use placement::{Expect, LogIndex, ObjectChange, ObjectKey, TableId, Unextended};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Relations = BTreeMap<(String, String), Entry<Relation>>;

impl Transaction {
    /// Says that the transaction has looked at all rows of a table and relies on what it saw: rows that others add are a conflict.
    pub fn relies_on_all_rows(&mut self, table_oid: u32) {
        let now = self.snapshot.state.index;
        let seen = Arc::make_mut(&mut self.seen_all).entry(table_oid).or_insert(now);
        *seen = now.min(*seen);
    }

    /// Tables that must not have grown.
    pub(super) fn unextended(&self) -> Vec<Unextended> {
        let kept = self.seen_all.iter().filter(|(oid, _)| !self.dropped_tables.contains(*oid));
        kept.map(|(oid, since)| Unextended { table: TableId(u64::from(*oid)), since: *since }).collect()
    }

    /// Says that the transaction relies on nothing being changed in a table: any change of its rows by others is a conflict.
    pub fn relies_on_no_change(&mut self, table_oid: u32) {
        let now = self.snapshot.state.index;
        let seen = Arc::make_mut(&mut self.seen_unchanged).entry(table_oid).or_insert(now);
        *seen = now.min(*seen);
    }

    /// Tables of which nothing may have changed.
    pub(super) fn unchanged(&self) -> Vec<Unextended> {
        let kept = self.seen_unchanged.iter().filter(|(oid, _)| !self.dropped_tables.contains(*oid));
        kept.map(|(oid, since)| Unextended { table: TableId(u64::from(*oid)), since: *since }).collect()
    }

    /// Prefixes under which nothing may be left.
    pub(super) fn emptied(&self) -> Vec<ObjectKey> {
        let schemas = self.base.schemas.keys().filter(|name| !self.catalog.schemas.contains_key(*name));
        let schemas = schemas.map(|name| keys::relations_of(name));
        schemas.chain(self.altered().into_iter().map(keys::dependents_of)).collect()
    }

    /// OIDs of relations that were there before, and are gone, renamed, or lack a column that they had, and that no view reads.
    fn altered(&self) -> Vec<u32> {
        if Arc::ptr_eq(&self.base, &self.catalog) {
            return Vec::new();
        }
        let differs = |(name, entry): &(&(String, String), &Entry<Relation>)| match self.catalog.relations.get(*name) {
            Some(now) if now.definition.oid() == entry.definition.oid() => lacks_columns(&entry.definition, &now.definition),
            _ => true,
        };
        let altered = self.base.relations.iter().filter(differs).map(|(_, entry)| entry.definition.oid());
        let read: BTreeSet<u32> = dependencies(&self.catalog.relations).into_iter().map(|(relation, _)| relation).collect();
        altered.filter(|oid| !read.contains(oid)).collect()
    }

    /// Marks of views that come, go or change.
    pub(super) fn dependent_changes(&self) -> Vec<ObjectChange> {
        if Arc::ptr_eq(&self.base, &self.catalog) {
            return Vec::new();
        }
        let (before, after) = (changed_views(&self.base, &self.catalog), changed_views(&self.catalog, &self.base));
        let present = |key: &ObjectKey| self.snapshot.state.objects.get(key).map(|object| object.version);
        let mut changes = Vec::new();
        for (relation, view) in before.symmetric_difference(&after) {
            let key = keys::dependent(*relation, *view);
            let comes = after.contains(&(*relation, *view));
            match (comes, present(&key)) {
                (true, None) => changes.push(ObjectChange { key, expect: Expect::Absent, value: Some(Vec::new()) }),
                (false, Some(version)) => changes.push(removal(key, version)),
                // Made by a version that left no marks.
                (true, Some(_)) | (false, None) => {}
            }
        }
        changes
    }
}

fn removal(key: ObjectKey, version: LogIndex) -> ObjectChange {
    ObjectChange { key, expect: Expect::Version(version), value: None }
}

/// What the views of one catalog read that differ in the other.
fn changed_views(of: &Catalog, other: &Catalog) -> BTreeSet<(u32, u32)> {
    let same = |name: &(String, String), entry: &Entry<Relation>| {
        other.relations.get(name).is_some_and(|there| Arc::ptr_eq(&there.definition, &entry.definition))
    };
    let changed = of.relations.iter().filter(|(name, entry)| !same(name, entry));
    changed.flat_map(|(_, entry)| reads(&entry.definition)).collect()
}

fn dependencies(relations: &Relations) -> BTreeSet<(u32, u32)> {
    relations.values().flat_map(|entry| reads(&entry.definition)).collect()
}

/// (relation, view) for each relation that a view reads.
fn reads(relation: &Relation) -> Vec<(u32, u32)> {
    match relation {
        Relation::View(view) => view.depends_on.iter().map(|dependency| (dependency.relation, view.oid)).collect(),
        _ => Vec::new(),
    }
}

fn lacks_columns(before: &Relation, now: &Relation) -> bool {
    let (Relation::Table(before), Relation::Table(now)) = (before, now) else { return false };
    let kept = |id| now.columns.iter().find(|column| column.id == id);
    before.columns.iter().any(|old| kept(old.id).is_none_or(|new| new.name != old.name || new.sql_type != old.sql_type))
}
