//! Comparisons: both operands brought to one Arrow type in which Arrow's equality, hash and order are
//! PostgreSQL's.
//!
//! | class | brought to |
//! | --- | --- |
//! | integers | the wider width; a constant that fits takes the column's |
//! | floats | the wider width, -0 as 0, every NaN as one that is above all |
//! | numeric | one precision and scale, NaN above all as it lies; else bytes in the numeric's order |
//! | text, name | as it is |
//! | char(n) | without trailing blanks |
//! | date with timestamp | the timestamp |
//! | interval | its span |
//! | other types | as they are |

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr};

use super::compute::widened;
use super::operators::{Class, Operation};
use super::{TranslateError, Typed, decline};
use crate::error::Error;
use crate::plan::functions::{Function, interval, numeric};
use crate::plan::types::Decline;

pub(super) fn compare(class: Class, op: Operator, left: Typed, right: Typed) -> Result<Typed, TranslateError> {
    let [left, right] = unify_two(class, left, right)?;
    let expr = BinaryExpr::new(Arc::clone(&left.expr), op, Arc::clone(&right.expr));
    Ok(Typed::boolean(Arc::new(expr), &[&left, &right]))
}

pub(super) fn unify_two(class: Class, left: Typed, right: Typed) -> Result<[Typed; 2], TranslateError> {
    match <[Typed; 2]>::try_from(unify(class, vec![left, right])?) {
        Ok(both) => Ok(both),
        Err(_) => Err(Error::internal("two operands became another number").into()),
    }
}

/// The wider of two integer or of two float types.
pub(super) fn wider(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::*;
    let rank = |data_type: &DataType| [Int16, Int32, Int64].iter().position(|width| width == data_type);
    match (left, right) {
        (Float32, Float32) => Some(Float32),
        (Float32 | Float64, Float32 | Float64) => Some(Float64),
        _ => Some(if rank(left)? >= rank(right)? { left.clone() } else { right.clone() }),
    }
}

/// All operands as one type, comparable as their class demands.
pub(super) fn unify(class: Class, operands: Vec<Typed>) -> Result<Vec<Typed>, TranslateError> {
    let each = |operands: Vec<Typed>, change: &dyn Fn(Typed) -> Result<Typed, TranslateError>| {
        operands.into_iter().map(change).collect::<Result<Vec<_>, _>>()
    };
    let unified = match class {
        Class::Plain | Class::Text | Class::Name => operands,
        Class::Bpchar => each(operands, &|text| match text.data_type {
            DataType::Utf8 | DataType::Binary => {
                let data_type = text.data_type.clone();
                Typed::call(Function::BpcharTrim, vec![text], data_type, false)
            }
            _ => Err(unlike().into()),
        })?,
        Class::Integer => integers(operands)?,
        Class::Float => {
            let common = common(&operands, wider).ok_or_else(unlike)?;
            each(operands, &|value| {
                Typed::call(Function::FloatKey, vec![widened(value, &common)?], common.clone(), false)
            })?
        }
        Class::Numeric => match common(&operands, numeric::common_type) {
            Some(common) => each(operands, &|value| widened(value, &common))?,
            None => each(operands, &|value| match value.data_type {
                DataType::Binary | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                    Typed::call(Function::NumericOrder, vec![value], DataType::Binary, false)
                }
                _ => Err(unlike().into()),
            })?,
        },
        Class::DateTimestamp => each(operands, &|value| match value.data_type {
            DataType::Int32 => Typed::call(Function::DateTimestamp, vec![value], DataType::Int64, false),
            _ => Ok(value),
        })?,
        Class::Interval => each(operands, &|value| match value.data_type {
            interval::INTERVAL => Typed::call(Function::IntervalOrder, vec![value], interval::SPAN, false),
            _ => Err(unlike().into()),
        })?,
    };
    let same = unified.windows(2).all(|pair| pair[0].data_type == pair[1].data_type);
    if same { Ok(unified) } else { Err(unlike().into()) }
}

/// The type that `rule` finds for all operands.
fn common(operands: &[Typed], rule: impl Fn(&DataType, &DataType) -> Option<DataType>) -> Option<DataType> {
    let mut types = operands.iter().map(|operand| operand.data_type.clone());
    let first = types.next().and_then(|first| rule(&first, &first));
    types.fold(first, |common, next| rule(&common?, &next))
}

fn unlike() -> Decline {
    Decline::new("a comparison of these types is not supported")
}

/// A column of int4 is not widened for the sake of a constant that PostgreSQL holds as int8.
fn integers(operands: Vec<Typed>) -> Result<Vec<Typed>, TranslateError> {
    let all = common(&operands, wider).ok_or_else(unlike)?;
    let variable: Vec<_> = operands.iter().filter(|operand| operand.as_literal().is_none()).cloned().collect();
    let narrow = if variable.is_empty() { all.clone() } else { common(&variable, wider).ok_or_else(unlike)? };
    let fits = |operand: &Typed| operand.as_literal().is_none_or(|value| integer(value, &narrow).is_some());
    let common = if operands.iter().all(fits) { narrow } else { all };
    operands
        .into_iter()
        .map(|operand| match operand.as_literal().and_then(|value| integer(value, &common)) {
            Some(value) => Ok(Typed::literal(value)),
            None => widened(operand, &common),
        })
        .collect()
}

/// An integer constant as `width`, if it fits.
fn integer(value: &ScalarValue, width: &DataType) -> Option<ScalarValue> {
    let value = match value {
        ScalarValue::Int16(value) => value.map(i64::from),
        ScalarValue::Int32(value) => value.map(i64::from),
        ScalarValue::Int64(value) => *value,
        _ => return None,
    };
    match width {
        DataType::Int16 => value.map(i16::try_from).transpose().ok().map(ScalarValue::Int16),
        DataType::Int32 => value.map(i32::try_from).transpose().ok().map(ScalarValue::Int32),
        DataType::Int64 => Some(ScalarValue::Int64(value)),
        _ => None,
    }
}

/// The comparisons with an array that are membership: = ANY, and <> ALL.
pub(super) fn membership(operation: Operation, any: bool) -> Result<(Class, Operator), TranslateError> {
    match operation {
        Operation::Compare(class, op @ Operator::Eq) if any => Ok((class, op)),
        Operation::Compare(class, op @ Operator::NotEq) if !any => Ok((class, op)),
        _ => decline("ANY and ALL are supported as = ANY and <> ALL only"),
    }
}

/// `scalar = ANY (elements)`, or `scalar <> ALL (elements)` when negated. `elements` is None for a NULL array.
pub(super) fn in_list(
    class: Class,
    scalar: Typed,
    elements: Option<Vec<ScalarValue>>,
    negated: bool,
) -> Result<Typed, TranslateError> {
    let Some(elements) = elements.filter(|elements| !elements.is_empty() || !scalar.can_raise) else {
        // PostgreSQL evaluates the scalar even when the array has settled the result.
        if scalar.can_raise {
            return decline("ANY or ALL of an empty array after an expression that can raise is not supported");
        }
        return Ok(Typed::literal(ScalarValue::Boolean(None)));
    };
    if elements.is_empty() {
        // True or false, and not NULL, even for a NULL scalar.
        return Ok(Typed::literal(ScalarValue::Boolean(Some(negated))));
    }
    let can_raise = scalar.can_raise;
    let operands = std::iter::once(scalar).chain(elements.into_iter().map(Typed::literal)).collect();
    let mut unified = unify(class, operands)?.into_iter();
    let Some(scalar) = unified.next() else { return Err(Error::internal("an operand was lost").into()) };
    let list: Vec<Arc<dyn PhysicalExpr>> = unified.map(|element| element.expr).collect();
    // Elements are literals, far smaller than other nodes, and lists of thousands are common.
    let size = 1 + scalar.size + list.len() / 16;
    let guards = scalar.guards;
    // The list is prepared over a stand-in of the same type: there is no schema yet that the scalar could be typed by.
    let schema = Schema::new(vec![Field::new("scalar", scalar.data_type.clone(), true)]);
    let stand_in: Arc<dyn PhysicalExpr> = Arc::new(Column::new("scalar", 0));
    let prepared = Arc::new(InListExpr::try_new(stand_in, list.clone(), negated, &schema).map_err(Error::from)?);
    let children = std::iter::once(scalar.expr).chain(list).collect();
    let expr = prepared.with_new_children(children).map_err(Error::from)?;
    Ok(Typed { expr, data_type: DataType::Boolean, can_raise, size, guards })
}
