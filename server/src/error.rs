//! Errors as PostgreSQL reports them: SQLSTATE, message, detail, hint, position.
//!
//! `error/mapping.rs` turns the errors of the libraries beneath into these.

mod mapping;
mod place;
mod planning;
mod shown_calls;

pub use place::Place;

use datafusion::sql::sqlparser::tokenizer::Span;
use std::borrow::Cow;
use std::fmt;

/// The result of everything that a statement does.
pub type Result<T, E = SqlError> = std::result::Result<T, E>;

/// A five-character SQLSTATE code; the names are PostgreSQL's (errcodes.txt).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlState(pub &'static str);

macro_rules! sqlstates {
    ($($(#[$doc:meta])* $name:ident = $code:literal),* $(,)?) => {
        impl SqlState { $($(#[$doc])* #[allow(missing_docs)] pub const $name: SqlState = SqlState($code);)* }
    };
}

sqlstates! {
    PROTOCOL_VIOLATION = "08P01",
    FEATURE_NOT_SUPPORTED = "0A000",
    STRING_DATA_RIGHT_TRUNCATION = "22001",
    NUMERIC_VALUE_OUT_OF_RANGE = "22003",
    NULL_VALUE_NOT_ALLOWED = "22004",
    INVALID_DATETIME_FORMAT = "22007",
    DATETIME_FIELD_OVERFLOW = "22008",
    DIVISION_BY_ZERO = "22012",
    INTERVAL_FIELD_OVERFLOW = "22015",
    INVALID_PARAMETER_VALUE = "22023",
    INVALID_TEXT_REPRESENTATION = "22P02",
    INVALID_BINARY_REPRESENTATION = "22P03",
    BAD_COPY_FILE_FORMAT = "22P04",
    CHARACTER_NOT_IN_REPERTOIRE = "22021",
    NOT_NULL_VIOLATION = "23502",
    FOREIGN_KEY_VIOLATION = "23503",
    UNIQUE_VIOLATION = "23505",
    CHECK_VIOLATION = "23514",
    CARDINALITY_VIOLATION = "21000",
    ACTIVE_SQL_TRANSACTION = "25001",
    NO_ACTIVE_SQL_TRANSACTION = "25P01",
    IN_FAILED_SQL_TRANSACTION = "25P02",
    READ_ONLY_SQL_TRANSACTION = "25006",
    INVALID_SQL_STATEMENT_NAME = "26000",
    INVALID_AUTHORIZATION_SPECIFICATION = "28000",
    INVALID_PASSWORD = "28P01",
    DEPENDENT_OBJECTS_STILL_EXIST = "2BP01",
    INVALID_CURSOR_NAME = "34000",
    INVALID_CATALOG_NAME = "3D000",
    INVALID_SCHEMA_NAME = "3F000",
    SERIALIZATION_FAILURE = "40001",
    DEADLOCK_DETECTED = "40P01",
    SYNTAX_ERROR = "42601",
    INSUFFICIENT_PRIVILEGE = "42501",
    GROUPING_ERROR = "42803",
    DATATYPE_MISMATCH = "42804",
    WRONG_OBJECT_TYPE = "42809",
    GENERATED_ALWAYS = "428C9",
    WINDOWING_ERROR = "42P20",
    INVALID_RECURSION = "42P19",
    INVALID_LIMIT = "2201W",
    INVALID_OFFSET = "2201X",
    INVALID_ARGUMENT_FOR_LOGARITHM = "2201E",
    INVALID_ARGUMENT_FOR_POWER = "2201F",
    INVALID_REGULAR_EXPRESSION = "2201B",
    INVALID_ESCAPE_SEQUENCE = "22025",
    SUBSTRING_ERROR = "22011",
    INVALID_SAVEPOINT = "3B001",
    UNDEFINED_COLUMN = "42703",
    UNDEFINED_FUNCTION = "42883",
    CANNOT_COERCE = "42846",
    UNDEFINED_TABLE = "42P01",
    UNDEFINED_PARAMETER = "42P02",
    UNDEFINED_OBJECT = "42704",
    DUPLICATE_COLUMN = "42701",
    DUPLICATE_ALIAS = "42712",
    DUPLICATE_TABLE = "42P07",
    DUPLICATE_SCHEMA = "42P06",
    DUPLICATE_OBJECT = "42710",
    DUPLICATE_DATABASE = "42P04",
    DUPLICATE_CURSOR = "42P03",
    DUPLICATE_PREPARED_STATEMENT = "42P05",
    AMBIGUOUS_COLUMN = "42702",
    AMBIGUOUS_FUNCTION = "42725",
    INDETERMINATE_DATATYPE = "42P18",
    INVALID_COLUMN_REFERENCE = "42P10",
    INVALID_TABLE_DEFINITION = "42P16",
    INVALID_OBJECT_DEFINITION = "42P17",
    INVALID_COLUMN_DEFINITION = "42611",
    INVALID_FOREIGN_KEY = "42830",
    INVALID_NAME = "42602",
    DISK_FULL = "53100",
    OUT_OF_MEMORY = "53200",
    TOO_MANY_CONNECTIONS = "53300",
    PROGRAM_LIMIT_EXCEEDED = "54000",
    OBJECT_IN_USE = "55006",
    CANT_CHANGE_RUNTIME_PARAM = "55P02",
    LOCK_NOT_AVAILABLE = "55P03",
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000",
    QUERY_CANCELED = "57014",
    ADMIN_SHUTDOWN = "57P01",
    CANNOT_CONNECT_NOW = "57P03",
    IO_ERROR = "58030",
    UNDEFINED_FILE = "58P01",
    STATEMENT_TOO_COMPLEX = "54001",
    UNTRANSLATABLE_CHARACTER = "22P05",
    FLOATING_POINT_EXCEPTION = "22P01",
    INTERNAL_ERROR = "XX000",
    DATA_CORRUPTED = "XX001",
}

/// What an error is about, for clients that read it as fields of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorSubject {
    /// The table's schema.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The constraint.
    pub constraint: Option<String>,
}

/// An error as the client sees it.
#[derive(Clone, Debug)]
pub struct SqlError {
    /// The code.
    pub state: SqlState,
    /// The primary message: one line, lower case, no full stop.
    pub message: Cow<'static, str>,
    /// What exactly was found.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// One-based character position in the statement's text.
    pub position: Option<usize>,
    /// Where it happened, for instance `COPY t, line 3`.
    pub context: Option<String>,
    /// Where in the text it is, until [`SqlError::located`] makes a position of it.
    pub place: Option<Place>,
    /// What it is about, where that has a name.
    pub subject: Option<Box<ErrorSubject>>,
}

impl SqlError {
    /// An error with a code and a primary message.
    pub fn new(state: SqlState, message: impl Into<Cow<'static, str>>) -> Self {
        Self { state, message: message.into(), detail: None, hint: None, position: None, context: None, place: None, subject: None }
    }
    /// Something that PostgreSQL can do and this server does not.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"))
    }
    /// A broken invariant of ours.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SqlState::INTERNAL_ERROR, message)
    }
    /// Adds a detail.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
    /// Adds a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Says where it happened, behind what is said of that already: from the inside out.
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        let context = context.into();
        self.context = Some(match self.context.take() {
            Some(inner) => format!("{inner}\n{context}"),
            None => context,
        });
        self
    }
    /// Says which table it is about.
    pub fn of_table(mut self, schema: &str, table: &str) -> Self {
        let subject = self.subject.get_or_insert_default();
        (subject.schema, subject.table) = (Some(schema.to_string()), Some(table.to_string()));
        self
    }
    /// Says which column of the table.
    pub fn of_column(mut self, column: &str) -> Self {
        self.subject.get_or_insert_default().column = Some(column.to_string());
        self
    }
    /// Says which constraint of the table.
    pub fn of_constraint(mut self, constraint: &str) -> Self {
        self.subject.get_or_insert_default().constraint = Some(constraint.to_string());
        self
    }
    /// A call of a function that there is not, as in `upper(integer)`.
    pub fn undefined_function(call: &str) -> Self {
        if let Some(operation) = shown_calls::operation(call) {
            return Self::undefined_operator(&operation);
        }
        if let Some((state, message)) = shown_calls::phrase(call) {
            return Self::new(state, message);
        }
        let call = shown_calls::call(call);
        Self::new(SqlState::UNDEFINED_FUNCTION, format!("function {call} does not exist"))
            .with_hint("No function matches the given name and argument types. You might need to add explicit type casts.")
    }
    /// A use of an operator that there is not, as in `text = integer`.
    pub fn undefined_operator(operation: &str) -> Self {
        let is_unary = operation.starts_with(|first: char| !first.is_alphanumeric() && !"\"_".contains(first));
        let hint = match is_unary {
            true => "No operator matches the given name and argument type. You might need to add an explicit type cast.",
            false => "No operator matches the given name and argument types. You might need to add explicit type casts.",
        };
        Self::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {operation}")).with_hint(hint)
    }
    /// A condition that is none.
    pub fn not_boolean(clause: &str, type_name: &str) -> Self {
        Self::new(SqlState::DATATYPE_MISMATCH, format!("argument of {clause} must be type boolean, not type {type_name}"))
    }
    /// Says where in the statement's text it is, if it is not known yet.
    pub fn at(self, span: Span) -> Self {
        self.placed(Place::of(span))
    }
    /// The same with a place of any kind; `None` if it is not known.
    pub fn placed(mut self, place: Option<Place>) -> Self {
        if self.place.is_none() && self.position.is_none() {
            self.place = place;
        }
        self
    }
    /// The same where the place may be unknown.
    pub fn at_place(self, span: Option<Span>) -> Self {
        match span {
            Some(span) => self.at(span),
            None => self,
        }
    }
    /// Forgets where in the text it is: the text is none that the client wrote.
    pub fn without_place(mut self) -> Self {
        (self.place, self.position) = (None, None);
        self
    }
    /// Makes a position of the place, with the text in which it is.
    pub fn located(mut self, sql: &str) -> Self {
        if let Some(place) = self.place.take() {
            self.position = self.position.or_else(|| place.position_in(sql));
        }
        self
    }
    /// Resolves a place that the parser gave as line and column (` at Line: 1, Column: 8`) into a character position, with the text of which
    /// it spoke; the message then says `at or near` as PostgreSQL does where the parser named the token.
    pub fn with_position_in(self, sql: &str) -> Self {
        let mut error = self.located(sql);
        let Some((start, line, column)) = mapping::line_and_column(&error.message) else { return error };
        error.position = error.position.or_else(|| place::character_position(sql, line, column));
        let message = error.message[..start].trim_end().to_string();
        error.message = message.into();
        error
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.state.0)
    }
}

impl std::error::Error for SqlError {}

/// Carries an [`SqlError`] through DataFusion and back unharmed.
impl From<SqlError> for datafusion::error::DataFusionError {
    fn from(error: SqlError) -> Self {
        Self::External(Box::new(error))
    }
}
