//! PostgreSQL's functions of dates, times and intervals.
//!
//! [`fields`] takes a moment apart (`extract`, `date_part`), [`truncation`] cuts it (`date_trunc`, `date_bin`), [`making`] puts it together
//! (`make_date` ...), [`zones`] moves it between time zones, [`clock`] reads the clock, [`spans`] asks about stretches of time, [`templates`]
//! prints and reads by template (`to_char`, `to_timestamp`, `to_date`, `to_number`). [`calendar`] is the arithmetic beneath them all.
//!
//! All are frames of [`Timely`], whose type follows from its arguments' SQL types.

use crate::error::{Result, SqlError};
use crate::types::SqlType;
use crate::types::convert::{convert, is_string};
use crate::types::forms::ValueForms;
use crate::types::zone::Zone;
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub mod calendar;
pub mod clock;
pub mod fields;
pub mod making;
pub mod spans;
pub mod templates;
pub mod truncation;
pub mod units;
pub mod zones;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    [
        fields::functions(),
        truncation::functions(),
        making::functions(),
        zones::functions(),
        clock::functions(),
        spans::functions(),
        templates::functions(),
    ]
    .concat()
}

/// A type of an argument; `None` for a literal in quotes, NULL and parameters, which have none yet.
pub type ArgumentType = Option<SqlType>;

/// The type of a function's result, of its arguments' types and of those arguments that are constant texts.
type Returns = fn(&[ArgumentType], &[Option<String>]) -> Result<SqlType>;

/// What a function does with whole columns.
type Body = fn(&Call<'_>) -> Result<ArrayRef>;

/// A function whose type follows from its arguments.
#[derive(Debug)]
pub struct Timely {
    name: &'static str,
    signature: Signature,
    returns: Returns,
    body: Body,
}

impl Timely {
    /// A function that takes from `least` to `most` arguments.
    pub fn function(name: &'static str, (least, most): (usize, usize), returns: Returns, body: Body) -> ScalarUDF {
        let count = |count: usize| if count == 0 { TypeSignature::Nullary } else { TypeSignature::Any(count) };
        let signature = Signature::one_of((least..=most).map(count).collect(), Volatility::Stable);
        ScalarUDF::new_from_impl(Self { name, signature, returns, body })
    }
}

/// The columns that a function is called with.
pub struct Call<'a> {
    columns: Vec<ArrayRef>,
    types: Vec<ArgumentType>,
    /// Of the result.
    pub returns: SqlType,
    /// How the session reads and writes values.
    pub forms: &'a ValueForms,
}

impl Call<'_> {
    /// How many arguments there are.
    pub fn count(&self) -> usize {
        self.columns.len()
    }
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(1, |column| column.len())
    }
    /// The type of an argument.
    pub fn argument_type(&self, index: usize) -> Option<&SqlType> {
        self.types.get(index).and_then(Option::as_ref)
    }
    /// An argument's column, as a type.
    pub fn column(&self, index: usize, target: &SqlType) -> Result<ArrayRef> {
        let own = self.types[index].clone().unwrap_or(SqlType::Text);
        convert(&self.columns[index], &own, target, self.forms)
    }
    /// An argument as texts.
    pub fn texts(&self, index: usize) -> Result<StringViewArray> {
        Ok(self.column(index, &SqlType::Text)?.as_string_view().clone())
    }
    /// An argument as microseconds since 1970, of local time or of UTC as its type has it.
    pub fn moments(&self, index: usize, target: &SqlType) -> Result<Vec<Option<i64>>> {
        Ok(self.column(index, target)?.as_primitive::<TimestampMicrosecondType>().iter().collect())
    }
    /// An argument as days since 1970.
    pub fn days(&self, index: usize) -> Result<Vec<Option<i32>>> {
        Ok(self.column(index, &SqlType::Date)?.as_primitive::<Date32Type>().iter().collect())
    }
    /// An argument as intervals.
    pub fn intervals(&self, index: usize) -> Result<Vec<Option<IntervalMonthDayNano>>> {
        Ok(self.column(index, &SqlType::Interval)?.as_primitive::<IntervalMonthDayNanoType>().iter().collect())
    }
    /// The session's time zone.
    pub fn zone(&self) -> Zone {
        self.forms.zone()
    }
    /// A column of the result's type from microseconds since 1970.
    pub fn of_moments(&self, values: impl IntoIterator<Item = Result<Option<i64>>>) -> Result<ArrayRef> {
        let values = values.into_iter().collect::<Result<Vec<_>>>()?;
        let array = arrow::array::TimestampMicrosecondArray::from(values);
        Ok(Arc::new(array.with_data_type(self.returns.arrow())))
    }
}

/// A column of intervals.
pub fn of_intervals(values: impl IntoIterator<Item = Result<Option<IntervalMonthDayNano>>>) -> Result<ArrayRef> {
    let values = values.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(arrow::array::IntervalMonthDayNanoArray::from(values)))
}

/// `function date_trunc(unknown, integer) does not exist`.
pub fn no_function(name: &str, types: &[ArgumentType]) -> SqlError {
    let shown = |argument: &ArgumentType| match argument {
        Some(known) => known.name().split('(').next().unwrap_or_default().to_string(),
        None => "unknown".to_string(),
    };
    SqlError::undefined_function(&format!("{name}({})", types.iter().map(shown).collect::<Vec<_>>().join(", ")))
}

/// Whether a value of this type may stand for a text, or become one without being asked.
pub fn may_be_text(argument: &ArgumentType) -> bool {
    argument.as_ref().is_none_or(is_string)
}

impl ScalarUDFImpl for Timely {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> datafusion::common::Result<DataType> {
        datafusion::common::internal_err!("the type of {} depends on its arguments", self.name)
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> datafusion::common::Result<FieldRef> {
        let literals: Vec<Option<String>> = args.scalar_arguments.iter().map(|value| literal(*value)).collect();
        let types: Vec<ArgumentType> =
            args.arg_fields.iter().zip(&literals).map(|(field, literal)| argument_type(field, literal.is_some())).collect();
        let returns = (self.returns)(&types, &literals)?;
        Ok(result_field(self.name, &returns))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::common::Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| arg.to_array(rows)).collect::<datafusion::common::Result<Vec<_>>>()?;
        let types = args.arg_fields.iter().map(|field| argument_type(field, false)).collect();
        let forms = ValueForms::of_options(&args.config_options);
        let call = Call { columns, types, returns: SqlType::of_field(&args.return_field), forms };
        let values = (self.body)(&call)?;
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?) } else { ColumnarValue::Array(values) })
    }
}

/// A text that stands in the statement itself.
fn literal(value: Option<&ScalarValue>) -> Option<String> {
    value.and_then(|value| value.try_as_str().flatten()).map(str::to_string)
}

fn argument_type(field: &FieldRef, literal: bool) -> ArgumentType {
    match field.data_type() {
        DataType::Null => None,
        DataType::Utf8 if literal => None,
        _ => Some(SqlType::of_field(field)),
    }
}

/// A field that names its type only where the Arrow type does not say it.
fn result_field(name: &str, sql_type: &SqlType) -> FieldRef {
    match SqlType::of_arrow(&sql_type.arrow()) == *sql_type {
        true => Arc::new(Field::new(name, sql_type.arrow(), true)),
        false => Arc::new(sql_type.field(name, true)),
    }
}

impl PartialEq for Timely {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Timely {}

impl Hash for Timely {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
