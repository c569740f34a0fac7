//! `jsonpath`: SQL/JSON path expressions, as PostgreSQL has them.
//!
//! 1. [`lexer`] cuts the text into tokens; [`parser`] makes a [`path::Path`] of them, which [`print`] writes in its normal form.
//! 2. [`evaluate`] walks a path over a JSON text. Items are slices of that text, or texts that were computed ([`item`]).
//! 3. Numbers are exact ([`number`]); `.datetime()` makes moments of texts ([`moments`]).

pub mod evaluate;
pub mod item;
pub mod lexer;
pub mod moments;
pub mod number;
pub mod parser;
pub mod path;
pub mod print;

use crate::error::Result;

/// A path in its normal form (22P02, 42601).
pub fn normalized(text: &str) -> Result<String> {
    Ok(parser::parse(text)?.to_string())
}

#[cfg(test)]
mod tests;
