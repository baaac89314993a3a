//! The loops that all functions share: strict in NULLs, scalars never expanded, one pass without a
//! branch per row where all goes well.
//!
//! A row's operation gives its value and whether it is out of range. Slots below a NULL hold
//! anything, so a range violation counts only after a second look at the rows that are there.

use std::sync::Arc;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use crate::error::Error;

/// One argument, seen as primitives.
enum Operand<'a, T: ArrowPrimitiveType> {
    Array(&'a PrimitiveArray<T>),
    Scalar(Option<T::Native>),
}

impl<'a, T: ArrowPrimitiveType> Operand<'a, T> {
    fn new(value: &'a ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => {
                Self::Array(array.as_primitive_opt::<T>().ok_or_else(|| unexpected_type(array.data_type()))?)
            }
            ColumnarValue::Scalar(scalar) => {
                let array = scalar.to_array()?;
                let array = array.as_primitive_opt::<T>().ok_or_else(|| unexpected_type(array.data_type()))?;
                Self::Scalar(array.is_valid(0).then(|| array.value(0)))
            }
        })
    }
}

pub(super) fn unexpected_type(found: &DataType) -> Error {
    Error::internal(format!("a function was called with an argument of type {found}"))
}

pub(super) fn wrong_arity(found: usize) -> Error {
    Error::internal(format!("a function was called with {found} arguments"))
}

/// NULL, as the function's result.
pub(super) fn null(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    Ok(ColumnarValue::Scalar(ScalarValue::try_new_null(args.return_field.data_type())?))
}

/// `what` of all values of an argument, as they lie: there may be any below a NULL.
pub(super) fn over_values<T: ArrowPrimitiveType, R>(
    argument: &ColumnarValue,
    what: impl Fn(&[T::Native]) -> R,
) -> Result<R> {
    Ok(match Operand::<T>::new(argument)? {
        Operand::Array(array) => what(array.values()),
        Operand::Scalar(value) => what(value.as_slice()),
    })
}

/// `op` over each row of the one argument; `error` names what is wrong with a value that `op` flags.
pub(super) fn unary<I, O>(
    args: &ScalarFunctionArgs,
    op: impl Fn(I::Native) -> (O::Native, bool),
    error: impl Fn(I::Native) -> Error,
) -> Result<ColumnarValue>
where
    I: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    let [argument] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    match Operand::<I>::new(argument)? {
        Operand::Array(array) => rows::<I, O>(args, array, op, error),
        Operand::Scalar(value) => one::<O, _>(args, value.map(|value| (op(value), value)), error),
    }
}

/// As [`unary`], of two arguments.
pub(super) fn binary<I, O>(
    args: &ScalarFunctionArgs,
    op: impl Fn(I::Native, I::Native) -> (O::Native, bool),
    error: impl Fn(I::Native, I::Native) -> Error,
) -> Result<ColumnarValue>
where
    I: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    mixed::<I, I, O>(args, op, error)
}

/// As [`binary`], the arguments of two types.
pub(super) fn mixed<I, J, O>(
    args: &ScalarFunctionArgs,
    op: impl Fn(I::Native, J::Native) -> (O::Native, bool),
    error: impl Fn(I::Native, J::Native) -> Error,
) -> Result<ColumnarValue>
where
    I: ArrowPrimitiveType,
    J: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    let [left, right] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    match (Operand::<I>::new(left)?, Operand::<J>::new(right)?) {
        (Operand::Array(left), Operand::Array(right)) => {
            let mut flagged = false;
            let values: Vec<O::Native> = left
                .values()
                .iter()
                .zip(right.values())
                .map(|(left, right)| {
                    let (value, flag) = op(*left, *right);
                    flagged |= flag;
                    value
                })
                .collect();
            let nulls = NullBuffer::union(left.nulls(), right.nulls());
            if flagged {
                for row in 0..values.len() {
                    let (left, right) = (left.value(row), right.value(row));
                    if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) && op(left, right).1 {
                        return Err(error(left, right).into());
                    }
                }
            }
            column::<O>(args, values, nulls)
        }
        (Operand::Array(left), Operand::Scalar(Some(right))) => {
            rows::<I, O>(args, left, |left| op(left, right), |left| error(left, right))
        }
        (Operand::Scalar(Some(left)), Operand::Array(right)) => {
            rows::<J, O>(args, right, |right| op(left, right), |right| error(left, right))
        }
        (Operand::Scalar(Some(left)), Operand::Scalar(Some(right))) => {
            one::<O, _>(args, Some((op(left, right), (left, right))), |(left, right)| error(left, right))
        }
        _ => null(args),
    }
}

fn rows<I, O>(
    args: &ScalarFunctionArgs,
    array: &PrimitiveArray<I>,
    op: impl Fn(I::Native) -> (O::Native, bool),
    error: impl Fn(I::Native) -> Error,
) -> Result<ColumnarValue>
where
    I: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    let mut flagged = false;
    let values: Vec<O::Native> = array
        .values()
        .iter()
        .map(|value| {
            let (value, flag) = op(*value);
            flagged |= flag;
            value
        })
        .collect();
    if flagged && let Some(value) = array.iter().flatten().find(|value| op(*value).1) {
        return Err(error(value).into());
    }
    column::<O>(args, values, array.nulls().cloned())
}

fn column<O: ArrowPrimitiveType>(
    args: &ScalarFunctionArgs,
    values: Vec<O::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ColumnarValue> {
    let data_type = result_type::<O>(args)?;
    Ok(ColumnarValue::Array(Arc::new(PrimitiveArray::<O>::try_new(values.into(), nulls)?.with_data_type(data_type))))
}

/// The result over scalars. A batch without rows has nobody for whom an error could be raised.
fn one<O: ArrowPrimitiveType, V>(
    args: &ScalarFunctionArgs,
    value: Option<((O::Native, bool), V)>,
    error: impl FnOnce(V) -> Error,
) -> Result<ColumnarValue> {
    match value {
        Some(_) if args.number_rows == 0 => null(args),
        Some(((_, true), input)) => Err(error(input).into()),
        Some(((value, false), _)) => {
            let array = PrimitiveArray::<O>::new(vec![value].into(), None).with_data_type(result_type::<O>(args)?);
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
        }
        None => null(args),
    }
}

/// The promised type, which must be one that `O` can carry: decimals have theirs from the plan.
fn result_type<O: ArrowPrimitiveType>(args: &ScalarFunctionArgs) -> Result<DataType> {
    let data_type = args.return_field.data_type();
    if !PrimitiveArray::<O>::is_compatible(data_type) {
        return Err(unexpected_type(data_type).into());
    }
    Ok(data_type.clone())
}
