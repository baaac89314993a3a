//! Are these the same rows? Exactly, or with a tolerance for numbers.

/// Relative: sums of doubles in another order, and a double in place of a numeric.
const TOLERANCE: f64 = 1e-9;

/// The same fields, where numbers are the same as far as a double is, and blanks at the end of a field do not count.
/// Takes rows in any order: two sets whose sorted rows correspond.
pub fn nearly_same(expected: &[String], other: &[String]) -> bool {
    expected.len() == other.len() && {
        let (expected, other) = (in_order(expected), in_order(other));
        expected.iter().zip(&other).all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_field(a, b)))
    }
}

#[derive(Debug, PartialEq, PartialOrd)]
enum Field<'a> {
    Text(&'a str),
    Number(f64),
}

/// Texts are compared first: a number that is off by its last digit then hardly changes a row's place.
fn in_order(rows: &[String]) -> Vec<Vec<Field<'_>>> {
    let mut rows: Vec<Vec<Field<'_>>> = rows.iter().map(|row| row.split('|').map(field).collect()).collect();
    rows.sort_by(|a, b| {
        let of = |texts: bool| {
            let pairs = a.iter().zip(b).filter(move |(a, _)| matches!(a, Field::Text(_)) == texts);
            pairs.filter_map(|(a, b)| a.partial_cmp(b)).find(|order| order.is_ne())
        };
        of(true).or_else(|| of(false)).unwrap_or(std::cmp::Ordering::Equal)
    });
    rows
}

fn field(text: &str) -> Field<'_> {
    let text = text.trim_end_matches(' ');
    // What a date begins with is no number; "NaN" and "inf" are texts.
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Field::Number(number),
        _ => Field::Text(text),
    }
}

fn same_field(a: &Field<'_>, b: &Field<'_>) -> bool {
    match (a, b) {
        (Field::Number(a), Field::Number(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::nearly_same;

    fn same(a: &[&str], b: &[&str]) -> bool {
        let own = |rows: &[&str]| rows.iter().map(|row| row.to_string()).collect::<Vec<_>>();
        nearly_same(&own(a), &own(b))
    }

    #[test]
    fn numbers_are_the_same_as_far_as_a_double_is() {
        assert!(same(&["1.00|DE"], &["1.0|DE"]));
        assert!(same(&["0.30000000000000004"], &["0.3"]));
        assert!(!same(&["0.3001"], &["0.3"]));
        assert!(!same(&["1"], &["2"]));
        assert!(!same(&["1"], &[""]));
        assert!(!same(&["1", "1"], &["1"]));
        assert!(!same(&["1|2"], &["1"]));
    }

    #[test]
    fn texts_are_the_same_but_for_blanks_at_the_end() {
        assert!(same(&["DE  |x"], &["DE|x"]));
        assert!(!same(&[" DE"], &["DE"]));
        assert!(same(&["NaN|1995-01-01"], &["NaN|1995-01-01"]));
    }

    #[test]
    fn the_last_digit_does_not_change_a_rows_place() {
        assert!(same(&["0.1|b", "0.10000000000000002|a"], &["0.1|a", "0.10000000000000002|b"]));
        assert!(same(&["9|a", "10|a"], &["10.0|a", "9.0|a"]));
    }
}
