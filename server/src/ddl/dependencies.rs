//! What a view's query reads, found in its text: every relation that it names, and each of their columns whose name occurs in it.
//!
//! This errs on the side of more: a column counts as read when some word of the query has its name.

use super::decision::Scope;
use crate::catalog::names::{QualifiedName, fold, quote};
use crate::catalog::{Dependency, Relation};
use crate::error::Result;
use crate::session::parse::parse_query;
use arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Visit, Visitor, WildcardAdditionalOptions, visit_relations,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use storage::ColumnId;

/// What a query reads.
pub fn of_query(scope: Scope<'_>, query: &Query) -> Result<Vec<Dependency>> {
    let words = Words::of(query);
    let ctes = cte_names(query);
    let mut found: BTreeMap<u32, BTreeSet<ColumnId>> = BTreeMap::new();
    let _ = visit_relations(query, |name| {
        if let Ok(name) = scope.name(name)
            && !(name.schema.is_none() && ctes.contains(&name.name))
        {
            add(scope, &name, &words, &mut found);
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(found.into_iter().map(|(relation, columns)| Dependency { relation, columns: columns.into_iter().collect() }).collect())
}

fn add(scope: Scope<'_>, name: &QualifiedName, words: &Words, found: &mut BTreeMap<u32, BTreeSet<ColumnId>>) {
    let Some(relation) = scope.catalog.find(name, scope.search_path) else { return };
    let columns = found.entry(relation.relation().oid()).or_default();
    if let Relation::Table(table) = relation.relation() {
        columns.extend(table.columns.iter().filter(|column| words.name(&column.name)).map(|column| column.id));
    }
}

/// The query with its result's columns spelled out, so that a column added later to a table does not change it; `None` if it names them itself.
///
/// A star that stands alone, or is the only one, is replaced by the columns; around any other query comes a SELECT of them.
pub fn without_wildcards(query: &Query, output: &Schema) -> Option<Query> {
    if !has_star(&query.body) {
        return None;
    }
    let columns: Vec<Ident> = output.fields().iter().map(|field| ident(field.name())).collect();
    if columns.iter().collect::<BTreeSet<_>>().len() < columns.len() {
        return None;
    }
    let mut spelled = query.clone();
    if let SetExpr::Select(select) = &mut *spelled.body
        && let Some(list) = spelled_out(&select.projection, &columns)
    {
        select.projection = list;
        return Some(spelled);
    }
    let list: Vec<String> = columns.iter().map(Ident::to_string).collect();
    parse_query(&format!("SELECT {} FROM ({query}) AS view_columns", list.join(", "))).ok()
}

fn ident(name: &str) -> Ident {
    if quote(name) == name { Ident::new(name) } else { Ident::with_quote('"', name) }
}

/// Whether some of a query's SELECTs has a star in its list.
fn has_star(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.projection.iter().any(is_star),
        SetExpr::Query(query) => has_star(&query.body),
        SetExpr::SetOperation { left, right, .. } => has_star(left) || has_star(right),
        SetExpr::Table(_) => true,
        _ => false,
    }
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// A list whose only star is replaced by the columns that it stands for; `None` if there are more, or it says more than a star.
fn spelled_out(list: &[SelectItem], columns: &[Ident]) -> Option<Vec<SelectItem>> {
    let at = list.iter().position(is_star)?;
    let plain = |options: &WildcardAdditionalOptions| {
        options.opt_ilike.is_none() && options.opt_exclude.is_none() && options.opt_except.is_none() && options.opt_replace.is_none()
    };
    let prefix = match &list[at] {
        SelectItem::Wildcard(options) if plain(options) => None,
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) if plain(options) => Some(name),
        _ => return None,
    };
    let stands_for = (columns.len() + 1).checked_sub(list.len())?;
    if list[at + 1..].iter().any(is_star) {
        return None;
    }
    let column = |name: &Ident| match prefix {
        None => Some(Expr::Identifier(name.clone())),
        Some(prefix) => {
            let parts = prefix.0.iter().map(|part| part.as_ident().cloned()).chain([Some(name.clone())]);
            parts.collect::<Option<Vec<_>>>().map(Expr::CompoundIdentifier)
        }
    };
    let mut spelled = list[..at].to_vec();
    for name in &columns[at..at + stands_for] {
        spelled.push(SelectItem::UnnamedExpr(column(name)?));
    }
    spelled.extend_from_slice(&list[at + 1..]);
    Some(spelled)
}

/// The words of a query.
struct Words {
    names: BTreeSet<String>,
    /// `*`, or NATURAL: every column may be meant.
    all: bool,
}

impl Words {
    fn of(query: &Query) -> Self {
        let mut words = Self { names: BTreeSet::new(), all: false };
        let text = query.to_string();
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, &text).tokenize().unwrap_or_default();
        let mut before = Token::EOF;
        for token in tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))) {
            match &token {
                Token::Word(word) => {
                    words.all |= word.quote_style.is_none() && word.value.eq_ignore_ascii_case("natural");
                    words.names.insert(fold(&word.clone().into_ident(datafusion::sql::sqlparser::tokenizer::Span::empty())));
                }
                Token::Mul => words.all |= matches!(&before, Token::Comma | Token::Period) || is_select(&before),
                _ => {}
            }
            before = token;
        }
        words
    }
    fn name(&self, name: &str) -> bool {
        self.all || self.names.contains(name)
    }
}

fn is_select(token: &Token) -> bool {
    matches!(token, Token::Word(word) if ["select", "distinct", "all"].contains(&word.value.to_lowercase().as_str()))
}

fn cte_names(query: &Query) -> BTreeSet<String> {
    struct Ctes(BTreeSet<String>);
    impl Visitor for Ctes {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let tables = query.with.iter().flat_map(|with| &with.cte_tables);
            self.0.extend(tables.map(|cte| fold(&cte.alias.name)));
            ControlFlow::Continue(())
        }
    }
    let mut ctes = Ctes(BTreeSet::new());
    let _ = query.visit(&mut ctes);
    ctes.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{catalog, scope};
    use super::*;

    fn read(sql: &str) -> Vec<(u32, Vec<u32>)> {
        let catalog = catalog();
        let found = of_query(scope(&catalog), &parse_query(sql).unwrap()).unwrap();
        found.into_iter().map(|d| (d.relation, d.columns.iter().map(|c| c.0).collect())).collect()
    }

    #[test]
    fn relations_and_columns_are_found() {
        assert_eq!(read("select a from t"), [(20000, vec![1])]);
        assert_eq!(read("select * from public.t"), [(20000, vec![1, 2])]);
        assert_eq!(read("select count(*) from t where exists (select 1 from v where x = \"b\")"), [(20000, vec![2]), (20001, vec![])]);
        assert_eq!(read("with t as (select 1 as a) select a from t"), []);
    }

    #[test]
    fn wildcards_are_spelled_out() {
        let schema = Schema::new(vec![
            SqlField::new("a", arrow::datatypes::DataType::Int32, true),
            SqlField::new("B", arrow::datatypes::DataType::Int32, true),
        ]);
        let spelled = |sql: &str| without_wildcards(&parse_query(sql).unwrap(), &schema).map(|query| query.to_string());
        assert_eq!(spelled("select * from t").unwrap(), "SELECT a, \"B\" FROM t");
        assert_eq!(spelled("select t.* from t, u order by 1").unwrap(), "SELECT t.a, t.\"B\" FROM t, u ORDER BY 1");
        assert_eq!(spelled("select 1 as a, u.* from u").unwrap(), "SELECT 1 AS a, u.\"B\" FROM u");
        let union = spelled("select * from t union select * from u").unwrap();
        assert_eq!(union, "SELECT a, \"B\" FROM (SELECT * FROM t UNION SELECT * FROM u) AS view_columns");
        assert_eq!(spelled(&union), None);
        assert_eq!(spelled("select count(*) from t"), None);
    }
    use arrow::datatypes::Field as SqlField;
}
