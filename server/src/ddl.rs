//! Statements that change the catalog.
//!
//! 1. A decision is made, purely, on the catalog that the transaction sees: [`decision::Decision`].
//! 2. What must hold of the rows before is checked with queries ([`checks`]).
//! 3. The changes go into the transaction.
//! 4. What must hold after (defaults and conditions can be planned, no row violates them) is checked. A failure fails the statement, and
//!    with it the transaction: nothing is undone by hand.

use crate::access::{self, owned};
use crate::catalog::names::fold;
use crate::catalog::temporary::is_temporary;
use crate::catalog::{SchemaDefinition, keys};
use crate::engine::Engine;
use crate::error::{Result, SqlError};
use crate::ingest::Target;
use crate::ingest::copy_file::insert_rows;
use crate::query::QueryContext;
use crate::session::clauses;
use crate::session::context::ContextSource;
use crate::session::grammar::{Ours, RelationKind};
use crate::session::parse::parse_expression;
use crate::session::role_grammar::RoleName;
use crate::session::transaction::Transaction;
use crate::session::{Notice, Statement};
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast;
use decision::{Change, Decision, Ids, Scope};
use placement::{Command, Outcome, State};

pub mod alter_table;
pub mod checks;
pub mod column_types;
pub mod comments;
pub mod constraints;
pub mod create_table;
mod dates_in_definitions;
pub mod decision;
pub mod dependencies;
pub mod drop;
pub mod expressions;
pub mod extensions;
pub mod foreign_keys;
pub mod generated;
pub mod immutability;
pub mod index_constraints;
pub mod indexes;
pub mod like;
mod permission;
pub mod retype;
pub mod sequences;
pub mod storage_parameters;
pub mod view_options;
pub mod views;

/// Whether a statement changes the catalog, and so is for [`execute`].
pub fn is_ddl(statement: &Statement) -> bool {
    match statement.ours.as_deref() {
        Some(
            Ours::CreateSequence { .. }
            | Ours::AlterSequence { .. }
            | Ours::Rename { .. }
            | Ours::RenameIndex { .. }
            | Ours::SetSchema { .. }
            | Ours::Access(_)
            | Ours::AlterConstraint { .. }
            | Ours::CreateExtension(_)
            | Ours::DropExtension(_)
            | Ours::CommentOnConstraint { .. },
        ) => true,
        Some(_) => false,
        None => match &*statement.ast {
            ast::Statement::CreateTable(_)
            | ast::Statement::CreateView(_)
            | ast::Statement::CreateSchema { .. }
            | ast::Statement::AlterTable(_)
            | ast::Statement::AlterSchema(_)
            | ast::Statement::Comment { .. }
            | ast::Statement::CreateIndex(_) => true,
            ast::Statement::Drop { object_type, .. } => drop::tag(*object_type).is_some(),
            ast::Statement::Query(query) => select_into(query).is_some(),
            _ => false,
        },
    }
}

/// A transaction that a statement changes, and what it says to the client.
pub struct Execution<'a> {
    /// Makes contexts for the queries that a statement needs.
    pub source: &'a ContextSource,
    /// The transaction.
    pub transaction: &'a mut Transaction,
    /// For the client.
    pub notices: &'a mut Vec<Notice>,
}

/// Runs a statement for which [`is_ddl`] holds; answers its tag. Futures are boxed: what they hold need not lie on the stack, which planning
/// needs for itself.
pub async fn execute(execution: &mut Execution<'_>, statement: &Statement) -> Result<String> {
    match statement.ours.as_deref() {
        Some(ours) => Box::pin(execution.ours(ours)).await,
        None => {
            dates_in_definitions::check(&statement.ast, &execution.source.forms)?;
            Box::pin(execution.standard(&statement.ast)).await
        }
    }
}

impl Execution<'_> {
    fn context(&self) -> QueryContext {
        self.source.context(self.transaction.view())
    }

    async fn ours(&mut self, statement: &Ours) -> Result<String> {
        match statement {
            Ours::CreateSequence { temporary, if_not_exists, name, options } => {
                let mut ids = self.ids(1).await?;
                self.decide(|scope| sequences::create(scope, &mut ids, name, (*temporary, *if_not_exists), options)).await?;
                Ok("CREATE SEQUENCE".into())
            }
            Ours::AlterSequence { if_exists, name, options } => {
                let state = self.engine().placement.state();
                self.decide(|scope| sequences::alter(scope, name, *if_exists, options, |oid| count(&state, oid))).await?;
                Ok("ALTER SEQUENCE".into())
            }
            Ours::Rename { kind, if_exists, name, to } => {
                self.relocate(*kind, *if_exists, name, |scope, found| alter_table::rename_relation(scope, found, to)).await
            }
            Ours::RenameIndex { if_exists, name, to } => {
                self.decide(|scope| indexes::rename(scope, name, *if_exists, to)).await?;
                Ok("ALTER INDEX".into())
            }
            Ours::SetSchema { kind, if_exists, name, schema } => {
                self.relocate(*kind, *if_exists, name, |scope, found| alter_table::set_schema(scope, found, schema)).await
            }
            Ours::AlterConstraint { if_exists, table, constraint, deferrable, deferred } => {
                self.relocate(RelationKind::Table, *if_exists, table, |_, found| {
                    alter_table::alter_constraint(found, constraint, *deferrable, *deferred)
                })
                .await
            }
            Ours::Access(statement) => access::statements::execute(self, statement).await,
            Ours::CreateExtension(create) => {
                let mut ids = self.ids(1).await?;
                self.decide(|scope| extensions::create(scope, &mut ids, create)).await?;
                Ok("CREATE EXTENSION".into())
            }
            Ours::DropExtension(dropped) => {
                self.decide(|scope| extensions::drop(scope, dropped)).await?;
                Ok("DROP EXTENSION".into())
            }
            Ours::CommentOnConstraint { constraint, table, text } => {
                self.decide(|scope| comments::comment_constraint(scope, constraint, table, text.as_deref())).await?;
                Ok("COMMENT".into())
            }
            _ => Err(SqlError::internal("a statement that changes no catalog came to DDL")),
        }
    }

    async fn relocate(
        &mut self,
        kind: RelationKind,
        if_exists: bool,
        name: &ast::ObjectName,
        decide: impl FnOnce(Scope<'_>, crate::catalog::lookup::Found<'_>) -> Result<Decision>,
    ) -> Result<String> {
        let (wanted, tag) = match kind {
            RelationKind::Table => (None, "ALTER TABLE"),
            RelationKind::View => (Some("view"), "ALTER VIEW"),
            RelationKind::Sequence => (Some("sequence"), "ALTER SEQUENCE"),
        };
        self.decide(|scope| {
            let Some(found) = scope.find(name, if_exists)? else { return Ok(scope.skip_missing(name)) };
            match wanted {
                Some(wanted) if found.relation().kind() != wanted => Err(found.wrong_kind(wanted)),
                _ => scope.rights().require_owner(&found).and_then(|()| decide(scope, found)),
            }
        })
        .await?;
        Ok(tag.into())
    }

    async fn standard(&mut self, statement: &ast::Statement) -> Result<String> {
        match statement {
            ast::Statement::CreateTable(create) => Box::pin(self.create_table(create)).await,
            ast::Statement::CreateView(create) => Box::pin(self.create_view(create)).await,
            ast::Statement::Query(query) => {
                let create = select_into(query).ok_or_else(|| SqlError::internal("a query came to DDL"))?;
                Box::pin(self.create_table(&create)).await
            }
            ast::Statement::CreateSchema { schema_name, if_not_exists, with, options, default_collate_spec, clone } => {
                if with.is_some() || options.is_some() || default_collate_spec.is_some() || clone.is_some() {
                    return Err(SqlError::unsupported("an option of CREATE SCHEMA"));
                }
                self.create_schema(schema_name, *if_not_exists).await?;
                Ok("CREATE SCHEMA".into())
            }
            ast::Statement::CreateIndex(create) => Box::pin(self.create_index(create)).await,
            ast::Statement::Drop { object_type: ast::ObjectType::Index, if_exists, names, cascade, .. } => {
                self.decide(|scope| indexes::drop(scope, names, *if_exists, *cascade)).await?;
                Ok("DROP INDEX".into())
            }
            ast::Statement::Drop { object_type, if_exists, names, cascade, .. } => {
                self.decide(|scope| {
                    permission::permit_drop(scope, *object_type, names)?;
                    drop::drop(scope, *object_type, names, *if_exists, *cascade)
                })
                .await?;
                Ok(drop::tag(*object_type).unwrap_or("DROP").into())
            }
            ast::Statement::Comment { object_type, object_name, comment, .. } => {
                self.decide(|scope| comments::comment(scope, object_type, object_name, comment.as_deref())).await?;
                Ok("COMMENT".into())
            }
            ast::Statement::AlterTable(alter) => Box::pin(self.alter_table(alter)).await,
            ast::Statement::AlterSchema(alter) => Box::pin(self.alter_schema(alter)).await,
            _ => Err(SqlError::internal("a statement that changes no catalog came to DDL")),
        }
    }

    fn engine(&self) -> &Engine {
        self.transaction.engine()
    }

    /// Leases OIDs.
    pub(crate) async fn ids(&self, count: usize) -> Result<Ids> {
        let count = count as u64;
        match self.engine().placement.propose(Command::LeaseCounter { key: keys::oid_counter(), count }).await? {
            Outcome::Leased(first) => Ok(Ids::new(State::FIRST_ID.saturating_add(first), count)),
            other => Err(SqlError::internal(format!("the log answered a lease with {other:?}"))),
        }
    }

    /// Decides on what the transaction sees, and carries it out.
    pub(crate) async fn decide(&mut self, decide: impl FnOnce(Scope<'_>) -> Result<Decision>) -> Result<()> {
        let view = self.transaction.view();
        let decision = decide(self.source.scope(&view.catalog))?;
        self.carry_out(decision).await
    }

    async fn carry_out(&mut self, decision: Decision) -> Result<()> {
        let context = self.context();
        for check in &decision.before {
            self.rely_on_rows(&context, check);
            checks::run(&context, check).await?;
        }
        let before = self.transaction.view();
        let scope = self.source.scope(&before.catalog);
        decision.changes.iter().try_for_each(|change| permission::permit(scope, change))?;
        self.make_temporary_schema(&decision.changes).await?;
        let drops_schemas = decision.changes.iter().any(|change| matches!(change, Change::DropSchema(_)));
        for change in decision.changes {
            apply(self.transaction, change.clone());
            permission::adopt(scope, self.transaction, &change);
        }
        if drops_schemas {
            access::defaults::forget_dropped_schemas(self.transaction);
        }
        let context = self.context();
        for check in &decision.after {
            self.rely_on_rows(&context, check);
            checks::run(&context, check).await?;
        }
        self.notices.extend(decision.notices);
        Ok(())
    }

    /// A session's schema for what is temporary is made with the first relation in it; it is nobody's, as the system's are.
    async fn make_temporary_schema(&mut self, changes: &[Change]) -> Result<()> {
        let catalog = self.transaction.view().catalog;
        let missing = changes.iter().find_map(|change| match change {
            Change::PutRelation(schema, ..) if is_temporary(schema) && !catalog.schemas.contains_key(schema) => Some(schema),
            _ => None,
        });
        if let Some(schema) = missing {
            let oid = self.ids(1).await?.take()?;
            self.transaction.put_schema(schema, SchemaDefinition { oid });
        }
        Ok(())
    }

    /// What a check finds out about a table's rows must still hold when the transaction is committed.
    pub(super) fn rely_on_rows(&mut self, context: &QueryContext, check: &decision::Check) {
        let Some((schema, name)) = check.rows_of() else { return };
        let Some(found) = context.view.catalog.get(schema, name) else { return };
        self.transaction.relies_on_all_rows(found.relation().oid());
        if let (decision::Check::ForeignKey { constraint, .. }, Some(table)) = (check, found.relation().as_table())
            && let Some(key) = table.foreign_keys().find(|key| key.name == *constraint)
        {
            self.transaction.relies_on_no_change(key.parent);
        }
    }

    async fn create_table(&mut self, create: &ast::CreateTable) -> Result<String> {
        if let Some(query) = &create.query {
            return Box::pin(self.create_table_as(create, query)).await;
        }
        let catalog = self.transaction.view().catalog;
        let scope = self.source.scope(&catalog);
        let copied: usize = create.columns.iter().filter_map(clauses::like).map(|like| like::sequences_max(scope, &like)).sum();
        let mut ids = self.ids(1 + create.columns.len() + copied).await?;
        self.decide(|scope| create_table::create(scope, &mut ids, create)).await?;
        Ok("CREATE TABLE".into())
    }

    async fn create_table_as(&mut self, create: &ast::CreateTable, query: &ast::Query) -> Result<String> {
        let view = self.transaction.view();
        let Some((schema, name)) = create_table::target(self.source.scope(&view.catalog), create)? else {
            let mut ids = Ids::new(0, 0);
            self.decide(|scope| create_table::create(scope, &mut ids, create)).await?;
            return Ok("CREATE TABLE AS".into());
        };
        let context = self.context();
        let plan = context.plan(&ast::Statement::Query(Box::new(query.clone()))).await?;
        let output = context.output_schema(&plan);
        let declared = |at| crate::query::origin::is_declared(&plan, at);
        let columns = create_table::columns_of_query(create, &output, declared)?;
        let mut ids = self.ids(1).await?;
        self.decide(|scope| create_table::build(scope, &mut ids, schema.clone(), name.clone(), columns, create)).await?;
        let batches = context.run(plan).await?;
        let context = self.context();
        let found = context.view.catalog.get(&schema, &name).ok_or_else(|| SqlError::internal("a new table is missing"))?;
        let target = Target::new(&schema, &name, found.table()?.clone());
        let rows = insert_rows(&context, self.transaction, &target, None, batches).await?;
        Ok(format!("SELECT {rows}"))
    }

    async fn create_index(&mut self, create: &ast::CreateIndex) -> Result<String> {
        let context = self.context();
        if let Some(found) = self.source.scope(&context.view.catalog).find(&create.table_name, true)?
            && let Some(table) = found.relation().as_table()
        {
            let schema = crate::catalog::columns::arrow_schema(table);
            immutability::check_index(&context, create, (found.name, schema))?;
        }
        self.decide(|scope| indexes::create(scope, create)).await?;
        Ok("CREATE INDEX".into())
    }

    async fn create_view(&mut self, create: &ast::CreateView) -> Result<String> {
        let context = self.context();
        let plan = context.plan(&ast::Statement::Query(create.query.clone())).await?;
        let output = context.output_schema(&plan);
        let columns = output.fields().iter().map(|field| (field.name().clone(), SqlType::of_field(field))).collect();
        let depends_on = dependencies::of_query(self.source.scope(&context.view.catalog), &create.query)?;
        let mut create = create.clone();
        if let Some(spelled) = dependencies::without_wildcards(&create.query, &output).map(Box::new)
            && let Ok(plan) = context.plan(&ast::Statement::Query(spelled.clone())).await
            && same_columns(&context.output_schema(&plan), &output)
        {
            create.query = spelled;
        }
        let mut ids = self.ids(1).await?;
        self.need(&depends_on);
        self.decide(|scope| views::create(scope, &mut ids, &create, views::PlannedView { columns, depends_on })).await?;
        Ok("CREATE VIEW".into())
    }

    /// What a view reads must be there when it is committed.
    fn need(&mut self, dependencies: &[crate::catalog::Dependency]) {
        let catalog = self.transaction.view().catalog;
        for found in dependencies.iter().filter_map(|dependency| catalog.by_oid(dependency.relation)) {
            self.transaction.depends_on(found.schema, found.name);
        }
    }

    async fn alter_table(&mut self, alter: &ast::AlterTable) -> Result<String> {
        let mut name = alter.name.clone();
        for operation in &alter.operations {
            let view = self.transaction.view();
            let scope = self.source.scope(&view.catalog);
            let Some(found) = scope.find(&name, alter.if_exists)? else {
                self.notices.extend(scope.skip_missing(&name).notices);
                break;
            };
            scope.rights().require_owner(&found)?;
            let place = decision::place(&found);
            if let Some(retyping) = alter_table::retyping(&found, operation)? {
                Box::pin(self.retype(&retyping)).await?;
                continue;
            }
            if generated::is_added(operation)? && !alter_table::is_there(&found, operation)? {
                Box::pin(self.add_generated(&found, scope, operation)).await?;
                continue;
            }
            let mut ids = match operation {
                ast::AlterTableOperation::AddColumn { .. }
                | ast::AlterTableOperation::AlterColumn { op: ast::AlterColumnOperation::AddGenerated { .. }, .. } => self.ids(1).await?,
                _ => Ids::new(0, 0),
            };
            let missing = self.missing_value(&place, operation).await?;
            let decision = alter_table::alter(scope, &mut ids, found, operation, missing)?;
            self.carry_out(decision).await?;
            if let ast::AlterTableOperation::RenameTable {
                table_name: ast::RenameTableNameKind::To(to) | ast::RenameTableNameKind::As(to),
            } = operation
            {
                name = to.clone();
            }
        }
        Ok("ALTER TABLE".into())
    }

    /// What rows present hold in the column that an operation adds.
    async fn missing_value(&mut self, table: &(String, String), operation: &ast::AlterTableOperation) -> Result<Option<String>> {
        let Some(new) = alter_table::added_column(operation)? else { return Ok(None) };
        let context = self.context();
        let volatile = match &new.column.default {
            Some(default) => expressions::is_volatile(&parse_expression(default)?),
            None => false,
        };
        if volatile || new.sequence.is_some() {
            self.rely_on_rows(&context, &decision::Check::NoRows { table: table.clone(), column: new.column.name.clone() });
        }
        if (volatile || new.sequence.is_some()) && checks::has_rows(&context, table).await? {
            return Err(SqlError::unsupported("adding a column with a value of its own in each row to a table that has rows")
                .with_hint("Add the column without a default, UPDATE the rows, and set the default then."));
        }
        if volatile { Ok(None) } else { checks::default_value(&context, &new.column) }
    }

    async fn create_schema(&mut self, name: &ast::SchemaName, if_not_exists: bool) -> Result<()> {
        let owner = match name {
            ast::SchemaName::Simple(_) => None,
            ast::SchemaName::UnnamedAuthorization(owner) | ast::SchemaName::NamedAuthorization(_, owner) => Some(RoleName::of(owner)),
        };
        let before = self.transaction.view();
        let scope = self.source.scope(&before.catalog);
        let plain = match (name, &owner) {
            (ast::SchemaName::UnnamedAuthorization(_), Some(owner)) => owned::check_new_owner(self, owner)?,
            (_, Some(owner)) => owned::check_new_owner(self, owner).and_then(|_| views::schema_name(scope, name))?,
            (_, None) => views::schema_name(scope, name)?,
        };
        let exists = before.catalog.schemas.contains_key(&plain);
        let mut ids = self.ids(1).await?;
        self.decide(|scope| views::create_schema(scope, &mut ids, &plain, if_not_exists)).await?;
        match owner {
            Some(owner) if !exists => owned::give_schema(self, &plain, &owner),
            _ => Ok(()),
        }
    }

    async fn alter_schema(&mut self, alter: &ast::AlterSchema) -> Result<String> {
        let [ast::AlterSchemaOperation::Rename { name: to }] = alter.operations.as_slice() else {
            return Err(SqlError::unsupported("this form of ALTER SCHEMA"));
        };
        let last = |name: &ast::ObjectName| name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
        self.decide(|scope| views::rename_schema(scope, &last(&alter.name), &last(to))).await?;
        Ok("ALTER SCHEMA".into())
    }
}

fn same_columns(left: &arrow::datatypes::Schema, right: &arrow::datatypes::Schema) -> bool {
    let column = |field: &arrow::datatypes::FieldRef| (field.name().clone(), field.data_type().clone());
    left.fields().iter().map(column).eq(right.fields().iter().map(column))
}

fn count(state: &State, oid: u32) -> u64 {
    state.counters.get(&keys::sequence_counter(oid)).copied().unwrap_or(0)
}

fn apply(transaction: &mut Transaction, change: Change) {
    match change {
        Change::PutSchema(name, definition) => transaction.put_schema(&name, definition),
        Change::DropSchema(name) => transaction.drop_schema(&name),
        Change::PutRelation(schema, name, relation) => transaction.put_relation(&schema, &name, relation),
        Change::DropRelation(schema, name) => transaction.drop_relation(&schema, &name),
        Change::PutExtension(name, definition) => transaction.put_extension(&name, definition),
        Change::PutComments(oid, comments) => transaction.put_comments(oid, comments),
        Change::Need((schema, name)) => transaction.depends_on(&schema, &name),
        Change::Touch((schema, name)) => transaction.touch_relation(&schema, &name),
        Change::RenameRelation(from, to) => transaction.rename_relation((&from.0, &from.1), (&to.0, &to.1)),
    }
}

/// SELECT ... INTO as CREATE TABLE AS.
fn select_into(query: &ast::Query) -> Option<ast::CreateTable> {
    let ast::SetExpr::Select(select) = &*query.body else { return None };
    let into = select.into.as_ref()?;
    let mut query = query.clone();
    if let ast::SetExpr::Select(select) = &mut *query.body {
        select.into = None;
    }
    let create = ast::helpers::stmt_create_table::CreateTableBuilder::new(into.name.clone());
    Some(create.temporary(into.temporary).query(Some(Box::new(query))).build())
}

#[cfg(test)]
mod tests;
