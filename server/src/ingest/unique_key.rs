//! A unique key of a table: the columns that it is made of, the expressions over them, the rows that it is about; hashes of rows' keys.
//!
//! A key of columns takes their values as they are. Any other is computed: of the rows that its condition picks, as PostgreSQL does, so that
//! an expression need not have a value for the others.

use super::expression::parse_expression;
use super::key_form::{key_type, key_values};
use super::unique::stable_hash;
use super::writer::scan_schema;
use super::{Target, row_text};
use crate::catalog::names::quote;
use crate::catalog::unique_key::{KeyOptions, KeyPart};
use crate::catalog::{Constraint, TableDefinition, columns};
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use crate::types::SqlType;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options, filter};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::physical_expr::PhysicalExpr;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use storage::{ColumnId, ColumnPredicate, ColumnSpec, ScanRequest};

/// Rows per batch of a look-up.
pub(super) const PROBE_BATCH_ROWS: usize = 8192;

/// A unique key of a table.
pub(super) struct Key {
    /// Its name.
    pub constraint: String,
    /// Positions in the table of the columns that it depends on: its inputs.
    pub columns: Vec<usize>,
    /// The inputs as storage has them.
    pub specs: Vec<ColumnSpec>,
    /// Of table and constraint: equal keys of different constraints have different fingerprints.
    pub seed: u64,
    /// The seed, and what the key is made of: what is remembered of units is remembered of this.
    pub cache_key: u64,
    /// NULLS NOT DISTINCT.
    pub nulls_equal: bool,
    /// DEFERRABLE: what a statement has twice is an error only in its end.
    pub deferrable: bool,
    /// INITIALLY DEFERRED.
    pub deferred: bool,
    converter: RowConverter,
    computed: Option<Arc<Computed>>,
}

/// How keys come about that are more than columns. Compiled once for a definition.
#[derive(Debug)]
pub struct Computed {
    inputs: SchemaRef,
    condition: Option<Arc<dyn PhysicalExpr>>,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    /// As errors show it.
    shown: String,
    sql_type: SqlType,
    value: Value,
}

#[derive(Debug)]
enum Value {
    /// An input as it is.
    Input(usize),
    /// An expression over the inputs.
    Expression(Arc<dyn PhysicalExpr>),
}

/// Keys of rows: of all, or of those that the condition picks.
struct Keys {
    parts: Vec<ArrayRef>,
    picked: Option<BooleanArray>,
}

impl Key {
    /// The key of a constraint; `None` if it is no unique one.
    pub fn new(context: &QueryContext, target: &Target, constraint: &Constraint) -> Result<Option<Self>> {
        let Constraint::Unique { name, columns: ids, options, .. } = constraint else { return Ok(None) };
        let all = columns::storage_columns(&target.definition)?;
        let position = |id: &ColumnId| all.iter().position(|spec| spec.id == *id);
        let Some(mut inputs) = constraint.key_depends_on().iter().map(position).collect::<Option<Vec<_>>>() else {
            return Err(SqlError::internal(format!("constraint \"{name}\" names a column that is gone")));
        };
        if inputs.is_empty() {
            // A key that is the same for all rows, `((true))`: any column tells how many there are.
            inputs.push(0);
        }
        let specs: Vec<ColumnSpec> = inputs.iter().map(|position| all[*position].clone()).collect();
        let computed = match options.is_of_columns() {
            true => None,
            false => Some(target.computed_key(name, || Computed::compile(context, target, (ids, options), &inputs))?),
        };
        let types: Vec<_> = match &computed {
            None => specs.iter().map(|spec| spec.data_type.clone()).collect(),
            Some(computed) => computed.parts.iter().map(|part| part.sql_type.arrow()).collect(),
        };
        let converter = RowConverter::new(types.iter().map(|of| SortField::new(key_type(of))).collect())?;
        let seed = stable_hash(u64::from(target.oid()), name.as_bytes());
        let made_of = format!("{ids:?} {options:?}");
        let cache_key = stable_hash(seed, made_of.as_bytes());
        let KeyOptions { nulls_equal, deferrable, deferred, .. } = *options;
        Ok(Some(Self {
            constraint: name.clone(),
            columns: inputs,
            specs,
            seed,
            cache_key,
            nulls_equal,
            deferrable,
            deferred,
            converter,
            computed,
        }))
    }

    /// Which of the inputs are parts of the key as they are: values in them tell rows apart.
    pub fn plain_parts(&self) -> Vec<usize> {
        let input = |part: &Part| match part.value {
            Value::Input(input) => Some(input),
            Value::Expression(_) => None,
        };
        match &self.computed {
            None => (0..self.specs.len()).collect(),
            Some(computed) => computed.parts.iter().filter_map(input).collect(),
        }
    }

    /// Whether rows that are not live may have no key at all, since an expression has no value for them.
    pub fn may_fail(&self) -> bool {
        self.computed.is_some()
    }

    /// A hash of each row's key; `None` where it has none: where the condition does not hold, or the key has a NULL that is not equal to others.
    /// `inputs` are the values of the inputs.
    pub fn hashes(&self, inputs: &[ArrayRef], hasher: &RandomState) -> Result<Vec<Option<u128>>> {
        let rows = inputs.first().map_or(0, |array| array.len());
        let Keys { parts, picked } = self.keys(inputs, rows)?;
        let hashes = self.hashes_of(&parts, hasher)?;
        let Some(picked) = picked else { return Ok(hashes) };
        let mut hashes = hashes.into_iter();
        Ok((0..rows).map(|row| if picked.value(row) { hashes.next().flatten() } else { None }).collect())
    }

    fn hashes_of(&self, parts: &[ArrayRef], hasher: &RandomState) -> Result<Vec<Option<u128>>> {
        let any = || parts.iter().fold(None, |nulls, array| NullBuffer::union(nulls.as_ref(), array.logical_nulls().as_ref()));
        let nulls = if self.nulls_equal { None } else { any() };
        let keys = parts.iter().map(key_values).collect::<Result<Vec<_>>>()?;
        let rows = self.converter.convert_columns(&keys)?;
        let hash = |(row, key): (usize, arrow::row::Row<'_>)| {
            let known = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            known.then(|| (u128::from(hasher.hash_one(key.data())) << 64) | u128::from(stable_hash(self.seed, key.data())))
        };
        Ok(rows.iter().enumerate().map(hash).collect())
    }

    fn keys(&self, inputs: &[ArrayRef], rows: usize) -> Result<Keys> {
        match &self.computed {
            None => Ok(Keys { parts: inputs.to_vec(), picked: None }),
            Some(computed) => computed.keys(inputs, rows),
        }
    }

    /// A scan of the inputs, with the ids of rows behind them or not.
    pub fn request(&self, predicates: Vec<(ColumnSpec, Arc<dyn ColumnPredicate>)>, row_ids: bool) -> ScanRequest {
        let schema = scan_schema(&self.specs, row_ids);
        ScanRequest { projection: self.specs.clone(), schema, predicates, row_ids, batch_rows: PROBE_BATCH_ROWS }
    }

    /// 23505 for a row of these inputs.
    pub fn violated(&self, target: &Target, inputs: &[ArrayRef], row: usize) -> SqlError {
        let message = format!("duplicate key value violates unique constraint \"{}\"", self.constraint);
        let error =
            SqlError::new(SqlState::UNIQUE_VIOLATION, message).of_table(&target.schema, &target.name).of_constraint(&self.constraint);
        match self.text(target, inputs, row) {
            Some(key) => error.with_detail(format!("Key {key} already exists.")),
            None => error,
        }
    }

    fn text(&self, target: &Target, inputs: &[ArrayRef], row: usize) -> Option<String> {
        let Some(computed) = &self.computed else { return row_text::key(target, inputs, &self.columns, row) };
        if !row_text::tells(target, &self.columns, computed.has_expressions()) {
            return None;
        }
        let one: Vec<ArrayRef> = inputs.iter().map(|array| array.slice(row, 1)).collect();
        let values = computed.keys(&one, 1).ok().filter(|keys| keys.parts.iter().all(|part| part.len() == 1))?.parts;
        let shown: Vec<&str> = computed.parts.iter().map(|part| part.shown.as_str()).collect();
        let values: Vec<String> =
            computed.parts.iter().zip(&values).map(|(part, array)| row_text::value(&part.sql_type, array, 0)).collect();
        Some(format!("({})=({})", shown.join(", "), values.join(", ")))
    }
}

impl Computed {
    fn has_expressions(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.value, Value::Expression(_)))
    }

    fn compile(context: &QueryContext, target: &Target, key: (&[ColumnId], &KeyOptions), inputs: &[usize]) -> Result<Self> {
        let fields = inputs.iter().map(|position| target.arrow.field(*position).clone());
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let plan = |text: &str, sql_type: Option<&SqlType>| {
            context.plan_expression(&parse_expression(text)?, Some((target.name.as_str(), schema.clone())), sql_type)
        };
        let condition = key.1.condition.as_ref().map(|text| plan(text, Some(&SqlType::Boolean))).transpose()?;
        let part = |part: &KeyPart| match part {
            KeyPart::Column(id) => column_part(&target.definition, *id, inputs),
            KeyPart::Expression(text) => {
                let value = plan(text, None)?;
                let sql_type = SqlType::of_field(value.return_field(&schema)?.as_ref());
                let shown = crate::catalog::pg_catalog::expression_text::key_part(&target.definition, text, true);
                Ok(Part { shown, sql_type, value: Value::Expression(value) })
            }
        };
        let parts = target.definition.key_parts(key.0, key.1).iter().map(part).collect::<Result<_>>()?;
        Ok(Self { inputs: schema, condition, parts })
    }

    fn keys(&self, inputs: &[ArrayRef], rows: usize) -> Result<Keys> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let mut batch = RecordBatch::try_new_with_options(self.inputs.clone(), inputs.to_vec(), &options)?;
        let mut picked = None;
        if let Some(condition) = &self.condition {
            let holds = condition.evaluate(&batch)?.into_array(rows)?;
            let holds: BooleanArray = holds.as_boolean().iter().map(|holds| Some(holds == Some(true))).collect();
            let columns = batch.columns().iter().map(|column| filter(column, &holds)).collect::<Result<Vec<_>, _>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(holds.true_count()));
            batch = RecordBatch::try_new_with_options(self.inputs.clone(), columns, &options)?;
            picked = Some(holds);
        }
        let part = |part: &Part| match &part.value {
            Value::Input(input) => Ok(batch.column(*input).clone()),
            Value::Expression(value) => {
                let values = value.evaluate(&batch)?.into_array(batch.num_rows())?;
                in_form(&part.sql_type, values)
            }
        };
        Ok(Keys { parts: self.parts.iter().map(part).collect::<Result<_>>()?, picked })
    }
}

/// Values as their type holds them.
fn in_form(sql_type: &SqlType, values: ArrayRef) -> Result<ArrayRef> {
    let wanted = sql_type.arrow();
    match *values.data_type() == wanted {
        true => Ok(values),
        false => Ok(cast_with_options(&values, &wanted, &CastOptions { safe: false, ..CastOptions::default() })?),
    }
}

fn column_part(table: &TableDefinition, id: ColumnId, inputs: &[usize]) -> Result<Part> {
    let gone = || SqlError::internal("a unique key names a column that is gone");
    let position = table.columns.iter().position(|column| column.id == id).ok_or_else(gone)?;
    let input = inputs.iter().position(|input| *input == position).ok_or_else(gone)?;
    let column = &table.columns[position];
    Ok(Part { shown: quote(&column.name), sql_type: column.sql_type.clone(), value: Value::Input(input) })
}
