//! DROP: what depends on what, RESTRICT and CASCADE.

use super::decision::{Change, Decision, SUCCESS, Scope, notice, place, put};
use super::{expressions, foreign_keys};
use crate::catalog::foreign_key::Referring;
use crate::catalog::lookup::{Found, SYSTEM_SCHEMAS};
use crate::catalog::names::{QualifiedName, fold};
use crate::catalog::{ColumnDefinition, Relation, TableDefinition};
use crate::error::{Result, SqlError, SqlState};
use crate::session::Notice;
use datafusion::sql::sqlparser::ast::{ObjectName, ObjectType};
use std::collections::BTreeMap;
use storage::ColumnId;

/// Something to drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A schema.
    Schema(String),
    /// A relation: (schema, name).
    Relation((String, String)),
    /// A column of a table; the caller takes it out of the definition.
    Column((String, String), ColumnId),
    /// A unique constraint of a table, or its index; the caller takes it out of the definition.
    Key((String, String), String),
    /// The same, called an index.
    Index((String, String), String),
}

/// Something that goes with a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dependent {
    Relation((String, String)),
    Default((String, String), ColumnId),
    /// An extension in a schema.
    Extension(String),
    /// A foreign key of a table: its place among the constraints, and its name.
    ForeignKey((String, String), usize, String),
}

/// DROP TABLE, VIEW, SEQUENCE, SCHEMA.
pub fn drop(scope: Scope<'_>, object_type: ObjectType, names: &[ObjectName], if_exists: bool, cascade: bool) -> Result<Decision> {
    let mut targets = Vec::new();
    let mut notices = Vec::new();
    for name in names {
        match target(scope, object_type, name)? {
            Ok(target) if targets.contains(&target) => {}
            Ok(target) => targets.push(target),
            Err(missing) if if_exists => notices.push(skipping(&missing)),
            Err(missing) => return Err(missing),
        }
    }
    let mut decision = decide(scope, targets, cascade)?;
    notices.append(&mut decision.notices);
    decision.notices = notices;
    Ok(decision)
}

/// The tag of a DROP, and what it must find.
pub fn tag(object_type: ObjectType) -> Option<&'static str> {
    match object_type {
        ObjectType::Table => Some("DROP TABLE"),
        ObjectType::View => Some("DROP VIEW"),
        ObjectType::Sequence => Some("DROP SEQUENCE"),
        ObjectType::Schema => Some("DROP SCHEMA"),
        ObjectType::Index => Some("DROP INDEX"),
        _ => None,
    }
}

fn skipping(missing: &SqlError) -> Notice {
    notice(SUCCESS, format!("{}, skipping", missing.message))
}

/// The target of a name; the inner error is its absence, which IF EXISTS forgives.
fn target(scope: Scope<'_>, object_type: ObjectType, name: &ObjectName) -> Result<Result<Target>> {
    if object_type == ObjectType::Schema {
        let name = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
        if name == crate::catalog::PUBLIC_SCHEMA {
            return Err(SqlError::unsupported("dropping schema \"public\""));
        }
        return match scope.catalog.require_schema(&name) {
            Ok(()) => Ok(Ok(Target::Schema(name))),
            Err(error) if error.state == SqlState::INVALID_SCHEMA_NAME => Ok(Err(error)),
            Err(error) => Err(error),
        };
    }
    let kind = match object_type {
        ObjectType::Table => "table",
        ObjectType::View => "view",
        ObjectType::Sequence => "sequence",
        other => return Err(SqlError::unsupported(format!("DROP {other}"))),
    };
    let name = scope.name(name)?;
    let Some(found) = scope.catalog.find(&name, scope.search_path) else { return Ok(Err(missing(scope, kind, &name))) };
    if found.relation().kind() != kind {
        let right = found.relation().kind();
        return Err(found.wrong_kind(kind).with_hint(format!("Use DROP {} to remove a {right}.", right.to_uppercase())));
    }
    check_required(scope, &found)?;
    Ok(Ok(Target::Relation(place(&found))))
}

/// The sequence of an identity column goes with the column, and not alone.
fn check_required(scope: Scope<'_>, found: &Found<'_>) -> Result<()> {
    let Relation::Sequence(sequence) = found.relation() else { return Ok(()) };
    let Some((table, column)) = sequence.owned_by else { return Ok(()) };
    let Some(owner) = scope.catalog.by_oid(table) else { return Ok(()) };
    let Some(column) = owner.table().ok().and_then(|table| table.column_by_id(column)).filter(|column| column.identity.is_some()) else {
        return Ok(());
    };
    let (column, table) = (&column.name, scope.shown(&owner));
    let message = format!("cannot drop sequence {} because column {column} of table {table} requires it", scope.shown(found));
    Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .with_hint(format!("You can drop column {column} of table {table} instead.")))
}

fn missing(scope: Scope<'_>, kind: &str, name: &QualifiedName) -> SqlError {
    match &name.schema {
        Some(schema) if SYSTEM_SCHEMAS.contains(&schema.as_str()) => {
            let message = format!("permission denied: \"{}\" is a system catalog", name.name);
            SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
        }
        Some(schema) if !scope.catalog.schemas.contains_key(schema) => {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist"))
        }
        _ => SqlError::new(SqlState::UNDEFINED_TABLE, format!("{kind} \"{name}\" does not exist")),
    }
}

/// Drops targets and what belongs to them; what else depends on them is an error, or goes too with CASCADE.
pub fn decide(scope: Scope<'_>, targets: Vec<Target>, cascade: bool) -> Result<Decision> {
    let found = Closure::of(scope, &targets);
    if !found.dependents.is_empty() && !cascade {
        return Err(found.refusal(&targets));
    }
    let notices = found.notices();
    Ok(Decision { changes: found.changes(scope, &targets)?, notices, ..Decision::default() })
}

/// Everything that goes with the targets: what is theirs silently, and what depends on them, each with why.
struct Closure<'a> {
    scope: Scope<'a>,
    owned: Vec<(String, String)>,
    dependents: BTreeMap<Dependent, String>,
}

impl<'a> Closure<'a> {
    fn of(scope: Scope<'a>, targets: &[Target]) -> Self {
        let mut closure = Self { scope, owned: Vec::new(), dependents: BTreeMap::new() };
        let mut doomed: Vec<(String, String)> = Vec::new();
        for target in targets {
            match target {
                Target::Relation(place) => doomed.push(place.clone()),
                Target::Schema(schema) => closure.doom_schema(schema, &mut doomed),
                Target::Column(table, column) => closure.doom_column(table, *column, &mut doomed),
                Target::Key(table, constraint) | Target::Index(table, constraint) => closure.doom_key(table, constraint),
            }
        }
        let named = doomed.clone();
        while let Some((schema, name)) = doomed.pop() {
            if let Some(found) = scope.catalog.get(&schema, &name) {
                closure.doom_relation(found, &named, &mut doomed);
            }
        }
        // What is named, or owned by what is named, is no dependent of it.
        let gone: Vec<_> = targets.iter().filter_map(Target::relation).chain(&closure.owned).cloned().collect();
        let going: Vec<_> = closure.dependents.keys().filter_map(Dependent::relation).cloned().collect();
        closure.dependents.retain(|dependent, _| match dependent {
            Dependent::Relation(place) | Dependent::Default(place, _) => !gone.contains(place),
            Dependent::ForeignKey(place, ..) => !gone.contains(place) && !going.contains(place),
            Dependent::Extension(_) => true,
        });
        closure
    }

    fn doom_schema(&mut self, schema: &str, doomed: &mut Vec<(String, String)>) {
        for found in self.scope.catalog.in_schema(schema) {
            let why = format!("{} {} depends on schema {schema}", found.relation().kind(), self.scope.shown(&found));
            self.dependents.insert(Dependent::Relation(place(&found)), why);
            doomed.push(place(&found));
        }
        let oid = self.scope.catalog.schemas.get(schema).map(|entry| entry.definition.oid);
        for (name, _) in self.scope.catalog.extensions.iter().filter(|(_, entry)| Some(entry.definition.schema) == oid) {
            self.dependents.insert(Dependent::Extension(name.clone()), format!("extension {name} depends on schema {schema}"));
        }
    }

    fn doom_column(&mut self, table: &(String, String), column: ColumnId, doomed: &mut Vec<(String, String)>) {
        let Some(found) = self.scope.catalog.get(&table.0, &table.1) else { return };
        let oid = found.relation().oid();
        let name = found.table().ok().and_then(|t| t.column_by_id(column)).map_or("?", |c| c.name.as_str());
        let what = format!("column {name} of table {}", self.scope.shown(&found));
        self.add_views(oid, Some(column), &what, doomed);
        let referring = self.scope.catalog.referring_to(oid).into_iter().filter(|referring| referring.key.parent_columns.contains(&column));
        let own = |referring: &Referring<'_>| referring.table.oid == oid && referring.key.columns.contains(&column);
        self.add_foreign_keys(referring.filter(|referring| !own(referring)), &what);
        let definition = found.relation().as_table();
        for key in definition.iter().flat_map(|table| &table.constraints) {
            if key.key_options().is_some_and(|options| options.include.contains(&column)) {
                self.doom_key(table, key.name());
            }
        }
        for (sequence, _) in self.scope.catalog.sequences_of(oid, Some(column)) {
            self.owned.push(place(&sequence));
            self.add_defaults(&sequence, table, Some(column));
        }
    }

    fn doom_relation(&mut self, found: Found<'a>, named: &[(String, String)], doomed: &mut Vec<(String, String)>) {
        let what = format!("{} {}", found.relation().kind(), self.scope.shown(&found));
        self.add_views(found.relation().oid(), None, &what, doomed);
        match found.relation() {
            Relation::Table(table) => {
                self.add_foreign_keys(self.scope.catalog.referring_to(table.oid).into_iter(), &what);
                for (sequence, _) in self.scope.catalog.sequences_of(table.oid, None) {
                    self.owned.push(place(&sequence));
                    self.add_defaults(&sequence, &place(&found), None);
                }
            }
            Relation::Sequence(_) if named.contains(&place(&found)) => self.add_defaults(&found, &(String::new(), String::new()), None),
            Relation::Sequence(_) | Relation::View(_) => {}
        }
    }

    /// The foreign keys that rely on a unique constraint.
    fn doom_key(&mut self, table: &(String, String), constraint: &str) {
        let Some(definition) = self.scope.catalog.get(&table.0, &table.1).and_then(|found| found.relation().as_table()) else { return };
        let relying = foreign_keys::relying_on(self.scope, definition, constraint);
        self.add_foreign_keys(relying.into_iter(), &format!("index {constraint}"));
    }

    fn add_foreign_keys(&mut self, referring: impl Iterator<Item = Referring<'a>>, what: &str) {
        for by in referring {
            let at = by.table.constraints.iter().position(|constraint| constraint.name() == by.key.name).unwrap_or_default();
            let dependent = Dependent::ForeignKey(place(&by.found), at, by.key.name.clone());
            let why = foreign_keys::depends(self.scope, &by, what);
            self.dependents.entry(dependent).or_insert(why);
        }
    }

    fn add_views(&mut self, oid: u32, column: Option<ColumnId>, what: &str, doomed: &mut Vec<(String, String)>) {
        for (view, _) in self.scope.catalog.views_on(oid, column) {
            let key = Dependent::Relation(place(&view));
            if !self.dependents.contains_key(&key) {
                self.dependents.insert(key, format!("view {} depends on {what}", self.scope.shown(&view)));
                doomed.push(place(&view));
            }
        }
    }

    /// Defaults that take numbers from a sequence, other than in the owner that goes as well.
    fn add_defaults(&mut self, sequence: &Found<'_>, owner: &(String, String), column: Option<ColumnId>) {
        for (table, default) in defaults_from(self.scope, sequence) {
            if place(&table) == *owner && column.is_none_or(|c| c == default.id) {
                continue;
            }
            let sequence = self.scope.shown(sequence);
            let why =
                format!("default value for column {} of table {} depends on sequence {sequence}", default.name, self.scope.shown(&table));
            self.dependents.insert(Dependent::Default(place(&table), default.id), why);
        }
    }

    fn refusal(&self, targets: &[Target]) -> SqlError {
        let message = match targets {
            [one] => format!("cannot drop {} because other objects depend on it", self.describe(one)),
            _ => "cannot drop desired object(s) because other objects depend on them".to_string(),
        };
        let hint = "Use DROP ... CASCADE to drop the dependent objects too.";
        let reasons: Vec<&str> = self.dependents.values().map(String::as_str).collect();
        SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).with_detail(reasons.join("\n")).with_hint(hint)
    }

    fn describe(&self, target: &Target) -> String {
        match target {
            Target::Schema(name) => format!("schema {name}"),
            Target::Relation((schema, name)) => self.describe_relation(schema, name),
            Target::Column((schema, name), id) => {
                let found = self.scope.catalog.get(schema, name);
                let column = found.and_then(|f| f.table().ok()).and_then(|t| t.column_by_id(*id)).map_or("?", |c| c.name.as_str());
                format!("column {column} of {}", self.describe_relation(schema, name))
            }
            Target::Key((schema, name), constraint) => format!("constraint {constraint} on {}", self.describe_relation(schema, name)),
            Target::Index(_, index) => format!("index {index}"),
        }
    }

    fn describe_relation(&self, schema: &str, name: &str) -> String {
        self.scope
            .catalog
            .get(schema, name)
            .map_or_else(|| name.to_string(), |f| format!("{} {}", f.relation().kind(), self.scope.shown(&f)))
    }

    fn notices(&self) -> Vec<Notice> {
        let describe = |dependent: &Dependent| match dependent {
            Dependent::Relation((schema, name)) => self.describe_relation(schema, name),
            Dependent::Extension(name) => format!("extension {name}"),
            Dependent::Default(table, id) => format!("default value for {}", self.describe(&Target::Column(table.clone(), *id))),
            Dependent::ForeignKey(table, _, name) => self.describe(&Target::Key(table.clone(), name.clone())),
        };
        let lines: Vec<String> = self.dependents.keys().map(|d| format!("drop cascades to {}", describe(d))).collect();
        match lines.len() {
            0 => Vec::new(),
            1 => lines.into_iter().map(|line| notice(SUCCESS, line)).collect(),
            n => {
                let mut notice = notice(SUCCESS, format!("drop cascades to {n} other objects"));
                notice.error.detail = Some(lines.join("\n"));
                vec![notice]
            }
        }
    }

    /// Defaults and foreign keys, by their tables.
    fn dependents_in_tables(&self) -> BTreeMap<&(String, String), Vec<&Dependent>> {
        let mut tables: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for dependent in self.dependents.keys() {
            if let Dependent::Default(table, _) | Dependent::ForeignKey(table, ..) = dependent {
                tables.entry(table).or_default().push(dependent);
            }
        }
        tables
    }

    fn changes(self, scope: Scope<'_>, targets: &[Target]) -> Result<Vec<Change>> {
        let mut gone: Vec<(String, String)> = targets.iter().filter_map(Target::relation).cloned().collect();
        gone.extend(self.owned.iter().cloned());
        gone.extend(self.dependents.keys().filter_map(Dependent::relation).cloned());
        gone.sort();
        gone.dedup();
        let mut changes = Vec::new();
        for (table, dependents) in self.dependents_in_tables() {
            // The caller takes care of a table of which a part goes.
            let is_callers = targets.iter().any(|target| target.table() == Some(table));
            if !gone.contains(table) && !is_callers {
                changes.push(without(scope, table, &dependents)?);
            }
        }
        changes.extend(gone.into_iter().map(|(schema, name)| Change::DropRelation(schema, name)));
        changes.extend(self.dependents.keys().filter_map(|dependent| match dependent {
            Dependent::Extension(name) => Some(Change::PutExtension(name.clone(), None)),
            _ => None,
        }));
        changes.extend(targets.iter().filter_map(|target| match target {
            Target::Schema(name) => Some(Change::DropSchema(name.clone())),
            _ => None,
        }));
        Ok(changes)
    }
}

impl Target {
    fn relation(&self) -> Option<&(String, String)> {
        match self {
            Target::Relation(place) => Some(place),
            _ => None,
        }
    }
    /// The table of which it is a part.
    fn table(&self) -> Option<&(String, String)> {
        match self {
            Target::Column(table, _) | Target::Key(table, _) | Target::Index(table, _) => Some(table),
            Target::Schema(_) | Target::Relation(_) => None,
        }
    }
}

/// A table without some defaults and foreign keys.
fn without(scope: Scope<'_>, (schema, name): &(String, String), dependents: &[&Dependent]) -> Result<Change> {
    let found = scope.catalog.get(schema, name).ok_or_else(|| SqlError::internal("a table vanished"))?;
    let mut table = found.table()?.clone();
    dependents.iter().for_each(|dependent| dependent.leave(&mut table));
    Ok(put(&found, Relation::Table(table)))
}

impl Dependent {
    fn relation(&self) -> Option<&(String, String)> {
        match self {
            Self::Relation(place) => Some(place),
            Self::Default(..) | Self::ForeignKey(..) | Self::Extension(_) => None,
        }
    }
    fn leave(&self, table: &mut TableDefinition) {
        match self {
            Self::Relation(_) | Self::Extension(_) => {}
            Self::Default(_, id) => table.columns.iter_mut().filter(|column| column.id == *id).for_each(|column| column.default = None),
            Self::ForeignKey(_, _, name) => table.constraints.retain(|constraint| constraint.name() != name),
        }
    }
}

/// Columns whose default takes numbers from a sequence.
pub fn defaults_from<'a>(scope: Scope<'a>, sequence: &Found<'_>) -> Vec<(Found<'a>, &'a ColumnDefinition)> {
    let takes = |column: &ColumnDefinition| {
        let argument = column.default.as_deref().and_then(expressions::nextval_argument)?;
        let name = QualifiedName::from_text(&argument).ok()?;
        let resolved = scope.catalog.find(&name, scope.search_path)?;
        Some(resolved.relation().oid() == sequence.relation().oid())
    };
    let mut found = Vec::new();
    for table in scope.catalog.all() {
        if let Relation::Table(definition) = table.relation() {
            found.extend(definition.columns.iter().filter(|column| takes(column) == Some(true)).map(|column| (table, column)));
        }
    }
    found
}
