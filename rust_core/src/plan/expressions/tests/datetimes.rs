//! Dates and timestamps: what PostgreSQL 15 answered.

use std::result::Result;
use std::string::String;

use arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type};
use pg_sys::{DATEOID, INT4OID, INTERVALOID, TEXTOID, TIMESTAMPOID, TIMESTAMPTZOID};
use pgrx_pg_sys::*;

use super::*;
use crate::plan::testing::*;
use crate::plan::types::{NUMERIC_INFINITY, NUMERIC_NEGATIVE_INFINITY};

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

const FIELDS: [&str; 9] = ["year", "quarter", "month", "week", "day", "isoyear", "dow", "isodow", "doy"];

/// Days since 2000 and their [`FIELDS`].
#[rustfmt::skip]
const DATES: [(i32, [i128; 9]); 18] = [
    (0, [2000, 1, 1, 52, 1, 1999, 6, 6, 1]),
    (-1, [1999, 4, 12, 52, 31, 1999, 5, 5, 365]),
    (59, [2000, 1, 2, 9, 29, 2000, 2, 2, 60]),
    (1826, [2004, 4, 12, 53, 31, 2004, 5, 5, 366]),
    (1827, [2005, 1, 1, 53, 1, 2004, 6, 6, 1]),
    (1828, [2005, 1, 1, 53, 2, 2004, 0, 7, 2]),
    (1829, [2005, 1, 1, 1, 3, 2005, 1, 1, 3]),
    (-36465, [1900, 1, 3, 9, 1, 1900, 4, 4, 60]),
    (-730119, [1, 1, 1, 1, 1, 1, 1, 1, 1]),
    (-730120, [-1, 4, 12, 52, 31, -1, 0, 7, 366]),
    (-731887, [-5, 1, 2, 9, 29, -5, 4, 4, 60]),
    (-2451545, [-4714, 4, 11, 48, 24, -4714, 1, 1, 328]),
    (-2451507, [-4713, 1, 1, 1, 1, -4713, 4, 4, 1]),
    (2145031948, [5874897, 4, 12, 1, 31, 5874898, 2, 2, 365]),
    (3285, [2008, 4, 12, 1, 29, 2009, 1, 1, 364]),
    (3655, [2010, 1, 1, 53, 3, 2009, 0, 7, 3]),
    (-10762, [1970, 3, 7, 29, 15, 1970, 3, 3, 196]),
    (9070, [2024, 4, 10, 44, 31, 2024, 4, 4, 305]),
];

/// A timestamp, cut at year, quarter, month, week, day, hour, minute and second.
#[rustfmt::skip]
const CUTS: [(i64, [i64; 8]); 7] = [
    (0, [0, 0, 0, -432000000000, 0, 0, 0, 0]),
    (-1, [-31536000000000, -7948800000000, -2678400000000, -432000000000, -86400000000, -3600000000, -60000000, -1000000]),
    (762525296789000, [757382400000000, 757382400000000, 760060800000000, 762220800000000, 762480000000000, 762523200000000, 762525240000000, 762525296000000]),
    (157939201000000, [157852800000000, 157852800000000, 157852800000000, 157420800000000, 157939200000000, 157939200000000, 157939200000000, 157939201000000]),
    (-63082263600000000, [-63082281600000000, -63082281600000000, -63082281600000000, -63082281600000000, -63082281600000000, -63082263600000000, -63082263600000000, -63082263600000000]),
    (-63208550744500000, [-63240134400000000, -63216460800000000, -63211190400000000, -63208684800000000, -63208598400000000, -63208551600000000, -63208550760000000, -63208550745000000]),
    (9223371331199999999, [9223339708800000000, 9223363382400000000, 9223368652800000000, 9223370726400000000, 9223371244800000000, 9223371327600000000, 9223371331140000000, 9223371331199000000]),
];

/// A timestamp, an interval in months, days and microseconds, and their sum.
#[rustfmt::skip]
const SUMS: [(i64, (i32, i32, i64), i64); 15] = [
    (760010400000000, (1, 0, 0), 762516000000000),
    (728474400000000, (1, 0, 0), 730893600000000),
    (762480000000000, (12, 0, 0), 794016000000000),
    (762480000000000, (-12, 0, 0), 730857600000000),
    (765158400000000, (-1, 0, 0), 762480000000000),
    (789001200000000, (0, 0, 7200000000), 789008400000000),
    (759974400000000, (1, 1, 3600000000), 762570000000000),
    (765072000000000, (-1, -1, -1), 762393599999999),
    (-63081072000000000, (-1, 0, 0), -63083750400000000),
    (-63108892800000000, (48, 0, 0), -62982662400000000),
    (-63108806400000000, (12, 0, 0), -63077270400000000),
    (0, (-25, 0, 0), -65750400000000),
    (i64::MAX, (12, 0, 0), i64::MAX),
    (i64::MIN, (-1, 0, 0), i64::MIN),
    (-86400000000, (1440, 0, 0), 3786739200000000),
];

fn error(message: &str) -> Option<(String, String)> {
    Some(("22008".into(), message.into()))
}

fn days(result: Result<ArrayRef, Error>) -> Vec<Option<i32>> {
    result.expect("evaluates").as_primitive::<Int32Type>().iter().collect()
}

fn timestamps(result: Result<ArrayRef, Error>) -> Vec<Option<i64>> {
    result.expect("evaluates").as_primitive::<Int64Type>().iter().collect()
}

fn numbers(result: Result<ArrayRef, Error>) -> Vec<Option<i128>> {
    result.expect("evaluates").as_primitive::<Decimal128Type>().iter().collect()
}

#[test]
fn extracts() {
    let (date, timestamp) = (var(1, DATEOID, -1), var(2, TIMESTAMPOID, -1));
    let of_day = |day: i32| i64::from(day) * MICROSECONDS_PER_DAY + MICROSECONDS_PER_DAY - 1;
    // The last date is none of a timestamp.
    let late = |day: i32| (day < 100_000_000).then(|| of_day(day));
    let table = Table::new(vec![int4s(&DATES.map(|(day, _)| Some(day))), int8s(&DATES.map(|(day, _)| late(day)))]);
    for (position, field) in FIELDS.into_iter().enumerate() {
        let expected = DATES.map(|(_, fields)| Some(fields[position]));
        assert_eq!(numbers(table.value(function(F_EXTRACT_TEXT_DATE, &[text(field), date]))), expected, "{field}");
        let expected = DATES.map(|(day, fields)| late(day).map(|_| fields[position]));
        let node = function(F_EXTRACT_TEXT_TIMESTAMP, &[text(field), timestamp]);
        assert_eq!(numbers(table.value(node)), expected, "{field}");
        let node = function(F_DATE_PART_TEXT_TIMESTAMP, &[text(field), timestamp]);
        let part = table.value(node).expect("evaluates");
        let part: Vec<_> = part.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(part, expected.map(|value| value.map(|value| value as f64)), "{field}");
    }
    let table = Table::new(vec![int8s(&[Some(0), Some(-1), Some(762_525_296_789_000), Some(-63_208_550_744_500_000)])]);
    let timestamp = var(1, TIMESTAMPOID, -1);
    for (field, expected) in [("hour", [0, 23, 12, 13]), ("minute", [0, 59, 34, 14])] {
        let node = function(F_EXTRACT_TEXT_TIMESTAMP, &[text(field), timestamp]);
        assert_eq!(numbers(table.value(node)), expected.map(Some), "{field}");
    }
}

#[test]
fn extracts_of_infinity() {
    let table = Table::new(vec![
        int4s(&[Some(i32::MAX), Some(i32::MIN), None, Some(0)]),
        int8s(&[Some(i64::MAX), Some(i64::MIN), None, Some(0)]),
    ]);
    let (date, timestamp) = (var(1, DATEOID, -1), var(2, TIMESTAMPOID, -1));
    let infinities = [Some(NUMERIC_INFINITY), Some(NUMERIC_NEGATIVE_INFINITY), None];
    let year = function(F_EXTRACT_TEXT_DATE, &[text("year"), date]);
    assert_eq!(numbers(table.value(year))[..3], infinities);
    let iso_year = function(F_EXTRACT_TEXT_TIMESTAMP, &[text("isoyear"), timestamp]);
    assert_eq!(numbers(table.value(iso_year))[..3], infinities);
    let month = function(F_EXTRACT_TEXT_DATE, &[text("month"), date]);
    assert_eq!(numbers(table.value(month)), [None, None, None, Some(1)]);
    let part = table.value(function(F_DATE_PART_TEXT_TIMESTAMP, &[text("year"), timestamp])).expect("evaluates");
    let part: Vec<_> = part.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(part, [Some(f64::INFINITY), Some(f64::NEG_INFINITY), None, Some(2000.0)]);
    // Infinities in arithmetic and comparisons.
    let sum = op(F_NUMERIC_ADD, 0, &[op(F_NUMERIC_MUL, 0, &[year, numeric_const("100")]), numeric_const("5.5")]);
    assert_eq!(numbers(table.value(sum)), [infinities[0], infinities[1], None, Some(2_000_055)]);
    let zero = op(F_NUMERIC_MUL, 0, &[year, numeric_const("0")]);
    assert_eq!(numbers(table.value(zero)), [NAN, NAN, None, Some(0)]);
    let difference = op(F_NUMERIC_SUB, 0, &[year, iso_year]);
    assert_eq!(numbers(table.value(difference))[..3], [NAN, NAN, None]);
    let negative = op(F_NUMERIC_UMINUS, 0, &[year]);
    assert_eq!(numbers(table.value(negative))[..3], [infinities[1], infinities[0], None]);
    let opposite = op(F_NUMERIC_MUL, 0, &[year, negative]);
    assert_eq!(numbers(table.value(opposite))[..3], [infinities[1], infinities[1], None]);
    let than =
        |function, constant| table.predicate(op(function, 0, &[year, numeric_const(constant)])).expect("evaluates");
    assert_eq!(than(F_NUMERIC_GT, "1999.5"), [T, F, N, T]);
    assert_eq!(than(F_NUMERIC_LT, "NaN"), [T, T, N, T]);
    let float = table.value(function(F_FLOAT8_NUMERIC, &[year])).expect("evaluates");
    assert_eq!(float.as_primitive::<Float64Type>().value(1), f64::NEG_INFINITY);
    let integer = table.errors(function(F_INT4_NUMERIC, &[year]));
    assert_eq!(integer[0], Some(("0A000".into(), "cannot convert infinity to integer".into())));
    assert_eq!(integer[3], None);
}

#[test]
fn cuts() {
    let table = Table::new(vec![int8s(&CUTS.map(|(timestamp, _)| Some(timestamp)))]);
    let cut = |field| function(F_DATE_TRUNC_TEXT_TIMESTAMP, &[text(field), var(1, TIMESTAMPOID, -1)]);
    let fields = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"];
    for (position, field) in fields.into_iter().enumerate() {
        assert_eq!(timestamps(table.value(cut(field))), CUTS.map(|(_, cuts)| Some(cuts[position])), "{field}");
    }
    // The first timestamp is in November of its year, and a Monday.
    let first = -2_451_545 * MICROSECONDS_PER_DAY;
    let edges = Table::new(vec![int8s(&[Some(i64::MAX), Some(i64::MIN), None, Some(first)])]);
    assert_eq!(edges.errors(cut("year")), [None, None, None, error("timestamp out of range")]);
    assert_eq!(timestamps(edges.value(cut("week"))), [Some(i64::MAX), Some(i64::MIN), None, Some(first)]);
}

#[test]
fn intervals() {
    for (timestamp, (month, day, time), sum) in SUMS {
        let table = Table::new(vec![int8s(&[Some(timestamp), None])]);
        let (value, constant) = (var(1, TIMESTAMPOID, -1), interval_const(month, day, time));
        let node = op(F_TIMESTAMP_PL_INTERVAL, 0, &[value, constant]);
        assert_eq!(timestamps(table.value(node)), [Some(sum), None], "{timestamp} {month} {day} {time}");
        let negative = interval_const(-month, -day, -time);
        let node = op(F_TIMESTAMP_MI_INTERVAL, 0, &[value, negative]);
        assert_eq!(timestamps(table.value(node)), [Some(sum), None]);
    }
    let (first, last) = (-2_451_545 * MICROSECONDS_PER_DAY, 9_223_371_331_199_999_999);
    let table = Table::new(vec![int8s(&[Some(first), Some(last), Some(0)])]);
    let value = var(1, TIMESTAMPOID, -1);
    let out = || error("timestamp out of range");
    for (constant, expected) in [
        (interval_const(0, 0, 1), [None, out(), None]),
        (interval_const(0, 1, 0), [None, out(), None]),
        (interval_const(1, 0, 0), [None, out(), None]),
        (interval_const(-1, 0, 0), [out(), None, None]),
        // Each step must be a timestamp.
        (interval_const(0, 1, -2 * MICROSECONDS_PER_DAY), [out(), out(), None]),
        (interval_const(0, 0, 1 << 62), [None, out(), None]),
        (interval_const(10_000_000, 0, 0), [out(), out(), out()]),
        (interval_const(0, 1_000_000_000, 0), [out(), out(), out()]),
    ] {
        assert_eq!(table.errors(op(F_TIMESTAMP_PL_INTERVAL, 0, &[value, constant])), expected);
    }
    let node = op(F_TIMESTAMP_PL_INTERVAL, 0, &[value, null(INTERVALOID)]);
    assert_eq!(timestamps(table.value(node)), [None; 3]);
    for (constant, reason) in [
        (interval_const(0, i32::MIN, 0), "an interval of many thousand years is not supported"),
        (var(2, INTERVALOID, -1), "an interval that is not constant is not supported"),
    ] {
        assert_eq!(refused(&table, op(F_TIMESTAMP_MI_INTERVAL, 0, &[value, constant])), reason);
    }
    let zoned = var(1, TIMESTAMPTZOID, -1);
    let node = op(F_TIMESTAMPTZ_MI_INTERVAL, 0, &[zoned, interval_const(0, 0, 5)]);
    assert_eq!(table.errors(node), [out(), None, None]);
    assert_eq!(
        refused(&table, op(F_TIMESTAMPTZ_PL_INTERVAL, 0, &[zoned, interval_const(0, 1, 0)])),
        "days or months after a timestamp with time zone are not supported"
    );
}

#[test]
fn dates() {
    let (first, last) = (-2_451_545, 2_145_031_948);
    let table = Table::new(vec![
        int4s(&[Some(first), Some(last), Some(i32::MAX), Some(i32::MIN), Some(10), None]),
        int4s(&[Some(1), Some(-1), Some(7), Some(i32::MIN), Some(0), Some(i32::MAX)]),
    ]);
    let (date, count) = (var(1, DATEOID, -1), var(2, INT4OID, -1));
    let expected = [Some(first + 1), Some(last - 1), Some(i32::MAX), Some(i32::MIN), Some(10), None];
    assert_eq!(days(table.value(op(F_DATE_PLI, 0, &[date, count]))), expected);
    let out = || error("date out of range");
    assert_eq!(table.errors(op(F_DATE_MII, 0, &[date, count])), [out(), out(), None, None, None, None]);
    assert_eq!(table.errors(op(F_DATE_PLI, 0, &[date, int4(i32::MAX - 1000)])), [None, out(), None, None, out(), None]);
    let difference = op(F_DATE_MI, 0, &[date, by_value(DATEOID, 5)]);
    let infinite = || error("cannot subtract infinite dates");
    assert_eq!(table.errors(difference), [None, None, infinite(), infinite(), None, None]);
    let finite = Table(table.0.slice(4, 2));
    assert_eq!(days(finite.value(difference)), [Some(5), None]);
    let timestamp = function(F_TIMESTAMP_DATE, &[date]);
    let beyond = || error("date out of range for timestamp");
    assert_eq!(table.errors(timestamp), [None, beyond(), None, None, None, None]);
    assert_eq!(table.errors(op(F_DATE_PL_INTERVAL, 0, &[date, interval_const(0, 0, 0)])), table.errors(timestamp));
    assert_eq!(timestamps(finite.value(timestamp)), [Some(10 * MICROSECONDS_PER_DAY), None]);
    let earlier = op(F_DATE_MI_INTERVAL, 0, &[date, interval_const(0, 11, 1)]);
    assert_eq!(timestamps(finite.value(earlier)), [Some(-MICROSECONDS_PER_DAY - 1), None]);
    let back = Table::new(vec![int8s(&[Some(-1), Some(MICROSECONDS_PER_DAY), Some(i64::MAX), Some(i64::MIN), None])]);
    let date = function(F_DATE_TIMESTAMP, &[var(1, TIMESTAMPOID, -1)]);
    assert_eq!(days(back.value(date)), [Some(-1), Some(1), Some(i32::MAX), Some(i32::MIN), None]);
}

#[test]
fn fields_declined() {
    let table = Table::new(vec![int4s(&[Some(0)]), int8s(&[Some(0)])]);
    let (date, timestamp) = (var(1, DATEOID, -1), var(2, TIMESTAMPOID, -1));
    for (node, reason) in [
        (function(F_EXTRACT_TEXT_DATE, &[text("hour"), date]), "a time of day of a date is not supported"),
        (
            function(F_EXTRACT_TEXT_TIMESTAMP, &[text("second"), timestamp]),
            "this field of a date or timestamp is not supported",
        ),
        (
            function(F_EXTRACT_TEXT_TIMESTAMP, &[text("epoch"), timestamp]),
            "field epoch of a date or timestamp is not supported",
        ),
        (
            function(F_DATE_TRUNC_TEXT_TIMESTAMP, &[text("dow"), timestamp]),
            "this field of a date or timestamp is not supported",
        ),
        (
            function(F_DATE_TRUNC_TEXT_TIMESTAMP, &[null(TEXTOID), timestamp]),
            "a field of a date or timestamp that is not constant is not supported",
        ),
        (
            function(F_EXTRACT_TEXT_TIMESTAMPTZ, &[text("year"), timestamp]),
            "the function with OID 6203 is not supported",
        ),
    ] {
        assert_eq!(refused(&table, node), reason);
    }
}
