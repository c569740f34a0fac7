//! What a statement comes to, before anything is done: changes of the catalog, and what must hold of the rows.

use crate::access::acl;
use crate::access::rights::Rights;
use crate::catalog::comments::Comments;
use crate::catalog::lookup::Found;
use crate::catalog::names::{QualifiedName, quote};
use crate::catalog::pg_catalog::expression_text;
use crate::catalog::temporary;
use crate::catalog::unique_key::KeyPart;
use crate::catalog::{Catalog, Constraint, ExtensionDefinition, Relation, SchemaDefinition, TableDefinition};
use crate::error::{Result, SqlError, SqlState};
use crate::session::Notice;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::ObjectName;

/// What a decision is made with.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// What exists, the transaction's own changes included.
    pub catalog: &'a Catalog,
    /// Where unqualified names are looked up.
    pub search_path: &'a [String],
    /// Of which the first that exists takes what is new.
    pub creation_path: &'a [String],
    /// The present database.
    pub database: &'a str,
    /// Who decides.
    pub user: &'a str,
}

impl<'a> Scope<'a> {
    /// A name as written, read.
    pub fn name(&self, name: &ObjectName) -> Result<QualifiedName> {
        QualifiedName::from_ast(name, self.database)
    }
    /// The relation of a name; 42P01 if there is none.
    pub fn require(&self, name: &ObjectName) -> Result<Found<'a>> {
        let name = self.name(name)?;
        self.look_into(&name)?;
        self.catalog.require(&name, self.search_path)
    }
    /// The relation of a name; absence is 42P01 unless IF EXISTS allows it.
    pub fn find(&self, name: &ObjectName, if_exists: bool) -> Result<Option<Found<'a>>> {
        if !if_exists {
            return self.require(name).map(Some);
        }
        let name = self.name(name)?;
        self.look_into(&name)?;
        Ok(self.catalog.find(&name, self.search_path))
    }
    /// Where a new relation goes.
    pub fn creation_schema(&self, name: &QualifiedName, is_temporary: bool) -> Result<String> {
        let own = temporary::own(self.search_path);
        match name.schema.as_deref() {
            Some(schema) if schema == temporary::ALIAS || temporary::is_temporary(schema) => {
                let own = temporary::resolved(schema, self.search_path).map(String::from);
                own.ok_or_else(|| temporary::refused("cannot create relations in temporary schemas of other sessions"))
            }
            None if is_temporary => own.map(String::from).ok_or_else(|| SqlError::internal("a session has no temporary schema")),
            _ => {
                let schema = self.catalog.creation_schema(name, self.creation_path)?;
                match is_temporary {
                    true => Err(temporary::refused("cannot create temporary relation in non-temporary schema")),
                    false => Ok(schema),
                }
            }
        }
    }
    /// What the role that decides may do.
    pub fn rights(&self) -> Rights<'a> {
        Rights::of(self.catalog, self.user)
    }
    /// 42501 where the name says a schema that the role may not look into.
    fn look_into(&self, name: &QualifiedName) -> Result<()> {
        name.schema.as_deref().map_or(Ok(()), |schema| self.rights().require_on_schema(schema, acl::USAGE))
    }
    /// What IF EXISTS says of a relation that is not there.
    pub fn skip_missing(&self, name: &ObjectName) -> Decision {
        let shown = self.name(name).map_or_else(|_| name.to_string(), |name| name.to_string());
        Decision::skip(notice(SUCCESS, format!("relation \"{shown}\" does not exist, skipping")))
    }
    /// A relation's name as messages have it: qualified only where the search path does not find it.
    pub fn shown(&self, found: &Found<'_>) -> String {
        let bare = QualifiedName { schema: None, name: found.name.to_string() };
        match self.catalog.find(&bare, self.search_path) {
            Some(visible) if visible.schema == found.schema => found.name.to_string(),
            _ => format!("{}.{}", found.schema, found.name),
        }
    }
}

/// OIDs leased for one statement.
#[derive(Debug)]
pub struct Ids {
    next: u64,
    end: u64,
}

impl Ids {
    /// `count` OIDs from `first`.
    pub fn new(first: u64, count: u64) -> Self {
        Self { next: first, end: first.saturating_add(count) }
    }
    /// The next one; 54000 when 32 bits are used up.
    pub fn take(&mut self) -> Result<u32> {
        if self.next >= self.end {
            return Err(SqlError::internal("a statement needed more OIDs than were leased for it"));
        }
        let oid = u32::try_from(self.next)
            .map_err(|_| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the OIDs of this database are used up"))?;
        self.next += 1;
        Ok(oid)
    }
}

/// One change of the catalog.
#[derive(Clone, Debug)]
pub enum Change {
    /// Creates or replaces a schema.
    PutSchema(String, SchemaDefinition),
    /// Drops a schema.
    DropSchema(String),
    /// Creates or replaces a relation: (schema, name).
    PutRelation(String, String, Relation),
    /// Drops a relation: (schema, name).
    DropRelation(String, String),
    /// Gives a relation another (schema, name).
    RenameRelation((String, String), (String, String)),
    /// Creates an extension, or drops it.
    PutExtension(String, Option<ExtensionDefinition>),
    /// Says something of the object with this OID.
    PutComments(u32, Comments),
    /// Marks a relation as changed, for whoever relies on its staying as it is: (schema, name).
    Touch((String, String)),
    /// Relies on a relation staying as it is: (schema, name).
    Need((String, String)),
}

/// What must hold for a change to go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The table has no rows; `column` is the new column that would be NULL in them.
    NoRows {
        /// (schema, table)
        table: (String, String),
        /// For the message.
        column: String,
    },
    /// A column holds no NULL.
    NoNulls {
        /// (schema, table)
        table: (String, String),
        /// The column.
        column: String,
    },
    /// No two rows have the same key.
    UniqueKeys {
        /// (schema, table)
        table: (String, String),
        /// For the message.
        constraint: String,
        /// The key.
        key: KeyText,
    },
    /// A condition can be planned as a boolean, and (with `constraint`) no row violates it.
    Condition {
        /// (schema, table)
        table: (String, String),
        /// For the message; `None`: only plan it.
        constraint: Option<String>,
        /// The condition.
        expression: String,
    },
    /// A default can be planned, and a literal one is a value of the type.
    Default {
        /// For the message.
        column: String,
        /// The column's type.
        sql_type: SqlType,
        /// The default.
        expression: String,
    },
    /// The expression of a generated column is one.
    Generated {
        /// (schema, table)
        table: (String, String),
        /// The column.
        column: String,
    },
    /// Every row refers to a key that is there.
    ForeignKey {
        /// (schema, table)
        table: (String, String),
        /// The foreign key of the table.
        constraint: String,
    },
}

/// A unique key as SQL text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyText {
    /// Its parts, and how errors show each.
    pub parts: Vec<(String, String)>,
    /// Only rows of which this is true have a key.
    pub condition: Option<String>,
    /// NULLS NOT DISTINCT.
    pub nulls_equal: bool,
}

impl KeyText {
    /// The key of a unique constraint of a table.
    pub fn of(table: &TableDefinition, constraint: &Constraint) -> Option<Self> {
        let Constraint::Unique { columns, options, .. } = constraint else { return None };
        let part = |part: KeyPart| match part {
            KeyPart::Column(id) => table.column_by_id(id).map(|column| (quote(&column.name), column.name.clone())),
            KeyPart::Expression(text) => {
                let shown = expression_text::key_part(table, &text, true);
                Some((text, shown))
            }
        };
        let parts = table.key_parts(columns, options).into_iter().filter_map(part).collect();
        Some(Self { parts, condition: options.condition.clone(), nulls_equal: options.nulls_equal })
    }
}

impl Check {
    /// The table whose rows it looks at, if it does.
    pub fn rows_of(&self) -> Option<&(String, String)> {
        match self {
            Check::NoRows { table, .. } | Check::NoNulls { table, .. } | Check::UniqueKeys { table, .. } => Some(table),
            Check::Condition { table, constraint: Some(_), .. } | Check::ForeignKey { table, .. } => Some(table),
            Check::Condition { constraint: None, .. } | Check::Default { .. } | Check::Generated { .. } => None,
        }
    }
}

/// What a statement comes to.
#[derive(Debug, Default)]
pub struct Decision {
    /// Must hold before the changes.
    pub before: Vec<Check>,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Must hold after them.
    pub after: Vec<Check>,
    /// For the client.
    pub notices: Vec<Notice>,
}

impl Decision {
    /// Nothing to do, and why.
    pub fn skip(notice: Notice) -> Self {
        Self { notices: vec![notice], ..Self::default() }
    }
    /// Changes only.
    pub fn of(changes: Vec<Change>) -> Self {
        Self { changes, ..Self::default() }
    }
}

/// A notice.
pub fn notice(state: SqlState, message: impl Into<String>) -> Notice {
    Notice { severity: "NOTICE", error: SqlError::new(state, message.into()) }
}

/// A relation's place as owned names.
pub fn place(found: &Found<'_>) -> (String, String) {
    (found.schema.to_string(), found.name.to_string())
}

/// Replaces a relation where it is.
pub fn put(found: &Found<'_>, relation: Relation) -> Change {
    Change::PutRelation(found.schema.to_string(), found.name.to_string(), relation)
}

/// 42P07.
pub fn relation_exists(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"))
}

/// SQLSTATE of a notice that is not about anything in particular.
pub const SUCCESS: SqlState = SqlState("00000");
