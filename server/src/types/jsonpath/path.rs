//! The tree of a path.

/// A path expression and its mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// `lax`, the default, as opposed to `strict`.
    pub lax: bool,
    /// What is evaluated.
    pub path: Path,
}

/// A value and the steps taken from it.
pub type Path = Vec<Step>;

/// Something that has a value, or is taken from one.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    /// `$name`
    Variable(String),
    /// `null`, `true`, `1`, `"a"`, as JSON.
    Literal(String),
    /// `.name`
    Key(String),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[1, 2 to last]`
    Elements(Vec<(Path, Option<Path>)>),
    /// `.**{a to b}`; `None` is `last`.
    Descendants(Option<u32>, Option<u32>),
    /// `? (condition)`
    Filter(Path),
    /// `.size()`
    Method(Method),
    /// `.datetime("template")`
    Datetime(Option<String>),
    /// `a + b`
    Arithmetic(Operator, Path, Path),
    /// `+a`, `-a`
    Signed(Operator, Path),
    /// `a == b`
    Compare(Comparison, Path, Path),
    /// `a && b`
    And(Path, Path),
    /// `a || b`
    Or(Path, Path),
    /// `!(a)`
    Not(Path),
    /// `(a) is unknown`
    IsUnknown(Path),
    /// `exists (a)`
    Exists(Path),
    /// `a starts with b`
    StartsWith(Path, Path),
    /// `a like_regex "pattern" flag "i"`
    LikeRegex(Path, String, String),
}

/// Methods without arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Type,
    Size,
    Abs,
    Floor,
    Ceiling,
    Double,
    Keyvalue,
}

impl Method {
    /// The method of a name.
    pub fn named(name: &str) -> Option<Self> {
        use Method::{Abs, Ceiling, Double, Floor, Keyvalue, Size, Type};
        [Type, Size, Abs, Floor, Ceiling, Double, Keyvalue].into_iter().find(|method| method.name() == name)
    }
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Size => "size",
            Self::Abs => "abs",
            Self::Floor => "floor",
            Self::Ceiling => "ceiling",
            Self::Double => "double",
            Self::Keyvalue => "keyvalue",
        }
    }
}

/// Operators of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Operator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Step {
    /// Whether it is true, false or unknown, rather than items.
    pub fn is_predicate(&self) -> bool {
        matches!(
            self,
            Self::Compare(..)
                | Self::And(..)
                | Self::Or(..)
                | Self::Not(_)
                | Self::IsUnknown(_)
                | Self::Exists(_)
                | Self::StartsWith(..)
                | Self::LikeRegex(..)
        )
    }
}
