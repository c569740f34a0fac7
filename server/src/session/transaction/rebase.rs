//! A transaction's own changes of the catalog over a newer one: others have created, altered or dropped what it has not touched.

use super::{Savepoint, Transaction};
use crate::catalog::{Catalog, Entry, keys};
use placement::{ObjectKey, State};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Transaction {
    /// The transaction's catalog over a newer base; `None` where somebody has changed what it has changed, or has come to depend on what it
    /// removes.
    pub(super) fn rebased(&self, state: &State, newer: &Arc<Catalog>) -> Option<Arc<Catalog>> {
        if Arc::ptr_eq(&self.base, &self.catalog) {
            return Some(newer.clone());
        }
        if newer.version == self.base.version {
            return Some(self.catalog.clone());
        }
        self.nothing_left(state).then(|| rebased(&self.base, &self.catalog, newer)).flatten().map(Arc::new)
    }

    /// Puts the catalog of a savepoint over the present base. Where that cannot be, the transaction goes back to the snapshot that the savepoint
    /// was made on: the log refuses it in the end.
    pub(super) fn restore_catalog(&mut self, savepoint: &Savepoint) {
        let Some(own) = &savepoint.catalog else {
            self.catalog = self.base.clone();
            return;
        };
        let same = own.base.version == self.base.version;
        match if same { Some(own.catalog.clone()) } else { rebased(&own.base, &own.catalog, &self.base).map(Arc::new) } {
            Some(catalog) => {
                self.catalog = catalog;
                if same {
                    self.base = own.base.clone();
                }
            }
            None => (self.snapshot, self.base, self.catalog) = (own.snapshot.clone(), own.base.clone(), own.catalog.clone()),
        }
    }

    /// Whether nothing is in the way of what is removed as a whole: relations of a schema, views of a relation.
    fn nothing_left(&self, state: &State) -> bool {
        let emptied = self.emptied();
        if emptied.is_empty() {
            return true;
        }
        let relations = self.base.relations.keys().filter(|name| !self.catalog.relations.contains_key(*name));
        let relations = relations.map(|(schema, name)| keys::relation(schema, name));
        let marks = self.dependent_changes().into_iter().filter(|change| change.value.is_none()).map(|change| change.key);
        let removed: BTreeSet<ObjectKey> = relations.chain(marks).collect();
        let is_left = |prefix: &ObjectKey| {
            let under = state.objects.range::<ObjectKey, _>(prefix.clone()..).map(|(key, _)| key);
            under.take_while(|key| key.0.starts_with(&*prefix.0)).any(|key| !removed.contains(key))
        };
        !emptied.iter().any(is_left)
    }
}

/// What `own` has changed of `base`, made of `newer`; `None` where one of the same objects has been changed.
fn rebased(base: &Catalog, own: &Catalog, newer: &Catalog) -> Option<Catalog> {
    Some(Catalog {
        version: newer.version,
        schemas: moved(&base.schemas, &own.schemas, &newer.schemas)?,
        relations: moved(&base.relations, &own.relations, &newer.relations)?,
        roles: moved(&base.roles, &own.roles, &newer.roles)?,
        access: moved(&base.access, &own.access, &newer.access)?,
        comments: moved(&base.comments, &own.comments, &newer.comments)?,
        extensions: moved(&base.extensions, &own.extensions, &newer.extensions)?,
    })
}

type Entries<K, T> = BTreeMap<K, Entry<T>>;

fn moved<K: Ord + Clone, T: Clone>(base: &Entries<K, T>, own: &Entries<K, T>, newer: &Entries<K, T>) -> Option<Entries<K, T>> {
    let version = |of: &Entries<K, T>, key: &K| of.get(key).map(|entry| entry.version);
    let untouched = |key: &K| version(base, key) == version(newer, key);
    let mut moved = newer.clone();
    for key in base.keys().filter(|key| !own.contains_key(*key)) {
        untouched(key).then(|| moved.remove(key))?;
    }
    let is_own = |(key, entry): &(&K, &Entry<T>)| base.get(*key).is_none_or(|old| !Arc::ptr_eq(&old.definition, &entry.definition));
    for (key, entry) in own.iter().filter(is_own) {
        untouched(key).then(|| moved.insert(key.clone(), entry.clone()))?;
    }
    Some(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SchemaDefinition;
    use placement::LogIndex;

    fn schemas(all: &[(&str, Option<u64>)]) -> Entries<String, SchemaDefinition> {
        let entry = |version: &Option<u64>| Entry { version: version.map(LogIndex), definition: Arc::new(SchemaDefinition { oid: 1 }) };
        all.iter().map(|(name, version)| (name.to_string(), entry(version))).collect()
    }

    fn named(all: Option<Entries<String, SchemaDefinition>>) -> Option<Vec<(String, Option<u64>)>> {
        all.map(|all| all.into_iter().map(|(name, entry)| (name, entry.version.map(|version| version.0))).collect())
    }

    #[test]
    fn own_changes_go_over_those_of_others_unless_they_meet() {
        let base = schemas(&[("a", Some(1)), ("b", Some(2)), ("public", None)]);
        let mut own = base.clone();
        own.remove("a");
        own.extend(schemas(&[("new", None)]));
        let kept = |all: &[(&str, Option<u64>)]| Some(all.iter().map(|(name, version)| (name.to_string(), *version)).collect::<Vec<_>>());
        let others = schemas(&[("a", Some(1)), ("b", Some(7)), ("c", Some(8)), ("public", None)]);
        assert_eq!(named(moved(&base, &own, &others)), kept(&[("b", Some(7)), ("c", Some(8)), ("new", None), ("public", None)]));
        for meets in [
            schemas(&[("a", Some(9)), ("b", Some(2)), ("public", None)]),
            schemas(&[("b", Some(2)), ("public", None)]),
            schemas(&[("a", Some(1)), ("b", Some(2)), ("new", Some(9)), ("public", None)]),
        ] {
            assert!(moved(&base, &own, &meets).is_none());
        }
    }
}
