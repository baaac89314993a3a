//! CASE, COALESCE, NULLIF, GREATEST, LEAST and IS DISTINCT FROM.

use std::result::Result;
use std::string::String;

use pg_sys::{BPCHAROID, DATEOID, FLOAT8OID, INT4OID, MinMaxOp::IS_GREATEST, MinMaxOp::IS_LEAST, NUMERICOID, TEXTOID};
use pgrx_pg_sys::*;

use super::*;
use arrow::array::BinaryArray;

use crate::plan::testing::*;
use crate::scan::numeric::{self, encode};

fn ints(result: Result<ArrayRef, Error>) -> Vec<Option<i32>> {
    result.expect("evaluates").as_primitive::<arrow::datatypes::Int32Type>().iter().collect()
}

fn strings(result: Result<ArrayRef, Error>) -> Vec<Option<String>> {
    result.expect("evaluates").as_string::<i32>().iter().map(|text| text.map(Into::into)).collect()
}

/// Of column 1: 0, 1, 2 and NULL; column 2: texts.
fn table() -> Table {
    Table::new(vec![
        int4s(&[Some(0), Some(1), Some(2), None]),
        texts(&[Some("a"), None, Some("c"), Some("d")]),
        int4s(&[Some(5), None, Some(2), None]),
    ])
}

/// 12 / column 1.
fn quotient() -> NodePtr {
    op(F_INT4DIV, 0, &[int4(12), var(1, INT4OID, -1)])
}

fn equals(left: NodePtr, right: NodePtr) -> NodePtr {
    op(F_INT4EQ, 0, &[left, right])
}

#[test]
fn branches_see_their_own_rows_only() {
    let (table, a) = (table(), var(1, INT4OID, -1));
    let guarded = case(None, &[(equals(a, int4(0)), int4(-1))], quotient());
    assert_eq!(ints(table.value(guarded)), [Some(-1), Some(12), Some(6), None]);
    let guarded = case(None, &[(op(F_INT4NE, 0, &[a, int4(0)]), quotient())], null(INT4OID));
    assert_eq!(ints(table.value(guarded)), [None, Some(12), Some(6), None]);
    // A condition is not evaluated for rows that an earlier one took.
    let later = case(None, &[(equals(a, int4(0)), int4(1)), (equals(quotient(), int4(12)), int4(2))], int4(3));
    assert_eq!(ints(table.value(later)), [Some(1), Some(2), Some(3), Some(3)]);
    let unguarded = case(None, &[(equals(quotient(), int4(12)), int4(2))], int4(3));
    assert_eq!(raised(table.value(unguarded)).0, "22012");
    // A constant branch that raises is not evaluated when the plan is made, nor where no row reaches it.
    let division = op(F_INT4DIV, 0, &[int4(1), int4(0)]);
    let never = case(None, &[(equals(a, int4(7)), division)], int4(1));
    assert_eq!(ints(table.value(never)), [Some(1); 4]);
    assert_eq!(raised(table.value(case(None, &[(equals(a, int4(2)), division)], int4(1)))).0, "22012");
    // As a condition, and around each other.
    let nested = case(None, &[(equals(a, int4(1)), guarded)], case(None, &[(equals(a, int4(0)), a)], int4(9)));
    assert_eq!(table.predicate(op(F_INT4GT, 0, &[nested, int4(8)])).expect("evaluates"), [F, T, T, T]);
    let flag = case(None, &[(equals(a, int4(1)), boolean(true))], null(BOOLOID));
    assert_eq!(table.predicate(and(&[flag, boolean(true)])).expect("evaluates"), [N, T, N, N]);
}

#[test]
fn simple_form() {
    let (table, a) = (table(), var(1, INT4OID, -1));
    let is = |value| equals(case_test(INT4OID), int4(value));
    let named = case(Some(a), &[(is(0), text("zero")), (is(2), text("two"))], var(2, TEXTOID, -1));
    let words = |values: [Option<&str>; 4]| values.map(|value| value.map(String::from));
    assert_eq!(strings(table.value(named)), words([Some("zero"), None, Some("two"), Some("d")]));
    // The argument of an inner CASE is its own.
    let inner = case(Some(var(3, INT4OID, -1)), &[(is(5), int4(50)), (is(2), int4(20))], int4(0));
    let outer = case(Some(a), &[(is(0), inner), (is(2), inner)], int4(-1));
    assert_eq!(ints(table.value(outer)), [Some(50), Some(-1), Some(20), Some(-1)]);
    let of_inner = case(Some(inner), &[(is(50), int4(1))], int4(2));
    assert_eq!(ints(table.value(of_inner)), [Some(1), Some(2), Some(2), Some(2)]);
    // The argument is evaluated for all rows, or else left alone.
    assert_eq!(raised(table.value(case(Some(quotient()), &[(is(6), int4(1))], int4(2)))).0, "22012");
    assert_eq!(
        refused(&table, case(Some(quotient()), &[(equals(a, int4(0)), int4(1))], int4(2))),
        "a CASE that may skip an expression that can raise is not supported"
    );
}

#[test]
fn results_look_alike() {
    let table =
        Table::new(vec![numerics(10, 2, &[Some(150), NAN, None]), numerics(5, 2, &[Some(7), Some(8), Some(9)])]);
    let (a, b) = (var(1, NUMERICOID, numeric_typmod(10, 2)), var(2, NUMERICOID, numeric_typmod(5, 2)));
    let present = null_test(a, NullTestType::IS_NOT_NULL);
    let expected = numerics(10, 2, &[Some(150), NAN, Some(9)]);
    assert_eq!(&table.value(case(None, &[(present, a)], b)).expect("evaluates"), &expected);
    assert_eq!(&table.value(coalesce(&[null(NUMERICOID), a, b])).expect("evaluates"), &expected);
    let zero = numerics(10, 2, &[Some(150), NAN, Some(0)]);
    assert_eq!(&table.value(coalesce(&[a, numeric_const("0.00")])).expect("evaluates"), &zero);
    // 0 and 0.00 are equal, but not the same to look at.
    let payload = |value, scale| encode(value, scale).payload().to_vec();
    let expected: ArrayRef =
        Arc::new(BinaryArray::from_iter_values([payload(150, 2), payload(numeric::NAN, 0), payload(0, 0)]));
    assert_eq!(&table.value(coalesce(&[a, numeric_const("0")])).expect("evaluates"), &expected);
    assert_eq!(&table.value(case(None, &[(present, a)], numeric_const("0"))).expect("evaluates"), &expected);
}

#[test]
fn coalesce_and_null_if() {
    let (table, a, c) = (table(), var(1, INT4OID, -1), var(3, INT4OID, -1));
    assert_eq!(ints(table.value(coalesce(&[c, a, int4(9)]))), [Some(5), Some(1), Some(2), Some(9)]);
    assert_eq!(ints(table.value(coalesce(&[c, a]))), [Some(5), Some(1), Some(2), None]);
    // The division by zero is in the first row, which is done before.
    assert_eq!(ints(table.value(coalesce(&[c, quotient()]))), [Some(5), Some(12), Some(2), None]);
    assert_eq!(raised(table.value(coalesce(&[quotient(), c]))).0, "22012");
    assert_eq!(ints(table.value(null_if(F_INT4EQ, 0, &[a, c]))), [Some(0), Some(1), None, None]);
    assert_eq!(ints(table.value(null_if(F_INT48EQ, 0, &[a, int8(1)]))), [Some(0), None, Some(2), None]);
    assert_eq!(ints(table.value(null_if(F_INT4EQ, 0, &[a, null(INT4OID)]))), [Some(0), Some(1), Some(2), None]);
    let guarded = op(F_INT4DIV, 0, &[int4(12), null_if(F_INT4EQ, 0, &[a, int4(0)])]);
    assert_eq!(ints(table.value(guarded)), [None, Some(12), Some(6), None]);
    // char(n) equals without its blanks, but stays as it is.
    let padded = Table::new(vec![texts(&[Some("a  "), Some("b  ")])]);
    let b = null_if(F_BPCHAREQ, DEFAULT_COLLATION, &[var(1, BPCHAROID, 7), bpchar_const("a")]);
    assert_eq!(strings(padded.value(b)), [None, Some("b  ".into())]);
    assert_eq!(
        refused(&padded, null_if(F_BPCHAREQ, NONDETERMINISTIC_COLLATION, &[bpchar_const("a"), bpchar_const("a")])),
        "text equality under a nondeterministic collation is not supported"
    );
}

#[test]
fn distinct_from() {
    let (table, a, c) = (table(), var(1, INT4OID, -1), var(3, INT4OID, -1));
    assert_eq!(table.predicate(distinct(F_INT4EQ, 0, &[a, c])).expect("evaluates"), [T, T, F, F]);
    assert_eq!(table.predicate(not(distinct(F_INT48EQ, 0, &[a, int8(1)]))).expect("evaluates"), [F, T, F, F]);
    assert_eq!(raised(table.predicate(distinct(F_INT4EQ, 0, &[quotient(), c]))).0, "22012");
    let words = distinct(F_TEXTEQ, DEFAULT_COLLATION, &[var(2, TEXTOID, -1), text("c")]);
    assert_eq!(table.predicate(words).expect("evaluates"), [T, T, F, T]);
    let negative_nan = f64::from_bits(f64::NAN.to_bits() | 1 << 63);
    let floats = Table::new(vec![
        float8s(&[Some(0.0), Some(f64::NAN), None, None]),
        float8s(&[Some(-0.0), Some(negative_nan), Some(1.0), None]),
    ]);
    let node = distinct(F_FLOAT8EQ, 0, &[var(1, FLOAT8OID, -1), var(2, FLOAT8OID, -1)]);
    assert_eq!(floats.predicate(node).expect("evaluates"), [F, F, T, F]);
}

#[test]
fn greatest_and_least() {
    let (table, a, c) = (table(), var(1, INT4OID, -1), var(3, INT4OID, -1));
    let greatest = |typid, args: &[NodePtr]| min_max(IS_GREATEST, typid, C_COLLATION, args);
    let least = |typid, args: &[NodePtr]| min_max(IS_LEAST, typid, C_COLLATION, args);
    assert_eq!(ints(table.value(greatest(INT4OID, &[a, c, int4(1)]))), [Some(5), Some(1), Some(2), Some(1)]);
    assert_eq!(ints(table.value(least(INT4OID, &[a, c]))), [Some(0), Some(1), Some(2), None]);
    assert_eq!(ints(table.value(least(INT4OID, &[int4(4), int4(3), null(INT4OID)]))), [Some(3); 4]);
    let dates = [by_value(DATEOID, i32::MAX as u64), var(3, DATEOID, -1)];
    assert_eq!(ints(table.value(greatest(DATEOID, &dates))), [Some(i32::MAX); 4]);
    // Each argument is evaluated, whatever the others are.
    assert_eq!(raised(table.value(greatest(INT4OID, &[int4(100), quotient()]))).0, "22012");
    let words = least(TEXTOID, &[var(2, TEXTOID, -1), text("b")]);
    assert_eq!(strings(table.value(words)), ["a", "b", "b", "b"].map(|word| Some(word.to_string())));
    assert_eq!(
        refused(&table, min_max(IS_LEAST, TEXTOID, DEFAULT_COLLATION, &[var(2, TEXTOID, -1), text("b")])),
        "text order under a collation other than C is not supported"
    );
    // NaN is the greatest; of 0 and -0 the first is taken.
    let floats = Table::new(vec![
        float8s(&[Some(0.0), Some(-0.0), Some(f64::NAN), Some(1.0), None]),
        float8s(&[Some(-0.0), Some(0.0), Some(1.0), Some(f64::NAN), Some(f64::NAN)]),
    ]);
    let both = [var(1, FLOAT8OID, -1), var(2, FLOAT8OID, -1)];
    let bits = |node| -> Vec<u64> {
        let value = floats.value(node).expect("evaluates");
        value.as_primitive::<arrow::datatypes::Float64Type>().values().iter().map(|value| value.to_bits()).collect()
    };
    let expected = |values: [f64; 5]| values.map(f64::to_bits);
    assert_eq!(bits(greatest(FLOAT8OID, &both)), expected([0.0, -0.0, f64::NAN, f64::NAN, f64::NAN]));
    assert_eq!(bits(least(FLOAT8OID, &both)), expected([0.0, -0.0, 1.0, 1.0, f64::NAN]));
    let numbers =
        Table::new(vec![numerics(5, 1, &[Some(15), NAN, None]), numerics(6, 1, &[Some(-15), Some(1), Some(2)])]);
    let both = [var(1, NUMERICOID, numeric_typmod(5, 1)), var(2, NUMERICOID, numeric_typmod(6, 1))];
    let expected = numerics(6, 1, &[Some(15), NAN, Some(2)]);
    assert_eq!(&numbers.value(greatest(NUMERICOID, &both)).expect("evaluates"), &expected);
    let expected = numerics(6, 1, &[Some(-15), Some(1), Some(2)]);
    assert_eq!(&numbers.value(least(NUMERICOID, &both)).expect("evaluates"), &expected);
}

#[test]
fn a_case_has_variables_everywhere() {
    let vars = [1, 2, 3, 4, 5].map(|attno| var(attno, INT4OID, -1));
    let node = case(
        Some(vars[0]),
        &[(equals(case_test(INT4OID), vars[1]), coalesce(&[vars[2], int4(1)]))],
        min_max(IS_LEAST, INT4OID, 0, &[vars[3], null_if(F_INT4EQ, 0, &[vars[4], int4(0)])]),
    );
    // SAFETY: the nodes live for ever.
    let found = unsafe { crate::plan::expressions::variables(node) }.expect("is understood");
    assert_eq!(found.into_iter().map(|var| var.varattno).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn deep_nests_are_declined() {
    let a = var(1, INT4OID, -1);
    let nest = |depth| (0..depth).fold(a, |inner, level| case(None, &[(equals(a, int4(level)), int4(level))], inner));
    translated(&table(), equals(nest(7), int4(1)));
    assert_eq!(declined(&table(), equals(nest(9), int4(1))), "a CASE that is so large or deep is not supported");
}
