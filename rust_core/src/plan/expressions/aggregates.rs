//! Aggregate calls: which aggregate of the plan gives PostgreSQL's result, over which arguments.
//!
//! An argument is evaluated for all rows of a batch, FILTER or not. PostgreSQL evaluates it where the filter lets
//! pass alone, so one that can raise stands in a CASE on the filter.
//!
//! DISTINCT is left to the caller, who gets the form of each argument that tells equal values; the value that stands
//! for its equals is any of them, so where those can give other results the call is declined. Where duplicates cannot
//! change the result, DISTINCT is forgotten. So is an ORDER BY whose order cannot change it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::{bit_and_or_xor, bool_and_or, count, min_max};
use datafusion::logical_expr::{AggregateUDF, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::CaseExpr;
use pgrx_pg_sys::*;
use std::result::Result; // pgrx_pg_sys has a Result of its own

use super::nodes::list;
use super::operators::{self, Class, Operation};
use super::{MAX_SIZE, TranslateError, Translator, Typed, compare, decline};
use crate::error::Error as CoreError;
use crate::plan::aggregates::{self, Function};

/// A native aggregate call.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    pub function: Arc<AggregateUDF>,
    /// One at least: count(*) counts a constant.
    pub args: Vec<Arc<dyn PhysicalExpr>>,
    /// Rows count where it is true.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    pub result: DataType,
    /// Rows that are equal in all of `distinct_keys`, and that pass the filter, count once.
    pub distinct: bool,
    /// Forms of the arguments whose bytes are equal where PostgreSQL finds the arguments equal; none without DISTINCT.
    pub distinct_keys: Vec<Arc<dyn PhysicalExpr>>,
}

/// What an aggregate is in a plan.
#[derive(Clone, Copy)]
enum Rule {
    /// count(*)
    CountAll,
    Count,
    Native(Function),
    /// min or max of values of a class.
    Extreme(Class, Extreme),
    /// DataFusion's own.
    Shared(fn() -> Arc<AggregateUDF>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extreme {
    Min,
    Max,
}

/// pg_proc's number of an aggregate, the same in all versions.
fn rule(function: Oid) -> Option<Rule> {
    use self::Extreme::{Max, Min};
    use self::Rule::{Count, CountAll, Extreme, Native, Shared};
    let number = match function {
        F_MIN_OID => return Some(Extreme(Class::Plain, Min)),
        F_MAX_OID => return Some(Extreme(Class::Plain, Max)),
        function => function.to_u32(),
    };
    Some(match number {
        F_COUNT_ => CountAll,
        F_COUNT_ANY => Count,
        F_SUM_INT2 | F_SUM_INT4 => Native(Function::SumInt),
        // It wraps before version 18, and raises from then on.
        F_SUM_MONEY if cfg!(not(feature = "pg18")) => Native(Function::SumInt),
        F_SUM_INT8 | F_SUM_NUMERIC => Native(Function::SumNumeric),
        F_SUM_FLOAT4 | F_SUM_FLOAT8 => Native(Function::SumFloat),
        F_AVG_INT2 | F_AVG_INT4 | F_AVG_INT8 | F_AVG_NUMERIC => Native(Function::AvgNumeric),
        F_AVG_FLOAT4 | F_AVG_FLOAT8 => Native(Function::AvgFloat),
        F_MIN_INT2 | F_MIN_INT4 | F_MIN_INT8 => Extreme(Class::Integer, Min),
        F_MAX_INT2 | F_MAX_INT4 | F_MAX_INT8 => Extreme(Class::Integer, Max),
        F_MIN_DATE | F_MIN_TIME | F_MIN_TIMESTAMP | F_MIN_TIMESTAMPTZ | F_MIN_MONEY => Extreme(Class::Plain, Min),
        F_MAX_DATE | F_MAX_TIME | F_MAX_TIMESTAMP | F_MAX_TIMESTAMPTZ | F_MAX_MONEY => Extreme(Class::Plain, Max),
        F_MIN_FLOAT4 | F_MIN_FLOAT8 => Extreme(Class::Float, Min),
        F_MAX_FLOAT4 | F_MAX_FLOAT8 => Extreme(Class::Float, Max),
        F_MIN_NUMERIC => Extreme(Class::Numeric, Min),
        F_MAX_NUMERIC => Extreme(Class::Numeric, Max),
        F_MIN_TEXT => Extreme(Class::Text, Min),
        F_MAX_TEXT => Extreme(Class::Text, Max),
        F_MIN_BPCHAR => Extreme(Class::Bpchar, Min),
        F_MAX_BPCHAR => Extreme(Class::Bpchar, Max),
        F_BOOL_AND | F_EVERY => Shared(bool_and_or::bool_and_udaf),
        F_BOOL_OR => Shared(bool_and_or::bool_or_udaf),
        F_BIT_AND_INT2 | F_BIT_AND_INT4 | F_BIT_AND_INT8 => Shared(bit_and_or_xor::bit_and_udaf),
        F_BIT_OR_INT2 | F_BIT_OR_INT4 | F_BIT_OR_INT8 => Shared(bit_and_or_xor::bit_or_udaf),
        F_BIT_XOR_INT2 | F_BIT_XOR_INT4 | F_BIT_XOR_INT8 => Shared(bit_and_or_xor::bit_xor_udaf),
        F_VAR_POP_INT2 | F_VAR_POP_INT4 | F_VAR_POP_INT8 | F_VAR_POP_FLOAT4 | F_VAR_POP_FLOAT8 | F_VAR_POP_NUMERIC => {
            Native(Function::VarPop)
        }
        F_VAR_SAMP_INT2 | F_VAR_SAMP_INT4 | F_VAR_SAMP_INT8 | F_VAR_SAMP_FLOAT4 | F_VAR_SAMP_FLOAT8
        | F_VAR_SAMP_NUMERIC | F_VARIANCE_INT2 | F_VARIANCE_INT4 | F_VARIANCE_INT8 | F_VARIANCE_FLOAT4
        | F_VARIANCE_FLOAT8 | F_VARIANCE_NUMERIC => Native(Function::VarSamp),
        F_STDDEV_POP_INT2 | F_STDDEV_POP_INT4 | F_STDDEV_POP_INT8 | F_STDDEV_POP_FLOAT4 | F_STDDEV_POP_FLOAT8
        | F_STDDEV_POP_NUMERIC => Native(Function::StddevPop),
        F_STDDEV_SAMP_INT2
        | F_STDDEV_SAMP_INT4
        | F_STDDEV_SAMP_INT8
        | F_STDDEV_SAMP_FLOAT4
        | F_STDDEV_SAMP_FLOAT8
        | F_STDDEV_SAMP_NUMERIC
        | F_STDDEV_INT2
        | F_STDDEV_INT4
        | F_STDDEV_INT8
        | F_STDDEV_FLOAT4
        | F_STDDEV_FLOAT8
        | F_STDDEV_NUMERIC => Native(Function::StddevSamp),
        F_CORR => Native(Function::Corr),
        F_COVAR_POP => Native(Function::CovarPop),
        F_COVAR_SAMP => Native(Function::CovarSamp),
        F_REGR_AVGX => Native(Function::RegrAvgx),
        F_REGR_AVGY => Native(Function::RegrAvgy),
        F_REGR_COUNT => Native(Function::RegrCount),
        F_REGR_INTERCEPT => Native(Function::RegrIntercept),
        F_REGR_R2 => Native(Function::RegrR2),
        F_REGR_SLOPE => Native(Function::RegrSlope),
        F_REGR_SXX => Native(Function::RegrSxx),
        F_REGR_SXY => Native(Function::RegrSxy),
        F_REGR_SYY => Native(Function::RegrSyy),
        _ => return None,
    })
}

impl Rule {
    fn function(self, args: &[Typed]) -> Result<Arc<AggregateUDF>, TranslateError> {
        use DataType::{Binary, Decimal128, Decimal256, Int16, Int32, Int64, UInt32, Utf8};
        let unsupported = || decline("an aggregate of values of such a type is not supported");
        Ok(match (self, args) {
            (Self::CountAll | Self::Count, [_]) => count::count_udaf(),
            (Self::Native(function), _) => aggregates::aggregate(function),
            (Self::Extreme(class, extreme), [value]) => {
                let of = |min, max| aggregates::aggregate(if extreme == Extreme::Min { min } else { max });
                match (class, &value.data_type) {
                    (Class::Plain | Class::Integer, Int16 | Int32 | Int64 | UInt32)
                    | (Class::Numeric, Decimal128(..) | Decimal256(..))
                    | (Class::Text, Utf8 | Binary) => match extreme {
                        Extreme::Min => min_max::min_udaf(),
                        Extreme::Max => min_max::max_udaf(),
                    },
                    (Class::Float, _) => of(Function::MinFloat, Function::MaxFloat),
                    (Class::Numeric, Binary) => of(Function::MinNumeric, Function::MaxNumeric),
                    (Class::Bpchar, _) => of(Function::MinBpchar, Function::MaxBpchar),
                    _ => return unsupported(),
                }
            }
            (Self::Shared(function), [value]) => match value.data_type {
                DataType::Boolean | Int16 | Int32 | Int64 => function(),
                _ => return unsupported(),
            },
            _ => return decline("an aggregate with an unexpected number of arguments is not supported"),
        })
    }

    /// Is the result the same however often a value comes?
    fn ignores_duplicates(self, function: &AggregateUDF) -> bool {
        matches!(self, Self::Extreme(..)) || (matches!(self, Self::Shared(_)) && function.name() != "bit_xor")
    }

    /// Does the result depend on the order of the rows, or on which one of equal values comes?
    fn is_sensitive(self, args: &[Typed]) -> bool {
        let free = args.iter().any(|arg| arg.data_type == DataType::Binary);
        match self {
            Self::CountAll | Self::Count | Self::Shared(_) => false,
            Self::Native(Function::SumInt | Function::RegrCount) => false,
            // The order does not matter to a sum of numerics of any scale, but 1.0 or 1.00 does.
            Self::Native(Function::SumNumeric | Function::AvgNumeric) => free,
            // Of integers and decimals they are exact.
            Self::Native(Function::VarPop | Function::VarSamp | Function::StddevPop | Function::StddevSamp) => {
                args.iter().any(|arg| arg.data_type.is_floating())
            }
            Self::Native(_) => true,
            Self::Extreme(Class::Plain | Class::Integer | Class::Text, _) => false,
            Self::Extreme(Class::Numeric, _) => free,
            Self::Extreme(..) => true,
        }
    }
}

impl Translator<'_> {
    /// An aggregate call, its arguments and filter over this translator's columns.
    ///
    /// # Safety
    /// `aggref` is an Aggref of the planner, all nodes of which live for the call, Params bound to Consts.
    pub unsafe fn aggregate(&self, aggref: *const Aggref) -> Result<AggregateCall, TranslateError> {
        // SAFETY: the caller's promise.
        let aggref = unsafe { &*aggref };
        let Some(rule) = rule(aggref.aggfnoid) else {
            return decline(format!("the aggregate with OID {} is not supported", aggref.aggfnoid.to_u32()));
        };
        if aggref.aggkind as u8 != b'n' || aggref.aggvariadic {
            return decline("an ordered-set or variadic aggregate is not supported");
        }
        if aggref.agglevelsup != 0 {
            return decline("an aggregate of an outer query is not supported");
        }
        if aggref.aggsplit != AggSplit::AGGSPLIT_SIMPLE {
            return decline("a partial aggregate of PostgreSQL's is not supported");
        }
        // SAFETY: the caller's promise; the arguments are TargetEntries.
        let entries: Vec<&TargetEntry> = unsafe { list(aggref.args).into_iter().map(|entry| &*entry.cast()).collect() };
        let mut args = vec![];
        let mut references = vec![];
        for entry in entries {
            // SAFETY: the caller's promise.
            let value = unsafe { self.translate(entry.expr.cast_const().cast(), 0)? };
            if !entry.resjunk {
                args.push(value);
                references.push(entry.ressortgroupref);
            } else if value.can_raise {
                // What is only ordered by is not evaluated here.
                return decline("an aggregate ordered by an expression that can raise is not supported");
            }
        }
        if matches!(rule, Rule::CountAll) && args.is_empty() {
            args.push(Typed::literal(count_all()));
        }
        let function = rule.function(&args)?;
        if let Rule::Extreme(class, _) = rule {
            self.check_collation(class, Operator::Lt, aggref.inputcollid)?;
        }
        let types: Vec<DataType> = args.iter().map(|arg| arg.data_type.clone()).collect();
        let Ok(result) = function.return_type(&types) else {
            return decline("an aggregate of values of such a type is not supported");
        };
        // SAFETY: the caller's promise.
        let (order, distinct) = unsafe { (list(aggref.aggorder), list(aggref.aggdistinct)) };
        if !order.is_empty() && rule.is_sensitive(&args) {
            return decline("an aggregate whose result depends on its ORDER BY is not supported");
        }
        let distinct = !distinct.is_empty() && !rule.ignores_duplicates(&function);
        let mut distinct_keys = vec![];
        if distinct {
            if rule.is_sensitive(&args) {
                return decline("an aggregate whose result depends on which of equal values is kept is not supported");
            }
            // SAFETY: the caller's promise.
            distinct_keys = unsafe { self.distinct_keys(aggref, &args, &references)? };
        }
        let filter = match aggref.aggfilter.is_null() {
            true => None,
            // SAFETY: the caller's promise.
            false => Some(unsafe { self.boolean(aggref.aggfilter.cast_const().cast(), 0)? }),
        };
        let guarded = |value: Typed| match &filter {
            Some(filter) if value.can_raise => guarded(filter, value),
            _ => Ok(value.expr),
        };
        let args = args.into_iter().map(guarded).collect::<Result<_, _>>()?;
        let distinct_keys = distinct_keys.into_iter().map(guarded).collect::<Result<_, _>>()?;
        Ok(AggregateCall {
            function,
            args,
            filter: filter.as_ref().map(|filter| Arc::clone(&filter.expr)),
            result,
            distinct,
            distinct_keys,
        })
    }

    /// By the equality operator that DISTINCT has for each argument.
    ///
    /// # Safety
    /// As [`Translator::aggregate`].
    unsafe fn distinct_keys(
        &self,
        aggref: &Aggref,
        args: &[Typed],
        references: &[Index],
    ) -> Result<Vec<Typed>, TranslateError> {
        let mut keys = vec![];
        // SAFETY: the caller's promise; DISTINCT is a list of SortGroupClauses.
        let clauses: Vec<&SortGroupClause> =
            unsafe { list(aggref.aggdistinct).into_iter().map(|clause| &*clause.cast()).collect() };
        for (arg, reference) in args.iter().zip(references) {
            let Some(clause) = clauses.iter().find(|clause| clause.tleSortGroupRef == *reference) else {
                return decline("DISTINCT of some arguments of an aggregate is not supported");
            };
            let Operation::Compare(class, op @ Operator::Eq) = operators::of_operator(clause.eqop, Oid::INVALID)?
            else {
                return decline("DISTINCT by another operator than equality is not supported");
            };
            self.check_collation(class, op, aggref.inputcollid)?;
            keys.extend(compare::unify(class, vec![arg.clone()])?);
        }
        Ok(keys)
    }
}

/// What count(*) counts.
fn count_all() -> ScalarValue {
    ScalarValue::Int64(Some(1))
}

/// `CASE WHEN filter THEN value END`
fn guarded(filter: &Typed, value: Typed) -> Result<Arc<dyn PhysicalExpr>, TranslateError> {
    if filter.size + value.size > MAX_SIZE {
        return decline("an expression is too complex");
    }
    let null = Typed::literal(ScalarValue::try_new_null(&value.data_type).map_err(CoreError::from)?);
    let branches = vec![(Arc::clone(&filter.expr), value.expr)];
    Ok(Arc::new(CaseExpr::try_new(None, branches, Some(null.expr)).map_err(CoreError::from)?))
}
