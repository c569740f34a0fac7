//! What PostgreSQL 15's `pg_settings` says of its settings: category, description, type, unit, range. Tools show it, and read numbers by it.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What is said of a setting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// `Query Tuning / Planner Cost Constants`
    pub category: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// `bool`, `integer`, `real`, `enum`, `string`; empty for settings of other names.
    pub kind: &'static str,
    /// `ms`, `8kB`, ...; empty where numbers have none.
    pub unit: &'static str,
    /// Smallest value, as text.
    pub min: &'static str,
    /// Largest value.
    pub max: &'static str,
    /// The words that it can be, with commas between them.
    pub words: &'static str,
}

/// One line for each: name, category, description, type, unit, min, max, words, with tabs between them.
static TABLE: &str = include_str!("facts.tsv");

static BY_NAME: LazyLock<HashMap<&'static str, Facts>> = LazyLock::new(|| {
    let read = |line: &'static str| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let name = next();
        let (category, description, kind, unit, min, max, words) = (next(), next(), next(), next(), next(), next(), next());
        (name, Facts { category, description, kind, unit, min, max, words })
    };
    TABLE.lines().map(read).collect()
});

/// What is known of a setting; nothing of those that are not PostgreSQL's.
pub fn of(name: &str) -> Facts {
    BY_NAME.get(name).copied().unwrap_or(Facts { category: "Customized Options", kind: "string", ..Facts::default() })
}

/// How much one of a unit is, in bytes or microseconds.
fn factor(unit: &str) -> Option<f64> {
    Some(match unit {
        "B" | "us" => 1.0,
        "kB" => 1024.0,
        "8kB" => 8192.0,
        "MB" => 1_048_576.0,
        "GB" => 1_073_741_824.0,
        "TB" => 1_099_511_627_776.0,
        "ms" => 1e3,
        "s" => 1e6,
        "min" => 60e6,
        "h" => 3600e6,
        "d" => 86_400e6,
        _ => return None,
    })
}

/// What SHOW prints, as a number of the setting's unit: `5min` of a setting in seconds is 300.
pub fn in_unit(facts: &Facts, shown: &str) -> String {
    let digits = shown.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(shown.len());
    let number = shown[..digits].parse::<f64>().ok();
    match (number, factor(&shown[digits..]), factor(facts.unit)) {
        (Some(number), Some(from), Some(to)) => (number * from / to).to_string(),
        _ => shown.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbers_of_their_unit() {
        let number = |name: &str, shown: &str| in_unit(&of(name), shown);
        assert_eq!(number("authentication_timeout", "1min"), "60");
        assert_eq!(number("shared_buffers", "128MB"), "16384");
        assert_eq!((number("port", "5432"), number("listen_addresses", "::1")), ("5432".into(), "::1".into()));
        assert_eq!((of("jit").kind, of("work_mem").min, of("my.own").kind), ("bool", "64", "string"));
    }
}
