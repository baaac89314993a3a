//! GREATEST and LEAST of two, in PostgreSQL's order: a NULL counts only when both are NULL, and of
//! two equal values (0 and -0) the first is taken. Both operands are of the result's type.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt32Type,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::kernel::{unexpected_type, wrong_arity};

#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    Greatest,
    Least,
}

impl Choice {
    /// Does the second value take the place of the first, which compares to it as `order` says?
    fn replaces(self, order: Ordering) -> bool {
        match self {
            Self::Greatest => order == Ordering::Less,
            Self::Least => order == Ordering::Greater,
        }
    }

    fn of<T>(self, left: Option<T>, right: Option<T>, order: impl Fn(&T, &T) -> Ordering) -> Option<T> {
        match (left, right) {
            (Some(left), Some(right)) => {
                let replaces = self.replaces(order(&left, &right));
                Some(if replaces { right } else { left })
            }
            (left, right) => left.or(right),
        }
    }
}

pub(super) fn invoke(choice: Choice, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let [left, right] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    let scalar = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
    let rows = if scalar { 1 } else { args.number_rows };
    let (left, right) = (left.to_array(rows)?, right.to_array(rows)?);
    if left.data_type() != right.data_type() {
        return Err(unexpected_type(right.data_type()).into());
    }
    let result = match left.data_type() {
        DataType::Int16 => primitives::<Int16Type>(choice, &left, &right, Ord::cmp),
        DataType::Int32 => primitives::<Int32Type>(choice, &left, &right, Ord::cmp),
        DataType::Int64 => primitives::<Int64Type>(choice, &left, &right, Ord::cmp),
        DataType::UInt32 => primitives::<UInt32Type>(choice, &left, &right, Ord::cmp),
        DataType::Decimal128(..) => primitives::<Decimal128Type>(choice, &left, &right, Ord::cmp),
        DataType::Decimal256(..) => primitives::<Decimal256Type>(choice, &left, &right, Ord::cmp),
        DataType::Float32 => primitives::<Float32Type>(choice, &left, &right, |a, b| {
            a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }),
        DataType::Float64 => primitives::<Float64Type>(choice, &left, &right, |a, b| {
            a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }),
        DataType::Utf8 => {
            let pairs = left.as_string::<i32>().iter().zip(right.as_string::<i32>());
            Arc::new(pairs.map(|(left, right)| choice.of(left, right, Ord::cmp)).collect::<StringArray>())
        }
        other => return Err(unexpected_type(other).into()),
    };
    match scalar {
        true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
        false => Ok(ColumnarValue::Array(result)),
    }
}

fn primitives<T: ArrowPrimitiveType>(
    choice: Choice,
    left: &ArrayRef,
    right: &ArrayRef,
    order: impl Fn(&T::Native, &T::Native) -> Ordering,
) -> ArrayRef {
    let pairs = left.as_primitive::<T>().iter().zip(right.as_primitive::<T>());
    let chosen: PrimitiveArray<T> = pairs.map(|(left, right)| choice.of(left, right, &order)).collect();
    Arc::new(chosen.with_data_type(left.data_type().clone()))
}
