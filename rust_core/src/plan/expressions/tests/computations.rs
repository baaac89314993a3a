//! Arithmetic and casts, seen through comparisons of their results.

use std::string::String;

use pg_sys::{FLOAT4OID, FLOAT8OID, INT2OID, INT4OID, INT8OID, NUMERICOID};
use pgrx_pg_sys::*;

use super::*;
use crate::plan::testing::*;

fn range(type_name: &str) -> (String, String) {
    ("22003".into(), format!("{type_name} out of range"))
}

fn division_by_zero() -> (String, String) {
    ("22012".into(), "division by zero".into())
}

#[test]
fn integers() {
    let table = Table::new(vec![
        int2s(&[Some(100), Some(-7), None]),
        int4s(&[Some(7), Some(2), Some(0)]),
        int8s(&[Some(1 << 40), Some(-3), Some(0)]),
    ]);
    let (a, b, c) = (var(1, INT2OID, -1), var(2, INT4OID, -1), var(3, INT8OID, -1));
    let is = |node, equal, results: [Option<bool>; 3]| {
        assert_eq!(table.predicate(op(equal, 0, &[node, int8(14)])).expect("evaluates"), results);
    };
    is(op(F_INT24DIV, 0, &[a, b]), F_INT48EQ, [T, F, N]);
    is(op(F_INT42PL, 0, &[b, op(F_INT2DIV, 0, &[a, int2(14)])]), F_INT48EQ, [T, F, N]);
    is(op(F_INT48MI, 0, &[b, op(F_INT8MI, 0, &[c, int8((1 << 40) + 7)])]), F_INT8EQ, [T, F, F]);
    is(op(F_INT4MOD, 0, &[int4(29), op(F_INT4PL, 0, &[b, int4(8)])]), F_INT48EQ, [T, F, F]);
    is(op(F_INT2UM, 0, &[op(F_INT2MUL, 0, &[a, int2(2)])]), F_INT28EQ, [F, T, N]);
    is(function(F_INT8_INT2, &[op(F_INT2UP, 0, &[int2(14)])]), F_INT8EQ, [T, T, T]);
}

#[test]
fn integers_out_of_range() {
    let table = Table::new(vec![
        int2s(&[Some(1), Some(i16::MIN), None]),
        int4s(&[Some(1), Some(i32::MIN), None]),
        int8s(&[Some(1), Some(i64::MIN), None]),
    ]);
    let (a, b, c) = (var(1, INT2OID, -1), var(2, INT4OID, -1), var(3, INT8OID, -1));
    for (node, error) in [
        (op(F_INT2MI, 0, &[a, int2(1)]), range("smallint")),
        (op(F_INT2UM, 0, &[a]), range("smallint")),
        (op(F_INT2DIV, 0, &[a, int2(-1)]), range("smallint")),
        (op(F_INT2MUL, 0, &[a, a]), range("smallint")),
        (op(F_INT4PL, 0, &[b, int4(-1)]), range("integer")),
        (op(F_INT42DIV, 0, &[b, int2(-1)]), range("integer")),
        (op(F_INT24MI, 0, &[int2(1), b]), range("integer")),
        (op(F_INT8UM, 0, &[c]), range("bigint")),
        (op(F_INT8MUL, 0, &[int8(2), c]), range("bigint")),
        (op(F_INT8PL, 0, &[c, c]), range("bigint")),
        (op(F_INT8DIV, 0, &[int8(1), int8(0)]), division_by_zero()),
        (op(F_INT4DIV, 0, &[b, int4(0)]), division_by_zero()),
        (op(F_INT4MOD, 0, &[b, int4(0)]), division_by_zero()),
        (function(F_INT2_INT4, &[b]), range("smallint")),
        (function(F_INT4_INT8, &[c]), range("integer")),
        (function(F_INT2_FLOAT8, &[float8(32767.5)]), range("smallint")),
        (function(F_INT4_FLOAT4, &[float4(f32::NAN)]), range("integer")),
        (function(F_INT8_FLOAT8, &[float8(9.3e18)]), range("bigint")),
    ] {
        assert_eq!(raised(table.predicate(null_test(node, 0))), error);
    }
    // A row with a NULL raises nothing, whatever lies below the NULL.
    let nulls = Int32Array::new(vec![0, i32::MIN].into(), Some(vec![true, false].into()));
    let table = Table::new(vec![Arc::new(nulls.clone()), Arc::new(nulls)]);
    let (a, b) = (var(1, INT4OID, -1), var(2, INT4OID, -1));
    for node in [
        op(F_INT4PL, 0, &[a, b]),
        op(F_INT4MUL, 0, &[a, int4(2)]),
        op(F_INT4UM, 0, &[a]),
        function(F_INT2_INT4, &[a]),
        op(F_INT4DIV, 0, &[null(INT4OID), a]),
    ] {
        assert!(table.predicate(null_test(node, 0)).is_ok());
    }
    assert_eq!(
        table.predicate(op(F_INT4EQ, 0, &[op(F_INT4MOD, 0, &[int4(i32::MIN), int4(-1)]), int4(0)])).expect("0"),
        [T, T]
    );
}

#[test]
fn floats() {
    let table = Table::new(vec![
        float8s(&[Some(1.5), Some(f64::INFINITY), Some(f64::NAN), None]),
        float4s(&[Some(0.5), Some(f32::INFINITY), Some(0.0), Some(1.0)]),
    ]);
    let (a, b) = (var(1, FLOAT8OID, -1), var(2, FLOAT4OID, -1));
    let equals = |node, value| table.predicate(op(F_FLOAT8EQ, 0, &[node, float8(value)])).expect("evaluates");
    assert_eq!(equals(op(F_FLOAT84PL, 0, &[a, b]), 2.0), [T, F, F, N]);
    assert_eq!(equals(op(F_FLOAT84MI, 0, &[a, b]), f64::NAN), [F, T, T, N]);
    assert_eq!(equals(op(F_FLOAT48MUL, 0, &[b, a]), 0.75), [T, F, F, N]);
    assert_eq!(equals(op(F_FLOAT84DIV, 0, &[a, b]), f64::NAN), [F, T, T, N], "NaN / 0 is NaN");
    assert_eq!(equals(op(F_FLOAT8UM, 0, &[a]), -1.5), [T, F, F, N]);
    assert_eq!(equals(function(F_FLOAT8_INT8, &[int8(i64::MAX)]), 9_223_372_036_854_775_807_i64 as f64), [T; 4]);
}

#[test]
fn floats_out_of_range() {
    let table = Table::new(vec![float8s(&[Some(1e200), None]), float4s(&[Some(1e-30), None])]);
    let (a, b) = (var(1, FLOAT8OID, -1), var(2, FLOAT4OID, -1));
    let error = |what: &str| ("22003".to_owned(), format!("value out of range: {what}"));
    for (node, expected) in [
        (op(F_FLOAT8MUL, 0, &[a, a]), error("overflow")),
        (op(F_FLOAT8PL, 0, &[float8(f64::MAX), float8(f64::MAX)]), error("overflow")),
        (op(F_FLOAT8MI, 0, &[float8(f64::MIN), float8(f64::MAX)]), error("overflow")),
        (op(F_FLOAT8DIV, 0, &[a, float8(1e-200)]), error("overflow")),
        (op(F_FLOAT4MUL, 0, &[b, b]), error("underflow")),
        (op(F_FLOAT8DIV, 0, &[float8(1e-300), a]), error("underflow")),
        (op(F_FLOAT8DIV, 0, &[a, float8(-0.0)]), division_by_zero()),
        (function(F_FLOAT4_FLOAT8, &[a]), error("overflow")),
        (function(F_FLOAT4_FLOAT8, &[float8(1e-60)]), error("underflow")),
    ] {
        assert_eq!(raised(table.predicate(null_test(node, 0))), expected);
    }
    let finite = op(F_FLOAT8DIV, 0, &[a, float8(f64::INFINITY)]);
    assert_eq!(table.predicate(op(F_FLOAT8EQ, 0, &[finite, float8(0.0)])).expect("evaluates"), [T, N]);
}

#[test]
fn numerics_are_exact() {
    let table = Table::new(vec![
        numerics(15, 2, &[Some(10_050), Some(-1), NAN, None]),
        numerics(4, 3, &[Some(500), Some(1), Some(1), Some(1)]),
    ]);
    let (a, b) = (var(1, NUMERICOID, numeric_typmod(15, 2)), var(2, NUMERICOID, numeric_typmod(4, 3)));
    let equals = |node, value| table.predicate(op(F_NUMERIC_EQ, 0, &[node, numeric_const(value)])).expect("evaluates");
    assert_eq!(equals(op(F_NUMERIC_ADD, 0, &[a, b]), "101"), [T, F, F, N]);
    assert_eq!(equals(op(F_NUMERIC_SUB, 0, &[b, a]), "0.011"), [F, T, F, N]);
    assert_eq!(equals(op(F_NUMERIC_MUL, 0, &[a, b]), "50.25"), [T, F, F, N]);
    assert_eq!(equals(op(F_NUMERIC_UMINUS, 0, &[a]), "NaN"), [F, F, T, N]);
    // The shape of TPC-H: price * (1 - discount).
    let discounted = op(F_NUMERIC_MUL, 0, &[a, op(F_NUMERIC_SUB, 0, &[numeric_const("1"), b])]);
    assert_eq!(equals(discounted, "50.25000"), [T, F, F, N]);
    assert_eq!(
        declined(&table, op(F_NUMERIC_EQ, 0, &[op(F_NUMERIC_DIV, 0, &[a, b]), numeric_const("1")])),
        format!("the operator with OID {} is not supported", 0)
    );
}

#[test]
fn casts_round_half_to_even() {
    let table = Table::new(vec![float8s(&[Some(0.5), Some(1.5), Some(-2.5), None])]);
    let cast = function(F_INT4_FLOAT8, &[var(1, FLOAT8OID, -1)]);
    let equals = |value| table.predicate(op(F_INT4EQ, 0, &[cast, int4(value)])).expect("evaluates");
    assert_eq!(equals(0), [T, F, F, N]);
    assert_eq!(equals(2), [F, T, F, N]);
    assert_eq!(equals(-2), [F, F, T, N]);
}
