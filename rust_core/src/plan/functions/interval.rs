//! An interval as the number that PostgreSQL compares it by.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Decimal128Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::kernel::{unexpected_type, wrong_arity};
use crate::error::Error;

/// An interval in the plan: microseconds (8 bytes), days (4), months (4).
pub(in crate::plan) const INTERVAL: DataType = DataType::FixedSizeBinary(16);
/// Microseconds; the longest interval has 22 digits of them.
pub(in crate::plan) const SPAN: DataType = DataType::Decimal128(38, 0);

const MICROSECONDS_A_DAY: i128 = 86_400_000_000;
const DAYS_A_MONTH: i128 = 30;

/// All in microseconds, with days of 24 hours and months of 30 days (interval_cmp_value in utils/adt/timestamp.c).
fn span(interval: &[u8]) -> Option<i128> {
    let (time, rest) = interval.split_first_chunk()?;
    let (day, rest) = rest.split_first_chunk()?;
    let (month, []) = rest.split_first_chunk()? else { return None };
    let days = i128::from(i32::from_le_bytes(*month)) * DAYS_A_MONTH + i128::from(i32::from_le_bytes(*day));
    Some(days * MICROSECONDS_A_DAY + i128::from(i64::from_le_bytes(*time)))
}

/// `pg_interval_order`: of an interval to its span.
pub(super) fn order(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let [argument] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    if argument.data_type() != INTERVAL {
        return Err(unexpected_type(&argument.data_type()).into());
    }
    if *args.return_field.data_type() != SPAN {
        return Err(unexpected_type(args.return_field.data_type()).into());
    }
    match argument {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(Arc::new(spans(array.as_ref())?))),
        ColumnarValue::Scalar(scalar) => {
            let spans = spans(scalar.to_array()?.as_ref())?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&spans, 0)?))
        }
    }
}

fn spans(array: &dyn Array) -> Result<Decimal128Array> {
    let intervals = array.as_fixed_size_binary();
    let mut values = Vec::with_capacity(intervals.len());
    for row in 0..intervals.len() {
        values.push(span(intervals.value(row)).ok_or_else(|| Error::internal("an interval has another length"))?);
    }
    Ok(Decimal128Array::try_new(values.into(), array.nulls().cloned())?.with_data_type(SPAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(months: i32, days: i32, microseconds: i64) -> Vec<u8> {
        [&microseconds.to_le_bytes()[..], &days.to_le_bytes(), &months.to_le_bytes()].concat()
    }

    #[test]
    fn spans_as_postgresql_counts() {
        for (interval, expected) in [
            (interval(0, 0, -1), -1),
            (interval(1, 0, 0), 30 * MICROSECONDS_A_DAY),
            (interval(0, 30, 0), 30 * MICROSECONDS_A_DAY),
            (interval(1, -30, 5), 5),
            (interval(0, 1, 0), 86_400_000_000),
            (
                interval(i32::MAX, i32::MAX, i64::MAX),
                i128::from(i32::MAX) * 31 * MICROSECONDS_A_DAY + i128::from(i64::MAX),
            ),
            (
                interval(i32::MIN, i32::MIN, i64::MIN),
                i128::from(i32::MIN) * 31 * MICROSECONDS_A_DAY + i128::from(i64::MIN),
            ),
        ] {
            assert_eq!(span(&interval), Some(expected));
        }
        assert_eq!(span(&[0; 15]), None);
        assert_eq!(span(&[0; 17]), None);
    }
}
