//! Least and greatest.

use arrow::array::{BinaryArray, Decimal128Array, Int64Array, StringArray};

use super::*;
use crate::plan::types::NUMERIC_NAN;

#[test]
fn of_numerics_of_any_scale() {
    let payloads: Vec<_> = ["1.5", "-2", "NULL", "NaN", "1.10", "1.1", "-Infinity"]
        .iter()
        .map(|text| (*text != "NULL").then(|| numeric_payload(text)))
        .collect();
    let values = Arc::new(BinaryArray::from(payloads.iter().map(Option::as_deref).collect::<Vec<_>>()));
    let rows = Rows::new(&[1, 1, 2, 3, 4, 4, 3], vec![values]);
    // Of equals the last one stays.
    let least = rows.grouped(&named("pg_min_numeric")).expect("aggregates");
    assert_eq!(shown(&least), some(&["-2", "NULL", "-Infinity", "1.1"]));
    let greatest = rows.grouped(&named("pg_max_numeric")).expect("aggregates");
    assert_eq!(shown(&greatest), some(&["1.5", "NULL", "NaN", "1.1"]));
    assert_eq!(shown(&rows.scalar(&named("pg_max_numeric")).expect("aggregates")), some(&["NaN"]));
}

#[test]
fn of_char_n() {
    let values = Arc::new(StringArray::from(vec![Some("a  "), Some("a\u{1} "), Some("b"), None, Some("b  ")]));
    let rows = Rows::new(&[1, 1, 2, 2, 2], vec![values]);
    let least = rows.grouped(&named("pg_min_bpchar")).expect("aggregates");
    assert_eq!(least.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a  "), Some("b")]);
    let greatest = rows.grouped(&named("pg_max_bpchar")).expect("aggregates");
    assert_eq!(greatest.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a\u{1} "), Some("b")]);
}

#[test]
fn by_datafusion() {
    let numbers =
        Decimal128Array::from(vec![Some(-5), Some(NUMERIC_NAN), None]).with_data_type(DataType::Decimal128(9, 2));
    let rows = Rows::new(&[1, 1, 2], vec![Arc::new(numbers)]);
    let of = |array: ArrayRef| array.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>();
    assert_eq!(of(rows.grouped(&named("max")).expect("aggregates")), [Some(NUMERIC_NAN), None]);
    assert_eq!(of(rows.grouped(&named("min")).expect("aggregates")), [Some(-5), None]);
    assert_eq!(of(rows.scalar(&named("max")).expect("aggregates")), [Some(NUMERIC_NAN)]);

    let oids: ArrayRef = Arc::new(UInt32Array::from(vec![Some(1), Some(u32::MAX), None]));
    let greatest = Rows::new(&[1, 1, 2], vec![oids]).grouped(&named("max")).expect("aggregates");
    assert_eq!(
        greatest.as_primitive::<arrow::datatypes::UInt32Type>().iter().collect::<Vec<_>>(),
        [Some(u32::MAX), None]
    );

    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("Z"), Some("a"), None, Some("ä")]));
    let rows = Rows::new(&[1, 1, 2, 3], vec![texts]);
    let least = rows.grouped(&named("min")).expect("aggregates");
    assert_eq!(least.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("Z"), None, Some("ä")]);
    assert_eq!(rows.scalar(&named("max")).expect("aggregates").as_string::<i32>().value(0), "ä");
}

#[test]
fn bits_and_truths() {
    let bits: ArrayRef = Arc::new(Int64Array::from(vec![Some(6), Some(3), None, Some(-1)]));
    let rows = Rows::new(&[1, 1, 2, 3], vec![bits]).filtered(&[Some(true), Some(true), Some(true), Some(false)]);
    for (name, expected) in [("bit_and", 2), ("bit_or", 7), ("bit_xor", 5)] {
        let found = rows.grouped(&named(name)).expect("aggregates");
        assert_eq!(
            found.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
            [Some(expected), None, None],
            "{name}"
        );
        assert_eq!(rows.scalar(&named(name)).expect("aggregates").as_primitive::<Int64Type>().value(0), expected);
    }
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]));
    let rows = Rows::new(&[1, 1, 2, 3], vec![truths]);
    for (name, expected) in [("bool_and", [Some(false), None, Some(true)]), ("bool_or", [Some(true), None, Some(true)])]
    {
        let found = rows.grouped(&named(name)).expect("aggregates");
        assert_eq!(found.as_boolean().iter().collect::<Vec<_>>(), expected, "{name}");
    }
}
