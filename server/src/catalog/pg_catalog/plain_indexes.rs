//! What CREATE INDEX leaves: indexes that no constraint of the table stands for. Those without UNIQUE are recorded and not built. Clients find
//! them in `pg_class`, `pg_index`, `pg_indexes`, as they would in PostgreSQL. Their OIDs are made as those of constraints are ([`super::oids`]).

use super::{expression_text, oids};
use crate::catalog::lookup::Found;
use crate::catalog::names::quote;
use crate::catalog::{Catalog, ColumnDefinition, Constraint, IndexDefinition, TableDefinition};
use crate::query::naming::good_name_of;
use crate::session::parse::parse_query;
use datafusion::sql::sqlparser::ast::{IndexColumn, OrderByKind};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Access methods and their OIDs.
const METHODS: [(&str, u32); 6] = [("btree", 403), ("hash", 405), ("gist", 783), ("gin", 2742), ("spgist", 4000), ("brin", 3580)];
/// `indoption`: descending.
const DESCENDING: i32 = 1;
/// `indoption`: NULLs come first.
const NULLS_FIRST: i32 = 2;

/// An index, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct PlainIndex<'a> {
    /// Its OID.
    pub oid: u32,
    /// The table's place.
    pub found: Found<'a>,
    /// The table.
    pub table: &'a TableDefinition,
    /// What is recorded.
    pub index: &'a IndexDefinition,
}

/// A part of an index's key.
pub struct KeyPart<'a> {
    /// The column; `None` for an expression.
    pub column: Option<&'a ColumnDefinition>,
    /// As it is written.
    pub text: &'a str,
    /// `indoption`
    pub options: i32,
}

/// All of them, in the order of tables.
pub fn all(catalog: &Catalog) -> Vec<PlainIndex<'_>> {
    let tables = catalog.all().filter_map(|found| Some((found, found.relation().as_table()?)));
    let each = tables.flat_map(|(found, table)| table.indexes.iter().map(move |index| (found, table, index)));
    let plain = each.collect::<Vec<_>>();
    let made = oids::plain_indexes(catalog, plain.iter().map(|(_, table, index)| (table.oid, index.name.as_str())));
    plain.into_iter().zip(made).map(|((found, table, index), oid)| PlainIndex { oid, found, table, index }).collect()
}

/// CREATE INDEX, or a part of the key of the index of an OID.
pub fn text(catalog: &Catalog, oid: u32, column: usize, pretty: bool) -> Option<String> {
    let index = all(catalog).into_iter().find(|index| index.oid == oid)?;
    match column.checked_sub(1) {
        None => Some(index.text(pretty)),
        Some(at) => index.parts().iter().chain(&index.included()).nth(at).map(|part| match part.column {
            Some(column) => quote(&column.name),
            None => expression_text::key_part(index.table, &part.expression(), pretty),
        }),
    }
}

impl KeyPart<'_> {
    fn parsed(&self) -> Option<IndexColumn> {
        Parser::new(&PostgreSqlDialect {}).try_with_sql(self.text).ok()?.parse_create_index_expr().ok()
    }
    /// The expression that it is, as it was written.
    pub fn expression(&self) -> String {
        self.parsed().map_or_else(|| self.text.to_string(), |part| part.column.expr.to_string())
    }
    /// As PostgreSQL prints it in CREATE INDEX.
    fn printed(&self, table: &TableDefinition, pretty: bool) -> String {
        match (self.column, self.parsed()) {
            (None, Some(part)) => {
                let class = part.operator_class.map(|class| format!(" {class}")).unwrap_or_default();
                format!("{}{class}{}", expression_text::key_part(table, &part.column.expr.to_string(), pretty), part.column.options)
            }
            _ => self.text.to_string(),
        }
    }
}

impl<'a> PlainIndex<'a> {
    /// CREATE INDEX.
    pub fn text(&self, pretty: bool) -> String {
        let unique = if self.index.unique { "UNIQUE " } else { "" };
        let parts: Vec<String> = self.parts().iter().map(|part| part.printed(self.table, pretty)).collect();
        let mut text = format!("CREATE {unique}INDEX {} ON {} USING {}", quote(&self.index.name), self.found.quoted(), self.method_name());
        text.push_str(&format!(" ({})", parts.join(", ")));
        let included: Vec<&str> = self.included().iter().map(|part| part.text).collect();
        if !included.is_empty() {
            text.push_str(&format!(" INCLUDE ({})", included.join(", ")));
        }
        if self.nulls_equal() {
            text.push_str(" NULLS NOT DISTINCT");
        }
        if let Some(condition) = self.condition() {
            text.push_str(&format!(" WHERE {}", expression_text::condition(self.table, condition, pretty)));
        }
        text
    }
    /// Its condition, as it was written.
    pub fn condition(&self) -> Option<&'a str> {
        self.index.definition.split_once(" WHERE ").map(|(_, condition)| condition)
    }
    /// NULLS NOT DISTINCT.
    pub fn nulls_equal(&self) -> bool {
        let key = self.table.constraints.iter().find(|constraint| self.index.unique && constraint.name() == self.index.name);
        key.and_then(Constraint::key_options).is_some_and(|options| options.nulls_equal)
    }
    fn method_name(&self) -> &'a str {
        self.index.definition.split_ascii_whitespace().nth(1).unwrap_or_default()
    }
    /// The OID of its access method.
    pub fn method(&self) -> u32 {
        let name = self.method_name();
        METHODS.iter().find(|(known, _)| *known == name).map_or(METHODS[0].1, |(_, oid)| *oid)
    }
    /// The parts of its key.
    pub fn parts(&self) -> Vec<KeyPart<'a>> {
        split(&self.index.definition).into_iter().map(|text| self.part(text)).collect()
    }
    /// The columns of its INCLUDE.
    pub fn included(&self) -> Vec<KeyPart<'a>> {
        let after = self.index.definition.split_once(") INCLUDE ").map_or("", |(_, list)| list);
        let after = after.split_once(" WHERE ").map_or(after, |(list, _)| list);
        split(after).into_iter().map(|text| self.part(text)).collect()
    }
    fn part(&self, text: &'a str) -> KeyPart<'a> {
        let is = |column: &&ColumnDefinition| {
            let rest = text
                .strip_prefix(&quote(&column.name))
                .or_else(|| text.strip_prefix(&format!("\"{}\"", column.name.replace('"', "\"\""))))
                .or_else(|| text.to_lowercase().strip_prefix(&column.name).and_then(|_| text.get(column.name.len()..)));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let upper = text.to_uppercase();
        let descending = upper.contains(" DESC");
        let first = if descending { !upper.contains(" NULLS LAST") } else { upper.contains(" NULLS FIRST") };
        let options = if descending { DESCENDING } else { 0 } | if first { NULLS_FIRST } else { 0 };
        KeyPart { column: self.table.columns.iter().find(is), text, options }
    }
}

/// The names of the columns of an index: those of the table's, the name that an expression's value has in a query, or `expr`; no two are the same.
pub fn names(parts: &[KeyPart<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(parts.len());
    for part in parts {
        let plain = part.column.map_or_else(|| expression_name(part.text), |column| column.name.clone());
        let numbered = std::iter::once(plain.clone()).chain((1..).map(|number: usize| format!("{plain}{number}")));
        names.extend(numbered.into_iter().find(|name| !names.contains(name)));
    }
    names
}

fn expression_name(text: &str) -> String {
    let query = parse_query(&format!("SELECT 1 ORDER BY {text}"));
    let name = query.ok().and_then(|query| match query.order_by?.kind {
        OrderByKind::Expressions(parts) => parts.first().and_then(|part| good_name_of(&part.expr)),
        OrderByKind::All(_) => None,
    });
    name.unwrap_or_else(|| "expr".to_string())
}

/// What stands between the commas of the first brackets.
fn split(definition: &str) -> Vec<&str> {
    let Some(open) = definition.find('(') else { return Vec::new() };
    let inner = &definition[open + 1..];
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0usize, None);
    for (at, byte) in inner.bytes().enumerate() {
        match (quoted, byte) {
            (Some(mark), byte) if mark == byte => quoted = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quoted = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') if depth > 0 => depth -= 1,
            (None, b',' | b')') if depth == 0 => {
                parts.push(inner[start..at].trim());
                start = at + 1;
                if byte == b')' {
                    break;
                }
            }
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn keys_are_taken_apart() {
        assert_eq!(split("USING btree (a DESC, \"b,(\", lower(c || ')'))  WHERE (d > 1)"), ["a DESC", "\"b,(\"", "lower(c || ')')"]);
        assert_eq!(split("USING hash (a) INCLUDE (b)"), ["a"]);
    }
}
