//! AND, OR, NOT and tests of truth; and who is evaluated for which rows.

use std::result::Result;

use pg_sys::{BOOLOID, INT4OID};
use pgrx_pg_sys::*;

use super::*;
use crate::plan::testing::*;

const VALUES: [Option<bool>; 3] = [T, F, N];

/// All pairs of T, F and NULL.
fn truth_table() -> Table {
    let pairs: Vec<_> = VALUES.iter().flat_map(|a| VALUES.iter().map(|b| (*a, *b))).collect();
    let (a, b): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    // What divides by zero where the column is FALSE: 6 / 0, 6 / 1 and 6 / NULL.
    let divisor: Vec<_> = b.iter().map(|b| b.map(i32::from)).collect();
    Table::new(vec![bools(&a), bools(&b), int4s(&divisor)])
}

#[test]
fn three_valued() {
    let table = truth_table();
    let (a, b) = (var(1, BOOLOID, -1), var(2, BOOLOID, -1));
    assert_eq!(table.predicate(and(&[a, b])).expect("evaluates"), [T, F, N, F, F, F, N, F, N]);
    assert_eq!(table.predicate(or(&[a, b])).expect("evaluates"), [T, T, T, T, F, N, T, N, N]);
    assert_eq!(table.predicate(not(a)).expect("evaluates"), [F, F, F, T, T, T, N, N, N]);
    for (test, expected) in [
        (BoolTestType::IS_TRUE, [T, F, F]),
        (BoolTestType::IS_NOT_TRUE, [F, T, T]),
        (BoolTestType::IS_FALSE, [F, T, F]),
        (BoolTestType::IS_NOT_FALSE, [T, F, T]),
        (BoolTestType::IS_UNKNOWN, [F, F, T]),
        (BoolTestType::IS_NOT_UNKNOWN, [T, T, F]),
    ] {
        assert_eq!(table.predicate(boolean_test(b, test)).expect("evaluates")[..3], expected);
    }
    assert_eq!(table.predicate(null_test(b, NullTestType::IS_NULL)).expect("evaluates")[..3], [F, F, T]);
    assert_eq!(table.predicate(null_test(b, NullTestType::IS_NOT_NULL)).expect("evaluates")[..3], [T, T, F]);
}

/// The column `divisor`, as a boolean that raises where it is 0: true, an ERROR, NULL.
fn raising(divisor: i16) -> NodePtr {
    op(F_INT4EQ, 0, &[op(F_INT4DIV, 0, &[int4(6), var(divisor, INT4OID, -1)]), int4(6)])
}

/// As three-valued AND or OR over a and [`raising`], row by row, as PostgreSQL evaluates it.
fn expected(is_and: bool, a: Option<bool>, divisor: Option<i32>) -> Result<Option<bool>, ()> {
    if a == Some(!is_and) {
        return Ok(a);
    }
    match divisor {
        Some(0) => Err(()),
        Some(_) if is_and => Ok(a),
        Some(_) => Ok(T),
        None if a == Some(is_and) => Ok(N),
        None => Ok(N),
    }
}

#[test]
fn raising_operands_are_guarded() {
    let all = truth_table();
    let a = var(1, BOOLOID, -1);
    for is_and in [true, false] {
        let node = if is_and { and(&[a, raising(3)]) } else { or(&[a, raising(3)]) };
        let mut fine = vec![];
        for row in 0..all.0.num_rows() {
            let one = Table(all.0.slice(row, 1));
            let left = one.0.column(0).as_boolean().iter().next().flatten();
            let divisor = one.0.column(2).as_primitive::<arrow::datatypes::Int32Type>().iter().next().flatten();
            match expected(is_and, left, divisor) {
                Ok(result) => {
                    assert_eq!(one.predicate(node).expect("does not raise"), [result], "{is_and} {left:?} {divisor:?}");
                    fine.push((row as u32, result));
                }
                Err(()) => assert_eq!(raised(one.predicate(node)).0, "22012", "{is_and} {left:?} {divisor:?}"),
            }
        }
        // And together, with all the ways in which a batch can be mixed.
        for subset in 0..1u32 << fine.len() {
            let chosen: Vec<_> = (0..fine.len()).filter(|bit| subset & (1 << bit) != 0).map(|bit| fine[bit]).collect();
            let rows = arrow::array::UInt32Array::from_iter_values(chosen.iter().map(|(row, _)| *row));
            let batch = arrow::compute::take_record_batch(&all.0, &rows).expect("takes");
            let results: Vec<_> = chosen.iter().map(|(_, result)| *result).collect();
            assert_eq!(Table(batch).predicate(node).expect("does not raise"), results);
        }
    }
}

#[test]
fn guards_in_chains_and_nests() {
    // zero | flag: rows whose divisor is 0 are kept from the divisions by a test in front.
    let table = Table::new(vec![int4s(&[Some(0), Some(1), Some(2), None, Some(0)]), bools(&[T, F, T, T, N])]);
    let (divisor, flag) = (var(1, INT4OID, -1), var(2, BOOLOID, -1));
    let not_zero = op(F_INT4NE, 0, &[divisor, int4(0)]);
    let zero = op(F_INT4EQ, 0, &[divisor, int4(0)]);
    let division = op(F_INT4GT, 0, &[op(F_INT4DIV, 0, &[int4(6), divisor]), int4(3)]);
    let evaluate = |node| table.predicate(node).expect("does not raise");
    assert_eq!(evaluate(and(&[not_zero, division])), [F, T, F, N, F]);
    assert_eq!(evaluate(and(&[not_zero, flag, division, flag, division])), [F, F, F, N, F]);
    assert_eq!(evaluate(or(&[zero, division])), [T, T, F, N, T]);
    assert_eq!(evaluate(or(&[zero, and(&[flag, division]), flag])), [T, F, T, T, T]);
    assert_eq!(evaluate(not(and(&[not_zero, or(&[division, flag])]))), [T, F, F, N, T]);
    assert_eq!(evaluate(and(&[not_zero, or(&[and(&[not_zero, division]), division])])), [F, T, F, N, F]);
    // The other way round it raises, as PostgreSQL does.
    assert_eq!(raised(table.predicate(and(&[division, not_zero]))).0, "22012");
    assert_eq!(raised(table.predicate(or(&[not_zero, division]))).0, "22012");
}

#[test]
fn a_filter_stops_at_null() {
    let table = truth_table();
    let a = var(1, BOOLOID, -1);
    let translator = Translator::new(&FakeHost, &table);
    // SAFETY: the tests' nodes live for ever.
    let filter = |nodes: &[NodePtr]| unsafe { translator.conjunction(nodes) }.expect("has a translation");
    assert!(filter(&[]).is_none());
    let passing = |nodes: &[NodePtr]| {
        let expr = filter(nodes).expect("is a filter");
        table.booleans(&expr).map(|rows| rows.into_iter().map(|row| row == T).collect::<Vec<_>>())
    };
    // Only a = TRUE goes on; there the divisor must not be 0.
    let guard = op(F_INT4NE, 0, &[var(3, INT4OID, -1), int4(0)]);
    let only_first: Vec<_> = (0..9).map(|row| row == 0).collect();
    assert_eq!(passing(&[a, guard, raising(3)]).expect("does not raise"), only_first);
    assert_eq!(passing(&[a, guard]).expect("does not raise"), only_first);
    assert_eq!(raised(passing(&[a, raising(3)])).0, "22012");
    // PostgreSQL's executor does not evaluate the second clause where the first is NULL.
    let unknown = Table(table.0.slice(6, 3));
    let translator = Translator::new(&FakeHost, &unknown);
    // SAFETY: as above.
    let expr = unsafe { translator.conjunction(&[a, raising(3)]) }.expect("has a translation").expect("is a filter");
    assert!(unknown.booleans(&expr).expect("does not raise").iter().all(|row| *row != T));
}

#[test]
fn long_chains_stay_flat() {
    let table = Table::new(vec![int4s(&[Some(4_999), Some(5_000), None])]);
    let a = var(1, INT4OID, -1);
    let alternatives: Vec<_> = (0..5_000).map(|value| op(F_INT4EQ, 0, &[a, int4(value)])).collect();
    assert_eq!(table.predicate(or(&alternatives)).expect("evaluates"), [T, F, N]);
    // Each level of nesting doubles what a guarded operand takes.
    let mut nested = raising(1);
    for _ in 0..14 {
        nested = or(&[boolean_test(boolean(false), 0), and(&[boolean_test(boolean(true), 0), nested])]);
    }
    assert_eq!(declined(&table, nested), "a condition with so many operands that can raise is not supported");
    // The clauses of a filter do not nest, however many can raise.
    let clauses: Vec<_> = (0..2_000).map(|_| raising(1)).collect();
    // SAFETY: the nodes live for the whole test.
    let filter = unsafe { Translator::new(&FakeHost, &table).conjunction(&clauses) };
    let filter = filter.expect("is a filter").expect("has clauses");
    through_codec(&filter, &table.0.schema());
    let mut deep = op(F_INT4EQ, 0, &[a, int4(1)]);
    for _ in 0..600 {
        deep = not(deep);
    }
    assert_eq!(declined(&table, deep), "an expression is nested too deeply");
}
