//! What is no expression for a plan, and what is found in one.

use pg_sys::{BOOLOID, CSTRINGOID, INT4OID, JSONBOID, NUMERICOID, RECORDOID, TEXTOID};
use pgrx_pg_sys::*;

use super::*;
use crate::plan::expressions::{AnyColumns, variables};
use crate::plan::testing::*;

#[test]
fn planner_checks_need_no_batch() {
    let any = &AnyColumns { host: &FakeHost };
    let column = var(7, TEXTOID, -1);
    translated(any, op(F_TEXTEQ, DEFAULT_COLLATION, &[column, text("x")]));
    translated(any, array_op(F_INT4EQ, true, 0, var(3, INT4OID, -1), int4_array(&[Some(1), None])));
    let outer = pg_sys::Var { varlevelsup: 1, ..copy(column) };
    for (node, reason) in [
        (std::ptr::from_ref(&outer).cast(), "a column of an outer query is not supported"),
        (var(0, BOOLOID, -1), "a whole-row reference is not supported"),
        (var(-1, BOOLOID, -1), "a system column is not supported"),
        (var(1, RECORDOID, -1), "type with OID 2249 is not supported"),
        (null(CSTRINGOID), "type with OID 2275 is not supported"),
        (var(1, JSONBOID, -1), "a condition that is not boolean is not supported"),
        (op(F_NUMERIC_ADD, 0, &[var(1, NUMERICOID, -1), int4(1)]), "arithmetic of these types is not supported"),
        (int4(1), "a condition that is not boolean is not supported"),
        (std::ptr::null(), "an empty expression is not supported"),
        (op(F_TEXTREGEXEQ, DEFAULT_COLLATION, &[column, column]), "the operator with OID 0 is not supported"),
        (function(F_INITCAP, &[column]), "the function with OID 872 is not supported"),
        (
            collated(F_LOWER_TEXT, DEFAULT_COLLATION, &[column]),
            "a change of case under a collation other than C is not supported",
        ),
        (case_test(BOOLOID), "a value of an unknown CASE is not supported"),
        (unfinished_op(1, &[column]), "the operator with OID 1 is not supported"),
        (op(F_INT4EQ, 0, &[int4(1)]), "a function was called with an unexpected number of arguments"),
        (op(F_INT4EQ, 0, &[int4(1), text("1")]), "a comparison of these types is not supported"),
        (relabel(int4(1), OIDOID), "a cast to the type with OID 26 is not supported"),
        (by_reference(TEXTOID, varlena(&[0xff])), "a text constant that is not UTF-8 is not supported"),
    ] {
        assert_eq!(declined(any, node), reason);
    }
    for (tag, reason) in
        [(NodeTag::T_Param, "a parameter is not supported"), (NodeTag::T_RowExpr, "a row constructor is not supported")]
    {
        let node = pg_sys::Node { type_: tag };
        assert_eq!(declined(any, &node), reason);
    }
}

fn copy(node: NodePtr) -> pg_sys::Var {
    // SAFETY: the test made it a Var.
    unsafe { *node.cast() }
}

#[test]
fn malformed_arrays_are_declined() {
    for bytes in [vec![], vec![1, 0, 0, 0], vec![9, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0], {
        let mut huge = vec![1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0];
        huge.extend(i32::MAX.to_le_bytes());
        huge.extend([1, 0, 0, 0]);
        huge
    }] {
        let array = by_reference(INT4ARRAYOID, varlena(&bytes));
        let node = array_op(F_INT4EQ, true, 0, var(1, INT4OID, -1), array);
        assert_eq!(declined(&AnyColumns { host: &FakeHost }, node), "a malformed array constant is not supported");
    }
}

#[test]
fn variables_are_found_in_order() {
    let (a, b, c) = (var(1, INT4OID, -1), var(2, INT4OID, -1), var(3, BOOLOID, -1));
    let node = or(&[
        not(op(F_INT4EQ, 0, &[a, op(F_INT4PL, 0, &[b, int4(1)])])),
        null_test(a, NullTestType::IS_NULL),
        boolean_test(c, BoolTestType::IS_TRUE),
        array_op(F_INT4EQ, true, 0, b, int4_array(&[Some(1)])),
    ]);
    // SAFETY: the tests' nodes live for ever.
    let found = unsafe { variables(node) }.expect("all is supported");
    assert_eq!(found.iter().map(|var| var.varattno).collect::<Vec<_>>(), [1, 2, 1, 3, 2]);
    let unsupported = op(F_TEXTREGEXEQ, 0, &[a, b]);
    // SAFETY: as above.
    assert!(unsafe { variables(unsupported) }.is_err());
}
