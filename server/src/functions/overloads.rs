//! Functions with PostgreSQL's overloads: a name, for each overload the types of its arguments and of its result, and a body over columns.
//!
//! A call is resolved by the SQL types of its arguments, which PostgreSQL distinguishes and Arrow does not (json and text, for instance):
//! 1. overloads whose arguments can be cast implicitly to the parameters are candidates, a literal in quotes fits all types;
//! 2. the candidate with the most exact matches wins, then the one that stands first;
//! 3. the arguments are cast, once for a batch, and the body sees only columns of the parameters' types.

use super::long_names;
use crate::error::{Result, SqlError, SqlState};
use crate::types::convert::{convert, is_string};
use crate::types::forms::ValueForms;
use crate::types::{CatalogType, SqlType};
use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int32Type, Int64Type};
use datafusion::common::{Result as EngineResult, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What a parameter takes.
#[derive(Clone, Debug)]
pub enum Param {
    /// One type.
    Of(SqlType),
    /// An array of any type.
    Array,
    /// An element of the array among the arguments, or any value if there is none.
    Element,
    /// Any value, as it is.
    Any,
}

/// What comes out.
#[derive(Clone, Debug)]
pub enum Returns {
    /// One type.
    Of(SqlType),
    /// The type of the array among the arguments.
    Array,
    /// An array of what the `Element` argument is.
    ArrayOfElement,
    /// An array of the scalars that the array among the arguments ends in.
    ArrayOfScalar,
    /// The scalar that the array among the arguments ends in.
    Scalar,
}

type Body = fn(&Call) -> Result<ArrayRef>;

#[derive(Clone, Debug)]
struct Overload {
    params: Vec<Param>,
    /// Takes any number of further arguments like this.
    rest: Option<Param>,
    returns: Returns,
    body: Body,
}

/// A function's builder.
pub struct Overloaded {
    name: &'static str,
    overloads: Vec<Overload>,
    volatility: Volatility,
    signature: Signature,
}

/// The arguments of one call for one batch.
pub struct Call {
    /// Columns, of the parameters' types, all of `rows` values.
    pub arrays: Vec<ArrayRef>,
    /// Their SQL types.
    pub types: Vec<SqlType>,
    /// The result's.
    pub returns: SqlType,
    /// How many rows.
    pub rows: usize,
    /// How the session reads and writes values.
    pub forms: ValueForms,
}

impl Overloaded {
    /// A function without overloads yet.
    pub fn named(name: &'static str) -> Self {
        let signature = Signature::one_of(vec![TypeSignature::VariadicAny, TypeSignature::Nullary], Volatility::Immutable);
        Self { name, overloads: Vec::new(), volatility: Volatility::Immutable, signature }
    }
    /// One more overload.
    pub fn of(self, params: &[SqlType], returns: SqlType, body: Body) -> Self {
        let params = params.iter().cloned().map(Param::Of).collect::<Vec<_>>();
        self.taking(&params, Returns::Of(returns), body)
    }
    /// One more overload.
    pub fn taking(mut self, params: &[Param], returns: Returns, body: Body) -> Self {
        self.overloads.push(Overload { params: params.to_vec(), rest: None, returns, body });
        self
    }
    /// One more overload, with any number of arguments of one kind after the first ones.
    pub fn variadic(mut self, params: &[Param], rest: Param, returns: Returns, body: Body) -> Self {
        self.overloads.push(Overload { params: params.to_vec(), rest: Some(rest), returns, body });
        self
    }
    /// How stable its results are.
    pub fn with_volatility(mut self, volatility: Volatility) -> Self {
        self.signature.volatility = volatility;
        self.volatility = volatility;
        self
    }
    /// The function.
    pub fn build(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(self)
    }

    fn resolve(&self, given: &[Given]) -> Result<(&Overload, Vec<SqlType>, SqlType)> {
        let candidates =
            self.overloads.iter().filter_map(|overload| overload.matches(given).map(|(score, types)| (score, types, overload)));
        let mut best: Option<(usize, Vec<SqlType>, &Overload)> = None;
        for candidate in candidates {
            if best.as_ref().is_none_or(|(score, ..)| candidate.0 > *score) {
                best = Some(candidate);
            }
        }
        let (_, types, overload) = best.ok_or_else(|| self.undefined(given))?;
        let returns = overload.returned(&types)?;
        Ok((overload, types, returns))
    }

    fn undefined(&self, given: &[Given]) -> SqlError {
        let types: Vec<String> = given.iter().map(Given::shown).collect();
        let error = SqlError::undefined_function(&format!("{}({})", self.name, types.join(", ")));
        error.with_hint("No function matches the given name and argument types. You might need to add explicit type casts.")
    }
}

/// What an argument is.
#[derive(Clone, Debug)]
enum Given {
    /// NULL, or a literal in quotes: of no type yet.
    Unknown,
    Typed(SqlType),
}

impl Given {
    fn of(field: &Field, literal: Option<&ScalarValue>) -> Self {
        match (field.data_type(), literal) {
            (DataType::Null, _) | (DataType::Utf8, Some(_)) => Self::Unknown,
            _ => Self::Typed(unmodified(SqlType::of_field(field))),
        }
    }
    fn shown(&self) -> String {
        match self {
            Self::Unknown => "unknown".into(),
            Self::Typed(SqlType::Numeric(_)) => "numeric".into(),
            Self::Typed(SqlType::Char(_)) => "character".into(),
            Self::Typed(found) => found.name(),
        }
    }
    fn sql_type(&self) -> SqlType {
        match self {
            Self::Unknown => SqlType::Text,
            Self::Typed(found) => found.clone(),
        }
    }
}

fn unmodified(sql_type: SqlType) -> SqlType {
    match sql_type {
        SqlType::Varchar(_) => SqlType::Varchar(None),
        SqlType::Catalog(CatalogType::Int2Vector) => SqlType::Array(Box::new(SqlType::Int2)),
        SqlType::Catalog(CatalogType::OidVector) => SqlType::Array(Box::new(SqlType::Oid)),
        other => other,
    }
}

/// How numbers are widened; other types have no rank.
fn rank(sql_type: &SqlType) -> Option<u8> {
    Some(match sql_type {
        SqlType::Int2 => 0,
        SqlType::Int4 => 1,
        SqlType::Int8 => 2,
        SqlType::Numeric(_) => 3,
        SqlType::Float4 => 4,
        SqlType::Float8 => 5,
        _ => return None,
    })
}

/// 3: it is this type; 2: it is cast implicitly; 1: it is read as this type; `None`: it does not fit.
fn fits(given: &Given, wanted: &SqlType) -> Option<usize> {
    let found = match given {
        Given::Unknown => return Some(if *wanted == SqlType::Text { 2 } else { 1 }),
        Given::Typed(found) => found.clone(),
    };
    let numeric = matches!((&found, wanted), (SqlType::Numeric(_), SqlType::Numeric(_)));
    if found == *wanted || numeric {
        return Some(3);
    }
    match (rank(&found), rank(wanted)) {
        (Some(from), Some(to)) if from < to => return Some(2),
        // The numbers of generate_series, row_number and the like are wider than PostgreSQL's may be; what does not fit is an error.
        (Some(2), Some(1)) => return Some(1),
        _ => {}
    }
    let moments = |sql_type: &SqlType| match sql_type {
        SqlType::Date => Some(0),
        SqlType::Timestamp => Some(1),
        SqlType::Timestamptz => Some(2),
        _ => None,
    };
    let later = matches!((moments(&found), moments(wanted)), (Some(from), Some(to)) if from < to);
    let texts = is_string(&found) && is_string(wanted) || found == SqlType::Name && is_string(wanted);
    (later || texts).then_some(2)
}

impl Overload {
    /// How well the arguments fit, and the types that they are cast to.
    fn matches(&self, given: &[Given]) -> Option<(usize, Vec<SqlType>)> {
        let enough = given.len() == self.params.len() || (self.rest.is_some() && given.len() >= self.params.len());
        if !enough {
            return None;
        }
        let params: Vec<&Param> = self.params.iter().chain(self.rest.iter().cycle()).take(given.len()).collect();
        let element = element_type(&params, given)?;
        let mut score = 1;
        let mut types = Vec::with_capacity(given.len());
        for (param, given) in params.into_iter().zip(given) {
            let (points, sql_type) = match param {
                Param::Of(wanted) => (fits(given, wanted)?, wanted_form(given, wanted)),
                Param::Array => (2, SqlType::Array(Box::new(element.clone()?))),
                Param::Element => (2, element.clone().unwrap_or_else(|| given.sql_type())),
                Param::Any => (2, given.sql_type()),
            };
            score += points;
            types.push(sql_type);
        }
        Some((score, types))
    }

    fn returned(&self, types: &[SqlType]) -> Result<SqlType> {
        let at = |found: fn(&Param) -> bool| self.params.iter().position(found).and_then(|at| types.get(at)).cloned();
        let array = || at(|param| matches!(param, Param::Array));
        let found = match &self.returns {
            Returns::Of(found) => Some(found.clone()),
            Returns::Array => array(),
            Returns::ArrayOfElement => at(|param| matches!(param, Param::Element)).map(|element| SqlType::Array(Box::new(element))),
            Returns::Scalar => array().map(|array| array.scalar().clone()),
            Returns::ArrayOfScalar => array().map(|array| SqlType::Array(Box::new(array.scalar().clone()))),
        };
        found.ok_or_else(|| {
            SqlError::new(SqlState::DATATYPE_MISMATCH, "could not determine polymorphic type because input has type unknown")
        })
    }
}

/// A numeric keeps its own scale.
fn wanted_form(given: &Given, wanted: &SqlType) -> SqlType {
    match (given, wanted) {
        (Given::Typed(found @ SqlType::Numeric(_)), SqlType::Numeric(None)) => found.clone(),
        _ => wanted.clone(),
    }
}

/// The type that the arrays and elements among the arguments have in common; `Some(None)` if there are none, `None` if they do not agree.
fn element_type(params: &[&Param], given: &[Given]) -> Option<Option<SqlType>> {
    let mut common: Option<SqlType> = None;
    let pairs = || params.iter().zip(given);
    if pairs().any(|(param, given)| matches!((param, given), (Param::Array, Given::Typed(found)) if !matches!(found, SqlType::Array(_)))) {
        return None;
    }
    let has_array = params.iter().any(|param| matches!(param, Param::Array));
    for (param, given) in pairs() {
        let found = match (param, given) {
            (Param::Array, Given::Typed(SqlType::Array(element))) => element.as_ref().clone(),
            (Param::Element, Given::Typed(found)) => found.clone(),
            _ => continue,
        };
        common = Some(match common {
            None => found,
            Some(known) => wider(known, found)?,
        });
    }
    if common.is_none() && has_array {
        return None;
    }
    Some(common)
}

fn wider(left: SqlType, right: SqlType) -> Option<SqlType> {
    if left == right {
        return Some(left);
    }
    match (&left, &right) {
        (SqlType::Numeric(Some((_, a))), SqlType::Numeric(Some((_, b)))) => Some(SqlType::Numeric(Some((38, *a.max(b))))),
        _ => match (rank(&left), rank(&right)) {
            (Some(a), Some(b)) => Some(if a >= b { left } else { right }),
            _ if is_string(&left) && is_string(&right) => Some(SqlType::Text),
            _ => None,
        },
    }
}

/// A field that names its type only where the Arrow type does not say it.
pub fn result_field(name: &str, sql_type: &SqlType) -> FieldRef {
    match SqlType::of_arrow(&sql_type.arrow()) == *sql_type {
        true => Arc::new(Field::new(name, sql_type.arrow(), true)),
        false => Arc::new(sql_type.field(name, true)),
    }
}

impl fmt::Debug for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Overloaded {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Overloaded {}

impl Hash for Overloaded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Overloaded {
    fn name(&self) -> &str {
        self.name
    }
    fn schema_name(&self, arguments: &[Expr]) -> EngineResult<String> {
        long_names::schema_name(self.name, arguments)
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> EngineResult<DataType> {
        internal_err!("the type of {} depends on SQL types", self.name)
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> EngineResult<FieldRef> {
        let given: Vec<Given> =
            args.arg_fields.iter().zip(args.scalar_arguments).map(|(field, literal)| Given::of(field, *literal)).collect();
        let (_, _, returns) = self.resolve(&given)?;
        Ok(result_field(self.name, &returns))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let literal = |value: &ColumnarValue| match value {
            ColumnarValue::Scalar(value) => Some(value.clone()),
            ColumnarValue::Array(_) => None,
        };
        let literals: Vec<Option<ScalarValue>> = args.args.iter().map(literal).collect();
        let given: Vec<Given> = args.arg_fields.iter().zip(&literals).map(|(field, value)| Given::of(field, value.as_ref())).collect();
        let (overload, types, _) = self.resolve(&given)?;
        let constant = self.volatility != Volatility::Volatile && literals.iter().all(Option::is_some);
        let rows = if constant { 1 } else { args.number_rows };
        let forms = ValueForms::of_options(&args.config_options).clone();
        let mut arrays = Vec::with_capacity(types.len());
        for ((value, field), to) in args.args.iter().zip(&args.arg_fields).zip(&types) {
            arrays.push(cast(&value.to_array(rows)?, &SqlType::of_field(field), to, &forms)?);
        }
        let returns = SqlType::of_field(&args.return_field);
        let result = (overload.body)(&Call { arrays, types, returns, rows, forms })?;
        match constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

fn cast(values: &ArrayRef, from: &SqlType, to: &SqlType, forms: &ValueForms) -> Result<ArrayRef> {
    let wanted = to.arrow();
    if *values.data_type() == wanted {
        return Ok(Arc::clone(values));
    }
    if values.data_type().is_null() {
        return Ok(new_null_array(&wanted, values.len()));
    }
    if from == to || (is_string(from) && is_string(to)) {
        return Ok(arrow::compute::cast(values, &wanted)?);
    }
    convert(values, from, to, forms)
}

impl Call {
    /// Whether an argument is NULL.
    pub fn is_null(&self, argument: usize, row: usize) -> bool {
        self.arrays[argument].is_null(row)
    }
    /// Whether any argument is NULL: a strict function's result then is.
    pub fn any_null(&self, row: usize) -> bool {
        self.arrays.iter().any(|array| array.is_null(row))
    }
    /// How many arguments there are.
    pub fn count(&self) -> usize {
        self.arrays.len()
    }
    /// A text.
    pub fn text(&self, argument: usize, row: usize) -> &str {
        self.arrays[argument].as_string_view().value(row)
    }
    /// Bytes.
    pub fn bytes(&self, argument: usize, row: usize) -> &[u8] {
        self.arrays[argument].as_binary_view().value(row)
    }
    /// An integer.
    pub fn int4(&self, argument: usize, row: usize) -> i32 {
        self.arrays[argument].as_primitive::<Int32Type>().value(row)
    }
    /// A bigint.
    pub fn int8(&self, argument: usize, row: usize) -> i64 {
        self.arrays[argument].as_primitive::<Int64Type>().value(row)
    }
    /// A float.
    pub fn float8(&self, argument: usize, row: usize) -> f64 {
        self.arrays[argument].as_primitive::<Float64Type>().value(row)
    }
    /// A boolean.
    pub fn boolean(&self, argument: usize, row: usize) -> bool {
        self.arrays[argument].as_boolean().value(row)
    }
    /// An array's items.
    pub fn items(&self, argument: usize, row: usize) -> ArrayRef {
        self.arrays[argument].as_list::<i32>().value(row)
    }
    /// The texts of an array of text.
    pub fn texts_of(&self, argument: usize, row: usize) -> Vec<Option<String>> {
        let items = self.items(argument, row);
        items.as_string_view().iter().map(|item| item.map(str::to_string)).collect()
    }
}

/// Results of strict functions: NULL where an argument is, else what the closure says; its `None` is NULL too.
pub mod results {
    use super::Call;
    use crate::error::{Result, SqlError, SqlState};
    use arrow::array::{ArrayRef, ArrowPrimitiveType, BinaryViewBuilder, BooleanBuilder, ListBuilder, PrimitiveBuilder, StringViewBuilder};
    use std::sync::Arc;

    /// What the results of one batch of rows take in bytes, bounded: they are all in memory at once.
    #[derive(Default)]
    pub struct BatchBytes(usize);

    impl BatchBytes {
        /// One value may be as long as PostgreSQL's longest, in bytes.
        const VALUE_BYTES_MAX: usize = (1 << 30) - 1;
        /// Several together, in bytes.
        const BATCH_BYTES_MAX: usize = 256 << 20;

        /// Counts a value: 54000 if it is too long, 53200 if the batch is.
        pub fn add(&mut self, value_bytes: usize) -> Result<()> {
            if value_bytes > Self::VALUE_BYTES_MAX {
                return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large"));
            }
            let alone = self.0 == 0;
            self.0 += value_bytes;
            if self.0 <= Self::BATCH_BYTES_MAX || alone {
                return Ok(());
            }
            let detail = format!("The results of a function for one batch of rows take more than {} MiB.", Self::BATCH_BYTES_MAX >> 20);
            Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
                .with_detail(detail)
                .with_hint("Make shorter texts, or of fewer rows."))
        }
    }

    /// Texts, each written into a buffer; `false` is NULL.
    pub fn texts(call: &Call, mut write: impl FnMut(usize, &mut String) -> Result<bool>) -> Result<ArrayRef> {
        let mut builder = StringViewBuilder::with_capacity(call.rows);
        let (mut buffer, mut bytes) = (String::new(), BatchBytes::default());
        for row in 0..call.rows {
            buffer.clear();
            match !call.any_null(row) && write(row, &mut buffer)? {
                true => {
                    bytes.add(buffer.len())?;
                    builder.append_value(&buffer);
                }
                false => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    /// Bytes, each written into a buffer.
    pub fn bytes(call: &Call, mut write: impl FnMut(usize, &mut Vec<u8>) -> Result<()>) -> Result<ArrayRef> {
        let mut builder = BinaryViewBuilder::with_capacity(call.rows);
        let mut buffer = Vec::new();
        for row in 0..call.rows {
            buffer.clear();
            if call.any_null(row) {
                builder.append_null();
                continue;
            }
            write(row, &mut buffer)?;
            builder.append_value(&buffer);
        }
        Ok(Arc::new(builder.finish()))
    }

    /// Booleans.
    pub fn booleans(call: &Call, mut value: impl FnMut(usize) -> Result<Option<bool>>) -> Result<ArrayRef> {
        let mut builder = BooleanBuilder::with_capacity(call.rows);
        for row in 0..call.rows {
            builder.append_option(if call.any_null(row) { None } else { value(row)? });
        }
        Ok(Arc::new(builder.finish()))
    }

    /// Numbers.
    pub fn numbers<T: ArrowPrimitiveType>(call: &Call, mut value: impl FnMut(usize) -> Result<Option<T::Native>>) -> Result<ArrayRef> {
        let mut builder = PrimitiveBuilder::<T>::with_capacity(call.rows);
        for row in 0..call.rows {
            builder.append_option(if call.any_null(row) { None } else { value(row)? });
        }
        Ok(Arc::new(builder.finish()))
    }

    /// Arrays of text. Not strict: the closure sees every row.
    pub fn text_lists(call: &Call, mut value: impl FnMut(usize) -> Result<Option<Vec<Option<String>>>>) -> Result<ArrayRef> {
        let mut builder = ListBuilder::new(StringViewBuilder::new());
        for row in 0..call.rows {
            match value(row)? {
                Some(items) => {
                    items.into_iter().for_each(|item| builder.values().append_option(item));
                    builder.append(true);
                }
                None => builder.append(false),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    /// Arrays of integers. Not strict.
    pub fn int4_lists(call: &Call, mut value: impl FnMut(usize) -> Result<Option<Vec<i32>>>) -> Result<ArrayRef> {
        let mut builder = ListBuilder::new(PrimitiveBuilder::<arrow::datatypes::Int32Type>::new());
        for row in 0..call.rows {
            match value(row)? {
                Some(items) => {
                    builder.values().append_slice(&items);
                    builder.append(true);
                }
                None => builder.append(false),
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}
