//! Sums and averages of integers and numerics.

use arrow::array::{BinaryArray, Decimal128Array, Decimal256Array, Int16Array, Int64Array};
use arrow::datatypes::i256;
use proptest::prelude::*;

use super::*;
use crate::plan::types::{NUMERIC_INFINITY, NUMERIC_NAN, NUMERIC_NEGATIVE_INFINITY};

fn decimals(precision: u8, scale: i8, values: &[Option<i128>]) -> ArrayRef {
    let data_type = DataType::Decimal128(precision, scale);
    Arc::new(Decimal128Array::from(values.to_vec()).with_data_type(data_type))
}

fn free(values: &[&str]) -> ArrayRef {
    let payloads: Vec<_> = values.iter().map(|text| (*text != "NULL").then(|| numeric_payload(text))).collect();
    Arc::new(BinaryArray::from(payloads.iter().map(Option::as_deref).collect::<Vec<_>>()))
}

/// sum and avg of all values.
fn both(values: ArrayRef) -> (String, String) {
    let rows = Rows::new(&vec![7; values.len()], vec![values]);
    let result = |name| {
        let found = rows.grouped(&named(name)).expect("aggregates");
        assert_eq!(close(&found), close(&rows.scalar(&named(name)).expect("aggregates")), "{name}");
        shown(&found)[0].clone().unwrap_or("NULL".into())
    };
    (result("pg_sum_numeric"), result("pg_avg_numeric"))
}

fn texts(sum: &str, average: &str) -> (String, String) {
    (sum.into(), average.into())
}

#[test]
fn integers() {
    let small: ArrayRef = Arc::new(Int16Array::from(vec![Some(1), None, Some(2), Some(-32768), Some(2)]));
    let rows = Rows::new(&[1, 1, 1, 2, 1], vec![small]);
    let sums = rows.grouped(&named("pg_sum_int")).expect("aggregates");
    assert_eq!(sums.as_primitive::<Int64Type>().values().to_vec(), [5, -32768]);
    let averages = rows.grouped(&named("pg_avg_numeric")).expect("aggregates");
    assert_eq!(shown(&averages), some(&["1.6666666666666667", "-32768.000000000000"]));

    let large: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX, 2]));
    assert_eq!(both(large), texts("18446744073709551616", "6148914691236517205"));
    let least: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN; 4]));
    assert_eq!(both(least), texts("-36893488147419103232", "-9223372036854775808"));
}

#[test]
fn decimals_of_one_scale() {
    assert_eq!(
        both(decimals(15, 2, &[Some(1234), Some(-10001), Some(8800), None])),
        texts("0.33", "0.11000000000000000000")
    );
    assert_eq!(both(decimals(15, 2, &[None, None])), texts("NULL", "NULL"));
    assert_eq!(both(decimals(15, 2, &[Some(0)])), texts("0.00", "0.00000000000000000000"));
}

#[test]
fn sums_beyond_an_i128() {
    let nines = 10i128.pow(38) - 1;
    assert_eq!(
        both(decimals(38, 0, &[Some(nines); 3])),
        texts("299999999999999999999999999999999999997", "99999999999999999999999999999999999999")
    );
    assert_eq!(
        both(decimals(38, 0, &[Some(-nines); 3])),
        texts("-299999999999999999999999999999999999997", "-99999999999999999999999999999999999999")
    );
    // There and back.
    let alternating: Vec<_> = (0..20).map(|row| Some(if row < 10 { nines } else { -nines })).chain([Some(5)]).collect();
    assert_eq!(both(decimals(38, 0, &alternating)).0, "5");
    // The sum is what stands for NaN elsewhere.
    let rest = NUMERIC_NAN - nines;
    assert_eq!(both(decimals(38, 0, &[Some(nines), Some(rest)])).0, i128::MAX.to_string());
}

#[test]
fn specials() {
    let (nan, plus, minus) = (Some(NUMERIC_NAN), Some(NUMERIC_INFINITY), Some(NUMERIC_NEGATIVE_INFINITY));
    for (values, expected) in [
        (vec![nan, Some(1)], "NaN"),
        (vec![Some(1), nan], "NaN"),
        (vec![plus, Some(1), None], "Infinity"),
        (vec![Some(1), minus], "-Infinity"),
        (vec![minus, Some(1), plus], "NaN"),
        (vec![plus, nan], "NaN"),
    ] {
        assert_eq!(both(decimals(10, 2, &values)), texts(expected, expected), "{values:?}");
    }
    for (values, expected) in [
        (["NaN", "Infinity", "NULL"], "NaN"),
        (["-Infinity", "Infinity", "1"], "NaN"),
        (["-Infinity", "1", "NULL"], "-Infinity"),
        (["3.5", "Infinity", "Infinity"], "Infinity"),
    ] {
        assert_eq!(both(free(&values)), texts(expected, expected), "{values:?}");
    }
}

#[test]
fn wide_decimals() {
    let wide = |values: Vec<i256>| -> ArrayRef {
        Arc::new(Decimal256Array::from(values).with_data_type(DataType::Decimal256(76, 4)))
    };
    let value = |text: &str| i256::from_string(text).expect("digits");
    let nines = "9999999999999999999999999999999999999999999999999999999999999999999999999999";
    assert_eq!(
        both(wide(vec![value("123456789012345678901234567890123456789012345"), value("-5"), value("60")])),
        texts("12345678901234567890123456789012345678901.2400", "4115226300411522630041152263004115226300.4133")
    );
    // More than an i256 holds.
    let sum = both(wide(vec![value(nines).wrapping_neg(); 8])).0;
    assert_eq!(sum, "-7999999999999999999999999999999999999999999999999999999999999999999999999.9992");
    let nan = i256::MAX;
    assert_eq!(both(wide(vec![value("1"), nan])).0, "NaN");
    assert_eq!(both(wide(vec![i256::MIN, value("1")])).0, "-Infinity");
    assert_eq!(both(wide(vec![nan.wrapping_sub(value("1")), i256::MIN])).0, "NaN");
}

#[test]
fn numerics_of_any_scale() {
    assert_eq!(both(free(&["1.5", "2.25", "NULL", "-7.001"])), texts("-3.251", "-1.08366666666666666667"));
    assert_eq!(both(free(&["1.10", "1.1", "1.100"])), texts("3.300", "1.10000000000000000000"));
    assert_eq!(both(free(&["0.00", "0.0"])), texts("0.00", "0.00000000000000000000"));
    let large = format!("1{}", "0".repeat(50));
    let tiny = format!("0.{}1", "0".repeat(49));
    assert_eq!(
        both(free(&[&large, &tiny])),
        texts(
            &format!("{large}.{}1", "0".repeat(49)),
            "50000000000000000000000000000000000000000000000000.00000000000000000000000000000000000000000000000001"
        )
    );
    assert_eq!(
        both(free(&[&large, &tiny, &format!("-{large}")])),
        texts(&tiny, "0.00000000000000000000000000000000000000000000000000333333333333333333")
    );
    assert_eq!(both(free(&[&format!("-{large}"), "1"])).0, format!("-{}", "9".repeat(50)));
}

#[test]
fn groups_and_filters() {
    let values = decimals(15, 2, &[Some(100), Some(200), None, Some(400), Some(800), Some(1600)]);
    let filter = [Some(true), Some(false), Some(true), None, Some(true), Some(true)];
    let rows = Rows::new(&[1, 1, 2, 2, 3, 3], vec![values]).filtered(&filter);
    let sums = rows.grouped(&named("pg_sum_numeric")).expect("aggregates");
    assert_eq!(shown(&sums), some(&["1.00", "NULL", "24.00"]));
    let averages = rows.grouped(&named("pg_avg_numeric")).expect("aggregates");
    assert_eq!(shown(&averages), some(&["1.00000000000000000000", "NULL", "12.0000000000000000"]));
    let counts = rows.grouped(&named("count")).expect("aggregates");
    assert_eq!(counts.as_primitive::<Int64Type>().values().to_vec(), [1, 0, 2]);
    assert_eq!(shown(&rows.scalar(&named("pg_sum_numeric")).expect("aggregates")), some(&["25.00"]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn free_numerics_as_decimals(
        values in prop::collection::vec((any::<Option<i64>>(), 0u32..18, 0i32..4), 1..12),
    ) {
        let groups: Vec<i32> = values.iter().map(|(.., group)| *group).collect();
        let values: Vec<_> = values.iter().map(|(value, cut, _)| value.map(|value| i128::from(value % 10i64.pow(*cut)))).collect();
        let payloads: Vec<_> = values.iter().map(|value| value.map(|value| crate::scan::numeric::encode(value, 3))).collect();
        let payloads = BinaryArray::from(payloads.iter().map(|value| value.as_ref().map(|value| value.payload())).collect::<Vec<_>>());
        for name in ["pg_sum_numeric", "pg_avg_numeric"] {
            let exact = Rows::new(&groups, vec![decimals(20, 3, &values)]).grouped(&named(name)).expect("aggregates");
            let free = Rows::new(&groups, vec![Arc::new(payloads.clone())]).grouped(&named(name)).expect("aggregates");
            prop_assert_eq!(shown(&exact), shown(&free));
        }
    }
}
