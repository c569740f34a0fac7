//! CREATE and ALTER SEQUENCE, and the sequences of serial and identity columns.

use super::decision::{Change, Decision, Ids, Scope, notice, put, relation_exists};
use crate::catalog::{Relation, Restart, SequenceDefinition};
use crate::error::{Result, SqlError, SqlState};
use crate::session::grammar::SequenceOption;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{self, Expr, ObjectName};

/// CREATE SEQUENCE.
pub fn create(
    scope: Scope<'_>,
    ids: &mut Ids,
    name: &ObjectName,
    (is_temporary, if_not_exists): (bool, bool),
    options: &[SequenceOption],
) -> Result<Decision> {
    let name = scope.name(name)?;
    let schema = scope.creation_schema(&name, is_temporary)?;
    if scope.catalog.get(&schema, &name.name).is_some() {
        if if_not_exists {
            let text = format!("relation \"{}\" already exists, skipping", name.name);
            return Ok(Decision::skip(notice(SqlState::DUPLICATE_TABLE, text)));
        }
        return Err(relation_exists(&name.name));
    }
    let mut sequence = new(ids.take()?, &SqlType::Int8, options)?;
    apply_owner(scope, &mut sequence, options, &schema)?;
    Ok(Decision::of(vec![Change::PutRelation(schema, name.name, Relation::Sequence(sequence))]))
}

/// A sequence with these options; `sql_type` bounds it unless they say AS.
pub fn new(oid: u32, sql_type: &SqlType, options: &[SequenceOption]) -> Result<SequenceDefinition> {
    check_duplicates(options)?;
    let mut sql_type = sql_type.clone();
    let mut increment = 1;
    for option in options {
        match option {
            SequenceOption::As(written) => sql_type = SqlType::from_ast(written)?,
            SequenceOption::Increment(by) => increment = *by,
            SequenceOption::Restart(_) => return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \"RESTART\"")),
            _ => {}
        }
    }
    let (lowest, highest) = bounds(&sql_type)?;
    let (min, max) = if increment < 0 { (lowest, -1) } else { (1, highest) };
    let mut sequence = SequenceDefinition { oid, start: 0, increment, min, max, cycle: false, cache: 1, owned_by: None, restart: None };
    apply_bounds(&mut sequence, options, (min, max));
    sequence.start = if increment < 0 { sequence.max } else { sequence.min };
    apply_rest(&mut sequence, options);
    check(&sequence, lowest, highest)?;
    Ok(sequence)
}

/// ALTER SEQUENCE. `count` is how many values the sequence has given.
pub fn alter(
    scope: Scope<'_>,
    name: &ObjectName,
    if_exists: bool,
    options: &[SequenceOption],
    count: impl Fn(u32) -> u64,
) -> Result<Decision> {
    let Some(found) = scope.find(name, if_exists)? else { return Ok(scope.skip_missing(name)) };
    let Relation::Sequence(old) = found.relation() else { return Err(found.wrong_kind("sequence")) };
    check_duplicates(options)?;
    let given = count(old.oid);
    let mut sequence = old.clone();
    let next = crate::session::sequences::value_at(old, given).unwrap_or(old.max);
    for option in options {
        if let SequenceOption::Increment(by) = option {
            sequence.increment = *by;
            sequence.restart = Some(Restart { at_count: given, value: next });
        }
    }
    let defaults = if sequence.increment < 0 { (i64::MIN, -1) } else { (1, i64::MAX) };
    apply_bounds(&mut sequence, options, defaults);
    apply_rest(&mut sequence, options);
    for option in options {
        if let SequenceOption::Restart(value) = option {
            sequence.restart = Some(Restart { at_count: given, value: value.unwrap_or(sequence.start) });
        }
    }
    check(&sequence, i64::MIN, i64::MAX)?;
    apply_owner(scope, &mut sequence, options, found.schema)?;
    Ok(Decision::of(vec![put(&found, Relation::Sequence(sequence))]))
}

/// Options of the SQL parser's tree (identity columns).
pub fn options_of(options: &[ast::SequenceOptions]) -> Result<Vec<SequenceOption>> {
    options.iter().map(option_of).collect()
}

fn option_of(option: &ast::SequenceOptions) -> Result<SequenceOption> {
    Ok(match option {
        ast::SequenceOptions::IncrementBy(by, _) => SequenceOption::Increment(integer(by)?),
        ast::SequenceOptions::MinValue(value) => SequenceOption::Min(value.as_ref().map(integer).transpose()?),
        ast::SequenceOptions::MaxValue(value) => SequenceOption::Max(value.as_ref().map(integer).transpose()?),
        ast::SequenceOptions::StartWith(value, _) => SequenceOption::Start(integer(value)?),
        ast::SequenceOptions::Cache(value) => SequenceOption::Cache(integer(value)?),
        // The parser's flag says whether NO was written.
        ast::SequenceOptions::Cycle(no) => SequenceOption::Cycle(!no),
    })
}

fn integer(expression: &Expr) -> Result<i64> {
    expression
        .to_string()
        .replace([' ', '+'], "")
        .parse()
        .map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value \"{expression}\" is out of range for type bigint")))
}

fn check_duplicates(options: &[SequenceOption]) -> Result<()> {
    let kinds: std::collections::HashSet<_> = options.iter().map(std::mem::discriminant).collect();
    if kinds.len() < options.len() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
    }
    Ok(())
}

fn bounds(sql_type: &SqlType) -> Result<(i64, i64)> {
    match sql_type {
        SqlType::Int2 => Ok((i16::MIN.into(), i16::MAX.into())),
        SqlType::Int4 => Ok((i32::MIN.into(), i32::MAX.into())),
        SqlType::Int8 => Ok((i64::MIN, i64::MAX)),
        _ => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "sequence type must be smallint, integer, or bigint")),
    }
}

fn apply_bounds(sequence: &mut SequenceDefinition, options: &[SequenceOption], defaults: (i64, i64)) {
    for option in options {
        match option {
            SequenceOption::Min(value) => sequence.min = value.unwrap_or(defaults.0),
            SequenceOption::Max(value) => sequence.max = value.unwrap_or(defaults.1),
            _ => {}
        }
    }
}

fn apply_rest(sequence: &mut SequenceDefinition, options: &[SequenceOption]) {
    for option in options {
        match option {
            SequenceOption::Start(value) => sequence.start = *value,
            SequenceOption::Cycle(cycle) => sequence.cycle = *cycle,
            SequenceOption::Cache(cache) => sequence.cache = *cache,
            _ => {}
        }
    }
}

fn apply_owner(scope: Scope<'_>, sequence: &mut SequenceDefinition, options: &[SequenceOption], schema: &str) -> Result<()> {
    for option in options {
        match option {
            SequenceOption::OwnedBy(None) => sequence.owned_by = None,
            SequenceOption::OwnedBy(Some(column)) => sequence.owned_by = Some(owner(scope, column, schema)?),
            _ => {}
        }
    }
    Ok(())
}

fn owner(scope: Scope<'_>, column: &ObjectName, schema: &str) -> Result<(u32, storage::ColumnId)> {
    let invalid =
        || SqlError::new(SqlState::SYNTAX_ERROR, "invalid OWNED BY option").with_hint("Specify OWNED BY table.column or OWNED BY NONE.");
    let (last, table) = column.0.split_last().filter(|(_, table)| !table.is_empty()).ok_or_else(invalid)?;
    let found = scope.require(&ObjectName(table.to_vec()))?;
    if found.schema != schema {
        return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "sequence must be in same schema as table it is linked to"));
    }
    let definition = found.table()?;
    let name = last.as_ident().map(crate::catalog::names::fold).ok_or_else(invalid)?;
    Ok((definition.oid, definition.require_column(found.name, &name)?.id))
}

fn check(sequence: &SequenceDefinition, lowest: i64, highest: i64) -> Result<()> {
    let invalid = |message: String| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    let SequenceDefinition { start, increment, min, max, cache, .. } = sequence;
    if *cache < 1 {
        return invalid(format!("CACHE ({cache}) must be greater than zero"));
    }
    if *increment == 0 {
        return invalid("INCREMENT must not be zero".into());
    }
    if *min < lowest || *max > highest {
        let (what, value) = if *min < lowest { ("MINVALUE", min) } else { ("MAXVALUE", max) };
        return invalid(format!("{what} ({value}) is out of range for the sequence's data type"));
    }
    if min >= max {
        return invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})"));
    }
    if start < min {
        return invalid(format!("START value ({start}) cannot be less than MINVALUE ({min})"));
    }
    if start > max {
        return invalid(format!("START value ({start}) cannot be greater than MAXVALUE ({max})"));
    }
    match sequence.restart {
        Some(restart) if restart.value < *min => invalid(format!("RESTART value ({}) cannot be less than MINVALUE ({min})", restart.value)),
        Some(restart) if restart.value > *max => {
            invalid(format!("RESTART value ({}) cannot be greater than MAXVALUE ({max})", restart.value))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn defaults_and_bounds() {
        let s = new(1, &SqlType::Int8, &[]).unwrap();
        assert_eq!((s.start, s.increment, s.min, s.max, s.cycle), (1, 1, 1, i64::MAX, false));
        let s = new(1, &SqlType::Int8, &[SequenceOption::Increment(-1)]).unwrap();
        assert_eq!((s.start, s.min, s.max), (-1, i64::MIN, -1));
        assert_eq!(new(1, &SqlType::Int2, &[]).unwrap().max, 32767);
        for (options, message) in [
            (vec![SequenceOption::Increment(0)], "INCREMENT must not be zero"),
            (vec![SequenceOption::Min(Some(5)), SequenceOption::Max(Some(5))], "MINVALUE (5) must be less than MAXVALUE (5)"),
            (vec![SequenceOption::Start(0)], "START value (0) cannot be less than MINVALUE (1)"),
            (vec![SequenceOption::Start(1), SequenceOption::Start(2)], "conflicting or redundant options"),
        ] {
            assert_eq!(&*new(1, &SqlType::Int4, &options).unwrap_err().message, message);
        }
    }
}
