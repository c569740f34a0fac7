//! The options of EXPLAIN: PostgreSQL's names, defaults and errors.

use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast;

/// How the plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(super) enum Format {
    Text,
    Json,
    Xml,
    Yaml,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(super) struct Style {
    /// The query is run, and what it took is shown.
    pub analyze: bool,
    /// Projections, output columns and every metric of each node.
    pub verbose: bool,
    /// Estimates of rows and their width.
    pub costs: bool,
    /// The time spent in each node; `None` follows `analyze`.
    pub timing: Option<bool>,
    /// Planning and execution time; `None` follows `analyze`.
    pub summary: Option<bool>,
    /// The form of the output.
    pub format: Format,
}

impl Style {
    /// Reads `EXPLAIN [ANALYZE] [VERBOSE]` and `EXPLAIN (option [value], ...)`.
    pub fn new(analyze: bool, verbose: bool, options: &[ast::UtilityOption]) -> Result<Self> {
        let mut style = Self { analyze, verbose, costs: true, timing: None, summary: None, format: Format::Text };
        options.iter().try_for_each(|option| style.set(option))?;
        if style.timing == Some(true) && !style.analyze {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "EXPLAIN option TIMING requires ANALYZE"));
        }
        Ok(style)
    }

    /// Whether the time spent in each node is shown.
    pub fn times(&self) -> bool {
        self.analyze && self.timing.unwrap_or(true)
    }

    /// Whether the times of planning and execution are shown.
    pub fn summarizes(&self) -> bool {
        self.summary.unwrap_or(self.analyze)
    }

    fn set(&mut self, option: &ast::UtilityOption) -> Result<()> {
        let name = option.name.value.to_lowercase();
        match name.as_str() {
            "analyze" => self.analyze = boolean(&name, option)?,
            "verbose" => self.verbose = boolean(&name, option)?,
            "costs" => self.costs = boolean(&name, option)?,
            "timing" => self.timing = Some(boolean(&name, option)?),
            "summary" => self.summary = Some(boolean(&name, option)?),
            "format" => self.format = format(option)?,
            // These add details that this server does not have: there is no shared buffer, and no write-ahead log of pages.
            "buffers" | "settings" | "wal" => drop(boolean(&name, option)?),
            other => {
                let message = format!("unrecognized EXPLAIN option \"{other}\"");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(option.name.span));
            }
        }
        Ok(())
    }
}

fn text(option: &ast::UtilityOption) -> Option<String> {
    option.arg.as_ref().map(|value| value.to_string().trim_matches(['\'', '"']).to_lowercase())
}

fn boolean(name: &str, option: &ast::UtilityOption) -> Result<bool> {
    match text(option).as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(_) => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{name} requires a Boolean value"))),
    }
}

fn format(option: &ast::UtilityOption) -> Result<Format> {
    match text(option).as_deref() {
        Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some("xml") => Ok(Format::Xml),
        Some("yaml") => Ok(Format::Yaml),
        Some(other) => {
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized value for EXPLAIN option \"format\": \"{other}\"")))
        }
        None => Err(SqlError::new(SqlState::SYNTAX_ERROR, "format requires a parameter")),
    }
}
