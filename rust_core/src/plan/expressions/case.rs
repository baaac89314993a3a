//! CASE and what is made of it: COALESCE and NULLIF; GREATEST, LEAST and IS DISTINCT FROM.
//!
//! DataFusion's CASE evaluates a branch for the rows that reach it and no others, as PostgreSQL does.
//! Its branches must be of one type here, display scale of numerics included: a result that PostgreSQL
//! would show as 0 must not become 0.00. NULL alone fits any type.
//!
//! ```text
//! COALESCE(a, b, c)  =  CASE WHEN a IS NOT NULL THEN a WHEN b IS NOT NULL THEN b ELSE c END
//! NULLIF(a, b)       =  CASE WHEN a = b THEN NULL ELSE a END
//! ```

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, IsNotNullExpr};
use pgrx_pg_sys as pg_sys;
use pgrx_pg_sys::Oid;

use super::compute::widened;
use super::operators::{Class, Operation};
use super::{MAX_GUARDS, MAX_SIZE, TranslateError, Translator, Typed, compare, decline};
use crate::error::Error;
use crate::plan::functions::Function;
use crate::plan::functions::numeric::{self, digits};

/// Is it the constant NULL?
fn is_null(value: &Typed) -> bool {
    value.as_literal().is_some_and(ScalarValue::is_null)
}

/// All values as one type, which shows each of them as its own does. Numerics of different scales become payloads.
fn alike(values: Vec<Typed>) -> Result<Vec<Typed>, TranslateError> {
    let mut types = values.iter().filter(|value| !is_null(value)).map(|value| &value.data_type);
    let Some(first) = types.next().or(values.first().map(|value| &value.data_type)) else { return Ok(values) };
    let common = types.try_fold(first.clone(), |common, next| match (digits(&common), digits(next)) {
        _ if common == *next => Some(common),
        (Some((_, scale)), Some((_, next_scale))) if scale == next_scale => numeric::common_type(&common, next),
        _ if is_numeric(&common) && is_numeric(next) => Some(DataType::Binary),
        _ => None,
    });
    let Some(common) = common else {
        return decline("a choice among values of different types or scales is not supported");
    };
    let cast = |value: Typed| match is_null(&value) {
        true => Ok(Typed::literal(ScalarValue::try_new_null(&common).map_err(Error::from)?)),
        false if common == DataType::Binary && digits(&value.data_type).is_some() => {
            Typed::call(Function::NumericPayload, vec![value], DataType::Binary, false)
        }
        false => widened(value, &common),
    };
    values.into_iter().map(cast).collect()
}

/// Binary is what a numeric's payload is; next to a decimal it can be nothing else.
fn is_numeric(data_type: &DataType) -> bool {
    digits(data_type).is_some() || *data_type == DataType::Binary
}

/// A searched CASE. The conditions are boolean, the results alike.
fn searched(branches: Vec<(Typed, Typed)>, default: Typed) -> Result<Typed, TranslateError> {
    let data_type = default.data_type.clone();
    let operands = || branches.iter().flat_map(|(condition, result)| [condition, result]).chain([&default]);
    let can_raise = operands().any(|operand| operand.can_raise);
    let size = 1 + operands().map(|operand| operand.size).sum::<usize>();
    let guards = 1 + operands().map(|operand| operand.guards).max().unwrap_or(0);
    if size > MAX_SIZE || guards > MAX_GUARDS {
        return decline("a CASE that is so large or deep is not supported");
    }
    let pairs = branches.iter().map(|(when, then)| (Arc::clone(&when.expr), Arc::clone(&then.expr))).collect();
    let case = CaseExpr::try_new(None, pairs, Some(Arc::clone(&default.expr))).map_err(Error::from)?;
    Ok(Typed { expr: Arc::new(case), data_type, can_raise, size, guards })
}

/// The first of the values that is not NULL.
pub(super) fn coalesce(values: Vec<Typed>) -> Result<Typed, TranslateError> {
    let mut values = alike(values)?;
    let Some(default) = values.pop() else { return decline("COALESCE of nothing is not supported") };
    if values.is_empty() {
        return Ok(default);
    }
    let present = |value: Typed| {
        let test: Arc<dyn PhysicalExpr> = Arc::new(IsNotNullExpr::new(Arc::clone(&value.expr)));
        (Typed::boolean(test, &[&value]), value)
    };
    searched(values.into_iter().map(present).collect(), default)
}

impl Translator<'_> {
    /// The argument of the simple form stands in each condition. PostgreSQL evaluates it once before
    /// all of them, so one that can raise must stand in the first, which every row meets.
    ///
    /// # Safety
    /// As [`Translator::predicate`], for each node.
    pub(super) unsafe fn case(
        &self,
        argument: Option<*const pg_sys::Node>,
        branches: &[(*const pg_sys::Node, *const pg_sys::Node)],
        default: *const pg_sys::Node,
        depth: usize,
    ) -> Result<Typed, TranslateError> {
        // SAFETY: the caller's promise.
        unsafe {
            let argument = argument.map(|argument| self.translate(argument, depth + 1)).transpose()?;
            let inner = Translator { host: self.host, columns: self.columns, case_argument: argument.as_ref() };
            let (mut conditions, mut results) = (vec![], vec![]);
            for (condition, result) in branches {
                conditions.push(inner.boolean(*condition, depth + 1)?);
                results.push(self.translate(*result, depth + 1)?);
            }
            results.push(self.translate(default, depth + 1)?);
            if argument.is_some_and(|argument| argument.can_raise)
                && !conditions.first().is_some_and(|first| first.can_raise)
            {
                return decline("a CASE that may skip an expression that can raise is not supported");
            }
            let mut results = alike(results)?;
            let Some(default) = results.pop() else { return decline("a CASE without results is not supported") };
            if conditions.is_empty() {
                return Ok(default);
            }
            searched(conditions.into_iter().zip(results).collect(), default)
        }
    }

    /// The class of an equality and its operands.
    fn equality(
        &self,
        equality: Operation,
        collation: Oid,
        args: Vec<Typed>,
    ) -> Result<(Class, [Typed; 2]), TranslateError> {
        match (equality, <[Typed; 2]>::try_from(args)) {
            (Operation::Compare(class, Operator::Eq), Ok(args)) => {
                self.check_collation(class, Operator::Eq, collation)?;
                Ok((class, args))
            }
            _ => decline("NULLIF or DISTINCT by another operator than equality is not supported"),
        }
    }

    /// The first value as it is, unless both are equal.
    pub(super) fn null_if(
        &self,
        equality: Operation,
        collation: Oid,
        args: Vec<Typed>,
    ) -> Result<Typed, TranslateError> {
        let (class, [value, other]) = self.equality(equality, collation, args)?;
        let equal = compare::compare(class, Operator::Eq, value.clone(), other)?;
        let null = Typed::literal(ScalarValue::try_new_null(&value.data_type).map_err(Error::from)?);
        searched(vec![(equal, null)], value)
    }

    pub(super) fn distinct(
        &self,
        equality: Operation,
        collation: Oid,
        args: Vec<Typed>,
    ) -> Result<Typed, TranslateError> {
        let (class, [left, right]) = self.equality(equality, collation, args)?;
        let [left, right] = compare::unify_two(class, left, right)?;
        let distinct = BinaryExpr::new(Arc::clone(&left.expr), Operator::IsDistinctFrom, Arc::clone(&right.expr));
        Ok(Typed::boolean(Arc::new(distinct), &[&left, &right]))
    }

    /// All values are evaluated, in pairs from the left.
    pub(super) fn min_max(&self, expr: &pg_sys::MinMaxExpr, values: Vec<Typed>) -> Result<Typed, TranslateError> {
        let function = match expr.op {
            pg_sys::MinMaxOp::IS_GREATEST => Function::Greatest,
            pg_sys::MinMaxOp::IS_LEAST => Function::Least,
            _ => return decline("an unknown choice of a greatest or least value is not supported"),
        };
        match expr.minmaxtype {
            pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID | pg_sys::OIDOID | pg_sys::NUMERICOID => (),
            pg_sys::FLOAT4OID | pg_sys::FLOAT8OID => (),
            pg_sys::DATEOID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => (),
            pg_sys::TEXTOID | pg_sys::VARCHAROID => {
                self.check_collation(Class::Text, Operator::Lt, expr.inputcollid)?;
            }
            other => return decline(format!("GREATEST or LEAST of type {} is not supported", other.to_u32())),
        }
        let mut values = alike(values)?.into_iter();
        let Some(first) = values.next() else { return decline("GREATEST or LEAST of nothing is not supported") };
        if matches!(first.data_type, DataType::Binary) {
            return decline("GREATEST or LEAST of values that are not understood is not supported");
        }
        values.try_fold(first, |chosen, next| {
            let data_type = chosen.data_type.clone();
            Typed::call(function, vec![chosen, next], data_type, false)
        })
    }
}
