//! What is no expression for a plan, and what is found in one.

use pg_sys::{BOOLOID, INT4OID, JSONBOID, NUMERICOID, TEXTOID, UUIDOID};
use pgrx_pg_sys::*;

use super::*;
use crate::plan::expressions::{AnyColumns, variables};
use crate::plan::testing::*;

#[test]
fn planner_checks_need_no_batch() {
    let any = &AnyColumns;
    let column = var(7, TEXTOID, -1);
    translated(any, op(F_TEXTEQ, DEFAULT_COLLATION, &[column, text("x")]));
    translated(any, array_op(F_INT4EQ, true, 0, var(3, INT4OID, -1), int4_array(&[Some(1), None])));
    let outer = pg_sys::Var { varlevelsup: 1, ..copy(column) };
    for (node, reason) in [
        (std::ptr::from_ref(&outer).cast(), "a column of an outer query is not supported"),
        (var(0, BOOLOID, -1), "a whole-row reference is not supported"),
        (var(-1, BOOLOID, -1), "a system column is not supported"),
        (var(1, JSONBOID, -1), "type jsonb is not supported"),
        (var(1, NUMERICOID, -1), "type numeric without a declared precision is not supported"),
        (null(UUIDOID), "type uuid is not supported"),
        (int4(1), "a condition that is not boolean is not supported"),
        (std::ptr::null(), "an empty expression is not supported"),
        (op(F_TEXTCAT, DEFAULT_COLLATION, &[column, column]), "the operator with OID 0 is not supported"),
        (function(F_LOWER_TEXT, &[column]), "the function with OID 870 is not supported"),
        (unfinished_op(1, &[column]), "the operator with OID 1 is not supported"),
        (op(F_INT4EQ, 0, &[int4(1)]), "a function was called with an unexpected number of arguments"),
        (op(F_INT4EQ, 0, &[int4(1), text("1")]), "a comparison of these types is not supported"),
        (relabel(int4(1), OIDOID), "a cast to the type with OID 26 is not supported"),
        (by_reference(TEXTOID, varlena(&[0xff])), "a text constant that is not UTF-8 is not supported"),
    ] {
        assert_eq!(declined(any, node), reason);
    }
    for (tag, reason) in [
        (NodeTag::T_Param, "a parameter is not supported"),
        (NodeTag::T_CaseExpr, "CASE is not supported"),
        (NodeTag::T_DistinctExpr, "IS DISTINCT FROM is not supported"),
    ] {
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
        assert_eq!(declined(&AnyColumns, node), "a malformed array constant is not supported");
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
    let unsupported = op(F_TEXTCAT, 0, &[a, b]);
    // SAFETY: as above.
    assert!(unsafe { variables(unsupported) }.is_err());
}
