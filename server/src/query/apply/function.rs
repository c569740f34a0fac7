//! A subquery as a function of the outer values that it names.

use super::answers::Answers;
use super::outer::bound;
use crate::error::{SqlError, SqlState};
use crate::query::Scope;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch, StructArray, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat, concat_batches};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Column, Result, ScalarValue, internal_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use datafusion::optimizer::OptimizerConfig;
use datafusion::physical_plan::collect;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Handle, RuntimeFlavor};

/// `ARRAY(SELECT ...)` is planned as a call of this; it is answered like a correlated subquery.
pub const ROWS: &str = "plimsoll_array_of_rows";

/// What a subquery is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its one value.
    Scalar,
    /// Whether it has rows.
    Exists,
    /// Whether one of its truth values is true.
    Any,
    /// Whether all of its truth values are.
    All,
    /// Its column as an array.
    Array,
    /// Its rows as a list; `keep`: a row of NULLs if there are none.
    Rows {
        /// As of a left join.
        keep: bool,
    },
}

/// The function.
pub struct Applied {
    id: usize,
    kind: Kind,
    plan: LogicalPlan,
    named: Vec<Column>,
    returns: FieldRef,
    signature: Signature,
    volatile: bool,
    scope: Scope,
    state: OnceLock<SessionState>,
    answers: Answers,
}

impl Applied {
    pub(super) fn new(id: usize, kind: Kind, plan: Arc<LogicalPlan>, named: Vec<Column>, scope: &Scope) -> Result<Self> {
        let returns = Arc::new(returns(kind, &plan)?);
        let volatile = is_volatile(&plan)?;
        let plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(plan));
        let plan = match kind {
            Kind::Scalar => plan.limit(0, Some(2))?,
            Kind::Exists => plan.limit(0, Some(1))?,
            _ => plan,
        };
        let forms = vec![TypeSignature::VariadicAny, TypeSignature::Nullary];
        Ok(Self {
            id,
            kind,
            plan: plan.build()?,
            named,
            returns,
            signature: Signature::one_of(forms, Volatility::Volatile),
            volatile,
            scope: Scope { query_threads: 1, ..scope.clone() },
            state: OnceLock::new(),
            answers: Answers::new(&scope.runtime.memory_pool),
        })
    }

    pub(super) fn into_function(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(self)
    }

    /// The value of a subquery that names nothing.
    pub(super) fn once(&self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&blocking(|handle| self.ask(handle, &[]))?, 0)
    }

    /// The answer for one tuple of values, as an array of one element. Blocks.
    fn ask(&self, handle: &Handle, values: &[ScalarValue]) -> Result<ArrayRef> {
        let ended = &self.scope.ended;
        if ended.is_cancelled() {
            return Err(cancelled().into());
        }
        let values: HashMap<Column, ScalarValue> = self.named.iter().cloned().zip(values.iter().cloned()).collect();
        let plan = bound(self.plan.clone(), &values)?;
        let batches = handle.block_on(async {
            tokio::select! {
                biased;
                () = ended.cancelled() => Err(cancelled().into()),
                batches = run(self.state.get_or_init(|| self.scope.state()), plan) => batches,
            }
        })?;
        self.answer(&batches)
    }

    fn answer(&self, batches: &[RecordBatch]) -> Result<ArrayRef> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        match self.kind {
            Kind::Exists => Ok(Arc::new(BooleanArray::from(vec![rows > 0]))),
            Kind::Any | Kind::All => Ok(Arc::new(BooleanArray::from(vec![quantified(self.kind == Kind::Any, batches)?]))),
            Kind::Scalar if rows > 1 => {
                let message = "more than one row returned by a subquery used as an expression";
                Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message).into())
            }
            Kind::Scalar => match column(batches, 0, self.returns.data_type())? {
                values if values.is_empty() => Ok(new_null_array(self.returns.data_type(), 1)),
                values => Ok(values),
            },
            Kind::Array => one_list(column(batches, 0, item(self.returns.data_type())?.data_type())?, self.returns.data_type()),
            Kind::Rows { keep } => rows_of(batches, keep && rows == 0, self.returns.data_type()),
        }
    }
}

fn cancelled() -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
}

async fn run(state: &SessionState, plan: LogicalPlan) -> Result<Vec<RecordBatch>> {
    let plan = state.optimizer().optimize(plan, state as &dyn OptimizerConfig, |_, _| {})?;
    let plan = state.query_planner().create_physical_plan(&plan, state).await?;
    collect(plan, state.task_ctx()).await
}

/// Does what blocks from within a step of a query: this thread's other work moves to another one meanwhile.
fn blocking<T: Send>(work: impl FnOnce(&Handle) -> Result<T> + Send) -> Result<T> {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => tokio::task::block_in_place(|| work(&handle)),
        _ => std::thread::scope(|scope| {
            let alone = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                work(runtime.map_err(datafusion::error::DataFusionError::from)?.handle())
            });
            alone.join().unwrap_or_else(|_| internal_err!("a subquery panicked"))
        }),
    }
}

fn is_volatile(plan: &LogicalPlan) -> Result<bool> {
    use datafusion::common::tree_node::TreeNodeRecursion;
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= datafusion::common::tree_node::TreeNode::exists(expr, |expr| {
                Ok(matches!(expr, datafusion::logical_expr::Expr::ScalarFunction(call)
                    if call.func.signature().volatility == Volatility::Volatile && call.func.name() != NAME))
            })?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// The name of all these functions, as EXPLAIN shows it.
const NAME: &str = "subquery";

fn returns(kind: Kind, plan: &LogicalPlan) -> Result<Field> {
    let first = || match plan.schema().fields().first() {
        Some(field) => Ok(field.as_ref().clone().with_name(NAME).with_nullable(true)),
        None => Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return only one column").into()),
    };
    match kind {
        Kind::Scalar => first(),
        Kind::Exists | Kind::Any | Kind::All => Ok(Field::new(NAME, DataType::Boolean, true)),
        Kind::Array => Ok(Field::new_list(NAME, first()?.with_name(Field::LIST_FIELD_DEFAULT_NAME), true)),
        Kind::Rows { .. } => {
            let fields = plan.schema().fields().iter().enumerate();
            let fields: Fields = fields.map(|(at, field)| field.as_ref().clone().with_name(format!("c{at}")).with_nullable(true)).collect();
            Ok(Field::new_list(NAME, Field::new_list_field(DataType::Struct(fields), true), true))
        }
    }
}

fn item(list: &DataType) -> Result<&FieldRef> {
    match list {
        DataType::List(item) => Ok(item),
        other => internal_err!("{other} is no list"),
    }
}

/// A column of all batches, as a type.
fn column(batches: &[RecordBatch], at: usize, data_type: &DataType) -> Result<ArrayRef> {
    let columns = batches.iter().map(|batch| Ok(cast(batch.column(at), data_type)?)).collect::<Result<Vec<_>>>()?;
    match columns.as_slice() {
        [] => Ok(arrow::array::new_empty_array(data_type)),
        [one] => Ok(Arc::clone(one)),
        many => Ok(concat(&many.iter().map(AsRef::as_ref).collect::<Vec<_>>())?),
    }
}

fn quantified(any: bool, batches: &[RecordBatch]) -> Result<Option<bool>> {
    let values = column(batches, 0, &DataType::Boolean)?;
    let values = values.as_boolean();
    if values.iter().any(|value| value == Some(any)) {
        return Ok(Some(any));
    }
    Ok((values.null_count() == 0).then_some(!any))
}

fn one_list(values: ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    Ok(Arc::new(ListArray::try_new(Arc::clone(item(data_type)?), offsets, values, None)?))
}

fn rows_of(batches: &[RecordBatch], nulls: bool, data_type: &DataType) -> Result<ArrayRef> {
    let DataType::Struct(fields) = item(data_type)?.data_type() else { return internal_err!("rows have columns") };
    let whole = match batches.first() {
        Some(first) => concat_batches(&first.schema(), batches)?.num_rows(),
        None => 0,
    };
    let count = if nulls { 1 } else { whole };
    let columns = fields.iter().enumerate().map(|(at, field)| match nulls {
        true => Ok(new_null_array(field.data_type(), 1)),
        false => column(batches, at, field.data_type()),
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let rows: ArrayRef = match columns.is_empty() {
        true => Arc::new(StructArray::new_empty_fields(count, None)),
        false => Arc::new(StructArray::try_new(fields.clone(), columns, None)?),
    };
    one_list(rows, data_type)
}

impl ScalarUDFImpl for Applied {
    fn name(&self) -> &str {
        NAME
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.data_type().clone())
    }
    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.returns))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let answers = |handle: &Handle| {
            let ask = |values: &[ScalarValue]| self.ask(handle, values);
            self.answers.of_rows(&columns, args.number_rows, self.volatile, &self.returns, ask)
        };
        blocking(answers).map(ColumnarValue::Array)
    }
}

impl std::fmt::Debug for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "subquery {} {:?}", self.id, self.kind)
    }
}

impl PartialEq for Applied {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.kind == other.kind && self.plan == other.plan
    }
}

impl Eq for Applied {}

impl Hash for Applied {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// The function that `ARRAY(SELECT ...)` is planned as, until the rule finds it.
pub fn rows_function() -> ScalarUDF {
    ScalarUDF::new_from_impl(ArrayOfRows { signature: Signature::any(1, Volatility::Stable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayOfRows {
    signature: Signature,
}

impl ScalarUDFImpl for ArrayOfRows {
    fn name(&self) -> &str {
        ROWS
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::new_list(arguments[0].clone(), true))
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let item = args.arg_fields[0].as_ref().clone().with_name(Field::LIST_FIELD_DEFAULT_NAME).with_nullable(true);
        Ok(Arc::new(Field::new_list(ROWS, item, true)))
    }
    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(SqlError::unsupported("ARRAY of a subquery in this place").into())
    }
}
