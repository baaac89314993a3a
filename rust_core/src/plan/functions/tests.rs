//! Each function over all the ways in which it is called: arrays, scalars, and one of each.

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, FieldRef, Int16Type, Int32Type, Int64Type};
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use crate::testing::text_of;

use super::*;

#[test]
fn found_by_name_and_by_number() {
    for (position, Entry { function, name, .. }) in FUNCTIONS.iter().enumerate() {
        assert_eq!(*function as usize, position, "{name}");
        assert_eq!(REGISTERED[position].name(), *name);
        assert!(name.starts_with("pg_"));
    }
}

fn invoke(function: Function, args: Vec<ColumnarValue>, result: DataType, rows: usize) -> Result<ColumnarValue> {
    let field: FieldRef = Arc::new(Field::new("result", result, true));
    let arg_fields =
        args.iter().map(|arg| Arc::new(Field::new("argument", arg.data_type(), true)) as FieldRef).collect();
    REGISTERED[function as usize].invoke_with_args(ScalarFunctionArgs {
        args,
        arg_fields,
        number_rows: rows,
        return_field: field,
        config_options: Arc::clone(&OPTIONS),
    })
}

#[test]
fn foreign_arguments_are_errors() {
    let binary = || ColumnarValue::Scalar(ScalarValue::Binary(Some(vec![0])));
    let int = || ColumnarValue::Scalar(ScalarValue::from(1i32));
    for Entry { function, name, arity, .. } in FUNCTIONS {
        let (function, of_text) = (*function, name.starts_with("pg_text"));
        let foreign = if of_text || matches!(function, Function::Like | Function::BpcharTrim) { int } else { binary };
        let wrong = (0..*arity).map(|_| foreign()).collect();
        assert!(invoke(function, wrong, DataType::Int32, 1).is_err(), "{function:?}");
        assert!(invoke(function, vec![], DataType::Int32, 1).is_err(), "{function:?}");
        assert!(invoke(function, vec![int(), int(), int()], DataType::Int32, 1).is_err(), "{function:?}");
    }
    // A promise that cannot be kept.
    assert!(invoke(Function::IntAdd, vec![int(), int()], DataType::Utf8, 1).is_err());
    assert!(invoke(Function::Numeric, vec![int()], DataType::Int64, 1).is_err());
    let decimal = |value| ColumnarValue::Scalar(ScalarValue::Decimal128(Some(value), 5, 3));
    assert!(invoke(Function::Numeric, vec![decimal(1)], DataType::Decimal128(5, 1), 1).is_err());
}

/// What the function must give, in integers wide enough: a value, or an SQLSTATE.
fn wide(function: Function, left: i128, right: i128, least: i128, most: i128) -> Result<i128, &'static str> {
    let value = match function {
        Function::IntAdd => left + right,
        Function::IntSub => left - right,
        Function::IntMul => left * right,
        Function::IntDiv | Function::IntMod if right == 0 => return Err("22012"),
        Function::IntDiv => left / right,
        _ => left % right,
    };
    if (least..=most).contains(&value) { Ok(value) } else { Err("22003") }
}

const BINARY: [Function; 5] =
    [Function::IntAdd, Function::IntSub, Function::IntMul, Function::IntDiv, Function::IntMod];

/// The two operands in one row.
type Row<T> = (Option<T>, Option<T>);

fn check<T>(rows: &[Row<T::Native>], least: i128, most: i128)
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128>,
{
    let (left, right): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
    let column =
        |values: &[Option<T::Native>]| -> ArrayRef { Arc::new(values.iter().copied().collect::<PrimitiveArray<T>>()) };
    let (left_array, right_array) = (column(&left), column(&right));
    for function in BINARY {
        let expected = |left: &Option<T::Native>, right: &Option<T::Native>| match (left, right) {
            (Some(left), Some(right)) => wide(function, (*left).into(), (*right).into(), least, most).map(Some),
            _ => Ok(None),
        };
        let compare = |args: Vec<ColumnarValue>, expected: Result<Vec<Option<i128>>, &str>| match (
            invoke(function, args, T::DATA_TYPE, rows.len()),
            expected,
        ) {
            (Ok(found), Ok(expected)) => {
                let found = found.into_array(rows.len()).expect("an array");
                let found: Vec<_> = found.as_primitive::<T>().iter().map(|value| value.map(Into::into)).collect();
                assert_eq!(found, expected, "{function:?} of {rows:?}");
            }
            (Err(found), Err(expected)) => match Error::from(found) {
                Error::Raised { sqlstate, .. } => assert_eq!(sqlstate, expected),
                other => panic!("{other:?}"),
            },
            (found, expected) => panic!("{function:?} of {rows:?}: {found:?}, not {expected:?}"),
        };
        let array = |array: &ArrayRef| ColumnarValue::Array(Arc::clone(array));
        let pairs = left.iter().zip(&right).map(|(left, right)| expected(left, right)).collect();
        compare(vec![array(&left_array), array(&right_array)], pairs);
        let scalar = |array: &ArrayRef| ColumnarValue::Scalar(ScalarValue::try_from_array(array, 0).expect("a scalar"));
        let against_scalar = left.iter().map(|left| expected(left, &right[0])).collect();
        compare(vec![array(&left_array), scalar(&right_array)], against_scalar);
        let scalar_against = right.iter().map(|right| expected(&left[0], right)).collect();
        compare(vec![scalar(&left_array), array(&right_array)], scalar_against);
        let both = expected(&left[0], &right[0]).map(|value| vec![value; rows.len()]);
        compare(vec![scalar(&left_array), scalar(&right_array)], both);
    }
}

/// Some rows of two values, the second often `edge`.
fn rows<T: Copy + std::fmt::Debug>(
    value: impl Strategy<Value = Option<T>> + Clone,
    edge: T,
) -> impl Strategy<Value = Vec<Row<T>>> {
    prop::collection::vec((value.clone(), prop_oneof![3 => value, 1 => Just(Some(edge))]), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn integers_as_in_wide_arithmetic(
        small in rows(any::<Option<i16>>(), -1),
        medium in rows(any::<Option<i32>>(), 2),
        large in rows(any::<Option<i64>>(), 0),
    ) {
        check::<Int16Type>(&small, i16::MIN.into(), i16::MAX.into());
        check::<Int32Type>(&medium, i32::MIN.into(), i32::MAX.into());
        check::<Int64Type>(&large, i64::MIN.into(), i64::MAX.into());
    }

    #[test]
    fn like_as_by_definition(text in text_of("abé%", 7), pattern in text_of("abé%_", 6)) {
        // x LIKE p, by recursion over both.
        fn matches(text: &[char], pattern: &[char]) -> bool {
            match pattern {
                [] => text.is_empty(),
                ['%', rest @ ..] => (0..=text.len()).any(|skipped| matches(&text[skipped..], rest)),
                ['_', rest @ ..] => !text.is_empty() && matches(&text[1..], rest),
                [literal, rest @ ..] => text.first() == Some(literal) && matches(&text[1..], rest),
            }
        }
        let expected = matches(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>());
        let argument = |text: &str| ColumnarValue::Scalar(ScalarValue::from(text));
        let array = ColumnarValue::Array(argument(&text).into_array(2).expect("an array"));
        for (text, rows) in [(argument(&text), 1), (array, 2)] {
            let found = invoke(Function::Like, vec![text, argument(&pattern)], DataType::Boolean, rows);
            let found = found.and_then(|found| found.into_array(rows)).expect("matches");
            prop_assert!(found.as_boolean().iter().all(|found| found == Some(expected)));
        }
    }
}

#[test]
fn the_edges_of_each_width() {
    let edges = [i16::MIN, i16::MIN + 1, -182, -181, -2, -1, 0, 1, 2, 181, 182, i16::MAX - 1, i16::MAX];
    for left in edges {
        for right in edges {
            check::<Int16Type>(&[(Some(left), Some(right))], i16::MIN.into(), i16::MAX.into());
        }
    }
    for (left, right) in [(i64::MIN, -1), (i64::MIN, 1), (i64::MAX, 1), (i64::MAX, i64::MAX), (1 << 32, 1 << 31)] {
        check::<Int64Type>(&[(Some(left), Some(right))], i64::MIN.into(), i64::MAX.into());
    }
}
