//! Numerics of 39 to 76 digits: what PostgreSQL 15 answers, to the last digit.

use std::string::String;

use arrow::datatypes::{Float64Type, Int64Type};
use pg_sys::MinMaxOp::{IS_GREATEST, IS_LEAST};
use pg_sys::NUMERICOID;
use pgrx_pg_sys::*;

use super::comparisons::check_key;
use super::*;
use crate::plan::expressions::AnyColumns;
use crate::plan::testing::*;
use crate::plan::types::{NUMERIC_INFINITY, NUMERIC_NEGATIVE_INFINITY};

const MOST: i128 = 10i128.pow(38) - 1;

fn numeric(attno: i16, precision: i32, scale: i32) -> NodePtr {
    var(attno, NUMERICOID, numeric_typmod(precision, scale))
}

fn call(function: u32, left: NodePtr, right: NodePtr) -> NodePtr {
    op(function, 0, &[left, right])
}

/// Three columns, two of 38 digits and one of few, with what is on the edge.
fn edges() -> (Table, [NodePtr; 3]) {
    let table = Table::new(vec![
        numerics(38, 0, &[Some(MOST), Some(-MOST), Some(0), NAN, Some(3), Some(NUMERIC_INFINITY), None]),
        numerics(
            38,
            10,
            &[Some(MOST), Some(MOST), Some(-1), Some(1), Some(-5), Some(NUMERIC_NEGATIVE_INFINITY), Some(1)],
        ),
        numerics(4, 2, &[Some(9999), Some(-9999), Some(25), Some(1), Some(2), Some(0), Some(7)]),
    ]);
    (table, [numeric(1, 38, 0), numeric(2, 38, 10), numeric(3, 4, 2)])
}

fn check(table: &Table, node: NodePtr, precision: u8, scale: i8, expected: &[Option<&str>]) {
    assert_eq!(&table.value(node).expect("evaluates"), &wide_numerics(precision, scale, expected));
}

#[test]
fn the_charge_of_tpc_h() {
    let most = 999_999_999_999_999;
    let table = Table::new(vec![
        numerics(15, 2, &[Some(2_116_823), Some(most), Some(-most), NAN, None, Some(1)]),
        numerics(15, 2, &[Some(4), Some(-most), Some(-most), Some(1), Some(1), Some(100)]),
        numerics(15, 2, &[Some(2), Some(most), Some(most), Some(1), Some(1), Some(0)]),
    ]);
    let [price, discount, tax] = [1, 2, 3].map(|attno| numeric(attno, 15, 2));
    let one = || numeric_const("1");
    let charge = call(
        F_NUMERIC_MUL,
        call(F_NUMERIC_MUL, price, call(F_NUMERIC_SUB, one(), discount)),
        call(F_NUMERIC_ADD, one(), tax),
    );
    let most = "1000000000000197000000000009602999999999990199";
    let least = format!("-{most}");
    let expected = [Some("20727930816"), Some(most), Some(&least), Some("NaN"), None, Some("0")];
    check(&table, charge, 47, 6, &expected);
    // The common case alone, which takes another way than one with NaN.
    let first = Table(table.0.slice(0, 1));
    check(&first, charge, 47, 6, &expected[..1]);
    // The planner's question is answered alike.
    let condition = call(F_NUMERIC_GT, charge, one());
    translated(&AnyColumns { host: &FakeHost }, condition);
    assert_eq!(table.predicate(condition).expect("evaluates"), [T, T, F, T, N, F]);
}

#[test]
fn products_sums_and_signs() {
    let (table, [a, b, c]) = edges();
    check(
        &table,
        call(F_NUMERIC_MUL, a, b),
        76,
        10,
        &[
            Some("9999999999999999999999999999999999999800000000000000000000000000000000000001"),
            Some("-9999999999999999999999999999999999999800000000000000000000000000000000000001"),
            Some("0"),
            Some("NaN"),
            Some("-15"),
            Some("-Infinity"),
            None,
        ],
    );
    let product = call(F_NUMERIC_MUL, a, c);
    let expected = [
        Some("999899999999999999999999999999999999990001"),
        Some("999899999999999999999999999999999999990001"),
        Some("0"),
        Some("NaN"),
        Some("6"),
        Some("NaN"),
        None,
    ];
    check(&table, product, 42, 2, &expected);
    let negative = |value: &str| match value {
        "0" | "NaN" => value.to_owned(),
        value => value.strip_prefix('-').map_or(format!("-{value}"), String::from),
    };
    let negated: Vec<_> = expected.iter().map(|value| value.map(negative)).collect();
    let negated: Vec<_> = negated.iter().map(Option::as_deref).collect();
    let minus = op(F_NUMERIC_UMINUS, 0, &[product]);
    check(&table, minus, 42, 2, &negated);
    check(&table, function(F_ABS_NUMERIC, &[minus]), 42, 2, &expected);
    check(
        &table,
        call(F_NUMERIC_SUB, a, b),
        49,
        10,
        &[
            Some("999999999899999999999999999999999999990000000001"),
            Some("-1000000000099999999999999999999999999989999999999"),
            Some("1"),
            Some("NaN"),
            Some("30000000005"),
            Some("Infinity"),
            None,
        ],
    );
    // Wide on either side, and on both.
    let first = Table(table.0.slice(0, 1));
    for (node, expected) in [
        (call(F_NUMERIC_ADD, product, c), "999900000000000000000000000000000000000000"),
        (call(F_NUMERIC_ADD, c, product), "999900000000000000000000000000000000000000"),
        (call(F_NUMERIC_SUB, product, product), "0"),
    ] {
        check(&first, node, 43, 2, &[Some(expected)]);
    }
    let large = call(F_NUMERIC_MUL, c, numeric_const("100000000000000000000000000000"));
    let product = call(F_NUMERIC_MUL, product, large);
    check(&Table(table.0.slice(4, 1)), product, 76, 4, &[Some("1200000000000000000000000000000")]);
}

#[test]
fn infinities() {
    let special = [NUMERIC_INFINITY, NUMERIC_NEGATIVE_INFINITY, NUMERIC_NAN, 0, 2];
    let pairs: Vec<_> = special.iter().flat_map(|left| special.map(|right| (Some(*left), Some(right)))).collect();
    let (left, right): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let table = Table::new(vec![numerics(38, 0, &left), numerics(38, 1, &right)]);
    let (a, b) = (numeric(1, 38, 0), numeric(2, 38, 1));
    // A row for each left operand.
    let (inf, neg, nan) = ("Infinity", "-Infinity", "NaN");
    #[rustfmt::skip]
    let sum = [
        inf, nan, nan, inf, inf,
        nan, neg, nan, neg, neg,
        nan, nan, nan, nan, nan,
        inf, neg, nan, "0", "2",
        inf, neg, nan, "20", "22",
    ];
    check(&table, call(F_NUMERIC_ADD, a, b), 40, 1, &sum.map(Some));
    #[rustfmt::skip]
    let difference = [
        nan, inf, nan, inf, inf,
        neg, nan, nan, neg, neg,
        nan, nan, nan, nan, nan,
        neg, inf, nan, "0", "-2",
        neg, inf, nan, "20", "18",
    ];
    check(&table, call(F_NUMERIC_SUB, a, b), 40, 1, &difference.map(Some));
    #[rustfmt::skip]
    let product = [
        inf, neg, nan, nan, inf,
        neg, inf, nan, nan, neg,
        nan, nan, nan, nan, nan,
        nan, nan, nan, "0", "0",
        inf, neg, nan, "0", "4",
    ];
    check(&table, call(F_NUMERIC_MUL, a, b), 76, 1, &product.map(Some));
}

#[test]
fn comparisons() {
    let (table, [a, b, c]) = edges();
    let product = call(F_NUMERIC_MUL, a, c);
    let test = |function, right| table.predicate(call(function, product, right)).expect("evaluates");
    assert_eq!(test(F_NUMERIC_GT, a), [T, T, F, F, F, T, N]);
    assert_eq!(test(F_NUMERIC_EQ, numeric_const("0.06000")), [F, F, F, F, T, F, N]);
    assert_eq!(test(F_NUMERIC_LE, product), [T, T, T, T, T, T, N]);
    assert_eq!(test(F_NUMERIC_LT, numeric_const("Infinity")), [T, T, T, F, T, F, N]);
    assert_eq!(test(F_NUMERIC_EQ, numeric_const("NaN")), [F, F, F, T, F, T, N]);
    // Of more than 76 digits together.
    let places = numeric_const("0.0000000000000000000000000000000000001");
    assert_eq!(test(F_NUMERIC_GE, places), [T, T, F, T, T, T, N]);
    // Two narrow ones that only a wide type holds.
    let wide = table.predicate(call(F_NUMERIC_EQ, a, b)).expect("evaluates");
    assert_eq!(wide, [F, F, F, F, F, F, N]);
    let list: Vec<_> = ["NaN", "0.06", "0.5"].iter().map(|value| Some(varlena(&numeric_payload(value)))).collect();
    let list = array(NUMERICOID, NUMERICARRAYOID, 4, &list);
    let found = table.predicate(array_op(F_NUMERIC_EQ, true, 0, product, list)).expect("evaluates");
    assert_eq!(found, [F, F, F, T, T, T, N]);
    let distinct_from = distinct(F_NUMERIC_EQ, 0, &[product, numeric_const("0")]);
    assert_eq!(table.predicate(distinct_from).expect("evaluates"), [T, T, F, T, T, T, T]);
}

#[test]
fn keys() {
    let (left, [a, b, c]) = edges();
    let product = || call(F_NUMERIC_MUL, a, c);
    let right = Table::new(vec![numerics(38, 2, &[Some(MOST), Some(0), Some(0), NAN, Some(6), NAN, Some(1)])]);
    check_key(call(F_NUMERIC_EQ, product(), numeric(1, 38, 2)), &left, &right, &[F, F, T, T, T, T, N]);
    check_key(call(F_NUMERIC_EQ, product(), product()), &left, &left, &[T, T, T, T, T, T, N]);
    // Beside a numeric of any scale, all are bytes.
    let free = ["9998999999999999999999999999999999999900.01", "0", "0.000", "NaN", "0.0600", "NaN", "1"];
    let right = Table::new(vec![free_numerics(&free.map(Some))]);
    check_key(call(F_NUMERIC_EQ, product(), var(1, NUMERICOID, -1)), &left, &right, &[T, F, T, T, T, T, N]);
    check_key(call(F_NUMERIC_EQ, a, b), &left, &left, &[F, F, F, F, F, F, N]);
}

#[test]
fn choices() {
    let (table, [a, _, c]) = edges();
    let product = call(F_NUMERIC_MUL, a, c);
    let first = Some("999899999999999999999999999999999999990001");
    let (nan, zero) = (Some("NaN"), Some("0"));
    check(&table, coalesce(&[product, c]), 42, 2, &[first, first, zero, nan, Some("6"), nan, Some("7")]);
    let greatest = min_max(IS_GREATEST, NUMERICOID, 0, &[c, product]);
    check(&table, greatest, 42, 2, &[first, first, Some("25"), nan, Some("6"), nan, Some("7")]);
    let least = min_max(IS_LEAST, NUMERICOID, 0, &[c, product]);
    check(&table, least, 42, 2, &[Some("9999"), Some("-9999"), Some("0"), Some("1"), Some("2"), Some("0"), Some("7")]);
    let none = null_if(F_NUMERIC_EQ, 0, &[product, numeric_const("0")]);
    check(&table, none, 42, 2, &[first, first, None, nan, Some("6"), nan, None]);
    let positive = call(F_NUMERIC_GT, c, numeric_const("0.05"));
    let chosen = case(None, &[(positive, product)], null(NUMERICOID));
    check(&table, chosen, 42, 2, &[first, None, Some("0"), None, None, None, None]);
    let relabelled = relabel(product, NUMERICOID);
    assert_eq!(&table.value(relabelled).expect("evaluates"), &table.value(product).expect("evaluates"));
}

#[test]
fn roundings_and_casts() {
    let (table, [a, b, c]) = edges();
    let product = call(F_NUMERIC_MUL, a, c);
    let round = |places| function(F_ROUND_NUMERIC_INT4, &[product, int4(places)]);
    let (first, nan) = ("9998999999999999999999999999999999999900", Some("NaN"));
    check(&table, round(0), 41, 0, &[Some(first), Some(first), Some("0"), nan, Some("0"), nan, None]);
    let tenth = format!("{first}0");
    let tenth = tenth.as_str();
    check(&table, round(1), 42, 1, &[Some(tenth), Some(tenth), Some("0"), nan, Some("1"), nan, None]);
    let ceil = function(F_CEIL_NUMERIC, &[product]);
    let up = "9998999999999999999999999999999999999901";
    check(&table, ceil, 41, 0, &[Some(up), Some(up), Some("0"), nan, Some("1"), nan, None]);
    // To fewer digits than it came with, and to more.
    let fraction = call(F_NUMERIC_MUL, c, b);
    let floor = table.value(function(F_FLOOR_NUMERIC, &[fraction])).expect("evaluates");
    let most = 999_899_999_999_999_999_999_999_999_999;
    assert_eq!(&floor, &numerics(31, 0, &[Some(most), Some(-most - 1), Some(-1), Some(0), Some(-1), NAN, Some(0)]));
    let more = function(F_TRUNC_NUMERIC_INT4, &[c, int4(60)]);
    let zeros = "0".repeat(58);
    let expected = ["9999", "-9999", "25", "1", "2", "0", "7"].map(|digits| match digits {
        "0" => digits.to_owned(),
        digits => format!("{digits}{zeros}"),
    });
    check(&table, more, 62, 60, &expected.each_ref().map(|digits| Some(digits.as_str())));
    let floats = table.value(function(F_FLOAT8_NUMERIC, &[product])).expect("evaluates");
    let found: Vec<_> = floats.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect();
    let large = Some(9.999e39f64.to_bits());
    let nan = Some(f64::NAN.to_bits());
    assert_eq!(found, [large, large, Some(0), nan, Some(0.06f64.to_bits()), nan, None]);
    let small = Table(table.0.slice(2, 1));
    let integer = small.value(function(F_INT8_NUMERIC, &[product])).expect("evaluates");
    assert_eq!(integer.as_primitive::<Int64Type>().values(), &[0]);
    let errors = table.errors(function(F_INT4_NUMERIC, &[product]));
    assert_eq!(errors[0], Some(("22003".into(), "integer out of range".into())));
    assert_eq!(errors[3], Some(("0A000".into(), "cannot convert NaN to integer".into())));
}

#[test]
fn what_needs_more_digits() {
    let (table, [a, b, c]) = edges();
    let reason = "numeric arithmetic that may need more than 76 digits is not supported";
    let product = call(F_NUMERIC_MUL, a, b);
    assert_eq!(refused(&table, call(F_NUMERIC_MUL, product, c)), reason);
    assert_eq!(refused(&table, call(F_NUMERIC_ADD, product, c)), reason);
    // It compares, all the same.
    let test = |function, node| table.predicate(call(function, node, a)).expect("evaluates");
    assert_eq!(test(F_NUMERIC_LT, op(F_NUMERIC_UMINUS, 0, &[product])), [T, F, F, F, T, F, N]);
}
