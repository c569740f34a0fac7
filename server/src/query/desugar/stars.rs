//! `t.*` of a table that FROM names with its schema: the engine finds it under the whole name only.

use crate::catalog::names::fold;
use datafusion::sql::sqlparser::ast::{ObjectName, ObjectNamePart, Select, SelectItem, SelectItemQualifiedWildcardKind, TableFactor};

/// Rewrites the stars of one SELECT.
pub fn select(select: &mut Select) {
    let factors =
        select.from.iter().flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    let qualified: Vec<ObjectName> = factors.filter_map(qualified_name).collect();
    for item in &mut select.projection {
        let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item else { continue };
        let [wanted] = name.0.as_slice() else { continue };
        let mut fitting = qualified.iter().filter(|whole| last(whole.0.last()) == last(Some(wanted)));
        if let (Some(whole), None) = (fitting.next(), fitting.next()) {
            *name = whole.clone();
        }
    }
}

fn last(part: Option<&ObjectNamePart>) -> Option<String> {
    part.and_then(ObjectNamePart::as_ident).map(fold)
}

fn qualified_name(factor: &TableFactor) -> Option<ObjectName> {
    match factor {
        TableFactor::Table { name, alias: None, args: None, .. } if name.0.len() > 1 => Some(name.clone()),
        _ => None,
    }
}
