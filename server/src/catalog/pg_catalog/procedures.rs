//! `pg_proc`: which of PostgreSQL's functions exist here, and what their OIDs print as.

use super::built_in::unescape;
use super::type_names;
use crate::functions;
use crate::query::Scope;
use crate::query::planner::FUNCTION_KINDS;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, OnceLock};

/// What is known of one function.
#[derive(Debug)]
pub struct Procedure {
    /// Its name.
    pub name: &'static str,
    /// `f`, `a`, `w` or `p`.
    pub kind: &'static str,
    /// Whether it returns rows.
    pub returns_set: bool,
    /// OID of the type that it returns.
    pub returns: u32,
    /// OID of the type that its last arguments are, any number of them; 0 if there are none such.
    pub variadic: u32,
    /// OIDs of the types of all arguments.
    pub arguments: Vec<u32>,
    /// `i`, `o`, `b`, `v`, `t` for each argument; empty if all are `i`.
    pub modes: Vec<&'static str>,
    /// Their names; empty if they have none.
    pub names: Vec<&'static str>,
    /// Values of the last arguments that can be left out.
    pub defaults: Vec<String>,
    /// Language, volatility and the like, as columns of `pg_proc`.
    fields: Vec<&'static str>,
}

static ALL: LazyLock<BTreeMap<u32, Procedure>> = LazyLock::new(|| {
    let lines = include_str!("data/pg_proc.tsv").lines();
    lines.filter_map(procedure).collect()
});

fn list(field: &'static str) -> Vec<&'static str> {
    let inner = field.trim_start_matches('{').trim_end_matches('}');
    if inner.is_empty() || inner == "\\N" { Vec::new() } else { inner.split(',').map(|item| item.trim_matches('"')).collect() }
}

fn oids(field: &str) -> Vec<u32> {
    let words = field.trim_start_matches('{').trim_end_matches('}').split([' ', ',']);
    words.filter_map(|oid| oid.parse().ok()).collect()
}

fn procedure(line: &'static str) -> Option<(u32, Procedure)> {
    let fields: Vec<&'static str> = line.split('\t').collect();
    let all = oids(fields.get(20)?);
    let made = Procedure {
        name: fields.get(1)?,
        kind: fields.get(9)?,
        returns_set: *fields.get(13)? == "t",
        returns: fields.get(18)?.parse().ok()?,
        variadic: fields.get(7)?.parse().ok()?,
        arguments: if all.is_empty() { oids(fields.get(19)?) } else { all },
        modes: list(fields.get(21)?),
        names: list(fields.get(22)?),
        defaults: unescape(fields.get(23)?).map(|text| text.split(", ").map(String::from).collect()).unwrap_or_default(),
        fields: fields.clone(),
    };
    Some((fields.first()?.parse().ok()?, made))
}

/// A function of PostgreSQL's by its OID.
pub fn get(oid: u32) -> Option<&'static Procedure> {
    ALL.get(&oid)
}

/// The names of all functions.
pub fn names() -> BTreeSet<&'static str> {
    ALL.values().map(|procedure| procedure.name).collect()
}

/// Which volatilities the functions of a name have: `i`, `s`, `v`.
pub fn volatilities(name: &str) -> BTreeSet<&'static str> {
    ALL.values().filter(|procedure| procedure.name == name).filter_map(|procedure| procedure.fields.get(VOLATILITY).copied()).collect()
}

/// Where `provolatile` is among a function's fields.
const VOLATILITY: usize = 14;

/// All functions of a name, with their OIDs.
pub fn named(name: &str) -> Vec<u32> {
    ALL.iter().filter(|(_, procedure)| procedure.name == name).map(|(oid, _)| *oid).collect()
}

/// What `regproc` prints: the name, with its schema where several functions have it, `-` for none.
pub fn shown_name(oid: u32) -> String {
    match get(oid) {
        _ if oid == 0 => "-".into(),
        Some(procedure) if named(procedure.name).len() > 1 => format!("pg_catalog.{}", procedure.name),
        Some(procedure) => procedure.name.into(),
        None => oid.to_string(),
    }
}

/// Names of functions that are words of the grammar, or that are rewritten before they are planned.
const BY_GRAMMAR: [&str; 12] = [
    "date_part",
    "extract",
    "generate_series",
    "generate_subscripts",
    "overlay",
    "pg_get_keywords",
    "position",
    "substring",
    "timezone",
    "unnest",
    "xmin",
    "btrim",
];

/// Whether a line of `pg_proc` is of a function that can be called here, or that reads and writes a type.
pub fn exists(scope: &Scope, line: &&str) -> bool {
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let of_session = functions::of_session(scope).into_iter().map(|function| function.name().to_string());
        let kinds = FUNCTION_KINDS.scalar.iter().chain(&FUNCTION_KINDS.aggregate).cloned();
        let windows = crate::query::planner::window_functions();
        of_session.chain(kinds).chain(windows).chain(BY_GRAMMAR.map(String::from)).collect()
    });
    let mut fields = line.split('\t');
    let (oid, name) = (fields.next().and_then(|oid| oid.parse().ok()).unwrap_or(0), fields.next().unwrap_or_default());
    names.contains(name) || SUPPORTING.contains(&oid)
}

/// Functions that types, operator classes and access methods name.
static SUPPORTING: LazyLock<BTreeSet<u32>> = LazyLock::new(|| {
    let types = include_str!("data/pg_type.tsv").lines();
    let of_types = types.flat_map(|line| line.split('\t').skip(15).take(7).filter_map(|oid| oid.parse().ok()));
    let methods = include_str!("data/pg_am.tsv").lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok());
    of_types.chain(methods).collect()
});

impl Procedure {
    /// OIDs of the types of the arguments that go in.
    pub fn inputs(&self) -> Vec<u32> {
        let goes_in = |at: &usize| matches!(self.mode(*at), "i" | "b" | "v");
        (0..self.arguments.len()).filter(goes_in).map(|at| self.arguments[at]).collect()
    }

    /// `pg_get_function_result`
    pub fn result(&self) -> Option<String> {
        if self.kind == "p" {
            return None;
        }
        let columns: Vec<String> =
            (0..self.arguments.len()).filter(|at| self.mode(*at) == "t").map(|at| self.argument(at, false)).collect();
        let one = type_names::format(self.returns, None);
        Some(match (columns.is_empty(), self.returns_set) {
            (false, _) => format!("TABLE({})", columns.join(", ")),
            (true, true) => format!("SETOF {one}"),
            (true, false) => one,
        })
    }

    /// `pg_get_function_arguments`, or with `identity` those that tell functions of one name apart.
    pub fn arguments_text(&self, identity: bool) -> String {
        let shown = (0..self.arguments.len()).filter(|at| self.mode(*at) != "t" && !(identity && self.mode(*at) == "o"));
        shown.map(|at| self.argument(at, !identity)).collect::<Vec<_>>().join(", ")
    }

    fn mode(&self, at: usize) -> &'static str {
        self.modes.get(at).copied().unwrap_or("i")
    }

    fn argument(&self, at: usize, with_default: bool) -> String {
        let mode = match self.mode(at) {
            "o" => "OUT ",
            "b" => "INOUT ",
            "v" => "VARIADIC ",
            _ => "",
        };
        let name = self.names.get(at).filter(|name| !name.is_empty()).map(|name| format!("{name} ")).unwrap_or_default();
        let default = self.default_of(at).filter(|_| with_default).map(|value| format!(" DEFAULT {value}")).unwrap_or_default();
        format!("{mode}{name}{}{default}", type_names::format(self.arguments[at], None))
    }

    /// Defaults belong to the last of the arguments that go in.
    fn default_of(&self, at: usize) -> Option<&str> {
        let inputs: Vec<usize> = (0..self.arguments.len()).filter(|at| matches!(self.mode(*at), "i" | "b" | "v")).collect();
        let place = inputs.iter().position(|input| *input == at)?;
        let first = inputs.len().checked_sub(self.defaults.len())?;
        self.defaults.get(place.checked_sub(first)?).map(String::as_str)
    }

    /// `pg_get_functiondef`: CREATE FUNCTION as PostgreSQL has it.
    pub fn definition(&self) -> String {
        let field = |at: usize| self.fields.get(at).copied().unwrap_or_default();
        let language = if field(4) == "14" { "sql" } else { "internal" };
        let mut words = Vec::new();
        match field(14) {
            "i" => words.push("IMMUTABLE"),
            "s" => words.push("STABLE"),
            _ => {}
        }
        match field(15) {
            "s" => words.push("PARALLEL SAFE"),
            "r" => words.push("PARALLEL RESTRICTED"),
            _ => {}
        }
        words.extend((field(12) == "t").then_some("STRICT"));
        words.extend((field(11) == "t").then_some("LEAKPROOF"));
        let attributes = if words.is_empty() { String::new() } else { format!(" {}\n", words.join(" ")) };
        let (result, source) = (self.result().unwrap_or_default(), unescape(field(25)).unwrap_or_default());
        let head = format!("CREATE OR REPLACE FUNCTION pg_catalog.{}({})", self.name, self.arguments_text(false));
        format!("{head}\n RETURNS {result}\n LANGUAGE {language}\n{attributes}AS $function${source}$function$\n")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn functions_print_as_postgresql_prints_them() {
        assert_eq!((shown_name(0), shown_name(2100), shown_name(1299)), ("-".into(), "pg_catalog.avg".into(), "now".into()));
        let series = get(1068).unwrap();
        assert_eq!((series.result().unwrap(), series.arguments_text(false)), ("SETOF bigint".into(), "bigint, bigint, bigint".into()));
        let interval = get(3464).unwrap();
        assert!(interval.arguments_text(false).starts_with("years integer DEFAULT 0, months integer DEFAULT 0"));
        assert!(interval.arguments_text(true).starts_with("years integer, months integer"));
        let now = "CREATE OR REPLACE FUNCTION pg_catalog.now()\n RETURNS timestamp with time zone\n LANGUAGE internal\n \
                   STABLE PARALLEL SAFE STRICT\nAS $function$now$function$\n";
        assert_eq!(get(1299).unwrap().definition(), now);
    }
}
