//! Dates and timestamps without time zone: arithmetic, casts, EXTRACT and date_trunc, with
//! PostgreSQL's calendar, ranges and infinities (utils/adt/date.c, timestamp.c).
//!
//! A date is in days, a timestamp in microseconds, both since 2000-01-01; the least and the greatest
//! integer are the infinities. The calendar is the proleptic Gregorian one with a year 0, which
//! users see as 1 BC.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, Decimal128Array, Float64Array, PrimitiveArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::cast::{MICROSECONDS_PER_DAY, TIMESTAMP_END_DAY};
use super::kernel::{binary, unary, unexpected_type, wrong_arity};
use crate::error::{Error, sqlstate};
use crate::plan::types::{NUMERIC_INFINITY, NUMERIC_NEGATIVE_INFINITY};

/// 2000-01-01 as a Julian day.
const EPOCH: i64 = 2_451_545;
/// The first Julian day that is no date any more (DATE_END_JULIAN).
const DATE_END: i64 = 2_147_483_494;
/// Timestamps begin with Julian day 0.
const TIMESTAMP_MIN: i64 = -EPOCH * MICROSECONDS_PER_DAY;
const TIMESTAMP_END: i64 = TIMESTAMP_END_DAY as i64 * MICROSECONDS_PER_DAY;

fn out_of_range(message: &str) -> Error {
    Error::new(sqlstate::DATETIME_FIELD_OVERFLOW, message)
}

fn is_infinite_date(date: i32) -> bool {
    date == i32::MIN || date == i32::MAX
}

fn is_infinite(timestamp: i64) -> bool {
    timestamp == i64::MIN || timestamp == i64::MAX
}

fn valid_timestamp(timestamp: i64) -> Option<i64> {
    (TIMESTAMP_MIN..TIMESTAMP_END).contains(&timestamp).then_some(timestamp)
}

/// Year (with a year 0), month and day of a day since 2000: the civil calendar counted from March,
/// so that leap days come last.
fn civil(day: i64) -> (i64, i64, i64) {
    // 2000-03-01 is day 60; 400 years are 146,097 days.
    let shifted = day - 60;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let year = 2000 + 400 * era + year;
    if month < 10 { (year, month + 3, day_of_month) } else { (year + 1, month - 9, day_of_month) }
}

/// The inverse of [`civil`].
fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = ((year - 2000).div_euclid(400), (year - 2000).rem_euclid(400));
    60 + era * 146_097 + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 0 is Sunday. 2000-01-01 was a Saturday.
fn weekday(day: i64) -> i64 {
    (day + 6).rem_euclid(7)
}

/// The Monday on or before a day.
fn monday(day: i64) -> i64 {
    day - (weekday(day) + 6) % 7
}

/// The ISO year and week of a day: those of its week's Thursday.
fn iso_week(day: i64) -> (i64, i64) {
    let thursday = monday(day) + 3;
    let (year, ..) = civil(thursday);
    (year, (thursday - day_of(year, 1, 1)) / 7 + 1)
}

/// date ± integer.
pub(super) fn date_plus(args: &ScalarFunctionArgs, sign: i64) -> Result<ColumnarValue> {
    binary::<Int32Type, Int32Type>(
        args,
        |date, days| {
            let sum = i64::from(date) + sign * i64::from(days);
            match is_infinite_date(date) {
                true => (date, false),
                false => (sum as i32, !(-EPOCH..DATE_END - EPOCH).contains(&sum)),
            }
        },
        |_, _| out_of_range("date out of range"),
    )
}

/// date - date, in days.
pub(super) fn date_minus(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    binary::<Int32Type, Int32Type>(
        args,
        |left, right| (left.wrapping_sub(right), is_infinite_date(left) | is_infinite_date(right)),
        |_, _| out_of_range("cannot subtract infinite dates"),
    )
}

pub(super) fn date_to_timestamp(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    unary::<Int32Type, Int64Type>(
        args,
        |date| match date {
            i32::MIN => (i64::MIN, false),
            i32::MAX => (i64::MAX, false),
            date => (i64::from(date).wrapping_mul(MICROSECONDS_PER_DAY), date >= TIMESTAMP_END_DAY),
        },
        |_| out_of_range("date out of range for timestamp"),
    )
}

pub(super) fn timestamp_to_date(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    unary::<Int64Type, Int32Type>(
        args,
        |timestamp| {
            let date = match timestamp {
                i64::MIN => i32::MIN,
                i64::MAX => i32::MAX,
                timestamp => timestamp.div_euclid(MICROSECONDS_PER_DAY) as i32,
            };
            (date, false)
        },
        |_| Error::internal("an operation that cannot fail has failed"),
    )
}

/// An interval constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Interval {
    pub months: i32,
    pub days: i32,
    pub microseconds: i64,
}

impl Interval {
    /// None for one so large that PostgreSQL's own integers would overflow on its way to the error.
    pub fn sane(self) -> Option<Self> {
        let Self { months, days, microseconds } = self;
        let sane = months.unsigned_abs() <= 10_000_000
            && days.unsigned_abs() <= 1_000_000_000
            && microseconds.unsigned_abs() <= 1 << 62;
        sane.then_some(self)
    }

    pub fn negated(self) -> Option<Self> {
        let Self { months, days, microseconds } = self.sane()?;
        Some(Self { months: -months, days: -days, microseconds: -microseconds })
    }

    /// Months first (a day that the month lacks becomes its last), then days, then the rest; each
    /// must lead to a timestamp.
    fn after(self, timestamp: i64) -> Option<i64> {
        let mut timestamp = timestamp;
        if self.months != 0 {
            let (date, time) = (timestamp.div_euclid(MICROSECONDS_PER_DAY), timestamp.rem_euclid(MICROSECONDS_PER_DAY));
            let (year, month, day) = civil(date);
            let months = year * 12 + month - 1 + i64::from(self.months);
            let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
            let date = day_of(year, month, day.min(days_in_month(year, month)));
            timestamp = valid_timestamp(date.checked_mul(MICROSECONDS_PER_DAY)?.checked_add(time)?)?;
        }
        let days = i64::from(self.days).checked_mul(MICROSECONDS_PER_DAY)?;
        timestamp = valid_timestamp(timestamp.checked_add(days)?)?;
        valid_timestamp(timestamp.checked_add(self.microseconds)?)
    }
}

/// timestamp + interval, the interval as three constants.
pub(super) fn timestamp_plus(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    use ColumnarValue::Scalar;
    let [timestamp, rest @ ..] = args.args.as_slice() else { return Err(wrong_arity(0).into()) };
    let interval = match rest {
        [
            Scalar(ScalarValue::Int32(Some(months))),
            Scalar(ScalarValue::Int32(Some(days))),
            Scalar(ScalarValue::Int64(Some(microseconds))),
        ] => Interval { months: *months, days: *days, microseconds: *microseconds },
        _ => return Err(wrong_arity(args.args.len()).into()),
    };
    let args = &ScalarFunctionArgs { args: vec![timestamp.clone()], ..args.clone() };
    unary::<Int64Type, Int64Type>(
        args,
        |timestamp| match is_infinite(timestamp) {
            true => (timestamp, false),
            false => interval.after(timestamp).map_or((0, true), |sum| (sum, false)),
        },
        |_| out_of_range("timestamp out of range"),
    )
}

/// What EXTRACT, date_part and date_trunc are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Field {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    IsoYear,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
}

const FIELDS: [(Field, &str); 12] = [
    (Field::Year, "year"),
    (Field::Quarter, "quarter"),
    (Field::Month, "month"),
    (Field::Week, "week"),
    (Field::Day, "day"),
    (Field::Hour, "hour"),
    (Field::Minute, "minute"),
    (Field::Second, "second"),
    (Field::IsoYear, "isoyear"),
    (Field::DayOfWeek, "dow"),
    (Field::IsoDayOfWeek, "isodow"),
    (Field::DayOfYear, "doy"),
];

impl Field {
    /// By its plain name; PostgreSQL knows others and abbreviations besides.
    pub fn named(name: &str) -> Option<Self> {
        FIELDS.iter().find(|(_, candidate)| *candidate == name).map(|(field, _)| *field)
    }

    /// How a plan says it.
    pub fn number(self) -> i32 {
        self as i32
    }

    fn of(args: &ScalarFunctionArgs) -> Result<(Self, &ColumnarValue)> {
        match args.args.as_slice() {
            [ColumnarValue::Scalar(ScalarValue::Int32(Some(number))), value] => {
                let field = usize::try_from(*number).ok().and_then(|number| FIELDS.get(number));
                let unknown = || Error::internal(format!("there is no field {number} of a timestamp"));
                Ok((field.ok_or_else(unknown)?.0, value))
            }
            [other, _] => Err(unexpected_type(&other.data_type()).into()),
            others => Err(wrong_arity(others.len()).into()),
        }
    }

    /// Digits that its values have; None where EXTRACT gives fractions.
    pub fn digits(self) -> Option<u8> {
        match self {
            Self::Year | Self::IsoYear => Some(7),
            Self::DayOfYear => Some(3),
            Self::Second => None,
            _ => Some(2),
        }
    }

    /// Is it one of a time of day, which a date does not have?
    pub fn is_of_time(self) -> bool {
        matches!(self, Self::Hour | Self::Minute | Self::Second)
    }

    /// Can [`truncate`] end at it?
    pub fn truncates(self) -> bool {
        self.is_of_time() || matches!(self, Self::Year | Self::Quarter | Self::Month | Self::Week | Self::Day)
    }

    /// Does it grow with time, so that it is infinite for infinity rather than NULL?
    fn is_monotonic(self) -> bool {
        matches!(self, Self::Year | Self::IsoYear)
    }

    fn extract(self, day: i64, time: i64) -> i64 {
        let (year, month, day_of_month) = civil(day);
        // Nobody calls a year 0.
        let known = |year: i64| if year > 0 { year } else { year - 1 };
        match self {
            Self::Year => known(year),
            Self::Quarter => (month - 1) / 3 + 1,
            Self::Month => month,
            Self::Week => iso_week(day).1,
            Self::Day => day_of_month,
            Self::Hour => time / 3_600_000_000,
            Self::Minute => time / 60_000_000 % 60,
            Self::Second => time / 1_000_000 % 60,
            Self::IsoYear => known(iso_week(day).0),
            Self::DayOfWeek => weekday(day),
            Self::IsoDayOfWeek => (weekday(day) + 6) % 7 + 1,
            Self::DayOfYear => day - day_of(year, 1, 1) + 1,
        }
    }

    fn truncate(self, timestamp: i64) -> Option<i64> {
        let (day, time) = (timestamp.div_euclid(MICROSECONDS_PER_DAY), timestamp.rem_euclid(MICROSECONDS_PER_DAY));
        let (year, month, _) = civil(day);
        let unit = match self {
            Self::Hour => 3_600_000_000,
            Self::Minute => 60_000_000,
            Self::Second => 1_000_000,
            _ => MICROSECONDS_PER_DAY,
        };
        let first = match self {
            Self::Year => day_of(year, 1, 1),
            Self::Quarter => day_of(year, (month - 1) / 3 * 3 + 1, 1),
            Self::Month => day_of(year, month, 1),
            Self::Week => monday(day),
            _ => day,
        };
        valid_timestamp(first.checked_mul(MICROSECONDS_PER_DAY)? + (time - time % unit))
    }
}

/// EXTRACT and date_part of a date or a timestamp: as the plan wants it, numeric without a fraction or
/// float8. Of an infinite value NULL, or an infinity for what grows with time.
pub(super) fn extract(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let (field, value) = Field::of(args)?;
    let scalar = matches!(value, ColumnarValue::Scalar(_));
    let array = value.to_array(1)?;
    let result_type = args.return_field.data_type();
    let result = match array.data_type() {
        DataType::Int32 => parts::<Int32Type>(field, array.as_primitive(), result_type, |date| match date {
            date if is_infinite_date(date) => Err(date < 0),
            date => Ok((i64::from(date), 0)),
        })?,
        DataType::Int64 => parts::<Int64Type>(field, array.as_primitive(), result_type, |timestamp| match timestamp {
            timestamp if is_infinite(timestamp) => Err(timestamp < 0),
            timestamp => Ok((timestamp.div_euclid(MICROSECONDS_PER_DAY), timestamp.rem_euclid(MICROSECONDS_PER_DAY))),
        })?,
        other => return Err(unexpected_type(other).into()),
    };
    match scalar {
        true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
        false => Ok(ColumnarValue::Array(result)),
    }
}

/// `split` gives day and time of day, or whether an infinite value is the negative one.
fn parts<T: ArrowPrimitiveType>(
    field: Field,
    values: &PrimitiveArray<T>,
    result_type: &DataType,
    split: impl Fn(T::Native) -> Result<(i64, i64), bool>,
) -> Result<ArrayRef> {
    let infinite = |negative: bool| field.is_monotonic().then_some(negative);
    match result_type {
        DataType::Decimal128(_, 0) => {
            let parts = values.iter().map(|value| match split(value?) {
                Ok((day, time)) => Some(i128::from(field.extract(day, time))),
                Err(negative) => infinite(negative)
                    .map(|negative| if negative { NUMERIC_NEGATIVE_INFINITY } else { NUMERIC_INFINITY }),
            });
            Ok(Arc::new(parts.collect::<Decimal128Array>().with_data_type(result_type.clone())))
        }
        DataType::Float64 => {
            let parts = values.iter().map(|value| match split(value?) {
                Ok((day, time)) => Some(field.extract(day, time) as f64),
                Err(negative) => {
                    infinite(negative).map(|negative| if negative { f64::NEG_INFINITY } else { f64::INFINITY })
                }
            });
            Ok(Arc::new(parts.collect::<Float64Array>()))
        }
        other => Err(unexpected_type(other).into()),
    }
}

/// date_trunc of a timestamp.
pub(super) fn truncate(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let (field, value) = Field::of(args)?;
    let args = &ScalarFunctionArgs { args: vec![value.clone()], ..args.clone() };
    unary::<Int64Type, Int64Type>(
        args,
        |timestamp| match is_infinite(timestamp) {
            true => (timestamp, false),
            false => field.truncate(timestamp).map_or((0, true), |first| (first, false)),
        },
        |_| out_of_range("timestamp out of range"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_there_and_back() {
        for (day, date) in [
            (0, (2000, 1, 1)),
            (59, (2000, 2, 29)),
            (60, (2000, 3, 1)),
            (-1, (1999, 12, 31)),
            (-EPOCH, (-4713, 11, 24)),
            (-730_119, (1, 1, 1)),
            (-730_120, (0, 12, 31)),
            (36_583, (2100, 2, 28)),
            (36_584, (2100, 3, 1)),
            (DATE_END - EPOCH - 1, (5_874_897, 12, 31)),
            (109_203_527 - EPOCH, (294_276, 12, 31)),
        ] {
            assert_eq!(civil(day), date);
            assert_eq!(day_of(date.0, date.1, date.2), day);
        }
        for day in (-EPOCH..2_000_000).step_by(17) {
            let (year, month, of_month) = civil(day);
            assert_eq!(day_of(year, month, of_month), day);
            assert!((1..=days_in_month(year, month)).contains(&of_month), "{day}");
            assert_eq!(civil(day + 1).2 == 1, of_month == days_in_month(year, month), "{day}");
        }
    }

    #[test]
    fn fields_have_their_numbers() {
        for (position, (field, name)) in FIELDS.into_iter().enumerate() {
            assert_eq!(field.number(), position as i32);
            assert_eq!(Field::named(name), Some(field));
        }
        assert_eq!(Field::named("Year"), None);
    }
}
