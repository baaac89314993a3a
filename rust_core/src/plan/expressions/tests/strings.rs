//! Text functions: what PostgreSQL 15 answered in a UTF8 database.

use std::result::Result;
use std::string::String;

use arrow::datatypes::Int32Type;
use pg_sys::{BPCHAROID, INT4OID, TEXTOID};
use pgrx_pg_sys::*;

use super::*;
use crate::plan::testing::*;

fn words(result: Result<ArrayRef, Error>) -> Vec<Option<String>> {
    result.expect("evaluates").as_string::<i32>().iter().map(|text| text.map(Into::into)).collect()
}

fn ints(result: Result<ArrayRef, Error>) -> Vec<Option<i32>> {
    result.expect("evaluates").as_primitive::<Int32Type>().iter().collect()
}

/// The function over constants, and over columns of the same values.
fn both(number: u32, args: &[(NodePtr, ArrayRef)], typids: &[Oid]) -> String {
    let table = Table::new(args.iter().map(|(_, array)| Arc::clone(array)).collect());
    let constants: Vec<_> = args.iter().map(|(node, _)| *node).collect();
    let columns: Vec<_> = typids.iter().enumerate().map(|(n, typid)| var(n as i16 + 1, *typid, -1)).collect();
    let of_constants = table.value(collated(number, C_COLLATION, &constants)).expect("evaluates");
    let of_columns = table.value(collated(number, C_COLLATION, &columns)).expect("evaluates");
    assert_eq!(&of_constants.slice(0, 1), &of_columns.slice(0, 1));
    assert!(of_columns.is_null(1), "a NULL gives NULL");
    arrow::util::display::array_value_to_string(&of_columns, 0).expect("is shown")
}

fn word(value: &str) -> (NodePtr, ArrayRef) {
    (text(value), texts(&[Some(value), None]))
}

fn number(value: i32) -> (NodePtr, ArrayRef) {
    (int4(value), int4s(&[Some(value), Some(-value)]))
}

#[test]
fn parts_of_text() {
    for (start, count, expected) in
        [(0, 3, "tä"), (-3, 4, ""), (-3, 5, "t"), (2, i32::MAX, "äxt"), (1, 0, ""), (9, 1, ""), (2, 2, "äx")]
    {
        let table = Table::new(vec![texts(&[Some("täxt"), None])]);
        let node = function(F_SUBSTRING_TEXT_INT4_INT4, &[var(1, TEXTOID, -1), int4(start), int4(count)]);
        assert_eq!(words(table.value(node)), [Some(expected.into()), None], "{start} {count}");
        let node = function(F_SUBSTR_TEXT_INT4_INT4, &[text("täxt"), int4(start), int4(count)]);
        assert_eq!(words(table.value(node)), [Some(expected.into()), Some(expected.into())]);
    }
    for (start, expected) in [(-5, "täxt"), (0, "täxt"), (3, "xt"), (5, ""), (i32::MIN, "täxt")] {
        assert_eq!(both(F_SUBSTRING_TEXT_INT4, &[word("täxt"), number(start)], &[TEXTOID, INT4OID]), expected);
    }
    for (count, left, right) in [
        (1, "t", "t"),
        (3, "täx", "äxt"),
        (9, "täxt", "täxt"),
        (0, "", ""),
        (-1, "täx", "äxt"),
        (-9, "", ""),
        (i32::MIN, "", ""),
    ] {
        assert_eq!(both(F_LEFT, &[word("täxt"), number(count)], &[TEXTOID, INT4OID]), left, "{count}");
        assert_eq!(both(F_RIGHT, &[word("täxt"), number(count)], &[TEXTOID, INT4OID]), right, "{count}");
    }
    let table = Table::new(vec![texts(&[Some("abc"), None, Some("abc")]), int4s(&[Some(-1), Some(-1), Some(1)])]);
    let node = function(F_SUBSTRING_TEXT_INT4_INT4, &[var(1, TEXTOID, -1), int4(5), var(2, INT4OID, -1)]);
    let error = Some(("22011".into(), "negative substring length not allowed".into()));
    assert_eq!(table.errors(node), [error, None, None]);
}

#[test]
fn lengths_and_positions() {
    let table = Table::new(vec![texts(&[Some("ä  "), Some(""), None])]);
    let (of_text, of_bpchar) = (var(1, TEXTOID, -1), var(1, BPCHAROID, 7));
    assert_eq!(ints(table.value(function(F_LENGTH_TEXT, &[of_text]))), [Some(3), Some(0), None]);
    assert_eq!(ints(table.value(function(F_CHAR_LENGTH_BPCHAR, &[of_bpchar]))), [Some(1), Some(0), None]);
    assert_eq!(ints(table.value(function(F_OCTET_LENGTH_TEXT, &[of_text]))), [Some(4), Some(0), None]);
    assert_eq!(ints(table.value(function(F_OCTET_LENGTH_BPCHAR, &[of_bpchar]))), [Some(4), Some(0), None]);
    for (value, part, position) in
        [("täxt", "xt", "3"), ("abc", "", "1"), ("abc", "d", "0"), ("", "", "1"), ("", "a", "0")]
    {
        assert_eq!(both(F_STRPOS, &[word(value), word(part)], &[TEXTOID, TEXTOID]), position, "{value} {part}");
    }
    for (value, start, expected) in [("täxt", "tä", "true"), ("t", "tä", "false"), ("a", "", "true")] {
        assert_eq!(both(F_STARTS_WITH, &[word(value), word(start)], &[TEXTOID, TEXTOID]), expected);
    }
    for collation in [0, NONDETERMINISTIC_COLLATION] {
        assert_eq!(
            refused(&table, collated(F_STRPOS, collation, &[of_text, text("a")])),
            "a search in text without a deterministic collation is not supported"
        );
    }
}

#[test]
fn changes_of_text() {
    for (function, value, expected) in [
        (F_BTRIM_TEXT, "  a b\t ", "a b\t"),
        (F_LTRIM_TEXT, "  a ", "a "),
        (F_RTRIM_TEXT, " a  ", " a"),
        (F_BTRIM_TEXT, "   ", ""),
        (F_UPPER_TEXT, "aZä9", "AZä9"),
        (F_LOWER_TEXT, "AzÄ", "azÄ"),
    ] {
        assert_eq!(both(function, &[word(value)], &[TEXTOID]), expected);
    }
    assert_eq!(both(F_TEXTCAT, &[word("tä"), word("xt")], &[TEXTOID, TEXTOID]), "täxt");
    for (value, from, to, expected) in
        [("aXaX", "X", "yy", "ayyayy"), ("aaa", "aa", "b", "ba"), ("abc", "", "x", "abc"), ("abc", "b", "", "ac")]
    {
        let args = [word(value), word(from), word(to)];
        assert_eq!(both(F_REPLACE, &args, &[TEXTOID, TEXTOID, TEXTOID]), expected);
    }
    // Only one of both sides is a column.
    let table = Table::new(vec![texts(&[Some("a"), None, Some("")])]);
    let greeting = op(F_TEXTCAT, C_COLLATION, &[text("x-"), var(1, TEXTOID, -1)]);
    assert_eq!(words(table.value(greeting)), [Some("x-a".into()), None, Some("x-".into())]);
    for collation in [DEFAULT_COLLATION, NONDETERMINISTIC_COLLATION] {
        assert_eq!(
            refused(&table, collated(F_UPPER_TEXT, collation, &[var(1, TEXTOID, -1)])),
            "a change of case under a collation other than C is not supported"
        );
    }
}
