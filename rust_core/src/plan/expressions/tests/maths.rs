//! Absolute values, roundings, roots, bits, and casts from numeric: what PostgreSQL 15 answered.

use std::result::Result;
use std::string::String;

use arrow::datatypes::{Float64Type, Int16Type, Int32Type, Int64Type};
use pg_sys::{FLOAT4OID, FLOAT8OID, INT2OID, INT4OID, INT8OID, NUMERICOID};
use pgrx_pg_sys::*;

use super::*;
use crate::plan::testing::*;

fn error(sqlstate: &str, message: &str) -> Option<(String, String)> {
    Some((sqlstate.into(), message.into()))
}

fn floats(result: Result<ArrayRef, Error>) -> Vec<Option<u64>> {
    let result = result.expect("evaluates");
    result.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect()
}

fn bits(values: &[f64]) -> Vec<Option<u64>> {
    values.iter().map(|value| Some(value.to_bits())).collect()
}

#[test]
fn absolute_values() {
    let table = Table::new(vec![
        int2s(&[Some(-7), Some(i16::MIN), None]),
        int4s(&[Some(-7), Some(i32::MIN), None]),
        int8s(&[Some(-7), Some(i64::MIN), None]),
        float4s(&[Some(-1.5), Some(-0.0), None]),
        numerics(4, 2, &[Some(-150), Some(25), NAN]),
    ]);
    let least = |name: &str| [None, error("22003", &format!("{name} out of range")), None];
    assert_eq!(table.errors(function(F_ABS_INT2, &[var(1, INT2OID, -1)])), least("smallint"));
    assert_eq!(table.errors(function(F_ABS_INT4, &[var(2, INT4OID, -1)])), least("integer"));
    assert_eq!(table.errors(function(F_ABS_INT8, &[var(3, INT8OID, -1)])), least("bigint"));
    let first = Table(table.0.slice(0, 1));
    assert_eq!(
        first.predicate(op(F_INT4EQ, 0, &[function(F_ABS_INT4, &[var(2, INT4OID, -1)]), int4(7)])).expect("7"),
        [T]
    );
    let float = table.value(function(F_ABS_FLOAT4, &[var(4, FLOAT4OID, -1)])).expect("evaluates");
    assert_eq!(&float, &float4s(&[Some(1.5), Some(0.0), None]));
    let numeric = table.value(function(F_ABS_NUMERIC, &[var(5, NUMERICOID, numeric_typmod(4, 2))])).expect("evaluates");
    assert_eq!(&numeric, &numerics(4, 2, &[Some(150), Some(25), NAN]));
}

#[test]
fn floats_rounded() {
    let values = [-2.5, -0.4, 0.5, 1.5, 2.5, f64::INFINITY, 1e300];
    let table = Table::new(vec![float8s(&values.map(Some))]);
    let of = |number| floats(table.value(function(number, &[var(1, FLOAT8OID, -1)])));
    assert_eq!(of(F_ROUND_FLOAT8), bits(&[-2.0, -0.0, 0.0, 2.0, 2.0, f64::INFINITY, 1e300]));
    assert_eq!(of(F_FLOOR_FLOAT8), bits(&[-3.0, -1.0, 0.0, 1.0, 2.0, f64::INFINITY, 1e300]));
    assert_eq!(of(F_CEIL_FLOAT8), bits(&[-2.0, -0.0, 1.0, 2.0, 3.0, f64::INFINITY, 1e300]));
    assert_eq!(of(F_TRUNC_FLOAT8), bits(&[-2.0, -0.0, 0.0, 1.0, 2.0, f64::INFINITY, 1e300]));
    let table = Table::new(vec![float8s(&[Some(2.25), Some(-0.0), Some(-1e-300), None, Some(f64::NAN)])]);
    let root = function(F_SQRT_FLOAT8, &[var(1, FLOAT8OID, -1)]);
    let negative = error("2201F", "cannot take square root of a negative number");
    assert_eq!(table.errors(root), [None, None, negative, None, None]);
    assert_eq!(floats(Table(table.0.slice(0, 2)).value(root)), bits(&[1.5, -0.0]));
}

#[test]
fn numerics_rounded() {
    let table =
        Table::new(vec![numerics(5, 2, &[Some(-1005), Some(150), Some(99_999), Some(-49), Some(0), None, NAN])]);
    let value = var(1, NUMERICOID, numeric_typmod(5, 2));
    let check = |node, precision, scale, expected: [i128; 5]| {
        let mut expected = expected.map(Some).to_vec();
        expected.extend([None, NAN]);
        assert_eq!(&table.value(node).expect("evaluates"), &numerics(precision, scale, &expected));
    };
    check(function(F_FLOOR_NUMERIC, &[value]), 4, 0, [-11, 1, 999, -1, 0]);
    check(function(F_CEIL_NUMERIC, &[value]), 4, 0, [-10, 2, 1000, 0, 0]);
    let round = |places| function(F_ROUND_NUMERIC_INT4, &[value, int4(places)]);
    check(round(0), 4, 0, [-10, 2, 1000, 0, 0]);
    check(round(1), 5, 1, [-101, 15, 10_000, -5, 0]);
    check(round(2), 5, 2, [-1005, 150, 99_999, -49, 0]);
    check(round(3), 6, 3, [-10_050, 1500, 999_990, -490, 0]);
    check(round(-1), 4, 0, [-10, 0, 1000, 0, 0]);
    check(round(-3), 4, 0, [0, 0, 1000, 0, 0]);
    check(round(-4), 4, 0, [0; 5]);
    check(round(i32::MIN), 4, 0, [0; 5]);
    let trunc = |places| function(F_TRUNC_NUMERIC_INT4, &[value, int4(places)]);
    check(trunc(0), 3, 0, [-10, 1, 999, 0, 0]);
    check(trunc(1), 4, 1, [-100, 15, 9999, -4, 0]);
    check(trunc(4), 7, 4, [-100_500, 15_000, 9_999_900, -4900, 0]);
    check(trunc(-2), 3, 0, [0, 0, 900, 0, 0]);
    assert_eq!(refused(&table, round(74)), "rounding that may need more than 76 digits is not supported");
    assert_eq!(refused(&table, trunc(i32::MAX)), "rounding that may need more than 76 digits is not supported");
    assert_eq!(
        refused(&table, function(F_ROUND_NUMERIC_INT4, &[value, null(INT4OID)])),
        "rounding to a number of places that is not constant is not supported"
    );
}

#[test]
fn numerics_cast() {
    let table = Table::new(vec![numerics(
        21,
        1,
        &[Some(327_674), Some(327_675), Some(-327_684), Some(-327_685), Some(92_233_720_368_547_758_075), NAN, None],
    )]);
    let value = var(1, NUMERICOID, numeric_typmod(21, 1));
    let out = |name: &str| error("22003", &format!("{name} out of range"));
    let nan = |name: &str| error("0A000", &format!("cannot convert NaN to {name}"));
    let (smallint, bigint) = (|| out("smallint"), || out("bigint"));
    assert_eq!(
        table.errors(function(F_INT2_NUMERIC, &[value])),
        [None, smallint(), None, smallint(), smallint(), nan("smallint"), None]
    );
    assert_eq!(
        table.errors(function(F_INT8_NUMERIC, &[value])),
        [None, None, None, None, bigint(), nan("bigint"), None]
    );
    let first = Table(table.0.slice(0, 4));
    let integer = first.value(function(F_INT4_NUMERIC, &[value])).expect("evaluates");
    assert_eq!(integer.as_primitive::<Int32Type>().values(), &[32_767, 32_768, -32_768, -32_769]);
    let float = floats(table.value(function(F_FLOAT8_NUMERIC, &[value])));
    assert_eq!(float[..5], bits(&[32_767.4, 32_767.5, -32_768.4, -32_768.5, 9_223_372_036_854_775_807.5]));
    assert_eq!(float[5..], [Some(f64::NAN.to_bits()), None]);
    let long = Table::new(vec![numerics(38, 30, &[Some(123_456_789_012_345_678_901_234_567_890), Some(3)])]);
    let float = floats(long.value(function(F_FLOAT8_NUMERIC, &[var(1, NUMERICOID, numeric_typmod(38, 30))])));
    assert_eq!(float, bits(&[0.123_456_789_012_345_68, 3e-30]));
}

#[test]
fn bits_of_integers() {
    let table = Table::new(vec![
        int2s(&[Some(12), Some(-1), None]),
        int4s(&[Some(12), Some(-8), None]),
        int8s(&[Some(12), Some(-8), None]),
        int4s(&[Some(1), Some(33), Some(0)]),
    ]);
    let (a, b, c, by) = (var(1, INT2OID, -1), var(2, INT4OID, -1), var(3, INT8OID, -1), var(4, INT4OID, -1));
    let small = |node| -> Vec<_> {
        table.value(node).expect("evaluates").as_primitive::<Int16Type>().iter().flatten().collect()
    };
    let medium = |node| -> Vec<_> {
        table.value(node).expect("evaluates").as_primitive::<Int32Type>().iter().flatten().collect()
    };
    let large = |node| -> Vec<_> {
        table.value(node).expect("evaluates").as_primitive::<Int64Type>().iter().flatten().collect()
    };
    assert_eq!(small(op(F_INT2AND, 0, &[a, int2(10)])), [8, 10]);
    assert_eq!(medium(op(F_INT4OR, 0, &[b, int4(3)])), [15, -5]);
    assert_eq!(large(op(F_INT8XOR, 0, &[c, int8(10)])), [6, -14]);
    assert_eq!(medium(op(F_INT4NOT, 0, &[b])), [-13, 7]);
    // A shift counts modulo the width of a register.
    assert_eq!(small(op(F_INT2SHL, 0, &[a, by])), [24, -2]);
    assert_eq!(small(op(F_INT2SHL, 0, &[a, int4(16)])), [0, 0]);
    assert_eq!(small(op(F_INT2SHL, 0, &[int2(1), int4(40)])), [256, 256, 256]);
    assert_eq!(medium(op(F_INT4SHL, 0, &[b, by])), [24, -16]);
    assert_eq!(medium(op(F_INT4SHL, 0, &[int4(1), int4(-1)])), [i32::MIN; 3]);
    assert_eq!(medium(op(F_INT4SHR, 0, &[b, by])), [6, -4]);
    assert_eq!(large(op(F_INT8SHR, 0, &[c, by])), [6, -1]);
    assert_eq!(large(op(F_INT8SHL, 0, &[int8(1), int4(64)])), [1; 3]);
}
