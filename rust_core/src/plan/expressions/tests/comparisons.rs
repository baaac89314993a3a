//! Comparisons, join keys, IN and LIKE.

use arrow::compute::kernels::cmp;
use datafusion::common::hash_utils::create_hashes;
use pg_sys::{
    BOOLOID, BPCHAROID, DATEOID, FLOAT4OID, FLOAT8OID, INT2OID, INT4OID, INT8OID, NUMERICOID, OIDOID, TEXTOID,
    TIMESTAMPOID,
};
use pgrx_pg_sys::*;

use super::*;
use crate::plan::expressions::key;
use crate::plan::testing::*;

/// Operator functions of a type: =, <>, <, <=, >, >=.
pub(super) fn all_six(
    functions: [u32; 6],
    left: NodePtr,
    right: NodePtr,
    collation: u32,
    table: &Table,
) -> [Vec<Option<bool>>; 6] {
    functions.map(|function| table.predicate(op(function, collation, &[left, right])).expect("nothing raises"))
}

/// The six results that follow from the order of each row: -1, 0, 1 or None.
pub(super) fn expected(order: &[Option<i32>]) -> [Vec<Option<bool>>; 6] {
    let each = |test: fn(i32) -> bool| order.iter().map(|order| order.map(test)).collect();
    [each(|o| o == 0), each(|o| o != 0), each(|o| o < 0), each(|o| o <= 0), each(|o| o > 0), each(|o| o >= 0)]
}

#[test]
fn integers_of_all_widths() {
    let table = Table::new(vec![
        int2s(&[Some(1), Some(-5), None, Some(7)]),
        int4s(&[Some(1), Some(70_000), Some(1), Some(6)]),
        int8s(&[Some(2), Some(70_000), None, Some(i64::MIN)]),
    ]);
    let (a, b, c) = (var(1, INT2OID, -1), var(2, INT4OID, -1), var(3, INT8OID, -1));
    let int24 = [F_INT24EQ, F_INT24NE, F_INT24LT, F_INT24LE, F_INT24GT, F_INT24GE];
    assert_eq!(all_six(int24, a, b, 0, &table), expected(&[Some(0), Some(-1), None, Some(1)]));
    let int48 = [F_INT48EQ, F_INT48NE, F_INT48LT, F_INT48LE, F_INT48GT, F_INT48GE];
    assert_eq!(all_six(int48, b, c, 0, &table), expected(&[Some(-1), Some(0), None, Some(1)]));
    let int82 = [F_INT82EQ, F_INT82NE, F_INT82LT, F_INT82LE, F_INT82GT, F_INT82GE];
    assert_eq!(all_six(int82, c, a, 0, &table), expected(&[Some(1), Some(1), None, Some(-1)]));
    // A constant that fits leaves the column alone; one that does not, and NULL, are right all the same.
    assert_eq!(all_six(int48, b, int8(6), 0, &table), expected(&[Some(-1), Some(1), Some(-1), Some(0)]));
    assert_eq!(all_six(int48, b, int8(1 << 40), 0, &table), expected(&[Some(-1); 4]));
    assert_eq!(all_six(int48, b, null(INT8OID), 0, &table), expected(&[None; 4]));
    assert_eq!(translated(&table, op(F_INT48LT, 0, &[b, int8(6)])).to_string(), "c1@1 < 6");
    assert_eq!(all_six(int48, int4(3), int8(3), 0, &table), expected(&[Some(0); 4]));
    // Found by operator when there is no function yet.
    assert_eq!(table.predicate(unfinished_op(15, &[b, c])).expect("evaluates"), [F, T, N, F]);
}

#[test]
fn floats_with_nan_and_zeros() {
    let negative_nan = f64::from_bits(f64::NAN.to_bits() | 1 << 63);
    let (left, right): (Vec<_>, Vec<_>) = [
        (0.0, -0.0),
        (f64::NAN, negative_nan),
        (negative_nan, 1.0),
        (f64::NAN, f64::INFINITY),
        (1.0, negative_nan),
        (f64::NEG_INFINITY, negative_nan),
        (1.5, 1.5),
        (-1.0, -0.0),
    ]
    .into_iter()
    .map(|(left, right)| (Some(left), Some(right)))
    .unzip();
    let narrow: Vec<_> = right.iter().map(|value| value.map(|value: f64| value as f32)).collect();
    let order = [0, 0, 1, 1, -1, -1, 0, -1].map(Some);
    let table = Table::new(vec![float8s(&left), float8s(&right), float4s(&narrow)]);
    let (a, b, c) = (var(1, FLOAT8OID, -1), var(2, FLOAT8OID, -1), var(3, FLOAT4OID, -1));
    let float8_ops = [F_FLOAT8EQ, F_FLOAT8NE, F_FLOAT8LT, F_FLOAT8LE, F_FLOAT8GT, F_FLOAT8GE];
    assert_eq!(all_six(float8_ops, a, b, 0, &table), expected(&order));
    let float84_ops = [F_FLOAT84EQ, F_FLOAT84NE, F_FLOAT84LT, F_FLOAT84LE, F_FLOAT84GT, F_FLOAT84GE];
    assert_eq!(all_six(float84_ops, a, c, 0, &table), expected(&order));
    let float4_ops = [F_FLOAT4EQ, F_FLOAT4NE, F_FLOAT4LT, F_FLOAT4LE, F_FLOAT4GT, F_FLOAT4GE];
    let against_nan = [-1, 0, -1, -1, 0, 0, -1, -1].map(Some);
    assert_eq!(all_six(float4_ops, c, float4(-f32::NAN), 0, &table), expected(&against_nan));
    // 0.1 as float4 is not 0.1 as float8.
    let tenth = Table::new(vec![float4s(&[Some(0.1)])]);
    assert_eq!(tenth.predicate(op(F_FLOAT48EQ, 0, &[var(1, FLOAT4OID, -1), float8(0.1)])).expect("evaluates"), [F]);
}

#[test]
fn numerics_of_several_scales() {
    let table = Table::new(vec![
        numerics(10, 2, &[Some(150), Some(-1), NAN, NAN, None, Some(99)]),
        numerics(12, 4, &[Some(15_000), Some(-99), Some(5), NAN, Some(1), Some(10_000)]),
        int4s(&[Some(1), Some(0), Some(7), Some(1), Some(1), Some(1)]),
    ]);
    let (a, b) = (var(1, NUMERICOID, numeric_typmod(10, 2)), var(2, NUMERICOID, numeric_typmod(12, 4)));
    let ops = [F_NUMERIC_EQ, F_NUMERIC_NE, F_NUMERIC_LT, F_NUMERIC_LE, F_NUMERIC_GT, F_NUMERIC_GE];
    assert_eq!(all_six(ops, a, b, 0, &table), expected(&[Some(0), Some(-1), Some(1), Some(0), None, Some(-1)]));
    let c = function(F_NUMERIC_INT4, &[var(3, INT4OID, -1)]);
    assert_eq!(all_six(ops, a, c, 0, &table), expected(&[Some(1), Some(-1), Some(1), Some(1), None, Some(-1)]));
    for (constant, order) in [
        ("1.5", [0, -1, 1, 1]),
        ("1.50000", [0, -1, 1, 1]),
        ("-0.01", [1, 0, 1, 1]),
        ("NaN", [-1, -1, 0, 0]),
        ("123456789012345678901234567890", [-1, -1, 1, 1]),
    ] {
        let results = all_six(ops, a, numeric_const(constant), 0, &table).map(|result| result[..4].to_vec());
        assert_eq!(results, expected(&order.map(Some)), "{constant}");
    }
    assert_eq!(table.predicate(op(F_NUMERIC_EQ, 0, &[a, null(NUMERICOID)])).expect("evaluates"), [N; 6]);
    // More digits than a decimal has, together or alone, and none at all.
    for (constant, order) in [
        ("0.1234567890123456789012345678901", [1, -1, 1, 1]),
        ("-0.01000000000000000000000000000000000001", [1, 1, 1, 1]),
        ("Infinity", [-1, -1, 1, 1]),
        ("-Infinity", [1, 1, 1, 1]),
    ] {
        let results = all_six(ops, a, numeric_const(constant), 0, &table).map(|result| result[..4].to_vec());
        assert_eq!(results, expected(&order.map(Some)), "{constant}");
    }
}

#[test]
fn text_and_its_collations() {
    let table = Table::new(vec![
        texts(&[Some("a"), Some("B"), Some("ab "), None, Some("")]),
        texts(&[Some("a"), Some("a"), Some("ab"), Some("x"), Some("ä")]),
    ]);
    let (a, b) = (var(1, TEXTOID, -1), relabel(var(2, VARCHAROID, 14), TEXTOID));
    let ops = [F_TEXTEQ, F_TEXTNE, F_TEXT_LT, F_TEXT_LE, F_TEXT_GT, F_TEXT_GE];
    assert_eq!(all_six(ops, a, b, C_COLLATION, &table), expected(&[Some(0), Some(-1), Some(1), None, Some(-1)]));
    assert_eq!(table.predicate(op(F_TEXTEQ, DEFAULT_COLLATION, &[a, b])).expect("evaluates"), [T, F, F, N, F]);
    for (function, collation, reason) in [
        (F_TEXT_LT, DEFAULT_COLLATION, "text order under a collation other than C is not supported"),
        (F_TEXTEQ, NONDETERMINISTIC_COLLATION, "text equality under a nondeterministic collation is not supported"),
        (F_TEXTEQ, 0, "a text comparison without a collation is not supported"),
    ] {
        assert_eq!(declined(&table, op(function, collation, &[a, b])), reason);
    }
    // SAFETY: the tests' nodes live for ever.
    let parked = unsafe { Translator::new(&FakeHost, &table).predicate(op(F_TEXTEQ, BROKEN_COLLATION, &[a, b])) };
    assert!(matches!(parked, Err(TranslateError::Error(Error::Parked))));
    let toasted = by_reference(TEXTOID, vec![0x01, 18, 0, 0]);
    let compressed = by_reference(TEXTOID, vec![0x02, 18, 0, 0]);
    for constant in [toasted, compressed] {
        let detoasted = Table::new(vec![texts(&[Some("detoasted"), Some("other")])]);
        let equal = op(F_TEXTEQ, DEFAULT_COLLATION, &[a, constant]);
        assert_eq!(detoasted.predicate(equal).expect("evaluates"), [T, F]);
    }
}

#[test]
fn bpchar_ignores_padding() {
    let table = Table::new(vec![
        texts(&[Some("ab   "), Some("     "), Some("abc  "), None, Some("a\t   ")]),
        texts(&[Some("ab"), Some(""), Some("ab"), Some("x"), Some("a")]),
    ]);
    let (a, b) = (var(1, BPCHAROID, 9), var(2, BPCHAROID, 6));
    let ops = [F_BPCHAREQ, F_BPCHARNE, F_BPCHARLT, F_BPCHARLE, F_BPCHARGT, F_BPCHARGE];
    assert_eq!(all_six(ops, a, b, C_COLLATION, &table), expected(&[Some(0), Some(0), Some(1), None, Some(1)]));
    let equal = op(F_BPCHAREQ, DEFAULT_COLLATION, &[a, bpchar_const("ab ")]);
    assert_eq!(table.predicate(equal).expect("evaluates"), [T, F, F, N, F]);
    // As text it is trimmed once, and text keeps its blanks.
    let as_text = function(F_TEXT_BPCHAR, &[a]);
    let equal = |value| table.predicate(op(F_TEXTEQ, DEFAULT_COLLATION, &[as_text, text(value)])).expect("evaluates");
    assert_eq!(equal("ab"), [T, F, F, N, F]);
    assert_eq!(equal("ab   "), [F, F, F, N, F]);
}

#[test]
fn the_other_types() {
    let table = Table::new(vec![
        bools(&[T, F, N]),
        oids(&[Some(5), Some(u32::MAX), None]),
        int4s(&[Some(0), Some(i32::MAX), None]),
        int8s(&[Some(1), Some(i64::MAX), Some(0)]),
    ]);
    let less = |function, left, right| table.predicate(op(function, 0, &[left, right])).expect("evaluates");
    assert_eq!(less(F_BOOLLT, var(1, BOOLOID, -1), boolean(true)), [F, T, N]);
    assert_eq!(less(F_OIDGT, var(2, OIDOID, -1), by_value(OIDOID, 5)), [F, T, N]);
    let (date, timestamp) = (var(3, DATEOID, -1), var(4, TIMESTAMPOID, -1));
    assert_eq!(less(F_DATE_LE, date, by_value(DATEOID, 0)), [T, F, N]);
    assert_eq!(less(F_TIMESTAMP_GE, timestamp, by_value(TIMESTAMPOID, 1)), [T, T, F]);
    assert_eq!(less(F_DATE_LT_TIMESTAMP, date, timestamp), [T, F, N]);
    assert_eq!(less(F_TIMESTAMP_EQ_DATE, timestamp, date), [F, T, N]);
    let dates = Table::new(vec![int4s(&[Some(366), Some(110_000_000), Some(i32::MIN), Some(-1)])]);
    let against = |day: i64| {
        let constant = by_value(TIMESTAMPOID, (day * 86_400_000_000) as u64);
        dates.predicate(op(F_DATE_LT_TIMESTAMP, 0, &[var(1, DATEOID, -1), constant])).expect("evaluates")
    };
    assert_eq!(against(366), [F, F, T, T]);
    assert_eq!(against(367), [T, F, T, T]);
    let infinity = by_value(TIMESTAMPOID, i64::MAX as u64);
    let below = dates.predicate(op(F_DATE_LT_TIMESTAMP, 0, &[var(1, DATEOID, -1), infinity])).expect("evaluates");
    assert_eq!(below, [T; 4], "a date beyond the timestamps is still below infinity");
}

/// Checks that the two keys agree with `equal` for each pair of rows, in equality and hash.
pub(super) fn check_key(clause: NodePtr, left: &Table, right: &Table, equal: &[Option<bool>]) {
    // SAFETY: the tests' nodes live for ever.
    let [a, b] = unsafe { key(&FakeHost, clause, left, right) }.expect("is a key");
    let (a, b) = (left.evaluate(&a).expect("evaluates"), right.evaluate(&b).expect("evaluates"));
    assert_eq!(a.data_type(), b.data_type());
    let found = cmp::eq(&a, &b).expect("compares");
    assert_eq!(found.iter().collect::<Vec<_>>(), equal);
    let hash = |array: &ArrayRef| {
        let random = datafusion::physical_plan::repartition::REPARTITION_RANDOM_STATE;
        let mut hashes = vec![0; array.len()];
        create_hashes([array], random.random_state(), &mut hashes).expect("hashes").to_vec()
    };
    for ((row, equal), (a, b)) in equal.iter().enumerate().zip(hash(&a).iter().zip(&hash(&b))) {
        assert!(*equal != T || a == b, "row {row} hashes unlike");
    }
}

#[test]
fn keys_equal_and_hash_alike() {
    let one = |column: ArrayRef| Table::new(vec![column]);
    let negative_nan = f32::from_bits(f32::NAN.to_bits() | 1 << 31);
    check_key(
        op(F_INT28EQ, 0, &[var(1, INT2OID, -1), var(1, INT8OID, -1)]),
        &one(int2s(&[Some(-3), Some(4), None])),
        &one(int8s(&[Some(-3), Some(4 + (1 << 32)), Some(1)])),
        &[T, F, N],
    );
    check_key(
        op(F_FLOAT48EQ, 0, &[var(1, FLOAT4OID, -1), var(1, FLOAT8OID, -1)]),
        &one(float4s(&[Some(-0.0), Some(negative_nan), Some(0.5), Some(0.1)])),
        &one(float8s(&[Some(0.0), Some(f64::NAN), Some(0.5), Some(0.1)])),
        &[T, T, T, F],
    );
    check_key(
        op(F_NUMERIC_EQ, 0, &[var(1, NUMERICOID, numeric_typmod(6, 1)), var(1, NUMERICOID, numeric_typmod(9, 3))]),
        &one(numerics(6, 1, &[Some(15), NAN, Some(15)])),
        &one(numerics(9, 3, &[Some(1500), NAN, NAN])),
        &[T, T, F],
    );
    check_key(
        op(
            F_NUMERIC_EQ,
            0,
            &[function(F_NUMERIC_INT8, &[var(1, INT8OID, -1)]), var(1, NUMERICOID, numeric_typmod(9, 3))],
        ),
        &one(int8s(&[Some(2), Some(i64::MIN), None])),
        &one(numerics(9, 3, &[Some(2000), Some(2001), Some(1)])),
        &[T, F, N],
    );
    check_key(
        op(F_BPCHAREQ, DEFAULT_COLLATION, &[var(1, BPCHAROID, 6), var(1, BPCHAROID, 14)]),
        &one(texts(&[Some("x "), Some("xy"), Some("  ")])),
        &one(texts(&[Some("x         "), Some("xy        "), Some("")])),
        &[T, T, T],
    );
    check_key(
        op(F_DATE_EQ_TIMESTAMP, 0, &[var(1, DATEOID, -1), var(1, TIMESTAMPOID, -1)]),
        &one(int4s(&[Some(1), Some(i32::MIN), Some(1)])),
        &one(int8s(&[Some(86_400_000_000), Some(i64::MIN), Some(86_400_000_001)])),
        &[T, T, F],
    );
    check_key(
        unfinished_op(96, &[var(1, INT4OID, -1), var(1, INT4OID, -1)]),
        &one(int4s(&[Some(1), None])),
        &one(int4s(&[Some(1), Some(2)])),
        &[T, N],
    );
    let table = one(int4s(&[Some(1)]));
    let sum = op(F_INT4PL, 0, &[var(1, INT4OID, -1), int4(1)]);
    for clause in [
        op(F_INT4LT, 0, &[var(1, INT4OID, -1), int4(1)]),
        op(F_INT4EQ, 0, &[var(1, INT4OID, -1), sum]),
        boolean(true),
        not(boolean(true)),
    ] {
        // SAFETY: the tests' nodes live for ever.
        let result = unsafe { key(&FakeHost, clause, &table, &table) };
        assert!(matches!(result, Err(TranslateError::Decline(_))));
    }
}

#[test]
fn membership() {
    let table = Table::new(vec![int4s(&[Some(1), Some(5), None]), int8s(&[Some(1), Some(1 << 33), None])]);
    let (a, b) = (var(1, INT4OID, -1), var(2, INT8OID, -1));
    let test =
        |function, any, scalar, array| table.predicate(array_op(function, any, 0, scalar, array)).expect("evaluates");
    let (plain, with_null) = (int4_array(&[Some(1), Some(2)]), int4_array(&[Some(1), None]));
    assert_eq!(test(F_INT4EQ, true, a, plain), [T, F, N]);
    assert_eq!(test(F_INT4NE, false, a, plain), [F, T, N]);
    assert_eq!(test(F_INT4EQ, true, a, with_null), [T, N, N]);
    assert_eq!(test(F_INT4NE, false, a, with_null), [F, N, N]);
    assert_eq!(test(F_INT4EQ, true, a, int4_array(&[])), [F; 3]);
    assert_eq!(test(F_INT4NE, false, a, int4_array(&[])), [T; 3]);
    assert_eq!(test(F_INT4EQ, true, a, null(INT4ARRAYOID)), [N; 3]);
    assert_eq!(test(F_INT84EQ, true, b, plain), [T, F, N]);
    assert_eq!(test(F_INT4EQ, true, int4(2), plain), [T; 3]);
    assert_eq!(test(F_INT4EQ, true, null(INT4OID), plain), [N; 3]);
    let wide: Vec<_> = [1i64, 1 << 33].iter().map(|value| Some(value.to_le_bytes().to_vec())).collect();
    assert_eq!(test(F_INT48EQ, true, a, array(INT8OID, INT8ARRAYOID, 8, &wide)), [T, F, N]);
    // More than any list that is searched linearly.
    let many: Vec<_> = (0..200).map(|value| Some(value * 5)).chain([None]).collect();
    assert_eq!(test(F_INT4EQ, true, a, int4_array(&many)), [N, T, N]);
    assert_eq!(
        declined(&table, array_op(F_INT4LT, true, 0, a, plain)),
        "ANY and ALL are supported as = ANY and <> ALL only"
    );
    assert!(declined(&table, array_op(F_INT4EQ, false, 0, a, plain)).starts_with("ANY and ALL"));
    assert!(declined(&table, array_op(F_INT4EQ, true, 0, a, a)).contains("not constant"));
}

#[test]
fn membership_of_other_types() {
    let negative_nan = f64::from_bits(f64::NAN.to_bits() | 1 << 63);
    let floats = Table::new(vec![float8s(&[Some(-0.0), Some(negative_nan), Some(1.0)])]);
    let list: Vec<_> = [0.0, f64::NAN].iter().map(|value: &f64| Some(value.to_le_bytes().to_vec())).collect();
    let list = array(FLOAT8OID, FLOAT8ARRAYOID, 8, &list);
    let node = array_op(F_FLOAT8EQ, true, 0, var(1, FLOAT8OID, -1), list);
    assert_eq!(floats.predicate(node).expect("evaluates"), [T, T, F]);

    let long = "b".repeat(60); // with its header exactly 64 bytes: the first byte of the length is 0
    let words = [Some(varlena(b"a")), Some(short_varlena(b"xy")), Some(varlena(long.as_bytes())), None];
    let words = array(TEXTOID, TEXTARRAYOID, 4, &words);
    let strings = Table::new(vec![texts(&[Some("a"), Some("xy"), Some(&long), Some("a "), None])]);
    let node = array_op(F_TEXTEQ, true, DEFAULT_COLLATION, var(1, TEXTOID, -1), words);
    assert_eq!(strings.predicate(node).expect("evaluates"), [T, T, T, N, N]);
    let node = array_op(F_TEXTEQ, true, NONDETERMINISTIC_COLLATION, var(1, TEXTOID, -1), words);
    assert!(declined(&strings, node).contains("nondeterministic"));

    let padded = array(BPCHAROID, Oid::from(1014), 4, &[Some(varlena(b"a ")), Some(varlena(b"zz"))]);
    let node = array_op(F_BPCHARNE, false, DEFAULT_COLLATION, var(1, BPCHAROID, 7), padded);
    let blanks = Table::new(vec![texts(&[Some("a  "), Some("b  "), None])]);
    assert_eq!(blanks.predicate(node).expect("evaluates"), [F, T, N]);

    let decimals: Vec<_> =
        ["1.5", "NaN", "0.333", "7", "8", "9"].iter().map(|value| Some(varlena(&numeric_payload(value)))).collect();
    let decimals = array(NUMERICOID, NUMERICARRAYOID, 4, &decimals);
    let node = array_op(F_NUMERIC_EQ, true, 0, var(1, NUMERICOID, numeric_typmod(8, 2)), decimals);
    let table = Table::new(vec![numerics(8, 2, &[Some(150), NAN, Some(33), Some(900), None])]);
    assert_eq!(table.predicate(node).expect("evaluates"), [T, T, F, T, N]);
}

#[test]
fn like() {
    let table = Table::new(vec![texts(&[Some("ab  "), Some("xaby"), None, Some("a%")])]);
    let (as_text, as_bpchar) = (var(1, TEXTOID, -1), var(1, BPCHAROID, 8));
    let test = |function, value, pattern| {
        table.predicate(op(function, DEFAULT_COLLATION, &[value, text(pattern)])).expect("evaluates")
    };
    assert_eq!(test(F_TEXTLIKE, as_text, "%ab%"), [T, T, N, F]);
    assert_eq!(test(F_TEXTNLIKE, as_text, "%ab%"), [F, F, N, T]);
    assert_eq!(test(F_BPCHARLIKE, as_bpchar, "ab"), [F, F, N, F]);
    assert_eq!(test(F_BPCHARNLIKE, as_bpchar, "ab%"), [F, T, N, T]);
    assert_eq!(test(F_TEXTLIKE, as_text, r"a\%"), [F, F, N, T]);
    assert_eq!(test(F_TEXTLIKE, text("abc"), "a_c"), [T; 4]);
    let with = |collation, pattern| declined(&table, op(F_TEXTLIKE, collation, &[as_text, pattern]));
    assert_eq!(with(DEFAULT_COLLATION, text("x\\")), "a LIKE pattern that ends with a backslash is not supported");
    assert_eq!(with(DEFAULT_COLLATION, as_text), "LIKE with a pattern that is not constant is not supported");
    assert_eq!(with(NONDETERMINISTIC_COLLATION, text("x")), "LIKE under a nondeterministic collation is not supported");
    // What the planner asks with in place of a parameter.
    assert_eq!(with(DEFAULT_COLLATION, null(TEXTOID)), "LIKE with a pattern that is not constant is not supported");
}
