//! What the statements of the session's own grammar say.

use super::cursors::{Declare, Direction};
use super::{drop_absent, extension, physical, vacuum};
use crate::error::SqlError;
use crate::session::Statement;
use crate::session::copy_options::CopyStatement;
use crate::session::explain_placement::ExplainPlacement;
use crate::session::lock_table::LockTable;
use crate::session::role_grammar::AccessStatement;
use datafusion::sql::sqlparser::ast::{self, DataType, Expr, ObjectName};

/// A statement of the session's own grammar.
#[derive(Clone, Debug)]
pub enum Ours {
    /// BEGIN, START TRANSACTION.
    Begin(TransactionModes),
    /// COMMIT, END.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(String),
    /// SET TRANSACTION; with `session`: SET SESSION CHARACTERISTICS.
    SetTransaction {
        /// The modes.
        modes: TransactionModes,
        /// For the transactions to come.
        session: bool,
    },
    /// SET.
    Set {
        /// SET LOCAL.
        local: bool,
        /// The setting, lower case.
        name: String,
        /// Its values as text; `None` is DEFAULT.
        values: Option<Vec<String>>,
    },
    /// RESET; `None` is ALL.
    Reset(Option<String>),
    /// SHOW; `None` is ALL.
    Show(Option<String>),
    /// DISCARD; whether ALL.
    Discard {
        /// DISCARD ALL, rather than PLANS, SEQUENCES or TEMP.
        kind: DiscardKind,
    },
    /// PREPARE.
    Prepare {
        /// Its name.
        name: String,
        /// Declared parameter types.
        types: Vec<DataType>,
        /// What is prepared.
        statement: Statement,
    },
    /// EXECUTE.
    Execute {
        /// The prepared statement.
        name: String,
        /// Its parameters.
        arguments: Vec<Expr>,
    },
    /// DEALLOCATE; `None` is ALL.
    Deallocate(Option<String>),
    /// DECLARE.
    Declare(Box<Declare>),
    /// FETCH and MOVE.
    Fetch {
        /// Where to.
        direction: Direction,
        /// The cursor.
        name: String,
        /// MOVE.
        moves: bool,
    },
    /// CLOSE; `None` is ALL.
    Close(Option<String>),
    /// COPY.
    Copy(Box<CopyStatement>),
    /// EXPLAIN PLACEMENT.
    ExplainPlacement(ExplainPlacement),
    /// CREATE SEQUENCE.
    CreateSequence {
        /// TEMPORARY.
        temporary: bool,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// Its name.
        name: ObjectName,
        /// Its options.
        options: Vec<SequenceOption>,
    },
    /// ALTER SEQUENCE.
    AlterSequence {
        /// IF EXISTS.
        if_exists: bool,
        /// Its name.
        name: ObjectName,
        /// Its options.
        options: Vec<SequenceOption>,
    },
    /// ALTER {TABLE | VIEW | SEQUENCE} ... RENAME TO.
    Rename {
        /// What it must be.
        kind: RelationKind,
        /// IF EXISTS.
        if_exists: bool,
        /// What to rename.
        name: ObjectName,
        /// The new name.
        to: String,
    },
    /// ALTER {TABLE | VIEW | SEQUENCE} ... SET SCHEMA.
    SetSchema {
        /// What it must be.
        kind: RelationKind,
        /// IF EXISTS.
        if_exists: bool,
        /// What to move.
        name: ObjectName,
        /// The other schema.
        schema: String,
    },
    /// Roles and privileges.
    Access(Box<AccessStatement>),
    /// SET ROLE; `None` is NONE.
    SetRole {
        /// SET LOCAL.
        local: bool,
        /// The role.
        role: Option<String>,
    },
    /// SET SESSION AUTHORIZATION; `None` is DEFAULT.
    SetSessionAuthorization {
        /// SET LOCAL.
        local: bool,
        /// The role.
        role: Option<String>,
    },
    /// COMMENT ON CONSTRAINT.
    CommentOnConstraint {
        /// The constraint.
        constraint: String,
        /// Its table.
        table: ObjectName,
        /// What is said; `None` takes it back.
        text: Option<String>,
    },
    /// VACUUM, ANALYZE.
    Vacuum(vacuum::Vacuum),
    /// LOCK.
    LockTable(LockTable),
    /// CREATE EXTENSION.
    CreateExtension(extension::CreateExtension),
    /// DROP EXTENSION.
    DropExtension(extension::DropExtension),
    /// REINDEX, and ALTER TABLE of how a table is stored.
    Physical(physical::Physical),
    /// A statement that does nothing here, and nothing needs to be done: its tag.
    Nothing(&'static str),
    /// ALTER INDEX ... RENAME TO.
    RenameIndex {
        /// IF EXISTS.
        if_exists: bool,
        /// The index.
        name: ObjectName,
        /// Its new name.
        to: String,
    },
    /// DROP of what this server has none of.
    DropAbsent(drop_absent::DropAbsent),
    /// SET CONSTRAINTS.
    SetConstraints {
        /// Names of constraints; none: ALL.
        names: Vec<ast::ObjectName>,
        /// Or IMMEDIATE.
        deferred: bool,
    },
    /// ALTER TABLE ... ALTER CONSTRAINT.
    AlterConstraint {
        /// IF EXISTS.
        if_exists: bool,
        /// The table.
        table: ast::ObjectName,
        /// The constraint.
        constraint: String,
        /// DEFERRABLE or NOT DEFERRABLE, where it is said.
        deferrable: Option<bool>,
        /// INITIALLY DEFERRED.
        deferred: bool,
    },
    /// A statement that PostgreSQL has and this server has not.
    Unsupported(Box<SqlError>),
}

/// BEGIN's modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionModes {
    /// READ ONLY, READ WRITE.
    pub read_only: Option<bool>,
    /// ISOLATION LEVEL, as SHOW prints it.
    pub isolation: Option<&'static str>,
}

/// DISCARD's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardKind {
    /// Everything.
    All,
    /// Cached plans (there are none).
    Plans,
    /// currval, lastval.
    Sequences,
    /// Temporary tables.
    Temp,
}

impl DiscardKind {
    /// The command's tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::All => "DISCARD ALL",
            Self::Plans => "DISCARD PLANS",
            Self::Sequences => "DISCARD SEQUENCES",
            Self::Temp => "DISCARD TEMP",
        }
    }
}

/// What ALTER is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// ALTER TABLE (PostgreSQL lets it rename views and sequences too).
    Table,
    /// ALTER VIEW.
    View,
    /// ALTER SEQUENCE.
    Sequence,
}

/// One option of CREATE or ALTER SEQUENCE.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceOption {
    /// AS smallint, integer, bigint.
    As(DataType),
    /// INCREMENT BY.
    Increment(i64),
    /// MINVALUE, NO MINVALUE.
    Min(Option<i64>),
    /// MAXVALUE, NO MAXVALUE.
    Max(Option<i64>),
    /// START WITH.
    Start(i64),
    /// RESTART [WITH].
    Restart(Option<i64>),
    /// CACHE: kept to be shown, the server has a cache of its own.
    Cache(i64),
    /// CYCLE, NO CYCLE.
    Cycle(bool),
    /// OWNED BY; `None` is NONE.
    OwnedBy(Option<ObjectName>),
}
