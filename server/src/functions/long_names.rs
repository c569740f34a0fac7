//! Names of calls in calls in calls. A plan names each expression by its text, and computes that name over and over: the names of long chains of
//! operators, each with its operands' names within, made planning cubic. Beyond a length the name is a digest of the text.

use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Names up to this length are what they stand for, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The name of a call in a plan's schema.
pub fn schema_name(function: &str, arguments: &[Expr]) -> Result<String> {
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.schema_name().to_string()).collect();
    let arguments = arguments.join(",");
    if function.len() + arguments.len() <= NAME_BYTES_MAX {
        return Ok(format!("{function}({arguments})"));
    }
    let digest = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, &arguments).hash(&mut hasher);
        hasher.finish()
    };
    Ok(format!("{function}(#{:016x}{:016x})", digest(0), digest(1)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::prelude::{col, lit};

    #[test]
    fn short_names_say_all_and_long_ones_differ() {
        assert_eq!(schema_name("f", &[col("a"), lit(1)]).unwrap(), "f(a,Int32(1))");
        let long = |end: &str| schema_name("f", &[col("x".repeat(500)), col(end)]).unwrap();
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
        assert!(long("a").len() < 64);
    }
}
