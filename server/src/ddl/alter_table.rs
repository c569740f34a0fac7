//! ALTER TABLE, one operation at a time, each decided on the catalog that the one before left.

use super::create_table::{self, NewColumn};
use super::decision::{Change, Check, Decision, Ids, KeyText, SUCCESS, Scope, notice, place, put, relation_exists};
use super::drop::{self, Target};
use super::retype::Retyping;
use super::{column_types, constraints, expressions, foreign_keys, generated, index_constraints, indexes, sequences, storage_parameters};
use crate::catalog::lookup::Found;
use crate::catalog::names::fold;
use crate::catalog::{ColumnDefinition, Constraint, Identity, Relation, TableDefinition, temporary};
use crate::error::{Result, SqlError, SqlState};
use crate::session::grammar::SequenceOption;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation, ColumnDef, DropBehavior, Expr, GeneratedAs, Ident, RenameTableNameKind, TableConstraint,
};
use storage::ColumnId;

/// Decides one operation. `missing` is the value that rows present get in a column that this operation adds, evaluated by the caller.
pub fn alter(
    scope: Scope<'_>,
    ids: &mut Ids,
    found: Found<'_>,
    operation: &AlterTableOperation,
    missing: Option<String>,
) -> Result<Decision> {
    if let AlterTableOperation::RenameTable { table_name } = operation {
        let (RenameTableNameKind::To(to) | RenameTableNameKind::As(to)) = table_name;
        return rename_relation(scope, found, &scope.name(to)?.name);
    }
    if let (Relation::View(_), AlterTableOperation::RenameColumn { .. }) = (found.relation(), operation) {
        return Err(SqlError::unsupported("renaming a view's column").with_hint("Drop and create the view."));
    }
    let alteration = Alteration { scope, found, table: found.table()?.clone() };
    match operation {
        AlterTableOperation::AddColumn { if_not_exists, column_def, .. } => alteration.add_column(ids, column_def, *if_not_exists, missing),
        AlterTableOperation::DropColumn { column_names, if_exists, drop_behavior, .. } => {
            alteration.drop_columns(column_names, *if_exists, matches!(drop_behavior, Some(DropBehavior::Cascade)))
        }
        AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
            alteration.rename_column(&fold(old_column_name), &fold(new_column_name))
        }
        AlterTableOperation::AlterColumn { column_name, op } => alteration.alter_column(ids, &fold(column_name), op),
        AlterTableOperation::AddConstraint { constraint: TableConstraint::PrimaryKeyUsingIndex(using), .. } => {
            index_constraints::adopt(alteration.scope, &alteration.found, using, true)
        }
        AlterTableOperation::AddConstraint { constraint: TableConstraint::UniqueUsingIndex(using), .. } => {
            index_constraints::adopt(alteration.scope, &alteration.found, using, false)
        }
        AlterTableOperation::AddConstraint { not_valid, constraint } => alteration.add_constraint(constraint, *not_valid),
        AlterTableOperation::DropConstraint { if_exists, name, drop_behavior } => {
            alteration.drop_constraint(&fold(name), *if_exists, matches!(drop_behavior, Some(DropBehavior::Cascade)))
        }
        AlterTableOperation::ValidateConstraint { name } => alteration.validate_constraint(&fold(name)),
        AlterTableOperation::RenameConstraint { old_name, new_name } => alteration.rename_constraint(&fold(old_name), &fold(new_name)),
        AlterTableOperation::SetOptionsParens { options } => {
            storage_parameters::check(options)?;
            Ok(Decision::default())
        }
        AlterTableOperation::DisableTrigger { name } => triggers(scope, &found, name, false),
        AlterTableOperation::EnableTrigger { name } => triggers(scope, &found, name, true),
        AlterTableOperation::ClusterBy { exprs } => alteration.cluster_by(exprs),
        AlterTableOperation::DropClusteringKey => alteration.cluster_by(&[]),
        AlterTableOperation::OwnerTo { .. } => Err(SqlError::unsupported("OWNER TO").with_hint("There are no roles yet.")),
        other => Err(SqlError::unsupported(format!("ALTER TABLE ... {other}"))),
    }
}

/// Tables have no triggers but those by which PostgreSQL enforces foreign keys; one that is named does not exist.
fn triggers(scope: Scope<'_>, found: &Found<'_>, name: &Ident, enabled: bool) -> Result<Decision> {
    match fold(name).as_str() {
        "all" => foreign_keys::set_enabled(scope, found, enabled),
        "user" => Ok(Decision::default()),
        name => {
            let message = format!("trigger \"{name}\" for table \"{}\" does not exist", found.name);
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
    }
}

/// The column that an operation adds, so that the caller can evaluate its default.
pub fn added_column(operation: &AlterTableOperation) -> Result<Option<NewColumn>> {
    match operation {
        AlterTableOperation::AddColumn { column_def, .. } => create_table::read_column(column_def, ColumnId(0)).map(Some),
        _ => Ok(None),
    }
}

/// Whether the column that an operation adds is there already.
pub fn is_there(found: &Found<'_>, operation: &AlterTableOperation) -> Result<bool> {
    let AlterTableOperation::AddColumn { column_def, .. } = operation else { return Ok(false) };
    Ok(found.table()?.column(&fold(&column_def.name)).is_some())
}

/// ALTER ... RENAME TO, of any relation.
pub fn rename_relation(scope: Scope<'_>, found: Found<'_>, to: &str) -> Result<Decision> {
    if scope.catalog.get(found.schema, to).is_some() {
        return Err(relation_exists(to));
    }
    refuse_with_views(scope, &found, None, "rename")?;
    let mut decision = Decision::of(vec![Change::RenameRelation(place(&found), (found.schema.to_string(), to.to_string()))]);
    if matches!(found.relation(), Relation::Sequence(_)) {
        decision.changes.extend(redirect_defaults(scope, &found, found.schema, to)?);
    }
    Ok(decision)
}

/// ALTER ... SET SCHEMA, of any relation; a table's own sequences go with it.
pub fn set_schema(scope: Scope<'_>, found: Found<'_>, schema: &str) -> Result<Decision> {
    temporary::refuse_moving([found.schema, schema])?;
    scope.catalog.require_schema(schema)?;
    if found.schema == schema {
        return Ok(Decision::default());
    }
    if let Relation::Sequence(sequence) = found.relation()
        && sequence.owned_by.is_some()
    {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot move an owned sequence into another schema"));
    }
    if scope.catalog.get(schema, found.name).is_some() {
        let message = format!("relation \"{}\" already exists in schema \"{schema}\"", found.name);
        return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
    }
    refuse_with_views(scope, &found, None, "move")?;
    let mut changes = Vec::new();
    for (sequence, _) in scope.catalog.sequences_of(found.relation().oid(), None) {
        if scope.catalog.get(schema, sequence.name).is_some() {
            return Err(relation_exists(sequence.name));
        }
        changes.push(Change::RenameRelation(place(&sequence), (schema.to_string(), sequence.name.to_string())));
        changes.extend(redirect_defaults(scope, &sequence, schema, sequence.name)?);
    }
    if matches!(found.relation(), Relation::Sequence(_)) {
        changes.extend(redirect_defaults(scope, &found, schema, found.name)?);
    }
    changes.push(Change::RenameRelation(place(&found), (schema.to_string(), found.name.to_string())));
    Ok(Decision::of(changes))
}

/// Columns whose default takes numbers from a sequence that gets another name.
fn redirect_defaults(scope: Scope<'_>, sequence: &Found<'_>, schema: &str, name: &str) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for (table, column) in drop::defaults_from(scope, sequence) {
        let mut definition = table.table()?.clone();
        let text = expressions::nextval(schema, name);
        definition.columns.iter_mut().filter(|c| c.id == column.id).for_each(|c| c.default = Some(text.clone()));
        changes.push(put(&table, Relation::Table(definition)));
    }
    Ok(changes)
}

/// Views store their text: what they name cannot change its name beneath them.
fn refuse_with_views(scope: Scope<'_>, found: &Found<'_>, column: Option<&ColumnDefinition>, verb: &str) -> Result<()> {
    let views: Vec<String> = scope
        .catalog
        .views_on(found.relation().oid(), column.map(|c| c.id))
        .map(|(view, _)| format!("view {} depends on {} {}", scope.shown(&view), found.relation().kind(), scope.shown(found)))
        .collect();
    if views.is_empty() {
        return Ok(());
    }
    let what = match column {
        Some(column) => format!("column {} of table {}", column.name, scope.shown(found)),
        None => format!("{} {}", found.relation().kind(), scope.shown(found)),
    };
    let message = format!("cannot {verb} {what} because views depend on it");
    Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .with_detail(views.join("\n"))
        .with_hint("Drop the views first, and create them again afterwards."))
}

/// ALTER TABLE ... ALTER CONSTRAINT: when a foreign key is checked.
pub fn alter_constraint(found: Found<'_>, name: &str, deferrable: Option<bool>, deferred: bool) -> Result<Decision> {
    let mut table = found.table()?.clone();
    let refused = |state, what: &str| Err(SqlError::new(state, format!("constraint \"{name}\" of relation \"{}\" {what}", found.name)));
    match table.constraints.iter_mut().find(|constraint| constraint.name() == name) {
        Some(Constraint::Foreign(key)) => (key.deferrable, key.deferred) = foreign_keys::deferrable_as(deferrable, deferred)?,
        Some(_) => return refused(SqlState::WRONG_OBJECT_TYPE, "is not a foreign key constraint"),
        None => return refused(SqlState::UNDEFINED_OBJECT, "does not exist"),
    }
    Ok(Decision::of(vec![put(&found, Relation::Table(table))]))
}

struct Alteration<'a> {
    scope: Scope<'a>,
    found: Found<'a>,
    table: TableDefinition,
}

impl Alteration<'_> {
    fn done(self) -> Decision {
        Decision::of(vec![put(&self.found, Relation::Table(self.table))])
    }

    fn column(&mut self, name: &str) -> Result<&mut ColumnDefinition> {
        self.table.require_column(self.found.name, name)?;
        self.table.columns.iter_mut().find(|column| column.name == name).ok_or_else(|| SqlError::internal("a column vanished"))
    }

    fn add_column(mut self, ids: &mut Ids, definition: &ColumnDef, if_not_exists: bool, missing: Option<String>) -> Result<Decision> {
        let name = fold(&definition.name);
        if self.table.column(&name).is_some() {
            let text = format!("column \"{name}\" of relation \"{}\" already exists", self.found.name);
            return if if_not_exists {
                Ok(Decision::skip(notice(SqlState::DUPLICATE_COLUMN, format!("{text}, skipping"))))
            } else {
                Err(SqlError::new(SqlState::DUPLICATE_COLUMN, text))
            };
        }
        if self.table.columns.len() >= create_table::COLUMNS_MAX {
            return Err(SqlError::new(SqlState("54011"), format!("tables can have at most {} columns", create_table::COLUMNS_MAX)));
        }
        let mut new = create_table::read_column(definition, ColumnId(self.table.next_column_id))?;
        generated::check_clauses(&new, self.found.name)?;
        let own = self.found.table()?.columns.len();
        self.table.next_column_id += 1;
        new.column.missing = missing;
        let fills = new.sequence.is_none() && (new.column.missing.is_some() || !needs_value(&new));
        self.table.columns.push(new.column.clone());
        let before_constraints = self.table.constraints.len();
        for constraint in &new.constraints {
            constraints::add(self.scope, self.found.schema, self.found.name, &mut self.table, constraint)?;
        }
        let mut decision = Decision::default();
        if let Some(options) = &new.sequence {
            let target = (self.found.schema, self.found.name);
            let (name, sequence) = create_table::own_sequence(self.scope, ids, target, &mut self.table, new.column.id, options, &[])?;
            decision.changes.push(Change::PutRelation(self.found.schema.to_string(), name, sequence));
        }
        let column = &self.table.columns[own];
        if !fills || self.table.constraints.len() > before_constraints && new.column.missing.is_some() {
            decision.before.extend(rows_must_suit(&self, &new, fills, before_constraints));
        }
        decision.after.extend(create_table::default_check(column));
        decision.after.extend(generated::check_of((self.found.schema, self.found.name), column));
        decision.after.extend(self.conditions_from(before_constraints));
        foreign_keys::touch_parents(self.scope, &self.table, before_constraints, &mut decision);
        decision.changes.push(put(&self.found, Relation::Table(self.table)));
        Ok(decision)
    }

    /// Checks of the CHECK constraints and foreign keys from an index on, which look at the rows.
    fn conditions_from(&self, start: usize) -> Vec<Check> {
        let check = |constraint: &Constraint| match constraint {
            Constraint::Check { name, expression } => {
                Some(Check::Condition { table: place(&self.found), constraint: Some(name.clone()), expression: expression.clone() })
            }
            Constraint::Foreign(key) => Some(foreign_keys::check_of(&self.found, key)).filter(|_| !key.not_valid),
            Constraint::Unique { .. } => None,
        };
        self.table.constraints[start..].iter().filter_map(check).collect()
    }

    fn drop_columns(mut self, names: &[Ident], if_exists: bool, cascade: bool) -> Result<Decision> {
        let mut decision = Decision::default();
        for name in names.iter().map(fold) {
            let Some(column) = self.table.column(&name).cloned() else {
                let text = format!("column \"{name}\" of relation \"{}\" does not exist", self.found.name);
                if !if_exists {
                    return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, text));
                }
                decision.notices.push(notice(SqlState::UNDEFINED_COLUMN, format!("{text}, skipping")));
                continue;
            };
            self.drop_generated(&column, cascade, &mut decision)?;
            let dropped = drop::decide(self.scope, vec![Target::Column(place(&self.found), column.id)], cascade)?;
            decision.changes.extend(dropped.changes);
            decision.notices.extend(dropped.notices);
            self.forget_column(&column)?;
        }
        if self.table.columns.is_empty() {
            return Err(SqlError::unsupported("a table without columns").with_hint("Use DROP TABLE."));
        }
        decision.changes.push(put(&self.found, Relation::Table(self.table)));
        Ok(decision)
    }

    /// What is computed of a column goes with it, or keeps it.
    fn drop_generated(&mut self, column: &ColumnDefinition, cascade: bool, decision: &mut Decision) -> Result<()> {
        let depending: Vec<ColumnDefinition> = generated::depending_on(&self.table, &column.name).cloned().collect();
        let table = self.scope.shown(&self.found);
        if !depending.is_empty() && !cascade {
            let line =
                |by: &ColumnDefinition| format!("column {} of table {table} depends on column {} of table {table}", by.name, column.name);
            let message = format!("cannot drop column {} of table {table} because other objects depend on it", column.name);
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .with_detail(depending.iter().map(line).collect::<Vec<_>>().join("\n"))
                .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for by in depending {
            let dropped = drop::decide(self.scope, vec![Target::Column(place(&self.found), by.id)], cascade)?;
            decision.changes.extend(dropped.changes);
            decision.notices.push(notice(SUCCESS, format!("drop cascades to column {} of table {table}", by.name)));
            decision.notices.extend(dropped.notices);
            self.forget_column(&by)?;
        }
        Ok(())
    }

    fn forget_column(&mut self, column: &ColumnDefinition) -> Result<()> {
        let mut kept = Vec::new();
        for constraint in self.table.constraints.drain(..) {
            let oid = self.table.oid;
            let refers = matches!(&constraint, Constraint::Foreign(key) if key.parent == oid && key.parent_columns.contains(&column.id));
            if !refers && !constraints::involves(&constraint, column.id, &column.name)? {
                kept.push(constraint);
            }
        }
        self.table.constraints = kept;
        let position = self.table.cluster_by.iter().position(|id| *id == column.id);
        self.table.cluster_by.truncate(position.unwrap_or(self.table.cluster_by.len()));
        indexes::forget_column(&mut self.table, column.id);
        self.table.columns.retain(|c| c.id != column.id);
        Ok(())
    }

    fn rename_column(mut self, from: &str, to: &str) -> Result<Decision> {
        let column = self.column(from)?.clone();
        create_table::check_column_name(to)?;
        if self.table.column(to).is_some() {
            let text = format!("column \"{to}\" of relation \"{}\" already exists", self.found.name);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, text));
        }
        refuse_with_views(self.scope, &self.found, Some(&column), "rename")?;
        self.column(from)?.name = to.to_string();
        indexes::rename_column(&mut self.table, column.id, from, to);
        generated::rename_column(&mut self.table, from, to)?;
        for constraint in &mut self.table.constraints {
            let texts: Vec<&mut String> = match constraint {
                Constraint::Check { expression, .. } => vec![expression],
                Constraint::Unique { options, .. } if options.names.contains(&column.id) => options.texts_mut().collect(),
                Constraint::Unique { .. } | Constraint::Foreign(_) => Vec::new(),
            };
            for text in texts {
                *text = expressions::rename_column(text, from, to)?;
            }
        }
        Ok(self.done())
    }

    fn alter_column(mut self, ids: &mut Ids, name: &str, operation: &AlterColumnOperation) -> Result<Decision> {
        let relation = self.found.name;
        let (table, in_key) = (place(&self.found), self.in_primary_key(name));
        let column = self.column(name)?;
        let mut decision = Decision::default();
        match operation {
            AlterColumnOperation::SetDefault { .. } | AlterColumnOperation::DropDefault if column.identity.is_some() => {
                let message = format!("column \"{name}\" of relation \"{relation}\" is an identity column");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            AlterColumnOperation::SetDefault { value } => {
                generated::refuse_default(column, relation, false)?;
                expressions::check_default(value)?;
                column.default = create_table::default_text(value);
                decision.after.extend(create_table::default_check(column));
            }
            AlterColumnOperation::DropDefault => {
                generated::refuse_default(column, relation, true)?;
                column.default = None;
            }
            AlterColumnOperation::SetNotNull => {
                if !column.not_null {
                    decision.before.push(Check::NoNulls { table, column: name.to_string() });
                }
                column.not_null = true;
            }
            AlterColumnOperation::DropNotNull => drop_not_null(relation, column, in_key)?,
            AlterColumnOperation::SetDataType { data_type, using, .. } => {
                let (sql_type, digits) = column_types::read(data_type)?;
                if using.is_some() || !stored_alike(column, &sql_type, digits) {
                    return Err(SqlError::internal("a change of type that rewrites the table came to the catalog"));
                }
                (column.sql_type, column.digits) = (sql_type, digits);
                let column = column.clone();
                refuse_retyping(self.scope, &self.found, &column)?;
                generated::refuse_retyping(&self.table, name)?;
            }
            AlterColumnOperation::AddGenerated { generated_as, sequence_options, .. } => {
                let identity = match generated_as {
                    Some(GeneratedAs::Always) => Identity::Always,
                    _ => Identity::ByDefault,
                };
                let options = sequences::options_of(sequence_options.as_deref().unwrap_or_default())?;
                return self.add_identity(ids, name, identity, &options);
            }
        }
        decision.changes.push(put(&self.found, Relation::Table(self.table)));
        Ok(decision)
    }

    fn add_identity(mut self, ids: &mut Ids, name: &str, identity: Identity, options: &[SequenceOption]) -> Result<Decision> {
        let relation = self.found.name;
        let column = self.column(name)?;
        let refuse = |what: &str| {
            let message = format!("column \"{name}\" of relation \"{relation}\" {what}");
            Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
        };
        match () {
            () if !matches!(column.sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8) => {
                let message = "identity column type must be smallint, integer, or bigint";
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
            () if column.identity.is_some() => return refuse("is already an identity column"),
            () if column.default.is_some() || column.generated.is_some() => return refuse("already has a default value"),
            () if !column.not_null => return refuse("must be declared NOT NULL before identity can be added"),
            () => column.identity = Some(identity),
        }
        let id = column.id;
        let target = (self.found.schema, relation);
        let (sequence, definition) = create_table::own_sequence(self.scope, ids, target, &mut self.table, id, options, &[])?;
        let changes =
            vec![Change::PutRelation(self.found.schema.to_string(), sequence, definition), put(&self.found, Relation::Table(self.table))];
        Ok(Decision::of(changes))
    }

    fn in_primary_key(&self, name: &str) -> bool {
        let id = self.table.column(name).map(|column| column.id);
        id.is_some_and(|id| self.table.primary_key().is_some_and(|key| key.contains(&id)))
    }

    fn add_constraint(mut self, constraint: &TableConstraint, not_valid: bool) -> Result<Decision> {
        let start = self.table.constraints.len();
        let name = constraints::add(self.scope, self.found.schema, self.found.name, &mut self.table, constraint)?;
        match self.table.constraints.last_mut() {
            Some(Constraint::Foreign(key)) => key.not_valid = not_valid,
            _ if not_valid => return Err(SqlError::unsupported("NOT VALID")),
            _ => {}
        }
        let mut decision = Decision::default();
        foreign_keys::touch_parents(self.scope, &self.table, start, &mut decision);
        if let Some(Constraint::Unique { columns, primary, .. }) = self.table.constraints.last() {
            let names: Vec<String> = columns.iter().filter_map(|id| self.table.column_by_id(*id)).map(|c| c.name.clone()).collect();
            let was_null = |name: &&String| self.found.table().is_ok_and(|t| t.column(name).is_some_and(|c| !c.not_null));
            let nulls = names.iter().filter(|_| *primary).filter(was_null);
            decision.before.extend(nulls.map(|column| Check::NoNulls { table: place(&self.found), column: column.clone() }));
            let key = self.table.constraints.last().and_then(|key| KeyText::of(&self.table, key));
            decision.before.extend(key.map(|key| Check::UniqueKeys { table: place(&self.found), constraint: name, key }));
        }
        decision.after = self.conditions_from(start);
        decision.changes.push(put(&self.found, Relation::Table(self.table)));
        Ok(decision)
    }

    fn drop_constraint(mut self, name: &str, if_exists: bool, cascade: bool) -> Result<Decision> {
        let before = self.table.constraints.len();
        let of_index = self.table.is_of_index(name);
        self.table.constraints.retain(|constraint| of_index || constraint.name() != name);
        if self.table.constraints.len() == before {
            let text = format!("constraint \"{name}\" of relation \"{}\" does not exist", self.found.name);
            return if if_exists {
                Ok(Decision::skip(notice(SqlState::UNDEFINED_OBJECT, format!("{text}, skipping"))))
            } else {
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text))
            };
        }
        let target = Target::Key(place(&self.found), name.to_string());
        let mut decision = drop::decide(self.scope, vec![target], cascade)?;
        // What relies on it within the table goes with it.
        let relying = foreign_keys::relying_on(self.scope, self.found.table()?, name);
        let own: Vec<&str> = relying.iter().filter(|by| by.table.oid == self.table.oid).map(|by| by.key.name.as_str()).collect();
        self.table.constraints.retain(|constraint| !own.contains(&constraint.name()));
        decision.changes.push(put(&self.found, Relation::Table(self.table)));
        Ok(decision)
    }

    /// VALIDATE CONSTRAINT: looks at the rows that a foreign key has not seen.
    fn validate_constraint(mut self, name: &str) -> Result<Decision> {
        let relation = self.found.name;
        let key = match self.table.constraints.iter_mut().find(|constraint| constraint.name() == name) {
            Some(Constraint::Foreign(key)) => key,
            Some(Constraint::Check { .. }) => return Ok(Decision::default()),
            Some(_) => {
                let message = format!("constraint \"{name}\" of relation \"{relation}\" is not a foreign key or check constraint");
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            None => {
                let message = format!("constraint \"{name}\" of relation \"{relation}\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
        };
        if !std::mem::take(&mut key.not_valid) {
            return Ok(Decision::default());
        }
        let mut decision = Decision { after: vec![foreign_keys::check_of(&self.found, key)], ..Decision::default() };
        decision.changes.push(put(&self.found, Relation::Table(self.table)));
        Ok(decision)
    }

    fn rename_constraint(mut self, from: &str, to: &str) -> Result<Decision> {
        if self.table.constraints.iter().any(|constraint| constraint.name() == to) {
            let text = format!("constraint \"{to}\" for relation \"{}\" already exists", self.found.name);
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
        }
        let of_index = self.table.is_of_index(from);
        let constraint = self.table.constraints.iter_mut().find(|constraint| !of_index && constraint.name() == from).ok_or_else(|| {
            let text = format!("constraint \"{from}\" for table \"{}\" does not exist", self.found.name);
            SqlError::new(SqlState::UNDEFINED_OBJECT, text)
        })?;
        match constraint {
            Constraint::Unique { name, .. } | Constraint::Check { name, .. } => *name = to.to_string(),
            Constraint::Foreign(key) => key.name = to.to_string(),
        }
        Ok(self.done())
    }

    fn cluster_by(mut self, exprs: &[Expr]) -> Result<Decision> {
        self.table.cluster_by = create_table::cluster_columns(&self.table, exprs)?;
        Ok(self.done())
    }
}

/// Whether a new column would be NULL in rows present though it must not be.
fn needs_value(new: &NewColumn) -> bool {
    new.column.not_null || new.constraints.iter().any(|c| matches!(c, TableConstraint::PrimaryKey(_)))
}

/// What must hold of the rows present for a column to be added: a value for each where it needs one, and no second row where a default
/// would repeat in a key.
fn rows_must_suit(alteration: &Alteration<'_>, new: &NewColumn, fills: bool, constraints_before: usize) -> Option<Check> {
    let keyed = alteration.table.constraints[constraints_before..].iter().any(|c| matches!(c, Constraint::Unique { .. }));
    (!fills || keyed).then(|| Check::NoRows { table: place(&alteration.found), column: new.column.name.clone() })
}

fn drop_not_null(relation: &str, column: &mut ColumnDefinition, in_key: bool) -> Result<()> {
    if in_key {
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, format!("column \"{}\" is in a primary key", column.name)));
    }
    if column.identity.is_some() {
        let message = format!("column \"{}\" of relation \"{relation}\" is an identity column", column.name);
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    column.not_null = false;
    Ok(())
}

/// The change of a column's type that has to write the rows anew; `None` for any other operation, and where values stay as they are stored.
pub fn retyping<'a>(found: &Found<'_>, operation: &'a AlterTableOperation) -> Result<Option<Retyping<'a>>> {
    let AlterTableOperation::AlterColumn { column_name, op: AlterColumnOperation::SetDataType { data_type, using, .. } } = operation else {
        return Ok(None);
    };
    let name = fold(column_name);
    let column = found.table()?.require_column(found.name, &name)?;
    let (sql_type, digits) = column_types::read(data_type)?;
    create_table::require_storable(&sql_type)?;
    if using.is_none() && stored_alike(column, &sql_type, digits) {
        return Ok(None);
    }
    Ok(Some(Retyping { table: place(found), column: name, sql_type, digits, using: using.as_ref() }))
}

/// A column that a view reads keeps its type.
pub fn refuse_retyping(scope: Scope<'_>, found: &Found<'_>, column: &ColumnDefinition) -> Result<()> {
    let Some((view, _)) = scope.catalog.views_on(found.relation().oid(), Some(column.id)).next() else { return Ok(()) };
    let detail = format!("rule _RETURN on view {} depends on column \"{}\"", scope.shown(&view), column.name);
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot alter type of a column used by a view or rule").with_detail(detail))
}

/// Whether the values of a column are values of another type as they are stored; fewer digits round them.
fn stored_alike(column: &ColumnDefinition, to: &SqlType, digits: Option<u8>) -> bool {
    if digits.is_some_and(|digits| column.digits.is_none_or(|before| digits < before)) {
        return false;
    }
    match (&column.sql_type, to) {
        (from, to) if from == to => true,
        (SqlType::Varchar(_), SqlType::Text | SqlType::Varchar(None)) | (SqlType::Text, SqlType::Varchar(None)) => true,
        (SqlType::Varchar(Some(from)), SqlType::Varchar(Some(to))) => from <= to,
        _ => false,
    }
}
