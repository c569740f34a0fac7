//! TABLESAMPLE.

use super::template;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Expr, Select, SetExpr, TableAlias, TableFactor, TableSample, TableSampleKind, TableSampleMethod, Value,
};

/// A sampled table is its rows that are drawn: each with the same chance, by itself.
pub fn select(select: &mut Select) -> Result<()> {
    for table in &mut select.from {
        for factor in std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation)) {
            sampled(factor)?;
        }
    }
    Ok(())
}

fn sampled(factor: &mut TableFactor) -> Result<()> {
    let TableFactor::Table { name, alias, sample, .. } = factor else { return Ok(()) };
    let Some(TableSampleKind::BeforeTableAlias(taken) | TableSampleKind::AfterTableAlias(taken)) = sample.take() else { return Ok(()) };
    let percent = percentage(&taken)?;
    let shown = alias.clone().or_else(|| {
        let name = name.0.last()?.as_ident()?.clone();
        Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None })
    });
    if let TableFactor::Table { alias, .. } = factor {
        *alias = None;
    }
    let exists = template("EXISTS (SELECT * FROM __q WHERE random() * 100 < __x)", &[("__x", &percent)], None);
    let Expr::Exists { mut subquery, .. } = exists else { return Ok(()) };
    if let SetExpr::Select(select) = subquery.body.as_mut()
        && let Some(table) = select.from.first_mut()
    {
        table.relation = factor.clone();
    }
    *factor = TableFactor::Derived { lateral: false, subquery, alias: shown, sample: None };
    Ok(())
}

fn percentage(sample: &TableSample) -> Result<Expr> {
    if !matches!(sample.name, Some(TableSampleMethod::Bernoulli | TableSampleMethod::System)) {
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, "tablesample method does not exist"));
    }
    if sample.seed.is_some() {
        return Err(SqlError::unsupported("TABLESAMPLE ... REPEATABLE"));
    }
    let Some(quantity) = &sample.quantity else { return Err(SqlError::unsupported("TABLESAMPLE without a percentage")) };
    let literal = match &quantity.value {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<f64>().ok(),
            _ => None,
        },
        _ => None,
    };
    match literal {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(quantity.value.clone()),
        Some(_) => Err(SqlError::new(SqlState("2202H"), "sample percentage must be between 0 and 100")),
        None => Err(SqlError::unsupported("a percentage of TABLESAMPLE that is not a number")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::session::parse::parse_query;
    use datafusion::sql::sqlparser::ast::Statement;

    fn rewritten(sql: &str) -> crate::error::Result<String> {
        let mut statement = Statement::Query(Box::new(parse_query(sql).unwrap()));
        crate::query::desugar::statement(&mut statement)?;
        Ok(statement.to_string())
    }

    #[test]
    fn samples_are_drawn() {
        let drawn = "SELECT count(*) FROM (SELECT * FROM t WHERE random() * 100 < (10)) AS t";
        assert_eq!(rewritten("select count(*) from t tablesample bernoulli (10)").unwrap(), drawn);
        assert_eq!(rewritten("select 1 from t tablesample system (200)").unwrap_err().state.0, "2202H");
    }
}
