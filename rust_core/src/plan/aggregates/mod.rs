//! PostgreSQL's aggregates, where DataFusion's would give other results: sums and averages above all.
//!
//! As with functions, a plan names them (`pg_…`) and every participant finds them by name in its registry ([`all`]); what
//! they need lies in the types of the arguments. They run in three ways: `Partial` in each participant, states through
//! an exchange, `Final` where the groups meet; or `Single`. A `Final` is made with the arguments and the input schema
//! of its `Partial`, so that both know the same types. What DataFusion computes alike is DataFusion's.
//!
//! | file | aggregates |
//! | --- | --- |
//! | `integers.rs` | sums in an int8, counts of rows |
//! | `exact.rs` | sums and averages of integers and decimals, as numeric |
//! | `free_numeric.rs` | the same of numerics of any scale |
//! | `floats.rs` | sums, least and greatest of floats |
//! | `variance.rs` | variances of integers and decimals, as numeric |
//! | `moments.rs` | averages, variances and regressions of floats |
//! | `bytes.rs` | least and greatest of numerics of any scale, and of char(n) |
//! | `any_value.rs` | some value of a group |

mod any_value;
mod bytes;
mod exact;
mod floats;
mod free_numeric;
mod groups;
mod integers;
mod moments;
mod variance;

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Field, FieldRef, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::{bit_and_or_xor, bool_and_or, count, min_max};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use crate::error::Error;
use any_value::AnyValue;
use bytes::{Extreme, Order};
use exact::{Exact, Kind};
use floats::Floats;
use free_numeric::FreeNumeric;
pub use groups::Step;
use groups::{Aggregate, AnyGroups, Grouped, Ungrouped};
use integers::{CountRows, SumInt};
use moments::{OfOne, OfTwo, One, Two};
use variance::Variance;

/// The aggregates, each in one line: name here, name in plans, number of arguments.
macro_rules! functions {
    ($($function:ident $name:literal $arity:literal;)*) => {
        /// Every aggregate of ours.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Function {
            $($function,)*
        }

        static FUNCTIONS: &[(Function, &str, usize)] = &[$((Function::$function, $name, $arity),)*];
    };
}

functions! {
    AnyValue "pg_any_value" 1;
    SumInt "pg_sum_int" 1;
    SumNumeric "pg_sum_numeric" 1;
    SumFloat "pg_sum_float" 1;
    AvgNumeric "pg_avg_numeric" 1;
    AvgFloat "pg_avg_float" 1;
    MinFloat "pg_min_float" 1;
    MaxFloat "pg_max_float" 1;
    MinNumeric "pg_min_numeric" 1;
    MaxNumeric "pg_max_numeric" 1;
    MinBpchar "pg_min_bpchar" 1;
    MaxBpchar "pg_max_bpchar" 1;
    VarPop "pg_var_pop" 1;
    VarSamp "pg_var_samp" 1;
    StddevPop "pg_stddev_pop" 1;
    StddevSamp "pg_stddev_samp" 1;
    Corr "pg_corr" 2;
    CovarPop "pg_covar_pop" 2;
    CovarSamp "pg_covar_samp" 2;
    RegrAvgx "pg_regr_avgx" 2;
    RegrAvgy "pg_regr_avgy" 2;
    RegrCount "pg_regr_count" 2;
    RegrIntercept "pg_regr_intercept" 2;
    RegrR2 "pg_regr_r2" 2;
    RegrSlope "pg_regr_slope" 2;
    RegrSxx "pg_regr_sxx" 2;
    RegrSxy "pg_regr_sxy" 2;
    RegrSyy "pg_regr_syy" 2;
}

static REGISTERED: LazyLock<Vec<Arc<AggregateUDF>>> = LazyLock::new(|| {
    FUNCTIONS
        .iter()
        .map(|&(function, name, arity)| {
            let signature = Signature::any(arity, Volatility::Immutable);
            Arc::new(AggregateUDF::from(Native { function, name, signature }))
        })
        .collect()
});

/// All aggregates that a plan may name, for a session's registry: ours, and those of DataFusion that give PostgreSQL's results.
pub fn all() -> Vec<Arc<AggregateUDF>> {
    let shared = [
        count::count_udaf(),
        min_max::min_udaf(),
        min_max::max_udaf(),
        bool_and_or::bool_and_udaf(),
        bool_and_or::bool_or_udaf(),
        bit_and_or_xor::bit_and_udaf(),
        bit_and_or_xor::bit_or_udaf(),
        bit_and_or_xor::bit_xor_udaf(),
    ];
    REGISTERED.iter().cloned().chain(shared).collect()
}

/// An aggregate of ours.
pub fn aggregate(function: Function) -> Arc<AggregateUDF> {
    Arc::clone(&REGISTERED[function as usize])
}

/// Some value of one column within each group, the first that is met; NULL counts as a value. Takes no FILTER.
/// Without GROUP BY, a participant without rows gives NULL.
pub fn any_value() -> Arc<AggregateUDF> {
    aggregate(Function::AnyValue)
}

/// The results of an aggregate over rows that are taken in step by step: a value for each step.
pub fn over_steps(
    aggregate: &AggregateFunctionExpr,
    args: &[ArrayRef],
    filter: Option<&BooleanArray>,
    steps: &[Step],
) -> Result<ArrayRef> {
    if let Some(&(function, ..)) = FUNCTIONS.iter().find(|(_, name, _)| *name == aggregate.fun().name()) {
        let types: Vec<DataType> = args.iter().map(|arg| arg.data_type().clone()).collect();
        return (function.plan(&types)?.groups)().steps(args, filter, steps);
    }
    // DataFusion's own: their results leave their states as they are.
    let mut values = Vec::with_capacity(steps.len());
    let mut state = aggregate.create_accumulator()?;
    for Step { fresh, rows } in steps {
        if *fresh {
            state = aggregate.create_accumulator()?;
        }
        if !rows.is_empty() {
            let mut args: Vec<ArrayRef> = args.iter().map(|arg| arg.slice(rows.start, rows.len())).collect();
            if let Some(passes) = filter {
                let passes = passes.slice(rows.start, rows.len());
                args = args.iter().map(|arg| arrow::compute::filter(arg, &passes)).collect::<Result<_, _>>()?;
            }
            state.update_batch(&args)?;
        }
        values.push(state.evaluate()?);
    }
    if values.is_empty() {
        return Ok(arrow::array::new_empty_array(aggregate.field().data_type()));
    }
    ScalarValue::iter_to_array(values)
}

/// One of [`FUNCTIONS`], as DataFusion wants it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Native {
    function: Function,
    name: &'static str,
    signature: Signature,
}

impl AggregateUDFImpl for Native {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// An error for arguments that the aggregate does not take.
    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.function.plan(arg_types)?.result)
    }

    fn is_nullable(&self) -> bool {
        self.function != Function::RegrCount
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let states = self.function.plan(&types(args.input_fields))?.states.into_iter().enumerate();
        let field = |(at, data_type)| Field::new(format_state_name(args.name, &format!("state {at}")), data_type, true);
        Ok(states.map(|state| Arc::new(field(state))).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = types(args.expr_fields);
        let plan = self.function.plan(&types)?;
        Ok(Box::new(Ungrouped::new((plan.groups)(), &types, plan.result, plan.states)?))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok((self.function.plan(&types(args.expr_fields))?.groups)())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

fn types(fields: &[FieldRef]) -> Vec<DataType> {
    fields.iter().map(|field| field.data_type().clone()).collect()
}

/// An aggregate over arguments of known types.
struct Plan {
    result: DataType,
    states: Vec<DataType>,
    groups: Box<dyn FnOnce() -> AnyGroups>,
}

fn plan<A: Aggregate>(aggregate: A, result: DataType, states: Vec<DataType>) -> Plan {
    Plan { result, states, groups: Box::new(|| Box::new(Grouped::new(aggregate))) }
}

/// One whose state is what its result is.
fn simple<A: Aggregate>(aggregate: A, result: DataType) -> Plan {
    plan(aggregate, result.clone(), vec![result])
}

impl Function {
    fn plan(self, args: &[DataType]) -> Result<Plan> {
        use DataType::{Binary, Decimal128, Decimal256, Float32, Float64, Int16, Int32, Int64, Utf8};
        Ok(match (self, args) {
            (Self::AnyValue, [any]) => {
                let data_type = any.clone();
                let groups = Box::new(|| -> AnyGroups { Box::new(AnyValue::new(data_type)) });
                Plan { result: any.clone(), states: vec![any.clone()], groups }
            }
            (Self::SumInt, [Int16]) => simple(SumInt::<Int16Type>::new(), Int64),
            (Self::SumInt, [Int32]) => simple(SumInt::<Int32Type>::new(), Int64),
            (Self::SumInt, [Int64]) => simple(SumInt::<Int64Type>::new(), Int64),
            (Self::SumNumeric, [summand @ (Int64 | Decimal128(..) | Decimal256(..) | Binary)]) => {
                numeric(Kind::Sum, summand)?
            }
            (Self::AvgNumeric, [summand]) => numeric(Kind::Average, summand)?,
            (Self::SumFloat, [width]) => float(floats::Kind::Sum, width)?,
            (Self::MinFloat, [width]) => float(floats::Kind::Least, width)?,
            (Self::MaxFloat, [width]) => float(floats::Kind::Greatest, width)?,
            (Self::MinNumeric, [Binary]) => simple(Extreme::new(Order::Numeric, false, Binary), Binary),
            (Self::MaxNumeric, [Binary]) => simple(Extreme::new(Order::Numeric, true, Binary), Binary),
            (Self::MinBpchar | Self::MaxBpchar, [text @ (Utf8 | Binary)]) => {
                let greatest = self == Self::MaxBpchar;
                simple(Extreme::new(Order::Bpchar, greatest, text.clone()), text.clone())
            }
            (Self::RegrCount, [Float64, Float64]) => simple(CountRows, Int64),
            (
                Self::VarPop | Self::VarSamp | Self::StddevPop | Self::StddevSamp,
                [Int16 | Int32 | Int64 | Decimal128(..)],
            ) => {
                let Some(what) = self.of_one() else { return Err(self.refusal(args).into()) };
                variance(what, &args[0])?
            }
            (_, [Float32 | Float64]) => match self.of_one() {
                Some(what) => plan(One(what), Float64, moments::states(2)),
                None => return Err(self.refusal(args).into()),
            },
            (_, [Float64, Float64]) => match self.of_two() {
                Some(what) => plan(Two(what), Float64, moments::states(5)),
                None => return Err(self.refusal(args).into()),
            },
            _ => return Err(self.refusal(args).into()),
        })
    }

    fn of_one(self) -> Option<OfOne> {
        Some(match self {
            Self::AvgFloat => OfOne::Average,
            Self::VarPop => OfOne::VariancePopulation,
            Self::VarSamp => OfOne::VarianceSample,
            Self::StddevPop => OfOne::DeviationPopulation,
            Self::StddevSamp => OfOne::DeviationSample,
            _ => return None,
        })
    }

    fn of_two(self) -> Option<OfTwo> {
        Some(match self {
            Self::Corr => OfTwo::Correlation,
            Self::CovarPop => OfTwo::CovariancePopulation,
            Self::CovarSamp => OfTwo::CovarianceSample,
            Self::RegrAvgx => OfTwo::AverageX,
            Self::RegrAvgy => OfTwo::AverageY,
            Self::RegrIntercept => OfTwo::Intercept,
            Self::RegrR2 => OfTwo::RSquared,
            Self::RegrSlope => OfTwo::Slope,
            Self::RegrSxx => OfTwo::SquaresX,
            Self::RegrSxy => OfTwo::Products,
            Self::RegrSyy => OfTwo::SquaresY,
            _ => return None,
        })
    }

    #[cold]
    fn refusal(self, args: &[DataType]) -> Error {
        Error::internal(format!("{self:?} does not aggregate {args:?}"))
    }
}

/// sum or avg, as numeric.
fn numeric(kind: Kind, summand: &DataType) -> Result<Plan> {
    let exact = |limbs| (DataType::Binary, exact::states(kind, limbs));
    let ((result, states), groups): (_, Box<dyn FnOnce() -> AnyGroups>) = match *summand {
        DataType::Int16 => (exact(1), exactly::<Int16Type, 1>(kind, 0)),
        DataType::Int32 => (exact(1), exactly::<Int32Type, 1>(kind, 0)),
        DataType::Int64 => (exact(1), exactly::<Int64Type, 1>(kind, 0)),
        DataType::Decimal128(_, decimals) => (exact(1), exactly::<Decimal128Type, 1>(kind, scale_of(decimals)?)),
        DataType::Decimal256(_, decimals) => (exact(2), exactly::<Decimal256Type, 2>(kind, scale_of(decimals)?)),
        DataType::Binary => {
            let counts = usize::from(kind == Kind::Average);
            let states = std::iter::once(DataType::Binary).chain(std::iter::repeat_n(DataType::Int64, counts));
            let groups = Box::new(move || -> AnyGroups { Box::new(Grouped::new(FreeNumeric::new(kind))) });
            ((DataType::Binary, states.collect()), groups)
        }
        ref other => return Err(unexpected(other).into()),
    };
    Ok(Plan { result, states, groups })
}

/// A variance or deviation, as numeric.
fn variance(what: OfOne, value: &DataType) -> Result<Plan> {
    let states = variance::states();
    Ok(match *value {
        DataType::Int16 => plan(Variance::<Int16Type>::new(what, 0), DataType::Binary, states),
        DataType::Int32 => plan(Variance::<Int32Type>::new(what, 0), DataType::Binary, states),
        DataType::Int64 => plan(Variance::<Int64Type>::new(what, 0), DataType::Binary, states),
        DataType::Decimal128(_, decimals) => {
            plan(Variance::<Decimal128Type>::new(what, scale_of(decimals)?), DataType::Binary, states)
        }
        ref other => return Err(unexpected(other).into()),
    })
}

fn scale_of(decimals: i8) -> Result<u8> {
    Ok(u8::try_from(decimals).map_err(|_| Error::internal("a decimal has a negative scale"))?)
}

fn exactly<T, const W: usize>(kind: Kind, scale: u8) -> Box<dyn FnOnce() -> AnyGroups>
where
    T: ArrowPrimitiveType,
    T::Native: exact::Summand<W>,
{
    Box::new(move || Box::new(Grouped::new(Exact::<T, W>::new(kind, scale))))
}

fn float(kind: floats::Kind, width: &DataType) -> Result<Plan> {
    match width {
        DataType::Float32 => Ok(simple(Floats::<Float32Type>::new(kind), DataType::Float32)),
        DataType::Float64 => Ok(simple(Floats::<Float64Type>::new(kind), DataType::Float64)),
        other => Err(unexpected(other).into()),
    }
}

fn column(columns: &[ArrayRef], at: usize) -> Result<&ArrayRef> {
    Ok(columns.get(at).ok_or_else(|| Error::internal("an aggregate misses a column"))?)
}

fn primitive<T: ArrowPrimitiveType>(column: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    Ok(column.as_primitive_opt::<T>().ok_or_else(|| unexpected(column.data_type()))?)
}

fn binary(column: &ArrayRef) -> Result<&BinaryArray> {
    Ok(column.as_binary_opt::<i32>().ok_or_else(|| unexpected(column.data_type()))?)
}

fn unexpected(found: &DataType) -> Error {
    Error::internal(format!("an aggregate was given a column of type {found}"))
}

#[cfg(test)]
mod tests;
