//! The functions of a plan: what PostgreSQL computes otherwise than DataFusion would.
//!
//! A plan names them (`pg_…`) and every participant finds them by name in its registry ([`all`]), so
//! they hold no state: all they need lies in the types of arguments and result. Each is strict (NULL
//! in, NULL out, and no error from a row with a NULL) but for the choice of the greatest or least. The translator gives them arguments of exactly
//! the types they want; anything else is an internal error, never a panic.

mod cancel;
mod cast;
mod choice;
pub(in crate::plan) mod datetime;
mod float;
mod integer;
pub(in crate::plan) mod interval;
mod kernel;
mod maths;
pub(in crate::plan) mod numeric;
pub(in crate::plan) mod numeric_digits;
pub(in crate::plan) mod numeric_division;
mod numeric_order;
pub(in crate::plan) mod numeric_root;
mod strings;
pub(in crate::plan) mod text;
mod unscaled;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use crate::error::Error;
pub use cancel::{cancellable, not_cancelled};
use cast::Target;
use choice::Choice;
use float::Float;
pub(in crate::plan) use float::overflow as float_overflow;
use integer::Integer;
use maths::Rounding;
use numeric::Numeric;
pub(in crate::plan) use numeric_order::write as numeric_key;

/// A function as it is registered.
struct Entry {
    function: Function,
    name: &'static str,
    arity: usize,
    result: ResultType,
    invoke: fn(&ScalarFunctionArgs) -> Result<ColumnarValue>,
}

/// The type of a result, for whoever asks without a plan: in a plan every call carries its own.
enum ResultType {
    First,
    Is(DataType),
    OfTwo(fn(&DataType, &DataType) -> Option<DataType>),
    /// It depends on more than the arguments' types.
    FromPlan,
}

/// The functions, each in one line: name here, name in plans, number of arguments, result, body.
macro_rules! functions {
    ($($function:ident $name:literal $arity:literal $result:expr, $invoke:expr;)*) => {
        /// Every function, in the order of [`FUNCTIONS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Function {
            $($function,)*
        }

        static FUNCTIONS: &[Entry] = &[$(
            Entry { function: Function::$function, name: $name, arity: $arity, result: $result, invoke: $invoke },
        )*];
    };
}

use ResultType::{First, FromPlan, Is, OfTwo};

#[rustfmt::skip]
functions! {
    IntAdd "pg_int_add" 2 First, |args| integer::invoke(Integer::Add, args);
    IntSub "pg_int_sub" 2 First, |args| integer::invoke(Integer::Sub, args);
    IntMul "pg_int_mul" 2 First, |args| integer::invoke(Integer::Mul, args);
    IntDiv "pg_int_div" 2 First, |args| integer::invoke(Integer::Div, args);
    IntMod "pg_int_mod" 2 First, |args| integer::invoke(Integer::Mod, args);
    IntNeg "pg_int_neg" 1 First, |args| integer::invoke(Integer::Neg, args);
    IntAbs "pg_int_abs" 1 First, |args| integer::invoke(Integer::Abs, args);
    IntAnd "pg_int_and" 2 First, |args| integer::invoke(Integer::And, args);
    IntOr "pg_int_or" 2 First, |args| integer::invoke(Integer::Or, args);
    IntXor "pg_int_xor" 2 First, |args| integer::invoke(Integer::Xor, args);
    IntNot "pg_int_not" 1 First, |args| integer::invoke(Integer::Not, args);
    IntShiftLeft "pg_int_shift_left" 2 First, |args| integer::invoke(Integer::ShiftLeft, args);
    IntShiftRight "pg_int_shift_right" 2 First, |args| integer::invoke(Integer::ShiftRight, args);
    FloatAdd "pg_float_add" 2 First, |args| float::invoke(Float::Add, args);
    FloatSub "pg_float_sub" 2 First, |args| float::invoke(Float::Sub, args);
    FloatMul "pg_float_mul" 2 First, |args| float::invoke(Float::Mul, args);
    FloatDiv "pg_float_div" 2 First, |args| float::invoke(Float::Div, args);
    FloatNeg "pg_float_neg" 1 First, |args| float::invoke(Float::Neg, args);
    FloatKey "pg_float_key" 1 First, |args| float::invoke(Float::Key, args);
    FloatAbs "pg_float_abs" 1 First, |args| maths::float(Rounding::Abs, args);
    FloatFloor "pg_float_floor" 1 First, |args| maths::float(Rounding::Floor, args);
    FloatCeil "pg_float_ceil" 1 First, |args| maths::float(Rounding::Ceil, args);
    FloatRound "pg_float_round" 1 First, |args| maths::float(Rounding::Round, args);
    FloatTrunc "pg_float_trunc" 1 First, |args| maths::float(Rounding::Trunc, args);
    FloatSqrt "pg_float_sqrt" 1 First, maths::sqrt;
    NumericAdd "pg_numeric_add" 2 OfTwo(numeric::sum_type), |args| numeric::invoke(Numeric::Add, args);
    NumericSub "pg_numeric_sub" 2 OfTwo(numeric::sum_type), |args| numeric::invoke(Numeric::Sub, args);
    NumericMul "pg_numeric_mul" 2 OfTwo(numeric::product_type), |args| numeric::invoke(Numeric::Mul, args);
    NumericNeg "pg_numeric_neg" 1 First, |args| numeric::invoke(Numeric::Neg, args);
    NumericAbs "pg_numeric_abs" 1 First, |args| maths::numeric(Rounding::Abs, args);
    NumericFloor "pg_numeric_floor" 1 FromPlan, |args| maths::numeric(Rounding::Floor, args);
    NumericCeil "pg_numeric_ceil" 1 FromPlan, |args| maths::numeric(Rounding::Ceil, args);
    NumericRound "pg_numeric_round" 2 FromPlan, |args| maths::numeric(Rounding::Round, args);
    NumericTrunc "pg_numeric_trunc" 2 FromPlan, |args| maths::numeric(Rounding::Trunc, args);
    Int2 "pg_int2" 1 Is(DataType::Int16), |args| cast::invoke(Target::Int2, args);
    Int4 "pg_int4" 1 Is(DataType::Int32), |args| cast::invoke(Target::Int4, args);
    Int8 "pg_int8" 1 Is(DataType::Int64), |args| cast::invoke(Target::Int8, args);
    Float4 "pg_float4" 1 Is(DataType::Float32), |args| cast::invoke(Target::Float4, args);
    Float8 "pg_float8" 1 Is(DataType::Float64), |args| cast::invoke(Target::Float8, args);
    Numeric "pg_numeric" 1 FromPlan, |args| numeric::invoke(Numeric::Cast, args);
    DateTimestamp "pg_date_timestamp" 1 Is(DataType::Int64), cast::date_timestamp;
    DateToTimestamp "pg_date_to_timestamp" 1 Is(DataType::Int64), datetime::date_to_timestamp;
    TimestampToDate "pg_timestamp_to_date" 1 Is(DataType::Int32), datetime::timestamp_to_date;
    DateAdd "pg_date_add" 2 First, |args| datetime::date_plus(args, 1);
    DateSub "pg_date_sub" 2 First, |args| datetime::date_plus(args, -1);
    DateDiff "pg_date_diff" 2 First, datetime::date_minus;
    TimestampAdd "pg_timestamp_add" 4 First, datetime::timestamp_plus;
    Extract "pg_extract" 2 FromPlan, datetime::extract;
    TimestampTrunc "pg_timestamp_trunc" 2 Is(DataType::Int64), datetime::truncate;
    BpcharTrim "pg_bpchar_trim" 1 First, text::trim;
    Like "pg_like" 2 Is(DataType::Boolean), text::like;
    NumericOrder "pg_numeric_order" 1 Is(DataType::Binary), numeric_order::invoke;
    NumericPayload "pg_numeric_payload" 1 Is(DataType::Binary), numeric_order::payload;
    IntervalOrder "pg_interval_order" 1 Is(interval::SPAN), interval::order;
    TextLength "pg_text_length" 1 Is(DataType::Int32), strings::length;
    TextBytes "pg_text_bytes" 1 Is(DataType::Int32), strings::octet_length;
    TextPosition "pg_text_position" 2 Is(DataType::Int32), strings::position;
    TextStartsWith "pg_text_starts_with" 2 Is(DataType::Boolean), strings::starts_with;
    TextFrom "pg_text_from" 2 Is(DataType::Utf8), strings::substring;
    TextFromFor "pg_text_from_for" 3 Is(DataType::Utf8), strings::substring;
    TextLeft "pg_text_left" 2 Is(DataType::Utf8), strings::left;
    TextRight "pg_text_right" 2 Is(DataType::Utf8), strings::right;
    TextTrim "pg_text_trim" 1 Is(DataType::Utf8), |args| strings::changed(args, |text| text.trim_matches(' ').into());
    TextTrimLeft "pg_text_trim_left" 1 Is(DataType::Utf8), |args| strings::changed(args, |text| text.trim_start_matches(' ').into());
    TextUpper "pg_text_upper" 1 Is(DataType::Utf8), |args| strings::changed(args, |text| text.to_ascii_uppercase().into());
    TextLower "pg_text_lower" 1 Is(DataType::Utf8), |args| strings::changed(args, |text| text.to_ascii_lowercase().into());
    TextConcat "pg_text_concat" 2 Is(DataType::Utf8), strings::concat;
    TextReplace "pg_text_replace" 3 Is(DataType::Utf8), strings::replace;
    Greatest "pg_greatest" 2 First, |args| choice::invoke(Choice::Greatest, args);
    Least "pg_least" 2 First, |args| choice::invoke(Choice::Least, args);
}

static REGISTERED: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    FUNCTIONS
        .iter()
        .map(|Entry { function, name, arity, .. }| {
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

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let data_type = match (&FUNCTIONS[self.function as usize].result, arg_types) {
            (First, [first, ..]) => Some(first.clone()),
            (Is(data_type), _) => Some(data_type.clone()),
            (OfTwo(rule), [left, right]) => rule(left, right),
            _ => None,
        };
        let wanted = || Error::internal(format!("{} has no result of its own for these arguments", self.name));
        Ok(data_type.ok_or_else(wanted)?)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        (FUNCTIONS[self.function as usize].invoke)(&args)
    }
}

#[cfg(test)]
mod tests;
