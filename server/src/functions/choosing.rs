//! `coalesce`, `greatest` and `least` as they are written: of any arguments. [`crate::query::common_types`] gives the arguments one type, and puts
//! the engine's functions in the place of these.

use super::overloads::result_field;
use crate::query::common_types::{Given, chosen};
use crate::types::SqlType;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::sync::{Arc, LazyLock};

/// The engine's functions, by the names of those here.
static ENGINES: LazyLock<[(&str, Arc<ScalarUDF>); 3]> = LazyLock::new(|| {
    use datafusion::functions::core;
    [("coalesce", core::coalesce()), ("greatest", core::greatest()), ("least", core::least())]
});

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::one_of(vec![TypeSignature::VariadicAny, TypeSignature::Nullary], Volatility::Immutable);
    let function = |name: &'static str| ScalarUDF::new_from_impl(Choosing { name, signature: signature() });
    ["coalesce", "greatest", "least"].into_iter().map(function).collect()
}

/// The engine's function of this name.
pub fn engines(name: &str) -> Option<Arc<ScalarUDF>> {
    ENGINES.iter().find(|(known, _)| *known == name).map(|(_, function)| Arc::clone(function))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Choosing {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Choosing {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} depends on SQL types", self.name)
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given: Vec<Given> =
            args.arg_fields.iter().zip(args.scalar_arguments).map(|(field, literal)| Given::of_field(field, *literal)).collect();
        let first = || args.arg_fields.iter().find(|field| !field.data_type().is_null()).map(|field| SqlType::of_field(field));
        // An error about the types is told when they are settled.
        let returned = chosen(self.name, &given).ok().flatten().or_else(first);
        Ok(match returned {
            Some(sql_type) => result_field(self.name, &sql_type),
            None => Arc::new(Field::new(self.name, DataType::Null, true)),
        })
    }
    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{} was not given its type", self.name)
    }
}
