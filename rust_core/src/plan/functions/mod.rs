//! The functions of a plan: what PostgreSQL computes otherwise than DataFusion would.
//!
//! A plan names them (`pg_…`) and every participant finds them by name in its registry ([`all`]), so
//! they hold no state: all they need lies in the types of arguments and result. Each is strict: NULL
//! in, NULL out, and no error from a row with a NULL. The translator gives them arguments of exactly
//! the types they want; anything else is an internal error, never a panic.

mod cancel;
mod cast;
mod float;
mod integer;
mod kernel;
pub(in crate::plan) mod numeric;
pub(in crate::plan) mod text;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use crate::error::Error;
pub use cancel::{cancellable, not_cancelled};
use cast::Target;
use float::Float;
use integer::Integer;
use numeric::Numeric;

/// Every function, in the order of [`FUNCTIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    IntAdd,
    IntSub,
    IntMul,
    IntDiv,
    IntMod,
    IntNeg,
    FloatAdd,
    FloatSub,
    FloatMul,
    FloatDiv,
    FloatNeg,
    FloatKey,
    NumericAdd,
    NumericSub,
    NumericMul,
    NumericNeg,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    DateTimestamp,
    BpcharTrim,
    Like,
}

/// Name and number of arguments.
const FUNCTIONS: [(Function, &str, usize); 25] = [
    (Function::IntAdd, "pg_int_add", 2),
    (Function::IntSub, "pg_int_sub", 2),
    (Function::IntMul, "pg_int_mul", 2),
    (Function::IntDiv, "pg_int_div", 2),
    (Function::IntMod, "pg_int_mod", 2),
    (Function::IntNeg, "pg_int_neg", 1),
    (Function::FloatAdd, "pg_float_add", 2),
    (Function::FloatSub, "pg_float_sub", 2),
    (Function::FloatMul, "pg_float_mul", 2),
    (Function::FloatDiv, "pg_float_div", 2),
    (Function::FloatNeg, "pg_float_neg", 1),
    (Function::FloatKey, "pg_float_key", 1),
    (Function::NumericAdd, "pg_numeric_add", 2),
    (Function::NumericSub, "pg_numeric_sub", 2),
    (Function::NumericMul, "pg_numeric_mul", 2),
    (Function::NumericNeg, "pg_numeric_neg", 1),
    (Function::Int2, "pg_int2", 1),
    (Function::Int4, "pg_int4", 1),
    (Function::Int8, "pg_int8", 1),
    (Function::Float4, "pg_float4", 1),
    (Function::Float8, "pg_float8", 1),
    (Function::Numeric, "pg_numeric", 1),
    (Function::DateTimestamp, "pg_date_timestamp", 1),
    (Function::BpcharTrim, "pg_bpchar_trim", 1),
    (Function::Like, "pg_like", 2),
];

static REGISTERED: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    FUNCTIONS
        .iter()
        .map(|(function, name, arity)| {
            let signature = Signature::any(*arity, Volatility::Immutable);
            Arc::new(ScalarUDF::from(Native { function: *function, name, signature }))
        })
        .collect()
});

/// No function reads them; shared because comparing two expressions would compare two copies option by option.
static OPTIONS: LazyLock<Arc<ConfigOptions>> = LazyLock::new(Arc::default);

/// All functions, for a session's registry.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    REGISTERED.clone()
}

/// A call of `function` that gives `return_type`.
pub(in crate::plan) fn call(
    function: Function,
    args: Vec<Arc<dyn PhysicalExpr>>,
    return_type: DataType,
) -> Arc<dyn PhysicalExpr> {
    let udf = Arc::clone(&REGISTERED[function as usize]);
    let field = Arc::new(Field::new(udf.name(), return_type, true));
    let name = udf.name().to_owned();
    Arc::new(ScalarFunctionExpr::new(&name, udf, args, field, Arc::clone(&OPTIONS)))
}

/// One of [`FUNCTIONS`], as DataFusion wants it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Native {
    function: Function,
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Native {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Only for whoever asks without a plan: in a plan every call carries its type.
    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        use Function::*;
        let wanted = || Error::internal(format!("{} has no result of its own for these arguments", self.name));
        let two = |rule: fn(&DataType, &DataType) -> Option<DataType>| match arg_types {
            [left, right] => rule(left, right),
            _ => None,
        };
        let data_type = match self.function {
            IntAdd | IntSub | IntMul | IntDiv | IntMod | IntNeg | FloatAdd | FloatSub | FloatMul | FloatDiv
            | FloatNeg | FloatKey | NumericNeg => arg_types.first().cloned(),
            NumericAdd | NumericSub => two(numeric::sum_type),
            NumericMul => two(numeric::product_type),
            Int2 => Some(Target::Int2.data_type()),
            Int4 => Some(Target::Int4.data_type()),
            Int8 => Some(Target::Int8.data_type()),
            Float4 => Some(Target::Float4.data_type()),
            Float8 => Some(Target::Float8.data_type()),
            Numeric => None,
            DateTimestamp => Some(DataType::Int64),
            BpcharTrim => Some(DataType::Utf8),
            Like => Some(DataType::Boolean),
        };
        Ok(data_type.ok_or_else(wanted)?)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let args = &args;
        match self.function {
            Function::IntAdd => integer::invoke(Integer::Add, args),
            Function::IntSub => integer::invoke(Integer::Sub, args),
            Function::IntMul => integer::invoke(Integer::Mul, args),
            Function::IntDiv => integer::invoke(Integer::Div, args),
            Function::IntMod => integer::invoke(Integer::Mod, args),
            Function::IntNeg => integer::invoke(Integer::Neg, args),
            Function::FloatAdd => float::invoke(Float::Add, args),
            Function::FloatSub => float::invoke(Float::Sub, args),
            Function::FloatMul => float::invoke(Float::Mul, args),
            Function::FloatDiv => float::invoke(Float::Div, args),
            Function::FloatNeg => float::invoke(Float::Neg, args),
            Function::FloatKey => float::invoke(Float::Key, args),
            Function::NumericAdd => numeric::invoke(Numeric::Add, args),
            Function::NumericSub => numeric::invoke(Numeric::Sub, args),
            Function::NumericMul => numeric::invoke(Numeric::Mul, args),
            Function::NumericNeg => numeric::invoke(Numeric::Neg, args),
            Function::Int2 => cast::invoke(Target::Int2, args),
            Function::Int4 => cast::invoke(Target::Int4, args),
            Function::Int8 => cast::invoke(Target::Int8, args),
            Function::Float4 => cast::invoke(Target::Float4, args),
            Function::Float8 => cast::invoke(Target::Float8, args),
            Function::Numeric => numeric::invoke(Numeric::Cast, args),
            Function::DateTimestamp => cast::date_timestamp(args),
            Function::BpcharTrim => text::trim(args),
            Function::Like => text::like(args),
        }
    }
}

#[cfg(test)]
mod tests;
